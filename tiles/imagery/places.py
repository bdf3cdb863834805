"""Places of the Web Mercator scheme: which tile holds a point, which tiles meet a box, where pixels lie.

source  OGC 17-083r4, WebMercatorQuad (the XYZ scheme: y from north)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MOST_ZOOM = 22

_RADIUS = 6_378_137.0
_HALF_WORLD = math.pi * _RADIUS

Box = tuple[float, float, float, float]


def tile_at(lon: float, lat: float, zoom: int) -> tuple[float, float]:
    """Fractional (x, y) of the tile that holds a point given in degrees; y from north."""
    n = 2.0**zoom
    mercator = math.asinh(math.tan(math.radians(lat)))
    return (lon + 180.0) / 360.0 * n, (1.0 - mercator / math.pi) / 2.0 * n


def tile_range(bounds: Box, zoom: int) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of the tiles that meet `bounds` (degrees), end not included."""
    west, north = tile_at(bounds[0], bounds[3], zoom)
    east, south = tile_at(bounds[2], bounds[1], zoom)
    return math.floor(west), math.floor(north), math.ceil(east), math.ceil(south)


def meets(bounds: Box, zoom: int, x: int, y: int) -> bool:
    """True where a tile and `bounds` (degrees) have ground in common."""
    x0, y0, x1, y1 = tile_range(bounds, zoom)
    return x0 <= x < x1 and y0 <= y < y1


def ground_pixel(latitude: float, zoom: int, tile_size: int) -> float:
    """Metres on the ground that a pixel of a zoom covers at a latitude in degrees."""
    return 2.0 * _HALF_WORLD / tile_size / 2.0**zoom * math.cos(math.radians(latitude))


def pixel_lonlat(
    place: tuple[int, int, int], tile_size: int, every: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes (n,) and latitudes (n,) in degrees of every `every`-th pixel corner of a tile (zoom, x, y)."""
    zoom, x, y = place
    pixel = 2.0 * _HALF_WORLD / tile_size / 2.0**zoom
    steps = np.arange(0, tile_size + 1, every)
    across = (x * tile_size + steps) * pixel - _HALF_WORLD
    down = _HALF_WORLD - (y * tile_size + steps) * pixel
    return np.degrees(across / _RADIUS), np.degrees(np.arctan(np.sinh(down / _RADIUS)))
