"""Trajectories: fixes of moving things (GNSS tracks) become one line a trajectory that knows its times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from ingest.conform import column_mapping, crs_of, leftovers, texts
from ingest.layers import join_lineage, placed, read_features
from ingest.quality import feature_tally
from ingest.reading import Card, Delivery, RawTable, Reading
from ingest.repair import stable_oids
from ingest.series.moments import seconds
from twin.errors import SourceError
from twin.features import Layer, objects
from twin.frames import Frame
from twin.lineage import Lineage
from twin.outcome import Outcome

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = ("source_id", "oid", "time", "tracker", "name", "lon", "lat", "x", "y", "wkt")


@dataclass(frozen=True, slots=True)
class TrajectoryReader:
    """Reads points with a time, from any vector file or table, into layer `trajectory`."""

    kind: str = "trajectories"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        method = "fixes in the order of time; OGC Moving Features 1.0 (19-045r3) trajectory"
        return Card(self.kind, "layer trajectory", (), "m", method)

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """One line for each `source_id`, its vertices in the order of `time`, fixes of all files together.

        outcomes    fixes without time or place are counted on their trajectory; one with fewer than two goes
        raises      SourceError without a column time or source_id, and for what is no point
        """
        ids, times, trackers, names, shapes = [], [], [], [], []
        ways: list[Lineage] = []
        warnings, crs = [], ""
        for path in delivery.files():
            raw = read_features(path, delivery, COLUMNS)
            columns = _columns(raw, delivery)
            geometry, way = _points(raw, delivery, frame)
            moment, lines = seconds(columns["time"], delivery, raw.shown)
            warnings += [*raw.notes, *lines]
            crs = crs or crs_of(delivery, raw.crs, raw.shown)
            ids.append(columns["source_id"])
            trackers.append(columns["tracker"])
            names.append(columns["name"])
            times.append(moment)
            shapes.append(geometry)
            ways.append(way)
        fixes = _Fixes(*(np.concatenate(part) for part in (ids, times, trackers, names, shapes)))
        layer, outcomes = _lines(fixes, delivery, frame)
        tally = feature_tally(len(fixes.time), 0, outcomes) | {"trajectories": len(layer)}
        return Reading(layer, join_lineage(ways), tuple(outcomes), tuple(warnings), tally, crs)


@dataclass(frozen=True, slots=True)
class _Fixes:
    """Fixes of all files: trajectory, seconds since 1970 UTC, moving thing, name, point in the frame or None."""

    trajectory: NDArray[np.object_]
    time: NDArray[np.float64]
    tracker: NDArray[np.object_]
    name: NDArray[np.object_]
    point: NDArray[np.object_]


def _columns(raw: RawTable, delivery: Delivery) -> dict[str, NDArray[np.object_]]:
    mapping = column_mapping(raw, delivery, COLUMNS)
    mapping["source_id"] = mapping.get("source_id", mapping.get("oid", ""))
    for name in ("source_id", "time"):
        if not mapping.get(name):
            raise SourceError(
                f'{raw.shown}: no column {name}; map it in columns = {{ {name} = "..." }}; '
                f"the file has {', '.join(raw.fields) or 'none'}"
            )
    blank = objects([""] * len(raw))
    return {
        name: texts(raw.fields[mapping[name]]) if name in mapping else blank
        for name in ("source_id", "time", "tracker", "name")
    }


def _points(raw: RawTable, delivery: Delivery, frame: Frame) -> tuple[NDArray[np.object_], Lineage]:
    kinds = set(shapely.get_type_id(raw.geometry).tolist()) - {-1}
    if kinds - {0}:
        raise SourceError(f"{raw.shown}: trajectories are delivered as points with a time; it holds other shapes")
    return placed(raw, delivery, frame, delivery.lineage())


def _lines(fixes: _Fixes, delivery: Delivery, frame: Frame) -> tuple[Layer, list[Outcome]]:
    xy = np.full((len(fixes.time), 2), np.nan)
    there = ~shapely.is_missing(fixes.point) & ~shapely.is_empty(fixes.point)
    xy[there] = shapely.get_coordinates(fixes.point[there])
    known = np.isfinite(fixes.time) & np.isfinite(xy).all(axis=1) & (fixes.trajectory != "")
    keys, first, code = np.unique(fixes.trajectory, return_index=True, return_inverse=True)
    ids = objects(keys.tolist())
    oids = stable_oids(delivery.source.name, "trajectory", ids, shapely.points(np.zeros((len(ids), 2))))
    order = np.lexsort((np.arange(len(code)), fixes.time, code))
    order = order[known[order]]
    runs = np.split(order, np.searchsorted(code[order], np.arange(1, len(keys))))
    lost = np.bincount(code[~known], minlength=len(keys))
    kept, outcomes, shapes = [], [], []
    # A split has one part where there is nothing to split.
    for key, rows in enumerate(runs[: len(keys)]):
        oid = str(oids[key])
        if len(rows) < 2 or not ids[key]:
            outcomes.append(Outcome(oid, "skipped", "少于两个定位点 / fewer than two fixes", "trajectories"))
            continue
        if lost[key]:
            reason = f"{lost[key]} 个定位点缺时刻或坐标 / {lost[key]} fixes without time or place, left out"
            outcomes.append(Outcome(oid, "fallback", reason, "trajectories"))
        kept.append(key)
        shapes.append(shapely.linestrings(xy[rows]))
    table = _table(fixes, [runs[key] for key in kept], first[kept], objects(shapes))
    table |= {"source_id": ids[kept]}
    return Layer.build("trajectory", frame, oids[kept], objects(shapes), table), outcomes


def _table(
    fixes: _Fixes, runs: list[NDArray[np.intp]], first: NDArray[np.intp], shapes: NDArray[np.object_]
) -> dict[str, Any]:
    since = [fixes.time[rows[0]] for rows in runs]
    until = [fixes.time[rows[-1]] for rows in runs]
    times = [np.round(fixes.time[rows] - begin, 3).tolist() for rows, begin in zip(runs, since, strict=True)]
    return {
        "name": fixes.name[first],
        "tracker": fixes.tracker[first],
        "begin_time": objects([_stamp(moment) for moment in since]),
        "end_time": objects([_stamp(moment) for moment in until]),
        "times": objects([orjson.dumps(line).decode() for line in times]),
        "fixes": np.array([len(rows) for rows in runs], dtype=np.float64),
        "length": np.round(shapely.length(shapes), 3) if len(shapes) else np.zeros(0),
        "attributes": leftovers({}, len(runs)),
    }


def _stamp(moment: float) -> str:
    return (_EPOCH + timedelta(milliseconds=round(moment * 1e3))).isoformat().replace("+00:00", "Z")
