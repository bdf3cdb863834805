"""How good a delivery is, in plain counts: what came, what was mended, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from twin.features import Layer
from twin.outcome import Outcome


def feature_tally(delivered: int, invalid: int, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Counts of one delivery of features: delivered, invalid, mended, lost."""
    items = list(outcomes)
    return {
        "features": delivered,
        "invalid": invalid,
        "fallback": sum(1 for outcome in items if outcome.status == "fallback"),
        "skipped": sum(1 for outcome in items if outcome.status == "skipped"),
    }


def completeness(layer: Layer) -> dict[str, float]:
    """Share 0..1 of features that carry a value, for every declared column of the layer but JSON."""
    n = len(layer)
    shares: dict[str, float] = {}
    for name, values in sorted(layer.columns.items()):
        if name in ("attributes", "provenance"):
            continue
        known = ~np.isnan(values) if values.dtype.kind == "f" else values != ""
        shares[name] = round(float(np.count_nonzero(known)) / n, 6) if n else 0.0
    return shares


def building_figures(layer: Layer) -> Mapping[str, int]:
    """Buildings by what is known of their height: surveyed, storeys only, neither."""
    height, storeys = ~np.isnan(layer.column("height")), ~np.isnan(layer.column("storeys"))
    return {
        "buildings": len(layer),
        "buildings_with_height": int(height.sum()),
        "buildings_with_storeys_only": int((storeys & ~height).sum()),
        "buildings_without_height": int((~storeys & ~height).sum()),
        "buildings_named": int((layer.column("name") != "").sum()),
    }
