"""What rasters and points say inside, and along the edge of, every polygon of a city at once.

Everything works on whole arrays: a list of (polygon, cell) or (polygon, point) pairs sorted by polygon, then sorted
group statistics over it. Polygons may overlap; each gets all of its own cells and points.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from twin.analysis import surface_kernels
from twin.analysis.flat import flat_rings
from twin.grid import GeoBox, Raster

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Geometries = NDArray[np.object_]

CHUNK_SAMPLES = 4_000_000


@dataclass(frozen=True, slots=True)
class Segments:
    """Straight pieces of the outlines of n polygons, holes included.

    start, end   (m, 2) f8 frame m          owner   (m,) i8 row of the polygon, ascending
    """

    start: Floats
    end: Floats
    owner: Integers


@dataclass(frozen=True, slots=True)
class Samples:
    """Places inside polygons, sorted by polygon.

    owner   (k,) i8 row of the polygon          xy   (k, 2) f8 frame m
    """

    owner: Integers
    xy: Floats


def outline_segments(geometry: Geometries) -> Segments:
    """All ring edges of polygons (n,) as one flat list, in the order of the polygons."""
    rings = flat_rings(geometry)
    inner = rings.ring[1:] == rings.ring[:-1]
    start, end = rings.xy[:-1][inner], rings.xy[1:][inner]
    return Segments(start, end, rings.owner[rings.part[rings.ring[:-1][inner]]])


def cells_inside(geometry: Geometries, geobox: GeoBox) -> tuple[Integers, Integers, Integers]:
    """(polygon, row, column) of every cell whose centre lies inside a polygon, sorted in that order.

    source   even-odd scan conversion through cell centres, half-open on both sides: neighbours share no cell
    """
    edges = outline_segments(geometry)
    r1, c1 = (v - 0.5 for v in geobox.rowcol(edges.start))
    r2, c2 = (v - 0.5 for v in geobox.rowcol(edges.end))
    ny, nx = geobox.shape
    first = np.clip(np.ceil(np.minimum(r1, r2)), 0, ny).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(r1, r2)), 0, ny).astype(np.int64)
    edge, step = _expand(last - first)
    row = first[edge] + step
    column = c1[edge] + (row - r1[edge]) * (c2[edge] - c1[edge]) / (r2[edge] - r1[edge])
    owner = edges.owner[edge]
    order = np.lexsort((column, row, owner))
    owner, row = owner[order][::2], row[order][::2]
    bound = np.clip(np.ceil(column[order]), 0, nx).astype(np.int64)
    span, step = _expand(bound[1::2] - bound[::2])
    return owner[span], row[span], bound[::2][span] + step


def samples_inside(geometry: Geometries, geobox: GeoBox, min_cells: int = 9, finer: int = 5) -> Samples:
    """Cell centres inside every polygon; polygons with fewer than `min_cells` get a grid `finer` times as fine.

    Polygons so small or thin that even the fine grid misses them get one place on their surface.
    """
    owner, row, col = cells_inside(geometry, geobox)
    counts = np.bincount(owner, minlength=len(geometry))
    small = np.flatnonzero(counts < min_cells)
    parts = [_centres(owner, row, col, geobox)]
    if len(small):
        ny, nx = geobox.shape
        fine = geobox.zoom((ny * finer, nx * finer))
        plenty = counts[owner] >= min_cells
        parts = [_centres(owner[plenty], row[plenty], col[plenty], geobox)]
        sub, row, col = cells_inside(geometry[small], fine)
        parts.append(_centres(small[sub], row, col, fine))
        missed = np.setdiff1d(small[~shapely.is_empty(geometry[small])], parts[1].owner)
        places = shapely.get_coordinates(shapely.point_on_surface(geometry[missed]))
        within = _inside_box(places, geobox)
        parts.append(Samples(missed[within].astype(np.int64), places[within]))
    owner = np.concatenate([part.owner for part in parts])
    order = np.argsort(owner, kind="stable")
    return Samples(owner[order], np.concatenate([part.xy for part in parts])[order])


def zonal_percentiles(
    geometry: Geometries,
    geobox: GeoBox,
    values: Callable[[Floats], Floats],
    percentiles: Sequence[float],
    min_cells: int = 9,
) -> tuple[Floats, Integers]:
    """Percentiles of a field over every polygon, and how many places count.

    geometry     (n,) polygons           geobox   the grid whose cell centres are asked
    values       (k, 2) frame m -> (k,); NaN means unknown and does not count
    percentiles  0..100, p of them
    returns      (n, p) f8, NaN where nothing counts; (n,) i8
    """
    n = len(geometry)
    result, counts = np.full((n, len(percentiles)), np.nan), np.zeros(n, np.int64)
    for rows in _blocks(geometry, geobox):
        samples = samples_inside(geometry[rows], geobox, min_cells)
        size = rows.stop - rows.start
        result[rows], counts[rows] = group_percentiles(values(samples.xy), samples.owner, size, percentiles)
    return result, counts


def surface_medians(geometry: Geometries, raster: Raster, min_cells: int = 9, finer: int = 5) -> Floats:
    """Median (n,) f8 of a raster's bilinear surface over every polygon, at the places of `samples_inside`.

    The same as `zonal_percentiles` of `surface_at`, polygon by polygon in one pass and without a table of the places.
    """
    ny, nx = raster.geobox.shape
    edges = outline_segments(geometry)
    found, counts = _medians_on(edges, np.arange(len(geometry)), raster, raster.geobox)
    small = np.flatnonzero(counts < min_cells)
    fine = raster.geobox.zoom((ny * finer, nx * finer))
    found[small], counts[small] = _medians_on(edges, small, raster, fine)
    missed = small[(counts[small] == 0) & ~shapely.is_empty(geometry[small])]
    places = shapely.get_coordinates(shapely.point_on_surface(geometry[missed]))
    within = _inside_box(places, raster.geobox)
    found[missed[within]] = surface_at(raster, places[within])
    return found


def _medians_on(edges: Segments, asked: Integers, raster: Raster, geobox: GeoBox) -> tuple[Floats, Integers]:
    """Medians (a,) over the cells of another grid on the same ground, and how many cells those are."""
    first, last = np.searchsorted(edges.owner, asked), np.searchsorted(edges.owner, asked, side="right")
    ends = np.column_stack([*geobox.rowcol(edges.start), *geobox.rowcol(edges.end)]) - 0.5
    x, y = geobox.centers()
    ny, nx = raster.geobox.shape
    rows = raster.geobox.rowcol(np.column_stack([np.zeros(len(y)), y]))[0] - 0.5
    cols = raster.geobox.rowcol(np.column_stack([x, np.zeros(len(x))]))[1] - 0.5
    return surface_kernels.medians(ends, first, last, _between(rows, ny), _between(cols, nx), raster.values)


def _between(place: Floats, n: int) -> tuple[Integers, Integers, Floats]:
    """The cells on either side of fractional places (k,) among n, and the share of the way from one to the other."""
    place = np.clip(place, 0, n - 1)
    low = np.floor(place).astype(np.intp)
    return low, np.minimum(low + 1, n - 1), place - low


def raster_percentiles(geometry: Geometries, raster: Raster, percentiles: Sequence[float]) -> tuple[Floats, Integers]:
    """Percentiles of a raster's own cells over every polygon (n, p), and how many cells count (n,)."""
    return zonal_percentiles(geometry, raster.geobox, lambda xy: raster.sample(xy, "nearest"), percentiles)


def points_inside(xy: Floats, geometry: Geometries) -> tuple[Integers, Integers]:
    """(polygon, point) of every point (m, 2) inside a polygon of (n,), sorted by polygon, then point."""
    if not len(xy) or not len(geometry):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    owner, point = shapely.STRtree(shapely.points(xy)).query(geometry, predicate="intersects")
    order = np.lexsort((point, owner))
    return owner[order].astype(np.int64), point[order].astype(np.int64)


def group_percentiles(values: Floats, owner: Integers, n: int, percentiles: Sequence[float]) -> tuple[Floats, Integers]:
    """Percentiles of values by group, linear between order statistics.

    values    (k,) f8, NaN does not count          owner   (k,) group 0..n-1
    returns   (n, p) f8, NaN for empty groups; counts (n,) i8
    """
    known = np.isfinite(values)
    values, owner = values[known], owner[known]
    values = values[np.lexsort((values, owner))]
    counts = np.bincount(owner, minlength=n).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    result = np.full((n, len(percentiles)), np.nan)
    some = counts > 0
    for column, percent in enumerate(percentiles):
        place = percent / 100.0 * (counts[some] - 1)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, counts[some] - 1)
        a, b = values[offsets[some] + low], values[offsets[some] + high]
        result[some, column] = a + (b - a) * (place - low)
    return result, counts


def outline_range(segments: Segments, raster: Raster, n: int) -> tuple[Floats, Floats]:
    """Exact lowest and highest value of a raster's bilinear surface along the outlines of n polygons.

    segments   outlines; owner 0..n-1
    raster     (ny, nx) without unknown cells; beyond its edge cells the surface goes on level
    returns    (n,) f8 lowest, (n,) f8 highest; NaN for polygons without outline
    source     along a straight line inside one bilinear patch the surface is a parabola: its ends and vertex decide
    """
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    for begin in range(0, len(segments.owner), CHUNK_SAMPLES // 16):
        part = slice(begin, begin + CHUNK_SAMPLES // 16)
        ends = [*raster.geobox.rowcol(segments.start[part]), *raster.geobox.rowcol(segments.end[part])]
        surface_kernels.widen(np.column_stack(ends) - 0.5, segments.owner[part], raster.values, low, high)
    empty = ~np.isfinite(low)
    low[empty], high[empty] = np.nan, np.nan
    return low, high


def bilinear(values: NDArray[Any], rows: Floats, cols: Floats) -> Floats:
    """Bilinear value (k,) f8 at fractional (row, column) where whole numbers are cell centres; level beyond the edge.

    values   (ny, nx) without unknown cells
    """
    (r0, rn, fr), (c0, cn, fc) = _between(rows, values.shape[0]), _between(cols, values.shape[1])
    north = values[r0, c0] * (1.0 - fc) + values[r0, cn] * fc
    south = values[rn, c0] * (1.0 - fc) + values[rn, cn] * fc
    return np.asarray(north * (1.0 - fr) + south * fr, dtype=np.float64)


def surface_at(raster: Raster, xy: ArrayLike) -> Floats:
    """Bilinear value (k,) f8 of a raster without unknown cells at frame points (k, 2); level beyond its edge."""
    rows, cols = raster.geobox.rowcol(xy)
    return bilinear(raster.values, rows - 0.5, cols - 0.5)


def _expand(counts: Integers) -> tuple[Integers, Integers]:
    """(item, running number inside the item) for items repeated `counts` (m,) times."""
    item = np.repeat(np.arange(len(counts)), counts)
    return item, np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts)


def _centres(owner: Integers, row: Integers, col: Integers, geobox: GeoBox) -> Samples:
    x, y = geobox.centers()
    return Samples(owner, np.column_stack([x[col], y[row]]))


def _inside_box(xy: Floats, geobox: GeoBox) -> NDArray[np.bool_]:
    xmin, ymin, xmax, ymax = geobox.bounds
    return np.asarray((xy[:, 0] >= xmin) & (xy[:, 0] <= xmax) & (xy[:, 1] >= ymin) & (xy[:, 1] <= ymax))


def _blocks(geometry: Geometries, geobox: GeoBox) -> Iterator[slice]:
    """Runs of polygons whose boxes hold about CHUNK_SAMPLES cells, so that memory stays flat."""
    box = shapely.bounds(geometry)
    dx, dy = geobox.resolution
    cells = np.nan_to_num((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) / (dx * dy)) + 25.0
    block = (np.cumsum(cells) // CHUNK_SAMPLES).astype(np.int64)
    edges = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(geometry)]
    for start, stop in itertools.pairwise(edges):
        if stop > start:
            yield slice(start, stop)
