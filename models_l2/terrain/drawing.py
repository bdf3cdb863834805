"""Triangles drawn onto a grid: the height of a triangulation at every cell centre inside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_TOUCH = 1e-9


def drawn(corners: Floats, heights: Floats, triangles: Integers, shape: tuple[int, int]) -> Floats:
    """Heights (ny, nx) f8 of a triangulation, linear in every triangle; NaN outside all of them.

    corners     (n, 2) f8, fractional row and column; whole numbers are cell centres
    heights     (n,) f8 of the corners          triangles   (m, 3) i8 rows of `corners`
    """
    out = np.full(shape, np.nan)
    draw(np.ascontiguousarray(corners), np.ascontiguousarray(heights), triangles.astype(np.int64), out)
    return out


@njit(cache=True)
def span(corners: Any, a: int, b: int, c: int, row: float) -> Any:
    """(first, last) column of the triangle abc along a row; first > last where it does not reach the row."""
    low, high = np.inf, -np.inf
    for i, j in ((a, b), (b, c), (c, a)):
        r0, r1 = corners[i, 0], corners[j, 0]
        if row < min(r0, r1) or row > max(r0, r1):
            continue
        if r0 == r1:
            low = min(low, corners[i, 1], corners[j, 1])
            high = max(high, corners[i, 1], corners[j, 1])
        else:
            at = corners[i, 1] + (row - r0) / (r1 - r0) * (corners[j, 1] - corners[i, 1])
            low, high = min(low, at), max(high, at)
    return low, high


@njit(cache=True)
def tilt(corners: Any, heights: Any, a: int, b: int, c: int) -> Any:
    """(by row, by column) how a triangle's height changes; NaN for one without area."""
    r1, c1, z1 = corners[b, 0] - corners[a, 0], corners[b, 1] - corners[a, 1], heights[b] - heights[a]
    r2, c2, z2 = corners[c, 0] - corners[a, 0], corners[c, 1] - corners[a, 1], heights[c] - heights[a]
    area = r1 * c2 - c1 * r2
    if area == 0.0:
        return np.nan, np.nan
    return (z1 * c2 - z2 * c1) / area, (r1 * z2 - r2 * z1) / area


@njit(cache=True)
def draw(corners: Any, heights: Any, triangles: Any, out: Any) -> None:
    """Put the heights of the triangles into `out` (ny, nx), in place."""
    ny, nx = out.shape
    for k in range(len(triangles)):
        a, b, c = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        by_row, by_col = tilt(corners, heights, a, b, c)
        if np.isnan(by_row):
            continue
        top = min(corners[a, 0], corners[b, 0], corners[c, 0])
        bottom = max(corners[a, 0], corners[b, 0], corners[c, 0])
        for row in range(max(0, int(np.ceil(top))), min(ny - 1, int(np.floor(bottom))) + 1):
            low, high = span(corners, a, b, c, row)
            if low > high:
                continue
            for col in range(max(0, int(np.ceil(low - _TOUCH))), min(nx - 1, int(np.floor(high + _TOUCH))) + 1):
                out[row, col] = heights[a] + by_row * (row - corners[a, 0]) + by_col * (col - corners[a, 1])
