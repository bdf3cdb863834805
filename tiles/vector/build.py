"""The map of a city: layers of the store, block by block of tiles, into one archive with its TileJSON and styles."""

from __future__ import annotations

import gzip
import hashlib
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tiles.compress import write_all
from tiles.options import VectorTiles
from tiles.vector import style
from tiles.vector.batch import Batch, batch_of, labels, read_large, read_window
from tiles.vector.classes import LABELS, Source, sources
from tiles.vector.cut import Level, cut, visible
from tiles.vector.encode import encode
from tiles.vector.grid import CIRCUMFERENCE, EXTENT, Square, World, lonlat_box, middle_of, occupied, outline, union
from tiles.vector.pmtiles import Facts, Writer, tile_id
from twin.city import City
from twin.errors import MissingInputError, OptionsError
from twin.features import FEATURE_CLASSES
from twin.grid import Bounds
from twin.store.protocol import Store
from twin.workers import Workers

ARCHIVE = "city.pmtiles"
TILEJSON = "tiles.json"

_BLOCK = 13
"""Zoom of the squares whose tiles are made at once; some kilometres."""

_OID = "oid"

Tile = tuple[int, int, bytes, bytes]
"""zoom, number on the curve, bytes compressed by gzip, digest"""


@dataclass(frozen=True, slots=True)
class Job:
    """Tiles that are made at once: those of `square` at each zoom of `zooms`, of one square or of the whole city.

    square      its zoom is that of the block; None for the zooms above the blocks, of the whole city
    """

    store: Store
    sources: tuple[Source, ...]
    world: World
    options: VectorTiles
    zooms: range
    square: Square | None


def build_vector(city: City, folder: Path, options: VectorTiles, workers: Workers) -> dict[str, Any] | None:
    """Write `<folder>/vector`: archive, TileJSON, a style in Chinese and one in English; what build.json tells of it.

    None where the store has no layer with a place.
    """
    found = sources(city.store, options.leave_out)
    if not found:
        return None
    home = folder / "vector"
    home.mkdir(parents=True)
    told = write_archive(city, home / ARCHIVE, options, workers)
    document = tilejson(city, options, told)
    write_all(home / TILEJSON, orjson.dumps(document))
    names = [layer["id"] for layer in document["vector_layers"]]
    for language, file in style.FILES.items():
        write_all(home / file, orjson.dumps(style.style(names, language, document)))
    return {
        "url": "vector/{z}/{x}/{y}.mvt",
        "archive": f"vector/{ARCHIVE}",
        "tilejson": f"vector/{TILEJSON}",
        "styles": {language: f"vector/{file}" for language, file in style.FILES.items()},
        "scheme": "xyz WebMercatorQuad",
        "layers": names,
        **told,
        "buffer": options.buffer,
        "tile_bytes": options.tile_bytes,
        "attribution": document["attribution"],
    }


def write_archive(city: City, path: Path, options: VectorTiles, workers: Workers) -> dict[str, Any]:
    """Write the archive at `path`; zooms, bounds (degrees), tiles, contents, bytes and features left out for size.

    The same bytes whatever the workers; memory is that of a block for each worker, and of the features that the zooms
    above the blocks show.
    raises  MissingInputError where the store has no layer with a place
    """
    store, frame = city.store, city.frame
    found = sources(store, options.leave_out)
    if not found:
        raise MissingInputError(f"{city.name_en}: no layer has a place; run `twin ingest {city.root}`")
    extent = union([s.item.extent for s in found if s.item.extent is not None])
    world = World(frame, middle_of(frame, extent))
    bounds = lonlat_box(world, extent)
    first, last = min(options.min_zoom, options.max_zoom), options.max_zoom
    metadata = {
        "name": city.name,
        "description": city.name_en,
        "type": "overlay",
        "attribution": credit(found),
        "vector_layers": vector_layers(found, options),
    }
    left_out = 0
    with Writer(path.parent) as writer:
        for tiles, gone in workers.map(make, jobs(store, found, world, options), "vector tiles"):
            left_out += gone
            for zoom, number, data, digest in tiles:
                writer.put(zoom, number, data, digest)
        told = writer.finish(path, Facts((first, last), bounds, metadata))
    return {"minzoom": first, "maxzoom": last, "bounds": [round(v, 7) for v in bounds], **told, "left_out": left_out}


def export_archive(city: City, out: Path, options: VectorTiles, workers: Workers) -> dict[str, Any]:
    """Write the archive at `out`, whole or not at all; as `write_archive` tells of it.

    raises  OptionsError where the folder of `out` is not there
    """
    if not out.absolute().parent.is_dir():
        raise OptionsError(f"{out}: there is no folder {out.absolute().parent}; make it or choose another place")
    with tempfile.TemporaryDirectory(prefix=".pmtiles-", dir=out.absolute().parent) as beside:
        told = write_archive(city, Path(beside) / ARCHIVE, options, workers)
        (Path(beside) / ARCHIVE).replace(out)
    return told


def jobs(store: Store, found: tuple[Source, ...], world: World, options: VectorTiles) -> list[Job]:
    """First the zooms above the blocks, then the blocks in the order of the curve."""
    block = min(_BLOCK, options.max_zoom)
    names = tuple(source.item.name for source in found)
    squares = occupied(store, names, world, block, options.buffer / EXTENT)
    squares.sort(key=lambda s: tile_id(block, s.x % 2**block, s.y))
    above = range(options.min_zoom, block)
    whole = [Job(store, found, world, options, above, None)] if len(above) else []
    fine = range(max(block, options.min_zoom), options.max_zoom + 1)
    return whole + [Job(store, found, world, options, fine, square) for square in squares]


def make(job: Job) -> tuple[list[Tile], int]:
    """(tiles of a job by zoom and number, features that were left out for size)."""
    square = job.square or Square(0, 0, 0)
    batches = list(_batches(job, square))
    tiles: list[Tile] = []
    left_out = 0
    for zoom in job.zooms:
        level = _level(job, square, zoom)
        parts = []
        for batch in batches:
            rows = visible(batch, zoom, level)
            shown = cut(batch, rows, level) if len(rows) else None
            if shown is not None:
                parts.append((batch, shown))
        told, gone = encode(parts, job.options.tile_bytes)
        left_out += gone
        tiles += sorted(_packed(zoom, square, told), key=lambda tile: tile[1])
    return tiles, left_out


def _batches(job: Job, square: Square) -> Iterator[Batch]:
    scale = float(EXTENT * 2**job.options.max_zoom)
    corner = scale * square.x / 2**square.zoom, scale * square.y / 2**square.zoom
    bounds = job.world.bounds_of(job.square, job.options.buffer / EXTENT) if job.square else None
    for source in job.sources:
        if source.first_zoom > job.zooms[-1]:
            continue
        if job.square is None:
            layer = read_large(job.store, source, job.zooms[-1], _cell(job))
        elif bounds is not None and _meet(bounds, source.item.extent):
            layer = read_window(job.store, source, bounds)
        else:
            continue
        batch = batch_of(layer, source, job.world, scale, corner) if layer is not None else None
        if batch is None:
            continue
        yield batch
        if source.shown.labelled:
            yield labels(batch)


def _meet(a: Bounds, b: Bounds | None) -> bool:
    return b is not None and a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _cell(job: Job) -> float:
    """m on the ground of a cell of the last zoom, where they are smallest: away from the equator."""
    extents = [s.item.extent for s in job.sources if s.item.extent is not None]
    lat = np.abs(job.world.frame.to_lonlat(outline(union(extents)))[:, 1]).max()
    # A tenth less: the frame has a scale of its own, and nothing may be lost that the zoom would show.
    return 0.9 * CIRCUMFERENCE * math.cos(math.radians(min(float(lat), 85.0))) / EXTENT / 2.0 ** job.zooms[-1]


def _level(job: Job, square: Square, zoom: int) -> Level:
    options = job.options
    side = 2 ** (zoom - square.zoom)
    tiles = (0, 0, side, side)
    if job.square is None:
        # A city across the antimeridian has tiles beyond the rim of the world.
        tiles = (-side, 0, 2 * side, side)
    finest = zoom == options.max_zoom
    return Level(2.0 ** (options.max_zoom - zoom), tiles, options.tolerance, options.buffer, finest)


def _packed(zoom: int, square: Square, told: dict[tuple[int, int], bytes]) -> Iterator[Tile]:
    side = 2 ** (zoom - square.zoom)
    for (x, y), data in told.items():
        number = tile_id(zoom, (square.x * side + x) % 2**zoom, square.y * side + y)
        yield zoom, number, gzip.compress(data, 6, mtime=0), hashlib.blake2b(data, digest_size=16).digest()


def credit(found: tuple[Source, ...]) -> str:
    """Who is to be named for the layers."""
    words = {source.item.lineage.attribution for source in found}
    return "; ".join(sorted(word for word in words if word))


def vector_layers(found: tuple[Source, ...], options: VectorTiles) -> list[dict[str, Any]]:
    """What TileJSON tells of every layer: zooms, and fields with what they hold and their unit, in both languages."""
    told = []
    for source in found:
        known = FEATURE_CLASSES.get(source.name)
        fields = {_OID: "String"}
        for name, number in source.columns.items():
            column = known.columns.get(name) if known else None
            kind = "Number" if number else "String"
            unit = f" ({column.unit})" if column and column.unit else ""
            fields[name] = f"{kind}; {column.doc}{unit}" if column else kind
        told.append(
            {
                "id": source.name,
                "description": " / ".join(source.titles),
                "minzoom": max(options.min_zoom, min(source.first_zoom, options.max_zoom)),
                "maxzoom": options.max_zoom,
                "fields": fields,
            }
        )
        if source.shown.labelled:
            told.append(told[-1] | {"id": source.name + LABELS})
    return told


def tilejson(city: City, options: VectorTiles, told: Mapping[str, Any]) -> dict[str, Any]:
    """TileJSON 3.0 of the map that was written; the address of its tiles is relative to the document."""
    found = sources(city.store, options.leave_out)
    west, south, east, north = told["bounds"]
    return {
        "tilejson": "3.0.0",
        "name": city.name,
        "description": city.name_en,
        "scheme": "xyz",
        "tiles": ["{z}/{x}/{y}.mvt"],
        "minzoom": told["minzoom"],
        "maxzoom": told["maxzoom"],
        "bounds": told["bounds"],
        "center": [round((west + east) / 2.0, 7), round((south + north) / 2.0, 7), 12],
        "attribution": credit(found),
        "vector_layers": vector_layers(found, options),
    }
