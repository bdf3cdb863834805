"""What city.toml declares and the disk does not hold, or holds otherwise: one clear line each, or a whole ingest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.robustness.city import Nursery, declare, judge, state_of
from tests.robustness.mutators import zipped
from tests.robustness.seeds import seeds

pytestmark = pytest.mark.slow

ROWS = "oid,text,lon,lat\na1,和阳街1号,114.0,40.0\n"
ADDRESSES = {"name": "tested", "kind": "addresses", "crs": "EPSG:4326"}


@pytest.fixture
def city(nursery: Nursery, tmp_path: Path) -> Path:
    """A city with an ingest of its one sound source."""
    folder = tmp_path / "city"
    folder.mkdir()
    declare(folder)
    assert nursery.ingest(folder).code == 0
    return folder


def refused(nursery: Nursery, city: Path, source: dict, shown: str, *words: str) -> str:
    """The one line of an ingest that must fail and leave the store as it was."""
    declare(city, source)
    before = state_of(city)
    ended = nursery.ingest(city)
    assert ended.code == 2, ended
    judge(ended, city, before, shown)
    line = ended.stderr.splitlines()[-1]
    assert all(word in line for word in words), line
    return line


@pytest.mark.parametrize("kind", ["addresses", "footprints", "dem", "imagery", "points", "citymodel", "observations"])
def test_a_missing_file_is_named_with_its_source(kind, nursery, city):
    source = ADDRESSES | {"kind": kind, "path": "gone.xyz"}
    refused(nursery, city, source, "gone.xyz", "no such file", "'tested'", "city.toml")


def test_a_pattern_that_fits_nothing_is_named(nursery, city):
    refused(nursery, city, ADDRESSES | {"path": "sheets/*.csv"}, "sheets/*.csv", "no file fits", "city.toml")


def test_a_list_names_the_one_that_is_missing(nursery, city):
    (city / "a.csv").write_text(ROWS, encoding="utf-8")
    refused(nursery, city, ADDRESSES | {"path": ["a.csv", "b.csv"]}, "b.csv", "no such file")


@pytest.mark.parametrize("kind", ["addresses", "footprints", "dem", "imagery", "points", "citymodel", "incidents"])
def test_an_empty_file_is_named(kind, nursery, city):
    name = {"addresses": "e.csv", "incidents": "e.csv", "footprints": "e.geojson", "points": "e.las"}.get(kind, "e.tif")
    (city / name).touch()
    refused(nursery, city, ADDRESSES | {"kind": kind, "path": name}, name)


@pytest.mark.parametrize("kind", ["addresses", "footprints", "dem", "imagery", "points", "citymodel", "sensors"])
@pytest.mark.parametrize("name", ["folder", "folder.csv", "folder.shp", "folder.zip"])
def test_a_folder_in_the_place_of_a_file_is_named(kind, name, nursery, city):
    (city / name).mkdir()
    refused(nursery, city, ADDRESSES | {"kind": kind, "path": name}, name, "folder")


def test_a_link_that_goes_round_is_named(nursery, city):
    (city / "a.csv").symlink_to("b.csv")
    (city / "b.csv").symlink_to("a.csv")
    refused(nursery, city, ADDRESSES | {"path": "a.csv"}, "a.csv")


def test_a_link_to_nowhere_is_named(nursery, city):
    (city / "a.csv").symlink_to("gone.csv")
    refused(nursery, city, ADDRESSES | {"path": "a.csv"}, "a.csv", "no such file")


def test_a_file_that_may_not_be_read_is_named(nursery, city):
    (city / "a.csv").write_text(ROWS, encoding="utf-8")
    (city / "a.csv").chmod(0)
    refused(nursery, city, ADDRESSES | {"path": "a.csv"}, "a.csv")


def test_a_pipe_is_no_file(nursery, city):
    os.mkfifo(city / "a.csv")
    refused(nursery, city, ADDRESSES | {"path": "a.csv"}, "a.csv")


@pytest.mark.parametrize("length", [300, 5000])
def test_a_path_longer_than_the_disk_takes_is_named(length, nursery, city):
    refused(nursery, city, ADDRESSES | {"path": "x" * length + ".csv"}, "xxxxxxxx", "city.toml")


@pytest.mark.parametrize("path", ["", "\0", ".", "a\0b.csv"])
def test_a_path_that_is_none_is_refused(path, nursery, city):
    declare(city, ADDRESSES | {"path": path})
    before = state_of(city)
    ended = nursery.ingest(city)
    assert ended.code == 2, ended
    judge(ended, city, before, "tested" if path != "." else "folder")


@pytest.mark.parametrize(
    "name",
    ["a b.csv", "和阳街 门牌.csv", "🏯.csv", "a'b\".csv", "a;b&c$(d).csv", "-a.csv", "a\nb.csv", "%41.csv", "é.csv"],
)
def test_any_name_that_the_disk_takes_is_read(name, nursery, city):
    (city / name).write_text(ROWS, encoding="utf-8")
    declare(city, ADDRESSES | {"path": name})
    ended = nursery.ingest(city)
    assert ended.code == 0, ended


def test_a_name_that_looks_like_a_pattern_is_read(nursery, city):
    (city / "a[1].csv").write_text(ROWS, encoding="utf-8")
    declare(city, ADDRESSES | {"path": "a[1].csv"})
    assert nursery.ingest(city).code == 0


@pytest.mark.parametrize("name", ["a b.shp", "和阳街 门牌.gpkg", "🏯.geojson", "a'b.gpkg", "#a?b=1.geojson", "-a.gpkg"])
def test_any_name_is_read_through_gdal(name, nursery, city):
    seed = seeds()[Path(name).suffix[1:]]
    for own, data in seed.files.items():
        (city / (Path(name).stem + Path(own).suffix)).write_bytes(data)
    declare(city, {"name": "tested", "path": name} | {k: v for k, v in seed.source.items() if k != "layer"})
    ended = nursery.ingest(city)
    assert ended.code == 0, ended


def test_a_name_with_a_line_break_does_not_break_the_line(nursery, city):
    (city / "a\nb.csv").write_text("oid,text\na1,x\n", encoding="utf-8")
    assert "no coordinates" in refused(nursery, city, ADDRESSES | {"path": "a\nb.csv"}, "a\\nb.csv")


def test_the_same_file_twice_brings_its_features_once(nursery, city):
    (city / "a.csv").write_text(ROWS, encoding="utf-8")
    declare(city, ADDRESSES | {"path": ["a.csv", "a.csv", "./a.csv", "a*.csv"]})
    ended = nursery.ingest(city)
    assert ended.code == 0, ended
    info = nursery.run(city, "info", str(city), "--json")
    counts = {item["name"]: item["count"] for item in json.loads(info.stdout)["items"] if item["kind"] == "layer"}
    assert counts["address"] == 1


def test_names_in_a_chinese_code_page_are_read_from_an_archive(nursery, city):
    members = {f"xxxxxxxx{Path(name).suffix}": data for name, data in seeds()["shp"].files.items()}
    packed = zipped(members).replace(b"xxxxxxxx", "平城楼宇".encode("gb18030"))
    (city / "b.zip").write_bytes(packed)
    declare(
        city, {"name": "tested", "path": "b.zip"} | {k: v for k, v in seeds()["shp"].source.items() if k != "layer"}
    )
    assert nursery.ingest(city).code == 0


def test_a_source_list_that_is_no_table_is_refused(nursery, city):
    text = (city / "city.toml").read_text(encoding="utf-8")
    before = state_of(city)
    for words in ('source = "a.csv"', "source = [1, 2]", 'source = [["a"]]', "[source]\nname = 1", "[[source"):
        (city / "city.toml").write_text(words + "\n" + text.partition("[[source]]")[0], encoding="utf-8")
        ended = nursery.ingest(city)
        assert ended.code == 2, (words, ended)
        judge(ended, city, before, "city.toml")
