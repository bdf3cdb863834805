from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import EAST, FRAME, NORTH, relief
from twin import Frame, FrameMismatchError, GeoBox, GeometryError, Layer, NotFoundError, Raster, Skin, Solids, Texture
from twin.features import objects
from twin.grid import require_same_frame
from twin.meshes import concatenate, material_code


def tetrahedron(name: str, shift: float = 0.0) -> Solids:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]) + shift
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
    zeros = np.zeros(4, np.uint8)
    offset = np.array([0, 4])
    return Solids(
        FRAME, objects([name]), vertices, faces, zeros, offset, offset, np.array([12], np.uint8), zeros,
        {"height_m": np.array([1.0]), "name": objects([name])},
    )  # fmt: skip


def test_volume_and_closedness_agree_with_an_independent_library():
    solids = tetrahedron("a", 4_440_000.0)
    mesh = trimesh.Trimesh(solids.vertices - 4_440_000.0, solids.faces, process=False)
    assert solids.volumes()[0] == pytest.approx(mesh.volume)
    assert solids.is_closed()[0]
    assert mesh.is_watertight


def test_a_missing_face_opens_the_solid():
    whole = tetrahedron("a")
    open_one = Solids(
        FRAME, whole.oid, whole.vertices, whole.faces[:3], whole.surface[:3], whole.vertex_offset,
        np.array([0, 3]), whole.lod, whole.material[:3],
    )  # fmt: skip
    assert not open_one.is_closed()[0]


def test_a_flipped_face_is_not_closed():
    whole = tetrahedron("a")
    faces = whole.faces.copy()
    faces[0] = faces[0][::-1]
    flipped = Solids(
        FRAME, whole.oid, whole.vertices, faces, whole.surface, whole.vertex_offset, whole.face_offset, whole.lod,
        whole.material,
    )  # fmt: skip
    assert not flipped.is_closed()[0]


def test_take_undoes_concatenate():
    parts = [tetrahedron(name, k) for k, name in enumerate("abc")]
    batch = concatenate(parts)
    assert batch.is_closed().all()
    middle = batch.take([1])
    assert middle.oid.tolist() == ["b"]
    assert np.array_equal(middle.vertices, parts[1].vertices)
    assert np.array_equal(middle.faces, parts[1].faces)
    assert batch.take([2, 0]).attributes["name"].tolist() == ["c", "a"]


def dressed(name: str, image: str) -> Solids:
    """A tetrahedron whose last face wears a picture and whose first is red."""
    skin = Skin.bare(4)
    skin.colour[0] = (255, 0, 0, 255)
    skin.texture[3] = 0
    skin.uv[3] = [[0, 0], [1, 0], [0, 1]]
    worn = Skin(skin.colour, skin.texture, skin.uv, (Texture(image),))
    return replace(tetrahedron(name), skin=worn)


def test_skins_go_with_their_faces_and_pictures_are_named_once():
    batch = concatenate([dressed("a", "one.jpg"), tetrahedron("b"), dressed("c", "two.jpg"), dressed("d", "one.jpg")])
    assert [texture.image for texture in batch.skin.textures] == ["one.jpg", "two.jpg"]
    assert batch.skin.texture.tolist() == [-1, -1, -1, 0, *[-1] * 4, -1, -1, -1, 1, -1, -1, -1, 0]
    picked = batch.take([2, 1])
    assert [texture.image for texture in picked.skin.textures] == ["two.jpg"]
    assert picked.skin.texture.tolist() == [-1, -1, -1, 0, *[-1] * 4]
    assert picked.skin.uv[3].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert picked.skin.colour[[0, 4]].tolist() == [[255, 0, 0, 255], [0, 0, 0, 0]]
    assert batch.take([1]).skin.is_bare
    assert concatenate([tetrahedron("a"), tetrahedron("b")]).skin is None


def test_a_skin_that_names_a_picture_it_has_not_is_refused():
    bare = Skin.bare(4)
    with pytest.raises(GeometryError, match="skin: 4 faces, 0 textures"):
        Skin(bare.colour, np.zeros(4, np.int32), bare.uv)
    with pytest.raises(GeometryError, match="skin"):
        replace(tetrahedron("a"), skin=Skin.bare(3))


def test_offsets_that_do_not_fit_are_refused():
    whole = tetrahedron("a")
    with pytest.raises(GeometryError, match="vertex_offset"):
        Solids(
            FRAME, whole.oid, whole.vertices, whole.faces, whole.surface, np.array([0]), whole.face_offset, whole.lod,
            whole.material,
        )  # fmt: skip


def test_materials_are_found_by_name():
    assert material_code("by_use") == 0
    with pytest.raises(NotFoundError, match="grey_tile"):
        material_code("marble")


@given(st.floats(0, 399.9), st.floats(0, 399.9))
def test_bilinear_sampling_is_exact_on_a_plane(dx, dy):
    box = GeoBox.from_bounds((EAST, NORTH, EAST + 400.0, NORTH + 400.0), 5.0, FRAME)
    x, y = box.centers()
    plane = Raster(1000.0 + 0.5 * (x - EAST)[None, :] - 0.25 * (y - NORTH)[:, None], box)
    clipped = np.clip([dx, dy], 2.5, 397.5)
    expected = 1000.0 + 0.5 * clipped[0] - 0.25 * clipped[1]
    assert plane.sample([[EAST + dx, NORTH + dy]])[0] == pytest.approx(expected, abs=1e-9)


def test_sampling_outside_or_on_nodata_is_unknown():
    raster = relief()
    values = raster.values.copy()
    values[0, 0] = np.nan
    holed = Raster(values, raster.geobox)
    corner = [[EAST + 2.5, NORTH + 397.5], [EAST - 1.0, NORTH + 5.0]]
    assert np.isnan(holed.sample(corner)).all()
    assert np.isnan(holed.sample(corner, "nearest")).all()


def test_windows_meet_their_bounds():
    box = relief().geobox
    bounds = (EAST + 12.0, NORTH + 20.0, EAST + 31.0, NORTH + 45.0)
    part = box.crop(*box.window(bounds))
    low_x, low_y, high_x, high_y = part.bounds
    assert low_x <= bounds[0]
    assert low_y <= bounds[1]
    assert high_x >= bounds[2]
    assert high_y >= bounds[3]
    assert part.shape == (5, 5)


def test_two_frames_never_mix_silently():
    with pytest.raises(FrameMismatchError):
        require_same_frame(FRAME, Frame("EPSG:4548"))


def test_a_layer_has_every_declared_column_and_unique_oids():
    layer = Layer.build("building", FRAME, ["a", "b"], [shapely.Point(0, 0)] * 2, {"height": [3.0, np.nan]})
    assert layer.column("storeys").dtype == np.float64
    assert layer.column("name").tolist() == ["", ""]
    with pytest.raises(GeometryError, match="repeat"):
        Layer.build("building", FRAME, ["a", "a"], [shapely.Point(0, 0)] * 2)
    with pytest.raises(NotFoundError, match="no column 'heigth'"):
        layer.column("heigth")


def test_select_sort_and_take_keep_rows_together():
    layer = Layer.build(
        "road", FRAME, ["c", "a", "b"], shapely.points([[0, 0], [1, 1], [2, 2]]), {"name": ["x", "y", "x"]}
    )
    assert layer.sort().oid.tolist() == ["a", "b", "c"]
    assert layer.select(name="x").oid.tolist() == ["c", "b"]
    assert layer.sort().geometry[0].x == 1


def test_a_layer_becomes_a_geodataframe_in_longitude_and_latitude():
    xy = FRAME.from_lonlat([[113.3, 40.1]])
    table = Layer.build("facility", FRAME, ["f"], shapely.points(xy)).to_geopandas(crs84=True)
    assert table.geometry.iloc[0].x == pytest.approx(113.3, abs=1e-7)
    assert table.index.tolist() == ["f"]
