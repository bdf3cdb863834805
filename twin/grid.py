"""Rasters and where they lie: three fields and nothing else knows a raster's place."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from twin.errors import FrameMismatchError, GeometryError
from twin.frames import Frame

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class GeoBox:
    """Where a raster lies: rows go south, columns go east, cell (0, 0) is the north-west one.

    shape   (ny, nx)
    affine  (column, row) of a cell corner -> frame, m; north up, no rotation
    frame   the city's Frame
    """

    shape: tuple[int, int]
    affine: Affine
    frame: Frame

    @staticmethod
    def from_bounds(bounds: Bounds, resolution: float, frame: Frame) -> GeoBox:
        """The box of whole cells that covers `bounds`, its corner snapped to multiples of the resolution."""
        xmin = math.floor(bounds[0] / resolution) * resolution
        ymax = math.ceil(bounds[3] / resolution) * resolution
        nx = max(1, math.ceil((bounds[2] - xmin) / resolution))
        ny = max(1, math.ceil((ymax - bounds[1]) / resolution))
        return GeoBox((ny, nx), Affine(resolution, 0.0, xmin, 0.0, -resolution, ymax), frame)

    @property
    def resolution(self) -> tuple[float, float]:
        """Cell size (dx, dy), m, both positive."""
        return self.affine.a, -self.affine.e

    @property
    def bounds(self) -> Bounds:
        """(xmin, ymin, xmax, ymax) of the outer cell edges, m."""
        ny, nx = self.shape
        return (
            self.affine.c,
            self.affine.f + ny * self.affine.e,
            self.affine.c + nx * self.affine.a,
            self.affine.f,
        )

    def centers(self) -> tuple[Floats, Floats]:
        """Cell centres: x (nx,) going east and y (ny,) going south, m."""
        ny, nx = self.shape
        cols, rows = np.arange(nx, dtype=np.float64) + 0.5, np.arange(ny, dtype=np.float64) + 0.5
        return self.affine.c + cols * self.affine.a, self.affine.f + rows * self.affine.e

    def rowcol(self, xy: ArrayLike) -> tuple[Floats, Floats]:
        """Fractional (row, column) of frame points (n, 2); a cell's centre is at half numbers."""
        points = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
        return (points[:, 1] - self.affine.f) / self.affine.e, (points[:, 0] - self.affine.c) / self.affine.a

    def window(self, bounds: Bounds) -> tuple[slice, slice]:
        """(rows, columns) of the cells that meet `bounds`, clipped to the box; empty slices where nothing does."""
        ny, nx = self.shape
        rows, cols = self.rowcol([[bounds[0], bounds[3]], [bounds[2], bounds[1]]])
        r0, r1 = (int(np.clip(v, 0, ny)) for v in (np.floor(rows[0]), np.ceil(rows[1])))
        c0, c1 = (int(np.clip(v, 0, nx)) for v in (np.floor(cols[0]), np.ceil(cols[1])))
        return slice(r0, max(r0, r1)), slice(c0, max(c0, c1))

    def crop(self, rows: slice, cols: slice) -> GeoBox:
        """The box of a window of this one."""
        affine = self.affine @ Affine.translation(cols.start, rows.start)
        return replace(self, shape=(rows.stop - rows.start, cols.stop - cols.start), affine=affine)

    def zoom(self, shape: tuple[int, int]) -> GeoBox:
        """The same ground cut into another number of cells."""
        scale = Affine.scale(self.shape[1] / shape[1], self.shape[0] / shape[0])
        return replace(self, shape=shape, affine=self.affine @ scale)

    def pad(self, cells: int) -> GeoBox:
        """A new box with `cells` more on every side."""
        ny, nx = self.shape
        return replace(
            self, shape=(ny + 2 * cells, nx + 2 * cells), affine=self.affine @ Affine.translation(-cells, -cells)
        )


@dataclass(frozen=True, slots=True)
class Raster:
    """Values on a grid.

    values  (ny, nx) or (band, ny, nx)
    geobox  where they lie
    nodata  value that means "unknown"; NaN for float rasters
    unit    unit of the values
    """

    values: NDArray[np.generic]
    geobox: GeoBox
    nodata: float = math.nan
    unit: str = "m"

    def __post_init__(self) -> None:
        if self.values.shape[-2:] != self.geobox.shape:
            raise GeometryError(f"raster values {self.values.shape} do not fit their box {self.geobox.shape}")

    @property
    def valid(self) -> NDArray[np.bool_]:
        """True where a value is known; shape of `values`."""
        known = np.isfinite(self.values) if self.values.dtype.kind == "f" else np.ones(self.values.shape, bool)
        return known if math.isnan(self.nodata) else known & (self.values != self.nodata)

    def sample(self, xy: ArrayLike, method: Literal["bilinear", "nearest"] = "bilinear") -> Floats:
        """Values (n,) f8 at frame points (n, 2); NaN outside and on nodata. One band only.

        bilinear    between the four nearest cell centres; within half a cell of the edge the edge cell counts
        """
        if self.values.ndim != 2:
            raise GeometryError("sample takes one band; choose it first")
        rows, cols = self.geobox.rowcol(xy)
        ny, nx = self.geobox.shape
        inside = (rows >= 0) & (rows <= ny) & (cols >= 0) & (cols <= nx)
        rows, cols = np.where(inside, rows, 0.0), np.where(inside, cols, 0.0)
        values = _bilinear(self, rows, cols) if method == "bilinear" else self._cells(np.floor(rows), np.floor(cols))
        return np.where(inside, values, np.nan)

    def _cells(self, rows: Floats, cols: Floats) -> Floats:
        ny, nx = self.geobox.shape
        r, c = np.clip(rows, 0, ny - 1).astype(np.intp), np.clip(cols, 0, nx - 1).astype(np.intp)
        values = self.values[r, c].astype(np.float64)
        return values if math.isnan(self.nodata) else np.where(values == self.nodata, np.nan, values)

    def crop(self, bounds: Bounds) -> Raster:
        """The part that meets `bounds`; a view, not a copy."""
        rows, cols = self.geobox.window(bounds)
        return replace(self, values=self.values[..., rows, cols], geobox=self.geobox.crop(rows, cols))


def require_same_frame(*frames: Frame) -> None:
    """Nothing where all frames are one; else FrameMismatchError naming the first two that differ."""
    for frame in frames[1:]:
        if frame != frames[0]:
            raise FrameMismatchError(f"two frames meet: {frames[0].crs} ({frames[0].vertical}) and {frame.crs}")


def _bilinear(raster: Raster, rows: Floats, cols: Floats) -> Floats:
    r, c = rows - 0.5, cols - 0.5
    ny, nx = raster.geobox.shape
    r, c = np.clip(r, 0, ny - 1), np.clip(c, 0, nx - 1)
    r0, c0 = np.floor(r), np.floor(c)
    fr, fc = r - r0, c - c0
    total = np.zeros(len(rows))
    for dr, wr in ((0, 1.0 - fr), (1, fr)):
        for dc, wc in ((0, 1.0 - fc), (1, fc)):
            weight = wr * wc
            total += np.where(weight > 0.0, weight * raster._cells(r0 + dr, c0 + dc), 0.0)
    return total
