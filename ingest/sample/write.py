"""Files as bureaus write them: GeoPackage, GBK Shapefile, GeoJSON, CSV, GeoTIFF; same content, same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import DatasetWriter

from ingest.datong.network import Table
from ingest.datong.plan import FRAME, ORIGIN, Extent

CRS = FRAME.crs
STAMP = "2026-06-01T00:00:00Z"
_CHUNK = 200_000


def in_frame(table: Table) -> Table:
    """The same features moved from town coordinates to the frame, to the centimetre."""
    return Table(shapely.transform(table.geometry, lambda xy: np.round(xy + ORIGIN, 2)), table.columns)


def vector(path: Path, table: Table, crs: str = CRS, encoding: str = "utf-8") -> None:
    """One layer in one file; the driver follows the suffix, dates inside the file are fixed."""
    for old in path.parent.glob(path.stem + ".*"):
        old.unlink()
    options = {".gpkg": {}, ".shp": {"DBF_DATE_LAST_UPDATE": STAMP[:10]}, ".geojson": {"COORDINATE_PRECISION": "8"}}[
        path.suffix
    ]
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": STAMP})
    try:
        for start in range(0, max(len(table), 1), _CHUNK):
            part = table.take(np.arange(start, min(start + _CHUNK, len(table))))
            frame = geopandas.GeoDataFrame(part.columns, geometry=part.geometry, crs=CRS)
            pyogrio.write_dataframe(
                frame.to_crs(crs) if crs != CRS else frame, path, append=start > 0, encoding=encoding,
                layer=path.stem, **options,
            )  # fmt: skip
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def table(path: Path, rows: pd.DataFrame, mark: bool = False) -> None:
    """A CSV table in UTF-8, with a byte order mark where `mark`."""
    rows.to_csv(path, index=False, lineterminator="\n", encoding="utf-8-sig" if mark else "utf-8")


@contextmanager
def raster(path: Path, bounds: tuple[float, float, float, float], step: float, count: int) -> Iterator[DatasetWriter]:
    """A tiled GeoTIFF to fill block by block: one float band (heights) or three 8-bit bands (picture)."""
    west, south, east, north = bounds
    x, y = ORIGIN
    profile = {
        "driver": "GTiff", "width": round((east - west) / step), "height": round((north - south) / step),
        "count": count,
        "crs": CRS, "transform": Affine(step, 0.0, west + x, 0.0, -step, north + y), "tiled": True, "blockxsize": 512,
        "blockysize": 512,
    }  # fmt: skip
    if count == 1:
        profile |= {"dtype": "float32", "nodata": -9999.0, "compress": "deflate", "predictor": 3, "zlevel": 6}
    else:
        profile |= {"dtype": "uint8", "compress": "jpeg", "photometric": "ycbcr", "jpeg_quality": 88}
    path.unlink(missing_ok=True)
    with rasterio.Env(GDAL_NUM_THREADS="2"), rasterio.open(path, "w", **profile) as file:
        yield file


def overviews(path: Path) -> None:
    """Smaller copies of a picture inside the same file, halved until one tile is left."""
    with rasterio.open(path) as file:
        side = max(file.shape)
    levels = [2**k for k in range(1, 12) if side / 2**k > 256]
    if not levels:
        return
    with rasterio.Env(JPEG_QUALITY_OVERVIEW="86", GDAL_NUM_THREADS="2"), rasterio.open(path, "r+") as file:
        file.build_overviews(levels, Resampling.average)


def cells(
    bounds: tuple[float, float, float, float], step: float, rows: slice
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Town coordinates of cell centres of some rows: u (nx,) and v (rows,), north first."""
    west, south, east, north = bounds
    u = west + (np.arange(round((east - west) / step)) + 0.5) * step
    ny = round((north - south) / step)
    return u, north - (np.arange(ny)[rows] + 0.5) * step


def bounds_of(extent: Extent) -> tuple[float, float, float, float]:
    """The extent as west, south, east, north."""
    return extent.west, extent.south, extent.east, extent.north
