"""Where tiles lie: Web Mercator as a grid of whole numbers, 4096 to a tile, and the squares that are worked on at once.

source  OGC 17-083r4, WebMercatorQuad; x may leave the world where a city lies across the antimeridian
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin.frames import Frame
from twin.grid import Bounds
from twin.store.protocol import Store
from twin.store.query import Where

Floats = NDArray[np.float64]

EXTENT = 4096
"""Grid cells along the side of a tile."""

CIRCUMFERENCE = 40_075_016.686
"""m of the equator."""

_POLE = 85.051_128_779_806_59
_SIDE_POINTS = 17
_MARGIN = 2.0


@dataclass(frozen=True, slots=True)
class World:
    """The way from the frame to the map.

    middle      longitude of the city, degrees; the map is cut on the other side of the world
    """

    frame: Frame
    middle: float

    def place(self, xy: ArrayLike) -> Floats:
        """(n, 2) fractions of the world, y from north, of frame points (n, 2); beyond 85.05 degrees on the rim."""
        lonlat = self.frame.to_lonlat(xy)
        lon = self.middle + np.remainder(lonlat[:, 0] - self.middle + 180.0, 360.0) - 180.0
        sine = np.sin(np.radians(np.clip(lonlat[:, 1], -_POLE, _POLE)))
        return np.column_stack([lon / 360.0 + 0.5, 0.5 - np.arctanh(sine) / (2.0 * math.pi)])

    def bounds_of(self, square: Square, buffer: float) -> Bounds:
        """(xmin, ymin, xmax, ymax) in the frame, m, of a square and `buffer` of its side around it."""
        steps = np.linspace(-buffer, 1.0 + buffer, _SIDE_POINTS)
        side = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        place = (side + np.array([square.x, square.y])) / 2.0**square.zoom
        lat = np.degrees(np.arctan(np.sinh(math.pi * (1.0 - 2.0 * np.clip(place[:, 1], 0.0, 1.0)))))
        lon = np.remainder(place[:, 0] * 360.0, 360.0) - 180.0
        points = self.frame.from_lonlat(np.column_stack([lon, lat]))
        low, high = points.min(axis=0) - _MARGIN, points.max(axis=0) + _MARGIN
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def fraction_of(lon: float, lat: float) -> tuple[float, float]:
    """(x, y) as fractions of the world, y from north, of a point in degrees."""
    sine = math.sin(math.radians(min(max(lat, -_POLE), _POLE)))
    return lon / 360.0 + 0.5, 0.5 - math.atanh(sine) / (2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class Square:
    """A tile as a place: zoom, column, row from north; the column may lie beyond the rim of the world."""

    zoom: int
    x: int
    y: int

    def children(self) -> tuple[Square, ...]:
        """The four tiles of the next zoom."""
        return tuple(Square(self.zoom + 1, 2 * self.x + i, 2 * self.y + j) for j in (0, 1) for i in (0, 1))


def middle_of(frame: Frame, bounds: Bounds) -> float:
    """Longitude of the middle of `bounds` (frame, m), degrees."""
    return float(frame.to_lonlat([[(bounds[0] + bounds[2]) / 2.0, (bounds[1] + bounds[3]) / 2.0]])[0, 0])


def union(bounds: list[Bounds]) -> Bounds:
    """The box around boxes."""
    stacked = np.array(bounds)
    low, high = stacked[:, :2].min(axis=0), stacked[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def lonlat_box(world: World, bounds: Bounds) -> Bounds:
    """(west, south, east, north) in degrees of a box of the frame, within the world."""
    points = world.frame.to_lonlat(outline(bounds))
    lon = world.middle + np.remainder(points[:, 0] - world.middle + 180.0, 360.0) - 180.0
    lat = points[:, 1]
    return max(-180.0, float(lon.min())), float(lat.min()), min(180.0, float(lon.max())), float(lat.max())


def outline(bounds: Bounds) -> Floats:
    """Points (n, 2) along and inside a box."""
    x = np.linspace(bounds[0], bounds[2], _SIDE_POINTS)
    y = np.linspace(bounds[1], bounds[3], _SIDE_POINTS)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def occupied(store: Store, names: tuple[str, ...], world: World, zoom: int, buffer: float) -> list[Square]:
    """The squares of a zoom that a feature of the layers meets with its box; empty land is never looked at closely."""
    extents = [extent for name in names if (extent := store.item("layer", name).extent) is not None]
    place = world.place(outline(union(extents)))
    top = 0
    while top < zoom and np.ptp(np.floor(place * 2.0 ** (top + 1)), axis=0).max() <= 1.0:
        top += 1
    low, high = (np.floor(v * 2.0**top).astype(int) for v in (place.min(axis=0), place.max(axis=0)))
    squares = [Square(top, x, y) for y in range(low[1], high[1] + 1) for x in range(low[0], high[0] + 1)]
    while True:
        met = [s for s in squares if _meets(store, names, world.bounds_of(s, buffer))]
        if top == zoom:
            return met
        squares = [child for square in met for child in square.children() if 0 <= child.y < 2**child.zoom]
        top += 1


def _meets(store: Store, names: tuple[str, ...], bounds: Bounds) -> bool:
    return any(store.count_layer(name, Where(bbox=bounds)) for name in names)
