import csv
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import absent
from twin.analysis.address_words import Address, PlaceNames, agreement, compose, parse, tidy

NAMES = st.text(alphabet="平城云鼓楼清远迎宾文昌德馨武定永泰", min_size=2, max_size=3)
NUMBERS = st.integers(1, 999).map(str)


def level(suffix):
    return st.one_of(st.just(""), NAMES.map(lambda name: name + suffix))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "山西省大同市平城区西街街道清远街51号普光明殿",
            Address(province="山西省", city="大同市", district="平城区", street="西街街道", road="清远街", number="51",
                 place="普光明殿"),
        ),
        ("大同市城区四牌楼32号", Address(city="大同市", district="城区", road="四牌楼", number="32")),
        ("德馨路25号21号院", Address(road="德馨路", number="25", building="21号院")),
        (
            "平城区迎宾街十二号阳光小区三号楼二单元501室",
            Address(district="平城区", road="迎宾街", number="12", place="阳光小区", building="3号楼", unit="2单元",
                 room="501室"),
        ),
        (
            "新竹市東區光復路二段194巷3弄19號",
            Address(city="新竹市", district="東区", road="光復路2段194巷3弄", number="19"),
        ),
        ("大學路1007巷 1號", Address(road="大學路1007巷", number="1")),
        ("展業二路16-1", Address(road="展業二路", number="16-1")),
        ("中关村大街一百零五号A座", Address(road="中关村大街", number="105", building="A座")),
        ("新荣区新荣镇新荣村", Address(district="新荣区", street="新荣镇", community="新荣村")),
        ("御河西路18号院3号楼", Address(road="御河西路", number="18号院", building="3号楼")),
        ("上海市静安区南京西路1038弄", Address(city="上海市", district="静安区", road="南京西路1038弄")),
    ],
)  # fmt: skip
def test_an_address_comes_apart_at_its_levels(text, said):
    assert parse(text) == said


def golden():
    with (Path(__file__).parent / "address_golden.csv").open(encoding="utf-8") as file:
        return [
            (row["text"], dict(part.split("=") for part in row["parts"].split(";"))) for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize(("text", "parts"), golden())
def test_the_golden_addresses_come_apart_as_a_person_reads_them(text, parts):
    said = parse(text)
    assert {field.name: word for field in fields(said) if (word := getattr(said, field.name))} == parts


def test_the_golden_table_is_large_enough_to_mean_something():
    assert len(golden()) >= 60


NAMES_OF_TOWN = PlaceNames.of(
    {
        "city": ["大同市"], "district": ["平城区", "云冈区"], "street": ["西街街道", "南街街道", "新平旺街道"],
        "community": ["马王庙社区"], "road": ["清远街", "永泰街", "西街", "平城街", "云冈路"],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("大同平城永泰街12号", Address(city="大同市", district="平城区", road="永泰街", number="12")),
        ("平城区西街清远街51号", Address(district="平城区", street="西街街道", road="清远街", number="51")),
        ("平城区西街51号", Address(district="平城区", road="西街", number="51")),
        ("平城街8号", Address(road="平城街", number="8")),
        ("云冈路3号", Address(road="云冈路", number="3")),
        ("平城苑小区3号楼", Address(place="平城苑小区", building="3号楼")),
        ("平城区新平旺永泰街7号", Address(district="平城区", street="新平旺街道", road="永泰街", number="7")),
        ("平城区马王庙清远街7号", Address(district="平城区", community="马王庙社区", road="清远街", number="7")),
    ],
)
def test_known_names_decide_where_suffixes_leave_two_readings(text, said):
    assert parse(text, NAMES_OF_TOWN) == said


ALPHABET = "省市区县旗镇乡街道路巷弄里号號楼栋幢院座单元室层村社三十二1250１５-之附甲平城东A "


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=ALPHABET, max_size=20))
@example("展業二路16-1")
@example("平城区操场城街12号之3")
def test_no_character_is_lost_or_moved_but_the_word_for_number_which_is_supplied(text):
    assert compose(parse(text)).replace("号", "") == tidy(text).replace("号", "")


@pytest.mark.real
def test_every_street_and_village_of_datong_comes_back_whole_below_its_district(data):
    folder = data / "datong-admin"
    if not folder.is_dir():
        absent("../shared/data/datong-admin")
    tables = {}
    for name in ("areas", "streets", "villages"):
        with (folder / f"datong_{name}.csv").open(encoding="utf-8") as file:
            tables[name] = list(csv.DictReader(file))
    district = {row["code"]: row["name"] for row in tables["areas"]}
    street = {row["code"]: row["name"] for row in tables["streets"]}
    names = PlaceNames.of(
        {"district": district.values(), "street": street.values(), "community": [r["name"] for r in tables["villages"]]}
    )
    rows = [(district[r["areaCode"]], street[r["streetCode"]], r["name"]) for r in tables["villages"]]
    told = [parse(f"大同市{''.join(row)}永泰街12号3号楼", names) for row in rows]
    right = sum(
        (said.district, said.street, said.community, said.road, said.number)
        == (*(tidy(word) for word in row), "永泰街", "12")
        for said, row in zip(told, rows, strict=True)
    )
    assert right / len(rows) >= 0.995
    blind = [parse(f"大同市{''.join(row)}永泰街12号3号楼") for row in rows]
    alone = sum((said.district, said.number) == (row[0], "12") for said, row in zip(blind, rows, strict=True))
    assert alone / len(rows) >= 0.9


@settings(max_examples=200, deadline=None)
@given(
    level("省"), level("市"), level("区"), level("街道"), level("社区"), level("路"),
    NUMBERS, st.one_of(st.just(""), NUMBERS.map(lambda n: n + "号楼")),
    st.one_of(st.just(""), NUMBERS.map("{}单元".format)),
)  # fmt: skip
def test_what_is_composed_is_read_back_as_it_was(
    province, city, district, street, community, road, number, building, unit
):
    address = Address(province, city, district, street, community, road, number if road else "", "", building, unit)
    assert parse(compose(address)) == address


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="省市区县镇乡街道路巷弄里号號楼栋院座单元村社段三十二1250１５-之平城东A ", max_size=18))
@example("四牌楼32")
def test_reading_composing_and_reading_again_changes_nothing(text):
    once = parse(compose(parse(text)))
    assert parse(compose(once)) == once


def test_full_width_and_chinese_numerals_become_digits_but_names_stay():
    assert tidy("研新四路二十三号") == "研新四路23号"
    assert tidy("清远街５１号") == "清远街51号"
    assert tidy("路一二三号") == "路123号"


def test_agreement_falls_from_the_same_house_to_another_road():
    house = parse("清远街51号3号楼")
    assert agreement(house, house) == 1.0
    assert agreement(parse("清远街51号"), house) == pytest.approx(0.8)
    assert agreement(parse("清远街51号4号楼"), house) < 0.0
    assert agreement(parse("清远街53号"), house) == -1.0
    assert agreement(parse("武定街51号"), house) == -1.0
    assert agreement(parse("鼓楼"), house) == 0.0
