"""Point clouds: LAS, LAZ, PLY and E57 read in chunks, moved into the frame, noise left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ingest.conform import accepts_ballpark, crs_of, datum_steps, naming, vertical_shift
from ingest.formats import e57, las, ply
from ingest.formats.cloud import corners_of, is_placed, to_crs
from ingest.reading import Card, Delivery, Reading
from twin.datums import check_numbers, vertical_of
from twin.errors import SourceError
from twin.frames import Frame, to_frame
from twin.points import PointCloud

CHUNK = 1_000_000
CELL = 50.0
NOISE = (7, 18)
_IS_NOISE = np.isin(np.arange(256), NOISE)
_MAGIC: tuple[tuple[bytes, ModuleType], ...] = ((b"LASF", las), (b"ply", ply), (b"ASTM-E57", e57))


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
                keep = ~_IS_NOISE[cloud.classification]
                # One number that is not finite makes the sum so.
                with np.errstate(over="ignore", invalid="ignore"):
                    sound = np.isfinite(cloud.xyz.sum())
                if not sound:
                    keep &= np.isfinite(cloud.xyz).all(axis=1)
                left_out = int(np.count_nonzero(~keep))
                noise += left_out
                kept = cloud.select(keep) if left_out else cloud
                classes += np.bincount(kept.classification, minlength=256)
                yield from _by_cell(kept)
        self.tally["noise"] = noise
        self.tally["classes"] = {str(code): int(n) for code, n in enumerate(classes) if n}


@dataclass(frozen=True, slots=True)
class PointReader:
    """Reads LAS, LAZ, PLY and E57 files into a PointStream in the frame."""

    kind: str = "points"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, "points points", (), "m", "ASPRS LAS 1.0-1.4, PLY, ASTM E57; 7 and 18 are noise")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """The stream; headers are checked at once, points are only read when the store asks for them."""
        lineage, count, coloured = delivery.lineage(), 0, True
        words: list[str] = []
        for path in delivery.files():
            shown = delivery.shown(path)
            steps: tuple[str, ...] = ()
            head = _format(path, shown, delivery).read_head(path, shown)
            count += head.count
            coloured = coloured and head.coloured
            own = head.crs
            crs = crs_of(delivery, own, shown)
            if head.count:
                flat = np.column_stack([head.corners, np.zeros(2)])
                corners = corners_of(to_crs(flat, delivery))
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


def _format(path: Path, shown: str, delivery: Delivery) -> ModuleType:
    """The module that reads the file, by its first bytes; a PLY must be placed by its declaration."""
    with path.open("rb") as file:
        head = file.read(16)
    found = next((module for magic, module in _MAGIC if head.startswith(magic)), None)
    if found is None:
        raise SourceError(
            f"{shown}: the point cloud is damaged or none of LAS, LAZ, PLY, E57 (it begins with {head[:8]!r})"
        )
    if found is ply and not is_placed(delivery):
        raise SourceError(
            f"{shown}: a PLY says not where it lies; add extra = {{ origin = [x, y, z] }} in its CRS (or transform, "
            f'16 numbers) to [[source]] "{delivery.source.name}"; [0, 0, 0] where it holds the CRS\'s own numbers'
        )
    return found


def _chunks(path: Path, delivery: Delivery, frame: Frame, coloured: bool) -> Iterator[PointCloud]:
    shown = delivery.shown(path)
    divisor = 0
    module = _format(path, shown, delivery)
    own = module.read_head(path, shown).crs
    crs = crs_of(delivery, own, shown)
    factor, shift = delivery.scale(), vertical_shift(delivery, frame, shown, vertical_of(own))[0]
    for points in module.read_chunks(path, shown, CHUNK):
        xyz = to_crs(points.xyz, delivery)
        with naming(shown):
            xy = to_frame(xyz[:, :2], crs, frame, accepts_ballpark(delivery))
        z = xyz[:, 2] * factor + shift
        rgb = points.rgb if coloured else None
        if rgb is not None and rgb.dtype != np.uint8:
            # 16 bit is wanted, many writers leave 8 bit values in the field: the first chunk tells.
            divisor = divisor or (257 if rgb.max(initial=0) > 255 else 1)
            rgb = (rgb // divisor).astype(np.uint8)
        yield PointCloud(frame, np.column_stack([xy, z]), points.classes, rgb)


def _by_cell(cloud: PointCloud) -> Iterator[PointCloud]:
    if not len(cloud):
        return
    column, row = (np.floor(cloud.xyz[:, k] / CELL).astype(np.int64) for k in range(2))
    column -= column.min()
    row -= row.min()
    width = int(column.max()) + 1
    key = row * width + column
    # Numbers of 16 bits are sorted by their digits, in a fraction of the time; a chunk seldom has more cells.
    if width * (int(row.max()) + 1) <= np.iinfo(np.uint16).max:
        key = key.astype(np.uint16)
    order = np.argsort(key, kind="stable")
    cells, placed = key[order], cloud.take(order)
    edges = np.append(np.flatnonzero(np.append(True, cells[1:] != cells[:-1])), len(cells))
    for part in (slice(start, end) for start, end in pairwise(edges.tolist())):
        rgb = None if placed.rgb is None else placed.rgb[part]
        yield PointCloud(cloud.frame, placed.xyz[part], placed.classification[part], rgb)
