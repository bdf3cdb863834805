"""Why a zone has its level: contributions of every indicator that add up exactly to ln(R / R_reference)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.risk.tables import Indicator
from twin.risk.zoning import CAPACITY_SHARE, Pillars, Profile, pillars

Floats = NDArray[np.float64]

FLOOR = 1e-3
NO_HAZARD_ZH = "此处无洪涝危险"
NO_HAZARD_EN = "no flood hazard here"


def contributions(profile: Profile, reference: Profile, share: float = CAPACITY_SHARE) -> Floats:
    """Signed contribution (n, indicators) f8 of each indicator, in the order of `profile.keys`.

    reference   a profile of one unit, usually the city's medians
    Pillars are held to at least 0.001 inside the logarithms; the sum over indicators is `log_ratio` to rounding.
    source      additive logarithmic-mean decomposition (Ang 2004) over the pillars of the index
    """
    here, there = pillars(profile), pillars(reference)
    third = 1.0 / 3.0
    exposed = profile.exposure_weights * (profile.exposure - reference.exposure)
    fragile = profile.vulnerability_weights * (profile.vulnerability - reference.vulnerability)
    relief = -share * profile.capacity_weights * (profile.capacity - reference.capacity)
    return np.hstack(
        [
            third * _shared(here.hazard, there.hazard, _trigger_changes(profile, reference)),
            third * _shared(here.exposure, there.exposure, exposed),
            third * _shared(here.vulnerability, there.vulnerability, fragile),
            _shared(1.0 - share * here.capacity, 1.0 - share * there.capacity, relief),
        ]
    )


def log_ratio(profile: Profile, reference: Profile, share: float = CAPACITY_SHARE) -> Floats:
    """ln(R / R_reference) (n,) f8, pillars held to at least 0.001."""
    return _log_index(pillars(profile), share) - _log_index(pillars(reference), share)


def _log_index(p: Pillars, share: float) -> Floats:
    logs = [np.log(np.maximum(v, FLOOR)) for v in (p.hazard, p.exposure, p.vulnerability)]
    return (logs[0] + logs[1] + logs[2]) / 3.0 + np.log1p(-share * p.capacity)


def _trigger_changes(profile: Profile, reference: Profile) -> Floats:
    """What each trigger adds to H - H_reference (n, triggers): ln(1 - H) is a sum over triggers, so it splits."""
    # A trigger that is certain would make the logarithm infinite.
    safe, safe_there = (
        np.log1p(-np.minimum(p.trigger_weights * p.triggers, 1.0 - 1e-12)) for p in (profile, reference)
    )
    log, log_there = safe.sum(axis=1), safe_there.sum(axis=1)
    near = np.abs(log - log_there) < 1e-9
    mean = np.where(near, np.exp(log), (np.exp(log) - np.exp(log_there)) / np.where(near, 1.0, log - log_there))
    return (safe_there - safe) * mean[:, None]


def _shared(here: Floats, there: Floats, change: Floats) -> Floats:
    """ln(here / there) split over the columns of `change` in proportion; columns (n, k) that raise are positive."""
    u, v = np.maximum(here, FLOOR), np.maximum(there, FLOOR)
    total = change.sum(axis=1)
    log = np.log(u) - np.log(v)
    near = np.abs(total) < 1e-9
    # Where the pillar stays, its parts cancel; they are still shown, by the derivative of the logarithm.
    slope = np.where(near, 1.0 / u, log / np.where(near, 1.0, total))
    parts = change * slope[:, None]
    rest = log - parts.sum(axis=1)
    size = np.abs(change)
    spread = size.sum(axis=1, keepdims=True)
    even = np.full(change.shape, 1.0 / change.shape[1])
    return parts + rest[:, None] * np.where(spread > 0.0, size / np.where(spread > 0.0, spread, 1.0), even)


def top_drivers(phi: Floats, count: int = 3) -> NDArray[np.int64]:
    """Columns (n, count) i8 of the contributions with the largest absolute value, largest first."""
    return np.argsort(-np.abs(phi), axis=1, kind="stable")[:, :count].astype(np.int64)


@dataclass(frozen=True, slots=True)
class Driver:
    """One line of an explanation: indicator, signed contribution, and the sentence in Chinese and English."""

    key: str
    phi: float
    zh: str
    en: str

    def as_dict(self) -> dict[str, str | float]:
        """Plain JSON values, the contribution rounded to four digits."""
        return {"key": self.key, "zh": self.zh, "en": self.en, "phi": round(self.phi, 4)}


def no_hazard() -> Driver:
    """What is said where there is no hazard: a sentence, not a number."""
    return Driver("none", 0.0, NO_HAZARD_ZH, NO_HAZARD_EN)


def driver(indicator: Indicator, phi: float, raw: float, words: tuple[str, str] | None = None) -> Driver:
    """The sentence of one indicator: its name, its value with unit, and its signed contribution.

    words   Chinese and English name of the value where it is a class
    """
    if words is not None:
        return Driver(
            indicator.key, phi, f"{indicator.zh} {words[0]} {phi:+.2f}", f"{indicator.en} {words[1]} {phi:+.2f}"
        )
    if not np.isfinite(raw):
        return Driver(indicator.key, phi, f"{indicator.zh} 不明 {phi:+.2f}", f"{indicator.en} unknown {phi:+.2f}")
    number = f"{raw:,.{indicator.decimals}f}" if indicator.key != "year_built" else f"{raw:.0f}"
    en = f"{number} {indicator.unit}".rstrip()
    zh = en.replace("10^4 yuan", "万元").replace(" yr", " 年")
    return Driver(indicator.key, phi, f"{indicator.zh} {zh} {phi:+.2f}", f"{indicator.en} {en} {phi:+.2f}")
