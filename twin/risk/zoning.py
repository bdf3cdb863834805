"""The risk index and its five levels: R = (H^a E^b V^c)^(1/(a+b+c)) (1 - k C), every pillar in 0..1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

CAPACITY_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Profile:
    """Normalised indicators of units, each (n, indicators) f8 in 0..1, and the weights of each pillar.

    triggers        alternative ways to be hit: H = 1 - prod(1 - w h)
    exposure, vulnerability, capacity   weighted means; weights sum to 1
    keys            names of all columns, pillar after pillar in this order
    """

    keys: tuple[str, ...]
    triggers: Floats
    exposure: Floats
    vulnerability: Floats
    capacity: Floats
    trigger_weights: Floats
    exposure_weights: Floats
    vulnerability_weights: Floats
    capacity_weights: Floats

    def __len__(self) -> int:
        return len(self.triggers)

    def median(self) -> Profile:
        """The reference profile: one unit with the median of every indicator."""
        return self._replace(lambda table: np.nanmedian(table, axis=0, keepdims=True) if len(table) else table)

    def take(self, rows: NDArray[Any]) -> Profile:
        """The units at `rows`."""
        return self._replace(lambda table: table[rows])

    def _replace(self, change: Callable[[Floats], Floats]) -> Profile:
        return replace(
            self,
            triggers=change(self.triggers),
            exposure=change(self.exposure),
            vulnerability=change(self.vulnerability),
            capacity=change(self.capacity),
        )


@dataclass(frozen=True, slots=True)
class Pillars:
    """Hazard, exposure, vulnerability and capacity, each (n,) f8 in 0..1."""

    hazard: Floats
    exposure: Floats
    vulnerability: Floats
    capacity: Floats


def normalise(values: ArrayLike, anchors: tuple[Floats, Floats]) -> Floats:
    """Values on the scale 0..1 by straight lines between published anchors; NaN stays NaN.

    Unlike scaling by the least and largest value of the day, one new extreme does not re-colour the city.
    """
    out: Floats = np.interp(np.asarray(values, dtype=np.float64), anchors[0], anchors[1])
    return out


def log_scale(values: ArrayLike, unit: float, most: float) -> Floats:
    """ln(1 + x / unit) / ln(1 + most / unit), held to 0..1; unit and most are frozen."""
    x = np.maximum(np.asarray(values, dtype=np.float64), 0.0)
    return np.minimum(np.log1p(x / unit) / np.log1p(most / unit), 1.0)


def pillars(profile: Profile) -> Pillars:
    """The four pillars of every unit."""
    return Pillars(
        1.0 - np.prod(1.0 - profile.trigger_weights * profile.triggers, axis=1),
        profile.exposure @ profile.exposure_weights,
        profile.vulnerability @ profile.vulnerability_weights,
        profile.capacity @ profile.capacity_weights,
    )


def risk_index(
    p: Pillars, exponents: tuple[float, float, float] = (1.0, 1.0, 1.0), share: float = CAPACITY_SHARE
) -> Floats:
    """The index R (n,) f8 in 0..1; 0 where any of hazard, exposure and vulnerability is 0."""
    a, b, c = exponents
    product = p.hazard**a * p.exposure**b * p.vulnerability**c
    root = np.cbrt(product) if a + b + c == 3.0 else product ** (1.0 / (a + b + c))
    out: Floats = root * (1.0 - share * p.capacity)
    return out


def levels(score: ArrayLike, thresholds: Floats) -> Floats:
    """Level (n,) f8 1..5 by fixed least scores (4,) of levels 2 to 5; NaN (insufficient data) without a score."""
    values = np.asarray(score, dtype=np.float64)
    found = 1.0 + np.searchsorted(thresholds, values, side="right")
    return np.where(np.isnan(values), np.nan, found)


def natural_proposal(score: Floats) -> Floats:
    """Least scores (4,) by percentiles 60, 80, 90 and 95; for seeding a thresholds file, never for zoning."""
    known = score[np.isfinite(score) & (score > 0.0)]
    return np.percentile(known, [60, 80, 90, 95]) if len(known) else np.full(4, np.nan)
