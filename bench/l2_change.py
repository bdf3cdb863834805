"""One building of a city grows by four metres: seconds until L2 is up to date, against the whole of it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.l2_blocks import make_city
from bench.measure import TWIN, figure, median_of, run_process
from twin import Lineage
from twin.city import open_city

COUNT = int(os.environ.get("L2_CHANGE", "25000"))
RUNS = 3


def grow(city: Path, row: int) -> None:
    """Write the layer again with one building four metres higher."""
    store = open_city(city).store
    layer = store.read_layer("building")
    height = layer.column("height").copy()
    height[row] = (10.0 if height[row] != height[row] else height[row]) + 4.0
    store.write_layer("building", layer.with_columns(height=height), Lineage("bench"))


def figures() -> Iterator[dict[str, Any]]:
    """Whole `twin l2` after a change, and with --force, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        city = Path(folder) / "city"
        make_city(city, COUNT)
        run_process([*TWIN, "l2", str(city)])
        whole: list[float] = []
        rows = iter(range(7, COUNT, COUNT // (RUNS + 1)))

        def once() -> float:
            whole.append(run_process([*TWIN, "l2", str(city), "--force"])[0])
            grow(city, next(rows))
            return run_process([*TWIN, "l2", str(city)])[0]

        value, seconds = median_of(RUNS, once)
    peer = sorted(whole)[RUNS // 2]
    yield figure("l2_change", value, "s", n=COUNT, seconds=seconds, peer="whole L2 of the same city",
                 peer_value=round(peer, 3), ratio=round(peer / value, 2))  # fmt: skip


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
