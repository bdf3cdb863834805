"""Mapbox Vector Tiles read as arrays: what a check and a server that hands out single layers need.

source  Mapbox Vector Tile Specification 2.1; protobuf encoding, varint and length-delimited fields
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twin.errors import SourceError

Bytes = NDArray[np.uint8]
Longs = NDArray[np.int64]

FAULTS = (
    "", "is no protobuf", "has an odd number of tags", "has a command that is none, or out of its place",
    "has a LineTo of no length", "has a ring of fewer than three vertices", "begins with a hole",
    "has a ring of no area", "has a line of one vertex", "has no geometry",
)  # fmt: skip
_BROKEN, _ODD, _COMMAND, _STILL, _SHORT, _HOLE, _FLAT, _POINT, _NOTHING = range(1, len(FAULTS))
_LAYERS, _NAME, _FEATURES, _KEYS, _VALUES, _EXTENT, _VERSION = 3, 1, 2, 3, 4, 5, 15


@njit(cache=True)
def _varint(data: Any, at: int, end: int) -> Any:
    """(number, where the next byte lies); beyond the end where it is cut off."""
    number, shift = np.uint64(0), np.uint64(0)
    while at < end:
        byte = data[at]
        number |= np.uint64(byte & 127) << shift
        at += 1
        if byte < 128:
            return number, at
        shift += np.uint64(7)
    return number, end + 1


@njit(cache=True)
def fields(data: Any, low: int, high: int) -> Any:
    """(n, 4) fields of a message: number, wire type, value and 0 or first byte and end; a row of -1 where broken."""
    found = np.empty((max(high - low, 1), 4), np.int64)
    n, at = 0, low
    while at < high:
        tag, at = _varint(data, at, high)
        found[n, 0], found[n, 1], found[n, 3] = np.int64(tag >> np.uint64(3)), np.int64(tag & np.uint64(7)), 0
        if found[n, 1] == 0:
            value, at = _varint(data, at, high)
            found[n, 2] = np.int64(value)
        else:
            size = np.uint64(8 if found[n, 1] == 1 else 4)
            if found[n, 1] == 2:
                size, at = _varint(data, at, high)
            found[n, 2], found[n, 3] = at, at + np.int64(size)
            at += np.int64(size)
        n += 1
        if at > high or (
            found[n - 1, 1] != 0 and found[n - 1, 1] != 1 and found[n - 1, 1] != 2 and found[n - 1, 1] != 5
        ):
            found[n - 1] = -1
            break
    return found[:n]


@njit(cache=True)
def _commands(data: Any, span: Any, kind: int, out: Any) -> Any:
    """(fault, vertices, rings) of a geometry; out is (xy, begins, at, made): where to go on writing."""
    xy, begins, at, made = out
    low, high = span
    x, y, n_at, n_made = np.int64(0), np.int64(0), at, made
    opened = False
    while low < high:
        command, low = _varint(data, low, high)
        verb, count = np.int64(command & np.uint64(7)), np.int64(command >> np.uint64(3))
        if verb == 7:
            if kind != 3 or not opened or count != 1:
                return _COMMAND, n_at, n_made
            opened = False
            continue
        if (verb != 1 and verb != 2) or (verb == 2 and (not opened or kind == 1)) or count < 1:
            return _COMMAND, n_at, n_made
        if verb == 1 and ((kind == 3 and opened) or (kind > 1 and count > 1)):
            return _COMMAND, n_at, n_made
        for _ in range(count):
            a, low = _varint(data, low, high)
            b, low = _varint(data, low, high)
            if low > high:
                return _BROKEN, n_at, n_made
            dx = np.int64(a >> np.uint64(1)) ^ -np.int64(a & np.uint64(1))
            dy = np.int64(b >> np.uint64(1)) ^ -np.int64(b & np.uint64(1))
            if verb == 2 and dx == 0 and dy == 0:
                return _STILL, n_at, n_made
            x, y = x + dx, y + dy
            if verb == 1 and (kind > 1 or not opened):
                begins[n_made] = n_at
                n_made += 1
                opened = True
            xy[n_at, 0], xy[n_at, 1] = x, y
            n_at += 1
    return (_COMMAND if kind == 3 and opened else 0), n_at, n_made


@njit(cache=True)
def _shape_fault(xy: Any, begins: Any, rings: Any, kind: int, outer: Any) -> int:
    """What is wrong with the rings of a feature; writes which are exterior."""
    low, high = rings
    if low == high:
        return _NOTHING
    for r in range(low, high):
        n = begins[r + 1] - begins[r]
        outer[r] = True
        if kind == 2 and n < 2:
            return _POINT
        if kind != 3:
            continue
        if n < 3:
            return _SHORT
        area = np.int64(0)
        for k in range(begins[r], begins[r + 1]):
            m = k + 1 if k + 1 < begins[r + 1] else begins[r]
            area += xy[k, 0] * xy[m, 1] - xy[m, 0] * xy[k, 1]
        if area == 0:
            return _FLAT
        outer[r] = area > 0
        if r == low and area < 0:
            return _HOLE
    return 0


@njit(cache=True)
def _read_feature(data: Any, span: Any, tags: Any, at: int) -> Any:
    """(identity, kind, fault, end of tags, first and end of the geometry)."""
    identity, kind, fault = np.uint64(0), 0, 0
    shape = (0, 0)
    found = fields(data, span[0], span[1])
    for f in range(len(found)):
        if found[f, 0] == -1:
            fault = _BROKEN
        elif found[f, 0] == 1:
            identity = np.uint64(found[f, 2])
        elif found[f, 0] == 3:
            kind = found[f, 2]
        elif found[f, 0] == 4:
            shape = (found[f, 2], found[f, 3])
        elif found[f, 0] == 2:
            low, begun = found[f, 2], at
            while low < found[f, 3]:
                value, low = _varint(data, low, found[f, 3])
                tags[at] = np.int64(value)
                at += 1
            if (at - begun) % 2:
                fault = _ODD
    return identity, kind, fault, at, shape


@njit(cache=True)
def _read_features(data: Any, spans: Any) -> Any:
    n = len(spans)
    room = np.int64(1)
    for i in range(n):
        room += spans[i, 1] - spans[i, 0]
    identity, kind, fault = np.zeros(n, np.uint64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    tags, tag_start = np.empty(room, np.int64), np.zeros(n + 1, np.int64)
    xy, begins, outer = np.empty((room, 2), np.int64), np.zeros(room + 1, np.int64), np.zeros(room, np.bool_)
    first = np.zeros(n + 1, np.int64)
    at, made = 0, 0
    for i in range(n):
        identity[i], kind[i], fault[i], tag_start[i + 1], shape = _read_feature(data, spans[i], tags, tag_start[i])
        wrong, at_next, made_next = _commands(data, shape, kind[i], (xy, begins, at, made))
        begins[made_next] = at_next
        if fault[i] == 0:
            fault[i] = wrong if wrong else _shape_fault(xy, begins, (made, made_next), kind[i], outer)
        at, made = at_next, made_next
        first[i + 1] = made
    return identity, kind, fault, (tags[: tag_start[n]], tag_start), (xy[:at], begins[: made + 1], outer[:made], first)


@dataclass(frozen=True, slots=True)
class TileLayer:
    """One layer of a tile.

    keys, values    the entries of its tables, as bytes: keys as text in UTF-8, values as messages
    identity, kind, fault   (n,) of the features; fault is an index of FAULTS, 0 for none
    tags, tag_start     pairs of entries of all features, and where each feature's begin
    xy, ring_start, outer, first    vertices, where rings begin, which are exterior, first ring of each feature
    """

    name: str
    version: int
    extent: int
    keys: list[bytes]
    values: list[bytes]
    identity: NDArray[np.uint64]
    kind: Longs
    fault: Longs
    tags: Longs
    tag_start: Longs
    xy: Longs
    ring_start: Longs
    outer: NDArray[np.bool_]
    first: Longs


def layers_of(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, bytes as they stand in the tile) of every layer; SourceError where it is no tile."""
    raw = np.frombuffer(data, np.uint8)
    end = 0
    for number, wire, low, high in _checked(fields(raw, 0, len(raw))).tolist():
        if number != _LAYERS or wire != 2:
            raise SourceError(f"a field {number} where a tile has layers only; publish it again")
        names = [(a, b) for n, w, a, b in _checked(fields(raw, low, high)).tolist() if n == _NAME and w == 2]
        yield (data[names[0][0] : names[0][1]].decode() if names else ""), data[end:high]
        end = high


def read_layer(data: bytes) -> TileLayer:
    """A layer as it stands in a tile; SourceError where it is none."""
    raw = np.frombuffer(data, np.uint8)
    _, _, low, high = _checked(fields(raw, 0, len(raw)))[0].tolist()
    parts = _checked(fields(raw, low, high))
    spans = {number: parts[(parts[:, 0] == number) & (parts[:, 1] == 2), 2:] for number in (1, 2, 3, 4)}
    texts = {number: [data[a:b] for a, b in spans[number].tolist()] for number in (_NAME, _KEYS, _VALUES)}
    numbers = dict(parts[parts[:, 1] == 0][:, [0, 2]].tolist())
    identity, kind, fault, tags, shape = _read_features(raw, spans[_FEATURES])
    name = texts[_NAME][0].decode() if texts[_NAME] else ""
    version, extent = numbers.get(_VERSION, 1), numbers.get(_EXTENT, 0)
    return TileLayer(name, version, extent, texts[_KEYS], texts[_VALUES], identity, kind, fault, *tags, *shape)


def _checked(found: Longs) -> Longs:
    if not len(found) or (found[:, 0] < 0).any():
        raise SourceError("is no vector tile, or cut off; publish it again")
    return found
