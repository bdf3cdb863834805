"""Orthophotos as a Web Mercator pyramid of image tiles: the finest source on top, warped by blocks of tiles.

source  OGC 17-083r4, WebMercatorQuad (the XYZ scheme: y from north)
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from tiles.compress import write_all
from tiles.options import ImageTiles
from tiles.terrain.lattice import geographic_bounds
from twin.grid import GeoBox, Raster
from twin.store.protocol import Store
from twin.workers import Workers

TILE = 256
BLOCK = 8
"""Tiles along the side of a block that is warped at once."""

MESH = 128
"""Pixels between the points whose place on the ground is computed."""

_RADIUS = 6_378_137.0
_HALF_WORLD = math.pi * _RADIUS
_MARGIN = 4
_NEAR = 0.2


@dataclass(frozen=True, slots=True)
class Picture:
    """One orthophoto of the store.

    bounds      (west, south, east, north), degrees
    max_zoom    finest zoom that its cells fill
    """

    name: str
    box: GeoBox
    bounds: tuple[float, float, float, float]
    max_zoom: int


@dataclass(frozen=True, slots=True)
class Job:
    """A block of tiles of one zoom: columns and rows of the pyramid, end not included."""

    store: Store
    folder: Path
    pictures: tuple[Picture, ...]
    options: ImageTiles
    fill: tuple[int, int, int]
    zoom: int
    columns: tuple[int, int]
    rows: tuple[int, int]


def pictures(store: Store, options: ImageTiles) -> tuple[Picture, ...]:
    """The orthophotos ortho_0, ortho_1 ... of the store, coarsest first."""
    found = []
    for item in store.items("raster"):
        if item.name.startswith("ortho_"):
            box = store.raster_box(item.name)
            found.append(Picture(item.name, box, geographic_bounds(box), suiting_zoom(box, options)))
    return tuple(sorted(found, key=lambda p: (p.max_zoom, p.name)))


def suiting_zoom(box: GeoBox, options: ImageTiles) -> int:
    """The zoom whose pixels are nearest in size to the raster's cells."""
    if options.max_zoom:
        return options.max_zoom
    _, south, _, north = geographic_bounds(box)
    ground = 2.0 * _HALF_WORLD / TILE * math.cos(math.radians((south + north) / 2.0))
    return max(options.min_zoom, min(22, round(math.log2(ground / min(box.resolution)))))


def tile_at(lon: float, lat: float, zoom: int) -> tuple[float, float]:
    """Fractional (x, y) of the tile that holds a point given in degrees; y from north."""
    n = 2.0**zoom
    mercator = math.asinh(math.tan(math.radians(lat)))
    return (lon + 180.0) / 360.0 * n, (1.0 - mercator / math.pi) / 2.0 * n


def tile_range(bounds: tuple[float, float, float, float], zoom: int) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of the tiles that meet `bounds` (degrees), end not included."""
    west, north = tile_at(bounds[0], bounds[3], zoom)
    east, south = tile_at(bounds[2], bounds[1], zoom)
    return math.floor(west), math.floor(north), math.ceil(east), math.ceil(south)


def build_imagery(
    store: Store, folder: Path, options: ImageTiles, workers: Workers, attribution: str = ""
) -> dict[str, Any] | None:
    """Write `<folder>/imagery`; what imagery.json tells about it, None where the store has no orthophoto.

    All pictures share one pyramid. Its `layers` say where it may be asked: inside a layer's bounds every tile of its
    zooms exists, so a client that keeps to them meets no missing tile. `fill` is the mean colour around the data.
    """
    found = pictures(store, options)
    if not found:
        return None
    home = folder / "imagery"
    fill = _mean_colour(store.read_raster(found[0].name, shape=_thumbnail(found[0].box)))
    jobs = list(_jobs(store, home, found, options, fill))
    totals = np.sum(list(workers.map(write_block, jobs, "imagery")), axis=0)
    told = {
        "fill": "#{:02x}{:02x}{:02x}".format(*fill),
        "tiles": int(totals[0]),
        "wire_bytes": int(totals[1]),
        "layers": [_layer(p, options) | {"attribution": attribution} for p in found],
    }
    write_all(home / "imagery.json", orjson.dumps(told))
    return told


def _layer(picture: Picture, options: ImageTiles) -> dict[str, Any]:
    """Where every tile exists: all zooms from the first that shows the picture whole, inside its bounds."""
    first = options.min_zoom
    for zoom in range(picture.max_zoom, options.min_zoom - 1, -1):
        x0, y0, x1, y1 = tile_range(picture.bounds, zoom)
        if max(x1 - x0, y1 - y0) <= 2:
            first = zoom
            break
    return {
        "source": picture.name,
        "url": f"imagery/{{z}}/{{x}}/{{y}}.{options.format}",
        "scheme": "xyz WebMercatorQuad",
        "format": options.format,
        "tile_size": TILE,
        "minzoom": first,
        "maxzoom": picture.max_zoom,
        "bounds": [round(v, 7) for v in picture.bounds],
        "resolution": round(min(picture.box.resolution), 4),
    }


def _jobs(
    store: Store, home: Path, found: tuple[Picture, ...], options: ImageTiles, fill: tuple[int, int, int]
) -> Iterator[Job]:
    """Blocks of every zoom, finest first; at each zoom those that meet a picture fine enough for it."""
    for zoom in range(max(p.max_zoom for p in found), options.min_zoom - 1, -1):
        ranges = [tile_range(p.bounds, zoom) for p in found if p.max_zoom >= zoom]
        blocks = sorted(
            {
                (bx, by)
                for x0, y0, x1, y1 in ranges
                for bx in range(x0 // BLOCK, -(-x1 // BLOCK))
                for by in range(y0 // BLOCK, -(-y1 // BLOCK))
            }
        )
        west, south = min(r[0] for r in ranges), max(r[3] for r in ranges)
        east, north = max(r[2] for r in ranges), min(r[1] for r in ranges)
        for bx, by in blocks:
            columns = max(bx * BLOCK, west), min((bx + 1) * BLOCK, east)
            rows = max(by * BLOCK, north), min((by + 1) * BLOCK, south)
            yield Job(store, home, found, options, fill, zoom, columns, rows)


def write_block(job: Job) -> tuple[int, int]:
    """Write the tiles of one block; (tiles, bytes)."""
    places = [
        (x, y)
        for x in range(*job.columns)
        for y in range(*job.rows)
        if any(p.max_zoom >= job.zoom and _meets(p.bounds, job.zoom, x, y) for p in job.pictures)
    ]
    image = render(job)
    written = 0
    for x, y in places:
        top, left = (y - job.rows[0]) * TILE, (x - job.columns[0]) * TILE
        data = encode(image[top : top + TILE, left : left + TILE], job.options)
        path = job.folder / str(job.zoom) / str(x) / f"{y}.{job.options.format}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written += len(data)
    return len(places), written


def _meets(bounds: tuple[float, float, float, float], zoom: int, x: int, y: int) -> bool:
    x0, y0, x1, y1 = tile_range(bounds, zoom)
    return x0 <= x < x1 and y0 <= y < y1


def encode(pixels: NDArray[np.uint8], options: ImageTiles) -> bytes:
    """The bytes of one tile (256, 256, 3)."""
    stream = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if options.format == "webp":
        image.save(stream, "WEBP", quality=options.quality, method=2)
    else:
        image.save(stream, "JPEG", quality=options.quality)
    return stream.getvalue()


def render(job: Job) -> NDArray[np.uint8]:
    """Pixels (h, w, 3) of a block: the finest picture on top, the mean colour where there is none."""
    height, width = ((end - start) * TILE for start, end in (job.rows, job.columns))
    image = np.zeros((height, width, 4), np.uint8)
    for picture in reversed(job.pictures):
        warped = _warp(job, picture, (width, height))
        if warped is None:
            continue
        if warped.shape[2] == 3 and not image.any():
            return warped
        layer = warped if warped.shape[2] == 4 else np.dstack([warped, np.full((height, width), 255, np.uint8)])
        image = np.where(image[..., 3:] >= 128, image, layer)
        if image[..., 3].min() >= 128:
            break
    fill = np.array(job.fill, np.uint8)
    return np.where(image[..., 3:] >= 128, image[..., :3], fill)


def _warp(job: Job, picture: Picture, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """The picture on the block's pixels: (h, w, 3) where it covers all of them, (h, w, 4) with cover, or None.

    The way from pixel to ground is exact at the corners of squares of MESH pixels and bilinear inside, which over so
    few metres is the same to a thousandth of a pixel.
    """
    width, height = size
    rows, cols = _ground(job, picture)
    read = _window(job, picture, rows, cols)
    if read is None:
        return None
    window, values = read
    shrink = np.array([window[0].stop - window[0].start, window[1].stop - window[1].start]) / values.shape[:2]
    y, x = (rows - window[0].start) / shrink[0], (cols - window[1].start) / shrink[1]
    inside = x.min() >= 0.5 and y.min() >= 0.5 and x.max() <= values.shape[1] - 0.5 and y.max() <= values.shape[0] - 0.5
    if not inside and values.shape[2] == 3:
        values = np.dstack([values, np.full(values.shape[:2], 255, np.uint8)])
    corners = np.stack([x, y], axis=-1)
    quads = np.concatenate([corners[:-1, :-1], corners[1:, :-1], corners[1:, 1:], corners[:-1, 1:]], axis=-1)
    mesh = [
        ((c * MESH, r * MESH, (c + 1) * MESH, (r + 1) * MESH), tuple(quads[r, c].tolist()))
        for r in range(height // MESH)
        for c in range(width // MESH)
    ]
    if not inside:
        # A border pixel's neighbours outside count as the border itself, so that the picture does not fray.
        values = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
        values[[0, -1], :, 3] = 0
        values[:, [0, -1], 3] = 0
        mesh = [(box, tuple(v + 1.0 for v in quad)) for box, quad in mesh]
    image = Image.fromarray(np.ascontiguousarray(values))
    return np.asarray(image.transform((width, height), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR))


def _ground(job: Job, picture: Picture) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractional rows and columns of the picture (m, n) at every MESH-th pixel corner of the block."""
    pixel = 2.0 * _HALF_WORLD / TILE / 2.0**job.zoom
    across = np.arange(job.columns[0] * TILE, job.columns[1] * TILE + 1, MESH) * pixel - _HALF_WORLD
    down = _HALF_WORLD - np.arange(job.rows[0] * TILE, job.rows[1] * TILE + 1, MESH) * pixel
    lon, lat = np.degrees(across / _RADIUS), np.degrees(np.arctan(np.sinh(down / _RADIUS)))
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


def _window(
    job: Job, picture: Picture, rows: NDArray[np.float64], cols: NDArray[np.float64]
) -> tuple[tuple[slice, slice], NDArray[np.uint8]] | None:
    """(cells, pixels) under a block: the window in full cells, its (ny, nx, 3 or 4) values at a fitting overview."""
    box = picture.box
    wanted = (rows[-1].mean() - rows[0].mean()) / (len(rows) - 1) / MESH
    shrink = 2 ** max(0, math.floor(math.log2(max(wanted * 1.01, 1.0))))
    (low_r, high_r), (low_c, high_c) = _span(rows, shrink, box.shape[0]), _span(cols, shrink, box.shape[1])
    if high_r <= low_r or high_c <= low_c:
        return None
    window = slice(low_r, high_r), slice(low_c, high_c)
    shape = max(1, -(-(high_r - low_r) // shrink)), max(1, -(-(high_c - low_c) // shrink))
    inset = min(box.resolution) * 0.01
    xmin, ymin, xmax, ymax = box.crop(*window).bounds
    read = job.store.read_raster(
        picture.name, bounds=(xmin + inset, ymin + inset, xmax - inset, ymax - inset), shape=shape
    )
    return window, _pixels(read)


def _span(places: NDArray[np.float64], shrink: int, n: int) -> tuple[int, int]:
    low = math.floor((float(places.min()) - _MARGIN * shrink) / shrink) * shrink
    high = math.ceil((float(places.max()) + _MARGIN * shrink) / shrink) * shrink
    return max(0, low), min(n, high)


def _pixels(read: Raster) -> NDArray[np.uint8]:
    """(ny, nx, 3), or (ny, nx, 4) with cover where cells are unknown or the raster has an alpha band."""
    values = read.values if read.values.ndim == 3 else np.repeat(read.values[None], 3, axis=0)
    values = np.repeat(values[:1], 3, axis=0) if len(values) < 3 else values[:4]
    if not math.isnan(read.nodata) and len(values) == 3:
        known = np.any(values != read.nodata, axis=0)
        if not known.all():
            values = np.concatenate([values, np.where(known, 255, 0)[None]])
    return np.ascontiguousarray(np.moveaxis(values, 0, -1), dtype=np.uint8)


def _thumbnail(box: GeoBox) -> tuple[int, int]:
    return min(64, box.shape[0]), min(64, box.shape[1])


def _mean_colour(small: Raster) -> tuple[int, int, int]:
    pixels = _pixels(small).reshape(-1, _pixels(small).shape[-1])
    seen = pixels[pixels[:, 3] > 0, :3] if pixels.shape[1] == 4 else pixels
    colour = seen.mean(axis=0) if seen.size else np.full(3, 128.0)
    red, green, blue = (round(float(v)) for v in colour)
    return red, green, blue


def readable(path: Path) -> tuple[int, int]:
    """(width, height) of an image after decoding it whole."""
    with Image.open(path) as image:
        image.load()
        return image.size
