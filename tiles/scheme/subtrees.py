"""The subtree of a quadtree as bytes: which tiles and contents there are, with the box and error of every tile.

source  OGC 22-025r4, 3D Tiles 1.1, implicit tiling; 3D Metadata semantic reference
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.reading.subtree import MAGIC, level_start

Floats = NDArray[np.float64]

Place = tuple[int, int, int]
"""(level, x, y) of a square, levels counted from the root at 0."""

_BRANCHING = 4
_HEADER = struct.Struct("<4sIQQ")
_NUMBER = {"type": "SCALAR", "componentType": "FLOAT64", "required": True}

SCHEMA: Mapping[str, Any] = {
    "id": "quadtree",
    "classes": {
        "tile": {
            "properties": {
                "box": {**_NUMBER, "array": True, "count": 12, "semantic": "TILE_BOUNDING_BOX"},
                "error": {**_NUMBER, "semantic": "TILE_GEOMETRIC_ERROR"},
            }
        }
    },
}
"""What a tileset says of the metadata of its tiles."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What a subtree tells of a tile.

    box     12 numbers in the axes of the implicit root, m
    error   geometric error, m
    drawn   whether it has a content
    """

    box: Floats
    error: float
    drawn: bool


def subtree(spots: Mapping[Place, Spot], levels: int) -> bytes:
    """The bytes of the only subtree of a quadtree.

    spots   all tiles, the parent of each among them, the root at (0, 0, 0)
    levels  that the subtree has
    """
    numbered = {level_start(level, _BRANCHING) + _morton(x, y, levels): spot for (level, x, y), spot in spots.items()}
    tiles = sorted(numbered.items(), key=lambda told: told[0])
    count = level_start(levels, _BRANCHING)
    views: list[bytes] = []
    document = {
        "tileAvailability": _bits([number for number, _ in tiles], count, views),
        "contentAvailability": [_bits([number for number, spot in tiles if spot.drawn], count, views)],
        "childSubtreeAvailability": {"constant": 0, "availableCount": 0},
        "propertyTables": [
            {
                "class": "tile",
                "count": len(tiles),
                "properties": {"box": {"values": len(views)}, "error": {"values": len(views) + 1}},
            }
        ],
        "tileMetadata": 0,
    }
    views.append(np.array([spot.box for _, spot in tiles], "<f8").tobytes())
    views.append(np.array([spot.error for _, spot in tiles], "<f8").tobytes())
    binary, told = b"", []
    for data in views:
        told.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(data)})
        binary += data + b"\0" * (-len(data) % 8)
    document |= {"buffers": [{"byteLength": len(binary)}], "bufferViews": told}
    text = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    return _HEADER.pack(MAGIC, 1, len(text), len(binary)) + text + binary


def _bits(numbers: Sequence[int], count: int, views: list[bytes]) -> dict[str, int]:
    """An entry of availability, its bits put into `views`."""
    if len(numbers) in (0, count):
        return {"constant": int(len(numbers) > 0), "availableCount": len(numbers)}
    spread = np.zeros(count, np.uint8)
    spread[list(numbers)] = 1
    views.append(np.packbits(spread, bitorder="little").tobytes())
    return {"bitstream": len(views) - 1, "availableCount": len(numbers)}


def _morton(x: int, y: int, bits: int) -> int:
    return sum(((x >> bit) & 1) << 2 * bit | ((y >> bit) & 1) << (2 * bit + 1) for bit in range(bits))
