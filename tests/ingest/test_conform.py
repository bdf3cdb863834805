import numpy as np
import pytest
import shapely

from ingest.conform import (
    column_mapping,
    columns_of,
    crs_of,
    place,
    telling_ids,
    vertical_shift,
)
from ingest.formats.words import leftovers, numbers, texts, translate
from ingest.reading import RawTable
from twin.errors import SourceError
from twin.features import objects
from twin.frames import Frame, gcj02_from_wgs84


def raw(**fields):
    n = len(next(iter(fields.values())))
    columns = {k: objects(v) if isinstance(v[0], str) else np.asarray(v) for k, v in fields.items()}
    return RawTable(columns, objects([None] * n), "", "sheet.gpkg")


def test_numbers_stored_as_text_become_numbers():
    words = objects(["12.5", " 7 ", "12.5", "1,250", "3层", "9.5 m", "NA", "", "无", "1e2"])
    values, lines = numbers(words, "storeys", "sheet")
    np.testing.assert_array_equal(values, [12.5, 7, 12.5, 1250, 3, 9.5, np.nan, np.nan, np.nan, 100])
    assert lines == []


def test_storeys_in_a_column_of_heights_are_no_metres():
    values, lines = numbers(objects(["12米", "3层"]), "height", "sheet")
    np.testing.assert_array_equal(values, [12.0, np.nan])
    assert lines == ["sheet: column height: 1 values are no number, first '3层' in row 2"]


def test_numbers_typed_in_full_width_are_numbers():
    words = objects(
        ["\uff11\uff12\uff0e\uff15", "\uff0d\uff13", "\uff0b\uff14", "\uff11\uff0c\uff12\uff15\uff10", "\uff0d"]
    )
    values, lines = numbers(words, "height", "sheet")
    np.testing.assert_array_equal(values, [12.5, -3.0, 4.0, 1250.0, np.nan])
    assert lines == []


def test_text_that_is_no_number_is_missing_and_reported_with_its_row():
    values, lines = numbers(objects(["5", "high", "tall"]), "height", "sheet.shp")
    np.testing.assert_array_equal(values, [5, np.nan, np.nan])
    assert lines == ["sheet.shp: column height: 2 values are no number, first 'high' in row 2"]


def test_identifiers_that_came_as_floats_lose_their_point_zero():
    assert texts(np.array([100006474.0, np.nan, 1.5])).tolist() == ["100006474", "", "1.5"]
    assert texts(np.array([503100000018603])).tolist() == ["503100000018603"]


def test_ogr_lists_are_unpacked():
    assert texts(objects(["(1:130-130A)", "(2:1,2)", "(x)", None])).tolist() == ["130-130A", "1, 2", "(x)", ""]


def test_values_go_through_the_declared_table_and_strangers_are_counted():
    words, lines = translate(objects(["1", "2", "9", ""]), {"1": "residential", "2": "mine"}, "function", "sheet")
    assert words.tolist() == ["residential", "mine", "9", ""]
    assert "1 values" in lines[0]
    assert "'9'" in lines[0]
    words, lines = translate(objects(["1", "9", ""]), {"1": "residential", "*": "unknown"}, "function", "sheet")
    assert words.tolist() == ["residential", "unknown", ""]
    assert lines == []


def test_a_use_outside_the_vocabulary_becomes_unknown_and_is_named(deliver):
    table, lines = columns_of(
        raw(use=["residential", "柴房"]), deliver("a.gpkg", columns={"function": "use"}), "building"
    )
    assert table["function"].tolist() == ["residential", "unknown"]
    assert "柴房" in lines[0]


def test_lengths_in_feet_become_metres_and_counts_stay(deliver):
    table, _ = columns_of(
        raw(h=[100.0], storeys=[7.0]), deliver("a.gpkg", unit="ft", columns={"height": "h"}), "building"
    )
    assert table["height"][0] == pytest.approx(30.48)
    assert table["storeys"][0] == 7.0


def test_columns_nobody_declared_go_into_attributes_as_json(deliver):
    table, _ = columns_of(raw(name=["鼓楼"], 备注=["旧"], n=[3.0], gap=[np.nan]), deliver("a.gpkg"), "building")
    assert table["attributes"].tolist() == ['{"n":3,"备注":"旧"}']
    assert leftovers({}, 2).tolist() == ["", ""]
    left = {"b": objects(['"旧"', None, " "]), "a": np.array([0.5, np.nan, np.nan])}
    assert leftovers(left, 3).tolist() == ['{"a":0.5,"b":"\\"旧\\""}', "", ""]


def test_a_mapped_column_that_the_file_lacks_is_named_with_those_it_has(deliver):
    with pytest.raises(SourceError, match=r"sheet.gpkg: no column 'BH' \(declared for source_id\); the file has name"):
        column_mapping(raw(name=["a"]), deliver("a.gpkg", columns={"source_id": "BH"}), ["source_id", "name"])


def test_a_column_of_ours_that_does_not_exist_gets_the_nearest_name(deliver):
    with pytest.raises(SourceError, match="did you mean 'height'"):
        columns_of(raw(h=[1.0]), deliver("a.gpkg", columns={"heigth": "h"}), "building")


def test_neither_declared_nor_stated_crs_is_refused_with_the_remedy(deliver):
    with pytest.raises(SourceError, match=r'a.shp: no CRS .* add crs = "EPSG:\.\.\."'):
        crs_of(deliver("a.shp", crs=""), "", "a.shp")


def test_a_file_that_contradicts_its_declaration_is_refused_naming_both(deliver):
    with pytest.raises(SourceError, match="declared EPSG:4547, but the file states EPSG:4548"):
        crs_of(deliver("a.shp"), "EPSG:4548", "a.shp")


def test_gcj02_may_hide_in_a_file_that_says_wgs84_but_not_in_a_projected_one(deliver):
    assert crs_of(deliver("a.geojson", crs="GCJ-02"), "EPSG:4326", "a.geojson") == "GCJ-02"
    with pytest.raises(SourceError, match="declared GCJ-02, but the file states EPSG:4547"):
        crs_of(deliver("a.shp", crs="GCJ-02"), "EPSG:4547", "a.shp")


def test_a_compound_crs_agrees_with_its_horizontal_part(deliver):
    assert crs_of(deliver("a.laz", crs="EPSG:28992"), "EPSG:7415", "a.laz") == "EPSG:28992"


def test_gcj02_points_land_on_their_true_place(frame):
    lonlat = np.array([[113.3, 40.09]])
    points = shapely.points(gcj02_from_wgs84(lonlat))
    moved = place(points, "GCJ-02", frame, "a.csv")
    np.testing.assert_allclose(shapely.get_coordinates(moved), frame.from_lonlat(lonlat), atol=0.001)


def test_metres_that_claim_to_be_degrees_are_refused(frame):
    with pytest.raises(SourceError, match="EPSG:4326 is in degrees, but a coordinate is"):
        place(objects([shapely.Point(500_000, 4_430_000)]), "EPSG:4326", frame, "lies.geojson")


def test_heights_come_to_the_frames_datum_only_by_a_declared_way(deliver, frame):
    assert vertical_shift(deliver("a.tif"), frame, "a.tif") == (0.0, "")
    assert vertical_shift(deliver("a.tif", vertical="ellipsoid"), frame, "a.tif")[0] == 15.0
    offset = deliver("a.tif", vertical="1956", extra={"vertical_offset": -0.029})
    assert vertical_shift(offset, frame, "a.tif")[0] == -0.029
    with pytest.raises(SourceError, match="heights in '1956', the city's are in '1985'; add vertical_offset"):
        vertical_shift(deliver("a.tif", vertical="1956"), frame, "a.tif")


def test_heights_of_another_geoid_go_over_the_ellipsoid_with_both_undulations_declared(deliver, frame):
    egm = deliver("a.tif", vertical="EPSG:3855", extra={"geoid_undulation": -14.6})
    shift, step = vertical_shift(egm, frame, "a.tif")
    assert shift == pytest.approx(0.4)
    assert step == (
        "heights EGM2008 -> 1985: +0.400 m (geoid undulation -14.600 m put on, -15.000 m taken off, as declared)"
    )
    with pytest.raises(SourceError, match=r"heights in 'EGM2008', the city's are in '1985'; .*geoid_undulation"):
        vertical_shift(deliver("a.tif", vertical="EGM2008"), frame, "a.tif")


def test_spellings_of_one_vertical_datum_are_one_datum(deliver, frame):
    for word in ("1985", "EPSG:5737", "1985国家高程基准", "Yellow Sea 1985 height", "国家85高程基准"):
        assert vertical_shift(deliver("a.tif", vertical=word), frame, "a.tif") == (0.0, "")
    assert vertical_shift(deliver("a.tif", vertical="大地高"), frame, "a.tif")[0] == 15.0


def test_ellipsoidal_heights_without_a_declared_geoid_are_refused(deliver):
    with pytest.raises(SourceError, match=r"cannot be brought to '1985' without the geoid; add geoid_undulation"):
        vertical_shift(deliver("a.tif", vertical="ellipsoid"), Frame("EPSG:4547", "1985"), "a.tif")


def test_levelled_heights_rise_to_an_ellipsoidal_frame(deliver):
    levelled = deliver("a.tif", vertical="1985", extra={"geoid_undulation": -15.0})
    assert vertical_shift(levelled, Frame("EPSG:4547", "ellipsoid"), "a.tif")[0] == -15.0


def test_a_spoken_zone_agrees_with_the_files_own_crs(deliver):
    assert crs_of(deliver("a.shp", crs="CGCS2000 / 3-degree GK CM 114E"), "EPSG:4547", "a.shp") == "EPSG:4547"


def test_a_zone_prefix_in_a_file_is_named_with_the_file_and_the_code(frame):
    shape = objects([shapely.Point(38_500_000.0, 4_430_000.0)])
    with pytest.raises(SourceError, match=r"^sheet\.shp: eastings like 38500000 carry the zone prefix 38.*EPSG:4526"):
        place(shape, "EPSG:4547", frame, "sheet.shp")
    assert shapely.get_x(place(shape, "EPSG:4526", frame, "sheet.shp"))[0] == pytest.approx(500_000.0, abs=1e-6)


def test_an_id_that_a_dozen_rows_share_is_none_and_said_to_be():
    shared = objects(["0"] * 26)
    ids, lines = telling_ids(shared, "b.json")
    assert ids is None
    assert lines[0].startswith("b.json: 26 rows have 1 different ids, so they are none")
    parts = objects([f"b{k // 3}" for k in range(30)] + [""] * 50)
    assert telling_ids(parts, "b.json") == (parts, [])
    assert telling_ids(None, "b.json") == (None, [])
