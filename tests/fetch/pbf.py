"""OpenStreetMap PBF written by hand, a block or two: what a real extract is made of, in a few hundred bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

Tags = dict[str, str]


def pbf(nodes: Iterable[tuple[int, float, float, Tags]], ways: Iterable[tuple[int, Sequence[int], Tags]]) -> bytes:
    """An extract of nodes (id, lon, lat, tags) and ways (id, node ids, tags).

    source  the OSM PBF format: length, BlobHeader, Blob; coordinates in 100 nanodegrees, references as differences
    """
    words: list[str] = [""]
    group = b"".join(_bytes(1, _node(node, words)) for node in nodes)
    more = b"".join(_bytes(3, _way(way, words)) for way in ways)
    table = b"".join(_bytes(1, word.encode()) for word in words)
    block = _bytes(1, table) + _bytes(2, group) + _bytes(2, more)
    return _blob("OSMHeader", _bytes(4, b"OsmSchema-V0.6")) + _blob("OSMData", block)


def _node(node: tuple[int, float, float, Tags], words: list[str]) -> bytes:
    number, lon, lat, tags = node
    place = _number(8, _zigzag(round(lat * 1e7))) + _number(9, _zigzag(round(lon * 1e7)))
    return _number(1, _zigzag(number)) + _tags(tags, words) + place


def _way(way: tuple[int, Sequence[int], Tags], words: list[str]) -> bytes:
    number, refs, tags = way
    steps = [b - a for a, b in zip([0, *refs[:-1]], refs, strict=True)]
    return _number(1, number) + _tags(tags, words) + _bytes(8, b"".join(_varint(_zigzag(s)) for s in steps))


def _tags(tags: Tags, words: list[str]) -> bytes:
    pairs = []
    for word in (*tags.keys(), *tags.values()):
        if word not in words:
            words.append(word)
        pairs.append(_varint(words.index(word)))
    return _bytes(2, b"".join(pairs[: len(tags)])) + _bytes(3, b"".join(pairs[len(tags) :])) if tags else b""


def _blob(kind: str, data: bytes) -> bytes:
    blob = _number(2, len(data)) + _bytes(3, zlib.compress(data))
    head = _bytes(1, kind.encode()) + _number(3, len(blob))
    return struct.pack(">I", len(head)) + head + blob


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    parts = bytearray()
    while True:
        parts.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(parts)
