"""Levels of flowing water: along the middle of a river, falling all the way down, the same from bank to bank."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, identity
from scipy.sparse.csgraph import breadth_first_order, dijkstra

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Heights = Callable[[Floats], Floats]

# A body at least this many times as long as it is wide is a river, canal or ditch, not a pond.
LONG = 4.0
# Across a section the relief is asked here (shares of its length); the second lowest is the water, banks are higher.
ACROSS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
# Branches of the middle line shorter than this many widths come from bends of a bank, not from tributaries.
SPUR = 1.5
# Sections up and down of each that are looked at together; two lie about a width apart.
AROUND = 4
_MOST_SECTIONS = 8000


@dataclass(frozen=True, slots=True)
class Course:
    """The middle line of a river as segments (k,) that fall towards one end.

    upper, lower     (k, 2) f8 m, ends of each          upper_z, lower_z     (k,) f8 m, upper_z >= lower_z
    """

    upper: Floats
    lower: Floats
    upper_z: Floats
    lower_z: Floats

    def levels(self, xy: Floats) -> Floats:
        """(n,) f8 m: levels at places (n, 2), each that of the nearest place on the middle line."""
        lines = shapely.linestrings(np.stack([self.upper, self.lower], axis=1))
        near = shapely.STRtree(lines).nearest(shapely.points(xy))
        way = self.lower[near] - self.upper[near]
        square = np.maximum((way**2).sum(axis=1), 1e-12)
        share = np.clip(((xy - self.upper[near]) * way).sum(axis=1) / square, 0.0, 1.0)
        return np.asarray(self.upper_z[near] + share * (self.lower_z[near] - self.upper_z[near]))


def course_of(shape: shapely.Polygon, heights: Heights) -> Course | None:
    """The course of a body of water; None where it is not long, or nothing is known of its heights.

    heights   (n, 2) f8 m -> (n,) f8 m of the relief, NaN where it is unknown
    source    chordal axis (Prasad 1997): the middles of the edges within a constrained Delaunay triangulation of the
              outline, islands filled; its levels by isotonic regression on the tree that it is (Pardalos and Xue 1999),
              rooted where the water is lowest
    """
    axis = _pruned(_chordal(shape))
    if axis is None or not axis.is_long(shape.area):
        return None
    level, weight = axis.sections(heights)
    if not np.isfinite(level).any():
        return None
    order, parent = axis.downstream(level)
    known = np.isfinite(level)
    # What lies outside the relief goes with its neighbour downstream, or upstream at the lower end.
    level[~known] = level[known][0] if not known[order[0]] else np.nan
    for node in order.tolist():
        if math.isnan(level[node]):
            level[node] = level[parent[node]]
    fitted = isotonic(level, np.where(known, weight, 1e-9 * weight.max()), order, parent)
    upper = order[parent[order] >= 0]
    lower = parent[upper]
    return Course(axis.place[upper], axis.place[lower], fitted[upper], fitted[lower])


def isotonic(level: Floats, weight: Floats, order: Integers, parent: Integers) -> Floats:
    """(n,) the nearest levels (least squares) that never rise from a node to its parent.

    order     (n,) nodes, each after its parent          parent   (n,) the node below each, -1 at the root
    source    pooling towards the root, the lowest branch first (Pardalos and Xue 1999)
    """
    n = len(level)
    total, mass = level * weight, weight.copy()
    block: list[list[int]] = [[node] for node in range(n)]
    above: list[list[tuple[float, int]]] = [[] for _ in range(n)]
    for node in order[::-1].tolist():
        while above[node] and above[node][0][0] < total[node] / mass[node]:
            _, other = heapq.heappop(above[node])
            total[node] += total[other]
            mass[node] += mass[other]
            block[node] += block[other]
            small, large = sorted((above[node], above[other]), key=len)
            for item in small:
                heapq.heappush(large, item)
            above[node] = large
        if parent[node] >= 0:
            heapq.heappush(above[int(parent[node])], (float(total[node] / mass[node]), node))
    fitted = np.empty(n)
    # A block that was taken into another is written before it: nearer the root comes later in this order.
    for node in order[::-1].tolist():
        fitted[block[node]] = total[node] / mass[node]
    return fitted


@dataclass(frozen=True, slots=True)
class _Axis:
    """A tree of sections: places (n, 2) of their middles, chords (n, 2, 2) from bank to bank, links (k, 2)."""

    place: Floats
    chord: Floats
    link: Integers

    @property
    def length(self) -> Floats:
        """(k,) of the links, m."""
        return np.asarray(np.hypot(*(self.place[self.link[:, 0]] - self.place[self.link[:, 1]]).T))

    def graph(self) -> csr_array:
        """The links both ways, by length."""
        a, b = self.link.T
        length, n = np.maximum(self.length, 1e-6), len(self.place)
        both = (np.concatenate([a, b]), np.concatenate([b, a]))
        return coo_array((np.concatenate([length, length]), both), shape=(n, n)).tocsr()

    def is_long(self, area: float) -> bool:
        """True where the longest way along it is LONG times the mean width of a body of that area, m2."""
        graph = self.graph()
        end = int(np.argmax(dijkstra(graph, indices=0)))
        length = float(dijkstra(graph, indices=end).max())
        return length**2 > LONG * area

    def ends(self) -> Integers:
        """Nodes with one link."""
        return np.flatnonzero(np.bincount(self.link.ravel(), minlength=len(self.place)) == 1)

    def sections(self, heights: Heights) -> tuple[Floats, Floats]:
        """(n,) level of the water at each section, m, NaN where unknown; (n,) its weight, the length it stands for."""
        start, end = self.chord[:, 0], self.chord[:, 1]
        across = start[:, None] + ACROSS[:, None] * (end - start)[:, None]
        found = np.sort(heights(across.reshape(-1, 2)).reshape(-1, len(ACROSS)), axis=1)
        weight = np.bincount(self.link.ravel(), weights=np.repeat(self.length / 2.0, 2), minlength=len(self.place))
        second = np.where(np.isnan(found[:, 1]), found[:, 0], found[:, 1])
        return self._calmed(second), np.maximum(weight, 1e-6)

    def _calmed(self, level: Floats) -> Floats:
        """(n,) median of the levels of the sections around each: a bridge across lifts one or two of them."""
        near = step = (self.graph() > 0.0) + identity(len(level), bool, "csr")
        for _ in range(AROUND - 1):
            near = near @ step
        rows = np.split(level[near.indices], near.indptr[1:-1])
        return np.array([np.nan if np.isnan(row).all() else float(np.nanmedian(row)) for row in rows])

    def downstream(self, level: Floats) -> tuple[Integers, Integers]:
        """Nodes from the lowest end up, and the node below each, -1 at the lowest."""
        width = float(np.median(np.hypot(*(self.chord[:, 1] - self.chord[:, 0]).T)))
        ends, graph = self.ends(), self.graph()
        near = dijkstra(graph, indices=ends, limit=3.0 * width + 1e-3) < np.inf
        mean = [float(np.nanmean(level[row])) if np.isfinite(level[row]).any() else math.inf for row in near]
        order, parent = breadth_first_order(graph, int(ends[int(np.argmin(mean))]), directed=False)
        return order.astype(np.int64), np.where(parent < 0, -1, parent).astype(np.int64)


def _chordal(shape: shapely.Polygon) -> _Axis | None:
    """The chordal axis of a polygon without its islands; None where it has no two sections."""
    outline = shapely.Polygon(shape.exterior)
    width = 2.0 * outline.area / outline.length
    step = max(width, outline.length / _MOST_SECTIONS)
    whole = shapely.segmentize(shapely.simplify(outline, 0.05 * width), step)
    corners = shapely.get_coordinates(shapely.get_parts(shapely.constrained_delaunay_triangles(whole)))
    xy, vertex = np.unique(corners.reshape(-1, 4, 2)[:, :3].reshape(-1, 2), axis=0, return_inverse=True)
    triangle = vertex.reshape(-1, 3)
    side = np.sort(np.stack([triangle, np.roll(triangle, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    edge, number, count = np.unique(side, axis=0, return_inverse=True, return_counts=True)
    inner = np.flatnonzero(count == 2)
    if len(inner) < 2:
        return None
    node = np.full(len(edge), -1)
    node[inner] = np.arange(len(inner))
    mine = node[number.reshape(-1, 3)]
    shared = (mine >= 0).sum(axis=1)
    through = mine[shared == 2]
    links = [np.sort(through, axis=1)[:, 1:]]
    forks = np.flatnonzero(shared == 3)
    centre = xy[triangle[forks]].mean(axis=1)
    fork = len(inner) + np.arange(len(forks))
    links.append(np.column_stack([mine[forks].reshape(-1), np.repeat(fork, 3)]))
    chord = np.concatenate([xy[edge[inner]], np.stack([centre, centre], axis=1)])
    return _Axis(chord.mean(axis=1), chord, np.concatenate(links).astype(np.int64))


def _pruned(axis: _Axis | None) -> _Axis | None:
    """The axis without its spurs; None where nothing is left of it."""
    while axis is not None:
        width = float(np.median(np.hypot(*(axis.chord[:, 1] - axis.chord[:, 0]).T)))
        gone = _spurs(axis, SPUR * width)
        if not len(gone):
            return axis
        keep = np.setdiff1d(np.arange(len(axis.place)), gone)
        place = np.full(len(axis.place), -1)
        place[keep] = np.arange(len(keep))
        link = place[axis.link]
        link = link[(link >= 0).all(axis=1)]
        axis = _Axis(axis.place[keep], axis.chord[keep], link) if len(link) else None
    return None


def _spurs(axis: _Axis, limit: float) -> Sequence[int]:
    """Nodes of branches shorter than `limit`, m, from an end to a fork; of each fork only the shortest at once."""
    near: list[list[tuple[int, float]]] = [[] for _ in axis.place]
    for (a, b), length in zip(axis.link.tolist(), axis.length.tolist(), strict=True):
        near[a].append((b, length))
        near[b].append((a, length))
    found: dict[int, tuple[float, list[int]]] = {}
    for end in axis.ends().tolist():
        before, at, run, branch = -1, end, 0.0, [end]
        while len(near[at]) < 3 and run < limit:
            onward = [(node, length) for node, length in near[at] if node != before]
            if not onward:
                break
            before, (at, step) = at, onward[0]
            run += step
            branch.append(at)
        if len(near[at]) >= 3 and run < limit and (at not in found or run < found[at][0]):
            found[at] = run, branch[:-1]
    return [node for _, branch in found.values() for node in branch]
