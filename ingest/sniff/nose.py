"""All that is smelled, in one call."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.sniff.extents import sniff_area, sniff_extents
from ingest.sniff.heights import sniff_surface, sniff_units
from ingest.sniff.outlines import Placed, sniff_blind, sniff_datums
from twin.frames import Frame
from twin.grid import Bounds, Raster


def sniff(
    placed: Sequence[Placed],
    surfaces: Sequence[tuple[str, Raster]],
    extents: Sequence[tuple[str, Bounds]],
    home: str,
    frame: Frame,
) -> list[str]:
    """Warnings, one line each with its remedy, of what looks misplaced or in another unit; nothing is moved.

    surfaces    (source, surface model) beside them
    extents     (source, bounds in the frame, m) of layers and rasters
    home        the source that the others belong to
    """
    lines = sniff_datums(placed)
    for name, surface in surfaces:
        lines += sniff_surface(placed, surface, name)
    lines += sniff_blind(placed, bool(surfaces))
    lines += sniff_extents(extents, home)
    lines += sniff_area(extents, frame)
    return lines + sniff_units(placed)
