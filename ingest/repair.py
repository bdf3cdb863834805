"""Shapes and numbers that no building can have: mended where a rule can, named where it cannot."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from twin.features import Objects
from twin.outcome import Outcome

POLYGON_CLASSES = frozenset({"building", "water", "green", "landuse", "division", "population"})
POINT_CLASSES = frozenset({"address", "facility", "tree", "furniture"})
LINE_CLASSES = frozenset({"pipe"})
SINGLE_CLASSES = frozenset({"building", "road", "railway", "river", "pipe"})

RANGES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "building": {"height": (1.0, 700.0), "eave_height": (0.5, 700.0), "storeys": (1.0, 200.0)},
    "road": {"width": (0.3, 300.0), "lanes": (1.0, 30.0)},
    "railway": {"width": (0.5, 300.0), "tracks": (1.0, 40.0)},
    "river": {"width": (0.1, 20_000.0), "depth": (0.0, 500.0)},
    "tree": {"height": (0.3, 130.0), "crown": (0.1, 60.0), "trunk": (0.01, 12.0)},
    "pipe": {"diameter": (5.0, 15_000.0)},
    "furniture": {"height": (0.05, 100.0)},
}
UNITS = {"storeys": "", "lanes": "", "tracks": "", "diameter": " mm"}

LONGEST = 255
_DUST_SHARE = 0.05
_MANY = 65_536  # shapes from which on a second thread is worth its start
_POINTS, _LINES, _AREAS = (0, 4), (1, 2, 5), (3, 6)
_ALLOWED = (
    dict.fromkeys(POLYGON_CLASSES, _AREAS)
    | dict.fromkeys(LINE_CLASSES, _LINES)
    | dict.fromkeys(("road", "railway", "river"), (*_AREAS, *_LINES))
)


@dataclass(frozen=True, slots=True)
class Mended:
    """Geometries after repair.

    row         (k,) the row each came from; a row may give none or several
    oid         (k,) unique identifiers, parts after the first carry "~2", "~3" ...
    geometry    (k,) valid shapely geometries
    outcomes    one for every row that was changed or lost
    invalid     rows whose delivered geometry was invalid
    """

    row: NDArray[np.intp]
    oid: Objects
    geometry: Objects
    outcomes: tuple[Outcome, ...]
    invalid: int


def stable_oids(source: str, name: str, ids: Objects | None, geometry: Objects) -> Objects:
    """Identifiers (n,) that survive a rebuild: the source's own, else a hash of source name and place.

    ids         (n,) text or None; a mere number gets the class in front, so that road 17 is not building 17; a text of
                more than LONGEST characters is none for a link or a table of tiles, its hash stands for it
    geometry    (n,) in the frame; the place is the centre of the bounding box, to 0.1 m
    """
    own = ids if ids is not None else np.full(len(geometry), "", dtype=object)
    words = pa.array(own, type=pa.large_string())
    numbered = pc.binary_join_element_wise(pa.scalar(f"{name}-", words.type), words, pa.scalar("", words.type))
    plain = pc.ascii_is_decimal(words)
    result = pc.if_else(plain, numbered, words).to_numpy(zero_copy_only=False)
    # Digits of other scripts are rare, and Arrow's notion of them is not Python's.
    for row in np.flatnonzero(pc.and_not(pc.utf8_is_numeric(words), plain).to_numpy(zero_copy_only=False)).tolist():
        result[row] = f"{name}-{own[row]}" if own[row].isdigit() else own[row]
    for row in np.flatnonzero(pc.greater(pc.utf8_length(words), LONGEST).to_numpy(zero_copy_only=False)).tolist():
        result[row] = _digest(own[row], name)
    blank = np.flatnonzero(result == "")
    if len(blank):
        boxes = shapely.bounds(geometry[blank])
        centre = np.round(np.column_stack([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]]) * 5.0) + 0.0
        result[blank] = [_digest(f"{source}|{x:.0f}|{y:.0f}", name) for x, y in centre.tolist()]
    return result


def _digest(text: str, name: str) -> str:
    return f"{name}-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Unique:
    """Identifiers without repeats.

    oid         (n,) a repeated one carries "~2", "~3" ... in the order of delivery
    keep        (n,) bool, False for a feature that is delivered again
    outcomes    one for every row that was left out, and for every one renamed that is no point
    shared      points without an id of the source at the place of another; each is a feature of its own
    """

    oid: Objects
    keep: NDArray[np.bool_]
    outcomes: list[Outcome]
    shared: int

    def lines(self, shown: str) -> list[str]:
        """What the person who delivered `shown` should know."""
        if not self.shared:
            return []
        return [
            f"{shown}: points without an id at the place of another: {self.shared}; each is kept, numbered in "
            "the order of delivery (columns = { source_id = ... } names a column of ids)"
        ]


def unique_oids(name: str, oid: Objects, geometry: Objects, columns: Mapping[str, NDArray[Any]], stage: str) -> Unique:
    """Identifiers of class `name` without repeats.

    oid, geometry   (n,) as `stable_oids` gave them, and the shapes
    columns         (n,) each; what is known of the features
    rule            with an id of the source the same id and shape is the same feature; without one an area or a line is
                    the same where its columns are the same too, a point never is: flats and addresses share places
    """
    nothing = Unique(oid, np.ones(len(oid), dtype=bool), [], 0)
    inverse, words = pd.factorize(oid)
    if len(words) == len(oid):
        return nothing
    rows = np.flatnonzero(np.bincount(inverse)[inverse] > 1)
    placed = _from_place(name, oid[rows])
    point = placed & (shapely.get_type_id(geometry[rows]) == 0)
    same = _classes([inverse[rows], shapely.to_wkb(geometry[rows])])
    same = np.where(placed, _classes([same, *(values[rows] for values in columns.values())]) + len(rows), same)
    again = pd.Series(same).duplicated().to_numpy() & ~point
    keep = nothing.keep
    keep[rows[again]] = False
    renamed = ~again & pd.Series(inverse[rows]).duplicated().to_numpy()
    result, outcomes = oid.copy(), []
    result[rows[renamed]] = _numbered(oid[rows[renamed]], set(words.tolist()))
    for row, lost, place in zip(rows.tolist(), again.tolist(), placed.tolist(), strict=True):
        if lost:
            why = f"重复要素 / repeated feature: row {row + 1}"
            outcomes.append(Outcome(str(oid[row]), "skipped", why, stage))
        elif result[row] != oid[row] and not place:
            why = f"标识重复,改名 / id {oid[row]} repeats, renamed"
            outcomes.append(Outcome(str(result[row]), "fallback", why, stage))
    for row in rows[renamed & placed & ~point].tolist():
        why = f"同位置另有要素 / no id, and at the place of {oid[row]}"
        outcomes.append(Outcome(str(result[row]), "fallback", why, stage))
    return Unique(result, keep, outcomes, int((renamed & point).sum()))


def _from_place(name: str, oid: Objects) -> NDArray[np.bool_]:
    """(n,) True where the identifier is the hash of a place."""
    words = pa.array(oid, type=pa.large_string())
    pattern = rf"^{re.escape(name)}-[0-9a-f]{{16}}(~\d+)?$"
    return np.asarray(pc.match_substring_regex(words, pattern).to_numpy(zero_copy_only=False), dtype=bool)


def _classes(columns: list[NDArray[Any]]) -> NDArray[np.int64]:
    """(n,) a number for every row that equal rows of all columns share; missing equals missing."""
    found = np.zeros(len(columns[0]), dtype=np.int64)
    for values in columns:
        codes, _ = pd.factorize(values, use_na_sentinel=True)
        found, _ = pd.factorize(found * (len(values) + 1) + codes + 1)
    return found.astype(np.int64)


def _numbered(words: Objects, taken: set[str]) -> list[str]:
    """Each word with the next "~k" that is free, from 2 on."""
    last: dict[str, int] = {}
    fresh = []
    for word in words.tolist():
        k = last.get(word, 1) + 1
        while f"{word}~{k}" in taken:
            k += 1
        last[word] = k
        fresh.append(f"{word}~{k}")
    return fresh


def mend(name: str, oid: Objects, geometry: Objects, stage: str, points: bool = False) -> Mended:
    """Valid geometries of the right dimension for class `name`, one polygon or line a row where the class wants it.

    oid, geometry   (n,), oids unique; geometry may hold None, empty, invalid or multi-part shapes
    rule            self-crossing rings through make_valid by structure; parts below 5 % of a shape are dust and go;
                    what then still has several parts is split, largest first, where the class is of single shapes
    points          points stay as they are, whatever the class wants
    """
    shapes = geometry.copy()
    usable = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    absent = ("skipped", "没有几何 / no geometry")
    reasons: dict[int, tuple[str, str]] = dict.fromkeys(np.flatnonzero(~usable).tolist(), absent)
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    usable[owner[~(np.isfinite(xy[:, 0]) & np.isfinite(xy[:, 1]))]] = False
    for row in np.flatnonzero(~usable).tolist():
        reasons.setdefault(row, ("skipped", "坐标无效 / a coordinate is no number"))
    bad = usable & ~_are_valid(shapes)
    settled = _run_anticlockwise(shapes, xy, owner) & ~bad
    invalid = np.flatnonzero(bad)
    if len(invalid):
        why = shapely.is_valid_reason(shapes[invalid])
        shapes[invalid] = shapely.make_valid(shapes[invalid], method="structure", keep_collapsed=False)
        for row, word in zip(invalid.tolist(), why.tolist(), strict=True):
            reasons[row] = ("fallback", f"几何已修复 / repaired: {_plain_reason(word)}")
    pointed = usable & (shapely.get_type_id(shapes) == 0) & points
    rows, parts = _parts(name, shapes, usable & ~pointed, reasons)
    rows, parts = np.concatenate([rows, np.flatnonzero(pointed)]), np.concatenate([parts, shapes[pointed]])
    order = np.argsort(rows, kind="stable")
    rows, parts = rows[order], parts[order]
    ids, split = _part_oids(oid, rows)
    for row in split:
        if reasons.get(row, ("", ""))[0] != "fallback":
            reasons[row] = ("fallback", "多部件已拆分 / split into its parts")
    outcomes = tuple(Outcome(str(oid[row]), status, text, stage) for row, (status, text) in sorted(reasons.items()))  # type: ignore[arg-type]
    turned = np.flatnonzero(~settled[rows])
    parts[turned] = shapely.orient_polygons(parts[turned])
    return Mended(rows, ids, parts, outcomes, len(invalid))


def _are_valid(shapes: Objects) -> NDArray[np.bool_]:
    """Validity (n,); GEOS lets go of the interpreter, so two cores look at a half each."""
    if len(shapes) < _MANY:
        return np.asarray(shapely.is_valid(shapes))
    with ThreadPoolExecutor(2) as pool:
        return np.concatenate(list(pool.map(shapely.is_valid, np.array_split(shapes, 2))))


def _run_anticlockwise(shapes: Objects, xy: NDArray[np.float64], owner: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Rows (n,) that are polygons without holes whose ring surely runs anticlockwise; the rest has to be looked at.

    xy, owner   all vertices (k, 2) and the row of each (k,), ascending
    source      area of a polygon by the shoelace formula, from its first vertex so that no digits are lost
    """
    result = np.zeros(len(shapes), dtype=bool)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    if not len(starts):
        return result
    x, y = (axis - np.repeat(axis[starts], np.diff(starts, append=len(owner))) for axis in xy.T)
    with np.errstate(invalid="ignore", over="ignore"):
        cross = x[:-1] * y[1:] - x[1:] * y[:-1]
        # From the last vertex of a ring to the first of the next nothing is added: both are the origin of theirs.
        twice = np.add.reduceat(np.append(cross, 0.0), starts)
        size = np.add.reduceat(np.append(np.abs(cross), 0.0), starts)
        result[owner[starts]] = twice > 1e-9 * size
    return result & (shapely.get_type_id(shapes) == 3) & (shapely.get_num_interior_rings(shapes) == 0)


def _plain_reason(word: str) -> str:
    found = re.match(r"(.*)\[(\S+) (\S+)\]$", word)
    return f"{found[1].lower()} at {float(found[2]):.2f}, {float(found[3]):.2f}" if found else word.lower()


def _parts(
    name: str, shapes: Objects, usable: NDArray[np.bool_], reasons: dict[int, tuple[str, str]]
) -> tuple[NDArray[np.intp], Objects]:
    kinds = shapely.get_type_id(shapes)
    if name in POINT_CLASSES:
        rows = np.flatnonzero(usable)
        points = shapes[rows].copy()
        flat = kinds[rows] != 0
        points[flat] = shapely.point_on_surface(points[flat])
        return rows, points
    allowed = _ALLOWED.get(name)
    if allowed is None:
        rows = np.flatnonzero(usable)
        return rows, shapes[rows]
    simple = usable & np.isin(kinds, [k for k in allowed if k < 4 or name not in SINGLE_CLASSES])
    rest = np.flatnonzero(usable & ~simple)
    rows, parts = np.flatnonzero(simple), shapes[simple]
    if len(rest):
        more_rows, more = _explode(shapes, rest, allowed, single=name in SINGLE_CLASSES)
        for row in np.setdiff1d(rest, more_rows).tolist():
            reasons[row] = ("skipped", f"几何类型不符或面积为零 / no area or line left of a {shapes[row].geom_type}")
        rows, parts = np.concatenate([rows, more_rows]), np.concatenate([parts, more])
    alive = np.where(np.isin(shapely.get_type_id(parts), _AREAS), shapely.area(parts), shapely.length(parts)) > 1e-6
    for row in rows[~alive].tolist():
        reasons[row] = ("skipped", "面积或长度为零 / zero area or length")
    return rows[alive], parts[alive]


def _explode(
    shapes: Objects, rest: NDArray[np.intp], allowed: tuple[int, ...], single: bool
) -> tuple[NDArray[np.intp], Objects]:
    parts, owner = shapely.get_parts(shapely.get_parts(shapes[rest]), return_index=True)
    first = np.repeat(np.arange(len(rest)), shapely.get_num_geometries(shapes[rest]))
    rows = rest[first[owner]]
    keep = np.isin(shapely.get_type_id(parts), allowed)
    rows, parts = rows[keep], parts[keep]
    size = np.where(np.isin(shapely.get_type_id(parts), _AREAS), shapely.area(parts), shapely.length(parts))
    if not single:
        kept = np.unique(rows)
        joined = np.empty(len(kept), dtype=object)
        joined[:] = [shapely.multipolygons(parts[rows == row]) for row in kept.tolist()]
        return kept, joined
    total = np.bincount(rows, weights=size, minlength=len(shapes))
    keep = size >= _DUST_SHARE * total[rows]
    rows, parts, size = rows[keep], parts[keep], size[keep]
    order = np.lexsort((-size, rows))
    return rows[order], parts[order]


def _part_oids(oid: Objects, rows: NDArray[np.intp]) -> tuple[Objects, list[int]]:
    ids = oid[rows].copy()
    again = np.flatnonzero(rows[1:] == rows[:-1]) + 1 if len(rows) else np.array([], dtype=np.intp)
    if not len(again):
        return ids, []
    ids[again] = _numbered(oid[rows[again]], set(oid.tolist()))
    return ids, sorted(set(rows[again].tolist()))


def check_ranges(
    name: str, oid: Objects, columns: dict[str, NDArray[Any]], stage: str
) -> tuple[dict[str, NDArray[Any]], list[Outcome], dict[str, int]]:
    """(columns with impossible numbers set to missing, an Outcome for each, zeros by column).

    Zero is a bureau's word for missing: it is emptied too, but only counted.
    """
    result, outcomes, zeros = dict(columns), [], {}
    for column, (low, high) in RANGES.get(name, {}).items():
        values = columns.get(column)
        if values is None:
            continue
        zero = values == 0.0
        if zero.any():
            zeros[column] = int(np.count_nonzero(zero))
        out = ~np.isnan(values) & ~zero & ((values < low) | (values > high))
        unit = UNITS.get(column, " m")
        outcomes += [
            Outcome(
                str(oid[row]),
                "fallback",
                f"{column} {values[row]:g}{unit} 超出 {low:g}–{high:g},置空 / out of range, set to missing",
                stage,
            )
            for row in np.flatnonzero(out).tolist()
        ]
        result[column] = np.where(out | zero, np.nan, values)
    return result, outcomes, zeros
