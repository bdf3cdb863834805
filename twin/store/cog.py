"""One raster as one Cloud Optimized GeoTIFF, written block by block and read by window."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from twin.errors import GeometryError, StoreError
from twin.frames import Frame
from twin.grid import Bounds, GeoBox, Raster

_BLOCK = 512


class BlockWriter:
    """Puts blocks of values into an open dataset."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def write(self, values: NDArray[np.generic], row: int, col: int) -> None:
        """Put `values` (ny, nx) or (band, ny, nx) with its north-west cell at (row, col)."""
        bands = values[np.newaxis] if values.ndim == 2 else values
        window = Window(col, row, bands.shape[2], bands.shape[1])
        self._dataset.write(bands.astype(self._dataset.dtypes[0], copy=False), window=window)


@contextmanager
def open_writer(path: Path, geobox: GeoBox, count: int, dtype: str, unit: str) -> Iterator[BlockWriter]:
    """A block writer; when the block ends well, `path` is a Cloud Optimized GeoTIFF with overviews."""
    rough = path.with_suffix(".rough.tif")
    floating = np.dtype(dtype).kind == "f"
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": geobox.shape[0],
        "width": geobox.shape[1],
        "count": count,
        "dtype": dtype,
        "crs": geobox.frame.crs,
        "transform": geobox.affine,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "nodata": math.nan if floating else None,
        "BIGTIFF": "IF_SAFER",
        "SPARSE_OK": True,
    }
    if count == 3 and dtype == "uint8":
        profile |= {"photometric": "RGB", "interleave": "pixel"}
    try:
        with rasterio.open(rough, "w", **profile) as dataset:
            dataset.units = [unit] * count
            yield BlockWriter(dataset)
        copy_raster(rough, path, driver="COG", **_cog_options(count, dtype))
    finally:
        rough.unlink(missing_ok=True)


def _cog_options(count: int, dtype: str) -> dict[str, Any]:
    common: dict[str, Any] = {"BLOCKSIZE": _BLOCK, "NUM_THREADS": "ALL_CPUS", "BIGTIFF": "IF_SAFER"}
    if count == 3 and dtype == "uint8":
        return common | {"COMPRESS": "JPEG", "QUALITY": 90, "OVERVIEW_QUALITY": 88, "RESAMPLING": "AVERAGE"}
    predictor = "FLOATING_POINT" if np.dtype(dtype).kind == "f" else "STANDARD"
    resampling = "AVERAGE" if np.dtype(dtype).kind == "f" else "NEAREST"
    return common | {"COMPRESS": "DEFLATE", "LEVEL": 6, "PREDICTOR": predictor, "RESAMPLING": resampling}


def read_box(path: Path, frame: Frame) -> GeoBox:
    """Where the raster lies."""
    with _open(path) as dataset:
        return GeoBox(dataset.shape, dataset.transform, frame)


def read_window(
    path: Path,
    frame: Frame,
    bounds: Bounds | None = None,
    shape: tuple[int, int] | None = None,
    band: int | None = None,
) -> Raster:
    """The cells that meet `bounds`, decimated to `shape` through the overviews where it is given."""
    with _open(path) as dataset:
        box = GeoBox(dataset.shape, dataset.transform, frame)
        if bounds is not None:
            box = box.crop(*box.window(bounds))
        if 0 in box.shape:
            raise GeometryError(f"raster {path.stem}: the window {bounds} lies outside it")
        rows, cols = GeoBox(dataset.shape, dataset.transform, frame).rowcol([[box.affine.c, box.affine.f]])
        window = Window(round(cols[0]), round(rows[0]), box.shape[1], box.shape[0])
        bands = band if band is not None else (1 if dataset.count == 1 else list(range(1, dataset.count + 1)))
        size = shape or box.shape
        out_shape = size if isinstance(bands, int) else (len(bands), *size)
        try:
            values = dataset.read(bands, window=window, out_shape=out_shape, resampling=_method(dataset))
        except RasterioIOError as error:
            raise StoreError(f"raster {path.stem}: damaged ({error}); run the stage that made it again") from error
        nodata = math.nan if dataset.nodata is None else float(dataset.nodata)
        unit = dataset.units[0] or "m"
    return Raster(values, box.zoom(size) if shape else box, nodata, unit)


class WindowReader:
    """A raster kept open for many small windows: one dataset a thread, opened when the thread first asks.

    raises  StoreError where the file is damaged, or was replaced since the reader was made
    """

    def __init__(self, path: Path, frame: Frame) -> None:
        self._path = path
        with _open(path) as dataset:
            self._signature = _signature(path)
            self._geobox = GeoBox(dataset.shape, dataset.transform, frame)
            self._nodata = math.nan if dataset.nodata is None else float(dataset.nodata)
            self._method = _method(dataset)
        self._mine = threading.local()

    @property
    def geobox(self) -> GeoBox:
        """Where its cells lie."""
        return self._geobox

    @property
    def nodata(self) -> float:
        """The value that stands for "unknown"; NaN where there is none."""
        return self._nodata

    def is_current(self) -> bool:
        """False where another raster took its place, or none."""
        try:
            return _signature(self._path) == self._signature
        except OSError:
            return False

    def read(self, rows: slice, cols: slice, shape: tuple[int, int]) -> NDArray[np.generic]:
        """(band, *shape) of a window of cells, decimated through the overviews."""
        dataset = getattr(self._mine, "dataset", None)
        if dataset is None:
            dataset = _open(self._path)
            if not self.is_current():
                raise StoreError(f"raster {self._path.stem}: was replaced while it was read; ask again")
            self._mine.dataset = dataset
        window = Window(cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start)
        try:
            values: NDArray[np.generic] = dataset.read(
                window=window, out_shape=(dataset.count, *shape), resampling=self._method
            )
        except RasterioIOError as error:
            raise StoreError(
                f"raster {self._path.stem}: damaged ({error}); run the stage that made it again"
            ) from error
        return values

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the open datasets: another process opens its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_mine"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._mine = threading.local()


def _signature(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _method(dataset: Any) -> Resampling:
    floating = np.dtype(dataset.dtypes[0]).kind == "f"
    return Resampling.average if floating or dataset.count == 3 else Resampling.nearest


def _open(path: Path) -> Any:
    try:
        return rasterio.open(path)
    except RasterioIOError as error:
        raise StoreError(f"raster {path.stem}: cannot be opened ({error}); run the stage that made it") from error
