"""LoD1 of a whole city from attributes and a DEM into the store: buildings a second, and memory at a size and at four
times the size."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from bench.measure import TWIN, Ran, figure, run_process
from twin import Frame, GeoBox, Layer, Lineage, Raster
from twin.city import open_city

COUNT = int(os.environ.get("L2_BLOCKS", "100000"))
RUNS = 3
PITCH = 25.0
WEST, SOUTH = 500_000.0, 4_430_000.0
FRAME = Frame("EPSG:4547", "1985")
USES = ("residential", "commercial", "industrial")
TARGET = "100000 buildings/s on two cores"


def plans(count: int) -> NDArray[np.object_]:
    """`count` outlines of 6 to 20 m on a grid of streets: seven in ten rectangles, the others L-shaped."""
    rng = np.random.default_rng(1372)
    side = int(np.ceil(np.sqrt(count)))
    x, y = WEST + np.arange(count) % side * PITCH, SOUTH + np.arange(count) // side * PITCH
    w, h = rng.uniform(6.0, 20.0, (2, count))
    corners = ((0, 0), (1, 0), (1, 0.5), (0.5, 0.5), (0.5, 1), (0, 1))
    angled = shapely.polygons(np.stack([np.column_stack([x + u * w, y + v * h]) for u, v in corners], axis=1))
    return np.where(rng.random(count) < 0.3, angled, shapely.box(x, y, x + w, y + h))


def make_city(folder: Path, count: int) -> None:
    """A city of `count` buildings whose store holds a DEM of 5 m and footprints, half of them with a height."""
    folder.mkdir()
    (folder / "city.toml").write_text('[frame]\ncrs = "EPSG:4547"\nvertical = "1985"\n', encoding="utf-8")
    store, rng = open_city(folder).store, np.random.default_rng(1373)
    extent = np.ceil(np.sqrt(count)) * PITCH
    box = GeoBox.from_bounds((WEST - 50.0, SOUTH - 50.0, WEST + extent + 50.0, SOUTH + extent + 50.0), 5.0, FRAME)
    x, y = box.centers()
    ground = 1040.0 + 10.0 * np.sin(x / 300.0)[None, :] + 8.0 * np.cos(y / 200.0)[:, None]
    store.write_raster("dem", Raster(ground.astype(np.float32), box), Lineage("bench"))
    columns = {
        "height": np.where(rng.random(count) < 0.5, rng.uniform(3.0, 40.0, count), np.nan),
        "storeys": rng.integers(1, 12, count).astype(float),
        "function": np.array(USES, dtype=object)[rng.integers(0, len(USES), count)],
    }
    oid = [f"b{k:07d}" for k in range(count)]
    store.write_layer("building", Layer.build("building", FRAME, oid, plans(count), columns), Lineage("bench"))


def _afresh(city: Path, command: list[str]) -> Ran:
    """The command where nothing is known of what it made before: every solid is raised, every row written again."""
    store = open_city(city).store
    store.remove("document", "l2_cells")
    store.remove("layer", "building_l2")
    return run_process(command)


def figures() -> Iterator[dict[str, Any]]:
    """Whole `twin l2`, start of the program and relief included, median of three; what a building more costs.

    No peer is packaged for Python: roofer is C++ and raises no blocks from attributes.
    """
    few, many = COUNT // 4, COUNT
    taken: dict[int, tuple[float, float, float]] = {}
    for count in (few, many):
        with tempfile.TemporaryDirectory() as folder:
            city = Path(folder) / "city"
            make_city(city, count)
            command = [*TWIN, "l2", str(city), "--force"]
            run_process(command)  # compiles the loops, once and for all
            ran = [_afresh(city, command) for _ in range(RUNS)]
            runs = np.array([(one.seconds, one.cpu, one.peak_mib) for one in ran])
        seconds, cpu, peak = (float(middle) for middle in np.median(runs, axis=0))
        taken[count] = seconds, cpu, peak
        yield figure("l2_blocks", count / seconds, "buildings/s", n=count, seconds=np.round(runs[:, 0], 3).tolist(),
                     cpu_seconds=round(cpu, 3), peak_mib=round(peak), target=TARGET)  # fmt: skip
    more = np.subtract(taken[many], taken[few]) / (many - few)
    yield figure("l2_blocks_each", 1.0 / more[1], "buildings/s of CPU", n=many - few, target=TARGET)
    yield figure("l2_blocks_memory", more[2] * 2**20, "bytes/building", n=many, peak_mib=round(taken[many][2]),
                 target="1000000 buildings under 4096 MiB")  # fmt: skip


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
