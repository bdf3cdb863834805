"""Roof planes of one building: which measured points lie on which plane, and where planes meet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_l2.fit import kernels
from twin.options import option

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PlaneOptions:
    """What counts as a roof plane."""

    distance: float = option(0.15, unit="m", min=0.02, max=2.0, doc="Points further than this from a plane are off it.")
    angle: float = option(25.0, unit="deg", min=2.0, max=60.0, doc="Neighbours that look further apart are two planes.")
    steepest: float = option(75.0, unit="deg", min=30.0, max=89.0, doc="Planes steeper than this are walls, no roof.")
    level: float = option(2.5, unit="deg", min=0.0, max=10.0, doc="Planes flatter than this are taken as level.")
    least_points: int = option(10, min=4, max=1000, doc="Fewer points than this make no plane.")
    least_area: float = option(1.5, unit="m2", min=0.0, max=100.0, doc="A smaller plane is a dormer or a chimney.")
    neighbours: float = option(16.0, min=6.0, max=60.0, doc="Points within the radius that shapes are judged by.")
    most_points: int = option(6000, min=200, max=1000000, doc="Large roofs are thinned to this many points.")


@dataclass(frozen=True, slots=True)
class Planes:
    """Roof planes of one building, about its own origin.

    xyz        (n, 3) f8 m, points that were used          label   (n,) i8 plane of each, -1 where none
    plane      (p, 3) f8: z = plane[0] x + plane[1] y + plane[2], the largest first
    contact    (c, 4) f8: two planes (the lower number first) and a place x, y where they meet
    radius     m, how far apart neighbours are
    """

    xyz: Floats
    label: Integers
    plane: Floats
    contact: Floats
    radius: float


def find_planes(xyz: Floats, area: float, options: PlaneOptions) -> Planes:
    """The planes of a roof seen as (n, 3) f8 m about an origin nearby, over a footprint of `area` m2.

    source   region growing over local slopes (Rabbani et al. 2006), on a height field; deterministic
    """
    xyz = thinned(xyz, options.most_points)
    radius = math.sqrt(max(area, 1.0) * options.neighbours / (math.pi * max(len(xyz), 1)))
    none = Planes(xyz, np.full(len(xyz), -1), np.zeros((0, 3)), np.zeros((0, 4)), radius)
    least = max(options.least_points, int(options.least_area * len(xyz) / max(area, 1.0)))
    if len(xyz) < least:
        return none
    near = (xyz, radius, kernels.bins(xyz, radius))
    shape = kernels.locals_of(near)
    limits = (options.distance, math.cos(math.radians(options.angle)))
    label, sums = kernels.regions(near, shape, limits, least)
    if not len(sums):
        return none
    label, sums = kernels.joined(label, sums, options.distance)
    label, plane = _ordered(label, sums, options)
    if not len(plane):
        return none
    label = kernels.adopt(near, label, plane, options.distance)
    return Planes(xyz, label, plane, _contacts(near, label, len(plane)), radius)


def _contacts(near: Any, label: Integers, count: int) -> Floats:
    """Where planes meet; planes that no points join, across gaps of growing width."""
    xyz, radius, _ = near
    whole = kernels.spread(near, label)
    found = kernels.contacts(near, whole)
    for wider in (2.0, 4.0, 8.0):
        group = kernels.groups(found, count)
        if count < 2 or not group.any():
            break
        far = kernels.contacts((xyz, wider * radius, kernels.bins(xyz, wider * radius)), whole)
        pair = far[:, :2].astype(np.int64)
        found = np.concatenate([found, far[group[pair[:, 0]] != group[pair[:, 1]]]])
    return found


def thinned(xyz: Floats, most: int) -> Floats:
    """At most `most` points, evenly from the list sorted by place."""
    if len(xyz) <= most:
        return xyz
    order = np.lexsort((xyz[:, 0], np.floor(xyz[:, 1])))
    return xyz[order[np.linspace(0, len(xyz) - 1, most).astype(np.int64)]]


def _ordered(label: Integers, sums: Floats, options: PlaneOptions) -> tuple[Integers, Floats]:
    """Planes without walls, the largest first, those nearly level made level."""
    plane = kernels.fitted(sums)
    slope = np.hypot(plane[:, 0], plane[:, 1])
    roof = np.flatnonzero(slope <= math.tan(math.radians(options.steepest)))
    roof = roof[np.argsort(-sums[roof, 0], kind="stable")]
    to = np.full(len(plane) + 1, -1)
    to[roof] = np.arange(len(roof))
    flat = slope <= math.tan(math.radians(options.level))
    level = np.column_stack([np.zeros((len(sums), 2)), sums[:, 3] / sums[:, 0]])
    return to[label], np.where(flat[:, None], level, plane)[roof]
