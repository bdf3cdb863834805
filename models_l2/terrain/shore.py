"""Heights on the edge of water: where the relief between its cells would climb the bank, water stays as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.ground import read_relief
from twin.analysis.heights import cells_inside
from twin.features import Objects, objects
from twin.grid import Bounds, Raster
from twin.store.protocol import Store

Floats = NDArray[np.float64]

# A place no further from water than this belongs to it, m: corners are whole millimetres.
ON = 0.002
# Cells of water are carried so many cells past the edge, so that places between them know nothing else.
RINGS = 2


@dataclass(frozen=True, slots=True)
class Shore:
    """Water around a window: its polygons, and the relief as its cells alone would have it, NaN further away."""

    waters: Objects
    level: Raster | None

    def heights(self, xy: Floats, relief: Floats) -> Floats:
        """(n,) f8 m at places (n, 2): of the water on it and at its edge, `relief` (n,) elsewhere.

        The same place gets the same height from every window.
        """
        if self.level is None or not len(xy):
            return relief
        wet = np.unique(shapely.STRtree(shapely.points(xy)).query(self.waters, "dwithin", distance=ON)[1])
        found, here = relief.copy(), self.level.sample(xy[wet])
        found[wet] = np.where(np.isfinite(here), here, relief[wet])
        return found


DRY = Shore(objects([]), None)


def shore_around(store: Store, bounds: Bounds) -> Shore:
    """The shore that decides about places within `bounds`, m."""
    if not store.has("layer", "water"):
        return DRY
    reach = (RINGS + 2) * max(store.raster_box("relief").resolution)
    around = bounds[0] - reach, bounds[1] - reach, bounds[2] + reach, bounds[3] + reach
    waters = store.read_layer("water", bbox=around, columns=()).geometry
    waters = waters[np.isin(shapely.get_type_id(waters), (3, 6))]
    if not len(waters):
        return DRY
    relief = read_relief(store, around)[0]
    values = np.where(relief.valid, relief.values, np.nan).astype(np.float64)
    wet = np.zeros(values.shape, bool)
    _, row, col = cells_inside(waters, relief.geobox)
    wet[row, col] = True
    level = np.where(wet, values, np.nan)
    for _ in range(RINGS):
        level = _carried(level)
    return Shore(waters, Raster(level, relief.geobox, unit="m"))


def _carried(level: Floats) -> Floats:
    """The same, unknown cells with the mean of the known ones among their eight neighbours."""
    padded = np.pad(level, 1, constant_values=np.nan)
    ny, nx = level.shape
    around = np.stack([padded[i : i + ny, j : j + nx] for i in range(3) for j in range(3) if (i, j) != (1, 1)])
    count = np.isfinite(around).sum(axis=0)
    total = np.where(np.isfinite(around), around, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.full(level.shape, np.nan), where=count > 0)
    low = np.fmin.reduce(around)
    # Equal levels stay equal to the last bit.
    mean = np.where(low == np.fmax.reduce(around), low, mean)
    return np.where(np.isnan(level), mean, level)
