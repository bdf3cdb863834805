"""Both stores with the same 25,000 footprints: write, read whole, one page, one window, one feature."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from bench.measure import figure, median_of
from tests.cluster import private_cluster, programs
from twin import FEATURE_CLASSES, Frame, Layer, Lineage
from twin.store import Store
from twin.store.folder import FolderStore
from twin.store.postgis import PostgisStore

COUNT = 25_000
RUNS = 5
FRAME = Frame("EPSG:4547", "1985")
EAST, NORTH = 439_000.0, 4_440_000.0


def footprints(count: int) -> Layer:
    """`count` L-shaped footprints with every declared column of a building filled, turned every way."""
    rng = np.random.default_rng(1372)
    side = int(np.ceil(np.sqrt(count)))
    place = np.column_stack([np.arange(count) % side, np.arange(count) // side]) * 25.0 + [EAST, NORTH]
    corners = np.array([[0, 0], [14, 0], [14, 6], [6, 6], [6, 12], [0, 12], [0, 0]], dtype=float) - [7.0, 6.0]
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    rings = np.einsum("nij,kj->nki", turn, corners) + place[:, None, :]
    columns = {
        name: rng.uniform(0.0, 90.0, count) if column.kind == "f8" else [f"{name} {k % 97}" for k in range(count)]
        for name, column in FEATURE_CLASSES["building"].columns.items()
    }
    return Layer.build("building", FRAME, [f"b{k:06d}" for k in range(count)], shapely.polygons(rings), columns)


def figures() -> Iterator[dict[str, Any]]:
    """Seconds of each verb on each store (median of five); the peer of PostGIS is the folder store."""
    binaries = programs()
    if binaries is None:
        raise RuntimeError("PostgreSQL with PostGIS is missing; .ci/system-packages installs it")
    layer = footprints(COUNT)
    with tempfile.TemporaryDirectory() as folder, private_cluster(binaries, durable=True) as url:
        database = PostgisStore(url, FRAME, Path(folder) / "files")
        stores: dict[str, Store] = {"folder": FolderStore(Path(folder) / "store", FRAME), "postgis": database}
        taken: dict[str, float] = {}
        for name, store in stores.items():
            for verb, act in _verbs(store, layer).items():
                seconds, runs = median_of(RUNS, lambda act=act: _timed(act))  # type: ignore[misc]
                taken[f"{name} {verb}"] = seconds
                peer = taken.get(f"folder {verb}") if name != "folder" else None
                more = {} if peer is None else {"peer": "folder", "peer_value": round(peer * 1e3, 3)}
                ratio = None if peer is None else round(peer / seconds, 2)
                yield figure(f"{name}_{verb}", seconds * 1e3, "ms", n=COUNT, seconds=runs, ratio=ratio, **more)
        database.close()


def _verbs(store: Store, layer: Layer) -> dict[str, Callable[[], object]]:
    middle = (EAST + 1500.0, NORTH + 1500.0, EAST + 2000.0, NORTH + 2000.0)
    return {
        "write": lambda: store.write_layer("building", layer, Lineage("bench")),
        "read": lambda: store.read_layer("building"),
        "page": lambda: store.page_layer("building", limit=100, after=COUNT // 2),
        "window": lambda: store.read_layer("building", bbox=middle),
        "one": lambda: store.read_layer("building", oids=["b012345"]),
    }


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
