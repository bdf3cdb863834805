"""What surfaces of city models wear: themes, colours, pictures and places in them, and pictures that are not there."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from ingest.citymodel.album import Album, Place
from ingest.reading import Delivery
from ingest.run import IngestOptions, build
from ingest.sources import reader_of
from tests.ingest.test_citymodel import BOX, FRAME, corners, gml_building, gml_head
from twin.city import Source
from twin.meshes import concatenate
from twin.store.images import image_name
from twin.workers import Workers

PNG = b"\x89PNG\r\n\x1a\n"
CORNERS = "0 0 1 0 1 1 0 1 0 0"


@pytest.fixture
def model(tmp_path):
    """The solids and the reading of a model file beside pictures."""

    def reading(name, text, pictures=("a.png",), **declared):
        folder = tmp_path / "model"
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pictures):
            (folder / "pictures" / picture).write_bytes(PNG + bytes([number]))
        (folder / name).write_text(text, encoding="utf-8")
        source = Source(name="model", kind="citymodel", path=f"model/{name}", **declared)
        found = reader_of("citymodel").read(Delivery(source, tmp_path), FRAME)
        return concatenate([batch for _, batch in found.models.batches()]), found

    return reading


def gml_faces():
    """A box whose polygons p0..p5 have rings r0..r5."""
    points = corners()
    members = []
    for number, face in enumerate(BOX):
        text = " ".join(f"{x} {y} {z}" for x, y, z in [points[v] for v in (*face, face[0])])
        members.append(
            f'<gml:surfaceMember><gml:Polygon gml:id="p{number}"><gml:exterior><gml:LinearRing gml:id="r{number}">'
            f"<gml:posList>{text}</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon></gml:surfaceMember>"
        )
    return f'<bldg:lod2MultiSurface><gml:MultiSurface gml:id="all">{"".join(members)}</gml:MultiSurface></bldg:lod2MultiSurface>'  # noqa: E501


def gml_model(*appearances, inside=""):
    text = "".join(f"<app:appearanceMember>{each}</app:appearanceMember>" for each in appearances)
    head = gml_head().replace(
        "<core:CityModel ", '<core:CityModel xmlns:app="http://www.opengis.net/citygml/appearance/2.0" '
    )
    return head + gml_building("b1", gml_faces() + inside) + text + "</core:CityModel>"


def gml_looks(*data, theme="rgb"):
    members = "".join(f"<app:surfaceDataMember>{each}</app:surfaceDataMember>" for each in data)
    return f"<app:Appearance><app:theme>{theme}</app:theme>{members}</app:Appearance>"


def gml_texture(image, face, places=CORNERS, wrap="wrap"):
    return (
        f"<app:ParameterizedTexture><app:imageURI>{image}</app:imageURI><app:wrapMode>{wrap}</app:wrapMode>"
        f'<app:target uri="#p{face}"><app:TexCoordList><app:textureCoordinates ring="#r{face}">{places}'
        "</app:textureCoordinates></app:TexCoordList></app:target></app:ParameterizedTexture>"
    )


def gml_material(rgb, *targets, front="", transparency=""):
    told = f"<app:isFront>{front}</app:isFront>" if front else ""
    told += f"<app:diffuseColor>{rgb}</app:diffuseColor>"
    told += f"<app:transparency>{transparency}</app:transparency>" if transparency else ""
    return f"<app:X3DMaterial>{told}{''.join(f'<app:target>#{t}</app:target>' for t in targets)}</app:X3DMaterial>"


def test_coordinates_of_a_ring_behind_all_buildings_dress_its_faces_corner_by_corner(model):
    solids, reading = model("a.gml", gml_model(gml_looks(gml_texture("pictures/a.png", 1, wrap="mirror"))))
    skin = solids.skin
    assert [(t.image, t.wrap) for t in skin.textures] == [(image_name(PNG + b"\0"), "mirror")]
    worn = np.flatnonzero(skin.texture == 0)
    assert len(worn) == 2
    # Face (4, 5, 6, 7) is the roof, 10 m by 10 m: its place in the picture is its place on the roof.
    places = (solids.vertices[solids.faces[worn]][:, :, :2] - np.array(corners()[4])[:2]) / 10.0
    np.testing.assert_allclose(skin.uv[worn], places, atol=1e-6)
    assert not skin.uv[skin.texture < 0].any()
    assert reading.models.images[skin.textures[0].image] == PNG + b"\0"
    assert reading.warnings == ()


def test_an_appearance_inside_its_building_and_one_of_version_3_are_read_alike(model):
    local = f"<app:appearance>{gml_looks(gml_texture('pictures/a.png', 1))}</app:appearance>"
    first, _ = model("a.gml", gml_model(inside=local))
    association = (
        "<app:ParameterizedTexture><app:imageURI>pictures/a.png</app:imageURI><app:textureParameterization>"
        "<app:TextureAssociation><app:target>#p1</app:target><app:textureParameterization><app:TexCoordList>"
        f"<app:textureCoordinates>{CORNERS}</app:textureCoordinates><app:ring>#r1</app:ring></app:TexCoordList>"
        "</app:textureParameterization></app:TextureAssociation></app:textureParameterization></app:ParameterizedTexture>"
    )
    second, _ = model("b.gml", gml_model(gml_looks(association)))
    assert (first.skin.texture >= 0).sum() == 2
    assert first.skin.uv.tolist() == second.skin.uv.tolist()
    assert first.skin.textures == second.skin.textures


def test_a_projected_picture_lies_where_its_matrix_puts_it(model):
    x, y, _ = corners()[0]
    matrix = f"0.1 0 0 {-0.1 * x} 0 0.1 0 {-0.1 * y} 0 0 0 1"
    generated = (
        "<app:ParameterizedTexture><app:imageURI>pictures/a.png</app:imageURI><app:target uri='#all'><app:TexCoordGen>"
        f"<app:worldToTexture>{matrix}</app:worldToTexture></app:TexCoordGen></app:target></app:ParameterizedTexture>"
    )
    solids, _ = model("a.gml", gml_model(gml_looks(generated)))
    expected = (solids.vertices[solids.faces][:, :, :2] - np.array([x, y])) / 10.0
    np.testing.assert_allclose(solids.skin.uv, expected, atol=1e-6)
    assert (solids.skin.texture == 0).all()


def test_a_material_colours_the_surface_it_targets_and_a_closer_one_wins(model):
    looks = gml_looks(
        gml_material("1 0 0", "all"),
        gml_material("0 0 1", "p1", transparency="0.5"),
        gml_material("0 1 0", "p2", front="false"),
    )
    solids, reading = model("a.gml", gml_model(looks))
    colours, counts = np.unique(solids.skin.colour, axis=0, return_counts=True)
    assert colours.tolist() == [[0, 0, 255, 128], [255, 0, 0, 255]]
    assert counts.tolist() == [2, 10]
    assert "textures.named" not in reading.tally


@pytest.mark.parametrize(("theme", "red"), [("", 255), ("summer", 255), ("winter", 0), ("autumn", None)])
def test_the_theme_is_a_choice_and_the_first_without_one(theme, red, model):
    text = gml_model(
        gml_looks(gml_material("1 0 0", "p1"), theme="summer"), gml_looks(gml_material("0 0 1", "p1"), theme="winter")
    )
    solids, _ = model("a.gml", text, extra={"theme": theme})
    if red is None:
        assert solids.skin is None
    else:
        assert solids.skin.colour[solids.skin.colour[:, 3] > 0][:, 0].tolist() == [red] * 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pictures/none.png", "are not in the delivery"),
        ("../../outside.png", "point out of the delivery folder"),
        ("/etc/hostname", "point out of the delivery folder"),
        ("pictures/../../../outside.png", "point out of the delivery folder"),
        ("link.png", "point out of the delivery folder"),
        ("http://localhost:9/a.png", "are addresses"),
        ("file:///etc/hostname", "are addresses"),
        ("a.gml", "are no pictures"),
        ("pictures", "are not in the delivery"),
        ("x" * 5000, "are no pictures|are not in the delivery"),
    ],
)
def test_a_picture_that_cannot_be_had_costs_its_texture_and_is_counted(name, reason, model, tmp_path):
    outside = tmp_path.parent / "outside.png"
    outside.write_bytes(PNG)
    (tmp_path / "model").mkdir(exist_ok=True)
    (tmp_path / "model" / "link.png").symlink_to(outside)
    text = gml_model(gml_looks(gml_texture(name, 1), gml_texture("pictures/a.png", 2)))
    solids, reading = model("a.gml", text)
    assert len(reading.warnings) == 1
    assert re.search(f"1 of 2 texture images .*({reason}).*; the faces stay", reading.warnings[0])
    assert (reading.tally["textures.named"], reading.tally["textures.present"]) == (2, 1)
    assert len(solids.faces) == 12
    assert (solids.skin.texture >= 0).sum() == 2


@pytest.mark.parametrize("places", ["0 0 1 0", "0 0 1 0 1 1 0 1 0 nan", "0 0 1 0 1 1 0 1 0", "a b", ""])
def test_places_that_do_not_fit_their_ring_leave_the_face_bare(places, model):
    solids, _ = model("a.gml", gml_model(gml_looks(gml_texture("pictures/a.png", 1, places))))
    assert len(solids.faces) == 12
    assert solids.skin is None


def json_model(appearance, **looks):
    shell = [[list(face)] for face in BOX]
    box = {"type": "Solid", "lod": "2", "boundaries": [shell], **looks}
    things = {"b": {"type": "Building", "geometry": [box]}}
    head = {"type": "CityJSON", "version": "2.0", "CityObjects": things, "vertices": corners()}
    return json.dumps(head | ({"appearance": appearance} if appearance is not None else {}))


PLACES = [[0, 0], [1, 0], [1, 1], [0, 1]]
LOOKS = {
    "textures": [{"type": "PNG", "image": "pictures/a.png", "wrapMode": "clamp"}],
    "vertices-texture": PLACES,
    "materials": [{"name": "red", "diffuseColor": [1, 0, 0], "transparency": 0.25}, {"name": "plain"}],
}


def test_cityjson_themes_give_pictures_and_colours_and_null_gives_none(model):
    texture = {"values": [[[[None]], [[0, 0, 1, 2, 3]], [[None]], None, [[None]], [[None]]]]}
    material = {"values": [[0, None, 0, 0, 1, None]]}
    solids, reading = model(
        "a.json", json_model(LOOKS, texture={"rgb": texture}, material={"m": material}), crs="EPSG:4547"
    )
    skin = solids.skin
    assert [(t.image, t.wrap) for t in skin.textures] == [(image_name(PNG + b"\0"), "clamp")]
    worn = skin.texture == 0
    places = (solids.vertices[solids.faces[worn]][:, :, :2] - np.array(corners()[4])[:2]) / 10.0
    np.testing.assert_allclose(skin.uv[worn], places, atol=1e-6)
    assert np.unique(skin.colour, axis=0, return_counts=True)[1].tolist() == [6, 6]
    assert skin.colour.max(axis=0).tolist() == [255, 0, 0, 191]
    assert reading.outcomes == ()


def test_one_material_for_a_whole_geometry_and_the_default_theme_of_the_file(model):
    looks = LOOKS | {
        "materials": [{"diffuseColor": [0, 0, 1]}, {"diffuseColor": [0, 1, 0]}],
        "default-theme-material": "b",
    }
    text = json_model(looks, material={"a": {"value": 0}, "b": {"value": 1}})
    assert np.unique(model("a.json", text, crs="EPSG:4547")[0].skin.colour, axis=0).tolist() == [[0, 255, 0, 255]]
    chosen, _ = model("a.json", text, crs="EPSG:4547", extra={"theme": "a"})
    assert np.unique(chosen.skin.colour, axis=0).tolist() == [[0, 0, 255, 255]]


@pytest.mark.parametrize(
    "values",
    [
        [[[[7, 0, 1, 2, 3]]] * 6],
        [[[[0, 0, 1, 2, 9]]] * 6],
        [[[[0, 0, 1, 2]]] * 6],
        [[[["a", "b"]]] * 6],
        [[[[0, 0, 1, 2, 3]]] * 5],
        [[[[0, 0, 1, 2, -3]]] * 6],
        7,
        [None],
    ],
)
def test_a_texture_told_wrongly_leaves_the_surface_bare_and_the_building_whole(values, model):
    text = json_model(LOOKS, texture={"rgb": {"values": values}}, material={"m": {"values": [[99] * 6]}})
    solids, reading = model("a.json", text, crs="EPSG:4547")
    assert solids.attributes["closed"].tolist() == [1.0]
    assert solids.skin is None
    assert any("told wrongly stay bare" in outcome.reason for outcome in reading.outcomes)
    assert all(outcome.status == "fallback" for outcome in reading.outcomes)


def test_a_model_without_appearance_has_no_skin_and_no_album(model):
    solids, reading = model("a.json", json_model(None), crs="EPSG:4547")
    assert solids.skin is None
    assert reading.models.images is None


def test_a_sequence_brings_its_looks_with_each_feature(model):
    lines = [json.loads(json_model(None)) | {"CityObjects": {}, "vertices": []}]
    for oid in "ab":
        whole = json.loads(json_model(LOOKS, material={"m": {"value": 0}}))
        things = {oid: whole["CityObjects"]["b"]}
        lines.append({"type": "CityJSONFeature", "id": oid, "CityObjects": things, "vertices": whole["vertices"],
                      **({"appearance": LOOKS} if oid == "a" else {})})  # fmt: skip
    solids, _ = model("a.jsonl", "\n".join(json.dumps(line) for line in lines), crs="EPSG:4547")
    assert solids.take([0]).skin.colour[:, 3].all()
    assert solids.take([1]).skin.is_bare


def test_pictures_reach_the_store_once_and_leave_with_the_next_delivery(make_city, write_raster, ground, tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "same.png"):
        (tmp_path / "pictures" / name).write_bytes(PNG)
    text = gml_model(gml_looks(gml_texture("pictures/a.png", 1), gml_texture("pictures/same.png", 2)))
    (tmp_path / "a.gml").write_text(text)
    write_raster("dem.tif", ground)
    city = make_city({"kind": "dem", "path": "dem.tif"}, {"kind": "citymodel", "path": "a.gml"})
    options = city.options(IngestOptions, "ingest")
    build(city, options, Workers(1))
    item = city.store.item("model", "citymodel")
    assert item.extra["images"] == [image_name(PNG)]
    assert city.store.read_image(image_name(PNG)) == PNG
    build(city, options, Workers(1))
    assert city.store.item("model", "citymodel") == item
    (tmp_path / "a.gml").write_text(gml_model())
    build(city, options, Workers(1))
    assert not (city.root / ".twin" / "images").exists()


def test_a_file_outside_the_folder_of_city_toml_fences_itself(tmp_path):
    for folder in ("city", "delivery"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(PNG)
    place = Place.of(tmp_path / "delivery" / "a.gml", tmp_path / "city")
    assert place.find("../city/a.png") == "outside"
    assert Album().texture("a.png", "none", place).wrap == "clamp"
    assert Album().texture("..\\delivery\\a.png", "wrap", place).wrap == "repeat"
