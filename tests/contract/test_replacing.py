"""A layer is replaced whole: whoever reads beside the writer, and however the writer ends."""

from __future__ import annotations

import multiprocessing
import random
import time

import numpy as np
import pytest
import shapely

from tests.tiny import EAST, FRAME, LINEAGE, NORTH
from twin import Layer

SIZES = (600, 400)


def version(number):
    """One of two deliveries; they differ in count, in every height and in one column."""
    n = SIZES[number % 2]
    x, y = EAST + 20.0 * (np.arange(n) % 30), NORTH + 20.0 * (np.arange(n) // 30)
    columns = {"height": np.full(n, float(number % 2)), **({"survey": ["new"] * n} if number % 2 else {})}
    return Layer.build("building", FRAME, [f"b{k:04d}" for k in range(n)], shapely.box(x, y, x + 9, y + 9), columns)


def whole(layer):
    """The version a reader saw; fails where it is a mix or a part."""
    number = SIZES.index(len(layer))
    assert set(layer.columns["height"].tolist()) == {float(number)}
    assert ("survey" in layer.columns) == (number == 1)
    return number


def replace_for_ever(store, begun):
    number = 0
    while True:
        number += 1
        store.write_layer("building", version(number), LINEAGE)
        begun.set()


@pytest.fixture
def writer(store):
    """Starts a process that replaces the layer again and again."""
    context = multiprocessing.get_context("fork")
    started = []

    def start():
        begun = context.Event()
        process = context.Process(target=replace_for_ever, args=(store, begun), daemon=True)
        process.start()
        started.append(process)
        assert begun.wait(20)
        return process

    yield start
    for process in started:
        process.kill()
        process.join(10)


def test_readers_beside_a_writer_see_one_version_whole(store, writer):
    store.write_layer("building", version(0), LINEAGE)
    writer()
    seen, until = [], time.monotonic() + 20.0
    while np.abs(np.diff(seen)).sum() < 6 and time.monotonic() < until:
        seen.append(whole(store.read_layer("building")))
    assert set(seen) == {0, 1}, "the layer was replaced under the reader"
    for _ in range(40):
        page, keys, after = store.page_layer("building", limit=50)
        assert len(page) == len(keys) == 50
        assert len(set(page.columns["height"].tolist())) == 1
        assert after == keys[-1]


def test_a_killed_writer_leaves_one_version_whole_and_the_next_run_completes(store, writer):
    rng = random.Random(1372)
    store.write_layer("building", version(0), LINEAGE)
    for _ in range(8):
        process = writer()
        process.join(rng.uniform(0.0, 0.12))
        process.kill()
        process.join(10)
        whole(store.read_layer("building"))
    item = store.write_layer("building", version(1), LINEAGE)
    assert whole(store.read_layer("building")) == 1
    assert store.digest("layer", "building") == item.digest


def test_a_failed_write_leaves_the_version_before(store):
    store.write_layer("building", version(0), LINEAGE)
    before = store.item("layer", "building").digest
    broken = version(1)
    broken.geometry[-1] = "no geometry"
    with pytest.raises(TypeError):
        store.write_layer("building", broken, LINEAGE)
    assert whole(store.read_layer("building")) == 0
    assert store.item("layer", "building").digest == before
