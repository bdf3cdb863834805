"""Compiled: the shrinking outline of one polygon, and when its next edge vanishes or is struck.

A front is a set of closed chains of vertices; vertex v stands between the edges `into[v]` and `out[v]` of the outline
and moves so that it keeps the same distance to both. The piece of front that begins at v is named by v. `skeleton` is
the face of these loops and loads them only when asked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

# s; born within this is born together.
SOON = 1e-9
# Two edges that face each other under a smaller angle (squared, halved) meet all at once, not from one end.
FACING = 1e-13
# m/s, vertices between such edges.
FAST = 1e8
# Slower than this, a vertex follows an edge and never strikes it.
IDLE = 1e-9
# Sine of a turn that counts as none.
STRAIGHT = 1e-12

NODES, ARCS, VERTICES, LIVING = 0, 1, 2, 3


VERTEX = np.dtype(
    [(name, np.int64) for name in ("into", "out", "before", "after", "node", "struck")]
    + [(name, np.float64) for name in ("x", "y", "t", "vx", "vy", "ends", "strikes")]
    + [(name, np.bool_) for name in ("living", "reflex", "member", "touched")],
    align=True,
)
EDGE = np.dtype([(name, np.float64) for name in ("ux", "uy", "c")])
NODE = np.dtype([(name, np.float64) for name in ("x", "y", "t")])
ARC = np.dtype([(name, np.int64) for name in ("start", "end", "left", "right")])


class Front(NamedTuple):
    """Vertices of the front, dead ones included, and what has been drawn so far.

    near      m; nearer than this is together
    edge      unit direction (ux, uy), and the constant of n . x = c with the normal n = (-uy, ux) inward
    vertex    into, out: edges behind and before it along the front; before, after: neighbours; node it was born at
              x, y, t, vx, vy: place and time of birth, speed; living: False once it has ended
              reflex: True where it may strike a piece; strikes, struck: when, and which; ends: when its piece vanishes
              member, touched: marks for the event at hand
    node      skeleton nodes: place and time
    arc       skeleton arcs: from node, to node, edge on the left, edge on the right
    count     (4,) nodes, arcs, vertices, living vertices
    """

    near: float
    edge: Any
    vertex: Any
    node: Any
    arc: Any
    count: Any


@njit(cache=True, error_model="numpy")
def edges_of(x: Any, y: Any, following: Any) -> Any:
    """The edges of a polygon whose corner i is followed by following[i]."""
    edges = np.empty(len(x), EDGE)
    for i in range(len(x)):
        dx, dy = x[following[i]] - x[i], y[following[i]] - y[i]
        size = np.sqrt(dx * dx + dy * dy)
        edge = edges[i]
        edge.ux, edge.uy = dx / size, dy / size
        edge.c = edge.ux * y[i] - edge.uy * x[i]
    return edges


@njit(cache=True, error_model="numpy")
def start_front(x: Any, y: Any, following: Any, edges: Any, near: float) -> Any:
    """The front at time zero: the outline itself, with its corners as the first nodes."""
    n = len(x)
    room = 8 * n + 64
    front = Front(near, edges, np.zeros(room, VERTEX), np.zeros(room, NODE), np.zeros(room, ARC), np.zeros(4, np.int64))
    before = np.empty(n, np.int64)
    for i in range(n):
        before[following[i]] = i
    for i in range(n):
        add_node(front, x[i], y[i], 0.0)
        add_vertex(front, i, before[i], i)
        front.vertex[i].before, front.vertex[i].after = before[i], following[i]
    for i in range(n):
        front.vertex[i].ends = vanishing(front, i, 0.0)
        aim(front, i, 0.0)
    return front


@njit(cache=True, error_model="numpy")
def add_node(front: Any, x: float, y: float, t: float) -> int:
    """Number of a new skeleton node."""
    k = front.count[NODES]
    node = front.node[k]
    node.x, node.y, node.t = x, y, t
    front.count[NODES] += 1
    return k


@njit(cache=True, error_model="numpy")
def add_arc(front: Any, start: int, end: int, v: int) -> None:
    """Draw what vertex v has traced; nothing where it has not moved."""
    if start != end:
        arc = front.arc[front.count[ARCS]]
        arc.start, arc.end = start, end
        arc.left, arc.right = front.vertex[v].into, front.vertex[v].out
        front.count[ARCS] += 1


@njit(cache=True, error_model="numpy")
def add_vertex(front: Any, node: int, into: int, out: int) -> int:
    """Number of a new vertex that starts at a node between two edges; its neighbours are for the caller to set."""
    k = front.count[VERTICES]
    front.count[VERTICES] += 1
    front.count[LIVING] += 1
    v, place, a, b = front.vertex[k], front.node[node], front.edge[into], front.edge[out]
    v.into, v.out, v.node, v.living = into, out, node, True
    v.x, v.y, v.t = place.x, place.y, place.t
    sx, sy = -a.uy - b.uy, a.ux + b.ux
    facing = (sx * sx + sy * sy) / 2.0
    if facing < FACING:
        v.vx, v.vy = FAST * b.ux, FAST * b.uy
    else:
        v.vx, v.vy = sx / facing, sy / facing
    v.reflex = a.ux * b.uy - a.uy * b.ux < -STRAIGHT
    return k


@njit(cache=True, error_model="numpy")
def place_of(front: Any, k: int, t: float) -> Any:
    """Where vertex k is at a time."""
    v = front.vertex[k]
    wait = t - v.t
    return v.x + v.vx * wait, v.y + v.vy * wait


@njit(cache=True, error_model="numpy")
def along(front: Any, edge: int, k: int, t: float) -> float:
    """Place of vertex k along an edge at a time, m."""
    x, y = place_of(front, k, t)
    return front.edge[edge].ux * x + front.edge[edge].uy * y


@njit(cache=True, error_model="numpy")
def vanishing(front: Any, k: int, t: float) -> float:
    """Time at which the piece that begins at k has no length left."""
    a = front.vertex[k]
    b, edge = front.vertex[a.after], front.edge[a.out]
    rate = edge.ux * (b.vx - a.vx) + edge.uy * (b.vy - a.vy)
    if rate >= 0.0:
        return np.inf
    length = along(front, a.out, a.after, t) - along(front, a.out, k, t)
    return t + max(length, 0.0) / -rate


@njit(cache=True, error_model="numpy")
def _siblings(front: Any, k: int, other: int, hit: float) -> bool:
    """Whether two vertices only now parted from the same place."""
    v, w = front.vertex[k], front.vertex[other]
    if abs(v.t - w.t) > SOON or hit > v.t + SOON:
        return False
    return abs(v.x - w.x) <= front.near and abs(v.y - w.y) <= front.near


@njit(cache=True, error_model="numpy")
def striking(front: Any, k: int, piece: int, t: float) -> float:
    """Time at which vertex k strikes the piece that begins at another; infinite where it never does, as things are."""
    v, begin = front.vertex[k], front.vertex[piece]
    if begin.out == v.into or begin.out == v.out:
        return np.inf
    edge = front.edge[begin.out]
    x, y = place_of(front, k, t)
    gap = edge.ux * y - edge.uy * x - edge.c - t
    rate = edge.ux * v.vy - edge.uy * v.vx - 1.0
    if rate > -IDLE or gap < -front.near:
        return np.inf
    hit = t + max(gap, 0.0) / -rate
    place = along(front, begin.out, k, hit)
    if place < along(front, begin.out, piece, hit) - front.near:
        return np.inf
    if place > along(front, begin.out, begin.after, hit) + front.near:
        return np.inf
    if _siblings(front, k, piece, hit) or _siblings(front, k, begin.after, hit):
        return np.inf
    return hit


@njit(cache=True, error_model="numpy")
def aim(front: Any, k: int, t: float) -> None:
    """Find what vertex k strikes first, if it strikes anything."""
    v = front.vertex[k]
    v.strikes = np.inf
    if v.reflex:
        for a in range(front.count[VERTICES]):
            if front.vertex[a].living:
                _aim_at(front, k, a, t)


@njit(cache=True, error_model="numpy")
def _aim_at(front: Any, k: int, piece: int, t: float) -> None:
    hit = striking(front, k, piece, t)
    if hit < front.vertex[k].strikes:
        front.vertex[k].strikes, front.vertex[k].struck = hit, piece


@njit(cache=True, error_model="numpy")
def aim_again(front: Any, touched: Any, t: float) -> None:
    """Bring every vertex's first strike up to date after the pieces that begin at `touched` have changed."""
    for a in touched:
        front.vertex[a].ends = vanishing(front, a, t)
        front.vertex[a].touched = True
    for k in range(front.count[VERTICES]):
        v = front.vertex[k]
        if not v.living or not v.reflex:
            continue
        target = front.vertex[v.struck]
        if v.strikes < np.inf and (target.touched or not target.living):
            aim(front, k, t)
            continue
        for a in touched:
            _aim_at(front, k, a, t)
    for a in touched:
        front.vertex[a].touched = False
