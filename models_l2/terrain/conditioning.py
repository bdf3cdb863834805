"""The relief as the city is: lakes level, rivers falling, carriageways without cars, no ground on bridges."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models_l2.relief import blocks_of, fill_holes
from models_l2.terrain.rivers import course_of
from models_l2.terrain.roads import carriageways
from twin.analysis.heights import cells_inside
from twin.features import Objects, objects
from twin.grid import Bounds, GeoBox
from twin.options import option
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_CELLS = 1024
_LOW = 10.0
_PARTS = 3
_NEAR, _FEWEST = 4, 5
_MAD = 3.0 * 1.4826
_CHUNK = 100_000
_WINDOW = 512
# Pieces of one river closer than this touch, m.
_HAIR = 0.05
_WIDER = 2.5


@dataclass(frozen=True, slots=True)
class ConditionOptions:
    """What of the relief is set right by other layers."""

    water: bool = option(True, doc="Lakes are level; rivers fall all the way, and are level from bank to bank.")
    fall: float = option(
        0.5,
        unit="m",
        min=0.0,
        max=100.0,
        doc="A long water body that falls more than this from end to end is a river, else it is level.",
    )
    roads: bool = option(True, doc="Carriageways lose what stands out of them, where cells are at most 2 m wide.")
    spike: float = option(
        0.4, unit="m", min=0.05, max=10.0, doc="Least height of a spike on a carriageway, or of a bridge in the relief."
    )
    bridges: bool = option(True, doc="Roads on bridges do not lift the ground.")


@dataclass(frozen=True, slots=True)
class ConditionFigures:
    """Water bodies made level, and made to fall all the way; cells changed on water, roads and under bridges."""

    level: int = 0
    falling: int = 0
    water_cells: int = 0
    road_cells: int = 0
    bridge_cells: int = 0


@dataclass(frozen=True, slots=True)
class _Waters:
    """Water bodies (w,), and what levels they have: one (w,) f8 m, NaN for rivers, which have a course (w,)."""

    shapes: Objects
    level: Floats
    course: Objects

    def put(self, values: Floats, box: GeoBox, near: Mask) -> Mask:
        """Set the known values (ny, nx) that lie in the bodies `near` (w,) in place; where (ny, nx)."""
        owner, row, col = cells_inside(self.shapes[near], box)
        level = self.level[near][owner]
        x, y = box.centers()
        courses = self.course[near]
        for body in np.flatnonzero(np.isnan(self.level[near])).tolist():
            mine = owner == body
            if mine.any():
                level[mine] = courses[body].levels(np.column_stack([x[col[mine]], y[row[mine]]]))
        values[row, col] = np.where(np.isnan(values[row, col]), np.nan, level)
        wet = np.zeros(values.shape, bool)
        wet[row, col] = True
        return wet


def condition(store: Store, options: ConditionOptions) -> ConditionFigures:
    """Write the raster `relief` again with water set right, spikes off the roads, and bridges taken away.

    A lake takes the tenth percentile of the relief inside it, a river the levels of its course (see `course_of`).
    Nothing is written where no layer says anything.
    """
    waters = _waters(store, options) if options.water and store.has("layer", "water") else _nothing()
    has_roads = store.has("layer", "road") and (options.roads or options.bridges)
    if not len(waters.shapes) and not has_roads:
        return ConditionFigures()
    geobox = store.raster_box("relief")
    lineage = store.item("raster", "relief").lineage.step(
        "lakes level, rivers falling, spikes off roads, no ground on bridges"
    )
    counts = np.zeros(3, np.int64)
    with store.raster_writer("relief", geobox, lineage=lineage, dtype="float32") as writer:
        for inner, outer in blocks_of(geobox):
            box = geobox.crop(*outer)
            values = store.read_raster("relief", bounds=_middle(box)).values.astype(np.float64)
            changed = _block(store, box, values, waters, options)
            rows = slice(inner[0].start - outer[0].start, inner[0].stop - outer[0].start)
            cols = slice(inner[1].start - outer[1].start, inner[1].stop - outer[1].start)
            counts += [int(mask[rows, cols].sum()) for mask in changed]
            writer.write(values[rows, cols].astype(np.float32), inner[0].start, inner[1].start)
    falling = int(np.isnan(waters.level).sum())
    return ConditionFigures(len(waters.shapes) - falling, falling, *counts.tolist())


def _block(
    store: Store, box: GeoBox, values: Floats, waters: _Waters, options: ConditionOptions
) -> tuple[Mask, Mask, Mask]:
    """Change the values (ny, nx) of one block in place; where water, roads and bridges changed them."""
    before, masks = values.copy(), np.zeros((3, *values.shape), bool)
    if store.has("layer", "road"):
        roads = store.read_layer("road", bbox=box.bounds, columns=("width", "bridge"))
        if options.bridges:
            masks[2] = without_bridges(values, inside(carriageways(roads, bridges=True), box), options.spike)
        if options.roads and max(box.resolution) <= 2.0:
            masks[1] = without_spikes(values, inside(carriageways(roads), box), options.spike)
    near = shapely.intersects(waters.shapes, shapely.box(*box.bounds)) if len(waters.shapes) else np.zeros(0, bool)
    masks[0] = waters.put(values, box, near)
    masks &= (values != before) & ~np.isnan(values)
    return masks[0], masks[1], masks[2]


def inside(shapes: Objects, box: GeoBox) -> Mask:
    """(ny, nx) True for cells whose centre lies in any of the polygons; lines hold none."""
    mask = np.zeros(box.shape, bool)
    areal = np.isin(shapely.get_type_id(shapes), (3, 6))
    _, row, col = cells_inside(shapes[areal], box)
    mask[row, col] = True
    return mask


def without_spikes(values: Floats, road: Mask, spike: float) -> Mask:
    """Cells of `road` that stand out of the road around them, set to its median in place; where that was (ny, nx).

    What a cell should be is told by pairs of road cells that face each other across it, up to four cells away: their
    means agree on any even slope. It stands out where it is off their median by more than `spike` (m) and three
    standard deviations, by the median absolute deviation (Hampel's identifier).
    """
    cells = np.argwhere(road & ~np.isnan(values))
    padded = np.pad(np.where(road, values, np.nan), _NEAR, constant_values=np.nan)
    steps = np.stack(np.meshgrid(*[np.arange(-_NEAR, _NEAR + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    steps = steps[: len(steps) // 2]
    changed = np.zeros(values.shape, bool)
    for start in range(0, len(cells), _CHUNK):
        row, col = cells[start : start + _CHUNK].T
        at = row[:, None] + _NEAR, col[:, None] + _NEAR
        facing = 0.5 * (
            padded[at[0] + steps[:, 0], at[1] + steps[:, 1]] + padded[at[0] - steps[:, 0], at[1] - steps[:, 1]]
        )
        told = np.isfinite(facing).sum(axis=1) >= _FEWEST
        row, col, facing = row[told], col[told], facing[told]
        middle = np.nanmedian(facing, axis=1)
        spread = np.nanmedian(np.abs(facing - middle[:, None]), axis=1)
        out = np.abs(values[row, col] - middle) > spike + _MAD * spread
        values[row[out], col[out]] = middle[out]
        changed[row[out], col[out]] = True
    return changed


def without_bridges(values: Floats, deck: Mask, spike: float) -> Mask:
    """Cells of `deck` more than `spike` (m) above what lies on either side, set to that in place; where (ny, nx)."""
    if not deck.any():
        return np.zeros(values.shape, bool)
    bare = fill_holes(np.where(deck, np.nan, values), deck & ~np.isnan(values), math.inf)
    lifted = deck & (values - bare > spike)
    values[lifted] = bare[lifted]
    return lifted


def _nothing() -> _Waters:
    return _Waters(objects([]), np.zeros(0), objects([]))


def _waters(store: Store, options: ConditionOptions) -> _Waters:
    """Water bodies that lie on the relief: rivers, put together where they touch, and those that are level."""
    shapes = store.read_layer("water", columns=()).geometry
    shapes = shapely.get_parts(shapes[np.isin(shapely.get_type_id(shapes), (3, 6))])
    ends = np.array([_levels(store, shape) for shape in shapes]).reshape(-1, 2)
    level = ends[:, 0]
    rivers, courses, still = [], [], ~np.isnan(level)
    for rows in _touching(shapes, np.flatnonzero(still)):
        # A river that comes in pieces has one course; a hair between two of them is no gap.
        joined = shapes[rows[0]] if len(rows) == 1 else _joined(shapes[rows])
        fall = ends[rows[0], 1] if len(rows) == 1 else _levels(store, joined)[1]
        parts = shapely.get_parts(joined).tolist() if fall > options.fall else []
        found = [course_of(part, lambda xy: _heights(store, xy)) for part in parts]
        if parts and all(course is not None for course in found):
            rivers += parts
            courses += found
            still[rows] = False
    none = [None] * int(still.sum())
    levels = np.concatenate([level[still], np.full(len(rivers), np.nan)])
    return _Waters(np.concatenate([shapes[still], objects(rivers)]), levels, objects([*none, *courses]))


def _joined(shapes: Objects) -> shapely.Geometry:
    return shapely.buffer(
        shapely.union_all(shapely.buffer(shapes, _HAIR, join_style="mitre")), -_HAIR, join_style="mitre"
    )


def _touching(shapes: Objects, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of shapes in groups that touch one another and are about as wide: a lake is no piece of its river."""
    if not len(rows):
        return []
    one, other = shapely.STRtree(shapes[rows]).query(shapes[rows], "dwithin", distance=_HAIR)
    width = shapely.area(shapes[rows]) / shapely.length(shapes[rows])
    alike = np.maximum(width[one], width[other]) <= _WIDER * np.minimum(width[one], width[other])
    one, other = one[alike], other[alike]
    joined = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(rows), len(rows)))
    count, label = connected_components(joined, directed=False)
    return [rows[label == k] for k in range(count)]


def _heights(store: Store, xy: Floats) -> Floats:
    """(n,) f8 m of the relief at places (n, 2), window by window; NaN where it is unknown."""
    box = store.raster_box("relief")
    rows, cols = box.rowcol(xy)
    block = np.stack([rows // _WINDOW, cols // _WINDOW], axis=1).astype(np.int64)
    found = np.full(len(xy), np.nan)
    for row, col in np.unique(block, axis=0).tolist():
        inside = box.crop(*(slice(max(0, k * _WINDOW - 1), (k + 1) * _WINDOW + 1) for k in (row, col)))
        mine = (block == (row, col)).all(axis=1)
        if min(row, col) >= 0 and 0 not in inside.shape:
            found[mine] = store.read_raster("relief", bounds=_middle(inside)).sample(xy[mine])
    return found


def _levels(store: Store, shape: shapely.Polygon) -> tuple[float, float]:
    """(level where it is still, fall from end to end) of a water body, m; NaN where it has no known cell.

    The fall is that of the low levels of its three parts along its longer side: banks that fill gaps are no water.
    """
    box = store.raster_box("relief")
    rows, cols = box.window(shape.bounds)
    if rows.stop <= rows.start or cols.stop <= cols.start:
        return math.nan, math.nan
    size = min(rows.stop - rows.start, _MOST_CELLS), min(cols.stop - cols.start, _MOST_CELLS)
    window = store.read_raster("relief", bounds=_middle(box.crop(rows, cols)), shape=size)
    _, row, col = cells_inside(objects([shape]), window.geobox)
    z = window.values[row, col].astype(np.float64)
    known = ~np.isnan(z)
    if not known.any():
        return math.nan, math.nan
    z, along = z[known], (row if size[0] > size[1] else col)[known]
    part = np.minimum((along - along.min()) * _PARTS // max(1, int(np.ptp(along)) + 1), _PARTS - 1)
    lows = [float(np.percentile(z[part == k], _LOW)) for k in range(_PARTS) if (part == k).any()]
    return float(np.percentile(z, _LOW)), max(lows) - min(lows)


def _middle(box: GeoBox) -> Bounds:
    """Bounds that meet exactly the cells of `box`."""
    dx, dy = box.resolution
    xmin, ymin, xmax, ymax = box.bounds
    return xmin + dx / 4, ymin + dy / 4, xmax - dx / 4, ymax - dy / 4
