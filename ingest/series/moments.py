"""Moments: text, numbers or calendar parts as seconds since 1970 UTC; a local time wants its declared offset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ingest.conform import numbers
from ingest.reading import Delivery, RawTable
from twin.errors import SourceError
from twin.features import Objects

# The years 1 to 9999, which RFC 3339 can write; a number beyond is no moment.
_FIRST, _END = -62_135_596_800.0, 253_402_300_800.0
PARTS = ("year", "month", "day", "hour", "minute", "second")
_DEFAULTS = {"month": 1.0, "day": 1.0, "hour": 0.0, "minute": 0.0, "second": 0.0}
_TOPS = {"month": 12.0, "day": 31.0, "day_of_year": 366.0, "hour": 24.0, "minute": 59.0, "second": 60.0}


def seconds(words: Objects, delivery: Delivery, shown: str) -> tuple[NDArray[np.float64], list[str]]:
    """Seconds since 1970 UTC (n,) f8 of RFC 3339 text or plain seconds, NaN where unreadable, and warnings.

    raises  SourceError for local times without an offset, unless the source declares extra.utc_offset in hours
    """
    inverse, unique = pd.factorize(words)
    plain = np.array([_seconds(word) for word in unique.tolist()], dtype=np.float64)
    text = pd.Series(np.where(np.isnan(plain), unique, ""), dtype=object)
    local = text.ne("") & ~text.str.contains(r"(?:Z|z|[+-]\d\d:?\d\d|[+-]\d\d)$", regex=True)
    local |= text.str.match(r"\d{4}-\d\d-\d\d$")
    dated = local & text.str.match(r"\d{4}[-/]")
    offset = 0.0
    if dated.any():
        offset = _offset(str(text[dated].iloc[0]), delivery, shown)
    moments = pd.to_datetime(text.str.replace("/", "-"), utc=True, errors="coerce", format="ISO8601")
    stamp = (moments - pd.Timestamp("1970-01-01", tz="UTC")) / pd.Timedelta(seconds=1)
    shifted = stamp.to_numpy(dtype=np.float64) - np.where(local, offset, 0.0)
    result = np.where(np.isnan(plain), shifted, plain)[inverse]
    bad = np.flatnonzero(np.isnan(result))
    if not len(bad):
        return result, []
    return result, [f"{shown}: {len(bad)} times cannot be read, first {words[bad[0]]!r} in row {bad[0] + 1}"]


def seconds_of_parts(
    raw: RawTable, columns: Mapping[str, str], delivery: Delivery
) -> tuple[NDArray[np.float64], list[str]]:
    """Seconds since 1970 UTC (n,) f8 of a date in columns of its own, NaN where it is no date, and warnings.

    columns     part -> column of the file: year, then month and day or day_of_year, hour (24 is the next midnight),
                minute, second; parts that are not named are their first value
    raises      SourceError for a part or column that is not there, and without a declared extra.utc_offset
    """
    known = (*PARTS, "day_of_year")
    wrong = [part for part in columns if part not in known]
    if wrong or "year" not in columns:
        raise SourceError(
            f'source "{delivery.source.name}": extra.time wants year and any of {", ".join(known[1:])}; '
            f"it has {', '.join(columns) or 'nothing'}"
        )
    value = {part: np.full(len(raw), first) for part, first in _DEFAULTS.items()}
    warnings: list[str] = []
    for part, column in columns.items():
        if column not in raw.fields:
            has = ", ".join(raw.fields)
            raise SourceError(f"{raw.shown}: no column {column!r} (declared for {part} of the time); it has {has}")
        value[part], lines = numbers(raw.fields[column], column, raw.shown)
        warnings += lines
    offset = _offset("in columns", delivery, raw.shown)
    good = np.isfinite(value["year"]) & (value["year"] >= 1.0) & (value["year"] <= 9999.0)
    for part, top in _TOPS.items():
        if part in value:
            low = 1.0 if part in ("month", "day", "day_of_year") else 0.0
            good &= (value[part] >= low) & (value[part] <= top)
    whole = {part: np.where(good, numbers_, 1.0) for part, numbers_ in value.items()}
    days, same = _days(whole)
    result = days * 86_400.0 + whole["hour"] * 3600.0 + whole["minute"] * 60.0 + whole["second"] - offset
    result = np.where(good & same, result, np.nan)
    bad = np.flatnonzero(np.isnan(result))
    if len(bad):
        warnings.append(f"{raw.shown}: {len(bad)} times cannot be read, first in row {bad[0] + 1}")
    return result, warnings


def _days(value: Mapping[str, NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(days since 1970, whether the month really has that day)."""
    years = (value["year"].astype(np.int64) - 1970).astype("M8[Y]")
    if "day_of_year" in value:
        date = years.astype("M8[D]") + (value["day_of_year"].astype(np.int64) - 1)
        return date.astype(np.float64), date.astype("M8[Y]") == years
    months = years.astype("M8[M]") + (value["month"].astype(np.int64) - 1)
    date = months.astype("M8[D]") + (value["day"].astype(np.int64) - 1)
    return date.astype(np.float64), date.astype("M8[M]") == months


def _offset(first: str, delivery: Delivery, shown: str) -> float:
    """The declared offset of local times, s."""
    stated: Any = delivery.source.extra.get("utc_offset")
    if stated is None:
        word = f"time {first!r}" if first != "in columns" else "the time in columns"
        raise SourceError(
            f"{shown}: {word} has no offset; add extra = {{ utc_offset = 8 }} (hours) to "
            f'[[source]] "{delivery.source.name}" in city.toml'
        )
    try:
        hours = float(stated)
    except (TypeError, ValueError) as err:
        raise SourceError(
            f'source "{delivery.source.name}": extra.utc_offset {stated!r} is no number of hours'
        ) from err
    return hours * 3600.0


def _seconds(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        return math.nan
    return value if _FIRST <= value < _END else math.nan
