"""The L3 stage from layer and relief to the stored model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from models_l3.build import L3Options, build
from models_l3.evidence import LEVELS
from twin.errors import MissingInputError, OptionsError
from twin.meshes import Solids, concatenate
from twin.options import read_options
from twin.workers import Workers

WALL = L3Options(wall="datong")


def model(city) -> Solids:
    return concatenate([solids for _, solids in city.store.read_model("l3")])


@pytest.fixture(scope="module")
def town(city_with: Callable, plan: Callable, centre: np.ndarray):
    """A hall, a pagoda, an archway, three houses, a shop, a modern block, and a house outside the wall."""
    x, y = centre
    shapes = [
        plan(x - 600, y - 100, 53.9, 28.0, np.pi / 2),
        plan(x - 520, y - 130, 17.0, 17.0),
        plan(x, y + 47, 19.2, 3.6, np.pi),
        plan(x + 100, y - 100, 16.0, 6.8),
        plan(x + 93, y - 112, 4.2, 11.0),
        plan(x + 107, y - 112, 4.2, 11.0),
        plan(x + 20, y - 60, 12.0, 8.0, np.pi / 2),
        plan(x + 300, y + 300, 40.0, 14.0),
        plan(x + 1400, y, 12.0, 6.0),
    ]
    return city_with(
        shapes,
        heritage=["huayan_main_hall", "huayan_pagoda", "four_archways", *[""] * 6],
        roof_type=["wudian", "cuanjian", "xuanshan", *["yingshan"] * 4, "flat", "yingshan"],
        function=["heritage"] * 3 + ["residential"] * 3 + ["commercial"] + ["residential"] * 2,
        height_m=[20.5, 43.0, 14.43, 5.4, 4.3, 4.3, 8.4, 18.0, 5.0],
        structure=["timber"] * 7 + ["rc", "masonry"],
    )


@pytest.fixture(scope="module")
def report(town):
    """The report of the town, built once for all who only look."""
    return build(town, WALL, Workers(1))


def test_every_solid_is_closed_outward_and_owned(town, report) -> None:
    solids = model(town)
    assert solids.is_closed().all()
    assert (solids.volumes() > 0).all()
    assert len(set(solids.oid.tolist())) == len(solids)
    assert report.count("failed") == 0
    owners = set(solids.owner.tolist())
    assert {f"b{k:04d}" for k in range(7)} <= owners
    assert not {"b0007", "b0008"} & owners, "a modern block and a house outside the wall stay L2"


def test_figures_count_what_was_built(town, report) -> None:
    figures = report.figures
    assert figures["monuments"] == 3
    assert figures["houses"] == 4
    assert figures["wall_perimeter_m"] == pytest.approx(7240.0)
    assert figures["parts"] == len(model(town))
    assert 1.0 < figures["uncertainty_mean"] < 7.0


def test_every_part_says_how_well_it_is_known(report, town) -> None:
    solids = model(town)
    assert set(solids.attributes["evidence"].tolist()) <= set(LEVELS)
    for key in ("fabric", "sources", "era", "choices"):
        hall = solids.attributes[key][solids.owner == "b0000"]
        assert all(hall.tolist()), key
    levels = np.array([LEVELS[word] for word in solids.attributes["evidence"].tolist()])
    assert (levels == solids.attributes["evidence_u"]).all()
    assert (solids.attributes["sigma_m"] > 0).all()
    told = town.store.read_document("heritage_evidence")["b0000"]
    assert told["evidence"]["body"] == "documented"
    assert told["fabric"] == "original_repaired"
    assert 2.0 <= told["uncertainty"] <= 5.0
    cited = set(told["sources"].split())
    assert cited <= set(town.store.read_document("heritage_sources")["bibliography"])


def test_everything_stands_on_the_relief_without_a_gap(report, town, relief) -> None:
    solids = model(town)
    low = np.minimum.reduceat(solids.vertices[:, 2], solids.vertex_offset[:-1])
    kinds = solids.attributes["part"].astype(str)
    tower = np.array([o.startswith("wall_") for o in solids.owner.tolist()]) & (kinds != "curtain")
    first = np.flatnonzero(np.isin(kinds, ("platform", "house", "posts", "curtain")) & ~tower)
    for k in first.tolist():
        v = solids.vertices[solids.vertex_offset[k] : solids.vertex_offset[k + 1]]
        foot = v[v[:, 2] < low[k] + 0.05]
        assert (foot[:, 2] <= relief.sample(foot[:, :2]) - 0.2).all(), solids.oid[k]


def test_the_hall_of_huayan_looks_east(report, town, centre: np.ndarray) -> None:
    solids = model(town)
    k = solids.oid.tolist().index("b0000/steps")
    steps = solids.vertices[solids.vertex_offset[k] : solids.vertex_offset[k + 1]]
    assert steps[:, 0].min() > centre[0] - 600 + 14
    assert abs(steps[:, 1].mean() - (centre[1] - 100)) < 1.0


def test_the_same_input_gives_the_same_bytes(town, report) -> None:
    first = town.store.item("model", "l3").digest
    build(town, WALL, Workers(2))
    assert town.store.item("model", "l3").digest == first


def test_cells_hold_their_owners_and_are_sorted(report, town) -> None:
    cells = [cell.name for cell in town.store.model_index("l3")]
    assert all(cell.startswith("c_") for cell in cells)
    for _, solids in town.store.read_model("l3"):
        assert solids.oid.tolist() == sorted(solids.oid.tolist())


def test_a_city_without_heritage_ends_in_a_clean_report(
    city_with: Callable, plan: Callable, centre: np.ndarray
) -> None:
    city = city_with([plan(*centre, 10.0, 8.0)], height_m=[6.0])
    report = build(city, L3Options(), Workers(1))
    assert report.count("failed") == report.count("done") == 0
    assert not city.store.has("model", "l3")
    assert city.store.read_document("l3_report")["figures"]["parts"] == 0


def test_an_unknown_heritage_key_is_named_and_the_rest_is_built(
    city_with: Callable, plan: Callable, centre: np.ndarray
) -> None:
    x, y = centre
    city = city_with([plan(x, y, 20.0, 12.0), plan(x + 60, y, 17.7, 14.3)], heritage=["no_such_hall", "drum_tower"])
    report = build(city, L3Options(), Workers(1))
    assert [o.oid for o in report.outcomes if o.status == "skipped"] == ["b0000"]
    assert "no_such_hall" in report.outcomes[0].reason
    assert "b0001" in set(model(city).owner.tolist())


def test_a_footprint_that_contradicts_the_table_is_a_fallback(
    city_with: Callable, plan: Callable, centre: np.ndarray
) -> None:
    city = city_with([plan(*centre, 80.0, 14.3)], heritage=["drum_tower"])
    report = build(city, L3Options(), Workers(1))
    assert [o.status for o in report.outcomes] == ["fallback"]
    assert "17.7" in report.outcomes[0].reason


def test_a_monument_outside_the_relief_is_skipped_by_name(
    city_with: Callable, plan: Callable, centre: np.ndarray
) -> None:
    city = city_with(
        [plan(centre[0] + 9000, centre[1], 17.7, 14.3), plan(*centre, 17.7, 14.3)], heritage=["drum_tower"] * 2
    )
    report = build(city, L3Options(), Workers(1))
    assert [(o.oid, o.status) for o in report.outcomes] == [("b0000", "skipped")]


def test_bad_options_and_missing_inputs_are_refused(city_with: Callable, plan: Callable, centre: np.ndarray) -> None:
    city = city_with([plan(*centre, 17.7, 14.3)], heritage=["drum_tower"])
    with pytest.raises(OptionsError, match="datong"):
        build(city, L3Options(wall="xian"), Workers(1))
    with pytest.raises(OptionsError, match="wall"):
        read_options(L3Options, {"walls": "datong"}, "[l3]")
    city.store.remove("raster", "relief")
    with pytest.raises(MissingInputError, match="relief"):
        build(city, L3Options(), Workers(1))
