"""The same building in two sources becomes one, and every value remembers the source it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from ingest.joining.provenance import IDENTITY, Word, known, names_of, newcomers, provenance
from twin.errors import FrameMismatchError
from twin.features import Layer, Objects, objects
from twin.outcome import Outcome

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Metres a storey; the most has one to spare for the roof, and for halls.
_LEAST, _MOST = 2.0, 6.0
# People of a block that several outlines share would count once for each.
_COUNTS = ("people_day", "people_night")


@dataclass(frozen=True, slots=True)
class MergeRules:
    """When two features are the same, and whose word counts.

    overlap     intersection over union from which two areas are one, 0..1
    coverage    share of the smaller area inside the other from which they are one (a part of a building), 0..1
    reach       a point belongs to the nearest area up to this far, m; inside counts as 0
    prefer      column -> "first" or "second" where both know a value; "first" where not named
    add         areas of the second that meet nothing become features of their own
    """

    overlap: float = 0.3
    coverage: float = 0.6
    reach: float = 2.0
    prefer: Mapping[str, str] = field(default_factory=dict)
    add: bool = True


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which feature of the second lies on which of the first.

    first, second   (k,) row numbers; the same row may occur any number of times in either
    score           (k,) intersection over union, or for points 1 inside falling to 0 at the reach
    shared          (k,) true where the second belongs to a better one and this one only lies inside it
    """

    first: Rows
    second: Rows
    score: Floats
    shared: Flags


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of two layers.

    layer       features of the first, then areas only the second has; column `provenance` says who gave what
    pairs       who lies on whom
    speaker     (k,) places in `pairs` of the one that speaks for each matched feature of the first
    left        rows of the second that went nowhere: points that meet no area
    outcomes    features of the second for which another one speaks
    """

    layer: Layer
    pairs: Pairs
    speaker: Rows
    left: Rows
    outcomes: tuple[Outcome, ...]


def match(first: Layer, second: Layer, rules: MergeRules) -> Pairs:
    """Pairs of features that are the same thing; every feature of the second finds its best of the first, or none.

    rule    areas by intersection over union or by coverage of the smaller; points by distance to the area, unless the
            height of the point is below 2 m a storey of the outline, or above 6 m a storey and 6 m more. The larger
            common area wins, then the better score, then the smaller oid. A feature of the first that none chose but
            that lies inside one (by coverage) shares it.
    raises  FrameMismatchError where the layers lie in different frames
    """
    if first.frame != second.frame:
        raise FrameMismatchError(f"layers {first.name} and {second.name} lie in different frames; bring both into one")
    empty = np.zeros(0, dtype=np.intp)
    if not len(first) or not len(second):
        return Pairs(empty, empty, np.zeros(0), np.zeros(0, dtype=bool))
    tree = shapely.STRtree(first.geometry)
    point = shapely.get_dimensions(second.geometry) == 0
    parts = [_areas(tree, first, second, np.flatnonzero(~point), rules), _points(tree, first, second, point, rules)]
    a, b, score, size, inside = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((_rank(first)[a], -score, -size, b))
    lead = order[np.flatnonzero(np.diff(b[order], prepend=-1))]
    alone = np.ones(len(first), dtype=bool)
    alone[a[lead]] = False
    rest = np.flatnonzero(alone[a] & inside)
    rest = rest[np.lexsort((_rank(second)[b[rest]], -size[rest], a[rest]))]
    rest = rest[np.flatnonzero(np.diff(a[rest], prepend=-1))]
    both = np.concatenate([lead, rest])
    return Pairs(a[both], b[both], score[both], np.arange(len(both)) >= len(lead))


def _rank(layer: Layer) -> Rows:
    return np.argsort(np.argsort(layer.oid.astype(str), kind="stable"), kind="stable")


def _areas(
    tree: shapely.STRtree, first: Layer, second: Layer, rows: Rows, rules: MergeRules
) -> tuple[Rows, Rows, Floats, Floats, Flags]:
    k, a = tree.query(second.geometry[rows], predicate="intersects")
    b = rows[k]
    common = shapely.area(shapely.intersection(first.geometry[a], second.geometry[b]))
    one, other = shapely.area(first.geometry[a]), shapely.area(second.geometry[b])
    union = common / np.maximum(one + other - common, 1e-12)
    cover = common / np.maximum(np.minimum(one, other), 1e-12)
    same = (common > 0.0) & ((union >= rules.overlap) | (cover >= rules.coverage))
    inside = common >= rules.coverage * one
    return a[same], b[same], union[same], common[same], inside[same]


def _points(
    tree: shapely.STRtree, first: Layer, second: Layer, point: Flags, rules: MergeRules
) -> tuple[Rows, Rows, Floats, Floats, Flags]:
    rows = np.flatnonzero(point)
    k, a = tree.query(second.geometry[rows], predicate="dwithin", distance=rules.reach)
    fits = _plausible(first, second, a, rows[k])
    k, a = k[fits], a[fits]
    away = shapely.distance(first.geometry[a], second.geometry[rows[k]])
    return a, rows[k], 1.0 - away / max(rules.reach, 1e-9), np.zeros(len(a)), np.zeros(len(a), dtype=bool)


def _plausible(first: Layer, second: Layer, a: Rows, b: Rows) -> Flags:
    """False where the storeys of an outline cannot stand in the height of a point: a shed in a yard, a tower behind."""
    if "storeys" not in first.columns or "height" not in second.columns:
        return np.ones(len(a), dtype=bool)
    height, storeys = second.columns["height"][b], first.columns["storeys"][a]
    return ~((height < _LEAST * storeys) | (height > _MOST * (storeys + 1.0)))


def merge(first: Layer, second: Layer, rules: MergeRules) -> Merged:
    """One layer of two, each value with the source it came from.

    The first source gives geometry and oid. Where several features of the second lie on one of the first, the best
    speaks: the largest common area, for points the one nearest the centroid; the others are named. Where one of the
    second covers several of the first, each takes its values, counts of people only the one with the largest common
    area. Known values of the preferred source win, unknown ones are filled from the other; columns that nobody
    declared are put together. Areas of the second that meet nothing are added, points are left to the caller.
    """
    pairs = match(first, second, rules)
    speaker = _speakers(first, second, pairs)
    a, b = pairs.first[speaker], pairs.second[speaker]
    columns = {name: values.copy() for name, values in first.columns.items()}
    words = []
    for name in sorted(set(first.columns) & set(second.columns) - set(IDENTITY)):
        own, theirs = first.columns[name][a], second.columns[name][b]
        heard = known(theirs) & ~(pairs.shared[speaker] & (name in _COUNTS))
        wins = heard & (~known(own) | (rules.prefer.get(name, "first") == "second"))
        columns[name][a[wins]] = theirs[wins]
        words.append(Word(name, own, theirs, wins))
    if "attributes" in columns and "attributes" in second.columns:
        columns["attributes"][a] = _together(columns["attributes"][a], second.columns["attributes"][b])
    before = columns.get("provenance", objects([""] * len(first))).copy()
    told = provenance(
        before[a], _take(names_of(first), a), _take(names_of(second), b), words,
        (pairs.score[speaker], _also(second, pairs, speaker)),
    )  # fmt: skip
    before[a] = told
    columns["provenance"] = before
    layer = Layer.build(first.name, first.frame, first.oid, first.geometry, columns)
    free = np.ones(len(second), dtype=bool)
    free[pairs.second] = False
    area = shapely.get_dimensions(second.geometry) == 2
    added = np.flatnonzero(free & area & rules.add)
    if len(added):
        layer = _append(layer, second.take(added))
    left = np.setdiff1d(np.flatnonzero(free), added)
    return Merged(layer, pairs, speaker, left, tuple(_outcomes(first, second, pairs, speaker)))


def _take(pair: tuple[Objects, Objects], rows: Rows) -> tuple[Objects, Objects]:
    return pair[0][rows], pair[1][rows]


def _speakers(first: Layer, second: Layer, pairs: Pairs) -> Rows:
    """Places in `pairs` of the one that speaks for each feature of the first, in the order of its rows."""
    mine, theirs = first.geometry[pairs.first], second.geometry[pairs.second]
    area = np.flatnonzero(shapely.get_dimensions(theirs) == 2)
    common = np.zeros(len(mine))
    common[area] = shapely.area(shapely.intersection(mine[area], theirs[area]))
    away = shapely.distance(shapely.centroid(mine), theirs)
    order = np.lexsort((_rank(second)[pairs.second], away, -common, pairs.first))
    return order[np.flatnonzero(np.diff(pairs.first[order], prepend=-1))]


def _also(second: Layer, pairs: Pairs, speaker: Rows) -> dict[int, list[str]]:
    """Place among the speakers -> identifiers of the others on the same feature, sorted."""
    place = np.full(int(pairs.first.max(initial=-1)) + 1, -1, dtype=np.intp)
    place[pairs.first[speaker]] = np.arange(len(speaker))
    silent = np.setdiff1d(np.arange(len(pairs.first)), speaker)
    ids = names_of(second)[1]
    found: dict[int, list[str]] = {}
    for at, row in zip(place[pairs.first[silent]].tolist(), pairs.second[silent].tolist(), strict=True):
        found.setdefault(at, []).append(str(ids[row]))
    return {at: sorted(words) for at, words in found.items()}


def _together(own: Objects, theirs: Objects) -> Objects:
    """JSON objects put together; where both have a key, the first's stays and the second's is left out."""
    joined = []
    for mine, other in zip(own.tolist(), theirs.tolist(), strict=True):
        if mine and other:
            joined.append(orjson.dumps(orjson.loads(other) | orjson.loads(mine), option=orjson.OPT_SORT_KEYS).decode())
        else:
            joined.append(mine or other)
    return objects(joined)


def _append(merged: Layer, added: Layer) -> Layer:
    taken = set(merged.oid.tolist())
    oid = []
    for word in added.oid.tolist():
        fresh, k = word, 2
        while fresh in taken:
            fresh, k = f"{word}~{k}", k + 1
        taken.add(fresh)
        oid.append(fresh)
    given = dict(added.columns) | {"provenance": newcomers(added)}
    more = Layer.build(merged.name, merged.frame, oid, added.geometry, given)
    columns = {
        name: np.concatenate([values, more.columns[name] if name in more.columns else _blank(values, len(more))])
        for name, values in merged.columns.items()
    }
    geometry = np.concatenate([merged.geometry, more.geometry])
    return Layer.build(merged.name, merged.frame, np.concatenate([merged.oid, more.oid]), geometry, columns)


def _blank(values: NDArray[Any], n: int) -> NDArray[Any]:
    return np.full(n, np.nan) if values.dtype.kind == "f" else objects([""] * n)


def _outcomes(first: Layer, second: Layer, pairs: Pairs, speaker: Rows) -> list[Outcome]:
    # What speaks for another feature of the first is not silent.
    silent = np.setdiff1d(pairs.second, pairs.second[speaker])
    owner = dict(zip(pairs.second.tolist(), pairs.first.tolist(), strict=True))
    words = [
        (str(second.oid[b]), f"并入 {first.oid[owner[b]]},以更合者为准 / part of it, another record speaks")
        for b in silent.tolist()
    ]
    return [Outcome(oid, "skipped", reason, "fusion") for oid, reason in sorted(words)]
