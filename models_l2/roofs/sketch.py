"""Roof faces in plan before they have heights: the skeleton, with ends turned to gables and faces cut at a level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models_l2.footprints import Rings
from models_l2.roofs.skeleton import straight_skeleton

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Interior angles at both ends of a gable wall, degrees, and the least distance of its ridge from them as a share.
GABLE_ANGLES = (30.0, 105.0)
GABLE_MARGIN = 0.1
# m; nodes nearer to a level than this lie on it: what would be cut off is narrower than the grid can show.
LEVEL = 0.002
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Sketch:
    """Faces in plan, each leaning on the line of one outline edge.

    rings    rings of the n buildings
    xy       (m, 2) f8 frame m, nodes                    run     (m,) f8 m, how far in from the eaves a node lies
    corner   (k,) i8 nodes of the faces                  ring    (f + 1,) i8, offsets of the faces in `corner`
    edge     (f,) i8 outline edge of each face           upper   (f,) bool, above the break of a mansard
    lift     (f,) f8 m, run at the edge itself: 0, or where a half-hip starts
    code     (n,) i8 of the skeleton
    """

    rings: Rings
    xy: Floats
    run: Floats
    corner: Integers
    ring: Integers
    edge: Integers
    upper: Bools
    lift: Floats
    code: Integers

    def face_of(self) -> Integers:
        """(k,) face of every corner."""
        return np.repeat(np.arange(len(self.edge)), np.diff(self.ring))

    def owner(self) -> Integers:
        """(f,) building of every face."""
        return self.rings.owner[self.rings.vertex_ring()[self.edge]]

    def reach(self) -> Floats:
        """(n,) f8 m, the largest run of each building; 0 where it has no faces."""
        reach = np.zeros(self.rings.n)
        np.maximum.at(reach, self.owner()[self.face_of()], self.run[self.corner])
        return reach


@dataclass(frozen=True, slots=True)
class Ends:
    """Hip ends (g,) that may be gables.

    edge    outline edge                      before, after   edges beside it
    a, b    nodes of the edge                 c               node at the top
    middle  (g, 2) f8 m, where the ridge meets the edge       run   (g,) f8 m at that place
    """

    edge: Integers
    before: Integers
    after: Integers
    a: Integers
    b: Integers
    c: Integers
    middle: Floats
    run: Floats


def sketch_of(rings: Rings) -> Sketch:
    """The straight skeleton of every building, one face an edge."""
    found = straight_skeleton(rings)
    n = len(rings.xy)
    return Sketch(
        rings, found.xy, found.run, found.corner, found.ring, np.arange(n), np.zeros(n, bool), np.zeros(n), found.code
    )


def ends_of(sketch: Sketch, direction: Floats) -> Ends:
    """Hip ends that can be gables, no two of them neighbours; those across the ridge direction come first.

    direction   (n,) f8 rad, of the ridge, from the x axis to the left
    """
    rings = sketch.rings
    following = rings.following()
    before = np.empty_like(following)
    before[following] = np.arange(len(following))
    step = rings.xy[following] - rings.xy
    length = np.hypot(step[:, 0], step[:, 1])
    unit = step / length[:, None]
    angle = np.degrees(np.arctan2(_cross(unit[before], unit), (unit[before] * unit).sum(axis=1)))
    inner = 180.0 - angle
    fits = (inner >= GABLE_ANGLES[0]) & (inner <= GABLE_ANGLES[1])
    share, run = _middle(rings, before, following, unit)
    can = (np.diff(sketch.ring) == 3) & fits & fits[following]
    can &= (share >= GABLE_MARGIN) & (share <= 1.0 - GABLE_MARGIN)
    owner = rings.owner[rings.vertex_ring()]
    along = np.column_stack([np.cos(direction), np.sin(direction)])[owner]
    rank = np.round(np.abs((unit * along).sum(axis=1)), 3)
    edge = np.flatnonzero(_apart(can, rank, before, following))
    top = sketch.ring[edge]
    return Ends(
        edge,
        before[edge],
        following[edge],
        *(sketch.corner[top + k] for k in range(3)),
        rings.xy[edge] + share[edge, None] * step[edge],
        run[edge],
    )


def gabled(sketch: Sketch, ends: Ends) -> Sketch:
    """Ends as vertical walls: the faces beside them meet on a ridge that goes out to the wall."""
    wider, m = _added(sketch, ends.middle, ends.run)
    return _rewritten(wider, ends, [m], [m], [])


def half_hipped(sketch: Sketch, ends: Ends, share: float) -> Sketch:
    """Ends as walls up to a share of the ridge's height at the wall, hips from there on."""
    a, b, c = (sketch.xy[k] for k in (ends.a, ends.b, ends.c))
    low = share * ends.run
    wider, foot_a = _added(sketch, a + share * (ends.middle - a), low)
    wider, foot_b = _added(wider, b + share * (ends.middle - b), low)
    top_run = sketch.run[ends.c] + share * (ends.run - sketch.run[ends.c])
    wider, top = _added(wider, c + share * (ends.middle - c), top_run)
    new = _rewritten(wider, ends, [foot_a, top], [top, foot_b], [foot_a, foot_b, top])
    lift = new.lift.copy()
    lift[ends.edge] = low
    return replace(new, lift=lift)


def hip_and_gable(sketch: Sketch, ends: Ends, share: float) -> Sketch:
    """Ends as hips up to a share of their height, and a gable wall above, standing inside the outline."""
    a, b, c = (sketch.xy[k] for k in (ends.a, ends.b, ends.c))
    height = sketch.run[ends.c]
    wider, left = _added(sketch, a + share * (c - a), share * height)
    wider, right = _added(wider, b + share * (c - b), share * height)
    wider, m = _added(wider, ends.middle + share * (c - ends.middle), ends.run + share * (height - ends.run))
    return _rewritten(wider, ends, [left, m], [m, right], [ends.a, ends.b, right, m, left])


def cut(sketch: Sketch, level: Floats) -> Sketch:
    """Every face cut where its run is `level` (n,) m of its building; the parts above are new faces."""
    face, corner = sketch.face_of(), sketch.corner
    after = np.arange(1, len(corner) + 1)
    full = np.diff(sketch.ring) > 0
    after[sketch.ring[1:][full] - 1] = sketch.ring[:-1][full]
    limit = level[sketch.owner()[face]]
    above = sketch.run[corner] > limit + LEVEL
    crossed = np.flatnonzero(above != above[after])
    wider, node = _crossings(sketch, corner[crossed], corner[after[crossed]], limit[crossed])
    rising = ~above[crossed]
    run_id = np.zeros(len(corner), np.int64)
    run_id[after[crossed[rising]]] = 1
    run_id = np.cumsum(run_id) - 1
    faces = len(sketch.edge)
    piece = np.where(rising, run_id[after[crossed]], run_id[crossed])
    place = np.arange(len(corner)) * 2
    keys = (
        (face[~above], place[~above], corner[~above]),
        (face[crossed], place[crossed] + 1, node),
        (faces + run_id[above], place[above], corner[above]),
        (faces + piece, place[crossed] + 1, node),
    )
    base = face[after[crossed[rising]]]
    whole = replace(
        wider,
        edge=np.concatenate([sketch.edge, sketch.edge[base]]),
        upper=np.concatenate([sketch.upper, np.ones(len(base), bool)]),
        lift=np.concatenate([sketch.lift, sketch.lift[base]]),
    )
    return _sorted(whole, keys)


def _crossings(sketch: Sketch, start: Integers, end: Integers, level: Floats) -> tuple[Sketch, Integers]:
    """Nodes on the sides from start to end (x,) where the run is `level`, one for both faces of a side."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    pairs, first, of = np.unique(np.column_stack([low, high]), axis=0, return_index=True, return_inverse=True)
    low, high, level = pairs[:, 0], pairs[:, 1], level[first]
    share = (level - sketch.run[low]) / (sketch.run[high] - sketch.run[low])
    xy = sketch.xy[low] + share[:, None] * (sketch.xy[high] - sketch.xy[low])
    wider, node = _added(sketch, xy, level)
    for end_of in (low, high):
        node = np.where(np.abs(sketch.run[end_of] - level) <= LEVEL, end_of, node)
    return wider, node[of.ravel()]


def _middle(rings: Rings, before: Integers, following: Integers, unit: Floats) -> tuple[Floats, Floats]:
    """(e,) share of each edge, and distance in m, at which the edges before and after it are equally far."""
    step = rings.xy[following] - rings.xy
    to_before, to_after = _cross(unit[before], step), _cross(unit[following], -step)
    both = to_before + to_after
    share = np.divide(to_after, both, out=np.zeros(len(both)), where=both > _SAME)
    return share, share * to_before


def _apart(can: Bools, rank: Floats, before: Integers, following: Integers) -> Bools:
    """Of edges that can, those taken one by one in the order of rank, without neighbours."""
    order = np.lexsort((np.arange(len(rank)), rank))
    place = np.empty(len(rank), np.int64)
    place[order] = np.arange(len(rank))
    taken = np.zeros(len(can), bool)
    left = can.copy()
    while left.any():
        best = left & ~(left[before] & (place[before] < place)) & ~(left[following] & (place[following] < place))
        taken |= best
        left &= ~(best | best[before] | best[following])
    return taken


def _added(sketch: Sketch, xy: Floats, run: Floats) -> tuple[Sketch, Integers]:
    number = len(sketch.xy) + np.arange(len(xy))
    return replace(sketch, xy=np.concatenate([sketch.xy, xy]), run=np.concatenate([sketch.run, run])), number


def _rewritten(sketch: Sketch, ends: Ends, left: list[Integers], right: list[Integers], own: list[Integers]) -> Sketch:
    """Ends with other corners; the face before each gets `left` after its edge, the one after it `right` at its end."""
    face = sketch.face_of()
    place = 8 * (np.arange(len(face)) - sketch.ring[face])
    last = 8 * int(np.diff(sketch.ring).max(initial=0))
    kept = ~np.isin(face, ends.edge)
    keys = [(face[kept], place[kept], sketch.corner[kept])]
    for which, start, nodes in ((ends.before, 9, left), (ends.after, last, right), (ends.edge, 0, own)):
        keys += [(which, np.full(len(which), start + k), node) for k, node in enumerate(nodes)]
    return _sorted(sketch, keys)


def _sorted(sketch: Sketch, keys: tuple | list) -> Sketch:
    """The sketch with corners given as groups of (face, place in the face, node)."""
    face, place, node = (np.concatenate(column) for column in zip(*keys, strict=True))
    order = np.lexsort((place, face))
    counts = np.bincount(face, minlength=len(sketch.edge))
    ring = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return replace(sketch, corner=node[order], ring=ring)


def _cross(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
