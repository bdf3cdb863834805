"""Corners that no shape needs, taken out of a partition everywhere at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models_l2.footprints import Rings
from models_l2.shell import Partition, columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_ROUNDS = 20


def tidy(partition: Partition, snap: float) -> Partition:
    """The same faces without corners that only two borders meet at, on a straight line to within `snap` m.

    A corner goes from all faces or from none, so that the faces still meet edge to edge; no face loses its last three.
    """
    rings = partition.rings
    for _ in range(_ROUNDS):
        column, xy, _ = columns(rings)
        needless = _straight(rings, column, xy, snap)
        drop = needless[column]
        few = np.bincount(rings.vertex_ring()[~drop], minlength=len(rings.part)) < 3
        drop &= ~np.isin(column, column[few[rings.vertex_ring()]])
        if not drop.any():
            break
        counts = np.bincount(rings.vertex_ring()[~drop], minlength=len(rings.part))
        rings = replace(rings, xy=rings.xy[~drop], ring=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    return replace(partition, rings=rings)


def _straight(rings: Rings, column: Integers, xy: Floats, snap: float) -> NDArray[np.bool_]:
    """(c,) columns on a straight line between their only two neighbours; of two in a row only the first."""
    count = len(xy)
    after = column[rings.following()]
    low, high = np.minimum(column, after), np.maximum(column, after)
    edge = np.unique(low * count + high)
    low, high = edge // count, edge % count
    degree = np.bincount(low, minlength=count) + np.bincount(high, minlength=count)
    total = np.bincount(low, weights=high, minlength=count) + np.bincount(high, weights=low, minlength=count)
    first = np.full(count, -1)
    first[low], first[high] = high, low
    second = np.where(degree == 2, total.astype(np.int64) - first, 0)
    first = np.where(degree == 2, first, 0)
    a, b = xy[first] - xy, xy[second] - xy
    cross = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    longest = np.sqrt(((a - b) ** 2).sum(axis=1))
    flat = (degree == 2) & (cross < snap * longest) & ((a * b).sum(axis=1) <= 0.0)
    place = np.arange(count)
    earlier = (flat[first] & (first < place)) | (flat[second] & (second < place))
    return np.asarray(flat & ~earlier)
