"""Two deliveries of divisions, each with its days: versions in one layer, succession, old words in addresses."""

import numpy as np
import orjson
import pytest
import shapely

from ingest.run import IngestOptions, build
from tests.conftest import absent
from twin.city import open_city
from twin.errors import OptionsError
from twin.workers import Workers

X, Y = 500_000.0, 4_430_000.0
OLD = {"name": "old", "kind": "divisions", "path": "old.gpkg", "valid_to": "2018-02-09"}
NEW = {"name": "new", "kind": "divisions", "path": "new.gpkg", "valid_from": "2018-02-09"}
COLUMNS = {"columns": {"source_id": "code", "name": "title", "division_level": "level"}}
HOUSES = {"kind": "footprints", "path": "b.gpkg"}
PLATES = {"kind": "addresses", "path": "a.csv", "crs": "EPSG:4326"}


def strip(a, b):
    return shapely.box(X + a, Y, X + b, Y + 100)


@pytest.fixture
def town(write_vector, make_city, frame, tmp_path):
    """城区 (0-40) and 南郊区 (40-100) became 平城区 (0-60) and 云冈区 (60-100)."""
    write_vector("old.gpkg", [strip(0, 40), strip(40, 100)], code=["1", "2"], title=["城区", "南郊区"],
                 level=["district"] * 2)  # fmt: skip
    write_vector("new.gpkg", [strip(0, 60), strip(60, 100)], code=["3", "4"], title=["平城区", "云冈区"],
                 level=["district"] * 2)  # fmt: skip
    write_vector(
        "b.gpkg", [shapely.box(X + d, Y + 10, X + d + 8, Y + 20) for d in (10, 45, 80)], bid=["b1", "b2", "b3"]
    )
    places = frame.to_lonlat([[X + 14, Y + 15], [X + 49, Y + 15], [X + 84, Y + 15]])
    texts = ("城区永泰街1号", "南郊区永泰街2号", "南郊区永泰街3号")
    rows = [
        f"A{k},{text},{text[:-5]},永泰街,{k + 1},{at[0]},{at[1]}"
        for k, (text, at) in enumerate(zip(texts, places, strict=True))
    ]
    (tmp_path / "a.csv").write_text(
        "\n".join(["oid,text,district,road,number,lon,lat", *rows]) + "\n", encoding="utf-8"
    )

    def make(*sources):
        return make_city(*sources, HOUSES, PLATES)

    return make


def run(city):
    return build(city, IngestOptions(), Workers(1))


def test_each_day_has_its_divisions_and_todays_keep_their_oid(town):
    city = town(OLD | COLUMNS, NEW | COLUMNS)
    run(city)
    assert city.divisions().oid.tolist() == ["division-3", "division-4"]
    assert city.divisions("2018-02-09").column("name").tolist() == ["平城区", "云冈区"]
    assert city.divisions("2018-02-08").oid.tolist() == ["division-1@until-2018-02-09", "division-2@until-2018-02-09"]
    with pytest.raises(OptionsError, match="YYYY-MM-DD"):
        city.divisions("2018")


def test_succession_tells_who_took_which_part(town):
    city = town(OLD | COLUMNS, NEW | COLUMNS)
    run(city)
    told = {(row["old_name"], row["new_name"]): (row["kind"], row["share_old"]) for row in city.succession()}
    assert told == {
        ("城区", "平城区"): ("merged", 1.0),
        ("南郊区", "云冈区"): ("split", 0.6667),
        ("南郊区", "平城区"): ("split", 0.3333),
    }  # fmt: skip
    assert {row["day"] for row in city.succession()} == {"2018-02-09"}
    run(town(NEW | COLUMNS))
    assert city.succession() == []


def test_an_address_in_an_old_district_gets_the_successor_it_lies_in_and_keeps_its_text(town):
    city = town(OLD | COLUMNS, NEW | COLUMNS)
    report = run(city)
    addresses = city.layer("address")
    assert addresses.column("district").tolist() == ["平城区", "平城区", "云冈区"]
    assert addresses.column("text")[0] == "城区永泰街1号"
    assert report.figures["addresses_renewed"] == 3


def test_days_of_another_form_are_read_and_what_is_no_day_is_told(town, write_vector):
    write_vector("new.gpkg", [strip(0, 60), strip(60, 100)], code=["3", "4"], title=["平城区", "云冈区"],
                 level=["district"] * 2, since=["2018年2月9日", "lately"])  # fmt: skip
    own = {"columns": COLUMNS["columns"] | {"valid_from": "since"}}
    city = town(NEW | own | {"valid_from": ""})
    report = run(city)
    assert city.layer("division").column("valid_from").tolist() == ["2018-02-09", ""]
    assert any("1 values are no day" in line for line in report.warnings)


@pytest.mark.parametrize("change", [{"valid_from": "2018"}, {"valid_from": "2019-01-01", "valid_to": "2018-01-01"}])
def test_days_that_cannot_be_are_refused(town, change):
    with pytest.raises(OptionsError, match="YYYY-MM-DD"):
        town(NEW | COLUMNS | change)


@pytest.mark.real
def test_datong_before_and_after_2018_in_one_city(data, write_vector, frame, tmp_path):
    folder = data / "datong-admin"
    if not folder.is_dir():
        absent("../shared/data/datong-admin")
    write_vector("b.gpkg", [shapely.box(X, Y, X + 8, Y + 10)])
    source = "[[source]]\nkind = {kind!r}\nname = {name!r}\npath = {path!r}\ncrs = {crs!r}\n"
    words = 'columns = {{ source_id = "adcode", code = "adcode", division_level = "level" }}\n{days}\n'
    toml = '[city]\nid = "datong"\n[frame]\ncrs = "EPSG:4547"\nvertical = "1985"\n'
    toml += source.format(kind="footprints", name="b", path="b.gpkg", crs="EPSG:4547")
    for name, days in (("140200_full", 'valid_to = "2018-02-09"'), ("140200_jamesview", 'valid_from = "2018-02-09"')):
        path = str((folder / f"{name}.json").resolve())
        toml += source.format(kind="divisions", name=name, path=path, crs="GCJ-02") + words.format(days=days)
    (tmp_path / "city.toml").write_text(toml, encoding="utf-8")
    city = open_city(tmp_path)
    run(city)
    assert len(city.divisions()) == 10
    assert len(city.divisions("2017-12-31")) == 11
    heirs: dict[str, set[str]] = {}
    for row in city.succession():
        heirs.setdefault(row["old_name"], set()).add(row["new_name"])
    assert (heirs["城区"], heirs["矿区"], heirs["大同县"]) == ({"平城区"}, {"云冈区"}, {"云州区"})
    assert heirs["南郊区"] == {"平城区", "云冈区", "新荣区"}
    assert orjson.loads(orjson.dumps(city.succession())) == city.succession()
    assert np.isin(city.divisions().column("code"), ["140213", "140214", "140215"]).sum() == 3
