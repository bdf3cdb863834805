"""One tile of the orthophotos, from the store to bytes: the finest source on top, read at a fitting overview, warped.

A tile depends on its place, the pictures and the options and on nothing else, so that a pyramid made beforehand and a
server that paints on demand have the same bytes.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiles.imagery.places import MOST_ZOOM, ground_pixel, meets, pixel_lonlat
from tiles.options import ImageTiles
from tiles.terrain.lattice import geographic_bounds
from twin.grid import GeoBox
from twin.store.protocol import RasterReader, Store

MESH = 128
"""Pixels between the points whose place on the ground is computed."""

_MARGIN = 4
_NEAR = 0.2

Pixels = NDArray[np.uint8]
Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Picture:
    """One orthophoto of the store.

    digest      of its content
    bounds      (west, south, east, north), degrees
    max_zoom    finest zoom that its cells fill
    """

    name: str
    digest: str
    reader: RasterReader
    bounds: tuple[float, float, float, float]
    max_zoom: int

    @property
    def box(self) -> GeoBox:
        """Where its cells lie."""
        return self.reader.geobox


@dataclass(frozen=True, slots=True)
class Mosaic:
    """The orthophotos of a store as one picture.

    pictures    coarsest first
    fill        red, green, blue where there is no picture: the mean colour of the coarsest
    """

    pictures: tuple[Picture, ...]
    options: ImageTiles
    fill: tuple[int, int, int]

    @property
    def max_zoom(self) -> int:
        """Finest zoom of any picture."""
        return max(picture.max_zoom for picture in self.pictures)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) around all pictures, degrees."""
        west, south, east, north = zip(*(picture.bounds for picture in self.pictures), strict=True)
        return min(west), min(south), max(east), max(north)

    def is_current(self) -> bool:
        """False where a picture was replaced or taken away since the mosaic was opened."""
        return all(picture.reader.is_current() for picture in self.pictures)

    def only(self, name: str) -> Mosaic | None:
        """The mosaic of one picture alone; None where it has no such picture."""
        kept = tuple(picture for picture in self.pictures if picture.name == name)
        return replace(self, pictures=kept) if kept else None

    def has(self, place: Place) -> bool:
        """True where a picture that is fine enough for the zoom meets the tile (zoom, x, y)."""
        return any(p.max_zoom >= place[0] and meets(p.bounds, *place) for p in self.pictures)

    def tile(self, place: Place) -> bytes:
        """The bytes of a tile (zoom, x, y) in the format of the options."""
        return encode(self.render(place), self.options)

    def render(self, place: Place) -> Pixels:
        """Pixels (n, n, 3) of a tile (zoom, x, y): the finest picture on top, the mean colour where there is none."""
        side = self.options.tile_size
        image = np.zeros((side, side, 4), np.uint8)
        for picture in reversed(self.pictures):
            warped = _warp(picture, place, side)
            if warped is None:
                continue
            if warped.shape[2] == 3 and not image.any():
                return warped
            layer = warped if warped.shape[2] == 4 else np.dstack([warped, np.full((side, side), 255, np.uint8)])
            image = np.where(image[..., 3:] >= 128, image, layer)
            if image[..., 3].min() >= 128:
                break
        return np.where(image[..., 3:] >= 128, image[..., :3], np.array(self.fill, np.uint8))


def open_mosaic(store: Store, options: ImageTiles) -> Mosaic | None:
    """The orthophotos ortho_0, ortho_1 ... of the store, kept open for many tiles; None where there is none."""
    found = []
    for item in store.items("raster"):
        if item.name.startswith("ortho_"):
            reader = store.open_raster(item.name)
            zoom = suiting_zoom(reader.geobox, options)
            found.append(Picture(item.name, item.digest, reader, geographic_bounds(reader.geobox), zoom))
    found.sort(key=lambda p: (p.max_zoom, p.name))
    return Mosaic(tuple(found), options, _mean_colour(found[0].reader)) if found else None


def suiting_zoom(box: GeoBox, options: ImageTiles) -> int:
    """The zoom whose pixels are nearest in size to the raster's cells."""
    if options.max_zoom:
        return options.max_zoom
    ground = ground_pixel(_latitude(geographic_bounds(box)), 0, options.tile_size)
    return max(options.min_zoom, min(MOST_ZOOM, round(math.log2(ground / min(box.resolution)))))


def _latitude(bounds: tuple[float, float, float, float]) -> float:
    return (bounds[1] + bounds[3]) / 2.0


def encode(pixels: Pixels, options: ImageTiles) -> bytes:
    """The bytes of one tile (n, n, 3)."""
    stream = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if options.format == "webp":
        image.save(stream, "WEBP", quality=options.quality, method=2)
    else:
        image.save(stream, "JPEG", quality=options.quality)
    return stream.getvalue()


def _warp(picture: Picture, place: Place, side: int) -> Pixels | None:
    """The picture on the tile's pixels: (n, n, 3) where it covers all of them, (n, n, 4) with cover, or None.

    The way from pixel to ground is exact at the corners of squares of MESH pixels and bilinear inside, which over so
    few metres is the same to a thousandth of a pixel.
    """
    rows, cols = _ground(picture, place, side)
    shrink = _shrink(picture, place[0], side)
    (low_r, high_r), (low_c, high_c) = (
        _span(at, shrink, n) for at, n in zip((rows, cols), picture.box.shape, strict=True)
    )
    if high_r <= low_r or high_c <= low_c:
        return None
    shape = max(1, -(-(high_r - low_r) // shrink)), max(1, -(-(high_c - low_c) // shrink))
    read = picture.reader.read(slice(low_r, high_r), slice(low_c, high_c), shape)
    values = _pixels(read, picture.reader.nodata)
    scale = (high_r - low_r) / values.shape[0], (high_c - low_c) / values.shape[1]
    y, x = (rows - low_r) / scale[0], (cols - low_c) / scale[1]
    inside = x.min() >= 0.5 and y.min() >= 0.5 and x.max() <= values.shape[1] - 0.5 and y.max() <= values.shape[0] - 0.5
    if not inside:
        if values.shape[2] == 3:
            values = np.dstack([values, np.full(values.shape[:2], 255, np.uint8)])
        # A border pixel's neighbours outside count as the border itself, so that the picture does not fray.
        values = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
        values[[0, -1], :, 3] = 0
        values[:, [0, -1], 3] = 0
        x, y = x + 1.0, y + 1.0
    corners = np.stack([x, y], axis=-1)
    quads = np.concatenate([corners[:-1, :-1], corners[1:, :-1], corners[1:, 1:], corners[:-1, 1:]], axis=-1)
    mesh = [
        ((c * MESH, r * MESH, (c + 1) * MESH, (r + 1) * MESH), tuple(quads[r, c].tolist()))
        for r in range(side // MESH)
        for c in range(side // MESH)
    ]
    image = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(image.transform((side, side), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR))


def _ground(picture: Picture, place: Place, side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractional rows and columns of the picture (m, m) at every MESH-th pixel corner of the tile."""
    lon, lat = pixel_lonlat(place, side, MESH)
    # Far from the city a projection may give no number; the picture's own neighbourhood is all that counts.
    west, south, east, north = picture.bounds
    near = np.clip(lon, west - _NEAR, east + _NEAR), np.clip(lat, south - _NEAR, north + _NEAR)
    lonlat = np.stack(np.meshgrid(*near), axis=-1).reshape(-1, 2)
    rows, cols = picture.box.rowcol(picture.box.frame.from_lonlat(lonlat))
    # What was clipped is put back by plain proportion, so that squares far outside stay outside and none is folded.
    metres = 111_000.0 / np.array(picture.box.resolution)
    beyond_lon, beyond_lat = (v - n for v, n in zip((lon, lat), near, strict=True))
    rows = rows.reshape(len(lat), len(lon)) - beyond_lat[:, None] * metres[1]
    cols = cols.reshape(len(lat), len(lon)) + beyond_lon[None, :] * metres[0]
    return rows, cols


def _shrink(picture: Picture, zoom: int, side: int) -> int:
    """The power of two by which cells are read smaller, so that a pixel covers one to two of what is read.

    It is one number for a picture and zoom, so that neighbouring tiles are of the same overview.
    """
    wanted = ground_pixel(_latitude(picture.bounds), zoom, side) / min(picture.box.resolution)
    return 2 ** max(0, math.floor(math.log2(max(wanted * 1.01, 1.0))))


def _span(places: NDArray[np.float64], shrink: int, n: int) -> tuple[int, int]:
    low = math.floor((float(places.min()) - _MARGIN * shrink) / shrink) * shrink
    high = math.ceil((float(places.max()) + _MARGIN * shrink) / shrink) * shrink
    return max(0, low), min(n, high)


def _pixels(read: NDArray[np.generic], nodata: float) -> Pixels:
    """(ny, nx, 3), or (ny, nx, 4) with cover where cells are unknown or the raster has an alpha band."""
    values = np.repeat(read[:1], 3, axis=0) if len(read) < 3 else read[:4]
    if not math.isnan(nodata) and len(values) == 3:
        known = np.any(values != nodata, axis=0)
        if not known.all():
            values = np.concatenate([values, np.where(known, 255, 0)[None]])
    return np.ascontiguousarray(np.moveaxis(values, 0, -1), dtype=np.uint8)


def _mean_colour(reader: RasterReader) -> tuple[int, int, int]:
    ny, nx = reader.geobox.shape
    small = _pixels(reader.read(slice(0, ny), slice(0, nx), (min(64, ny), min(64, nx))), reader.nodata)
    pixels = small.reshape(-1, small.shape[-1])
    seen = pixels[pixels[:, 3] > 0, :3] if pixels.shape[1] == 4 else pixels
    colour = seen.mean(axis=0) if seen.size else np.full(3, 128.0)
    red, green, blue = (round(float(v)) for v in colour)
    return red, green, blue


def readable(path: Path) -> tuple[int, int]:
    """(width, height) of an image after decoding it whole."""
    with Image.open(path) as image:
        image.load()
        return image.size
