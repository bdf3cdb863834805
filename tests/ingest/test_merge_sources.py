"""Two footprint sources declared as one: through city.toml, the recipe, and into the store."""

import numpy as np
import orjson
import pytest
import shapely

from ingest.run import IngestOptions, build
from twin.errors import OptionsError
from twin.workers import Workers

X, Y = 500_000.0, 4_430_000.0
MAP = {"name": "osm", "kind": "footprints", "path": "osm.shp", "columns": {"source_id": "ID", "height": "H"}}
SURVEY = {
    "name": "survey", "kind": "footprints", "path": "survey.csv", "crs": "EPSG:4326", "merge_into": "osm",
    "prefer": ["height"], "columns": {"source_id": "no", "height": "h", "storeys": "floors"},
}  # fmt: skip


@pytest.fixture
def sources(write_vector, write_raster, ground, frame, tmp_path):
    """Three outlines; four survey points: two in the first, one in the second, one in the open."""
    shapes = [shapely.box(X + d, Y + 10, X + d + 10, Y + 20) for d in (10, 40, 70)]
    write_vector("osm.shp", shapes, ID=["w1", "w2", "w3"], H=[18.0, 9.0, np.nan], WIKI=["Q1", "", ""])
    places = [[X + 15, Y + 15], [X + 11, Y + 11], [X + 45, Y + 15], [X + 62, Y + 15]]
    rows = zip(("S1", "S2", "S3", "S4"), (23.5, 4.0, 10.0, 6.0), (6, 1, 3, 2), frame.to_lonlat(places), strict=True)
    lines = [f"{no},{h},{floors},{place[0]},{place[1]},R" for no, h, floors, place in rows]
    text = "\n".join(["no,h,floors,lon,lat,material", *lines])
    (tmp_path / "survey.csv").write_text(text + "\n", encoding="utf-8")
    write_raster("dem.tif", ground, nodata=-9999)
    return {"kind": "dem", "path": "dem.tif"}


def run(city):
    return build(city, IngestOptions(), Workers(1))


def test_a_survey_is_merged_into_the_map_it_names(sources, make_city):
    city = make_city(sources, MAP, SURVEY)
    report = run(city)
    layer = city.store.read_layer("building")
    assert layer.oid.tolist() == ["w1", "w2", "w3"]
    np.testing.assert_array_equal(layer.column("height"), [23.5, 10.0, np.nan])
    np.testing.assert_array_equal(layer.column("storeys"), [6.0, 3.0, np.nan])
    assert orjson.loads(layer.column("attributes")[0]) == {"WIKI": "Q1", "material": "R"}
    first, _, third = layer.column("provenance").tolist()
    assert orjson.loads(first) == {
        "osm": {"id": "w1", "gave": ["geometry"]},
        "survey": {"id": "S1", "gave": ["height", "storeys"], "match": 1.0, "also": ["S2"]},
        "instead_of": {"height": {"osm": 18.0}},
    }
    assert third == ""
    figures = {key.rpartition(".")[2]: value for key, value in report.figures.items() if key.startswith("fusion.")}
    assert figures == {
        "matched": 2, "unmatched": 1, "added": 0, "points_left": 1, "records_silent": 1, "outlines_sharing": 0,
        "height_compared": 2, "height_conflicts": 1, "height_difference_median": 3.25,
        "storeys_compared": 0, "storeys_conflicts": 0,
    }  # fmt: skip
    told = {o.oid: o.reason for o in report.outcomes if o.stage == "fusion"}
    assert set(told) == {"w1", "S2"}
    assert "differ by more than 3 m" in told["w1"]
    lineage = city.store.item("layer", "building").lineage
    assert lineage.source == "osm; survey"
    assert any(step.startswith("survey merged in") for step in lineage.steps)


def test_a_point_without_outline_is_kept_in_a_layer_of_its_own_until_the_source_goes(sources, make_city):
    city = make_city(sources, MAP, SURVEY)
    report = run(city)
    points = city.store.read_layer("building_point")
    assert (points.oid.tolist(), points.column("height").tolist()) == (["S4"], [6.0])
    assert [line for line in report.warnings if "1 points meet no outline of osm" in line]
    run(make_city(sources, MAP))
    assert not city.store.has("layer", "building_point")


def test_the_quality_of_the_merged_source_names_the_conflict(sources, make_city):
    city = make_city(sources, MAP, SURVEY)
    run(city)
    last = city.store.read_document("quality")["sources"][2]
    assert {row["measure"]: row["count"] for row in last["quality"]["thematic"]}["height_sources"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"merge_into": "other"}, "both sources have to be building footprints"),
        ({"merge_into": "survey"}, "both sources have to be building footprints"),
        ({"prefer": ["hight"]}, "did you mean 'height'"),
        ({"merge_into": ""}, "prefer without merge_into"),
    ],
)
def test_a_merge_that_cannot_be_is_refused_before_anything_is_read(sources, make_city, change, words):
    with pytest.raises(OptionsError, match=words):
        make_city(sources, MAP, SURVEY | change)
