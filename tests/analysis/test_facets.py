"""Triangles of one plane become one polygon; nothing between neighbours is lost."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from models_l2.extrude import extrude
from models_l2.footprints import from_polygons
from tests.analysis.test_shells import CORNERS, CUBE, mesh
from tests.tiny import FRAME
from twin.analysis.facets import facets, welded
from twin.analysis.polygons import check_polygons
from twin.features import objects
from twin.meshes import Solids, concatenate


def merged(solids: Solids, label: np.ndarray | None = None):
    label = np.zeros(len(solids.faces), np.int64) if label is None else label
    return facets(solids, solids.vertices[solids.faces], label)


def block(shape: shapely.Polygon, oid: str = "a") -> Solids:
    shapes = objects([shapely.orient_polygons(shape)])
    return extrude(from_polygons(shapes, 0.001), np.array([10.0]), np.array([16.0]), objects([oid]), FRAME)


def sides(found) -> np.ndarray:
    """(k, 2) directed sides of all rings."""
    polygons = found.polygons
    after = np.concatenate(
        [np.roll(np.arange(a, b), -1) for a, b in zip(polygons.ring, polygons.ring[1:], strict=False)]
    )
    return np.column_stack([polygons.corner, polygons.corner[after]])


def test_a_cube_is_six_squares():
    found = merged(mesh(CORNERS, CUBE))
    assert np.diff(found.polygons.ring).tolist() == [4] * 6
    assert len(found.polygons) == 6
    assert not check_polygons(found.polygons).any()


def test_labels_part_what_lies_in_one_plane():
    label = np.zeros(12, np.int64)
    label[0] = 1
    assert len(merged(mesh(CORNERS, CUBE), label).polygons) == 7


def test_a_courtyard_is_a_hole_in_roof_and_ground():
    yard = shapely.Polygon(shapely.box(0, 0, 20, 20).exterior, [shapely.box(5, 5, 9, 9).exterior])
    found = merged(block(yard))
    assert sorted(np.diff(found.polygons.part).tolist()) == [1] * 8 + [2, 2]
    assert not check_polygons(found.polygons).any()


def test_a_courtyard_that_touches_the_outline_at_a_corner_stays_a_hole():
    yard = shapely.Polygon([(0, 0), (20, 0), (20, 20), (0, 20)], [[(0, 0), (4, 9), (9, 4)]])
    solids = block(yard)
    tight, kept = welded(solids, 0.001, np.zeros(3))
    found = facets(tight, solids.vertices[solids.faces[kept]], tight.surface.astype(np.int64))
    assert sorted(np.diff(found.polygons.part).tolist()) == [1] * 7 + [2, 2]
    assert not check_polygons(found.polygons).any()


def test_a_corner_on_a_straight_side_stays_in_both_neighbours():
    """The wall of a lower wing ends in the middle of a wall."""
    long = block(shapely.Polygon([(0, 0), (4, 0), (9, 0), (9, 5), (0, 5)]))
    found = merged(long)
    counts = np.bincount(found.polygons.corner)
    assert counts.max() >= 3
    assert _paired(sides(found))


def test_a_curved_roof_is_cut_into_faces_that_are_flat():
    angle = np.linspace(0.0, np.pi, 25)
    arch = np.column_stack([5.0 * np.cos(angle), np.zeros(25), 5.0 * np.sin(angle)])
    points = np.concatenate([arch, arch + np.array([0.0, 8.0, 0.0])])
    k = np.arange(24)
    faces = np.concatenate([np.column_stack([k, k + 1, k + 26]), np.column_stack([k, k + 26, k + 25])])
    found = merged(mesh(points, faces))
    assert len(found.polygons) == 24
    assert not check_polygons(found.polygons).any()


def test_corners_that_become_one_on_the_grid_take_their_faces_with_them():
    near = np.concatenate([CORNERS, [[2.0, 2.0, 2.0002]]])
    faces = np.concatenate([np.where(CUBE == 7, 8, CUBE)[:4], CUBE[4:], [[7, 8, 5]]])
    tight, kept = welded(mesh(near, faces), 0.001, np.zeros(3))
    assert len(tight.vertices) == 8
    assert kept.tolist() == list(range(12))
    assert (tight.vertices == np.rint(tight.vertices)).all()


def _paired(found: np.ndarray) -> bool:
    forward = {tuple(side) for side in found.tolist()}
    return len(forward) == len(found) and all((b, a) in forward for a, b in forward)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_polygons_of_closed_solids_are_closed_and_have_their_volume(data):
    parts = []
    for k in range(data.draw(st.integers(1, 3))):
        cells = data.draw(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=14))
        shape = shapely.union_all([shapely.box(3 * x, 3 * y, 3 * x + 3, 3 * y + 3) for x, y in cells])
        parts += [block(piece, f"{k}_{n}") for n, piece in enumerate(shapely.get_parts(shape)) if piece.is_valid]
    solids = concatenate(parts)
    found = merged(solids, solids.surface.astype(np.int64))
    assert _paired(sides(found))
    assert not check_polygons(found.polygons).any()
    assert (np.diff(found.polygons.owner) >= 0).all()
    assert _volumes(found, len(solids)) == pytest.approx(solids.volumes())


def _volumes(found, n: int) -> np.ndarray:
    """Divergence theorem over fans of every ring, holes counting against by their turn."""
    polygons, ends = found.polygons, sides(found)
    ring = polygons.corner_ring()
    base = polygons.vertices[polygons.corner[polygons.ring[ring]]] - polygons.vertices[0]
    a, b = (polygons.vertices[ends[:, k]] - polygons.vertices[0] for k in range(2))
    share = np.einsum("ij,ij->i", base, np.cross(a, b)) / 6.0
    return np.bincount(polygons.owner[polygons.ring_part()[ring]], weights=share, minlength=n)
