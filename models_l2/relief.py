"""The ground that everything stands on: a terrain raster without holes, from the best that the delivery holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import Delaunay, QhullError, cKDTree

from models_l2.terrain.bases import grid_bases, known_bases, spread
from models_l2.terrain.drawing import drawn
from models_l2.terrain.filter import FilterOptions, ground_mask
from twin.analysis.heights import points_inside
from twin.errors import MissingInputError
from twin.frames import Frame
from twin.grid import Bounds, GeoBox
from twin.lineage import Lineage
from twin.options import option
from twin.points import PointCloud
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

GROUND, WATER = 2, 9
UNCLASSIFIED = (0, 1)
_BLOCK, _MARGIN = 4096, 512
_AROUND, _FLAT_CELL, _BASES_CELL = 200.0, 10.0, 5.0
ASSUMED, BASES = "assumed", "bases"
ASSUMED_LEVEL = 0.0


@dataclass(frozen=True, slots=True)
class ReliefOptions:
    """How the relief is made whole."""

    resolution: float = option(
        0.5,
        unit="m",
        min=0.1,
        max=50.0,
        doc="Cell size where the relief is made from ground points; a DEM keeps its own.",
    )
    water: bool = option(True, doc="Water points (class 9) count as ground.")
    reach: float = option(
        50.0, unit="m", min=0.0, max=5000.0, doc="How far ground is carried past the outermost ground points."
    )
    level: float = option(
        math.nan,
        unit="m",
        min=-500.0,
        max=9000.0,
        doc="Height of flat ground where there is neither DEM nor points; nan: from the bases that buildings were "
        "delivered with, else assumed at 0.",
    )
    max_hole: float = option(
        2000.0, unit="m", min=0.0, max=20000.0, doc="Holes with places further than this from any known cell stay open."
    )
    ground: str = option(
        "auto",
        choices=("auto", "classified", "filtered"),
        doc="Ground points: those of class 2, those that a filter finds, or by filter only where no point has class 2.",
    )
    filter: FilterOptions = field(default_factory=FilterOptions)


@dataclass(frozen=True, slots=True)
class ReliefFigures:
    """What the relief was made from: cells in all, filled, still unknown; the source in a word.

    source   dem, points, declared, bases (of buildings), or assumed
    bases    buildings whose ground was delivered, counted where the relief is made from them
    """

    source: str
    cells: int
    filled: int
    unknown: int
    bases: int = 0


def make_relief(store: Store, frame: Frame, options: ReliefOptions) -> ReliefFigures:
    """Write the raster `relief`, block by block: the DEM with its holes filled, else ground points gridded.

    Without DEM and points the ground is flat at the declared `level`; without that it is interpolated between the bases
    that buildings were delivered with, and where there are none it is assumed flat at 0 m.

    raises  MissingInputError where DEM or points are there but hold no ground, or where there is no building either
    """
    bases = 0
    if store.has("raster", "dem"):
        geobox, source = store.raster_box("dem"), "dem"
        lineage = store.item("raster", "dem").lineage.step("holes filled by linear interpolation from their rims")
    elif store.has("points", "points"):
        geobox, source = _points_box(store, frame, options), "points"
        options = replace(options, ground=_kind_of_ground(store, geobox, options))
        found = " told from others by a progressive morphological filter" if options.ground == "filtered" else ""
        lineage = store.item("points", "points").lineage.step(
            f"ground points{found} gridded at {options.resolution:g} m, gaps filled by linear interpolation"
        )
    elif not store.has("layer", "building"):
        raise MissingInputError(
            "relief: no DEM, no point cloud and no building; declare a source of kind dem or points in city.toml"
        )
    elif not math.isnan(options.level) or not (bases := known_bases(store)):
        return _flat(store, frame, options)
    else:
        geobox, source = _around(store, frame, max(options.resolution, _BASES_CELL)), BASES
        lineage = store.item("layer", "building").lineage.step(
            f"no terrain data: ground interpolated between the bases of {bases} buildings at {_BASES_CELL:g} m"
        )
    filled = unknown = 0
    with store.raster_writer("relief", geobox, lineage=lineage, dtype="float32") as writer:
        for inner, outer in blocks_of(geobox):
            values = _known(store, source, geobox, outer, options)
            whole = _made_whole(values, geobox, outer, source, options)
            rows = slice(inner[0].start - outer[0].start, inner[0].stop - outer[0].start)
            cols = slice(inner[1].start - outer[1].start, inner[1].stop - outer[1].start)
            part = whole[rows, cols]
            filled += int((np.isnan(values[rows, cols]) & ~np.isnan(part)).sum())
            unknown += int(np.isnan(part).sum())
            writer.write(part.astype(np.float32), inner[0].start, inner[1].start)
    cells = geobox.shape[0] * geobox.shape[1]
    if unknown == cells:
        raise MissingInputError(f"relief: the {source} hold no ground; check nodata and point classes (2 is ground)")
    source = "points, filtered" if source == "points" and options.ground == "filtered" else source
    return ReliefFigures(source, cells, filled, unknown, bases)


def _flat(store: Store, frame: Frame, options: ReliefOptions) -> ReliefFigures:
    """Level ground around the buildings, at the declared height or at 0 m, which is an assumption and says so."""
    geobox = _around(store, frame, max(options.resolution, _FLAT_CELL))
    declared = not math.isnan(options.level)
    level = options.level if declared else ASSUMED_LEVEL
    word, source = ("declared", "city.toml") if declared else (ASSUMED, "nothing")
    step = f"no terrain data: ground {word} flat at {level:g} m of {frame.vertical or 'the vertical datum'}"
    lineage = Lineage(source).step(step)
    with store.raster_writer("relief", geobox, lineage=lineage, dtype="float32") as writer:
        row = np.full((1, geobox.shape[1]), level, dtype=np.float32)
        for start in range(0, geobox.shape[0], _BLOCK):
            rows = min(_BLOCK, geobox.shape[0] - start)
            writer.write(np.repeat(row, rows, axis=0), start, 0)
    return ReliefFigures(word, geobox.shape[0] * geobox.shape[1], 0, 0)


def _around(store: Store, frame: Frame, cell: float) -> GeoBox:
    """The grid of the buildings and some ground around them."""
    west, south, east, north = store.item("layer", "building").extent or (0.0, 0.0, 0.0, 0.0)
    return GeoBox.from_bounds((west - _AROUND, south - _AROUND, east + _AROUND, north + _AROUND), cell, frame)


def grid_ground(cloud: PointCloud, geobox: GeoBox, water: bool = True) -> Floats:
    """Mean height of the ground points in every cell (ny, nx) f8 m; NaN where there is none.

    cloud    classified points; classes 2 (ground) and, with `water`, 9 count
    """
    ground = cloud.classification == GROUND
    if water:
        ground |= cloud.classification == WATER
    xyz = cloud.xyz[ground]
    rows, cols = (np.floor(v).astype(np.int64) for v in geobox.rowcol(xyz[:, :2]))
    ny, nx = geobox.shape
    inside = (rows >= 0) & (rows < ny) & (cols >= 0) & (cols < nx)
    cell, z = (rows * nx + cols)[inside], xyz[inside, 2]
    counts = np.bincount(cell, minlength=ny * nx)
    total = np.bincount(cell, weights=z, minlength=ny * nx)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan).reshape(ny, nx)


def fill_holes(values: Floats, holes: Mask, reach: float) -> Floats:
    """The same values (ny, nx) with `holes` filled: linear across gaps and between rims, nearest outside those.

    holes    (ny, nx), cells to fill; values are NaN there
    reach    cells further than this (in cells) from any rim stay NaN
    source   Delaunay triangulation of the rims only: inside a hole no other cell can be a nearest one
    """
    whole = _bridged(values, holes)
    holes = holes & np.isnan(whole)
    if not holes.any():
        return whole
    rim = ndimage.binary_dilation(holes, np.ones((3, 3), bool)) & np.isfinite(whole)
    known, wanted = np.argwhere(rim).astype(np.float64), np.argwhere(holes).astype(np.float64)
    if not len(known):
        return whole
    heights = whole[rim]
    found = _linear(known, heights, holes)
    distance, nearest = cKDTree(known).query(wanted)
    found = np.where(np.isnan(found), heights[nearest], found)
    whole[holes] = np.where(distance <= reach, found, np.nan)
    return whole


def _bridged(values: Floats, holes: Mask) -> Floats:
    """Holes one cell wide filled with the mean of the known neighbours that face each other across them; two rounds.

    Gaps between points are mostly of this kind; what is left for the triangulation is a few real holes.
    """
    whole = values.copy()
    for _ in range(2):
        cells = np.argwhere(holes & np.isnan(whole))
        padded = np.pad(whole, 1, constant_values=np.nan)
        row, col = cells[:, 0] + 1, cells[:, 1] + 1
        pairs = [
            0.5 * (padded[row + i, col + j] + padded[row - i, col - j]) for i, j in ((0, 1), (1, 0), (1, 1), (1, -1))
        ]
        facing = np.array(pairs).reshape(4, -1)
        count = np.isfinite(facing).sum(axis=0)
        some = count > 0
        whole[tuple(cells[some].T)] = np.nansum(facing[:, some], axis=0) / count[some]
    return whole


def enclosed(unknown: Mask, at_edge: tuple[bool, bool, bool, bool]) -> Mask:
    """Unknown cells (ny, nx) whose hole does not reach the named edges (north, south, west, east) of the grid."""
    labels, count = ndimage.label(unknown, np.ones((3, 3), int))
    open_ = np.zeros(count + 1, bool)
    for line, named in zip((labels[0], labels[-1], labels[:, 0], labels[:, -1]), at_edge, strict=True):
        if named:
            open_[line] = True
    return np.asarray(unknown & ~open_[labels])


def _linear(known: Floats, heights: Floats, holes: Mask) -> Floats:
    """Heights of `holes` by linear interpolation, row by row; NaN outside the hull, or where the known lie on one line.

    The triangles are drawn onto the grid: looking up the triangle of every cell takes a hundred times as long.
    """
    if len(known) < 3:
        return np.full(int(holes.sum()), np.nan)
    try:
        triangles = Delaunay(known).simplices
    except QhullError:
        return np.full(int(holes.sum()), np.nan)
    return drawn(known, heights, triangles.astype(np.int64), holes.shape)[holes]


def _points_box(store: Store, frame: Frame, options: ReliefOptions) -> GeoBox:
    item = store.item("points", "points")
    if item.extent is None:
        raise MissingInputError("relief: the point cloud is empty and there is no DEM")
    return GeoBox.from_bounds(item.extent, options.resolution, frame)


def _kind_of_ground(store: Store, geobox: GeoBox, options: ReliefOptions) -> str:
    """The option, where it is "auto" decided by the whole cloud: classified where any point has class 2."""
    if options.ground != "auto":
        return options.ground
    windows = (geobox.crop(*inner).bounds for inner, _ in blocks_of(geobox))
    some = any((store.read_points("points", bounds=box).classification == GROUND).any() for box in windows)
    return "classified" if some else "filtered"


def _ground_cloud(store: Store, box: GeoBox, options: ReliefOptions) -> PointCloud:
    """The points of a window, its ground classified; where that is for the filter, without those inside footprints."""
    if options.ground != "filtered":
        return store.read_points("points", bounds=box.bounds)
    xmin, ymin, xmax, ymax = box.bounds
    reach = options.filter.margin
    bounds = (xmin - reach, ymin - reach, xmax + reach, ymax + reach)
    cloud = store.read_points("points", bounds=bounds)
    asked = np.isin(cloud.classification, UNCLASSIFIED)
    if store.has("layer", "building"):
        outlines = store.read_layer("building", bbox=bounds, columns=()).geometry
        outlines = outlines[~shapely.is_missing(outlines) & shapely.is_valid(outlines)]
        asked[points_inside(cloud.xyz[:, :2], outlines)[1]] = False
    kinds = cloud.classification.copy()
    kinds[kinds == GROUND] = UNCLASSIFIED[0]
    kinds[np.flatnonzero(asked)[ground_mask(cloud.xyz[asked], cloud.frame, options.filter)]] = GROUND
    return replace(cloud, classification=kinds)


def _known(store: Store, source: str, geobox: GeoBox, window: tuple[slice, slice], options: ReliefOptions) -> Floats:
    box = geobox.crop(*window)
    bounds = _shrunk(box)
    if source == "points":
        return grid_ground(_ground_cloud(store, box, options), box, options.water)
    if source == BASES:
        return grid_bases(store, box)
    raster = store.read_raster("dem", bounds=bounds)
    return np.where(raster.valid, raster.values, np.nan).astype(np.float64)


def _shrunk(box: GeoBox) -> Bounds:
    """Bounds that meet exactly the cells of `box`, whatever the last digit of its edges."""
    dx, dy = box.resolution
    xmin, ymin, xmax, ymax = box.bounds
    return xmin + dx / 4, ymin + dy / 4, xmax - dx / 4, ymax - dy / 4


def _made_whole(
    values: Floats, geobox: GeoBox, outer: tuple[slice, slice], source: str, options: ReliefOptions
) -> Floats:
    if source == BASES:
        return spread(values)
    cell = min(geobox.resolution)
    ny, nx = geobox.shape
    edges = (outer[0].start == 0, outer[0].stop == ny, outer[1].start == 0, outer[1].stop == nx)
    whole = fill_holes(values, enclosed(np.isnan(values), edges), options.max_hole / cell)
    return whole if source == "dem" else fill_holes(whole, np.isnan(whole), options.reach / cell)


def blocks_of(geobox: GeoBox) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """(block, block with a margin) of the grid, as (rows, columns)."""
    ny, nx = geobox.shape
    margin = _MARGIN
    for row in range(0, ny, _BLOCK):
        for col in range(0, nx, _BLOCK):
            inner = slice(row, min(row + _BLOCK, ny)), slice(col, min(col + _BLOCK, nx))
            outer = (
                slice(max(row - margin, 0), min(inner[0].stop + margin, ny)),
                slice(max(col - margin, 0), min(inner[1].stop + margin, nx)),
            )
            yield inner, outer
