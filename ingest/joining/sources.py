"""Footprint sources that say `merge_into` meet the source they name: the recipe's side of fusion."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.joining.fusion import Merged, MergeRules, merge
from ingest.reading import Reading
from twin.city import Source
from twin.features import Layer
from twin.lineage import Lineage
from twin.options import option
from twin.outcome import Outcome

Readings = list[tuple[Source, Reading]]
POINTS = "building_point"
_CONFLICTS = {
    "height": "两来源高度相差超过 {gap:g} m / heights of two sources differ by more than {gap:g} m",
    "storeys": "两来源层数相差超过 {gap:g} / storeys of two sources differ by more than {gap:g}",
}


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """When a building of one source is the same as one of another, for sources that say `merge_into`."""

    overlap: float = option(0.3, min=0.0, max=1.0, doc="Intersection over union from which two outlines are one.")
    coverage: float = option(0.6, min=0.0, max=1.0, doc="Share of the smaller outline inside the other that suffices.")
    reach: float = option(2.0, unit="m", min=0.0, max=50.0, doc="A point belongs to the nearest outline this far off.")
    height_gap: float = option(3.0, unit="m", min=0.0, doc="Heights of two sources further apart are reported.")
    storeys_gap: float = option(1.0, min=0.0, max=200.0, doc="Storeys of two sources further apart are reported.")


@dataclass(slots=True)
class Fusion:
    """What merging made of the footprint sources.

    readings    all readings; those that were merged away hold no feature any more
    points      points of the merged sources that meet no outline, None where there are none
    figures     counts for the report
    """

    readings: Readings
    points: Reading | None = None
    figures: dict[str, Any] = field(default_factory=dict)


def merge_sources(readings: Readings, options: MergeOptions) -> Fusion:
    """Every source that says `merge_into` merged into the source it names, in the order of city.toml."""
    result = Fusion(list(readings))
    rows = {source.name: row for row, (source, _) in enumerate(readings)}
    for row, (source, reading) in enumerate(readings):
        if source.merge_into:
            _merge_one(result, rows[source.merge_into], row, options)
            result.readings[row] = (source, replace(reading, noun=Layer.empty("building", reading.noun.frame)))
    return result


def _merge_one(result: Fusion, target: int, row: int, options: MergeOptions) -> None:
    (into, first), (source, second) = result.readings[target], result.readings[row]
    rules = MergeRules(options.overlap, options.coverage, options.reach, dict.fromkeys(source.prefer, "second"))
    made = merge(first.noun, second.noun, rules)
    gaps = {"height": options.height_gap, "storeys": options.storeys_gap}
    told, figures = conflicts(first.noun, second.noun, made, gaps)
    step = (
        f"{source.name} merged in: overlap >= {rules.overlap:g} or coverage >= {rules.coverage:g}, points within "
        f"{rules.reach:g} m; its word counts for {', '.join(source.prefer) or 'what was unknown'}"
    )
    outcomes = (*first.outcomes, *told, *made.outcomes)
    merged = replace(first, noun=made.layer, lineage=first.lineage.step(step), outcomes=outcomes)
    if len(made.left):
        _leave(result, second, made.left, source.name)
        line = f"{source.name}: {len(made.left)} points meet no outline of {into.name}; they are kept in layer {POINTS}"
        merged = replace(merged, warnings=(*merged.warnings, line))
    result.readings[target] = (into, merged)
    counts = {
        "matched": len(made.speaker),
        "unmatched": len(first.noun) - len(made.speaker),
        "added": len(made.layer) - len(first.noun),
        "points_left": len(made.left),
        "records_silent": sum("another record speaks" in outcome.reason for outcome in made.outcomes),
        "outlines_sharing": int(np.count_nonzero(made.pairs.shared)),
    }
    result.figures |= {f"fusion.{source.name}.{key}": value for key, value in (counts | figures).items()}


def _leave(result: Fusion, second: Reading, rows: NDArray[np.intp], name: str) -> None:
    part = second.noun.take(rows)
    layer = Layer.build(POINTS, part.frame, part.oid, part.geometry, dict(part.columns))
    lineage = second.lineage.step(f"points of {name} that meet no outline")
    if result.points is None:
        result.points = Reading(layer, lineage)
        return
    before = result.points.noun
    fresh = ~np.isin(layer.oid.astype(str), before.oid.astype(str))
    columns = {key: np.concatenate([values, layer.columns[key][fresh]]) for key, values in before.columns.items()}
    both = Layer.build(
        POINTS, part.frame, np.concatenate([before.oid, layer.oid[fresh]]),
        np.concatenate([before.geometry, layer.geometry[fresh]]), columns,
    )  # fmt: skip
    result.points = Reading(both, Lineage.join([result.points.lineage, lineage], "put together"))


def conflicts(
    first: Layer, second: Layer, made: Merged, gaps: dict[str, float]
) -> tuple[list[Outcome], dict[str, float]]:
    """(an Outcome for every merged feature whose two sources disagree by more than the gap, figures by column)."""
    a, b = made.pairs.first[made.speaker], made.pairs.second[made.speaker]
    outcomes: list[Outcome] = []
    figures: dict[str, float] = {}
    for column, gap in gaps.items():
        off = np.abs(first.column(column)[a] - second.column(column)[b])
        both = off[~np.isnan(off)]
        far = np.flatnonzero(off > gap)
        reason = _CONFLICTS[column].format(gap=gap)
        outcomes += [Outcome(str(oid), "fallback", reason, "fusion") for oid in first.oid[a[far]].tolist()]
        figures |= {f"{column}_compared": len(both), f"{column}_conflicts": len(far)}
        if len(both):
            figures[f"{column}_difference_median"] = round(float(np.median(both)), 3)
    return outcomes, figures
