"""Point clouds: LAS, LAZ, PLY and E57 read in chunks, moved into the frame, noise left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.conform import accepts_ballpark, crs_of, datum_steps, naming, vertical_shift
from ingest.formats import e57, las, ply
from ingest.formats.cloud import RawPoints, corners_of, is_placed, to_crs
from ingest.reading import Card, Delivery, Reading
from twin.city import Source
from twin.datums import check_numbers, vertical_of
from twin.errors import SourceError
from twin.frames import Frame, to_frame
from twin.points import PointCloud
from twin.workers import Workers

CHUNK = 500_000
"""Points of one run."""

CELL = 50.0
NOISE = (7, 18)
_IS_NOISE = np.isin(np.arange(256), NOISE)
_MANY = 1_000_000
"""Fewer points are read before the first of other processes has begun."""

_EIGHT_BITS, _WIDE = 255, 257
_MAGIC: tuple[tuple[bytes, ModuleType], ...] = ((b"LASF", las), (b"ply", ply), (b"ASTM-E57", e57))


@dataclass(frozen=True, slots=True)
class PointStream:
    """Points of one delivery that are read while they are written, in clouds of neighbours, run by run."""

    frame: Frame
    delivery: Delivery
    coloured: bool = False
    tally: dict[str, Any] = field(default_factory=dict)

    def clouds(self, workers: Workers | None = None) -> Iterator[PointCloud]:
        """Clouds of one 50 m cell of one run each, in a fixed order, whoever reads them.

        Runs of LAS and LAZ are read by the workers; memory holds a few runs of half a million points.
        """
        noise = 0
        classes = np.zeros(256, dtype=np.int64)
        wide: dict[Path, bool] = {}
        for run, part in self._parts(workers):
            noise += part.noise
            classes += part.classes
            wide[run.path] = part.wide or wide.get(run.path, False)
            # Small numbers after large ones are dark, not of 8 bits.
            dark = wide[run.path] and not part.wide
            yield from _cut(replace(part, cloud=_dimmed(part.cloud)) if dark else part)
        self.tally["noise"] = noise
        self.tally["classes"] = {str(code): int(n) for code, n in enumerate(classes) if n}

    def _parts(self, workers: Workers | None) -> Iterator[tuple[_Run, _Part]]:
        runs = [run for path in self.delivery.files() for run in self._runs(path)]
        spread = workers is not None and workers.n > 1 and not workers.dask and self.tally.get("points", 0) >= _MANY
        if spread and workers is not None and all(run.places is not None for run in runs):
            starting = Thread(target=workers.start)
            starting.start()
            done = 0
            try:
                while starting.is_alive() and done < len(runs):
                    yield runs[done], _read(runs[done])
                    done += 1
            finally:
                starting.join()
            runs = runs[done:]
            yield from zip(runs, workers.map(partial(_read, alone=False), runs, "reading points"), strict=True)
            return
        for run in runs:
            if run.places is not None:
                yield run, _read(run)
            else:
                module = _format(run.path, run.shown, self.delivery)
                yield from ((run, _placed(points, run)) for points in module.read_chunks(run.path, run.shown, CHUNK))

    def _runs(self, path: Path) -> Iterator[_Run]:
        shown = self.delivery.shown(path)
        module = _format(path, shown, self.delivery)
        head = module.read_head(path, shown)
        shift = vertical_shift(self.delivery, self.frame, shown, vertical_of(head.crs))[0]
        whole = _Run(path, shown, self.delivery.source, self.frame, head.crs, shift, self.coloured)
        if module is not las:
            yield whole
            return
        for start in range(0, head.count, CHUNK):
            yield replace(whole, places=range(start, min(start + CHUNK, head.count)))


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of points of one file and what places them; goes to other processes.

    crs     as the file states it       shift   m, added to heights     places  None: the whole file
    """

    path: Path
    shown: str
    source: Source
    frame: Frame
    crs: str
    shift: float
    coloured: bool
    places: range | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Points of a run, those of a cell together: `cloud`, rows (k + 1,) where cells begin and end.

    noise   points left out     classes (256,) points of each class     wide    colours were of 16 bits
    """

    cloud: PointCloud
    edges: NDArray[np.int64]
    noise: int
    classes: NDArray[np.int64]
    wide: bool


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


def _read(run: _Run, alone: bool = True) -> _Part:
    assert run.places is not None
    return _placed(las.read_span(run.path, run.shown, run.places, alone), run)


def _placed(points: RawPoints, run: _Run) -> _Part:
    """Points in the frame, without noise, cell by cell."""
    delivery = Delivery(run.source, run.path.parent)
    xyz, rgb = to_crs(points.xyz, delivery), points.rgb if run.coloured else None
    crs = crs_of(delivery, run.crs, run.shown)
    with naming(run.shown):
        xy = to_frame(xyz[:, :2], crs, run.frame, accepts_ballpark(delivery))
    placed = np.empty_like(xyz)
    placed[:, :2] = xy
    placed[:, 2] = xyz[:, 2] * delivery.scale() + run.shift
    # 16 bit is wanted, many writers leave 8 bit values in the field.
    wide = rgb is not None and rgb.dtype != np.uint8 and int(rgb.max(initial=0)) > _EIGHT_BITS
    if rgb is not None and rgb.dtype != np.uint8:
        rgb = (rgb // _WIDE if wide else rgb).astype(np.uint8)
    cloud = PointCloud(run.frame, placed, points.classes, rgb)
    keep = ~_IS_NOISE[cloud.classification]
    # One number that is not finite makes the sum so.
    with np.errstate(over="ignore", invalid="ignore"):
        sound = np.isfinite(placed.sum())
    if not sound:
        keep &= np.isfinite(placed).all(axis=1)
    noise = int(np.count_nonzero(~keep))
    kept = cloud.select(keep) if noise else cloud
    sorted_cloud, edges = _by_cell(kept)
    return _Part(sorted_cloud, edges, noise, np.bincount(kept.classification, minlength=256), wide)


def _by_cell(cloud: PointCloud) -> tuple[PointCloud, NDArray[np.int64]]:
    """The points, those of a cell together, and the rows where cells begin and end."""
    if not len(cloud):
        return cloud, np.zeros(1, np.int64)
    column, row = (np.floor(cloud.xyz[:, k] / CELL).astype(np.int64) for k in range(2))
    column -= column.min()
    row -= row.min()
    width = int(column.max()) + 1
    key = row * width + column
    # Numbers of 16 bits are sorted by their digits, in a fraction of the time; a run seldom has more cells.
    if width * (int(row.max()) + 1) <= np.iinfo(np.uint16).max:
        key = key.astype(np.uint16)
    order = np.argsort(key, kind="stable")
    cells = key[order]
    edges = np.append(np.flatnonzero(np.append(True, cells[1:] != cells[:-1])), len(cells))
    return cloud.take(order), edges


def _cut(part: _Part) -> Iterator[PointCloud]:
    cloud = part.cloud
    for here in (slice(start, end) for start, end in pairwise(part.edges.tolist())):
        rgb = None if cloud.rgb is None else cloud.rgb[here]
        yield PointCloud(cloud.frame, cloud.xyz[here], cloud.classification[here], rgb)


def _dimmed(cloud: PointCloud) -> PointCloud:
    return cloud if cloud.rgb is None else replace(cloud, rgb=np.zeros_like(cloud.rgb))
