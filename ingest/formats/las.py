"""LAS and LAZ 1.0 to 1.4, every point format, through laspy and lazrs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import laspy
import laspy.errors
import lazrs
import numpy as np
import pyproj

from ingest.formats.claims import require_las
from ingest.formats.cloud import CloudHead, RawPoints, damaged
from twin.errors import SourceError

_ERRORS = (
    laspy.errors.LaspyException, lazrs.LazrsError, EOFError, ValueError, OSError, struct.error, OverflowError, KeyError,
)  # fmt: skip


@contextmanager
def _sound(shown: str) -> Iterator[None]:
    """Errors of laspy, and of lazrs where it gives up in Rust, become one clear line about the file."""
    try:
        with damaged(shown, _ERRORS):
            yield
    except _panics() as err:
        raise SourceError(f"{shown}: the compressed points are damaged; ask for it again") from err


def _panics() -> tuple[type[BaseException], ...]:
    """PanicException of every Rust library, which is no Exception, has no module, and is made at the first panic."""
    return tuple(kind for kind in BaseException.__subclasses__() if kind.__module__ == "pyo3_runtime")


def read_head(path: Path, shown: str) -> CloudHead:
    """What the header says; SourceError for what is no LAS."""
    require_las(path, shown)
    with _sound(shown), laspy.open(path) as file:
        header = file.header
        corners = np.array([header.mins[:2], header.maxs[:2]], dtype=np.float64)
        coloured = "red" in header.point_format.dimension_names
        return CloudHead(header.point_count, coloured, _own_crs(header), corners)


def read_chunks(path: Path, shown: str, size: int) -> Iterator[RawPoints]:
    """The points, `size` at a time; SourceError where fewer lie in the file than it promises."""
    read = 0
    with ExitStack() as stack:
        with _sound(shown):
            file = stack.enter_context(laspy.open(path))
            chunks = file.chunk_iterator(size)
        coloured = "red" in file.header.point_format.dimension_names
        while True:
            with _sound(shown):
                points = next(chunks, None)
            if points is None:
                break
            xyz = np.column_stack([points.x, points.y, points.z]).astype(np.float64)
            rgb = np.column_stack([points.red, points.green, points.blue]).astype(np.uint16) if coloured else None
            read += len(xyz)
            yield RawPoints(xyz, np.asarray(points.classification, dtype=np.uint8), rgb, len(xyz))
        if read != file.header.point_count:
            raise SourceError(f"{shown}: {read} points of {file.header.point_count} in the file; ask for it again")


def _own_crs(header: laspy.LasHeader) -> str:
    try:
        found = header.parse_crs()
    except pyproj.exceptions.CRSError:
        return ""
    return "" if found is None else str(found.to_string())
