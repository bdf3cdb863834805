"""Where water runs: filled terrain, directions, drained area, channels, height above drainage, pools.

The compiled loops are in `flow_kernels`; they are loaded by the first call, so importing this module stays cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.analysis.gridlines import Cells, Floats, burnt_cells
from twin.errors import GeometryError
from twin.grid import GeoBox, Raster

NO_DIRECTION = 247
_CODES = (1, 2, 4, 8, 16, 32, 64, 128)


def _kernels() -> ModuleType:
    from twin.analysis import flow_kernels

    return flow_kernels


@dataclass(frozen=True, slots=True)
class Drainage:
    """How the water of a grid runs.

    geobox  where the grid lies
    codes   (ny, nx) u1 D8: 1 E, 2 SE, 4 S ... 128 NE; 0 leaves the map or sinks; 247 no data
    down    (ny * nx,) i4 next cell; -1 leaves the map or sinks, -2 no data
    order   (k,) i4 cells with data, each before the cell it drains to
    """

    geobox: GeoBox
    codes: NDArray[np.uint8]
    down: NDArray[np.int32]
    order: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Channels:
    """Cells that carry a stream, cut into reaches.

    mask    (ny, nx) bool
    reach   (ny, nx) i4 reach number from 0; -1 off the channels
    line    (reaches,) i8 row of the river line a reach belongs to; -1 where it was found by drained area
    length  (reaches,) f8 m
    """

    mask: NDArray[np.bool_]
    reach: NDArray[np.int32]
    line: Cells
    length: Floats


def burn(terrain: Raster, channel: NDArray[np.bool_], depth: float) -> Raster:
    """The terrain with its channel cells lowered by `depth` m, so that the surroundings drain into them."""
    z = terrain.values.astype(np.float64)
    return replace(terrain, values=np.where(channel, z - depth, z), nodata=np.nan)


def fill(terrain: Raster) -> Raster:
    """The terrain with every depression filled to its spill level, m; subtract to get the fill depth.

    source  priority flood from the rim and from cells beside nodata (Barnes, Lehman, Mulla 2014)
    """
    return replace(terrain, values=_flooded(terrain)[0], nodata=np.nan)


def drainage(terrain: Raster) -> tuple[Drainage, Raster]:
    """Steepest-descent D8 directions on the filled terrain, flats led to their outlets; and the filled terrain.

    terrain  (ny, nx) m; nodata is outside, water leaves the map there
    source   O'Callaghan and Mark 1984 on a priority-flood surface
    """
    filled, towards = _flooded(terrain)
    ny, nx = terrain.geobox.shape
    dx, dy = terrain.geobox.resolution
    codes = _kernels().steepest(filled.ravel(), towards, ny, nx, dx, dy).reshape(ny, nx)
    return directions(codes, terrain.geobox), replace(terrain, values=filled, nodata=np.nan)


def directions(codes: NDArray[np.uint8], geobox: GeoBox) -> Drainage:
    """The drainage that given D8 codes describe.

    codes   (ny, nx) u1 as in Drainage
    raises  GeometryError where cells drain in a circle
    """
    ny, nx = geobox.shape
    flat = np.ascontiguousarray(codes, dtype=np.uint8).ravel()
    down = _kernels().downstream(flat, ny, nx)
    order = _kernels().upstream_first(down)
    known = int(np.count_nonzero(down != -2))
    if len(order) != known:
        raise GeometryError(f"D8 directions: {known - len(order)} cells drain in a circle; mend the direction grid")
    return Drainage(geobox, flat.reshape(ny, nx), down, order)


def accumulate(flow: Drainage, weight: NDArray[Any] | None = None) -> Floats:
    """Sum of `weight` (ny, nx; one per cell where not given) over each cell and all that drain to it; NaN on nodata."""
    shape = flow.geobox.shape
    given = np.ones(shape) if weight is None else np.asarray(weight, dtype=np.float64)
    own = np.where(flow.down == -2, 0.0, given.ravel())
    total = _kernels().gather(flow.order, flow.down, own)
    return np.where(flow.down == -2, np.nan, total).reshape(shape)


def channels_of_lines(lines: NDArray[Any], geobox: GeoBox, longest: float = 2000.0) -> Channels:
    """Channels where river lines run, a reach for at most `longest` metres of each line.

    lines   (n,) shapely lines in the box's frame
    """
    cells, line, along = burnt_cells(lines, geobox)
    key, reach = np.unique(np.c_[line, (along // longest).astype(np.int64)], axis=0, return_inverse=True)
    grid = np.full(geobox.shape, -1, dtype=np.int32)
    grid.ravel()[cells] = reach.ravel()
    step = float(np.mean(geobox.resolution))
    length = np.bincount(reach.ravel(), minlength=len(key)).astype(np.float64) * step
    return Channels(grid >= 0, grid, key[:, 0], length)


def channels_by_area(flow: Drainage, least: float, longest: float = 2000.0) -> Channels:
    """Channels where at least `least` m2 drain through a cell, cut at junctions and after `longest` metres."""
    dx, dy = flow.geobox.resolution
    area = np.nan_to_num(accumulate(flow)) * dx * dy
    mask = area >= least
    step = _step_lengths(flow)
    reach = _kernels().links(flow.order, flow.down, mask.ravel(), step, longest)
    count = int(reach.max()) + 1 if reach.size else 0
    length = np.bincount(reach[reach >= 0], weights=step[reach >= 0], minlength=count).astype(np.float64)
    return Channels(mask, reach.reshape(flow.geobox.shape), np.full(count, -1), length)


def drain_cell(flow: Drainage, target: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Flat index (ny, nx) i4 of the first target cell on the way down, itself included; -1 where none is met."""
    found = _kernels().first_below(flow.order, flow.down, np.ascontiguousarray(target).ravel())
    out: NDArray[np.int32] = found.reshape(flow.geobox.shape)
    return out


def height_above_drainage(terrain: Raster, flow: Drainage, channel: NDArray[np.bool_]) -> Raster:
    """Height of each cell above the first channel cell downstream of it, m; NaN where the map ends before one.

    terrain  (ny, nx) m as surveyed, neither burnt nor filled
    source   HAND, Nobre et al. 2011
    """
    drain = drain_cell(flow, channel)
    z = np.where(terrain.valid, terrain.values, np.nan).astype(np.float64)
    return replace(terrain, values=np.where(drain >= 0, z - z.ravel()[drain], np.nan), nodata=np.nan)


@dataclass(frozen=True, slots=True)
class Lateral:
    """Heights above the nearest channel, whatever way the ground drains.

    above   (ny, nx) f8 m above the nearest channel cell; NaN on nodata and too far away
    sill    (ny, nx) f8 m above it that water must pass on the easiest way from any channel, >= above
    cell    (ny, nx) i4 flat index of that channel cell
    """

    above: Floats
    sill: Floats
    cell: NDArray[np.int32]


def height_above_nearest(terrain: Raster, channel: NDArray[np.bool_], farthest: float = math.inf) -> Lateral:
    """Heights above the channel beside, for water that leaves its banks sideways; a levee shows as a sill.

    Ground behind a levee drains along it for kilometres, so the height above drainage there is not the height above
    the river beside it.

    farthest    cells farther than this from a channel, m, have no answer: a flood wave runs out on the way
    source      relative elevation with the least barrier by priority flood from the channels
    """
    from scipy import ndimage

    ny, nx = terrain.geobox.shape
    dx, dy = terrain.geobox.resolution
    start = channel & terrain.valid
    if not start.any():
        nothing = np.full((ny, nx), np.nan)
        return Lateral(nothing, nothing, np.full((ny, nx), -1, dtype=np.int32))
    away, (rows, cols) = ndimage.distance_transform_edt(~start, (dy, dx), return_indices=True)
    cell = (rows * nx + cols).astype(np.int32)
    z = np.where(terrain.valid & (away <= farthest), terrain.values, np.nan).astype(np.float64)
    above = z - z.ravel()[cell]
    sill, towards = _kernels().flood(above.ravel(), ny, nx, start.ravel())
    reached = start.ravel() | (towards != 0)
    return Lateral(above, np.where(reached, sill, np.nan).reshape(ny, nx), cell)


def _flooded(terrain: Raster) -> tuple[Floats, NDArray[np.uint8]]:
    z = np.where(terrain.valid, terrain.values, np.nan).astype(np.float64)
    ny, nx = terrain.geobox.shape
    filled, towards = _kernels().flood(z.ravel(), ny, nx, np.zeros(0, dtype=np.bool_))
    return filled.reshape(ny, nx), towards


def _step_lengths(flow: Drainage) -> Floats:
    dx, dy = flow.geobox.resolution
    by_code = np.zeros(256)
    by_code[list(_CODES)] = [dx, np.hypot(dx, dy), dy, np.hypot(dx, dy)] * 2
    return by_code[flow.codes.ravel()]


@dataclass(frozen=True, slots=True)
class Pools:
    """Depressions that hold water after rain, with the way the surplus of each takes.

    label      (ny, nx) i4 pool number from 0; -1 off the pools
    spill      (p,) f8 level at which the pool runs over, m
    capacity   (p,) f8 volume up to there, m3
    catchment  (p,) f8 area that drains to the pool before any other pool or channel, m2
    next_pool  (p,) i8 pool that takes the surplus; -1 where it reaches a channel or leaves the map
    order      (p,) i8 pools, each before the one it spills into
    start      (p + 1,) i8 offsets of the pools in the next two
    floor      (k,) f8 height of the pools' cells, rising inside each pool, m
    running    (k,) f8 running sum of `floor` inside each pool
    cell_area  m2
    """

    label: NDArray[np.int32]
    spill: Floats
    capacity: Floats
    catchment: Floats
    next_pool: Cells
    order: Cells
    start: Cells
    floor: Floats
    running: Floats
    cell_area: float

    def __len__(self) -> int:
        return len(self.spill)


def pools(terrain: Raster, filled: Raster, flow: Drainage, channel: NDArray[np.bool_], least: float = 0.1) -> Pools:
    """The depressions deeper than `least` m, off the channels.

    terrain, filled, flow   as `drainage` took and gave them (burnt, where channels were burnt)
    """
    from scipy import ndimage

    z, level = np.where(terrain.valid, terrain.values, np.nan).astype(np.float64), filled.values.astype(np.float64)
    depth = np.where(channel, 0.0, np.nan_to_num(level - z))
    wet, count = ndimage.label(depth > 1e-6, structure=np.ones((3, 3)))
    deepest = np.zeros(count + 1)
    np.maximum.at(deepest, wet.ravel(), depth.ravel())
    keep = deepest >= least
    keep[0] = False
    label = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)[wet]
    cells = np.flatnonzero(label.ravel() >= 0)
    own = label.ravel()[cells]
    cells = cells[np.lexsort((z.ravel()[cells], own))]
    own = label.ravel()[cells]
    total = int(keep.sum())
    start = np.searchsorted(own, np.arange(total + 1)).astype(np.int64)
    floor = z.ravel()[cells]
    sums = np.r_[0.0, np.cumsum(floor)]
    dx, dy = terrain.geobox.resolution
    capacity = np.bincount(own, weights=depth.ravel()[cells], minlength=total).astype(np.float64) * dx * dy
    catchment, next_pool, order = _spill_ways(flow, label, channel, total)
    return Pools(
        label=label,
        spill=level.ravel()[cells[start[:-1]]],
        capacity=capacity,
        catchment=catchment * dx * dy,
        next_pool=next_pool,
        order=order,
        start=start,
        floor=floor,
        running=sums[1:] - sums[start[:-1]][own],
        cell_area=dx * dy,
    )


def _spill_ways(
    flow: Drainage, label: NDArray[np.int32], channel: NDArray[np.bool_], total: int
) -> tuple[Floats, Cells, Cells]:
    """Cells draining to each pool, the pool that takes its surplus, and an order from the highest down."""
    flat = label.ravel()
    caught = drain_cell(flow, (label >= 0) | channel).ravel()
    first = np.where(caught >= 0, flat[caught], -1)
    catchment = np.bincount(first[first >= 0], minlength=total).astype(np.float64)
    place = np.empty(flow.down.size, dtype=np.int64)
    place[flow.order] = np.arange(len(flow.order))
    inside = np.flatnonzero(flat >= 0)
    below = flow.down[inside]
    leaves = (below < 0) | (flat[below] != flat[inside])
    exits = inside[leaves]
    exits = exits[np.argsort(place[exits], kind="stable")]
    last = np.zeros(total, dtype=np.int64)
    last[flat[exits]] = exits
    below = flow.down[last]
    next_pool = np.where(below >= 0, first[below], -1).astype(np.int64)
    return catchment, next_pool, np.argsort(place[last], kind="stable")


@dataclass(frozen=True, slots=True)
class Filling:
    """What rain does to the pools: level (p,) f8 m (NaN dry), stored (p,) f8 m3, spilled out of them all m3."""

    level: Floats
    stored: Floats
    spilled: float


def fill_pools(found: Pools, inflow: Floats) -> Filling:
    """The pools after `inflow` (p,) m3 from their own catchments; surplus runs to the next pool. Volume is kept."""
    kernels = _kernels()
    stored, spilled = kernels.cascade(found.order, found.next_pool, inflow, found.capacity)
    level = kernels.pool_levels(found.start, found.floor, found.running, stored, found.cell_area)
    return Filling(level, stored, float(spilled))
