"""Bays and columns: how a frontage divides, and where its columns stand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models_l3.mesh import regular
from twin.errors import GeometryError

Array = NDArray[np.float64]
BAY_RATIOS = (1.00, 0.93, 0.87, 0.82, 0.75)  # centre to end; proposal, no treatise gives them


def bay_lines(length: float, bays: int) -> Array:
    """Column lines (bays + 1,) along a frontage, m from its middle; symmetric, the centre bay the widest.

    raises   GeometryError for less than one bay
    """
    if bays < 1 or length <= 0:
        raise GeometryError(f"{bays} bays on {length} m: need at least one bay and a positive length")
    place = np.abs(np.arange(bays) - (bays - 1) / 2)
    ratio = np.interp(place, np.arange(len(BAY_RATIOS)), BAY_RATIOS)
    lines = np.concatenate([[0.0], np.cumsum(ratio)])
    return (lines / lines[-1] - 0.5) * length


def perimeter_columns(half: tuple[float, float], bays: tuple[int, int], sides: int = 4) -> tuple[Array, Array, Array]:
    """Outer columns and the middles between them.

    returns   columns (n,2), middles of bays (m,2), outward direction of the middles (m,2)
    """
    if sides != 4:
        corners = regular(sides, half[0])
        ahead = np.roll(corners, -1, axis=0)
        middles = (corners + ahead) / 2
        return corners, middles, middles / np.linalg.norm(middles, axis=1)[:, None]
    x, y = bay_lines(2 * half[0], bays[0]), bay_lines(2 * half[1], bays[1])
    mx, my = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
    hx, hy = half
    columns = np.concatenate([_line(x, -hy), _line(x, hy), _line(y[1:-1], -hx)[:, ::-1], _line(y[1:-1], hx)[:, ::-1]])
    middles = np.concatenate([_line(mx, -hy), _line(mx, hy), _line(my, -hx)[:, ::-1], _line(my, hx)[:, ::-1]])
    out = np.repeat([[0.0, -1.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]], [len(mx), len(mx), len(my), len(my)], axis=0)
    return columns, middles, out


def column_outward(columns: Array, half: tuple[float, float], sides: int = 4) -> Array:
    """Outward direction (n,2) of each outer column; diagonal at the corners."""
    if sides != 4:
        return columns / np.linalg.norm(columns, axis=1)[:, None]
    edge = np.sign(columns) * (np.abs(np.abs(columns) - np.array(half)) < 1e-6)
    return edge / np.maximum(np.linalg.norm(edge, axis=1), 1e-9)[:, None]


def _line(along: Array, across: float) -> Array:
    return np.column_stack([along, np.full(len(along), across)])
