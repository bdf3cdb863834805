"""Compiled loops over points: Morton codes and the point that stands for each cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def _spread(value: Any) -> Any:
    """The lowest 21 bits of a number, two zeros between each."""
    v = np.uint64(value) & np.uint64(0x1FFFFF)
    v = (v | (v << np.uint64(32))) & np.uint64(0x1F00000000FFFF)
    v = (v | (v << np.uint64(16))) & np.uint64(0x1F0000FF0000FF)
    v = (v | (v << np.uint64(8))) & np.uint64(0x100F00F00F00F00F)
    v = (v | (v << np.uint64(4))) & np.uint64(0x10C30C30C30C30C3)
    return (v | (v << np.uint64(2))) & np.uint64(0x1249249249249249)


@njit(cache=True)
def morton(xyz: Any, corner: Any, cell: float) -> Any:
    """(n,) u8 codes of points (n, 3) m: 21 bits an axis, counted in cells of `cell` m from the lowest corner (3,)."""
    codes = np.empty(len(xyz), np.uint64)
    for i in range(len(xyz)):
        code = np.uint64(0)
        for k in range(3):
            step = min(max(int((xyz[i, k] - corner[k]) / cell), 0), 0x1FFFFF)
            code |= _spread(step) << np.uint64(k)
        codes[i] = code
    return codes


@njit(cache=True)
def ranks(codes: Any) -> Any:
    """(n,) u8 numbers that look random and depend on the place alone; the lowest of a cell stands for it.

    source  finalizer of SplitMix64
    """
    found = np.empty(len(codes), np.uint64)
    for i in range(len(codes)):
        v = codes[i] + np.uint64(0x9E3779B97F4A7C15)
        v = (v ^ (v >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        v = (v ^ (v >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found[i] = v ^ (v >> np.uint64(31))
    return found


@njit(cache=True)
def standing_for(codes: Any, rank: Any, xyz: Any, shift: int) -> Any:
    """The point that stands for each cell, and how far it is from what it stands for.

    codes       (n,) u8, rising; a cell is what is alike above the lowest `shift` bits
    rank        (n,) u8; the first of the lowest of a cell stands for it
    returns     (c,) i8 rows in rising order, greatest distance in m of a point from the one that stands for it
    """
    n = len(codes)
    rows = np.empty(n, np.int64)
    cells, start, worst = 0, 0, 0.0
    while start < n:
        cell, best, end = codes[start] >> np.uint64(shift), start, start + 1
        while end < n and codes[end] >> np.uint64(shift) == cell:
            if rank[end] < rank[best]:
                best = end
            end += 1
        for i in range(start, end):
            dx, dy, dz = xyz[i, 0] - xyz[best, 0], xyz[i, 1] - xyz[best, 1], xyz[i, 2] - xyz[best, 2]
            worst = max(worst, dx * dx + dy * dy + dz * dz)
        rows[cells] = best
        cells, start = cells + 1, end
    return rows[:cells].copy(), np.sqrt(worst)
