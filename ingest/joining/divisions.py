"""Divisions of several days in one layer: each version with the days it was in force, and who succeeded whom."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.reading import Delivery, Reading
from twin.analysis.divisions import succession
from twin.features import Layer, Objects, objects
from twin.lineage import Lineage

DAYS = ("valid_from", "valid_to")
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})")


def validity(columns: dict[str, NDArray[Any]], delivery: Delivery, n: int) -> tuple[dict[str, Objects], list[str]]:
    """(columns valid_from and valid_to (n,) as YYYY-MM-DD, warnings): the file's own days, else the declared ones."""
    found, lines = {}, []
    for name in DAYS:
        words = columns.get(name, objects([""] * n))
        declared = getattr(delivery.source, name)
        days = objects([_iso(str(word)) if word else declared for word in words.tolist()])
        lost = int(np.count_nonzero((words != "") & (days == "")))
        if lost:
            lines.append(f"{delivery.source.name}: column {name}: {lost} values are no day; write YYYY-MM-DD")
        found[name] = days
    return found, lines


def _iso(word: str) -> str:
    found = _DAY.match(word)
    return "-".join((found[1], found[2].zfill(2), found[3].zfill(2))) if found else ""


def by_version(parts: list[Reading]) -> list[Reading]:
    """The same readings; a division that is in force no more gets an oid of its own, code@first day.

    Divisions in force keep the oid that everything else refers to.
    """
    return [replace(part, noun=_versioned(part.noun)) if len(part.noun) else part for part in parts]


def _versioned(layer: Layer) -> Layer:
    start, end = layer.column("valid_from"), layer.column("valid_to")
    if not (end != "").any():
        return layer
    days = zip(layer.oid.tolist(), start.tolist(), end.tolist(), strict=True)
    oid = objects([f"{word}@{first or 'until-' + last}" if last else word for word, first, last in days])
    return replace(layer, oid=oid)


def changes(divisions: Layer) -> list[dict[str, Any]]:
    """Every change of divisions: one row for an old division and a new one that took a part of it, plain JSON values.

    keys    day, level, kind, old, old_name, new, new_name (codes and names), share_old, share_new (0..1, by area)
    """
    own = [word or oid.partition("@")[0] for word, oid in zip(divisions.column("code"), divisions.oid, strict=True)]
    divisions = divisions.with_columns(code=objects(own))
    start, end, level = (divisions.column(name).astype(str) for name in ("valid_from", "valid_to", "division_level"))
    placed = ~shapely.is_missing(divisions.geometry)
    rows: list[dict[str, Any]] = []
    for day in sorted(set(end[end != ""].tolist())):
        for at in sorted(set(level[end == day].tolist())):
            old = divisions.select(placed & (level == at) & (end == day))
            new = divisions.select(placed & (level == at) & (start == day))
            rows += [{"day": day, "level": at} | row for row in _rows(old, new)]
    return rows


def _rows(old: Layer, new: Layer) -> list[dict[str, Any]]:
    table = succession(old, new)
    names = [
        dict(zip(layer.column("code").tolist(), layer.column("name").tolist(), strict=True)) for layer in (old, new)
    ]
    return [
        {
            "kind": str(table.kind[row]),
            "old": str(table.old[row]),
            "old_name": str(names[0][table.old[row]]),
            "new": str(table.new[row]),
            "new_name": str(names[1][table.new[row]]),
            "share_old": round(float(table.share_old[row]), 4),
            "share_new": round(float(table.share_new[row]), 4),
        }
        for row in range(len(table))
    ]


def renewed(
    addresses: Layer, divisions: Layer, rows: list[dict[str, Any]], lineage: Lineage
) -> tuple[Layer, Lineage, int]:
    """(addresses, lineage, how many): a district that is in force no more becomes the one that the address lies in.

    Only its successors count; an address outside all of them keeps the old word. The full text stays as delivered.
    """
    heirs: dict[str, set[str]] = {}
    for row in rows:
        if row["old_name"] != row["new_name"]:
            heirs.setdefault(row["old_name"], set()).add(row["new_name"])
    district = addresses.column("district")
    now = divisions.select((divisions.column("valid_to") == "") & ~shapely.is_missing(divisions.geometry))
    standing = set(now.column("name").tolist())
    stale = np.flatnonzero([word in heirs and word not in standing for word in district.tolist()])
    if not len(stale):
        return addresses, lineage, 0
    point, found = shapely.STRtree(now.geometry).query(addresses.geometry[stale], predicate="intersects")
    words = district.copy()
    for place, name in zip(point.tolist(), now.column("name")[found].tolist(), strict=True):
        if name in heirs[district[stale[place]]]:
            words[stale[place]] = name
    n = int(np.count_nonzero(words != district))
    step = f"{n} districts that are in force no more replaced by their successors"
    return addresses.with_columns(district=words), lineage.step(step) if n else lineage, n
