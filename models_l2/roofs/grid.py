"""Drawn roofs brought to the grid of the outlines: rounded, noded, and checked to tile their footprints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.footprints import Rings
from models_l2.roofs.card import Drawn
from models_l2.shell import Partition

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Loose:
    """Rings of faces on the grid, in any order.

    xy       (k, 2) i8, in steps of the grid from the origin of the building
    ring     (r + 1,) i8 offsets in `xy`            face    (r,) i8, row of the plane; outer ring first, then holes
    outer    (r,) bool, False for holes
    """

    xy: Integers
    ring: Integers
    face: Integers
    outer: Bools


def on_grid(drawn: Drawn, rings: Rings, snap: float) -> tuple[Partition, Bools]:
    """The partition of the roofs that are sound, and which (n,) are not; those own no face.

    rings    of the footprints, rounded to `snap` m
    """
    corner_face = np.repeat(drawn.face, np.diff(drawn.ring))
    corner_owner = drawn.owner[corner_face]
    wanted = drawn.refused == ""
    local = drawn.xy[drawn.corner] - drawn.origin[corner_owner]
    loose = _unrepeated(np.rint(local / snap).astype(np.int64), drawn, wanted)
    bad = _unsound(loose, drawn, rings, snap) & wanted
    for row in np.flatnonzero(bad).tolist():
        loose = _noded(loose, drawn, row, local[corner_owner == row] / snap)
    if bad.any():
        bad = _unsound(loose, drawn, rings, snap) & wanted
    keep = wanted & ~bad
    return _packed(loose, drawn, keep, snap), bad


def _unrepeated(xy: Integers, drawn: Drawn, wanted: Bools) -> Loose:
    """Rings without corners that fell together, and only those with at least three left."""
    ring = np.repeat(np.arange(len(drawn.face)), np.diff(drawn.ring))
    sizes = np.diff(drawn.ring)
    before = np.arange(len(ring)) - 1
    starts = drawn.ring[:-1][sizes > 0]
    before[starts] = drawn.ring[1:][sizes > 0] - 1
    keep = (xy != xy[before]).any(axis=1)
    keep &= np.bincount(ring[keep], minlength=len(sizes))[ring] >= 3
    keep &= wanted[drawn.owner[drawn.face[ring]]]
    counts = np.bincount(ring[keep], minlength=len(sizes))
    full = counts > 0
    outer = np.append(True, drawn.face[1:] != drawn.face[:-1]) if len(drawn.face) else full
    return Loose(xy[keep], _offsets(counts[full]), drawn.face[full], outer[full])


def _unsound(loose: Loose, drawn: Drawn, rings: Rings, snap: float) -> Bools:
    """(n,) True where rings are not simple, or faces do not meet edge to edge, or do not cover the footprint, or the
    border of the whole comes twice to one place."""
    from models_l2.roofs.soundness import twice_areas

    n = rings.n
    owner = drawn.owner[loose.face]
    x, y = np.ascontiguousarray(loose.xy[:, 0]), np.ascontiguousarray(loose.xy[:, 1])
    areas = twice_areas(x, y, loose.ring)
    bad = np.bincount(owner, weights=np.where(loose.outer, areas <= 0, areas >= 0), minlength=n) > 0
    # The last way back over a face of no area leaves two borders on one another, which the borders below would miss.
    after = np.arange(1, len(x) + 1)
    after[loose.ring[1:] - 1] = loose.ring[:-1]
    length, pinched = _border(loose.xy, after, np.repeat(owner, np.diff(loose.ring)), n)
    side = rings.xy[rings.following()] - rings.xy
    outline = rings.owner[rings.vertex_ring()]
    around = np.bincount(outline, weights=np.hypot(side[:, 0], side[:, 1]), minlength=n)
    slack = snap * (4.0 + np.bincount(np.repeat(owner, np.diff(loose.ring)), minlength=n))
    area = np.bincount(rings.owner, weights=rings.areas(), minlength=n)
    covered = np.bincount(owner, weights=areas * (snap * snap / 2.0), minlength=n)
    return bad | pinched | (np.abs(length * snap - around) > slack) | (np.abs(covered - area) > snap * around)


def _border(xy: Integers, after: Integers, owner: Integers, n: int) -> tuple[Floats, Bools]:
    """(n,) length of the edges without an opposite, in steps of the grid; (n,) True where an edge is there twice.

    Also where two edges without an opposite begin at one place: a wall without thickness would stand there.
    """
    _, place = np.unique(np.column_stack([owner, xy]), axis=0, return_inverse=True)
    place = place.ravel()
    count = int(place.max(initial=0)) + 1
    forward, backward = place * count + place[after], place[after] * count + place
    known = np.sort(forward)
    found = known[np.minimum(np.searchsorted(known, backward), max(len(known) - 1, 0))] if len(known) else known
    alone = found != backward
    step = (xy[after] - xy)[alone]
    length = np.bincount(owner[alone], weights=np.hypot(step[:, 0], step[:, 1]), minlength=n)
    order = np.argsort(forward, kind="stable")
    twice = order[1:][np.diff(forward[order]) == 0]
    begun = np.bincount(place[alone], minlength=count)
    pinched = np.zeros(n, bool)
    pinched[owner[twice]] = True
    pinched[owner[begun[place] > 1]] = True
    return length, pinched


def _noded(loose: Loose, drawn: Drawn, row: int, local: Floats) -> Loose:
    """The faces of one building cut anew along all their borders after snap rounding; each piece keeps its plane.

    local    (j, 2) f8 corners of its rings, in steps of the grid from its origin
    source   snap rounding as GEOS does it (OverlayNG); pieces belong to the face that their inner point lies in
    """
    mine = drawn.owner[drawn.face] == row
    sizes = np.diff(drawn.ring)[mine]
    closed = sizes >= 3
    inside = np.repeat(closed, sizes)
    number = np.repeat(np.arange(int(closed.sum())), sizes[closed])
    lines = shapely.linearrings(local[inside], indices=number)
    shapes = shapely.make_valid(shapely.polygons(lines))
    pieces = shapely.orient_polygons(shapely.get_parts(shapely.polygonize([shapely.union_all(lines, grid_size=1.0)])))
    away = shapely.distance(shapely.point_on_surface(pieces)[:, None], shapes[None, :])
    # What lies in no face is a courtyard.
    roof = away.min(axis=1) <= 1.0
    pieces, nearest = pieces[roof], np.argmin(away[roof], axis=1)
    if not len(pieces) or (shapely.get_num_interior_rings(pieces) > 0).any():
        return loose
    xy, piece = shapely.get_coordinates(pieces, return_index=True)
    inner = np.append(piece[1:] == piece[:-1], False)
    others = drawn.owner[loose.face] != row
    kept = np.repeat(others, np.diff(loose.ring))
    sizes = np.concatenate([np.diff(loose.ring)[others], np.bincount(piece[inner], minlength=len(pieces))])
    return Loose(
        np.concatenate([loose.xy[kept], np.rint(xy[inner]).astype(np.int64)]),
        _offsets(sizes),
        np.concatenate([loose.face[others], drawn.face[mine][closed][nearest]]),
        np.concatenate([loose.outer[others], np.ones(len(pieces), bool)]),
    )


def _packed(loose: Loose, drawn: Drawn, keep: Bools, snap: float) -> Partition:
    """The rings of the buildings to keep, in their order, with faces numbered anew."""
    owner = drawn.owner[loose.face]
    order = np.argsort(owner, kind="stable")
    order = order[keep[owner[order]]]
    sizes = np.diff(loose.ring)[order]
    vertex = (
        np.repeat(loose.ring[:-1][order], sizes)
        + np.arange(int(sizes.sum()))
        - np.repeat(np.cumsum(sizes) - sizes, sizes)
    )
    owner, face = owner[order], loose.face[order]
    # Pieces of a face that was cut anew are faces of their own; holes come right behind their outer ring.
    outer = loose.outer[order]
    part = np.cumsum(outer) - 1
    base = np.rint(drawn.origin / snap).astype(np.int64)[np.repeat(owner, sizes)]
    xy = (loose.xy[vertex] + base) / (1.0 / snap)
    rings = Rings(xy, _offsets(sizes), part, owner, len(drawn.origin))
    return Partition(rings, drawn.plane[face[outer]], drawn.origin)


def _offsets(counts: Integers) -> Integers:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
