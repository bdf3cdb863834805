"""The check and what other people's tilesets bring: extensions, cells of S2, packages, rules of schemas and textures.

The rules were held against the specifications of CesiumGS/3d-tiles-validator 0.6.1; the tables here are ours.
"""

from __future__ import annotations

import base64
import io
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from tests.tiles.simple import explicit
from tests.tiles.test_validity import CLASS, LEFT, RIGHT, ROOT, ids, put, spoil_glb, spoil_json, spoiled, told
from tiles.checks.findings import Findings
from tiles.checks.gltf import check_gltf
from tiles.gltf import glb
from tiles.validity import check_tileset


@pytest.fixture
def place(tmp_path):
    return explicit(tmp_path / "sound").parent


def cell(token, low=0.0, high=9.0):
    return {"extensions": {"3DTILES_bounding_volume_S2": {"token": token, "minimumHeight": low, "maximumHeight": high}}}


S2_USED = ("extensionsUsed",), ["3DTILES_bounding_volume_S2"]
HEIGHT = (*CLASS, "height")
FLOAT = {"type": "SCALAR", "componentType": "FLOAT32"}
FLOATS = {**FLOAT, "array": True, "count": 2}

DOCUMENTS = [
    (("asset", "tilesetVersion"), 7, "asset.tilesetVersion is 7, no str [TYPE_MISMATCH]"),
    (("extensionsUsed",), [], "extensionsUsed is empty [ARRAY_LENGTH_MISMATCH]"),
    (("extensionsUsed",), ["X_y", "X_y"], "extensionsUsed names one twice [ARRAY_ELEMENT_NOT_UNIQUE]"),
    (("extensions",), "none", "extensions is 'none', no table [TYPE_MISMATCH]"),
    (("extensions",), {"X_y": 1}, "extension X_y is no table [TYPE_MISMATCH]"),
    (("statistics",), {"classes": {}}, "statistics.classes is empty [NUMBER_OF_PROPERTIES_MISMATCH]"),
    (CLASS, {}, "class tileset has no property [NUMBER_OF_PROPERTIES_MISMATCH]"),
    ((*CLASS, "author", "name"), 4, ".properties.author.name is 4, no str [TYPE_MISMATCH]"),
    (HEIGHT, {**FLOAT, "offset": [1.0, 2.0]}, "offset is of form [2], a value of [] [TYPE_MISMATCH]"),
    (HEIGHT, {**FLOAT, "type": "VEC3", "max": [1, 2]}, "max is of form [2], a value of [3] [ARRAY_LENGTH_MISMATCH]"),
    (HEIGHT, {**FLOATS, "scale": [1.0, 2.0]}, "OK"),
    (HEIGHT, {**FLOATS, "scale": 2.0}, "scale is of form [], a value of [2] [TYPE_MISMATCH]"),
    (HEIGHT, {**FLOAT, "array": True, "min": 1.0}, "[METADATA_PROPERTY_INVALID_FOR_VARIABLE_LENGTH_ARRAY]"),
    (HEIGHT, {"type": "BOOLEAN", "noData": False}, "is BOOLEAN and has noData [CLASS_PROPERTY_INCONSISTENT]"),
    (HEIGHT, {**FLOAT, "semantic": "TILE_MAXIMUM_HEIGHT"}, "OK"),
    (HEIGHT, {**FLOAT, "array": True, "semantic": "TILE_MAXIMUM_HEIGHT"}, "is SCALAR x 0, not SCALAR x 1 [METADATA_"),
    (HEIGHT, {**FLOAT, "semantic": "ATTRIBUTION_IDS"}, "ATTRIBUTION_IDS is SCALAR x 1, not SCALAR x any number"),
    (HEIGHT, {**FLOAT, "semantic": "TILE_REFINE"}, "TILE_REFINE is FLOAT32, not UINT8 [METADATA_SEMANTIC_INVALID]"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "words"), DOCUMENTS)
def test_a_spoiled_document_is_told(place, path, value, words):
    assert words in spoiled(place, path, value)


CELLS = [
    (cell("89c6c7"), "OK"),
    (cell("1"), "OK"),
    (cell("89c6c7", 9.0, 0.0), "height 9.0 is above 0.0 [BOUNDING_VOLUME_INVALID]"),
    (cell("89c6c7", "low"), "[TYPE_MISMATCH]"),
    (cell("no cell"), "'no cell' is no token of a cell [S2_TOKEN_INVALID]"),
    (cell("f1"), "'f1' is no token of a cell [S2_TOKEN_INVALID]"),
    (cell("2"), "'2' is no token of a cell [S2_TOKEN_INVALID]"),
    ({"extensions": {"3DTILES_bounding_volume_S2": {}}}, "has no token, minimumHeight, maximumHeight [PROPERTY"),
]  # fmt: skip


@pytest.mark.parametrize(("volume", "words"), CELLS)
def test_cells_of_s2_are_read(place, volume, words):
    spoil_json(place, put((*LEFT, "boundingVolume"), volume))
    spoil_json(place, put(*S2_USED))
    found = told(place)
    assert words in (found or "OK")


GLTF = "3DTILES_content_gltf"


@pytest.mark.parametrize(
    ("required", "inner", "words"),
    [
        ([GLTF], {}, "OK"),
        ([GLTF], {"extensionsRequired": ["KHR_x"]}, "KHR_x is required but not in extensionsUsed"),
        ([GLTF], {"extensionsUsed": []}, f"{GLTF}: extensionsUsed is empty [ARRAY_LENGTH_MISMATCH]"),
    ],
)
def test_gltf_in_a_tileset_of_1_0_is_by_extension(place, required, inner, words):
    spoil_json(place, put(("asset", "version"), "1.0"))
    spoil_json(place, put(("extensionsUsed",), sorted({GLTF, *required})))
    spoil_json(place, put(("extensionsRequired",), required))
    spoil_json(place, put(("extensions",), {GLTF: inner}))
    found = told(place)
    assert words in (found or "OK")


def test_gltf_in_a_tileset_of_1_0_that_does_not_say_so_is_a_remark(place):
    spoil_json(place, put(("asset", "version"), "1.0"))
    report = check_tileset(place, khronos=False)
    assert report.outcomes == ()
    assert any(f"name {GLTF} in extensionsUsed and extensionsRequired" in line for line in report.warnings)


def test_the_root_of_an_external_tileset_says_refine(place):
    inner = json.loads((place / "tileset.json").read_bytes())
    outer = json.loads((place / "tileset.json").read_bytes())
    outer["root"] = {**{k: inner["root"][k] for k in ("boundingVolume", "geometricError", "refine")}}
    outer["root"]["content"] = {"uri": "inner.json"}
    (place / "inner.json").write_text(json.dumps(inner))
    (place / "tileset.json").write_text(json.dumps(outer))
    assert told(place) == ""
    del inner["root"]["refine"]
    (place / "inner.json").write_text(json.dumps(inner))
    assert "inner.json: the root tile of an external tileset has no refine [TILE_REFINE_MISSING_IN_ROOT]" in told(place)


def packed(place, path, change=lambda files: files):
    files = change({str(f.relative_to(place)): f.read_bytes() for f in place.rglob("*") if f.is_file()})
    with closing(sqlite3.connect(path)) as package:
        package.execute("create table media (key text primary key, content blob)")
        package.executemany("insert into media values (?, ?)", files.items())
        package.commit()
    return path


def test_a_package_in_sqlite_is_checked_like_a_folder(place, tmp_path):
    whole = check_tileset(packed(place, tmp_path / "city.3dtiles"), khronos=False)
    assert whole.outcomes == ()
    assert whole.figures["contents"] == 3
    assert list(tmp_path.iterdir()) != []
    less = packed(place, tmp_path / "less.3dtiles", lambda files: {k: v for k, v in files.items() if k != "left.glb"})
    assert "content left.glb does not exist [IO_ERROR]" in told(less)
    (tmp_path / "none.3dtiles").write_bytes(b"no database")
    assert "is not in a package that can be read" in told(tmp_path / "none.3dtiles")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("more.3tz", b"PK\x03\x04", "contents are archives"),
        ("map.geojson", b'{"type": "Point"}', "contents of GeoJSON"),
    ],
)
def test_contents_of_other_kinds_are_no_faults_and_said_not_to_be_opened(place, name, data, words):
    (place / name).write_bytes(data)
    spoil_json(place, put((*LEFT, "content", "uri"), name))
    report = check_tileset(place, khronos=False)
    assert [o for o in report.outcomes if "no child" not in o.reason] == []
    assert any(words in line for line in report.warnings)


def textured(place, prop, entry=None, ids=None, sampler=None):
    """The left tile as glTF whose vertices wear a picture of values 10 and 20, told by one property texture."""
    picture = io.BytesIO()
    Image.fromarray(np.array([[[10, 0, 0], [20, 0, 0]]], np.uint8)).save(picture, "png")
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4")
    data = corners.tobytes() + np.zeros((3, 2), "<f4").tobytes()
    uri = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    primitive = {
        "attributes": {"POSITION": 0, "TEXCOORD_0": 1},
        "extensions": {"EXT_structural_metadata": {"propertyTextures": [0]}},
    }
    if ids is not None:
        primitive["extensions"]["EXT_mesh_features"] = {"featureIds": [ids]}
    document = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "extensionsUsed": ["EXT_structural_metadata", *(["EXT_mesh_features"] if ids else [])],
        "meshes": [{"primitives": [primitive]}], "buffers": [{"byteLength": len(data), "uri": "left.bin"}],
        "bufferViews": [{"buffer": 0, "byteOffset": at, "byteLength": n} for at, n in ((0, 36), (36, 24))],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
            {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC2"},
        ],
        "images": [{"uri": uri}], "samplers": [sampler or {}], "textures": [{"source": 0, "sampler": 0}],
        "extensions": {
            "EXT_structural_metadata": {
                "schema": {
                    "id": "s",
                    "enums": {"mood": {"values": [{"name": "calm", "value": 10}, {"name": "loud", "value": 20}]},
                              "rare": {"values": [{"name": "calm", "value": 10}]}},
                    "classes": {"c": {"properties": {"p": prop}}},
                },
                "propertyTextures": [{"class": "c", "properties": {"p": {"index": 0, **(entry or {})}}}],
            }
        },
    }  # fmt: skip
    for kind in document["extensions"]["EXT_structural_metadata"]["schema"]["enums"].values():
        kind["valueType"] = "UINT8"
    (place / "left.bin").write_bytes(data)
    (place / "left.gltf").write_text(json.dumps(document))
    spoil_json(place, put((*LEFT, "content", "uri"), "left.gltf"))
    return told(place)


BYTE = {"type": "SCALAR", "componentType": "UINT8"}
TEXTURES = [
    (BYTE, {}, "OK"),
    ({**BYTE, "min": 10, "max": 20}, {}, "OK"),
    ({**BYTE, "max": 19}, {}, "breaks its max 19 (class) [METADATA_VALUE_NOT_IN_RANGE]"),
    (BYTE, {"min": 9}, "its min is said to be 9 [METADATA_VALUE_MISMATCH]"),
    ({"type": "STRING"}, {}, "is STRING, which has no fixed number of bytes [INVALID_METADATA_PROPERTY_TYPE]"),
    ({**BYTE, "array": True}, {}, "which has no fixed number of bytes [INVALID_METADATA_PROPERTY_TYPE]"),
    ({**BYTE, "type": "VEC2"}, {}, "1 channels for a value of 2 bytes [INVALID_METADATA_PROPERTY_TYPE]"),
    ({"type": "ENUM", "enumType": "mood"}, {}, "OK"),
    ({"type": "ENUM", "enumType": "rare"}, {}, "codes [20] are none of the enum [METADATA_VALUE_NOT_IN_RANGE]"),
]


@pytest.mark.parametrize(("prop", "entry", "words"), TEXTURES)
def test_values_of_a_texture_are_those_of_their_class(place, prop, entry, words):
    found = textured(place, prop, entry)
    assert words in (found or "OK")


IDS = {"featureCount": 2, "texture": {"index": 0, "channels": [0]}}


@pytest.mark.parametrize(
    ("change", "sampler", "words"),
    [
        ({}, {"minFilter": 9728}, "OK"),
        ({"featureCount": 9}, {}, "OK"),
        ({"featureCount": 1}, {}, "featureCount says 1, the ids are 2 different ones [FEATURE_COUNT_MISMATCH]"),
        ({"label": "two words"}, {}, "label 'two words' is no identifier [STRING_PATTERN_MISMATCH]"),
        ({"nullFeatureId": -1}, {}, "nullFeatureId is -1 [VALUE_NOT_IN_RANGE]"),
        ({}, {"magFilter": 9729}, "magFilter of a texture of ids is 9729, not 9728 [VALUE_NOT_IN_LIST]"),
        (
            {"texture": {"index": 0, "channels": [0, 1, 0, 1, 0]}},
            {},
            "ids of channels [0, 1, 0, 1, 0] [TEXTURE_CHANNELS",
        ),
    ],
)
def test_ids_in_a_texture(place, change, sampler, words):
    found = textured(place, BYTE, ids=IDS | change, sampler=sampler)
    assert words in (found or "OK")


def test_a_transform_without_inverse_is_lawful_and_worth_a_word(place):
    spoil_json(place, put((*RIGHT, "transform"), [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]))
    report = check_tileset(place, khronos=False)
    assert all("no child replaces" in outcome.reason for outcome in report.outcomes)
    assert any("transforms make all of their tile flat" in line for line in report.warnings)


def test_in_tilesets_of_ours_a_feature_count_is_exact(place):
    spoil_glb(place, lambda d, _: ids(d).update(featureCount=ids(d)["featureCount"] + 1))
    gltf = glb.read(place / "left.glb")
    for strict, faults in ((True, 1), (False, 0)):
        found = Findings("")
        check_gltf(gltf, None, found, strict)
        assert sum("FEATURE_COUNT_MISMATCH" in reason for _, reason in found.faults) == faults
        assert found.figures.get("feature_counts_too_large", 0) == 1 - faults


def test_an_empty_list_of_children_is_a_remark(place):
    spoil_json(place, put((*ROOT, "children", 0, "children"), []))
    report = check_tileset(place, khronos=False)
    assert report.outcomes == ()
    assert any("ARRAY_LENGTH_UNEXPECTED" in line for line in report.warnings)
