"""The same building in two sources: small boxes first, then footprints against survey points."""

import csv
from pathlib import Path

import numpy as np
import orjson
import pytest
import shapely

from ingest.fusion import MergeRules, match, merge
from tests.conftest import absent
from twin.errors import FrameMismatchError
from twin.features import Layer
from twin.frames import Frame

FRAME = Frame("EPSG:3826", "TWVD2001")


def layer(source, shapes, **columns):
    oid = [f"{source}{k + 1}" for k in range(len(shapes))]
    return Layer.build("building", FRAME, oid, shapes, {"source": [source] * len(shapes)} | columns)


def box(x, y=0.0, size=10.0):
    return shapely.box(x, y, x + size, y + size)


def test_known_values_stay_unknown_ones_are_filled_and_each_says_where_it_is_from():
    osm = layer("osm", [box(0)], name=["鼓楼"], height=[np.nan], function=["unknown"])
    survey = layer("survey", [box(1)], name=["楼"], height=[20.0], function=["heritage"])
    merged, table, outcomes = merge(osm, survey, MergeRules())
    assert merged.oid.tolist() == ["osm1"]
    values = [merged.column(name)[0] for name in ("name", "height", "function")]
    assert values == ["鼓楼", 20.0, "heritage"]
    told = list(zip(table.column, table.source, table.source_oid, table.replaced, strict=True))
    assert told == [
        ("function", "survey", "survey1", "unknown"),
        ("height", "survey", "survey1", ""),
        ("name", "osm", "osm1", "楼"),
    ]
    np.testing.assert_allclose(table.score, 90 / 110)
    assert outcomes == []
    assert osm.column("name").tolist() == ["鼓楼"]


def test_the_preferred_source_wins_column_by_column():
    osm = layer("osm", [box(0)], name=["鼓楼"], height=[18.0])
    survey = layer("survey", [box(0)], name=["楼"], height=[20.0])
    merged, table, _ = merge(osm, survey, MergeRules(prefer={"height": "second"}))
    assert (merged.column("name")[0], merged.column("height")[0]) == ("鼓楼", 20.0)
    assert dict(zip(table.column, table.replaced, strict=True)) == {"height": "18", "name": "楼"}


def test_parts_of_one_building_let_the_largest_speak_and_strangers_are_added():
    osm = layer("osm", [box(0)])
    parts = [shapely.box(0, 0, 3, 10), shapely.box(3, 0, 10, 10), box(10), box(100)]
    survey = layer("survey", parts, height=[5.0, 9.0, 3.0, 7.0])
    merged, table, outcomes = merge(osm, survey, MergeRules())
    assert merged.oid.tolist() == ["osm1", "survey3", "survey4"]
    assert merged.column("height").tolist() == [9.0, 3.0, 7.0]
    assert [(o.oid, o.status) for o in outcomes] == [("survey1", "skipped")]
    assert list(zip(table.oid, table.column, strict=True)) == [("osm1", "height"), ("survey3", "*"), ("survey4", "*")]


def test_points_belong_to_the_area_they_lie_in_or_near_and_lonely_ones_are_named():
    osm = layer("osm", [box(0), box(20)])
    survey = layer("survey", shapely.points([(5, 5), (9, 9), (19, 5), (15, 5)]), height=[1.0, 2.0, 3.0, 4.0])
    merged, _, outcomes = merge(osm, survey, MergeRules(reach=2.0))
    assert merged.column("height").tolist() == [1.0, 3.0]
    assert [o.oid for o in outcomes] == ["survey2", "survey4"]
    np.testing.assert_allclose(match(osm, survey, MergeRules(reach=2.0)).score, [1.0, 1.0, 0.5])


def test_the_order_of_the_second_source_does_not_matter():
    osm = layer("osm", [box(0), box(12), box(24)])
    survey = layer("survey", [box(6), box(14), box(25), box(-2)], height=[1.0, 2.0, 3.0, 4.0])
    straight, table, _ = merge(osm, survey, MergeRules(add=False))
    mixed, other, _ = merge(osm, survey.take([3, 1, 0, 2]), MergeRules(add=False))
    assert straight.column("height").tolist() == mixed.column("height").tolist()
    assert table.as_dict() == other.as_dict()


def test_an_empty_source_changes_nothing_and_another_frame_is_refused():
    osm = layer("osm", [box(0)], height=[3.0])
    merged, table, outcomes = merge(osm, Layer.empty("building", FRAME), MergeRules())
    assert (merged.column("height").tolist(), len(table), outcomes) == ([3.0], 0, [])
    with pytest.raises(FrameMismatchError):
        merge(osm, Layer.empty("building", Frame("EPSG:4547", "1985")), MergeRules())


@pytest.fixture
def campus(data):
    """(OSM footprints, all survey centres, osm id -> survey id as published)."""
    folder = data / "nycu-taiwan"
    if not folder.is_dir():
        absent("../shared/data/nycu-taiwan")
    fused = orjson.loads((folder / "buildings_3d.geojson").read_bytes())["features"]
    rest = orjson.loads((folder / "buildings_merged.geojson").read_bytes())["features"]
    rest = [feature for feature in rest if feature["geometry"]["type"] == "Point"]
    shapes = shapely.from_geojson([orjson.dumps(feature["geometry"]).decode() for feature in fused])
    said = [feature["properties"] for feature in fused]
    names = [row.get("name") or "" for row in said]
    osm = Layer.build(
        "building", FRAME, [str(row["osm_id"]) for row in said], shapely.transform(shapes, FRAME.from_lonlat),
        {"name": names, "source": ["osm"] * len(said)},
    )  # fmt: skip
    matched = [row for row in said if row.get("nlsc_BUILD_ID")]
    xy = [[float(row["nlsc_CENT_E_97"]), float(row["nlsc_CENT_N_97"])] for row in matched]
    xy += FRAME.from_lonlat([feature["geometry"]["coordinates"] for feature in rest]).tolist()
    oid = [row["nlsc_BUILD_ID"] for row in matched] + [feature["properties"]["BUILD_ID"] for feature in rest]
    height = [row["nlsc_BUILD_H"] for row in matched] + [feature["properties"]["BUILD_H"] for feature in rest]
    survey = Layer.build(
        "building", FRAME, oid, shapely.points(xy),
        {"height": [float(word) for word in height], "source": ["nlsc"] * len(oid)},
    )  # fmt: skip
    return osm, survey, {str(row["osm_id"]): row.get("nlsc_BUILD_ID", "") for row in said}


@pytest.mark.real
def test_campus_footprints_meet_the_survey_as_a_person_would_match_them(campus):
    osm, survey, _ = campus
    merged, table, outcomes = merge(osm, survey, MergeRules())
    found = dict(zip(table.oid.tolist(), table.source_oid.tolist(), strict=True))
    with (Path(__file__).parent / "nycu_checked.csv").open(encoding="utf-8") as file:
        checked = [row for row in csv.DictReader(file) if row["verdict"] != "unsure"]
    same = [row for row in checked if row["verdict"] == "same"]
    made = [row for row in checked if row["osm_id"] in found]
    right = [row for row in same if found.get(row["osm_id"]) == row["survey_id"]]
    assert len(checked) >= 39
    assert len(right) / len(made) >= 0.98
    # One survey centre lies 4.7 m off; a reach that wide lets a wrong part speak for another building.
    assert len(right) / len(same) >= 0.95
    assert len(merged) == 319
    assert len(outcomes) + len(found) == len(survey) == 2257
    assert np.count_nonzero(~np.isnan(merged.column("height"))) == len(found)


@pytest.mark.real
def test_campus_matches_beside_the_published_267(campus):
    osm, survey, published = campus
    _, table, _ = merge(osm, survey, MergeRules())
    assert (sum(map(bool, published.values())), sum(not word for word in published.values())) == (267, 52)
    found = set(table.oid.tolist())
    both = {oid for oid in found if published[oid]}
    # The published join takes any survey building within some 30 m; ours wants the centre in or at the footprint.
    assert len(found) == 221
    assert len(both) == 216
