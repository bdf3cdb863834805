"""Merging by patches: what is kept of the run before saves work and changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from tests.tiles.scenes import town
from tiles.lod import fitting, kernels
from tiles.lod.blocks import single
from tiles.lod.notes import keep_merged, merged_before
from tiles.shelf import Shelf

BUDGET = 20_000.0


def blocks_of(n=600, side=1500.0):
    solids = town(n, side=side)
    columns = {"oid": solids.oid, "height": solids.attributes["height"]}
    return single(solids, columns, np.full((n, 3), 0.7), np.zeros(n, bool), 1.0)[0]


BLOCKS = blocks_of()
WHOLE = fitting.fit(BLOCKS, 2.0, BUDGET)


def same(a, b):
    assert (a.rung, a.keys, a.counts, a.tallies) == (b.rung, b.keys, b.counts, b.tallies)
    assert shapely.to_wkb(a.blocks.outline).tolist() == shapely.to_wkb(b.blocks.outline).tolist()
    assert a.blocks.oid.tolist() == b.blocks.oid.tolist()
    for name in ("base", "top", "across", "low", "high", "members", "colour", "area"):
        assert np.array_equal(getattr(a.blocks, name), getattr(b.blocks, name)), name


def changed(rows, by):
    """The blocks with those of `rows` higher by so many metres, or gone where that is 0."""
    if by == 0.0:
        return BLOCKS.take(np.setdiff1d(np.arange(len(BLOCKS)), rows))
    top, high, low = BLOCKS.top.copy(), BLOCKS.high.copy(), BLOCKS.low.copy()
    for values in (top, high, low):
        values[rows] += by
    return replace(BLOCKS, top=top, high=high, low=low)


def test_blocks_fit_and_no_building_is_lost_sight_of():
    assert fitting.weight_of(WHOLE.blocks) <= BUDGET < fitting.weight_of(BLOCKS)
    assert sum(WHOLE.counts) == len(WHOLE.blocks)
    assert len(WHOLE.keys) == len(WHOLE.counts) > 4
    small = BLOCKS.height[~np.isin(BLOCKS.oid, WHOLE.blocks.oid)]
    assert WHOLE.blocks.members.sum() + (small <= WHOLE.lost).sum() >= len(BLOCKS)


@given(
    rows=st.lists(st.integers(0, len(BLOCKS) - 1), min_size=1, max_size=8, unique=True),
    by=st.sampled_from([0.0, 4.0, 60.0]),
)
@settings(max_examples=15, deadline=None)
def test_what_was_merged_before_changes_nothing(rows, by):
    now = changed(np.array(rows), by)
    same(fitting.fit(now, 2.0, BUDGET, WHOLE), fitting.fit(now, 2.0, BUDGET))


def test_only_what_a_change_touched_is_merged_again(monkeypatch):
    merged: list[int] = []
    plain = fitting.merge_patches

    def counted(blocks, *others):
        merged.append(len(blocks))
        return plain(blocks, *others)

    monkeypatch.setattr(fitting, "merge_patches", counted)
    fitting.fit(BLOCKS, 2.0, BUDGET, WHOLE)
    assert merged == []
    row = int(np.argsort(BLOCKS.height)[len(BLOCKS) // 2])
    fitting.fit(changed(np.array([row]), 0.5), 2.0, BUDGET, WHOLE)
    assert 0 < sum(merged) < len(BLOCKS) / 4


def test_blocks_of_different_patches_do_not_become_one():
    pitch = 12.0 * 2.0 ** (WHOLE.rung / 4.0)
    bounds = shapely.bounds(WHOLE.blocks.outline)
    assert (bounds[:, 2:] - bounds[:, :2]).max() <= 2.0 * pitch


def test_what_was_merged_survives_on_the_shelf(tmp_path):
    shelf = Shelf(tmp_path)
    assert merged_before(shelf, "12_1_2") is None
    keep_merged(shelf, "12_1_2", WHOLE)
    same(merged_before(shelf, "12_1_2"), WHOLE)


@pytest.mark.parametrize("rung", [4, 9, 15])
def test_order_of_the_blocks_decides_nothing_but_ties(rung):
    tolerance = 2.0 ** (rung / 4.0)
    turned = BLOCKS.take(np.arange(len(BLOCKS))[::-1])
    one, other = fitting.fit(BLOCKS, tolerance, BUDGET), fitting.fit(turned, tolerance, BUDGET)
    assert (one.rung, one.counts) == (other.rung, other.counts)
    assert one.blocks.members.tolist() == other.blocks.members.tolist()


@given(
    boxes=st.lists(st.tuples(*(st.integers(0, 60),) * 2, *(st.integers(1, 9),) * 2, st.integers(0, 1)), min_size=1),
    gap=st.integers(0, 8),
)
@settings(max_examples=60, deadline=None)
def test_boxes_are_together_as_a_graph_of_all_pairs_says(boxes, gap):
    told = np.array(sorted(boxes), float)
    low, high, level = told[:, :2], told[:, :2] + told[:, 2:4], told[:, 4].astype(np.int64)
    apart = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).max(axis=2)
    count, group = connected_components((apart <= gap) & (level[:, None] == level), directed=False)
    found = kernels.together(np.column_stack([low, high]), level, float(gap))
    assert len(set(zip(group.tolist(), found.tolist(), strict=True))) == count == found.max() + 1
