from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from affine import Affine

import twin
from tests.tiles.scenes import DATONG, boxes, town
from tiles import ancient
from tiles.gltf import glb, metadata
from tiles.imagery import pyramid as imagery
from tiles.options import ImageTiles, ModelTiles, TerrainTiles
from tiles.publish import TileOptions, build, version_of
from tiles.terrain import pyramid
from tiles.validity import check_tiles
from twin.errors import MissingInputError
from twin.features import objects
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.options import as_table
from twin.pipeline import run
from twin.workers import Workers

LINEAGE = Lineage("made in code", attribution="© nobody")
QUICK = TileOptions(
    ModelTiles(root_bytes=20_000, inner_bytes=20_000, leaf_bytes=20_000),
    TerrainTiles(apron=500.0, max_level=12),
    ImageTiles(min_zoom=12),
)
TOML = """\
[city]
id = "sample"
name = "样"
[frame]
crs = "EPSG:4547"
vertical = "1985"
geoid_undulation = -12.0
origin = [440000.0, 4437000.0, 1040.0]
"""


def make_city(folder, n=300):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "city.toml").write_text(TOML, encoding="utf-8")
    city = twin.open(folder)
    x, y, z = DATONG.origin
    solids = town(n, side=1500.0)
    city.store.write_model("l2", [("a", solids.take(range(n // 2))), ("b", solids.take(range(n // 2, n)))], LINEAGE)
    hall = boxes(
        [[x, y, z], [x, y, z + 3]],
        [[x + 30, y + 20, z + 3], [x + 30, y + 20, z + 9]],
        oid=["b000003/1", "b000003/2"],
        owner=objects(["b000003"] * 2),
        name=objects(["大殿"] * 2),
        part=objects(["platform", "hall"]),
    )
    city.store.write_model("l3", [("a", hall)], LINEAGE)
    box = GeoBox((100, 100), Affine(20.0, 0.0, x - 1000, 0.0, -20.0, y + 1000), city.frame)
    slope = 1040.0 + np.linspace(0.0, 10.0, 100)[None, :] + np.zeros((100, 1))
    city.store.write_raster("relief", Raster(slope.astype(np.float32), box), LINEAGE)
    photo = np.full((3, 100, 100), 120, np.uint8)
    city.store.write_raster("ortho_0", Raster(photo, box, float("nan"), ""), LINEAGE)
    return city


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    city = make_city(tmp_path_factory.mktemp("city"))
    build(city, QUICK, Workers(1))
    return city


def test_everything_published_passes_its_check(city):
    report = check_tiles(city)
    assert report.outcomes == ()
    assert report.figures["l2_objects"] == 300
    assert report.figures["l3_objects"] == 1


def test_a_city_and_its_folders_are_checked_alike(city):
    whole = check_tiles(city)
    assert check_tiles(city.root) == whole
    assert check_tiles(city.store.current_tiles()[1]).figures == whole.figures


def test_build_json_tells_what_is_there(city):
    version, folder = city.store.current_tiles()
    told = json.loads((folder / "build.json").read_bytes())
    assert told["version"] == version
    assert [(t["id"], t["url"]) for t in told["tilesets"]] == [("l2", "l2/tileset.json"), ("l3", "l3/tileset.json")]
    assert told["terrain"]["url"] == "terrain"
    assert told["imagery"][0]["url"] == "imagery/{z}/{x}/{y}.webp"
    assert told["attributions"] == ["© nobody"]


def leaves(tile):
    return [leaf for child in tile.get("children", []) for leaf in leaves(child)] or [tile]


def test_blocks_that_l3_shows_are_marked(city):
    _, folder = city.store.current_tiles()
    marked = {}
    document = json.loads((folder / "l2/tileset.json").read_bytes())
    for tile in leaves(document["root"]):
        table = metadata.read_table(glb.read(folder / "l2" / tile["content"]["uri"]))
        marked |= dict(zip(table["oid"].tolist(), table["has_l3"].tolist(), strict=True))
    assert [oid for oid, has in marked.items() if has] == ["b000003"]


def test_a_second_run_gives_the_same_bytes_and_version(city, tmp_path):
    again = make_city(tmp_path / "again")
    with Workers(2) as workers:
        build(again, QUICK, workers)

    assert digests(again) == digests(city)


def digests(place):
    """Every file of the published tiles -> hash of its bytes; every link -> where it points."""
    home = place.store.tiles_dir
    files = {
        str(p.relative_to(home)): hashlib.sha256(p.read_bytes()).hexdigest() for p in home.rglob("*") if p.is_file()
    }
    return files | {str(p.relative_to(home)): str(p.readlink()) for p in home.rglob("*") if p.is_symlink()}


def grown(place, n=300):
    """The model again with one building four metres higher."""
    solids = town(n, side=1500.0)
    vertices = solids.vertices.copy()
    vertices[8 * 7 + 4 : 8 * 8, 2] += 4.0
    solids = replace(solids, vertices=vertices)
    place.store.write_model("l2", [("a", solids.take(range(n // 2))), ("b", solids.take(range(n // 2, n)))], LINEAGE)


def refuse(*_):
    raise AssertionError("a part that did not change was made again")


def test_a_change_of_one_building_makes_its_tileset_and_nothing_else(tmp_path, monkeypatch):
    place = make_city(tmp_path / "c")
    build(place, QUICK, Workers(1))
    before = {path.name: path.resolve() for path in place.store.current_tiles()[1].iterdir() if path.is_symlink()}
    grown(place)
    with monkeypatch.context() as patch:
        for module, name in ((pyramid, "build_terrain"), (imagery, "build_imagery"), (ancient, "build")):
            patch.setattr(module, name, refuse)
        build(place, QUICK, Workers(1))
    after = {path.name: path.resolve() for path in place.store.current_tiles()[1].iterdir() if path.is_symlink()}
    assert {name for name in before if before[name] != after[name]} == {"l2"}
    assert check_tiles(place).outcomes == ()

    fresh = make_city(tmp_path / "fresh")
    grown(fresh)
    build(fresh, QUICK, Workers(1))
    assert {name: digests(place)[name] for name in digests(fresh)} == digests(fresh)


def test_parts_that_no_version_shows_are_let_go(tmp_path):
    place = make_city(tmp_path / "c")
    build(place, QUICK, Workers(1))
    first = {path.name for path in (place.store.tiles_dir / "part").iterdir()}
    for number in (1, 2):
        grown(place, 300 - number)
        build(place, QUICK, Workers(1))
    left = {path.name for path in (place.store.tiles_dir / "part").iterdir()}
    assert len(left) == len(first) + 1
    assert {name.partition("-")[0] for name in first - left} == {"l2"}


def test_a_forced_run_makes_damaged_parts_again(tmp_path):
    place = make_city(tmp_path / "c", n=20)
    build(place, QUICK, Workers(1))
    whole = digests(place)
    tile = next((place.store.current_tiles()[1] / "terrain").resolve().rglob("*.terrain"))
    tile.write_bytes(b"damaged")
    with Workers(1) as workers:
        run(place, workers, only=["tiles"], force=True, overrides={"tiles": as_table(QUICK)})
    assert digests(place) == whole


def test_the_version_follows_inputs_and_options(city):
    items = city.store.items("model")
    first = version_of(items, QUICK, DATONG)
    assert first == version_of(items, QUICK, DATONG)
    assert first != version_of(items[:1], QUICK, DATONG)
    assert first != version_of(items, TileOptions(), DATONG)
    assert first != version_of(items, QUICK, replace(DATONG, geoid_undulation=0.0))


def test_a_solid_without_a_visible_face_is_an_outcome_and_not_a_failure(tmp_path):
    place = make_city(tmp_path / "c", n=20)
    flat = town(20)
    x, y, z = DATONG.origin
    vertices = flat.vertices.copy()
    vertices[:8] = [x, y, z]
    vertices[17, 2] = np.nan

    place.store.write_model("l2", [("a", replace(flat, vertices=vertices))], LINEAGE)
    report = build(place, QUICK, Workers(1))
    assert [(o.oid, o.status) for o in report.outcomes] == [("b000000", "skipped"), ("b000002", "skipped")]
    assert check_tiles(place).outcomes == ()


def test_an_empty_store_says_which_stage_is_missing(tmp_path):
    (tmp_path / "city.toml").write_text(TOML, encoding="utf-8")
    place = twin.open(tmp_path)
    with pytest.raises(MissingInputError, match="twin l2"):
        build(place, QUICK, Workers(1))
    with pytest.raises(MissingInputError, match="twin tiles"):
        check_tiles(place)


def test_relief_alone_is_published_too(tmp_path):
    place = make_city(tmp_path / "c", n=20)
    for kind, name in (("model", "l2"), ("model", "l3"), ("raster", "ortho_0")):
        place.store.remove(kind, name)
    build(place, QUICK, Workers(1))
    told = json.loads((place.store.current_tiles()[1] / "build.json").read_bytes())
    assert (told["tilesets"], told["imagery"]) == ([], [])
    assert check_tiles(place).outcomes == ()


def test_an_object_lost_from_the_tiles_is_told(tmp_path):
    place = make_city(tmp_path / "c", n=20)
    build(place, QUICK, Workers(1))
    place.store.write_model("l2", [("a", town(21))], LINEAGE)
    told = " | ".join(o.reason for o in check_tiles(place).outcomes)
    assert "1 objects are missing: b000020" in told


def test_options_read_from_the_city_file(tmp_path):
    text = TOML + '[tiles.terrain]\nerror = 0.5\n[tiles.imagery]\nformat = "jpg"\n'
    (tmp_path / "city.toml").write_text(text, encoding="utf-8")
    options = twin.open(tmp_path).options(TileOptions, "tiles")
    assert options.terrain.error == 0.5
    assert options.imagery.format == "jpg"
