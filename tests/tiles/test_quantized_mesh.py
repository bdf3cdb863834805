from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiles.checks.findings import Findings
from tiles.checks.ground import check_mesh
from tiles.terrain import quantized_mesh as qm
from tiles.terrain import triangulate
from tiles.terrain.pyramid import tile_bounds
from twin.errors import SourceError
from twin.frames import ecef_from_geodetic

BOUNDS = tile_bounds(14, 26692, 11837)


def mesh_of(active, heights, step=1 / 32):
    """The mesh that `active` midpoints make over `heights` (n + 1, n + 1)."""
    cells = len(active) - 1
    corners = triangulate.triangles(active)
    flat, inverse = np.unique(corners[..., 0] * (cells + 1) + corners[..., 1], return_inverse=True)
    rows, cols = flat // (cells + 1), flat % (cells + 1)
    z = np.round(heights[rows, cols] / step) * step
    low, high, factor = qm.height_span(float(z.min()), float(z.max()), step)
    up = ecef_from_geodetic(np.column_stack([113.3 + cols * 1e-4, 40.0 + rows * 1e-4, z]))
    return qm.Mesh(
        BOUNDS,
        np.round(cols * qm.FULL / cells).astype(np.uint16),
        np.round(rows * qm.FULL / cells).astype(np.uint16),
        np.round((z - low) / step * factor).astype(np.uint16),
        low,
        high,
        inverse.reshape(-1, 3),
        up / np.linalg.norm(up, axis=1)[:, None],
    )


def active_of(heights, cells, limit):
    return triangulate.errors(heights, cells, 10.0) > limit


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), roughness=st.floats(0.0, 40.0), limit=st.floats(0.01, 20.0))
def test_what_is_written_is_read_back(seed, roughness, limit):
    heights = 1000.0 + np.random.default_rng(seed).normal(size=(17, 17)) * roughness
    mesh = mesh_of(active_of(heights, 16, limit), heights)
    back, header = qm.decode(qm.encode(mesh), BOUNDS)

    def rows(m):
        return sorted(map(tuple, m.geodetic().tolist()))

    assert rows(back) == rows(mesh)
    assert len(back.triangles) == len(mesh.triangles)
    first = mesh.geodetic()[mesh.triangles]
    again = back.geodetic()[back.triangles]
    np.testing.assert_array_equal(first, again)
    found = Findings("t")
    check_mesh(back, header, "tile", found)
    assert found.faults == []
    turned = np.einsum("ij,ij->i", back.normals[back.triangles[:, 0]], mesh.normals[mesh.triangles[:, 0]])
    assert turned.min() > 0.999


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), limit=st.floats(0.1, 30.0))
def test_neighbours_share_every_vertex_of_their_edge(seed, limit):
    heights = 500.0 + np.random.default_rng(seed).normal(size=(33, 33)) * 12.0
    active = active_of(heights, 16, limit)
    tiles = {}
    for y in (0, 1):
        for x in (0, 1):
            window = (slice(16 * y, 16 * y + 17), slice(16 * x, 16 * x + 17))
            tiles[x, y] = mesh_of(active[window], heights[window])
    for a, b, side, other in (((0, 0), (1, 0), "east", "west"), ((0, 0), (0, 1), "north", "south")):
        one, two = tiles[a], tiles[b]
        along = 1 if side == "east" else 0
        left = one.geodetic()[one.edge(side)][:, [along, 2]]
        right = two.geodetic()[two.edge(other)][:, [along, 2]]
        np.testing.assert_array_equal(left, right)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), limit=st.floats(0.05, 30.0))
def test_the_surface_is_the_triangles_at_every_post(seed, limit):
    heights = np.random.default_rng(seed).normal(size=(17, 17)) * 10.0
    active = active_of(heights, 16, limit)
    shown = triangulate.surface(heights, active, 16)
    for corners in triangulate.triangles(active):
        (r0, c0), (r1, c1), (r2, c2) = corners
        z0, z1, z2 = (heights[r, c] for r, c in corners)
        area = (r1 - r0) * (c2 - c0) - (c1 - c0) * (r2 - r0)
        for r in range(corners[:, 0].min(), corners[:, 0].max() + 1):
            for c in range(corners[:, 1].min(), corners[:, 1].max() + 1):
                s = ((r - r0) * (c2 - c0) - (c - c0) * (r2 - r0)) / area
                t = ((r1 - r0) * (c - c0) - (c1 - c0) * (r - r0)) / area
                if s >= 0 and t >= 0 and s + t <= 1:
                    assert shown[r, c] == pytest.approx(z0 + s * (z1 - z0) + t * (z2 - z0), abs=1e-9)


def test_flat_land_is_two_triangles():
    heights = np.full((129, 129), 1040.0)
    assert len(triangulate.triangles(active_of(heights, 128, 0.25))) == 2


def test_a_lone_peak_is_kept_and_costs_little():
    heights = np.zeros((65, 65))
    heights[21, 38] = 30.0
    active = active_of(heights, 64, 0.5)
    shown = triangulate.surface(heights, active, 64)
    assert shown[21, 38] == 30.0
    assert len(triangulate.triangles(active)) < 120


def test_wide_chords_are_bent_with_the_earth():
    flat = np.zeros((65, 65))
    assert (triangulate.errors(flat, 64, 100_000.0) > 1000.0).any()


@given(low=st.integers(0, 200_000), span=st.integers(0, 32_000))
def test_heights_decode_to_the_global_step_exactly(low, span):
    step = 1 / 32
    bottom, top, factor = qm.height_span(low * step, (low + span) * step, step)
    assert float(np.float32(bottom)) == bottom
    assert float(np.float32(top)) == top
    k = np.array([0, span // 2, span])
    stored = k * factor
    assert stored.max() <= qm.FULL
    np.testing.assert_array_equal(bottom + (top - bottom) * (stored / qm.FULL), (low + k) * step)


def test_a_tile_is_not_much_taller_than_its_land():
    low, high, _ = qm.height_span(1000.0, 1020.0, 1 / 32)
    assert high - low <= 40.0


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda v: np.linalg.norm(v) > 0.1))
def test_normals_survive_two_bytes(vector):
    unit = np.array([vector]) / np.linalg.norm(vector)
    assert qm.oct_decode(qm.oct_encode(unit))[0] @ unit[0] > 0.999


def test_the_occlusion_point_hides_only_what_the_horizon_hides():
    points = ecef_from_geodetic([[113.2, 40.0, 1000.0], [113.4, 40.0, 1200.0], [113.3, 40.2, 1100.0]])
    center = ecef_from_geodetic([[113.3, 40.1, 1100.0]])[0]
    point = qm.occlusion_point(center, points)
    assert 1.0001 < np.linalg.norm(point) < 1.001


@pytest.mark.parametrize("size", [0, 40, 95, 200])
def test_cut_tiles_are_refused(size):
    heights = np.random.default_rng(1).normal(size=(17, 17)) * 10
    data = qm.encode(mesh_of(active_of(heights, 16, 0.5), heights))
    with pytest.raises(SourceError, match=r"do not hold a quantized mesh|runs over|leaves"):
        qm.decode(data[:size], BOUNDS, "x")
