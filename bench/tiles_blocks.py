"""L2 blocks of a store as finished leaves on disk: buildings a second on two cores, and bytes on the wire of each."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.l2_blocks import make_city
from bench.measure import TWIN, figure, run_process
from tiles import models
from tiles.gltf import content
from tiles.lod import build as lod
from tiles.options import ModelTiles
from tiles.scheme.squares import divide
from tiles.shelf import Shelf
from twin.city import open_city
from twin.meshes import concatenate
from twin.workers import Workers

COUNT = int(os.environ.get("TILES_BLOCKS", "40000"))
RUNS = 5
TARGET = "100000 blocks/s on two cores"
OPTIONS = ModelTiles()


@dataclass(frozen=True)
class Share:
    """A square of the tree for one worker, and how far it is to go: "glb", "copies" beside it, "blocks" for above."""

    part: lod.Plan
    setting: lod.Setting
    until: str


def leaves(share: Share) -> tuple[int, int, float]:
    """(buildings, bytes that travel, seconds of CPU) of all leaves of a square, from the store to the disk."""
    began, count, wire = time.process_time(), 0, 0
    setting, names = share.setting, [cell.name for cell in share.part.cells]
    solids = concatenate([solids for _, solids in setting.store.read_model(lod.MODEL, names)])
    model = models.buildings(solids.take(np.flatnonzero(models.has_surface(solids))), setting.shown)
    at = model.solids.vertex_offset[:-1]
    low, high = (f.reduceat(model.solids.vertices[:, :2], at) for f in (np.minimum, np.maximum))
    faces = np.diff(model.solids.face_offset)
    weights = models.weight(model.schema, np.ones(len(faces)), faces)
    waiting = [divide((low + high) / 2.0, weights, OPTIONS.leaf_bytes)]
    while waiting:
        branch = waiting.pop()
        waiting += branch.quarters
        if branch.quarters:
            continue
        leaf = model.take(np.sort(branch.rows))
        count += len(leaf.solids)
        if share.until == "blocks":
            wire += lod.leaf(leaf, setting).tile.content.wire
        elif share.until == "copies":
            wire += models.write(leaf, setting.shelf, OPTIONS.sink).wire
        else:
            matrix = content.tile_matrix(leaf.solids.frame, leaf.solids.vertices)
            mesh = content.shape(leaf.solids, matrix, leaf.functions, OPTIONS.sink)
            data = content.encode(mesh, leaf.schema, leaf.columns)
            path = setting.shelf.path(f"{share.part.key}{count}.glb")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return count, wire, time.process_time() - began


def figures() -> Iterator[dict[str, Any]]:
    """The leaf path on two workers that are warm, median of five; seconds of CPU beside those of the clock.

    No peer ran: what others publish is for other inputs on other machines (3,830 buildings/s, README of pg2b3dm).
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "city"
        make_city(place, COUNT)
        run_process([*TWIN, "l2", str(place)])
        store = open_city(place).store
        shelf = Shelf(Path(folder) / "shelf", OPTIONS.brotli_quality)
        setting = lod.Setting(store, shelf, OPTIONS, frozenset(), "bench")
        parts = [part for part in lod.plan(store.model_index(lod.MODEL), setting).walk() if not part.quarters]
        with Workers(2) as workers:
            for until in ("glb", "copies", "blocks"):
                shares = [Share(part, setting, until) for part in parts]
                list(workers.map(leaves, shares[:4]))  # compiles the loops, once and for all
                runs, cpu, wire = [], [], 0
                for _ in range(RUNS):
                    shutil.rmtree(shelf.root, ignore_errors=True)
                    began = time.perf_counter()
                    made = np.array(list(workers.map(leaves, shares)))
                    runs.append(time.perf_counter() - began)
                    cpu.append(float(made[:, 2].sum()))
                    wire = int(made[:, 1].sum())
                told = {"n": COUNT, "seconds": np.round(runs, 3).tolist(), "target": TARGET,
                        "cpu_us_each": round(float(np.median(cpu)) / COUNT * 1e6, 2)}  # fmt: skip
                yield figure(f"tiles_blocks_{until}", COUNT / float(np.median(runs)), "blocks/s", **told)
        yield figure("tiles_blocks_wire", wire / COUNT, "bytes/block", n=COUNT, target="100 bytes on the wire")


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
