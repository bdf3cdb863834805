"""What a file claims, held against what it is, before a library takes its word and fills memory, time or network."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
from affine import Affine

from twin.errors import SourceError

# Deflate packs 1,032 bytes into one at most; what claims more than half of that is a bomb or a wrong header.
PACKED = 500
SMALL = 64 * 2**20
HEIGHT_CELLS = 400_000_000
SPREAD = 64
_DEEPEST = 32
SAFE_BYTES = 64 * 1024
_SAFE_LETTERS = 10_000
_STEPS = 1_000_000
DATABASE_SUFFIXES = frozenset({".gpkg", ".sqlite", ".db"})

# A delivery is a file: these are descriptions of services and of commands, that GDAL would follow.
_SERVICES = (
    b"<OGRVRT", b"<OGRWFS", b"<GDAL_WM", b"<WCS_GDAL", b"Capabilities", b"<TileMap", b"<OWSContext",
    b"gdal_streamed_alg", b'"stac_version"',
)  # fmt: skip


def require_raster(dataset: Any, shown: str) -> None:
    """Nothing where an open raster can be what it claims.

    raises  SourceError for sources outside the file system, for a geotransform that is no place, for cells that
            cannot be packed into so few bytes, for blocks beyond the picture
    """
    strange = [name for name in dataset.files if name.startswith("/vsi") and not name.startswith("/vsimem/")]
    if strange:
        raise SourceError(f"{shown}: takes its cells from {strange[0][:80]}; deliver the raster itself")
    t: Affine = dataset.transform
    corners = [*tuple(t)[:6], *dataset.bounds]
    if not (np.abs(corners) < 1e9).all() or not abs(t.determinant) > 1e-20:
        raise SourceError(f"{shown}: its geotransform {tuple(t)[:6]} is no place on a map; mend the file")
    ny, nx = dataset.shape
    width = max(np.dtype(word).itemsize for word in dataset.dtypes)
    claimed = ny * nx * dataset.count * width
    held = sum(os.stat(name).st_size for name in dataset.files if os.path.isfile(name))
    if claimed > max(SMALL, PACKED * held) and held:
        raise SourceError(
            f"{shown}: claims {nx} x {ny} cells ({claimed >> 20} MiB) in {held} bytes; the file is damaged or all but "
            "empty, ask for it again or cut it to its data"
        )
    block = max(by * bx for by, bx in dataset.block_shapes) * width * dataset.count
    if block > max(4 * SMALL, 4 * claimed):
        raise SourceError(f"{shown}: claims blocks of {block >> 20} MiB; the file is damaged, ask for it again")


def require_heights(shape: tuple[int, int], shown: str) -> None:
    """Nothing where a raster of heights fits in memory, SourceError beyond HEIGHT_CELLS."""
    if shape[0] * shape[1] > HEIGHT_CELLS:
        raise SourceError(
            f"{shown}: {shape[1]} x {shape[0]} cells, more than {HEIGHT_CELLS:,} of heights; "
            "cut the source to the city or deliver coarser cells"
        )


def require_together(shape: tuple[int, int], cells: int, shown: str) -> None:
    """Nothing where sheets of so many cells share a grid of `shape`, SourceError where most of it would be empty."""
    if shape[0] * shape[1] > max(SPREAD * cells, 4 * SMALL):
        raise SourceError(
            f"{shown}: its sheets lie too far apart for one grid ({shape[1]} x {shape[0]} cells); check the crs of each"
        )


def refuse_services(path: Path, shown: str) -> None:
    """Nothing for data; SourceError where a text file points at data elsewhere (WFS, WMS, vector VRT, pipelines)."""
    if path.is_dir():
        return
    with path.open("rb") as file:
        head = file.read(8192).removeprefix(b"\xef\xbb\xbf").lstrip()
    word = next((word for word in _SERVICES if word in head), None) if head[:1] in (b"<", b"{") else None
    if word is not None:
        name = word.decode().strip('<"')
        raise SourceError(f"{shown}: points at data elsewhere ({name}); deliver the data itself")


def require_rows(rows: int, path: Path, shown: str) -> None:
    """Nothing where `rows` features can stand in the file; SourceError where there are more than bytes."""
    size = path.stat().st_size
    if rows > max(size, 1000):
        raise SourceError(f"{shown}: claims {rows:,} features in {size:,} bytes; refused, ask for the file again")


def refuse_endless(path: Path, shown: str) -> None:
    """Nothing for an SQLite file whose views end; SourceError for one of more rows than bytes, or that finds no end."""
    size = path.stat().st_size
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")]
        except sqlite3.DatabaseError:
            return  # no database that can be opened: GDAL says so in its own words
        for name in names:
            connection.set_progress_handler(_Patience(), _STEPS)
            quoted = '"' + str(name).replace('"', '""') + '"'
            try:
                (rows,) = connection.execute(
                    f"SELECT count(*) FROM (SELECT 1 FROM {quoted} LIMIT {size + 1001})"
                ).fetchone()
            except sqlite3.OperationalError as err:
                if "interrupted" not in str(err):
                    continue  # a view of functions or tables that only others have
                rows = size + 1001
            except sqlite3.DatabaseError:
                continue
            if rows > max(size, 1000):
                raise SourceError(f"{shown}: view {str(name)[:60]!r} does not end; deliver its rows as a table")


class _Patience:
    """Interrupts a query at its thirtieth call: after some thirty million steps of SQLite."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self) -> int:
        self._calls += 1
        return int(self._calls > 30)


def refuse_deep(blobs: Iterable[bytes | None], shown: str) -> None:
    """Nothing for WKB of simple features; SourceError for collections nested deeper than 32.

    GEOS follows them by calling itself, until its stack ends and the process with it.
    """
    for row, blob in enumerate(blobs):
        # Nine bytes a level: below that length no stack ends.
        if blob is not None and len(blob) > SAFE_BYTES and _depth(blob) > _DEEPEST:
            raise SourceError(f"{shown}: row {row + 1}: geometry collections nested too deep; mend that feature")


def refuse_deep_text(words: Iterable[str], shown: str) -> None:
    """Nothing for WKT of simple features; SourceError for collections nested deeper than 32."""
    for row, word in enumerate(words):
        if len(word) > _SAFE_LETTERS and word.upper().count("COLLECTION") > _DEEPEST:
            raise SourceError(f"{shown}: row {row + 1}: collections nested too deep; mend that row")


def _depth(blob: bytes) -> int:
    """Levels of collections within collections; what is no sound WKB ends the count."""
    place, deepest, waiting = 0, 0, [1]
    while waiting and place + 9 <= len(blob) and deepest <= _DEEPEST:
        order: Literal["little", "big"] = "little" if blob[place] == 1 else "big"
        code = int.from_bytes(blob[place + 1 : place + 5], order)
        kind, place = (code & 0xFFFF) % 1000, place + 5 + 4 * bool(code & 0x2000_0000)
        if kind not in range(1, 8):
            break
        # ISO puts 1000 (Z), 2000 (M) or 3000 on the code, EWKB two bits.
        width = 16 + 8 * (((code & 0xFFFF) // 1000 + 1) // 2 + bool(code & 0x8000_0000) + bool(code & 0x4000_0000))
        waiting[-1] -= 1
        count = int.from_bytes(blob[place : place + 4], order)
        if kind >= 4:
            waiting.append(count)
            deepest, place = max(deepest, len(waiting) - 1), place + 4
        else:
            place = _after(blob, place, kind, width, order)
        while waiting and waiting[-1] <= 0:
            waiting.pop()
    return deepest


def _after(blob: bytes, place: int, kind: int, width: int, order: Literal["little", "big"]) -> int:
    """Where the next geometry begins after the body of a point, a line or a polygon."""
    if kind == 1:
        return place + width
    count, place = int.from_bytes(blob[place : place + 4], order), place + 4
    if kind == 2:
        return place + count * width
    for _ in range(count):
        if place + 4 > len(blob):
            break
        place += 4 + int.from_bytes(blob[place : place + 4], order) * width
    return place


def require_las(path: Path, shown: str) -> None:
    """Nothing where the header of a LAS or LAZ file fits the file; SourceError names the promise that it cannot keep.

    source  ASPRS LAS 1.4 R15, public header block
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(375)
    wrong = "no header of a LAS file" if len(head) < 227 or head[:4] != b"LASF" else _las_wrong(path, head, size)
    if wrong:
        raise SourceError(f"{shown}: the point cloud is damaged or cut short ({wrong}); ask for it again")


def _las_wrong(path: Path, head: bytes, size: int) -> str:
    """What of the header cannot be; "" where all of it can."""
    minor, (length, start, records, form, width, points) = head[25], struct.unpack_from("<HIIBHI", head, 94)
    numbers = struct.unpack_from("<12d", head, 131)
    if minor >= 4 and len(head) == 375:
        extended, more, points = struct.unpack_from("<QIQ", head, 235)
        if more and not _extended_fit(path, extended, more, start):
            return f"{more} extended records do not lie behind its points"
    if minor > 4 or length > start or start > size or 54 * records > start - length:
        return "version, size or records of its header contradict each other"
    if not (np.abs(numbers) < 1e10).all() or not all(numbers[:3]):
        return "scale, offset or bounds are no numbers of a place"
    if form & 0x80:
        told = _chunks_fit(path, start, width, points)
        return "" if told else f"its LASzip record and table of chunks do not hold {points:,} points"
    return f"{points:,} points in {size:,} bytes" if points * width > size - start else ""


def _extended_fit(path: Path, place: int, count: int, start: int) -> bool:
    """Whether so many extended records lie between the points and the end of the file."""
    size = path.stat().st_size
    if place < start or place + 60 * count > size:
        return False
    with path.open("rb") as file:
        for _ in range(count):
            file.seek(place)
            place += 60 + int.from_bytes(file.read(28)[20:28], "little")
            if place > size:
                return False
    return True


def _chunks_fit(path: Path, start: int, width: int, points: int) -> bool:
    """Whether the LASzip record and the table of chunks of a LAZ file say the same as its header.

    source  LASzip 3 (M. Isenburg): record 22204 of "laszip encoded", table of chunks where the points begin
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(start)
        table = int.from_bytes(file.read(8), "little", signed=True)
        if table == -1:
            file.seek(-8, os.SEEK_END)
            table = int.from_bytes(file.read(8), "little", signed=True)
        file.seek(table if start + 8 <= table <= size - 8 else size)
        chunks = int.from_bytes(file.read(8)[4:], "little")
    body = head.find(b"laszip encoded") + 52
    if body < 52 or len(head) < body + 34:
        return False
    per_chunk, items = struct.unpack_from("<I", head, body + 12)[0], struct.unpack_from("<H", head, body + 32)[0]
    sizes = [int.from_bytes(head[at : at + 2], "little") for at in range(body + 36, body + 34 + 6 * items, 6)]
    expected = -(-points // per_chunk) if per_chunk not in (0, 2**32 - 1) else chunks
    return bool(per_chunk) and sum(sizes) == width and chunks <= size and 0 <= chunks - expected <= 1
