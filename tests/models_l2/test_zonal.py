from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely import Polygon, box

from twin.analysis.heights import (
    cells_inside,
    group_percentiles,
    outline_range,
    outline_segments,
    points_inside,
    raster_percentiles,
    samples_inside,
    surface_at,
    surface_medians,
    zonal_percentiles,
)
from twin.frames import Frame
from twin.grid import GeoBox, Raster

FRAME = Frame("EPSG:4547")
BOX = GeoBox.from_bounds((0.0, 0.0, 40.0, 30.0), 1.0, FRAME)


def odd_shapes(seed: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 11)[:-1]
    shapes = [
        Polygon(np.column_stack([x + r * np.cos(angle), y + r * np.sin(angle)]))
        for x, y, r in zip(rng.uniform(-3, 43, 25), rng.uniform(-3, 33, 25), rng.uniform(0.2, 7, 25), strict=True)
    ]
    shapes.append(box(5, 5, 20, 20).difference(box(8, 8, 12, 12)))
    shapes.append(shapely.MultiPolygon([box(0, 0, 3, 3), box(30, 20, 38, 29)]))
    array = np.empty(len(shapes), dtype=object)
    array[:] = shapes
    return array


def test_cells_are_those_whose_centre_lies_inside_holes_and_parts_included():
    shapes = odd_shapes()
    owner, row, col = cells_inside(shapes, BOX)
    x, y = np.meshgrid(*BOX.centers())
    for k, shape in enumerate(shapes):
        wanted = shapely.contains_xy(shape, x, y)
        found = np.zeros(BOX.shape, bool)
        found[row[owner == k], col[owner == k]] = True
        assert np.array_equal(found, wanted)
        assert (owner == k).sum() == wanted.sum()


def test_neighbours_that_share_a_wall_share_no_cell_and_leave_none_out():
    halves = np.array([box(0, 0, 10.5, 30), box(10.5, 0, 40, 30)], dtype=object)
    owner, row, col = cells_inside(halves, BOX)
    assert len(np.unique(row * 40 + col)) == len(owner) == 1200


def test_small_polygons_are_asked_on_a_finer_grid_and_none_is_forgotten():
    tiny = np.array([box(3.1, 3.1, 3.3, 3.3), box(3.1, 3.1, 5.0, 5.0), box(0, 0, 9, 9), Polygon()], dtype=object)
    samples = samples_inside(tiny, BOX)
    counts = np.bincount(samples.owner, minlength=4)
    assert counts[0] >= 1
    assert counts[1] > 50
    assert counts[2] == 81
    assert counts[3] == 0
    assert shapely.dwithin(tiny[samples.owner], shapely.points(samples.xy), 1e-9).all()


def test_group_percentiles_are_those_of_numpy_and_unknown_values_do_not_count():
    rng = np.random.default_rng(1)
    values, owner = rng.normal(size=500), rng.integers(0, 20, 500)
    values[::7] = np.nan
    found, counts = group_percentiles(values, owner, 21, [0, 10, 50, 90, 100])
    for k in range(20):
        known = values[(owner == k) & np.isfinite(values)]
        assert found[k] == pytest.approx(np.percentile(known, [0, 10, 50, 90, 100]))
        assert counts[k] == len(known)
    assert np.isnan(found[20]).all()


def test_raster_percentiles_see_only_the_cells_inside():
    values = np.zeros(BOX.shape)
    values[:, 20:] = 8.0
    found, counts = raster_percentiles(
        np.array([box(0, 0, 20, 30), box(20, 0, 40, 30), box(100, 100, 110, 110)], dtype=object),
        Raster(values, BOX),
        [50],
    )
    assert found[:2, 0].tolist() == [0.0, 8.0]
    assert np.isnan(found[2, 0])
    assert counts.tolist() == [600, 600, 0]


def test_points_are_found_inside_their_polygons():
    rng = np.random.default_rng(2)
    xy, shapes = rng.uniform(0, 40, (3000, 2)), odd_shapes()
    owner, point = points_inside(xy, shapes)
    for k, shape in enumerate(shapes):
        wanted = np.flatnonzero(shapely.contains_xy(shape, xy))
        assert point[owner == k].tolist() == wanted.tolist()


def test_the_range_along_an_outline_is_exact_between_vertices_too():
    rng = np.random.default_rng(3)
    raster, shapes = Raster(rng.normal(size=BOX.shape), BOX), odd_shapes()
    low, high = outline_range(outline_segments(shapes), raster, len(shapes))
    for k, shape in enumerate(shapes):
        dense = shapely.get_coordinates(shapely.segmentize(shapely.boundary(shape), 0.002))
        along = surface_at(raster, dense)
        assert low[k] <= along.min() + 1e-9
        assert high[k] >= along.max() - 1e-9
        assert low[k] == pytest.approx(along.min(), abs=0.01)
        assert high[k] == pytest.approx(along.max(), abs=0.01)


@pytest.mark.parametrize("cell", [0.5, 1.0, 4.0])
def test_medians_of_a_surface_are_those_of_its_samples_to_the_last_digit(cell):
    shapes, box_ = odd_shapes(), GeoBox.from_bounds((0.0, 0.0, 40.0, 30.0), cell, FRAME)
    values = np.random.default_rng(5).normal(1040.0, 8.0, box_.shape)
    wanted, _ = zonal_percentiles(shapes, box_, lambda xy: surface_at(Raster(values, box_), xy), [50.0])
    tiny = np.array([Polygon(), box(3.1, 3.1, 3.3, 3.3), box(-9, -9, -8, -8)], dtype=object)
    np.testing.assert_array_equal(surface_medians(shapes, Raster(values, box_)), wanted[:, 0])
    wanted, _ = zonal_percentiles(tiny, box_, lambda xy: surface_at(Raster(values, box_), xy), [50.0])
    np.testing.assert_array_equal(surface_medians(tiny, Raster(values, box_)), wanted[:, 0])
