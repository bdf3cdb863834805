"""How far places lie from surfaces of triangles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def distance_to_triangles(
    points: NDArray[np.float64],
    point_owner: NDArray[np.int64],
    triangles: NDArray[np.float64],
    triangle_owner: NDArray[np.int64],
) -> NDArray[np.float64]:
    """(n,) f8 m: distance of every point to the nearest triangle of the same owner; infinite where it has none.

    points      (n, 3) f8 m        point_owner      (n,) i8, ascending
    triangles   (t, 3, 3) f8 m     triangle_owner   (t,) i8, ascending
    source      nearest point of a triangle by its Voronoi regions (Ericson 2005, section 5.1.5)
    """
    first = np.searchsorted(triangle_owner, point_owner, side="left")
    last = np.searchsorted(triangle_owner, point_owner, side="right")
    low, high = triangles.min(axis=1), triangles.max(axis=1)
    corners = np.ascontiguousarray(triangles.reshape(-1, 9))
    return np.asarray(np.sqrt(_nearest(points, corners, np.column_stack([low, high]), first, last)))


@njit(cache=True)
def _nearest(points: Any, corners: Any, boxes: Any, first: Any, last: Any) -> Any:
    best = np.full(len(points), np.inf)
    for i in range(len(points)):
        p = (points[i, 0], points[i, 1], points[i, 2])
        for t in range(first[i], last[i]):
            if _to_box(p, boxes[t]) < best[i]:
                c = corners[t]
                off = _squared(p, (c[0], c[1], c[2]), (c[3], c[4], c[5]), (c[6], c[7], c[8]))
                best[i] = min(best[i], off)
    return best


@njit(cache=True)
def _to_box(p: Any, box: Any) -> float:
    """Squared distance of p to the box (low x, y, z, high x, y, z): no triangle in it is nearer."""
    x = max(box[0] - p[0], 0.0, p[0] - box[3])
    y = max(box[1] - p[1], 0.0, p[1] - box[4])
    z = max(box[2] - p[2], 0.0, p[2] - box[5])
    return x * x + y * y + z * z


@njit(cache=True)
def _squared(p: Any, a: Any, b: Any, c: Any) -> float:
    """Squared distance of p to triangle abc: to its plane inside, to the nearest of its edges outside."""
    ab, ac, ap = _minus(b, a), _minus(c, a), _minus(p, a)
    nx, ny, nz = ab[1] * ac[2] - ab[2] * ac[1], ab[2] * ac[0] - ab[0] * ac[2], ab[0] * ac[1] - ab[1] * ac[0]
    size = nx * nx + ny * ny + nz * nz
    if size > 0.0:
        d00, d01, d11, d20, d21 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac), _dot(ap, ab), _dot(ap, ac)
        v, w = (d11 * d20 - d01 * d21) / size, (d00 * d21 - d01 * d20) / size
        if v >= 0.0 and w >= 0.0 and v + w <= 1.0:
            return _dot(ap, (nx, ny, nz)) ** 2 / size
    return min(_to_edge(p, a, b), _to_edge(p, b, c), _to_edge(p, c, a))


@njit(cache=True)
def _to_edge(p: Any, a: Any, b: Any) -> float:
    along, ap = _minus(b, a), _minus(p, a)
    size = _dot(along, along)
    t = min(max(_dot(ap, along) / size, 0.0), 1.0) if size > 0.0 else 0.0
    off = (ap[0] - t * along[0], ap[1] - t * along[1], ap[2] - t * along[2])
    return _dot(off, off)


@njit(cache=True)
def _minus(a: Any, b: Any) -> Any:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@njit(cache=True)
def _dot(a: Any, b: Any) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
