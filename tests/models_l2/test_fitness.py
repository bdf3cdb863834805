"""How well a model fits its points, held against distances known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from models_l2.extrude import extrude
from models_l2.fitness import evenly, fit_rmse
from models_l2.footprints import from_polygons
from tests.tiny import FRAME
from twin.features import objects

SOUTH_WEST = np.array([439_000.0, 4_440_000.0])


def blocks(count: int):
    """Prisms of 10 x 10 m and 8 m height, 20 m apart."""
    x = SOUTH_WEST[0] + 20.0 * np.arange(count)
    shapes = shapely.box(x, SOUTH_WEST[1], x + 10.0, SOUTH_WEST[1] + 10.0)
    oid = objects([f"b{k}" for k in range(count)])
    return extrude(from_polygons(shapes, 0.001), np.zeros(count), np.full(count, 8.0), oid, FRAME)


def above(building: int, off: float, count: int = 50) -> np.ndarray:
    """Points in the middle of a roof, `off` m above and below it by turns."""
    rng = np.random.default_rng(building)
    xy = SOUTH_WEST + np.array([20.0 * building, 0.0]) + rng.uniform(3.0, 7.0, (count, 2))
    return np.column_stack([xy, 8.0 + off * (-1.0) ** np.arange(count)])


def test_the_figure_is_the_distance_of_the_points_and_unknown_where_there_are_none():
    seen = [(above(2, 0.3), np.full(50, 2)), (above(0, 0.1), np.full(50, 0))]
    found = fit_rmse(blocks(3), np.arange(3), seen, 3)
    assert found == pytest.approx([0.1, np.nan, 0.3], nan_ok=True)


def test_points_of_a_building_without_a_solid_are_asked_of_nobody():
    seen = [(np.concatenate([above(1, 5.0), above(2, 0.2)]), np.repeat([1, 2], 50))]
    found = fit_rmse(blocks(3).take([0, 2]), np.array([0, 2]), seen, 3)
    assert found == pytest.approx([np.nan, np.nan, 0.2], nan_ok=True)
    assert np.isnan(fit_rmse(blocks(1), np.array([0]), [], 1)).all()


def test_many_points_are_thinned_evenly_and_few_are_kept():
    owner = np.repeat([0, 1, 2], [1000, 7, 450])
    xyz = np.column_stack([np.arange(len(owner), dtype=float)] * 3)
    kept, who = evenly(xyz, owner, 200)
    assert np.bincount(who).tolist() == [200, 7, 200]
    assert (np.diff(kept[who == 0, 0]) == 5.0).all()
    assert np.diff(kept[who == 2, 0]).max() <= 3.0
