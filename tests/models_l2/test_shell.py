"""Footprints cut into roof faces, raised to closed solids."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from models_l2.shell import Partition, partition_of, raise_partition
from tests.tiny import FRAME
from twin.errors import GeometryError
from twin.meshes import Solids, Surface


def raised(faces: list, planes: list, owner: list | None = None, base: float = 0.0) -> Solids:
    owners = np.array(owner or [0] * len(faces))
    n = int(owners.max()) + 1
    shapes = np.array(faces, dtype=object)
    partition = partition_of(shapes, owners, np.array(planes, float), np.zeros((n, 2)))
    return raise_partition(partition, np.full(n, base), np.array([f"b{k}" for k in range(n)], object), FRAME, 22)


SOUTH = shapely.box(0, 0, 10, 3)
NORTH = shapely.box(0, 3, 10, 6)
GABLE = [(0.0, 1.0, 4.0), (0.0, -1.0, 10.0)]


def test_a_gable_is_closed_and_holds_prism_and_wedge():
    solids = raised([SOUTH, NORTH], GABLE)
    assert solids.is_closed().tolist() == [True]
    np.testing.assert_allclose(solids.volumes(), [10 * 6 * 4 + 10 * 6 * 3 / 2])
    assert solids.vertices[:, 2].max() == pytest.approx(7.0)
    assert len(solids.vertices) == 6 + 6
    assert solids.lod.tolist() == [22]


def test_a_step_between_two_levels_gets_one_wall_and_the_corners_of_both():
    low, high = shapely.box(0, 0, 4, 4), shapely.box(4, 0, 8, 4)
    solids = raised([low, high], [(0, 0, 3.0), (0, 0, 5.0)])
    assert solids.is_closed().all()
    np.testing.assert_allclose(solids.volumes(), [16 * 3 + 16 * 5])
    inner = solids.faces[(solids.surface == Surface.WALL) & (solids.vertices[solids.faces][:, :, 0] == 4).all(axis=1)]
    assert solids.vertices[inner][:, :, 2].min() == pytest.approx(3.0)


def test_planes_that_cross_along_their_edge_meet_in_a_new_vertex():
    left, right = shapely.box(0, 0, 4, 4), shapely.box(4, 0, 8, 4)
    solids = raised([left, right], [(0, 0.5, 3.0), (0, -0.5, 5.0)])
    assert solids.is_closed().all()
    assert ((solids.vertices == (4.0, 2.0, 4.0)).all(axis=1)).any()
    np.testing.assert_allclose(solids.volumes(), [16 * 4 + 16 * 4])


def test_a_courtyard_and_a_corner_on_a_long_edge_stay_closed():
    ring = shapely.difference(shapely.box(0, 0, 12, 12), shapely.box(4, 4, 8, 8))
    south = shapely.Polygon([(0, 0), (12, 0), (12, 4), (8, 4), (4, 4), (0, 4)])
    rest = shapely.Polygon([(0, 4), (4, 4), (4, 8), (8, 8), (8, 4), (12, 4), (12, 12), (0, 12)])
    solids = raised([south, rest], [(0, 0, 6.0), (0, 0, 9.0)])
    assert solids.is_closed().all()
    np.testing.assert_allclose(solids.volumes(), [48 * 6.0 + (ring.area - 48) * 9.0])


def test_buildings_in_one_batch_do_not_share_vertices_even_wall_to_wall():
    solids = raised([SOUTH, NORTH], [(0, 0, 4.0), (0, 0, 4.0)], owner=[0, 1], base=1.0)
    assert solids.is_closed().tolist() == [True, True]
    np.testing.assert_allclose(solids.volumes(), [90.0, 90.0])
    alone = raised([SOUTH], [(0, 0, 4.0)], base=1.0)
    together = solids.take([0])
    np.testing.assert_array_equal(together.vertices, alone.vertices)
    np.testing.assert_array_equal(together.faces, alone.faces)


def test_faces_that_do_not_meet_corner_to_corner_come_out_open():
    solids = raised([shapely.box(0, 0, 4, 4), shapely.box(4, 0, 8, 2)], [(0, 0, 3.0), (0, 0, 5.0)])
    assert solids.is_closed().tolist() == [False]


def test_heights_closer_than_the_planarity_tolerance_become_one():
    solids = raised([SOUTH, NORTH], [(0.0, 1.0, 4.0), (0.0, -1.0, 10.003)])
    assert solids.is_closed().all()
    assert len(solids.vertices) == 6 + 6


def test_planes_and_faces_must_be_as_many():
    rings = partition_of(np.array([SOUTH], object), np.zeros(1, int), np.zeros((1, 3)), np.zeros((1, 2))).rings
    with pytest.raises(GeometryError, match="1 faces"):
        Partition(rings, np.zeros((2, 3)), np.zeros((1, 2)))
