"""The quadtree of the plane: squares of 2^level metres at whole multiples of their side, the same for every city.

A square does not depend on what lies in it, so a city that grows keeps the tiles it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SHIFT = 2.0**26
"""Added to coordinates, so that no city straddles the corner where four squares of every level meet."""

_FINEST, _WIDEST = 4, 28


@dataclass(frozen=True, slots=True)
class Square:
    """Column x east and row y north of the squares of a level; its side is 2^level metres."""

    level: int
    x: int
    y: int

    def quarters(self) -> tuple[Square, ...]:
        """South-west, south-east, north-west, north-east."""
        return tuple(Square(self.level - 1, 2 * self.x + dx, 2 * self.y + dy) for dy in (0, 1) for dx in (0, 1))

    def parts(self, centres: Floats) -> list[Integers]:
        """Rows of `centres` (n, 2) m in each quarter, in the order of `quarters`."""
        place = np.floor((centres + _SHIFT) / 2.0 ** (self.level - 1)).astype(np.int64)
        return [np.flatnonzero((place[:, 0] == q.x) & (place[:, 1] == q.y)) for q in self.quarters()]


def around(centres: Floats) -> Square:
    """The smallest square that holds all points (n, 2) m."""
    for level in range(_FINEST, _WIDEST):
        place = np.floor((centres + _SHIFT) / 2.0**level).astype(np.int64)
        if (place == place[0]).all():
            return Square(level, *place[0].tolist())
    return Square(_WIDEST, 0, 0)


@dataclass(frozen=True, slots=True)
class Branch:
    """A square that is divided: the rows below it, and its quarters that hold any; without quarters it is a leaf."""

    square: Square
    rows: Integers
    quarters: tuple[Branch, ...] = ()


def divide(centres: Floats, weights: Floats, most: float) -> Branch:
    """The tree of points (n, 2) m, n > 0, whose leaves weigh `most` at most, or hold one point or one place only."""
    return _divide(np.arange(len(centres)), centres, weights, most)


def _divide(rows: Integers, centres: Floats, weights: Floats, most: float) -> Branch:
    here = around(centres[rows])
    if weights[rows].sum() <= most or len(rows) == 1 or here.level <= _FINEST:
        return Branch(here, rows)
    parts: Sequence[Integers] = [rows[part] for part in here.parts(centres[rows])]
    return Branch(here, rows, tuple(_divide(part, centres, weights, most) for part in parts if len(part)))
