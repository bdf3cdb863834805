"""A city made ready for zoning: everything that does not depend on the storm, as arrays per building and street."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from twin.analysis.gridlines import cell_index, stations
from twin.features import Layer
from twin.grid import GeoBox
from twin.hazards import HAZARDS, Scene, prepare
from twin.hazards.flood import FloodOptions, RiverField
from twin.hazards.storm import StormOptions
from twin.hazards.waterlogging import PondingField, PondingOptions
from twin.hazards.watershed import ChannelOptions, Watershed, watershed
from twin.options import option
from twin.risk import indicators
from twin.risk.exposure import Stock, stock
from twin.risk.indicators import Group
from twin.risk.segments import POLYGON, cut
from twin.risk.tables import Tables
from twin.risk.weights import Merged, guarded_entropy, hierarchy, merge
from twin.risk.zoning import log_scale

Floats = NDArray[np.float64]

CAPACITY_KINDS = ("shelter", "fire_station", "pump")


@dataclass(frozen=True, slots=True)
class ZoneOptions:
    """Options of the stage zones."""

    storm: StormOptions = field(default_factory=StormOptions)
    channel: ChannelOptions = field(default_factory=ChannelOptions)
    flood: FloodOptions = field(default_factory=FloodOptions)
    ponding: PondingOptions = field(default_factory=PondingOptions)
    return_period: float = option(
        100.0, unit="yr", min=1.01, max=10_000.0, doc="Return period of the storm that is zoned by default."
    )
    loss_periods: tuple[float, ...] = option(
        (5.0, 10.0, 20.0, 50.0, 100.0, 200.0), unit="yr", doc="Return periods of the expected annual loss."
    )
    people: str = option("larger", choices=("day", "night", "larger"), doc="Which people count as exposed.")
    segment: float = option(100.0, unit="m", min=10.0, max=1000.0, doc="Length of a piece of street.")
    draws: int = option(200, min=10, max=5000, doc="Draws of the level's probability.")
    seed: int = option(1372, min=0, doc="Seed of the draws.")
    largest_grid: int = option(6_000_000, min=10_000, doc="Cells of the relief above which it is read coarser.")


@dataclass(frozen=True, slots=True)
class Units:
    """Buildings or street pieces, ready for any storm.

    kind           "building" or "street"
    layer          the features, sorted by oid
    start          (n + 1,) i8 offsets of the units' cells in the two fields
    river, ponding fields cut to those cells
    exposure       people is filled in by the clock of the scenario     vulnerability, capacity
    weights        pillar -> merged weights; entropy -> its entropy weights
    people_day, people_night   (n,) f8
    value          (n,) f8 10^4 yuan; 0 for streets
    structure      (n,) str damage class of buildings
    listed_timber  (n,) bool      danger (n,) f8 m to the nearest listed hidden danger
    reason         (n,) str why a unit cannot be scored; "" where it can
    """

    kind: str
    layer: Layer
    start: NDArray[np.int64]
    river: RiverField
    ponding: PondingField
    exposure: Group
    vulnerability: Group
    capacity: Group
    weights: Mapping[str, Merged]
    entropy: Mapping[str, Floats]
    people_day: Floats
    people_night: Floats
    value: Floats
    structure: NDArray[Any]
    listed_timber: NDArray[np.bool_]
    danger: Floats
    reason: NDArray[Any]

    def __len__(self) -> int:
        return len(self.layer)


@dataclass(frozen=True, slots=True)
class Ground:
    """The prepared hazards on the whole grid, for maps; a server does without it."""

    shed: Watershed
    river: RiverField
    ponding: PondingField


@dataclass(frozen=True, slots=True)
class ZoneScene:
    """A city ready for zoning: units, frozen tables, options, and what was missing."""

    buildings: Units
    streets: Units
    tables: Tables
    options: ZoneOptions
    figures: Mapping[str, Any]
    warnings: tuple[str, ...]


def make_scene(scene: Scene, options: ZoneOptions, tables: Tables) -> tuple[ZoneScene, Ground]:
    """The zoning scene of a relief and layers, and the hazards' fields on the whole grid.

    scene   relief and the layers building_l2, and where there are any road, river, population, facility, hazard_site
    """
    shed = watershed(scene, options.channel)
    river = prepare(HAZARDS["flood"], scene, (shed, options.flood))
    ponding = prepare(HAZARDS["waterlogging"], scene, (shed, options.ponding))
    ground = Ground(shed, river, ponding)  # type: ignore[arg-type]
    layers = scene.layers
    buildings = layers["building_l2"].sort()
    goods = stock(buildings, layers.get("population"), tables)
    houses = _building_units(buildings, goods, ground, scene, tables)
    roads = layers.get("road", Layer.empty("road", buildings.frame))
    pieces = cut(roads, options.segment).sort()
    streets = _street_units(pieces, houses, ground, scene, tables)
    figures = {
        "relief_cells": int(np.count_nonzero(scene.relief.valid)),
        "cell_m": float(scene.relief.geobox.resolution[0]),
        "channels": "river lines" if shed.by_lines else "drained area",
        "reaches": len(shed.channels.line),
        "pools": len(ground.ponding.pools),
        "pool_capacity_m3": round(float(ground.ponding.pools.capacity.sum()), 1),
        "people_day": round(float(goods.people_day.sum()), 1),
        "people_night": round(float(goods.people_night.sum()), 1),
        "people_unplaced": round(goods.unplaced, 1),
    }
    return ZoneScene(houses, streets, tables, options, figures, _missing(scene, shed)), ground


def _missing(scene: Scene, shed: Watershed) -> tuple[str, ...]:
    lines = []
    if not shed.by_lines:
        lines.append("no river lines on the relief: channels by drained area, quality lowered; deliver a rivers source")
    if not scene.has("population"):
        lines.append("no population: people by floor area and use, quality lowered; deliver a population source")
    if not scene.has("facility"):
        lines.append("no facilities: no capacity credited, quality lowered; deliver a facilities source")
    if not scene.has("road"):
        lines.append("no roads: streets are not zoned; deliver a roads source")
    return tuple(lines)


def _building_units(buildings: Layer, goods: Stock, ground: Ground, scene: Scene, tables: Tables) -> Units:
    box = scene.relief.geobox
    outline = shapely.segmentize(buildings.geometry, max(min(box.resolution), 1.0))
    xy, unit = shapely.get_coordinates(outline, return_index=True)
    centre = indicators.centres(buildings.geometry)
    cells, start = _cells(np.vstack([xy, centre]), np.r_[unit, np.arange(len(buildings))], len(buildings), box)
    people = np.maximum(goods.people_day, goods.people_night)
    exposure = Group.of(
        {
            "people": (people, people_index(people, tables), goods.quality),
            "value": (goods.value, _value_index(goods.value, tables), np.full(len(buildings), 0.5)),
        }
    )
    structure = indicators.known_structure(buildings)
    listed = indicators.is_listed(buildings) & (structure == "timber")
    reason = np.where(_on_relief(ground, cells, start), "", "地形数据缺失 / off the relief")
    return _units(
        Parts("building", buildings, cells, start, centre, exposure, reason),
        indicators.building_vulnerability(buildings, goods, tables),
        goods,
        structure,
        listed,
        (ground, scene, tables),
    )


def _street_units(pieces: Layer, houses: Units, ground: Ground, scene: Scene, tables: Tables) -> Units:
    box = scene.relief.geobox
    flat = shapely.get_type_id(pieces.geometry) == POLYGON
    axis = np.where(flat, shapely.boundary(pieces.geometry), pieces.geometry)
    along = stations(axis, max(min(box.resolution), 1.0))
    bed = _on_river_bed(along.xy, scene.layers.get("river"), min(box.resolution)) | (
        pieces.column("bridge")[along.line] == 1.0
    )
    cells, start = _cells(along.xy[~bed], along.line[~bed], len(pieces), box)
    centre = indicators.centres(pieces.geometry)
    goods = _frontage(centre, houses)
    importance = tables.lookup("roads", "importance", pieces.column("road_class"))
    people = np.maximum(goods.people_day, goods.people_night)
    exposure = Group.of(
        {
            "importance": (importance, importance, np.full(len(pieces), 0.8)),
            "people": (people, people_index(people, tables), np.full(len(pieces), 0.5)),
        }
    )
    on_bridge = np.bincount(along.line[bed], minlength=len(pieces)) > 0
    known = _on_relief(ground, cells, start)
    reason = np.where(
        known,
        "",
        np.where(on_bridge, "桥面高程未知 / height of the bridge deck unknown", "地形数据缺失 / off the relief"),
    )
    nothing = np.zeros(len(pieces), dtype=bool)
    return _units(
        Parts("street", pieces, cells, start, centre, exposure, reason),
        indicators.street_vulnerability(pieces, tables),
        goods,
        np.full(len(pieces), "unknown"),
        nothing,
        (ground, scene, tables),
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """What buildings and streets have in common while units are made."""

    kind: str
    layer: Layer
    cells: NDArray[np.int64]
    start: NDArray[np.int64]
    centre: Floats
    exposure: Group
    reason: NDArray[Any]


def _units(
    parts: Parts,
    vulnerability: Group,
    goods: Stock,
    structure: NDArray[Any],
    listed_timber: NDArray[np.bool_],
    place: tuple[Ground, Scene, Tables],
) -> Units:
    ground, scene, tables = place
    capacity = indicators.capacity(parts.centre, scene.layers.get("facility"), tables, CAPACITY_KINDS)
    groups = {"exposure": parts.exposure, "vulnerability": vulnerability, "capacity": capacity}
    weighed = {name: _weigh(group, judged_name(parts.kind, name), tables) for name, group in groups.items()}
    sites = scene.layers.get("hazard_site")
    hidden = np.zeros((0, 2))
    if sites is not None:
        hidden = indicators.centres(sites.geometry[sites.column("kind") == "hidden_danger"])
    return Units(
        kind=parts.kind,
        layer=parts.layer,
        start=parts.start,
        river=ground.river.take(parts.cells),
        ponding=ground.ponding.take(parts.cells),
        exposure=parts.exposure,
        vulnerability=vulnerability,
        capacity=capacity,
        weights={name: w for name, (w, _) in weighed.items()},
        entropy={name: e for name, (_, e) in weighed.items()},
        people_day=goods.people_day,
        people_night=goods.people_night,
        value=goods.value,
        structure=structure,
        listed_timber=listed_timber,
        danger=indicators.distance_to(parts.centre, hidden),
        reason=parts.reason.astype(object),
    )


def judged_name(kind: str, pillar: str) -> str:
    """Name of the judgements of a pillar for buildings or streets."""
    return pillar if pillar == "capacity" else f"{kind}_{pillar}"


def _weigh(group: Group, name: str, tables: Tables) -> tuple[Merged, Floats]:
    judgement = tables.judgements[name]
    judged = hierarchy(judgement.matrix).weights
    if len(group.index) < 30 or len(judged) == 1:
        return Merged(judged, 1.0, 0.0, ("too few units for entropy",) if len(judged) > 1 else ()), judged
    entropy, guards = guarded_entropy(group.index, judged, group.keys)
    return merge(judged, entropy, guards), entropy


def people_index(people: Floats, tables: Tables) -> Floats:
    """People on the frozen logarithmic scale 0..1."""
    return log_scale(people, tables.constants["people_unit"], tables.constants["people_most"])


def _value_index(value: Floats, tables: Tables) -> Floats:
    return log_scale(value, tables.constants["value_unit"], tables.constants["value_most"])


def _cells(xy: Floats, unit: NDArray[np.int64], count: int, box: GeoBox) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells of each unit, each once, unit after unit, and the offsets (count + 1,) of the units in them."""
    cell = cell_index(xy, box)
    inside = cell >= 0
    size = box.shape[0] * box.shape[1]
    pairs = np.unique(unit[inside].astype(np.int64) * size + cell[inside])
    return pairs % size, np.searchsorted(pairs // size, np.arange(count + 1)).astype(np.int64)


def unit_max(values: Floats, start: NDArray[np.int64]) -> Floats:
    """Largest value (n,) f8 over the cells of each unit, NaN passed over; NaN where a unit has none."""
    filled = np.flatnonzero(np.diff(start) > 0)
    out = np.full(len(start) - 1, np.nan)
    if len(filled):
        out[filled] = np.fmax.reduceat(values, start[filled])
    return out


def _on_relief(ground: Ground, cells: NDArray[np.int64], start: NDArray[np.int64]) -> NDArray[np.bool_]:
    return unit_max(ground.ponding.known.ravel()[cells].astype(np.float64), start) == 1.0


def _on_river_bed(xy: Floats, river: Layer | None, margin: float) -> NDArray[np.bool_]:
    """True (m,) for points between the banks of a river: there a street is a bridge whose deck the relief lacks."""
    found = np.zeros(len(xy), dtype=bool)
    if river is None or not len(river) or not len(xy):
        return found
    half = np.where(river.column("width") > 0.0, river.column("width") / 2.0, 5.0) + margin
    tree = shapely.STRtree(shapely.buffer(river.geometry, half))
    found[tree.query(shapely.points(xy), predicate="intersects")[0]] = True
    return found


def _frontage(centre: Floats, houses: Units, reach: float = 100.0) -> Stock:
    """People of the buildings whose nearest piece of street this is, within `reach` metres; no value of its own."""
    count = len(centre)
    nearest = np.zeros(0, dtype=np.int64)
    near = np.zeros(len(houses), dtype=bool)
    if count and len(houses):
        distance, nearest = cKDTree(centre).query(indicators.centres(houses.layer.geometry))
        near = distance <= reach
    front = nearest[near] if near.any() else np.zeros(0, dtype=np.int64)
    day, night = (
        np.bincount(front, weights=people[near], minlength=count).astype(np.float64)
        for people in (houses.people_day, houses.people_night)
    )
    zero = np.zeros(count)
    return Stock(zero, zero, day, night, np.full(count, 0.5), zero, 0.0)
