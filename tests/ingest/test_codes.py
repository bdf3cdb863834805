"""Coded values of city models: our table, the lists of a delivery, attributes of extensions."""

from __future__ import annotations

import json

import pytest

from ingest.citymodel.codes import CodeLists, code_table, meanings
from ingest.conform import VOCABULARY
from ingest.reading import Delivery
from ingest.sources import reader_of
from tests.ingest.test_citymodel import FRAME, gml_building, gml_head, gml_solid
from twin.city import Source


def test_the_table_speaks_our_words_and_its_ranges_are_ranges():
    for line in code_table():
        assert line.first <= line.last
        assert line.form.groups == 1
        assert line.column in ("function", "roof_type")
        assert line.column != "function" or line.value in VOCABULARY["function"]


@pytest.mark.parametrize(
    ("attribute", "code", "value"),
    [
        ("function", "31001_1010", "residential"),
        ("function", "31001_2020", "office"),
        ("function", "31001_2111", "industrial"),
        ("function", "31001_2171", "mine"),
        ("function", "31001_2465", "transport"),
        ("function", "31001_3020", "education"),
        ("function", "31001_3041", "religious"),
        ("function", "31001_3051", "medical"),
        ("function", "31001_3012", "public"),
        ("function", "31001_9998", ""),
        ("function", "1000", "residential"),
        ("function", "2220", "religious"),
        ("function", "2310", "medical"),
        ("function", "hospital", ""),
        ("function", "medical", "medical"),
        ("usage", "411", "residential"),
        ("usage", "441", "industrial"),
        ("class", "1080", "religious"),
        ("class", "3002", ""),
        ("function", None, ""),
    ],
)
def test_a_code_of_use_is_told_by_the_table_or_not_at_all(attribute, code, value):
    assert meanings("function", {attribute: [code]}, VOCABULARY["function"]) == [value]


@pytest.mark.parametrize(
    ("code", "value"),
    [("1000", "flat"), ("2100", "shed"), ("3100", "gable"), ("3200", "hip"), ("3300", "half_hip"), ("3400", "mansard"),
     ("3500", "pyramid"), ("1030", "gable"), ("9999", ""), ("slanted", "")],
)  # fmt: skip
def test_a_roof_code_is_read_in_both_lists(code, value):
    assert meanings("roof_type", {"roofType": [code]}) == [value]


def test_function_speaks_before_usage_and_class():
    fields = {"function": ["1000", "", None], "usage": ["441", "441", ""], "class": ["1080", "1080", "1080"]}
    assert meanings("function", fields) == ["residential", "industrial", "religious"]


LIST = (
    '<gml:Dictionary xmlns:gml="http://www.opengis.net/gml"><gml:name>usage</gml:name><gml:dictionaryEntry>'
    "<gml:Definition><gml:description>住宅</gml:description><gml:name>411</gml:name></gml:Definition>"
    "</gml:dictionaryEntry></gml:Dictionary>"
)
ADE = (
    '<bldg:usage codeSpace="../../codelists/usage.xml">411</bldg:usage>'
    '<uro:detail xmlns:uro="https://www.geospatial.jp/iur/uro/2.0"><uro:Detail><uro:year>2016</uro:year>'
    '<uro:kind codeSpace="../../codelists/usage.xml">411</uro:kind></uro:Detail></uro:detail>'
    '<gen:genericAttributeSet xmlns:gen="http://www.opengis.net/citygml/generics/2.0" name="set">'
    '<gen:stringAttribute name="a"><gen:value>b</gen:value></gen:stringAttribute></gen:genericAttributeSet>'
)


@pytest.fixture
def layer(tmp_path):
    def read(inside=ADE, **lists):
        (tmp_path / "udx" / "bldg").mkdir(parents=True)
        (tmp_path / "codelists").mkdir()
        for name, text in lists.items():
            (tmp_path / "codelists" / f"{name}.xml").write_text(text, encoding="utf-8")
        text = gml_head() + gml_building("b1", inside + gml_solid()) + "</core:CityModel>"
        (tmp_path / "udx" / "bldg" / "a.gml").write_text(text, encoding="utf-8")
        source = Source(name="model", kind="citymodel", path="udx/bldg/a.gml")
        reading = reader_of("citymodel").read(Delivery(source, tmp_path), FRAME)
        return reading, json.loads(reading.noun.column("attributes")[0])

    return read


def test_a_list_of_the_delivery_puts_words_beside_codes(layer):
    reading, told = layer(usage=LIST)
    assert (told["usage"], told["usage_name"]) == ("411", "住宅")
    assert json.loads(told["detail"]) == {"year": "2016", "kind": "411", "kind_name": "住宅"}
    assert json.loads(told["set"]) == {"a": "b"}
    assert reading.noun.column("function")[0] == "residential"
    assert reading.warnings == ()


@pytest.mark.parametrize("lists", [{}, {"usage": "<a"}, {"usage": "<!DOCTYPE a>" + LIST}, {"usage": "<a/>"}])
def test_a_list_that_tells_nothing_leaves_the_codes(lists, layer):
    reading, told = layer(**lists)
    assert told["usage"] == "411"
    assert "usage_name" not in told
    assert any("1 of 1 code lists tell nothing here; codes stay codes" in line for line in reading.warnings)


def test_a_code_list_never_leaves_the_delivery(tmp_path):
    (tmp_path / "secret.xml").write_text(LIST, encoding="utf-8")
    (tmp_path / "city" / "udx" / "bldg").mkdir(parents=True)
    file = tmp_path / "city" / "udx" / "bldg" / "a.gml"
    assert CodeLists.of(file, tmp_path / "city").word("../../../secret.xml", "411") == ""
    assert CodeLists.of(file, tmp_path).word("../../../secret.xml", "411") == "住宅"
    (tmp_path / "city" / "codelists").mkdir()
    (tmp_path / "city" / "codelists" / "a.xml").write_text(LIST, encoding="utf-8")
    assert CodeLists.of(file, tmp_path / "elsewhere").word("../../codelists/a.xml", "411") == "住宅"
    assert CodeLists.of(file, tmp_path / "elsewhere").word("../../../secret.xml", "411") == ""


def test_what_a_source_declares_of_its_codes_goes_before_the_table(tmp_path):
    text = gml_head() + gml_building("b1", "<bldg:function>1000</bldg:function>" + gml_solid()) + "</core:CityModel>"
    (tmp_path / "a.gml").write_text(text)
    source = Source(name="m", kind="citymodel", path="a.gml", values={"function": {"1000": "heritage"}})
    layer = reader_of("citymodel").read(Delivery(source, tmp_path), FRAME).noun
    assert layer.column("function")[0] == "heritage"


def test_generic_attributes_of_version_3_are_read(layer):
    inside = (
        '<core:genericAttribute><gen:StringAttribute xmlns:gen="http://www.opengis.net/citygml/generics/3.0">'
        "<gen:name>colour</gen:name><gen:value>red</gen:value></gen:StringAttribute></core:genericAttribute>"
    )
    assert layer(inside)[1] == {"colour": "red"}
