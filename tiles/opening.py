"""The opening pack of a pyramid: its coarse files as one, so that a first view asks once instead of some twenty times.

layout  4 bytes "opg1"; u4 little-endian, bytes of the list; the list as JSON, [[name, bytes], ...]; then the files in
        the order of the list. Names are those below the folder of the pyramid; the files lie there as well, so that
        a client that knows nothing of packs misses nothing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from tiles.compress import write_all
from twin.errors import StoreError

FILE = "opening.pack"
MOST = 300_000
"""Bytes on the wire of a pack. The sample's first view took 42 requests without, 29 with 250,000, 26 with these."""

_REACH = 1.25
"""Tiles of a level count as shown so many tiles from the middle of the view: two by two or three by three."""

_MAGIC = b"opg1"
_HEAD = struct.Struct("<4sI")


def write_opening(home: Path, names: Iterable[str], most: int = MOST) -> str | None:
    """Write `<home>/opening.pack` of the first of `names` as far as they fit; its name, None where no file fits.

    names   files below `home`, the most useful first; no more are asked for than fit
    most    bytes that travel, at most
    """
    kept = list(_first(home, names, most))
    if not kept:
        return None
    files = [(home / name).read_bytes() for name in kept]
    told = orjson.dumps([[name, len(data)] for name, data in zip(kept, files, strict=True)])
    write_all(home / FILE, b"".join([_HEAD.pack(_MAGIC, len(told)), told, *files]))
    return FILE


def read_opening(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the files of a pack.

    raises  StoreError for what is no pack or cut short
    """
    data = path.read_bytes()
    try:
        magic, length = _HEAD.unpack_from(data)
        if magic != _MAGIC:
            raise ValueError(magic)
        at = _HEAD.size + length
        for name, size in json.loads(data[_HEAD.size : at]):
            if at + size > len(data):
                raise ValueError(name)
            yield str(name), data[at : at + size]
            at += size
    except (ValueError, TypeError, struct.error) as error:
        raise StoreError(f"{path.name}: is no opening pack ({error}); `twin tiles --force` makes it again") from error


def around(places: Iterable[tuple[int, int]], centre: tuple[float, float]) -> list[tuple[int, int]]:
    """Tiles (x, y) of a level that a view from above `centre` (in tiles of the level) shows, nearest first."""
    far = {(x, y): max(abs(x + 0.5 - centre[0]), abs(y + 0.5 - centre[1])) for x, y in places}
    return sorted((place for place, away in far.items() if away < _REACH), key=lambda place: (far[place], place))


def _first(home: Path, names: Iterable[str], most: int) -> Iterator[str]:
    for name in names:
        path = home / name
        copies = (path, path.with_name(path.name + ".br"), path.with_name(path.name + ".gz"))
        most -= min(copy.stat().st_size for copy in copies if copy.exists())
        if most < 0:
            return
        yield name
