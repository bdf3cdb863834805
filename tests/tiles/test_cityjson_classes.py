"""What is no building is exported too: by the schemas of CityJSON 2.0, whole, once, with what is known of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import shapely
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from models_l2.build import L2Options, build
from models_l2.classes.furniture import models
from tests.tiles.test_cityjson import WRITERS, read_back, written
from tests.tiny import EAST, FRAME, LINEAGE, NORTH, tiny_city
from tiles.cityjson import templates
from tiles.cityjson.gather import Choice, bounds_of
from twin.features import Layer
from twin.workers import Workers

EVERYTHING = Choice()
# https://github.com/cityjson/specs, schemas/ (CC0), as published with CityJSON 2.0.2, side by side in one file.
SCHEMAS = json.loads(Path(__file__).with_name("cityjson_2_0_2_schemas.json").read_text(encoding="utf-8"))
REGISTRY = Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values())


def line(*xy):
    return shapely.LineString(np.add(xy, (EAST, NORTH)))


def layers():
    def at(xy):
        return np.add(xy, (EAST, NORTH))

    pond = shapely.Polygon(at([(330, 330), (390, 330), (390, 390), (330, 390)]))
    return [
        # It crosses the border of four cells of 100 m, and bears the oid of a building.
        Layer.build("road", FRAME, ["b01", "r2"], [line((10, 90), (290, 90)), line((290, 90), (310, 90))],
                    {"width": [6.0, 6.0], "bridge": [0.0, 1.0], "name": ["东街", ""]}),
        Layer.build("water", FRAME, ["w1"], [pond], {"code": ["pond"]}),
        Layer.build("green", FRAME, ["g1"], [shapely.box(EAST + 5, NORTH + 300, EAST + 60, NORTH + 390)]),
        Layer.build("railway", FRAME, ["t1"], [line((150, 5), (150, 395))]),
        Layer.build("pipe", FRAME, ["p1"], [line((20, 20), (120, 20), (120, 80))],
                    {"medium": ["water"], "diameter": [400.0], "depth_start": [1.5]}),
        Layer.build("tree", FRAME, ["a1", "a2"], shapely.points(at([(200, 20), (205.5, 20)])),
                    {"height": [9.0, np.nan], "crown": [5.0, np.nan], "leaf": ["conifer", ""]}),
        Layer.build("furniture", FRAME, ["f1"], shapely.points(at([(210, 80)])),
                    {"kind": ["street_lamp"], "heading": [90.0]}),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    city = tiny_city(tmp_path_factory.mktemp("tiny") / "city")
    for layer in layers():
        city.store.write_layer(layer.name, layer, LINEAGE)
    build(city, L2Options(cell_size=100.0), Workers())
    return city


@pytest.fixture(scope="module")
def document(city, tmp_path_factory):
    return json.loads(written(city, tmp_path_factory.mktemp("out"), "cityjson", EVERYTHING)[0].read_bytes())


def checked(part: dict, schema: dict) -> None:
    for error in Draft7Validator(schema, registry=REGISTRY).iter_errors(part):
        raise AssertionError(f"{list(error.absolute_path)}: {error.message[:200]}")


def checked_objects(things: dict) -> None:
    base = SCHEMAS["cityobjects"]["$id"]
    for oid, thing in things.items():
        checked(thing, {"$ref": f"{base}#/{thing['type']}"})
        assert oid


@pytest.mark.parametrize("name", WRITERS)
def test_both_formats_keep_to_the_schemas_of_cityjson(city, tmp_path, name):
    text = written(city, tmp_path, name, EVERYTHING)[0].read_text(encoding="utf-8")
    head, *lines = [json.loads(part) for part in (text.splitlines() if name == "cityjsonseq" else [text])]
    checked(head | {"CityObjects": {}}, {"$ref": SCHEMAS["cityjson"]["$id"]})
    checked_objects(head["CityObjects"])
    assert head["geometry-templates"]["templates"]
    for feature in lines:
        checked(feature | {"CityObjects": {}}, {"$ref": SCHEMAS["cityjsonfeature"]["$id"]})
        checked_objects(feature["CityObjects"])
        assert feature["id"] in feature["CityObjects"]


def test_every_class_is_there_once_and_with_its_own_words(document):
    things = document["CityObjects"]
    kinds = Counter(thing["type"] for thing in things.values())
    assert kinds == Counter(
        Building=12, TINRelief=16, Road=1, Bridge=1, Railway=1, WaterBody=2, PlantCover=1, GenericCityObject=1,
        SolitaryVegetationObject=2, CityFurniture=1,
    )  # fmt: skip
    meanings = {
        "road/b01": "TrafficArea", "t1": "TrafficArea", "w1": "WaterSurface", "r2": "OuterFloorSurface",
    }  # fmt: skip
    for oid, meaning in meanings.items():
        assert things[oid]["geometry"][0]["semantics"]["surfaces"] == [{"type": meaning}], oid
    assert all("cim_level" in thing["attributes"] for thing in things.values())
    assert (
        things["road/b01"]["attributes"] | {"oid": "b01", "name": "东街", "extent_evidence": "width"}
        == (things["road/b01"]["attributes"])
    )
    assert things["r2"]["attributes"]["carries"] == "road"
    assert things["p1"]["geometry"][0]["type"] == "Solid"
    assert things["p1"]["attributes"]["diameter_evidence"] == "surveyed"
    assert things["relief_c_4390_44400"]["attributes"]["evidence"] == "dem"
    assert things["b01"]["type"] == "Building"


def triangles_of(document: dict, oid: str) -> np.ndarray:
    scale, move = (np.array(document["transform"][key]) for key in ("scale", "translate"))
    at = np.array(document["vertices"]) * scale + move
    return at[np.array(document["CityObjects"][oid]["geometry"][0]["boundaries"]).reshape(-1, 3)]


def test_a_road_over_several_cells_is_one_surface_as_large_as_it_is(city, document):
    boundaries = document["CityObjects"]["road/b01"]["geometry"][0]["boundaries"]
    at = np.array(document["vertices"]) * 0.001
    shapes = [shapely.Polygon(at[rings[0]][:, :2], [at[hole][:, :2] for hole in rings[1:]]) for rings in boundaries]
    solids = [part for _, part in city.store.read_model("surfaces")]
    went = 0.0
    for part in solids:
        for row in np.flatnonzero((part.oid == "b01") & (part.attributes["class"] == "road")).tolist():
            corners = part.take([row]).vertices[part.take([row]).faces][:, :, :2]
            went += shapely.area(shapely.polygons(corners)).sum()
    assert sum((part.oid == "b01").any() for part in solids) > 1
    assert shapely.area(shapes).sum() == pytest.approx(went, rel=1e-4)
    assert shapely.union_all(shapes).area == pytest.approx(went, rel=1e-3)


def test_the_relief_is_the_relief(city, document):
    went = {str(part.oid[0]): part for _, part in city.store.read_model("relief")}
    for oid, part in list(went.items())[:3]:
        corners = triangles_of(document, oid)
        np.testing.assert_allclose(corners, part.vertices[part.faces], atol=0.0006)
        assert document["CityObjects"][oid]["geometry"][0]["type"] == "CompositeSurface"


def placed(document: dict, oid: str) -> np.ndarray:
    """Corners (n, 3), frame m, of an instance as a reader of CityJSON computes them."""
    instance = document["CityObjects"][oid]["geometry"][0]
    scale, move = (np.array(document["transform"][key]) for key in ("scale", "translate"))
    foot = np.array(document["vertices"][instance["boundaries"][0]]) * scale + move
    told = document["geometry-templates"]
    used = re.findall(r"\d+", json.dumps(told["templates"][instance["template"]]["boundaries"]))
    points = np.array(told["vertices-templates"])[sorted({int(number) for number in used})]
    whole = np.array(instance["transformationMatrix"]).reshape(4, 4) @ np.column_stack([points, np.ones(len(points))]).T
    return whole[:3].T + foot


def test_trees_stand_on_the_relief_as_high_and_wide_as_they_are(city, document):
    layer = city.layer("tree_l2")
    for row, oid in enumerate(layer.oid.tolist()):
        corners = placed(document, oid)
        base, height, crown = (float(layer.column(key)[row]) for key in ("base_z", "height", "crown"))
        assert corners[:, 2].min() == pytest.approx(base, abs=0.002)
        assert corners[:, 2].max() == pytest.approx(base + height, abs=0.002)
        assert np.ptp(corners[:, 0]) == pytest.approx(crown, abs=0.01)
    levels = [document["geometry-templates"]["templates"][t]["lod"] for t in (0, 1)]
    assert sorted(levels) == ["1", "2"]
    assert document["CityObjects"]["a2"]["attributes"]["evidence"] == "usual"


def test_a_lamp_is_turned_to_where_it_faces(document):
    corners = placed(document, "f1") - (EAST + 210.0, NORTH + 80.0, 0.0)
    assert corners[:, 0].max() > 1.5
    assert abs(corners[:, 1]).max() < 0.2


def test_templates_face_outward_and_every_model_of_l2_has_one():
    for model in (*templates.PROFILES, *templates.boxes()):
        points, polygons = templates.shape(model)
        volume = 0.0
        for (ring,) in polygons:
            for k in range(1, len(ring) - 1):
                a, b, c = points[[ring[0], ring[k], ring[k + 1]]]
                volume += float(np.dot(a, np.cross(b, c))) / 6.0
        assert volume > 0.0, model
        assert points[:, 2].min() == 0.0
        assert points[:, 2].max() == 1.0, model
    drawn = {*templates.boxes(), templates.MANHOLE}
    assert {model for model, _ in models().values()} <= drawn


def test_a_box_and_classes_choose(city, tmp_path):
    corner = FRAME.to_lonlat([[EAST + 190.0, NORTH + 10.0], [EAST + 202.0, NORTH + 30.0]])
    bounds = bounds_of(FRAME, corner.ravel().tolist())
    told = written(city, tmp_path, "cityjson", Choice(bounds, classes=frozenset({"relief", "tree", "road"})))[1]
    assert told.classes == {"TINRelief": 2, "SolitaryVegetationObject": 1}
    told = written(city, tmp_path, "cityjsonseq", Choice(None, 10, frozenset({"tree", "pipe", "road", "relief"})))[1]
    assert told.classes == {"Road": 1, "Bridge": 1, "SolitaryVegetationObject": 1}


@pytest.mark.parametrize("name", WRITERS)
def test_our_own_reader_takes_the_buildings_and_counts_the_rest(city, tmp_path, name):
    out, told = written(city, tmp_path, name, EVERYTHING)
    reading, _ = read_back(out)
    assert len(reading.noun) == told.classes["Building"]
    told_of = " ".join([str(reading.warnings), str(reading.outcomes)])
    for kind in ("Road", "TINRelief", "WaterBody", "SolitaryVegetationObject"):
        assert kind in told_of, kind
