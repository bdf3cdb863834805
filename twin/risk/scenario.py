"""One storm over a prepared city: level, score, probability, drivers and quality of every building and street."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import OptionsError
from twin.hazards.storm import Storm, storm_of
from twin.risk import explain
from twin.risk.overrides import apply_rules
from twin.risk.scene import Units, ZoneScene, judged_name, people_index, unit_max
from twin.risk.summary import Zones, sentences, tally
from twin.risk.tables import METHOD, Tables
from twin.risk.uncertainty import Curve, Uncertain, confident, level_probabilities
from twin.risk.zoning import Profile, levels, normalise, pillars, risk_index

Floats = NDArray[np.float64]

TRIGGERS = ("flood", "waterlogging", "near")
PEOPLE = ("day", "night", "larger")
# Water farther below a unit than this cannot reach it by any error of the inputs.
OUT_OF_REACH = 6.0


@dataclass(frozen=True, slots=True)
class ZoneResult:
    """What a storm does to the city.

    summary   one sentence each, "zh" and "en"       figures   numbers for tables
    """

    storm: Storm
    buildings: Zones
    streets: Zones
    summary: Mapping[str, str]
    figures: Mapping[str, Any]
    method: str = METHOD


def run_flood(scene: ZoneScene, inputs: Mapping[str, Any]) -> ZoneResult:
    """The zones of one storm.

    inputs   {"rain_mm": 120} or {"return_period": 100}, and optionally {"people": "day" | "night" | "larger"};
             empty: the city's default storm
    raises   OptionsError for an unknown input or a value out of range
    """
    asked = dict(inputs)
    clock = asked.pop("people", scene.options.people)
    if clock not in PEOPLE:
        raise OptionsError(f"inputs.people: {clock!r} is none of {', '.join(PEOPLE)}")
    storm = storm_of(asked, scene.options.return_period, scene.options.storm)
    buildings = grade(scene.buildings, storm, clock, scene)
    streets = grade(scene.streets, storm, clock, scene)
    figures = tally(scene, storm, buildings, streets)
    return ZoneResult(storm, buildings, streets, sentences(storm, figures), figures)


@dataclass(frozen=True, slots=True)
class Water:
    """Water at units, (n,) f8 m.

    margin    depth of river water, below zero the metres it fails to arrive
    stage     stage of the river it would come from      ponding   depth of standing rain
    """

    margin: Floats
    stage: Floats
    ponding: Floats

    @property
    def depth(self) -> Floats:
        """Depth of the deeper of both, m; NaN where neither is known."""
        return np.fmax(np.where(np.isnan(self.margin), np.nan, np.maximum(self.margin, 0.0)), self.ponding)


def water_at(units: Units, storm: Storm) -> Water:
    """The water of a storm at every unit: the deepest of its cells."""
    found = (units.river.intensity(storm), units.river.stage(storm), units.ponding.intensity(storm))
    return Water(*(unit_max(values, units.start) for values in found))


def grade(units: Units, storm: Storm, clock: str, scene: ZoneScene) -> Zones:
    """The units of one kind, graded for a storm and a clock of people."""
    tables, water = scene.tables, water_at(units, storm)
    people = {"day": units.people_day, "night": units.people_night}.get(
        clock, np.maximum(units.people_day, units.people_night)
    )
    triggers, raw = _triggers(water, tables)
    profile = _profile(units, triggers, people, tables)
    known = units.reason == ""
    found = pillars(profile)
    share = tables.constants["capacity_share"]
    score = np.where(known, risk_index(found, share=share), np.nan)
    ruled, rules = apply_rules(tables.rules, units, water.depth, levels(score, tables.thresholds))
    reference = profile.take(np.flatnonzero(known)).median() if known.any() else profile.median()
    phi = explain.contributions(profile, reference, share) if known.any() else np.zeros((len(units), len(profile.keys)))
    quality = np.hstack(
        [_trigger_quality(units, water), units.exposure.quality, units.vulnerability.quality, units.capacity.quality]
    )
    p = _probabilities(units, water, profile, quality, scene)
    p = _raised(p, np.where(rules != "", ruled, 1.0))
    p[~known] = np.nan
    exposure = units.exposure.raw.copy()
    exposure[:, units.exposure.keys.index("people")] = people
    return Zones(
        kind=units.kind,
        oid=units.layer.oid,
        level=ruled,
        score=score,
        pillars=np.column_stack([found.hazard, found.exposure, found.vulnerability, found.capacity]),
        p=p,
        confident=confident(np.nan_to_num(p)),
        keys=profile.keys,
        phi=phi,
        raw=np.hstack([raw, exposure, units.vulnerability.raw, units.capacity.raw]),
        structure=units.structure,
        quality=_grades(phi, quality, found.hazard),
        depth=water.depth,
        people=people,
        overrides=rules,
        reason=units.reason,
        tables=tables,
    )


def _triggers(water: Water, tables: Tables) -> tuple[Floats, Floats]:
    """Index and raw value (n, 3) of the triggers; an unknown one adds no hazard, its quality tells."""
    depth = np.maximum(water.margin, 0.0)
    freeboard = np.maximum(-water.margin, 0.0)
    index = [
        normalise(depth, tables.anchor("depth")),
        normalise(water.ponding, tables.anchor("depth")),
        normalise(freeboard, tables.anchor("freeboard")) * _in_flood(water),
    ]
    return np.nan_to_num(np.column_stack(index)), np.column_stack([depth, water.ponding, freeboard])


def _in_flood(water: Water) -> Floats:
    """0 where the river is dry, 1 from half a metre of stage: without a flood nobody stands near one."""
    return np.clip(water.stage / 0.5, 0.0, 1.0)


def _trigger_quality(units: Units, water: Water) -> Floats:
    river = np.where(np.isnan(water.margin), 0.2, units.river.quality)
    return np.column_stack([river, np.full(len(units), units.ponding.quality), river])


def _profile(units: Units, triggers: Floats, people: Floats, tables: Tables) -> Profile:
    exposure = units.exposure.index.copy()
    exposure[:, units.exposure.keys.index("people")] = people_index(people, tables)
    return Profile(
        keys=(*TRIGGERS, *units.exposure.keys, *units.vulnerability.keys, *units.capacity.keys),
        triggers=triggers,
        exposure=exposure,
        vulnerability=units.vulnerability.index,
        capacity=units.capacity.index,
        trigger_weights=np.array([tables.constants[f"trigger_{name}"] for name in TRIGGERS]),
        exposure_weights=units.weights["exposure"].weights,
        vulnerability_weights=units.weights["vulnerability"].weights,
        capacity_weights=units.weights["capacity"].weights,
    )


def _probabilities(units: Units, water: Water, profile: Profile, quality: Floats, scene: ZoneScene) -> Floats:
    """P(level) (n, 5); units that no error of the inputs can wet are certainly in the lowest level."""
    tables = scene.tables
    p = np.zeros((len(units), 5))
    p[:, 0] = 1.0
    rows = np.flatnonzero(
        ((np.nan_to_num(water.margin, nan=-np.inf) > -OUT_OF_REACH) & (water.stage > 0.0)) | (water.ponding > 0.0)
    )
    if not len(rows):
        return p
    margin = np.nan_to_num(water.margin[rows], nan=-OUT_OF_REACH)
    depth, freeboard = tables.anchor("depth"), tables.anchor("freeboard")
    weights = profile.trigger_weights
    curves = [
        Curve(margin, quality[rows, 0], depth, float(weights[0]), 0.5),
        Curve(np.nan_to_num(water.ponding[rows]), quality[rows, 1], depth, float(weights[1])),
        Curve(-margin, quality[rows, 2], freeboard, weights[2] * np.nan_to_num(_in_flood(water)[rows]), 0.5),
    ]
    columns = np.cumsum([len(TRIGGERS), len(units.exposure.keys), len(units.vulnerability.keys)])
    tables_of = (profile.exposure, profile.vulnerability, profile.capacity)
    uncertain = [
        Uncertain(
            x=index[rows],
            quality=quality[rows, first : first + index.shape[1]],
            judgement=tables.judgements[judged_name(units.kind, name)],
            entropy=units.entropy[name],
        )
        for name, index, first in zip(("exposure", "vulnerability", "capacity"), tables_of, columns, strict=True)
    ]
    p[rows] = level_probabilities(
        curves,
        (uncertain[0], uncertain[1], uncertain[2]),
        tables.thresholds,
        tables.constants["capacity_share"],
        scene.options.draws,
        scene.options.seed,
    )
    return p


def _raised(p: Floats, least: Floats) -> Floats:
    """Probabilities after overrides: what lay below the least level lies on it."""
    floor = np.nan_to_num(least, nan=1.0).astype(int)
    cumulated = np.cumsum(p, axis=1)
    number = np.arange(1, 6)
    cumulated[number[None, :] < floor[:, None]] = 0.0
    return np.diff(cumulated, axis=1, prepend=0.0)


def _grades(phi: Floats, quality: Floats, hazard: Floats) -> NDArray[Any]:
    """A, B or C: mean quality of the indicators that carry 80 % of the explanation, weighted by their share of it.

    Where there is no hazard the triggers alone carry it.
    """
    size = np.abs(phi)
    size[hazard <= 0.0, len(TRIGGERS) :] = 0.0
    size[hazard <= 0.0, : len(TRIGGERS)] = 1.0
    order = np.argsort(-size, axis=1, kind="stable")
    ranked = np.take_along_axis(size, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    carried = np.where(before < 0.8 * ranked.sum(axis=1, keepdims=True), ranked, 0.0)
    total = np.maximum(carried.sum(axis=1), 1e-12)
    mean = (carried * np.take_along_axis(quality, order, axis=1)).sum(axis=1) / total
    return np.where(mean >= 0.8 - 1e-9, "A", np.where(mean >= 0.5 - 1e-9, "B", "C")).astype(object)


def with_draws(scene: ZoneScene, draws: int) -> ZoneScene:
    """The same scene with another number of draws."""
    return replace(scene, options=replace(scene.options, draws=draws))
