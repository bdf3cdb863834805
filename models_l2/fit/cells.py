"""A footprint cut by lines into cells, each given the plane that fits its points and its neighbours best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.fit import cell_kernels as kernels
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


def cut(polygon: shapely.Polygon, lines: Floats, snap: float) -> tuple[Objects, Floats]:
    """Cells (c,) of a polygon cut by whole lines (l, 3), corners on a grid of `snap`, noded, sorted by place.

    returns   the cells, and a place (c, 2) inside each
    """
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
    kept = shapely.intersects(polygon, middle)
    cells, place = cells[kept], shapely.get_coordinates(middle[kept])
    order = np.lexsort((place[:, 0], place[:, 1]))
    return cells[order], place[order]


def choose(
    cells: Objects, middle: Floats, lines: Floats, planes: Planes, area: float, options: CellOptions
) -> Integers:
    """(c,) plane of every cell: least sum of capped distances of its points, and of borders between planes.

    middle   (c, 2) a place inside each cell
    source   Potts energy by iterated conditional modes (Besag 1986), from the best plane of each cell alone
    """
    step = max(1, -(-len(planes.xyz) // options.most_points))
    xyz = planes.xyz[::step]
    cell = cell_of(xyz[:, :2], cells, middle, lines)
    cost = kernels.costs(xyz, planes.plane, cell, len(cells), options.cap)
    one, other, length = borders(cells)
    weight = options.smooth * len(xyz) / max(area, 1.0)
    return np.asarray(kernels.settle(cost, one, other, weight * length, _ROUNDS))


def cell_of(xy: Floats, cells: Objects, middle: Floats, lines: Floats) -> Integers:
    """(n,) cell of every place; -1 where in none. Sides of the lines tell; a polygon is asked where they do not."""
    found, keys, shared = kernels.located(xy, middle, lines)
    asked = [np.flatnonzero(found == -2 - key) for key in keys[shared].tolist()]
    found = np.maximum(found, -1)
    for k, rows in zip(np.flatnonzero(shared).tolist(), asked, strict=True):
        found[rows[shapely.contains_xy(cells[k], xy[rows])]] = k
    return np.asarray(found)


def borders(cells: Objects) -> tuple[Integers, Integers, Floats]:
    """Pairs of neighbouring cells, each both ways and sorted, and the length of their common border, m."""
    rings, cell = shapely.get_rings(cells, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    one, other, length = kernels.shared_edges(xy, ring, cell)
    return one, other, length


def dissolve(cells: Objects, label: Integers) -> tuple[Objects, Integers]:
    """Faces (f,) of cells with the same label that touch along a border, and the label of each."""
    labels, group = np.unique(label, return_inverse=True)
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group)
    table = np.full((len(labels), int(counts.max(initial=0))), None, dtype=object)
    first = np.cumsum(counts) - counts
    table[group[order], np.arange(len(order)) - first[group[order]]] = cells[order]
    faces, of = shapely.get_parts(shapely.coverage_union_all(table, axis=1), return_index=True)
    return faces, labels[of].astype(np.int64)
