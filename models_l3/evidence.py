"""How well a thing is known: levels of evidence, and their mean over a building or a town."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.errors import OptionsError
from twin.meshes import Solids

Array = NDArray[np.float64]

LEVELS = {
    "surveyed": 1.0,
    "documented": 2.0,
    "derived": 3.0,
    "inferred": 4.0,
    "rule": 5.0,
    "conjectural": 6.0,
    "unknown": 7.0,
}


def level(evidence: str) -> float:
    """Uncertainty U of an evidence word, 1 (surveyed) to 7 (unknown); OptionsError for another word."""
    if evidence not in LEVELS:
        raise OptionsError(f"evidence {evidence!r}: choose one of {', '.join(LEVELS)}")
    return LEVELS[evidence]


def uncertainty(volumes: Array, levels: Array) -> float:
    """Volume-weighted mean uncertainty sum(V U) / sum(V); NaN where there is no volume."""
    total = float(np.abs(volumes).sum())
    return float((np.abs(volumes) * levels).sum() / total) if total > 0 else float("nan")


def uncertainty_by_owner(solids: Solids) -> dict[str, float]:
    """Volume-weighted uncertainty of each city object in a batch, in the order of their oids."""
    names, index = np.unique(solids.owner.astype(str), return_inverse=True)
    volume = np.abs(solids.volumes())
    weight = np.bincount(index, weights=volume)
    total = np.bincount(index, weights=volume * solids.attributes["evidence_u"])
    return {str(name): float(t / w) for name, t, w in zip(names, total, weight, strict=True) if w > 0}
