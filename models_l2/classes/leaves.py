"""The relief cut into squares within each of which it is flat: where a surface needs its vertices."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from models_l2.ground import read_relief
from twin.grid import Bounds, GeoBox, Raster
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def node_hull(box: GeoBox) -> Bounds:
    """(xmin, ymin, xmax, ymax) of the cell centres, m: where bilinear heights lie between four known ones."""
    dx, dy = box.resolution
    xmin, ymin, xmax, ymax = box.bounds
    return xmin + dx / 2.0, ymin + dy / 2.0, xmax - dx / 2.0, ymax - dy / 2.0


def flat_squares(store: Store, area: Bounds, tolerance: float, largest: float) -> tuple[Floats, Raster]:
    """Squares that cover `area`, and the relief around it without unknown cells.

    returns    (k, 4) f8 xmin, ymin, xmax, ymax, m: in each, any triangulation between heights of the relief lies within
               `tolerance` of it, or the square is one cell of the relief. Squares are counted from the corner of the
               whole relief, so that neighbouring areas find the same ones.
    largest    no square is longer than this, m
    source     quadtree of restricted cells (Pajarola 1998); the bound follows from convexity: heights that leave one
               plane by at most e give triangles that leave it by at most e
    """
    box = store.raster_box("relief")
    cell = max(box.resolution)
    size = 2 ** max(0, math.floor(math.log2(max(largest / cell, 1.0))))
    reach = (size + 2) * cell
    window = read_relief(store, (area[0] - reach, area[1] - reach, area[2] + reach, area[3] + reach))[1]
    first = _offset(box, window.geobox)
    rows, cols = _meeting(box, area, size)
    found = []
    while len(rows):
        flat = _spread(window.values, rows * size - first[0], cols * size - first[1], size) <= tolerance
        if size == 1:
            flat[:] = True
        found.append(_bounds(box, rows[flat], cols[flat], size))
        rows, cols = _split(rows[~flat]), _split(cols[~flat], across=True)
        size //= 2
        if len(rows):
            keep = _meets(_bounds(box, rows, cols, size), area)
            rows, cols = rows[keep], cols[keep]
    return np.concatenate(found), window


def _offset(box: GeoBox, inner: GeoBox) -> tuple[int, int]:
    """Row and column of the whole raster at which a window of it begins."""
    dx, dy = box.resolution
    return round((box.affine.f - inner.affine.f) / dy), round((inner.affine.c - box.affine.c) / dx)


def _meeting(box: GeoBox, area: Bounds, size: int) -> tuple[Integers, Integers]:
    dx, dy = box.resolution
    west, _, _, north = node_hull(box)
    ny, nx = box.shape
    rows = _range((north - area[3]) / dy / size, (north - area[1]) / dy / size, (ny - 2) // size)
    cols = _range((area[0] - west) / dx / size, (area[2] - west) / dx / size, (nx - 2) // size)
    row, col = np.meshgrid(rows, cols, indexing="ij")
    return row.ravel(), col.ravel()


def _range(low: float, high: float, last: int) -> Integers:
    return np.arange(max(0, math.floor(low)), min(last, math.floor(high)) + 1, dtype=np.int64)


def _spread(values: NDArray[np.generic], row: Integers, col: Integers, size: int) -> Floats:
    """(k,) how far heights in each square lie apart, m, measured from their own plane (least squares)."""
    step = np.arange(size + 1)
    ny, nx = values.shape
    rows = np.clip(row[:, None] + step, 0, ny - 1)
    cols = np.clip(col[:, None] + step, 0, nx - 1)
    z = values[rows[:, :, None], cols[:, None, :]].astype(np.float64)
    local = step - step.mean()
    weight = local / (local**2).sum() / len(step)
    along, down = np.einsum("kij,j->k", z, weight), np.einsum("kij,i->k", z, weight)
    off = z - along[:, None, None] * local[None, None, :] - down[:, None, None] * local[None, :, None]
    return np.asarray(off.max(axis=(1, 2)) - off.min(axis=(1, 2)))


def _split(index: Integers, across: bool = False) -> Integers:
    step = np.array([0, 1, 0, 1] if across else [0, 0, 1, 1])
    return (2 * index[:, None] + step).ravel()


def _bounds(box: GeoBox, row: Integers, col: Integers, size: int) -> Floats:
    dx, dy = box.resolution
    west, south, east, north = node_hull(box)
    xmin, ymax = west + col * size * dx, north - row * size * dy
    return np.column_stack([xmin, np.maximum(ymax - size * dy, south), np.minimum(xmin + size * dx, east), ymax])


def _meets(boxes: Floats, area: Bounds) -> NDArray[np.bool_]:
    inside = (boxes[:, 0] < area[2]) & (boxes[:, 2] > area[0]) & (boxes[:, 1] < area[3]) & (boxes[:, 3] > area[1])
    # A square beyond the last row or column of the relief has no ground.
    return np.asarray(inside & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
