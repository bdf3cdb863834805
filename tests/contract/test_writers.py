"""What every writer of tiles keeps as a promise: our check finds nothing, and the same input gives the same bytes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from affine import Affine

from tests.tiles.scenes import DATONG, town
from tiles import ancient, models
from tiles.checks.findings import Findings
from tiles.checks.ground import check_imagery, check_terrain
from tiles.checks.shelf import check_files
from tiles.imagery import pyramid as imagery
from tiles.lod import build as lod
from tiles.options import ImageTiles, ModelTiles, TerrainTiles
from tiles.scheme.tilesets import write_tileset
from tiles.shelf import Shelf
from tiles.terrain import pyramid
from tiles.validity import check_tileset
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.store.folder import FolderStore
from twin.workers import Workers

BOX = GeoBox((60, 60), Affine(20.0, 0.0, DATONG.origin[0] - 600, 0.0, -20.0, DATONG.origin[1] + 600), DATONG)


def write_blocks(folder, workers):
    store = FolderStore(folder.parent / f"{folder.name}-store", DATONG)
    store.write_model("l2", [("a", town(200))], Lineage("made in code"))
    setting = lod.Setting(store, Shelf(folder), ModelTiles(leaf_bytes=10_000), frozenset(), "test")
    made = lod.build(lod.plan(store.model_index("l2"), setting), setting, workers)
    write_tileset("l2", made.tile, folder / "v", setting.shelf, "v", 512.0)


def write_parts(folder, workers):
    shelf = Shelf(folder)
    root, largest = ancient.build(models.parts(town(200), None), ModelTiles(), shelf, workers)
    write_tileset("l3", root, folder / "v", shelf, "v", largest)


def write_terrain(folder, workers):
    heights = 1040.0 + np.random.default_rng(3).normal(size=BOX.shape)
    options = TerrainTiles(apron=200.0, max_level=12)
    pyramid.build_terrain(Raster(heights.astype(np.float32), BOX), folder, options, workers)


def write_imagery(folder, workers):
    store = FolderStore(folder.parent / f"{folder.name}-store", DATONG)
    values = np.random.default_rng(3).integers(0, 255, (3, *BOX.shape)).astype(np.uint8)
    store.write_raster("ortho_0", Raster(values, BOX, float("nan"), ""), Lineage("made in code"))
    told = imagery.build_imagery(store, folder, ImageTiles(min_zoom=11), workers)
    found = Findings("imagery")
    check_imagery(folder, told["layers"], found)
    assert found.faults == []


WRITERS = {"blocks": write_blocks, "parts": write_parts, "terrain": write_terrain, "imagery": write_imagery}


def digests(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("name", WRITERS)
def test_what_it_writes_passes_our_check(name, tmp_path):
    found = Findings(name)
    WRITERS[name](tmp_path / "out", Workers(1))
    for tileset in (tmp_path / "out").rglob("tileset.json"):
        assert check_tileset(tileset).outcomes == ()
    if name == "terrain":
        check_terrain(tmp_path / "out/terrain", found)
    check_files(tmp_path / "out", Workers(1), found)
    assert found.faults == []
    assert digests(tmp_path / "out")


@pytest.mark.parametrize("name", WRITERS)
def test_it_writes_the_same_bytes_twice(name, tmp_path):
    for place in ("a", "b"):
        WRITERS[name](tmp_path / place, Workers(1))
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
