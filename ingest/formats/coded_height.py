"""Heights coded into the colours of a picture (Terrain-RGB, Terrarium), placed by declared bounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.windows import Window

from ingest.formats.claims import require_heights, require_raster
from ingest.reading import Delivery
from twin.errors import SourceError

_ROWS = 256
CODINGS = ("terrain-rgb", "terrarium")


def decode(rgb: NDArray[Any], coding: str) -> NDArray[np.float32]:
    """(ny, nx) f4 m of (3 or 4, ny, nx) u1; NaN where a fourth band (alpha) is 0.

    source  Mapbox Terrain-RGB v1: -10000 + (R 65536 + G 256 + B) 0.1; Terrarium: R 256 + G + B / 256 - 32768
    """
    red, green, blue = rgb[:3].astype(np.float64)
    if coding == "terrain-rgb":
        height = -10_000.0 + (red * 65_536.0 + green * 256.0 + blue) * 0.1
    else:
        height = red * 256.0 + green + blue / 256.0 - 32_768.0
    if len(rgb) == 4:
        height[rgb[3] == 0] = np.nan
    return height.astype(np.float32)


@contextmanager
def open_decoded(path: Path, delivery: Delivery) -> Iterator[Any]:
    """The picture as an open rasterio dataset of one band f4 m in the declared bounds, without a CRS of its own.

    needs   extra = { coding = "terrain-rgb", bounds = [west, south, east, north] } in the declared crs
    raises  SourceError for another coding, for bounds that are none, for a picture without three bands of bytes
    """
    shown, extra, name = delivery.shown(path), delivery.source.extra, delivery.source.name
    coding = str(extra["coding"])
    if coding not in CODINGS:
        raise SourceError(f'source "{name}": extra.coding {coding!r} is none of {", ".join(CODINGS)}')
    west, south, east, north = _bounds(extra.get("bounds"), name)
    with rasterio.open(path) as picture:
        if picture.count not in (3, 4) or set(picture.dtypes) != {"uint8"}:
            raise SourceError(f"{shown}: {picture.count} bands of {picture.dtypes[0]}; {coding} has 3 or 4 of uint8")
        require_raster(picture, shown)
        require_heights(picture.shape, shown)
        ny, nx = picture.shape
        cells = Affine((east - west) / nx, 0.0, west, 0.0, (south - north) / ny, north)
        profile = {"driver": "GTiff", "count": 1, "height": ny, "width": nx, "dtype": "float32", "nodata": np.nan}
        with MemoryFile() as memory:
            with memory.open(**profile, transform=cells) as dataset:
                for row in range(0, ny, _ROWS):
                    rows = Window(0, row, nx, min(_ROWS, ny - row))
                    dataset.write(decode(picture.read(window=rows), coding), 1, window=rows)
            with memory.open() as dataset:
                yield dataset


def _bounds(stated: Any, name: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(value) for value in stated)
    except (TypeError, ValueError):
        west = south = east = north = 0.0
    if not (west < east and south < north):
        raise SourceError(f'source "{name}": extra.bounds wants [west, south, east, north] in its crs, is {stated!r}')
    return west, south, east, north
