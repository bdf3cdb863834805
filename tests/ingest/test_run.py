import numpy as np
import pytest
import shapely

from ingest.run import IngestOptions, build
from ingest.sources import READERS, register
from models_l2.build import L2Options
from models_l2.build import build as raise_buildings
from twin import pipeline
from twin.errors import MissingInputError, SourceError
from twin.workers import Workers

X, Y = 500_000.0, 4_430_000.0
COLUMNS = {"source_id": "BH", "name": "NAME", "height": "H", "function": "USE"}
VALUES = {"function": {"住宅": "residential"}}


def run(city, options=None):
    return build(city, options or IngestOptions(), Workers(1))


@pytest.fixture
def town(write_vector, write_raster, ground, make_city, tmp_path, frame):
    """Five footprints (one crossed, one off the DEM, two with absurd heights), a DEM, a picture, tables."""
    crossed = shapely.Polygon(
        [(X + 40, Y + 10), (X + 50, Y + 20), (X + 50, Y + 10), (X + 40, Y + 20), (X + 40, Y + 10)]
    )
    shapes = [shapely.box(X + 10, Y + 10, X + 20, Y + 20), crossed, shapely.box(X + 900, Y, X + 910, Y + 10)]
    shapes += [shapely.box(X + 60, Y + 60, X + 70, Y + 70), shapely.box(X + 80, Y + 80, X + 90, Y + 90)]
    write_vector(
        "b.shp", shapes, encoding="gbk", BH=["1", "B2", "B3", "B4", "B5"], NAME=["鼓楼", "", "", "", ""],
        H=[18.0, np.nan, 6.0, -3.0, 9999.0], USE=["住宅"] * 5,
    )  # fmt: skip
    write_raster("dem.tif", ground, nodata=-9999)
    write_raster("o1.tif", np.full((3, 20, 20), 90, np.uint8), cell=5.0, photometric="RGB")
    write_raster("o2.tif", np.full((3, 50, 50), 120, np.uint8), cell=1.0, photometric="RGB")
    lon, lat = frame.to_lonlat([[X + 15, Y + 15]])[0].tolist()
    (tmp_path / "a.csv").write_text(f"oid,text,lon,lat\nA1,鼓楼东街1号,{lon},{lat}\n", encoding="utf-8")
    (tmp_path / "s.csv").write_text(f"oid,lon,lat,target_oid,observed_property\ns1,{lon},{lat},1,tilt\n")
    (tmp_path / "o.csv").write_text("datastream,time,value\ns1/tilt,2026-06-21T00:00:00Z,0.5\n")
    return make_city(
        {"kind": "imagery", "path": "o2.tif"},
        {"kind": "footprints", "path": "b.shp", "columns": COLUMNS, "values": VALUES, "licence": "CC0"},
        {"kind": "dem", "path": "dem.tif"},
        {"kind": "imagery", "path": "o1.tif"},
        {"kind": "addresses", "path": "a.csv", "crs": "EPSG:4326"},
        {"kind": "sensors", "path": "s.csv", "crs": "EPSG:4326"},
        {"kind": "observations", "path": "o.csv"},
    )


def test_every_footprint_is_in_the_store_or_a_named_outcome(town):
    report = run(town)
    layer = town.store.read_layer("building")
    assert layer.oid.tolist() == ["building-1", "B2", "B2~2", "B3", "B4", "B5"]
    reasons = {o.oid: o.reason for o in report.outcomes}
    assert "self-intersection" in reasons["B2"]
    assert "outside the DEM" in reasons["B3"]
    assert "height -3 m" in reasons["B4"]
    assert "height 9999 m" in reasons["B5"]
    assert report.done == 3  # building-1, the second half of B2, the address
    assert not report.failed


def test_columns_values_and_address_arrive_on_the_building(town):
    run(town)
    drum = town.store.read_layer("building", oids=["building-1"])
    words = {key: drum.column(key)[0] for key in ("name", "function", "source_id", "address", "height")}
    assert words == {
        "name": "鼓楼",
        "function": "residential",
        "source_id": "1",
        "address": "鼓楼东街1号",
        "height": 18.0,
    }
    assert town.store.item("layer", "building").lineage.licence == "CC0"


def test_pictures_are_kept_coarse_to_fine(town):
    run(town)
    assert town.store.raster_box("ortho_0").resolution == (5.0, 5.0)
    assert town.store.raster_box("ortho_1").resolution == (1.0, 1.0)


def test_sensors_and_values_are_live_and_point_at_the_building(town):
    run(town)
    live = town.store.live
    assert [thing.target_oid for thing in live.things()] == ["building-1"]
    assert [(o.datastream_oid, o.value) for o in live.latest()] == [("s1/tilt", 0.5)]


def test_a_second_ingest_writes_the_same_bytes(town):
    run(town)
    before = {(i.kind, i.name): i.digest for i in town.store.items()}
    files = {(i.kind, i.name): town.store.path(i.kind, i.name).read_bytes() for i in town.store.items()}
    run(town)
    assert {(i.kind, i.name): i.digest for i in town.store.items()} == before
    assert {(i.kind, i.name): town.store.path(i.kind, i.name).read_bytes() for i in town.store.items()} == files


def test_what_no_source_brings_any_more_is_taken_out(town, make_city):
    run(town)
    smaller = make_city(
        {"kind": "footprints", "path": "b.shp", "columns": COLUMNS, "values": VALUES},
        {"kind": "dem", "path": "dem.tif"},
    )
    run(smaller)
    assert [(i.kind, i.name) for i in smaller.store.items()] == [
        ("document", "ingest_report"), ("document", "quality"), ("document", "sources"),
        ("layer", "building"), ("raster", "dem"),
    ]  # fmt: skip


def test_a_source_that_cannot_be_read_leaves_the_store_as_it_was(town, tmp_path):
    run(town)
    before = {(i.kind, i.name): i.digest for i in town.store.items()}
    (tmp_path / "dem.tif").write_bytes((tmp_path / "dem.tif").read_bytes()[:300])
    with pytest.raises(SourceError, match=r"^dem.tif: "):
        run(town)
    assert {(i.kind, i.name): i.digest for i in town.store.items()} == before


def test_the_report_document_tells_counts_and_completeness(town):
    report = run(town)
    document = town.store.read_document("ingest_report")
    assert document["counts"] == {"done": 3, "fallback": 4, "skipped": 0, "failed": 0}
    assert document["figures"]["buildings_with_height"] == 2
    assert document["completeness"]["building"]["name"] == pytest.approx(1 / 6, abs=1e-6)
    assert report.figures["addresses_matched"] == 1
    sources = town.store.read_document("sources")["sources"]
    assert [source["kind"] for source in sources][:3] == ["imagery", "footprints", "dem"]
    assert sources[1]["tally"] == {"features": 5, "invalid": 1, "fallback": 3, "skipped": 0}


def test_without_any_source_nothing_starts(make_city):
    with pytest.raises(MissingInputError, match=r"nothing to ingest; add a \[\[source\]\]"):
        run(make_city())


def test_a_dem_alone_is_kept_and_l2_says_what_it_lacks(make_city, write_raster, ground):
    write_raster("dem.tif", ground)
    city = make_city({"kind": "dem", "path": "dem.tif"})
    report = run(city)
    assert report.warnings == (
        'partial delivery: L2 will lack buildings (a source of kind "footprints" or "citymodel")',
    )
    assert [(i.kind, i.name) for i in city.store.items() if i.kind != "document"] == [("raster", "dem")]
    with pytest.raises(MissingInputError, match=r"no layer 'building'; declare a \[\[source\]\]"):
        raise_buildings(city, L2Options(), Workers(1))


def test_observations_alone_are_kept_and_the_one_warning_names_both_lacks(make_city, tmp_path):
    (tmp_path / "o.csv").write_text("datastream,time,value\ns1/tilt,2026-06-21T00:00:00Z,0.5\n")
    city = make_city({"kind": "observations", "path": "o.csv"})
    report = run(city)
    assert len(report.warnings) == 1
    assert "lack buildings" in report.warnings[0]
    assert "and ground" in report.warnings[0]
    assert [o.value for o in city.store.live.latest()] == [0.5]


def test_addresses_without_buildings_keep_their_text_and_no_match(make_city, tmp_path):
    (tmp_path / "a.csv").write_text("oid,road,number,lon,lat\nA1,鼓楼东街,1号,114.0,40.0\n", encoding="utf-8")
    city = make_city({"kind": "addresses", "path": "a.csv", "crs": "EPSG:4326"})
    assert run(city).figures["addresses_matched"] == 0
    assert city.store.read_layer("address").column("text").tolist() == ["鼓楼东街1号"]


def test_the_recipe_stops_at_l2_with_one_line_and_does_not_ingest_again(make_city, write_raster, ground):
    write_raster("dem.tif", ground)
    city = make_city({"kind": "dem", "path": "dem.tif"})
    for _ in range(2):
        with pytest.raises(MissingInputError, match="no layer 'building'"):
            pipeline.run(city, Workers(1))
    assert pipeline.run(city, Workers(1), only=["ingest"]) == []


def test_an_empty_layer_is_a_warning_unless_it_is_the_only_building_source(
    make_city, write_vector, write_raster, ground
):
    write_raster("dem.tif", ground)
    write_vector("b.gpkg", [shapely.box(X, Y, X + 5, Y + 5)])
    write_vector("none.gpkg", [])
    dem = {"kind": "dem", "path": "dem.tif"}
    report = run(make_city(dem, {"kind": "footprints", "path": "b.gpkg"}, {"kind": "water", "path": "none.gpkg"}))
    assert report.warnings == ("none.gpkg: the layer is empty",)
    with pytest.raises(SourceError, match="s1_footprints: no building in any footprint source"):
        run(make_city(dem, {"kind": "footprints", "path": "none.gpkg"}))


def test_no_two_readers_take_the_same_kind():
    with pytest.raises(SourceError, match="two readers for source kind 'dem'"):
        register([READERS["dem"]], READERS)
