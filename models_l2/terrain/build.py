"""The ground of a city: the raster `relief`, and the same as triangles, square by square as the model is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.blocks import L2Options
from models_l2.ground import read_relief
from models_l2.relief import ASSUMED, ASSUMED_LEVEL, BASES, ReliefFigures, make_relief
from models_l2.terrain.conditioning import ConditionFigures, condition
from models_l2.terrain.roads import carriageways
from models_l2.terrain.shore import shore_around
from models_l2.terrain.tin import PER_METRE, Square, Tin, TinOptions, triangulate
from twin.city import City
from twin.features import Objects, objects
from twin.frames import Frame
from twin.grid import Bounds, Raster
from twin.meshes import Solids, Surface
from twin.store.protocol import Store
from twin.workers import Workers

Integers = NDArray[np.int64]

MODEL = "relief"
_LOD = 20
_AROUND = 40.0
# Starting processes takes longer than triangulating fewer squares in one.
_SPREAD_FROM = 100


@dataclass(frozen=True, slots=True)
class TinJob:
    """What one worker needs for a square; `cell` is its name."""

    store: Store
    frame: Frame
    cell: str
    square: Square
    error: float


@dataclass(frozen=True, slots=True)
class TinFigures:
    """What the triangles came to: squares with ground, triangles, edges that are breaklines, breaklines lost."""

    squares: int = 0
    triangles: int = 0
    breaklines: int = 0
    lost: int = 0

    def plus(self, other: TinFigures) -> TinFigures:
        """The sums."""
        return TinFigures(
            self.squares + other.squares,
            self.triangles + other.triangles,
            self.breaklines + other.breaklines,
            self.lost + other.lost,
        )


@dataclass(frozen=True, slots=True)
class GroundFigures:
    """What the ground was made from, and what its triangles came to."""

    relief: ReliefFigures
    conditioned: ConditionFigures
    tin: TinFigures

    def as_dict(self) -> dict[str, Any]:
        """Figures of the report."""
        relief, tin, changed = self.relief, self.tin, self.conditioned
        return {
            "relief_source": relief.source,
            **({"relief_bases": relief.bases} if relief.bases else {}),
            "relief_cells": relief.cells,
            "relief_filled": relief.filled,
            "relief_unknown": relief.unknown,
            "relief_water_level": changed.level,
            "relief_water_falling": changed.falling,
            "relief_water_cells": changed.water_cells,
            "relief_road_cells": changed.road_cells,
            "relief_bridge_cells": changed.bridge_cells,
            "relief_triangles": tin.triangles,
            "relief_breaklines": tin.breaklines,
            "relief_breaklines_lost": tin.lost,
        }

    @property
    def assumed(self) -> bool:
        """True where nothing tells how high the ground is: only heights above it mean something."""
        return self.relief.source == ASSUMED

    def warnings(self) -> Iterator[str]:
        """What a person should look at."""
        if self.assumed:
            yield (
                f"relief: no DEM, no points, no base heights: level ground ASSUMED at {ASSUMED_LEVEL:g} m; heights "
                "above ground are true, elevations, slopes and water are not. Declare a [[source]] of kind dem or "
                "points, or [l2.relief] level"
            )
        if self.relief.source == BASES:
            yield (
                f"relief: no DEM, no points: ground interpolated between the bases that {self.relief.bases} buildings "
                "were delivered with (lineage of layer building says how); open ground may lie otherwise"
            )
        if self.relief.unknown:
            yield f"relief: {self.relief.unknown} of {self.relief.cells} cells are unknown at the edge of the data"


def make_ground(city: City, options: L2Options, workers: Workers) -> GroundFigures:
    """Write the raster `relief` and, where the options ask for it, the model `relief` of the same ground as triangles.

    raises  MissingInputError where there is nothing to make the ground from
    """
    relief = make_relief(city.store, city.frame, options.relief)
    changed = condition(city.store, options.condition)
    if not options.tin.build:
        city.store.remove("model", MODEL)
        return GroundFigures(relief, changed, TinFigures())
    tin = build_tin(city.store, city.frame, options.tin, options.cell_size, workers)
    return GroundFigures(relief, changed, tin)


def build_tin(store: Store, frame: Frame, options: TinOptions, cell_size: float, workers: Workers) -> TinFigures:
    """Write the model `relief`: the raster `relief` as triangles (TINRelief), one open mesh a square.

    Building outlines, water and road edges are edges of it; neighbours share the vertices of their common side to the
    last bit; no cell centre is further than `options.error` from its triangle. Unknown ground has no triangles.
    """
    told = TinFigures()
    lineage = store.item("raster", "relief").lineage.step(f"triangulated within {options.error:g} m, with breaklines")
    jobs = list(_jobs(store, frame, options, cell_size))
    hands = workers if len(jobs) >= _SPREAD_FROM else Workers(1, workers.tell)

    def batches() -> Iterator[tuple[str, Solids]]:
        nonlocal told
        found = hands.map(square_of, jobs, label="地形三角网 / relief triangles")
        for job, (solids, figures) in zip(jobs, found, strict=True):
            told = told.plus(figures)
            if figures.triangles:
                yield job.cell, solids

    store.write_model(MODEL, batches(), lineage)
    return told


def square_of(job: TinJob) -> tuple[Solids, TinFigures]:
    """The triangles of one square as one open mesh, and what they came to."""
    square = job.square
    bounds = square.west / PER_METRE, square.south / PER_METRE, square.east / PER_METRE, square.north / PER_METRE
    relief, whole = read_relief(job.store, bounds)
    if not relief.valid.any():
        return Solids.empty(job.frame), TinFigures()
    lines, shore = breaklines(job.store, bounds), shore_around(job.store, bounds)
    tin = triangulate(square, whole, job.store.raster_box("relief"), lines, job.error, shore)
    solids = _mesh(tin, relief, job)
    return solids, TinFigures(int(len(solids.faces) > 0), len(solids.faces), len(tin.fixed), tin.lost)


def breaklines(store: Store, bounds: Bounds) -> Integers:
    """Segments (s, 2, 2) i8 frame mm of building outlines, water edges and road edges that come near `bounds`.

    Roads on bridges are no ground; a road without width gives its centre line.
    """
    near = bounds[0] - _AROUND, bounds[1] - _AROUND, bounds[2] + _AROUND, bounds[3] + _AROUND
    shapes = [_outlines(store, name, near) for name in ("building", "water")]
    if store.has("layer", "road"):
        shapes.append(carriageways(store.read_layer("road", bbox=near, columns=("width", "bridge"))))
    return segments_of(np.concatenate(shapes))


def segments_of(shapes: Objects) -> Integers:
    """Segments (s, 2, 2) i8 frame mm of lines and of the rings of polygons."""
    parts = shapely.get_parts(shapes[~shapely.is_missing(shapes)])
    kind = shapely.get_type_id(parts)
    lines = np.concatenate([shapely.get_rings(parts[kind == 3]), parts[(kind == 1) | (kind == 2)]])
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    whole = np.rint(xy * PER_METRE).astype(np.int64)
    inside = owner[1:] == owner[:-1]
    return np.stack([whole[:-1][inside], whole[1:][inside]], axis=1)


def _outlines(store: Store, name: str, bounds: Bounds) -> Objects:
    return store.read_layer(name, bbox=bounds, columns=()).geometry if store.has("layer", name) else objects([])


def _jobs(store: Store, frame: Frame, options: TinOptions, cell_size: float) -> Iterator[TinJob]:
    west, south, east, north = store.raster_box("relief").bounds
    whole = Square(
        math.ceil(west * PER_METRE), math.ceil(south * PER_METRE),
        math.floor(east * PER_METRE), math.floor(north * PER_METRE),
    )  # fmt: skip
    size = round(cell_size * PER_METRE)
    for ix in range(whole.west // size, -(-whole.east // size)):
        for iy in range(whole.south // size, -(-whole.north // size)):
            square = Square(
                max(ix * size, whole.west), max(iy * size, whole.south),
                min((ix + 1) * size, whole.east), min((iy + 1) * size, whole.north),
            )  # fmt: skip
            yield TinJob(store, frame, f"c_{ix}_{iy}", square, options.error)


def _mesh(tin: Tin, relief: Raster, job: TinJob) -> Solids:
    xy = tin.xy / PER_METRE
    known = np.isfinite(relief.sample(xy[tin.triangles].mean(axis=1), "nearest"))
    used, faces = np.unique(tin.triangles[known], return_inverse=True)
    faces = faces.reshape(-1, 3).astype(np.int32)
    return Solids(
        job.frame,
        objects([f"relief_{job.cell}"]),
        np.column_stack([xy, tin.z])[used],
        faces,
        np.full(len(faces), Surface.GROUND, np.uint8),
        np.array([0, len(used)], np.int64),
        np.array([0, len(faces)], np.int64),
        np.array([_LOD], np.uint8),
        np.zeros(len(faces), np.uint8),
        {"error_m": np.array([job.error])},
    )
