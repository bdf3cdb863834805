"""Rasters of height: terrain, surface and canopy; sheets put together, holes filled and counted, in metres."""

from __future__ import annotations

import math
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio._err
import rasterio.errors
import rasterio.fill
import rasterio.warp
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.shutil import copy as copy_raster
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ingest.conform import crs_of, datum_steps, naming, vertical_shift
from ingest.formats.claims import refuse_services, require_heights, require_raster, require_together
from ingest.formats.coded_height import open_decoded
from ingest.reading import Card, Delivery, Reading
from twin.datums import MAP_DATUMS, check_numbers, passage, vertical_of
from twin.errors import SourceError
from twin.frames import Frame, same_crs
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage

RASTER_ERRORS = (rasterio.errors.RasterioError, rasterio.errors.CRSError, rasterio._err.CPLE_BaseError)
BELIEVABLE = {"dem": (-500.0, 9000.0), "dsm": (-500.0, 9800.0), "canopy": (-50.0, 150.0)}
TIFFS = (".tif", ".tiff")
LINE_BY_LINE = ("JPEG", "PNG", "GIF", "BMP")
_ALIGNED = 1e-3
_FILL_SEARCH = 256.0


@dataclass(frozen=True, slots=True)
class HeightReader:
    """Reads DEM, DSM or canopy heights, one sheet or many, into one Raster f4 m in the frame."""

    kind: str
    fills: bool = True

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, f"raster {self.kind}", (), "m", "bilinear; holes by inverse distance (GDAL fillnodata)")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """The raster; holes inside it are filled where the kind wants it, and their number is said."""
        lineage = delivery.lineage()
        with ExitStack() as stack:
            sheets = [stack.enter_context(open_sheet(path, delivery, frame)) for path in delivery.files()]
            sheets = [choose_band(sheet, delivery) for sheet in sheets]
            shifts = dict.fromkeys(self.shift(delivery, frame, sheet)[1] for sheet in sheets)
            box = common_box(sheets, frame)
            require_heights(box.shape, sheets[0].shown)
            values = _mosaic(sheets, box)
            lineage = told_steps(lineage, sheets, frame)
        for step in filter(None, shifts):
            lineage = lineage.step(step)
        values, lines, strange = self.metres(values, delivery, frame)
        lineage = lineage.step(f"{strange} cells outside the believable range emptied") if strange else lineage
        holes = 0
        if self.fills:
            values, holes = fill_holes(values)
        if holes:
            lineage = lineage.step(f"{holes} cells in holes filled by inverse distance")
            lines.append(f"{sheets[0].shown}: {holes} cells without height inside the {self.kind}, filled")
        empty = int(np.count_nonzero(np.isnan(values)))
        if empty == values.size:
            raise SourceError(
                f"{sheets[0].shown}: no cell has a height; check nodata and unit of source {delivery.source.name!r}"
            )
        tally = {"cells": int(values.size), "filled": holes, "empty": empty, "sheets": len(sheets)}
        return Reading(Raster(values, box), lineage, warnings=tuple(lines), tally=tally)

    def shift(self, delivery: Delivery, frame: Frame, sheet: Sheet | None = None) -> tuple[float, str]:
        """Canopy is height above ground and knows no datum; a sheet's own word about its heights must agree."""
        if self.kind == "canopy":
            return 0.0, ""
        shown = sheet.shown if sheet else delivery.shown(delivery.files()[0])
        return vertical_shift(delivery, frame, shown, sheet.stated if sheet else "")

    def metres(
        self, values: NDArray[np.float32], delivery: Delivery, frame: Frame
    ) -> tuple[NDArray[np.float32], list[str], int]:
        """(heights in metres of the frame, what is not believable emptied; warnings; number of cells emptied)."""
        shown = delivery.shown(delivery.files()[0])
        factor = delivery.scale()
        shift, _ = self.shift(delivery, frame)
        if factor != 1.0 or shift:
            values = (values * np.float32(factor) + np.float32(shift)).astype(np.float32)
        low, high = BELIEVABLE[self.kind]
        with np.errstate(invalid="ignore"):
            strange = (values < low) | (values > high)
        count = int(np.count_nonzero(strange))
        if not count:
            return values, [], 0
        worst = float(values[strange].flat[0])
        values = np.where(strange, np.float32(np.nan), values)
        return (
            values,
            [f"{shown}: {count} cells like {worst:g} m lie outside {low:g}..{high:g} m; declare nodata, or the unit"],
            count,
        )


@dataclass(frozen=True, slots=True)
class Sheet:
    """One open raster file in the frame: the dataset itself, or a warped view of it.

    dataset     what to read from; its transform is in the frame
    native      true where cells are read as they are, without resampling
    steps       the change of datum in words
    stated      what its CRS says of the heights, "" where it says nothing
    """

    dataset: Any
    shown: str
    native: bool
    nodata: float
    crs: str
    steps: tuple[str, ...] = ()
    stated: str = ""
    band: int = 1


def choose_band(sheet: Sheet, delivery: Delivery) -> Sheet:
    """The sheet with the band of its heights: the only one, or `extra.band`, by number or by its description."""
    return replace(sheet, band=_band(sheet, delivery, delivery.source.kind))


def _band(sheet: Sheet, delivery: Delivery, kind: str) -> int:
    wanted, dataset = delivery.source.extra.get("band"), sheet.dataset
    if wanted is None:
        count = dataset.count - (dataset.colorinterp[-1] == ColorInterp.alpha)
        if count != 1:
            raise SourceError(f"{sheet.shown}: {count} bands; a {kind} has one; name it in extra = {{ band = 1 }}")
        return 1
    named = [word or "" for word in dataset.descriptions]
    if isinstance(wanted, str) and wanted in named:
        return named.index(wanted) + 1
    if isinstance(wanted, int) and 1 <= wanted <= dataset.count:
        return wanted
    have = ", ".join(filter(None, named)) or f"1..{dataset.count}"
    raise SourceError(f"{sheet.shown}: no band {wanted!r} (extra.band); the file has {have}")


@contextmanager
def open_sheet(path: Path, delivery: Delivery, frame: Frame) -> Iterator[Sheet]:
    """A raster file seen in the frame; warped (bilinear) where its CRS or its axes differ from the frame's.

    raises  SourceError for a file that is no raster, has no georeference, or whose CRS is not declared
    """
    shown = delivery.shown(path)
    refuse_services(path, shown)
    with readable(shown), ExitStack() as stack:
        with warnings.catch_warnings():
            # A raster without georeference is refused below, in words of ours.
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            dataset = stack.enter_context(
                open_decoded(path, delivery)
                if "coding" in delivery.source.extra
                else rasterio.open(path, **({"NUM_THREADS": "ALL_CPUS"} if path.suffix.lower() in TIFFS else {}))
            )
        own = dataset.crs.to_string() if dataset.crs else ""
        crs = crs_of(delivery, own, shown)
        if crs in MAP_DATUMS:
            raise SourceError(f"{shown}: a raster cannot be read in {crs}; ask for it in a projected CRS")
        if dataset.transform == Affine.identity() and not dataset.gcps[0]:
            raise SourceError(f"{shown}: the raster has no georeference (no geotransform, no world file)")
        require_raster(dataset, shown)
        steps = _checked(dataset, crs, delivery, frame, shown)
        nodata = delivery.source.nodata
        if math.isnan(nodata):
            nodata = math.nan if dataset.nodata is None else float(dataset.nodata)
        t = dataset.transform
        native = same_crs(crs, frame.crs) and t.b == 0.0 and t.d == 0.0 and t.a > 0.0 and t.e < 0.0
        view = dataset
        if not native:
            options = {"src_crs": crs, "crs": frame.crs, "resampling": Resampling.bilinear}
            view = stack.enter_context(WarpedVRT(tiled(stack, dataset), **options, **_emptiness(dataset, nodata)))
        yield Sheet(view, shown, native, nodata, crs, steps, vertical_of(own))


def _emptiness(dataset: Any, nodata: float) -> dict[str, Any]:
    """How a warped view tells what the sheet leaves empty, which must not read as a height or a colour of 0."""
    if not math.isnan(nodata):
        return {"src_nodata": nodata}
    # GDAL takes a band of opacity for a mask in these types only.
    if set(dataset.dtypes) <= {"uint8", "uint16"}:
        return {"src_nodata": None, "add_alpha": ColorInterp.alpha not in dataset.colorinterp}
    return {"src_nodata": math.nan, "nodata": math.nan}


def tiled(stack: ExitStack, dataset: Any) -> Any:
    """The same raster where windows cost what they hold: a picture coded line by line is copied into tiles first.

    A warped window asks for lines back and forth, and a JPEG or PNG is decoded from its top for each step back.
    """
    if dataset.driver not in LINE_BY_LINE or dataset.block_shapes[0][0] != 1:
        return dataset
    beside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twin"))) / "tiled.tif"
    copy_raster(dataset, beside, driver="GTiff", tiled=True, blockxsize=512, blockysize=512, BIGTIFF="IF_SAFER")
    return stack.enter_context(rasterio.open(beside))


def _checked(dataset: Any, crs: str, delivery: Delivery, frame: Frame, shown: str) -> tuple[str, ...]:
    """The change of datum of a raster in words; SourceError where its corners cannot be in its CRS."""
    west, south, east, north = dataset.bounds
    corners = [[west, south], [east, south], [east, north], [west, north]]
    with naming(shown):
        check_numbers(corners, crs)
    steps = datum_steps(crs, frame, corners, delivery, shown)
    if not same_crs(crs, frame.crs) and passage(crs, frame.crs, corners).hub:
        raise SourceError(
            f"{shown}: {crs} has parameters to WGS 84 only, over which a raster is not warped; "
            "deliver the raster in CGCS2000 or WGS 84"
        )
    return steps


@contextmanager
def readable(shown: str) -> Iterator[None]:
    """GDAL's errors inside the block become one clear line about the file."""
    try:
        yield
    except RASTER_ERRORS as err:
        word = (str(err.__cause__ or err).splitlines() or ["no reason given"])[0]
        raise SourceError(
            f"{shown}: the raster is damaged or cut short ({_plain_words(word, shown)}); ask for it again"
        ) from err


def _plain_words(word: str, shown: str) -> str:
    """What GDAL said, the folder in front of the file aside."""
    return re.sub(r"'/\S*'", repr(shown), word)[:160]


def common_box(sheets: Sequence[Sheet], frame: Frame) -> GeoBox:
    """The grid that holds all sheets: the finest sheet's cells, over the bounds of all."""
    finest = min(sheets, key=lambda sheet: (abs(sheet.dataset.transform.a), sheet.shown)).dataset
    if len(sheets) == 1:
        return GeoBox(finest.shape, _plain(finest.transform), frame)
    cells = sum(sheet.dataset.shape[0] * sheet.dataset.shape[1] for sheet in sheets)
    box = _spread(_plain(finest.transform), [sheet.dataset.bounds for sheet in sheets], frame)
    require_together(box.shape, cells, sheets[0].shown)
    return box


def _spread(cell: Affine, bounds: Sequence[Sequence[float]], frame: Frame) -> GeoBox:
    """The grid of `cell`, grown in whole cells until it holds all bounds."""
    edges = np.array([tuple(b) for b in bounds])
    dx, dy = cell.a, -cell.e
    west = cell.c - math.ceil((cell.c - edges[:, 0].min()) / dx - _ALIGNED) * dx
    north = cell.f + math.ceil((edges[:, 3].max() - cell.f) / dy - _ALIGNED) * dy
    nx = math.ceil((edges[:, 2].max() - west) / dx - _ALIGNED)
    ny = math.ceil((north - edges[:, 1].min()) / dy - _ALIGNED)
    return GeoBox((ny, nx), Affine(dx, 0.0, west, 0.0, -dy, north), frame)


def _plain(transform: Affine) -> Affine:
    return Affine(transform.a, 0.0, transform.c, 0.0, transform.e, transform.f)


def offset_in(sheet: Sheet, box: GeoBox) -> tuple[int, int] | None:
    """(row, column) of the sheet's corner in the box, or None where its cells do not fall on the box's cells."""
    t = sheet.dataset.transform
    rows, cols = box.rowcol([[t.c, t.f]])
    same = abs(t.a / box.affine.a - 1.0) < 1e-9 and abs(t.e / box.affine.e - 1.0) < 1e-9
    row, col = float(rows[0]), float(cols[0])
    if not same or abs(row - round(row)) > _ALIGNED or abs(col - round(col)) > _ALIGNED:
        return None
    return round(row), round(col)


def _mosaic(sheets: Sequence[Sheet], box: GeoBox) -> NDArray[np.float32]:
    """All sheets on one grid, f4 (ny, nx), NaN where none has a height; where two overlap the finer, then the first."""
    result = np.full(box.shape, np.nan, dtype=np.float32)
    for sheet in sorted(sheets, key=lambda sheet: abs(sheet.dataset.transform.a)):
        with readable(sheet.shown):
            values, (row, col) = _sheet_values(sheet, box)
        ny, nx = values.shape
        window = result[row : row + ny, col : col + nx]
        np.copyto(window, values[: window.shape[0], : window.shape[1]], where=np.isnan(window))
    return result


def _sheet_values(sheet: Sheet, box: GeoBox) -> tuple[NDArray[np.float32], tuple[int, int]]:
    raw = sheet.dataset.read(sheet.band)
    values = raw.astype(np.float32)
    values[~known_cells(raw, sheet)] = np.nan
    offset = offset_in(sheet, box)
    if offset is not None:
        return values, offset
    target = np.full(box.shape, np.nan, dtype=np.float32)
    rasterio.warp.reproject(
        values, target, src_transform=sheet.dataset.transform, src_crs=box.frame.crs, src_nodata=np.nan,
        dst_transform=box.affine, dst_crs=box.frame.crs, dst_nodata=np.nan, resampling=Resampling.bilinear,
    )  # fmt: skip
    return target, (0, 0)


def known_cells(raw: NDArray[Any], sheet: Sheet, window: Window | None = None) -> NDArray[np.bool_]:
    """Which cells of a sheet, or of a window of it, hold a height: neither masked nor nodata nor no number."""
    known = sheet.dataset.read_masks(sheet.band, window=window) > 0
    if raw.dtype.kind == "f":
        known &= np.isfinite(raw)
    if not math.isnan(sheet.nodata):
        known &= raw != raw.dtype.type(sheet.nodata) if _fits(sheet.nodata, raw.dtype) else True
    return known


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f":
        return True
    info = np.iinfo(dtype)
    return value.is_integer() and info.min <= value <= info.max


def fill_holes(values: NDArray[np.float32], largest: int = 0) -> tuple[NDArray[np.float32], int]:
    """(values with enclosed holes filled, number of cells filled); empty ground that reaches the border stays empty.

    largest wider holes, in cells, stay empty too; 0 for no such limit
    source  inverse distance from the nearest known cells in each direction, as GDAL's fillnodata does it
    """
    import scipy.ndimage

    empty = np.isnan(values)
    if not empty.any():
        return values, 0
    labels, _ = scipy.ndimage.label(empty, structure=np.ones((3, 3)))
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    if largest:
        boxes = scipy.ndimage.find_objects(labels)
        wide = [k + 1 for k, box in enumerate(boxes) if box and max(s.stop - s.start for s in box) > largest]
        border = np.union1d(border, wide)
    holes = empty & ~np.isin(labels, border)
    count = int(np.count_nonzero(holes))
    if not count:
        return values, 0
    # GDAL would also reach into the outer void: cells there count as known to it, with their nearest height.
    base = values
    if (empty & ~holes).any():
        nearest = scipy.ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
        base = np.where(empty & ~holes, values[tuple(nearest)], values)
    filled = rasterio.fill.fillnodata(
        np.where(holes, np.float32(0.0), base), mask=~holes, max_search_distance=_FILL_SEARCH, smoothing_iterations=0
    )
    return np.where(holes, filled, values).astype(np.float32), count


def told_steps(lineage: Lineage, sheets: Sequence[Sheet], frame: Frame) -> Lineage:
    """The lineage with what brought the sheets together and into the frame."""
    if len(sheets) > 1:
        lineage = lineage.step(f"{len(sheets)} sheets put together")
    for crs in sorted({sheet.crs for sheet in sheets if not sheet.native}):
        lineage = lineage.step(f"{crs[:40]} -> {frame.crs}, bilinear")
    for step in sorted({step for sheet in sheets for step in sheet.steps}):
        lineage = lineage.step(step)
    return lineage


def merge(parts: Sequence[Reading]) -> Reading:
    """One reading of several deliveries of one kind: the finest grid over all bounds, finer deliveries on top."""
    if len(parts) == 1:
        return parts[0]
    order = sorted(parts, key=lambda part: part.noun.geobox.resolution[0])
    finest: GeoBox = order[0].noun.geobox
    box = _spread(finest.affine, [part.noun.geobox.bounds for part in order], finest.frame)
    require_together(box.shape, sum(part.noun.values.size for part in order), order[0].lineage.source)
    require_heights(box.shape, order[0].lineage.source)
    result = np.full(box.shape, np.nan, dtype=np.float32)
    for part in order:
        target = np.full(box.shape, np.nan, dtype=np.float32)
        rasterio.warp.reproject(
            part.noun.values, target, src_transform=part.noun.geobox.affine, src_crs=box.frame.crs, src_nodata=np.nan,
            dst_transform=box.affine, dst_crs=box.frame.crs, dst_nodata=np.nan, resampling=Resampling.bilinear,
        )  # fmt: skip
        np.copyto(result, target, where=np.isnan(result))
    return Reading(
        noun=Raster(result, box),
        lineage=Lineage.join(
            [part.lineage for part in parts], f"{len(parts)} deliveries on one {box.affine.a:g} m grid"
        ),
        warnings=tuple(line for part in parts for line in part.warnings),
        tally={key: sum(part.tally[key] for part in parts) for key in parts[0].tally},
    )
