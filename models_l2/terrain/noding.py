"""Lines made to meet at their ends only: those that come near another are noded together, the others are left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray

Integers = NDArray[np.int64]

# Snap rounding moves a line by less than one unit towards a node that lies less than one unit off its own line: lines
# more than twice that apart change nothing for each other.
_APART = 3.0


def canonical(segments: Integers) -> Integers:
    """Segments (s, 2, 2) with the smaller end first, each once, none without length; sorted."""
    swap = (segments[:, 0, 0] > segments[:, 1, 0]) | (
        (segments[:, 0, 0] == segments[:, 1, 0]) & (segments[:, 0, 1] > segments[:, 1, 1])
    )
    ordered = np.where(swap[:, None, None], segments[:, ::-1], segments)
    some = (ordered[:, 0] != ordered[:, 1]).any(axis=1)
    return distinct(ordered[some].reshape(-1, 4))[0].reshape(-1, 2, 2)


def distinct(rows: Integers) -> tuple[Integers, Integers]:
    """The different rows (d, k) of a table (n, k), sorted from the first column on; which of them each row is (n,)."""
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    first = np.ones(len(rows), bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    place = np.empty(len(rows), np.int64)
    place[order] = np.cumsum(first) - 1
    return ordered[first], place


def noded(segments: Integers) -> Integers:
    """Segments that meet at their ends only, by snap rounding to whole numbers; canonical.

    segments   (s, 2, 2) i8, canonical, less than 2**30 in size
    source     Hobby 1999 (snap rounding), as in GEOS OverlayNG; lines that come near no other need none
    """
    near = np.zeros(len(segments), bool)
    _mark_near(segments, _sweep(segments), near)
    # A line between two that were marked may come near the node of the two: neighbours of marked ones go with them.
    ends, end = distinct(segments.reshape(-1, 2))
    touched = np.zeros(len(ends), bool)
    touched[end[np.repeat(near, 2)]] = True
    near |= touched[end].reshape(-1, 2).any(axis=1)
    if not near.any():
        return segments
    whole = shapely.union_all(shapely.linestrings(segments[near].astype(np.float64)), grid_size=1.0)
    xy, owner = shapely.get_coordinates(shapely.get_parts(whole), return_index=True)
    inside = owner[1:] == owner[:-1]
    xy = np.rint(xy).astype(np.int64)
    return canonical(np.concatenate([segments[~near], np.stack([xy[:-1][inside], xy[1:][inside]], axis=1)]))


def _sweep(segments: Integers) -> tuple[Integers, Integers, int, int]:
    """Level bands that hold a handful of segments at any x: (first, members, bottom, height).

    Band k is bottom + k * height and up; its members, from west to east, are members[first[k] : first[k + 1]].
    """
    low, high = segments[:, :, 1].min(axis=1) - int(_APART), segments[:, :, 1].max(axis=1) + int(_APART)
    bottom = int(low.min(initial=0))
    bands = max(1, int(np.sqrt(len(segments))))
    height = (int(high.max(initial=0)) - bottom) // bands + 1
    west = np.argsort(segments[:, :, 0].min(axis=1), kind="stable")
    first, members = _into_bands((low[west] - bottom) // height, (high[west] - bottom) // height, west, bands)
    return first, members, bottom, height


@njit(cache=True)
def _into_bands(low: Any, high: Any, order: Any, bands: int) -> Any:
    first = np.zeros(bands + 1, np.int64)
    for k in range(len(order)):
        for band in range(low[k], high[k] + 1):
            first[band + 1] += 1
    first = np.cumsum(first)
    members, filled = np.empty(first[-1], np.int64), first[:-1].copy()
    for k in range(len(order)):
        for band in range(low[k], high[k] + 1):
            members[filled[band]] = order[k]
            filled[band] += 1
    return first, members


@njit(cache=True)
def _mark_near(segments: Any, sweep: Any, near: Any) -> None:
    """Mark in `near` the segments that come within _APART of another, elsewhere than at an end that both have."""
    first, members, bottom, height = sweep
    reach = int(_APART)
    for band in range(len(first) - 1):
        for p in range(first[band], first[band + 1]):
            a = segments[members[p]]
            low, high = min(a[0, 1], a[1, 1]) - reach, max(a[0, 1], a[1, 1]) + reach
            east = max(a[0, 0], a[1, 0]) + reach
            for q in range(p + 1, first[band + 1]):
                b = segments[members[q]]
                if min(b[0, 0], b[1, 0]) > east:
                    break
                if near[members[p]] and near[members[q]]:
                    continue
                start = max(low, min(b[0, 1], b[1, 1]))
                if start > high or max(b[0, 1], b[1, 1]) < low:
                    continue
                if (start - bottom) // height == band and _are_near(a, b):
                    near[members[p]] = near[members[q]] = True


@njit(cache=True)
def _are_near(a: Any, b: Any) -> bool:
    for i in range(2):
        for j in range(2):
            if a[i, 0] == b[j, 0] and a[i, 1] == b[j, 1]:
                return _is_at(a[1 - i], b) or _is_at(b[1 - j], a)
    if _is_at(a[0], b) or _is_at(a[1], b) or _is_at(b[0], a) or _is_at(b[1], a):
        return True
    return _side(a, b[0]) * _side(a, b[1]) < 0 and _side(b, a[0]) * _side(b, a[1]) < 0


@njit(cache=True)
def _side(line: Any, point: Any) -> int:
    """-1, 0 or 1: point right of, on or left of the line."""
    dx, dy = line[1, 0] - line[0, 0], line[1, 1] - line[0, 1]
    value = dx * (point[1] - line[0, 1]) - dy * (point[0] - line[0, 0])
    return 1 if value > 0 else -1 if value < 0 else 0


@njit(cache=True)
def _is_at(point: Any, line: Any) -> bool:
    """True where a point lies within _APART of a segment."""
    dx, dy = float(line[1, 0] - line[0, 0]), float(line[1, 1] - line[0, 1])
    px, py = float(point[0] - line[0, 0]), float(point[1] - line[0, 1])
    share = min(max((px * dx + py * dy) / (dx * dx + dy * dy), 0.0), 1.0)
    ex, ey = px - share * dx, py - share * dy
    return ex * ex + ey * ey <= _APART * _APART
