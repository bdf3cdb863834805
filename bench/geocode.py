"""Words to places on the sample city: making the index, median time of a question, of a typo, of a point."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import shapely

from bench.measure import figure
from ingest.datong import people
from ingest.datong.plan import FRAME, ORIGIN, footprints
from ingest.sample import make
from twin import Layer
from twin.analysis.geocode import geocode, reverse
from twin.analysis.places import places
from twin.frames import wgs84_from_gcj02

COUNT = 25_000
ASKED = 200


def layers(count: int) -> tuple[Layer, Layer, Layer]:
    """(addresses, buildings, divisions) of the sample city, without its pictures."""
    made = make.plan(count, 1372)
    division = people.divisions(made.extent)
    roads = make._layers(made).roads
    found = people.addresses(np.random.default_rng(4), made.batch, made.unit, roads, division).table
    xy = FRAME.from_lonlat(wgs84_from_gcj02(found[["经度", "纬度"]].to_numpy(float)))
    words = {"text": found["标准地址"].tolist(), "road": found["道路"].tolist()}
    addresses = Layer.build("address", FRAME, found["地址编码"].tolist(), shapely.points(xy), words)
    shapes = shapely.transform(footprints(made.batch), lambda at: at + ORIGIN)
    oid = [f"B{k:07d}" for k in range(len(shapes))]
    buildings = Layer.build("building", FRAME, oid, shapes, {"name": made.batch.name})
    table = division.table
    outlines = shapely.transform(table.geometry, lambda at: at + ORIGIN)
    named = {"code": table.columns["code"], "name": table.columns["name"], "division_level": table.columns["level"]}
    return addresses, buildings, Layer.build("division", FRAME, list(table.columns["code"]), outlines, named)


def figures() -> Iterator[dict[str, Any]]:
    """Seconds of the index, then medians over 200 questions; the peer of a question is a look at every text."""
    addresses, buildings, divisions = layers(COUNT)
    began = time.perf_counter()
    where = places(addresses, buildings, divisions)
    yield figure("geocode_index", time.perf_counter() - began, "s", n=len(addresses))
    rows = np.random.default_rng(7).choice(len(addresses), ASKED, replace=False)
    texts = [str(text) for text in addresses.column("text")[rows].tolist()]
    listed = addresses.column("text").tolist()
    scan = _median(lambda text: [k for k, known in enumerate(listed) if text in known], texts)
    full = _median(lambda text: geocode(text, where), texts)
    yield figure("geocode_full", full, "ms", n=ASKED, peer="scan of texts", peer_value=round(scan, 3),
                 ratio=round(scan / full, 2))  # fmt: skip
    roads = [str(road) for road in addresses.column("road")[rows].tolist()]
    typed = [text.replace(road, road[0] + "某" + road[2:]) for text, road in zip(texts, roads, strict=True)]
    yield figure("geocode_typo", _median(lambda text: geocode(text, where), typed), "ms", n=ASKED)
    at = [where.entries.xy[row] for row in rows.tolist()]
    yield figure("geocode_reverse", _median(lambda xy: reverse((xy[0], xy[1]), where), at), "ms", n=ASKED)


def _median(ask: Callable[[Any], object], questions: list[Any]) -> float:
    taken = []
    for question in questions:
        began = time.perf_counter()
        ask(question)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
