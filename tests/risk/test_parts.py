"""Exposure, streets, tables, rules and probabilities, each by itself."""

import numpy as np
import pytest
import shapely

from tests.risk.conftest import FRAME, buildings, layers
from twin.features import Layer
from twin.risk.exposure import stock
from twin.risk.loss import rank_correlation
from twin.risk.segments import cut, piece_length
from twin.risk.tables import load_tables
from twin.risk.uncertainty import Curve, Uncertain, level_probabilities
from twin.risk.weights import guarded_entropy
from twin.risk.zoning import log_scale, natural_proposal, normalise

TABLES = load_tables()


def test_people_of_a_community_are_shared_out_to_the_last_one() -> None:
    found = stock(buildings(), layers()["population"], TABLES)
    inside = found.quality >= 0.8
    assert found.people_night[inside].sum() == pytest.approx(1500.0)
    assert found.people_day[inside].sum() == pytest.approx(1300.0)
    assert found.quality[~inside].tolist() == [0.5]


def test_people_given_with_a_building_stay_and_the_rest_is_shared() -> None:
    layer = buildings()
    given = np.full(len(layer), np.nan)
    given[5] = 250.0
    found = stock(layer.with_columns(people_night=given), layers()["population"], TABLES)
    assert found.people_night[5] == 250.0
    assert found.quality[5] == 1.0
    assert found.people_night[found.quality >= 0.8].sum() == pytest.approx(1500.0)


def test_without_communities_people_follow_floor_area_and_use() -> None:
    found = stock(buildings(), None, TABLES)
    home = buildings().column("function") == "residential"
    assert found.people_night[home] == pytest.approx(0.03 * found.floor_area[home])
    assert (found.quality == 0.5).all()


def test_people_of_a_community_without_buildings_are_reported() -> None:
    far = Layer.build("population", FRAME, ["c"], [shapely.box(9000, 9000, 9100, 9100)], {"people_night": [70.0]})
    assert stock(buildings(), far, TABLES).unplaced == 70.0


def roads(*lines: shapely.Geometry, kind: str = "lane") -> Layer:
    return Layer.build(
        "road", FRAME, [f"r{k}" for k in range(len(lines))], list(lines), {"road_class": [kind] * len(lines)}
    )


def test_a_road_is_cut_into_equal_pieces_that_join() -> None:
    pieces = cut(roads(shapely.LineString([(0, 0), (130, 0), (130, 200)])))
    assert pieces.oid.tolist() == ["r0@0", "r0@1", "r0@2"]
    assert shapely.length(pieces.geometry) == pytest.approx([110.0] * 3)
    assert pieces.geometry[0].coords[-1] == pieces.geometry[1].coords[0]
    assert pieces.geometry[1].coords[1] == (130.0, 0.0)
    assert set(pieces.column("road_oid")) == {"r0"}


def test_pieces_of_a_road_in_parts_are_counted_through() -> None:
    pieces = cut(roads(shapely.MultiLineString([[(0, 0), (90, 0)], [(500, 0), (700, 0)]])))
    assert pieces.oid.tolist() == ["r0@0", "r0@1", "r0@2"]


def test_rails_and_empty_lines_give_no_piece() -> None:
    assert len(cut(roads(shapely.LineString([(0, 0), (90, 0)]), kind="rail"))) == 0
    assert len(cut(roads(shapely.LineString()))) == 0
    assert len(cut(Layer.empty("road", FRAME))) == 0


def test_a_carriageway_polygon_stays_whole() -> None:
    plane = shapely.box(0, 0, 300, 8)
    pieces = cut(roads(plane, shapely.LineString([(0, 0), (210, 0)])))
    assert pieces.oid.tolist() == ["r0@0", "r1@0", "r1@1"]
    assert pieces.geometry[0].equals(plane)
    assert piece_length(pieces.geometry) == pytest.approx([308.0, 105.0, 105.0])


def test_cutting_keeps_the_length_of_every_road() -> None:
    rng = np.random.default_rng(5)
    lines = [shapely.LineString(np.cumsum(rng.normal(0, 60, (12, 2)), axis=0)) for _ in range(40)]
    pieces = cut(roads(*lines))
    owner = np.array([int(oid[1:]) for oid in pieces.column("road_oid")])
    total = np.bincount(owner, weights=shapely.length(pieces.geometry))
    assert total == pytest.approx(shapely.length(lines))


def test_tables_are_complete_and_every_number_names_its_standing() -> None:
    assert [level.number for level in TABLES.levels] == [1, 2, 3, 4, 5]
    assert (np.diff(TABLES.thresholds) > 0).all()
    for x, y in TABLES.anchors.values():
        assert (np.diff(x) > 0).all()
        assert ((y >= 0) & (y <= 1)).all()
    for judgement in TABLES.judgements.values():
        assert set(judgement.keys) <= set(TABLES.indicators)
    for x, y in TABLES.damage.values():
        assert y[0] == 0.0
        assert (np.diff(y) >= 0).all()
        assert (np.diff(x) > 0).all()


def test_every_judgement_is_consistent_enough() -> None:
    from twin.risk.weights import hierarchy

    for name, judgement in TABLES.judgements.items():
        assert hierarchy(judgement.matrix).ratio < 0.10, name


def test_depth_anchors_are_the_published_ones() -> None:
    found = normalise([0.0, 0.15, 0.5, 1.0, 2.0, 9.0], TABLES.anchor("depth"))
    assert found == pytest.approx([0.0, 0.1, 0.4, 0.7, 1.0, 1.0])


def test_the_log_scale_is_held_between_zero_and_one() -> None:
    assert log_scale([-5.0, 0.0, 500.0, 9e9], 2.0, 500.0) == pytest.approx([0.0, 0.0, 1.0, 1.0])


def test_a_proposal_of_thresholds_follows_the_percentiles() -> None:
    assert natural_proposal(np.linspace(0.0, 1.0, 1001)[1:]) == pytest.approx([0.6, 0.8, 0.9, 0.95], abs=1e-3)


def test_a_rare_indicator_cannot_seize_the_weights() -> None:
    rng = np.random.default_rng(1)
    values = rng.random((20_000, 3))
    values[:, 2] = rng.random(20_000) < 0.002
    weights, fired = guarded_entropy(values, np.array([0.4, 0.4, 0.2]), ("a", "b", "rare"))
    assert weights[2] == 0.0
    assert "rare: dropped" in fired


def flat(x: float, n: int) -> Uncertain:
    judgement = TABLES.judgements["building_exposure"]
    return Uncertain(np.full((n, 2), x), np.full((n, 2), 1.0), judgement, np.array([0.5, 0.5]))


def test_a_unit_on_a_threshold_may_be_on_either_side_and_one_far_from_it_is_sure() -> None:
    n = 2000
    # H of 0.125, E = V = 1 and no capacity: the index is 0.5, on the middle threshold.
    curve = Curve(np.full(n, 0.125), np.full(n, 1.0), (np.array([0.0, 1.0]), np.array([0.0, 1.0])), 1.0)
    pillars = (flat(1.0, n), flat(1.0, n), flat(0.0, n))
    middle = level_probabilities([curve], pillars, np.array([0.1, 0.2, 0.5, 0.9]), 0.4, 100, 1)
    assert 0.2 < middle[:, 3].mean() < 0.6
    assert middle[:, 2].mean() + middle[:, 3].mean() == pytest.approx(1.0)
    sure = level_probabilities([curve], pillars, np.array([0.1, 0.2, 0.7, 0.9]), 0.4, 100, 1)
    assert sure[:, 2] == pytest.approx(1.0)


def test_rank_correlation_agrees_with_scipy_on_ties() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 20, 300).astype(float), rng.integers(0, 20, 300).astype(float)
    assert rank_correlation(a, a + b) == pytest.approx(spearmanr(a, a + b)[0])
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5.0)))
