"""Which object goes into which tile: a quadtree under ADD refinement, big things on top, split by bytes.

Every object is in exactly one tile. A tile's geometric error is the largest size among the objects below it: what a
viewer would miss if it stopped here. A leaf misses nothing, so its error is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DEEPEST = 20
_ERROR_STEP = 0.5
_STRAY = 0.5


@dataclass(frozen=True, slots=True)
class Items:
    """What is to be placed.

    centres   (n, 2) f8, frame m
    sizes     (n,) f8, m: what is missed where the object is left out (its largest extent)
    weights   (n,) f8, estimated bytes on the wire
    ranks     (n,) f8, larger is placed higher
    """

    centres: NDArray[np.float64]
    sizes: NDArray[np.float64]
    weights: NDArray[np.float64]
    ranks: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a tile may weigh.

    root      bytes of the root tile     inner   bytes of an inner tile      leaf   most bytes of a leaf
    floor     least error an inner tile declares, m: everything below is loaded within about 104 times that distance
    """

    root: float = 100_000.0
    inner: float = 120_000.0
    leaf: float = 200_000.0
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Node:
    """A tile: its place in the quadtree (x east, y north), the rows it holds, its error in m, its children.

    A tile without rows has no content; it only says from where its children are worth loading.
    shelf   folder in front of the name, where one tileset has two trees
    """

    level: int
    x: int
    y: int
    rows: NDArray[np.int64]
    error: float
    children: tuple[Node, ...] = ()
    shelf: str = ""

    @property
    def key(self) -> str:
        """The tile's name in a path: level/x_y."""
        return f"{self.shelf}{self.level}/{self.x}_{self.y}"

    def walk(self) -> Iterator[Node]:
        """The tile and everything below, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class _Square:
    level: int
    x: int
    y: int
    west: float
    south: float
    side: float


def quadtree(items: Items, budget: Budget) -> Node:
    """The root tile of all items.

    Rows inside a tile keep their order, so sorted input gives sorted tiles.
    """
    return _grow(items, budget, np.arange(len(items.sizes)), _whole(items))


def late_leaves(items: Items, most: float, error: float, shelf: str) -> Node:
    """A tree that holds everything in leaves, each of which is loaded only when the camera is near that very leaf.

    most    bytes of a leaf
    error   m, of the empty tile around each leaf and of all above: how near is near
    """
    return _divide(items, (most, error, shelf), np.arange(len(items.sizes)), _whole(items))


def _divide(items: Items, rule: tuple[float, float, str], rows: NDArray[np.int64], square: _Square) -> Node:
    most, error, shelf = rule
    place = (square.level, square.x, square.y)
    nothing = np.zeros(0, dtype=np.int64)
    if items.weights[rows].sum() <= most or len(rows) == 1 or square.level >= _DEEPEST:
        return Node(*place, nothing, error, (Node(*place, rows, 0.0, shelf=shelf),), f"{shelf}near/")
    parts = [_divide(items, rule, part, quarter) for part, quarter in _quarters(items, rows, square) if len(part)]
    return Node(*place, nothing, error, tuple(parts), f"{shelf}near/")


def _whole(items: Items) -> _Square:
    # A stray far away must not stretch the grid: what lies outside the square belongs to its nearest quarter.
    low, high = np.percentile(items.centres, [_STRAY, 100.0 - _STRAY], axis=0)
    side = max(float((high - low).max()), 1.0) * (1.0 + 1e-9)
    west, south = ((low + high) / 2.0 - side / 2.0).tolist()
    return _Square(0, 0, 0, west, south, side)


def _grow(items: Items, budget: Budget, rows: NDArray[np.int64], square: _Square) -> Node:
    weights = items.weights[rows]
    most = budget.root if square.level == 0 else budget.inner
    leaf = most if square.level == 0 else budget.leaf
    if weights.sum() <= leaf or square.level >= _DEEPEST:
        return Node(square.level, square.x, square.y, rows, 0.0)
    order = np.argsort(-items.ranks[rows], kind="stable")
    kept = np.cumsum(weights[order]) <= most
    kept[0] = True
    stays = np.zeros(len(rows), bool)
    stays[order[kept]] = True
    below = rows[~stays]
    if not len(below):
        return Node(square.level, square.x, square.y, rows, 0.0)
    error = math.ceil(float(items.sizes[below].max()) / _ERROR_STEP) * _ERROR_STEP
    children = tuple(
        _grow(items, budget, part, quarter) for part, quarter in _quarters(items, below, square) if len(part)
    )
    return Node(square.level, square.x, square.y, rows[stays], max(error, budget.floor), children)


def _quarters(items: Items, rows: NDArray[np.int64], square: _Square) -> Iterator[tuple[NDArray[np.int64], _Square]]:
    half = square.side / 2.0
    east = items.centres[rows, 0] >= square.west + half
    north = items.centres[rows, 1] >= square.south + half
    for dy in (0, 1):
        for dx in (0, 1):
            quarter = _Square(
                square.level + 1,
                2 * square.x + dx,
                2 * square.y + dy,
                square.west + dx * half,
                square.south + dy * half,
                half,
            )
            yield rows[(east == bool(dx)) & (north == bool(dy))], quarter
