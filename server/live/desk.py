"""The desk: what every live value means, which is the latest, and the way of each new one to the hub."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from server.live.hub import Hub
from server.live.replay import DAY, Day, Replay, first_day, make_day
from server.settings import ServerSettings
from twin.errors import OptionsError
from twin.frames import Frame
from twin.live import Datastream, Incident, Thing, level_of
from twin.store import LiveStore


@dataclass(frozen=True, slots=True)
class Registry:
    """What stands in the city and measures: things and datastreams by oid."""

    things: Mapping[str, Thing]
    datastreams: Mapping[str, Datastream]

    @staticmethod
    def read(live: LiveStore) -> Registry:
        """The registry as the store has it now."""
        return Registry({t.oid: t for t in live.things()}, {d.oid: d for d in live.datastreams()})

    def streams_of(self, thing_oid: str) -> list[Datastream]:
        """Datastreams of one thing, by oid."""
        return [d for _, d in sorted(self.datastreams.items()) if d.thing_oid == thing_oid]


class Desk:
    """Latest values and their levels; everything that changes them passes here and leaves as an event."""

    def __init__(self, live: LiveStore, frame: Frame, hub: Hub, settings: ServerSettings, moment: str) -> None:
        self.hub = hub
        self.registry = Registry.read(live)
        self.local = local_zone(moment, settings.utc_offset)
        self._live = live
        self._frame = frame
        self._latest: dict[str, tuple[float, float]] = {}
        self.replay = self._open_replay(settings, moment)
        self._stand()

    @property
    def latest(self) -> Mapping[str, tuple[float, float]]:
        """Datastream oid -> (seconds since 1970 UTC, value)."""
        return self._latest

    def start(self, now: float) -> None:
        """Begin the replay at the clock reading `now`."""
        if self.replay is not None:
            self.replay.origin = now

    def advance(self, now: float) -> int:
        """Publish what has fallen due at the clock reading `now`; returns how many events that were."""
        if self.replay is None:
            return 0
        due = self.replay.due(now)
        for oid, time, value in due.observations:
            self._tell(oid, time, value)
        for incident in due.incidents:
            self.hub.publish("incidents", incident.oid, self.incident(incident))
        return len(due.observations) + len(due.incidents)

    def wait(self, longest: float) -> float:
        """Seconds until the next event can fall due, at most `longest`."""
        return longest if self.replay is None else self.replay.wait(longest)

    def observe(self, rows: Sequence[tuple[str, float, float]]) -> None:
        """Publish measured values (datastream oid, time, value) that the store has; their streams leave the replay.

        A value older than the latest of its stream is history: it is stored, but it is no news.
        """
        for oid, time, value in sorted(rows, key=lambda row: row[1]):
            replayed = self.replay is not None and oid not in self.replay.muted
            if self.replay is not None:
                self.replay.muted.add(oid)
            if replayed or time >= self._latest.get(oid, (-math.inf, 0.0))[0]:
                self._tell(oid, time, value)

    def knows(self, oids: Iterable[str]) -> list[str]:
        """The oids that are no datastream, after looking once more into the store."""
        wanted = set(oids)
        if not wanted <= self.registry.datastreams.keys():
            self.registry = Registry.read(self._live)
        return sorted(wanted - self.registry.datastreams.keys())

    def values(self, oids: Iterable[str] | None = None) -> dict[str, list[Any]]:
        """Datastream oid -> [local time RFC 3339, value] of all latest values, or of some."""
        names = sorted(self._latest) if oids is None else [oid for oid in oids if oid in self._latest]
        return {oid: [self.time_text(self._latest[oid][0]), self._latest[oid][1]] for oid in names}

    def thing(self, thing: Thing) -> dict[str, Any]:
        """A thing with its datastreams and their last values, as JSON."""
        height = None
        if not math.isnan(thing.z):
            height = round(thing.z + self._frame.geoid_undulation, 3)
        return {
            "oid": thing.oid,
            "name": thing.name,
            "name_en": thing.name_en,
            "kind": thing.kind,
            "lon": thing.lon,
            "lat": thing.lat,
            "z": thing.z,
            "height": height,
            "target_oid": thing.target_oid,
            "properties": dict(thing.properties),
            "datastreams": [self._datastream(stream) for stream in self.registry.streams_of(thing.oid)],
        }

    def incident(self, incident: Incident) -> dict[str, Any]:
        """An incident as JSON, with its local time."""
        return {
            "oid": incident.oid,
            "kind": incident.kind,
            "title": incident.title,
            "title_en": incident.title_en,
            "lon": incident.lon,
            "lat": incident.lat,
            "time": self.time_text(incident.time),
            "status": incident.status,
            "severity": incident.severity,
            "target_oid": incident.target_oid,
            "description": incident.description,
            "description_en": incident.description_en,
        }

    def time_text(self, seconds: float) -> str:
        """RFC 3339 with the city's offset, for example 2026-06-21T18:30:00+08:00."""
        moment = datetime.fromtimestamp(seconds, self.local)
        return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")

    def _datastream(self, stream: Datastream) -> dict[str, Any]:
        last = self._latest.get(stream.oid)
        told = None
        if last is not None:
            told = {"time": self.time_text(last[0]), "value": last[1], "level": level_of(stream, last[1])}
        return {
            "oid": stream.oid,
            "thing_oid": stream.thing_oid,
            "observed_property": stream.observed_property,
            "name": stream.name,
            "name_en": stream.name_en,
            "unit": stream.unit,
            "minimum": stream.minimum,
            "maximum": stream.maximum,
            "warn": stream.warn,
            "alarm": stream.alarm,
            "last": told,
        }

    def _tell(self, oid: str, time: float, value: float) -> None:
        stream = self.registry.datastreams.get(oid)
        if stream is None:
            return
        self._latest[oid] = (time, value)
        payload = {
            "datastream": oid,
            "thing": stream.thing_oid,
            "time": self.time_text(time),
            "value": value,
            "level": level_of(stream, value),
        }
        self.hub.publish("observations", oid, payload)

    def _open_replay(self, settings: ServerSettings, moment: str) -> Replay | None:
        if not settings.replay:
            return None
        incidents = self._live.incidents()
        start = first_day(self._live.span(), incidents, self.local.utcoffset(None).total_seconds() / 3600.0)
        day = make_day(start, self._live.observations(start, start + DAY), incidents)
        begin = seconds_of(settings.replay_from or moment, day)
        replay = Replay(day, settings.replay_speed, begin, 0.0)
        return None if replay.is_empty else replay

    def _stand(self) -> None:
        stored = {o.datastream_oid: (o.time, o.value) for o in self._live.latest()}
        if self.replay is None:
            self._latest = stored
            return
        end = self.replay.day.start + DAY
        self.replay.muted |= {oid for oid, (time, _) in stored.items() if time >= end}
        standing = self.replay.standing()
        self._latest = {
            oid: last if oid in self.replay.muted else standing.get(oid, last) for oid, last in stored.items()
        }


def local_zone(moment: str, utc_offset: float) -> timezone:
    """The city's offset from UTC: that of its declared moment, else `utc_offset` hours."""
    declared = _moment(moment)
    offset = declared.utcoffset() if declared is not None else None
    return timezone(offset if offset is not None else timedelta(hours=utc_offset))


def seconds_of(text: str, day: Day) -> float:
    """Seconds after the day's midnight of "HH:MM" or of a moment (RFC 3339); 0 for an empty text.

    raises  OptionsError where the text is neither
    """
    if not text:
        return 0.0
    moment = _moment(text)
    if moment is not None and moment.tzinfo is not None:
        return (moment.astimezone(UTC).timestamp() - day.start) % DAY
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
        raise OptionsError(f"[server] replay_from = {text!r}: write a local time such as 18:30")
    return int(hours) * 3600.0 + int(minutes) * 60.0


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
