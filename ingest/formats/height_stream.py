"""Heights larger than memory: read, brought to metres and filled block by block while they are written.

Memory: one window of at most BLOCK + 2 MARGIN cells a side at a time (2,624 cells: 26 MiB a copy, ten copies), and
GDAL's cache; the size of the mosaic does not matter. A window reaches MARGIN cells over its block, so that every hole
that is filled is seen whole with all that its filling looks at: the result does not depend on the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ingest.dem import (
    HeightReader,
    Sheet,
    choose_band,
    common_box,
    fill_holes,
    known_cells,
    offset_in,
    open_sheet,
    readable,
    told_steps,
)
from ingest.reading import Card, Delivery, Reading
from twin.errors import SourceError
from twin.frames import Frame
from twin.grid import GeoBox

STREAM_FROM = 100_000_000
BLOCK = 1024
LARGEST = 256
MARGIN = 800  # a hole, the search around it, and a hole that this search meets: 3 * 256, and some


@dataclass(frozen=True, slots=True)
class HeightStream:
    """Heights that are read while they are written: `blocks` yields (values (ny, nx) f4 m, row, col), NaN unknown.

    Enclosed holes of at most LARGEST cells across are filled as `fill_holes` does it; wider ones stay empty.
    """

    geobox: GeoBox
    delivery: Delivery
    reader: HeightReader
    tally: dict[str, Any] = field(default_factory=dict)

    def blocks(self) -> Iterator[tuple[NDArray[np.float32], int, int]]:
        """The heights from north to south; SourceError where a sheet cannot be read, or none has a height."""
        ny, nx = self.geobox.shape
        filled = empty = 0
        with ExitStack() as stack:
            sheets = self._placed(stack)
            for row in range(0, ny, BLOCK):
                for col in range(0, nx, BLOCK):
                    block, found = self._block(sheets, row, col)
                    filled += found
                    empty += int(np.count_nonzero(np.isnan(block)))
                    yield block, row, col
        self.tally.update(filled=filled, empty=empty)
        if empty == ny * nx:
            name = self.delivery.source.name
            raise SourceError(f"{sheets[0][0].shown}: no cell has a height; check nodata and unit of source {name!r}")

    def _block(self, sheets: list[tuple[Sheet, int, int]], row: int, col: int) -> tuple[NDArray[np.float32], int]:
        ny, nx = self.geobox.shape
        top, left = max(0, row - MARGIN), max(0, col - MARGIN)
        bottom, right = min(ny, row + BLOCK + MARGIN), min(nx, col + BLOCK + MARGIN)
        values = np.full((bottom - top, right - left), np.nan, dtype=np.float32)
        for sheet, r, c in sheets:
            _lay(sheet, r - top, c - left, values)
        values, _, _ = self.reader.metres(values, self.delivery, self.geobox.frame)
        core = np.s_[row - top : min(ny, row + BLOCK) - top, col - left : min(nx, col + BLOCK) - left]
        unknown = int(np.count_nonzero(np.isnan(values[core])))
        if self.reader.fills and unknown:
            values, _ = fill_holes(values, LARGEST)
        return values[core], unknown - int(np.count_nonzero(np.isnan(values[core])))

    def _placed(self, stack: ExitStack) -> list[tuple[Sheet, int, int]]:
        """(sheet, row, column) on the cells of the box, the finest first; one between the cells is warped onto them."""
        box, placed = self.geobox, []
        for path in self.delivery.files():
            sheet = choose_band(stack.enter_context(open_sheet(path, self.delivery, box.frame)), self.delivery)
            size, offset = abs(sheet.dataset.transform.a), offset_in(sheet, box)
            if offset is None:
                view = WarpedVRT(
                    sheet.dataset, crs=box.frame.crs, transform=box.affine, width=box.shape[1], height=box.shape[0],
                    resampling=Resampling.bilinear, nodata=sheet.nodata, src_nodata=sheet.nodata,
                )  # fmt: skip
                sheet = Sheet(stack.enter_context(view), sheet.shown, False, sheet.nodata, sheet.crs, band=sheet.band)
                offset = (0, 0)
            placed.append((size, sheet, *offset))
        placed.sort(key=lambda item: item[0])
        return [(sheet, row, col) for _, sheet, row, col in placed]


def _lay(sheet: Sheet, row: int, col: int, values: NDArray[np.float32]) -> None:
    """Puts the part of a sheet, its corner at (row, col) of the window, where nothing lies yet."""
    height, width = sheet.dataset.shape
    r0, r1 = max(0, row), min(values.shape[0], row + height)
    c0, c1 = max(0, col), min(values.shape[1], col + width)
    if r0 >= r1 or c0 >= c1:
        return
    window = Window(c0 - col, r0 - row, c1 - c0, r1 - r0)
    with readable(f"{sheet.shown}, rows {r0 - row}..{r1 - row}"):
        raw = sheet.dataset.read(sheet.band, window=window)
        found = known_cells(raw, sheet, window)
    part = values[r0:r1, c0:c1]
    np.copyto(part, raw.astype(np.float32), where=found & np.isnan(part))


@dataclass(frozen=True, slots=True)
class HeightsOfAnySize:
    """Reads heights whole where they fit in memory, as a HeightStream from STREAM_FROM cells on."""

    reader: HeightReader

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return self.reader.card

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """A Raster, or a stream with its place; cells of a stream are only read when the store asks for them."""
        with ExitStack() as stack:
            sheets = [stack.enter_context(open_sheet(path, delivery, frame)) for path in delivery.files()]
            box = common_box(sheets, frame)
            lineage = told_steps(delivery.lineage(), sheets, frame)
            sheets = [choose_band(sheet, delivery) for sheet in sheets]
            shifts = dict.fromkeys(self.reader.shift(delivery, frame, sheet)[1] for sheet in sheets)
        cells = box.shape[0] * box.shape[1]
        if cells < STREAM_FROM:
            return self.reader.read(delivery, frame)
        for step in filter(None, shifts):
            lineage = lineage.step(step)
        if self.reader.fills:
            lineage = lineage.step(f"holes of at most {LARGEST} cells across filled by inverse distance")
        tally: dict[str, Any] = {"cells": cells, "sheets": len(sheets)}
        return Reading(HeightStream(box, delivery, self.reader, tally), lineage, tally=tally)
