from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely import Polygon, box

from models_l2.footprints import (
    NO_AREA,
    OPENED,
    TOO_SMALL,
    FootprintOptions,
    clean,
    from_polygons,
    to_polygons,
)

OPTIONS = FootprintOptions()


def cleaned(*shapes: object) -> tuple[np.ndarray, list[str]]:
    array = np.empty(len(shapes), dtype=object)
    array[:] = shapes
    result, reason = clean(array, OPTIONS)
    return result, reason.tolist()


def test_a_good_outline_stays_as_it_is_and_needs_no_reason():
    shape = Polygon([(0, 0), (10, 0), (10, 5), (5, 5), (5, 10), (0, 10)])
    result, reason = cleaned(shape)
    assert result[0].equals(shape)
    assert reason == [""]


def test_collinear_and_repeated_vertices_and_spikes_go():
    ring = [(0, 0), (5, 0), (10, 0), (10, 0), (10, 10), (10, 20), (10, 10), (0, 10), (0, 0.0004)]
    result, _ = cleaned(Polygon(ring))
    assert result[0].equals(box(0, 0, 10, 10))
    assert len(shapely.get_coordinates(result[0])) == 5


def test_a_finely_divided_circle_is_thinned_and_not_lost():
    circle = shapely.Point(500_000.0, 4_430_000.0).buffer(10.0, quad_segs=3000)
    result, _ = cleaned(circle)
    assert 60 < len(shapely.get_coordinates(result[0])) < 1000
    assert shapely.hausdorff_distance(circle, result[0]) < 0.01


def test_a_bow_tie_becomes_two_parts_that_do_not_touch():
    result, reason = cleaned(Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]))
    assert result[0].geom_type == "MultiPolygon"
    assert reason == [OPENED]
    assert result[0].area == pytest.approx(50.0, rel=0.01)
    assert shapely.distance(*shapely.get_parts(result[0])) > 0.0


def test_a_courtyard_that_touches_the_outline_is_opened():
    shape = Polygon([(0, 0), (10, 0), (10, 10), (0, 10)], [[(0, 0), (3, 1), (1, 3)]])
    result, reason = cleaned(shape)
    assert reason == [OPENED]
    assert result[0].is_valid
    assert result[0].area == pytest.approx(shape.area, rel=0.01)


def test_nothing_empty_flat_tiny_or_unnumbered_survives_unnamed():
    flat = Polygon([(0, 0), (1, 0), (2, 0)])
    bent = shapely.LineString([(0, 0), (9, 0), (9, 9)])
    result, reason = cleaned(None, Polygon(), flat, bent, box(0, 0, 0.5, 0.5))
    assert shapely.is_empty(result).all()
    assert reason == [NO_AREA, NO_AREA, NO_AREA, NO_AREA, TOO_SMALL]


def test_rings_are_oriented_and_come_back_as_the_same_polygons():
    clockwise = Polygon([(0, 0), (0, 10), (10, 10), (10, 0)], [[(2, 2), (4, 2), (4, 4), (2, 4)]])
    two = shapely.MultiPolygon([box(20, 0, 25, 5), box(30, 0, 35, 5)])
    shapes = np.array([clockwise, Polygon(), two], dtype=object)
    rings = from_polygons(shapes, 0.001)
    assert (np.sign(rings.areas()) == [1, -1, 1, 1]).all()
    assert rings.owner.tolist() == [0, 0, 2, 2]
    assert rings.part.tolist()[:2] == [0, 0]
    assert shapely.equals(to_polygons(rings), shapes).all()
