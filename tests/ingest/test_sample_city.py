"""The sample city goes through the door: it knows its own truth, so the figures are exact."""

import csv

import numpy as np
import pytest
import shapely

from ingest.datong import people
from ingest.datong.plan import FRAME, ORIGIN, footprints
from ingest.joining.matching import MatchOptions, match_addresses
from ingest.run import IngestOptions, build
from ingest.sample import make
from ingest.sample.make import make_sample
from twin.city import open_city
from twin.features import Layer
from twin.frames import wgs84_from_gcj02
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


def test_addresses_written_and_placed_as_people_do_it_still_find_their_buildings():
    """1,100 addresses without the pictures around them: 4 % at the gate, 9 % misspelt, and the truth beside them."""
    made = make.plan(2000, 11)
    roads, division = make._layers(made, 11).roads, people.divisions(made.extent)
    found = people.addresses(np.random.default_rng(4), made.batch, made.unit, roads, division)
    oid = [f"B{k:05d}" for k in range(len(made.batch))]
    shapes = shapely.transform(footprints(made.batch), lambda at: at + ORIGIN)
    buildings = Layer.build("building", FRAME, oid, shapes, {"name": made.batch.name})
    xy = FRAME.from_lonlat(wgs84_from_gcj02(found.table[["经度", "纬度"]].to_numpy(float)))
    texts = found.table["标准地址"]
    addresses = Layer.build(
        "address", FRAME, found.table["地址编码"].tolist(), shapely.points(xy), {"text": texts.tolist()}
    )
    assert texts.str.contains("號|之1号|甲|[零一二三四五六七八九]号").sum() >= 30
    of_building = dict(zip(oid, found.of_building.tolist(), strict=True))
    home: dict[str, list[int]] = {}
    for row, code in enumerate(found.of_building.tolist()):
        home.setdefault(code, []).append(row)
    away = [
        shapely.distance(shapes[home[code]], point).min()
        for code, point in zip(addresses.oid.tolist(), addresses.geometry.tolist(), strict=True)
    ]
    assert np.count_nonzero(np.array(away) > 3.0) >= 20
    matched, _, _ = match_addresses(addresses, buildings, MatchOptions())
    claimed = matched.column("building_oid")
    right = [of_building.get(b) == a for b, a in zip(claimed.tolist(), matched.oid.tolist(), strict=True)]
    assert sum(right) / np.count_nonzero(claimed != "") >= 0.98
    assert sum(right) / len(right) >= 0.95


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
