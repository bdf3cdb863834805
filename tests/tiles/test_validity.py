"""The check finds what is spoiled: one fault a row, in the words and under the name that it is told by."""

from __future__ import annotations

import copy
import json
import struct

import numpy as np
import pytest

from tests.tiles.simple import box, boxes, explicit
from tiles.checks import khronos
from tiles.gltf import glb
from tiles.validity import check_tileset


@pytest.fixture
def place(tmp_path):
    return explicit(tmp_path / "sound").parent


def told(place, **options):
    report = check_tileset(place, khronos=False, **options)
    return " | ".join(f"{o.oid}: {o.reason}" for o in report.outcomes)


def spoil_json(place, change):
    file = place / "tileset.json"
    document = json.loads(file.read_bytes())
    change(document)
    file.write_text(json.dumps(document))


def spoil_glb(place, change, name="left.glb"):
    file = place / name
    document, binary = glb.unpack(file.read_bytes())
    binary = bytearray(binary)
    change(document, binary)
    file.write_bytes(glb.pack(document, bytes(binary)))


def put(path, value):
    """A change that sets the entry at a path of keys; None takes it away."""

    def change(document):
        *way, last = path
        inner = document
        for key in way:
            inner = inner[key]
        if value is None:
            del inner[last]
        else:
            inner[last] = copy.deepcopy(value)

    return change


def spoiled(place, path, value):
    """What the check tells of the tileset with another value at a path; OK where nothing."""
    spoil_json(place, put(path, value))
    return told(place) or "OK"


def test_a_whole_tileset_has_no_fault(place):
    report = check_tileset(place, khronos=False)
    assert report.outcomes == ()
    assert report.figures["contents"] == 3
    assert report.figures["errors_measured"] == 1


ROOT, LEFT, RIGHT = ("root",), ("root", "children", 0), ("root", "children", 1)
CLASS = ("schema", "classes", "tileset", "properties")
TURN = [1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
FAR = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 500, 0, 0, 1]

DOCUMENTS = [
    (("asset", "version"), "2.0", "asset.version is '2.0' [ASSET_VERSION_UNKNOWN]"),
    (("asset",), None, "there is no asset [PROPERTY_MISSING]"),
    (("asset", "gltfUpAxis"), "Z", "[DISALLOWED_VALUE_FOUND]"),
    (("geometricError",), None, "there is no geometricError [PROPERTY_MISSING]"),
    (("geometricError",), -1, "geometricError is -1 [VALUE_NOT_IN_RANGE]"),
    (("geometricError",), 1, "geometricError 4.0 is larger than its parent's 1.0"),
    (ROOT, None, "there is no root tile [PROPERTY_MISSING]"),
    ((*ROOT, "refine"), None, "[TILE_REFINE_MISSING_IN_ROOT]"),
    ((*ROOT, "refine"), "replace", "refine is 'replace' [TILE_REFINE_WRONG_CASE]"),
    ((*ROOT, "refine"), "SWAP", "refine is 'SWAP' [VALUE_NOT_IN_LIST]"),
    ((*LEFT, "geometricError"), 5, "[TILE_GEOMETRIC_ERRORS_INCONSISTENT]"),
    ((*LEFT, "geometricError"), "0", "geometricError is '0' [VALUE_NOT_IN_RANGE]"),
    ((*ROOT, "boundingVolume"), None, "[BOUNDING_VOLUME_INVALID]"),
    ((*ROOT, "boundingVolume", "box"), [1, 2, 3], "boundingVolume.box is not valid"),
    ((*LEFT, "boundingVolume", "sphere"), [0, 0, 0, 1], "boundingVolume has box and sphere"),
    ((*LEFT, "boundingVolume"), {"sphere": [5, 5, 5, -1]}, "boundingVolume.sphere is not valid"),
    ((*LEFT, "boundingVolume"), {"sphere": [5, 5, 5, 1]}, "outside the volume of tileset.json#root/0 [CONTENT_OUTSIDE"),
    ((*LEFT, "boundingVolume"), {"region": [0, 2, 0, 1, 0, 1]}, "boundingVolume.region is not valid"),
    ((*LEFT, "boundingVolume"), {"region": [0.1, 0.1, 0.2, 0.2, 0, 1]}, "outside the volume of tileset.json#root/0"),
    ((*LEFT, "boundingVolume", "box"), box(0, 0, 0, 10, 10, 9), "lies 1.000 m outside the volume of tileset.json#root"),
    ((*ROOT, "boundingVolume", "box"), box(0, 0, 0, 40, 10, 9), "m outside the volume of tileset.json#root "),
    ((*ROOT, "content", "boundingVolume", "box"), box(0, 0, 0, 41, 10, 10), "[BOUNDING_VOLUMES_INCONSISTENT]"),
    ((*RIGHT, "transform"), TURN, "[TRANSFORM_INVALID]"),
    ((*RIGHT, "transform"), [1, 2], "[TRANSFORM_INVALID]"),
    ((*RIGHT, "transform"), FAR, "m outside the volume of tileset.json#root "),
    ((*ROOT, "contents"), [{"uri": "coarse.glb"}], "both content and contents [ONE_OF_ERROR]"),
    ((*LEFT, "content", "uri"), "gone.glb", "tileset.json#root/0: content gone.glb does not exist [IO_ERROR]"),
    ((*LEFT, "content", "uri"), "", "content uri is '' [PROPERTY_MISSING]"),
    ((*LEFT, "content", "uri"), "/left.glb", "is not a relative reference [CONTENT_VALIDATION_ERROR]"),
    ((*LEFT, "content", "uri"), "tileset.json", "the tileset contains itself [TILESET_CYCLE]"),
    ((*LEFT, "content"), None, "lie where no child replaces them"),
    ((*ROOT, "children"), [], "OK"),
    (("extensions",), {"X_y": {}}, "extension X_y occurs but is not in extensionsUsed [EXTENSION_FOUND_BUT_NOT_USED]"),
    (("extensionsRequired",), ["X_y"], "[EXTENSION_REQUIRED_BUT_NOT_USED]"),
    (("schemaUri",), "schema.json", "both schema and schemaUri [ONE_OF_ERROR]"),
    (("schema", "id"), None, "the schema has no id [PROPERTY_MISSING]"),
    (("schema", "id"), "古城", "[STRING_PATTERN_MISMATCH]"),
    ((*CLASS, "author", "type"), "TEXT", "type is 'TEXT' [VALUE_NOT_IN_LIST]"),
    ((*CLASS, "year", "componentType"), None, "[CLASS_PROPERTY_COMPONENT_TYPE_MISSING]"),
    ((*CLASS, "author", "componentType"), "UINT8", "[CLASS_PROPERTY_COMPONENT_TYPE_FOR_NON_NUMERIC_TYPE]"),
    ((*CLASS, "mood", "enumType"), None, "[CLASS_PROPERTY_ENUM_TYPE_WITHOUT_ENUMTYPE]"),
    ((*CLASS, "mood", "enumType"), "taste", "[CLASS_PROPERTY_ENUMTYPE_NOT_FOUND]"),
    ((*CLASS, "author", "enumType"), "mood", "[CLASS_PROPERTY_ENUMTYPE_WITH_NON_ENUM_TYPE]"),
    ((*CLASS, "year", "count"), 2, "[CLASS_PROPERTY_COUNT_FOR_NON_ARRAY]"),
    ((*CLASS, "extent", "normalized"), True, "[CLASS_PROPERTY_NORMALIZED_FOR_NON_NORMALIZABLE_TYPE]"),
    ((*CLASS, "year", "scale"), 2, "[METADATA_OFFSET_SCALE_FOR_NON_FLOATING_POINT_TYPE]"),
    ((*CLASS, "author", "min"), 2, "[METADATA_MIN_MAX_FOR_NON_NUMERIC_TYPE]"),
    ((*CLASS, "author", "noData"), "", "[CLASS_PROPERTY_INCONSISTENT]"),
    ((*CLASS, "author", "semantic"), "TILE_GEOMETRIC_ERROR", "[METADATA_SEMANTIC_INVALID]"),
    (("schema", "enums", "mood", "values", 1, "value"), 0, "[ENUM_VALUE_DUPLICATE_VALUE]"),
    (("schema", "enums", "mood", "values", 1, "name"), "calm", "[ENUM_VALUE_DUPLICATE_NAME]"),
    (("schema", "enums", "mood", "values", 1, "value"), 300, "a value does not fit into UINT8"),
    (("metadata", "class"), "town", "there is no class 'town' [IDENTIFIER_NOT_FOUND]"),
    (("metadata", "properties", "author"), None, "[METADATA_VALUE_REQUIRED_BUT_MISSING]"),
    (("metadata", "properties", "author"), 1, "author holds [1], no STRING [TYPE_MISMATCH]"),
    (("metadata", "properties", "year"), 1372, "year breaks the min 1900 of its class [METADATA_VALUE_NOT_IN_RANGE]"),
    (("metadata", "properties", "mood"), "grim", "mood holds ['grim'], no ENUM [TYPE_MISMATCH]"),
    (("metadata", "properties", "extent"), [1, 2], "extent has 2 elements [ARRAY_LENGTH_MISMATCH]"),
    (("metadata", "properties", "size"), 1, "tileset has no property size [IDENTIFIER_NOT_FOUND]"),
    (("groups", 0, "properties", "side"), True, "groups[0]: side holds [True], no STRING"),
    ((*ROOT, "content", "group"), 1, "there is no group 1 [IDENTIFIER_NOT_FOUND]"),
    ((*LEFT, "metadata", "class"), "none", "root/0: metadata: there is no class 'none'"),
    (("statistics", "classes", "road"), {}, "statistics of no class 'road' [IDENTIFIER_NOT_FOUND]"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "words"), DOCUMENTS)
def test_a_spoiled_document_is_told(place, path, value, words):
    assert words in spoiled(place, path, value)


def test_semantics_may_not_occur_twice(place):
    def change(document):
        for name in ("author", "mood"):
            document["schema"]["classes"]["tileset"]["properties"][name]["semantic"] = "ID"

    spoil_json(place, change)
    assert "[CLASS_PROPERTIES_DUPLICATE_SEMANTIC]" in told(place)


def test_a_byte_order_mark_and_broken_json_are_told(place):
    file = place / "tileset.json"
    data = file.read_bytes()
    file.write_bytes(b"\xef\xbb\xbf" + data)
    assert "starts with a byte order mark [JSON_PARSE_ERROR]" in told(place)
    file.write_bytes(data[:-5])
    assert "is not JSON in UTF-8" in told(place)


def view_of(document, accessor):
    return document["bufferViews"][document["accessors"][accessor]["bufferView"]]


def metadata(document):
    return document["extensions"]["EXT_structural_metadata"]


def table(document):
    return metadata(document)["propertyTables"][0]


def column(document, name):
    return document["bufferViews"][table(document)["properties"][name]["values"]]


def primitive(document):
    return document["meshes"][0]["primitives"][0]


def ids(document):
    return primitive(document)["extensions"]["EXT_mesh_features"]["featureIds"][0]


def wrong_minimum(d, _):
    d["accessors"][0]["min"][0] -= 1.0


def no_minimum(d, _):
    del d["accessors"][0]["min"]


def no_position(d, _):
    del primitive(d)["attributes"]["POSITION"]


def wrong_version(d, _):
    d["asset"]["version"] = "1.0"


def wrong_count(d, _):
    ids(d)["featureCount"] -= 1


def no_count(d, _):
    del ids(d)["featureCount"]


def gap_in_numbers(d, _):
    attributes = primitive(d)["attributes"]
    attributes["_FEATURE_ID_1"] = attributes.pop("_FEATURE_ID_0")
    ids(d)["attribute"] = 1


def missing_attribute(d, _):
    ids(d)["attribute"] = 4


def wide_ids(d, _):
    d["accessors"][1]["componentType"] = 5125


def no_table(d, _):
    ids(d)["propertyTable"] = 3


def fraction(d, binary):
    d["accessors"][1] |= {"componentType": 5126}
    at = view_of(d, 1)["byteOffset"]
    for k in range(8):
        binary[at + 4 * k : at + 4 * k + 4] = struct.pack("<f", 0.5)


def short_attribute(d, _):
    d["accessors"][1]["count"] -= 1


def narrow_stride(d, _):
    view_of(d, 1)["byteStride"] = 2


def long_accessor(d, _):
    d["accessors"][0]["count"] = 10_000


def odd_offset(d, _):
    view_of(d, 0)["byteOffset"] += 2


def far_index(d, binary):
    at = view_of(d, 2)["byteOffset"]
    binary[at : at + 2] = b"\xff\xfe"


def odd_indices(d, _):
    d["accessors"][2]["count"] -= 1


def signed_indices(d, _):
    d["accessors"][2]["componentType"] = 5122


def lost_mesh(d, _):
    d["nodes"][0]["mesh"] = 7


def lost_node(d, _):
    d["scenes"][0]["nodes"] = [5]


def own_child(d, _):
    d["nodes"][0]["children"] = [0]


def not_a_number(d, binary):
    at = view_of(d, 0)["byteOffset"]
    binary[at : at + 4] = struct.pack("<f", float("nan"))


def undeclared(d, _):
    d["extensionsUsed"].remove("EXT_mesh_features")


def quantized(d, _):
    d["accessors"][0]["componentType"] = 5122


def short_table(d, _):
    table(d)["count"] = 0


def no_class(d, _):
    table(d)["class"] = "house"


def unknown_column(d, _):
    table(d)["properties"]["colour"] = {"values": 0}


def missing_column(d, _):
    del table(d)["properties"]["oid"]


def broken_limit(d, _):
    table(d)["properties"]["height"]["max"] = 1.0


def loose_limit(d, _):
    table(d)["properties"]["height"]["max"] = 1e6


def class_limit(d, _):
    metadata(d)["schema"]["classes"]["thing"]["properties"]["height"]["min"] = 50.0


def short_column(d, _):
    column(d, "height")["byteLength"] -= 2


def long_column(d, _):
    column(d, "storeys")["byteLength"] += 2


def shifted_column(d, _):
    column(d, "height")["byteOffset"] -= 2


def infinite(d, binary):
    at = column(d, "height")["byteOffset"]
    binary[at : at + 4] = struct.pack("<f", float("inf"))


def strange_code(d, binary):
    binary[column(d, "kind")["byteOffset"]] = 9


def broken_offsets(d, binary):
    at = d["bufferViews"][table(d)["properties"]["oid"]["stringOffsets"]]["byteOffset"]
    binary[at : at + 2] = b"\x09\x00"


def short_string(d, _):
    column(d, "oid")["byteLength"] += 1


def no_utf8(d, binary):
    binary[column(d, "oid")["byteOffset"]] = 0xFF


def both_schemas(d, _):
    metadata(d)["schemaUri"] = "schema.json"


CONTENTS = [
    (wrong_minimum, "POSITION min and max are not those of the data"),
    (no_minimum, "POSITION has no min and max"),
    (no_position, "a primitive has no POSITION"),
    (wrong_version, "glTF is not version 2"),
    (wrong_count, "featureCount says 0, the ids are 1 different ones [FEATURE_COUNT_MISMATCH]"),
    (no_count, "feature ids without featureCount [PROPERTY_MISSING]"),
    (gap_in_numbers, "numbered [1], not from 0 without gaps"),
    (missing_attribute, "_FEATURE_ID_4 is named but not there"),
    (wide_ids, "_FEATURE_ID_0 is of component type 5125"),
    (fraction, "feature ids are not whole numbers from 0"),
    (no_table, "no property table 3"),
    (short_attribute, "_FEATURE_ID_0 has 7 of 8 vertices"),
    (narrow_stride, "not aligned to four bytes (2)"),
    (long_accessor, "needs more than"),
    (odd_offset, "is not aligned"),
    (far_index, "an index runs over the vertices"),
    (odd_indices, "are no whole triangles"),
    (signed_indices, "indices are no unsigned scalars"),
    (lost_mesh, "mesh 7 does not exist"),
    (lost_node, "node 5 does not exist"),
    (own_child, "is its own ancestor"),
    (not_a_number, "POSITION holds a number that is not finite"),
    (undeclared, "EXT_mesh_features occurs but is not in extensionsUsed"),
    (
        quantized,
        "KHR_mesh_quantization has no fallback and is not in extensionsRequired [EXTENSION_REQUIRED_BUT_NOT_DEC",
    ),
    (short_table, "count is 0 [VALUE_NOT_IN_RANGE]"),
    (no_class, "there is no class 'house'"),
    (unknown_column, "its class has no colour"),
    (missing_column, "oid is required and missing [METADATA_VALUE_REQUIRED_BUT_MISSING]"),
    (broken_limit, "breaks its max 1.0 (table) [METADATA_VALUE_NOT_IN_RANGE]"),
    (loose_limit, "its max is said to be 1000000.0 [METADATA_VALUE_MISMATCH]"),
    (class_limit, "breaks its min 50.0 (class)"),
    (short_column, "values has 2 bytes, 4 are needed [METADATA_INVALID_LENGTH]"),
    (long_column, "values has 4 bytes, 2 are needed [METADATA_INVALID_LENGTH]"),
    (shifted_column, "no multiple of 4 [METADATA_INVALID_ALIGNMENT]"),
    (infinite, "holds a number that is not finite"),
    (strange_code, "codes [9] are none of the enum"),
    (broken_offsets, "is not monotone from 0 [METADATA_INVALID_OFFSETS]"),
    (short_string, "the last string ends at byte 1 of 2"),
    (no_utf8, "is not UTF-8 at byte 0"),
    (both_schemas, "both schema and schemaUri"),
]


@pytest.mark.parametrize(("change", "words"), CONTENTS, ids=[change.__name__ for change, _ in CONTENTS])
def test_a_spoiled_content_is_told(place, change, words):
    spoil_glb(place, change)
    found = told(place)
    assert words in found
    assert "left.glb (tileset.json#root/0)" in found


def test_a_cut_content_is_one_line_and_the_rest_is_still_checked(place):
    file = place / "left.glb"
    file.write_bytes(file.read_bytes()[:100])
    report = check_tileset(place, khronos=False)
    assert [o.oid for o in report.outcomes] == ["left.glb (tileset.json#root/0)"]
    assert "of 100 bytes" in report.outcomes[0].reason
    assert report.figures["contents"] == 2


def test_a_missing_tileset_is_a_fault_and_not_a_traceback(tmp_path):
    report = check_tileset(tmp_path, khronos=False)
    assert [o.oid for o in report.outcomes] == [str(tmp_path / "tileset.json")]
    assert "does not exist" in report.outcomes[0].reason


def test_refine_comes_from_the_parent(place):
    """Under REPLACE the coarse objects are no second copy; said to be ADD they are drawn on and lose nothing."""
    spoil_json(place, put(LEFT, None))
    assert "HOLE_UNDER_REPLACE" in told(place)
    spoil_json(place, put((*ROOT, "refine"), "ADD"))
    assert told(place) == ""


def test_an_object_that_no_tile_below_has_is_told(place):
    (place / "left.glb").write_bytes(boxes(["c"], [(0, 0, 0)]))
    assert "1 objects are in no tile below: a [OBJECT_LOST_UNDER_REPLACE]" in told(place)


def test_an_error_below_the_measured_distance_is_told(place):
    (place / "coarse.glb").write_bytes(boxes(["a", "b"], [(0, 0, 0), (30, 0, 0)], sizes=(10.0, 10.0, 3.0)))
    report = check_tileset(place, khronos=False)
    assert report.outcomes == ()
    assert "its content is 7.00 m from what replaces it, the geometric error is 4 m" in " ".join(report.warnings)


def test_a_body_that_the_coarse_tile_leaves_out_counts_its_height_and_no_more(place):
    (place / "coarse.glb").write_bytes(boxes(["a"], [(0, 0, 0)]))
    assert "its content is 10.00 m from" in " ".join(check_tileset(place, khronos=False).warnings)


def test_instances_are_spread_out_before_they_are_placed(place):
    (place / "left.glb").write_bytes(small([[0, 0, 0], [8, 0, -8]]))
    report = check_tileset(place, khronos=False)
    assert report.outcomes == ()
    assert report.figures["instances"] == 2
    (place / "left.glb").write_bytes(small([[0, 0, 0], [9, 0, 0]]))
    assert "lies 1.000 m outside the volume of tileset.json#root/0" in told(place)


def small(instances):
    return boxes(["a"], [(0, 0, 0)], sizes=(2.0, 2.0, 2.0), instances=instances)


def few_rotations(d, _):
    d["accessors"][d["nodes"][0]["extensions"]["EXT_mesh_gpu_instancing"]["attributes"]["ROTATION"]]["count"] = 1


def long_rotation(d, binary):
    at = view_of(d, d["nodes"][0]["extensions"]["EXT_mesh_gpu_instancing"]["attributes"]["ROTATION"])["byteOffset"]
    binary[at + 12 : at + 16] = struct.pack("<f", 2.0)


def instance_count(d, _):
    d["nodes"][0]["extensions"]["EXT_instance_features"]["featureIds"][0]["featureCount"] = 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (few_rotations, "accessors of [1, 2] instances [INVALID_GLTF_STRUCTURE]"),
        (long_rotation, "a rotation is no unit quaternion"),
        (instance_count, "featureCount says 0, the ids are 1 different ones"),
    ],
)
def test_spoiled_instances_are_told(place, change, words):
    (place / "left.glb").write_bytes(small([[0, 0, 0], [8, 0, 0]]))
    spoil_glb(place, change)
    assert words in told(place)


def test_node_matrices_move_what_is_checked(place):
    spoil_glb(place, lambda d, _: d["nodes"][0].update(translation=[3, 0, 0]))
    assert "lies 3.000 m outside" in told(place)


def test_external_tilesets_are_followed_with_the_matrix_and_volumes_of_their_tile(place):
    inner = explicit(place / "inner")
    document = json.loads(inner.read_bytes())
    document["geometricError"] = 0
    document["root"] = document["root"]["children"][1]
    document["root"]["refine"] = "ADD"
    inner.write_text(json.dumps(document))
    spoil_json(place, put((*RIGHT, "content", "uri"), "inner/tileset.json"))
    report = check_tileset(place, khronos=False)
    assert report.outcomes == ()
    assert report.figures["tilesets"] == 2
    spoil_json(place, put((*RIGHT, "transform"), FAR))
    assert "inner/right.glb (inner/tileset.json#root): a vertex lies" in told(place)


def test_gltf_validator_speaks_where_it_is_there(place):
    if not khronos.command():
        from tests.conftest import absent

        absent("gltf-validator (npm ci in tiles/checks)")
    assert check_tileset(place).outcomes == ()
    spoil_glb(place, lambda d, _: d["meshes"][0]["primitives"][0].update(mode=9))
    reasons = [o.reason for o in check_tileset(place).outcomes]
    assert any(reason.startswith("gltf-validator: VALUE_NOT_IN_RANGE") for reason in reasons)


def header(kind, tables=b"", size=None):
    length = 28 + len(tables) if size is None else size
    return struct.pack("<4sIIIIII", kind, 1, length, len(tables), 0, 0, 0) + tables


def pnts(points):
    data = np.asarray(points, "<f4").tobytes()
    data += b" " * (-len(data) % 8)
    text = json.dumps({"POINTS_LENGTH": len(points), "POSITION": {"byteOffset": 0}}).encode()
    text += b" " * (-(28 + len(text)) % 8)
    return struct.pack("<4sIIIIII", b"pnts", 1, 28 + len(text) + len(data), len(text), len(data), 0, 0) + text + data


def b3dm(content):
    text = b'{"BATCH_LENGTH":0,"RTC_CENTER":[0,0,0]}'
    text += b" " * (-(28 + len(text)) % 8)
    content += b"\0" * (-len(content) % 8)
    size = 28 + len(text) + len(content)
    return struct.pack("<4sIIIIII", b"b3dm", 1, size, len(text), 0, 0, 0) + text + content


def test_legacy_contents_are_read_and_called_legacy(place):
    composite = pnts([[1, 1, 1], [9, 9, 9]])
    (place / "left.glb").write_bytes(struct.pack("<4sIII", b"cmpt", 1, 16 + len(composite), 1) + composite)
    report = check_tileset(place, khronos=False)
    assert report.outcomes == ()
    assert any("legacy" in warning for warning in report.warnings)
    (place / "left.glb").write_bytes(pnts([[1, 1, 1], [9, 9, 12]]))
    assert "lies 2.000 m outside" in told(place)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (header(b"b3dm", size=99), "b3dm header says 99 of 28 bytes"),
        (header(b"pnts", b"{}  "), "has no POINTS_LENGTH"),
        (header(b"b3dm", b'{"A":1'.ljust(12)), "is not JSON"),
        (struct.pack("<4sIII", b"cmpt", 1, 16, 2), "cmpt says 2 parts and ends after 0"),
        (struct.pack("<4sIII", b"cmpt", 2, 16, 0), "cmpt version is 2, not 1"),
    ],
)
def test_broken_legacy_headers_are_told(place, data, words):
    (place / "left.glb").write_bytes(data)
    assert words in told(place)


def test_a_batched_model_is_opened_and_placed(place):
    (place / "left.glb").write_bytes(b3dm(boxes(["a"], [(0, 0, 0)])))
    assert "outside" not in told(place)
    (place / "left.glb").write_bytes(b3dm(boxes(["a"], [(0, 0, 5)])))
    assert "lies 5.000 m outside" in told(place)


def test_at_most_so_many_files_are_opened(place):
    report = check_tileset(place, most=2, khronos=False)
    assert report.figures["contents"] == 1
    assert any("stopped after 2 files" in warning for warning in report.warnings)
