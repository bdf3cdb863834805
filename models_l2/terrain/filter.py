"""Ground among points that nobody classified, by a progressive morphological filter on a grid of lowest points.

Cloth simulation was tried beside it (CSF 1.1.7): twice the same points gave it two different answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import Delaunay, QhullError

from models_l2.terrain.drawing import drawn
from twin.frames import Frame
from twin.grid import GeoBox, Raster
from twin.options import option

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_PIT_CELLS = 2
_SOFTEN = 1.25


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """How ground is told from what stands on it; Zhang et al. 2003, with the slope term of Pingel et al. 2013."""

    cell: float = option(1.0, unit="m", min=0.25, max=10.0, doc="Cell of the grid of lowest points.")
    width: float = option(
        60.0, unit="m", min=2.0, max=500.0, doc="Buildings without a footprint are told from ground up to this width."
    )
    slope: float = option(0.15, min=0.01, max=2.0, doc="Steepest natural ground, rise over run, beyond what it levels.")
    step: float = option(0.25, unit="m", min=0.05, max=5.0, doc="Height above the filtered surface that is ground.")
    pit: float = option(1.0, unit="m", min=0.1, max=50.0, doc="Cells this far below all around them are wrong points.")

    @property
    def windows(self) -> tuple[int, ...]:
        """Radii of the openings in cells, each twice the one before."""
        largest = max(1, math.ceil(self.width / 2.0 / self.cell))
        return (*(2**k for k in range(math.ceil(math.log2(largest)))), largest)

    @property
    def margin(self) -> float:
        """Metres around a place that decide about it."""
        return 2.0 * self.cell * (sum(self.windows) + _PIT_CELLS)


def ground_mask(xyz: Floats, frame: Frame, options: FilterOptions) -> Mask:
    """(n,) True for the points that lie on the ground.

    xyz      (n, 3) f8 frame m, unclassified points; those closer than `margin` to their edge are told less surely
    source   Zhang et al., A progressive morphological filter for removing nonground measurements from airborne LIDAR
             data, IEEE TGRS 41(4), 2003; slope term: Pingel, Clarke, McBride, ISPRS J. 77, 2013
    """
    if not len(xyz):
        return np.zeros(0, bool)
    low, high = xyz[:, :2].min(axis=0), xyz[:, :2].max(axis=0)
    box = GeoBox.from_bounds((*low.tolist(), *high.tolist()), options.cell, frame)
    surface = _without_pits(lowest(xyz, box), options)
    ground = np.where(_standing(surface, options), np.nan, surface)
    bare = Raster(_whole(ground), box)
    steep = Raster(np.hypot(*_gradient(bare.values, options.cell)), box)
    xy = xyz[:, :2]
    allowed = options.step + _SOFTEN * options.cell * steep.sample(xy, "nearest")
    above = xyz[:, 2] - bare.sample(xy)
    return np.asarray((above <= allowed) & (above >= -options.pit))


def lowest(xyz: Floats, box: GeoBox) -> Floats:
    """Lowest point in every cell (ny, nx) f8 m; NaN where there is none. All points lie in the box."""
    ny, nx = box.shape
    rows, cols = (np.floor(v).astype(np.int64) for v in box.rowcol(xyz[:, :2]))
    cell = np.clip(rows, 0, ny - 1) * nx + np.clip(cols, 0, nx - 1)
    surface = np.full(ny * nx, np.inf)
    np.minimum.at(surface, cell, xyz[:, 2])
    surface[np.isinf(surface)] = np.nan
    return surface.reshape(ny, nx)


def _without_pits(surface: Floats, options: FilterOptions) -> Floats:
    """The same without cells, at most two together, far below the others around them: an alley is longer."""
    around = ndimage.rank_filter(_nearest(surface), rank=_PIT_CELLS, size=3, mode="nearest")
    return np.where(around - surface > options.pit, np.nan, surface)


def _standing(surface: Floats, options: FilterOptions) -> Mask:
    """Cells that an opening takes down by more than the slope allows over its radius."""
    before = _nearest(surface)
    standing = np.zeros(surface.shape, bool)
    for radius in options.windows:
        opened = ndimage.grey_opening(before, size=2 * radius + 1)
        standing |= before - opened > options.slope * radius * options.cell
        before = opened
    return standing


def _nearest(values: Floats) -> Floats:
    """Unknown cells take the value of the nearest known one."""
    unknown = np.isnan(values)
    if not unknown.any() or unknown.all():
        return np.nan_to_num(values)
    places = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(places)])


def _whole(values: Floats) -> Floats:
    """Unknown cells by linear interpolation from the rims of their holes, nearest outside those."""
    unknown = np.isnan(values)
    rim = ndimage.binary_dilation(unknown, np.ones((3, 3), bool)) & ~unknown
    known = np.argwhere(rim).astype(np.float64)
    whole = values.copy()
    try:
        triangles = Delaunay(known).simplices.astype(np.int64) if len(known) > 2 else np.zeros((0, 3), np.int64)
    except QhullError:
        triangles = np.zeros((0, 3), np.int64)
    whole[unknown] = drawn(known, values[rim], triangles, values.shape)[unknown]
    return _nearest(whole)


def _gradient(values: Floats, cell: float) -> tuple[Floats, Floats]:
    """(by row, by column) slopes, rise over run; 0 along an axis with a single cell."""
    slopes = [np.gradient(values, cell, axis=k) if values.shape[k] > 1 else np.zeros_like(values) for k in (0, 1)]
    return slopes[0], slopes[1]
