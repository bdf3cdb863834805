"""A footprint cut by lines into cells, each given the plane that fits its points and its neighbours best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray

from models_l2.fit.planes import Planes
from twin.features import Objects
from twin.options import option

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class CellOptions:
    """How cells choose their planes."""

    snap: float = option(0.001, unit="m", min=0.0001, max=0.1, doc="Corners are rounded to this.")
    cap: float = option(
        0.6, unit="m", min=0.05, max=10.0, doc="A point off its plane by more than this counts as this."
    )
    smooth: float = option(
        0.12, unit="m2", min=0.0, max=10.0, doc="What 1 m of border weighs: the area of points off by 1 m."
    )  # fmt: skip
    most_lines: int = option(24, min=1, max=200, doc="The best supported lines that may cut a footprint.")
    most_points: int = option(1500, min=50, max=100000, doc="Points that are asked about cells, of each building.")


def cut(polygon: shapely.Polygon, lines: Floats, snap: float) -> Objects:
    """Cells (c,) of a polygon cut by whole lines (l, 3), corners on a grid of `snap`, noded, sorted by place."""
    xmin, ymin, xmax, ymax = polygon.bounds
    centre = np.array([0.5 * (xmin + xmax), 0.5 * (ymin + ymax)])
    size = np.hypot(xmax - xmin, ymax - ymin) + 1.0
    foot = centre + (lines[:, 2] - lines[:, :2] @ centre)[:, None] * lines[:, :2]
    along = size * np.column_stack([-lines[:, 1], lines[:, 0]])
    whole = shapely.linestrings(np.stack([foot - along, foot + along], axis=1))
    inside = shapely.intersection(whole, polygon)
    web = shapely.union_all(np.append(inside, polygon.boundary), grid_size=snap)
    cells = shapely.get_parts(shapely.polygonize(shapely.get_parts([web])))
    middle = shapely.point_on_surface(cells)
    cells = cells[shapely.intersects(polygon, middle)]
    place = shapely.get_coordinates(shapely.point_on_surface(cells))
    return cells[np.lexsort((place[:, 0], place[:, 1]))]


def choose(cells: Objects, lines: Floats, planes: Planes, area: float, options: CellOptions) -> Integers:
    """(c,) plane of every cell: least sum of capped distances of its points, and of borders between planes.

    source   Potts energy by iterated conditional modes (Besag 1986), from the best plane of each cell alone
    """
    step = max(1, -(-len(planes.xyz) // options.most_points))
    xyz = planes.xyz[::step]
    off = np.abs(xyz[:, 2:] - xyz[:, :2] @ planes.plane[:, :2].T - planes.plane[:, 2])
    off = np.minimum(off / np.sqrt(1.0 + (planes.plane[:, :2] ** 2).sum(axis=1)), options.cap)
    cell = cell_of(xyz[:, :2], cells, lines)
    known = cell >= 0
    cost = np.zeros((len(cells), len(planes.plane)))
    np.add.at(cost, cell[known], off[known])
    one, other, length = borders(cells)
    weight = options.smooth * len(xyz) / max(area, 1.0)
    return np.asarray(_settle(cost, one, other, weight * length, _ROUNDS))


def cell_of(xy: Floats, cells: Objects, lines: Floats) -> Integers:
    """(n,) cell of every place; -1 where in none. Sides of the lines tell; a polygon is asked where they do not."""
    middle = shapely.get_coordinates(shapely.point_on_surface(cells))
    bits = 1 << np.arange(len(lines), dtype=np.int64)
    side = ((xy @ lines[:, :2].T > lines[:, 2]) * bits).sum(axis=1)
    cell_side = ((middle @ lines[:, :2].T > lines[:, 2]) * bits).sum(axis=1)
    order = np.argsort(cell_side, kind="stable")
    first = np.searchsorted(cell_side[order], side)
    count = np.searchsorted(cell_side[order], side, side="right") - first
    found = np.where(count == 1, order[np.minimum(first, len(order) - 1)], -1)
    for k in np.flatnonzero(np.isin(cell_side, np.unique(side[count > 1]))).tolist():
        rows = np.flatnonzero(side == cell_side[k])
        found[rows[shapely.contains_xy(cells[k], xy[rows])]] = k
    return found


def borders(cells: Objects) -> tuple[Integers, Integers, Floats]:
    """Pairs of neighbouring cells, each both ways and sorted, and the length of their common border, m."""
    rings, cell = shapely.get_rings(cells, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    inner = np.flatnonzero(ring[1:] == ring[:-1])
    _, place = np.unique(xy, axis=0, return_inverse=True)
    start, end = place.ravel()[inner], place.ravel()[inner + 1]
    key = np.minimum(start, end) * (len(xy) + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(np.diff(key[order]) == 0)
    one, other = cell[ring[inner[order[twin]]]], cell[ring[inner[order[twin + 1]]]]
    length = np.hypot(*(xy[inner + 1] - xy[inner])[order[twin]].T)
    a, b = np.concatenate([one, other]), np.concatenate([other, one])
    order = np.lexsort((b, a))
    return a[order], b[order], np.concatenate([length, length])[order]


@njit(cache=True)
def _settle(cost: Any, one: Any, other: Any, weight: Any, rounds: int) -> Any:
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


def dissolve(cells: Objects, label: Integers) -> tuple[Objects, Integers]:
    """Faces (f,) of cells with the same label that touch along a border, and the label of each."""
    faces: list[Any] = []
    labels: list[int] = []
    for k in np.unique(label).tolist():
        parts = shapely.get_parts(shapely.coverage_union_all(cells[label == k]))
        faces += parts.tolist()
        labels += [k] * len(parts)
    found = np.empty(len(faces), dtype=object)
    found[:] = faces
    return found, np.array(labels, dtype=np.int64)
