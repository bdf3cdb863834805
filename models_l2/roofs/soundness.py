"""Compiled: whether rings on an integer grid are simple, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def twice_areas(x: Any, y: Any, ring: Any) -> Any:
    """(r,) i8, twice the signed area of every ring; 0 where it touches or crosses itself.

    x, y   (k,) i8 vertices, small enough that their products do not overflow        ring   (r + 1,) i8 offsets
    """
    areas = np.zeros(len(ring) - 1, np.int64)
    for r in range(len(areas)):
        low, high = ring[r], ring[r + 1]
        twice = 0
        for i in range(low, high):
            j = i + 1 if i + 1 < high else low
            twice += (x[i] - x[low]) * (y[j] - y[low]) - (x[j] - x[low]) * (y[i] - y[low])
        areas[r] = twice if _is_simple(x[low:high], y[low:high]) else 0
    return areas


@njit(cache=True, error_model="numpy")
def _is_simple(x: Any, y: Any) -> bool:
    n = len(x)
    for i in range(n):
        a, b = i, (i + 1) % n
        if _folds(x, y, a, b, (i + 2) % n):
            return False
        for j in range(i + 2, n):
            if (j + 1) % n != i and _meet(x, y, (a, b, j, (j + 1) % n)):
                return False
    return True


@njit(cache=True, error_model="numpy")
def _side(x: Any, y: Any, a: int, b: int, c: int) -> int:
    """Sign of the turn a, b, c."""
    turn = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a])
    if turn > 0:
        return 1
    return -1 if turn < 0 else 0


@njit(cache=True, error_model="numpy")
def _folds(x: Any, y: Any, a: int, b: int, c: int) -> bool:
    """Whether the way a, b, c turns back on itself."""
    ahead = (x[b] - x[a]) * (x[c] - x[b]) + (y[b] - y[a]) * (y[c] - y[b])
    return _side(x, y, a, b, c) == 0 and ahead <= 0


@njit(cache=True, error_model="numpy")
def _meet(x: Any, y: Any, sides: Any) -> bool:
    """Whether the segments a-b and c-d share a point."""
    a, b, c, d = sides
    if max(x[a], x[b]) < min(x[c], x[d]) or max(x[c], x[d]) < min(x[a], x[b]):
        return False
    if max(y[a], y[b]) < min(y[c], y[d]) or max(y[c], y[d]) < min(y[a], y[b]):
        return False
    return _side(x, y, a, b, c) * _side(x, y, a, b, d) <= 0 and _side(x, y, c, d, a) * _side(x, y, c, d, b) <= 0
