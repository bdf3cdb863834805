"""Roofs of other places: how far surfaces that were measured or published lie from our model of them.

Göteborg: cells of the surface model inside footprints, 1 m from their edges, to our solids; the peer is a level roof at
the middle of the same cells, the best that LoD1 can be. 3DBAG: the sample carries neither points nor the `rmse_lod22`
of the full data, so points with noise are scattered over its LoD2.2 roofs, and our model of them stands beside the
published one that they came from.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from bench.delft_rmse import SHRUNK, published, root_mean_square
from bench.measure import figure
from ingest.run import IngestOptions
from ingest.run import build as ingest
from models_l2 import validity
from models_l2.build import L2Options, build
from models_l2.fit.roofs import FitOptions, fit_roofs
from models_l2.shell import raise_partition
from twin.analysis.distance import distance_to_triangles
from twin.analysis.heights import cells_inside, group_percentiles
from twin.city import open_city
from twin.features import Objects, objects
from twin.meshes import Solids, Surface, concatenate
from twin.workers import Workers

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
INWARD = 1.0  # m from the edge of a footprint; nearer, cells of 1 m mix roof and street
DENSITY, NOISE, SEED = 10.0, 0.05, 7
SMALLEST = 4.0  # m2; what is smaller is a chimney or a sliver between parts
UNDER = 3.0  # m from the lowest roof down to the base of truth and model


@dataclass(frozen=True)
class Case:
    """Footprints (n,), points (k, 3) and the footprint (k,) of each, true volumes (n,) above base (n,)."""

    polygons: Objects
    xyz: Floats
    owner: Integers
    volume: Floats
    base: Floats


def scattered(roof: Floats, rng: np.random.Generator) -> Floats:
    """Points evenly over triangles (t, 3, 3) in plan, with noise in height."""
    side, other = roof[:, 1] - roof[:, 0], roof[:, 2] - roof[:, 0]
    area = np.abs(side[:, 0] * other[:, 1] - side[:, 1] * other[:, 0]) / 2.0
    of = rng.choice(len(roof), round(area.sum() * DENSITY), p=area / area.sum())
    u, v = rng.random((2, len(of)))
    u, v = np.where(u + v > 1.0, 1.0 - u, u), np.where(u + v > 1.0, 1.0 - v, v)
    xyz = roof[of, 0] + u[:, None] * side[of] + v[:, None] * other[of]
    xyz[:, 2] += rng.normal(0.0, NOISE, len(xyz))
    return xyz


def outline(roof: Floats) -> shapely.Polygon:
    """The largest piece of the ground that a roof covers."""
    faces = shapely.polygons(roof[:, :, :2])
    whole = shapely.buffer(shapely.union_all(shapely.buffer(faces[shapely.area(faces) > 1e-6], 0.01)), -0.01)
    pieces = shapely.get_parts(shapely.set_precision(whole, 0.001))
    return shapely.simplify(pieces[np.argmax(shapely.area(pieces))], 0.02)


def case_of(solids: Solids) -> Case:
    """Every roof of a city model as something to be found again."""
    rng = np.random.default_rng(SEED)
    polygons, clouds, volume, base = [], [], [], []
    roofs = solids.surface == Surface.ROOF
    corners, owner = solids.vertices[solids.faces[roofs]], solids.face_owner()[roofs]
    for k in np.unique(owner):
        roof = corners[owner == k]
        polygon = outline(roof)
        if polygon.area < SMALLEST:
            continue
        xyz = scattered(roof, rng)
        clouds.append(xyz[shapely.contains_xy(polygon, xyz[:, :2])])
        polygons.append(polygon)
        base.append(roof[:, :, 2].min() - UNDER)
        plan = shapely.area(shapely.polygons(roof[:, :, :2]))
        volume.append((plan * (roof[:, :, 2].mean(axis=1) - base[-1])).sum())
    counts = [len(cloud) for cloud in clouds]
    return Case(
        objects(polygons), np.concatenate(clouds), np.repeat(np.arange(len(clouds)), counts), np.array(volume),
        np.array(base),
    )  # fmt: skip


def rmse_of(case: Case, solids: Solids) -> Floats:
    """(n,) root mean square distance of the points in footprints shrunk by 0.2 m."""
    inside = shapely.contains_xy(shapely.buffer(case.polygons, -SHRUNK)[case.owner], case.xyz[:, :2])
    xyz, owner = case.xyz[inside], case.owner[inside]
    off = distance_to_triangles(xyz, owner, solids.vertices[solids.faces], solids.face_owner())
    return root_mean_square(off, owner, len(solids))


def sampled() -> Iterator[dict[str, Any]]:
    """The 3DBAG sample found again in points over its roofs; the peer is the published model, under the same points."""
    path = DATA / "cityjson" / "multi_lod.json"
    if not path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        city = published(Path(folder), path)
        truth = concatenate([solids for _, solids in city.store.read_model("citymodel")])
    case = case_of(truth)
    fitted = fit_roofs(case.polygons, case.xyz, case.owner, case.base + 2.0, FitOptions())
    cut = fitted.planes
    solids = raise_partition(cut.partition, case.base[cut.rows], objects([f"r{k}" for k in cut.rows]), truth.frame, 22)
    if len(cut.rows) != len(truth):
        raise RuntimeError(f"{path.name}: {len(cut.rows)} of {len(truth)} roofs are fitted")
    off, peer = rmse_of(case, solids), rmse_of(case, truth)
    yield from told("3dbag_sampled", off, solids, ("3DBAG LoD2.2 the points were scattered over", peer))


def goteborg() -> Iterator[dict[str, Any]]:
    """Our model of the old city from its surface model, level by level."""
    if not (DATA / "goteborg-umep").is_dir():
        return
    with tempfile.TemporaryDirectory() as folder:
        city = open_city(ROOT / "examples" / "goteborg").with_store(Path(folder) / ".twin")
        ingest(city, city.options(IngestOptions, "ingest"), Workers(1))
        build(city, city.options(L2Options, "l2"), Workers(1))
        solids = concatenate([part for _, part in city.store.read_model("l2")])
        table, dsm = city.store.read_layer("building_l2"), city.store.read_raster("dsm")
    outline = dict(zip(table.oid.tolist(), table.geometry.tolist(), strict=True))
    shapes = shapely.buffer(objects([outline[oid] for oid in solids.oid.tolist()]), -INWARD)
    owner, row, col = cells_inside(shapes, dsm.geobox)
    seen = dsm.valid[row, col]
    owner, row, col = owner[seen], row[seen], col[seen]
    x, y = dsm.geobox.centers()
    xyz = np.column_stack([x[col], y[row], dsm.values[row, col].astype(np.float64)])
    off = distance_to_triangles(xyz, owner, solids.vertices[solids.faces], solids.face_owner())
    level = group_percentiles(xyz[:, 2], owner, len(solids), [50.0])[0][:, 0]
    flat = root_mean_square(xyz[:, 2] - level[owner], owner, len(solids))
    ours = root_mean_square(off, owner, len(solids))
    yield from told("goteborg", ours, solids, ("level roof at the median of the same cells", flat))


def told(name: str, off: Floats, solids: Solids, peer: tuple[str, Floats]) -> Iterator[dict[str, Any]]:
    """Median and 95th percentile of the RMSE (n,) m; ratio > 1: we lie nearer than the peer."""
    asked = np.isfinite(off)
    code = validity.check(solids)
    levels = {
        f"lod_{lod / 10:g}_percent": round(100.0 * float((solids.lod[asked] == lod).mean()), 1)
        for lod in np.unique(solids.lod[asked]).tolist()
    }
    for q in (50, 95):
        ours, theirs = (float(np.nanpercentile(values, q)) for values in (off, peer[1]))
        yield figure(
            f"{name}_rmse_p{q}", ours, "m", n=int(asked.sum()), peer=peer[0], peer_value=round(theirs, 3),
            ratio=round(theirs / ours, 2), solids=len(solids),
            valid_percent=round(100.0 * float((code == 0).mean()), 1), **levels,
        )  # fmt: skip


def figures() -> Iterator[dict[str, Any]]:
    """Göteborg and the 3DBAG sample; nothing of a set that is not beside the repository."""
    yield from goteborg()
    yield from sampled()


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
