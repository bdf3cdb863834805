"""Which point goes into which tile: an octree of cells, whose tiles add up.

Of all points in a cell the one of the lowest rank stands for it. It also stands for the smaller cell that it lies in,
so a point belongs to the widest cell that it stands for. A tile holds the points that stand for cells 128 times finer
than itself (or what its bytes allow) and are in no tile above. A tile is as far from the cloud as the farthest point
from the one that stands for its cell: that is measured, and is its error. Few enough points are a leaf, which misses
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tiles.points.kernels import standing_for
from tiles.scheme.tree import Content, Tile
from twin.points import PointCloud, merge_points

Integers = NDArray[np.int64]

BITS = 21
"""Levels of the octree: the root cube, halved so often, is the finest cell."""

_SMALL = 16
"""A leaf below a 16th of its bytes is drawn by the tile above: it is not worth a request."""

_SOLID = 1.5
_ERROR_STEP = 0.01

_LONGER = 1.001
"""Distances on the Earth may be longer than in a projected frame by so much at most."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Points in the order of their Morton codes.

    codes, ranks    (n,) u8
    """

    cloud: PointCloud
    codes: NDArray[np.uint64]
    ranks: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Integers) -> Batch:
        """The points of `rows` (k,), in rising order."""
        return Batch(self.cloud.take(rows), self.codes.take(rows), self.ranks.take(rows))


@dataclass(frozen=True, slots=True)
class Most:
    """Most points of a tile with and without children; `fine`: its cells are so many levels finer than itself.

    A surface meets some s^2 of s^3 cells, walls and trees half as many again. What is more goes into a tile beside.
    """

    inner: int
    leaf: int

    @property
    def fine(self) -> int:
        """Levels."""
        return max(int(np.log2(self.inner / _SOLID) / 2.0), 1)


@dataclass(frozen=True, slots=True)
class Grown:
    """What became of a cell.

    tiles       written below and in it        risen   points that belong to the tiles above
    kept        points too few for a tile, to be drawn by the one above
    spread      m, farthest that a point of the cell is from one of those that rose
    """

    tiles: tuple[Tile, ...]
    risen: Batch
    kept: Batch
    spread: float


Write = Callable[[PointCloud], Content]


def grow(batch: Batch, depth: int, most: Most, write: Write) -> Grown:
    """The tiles of a cell of the octree, `depth` levels below the root, from all its points."""
    free = np.ones(len(batch), np.bool_)
    rows, spread = _rising(batch, depth, most.fine)
    free[rows] = False
    tree = _Tree(batch, free, most, write)
    tiles, kept = tree.divide(0, len(batch), depth)
    if depth == 0 and len(kept):
        tiles, kept = _tiles(0.0, batch.take(kept), (), most.leaf, write), kept[:0]
    return Grown(tiles, batch.take(rows), batch.take(kept), spread)


def gather(parts: Sequence[Grown], depth: int, side: float, most: Most, write: Write) -> Grown:
    """The tile of a cell from what its eighths, in their order, left to it.

    side    m, of the root cube
    """
    candidates = _join([part.risen for part in parts])
    error = max(part.spread for part in parts)
    rows, apart = _rising(candidates, depth, most.fine)
    widest = 3.0**0.5 * side / 2.0 ** (depth + most.fine - 1)
    stay = np.ones(len(candidates), np.bool_)
    stay[rows] = False
    own = _join([candidates.take(np.flatnonzero(stay)), *(part.kept for part in parts)])
    own = own.take(np.argsort(own.codes, kind="stable"))
    tiles = tuple(tile for part in parts for tile in part.tiles)
    nothing = own.take(np.zeros(0, np.int64))
    tiles = _tiles(error, own, tiles, most.inner, write)
    return Grown(tiles, candidates.take(rows), nothing, min(error + apart, widest))


def _rising(batch: Batch, depth: int, fine: int) -> tuple[Integers, float]:
    """Rows of the points that tiles above draw, and how far the others are from them at most (m)."""
    if depth == 0:
        return np.zeros(0, np.int64), 0.0
    shift = 3 * max(BITS - (depth + fine - 1), 0)
    rows, spread = standing_for(batch.codes, batch.ranks, batch.cloud.xyz, shift)
    return rows, float(spread)


def _join(batches: Sequence[Batch]) -> Batch:
    return Batch(
        merge_points(batch.cloud for batch in batches),
        np.concatenate([batch.codes for batch in batches]),
        np.concatenate([batch.ranks for batch in batches]),
    )


def _tiles(error: float, own: Batch, children: tuple[Tile, ...], most: int, write: Write) -> tuple[Tile, ...]:
    """The tile that draws `own` above its children; where that is too much, tiles beside it that are drawn with it."""
    if not len(own):
        return children
    up = float(np.ceil(error * _LONGER / _ERROR_STEP) * _ERROR_STEP)
    up = max(round(up, 2), _ERROR_STEP, *(child.error for child in children)) if children else 0.0
    pieces = np.array_split(np.arange(len(own)), -(-len(own) // (most + most // 2)))
    first, *others = [write(own.take(piece).cloud) for piece in pieces]
    return Tile(up, first, children, "ADD"), *(Tile(0.0, content, (), "ADD") for content in others)


@dataclass(frozen=True, slots=True)
class _Tree:
    """Cells of one batch; `free` (n,) are the points that no tile has taken."""

    batch: Batch
    free: NDArray[np.bool_]
    most: Most
    write: Write

    def divide(self, start: int, end: int, depth: int) -> tuple[tuple[Tile, ...], Integers]:
        """Tiles of the rows from `start` to `end`, and the rows that are too few for one."""
        rows = start + np.flatnonzero(self.free[start:end])
        if len(rows) <= self.most.leaf // _SMALL:
            return (), rows
        if len(rows) <= self.most.leaf or depth >= BITS:
            return _tiles(0.0, self.batch.take(rows), (), self.most.leaf, self.write), rows[:0]
        part, shift = slice(start, end), 3 * max(BITS - depth - self.most.fine, 0)
        batch = self.batch
        picked, error = standing_for(batch.codes[part], batch.ranks[part], batch.cloud.xyz[part], shift)
        picked = start + picked
        picked = picked[self.free[picked]]
        self.free[picked] = False
        tiles: tuple[Tile, ...] = ()
        own = [picked]
        for first, last in self._eighths(start, end, depth):
            below, few = self.divide(first, last, depth + 1)
            tiles += below
            own.append(few)
        drawn = np.sort(np.concatenate(own))
        return _tiles(error, batch.take(drawn), tiles, self.most.inner, self.write), rows[:0]

    def _eighths(self, start: int, end: int, depth: int) -> list[tuple[int, int]]:
        codes = self.batch.codes[start:end]
        shift = np.uint64(3 * (BITS - depth - 1))
        first = (codes[0] >> shift) & ~np.uint64(7)
        edges = start + np.searchsorted(codes >> shift, first + np.arange(9, dtype=np.uint64))
        return [(int(a), int(b)) for a, b in pairwise(edges) if b > a]
