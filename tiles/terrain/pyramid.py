"""The relief as a pyramid of terrain tiles without cracks, gaps or cliffs.

One lattice of posts on the geographic grid carries the whole pyramid: the posts of a level are every second post of
the next, heights lie on one global step, and triangles are chosen on the lattice of a whole level. So the common edge
of two tiles is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles.compress import write_all
from tiles.opening import around, write_opening
from tiles.options import TerrainTiles
from tiles.terrain import quantized_mesh, triangulate
from tiles.terrain.lattice import METRES_PER_DEGREE, Lattice, coarser, geographic_bounds, lattice_of
from tiles.terrain.water import Water, masks, water_of
from twin.features import Layer
from twin.grid import Raster
from twin.workers import Workers

Floats = NDArray[np.float64]

LEVEL_ZERO_ERROR = 77_067.0
"""Height error CesiumJS expects of level 0, m; it halves per level."""

_ERROR_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Job:
    """A run of neighbouring tiles to be written.

    around  heights of the run and one post more on every side, for slopes that agree across edges
    shores  (k, 4) f8, edges of the water near the run, degrees; None where no water is told
    """

    folder: Path
    lattice: Lattice
    active: NDArray[np.bool_]
    around: Floats
    normals: bool
    places: tuple[tuple[int, int], ...]
    shores: Floats | None = None

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) of the run, degrees."""
        west, south, _, _ = tile_bounds(self.lattice.level, *self.places[0])
        _, _, east, north = tile_bounds(self.lattice.level, *self.places[-1])
        return west, south, east, north


def tile_bounds(level: int, x: int, y: int) -> tuple[float, float, float, float]:
    """(west, south, east, north) in degrees of a tile of the geographic TMS pyramid."""
    side = 180.0 / 2**level
    return x * side - 180.0, y * side - 90.0, (x + 1) * side - 180.0, (y + 1) * side - 90.0


def allowed_error(level: int, finest: int, options: TerrainTiles) -> float:
    """Height error (m) that a level may have: a share of what CesiumJS expects, at best the option's."""
    wanted = _ERROR_SHARE * LEVEL_ZERO_ERROR / 2**level
    return options.error if level == finest else max(options.error, wanted)


def build_terrain(
    relief: Raster,
    folder: Path,
    options: TerrainTiles,
    workers: Workers,
    attribution: str = "",
    water: Layer | None = None,
    focus: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Write `<folder>/terrain`: layer.json and tiles of every level; the figures that build.json tells about it.

    water   the layer whose polygons become water masks; None for tiles without masks
    focus   longitude and latitude that the first view looks at; None for the middle of the relief
    """
    finest, known = lattice_of(relief, options)
    plateau = float(finest.heights[0, 0]) if not known[0, 0] else float(np.median(finest.heights[known]))
    plateau = round(plateau / finest.step) * finest.step
    home = folder / "terrain"
    levels = [finest if level == finest.level else coarser(finest, level, plateau) for level in range(finest.level + 1)]
    jobs: list[Job] = []
    gap = np.zeros(1)
    for lattice in levels:
        limit = allowed_error(lattice.level, finest.level, options)
        active = triangulate.errors(lattice.heights, lattice.cells, lattice.spacing * METRES_PER_DEGREE) > limit
        if lattice is finest:
            gap = _gap(lattice, active, known)
        jobs += _jobs(home, lattice, active, options.normals)
    wet = None if water is None else water_of(water)
    # Shores go to a job when its turn comes: every coarse tile has those of the whole city.
    done = workers.map(write_tiles, (_with_shores(job, wet) for job in jobs), "terrain", len(jobs))
    totals = np.sum(list(done), axis=0)
    extensions = ["octvertexnormals"] * options.normals + ["watermask"] * (wet is not None)
    write_all(home / "layer.json", orjson.dumps(_layer(levels, extensions, attribution)))
    bounds = geographic_bounds(relief.geobox)
    west, south, east, north = bounds
    opening = write_opening(home, _opening(levels, focus or ((west + east) / 2.0, (south + north) / 2.0)))
    return {
        "url": "terrain",
        "min_level": 0,
        "max_level": finest.level,
        "cells": options.cells,
        "bounds": [round(v, 7) for v in bounds],
        "tiles": int(totals[0]),
        "triangles": int(totals[1]),
        "wire_bytes": int(totals[2]),
        "shore_tiles": int(totals[3]),
        "height_step": finest.step,
        "plateau": plateau,
        "gap": round(float(gap.max()), 3),
        "gap_max": round(float(gap.max()), 3),
        "gap_p95": round(float(np.percentile(gap, 95.0)), 3),
    } | ({"opening": f"terrain/{opening}"} if opening else {})


def _with_shores(job: Job, water: Water | None) -> Job:
    return job if water is None else replace(job, shores=water.near(job.bounds))


def _layer(levels: list[Lattice], extensions: list[str], attribution: str) -> dict[str, Any]:
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
        "extensions": extensions,
        "bounds": [-180.0, -90.0, 180.0, 90.0],
        "minzoom": 0,
        "maxzoom": levels[-1].level,
        "available": ranges,
        "attribution": attribution,
    }


def _opening(levels: list[Lattice], focus: tuple[float, float]) -> Iterator[str]:
    """Files that a first view asks for: the document, then the tiles around its middle, coarse ones first."""
    yield "layer.json"
    for lattice in levels:
        side, (nx, ny) = 180.0 / 2**lattice.level, lattice.tiles
        places = ((lattice.x + k, lattice.y + j) for k in range(nx) for j in range(ny))
        centre = (focus[0] + 180.0) / side, (focus[1] + 90.0) / side
        # Both tiles of the coarsest level are asked for wherever one looks.
        shown = around(places, centre) if lattice.level else places
        yield from (f"{lattice.level}/{x}/{y}.terrain" for x, y in shown)


def _jobs(home: Path, lattice: Lattice, active: NDArray[np.bool_], normals: bool) -> Iterator[Job]:
    """Tiles of a level, a row of up to sixteen at a time, each with its window of the level."""
    nx, ny = lattice.tiles
    c = lattice.cells
    for row in range(ny):
        for col in range(0, nx, 16):
            count = min(16, nx - col)
            window = (slice(row * c, (row + 1) * c + 1), slice(col * c, (col + count) * c + 1))
            around = _window(lattice.heights, row * c - 1, col * c - 1, (c + 3, count * c + 3))
            part = Lattice(lattice.level, c, lattice.x + col, lattice.y + row, lattice.heights[window], lattice.step)
            places = tuple((lattice.x + col + k, lattice.y + row) for k in range(count))
            yield Job(home, part, active[window], around, normals, places)


def _window(heights: Floats, row: int, col: int, shape: tuple[int, int]) -> Floats:
    """A window of a lattice that may reach beyond it, where its border goes on."""
    (ny, nx), (n_rows, n_cols) = heights.shape, shape
    inside = heights[max(row, 0) : min(row + n_rows, ny), max(col, 0) : min(col + n_cols, nx)]
    beyond = (max(-row, 0), max(row + n_rows - ny, 0)), (max(-col, 0), max(col + n_cols - nx, 0))
    return np.pad(inside, beyond, mode="edge") if any(map(any, beyond)) else inside


def _gap(lattice: Lattice, active: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How far the triangles are from every post that stands on data, m; one row of tiles after the other."""
    c, found = lattice.cells, []
    for row in range(lattice.tiles[1]):
        rows = slice(row * c, (row + 1) * c + 1)
        shown = triangulate.surface(lattice.heights[rows], active[rows], c)
        found.append(np.abs(shown - lattice.heights[rows])[known[rows]].astype(np.float32))
    return np.concatenate(found)


def vertex_normals(
    around: Floats, lonlat: Floats, at: tuple[NDArray[np.int64], NDArray[np.int64]], spacing: float
) -> Floats:
    """Earth-centred unit normals (n, 3) of posts, from the slope between the posts on either side.

    around      heights (ny + 2, nx + 2) of a window and one post more on every side
    lonlat      (n, 2) degrees of the posts      at  their (rows, columns) in the window      spacing  degrees
    """
    rows, cols = at
    lon, lat = np.radians(lonlat).T
    metres = 2.0 * spacing * METRES_PER_DEGREE
    north = (around[rows + 2, cols + 1] - around[rows, cols + 1]) / metres
    east = (around[rows + 1, cols + 2] - around[rows + 1, cols]) / (metres * np.maximum(np.cos(lat), 1e-3))
    u = 1.0 / np.sqrt(east**2 + north**2 + 1.0)
    e, n = -east * u, -north * u
    sin_l, cos_l, sin_p, cos_p = np.sin(lon), np.cos(lon), np.sin(lat), np.cos(lat)
    x = -sin_l * e - sin_p * cos_l * n + cos_p * cos_l * u
    y = cos_l * e - sin_p * sin_l * n + cos_p * sin_l * u
    return np.column_stack([x, y, cos_p * n + sin_p * u])


def write_tiles(job: Job) -> tuple[int, int, int, int]:
    """Write the tiles of a job; (tiles, triangles, bytes that travel, tiles with a shore)."""
    c = job.lattice.cells
    n_triangles = wire = n_shores = 0
    water = None if job.shores is None else masks(job.shores, job.bounds, len(job.places))
    for place, (x, y) in enumerate(job.places):
        cols = slice(place * c, (place + 1) * c + 1)
        around = job.around[:, place * c : (place + 1) * c + 3] if job.normals else None
        mesh = tile_mesh(job.lattice, (x, y), job.lattice.heights[:, cols], job.active[:, cols], around)
        if water is not None:
            mesh = replace(mesh, water=water[place])
            n_shores += int(np.ptp(water[place]) > 0)
        path = job.folder / str(job.lattice.level) / str(x) / f"{y}.terrain"
        wire += write_all(path, quantized_mesh.encode(mesh), quality=None)
        n_triangles += len(mesh.triangles)
    return len(job.places), n_triangles, wire, n_shores


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
