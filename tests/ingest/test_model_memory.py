"""Peak memory of long deliveries as the operating system counts it, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import trimesh

from tests.ingest.test_citymodel import BOX, corners, gml_building, gml_head

pytestmark = pytest.mark.slow

# What the pages of the readers state: a run of 256 buildings with their pictures, the parser, 40 bytes a textured ring.
MODEL_BOUND = 8 * 2**20
# And of meshes: at most 30 times the size of a file, which is in memory whole.
MESH_FACTOR = 30
BUILDINGS = 1_000

# Every delivery is read twice: the first time takes what libraries lay out once and keep.
DRAIN = """
import gc, json, re, sys
from pathlib import Path
from ingest.reading import Delivery
from ingest.sources import reader_of
from twin.city import Source
from twin.frames import Frame

def memory(key):
    return int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

for name, first in [(name, first) for name in sys.argv[2:] for first in (True, False)]:
    kind = "mesh" if name.startswith("mesh") else "citymodel"
    source = Source(name="model", kind=kind, path=name.replace("long", "short") if first else name, crs="EPSG:4547")
    reading = reader_of(kind).read(Delivery(source, Path(sys.argv[1])), Frame("EPSG:4547", "1985", -15.0))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    start, solids, worn = memory("VmRSS"), 0, 0
    for _, batch in reading.models.batches():
        solids += len(batch)
        worn += 0 if batch.skin is None else int((batch.skin.texture >= 0).sum())
    if not first:
        print(json.dumps([name, solids, worn, memory("VmHWM") - start]))
    del reading, batch
"""


def citygml(path, buildings):
    """Boxes that wear a picture each, their appearance behind all of them."""
    with path.open("w") as file:
        file.write(gml_head().replace("<core:CityModel ", '<core:CityModel xmlns:app="app" '))
        for number in range(buildings):
            points = corners(20.0 * number)
            members = []
            for side, face in enumerate(BOX):
                text = " ".join(f"{x} {y} {z}" for x, y, z in [points[v] for v in (*face, face[0])])
                members.append(
                    f'<gml:surfaceMember><gml:Polygon gml:id="p{number}_{side}"><gml:exterior><gml:LinearRing '
                    f'gml:id="r{number}_{side}"><gml:posList>{text}</gml:posList></gml:LinearRing></gml:exterior>'
                    "</gml:Polygon></gml:surfaceMember>"
                )
            surface = f"<gml:MultiSurface>{''.join(members)}</gml:MultiSurface>"
            file.write(gml_building(f"b{number}", f"<bldg:lod2MultiSurface>{surface}</bldg:lod2MultiSurface>"))
        file.write("<app:appearanceMember><app:Appearance>")
        for number in range(buildings):
            targets = "".join(
                f'<app:target uri="#p{number}_{side}"><app:TexCoordList><app:textureCoordinates '
                f'ring="#r{number}_{side}">0 0 1 0 1 1 0 1 0 0</app:textureCoordinates></app:TexCoordList></app:target>'
                for side in range(6)
            )
            file.write(
                "<app:surfaceDataMember><app:ParameterizedTexture><app:imageURI>a.png</app:imageURI>"
                f"{targets}</app:ParameterizedTexture></app:surfaceDataMember>"
            )
        file.write("</app:Appearance></app:appearanceMember></core:CityModel>")


def sequence(path, buildings):
    """The same as CityJSONSeq, each feature with its own appearance."""
    looks = {
        "textures": [{"type": "PNG", "image": "a.png"}],
        "vertices-texture": [[0, 0], [1, 0], [1, 1], [0, 1]],
    }
    box = {
        "type": "Solid", "lod": "2", "boundaries": [[[list(face)] for face in BOX]],
        "texture": {"rgb": {"values": [[[[0, 0, 1, 2, 3]] for _ in BOX]]}},
    }  # fmt: skip
    with path.open("w") as file:
        file.write(json.dumps({"type": "CityJSON", "version": "2.0", "CityObjects": {}, "vertices": []}) + "\n")
        for number in range(buildings):
            thing = {f"b{number}": {"type": "Building", "geometry": [box]}}
            feature = {"type": "CityJSONFeature", "id": f"b{number}", "CityObjects": thing, "appearance": looks}
            file.write(json.dumps(feature | {"vertices": corners(20.0 * number)}) + "\n")


def sheet(path, n):
    """A waving sheet of n by n points."""
    x, y = np.meshgrid(np.arange(n) * 1.0, np.arange(n) * 1.0)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = [
        np.column_stack([corner, corner + 1, corner + n]),
        np.column_stack([corner + 1, corner + n + 1, corner + n]),
    ]
    mesh = trimesh.Trimesh(np.column_stack([x.ravel(), y.ravel(), np.sin(x + y).ravel()]), np.concatenate(faces))
    data = mesh.export(file_type=path.suffix[1:])
    path.write_bytes(data.encode() if isinstance(data, str) else data)


WRITERS = {"long.gml": citygml, "long.jsonl": sequence}
MESHES = ("mesh_long.obj", "mesh_long.glb", "mesh_long.ply")


@pytest.fixture(scope="module")
def peaks(tmp_path_factory):
    """File -> (solids, faces with a picture, bytes of peak above the start, bytes of the file)."""
    folder = tmp_path_factory.mktemp("long")
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name, write in WRITERS.items():
        write(folder / name.replace("long", "short"), 260)
        write(folder / name, BUILDINGS)
    for name in MESHES:
        sheet(folder / name.replace("long", "short"), 4)
        sheet(folder / name, 200)
    command = [sys.executable, "-c", DRAIN, str(folder), *WRITERS, *MESHES]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [json.loads(line) for line in told.splitlines()]
    return {name: (*values, (folder / name).stat().st_size) for name, *values in rows}


@pytest.mark.parametrize("name", WRITERS)
def test_a_long_textured_model_passes_through_in_bounded_memory(name, peaks):
    solids, worn, above, _ = peaks[name]
    assert (solids, worn) == (BUILDINGS, 12 * BUILDINGS)
    assert above < MODEL_BOUND


@pytest.mark.parametrize("name", MESHES)
def test_a_mesh_takes_no_more_than_its_stated_multiple_of_its_file(name, peaks):
    solids, _, above, size = peaks[name]
    assert solids == 1
    assert above < MESH_FACTOR * size
