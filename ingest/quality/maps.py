"""Small maps as numbers: how dense a source is on a coarse grid of the city, and in which cells its faults are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.imagery import ImageStream
from twin.features import Layer
from twin.grid import Bounds, Raster

COLUMNS, LEVELS = 150, 5
_CHUNK = 1 << 14  # shapes whose vertices stay in the cache of a core


@dataclass(frozen=True, slots=True)
class Sheet:
    """The coarse grid of a map: square cells over `bounds`, row 0 in the north.

    shape   (rows, columns)
    """

    bounds: Bounds
    shape: tuple[int, int]

    @property
    def cell(self) -> float:
        """Side of a cell, m."""
        return (self.bounds[2] - self.bounds[0]) / self.shape[1]

    def cells(self, xy: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
        """(rows, columns, inside) of points (n, 2); points off the sheet are moved to its edge."""
        col = np.floor((xy[:, 0] - self.bounds[0]) / self.cell)
        row = np.floor((self.bounds[3] - xy[:, 1]) / self.cell)
        inside = (col >= 0) & (col < self.shape[1]) & (row >= 0) & (row < self.shape[0])
        col, row = np.clip(col, 0, self.shape[1] - 1), np.clip(row, 0, self.shape[0] - 1)
        return row.astype(np.intp), col.astype(np.intp), inside


def sheets_of(layers: Iterable[Layer], ground: Raster | None) -> tuple[Sheet, ...]:
    """The sheets maps are drawn on, closest first: over what 98 % of the buildings span, then over the ground."""
    parts = [shapely.get_coordinates(layer.geometry) for layer in layers]
    xy = np.concatenate([np.zeros((0, 2)), *parts])
    sheets = []
    if len(xy):
        low, high = np.column_stack([np.percentile(axis, (1.0, 99.0)) for axis in np.ascontiguousarray(xy.T)])
        margin = 0.06 * float(max((high - low).max(), 10.0))
        sheets.append(_sheet((low[0] - margin, low[1] - margin, high[0] + margin, high[1] + margin)))
    if ground is not None:
        sheets.append(_sheet(ground.geobox.bounds))
    return tuple(sheets)


def choose_sheet(xy: NDArray[np.float64], sheets: tuple[Sheet, ...]) -> Sheet:
    """The closest sheet that holds 95 % of the points (n, 2), else the widest."""
    known = _known(xy)
    held = (sheet for sheet in sheets if len(known) and sheet.cells(known)[2].mean() >= 0.95)
    return next(held, sheets[-1])


def _sheet(bounds: Bounds) -> Sheet:
    # A long valley keeps a map of readable height: never flatter than 3 : 1, never taller than 4 : 3.
    width, height = max(bounds[2] - bounds[0], 1.0), max(bounds[3] - bounds[1], 1.0)
    wide = max(width, height * 0.75)
    tall = max(height, wide / 3.0)
    x, y = (bounds[0] + bounds[2]) / 2.0, (bounds[1] + bounds[3]) / 2.0
    rows = math.ceil(tall / wide * COLUMNS)
    cell = wide / COLUMNS
    box = (x - wide / 2.0, y - rows * cell / 2.0, x + wide / 2.0, y + rows * cell / 2.0)
    return Sheet(tuple(round(float(v), 3) for v in box), (rows, COLUMNS))  # type: ignore[arg-type]


def picture(noun: Any, sheet: Sheet) -> list[str]:
    """The source on the sheet, one string of digits 0..5 a row from the north: 0 nothing, 5 dense (rasters: high)."""
    if isinstance(noun, Layer):
        return _digits(_density(noun, sheet))
    if isinstance(noun, Raster):
        return _digits(_relief(noun, sheet))
    if isinstance(noun, ImageStream):
        box = noun.geobox.bounds
        x, y = _middles(sheet)
        inside = ((y > box[1]) & (y < box[3]))[:, None] & ((x > box[0]) & (x < box[2]))[None, :]
        return _digits(np.where(inside, 2, 0))
    return []


def point_picture(xy: NDArray[np.float64], sheet: Sheet) -> list[str]:
    """Single points (n, 2), frame m, on the sheet."""
    return _digits(_levels(_count(xy, sheet)))


def fault_cells(xy: NDArray[np.float64], sheet: Sheet) -> dict[str, Any]:
    """{"cells": [[row, column, count] ...], "off": points outside the sheet, shown at its edge}."""
    known = _known(xy)
    row, col, inside = sheet.cells(known)
    keys, counts = np.unique(row * sheet.shape[1] + col, return_counts=True)
    cells = np.column_stack([keys // sheet.shape[1], keys % sheet.shape[1], counts])
    return {"cells": cells.astype(int).tolist(), "off": int(np.count_nonzero(~inside))}


def _known(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(xy[:, 0]) & np.isfinite(xy[:, 1])
    return xy if known.all() else xy[known]


def _middles(sheet: Sheet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x = sheet.bounds[0] + (np.arange(sheet.shape[1]) + 0.5) * sheet.cell
    return x, sheet.bounds[3] - (np.arange(sheet.shape[0]) + 0.5) * sheet.cell


def _count(xy: NDArray[np.float64], sheet: Sheet) -> NDArray[np.int64]:
    row, col, inside = sheet.cells(_known(xy))
    flat = np.bincount(row[inside] * sheet.shape[1] + col[inside], minlength=sheet.shape[0] * sheet.shape[1])
    return flat.reshape(sheet.shape)


def _density(layer: Layer, sheet: Sheet) -> NDArray[np.int64]:
    shapes = layer.geometry[~shapely.is_missing(layer.geometry)]
    if not len(shapes):
        return np.zeros(sheet.shape, dtype=np.int64)
    if layer.name != "building":
        whole = shapely.box(*sheet.bounds)
        shapes = shapely.intersection(shapely.boundary(shapes) if _areal(shapes) else shapes, whole)
        shapes = shapely.segmentize(shapes, sheet.cell / 2.0)
        found = _count(shapely.get_coordinates(shapes), sheet)
        return _levels(found) if not _areal(layer.geometry) and _dotted(layer) else np.where(found > 0, 3, 0)
    counts = np.zeros(sheet.shape, dtype=np.int64)
    for start in range(0, len(shapes), _CHUNK):
        counts += _count(shapely.get_coordinates(shapes[start : start + _CHUNK]), sheet)
    return _levels(counts)


def _areal(shapes: NDArray[np.object_]) -> bool:
    return bool(np.isin(shapely.get_type_id(shapes), (3, 6)).all())


def _dotted(layer: Layer) -> bool:
    return bool((shapely.get_type_id(layer.geometry) == 0).any())


def _relief(raster: Raster, sheet: Sheet) -> NDArray[np.int64]:
    x, y = _middles(sheet)
    xx, yy = np.meshgrid(x, y)
    values = raster.sample(np.column_stack([xx.ravel(), yy.ravel()]), method="nearest").reshape(sheet.shape)
    known = ~np.isnan(values)
    if not known.any():
        return np.zeros(sheet.shape, dtype=np.int64)
    edges = np.percentile(values[known], (20.0, 40.0, 60.0, 80.0))
    return np.where(known, np.searchsorted(edges, values, side="left") + 1, 0)


def _levels(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    top = math.log1p(max(int(counts.max(initial=0)), 1))
    return np.where(counts > 0, np.clip(np.ceil(LEVELS * np.log1p(counts) / top - 1e-9), 1, LEVELS), 0).astype(np.int64)


def _digits(levels: NDArray[np.int64]) -> list[str]:
    return ["".join(map(str, row)) for row in levels.tolist()]
