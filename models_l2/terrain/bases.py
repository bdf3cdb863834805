"""Ground where there is neither DEM nor points: from the heights of the ground that buildings were delivered with."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import Delaunay, QhullError

from models_l2.terrain.drawing import drawn
from twin.grid import GeoBox
from twin.store.protocol import Store

Floats = NDArray[np.float64]

COLUMN = "terrain_height"


def known_bases(store: Store) -> int:
    """How many buildings of the store were delivered with the height of their ground."""
    return int(np.isfinite(store.read_layer("building", columns=(COLUMN,)).column(COLUMN)).sum())


def grid_bases(store: Store, box: GeoBox) -> Floats:
    """Mean height of the ground at the outlines in every cell (ny, nx) f8 m; NaN where there is none."""
    layer = store.read_layer("building", bbox=box.bounds, columns=(COLUMN,))
    some = np.isfinite(layer.column(COLUMN)) & ~shapely.is_missing(layer.geometry)
    # A whole outline, not its corners alone: else a long side takes the ground of its neighbours.
    outlines = shapely.segmentize(layer.geometry[some], 0.5 * min(box.resolution))
    xy, owner = shapely.get_coordinates(outlines, return_index=True)
    rows, cols = (np.floor(v).astype(np.int64) for v in box.rowcol(xy))
    ny, nx = box.shape
    inside = (rows >= 0) & (rows < ny) & (cols >= 0) & (cols < nx)
    cell, z = (rows * nx + cols)[inside], layer.column(COLUMN)[some][owner[inside]]
    counts = np.bincount(cell, minlength=ny * nx)
    total = np.bincount(cell, weights=z, minlength=ny * nx)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan).reshape(ny, nx)


def spread(values: Floats) -> Floats:
    """The same heights (ny, nx) m with every unknown cell filled: linear between known ones, the nearest outside them.

    All stays unknown where nothing is known.
    source   linear interpolation on the Delaunay triangulation
    """
    unknown = np.isnan(values)
    known = np.argwhere(~unknown).astype(np.float64)
    if not len(known):
        return values
    nearest = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
    whole = values[tuple(nearest)]
    try:
        triangles = Delaunay(known).simplices if len(known) > 2 else np.zeros((0, 3))
    except QhullError:
        return whole
    between = drawn(known, values[~unknown], triangles.astype(np.int64), values.shape)
    return np.where(unknown & np.isfinite(between), between, whole)
