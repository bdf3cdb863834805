"""The sample city goes through the door: it knows its own truth, so the figures are exact."""

import csv

import numpy as np
import pytest

from ingest.run import IngestOptions, build
from ingest.sample.make import make_sample
from twin.city import open_city
from twin.template import describe_city
from twin.workers import Workers


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datong")
    make_sample(folder, scale=400, seed=7)
    city = open_city(folder)
    report = build(city, city.options(IngestOptions, "ingest"), Workers(1))
    with (folder / "sources" / "truth.csv").open(encoding="utf-8-sig") as file:
        return city, report, list(csv.DictReader(file))


def test_every_building_of_the_truth_is_in_the_store(delivered):
    city, _, truth = delivered
    oids = set(city.store.read_layer("building").oid.tolist())
    assert {row["source_id"] for row in truth} <= oids
    assert city.store.read_layer("building").index()["DT0000016"] is not None


def test_every_defect_that_was_put_in_is_named_and_nothing_else_is(delivered):
    _, report, truth = delivered
    words = {
        "bowtie": "self-intersection", "height_negative": "height -3 m",
        "height_absurd": "height 9999 m", "outside": "outside the DEM",
    }  # fmt: skip
    told = {(o.oid, word) for o in report.outcomes for word in words.values() if word in o.reason}
    for row in truth:
        if row["defect"] in words:
            assert (row["source_id"], words[row["defect"]]) in told
    broken = {row["source_id"] for row in truth if row["defect"]}
    assert {o.oid for o in report.outcomes if o.stage == "footprints"} <= broken
    assert report.warnings == ()


def test_addresses_find_their_buildings_as_the_truth_has_them(delivered):
    city, _, truth = delivered
    addresses = city.store.read_layer("address")
    of_building = {row["source_id"]: row["address_id"] for row in truth}
    found = [oid.split("~")[0] for oid in addresses.column("building_oid").tolist()]
    right = np.array([of_building.get(b) == a for b, a in zip(found, addresses.oid.tolist(), strict=True)])
    assert right.sum() / sum(map(bool, found)) >= 0.98
    assert right.mean() >= 0.95


def test_all_layers_pictures_and_live_tables_arrive(delivered):
    city, report, _ = delivered
    names = {(item.kind, item.name) for item in city.store.items()}
    layers = {"address", "building", "division", "facility", "green", "hazard_site", "landuse", "population", "road"}
    assert {("layer", name) for name in layers | {"river", "water"}} <= names
    assert {("raster", name) for name in ("dem", "dsm", "ortho_0", "ortho_1")} <= names
    assert report.figures["live.observations"] > 1000
    targets = {thing.target_oid for thing in city.store.live.things()} - {""}
    assert targets <= set(city.store.read_layer("building").oid.tolist())
    drum = city.store.read_layer("building", oids=["DT0000016"])
    assert drum.column("name").tolist() == ["鼓楼"]


def test_community_population_adds_up_to_the_people_of_the_delivery(delivered):
    city, _, _ = delivered
    population = city.store.read_layer("population")
    with (city.root / "sources" / "population.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(population) == len(rows)
    assert population.column("people_night").sum() == sum(float(row["夜间人口"]) for row in rows)


def test_every_item_lies_in_one_repository_and_names_the_sources_it_came_from(delivered):
    told = describe_city(delivered[0])
    assert {row["zone"] for row in told["items"]} == {"collected", "base", "theme"}
    cards = {card["name"]: card for card in told["deliveries"]}
    for row in told["items"]:
        if row["kind"] != "document":
            assert row["sources"], row["name"]
            assert all(file["digest"] for name in row["sources"] for file in cards[name]["files"])
    assert all(card["files"] and card["licence"] for card in cards.values())
