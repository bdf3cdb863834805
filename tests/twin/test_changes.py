"""`twin changes`: what a delivery did to a layer, for a person and for a program."""

from __future__ import annotations

import json

import pytest

from tests.tiny import LINEAGE, buildings, tiny_city
from twin.cli import main


@pytest.fixture
def city(tmp_path):
    """Delivered twice: the first building goes, the second grows."""
    city = tiny_city(tmp_path)
    layer = buildings()
    storeys = layer.columns["storeys"].copy()
    storeys[1] = 9.0
    city.store.write_layer("building", layer.with_columns(storeys=storeys).take(range(1, 12)), LINEAGE)
    return city


def test_changes_are_told_in_counts_and_first_oids(city, capsys):
    assert main(["changes", str(city.root), "building"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("building: ")
    assert "1: 12 (2026-01-01) -> 2: 11 (2026-01-01)" in told[0]
    assert [line.split(": ", 1)[1] for line in told[1:]] == ["0", "1: b00", "0", "1: b01", "1: b01"]
    assert told[-1].strip().startswith("storeys")


def test_changes_as_json_name_every_oid(city, capsys):
    assert main(["changes", str(city.root), "building", "--from", "2", "--to", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["added"], told["removed"], told["columns"]) == (["b00"], [], {"storeys": ["b01"]})


def test_one_version_has_nothing_to_compare_and_a_version_nobody_knows_is_refused(city, capsys):
    assert main(["changes", str(city.root), "road"]) == 0
    assert "version 1 is the only one" in capsys.readouterr().out
    assert main(["changes", str(city.root), "building", "--to", "7"]) == 2
    assert "version 6 is not remembered; there are 1, 2" in capsys.readouterr().err


def test_info_tells_the_versions_of_a_layer(city, capsys):
    assert main(["info", str(city.root), "--json"]) == 0
    items = {item["name"]: item for item in json.loads(capsys.readouterr().out)["items"]}
    assert items["building"]["versions"] == [
        {"number": 1, "count": 12, "date": "2026-01-01"},
        {"number": 2, "count": 11, "date": "2026-01-01"},
    ]
    assert "versions" not in items["dem"]
