"""Faults that only show when the features of a source are held against each other or against another source."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.features import Layer, Objects

Floats = NDArray[np.float64]
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]

OVERLAP_AREA, OVERLAP_SHARE = 1.0, 0.02
NEAR_SHARE = 0.8
SAME_SHARE = 0.3
UNDERSHOOT = (0.01, 2.0)
DIGITS = 0.01
STOREY = (2.0, 10.0)
_PRIMES = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5, 0x85EBCA77C2B2AE63],
    dtype=np.uint64,
)


def centres(geometry: Objects) -> Floats:
    """Middle (n, 2) of every bounding box, frame m; NaN where there is no geometry."""
    box = shapely.bounds(geometry)
    return np.column_stack([box[:, 0] + box[:, 2], box[:, 1] + box[:, 3]]) / 2.0


def duplicate_rows(geometry: Objects, group: NDArray[Any] | None = None) -> NDArray[np.intp]:
    """Rows whose shape stood before under another id: equal to the centimetre, wherever the ring starts.

    group   (n,) only shapes of equal group count: a district of one street office has its shape by right
    """
    box = np.round(shapely.bounds(geometry) / DIGITS)
    if group is not None:
        box = np.column_stack([box, np.unique(group.astype(str), return_inverse=True)[1]])
    known = np.flatnonzero(np.isfinite(box).all(axis=1))
    # One number a box sorts ten times faster than four; boxes that share it by chance are told apart below.
    key = box[known].astype(np.int64).astype(np.uint64) @ _PRIMES[: box.shape[1]]
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    alike = known[counts[inverse] > 1]
    if not len(alike):
        return alike
    # The grid is laid by rounding alone: a snap that also mends would fail on the rare shape and cost the rest time.
    rounded = shapely.transform(geometry[alike], lambda xy: np.round(xy / DIGITS))
    words = shapely.to_wkb(shapely.normalize(rounded)).tolist()
    marks = [""] * len(alike) if group is None else group[alike].tolist()
    seen: set[tuple[Any, bytes]] = set()
    again = np.zeros(len(alike), dtype=bool)
    for place, pair in enumerate(zip(marks, words, strict=True)):
        again[place] = pair in seen
        seen.add(pair)
    return alike[again]


def meeting_pairs(a: Objects, b: Objects, least: float) -> tuple[Pairs, Floats]:
    """((rows of a, rows of b), shared area m2) of polygons that share more than `least` m2."""
    found = shapely.STRtree(b).query(a)
    left, right = found[0], found[1]
    first, second = shapely.bounds(a)[left], shapely.bounds(b)[right]
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    near = (sides > 0.0).all(axis=1) & (sides.prod(axis=1) > least)
    left, right = left[near], right[near]
    shared = shapely.area(shapely.intersection(a[left], b[right]))
    keep = shared > least
    return (left[keep], right[keep]), shared[keep]


def overlap_kinds(geometry: Objects, group: NDArray[Any] | None = None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(rows with over 80 % of their union with another in common, rows that overlap another less).

    rule    of each pair the later row, where they share over 1 m2 and 2 % of the smaller
    group   (n,) only polygons of equal group count, for example of one level of division; equal shapes do not count,
            they are duplicates
    """
    areal = np.flatnonzero(np.isin(shapely.get_type_id(geometry), (3, 6)))
    shapes = geometry[areal]
    left, right = shapely.STRtree(shapes).query(shapes)
    once = left < right
    if group is not None:
        once &= group[areal][left] == group[areal][right]
    left, right = left[once], right[once]
    box, area = shapely.bounds(shapes), shapely.area(shapes)
    sides = np.minimum(box[left, 2:], box[right, 2:]) - np.maximum(box[left, :2], box[right, :2])
    limit = np.maximum(OVERLAP_AREA, OVERLAP_SHARE * np.minimum(area[left], area[right]))
    near = (sides > 0.0).all(axis=1) & (sides.prod(axis=1) > limit)
    left, right, limit = left[near], right[near], limit[near]
    shared = shapely.area(shapely.intersection(shapes[left], shapes[right]))
    bad = (shared > limit) & (shared < np.maximum(area[left], area[right]) * (1.0 - 1e-6))
    near = bad & (shared > NEAR_SHARE * (area[left] + area[right] - shared))
    alike = np.unique(right[near])
    return areal[alike], areal[np.setdiff1d(right[bad], alike)]


def undershoot_points(lines: Objects) -> Floats:
    """Ends (k, 2) of lines that stop 1 cm to 2 m short of another line and touch none, frame m."""
    rows = np.flatnonzero(shapely.get_type_id(lines) == 1)
    shapes = lines[rows]
    if len(shapes) < 2:
        return np.zeros((0, 2))
    ends = np.concatenate([shapely.get_point(shapes, 0), shapely.get_point(shapes, -1)])
    owner = np.tile(np.arange(len(shapes)), 2)
    end, line = shapely.STRtree(shapes).query(ends, predicate="dwithin", distance=UNDERSHOOT[1])
    other = owner[end] != line
    nearest = np.full(len(ends), np.inf)
    np.minimum.at(nearest, end[other], shapely.distance(ends[end[other]], shapes[line[other]]))
    short = (nearest > UNDERSHOOT[0]) & (nearest <= UNDERSHOOT[1])
    return shapely.get_coordinates(ends[short])


def conflicts(buildings: Layer) -> dict[str, NDArray[np.intp]]:
    """Rows whose own columns disagree: metres a storey outside 2..10, or eaves above the height."""
    height, storeys, eaves = (buildings.column(name) for name in ("height", "storeys", "eave_height"))
    with np.errstate(invalid="ignore", divide="ignore"):
        each = height / storeys
        odd = (each < STOREY[0]) | (each > STOREY[1])
        above = eaves > height + DIGITS
    # One storey may be a hall of any height.
    return {
        "storeys_conflict": np.flatnonzero(odd & ~((storeys == 1.0) & (each > STOREY[1]))),
        "eaves_conflict": np.flatnonzero(above),
    }


def spread(values: Floats) -> dict[str, float | int]:
    """n, median, p90, rms and largest of distances in m, to the millimetre; only n where there is none."""
    if not len(values):
        return {"n": 0}
    p50, p90 = np.percentile(values, (50.0, 90.0))
    rms = float(np.sqrt(np.mean(values**2)))
    return {
        "n": len(values),
        "median": round(float(p50), 3),
        "p90": round(float(p90), 3),
        "rms": round(rms, 3),
        "largest": round(float(values.max()), 3),
    }


def same_buildings(first: Layer, second: Layer) -> tuple[Pairs, Floats]:
    """((rows, rows), distance of centroids m) of buildings of two sources that share 30 % of their union."""
    (left, right), shared = meeting_pairs(first.geometry, second.geometry, OVERLAP_AREA)
    a, b = first.geometry[left], second.geometry[right]
    same = shared / (shapely.area(a) + shapely.area(b) - shared) >= SAME_SHARE
    distance = shapely.distance(shapely.centroid(a[same]), shapely.centroid(b[same]))
    return (left[same], right[same]), distance


def disagreements(first: Layer, second: Layer, pairs: Pairs) -> dict[str, int]:
    """How many paired buildings differ: in use, where both know it; in height by more than 3 m."""
    left, right = pairs
    use, other = first.column("function")[left], second.column("function")[right]
    known = ~np.isin(use.astype(str), ("", "unknown")) & ~np.isin(other.astype(str), ("", "unknown"))
    with np.errstate(invalid="ignore"):
        apart = np.abs(first.column("height")[left] - second.column("height")[right]) > 3.0
    return {
        "function_differs": int(np.count_nonzero(known & (use != other))),
        "height_differs": int(np.count_nonzero(apart)),
    }
