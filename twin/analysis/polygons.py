"""Are polygons with holes in space valid? Checks on whole batches, under the error numbers of val3dity.

source   val3dity 2 (Ledoux 2018): rings and polygons of ISO 19107, planar to PLANAR, points closer than SNAP are one
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.analysis.facets import Polygons, facets
from twin.meshes import Solids

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

SNAP = 0.001
PLANAR = 0.01
# How far a corner may turn out of the plane of its polygon, degrees.
TURN = 20.0

CODES: Mapping[int, str] = {
    0: "",
    101: "点数不足 / 101 TOO_FEW_POINTS: a ring of fewer than three points",
    102: "相邻点重合 / 102 CONSECUTIVE_POINTS_SAME: two points in a row are one",
    104: "环自相交 / 104 RING_SELF_INTERSECTION: a ring crosses or touches itself",
    201: "环相交 / 201 INTERSECTION_RINGS: rings cross, or share a side",
    202: "环重复 / 202 DUPLICATED_RINGS: two rings are one",
    203: "面不平 / 203 NON_PLANAR_POLYGON_DISTANCE_PLANE: a point lies off the plane",
    204: "面不平 / 204 NON_PLANAR_POLYGON_NORMALS_DEVIATION: a corner turns out of the plane",
    205: "内部不连通 / 205 POLYGON_INTERIOR_DISCONNECTED: holes part the polygon",
    206: "内环在外 / 206 INNER_RING_OUTSIDE: a hole lies outside",
    207: "内环嵌套 / 207 INNER_RINGS_NESTED: a hole lies in another",
    208: "环方向相同 / 208 ORIENTATION_RINGS_SAME: a hole turns as the outer ring does",
}

# Words of GEOS for what is wrong with a polygon whose rings are simple.
_REASONS: Mapping[str, int] = {
    "Hole lies outside shell": 206,
    "Nested holes": 207,
    "Holes are nested": 207,
    "Interior is disconnected": 205,
    "Duplicate Rings": 202,
    "Ring Self-intersection": 104,
    "Too few points in geometry component": 101,
}


def check_polygons(polygons: Polygons) -> Integers:
    """(p,) the first error number of every polygon, 0 where it is valid; CODES has the words.

    Rings are asked first, then the plane, then how rings lie to one another in it. 103 RING_NOT_CLOSED cannot be: rings
    are kept without their repeated last point.
    """
    if not len(polygons):
        return np.zeros(0, np.int64)
    points, part = polygons.points(), polygons.ring_part()[polygons.corner_ring()]
    centre, normal = _planes(points, part, len(polygons))
    flat = _projected(points - centre[part], normal[part])
    simple, result = _rings(polygons, points, flat)
    off = np.abs(((points - centre[part]) * normal[part]).sum(axis=1))
    for code, wrong in ((204, _any(part, _turned(polygons, points, normal[part]), len(polygons))),
                        (203, _any(part, ~(off <= PLANAR), len(polygons)))):  # fmt: skip
        result[(result == 0) & wrong] = code
    # 203 is told before 204, both before what follows.
    result[(result == 204) & _any(part, ~(off <= PLANAR), len(polygons))] = 203
    asked = np.flatnonzero(result == 0)
    result[asked] = _together(polygons, simple, flat, asked)
    return result


def check_faces(solids: Solids) -> Integers:
    """(b,) the first error number among the polygons that the coplanar faces of each solid make, 0 where all hold."""
    found = facets(solids, solids.vertices[solids.faces], solids.surface.astype(np.int64)).polygons
    return first_of_owner(found, check_polygons(found), len(solids))


def first_of_owner(polygons: Polygons, code: Integers, n: int) -> Integers:
    """(n,) the smallest error number among the polygons of each owner, 0 where all are valid."""
    worst = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(worst, polygons.owner, np.where(code > 0, code, np.iinfo(np.int64).max))
    return np.where(worst == np.iinfo(np.int64).max, 0, worst)


def _any(owner: Integers, wrong: Mask, n: int) -> Mask:
    return np.asarray(np.bincount(owner, weights=wrong, minlength=n) > 0)


def _planes(points: Floats, part: Integers, n: int) -> tuple[Floats, Floats]:
    """Centre (p, 3) and unit normal (p, 3) of the plane nearest to the points of each polygon (least squares)."""
    count = np.maximum(np.bincount(part, minlength=n), 1)
    local = points - points[np.minimum(np.searchsorted(part, np.arange(n)), len(points) - 1)][part]
    middle = np.stack([np.bincount(part, weights=local[:, k], minlength=n) / count for k in range(3)], axis=1)
    local = local - middle[part]
    spread = np.zeros((n, 3, 3))
    for i in range(3):
        for j in range(3):
            spread[:, i, j] = np.bincount(part, weights=local[:, i] * local[:, j], minlength=n)
    normal = np.linalg.eigh(spread)[1][:, :, 0]
    first = points[np.minimum(np.searchsorted(part, np.arange(n)), len(points) - 1)]
    return first + middle, normal


def _projected(points: Floats, normal: Floats) -> Floats:
    """(k, 2) places in the plane of the normal, in an orthonormal basis of it."""
    axis = np.where(np.abs(normal[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    east = np.cross(axis, normal)
    east /= np.maximum(np.linalg.norm(east, axis=1), 1e-300)[:, None]
    north = np.cross(normal, east)
    return np.column_stack([(points * east).sum(axis=1), (points * north).sum(axis=1)])


def _next(polygons: Polygons) -> Integers:
    """(k,) the corner after each, around its ring."""
    after = np.arange(len(polygons.corner)) + 1
    ends = polygons.ring[1:]
    held = np.diff(polygons.ring) > 0
    after[ends[held] - 1] = polygons.ring[:-1][held]
    return after


def _rings(polygons: Polygons, points: Floats, flat: Floats) -> tuple[NDArray[np.object_], Integers]:
    """(r,) rings in their planes, None for those that are none; (p,) 101, 102, 104 or 0."""
    ring, n = polygons.corner_ring(), len(polygons)
    count, of_part = np.diff(polygons.ring), polygons.ring_part()
    side = np.linalg.norm(points[_next(polygons)] - points, axis=1)
    same = _any(ring, side < SNAP * (1.0 - 1e-4), len(count))
    rings = np.full(len(count), None, dtype=object)
    usable = np.flatnonzero(count >= 3)
    kept = count[ring] >= 3
    if len(usable):
        number = np.repeat(np.arange(len(usable)), count[usable])
        rings[usable] = shapely.linearrings(flat[kept], indices=number)
    simple = np.zeros(len(count), bool)
    simple[usable] = shapely.is_simple(rings[usable])
    result = np.zeros(n, np.int64)
    for code, wrong in ((104, ~simple), (102, same), (101, count < 3)):
        result[_any(of_part, wrong, n)] = code
    return rings, result


def _turned(polygons: Polygons, points: Floats, normal: Floats) -> Mask:
    """(k,) True where the triangle at a corner turns out of the plane by more than TURN; thin ones are not asked."""
    after = _next(polygons)
    before = np.empty_like(after)
    before[after] = np.arange(len(after))
    a, b = points[after] - points, points[before] - points
    cross = np.cross(a, b)
    size = np.linalg.norm(cross, axis=1)
    longest = np.maximum.reduce([np.linalg.norm(v, axis=1) for v in (a, b, a - b)])
    tall = size > PLANAR * longest
    cosine = np.abs((cross * normal).sum(axis=1)) / np.maximum(size, 1e-300)
    return np.asarray(tall & (cosine < np.cos(np.radians(TURN))))


def _together(polygons: Polygons, rings: NDArray[np.object_], flat: Floats, asked: Integers) -> Integers:
    """(a,) how the rings of the polygons asked lie to one another: 201, 202, 205 to 208 or 0."""
    result = np.zeros(len(asked), np.int64)
    holed = np.flatnonzero(np.diff(polygons.part)[asked] > 1)
    if not len(holed):
        return result
    turn = _doubled(polygons, flat)
    for place in holed.tolist():
        first, last = polygons.part[asked[place] : asked[place] + 2].tolist()
        shape = shapely.Polygon(rings[first], rings[first + 1 : last].tolist())
        if not shapely.is_valid(shape):
            reason = shapely.is_valid_reason(shape).partition("[")[0]
            result[place] = _REASONS.get(reason, 202 if _repeated(rings[first:last]) else 201)
        elif (turn[first] * turn[first + 1 : last] > 0.0).any():
            result[place] = 208
    return result


def _repeated(rings: NDArray[np.object_]) -> bool:
    """True where two rings run through the same points."""
    whole = shapely.normalize(shapely.polygons(rings))
    return any(shapely.equals(a, b) for k, a in enumerate(whole) for b in whole[k + 1 :])


def _doubled(polygons: Polygons, flat: Floats) -> Floats:
    """(r,) doubled signed area of every ring in its plane."""
    there = flat[_next(polygons)]
    swept = flat[:, 0] * there[:, 1] - flat[:, 1] * there[:, 0]
    return np.bincount(polygons.corner_ring(), weights=swept, minlength=len(polygons.ring) - 1).astype(np.float64)
