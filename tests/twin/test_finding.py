"""Geocoding from the public face and the command line, on the tiny city."""

import json

import numpy as np
import shapely

from tests.tiny import EAST, FRAME, LINEAGE, NORTH, tiny_city
from twin.cli import main
from twin.features import Layer


def with_addresses(folder):
    city = tiny_city(folder)
    texts = ["平城区永泰街12号", "平城区永泰街14号"]
    points = shapely.points([(EAST + 130, NORTH + 45), (EAST + 210, NORTH + 45)])
    parts = {"text": texts, "building_oid": ["b01", "b02"], "road": ["永泰街"] * 2}
    city.store.write_layer("address", Layer.build("address", FRAME, ["a1", "a2"], points, parts), LINEAGE)
    return city


def test_the_index_is_made_once_and_anew_when_a_layer_changes(tmp_path):
    city = with_addresses(tmp_path)
    first = city.places()
    assert city.places() is first
    moved = city.layer("address").with_columns(text=["平城区永泰街12号", "平城区永泰街16号"])
    city.store.write_layer("address", moved, LINEAGE)
    assert city.geocode("永泰街16号")[0].oid == "a2"
    assert city.places() is not first


def test_what_is_geocoded_is_found_again_from_its_degrees(tmp_path):
    city = with_addresses(tmp_path)
    found = city.geocode("永泰街14号")[0]
    here = city.reverse(*found.lonlat)
    assert (here.address, here.building) == ("a2", "b02")
    np.testing.assert_allclose(city.frame.from_lonlat([found.lonlat])[0], found.xy, atol=0.02)


def test_a_city_without_addresses_still_knows_its_buildings_by_name(tmp_path):
    city = tiny_city(tmp_path)
    assert [candidate.oid for candidate in city.geocode("鼓楼")] == ["b00"]


def test_the_verb_prints_candidates_and_surroundings(tmp_path, capsys):
    with_addresses(tmp_path)
    assert main(["geocode", str(tmp_path), "平城区永泰街１２號"]) == 0
    assert "平城区永泰街12号" in capsys.readouterr().out
    assert main(["geocode", str(tmp_path), "永泰街12号", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["candidates"][0]
    assert main(["geocode", str(tmp_path), "--at", str(first["lon"]), str(first["lat"])]) == 0
    assert "永泰街12号" in capsys.readouterr().out
    assert main(["geocode", str(tmp_path), "没有的路1号"]) == 1
    assert main(["geocode", str(tmp_path)]) == 2
