"""The two passes over a city: measure every block of it, then raise every block of it.

A block is a square of cells; what happens in one depends on nothing outside it, so that the number of workers and the
neighbours change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2 import footprints, validity
from models_l2.extrude import LOD, extrude
from models_l2.footprints import FootprintOptions, from_polygons
from models_l2.ground import Stand, bounds_of, ground_gap, meets, read_relief, stand
from models_l2.heights import Evidence, HeightOptions, from_dsm, from_points
from models_l2.relief import ReliefOptions
from twin.features import Layer, Objects, objects
from twin.frames import Frame
from twin.grid import Raster
from twin.meshes import Solids, concatenate
from twin.options import option
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CELLS_ALONG_BLOCK = 4


@dataclass(frozen=True, slots=True)
class L2Options:
    """Everything that can be set about the L2 model, section [l2] of city.toml."""

    relief: ReliefOptions = field(default_factory=ReliefOptions)
    footprints: FootprintOptions = field(default_factory=FootprintOptions)
    height: HeightOptions = field(default_factory=HeightOptions)
    cell_size: float = option(
        1000.0, unit="m", min=50.0, max=20000.0, doc="Side of the cells that the model is kept in."
    )
    least_wall: float = option(2.0, unit="m", min=0.1, max=10.0, doc="No roof is lower than this above the base.")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which buildings stand in which block and cell.

    cell      (n,) str "c_<ix>_<iy>" of the footprint's centroid; "" for buildings without footprint
    blocks    rows of the buildings of each block, sorted by cell, then oid
    """

    cell: Objects
    blocks: tuple[Integers, ...]


@dataclass(frozen=True, slots=True)
class MeasureJob:
    """What one worker needs to measure a block."""

    store: Store
    polygons: Objects
    options: L2Options


@dataclass(frozen=True, slots=True)
class Measured:
    """Ground and measured evidence of the buildings of a block."""

    stand: Stand
    evidence: Mapping[str, Evidence]


@dataclass(frozen=True, slots=True)
class RaiseJob:
    """What one worker needs to raise a block; arrays (n,) in the order of the block."""

    store: Store
    frame: Frame
    polygons: Objects
    oid: Objects
    cell: Objects
    stand: Stand
    height: Floats
    options: L2Options
    attributes: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Raised:
    """The solids of a block, and what is to be known about its buildings (n,).

    batches   (cell, solids), sorted by cell, then oid
    code      (n,) val3dity error that no fallback mended, 0 where there is a solid
    hulled    (n,) bool, the convex hull stands in for the outline
    gap       (n,) f8 m, base above the relief
    """

    batches: tuple[tuple[str, Solids], ...]
    code: Integers
    hulled: NDArray[np.bool_]
    base_z: Floats
    roof_z: Floats
    gap: Floats


def plan(polygons: Objects, oid: Objects, cell_size: float) -> Plan:
    """Cells and blocks of cleaned footprints (n,), by their centroids."""
    built = np.flatnonzero(~shapely.is_empty(polygons))
    ix, iy = np.floor(centres(polygons)[built] / cell_size).astype(np.int64).T
    names = np.array([f"c_{x}_{y}" for x, y in zip(ix.tolist(), iy.tolist(), strict=True)], dtype=str)
    block = np.stack([ix // CELLS_ALONG_BLOCK, iy // CELLS_ALONG_BLOCK])
    order = np.lexsort((oid[built].astype(str), names, block[1], block[0]))
    cell = np.full(len(polygons), "", dtype=object)
    cell[built] = names.astype(object)
    ends = np.flatnonzero(np.diff(block[:, order], axis=1).any(axis=0)) + 1
    groups = np.split(built[order], ends) if len(built) else []
    return Plan(cell, tuple(group.astype(np.int64) for group in groups))


def measure(job: MeasureJob) -> Measured:
    """Ground, points and DSM heights of the buildings of one block."""
    store, polygons, options = job.store, job.polygons, job.options
    bounds = bounds_of(polygons)
    rings = from_polygons(polygons, options.footprints.snap)
    relief, whole = read_relief(store, bounds)
    standing = stand(rings, polygons, relief, whole)
    evidence: dict[str, Evidence] = {}
    if store.has("points", "points"):
        cloud = store.read_points("points", bounds=bounds)
        evidence["pointcloud"] = from_points(cloud, polygons, standing.ground_z, options.height)
    if store.has("raster", "dsm") and meets(store.raster_box("dsm"), bounds):
        dsm = store.read_raster("dsm", bounds=bounds)
        evidence["dsm"], evidence["low"] = from_dsm(dsm, whole, polygons, options.height)
    return Measured(standing, evidence)


def raise_block(job: RaiseJob) -> Raised:
    """Closed solids of the buildings of one block; outlines that fail are tried again as their convex hulls."""
    whole = read_relief(job.store, bounds_of(job.polygons))[1]
    base, roof = job.stand.base_z.copy(), _roofs(job, job.stand)
    rings = from_polygons(job.polygons, job.options.footprints.snap)
    solids = extrude(rings, base, roof, job.oid, job.frame)
    code = validity.check(solids)
    hulled = np.zeros(len(solids), bool)
    bad = np.flatnonzero(code)
    if len(bad):
        mended = _raise_hulls(job, bad, whole)
        good = mended.code == 0
        rows = bad[good]
        base[rows], roof[rows], hulled[rows], code[rows] = mended.base_z[good], mended.roof_z[good], True, 0
        sound = np.flatnonzero((code == 0) & ~hulled)
        solids = concatenate([solids.take(sound), mended.solids.take(np.flatnonzero(good))])
        place = np.argsort(np.concatenate([sound, rows]), kind="stable")
        solids = solids.take(place)
    kept = np.flatnonzero(code == 0)
    gap = np.full(len(code), np.nan)
    gap[kept] = ground_gap(solids, whole)
    attributes = {**job.attributes, "base_z": base, "ground_z": job.stand.ground_z, "roof_z": roof}
    solids = replace(solids, attributes={key: values[kept] for key, values in attributes.items()})
    return Raised(tuple(_by_cell(solids, job.cell[kept])), code, hulled, base, roof, gap)


@dataclass(frozen=True, slots=True)
class _Hulls:
    solids: Solids
    code: Integers
    base_z: Floats
    roof_z: Floats


def _raise_hulls(job: RaiseJob, rows: Integers, whole: Raster) -> _Hulls:
    shapes = footprints.hulls(job.polygons[rows], job.options.footprints)
    rings = from_polygons(shapes, job.options.footprints.snap)
    standing = stand(rings, shapes, whole, whole)
    standing = replace(standing, ground_z=job.stand.ground_z[rows])
    roof = np.maximum(standing.ground_z + job.height[rows], standing.base_z + job.options.least_wall)
    solids = extrude(rings, standing.base_z, roof, job.oid[rows], job.frame)
    return _Hulls(solids, validity.check(solids), standing.base_z, roof)


def _roofs(job: RaiseJob, standing: Stand) -> Floats:
    return np.maximum(standing.ground_z + job.height, standing.base_z + job.options.least_wall)


def _by_cell(solids: Solids, cell: Objects) -> Iterator[tuple[str, Solids]]:
    """Runs of equal cells; the solids are sorted by cell."""
    names = cell.astype(str)
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1])) if len(names) else np.zeros(0, np.int64)
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(names)], strict=False):
        yield str(names[start]), solids.take(np.arange(start, stop))


def places(polygons: Objects) -> Floats:
    """(n, 3) f8: centroid x and y in m, area in m2; the former NaN for empty polygons."""
    return np.column_stack([centres(polygons), shapely.area(polygons)])


def centres(polygons: Objects) -> Floats:
    """(n, 2) f8 m centroids; NaN for empty polygons."""
    xy = np.full((len(polygons), 2), np.nan)
    some = ~shapely.is_empty(polygons)
    xy[some] = shapely.get_coordinates(shapely.centroid(polygons[some]))
    return xy


def attributes_of(layer: Layer, rows: Integers, **computed: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What travels with the solids of `rows`: names and use from the layer, and computed columns (n,)."""
    carried = {key: layer.columns[key][rows] for key in ("name", "function", "storeys") if key in layer.columns}
    return carried | {key: values[rows] for key, values in computed.items()}


def lods(built: NDArray[np.bool_]) -> Floats:
    """(n,) f8 level of detail, 1.2 where there is a solid, else NaN."""
    return np.where(built, LOD / 10.0, np.nan)


def texts(*columns: Objects) -> Objects:
    """Texts (n,) joined by "; ", empty ones left out."""
    return objects(
        ["; ".join(word for word in row if word) for row in zip(*(c.tolist() for c in columns), strict=True)]
    )
