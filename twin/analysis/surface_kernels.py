"""Compiled loops over polygons on the bilinear surface of a raster; rows and columns are whole at cell centres."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def medians(ends: Any, first: Any, last: Any, rows: Any, cols: Any, values: Any) -> Any:
    """Medians and counts over polygons whose edges run from (row, column) to (row, column), cell centres whole.

    ends          (m, 4) edges; those of polygon k are first[k] .. last[k]
    rows, cols    (before, behind, share) of the grid's centres in `values`
    """
    n = len(first)
    found, counts = np.full(n, np.nan), np.zeros(n, np.int64)
    buffer, at = np.empty(64), np.empty(64)
    most_rows, most_cols = len(rows[0]), len(cols[0])
    for k in range(n):
        part = ends[first[k] : last[k]]
        if not len(part):
            continue
        if len(part) > len(at):
            at = np.empty(2 * len(part))
        lowest, highest = np.inf, -np.inf
        for e in range(len(part)):
            lowest = min(lowest, part[e, 0], part[e, 2])
            highest = max(highest, part[e, 0], part[e, 2])
        size = 0
        for row in range(_whole(lowest, most_rows), _whole(highest, most_rows)):
            crossings = _crossed_at(part, row, at)
            for p in range(0, crossings - 1, 2):
                start, stop = _whole(at[p], most_cols), _whole(at[p + 1], most_cols)
                while size + stop - start > len(buffer):
                    buffer = np.concatenate((buffer, np.empty(len(buffer))))
                _fill(values, row, start, stop, rows, cols, buffer[size:])
                size += max(0, stop - start)
        counts[k] = size
        if size:
            found[k] = _median(buffer[:size])
    return found, counts


@njit(cache=True)
def _whole(value: float, most: int) -> int:
    return int(min(max(np.ceil(value), 0.0), most))


@njit(cache=True)
def _crossed_at(part: Any, row: int, at: Any) -> int:
    """How often edges cross the middle of a row; the columns go to `at`, in order.

    An edge counts from its upper end to above its lower.
    """
    size = 0
    for e in range(len(part)):
        r1, c1, r2, c2 = part[e]
        if min(r1, r2) <= row < max(r1, r2):
            column = c1 + (row - r1) * (c2 - c1) / (r2 - r1)
            k = size
            while k > 0 and at[k - 1] > column:
                at[k] = at[k - 1]
                k -= 1
            at[k] = column
            size += 1
    return size


@njit(cache=True)
def _fill(values: Any, row: int, start: int, stop: int, rows: Any, cols: Any, out: Any) -> None:
    """The surface along a row of the grid, from column `start` to before `stop`."""
    r0, rn, fr = rows[0][row], rows[1][row], rows[2][row]
    for col in range(start, stop):
        c0, cn, fc = cols[0][col], cols[1][col], cols[2][col]
        north = values[r0, c0] * (1.0 - fc) + values[r0, cn] * fc
        south = values[rn, c0] * (1.0 - fc) + values[rn, cn] * fc
        out[col - start] = north * (1.0 - fr) + south * fr


@njit(cache=True)
def _median(values: Any) -> float:
    """Median, linear between the two in the middle; `values` are reordered."""
    size = len(values)
    low = (size - 1) // 2
    a = _select(values, low)
    b = a
    if low + 1 < size:
        b = values[low + 1 :].min()
    return float(a + (b - a) * (0.5 * (size - 1) - low))


@njit(cache=True)
def _select(values: Any, place: int) -> float:
    """The value that stands at `place` in order (Hoare 1961); none before it is larger, none behind it smaller."""
    left, right = 0, len(values) - 1
    while left < right:
        pivot = values[(left + right) // 2]
        i, j = left, right
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if place <= j:
            right = j
        elif place >= i:
            left = i
        else:
            break
    return float(values[place])


@njit(cache=True)
def _bilinear(values: Any, row: float, col: float) -> float:
    ny, nx = values.shape
    row, col = min(max(row, 0.0), ny - 1.0), min(max(col, 0.0), nx - 1.0)
    r0, c0 = int(np.floor(row)), int(np.floor(col))
    rn, cn = min(r0 + 1, ny - 1), min(c0 + 1, nx - 1)
    fr, fc = row - r0, col - c0
    north = values[r0, c0] * (1.0 - fc) + values[r0, cn] * fc
    south = values[rn, c0] * (1.0 - fc) + values[rn, cn] * fc
    return float(north * (1.0 - fr) + south * fr)


@njit(cache=True)
def widen(ends: Any, owner: Any, values: Any, low: Any, high: Any) -> None:
    """Widen low and high (n,) in place by the surface along edges (m, 4) from (row, column) to (row, column).

    source    along a straight line inside one bilinear patch the surface is a parabola: its ends and vertex decide
    """
    t = np.empty(64)
    for e in range(len(ends)):
        r1, c1, r2, c2 = ends[e]
        size = int(abs(r2 - r1)) + int(abs(c2 - c1)) + 6
        if size > len(t):
            t = np.empty(2 * size)
        size = _cuts(r1, r2, t, _cuts(c1, c2, t, 0))
        t[size], t[size + 1] = 0.0, 1.0
        size += 2
        cuts = np.sort(t[:size]) if size > 2 else t[:2]
        before = _along(values, r1, c1, r2, c2, cuts[0])
        least, most = before, before
        for k in range(1, size):
            after = _along(values, r1, c1, r2, c2, cuts[k])
            middle = _along(values, r1, c1, r2, c2, 0.5 * (cuts[k - 1] + cuts[k]))
            vertex = _vertex(before, middle, after)
            least, most = min(least, after, vertex), max(most, after, vertex)
            before = after
        low[owner[e]], high[owner[e]] = min(low[owner[e]], least), max(high[owner[e]], most)


@njit(cache=True)
def _cuts(a: float, b: float, t: Any, size: int) -> int:
    """Put the parameter of every whole number strictly between a and b behind the `size` that are in t already."""
    for whole in range(int(np.floor(min(a, b))) + 1, int(np.ceil(max(a, b)))):
        t[size] = (whole - a) / (b - a)
        size += 1
    return size


@njit(cache=True)
def _along(values: Any, r1: float, c1: float, r2: float, c2: float, t: float) -> float:
    return _bilinear(values, r1 + t * (r2 - r1), c1 + t * (c2 - c1))


@njit(cache=True)
def _vertex(f0: float, fm: float, f1: float) -> float:
    """Value at the vertex of the parabola through f(0), f(1/2), f(1) where it lies inside (0, 1); else f(1/2)."""
    a, b = 2.0 * f0 - 4.0 * fm + 2.0 * f1, 4.0 * fm - 3.0 * f0 - f1
    at = -b / (2.0 * a) if abs(a) > 1e-12 else 0.5
    return float(f0 + at * (b + a * at) if 0.0 < at < 1.0 else fm)
