"""Trees found in a canopy height model: their tops, heights and crowns.

source   Popescu, Wynne 2004, "Seeing the trees in the forest": local maxima in a window as wide as a crown of that
         height is likely to be
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Cells below this share of the height of their tree are its neighbours' or the ground's, not its crown.
CROWN_SHARE = 0.3
LARGEST_CROWN = 30.0
AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Crowns:
    """Trees of a grid (n,), sorted by row, then column.

    row, col    i8, cell of the top        height   f8 m above ground        diameter   f8 m, of a circle of equal area
    """

    row: Integers
    col: Integers
    height: Floats
    diameter: Floats


def crown_width(height: Floats) -> Floats:
    """Crown diameter in m that a tree of that height is likely to have: the paper's equation for all species."""
    return np.asarray(2.51503 + 0.00901 * height**2)


def find_crowns(canopy: Floats, cell: float, least_height: float, least_crown: float) -> Crowns:
    """The trees of a canopy height model (ny, nx), m above ground; NaN counts as bare.

    cell            side of a cell, m
    least_height    tops below this are no trees, m
    least_crown     crowns of fewer m2 are poles and noise
    """
    known = np.nan_to_num(canopy, nan=0.0)
    # One tall cell in a crown is a twig or a bird; the median of nine keeps the shape.
    smooth = ndimage.median_filter(known, 3, mode="nearest")
    rows, cols = _tops(smooth, cell, least_height)
    if not len(rows):
        nothing = np.zeros(0)
        return Crowns(rows, cols, nothing, nothing)
    height = ndimage.maximum_filter(known, 3, mode="nearest")[rows, cols]
    height = np.minimum(height, 1.25 * smooth[rows, cols])
    area = _areas(smooth, (rows, cols), cell, least_height)
    keep = area >= least_crown
    return Crowns(rows[keep], cols[keep], height[keep], np.sqrt(4.0 * area[keep] / np.pi))


def _tops(smooth: Floats, cell: float, least_height: float) -> tuple[Integers, Integers]:
    """Cells that are the highest within the crown of their height; of a plateau the one nearest its middle."""
    radius = np.round(crown_width(np.minimum(smooth, 50.0)) / 2.0 / cell).astype(np.int64)
    radius = np.maximum(radius, 1)
    # Few cells are the highest of nine; only they are asked about the whole window.
    likely = (smooth >= least_height) & (smooth >= ndimage.maximum_filter(smooth, 3, mode="nearest"))
    top = np.zeros(smooth.shape, bool)
    for r in np.unique(radius[likely]).tolist():
        rows, cols = np.nonzero(likely & (radius == r))
        highest = _highest_around(smooth, rows, cols, r)
        top[rows, cols] = smooth[rows, cols] >= highest
    labels, count = ndimage.label(top, np.ones((3, 3), int))
    if not count:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows, cols = np.nonzero(labels)
    label = labels[rows, cols]
    size = np.bincount(label, minlength=count + 1)
    middle = [np.bincount(label, weights=at, minlength=count + 1) / np.maximum(size, 1) for at in (rows, cols)]
    off = (rows - middle[0][label]) ** 2 + (cols - middle[1][label]) ** 2
    order = np.lexsort((cols, rows, off, label))
    first = order[np.concatenate([[True], np.diff(label[order]) != 0])]
    first = first[np.lexsort((cols[first], rows[first]))]
    return rows[first].astype(np.int64), cols[first].astype(np.int64)


def _highest_around(smooth: Floats, rows: Integers, cols: Integers, radius: int) -> Floats:
    """(k,) highest cell within a disc around each of some cells."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = x * x + y * y <= radius * radius
    padded = np.pad(smooth, radius)
    found = [np.zeros(0)]
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        around = padded[rows[part, None] + radius + y[inside], cols[part, None] + radius + x[inside]]
        found.append(around.max(axis=1))
    return np.concatenate(found)


def _areas(smooth: Floats, tops: tuple[Integers, Integers], cell: float, least_height: float) -> Floats:
    """(n,) m2 of the cells that belong to each top: the nearest one, no further than half of LARGEST_CROWN."""
    rows, cols = np.nonzero(smooth >= max(0.5 * least_height, 1.0))
    tree = cKDTree(np.column_stack(tops))
    distance, nearest = tree.query(np.column_stack([rows, cols]))
    height = smooth[tops][nearest]
    # A crown may be four times as wide as is likely; what lies further off belongs to no tree that was found.
    limit = np.minimum(2.0 * crown_width(height), LARGEST_CROWN / 2.0) / cell
    mine = (smooth[rows, cols] >= CROWN_SHARE * height) & (distance <= limit)
    return np.bincount(nearest[mine], minlength=len(tops[0])).astype(np.float64) * cell * cell
