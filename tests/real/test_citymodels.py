"""City models, tables and odd rasters of the shared data beside the figures that their page gives."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ingest.addresses import read_table
from ingest.citymodel.citygml import read_citygml
from ingest.citymodel.model import Census
from ingest.citymodel.reader import _placed as placed_bodies
from ingest.reading import Delivery, Reading
from ingest.sources import reader_of
from tests.conftest import absent
from twin.analysis.facets import Polygons
from twin.analysis.polygons import check_polygons
from twin.city import Source
from twin.frames import Frame
from twin.meshes import Solids, Surface, concatenate

pytestmark = pytest.mark.real

BUILDINGS = "plateau-citygml/yokosuka-shi/udx/bldg/52397519_bldg_6697_op.gml"
TERRAIN = "plateau-citygml/yokosuka-shi/udx/dem/523965_dem_6697_05_op.gml"
SLIDES = "plateau-citygml/numazu-shi/udx/lsld/523857_lsld_6668_op.gml"


@dataclass(frozen=True)
class Model:
    """One row of the table: a file, how it is declared, and what its page says of it."""

    path: str
    frame: str
    buildings: int
    counts: dict[str, int]
    bounds: tuple[float, ...] = ()
    z: tuple[float, ...] = ()
    lods: dict[int, int] = field(default_factory=dict)
    closed: int | None = None
    crs: str = ""


MODELS = (
    Model(
        "cityjson/delft.json", "EPSG:28992", 160, {"Building": 160, "Road": 143, "PlantCover": 126, "LandUse": 81,
        "GenericCityObject": 54, "Bridge": 3, "WaterBody": 3}, (84_826, 447_457, 85_057, 447_624), lods={10: 160},
        crs="EPSG:7415",
    ),
    Model(
        "cityjson/multi_lod.json", "EPSG:28992", 10, {"Building": 10}, (153_301, 414_163, 153_776, 414_688),
        (4.2, 14.0), {22: 10}, 10, "EPSG:28992",
    ),
    Model(
        "cityjson/rotterdam_subset.json", "EPSG:28992", 16, {"Building": 16}, (90_454, 435_615, 91_002, 436_048),
        lods={20: 16}, crs="EPSG:28992",
    ),
    Model(
        "cityjson/zurich_subset_lod2.json", "EPSG:2056", 49, {"Building": 49, "BuildingPart": 161},
        (2_678_219, 1_243_079, 2_687_405, 1_253_038), (395.8, 620.9), {20: 161},
    ),
    Model(
        "ingolstadt-lod3/4018148.xml", "EPSG:32632", 1,
        {"Polygon": 259, "Window": 7, "Door": 2, "WallSurface": 112, "RoofSurface": 14},
        (678_040, 5_403_893, 678_052, 5_403_905), (414.8, 426.4), {30: 1},
    ),
    Model(
        "ingolstadt-lod3/4018205.xml", "EPSG:32632", 1,
        {"Polygon": 708, "Window": 13, "Door": 2, "WallSurface": 34, "RoofSurface": 4},
        (678_139, 5_403_683, 678_154, 5_403_698), (413.7, 428.4), {30: 1},
    ),
    Model(
        "ingolstadt-lod3/4018204c.xml", "EPSG:32632", 1,
        {"Polygon": 829, "Window": 24, "Door": 1, "WallSurface": 42, "RoofSurface": 5, "BuildingPart": 1},
        (678_161, 5_403_668, 678_180, 5_403_691), (413.9, 429.3), {30: 2},
    ),
    Model(
        "munich-dgm1/DEBY_LOD2_4959457.gml", "EPSG:25832", 1,
        {"Building": 1, "WallSurface": 63, "RoofSurface": 20, "GroundSurface": 1},
        (690_953, 5_335_963, 691_054, 5_336_106), (509.79, 547.33), {20: 1},
    ),
    Model(
        BUILDINGS, "EPSG:6677", 13, {"Building": 13, "BuildingPart": 2, "Polygon": 811}, z=(2.2, 21.7),
        lods={10: 11, 20: 3}, closed=14,
    ),
    Model(TERRAIN, "EPSG:6677", 0, {"Triangle": 1_066, "TINRelief": 2}),
    Model(SLIDES, "EPSG:6676", 0, {"SedimentDisasterProneArea": 81, "Polygon": 81}),
)  # fmt: skip


def read(data: Path, path: str, frame: str, kind: str = "citymodel", **declared) -> Reading:
    if not (data / path).is_file():
        absent(f"../shared/data/{path}")
    delivery = Delivery(Source(name="delivery", kind=kind, path=path, **declared), data)
    return reader_of(kind).read(delivery, Frame(frame, "local"))


def solids_of(reading: Reading) -> Solids:
    return concatenate([batch for _, batch in reading.models.batches()])


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row.path.rsplit("/", 1)[1])
def test_a_city_model_has_the_counts_and_the_extent_of_its_page(row, data):
    reading = read(data, row.path, row.frame, crs=row.crs)
    assert len(reading.noun) == row.buildings
    assert {key: reading.tally.get(key) for key in row.counts} == row.counts
    assert not any(outcome.status == "failed" for outcome in reading.outcomes)
    if not row.buildings:
        assert reading.models is None
        assert all(outcome.status == "skipped" for outcome in reading.outcomes)
        return
    solids = solids_of(reading)
    assert dict(zip(*np.unique(solids.lod, return_counts=True), strict=True)) == row.lods
    assert set(solids.owner.tolist()) <= set(reading.noun.oid.tolist())
    if row.bounds:
        np.testing.assert_allclose(solids.bounds, row.bounds, atol=0.6)
        np.testing.assert_allclose(reading.noun.bounds, row.bounds, atol=1.6)
    if row.z:
        np.testing.assert_allclose([solids.vertices[:, 2].min(), solids.vertices[:, 2].max()], row.z, atol=0.051)
    if row.closed is not None:
        assert int(solids.attributes["closed"].sum()) == row.closed
        assert (solids.volumes() > 0).all()


def test_latitude_comes_first_in_japan_and_the_buildings_lie_where_their_page_says(data):
    frame = Frame("EPSG:6677", "local")
    layer = read(data, BUILDINGS, "EPSG:6677").noun
    west, south, east, north = layer.bounds
    lonlat = frame.to_lonlat(np.array([[west, south], [east, north]]))
    np.testing.assert_allclose(lonlat, [[139.7372, 35.2583], [139.7406, 35.2615]], atol=1e-4)
    names = dict(zip(layer.column("name").tolist(), layer.column("attributes").tolist(), strict=True))
    told = json.loads(names["横須賀美術館"])
    assert told["usage"] == "422"
    assert json.loads(told["buildingDetailAttribute"])["surveyYear"] == "2016"
    assert len(json.loads(told["keyValuePairAttribute"])) == 4
    functions = sorted(layer.column("function").tolist())
    assert [functions.count(word) for word in ("residential", "commercial", "public", "agricultural", "")] == [
        4,
        4,
        1,
        1,
        3,
    ]


@pytest.mark.parametrize(
    ("path", "low", "high"),
    [
        (TERRAIN, (139.6875, 35.1949, -0.02), (139.7, 35.2083, 24.2)),
        (SLIDES, (138.8743, 35.0824, 0), (138.8892, 35.1393, 0)),
    ],
    ids=["terrain", "slides"],
)  # fmt: skip
def test_what_is_no_building_is_measured_with_the_axes_in_order(path, low, high, data):
    if not (data / path).is_file():
        absent(f"../shared/data/{path}")
    census = Census()
    assert list(read_citygml(data / path, path, 0, "", census)) == []
    assert (census.crs, census.swapped) == ("EPSG:6697", True)
    np.testing.assert_allclose(census.low, low, atol=1e-4)
    np.testing.assert_allclose(census.high, high, atol=1e-3)


@pytest.mark.parametrize(("lod", "code"), [(1.2, 12), (1.3, 13), (2, 13), (2.2, 22)])
def test_the_level_of_detail_is_a_choice(lod, code, data):
    reading = read(data, "cityjson/multi_lod.json", "EPSG:28992", crs="EPSG:28992", extra={"lod": lod})
    assert set(solids_of(reading).lod.tolist()) == {code}


def test_the_courtyard_of_munich_stays_open_in_its_footprint(data):
    layer = read(data, "munich-dgm1/DEBY_LOD2_4959457.gml", "EPSG:25832").noun
    assert len(layer.geometry[0].interiors) == 1
    assert layer.column("storeys")[0] == 6
    # AdV: 3200 Walmdach; 31001_3020 building for education and research.
    assert (layer.column("roof_type")[0], layer.column("function")[0]) == ("hip", "education")
    assert json.loads(layer.column("attributes")[0])["roofType"] == "3200"
    assert "Arcisstraße" in layer.column("address")[0]
    assert json.loads(layer.column("attributes")[0])["function_code"] == "31001_3020"


def test_the_windows_of_ingolstadt_are_openings(data):
    solids = solids_of(read(data, "ingolstadt-lod3/4018205.xml", "EPSG:32632"))
    assert {int(code) for code in np.unique(solids.surface)} == {
        Surface.GROUND, Surface.WALL, Surface.ROOF, Surface.OPENING, Surface.OUTER_CEILING, Surface.INSTALLATION
    }  # fmt: skip


def test_rotterdam_names_74_pictures_and_the_one_that_is_there_is_worn_where_the_file_says(data):
    path = "cityjson/rotterdam_subset.json"
    reading = read(data, path, "EPSG:28992", crs="EPSG:28992")
    assert (reading.tally["textures.named"], reading.tally["textures.present"]) == (74, 1)
    assert any("73 of 74 texture images" in line for line in reading.warnings)
    skin = solids_of(reading).skin
    told = json.loads((data / path).read_text(encoding="utf-8"))
    code = [row["image"] for row in told["appearance"]["textures"]].index("appearances/0320_4_15.jpg")
    geometries = [g for thing in told["CityObjects"].values() for g in thing["geometry"]]
    worn = [rings for g in geometries for rings in g["texture"]["rgbTexture"]["values"] if rings[0][0] == code]
    assert int((skin.texture == 0).sum()) == sum(len(ring) - 3 for rings in worn for ring in rings)
    places = np.array(told["appearance"]["vertices-texture"])[[k for rings in worn for ring in rings for k in ring[1:]]]
    uv = skin.uv[skin.texture == 0].reshape(-1, 2)
    np.testing.assert_allclose(np.unique(uv, axis=0), np.unique(places, axis=0), atol=1e-6)
    picture = reading.models.images[skin.textures[0].image]
    assert picture == (data / "cityjson/appearances/0320_4_15.jpg").read_bytes()


def test_yokosuka_wears_its_three_pictures_ring_by_ring(data):
    reading = read(data, BUILDINGS, "EPSG:6677")
    assert (reading.tally["textures.named"], reading.tally["textures.present"]) == (3, 3)
    skin = solids_of(reading).skin
    text = (data / BUILDINGS).read_text(encoding="utf-8")
    rings = [ring.split() for ring in re.findall(r"<app:textureCoordinates[^>]*>([^<]*)<", text)]
    assert len(rings) == 335
    # A ring of n points is n - 2 triangles; one point is told twice, at both ends.
    assert int((skin.texture >= 0).sum()) == sum(len(ring) // 2 - 3 for ring in rings)
    assert len(skin.textures) == 3


@pytest.mark.parametrize(
    ("name", "named", "coloured"), [("4018148", 4, True), ("4018205", 2, True), ("4018204c", None, True)]
)
def test_ingolstadt_keeps_its_colours_where_its_pictures_are_gone(name, named, coloured, data):
    reading = read(data, f"ingolstadt-lod3/{name}.xml", "EPSG:32632")
    text = (data / f"ingolstadt-lod3/{name}.xml").read_text(encoding="utf-8")
    images = set(re.findall(r"<app:imageURI>([^<]*)<", text))
    assert named in (None, len(images))
    assert (reading.tally["textures.named"], reading.tally["textures.present"]) == (len(images), 0)
    skin = solids_of(reading).skin
    assert not skin.textures
    assert skin.colour[:, 3].any() == coloured


def test_the_houses_of_a_spreadsheet_stand_at_the_first_of_two_latitudes(data):
    declared = {"crs": "EPSG:4326", "layer": "assets", "columns": {"lon": "longitude", "lat": "latitude"}}
    reading = read(data, "risk/FL_entity_Acelhuate_houses.xlsx", "EPSG:32616", "facilities", **declared)
    assert reading.tally["features"] == 12_472
    assert any("two columns named 'latitude'" in line for line in reading.warnings)
    # Without an id of its own a row is its place: houses at one place are named, none is lost in silence.
    assert len(reading.noun) + sum(outcome.status == "skipped" for outcome in reading.outcomes) == 12_472
    source = Source(name="delivery", kind="facilities", path="risk/FL_entity_Acelhuate_houses.xlsx", **declared)
    delivery = Delivery(source, data)
    table = read_table(delivery.files()[0], delivery)
    curves = table.fields["impf_FL"].tolist()
    assert (curves.count("101"), curves.count("102")) == (6_080, 6_392)
    assert sum(map(float, table.fields["value"])) == pytest.approx(183_604_369.61, abs=0.01)
    gap = table.fields["latitude"].astype(float) - table.fields["latitude (2)"].astype(float)
    assert gap.min() > 0.0
    lonlat = Frame("EPSG:32616", "local").to_lonlat(np.array([reading.noun.bounds[:2], reading.noun.bounds[2:]]))
    first = table.fields["latitude"].astype(float)
    np.testing.assert_allclose(lonlat[:, 1], [first.min(), first.max()], atol=2e-4)


def test_fuji_is_read_from_the_colours_of_its_picture(data):
    bounds = [290_000.0, 3_910_000.0, 292_560.0, 3_912_560.0]
    extra = {"coding": "terrain-rgb", "bounds": bounds}
    dem = read(data, "dem-misc/fuji_terrain_rgb.png", "EPSG:32654", "dem", crs="EPSG:32654", extra=extra).noun
    assert dem.values.shape == (512, 512)
    assert dem.geobox.bounds == tuple(bounds)
    assert np.unravel_index(np.argmax(dem.values), dem.values.shape) == (178, 308)
    np.testing.assert_allclose(
        [dem.values.min(), dem.values.max(), dem.values.mean()], [13.7, 3751.0, 929.26], atol=0.01
    )


def test_zion_keeps_its_heights_on_the_way_into_a_projected_frame(data):
    reading = read(data, "dem-misc/zion_srtm.tif", "EPSG:32612", "dem", crs="EPSG:4326")
    dem = reading.noun
    assert np.nanmin(dem.values) >= 1024
    assert np.nanmax(dem.values) <= 2892
    assert np.nanmean(dem.values) == pytest.approx(1842.55, abs=2.0)
    west, south, east, north = dem.geobox.bounds
    # The box of a tilted sheet is a little taller than the sheet.
    lonlat = Frame("EPSG:32612", "local").to_lonlat(np.array([[west, south], [east, north]]))
    np.testing.assert_allclose(lonlat, [[-113.2396, 37.1321], [-112.8521, 37.5129]], atol=8e-3)


@pytest.mark.parametrize(
    ("path", "frame", "vertical", "polygons", "wrong"),
    [
        ("cityjson/delft.json", "EPSG:28992", "NAP", 5563, {}),
        ("cityjson/multi_lod.json", "EPSG:28992", "local", 348, {}),
        ("cityjson/rotterdam_subset.json", "EPSG:28992", "local", 236, {}),
        ("cityjson/zurich_subset_lod2.json", "EPSG:2056", "local", 2039, {104: 1}),
        ("munich-dgm1/DEBY_LOD2_4959457.gml", "EPSG:25832", "local", 84, {}),
        ("ingolstadt-lod3/4018148.xml", "EPSG:32632", "local", 238, {104: 5}),
        ("ingolstadt-lod3/4018205.xml", "EPSG:32632", "local", 699, {}),
        ("ingolstadt-lod3/4018204c.xml", "EPSG:32632", "local", 828, {}),
        (BUILDINGS, "EPSG:6677", "local", 734, {}),
    ],
    ids=lambda value: value.rsplit("/", 1)[1] if isinstance(value, str) and "/" in value else "",
)
def test_polygons_as_delivered_are_judged_by_number(path, frame, vertical, polygons, wrong, data):
    if not (data / path).is_file():
        absent(f"../shared/data/{path}")
    crs = frame if frame == "EPSG:28992" and vertical == "local" else ""
    delivery = Delivery(Source(name="delivery", kind="citymodel", path=path, crs=crs), data)
    runs = placed_bodies(delivery.files()[0], delivery, Frame(frame, vertical), Census())
    shapes = [polygon.rings for run in runs for body in run for part in body.parts for polygon in part.polygons]
    rings = [ring for shape in shapes for ring in shape]
    points = np.concatenate(rings)
    ends, parts = np.cumsum([0, *map(len, rings)]), np.cumsum([0, *map(len, shapes)])
    found = check_polygons(Polygons(points, np.arange(len(points)), ends, parts, np.arange(len(shapes))))
    assert len(shapes) == polygons
    assert {int(code): int((found == code).sum()) for code in np.unique(found) if code} == wrong
