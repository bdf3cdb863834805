"""Cells that are as they were: their solids are taken from the model that is there instead of being raised again.

Everything that decides about the solids of a cell goes into one digest: outlines, ground, heights, roofs, options, and
the windows of relief, surface model and points around it. Equal digests mean equal solids, to the byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.blocks import L2Options
from models_l2.ground import bounds_of, meets, read_relief
from models_l2.ladder import KEPT, Raised, RaiseJob, raise_block
from twin import __version__
from twin.meshes import Solids
from twin.options import as_table
from twin.store.protocol import Store

Integers = NDArray[np.int64]

MODEL, DOCUMENT = "l2", "l2_cells"
# Goes up when the same inputs give other solids.
MAKE = 1


@dataclass(frozen=True, slots=True)
class Known:
    """What the cells of the model that is there were raised from: digest -> cell; empty where that is not known."""

    cells: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A block up to date: its solids, what every cell was raised from, and how many cells were left as they were."""

    raised: Raised
    digests: Mapping[str, str]
    kept: int


@dataclass(frozen=True, slots=True)
class RefreshJob:
    """What one worker needs to bring a block up to date."""

    job: RaiseJob
    known: Known


def known_cells(store: Store) -> Known:
    """What is known of the model in the store; nothing where the note belongs to another model."""
    if not (store.has("model", MODEL) and store.has("document", DOCUMENT)):
        return Known()
    note = store.read_document(DOCUMENT)
    if note.get("model") != store.item("model", MODEL).digest:
        return Known()
    return Known({digest: cell for cell, digest in note["cells"].items()})


def note_cells(store: Store, digests: Mapping[str, str]) -> None:
    """Remember what every cell of the model that is there now was raised from."""
    store.write_document(DOCUMENT, {"model": store.item("model", MODEL).digest, "cells": dict(digests)})


def refresh(work: RefreshJob) -> Refreshed:
    """The block with the cells that changed raised anew and the others as they are."""
    job = work.job
    cells = {name: np.flatnonzero(job.cell == name) for name in dict.fromkeys(job.cell.tolist())}
    digests = {name: digest_of(taken(job, rows)) for name, rows in cells.items()}
    kept = {name for name, digest in digests.items() if work.known.cells.get(digest) == name}
    there = dict(job.store.read_model(MODEL, kept)) if kept else {}
    kept = {name for name in kept if _whole(there.get(name), job.oid[cells[name]])}
    stale = [rows for name, rows in cells.items() if name not in kept]
    raised = Raised.nothing(len(job.oid))
    batches = {name: there[name] for name in kept}
    if stale:
        rows = np.concatenate(stale)
        part = raise_block(taken(job, rows))
        raised.put(rows, part)
        batches |= dict(part.batches)
    for name in kept:
        raised.put(cells[name], remembered(there[name]))
    ordered = tuple((name, _plain(batches[name])) for name in cells if name in batches)
    return Refreshed(replace(raised, batches=ordered), digests, len(kept))


def taken(job: RaiseJob, rows: Integers) -> RaiseJob:
    """The job of some of its buildings."""
    per_building = ("polygons", "oid", "cell", "height", "shape", "eave")
    columns = {name: getattr(job, name)[rows] for name in per_building}
    attributes = {key: values[rows] for key, values in job.attributes.items()}
    return replace(job, **columns, stand=job.stand.take(rows), roofs=job.roofs.take(rows), attributes=attributes)


def digest_of(job: RaiseJob) -> str:
    """One hash (BLAKE2b-128) of everything that the solids of a job's buildings depend on."""
    found = hashlib.blake2b(digest_size=16)
    found.update(_options(job.options))
    for column in (job.oid, job.shape, job.roofs.kind):
        found.update("\0".join(column.tolist()).encode())
    found.update(b"".join(shapely.to_wkb(job.polygons).tolist()))
    stand = [getattr(job.stand, item.name) for item in fields(job.stand)]
    numbers = [*stand, job.height, job.eave, job.roofs.slope]
    for values in numbers:
        found.update(np.ascontiguousarray(values).tobytes())
    for name, values in sorted(job.attributes.items()):
        found.update(name.encode())
        found.update(values.tobytes() if values.dtype.kind == "f" else "\0".join(values.tolist()).encode())
    for window in _windows(job):
        found.update(window)
    return found.hexdigest()


def _options(options: L2Options) -> bytes:
    return json.dumps([MAKE, __version__, as_table(options)], sort_keys=True, default=str).encode()


def _windows(job: RaiseJob) -> list[bytes]:
    """The relief around the buildings, and the points and cells that the shapes of their roofs are taken from."""
    bounds, store = bounds_of(job.polygons), job.store
    relief = read_relief(store, bounds)[1]
    found = [repr(relief.geobox.affine).encode(), np.ascontiguousarray(relief.values).tobytes()]
    if job.models:
        found.append(store.item("model", "citymodel").digest.encode())
    if (job.shape == "pointcloud").any():
        cloud = store.read_points("points", bounds=bounds)
        found += [np.ascontiguousarray(cloud.xyz).tobytes(), cloud.classification.tobytes()]
    if (job.shape == "dsm").any() and meets(store.raster_box("dsm"), bounds):
        dsm = store.read_raster("dsm", bounds=bounds)
        found += [repr(dsm.geobox.affine).encode(), np.ascontiguousarray(dsm.values).tobytes()]
    return found


def _whole(solids: Solids | None, oid: NDArray[np.object_]) -> bool:
    """True where every building of a cell has its solid there; a building without one is tried again."""
    if solids is None or not set(KEPT).issubset(solids.attributes):
        return False
    return len(solids) == len(oid) and bool((solids.oid == oid).all())


def remembered(solids: Solids) -> Raised:
    """What was known about the buildings of a cell when their solids were raised."""
    columns: dict[str, Any] = {name: solids.attributes[name] for name in KEPT}
    columns["hulled"] = columns["hulled"] > 0.0
    n = len(solids)
    columns["delivered"] = columns["roof"] == "model"
    heights = {name: solids.attributes[name] for name in ("base_z", "roof_z", "ridge_z")}
    return replace(Raised.nothing(n), lod=solids.lod.astype(np.int64), **heights, **columns)


def _plain(solids: Solids) -> Solids:
    """The same solids without the memory of the file they came from; a skin of nothing is none."""
    return replace(solids, skin=None if solids.skin is None or solids.skin.is_bare else solids.skin)
