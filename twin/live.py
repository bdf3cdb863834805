"""Who measures what, one value in time, and something that happened (OGC SensorThings words)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Thing:
    """A device that stands somewhere in the city; `target_oid` is the city object it watches.

    lon, lat    degrees, WGS 84
    z           height in the frame's vertical datum, m; NaN where only the place is known
    """

    oid: str
    name: str
    name_en: str
    kind: str
    lon: float
    lat: float
    z: float = math.nan
    target_oid: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Datastream:
    """One series of one property of a Thing; warn and alarm are thresholds in its unit, NaN where none."""

    oid: str
    thing_oid: str
    observed_property: str
    name: str
    unit: str
    name_en: str = ""
    minimum: float = math.nan
    maximum: float = math.nan
    warn: float = math.nan
    alarm: float = math.nan


@dataclass(frozen=True, slots=True)
class Observation:
    """One value in time; `time` is seconds since 1970-01-01 UTC."""

    datastream_oid: str
    time: float
    value: float


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happened; severity 1 (I, red) .. 4 (IV, blue); `time` is seconds since 1970-01-01 UTC."""

    oid: str
    kind: str
    title: str
    title_en: str
    lon: float
    lat: float
    time: float
    status: str
    severity: int
    target_oid: str = ""
    description: str = ""
    description_en: str = ""


def level_of(datastream: Datastream, value: float) -> str:
    """ "alarm", "warn" or "normal" of a value; falling values count where alarm lies below warn."""
    falling = not math.isnan(datastream.warn) and datastream.alarm < datastream.warn
    sign = -1.0 if falling else 1.0
    if sign * value >= sign * datastream.alarm:
        return "alarm"
    return "warn" if sign * value >= sign * datastream.warn else "normal"
