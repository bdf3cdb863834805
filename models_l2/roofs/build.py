"""Roofs of a batch by their types; where one cannot be built the next simpler one is, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_l2.footprints import Rings
from models_l2.roofs.card import Registry, RoofBatch, TypeOptions, origins
from models_l2.roofs.grid import on_grid
from models_l2.shell import Partition
from twin.features import Objects

Integers = NDArray[np.int64]

UNSOUND = "屋面不能严密铺满轮廓 / its faces do not tile the footprint"


@dataclass(frozen=True, slots=True)
class Roofed:
    """Roofs of n buildings.

    partition   their faces under planes; buildings without any own none
    built       (n,) str, type that was built, "" for none
    reason      (n,) str, why it is not the one that was asked for, "" where it is
    """

    partition: Partition
    built: Objects
    reason: Objects


def build_roofs(batch: RoofBatch, kind: Objects, types: Registry, options: TypeOptions, snap: float) -> Roofed:
    """Every building under the roof type it asks for, or the nearest simpler one that can be built.

    kind     (n,) str, names of roof types; "" for none          snap   m, the grid that outlines are rounded to
    raises   NotFoundError for a name that no type has
    """
    n = len(batch)
    built, reason, trying = (np.full(n, "", dtype=object) for _ in range(3))
    trying[:] = kind
    parts: list[tuple[Partition, Integers]] = []
    while (trying != "").any():
        for name in sorted(set(trying[trying != ""].tolist())):
            rows = np.flatnonzero(trying == name)
            some = batch.take(rows)
            drawn = types[name].roof(some, options)
            partition, bad = on_grid(drawn, some.rings, snap)
            refused = np.where(bad, UNSOUND, drawn.refused)
            good = refused == ""
            built[rows[good]] = name
            parts.append((partition, rows))
            trying[rows] = np.where(good, "", types[name].card.simpler)
            for row, why in zip(rows[~good].tolist(), refused[~good].tolist(), strict=True):
                reason[row] = _told(reason[row], name, types, why)
    return Roofed(_merged(parts, origins(batch.rings)), built, reason)


def _told(before: str, name: str, types: Registry, why: str) -> str:
    """One more type that could not be built."""
    said = f"{types[name].card.name_zh} {name}: {why}"
    return f"{before}; {said}" if before else said


def _merged(parts: list[tuple[Partition, Integers]], origin: NDArray[np.float64]) -> Partition:
    """One partition of several, whose buildings stand in the rows given."""
    counts = np.cumsum([0] + [len(p.plane) for p, _ in parts])
    xy = np.concatenate([np.zeros((0, 2)), *(p.rings.xy for p, _ in parts)])
    sizes = np.concatenate([np.zeros(0, np.int64), *(np.diff(p.rings.ring) for p, _ in parts)])
    owner = np.concatenate([np.zeros(0, np.int64), *(rows[p.rings.owner] for p, rows in parts)])
    face = np.concatenate(
        [np.zeros(0, np.int64), *(p.rings.part + c for (p, _), c in zip(parts, counts, strict=False))]
    )
    plane = np.concatenate([np.zeros((0, 3)), *(p.plane for p, _ in parts)])
    order = np.argsort(owner, kind="stable")
    start, sizes = (np.cumsum(sizes) - sizes)[order], sizes[order]
    shift = np.cumsum(sizes) - sizes
    vertex = np.repeat(start - shift, sizes) + np.arange(int(sizes.sum()))
    face = face[order]
    first = np.append(True, face[1:] != face[:-1]) if len(face) else np.zeros(0, bool)
    rings = Rings(
        xy[vertex],
        np.append(0, np.cumsum(sizes)).astype(np.int64),
        np.cumsum(first) - 1,
        owner[order],
        len(origin),
    )
    return Partition(rings, plane[face[first]], origin)
