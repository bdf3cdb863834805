"""Every set of the shared data through the whole of ingest: counts and extents of its page, and a second time the same.

`3dtiles-reference` is no source of ingest: its files are tiles, what this project writes and the checker reads
(`test_reference_tilesets.py`). `risk/Salvador_hazard_FL_2015.hdf5` is a result of a flood model in a layout of its own,
no delivery of a bureau; the houses beside it are read here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely

from ingest.run import IngestOptions, build
from tests.conftest import absent
from twin.city import City, open_city
from twin.outcome import Report
from twin.workers import Workers

ROOT = Path(__file__).parents[2]
NO_SOURCE = {"3dtiles-reference"}
pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Row:
    """A city of one set: how it is declared, and what must be in its store.

    items       "kind/name" -> count of the catalogue (features, cells, points, solids)
    extents     "kind/name" -> bounds: in the frame, or in longitude and latitude where they are degrees
    values      observations in the live store
    skipped     outcomes that are no item
    warning     a word that some warning says
    """

    name: str
    folder: str
    sources: tuple[Mapping[str, Any], ...]
    crs: str = ""
    items: Mapping[str, int] = field(default_factory=dict)
    extents: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    values: int = 0
    skipped: int = 0
    warning: str = ""
    tolerance: float = 1.0
    vertical: str = "local"


def source(kind: str, path: str, crs: str = "", **more: Any) -> Mapping[str, Any]:
    return {"kind": kind, "path": path, "crs": crs} | more


WIDE = ["PM2.5", "PM10", "SO2", "NO2", "CO", "O3", "TEMP", "PRES", "DEWP", "RAIN", "WSPM"]
TOPO = {"encoding": "utf-8", "crs": "EPSG:2154"}
DISTRICT = {"code": "adcode", "name": "name", "source_id": "adcode"}

ROWS = (
    Row("munich", "munich-dgm1", (
        source("dem", "dgm1/*.tif", "EPSG:25832"), source("citymodel", "DEBY_LOD2_4959457.gml")), "EPSG:25832",
        {"raster/dem": 2_000_000, "layer/building": 1, "model/citymodel": 1},
        {"raster/dem": (690_000, 5_336_000, 692_000, 5_337_000), "layer/building": (690_953, 5_335_963, 691_054,
         5_336_106)}),
    Row("nycu", "nycu-taiwan", (source("footprints", "buildings_merged.geojson", "EPSG:4326"),), "EPSG:3826",
        {"layer/building": 319}, {"layer/building": (120.9897, 24.7794, 121.0054, 24.7953)}, skipped=1_990,
        tolerance=2e-4),
    Row("suzhou", "suzhou-buildings", (
        source("footprints", "bd_demo_2.json", "EPSG:4326", columns={"source_id": "Id", "storeys": "Floor"}),),
        "EPSG:4549", {"layer/building": 3_077}, {"layer/building": (120.5969, 31.2901, 120.6175, 31.3104)},
        tolerance=1e-4),
    Row("bdtopo", "bdtopo-12174", (
        source("footprints", "BATIMENT.shp", **TOPO, columns={"source_id": "ID", "height": "HAUTEUR"}),
        source("divisions", "COMMUNE.shp", **TOPO, columns={"name": "NOM", "code": "INSEE_COM"}),
        source("population", "COMMUNE.shp", **TOPO, columns={"name": "NOM", "people_night": "POPULATION"}),
        source("green", "ZONE_DE_VEGETATION.shp", **TOPO, columns={"source_id": "ID"}),
        source("water", "SURFACE_HYDROGRAPHIQUE.shp", **TOPO, columns={"source_id": "ID"})), "EPSG:2154",
        {"layer/building": 2_273, "layer/division": 1, "layer/population": 1, "layer/water": 28},
        {"layer/division": (661_799, 6_357_551, 666_492, 6_362_663)}),
    Row("datong districts", "datong-admin", (
        source("divisions", "140200_jamesview.json", "GCJ-02", columns=DISTRICT),
        source("divisions", "oldtown_streets_subset.geojson", "EPSG:4326", columns={"name": "乡", "parent": "县"})),
        "EPSG:32649", {"layer/division": 14}, {"layer/division": (112.5725, 39.0475, 114.5622, 40.7387)},
        tolerance=2e-3),
    Row("datong before 2018", "datong-admin", (
        source("divisions", "140200_full.json", "GCJ-02", columns=DISTRICT),), "EPSG:32649", {"layer/division": 11}),
    Row("datong heritage", "datong-heritage", (
        source("facilities", "datong_heritage.csv", "GCJ-02",
               columns={"lon": "lng", "source_id": "id", "kind": "type"}),), "EPSG:4547", {"layer/facility": 29}),
    Row("cityjson delft", "cityjson", (source("citymodel", "delft.json"),), "EPSG:28992",
        {"layer/building": 160, "model/citymodel": 160}, {"layer/building": (84_826, 447_457, 85_057, 447_624)},
        skipped=6),
    Row("cityjson levels", "cityjson", (source("citymodel", "multi_lod.json", "EPSG:28992"),), "EPSG:28992",
        {"layer/building": 10, "model/citymodel": 10}, {"layer/building": (153_301, 414_163, 153_776, 414_688)}),
    Row("cityjson rotterdam", "cityjson", (source("citymodel", "rotterdam_subset.json", "EPSG:28992"),), "EPSG:28992",
        {"layer/building": 16, "model/citymodel": 16}, {"layer/building": (90_454, 435_615, 91_002, 436_048)}),
    Row("cityjson zurich", "cityjson", (source("citymodel", "zurich_subset_lod2.json"),), "EPSG:2056",
        {"layer/building": 49, "model/citymodel": 161},
        {"layer/building": (2_678_219, 1_243_079, 2_687_405, 1_253_038)}, tolerance=2.0),
    Row("ingolstadt", "ingolstadt-lod3", (source("citymodel", "*.xml", "EPSG:32632"),), "EPSG:32632",
        {"layer/building": 3, "model/citymodel": 4}, {"layer/building": (678_040, 5_403_668, 678_180, 5_403_905)},
        tolerance=2.0),
    Row("plateau buildings", "plateau-citygml", (
        source("citymodel", "yokosuka-shi/udx/bldg/52397519_bldg_6697_op.gml"),), "EPSG:6677",
        {"layer/building": 13, "model/citymodel": 14}, {"layer/building": (139.7372, 35.2583, 139.7406, 35.2615)},
        tolerance=1e-4),
    Row("plateau terrain and slides", "plateau-citygml", (
        source("citymodel", ["yokosuka-shi/udx/dem/523965_dem_6697_05_op.gml",
                             "numazu-shi/udx/lsld/523857_lsld_6668_op.gml"]),), "EPSG:6676", skipped=2,
        warning="L2 will lack buildings"),
    Row("autzen", "pointclouds", (
        source("points", "autzen_trim.laz", unit="ft", extra={"accept_ballpark": True}),), "EPSG:2993",
        {"points/points": 110_000},
        {"points/points": tuple(0.3048 * v for v in (636_001.8, 848_935.2, 637_179.2, 849_497.9))}, tolerance=0.05),
    Row("city3d", "pointclouds", (
        source("points", "city3d_001.ply", "EPSG:4547", extra={"origin": [500_000, 4_430_000, 1_000]}),), "EPSG:4547",
        {"points/points": 57_379}, {"points/points": (500_059.0, 4_430_022.2, 500_155.3, 4_430_117.0)},
        tolerance=0.06),
    Row("satellite", "ortho-footprints", (
        source("imagery", "sample_geotiff.tif"), source("footprints", "geotiff_labels.geojson", "EPSG:32616"),
        source("footprints", "sample.geojson", "EPSG:32616")), "EPSG:32616",
        {"raster/ortho_0": 810_000, "layer/building": 71},
        {"raster/ortho_0": (733_601, 3_724_689, 734_051, 3_725_139)}),
    Row("las vegas", "ortho-footprints", (
        source("roads", "sample_roads.geojson", "EPSG:4326", columns={"source_id": "road_id"}),), "EPSG:32611",
        {"layer/road": 27}),
    Row("rhine", "dem-misc", (source("dem", "pyflwdir_rhine_elv0.tif", "EPSG:4326"),), "EPSG:3035",
        extents={"raster/dem": (3.5667, 46.3250, 11.8750, 52.0083)}, tolerance=0.6),
    Row("zion", "dem-misc", (source("dem", "zion_srtm.tif", "EPSG:4326"),), "EPSG:32612",
        extents={"raster/dem": (-113.2396, 37.1321, -112.8521, 37.5129)}, tolerance=8e-3),
    Row("fuji", "dem-misc", (
        source("dem", "fuji_terrain_rgb.png", "EPSG:32654", extra={
            "coding": "terrain-rgb", "bounds": [290_000, 3_910_000, 292_560, 3_912_560]}),), "EPSG:32654",
        {"raster/dem": 512 * 512}, {"raster/dem": (290_000, 3_910_000, 292_560, 3_912_560)}),
    Row("beijing", "beijing-airquality", (
        source("observations", "*.csv", columns={"thing": "station"}, extra={
            "series": WIDE, "time": ["year", "month", "day", "hour"], "utc_offset": 8}),), "EPSG:32650",
        values=381_629, warning="L2 will lack buildings"),
    Row("geolife", "gps-traces", (
        source("trajectories", "demodata_geolife.gpkg", columns={"source_id": "trajectory_id", "time": "t"}),),
        "EPSG:32650", {"layer/trajectory": 5}, {"layer/trajectory": (116.2945, 39.8624, 116.5926, 40.0825)},
        tolerance=2e-3),
    Row("ecuador", "landslide-ecuador", (
        source("hazards", "lsl.csv", "EPSG:32717"), source("dem", "ta.tif", extra={"band": "elev"})), "EPSG:32717",
        {"layer/hazard_site": 350, "raster/dem": 415 * 383},
        {"raster/dem": (711_963, 9_556_862, 715_793, 9_561_012)},
        warning="points without an id at the place of another: 1;"),
    Row("shenzhen", "china-roads-traffic", (source("roads", "G.graphml", "EPSG:4326"),), "EPSG:32650",
        {"layer/road": 4_009}, {"layer/road": (113.9970, 22.5167, 114.0399, 22.5505)}, tolerance=1e-3),
    Row("houses", "risk", (
        source("facilities", "FL_entity_Acelhuate_houses.xlsx", "EPSG:4326", layer="assets",
               columns={"lon": "longitude", "lat": "latitude"}),), "EPSG:32616", {"layer/facility": 12_472},
        warning="two columns named 'latitude'"),
    Row("goteborg tables", "goteborg-umep", (
        source("canopy", "CDSM_KRbig.asc", "EPSG:3007"), source("facilities", "poi_gbg.shp"),
        source("landuse", "mask_layer.geojson"),
        source("observations", "GBG_TMY_1977.txt", nodata=-999, extra={
            "series": {"Tair": "air_temperature", "RH": "humidity", "kdown": "shortwave"}, "utc_offset": 1,
            "time": {"year": "iy", "day_of_year": "id", "hour": "it", "minute": "imin"}})), "EPSG:3007",
        {"raster/canopy": 223 * 234, "layer/facility": 2, "layer/landuse": 1},
        {"raster/canopy": (147_720, 6_398_557, 147_954, 6_398_780)}, values=3 * 8_760),
)  # fmt: skip


def opened(row: Row, data: Path, folder: Path) -> City:
    """The city of a row, its city.toml in a folder of its own."""
    if not (data / row.folder).is_dir():
        absent(f"../shared/data/{row.folder}")
    lines = ["[frame]", f'crs = "{row.crs}"', f'vertical = "{row.vertical}"']
    for number, declared in enumerate(row.sources):
        paths = declared["path"] if isinstance(declared["path"], list) else [declared["path"]]
        table = {"name": f"s{number}"} | declared | {"path": [str(data / row.folder / path) for path in paths]}
        lines += ["[[source]]", *(f"{key} = {_toml(value)}" for key, value in table.items() if value != "")]
    (folder / "city.toml").write_text("\n".join(lines), encoding="utf-8")
    return open_city(folder)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k, ensure_ascii=False)} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def ingest(city: City) -> Report:
    return build(city, IngestOptions(), Workers(1))


def kept(city: City) -> tuple[list[tuple[str, str, str]], int]:
    """Every line of the catalogue with its digest, and the number of observations."""
    lines = [(item.kind, item.name, item.digest) for item in city.store.items()]
    return lines, sum(1 for _ in city.store.live.observations())


def degrees(city: City, name: str) -> tuple[float, ...]:
    """(west, south, east, north) of an item."""
    kind, _, item = name.partition("/")
    corners = np.array(city.store.item(kind, item).extent).reshape(2, 2)
    if kind == "layer":
        corners = shapely.get_coordinates(city.store.read_layer(item).geometry)
    lonlat = city.frame.to_lonlat(corners)
    return (*lonlat.min(axis=0), *lonlat.max(axis=0))


def test_every_set_beside_the_repository_is_in_the_table(data):
    here = {path.name for path in data.iterdir() if path.is_dir()}
    examples = {"delft-ahn3-bgt", "goteborg-umep"}
    assert here - NO_SOURCE == {row.folder for row in ROWS} | examples


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_set_has_the_counts_and_extents_of_its_page_and_is_the_same_the_second_time(row, data, tmp_path):
    city = opened(row, data, tmp_path)
    report = ingest(city)
    found = {f"{item.kind}/{item.name}": item for item in city.store.items() if item.kind != "document"}
    assert {name: found[name].count for name in row.items} == dict(row.items)
    for name, expected in row.extents.items():
        extent = found[name].extent if max(map(abs, expected)) > 360.0 else degrees(city, name)
        np.testing.assert_allclose(extent, expected, atol=row.tolerance, err_msg=name)
    assert sum(outcome.status == "skipped" for outcome in report.outcomes) == row.skipped
    assert not report.failed
    assert not row.warning or any(row.warning in line for line in report.warnings)
    before = kept(city)
    assert before[1] == row.values
    again = ingest(city)
    assert kept(city) == before
    assert again.as_dict() == report.as_dict()


def test_the_trajectories_of_geolife_have_the_fixes_and_lengths_of_their_page(data, tmp_path):
    city = opened(next(row for row in ROWS if row.name == "geolife"), data, tmp_path)
    ingest(city)
    layer = city.store.read_layer("trajectory")
    known = {"1": (466, 6_207.0), "2": (897, 38_764.6), "3": (1_810, 12_745.2), "4": (1_864, 14_363.8),
             "5": (871, 39_259.8)}  # fmt: skip
    geodesic = pyproj.Geod(ellps="WGS84")
    for row, key in enumerate(layer.column("source_id").tolist()):
        lonlat = city.frame.to_lonlat(shapely.get_coordinates(layer.geometry[row]))
        assert (layer.column("fixes")[row], len(json.loads(layer.column("times")[row]))) == (known[key][0],) * 2
        assert geodesic.line_length(*lonlat.T) == pytest.approx(known[key][1], abs=0.1)
        assert layer.column("length")[row] == pytest.approx(known[key][1], rel=1e-3)
    assert sorted(set(layer.column("tracker").tolist())) == ["0", "19", "2"]
    assert min(layer.column("begin_time")) > "2008-12-11"


def test_the_road_graph_of_shenzhen_is_as_long_as_its_page_says(data, tmp_path):
    city = opened(next(row for row in ROWS if row.name == "shenzhen"), data, tmp_path)
    ingest(city)
    roads = city.store.read_layer("road")
    said = [json.loads(text) for text in roads.column("attributes").tolist()]
    assert sum(float(row["length"]) for row in said) == pytest.approx(337_342.582, abs=0.01)
    geodesic = pyproj.Geod(ellps="WGS84")
    lonlat = [city.frame.to_lonlat(shapely.get_coordinates(shape)) for shape in roads.geometry]
    assert sum(geodesic.line_length(*line.T) for line in lonlat) == pytest.approx(337_342.6, rel=3e-3)
    assert "景田路" in roads.column("name").tolist()
    assert set(roads.column("road_class").tolist()) <= {"motorway", "trunk", "primary", "secondary", "tertiary",
                                                        "residential", "lane", "path"}  # fmt: skip
    ends = {tuple(oid.split("-")[:2]) for oid in roads.oid.tolist()}
    assert len({node for pair in ends for node in pair}) == 1_751
