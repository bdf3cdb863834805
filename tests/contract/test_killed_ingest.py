"""An ingest killed at fifty moments, in each store: every item is whole, old or new, and a rerun completes."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine

import ingest.run  # noqa: F401  (once here, not in every child)
import twin
import twin.store.cog
from tests.contract.killing import calls_of, run_to_the_end, start, up_to
from tests.tiny import EAST, NORTH, TOML
from twin import StoreError, pipeline
from twin.workers import Workers

KILLS, AT_ONCE = 50, 5
KINDS = {"footprints": "buildings", "roads": "roads", "water": "water", "divisions": "divisions"}


def _vector(path, shapes, **columns):
    pyogrio.raw.write(
        path, shapely.to_wkb(shapes), [np.array(v, object) for v in columns.values()], np.array(list(columns), object),
        driver="GPKG", geometry_type=shapes[0].geom_type, crs="EPSG:4547",
    )  # fmt: skip


def _deliver(folder: Path, number: int) -> None:
    """One of two deliveries of the same sources; every layer of one differs from the other's, and water comes once."""
    folder.mkdir(parents=True)
    n = 500 + 80 * number
    x, y = EAST + 20.0 * (np.arange(n) % 30), NORTH + 20.0 * (np.arange(n) // 30) + number
    names = [f"楼 {k}-{number}" for k in range(n)]
    _vector(folder / "buildings.gpkg", shapely.box(x, y, x + 9, y + 9), oid=[f"b{k:04d}" for k in range(n)], name=names)
    lines = shapely.linestrings([[[EAST, NORTH + 40 * k], [EAST + 600, NORTH + 40 * k + number]] for k in range(9)])
    _vector(folder / "roads.gpkg", lines, oid=[f"r{k}" for k in range(9)])
    halves = shapely.box([EAST, EAST + 300 + number], NORTH, [EAST + 300 + number, EAST + 600], NORTH + 400)
    _vector(folder / "divisions.gpkg", halves, code=["140202", "140203"])
    _vector(folder / "water.gpkg", shapely.box([EAST + 9], NORTH, EAST + 20, NORTH + 9), oid=["w"])
    heights = np.full((120, 160), 1040.0 + number, np.float32)
    with rasterio.open(
        folder / "dem.tif", "w", driver="GTiff", width=160, height=120, count=1, dtype="float32", crs="EPSG:4547",
        transform=Affine(5, 0, EAST - 50, 0, -5, NORTH + 500),
    ) as file:  # fmt: skip
        file.write(heights, 1)


def _declare(root: Path, number: int, store: str) -> None:
    kinds = {kind: stem for kind, stem in KINDS.items() if kind != "water" or number == 0}
    sources = [f'name = "{kind}"\nkind = "{kind}"\npath = "{number}/{stem}.gpkg"' for kind, stem in kinds.items()]
    sources.append(f'name = "dem"\nkind = "dem"\npath = "{number}/dem.tif"')
    tables = "\n".join(f'[[source]]\n{source}\ncrs = "EPSG:4547"\ndate = "202{number}"\n' for source in sources)
    (root / "city.toml").write_text(f"{TOML}\n{store}\n{tables}", encoding="utf-8")


def ingest_city(root):
    city = twin.open(root)
    until = time.monotonic() + 20.0
    while True:
        try:
            with Workers(1) as workers:
                pipeline.run(city, workers, only=["ingest"])
            return
        except StoreError as error:
            # The database lets go of a dead writer's lock as soon as it notices.
            if "another run is writing" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def kept(store):
    return {(item.kind, item.name): item.digest for item in store.items()}


def check_whole(store, before, after):
    """Every item is that of one delivery, reads whole, and is what the catalogue says; returns how many are new."""
    found = store.items()
    for item in found:
        key = (item.kind, item.name)
        assert item.digest in (before.get(key), after.get(key)), key
        assert store.digest(*key) == item.digest, key
        if item.kind == "layer":
            layer = store.read_layer(item.name)
            assert (len(layer), len(set(layer.oid.tolist()))) == (item.count, item.count)
            assert store.versions(item.name)[-1].digest == item.digest
    lost = set(before) & set(after) - {(item.kind, item.name) for item in found}
    assert not lost
    return sum(after.get((item.kind, item.name)) != before.get((item.kind, item.name)) == item.digest for item in found)


@pytest.fixture(params=["folder", "postgis"])
def town(request, tmp_path):
    """(root, the [store] table, digests of both deliveries undisturbed)."""
    tables = {"here": "", "alone": ""}
    if request.param == "postgis":
        url = request.getfixturevalue("database")
        tables = {name: f'[store]\nurl = "{url}"\nschema = "killed_{name}"\n' for name in tables}
    told = []
    for number in range(2):
        _deliver(tmp_path / "alone" / str(number), number)
        shutil.copytree(tmp_path / "alone" / str(number), tmp_path / "here" / str(number))
        _declare(tmp_path / "alone", number, tables["alone"])
        run_to_the_end(ingest_city, tmp_path / "alone", 60)
        told.append(kept(twin.open(tmp_path / "alone").store))
    return tmp_path / "here", tables["here"], told


def killers(root, calls, seconds):
    """Fifty ways to let an ingest begin and end by SIGKILL: at a call of Python, at a moment of the clock."""

    def at_call(share):
        process = start(up_to, ingest_city, root, round(share * calls), None)
        process.join(60)
        # What a killed run has written already, the next one does not write again: it may end before its moment.
        assert process.exitcode in (0, -signal.SIGKILL)

    def at_moment(share):
        process = start(ingest_city, root)
        process.join(share * seconds)
        process.kill()
        process.join(10)

    rng, half = random.Random(1372), KILLS // 2
    for kill in (at_call, at_moment):
        shares = [(k + rng.random()) / half * 0.97 for k in range(half)]
        for share in rng.sample(shares, half):
            yield lambda kill=kill, share=share: kill(share)


@pytest.mark.slow
def test_whenever_an_ingest_is_killed_every_item_is_whole_and_the_rerun_completes(town):
    root, table, told = town
    calls, seconds = [], 0.0
    for number in (0, 1, 0):
        _declare(root, number, table)
        seconds = run_to_the_end(ingest_city, root, 60)
        # What one run has imported, no later one imports again: the calls counted below are those of every run.
        check_whole(twin.open(root).store, told[number], told[number])
    for number in (1, 0):
        _declare(root, number, table)
        calls.append(calls_of(ingest_city, root, 60))
    mixed = 0
    for k, kill in enumerate(killers(root, min(calls), seconds)):
        number = (k + 1) % 2
        _declare(root, number, table)
        kill()
        store = twin.open(root).store
        old = check_whole(store, told[1 - number], told[number])
        mixed += 0 < old < len(store.items("layer"))
        if k % AT_ONCE == AT_ONCE - 1:
            run_to_the_end(ingest_city, root, 60)
            assert kept(twin.open(root).store) == told[number]
            assert not [*root.glob(".twin/pending/*"), *root.glob(".twin/scratch/*"), *root.glob(".twin/.*")]
    assert k == KILLS - 1
    assert mixed, "no run was killed between two layers; the moments say nothing"
