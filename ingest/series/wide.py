"""Wide tables of observations: one row a moment, one column a series, as monitoring stations publish them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.conform import column_mapping, numbers, texts
from ingest.reading import Delivery, RawTable
from ingest.series.moments import PARTS, seconds, seconds_of_parts
from twin.errors import SourceError
from twin.features import Objects, objects

Values = tuple[Objects, NDArray[np.float64], NDArray[np.float64]]


def is_wide(delivery: Delivery) -> bool:
    """Whether the source declares columns that are series (`extra.series`)."""
    return "series" in delivery.source.extra


def unpivot(raw: RawTable, delivery: Delivery) -> tuple[Values, int, list[str]]:
    """(datastream oids, seconds, values) of a wide table in the order of its rows, gaps counted, warnings.

    needs   extra = { series = ["PM2.5", ...] or { "PM2.5" = "pm25" }, time = ["year", "month", "day", "hour"] }; the
            time may be a column `time` instead, or a table { year = "iy", day_of_year = "id" }. The Thing is the
            column mapped to `thing`, else extra.thing, else the name of the source; oids are "<thing>/<property>"
    gap     NA, empty text, text that is no number, and the declared nodata
    raises  SourceError for a column that is not there
    """
    extra, name = delivery.source.extra, delivery.source.name
    mapping = column_mapping(raw, delivery, ("time", "thing"))
    time, warnings = _times(raw, mapping, extra.get("time"), delivery)
    if "thing" in mapping:
        things = texts(raw.fields[mapping["thing"]]).tolist()
    else:
        things = [str(extra.get("thing", name))] * len(raw)
    ids, moments, found = [], [], []
    gaps = 0
    for column, what in _series(extra["series"], name).items():
        if column not in raw.fields:
            raise SourceError(f"{raw.shown}: no column {column!r} (declared in extra.series); it has {_has(raw)}")
        value, lines = numbers(raw.fields[column], column, raw.shown)
        warnings += lines
        known = np.isfinite(time) & np.isfinite(value) & (value != delivery.source.nodata)
        gaps += int(np.count_nonzero(~known))
        rows = np.flatnonzero(known)
        ids.append(objects([f"{things[row]}/{what}" for row in rows.tolist()]))
        moments.append(time[rows])
        found.append(value[rows])
    return (np.concatenate(ids), np.concatenate(moments), np.concatenate(found)), gaps, warnings


def _times(
    raw: RawTable, mapping: Mapping[str, str], stated: Any, delivery: Delivery
) -> tuple[NDArray[np.float64], list[str]]:
    if isinstance(stated, list):
        stated = dict(zip(PARTS, map(str, stated), strict=False))
    if isinstance(stated, dict):
        return seconds_of_parts(raw, {str(k): str(v) for k, v in stated.items()}, delivery)
    if "time" not in mapping:
        raise SourceError(
            f'{raw.shown}: no column time; map it in columns = {{ time = "..." }}, or name its parts in extra = '
            f'{{ time = ["year", "month", "day", "hour"] }}; the file has {_has(raw)}'
        )
    return seconds(texts(raw.fields[mapping["time"]]), delivery, raw.shown)


def _series(stated: Any, name: str) -> dict[str, str]:
    if isinstance(stated, dict) and stated:
        return {str(column): str(what) for column, what in stated.items()}
    if isinstance(stated, list) and stated:
        return {str(column): str(column) for column in stated}
    raise SourceError(f'source "{name}": extra.series wants a list of columns, or a table column = "property"')


def _has(raw: RawTable) -> str:
    return ", ".join(raw.fields) or "none"
