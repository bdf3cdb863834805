"""The formats of contents before glTF: b3dm, i3dm, pnts and cmpt, their headers and what they hold.

source  OGC 18-053r2, 3D Tiles 1.0
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import SourceError

FORMATS = (b"b3dm", b"i3dm", b"pnts", b"cmpt")

_HEAD = struct.Struct("<4sII")
_TABLES = struct.Struct("<IIII")
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One tile format inside a content.

    kind    b3dm, i3dm or pnts
    glb     bytes of its glTF; empty where there is none
    placed  False where instances would have to be spread out to know where the glTF is drawn
    points  (n, 3) f8 of a point cloud in tile axes; None where there are none or they are packed
    shift   (3,) m, RTC_CENTER
    """

    kind: str
    glb: bytes
    placed: bool
    points: NDArray[np.float64] | None
    shift: NDArray[np.float64]


def parts(data: bytes, where: str, depth: int = 0) -> Iterator[Part]:
    """What a legacy content holds, the parts of a composite one by one.

    raises  SourceError where a length, the alignment or a table is wrong
    """
    if len(data) < 16:
        raise SourceError(f"{where}: {len(data)} bytes are too few for a legacy content")
    magic, version, length = _HEAD.unpack_from(data)
    kind = magic.decode("latin-1")
    if version != 1:
        raise SourceError(f"{where}: {kind} version is {version}, not 1")
    if length != len(data):
        raise SourceError(f"{where}: {kind} header says {length} of {len(data)} bytes")
    if magic == b"cmpt":
        yield from _composite(data, where, depth)
    else:
        yield _single(data, kind, where)


def _composite(data: bytes, where: str, depth: int) -> Iterator[Part]:
    (count,) = struct.unpack_from("<I", data, 12)
    if depth > _DEPTH:
        raise SourceError(f"{where}: composites are nested more than {_DEPTH} deep")
    at = 16
    for k in range(count):
        if at + 16 > len(data):
            raise SourceError(f"{where}: cmpt says {count} parts and ends after {k}")
        magic, _, length = _HEAD.unpack_from(data, at)
        if magic not in FORMATS or length < 16 or at + length > len(data):
            raise SourceError(f"{where}: part {k} of the cmpt is {magic!r} of {length} bytes")
        yield from parts(data[at : at + length], f"{where}, part {k}", depth + 1)
        at += length


def _single(data: bytes, kind: str, where: str) -> Part:
    start = 32 if kind == "i3dm" else 28
    if len(data) < start:
        raise SourceError(f"{where}: {len(data)} bytes are too few for the header of {kind}")
    sizes = _TABLES.unpack_from(data, 12)
    end = start + sum(sizes)
    if end > len(data):
        raise SourceError(f"{where}: tables of {kind} end at byte {end} of {len(data)}")
    if len(data) % 8 or (start + sizes[0]) % 8 or (kind != "pnts" and end % 8):
        raise SourceError(f"{where}: parts of {kind} are not padded to 8 bytes")
    table = _json(data[start : start + sizes[0]], f"{where}: feature table")
    _json(data[start + sizes[0] + sizes[1] : start + sum(sizes[:3])], f"{where}: batch table")
    binary = data[start + sizes[0] : start + sizes[0] + sizes[1]]
    shift = np.array(_value(table, "RTC_CENTER", binary, where), dtype=np.float64)
    if kind == "pnts":
        return Part(kind, b"", True, _points(table, binary, shift, where), shift)
    wanted = "BATCH_LENGTH" if kind == "b3dm" else "INSTANCES_LENGTH"
    if wanted not in table:
        raise SourceError(f"{where}: the feature table of {kind} has no {wanted}")
    if kind == "i3dm" and struct.unpack_from("<I", data, 28)[0] == 0:
        return Part(kind, b"", False, None, shift)
    return Part(kind, data[end:], kind == "b3dm", None, shift)


def _json(data: bytes, where: str) -> Mapping[str, Any]:
    text = data.rstrip(b" \0")
    try:
        table = json.loads(text.decode("utf-8")) if text else {}
    except ValueError as error:
        raise SourceError(f"{where} is not JSON in UTF-8: {error}") from error
    if not isinstance(table, dict):
        raise SourceError(f"{where} is no table")
    return table


def _value(table: Mapping[str, Any], key: str, binary: bytes, where: str) -> Any:
    entry = table.get(key, [0.0, 0.0, 0.0])
    if isinstance(entry, Mapping):
        return _array(binary, entry, "<f4", 3, where)
    if not isinstance(entry, list) or len(entry) != 3:
        raise SourceError(f"{where}: {key} is no list of three numbers")
    return entry


def _array(binary: bytes, entry: Mapping[str, Any], dtype: str, n: int, where: str) -> NDArray[Any]:
    at, size = int(entry.get("byteOffset", 0)), np.dtype(dtype).itemsize * n
    if at < 0 or at + size > len(binary):
        raise SourceError(f"{where}: the feature table needs {at + size} of {len(binary)} bytes")
    return np.frombuffer(binary, dtype, n, at)


def _points(
    table: Mapping[str, Any], binary: bytes, shift: NDArray[np.float64], where: str
) -> NDArray[np.float64] | None:
    if not isinstance(table.get("POINTS_LENGTH"), int):
        raise SourceError(f"{where}: the feature table of pnts has no POINTS_LENGTH")
    n = table["POINTS_LENGTH"]
    if "3DTILES_draco_point_compression" in table.get("extensions", {}):
        return None
    if "POSITION" in table:
        return _array(binary, table["POSITION"], "<f4", 3 * n, where).reshape(n, 3).astype(np.float64) + shift
    if "POSITION_QUANTIZED" in table:
        grid = _array(binary, table["POSITION_QUANTIZED"], "<u2", 3 * n, where).reshape(n, 3)
        low, size = (_value(table, f"QUANTIZED_VOLUME_{key}", binary, where) for key in ("OFFSET", "SCALE"))
        return np.asarray(grid / 65535.0 * np.asarray(size) + np.asarray(low) + shift)
    raise SourceError(f"{where}: the feature table of pnts has neither POSITION nor POSITION_QUANTIZED")
