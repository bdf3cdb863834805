"""Compiled loops of vector tiles: bytes of protobuf and of geometries, which depend on the one before.

source  Mapbox Vector Tile Specification 2.1, sections 4.1 to 4.4; FNV-1a and the finalizer of SplitMix64
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

IDENTITY_BITS = 53
"""Identifiers are whole numbers that JavaScript holds exactly."""


@njit(cache=True)
def put_varint(out: Any, at: int, value: Any) -> int:
    """Write an unsigned number at `at`; where the next byte goes."""
    rest = np.uint64(value)
    while rest >= np.uint64(128):
        out[at] = np.uint8((rest & np.uint64(127)) | np.uint64(128))
        rest >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(rest)
    return at + 1


@njit(cache=True)
def _zigzag(value: Any) -> Any:
    return np.uint64((np.int64(value) << 1) ^ (np.int64(value) >> 63))


@njit(cache=True)
def _length(value: Any) -> int:
    size, rest = 1, np.uint64(value)
    while rest >= np.uint64(128):
        rest >>= np.uint64(7)
        size += 1
    return size


@njit(cache=True)
def identities(data: Any, start: Any) -> Any:
    """(n,) u8 of texts in UTF-8: data[start[i]:start[i + 1]] each; the same text has the same number everywhere."""
    n = len(start) - 1
    found = np.empty(n, np.uint64)
    for i in range(n):
        h = np.uint64(0xCBF29CE484222325)
        for k in range(start[i], start[i + 1]):
            h = (h ^ np.uint64(data[k])) * np.uint64(0x100000001B3)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found[i] = (h ^ (h >> np.uint64(31))) & np.uint64((1 << 53) - 1)
    return found


@njit(cache=True)
def pack_texts(data: Any, start: Any, field: int, inner: int) -> Any:
    """(bytes, where each begins) of a field of texts; with `inner` not 0 each text is a field of a message."""
    n = len(start) - 1
    out = np.empty(len(data) + 24 * n, np.uint8)
    begins = np.empty(n + 1, np.int64)
    at = 0
    for i in range(n):
        begins[i] = at
        size = start[i + 1] - start[i]
        at = put_varint(out, at, field)
        if inner:
            at = put_varint(out, at, 1 + _length(size) + size)
            at = put_varint(out, at, inner)
        at = put_varint(out, at, size)
        out[at : at + size] = data[start[i] : start[i + 1]]
        at += size
    begins[n] = at
    return out[:at], begins


@njit(cache=True)
def pack_numbers(values: Any, raw: Any) -> Any:
    """(bytes, where each begins) of values fields: whole numbers as uint or sint, others as double.

    values  (n,) f8                     raw     (n, 8) u1, the same in little-endian bytes
    """
    n = len(values)
    out = np.empty(13 * n, np.uint8)
    begins = np.empty(n + 1, np.int64)
    at = 0
    for i in range(n):
        begins[i] = at
        out[at] = 0x22
        value = values[i]
        if value == np.floor(value) and abs(value) < 2.0**53:
            whole = np.int64(value)
            number = np.uint64(whole) if whole >= 0 else _zigzag(whole)
            at = put_varint(out, at + 1, 1 + _length(number))
            out[at] = 0x28 if whole >= 0 else 0x30
            at = put_varint(out, at + 1, number)
        else:
            out[at + 1], out[at + 2] = 9, 0x19
            out[at + 3 : at + 11] = raw[i]
            at += 11
    begins[n] = at
    return out[:at], begins


@njit(cache=True)
def _distinct(xy: Any, low: int, high: int, kind: int, kept: Any) -> int:
    """Indices of vertices that differ from the one before; a ring also loses the vertex that closes it."""
    n = 0
    for k in range(low, high):
        if kind == 1 or n == 0 or xy[k, 0] != xy[kept[n - 1], 0] or xy[k, 1] != xy[kept[n - 1], 1]:
            kept[n] = k
            n += 1
    while kind == 3 and n > 1 and xy[kept[n - 1], 0] == xy[kept[0], 0] and xy[kept[n - 1], 1] == xy[kept[0], 1]:
        n -= 1
    return n


@njit(cache=True)
def _doubled_area(xy: Any, kept: Any, n: int) -> int:
    total = np.int64(0)
    x0, y0 = xy[kept[0], 0], xy[kept[0], 1]
    for i in range(1, n - 1):
        a, b = kept[i], kept[i + 1]
        total += (xy[a, 0] - x0) * (xy[b, 1] - y0) - (xy[b, 0] - x0) * (xy[a, 1] - y0)
    return total


@njit(cache=True)
def put_geometry(out: Any, rings: Any, span: Any, kind: int, kept: Any) -> int:
    """Bytes of the commands of one geometry written to `out`; 0 where nothing of it is left on the grid.

    rings   (xy (v, 2) i8, start (r + 1,), outer (r,) bool)
    span    (first ring, end of rings, x and y of the tile's corner)
    kind    1 points, 2 lines, 3 polygons; exterior rings get a positive area with y down, holes a negative one
    """
    xy, start, outer = rings
    at, x, y = 0, span[2], span[3]
    whole = False
    for r in range(span[0], span[1]):
        n = _distinct(xy, start[r], start[r + 1], kind, kept)
        if n < kind:
            whole = whole and not (kind == 3 and outer[r])
            continue
        turned = False
        if kind == 3:
            area = _doubled_area(xy, kept, n)
            if outer[r]:
                whole = area != 0
            if not whole or area == 0:
                continue
            turned = (area > 0) != outer[r]
        at = put_varint(out, at, (n << 3) | 1 if kind == 1 else 9)
        for i in range(n):
            if i == 1 and kind > 1:
                at = put_varint(out, at, ((n - 1) << 3) | 2)
            k = kept[(n - i) % n] if turned else kept[i]
            at = put_varint(out, at, _zigzag(xy[k, 0] - x))
            at = put_varint(out, at, _zigzag(xy[k, 1] - y))
            x, y = xy[k, 0], xy[k, 1]
        if kind == 3:
            at = put_varint(out, at, 15)
    return at


@njit(cache=True)
def _field(out: Any, at: int, tag: int, data: Any, size: int) -> int:
    at = put_varint(out, at, tag)
    at = put_varint(out, at, size)
    out[at : at + size] = data[:size]
    return at + size


@njit(cache=True)
def _put_tags(out: Any, codes: Any, tile: int, pool: Any, counts: Any) -> Any:
    """(bytes of the tags of a feature written to `out`, how many keys and values were not used before in the tile)."""
    local, seen, used, key_local, key_used = pool
    at = 0
    for c in range(len(codes)):
        code = codes[c]
        if code < 0:
            continue
        if key_local[c] < 0:
            key_local[c], key_used[counts[0]] = counts[0], c
            counts[0] += 1
        if seen[code] != tile:
            seen[code], local[code], used[counts[1]] = tile, counts[1], code
            counts[1] += 1
        at = put_varint(out, at, key_local[c])
        at = put_varint(out, at, local[code])
    return at


@njit(cache=True)
def _put_feature(out: Any, at: int, feature: Any, parts: Any) -> int:
    """Write a feature: (identity, kind) and (tags, their bytes, commands, their bytes); where the next byte goes."""
    tags, tagged, shape, size = parts
    whole = 5 + _length(feature[0]) - 1 + _length(size) + size
    whole += 1 + _length(tagged) + tagged if tagged else 0
    at = put_varint(out, at, 0x12)
    at = put_varint(out, at, whole)
    at = put_varint(out, at, 0x08)
    at = put_varint(out, at, feature[0])
    if tagged:
        at = _field(out, at, 0x12, tags, tagged)
    out[at], out[at + 1] = 0x18, feature[1]
    return _field(out, at + 2, 0x22, shape, size)


@njit(cache=True)
def _put_used(out: Any, at: int, used: Any, n: int, texts: Any) -> int:
    """Write the entries of a table (bytes, where each begins) that a tile uses; where the next byte goes."""
    data, begins = texts
    for k in range(n):
        low, high = begins[used[k]], begins[used[k] + 1]
        out[at : at + high - low] = data[low:high]
        at += high - low
    return at


@njit(cache=True)
def put_layers(tiles: Any, rows: Any, rings: Any, table: Any, out: Any) -> Any:
    """(where the content of each tile's layer begins (t + 1,), bytes of each row, 0 where nothing is left of it).

    tiles   (first row of each (t + 1,), x and y of its corner (t, 2))
    rows    (feature, kind, first ring, end of rings), each (n,), in the order in which they are written
    rings   as for `put_geometry`
    table   (codes (m, c), -1 for missing; identities (m,); values, keys: bytes and where each begins)
    out     room for all bytes: see `encode`
    """
    first, corner = tiles
    feature, kind, ring_low, ring_high = rows
    codes, identity, values, keys = table
    columns, known = codes.shape[1], len(values[1])
    pool = (
        np.zeros(known, np.int64), np.full(known, -1, np.int64), np.empty(known, np.int64),
        np.empty(columns, np.int64), np.empty(columns, np.int64),
    )  # fmt: skip
    most, parts = np.int64(1), np.int64(1)
    for i in range(len(feature)):
        most = max(most, rings[1][ring_high[i]] - rings[1][ring_low[i]])
        parts = max(parts, ring_high[i] - ring_low[i])
    kept = np.empty(most, np.int64)
    shape, tags = np.empty(20 * (most + parts), np.uint8), np.empty(20 * columns + 1, np.uint8)
    begins, weight = np.zeros(len(first), np.int64), np.zeros(len(feature), np.int64)
    counts = np.zeros(2, np.int64)
    at = 0
    for t in range(len(first) - 1):
        counts[:] = 0
        pool[3][:] = -1
        for i in range(first[t], first[t + 1]):
            span = (ring_low[i], ring_high[i], corner[t, 0], corner[t, 1])
            size = put_geometry(shape, rings, span, kind[i], kept)
            if size == 0:
                continue
            before = counts[1]
            tagged = _put_tags(tags, codes[feature[i]], t, pool, counts)
            began = at
            at = _put_feature(out, at, (identity[feature[i]], kind[i]), (tags, tagged, shape, size))
            weight[i] = at - began
            for k in range(before, counts[1]):
                weight[i] += values[1][pool[2][k] + 1] - values[1][pool[2][k]]
        at = _put_used(out, at, pool[4], counts[0], keys)
        at = _put_used(out, at, pool[2], counts[1], values)
        begins[t + 1] = at
    return begins, weight
