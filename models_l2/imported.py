"""Buildings that were delivered as models stand as they are; what we would have guessed gives way to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.analysis.shells import CODES, check_shells
from twin.features import Layer, Objects, objects
from twin.meshes import Solids, concatenate
from twin.options import option
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MODEL = "citymodel"
COVERED = 0.5


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What is taken from delivered models, section [l2.imported] of city.toml."""

    lod: float = option(2.0, min=1.0, max=4.0, doc="Least level of detail of a delivered model that is taken; 4: none.")
    snap: bool = option(False, doc="Move delivered models up or down so that their base stands on the relief.")


def cells_of(store: Store, options: ImportOptions) -> dict[str, tuple[str, ...]]:
    """oid -> cells of the delivered model, for every building of it that is detailed enough."""
    found: dict[str, list[str]] = {}
    for cell, solids in store.read_model(MODEL) if store.has("model", MODEL) else ():
        for owner in dict.fromkeys(solids.owner[_enough(solids, options)].tolist()):
            found.setdefault(owner, []).append(cell)
    return {owner: tuple(cells) for owner, cells in found.items()}


def _enough(solids: Solids, options: ImportOptions) -> NDArray[np.bool_]:
    return np.asarray(solids.lod >= round(10.0 * options.lod))


def give_way(layer: Layer, polygons: Objects, known: Mapping[str, object]) -> Objects:
    """(n,) oid of the delivered building of another source that a footprint is modelled by; "" where there is none.

    A footprint gives way to a delivered building that covers at least half of it, or that has its identifier and
    touches it. Two delivered buildings never give way to each other.
    """
    model = np.full(len(layer), "", dtype=object)
    delivered = np.array([oid in known for oid in layer.oid.tolist()], dtype=bool)
    if not delivered.any() or delivered.all():
        return model
    models, others = np.flatnonzero(delivered), np.flatnonzero(~delivered & ~shapely.is_empty(polygons))
    other, near = shapely.STRtree(polygons[models]).query(polygons[others], predicate="intersects")
    a, b = others[other], models[near]
    area = shapely.area(shapely.intersection(polygons[a], polygons[b]))
    names = layer.column("source_id")
    same = (names[a] == names[b]) & (names[a] != "")
    share = area / np.maximum(shapely.area(polygons[a]), 1e-9)
    # The same identifier first, then the largest share; ties go to the smaller oid.
    order = np.lexsort((layer.oid[b].astype(str), -share, ~same, a))
    for k in order[(same | (share >= COVERED))[order]][::-1].tolist():
        model[a[k]] = layer.oid[b[k]]
    return model


def taken(store: Store, cells: Sequence[str], oid: Objects, options: ImportOptions) -> tuple[Solids | None, Integers]:
    """The delivered buildings among `oid` (n,), one solid each with all its parts, and their rows (k,)."""
    place = {name: row for row, name in enumerate(oid.tolist())}
    parts, owners = [], []
    for _, solids in store.read_model(MODEL, cells) if cells else ():
        wanted = np.array([place.get(owner, -1) for owner in solids.owner.tolist()], dtype=np.int64)
        keep = np.flatnonzero((wanted >= 0) & _enough(solids, options))
        parts.append(replace(solids.take(keep), attributes={}))
        owners.append(wanted[keep])
    if not parts or not len(rows := np.concatenate(owners)):
        return None, np.zeros(0, np.int64)
    order = np.argsort(rows, kind="stable")
    return _one_each(concatenate(parts).take(order), rows[order], oid)


def _one_each(solids: Solids, rows: Integers, oid: Objects) -> tuple[Solids, Integers]:
    """Neighbouring solids of one row become one, with the highest of their levels of detail."""
    start = np.flatnonzero(np.diff(rows, prepend=-1) != 0)
    ends = np.append(start, len(rows))
    joined = replace(
        solids,
        oid=oid[rows[start]],
        vertex_offset=solids.vertex_offset[ends],
        face_offset=solids.face_offset[ends],
        lod=np.maximum.reduceat(solids.lod, start),
    )
    return joined, rows[start]


def flags(solids: Solids) -> Objects:
    """(b,) why a delivered model is for display only: the first error of its shell, "" for a valid solid."""
    return objects(
        [
            f"交付模型按面保留 / kept as surfaces: {CODES[code]}" if code else ""
            for code in check_shells(solids).tolist()
        ]
    )


def z_range(solids: Solids) -> tuple[Floats, Floats]:
    """Lowest and highest vertex (b,) of every solid, m."""
    start, z = solids.vertex_offset[:-1], solids.vertices[:, 2]
    return np.minimum.reduceat(z, start), np.maximum.reduceat(z, start)


def moved(solids: Solids, rise: Floats) -> Solids:
    """The solids higher by `rise` (b,) m."""
    lift = np.zeros_like(solids.vertices)
    lift[:, 2] = rise[solids.vertex_owner()]
    return replace(solids, vertices=solids.vertices + lift)
