"""How well models fit what was measured: the distance of roof points to the solid that was built from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.analysis.distance import distance_to_triangles
from twin.meshes import Solids

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Points asked of each building: the root mean square of so many is known to some 5 %.
_ASKED = 200


def fit_rmse(solids: Solids, rows: Integers, seen: Sequence[tuple[Floats, Integers]], n: int) -> Floats:
    """(n,) f8 m: root mean square distance of the roof points of every building to its solid; NaN where it has neither.

    rows     (b,) i8, ascending: the building of every solid
    seen     batches of points (k, 3) f8 m, and the building (k,) i8 of each; of a building with more than 200 points
             an even choice of them counts
    source   point to surface, as in the accuracy figures of published models (Peters et al. 2022, 3DBAG)
    """
    rmse = np.full(n, np.nan)
    if not seen or not len(rows):
        return rmse
    xyz, owner = (np.concatenate(part) for part in zip(*seen, strict=True))
    order = np.argsort(owner, kind="stable")
    xyz, owner = evenly(xyz[order], owner[order], _ASKED)
    place = np.minimum(np.searchsorted(rows, owner), len(rows) - 1)
    built = rows[place] == owner
    xyz, place = xyz[built], place[built]
    off = distance_to_triangles(xyz, place, solids.vertices[solids.faces], solids.face_owner())
    counts = np.bincount(place, minlength=len(rows))
    total = np.bincount(place, weights=off**2, minlength=len(rows))
    some = counts > 0
    rmse[rows[some]] = np.sqrt(total[some] / counts[some])
    return rmse


def evenly(xyz: Floats, owner: Integers, most: int) -> tuple[Floats, Integers]:
    """At most `most` points (k, 3) of every owner (k,), ascending, evenly from their list; fewer are all kept."""
    if not len(owner):
        return xyz, owner
    new = np.append(True, owner[1:] != owner[:-1])
    first = np.flatnonzero(new)
    counts = np.diff(np.append(first, len(owner)))
    group = np.cumsum(new) - 1
    within, of = np.arange(len(owner)) - first[group], counts[group]
    chosen = (of <= most) | ((within * most) // of != ((within - 1) * most) // of)
    return xyz[chosen], owner[chosen]
