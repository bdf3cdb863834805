"""Drainage against answers worked out by hand."""

import numpy as np
import pytest
from affine import Affine

from twin.analysis import hydrology
from twin.frames import Frame
from twin.grid import GeoBox, Raster

FRAME = Frame("EPSG:4547", "1985")


def grid(z: np.ndarray, cell: float = 10.0) -> Raster:
    return Raster(z, GeoBox(z.shape, Affine(cell, 0.0, 500_000.0, 0.0, -cell, 4_440_000.0), FRAME))


@pytest.fixture(scope="module")
def valley() -> Raster:
    x, y = np.meshgrid(np.arange(-200, 201) * 10.0, np.arange(301) * 10.0)
    return grid(1040.0 + 0.02 * np.abs(x) + 0.001 * y)


def test_height_above_drainage_of_a_v_valley_is_the_height_of_its_flank(valley: Raster) -> None:
    flow, filled = hydrology.drainage(valley)
    channel = np.zeros(valley.geobox.shape, dtype=bool)
    channel[:, 200] = True
    hand = hydrology.height_above_drainage(valley, flow, channel)
    truth = np.broadcast_to(0.02 * np.abs(np.arange(-200, 201)) * 10.0, hand.values.shape)
    assert np.abs(hand.values - truth).max() < 1e-5
    assert np.array_equal(filled.values, valley.values)


def test_all_water_of_a_v_valley_leaves_by_the_foot_of_its_channel(valley: Raster) -> None:
    flow, _ = hydrology.drainage(valley)
    area = hydrology.accumulate(flow)
    assert area[0, 200] == area.size == 301 * 401
    assert area[300, 200] == 401


def test_cells_that_leave_the_map_before_a_channel_have_no_height_above_drainage() -> None:
    x, _ = np.meshgrid(np.arange(21), np.arange(11))
    ridge = grid(100.0 - np.abs(x - 10.0))
    channel = np.zeros(ridge.geobox.shape, dtype=bool)
    channel[:, 20] = True
    flow, _ = hydrology.drainage(ridge)
    hand = hydrology.height_above_drainage(ridge, flow, channel)
    assert np.isnan(hand.values[:, :10]).all()
    assert np.array_equal(hand.values[5, 11:], 9.0 - np.arange(10))


def test_a_bowl_fills_to_its_lip_and_spills_what_is_left() -> None:
    z = np.full((9, 9), 10.0)
    z[2:7, 2:7] = 9.0
    z[4, 4] = 8.0
    terrain = grid(z)
    flow, filled = hydrology.drainage(terrain)
    found = hydrology.pools(terrain, filled, flow, np.zeros(z.shape, bool))
    assert len(found) == 1
    assert found.spill[0] == 10.0
    assert found.capacity[0] == pytest.approx((24 * 1.0 + 2.0) * 100.0)
    half = hydrology.fill_pools(found, np.array([100.0]))
    assert half.level[0] == pytest.approx(9.0)
    more = hydrology.fill_pools(found, np.array([100.0 + 25 * 50.0]))
    assert more.level[0] == pytest.approx(9.5)
    over = hydrology.fill_pools(found, np.array([5000.0]))
    assert over.level[0] == pytest.approx(10.0)
    assert over.stored[0] + over.spilled == pytest.approx(5000.0, abs=1e-9)


def test_the_surplus_of_an_upper_pool_runs_into_the_lower_one() -> None:
    z = np.tile(np.linspace(30.0, 10.0, 21), (5, 1))
    z[[0, -1]] += 50.0
    z[2, 5], z[2, 15] = z[2, 5] - 3.0, z[2, 15] - 3.0
    terrain = grid(z)
    flow, filled = hydrology.drainage(terrain)
    found = hydrology.pools(terrain, filled, flow, np.zeros(z.shape, bool))
    upper, lower = np.argsort(-found.spill)
    assert found.next_pool[upper] == lower
    assert found.next_pool[lower] == -1
    inflow = np.zeros(2)
    inflow[upper] = found.capacity[upper] + 7.0
    after = hydrology.fill_pools(found, inflow)
    assert after.stored[lower] == pytest.approx(7.0)
    assert after.spilled == 0.0
