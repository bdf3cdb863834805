"""Streets in pieces of about 100 m: what is zoned is the piece, not the road."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.features import Layer, objects

LINE, POLYGON = 1, 3


def cut(roads: Layer, length: float = 100.0) -> Layer:
    """The roads cut into equal pieces of about `length` metres, named by their road and their place in it.

    returns  Layer of class road with the columns of the road and `road_oid`; oid = road oid + "@" + k from 0. Rails
             and lines without length give none. Pieces of a road of several parts are counted through. Carriageways
             delivered as polygons stay whole.
    """
    drive = np.flatnonzero(roads.column("road_class") != "rail")
    parts, owner = shapely.get_parts(roads.geometry[drive], return_index=True)
    kind = shapely.get_type_id(parts)
    line = (kind == LINE) & (shapely.length(parts) > 0.0)
    plane = (kind == POLYGON) & ~shapely.is_empty(parts)
    lines, of_line = _cut_lines(parts[line], length)
    pieces = np.r_[lines, parts[plane]]
    road = drive[np.r_[owner[line][of_line], owner[plane]]]
    if not len(pieces):
        return Layer.build("road", roads.frame, [], [], {"road_oid": []})
    order = np.argsort(road, kind="stable")
    pieces, road = pieces[order], road[order]
    number = np.arange(len(road)) - _group_start(road)
    whole = roads.take(road)
    oid = [f"{name}@{k}" for name, k in zip(whole.oid.tolist(), number.tolist(), strict=True)]
    columns: dict[str, Any] = {**whole.columns, "road_oid": whole.oid}
    return Layer.build("road", roads.frame, oid, objects(pieces), columns)


def piece_length(geometry: NDArray[Any]) -> NDArray[np.float64]:
    """Length (n,) f8 m of street pieces; of a carriageway polygon half its outline."""
    out: NDArray[np.float64] = shapely.length(geometry)
    return np.where(shapely.get_type_id(geometry) == POLYGON, out / 2.0, out)


def _cut_lines(parts: NDArray[Any], length: float) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Equal pieces of simple lines, and the row of the line each comes from."""
    if not len(parts):
        return parts, np.zeros(0, dtype=np.int64)
    total = shapely.length(parts)
    count = np.maximum(1, np.round(total / length)).astype(np.int64)
    return _pieces(parts, count, total / count), np.repeat(np.arange(len(parts)), count)


def _pieces(parts: NDArray[Any], count: NDArray[np.int64], step: NDArray[np.float64]) -> NDArray[Any]:
    """Line strings of all pieces, part after part: vertices of the part with the cut points put between them."""
    xy, part = shapely.get_coordinates(parts, return_index=True)
    gap = np.zeros(len(xy))
    gap[1:] = np.where(part[1:] == part[:-1], np.hypot(*np.diff(xy, axis=0).T), 0.0)
    along = np.cumsum(gap)
    along = along - along[_group_start(part)]
    inner = count - 1
    owner = np.repeat(np.arange(len(parts)), inner)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(inner) - inner, inner) + 1
    at = rank * step[owner]
    cuts = shapely.get_coordinates(shapely.line_interpolate_point(parts[owner], at))
    offset = np.cumsum(count) - count
    piece = offset[part] + np.clip((along / step[part]).astype(np.int64), 0, count[part] - 1)
    # A cut point ends one piece and begins the next.
    index = np.r_[piece, offset[owner] + rank - 1, offset[owner] + rank]
    place = np.r_[along, at, at]
    points = np.vstack([xy, cuts, cuts])
    order = np.lexsort((place, index))
    index, points = index[order], points[order]
    same = np.r_[False, (index[1:] == index[:-1]) & (np.abs(np.diff(points, axis=0)).max(axis=1) < 1e-9)]
    # Two equal neighbours carry no shape; but a piece keeps at least two points.
    sizes = np.bincount(index[~same], minlength=int(count.sum()))
    keep = ~same | (sizes[index] < 2)
    return shapely.linestrings(points[keep], indices=index[keep])


def _group_start(group: NDArray[Any]) -> NDArray[np.int64]:
    """For each item (n,) the index where its run of equal neighbours begins."""
    first = np.r_[True, group[1:] != group[:-1]]
    return np.maximum.accumulate(np.where(first, np.arange(len(group)), 0)).astype(np.int64)
