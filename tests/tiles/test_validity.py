from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.tiles.scenes import town
from tests.tiles.test_lod import SMALL, build
from tiles.gltf import glb
from tiles.validity import check_tileset


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    # Not packed, so that a test can spoil a number and nothing else.
    build(folder, town(300, side=1000.0), replace(SMALL, compression="none"))
    return folder


@pytest.fixture
def place(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "city") / "v" / "l2"


def root_of(place):
    return place / json.loads((place / "tileset.json").read_bytes())["root"]["content"]["uri"]


def spoil_json(place, change):
    file = place / "tileset.json"
    document = json.loads(file.read_bytes())
    change(document)
    file.write_text(json.dumps(document))


def spoil_glb(place, change):
    file = root_of(place)
    document, binary = glb.unpack(file.read_bytes())
    binary = bytearray(binary)
    change(document, binary)
    file.write_bytes(glb.pack(document, bytes(binary)))


def reasons(place):
    return " | ".join(outcome.reason for outcome in check_tileset(place).outcomes)


def raise_child_error(d):
    d["root"]["children"][0]["geometricError"] = 1e6


def shrink_box(d):
    d["root"]["boundingVolume"]["box"][3] /= 2


def shift_child(d):
    d["root"]["children"][0]["transform"][12] += 5000.0


def lower_case(d):
    d["root"]["refine"] = "add"


def lost_content(d):
    d["root"]["content"]["uri"] = "gone.glb"


def broken_matrix(d):
    d["root"]["transform"][3] = 1.0


def unknown_extension(d):
    d["extensions"] = {"MAXAR_x": {}}


def two_contents(d):
    d["root"]["contents"] = [d["root"]["content"]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (raise_child_error, "larger than its parent's"),
        (shrink_box, "outside the volume"),
        (shift_child, "outside the volume"),
        (lower_case, "refine is 'add'"),
        (lost_content, "does not exist"),
        (broken_matrix, "no invertible affine"),
        (unknown_extension, "not in extensionsUsed"),
        (two_contents, "both content and contents"),
    ],
)
def test_a_spoiled_tileset_is_told(place, change, words):
    spoil_json(place, change)
    assert words in reasons(place)


def wrong_minimum(d, _):
    d["accessors"][0]["min"][0] -= 1.0


def wrong_count(d, _):
    feature = d["meshes"][0]["primitives"][0]["extensions"]["EXT_mesh_features"]["featureIds"][0]
    feature["featureCount"] += 1


def short_table(d, _):
    d["extensions"]["EXT_structural_metadata"]["propertyTables"][0]["count"] -= 1


def far_index(d, binary):
    view = d["bufferViews"][d["accessors"][4]["bufferView"]]
    binary[view["byteOffset"] : view["byteOffset"] + 2] = b"\xff\xfe"


def broken_limit(d, _):
    d["extensions"]["EXT_structural_metadata"]["propertyTables"][0]["properties"]["height"]["max"] = 1.0


def broken_offsets(d, binary):
    entry = d["extensions"]["EXT_structural_metadata"]["propertyTables"][0]["properties"]["oid"]
    at = d["bufferViews"][entry["stringOffsets"]]["byteOffset"]
    binary[at + 2 : at + 4] = b"\xff\xff"


def undeclared(d, _):
    d["extensionsUsed"].remove("EXT_mesh_features")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (wrong_minimum, "min and max are not those"),
        (wrong_count, "featureCount says"),
        (short_table, "has no row"),
        (far_index, "runs over the vertices"),
        (broken_limit, "breaks its max"),
        (broken_offsets, "is not monotone"),
        (undeclared, "occurs but is not in extensionsUsed"),
    ],
)
def test_a_spoiled_content_is_told(place, change, words):
    spoil_glb(place, change)
    assert words in reasons(place)


def test_a_cut_content_is_one_line_and_the_rest_is_still_checked(place):
    file = root_of(place)
    file.write_bytes(file.read_bytes()[:1000])
    report = check_tileset(place)
    assert len(report.outcomes) == 1
    assert "1000 bytes" in report.outcomes[0].reason
    assert report.figures["contents"] > 1


def test_a_vertex_out_of_its_box_is_told_in_metres(place):
    def move(d, binary):
        view = d["bufferViews"][0]
        points = np.frombuffer(bytes(binary[: view["byteLength"]]), "<f4").reshape(-1, 3).copy()
        points[0, 1] -= 7.0
        binary[: view["byteLength"]] = points.tobytes()
        d["accessors"][0]["min"] = [float(v) for v in points.min(axis=0)]

    spoil_glb(place, move)
    assert "m outside the volume" in reasons(place)


def test_a_missing_tileset_is_a_fault_and_not_a_traceback(tmp_path):
    report = check_tileset(tmp_path)
    assert [o.reason for o in report.outcomes] == ["cannot be read (No such file or directory)"]
