"""A valley town in code: a river, two hundred buildings, streets, people, facilities."""

import numpy as np
import pytest
import shapely

from twin.features import Layer
from twin.frames import Frame
from twin.grid import GeoBox, Raster
from twin.hazards import Scene
from twin.risk.scene import ZoneOptions, ZoneScene, make_scene
from twin.risk.tables import load_tables

FRAME = Frame("EPSG:4547", "1985")
SIDE = 1200.0


def relief() -> Raster:
    """1.2 x 1.2 km falling to a river at x = 600 m, with a bowl in the west; 10 m cells."""
    box = GeoBox.from_bounds((0.0, 0.0, SIDE, SIDE), 10.0, FRAME)
    x, y = np.meshgrid(*box.centers())
    z = 1000.0 + 0.015 * np.abs(x - 600.0) + 0.002 * y
    z -= 2.0 * np.exp(-((x - 150.0) ** 2 + (y - 600.0) ** 2) / 60.0**2)
    return Raster(z.astype(np.float32), box)


def buildings(n: int = 200) -> Layer:
    """Buildings on a lattice; a listed timber hall by the river, one off the relief, one in the bowl."""
    rng = np.random.default_rng(3)
    x, y = rng.uniform(20.0, SIDE - 40.0, (2, n))
    x = np.where(np.abs(x - 600.0) < 25.0, x + 60.0, x)
    x[:3], y[[0, 2]] = (640.0, SIDE + 500.0, 145.0), (600.0, 595.0)
    geometry = shapely.box(x, y, x + 15.0, y + 10.0)
    structure = rng.choice(["masonry", "rc", "adobe", ""], n).astype(object)
    structure[0] = "timber"
    columns = {
        "name": ["河神庙", *[""] * (n - 1)],
        "function": ["heritage", *rng.choice(["residential", "office", "odd"], n - 1).tolist()],
        "heritage": ["temple", *[""] * (n - 1)],
        "structure": structure,
        "storeys": np.where(rng.random(n) < 0.8, rng.integers(1, 9, n), np.nan),
        "height_m": np.full(n, 9.0),
        "year_built": np.where(rng.random(n) < 0.5, rng.integers(1950, 2020, n), np.nan),
    }
    return Layer.build("building", FRAME, [f"b{k:03d}" for k in range(n)][::-1], geometry, columns)


def layers() -> dict[str, Layer]:
    """Everything the zoning can use."""
    river = shapely.LineString([(600.0, SIDE - 5.0), (600.0, 5.0)])
    roads = [shapely.LineString([(5.0, v), (SIDE - 5.0, v)]) for v in (200.0, 600.0, 1000.0)]
    halves = [shapely.box(0, 0, 600, SIDE), shapely.box(600, 0, SIDE, SIDE)]
    return {
        "building_l2": buildings(),
        "river": Layer.build("river", FRAME, ["v"], [river], {"width": [20.0]}),
        "road": Layer.build("road", FRAME, ["r1", "r2", "r3"], roads, {"road_class": ["primary", "lane", "odd"]}),
        "population": Layer.build(
            "population", FRAME, ["c1", "c2"], halves, {"people_day": [900.0, 400.0], "people_night": [700.0, 800.0]}
        ),
        "facility": Layer.build(
            "facility",
            FRAME,
            ["f1", "f2", "f3"],
            shapely.points([[100.0, 100.0], [300.0, 900.0], [700.0, 600.0]]),
            {"kind": ["shelter", "fire_station", "pump"]},
        ),
        "hazard_site": Layer.build(
            "hazard_site", FRAME, ["h1"], [shapely.Point(150.0, 600.0)], {"kind": ["hidden_danger"]}
        ),
    }


def scene_of(names: tuple[str, ...] = (), options: ZoneOptions | None = None) -> ZoneScene:
    """The valley's zoning scene without the layers `names`."""
    kept = {name: layer for name, layer in layers().items() if name not in names}
    return make_scene(Scene(relief(), kept), options or ZoneOptions(), load_tables())[0]


@pytest.fixture(scope="session")
def valley() -> ZoneScene:
    """The valley with everything."""
    return scene_of()
