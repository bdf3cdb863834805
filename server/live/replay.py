"""The stored day told again: which observations and incidents fall due as a monotonic clock advances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.live import Incident, Observation

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a city: every stored observation and incident of it, in the order of time.

    start       seconds since 1970 UTC of the local midnight it begins with
    time        (n,) f8 seconds since 1970 UTC, ascending
    stream      (n,) i4 index into `streams`
    value       (n,) f8 in the unit of the stream
    """

    start: float
    time: NDArray[np.float64]
    stream: NDArray[np.int32]
    value: NDArray[np.float64]
    streams: tuple[str, ...]
    incidents: tuple[Incident, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """What fell due: observations as (datastream oid, time, value), and incidents, each in the order of time."""

    observations: tuple[tuple[str, float, float], ...] = ()
    incidents: tuple[Incident, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.observations or self.incidents)


def first_day(span: tuple[float, float] | None, incidents: Iterable[Incident], utc_offset: float) -> float:
    """Seconds since 1970 UTC of the local midnight before the first thing stored; 0 where nothing is.

    span        first and last time of all observations, as the live store tells it
    utc_offset  hours of local time ahead of UTC
    """
    earliest = span[0] if span else min((incident.time for incident in incidents), default=None)
    if earliest is None:
        return 0.0
    shift = utc_offset * 3600.0
    return math.floor((earliest + shift) / DAY) * DAY - shift


def make_day(start: float, observations: Iterable[Observation], incidents: Iterable[Incident]) -> Day:
    """The day that begins at `start`, of observations and incidents in any order; what lies outside it is left out."""
    rows = [(o.time, o.datastream_oid, o.value) for o in observations if start <= o.time < start + DAY]
    rows.sort()
    streams = tuple(sorted({row[1] for row in rows}))
    code = {name: index for index, name in enumerate(streams)}
    today = [incident for incident in incidents if start <= incident.time < start + DAY]
    return Day(
        start=start,
        time=np.array([row[0] for row in rows], dtype=np.float64),
        stream=np.array([code[row[1]] for row in rows], dtype=np.int32),
        value=np.array([row[2] for row in rows], dtype=np.float64),
        streams=streams,
        incidents=tuple(sorted(today, key=lambda incident: (incident.time, incident.oid))),
    )


@dataclass(slots=True)
class Replay:
    """A day told at `speed` seconds per second of a monotonic clock, over and over.

    begin       seconds after the day's midnight where it starts
    origin      reading of the monotonic clock at that moment
    muted       datastreams that a real observation has reached: what is measured beats what is replayed
    """

    day: Day
    speed: float
    begin: float
    origin: float
    muted: set[str] = field(default_factory=set)
    _told: float = math.nan

    def __post_init__(self) -> None:
        self._told = self.begin

    @property
    def is_empty(self) -> bool:
        """True where the day holds nothing to tell."""
        return not len(self.day.time) and not self.day.incidents

    def told_until(self) -> float:
        """Time of the day reached so far, s since 1970 UTC."""
        return self.day.start + self._told % DAY

    def standing(self) -> dict[str, tuple[float, float]]:
        """Latest (time, value) per datastream at the beginning; a stream silent until then has its day's last value."""
        moment = self.day.start + self.begin
        order = np.concatenate([np.flatnonzero(self.day.time > moment), np.flatnonzero(self.day.time <= moment)])
        rows = {int(self.day.stream[row]): int(row) for row in order}
        return {
            self.day.streams[stream]: (float(self.day.time[row]), float(self.day.value[row]))
            for stream, row in rows.items()
        }

    def due(self, now: float) -> Due:
        """What falls between the last call and the clock reading `now`; at most one whole day where calls were rare."""
        reached = self.begin + (now - self.origin) * self.speed
        told = max(self._told, reached - DAY)
        self._told = max(reached, self._told)
        observations: list[tuple[str, float, float]] = []
        incidents: list[Incident] = []
        for low, high in _spans(told, self._told):
            observations.extend(self._observations(low, high))
            incidents.extend(i for i in self.day.incidents if low < i.time - self.day.start <= high)
        return Due(tuple(observations), tuple(incidents))

    def wait(self, longest: float) -> float:
        """Seconds of the monotonic clock until something more falls due, at most `longest`."""
        within = self._told % DAY
        after = self.day.start + within
        row = int(np.searchsorted(self.day.time, after, side="right"))
        candidates = [float(self.day.time[row]) - after] if row < len(self.day.time) else []
        candidates += [i.time - after for i in self.day.incidents if i.time > after]
        return min([longest, (min(candidates) if candidates else DAY - within) / self.speed])

    def _observations(self, low: float, high: float) -> Iterator[tuple[str, float, float]]:
        first, last = np.searchsorted(self.day.time, [self.day.start + low, self.day.start + high], side="right")
        for row in range(int(first), int(last)):
            name = self.day.streams[int(self.day.stream[row])]
            if name not in self.muted:
                yield name, float(self.day.time[row]), float(self.day.value[row])


def _spans(low: float, high: float) -> Sequence[tuple[float, float]]:
    """The half-open span (low, high] of a running clock, cut at midnights and folded into one day."""
    spans: list[tuple[float, float]] = []
    while low < high:
        midnight = (math.floor(low / DAY) + 1.0) * DAY
        end = min(high, midnight)
        base = math.floor(low / DAY) * DAY
        # What happens at the stroke of midnight belongs to the new day: nothing lies before it there.
        spans.append((low - base if low > base else -1.0, end - base))
        low = end
    return spans
