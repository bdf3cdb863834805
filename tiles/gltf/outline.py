"""Outlines of buildings: the edges where two faces meet in an angle, a colour changes or a surface ends.

source  CESIUM_primitive_outline (vendor extension of glTF 2.0): pairs of vertices, each a side of a triangle
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXTENSION = "CESIUM_primitive_outline"


def outline(triangles: NDArray[np.int64], n_vertices: int) -> NDArray[np.int64]:
    """(k, 2) vertices of the sides that only one of the triangles (m, 3) has, as it runs along them.

    Corners of one place are different vertices where normal or look differ, so what two triangles share lies inside a
    plane of one look, and everything else is an edge that is seen.
    """
    start = triangles.reshape(-1)
    end = triangles[:, [1, 2, 0]].reshape(-1)
    side = np.minimum(start, end) * n_vertices + np.maximum(start, end)
    _, place, count = np.unique(side, return_inverse=True, return_counts=True)
    alone = count[place] == 1
    return np.column_stack([start[alone], end[alone]])
