"""What scans and meshes can promise wrongly: counts, layouts, accessors, links to other files, pictures without end."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.robustness.cases_rasters import PNG_BOMBS
from tests.robustness.mutators import Cases, Mutator, header, instead, over, patch, replaced
from tests.robustness.seeds_models import PAGE, paged, unpaged

_HUGE = "9" * 5_000
_COUNTS = ("0", "-1", "401", "4000000000", "9223372036854775807", "1" + "0" * 30, _HUGE, "4e2", "zebra", "")
PLY_HEADS: Cases = {
    **{
        f"count={count[:20]}": case
        for count in _COUNTS
        for case in replaced({"": ("vertex 400", f"vertex {count}")}).values()
    },
    **replaced(
        {
            "format": ("binary_little_endian 1.0", "binary_zebra 1.0"),
            "format-gone": ("format binary_little_endian 1.0\n", ""),
            "big-endian": ("binary_little_endian", "binary_big_endian"),
            "says-text": ("binary_little_endian", "ascii"),
            "type": ("double x", "zebra x"),
            "type-text": ("double x", "string x"),
            "list": ("property double x", "property list uchar double x"),
            "no-z": ("double z", "double height"),
            "x-twice": ("double y", "double x"),
            "byte-x": ("double x", "uchar x"),
            "no-end": ("end_header", "end_footer"),
            "end-twice": ("end_header", "end_header\nend_header"),
            "lists-before": ("element vertex", "element face 9\nproperty list uchar int vertex_index\nelement vertex"),
            "billions-before": ("element vertex", "element face 99999999999999999\nproperty int a\nelement vertex"),
            "nothing-before": ("element vertex", "element zebra 9000000000000000000\nelement vertex"),
            "named-nothing": ("property double x", "property double"),
            "comment-of-1-mb": ("element vertex", "comment " + "x" * 2**20 + "\nelement vertex"),
            "20000-properties": (
                "property uchar red",
                "\n".join(f"property double p{k}" for k in range(2_000)) + "\nproperty uchar red",
            ),
        }
    ),
}


def _first_row(*values: float) -> Mutator:
    return over("", lambda data: patch(data, data.index(b"end_header\n") + 11, struct.pack("<3d", *values)))


PLY: Cases = {
    **PLY_HEADS,
    "x=nan": _first_row(float("nan"), 1.0, 1.0),
    "x=inf": _first_row(float("inf"), 1.0, 1.0),
    "x=1e308": _first_row(1e308, 1e308, 1e308),
    "z=1e308": _first_row(1.0, 1.0, 1e308),
    "one-byte-short": over("", lambda data: data[:-1]),
}
PLYTEXT: Cases = {
    **replaced(
        {
            "billions-before": ("element vertex", "element zebra 9000000000000000000\nelement vertex"),
            "count=4000000000": ("vertex 400", "vertex 4000000000"),
            "60000-properties": (
                "property uchar red",
                "\n".join(f"property uchar p{k}" for k in range(3_000)) + "\nproperty uchar red",
            ),
            "word": (" 1 2 3\n", " zebra 2 3\n"),
            "1e999": (" 1 2 3\n", " 1e999 2 3\n"),
            "x=nan": ("end_header\n", "end_header\nnan nan nan 1 2 3\n"),
            "long": (" 1 2 3\n", f" 1 2 {_HUGE}\n"),
            "nul": (" 1 2 3\n", " 1 \x00 3\n"),
        }
    ),
    "one-line": over("", lambda data: data[:300] + data[300:].replace(b"\n", b" ")),
    "cut-line": over("", lambda data: data[:-8]),
}


def _logical(change: Callable[[bytes], bytes]) -> Mutator:
    """An E57 changed below its checksums, which are sound again."""
    return over("", lambda data: paged(change(unpaged(data))))


def _sealed(case: Mutator) -> Mutator:
    """A change of bytes below the checksums."""
    return lambda seed: {seed.target: paged(case(replace(seed, files={seed.target: unpaged(seed.whole)}))[seed.target])}


def _xml(old: str, new: str) -> Mutator:
    """Other words in the XML of an E57; its length in the header, and that of the file, are told anew."""

    def change(data: bytes) -> bytes:
        start = data.index(b"<?xml")
        text = data[start:].rstrip(b"\0")
        assert old.encode() in text, f"{old!r} is not in the XML"
        text = text.replace(old.encode(), new.encode(), 1)
        whole = data[:start] + text
        pages = -(-len(whole) // (PAGE - 4)) * PAGE
        return patch(patch(whole, 16, struct.pack("<Q", pages)), 32, struct.pack("<Q", len(text)))

    return _logical(change)


_E57_HEADS = [
    ("major", 8, "<I"),
    ("length", 16, "<Q"),
    ("xml-offset", 24, "<Q"),
    ("xml-length", 32, "<Q"),
    ("page-size", 40, "<Q"),
    ("section-length", 56, "<Q"),
    ("data-offset", 64, "<Q"),
    ("index-offset", 72, "<Q"),
    ("packet", 80, "<I"),
    ("bytestreams", 84, "<I"),
]
_E57_VALUES = {"I": (0, 0xFFFF_FFFF), "Q": (0, 1, 2**63)}
_CRS = 'coordinateMetadata type="'
_MOVE = '<translation type="Structure">'
_RECORDS = '<points type="CompressedVector" fileOffset="48" recordCount="400">'
E57: Cases = {
    **{f"sealed-{name}": _sealed(case) for name, case in header(_E57_HEADS, values=_E57_VALUES).items()},
    **{
        f"points={count}": _xml('recordCount="400"', f'recordCount="{count}"')
        for count in ("0", "-1", "401", "4000000000", "9223372036854775807", "1" + "0" * 30, "zebra")
    },
    **{
        name: _xml(old, new)
        for name, old, new in (
            ("offset=0", 'fileOffset="48"', 'fileOffset="0"'),
            ("offset=1e18", 'fileOffset="48"', 'fileOffset="1000000000000000000"'),
            ("no-points", _RECORDS, '<points type="Structure">'),
            ("no-x", "cartesianX", "zebraX"),
            ("no-scans", "<data3D ", "<zebra "),
            ("scan-of-text", '<vectorChild type="Structure">', '<vectorChild type="String">'),
            ("w=0", '<w type="Float">1</w>', '<w type="Float">0</w>'),
            ("w=nan", '<w type="Float">1</w>', '<w type="Float">nan</w>'),
            ("w=text", '<w type="Float">1</w>', '<w type="String">zebra</w>'),
            ("w-gone", '<w type="Float">1</w>', ""),
            ("move=1e308", f'{_MOVE}\n          <x type="Float"/>', f'{_MOVE}<x type="Float">1e308</x>'),
            ("crs=zebra", f"<{_CRS}String\"/>", f"<{_CRS}String\">zebra</coordinateMetadata>"),
            ("crs-number", f"<{_CRS}String\"/>", f"<{_CRS}Integer\">7</coordinateMetadata>"),
            ("laughs", "<e57Root", '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><e57Root'),
            ("outside", "<e57Root", '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><e57Root'),
            ("colour-range", 'maximum="255"/>', 'maximum="-1"/>'),
            ("colour-64-bit", 'maximum="255"/>', 'maximum="9223372036854775807"/>'),
            ("x-integer", '<cartesianX type="Float"', '<cartesianX type="Integer"'),
            ("x-scaled", '<cartesianX type="Float"', '<cartesianX type="ScaledInteger" scale="0"'),
            ("deep", "<images2D", '<zebra type="Structure">' * 20_000 + "<images2D"),
            ("cut-xml", "</e57Root>", ""),
        )
    },
}  # fmt: skip


def _document(change: Callable[[dict[str, Any]], Any]) -> Mutator:
    """The JSON of a glTF, inside a GLB or by itself, in other words."""

    def rewrite(data: bytes) -> bytes:
        if data[:4] != b"glTF":
            document = json.loads(data)
            return json.dumps(change(document) or document).encode()
        length = struct.unpack_from("<I", data, 12)[0]
        document = json.loads(data[20 : 20 + length])
        text = json.dumps(change(document) or document).encode()
        text += b" " * (-len(text) % 4)
        body = struct.pack("<II", len(text), 0x4E4F534A) + text + data[20 + length :]
        return data[:8] + struct.pack("<I", 12 + len(body)) + body

    return over("", rewrite)


def _at(path: str, value: Any) -> Mutator:
    """One value of the document, by its keys: "accessors/0/count"."""

    def change(document: dict[str, Any]) -> None:
        *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        place: Any = document
        for key in keys:
            place = place[key]
        place[last] = value

    return _document(change)


_NUMBERS = (0, -1, 99, 2**31, 4_000_000_000, 2**63, 1e308, "zebra", None)
ACCESSORS: Cases = {
    **{f"count={value}": _at("accessors/0/count", value) for value in _NUMBERS},
    **{f"offset={value}": _at("accessors/0/byteOffset", value) for value in (-4, 2**31, 2**63, "zebra")},
    **{f"view={value}": _at("accessors/0/bufferView", value) for value in (-1, 99, "zebra")},
    **{f"component={value}": _at("accessors/0/componentType", value) for value in (0, 5120, 5130, None)},
    **{f"type={value}": _at("accessors/0/type", value) for value in ("MAT4", "SCALAR", "MAT9", 7)},
    **{f"length={value}": _at("bufferViews/0/byteLength", value) for value in (0, -1, 2**31, 2**63)},
    **{f"stride={value}": _at("bufferViews/0/byteStride", value) for value in (0, -1, 1, 2**31)},
    "sparse": _at("accessors/0/sparse", {"count": 4_000_000_000, "indices": {}, "values": {}}),
    "no-view": _document(lambda d: d["accessors"][0].pop("bufferView") and None),
    "no-view-100-million": _document(lambda d: d["accessors"][0].update(count=100_000_000) or _without_view(d)),
    "views-of-views": _document(lambda d: d["accessors"].extend(d["accessors"] * 2_000)),
}


def _without_view(document: dict[str, Any]) -> None:
    document["accessors"][0].pop("bufferView")


GLB: Cases = {
    **header([("version", 4, "<I"), ("length", 8, "<I"), ("json-length", 12, "<I"), ("json-kind", 16, "<I")]),
    **ACCESSORS,
    **{
        name: _at(path, value)
        for name, path, value in (
            ("indices=99", "meshes/0/primitives/0/indices", 99),
            ("position=99", "meshes/0/primitives/0/attributes/POSITION", 99),
            ("mode=0", "meshes/0/primitives/0/mode", 0),
            ("mode=99", "meshes/0/primitives/0/mode", 99),
            ("material=99", "meshes/0/primitives/0/material", 99),
            ("draco", "extensionsRequired", ["KHR_draco_mesh_compression"]),
            ("scene=99", "scene", 99),
            ("scenes-empty", "scenes", []),
            ("nodes-null", "nodes", None),
            ("nodes-loop", "nodes/0/children", [0]),
            ("children=99", "nodes/0/children", [99]),
            ("mesh=99", "nodes/0/mesh", 99),
            ("matrix-zero", "nodes/0/matrix", [0] * 16),
            ("matrix-short", "nodes/0/matrix", [1, 2, 3]),
            ("matrix-1e300", "nodes/0/matrix", [1e300] * 16),
            ("scale-nan", "nodes/0/scale", [float("nan")] * 3),
            ("name-list", "nodes/0/name", [1]),
            ("name-of-1-mb", "nodes/0/name", "x" * 2**20),
            ("image=99", "images/0/bufferView", 99),
            ("image-elsewhere", "images/0", {"uri": "http://127.0.0.1:9/x.png"}),
            ("image-outside", "images/0", {"uri": "../../../../etc/passwd"}),
            ("image-kind", "images/0/mimeType", "image/zebra"),
            ("texture=99", "textures/0/source", 99),
            ("base-colour", "materials/0/pbrMetallicRoughness/baseColorFactor", ["a", None, 9, 1e999]),
            ("meshes-number", "meshes", 7),
        )
    },
    "20000-nodes": _document(lambda d: d["nodes"].extend({"mesh": 0} for _ in range(20_000))),
    "deep-nodes": _document(lambda d: _chain(d, 20_000)),
    "deep-json": over("", lambda data: patch(data, 20, b"[" * (struct.unpack_from("<I", data, 12)[0]))),
    **{
        f"picture-{name}": (lambda seed, data=data: {seed.target: _with_picture(seed.whole, data())})  # type: ignore[misc]
        for name, data in PNG_BOMBS.items()
    },
}


def _chain(document: dict[str, Any], length: int) -> None:
    first = len(document["nodes"])
    document["nodes"] += [{"children": [first + k + 1]} for k in range(length)] + [{"mesh": 0}]
    document["scenes"][0]["nodes"].append(first)


def _with_picture(data: bytes, picture: bytes) -> bytes:
    """The GLB with another picture at the end of its buffer."""
    length = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + length])
    body = data[28 + length :]
    body += b"\0" * (-len(body) % 4)
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    view.update(byteOffset=len(body), byteLength=len(picture))
    body += picture + b"\0" * (-len(picture) % 4)
    document["buffers"][0]["byteLength"] = len(body)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(body), 0x004E4942) + body
    return data[:8] + struct.pack("<I", 12 + len(chunks)) + chunks


GLTF: Cases = {
    **{
        f"buffer-{name}": _at("buffers/0/uri", uri)
        for name, uri in (
            ("outside", "../../../../../etc/passwd"),
            ("root", "/etc/passwd"),
            ("network", "http://127.0.0.1:9/m.bin"),
            ("itself", "m.gltf"),
            ("gone", "gone.bin"),
            ("folder", "."),
            ("device", "/dev/zero"),
            ("data-cut", "data:application/octet-stream;base64,AAA"),
            ("number", 7),
            ("nul", "m\0.bin"),
        )
    },
    "buffer-short": lambda seed: {"m.bin": b"abc"},
    "buffer-nan": lambda seed: {"m.bin": struct.pack("<9f", *[float("nan")] * 9)},
    "buffer-1e38": lambda seed: {"m.bin": struct.pack("<9f", *[3e38] * 9)},
    "buffers=4-gb": _at("buffers/0/byteLength", 2**32),
    "no-view-100-million": ACCESSORS["no-view-100-million"],
    "top-list": _document(lambda d: [d]),
    **instead({"deep": lambda: b'{"a":' * 200_000, "empty": b"", "nul": bytes(99), "page": b"<!DOCTYPE html><p>"}),
}
OBJ: Cases = {
    **{
        f"face={index}": case
        for index in ("999999999", "-999999999", "0", "99999999999999999999", "nan", "zebra", "1.5", "//", "1/999999/1")
        for case in replaced({"": ("f 2/1", f"f {index}")}).values()
    },
    **{
        f"v={value[:8]}": over("", lambda data, value=value: data.replace(b"v 0.0", b"v " + value.encode(), 1))  # type: ignore[misc]
        for value in ("nan", "inf", "1e308", "1e999", _HUGE, "zebra", "", "0x10")
    },
    **replaced(
        {
            "face-of-1": ("f 2/1", "f 2\nf 2/1"),
            "face-of-100000": ("f 2/1", "f " + "1 2 3 " * 33_333 + "\nf 2/1"),
            "library-outside": ("m.mtl", "../../../../../etc/passwd.mtl"),
            "library-root": ("m.mtl", "/etc/passwd"),
            "library-itself": ("m.mtl", "m.obj"),
            "library-folder": ("m.mtl", "."),
            "library-network": ("m.mtl", "http://127.0.0.1:9/m.mtl"),
            "library-gone": ("m.mtl", "gone.mtl"),
            "library-long": ("m.mtl", "x" * 5_000 + ".mtl"),
            "500-objects": ("o house", "\n".join(f"o h{k}\nf 1 2 3" for k in range(500))),
            "500-materials": ("usemtl brick", "\n".join(f"usemtl m{k}\nf 1 2 3" for k in range(500))),
            "object-of-1-mb": ("o house", "o " + "x" * 2**20),
            "uv=nan": ("vt 0.0 0.0", "vt nan inf"),
            "continued": ("o house", "o house\\\n" * 5_000),
            "nul": ("o house", "o \x00"),
        }
    ),
    "no-faces": over("", lambda data: data.replace(b"\nf ", b"\n# ")),
    "no-vertices": over("", lambda data: data.replace(b"\nv ", b"\n# ")),
    "utf-16": over("", lambda data: data.decode().encode("utf-16")),
    "gbk": over("", lambda data: data.replace(b"house", "城楼".encode("gbk"))),
    "line-of-10-mb": over("", lambda data: data + b"v " + b"1 " * 5_000_000),
    "mtl-binary": lambda seed: {"m.mtl": bytes(range(256)) * 9},
    "mtl-utf-16": lambda seed: {"m.mtl": seed.files["m.mtl"].decode().encode("utf-16")},
    "mtl-empty": lambda seed: {"m.mtl": b""},
    "mtl-loop": lambda seed: {"m.mtl": b"mtllib m.mtl\n" * 99},
    "mtl-colour": lambda seed: {"m.mtl": b"newmtl brick\nKd nan 1e999 zebra\nd -7\n"},
    "mtl-short": lambda seed: {"m.mtl": b"newmtl\nKd\nmap_Kd\n"},
    "map-outside": lambda seed: {"m.mtl": b"newmtl brick\nmap_Kd ../../../../../etc/passwd\n"},
    "map-itself": lambda seed: {"m.mtl": b"newmtl brick\nmap_Kd m.mtl\n"},
    "map-device": lambda seed: {"m.mtl": b"newmtl brick\nmap_Kd /dev/zero\n"},
    **{f"map-{name}": (lambda seed, data=data: {"m.png": data()}) for name, data in PNG_BOMBS.items()},  # type: ignore[misc]
}
MESHPLY: Cases = {
    **{
        f"{part}={count[:20]}": case
        for part, old in (("vertices", "element vertex 8"), ("faces", "element face 12"))
        for count in ("0", "9", "4000000000", "1" + "0" * 30, _HUGE, "zebra")
        for case in replaced({"": (old, f"{old.rpartition(' ')[0]} {count}")}).values()
    },
    **replaced(
        {
            "type": ("property float x", "property zebra x"),
            "list-type": ("list uchar int", "list double string"),
            "wide-list": ("list uchar int", "list uint double"),
            "no-x": ("float x", "float w"),
            "format": ("binary_little_endian", "zebra"),
            "vertices-twice": ("element face", "element vertex 8\nproperty float x\nelement face"),
            "texture-outside": ("element vertex", "comment TextureFile ../../../../etc/passwd\nelement vertex"),
            "no-end": ("end_header", "end_footer"),
        }
    ),
    "face-of-255": over("", lambda data: patch(data, data.index(b"end_header\n") + 11 + 96, b"\xff")),
    "index=2147483647": over(
        "", lambda data: patch(data, data.index(b"end_header\n") + 12 + 96, struct.pack("<I", 2**31 - 1))
    ),
    "index=-1": over("", lambda data: patch(data, data.index(b"end_header\n") + 12 + 96, b"\xff" * 4)),
    "x=nan": over("", lambda data: patch(data, data.index(b"end_header\n") + 11, b"\xff" * 4)),
}

SCANS: dict[str, Cases] = {
    "ply": PLY,
    "plytext": PLYTEXT,
    "e57": E57,
    "glb": GLB,
    "gltf": GLTF,
    "obj": OBJ,
    "meshply": MESHPLY,
}
