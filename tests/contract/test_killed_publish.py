"""Publishing killed at fifty moments: what is served is whole, old or new, and a rerun gives the same bytes as ever."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal

import pytest

import twin
from tests.contract.killing import calls_of, run_to_the_end, start, up_to
from tests.tiles.scenes import town
from tests.tiles.test_publish import LINEAGE, make_city
from tiles.options import ImageTiles, ModelTiles, TerrainTiles, TileOptions
from twin import pipeline
from twin.options import as_table
from twin.workers import Workers

KILLS, AT_ONCE = 50, 5
SMALL = TileOptions(
    ModelTiles(root_bytes=10_000, inner_bytes=10_000, leaf_bytes=10_000),
    TerrainTiles(cells=16, apron=500.0, max_level=11),
    ImageTiles(min_zoom=13, max_zoom=14),
)
BUILDINGS = 160


def declare(root, number):
    """One of two models of L2, with or without L3: parts that change and parts that come and go."""
    store = twin.open(root).store
    solids = town(BUILDINGS, seed=number, side=900.0)
    halves = [("a", solids.take(range(BUILDINGS // 2))), ("b", solids.take(range(BUILDINGS // 2, BUILDINGS)))]
    store.write_model("l2", halves, LINEAGE)
    if number:
        store.write_model("l3", [("a", town(3, seed=7, side=100.0))], LINEAGE)
    else:
        store.remove("model", "l3")


def publish(root):
    with Workers(1) as workers:
        pipeline.run(twin.open(root), workers, only=["tiles"], overrides={"tiles": as_table(SMALL)})


def served(root):
    """Hash of every file that the published version serves: its own, its parts', the contents that it names."""
    version, folder = twin.open(root).store.current_tiles()
    assert json.loads((folder / "build.json").read_bytes())["version"] == version
    names = json.loads((folder / "manifest.json").read_bytes())["content"]
    files = [folder.parent / "content" / name[:2] / name for name in names]
    for place, _, inside in os.walk(folder, followlinks=True):
        files += [folder.parent.joinpath(place, name) for name in inside]
    return {str(file.relative_to(folder.parent)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def towns(tmp_path):
    """(root, what is served of each of two models undisturbed, calls of the shorter run, seconds)."""
    root, told, calls, seconds = tmp_path / "here", [], [], 0.0
    make_city(root, n=4)
    for number in (0, 1):
        alone = tmp_path / f"alone{number}"
        make_city(alone, n=4)
        declare(alone, number)
        publish(alone)
        told.append(served(alone))
    for number in (0, 1, 0, 1):
        declare(root, number)
        seconds = run_to_the_end(publish, root, 120)
        assert served(root) == told[number]
    for number in (0, 1):
        declare(root, number)
        calls.append(calls_of(publish, root, 120))
    return root, told, min(calls), seconds


def killers(root, calls, seconds):
    """Fifty ways to let publishing begin and end by SIGKILL: at a call of Python, at a moment of the clock."""

    def at_call(share):
        process = start(up_to, publish, root, round(share * calls), None)
        process.join(120)
        # What a killed run has made already, the next one takes over: it may end before its moment.
        assert process.exitcode in (0, -signal.SIGKILL)

    def at_moment(share):
        process = start(publish, root)
        process.join(share * seconds)
        process.kill()
        process.join(10)

    rng, half = random.Random(1372), KILLS // 2
    for kill in (at_call, at_moment):
        shares = [(k + rng.random()) / half * 0.99 for k in range(half)]
        for share in rng.sample(shares, half):
            yield lambda kill=kill, share=share: kill(share)


@pytest.mark.slow
def test_whenever_publishing_is_killed_what_is_served_is_whole_and_the_rerun_is_as_undisturbed(towns):
    root, told, calls, seconds = towns
    seen = set()
    for k, kill in enumerate(killers(root, calls, seconds)):
        number = k % 2
        declare(root, number)
        kill()
        seen.add(told.index(served(root)) == number)
        if k % AT_ONCE == AT_ONCE - 1:
            run_to_the_end(publish, root, 120)
            assert served(root) == told[number]
            assert not [*root.glob(".twin/tiles/.*"), *root.glob(".twin/tiles/content/*/.*")]
    assert k == KILLS - 1
    assert False in seen, "no run was killed before its end; the moments say nothing"
