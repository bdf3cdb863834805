"""PMTiles version 3: one file that holds all tiles of a map, written in the order of the Hilbert curve, read by parts.

source  PMTiles specification 3.6 (protomaps/PMTiles, spec/v3/spec.md)
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles.vector.encode import varint
from twin.errors import SourceError

MAGIC = b"PMTiles\x03"
HEADER = 127
GZIP, MVT = 2, 1
ROOT = 16_384
"""Header and root directory lie within so many bytes, so that one request reads both."""

_NUMBERS = "<11Q6B4iB2i"
_LEAF = 4096
_ZOOM_BITS = 56
_DEEP = 4

Longs = NDArray[np.int64]


def tile_id(zoom: int, x: int, y: int) -> int:
    """Number of a tile on the Hilbert curves of all zooms, one after the other."""
    number = (4**zoom - 1) // 3
    for a in range(zoom - 1, -1, -1):
        side = 1 << a
        right, down = side & x, side & y
        number += ((3 * right) ^ down) << a
        if not down:
            if right:
                x, y = side - 1 - x, side - 1 - y
            x, y = y, x
    return number


@dataclass(frozen=True, slots=True)
class Directory:
    """Entries of a directory, each (n,) i8: first tile, how many tiles (0 for a directory below), bytes, where."""

    tile: Longs
    run: Longs
    length: Longs
    offset: Longs

    def __len__(self) -> int:
        return len(self.tile)

    def part(self, low: int, high: int) -> Directory:
        """Entries low to high."""
        return Directory(self.tile[low:high], self.run[low:high], self.length[low:high], self.offset[low:high])


def write_directory(entries: Directory) -> bytes:
    """A directory as the file holds it, compressed."""
    offsets = entries.offset + 1
    follows = entries.offset[1:] == entries.offset[:-1] + entries.length[:-1]
    offsets[1:][follows] = 0
    numbers = [len(entries), *np.diff(entries.tile, prepend=0).tolist()]
    numbers += [*entries.run.tolist(), *entries.length.tolist(), *offsets.tolist()]
    return gzip.compress(b"".join(map(varint, numbers)), 9, mtime=0)


def read_directory(data: bytes, where: str) -> Directory:
    """The entries of a compressed directory; SourceError where they are none."""
    try:
        numbers = _varints(gzip.decompress(data))
    except (OSError, EOFError, ValueError) as error:
        raise SourceError(f"{where}: a directory does not unpack ({error}); publish it again") from error
    n = int(numbers[0]) if len(numbers) else -1
    if len(numbers) != 4 * n + 1:
        raise SourceError(f"{where}: a directory of {n} entries has {len(numbers)} numbers; publish it again")
    delta, run, length, offset = numbers[1:].reshape(4, n)
    offset = offset - 1
    for k in np.flatnonzero(offset < 0).tolist():
        offset[k] = offset[k - 1] + length[k - 1]
    return Directory(np.cumsum(delta), run, length, offset)


def _varints(data: bytes) -> Longs:
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 128)
    begins = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    if len(raw) and (not len(ends) or ends[-1] != len(raw) - 1):
        raise ValueError("a number is cut off")
    shift = 7 * (np.arange(len(raw)) - np.repeat(begins, ends - begins + 1))
    values = np.left_shift((raw & 127).astype(np.int64), shift)
    return np.add.reduceat(values, begins) if len(begins) else values


def _layout(entries: Directory) -> tuple[bytes, bytes]:
    """(root directory, leaf directories): the fewest leaves with which header and root are small enough."""
    root = write_directory(entries)
    size = _LEAF
    leaves = b""
    while len(root) > ROOT - HEADER:
        parts = [entries.part(k, k + size) for k in range(0, len(entries), size)]
        packed = [write_directory(part) for part in parts]
        lengths = np.array([len(p) for p in packed], np.int64)
        first = np.array([part.tile[0] for part in parts], np.int64)
        above = Directory(first, np.zeros(len(parts), np.int64), lengths, np.cumsum(lengths) - lengths)
        root, leaves = write_directory(above), b"".join(packed)
        size *= 2
    return root, leaves


@dataclass(frozen=True, slots=True)
class Facts:
    """What the header tells: zooms, (west, south, east, north) in degrees, and a document."""

    zooms: tuple[int, int]
    bounds: tuple[float, float, float, float]
    metadata: Mapping[str, Any]


class Writer:
    """Takes tiles zoom by zoom, each in the order of its curve, and keeps what is the same only once.

    One file a zoom holds the tiles until the archive is put together, so that tiles of several zooms may come together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, BinaryIO] = {}
        self._tiles: dict[int, list[tuple[int, int, int]]] = {}
        self._known: dict[bytes, tuple[int, int]] = {}
        self._sizes: dict[int, int] = {}

    def put(self, zoom: int, number: int, data: bytes, digest: bytes) -> None:
        """Add the (compressed) tile `number` of a zoom; equal digests mean equal bytes."""
        file = self._files.get(zoom)
        if file is None:
            file = self._files[zoom] = (self._folder / f"zoom-{zoom}").open("w+b")
            self._tiles[zoom], self._sizes[zoom] = [], 0
        # A tile may point back only: what an earlier zoom has, or this one.
        place = self._known.get(digest)
        if place is None or place[0] > zoom:
            place = self._known[digest] = (zoom, self._sizes[zoom])
            file.write(data)
            self._sizes[zoom] += len(data)
        self._tiles[zoom].append((number, len(data), place[0] << _ZOOM_BITS | place[1]))

    def finish(self, path: Path, facts: Facts) -> dict[str, int]:
        """Write the archive at `path`; how many tiles, entries and contents it has, and its bytes."""
        zooms = sorted(self._files)
        starts = dict(zip(zooms, np.cumsum([0, *(self._sizes[z] for z in zooms)]).tolist(), strict=False))
        entries = _entries(np.array([t for z in zooms for t in self._tiles[z]], np.int64).reshape(-1, 3), starts)
        root, leaves = _layout(entries)
        metadata = gzip.compress(orjson.dumps(facts.metadata, option=orjson.OPT_SORT_KEYS), 9, mtime=0)
        contents = len(np.unique(entries.offset))
        counts = (int(entries.run.sum()), len(entries), contents)
        head = _header(facts, (len(root), len(metadata), len(leaves), sum(self._sizes.values())), counts)
        with path.open("wb") as out:
            for piece in (head, root, metadata, leaves):
                out.write(piece)
            for zoom in zooms:
                file = self._files[zoom]
                file.seek(0)
                while piece := file.read(1 << 20):
                    out.write(piece)
        self.close()
        return {"tiles": counts[0], "entries": counts[1], "contents": contents, "bytes": path.stat().st_size}

    def close(self) -> None:
        """Take the files of the zooms away."""
        for zoom, file in self._files.items():
            file.close()
            (self._folder / f"zoom-{zoom}").unlink(missing_ok=True)
        self._files.clear()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _entries(tiles: Longs, starts: Mapping[int, int]) -> Directory:
    """Neighbours on the curve with the same content are one entry."""
    number, length, tagged = tiles.T
    begin = np.zeros(64, np.int64)
    begin[list(starts)] = list(starts.values())
    offset = begin[tagged >> _ZOOM_BITS] + (tagged & ((1 << _ZOOM_BITS) - 1))
    new = np.ones(len(number), bool)
    new[1:] = (offset[1:] != offset[:-1]) | (number[1:] != number[:-1] + 1)
    first = np.flatnonzero(new)
    run = np.diff(first, append=len(number))
    return Directory(number[first], run, length[first], offset[first])


def _header(facts: Facts, sizes: tuple[int, int, int, int], counts: tuple[int, int, int]) -> bytes:
    root, metadata, leaves, data = sizes
    places = [HEADER, root, HEADER + root, metadata]
    places += [HEADER + root + metadata, leaves, HEADER + root + metadata + leaves, data]
    west, south, east, north = (round(v * 1e7) for v in facts.bounds)
    low, high = facts.zooms
    middle = (west + east) // 2, (south + north) // 2
    kinds = (1, GZIP, GZIP, MVT, low, high)
    return MAGIC + struct.pack(_NUMBERS, *places, *counts, *kinds, west, south, east, north, (low + high) // 2, *middle)


class Archive:
    """An archive that is read by parts; directories that were read are kept, some at a time.

    raises  SourceError where the file is no PMTiles 3 of vector tiles that are compressed by gzip
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        head = self._read(0, HEADER)
        if len(head) < HEADER or head[:8] != MAGIC:
            raise SourceError(f"{path.name}: is no PMTiles version 3; publish it again")
        self.numbers = struct.unpack(_NUMBERS, head[8:])
        if self.numbers[12:15] != (GZIP, GZIP, MVT):
            raise SourceError(f"{path.name}: holds other than vector tiles compressed by gzip; publish it again")
        self.zooms: tuple[int, int] = self.numbers[15:17]
        self.bounds = tuple(v / 1e7 for v in self.numbers[17:21])
        self._root = read_directory(self._read(*self.numbers[0:2]), path.name)
        self._leaf = lru_cache(maxsize=64)(self._read_leaf)

    def _read(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def _read_leaf(self, offset: int, length: int) -> Directory:
        return read_directory(self._read(self.numbers[4] + offset, length), self.path.name)

    def metadata(self) -> dict[str, Any]:
        """The document of the archive."""
        found: dict[str, Any] = orjson.loads(gzip.decompress(self._read(*self.numbers[2:4])))
        return found

    def tile(self, zoom: int, x: int, y: int) -> bytes | None:
        """The bytes of a tile, compressed by gzip; None where there is none."""
        number = tile_id(zoom, x, y)
        entries = self._root
        for _ in range(_DEEP):
            k = int(np.searchsorted(entries.tile, number, side="right")) - 1
            if k < 0:
                return None
            place = int(entries.offset[k]), int(entries.length[k])
            if entries.run[k] == 0:
                entries = self._leaf(*place)
                continue
            if number >= entries.tile[k] + entries.run[k]:
                return None
            return self._read(self.numbers[6] + place[0], place[1])
        return None

    def contents(self) -> Iterator[tuple[int, int, bytes]]:
        """(first tile, how many tiles, compressed bytes) of every entry, in the order of the curve."""
        for leaf in self.leaves():
            for number, run, length, offset in zip(leaf.tile, leaf.run, leaf.length, leaf.offset, strict=True):
                yield int(number), int(run), self._read(self.numbers[6] + int(offset), int(length))

    def leaves(self) -> Iterator[Directory]:
        """The directories that name tiles."""
        below = self._root.run == 0
        if not below.any():
            yield self._root
            return
        for offset, length in zip(self._root.offset[below].tolist(), self._root.length[below].tolist(), strict=True):
            yield self._read_leaf(offset, length)
