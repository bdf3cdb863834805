"""The drainage of a scene, worked out once and shared by the hazards of water."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.analysis import hydrology
from twin.grid import Raster
from twin.hazards.base import Scene
from twin.options import option


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """Where channels run."""

    burn_depth: float = option(
        10.0, unit="m", min=0.0, max=100.0, doc="Depth by which river lines are lowered before directions are found."
    )
    reach_length: float = option(2000.0, unit="m", min=50.0, max=50_000.0, doc="Longest reach of a channel.")
    least_area: float = option(
        500_000.0, unit="m2", min=100.0, doc="Drained area of a channel cell where the city has no river lines."
    )
    least_share: float = option(
        0.02, min=1e-4, max=1.0, doc="The same as a share of the mapped area, for maps too small for the former."
    )


@dataclass(frozen=True, slots=True)
class Watershed:
    """How the water of a scene runs.

    relief     the ground, m            burnt, filled   the ground with rivers lowered; with depressions filled
    flow       directions               channels        cells of streams by reach
    area       (ny, nx) f8 m2 that drain through each cell
    by_lines   True where the channels are the city's own river lines
    """

    relief: Raster
    burnt: Raster
    filled: Raster
    flow: hydrology.Drainage
    channels: hydrology.Channels
    area: NDArray[np.float64]
    by_lines: bool

    @property
    def river_cells(self) -> NDArray[np.bool_]:
        """Channel cells of mapped rivers (ny, nx); none where channels were found by drained area."""
        return self.channels.mask if self.by_lines else np.zeros_like(self.channels.mask)


def watershed(scene: Scene, options: ChannelOptions) -> Watershed:
    """The drainage of the scene's relief, rivers burnt in where the city has them."""
    relief = scene.relief
    lines: NDArray[Any] = scene.layers["river"].geometry if scene.has("river") else np.zeros(0, dtype=object)
    inside = shapely.intersects(lines, shapely.box(*relief.geobox.bounds)) if len(lines) else np.zeros(0, bool)
    dx, dy = relief.geobox.resolution
    if inside.any():
        channels = hydrology.channels_of_lines(lines, relief.geobox, options.reach_length)
        burnt = hydrology.burn(relief, channels.mask, options.burn_depth)
        flow, filled = hydrology.drainage(burnt)
    else:
        burnt = relief
        flow, filled = hydrology.drainage(burnt)
        mapped = float(np.count_nonzero(relief.valid)) * dx * dy
        least = min(options.least_area, options.least_share * mapped)
        channels = hydrology.channels_by_area(flow, least, options.reach_length)
    area = hydrology.accumulate(flow) * dx * dy
    return Watershed(relief, burnt, filled, flow, channels, area, bool(inside.any()))
