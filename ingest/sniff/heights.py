"""What heights tell: units that were not declared, and outlines that do not stand where the surface rises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.reading import FOOT
from ingest.sniff.outlines import Placed, declared_datum, other_readings
from twin.grid import Raster

Floats = NDArray[np.float64]

FOREIGN = ("ft", "cm", "mm")
STOREY = (2.2, 6.0)  # m; what a storey of any building is high, in the median of many
TALLEST = 60.0  # m; no city's median building is higher
_ENOUGH = 10
_MANY = 30
_SAMPLE = 2_000
_FINE = 5.0  # m; a coarser surface shows no single building
_RISE = 2.0  # m
_ASIDE = 4.0  # m beyond the outline


def sniff_units(placed: Sequence[Placed]) -> list[str]:
    """One warning for each source whose building heights look like feet, centimetres or millimetres.

    rule    metres a storey where both are known (10 buildings), else the median height (30 buildings)
    """
    lines = []
    for part in placed:
        if part.layer.name != "building":
            continue
        height, storeys = part.layer.column("height"), part.layer.column("storeys")
        both = np.isfinite(height) & np.isfinite(storeys) & (storeys > 0.0)
        known = np.isfinite(height)
        if np.count_nonzero(both) >= _ENOUGH:
            each = float(np.median(height[both] / storeys[both]))
            unit = _unit(each)
            if unit:
                lines.append(
                    f"{part.source}: {each:.3g} m a storey in the median of {np.count_nonzero(both)} buildings; "
                    f'if the heights are in {unit}, declare unit = "{unit}"'
                )
        elif np.count_nonzero(known) >= _MANY and (middle := float(np.median(height[known]))) > TALLEST:
            lines.append(
                f"{part.source}: median height {middle:.3g} m of {np.count_nonzero(known)} buildings; if the heights "
                'are in feet or centimetres, declare unit = "ft" or "cm"'
            )
    return lines


def _unit(each: float) -> str:
    """The unit in which so many a storey is believable, "" where metres are."""
    low, high = STOREY
    if each <= 1.2 * high:
        return ""
    return next((unit for unit in FOREIGN if low <= each * FOOT[unit] <= high), "cm")


def sniff_surface(placed: Sequence[Placed], surface: Raster, name: str) -> list[str]:
    """One warning for each source in degrees whose buildings stand where the surface rises only in another datum.

    surface     heights with buildings (DSM) in the frame, cells up to 5 m
    rule        median over buildings of the height inside less that around them: it was small as declared, and is over
                2 m and three times that in the other datum
    """
    if max(abs(step) for step in surface.geobox.resolution) > _FINE:
        return []
    lines = []
    for part in placed:
        declared = declared_datum(part.crs)
        if not declared or part.layer.name != "building":
            continue
        shapes = part.layer.geometry[:: max(1, -(-len(part.layer) // _SAMPLE))]
        inside = shapely.get_coordinates(shapely.point_on_surface(shapes))
        reach = np.sqrt(np.maximum(shapely.area(shapes), 1.0)) * 0.75 + _ASIDE
        here = _rise(surface, inside, reach)
        found = [
            (_rise(surface, moved, reach), datum) for datum, moved in other_readings(inside, declared, part.layer.frame)
        ]
        rise, datum = max(found)
        if rise > _RISE and rise > 3.0 * max(here, 0.0):
            lines.append(
                f"{part.source}: declared {part.crs}, but the surface {name} rises by {max(here, 0.0):.1f} m inside "
                f"its buildings as declared and by {rise:.1f} m when they are read as {datum}; if it is {datum}, "
                f'declare crs = "{datum}"'
            )
    return lines


def _rise(surface: Raster, inside: Floats, reach: Floats) -> float:
    """Median, m, of the surface at points (n, 2) less that on a ring of eight points around each; -inf where few."""
    turn = np.radians(np.arange(0.0, 360.0, 45.0))
    ring = inside[:, None, :] + reach[:, None, None] * np.column_stack([np.cos(turn), np.sin(turn)])[None, :, :]
    around = surface.sample(ring.reshape(-1, 2), method="nearest").reshape(-1, len(turn))
    at = surface.sample(inside, method="nearest")
    known = np.isfinite(at) & np.isfinite(around).all(axis=1)
    if np.count_nonzero(known) < _MANY:
        return -np.inf
    return float(np.median(at[known] - np.median(around[known], axis=1)))
