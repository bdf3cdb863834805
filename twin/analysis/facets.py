"""Triangles that lie in one plane become one polygon with holes, and nothing between neighbours is lost.

Faces are merged by growing regions from the largest triangle on; rings follow the edges between regions, so every
corner on the border of two polygons is a corner of both, also where it lies on a straight line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twin.meshes import Solids

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

# How far a corner may lie off the plane of the largest triangle, m; with rounding to 1 mm far below 0.01 of val3dity.
FLAT = 0.003


@dataclass(frozen=True, slots=True)
class Polygons:
    """p polygons with holes in space as flat arrays.

    vertices    (n, 3) f8 m
    corner      (k,) i8, vertex of each corner, ring by ring, the first not repeated; outer rings turn left seen from
                outside, holes turn right
    ring        (r + 1,) i8; the corners of ring i are ring[i] .. ring[i + 1]
    part        (p + 1,) i8; the rings of polygon i are part[i] .. part[i + 1], the outer ring first
    owner       (p,) i8, solid or object that each belongs to, ascending
    """

    vertices: Floats
    corner: Integers
    ring: Integers
    part: Integers
    owner: Integers

    def __len__(self) -> int:
        return len(self.owner)

    def points(self) -> Floats:
        """(k, 3) f8 place of every corner."""
        return self.vertices[self.corner]

    def corner_ring(self) -> Integers:
        """(k,) ring of each corner."""
        return np.repeat(np.arange(len(self.ring) - 1), np.diff(self.ring))

    def ring_part(self) -> Integers:
        """(r,) polygon of each ring."""
        return np.repeat(np.arange(len(self)), np.diff(self.part))


@dataclass(frozen=True, slots=True)
class Facets:
    """The polygons of a batch of solids, and what triangles they come from.

    face    (p,) i8, the largest triangle of each
    side    (k,) i8, the triangle side 3 * face + number that begins at each corner
    """

    polygons: Polygons
    face: Integers
    side: Integers


def welded(solids: Solids, scale: float, origin: Floats) -> tuple[Solids, Integers]:
    """The solids with corners on a grid, equal ones made one; and (m,) the face that each of the faces was.

    scale       spacing of the grid, m
    origin      (3,) m, a point of the grid
    returns     vertices are whole multiples of `scale`, from `origin`; faces that shrink to a line or point are gone
    """
    grid = np.rint((solids.vertices - origin) / scale)
    table = np.column_stack([solids.vertex_owner().astype(np.float64), grid])
    vertices, place = np.unique(table, axis=0, return_inverse=True)
    faces = place.reshape(-1)[solids.faces].astype(np.int64)
    a, b, c = faces.T
    kept = np.flatnonzero((a != b) & (b != c) & (c != a))
    owner = vertices[:, 0].astype(np.int64)
    return (
        replace(
            solids,
            vertices=vertices[:, 1:],
            faces=faces[kept].astype(np.int32),
            surface=solids.surface[kept],
            material=solids.material[kept],
            skin=None if solids.skin is None else solids.skin.take(kept),
            vertex_offset=_offsets(owner, len(solids)),
            face_offset=_offsets(solids.face_owner()[kept], len(solids)),
        ),
        kept,
    )


def facets(solids: Solids, corners: Floats, label: Integers, seam: NDArray[np.bool_] | None = None) -> Facets:
    """Polygons of the faces of solids that lie in one plane and have one label.

    corners     (m, 3, 3) f8 m, where the corners of the faces really are: the vertices may have been rounded
    label       (m,) what must be equal within a polygon, such as its surface and its material
    seam        (m, 3) sides that part polygons all the same
    """
    twin = sides_paired(solids)
    if seam is not None:
        twin = np.where(seam.reshape(-1), -1, twin)
        twin = np.where((twin >= 0) & seam.reshape(-1)[twin], -1, twin)
    first = corners - corners[:, :1]
    normal = np.cross(first[:, 1], first[:, 2]) if len(first) else np.zeros((0, 3))
    size = np.linalg.norm(normal, axis=1)
    normal = normal / np.maximum(size, 1e-300)[:, None]
    order = np.argsort(-size, kind="stable")
    region = _grow(order, twin, corners, normal, size, label)
    faces = solids.faces.astype(np.int64)
    side, ends, of_face = _rings(twin, region, faces, len(solids.vertices))
    return _assembled(solids, _Traced(side, ends, region[of_face]), region, normal, corners)


@dataclass(frozen=True, slots=True)
class _Traced:
    """Rings as they were traced: sides (k,), end of each ring (r,), and the region (r,) that each borders."""

    side: Integers
    ends: Integers
    region: Integers


def sides_paired(solids: Solids) -> Integers:
    """(3m,) the opposite of each triangle side, -1 where there is none or several claim it."""
    start = solids.faces.reshape(-1).astype(np.int64)
    end = np.roll(solids.faces, -1, axis=1).reshape(-1).astype(np.int64)
    n = max(len(solids.vertices), 1)
    forward, backward = start * n + end, end * n + start
    if not len(forward):
        return np.zeros(0, np.int64)
    order = np.argsort(forward, kind="stable")
    ordered = forward[order]
    place = np.searchsorted(ordered, backward)
    there = ordered[np.minimum(place, len(ordered) - 1)] == backward
    once = np.searchsorted(ordered, backward, "right") - place == 1
    twin = np.where(there & once, order[np.minimum(place, len(ordered) - 1)], -1)
    return np.where((twin >= 0) & (twin[twin] == np.arange(len(twin))), twin, -1)


def _offsets(owner: Integers, n: int) -> Integers:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))]).astype(np.int64)


@njit(cache=True)
def _grow(order: Any, twin: Any, corners: Any, normal: Any, size: Any, label: Any) -> Any:
    """(m,) for each face the seed of its region: the largest face of it."""
    region = np.full(len(order), -1, np.int64)
    stack = np.empty(len(order), np.int64)
    for seed in order:
        if region[seed] >= 0:
            continue
        region[seed], stack[0], top = seed, seed, 1
        while top > 0:
            top -= 1
            face = stack[top]
            for k in range(3):
                other = twin[3 * face + k]
                if other < 0:
                    continue
                other //= 3
                if region[other] < 0 and label[other] == label[seed] and _flush(other, seed, corners, normal, size):
                    region[other] = seed
                    stack[top] = other
                    top += 1
    return region


@njit(cache=True)
def _flush(face: int, seed: int, corners: Any, normal: Any, size: Any) -> bool:
    """True where a face lies in the plane of the seed and looks the same way; one without height looks any way."""
    if size[seed] < 1e-12:
        return False
    up, longest = normal[seed], 0.0
    for k in range(3):
        if abs(((corners[face, k] - corners[seed, 0]) * up).sum()) > FLAT:
            return False
        side = corners[face, (k + 1) % 3] - corners[face, k]
        longest = max(longest, np.sqrt((side * side).sum()))
    return size[face] <= FLAT * longest or (normal[face] * up).sum() > 0.5


@njit(cache=True)
def _is_border(side: int, twin: Any, region: Any) -> bool:
    return twin[side] < 0 or region[twin[side] // 3] != region[side // 3]


@njit(cache=True)
def _onward(side: int, twin: Any, region: Any) -> int:
    """The next border side of the region, without leaving the fan of faces around the corner between."""
    on = side - side % 3 + (side + 1) % 3
    while not _is_border(on, twin, region):
        on = twin[on]
        on = on - on % 3 + (on + 1) % 3
    return on


@njit(cache=True)
def _rings(twin: Any, region: Any, faces: Any, n: int) -> Any:
    """Sides in the order of rings (k,), end of every ring (r,), and a face that each lies along (r,).

    A walk that comes to a corner twice is cut there, so that no ring touches itself.
    """
    total = len(twin)
    done = np.zeros(total, np.bool_)
    place = np.full(n, -1, np.int64)
    stack, side = np.empty(total, np.int64), np.empty(total, np.int64)
    ends, of_face = np.empty(total, np.int64), np.empty(total, np.int64)
    filled, rings, top = 0, 0, 0
    for start in range(total):
        if done[start] or not _is_border(start, twin, region):
            continue
        here = start
        while not done[here]:
            done[here] = True
            stack[top] = here
            place[faces[here // 3, here % 3]] = top
            top += 1
            here = _onward(here, twin, region)
            low = place[faces[here // 3, here % 3]]
            if low >= 0:
                for k in range(low, top):
                    side[filled] = stack[k]
                    filled += 1
                    place[faces[stack[k] // 3, stack[k] % 3]] = -1
                ends[rings], of_face[rings] = filled, start // 3
                rings += 1
                top = low
    return side[:filled], ends[:rings], of_face[:rings]


def _assembled(solids: Solids, traced: _Traced, region: Integers, normal: Floats, corners: Floats) -> Facets:
    """Outer ring first, then holes; a region that is no polygon with one outer ring stays the triangles it was."""
    m = len(region)
    counts = np.diff(traced.ends, prepend=0)
    ring_of = np.repeat(np.arange(len(counts)), counts)
    turn = np.bincount(ring_of, weights=_swept(traced, ring_of, normal, corners), minlength=len(counts))
    outer = np.bincount(traced.region, weights=turn > 0.0, minlength=m)
    short = np.bincount(traced.region, weights=counts < 3, minlength=m)
    broken = (outer != 1) | (short > 0)
    whole = np.flatnonzero(~broken[traced.region])
    loose = np.flatnonzero(broken[region])
    # Rings of whole regions, then triangles by themselves; sorted by the seed, outer rings before holes.
    seed = np.concatenate([traced.region[whole], loose])
    hole = np.concatenate([turn[whole] <= 0.0, np.zeros(len(loose), bool)])
    start = np.concatenate([traced.ends[whole] - counts[whole], len(traced.side) + 3 * np.arange(len(loose))])
    length = np.concatenate([counts[whole], np.full(len(loose), 3)]).astype(np.int64)
    sides = np.concatenate([traced.side, (3 * loose[:, None] + np.arange(3)).reshape(-1)])
    order = np.lexsort((hole, seed))
    seed, start, length = seed[order], start[order], length[order]
    ring = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    at = np.arange(ring[-1]) + np.repeat(start - ring[:-1], length)
    side = sides[at.astype(np.int64)]
    first = np.flatnonzero(np.diff(seed, prepend=-1) != 0)
    face = seed[first]
    part = np.append(first, len(seed)).astype(np.int64)
    polygons = Polygons(
        solids.vertices, solids.faces.reshape(-1)[side].astype(np.int64), ring, part, solids.face_owner()[face]
    )
    return Facets(polygons, face, side)


def _swept(traced: _Traced, ring_of: Integers, normal: Floats, corners: Floats) -> Floats:
    """(k,) share of each side in the doubled area of its ring, seen against the normal of the region."""
    side = traced.side
    if not len(side):
        return np.zeros(0)
    begin = corners.reshape(-1, 3)[side]
    end = corners.reshape(-1, 3)[side - side % 3 + (side + 1) % 3]
    base = begin[(traced.ends - np.diff(traced.ends, prepend=0))[ring_of]]
    up = normal[traced.region[ring_of]]
    return np.asarray((np.cross(begin - base, end - base) * up).sum(axis=1))
