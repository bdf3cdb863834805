"""Buffers packed by the codecs of meshoptimizer, as EXT_meshopt_compression lets a glTF carry them.

source  EXT_meshopt_compression (vendor extension of glTF 2.0), appendix A (bitstream) and B (filters)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import meshoptimizer
import numpy as np
from numpy.typing import NDArray

from twin.errors import SourceError

EXTENSION = "EXT_meshopt_compression"
READABLE = (EXTENSION, "KHR_meshopt_compression")

_FINEST = -9
_MANTISSA = 2**23 - 1


def exponent_of(reach: float) -> int:
    """Power of two of the finest grid, 1/512 or coarser, on which 24 bits with a sign reach so far (m)."""
    exponent = _FINEST
    while reach > _MANTISSA * 2.0**exponent:
        exponent += 1
    return exponent


def exponential(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Values (n, k) f4 on the grid of `exponent_of` as mantissa and shared exponent, u4; exact."""
    exponent = exponent_of(float(np.abs(values).max(initial=0.0)))
    mantissa = np.round(values.astype(np.float64) * 2.0**-exponent).astype(np.int64)
    return ((mantissa & 0xFFFFFF) | ((exponent & 0xFF) << 24)).astype("<u4")


def encode_attribute(table: NDArray[np.uint8]) -> bytes:
    """Rows (n, stride) u1 packed in mode ATTRIBUTES; the stride is a multiple of 4."""
    # The extension knows version 0 of this codec and no other; the library's default is newer.
    meshoptimizer.encode_vertex_version(0)
    return bytes(meshoptimizer.encode_vertex_buffer(table, len(table), table.shape[1]))


def encode_triangles(indices: NDArray[np.uint32], n_vertices: int) -> bytes:
    """Vertex numbers (3 k,) u4 packed in mode TRIANGLES; corners of a triangle may come back in turn."""
    meshoptimizer.encode_index_version(1)
    return bytes(meshoptimizer.encode_index_buffer(indices, len(indices), n_vertices))


def encode_sequence(indices: NDArray[np.uint32], n_vertices: int) -> bytes:
    """Vertex numbers (k,) u4 packed in mode INDICES, in their order."""
    meshoptimizer.encode_index_version(1)
    return bytes(meshoptimizer.encode_index_sequence(indices, len(indices), n_vertices))


def decode(packed: bytes, told: Mapping[str, Any], where: str) -> bytes:
    """Bytes of a buffer view from its packed ones.

    told    the extension object: count, byteStride, mode, filter
    raises  SourceError for a mode or filter that is not known, or where the bytes do not unpack
    """
    count, stride, mode, sieve = int(told["count"]), int(told["byteStride"]), told["mode"], told.get("filter", "NONE")
    try:
        if mode == "ATTRIBUTES":
            rows = meshoptimizer.decode_vertex_buffer(count, stride, packed, np.dtype((np.uint8, stride)))
            return _sift(rows, sieve, where).tobytes()
        if mode in ("TRIANGLES", "INDICES"):
            unpack = meshoptimizer.decode_index_buffer if mode == "TRIANGLES" else meshoptimizer.decode_index_sequence
            return bytes(unpack(count, 4, packed).astype(f"<u{stride}").tobytes())
    except (RuntimeError, ValueError) as error:
        raise SourceError(f"{where}: {len(packed)} bytes do not unpack to {count} of {stride}: {error}") from error
    raise SourceError(f"{where}: mode {mode!r} of {EXTENSION} is not known")


def _sift(rows: NDArray[np.uint8], sieve: str, where: str) -> NDArray[np.uint8]:
    filters = {
        "OCTAHEDRAL": meshoptimizer.decode_filter_oct,
        "QUATERNION": meshoptimizer.decode_filter_quat,
        "EXPONENTIAL": meshoptimizer.decode_filter_exp,
    }
    if sieve == "NONE":
        return rows
    if sieve not in filters:
        raise SourceError(f"{where}: filter {sieve!r} of {EXTENSION} is not known")
    return np.asarray(filters[sieve](rows, len(rows), rows.shape[1]))
