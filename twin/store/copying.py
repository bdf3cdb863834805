"""Rows of a layer as COPY in binary takes them, put together column by column.

source  PostgreSQL, COPY, file formats, binary format: a row is the number of its fields (int16), then every field as
        its length (int32, -1 for null) and its bytes, all in network byte order
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.features import Layer

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL = b"\xff\xff"
_CHUNK = 16_384
_NULL = b"\xff\xff\xff\xff"


def is_number(values: NDArray[Any]) -> bool:
    """Whether a column is kept as double precision; any other is text."""
    return values.dtype.kind in "fiub"


def binary_rows(layer: Layer, srid: int) -> Iterator[memoryview]:
    """The rows fid, oid, geom, columns, some thousands at a time; their bytes are the same however many.

    fid counts from 1 in the order of the layer, geom is EWKB, NaN is null.
    """
    for start in range(0, len(layer), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(layer)))
        shapes = shapely.to_wkb(shapely.set_srid(layer.geometry[rows], srid), include_srid=srid > 0)
        fields = [_heads(rows, 3 + len(layer.columns)), *_texts(layer.oid[rows]), *_sized(shapes)]
        for values in layer.columns.values():
            fields += [_doubles(values[rows])] if is_number(values) else _texts(values[rows])
        yield _joined(fields)


def ahead(chunks: Iterator[memoryview]) -> Iterator[memoryview]:
    """The same chunks; the next one is put together in a second thread while the caller is busy with this one."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)
            yield chunk


def _heads(rows: slice, fields: int) -> Any:
    """How many fields a row has, and its fid."""
    made = np.empty(rows.stop - rows.start, dtype=[("fields", ">i2"), ("size", ">i4"), ("fid", ">i8")])
    made["fields"], made["size"], made["fid"] = fields, 8, np.arange(rows.start + 1, rows.stop + 1)
    return _fixed(made)


def _doubles(values: NDArray[Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    made = np.empty(len(values), dtype=[("size", ">i4"), ("value", ">f8")])
    made["size"], made["value"] = 8, values
    known = pa.array(~np.isnan(made["value"]))
    return _fixed(made) if known.true_count == len(known) else pc.if_else(known, _fixed(made), _bytes(_NULL))


def _texts(values: NDArray[Any]) -> list[Any]:
    import pyarrow as pa

    try:
        words = pa.array(values, type=pa.large_string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        # What is no text is kept as Python says it.
        words = pa.array([None if v is None else str(v) for v in values.tolist()], type=pa.large_string())
    return _sized(words.fill_null("").cast(pa.large_binary()))


def _sized(values: Any) -> list[Any]:
    """Lengths and bytes (n,) of values that may be null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = values if isinstance(values, pa.Array) else pa.array(values, type=pa.large_binary())
    sizes = pc.binary_length(array).fill_null(-1).to_numpy(zero_copy_only=False)
    return [_fixed(sizes.astype(">i4")), array.fill_null(b"")]


def _fixed(values: NDArray[Any]) -> Any:
    """Every item of an array as its bytes."""
    import pyarrow as pa

    kind = pa.binary(values.dtype.itemsize)
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(values), [None, pa.py_buffer(values)]).cast(pa.large_binary())


def _bytes(value: bytes) -> Any:
    import pyarrow as pa

    return pa.scalar(value, pa.large_binary())


def _joined(fields: list[Any]) -> memoryview:
    """All fields of all rows, one after the other."""
    import pyarrow.compute as pc

    rows = pc.binary_join_element_wise(*fields, _bytes(b""))
    _, offsets, data = rows.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[rows.offset : rows.offset + len(rows) + 1]
    return memoryview(data)[ends[0] : ends[-1]]
