"""Right triangles over a lattice: few where the land is flat, many where it bends, and no crack between tiles.

The hierarchy of midpoints is that of right-triangulated irregular networks, but errors are computed on the lattice of a
whole level at once. A midpoint on the edge of two tiles has one error, so both tiles make the same decision about it.

source  Evans, Kirkpatrick, Townsend 2001, Right-triangulated irregular networks
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EARTH = 6_371_000.0


def errors(heights: Floats, cells: int, spacing: float) -> Floats:
    """Height error (ny, nx) m of leaving out each midpoint and all that hang on it.

    heights     (k * cells + 1, l * cells + 1) f8, m; rows and columns of tiles of `cells` cells
    spacing     metres between posts; a chord over the round Earth adds half its sagitta to the error
    """
    found = np.zeros_like(heights)
    size = 2
    while size <= cells:
        straight = (size * spacing) ** 2 / (16.0 * _EARTH)
        _edge_errors(heights, found, size, straight)
        _centre_errors(heights, found, size, 2.0 * straight, size == cells)
        size *= 2
    return found


def _edge_errors(heights: Floats, found: Floats, size: int, sagitta: float) -> None:
    """Midpoints of the sides of all cells of `size`, both directions; the halves' centres hang on them."""
    half, quarter = size // 2, size // 4
    for z, e in ((heights, found), (heights.T, found.T)):
        rows, cols = slice(0, None, size), slice(half, None, size)
        own = np.abs(z[rows, cols] - (z[rows, 0:-1:size] + z[rows, size::size]) / 2.0) + sagitta
        if quarter:
            for side in (-quarter, quarter):
                own[:, :] = np.maximum(own, _row_neighbours(e[:, half + side :: size], size, quarter, len(own)))
        e[rows, cols] = own


def _row_neighbours(columns: Floats, size: int, quarter: int, n: int) -> Floats:
    """The larger of the errors a quarter above and below every line of `size`; the outermost lines have one side."""
    below, above = columns[quarter::size][: n - 1], columns[size - quarter :: size][: n - 1]
    worst = np.zeros((n, columns.shape[1]))
    worst[:-1] = below
    worst[1:] = np.maximum(worst[1:], above)
    return worst


def _centre_errors(heights: Floats, found: Floats, size: int, sagitta: float, top: bool) -> None:
    """Centres of all cells of `size`; the midpoints of the four sides hang on them."""
    half = size // 2
    low, mid, high = slice(0, -1, size), slice(half, None, size), slice(size, None, size)
    along, across = _diagonals(heights, size)
    chord = np.where(_turned(along.shape, top), across, along)
    own = np.abs(heights[mid, mid] - chord) + sagitta
    for rows, cols in ((low, mid), (high, mid), (mid, low), (mid, high)):
        own = np.maximum(own, found[rows, cols])
    found[mid, mid] = own


def _diagonals(z: Floats, size: int) -> tuple[Floats, Floats]:
    low, high = slice(0, -1, size), slice(size, None, size)
    return (z[low, low] + z[high, high]) / 2.0, (z[low, high] + z[high, low]) / 2.0


def _turned(shape: tuple[int, ...], top: bool) -> NDArray[np.bool_]:
    """True where a cell's diagonal runs the other way, so that diagonals meet in the parent's centre."""
    if top:
        return np.zeros(shape, bool)
    return (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 2).astype(bool)


def surface(heights: Floats, active: NDArray[np.bool_], cells: int) -> Floats:
    """Heights (ny, nx) that the triangles of all tiles have at every post, for measuring what was lost.

    active  midpoints that were kept; corners of tiles always are
    """
    z = heights.copy()
    size = cells
    while size >= 2:
        half = size // 2
        mid = slice(half, None, size)
        along, across = _diagonals(z, size)
        chord = np.where(_turned(along.shape, size == cells), across, along)
        z[mid, mid] = np.where(active[mid, mid], z[mid, mid], chord)
        for view, kept in ((z, active), (z.T, active.T)):
            rows = slice(0, None, size)
            chord = (view[rows, 0:-1:size] + view[rows, size::size]) / 2.0
            view[rows, mid] = np.where(kept[rows, mid], view[rows, mid], chord)
        size //= 2
    return z


def triangles(active: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Triangles (m, 3, 2) of (row, column) of one tile, counter-clockwise where rows go north and columns east.

    active  (cells + 1, cells + 1) midpoints to keep
    """
    cells = len(active) - 1
    a = np.array([[0, 0], [cells, cells]])
    b = np.array([[cells, cells], [0, 0]])
    c = np.array([[cells, 0], [0, cells]])
    done = []
    for depth in range(2 * int(np.log2(cells)) + 1):
        middle = (a + b) // 2
        split = active[middle[:, 0], middle[:, 1]]
        if depth == 2 * int(np.log2(cells)):
            split = np.zeros(len(a), bool)
        done.append(np.stack([a, b, c], axis=1)[~split])
        a, b, c, middle = a[split], b[split], c[split], middle[split]
        a, b, c = np.concatenate([c, b]), np.concatenate([a, c]), np.concatenate([middle, middle])
    return np.concatenate(done)
