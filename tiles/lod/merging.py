"""Blocks of neighbours: what stands close together and is of a height becomes one block.

source  closing of plane sets (dilation and erosion of mathematical morphology, Serra 1982), as in the generalisation of
        built-up areas
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.lod.blocks import Blocks, join
from twin.features import Objects

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_PROUD = 3.0
"""A block this many tolerances high is a landmark of its neighbourhood and is not merged."""

_SKYLINE, _OF = 100, 15
"""So many of the highest, and no more than one of so many, are never merged."""

_LOW = 10.0
"""m: roofs up to here become one from afar, whatever the storeys below."""

_SURE = 10.0
"""m: parts that lie this far apart tell as much of the slope that they stand on as what they were made of."""

_HIDDEN = 0.25
"""A block that would rise by less than this share of its height is level: corners of many heights take more bytes."""

_MITRE = 1.5
"""Corners grow out by this many reaches at most: right angles stay sharp, sharper ones are cut."""

_FAR = 1.0
"""Outlines further from their parts than this many tolerances are not taken."""

_FURTHER = (1.0, 1.25, 2.0)
"""Reaches of parts that are tried until one holds their outline, in tolerances, after that of closing."""

_CLOSELY, _NEARER = 60.0, (0.25, 0.5)
"""From this tolerance on, m, there are few blocks and distances are measured closely: reaches that are tried before."""


def merge(blocks: Blocks, tolerance: float) -> tuple[Blocks, float]:
    """Fewer blocks for the same city, and the height in m of the highest that is left out.

    tolerance   m. Gaps up to it are closed, outlines may move half of it, roofs within it become one; what is neither
                higher nor wider is left out, unless something of its height stands beside it
    returns     blocks sorted by place; `error` is measured
    """
    proud = standing_out(blocks, tolerance)
    merged, _, lost = merge_patches(blocks, np.zeros(len(blocks), np.int64), proud, tolerance)
    return merged, float(lost.max(initial=0.0))


def merge_patches(
    blocks: Blocks, patch: Integers, proud: NDArray[np.bool_], tolerance: float
) -> tuple[Blocks, Integers, Floats]:
    """What `merge` makes of the blocks of each patch by themselves, all of them at once.

    patch       (n,) number of the patch of each, 0 to p - 1        proud   (n,) those that stay alone
    returns     blocks sorted by patch and place, (k,) the patch of each, (p,) m, the highest that each leaves out
    """
    count = int(patch.max(initial=-1)) + 1
    lost = np.zeros(count)
    if not len(blocks):
        return blocks, patch, lost
    parts = [(_alone(blocks.take(proud), tolerance), patch[proud])]
    crowd, of = blocks.take(~proud), patch[~proud]
    if len(crowd):
        found = _merged(crowd, _levels(crowd, of, tolerance), tolerance)
        parts += [(made, of[first]) for made, first in found[:-1]]
        np.maximum.at(lost, of[found[-1][1]], found[-1][0].height)
    whole, owner = join([made for made, _ in parts]), np.concatenate([of for _, of in parts])
    order = np.lexsort((whole.oid.astype(str), whole.middle[:, 0], whole.middle[:, 1], owner))
    return whole.take(order), owner[order], lost


def standing_out(blocks: Blocks, tolerance: float) -> NDArray[np.bool_]:
    """(n,) True for what stands out of its neighbourhood, and for the few highest of all: they are the skyline."""
    height = np.where(blocks.members == 1, blocks.height, 0.0)
    highest = np.lexsort((blocks.oid.astype(str), -height))[: min(_SKYLINE, len(blocks) // _OF)]
    proud = (blocks.height > _PROUD * tolerance) | (blocks.landmark & (blocks.height > tolerance))
    proud[highest[height[highest] > 0.0]] = True
    return proud


def fewest(blocks: Blocks, patch: Integers, proud: NDArray[np.bool_], tolerance: float) -> int:
    """About how many blocks `merge_patches` leaves at least: what stays alone, and what no gap up to the tolerance
    joins.

    Gaps are those between boxes around the outlines, which are never wider than those between the outlines.
    """
    from tiles.lod import kernels

    crowd = blocks.take(~proud)
    if not len(crowd):
        return len(blocks)
    level = _levels(crowd, patch[~proud], tolerance)
    boxes = shapely.bounds(crowd.outline)
    order = np.argsort(boxes[:, 0], kind="stable")
    group = np.empty(len(crowd), np.int64)
    group[order] = kernels.together(boxes[order], level[order], tolerance)
    count = int(group.max()) + 1
    stays = (crowd.height > tolerance) | (crowd.area > tolerance**2)
    return int(proud.sum()) + int((np.bincount(group[stays], minlength=count) > 0).sum())


def _levels(crowd: Blocks, patch: Integers, tolerance: float) -> Integers:
    """(n,) what may become one: a number for the storeys of each patch.

    Steps are as high as the tolerance and no higher than what they begin at, so that low quarters, high ones and towers
    stay apart from however far away. What L3 shows is hidden as one and must not take its neighbours with it.
    """
    shown = crowd.columns.get("has_l3", np.zeros(len(crowd), bool)).astype(bool)
    height, low = np.maximum(crowd.height, 0.0), min(tolerance, _LOW)
    above = np.log(np.clip(height, low, tolerance) / low) + np.maximum(height - tolerance, 0.0) / tolerance
    step = 2 * np.floor(np.minimum(height / low, 1.0) + above).astype(np.int64) + shown
    return patch * (int(step.max(initial=0)) + 1) + step


def _alone(blocks: Blocks, tolerance: float) -> Blocks:
    """The same blocks, one by one, with outlines simplified by a quarter of the tolerance."""
    outline = _simpler(blocks.outline, 0.25 * tolerance)
    moved = shapely.hausdorff_distance(blocks.outline, outline)
    return replace(blocks, outline=outline, across=blocks.across + moved)


def _simpler(outline: Objects, tolerance: float) -> Objects:
    simple = shapely.simplify(outline, tolerance, preserve_topology=True)
    broken = shapely.is_empty(simple) | ~shapely.is_valid(simple)
    simple[broken] = outline[broken]
    return simple


def _merged(blocks: Blocks, level: Integers, tolerance: float) -> list[tuple[Blocks, Integers]]:
    """Blocks of one level of roofs closed together, each with a row of `blocks` that it is made of; those that are left
    out come last."""
    reach = 0.5 * tolerance
    group = np.unique(level, return_inverse=True)[1]
    wide = _united(shapely.buffer(blocks.outline, reach, join_style="mitre", mitre_limit=_MITRE), group)
    closed = shapely.buffer(wide, -reach, join_style="mitre", mitre_limit=_MITRE)
    outline, of = _shapes(closed, tolerance)
    home = _homes(blocks, group, outline, of)
    stray = home < 0
    high = stray & (blocks.height > tolerance)
    found = [(_alone(blocks.take(high), tolerance), np.flatnonzero(high))]
    if not stray.all():
        named = np.unique(home[~stray])
        outline, of = outline[named], of[named]
        rows = np.flatnonzero(~stray)
        there, at = blocks.take(rows), np.searchsorted(named, home[rows])
        filled = _filled(there.outline, at, outline, wide[of], tolerance)
        across = np.maximum(_beyond(there.outline, outline, at, tolerance), filled)
        made, first = _of(there, at, outline, across)
        # Better many blocks than one that is far off: their tile would be refined for it from afar.
        far = (across > _FAR * tolerance) & (made.members > 1)
        found += [(_alone(there.take(far[at]), tolerance), rows[far[at]]), (made.take(~far), rows[first[~far]])]
    gone = stray & ~high
    return [*found, (blocks.take(gone), np.flatnonzero(gone))]


def _united(shapes: Objects, group: Integers) -> Objects:
    """(g,) the union of the shapes of each group 0 to g - 1; none is empty."""
    order = np.argsort(group, kind="stable")
    return shapely.union_all(shapely.geometrycollections(shapes[order], indices=group[order])[:, None], axis=1)


def _shapes(closed: Objects, tolerance: float) -> tuple[Objects, Integers]:
    """Parts of closed shapes (g,), simpler, without small holes, and the shape of each; those too small to be seen
    left out."""
    parts, of = shapely.get_parts(closed, return_index=True)
    simple, part = shapely.get_parts(_simpler(parts, 0.5 * tolerance), return_index=True)
    seen = shapely.area(simple) > 0.25 * tolerance**2
    simple, of = simple[seen], of[part[seen]]
    rings, owner = shapely.get_rings(simple, return_index=True)
    outer = np.append(True, owner[1:] != owner[:-1]) if len(owner) else np.zeros(0, bool)
    wide = ~outer & (shapely.area(shapely.polygons(rings)) > 4.0 * tolerance**2)
    result = np.empty(len(simple), dtype=object)
    result[:] = shapely.polygons(rings[outer])
    begins = np.append(np.flatnonzero(outer), len(rings))
    for row in np.unique(owner[wide]).tolist():
        mine = slice(begins[row], begins[row + 1])
        result[row] = shapely.Polygon(rings[begins[row]], rings[mine][wide[mine]].tolist())
    return result, of


def _homes(blocks: Blocks, group: Integers, outline: Objects, of: Integers) -> Integers:
    """(n,) the outline that each block went into: the first of its group that holds a point of it, else that meets it.

    group   (n,) of each block      of  (k,) group of each outline
    """
    home = np.full(len(blocks), -1, np.int64)
    if not len(outline):
        return home
    tree = shapely.STRtree(outline)
    for shapes in (shapely.point_on_surface(blocks.outline), blocks.outline):
        asked = np.flatnonzero(home < 0)
        row, place = tree.query(shapes[asked], predicate="intersects")
        own = group[asked[row]] == of[place]
        row, place = row[own], place[own]
        order = np.argsort(-place, kind="stable")
        # Later entries win, so that the first outline is taken, in whatever order the tree tells them.
        home[asked[row[order]]] = place[order]
    return home


def _beyond(parts: Objects, outline: Objects, home: Integers, tolerance: float) -> Floats:
    """(k,) m: no point of a part lies further outside its outline.

    A distance rises by no more than the way gone, so half the spacing of the points that are tried covers the others.
    """
    shapely.prepare(outline)
    out = np.flatnonzero(~shapely.covers(outline[home], parts))
    found = np.zeros(len(outline))
    if len(out):
        spacing = (0.125 if tolerance >= _CLOSELY else 0.5) * tolerance
        xy, owner = shapely.get_coordinates(shapely.segmentize(parts[out], spacing), return_index=True)
        to = home[out][owner]
        found[np.unique(to)] = 0.5 * spacing
        outside = ~shapely.contains_xy(outline[to], xy)
        to = to[outside]
        np.maximum.at(found, to, shapely.distance(outline[to], shapely.points(xy[outside])) + 0.5 * spacing)
    return found


def _filled(parts: Objects, home: Integers, outline: Objects, wide: Objects, tolerance: float) -> Floats:
    """(k,) m: no point of an outline is further from the parts at home in it; tried step by step.

    wide    (k,) where the parts reach when they were grown to be closed
    """
    found, rows = np.full(len(outline), np.inf), np.arange(len(outline))

    def hold(near: Objects, reach: float) -> None:
        nonlocal rows
        shapely.prepare(near)
        held = shapely.covers(near, outline[rows])
        found[rows[held]] = reach
        rows = rows[~held]

    for step in _NEARER if tolerance >= _CLOSELY else ():
        mine = np.isin(home, rows)
        # Few segments make a round buffer that lies inside the true one: what it holds is within reach.
        grown = shapely.buffer(parts[mine], step * tolerance, quad_segs=2)
        hold(_united(grown, np.searchsorted(rows, home[mine])), step * tolerance)
    hold(wide[rows], 0.5 * _MITRE * tolerance)
    for step in _FURTHER:
        hold(shapely.buffer(wide[rows], (step - 0.5 * _MITRE) * tolerance, quad_segs=2), step * tolerance)
    found[rows] = 2.0 * shapely.minimum_bounding_radius(outline[rows])
    return found


def _of(blocks: Blocks, home: Integers, outline: Objects, across: Floats) -> tuple[Blocks, Integers]:
    """One block for each outline (k,) of the blocks that are at home in it, and the row of the largest of those."""
    k = len(outline)
    order = np.lexsort((blocks.oid.astype(str), -blocks.area * blocks.height, home))
    first = order[np.append(True, home[order][1:] != home[order][:-1])]
    area = np.bincount(home, blocks.area, k)

    def mean(values: Floats) -> Floats:
        return np.bincount(home, blocks.area * values, k) / area

    middle, slope, ground = _lie(blocks, home, mean)
    west, south, east, north = shapely.bounds(outline).T
    rise = np.hypot(*slope.T) * 0.5 * np.hypot(east - west, north - south)
    slope[rise < _HIDDEN * mean(blocks.height)] = 0.0
    # How far the plane of a part lies above that of the block, in the middle of the part and anywhere around it.
    lift = blocks.ground - (ground[home] + ((blocks.middle - middle[home]) * slope[home]).sum(axis=1))
    ends = shapely.bounds(blocks.outline)
    wide = np.maximum(ends[:, 2:] - blocks.middle, blocks.middle - ends[:, :2]) + blocks.across[:, None]
    off = (np.abs(blocks.slope - slope[home]) * wide).sum(axis=1)
    base, low, high, before = np.full(k, np.inf), np.full(k, np.inf), np.full(k, -np.inf), np.zeros(k)
    np.minimum.at(base, home, blocks.base - blocks.ground + lift - off)
    np.minimum.at(low, home, blocks.low - blocks.ground + lift - off)
    np.maximum.at(high, home, blocks.high - blocks.ground + lift + off)
    np.maximum.at(before, home, blocks.across)
    made = Blocks(
        outline,
        middle,
        slope,
        ground,
        ground + base,
        ground + mean(blocks.height + lift),
        before + across,
        ground + low,
        ground + high,
        np.bincount(home, blocks.members, k).astype(np.int64),
        np.column_stack([mean(blocks.colour[:, c]) for c in range(3)]),
        area,
        np.zeros(k, bool),
        blocks.oid[first],
        {key: values[first] for key, values in blocks.columns.items()},
    )
    return made, first


def _lie(blocks: Blocks, home: Integers, mean: Callable[[Floats], Floats]) -> tuple[Floats, Floats, Floats]:
    """Middle (k, 2), slope (k, 2) and mean ground (k,) of the blocks at home in each: the plane of least squares.

    source  ridge regression towards the slope that the parts have themselves (Hoerl and Kennard 1970): parts side by
            side tell little of a slope
    """
    middle = np.column_stack([mean(blocks.middle[:, c]) for c in range(2)])
    ground, own = mean(blocks.ground), np.column_stack([mean(blocks.slope[:, c]) for c in range(2)])
    x, y = (blocks.middle - middle[home]).T
    up = blocks.ground - ground[home]
    xx, yy, xy = mean(x * x) + _SURE**2, mean(y * y) + _SURE**2, mean(x * y)
    xz, yz = mean(x * up) + _SURE**2 * own[:, 0], mean(y * up) + _SURE**2 * own[:, 1]
    slope = np.column_stack([yy * xz - xy * yz, xx * yz - xy * xz]) / (xx * yy - xy * xy)[:, None]
    return middle, slope, ground
