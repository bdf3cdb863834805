"""Polygons as flat arrays of the vertices of their rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_POLYGON = 3


@dataclass(frozen=True, slots=True)
class FlatRings:
    """Rings of n geometries as they are, in the order of the geometries; the last vertex of a ring is its first.

    xy       (k, 2) f8                      ring    (k,) i8 ascending, ring of each vertex
    part     (r,) i8 ascending, part of each ring, the outer ring of a part first
    owner    (p,) i8 ascending, geometry of each part
    """

    xy: NDArray[np.float64]
    ring: Integers
    part: Integers
    owner: Integers


def flat_rings(geometry: NDArray[np.object_]) -> FlatRings:
    """All rings of polygons, multipolygons and collections (n,); lines and points have none."""
    plain = (shapely.get_type_id(geometry) == _POLYGON) & (shapely.get_num_interior_rings(geometry) == 0)
    if plain.all():
        return _of_plain(geometry)
    rest = np.flatnonzero(~plain)
    found = _of_any(geometry[rest])
    rows = np.flatnonzero(plain)
    if not len(rows):
        return FlatRings(found.xy, found.ring, found.part, rest[found.owner])
    return _merged(_of_plain(geometry[rows]), rows, found, rest)


def _of_plain(geometry: NDArray[np.object_]) -> FlatRings:
    """The same of polygons without holes, whose one ring need not be taken out as a geometry of its own."""
    xy, row = shapely.get_coordinates(geometry, return_index=True)
    owner = np.flatnonzero(~shapely.is_empty(geometry))
    place = np.zeros(len(geometry), np.int64)
    place[owner] = np.arange(len(owner))
    return FlatRings(xy, place[row], np.arange(len(owner)), owner)


def _of_any(geometry: NDArray[np.object_]) -> FlatRings:
    parts, owner = shapely.get_parts(geometry, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    return FlatRings(xy, ring.astype(np.int64), part.astype(np.int64), owner.astype(np.int64))


def _merged(one: FlatRings, rows: Integers, other: FlatRings, rest: Integers) -> FlatRings:
    """The rings of two sets, geometry by geometry, where the geometries of each stand in `rows` and `rest`."""
    owner = np.concatenate([rows[one.owner], rest[other.owner]])
    order, place = _sorted(owner)
    part = place[np.concatenate([one.part, other.part + len(one.owner)])]
    ring_order, ring_place = _sorted(part)
    ring = ring_place[np.concatenate([one.ring, other.ring + len(one.part)])]
    vertices = np.argsort(ring, kind="stable")
    xy = np.concatenate([one.xy, other.xy])
    return FlatRings(xy[vertices], ring[vertices], part[ring_order], owner[order])


def _sorted(keys: Integers) -> tuple[Integers, Integers]:
    """The stable order of keys (n,), and where each comes to stand in it."""
    order = np.argsort(keys, kind="stable")
    place = np.empty(len(keys), np.int64)
    place[order] = np.arange(len(keys))
    return order, place
