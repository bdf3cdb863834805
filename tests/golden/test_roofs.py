"""Roofs whose volume is known in closed form. Tolerance: the millimetre grid of the outlines."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely

from models_l2.footprints import from_polygons
from models_l2.roofs import ROOFS, RoofBatch, TypeOptions, build_roofs
from models_l2.shell import raise_partition
from models_l2.validity import check
from twin.frames import Frame

SQUARE = shapely.box(0, 0, 10, 10)
LONG = shapely.box(0, 0, 20, 10)
ELL = shapely.Polygon([(0, 0), (20, 0), (20, 8), (8, 8), (8, 20), (0, 20)])
TEE = shapely.Polygon([(0, 0), (30, 0), (30, 10), (20, 10), (20, 30), (10, 30), (10, 10), (0, 10)])
COURT = shapely.Polygon(shapely.box(0, 0, 30, 30).exterior, [shapely.box(10, 10, 20, 20).exterior])
# Above the eaves at a slope of 45 degrees, so that height equals distance. `faces` counts those of the roof.
#   hip on a square of side a: pyramid, a^3 / 6
#   hip on a rectangle a x b: b^2 (3 a - b) / 12; gable: a b^2 / 4
#   L of two wings 8 wide: outer arms 20; the hip loses b^3 / 12 at each of two ends against the gable
#   courtyard 10 wide all around: square frustum ring, 4 x (30 + 10) / 2 x 10 x 5 / 2
GOLDEN = [
    ("hipped", SQUARE, 1000.0 / 6.0, 5.0, 4),
    ("pyramidal", SQUARE, 1000.0 / 6.0, 5.0, 4),
    ("gabled", SQUARE, 250.0, 5.0, 2),
    ("shed", SQUARE, 500.0, 10.0, 1),
    ("hipped", LONG, 100.0 * 50.0 / 12.0, 5.0, 4),
    ("gabled", LONG, 500.0, 5.0, 2),
    ("half_hipped", LONG, 500.0 - 2.0 * 10.0 * 2.5 / 2.0 * 2.5 / 6.0, 5.0, 4),
    ("hip_and_gable", LONG, 100.0 * 50.0 / 12.0 + 2.0 * 5.0 * 2.5 / 2.0 * 2.5 / 3.0, 5.0, 4),
    ("hipped", ELL, 512.0 - 2.0 * 8.0**3 / 24.0, 4.0, 6),
    ("gabled", ELL, 512.0, 4.0, 4),
    ("hipped", TEE, 3500.0 / 3.0, 5.0, 8),
    ("hipped", COURT, 2000.0, 5.0, 8),
    ("mansard", COURT, 20.0 * 4.0 * (1.5 * 3.0 / 2.0 + 3.5 * (3.0 + 5.0) / 2.0) * 2.0, 5.0, 16),
    ("flat", COURT, 0.0, 0.0, 1),
]


@pytest.mark.parametrize(("name", "shape", "volume", "rise", "faces"), GOLDEN)
@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_roofs_of_known_volume(name, shape, volume, rise, faces, turn):
    c, s = math.cos(turn), math.sin(turn)
    placed = shapely.transform(shape, lambda xy: xy @ np.array([[c, s], [-s, c]]) + [500_000.0, 4_430_000.0])
    rings = from_polygons(np.array([placed], dtype=object), 0.001)
    batch = RoofBatch(rings, *(np.array([v]) for v in (2.0, 3.0, math.nan, 45.0, math.nan)))
    found = build_roofs(batch, np.array([name], dtype=object), ROOFS, TypeOptions(), 0.001)
    assert found.built.tolist() == [name]
    assert len(found.partition.plane) == faces
    solids = raise_partition(found.partition, np.zeros(1), np.array(["b"], dtype=object), Frame("EPSG:4547"), 22)
    assert check(solids).tolist() == [0]
    assert solids.volumes()[0] - 3.0 * shape.area == pytest.approx(volume, abs=0.5)
    assert solids.vertices[:, 2].max() - 3.0 == pytest.approx(rise, abs=0.01)
