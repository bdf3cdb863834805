"""Every item of the catalogue lies in one repository, and leads back to the bytes that were delivered."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pyogrio.raw
import pytest
import shapely

import twin
from tests.tiny import EAST, NORTH, TOML
from twin import OptionsError, pipeline
from twin.cli import main
from twin.lineage import Lineage
from twin.store import Item
from twin.store.zones import ZONES, zone_of
from twin.workers import Workers

SOURCES = """
[[source]]
name = "cadastre"
kind = "footprints"
path = "b*.shp"
crs = "EPSG:4547"
licence = "CC0"
date = "2026-05"
{zone}
"""


def item(kind, name, source="a"):
    return Item(kind, name, "", Lineage(source))


@pytest.fixture
def city(tmp_path):
    """A city of one shapefile, ingested."""
    shapes = shapely.box(EAST + 20.0 * np.arange(3), NORTH, EAST + 9 + 20.0 * np.arange(3), NORTH + 9)
    pyogrio.raw.write(
        tmp_path / "b.shp", shapely.to_wkb(shapes), [np.array(["x", "y", "z"], object)], np.array(["oid"], object),
        driver="ESRI Shapefile", geometry_type="Polygon", crs="EPSG:4547",
    )  # fmt: skip
    (tmp_path / "city.toml").write_text(TOML + SOURCES.format(zone=""), encoding="utf-8")
    ingest(tmp_path)
    return twin.open(tmp_path)


def ingest(folder):
    with Workers(1) as workers:
        return pipeline.run(twin.open(folder), workers, only=["ingest"])


def test_the_table_places_what_every_stage_makes():
    assert {kind_name: zone_of(item(*kind_name)) for kind_name in [
        ("document", "sources"), ("layer", "building"), ("raster", "dem"), ("raster", "ortho_2"), ("points", "points"),
        ("layer", "population"), ("model", "l3"), ("raster", "relief"), ("layer", "building_l2"),
        ("layer", "zone_flood_street"), ("raster", "hand"), ("layer", "of_a_plugin"),
    ]} == {
        ("document", "sources"): "collected", ("layer", "building"): "base", ("raster", "dem"): "base",
        ("raster", "ortho_2"): "base", ("points", "points"): "base", ("layer", "population"): "theme",
        ("model", "l3"): "theme", ("raster", "relief"): "theme", ("layer", "building_l2"): "theme",
        ("layer", "zone_flood_street"): "thematic", ("raster", "hand"): "thematic", ("layer", "of_a_plugin"): "",
    }  # fmt: skip
    assert list(ZONES) == ["collected", "base", "theme", "thematic"]


def test_a_source_may_place_what_is_made_of_it_alone():
    declared = {"a": "theme", "b": "thematic"}
    assert zone_of(item("layer", "road"), declared) == "theme"
    assert zone_of(item("layer", "road", "a; b"), declared) == "base", "two sources that differ decide nothing"
    assert zone_of(item("layer", "road", "a; c"), declared) == "base"
    assert zone_of(item("layer", "building_l2"), declared) == "theme"
    assert zone_of(item("layer", "zone_flood_street"), declared) == "thematic", "results are results"


def test_an_item_leads_back_to_the_delivered_bytes(city):
    (card,) = city.store.read_document("sources")["sources"]
    assert (card["path"], card["crs"], card["lineage"]["licence"]) == ("b*.shp", "EPSG:4547", "CC0")
    assert [file["path"] for file in card["files"]] == ["b.cpg", "b.dbf", "b.prj", "b.shp", "b.shx"]
    for file in card["files"]:
        data = (city.root / file["path"]).read_bytes()
        assert (len(data), hashlib.blake2b(data, digest_size=16).hexdigest()) == (file["bytes"], file["digest"])
    assert city.store.item("layer", "building").lineage.sources == (card["name"],)


def test_a_change_in_a_companion_file_is_a_new_delivery(city):
    assert ingest(city.root) == []
    table = city.root / "b.dbf"
    table.write_bytes(table.read_bytes().replace(b"y", b"q"))
    (report,) = ingest(city.root)
    assert not report.failed
    assert "q" in city.store.read_layer("building").column("source_id").tolist()


def test_info_tells_zone_sources_and_deliveries(city, capsys):
    assert main(["info", str(city.root), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["name"]: (row["zone"], row["sources"]) for row in told["items"]}["building"] == ("base", ["cadastre"])
    assert [(card["name"], len(card["files"]), card["licence"]) for card in told["deliveries"]] == [
        ("cadastre", 5, "CC0")
    ]
    assert main(["info", str(city.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("--")] == ["-- 归集库 Collected", "-- 基础库 Base"]
    assert any(line.startswith("source") and "cadastre" in line and "CC0" in line for line in lines)


def test_a_zone_nobody_knows_is_refused(tmp_path):
    (tmp_path / "city.toml").write_text(TOML + SOURCES.format(zone='zone = "lake"'), encoding="utf-8")
    with pytest.raises(OptionsError, match="unknown zone 'lake'; there are collected, base"):
        twin.open(tmp_path)
