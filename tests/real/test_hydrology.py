"""Drainage on the Rhine's published D8 grid."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from twin.analysis import hydrology
from twin.frames import Frame
from twin.grid import GeoBox, Raster

# Any metric frame will do: the grid is used by rows and columns only.
BOX = GeoBox((682, 997), Affine(1.0, 0.0, 0.0, 0.0, -1.0, 0.0), Frame("EPSG:25832"))


@pytest.fixture(scope="module")
def rhine(data: Path) -> tuple[hydrology.Drainage, Raster]:
    folder = data / "dem-misc"
    with (
        rasterio.open(folder / "pyflwdir_rhine_d8.tif") as codes,
        rasterio.open(folder / "pyflwdir_rhine_elv0.tif") as z,
    ):
        height = z.read(1).astype(np.float64)
        return hydrology.directions(codes.read(1), BOX), Raster(height, BOX, nodata=-9999.0)


def test_the_whole_rhine_drains_to_its_one_pit(rhine: tuple[hydrology.Drainage, Raster]) -> None:
    flow, _ = rhine
    cells = hydrology.accumulate(flow)
    assert np.isfinite(cells).sum() == 349_847
    assert cells[21, 57] == 349_847
    assert np.count_nonzero(flow.down == -1) == 1


def test_height_above_drainage_equals_pointer_jumping_on_every_cell(rhine: tuple[hydrology.Drainage, Raster]) -> None:
    flow, height = rhine
    channel = np.nan_to_num(hydrology.accumulate(flow)) > 1000
    hand = hydrology.height_above_drainage(height, flow, channel)
    here = np.arange(flow.down.size)
    jump = np.where(channel.ravel() | (flow.down < 0), here, flow.down)
    while not np.array_equal(jump, jump[jump]):
        jump = jump[jump]
    z = height.values.ravel()
    truth = np.where(channel.ravel()[jump] & (flow.down != -2), z - z[jump], np.nan)
    assert np.isfinite(hand.values).sum() == 349_847
    assert np.array_equal(hand.values.ravel(), truth, equal_nan=True)


def test_own_directions_drain_every_cell_of_the_rhine_off_the_map(rhine: tuple[hydrology.Drainage, Raster]) -> None:
    _, height = rhine
    flow, filled = hydrology.drainage(height)
    assert len(flow.order) == 349_847
    drop = filled.values.ravel()[flow.order] - filled.values.ravel()[flow.down[flow.order]]
    assert (drop[flow.down[flow.order] >= 0] >= 0.0).all()
