"""Cut features as Mapbox Vector Tiles 2.1, within the bytes that a tile may have.

source  Mapbox Vector Tile Specification 2.1
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tiles.vector import kernels
from tiles.vector.batch import Batch, Longs
from tiles.vector.cut import Cut
from tiles.vector.grid import EXTENT

Place = tuple[int, int]
Part = tuple[Batch, Cut]

_LAYER, _NAME = 0x1A, 0x0A
_TAIL = b"\x28" + bytes([EXTENT & 127 | 128, EXTENT >> 7]) + b"\x78\x02"
_VERTEX, _RING, _ROW = 20, 30, 40
_SHRINK = 0.95


def varint(value: int) -> bytes:
    """An unsigned number as protobuf writes it."""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(parts: list[Part], most: int) -> tuple[dict[Place, bytes], int]:
    """(tile -> its bytes, rows left out): where a tile would exceed `most` bytes its smallest features go.

    Points go evenly, by their identities; a tile of which nothing is left is not in the result.
    """
    told: dict[Place, bytes] = {}
    weights = []
    for part in parts:
        layers, weight = _layers(part)
        weights.append(weight)
        for place, data in layers:
            told[place] = told.get(place, b"") + data
    left_out = 0
    for place in [place for place, data in told.items() if len(data) > most]:
        told[place], gone = _fitting(parts, weights, place, most)
        left_out += gone
    return {place: data for place, data in told.items() if data}, left_out


def _layers(part: Part) -> tuple[list[tuple[Place, bytes]], Longs]:
    """((tile, layer) of every tile that shows something, bytes of each row)."""
    batch, cut = part
    rows = (cut.feature, cut.kind, cut.low, cut.high)
    rings = (cut.rings.xy, cut.rings.start, cut.rings.outer)
    table = (batch.codes, batch.identity, batch.values, batch.keys)
    out = np.empty(_room(batch, cut), np.uint8)
    begins, weight = kernels.put_layers((cut.first, cut.tile * EXTENT), rows, rings, table, out)
    name = batch.name.encode()
    head = bytes([_NAME]) + varint(len(name)) + name
    layers = []
    for k, (x, y) in enumerate(cut.tile.tolist()):
        if begins[k + 1] > begins[k]:
            content = head + out[begins[k] : begins[k + 1]].tobytes() + _TAIL
            layers.append(((x, y), bytes([_LAYER]) + varint(len(content)) + content))
    return layers, weight


def _room(batch: Batch, cut: Cut) -> int:
    """Bytes that the layers of a cut cannot exceed."""
    starts = cut.rings.start
    shape = _VERTEX * (starts[cut.high] - starts[cut.low]) + _RING * (cut.high - cut.low)
    sizes = np.append(np.diff(batch.values[1]), 0)
    codes = batch.codes[cut.feature]
    told = sizes[codes].sum() + 20 * codes.size
    return int(shape.sum() + told + _ROW * len(cut.feature) + len(batch.keys[0]) * len(cut.tile) + 1)


def _fitting(parts: list[Part], weights: list[Longs], place: Place, most: int) -> tuple[bytes, int]:
    """(bytes of a tile with its largest features, rows left out)."""
    inside = [(part, *_rows(part[1], place), weight) for part, weight in zip(parts, weights, strict=True)]
    inside = [entry for entry in inside if entry[2] > entry[1]]
    size = np.concatenate([_rank(batch, cut.feature[low:high]) for (batch, cut), low, high, _ in inside])
    bytes_of = np.concatenate([weight[low:high] for _, low, high, weight in inside])
    order = np.argsort(-size, kind="stable")
    allowed = float(most)
    while True:
        allowed *= _SHRINK
        keep = np.zeros(len(order), bool)
        keep[order[np.cumsum(bytes_of[order]) <= allowed]] = True
        data, at = b"", 0
        for (batch, cut), low, high, _ in inside:
            chosen = low + np.flatnonzero(keep[at : at + high - low])
            at += high - low
            if len(chosen):
                data += b"".join(layer for _, layer in _layers((batch, _only(cut, place, chosen)))[0])
        if len(data) <= most:
            return data, int((~keep).sum())


def _rank(batch: Batch, features: Longs) -> NDArray[np.float64]:
    """Larger first; points by their identities, as if each had a size up to one cell."""
    spread = batch.identity[features].astype(np.float64) / 2.0**kernels.IDENTITY_BITS
    return np.where(batch.kind[features] == 1, spread, 1.0 + batch.size[features])


def _rows(cut: Cut, place: Place) -> tuple[int, int]:
    found = np.flatnonzero((cut.tile == place).all(axis=1))
    return (int(cut.first[found[0]]), int(cut.first[found[0] + 1])) if len(found) else (0, 0)


def _only(cut: Cut, place: Place, rows: Longs) -> Cut:
    return replace(
        cut,
        tile=np.array([place]),
        first=np.array([0, len(rows)]),
        feature=cut.feature[rows],
        kind=cut.kind[rows],
        low=cut.low[rows],
        high=cut.high[rows],
    )
