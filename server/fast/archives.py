"""Vector tiles out of the map's archive: z/x/y answered as if each tile were a file beside it."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from server.fast.static_files import MEDIA_TYPES, Record, Shelf, locate, variant_of
from tiles.vector.build import ARCHIVE
from tiles.vector.grid import fraction_of
from tiles.vector.pmtiles import Archive
from twin.errors import SourceError

_TILE = re.compile(r"(?P<folder>[^/]+/vector)/(?P<zoom>\d{1,2})/(?P<x>\d{1,9})/(?P<y>\d{1,9})\.(?:mvt|pbf)")
_OPEN = 4


def open_tile(relative: str, shelf: Shelf) -> Record | None:
    """The tile of a URL path as an answer: 204 where the map has nothing there, None where it does not reach.

    raises  OSError where the archive has just gone, ValueError where it cannot be read
    """
    match = _TILE.fullmatch(relative)
    if match is None:
        return None
    path = locate(shelf.root, f"{match['folder']}/{ARCHIVE}")
    if path is None:
        return None
    zoom, x, y = int(match["zoom"]), int(match["x"]), int(match["y"])
    try:
        archive = archive_at(path)
        if not reaches(archive, zoom, x, y):
            return None
        packed = archive.tile(zoom, x, y)
    except SourceError as error:
        raise ValueError(str(error)) from error
    shared = [
        (b"content-type", MEDIA_TYPES[".mvt"].encode()),
        (b"cache-control", shelf.cache(relative)),
        (b"x-content-type-options", b"nosniff"),
        *shelf.headers,
        (b"vary", b"Accept-Encoding"),
    ]
    record = Record(path, ".mvt", (0, len(packed or b"")), {"gzip": path, "identity": path}, shared, True)
    for coding in record.codings:
        body = packed if packed is None or coding == "gzip" else gzip.decompress(packed)
        record.variants[coding] = variant_of(record, coding, body, path)
        record.weight += len(body or b"")
    return record


@lru_cache(maxsize=_OPEN)
def archive_at(path: Path) -> Archive:
    """The archive of a published version, which never changes; its directories stay in memory."""
    return Archive(path)


def reaches(archive: Archive, zoom: int, x: int, y: int) -> bool:
    """Whether a tile lies in the zooms and bounds of an archive."""
    side = 2**zoom
    if not archive.zooms[0] <= zoom <= archive.zooms[1] or x >= side or y >= side:
        return False
    left, top, right, bottom = range_of(archive.bounds, zoom)
    # A tile further shows what reaches into it by its buffer.
    return left - 1 <= x <= right + 1 and top - 1 <= y <= bottom + 1


def range_of(bounds: Sequence[float], zoom: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the tiles that meet `bounds` (west, south, east, north, degrees), all included."""
    west, south, east, north = bounds
    left, top = (math.floor(v * 2**zoom) for v in fraction_of(west, north))
    right, bottom = (math.floor(v * 2**zoom) for v in fraction_of(east, south))
    return left, top, min(right, 2**zoom - 1), min(bottom, 2**zoom - 1)
