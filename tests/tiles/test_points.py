from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from scipy.spatial import cKDTree

import twin
from tests.tiles.scenes import DATONG
from tests.tiles.test_publish import LINEAGE, TOML
from tiles.checks.gltf import UP
from tiles.gltf import colours, glb
from tiles.options import PointTiles
from tiles.points import build as points
from tiles.points.content import CLASSES
from tiles.points.kernels import morton
from tiles.publish import TileOptions, build
from tiles.validity import check_tiles
from twin.points import PointCloud
from twin.store.folder import FolderStore
from twin.workers import Workers

QUICK = TileOptions(points=PointTiles(inner_bytes=10_000, leaf_bytes=10_000))
X, Y, Z = DATONG.origin


def survey(n=40_000, side=300.0, coloured=True, seed=3):
    """Ground, a hall on it, a mast, one place met 3,000 times, and one point far away."""
    rng = np.random.default_rng(seed)
    k = int(np.sqrt(n))
    pitch = side / k
    xy = np.stack(np.meshgrid(np.arange(k), np.arange(k)), axis=-1).reshape(-1, 2) * pitch
    xy = (xy + rng.uniform(0.0, 0.9 * pitch, (k * k, 2)))[rng.permutation(k * k)]
    hall = (np.abs(xy - side / 2.0) < side / 6.0).all(axis=1)
    z = Z + 2.0 * np.sin(xy[:, 0] / 30.0) + np.where(hall, 9.0, 0.0)
    xyz = np.column_stack([xy + np.array([X, Y]), z])
    mast = np.column_stack([np.full(500, X + 10.0), np.full(500, Y + 10.0), Z + np.linspace(0.0, 60.0, 500)])
    again = np.tile([X + 77.7, Y + 33.3, Z], (3000, 1))
    xyz = np.concatenate([xyz, mast, again, [[X - 900.0, Y + 40.0, Z + 5.0]]])
    classes = np.concatenate([np.where(hall, 6, 2), np.full(500, 15), np.full(3001, 1)]).astype(np.uint8)
    rgb = rng.integers(0, 256, (len(xyz), 3)).astype(np.uint8) if coloured else None
    return PointCloud(DATONG, xyz, classes, rgb)


def make_city(folder, cloud, pieces=7):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "city.toml").write_text(TOML, encoding="utf-8")
    city = twin.open(folder)
    masks = np.arange(len(cloud)) * pieces // len(cloud)
    city.store.write_points("points", (cloud.select(masks == k) for k in range(pieces)), LINEAGE)
    return city


def published(city):
    _, folder = city.store.current_tiles()
    entry = next(e for e in json.loads((folder / "build.json").read_text())["tilesets"] if e["id"] == "points")
    return folder / entry["url"], entry


def walk(path):
    """(tile, frame points, colours, classes, tiles above) of every tile, parents first."""
    stack = [(json.loads(path.read_text())["root"], np.eye(4), ())]
    while stack:
        tile, world, above = stack.pop()
        world = world @ np.array(tile.get("transform", np.eye(4).reshape(-1))).reshape(4, 4).T
        gltf = glb.read(path.parent / tile["content"]["uri"])
        ((matrix, primitive),) = gltf.primitives()
        told = primitive["attributes"]
        place = world @ UP @ matrix
        xyz = DATONG.from_ecef(gltf.normalized(told["POSITION"]) @ place[:3, :3].T + place[:3, 3])
        yield tile, xyz, gltf.accessor(told["COLOR_0"]), gltf.accessor(told["_CLASSIFICATION"]), above
        stack += [(child, world, (*above, xyz)) for child in tile.get("children", [])]


@pytest.fixture
def small_cells(monkeypatch):
    """A plan with cells above those of the workers, from few points."""
    monkeypatch.setattr(points, "_CELL_POINTS", 6000)


def test_every_point_is_in_one_tile_at_its_place_with_its_colour_and_class(tmp_path, small_cells):
    cloud = survey()
    city = make_city(tmp_path, cloud)
    build(city, QUICK, Workers(1))
    path, entry = published(city)
    tiles = list(walk(path))
    xyz, rgb, classes = (np.concatenate([tile[k] for tile in tiles]) for k in (1, 2, 3))
    assert len(xyz) == len(cloud) == entry["features"]
    away, row = cKDTree(cloud.xyz).query(xyz)
    assert away.max() < 0.003
    single = classes != 1
    assert len(np.unique(row[single])) == single.sum() == (cloud.classification != 1).sum()
    assert (classes[single] == cloud.classification[row[single]]).all()
    linear = colours.encode(cloud.rgb / 255.0)
    assert (rgb[single] == linear[row[single]]).all()
    many, wanted = rgb[~single], linear[cloud.classification == 1]
    assert (many[np.lexsort(many.T)] == wanted[np.lexsort(wanted.T)]).all()


def test_a_tile_is_as_far_from_the_cloud_as_it_says(tmp_path, small_cells):
    city = make_city(tmp_path, survey(12_000))
    build(city, QUICK, Workers(1))
    tiles = list(walk(published(city)[0]))
    inner = [tile for tile in tiles if tile[0].get("children")]
    assert len(inner) > 4
    for tile, xyz, _, _, above in inner:
        drawn = np.concatenate([xyz, *above])
        below = np.concatenate([one[1] for one in tiles if any(a is xyz for a in one[4])])
        missed = cKDTree(drawn).query(below)[0].max()
        assert missed <= tile["geometricError"] + 0.01
        assert all(child["geometricError"] <= tile["geometricError"] for child in tile["children"])
    assert all(tile[0]["geometricError"] == 0.0 for tile in tiles if not tile[0].get("children"))
    root = tiles[0][0]
    assert root["refine"] == "ADD"
    assert root["geometricError"] > 8 * min(tile[0]["geometricError"] for tile in inner)


def test_nothing_is_wrong_and_a_lost_point_is_found(tmp_path, small_cells):
    city = make_city(tmp_path, survey(9025))
    build(city, QUICK, Workers(1))
    report = check_tiles(city)
    assert not report.outcomes
    assert report.figures["points"] == report.figures["vertices"] == 12_526
    city.store.write_points("points", [survey(8836)], LINEAGE)
    assert [o.reason for o in check_tiles(city).outcomes] == ["the tiles hold 12526 points, the store 12337"]


def test_tiles_do_not_depend_on_workers_or_on_how_the_work_is_cut(tmp_path, monkeypatch):
    city = make_city(tmp_path, survey(20_000))

    def made(workers, cell_points):
        monkeypatch.setattr(points, "_CELL_POINTS", cell_points)
        with Workers(workers) as crew:
            build(city, QUICK, crew)
        path, _ = published(city)
        return json.loads((path.parent.parent / "manifest.json").read_text())["content"], path.read_bytes()

    one = made(1, 5000)
    assert made(2, 5000) == one
    assert made(1, 10**6)[0] == one[0]


def test_tiles_stay_below_their_bytes(tmp_path):
    city = make_city(tmp_path, survey())
    build(city, QUICK, Workers(1))
    _, entry = published(city)
    assert entry["largest_wire_bytes"] < 20_000
    assert entry["features"] / entry["tiles"] > 0.25 * 10_000 / 7.0


def test_points_without_colour_take_that_of_their_class(tmp_path):
    city = make_city(tmp_path, survey(3000, coloured=False))
    build(city, TileOptions(), Workers(1))
    ((_, _, rgb, classes, _),) = walk(published(city)[0])
    for code in (1, 2, 6, 15):
        wanted = colours.encode(np.array(CLASSES[code][2]) / 255.0)
        assert (rgb[classes == code] == wanted).all()
        assert (classes == code).any()


@pytest.mark.parametrize("xyz", [[[X, Y, Z]], [[X, Y, Z]] * 5, [[X, Y, Z], [X, Y, Z + 1.0]], [[-3.0, -7.0, -0.5]]])
def test_few_points_are_one_tile(tmp_path, xyz):
    cloud = PointCloud(DATONG, np.array(xyz), np.full(len(xyz), 2, np.uint8))
    city = make_city(tmp_path, cloud, pieces=1)
    build(city, TileOptions(), Workers(1))
    ((tile, found, *_),) = walk(published(city)[0])
    assert np.abs(np.sort(found, axis=0) - np.sort(cloud.xyz, axis=0)).max() < 1e-3
    assert tile["geometricError"] == 0.0
    assert not check_tiles(city).outcomes


def test_a_cloud_without_a_point_is_no_tileset(tmp_path):
    city = make_city(tmp_path, survey(10), pieces=1)
    city.store.write_points("points", [], LINEAGE)
    assert points.build(city, PointTiles(), None, Workers(1)) is None


def test_memory_does_not_grow_with_the_cloud(tmp_path, small_cells, monkeypatch):
    monkeypatch.setattr(points, "_SURVEY_POINTS", 6000)

    def peak(side, name):
        cloud = survey(int(side * side / 6), side)
        city = make_city(tmp_path / name, cloud, pieces=len(cloud) // 2000)
        del cloud
        tracemalloc.start()
        build(city, QUICK, Workers(1))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(200.0, "warm")
    assert peak(800.0, "large") < 1.5 * peak(400.0, "small")


def test_morton_codes_of_a_cell_begin_alike():
    rng = np.random.default_rng(6)
    xyz = rng.uniform(0.0, 64.0, (5000, 3))
    codes = morton(xyz, np.zeros(3), 64.0 / 2**21)
    cells = np.floor(xyz / 8.0).astype(int)
    number = [sum(((int(c) >> b) & 1) << (3 * b + k) for k, c in enumerate(cell) for b in range(3)) for cell in cells]
    assert (codes >> np.uint64(54) == np.array(number, np.uint64)).all()


@pytest.mark.parametrize("depth", [1, 4, 9])
def test_cells_that_are_counted_are_the_leading_digits_of_the_codes(tmp_path, depth):
    rng = np.random.default_rng(depth)
    xyz = np.array(DATONG.origin) + rng.uniform(0.0, 300.0, (5000, 3))
    store = FolderStore(tmp_path, DATONG)
    halves = [PointCloud(DATONG, part, np.zeros(len(part), np.uint8)) for part in np.array_split(xyz, 2)]
    store.write_points("points", halves, LINEAGE)
    cube = points.around(store.points_index("points")[1])
    counted = points._survey(store, cube, depth, range(2))
    for part, (cells, counts) in zip(halves, counted, strict=True):
        wanted = np.unique(cube.codes(part.xyz) >> np.uint64(3 * (points.BITS - depth)), return_counts=True)
        order = np.argsort(cells)
        assert np.array_equal((cells[order], counts[order]), wanted)


def test_points_of_a_place_keep_their_order():
    code = np.array([5, 1, 5, 1, 5, 0], np.uint64)
    assert points._sorted(code).tolist() == [5, 1, 3, 0, 2, 4]
    assert points._sorted(code[[0, 1, 5]]).tolist() == [2, 1, 0]
