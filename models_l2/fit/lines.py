"""Where to cut a footprint: ridges and valleys where planes meet, steps where they do not, along the building's own
directions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray

from models_l2.fit.planes import Planes
from twin.options import option

Floats = NDArray[np.float64]

Found = tuple[float, tuple[float, float, float]]

_STEPS_A_PAIR = 8


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How places where planes meet become straight lines."""

    reach: float = option(0.4, unit="m", min=0.05, max=5.0, doc="Places this near to a line speak for it.")
    share: float = option(0.3, min=0.0, max=1.0, doc="Share of the places of two planes that a ridge must explain.")
    shortest: float = option(0.6, unit="m", min=0.2, max=20.0, doc="A side of a step shorter than this is no line.")
    least: int = option(4, min=1, max=100, doc="Fewer places than this make no line.")
    parallel: float = option(6.0, unit="deg", min=0.0, max=30.0, doc="Lines closer in direction and place are one.")


def cut_lines(planes: Planes, polygon: shapely.Polygon, options: LineOptions) -> Floats:
    """Lines (l, 3) f8 with x nx + y ny = d that part the planes, best supported first.

    polygon    the footprint about the same origin; its edges give the directions of steps
    """
    contact = planes.contact
    if not len(contact):
        return np.zeros((0, 3))
    found: list[Found] = []
    normals = directions(polygon)
    reach = max(options.reach, 0.4 * planes.radius)
    enough = _places_per_metre(planes, polygon.area) * options.shortest
    pair = contact[:, 0] * len(planes.plane) + contact[:, 1]
    order = np.argsort(pair, kind="stable")
    keys, starts = np.unique(pair[order], return_index=True)
    for key, places in zip(keys.tolist(), np.split(contact[order, 2:], starts[1:]), strict=True):
        first, second = divmod(int(key), len(planes.plane))
        line = ridge(planes.plane[first], planes.plane[second])
        if line is not None:
            near = np.abs(places @ line[:2] - line[2]) < reach
            if near.sum() >= max(options.least, options.share * len(places)):
                found.append((2.0 * float(near.sum()), (line[0], line[1], line[2])))
                places = places[~near]
        found += steps(places, normals, reach, max(options.least, min(0.15 * len(places), enough)))
    found.sort(key=lambda item: -item[0])
    return apart(np.array([line for _, line in found]).reshape(-1, 3), reach, options.parallel)


def _places_per_metre(planes: Planes, area: float) -> float:
    """How many places a metre of a border gives: half of the pairs of points across it that are neighbours.

    The other half lies further from the line than the search reaches, or is lost where points are thin.
    """
    density = len(planes.xyz) / max(area, 1.0)
    return density**2 * planes.radius**3 / 3.0


def ridge(one: Floats, other: Floats) -> Floats | None:
    """The line (nx, ny, d) in plan where two planes have the same height; None where they are nearly parallel."""
    a, b, c = one - other
    size = math.hypot(a, b)
    if size < 0.05:
        return None
    return np.array([a, b, -c]) / size


def directions(polygon: shapely.Polygon) -> Floats:
    """Unit normals (t, 2) of the outline's directions, the longest first, and of those across them; at most twelve."""
    parts = shapely.get_rings(shapely.get_parts(polygon))
    xy, ring = shapely.get_coordinates(parts, return_index=True)
    edge = np.diff(xy, axis=0)[ring[1:] == ring[:-1]]
    length = np.hypot(edge[:, 0], edge[:, 1])
    order = np.argsort(-length, kind="stable")
    angles = np.array(_apart_by(edge[order], length[order], math.radians(6.0)) or [0.0])
    angles = np.concatenate([angles, angles + 0.5 * math.pi])
    return np.column_stack([np.sin(angles), -np.cos(angles)])


def _apart_by(edge: Floats, length: Floats, least: float) -> list[float]:
    """Angles modulo a right angle of the first six edges of 1 m or more that differ by more than `least`."""
    chosen: list[float] = []
    for (x, y), size in zip(edge.tolist(), length.tolist(), strict=True):
        if size < 1.0 or len(chosen) >= 6:
            break
        angle = math.atan2(y, x) % (0.5 * math.pi)
        if all(_between(angle, other) > least for other in chosen):
            chosen.append(angle)
    return chosen


def _between(one: float, other: float) -> float:
    apart_by = abs(one - other)
    return min(apart_by, 0.5 * math.pi - apart_by)


def steps(places: Floats, normals: Floats, reach: float, least: float) -> list[Found]:
    """Lines (support, (nx, ny, d)) along one of the directions through most of the places, then through the rest.

    source   Hough transform over the directions of the outline
    """
    found: list[Found] = []
    while len(places) >= least and len(found) < _STEPS_A_PAIR:
        count, t, middle = densest(np.sort(normals @ places.T, axis=1), reach)
        if count < least:
            break
        found.append((float(count), (float(normals[t, 0]), float(normals[t, 1]), middle)))
        places = places[np.abs(places @ normals[t] - middle) > reach]
    return found


@njit(cache=True)
def densest(offset: Any, reach: float) -> Any:
    """(most places within `reach`, row, middle offset of those) of sorted rows (t, n); the first of equals."""
    n, best = offset.shape[1], (0, 0, 0)
    for t in range(len(offset)):
        end = 0
        for k in range(n):
            limit = offset[t, k] + reach
            while end < n and offset[t, end] <= limit:
                end += 1
            if end - k > best[0]:
                best = (end - k, t, k)
    count, t, k = best
    return count, t, 0.5 * (offset[t, k + (count - 1) // 2] + offset[t, k + count // 2])


def apart(lines: Floats, reach: float, parallel: float) -> Floats:
    """The lines (l, 3) without those that run along a better one."""
    return np.asarray(lines[_better(lines, 1.5 * reach, math.cos(math.radians(parallel)))])


@njit(cache=True)
def _better(lines: Any, near: float, limit: float) -> Any:
    """(l,) True for lines along which no better one that is kept runs."""
    kept = np.ones(len(lines), np.bool_)
    for i in range(len(lines)):
        a, b, c = lines[i]
        for j in range(i):
            if not kept[j]:
                continue
            cos = a * lines[j, 0] + b * lines[j, 1]
            if abs(cos) > limit and abs(math.copysign(1.0, cos) * c - lines[j, 2]) < near:
                kept[i] = False
                break
    return kept
