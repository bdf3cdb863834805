"""Small valid deliveries of scans, meshes, open map data and series, made in code beside those of seeds.py."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from tests.ingest.test_osm import GRAPH, as_pbf, as_xml
from tests.robustness.city import Seed, X, Y

PLACED = {"extra": {"origin": [X, Y, 1000.0]}}
PAGE, SUM = 1024, 4
_GUID = re.compile(rb"\{[0-9a-f]{8}-[0-9a-f-]{27}\}")
PLY_HEAD = """\
ply
format {order} 1.0
element vertex 400
property double x
property double y
property double z
property uchar red
property uchar green
property uchar blue
end_header
"""


def _points(n: int = 400) -> np.ndarray:
    return np.random.default_rng(4).uniform(0, 90, (n, 3)).round(3)


def cloud_ply(name: str, order: str) -> Seed:
    rows = np.zeros(400, np.dtype([*((axis, "<f8") for axis in "xyz"), *((word, "u1") for word in "rgb")]))
    for axis, values in zip("xyz", _points().T, strict=True):
        rows[axis] = values
    body = rows.tobytes()
    if order == "ascii":
        body = "".join(f"{x} {y} {z} 1 2 3\n" for x, y, z in _points().tolist()).encode()
    data = PLY_HEAD.format(order=order).encode() + body
    return Seed(name, {f"{name}.ply": data}, f"{name}.ply", {"kind": "points", **PLACED})


def e57() -> Seed:
    import pye57

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.e57"
        with pye57.E57(str(path), mode="w") as file:
            scan = {f"cartesian{axis}": column for axis, column in zip("XYZ", _points().T, strict=True)}
            scan |= {f"color{word}": np.full(400, 9, np.uint8) for word in ("Red", "Green", "Blue")}
            file.write_scan_raw(scan, rotation=np.array([1.0, 0, 0, 0]), translation=np.zeros(3))
        logical = unpaged(path.read_bytes())
    data = paged(_GUID.sub(b"{00000000-0000-0000-0000-000000000000}", logical))
    return Seed("e57", {"s.e57": data}, "s.e57", {"kind": "points", **PLACED})


def unpaged(data: bytes) -> bytes:
    """The bytes of an E57 without the checksums of its pages."""
    return b"".join(data[at : at + PAGE - SUM] for at in range(0, len(data), PAGE))


def paged(logical: bytes) -> bytes:
    """The bytes of an E57 with sound checksums: CRC-32C, most significant byte first, as libe57 checks them."""
    step = PAGE - SUM
    pages = [logical[at : at + step].ljust(step, b"\0") for at in range(0, len(logical), step)]
    return b"".join(page + _crc32c(page).to_bytes(4, "big") for page in pages)


def _crc32c(data: bytes) -> int:
    crc = 0xFFFF_FFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF_FFFF


def _crc_of(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0x82F6_3B78 if value & 1 else 0)
    return value


_CRC = [_crc_of(value) for value in range(256)]


def picture(side: int = 8) -> bytes:
    """A red PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def textured_box() -> trimesh.Trimesh:
    box = trimesh.creation.box(bounds=[[0, 0, 0], [8, 9, 7]])
    uv = np.random.default_rng(5).random((len(box.vertices), 2))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.open(io.BytesIO(picture())), name="brick")
    box.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return box


def glb() -> Seed:
    scene = trimesh.Scene()
    scene.add_geometry(textured_box(), node_name="house", geom_name="box")
    return Seed("glb", {"m.glb": scene.export(file_type="glb")}, "m.glb", {"kind": "mesh", **PLACED})


def gltf() -> Seed:
    """One triangle, its numbers in a file beside."""
    body = np.array([[0, 0, 0], [5, 0, 0], [0, 5, 0]], "<f4").tobytes()
    document = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0, "name": "t"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 36}],
        "buffers": [{"uri": "m.bin", "byteLength": 36}],
    }  # fmt: skip
    files = {"m.gltf": json.dumps(document).encode(), "m.bin": body}
    return Seed("gltf", files, "m.gltf", {"kind": "mesh", **PLACED})


def obj() -> Seed:
    box = trimesh.creation.box(bounds=[[0, 0, 0], [8, 9, 7]])
    lines = ["mtllib m.mtl", "o house"]
    lines += [f"v {x} {y} {z}" for x, y, z in box.vertices.tolist()]
    lines += ["vt 0.0 0.0", "vt 1.0 0.0", "vt 1.0 1.0", "usemtl brick"]
    lines += [f"f {a + 1}/1 {b + 1}/2 {c + 1}/3" for a, b, c in box.faces.tolist()]
    files = {
        "m.obj": "\n".join([*lines, ""]).encode(),
        "m.mtl": b"newmtl brick\nKd 0.8 0.1 0.1\nmap_Kd m.png\n",
        "m.png": picture(),
    }
    return Seed("obj", files, "m.obj", {"kind": "mesh", **PLACED})


def mesh_ply() -> Seed:
    data = trimesh.creation.box(bounds=[[0, 0, 0], [8, 9, 7]]).export(file_type="ply")
    return Seed("meshply", {"m.ply": data}, "m.ply", {"kind": "mesh", **PLACED})


def _extract(name: str, write: Callable[[Path], None], kind: str) -> Seed:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return Seed(name, {name: (Path(folder) / name).read_bytes()}, name, {"kind": kind, "crs": "EPSG:4326"})


def things() -> dict[str, object]:
    """A Thing of SensorThings with its place, a series and its values."""
    values = [{"phenomenonTime": f"2026-06-21T0{k}:00:00Z", "result": k + 0.5} for k in range(4)]
    series = {
        "@iot.id": 70, "name": "PM2.5", "unitOfMeasurement": {"name": "micro", "symbol": "ug/m3"},
        "ObservedProperty": {"name": "PM2.5"}, "Observations": values,
    }  # fmt: skip
    place = {"encodingType": "application/geo+json", "location": {"type": "Point", "coordinates": [113.3, 40.1]}}
    return {
        "@iot.id": 7,
        "name": "北环站",
        "properties": {"kind": "air"},
        "Locations": [place],
        "Datastreams": [series],
    }


def more_seeds() -> list[Seed]:
    """Every seed of this file."""
    graph = {"kind": "roads", "crs": "EPSG:4326"}
    fixes = "".join(f"t{k % 2},2026-06-21T0{k}:00:00Z,{114.0 + k * 1e-4},40.0\n" for k in range(8))
    track = {"kind": "trajectories", "crs": "EPSG:4326"}
    return [
        cloud_ply("ply", "binary_little_endian"),
        cloud_ply("plytext", "ascii"),
        e57(),
        glb(),
        gltf(),
        obj(),
        mesh_ply(),
        _extract("osm.pbf", as_pbf, "footprints"),
        _extract("m.osm", as_xml, "footprints"),
        Seed("graphml", {"g.graphml": GRAPH.encode()}, "g.graphml", graph),
        Seed("things", {"t.json": json.dumps(things()).encode()}, "t.json", {"kind": "sensors", "crs": "EPSG:4326"}),
        Seed("trajectories", {"r.csv": f"source_id,time,lon,lat\n{fixes}".encode()}, "r.csv", track),
    ]
