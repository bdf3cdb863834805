"""Sensors, their observations and incidents: tables of a bureau become Things, Datastreams, values and Incidents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.addresses import read_table
from ingest.conform import accepts_ballpark, column_mapping, crs_of, naming, vertical_shift
from ingest.formats.words import numbers, texts
from ingest.reading import Card, Delivery, RawTable, Reading, listed
from ingest.series import sensorthings
from ingest.series.moments import seconds
from ingest.series.sensorthings import JSON_SUFFIXES, Entities
from ingest.series.wide import Values, is_wide, unpivot
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
    values: Values | None = None


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
                f"the file has {listed(self.raw.fields)}"
            )


def _tables(delivery: Delivery, known: tuple[str, ...]) -> list[_Columns]:
    raws = [read_table(path, delivery) for path in delivery.files()]
    return [_Columns(raw, column_mapping(raw, delivery, known)) for raw in raws]


@dataclass(frozen=True, slots=True)
class SensorReader:
    """Reads a table of sensors, one row for each series they measure, or documents of OGC SensorThings."""

    kind: str = "sensors"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, "live things and datastreams", (), "", "OGC SensorThings 1.1 Thing, Datastream")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """Things in WGS 84 with their datastreams; rows that repeat an oid add series to the same Thing."""
        if _documents(delivery):
            return _read_documents(delivery, frame, self.kind)
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
    return _degrees(xy, crs_of(delivery, "", columns.raw.shown), delivery, frame, columns.raw.shown)


def _degrees(xy: NDArray[np.float64], crs: str, delivery: Delivery, frame: Frame, shown: str) -> NDArray[np.float64]:
    """Longitude and latitude (n, 2) in WGS 84 of points (n, 2) in `crs`; NaN stays NaN."""
    known = np.isfinite(xy).all(axis=1)
    result = np.full(xy.shape, np.nan)
    if known.any():
        moved = xy[known]
        if crs not in ("EPSG:4326", "EPSG:4490"):
            with naming(shown):
                moved = frame.to_lonlat(to_frame(moved, crs, frame, accepts_ballpark(delivery)))
        if np.abs(moved).max() > 360.0:
            raise SourceError(f"{shown}: coordinates are no degrees of {crs}; declare the CRS they are in")
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
    """Reads observations: a table of datastream, time, value; a wide table; documents of OGC SensorThings."""

    kind: str = "observations"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(
            self.kind, "live observations", ("sensors",), "", "OGC SensorThings 1.1 Observation; RFC 3339 times"
        )

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """Values with their moments; gaps (NA, empty) are counted and left out."""
        if _documents(delivery):
            return _read_documents(delivery, frame, self.kind)
        parts, warnings = [], []
        rows = gaps = 0
        for path in delivery.files():
            raw = read_table(path, delivery)
            part, lost, lines = unpivot(raw, delivery) if is_wide(delivery) else _long(raw, delivery)
            rows, gaps = rows + len(raw), gaps + lost
            parts.append(part)
            warnings += [*raw.notes, *lines]
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


def _long(raw: RawTable, delivery: Delivery) -> tuple[Values, int, list[str]]:
    columns = _Columns(raw, column_mapping(raw, delivery, VALUE))
    columns.need(*VALUE)
    time, lines = seconds(columns.text("time"), delivery, raw.shown)
    value = columns.number("value")
    known = np.isfinite(time) & np.isfinite(value) & (value != delivery.source.nodata)
    part = (columns.text("datastream")[known], time[known], value[known])
    return part, int(np.count_nonzero(~known)), [*lines, *columns.warnings]


def _documents(delivery: Delivery) -> bool:
    """Whether the delivery is JSON; SourceError where tables lie among its documents."""
    kinds = {path.suffix.lower() in JSON_SUFFIXES for path in delivery.files()}
    if len(kinds) > 1:
        raise SourceError(f'source "{delivery.source.name}": tables and JSON in one source; declare two')
    return kinds == {True}


def _read_documents(delivery: Delivery, frame: Frame, kind: str) -> Reading:
    """Things, Datastreams and values of SensorThings documents, whichever of them the files hold."""
    things: dict[str, Thing] = {}
    streams: dict[str, Datastream] = {}
    parts, outcomes, warnings, rows, gaps = [], [], [], 0, 0
    documents = [sensorthings.read_entities(path, delivery) for path in delivery.files()]
    for found in documents:
        placed, lost = _placed_things(found, delivery, frame)
        things = {thing.oid: thing for thing in placed} | things
        outcomes += lost
    for found in documents:
        streams = {stream.oid: stream for stream in _found_streams(found, things)} | streams
        outcomes += sensorthings.lost_streams(found, things, kind)
        part, missing, lines = sensorthings.values_of(found, delivery)
        parts.append(part)
        warnings += lines
        rows, gaps = rows + len(found.results), gaps + missing
    values = tuple(np.concatenate([part[k] for part in parts]) for k in range(3))
    noun = LiveTables(tuple(things.values()), tuple(streams.values()), values=values)  # type: ignore[arg-type]
    tally = {"rows": rows, "things": len(things), "datastreams": len(streams)}
    tally |= {"gaps": gaps, "observations": len(values[0])}
    return Reading(noun, delivery.lineage(), tuple(outcomes), tuple(warnings), tally)


def _placed_things(found: Entities, delivery: Delivery, frame: Frame) -> tuple[list[Thing], list[Outcome]]:
    xyz = np.array([sensorthings.place_of(entity) for entity in found.things.values()]).reshape(-1, 3)
    lonlat = _degrees(xyz[:, :2], crs_of(delivery, "EPSG:4326", found.shown), delivery, frame, found.shown)
    z = xyz[:, 2]
    if np.isfinite(z).any():
        z = z + vertical_shift(delivery, frame, found.shown)[0]
    things, outcomes = [], []
    for (oid, entity), place, height in zip(found.things.items(), lonlat.tolist(), z.tolist(), strict=True):
        said = sensorthings.table_of(entity, "properties")
        if math.isnan(place[0]):
            outcomes.append(Outcome(oid, "skipped", "缺少坐标 / no coordinates", "sensors"))
            continue
        words = {key: str(said.get(key, "")) for key in ("name_en", "kind", "target_oid")}
        name = str(entity.get("name") or oid)
        things.append(Thing(oid=oid, name=name, lon=place[0], lat=place[1], z=height, properties=said, **words))
    return things, outcomes


def _found_streams(found: Entities, things: Mapping[str, Thing]) -> list[Datastream]:
    streams = []
    for oid, (thing, entity) in found.streams.items():
        if thing not in things:
            continue
        unit = sensorthings.table_of(entity, "unitOfMeasurement")
        observed = sensorthings.table_of(entity, "ObservedProperty")
        name = str(entity.get("name") or oid)
        streams.append(
            Datastream(
                oid=oid,
                thing_oid=thing,
                observed_property=str(observed.get("name") or name),
                name=name,
                unit=str(unit.get("symbol") or unit.get("name") or ""),
            )
        )
    return streams


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
