"""Compiled clipping of lines and points by the window of each tile.

source  Liang and Barsky 1984, A new concept and method for line clipping
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def _inside(xy: Any, k: int, box: Any) -> bool:
    return box[0] <= xy[k, 0] <= box[2] and box[1] <= xy[k, 1] <= box[3]


@njit(cache=True)
def _span(x0: float, y0: float, x1: float, y1: float, box: Any) -> tuple[float, float]:
    """Where along a segment the box is entered and left; entered after left where it is missed."""
    low, high = 0.0, 1.0
    for start, step, near, far in ((x0, x1 - x0, box[0], box[2]), (y0, y1 - y0, box[1], box[3])):
        if step == 0.0:
            if start < near or start > far:
                return 1.0, 0.0
            continue
        a, b = (near - start) / step, (far - start) / step
        low, high = max(low, min(a, b)), min(high, max(a, b))
    return low, high


@njit(cache=True)
def clip_points(xy: Any, start: Any, ranges: Any, boxes: Any) -> Any:
    """As `clip_lines`, of points: those inside the box."""
    total = 0
    for i in range(len(ranges)):
        total += start[ranges[i, 1]] - start[ranges[i, 0]]
    out = np.empty((total, 2), np.int64)
    begins = np.zeros(len(ranges) + 1, np.int64)
    first = np.arange(len(ranges) + 1)
    at = 0
    for i in range(len(ranges)):
        for k in range(start[ranges[i, 0]], start[ranges[i, 1]]):
            if _inside(xy, k, boxes[i]):
                out[at] = xy[k]
                at += 1
        begins[i + 1] = at
    return out[:at], begins, first


@njit(cache=True)
def clip_lines(xy: Any, start: Any, ranges: Any, boxes: Any) -> Any:
    """Parts of lines inside boxes, in the order and direction of the line: (xy, where parts begin, first part of each).

    xy      (v, 2) i8       start   (l + 1,) where each line begins
    ranges  (n, 2) lines that belong to each row       boxes   (n, 4) i8 xmin, ymin, xmax, ymax of each row
    """
    total, lines = 0, 0
    for i in range(len(ranges)):
        total += start[ranges[i, 1]] - start[ranges[i, 0]]
        lines += ranges[i, 1] - ranges[i, 0]
    out = np.empty((2 * total + 2, 2), np.int64)
    begins = np.zeros(total + lines + 2, np.int64)
    first = np.zeros(len(ranges) + 1, np.int64)
    at, parts = 0, 0
    for i in range(len(ranges)):
        box = boxes[i]
        for line in range(ranges[i, 0], ranges[i, 1]):
            joined = False
            for k in range(start[line], start[line + 1] - 1):
                x0, y0, x1, y1 = float(xy[k, 0]), float(xy[k, 1]), float(xy[k + 1, 0]), float(xy[k + 1, 1])
                low, high = _span(x0, y0, x1, y1, box)
                if low > high:
                    joined = False
                    continue
                if not joined:
                    begins[parts] = at
                    parts += 1
                    out[at, 0] = np.int64(np.floor(x0 + low * (x1 - x0) + 0.5))
                    out[at, 1] = np.int64(np.floor(y0 + low * (y1 - y0) + 0.5))
                    at += 1
                out[at, 0] = np.int64(np.floor(x0 + high * (x1 - x0) + 0.5))
                out[at, 1] = np.int64(np.floor(y0 + high * (y1 - y0) + 0.5))
                at += 1
                joined = high == 1.0
        first[i + 1] = parts
    begins[parts] = at
    return out[:at], begins[: parts + 1], first


@njit(cache=True)
def _cut_side(ring: Any, n: int, axis: int, bound: float, keep_low: bool, out: Any) -> int:
    """The part of a ring on one side of a line along an axis; how many vertices it has."""
    m = 0
    for i in range(n):
        a, b = ring[i], ring[(i + 1) % n]
        in_a = a[axis] <= bound if keep_low else a[axis] >= bound
        in_b = b[axis] <= bound if keep_low else b[axis] >= bound
        if in_a:
            out[m] = a
            m += 1
        if in_a != in_b:
            t = (bound - a[axis]) / (b[axis] - a[axis])
            out[m, axis] = bound
            out[m, 1 - axis] = a[1 - axis] + t * (b[1 - axis] - a[1 - axis])
            m += 1
    return m


@njit(cache=True)
def _rounded(ring: Any, n: int, out: Any) -> int:
    """The closed ring in whole numbers without repetition; 0 where it has no area."""
    m = 0
    for i in range(n):
        x, y = np.int64(np.floor(ring[i, 0] + 0.5)), np.int64(np.floor(ring[i, 1] + 0.5))
        if m == 0 or x != out[m - 1, 0] or y != out[m - 1, 1]:
            out[m, 0], out[m, 1] = x, y
            m += 1
    while m > 1 and out[m - 1, 0] == out[0, 0] and out[m - 1, 1] == out[0, 1]:
        m -= 1
    area = np.int64(0)
    for i in range(1, m - 1):
        area += (out[i, 0] - out[0, 0]) * (out[i + 1, 1] - out[0, 1])
        area -= (out[i + 1, 0] - out[0, 0]) * (out[i, 1] - out[0, 1])
    if m < 3 or area == 0:
        return 0
    out[m] = out[0]
    return m + 1


@njit(cache=True)
def clip_rings(xy: Any, start: Any, outer: Any, ranges: Any, boxes: Any) -> Any:
    """Closed rings cut by boxes: (xy, where rings begin, outer, first ring of each row).

    A ring stays one ring, as Sutherland and Hodgman have it: where a polygon falls into pieces they hang together by
    edges along the box, which is no valid polygon. Holes of a shell that is gone go too.
    source  Sutherland and Hodgman 1974, Reentrant polygon clipping
    """
    longest = np.int64(1)
    for r in range(len(start) - 1):
        longest = max(longest, start[r + 1] - start[r])
    one, two = np.empty((6 * longest + 16, 2)), np.empty((6 * longest + 16, 2))
    whole = np.empty((6 * longest + 16, 2), np.int64)
    out = np.empty((len(ranges) * 8 + 16, 2), np.int64)
    rings = 0
    for i in range(len(ranges)):
        rings += ranges[i, 1] - ranges[i, 0]
    begins, shells = np.zeros(rings + 1, np.int64), np.empty(rings, np.bool_)
    first = np.zeros(len(ranges) + 1, np.int64)
    at, made = 0, 0
    for i in range(len(ranges)):
        box, there = boxes[i], False
        for r in range(ranges[i, 0], ranges[i, 1]):
            if not outer[r] and not there:
                continue
            n = start[r + 1] - start[r] - 1
            for k in range(n):
                one[k, 0], one[k, 1] = xy[start[r] + k, 0], xy[start[r] + k, 1]
            n = _cut_side(one, n, 0, float(box[0]), False, two)
            n = _cut_side(two, n, 0, float(box[2]), True, one)
            n = _cut_side(one, n, 1, float(box[1]), False, two)
            n = _cut_side(two, n, 1, float(box[3]), True, one)
            n = _rounded(one, n, whole)
            if outer[r]:
                there = n > 0
            if n == 0:
                continue
            while at + n > len(out):
                out = np.concatenate((out, np.empty_like(out)))
            out[at : at + n] = whole[:n]
            at += n
            shells[made] = outer[r]
            made += 1
            begins[made] = at
        first[i + 1] = made
    return out[:at], begins[: made + 1], shells[:made], first
