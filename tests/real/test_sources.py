"""Real deliveries, read by their declarations, beside the figures that their page gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from ingest.reading import Delivery
from ingest.run import IngestOptions, build
from ingest.sources import reader_of
from tests.conftest import absent
from twin.city import Source, open_city
from twin.errors import SourceError
from twin.frames import Frame, wgs84_from_gcj02
from twin.points import merge_points
from twin.workers import Workers

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.real


@pytest.fixture
def read(data: Path):
    """Read one declared file of a data set into a frame."""

    def reading(folder: str, path: str, kind: str, frame: Frame, **declared):
        if not (data / folder).is_dir():
            absent(f"../shared/data/{folder}")
        delivery = Delivery(Source(name=folder, kind=kind, path=path, **declared), data / folder)
        return reader_of(kind).read(delivery, frame)

    return reading


@pytest.fixture
def ingested(data: Path, tmp_path: Path):
    """Run an example into a store of its own; the example's folder is not touched."""

    def run(name: str, folder: str):
        if not (data / folder).is_dir():
            absent(f"../shared/data/{folder}")
        city = open_city(ROOT / "examples" / name).with_store(tmp_path / ".twin")
        return city, build(city, city.options(IngestOptions, "ingest"), Workers(1))

    return run


def test_delft_brings_all_points_and_all_160_footprints_without_a_dem(ingested):
    city, report = ingested("delft", "delft-ahn3-bgt")
    counts = {item.name: item.count for item in city.store.items() if item.kind in ("layer", "points")}
    assert counts == {"building": 160, "green": 126, "landuse": 81, "points": 848_942, "road": 151, "water": 3}
    assert report.outcomes == ()
    assert [line.rsplit("/", 1)[1] for line in report.warnings] == [
        "bgt_ondersteunendwaterdeel.sqlite: the layer is empty"
    ]
    cloud = city.store.read_points("points")
    classes = {int(c): int(n) for c, n in zip(*np.unique(cloud.classification, return_counts=True), strict=True)}
    assert classes == {1: 282_445, 2: 283_118, 6: 280_065, 9: 835, 26: 2_479}
    np.testing.assert_allclose(cloud.bounds, (84_808.3, 447_412.8, 85_072.3, 447_641.3), atol=0.01)
    bounds = city.store.read_layer("building").bounds
    np.testing.assert_allclose(bounds, (84_825.9, 447_456.7, 85_056.5, 447_624.1), atol=0.05)


def test_delft_knows_its_house_numbers_and_bridges(ingested):
    city, _ = ingested("delft", "delft-ahn3-bgt")
    buildings, roads = city.store.read_layer("building"), city.store.read_layer("road")
    row = buildings.index()["b31bc26a8-00ba-11e6-b420-2bdcc4ab5d7f"]
    assert buildings.column("address")[row] == "130-130A"
    assert np.count_nonzero(roads.column("bridge") == 1.0) == 8
    assert set(roads.column("road_class").tolist()) == {"path", "residential"}


def test_goteborg_registers_rasters_and_footprints_and_names_what_lies_outside(ingested):
    city, report = ingested("goteborg", "goteborg-umep")
    buildings = city.store.read_layer("building")
    dsm, dem, canopy = (city.store.read_raster(name) for name in ("dsm", "dem", "canopy"))
    assert len(buildings) == 137
    assert sum("outside the DEM" in o.reason for o in report.outcomes) == 137 - 41
    assert sum("repaired" in o.reason for o in report.outcomes) == 2
    x, y = dem.geobox.centers()
    inside = shapely.contains_xy(shapely.union_all(buildings.geometry), *np.meshgrid(x, y))
    above = dsm.values - dem.values
    assert above[inside].mean() == pytest.approx(14.91, abs=0.01)
    assert above[~inside].mean() == pytest.approx(0.53, abs=0.01)
    assert np.count_nonzero(canopy.values > 0) == 2_966
    assert "Rådhuset" in buildings.column("name").tolist()


@pytest.mark.parametrize(("name", "folder"), [("delft", "delft-ahn3-bgt"), ("goteborg", "goteborg-umep")])
def test_a_second_ingest_of_the_same_files_changes_nothing(name, folder, ingested):
    city, report = ingested(name, folder)
    before = [(item.kind, item.name, item.digest) for item in city.store.items()]
    again = build(city, city.options(IngestOptions, "ingest"), Workers(1))
    assert [(item.kind, item.name, item.digest) for item in city.store.items()] == before
    assert again.as_dict() == report.as_dict()


def test_two_munich_sheets_show_no_seam(read):
    frame = Frame("EPSG:25832", "DHHN2016")
    dem = read("munich-dgm1", "dgm1/*.tif", "dem", frame, crs="EPSG:25832").noun
    assert dem.values.shape == (1000, 2000)
    assert dem.geobox.bounds == (690_000.0, 5_336_000.0, 692_000.0, 5_337_000.0)
    step = np.abs(np.diff(dem.values[:, 999:1001], axis=1))
    assert step.mean() == pytest.approx(0.036, abs=0.001)
    assert dem.values[:, :1000].mean() == pytest.approx(515.95, abs=0.01)


def test_suzhou_ids_that_repeat_are_told_apart_and_heights_are_three_a_storey(read):
    frame = Frame("EPSG:4549", "1985")
    columns = {"source_id": "Id", "storeys": "Floor", "height": "height"}
    reading = read("suzhou-buildings", "bd_demo_2.json", "footprints", frame, crs="EPSG:4326", columns=columns)
    layer = reading.noun
    assert reading.tally["features"] == 3_076
    assert len(set(layer.oid.tolist())) == len(layer)
    np.testing.assert_allclose(layer.column("height"), 3.0 * layer.column("storeys"))
    lonlat = frame.to_lonlat(shapely.get_coordinates(layer.geometry))
    np.testing.assert_allclose(lonlat.min(axis=0), [120.5969, 31.2901], atol=1e-4)


def test_bd_topo_text_without_a_cpg_is_refused_until_it_is_declared(read):
    frame = Frame("EPSG:2154", "NGF-IGN69")
    columns = {"source_id": "ID", "height": "HAUTEUR", "storeys": "NB_ETAGES"}
    with pytest.raises(SourceError, match='encoding = "utf-8"'):
        read("bdtopo-12174", "BATIMENT.shp", "footprints", frame, crs="EPSG:2154", columns=columns)
    declared = {"encoding": "utf-8", "columns": columns | {"name": "USAGE1"}}
    reading = read("bdtopo-12174", "BATIMENT.shp", "footprints", frame, crs="EPSG:2154", **declared)
    layer = reading.noun
    assert len(layer) == 2_273
    assert np.count_nonzero(~np.isnan(layer.column("height"))) == 2_004 - 15
    assert any("column height: 15 zeros taken as missing" in line for line in reading.warnings)
    assert np.nanmax(layer.column("height")) == pytest.approx(20.3)
    assert np.count_nonzero(layer.column("name") == "Indifférencié") == 920


def test_datong_districts_are_gcj02_by_declaration_and_fit_the_streets_only_then(read):
    frame = Frame("EPSG:32649", "1985")
    columns = {"code": "adcode", "source_id": "adcode", "name": "name"}
    old = read("datong-admin", "140200_full.json", "divisions", frame, crs="GCJ-02", columns=columns)
    assert sum("repaired" in outcome.reason for outcome in old.outcomes) == 1
    new = read("datong-admin", "140200_jamesview.json", "divisions", frame, crs="GCJ-02", columns=columns).noun
    assert len(new) == 10
    pingcheng = new.select(code="140213")
    assert shapely.area(pingcheng.geometry).sum() / 1e6 == pytest.approx(228.5, abs=0.3)
    wrong = read("datong-admin", "140200_jamesview.json", "divisions", frame, crs="EPSG:4326", columns=columns).noun
    shift = shapely.get_coordinates(shapely.centroid(wrong.select(code="140213").geometry)) - shapely.get_coordinates(
        shapely.centroid(pingcheng.geometry)
    )
    assert 550 < np.hypot(*shift[0]) < 640


def test_datong_heritage_sites_land_in_their_districts(read, data):
    frame = Frame("EPSG:4547", "1985")
    table = next((data / "datong-heritage").glob("*.csv"))
    header = table.read_text("utf-8-sig").splitlines()[0].split(",")
    pair = {"lon": next(h for h in header if h in ("lon", "lng")), "lat": "lat"}
    columns = {"name": "name", "source_id": "id"} | pair
    layer = read("datong-heritage", table.name, "facilities", frame, crs="GCJ-02", columns=columns).noun
    assert len(layer) == 29
    districts = read(
        "datong-admin", "140200_jamesview.json", "divisions", frame, crs="GCJ-02", columns={"code": "adcode"}
    ).noun
    tree = shapely.STRtree(districts.geometry)
    site, district = tree.query(layer.geometry, predicate="intersects")
    codes, counts = np.unique(districts.column("code")[district].astype(str), return_counts=True)
    assert len(set(site.tolist())) == 29
    assert dict(zip(codes.tolist(), counts.tolist(), strict=True)) == {
        "140212": 1, "140213": 9, "140214": 4, "140221": 3, "140222": 2, "140223": 1, "140224": 2, "140225": 7,
    }  # fmt: skip


def test_nycu_points_among_footprints_are_named_and_left_out(read):
    frame = Frame("EPSG:3826", "TWVD2001")
    columns = {"name": "name", "height": "height"}
    reading = read("nycu-taiwan", "buildings_merged.geojson", "footprints", frame, crs="EPSG:4326", columns=columns)
    assert reading.tally["features"] == 2_309
    assert len(reading.noun) == 319
    assert reading.tally["skipped"] == 1_990
    assert np.nanmax(reading.noun.column("height")) == pytest.approx(79.71)


def test_autzen_is_in_feet_and_comes_out_in_metres(read, data):
    import laspy

    with laspy.open(data / "pointclouds" / "autzen_trim.laz") as file:
        own = file.header.parse_crs().to_string()
    frame = Frame("EPSG:26910", "NAVD88")
    # PROJ has no parameters for NAD83 (HARN) -> NAD83 without a grid; the difference is below a metre here.
    declared = {"crs": "", "unit": "ft", "vertical": "NAVD88", "extra": {"accept_ballpark": True}}
    cloud = merge_points(read("pointclouds", "autzen_trim.laz", "points", frame, **declared).noun.clouds())
    assert own
    assert len(cloud) == 110_000
    np.testing.assert_allclose(np.ptp(cloud.xyz[:, 0]), 1_178 * 0.3048, rtol=0.03)
    assert cloud.xyz[:, 2].max() == pytest.approx(520.5 * 0.3048, abs=0.05)
    assert cloud.rgb.max() == 236


def test_the_picture_of_autzen_in_feet_has_the_colours_of_its_points_in_metres(read):
    frame, told = Frame("EPSG:2993", "NAVD88"), {"unit": "ft", "extra": {"accept_ballpark": True}}
    stream = read("pointclouds", "autzen.jpg", "imagery", frame, crs="EPSG:2994").noun
    cloud = merge_points(read("pointclouds", "autzen_trim.laz", "points", frame, crs="", **told).noun.clouds())
    picture = np.zeros((3, *stream.geobox.shape), np.uint8)
    for values, row, col in stream.blocks():
        picture[:, row : row + values.shape[1], col : col + values.shape[2]] = values
    row, col = (np.floor(v).astype(np.int64) for v in stream.geobox.rowcol(cloud.xyz[:, :2]))
    inside = (row >= 0) & (col >= 0) & (row < picture.shape[1]) & (col < picture.shape[2])
    inside[inside] = (picture[:, row[inside], col[inside]] > 0).any(axis=0)
    # The page: 92.9 % of the points lie in the image; 0.998, 0.997, 0.994 where the picture is read as delivered.
    assert inside.mean() == pytest.approx(0.929, abs=0.002)
    seen = picture[:, row[inside], col[inside]].astype(float)
    found = [np.corrcoef(seen[k], cloud.rgb[inside, k].astype(float))[0, 1] for k in range(3)]
    np.testing.assert_array_less([0.995, 0.995, 0.990], found)


def test_a_file_that_lies_about_its_crs_is_refused(read):
    frame = Frame("EPSG:32616", "")
    with pytest.raises(SourceError, match=r"in degrees, but a coordinate is \(66"):
        read("ortho-footprints", "geotiff_custom_proj_labels.geojson", "footprints", frame, crs="EPSG:4326")


def test_a_sixteen_bit_satellite_image_registers_with_its_labels(read):
    frame = Frame("EPSG:32616", "")
    stream = read("ortho-footprints", "sample_geotiff.tif", "imagery", frame, crs="EPSG:32616").noun
    labels = read("ortho-footprints", "geotiff_labels.geojson", "footprints", frame, crs="EPSG:32616").noun
    assert stream.geobox.shape == (900, 900)
    assert len(labels) == 43
    assert shapely.area(labels.geometry).sum() == pytest.approx(8_459, abs=1)
    assert shapely.within(labels.geometry, shapely.buffer(shapely.box(*stream.geobox.bounds), 0.01)).all()
    assert {values.dtype.name for values, _, _ in stream.blocks()} == {"uint8"}


def test_gcj02_and_wgs84_of_datong_differ_by_what_the_page_says():
    there = np.array([[113.30, 40.09]])
    shift = there - wgs84_from_gcj02(there)
    np.testing.assert_allclose(shift, [[0.00701, 0.00119]], atol=2e-5)
