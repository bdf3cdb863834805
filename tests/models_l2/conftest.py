"""A small city on disk: a slope, a handful of buildings, made in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twin.city import City, open_city
from twin.features import Layer
from twin.frames import Frame
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage

FRAME = Frame("EPSG:4547", "1985")
WEST, SOUTH = 500_000.0, 4_430_000.0


@pytest.fixture
def frame() -> Frame:
    return FRAME


@pytest.fixture
def slope() -> Raster:
    """A 10 m grid of 40 x 50 cells that falls 1 m in 10 towards the east, with a ripple along the north."""
    box = GeoBox.from_bounds((WEST, SOUTH, WEST + 500.0, SOUTH + 400.0), 10.0, FRAME)
    x, y = box.centers()
    z = 1040.0 - 0.1 * (x - WEST)[None, :] + np.sin(y / 23.0)[:, None]
    return Raster(z.astype(np.float32), box)


@pytest.fixture
def city_with(tmp_path: Path, slope: Raster) -> Callable[..., City]:
    """Opens a city in a new folder with the slope as DEM and the given footprints and columns as buildings."""

    def make(geometry: np.ndarray, name: str = "city", **columns: object) -> City:
        root = tmp_path / name
        root.mkdir()
        (root / "city.toml").write_text('[frame]\ncrs = "EPSG:4547"\nvertical = "1985"\n', encoding="utf-8")
        city = open_city(root)
        oid = [f"b{k:04d}" for k in range(len(geometry))]
        layer = Layer.build("building", FRAME, oid, geometry, columns)
        city.store.write_layer("building", layer, Lineage("test"))
        city.store.write_raster("dem", slope, Lineage("test"))
        return city

    return make
