"""Prisms: every footprint raised to its roof height as a closed, outward-facing solid, the whole batch at once."""

from __future__ import annotations

import manifold3d
import numpy as np
from numpy.typing import NDArray

from models_l2.footprints import Rings
from twin.features import Objects
from twin.frames import Frame
from twin.meshes import Solids, Surface

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOD = 12


def extrude(rings: Rings, base: Floats, roof: Floats, oid: Objects, frame: Frame) -> Solids:
    """One closed prism per building, whose walls share their vertices with ground and roof.

    rings     cleaned rings of n buildings; each needs at least one
    base      (n,) f8 m, height of the level ground surface
    roof      (n,) f8 m, height of the level roof surface, above base
    oid       (n,) identifiers in the order of the rings' owners
    returns   Solids with n solids, lod 12; per solid: bottom vertices, top vertices; ground, wall, roof faces
    source    solid and shell rules of ISO 19107; surfaces as in CityJSON 2.0 (GroundSurface, WallSurface, RoofSurface)
    """
    ring_of = rings.vertex_ring()
    owner = rings.owner[ring_of]
    per_building = np.bincount(owner, minlength=rings.n).astype(np.int64)
    before = np.concatenate([[0], np.cumsum(per_building)]).astype(np.int64)
    bottom = np.arange(len(owner)) + before[owner]
    top = bottom + per_building[owner]
    vertices = np.empty((2 * len(owner), 3))
    vertices[bottom] = np.column_stack([rings.xy, base[owner]])
    vertices[top] = np.column_stack([rings.xy, roof[owner]])

    after = rings.following()
    caps = triangulate(rings)
    cap_owner = owner[caps[:, 0]] if len(caps) else np.zeros(0, np.int64)
    groups = (
        (bottom[caps[:, ::-1]], cap_owner, Surface.GROUND),
        (np.column_stack([bottom, bottom[after], top[after]]), owner, Surface.WALL),
        (np.column_stack([bottom, top[after], top]), owner, Surface.WALL),
        (top[caps], cap_owner, Surface.ROOF),
    )
    faces = np.concatenate([group[0] for group in groups])
    surface = np.concatenate([np.full(len(group[0]), group[2], np.uint8) for group in groups])
    belongs = np.concatenate([group[1] for group in groups])
    order = np.argsort(belongs * 4 + surface, kind="stable")
    counts = np.bincount(belongs, minlength=rings.n)
    return Solids(
        frame=frame,
        oid=oid,
        vertices=vertices,
        faces=faces[order].astype(np.int32),
        surface=surface[order],
        vertex_offset=2 * before,
        face_offset=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        lod=np.full(rings.n, LOD, np.uint8),
        material=np.zeros(len(faces), np.uint8),
    )


def triangulate(rings: Rings) -> Integers:
    """Triangles (t, 3) i8 of vertex indices that fill every part of the rings, counter-clockwise, sorted by part.

    Every vertex is used and no new one is made, so that the triangles meet the walls edge to edge.

    source   convex parts as fans; others by ear clipping with a guaranteed manifold result (manifold3d)
    """
    first_ring = np.flatnonzero(np.append(True, rings.part[1:] != rings.part[:-1])) if len(rings.part) else np.zeros(0)
    first_ring = first_ring.astype(np.int64)
    start = rings.ring[first_ring]
    end = rings.ring[np.append(first_ring[1:], len(rings.part))] if len(first_ring) else start
    single = np.diff(np.append(first_ring, len(rings.part))) == 1
    fan = single & _is_convex(rings)[first_ring]
    triangles = [_fans(start[fan], end[fan] - start[fan])]
    parts = [np.repeat(np.flatnonzero(fan), np.maximum(end[fan] - start[fan] - 2, 0))]
    rest = np.flatnonzero(~fan)
    clipped, sizes = _clipped(rings, start[rest], first_ring[rest], np.append(first_ring[1:], len(rings.part))[rest])
    triangles.append(clipped + np.repeat(start[rest], sizes)[:, None])
    parts.append(np.repeat(rest, sizes))
    order = np.argsort(np.concatenate(parts), kind="stable")
    return np.asarray(np.concatenate(triangles)[order])


def _clipped(rings: Rings, start: Integers, first: Integers, last: Integers) -> tuple[Integers, Integers]:
    """Triangles (t, 3) of parts with rings first .. last, counted from their first vertex; how many each has (p,)."""
    xy, ring = rings.xy, rings.ring.tolist()
    found = [np.zeros((0, 3), np.int32)]
    for origin, i, j in zip(xy[start], first.tolist(), last.tolist(), strict=True):
        found.append(manifold3d.triangulate([xy[ring[k] : ring[k + 1]] - origin for k in range(i, j)]))
    return np.concatenate(found).astype(np.int64), np.array([len(part) for part in found[1:]], dtype=np.int64)


def _is_convex(rings: Rings) -> NDArray[np.bool_]:
    """(r,) True for rings that turn left at every vertex, and once around in all."""
    if not len(rings.part):
        return np.zeros(0, bool)
    after = rings.following()
    edge = rings.xy[after] - rings.xy
    turn = edge[:, 0] * edge[after, 1] - edge[:, 1] * edge[after, 0]
    left = np.logical_and.reduceat(turn > 0.0, rings.ring[:-1])
    upward = (edge[:, 1] > 0.0) | ((edge[:, 1] == 0.0) & (edge[:, 0] > 0.0))
    flips = np.add.reduceat((upward != upward[after]).astype(np.int64), rings.ring[:-1])
    return np.asarray(left & (flips == 2))


def _fans(start: Integers, size: Integers) -> Integers:
    """Fans (t, 3) over convex rings that begin at `start` and have `size` vertices."""
    count = np.maximum(size - 2, 0)
    first = np.repeat(start, count)
    step = np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
    return np.column_stack([first, first + step + 1, first + step + 2])
