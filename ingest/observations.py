"""Sensors, their observations and incidents: tables of a bureau become Things, Datastreams, values and Incidents."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ingest.addresses import read_table
from ingest.conform import accepts_ballpark, column_mapping, crs_of, naming, vertical_shift
from ingest.formats.words import numbers, texts
from ingest.reading import Card, Delivery, RawTable, Reading
from twin.errors import SourceError
from twin.features import Objects, objects
from twin.frames import Frame, to_frame
from twin.live import Datastream, Incident, Thing
from twin.outcome import Outcome

THING = ("oid", "name", "name_en", "kind", "lon", "lat", "x", "y", "z", "target_oid")
STREAM = (
    "datastream", "observed_property", "datastream_name", "datastream_name_en", "unit", "minimum", "maximum", "warn",
    "alarm",
)  # fmt: skip
VALUE = ("datastream", "time", "value")
INCIDENT = (
    "oid", "kind", "title", "title_en", "lon", "lat", "x", "y", "time", "status", "severity", "target_oid",
    "description", "description_en",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LiveTables:
    """What one delivery brings to the live store; `values` is (datastream oids, seconds since 1970 UTC, values)."""

    things: tuple[Thing, ...] = ()
    datastreams: tuple[Datastream, ...] = ()
    incidents: tuple[Incident, ...] = ()
    values: tuple[Objects, NDArray[np.float64], NDArray[np.float64]] | None = None


@dataclass(frozen=True, slots=True)
class _Columns:
    """Columns of ours by name, missing ones as empty text or NaN."""

    raw: RawTable
    mapping: dict[str, str]
    warnings: list[str] = field(default_factory=list)

    def text(self, name: str) -> Objects:
        if name not in self.mapping:
            return objects([""] * len(self.raw))
        return texts(self.raw.fields[self.mapping[name]])

    def number(self, name: str) -> NDArray[np.float64]:
        if name not in self.mapping:
            return np.full(len(self.raw), np.nan)
        values, lines = numbers(self.raw.fields[self.mapping[name]], name, self.raw.shown)
        self.warnings.extend(lines)
        return values

    def need(self, *names: str) -> None:
        missing = [name for name in names if name not in self.mapping]
        if missing:
            raise SourceError(
                f'{self.raw.shown}: no column {", ".join(missing)}; map it in columns = {{ {missing[0]} = "..." }}; '
                f"the file has {', '.join(self.raw.fields)}"
            )


def _tables(delivery: Delivery, known: tuple[str, ...]) -> list[_Columns]:
    raws = [read_table(path, delivery) for path in delivery.files()]
    return [_Columns(raw, column_mapping(raw, delivery, known)) for raw in raws]


@dataclass(frozen=True, slots=True)
class SensorReader:
    """Reads a table of sensors, one row for each series they measure."""

    kind: str = "sensors"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, "live things and datastreams", (), "", "OGC SensorThings 1.1 Thing, Datastream")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """Things in WGS 84 with their datastreams; rows that repeat an oid add series to the same Thing."""
        things: dict[str, Thing] = {}
        streams: dict[str, Datastream] = {}
        outcomes, warnings, rows = [], [], 0
        for columns in _tables(delivery, (*THING, *STREAM)):
            columns.need("oid")
            rows += len(columns.raw)
            found, lost = _things(columns, delivery, frame)
            outcomes += lost
            for thing in found:
                things.setdefault(thing.oid, thing)
            for stream in _streams(columns):
                if stream.thing_oid not in things:
                    continue
                if stream.oid in streams:
                    outcomes.append(Outcome(stream.oid, "skipped", "数据流重复 / datastream repeats", self.kind))
                streams.setdefault(stream.oid, stream)
            warnings += columns.warnings
        noun = LiveTables(tuple(things.values()), tuple(streams.values()))
        tally = {"rows": rows, "things": len(things), "datastreams": len(streams)}
        return Reading(noun, delivery.lineage(), tuple(outcomes), tuple(warnings), tally)


def _lonlat(columns: _Columns, delivery: Delivery, frame: Frame) -> NDArray[np.float64]:
    pair = ("x", "y") if "x" in columns.mapping else ("lon", "lat")
    columns.need(*pair)
    xy = np.column_stack([columns.number(name) for name in pair])
    crs = crs_of(delivery, "", columns.raw.shown)
    known = np.isfinite(xy).all(axis=1)
    result = np.full(xy.shape, np.nan)
    if known.any():
        moved = xy[known]
        if crs not in ("EPSG:4326", "EPSG:4490"):
            with naming(columns.raw.shown):
                moved = frame.to_lonlat(to_frame(moved, crs, frame, accepts_ballpark(delivery)))
        if np.abs(moved).max() > 360.0:
            raise SourceError(f"{columns.raw.shown}: coordinates are no degrees of {crs}; declare the CRS they are in")
        result[known] = np.round(moved, 8)
    return result


def _things(columns: _Columns, delivery: Delivery, frame: Frame) -> tuple[list[Thing], list[Outcome]]:
    lonlat, z = _lonlat(columns, delivery, frame), columns.number("z") * delivery.scale()
    if not np.isnan(z).all():
        z = z + vertical_shift(delivery, frame, columns.raw.shown)[0]
    words = {name: columns.text(name).tolist() for name in ("oid", "name", "name_en", "kind", "target_oid")}
    things, outcomes = [], []
    for row, oid in enumerate(words["oid"]):
        if not oid or np.isnan(lonlat[row]).any():
            reason = "缺少坐标 / no coordinates" if oid else "缺少标识 / no oid"
            outcomes.append(Outcome(oid or f"row {row + 1}", "skipped", reason, "sensors"))
            continue
        things.append(
            Thing(
                oid=oid,
                name=words["name"][row] or oid,
                name_en=words["name_en"][row],
                kind=words["kind"][row],
                lon=float(lonlat[row, 0]),
                lat=float(lonlat[row, 1]),
                z=float(z[row]),
                target_oid=words["target_oid"][row],
            )
        )
    return things, outcomes


def _streams(columns: _Columns) -> list[Datastream]:
    if "observed_property" not in columns.mapping:
        return []
    names = ("oid", "datastream", "observed_property", "datastream_name", "datastream_name_en", "unit")
    words = {name: columns.text(name).tolist() for name in names}
    limits = {name: columns.number(name).tolist() for name in ("minimum", "maximum", "warn", "alarm")}
    return [
        Datastream(
            oid=words["datastream"][row] or f"{thing}/{words['observed_property'][row]}",
            thing_oid=thing,
            observed_property=words["observed_property"][row],
            name=words["datastream_name"][row] or words["observed_property"][row],
            unit=words["unit"][row],
            name_en=words["datastream_name_en"][row],
            **{name: limits[name][row] for name in limits},
        )
        for row, thing in enumerate(words["oid"])
        if words["observed_property"][row]
    ]


@dataclass(frozen=True, slots=True)
class ObservationReader:
    """Reads a table of observations: datastream, time, value."""

    kind: str = "observations"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(
            self.kind, "live observations", ("sensors",), "", "OGC SensorThings 1.1 Observation; RFC 3339 times"
        )

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """Values with their moments; gaps (NA, empty) are counted and left out."""
        parts, warnings = [], []
        rows = gaps = 0
        for columns in _tables(delivery, VALUE):
            columns.need(*VALUE)
            rows += len(columns.raw)
            time, lines = seconds(columns.text("time"), delivery, columns.raw.shown)
            value = columns.number("value")
            known = np.isfinite(time) & np.isfinite(value)
            gaps += int(np.count_nonzero(~known))
            parts.append((columns.text("datastream")[known], time[known], value[known]))
            warnings += [*lines, *columns.warnings]
        values = tuple(np.concatenate([part[k] for part in parts]) for k in range(3))
        noun = LiveTables(values=values)  # type: ignore[arg-type]
        tally = {"rows": rows, "gaps": gaps, "observations": len(values[0])}
        return Reading(noun, delivery.lineage(), warnings=tuple(warnings), tally=tally)


@dataclass(frozen=True, slots=True)
class IncidentReader:
    """Reads a table of incidents."""

    kind: str = "incidents"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, "live incidents", (), "", "severity 1 (I) .. 4 (IV)")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """Incidents in WGS 84; a row without place, time or a severity of 1..4 is named and left out."""
        incidents: dict[str, Incident] = {}
        outcomes, warnings, rows = [], [], 0
        for columns in _tables(delivery, INCIDENT):
            columns.need("oid", "time")
            rows += len(columns.raw)
            found, lost, lines = _incidents(columns, delivery, frame)
            incidents |= {incident.oid: incident for incident in found}
            outcomes += lost
            warnings += [*lines, *columns.warnings]
        tally = {"rows": rows, "incidents": len(incidents)}
        noun = LiveTables(incidents=tuple(incidents.values()))
        return Reading(noun, delivery.lineage(), tuple(outcomes), tuple(warnings), tally)


def _incidents(columns: _Columns, delivery: Delivery, frame: Frame) -> tuple[list[Incident], list[Outcome], list[str]]:
    lonlat = _lonlat(columns, delivery, frame)
    time, lines = seconds(columns.text("time"), delivery, columns.raw.shown)
    severity = columns.number("severity") if "severity" in columns.mapping else np.full(len(time), 4.0)
    plain = ("kind", "title", "title_en", "status", "target_oid", "description", "description_en")
    words = {name: columns.text(name).tolist() for name in plain}
    found, lost = [], []
    for row, oid in enumerate(columns.text("oid").tolist()):
        reason = _why_not(oid, lonlat[row], float(time[row]), float(severity[row]))
        if reason:
            lost.append(Outcome(oid or f"row {row + 1}", "skipped", reason, "incidents"))
            continue
        lon, lat = lonlat[row].tolist()
        found.append(
            Incident(
                oid=oid,
                lon=lon,
                lat=lat,
                time=float(time[row]),
                severity=int(severity[row]),
                **{name: words[name][row] for name in plain},
            )
        )
    return found, lost, lines


def _why_not(oid: str, lonlat: NDArray[np.float64], time: float, severity: float) -> str:
    if not oid:
        return "缺少标识 / no oid"
    if np.isnan(lonlat).any():
        return "缺少坐标 / no coordinates"
    if math.isnan(time):
        return "时间无效 / time cannot be read"
    return "" if severity in (1.0, 2.0, 3.0, 4.0) else f"等级 {severity:g} 不在 1–4 / severity is none of 1..4"


def seconds(words: Objects, delivery: Delivery, shown: str) -> tuple[NDArray[np.float64], list[str]]:
    """Seconds since 1970 UTC (n,) f8 of RFC 3339 text or plain seconds, NaN where unreadable, and warnings.

    raises  SourceError for local times without an offset, unless the source declares extra.utc_offset in hours
    """
    unique, inverse = np.unique(words.astype(str), return_inverse=True)
    plain = np.array([_seconds(word) for word in unique.tolist()], dtype=np.float64)
    text = pd.Series(np.where(np.isnan(plain), unique, ""), dtype=object)
    local = text.ne("") & ~text.str.contains(r"(?:Z|z|[+-]\d\d:?\d\d)$", regex=True)
    offset = delivery.source.extra.get("utc_offset")
    dated = local & text.str.match(r"\d{4}[-/]")
    if dated.any() and offset is None:
        first = text[dated].iloc[0]
        raise SourceError(
            f"{shown}: time {first!r} has no offset; add extra = {{ utc_offset = 8 }} (hours) to "
            f'[[source]] "{delivery.source.name}" in city.toml'
        )
    moments = pd.to_datetime(text.str.replace("/", "-"), utc=True, errors="coerce", format="ISO8601")
    stamp = (moments - pd.Timestamp("1970-01-01", tz="UTC")) / pd.Timedelta(seconds=1)
    shifted = stamp.to_numpy(dtype=np.float64) - np.where(local, float(offset or 0.0) * 3600.0, 0.0)
    result = np.where(np.isnan(plain), shifted, plain)[inverse]
    bad = np.flatnonzero(np.isnan(result))
    if not len(bad):
        return result, []
    return result, [f"{shown}: {len(bad)} times cannot be read, first {words[bad[0]]!r} in row {bad[0] + 1}"]


def _seconds(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def check_targets(tables: LiveTables, aliases: dict[str, str]) -> tuple[LiveTables, list[str]]:
    """The tables with every target as an oid of the city, and a warning where one is no object of it.

    aliases     oid or source id -> oid
    """
    lost: list[str] = []

    def resolved(item: Any) -> Any:
        if not item.target_oid or item.target_oid in aliases:
            return replace(item, target_oid=aliases.get(item.target_oid, ""))
        lost.append(f"{item.oid} -> {item.target_oid}")
        return item

    things, incidents = tuple(map(resolved, tables.things)), tuple(map(resolved, tables.incidents))
    lines = [f"{len(lost)} targets are no object of the city, e.g. {lost[0]}"] if lost else []
    return replace(tables, things=things, incidents=incidents), lines
