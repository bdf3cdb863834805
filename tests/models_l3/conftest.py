"""A walled town of a few buildings on a slope, as L2 leaves it: made in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely

from twin.city import City, open_city
from twin.features import Layer
from twin.frames import Frame
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage

FRAME = Frame("EPSG:4547", "1985")


@pytest.fixture(scope="session")
def frame() -> Frame:
    return FRAME


@pytest.fixture(scope="session")
def centre() -> np.ndarray:
    """Middle of the walled town in the frame, m."""
    return FRAME.from_lonlat([[113.2953, 40.0923]])[0]


@pytest.fixture(scope="session")
def relief(centre: np.ndarray) -> Raster:
    """A 20 m grid over the walled town that falls towards the south-east, with a ripple."""
    box = GeoBox.from_bounds((*(centre - 1500.0), *(centre + 1500.0)), 20.0, FRAME)
    x, y = box.centers()
    z = 1045.0 - 0.003 * (x - centre[0])[None, :] + 0.002 * (y - centre[1])[:, None] + 0.3 * np.sin(x / 40.0)[None, :]
    return Raster(z.astype(np.float32), box)


def rectangle(x: float, y: float, w: float, d: float, turn: float = 0.0) -> shapely.Polygon:
    """A turned rectangle round a point."""
    u = np.array([[-w, -d], [w, -d], [w, d], [-w, d]]) / 2
    c, s = np.cos(turn), np.sin(turn)
    return shapely.Polygon(u @ np.array([[c, s], [-s, c]]) + [x, y])


@pytest.fixture(scope="session")
def plan() -> Callable[..., shapely.Polygon]:
    return rectangle


@pytest.fixture(scope="session")
def city_with(tmp_path_factory: pytest.TempPathFactory, relief: Raster) -> Callable[..., City]:
    """Opens a city whose store holds the relief and a layer building_l2 of the given footprints and columns."""

    def make(geometry: list[shapely.Polygon], **columns: object) -> City:
        root: Path = tmp_path_factory.mktemp("city")
        (root / "city.toml").write_text('[frame]\ncrs = "EPSG:4547"\nvertical = "1985"\n', encoding="utf-8")
        city = open_city(root)
        oid = [f"b{k:04d}" for k in range(len(geometry))]
        table = {"height_m": np.full(len(geometry), np.nan), **columns}
        city.store.write_layer("building_l2", Layer.build("building", FRAME, oid, geometry, table), Lineage("test"))
        city.store.write_raster("relief", relief, Lineage("test"))
        return city

    return make
