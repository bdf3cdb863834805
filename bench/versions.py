"""Versions of 1,000,000 footprints: hashing a delivery, bytes kept, the diff of two; beside WKB of the same layer."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import shapely

from bench.measure import figure, median_of
from bench.stores import footprints
from twin import Layer, Lineage
from twin.store import Version, history

COUNT = 1_000_000
RUNS = 5


def figures() -> Iterator[dict[str, Any]]:
    """Seconds to hash one delivery, bytes a feature that are kept, seconds to tell two deliveries apart."""
    layer = footprints(COUNT)
    old = history.take_prints(layer)
    new = history.take_prints(_next_delivery(layer))
    peer, _ = median_of(RUNS, lambda: _timed(lambda: shapely.to_wkb(layer.geometry)))
    seconds, runs = median_of(RUNS, lambda: _timed(lambda: history.take_prints(layer)))
    ratio = {"peer": "shapely.to_wkb", "peer_value": round(peer, 3), "ratio": round(peer / seconds, 2)}
    yield figure("versions_hash", seconds, "s", n=COUNT, seconds=runs, **ratio)
    kept = len(history.encode(old, Version(1, "", Lineage("bench"), COUNT)))
    yield figure("versions_bytes", kept / COUNT, "B/feature", n=COUNT)
    seconds, runs = median_of(RUNS, lambda: _timed(lambda: history.compare("building", (1, 2), old, new)))
    yield figure("versions_diff", seconds, "s", n=COUNT, seconds=runs)


def _next_delivery(layer: Layer) -> Layer:
    """One in a hundred gone, one in fifty moved, one in twenty with another height."""
    geometry, height = layer.geometry.copy(), layer.columns["height"].copy()
    geometry[::50] = shapely.transform(geometry[::50], lambda xy: xy + np.array([0.5, 0.0]))
    height[::20] += 3.0
    kept = np.flatnonzero(np.arange(len(layer)) % 100 != 7)
    return dataclasses.replace(layer, geometry=geometry).with_columns(height=height).take(kept)


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
