"""Survey meshes in small: objects, colours, pictures, where they stand, and what is refused."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
import trimesh
from PIL import Image

from ingest.reading import Delivery
from ingest.run import IngestOptions, build
from ingest.sources import reader_of
from twin.city import Source
from twin.errors import SourceError
from twin.frames import Frame
from twin.meshes import concatenate
from twin.store.images import image_name
from twin.workers import Workers

X0, Y0 = 500_000.0, 4_430_000.0
FRAME = Frame("EPSG:4547", "1985", -15.0)
ORIGIN = {"origin": [X0, Y0, 1000.0]}


def picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 30, 30)).save(data, "JPEG")
    return data.getvalue()


@pytest.fixture
def read(tmp_path):
    """The reading and the solids of a mesh file."""

    def reading(name, data=None, **declared):
        if data is not None:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        declared.setdefault("crs", "EPSG:4547")
        source = Source(name="survey", kind="mesh", path=name, **declared)
        found = reader_of("mesh").read(Delivery(source, tmp_path), FRAME)
        return found, concatenate([batch for _, batch in found.models.batches()])

    return reading


def textured_box(image: bytes):
    box = trimesh.creation.box(bounds=[[0, 0, 0], [2, 3, 4]])
    uv = np.random.default_rng(5).random((len(box.vertices), 2))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.open(io.BytesIO(image)), name="brick")
    box.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return box


def scene_of(*boxes):
    scene = trimesh.Scene()
    for number, (node, box, matrix) in enumerate(boxes):
        scene.add_geometry(box, node_name=node, geom_name=f"g{number}", transform=matrix)
    return scene.export(file_type="glb")


def test_a_glb_stands_up_with_y_up_and_every_node_is_an_object(read):
    shifted = trimesh.transformations.translation_matrix([10.0, 20.0, 30.0])
    data = scene_of(("house", textured_box(picture()), np.eye(4)), ("塔", trimesh.creation.box(), shifted))
    reading, solids = read("a.glb", data, extra=ORIGIN)
    assert sorted(solids.oid.tolist()) == ["house", "塔"]
    house, tower = (solids.take([solids.oid.tolist().index(oid)]) for oid in ("house", "塔"))
    # glTF x, y, z is east, up, south.
    np.testing.assert_allclose(house.bounds, (X0, Y0 - 4, X0 + 2, Y0))
    np.testing.assert_allclose([house.vertices[:, 2].min(), house.vertices[:, 2].max()], [1000, 1003])
    np.testing.assert_allclose(tower.vertices.mean(axis=0), [X0 + 10, Y0 - 30, 1020])
    assert solids.attributes["closed"].tolist() == [1.0, 1.0]
    assert (solids.volumes() > 0).all()
    assert reading.tally["triangles"] == len(solids.faces) == 24
    assert set(solids.attributes["part"]) == {"MultiSurface"}


def test_the_picture_of_a_glb_is_kept_byte_by_byte_and_corners_find_their_places(read):
    box = textured_box(picture())
    reading, solids = read("a.glb", scene_of(("house", box, np.eye(4))), extra=ORIGIN | {"up": "z", "lod": 3})
    skin = solids.skin
    told = trimesh.load(io.BytesIO(scene_of(("house", box, np.eye(4)))), file_type="glb", process=False)
    inside = told.geometry["g0"].visual.material.baseColorTexture.fp.getvalue()
    assert skin.textures[0].image == image_name(inside)
    assert reading.models.images[image_name(inside)] == inside
    assert (reading.tally["textures.named"], reading.tally["textures.present"]) == (1, 1)
    assert solids.lod.tolist() == [30]
    place = {tuple(np.round(v, 6)): uv for v, uv in zip(box.vertices, box.visual.uv, strict=True)}
    corners = np.round(solids.vertices[solids.faces] - np.array([X0, Y0, 1000.0]), 6)
    expected = [[place[tuple(corner)] for corner in face] for face in corners]
    np.testing.assert_allclose(skin.uv, expected, atol=1e-5)


def test_a_mirrored_node_and_a_mirrored_matrix_keep_their_faces_outside(read):
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    _, solids = read("a.glb", scene_of(("m", trimesh.creation.box(), mirror)), extra=ORIGIN)
    assert solids.volumes()[0] == pytest.approx(1.0)
    matrix = [1, 0, 0, X0, 0, -1, 0, Y0, 0, 0, 1, 0, 0, 0, 0, 1]
    _, solids = read("a.glb", scene_of(("m", trimesh.creation.box(), np.eye(4))), extra={"matrix": matrix, "up": "z"})
    assert solids.volumes()[0] == pytest.approx(1.0)


OBJ = """mtllib a.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0 0 5
v 1 0 5
v 1 1 5
vt 0 0
vt 1 0
vt 1 1
vt 0 1
o north/1
usemtl brick
f 1/1 2/2 3/3 4/4
usemtl plain
f 5 6 7
o south
usemtl plain
f 5 7 6
"""
MTL = "newmtl brick\nKd 1 1 1\nmap_Kd pictures/brick 01.jpg\n\nnewmtl plain\nKd 0 0.5 1\n"


def test_objects_of_an_obj_keep_their_materials_and_one_oid_each(read, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "brick 01.jpg").write_bytes(picture())
    (tmp_path / "a.mtl").write_text(MTL)
    reading, solids = read("a.obj", OBJ, extra=ORIGIN, accuracy=0.05)
    assert solids.oid.tolist() == ["north/1", "south"]
    assert np.diff(solids.face_offset).tolist() == [3, 1]
    assert solids.skin.textures[0].image == image_name(picture())
    north = solids.take([0]).skin
    assert sorted(north.texture.tolist()) == [-1, 0, 0]
    assert north.colour[north.texture < 0].tolist() == [[0, 128, 255, 255]]
    worn = north.texture == 0
    corners = solids.take([0]).vertices[solids.take([0]).faces[worn]][:, :, :2] - np.array([X0, Y0])
    np.testing.assert_allclose(north.uv[worn], corners, atol=1e-6)
    assert solids.attributes["closed"].tolist() == [0.0, 0.0]
    assert solids.attributes["accuracy_m"].tolist() == [0.05, 0.05]
    assert reading.warnings == ()


@pytest.mark.parametrize(
    ("line", "word"),
    [("../../secret.jpg", "point out of the delivery"), ("gone.jpg", "not in the delivery"), ("a.mtl", "no pictures")],
)
def test_a_picture_of_an_obj_that_cannot_be_had_costs_its_texture(line, word, read, tmp_path):
    (tmp_path.parent / "secret.jpg").write_bytes(picture())
    (tmp_path / "a.mtl").write_text(MTL.replace("pictures/brick 01.jpg", line))
    reading, solids = read("a.obj", OBJ, extra=ORIGIN)
    assert len(solids.faces) == 4
    assert not solids.skin.textures
    if word != "no pictures":
        assert any("1 of 1 texture images" in text and word in text for text in reading.warnings)


def test_an_obj_without_its_materials_has_the_same_objects_and_says_so(read):
    reading, solids = read("a.obj", OBJ, extra=ORIGIN)
    assert solids.oid.tolist() == ["north/1", "south"]
    assert solids.skin is None
    assert reading.warnings == ("a.obj: materials a.mtl are not in the delivery; no colours",)


def test_groups_are_objects_where_there_are_no_objects_and_a_bare_file_is_one(read):
    plain = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
    _, solids = read("roofs.obj", plain + "g a\nf 1 2 3\ng b\nf 1 2 4\n", extra=ORIGIN)
    assert solids.oid.tolist() == ["a", "b"]
    _, solids = read("tile_7.obj", plain + "usemtl x\nf 1 2 3\nusemtl y\nf 1 2 4\n", extra=ORIGIN)
    assert solids.oid.tolist() == ["tile_7"]
    assert solids.skin is None
    assert len(solids.faces) == 2


def test_objects_of_the_same_name_in_two_files_are_two(read, tmp_path):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\no a\nf 1 2 3\n"
    (tmp_path / "one.obj").write_text(text)
    (tmp_path / "two.obj").write_text(text)
    _, solids = read("*.obj", extra=ORIGIN)
    assert solids.oid.tolist() == ["a", "two/a"]


def test_a_ply_brings_the_colours_of_its_vertices_and_a_unit_is_declared(read):
    box = trimesh.creation.box(bounds=[[0, 0, 0], [1000, 1000, 1000]])
    box.visual.vertex_colors = np.tile([10, 20, 30, 255], (8, 1))
    _, solids = read("a.ply", box.export(file_type="ply"), unit="mm", extra=ORIGIN)
    np.testing.assert_allclose(solids.bounds, (X0, Y0, X0 + 1, Y0 + 1))
    assert np.unique(solids.skin.colour, axis=0).tolist() == [[10, 20, 30, 255]]
    assert solids.oid.tolist() == ["a"]


SIDECAR = "<ModelMetadata version='1'><SRS>{}</SRS><SRSOrigin>{}</SRSOrigin></ModelMetadata>"
TRIANGLE = "v 0 0 5\nv 1 0 5\nv 0 1 5\nf 1 2 3\n"


@pytest.mark.parametrize("folder", ["", "Data/", "Data/Tile_+000_+001/"])
def test_the_metadata_of_a_photogrammetric_delivery_places_every_tile_below_it(folder, read, tmp_path):
    (tmp_path / "metadata.xml").write_text(SIDECAR.format("EPSG:4547", f"{X0},{Y0},1000"))
    reading, solids = read(f"{folder}a.obj", TRIANGLE, crs="")
    np.testing.assert_allclose(solids.vertices[0], [X0, Y0, 1005.0])
    assert any("metadata.xml" in step for step in reading.lineage.steps)


def test_a_tangent_plane_lies_on_the_ellipsoid_at_its_point(read, tmp_path):
    lon, lat = FRAME.to_lonlat(np.array([[X0, Y0]]))[0]
    (tmp_path / "metadata.xml").write_text(SIDECAR.format(f"ENU:{lat},{lon}", "0,0,0"))
    text = TRIANGLE.replace("v 1 0 5", "v 1000 0 5")
    _, solids = read("a.obj", text, crs="", vertical="ellipsoid")
    origin = solids.vertices[np.argmin(solids.vertices[:, 0] + solids.vertices[:, 1])]
    np.testing.assert_allclose(origin, [X0, Y0, 5.0 + 15.0], atol=1e-3)
    east = solids.vertices[np.argmax(solids.vertices[:, 0])] - origin
    # 1 km along the tangent: 1 km on the map within its scale, and 8 cm above the curved earth.
    assert np.hypot(*east[:2]) == pytest.approx(1000.0, abs=0.2)
    assert east[2] == pytest.approx(1000.0**2 / (2 * 6_371_000.0), abs=2e-3)


@pytest.mark.parametrize(
    ("sidecar", "declared", "word"),
    [
        (SIDECAR.format("EPSG:4547", "1,2"), {}, "SRSOrigin is not three numbers"),
        ("<ModelMetadata>", {}, "damaged XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><ModelMetadata/>', {}, "document type"),
        (SIDECAR.format("EPSG:4547", "0,0,0"), {"crs": "EPSG:4549"}, "the file states EPSG:4547"),
        (None, {"crs": ""}, "no CRS in the file and none declared"),
        (None, {"extra": {"matrix": [1, 2, 3]}}, "extra.matrix wants 16 numbers"),
        (None, {"extra": {"matrix": [0] * 16}}, "no affine map"),
        (None, {"extra": {"up": "x"}}, 'neither "y" nor "z"'),
        (None, {"extra": ORIGIN | {"lod": "high"}}, "no level of detail"),
        (None, {"unit": "chi"}, "none of"),
    ],
)  # fmt: skip
def test_a_place_that_is_told_wrongly_is_one_clear_line(sidecar, declared, word, read, tmp_path):
    if sidecar is not None:
        (tmp_path / "metadata.xml").write_text(sidecar)
        declared = {"crs": ""} | declared
    with pytest.raises(SourceError, match=word) as caught:
        read("a.obj", TRIANGLE, **declared)
    assert "\n" not in str(caught.value)


GLTF = '{"asset": {"version": "2.0"}, "extensionsRequired": ["KHR_draco_mesh_compression"]}'
CLAIM = '{"asset": {"version": "2.0"}, "accessors": [{"count": 4000000000, "componentType": 5126, "type": "VEC3"}]}'


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("a.obj", "v 0 0 0\nv 1 0 0\n", "no faces|damaged"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "damaged"),
        ("a.obj", "v 0 0 0\nv 1 nan 0\nv 0 1 0\nf 1 2 3\n", "damaged"),
        ("a.obj", b"\x00\xff" * 100, "damaged|no faces"),
        ("a.glb", b"glTF\x02\x00\x00\x00", "damaged GLB header"),
        ("a.glb", scene_of(("a", trimesh.creation.box(), np.eye(4)))[:700], "damaged|cut short"),
        ("a.gltf", GLTF, "needs KHR_draco_mesh_compression; export it without"),
        ("a.gltf", CLAIM, "accessors claim 4,000,000,000 elements"),
        ("a.gltf", "[1, 2]", "damaged glTF"),
        ("a.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 2000000000\n", "claims 2,000,000,000 el"),
        ("a.ply", b"ply", "damaged|no faces"),
        ("a.stl", b"solid", "no mesh that is read; there are .obj"),
    ],
)  # fmt: skip
def test_a_mesh_that_is_damaged_or_lies_is_refused_in_one_line(name, data, word, read):
    with pytest.raises(SourceError, match=word) as caught:
        read(name, data, extra=ORIGIN)
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)


def test_a_mesh_is_ingested_beside_buildings_and_twice_is_once(make_city, write_vector, tmp_path):
    import shapely

    write_vector("b.gpkg", [shapely.box(X0, Y0, X0 + 10, Y0 + 10)])
    (tmp_path / "a.glb").write_bytes(scene_of(("house", textured_box(picture()), np.eye(4))))
    city = make_city(
        {"kind": "footprints", "path": "b.gpkg"}, {"kind": "mesh", "path": "a.glb", "extra": ORIGIN, "licence": "CC0"}
    )
    options = city.options(IngestOptions, "ingest")
    report = build(city, options, Workers(1))
    assert report.figures["mesh.count"] == 1
    item = city.store.item("model", "mesh")
    solids = concatenate([batch for _, batch in city.store.read_model("mesh")])
    assert [texture.image for texture in solids.skin.textures] == item.extra["images"]
    assert city.store.read_image(item.extra["images"][0])[:2] == b"\xff\xd8"
    build(city, options, Workers(1))
    assert city.store.item("model", "mesh") == item


def test_trimesh_is_loaded_only_where_a_mesh_is_read():
    code = "import sys, ingest.run, ingest.sources; print('trimesh' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "False"
