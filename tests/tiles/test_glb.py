from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from tests.tiles.scenes import DATONG, boxes
from tiles.gltf import content, glb, metadata
from tiles.models import BLOCKS
from twin.errors import SourceError
from twin.features import objects


def wedge():
    """An asymmetric solid: 30 m east, 10 m north, 5 m up from its south-west foot."""
    x, y, z = DATONG.origin
    return boxes([x, y, z], [x + 30.0, y + 10.0, z + 5.0], oid=["w"])


def encoded(solids, sink=0.0):
    matrix = content.tile_matrix(solids.frame, solids.vertices)
    functions = objects(["residential"] * len(solids))
    mesh = content.shape(solids, matrix, functions, sink)
    columns = {
        "oid": solids.oid,
        "name": objects(["鼓楼"] + [""] * (len(solids) - 1)),
        "function": functions,
        "height": np.where(np.arange(len(solids)) == 1, np.nan, 5.0),
        "evidence": objects(["surveyed"] * len(solids)),
        "storeys": np.full(len(solids), np.nan),
        "lod": objects(["1.2"] * len(solids)),
        "has_l3": np.arange(len(solids)) % 2 == 1,
        "members": np.ones(len(solids)),
    }
    return content.encode(mesh, BLOCKS, columns), matrix, mesh


def test_east_is_x_up_is_y_and_south_is_z_in_the_file():
    data, _, _ = encoded(wedge())
    points = glb.read(data).accessor(0)
    extent = points.max(axis=0) - points.min(axis=0)
    # The 30 m lie along the grid's east, which at 44 minutes west of the meridian is half a degree off true east.
    np.testing.assert_allclose(extent, [30.1, 5.0, 10.3], atol=0.2)
    assert points[:, 1].min() == pytest.approx(0.0, abs=0.002)
    assert points[:, 1].max() == pytest.approx(5.0, abs=0.002)


def test_vertices_land_where_the_frame_says_after_all_axes_are_turned_back():
    solids = wedge()
    data, matrix, mesh = encoded(solids)
    points = glb.read(data).accessor(0).astype(float)
    upright = points[:, [0, 2, 1]] * [1.0, -1.0, 1.0]
    ecef = upright @ matrix[:3, :3].T + matrix[:3, 3]
    true = DATONG.to_ecef(solids.vertices)
    nearest = np.linalg.norm(ecef[:, None] - true[None], axis=2).min(axis=1)
    assert nearest.max() < 0.002
    assert len(mesh.positions) == 20


def test_roof_normal_points_up_and_triangles_turn_with_their_normals():
    data, _, _ = encoded(wedge())
    gltf = glb.read(data)
    points, normals = gltf.accessor(0).astype(float), gltf.normalized(1)
    corners = gltf.accessor(4).reshape(-1, 3)
    a, b, c = (points[corners[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    turned = np.einsum("ij,ij->i", cross, normals[corners[:, 0]]) / np.linalg.norm(cross, axis=1)
    assert turned.min() > 0.99
    assert (normals[:, 1] > 0.99).sum() == 4


def test_ground_faces_are_left_out_and_the_foot_is_sunk():
    _, _, plain = encoded(wedge())
    _, _, sunk = encoded(wedge(), sink=0.4)
    assert len(plain.triangles[0]) == 10
    assert plain.positions[:, 1].min() - sunk.positions[:, 1].min() == pytest.approx(0.4, abs=0.003)


def test_walls_are_darker_at_the_foot_and_the_roof_is_lighter():
    _, _, mesh = encoded(wedge())
    light = mesh.colours.astype(int).sum(axis=1)
    roof = mesh.normals[:, 1] == 127
    foot = mesh.positions[:, 1] < 0.01
    assert light[foot].max() < light[~foot & ~roof].min()
    assert light[roof].min() > light[~foot & ~roof].max()


def test_columns_come_back_with_their_types_and_their_gaps():
    x, y, z = DATONG.origin
    solids = boxes([[x, y, z], [x + 50, y, z], [x, y + 50, z]], [[x + 9, y + 9, z + 5]] * 3)
    solids = boxes(solids.vertices[::8], solids.vertices[::8] + 9.0, oid=["a", "b", "楼"])
    table = metadata.read_table(glb.read(encoded(solids)[0]))
    assert table["oid"].tolist() == ["a", "b", "楼"]
    assert table["name"].tolist() == ["鼓楼", "", ""]
    assert table["height"].tolist() == [5.0, -9999.0, 5.0]
    assert table["storeys"].tolist() == [0, 0, 0]
    assert table["has_l3"].tolist() == [False, True, False]
    assert table["lod"].tolist() == ["1.2"] * 3
    assert table["function"].tolist() == ["residential"] * 3


def test_an_optional_column_without_a_value_is_left_out():
    schema = metadata.FeatureSchema("c", "c", (metadata.Property("name", "STRING", "n", optional=True),))
    builder = glb.Builder()
    written = metadata.write_table(schema, {"name": objects(["", ""])}, builder)
    assert written["propertyTables"][0]["properties"] == {}
    assert builder.size == 0


def test_both_chunks_are_padded_to_four_bytes():
    data = glb.pack({"a": "楼"}, b"12345")
    size, kind = struct.unpack_from("<II", data, 12)
    assert size % 4 == 0
    assert kind == 0x4E4F534A
    assert len(data) % 4 == 0
    assert glb.unpack(data) == ({"a": "楼"}, b"12345\0\0\0")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: d[:-4], "header says"),
        (lambda d: b"xxxx" + d[4:], "header says"),
        (lambda d: d[:8], "too few"),
        (lambda d: d[:24] + b"\xff" + d[25:], "does not parse"),
    ],
)
def test_a_broken_container_is_refused_with_its_reason(spoil, words):
    with pytest.raises(SourceError, match=words):
        glb.unpack(spoil(glb.pack({"asset": {"version": "2.0"}}, b"")))


def test_an_accessor_that_leaves_its_view_is_refused():
    data, _, _ = encoded(wedge())
    document, binary = glb.unpack(data)
    document["accessors"][0]["count"] = 10_000
    with pytest.raises(SourceError, match="needs more"):
        glb.read(glb.pack(document, binary)).accessor(0)


def test_every_feature_table_declares_identifiers_that_the_standard_allows():
    text = json.dumps(BLOCKS.declaration())
    schema = json.loads(text)
    for name in (*schema["classes"], *schema["classes"]["building"]["properties"], *schema["enums"]):
        assert metadata.IDENTIFIER.match(name)
