"""Compiled loops: edges of ground surfaces chained into rings, boxes that gaps up to a tolerance join."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def border(faces: Any, n_vertices: int) -> Any:
    """Edges that only one of the triangles (g, 3) has; (k,) start, (k,) end, (k,) triangle.

    Ground faces look down; seen from above their edges run backwards, which is how they are given.
    """
    k = 3 * len(faces)
    after, other = np.full(n_vertices, -1, np.int64), np.empty(k, np.int64)
    for e in range(k):
        at = faces[e // 3, (e + 1) % 3]
        other[e], after[at] = after[at], e
    start, end, face = np.empty(k, np.int64), np.empty(k, np.int64), np.empty(k, np.int64)
    filled = 0
    for e in range(k):
        a, b = faces[e // 3, (e + 1) % 3], faces[e // 3, e % 3]
        nearest = after[b]
        while nearest >= 0 and faces[nearest // 3, nearest % 3] != a:
            nearest = other[nearest]
        if nearest < 0:
            start[filled], end[filled], face[filled] = a, b, e // 3
            filled += 1
    return start[:filled], end[:filled], face[:filled]


@njit(cache=True)
def chain(start: Any, end: Any, owner: Any, n_vertices: int) -> Any:
    """Rings of directed edges, each walked once from its first edge.

    start, end, owner   (k,) vertex and building of every edge
    returns             (v,) vertices of all rings one after the other, (r + 1,) where each begins, (r,) its building;
                        a chain that does not come back to its start is no ring and is left out
    """
    k = len(start)
    after = np.full(n_vertices, -1, np.int64)
    other = np.full(k, -1, np.int64)
    for i in range(k):
        other[i] = after[start[i]]
        after[start[i]] = i
    used = np.zeros(k, np.bool_)
    vertices = np.empty(k, np.int64)
    begins = np.empty(k + 1, np.int64)
    owners = np.empty(k, np.int64)
    rings, filled = 0, 0
    for first in range(k):
        if used[first]:
            continue
        mark, edge = filled, first
        closed = False
        while edge >= 0:
            used[edge] = True
            vertices[filled] = start[edge]
            filled += 1
            if end[edge] == start[first]:
                closed = True
                break
            nearest = after[end[edge]]
            while nearest >= 0 and used[nearest]:
                nearest = other[nearest]
            edge = nearest
        if closed and filled - mark >= 3:
            begins[rings] = mark
            owners[rings] = owner[first]
            rings += 1
        else:
            filled = mark
    begins[rings] = filled
    return vertices[:filled], begins[: rings + 1], owners[:rings]


@njit(cache=True)
def together(boxes: Any, level: Any, gap: float) -> Any:
    """(n,) number of the group of each box: those of a level that gaps of up to `gap` along each axis join.

    boxes   (n, 4) west, south, east, north, sorted by west
    """
    n = len(boxes)
    head = np.arange(n)
    for i in range(n):
        for j in range(i + 1, n):
            if boxes[j, 0] > boxes[i, 2] + gap:
                break
            apart = boxes[j, 1] > boxes[i, 3] + gap or boxes[i, 1] > boxes[j, 3] + gap
            if apart or level[i] != level[j]:
                continue
            a, b = i, j
            while head[a] != a:
                head[a] = head[head[a]]
                a = head[a]
            while head[b] != b:
                head[b] = head[head[b]]
                b = head[b]
            head[max(a, b)] = min(a, b)
    group, count = np.empty(n, np.int64), 0
    for i in range(n):
        # A head comes before all that it leads.
        if head[i] == i:
            group[i] = count
            count += 1
        else:
            group[i] = group[head[i]]
    return group
