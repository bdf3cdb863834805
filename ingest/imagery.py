"""Orthophotos: any number of sheets streamed block by block into one RGB image in the frame, never whole in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ingest.dem import Sheet, common_box, offset_in, open_sheet, readable
from ingest.reading import Card, Delivery, Reading
from twin.errors import SourceError
from twin.frames import Frame
from twin.grid import GeoBox

BLOCK_ROWS = 512
BLOCK_BYTES = 96_000_000
CACHE_MIB = 256
_LOOK = 1024


def bounded() -> rasterio.Env:
    """A context in which GDAL keeps at most 256 MiB of blocks; its own default is a share of the machine's memory."""
    return rasterio.Env(GDAL_CACHEMAX=CACHE_MIB)


@dataclass(frozen=True, slots=True)
class ImageStream:
    """An RGB image that is read while it is written: `blocks` yields (values (3, ny, nx) u1, row, col).

    Black (0, 0, 0) means "no picture here"; a true black becomes (1, 1, 1).
    """

    geobox: GeoBox
    delivery: Delivery
    stretch: tuple[tuple[float, float], ...]
    tally: dict[str, Any] = field(default_factory=dict)

    def blocks(self) -> Iterator[tuple[NDArray[np.uint8], int, int]]:
        """The image from north to south; SourceError names the file and rows that cannot be read."""
        ny, nx = self.geobox.shape
        width = max(BLOCK_ROWS, min(nx, BLOCK_BYTES // (3 * BLOCK_ROWS) // BLOCK_ROWS * BLOCK_ROWS))
        empty = 0
        with ExitStack() as stack:
            sheets = _aligned(stack, self.delivery, self.geobox)
            for row in range(0, ny, BLOCK_ROWS):
                for col in range(0, nx, width):
                    shape = (min(BLOCK_ROWS, ny - row), min(width, nx - col))
                    block = self._block(sheets, row, col, shape)
                    empty += int(np.count_nonzero((block == 0).all(axis=0)))
                    yield block, row, col
        self.tally["empty"] = empty

    def _block(
        self, sheets: list[tuple[Sheet, int, int]], row: int, col: int, shape: tuple[int, int]
    ) -> NDArray[np.uint8]:
        block = np.zeros((3, *shape), dtype=np.uint8)
        for sheet, top, left in reversed(sheets):
            height, width = sheet.dataset.shape
            r0, r1 = max(row, top), min(row + shape[0], top + height)
            c0, c1 = max(col, left), min(col + shape[1], left + width)
            if r0 >= r1 or c0 >= c1:
                continue
            window = Window(c0 - left, r0 - top, c1 - c0, r1 - r0)
            with readable(f"{sheet.shown}, rows {r0 - top}..{r1 - top}"):
                rgb, known = _read_rgb(sheet, window, self.stretch)
            np.copyto(block[:, r0 - row : r1 - row, c0 - col : c1 - col], np.maximum(rgb, 1), where=known)
        return block


@dataclass(frozen=True, slots=True)
class ImageryReader:
    """Reads orthophotos (grey, RGB or RGBA, 8 or 16 bit) into an ImageStream in the frame."""

    kind: str = "imagery"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, "raster ortho_<k>, the finest last", (), "", "bilinear; 2-98 % stretch where not 8 bit")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """The stream and its place; pixels are only read when the store asks for them."""
        lineage = delivery.lineage()
        with ExitStack() as stack:
            sheets = [stack.enter_context(open_sheet(path, delivery, frame)) for path in delivery.files()]
            box = common_box(sheets, frame)
            counts = {_count(sheet) for sheet in sheets}
            if len(counts) > 1 or counts & {0, 2}:
                raise SourceError(f"{sheets[0].shown}: {sorted(counts)} bands in the sheets; an image has 1, 3 or 4")
            stretch = _stretch(sheets)
            lineage = lineage.step(f"{len(sheets)} sheets put together") if len(sheets) > 1 else lineage
            foreign = sorted({sheet.crs[:40] for sheet in sheets if not sheet.native})
            for crs in foreign:
                lineage = lineage.step(f"{crs} -> {frame.crs}, bilinear")
            for step in sorted({step for sheet in sheets for step in sheet.steps}):
                lineage = lineage.step(step)
            lineage = lineage.step("stretched to 8 bit between the 2nd and 98th percentile") if stretch else lineage
        tally: dict[str, Any] = {"cells": box.shape[0] * box.shape[1], "sheets": len(sheets)}
        return Reading(ImageStream(box, delivery, stretch, tally), lineage, tally=tally)


def _aligned(stack: ExitStack, delivery: Delivery, box: GeoBox) -> list[tuple[Sheet, int, int]]:
    """(sheet, row, col) of every sheet on the cells of the box; one that lies between the cells is warped onto them."""
    placed = []
    for path in delivery.files():
        sheet = stack.enter_context(open_sheet(path, delivery, box.frame))
        offset = offset_in(sheet, box)
        if offset is None:
            ny, nx = box.shape
            view = WarpedVRT(
                sheet.dataset, crs=box.frame.crs, transform=box.affine, width=nx, height=ny,
                resampling=Resampling.bilinear, add_alpha=ColorInterp.alpha not in sheet.dataset.colorinterp,
            )  # fmt: skip
            sheet = Sheet(stack.enter_context(view), sheet.shown, False, sheet.nodata, sheet.crs)
            offset = (0, 0)
        placed.append((sheet, *offset))
    return placed


def _count(sheet: Sheet) -> int:
    """Colour bands of the sheet, the alpha band aside."""
    return min(3, sheet.dataset.count - (sheet.dataset.colorinterp[-1] == ColorInterp.alpha))


def _stretch(sheets: list[Sheet]) -> tuple[tuple[float, float], ...]:
    if all(dtype == "uint8" for sheet in sheets for dtype in sheet.dataset.dtypes[:1]):
        return ()
    bands = range(1, _count(sheets[0]) + 1)
    looks: list[list[NDArray[np.float64]]] = [[] for _ in bands]
    for sheet in sheets:
        scale = max(1.0, max(sheet.dataset.shape) / _LOOK)
        shape = tuple(max(1, round(n / scale)) for n in sheet.dataset.shape)
        with readable(sheet.shown):
            for k, band in enumerate(bands):
                values = sheet.dataset.read(band, out_shape=shape).astype(np.float64)
                known = np.isfinite(values) & (sheet.dataset.read_masks(band, out_shape=shape) > 0)
                looks[k].append(values[known & (values != sheet.nodata)])
    ends = [np.percentile(np.concatenate(look), (2.0, 98.0)) if sum(map(len, look)) else (0.0, 1.0) for look in looks]
    return tuple((float(low), float(max(high, low + 1e-9))) for low, high in ends)


def _read_rgb(
    sheet: Sheet, window: Window, stretch: tuple[tuple[float, float], ...]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    count = _count(sheet)
    raw = sheet.dataset.read(list(range(1, count + 1)), window=window)
    flags = sheet.dataset.mask_flag_enums[0]
    known = np.ones(raw.shape[1:], dtype=bool)
    if [flag.name for flag in flags] != ["all_valid"]:
        known = sheet.dataset.dataset_mask(window=window) > 0
    if not np.isnan(sheet.nodata):
        known &= ~(raw == sheet.nodata).all(axis=0)
    if stretch:
        low, high = (np.array(ends)[:, None, None] for ends in zip(*stretch, strict=True))
        with np.errstate(invalid="ignore"):
            scaled = np.clip((raw - low) / (high - low), 0.0, 1.0) * 254.0 + 1.0
        raw = np.nan_to_num(scaled, nan=0.0).round().astype(np.uint8)
    rgb = raw if count == 3 else np.repeat(raw[:1], 3, axis=0)
    return rgb, known
