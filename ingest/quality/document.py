"""The quality document: every source held against the five qualities of ISO 19157, with small maps, as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from ingest.conform import VOCABULARY
from ingest.observations import LiveTables
from ingest.quality import maps, shapes
from ingest.quality.maps import Sheet
from ingest.quality.measures import (
    ANNEX_D,
    LISTED,
    MEASURES,
    QUALITIES,
    SCHEMA,
    STANDARD,
    Finding,
    sort_outcomes,
    sort_warnings,
)
from ingest.quality.temporal import observation_quality
from ingest.reading import Reading
from twin.city import Source
from twin.features import Layer
from twin.frames import Frame
from twin.grid import Raster
from twin.live import Datastream
from twin.outcome import Outcome

OURS = frozenset({"attributes", "provenance", "source", "building_oid", "confidence"})
_PLACELESS = frozenset({"population", "observations"})
_HIGH = frozenset({"dem", "dsm", "points", "sensors"})
_SAMPLES = 200


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the items of a source are: identifiers (n,), and the middle of each (n, 2), frame m."""

    oid: pa.Array
    xy: np.ndarray[Any, np.dtype[np.float64]]

    def rows(self, oids: Iterable[str]) -> dict[str, int]:
        """oid -> row, of those that the source has."""
        wanted = pa.array(list(dict.fromkeys(oids)), type=pa.large_string())
        found = np.flatnonzero(pc.is_in(self.oid, wanted).to_numpy(False))
        return dict(zip(self.oid.take(pa.array(found)).to_pylist(), found.tolist(), strict=True))

    def of(self, oids: Iterable[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Middles (k, 2) of those that the source has, in their order."""
        asked = list(oids)
        row = self.rows(asked)
        return self.xy[np.array([row[oid] for oid in asked if oid in row], dtype=np.intp)]


def quality_document(
    frame: Frame,
    readings: Sequence[tuple[Source, Reading]],
    layers: Mapping[str, Reading],
    heights: Mapping[str, Raster],
    outside: Iterable[Outcome] = (),
) -> dict[str, Any]:
    """The quality of every source as plain JSON values, in the order of city.toml.

    readings    what each source brought, before sources were joined
    layers      what became of them together: layer name -> reading
    outside     outcomes of footprints no ground lies under
    """
    every = [reading.noun for reading in layers.values()]
    stock = [layer for layer in every if layer.name == "building" and len(layer)] or every
    sheets = maps.sheets_of(stock, heights.get("dem"))
    streams: dict[str, Datastream] = {}
    targets: set[str] = set()
    if any(isinstance(reading.noun, LiveTables) for _, reading in readings):
        targets |= {oid for reading in layers.values() for oid in reading.noun.oid.tolist()}
    for _, reading in readings:
        if isinstance(reading.noun, LiveTables):
            streams |= {stream.oid: stream for stream in reading.noun.datastreams}
            targets |= {thing.oid for thing in reading.noun.things}
        elif isinstance(reading.noun, Layer) and reading.noun.name == "building":
            targets |= set(reading.noun.column("source_id").tolist()) if targets else set()
    late = _joined_outcomes(readings, layers)
    off = list(outside)
    sources = []
    for source, reading in readings:
        place = _places(reading.noun, frame)
        here = place.rows(outcome.oid for outcome in off)
        outcomes = [*reading.outcomes, *(o for o in off if o.oid in here)]
        met = _met(late.get(source.name, ()), _delivered(reading), place)
        told = [*_told(source, reading, outcomes, place), *met]
        found, times = _looked_up(source, reading, streams, targets, place)
        picture = _map(reading.noun, [*told, *found], place, sheets)
        sources.append(_entry(source, reading, frame, [*told, *found]) | {"times": times, "map": picture})
    return {
        "schema": SCHEMA,
        "standard": STANDARD,
        "frame": {"crs": frame.crs, "vertical": frame.vertical},
        "totals": _totals(sources),
        "sources": sources,
        "between": _between(readings, layers, heights),
    }


def _joined_outcomes(
    readings: Sequence[tuple[Source, Reading]], layers: Mapping[str, Reading]
) -> dict[str, list[Outcome]]:
    """Outcomes that only arose when sources of a class met, under the last source of that class."""
    found: dict[str, list[Outcome]] = {}
    for name, whole in layers.items():
        mine = [(s, r) for s, r in readings if isinstance(r.noun, Layer) and r.noun.name == name]
        # Most are the very same objects, and to hash tens of thousands of outcomes takes long.
        known = {id(outcome) for _, reading in mine for outcome in reading.outcomes}
        rest = [outcome for outcome in whole.outcomes if id(outcome) not in known]
        told = {outcome for _, reading in mine for outcome in reading.outcomes} if rest else set()
        rest = [outcome for outcome in rest if outcome not in told]
        if mine and rest:
            found[mine[-1][0].name] = rest
    return found


def _met(outcomes: Iterable[Outcome], delivered: int, place: _Place) -> list[Finding]:
    """What only showed when sources of a class met; an identifier that two sources share is no fault of either."""
    return [
        Finding(
            "shared_id" if code == "duplicate_id" else code,
            len(items),
            delivered,
            place.of(o.oid for o in items),
            _named(items),
        )
        for code, items in sort_outcomes(outcomes).items()
    ]


def _named(items: Sequence[Outcome]) -> tuple[str, ...]:
    return tuple(f"{o.oid}: {o.reason.split(',置空')[0]}" for o in items[:LISTED])


def _places(noun: Any, frame: Frame) -> _Place:
    if isinstance(noun, Layer):
        return _Place(pa.array(noun.oid, type=pa.large_string()), shapes.centres(noun.geometry))
    items = (*noun.things, *noun.incidents) if isinstance(noun, LiveTables) else ()
    if not items:
        return _Place(pa.array([], type=pa.large_string()), np.zeros((0, 2)))
    lonlat = [(item.lon, item.lat) for item in items]
    return _Place(pa.array([item.oid for item in items], type=pa.large_string()), frame.from_lonlat(lonlat))


def _told(source: Source, reading: Reading, outcomes: Iterable[Outcome], place: _Place) -> list[Finding]:
    """What the reader said while it read: outcomes, warnings, tallies, and what the declaration leaves open."""
    delivered = _delivered(reading)
    sorted_ = sort_outcomes(outcomes)
    found = {
        code: Finding(code, len(items), delivered, place.of(o.oid for o in items), _named(items))
        for code, items in sorted_.items()
    }
    for code, (n, lines) in sort_warnings(reading.warnings).items():
        before = found.get(code)
        found[code] = Finding(code, n + (before.count if before else 0), delivered, examples=lines[:LISTED])
    tally = reading.tally
    if tally.get("invalid"):
        mended = sorted_.get("repaired_geometry", [])
        shown = tuple(f"{o.oid}: {o.reason.rpartition('repaired: ')[2]}" for o in mended[:LISTED])
        found["invalid_geometry"] = Finding(
            "invalid_geometry", tally["invalid"], delivered, place.of(o.oid for o in mended), shown
        )
        if "repaired_geometry" in found:
            found["repaired_geometry"] = Finding("repaired_geometry", len(mended), tally["invalid"])
    for key, code in (("filled", "filled_cells"), ("empty", "empty_cells"), ("gaps", "missing_values")):
        if tally.get(key):
            found[code] = Finding(code, int(tally[key]), delivered)
    return [*found.values(), *_declared(source, delivered)]


def _declared(source: Source, delivered: int) -> list[Finding]:
    findings = []
    if "expected" in source.extra:
        short = int(source.extra["expected"]) - delivered
        findings += [
            Finding("missing_features", max(short, 0), int(source.extra["expected"])),
            Finding("surplus_features", max(-short, 0), int(source.extra["expected"])),
        ]
    if math.isnan(source.accuracy) and source.kind not in _PLACELESS:
        findings.append(Finding("no_accuracy", 1))
    if not source.crs and source.kind not in _PLACELESS:
        findings.append(Finding("no_crs", 1))
    if not source.date:
        findings.append(Finding("no_date", 1))
    return findings


def _delivered(reading: Reading) -> int:
    return int(reading.tally.get(_unit(reading), 0))


def _unit(reading: Reading) -> str:
    return next((key for key in ("features", "rows", "cells", "points") if key in reading.tally), "features")


def _kept(reading: Reading) -> int | None:
    if isinstance(reading.noun, Layer):
        return len(reading.noun)
    kept = ("datastreams", "observations", "incidents")
    return next((int(reading.tally[key]) for key in kept if key in reading.tally), None)


def _looked_up(
    source: Source, reading: Reading, streams: Mapping[str, Datastream], targets: set[str], place: _Place
) -> tuple[list[Finding], dict[str, Any]]:
    """(what shows when the items are held against each other, figures of a series of observations)."""
    noun = reading.noun
    if isinstance(noun, Layer):
        return _layer_findings(noun, place), {}
    if not isinstance(noun, LiveTables):
        return [], {}
    items = [item for item in (*noun.things, *noun.incidents) if item.target_oid]
    lost = [item for item in items if item.target_oid not in targets]
    examples = tuple(f"{item.oid} -> {item.target_oid}" for item in lost[:LISTED])
    findings = [Finding("no_target", len(lost), len(items), place.of(item.oid for item in lost), examples)]
    if noun.values is None:
        return findings, {}
    return observation_quality(noun.values, dict(streams))


def _layer_findings(layer: Layer, place: _Place) -> list[Finding]:
    rows: dict[str, Any] = {}
    shaped = np.flatnonzero(~shapely.is_missing(layer.geometry))
    geometry = layer.geometry[shaped]
    group = layer.column("division_level")[shaped] if layer.name == "division" else None
    if len(shaped):
        rows["duplicate_geometry"] = shaped[shapes.duplicate_rows(geometry, group)]
    if layer.name in ("building", "landuse", "division"):
        twice = rows.get("duplicate_geometry", ())
        near, over = (np.setdiff1d(shaped[found], twice) for found in shapes.overlap_kinds(geometry, group))
        rows |= {"near_duplicate": near, "overlap": over}
    if layer.name == "building":
        height, storeys, function = (layer.column(name) for name in ("height", "storeys", "function"))
        rows["no_height"] = np.flatnonzero(np.isnan(height) & np.isnan(storeys))
        rows["function_unknown"] = np.flatnonzero((function == "") | (function == "unknown"))
        rows |= shapes.conflicts(layer)
    findings = [
        Finding(code, len(index), len(layer), place.xy[index], tuple(layer.oid[index][:LISTED].tolist()))
        for code, index in rows.items()
    ]
    if layer.name in ("road", "river"):
        xy = shapes.undershoot_points(geometry)
        findings.append(Finding("undershoot", len(xy), 2 * len(layer), xy))
    return findings


def _entry(source: Source, reading: Reading, frame: Frame, findings: Sequence[Finding]) -> dict[str, Any]:
    noun = reading.noun
    quality: dict[str, list[dict[str, Any]]] = {key: [] for key in QUALITIES}
    order = {code: place for place, code in enumerate(MEASURES)}
    for item in sorted(findings, key=lambda f: order[f.code]):
        measure = MEASURES[item.code]
        if item.count:
            quality[measure.quality].append(
                {
                    "measure": item.code,
                    "element": measure.element,
                    "title": measure.title,
                    "title_en": measure.title_en,
                    "annex_d": ANNEX_D[item.code][0] if item.code in ANNEX_D else None,
                    "fault": measure.fault,
                    "count": item.count,
                    "of": item.of,
                    "examples": list(item.examples),
                }
            )
    lineage = reading.lineage.as_dict()
    return {
        "name": source.name,
        "kind": source.kind,
        "licence": source.licence,
        "attribution": source.attribution,
        "date": source.date,
        "accuracy": lineage["accuracy"],
        "crs": source.crs,
        "vertical": source.vertical or (frame.vertical if source.kind in _HIGH else ""),
        "steps": lineage["steps"],
        "unit": _unit(reading),
        "delivered": _delivered(reading),
        "kept": _kept(reading),
        "sheets": reading.tally.get("sheets"),
        "checked": _checked(source, noun),
        "attributes": _attributes(noun) if isinstance(noun, Layer) else [],
        "faults": {
            key: sum(row["count"] for row in quality[key] if row["fault"]) for key in QUALITIES
        },
        "quality": quality,
    }  # fmt: skip


def _checked(source: Source, noun: Any) -> list[str]:
    """The qualities for which at least one check was made on a source; of the others nothing can be said."""
    layer = isinstance(noun, Layer)
    coded = layer and any(column in VOCABULARY for column in noun.columns)
    made = {
        "completeness": True,
        "logical": layer or isinstance(noun, LiveTables | Raster),
        "positional": source.kind not in _PLACELESS,
        "thematic": coded or source.kind == "observations",
        "temporal": True,
    }
    return [key for key in QUALITIES if made[key]]


def _attributes(layer: Layer) -> list[dict[str, Any]]:
    """Known values of every declared column that a source can bring, {"column", "known", "of"}."""
    table = []
    for name, values in sorted(layer.columns.items()):
        if name not in OURS:
            known = ~np.isnan(values) if values.dtype.kind == "f" else values != ""
            table.append({"column": name, "known": int(np.count_nonzero(known)), "of": len(layer)})
    return table


def _map(noun: Any, findings: Iterable[Finding], place: _Place, sheets: tuple[Sheet, ...]) -> dict[str, Any] | None:
    if not sheets:
        return None
    sheet = maps.choose_sheet(place.xy, sheets)
    rows = maps.point_picture(place.xy, sheet) if isinstance(noun, LiveTables) else maps.picture(noun, sheet)
    if not rows or not any(row.strip("0") for row in rows):
        return None
    faults = [
        {"measure": f.code} | maps.fault_cells(f.xy, sheet) for f in findings if len(f.xy) and MEASURES[f.code].fault
    ]
    where = {"bounds": list(sheet.bounds), "shape": list(sheet.shape)}
    return where | {"rows": rows, "faults": sorted(faults, key=lambda fault: str(fault["measure"]))}


def _totals(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    # Cells, rows and buildings do not add up to anything; sources do.
    faults = {key: sum(1 for source in sources if source["faults"][key]) for key in QUALITIES}
    clean = sum(1 for source in sources if not any(source["faults"].values()))
    dates = sorted(source["date"] for source in sources if source["date"])
    return {
        "sources": len(sources),
        "sources_without_fault": clean,
        "sources_with_fault": faults,
        "oldest": dates[0] if dates else "",
        "newest": dates[-1] if dates else "",
    }


def _between(
    readings: Sequence[tuple[Source, Reading]], layers: Mapping[str, Reading], heights: Mapping[str, Raster]
) -> list[dict[str, Any]]:
    """Distances and disagreements where two sources speak of the same thing."""
    found = []
    stock = [(s.name, r.noun) for s, r in readings if isinstance(r.noun, Layer) and r.noun.name == "building"]
    for place, (name, first) in enumerate(stock):
        for other, second in stock[place + 1 :]:
            pairs, distance = shapes.same_buildings(first, second)
            figures = shapes.spread(distance) | shapes.disagreements(first, second, pairs)
            found.append({"measure": "same_buildings", "first": name, "second": other, "figures": figures})
    if "address" in layers and "building" in layers:
        addresses, buildings = layers["address"].noun, layers["building"].noun
        rows = buildings.index()
        mine = np.array([rows.get(oid, -1) for oid in addresses.column("building_oid").tolist()], dtype=np.intp)
        hit = np.flatnonzero(mine >= 0)
        distance = shapely.distance(addresses.geometry[hit], buildings.geometry[mine[hit]])
        figures = shapes.spread(distance) | {"inside": int(np.count_nonzero(distance == 0.0)), "of": len(addresses)}
        names = ("addresses", "footprints")
        found.append({"measure": "address_building", "first": names[0], "second": names[1], "figures": figures})
    if "dem" in heights and "dsm" in heights:
        found.append({"measure": "surface_ground", "first": "dsm", "second": "dem", "figures": _over_ground(heights)})
    return found


def _over_ground(heights: Mapping[str, Raster]) -> dict[str, Any]:
    """Surface against ground on 200 x 200 places of the surface: where neither building nor tree stands they meet."""
    box = heights["dsm"].geobox.bounds
    x, y = (np.linspace(box[k], box[k + 2], _SAMPLES + 2)[1:-1] for k in (0, 1))
    xy = np.column_stack([axis.ravel() for axis in np.meshgrid(x, y)])
    rise = heights["dsm"].sample(xy, method="nearest") - heights["dem"].sample(xy, method="nearest")
    rise = rise[~np.isnan(rise)]
    bare = np.abs(rise[np.abs(rise) < 1.0])
    return shapes.spread(bare) | {"of": len(rise), "below": int(np.count_nonzero(rise < -1.0))}
