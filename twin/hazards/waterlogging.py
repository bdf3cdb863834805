"""Waterlogging: rain that the drains do not take stands in the depressions of the ground."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twin.analysis import hydrology
from twin.hazards.base import Card, Scene
from twin.hazards.storm import Storm
from twin.hazards.watershed import Watershed
from twin.options import option

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PondingOptions:
    """Which depressions count."""

    least_depth: float = option(
        0.1, unit="m", min=0.01, max=10.0, doc="Depressions that can hold less than this are noise of the terrain."
    )


@dataclass(frozen=True, slots=True)
class PondingField:
    """Floor of cells and the pool they lie in.

    floor   (...) f8 m          pool   (...) i4, -1 in none          known   (...) bool, False off the relief
    """

    floor: Floats
    pool: NDArray[np.int32]
    known: NDArray[np.bool_]
    pools: hydrology.Pools
    quality: float = 0.5

    def take(self, cells: NDArray[np.int64]) -> PondingField:
        """The field on the flat cells (m,) only."""
        # The map of pools is not needed for the cells, and is as large as the city.
        slim = replace(self.pools, label=np.zeros((0, 0), dtype=np.int32))
        return replace(
            self,
            floor=self.floor.ravel()[cells],
            pool=self.pool.ravel()[cells],
            known=self.known.ravel()[cells],
            pools=slim,
        )

    def filling(self, event: Storm) -> hydrology.Filling:
        """The pools after the storm; inflow = stored + spilled."""
        return hydrology.fill_pools(self.pools, self.pools.catchment * event.ponding_runoff / 1000.0)

    def intensity(self, event: Storm) -> Floats:
        """Depth of standing water, m; 0 outside pools, NaN off the relief."""
        level = np.append(self.filling(event).level, np.nan)[self.pool]
        depth = np.maximum(0.0, np.nan_to_num(level - self.floor))
        return np.where(self.known, depth, np.nan)


class Waterlogging:
    """Waterlogging by rain in depressions."""

    card = Card(
        name="waterlogging",
        name_zh="内涝",
        needs=("relief",),
        helps=("river",),
        produces="depth",
        unit="m",
        method="Runoff of each depression's own catchment, less what the drains carry, fills the depression by its "
        "volume-level curve; the surplus runs to the next one downstream. Volume is kept.",
    )

    def prepare(self, scene: Scene, options: tuple[Watershed, PondingOptions]) -> PondingField:
        """The field of a scene; `options` are its watershed and the ponding options."""
        shed, ponding = options
        found = hydrology.pools(shed.burnt, shed.filled, shed.flow, shed.river_cells, ponding.least_depth)
        floor = np.where(scene.relief.valid, scene.relief.values, np.nan).astype(np.float64)
        return PondingField(floor, found.label, scene.relief.valid, found)
