"""River flood: how deep the water of a stage stands over each cell, by its height above the drainage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from twin.errors import OptionsError
from twin.features import Layer
from twin.hazards.base import Card, Scene
from twin.hazards.storm import Storm, reduced
from twin.hazards.watershed import Watershed
from twin.options import option

Floats = NDArray[np.float64]

STAGE_STEP = 0.25
STAGES = np.arange(81) * STAGE_STEP


@dataclass(frozen=True, slots=True)
class FloodOptions:
    """Stages of the rivers: the city's own table, else a rating from the terrain."""

    stage_periods: tuple[float, ...] = option((), unit="yr", doc="Return periods of the declared stages, rising.")
    stage_heights: tuple[float, ...] = option(
        (), unit="m", doc="Stage above the channel for each of stage_periods; empty: rated from the terrain."
    )
    roughness: float = option(0.04, unit="s/m^(1/3)", min=0.01, max=0.2, doc="Manning's n of channel and plain.")
    concentration: float = option(12.0, unit="h", min=0.1, max=240.0, doc="Hours in which the runoff passes.")
    spread: float = option(
        2000.0, unit="m", min=0.0, max=50_000.0, doc="Farthest that water over the banks spreads sideways."
    )
    regime: float = option(
        4.8, unit="s^0.5/m^0.5", min=1.0, max=20.0, doc="Width of a river = regime x sqrt(bank-full discharge)."
    )
    bankfull_period: float = option(5.0, unit="yr", min=1.1, max=50.0, doc="Return period of bank-full discharge.")


@dataclass(frozen=True, slots=True)
class RiverField:
    """Height of cells above their channel, and the rating of every reach.

    hand         (...) f4 m above the first channel cell downstream; NaN where the map ends before one
    sill         (...) f4 m above that channel which the water must pass to arrive here, >= hand
    reach        (...) i4 reach of that channel cell; -1 none
    beside, beside_sill, beside_reach   the same against the nearest channel cell, for water over banks and levees
    rating       (reaches, stages) f8 m3/s carried at STAGES
    area         (reaches,) f8 m2 drained at the lower end, inside the map
    width        (reaches,) f8 m of the river; 0 unknown
    options      stages and discharge
    quality      0.8 on mapped rivers, 0.5 on channels found by drained area
    """

    hand: NDArray[np.float32]
    sill: NDArray[np.float32]
    reach: NDArray[np.int32]
    beside: NDArray[np.float32]
    beside_sill: NDArray[np.float32]
    beside_reach: NDArray[np.int32]
    rating: Floats
    area: Floats
    width: Floats
    options: FloodOptions
    quality: float

    def take(self, cells: NDArray[np.int64]) -> RiverField:
        """The field on the flat cells (m,) only."""
        cut = {name: getattr(self, name).ravel()[cells] for name in _PER_CELL}
        return replace(self, **cut)

    def stage(self, event: Storm) -> Floats:
        """Stage of the river beside each cell, m above its channel; NaN without a channel."""
        stages: Floats = np.append(stages_of(self, event), np.nan)[self.beside_reach]
        return stages

    def intensity(self, event: Storm) -> Floats:
        """Depth of river water, m; below zero the metres by which the water fails to arrive. NaN without a channel.

        Water arrives in two ways: up the way on which the cell drains, or sideways from the river beside it. On
        either it must be connected: it arrives exactly when the stage of the reach is above the sill on the way.
        """
        stages = np.append(stages_of(self, event), np.nan)
        upward = _margin(stages[self.reach], self.hand, self.sill)
        sideways = _margin(stages[self.beside_reach], self.beside, self.beside_sill)
        # Where the ground drains off the map the river beside does not speak for the river it drains to.
        return np.where(np.isnan(upward), np.where(sideways > 0.0, sideways, np.nan), np.fmax(upward, sideways))


_PER_CELL = ("hand", "sill", "reach", "beside", "beside_sill", "beside_reach")


def _margin(stage: Floats, height: NDArray[np.float32], sill: NDArray[np.float32]) -> Floats:
    return np.where(stage > sill, stage - height, stage - sill).astype(np.float64)


def stages_of(field: RiverField, storm: Storm) -> Floats:
    """Stage of every reach (reaches,) f8, m above its channel: the declared table, else by discharge and rating.

    Beyond the rarest declared period the table's last slope over Gumbel's reduced variate goes on.
    """
    options = field.options
    if options.stage_heights:
        known = [reduced(1.01), *(reduced(years) for years in options.stage_periods)]
        heights = [0.0, *options.stage_heights]
        asked = reduced(storm.return_period)
        rising = (heights[-1] - heights[-2]) / (known[-1] - known[-2])
        stage = np.interp(asked, known, heights) + rising * max(0.0, asked - known[-1])
        return np.full(len(field.area), stage)
    flow = discharge(field, storm)
    return np.array([np.interp(q, row, STAGES) for q, row in zip(flow, field.rating, strict=True)])


def discharge(field: RiverField, storm: Storm) -> Floats:
    """Peak discharge of every reach (reaches,) f8, m3/s: what its width was made by, or the runoff of its catchment.

    The river's own width speaks for the catchment outside the map; the larger of the two counts, both grow with rain.
    source  regime width after Lacey 1930; runoff by the curve-number relation, passed in `concentration` hours
    """
    options = field.options
    usual = Storm.of_period(options.bankfull_period, storm.options).open_runoff
    by_width = (field.width / options.regime) ** 2 * storm.open_runoff / max(usual, 1e-6)
    by_area = field.area * storm.open_runoff / 1000.0 / (options.concentration * 3600.0)
    return np.maximum(by_width, by_area)


class RiverFlood:
    """Flood by rivers: stage minus height above drainage."""

    card = Card(
        name="flood",
        name_zh="河洪",
        needs=("relief",),
        helps=("river",),
        produces="depth",
        unit="m",
        method="Height above nearest drainage (Nobre et al. 2011); stage from the declared table or from Manning's "
        "equation on reach-averaged sections (Zheng et al. 2018); only water connected to the channel, over the "
        "ground it drains by or over the bank beside.",
    )

    def prepare(self, scene: Scene, options: tuple[Watershed, FloodOptions]) -> RiverField:
        """The field of a scene; `options` are its watershed and the flood options."""
        shed, flood = options
        _check_stages(flood.stage_periods, flood.stage_heights)
        return _field(shed, scene.layers.get("river"), flood)


def _field(shed: Watershed, river: Layer | None, options: FloodOptions) -> RiverField:
    from twin.analysis import hydrology

    drain = hydrology.drain_cell(shed.flow, shed.channels.mask)
    known = drain >= 0
    z = np.where(shed.relief.valid, shed.relief.values, np.nan).astype(np.float64)
    hand = np.where(known, z - z.ravel()[drain], np.nan)
    # Filling was done on burnt terrain, where only channel cells are lower than the relief.
    raised = np.where(shed.channels.mask, 0.0, np.maximum(0.0, shed.filled.values.astype(np.float64) - z))
    reach = np.where(known, shed.channels.reach.ravel()[drain], -1).astype(np.int32)
    count = len(shed.channels.line)
    inside = shed.channels.mask & shed.relief.valid
    area = _largest(shed.area[inside], shed.channels.reach[inside], count)
    width = np.zeros(count)
    if river is not None and shed.by_lines:
        width = np.nan_to_num(river.column("width"))[shed.channels.line]
    lateral = hydrology.height_above_nearest(shed.relief, shed.channels.mask, options.spread)
    beside = np.where(lateral.cell >= 0, shed.channels.reach.ravel()[lateral.cell], -1).astype(np.int32)
    return RiverField(
        beside=lateral.above.astype(np.float32),
        beside_sill=lateral.sill.astype(np.float32),
        beside_reach=beside,
        hand=hand.astype(np.float32),
        sill=np.maximum(hand, hand + raised).astype(np.float32),
        reach=reach,
        rating=rating_of(hand, reach, shed, options.roughness),
        area=area,
        width=width,
        options=options,
        quality=0.8 if shed.by_lines else 0.5,
    )


def rating_of(hand: Floats, reach: NDArray[np.int32], shed: Watershed, roughness: float) -> Floats:
    """Discharge (reaches, stages) f8 m3/s that each reach carries at STAGES, never falling with the stage.

    source  reach-averaged section from height above drainage (Zheng et al. 2018), Manning's equation
    """
    count, steps = len(shed.channels.line), len(STAGES)
    dx, dy = shed.relief.geobox.resolution
    low = (reach >= 0) & (hand < STAGES[-1])
    height = np.maximum(hand[low], 0.0)
    slot = reach[low].astype(np.int64) * steps + np.minimum((height / STAGE_STEP).astype(np.int64) + 1, steps - 1)
    cells = np.cumsum(np.bincount(slot, minlength=count * steps).reshape(count, steps), axis=1)
    heights = np.cumsum(np.bincount(slot, weights=height, minlength=count * steps).reshape(count, steps), axis=1)
    length = np.maximum(shed.channels.length, min(dx, dy))[:, None]
    section = (STAGES * cells - heights) * dx * dy / length
    wetted = np.maximum(cells * dx * dy / length, 1e-9)
    inside = shed.channels.mask & shed.relief.valid
    z, own = shed.relief.values[inside].astype(np.float64), shed.channels.reach[inside]
    fall = _largest(z, own, count) + _largest(-z, own, count)
    slope = np.clip(fall / length[:, 0], 2e-4, 0.05)[:, None]
    carried = section * (np.maximum(section, 0.0) / wetted) ** (2.0 / 3.0) * np.sqrt(slope) / roughness
    # A touch of rise keeps the inversion unique where a reach has no cell yet.
    return np.maximum.accumulate(np.nan_to_num(carried), axis=1) + STAGES * 1e-9


def _largest(values: Floats, group: NDArray[np.int32], count: int) -> Floats:
    found = np.full(count, -np.inf)
    np.maximum.at(found, group, values)
    return np.where(np.isfinite(found), found, 0.0)


def _check_stages(periods: Sequence[float], heights: Sequence[float]) -> None:
    if len(periods) != len(heights):
        raise OptionsError(f"[zones.flood]: {len(periods)} stage_periods but {len(heights)} stage_heights; give pairs")
    if any(b <= a for a, b in pairwise(periods)) or any(p <= 1.01 for p in periods):
        raise OptionsError("[zones.flood] stage_periods: must rise and be above 1.01 years")
    if any(b < a for a, b in pairwise(heights)) or any(h < 0.0 for h in heights):
        raise OptionsError("[zones.flood] stage_heights: must not fall and must not be below zero")
