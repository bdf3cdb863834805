"""The tiles of the orthophotos made beforehand, as one Web Mercator pyramid, and what is told about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tiles.compress import write_all
from tiles.imagery.mosaic import Mosaic, Picture, open_mosaic
from tiles.imagery.places import tile_at, tile_range
from tiles.opening import around, write_opening
from tiles.options import ImageTiles
from twin.store.protocol import Store
from twin.workers import Workers

BLOCK = 2048
"""Pixels along the side of a block, whose tiles are made one after the other: they read the same cells."""

SERVED = "ortho"
"""Name under which the server paints all orthophotos together."""


@dataclass(frozen=True, slots=True)
class Job:
    """A block of tiles of one zoom: columns and rows of the pyramid, end not included."""

    mosaic: Mosaic
    folder: Path
    zoom: int
    columns: tuple[int, int]
    rows: tuple[int, int]


def build_imagery(
    store: Store,
    folder: Path,
    options: ImageTiles,
    workers: Workers,
    attribution: str = "",
    focus: tuple[float, float] | None = None,
) -> dict[str, Any] | None:
    """Write `<folder>/imagery`; what imagery.json tells about it, None where the store has no orthophoto.

    All pictures share one pyramid. Its `layers` say where it may be asked: inside a layer's bounds every tile of its
    zooms exists, so a client that keeps to them meets no missing tile. `fill` is the mean colour around the data.
    With the mode "fly" no tile is written, and the addresses are those of the server that paints them.
    focus   longitude and latitude that the first view looks at; None for the middle of the pictures
    """
    mosaic = open_mosaic(store, options)
    if mosaic is None:
        return None
    home = folder / "imagery"
    jobs = list(_jobs(mosaic, home)) if options.mode != "fly" else []
    totals = np.sum([(0, 0), *workers.map(write_block, jobs, "imagery")], axis=0)
    west, south, east, north = mosaic.bounds
    middle = focus or ((west + east) / 2.0, (south + north) / 2.0)
    opening = write_opening(home, _opening(mosaic, middle)) if jobs else None
    more = {"attribution": attribution} | ({"opening": f"imagery/{opening}"} if opening else {})
    told = {
        "fill": "#{:02x}{:02x}{:02x}".format(*mosaic.fill),
        "tiles": int(totals[0]),
        "wire_bytes": int(totals[1]),
        "layers": [layer_of(p, options) | more for p in mosaic.pictures],
    }
    write_all(home / "imagery.json", orjson.dumps(told))
    return told


def _opening(mosaic: Mosaic, focus: tuple[float, float]) -> Iterator[str]:
    """Files that a first view asks for: the tiles around its middle, coarse ones first."""
    for zoom in range(mosaic.options.min_zoom, mosaic.max_zoom + 1):
        x0, y0, x1, y1 = tile_range(mosaic.bounds, zoom)
        x, y = tile_at(*focus, zoom)
        near = [(k, j) for k in range(int(x) - 2, int(x) + 3) for j in range(int(y) - 2, int(y) + 3)]
        places = [(k, j) for k, j in near if x0 <= k < x1 and y0 <= j < y1 and mosaic.has((zoom, k, j))]
        yield from (f"{zoom}/{k}/{j}.{mosaic.options.format}" for k, j in around(places, (x, y)))


def layer_of(picture: Picture, options: ImageTiles) -> dict[str, Any]:
    """Where every tile exists: all zooms from the first that shows the picture whole, inside its bounds."""
    file = f"{{z}}/{{x}}/{{y}}.{options.format}"
    return {
        "source": picture.name,
        "url": f"/imagery/{SERVED}/{file}" if options.mode == "fly" else f"imagery/{file}",
        "mode": options.mode,
        "scheme": "xyz WebMercatorQuad",
        "format": options.format,
        "tile_size": options.tile_size,
        "minzoom": first_zoom(picture, options),
        "maxzoom": picture.max_zoom,
        "bounds": [round(v, 7) for v in picture.bounds],
        "resolution": round(min(picture.box.resolution), 4),
    }


def first_zoom(picture: Picture, options: ImageTiles) -> int:
    """The finest zoom at which two by two tiles show the picture whole."""
    for zoom in range(picture.max_zoom, options.min_zoom - 1, -1):
        x0, y0, x1, y1 = tile_range(picture.bounds, zoom)
        if max(x1 - x0, y1 - y0) <= 2:
            return zoom
    return options.min_zoom


def _jobs(mosaic: Mosaic, home: Path) -> Iterator[Job]:
    """Blocks of every zoom, finest first; at each zoom those that meet a picture fine enough for it."""
    side = BLOCK // mosaic.options.tile_size
    for zoom in range(mosaic.max_zoom, mosaic.options.min_zoom - 1, -1):
        ranges = [tile_range(p.bounds, zoom) for p in mosaic.pictures if p.max_zoom >= zoom]
        blocks = sorted(
            {
                (bx, by)
                for x0, y0, x1, y1 in ranges
                for bx in range(x0 // side, -(-x1 // side))
                for by in range(y0 // side, -(-y1 // side))
            }
        )
        west, south = min(r[0] for r in ranges), max(r[3] for r in ranges)
        east, north = max(r[2] for r in ranges), min(r[1] for r in ranges)
        for bx, by in blocks:
            columns = max(bx * side, west), min((bx + 1) * side, east)
            rows = max(by * side, north), min((by + 1) * side, south)
            yield Job(mosaic, home, zoom, columns, rows)


def write_block(job: Job) -> tuple[int, int]:
    """Write the tiles of one block; (tiles, bytes)."""
    places = [
        (job.zoom, x, y) for y in range(*job.rows) for x in range(*job.columns) if job.mosaic.has((job.zoom, x, y))
    ]
    written = 0
    for zoom, x, y in places:
        data = job.mosaic.tile((zoom, x, y))
        path = job.folder / str(zoom) / str(x) / f"{y}.{job.mosaic.options.format}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written += len(data)
    return len(places), written
