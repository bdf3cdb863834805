from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.tiles.scenes import DATONG, boxes
from tiles import models
from tiles.gltf import glb, metadata
from tiles.lod import build as lod
from tiles.lod.notes import pack, unpack
from tiles.options import ModelTiles, TextureTiles
from tiles.scheme.implicit import write_implicit
from tiles.scheme.tilesets import write_tileset
from tiles.shelf import Shelf
from tiles.skins.atlas import MARGIN, layout
from tiles.skins.dress import dress, weight
from tiles.validity import check_tileset
from twin.errors import NotFoundError
from twin.features import objects
from twin.meshes import Skin, Surface, Texture
from twin.workers import Workers

X, Y, Z = DATONG.origin
RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 160, 40), (40, 60, 200), (220, 210, 40)
SOUTH = (4, 5)
"""Faces of the box's south wall: (0, 1, 5) and (0, 5, 4), its corner 0 below in the west."""


def quarters(side=64, mode="RGB"):
    """Red upper left, green upper right, blue lower left, yellow lower right."""
    values = np.zeros((side, side, 3), np.uint8)
    half = side // 2
    values[:half, :half], values[:half, half:], values[half:, :half], values[half:, half:] = RED, GREEN, BLUE, YELLOW
    out = io.BytesIO()
    Image.fromarray(values, "RGB").convert(mode).save(out, "PNG")
    return out.getvalue()


def wall(uv_of=lambda uv: uv, wrap="repeat", image="a.png", n=1):
    """Boxes 10 m wide and 10 m high whose south walls wear a picture."""
    west = X + 20.0 * np.arange(n)
    low = np.column_stack([west, np.full(n, Y), np.full(n, Z)])
    solids = boxes(low, low + 10.0)
    skin = Skin.bare(len(solids.faces))
    texture, uv = skin.texture.copy(), skin.uv.copy()
    for k in range(n):
        faces = [12 * k + face for face in SOUTH]
        texture[faces] = 0
        uv[faces] = uv_of(np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float32))
    return replace(solids, skin=Skin(skin.colour, texture, uv, (Texture(image, wrap),)))


def seen(worn, at):
    """The colour of the picture at places (k, 2) of it, origin upper left."""
    values = np.asarray(Image.open(io.BytesIO(worn.picture)).convert("RGB"), dtype=float)
    height, width = values.shape[:2]
    column, row = (np.clip(at * (width, height), 0, (width - 1, height - 1)).astype(int)).T
    return values[row, column]


def across(solids, worn, share):
    """Colours of the south wall at shares (k, 2) of its width and height, from the corner below in the west."""
    point = solids.vertices[worn.point]
    low, high = point.min(axis=0), point.max(axis=0)
    place = (point[:, [0, 2]] - low[[0, 2]]) / (high - low)[[0, 2]]
    terms = np.linalg.lstsq(np.column_stack([place, np.ones(len(place))]), worn.uv, rcond=None)[0]
    return seen(worn, np.column_stack([share, np.ones(len(share))]) @ terms)


SHARES = np.array([[0.25, 0.75], [0.75, 0.75], [0.25, 0.25], [0.75, 0.25]])


def test_a_picture_stands_upright_on_its_wall():
    solids = wall()
    made = dress(solids, lambda name: quarters(), TextureTiles(texel=0.05))
    assert np.abs(across(solids, made.worn, SHARES) - [RED, GREEN, BLUE, YELLOW]).max() < 20
    assert len(made.worn.triangles) == 2
    assert (made.worn.normal == [0, -127, 0]).all()
    assert len(made.solids.faces) == 10
    assert len(made.solids.vertices) == len(solids.vertices)


@pytest.mark.parametrize("move", [3.0, -2.0])
def test_places_whole_pictures_away_are_the_same_picture(move):
    solids = wall(lambda uv: uv + move)
    made = dress(solids, lambda name: quarters(), TextureTiles(texel=0.05))
    assert np.abs(across(solids, made.worn, SHARES) - [RED, GREEN, BLUE, YELLOW]).max() < 20


def test_a_picture_repeats_or_is_mirrored_as_delivered():
    share = np.array([[1 / 8, 7 / 8], [3 / 8, 7 / 8], [5 / 8, 7 / 8], [7 / 8, 7 / 8]])
    options = TextureTiles(texel=0.02)
    for wrap, expected in (("repeat", [RED, GREEN, RED, GREEN]), ("mirror", [RED, GREEN, GREEN, RED])):
        solids = wall(lambda uv: uv * (2.0, 1.0), wrap)
        made = dress(solids, lambda name: quarters(), options)
        assert np.abs(across(solids, made.worn, share) - expected).max() < 25, wrap
    solids = wall(lambda uv: uv * 2.0, "clamp")
    made = dress(solids, lambda name: quarters(), options)
    assert np.abs(across(solids, made.worn, np.array([[0.95, 0.95]])) - GREEN).max() < 25


def test_a_picture_that_repeats_too_often_becomes_its_mean_colour():
    solids = wall(lambda uv: uv * 40.0)
    made = dress(solids, lambda name: quarters(), TextureTiles())
    assert made.worn is None
    south = made.solids.skin.colour[list(SOUTH)]
    assert np.abs(south[:, :3].astype(int) - np.mean([RED, GREEN, BLUE, YELLOW], axis=0)).max() <= 1
    assert (south[:, 3] == 255).all()


def test_a_picture_that_cannot_be_read_is_named_and_its_wall_stays():
    for broken in (b"no picture", quarters()[:90]):
        made = dress(wall(), lambda name, data=broken: data, TextureTiles())
        assert [name for name, _ in made.broken] == ["a.png"]
        assert (made.worn, len(made.solids.faces)) == (None, 12)

    def absent(name):
        raise NotFoundError(f"no {name}")

    assert dress(wall(), absent, TextureTiles()).broken == (("a.png", "no a.png"),)


def test_an_atlas_keeps_its_bytes_and_its_sides():
    rng = np.random.default_rng(3)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (512, 512, 3), np.uint8)).save(out, "PNG")
    options = TextureTiles(texel=0.01, side=512, most_bytes=20_000)
    made = dress(wall(n=3), lambda name: out.getvalue(), options)
    assert len(made.worn.picture) <= 20_000
    assert max(Image.open(io.BytesIO(made.worn.picture)).size) <= 512


def test_parts_keep_their_distance():
    rng = np.random.default_rng(4)
    found = layout(rng.uniform(1.0, 300.0, (60, 2)), 1024)
    taken = np.zeros((found.height, found.width), int)
    for x, y, w, h in found.boxes.tolist():
        taken[y - MARGIN : y + h + MARGIN, x - MARGIN : x + w + MARGIN] += 1
    assert taken.max() == 1
    assert taken.sum() == (found.boxes[:, 2:] + 2 * MARGIN).prod(axis=1).sum()
    assert max(found.width, found.height) <= 1024
    assert {side.bit_count() for side in (found.width, found.height)} == {1}


def test_from_afar_a_building_has_the_mean_colour_of_what_it_wears():
    made = dress(wall(n=2), lambda name: quarters(), TextureTiles())
    expected = np.mean([RED, GREEN, BLUE, YELLOW], axis=0) / 255.0
    assert made.tone == pytest.approx(np.tile(expected, (2, 1)), abs=0.02)
    bare = boxes([[X, Y, Z]], [[X + 1, Y + 1, Z + 1]])
    assert np.isnan(dress(bare, lambda name: b"", TextureTiles()).tone).all()


@pytest.mark.parametrize("whole", [False, True])
def test_a_tile_holds_the_picture_beside_the_rest(tmp_path, whole):
    solids = wall(n=2)
    if whole:
        skin = solids.skin
        drawn = solids.surface != Surface.GROUND
        solids = replace(solids, skin=replace(skin, texture=np.where(drawn, 0, -1).astype(np.int32)))
    made = dress(solids, lambda name: quarters(), TextureTiles(texel=0.05))
    shelf = Shelf(tmp_path)
    written = models.write(models.buildings(solids, frozenset()), shelf, 0.6, dressed=made)
    gltf = glb.read(shelf.path(written.name))
    document = gltf.document
    assert document["textures"] == [{"sampler": 0, "extensions": {"EXT_texture_webp": {"source": 0}}}]
    assert "EXT_texture_webp" in document["extensionsRequired"]
    picture = Image.open(io.BytesIO(gltf.view(document["images"][0]["bufferView"])))
    assert picture.format == "WEBP"
    primitives = document["meshes"][0]["primitives"]
    assert len(primitives) == (1 if whole else 2)
    worn = primitives[-1]
    points = gltf.accessor(worn["attributes"]["POSITION"])
    assert points[:, 1].min() == pytest.approx(-0.6, abs=0.002) or whole
    assert written.triangles == 20
    assert np.array_equal(np.unique(gltf.accessor(worn["attributes"]["_FEATURE_ID_0"])), [0, 1])
    assert "baseColorTexture" in document["materials"][worn["material"]]["pbrMetallicRoughness"]


def test_what_wears_pictures_asks_for_its_share_of_an_atlas():
    options = TextureTiles(texel=0.1, side=1024)
    asked = weight(wall(n=2), options)
    assert asked == pytest.approx(100.0 / 0.01 / (0.6 * 1024**2))
    assert not weight(wall(), replace(options, pictures=False)).any()


def noise():
    """A picture with as much to see from near as from afar, as photographs have."""
    rng = np.random.default_rng(3)
    whole = sum(np.kron(rng.integers(0, 80, (k, k, 3)), np.ones((1000 // k, 1000 // k, 1))) for k in (40, 200, 1000))
    out = io.BytesIO()
    Image.fromarray(whole.astype(np.uint8), "RGB").save(out, "PNG")
    return out.getvalue()


def leaf_of(tmp_path, solids, picture, **textures):
    options = ModelTiles(textures=TextureTiles(**textures))
    store = SimpleNamespace(frame=DATONG, read_image=lambda name: picture)
    setting = lod.Setting(store, Shelf(tmp_path), options, frozenset(), "test")
    return lod.leaf(models.buildings(solids, frozenset()), setting), setting


def test_a_tile_with_a_picture_has_lighter_ones_above_with_the_same_buildings(tmp_path, monkeypatch):
    monkeypatch.setattr(lod, "_HEAVY", 0)
    made, setting = leaf_of(tmp_path, wall(n=10), noise(), texel=0.02, levels=2)
    tiles = list(made.tile.walk())
    assert [tile.error for tile in tiles] == [3.0, 1.0, 0.0]  # eight pixels of 0.32 and 0.08 m, up to half metres
    assert [len(tile.children) for tile in tiles] == [1, 1, 0]
    wire = [tile.content.wire for tile in tiles]
    assert wire[0] < 0.6 * wire[1] < 0.36 * wire[2]
    names = [metadata.read_table(glb.read(setting.shelf.path(t.content.name)))["oid"].tolist() for t in tiles]
    assert names[0] == names[1] == names[2]
    assert unpack(pack(made)).whole


def test_a_lighter_tile_that_saves_nothing_is_not_made(tmp_path):
    flat = io.BytesIO()
    Image.new("RGB", (64, 64), RED).save(flat, "PNG")
    assert leaf_of(tmp_path, wall(n=2), flat.getvalue())[0].tile.children == ()
    assert leaf_of(tmp_path, wall(n=30), noise(), texel=0.05)[0].tile.children == ()  # 18 KB are light
    assert leaf_of(tmp_path, wall(n=10), noise(), texel=0.02, levels=0)[0].tile.children == ()


def test_blocks_stand_above_lighter_tiles_and_never_in_their_place(tmp_path):
    parts = []
    for k in range(2):
        solids = wall(n=10)
        shift = np.array([0.0, 200.0 * k, 0.0])
        oid = objects([f"{k}-{name}" for name in solids.oid.tolist()])
        moved = replace(solids, vertices=solids.vertices + shift, oid=oid)
        made, setting = leaf_of(tmp_path, moved, noise(), texel=0.02)
        parts.append(made)
    root = lod.lift(parts, setting, 200_000.0)[0]
    assert [tile.error for tile in root.tile.children] == [1.0, 1.0]
    assert root.tile.error >= 1.0
    write_tileset("l2", root.tile, tmp_path / "v", setting.shelf, "v", 512.0)
    assert check_tileset(tmp_path / "v" / "l2").outcomes == ()
    write_implicit("l2", root.tile, tmp_path / "v", setting.shelf, "v", 512.0, Workers(1))
    assert check_tileset(tmp_path / "v" / "l2" / "implicit.json").outcomes == ()
