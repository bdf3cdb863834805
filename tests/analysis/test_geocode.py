"""Words to places and back: a small street first, then the districts of Datong."""

import csv
from collections import Counter
from dataclasses import replace

import numpy as np
import orjson
import pytest
import shapely

from tests.conftest import absent
from twin.analysis.geocode import division_chain, geocode, locate, reverse
from twin.analysis.places import places
from twin.features import Layer
from twin.frames import Frame, to_frame

FRAME = Frame("EPSG:32649", "1985")
TEXTS = [
    "山西省大同市平城区西街街道清远街51号", "山西省大同市平城区西街街道清远街53号",
    "大同市平城区迎宾街道迎宾街10号1号楼", "大同市平城区迎宾街道迎宾街10号2号楼", "大同市云冈区迎宾街10号1号楼",
]  # fmt: skip


@pytest.fixture
def street():
    at = [20.0 * k for k in range(5)]
    addresses = Layer.build(
        "address", FRAME, [f"a{k}" for k in range(5)], shapely.points(at, [12.0] * 5),
        {"text": TEXTS, "building_oid": [f"b{k}" for k in range(5)]},
    )  # fmt: skip
    boxes = [shapely.box(x - 5, 0, x + 5, 10) for x in at]
    buildings = Layer.build(
        "building", FRAME, [f"b{k}" for k in range(5)], boxes, {"name": ["鼓楼", "", "", "", "鼓楼小学"]}
    )
    squares = [shapely.box(-100, -100, 200, 100), shapely.box(-100, -100, 30, 100)]
    divisions = Layer.build(
        "division", FRAME, ["d", "s"], squares,
        {"code": ["140213", "140213001"], "name": ["平城区", "西街街道"], "division_level": ["district", "street"],
         "parent": ["1402", "140213"]},
    )  # fmt: skip
    return places(addresses, buildings, divisions)


def test_a_full_address_is_found_however_it_is_written(street):
    for text, oid in [(TEXTS[1], "a1"), ("清远街５３号", "a1"), ("平城区清远街五十三號", "a1"), (TEXTS[3], "a3")]:
        assert geocode(text, street)[0].oid == oid
    first = geocode(TEXTS[1], street)[0]
    assert (first.confidence, first.building, first.xy) == (1.0, "b1", (20.0, 12.0))


def test_another_number_district_or_building_is_no_candidate(street):
    assert [c.oid for c in geocode("平城区迎宾街10号2号楼", street)] == ["a3"]
    assert [c.oid for c in geocode("云冈区迎宾街10号", street)] == ["a4"]
    nearest = geocode("清远街99号", street)
    assert [(c.oid, c.kind, c.confidence) for c in nearest] == [("a1", "road", 0.3)]
    assert geocode("", street) == ()


@pytest.mark.parametrize(
    ("text", "oid", "code", "confidence"),
    [
        ("清运街51号", "a0", "typo", 0.72),
        ("清远51号", "a0", "suffix", 0.81),
        ("平城区清遠街51號", "a0", "road", 0.9),
        ("清远街51号7号楼", "a0", "road", 0.76),
        ("迎宾街10号9号楼", "a2", "no_house", 0.63),
    ],
)
def test_slips_are_tolerated_by_rule_and_said(street, text, oid, code, confidence):
    first = geocode(text, street)[0]
    assert (first.oid, first.confidence) == (oid, pytest.approx(confidence, abs=0.001))
    assert code in {reason.code for reason in first.reasons}
    assert all(reason.zh and reason.en for reason in first.reasons)


def test_two_wrong_characters_are_no_typo(street):
    assert geocode("清运路51号", street) == ()


def test_an_old_district_finds_what_lies_in_its_successor(street):
    heirs = [{"old_name": "城区", "new_name": "平城区"}]
    where = replace(street, heirs={row["old_name"]: frozenset([row["new_name"]]) for row in heirs})
    first = geocode("城区清远街51号", where)[0]
    assert (first.oid, first.confidence) == ("a0", pytest.approx(0.882))
    assert "heir" in {reason.code for reason in first.reasons}
    assert geocode("城区清远街51号", street) == ()
    assert [c.kind for c in geocode("城区", where)] == ["division"]


def test_less_said_is_less_sure(street):
    sure = [geocode(text, street)[0].confidence for text in (TEXTS[0], "清远街51号", "清远街")]
    assert sure == sorted(sure, reverse=True)
    assert len(set(sure)) == 3
    assert len(geocode("清远街", street)) == 2
    assert len(geocode("清远街", street, limit=1)) == 1


def test_a_name_finds_its_building_before_one_that_only_holds_it(street):
    found = geocode("鼓楼", street)
    assert [c.oid for c in found] == ["b0", "b4"]
    assert found[0].confidence == 0.9


def test_a_point_knows_its_divisions_address_and_building(street):
    here = reverse((21.0, 5.0), street)
    assert here.divisions == (("140213", "平城区", "district"), ("140213001", "西街街道", "street"))
    assert (here.address, here.address_text, here.building, here.building_distance) == ("a1", TEXTS[1], "b1", 0.0)
    np.testing.assert_allclose(here.address_distance, np.hypot(1, 7))
    far = reverse((1000.0, 1000.0), street)
    assert (far.divisions, far.address, far.building) == ((), "", "")
    assert np.isnan(far.address_distance)


def test_what_is_geocoded_is_found_again_from_its_place(street):
    for text in TEXTS:
        found = geocode(text, street)[0]
        assert reverse(found.xy, street).address_text == text


@pytest.mark.real
def test_the_protected_sites_of_datong_lie_in_their_districts(data):
    if not (data / "datong-heritage").is_dir():
        absent("../shared/data/datong-heritage")
    features = orjson.loads((data / "datong-admin" / "140200_jamesview.json").read_bytes())["features"]
    shapes = shapely.from_geojson([orjson.dumps(feature["geometry"]).decode() for feature in features])
    codes = [str(feature["properties"]["adcode"]) for feature in features]
    districts = Layer.build(
        "division", FRAME, codes, shapely.transform(shapes, lambda xy: to_frame(xy, "GCJ-02", FRAME)),
        {"code": codes, "division_level": ["district"] * len(codes)},
    )  # fmt: skip
    with (data / "datong-heritage" / "datong_heritage.csv").open(encoding="utf-8") as file:
        sites = [(float(row["lng"]), float(row["lat"])) for row in csv.DictReader(file)]
    assert Counter(locate(to_frame(sites, "GCJ-02", FRAME), districts)) == {
        "140213": 9, "140225": 7, "140214": 4, "140221": 3, "140222": 2, "140224": 2, "140212": 1, "140223": 1,
    }  # fmt: skip


@pytest.mark.real
def test_every_village_of_datong_climbs_to_its_district(data):
    folder = data / "datong-admin"
    if not folder.is_dir():
        absent("../shared/data/datong-admin")
    rows = []
    for name, level, parent in (("areas", "district", ""), ("streets", "street", "areaCode"),
                                ("villages", "community", "streetCode")):  # fmt: skip
        with (folder / f"datong_{name}.csv").open(encoding="utf-8") as file:
            rows += [(row["code"], row["name"], level, row.get(parent, "")) for row in csv.DictReader(file)]
    code, name, level, parent = zip(*rows, strict=True)
    table = Layer.build(
        "division", FRAME, code, [None] * len(rows),
        {"code": code, "name": name, "division_level": level, "parent": parent},
    )  # fmt: skip
    assert [step[1] for step in division_chain("140212100201", table)] == ["新荣区", "新荣镇", "新荣村村委会"]
    villages = [word for word in code if len(word) == 12]
    sample = villages[::60]
    assert len(villages) == 1827
    assert all(
        [step[2] for step in division_chain(word, table)] == ["district", "street", "community"] for word in sample
    )
    assert division_chain("999", table) == ()
