"""The two passes over a city: measure every block of it, then raise every block of it.

A block is a square of cells; what happens in one depends on nothing outside it, so that the number of workers and the
neighbours change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.classes.options import ClassOptions
from models_l2.fit.roofs import FitOptions
from models_l2.footprints import FootprintOptions, from_polygons
from models_l2.ground import Stand, bounds_of, meets, read_relief, stand
from models_l2.heights import Evidence, HeightOptions, from_dsm, from_points, roof_points
from models_l2.imported import ImportOptions
from models_l2.relief import ReliefOptions
from models_l2.roofs.choice import RoofOptions
from models_l2.terrain.conditioning import ConditionOptions
from models_l2.terrain.tin import TinOptions
from twin.features import Layer, Objects
from twin.options import option
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CELLS_ALONG_BLOCK = 4


@dataclass(frozen=True, slots=True)
class L2Options:
    """Everything that can be set about the L2 model, section [l2] of city.toml."""

    relief: ReliefOptions = field(default_factory=ReliefOptions)
    condition: ConditionOptions = field(default_factory=ConditionOptions)
    tin: TinOptions = field(default_factory=TinOptions)
    footprints: FootprintOptions = field(default_factory=FootprintOptions)
    height: HeightOptions = field(default_factory=HeightOptions)
    fit: FitOptions = field(default_factory=FitOptions)
    imported: ImportOptions = field(default_factory=ImportOptions)
    roofs: RoofOptions = field(default_factory=RoofOptions)
    classes: ClassOptions = field(default_factory=ClassOptions)
    lod: float = option(2.2, min=1.2, max=2.2, doc="Highest level of detail that is tried: 1.2, 1.3 or 2.2.")
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
    """What one worker needs to measure a block; `surface`: the ground is known, so that a DSM tells heights."""

    store: Store
    polygons: Objects
    options: L2Options
    surface: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """Ground and measured evidence of the buildings of a block."""

    stand: Stand
    evidence: Mapping[str, Evidence]


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
        points = roof_points(cloud, polygons, standing.ground_z, options.height)
        evidence["pointcloud"] = from_points(*points, standing.ground_z, options.height)
    if job.surface and store.has("raster", "dsm") and meets(store.raster_box("dsm"), bounds):
        dsm = store.read_raster("dsm", bounds=bounds)
        evidence["dsm"], evidence["low"] = from_dsm(dsm, whole, polygons, options.height)
    return Measured(standing, evidence)


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


def texts(*columns: Objects) -> Objects:
    """Texts (n,) joined by "; ", empty ones left out."""
    said = np.array([column != "" for column in columns], dtype=bool)
    result = np.full(said.shape[1], "", dtype=object)
    for column, some in zip(columns, said, strict=True):
        result[some] = column[some]
    for row in np.flatnonzero(said.sum(axis=0) > 1).tolist():
        result[row] = "; ".join(column[row] for column in columns if column[row])
    return result
