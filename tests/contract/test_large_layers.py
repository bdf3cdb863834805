"""A large layer takes other ways into a store than a small one: a process of its own, rows encoded ahead, keys last."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely

from ingest.repair import mend
from tests.tiny import FRAME
from twin.errors import StoreError
from twin.features import Layer, objects
from twin.lineage import Lineage
from twin.store import copying, geopackage
from twin.store.folder import FolderStore

LINEAGE = Lineage("made in code")


def plots(n):
    """n squares of 8 m side by side, every third without a height, every fifth without a name."""
    x, y = np.arange(n) % 100 * 10.0, np.arange(n) // 100 * 10.0
    names = ["" if k % 5 == 0 else f"楼 {k}" for k in range(n)]
    heights = np.where(np.arange(n) % 3 == 0, np.nan, 3.0 + np.arange(n) % 40)
    return Layer.build(
        "building", FRAME, [f"b{k}" for k in range(n)], shapely.box(x, y, x + 8.0, y + 8.0),
        {"name": names, "height": heights},
    )  # fmt: skip


def test_a_layer_written_by_a_process_of_its_own_has_the_same_bytes(tmp_path, monkeypatch):
    layer = plots(3000)
    monkeypatch.setattr(geopackage, "BATCH", 1000)
    here = FolderStore(tmp_path / "here", FRAME)
    here.write_layer("building", layer, LINEAGE)
    monkeypatch.setattr(geopackage, "APART", 1000)
    apart = FolderStore(tmp_path / "apart", FRAME)
    apart.write_layer("building", layer, LINEAGE)
    files = [store.path("layer", "building").read_bytes() for store in (here, apart)]
    assert files[0] == files[1]
    assert apart.item("layer", "building") == here.item("layer", "building")


def test_a_writer_that_fails_is_told_in_one_line_and_the_layer_before_stays(tmp_path, monkeypatch):
    store = FolderStore(tmp_path / ".twin", FRAME)
    before = store.write_layer("building", plots(20), LINEAGE)
    monkeypatch.setattr(geopackage, "APART", 1000)
    monkeypatch.setattr(geopackage, "_WRITER", "raise SystemExit('no room on the disk')")
    with pytest.raises(StoreError, match=r"building\.gpkg: cannot be written \(no room on the disk\)$"):
        store.write_layer("building", plots(3000), LINEAGE)
    assert store.item("layer", "building") == before
    assert store.digest("layer", "building") == before.digest
    assert len(store.versions("building")) == 1


def test_rows_encoded_ahead_are_the_same_rows_in_their_order(monkeypatch):
    monkeypatch.setattr(copying, "_CHUNK", 64)
    layer = plots(1000)
    ahead = [bytes(chunk) for chunk in copying.ahead(copying.binary_rows(layer, 4547))]
    assert ahead == [bytes(chunk) for chunk in copying.binary_rows(layer, 4547)]
    assert len(ahead) == 16


def test_an_encoder_that_fails_while_it_runs_ahead_fails_the_load(postgis_store, monkeypatch):
    whole = copying.binary_rows

    def breaking(layer, srid):
        yield from itertools.islice(whole(layer, srid), 1)
        raise StoreError("row 65: cannot be kept")

    before = postgis_store.write_layer("building", plots(20), LINEAGE)
    monkeypatch.setattr(copying, "binary_rows", breaking)
    with pytest.raises(StoreError, match="row 65: cannot be kept"):
        postgis_store.write_layer("building", plots(30), LINEAGE)
    assert postgis_store.item("layer", "building") == before
    assert postgis_store.count_layer("building", geopackage.Where()) == 20


def test_keys_built_after_the_load_are_those_of_the_table(postgis_store):
    for n in (30, 40):
        postgis_store.write_layer("building", plots(n), LINEAGE)
    with postgis_store.database.transaction() as connection:
        query = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = to_regclass('building')"
        told = sorted(row[0].partition(" USING ")[2] for row in connection.execute(query).fetchall())
    assert told == ["btree (fid)", "btree (oid)", "gist (geom)"]


def test_only_rings_that_run_clockwise_are_turned():
    square = [(0, 0), (4, 0), (4, 4), (0, 4)]
    far = [(x + 4e5, y + 4.4e6) for x, y in square]
    hole = [(1, 1), (2, 1), (2, 2), (1, 2)]
    shapes = objects([
        shapely.Polygon(square), shapely.Polygon(square[::-1]), shapely.Polygon(far), shapely.Polygon(far[::-1]),
        shapely.Polygon(square, [hole]), shapely.Polygon(square, [hole[::-1]]), shapely.Polygon(square[::-1], [hole]),
        shapely.MultiPolygon([shapely.Polygon(far[::-1])]), shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)]),
    ])  # fmt: skip
    mended = mend("building", objects([f"b{k}" for k in range(len(shapes))]), shapes, "footprints")
    assert shapely.to_wkb(mended.geometry).tolist() == shapely.to_wkb(shapely.orient_polygons(mended.geometry)).tolist()
    untouched = mended.geometry[mended.row == 0]
    assert untouched[0] is shapes[0]
