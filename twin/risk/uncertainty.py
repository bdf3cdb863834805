"""How sure a level is: P(level) by seeded draws over judgements, entropy share and input errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.risk.weights import Judgement, drawn_weights

Floats = NDArray[np.float64]

# Relative standard deviation of an input by its quality: 1.0 surveyed, 0.8 modelled, 0.5 proxy, 0.2 assumed.
_QUALITY = np.array([0.2, 0.5, 0.8, 1.0])
_ERROR = np.array([0.50, 0.25, 0.10, 0.05])
CONFIDENT = 0.8


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A weighted-mean pillar with errors.

    x           (n, k) f8 indicators 0..1
    quality     (n, k) f8
    judgement   of the k indicators      entropy   (k,) f8 weights
    """

    x: Floats
    quality: Floats
    judgement: Judgement
    entropy: Floats


@dataclass(frozen=True, slots=True)
class Curve:
    """A trigger with errors: depth (n,) f8 m, quality (n,), anchors, and weight (one or (n,)) among the triggers.

    play    depth to which the relative error applies at zero, m: ground that is just dry is uncertain too
    """

    depth: Floats
    quality: Floats
    anchors: tuple[Floats, Floats]
    weight: float | Floats
    play: float = 0.0


def relative_error(quality: Floats) -> Floats:
    """Relative standard deviation by quality (expert values), straight lines between the four grades."""
    out: Floats = np.interp(quality, _QUALITY, _ERROR)
    return out


def level_probabilities(
    triggers: list[Curve],
    pillars: tuple[Uncertain, Uncertain, Uncertain],
    thresholds: Floats,
    share: float,
    draws: int,
    seed: int,
) -> Floats:
    """P(level 1..5) (n, 5) f8 of every unit.

    triggers    alternative triggers of the hazard
    pillars     exposure, vulnerability, capacity
    thresholds  (4,) f8 least scores of levels 2 to 5
    share       largest share of the risk that capacity takes away
    The error of a weighted mean is one normal draw with the exact spread of the sum of its indicators' errors.
    """
    rng = np.random.default_rng(seed)
    n = len(triggers[0].depth)
    weights = [drawn_weights(p.judgement, p.entropy, draws, rng) for p in pillars]
    variances = [(p.x * relative_error(p.quality)) ** 2 for p in pillars]
    errors = [relative_error(t.quality) * (np.abs(t.depth) + t.play) for t in triggers]
    cubes = thresholds**3
    above = np.zeros((4, n))
    for d in range(draws):
        noise = rng.standard_normal((3 + len(triggers), n), dtype=np.float32)
        e, v, c = (
            np.clip(p.x @ w[d] + np.sqrt(variance @ w[d] ** 2) * z, 0.0, 1.0)
            for p, w, variance, z in zip(pillars, weights, variances, noise, strict=False)
        )
        safe = np.ones(n)
        for t, error, z in zip(triggers, errors, noise[3:], strict=True):
            safe *= 1.0 - t.weight * np.interp(t.depth + error * z, *t.anchors)
        # R >= t without the cube root: H E V (1 - kC)^3 >= t^3.
        cube = (1.0 - safe) * e * v * (1.0 - share * c) ** 3
        above += cube[None, :] >= cubes[:, None]
    reached = np.vstack([np.ones(n), above / draws, np.zeros(n)])
    return (reached[:-1] - reached[1:]).T


def confident(probabilities: Floats) -> NDArray[np.bool_]:
    """True (n,) where one level has a probability of at least 0.8."""
    out: NDArray[np.bool_] = probabilities.max(axis=1) >= CONFIDENT
    return out
