"""The stage zones: from the store to zones in the store. The only file of this room that touches it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.city import City
from twin.errors import MissingInputError
from twin.features import Layer, objects
from twin.grid import Raster
from twin.hazards import Scene
from twin.hazards.storm import Storm
from twin.lineage import Lineage
from twin.outcome import Outcome, Report
from twin.risk.loss import event_frequencies, losses, rank_correlation
from twin.risk.scenario import ZoneResult, run_flood, water_at
from twin.risk.scene import Ground, Units, ZoneOptions, ZoneScene, make_scene
from twin.risk.segments import piece_length
from twin.risk.summary import Zones, event_loss
from twin.risk.tables import METHOD, load_tables
from twin.workers import Workers

__all__ = ["ZoneOptions", "ZoneResult", "ZoneScene", "build", "run_flood", "zone_scene"]

Floats = NDArray[np.float64]

STAGE = "zones"
NEEDS = ("building_l2",)
HELPS = ("road", "river", "population", "facility", "hazard_site")
CLOCK = "baseline"
VALIDATION = "not validated"


def build(city: City, options: ZoneOptions, workers: Workers) -> Report:
    """Zone the city for its default storm and write the result.

    reads   raster relief; layers building_l2, and where there are any road, river, population, facility, hazard_site
    writes  rasters hand and flood_depth (m), layers zone_flood_building and zone_flood_street, document zones_report
    raises  MissingInputError where relief or building_l2 is not in the store
    """
    workers.tell(STAGE, 0, 3)
    inputs, lineage = _inputs(city, options)
    scene, ground = make_scene(inputs, options, load_tables())
    workers.tell(STAGE, 1, 3)
    result = run_flood(scene, {})
    workers.tell(STAGE, 2, 3)
    made = Lineage.join(lineage.values(), f"{METHOD}; thresholds {scene.tables.version}")
    _write_rasters(city, ground, result.storm, made)
    used = json.dumps([{"name": name, **_brief(item)} for name, item in lineage.items()], ensure_ascii=False)
    pairs = ((result.buildings, scene.buildings), (result.streets, scene.streets))
    for zones, units in pairs:
        city.store.write_layer(f"zone_flood_{zones.kind}", zone_layer(zones, units, result, used), made)
    outcomes = tuple(o for zones, units in pairs for o in _outcomes(zones, units))
    report = Report(
        stage=STAGE,
        done=len(scene.buildings) + len(scene.streets) - len(outcomes),
        outcomes=outcomes,
        figures=_figures(scene, ground, result),
        warnings=(*_ground_lines(city), *scene.warnings),
    )
    city.store.write_document("zones_report", report.as_dict(), made)
    workers.tell(STAGE, 3, 3)
    return report


def _ground_lines(city: City) -> list[str]:
    """What the relief is worth where nothing was delivered for it."""
    report = city.store.read_document("l2_report") if city.store.has("document", "l2_report") else {}
    source = report.get("figures", {}).get("relief_source", "")
    if source not in ("assumed", "declared", "bases"):
        return []
    how = "interpolated between bases of buildings" if source == "bases" else f"{source} level"
    return [f"the ground is {how}: where water gathers is not known, and the zones say little; deliver a dem source"]


def zone_scene(city: City) -> ZoneScene:
    """The city ready for `run_flood`; seconds once, then every storm is answered from memory."""
    options = city.options(ZoneOptions, STAGE)
    return make_scene(_inputs(city, options)[0], options, load_tables())[0]


def _inputs(city: City, options: ZoneOptions) -> tuple[Scene, dict[str, Lineage]]:
    """What the store holds of what zoning can use, and where it comes from; empty layers count as absent."""
    store = city.store
    if not store.has("raster", "relief"):
        raise MissingInputError("zones: the store has no raster 'relief'; run the stage l2 first")
    missing = [name for name in NEEDS if not store.has("layer", name)]
    if missing:
        raise MissingInputError(f"zones: the store has no layer {', '.join(missing)}; run the stage l2 first")
    ny, nx = store.raster_box("relief").shape
    shrink = np.sqrt(max(1.0, ny * nx / options.largest_grid))
    shape = (max(1, int(ny / shrink)), max(1, int(nx / shrink))) if shrink > 1.0 else None
    present = [name for name in (*NEEDS, *HELPS) if store.has("layer", name)]
    layers = {name: store.read_layer(name) for name in present}
    kept = {name: layer for name, layer in layers.items() if len(layer) or name in NEEDS}
    lineage = {"relief": store.item("raster", "relief").lineage}
    lineage |= {name: store.item("layer", name).lineage for name in kept}
    return Scene(store.read_raster("relief", shape=shape), kept), lineage


def _brief(lineage: Lineage) -> dict[str, Any]:
    table = lineage.as_dict()
    return {key: table[key] for key in ("source", "date", "accuracy")}


def depth_map(ground: Ground, storm: Storm) -> Floats:
    """Depth of water of a storm (ny, nx) f8 m, river or ponding, 0 dry; NaN off the relief."""
    river = np.nan_to_num(np.maximum(ground.river.intensity(storm), 0.0))
    depth: Floats = np.maximum(river, ground.ponding.intensity(storm))
    return depth


def _write_rasters(city: City, ground: Ground, storm: Storm, lineage: Lineage) -> None:
    box = ground.shed.relief.geobox
    city.store.write_raster("hand", Raster(ground.river.hand, box), lineage)
    city.store.write_raster("flood_depth", Raster(depth_map(ground, storm).astype(np.float32), box), lineage)


def zone_layer(zones: Zones, units: Units, result: ZoneResult, inputs: str) -> Layer:
    """The zones as a layer: everything an acceptable zone carries, as columns.

    inputs  sources, dates and accuracies as JSON
    """
    n = len(zones)
    columns: dict[str, Any] = {
        "level": zones.level,
        "score": np.round(zones.score, 6),
        **{f"p{k + 1}": np.round(zones.p[:, k], 4) for k in range(5)},
        "confident": np.where(np.isnan(zones.level), np.nan, zones.confident.astype(np.float64)),
        "drivers": objects([_drivers_json(zones, row) for row in range(n)]),
        "quality": objects(np.where(np.isnan(zones.level), "", zones.quality.astype(str))),
        "depth_m": np.round(zones.depth, 3),
        "people": np.round(zones.people, 1),
        **{
            key: np.round(zones.pillars[:, k], 4)
            for k, key in enumerate(("hazard", "exposure", "vulnerability", "capacity"))
        },
        "overrides": zones.overrides,
        "reason": zones.reason,
        "method": objects([result.method] * n),
        "thresholds": objects([zones.tables.version] * n),
        "clock": objects([CLOCK] * n),
        "validation": objects([VALIDATION] * n),
        "rain_mm": np.full(n, round(result.storm.rain, 3)),
        "return_period": np.full(n, round(result.storm.return_period, 3)),
        "inputs": objects([inputs] * n),
    }
    carried = ("name", "name_en", "road_oid", "road_class", "function")
    columns |= {key: units.layer.columns[key] for key in carried if key in units.layer.columns}
    return Layer.build(units.layer.name, units.layer.frame, zones.oid, units.layer.geometry, columns)


def _drivers_json(zones: Zones, row: int) -> str:
    return json.dumps([d.as_dict() for d in zones.drivers(row)], ensure_ascii=False)


def _outcomes(zones: Zones, units: Units) -> list[Outcome]:
    """Units without a level are skipped, those without a known channel fall back on ponding."""
    found = [
        Outcome(str(zones.oid[i]), "skipped", str(zones.reason[i]), STAGE) for i in np.flatnonzero(zones.reason != "")
    ]
    column = zones.keys.index("flood")
    adrift = np.flatnonzero((zones.reason == "") & np.isnan(zones.raw[:, column]))
    text = "水流出图外，只评内涝 / drains off the map, zoned for ponding only"
    return found + [Outcome(str(zones.oid[i]), "fallback", text, STAGE) for i in adrift]


def _figures(scene: ZoneScene, ground: Ground, result: ZoneResult) -> dict[str, Any]:
    figures: dict[str, Any] = {**scene.figures, **result.figures, "summary": dict(result.summary)}
    figures |= _balance(scene, ground, result)
    figures |= _yearly(scene, result)
    figures |= {
        "method": METHOD,
        "thresholds": scene.tables.version,
        "clock": CLOCK,
        "validation": VALIDATION,
        "weights": {units.kind: _weights(units) for units in (scene.buildings, scene.streets)},
    }
    return figures


def _balance(scene: ZoneScene, ground: Ground, result: ZoneResult) -> dict[str, Any]:
    """Area, length and water by level: the parts add up to the whole."""
    level = np.nan_to_num(result.buildings.level).astype(int)
    area = shapely.area(scene.buildings.layer.geometry)
    by_level = np.bincount(level, weights=area, minlength=6)
    metres = piece_length(scene.streets.layer.geometry)
    streets = np.bincount(np.nan_to_num(result.streets.level).astype(int), weights=metres, minlength=6)
    filling = ground.ponding.filling(result.storm)
    inflow = float(ground.ponding.pools.catchment.sum()) * result.storm.ponding_runoff / 1000.0
    stored = float(filling.stored.sum())
    confident = result.buildings.confident & (level > 0)
    return {
        "area_by_level_m2": {str(k): round(float(v), 1) for k, v in enumerate(by_level)},
        "area_total_m2": round(float(area.sum()), 1),
        "street_km_by_level": {str(k): round(float(v) / 1000.0, 3) for k, v in enumerate(streets)},
        "street_km_total": round(float(metres.sum()) / 1000.0, 3),
        "ponding_inflow_m3": round(inflow, 1),
        "ponding_stored_m3": round(stored, 1),
        "ponding_spilled_m3": round(filling.spilled, 1),
        "ponding_balance": float(f"{abs(inflow - stored - filling.spilled) / max(inflow, 1.0):.1e}"),
        "confident_share": round(float(confident.sum()) / max(1, int((level > 0).sum())), 4),
        "quality": {grade: int((result.buildings.quality[level > 0] == grade).sum()) for grade in "ABC"},
    }


def _yearly(scene: ZoneScene, result: ZoneResult) -> dict[str, Any]:
    """Expected yearly loss and people reached, and how well the index ranks buildings by that loss."""
    units, periods = scene.buildings, np.array(sorted(scene.options.loss_periods))
    depths = [water_at(units, Storm.of_period(float(t), scene.options.storm)).depth for t in periods]
    loss = np.array([event_loss(units, depth, scene.tables) for depth in depths])
    people = np.array([np.where(np.nan_to_num(depth) >= 0.15, result.buildings.people, 0.0) for depth in depths])
    ones, frequency = np.ones(len(units)), event_frequencies(periods)
    yearly = losses(loss, ones, frequency)
    graded = np.isfinite(result.buildings.score) & (yearly.by_asset > 0.0)
    rank = rank_correlation(result.buildings.score[graded], yearly.by_asset[graded])
    return {
        "loss_by_period_10k_yuan": {f"{t:g}": round(float(v)) for t, v in zip(periods, yearly.by_event, strict=True)},
        "annual_loss_10k_yuan": round(yearly.annual, 1),
        "annual_people_reached": round(losses(people, ones, frequency).annual, 1),
        "spearman_index_loss": None if np.isnan(rank) else round(rank, 3),
    }


def _weights(units: Units) -> Mapping[str, Any]:
    groups = {"exposure": units.exposure, "vulnerability": units.vulnerability, "capacity": units.capacity}
    return {
        pillar: {
            "weights": {k: round(float(w), 4) for k, w in zip(groups[pillar].keys, merged.weights, strict=True)},
            "share_judged": round(merged.share_judged, 4),
            "share_entropy": round(merged.share_entropy, 4),
            "guards": list(merged.guards),
        }
        for pillar, merged in units.weights.items()
    }
