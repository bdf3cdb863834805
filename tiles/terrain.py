"""The relief as a pyramid of terrain tiles without cracks, gaps or cliffs.

One lattice of posts on the geographic grid carries the whole pyramid: the posts of a level are every second post of
the next, heights lie on one global step, and triangles are chosen on the lattice of a whole level. So the common edge
of two tiles is the same to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy import ndimage

from tiles import quantized_mesh, triangulate
from tiles.compress import write_all
from tiles.options import TerrainTiles
from twin.errors import MissingInputError
from twin.grid import GeoBox, Raster
from twin.workers import Workers

Floats = NDArray[np.float64]

LEVEL_ZERO_ERROR = 77_067.0
"""Height error CesiumJS expects of level 0, m; it halves per level."""

_METRES_PER_DEGREE = 111_320.0
_ERROR_SHARE = 0.15
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


@dataclass(frozen=True, slots=True)
class Job:
    """A run of neighbouring tiles to be written.

    around  heights of the run and one post more on every side, for slopes that agree across edges
    """

    folder: Path
    lattice: Lattice
    active: NDArray[np.bool_]
    around: Floats
    normals: bool
    places: tuple[tuple[int, int], ...]


def tile_bounds(level: int, x: int, y: int) -> tuple[float, float, float, float]:
    """(west, south, east, north) in degrees of a tile of the geographic TMS pyramid."""
    side = 180.0 / 2**level
    return x * side - 180.0, y * side - 90.0, (x + 1) * side - 180.0, (y + 1) * side - 90.0


def finest_level(box: GeoBox, options: TerrainTiles) -> int:
    """The coarsest level whose posts lie no wider than 1.25 cells of the relief."""
    if options.max_level:
        return options.max_level
    wanted = 1.25 * min(box.resolution)
    level = math.ceil(math.log2(180.0 * _METRES_PER_DEGREE / options.cells / wanted))
    (xmin, ymin, xmax, ymax), apron = box.bounds, apron_of(box, options)
    area = (xmax - xmin + 2.0 * apron) * (ymax - ymin + 2.0 * apron)
    while level > 8 and area / (180.0 / 2**level / options.cells * _METRES_PER_DEGREE) ** 2 > _MOST_POSTS:
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
    parts = [_sample(relief.geobox, values, beyond, lon, lat[k : k + _STRIP + 1]) for k in range(0, len(lat), _STRIP)]
    heights, outside = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    step = _FINEST_STEP
    while np.ptp(heights) + step > quantized_mesh.FULL * step:
        step *= 2.0
    _fade(heights, outside, _rim(relief), (empty.spacing * _METRES_PER_DEGREE, apron))
    rounded = np.round((heights + relief.geobox.frame.geoid_undulation) / step) * step
    return Lattice(level, options.cells, x0, y0, rounded, step), outside == 0.0


def geographic_bounds(box: GeoBox, apron: float = 0.0) -> tuple[float, float, float, float]:
    """(west, south, east, north) in degrees around a raster and `apron` m beyond, its bent edges walked."""
    xmin, ymin, xmax, ymax = box.bounds
    x, y = np.linspace(xmin - apron, xmax + apron, 33), np.linspace(ymin - apron, ymax + apron, 33)
    ends = [(x, np.full(33, y[0])), (x, np.full(33, y[-1])), (np.full(33, x[0]), y), (np.full(33, x[-1]), y)]
    lonlat = box.frame.to_lonlat(np.concatenate([np.column_stack(pair) for pair in ends]))
    (west, south), (east, north) = lonlat.min(axis=0).tolist(), lonlat.max(axis=0).tolist()
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
    distance, (rows, cols) = ndimage.distance_transform_edt(~known, sampling=spacing, return_indices=True)
    return values[rows, cols], distance.astype(np.float32)


def _rim(relief: Raster) -> float:
    """Mean height along the border of the known cells, m."""
    known = relief.valid
    rim = known & ~ndimage.binary_erosion(known)
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
    heights = ndimage.map_coordinates(values, at, order=1, mode="nearest", prefilter=False)
    ny, nx = box.shape
    off = [np.maximum(np.maximum(-0.5 - p, p - (n - 0.5)), 0.0) for p, n in zip(at, (ny, nx), strict=True)]
    outside = np.hypot(off[0] * box.resolution[1], off[1] * box.resolution[0])
    if beyond is not None:
        outside += ndimage.map_coordinates(beyond, at, order=1, mode="nearest", prefilter=False)
    return heights, outside.astype(np.float32)


def _fade(
    heights: NDArray[np.float32], outside: NDArray[np.float32], plateau: float, widths: tuple[float, float]
) -> None:
    """Soften what lies outside the data, and let it fade to the plateau; in place.

    widths  metres between posts, and metres over which the land fades
    """
    spacing, apron = widths
    at = outside > 0.0
    if not at.any():
        return
    distance, z = outside[at], heights[at]
    z += (_soft(heights, spacing)[at] - z) * _smooth(distance / 500.0)
    heights[at] = z + (plateau - z) * (_smooth(distance / apron) if apron > 0.0 else 1.0)


def _soft(heights: NDArray[np.float32], metres: float) -> NDArray[np.float32]:
    """Heights without what is narrower than about 250 m, worked out on every eighth post."""
    few = ndimage.gaussian_filter(heights[::8, ::8], sigma=250.0 / (8.0 * metres), truncate=3.0)
    rows, cols = (np.arange(n) / 8.0 for n in heights.shape)
    return ndimage.map_coordinates(
        few, np.meshgrid(rows, cols, indexing="ij"), np.float32, order=1, mode="nearest", prefilter=False
    )


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


def allowed_error(level: int, finest: int, options: TerrainTiles) -> float:
    """Height error (m) that a level may have: a share of what CesiumJS expects, at best the option's."""
    wanted = _ERROR_SHARE * LEVEL_ZERO_ERROR / 2**level
    return options.error if level == finest else max(options.error, wanted)


def build_terrain(
    relief: Raster, folder: Path, options: TerrainTiles, workers: Workers, attribution: str = ""
) -> dict[str, Any]:
    """Write `<folder>/terrain`: layer.json and tiles of every level; the figures that build.json tells about it."""
    finest, known = lattice_of(relief, options)
    plateau = float(finest.heights[0, 0]) if not known[0, 0] else float(np.median(finest.heights[known]))
    plateau = round(plateau / finest.step) * finest.step
    home = folder / "terrain"
    levels = [finest if level == finest.level else coarser(finest, level, plateau) for level in range(finest.level + 1)]
    jobs: list[Job] = []
    gap = np.zeros(1)
    for lattice in levels:
        limit = allowed_error(lattice.level, finest.level, options)
        active = triangulate.errors(lattice.heights, lattice.cells, lattice.spacing * _METRES_PER_DEGREE) > limit
        if lattice is finest:
            shown = triangulate.surface(lattice.heights, active, lattice.cells)
            gap = np.abs(shown - lattice.heights)[known]
        jobs += _jobs(home, lattice, active, options.normals)
    totals = np.sum(list(workers.map(write_tiles, jobs, "terrain")), axis=0)
    write_all(home / "layer.json", orjson.dumps(_layer(levels, options, attribution)))
    west, south, east, north = geographic_bounds(relief.geobox)
    return {
        "url": "terrain",
        "min_level": 0,
        "max_level": finest.level,
        "bounds": [round(v, 7) for v in (west, south, east, north)],
        "tiles": int(totals[0]),
        "triangles": int(totals[1]),
        "wire_bytes": int(totals[2]),
        "height_step": finest.step,
        "plateau": plateau,
        "gap": round(float(gap.max()), 3),
        "gap_max": round(float(gap.max()), 3),
        "gap_p95": round(float(np.percentile(gap, 95.0)), 3),
    }


def _layer(levels: list[Lattice], options: TerrainTiles, attribution: str) -> dict[str, Any]:
    ranges = []
    for lattice in levels:
        nx, ny = lattice.tiles
        ends = {"endX": lattice.x + nx - 1, "endY": lattice.y + ny - 1}
        ranges.append([{"startX": lattice.x, "startY": lattice.y, **ends}])
    return {
        "tilejson": "2.1.0",
        "name": "terrain",
        "version": "1.0.0",
        "format": "quantized-mesh-1.0",
        "scheme": "tms",
        "projection": "EPSG:4326",
        "tiles": ["{z}/{x}/{y}.terrain"],
        "extensions": ["octvertexnormals"] if options.normals else [],
        "bounds": [-180.0, -90.0, 180.0, 90.0],
        "minzoom": 0,
        "maxzoom": levels[-1].level,
        "available": ranges,
        "attribution": attribution,
    }


def _jobs(home: Path, lattice: Lattice, active: NDArray[np.bool_], normals: bool) -> Iterator[Job]:
    """Tiles of a level, a row of up to sixteen at a time, each with its window of the level."""
    nx, ny = lattice.tiles
    c = lattice.cells
    wide = np.pad(lattice.heights, 1, mode="edge")
    for row in range(ny):
        for col in range(0, nx, 16):
            count = min(16, nx - col)
            window = (slice(row * c, (row + 1) * c + 1), slice(col * c, (col + count) * c + 1))
            around = wide[row * c : (row + 1) * c + 3, col * c : (col + count) * c + 3]
            part = Lattice(lattice.level, c, lattice.x + col, lattice.y + row, lattice.heights[window], lattice.step)
            places = tuple((lattice.x + col + k, lattice.y + row) for k in range(count))
            yield Job(home, part, active[window], around, normals, places)


def vertex_normals(
    around: Floats, lonlat: Floats, at: tuple[NDArray[np.int64], NDArray[np.int64]], spacing: float
) -> Floats:
    """Earth-centred unit normals (n, 3) of posts, from the slope between the posts on either side.

    around      heights (ny + 2, nx + 2) of a window and one post more on every side
    lonlat      (n, 2) degrees of the posts      at  their (rows, columns) in the window      spacing  degrees
    """
    rows, cols = at
    lon, lat = np.radians(lonlat).T
    metres = 2.0 * spacing * _METRES_PER_DEGREE
    north = (around[rows + 2, cols + 1] - around[rows, cols + 1]) / metres
    east = (around[rows + 1, cols + 2] - around[rows + 1, cols]) / (metres * np.maximum(np.cos(lat), 1e-3))
    u = 1.0 / np.sqrt(east**2 + north**2 + 1.0)
    e, n = -east * u, -north * u
    sin_l, cos_l, sin_p, cos_p = np.sin(lon), np.cos(lon), np.sin(lat), np.cos(lat)
    x = -sin_l * e - sin_p * cos_l * n + cos_p * cos_l * u
    y = cos_l * e - sin_p * sin_l * n + cos_p * sin_l * u
    return np.column_stack([x, y, cos_p * n + sin_p * u])


def write_tiles(job: Job) -> tuple[int, int, int]:
    """Write the tiles of a job; (tiles, triangles, bytes that travel)."""
    c = job.lattice.cells
    n_triangles = wire = 0
    for place, (x, y) in enumerate(job.places):
        cols = slice(place * c, (place + 1) * c + 1)
        around = job.around[:, place * c : (place + 1) * c + 3] if job.normals else None
        mesh = tile_mesh(job.lattice, (x, y), job.lattice.heights[:, cols], job.active[:, cols], around)
        path = job.folder / str(job.lattice.level) / str(x) / f"{y}.terrain"
        wire += write_all(path, quantized_mesh.encode(mesh), quality=None)
        n_triangles += len(mesh.triangles)
    return len(job.places), n_triangles, wire


def tile_mesh(
    lattice: Lattice,
    place: tuple[int, int],
    heights: Floats,
    active: NDArray[np.bool_],
    around: Floats | None,
) -> quantized_mesh.Mesh:
    """The triangles of one tile; `heights` and `active` are its window (cells + 1, cells + 1).

    around  the window's heights and one post more on every side, for normals; None for none
    """
    corners = triangulate.triangles(active)
    n = lattice.cells + 1
    flat, inverse = np.unique(corners[..., 0] * n + corners[..., 1], return_inverse=True)
    rows, cols = flat // n, flat % n
    z = heights[rows, cols]
    low, high, factor = quantized_mesh.height_span(float(z.min()), float(z.max()), lattice.step)
    scale = quantized_mesh.FULL / lattice.cells
    normals = None
    if around is not None:
        x, y = place[0] * lattice.cells + cols, place[1] * lattice.cells + rows
        lonlat = np.column_stack([x * lattice.spacing - 180.0, y * lattice.spacing - 90.0])
        normals = vertex_normals(around, lonlat, (rows, cols), lattice.spacing)
    return quantized_mesh.Mesh(
        tile_bounds(lattice.level, *place),
        np.round(cols * scale).astype(np.uint16),
        np.round(rows * scale).astype(np.uint16),
        np.round((z - low) / lattice.step * factor).astype(np.uint16),
        low,
        high,
        inverse.reshape(-1, 3),
        normals,
    )
