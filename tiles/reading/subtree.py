"""Subtrees of implicit tiling: the container, its availability, and the place of every tile in it.

source  OGC 22-025r4, implicit tiling
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.gltf.glb import Gltf
from twin.errors import SourceError

MAGIC = b"subt"
_HEADER = struct.Struct("<4sIQQ")


@dataclass(frozen=True, slots=True)
class Subtree:
    """A subtree that was opened.

    document    its JSON
    buffers     bytes of its buffers
    where       name for messages
    """

    document: Mapping[str, Any]
    buffers: tuple[bytes, ...]
    where: str

    def bits(self, entry: Mapping[str, Any], count: int) -> NDArray[np.bool_]:
        """Availability (count,) of an entry; SourceError where it is neither a constant nor a whole bit stream."""
        if ("constant" in entry) == ("bitstream" in entry):
            raise SourceError("has neither or both of constant and bitstream")
        if "constant" in entry:
            if entry["constant"] not in (0, 1):
                raise SourceError(f"constant is {entry['constant']!r}, neither 0 nor 1")
            return np.full(count, bool(entry["constant"]))
        data = self.tables({}).view(int(entry["bitstream"]))
        if len(data) != -(-count // 8):
            raise SourceError(f"bit stream has {len(data)} bytes, {-(-count // 8)} are needed for {count} bits")
        spread = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        if spread[count:].any():
            raise SourceError("bit stream has bits set after its end")
        return spread[:count].astype(bool)

    def tables(self, schema: Mapping[str, Any]) -> Gltf:
        """The subtree's property tables in the clothes of EXT_structural_metadata."""
        told = {"schema": schema, "propertyTables": self.document.get("propertyTables", [])}
        views = self.document.get("bufferViews", [])
        return Gltf({"bufferViews": views, "extensions": {"EXT_structural_metadata": told}}, self.buffers, self.where)


def read_subtree(
    data: bytes, where: str, fetch: Callable[[str], bytes], shape: Callable[[Any], dict[str, Any]]
) -> Subtree:
    """A subtree of its bytes, binary or plain JSON.

    fetch   bytes of a buffer that lies in a file of its own
    shape   the JSON without what is of a wrong type
    raises  SourceError where header, lengths, padding, JSON or buffers are wrong
    """
    binary = b""
    if data[:4] == MAGIC:
        text, binary = _split(data)
    else:
        text = data
    try:
        document = json.loads(text.decode("utf-8"))
    except ValueError as error:
        raise SourceError(f"is not JSON in UTF-8: {error}") from error
    document = shape(document)
    buffers = []
    for entry in document.get("buffers", []):
        found = fetch(entry["uri"]) if "uri" in entry else binary
        if len(found) < entry["byteLength"]:
            raise SourceError(f"a buffer has {len(found)} of {entry.get('byteLength')} bytes")
        buffers.append(found)
    return Subtree(document, tuple(buffers), where)


def _split(data: bytes) -> tuple[bytes, bytes]:
    if len(data) < _HEADER.size:
        raise SourceError(f"{len(data)} bytes are too few for a subtree")
    _, version, json_size, binary_size = _HEADER.unpack_from(data)
    if version != 1:
        raise SourceError(f"version is {version}, not 1")
    if json_size % 8 or binary_size % 8:
        raise SourceError(f"JSON of {json_size} and binary of {binary_size} bytes are not padded to 8 bytes")
    if _HEADER.size + json_size + binary_size != len(data):
        raise SourceError(f"header says {_HEADER.size + json_size + binary_size} of {len(data)} bytes")
    end = _HEADER.size + json_size
    return data[_HEADER.size : end], data[end:]


def morton(index: int, dimensions: int) -> tuple[int, ...]:
    """(x, y) or (x, y, z) of a place along the Morton curve."""
    return tuple(
        sum(((index >> (dimensions * bit + axis)) & 1) << bit for bit in range(index.bit_length() // dimensions + 1))
        for axis in range(dimensions)
    )


def level_start(level: int, branching: int) -> int:
    """Tiles of a subtree that come before those of a level."""
    return (branching**level - 1) // (branching - 1)
