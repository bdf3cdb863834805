"""Every building at the highest level of detail that its evidence allows; an attempt that fails steps down one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_l2 import footprints, imported, validity
from models_l2.blocks import L2Options, texts
from models_l2.extrude import LOD, extrude
from models_l2.fit.roofs import Cut, Fitted, fit_roofs
from models_l2.fitness import fit_rmse
from models_l2.footprints import from_polygons
from models_l2.ground import Stand, bounds_of, ground_gap, meets, read_relief, stand
from models_l2.heights import dsm_points, roof_points
from models_l2.roofs import ROOFS, build_roofs
from models_l2.roofs.choice import Choice, batch_of
from models_l2.shell import raise_partition
from twin.features import Objects, objects
from twin.frames import Frame
from twin.grid import Raster
from twin.meshes import Solids, Surface, concatenate
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PLANES, LEVELS = 22, 13
# Roof types that a prism shows as well.
FLAT = ("", "flat")
# What is known of a building beside its solid, kept with it, so that a cell that did not change need not be raised.
KEPT = ("stepped", "roof", "hulled", "eave_z", "gap", "fit_rmse")


@dataclass(frozen=True, slots=True)
class RaiseJob:
    """What one worker needs to raise a block; arrays (n,) in the order of the block.

    shape   (n,) str, what the shape of the roof may be taken from: "pointcloud", "dsm" or ""
    roofs   what the source or a rule says of the roofs that nothing measured
    eave    (n,) f8 m above ground, NaN where eaves are not known on their own
    models  cells of model `citymodel` that hold buildings of the block
    """

    store: Store
    frame: Frame
    polygons: Objects
    oid: Objects
    cell: Objects
    stand: Stand
    height: Floats
    shape: Objects
    roofs: Choice
    eave: Floats
    options: L2Options
    attributes: Mapping[str, NDArray[Any]]
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Raised:
    """The solids of a block, and what is to be known about its buildings (n,).

    batches   (cell, solids), sorted by cell, then oid
    lod       (n,) i8, level of detail times ten; 0 without a solid
    stepped   (n,) str, why a building with roof evidence has a lower level than it asked for
    roof      (n,) str, "model" as delivered, "planes" or "levels" as measured, else the type built by attribute or rule
    code      (n,) val3dity error that no fallback mended, 0 where there is a solid
    hulled    (n,) bool, the convex hull stands in for the outline
    roof_z    (n,) f8 m, the level roof of LoD1.2           eave_z, ridge_z   (n,) f8 m, lowest and highest roof
    gap       (n,) f8 m, base above the relief
    fit_rmse  (n,) f8 m, root mean square distance of roof points or DSM cells to the solid; NaN where none were asked
    delivered (n,) bool, the solid is that of a delivered model
    """

    batches: tuple[tuple[str, Solids], ...]
    lod: Integers
    stepped: Objects
    roof: Objects
    code: Integers
    hulled: NDArray[np.bool_]
    base_z: Floats
    roof_z: Floats
    eave_z: Floats
    ridge_z: Floats
    gap: Floats
    fit_rmse: Floats
    delivered: NDArray[np.bool_]

    @staticmethod
    def nothing(n: int) -> Raised:
        """n buildings of which nothing has been raised yet."""
        unknown = (np.full(n, np.nan) for _ in range(6))
        texts_of = (np.full(n, "", dtype=object) for _ in range(2))
        none = np.zeros(n, bool)
        return Raised((), np.zeros(n, np.int64), *texts_of, np.zeros(n, np.int64), none, *unknown, none.copy())

    def put(self, rows: Integers, part: Raised) -> None:
        """Take over what is known about the buildings `rows` (k,), in place."""
        for item in fields(Raised)[1:]:
            getattr(self, item.name)[rows] = getattr(part, item.name)


def raise_block(job: RaiseJob) -> Raised:
    """Closed solids of the buildings of one block: LoD2.2 and 1.3 where roofs are measured, LoD1.2 elsewhere.

    Outlines that fail at every level are tried again as their convex hulls.
    """
    n = len(job.polygons)
    whole = read_relief(job.store, bounds_of(job.polygons))[1]
    raised = replace(Raised.nothing(n), base_z=job.stand.base_z.copy(), roof_z=_roofs(job, job.stand))
    parts: list[Solids] = []
    placed: list[Integers] = []
    seen: list[tuple[Floats, Integers]] = []
    _delivered(job, raised, parts, placed)
    for source in ("pointcloud", "dsm"):
        fitted, asked = _fitted(job, source, raised, seen)
        if fitted is None:
            continue
        raised.stepped[asked] = fitted.reason
        for cut, lod, name in ((fitted.planes, PLANES, "planes"), (fitted.levels, LEVELS, "levels")):
            if 10.0 * job.options.lod >= lod:
                _try(job, raised, replace(cut, rows=asked[cut.rows]), lod, parts, placed)
                raised.roof[(raised.lod == lod) & (raised.roof == "")] = name
    if 10.0 * job.options.lod >= PLANES:
        _ruled(job, raised, parts, placed)
    _blocks(job, raised, whole, parts, placed)
    solids, rows = concatenate(parts), np.concatenate(placed)
    order = np.argsort(rows, kind="stable")
    solids, rows = solids.take(order), rows[order]
    ours = np.flatnonzero(~raised.delivered[rows])
    # The last digits depend on the window of the relief that was read; a micrometre does not.
    raised.gap[rows[ours]] = np.round(ground_gap(solids.take(ours), whole), 6) + 0.0
    raised.eave_z[rows[ours]], raised.ridge_z[rows[ours]] = _roof_range(solids.take(ours))
    raised.fit_rmse[:] = fit_rmse(solids, rows, seen, n)
    attributes = {
        **job.attributes, "base_z": raised.base_z, "ground_z": job.stand.ground_z, "roof_z": raised.roof_z,
        "ridge_z": raised.ridge_z, **{name: getattr(raised, name) for name in KEPT},
    }  # fmt: skip
    attributes["hulled"] = raised.hulled.astype(np.float64)
    attributes |= _as_delivered(job, raised)
    solids = replace(solids, attributes={key: values[rows] for key, values in attributes.items()})
    return replace(raised, batches=tuple(_by_cell(solids, job.cell[rows])))


def _delivered(job: RaiseJob, raised: Raised, parts: list[Solids], placed: list[Integers]) -> None:
    """The first rung: buildings that were delivered as models, as they are; `gap` tells how they stand."""
    solids, rows = imported.taken(job.store, job.models, job.oid, job.options.imported)
    if solids is None:
        return
    low, high = imported.z_range(solids)
    gap = low - job.stand.base_z[rows]
    if job.options.imported.snap:
        solids, low, high, gap = imported.moved(solids, -gap), low - gap, high - gap, np.zeros(len(rows))
    eave, ridge = _roof_range(solids)
    parts.append(solids)
    placed.append(rows)
    raised.lod[rows], raised.roof[rows], raised.delivered[rows] = solids.lod, "model", True
    raised.stepped[rows] = imported.flags(solids)
    raised.base_z[rows], raised.gap[rows], raised.roof_z[rows] = low, gap, high
    raised.eave_z[rows] = np.where(np.isfinite(eave), eave, high)
    raised.ridge_z[rows] = np.where(np.isfinite(ridge), ridge, high)


def _as_delivered(job: RaiseJob, raised: Raised) -> dict[str, NDArray[Any]]:
    """Height and evidence (n,) of the solids, those of delivered models from the models themselves."""
    kept, there = job.attributes, raised.delivered
    return {
        "height_m": np.where(there, raised.ridge_z - job.stand.ground_z, kept["height_m"]),
        "height_evidence": np.where(there, "model", kept["height_evidence"]).astype(object),
    }


def _fitted(
    job: RaiseJob, source: str, raised: Raised, seen: list[tuple[Floats, Integers]]
) -> tuple[Fitted | None, Integers]:
    """Roofs of the buildings whose shape `source` tells, and their rows (k,) in the block; `seen` takes the points."""
    asked = np.flatnonzero((job.shape == source) & (raised.lod == 0))
    if not len(asked) or job.options.lod < LEVELS / 10.0:
        return None, asked
    polygons, ground = job.polygons[asked], job.stand.ground_z[asked]
    bounds, options = bounds_of(polygons), job.options
    fit = options.fit
    if source == "pointcloud":
        xyz, owner = roof_points(job.store.read_points("points", bounds=bounds), polygons, ground, options.height)
    else:
        if not meets(job.store.raster_box("dsm"), bounds):
            return None, asked
        dsm = job.store.read_raster("dsm", bounds=bounds)
        xyz, owner = dsm_points(dsm, polygons, ground, options.height)
        fit = fit.coarser(max(dsm.geobox.resolution))
    seen.append((xyz, asked[owner]))
    return fit_roofs(polygons, xyz, owner, job.stand.base_z[asked] + options.least_wall, fit), asked


def _ruled(job: RaiseJob, raised: Raised, parts: list[Solids], placed: list[Integers]) -> None:
    """Roofs that the source names or a rule gives, on buildings whose roof nothing measured."""
    rows = np.flatnonzero((raised.lod == 0) & (job.shape == "") & ~np.isin(job.roofs.kind.astype(str), FLAT))
    if not len(rows):
        return
    options = job.options
    rings = from_polygons(job.polygons[rows], options.footprints.snap)
    floor, eave = raised.base_z[rows] + options.least_wall, job.stand.ground_z[rows] + job.eave[rows]
    batch = batch_of(rings, floor, raised.roof_z[rows], eave, job.roofs.slope[rows], options.roofs)
    roofed = build_roofs(batch, job.roofs.kind[rows], ROOFS, options.roofs.shape, options.footprints.snap)
    raised.stepped[rows] = texts(raised.stepped[rows], roofed.reason)
    _try(job, raised, Cut(rows, roofed.partition), PLANES, parts, placed)
    raised.roof[rows] = np.where(raised.lod[rows] == PLANES, roofed.built, "")


def _try(job: RaiseJob, raised: Raised, cut: Cut, lod: int, parts: list[Solids], placed: list[Integers]) -> None:
    """Keep the valid solids of a partition; the others' errors are said in `stepped`."""
    solids = raise_partition(cut.partition, raised.base_z[cut.rows], job.oid[cut.rows], job.frame, lod)
    some = np.flatnonzero(np.diff(solids.face_offset) > 0)
    rows, solids = cut.rows[some], solids.take(some)
    code = validity.check(solids)
    good = np.flatnonzero((code == 0) & (raised.lod[rows] == 0))
    parts.append(solids.take(good))
    placed.append(rows[good])
    raised.lod[rows[good]] = lod
    bad = np.flatnonzero(code)
    said = objects([f"LoD{lod / 10:g}: {validity.CODES[c]}" for c in code[bad].tolist()])
    raised.stepped[rows[bad]] = texts(raised.stepped[rows[bad]], said)


def _blocks(job: RaiseJob, raised: Raised, whole: Raster, parts: list[Solids], placed: list[Integers]) -> None:
    """LoD1.2 of all buildings that have no solid yet."""
    rows = np.flatnonzero(raised.lod == 0)
    options = job.options.footprints
    rings = from_polygons(job.polygons[rows], options.snap)
    solids = extrude(rings, raised.base_z[rows], raised.roof_z[rows], job.oid[rows], job.frame)
    code = validity.check(solids)
    good = np.flatnonzero(code == 0)
    parts.append(solids.take(good))
    placed.append(rows[good])
    raised.lod[rows[good]] = LOD
    bad = rows[code != 0]
    raised.code[bad] = code[code != 0]
    if len(bad):
        _hulls(job, raised, bad, whole, parts, placed)


def _hulls(
    job: RaiseJob, raised: Raised, rows: Integers, whole: Raster, parts: list[Solids], placed: list[Integers]
) -> None:
    shapes = footprints.hulls(job.polygons[rows], job.options.footprints)
    rings = from_polygons(shapes, job.options.footprints.snap)
    standing = stand(rings, shapes, whole, whole)
    standing = replace(standing, base_z=np.round(standing.base_z, 6), ground_z=job.stand.ground_z[rows])
    roof = np.maximum(standing.ground_z + job.height[rows], standing.base_z + job.options.least_wall)
    solids = extrude(rings, standing.base_z, roof, job.oid[rows], job.frame)
    code = validity.check(solids)
    good = np.flatnonzero(code == 0)
    parts.append(solids.take(good))
    placed.append(rows[good])
    raised.code[rows] = code
    kept = rows[good]
    raised.lod[kept], raised.hulled[kept] = LOD, True
    raised.base_z[kept], raised.roof_z[kept] = standing.base_z[good], roof[good]


def _roofs(job: RaiseJob, standing: Stand) -> Floats:
    return np.maximum(standing.ground_z + job.height, standing.base_z + job.options.least_wall)


def _roof_range(solids: Solids) -> tuple[Floats, Floats]:
    """Lowest and highest roof vertex (b,) of every solid."""
    roof = solids.surface == Surface.ROOF
    z, owner = solids.vertices[:, 2][solids.faces[roof]], solids.face_owner()[roof]
    low, high = np.full(len(solids), np.inf), np.full(len(solids), -np.inf)
    np.minimum.at(low, owner, z.min(axis=1))
    np.maximum.at(high, owner, z.max(axis=1))
    return low, high


def _by_cell(solids: Solids, cell: Objects) -> Iterator[tuple[str, Solids]]:
    """Runs of equal cells; the solids are sorted by cell."""
    names = cell.astype(str)
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1])) if len(names) else np.zeros(0, np.int64)
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(names)], strict=False):
        yield str(names[start]), solids.take(np.arange(start, stop))
