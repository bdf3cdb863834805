"""What storeys say about height: a line per use, learnt from surveyed buildings, a table where there are none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.analysis.heights import group_percentiles
from twin.features import Objects

Floats = NDArray[np.float64]

# Usual floor-to-floor height of a use and how far it varies, m. Dwellings after GB 50096 (2.8 m and the slab), schools,
# offices and hospitals after design practice; halls of temples and works have storeys in name only.
STOREY_HEIGHT: Mapping[str, tuple[float, float]] = {
    "residential": (2.9, 0.15),
    "commercial": (4.2, 0.5),
    "industrial": (6.0, 2.5),
    "public": (4.2, 0.6),
    "religious": (6.0, 4.0),
    "heritage": (7.0, 5.0),
    "education": (3.8, 0.3),
    "medical": (3.9, 0.3),
    "office": (3.8, 0.3),
    "transport": (5.0, 2.0),
    "agricultural": (4.0, 1.0),
    "mine": (6.0, 3.0),
}
# What stands above the top floor or below the first one: parapet, roof, plinth.
EXTRA, EXTRA_SIGMA = 1.2, 1.0

_ROUNDS, _HEARD, _SCATTER = 5, 200.0, 0.5


def storey_heights(
    storeys: Floats, surveyed: Floats, function: Objects, other: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Height (n,) f8 m and sigma (n,) f8 m of buildings from their storeys; NaN where those are unknown.

    storeys    (n,) f8; below 1 and above 200 unknown          surveyed   (n,) f8 m, NaN where unknown
    function   (n,) str use                                    other      height and sigma of uses not in the table
    source     Bayesian line per use, height = extra + storeys x height of one: the table is the prior, buildings with
               both values are the data, outliers weighted down (Cauchy); at most 200 buildings' weight, so that a
               large city's many low houses do not silence the table about its towers
    """
    known = np.where((storeys >= 1.0) & (storeys <= 200.0), storeys, np.nan)
    uses, use = np.unique(function.astype(str), return_inverse=True)
    prior = np.array([STOREY_HEIGHT.get(name, other) for name in uses.tolist()]).reshape(-1, 2)
    both = np.isfinite(known) & np.isfinite(surveyed)
    extra, single, scatter, cov = _lines(known[both], surveyed[both], use[both], prior)
    value = extra[use] + known * single[use]
    spread = cov[0][use] + 2.0 * known * cov[1][use] + known**2 * cov[2][use]
    return value, np.sqrt(np.maximum(spread, 0.0) + scatter[use] ** 2)


def _lines(
    x: Floats, y: Floats, use: NDArray[np.int64], prior: Floats
) -> tuple[Floats, Floats, Floats, tuple[Floats, Floats, Floats]]:
    """Intercept, slope, scatter (u,) of y over x per use, and the covariance (aa, ab, bb) of the first two."""
    n = len(prior)
    extra, single = np.full(n, EXTRA), prior[:, 0].copy()
    scatter = np.full(n, _SCATTER)
    pa, pb = np.full(n, EXTRA_SIGMA**-2), prior[:, 1] ** -2
    counts = np.bincount(use, minlength=n)
    share = np.minimum(1.0, _HEARD / np.maximum(counts, 1))
    cov = (1.0 / pa, np.zeros(n), 1.0 / pb)

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(use, weights=values, minlength=n), dtype=np.float64)

    for _ in range(_ROUNDS):
        residual = y - extra[use] - single[use] * x
        weight = share[use] / scatter[use] ** 2 / (1.0 + (residual / (2.0 * scatter[use])) ** 2)
        aa, ab, bb = pa + total(weight), total(weight * x), pb + total(weight * x * x)
        ra, rb = pa * EXTRA + total(weight * y), pb * prior[:, 0] + total(weight * x * y)
        size = aa * bb - ab * ab
        extra, single = (bb * ra - ab * rb) / size, (aa * rb - ab * ra) / size
        cov = (bb / size, -ab / size, aa / size)
        found, _ = group_percentiles(y - extra[use] - single[use] * x, use, n, [16.0, 84.0])
        wide = np.maximum(0.5 * (found[:, 1] - found[:, 0]), 0.2)
        scatter = np.where(counts >= 5, wide, _SCATTER)
    return extra, single, scatter, cov
