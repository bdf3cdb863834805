import numpy as np
import shapely

from ingest.repair import check_ranges, mend, stable_oids, unique_oids
from twin.features import objects

SQUARE = shapely.box(0, 0, 10, 10)
BOW = shapely.Polygon([(20, 0), (30, 10), (30, 0), (20, 10), (20, 0)])
SPIKE = shapely.Polygon([(40, 0), (50, 0), (50, 10), (50, 30), (50, 10), (40, 10), (40, 0)])


def test_a_source_id_is_the_oid_and_a_mere_number_gets_its_class():
    oid = stable_oids("survey", "building", objects(["B-1", "17", ""]), objects([SQUARE, SQUARE, SQUARE]))
    assert oid[:2].tolist() == ["B-1", "building-17"]
    assert oid[2].startswith("building-")
    assert len(oid[2]) == len("building-") + 16


def test_a_hashed_oid_depends_on_source_and_place_not_on_order_or_millimetres():
    shapes = objects([SQUARE, BOW])
    forth = stable_oids("survey", "building", None, shapes)
    back = stable_oids("survey", "building", None, shapes[::-1])
    assert forth.tolist() == back[::-1].tolist()
    nudged = stable_oids("survey", "building", None, objects([shapely.box(0.001, 0, 10.001, 10), BOW]))
    assert nudged.tolist() == forth.tolist()
    assert stable_oids("other", "building", None, shapes)[0] != forth[0]


def told_apart(name, oid, shapes, **columns):
    shapes = objects(shapes)
    return unique_oids(name, objects(oid), shapes, {key: np.array(v) for key, v in columns.items()}, "delivery")


def test_a_repeated_id_is_renamed_and_a_repeated_feature_is_left_out():
    found = told_apart("building", ["a", "a", "a", "b"], [SQUARE, BOW, SQUARE, SPIKE], height=[1.0, 2.0, 3.0, 4.0])
    assert found.oid[found.keep].tolist() == ["a", "a~2", "b"]
    assert found.keep.tolist() == [True, True, False, True]
    assert [(o.oid, o.status) for o in found.outcomes] == [("a~2", "fallback"), ("a", "skipped")]
    assert found.lines("survey.gpkg") == []


def test_a_renamed_id_never_meets_one_that_was_delivered():
    found = told_apart("building", ["a", "a~2", "a", "a"], [SQUARE, BOW, SPIKE, shapely.box(0, 0, 1, 1)])
    assert found.oid.tolist() == ["a", "a~2", "a~3", "a~4"]


def test_points_without_an_id_at_one_place_are_each_a_feature_of_their_own():
    flats = [shapely.Point(3, 4)] * 3 + [shapely.Point(8, 4)]
    oid = stable_oids("flats", "facility", None, objects(flats))
    found = told_apart("facility", oid.tolist(), flats, value=[5.0, 5.0, 5.0, 5.0])
    assert found.keep.all()
    assert found.oid.tolist() == [oid[0], f"{oid[0]}~2", f"{oid[0]}~3", oid[3]]
    assert found.outcomes == []
    (line,) = found.lines("flats.csv")
    assert line.startswith("flats.csv: points without an id at the place of another: 2; each is kept")


def test_points_with_the_same_id_at_the_same_place_are_one_feature():
    found = told_apart("facility", ["F-1", "F-1"], [shapely.Point(3, 4)] * 2, value=[1.0, 2.0])
    assert found.keep.tolist() == [True, False]


def test_an_outline_without_an_id_is_a_repetition_only_where_its_columns_are_the_same():
    oid = stable_oids("survey", "building", None, objects([SQUARE] * 4)).tolist()
    nan = np.nan
    found = told_apart("building", oid, [SQUARE] * 4, height=[3.0, 3.0, 9.0, 9.0], year=[nan, nan, nan, 1990.0])
    assert found.keep.tolist() == [True, False, True, True]
    assert found.oid[found.keep].tolist() == [oid[0], f"{oid[0]}~2", f"{oid[0]}~3"]
    assert [(o.oid, o.status) for o in found.outcomes] == [
        (oid[0], "skipped"), (f"{oid[0]}~2", "fallback"), (f"{oid[0]}~3", "fallback"),
    ]  # fmt: skip


def test_a_hundred_thousand_points_at_one_place_are_told_apart_in_one_pass():
    n = 100_000
    found = told_apart("address", ["address-0123456789abcdef"] * n, [shapely.Point(0, 0)] * n)
    assert found.oid[[0, 1, n - 1]].tolist() == [
        "address-0123456789abcdef", "address-0123456789abcdef~2", f"address-0123456789abcdef~{n}",
    ]  # fmt: skip


def test_a_self_crossing_ring_becomes_valid_parts_with_an_outcome_that_says_where():
    mended = mend("building", objects(["s", "bow"]), objects([SQUARE, BOW]), "footprints")
    assert shapely.is_valid(mended.geometry).all()
    assert mended.oid.tolist() == ["s", "bow", "bow~2"]
    assert mended.row.tolist() == [0, 1, 1]
    assert shapely.area(mended.geometry[1:]).sum() == 50.0
    assert [(o.oid, o.status) for o in mended.outcomes] == [("bow", "fallback")]
    assert "self-intersection at 25.00, 5.00" in mended.outcomes[0].reason


def test_a_spike_is_cut_off_and_the_house_stays_one():
    mended = mend("building", objects(["spike"]), objects([SPIKE]), "footprints")
    assert mended.oid.tolist() == ["spike"]
    assert shapely.area(mended.geometry[0]) == 100.0
    assert mended.invalid == 1


def test_a_multipart_building_is_split_and_its_dust_dropped():
    parts = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(5, 0, 15, 10), shapely.box(20, 0, 26, 10)])
    mended = mend("building", objects(["m"]), objects([parts]), "footprints")
    assert shapely.area(mended.geometry).tolist() == [100.0, 60.0]
    assert mended.oid.tolist() == ["m", "m~2"]
    assert "split" in mended.outcomes[0].reason


def test_one_part_in_a_multipolygon_is_no_event():
    mended = mend("building", objects(["m"]), objects([shapely.MultiPolygon([SQUARE])]), "footprints")
    assert mended.geometry[0].geom_type == "Polygon"
    assert mended.outcomes == ()


def test_a_park_of_several_parts_stays_one_feature():
    park = shapely.MultiPolygon([SQUARE, shapely.box(20, 0, 30, 10)])
    mended = mend("green", objects(["p"]), objects([park]), "green")
    assert mended.oid.tolist() == ["p"]
    assert mended.outcomes == ()


def test_roads_may_be_lines_or_areas():
    line = shapely.LineString([(0, 0), (10, 0)])
    lines = shapely.MultiLineString([[(0, 0), (10, 0)], [(20, 0), (30, 0)]])
    mended = mend("road", objects(["l", "a", "ll"]), objects([line, SQUARE, lines]), "roads")
    assert mended.oid.tolist() == ["l", "a", "ll", "ll~2"]


def test_what_cannot_be_a_building_is_named_and_left_out():
    shapes = [None, shapely.Polygon(), shapely.Point(1, 1), shapely.LineString([(0, 0), (1, 1)])]
    with np.errstate(invalid="ignore"):
        shapes += shapely.from_wkt(["POLYGON ((0 0, 1 0, 2 0, 0 0))", "POLYGON ((0 0, nan 0, 1 1, 0 0))"]).tolist()
    names = objects(["none", "empty", "point", "line", "flat", "nan"])
    mended = mend("building", names, objects(shapes), "footprints")
    assert len(mended.oid) == 0
    assert {o.oid: o.status for o in mended.outcomes} == dict.fromkeys(names.tolist(), "skipped")


def test_a_facility_drawn_as_an_area_becomes_a_point_inside_it():
    mended = mend("facility", objects(["f"]), objects([SQUARE]), "facilities")
    assert mended.geometry[0].geom_type == "Point"
    assert SQUARE.contains(mended.geometry[0])


def test_exteriors_run_counter_clockwise():
    mended = mend("building", objects(["cw"]), objects([shapely.box(0, 0, 1, 1, ccw=False)]), "footprints")
    assert shapely.is_ccw(shapely.get_exterior_ring(mended.geometry[0]))


def test_impossible_heights_are_emptied_and_named_and_zero_means_missing():
    columns = {"height": np.array([-3.0, 9999.0, 0.0, 12.0, np.nan]), "name": objects([""] * 5)}
    table, outcomes, zeros = check_ranges("building", objects(list("abcde")), columns, "footprints")
    np.testing.assert_array_equal(table["height"], [np.nan, np.nan, np.nan, 12.0, np.nan])
    assert [(o.oid, o.status) for o in outcomes] == [("a", "fallback"), ("b", "fallback")]
    assert "height -3 m" in outcomes[0].reason
    assert "height 9999 m" in outcomes[1].reason
    assert zeros == {"height": 1}
