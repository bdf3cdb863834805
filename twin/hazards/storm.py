"""Storms: how often a depth of rain falls, and how much of it runs off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from twin.errors import OptionsError
from twin.options import option, read_options

_EULER = 0.5772156649015329
_SPREAD = math.sqrt(6.0) / math.pi


@dataclass(frozen=True, slots=True)
class StormOptions:
    """Rain statistics of the city and what becomes of the rain; defaults are expert values for a semi-arid basin."""

    mean: float = option(45.0, unit="mm", min=1.0, max=1000.0, doc="Mean of the yearly largest 24 h rain.")
    variation: float = option(0.5, min=0.05, max=2.0, doc="Coefficient of variation of the yearly largest 24 h rain.")
    retention: float = option(
        85.0, unit="mm", min=1.0, max=500.0, doc="Potential retention of the open country (curve number 75)."
    )
    runoff: float = option(0.7, min=0.0, max=1.0, doc="Share of the rain that runs off in built-up land.")
    drained: float = option(
        40.0, unit="mm", min=0.0, max=500.0, doc="Runoff that the storm drains carry away during the storm."
    )


@dataclass(frozen=True, slots=True)
class Storm:
    """One storm over the city.

    rain            depth in 24 h, mm
    return_period   mean interval of the yearly maximum reaching that depth, years, > 1
    options         the statistics it was drawn from
    """

    rain: float
    return_period: float
    options: StormOptions

    @staticmethod
    def of_period(years: float, options: StormOptions) -> Storm:
        """The storm reached once in `years` on the average, by Gumbel's distribution of yearly maxima."""
        factor = (reduced(years) - _EULER) * _SPREAD
        return Storm(max(0.0, options.mean * (1.0 + options.variation * factor)), years, options)

    @staticmethod
    def of_rain(rain: float, options: StormOptions) -> Storm:
        """The storm of `rain` mm; its return period by Gumbel's distribution, at most 10,000 years."""
        y = (rain / options.mean - 1.0) / options.variation / _SPREAD + _EULER
        dry_year = math.exp(-math.exp(min(700.0, -y)))
        return Storm(rain, 10_000.0 if dry_year > 0.9999 else max(1.0001, 1.0 / (1.0 - dry_year)), options)

    @property
    def open_runoff(self) -> float:
        """Runoff of the open country, mm (curve-number relation, SCS 1972, initial loss a fifth of the retention)."""
        s = self.options.retention
        return max(0.0, self.rain - 0.2 * s) ** 2 / (self.rain + 0.8 * s)

    @property
    def ponding_runoff(self) -> float:
        """Runoff of built-up land that the drains do not take, mm."""
        return max(0.0, self.options.runoff * self.rain - self.options.drained)


def reduced(years: float) -> float:
    """Gumbel's reduced variate of a return period."""
    return -math.log(-math.log(1.0 - 1.0 / years))


@dataclass(frozen=True, slots=True)
class StormInputs:
    """What a caller may ask for: a rain depth or a return period, one of them."""

    rain_mm: float = option(math.nan, unit="mm", min=0.0, max=1000.0, doc="Depth of rain in 24 h.")
    return_period: float = option(math.nan, unit="yr", min=1.01, max=10_000.0, doc="Return period of the storm.")


def storm_of(inputs: Mapping[str, Any], default_period: float, options: StormOptions) -> Storm:
    """The storm that `inputs` describe: {"rain_mm": ...} or {"return_period": ...}; the default period where empty.

    raises  OptionsError for an unknown input, both at once, or a value out of range
    """
    asked = read_options(StormInputs, {k: v for k, v in inputs.items() if v is not None}, "inputs")
    given = [f.name for f in fields(asked) if not np.isnan(getattr(asked, f.name))]
    if len(given) == 2:
        raise OptionsError("inputs: give rain_mm or return_period, not both")
    if given == ["rain_mm"]:
        return Storm.of_rain(asked.rain_mm, options)
    return Storm.of_period(asked.return_period if given else default_period, options)
