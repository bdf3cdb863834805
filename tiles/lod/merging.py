"""Blocks of neighbours: what stands close together and is of a height becomes one block.

source  closing of plane sets (dilation and erosion of mathematical morphology, Serra 1982), as in the generalisation of
        built-up areas
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tiles.lod.blocks import Blocks, join
from twin.features import Objects

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_PROUD = 3.0
"""A block this many tolerances high is a landmark of its neighbourhood and is not merged."""

_SKYLINE, _OF = 40, 20
"""So many of the highest, and no more than one of so many, are never merged."""

_MITRE = 1.5
"""Corners grow out by this many reaches at most: right angles stay sharp, sharper ones are cut."""

_FAR = 1.5
"""Outlines further from their parts than this many tolerances are not taken."""

_DOUBLINGS = 3


def merge(blocks: Blocks, tolerance: float) -> tuple[Blocks, float]:
    """Fewer blocks for the same city, and the height in m of the highest that is left out.

    tolerance   m. Gaps up to it are closed, outlines may move half of it, roofs within it become one; what is neither
                higher nor wider is left out, unless something of its height stands beside it
    returns     blocks sorted by place; `error` holds the measured distances
    """
    if not len(blocks):
        return blocks, 0.0
    proud = _proud(blocks, tolerance)
    parts = [_alone(blocks.take(proud), tolerance)] if proud.any() else []
    crowd = blocks.take(~proud)
    lost = 0.0
    # What L3 shows is hidden as one and must not take its neighbours with it.
    shown = crowd.columns.get("has_l3", np.zeros(len(crowd), bool)).astype(bool)
    group = 2 * np.floor(crowd.top / tolerance).astype(np.int64) + shown
    for level in np.unique(group).tolist():
        found, gone = _merged(crowd.take(group == level), tolerance)
        lost = max(lost, gone)
        parts += found
    if not parts:
        return blocks.take(np.zeros(0, np.int64)), lost
    whole = join(parts)
    centre = shapely.get_coordinates(shapely.centroid(whole.outline))
    return whole.take(np.lexsort((whole.oid.astype(str), centre[:, 0], centre[:, 1]))), lost


def fewest(blocks: Blocks, tolerance: float) -> int:
    """About how many blocks `merge` leaves at least: what it keeps alone, and what no gap up to the tolerance joins.

    Gaps are those between boxes around the outlines, which are never wider than those between the outlines.
    """
    proud = _proud(blocks, tolerance)
    crowd = blocks.take(~proud)
    if not len(crowd):
        return len(blocks)
    reach = 0.5 * tolerance
    grown = shapely.bounds(crowd.outline) + np.array([-reach, -reach, reach, reach])
    boxes = shapely.box(*grown.T)
    step = np.floor(crowd.top / tolerance).astype(np.int64)
    one, other = shapely.STRtree(boxes).query(boxes)
    alike = step[one] == step[other]
    joined = coo_array((alike[alike], (one[alike], other[alike])), shape=(len(crowd), len(crowd)))
    count, group = connected_components(joined, directed=False)
    stays = (crowd.height > tolerance) | (crowd.area > tolerance**2)
    return int(proud.sum()) + int((np.bincount(group[stays], minlength=count) > 0).sum())


def _proud(blocks: Blocks, tolerance: float) -> NDArray[np.bool_]:
    """(n,) True for what stands out of its neighbourhood, and for the few highest of all: they are the skyline."""
    height = np.where(blocks.members == 1, blocks.height, 0.0)
    highest = np.lexsort((blocks.oid.astype(str), -height))[: min(_SKYLINE, len(blocks) // _OF)]
    proud = (blocks.height > _PROUD * tolerance) | (blocks.landmark & (blocks.height > tolerance))
    proud[highest[height[highest] > 0.0]] = True
    return proud


def _alone(blocks: Blocks, tolerance: float) -> Blocks:
    """The same blocks, one by one, with outlines simplified by a quarter of the tolerance."""
    outline = _simpler(blocks.outline, 0.25 * tolerance)
    moved = shapely.hausdorff_distance(blocks.outline, outline)
    return replace(blocks, outline=outline, error=blocks.error + moved)


def _simpler(outline: Objects, tolerance: float) -> Objects:
    simple = shapely.simplify(outline, tolerance, preserve_topology=True)
    broken = shapely.is_empty(simple) | ~shapely.is_valid(simple)
    simple[broken] = outline[broken]
    return simple


def _merged(blocks: Blocks, tolerance: float) -> tuple[list[Blocks], float]:
    """Blocks of one level of roofs, closed together; and the highest that is left out."""
    reach = 0.5 * tolerance
    wide = shapely.union_all(shapely.buffer(blocks.outline, reach, join_style="mitre", mitre_limit=_MITRE))
    outline = _shapes(shapely.buffer(wide, -reach, join_style="mitre", mitre_limit=_MITRE), tolerance)
    home = _homes(blocks, outline)
    stray = home < 0
    high = stray & (blocks.height > tolerance)
    found = [_alone(blocks.take(high), tolerance)] if high.any() else []
    lost = float(blocks.height[stray & ~high].max(initial=0.0))
    if stray.all():
        return found, lost
    named = np.unique(home[~stray])
    outline = outline[named]
    there, at = blocks.take(~stray), np.searchsorted(named, home[~stray])
    across = np.maximum(_beyond(there.outline, outline, at, tolerance), _filled(outline, wide, _MITRE * reach))
    made = _of(there, at, outline, across)
    # Better many blocks than one that is far off: their tile would be refined for it from afar.
    far = (across > _FAR * tolerance) & (made.members > 1)
    found += [_alone(there.take(far[at]), tolerance)] if far.any() else []
    return [*found, made.take(~far)], lost


def _shapes(closed: Any, tolerance: float) -> Objects:
    """Parts of a closed shape, simpler, without small holes; those too small to be seen left out."""
    simple = shapely.get_parts(_simpler(shapely.get_parts(closed), 0.5 * tolerance))
    simple = simple[shapely.area(simple) > 0.25 * tolerance**2]
    rings, owner = shapely.get_rings(simple, return_index=True)
    outer = np.append(True, owner[1:] != owner[:-1]) if len(owner) else np.zeros(0, bool)
    seen = outer | (shapely.area(shapely.polygons(rings)) > 4.0 * tolerance**2)
    pierced = np.bincount(owner[seen & ~outer], minlength=len(simple)) > 0
    result = np.empty(len(simple), dtype=object)
    result[:] = shapely.polygons(rings[outer])
    for row in np.flatnonzero(pierced).tolist():
        mine = seen & (owner == row)
        result[row] = shapely.Polygon(rings[mine & outer][0], rings[mine & ~outer].tolist())
    return result


def _homes(blocks: Blocks, outline: Objects) -> Integers:
    """(n,) the outline that each block went into: the one that holds a point of it, else the nearest that meets it."""
    home = np.full(len(blocks), -1, np.int64)
    if not len(outline):
        return home
    tree = shapely.STRtree(outline)
    for shapes in (shapely.point_on_surface(blocks.outline), blocks.outline):
        asked = np.flatnonzero(home < 0)
        row, place = tree.query(shapes[asked], predicate="intersects")
        # Later entries win, so that the first of several is taken.
        home[asked[row[::-1]]] = place[::-1]
    return home


def _beyond(parts: Objects, outline: Objects, home: Integers, tolerance: float) -> Floats:
    """(k,) m: no point of a part lies further outside its outline.

    A distance rises by no more than the way gone, so half the spacing of the points that are tried covers the others.
    """
    out = np.flatnonzero(~shapely.covers(outline[home], parts))
    found = np.zeros(len(outline))
    if len(out):
        spacing = 0.5 * tolerance
        xy, owner = shapely.get_coordinates(shapely.segmentize(parts[out], spacing), return_index=True)
        apart = shapely.distance(outline[home[out]][owner], shapely.points(xy)) + 0.5 * spacing
        np.maximum.at(found, home[out][owner], apart)
    return found


def _filled(outline: Objects, wide: Any, reach: float) -> Floats:
    """(k,) m: no point of an outline is further from the parts, which reach out to `wide`; tried by doubling."""
    found = np.full(len(outline), np.inf)
    for step in range(_DOUBLINGS):
        rows = np.flatnonzero(~np.isfinite(found))
        if not len(rows):
            return found
        if step:
            # Few segments make a round buffer that lies inside the true one: what it holds is within reach.
            wide = shapely.buffer(wide, reach, quad_segs=2)
            reach *= 2.0
        shapely.prepare(wide)
        found[rows[shapely.covers(wide, outline[rows])]] = reach
    rest = ~np.isfinite(found)
    found[rest] = 2.0 * shapely.minimum_bounding_radius(outline[rest])
    return found


def _of(blocks: Blocks, home: Integers, outline: Objects, across: Floats) -> Blocks:
    """One block for each outline (k,) of the blocks that are at home in it."""
    k = len(outline)
    order = np.lexsort((blocks.oid.astype(str), -blocks.area * blocks.height, home))
    first = order[np.append(True, home[order][1:] != home[order][:-1])]
    area = np.bincount(home, blocks.area, k)
    top = np.bincount(home, blocks.area * blocks.top, k) / area
    base, before, apart = np.full(k, np.inf), np.zeros(k), np.zeros(k)
    np.minimum.at(base, home, blocks.base)
    np.maximum.at(before, home, blocks.error)
    np.maximum.at(apart, home, np.abs(blocks.top - top[home]))
    colour = [np.bincount(home, blocks.area * blocks.colour[:, c], k) / area for c in range(3)]
    return Blocks(
        outline,
        base,
        top,
        before + np.hypot(across, apart),
        np.bincount(home, blocks.members, k).astype(np.int64),
        np.column_stack(colour),
        area,
        np.zeros(k, bool),
        blocks.oid[first],
        {key: values[first] for key, values in blocks.columns.items()},
    )
