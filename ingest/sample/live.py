"""Sensors, one day of their observations with an afternoon rainstorm, and the incidents of that day."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ingest.datong import facts
from ingest.datong.plan import FRAME, ORIGIN, Buildings, Extent, Floats
from ingest.datong.terrain import Terrain

DAY = "2026-06-21"
Curve = Callable[[Floats, float, np.random.Generator], Floats]


def _bell(t: Floats, at: float, wide: float) -> Floats:
    return np.exp(-(((t - at) / wide) ** 2))


def storm(t: Floats, shift: float = 0.0) -> Floats:
    """Rain in 5 minutes, mm, at hours `t` of the day: a sharp peak after three and a second one an hour later."""
    rain = 6.2 * _bell(t, 15.55 + shift, 0.28) + 3.1 * _bell(t, 16.45 + shift, 0.38) + 0.5 * _bell(t, 17.6 + shift, 0.5)
    return np.where(rain < 0.05, 0.0, rain)


def _flood(t: Floats, late: float) -> Floats:
    """The river's answer to the storm: rises in two hours, falls through the night, 0..1."""
    x = np.clip((t - 15.9 - late) / 2.2, 0.0, None)
    return np.clip(x * np.exp(1.0 - x), 0.0, 1.0) ** 1.3


def _sun(t: Floats) -> Floats:
    return np.clip(np.sin((t - 5.0) / 15.0 * np.pi), 0.0, None)


def _wash(t: Floats) -> Floats:
    return 1.0 - 0.55 / (1.0 + np.exp(-(t - 15.8) * 4.0))


def _rush(t: Floats) -> Floats:
    return (
        0.12
        + 0.75 * _bell(t, 7.9, 0.9)
        + 0.45 * _bell(t, 12.2, 1.5)
        + 0.85 * _bell(t, 18.1, 1.3)
        + 0.25 * _bell(t, 21, 1.4)
    )


def _visits(t: Floats) -> Floats:
    return (_bell(t, 13.4, 2.2) + 0.7 * _bell(t, 19.8, 1.8)) * (1 - 0.6 * _bell(t, 15.9, 0.8))


def _jitter(rng: np.random.Generator, t: Floats, size: float) -> Floats:
    return rng.normal(0.0, size, len(t))


# Every curve: hours of the day (n,), a number 0..1 of the thing, a random generator -> values (n,).
CURVES: dict[str, Curve] = {
    "river": lambda t, k, r: 1.15 + 0.4 * k + 0.04 * np.sin(t / 3.8) + 1.75 * _flood(t, 0.9 * k) + _jitter(r, t, 0.008),
    "flow": lambda t, k, r: 24 + 10 * k + 330 * _flood(t, 0.9 * k) ** 1.4 + r.normal(0, 0.6, len(t)),
    "lake": lambda t, k, r: 2.62 + 0.16 / (1 + np.exp(-(t - 17.2) * 1.6)) + r.normal(0, 0.004, len(t)),
    "rain": lambda t, k, r: storm(t, 0.5 * (k - 0.5)) * (0.7 + 0.6 * k) * r.uniform(0.75, 1.25, len(t)),
    "pm25": lambda t, k, r: (31 + 12 * k + 13 * _rush(t)) * _wash(t) * r.uniform(0.95, 1.05, len(t)),
    "pm10": lambda t, k, r: (68 + 30 * k + 26 * _rush(t)) * _wash(t) * r.uniform(0.94, 1.06, len(t)),
    "ozone": lambda t, k, r: 38 + 118 * _sun(t - 1.8) * _wash(t) * (0.9 + 0.2 * k) + r.normal(0, 2.0, len(t)),
    "temperature": lambda t, k, r: 15.5 + 13.6 * _sun(t - 1.2) - 5.5 * (1 - _wash(t)) + r.normal(0, 0.1, len(t)),
    "humidity": lambda t, k, r: np.clip(66 - 32 * _sun(t - 1.2) + 62 * (1 - _wash(t)) + _jitter(r, t, 0.8), 12, 99),
    "wind": lambda t, k, r: np.abs(1.8 + 1.9 * _sun(t) + 7.4 * _bell(t, 15.2, 0.45) + r.normal(0, 0.4, len(t))),
    "pond": lambda t, k, r: np.clip((0.24 + 0.16 * k) * _flood(t + 0.55, 0.1) ** 1.7 - 0.01, 0, None) + 0.0 * t,
    "tilt": lambda t, k, r: -0.4 + 0.9 * k + 0.05 * _sun(t - 2) + 0.09 * _bell(t, 15.3, 0.5) + _jitter(r, t, 0.004),
    "smoke": lambda t, k, r: 0.05 + 0.5 * _bell(t, 9.0 + k, 0.4) + np.abs(r.normal(0, 0.015, len(t))),
    "hall": lambda t, k, r: 17.2 + 4.6 * _sun(t - 3.4) - 1.2 * (1 - _wash(t)) + 0.6 * k + r.normal(0, 0.05, len(t)),
    "traffic": lambda t, k, r: (1900 + 900 * k) * _rush(t) * (1 - 0.25 * _bell(t, 15.8, 0.7)) + _jitter(r, t, 30),
    "crowd": lambda t, k, r: 4300 * (0.6 + 0.6 * k) * _visits(t) * r.uniform(0.96, 1.04, len(t)),
    "pump": lambda t, k, r: np.where((t > 15.6) & (t < 20.4), 210 + 90 * _flood(t, 0.0), 6.0) + _jitter(r, t, 1.0),
}  # fmt: skip


def _placed(rows: list[facts.Row], batch: Buildings) -> tuple[Floats, list[int]]:
    """Town coordinates (n, 2) of rows with u, v or the heritage key of a building, and that building's row or -1."""
    key = "target"
    first = {name: row for row, name in reversed(list(enumerate(batch.heritage[:200]))) if name}
    target = [first.get(r[key], -1) for r in rows]
    own = np.column_stack([facts.numbers(rows, "u"), facts.numbers(rows, "v")])
    at = np.array([[batch.u[t], batch.v[t]] for t in target])
    return np.where(np.isnan(own), at, own), target


def sensors(batch: Buildings, ids: np.ndarray, terrain: Terrain, extent: Extent) -> pd.DataFrame:
    """One row for every series of every sensor inside the extent; WGS 84, z in the 1985 datum."""
    rows, kinds = facts.table("sensors"), facts.table("streams")
    uv, target = _placed(rows, batch)
    lonlat = FRAME.to_lonlat(uv + ORIGIN).round(7)
    z = (terrain.height(*uv.T) + facts.numbers(rows, "above")).round(2)
    inside = extent.inside(*uv.T)
    made = [
        {"oid": row["oid"], "name": row["name"], "name_en": row["name_en"], "kind": row["kind"], "lon": lonlat[k, 0],
         "lat": lonlat[k, 1], "z": z[k], "target_oid": ids[target[k]] if target[k] >= 0 else "",
         "datastream": f"{row['oid']}/{s['property']}", "observed_property": s["property"],
         "datastream_name": s["name"],
         "datastream_name_en": s["name_en"], "unit": s["unit"], "minimum": s["minimum"], "maximum": s["maximum"],
         "warn": s["warn"], "alarm": s["alarm"]}
        for k, row in enumerate(rows) if inside[k] for s in kinds if s["kind"] == row["kind"]
    ]  # fmt: skip
    return pd.DataFrame(made)


def observations(rng: np.random.Generator, table: pd.DataFrame) -> pd.DataFrame:
    """The day of every series in local time with offset, ordered by time; a few values are missing as gaps."""
    kinds = {(s["kind"], s["property"]): s for s in facts.table("streams")}
    parts = []
    for stream, kind, name in zip(table["datastream"], table["kind"], table["observed_property"], strict=True):
        card = kinds[kind, name]
        minutes = np.arange(0, 24 * 60, int(card["minutes"]))
        values = CURVES[card["curve"]](minutes / 60.0, rng.random(), rng).round(int(card["digits"])) + 0.0
        text = pd.Series(values).map(lambda x, d=int(card["digits"]): f"{x:.{d}f}")
        text[rng.random(len(values)) < 0.002] = ""
        parts.append(pd.DataFrame({"minute": minutes, "datastream": stream, "value": text}))
    whole = pd.concat(parts).sort_values(["minute", "datastream"], kind="stable")
    clock = (whole["minute"] // 60).map("{:02d}".format) + ":" + (whole["minute"] % 60).map("{:02d}".format)
    return pd.DataFrame(
        {"datastream": whole["datastream"], "time": DAY + "T" + clock + ":00+08:00", "value": whole["value"]}
    )


def incidents(batch: Buildings, ids: np.ndarray, extent: Extent) -> pd.DataFrame:
    """What happened on that day inside the extent, in WGS 84."""
    rows = facts.table("incidents")
    uv, target = _placed(rows, batch)
    lonlat = FRAME.to_lonlat(uv + ORIGIN).round(7)
    words = ("kind", "title", "title_en", "status", "severity", "description", "description_en")
    made = [
        {"oid": row["oid"], "lon": lonlat[k, 0], "lat": lonlat[k, 1], "time": f"{DAY}T{row['time']}:00+08:00",
         "target_oid": ids[target[k]] if target[k] >= 0 else ""} | {w: row[w] for w in words}
        for k, row in enumerate(rows) if extent.inside(*uv[k : k + 1].T)[0]
    ]  # fmt: skip
    return pd.DataFrame(made)
