"""Features of one zoom on its grid: simplified, snapped, still valid, and cut by the window of every tile they meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.vector import clip
from tiles.vector.batch import Batch, Longs, least
from tiles.vector.grid import EXTENT

Shapes = NDArray[np.object_]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Level:
    """A zoom of a block.

    shrink      cells of the finest grid along a cell of this one
    tiles       (x0, y0, x1, y1) of its tiles, counted from the block's corner, end not included
    finest      nothing is simplified or left out
    """

    shrink: float
    tiles: Box
    tolerance: float
    buffer: int
    finest: bool


@dataclass(frozen=True, slots=True)
class Rings:
    """Runs of vertices: xy (v, 2) i8 on the grid of the level, start (r + 1,) of each, outer (r,) bool."""

    xy: Longs
    start: Longs
    outer: NDArray[np.bool_]

    @staticmethod
    def none() -> Rings:
        """No vertex."""
        return Rings(np.empty((0, 2), np.int64), np.zeros(1, np.int64), np.empty(0, bool))


@dataclass(frozen=True, slots=True)
class Cut:
    """What tiles show of a batch, one row a feature and tile, sorted by tile, then as delivered.

    tile        (t, 2) x and y from the block's corner, each with a row      first   (t + 1,) its first row
    feature, kind, low, high    (n,) of each row: number in the batch, kind, its runs rings[low:high]
    """

    tile: Longs
    first: Longs
    feature: Longs
    kind: NDArray[np.uint8]
    low: Longs
    high: Longs
    rings: Rings


def visible(batch: Batch, zoom: int, level: Level) -> Longs:
    """Numbers of the features that a zoom shows."""
    there = batch.begins <= zoom
    if not level.finest:
        there &= (batch.kind == 1) | (batch.size / level.shrink >= least(batch.shown, batch.kind))
    return np.flatnonzero(there)


def cut(batch: Batch, rows: Longs, level: Level) -> Cut | None:
    """The features `rows` of a batch by the tiles of a level; None where no tile shows any."""
    found = [
        family
        for kind in (1, 2, 3)
        if len(chosen := rows[batch.kind[rows] == kind])
        and (family := _family(batch.geometry[chosen], chosen, kind, level)) is not None
    ]
    if not found:
        return None
    tile = np.concatenate([f.tile for f in found])
    feature = np.concatenate([f.feature for f in found])
    kinds = np.concatenate([f.kind for f in found])
    rings, low, high = _joined(found)
    order = np.lexsort([feature, tile[:, 0], tile[:, 1]])
    tile = tile[order]
    new = np.concatenate([[True], np.any(tile[1:] != tile[:-1], axis=1)])
    first = np.concatenate([np.flatnonzero(new), [len(tile)]])
    return Cut(tile[new], first, feature[order], kinds[order], low[order], high[order], rings)


def _joined(found: list[Cut]) -> tuple[Rings, Longs, Longs]:
    if len(found) == 1:
        return found[0].rings, found[0].low, found[0].high
    rings, shift = _chain([f.rings for f in found])
    low, high = (
        np.concatenate([getattr(f, side) + s for f, s in zip(found, shift, strict=True)]) for side in ("low", "high")
    )
    return rings, low, high


def _chain(parts: list[Rings]) -> tuple[Rings, list[int]]:
    """All rings one after the other, and how many come before each part."""
    vertices = np.cumsum([0, *(len(p.xy) for p in parts)])
    before = np.cumsum([0, *(len(p.outer) for p in parts)]).tolist()
    start = np.concatenate([*(p.start[:-1] + v for p, v in zip(parts, vertices, strict=False)), vertices[-1:]])
    rings = Rings(np.concatenate([p.xy for p in parts]), start, np.concatenate([p.outer for p in parts]))
    return rings, before[:-1]


def _family(shapes: Shapes, number: Longs, kind: int, level: Level) -> Cut | None:
    """Rows of the features of one kind, in the order of features; `tile` and the rest have one entry a row."""
    snapped = snap(shapes, kind, level)
    there = ~shapely.is_empty(snapped)
    snapped, number = snapped[there], number[there]
    if not len(number):
        return None
    bounds = np.nan_to_num(shapely.bounds(snapped), nan=-1e12).astype(np.int64)
    row, tile = _met(bounds, level)
    if not len(row):
        return None
    window = np.concatenate([tile * EXTENT - level.buffer, (tile + 1) * EXTENT + level.buffer], axis=1)
    inside = np.all(bounds[row][:, :2] >= window[:, :2], axis=1) & np.all(bounds[row][:, 2:] <= window[:, 2:], axis=1)
    whole, span = _flatten(snapped, kind)
    crossing = np.flatnonzero(~inside)
    pieces, piece_span = _clipped((snapped, whole, span), (row[crossing], window[crossing]), kind)
    rings, shift = _chain([whole, pieces])
    spans = span[row]
    spans[crossing] = piece_span + shift[1]
    kinds = np.full(len(row), kind, np.uint8)
    return Cut(tile, np.zeros(1, np.int64), number[row], kinds, spans[:, 0], spans[:, 1], rings)


def snap(shapes: Shapes, kind: int, level: Level) -> Shapes:
    """The shapes on the grid of a level, valid where they are polygons; empty where nothing is left.

    Simplified by Douglas and Peucker before they are cut, so that neighbouring tiles show the same line.
    """
    if not level.finest and kind > 1:
        shapes = shapely.simplify(shapes, level.tolerance * level.shrink, preserve_topology=False)
    exact = shapely.transform(shapes, lambda xy: xy / level.shrink) if level.shrink != 1.0 else shapes
    snapped: Shapes = shapely.set_coordinates(exact.copy(), np.floor(shapely.get_coordinates(exact) + 0.5))
    if kind < 3:
        return snapped
    wrong = np.flatnonzero(~shapely.is_valid(snapped))
    if len(wrong):
        # Noded on the grid: what folds over itself is taken apart, what has no area goes.
        mended = shapely.set_precision(shapely.make_valid(exact[wrong], method="structure"), 1.0)
        snapped[wrong] = _polygons(mended)
    return snapped


def _polygons(shapes: Shapes) -> Shapes:
    """The polygons of each shape, as one multipolygon; empty where there is none."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    # A collection may hold a multipolygon.
    parts, inner = shapely.get_parts(parts, return_index=True)
    areal = shapely.get_type_id(parts) == 3
    found = np.full(len(shapes), shapely.MultiPolygon(), dtype=object)
    owners = owner[inner[areal]]
    shapely.multipolygons(parts[areal], indices=owners, out=found)
    return found


def _met(bounds: Longs, level: Level) -> tuple[Longs, Longs]:
    """(row, (x, y) of the tile) of every tile that a box meets with its buffer."""
    low = np.maximum((bounds[:, :2] - level.buffer) // EXTENT, level.tiles[:2])
    high = np.minimum((bounds[:, 2:] + level.buffer) // EXTENT, np.array(level.tiles[2:]) - 1)
    wide = np.maximum(high - low + 1, 0)
    count = wide[:, 0] * wide[:, 1]
    row = np.repeat(np.arange(len(bounds)), count)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    across = np.maximum(wide[row, 0], 1)
    return row, low[row] + np.column_stack([nth % across, nth // across])


def _flatten(shapes: Shapes, kind: int) -> tuple[Rings, Longs]:
    """(rings of all shapes, (n, 2) first ring and end of rings of each)."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    if kind == 3:
        rings, part = shapely.get_rings(parts, return_index=True)
        outer = np.concatenate([[True], part[1:] != part[:-1]]) if len(part) else np.empty(0, bool)
        owner = owner[part]
    elif kind == 2:
        rings, outer = parts, np.ones(len(parts), bool)
    else:
        # The points of a feature are one run.
        xy = shapely.get_coordinates(parts)
        start = np.searchsorted(owner, np.arange(len(shapes) + 1))
        span = np.column_stack([np.arange(len(shapes)), np.arange(1, len(shapes) + 1)])
        return Rings(xy.astype(np.int64), start, np.ones(len(shapes), bool)), span
    xy, run = shapely.get_coordinates(rings, return_index=True)
    start = np.searchsorted(run, np.arange(len(rings) + 1))
    edge = np.searchsorted(owner, np.arange(len(shapes) + 1))
    return Rings(xy.astype(np.int64), start, outer), np.column_stack([edge[:-1], edge[1:]])


def _clipped(whole: tuple[Shapes, Rings, Longs], crossing: tuple[Longs, Longs], kind: int) -> tuple[Rings, Longs]:
    """(rings, (n, 2) first ring and end of rings) of the rows that cross their windows."""
    shapes, rings, span = whole
    row, window = crossing
    if not len(row):
        return Rings.none(), np.empty((0, 2), np.int64)
    if kind == 3:
        return _clipped_polygons(shapes[row], (rings, span[row]), window)
    work = clip.clip_lines if kind == 2 else clip.clip_points
    xy, start, first = work(rings.xy, rings.start, span[row], window)
    return Rings(xy, start, np.ones(len(start) - 1, bool)), np.column_stack([first[:-1], first[1:]])


def _clipped_polygons(shapes: Shapes, whole: tuple[Rings, Longs], window: Longs) -> tuple[Rings, Longs]:
    """As `_clipped`; where plain clipping gives no valid polygon, the shape is noded with its window on the grid."""
    rings, span = whole
    xy, start, outer, first = clip.clip_rings(rings.xy, rings.start, rings.outer, span, window)
    cut_rings = Rings(xy, start, outer)
    spans = np.column_stack([first[:-1], first[1:]])
    wrong = np.flatnonzero(~_valid(cut_rings, spans))
    if not len(wrong):
        return cut_rings, spans
    boxes = shapely.box(*window[wrong].T.astype(np.float64))
    noded, noded_spans = _flatten(_polygons(shapely.intersection(shapes[wrong], boxes, grid_size=1.0)), 3)
    joined, shift = _chain([cut_rings, noded])
    spans[wrong] = noded_spans + shift[1]
    return joined, spans


def _valid(rings: Rings, spans: Longs) -> NDArray[np.bool_]:
    """(n,) whether the rings of each row are a valid polygon or several; nothing is valid."""
    lines = shapely.linearrings(rings.xy.astype(np.float64), indices=_owners(np.diff(rings.start)))
    whole = np.full(len(spans), shapely.MultiPolygon(), dtype=object)
    polygons = shapely.polygons(lines, indices=np.cumsum(rings.outer) - 1)
    shapely.multipolygons(polygons, indices=_owners(np.diff(spans, axis=1)[:, 0])[rings.outer], out=whole)
    valid: NDArray[np.bool_] = shapely.is_valid(whole)
    return valid


def _owners(count: Longs) -> Longs:
    return np.repeat(np.arange(len(count)), count)
