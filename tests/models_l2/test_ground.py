from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from shapely import box

from models_l2.extrude import extrude
from models_l2.footprints import from_polygons
from models_l2.ground import extend, ground_gap, read_relief, stand
from twin.analysis.heights import surface_at
from twin.grid import Raster
from twin.lineage import Lineage
from twin.store.folder import FolderStore


def shapes_on(slope: Raster) -> np.ndarray:
    x, y = slope.geobox.bounds[:2]
    court = box(x + 100, y + 100, x + 160, y + 150).difference(box(x + 110, y + 110, x + 150, y + 140))
    return np.array([box(x + 33, y + 47, x + 58, y + 59), court, box(x + 301, y + 303, x + 303, y + 304)], dtype=object)


def test_no_outline_point_lies_below_its_base_and_the_lowest_one_touches_it(slope):
    shapes = shapes_on(slope)
    found = stand(from_polygons(shapes, 0.001), shapes, slope, extend(slope))
    for k, shape in enumerate(shapes):
        along = surface_at(slope, shapely.get_coordinates(shapely.segmentize(shapely.boundary(shape), 0.05)))
        assert along.min() >= found.base_z[k] - 1e-9
        assert along.min() == pytest.approx(found.base_z[k], abs=1e-3)
        assert found.base_z[k] <= found.ground_z[k] <= along.max()
    assert not found.extrapolated.any()


def test_the_gap_is_zero_by_construction_and_shows_who_floats_or_sinks(slope, frame):
    shapes = shapes_on(slope)
    rings = from_polygons(shapes, 0.001)
    base = stand(rings, shapes, slope, slope).base_z
    oid = np.array(["a", "b", "c"], dtype=object)
    shift = np.array([0.0, 0.7, -0.4])
    solids = extrude(rings, base + shift, base + 10.0, oid, frame)
    assert ground_gap(solids, slope) == pytest.approx(shift, abs=1e-9)


def test_a_building_outside_the_relief_stands_on_its_nearest_cell(slope):
    xmin, ymin, xmax, _ = slope.geobox.bounds
    shapes = np.array(
        [box(xmax + 50, ymin + 50, xmax + 60, ymin + 60), box(xmin - 5, ymin + 5, xmin + 5, ymin + 9)], object
    )
    found = stand(from_polygons(shapes, 0.001), shapes, slope, extend(slope))
    assert found.extrapolated.tolist() == [True, True]
    row = slope.geobox.window(shapes[0].bounds)[0]
    edge = slope.values[row.start - 1 : row.stop + 1, -1]
    assert edge.min() - 1e-6 <= found.base_z[0] <= edge.max() + 1e-6
    assert np.isfinite(found.ground_z).all()


def test_unknown_relief_takes_the_nearest_known_value(slope):
    values = slope.values.copy()
    values[:, :10] = np.nan
    filled = extend(replace(slope, values=values))
    assert np.array_equal(filled.values[:, :10], np.repeat(values[:, 10:11].astype(np.float64), 10, axis=1))
    shapes = shapes_on(slope)[:1]
    found = stand(from_polygons(shapes, 0.001), shapes, replace(slope, values=values), filled)
    assert found.extrapolated.tolist() == [True]


def test_ground_outside_what_is_known_does_not_depend_on_the_window(slope, tmp_path):
    values = slope.values.copy()
    values[:, :25] = np.nan
    store = FolderStore(tmp_path / "store", slope.geobox.frame)
    store.write_raster("relief", Raster(values, slope.geobox), Lineage("test"))
    x, y = slope.geobox.bounds[:2]
    place = [[x + 52.0, y + 201.0], [x + 260.0, y + 207.0], [x - 400.0, y + 210.0]]
    reaches = (30.0, 80.0, 300.0)
    for xy in place:
        windows = [read_relief(store, (xy[0] - r, xy[1] - r, xy[0] + r, xy[1] + r))[1] for r in reaches]
        found = [surface_at(window, [xy])[0] for window in windows]
        assert np.isfinite(found).all()
        assert found == pytest.approx([found[0]] * 3, abs=1e-6)
