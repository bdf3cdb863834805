"""Delft from points: distance of roof points to our model beside the LoD1 model that comes with the data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from bench.measure import figure
from ingest.run import IngestOptions
from ingest.run import build as ingest
from models_l2 import validity
from models_l2.build import L2Options, build
from twin.analysis.distance import distance_to_triangles
from twin.analysis.heights import points_inside
from twin.city import City, open_city
from twin.features import Layer
from twin.meshes import Solids, concatenate
from twin.points import PointCloud
from twin.workers import Workers

EXAMPLE = Path(__file__).parents[1] / "examples" / "delft"
MODEL = "output/testarea.json"
DATA = Path(__file__).parents[2] / "shared" / "data" / "delft-ahn3-bgt"
SHRUNK = 0.2


def rmse(solids: Solids, outlines: NDArray[np.object_], cloud: PointCloud) -> NDArray[np.float64]:
    """(b,) f8 m of every solid: class 6 points inside its outline (b,), shrunk by 0.2 m, to its faces; NaN if none."""
    xyz = cloud.xyz[cloud.classification == 6]
    owner, point = points_inside(xyz[:, :2], shapely.buffer(outlines, -SHRUNK))
    off = distance_to_triangles(xyz[point], owner, solids.vertices[solids.faces], solids.face_owner())
    return root_mean_square(off, owner, len(solids))


def root_mean_square(off: NDArray[np.float64], owner: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """(n,) of the values (k,) of every owner (k,), NaN where it has none."""
    counts = np.bincount(owner, minlength=n)
    total = np.bincount(owner, weights=off**2, minlength=n)
    return np.where(counts > 0, np.sqrt(total / np.maximum(counts, 1)), np.nan)


def published(folder: Path, path: Path, crs: str = "EPSG:28992") -> City:
    """A CityJSON as it is delivered, read as any city model into an empty folder."""
    (folder / "city.toml").write_text(
        f'[frame]\ncrs = "{crs}"\nvertical = "local"\n'
        f'[[source]]\nname = "model"\nkind = "citymodel"\npath = "{path}"\ncrs = "{crs}"\n',
        encoding="utf-8",
    )
    city = open_city(folder)
    ingest(city, IngestOptions(), Workers(1))
    return city


def joined(solids: Solids, ids: Sequence[str], table: Layer) -> tuple[Solids, NDArray[np.object_]]:
    """The solids whose source ids (b,) the table knows, and the table's outlines of them."""
    row = {key: k for k, key in enumerate(table.column("source_id").tolist())}
    known = [k for k, key in enumerate(ids) if key in row]
    return solids.take(known), table.geometry[[row[ids[k]] for k in known]]


def told(name: str, solids: Solids, outlines: NDArray[np.object_], cloud: PointCloud) -> dict[str, Any]:
    """RMSE, validity and levels of one model as figures."""
    off, code = rmse(solids, outlines, cloud), validity.check(solids)
    levels = {
        f"lod_{lod / 10:g}_percent": round(100.0 * float((solids.lod == lod).mean()), 1)
        for lod in np.unique(solids.lod).tolist()
    }
    return {
        "model": name, "buildings": len(solids), "p50": round(float(np.nanpercentile(off, 50)), 3),
        "p95": round(float(np.nanpercentile(off, 95)), 3), "worst": round(float(np.nanmax(off)), 3),
        "valid_percent": round(100.0 * float((code == 0).mean()), 1), **levels,
    }  # fmt: skip


def figures() -> Iterator[dict[str, Any]]:
    """Median and 95th percentile of the RMSE, m; the peer is the LoD1 model, and the ratio its figure over ours.

    Nothing where the data are not beside the repository.
    """
    if not DATA.is_dir():
        return
    with tempfile.TemporaryDirectory() as folder:
        city = open_city(EXAMPLE).with_store(Path(folder) / ".twin")
        ingest(city, city.options(IngestOptions, "ingest"), Workers(1))
        build(city, city.options(L2Options, "l2"), Workers(1))
        table, cloud = city.store.read_layer("building_l2"), city.store.read_points("points")
        solids = concatenate([part for _, part in city.store.read_model("l2")])
        named = dict(zip(table.oid.tolist(), table.column("source_id").tolist(), strict=True))
        ours = told("ours", *joined(solids, [named[oid] for oid in solids.oid.tolist()], table), cloud)
        (Path(folder) / "peer").mkdir()
        peer = published(Path(folder) / "peer", DATA / MODEL)
        whole = concatenate([part for _, part in peer.store.read_model("citymodel")])
        layer = peer.store.read_layer("building")
        named = dict(zip(layer.oid.tolist(), layer.column("source_id").tolist(), strict=True))
        theirs = told("testarea.json", *joined(whole, [named[oid] for oid in whole.owner.tolist()], table), cloud)
    for part in ("p50", "p95"):
        yield figure(
            f"delft_rmse_{part}", ours[part], "m", n=ours["buildings"], peer="LoD1 model of the data",
            peer_value=theirs[part], ratio=round(theirs[part] / ours[part], 2), ours=ours, theirs=theirs,
        )  # fmt: skip


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
