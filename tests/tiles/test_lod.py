"""Coarse levels of the city: what they draw, how far off it is, and that a change makes only what changed."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace

import brotli
import numpy as np
import pytest
import shapely

from tests.tiles.scenes import DATONG, boxes, town
from tiles.gltf import glb, metadata
from tiles.lod import build as lod
from tiles.lod.blocks import single
from tiles.lod.merging import merge
from tiles.lod.notes import pack, unpack
from tiles.lod.outlines import outlines
from tiles.lod.prisms import prisms
from tiles.options import ModelTiles
from tiles.scheme.squares import around, divide
from tiles.scheme.tilesets import write_tileset
from tiles.shelf import Shelf
from tiles.validity import check_tileset
from twin.features import objects
from twin.lineage import Lineage
from twin.meshes import Surface
from twin.store.folder import FolderStore
from twin.workers import Workers

SMALL = ModelTiles(inner_bytes=30_000, leaf_bytes=15_000, coarse=1.0)
CELL = 500.0


def by_cell(solids):
    """(name, solids) by the square of each solid's first vertex, in the order of names."""
    at = np.floor(solids.vertices[solids.vertex_offset[:-1], :2] / CELL).astype(int)
    names = np.array([f"c_{x}_{y}" for x, y in at.tolist()])
    return [(name, solids.take(np.flatnonzero(names == name))) for name in np.unique(names).tolist()]


def build(place, solids, options=SMALL, workers=None, shown=frozenset()):
    """(made, document, home, what is told) of a town."""
    store = FolderStore(place / "store", DATONG)
    store.write_model("l2", by_cell(solids), Lineage("made in code"))
    shelf = Shelf(place, options.brotli_quality)
    setting = lod.Setting(store, shelf, options, shown, "test")
    made = lod.build(lod.plan(store.model_index("l2"), setting), setting, workers or Workers(1))
    told = write_tileset("l2", made.tile, place / "v", shelf, "v", 512.0)
    home = place / "v" / "l2"
    return made, json.loads((home / "tileset.json").read_bytes()), home, told


def walk(tile):
    yield tile
    for child in tile.get("children", []):
        yield from walk(child)


def table(home, tile):
    return metadata.read_table(glb.read(home / tile["content"]["uri"]))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("town"), town(900, side=1500.0), shown=frozenset({"b000007"}))


def test_the_root_has_a_budget_of_its_own_and_is_no_tile_of_a_larger_city(tmp_path):
    options = replace(SMALL, inner_bytes=60_000, root_bytes=10_000)
    made, _, _, _ = build(tmp_path, town(900, side=1500.0), options)
    wide, _, _, _ = build(tmp_path / "wide", town(900, side=1500.0), replace(options, root_bytes=60_000))
    assert made.tile.content.wire < 14_000 < wide.tile.content.wire
    index = FolderStore(tmp_path / "store", DATONG).model_index("l2")
    setting = lod.Setting(FolderStore(tmp_path / "store", DATONG), Shelf(tmp_path), options, frozenset(), "test")
    plan = lod.plan(index, setting)
    quarter = next(part for part in plan.quarters if part.quarters or len(part.cells) > 1)
    assert lod.plan(list(quarter.cells), setting).key not in {part.key for part in plan.walk()}


def test_every_building_is_in_exactly_one_leaf(built):
    _, document, home, told = built
    leaves = [tile for tile in walk(document["root"]) if "children" not in tile]
    names = sorted(oid for tile in leaves for oid in table(home, tile)["oid"].tolist())
    assert names == sorted(town(900).oid.tolist())
    assert told["tiles"] > 5
    assert told["features"] == 900


def test_a_tileset_of_ours_has_no_fault(built):
    assert check_tileset(built[2]).outcomes == ()


def test_errors_fall_from_the_root_to_nothing_at_the_leaves(built):
    document = built[1]

    def fall(tile, above):
        assert tile["geometricError"] <= above
        assert (tile["geometricError"] == 0) == ("children" not in tile)
        assert tile["refine"] == "REPLACE"
        for child in tile.get("children", []):
            fall(child, tile["geometricError"])

    fall(document["root"], document["geometricError"])
    assert document["asset"] == {"version": "1.1", "tilesetVersion": "v"}


def test_errors_fall_by_half_from_level_to_level_and_no_tile_asks_for_too_many(tmp_path):
    options = replace(SMALL, inner_bytes=15_000, leaf_bytes=10_000, root_bytes=15_000)
    _, document, _, _ = build(tmp_path, town(4000, side=4000.0), options)
    falls = []
    for tile in walk(document["root"]):
        below = [child["geometricError"] for child in tile.get("children", [])]
        assert len(below) <= 16
        if below and max(below) > options.coarse:
            falls.append(tile["geometricError"] / max(below))
    assert len(falls) > 8
    assert min(falls) > 1.2
    assert np.median(falls) == pytest.approx(2.0, abs=0.2)


def test_a_coarse_tile_is_lighter_and_names_a_building_of_each_block(built):
    _, document, home, _ = built
    known = set(town(900).oid.tolist())
    for tile in walk(document["root"]):
        found = table(home, tile)
        assert set(found["oid"].tolist()) <= known
        if "children" in tile:
            below = sum(len(table(home, child)["oid"]) for child in tile["children"])
            assert len(found["oid"]) <= below
            assert (found["members"] >= 1).all()
        else:
            assert (found["members"] == 1).all()
    assert (table(home, document["root"])["members"] > 1).any()


def test_the_tallest_are_still_themselves_at_the_root(built):
    _, document, home, _ = built
    solids = town(900, side=1500.0)
    tallest = solids.oid[np.argsort(-solids.attributes["height"])[:3]]
    root = table(home, document["root"])
    alone = root["oid"][root["members"] == 1]
    assert set(tallest.tolist()) <= set(alone.tolist())


def solid_sets(solids):
    """(outline, base, top) of solids, as plain prisms."""
    at, z = solids.vertex_offset[:-1], solids.vertices[:, 2]
    return outlines(solids), np.minimum.reduceat(z, at), np.maximum.reduceat(z, at)


def on_hills(solids):
    """The same buildings, each lifted to the ground below its first corner: a hillside with a dip and a knoll."""
    x, y = (solids.vertices[solids.vertex_offset[:-1], :2] - solids.vertices[0, :2]).T
    lift = 0.08 * x - 0.05 * y + 6.0 * np.sin(x / 90.0) * np.cos(y / 70.0)
    vertices = solids.vertices.copy()
    vertices[:, 2] += lift[solids.vertex_owner()]
    return replace(solids, vertices=vertices)


class Lying:
    """Blocks or plain prisms as functions of the place: outline, and base and top at places (k, 2)."""

    def __init__(self, outline, base, top, rise=None):
        self.outline, self._base, self._top = outline, base, top
        self._rise = rise or (lambda rows, xy: np.zeros(len(rows)))

    def heights(self, rows, xy):
        up = self._rise(rows, xy)
        return self._base[rows] + up, self._top[rows] + up


def furthest(points, ground, lying):
    """Largest distance of points (n, 3) from prisms or from the ground that they stand on, m."""
    worst, every = 0.0, np.arange(len(lying.outline))
    for (x, y, z), foot in zip(points, ground, strict=True):
        point = shapely.Point(x, y)
        nearest = shapely.get_coordinates(shapely.shortest_line(lying.outline, point)).reshape(-1, 2, 2)[:, 0]
        base, top = lying.heights(every, nearest)
        up = np.maximum(np.maximum(z - top, base - z), 0.0)
        worst = max(worst, min(float(np.hypot(shapely.distance(lying.outline, point), up).min()), z - foot))
    return worst


def samples(lying, rng, n):
    """Points on roofs and walls of prisms, and the base of each."""
    rows = rng.integers(0, len(lying.outline), n)
    edge = [lying.outline[row].exterior.interpolate(rng.random(), normalized=True) for row in rows.tolist()]
    middle = shapely.point_on_surface(lying.outline[rows])
    points, ground = [], []
    for place, at_top in ((np.array(edge), True), (np.array(edge), False), (middle, True)):
        xy = shapely.get_coordinates(place)
        base, top = lying.heights(rows, xy)
        points.append(np.column_stack([xy, top if at_top else rng.uniform(base, top)]))
        ground.append(base)
    return np.concatenate(points), np.concatenate(ground)


@pytest.mark.parametrize("lie", [lambda solids: solids, on_hills], ids=["flat", "hills"])
@pytest.mark.parametrize("tolerance", [2.0, 8.0, 30.0])
def test_what_is_declared_holds_against_points_tried_by_chance(tolerance, lie):
    solids = lie(town(300, side=500.0))
    n = len(solids)
    blocks, lost = single(solids, {"oid": solids.oid}, np.full((n, 3), 0.7), np.zeros(n, bool), 1.0)
    fine, most = Lying(*solid_sets(solids)), 6.0
    # A second level is made of blocks that slope already; distances add up.
    for step in (tolerance, 2.0 * tolerance):
        merged, gone = merge(blocks, step)
        assert len(merged) < len(blocks) or step < 5.0
        lost, most = max(lost, gone), most + 6.0 * step
        declared = max(float(merged.error.max()), lost)
        coarse = Lying(merged.outline, merged.base, merged.top, merged.rise)
        rng = np.random.default_rng(5)
        assert furthest(*samples(fine, rng, 200), coarse) <= declared + 1e-6
        assert furthest(*samples(coarse, rng, 200), fine) <= declared + 1e-6
        assert declared <= most
        blocks = merged


def test_a_quarter_on_a_hillside_lies_along_it():
    x, y = (grid.ravel() * 30.0 for grid in np.meshgrid(np.arange(12), np.arange(12)))
    foot = 1000.0 + 0.1 * x - 0.06 * y
    low = np.column_stack([x, y, foot])
    solids = boxes(low, low + np.array([20.0, 20.0, 9.0]))
    blocks, _ = single(solids, {"oid": solids.oid}, np.full((144, 3), 0.5), np.zeros(144, bool), 2.0)
    merged, lost = merge(blocks, 40.0)
    assert lost == 0.0
    merged = merged.take(merged.members > 1)
    assert len(merged) == 1
    assert merged.slope[0] == pytest.approx([0.1, -0.06], rel=0.02)
    vertices = prisms(merged, DATONG).vertices
    ground = 1000.0 + 0.1 * vertices[:, 0] - 0.06 * vertices[:, 1]
    above = vertices[:, 2] - ground
    assert above[above > 4.0] == pytest.approx(9.0, abs=2.0)
    assert above[above <= 4.0].max() <= 0.5
    # A level block would have come out of a slope that falls and rises by 30 m and more.
    assert np.ptp(ground) > 50.0


def test_neighbours_of_a_height_become_one_block_and_a_tower_stays():
    row = boxes(
        [[10.0 * k, 0, 0] for k in range(5)] + [[20, 30, 0]], [[10.0 * k + 8, 12, 9] for k in range(5)] + [[40, 50, 90]]
    )
    blocks, _ = single(row, {"oid": row.oid}, np.full((6, 3), 0.5), np.zeros(6, bool), 0.5)
    merged, lost = merge(blocks, 4.0)
    assert sorted(merged.members.tolist()) == [1, 5]
    assert lost == 0.0
    house, tower = np.argsort(-merged.members)
    assert shapely.area(merged.outline[house]) == pytest.approx(48 * 12)
    assert (merged.base[house], merged.top[house]) == (0.0, 9.0)
    assert merged.top[tower] == 90.0
    assert 2.0 <= merged.error[house] <= 3.0


def test_a_hut_is_left_out_and_its_height_counts():
    two = boxes([[0, 0, 0], [100, 0, 0]], [[1, 1, 2], [130, 20, 12]])
    blocks, lost = single(two, {"oid": two.oid}, np.full((2, 3), 0.5), np.zeros(2, bool), 4.0)
    assert blocks.oid.tolist() == ["b000001"]
    assert lost == 2.0


def test_outlines_of_solids_with_a_court_and_without_ground():
    solids = boxes([[0, 0, 0], [50, 0, 0]], [[10, 20, 5], [60, 10, 5]])
    surface = solids.surface.copy()
    surface[12:][solids.surface[12:] == Surface.GROUND] = Surface.WALL
    found = outlines(replace(solids, surface=surface))
    assert shapely.area(found).tolist() == [200.0, 100.0]


def test_notes_hold_all_of_it(built):
    made = built[0]
    again = unpack(pack(made))
    assert pack(again) == pack(made)
    assert again.tile == made.tile


def test_the_same_bytes_whatever_the_workers_and_the_order(tmp_path):
    solids = town(500, side=1500.0)
    shuffled = solids.take(np.random.default_rng(1).permutation(500))
    made = []
    for name, given, n in (("a", solids, 1), ("b", solids, 2), ("c", shuffled, 1)):
        with Workers(n) as workers:
            build(tmp_path / name, given, workers=workers)
        files = sorted(
            p for p in (tmp_path / name).rglob("*") if p.is_file() and p.parent.parent.name in ("content", "v")
        )
        made.append({str(p.relative_to(tmp_path / name)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files})
    assert made[0] == made[1]
    assert made[0].keys() >= made[2].keys()


def test_a_change_makes_only_its_tile_and_those_above(tmp_path):
    solids = town(900, side=1500.0)
    _, before, _, _ = build(tmp_path / "grown", solids)
    there = {p.name for p in (tmp_path / "grown/content").rglob("*.glb")}
    vertices = solids.vertices.copy()
    roof = np.flatnonzero(solids.vertex_owner() == 450)[4:]
    vertices[roof, 2] += 3.0
    changed = replace(solids, vertices=vertices)
    _, after, home, _ = build(tmp_path / "grown", changed)
    _, whole, _, _ = build(tmp_path / "anew", changed)
    assert after == whole
    new = {p.name for p in (tmp_path / "grown/content").rglob("*.glb")} - there
    path = [tile for tile in walk(after["root"]) if tile["content"]["uri"].rpartition("/")[2] in new]
    assert 2 <= len(path) <= 8
    assert "b000450" in {oid for tile in path if "children" not in tile for oid in table(home, tile)["oid"].tolist()}
    assert before != after


def test_compressed_copies_hold_the_same_bytes(built):
    _, document, home, _ = built
    plain = home / document["root"]["content"]["uri"]
    assert gzip.decompress(plain.with_name(plain.name + ".gz").read_bytes()) == plain.read_bytes()
    assert brotli.decompress(plain.with_name(plain.name + ".br").read_bytes()) == plain.read_bytes()


def test_squares_do_not_depend_on_the_city():
    rng = np.random.default_rng(2)
    points = rng.uniform(400_000.0, 404_000.0, (300, 2))
    few = divide(points[:100], np.ones(100), 30.0)
    assert sorted(np.concatenate([b.rows for b in leaves(few)]).tolist()) == list(range(100))
    squares = {b.square for b in leaves(divide(points, np.ones(300), 30.0))}
    assert len(squares) > 8
    assert around(points[:1]).level == 4
    assert all(len(b.rows) <= 30 for b in leaves(few))


def test_points_at_one_place_do_not_split_for_ever():
    assert divide(np.zeros((50, 2)), np.ones(50), 3.0).quarters == ()


def leaves(branch):
    return [leaf for quarter in branch.quarters for leaf in leaves(quarter)] or [branch]


def test_a_large_tree_is_several_documents(tmp_path, monkeypatch):
    monkeypatch.setattr("tiles.scheme.tilesets._MOST_INLINE", 4)
    _, document, home, told = build(tmp_path, town(900, side=1500.0))
    assert len(list(walk(document["root"]))) <= 5
    assert check_tileset(home).outcomes == ()
    assert check_tileset(home).figures["features"] >= 900
    assert told["features"] == 900


def test_names_survive_in_coarse_tiles():
    solids = town(3)
    blocks, _ = single(
        solids, {"oid": solids.oid, "name": objects(["", "鼓楼", ""])}, np.full((3, 3), 0.5), np.zeros(3, bool), 0.5
    )
    assert blocks.columns["name"].tolist() == ["", "鼓楼", ""]


def test_what_l3_shows_is_never_one_block_with_its_neighbours():
    x, y, z = DATONG.origin
    west = x + 11.0 * np.arange(8)
    solids = boxes(
        np.column_stack([west, np.full(8, y), np.full(8, z)]),
        np.column_stack([west + 10.0, np.full(8, y + 10.0), np.full(8, z + 6.0)]),
    )
    shown = np.arange(8) >= 4
    columns = {"oid": solids.oid, "has_l3": shown}
    blocks, _ = single(solids, columns, np.full((8, 3), 0.8), np.zeros(8, bool), 2.0)
    merged, _ = merge(blocks, 4.0)
    assert sorted(zip(merged.columns["has_l3"].tolist(), merged.members.tolist(), strict=True)) == [
        (False, 4),
        (True, 4),
    ]
