"""LoD2.2 from points: roofs a second on one core, on synthetic houses as dense as Delft and on Delft itself."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from bench.measure import figure, median_of
from ingest.run import IngestOptions
from ingest.run import build as ingest
from models_l2 import validity
from models_l2.blocks import L2Options
from models_l2.fit.roofs import FitOptions, fit_roofs
from models_l2.heights import roof_points
from models_l2.shell import raise_partition
from twin import Frame
from twin.city import open_city
from twin.workers import Workers

COUNT = int(os.environ.get("L2_ROOFS", "1000"))
RUNS = 5
# Class 6 points on a square metre of roof, as the 75,683 of Delft lie on 8,654 m2.
DENSITY = 8.7
DELFT = Path(__file__).parents[1] / "examples" / "delft"
FRAME = Frame("EPSG:28992", "NAP")
TARGET = "300 buildings/s per core"

Job = tuple[NDArray[np.object_], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


def houses(count: int) -> Job:
    """Rectangles of 6 to 14 m under flat, shed, gable and hip roofs, points strewn with 3 cm of noise."""
    rng = np.random.default_rng(1372)
    w, h = rng.uniform(6.0, 14.0, (2, count))
    kind, angle = rng.integers(0, 4, count), rng.uniform(0.0, np.pi, count)
    owner = np.repeat(np.arange(count), np.ceil(DENSITY * w * h).astype(np.int64))
    u, v = rng.uniform(-0.5, 0.5, (2, len(owner))) * np.stack([w[owner], h[owner]])
    inward = np.stack([0.5 * h[owner] - np.abs(v), 0.5 * w[owner] - np.abs(u)])
    rise = np.choose(kind[owner], [0.0 * u, 0.3 * (v + 0.5 * h[owner]), 0.7 * inward[0], 0.7 * inward.min(axis=0)])
    z = 6.0 + rise + rng.normal(0.0, 0.03, len(owner))
    column, row = np.arange(count) % 100, np.arange(count) // 100
    centre = np.column_stack([84_900.0 + 25.0 * column, 447_500.0 + 25.0 * row])
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * np.stack([w, h], axis=1)[:, None]
    rings = np.einsum("nij,nkj->nki", turn, corners) + centre[:, None]
    xy = np.einsum("nij,nj->ni", turn[owner], np.column_stack([u, v])) + centre[owner]
    return shapely.polygons(np.round(rings, 3)), np.column_stack([xy, z]), owner, np.full(count, 2.0)


def delft() -> Job | None:
    """Footprints and roof points of the example city; None where its data are not beside the repository."""
    if not (DELFT.parents[2] / "shared" / "data" / "delft-ahn3-bgt").exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        city = open_city(DELFT).with_store(Path(folder) / ".twin")
        ingest(city, city.options(IngestOptions, "ingest"), Workers())
        shapes, cloud = city.store.read_layer("building").geometry, city.store.read_points("points")
    points = roof_points(cloud, shapes, np.zeros(len(shapes)), L2Options().height)
    return shapes, *points, np.full(len(shapes), 2.0)


def raise_roofs(job: Job) -> float:
    """CPU seconds from points to checked solids; this process works alone."""
    began = time.process_time()
    cut = fit_roofs(*job, FitOptions()).planes
    oid = np.array([f"b{k:05d}" for k in cut.rows.tolist()], dtype=object)
    solids = raise_partition(cut.partition, np.zeros(len(cut.rows)), oid, FRAME, 22)
    validity.check(solids)
    return time.process_time() - began


def figures() -> Iterator[dict[str, Any]]:
    """Buildings a second of CPU, median of five after one for the compiler.

    No peer runs here: roofer is C++ and comes in no package.
    """
    for name, job in (("synthetic", houses(COUNT)), ("delft", delft())):
        if job is None:
            continue
        raise_roofs(job)
        middle, runs = median_of(RUNS, lambda job=job: raise_roofs(job))  # type: ignore[misc]
        yield figure(f"l2_roofs_{name}", len(job[0]) / middle, "buildings/s of CPU", n=len(job[0]), seconds=runs,
                     points=len(job[1]), target=TARGET)  # fmt: skip


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
