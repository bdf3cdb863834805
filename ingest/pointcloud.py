"""Point clouds: LAS and LAZ read in chunks, moved into the frame, noise left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import laspy
import laspy.errors
import lazrs
import numpy as np
import pyproj
from numpy.typing import NDArray

from ingest.conform import accepts_ballpark, crs_of, datum_steps, naming, vertical_shift
from ingest.reading import Card, Delivery, Reading
from twin.datums import check_numbers, vertical_of
from twin.errors import SourceError
from twin.frames import Frame, to_frame
from twin.points import PointCloud

CHUNK = 1_000_000
CELL = 50.0
NOISE = (7, 18)
_LAS_ERRORS = (laspy.errors.LaspyException, lazrs.LazrsError, EOFError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class PointStream:
    """Points of one delivery that are read while they are written, in clouds of neighbours, chunk by chunk."""

    frame: Frame
    delivery: Delivery
    coloured: bool = False
    tally: dict[str, Any] = field(default_factory=dict)

    def clouds(self) -> Iterator[PointCloud]:
        """Clouds of one 50 m cell of one chunk each, in a fixed order; memory holds one chunk of a million points."""
        noise = 0
        classes = np.zeros(256, dtype=np.int64)
        for path in self.delivery.files():
            for cloud in _chunks(path, self.delivery, self.frame, self.coloured):
                keep = ~np.isin(cloud.classification, NOISE) & np.isfinite(cloud.xyz).all(axis=1)
                noise += int(np.count_nonzero(~keep))
                classes += np.bincount(cloud.classification[keep], minlength=256)
                yield from _by_cell(cloud.select(keep))
        self.tally["noise"] = noise
        self.tally["classes"] = {str(code): int(n) for code, n in enumerate(classes) if n}


@dataclass(frozen=True, slots=True)
class PointReader:
    """Reads LAS and LAZ files into a PointStream in the frame."""

    kind: str = "points"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, "points points", (), "m", "ASPRS LAS 1.0-1.4; classes 7 and 18 are noise")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """The stream; headers are checked at once, points are only read when the store asks for them."""
        lineage, count, coloured = delivery.lineage(), 0, True
        words: list[str] = []
        for path in delivery.files():
            shown = delivery.shown(path)
            steps: tuple[str, ...] = ()
            with _readable(shown), laspy.open(path) as file:
                count += file.header.point_count
                coloured = coloured and "red" in file.header.point_format.dimension_names
                own = _own_crs(file.header)
                crs = crs_of(delivery, own, shown)
                corners = np.array([file.header.mins[:2], file.header.maxs[:2]], dtype=np.float64)
            if file.header.point_count:
                steps = datum_steps(crs, frame, corners, delivery, shown)
                with naming(shown):
                    check_numbers(corners, crs)
            step = vertical_shift(delivery, frame, shown, vertical_of(own))[1]
            steps = (*steps, step) if step else steps
            words += [line for line in steps if line not in words]
        if crs != frame.crs:
            lineage = lineage.step(f"{crs[:40]} -> {frame.crs}")
        for line in words:
            lineage = lineage.step(line)
        if not count:
            return Reading(None, lineage, warnings=(f"{shown}: the cloud has no point",), tally={"points": 0})
        tally: dict[str, Any] = {"points": count, "files": len(delivery.files())}
        return Reading(PointStream(frame, delivery, coloured, tally), lineage, tally=tally)


@contextmanager
def _readable(shown: str) -> Iterator[None]:
    try:
        yield
    except _LAS_ERRORS as err:
        words = (str(err) or type(err).__name__).splitlines()[0][:160]
        raise SourceError(f"{shown}: the point cloud is damaged or cut short ({words}); ask for it again") from err


def _own_crs(header: laspy.LasHeader) -> str:
    try:
        found = header.parse_crs()
    except pyproj.exceptions.CRSError:
        return ""
    return "" if found is None else str(found.to_string())


def _chunks(path: Path, delivery: Delivery, frame: Frame, coloured: bool) -> Iterator[PointCloud]:
    shown = delivery.shown(path)
    factor, shift = delivery.scale(), vertical_shift(delivery, frame, shown)[0]
    read, divisor = 0, 0
    with ExitStack() as stack:
        with _readable(shown):
            file = stack.enter_context(laspy.open(path))
            chunks = file.chunk_iterator(CHUNK)
        crs = crs_of(delivery, _own_crs(file.header), shown)
        while True:
            with _readable(shown):
                points = next(chunks, None)
            if points is None:
                break
            with naming(shown):
                xy = to_frame(np.column_stack([points.x, points.y]), crs, frame, accepts_ballpark(delivery))
            z = np.asarray(points.z, dtype=np.float64) * factor + shift
            rgb = _colours(points) if coloured else None
            if rgb is not None:
                # LAS wants 16 bit, many writers leave 8 bit values in the field: the first chunk tells.
                divisor = divisor or (257 if rgb.max(initial=0) > 255 else 1)
                rgb = (rgb // divisor).astype(np.uint8)
            read += len(z)
            classes = np.asarray(points.classification, dtype=np.uint8)
            yield PointCloud(frame, np.column_stack([xy, z]), classes, rgb)
        if read != file.header.point_count:
            raise SourceError(f"{shown}: {read} points of {file.header.point_count} in the file; ask for it again")


def _colours(points: Any) -> NDArray[np.uint16]:
    return np.column_stack([points.red, points.green, points.blue]).astype(np.uint16)


def _by_cell(cloud: PointCloud) -> Iterator[PointCloud]:
    if not len(cloud):
        return
    cells = np.floor(cloud.xyz[:, :2] / CELL).astype(np.int64)
    key = cells[:, 1] * 1_000_003 + cells[:, 0]
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(key[order])) + 1
    for part in np.split(order, edges):
        rgb = None if cloud.rgb is None else cloud.rgb[part]
        yield PointCloud(cloud.frame, cloud.xyz[part], cloud.classification[part], rgb)
