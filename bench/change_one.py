"""One building of a city of 200,000 grows by four metres in the model: seconds until the tiles are published, whole
publishing alone in one process; all that did not change is there and is taken over."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.measure import figure
from tiles.publish import TileOptions, build
from twin import Frame, GeoBox, Lineage, Raster
from twin.city import City, open_city
from twin.features import objects
from twin.meshes import Solids, Surface
from twin.workers import Workers

COUNT = int(os.environ.get("CHANGE_ONE", "200000"))
KEPT = os.environ.get("CHANGE_ONE_CITY", "")
"""Folder of a city of an earlier run that is taken as it is; made anew in a temporary folder where empty."""

RUNS = 3
PITCH, CELL = 30.0, 500.0
WEST, SOUTH, GROUND = 500_000.0, 4_430_000.0, 1040.0
FRAME = Frame("EPSG:4547", "1985", -12.0)
USES = ("residential", "commercial", "industrial")
TARGET = "published in 1 s"

_FACES = np.array(
    [[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6],
     [3, 0, 4], [3, 4, 7]], np.int32,
)  # fmt: skip
_SURFACE = np.array([Surface.GROUND] * 2 + [Surface.ROOF] * 2 + [Surface.WALL] * 8, np.uint8)
_CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)


def prisms(rows: NDArray[np.int64], side: int) -> Solids:
    """Buildings of a grid of streets, each the same whatever the others are."""
    n = len(rows)
    rng = np.random.default_rng(1372)
    size, tall = rng.uniform(6.0, 22.0, (side * side, 2))[rows], rng.gamma(2.0, 6.0, side * side)[rows] + 3.0
    corner = np.array([WEST, SOUTH]) + np.column_stack([rows % side, rows // side]) * PITCH
    flat = corner[:, None] + _CORNERS[None] * size[:, None]
    low = np.concatenate([flat, np.full((n, 4, 1), GROUND)], axis=2)
    high = np.concatenate([flat, np.broadcast_to(GROUND + tall[:, None, None], (n, 4, 1))], axis=2)
    return Solids(
        FRAME,
        objects([f"b{row:07d}" for row in rows.tolist()]),
        np.concatenate([low, high], axis=1).reshape(-1, 3),
        (_FACES[None] + 8 * np.arange(n, dtype=np.int32)[:, None, None]).reshape(-1, 3),
        np.tile(_SURFACE, n),
        np.arange(n + 1) * 8,
        np.arange(n + 1) * 12,
        np.full(n, 12, np.uint8),
        np.zeros(12 * n, np.uint8),
        {"function": objects([USES[row % 3] for row in rows.tolist()]), "height": tall},
    )


def cells(count: int, taller: frozenset[int] = frozenset()) -> Iterator[tuple[str, Solids]]:
    """(cell, solids) of the city; the buildings of the rows `taller` are four metres higher."""
    side = int(np.ceil(np.sqrt(count)))
    rows = np.arange(count)
    wide = int(CELL // PITCH)
    cell = rows % side // wide + rows // side // wide * 100_000
    order = np.argsort(cell, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
        solids = prisms(part, side)
        for at in np.flatnonzero(np.isin(part, sorted(taller))).tolist():
            solids.vertices[8 * at + 4 : 8 * at + 8, 2] += 4.0
        yield f"c{cell[part[0]]:09d}", solids


def make_city(folder: Path, count: int) -> None:
    """A store with a model, a relief and an orthophoto, as far as publishing reads them."""
    folder.mkdir(parents=True)
    text = '[frame]\ncrs = "EPSG:4547"\nvertical = "1985"\ngeoid_undulation = -12.0\n'
    (folder / "city.toml").write_text(text, encoding="utf-8")
    store = open_city(folder).store
    store.write_model("l2", cells(count), Lineage("bench"))
    extent = np.ceil(np.sqrt(count)) * PITCH
    box = GeoBox.from_bounds((WEST - 50.0, SOUTH - 50.0, WEST + extent + 50.0, SOUTH + extent + 50.0), 10.0, FRAME)
    x, y = box.centers()
    relief = GROUND + 10.0 * np.sin(x / 300.0)[None, :] + 8.0 * np.cos(y / 200.0)[:, None]
    store.write_raster("relief", Raster(relief.astype(np.float32), box), Lineage("bench"))
    photo = np.broadcast_to(np.uint8(relief % 200.0), (3, *relief.shape)).copy()
    store.write_raster("ortho_0", Raster(photo, box, float("nan"), ""), Lineage("bench"))


def publish(city: City) -> float:
    """Seconds of one publishing."""
    began = time.perf_counter()
    build(city, city.options(TileOptions, "tiles"), Workers(1))
    return time.perf_counter() - began


def figures() -> Iterator[dict[str, Any]]:
    """Publishing after a change of one building, median of three, beside publishing all of it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(KEPT or temporary) / "city"
        if not folder.exists():
            make_city(folder, COUNT)
        city = open_city(folder)
        whole = publish(city)
        taken: list[float] = []
        rows = [*range(7, COUNT, COUNT // RUNS)][:RUNS]
        for number in range(1, RUNS + 1):
            # What grew before stays grown, so that one building differs each time.
            city.store.write_model("l2", cells(COUNT, frozenset(rows[:number])), Lineage("bench"))
            taken.append(publish(city))
    value = float(np.median(taken))
    yield figure("change_one", value, "s", n=COUNT, seconds=[round(t, 3) for t in taken], target=TARGET,
                 peer="publishing all of it", peer_value=round(whole, 3), ratio=round(whole / value, 1))  # fmt: skip


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
