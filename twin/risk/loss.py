"""Loss in money: events x assets, in the words of catastrophe models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Curve = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses of a set of events over a set of assets.

    by_event    (events,) f8        by_asset   (assets,) f8 per year        annual   f8 per year; the unit of the values
    """

    by_event: Floats
    by_asset: Floats
    annual: float


def damage_ratio(depth: Floats, classes: NDArray[Any], curves: Mapping[str, Curve]) -> Floats:
    """Share of the value lost, f8, shape of `depth` (..., assets), by linear interpolation of each asset's curve.

    classes  (assets,) names of curves; those without one take the curve "unknown"
    """
    ratio = np.zeros(depth.shape)
    names = np.asarray(classes, dtype=str)
    for name in np.unique(names):
        x, y = curves.get(name, curves["unknown"]) if "unknown" in curves else curves[name]
        own = names == name
        ratio[..., own] = np.interp(depth[..., own], x, y)
    return ratio


def losses(ratio: Floats, value: Floats, frequency: Floats) -> Losses:
    """Loss by event, by asset and per year.

    ratio      (events, assets) f8 share lost        value   (assets,) f8
    frequency  (events,) f8 per year of each event, not of reaching it
    """
    impact = ratio * value
    by_event = impact.sum(axis=1)
    return Losses(by_event, frequency @ impact, float(frequency @ by_event))


def exceedance(found: Losses, frequency: Floats) -> tuple[Floats, Floats]:
    """Losses (events,) f8 from the largest down, and how often per year each is reached or exceeded."""
    order = np.argsort(-found.by_event, kind="stable")
    return found.by_event[order], np.cumsum(frequency[order])


def event_frequencies(periods: Floats) -> Floats:
    """Frequency per year (events,) f8 that stands for each return period (rising): each up to the next rarer one."""
    reach = 1.0 / periods
    return reach - np.append(reach[1:], 0.0)


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation of two lists, equal values sharing their mean rank; NaN below three pairs."""
    if len(a) < 3:
        return float("nan")
    ranks = []
    for values in (a, b):
        _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(count) - (count - 1) / 2.0)[inverse])
    x, y = (r - r.mean() for r in ranks)
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread > 0.0 else float("nan")
