"""`tiny_city()`: a slope, a river, a dozen buildings, two sensors; made in code in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

import twin
from twin import Datastream, Frame, GeoBox, Incident, Layer, Lineage, Raster, Thing

FRAME = Frame("EPSG:4547", "1985", -18.0, (439000.0, 4440000.0, 1040.0))
EAST, NORTH = 439000.0, 4440000.0
LINEAGE = Lineage("tiny city", "Apache-2.0", "2026-01-01", 0.1, ("made in code",))

TOML = """\
[city]
id = "tiny"
name = "小城"
name_en = "Tiny"
badge = "合成"
badge_en = "synthetic"

[frame]
crs = "EPSG:4547"
vertical = "1985"
geoid_undulation = -18.0
origin = [439000.0, 4440000.0, 1040.0]
"""


def relief() -> Raster:
    """400 x 400 m falling east to a channel at x = 300 m, 5 m cells."""
    box = GeoBox.from_bounds((EAST, NORTH, EAST + 400.0, NORTH + 400.0), 5.0, FRAME)
    x, y = box.centers()
    z = 1040.0 + 0.02 * np.abs(x - EAST - 300.0)[None, :] + 0.005 * (y - NORTH)[:, None]
    return Raster(z.astype(np.float32), box)


def footprints() -> np.ndarray:
    """A dozen footprints: boxes in three rows, one L, one with a courtyard."""
    shapes = [
        shapely.box(EAST + 40 + 80 * i, NORTH + 40 + 100 * j, EAST + 60 + 80 * i, NORTH + 52 + 100 * j)
        for j in range(3)
        for i in range(4)
    ]
    x, y = EAST + 40, NORTH + 40
    shapes[0] = shapely.Polygon(
        [(x, y), (x + 30, y), (x + 30, y + 10), (x + 10, y + 10), (x + 10, y + 30), (x, y + 30)]
    )
    shapes[5] = shapely.difference(shapely.buffer(shapes[5], 10, join_style="mitre"), shapes[5])
    return np.array(shapes, dtype=object)


def buildings() -> Layer:
    """Twelve buildings with storeys; the first has a surveyed height, the last nothing."""
    n = 12
    height, storeys = np.full(n, np.nan), np.full(n, 3.0)
    height[0], storeys[-1] = 10.5, np.nan
    columns = {
        "name": ["鼓楼", *[""] * (n - 1)],
        "name_en": ["Drum tower", *[""] * (n - 1)],
        "function": ["heritage", *["residential"] * (n - 2), "unknown"],
        "storeys": storeys,
        "height": height,
    }
    return Layer.build("building", FRAME, [f"b{k:02d}" for k in range(n)], footprints(), columns)


def tiny_city(folder: Path, toml: str = TOML) -> twin.City:
    """The city in `folder`, with dem, buildings, a road, a river, two sensors and an incident in its store."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "city.toml").write_text(toml, encoding="utf-8")
    city = twin.open(folder)
    store = city.store
    store.write_raster("dem", relief(), LINEAGE)
    store.write_layer("building", buildings(), LINEAGE)
    road = shapely.LineString([(EAST + 10, NORTH + 80), (EAST + 390, NORTH + 80)])
    store.write_layer(
        "road", Layer.build("road", FRAME, ["r1"], [road], {"name": ["和阳街"], "road_class": ["primary"]}), LINEAGE
    )
    river = shapely.LineString([(EAST + 300, NORTH + 395), (EAST + 300, NORTH + 5)])
    store.write_layer(
        "river", Layer.build("river", FRAME, ["v1"], [river], {"name": ["御河"], "width": [8.0]}), LINEAGE
    )
    live(city)
    return city


def live(city: twin.City) -> None:
    """Two sensors with ten values each, one incident."""
    (lon, lat), (lon2, lat2) = FRAME.to_lonlat([[EAST + 300, NORTH + 100], [EAST + 50, NORTH + 50]])
    city.store.live.put_things(
        [
            Thing("t1", "御河水位站", "Yu River gauge", "river_gauge", lon, lat, 1040.0),
            Thing("t2", "鼓楼倾斜", "Drum tower tilt", "tilt", lon2, lat2, 1050.0, "b00"),
        ]
    )
    city.store.live.put_datastreams(
        [
            Datastream("t1.level", "t1", "water_level", "水位", "m", "water level", 0.0, 5.0, 2.0, 3.0),
            Datastream("t2.tilt", "t2", "tilt", "倾斜", "mm/m", "tilt", -5.0, 5.0, 1.0, 2.0),
        ]
    )
    start = 1_780_000_000.0
    times = start + 600.0 * np.arange(10)
    city.store.live.append(["t1.level"] * 10, times, np.linspace(1.0, 3.5, 10))
    city.store.live.append(["t2.tilt"] * 10, times, np.linspace(0.0, 0.9, 10))
    city.store.live.put_incidents(
        [Incident("i1", "flood", "路面积水", "Water on the road", lon, lat, start + 1200.0, "open", 2, "r1")]
    )
