"""Graded units, and what they come to: counts by level, people, loss, and a sentence for the map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.hazards.storm import Storm
from twin.risk import explain
from twin.risk.loss import damage_ratio
from twin.risk.scene import Units, ZoneScene
from twin.risk.segments import piece_length
from twin.risk.tables import Tables

Floats = NDArray[np.float64]

# The road criterion: one lane stays under 15 cm.
CUT_OFF = 0.15


@dataclass(frozen=True, slots=True)
class Zones:
    """Graded units of one kind, sorted by oid.

    level        (n,) f8 1..5; NaN where data is insufficient (`reason` says what is missing)
    score        (n,) f8 risk index 0..1         pillars   (n, 4) f8 hazard, exposure, vulnerability, capacity
    p            (n, 5) f8 P(level)              confident (n,) bool, one level has at least 0.8
    phi, raw     (n, m) f8 contribution and raw value of each indicator in `keys`
    quality      (n,) str A, B or C              depth     (n,) f8 m of water, river or ponding
    people       (n,) f8                         overrides (n,) str rule ids that raised the level
    """

    kind: str
    oid: NDArray[np.object_]
    level: Floats
    score: Floats
    pillars: Floats
    p: Floats
    confident: NDArray[np.bool_]
    keys: tuple[str, ...]
    phi: Floats
    raw: Floats
    structure: NDArray[Any]
    quality: NDArray[Any]
    depth: Floats
    people: Floats
    overrides: NDArray[np.object_]
    reason: NDArray[np.object_]
    tables: Tables

    def __len__(self) -> int:
        return len(self.oid)

    def drivers(self, row: int) -> list[explain.Driver]:
        """The three indicators that explain most of a unit's risk against the city's median; one sentence each."""
        if np.isnan(self.score[row]):
            return []
        if self.pillars[row, 0] <= 0.0:
            return [explain.no_hazard()]
        phi = self.phi[row].copy()
        near, flood = self.keys.index("near"), self.keys.index("flood")
        if self.raw[row, flood] > 0.0:
            # Under water the height above it says nothing of its own.
            phi[flood], phi[near] = phi[flood] + phi[near], 0.0
        return [self._driver(row, int(j), float(phi[j])) for j in explain.top_drivers(phi[None, :])[0]]

    def _driver(self, row: int, column: int, phi: float) -> explain.Driver:
        key, raw = self.keys[column], float(self.raw[row, column])
        words = None
        if key == "structure":
            entry = self.tables.classes["structures"].get(str(self.structure[row]))
            entry = entry or self.tables.classes["structures"]["unknown"]
            words = (entry["zh"], entry["en"])
        elif key == "heritage":
            words = ("是", "yes") if self.raw[row, column] else ("否", "no")
        return explain.driver(self.tables.indicators[key], phi, raw, words)

    def levels_by_oid(self) -> dict[str, int]:
        """oid -> level 1..5, 0 where data is insufficient."""
        return dict(zip(self.oid.tolist(), np.nan_to_num(self.level).astype(int).tolist(), strict=True))

    def counts(self) -> dict[str, int]:
        """Units by level; "0" is insufficient data."""
        found = np.bincount(np.nan_to_num(self.level).astype(int), minlength=6)
        return {str(level): int(found[level]) for level in range(6)}


def event_loss(units: Units, depth: Floats, tables: Tables) -> Floats:
    """Loss (n,) f8 10^4 yuan at units under `depth` (n,) m of water; unknown depth counts as none.

    The two lowest storeys carry the damage: the curves are of houses of that height.
    """
    storeys = units.vulnerability.raw[:, units.vulnerability.keys.index("storeys")]
    share = 2.0 / np.maximum(np.nan_to_num(storeys, nan=2.0), 2.0)
    return damage_ratio(np.nan_to_num(depth), units.structure, tables.damage) * units.value * share


def tally(scene: ZoneScene, storm: Storm, buildings: Zones, streets: Zones) -> dict[str, Any]:
    """The numbers of a scenario: units by level, water, people, loss."""
    high = buildings.level >= 4
    wet = np.nan_to_num(buildings.depth) >= CUT_OFF
    everyone = np.ones(len(buildings), dtype=bool)
    total = _head_count(scene, buildings, everyone)
    metres = piece_length(scene.streets.layer.geometry)
    cut_off = np.nan_to_num(streets.depth) >= CUT_OFF
    return {
        "rain_mm": round(storm.rain, 1),
        "return_period": round(storm.return_period, 1),
        "buildings": len(buildings),
        "buildings_by_level": buildings.counts(),
        "buildings_wet": int(wet.sum()),
        "people_wet": round(_head_count(scene, buildings, wet)),
        "people_levels_4_5": round(_head_count(scene, buildings, high)),
        "people_share_levels_4_5": round(_head_count(scene, buildings, high) / total, 4) if total > 0.0 else 0.0,
        "deepest_m": round(float(np.nan_to_num(buildings.depth).max(initial=0.0)), 2),
        "loss_10k_yuan": round(float(event_loss(scene.buildings, buildings.depth, scene.tables).sum())),
        "streets": len(streets),
        "streets_by_level": streets.counts(),
        "streets_cut_km": round(float(metres[cut_off].sum()) / 1000.0, 2),
    }


def _head_count(scene: ZoneScene, zones: Zones, rows: NDArray[np.bool_]) -> float:
    """People in the buildings of `rows`; with each at its larger number, the larger of day and night."""
    units = scene.buildings
    both = np.maximum(units.people_day, units.people_night)
    if np.array_equal(zones.people, both):
        return float(max(units.people_day[rows].sum(), units.people_night[rows].sum()))
    return float(zones.people[rows].sum())


def sentences(storm: Storm, figures: Mapping[str, Any]) -> dict[str, str]:
    """The scenario in one sentence each, "zh" and "en"."""
    found = figures["buildings_by_level"]
    high = found["4"] + found["5"]
    wet, people, cut = figures["buildings_wet"], figures["people_levels_4_5"], figures["streets_cut_km"]
    period = f"{storm.return_period:,.0f}" if storm.return_period >= 2.0 else f"{storm.return_period:.1f}"
    zh = (
        f"24 小时降雨 {storm.rain:.0f} mm（约 {period} 年一遇）：{wet:,} 栋建筑进水，{high:,} 栋为中高或高风险，"
        f"涉及 {people:,} 人；{cut:.1f} km 道路水深达 15 cm。"
    )
    en = (
        f"{storm.rain:.0f} mm of rain in 24 h (about once in {period} years): water reaches {wet:,} buildings; "
        f"{high:,} are of upper medium or high risk, with {people:,} people; "
        f"{cut:.1f} km of streets stand in 15 cm or more."
    )
    return {"zh": zh, "en": en}
