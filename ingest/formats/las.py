"""LAS and LAZ 1.0 to 1.4, every point format, through laspy and lazrs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
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


def read_span(path: Path, shown: str, span: range, alone: bool = True) -> RawPoints:
    """The points of a run of places in the file; SourceError where fewer lie there than the file promises.

    alone   unpack on all cores; not where other processes unpack other runs at the same time
    """
    backend = laspy.LazBackend.LazrsParallel if alone else laspy.LazBackend.Lazrs
    with _sound(shown), laspy.open(path, laz_backend=backend) as file:
        if span.start:
            file.seek(span.start)
        points = file.read_points(len(span))
        coloured = "red" in file.header.point_format.dimension_names
        if len(points) != len(span):
            found = span.start + len(points)
            raise SourceError(f"{shown}: {found} points of {file.header.point_count} in the file; ask for it again")
    xyz = np.empty((len(points), 3))
    for column, name in enumerate("xyz"):
        xyz[:, column] = points[name]
    rgb = np.column_stack([points.red, points.green, points.blue]) if coloured else None
    return RawPoints(xyz, np.asarray(points.classification, dtype=np.uint8), rgb, len(xyz))


def _own_crs(header: laspy.LasHeader) -> str:
    try:
        found = header.parse_crs()
    except pyproj.exceptions.CRSError:
        return ""
    return "" if found is None else str(found.to_string())
