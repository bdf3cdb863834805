"""A small city made in code: four buildings, two roads, one gauge, one day."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely

from server.app import create_app
from server.settings import ServerSettings
from twin.city import open_city
from twin.features import Layer
from twin.lineage import Lineage
from twin.live import Datastream, Incident, Thing

CITY = """
[city]
id = "small"
name = "小城"
name_en = "Small Town"
badge = "合成数据"
badge_en = "Synthetic"

[frame]
crs = "EPSG:4547"
vertical = "1985"
geoid_undulation = -12.5

[view]
lon = 113.30
lat = 40.09
time = "2026-06-21T18:30:00+08:00"
"""

MIDNIGHT = 1_782_000_000.0 - 8 * 3600.0  # 2026-06-21 00:00 at UTC+8
LINEAGE = Lineage("made in code", "CC0", "2026", 0.5, attribution="Small Town survey")
LONLAT = [(113.30, 40.09), (113.301, 40.09), (113.302, 40.09), (113.31, 40.10)]
SETTINGS = ServerSettings(heartbeat=0.05, replay_from="12:00")


class ManualClock:
    """A monotonic clock that moves when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def buildings(frame) -> Layer:
    corners = frame.from_lonlat(LONLAT)
    boxes = [shapely.box(x, y, x + 20.0, y + 10.0) for x, y in corners]
    columns = {
        "name": ["鼓楼", "善化寺", "", "平城小学"],
        "name_en": ["Drum Tower", "Shanhua Temple", "", "Pingcheng Primary School"],
        "function": ["heritage", "religious", "residential", "education"],
        "storeys": [3.0, 2.0, 6.0, np.nan],
        "height_m": [20.0, 18.5, 19.2, 9.0],
        "height_evidence": ["surveyed", "dsm", "storeys", "default"],
        "attributes": ['{"style": "明"}', "", "", "not json"],
    }
    return Layer.build("building", frame, ["b1", "b2", "b3", "b4"], boxes, columns)


def zones(frame) -> Layer:
    made = buildings(frame)
    drivers = json.dumps([{"key": "depth", "zh": "水深", "en": "depth", "phi": 0.4}], ensure_ascii=False)
    return Layer.build(
        "building",
        frame,
        made.oid[:3],
        made.geometry[:3],
        {
            "level": [5.0, 2.0, np.nan],
            "score": [0.9, 0.3, np.nan],
            **{f"p{k}": [0.2, 0.2, np.nan] for k in range(1, 6)},
            "drivers": [drivers, "", ""],
            "quality": ["A", "B", "C"],
            "depth_m": [1.2, 0.1, 0.0],
            "method": ["HAND x exposure x vulnerability"] * 3,
        },
    )


def write_layers(store, frame) -> None:
    x, y = frame.from_lonlat([LONLAT[0]])[0]
    store.write_layer("building_l2", buildings(frame), LINEAGE)
    store.write_layer("zone_flood_building", zones(frame), LINEAGE)
    roads = [shapely.LineString([(x + 40 * k, y - 50), (x + 40 * k + 30, y + 200)]) for k in range(30)]
    names = {"name": [f"路{k}" for k in range(30)], "road_class": ["lane"] * 29 + ["primary"], "width": [4.0] * 30}
    store.write_layer("road", Layer.build("road", frame, [f"r{k:02d}" for k in range(30)], roads, names), LINEAGE)
    street = Layer.build(
        "road", frame, ["r00@0", "r00@1"], roads[:2], {"level": [3.0, 4.0], "road_oid": ["r00", "r00"]}
    )
    store.write_layer("zone_flood_street", street, LINEAGE)
    addresses = {"text": ["大同市平城区鼓楼东街1号", "大同市平城区永泰街9号"], "building_oid": ["b3", ""]}
    points = [shapely.Point(x + 5, y + 5), shapely.Point(x + 500, y + 5)]
    store.write_layer("address", Layer.build("address", frame, ["a1", "a2"], points, addresses), LINEAGE)


def write_live(live) -> None:
    live.put_things([Thing("t1", "御河站", "Yu River gauge", "gauge", 113.33, 40.09, 1040.0, "b1")])
    live.put_datastreams(
        [
            Datastream("s1", "t1", "water_level", "水位", "m", "Water level", 0.0, 8.0, 3.0, 5.0),
            Datastream("s2", "t1", "rain", "雨量", "mm/h", "Rain", 0.0, 200.0),
        ]
    )
    hours = np.arange(24.0)
    live.append(["s1"] * 24, MIDNIGHT + hours * 3600.0, hours / 4.0)
    live.append(["s2"] * 24, MIDNIGHT + hours * 3600.0 + 600.0, hours)
    live.put_incidents(
        [
            Incident("i1", "flood", "积水", "Flooding", 113.3, 40.09, MIDNIGHT + 13 * 3600.0 + 60.0, "open", 2, "b1"),
            Incident("i2", "fire", "火情", "Fire", 113.3, 40.09, MIDNIGHT + 3 * 3600.0, "closed", 1),
        ]
    )


@pytest.fixture(scope="session")
def small_city(tmp_path_factory):
    root = tmp_path_factory.mktemp("city")
    (root / "city.toml").write_text(CITY, encoding="utf-8")
    city = open_city(root)
    write_layers(city.store, city.frame)
    write_live(city.store.live)
    staging = city.store.stage_tiles()
    (staging / "l2").mkdir()
    (staging / "l2" / "tileset.json").write_text('{"asset":{"version":"1.1"}}')
    build = {
        "tilesets": [{"id": "l2", "url": "l2/tileset.json", "tiles": 1}],
        "terrain": {"url": "terrain", "gap_max": 0.5},
        "imagery": [
            {
                "source": f"ortho_{k}",
                "url": "imagery/{z}/{x}/{y}.jpg",
                "minzoom": 8,
                "maxzoom": 15 + 2 * k,
                "bounds": box,
            }
            for k, box in enumerate(([113.0, 40.0, 113.5, 40.2], [113.2, 40.05, 113.3, 40.1]))
        ],
    }
    (staging / "build.json").write_text(json.dumps(build))
    city.store.publish_tiles(staging, "v1")
    return city


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def app(small_city, clock):
    return create_app(small_city, SETTINGS, clock=clock)


@pytest.fixture
def settings():
    return lambda **changed: replace(SETTINGS, **changed)


@pytest.fixture
def own_city(small_city, tmp_path):
    """A city that a test may write to."""
    city = small_city.with_store(tmp_path / ".twin")
    write_layers(city.store, city.frame)
    write_live(city.store.live)
    return city
