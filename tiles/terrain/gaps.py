"""How buildings stand on the published terrain: at every level, how far the ground drawn there is from their bases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # its parts are loaded where they are first used, which takes 0.2 s and more
import shapely
from numpy.typing import NDArray

from tiles.terrain import quantized_mesh, triangulate
from tiles.terrain.pyramid import tile_bounds
from twin.features import Layer
from twin.frames import Frame
from twin.store.protocol import Store
from twin.workers import Workers

Floats = NDArray[np.float64]

_PAGE = 20_000

_KEPT = 256
"""Tiles that a worker keeps, of some 130 KB."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Corners of outlines, building by building.

    xy          (m, 2) f8, frame m
    starts      (n,) first corner of every building
    base        (n,) f8, ellipsoidal m
    """

    frame: Frame
    xy: Floats
    starts: NDArray[np.int64]
    base: Floats


def measure(store: Store, name: str, terrain: Path, build: dict[str, Any], workers: Workers) -> list[dict[str, Any]]:
    """Gaps of the buildings of a layer at every level of published terrain, finest last: p50, p95 and max, m.

    A gap is the distance between the base of a building and the lowest ground drawn along its outline. Buildings that
    stand off the tiles of a level are left out at all levels, so that the levels speak of the same buildings.
    terrain     folder of layer.json      build   what build.json tells of the terrain: cells, max_level
    """
    levels = range(int(build["max_level"]) + 1)
    work = partial(_page_gaps, terrain, int(build["cells"]), levels)
    # Memory holds how often every millimetre occurs, not every building.
    counted = [Counter[int]() for _ in levels]
    for page in workers.map(work, _pages(store, name), "terrain gaps"):
        for counts, column in zip(counted, page.T, strict=True):
            found, often = np.unique(column, return_counts=True)
            counts.update(dict(zip(found.tolist(), often.tolist(), strict=True)))
    return [_told(level, counts) for level, counts in zip(levels, counted, strict=True) if counts]


def _told(level: int, counts: Mapping[int, int]) -> dict[str, Any]:
    """Figures of a level from how often every gap occurs, whole millimetres."""
    gaps = np.array(sorted(counts))
    upto = np.cumsum([counts[gap] for gap in gaps.tolist()])
    p50, p95 = gaps[np.searchsorted(upto, np.array([0.5, 0.95]) * upto[-1])] / 1000.0
    return {
        "level": level,
        "buildings": int(upto[-1]),
        "p50": round(float(p50), 3),
        "p95": round(float(p95), 3),
        "max": round(float(gaps[-1]) / 1000.0, 3),
    }


def _pages(store: Store, name: str) -> Iterator[Outlines]:
    after: int | None = 0
    while after is not None:
        layer, _, after = store.page_layer(name, limit=_PAGE, after=after)
        yield outlines(layer)


def outlines(layer: Layer) -> Outlines:
    """The outlines of those buildings of a layer whose base is known."""
    base = np.asarray(layer.columns["base_z"], np.float64)
    known = np.isfinite(base) & ~shapely.is_empty(layer.geometry)
    corners, owner = shapely.get_coordinates(layer.geometry[known], return_index=True)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return Outlines(layer.frame, corners, starts, base[known] + layer.frame.geoid_undulation)


def _page_gaps(terrain: Path, cells: int, levels: range, page: Outlines) -> NDArray[np.int64]:
    """(n, levels) mm, of those of a page that stand on tiles of every level."""
    gaps = np.zeros((len(page.base), len(levels)))
    if len(page.base):
        lonlat = page.frame.to_lonlat(page.xy)
        for level in levels:
            drawn = drawn_heights(terrain, level, cells, lonlat)
            gaps[:, level] = np.abs(np.minimum.reduceat(drawn, page.starts) - page.base)
    standing = gaps[np.isfinite(gaps).all(axis=1)]
    return np.round(standing * 1000.0).astype(np.int64)


def drawn_heights(terrain: Path, level: int, cells: int, lonlat: Floats) -> Floats:
    """Heights (m,) that the triangles of a level have at places (m, 2) in degrees; NaN where it has no tile.

    The posts between the vertices of a tile are filled by its own triangles; between posts heights are bilinear.
    """
    side = 180.0 / 2**level
    places = np.floor((lonlat + np.array([180.0, 90.0])) / side).astype(np.int64)
    tiles, inverse = np.unique(places, axis=0, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    ends = np.searchsorted(inverse.ravel()[order], np.arange(len(tiles) + 1))
    heights = np.full(len(lonlat), np.nan)
    for k, (x, y) in enumerate(tiles.tolist()):
        path = terrain / str(level) / str(x) / f"{y}.terrain"
        if not path.exists():
            continue
        rows = order[ends[k] : ends[k + 1]]
        posts = _posts(path, path.stat().st_mtime_ns, tile_bounds(level, x, y), cells)
        west, south, _, _ = tile_bounds(level, x, y)
        at = (lonlat[rows] - (west, south)) / side * cells
        heights[rows] = scipy.ndimage.map_coordinates(posts, [at[:, 1], at[:, 0]], order=1, mode="nearest")
    return heights


@lru_cache(maxsize=_KEPT)
def _posts(path: Path, written: int, bounds: tuple[float, float, float, float], cells: int) -> Floats:
    """Heights (cells + 1, cells + 1) of a tile's surface at the posts, rows going north.

    written     when the file was, ns: pages ask for the same tiles again, a city that is published again for others
    """
    mesh, _ = quantized_mesh.decode(path.read_bytes(), bounds, str(path))
    rows, cols = (
        np.round(c.astype(np.float64) * cells / quantized_mesh.FULL).astype(np.int64) for c in (mesh.v, mesh.u)
    )
    heights, active = np.zeros((cells + 1, cells + 1)), np.zeros((cells + 1, cells + 1), bool)
    heights[rows, cols] = mesh.geodetic()[:, 2]
    active[rows, cols] = True
    return triangulate.surface(heights, active, cells)
