"""Rings as flat arrays are those that shapely takes out one by one."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from twin.analysis.flat import flat_rings

SQUARE = shapely.box(0, 0, 4, 4)
HOLED = SQUARE.difference(shapely.box(1, 1, 2, 2))
TWO = shapely.MultiPolygon([HOLED, shapely.box(9, 0, 10, 1)])
MIXED = shapely.GeometryCollection([shapely.LineString([(0, 0), (1, 1)]), SQUARE])
EMPTY, LINE = shapely.Polygon(), shapely.LineString([(0, 0), (7, 7)])


@pytest.mark.parametrize(
    "shapes",
    [
        [],
        [SQUARE, EMPTY, SQUARE],
        [HOLED, TWO],
        [TWO, SQUARE, EMPTY, HOLED, None, LINE, SQUARE, MIXED, SQUARE],
        [LINE, EMPTY],
    ],
)
def test_they_are_those_that_shapely_takes_out(shapes):
    geometry = np.empty(len(shapes), dtype=object)
    geometry[:] = shapes
    parts, owner = shapely.get_parts(geometry, return_index=True)
    polygons = shapely.get_type_id(parts) == 3
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    found = flat_rings(geometry)
    assert found.xy.tolist() == xy.tolist()
    assert found.ring.tolist() == ring.tolist()
    assert found.owner[found.part].tolist() == owner[part].tolist()
    assert (np.diff(found.part) > 0).tolist() == (np.diff(part) > 0).tolist()
    assert polygons.sum() >= len(set(found.part.tolist()))
