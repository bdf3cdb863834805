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
    return np.asarray(np.sqrt(_nearest(points, triangles, first, last)))


@njit(cache=True)
def _nearest(points: Any, triangles: Any, first: Any, last: Any) -> Any:
    best = np.full(len(points), np.inf)
    for i in range(len(points)):
        for t in range(first[i], last[i]):
            off = _squared(points[i], triangles[t, 0], triangles[t, 1], triangles[t, 2])
            if off < best[i]:
                best[i] = off
    return best


@njit(cache=True)
def _squared(p: Any, a: Any, b: Any, c: Any) -> float:
    """Squared distance of p to triangle abc: to its plane inside, to the nearest of its edges outside."""
    ab, ac, ap = b - a, c - a, p - a
    normal = np.array((ab[1] * ac[2] - ab[2] * ac[1], ab[2] * ac[0] - ab[0] * ac[2], ab[0] * ac[1] - ab[1] * ac[0]))
    size = _dot(normal, normal)
    if size > 0.0:
        d00, d01, d11, d20, d21 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac), _dot(ap, ab), _dot(ap, ac)
        v, w = (d11 * d20 - d01 * d21) / size, (d00 * d21 - d01 * d20) / size
        if v >= 0.0 and w >= 0.0 and v + w <= 1.0:
            return _dot(ap, normal) ** 2 / size
    return min(_to_edge(p, a, b), _to_edge(p, b, c), _to_edge(p, c, a))


@njit(cache=True)
def _to_edge(p: Any, a: Any, b: Any) -> float:
    along, ap = b - a, p - a
    size = _dot(along, along)
    t = min(max(_dot(ap, along) / size, 0.0), 1.0) if size > 0.0 else 0.0
    off = ap - t * along
    return _dot(off, off)


@njit(cache=True)
def _dot(a: Any, b: Any) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
