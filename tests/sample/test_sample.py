"""The Datong sample at its small scale: what it promises is what the files hold."""

from __future__ import annotations

import filecmp
import tomllib

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from ingest.datong import facts
from ingest.datong.plan import FRAME
from ingest.sample import make_sample
from twin.city import open_city
from twin.errors import OptionsError
from twin.frames import wgs84_from_gcj02

SCALE = 300


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("datong"), SCALE).parent


@pytest.fixture(scope="module")
def built(city):
    return geopandas.read_file(city / "sources" / "buildings.gpkg")


@pytest.fixture(scope="module")
def truth(city):
    return pd.read_csv(city / "sources" / "truth.csv", keep_default_na=False)


def test_two_runs_write_the_same_bytes(city, tmp_path):
    again = make_sample(tmp_path, SCALE).parent
    names = sorted(p.relative_to(city).as_posix() for p in city.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(again).as_posix() for p in again.rglob("*") if p.is_file())
    same, different, errors = filecmp.cmpfiles(city, again, names, shallow=False)
    assert (different, errors) == ([], [])
    assert len(same) > 20


def test_a_sample_that_is_there_is_left_alone_until_something_is_missing(tmp_path):
    told = []
    path = make_sample(tmp_path, scale=100, tell=lambda *a: told.append(a))
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    before = len(told)
    make_sample(tmp_path, scale=100, tell=lambda *a: told.append(a))
    assert len(told) == before + 1
    assert path.read_text(encoding="utf-8").endswith("# mine\n")
    (tmp_path / "sources" / "dem.tif").unlink()
    make_sample(tmp_path, scale=100)
    assert (tmp_path / "sources" / "dem.tif").exists()


def test_another_seed_writes_another_city(city, tmp_path):
    other = make_sample(tmp_path, SCALE, seed=7).parent
    assert (other / "sources" / "truth.csv").read_bytes() != (city / "sources" / "truth.csv").read_bytes()


def test_there_are_as_many_buildings_as_asked_for(built, truth):
    assert len(built) == len(truth) == SCALE
    assert built["标识码"].is_unique


@pytest.mark.parametrize("scale", [0, 99, 1_000_001])
def test_an_odd_scale_is_refused(scale, tmp_path):
    with pytest.raises(OptionsError, match="scale"):
        make_sample(tmp_path, scale)


def test_city_toml_declares_every_source_and_the_engine_opens_it(city):
    opened = open_city(city)
    assert opened.frame.crs == "EPSG:4547"
    assert "合成示例" in opened.badge
    assert "Synthetic" in opened.badge_en
    for source in opened.sources:
        assert source.files(city)
        assert source.licence
        assert "synthetic" in source.lineage
    kinds = {source.kind for source in opened.sources}
    assert {"dem", "dsm", "imagery", "footprints", "addresses", "sensors", "observations", "incidents"} <= kinds
    declared = {path.name for source in opened.sources for path in source.files(city)}
    assert "truth.csv" not in declared


def test_columns_that_city_toml_maps_are_in_the_files(city):
    config = tomllib.loads((city / "city.toml").read_text(encoding="utf-8"))
    for source in config["source"]:
        path = city / source["path"]
        if "columns" not in source:
            continue
        if path.suffix == ".csv":
            there = set(pd.read_csv(path, encoding="utf-8-sig", nrows=1).columns)
        else:
            there = set(geopandas.read_file(path, encoding=source.get("encoding"), rows=1).columns)
        assert set(source["columns"].values()) <= there, source["name"]


def test_layers_are_in_the_crs_they_declare(city):
    for source in open_city(city).sources:
        for path in source.files(city):
            if path.suffix in (".gpkg", ".shp"):
                assert geopandas.read_file(path, rows=1, encoding=source.encoding or None).crs.to_epsg() == 4547
            elif path.suffix == ".tif":
                with rasterio.open(path) as file:
                    assert file.crs.to_epsg() == 4547


def test_the_shapefile_speaks_gbk_and_the_facility_table_has_a_mark(city):
    land = geopandas.read_file(city / "sources" / "landuse.shp", encoding="gbk")
    assert "大同古城" in set(land["地块名称"])
    assert (city / "sources" / "landuse.dbf").read_bytes().find("大同古城".encode("gbk")) > 0
    assert (city / "sources" / "facilities.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_monuments_stand_at_their_published_places(built):
    """Positions of heritage tables; the two temples whose circulating points lie outside the wall are checked apart."""
    published = {
        "nine_dragon_wall": (113.2970, 40.0918),
        "drum_tower": (113.2953, 40.0903),
        "guandi_hall": (113.2989, 40.0902),
    }
    for key, lonlat in published.items():
        at = FRAME.from_lonlat([lonlat])[0]
        mine = built.loc[built["文物编码"] == key, "geometry"].iloc[0].centroid
        assert np.hypot(mine.x - at[0], mine.y - at[1]) < 20.0, key
    gate = built.loc[built["名称"] == "端礼门", "geometry"].iloc[0].centroid
    at = FRAME.from_lonlat([(113.2975, 40.0926)])[0]
    assert np.hypot(gate.x - at[0], gate.y - at[1]) < 20.0


def test_every_monument_inside_the_wall_keeps_clear_of_it(built):
    centre = FRAME.from_lonlat([(113.2953, 40.0923)])[0]
    inner = shapely.transform(shapely.box(-882, -892, 882, 892), lambda xy: xy + centre)
    outer = shapely.transform(shapely.box(-1035, -1045, 1035, 1045), lambda xy: xy + centre)
    great = built[built["文物编码"] != ""]
    assert shapely.within(great.geometry, inner).all()
    belt = shapely.difference(outer, inner)
    sound = built.geometry[shapely.is_valid(built.geometry)]
    assert not shapely.intersects(sound, belt).any()


@pytest.mark.parametrize(
    ("key", "long", "short", "tolerance"),
    [
        ("huayan_main_hall", (53.7, 54.0), (27.4, 29.0), 0.0),
        ("huayan_bojiajiaozang", (25.6, 25.6), (18.4, 18.4), 0.2),
        ("shanhua_main_hall", (40.7, 40.7), (25.5, 25.5), 0.2),
        ("shanhua_sansheng", (32.5, 32.5), (19.2, 19.2), 0.2),
        ("shanhua_gate", (28.14, 28.14), (10.04, 10.04), 0.2),
        ("nine_dragon_wall", (45.5, 45.5), (2.02, 2.02), 0.05),
        ("drum_tower", (17.65, 17.7), (14.3, 14.55), 0.05),
        ("four_archways", (19.2, 19.2), (3.6, 3.6), 0.05),
    ],
)
def test_plans_have_their_published_sizes(built, key, long, short, tolerance):
    for polygon in built.loc[built["文物编码"] == key, "geometry"]:
        ring = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))
        sides = sorted(np.hypot(*np.diff(ring, axis=0).T)[:2])
        assert short[0] - tolerance - 0.02 <= sides[0] <= short[1] + tolerance + 0.02
        assert long[0] - tolerance - 0.02 <= sides[1] <= long[1] + tolerance + 0.02


def test_halls_of_huayan_face_east_and_the_dragon_wall_lies_east_west(built):
    def extent(key):
        west, south, east, north = built.loc[built["文物编码"] == key, "geometry"].iloc[0].bounds
        return east - west, north - south

    wide, deep = extent("huayan_main_hall")
    assert deep > wide
    wide, deep = extent("nine_dragon_wall")
    assert wide > 20 * deep


def test_all_heritage_keys_are_there_at_the_smallest_scale(built):
    asked = {row["key"] for row in facts.table("monuments")} - {""}
    assert asked <= set(built["文物编码"])
    assert (built["文物编码"] == "four_archways").sum() == 4


def test_heights_are_missing_and_rows_broken_as_promised(built, truth):
    surveyed = built["建筑高度"].notna()
    assert 0.10 < surveyed.mean() < 0.25
    assert (built["层数"].isna() & ~surveyed).sum() > 0
    defects = set(truth["defect"]) - {""}
    assert defects == {"bowtie", "repeated_points", "spike", "sliver", "height_negative", "height_absurd", "outside"}
    assert not shapely.is_valid(built.geometry[truth["defect"] == "bowtie"]).any()
    assert set(built.loc[truth["defect"] == "height_negative", "建筑高度"]) == {-3.0}
    assert set(built.loc[truth["defect"] == "height_absurd", "建筑高度"]) == {9999.0}
    with rasterio.open(open_sources(built) / "dem.tif") as dem:
        outside = [not shapely.box(*dem.bounds).intersects(g) for g in built.geometry]
    assert (np.array(outside) == (truth["defect"] == "outside").to_numpy()).all()


def open_sources(frame):
    return frame.attrs["folder"]


@pytest.fixture(autouse=True)
def _folder(built, city):
    built.attrs["folder"] = city / "sources"


def sound(built, truth):
    return built[(truth["defect"] == "").to_numpy()]


def test_buildings_do_not_overlap_each_other(built, truth):
    prints = sound(built, truth).geometry.to_numpy()
    a, b = shapely.STRtree(prints).query(prints, predicate="intersects")
    pairs = a < b
    assert shapely.area(shapely.intersection(prints[a[pairs]], prints[b[pairs]])).max(initial=0.0) < 0.05


def test_buildings_stand_beside_the_roads_and_out_of_the_water(built, truth, city):
    roads = geopandas.read_file(city / "sources" / "roads.gpkg")
    water = geopandas.read_file(city / "sources" / "water.geojson").to_crs("EPSG:4547")
    free = sound(built, truth)
    free = free[free["文物编码"] != "four_archways"]
    prints = free.geometry.to_numpy()
    strips = shapely.buffer(roads.geometry.to_numpy(), roads["width"].to_numpy() / 2.0, cap_style="flat")
    for other in (strips, water.geometry.to_numpy()):
        assert shapely.STRtree(other).query(prints, predicate="intersects").shape[1] == 0


def test_addresses_come_back_from_gcj02_to_their_buildings(city, built, truth):
    table = pd.read_csv(city / "sources" / "addresses.csv", dtype=str).set_index("地址编码")
    rows = np.flatnonzero((truth["address_id"] != "") & (truth["defect"] == ""))
    own = table.loc[truth["address_id"].iloc[rows]]
    gcj = own[["经度", "纬度"]].astype(float).to_numpy()
    at = FRAME.from_lonlat(wgs84_from_gcj02(gcj))
    centre = shapely.get_coordinates(shapely.centroid(built.geometry.to_numpy()[rows]))
    away = np.hypot(*(at - centre).T)
    assert np.median(away) < 15.0
    assert away.max() < 60.0
    wrong = np.hypot(*(FRAME.from_lonlat(gcj) - centre).T)
    assert wrong.min() > 400.0
    assert own["标准地址"].str.contains("号|號").all()


def test_the_ground_falls_to_the_river_and_the_levee_stands_above_the_plain(city):
    with rasterio.open(city / "sources" / "dem.tif") as dem:
        x, y = FRAME.from_lonlat([(113.2953, 40.0923)])[0]
        town, bed, levee, plain = (
            v[0] for v in dem.sample([(x, y), (x + 2330, y), (x + 2330 + 180, y), (x + 2330 + 105, y)])
        )
        values = dem.read(1)
    assert 1035 < bed < town < 1060
    assert levee > plain + 1.5
    assert np.isfinite(values).all()
    assert values.min() > 1000


def test_a_surface_model_over_the_old_town_knows_the_halls(city, built):
    hall = built.loc[built["文物编码"] == "huayan_main_hall", "geometry"].iloc[0].centroid
    spot = [(hall.x, hall.y)]
    with rasterio.open(city / "sources" / "dsm_oldtown.tif") as dsm, rasterio.open(city / "sources" / "dem.tif") as dem:
        rise = next(dsm.sample(spot))[0] - next(dem.sample(spot))[0]
    assert 15.0 < rise < 25.0


def test_the_picture_registers_with_footprints(city, built, truth):
    """Roofs painted where the footprints are: they differ from the ground around them."""
    with rasterio.open(city / "sources" / "ortho_oldtown.tif") as file:
        assert file.compression.value == "JPEG"
        assert file.overviews(1)
        palace = built.loc[built["名称"] == "承运殿", "geometry"].iloc[0]
        roof = np.array(list(file.sample([(palace.centroid.x + 10, palace.centroid.y + 5)])))[0].astype(int)
        west, south, _, _ = palace.bounds
        court = np.array(list(file.sample([(west - 12, south - 12)])))[0].astype(int)
    assert roof[1] - roof[0] > court[1] - court[0] + 5


def test_the_day_of_observations_has_a_storm_that_the_river_answers(city):
    values = pd.read_csv(city / "sources" / "observations.csv")
    things = pd.read_csv(city / "sources" / "sensors.csv")
    assert set(values["datastream"]) <= set(things["datastream"])
    assert values["time"].str.endswith("+08:00").all()
    rain = values[values["datastream"] == "rain-old-town/rainfall"].set_index("time")["value"]
    river = values[values["datastream"] == "yu-heyang/water_level"].set_index("time")["value"]
    assert "T15:" in rain.idxmax()
    assert river.idxmax() > rain.idxmax()
    assert river.max() > river.iloc[0] + 1.0
    assert 0 < values["value"].isna().mean() < 0.01
    incidents = pd.read_csv(city / "sources" / "incidents.csv")
    assert set(incidents["severity"]) <= {1, 2, 3, 4}
    assert incidents["title_en"].notna().all()


def test_targets_and_people_refer_to_what_is_there(city, built):
    things = pd.read_csv(city / "sources" / "sensors.csv")
    assert set(things["target_oid"].dropna()) <= set(built["标识码"])
    divisions = geopandas.read_file(city / "sources" / "divisions.gpkg")
    people = pd.read_csv(city / "sources" / "population.csv", dtype={"社区代码": str})
    assert set(people["社区代码"]) <= set(divisions["区划代码"])
    assert set(divisions["上级代码"]) - set(divisions["区划代码"]) <= {"140000", "140214", "140215", "140212", "140271"}
    assert people["夜间人口"].sum() > 1000


def test_every_fact_names_its_source():
    for name in ("monuments", "precincts", "streets", "lanes", "arterials", "divisions", "facilities", "hazards"):
        assert all(row["source"] for row in facts.table(name)), name


def test_trees_and_lamps_stand_beside_the_streets_and_pipes_lie_below_them(city, built, truth):
    roads = geopandas.read_file(city / "sources" / "roads.gpkg")
    strips = shapely.buffer(roads.geometry.to_numpy(), roads["width"].to_numpy() / 2.0, cap_style="flat")
    trees = geopandas.read_file(city / "sources" / "trees.gpkg")
    table = pd.read_csv(city / "sources" / "furniture.csv")
    lamps = table[table["类别"] == "路灯"]
    posts = shapely.points(FRAME.from_lonlat(lamps[["经度", "纬度"]].to_numpy()))
    houses = sound(built, truth).geometry.to_numpy()
    for standing in (trees.geometry.to_numpy(), posts):
        assert len(standing) > 500
        for taken in (strips, houses):
            assert not shapely.STRtree(taken).query(standing, predicate="within").shape[1]
    assert 0.05 < trees["树高"].isna().mean() < 0.15
    pipes = geopandas.read_file(city / "sources" / "pipes.shp", encoding="gbk")
    assert set(pipes["管类"]) == {"给水", "排水", "热力"}
    carriage = shapely.union_all(shapely.buffer(strips, 0.5))
    assert shapely.covers(carriage, pipes.geometry.to_numpy()).mean() > 0.98
    assert (pipes["终点埋深"] > 1.0).all()
