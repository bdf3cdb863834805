"""Footprints as flat rings that can be raised: closed, oriented, without repeated, collinear or touching vertices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.analysis.flat import flat_rings
from twin.features import Objects
from twin.options import option

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

REPAIRED = "轮廓自相交，已修复 / self-crossing outline repaired"
OPENED = "轮廓自相触，已内缩 / self-touching outline shrunk open"
HULLED = "轮廓无法成体，以凸包代替 / outline cannot be raised, convex hull instead"
NO_AREA = "轮廓没有面积 / outline without area"
TOO_SMALL = "轮廓过小 / outline below the least area"

_ROUNDS = 12
# Outlines that are cleaned at a time, so that what is tried on the way takes no memory of the size of the city.
_CHUNK = 32_768
# Polygon, MultiPolygon, GeometryCollection as shapely numbers them.
_AREAL = (3, 6, 7)


@dataclass(frozen=True, slots=True)
class FootprintOptions:
    """How outlines are cleaned before they are raised."""

    min_area: float = option(1.0, unit="m2", min=0.0, max=100.0, doc="Footprints smaller than this are skipped.")
    snap: float = option(
        0.001, unit="m", min=0.0001, max=0.1, doc="Vertices are rounded to this, and closer details dropped."
    )
    opening: float = option(
        0.005, unit="m", min=0.001, max=0.5, doc="Outlines that touch themselves are shrunk by this, so that they open."
    )


@dataclass(frozen=True, slots=True)
class Rings:
    """Rings of n buildings, flat; outer rings counter-clockwise, holes clockwise, last vertex not repeated.

    xy       (k, 2) f8 frame m
    ring     (r + 1,) i8, vertices of ring i are ring[i] .. ring[i + 1]
    part     (r,) i8 ascending; rings of one part are one polygon, its outer ring first
    owner    (r,) i8 ascending; row of the building
    n        number of buildings; some may own no ring
    """

    xy: Floats
    ring: Integers
    part: Integers
    owner: Integers
    n: int

    def vertex_ring(self) -> Integers:
        """(k,) ring of each vertex."""
        return np.repeat(np.arange(len(self.part)), np.diff(self.ring))

    def following(self) -> Integers:
        """(k,) index of the next vertex along the ring."""
        after = np.arange(1, len(self.xy) + 1)
        after[self.ring[1:] - 1] = self.ring[:-1]
        return after

    def areas(self) -> Floats:
        """(r,) signed area of every ring, m2; positive counter-clockwise."""
        if not len(self.part):
            return np.zeros(0)
        local = self.xy - np.repeat(self.xy[self.ring[:-1]], np.diff(self.ring), axis=0)
        cross = _cross(local, local[self.following()])
        return np.asarray(np.add.reduceat(cross, self.ring[:-1]) / 2.0)


def clean(geometry: Objects, options: FootprintOptions) -> tuple[Objects, Objects]:
    """Polygons that can be raised, and what had to be done to them.

    geometry   (n,) polygons or multipolygons, frame m; None, empty, self-crossing ones, lines and NaN are allowed
    returns    (n,) cleaned polygons, empty where nothing is left; (n,) str, "" where the outline was good as it was
    source     snapping and ring rules of ISO 19107 as checked by val3dity (101, 102, 104, 201, 205)
    """
    starts = range(0, max(len(geometry), 1), _CHUNK)
    parts = [_cleaned(geometry[start : start + _CHUNK], options) for start in starts]
    shapes, reason = (np.concatenate(column) for column in zip(*parts, strict=True))
    return shapes, reason


def _cleaned(geometry: Objects, options: FootprintOptions) -> tuple[Objects, Objects]:
    reason = np.full(len(geometry), "", dtype=object)
    xy, row = shapely.get_coordinates(geometry, return_index=True)
    void = ~np.isin(shapely.get_type_id(geometry), _AREAL)
    void[row[~np.isfinite(xy).all(axis=1)]] = True
    delivered = shapely.force_2d(np.where(void, shapely.Polygon(), geometry))
    shapes = np.full(len(geometry), shapely.Polygon(), dtype=object)
    left = np.arange(len(geometry))
    for attempt, text in ((_as_delivered, ""), (_repaired, REPAIRED), (_opened, OPENED), (_hull, HULLED)):
        tried = to_polygons(from_polygons(attempt(delivered[left], options), options.snap))
        good = shapely.is_valid(tried) & ~shapely.is_empty(tried) & _rings_apart(tried)
        shapes[left[good]], reason[left[good]] = tried[good], text
        left = left[~good]
    area = shapely.area(shapes)
    for lost, text in ((area < options.min_area, TOO_SMALL), (~(area > 0.0), NO_AREA)):
        shapes[lost], reason[lost] = shapely.Polygon(), text
    return shapes, reason


def from_polygons(geometry: Objects, snap: float) -> Rings:
    """Rings of valid polygons (n,), rounded to `snap`, without details narrower than that, oriented."""
    flat = flat_rings(geometry)
    xy, ring = np.round(flat.xy / snap) / (1.0 / snap), flat.ring
    last = np.append(ring[1:] != ring[:-1], True) if len(ring) else np.zeros(0, bool)
    xy, ring = xy[~last], ring[~last]
    for _ in range(_ROUNDS):
        keep = ~_needless(xy, ring, snap)
        if keep.all():
            break
        xy, ring = xy[keep], ring[keep]
    return _pack(xy, ring, flat.part, flat.owner, len(geometry))


def to_polygons(rings: Rings) -> Objects:
    """Polygons (n,) of rings; multipolygons where a building has several parts, empty where it has none."""
    shapes = np.full(rings.n, shapely.Polygon(), dtype=object)
    if not len(rings.part):
        return shapes
    linear = shapely.linearrings(rings.xy, indices=rings.vertex_ring())
    part_id, part = np.unique(rings.part, return_inverse=True)
    polygons = shapely.polygons(linear, indices=part) if len(part_id) else np.zeros(0, object)
    part_owner = rings.owner[np.searchsorted(part, np.arange(len(part_id)))]
    owners, counts = np.unique(part_owner, return_counts=True)
    single = np.isin(part_owner, owners[counts == 1])
    shapes[part_owner[single]] = polygons[single]
    if not single.all():
        many, index = np.unique(part_owner[~single], return_inverse=True)
        shapes[many] = shapely.multipolygons(polygons[~single], indices=index)
    return shapes


def hulls(geometry: Objects, options: FootprintOptions) -> Objects:
    """Convex hulls (n,) of polygons, snapped; the shape that can always be raised."""
    return to_polygons(from_polygons(_hull(geometry, options), options.snap))


def _as_delivered(shapes: Objects, options: FootprintOptions) -> Objects:
    return shapes


def _repaired(shapes: Objects, options: FootprintOptions) -> Objects:
    return _polygonal(shapely.make_valid(shapes, method="structure", keep_collapsed=False))


def _opened(shapes: Objects, options: FootprintOptions) -> Objects:
    repaired = _repaired(shapes, options)
    return _polygonal(shapely.buffer(repaired, -options.opening, join_style="mitre", mitre_limit=2.0))


def _hull(shapes: Objects, options: FootprintOptions) -> Objects:
    return _polygonal(shapely.convex_hull(shapes))


def _polygonal(shapes: Objects) -> Objects:
    """Only the areal parts of any geometries (n,)."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    parts, inner = shapely.get_parts(parts, return_index=True)
    owner, areal = owner[inner], shapely.get_type_id(parts) == 3
    result = np.full(len(shapes), shapely.Polygon(), dtype=object)
    if areal.any():
        rows, index = np.unique(owner[areal], return_inverse=True)
        collected = shapely.multipolygons(parts[areal], indices=index)
        one = shapely.get_num_geometries(collected) == 1
        collected[one] = shapely.get_geometry(collected[one], 0)
        result[rows] = collected
    return result


def _rings_apart(shapes: Objects) -> NDArray[np.bool_]:
    """False where rings touch one another; a single ring that is valid cannot."""
    single = (shapely.get_type_id(shapes) == 3) & (shapely.get_num_interior_rings(shapes) == 0)
    several = np.flatnonzero(~single)
    apart = np.ones(len(shapes), bool)
    apart[several] = shapely.is_simple(shapely.boundary(shapes[several]))
    return apart


def _needless(xy: Floats, ring: Integers, snap: float) -> NDArray[np.bool_]:
    """True for vertices that stand out less than `snap` from the longest side of the triangle with their neighbours.

    Repeated vertices, collinear ones and tips of spikes are all of this kind. Of two in a row only one is named, so
    that a finely divided curve is thinned, not lost.
    """
    if not len(ring):
        return np.zeros(0, bool)
    starts = np.flatnonzero(np.append(True, ring[1:] != ring[:-1]))
    ends = np.append(starts[1:], len(ring))
    after, before = np.arange(1, len(ring) + 1), np.arange(-1, len(ring) - 1)
    after[ends - 1], before[starts] = starts, ends - 1
    a, b = xy[before] - xy, xy[after] - xy
    longest = np.sqrt(np.maximum(np.maximum(_dot(a, a), _dot(b, b)), _dot(a - b, a - b)))
    flat = (np.abs(_cross(a, b)) < snap * longest) | (longest == 0.0)
    place = np.arange(len(ring))
    broken = np.where(flat, 0, place + 1)
    broken[starts] = np.maximum(broken[starts], starts)
    named: NDArray[np.bool_] = flat & ((place - np.maximum.accumulate(broken)) % 2 == 0)
    named[ends - 1] &= ~named[starts]
    return named


def _pack(xy: Floats, ring: Integers, part: Integers, owner: Integers, n: int) -> Rings:
    """Rings of at least three vertices and some area, outer ones counter-clockwise; parts without outer ring go."""
    counts = np.bincount(ring, minlength=len(part))
    outer = np.append(True, part[1:] != part[:-1]) if len(part) else np.zeros(0, bool)
    alive = counts >= 3
    alive &= np.isin(part, part[outer & alive])
    keep = alive[ring] if len(ring) else np.zeros(0, bool)
    offsets = np.concatenate([[0], np.cumsum(counts[alive])]).astype(np.int64)
    rings = Rings(xy[keep], offsets, part[alive], owner[part[alive]], n)
    flip = (rings.areas() > 0.0) != outer[alive]
    index = np.arange(len(rings.xy))
    turned = flip[rings.vertex_ring()]
    first, size = np.repeat(rings.ring[:-1], np.diff(rings.ring)), np.repeat(rings.ring[1:], np.diff(rings.ring))
    return replace(rings, xy=rings.xy[np.where(turned, first + size - 1 - index, index)])


def _cross(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1])
