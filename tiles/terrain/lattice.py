"""The lattice of posts that carries a terrain pyramid: heights on the geographic grid, known or faded, on one step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded where they are first used, which takes 0.2 s and more
from numpy.typing import NDArray

from tiles.options import TerrainTiles
from tiles.terrain import quantized_mesh
from twin.errors import GeometryError, MissingInputError
from twin.grid import GeoBox, Raster

Floats = NDArray[np.float64]

METRES_PER_DEGREE = 111_320.0
"""Of latitude; of longitude at the equator."""

_FINEST_STEP = 1.0 / 32.0
_MOST_POSTS = 60_000_000
_MOST_LEVEL = 17
_STRIP = 16


@dataclass(frozen=True, slots=True)
class Lattice:
    """Posts of one level: heights on the geographic grid, rows going north.

    level       of the tile pyramid
    cells       cells along a tile's edge
    x, y        first tile, counted from west and south
    heights     (k * cells + 1, l * cells + 1) f8, ellipsoidal m, multiples of `step`
    step        global height step, m
    """

    level: int
    cells: int
    x: int
    y: int
    heights: Floats
    step: float

    @property
    def tiles(self) -> tuple[int, int]:
        """(columns, rows) of tiles."""
        ny, nx = self.heights.shape
        return (nx - 1) // self.cells, (ny - 1) // self.cells

    @property
    def spacing(self) -> float:
        """Degrees between posts."""
        return 180.0 / 2**self.level / self.cells

    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitudes (nx,) and latitudes (ny,) of the posts, degrees."""
        ny, nx = self.heights.shape
        lon: Floats = (self.x * self.cells + np.arange(nx, dtype=np.float64)) * self.spacing - 180.0
        lat: Floats = (self.y * self.cells + np.arange(ny, dtype=np.float64)) * self.spacing - 90.0
        return lon, lat


def finest_level(box: GeoBox, options: TerrainTiles) -> int:
    """The coarsest level whose posts lie no wider than 1.25 cells of the relief."""
    if options.max_level:
        return options.max_level
    wanted = 1.25 * min(box.resolution)
    level = math.ceil(math.log2(180.0 * METRES_PER_DEGREE / options.cells / wanted))
    (xmin, ymin, xmax, ymax), apron = box.bounds, apron_of(box, options)
    area = (xmax - xmin + 2.0 * apron) * (ymax - ymin + 2.0 * apron)
    while level > 8 and area / (180.0 / 2**level / options.cells * METRES_PER_DEGREE) ** 2 > _MOST_POSTS:
        level -= 1
    return max(1, min(level, _MOST_LEVEL))


def apron_of(box: GeoBox, options: TerrainTiles) -> float:
    """Metres over which the land outside the data fades: the option, at most a quarter of the data's longer side."""
    xmin, ymin, xmax, ymax = box.bounds
    return min(options.apron, max(xmax - xmin, ymax - ymin) / 4.0)


def lattice_of(relief: Raster, options: TerrainTiles) -> tuple[Lattice, NDArray[np.bool_]]:
    """The finest lattice, filled everywhere, and where it stands on data (ny, nx).

    relief  ground heights in the frame; NaN where unknown
    raises  MissingInputError where the relief has no value at all
    """
    level = finest_level(relief.geobox, options)
    apron = apron_of(relief.geobox, options)
    west, south, east, north = geographic_bounds(relief.geobox, apron)
    side = 180.0 / 2**level
    x0, x1 = math.floor((west + 180.0) / side), math.ceil((east + 180.0) / side)
    y0, y1 = math.floor((south + 90.0) / side), math.ceil((north + 90.0) / side)
    shape = ((y1 - y0) * options.cells + 1, (x1 - x0) * options.cells + 1)
    empty = Lattice(level, options.cells, x0, y0, np.broadcast_to(0.0, shape), _FINEST_STEP)
    values, beyond = _whole(relief)
    lon, lat = empty.lonlat()
    heights, outside = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for k in range(0, len(lat), _STRIP):
        strip = slice(k, k + _STRIP)
        heights[strip], outside[strip] = _sample(relief.geobox, values, beyond, lon, lat[k : k + _STRIP + 1])
    step = _FINEST_STEP
    while np.ptp(heights) + step > quantized_mesh.FULL * step:
        step *= 2.0
    _fade(heights, outside, _rim(relief), (empty.spacing * METRES_PER_DEGREE, apron))
    rounded = np.round((heights + relief.geobox.frame.geoid_undulation) / step) * step
    return Lattice(level, options.cells, x0, y0, rounded, step), outside == 0.0


def geographic_bounds(box: GeoBox, apron: float = 0.0) -> tuple[float, float, float, float]:
    """(west, south, east, north) in degrees around a raster and `apron` m beyond, its bent edges walked."""
    xmin, ymin, xmax, ymax = box.bounds
    x, y = np.linspace(xmin - apron, xmax + apron, 33), np.linspace(ymin - apron, ymax + apron, 33)
    ends = [(x, np.full(33, y[0])), (x, np.full(33, y[-1])), (np.full(33, x[0]), y), (np.full(33, x[-1]), y)]
    lonlat = box.frame.to_lonlat(np.concatenate([np.column_stack(pair) for pair in ends]))
    (west, south), (east, north) = lonlat.min(axis=0).tolist(), lonlat.max(axis=0).tolist()
    # Else the lattice would go round the whole earth, and memory with it.
    if east - west > 180.0:
        raise GeometryError("tiles: the city lies across the 180th meridian; make a city of each side of it")
    return west, south, east, north


def _whole(relief: Raster) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """The relief with unknown cells taken from the nearest known one, and how far that is (ny, nx) m, if there are any.

    raises  MissingInputError where no cell is known
    """
    values = relief.values.astype(np.float32)
    known = relief.valid
    if known.all():
        return values, None
    if not known.any():
        raise MissingInputError("raster relief has no value; run the l2 stage with a DEM or points first")
    spacing = relief.geobox.resolution[::-1]
    distance, (rows, cols) = scipy.ndimage.distance_transform_edt(~known, sampling=spacing, return_indices=True)
    return values[rows, cols], distance.astype(np.float32)


def _rim(relief: Raster) -> float:
    """Mean height along the border of the known cells, m."""
    known = relief.valid
    rim = known & ~scipy.ndimage.binary_erosion(known)
    return float(relief.values[rim].mean())


def _sample(
    box: GeoBox, values: NDArray[np.float32], beyond: NDArray[np.float32] | None, lon: Floats, lat: Floats
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heights of a strip of posts, and how far each stands from the data (m); the last row belongs to the next strip.

    The way from post to cell is exact at every 16th post and bilinear between: over 300 m it is off by a millimetre.
    """
    every = np.unique(np.append(np.arange(0, len(lon), _STRIP), len(lon) - 1))
    corners = np.stack(np.meshgrid(lon[every], lat[[0, -1]]), axis=-1).reshape(-1, 2)
    n_rows = max(1, len(lat) - 1) if len(lat) > _STRIP else len(lat)
    share = np.arange(n_rows)[:, None] / max(1, len(lat) - 1)
    places = []
    for coordinate in box.rowcol(box.frame.from_lonlat(corners)):
        ends = [np.interp(np.arange(len(lon)), every, line) for line in coordinate.reshape(2, -1)]
        places.append(ends[0][None] * (1.0 - share) + ends[1][None] * share)
    at = np.array(places, dtype=np.float32) - np.float32(0.5)
    heights = scipy.ndimage.map_coordinates(values, at, order=1, mode="nearest", prefilter=False)
    ny, nx = box.shape
    off = [np.maximum(np.maximum(-0.5 - p, p - (n - 0.5)), 0.0) for p, n in zip(at, (ny, nx), strict=True)]
    outside = np.hypot(off[0] * box.resolution[1], off[1] * box.resolution[0])
    if beyond is not None:
        outside += scipy.ndimage.map_coordinates(beyond, at, order=1, mode="nearest", prefilter=False)
    return heights, outside.astype(np.float32)


def _fade(
    heights: NDArray[np.float32], outside: NDArray[np.float32], plateau: float, widths: tuple[float, float]
) -> None:
    """Soften what lies outside the data, and let it fade to the plateau; in place.

    widths  metres between posts, and metres over which the land fades
    """
    spacing, apron = widths
    # Heights without what is narrower than about 250 m are worked out on every eighth post.
    soft = scipy.ndimage.gaussian_filter(heights[::8, ::8], sigma=250.0 / (8.0 * spacing), truncate=3.0)
    for k in range(0, len(heights), _STRIP):
        rows, cols = np.nonzero(outside[k : k + _STRIP] > 0.0)
        if not len(rows):
            continue
        at = rows + k, cols
        distance, z = outside[at], heights[at]
        there = np.stack(at) / 8.0
        softer = scipy.ndimage.map_coordinates(soft, there, np.float32, order=1, mode="nearest", prefilter=False)
        z += (softer - z) * _smooth(distance / 500.0)
        heights[at] = z + (plateau - z) * (_smooth(distance / apron) if apron > 0.0 else 1.0)


def _smooth(share: NDArray[np.float32]) -> NDArray[np.float32]:
    t = np.clip(share, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def coarser(lattice: Lattice, level: int, plateau: float) -> Lattice:
    """The lattice of `level`: its posts inside the finest one keep their height, the others stand on the plateau.

    Level 0 has both root tiles, every other level the tiles that the finest level lies in.
    """
    shrink = 2 ** (lattice.level - level)
    nx, ny = lattice.tiles
    x0, y0 = lattice.x // shrink, lattice.y // shrink
    x1, y1 = (lattice.x + nx - 1) // shrink + 1, (lattice.y + ny - 1) // shrink + 1
    if level == 0:
        x0, x1, y0, y1 = 0, 2, 0, 1
    cells = lattice.cells
    heights = np.full(((y1 - y0) * cells + 1, (x1 - x0) * cells + 1), plateau)
    for_rows = _shared(y0 * cells, heights.shape[0], shrink, lattice.y * cells, lattice.heights.shape[0])
    for_cols = _shared(x0 * cells, heights.shape[1], shrink, lattice.x * cells, lattice.heights.shape[1])
    heights[np.ix_(for_rows[0], for_cols[0])] = lattice.heights[np.ix_(for_rows[1], for_cols[1])]
    return Lattice(level, cells, x0, y0, heights, lattice.step)


def _shared(
    start: int, n: int, shrink: int, fine_start: int, fine_n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    here = np.arange(n)
    there = (start + here) * shrink - fine_start
    inside = (there >= 0) & (there < fine_n)
    return here[inside], there[inside]
