"""Roofs by rule: straight skeletons, roof types and shells of typical footprints in a second, on one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
from shapely import affinity

from bench.measure import figure
from models_l2.footprints import Rings, from_polygons
from models_l2.roofs import ROOFS, RoofBatch, TypeOptions, build_roofs
from models_l2.roofs.skeleton import straight_skeleton
from models_l2.shell import raise_partition
from twin.frames import Frame

COUNT, TIMES, SNAP = 2000, 3, 0.001


def figures() -> list[dict[str, Any]]:
    """Skeletons, gabled and hipped roofs, and their solids; processor time, so that neighbours do not count."""
    rings = _footprints()
    batch = _batch(rings)
    told = {"n": COUNT, "vertices": round(len(rings.xy) / COUNT, 1)}
    result = [_rate("skeletons", lambda: straight_skeleton(rings), told)]
    for name in ("gabled", "hipped", "mansard"):
        kind = np.full(COUNT, name, dtype=object)

        def draw(kind: np.ndarray = kind) -> Any:
            return build_roofs(batch, kind, ROOFS, TypeOptions(), SNAP)

        made = draw()
        result.append(_rate(f"roofs_{name}", draw, {**told, "as_asked": float((made.built == name).mean())}))
    oid = np.arange(COUNT).astype(str).astype(object)

    def shells() -> Any:
        return raise_partition(made.partition, np.zeros(COUNT), oid, Frame("EPSG:4547"), 22)

    result.append(_rate("shells_mansard", shells, told))
    return result


def _rate(name: str, once: Callable[[], Any], told: dict[str, Any]) -> dict[str, Any]:
    once()
    runs = []
    for _ in range(TIMES):
        began = time.process_time()
        once()
        runs.append(COUNT / (time.process_time() - began))
    return figure(name, statistics.median(runs), "buildings/s", runs=[round(run) for run in runs], **told)


def _footprints() -> Rings:
    """One to three rectangles grown together and turned, the same ones every time."""
    chance = np.random.default_rng(3)
    shapes: list[shapely.Polygon] = []
    while len(shapes) < COUNT:
        corner, size = chance.uniform(0.0, 15.0, (3, 2)), chance.uniform(4.0, 14.0, (3, 2))
        boxes = shapely.box(*np.round(np.column_stack([corner, corner + size]), 1).T)
        whole = shapely.union_all(boxes[: chance.integers(1, 4)])
        if whole.geom_type == "Polygon":
            turned = affinity.rotate(whole, chance.uniform(0.0, 360.0), origin=(0.0, 0.0))
            shapes.append(affinity.translate(turned, 500_000.0, 4_430_000.0))
    return from_polygons(np.array(shapes, dtype=object), SNAP)


def _batch(rings: Rings) -> RoofBatch:
    full = np.ones(rings.n)
    return RoofBatch(rings, 2.0 * full, 4.0 * full, np.nan * full, 35.0 * full, np.nan * full)
