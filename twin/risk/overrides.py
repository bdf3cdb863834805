"""Overrides: rules from a data file that raise a level and never lower one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.risk.scene import Units
from twin.risk.tables import Rule

Floats = NDArray[np.float64]


def apply_rules(
    rules: tuple[Rule, ...], units: Units, depth: Floats, level: Floats
) -> tuple[Floats, NDArray[np.object_]]:
    """Levels (n,) f8 after the rules, and the ids of the rules that raised each, joined by a space ("" none).

    A unit without a level keeps none: a rule cannot stand in for missing data.
    """
    raised = level.copy()
    named = np.full(len(units), "", dtype=object)
    for rule in rules:
        if rule.units not in ("both", units.kind):
            continue
        holds = (np.nan_to_num(depth) >= rule.depth) & (level < rule.least_level)
        if rule.timber_heritage:
            holds &= units.listed_timber
        if rule.hidden_danger > 0.0:
            holds &= units.danger <= rule.hidden_danger
        raised[holds] = np.maximum(raised[holds], rule.least_level)
        named[holds] = np.array([f"{before} {rule.id}".strip() for before in named[holds]], dtype=object)
    return raised, named
