"""Open data fetch against a server on the loopback that lays its files out as the public services do."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
import rasterio

from ingest.fetch.build import Wish, fetch
from ingest.fetch.download import Patience, download
from ingest.fetch.places import degree_tiles, frame_for, read_place, tile_stem
from ingest.fetch.scenes import Scene, choose_scenes, read_scenes
from ingest.fetch.services import read_services
from ingest.run import IngestOptions, build
from tests.fetch.conftest import BUILDINGS, DEM, PLACE, SCENE, TCI, items
from twin.city import open_city
from twin.cli import main
from twin.errors import OptionsError, SourceError
from twin.workers import Workers

QUICK = Patience(attempts=3, pause=0.001, timeout=5.0)


def wish(cloud, *what, **more):
    return Wish(PLACE, what or ("dem", "buildings", "roads", "imagery"), cloud.url, patience=QUICK, **more)


def test_a_place_is_fetched_declared_and_ingested(tmp_path, cloud):
    report = fetch(tmp_path, wish(cloud))
    assert (report.done, report.outcomes) == (4, ())
    city = open_city(tmp_path)
    assert (city.frame.crs, city.frame.vertical) == ("EPSG:4547", "EGM2008")
    assert city.view.lon == pytest.approx(113.29)
    assert [s.name for s in city.sources] == ["copernicus-dem", "overture-buildings", "overture-roads", "sentinel-2"]
    assert all(s.licence and s.attribution and s.date for s in city.sources)
    with Workers(1) as workers:
        told = build(city, city.options(IngestOptions, "ingest"), workers)
    assert not told.failed
    found = city.layer("building")
    assert list(found.column("source_id")) == ["b19"]
    assert (found.column("name")[0], found.column("function")[0], found.column("height")[0]) == (
        "华严寺",
        "religious",
        7.5,
    )
    roads = city.layer("road")
    assert list(roads.column("bridge")) == [1.0, 0.0]
    assert list(roads.column("road_class")) == ["primary", "primary"]
    assert roads.column("width")[0] == 18.0
    assert (
        1050.0 <= float(city.raster("dem").sample(city.frame.from_lonlat([city.view.lon, city.view.lat]))[0]) <= 1051.0
    )
    assert city.store.has("raster", "ortho_0")


def test_a_rerun_asks_for_nothing_and_changes_nothing(tmp_path, cloud):
    fetch(tmp_path, wish(cloud))
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    cloud.log.clear()
    report = fetch(tmp_path, wish(cloud))
    assert cloud.log == []
    assert report.figures["files_fetched"] == 0
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_the_ledger_says_where_every_file_came_from(tmp_path, cloud):
    fetch(tmp_path, wish(cloud))
    files = json.loads((tmp_path / "sources/fetch.json").read_text(encoding="utf-8"))["files"]
    assert [f["file"] for f in files] == sorted(f["file"] for f in files)
    for entry in files:
        data = (tmp_path / entry["file"]).read_bytes()
        assert entry["size"] == len(data)
        assert entry["blake2b"] == hashlib.blake2b(data, digest_size=32).hexdigest()
        assert entry["url"].startswith(cloud.url)
        assert entry["etag"]
        assert entry["date"]
        assert entry["licence"]
    dem = next(f for f in files if f["url"].endswith(DEM))
    assert dem["size"] == len(cloud.files[DEM])
    assert "DLR" in dem["attribution"]
    image = next(f for f in files if f["url"].endswith(TCI))
    assert image["attribution"] == "Contains modified Copernicus Sentinel data 2025"


def test_a_connection_cut_in_the_middle_goes_on_where_it_broke(tmp_path, cloud):
    cloud.cuts[DEM] = 100_000
    report = fetch(tmp_path, wish(cloud, "dem"))
    assert report.done == 1
    assert cloud.asked(DEM) == ["", "bytes=100000-"]


def test_a_part_of_an_earlier_run_goes_on_and_a_changed_file_begins_anew(tmp_path, cloud):
    for change in (False, True):
        target = tmp_path / str(change) / "file.tif"
        cloud.cuts[DEM] = 50_000
        with pytest.raises(SourceError, match="broke off"):
            download(cloud.url + DEM, target, tmp_path, Patience(attempts=1, timeout=5.0))
        assert target.with_name("file.tif.part").stat().st_size == 50_000
        if change:
            cloud.files[DEM] = cloud.files[DEM][::-1]
        cloud.log.clear()
        record = download(cloud.url + DEM, target, tmp_path, QUICK)
        assert cloud.asked(DEM) == ["bytes=50000-"]
        assert target.read_bytes() == cloud.files[DEM]
        assert record.blake2b == hashlib.blake2b(cloud.files[DEM], digest_size=32).hexdigest()
        assert [p.name for p in target.parent.iterdir()] == ["file.tif"]


@pytest.mark.parametrize(("header", "form"), [("x-amz-checksum-sha256", "{}"), ("Repr-Digest", "sha-256=:{}:")])
def test_a_checksum_that_disagrees_is_a_clear_error_and_leaves_nothing(tmp_path, cloud, header, form):
    right = base64.b64encode(hashlib.sha256(cloud.files[DEM]).digest()).decode()
    cloud.extra[DEM] = {header: form.format(right)}
    download(cloud.url + DEM, tmp_path / "right.tif", tmp_path, QUICK)
    cloud.extra[DEM] = {header: form.format(base64.b64encode(b"\0" * 32).decode())}
    report = fetch(tmp_path, wish(cloud, "dem"))
    assert "SHA256 checksum" in report.outcomes[0].reason
    assert not list(tmp_path.rglob("*.part"))
    assert not list(tmp_path.rglob("originals/*/*/*.tif"))


def test_a_file_that_is_not_there_is_one_clear_line_and_the_others_still_come(tmp_path, cloud, capsys):
    del cloud.files[DEM]
    words = ["fetch", str(tmp_path), "--bbox", *map(str, PLACE), "--what", "dem,roads", "--mirror", cloud.url]
    assert main(words) == 1
    said = capsys.readouterr()
    assert re.search(
        r"failed: http.*_DEM\.tif: the service has no such file \(HTTP 404\).*: dem$", said.out, re.MULTILINE
    )
    assert [s.name for s in open_city(tmp_path).sources] == ["overture-roads"]


def test_a_coast_has_no_tile_of_the_open_sea_and_says_so(tmp_path, cloud):
    coast = (113.99, 40.08, 114.02, 40.10)
    report = fetch(tmp_path, Wish(coast, ("dem",), cloud.url, patience=QUICK))
    assert report.done == 1
    assert [line for line in report.warnings if "E114_00_DEM.tif" in line and "open sea" in line]
    assert open_city(tmp_path).sources[0].date == "2025-09-24"


def test_only_row_groups_that_touch_the_place_cross_the_wire(tmp_path, cloud):
    path = f"/overture/{BUILDINGS}"
    fetch(tmp_path, wish(cloud, "buildings"))
    assert cloud.asked(path)
    assert all(span.startswith("bytes=") for span in cloud.asked(path))
    kept = [p.name for p in tmp_path.rglob("*.parquet") if "type=building" in str(p)]
    assert len(kept) == 1
    assert not any("00001" in name for name, _ in cloud.log)


def test_a_lost_row_group_alone_is_fetched_again(tmp_path, cloud):
    fetch(tmp_path, wish(cloud))
    part = next(p for p in tmp_path.rglob("*.parquet") if "type=building" in str(p))
    part.write_bytes(b"damaged")
    cloud.log.clear()
    report = fetch(tmp_path, wish(cloud))
    assert report.figures["files_fetched"] == 1
    assert {path for path, _ in cloud.log} == {f"/overture/{BUILDINGS}"}


def test_what_the_user_declared_stays(tmp_path, cloud):
    text = '# mine\n[city]\nid = "x"\n[frame]\ncrs = "EPSG:4547"\nvertical = "1985"\n'
    (tmp_path / "city.toml").write_text(text, encoding="utf-8")
    report = fetch(tmp_path, wish(cloud, "dem"))
    assert (tmp_path / "city.toml").read_text(encoding="utf-8").startswith(text)
    assert any("vertical_offset" in line for line in report.warnings)


def test_the_window_keeps_the_cells_of_the_tile(tmp_path, cloud):
    fetch(tmp_path, wish(cloud, "dem", "imagery"))
    with rasterio.open(tmp_path / "sources/dem_N40_00_E113_00.tif") as cut, rasterio.MemoryFile(cloud.files[DEM]) as m:
        with m.open() as whole:
            window = whole.window(*cut.bounds).round_offsets().round_lengths()
            assert (cut.read(1) == whole.read(1, window=window)).all()
        assert cut.width < 20
        assert cut.bounds.left <= PLACE[0]
        assert cut.bounds.top >= PLACE[3]
    assert (tmp_path / f"sources/imagery_{SCENE}.tif").exists()


@pytest.mark.parametrize(
    ("bbox", "tiles"),
    [
        ((113.2, 40.0, 113.4, 40.2), ["N40_00_E113"]),
        ((-0.1, -0.1, 0.1, 0.1), ["S01_00_W001", "N00_00_W001", "S01_00_E000", "N00_00_E000"]),
        ((112.9, 39.9, 113.0, 40.0), ["N39_00_E112"]),
    ],
)
def test_a_place_knows_its_one_degree_tiles(bbox, tiles):
    stem = read_services()["copernicus-dem"].layout["stem"]
    made = [tile_stem(stem, *corner) for corner in degree_tiles(read_place(bbox))]
    assert made == [f"Copernicus_DSM_COG_10_{t}_00_DEM" for t in tiles]


@pytest.mark.parametrize(
    ("lonlat", "crs"),
    [
        ((113.3, 40.1), "EPSG:4547"),
        ((121.5, 31.2), "EPSG:4549"),
        ((87.6, 43.8), "EPSG:4538"),
        ((4.36, 52.0), "EPSG:32631"),
        ((5.3, 60.4), "EPSG:32632"),
        ((-58.4, -34.6), "EPSG:32721"),
        ((127.0, 37.5), "EPSG:32652"),
        ((106.9, 47.9), "EPSG:32648"),
    ],
)
def test_the_frame_suits_the_place(lonlat, crs):
    lon, lat = lonlat
    assert frame_for(read_place((lon - 0.05, lat - 0.05, lon + 0.05, lat + 0.05)))[0] == crs


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"bbox": (114, 40, 113, 41)}, "west < east"),
        ({"bbox": (100, 30, 110, 31)}, "a city, not a country"),
        ({"what": ("lidar",)}, "unknown; there are dem, buildings"),
        ({"mirror": "file:///etc"}, "wants an address"),
        ({"release": "../x"}, "wants a name like"),
        ({"dates": "summer"}, "wants an interval"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_before_anything_is_written(tmp_path, change, line):
    with pytest.raises(OptionsError, match=line):
        fetch(tmp_path / "city", Wish(**{"bbox": PLACE, **change}))
    assert not (tmp_path / "city").exists()


def test_the_clearest_scenes_that_cover_the_place_are_chosen():
    import shapely

    place = read_place((113.0, 40.0, 114.0, 41.0))
    west, east = shapely.box(112, 39, 113.5, 42), shapely.box(113.5, 39, 115, 42)
    scenes = [
        Scene("cloudy", "", "2025-09-09", 80.0, west.union(east)),
        Scene("west", "", "2025-08-01", 2.0, west),
        Scene("west-newer", "", "2025-08-09", 2.0, west),
        Scene("east", "", "2025-07-01", 5.0, east),
    ]
    assert [s.id for s in choose_scenes(scenes, place)] == ["west-newer", "east"]


def test_an_item_names_neither_the_address_nor_the_file():
    body = items().replace(f'"id": "{SCENE}"'.encode(), b'"id": "../../outside"')
    assert [scene.id for scene in read_scenes(body, "u") if scene.cloud < 10] == [SCENE]
    body = items().replace(b"sentinel-s2-l2a-cogs", b"sentinel-s2-l2a-cogs/../..")
    assert read_scenes(body, "u") == []


def test_addresses_of_the_outside_world_stand_in_one_table_alone(root):
    for path in (root / "ingest/fetch").glob("*.py"):
        assert not re.search(r"https?://(?!mirror\.example)", path.read_text(encoding="utf-8")), path.name
    for name, service in read_services("https://mirror.example/x/").items():
        assert service.base == f"https://mirror.example/x/{name}"


def test_the_real_datong_is_declared_as_fetch_writes_it(root, tmp_path, cloud):
    city = open_city(root / "examples/datong")
    assert city.frame.crs == "EPSG:4547"
    fetch(tmp_path, wish(cloud, "dem", "buildings", "roads", "osm-addresses", "imagery"))
    ours = {s.name: s for s in open_city(tmp_path).sources}
    assert [s.name for s in city.sources] == list(ours)
    for source in city.sources:
        made = ours[source.name]
        for key in ("kind", "crs", "vertical", "licence", "columns", "values", "accuracy", "lineage"):
            assert getattr(source, key) == getattr(made, key), (source.name, key)
