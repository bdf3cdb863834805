"""Lines on a grid: points along them at even steps, and the cells they run through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.grid import GeoBox

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stations:
    """Points along lines.

    line      (m,) i8 row of the line each point lies on, rising
    distance  (m,) f8 m from the start of the line
    xy        (m, 2) f8 frame m
    """

    line: Cells
    distance: Floats
    xy: Floats


def stations(lines: NDArray[Any], spacing: float) -> Stations:
    """Points every `spacing` metres or less along each line, ends and bends included.

    lines    (n,) shapely LineString or MultiLineString; others and empty ones give no point
    spacing  largest distance between neighbours, m
    """
    parts, owner = shapely.get_parts(lines, return_index=True)
    linear = np.isin(shapely.get_type_id(parts), (1, 2))
    parts, owner = parts[linear], owner[linear]
    xy, part = shapely.get_coordinates(shapely.segmentize(parts, spacing), return_index=True)
    if not len(xy):
        return Stations(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 2)))
    line = owner[part]
    step = np.zeros(len(xy))
    step[1:] = np.hypot(*np.diff(xy, axis=0).T)
    step[1:][part[1:] != part[:-1]] = 0.0
    total = np.cumsum(step)
    first = np.r_[True, line[1:] != line[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(xy)), 0))
    return Stations(line.astype(np.int64), total - total[start], xy)


def cell_index(xy: Floats, geobox: GeoBox) -> Cells:
    """Flat index (m,) i8 of the cell under each frame point (m, 2); -1 outside the box."""
    ny, nx = geobox.shape
    rows, cols = (np.floor(v).astype(np.int64) for v in geobox.rowcol(xy))
    inside = (rows >= 0) & (rows < ny) & (cols >= 0) & (cols < nx)
    return np.where(inside, rows * nx + cols, -1)


def burnt_cells(lines: NDArray[Any], geobox: GeoBox) -> tuple[Cells, Cells, Floats]:
    """Cells that lines run through, each once: flat index, row of the first line there, metres along it.

    lines   (n,) shapely lines in the box's frame
    The cells of a line hang together by edges or corners (points are half a cell apart).
    """
    along = stations(lines, min(geobox.resolution) / 2.0)
    cells = cell_index(along.xy, geobox)
    found, first = np.unique(cells, return_index=True)
    keep = found >= 0
    return found[keep], along.line[first][keep], along.distance[first][keep]
