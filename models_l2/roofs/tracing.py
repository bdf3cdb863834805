"""Compiled: from the arcs of a skeleton to one face per edge, for a whole batch of polygons, each checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from models_l2.roofs.events import GOOD, UNCLOSED, UNENDING, UNSOUND, run
from models_l2.roofs.front import ARCS, NODES, edges_of

# m; what lies nearer than this is one place. Where that does not come out, another guess often does.
NEARS = (2e-6, 2e-5, 2e-7, 1e-4)
# m, how far a node may be off the distance it says it has to its edge.
TRUE = 5e-4
# Shares of the area of a polygon that its faces may miss.
WHOLE = 1e-6


class Faces(NamedTuple):
    """Faces of many polygons, flat; the sizes used are in `used` (2,): nodes, corners.

    x, y, t        nodes: place, and distance to the edges around, m
    corner         nodes along the faces, counter-clockwise, the first two are the edge itself
    end            (e,) where the corners of each edge's face end
    code           (p,) GOOD or the reason why a polygon has no faces
    """

    x: Any
    y: Any
    t: Any
    corner: Any
    end: Any
    code: Any
    used: Any


@njit(cache=True, nogil=True, error_model="numpy")
def trace(x: Any, y: Any, following: Any, first: Any) -> Any:
    """The faces of polygons whose edges are first[p] .. first[p + 1], in the order of their first corners.

    x, y        (e,) f8 corners of all polygons            following   (e,) i8 next corner along the ring
    """
    edges, polygons = len(x), len(first) - 1
    room = 3 * edges + 8 * polygons
    faces = Faces(
        np.empty(room),
        np.empty(room),
        np.empty(room),
        np.empty(3 * room, np.int64),
        np.zeros(edges, np.int64),
        np.zeros(polygons, np.int64),
        np.zeros(2, np.int64),
    )
    for p in range(polygons):
        _trace_one(faces, x, y, following, (p, first[p], first[p + 1]))
    return faces


@njit(cache=True, error_model="numpy")
def _trace_one(faces: Any, x: Any, y: Any, following: Any, which: Any) -> None:
    p, low, high = which
    ox, oy = x[low], y[low]
    own_x, own_y, after = x[low:high] - ox, y[low:high] - oy, following[low:high] - low
    edges = edges_of(own_x, own_y, after)
    nodes, corners = faces.used[0], faces.used[1]
    n, code = high - low, UNENDING
    for near in NEARS:
        code, front = run(own_x, own_y, after, edges, near)
        count = front.count[NODES]
        if code == GOOD and count > 3 * n + 8:
            code = UNENDING
        if code == GOOD:
            code = _chain(faces, front, after, low)
        if code == GOOD:
            break
    if code == GOOD:
        for k in range(count):
            faces.x[nodes + k], faces.y[nodes + k] = front.node[k].x + ox, front.node[k].y + oy
            faces.t[nodes + k] = front.node[k].t
        for k in range(n):
            faces.x[nodes + k], faces.y[nodes + k] = x[low + k], y[low + k]
        faces.used[0] += count
    else:
        faces.used[1] = corners
        faces.end[low:high] = corners
    faces.code[p] = code


@njit(cache=True, error_model="numpy")
def _halves(front: Any, after: Any) -> Any:
    """(offset (n + 1,), start, end): the directed edges of every face, the outline's edge first."""
    n, arcs = len(after), front.count[ARCS]
    offset = np.zeros(n + 1, np.int64)
    offset[1:] = 1
    for k in range(arcs):
        offset[front.arc[k].left + 1] += 1
        offset[front.arc[k].right + 1] += 1
    offset = np.cumsum(offset)
    start, end = np.empty(offset[n], np.int64), np.empty(offset[n], np.int64)
    place = offset[:n].copy()
    for i in range(n):
        start[place[i]], end[place[i]] = i, after[i]
        place[i] += 1
    for k in range(arcs):
        arc = front.arc[k]
        low, high, left, right = arc.start, arc.end, arc.left, arc.right
        start[place[left]], end[place[left]] = low, high
        start[place[right]], end[place[right]] = high, low
        place[left] += 1
        place[right] += 1
    return offset, start, end


@njit(cache=True, error_model="numpy")
def _chain(faces: Any, front: Any, after: Any, low: int) -> int:
    """Write the corners of every face of one polygon; a code where a face does not close or is not sound."""
    n = len(after)
    offset, start, end = _halves(front, after)
    nodes, at = faces.used[0], faces.used[1]
    whole, total = 0.0, 0.0
    for i in range(n):
        whole += front.edge[i].c * _length(front, i, after[i])
        begin, here = at, i
        for _ in range(offset[i + 1] - offset[i]):
            found = -1
            for h in range(offset[i], offset[i + 1]):
                if start[h] == here:
                    found = h
            if found < 0 or at == len(faces.corner):
                return UNCLOSED
            if abs(_off(front, i, here)) > TRUE:
                return UNSOUND
            faces.corner[at] = nodes + here
            at += 1
            start[found], here = -1, end[found]
        if here != i:
            return UNCLOSED
        area = _area(front, faces.corner[begin:at], nodes)
        if not area > 0.0:
            return UNSOUND
        total += area
        faces.end[low + i] = at
    faces.used[1] = at
    return GOOD if abs(total + whole / 2.0) <= WHOLE * total + TRUE * TRUE else UNSOUND


@njit(cache=True, error_model="numpy")
def _length(front: Any, start: int, end: int) -> float:
    a, b = front.node[start], front.node[end]
    return np.hypot(b.x - a.x, b.y - a.y)


@njit(cache=True, error_model="numpy")
def _off(front: Any, edge: int, k: int) -> float:
    """Difference between the distance of a node to an edge and the distance it claims, m."""
    node, line = front.node[k], front.edge[edge]
    return line.ux * node.y - line.uy * node.x - line.c - node.t


@njit(cache=True, error_model="numpy")
def _area(front: Any, corner: Any, nodes: int) -> float:
    """Signed area of a ring of nodes, m2."""
    twice, base = 0.0, front.node[corner[0] - nodes]
    for k in range(1, len(corner) - 1):
        a, b = front.node[corner[k] - nodes], front.node[corner[k + 1] - nodes]
        twice += (a.x - base.x) * (b.y - base.y) - (b.x - base.x) * (a.y - base.y)
    return twice / 2.0
