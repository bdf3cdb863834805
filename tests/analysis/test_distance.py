"""Distances from surfaces of triangles."""

from __future__ import annotations

import numpy as np
import pytest

from twin.analysis.distance import distance_to_triangles

TRIANGLE = np.array([[[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]]])


@pytest.mark.parametrize(
    ("point", "distance"),
    [((1, 1, 3), 3.0), ((-3, 0, 4), 5.0), ((2, -2, 0), 2.0), ((4, 4, 0), np.sqrt(8.0)), ((1, 1, 0), 0.0)],
    ids=["above the face", "off a corner", "off an edge", "off the long edge", "on it"],
)
def test_the_nearest_place_may_be_in_the_face_on_an_edge_or_at_a_corner(point, distance):
    zero = np.zeros(1, np.int64)
    found = distance_to_triangles(np.array([point], float), zero, TRIANGLE, zero)
    assert found[0] == pytest.approx(distance)


def test_points_see_only_triangles_of_their_own_owner():
    triangles = np.concatenate([TRIANGLE, TRIANGLE + np.array([0.0, 0.0, 10.0])])
    points = np.array([[1.0, 1.0, 9.0], [1.0, 1.0, 9.0], [1.0, 1.0, 9.0]])
    found = distance_to_triangles(points, np.array([0, 1, 2]), triangles, np.array([0, 1]))
    np.testing.assert_allclose(found, [9.0, 1.0, np.inf])


def test_a_triangle_without_area_is_its_longest_edge():
    flat = np.array([[[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [2.0, 0.0, 0.0]]])
    zero = np.zeros(1, np.int64)
    assert distance_to_triangles(np.array([[3.0, 0.0, 2.0]]), zero, flat, zero)[0] == pytest.approx(2.0)
