"""Which thing goes into which tile where nothing stands for another: an ADD tree over the squares of the plane.

Every thing is in exactly one tile, the important ones on top. What a tile does not draw lies below it, and its error is
the size of the largest of those; so a leaf, which misses nothing, has error 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiles.scheme.squares import Square, around
from tiles.scheme.tree import rounded

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spread:
    """What is to be placed.

    centres  (n, 2) f8, frame m        sizes  (n,) f8, m: what is missed where the thing is left out
    weights  (n,) f8, estimated bytes on the wire
    ranks    (n,) f8, larger is placed higher; equal ones by `ties` (n,), which do not depend on the order of the rows
    """

    centres: Floats
    sizes: Floats
    weights: Floats
    ranks: Floats
    ties: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Node:
    """A tile to be written: the rows it holds in rising order, its error in m, what lies below."""

    rows: Integers
    error: float
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """The tile and everything below, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def scatter(spread: Spread, inner: float, leaf: float) -> Node:
    """The root tile of at least one thing.

    inner, leaf     most bytes of a tile with and without children
    """
    order = np.lexsort((spread.ties, -spread.ranks))
    return _grow(spread, (inner, leaf), order, around(spread.centres))


def _grow(spread: Spread, most: tuple[float, float], order: Integers, square: Square) -> Node:
    """`order`: rows, the most important first."""
    inner, leaf = most
    weights = spread.weights[order]
    if weights.sum() <= leaf or len(order) == 1 or square.level == 0:
        return Node(np.sort(order), 0.0)
    kept = max(int(np.searchsorted(np.cumsum(weights), inner, side="right")), 1)
    below = order[kept:]
    parts = zip(square.parts(spread.centres[below]), square.quarters(), strict=True)
    children = tuple(_grow(spread, most, below[part], quarter) for part, quarter in parts if len(part))
    return Node(np.sort(order[:kept]), rounded(float(spread.sizes[below].max(initial=0.0))), children)


def stable_hash(words: NDArray[np.object_]) -> NDArray[np.uint64]:
    """(n,) numbers that depend on the words alone: FNV-1a over their UTF-8 bytes, ended by a 64-bit mixer.

    source  Fowler, Noll and Vo; finalizer of SplitMix64
    """
    found = np.full(len(words), 0xCBF29CE484222325, np.uint64)
    if len(words):
        packed = np.array([word.encode() for word in words.tolist()])
        letters = packed.view(np.uint8).reshape(len(words), -1)
        for column in letters.T:
            # Shorter words are padded with zeros, which do not count.
            found = np.where(column > 0, (found ^ column) * np.uint64(0x100000001B3), found)
    found ^= found >> np.uint64(30)
    found *= np.uint64(0xBF58476D1CE4E5B9)
    found ^= found >> np.uint64(27)
    found *= np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))
