"""Administrative change: which old division became which new one, and which was in force on a day."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.errors import FrameMismatchError, OptionsError
from twin.features import Layer, objects

_SLIVER = 0.02
_SAME = 0.9


@dataclass(frozen=True, slots=True)
class Succession:
    """One row for every old division and every new one that took a part of it, by old code, largest part first.

    old, new            (k,) codes
    share_old           (k,) share of the old area that lies in the new, 0..1
    share_new           (k,) share of the new area that came from the old, 0..1
    kind                (k,) same (code, name and place kept), renamed (place kept, code or name new), split (the old
                        went to several), merged (the old went whole into a new one that has more)
    """

    old: NDArray[np.object_]
    new: NDArray[np.object_]
    share_old: NDArray[np.float64]
    share_new: NDArray[np.float64]
    kind: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.old)


def succession(old: Layer, new: Layer, sliver: float = _SLIVER, same: float = _SAME) -> Succession:
    """What became of every old division, by common area; invalid polygons are repaired for the comparison.

    sliver  parts below this share of both areas are differences of drawing, not change
    same    share of both areas from which two divisions are one place
    raises  FrameMismatchError where the layers lie in different frames
    """
    if old.frame != new.frame:
        raise FrameMismatchError("old and new divisions lie in different frames; bring both into one")
    before, after = (_valid(layer) for layer in (old, new))
    a, b = shapely.STRtree(after).query(before, predicate="intersects")
    common = shapely.area(shapely.intersection(before[a], after[b]))
    share_old = common / np.maximum(shapely.area(before[a]), 1e-9)
    share_new = common / np.maximum(shapely.area(after[b]), 1e-9)
    keep = np.maximum(share_old, share_new) >= sliver
    a, b, share_old, share_new = a[keep], b[keep], share_old[keep], share_new[keep]
    kind = _kinds(old, new, (a, b), (share_old, share_new), (sliver, same))
    codes, heirs = old.column("code")[a], new.column("code")[b]
    order = np.lexsort((heirs.astype(str), -share_old, codes.astype(str)))
    return Succession(codes[order], heirs[order], share_old[order], share_new[order], kind[order])


def _valid(layer: Layer) -> NDArray[np.object_]:
    return shapely.make_valid(layer.geometry, method="structure", keep_collapsed=False)


def _kinds(
    old: Layer,
    new: Layer,
    rows: tuple[NDArray[np.intp], NDArray[np.intp]],
    shares: tuple[NDArray[np.float64], NDArray[np.float64]],
    limits: tuple[float, float],
) -> NDArray[np.object_]:
    (a, b), (share_old, share_new), (sliver, same) = rows, shares, limits
    parts = np.bincount(a, weights=share_old >= sliver, minlength=len(old))
    whole = (share_old >= same) & (share_new >= same)
    named = (old.column("name")[a] == new.column("name")[b]) & (old.column("code")[a] == new.column("code")[b])
    split = (parts[a] > 1) & (share_old < same)
    return objects(np.select([whole & named, whole, split], ["same", "renamed", "split"], "merged").tolist())


def versions(deliveries: list[tuple[Layer, str]]) -> Layer:
    """All deliveries in one layer, each division valid from the day of its delivery to the day of the next.

    deliveries  (divisions, first day YYYY-MM-DD) in order of time
    returns     columns `valid_from`, `valid_to` ("" still in force) beside the declared ones; oid = code@first day. A
                division that the next delivery repeats (code, name, exact geometry) goes on in one version.
    """
    frame = deliveries[0][0].frame
    rows: dict[str, tuple[Layer, int, str, str]] = {}
    current: dict[str, tuple[str, bytes, str]] = {}
    for layer, day in deliveries:
        shapes = shapely.to_wkb(shapely.normalize(layer.geometry))
        coming: dict[str, tuple[str, bytes, str]] = {}
        for row, code in enumerate(layer.column("code").tolist()):
            name, was = layer.column("name")[row], current.get(code)
            if was is not None and was[:2] == (name, shapes[row]):
                coming[code] = was
                continue
            oid = f"{code}@{day}"
            rows[oid] = (layer, row, day, "")
            coming[code] = (name, shapes[row], oid)
        for code, was in current.items():
            if coming.get(code) != was:
                rows[was[2]] = (*rows[was[2]][:3], day)
        current = coming
    columns = {
        name: objects([layer.column(name)[row] for layer, row, _, _ in rows.values()])
        for name in ("code", "name", "name_en", "division_level", "parent", "attributes")
    }
    columns["valid_from"] = objects([start for _, _, start, _ in rows.values()])
    columns["valid_to"] = objects([end for _, _, _, end in rows.values()])
    geometry = objects([layer.geometry[row] for layer, row, _, _ in rows.values()])
    return Layer.build("division", frame, list(rows), geometry, columns).sort()


def in_force(divisions: Layer, day: str) -> Layer:
    """The divisions that were in force on a day (YYYY-MM-DD); those that still are where `day` is "".

    raises  OptionsError where `day` is no day
    """
    blank = np.full(len(divisions), "")
    start, end = (divisions.columns.get(name, blank).astype(str) for name in ("valid_from", "valid_to"))
    if not day:
        return divisions.select(end == "")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
        raise OptionsError(f"{day!r} is no day; write YYYY-MM-DD")
    return divisions.select((start <= day) & ((end == "") | (day < end)))
