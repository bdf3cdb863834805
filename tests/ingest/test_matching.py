import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.joining.matching import MatchOptions, compose_text, join_population, match_addresses
from twin.features import Layer
from twin.frames import Frame

FRAME = Frame("EPSG:4547", "1985")


def houses(*boxes, name=None):
    oid = [f"B{k + 1}" for k in range(len(boxes))]
    return Layer.build(
        "building", FRAME, oid, [shapely.box(*box) for box in boxes], {"name": name or [""] * len(boxes)}
    )


def plates(*points, text=None):
    oid = [f"A{k + 1}" for k in range(len(points))]
    return Layer.build("address", FRAME, oid, list(shapely.points(points)), {"text": text or oid})


def test_an_address_inside_a_footprint_belongs_to_it():
    addresses, buildings, figures = match_addresses(
        plates((5, 5)), houses((0, 0, 10, 10), (20, 0, 30, 10)), MatchOptions()
    )
    assert addresses.column("building_oid").tolist() == ["B1"]
    assert addresses.column("confidence").tolist() == [0.9]
    assert buildings.column("address").tolist() == ["A1", ""]
    assert figures == {"addresses": 1, "addresses_matched": 1, "buildings_with_address": 1}


def test_the_nearer_building_wins_and_confidence_falls_with_distance():
    addresses, _, _ = match_addresses(plates((13, 5)), houses((0, 0, 10, 10), (20, 0, 30, 10)), MatchOptions())
    assert addresses.column("building_oid").tolist() == ["B1"]
    np.testing.assert_allclose(addresses.column("confidence"), 0.8 * (1 - 3 / 30), atol=1e-3)


def test_a_spoken_name_beats_a_slightly_nearer_neighbour():
    near = houses((0, 0, 10, 10), (20, 0, 30, 10), name=["", "鼓楼"])
    addresses, _, _ = match_addresses(plates((14, 5), text=["平城区鼓楼东街1号鼓楼"]), near, MatchOptions())
    assert addresses.column("building_oid").tolist() == ["B2"]


def test_a_building_number_decides_between_the_near_and_the_right_block():
    blocks = houses((0, 0, 10, 10), (20, 0, 30, 10), name=["2号楼", "3号楼"])
    addresses, _, _ = match_addresses(plates((12, 5), text=["迎宾街10号三号楼"]), blocks, MatchOptions())
    assert addresses.column("building_oid").tolist() == ["B2"]
    assert 0.2 < addresses.column("confidence")[0] < 0.8


def test_a_building_that_says_another_number_loses_to_one_that_says_nothing():
    own = houses((0, 0, 10, 10), (20, 0, 30, 10)).with_columns(address=["清远街53号", ""])
    addresses, buildings, _ = match_addresses(plates((12, 5), text=["大同市平城区清远街５１號"]), own, MatchOptions())
    assert addresses.column("building_oid").tolist() == ["B2"]
    assert buildings.column("address").tolist() == ["清远街53号", "大同市平城区清远街５１號"]


def test_an_address_too_far_from_everything_stays_alone():
    addresses, buildings, figures = match_addresses(plates((500, 5)), houses((0, 0, 10, 10)), MatchOptions())
    assert addresses.column("building_oid").tolist() == [""]
    assert np.isnan(addresses.column("confidence")[0])
    assert figures["addresses_matched"] == 0
    assert buildings.column("address").tolist() == [""]


def test_a_building_takes_its_best_address_and_keeps_its_own():
    own = houses((0, 0, 10, 10), (100, 0, 110, 10)).with_columns(address=["", "delivered"])
    _, buildings, _ = match_addresses(plates((12, 5), (5, 5), (105, 5)), own, MatchOptions())
    assert buildings.column("address").tolist() == ["A2", "delivered"]


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(8)))
def test_the_order_of_the_tables_does_not_matter(order):
    shapes = houses(*[(15 * k, 0, 15 * k + 10, 10) for k in range(8)])
    points = plates(*[(15 * k + 12.5, 5) for k in range(8)])
    straight, _, _ = match_addresses(points, shapes, MatchOptions())
    mixed, _, _ = match_addresses(points.take(order), shapes.take(order), MatchOptions())
    assert mixed.sort().column("building_oid").tolist() == straight.sort().column("building_oid").tolist()


def test_an_address_without_full_text_is_put_together_from_its_parts():
    parts = plates((0, 0), text=[""]).with_columns(district=["平城区"], road=["鼓楼东街"], number=["1号"])
    assert compose_text(parts).column("text").tolist() == ["平城区鼓楼东街1号"]


def test_population_finds_its_division_by_code_then_by_name_and_a_stranger_is_named():
    squares = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]
    divisions = Layer.build("division", FRAME, ["d1", "d2"], squares, {"code": ["1", "2"], "name": ["东", "西"]})
    counts = {"code": ["2", "", "9"], "name": ["", "东", "南"], "people_night": [5.0, 6.0, 7.0]}
    people = Layer.build("population", FRAME, ["p1", "p2", "p3"], [None, None, None], counts)
    joined, outcomes = join_population(people, divisions)
    assert joined.oid.tolist() == ["p1", "p2"]
    assert shapely.equals(joined.geometry, [squares[1], squares[0]]).all()
    assert [(o.oid, o.status) for o in outcomes] == [("p3", "skipped")]
    assert len(join_population(people, None)[0]) == 0
