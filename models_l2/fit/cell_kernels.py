"""Compiled loops over the cells of one footprint; `cells` and `roofs` are the face of them.

Rings come as xy (k, 2), ring (k,) ascending, and cell (r,) of every ring; the last vertex of a ring repeats its first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

# As many sides as the bits of a number tell; lines beyond leave it to the polygons.
_SIDES = 62


@njit(cache=True)
def located(xy: Any, middle: Any, lines: Any) -> Any:
    """(n,) cell of every place by the sides of all lines; -1 in none, -2 - key where several share the sides.

    Also the keys (c,) of the cells and which of them (c,) share theirs with another.
    """
    keys = _sides(middle, lines)
    order = np.argsort(keys, kind="mergesort")
    ordered = keys[order]
    shared = np.zeros(len(keys), np.bool_)
    for k in range(1, len(keys)):
        if ordered[k] == ordered[k - 1]:
            shared[order[k]] = shared[order[k - 1]] = True
    found = _sides(xy, lines)
    for i in range(len(xy)):
        k = np.searchsorted(ordered, found[i])
        if k == len(ordered) or ordered[k] != found[i]:
            found[i] = -1
        elif shared[order[k]]:
            found[i] = -2 - found[i]
        else:
            found[i] = order[k]
    return found, keys, shared


@njit(cache=True)
def _sides(xy: Any, lines: Any) -> Any:
    key = np.zeros(len(xy), np.int64)
    for k in range(min(len(lines), _SIDES)):
        a, b, c = lines[k]
        bit = np.int64(1) << k
        for i in range(len(xy)):
            if xy[i, 0] * a + xy[i, 1] * b > c:
                key[i] += bit
    return key


@njit(cache=True)
def costs(xyz: Any, plane: Any, cell: Any, count: int, cap: float) -> Any:
    """(count, p) sum over the points of every cell of their distances from every plane, each at most `cap`."""
    cost = np.zeros((count, len(plane)))
    for p in range(len(plane)):
        a, b, c = plane[p]
        size = np.sqrt(1.0 + (a * a + b * b))
        for i in range(len(xyz)):
            if cell[i] >= 0:
                cost[cell[i], p] += min(abs(xyz[i, 2] - (xyz[i, 0] * a + xyz[i, 1] * b) - c) / size, cap)
    return cost


@njit(cache=True)
def settle(cost: Any, one: Any, other: Any, weight: Any, rounds: int) -> Any:
    """(c,) label of least cost; borders (one, other, weight) come sorted by `one`."""
    count = len(cost)
    start = np.searchsorted(one, np.arange(count + 1))
    label = np.empty(count, np.int64)
    for c in range(count):
        label[c] = np.argmin(cost[c])
    for _ in range(rounds):
        moved = False
        for c in range(count):
            price = cost[c].copy()
            for k in range(start[c], start[c + 1]):
                price += weight[k]
                price[label[other[k]]] -= weight[k]
            best = int(np.argmin(price))
            if price[best] < price[label[c]] - 1e-9:
                label[c] = best
                moved = True
        if not moved:
            break
    return label


@njit(cache=True)
def shared_edges(xy: Any, ring: Any, cell: Any) -> Any:
    """(2e,) cell, (2e,) neighbour and (2e,) length of every edge that two rings share, both ways, sorted by cells."""
    n = len(xy)
    place = _places(xy)
    key = np.empty(n, np.int64)
    at = np.empty(n, np.int64)
    edges = 0
    for i in range(n - 1):
        if ring[i] == ring[i + 1]:
            low, high = min(place[i], place[i + 1]), max(place[i], place[i + 1])
            key[edges], at[edges] = low * (n + 1) + high, i
            edges += 1
    order = np.argsort(key[:edges], kind="mergesort")
    one, other = np.empty(2 * edges, np.int64), np.empty(2 * edges, np.int64)
    length = np.empty(2 * edges)
    pairs = 0
    for k in range(edges - 1):
        i, j = order[k], order[k + 1]
        if key[i] == key[j]:
            p, q = at[i], at[j]
            one[pairs], other[pairs] = cell[ring[p]], cell[ring[q]]
            length[pairs] = np.hypot(xy[p + 1, 0] - xy[p, 0], xy[p + 1, 1] - xy[p, 1])
            pairs += 1
    for k in range(pairs):
        one[pairs + k], other[pairs + k], length[pairs + k] = other[k], one[k], length[k]
    pairs *= 2
    order = np.argsort(one[:pairs] * (len(cell) + 1) + other[:pairs], kind="mergesort")
    return one[order], other[order], length[order]


@njit(cache=True)
def _places(xy: Any) -> Any:
    """(n,) number of every place among the different ones, by x, then y."""
    order = np.argsort(xy[:, 1], kind="mergesort")
    order = order[np.argsort(xy[order, 0], kind="mergesort")]
    place = np.empty(len(xy), np.int64)
    number = -1
    for k in range(len(order)):
        i = order[k]
        if k == 0 or xy[i, 0] != xy[order[k - 1], 0] or xy[i, 1] != xy[order[k - 1], 1]:
            number += 1
        place[i] = number
    return place


@njit(cache=True)
def levelled(one: Any, other: Any, height: Any, area: Any, step: float) -> Any:
    """(f,) group of every face and (f,) height of the groups, once no neighbours are less than `step` apart."""
    group, height, weight = np.arange(len(height)), height.copy(), area.copy()
    while True:
        best, least = -1, np.inf
        for k in range(len(one)):
            a, b = group[one[k]], group[other[k]]
            if a != b and abs(height[a] - height[b]) < least:
                best, least = k, abs(height[a] - height[b])
        if best < 0 or least >= step:
            return group, height
        a, b = group[one[best]], group[other[best]]
        low, high = min(a, b), max(a, b)
        height[low] = (height[low] * weight[low] + height[high] * weight[high]) / (weight[low] + weight[high])
        weight[low] += weight[high]
        for k in range(len(group)):
            if group[k] == high:
                group[k] = low


@njit(cache=True)
def medians(xyz: Any, xy: Any, ring: Any, face: Any, count: int) -> Any:
    """(count, 3) mean x and y and middle height of the points inside every face, NaN where there is none; (n,) face of
    every point, -1 on a border and outside."""
    n = len(xyz)
    found = np.full((count, 3), np.nan)
    inside = np.full(n, -1)
    z = np.empty(n)
    first = 0
    while first < len(xy):
        last = first + 1
        while last < len(xy) and face[ring[last]] == face[ring[first]]:
            last += 1
        xmin, xmax = xy[first:last, 0].min(), xy[first:last, 0].max()
        size = 0
        x, y = 0.0, 0.0
        for i in range(n):
            if xmin < xyz[i, 0] < xmax and _within(xyz[i, 0], xyz[i, 1], xy[first:last], ring[first:last]):
                x, y, z[size] = x + xyz[i, 0], y + xyz[i, 1], xyz[i, 2]
                inside[i] = face[ring[first]]
                size += 1
        if size:
            ordered = np.sort(z[:size])
            middle = 0.5 * (ordered[(size - 1) // 2] + ordered[size // 2])
            found[face[ring[first]]] = (x / size, y / size, middle)
        first = last
    return found, inside


@njit(cache=True)
def _within(x: float, y: float, xy: Any, ring: Any) -> bool:
    """True where a place lies inside the rings by the even-odd rule, and on no edge."""
    odd = False
    for k in range(len(xy) - 1):
        if ring[k] != ring[k + 1]:
            continue
        ax, ay, bx, by = xy[k, 0], xy[k, 1], xy[k + 1, 0], xy[k + 1, 1]
        if (ay > y) == (by > y):
            if y == ay and y == by and min(ax, bx) <= x <= max(ax, bx):
                return False
            continue
        turn = (bx - ax) * (y - ay) - (x - ax) * (by - ay)
        if turn == 0.0:
            return False
        if (turn > 0.0) == (by > ay):
            odd = not odd
    return odd
