"""Compiled loops that bring triangles and lines as close to a raster as asked.

Sources: Garland and Heckbert 1995 (refinement by the worst cell), Douglas and Peucker 1973 (lines). For what a mesh is
see `kernels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from models_l2.terrain.drawing import span, tilt
from models_l2.terrain.kernels import FULL, insert


@njit(cache=True)
def _worst(mesh: Any, t: int, field: Any, corners: Any) -> Any:
    """(error, row, column) of the cell whose centre in triangle t lies furthest above or below it."""
    xy, z, tri = mesh[0], mesh[1], mesh[3]
    values, done, place = field
    x0, y0, dx, dy = place
    heights = np.empty(3)
    for k in range(3):
        v = tri[3 * t + k]
        corners[k, 0], corners[k, 1], heights[k] = (y0 - xy[v, 1]) / dy, (xy[v, 0] - x0) / dx, z[v]
    by_row, by_col = tilt(corners, heights, 0, 1, 2)
    worst, at_row, at_col = 0.0, -1, -1
    ny, nx = values.shape
    for row in range(max(0, int(np.ceil(corners[:, 0].min()))), min(ny - 1, int(np.floor(corners[:, 0].max()))) + 1):
        low, high = span(corners, 0, 1, 2, row)
        if low > high:
            continue
        flat = heights[0] + by_row * (row - corners[0, 0]) - by_col * corners[0, 1]
        for col in range(max(0, int(np.ceil(low))), min(nx - 1, int(np.floor(high))) + 1):
            error = abs(flat + by_col * col - values[row, col])
            if error > worst and not done[row, col]:
                worst, at_row, at_col = error, row, col
    return worst, at_row, at_col


@njit(cache=True)
def refine(mesh: Any, field: Any, limit: float, sides: Any) -> bool:
    """Insert cell centres until no triangle is further than `limit` from any inside it; False where arrays are full.

    field   (values (ny, nx), done (ny, nx) bool, (x, y, dx, dy) of cell (0, 0)'s centre and steps in mm)
    sides   (width, height) of the square in mm: nothing is inserted on its rim, which neighbours share
    """
    dirty, count = mesh[6], mesh[7]
    values, done, place = field
    x0, y0, dx, dy = place
    corners = np.empty((3, 2))
    again = True
    while again:
        again = False
        t = 0
        while t < count[1]:
            if dirty[t]:
                dirty[t] = False
                worst, row, col = _worst(mesh, t, field, corners)
                if worst > limit:
                    x, y = int(np.rint(x0 + col * dx)), int(np.rint(y0 - row * dy))
                    done[row, col] = True
                    dirty[t] = True
                    again = True
                    if 0 < x < sides[0] and 0 < y < sides[1]:
                        count[2] = t
                        if insert(mesh, x, y, values[row, col]) == FULL:
                            done[row, col] = False
                            return False
            t += 1
    return True


@njit(cache=True)
def profile(along: Any, heights: Any, first: Any, limit: float, keep: Any) -> None:
    """Mark in `keep` the stations that a chain of straight pieces needs to stay within `limit`; Douglas-Peucker in z.

    along, heights   (n,) of stations in runs; `first` (m + 1,) where runs begin; ends of runs, and marked ones, stay
    """
    for run in range(len(first) - 1):
        start, stop = first[run], first[run + 1] - 1
        keep[start] = keep[stop] = True
        stack = [(start, start)]
        stack.pop()
        low = start
        for k in range(start + 1, stop + 1):
            if keep[k]:
                stack.append((low, k))
                low = k
        while len(stack):
            i, j = stack.pop()
            worst, place = limit, -1
            length = along[j] - along[i]
            for k in range(i + 1, j):
                share = (along[k] - along[i]) / length if length > 0.0 else 0.0
                error = abs(heights[i] + share * (heights[j] - heights[i]) - heights[k])
                if error > worst:
                    worst, place = error, k
            if place >= 0:
                keep[place] = True
                stack.append((i, place))
                stack.append((place, j))
