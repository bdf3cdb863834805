from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from tests.tiles.scenes import DATONG, boxes, town
from tiles.checks.findings import Findings
from tiles.checks.gltf import check_gltf
from tiles.gltf import content, glb, kernels, meshopt, metadata
from tiles.models import BLOCKS
from twin.errors import SourceError
from twin.features import objects
from twin.meshes import Skin, Surface


def wedge():
    """An asymmetric solid: 30 m east, 10 m north, 5 m up from its south-west foot."""
    x, y, z = DATONG.origin
    return boxes([x, y, z], [x + 30.0, y + 10.0, z + 5.0], oid=["w"])


def encoded(solids, sink=0.0, compression="meshopt"):
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
    return content.encode(mesh, BLOCKS, columns, compression), matrix, mesh


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


def corners(gltf):
    """Sorted triangles (k, 9), each from its lowest corner on: what a packer may turn and nothing else."""
    points, index = gltf.accessor(0), gltf.accessor(4).reshape(-1, 3)
    places = points[index].tolist()
    turned = [min(triangle[k:] + triangle[:k] for k in range(3)) for triangle in places]
    return sorted([number for place in triangle for number in place] for triangle in turned)


def test_what_is_packed_comes_back_to_the_bit():
    solids = town(300)
    packed, plain = (glb.read(encoded(solids, 0.6, how)[0]) for how in ("meshopt", "none"))
    for k in range(4):
        np.testing.assert_array_equal(packed.accessor(k), plain.accessor(k))
        assert packed.accessor(k).dtype == plain.accessor(k).dtype
    assert corners(packed) == corners(plain)
    there, here = (metadata.read_table(gltf) for gltf in (packed, plain))
    assert [values.tolist() for values in there.values()] == [values.tolist() for values in here.values()]


def test_a_packed_file_says_so_and_is_half_the_size():
    packed, plain = (encoded(town(300), 0.6, how)[0] for how in ("meshopt", "none"))
    document, _ = glb.unpack(packed)
    assert len(packed) < 0.5 * len(plain)
    assert meshopt.EXTENSION in document["extensionsRequired"]
    assert document["buffers"][1]["extensions"] == {meshopt.EXTENSION: {"fallback": True}}
    ends = [view["byteOffset"] + view["byteLength"] for view in document["bufferViews"] if view["buffer"] == 1]
    assert max(ends) <= document["buffers"][1]["byteLength"]
    assert "extensions" not in glb.unpack(plain)[0]["bufferViews"][0]


def test_a_packed_tile_is_checked_like_any_other():
    found = Findings("check")
    points = check_gltf(glb.read(encoded(town(50))[0]), None, found).points
    assert not found.faults
    assert len(points) == 50 * 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "SPHERES"}, "mode 'SPHERES'"),
        ({"filter": "COLOR"}, "filter 'COLOR'"),
        ({"count": 400_000}, "do not unpack"),
        ({"byteStride": 3}, "do not unpack"),
        ({"byteLength": 10**9}, "ends at"),
    ],
)
def test_bytes_that_do_not_unpack_are_refused_with_their_reason(change, words):
    document, binary = glb.unpack(encoded(town(50))[0])
    document["bufferViews"][0]["extensions"][meshopt.EXTENSION] |= change
    with pytest.raises(SourceError, match=words):
        glb.read(glb.pack(document, binary)).accessor(0)


def test_floats_on_the_grid_keep_every_bit_and_far_ones_get_a_coarser_grid():
    assert [meshopt.exponent_of(reach) for reach in (0.0, 16_000.0, 17_000.0, 60_000.0)] == [-9, -9, -8, -7]
    values = (np.arange(-3000, 3000).reshape(-1, 3) * 7 / 512.0).astype(np.float32)
    mantissa = meshopt.exponential(values).astype(np.int64) & 0xFFFFFF
    np.testing.assert_array_equal(np.where(mantissa >= 2**23, mantissa - 2**24, mantissa) / 512.0, values)


def test_many_points_take_a_short_way_that_is_a_tenth_of_a_millimetre_off_at_most():
    rng = np.random.default_rng(7)
    for side, height in ((300.0, 30.0), (8_000.0, 400.0), (400_000.0, 3_000.0)):
        points = rng.uniform(-0.5, 0.5, (2_000, 3)) * [side, side, height] + DATONG.origin
        matrix = content.tile_matrix(DATONG, points)
        each = np.concatenate([content.to_local(DATONG, points[k : k + 100], matrix) for k in range(0, 2_000, 100)])
        assert np.abs(content.to_local(DATONG, points, matrix) - each).max() < 1e-4


def test_a_wall_and_a_roof_share_no_vertex_and_a_column_of_vertices_stays_together():
    _, _, mesh = encoded(town(40))
    moved = np.abs(np.diff(mesh.positions[:, [0, 2]], axis=0)).max(axis=1) > 0.1
    turns = moved | (np.diff(mesh.feature) != 0)
    assert turns.sum() + 1 == 40 * 4
    keys = np.column_stack([mesh.positions, mesh.normals, mesh.feature])
    assert len(np.unique(keys, axis=0)) == len(keys)


def test_faces_of_one_plane_and_two_colours_keep_both():
    solids = wedge()
    bare = Skin.bare(12)
    colour = bare.colour.copy()
    colour[2], colour[3] = (200, 40, 40, 255), (40, 40, 200, 255)
    _, _, mesh = encoded(replace(solids, skin=Skin(colour, bare.texture, bare.uv)))
    roof = mesh.colours[mesh.normals[:, 1] == 127]
    assert sorted(np.unique(roof, axis=0).tolist()) == [[5, 5, 147], [147, 5, 5]]
    assert len(roof) == 6


def test_a_solid_without_a_face_to_see_or_with_a_lost_vertex_is_not_visible():
    solids = boxes(np.arange(3)[:, None] * [50.0, 0.0, 0.0], np.arange(3)[:, None] * [50.0, 0.0, 0.0] + 9.0)
    vertices = solids.vertices.copy()
    vertices[8:16] = vertices[8]
    vertices[20, 1] = np.nan
    hidden = solids.surface == Surface.GROUND
    offsets = solids.vertex_offset, solids.face_offset
    assert kernels.visible(vertices, solids.faces, hidden, *offsets, 1e-4).tolist() == [True, False, False]
