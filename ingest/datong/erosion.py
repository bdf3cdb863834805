"""Valleys for the hills: rivers cut into rising ground until ridges and branching gullies stand."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

Floats = NDArray[np.float64]
_ROWS = np.array([-1, -1, -1, 0, 0, 1, 1, 1])
_COLS = np.array([-1, 0, 1, -1, 1, -1, 0, 1])


@numba.njit(cache=True)
def _receivers(z: np.ndarray) -> np.ndarray:
    """Flat index of the steepest lower neighbour of every cell, itself where there is none."""
    ny, nx = z.shape
    down = np.empty(ny * nx, dtype=np.int64)
    for r in range(ny):
        for c in range(nx):
            best, steep = r * nx + c, 0.0
            for k in range(8):
                i, j = r + _ROWS[k], c + _COLS[k]
                if 0 <= i < ny and 0 <= j < nx:
                    fall = (z[r, c] - z[i, j]) / (1.4142135 if _ROWS[k] * _COLS[k] != 0 else 1.0)
                    if fall > steep:
                        best, steep = i * nx + j, fall
            down[r * nx + c] = best
    return down


@numba.njit(cache=True)
def _cut(z: np.ndarray, down: np.ndarray, order: np.ndarray, free: np.ndarray, power: float) -> None:
    """One implicit step of stream-power erosion; `order` lists cells from low to high, only `free` cells move."""
    flat = z.ravel()
    area = np.ones(flat.size)
    for k in range(flat.size - 1, -1, -1):
        cell = order[k]
        if down[cell] != cell:
            area[down[cell]] += area[cell]
    for k in range(flat.size):
        cell = order[k]
        to = down[cell]
        if to != cell and free[cell]:
            factor = power * np.sqrt(area[cell])
            flat[cell] = (flat[cell] + factor * flat[to]) / (1.0 + factor)


def eroded(base: Floats, uplift: Floats, rough: Floats, steps: int = 70) -> Floats:
    """Height above `base` after `steps` of uplift and erosion, m.

    base    (ny, nx) fixed lower ground, m      uplift  (ny, nx) 0..1, where and how much the ground rises
    rough   (ny, nx) about -1..1, small differences that decide where the first water runs
    source  stream-power law with area exponent 1/2, implicit in time after Braun and Willett 2013
    """
    inside = np.zeros(base.shape, dtype=bool)
    inside[1:-1, 1:-1] = True
    free = ((uplift > 0.01) & inside).ravel()
    inland = distance_transform_edt(free.reshape(base.shape))
    z = base + np.where(inside, 0.9 * inland + 3.0 * uplift * rough, 0.0)
    for _ in range(steps):
        z = z + np.where(inside, 4.2 * uplift, 0.0)
        down = _receivers(z)
        order = np.argsort(z.ravel(), kind="stable")
        _cut(z, down, order, free, 0.17)
        inner = z[1:-1, 1:-1]
        bend = z[:-2, 1:-1] + z[2:, 1:-1] + z[1:-1, :-2] + z[1:-1, 2:] - 4.0 * inner
        z[1:-1, 1:-1] = np.where(free.reshape(z.shape)[1:-1, 1:-1], inner + 0.06 * bend, inner)
    return np.maximum(z - base, 0.0)
