"""OpenStreetMap extracts: the right one is chosen, checked, and read as buildings, roads and addresses."""

from __future__ import annotations

import json

import pytest

from ingest.fetch.build import Wish, fetch
from ingest.fetch.osm import choose_extract
from ingest.fetch.places import read_place
from ingest.fetch.services import read_services
from ingest.run import IngestOptions, build
from tests.fetch.conftest import EXTRACT, PLACE, extract
from tests.fetch.test_fetch import QUICK
from twin.city import open_city
from twin.errors import OptionsError, SourceError
from twin.workers import Workers

ALL = ("osm-buildings", "osm-roads", "osm-addresses")


def wish(cloud, *what, **more):
    return Wish(PLACE, what or ALL, cloud.url, patience=QUICK, **more)


def test_an_extract_becomes_buildings_roads_and_addresses(tmp_path, cloud):
    report = fetch(tmp_path, wish(cloud, "dem", *ALL))
    assert (report.done, report.outcomes) == (4, ())
    city = open_city(tmp_path)
    assert [s.name for s in city.sources][1:] == ["osm-buildings", "osm-roads", "osm-addresses"]
    assert {s.licence for s in city.sources[1:]} == {"ODbL-1.0"}
    assert {s.date for s in city.sources[1:]} == {"2025-09-24"}
    told = build(city, IngestOptions(), Workers(1))
    assert not told.failed
    temple = city.layer("building")
    assert temple.column("source_id").tolist() == ["way/10"]
    words = [temple.column(name)[0] for name in ("name", "name_en", "function", "address", "height", "storeys")]
    assert words == ["善化寺", "Shanhua", "religious", "永泰街6号", 12.0, 2.0]
    roads = city.layer("road")
    assert sorted(roads.column("road_class")) == ["path", "primary"]
    assert sorted(roads.column("bridge")) == [0.0, 1.0]
    found = city.layer("address")
    assert sorted(found.column("text")) == ["大西街12号", "永泰街6号"]
    inside = found.column("text").tolist().index("永泰街6号")
    assert found.column("building_oid")[inside] == temple.oid[0]


def test_one_extract_serves_all_three_and_a_rerun_asks_for_nothing(tmp_path, cloud):
    fetch(tmp_path, wish(cloud))
    assert len(cloud.asked(f"/openstreetmap/{EXTRACT}")) == 1
    cloud.log.clear()
    fetch(tmp_path, wish(cloud))
    assert cloud.log == []


def test_the_smallest_extract_that_holds_the_whole_place_is_chosen(tmp_path, stock):
    index = tmp_path / "index-v1.json"
    index.write_bytes(stock["/openstreetmap/index-v1.json"])
    service = read_services()["openstreetmap"]
    assert choose_extract(index, service, read_place(PLACE)) == EXTRACT
    assert choose_extract(index, service, read_place((109.9, 38, 110.1, 38.2))) == "asia/china-latest.osm.pbf"
    with pytest.raises(SourceError, match="no extract holds the whole place; name one with --extract"):
        choose_extract(index, service, read_place((2, 48, 3, 49)))
    index.write_text("[]", encoding="utf-8")
    with pytest.raises(SourceError, match="not the index of the extracts"):
        choose_extract(index, service, read_place(PLACE))


def test_a_named_extract_needs_no_index(tmp_path, cloud):
    fetch(tmp_path, wish(cloud, "osm-roads", extract="asia/china/shanxi"))
    assert not cloud.asked("/openstreetmap/index-v1.json")
    with pytest.raises(OptionsError, match="wants a name like asia/china/shanxi"):
        fetch(tmp_path, wish(cloud, "osm-roads", extract="../x"))


def test_an_extract_that_is_not_the_one_of_its_md5_goes_and_comes_again(tmp_path, cloud):
    path = f"/openstreetmap/{EXTRACT}"
    right = cloud.files[path]
    cloud.files[path] = right[:-1] + b"\0"
    report = fetch(tmp_path, wish(cloud, "osm-roads"))
    assert "MD5 checksum of the file is not the one beside it" in report.outcomes[0].reason
    assert not list(tmp_path.rglob("*.pbf"))
    cloud.files[path] = right
    assert fetch(tmp_path, wish(cloud, "osm-roads")).done == 1


def test_a_service_without_md5_is_said(tmp_path, cloud):
    del cloud.files[f"/openstreetmap/{EXTRACT}.md5"]
    report = fetch(tmp_path, wish(cloud, "osm-roads"))
    assert report.done == 1
    assert any("keeps no MD5 beside it" in line for line in report.warnings)


def test_an_extract_cut_short_on_the_server_is_one_clear_line(tmp_path, cloud):
    del cloud.files[f"/openstreetmap/{EXTRACT}.md5"]
    cloud.files[f"/openstreetmap/{EXTRACT}"] = extract()[:-40]
    report = fetch(tmp_path, wish(cloud))
    assert {o.status for o in report.outcomes} == {"failed"}
    assert all("cannot be read to the end" in o.reason for o in report.outcomes)
    assert open_city(tmp_path).sources == ()


def test_features_are_written_in_the_order_of_their_ids(tmp_path, cloud):
    fetch(tmp_path, wish(cloud, "osm-roads"))
    table = json.loads((tmp_path / "sources/osm_roads.geojson").read_text(encoding="utf-8"))
    assert [f["properties"]["id"] for f in table["features"]] == ["way/11", "way/13"]
