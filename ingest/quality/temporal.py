"""Time as a quality: the span of a series of observations, its gaps, and moments that stand there twice."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ingest.quality.measures import Finding
from twin.live import Datastream

Values = tuple[NDArray[np.object_], NDArray[np.float64], NDArray[np.float64]]

LATE = 1.5
BINS = 120


def moment(seconds: float) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(round(seconds), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def observation_quality(values: Values, streams: dict[str, Datastream]) -> tuple[list[Finding], dict[str, Any]]:
    """(findings, {"since", "until", "step", "series", "expected", "found", "bins"}) of one table of observations.

    rule    the step of a series is its median interval; a gap is an interval over one and a half steps; expected is
            what the span would hold at that step. `bins` counts observations in 120 equal parts of the span.
    """
    name, time, value = values
    if not len(time):
        return [], {}
    # As objects: an array of text would give every row the width of the longest name.
    series, words = pd.factorize(name, sort=True)
    order = np.lexsort((time, series))
    series, time, value = series[order], time[order], value[order]
    interval = np.diff(time)
    inner = series[1:] == series[:-1]
    repeated = inner & (interval == 0.0)
    steps = _steps(series[1:][inner & ~repeated], interval[inner & ~repeated], len(words))
    step = steps[series[1:]]
    late = inner & (interval > LATE * step)
    missing = np.round(interval[late] / step[late]).astype(int) - 1
    low, high = (np.array([getattr(streams[w], k) if w in streams else np.nan for w in words.tolist()])[series]
                 for k in ("minimum", "maximum"))  # fmt: skip
    with np.errstate(invalid="ignore"):
        beyond = (value < low) | (value > high)
    behind = tuple(f"{words[k]} {moment(t)}" for k, t in zip(series[:-1][late][:3], time[:-1][late][:3], strict=True))
    n, found = len(time), len(time) - int(np.count_nonzero(repeated))
    findings = [
        Finding("time_gaps", int(np.count_nonzero(late)), int(np.count_nonzero(inner)), examples=behind),
        Finding("time_missing", int(missing.sum()), found + int(missing.sum())),
        Finding("time_repeated", int(np.count_nonzero(repeated)), n),
        Finding(
            "value_out_of_range",
            int(np.count_nonzero(beyond)),
            n,
            examples=tuple(f"{words[series[k]]} = {value[k]:g}" for k in np.flatnonzero(beyond)[:3].tolist()),
        ),
        Finding("no_target", int(np.count_nonzero(~np.isin(words, list(streams)))), len(words)),
    ]
    bins, _ = np.histogram(time, bins=BINS, range=(time.min(), max(time.max(), time.min() + 1.0)))
    table = {
        "since": moment(float(time.min())),
        "until": moment(float(time.max())),
        "step": float(np.median(steps[np.isfinite(steps)])) if np.isfinite(steps).any() else None,
        "series": len(words),
        "expected": found + int(missing.sum()),
        "found": found,
        "bins": bins.astype(int).tolist(),
    }
    return findings, table


def _steps(series: NDArray[np.intp], interval: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Median interval (n,) s of every series; infinite where it has fewer than two moments."""
    order = np.lexsort((interval, series))
    ranked = interval[order]
    first = np.searchsorted(series[order], np.arange(n + 1))
    count = np.diff(first)
    steps = np.full(n, np.inf)
    some = count > 0
    steps[some] = ranked[first[:-1][some] + (count[some] - 1) // 2]
    return steps
