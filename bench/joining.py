"""Addresses to buildings, and one building source into another, at 200,000 of each: seconds and growth from a tenth."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely

from bench.measure import figure
from ingest.joining.fusion import MergeRules, merge
from ingest.joining.matching import MatchOptions, match_addresses
from twin import Frame, Layer

COUNT = 200_000
FRAME = Frame("EPSG:4547", "1985")


def town(count: int) -> tuple[Layer, Layer, Layer]:
    """(buildings, addresses of which a fifth lie outside, survey outlines a metre off) on a grid of 20 m."""
    rng = np.random.default_rng(3)
    side = int(np.ceil(np.sqrt(count)))
    x, y = np.arange(count) % side * 20.0 + 439_000.0, np.arange(count) // side * 20.0 + 4_440_000.0
    oid = [f"b{k:07d}" for k in range(count)]
    buildings = Layer.build("building", FRAME, oid, shapely.box(x, y, x + 12.0, y + 12.0), {"source": ["map"] * count})
    off = np.where(rng.random(count) < 0.2, 9.0, 0.0)
    text = [f"大同市平城区第{k // 200}街{k % 200 + 1}号" for k in range(count)]
    points = shapely.points(x + 6.0 + off, y + 6.0)
    addresses = Layer.build("address", FRAME, [f"a{k:07d}" for k in range(count)], points, {"text": text})
    shift = rng.normal(0.0, 1.0, (2, count))
    shapes = shapely.box(x + shift[0], y + shift[1], x + shift[0] + 12.0, y + shift[1] + 12.0)
    given = {"source": ["survey"] * count, "height": rng.uniform(3.0, 60.0, count), "storeys": np.full(count, 3.0)}
    return buildings, addresses, Layer.build("building", FRAME, [f"s{k:07d}" for k in range(count)], shapes, given)


def figures() -> Iterator[dict[str, Any]]:
    """Seconds for each; `ratio` is the time of a tenth of it, ten times, over the whole: 1 is linear."""
    taken: dict[tuple[str, int], float] = {}
    for count in (COUNT // 10, COUNT):
        buildings, addresses, survey = town(count)
        began = time.perf_counter()
        match_addresses(addresses, buildings, MatchOptions())
        taken["match_addresses", count] = time.perf_counter() - began
        began = time.perf_counter()
        merge(buildings, survey, MergeRules())
        taken["merge_sources", count] = time.perf_counter() - began
    for name in ("match_addresses", "merge_sources"):
        tenth, whole = taken[name, COUNT // 10], taken[name, COUNT]
        yield figure(name, whole, "s", n=COUNT, peer="a tenth, ten times", peer_value=round(10 * tenth, 3),
                     ratio=round(10 * tenth / whole, 2))  # fmt: skip


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
