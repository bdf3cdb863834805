"""The same building in two sources becomes one, and every value remembers the source it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.errors import FrameMismatchError
from twin.features import Layer, objects
from twin.outcome import Outcome

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]

_IDENTITY = ("source", "source_id", "attributes")


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

    first, second   (k,) row numbers; a row of the second occurs once, a row of the first any number of times
    score           (k,) intersection over union, or for points 1 inside falling to 0 at the reach
    """

    first: Rows
    second: Rows
    score: Floats


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where each value came from: one row for every known value that the second source had a say in.

    oid, column         the value
    source, source_oid  layer feature that gave it
    replaced            what the other source said, "" where it said nothing
    score               how well the two features matched, NaN for a feature that only the second source has
    """

    oid: NDArray[np.object_]
    column: NDArray[np.object_]
    source: NDArray[np.object_]
    source_oid: NDArray[np.object_]
    replaced: NDArray[np.object_]
    score: Floats

    def __len__(self) -> int:
        return len(self.oid)

    def as_dict(self) -> dict[str, list[Any]]:
        """Columns as lists, for a document."""
        table = {name: getattr(self, name).tolist() for name in ("oid", "column", "source", "source_oid", "replaced")}
        return table | {"score": [None if np.isnan(value) else round(value, 4) for value in self.score.tolist()]}


def match(first: Layer, second: Layer, rules: MergeRules) -> Pairs:
    """Pairs of features that are the same thing; every feature of the second finds its best of the first, or none.

    rule    areas by intersection over union or by coverage of the smaller; points by distance to the area. The better
            score wins, then the smaller oid.
    raises  FrameMismatchError where the layers lie in different frames
    """
    if first.frame != second.frame:
        raise FrameMismatchError(f"layers {first.name} and {second.name} lie in different frames; bring both into one")
    empty = np.zeros(0, dtype=np.intp)
    if not len(first) or not len(second):
        return Pairs(empty, empty, np.zeros(0))
    tree = shapely.STRtree(first.geometry)
    point = shapely.get_dimensions(second.geometry) == 0
    parts = [_areas(tree, first, second, np.flatnonzero(~point), rules), _points(tree, first, second, point, rules)]
    a, b, score, size = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    rank = np.argsort(np.argsort(first.oid.astype(str), kind="stable"), kind="stable")
    order = np.lexsort((rank[a], -score, -size, b))
    lead = order[np.flatnonzero(np.diff(b[order], prepend=-1))]
    return Pairs(a[lead], b[lead], score[lead])


def _areas(
    tree: shapely.STRtree, first: Layer, second: Layer, rows: Rows, rules: MergeRules
) -> tuple[Rows, Rows, Floats, Floats]:
    k, a = tree.query(second.geometry[rows], predicate="intersects")
    b = rows[k]
    common = shapely.area(shapely.intersection(first.geometry[a], second.geometry[b]))
    one, other = shapely.area(first.geometry[a]), shapely.area(second.geometry[b])
    union = common / np.maximum(one + other - common, 1e-12)
    cover = common / np.maximum(np.minimum(one, other), 1e-12)
    same = (common > 0.0) & ((union >= rules.overlap) | (cover >= rules.coverage))
    return a[same], b[same], union[same], common[same]


def _points(
    tree: shapely.STRtree, first: Layer, second: Layer, point: NDArray[np.bool_], rules: MergeRules
) -> tuple[Rows, Rows, Floats, Floats]:
    rows = np.flatnonzero(point)
    k, a = tree.query(second.geometry[rows], predicate="dwithin", distance=rules.reach)
    away = shapely.distance(first.geometry[a], second.geometry[rows[k]])
    return a, rows[k], 1.0 - away / max(rules.reach, 1e-9), np.zeros(len(a))


def merge(first: Layer, second: Layer, rules: MergeRules) -> tuple[Layer, Provenance, list[Outcome]]:
    """(one layer, where its values came from, what did not fit).

    The first source gives geometry and oid. Where several features of the second lie on one of the first, the best
    speaks: the largest common area, for points the one nearest the centroid; the others are named. Known values of the
    preferred source win, unknown ones are filled from the other. Areas of the second that meet nothing are added,
    points are named and left out.
    """
    pairs = match(first, second, rules)
    speaker = _speakers(first, second, pairs)
    a, b, score = pairs.first[speaker], pairs.second[speaker], pairs.score[speaker]
    columns: dict[str, NDArray[Any]] = {}
    rows: list[tuple[str, Rows, NDArray[np.bool_], NDArray[np.object_]]] = []
    for name in sorted(first.columns):
        mine = first.columns[name].copy()
        if name in second.columns and name not in _IDENTITY:
            theirs, own = second.columns[name][b], mine[a]
            wins = _known(theirs) & (~_known(own) | (rules.prefer.get(name, "first") == "second"))
            both = np.where(wins, _words(own), _words(theirs)).astype(object)
            keep = _known(theirs)
            rows.append((name, np.flatnonzero(keep), wins[keep], both[keep]))
            mine[a[wins]] = theirs[wins]
        columns[name] = mine
    merged = Layer.build(first.name, first.frame, first.oid, first.geometry, columns)
    table = _provenance(first, second, (a, b, score), rows)
    free = np.ones(len(second), dtype=bool)
    free[pairs.second] = False
    area = shapely.get_dimensions(second.geometry) == 2
    added = np.flatnonzero(free & area & rules.add)
    if len(added):
        merged = _append(merged, second.take(added))
        table = _joined(table, _newcomers(second.take(added), merged.oid[len(first) :]))
    return merged, table, _outcomes(first, second, pairs, speaker, np.setdiff1d(np.flatnonzero(free), added))


def _speakers(first: Layer, second: Layer, pairs: Pairs) -> Rows:
    """Places in `pairs` of the one that speaks for each feature of the first, in the order of its rows."""
    mine, theirs = first.geometry[pairs.first], second.geometry[pairs.second]
    area = shapely.get_dimensions(theirs) == 2
    common = np.where(area, shapely.area(shapely.intersection(mine, theirs)), 0.0)
    away = shapely.distance(shapely.centroid(mine), theirs)
    rank = np.argsort(np.argsort(second.oid.astype(str), kind="stable"), kind="stable")
    order = np.lexsort((rank[pairs.second], away, -common, pairs.first))
    return order[np.flatnonzero(np.diff(pairs.first[order], prepend=-1))]


def _known(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return ~np.isnan(values)
    return (values != "") & (values != "unknown")


def _words(values: NDArray[Any]) -> NDArray[np.object_]:
    if values.dtype.kind != "f":
        return values
    return objects(["" if np.isnan(value) else f"{value:g}" for value in values.tolist()])


def _provenance(
    first: Layer,
    second: Layer,
    matched: tuple[Rows, Rows, Floats],
    rows: list[tuple[str, Rows, NDArray[np.bool_], NDArray[np.object_]]],
) -> Provenance:
    a, b, score = matched
    names = [_source(first), _source(second)]
    parts = []
    for column, at, wins, replaced in rows:
        source = np.where(wins, names[1][b[at]], names[0][a[at]])
        origin = np.where(wins, second.oid[b[at]], first.oid[a[at]])
        parts.append((first.oid[a[at]], objects([column] * len(at)), source, origin, replaced, score[at]))
    if not parts:
        none = objects([])
        return Provenance(none, none, none, none, none, np.zeros(0))
    return _sorted(Provenance(*(np.concatenate(column) for column in zip(*parts, strict=True))))


def _newcomers(added: Layer, oid: NDArray[np.object_]) -> Provenance:
    n, source = len(added), _source(added)
    return Provenance(
        oid, objects(["*"] * n), source, added.oid, objects([""] * n), np.full(n, np.nan)
    )  # "*": the whole feature


def _joined(one: Provenance, other: Provenance) -> Provenance:
    names = ("oid", "column", "source", "source_oid", "replaced", "score")
    return _sorted(Provenance(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names)))


def _sorted(table: Provenance) -> Provenance:
    order = np.lexsort((table.column.astype(str), table.oid.astype(str)))
    names = ("oid", "column", "source", "source_oid", "replaced", "score")
    return Provenance(*(getattr(table, name)[order] for name in names))


def _source(layer: Layer) -> NDArray[np.object_]:
    return layer.columns["source"] if "source" in layer.columns else objects([layer.name] * len(layer))


def _append(merged: Layer, added: Layer) -> Layer:
    taken = set(merged.oid.tolist())
    oid = []
    for word in added.oid.tolist():
        fresh, k = word, 2
        while fresh in taken:
            fresh, k = f"{word}~{k}", k + 1
        taken.add(fresh)
        oid.append(fresh)
    more = Layer.build(merged.name, merged.frame, oid, added.geometry, dict(added.columns))
    columns = {
        name: np.concatenate([values, more.columns[name] if name in more.columns else _blank(values, len(more))])
        for name, values in merged.columns.items()
    }
    geometry = np.concatenate([merged.geometry, more.geometry])
    return Layer.build(merged.name, merged.frame, np.concatenate([merged.oid, more.oid]), geometry, columns)


def _blank(values: NDArray[Any], n: int) -> NDArray[Any]:
    return np.full(n, np.nan) if values.dtype.kind == "f" else objects([""] * n)


def _outcomes(first: Layer, second: Layer, pairs: Pairs, speaker: Rows, left: Rows) -> list[Outcome]:
    silent = np.setdiff1d(np.arange(len(pairs.first)), speaker)
    words = [
        (str(second.oid[b]), f"并入 {first.oid[a]},以更合者为准 / part of it, another record speaks")
        for a, b in zip(pairs.first[silent].tolist(), pairs.second[silent].tolist(), strict=True)
    ]
    words += [(str(oid), "没有对应的建筑 / meets no building") for oid in second.oid[left].tolist()]
    return [Outcome(oid, "skipped", reason, "fusion") for oid, reason in sorted(words)]
