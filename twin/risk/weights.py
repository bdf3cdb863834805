"""Weights of indicators inside a pillar: experts' judgements, entropy with guards, and the merge of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.errors import OptionsError

Floats = NDArray[np.float64]

RANDOM_INDEX = (0.0, 0.0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Pairwise judgements: `matrix` (n, n) f8, entry (i, j) how much more indicator i matters than j; reciprocal."""

    keys: tuple[str, ...]
    matrix: Floats


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Weights (n,) f8 that sum to 1, largest eigenvalue, consistency index and ratio (accept a ratio below 0.10)."""

    weights: Floats
    eigenvalue: float
    index: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Merged:
    """Weights (n,) f8 merged of two sets, the share of each set, and the guards that fired on the way."""

    weights: Floats
    share_judged: float
    share_entropy: float
    guards: tuple[str, ...] = ()


def hierarchy(matrix: Floats) -> Hierarchy:
    """Weights by the analytic hierarchy process: the principal eigenvector of the judgements.

    matrix  (n, n) f8 reciprocal, n at most 9
    raises  OptionsError where the matrix is not reciprocal
    source  Saaty 1977; random indices as in RANDOM_INDEX
    """
    n = len(matrix)
    if matrix.shape != (n, n) or n > len(RANDOM_INDEX) or not np.allclose(matrix * matrix.T, 1.0, atol=1e-6):
        raise OptionsError("judgements: the matrix must be square, at most 9 x 9, with entry (j, i) = 1 / (i, j)")
    values, vectors = np.linalg.eig(matrix)
    top = int(np.argmax(values.real))
    weights = np.abs(vectors[:, top].real)
    index = (float(values[top].real) - n) / (n - 1) if n > 1 else 0.0
    chance = RANDOM_INDEX[n - 1]
    return Hierarchy(weights / weights.sum(), float(values[top].real), index, index / chance if chance else 0.0)


def most_inconsistent(matrix: Floats) -> tuple[int, int, int]:
    """The triad (i, j, k) whose judgements contradict each other most: largest |ln(a_ij a_jk / a_ik)|."""
    log = np.log(matrix)
    gap = np.abs(log[:, :, None] + log[None, :, :] - log[:, None, :])
    i, j, k = np.unravel_index(int(np.argmax(gap)), gap.shape)
    return int(i), int(j), int(k)


def merge_judgements(matrices: Floats) -> Floats:
    """One matrix (n, n) of several experts' (e, n, n): the element-wise geometric mean."""
    out: Floats = np.exp(np.log(matrices).mean(axis=0))
    return out


def entropy_weights(values: Floats) -> Floats:
    """Weights (k,) f8 by how unevenly each indicator is spread over the units.

    values  (n, k) f8 >= 0, n at least 2; a column of zeros carries no weight
    source  Shannon entropy, e_j = -sum p ln p / ln n, w_j = (1 - e_j) / sum(1 - e_j)
    """
    total = values.sum(axis=0)
    p = values / np.where(total > 0.0, total, 1.0)
    terms = np.where(p > 0.0, p * np.log(np.where(p > 0.0, p, 1.0)), 0.0)
    spread = np.where(total > 0.0, 1.0 + terms.sum(axis=0) / np.log(len(values)), 0.0)
    spread = np.maximum(spread, 0.0)
    return spread / spread.sum() if spread.sum() > 1e-12 else np.full(len(total), 1.0 / len(total))


def guarded_entropy(values: Floats, judged: Floats, keys: tuple[str, ...]) -> tuple[Floats, tuple[str, ...]]:
    """Entropy weights (k,) f8 that a rare or skewed indicator cannot seize, and the guards that fired.

    values  (n, k) f8 >= 0          judged  (k,) f8 weights by judgement, the cap is twice these
    guards  log where skewness > 3; dropped where variance < 1e-4 or less than 2 % are non-zero; capped; renormalised
    """
    table = values.copy()
    fired: list[str] = []
    drop = (table.var(axis=0) < 1e-4) | ((table > 0.0).mean(axis=0) < 0.02)
    for j, key in enumerate(keys):
        if drop[j]:
            fired.append(f"{key}: dropped")
        elif _skewness(table[:, j]) > 3.0:
            table[:, j] = np.log1p(table[:, j] / max(float(table[:, j].mean()), 1e-12))
            fired.append(f"{key}: log")
    if drop.all():
        return judged, tuple(fired)
    weights = np.zeros(len(keys))
    weights[~drop] = entropy_weights(table[:, ~drop])
    over = weights > 2.0 * judged
    fired += [f"{key}: capped" for key, capped in zip(keys, over, strict=True) if capped]
    weights = np.minimum(weights, 2.0 * judged)
    return weights / weights.sum(), tuple(fired)


def merge(judged: Floats, entropy: Floats, guards: tuple[str, ...] = ()) -> Merged:
    """The weights that lie nearest to both sets at once (game theory); the geometric mean where that has no answer.

    source  combination weighting by the equilibrium of [[a.a, a.b], [b.a, b.b]] alpha = [a.a, b.b]
    """
    aa, ab, bb = float(judged @ judged), float(judged @ entropy), float(entropy @ entropy)
    determinant = aa * bb - ab * ab
    if abs(determinant) > 1e-9 * aa * bb:
        alpha = np.array([bb * aa - ab * bb, aa * bb - ab * aa]) / determinant
        if (alpha >= 0.0).all() and alpha.sum() > 0.0:
            alpha = alpha / alpha.sum()
            return Merged(alpha[0] * judged + alpha[1] * entropy, float(alpha[0]), float(alpha[1]), guards)
    mean = np.sqrt(judged * entropy)
    return Merged(mean / mean.sum(), 0.5, 0.5, (*guards, "merged by geometric mean"))


def drawn_weights(judgement: Judgement, entropy: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Weights (draws, n) f8 when experts err and nobody knows how much the data should say.

    Judgements are multiplied by lognormal errors of sigma 0.25, reciprocals kept; the share of entropy is uniform on
    0.3 .. 0.7.
    """
    n = len(judgement.keys)
    error = np.triu(rng.normal(0.0, 0.25, (draws, n, n)), 1)
    matrices = judgement.matrix * np.exp(error - error.transpose(0, 2, 1))
    vector = np.full((draws, n, 1), 1.0 / n)
    for _ in range(30):
        vector = matrices @ vector
        vector /= vector.sum(axis=1, keepdims=True)
    share = rng.uniform(0.3, 0.7, (draws, 1))
    return (1.0 - share) * vector[:, :, 0] + share * entropy


def _skewness(values: Floats) -> float:
    centred = values - values.mean()
    spread = float(np.sqrt((centred**2).mean()))
    return float((centred**3).mean() / spread**3) if spread > 0.0 else 0.0
