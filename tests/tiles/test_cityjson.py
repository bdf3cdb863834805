"""What is exported as CityJSON is read back by our own reader: same buildings, same shapes, same words."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ingest.reading import Delivery
from ingest.sources import reader_of
from models_l2.build import L2Options, build
from tests.analysis.test_shells import CORNERS, CUBE, mesh
from tests.tiny import EAST, FRAME, NORTH, tiny_city
from tiles.cityjson.gather import Choice, bounds_of
from tiles.cityjson.head import epsg_of
from tiles.cityjson.write import write_cityjson, write_cityjsonseq
from twin.city import Source
from twin.errors import MissingInputError, OptionsError
from twin.features import objects
from twin.lineage import Lineage
from twin.meshes import Skin, Solids, Surface, Texture, concatenate
from twin.store.images import image_name
from twin.workers import Workers

WRITERS = {"cityjson": (write_cityjson, "city.json"), "cityjsonseq": (write_cityjsonseq, "city.jsonl")}
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    city = tiny_city(tmp_path_factory.mktemp("tiny") / "city")
    build(city, L2Options(), Workers())
    return city


BUILDINGS = Choice(classes=frozenset({"building"}))


def written(city, folder, name, choice=BUILDINGS):
    write, file = WRITERS[name]
    out = folder / f"{name}.{file}"
    return out, write(city, out, choice)


def read_back(out, frame=FRAME):
    source = Source(name="back", kind="citymodel", path=str(out), crs=frame.crs)
    reading = reader_of("citymodel").read(Delivery(source, out.parent), frame)
    return reading, concatenate([batch for _, batch in reading.models.batches()])


def model(city, name="l2"):
    return concatenate([batch for _, batch in city.store.read_model(name)])


def cube(oid: str, x: float, lod: int = 22, faces: np.ndarray = CUBE, **attributes: str) -> Solids:
    solids = mesh(CORNERS * 5.0 + np.array([EAST + x, NORTH, 1040.0]), faces, oid)
    surface = np.repeat([Surface.GROUND, Surface.ROOF, *[Surface.WALL] * 4], 2).astype(np.uint8)[: len(faces)]
    told = {key: objects([value]) for key, value in attributes.items()}
    return replace(solids, frame=FRAME, surface=surface, lod=np.array([lod], np.uint8), attributes=told)


@pytest.mark.parametrize("name", WRITERS)
def test_buildings_come_back_as_they_went(city, tmp_path, name):
    out, told = written(city, tmp_path, name)
    reading, back = read_back(out)
    went = model(city)
    assert told.objects == len(went) == len(reading.noun)
    order = np.argsort(back.oid.astype(str)), np.argsort(went.oid.astype(str))
    back, went = back.take(order[0]), went.take(order[1])
    ids = dict(zip(reading.noun.oid.tolist(), reading.noun.column("source_id").tolist(), strict=True))
    assert [ids[oid] for oid in back.oid.tolist()] == went.oid.tolist()
    assert (back.attributes["closed"] == 1.0).all()
    assert back.volumes() == pytest.approx(went.volumes(), rel=1e-3)
    assert back.lod.tolist() == went.lod.tolist()
    for code in (Surface.GROUND, Surface.WALL, Surface.ROOF):
        assert areas(back, code) == pytest.approx(areas(went, code), rel=1e-3)
    for k in range(len(went)):
        ours, theirs = (np.unique(np.round(s.take([k]).vertices, 3), axis=0) for s in (went, back))
        np.testing.assert_allclose(theirs, ours, atol=0.001)


def areas(solids: Solids, code: int) -> np.ndarray:
    a, b, c = (solids.vertices[solids.faces[:, k]] for k in range(3))
    size = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2.0
    return np.bincount(solids.face_owner(), weights=size * (solids.surface == code), minlength=len(solids))


@pytest.mark.parametrize("name", WRITERS)
def test_attributes_come_back_with_their_evidence(city, tmp_path, name):
    layer = read_back(written(city, tmp_path, name)[0])[0].noun
    row = layer.column("source_id").tolist().index("b00")
    assert (layer.column("name")[row], layer.column("storeys")[row]) == ("鼓楼", 3.0)
    assert (layer.column("function")[row], layer.column("height")[row]) == ("heritage", 10.5)
    told = json.loads(layer.column("attributes")[row])
    assert told["height_evidence"] == "surveyed"
    assert told["outcome"] == "done"
    assert told["cim_level"] == "CIM2"
    went = city.layer("building_l2")
    for key in ("height_m", "height_sigma", "base_z", "roof_z", "ridge_z"):
        value = float(went.columns[key][went.oid.tolist().index("b00")])
        assert float(told[key]) == pytest.approx(value, abs=1e-6), key


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_city_gives_the_same_bytes(city, tmp_path, name):
    (tmp_path / "again").mkdir()
    first, second = written(city, tmp_path, name)[0], written(city, tmp_path / "again", name)[0]
    assert first.read_bytes() == second.read_bytes()


def test_both_formats_say_the_same_and_no_vertex_is_left_over(city, tmp_path):
    whole = json.loads(written(city, tmp_path, "cityjson")[0].read_bytes())
    head, *lines = [json.loads(line) for line in written(city, tmp_path, "cityjsonseq")[0].read_text().splitlines()]
    assert {key: head[key] for key in ("version", "transform", "metadata")} == {
        key: whole[key] for key in ("version", "transform", "metadata")
    }
    assert [key for line in lines for key in line["CityObjects"]] == list(whole["CityObjects"])
    assert sum(len(line["vertices"]) for line in lines) == len(whole["vertices"])
    used = json.dumps([thing["geometry"] for thing in whole["CityObjects"].values()])
    boundaries = [g["boundaries"] for thing in whole["CityObjects"].values() for g in thing["geometry"]]
    numbers = set(np.array(json.dumps(boundaries).translate(str.maketrans("[],", "   ")).split(), int).tolist())
    assert numbers == set(range(len(whole["vertices"])))
    assert '"RoofSurface"' in used


def test_a_box_and_a_level_choose(city, tmp_path):
    corner = FRAME.to_lonlat([[EAST, NORTH], [EAST + 150.0, NORTH + 100.0]])
    bounds = bounds_of(FRAME, corner.ravel().tolist())
    told = written(city, tmp_path, "cityjson", Choice(bounds, classes=BUILDINGS.classes))[1]
    assert told.objects == 2
    assert written(city, tmp_path, "cityjsonseq", Choice(None, 11, BUILDINGS.classes))[1].objects == 0
    with pytest.raises(OptionsError, match="west < east"):
        bounds_of(FRAME, (3.0, 1.0, 2.0, 2.0))


@pytest.fixture
def empty(tmp_path):
    city = tiny_city(tmp_path / "city")
    city.store.remove("layer", "building")
    return city


def test_what_the_old_city_knows_of_a_building_becomes_its_parts(city, tmp_path):
    hall = cube("b00/hall", 40.0, 30, owner="b00", part="hall")
    bare = replace(
        cube("b00/owl", 40.0, 30, owner="b00", part="owl"), surface=np.full(12, Surface.INSTALLATION, np.uint8)
    )
    gate = cube("gate/tower", 300.0, 30, owner="gate", part="tower")
    painted = replace(hall, material=np.full(12, 5, np.uint8))
    city.store.write_model("l3", [("c_0_0", concatenate([painted, bare, gate]))], Lineage("made in code"))
    try:
        whole = json.loads(written(city, tmp_path, "cityjson")[0].read_bytes())
        upper = json.loads(written(city, tmp_path, "cityjsonseq")[0].read_text().splitlines()[-1])
    finally:
        city.store.remove("model", "l3")
    things = whole["CityObjects"]
    assert things["b00"]["children"] == ["b00/hall", "b00/owl"]
    assert [things[key]["type"] for key in ("b00/hall", "b00/owl")] == ["BuildingPart", "BuildingInstallation"]
    assert things["b00"]["attributes"]["cim_level"] == "CIM4"
    assert things["b00"]["geometry"][0]["lod"] == "1.2"
    assert things["b00/hall"]["geometry"][0]["lod"] == "3"
    name = whole["appearance"]["materials"][0]["name"]
    assert name == "red_wall"
    assert list(upper["CityObjects"]) == ["gate", "gate/tower"]
    assert "appearance" not in upper


def test_colours_and_pictures_come_back(empty, tmp_path):
    image = image_name(PICTURE)
    skin = Skin.bare(12)
    skin.colour[4:] = (200, 100, 50, 255)
    skin.texture[2:4] = 0
    base = cube("a", 0.0)
    plan = base.vertices[base.faces][:, :, :2] - [EAST, NORTH]
    skin.uv[2:4] = plan[2:4] / 10.0
    dressed = replace(base, skin=replace(skin, textures=(Texture(image, "mirror"),)))
    empty.store.write_model("citymodel", [("one", dressed)], Lineage("made in code"), {image: PICTURE})
    empty.store.write_layer("building", tiny_city(tmp_path / "other").layer("building"), Lineage("made in code"))
    for name in WRITERS:
        out, told = written(empty, tmp_path, name)
        assert list(told.images) == [image]
        reading, back = read_back(out)
        assert reading.models.images[image] == PICTURE
        worn = back.skin.texture >= 0
        assert (int(worn.sum()), back.skin.textures) == (2, (Texture(image, "mirror"),))
        place = back.vertices[back.faces[worn]][:, :, :2] - [EAST, NORTH]
        np.testing.assert_allclose(back.skin.uv[worn], place / 10.0, atol=1e-6)
        assert sorted(np.unique(back.skin.colour, axis=0).tolist()) == [[0, 0, 0, 0], [200, 100, 50, 255]]


def test_disjoint_bodies_are_solids_of_one_building_and_a_void_is_a_shell(empty, tmp_path):
    far = CORNERS * 5.0 + np.array([30.0, 0.0, 0.0])
    void = CORNERS + 4.0
    points = np.concatenate([CORNERS * 5.0, far, void]) + np.array([EAST, NORTH, 1040.0])
    faces = np.concatenate([CUBE, CUBE + 8, CUBE[:, ::-1] + 16])
    solids = replace(mesh(points, faces, "a"), frame=FRAME)
    empty.store.write_model("l2", [("one", solids)], Lineage("made in code"))
    empty.store.write_layer("building", tiny_city(tmp_path / "other").layer("building"), Lineage("made in code"))
    out, told = written(empty, tmp_path, "cityjson")
    things = json.loads(out.read_bytes())["CityObjects"]["a"]["geometry"]
    assert [(g["type"], len(g["boundaries"])) for g in things] == [("Solid", 2), ("Solid", 1)]
    assert told.geometries == 2
    assert read_back(out)[1].volumes() == pytest.approx(solids.volumes())


def test_what_is_open_is_a_multi_surface(empty, tmp_path):
    empty.store.write_model("l2", [("one", cube("a", 0.0, faces=CUBE[:-1]))], Lineage("made in code"))
    empty.store.write_layer("building", tiny_city(tmp_path / "other").layer("building"), Lineage("made in code"))
    geometry = json.loads(written(empty, tmp_path, "cityjson")[0].read_bytes())["CityObjects"]["a"]["geometry"][0]
    assert geometry["type"] == "MultiSurface"
    assert len(geometry["boundaries"]) == len(geometry["semantics"]["values"]) == 6


def test_a_city_without_models_says_what_to_run_and_leaves_nothing(empty, tmp_path):
    with pytest.raises(MissingInputError, match="twin l2"):
        written(empty, tmp_path, "cityjson")
    assert not [path for path in tmp_path.iterdir() if "city.json" in path.name]


def test_the_reference_system_names_the_heights_where_the_register_has_them():
    assert epsg_of("EPSG:28992", "NAP") == 7415
    assert epsg_of("EPSG:28992", "local") == 28992
    assert epsg_of("EPSG:4547", "") == 4547
    assert epsg_of("+proj=tmerc +lon_0=113.3 +ellps=GRS80", "1985") is None
