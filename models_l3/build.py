"""L3 of the ancient city: footprints and relief in; halls, houses and the town wall as closed parts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l3 import fabric
from models_l3.evidence import uncertainty
from models_l3.facts import table
from models_l3.hall import Part
from models_l3.houses import HouseTable
from models_l3.monuments import STAGE, build_monuments
from models_l3.pack import HouseWords, Placed, evidence_of, house_solids, solids_of
from models_l3.style import styles
from models_l3.walls.pieces import WallFacts, wall_facts
from models_l3.walls.town import build_wall
from twin.city import City
from twin.features import Layer, objects
from twin.grid import Bounds, Raster
from twin.lineage import Lineage
from twin.meshes import Solids, concatenate
from twin.options import option
from twin.outcome import Outcome, Report
from twin.workers import Workers

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
MODEL = "l3"
MARGIN = 150.0  # m of relief around what is built
STREETS = ("primary", "secondary", "tertiary")
TRADES = ("commercial", "office", "public")
OLD_STRUCTURES = ("timber", "adobe", "masonry")
GUESSED = ("storeys", "neighbours", "default")
LISTED = ("heritage", "religious")


@dataclass(frozen=True, slots=True)
class L3Options:
    """What the L3 stage builds."""

    wall: str = option("", doc="Fact table of the town wall, for example datong; empty builds no wall.")
    houses: bool = option(True, doc="Build the courtyard houses and shops inside the wall.")
    max_height: float = option(
        9.5, unit="m", min=3.0, max=20.0, doc="Houses inside the wall higher than this stay L2 blocks."
    )
    cell_size: float = option(1000.0, unit="m", min=100.0, max=10000.0, doc="Side of the cells the model is kept in.")


@dataclass(slots=True)
class _Tally:
    """What was written: solids, triangles, open or inverted ones, and volumes by evidence."""

    parts: int = 0
    triangles: int = 0
    bad: list[str] = field(default_factory=list)
    weight: float = 0.0
    total: float = 0.0

    def add(self, solids: Solids) -> None:
        volume = solids.volumes()
        self.parts += len(solids)
        self.triangles += len(solids.faces)
        self.bad += solids.oid[~solids.is_closed() | (volume <= 0.0)].tolist()
        mean = uncertainty(volume, solids.attributes["evidence_u"])
        self.weight += float(volume.sum())
        self.total += mean * float(volume.sum())


def build(city: City, options: L3Options, workers: Workers) -> Report:
    """The ancient city as closed parts standing on the relief, each with its level of evidence.

    reads    layer building_l2, raster relief, layer road where there is one
    writes   model l3, documents l3_report, heritage_sources and heritage_evidence (per monument and piece of wall);
             nothing but the report where a city has no heritage
    raises   MissingInputError before L2 has run; OptionsError for an unknown wall
    """
    city.require("layer", "building_l2", "l2")
    layer = city.store.read_layer("building_l2").sort()
    wall = wall_facts(options.wall) if options.wall else None
    within = _inside(layer, city, wall)
    listed = _monuments(layer, within)
    old = _fabric(layer, within, listed, options) if options.houses else np.zeros(len(layer), bool)
    if wall is None and not listed.any():
        return _nothing(city)
    city.require("raster", "relief", "l2")
    relief = city.store.read_raster("relief", bounds=_extent(layer, listed | old, city, wall))
    workers.tell("古城建筑 / monuments", 0, 3)
    placed, outcomes = build_monuments(layer.take(np.flatnonzero(listed)), relief, styles())
    workers.tell("城墙 / town wall", 1, 3)
    if wall is not None:
        placed += _wall(wall, options.wall, city, relief)
    workers.tell("民居 / houses", 2, 3)
    houses, words, lost = _houses(layer.take(np.flatnonzero(old)), relief, _roads(city))
    outcomes += lost
    tally = _Tally()
    lineage = city.store.item("layer", "building_l2").lineage.step("L3 parts built by treatise rules and fact tables")
    city.store.write_model(MODEL, _batches(placed, houses, words, options.cell_size, city, tally), lineage)
    workers.tell("民居 / houses", 3, 3)
    outcomes += [Outcome(oid, "failed", "实体不闭合 / solid is not closed", STAGE) for oid in tally.bad]
    done = (
        int(listed.sum())
        + len(set(words.owner.tolist()))
        - sum(o.status != "failed" and o.oid not in _oids(lost) for o in outcomes)
    )
    report = Report(
        STAGE, done, tuple(sorted(outcomes, key=lambda o: o.oid)), _figures(placed, houses, listed, tally, wall)
    )
    _documents(city, report, wall, lineage)
    city.store.write_document("heritage_evidence", evidence_of(placed), lineage)
    return report


def _oids(outcomes: Sequence[Outcome]) -> set[str]:
    return {o.oid for o in outcomes}


def _nothing(city: City) -> Report:
    """A clean report for a city without heritage; a model of an earlier run goes."""
    for kind, name in (("model", MODEL), ("document", "heritage_sources"), ("document", "heritage_evidence")):
        if city.store.has(kind, name):
            city.store.remove(kind, name)
    report = Report(STAGE, 0, (), {"monuments": 0, "houses": 0, "parts": 0, "triangles": 0})
    city.store.write_document("l3_report", report.as_dict())
    return report


def _centre(city: City, wall: WallFacts) -> tuple[Array, float]:
    """Centre of a wall (2,) in the frame and its turn, radians."""
    return city.frame.from_lonlat([wall.table["centre"]])[0], float(np.radians(wall.table["turn"]))


def _inside(layer: Layer, city: City, wall: WallFacts | None) -> Mask:
    """True for buildings whose middle lies within the inner face of the wall."""
    if wall is None or not len(layer):
        return np.zeros(len(layer), bool)
    centre, turn = _centre(city, wall)
    middle = shapely.centroid(layer.geometry)
    d = np.column_stack([shapely.get_x(middle), shapely.get_y(middle)]) - centre  # NaN for an empty footprint
    u, v = d[:, 0] * np.cos(turn) + d[:, 1] * np.sin(turn), d[:, 1] * np.cos(turn) - d[:, 0] * np.sin(turn)
    reach = wall.section.base / 2
    return (np.abs(u) < wall.half[0] - reach) & (np.abs(v) < wall.half[1] - reach)


def _monuments(layer: Layer, within: Mask) -> Mask:
    """True for buildings with a heritage key, and for temple halls inside the wall."""
    keyed = layer.column("heritage").astype(str) != ""
    halls = np.isin(layer.column("function").astype(str), LISTED) & (layer.column("roof_type").astype(str) != "flat")
    return (keyed | (halls & within)) & _solid(layer)


def _solid(layer: Layer) -> Mask:
    return (shapely.area(layer.geometry) > 4.0) & ~shapely.is_empty(layer.geometry)


def _fabric(layer: Layer, within: Mask, listed: Mask, options: L3Options) -> Mask:
    """True for old houses and shops: a pitched roof of the register, or low and of old structure where it says none."""
    roof = layer.column("roof_type").astype(str)
    height = layer.column("height_m")
    pitched = np.isin(roof, fabric.OLD_ROOFS)
    likely = (roof == "") & np.isin(layer.column("structure").astype(str), OLD_STRUCTURES)
    low = ~(height > options.max_height)
    return within & ~listed & (pitched | likely) & low & _solid(layer)


def _extent(layer: Layer, chosen: Mask, city: City, wall: WallFacts | None) -> Bounds:
    corners = [np.reshape(shapely.total_bounds(layer.geometry[chosen]), (2, 2))] if chosen.any() else []
    if wall is not None:
        centre, _ = _centre(city, wall)
        reach = float(np.hypot(*wall.half)) + 200.0
        corners.append(np.stack([centre - reach, centre + reach]))
    low, high = np.min(corners, axis=(0, 1)), np.max(corners, axis=(0, 1))
    return float(low[0] - MARGIN), float(low[1] - MARGIN), float(high[0] + MARGIN), float(high[1] + MARGIN)


def _roads(city: City) -> Layer | None:
    return city.store.read_layer("road") if city.store.has("layer", "road") else None


def _wall(facts: WallFacts, key: str, city: City, relief: Raster) -> list[Placed]:
    """Every piece of the wall at its place; where the relief ends, its median stands in."""
    centre, turn = _centre(city, facts)
    rotate = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    known = float(np.nanmedian(relief.values.astype(np.float64)))

    def ground(xy: Array) -> Array:
        z = relief.sample(np.atleast_2d(xy) @ rotate + centre)
        return np.where(np.isfinite(z), z, known)

    made = []
    common = {k: str(facts.table[k]) for k in ("fabric", "sources", "rules", "choices", "era")}
    for piece in build_wall(facts, ground, styles()):
        words = dict(common)
        sigma = float(facts.table["sigma"])
        if piece.style is not None:
            s = piece.style
            words = {"fabric": s.fabric, "sources": s.sources, "rules": s.rules, "choices": s.choices, "era": s.era}
            words["roof_type"], sigma = s.roof, s.sigma
        parts = tuple(Part(p.kind, p.mesh.turned(turn).moved(*centre), p.evidence) for p in piece.parts)
        made.append(Placed(f"wall_{key}/{piece.key}", parts, {"name": piece.name, **words}, sigma))
    return made


def _houses(layer: Layer, relief: Raster, roads: Layer | None) -> tuple[HouseTable, HouseWords, list[Outcome]]:
    """The old fabric as a house table with its words, and an Outcome for each footprint that stays a block."""
    boxes = fabric.boxes_of(layer.geometry)
    low, high = fabric.ground_under(boxes, relief)
    standing = np.isfinite(low)
    boxes = fabric.take(boxes, np.flatnonzero(standing))
    low, high = low[standing], high[standing]
    at = boxes.row
    trade = np.isin(layer.column("function").astype(str), TRADES)[at]
    streets = None
    if roads is not None:
        streets = np.where(trade[:, None], fabric.to_street(boxes, roads, STREETS), np.nan)
    turn = fabric.faces(boxes, ~trade, streets)
    known = _heights(layer, at)
    earthen = layer.column("structure").astype(str)[at] == "adobe"
    made = fabric.house_table(boxes, turn, (low, high), known, (trade, earthen))
    missing = np.setdiff1d(np.arange(len(layer)), at)
    reason = "底面过窄或无地面 / plan too narrow for a house, or no relief"
    lost = [Outcome(oid, "skipped", reason, STAGE) for oid in layer.oid[missing].tolist()]
    return made, _words(layer, at), lost


def _heights(layer: Layer, at: NDArray[np.int64]) -> fabric.Heights:
    """Heights of the houses at rows; a ridge that L2 only guessed from storeys is left to the typology."""
    eave, ridge, storeys = (layer.column(name)[at] for name in ("eave_height", "height_m", "storeys"))
    evidence = layer.columns.get("height_evidence", objects([""] * len(layer))).astype(str)[at]
    guessed = np.isin(evidence, GUESSED) & np.isfinite(storeys)
    return fabric.Heights(eave, np.where(guessed, np.nan, ridge), storeys)


def _words(layer: Layer, at: NDArray[np.int64]) -> HouseWords:
    owner = layer.oid[at]
    first = np.concatenate([[True], at[1:] != at[:-1]]) if len(at) else np.zeros(0, bool)
    start = np.flatnonzero(first)
    wing = np.arange(len(at)) - np.repeat(start, np.diff(np.append(start, len(at))))
    year = layer.column("year_built")[at]
    era = np.where(year >= 1949, "new", np.where(np.isfinite(year), "qing", "unknown")).astype(object)
    age = np.where(year >= 2008, "new_in_style", np.where(np.isfinite(year), "original_repaired", "unknown"))
    oid = objects(
        [f"{o}/house" + (f"_{w + 1}" if w else "") for o, w in zip(owner.tolist(), wing.tolist(), strict=True)]
    )
    return HouseWords(oid, owner, layer.column("name")[at], era, age.astype(object))


def _batches(
    placed: Sequence[Placed], houses: HouseTable, words: HouseWords, size: float, city: City, tally: _Tally
) -> Iterator[tuple[str, Solids]]:
    """(cell, solids) in the order of cells, within each by oid."""
    spots = np.array([np.concatenate([p.mesh.vertices for p in item.parts])[:, :2].mean(axis=0) for item in placed])
    item_cells = np.floor(spots / size).astype(np.int64).reshape(-1, 2)
    house_cells = np.floor(np.column_stack([houses.x, houses.y]) / size).astype(np.int64)
    upper = houses.storeys >= 2
    for ix, iy in np.unique(np.concatenate([item_cells, house_cells]), axis=0).tolist():
        parts = []
        chosen = [placed[k] for k in np.flatnonzero((item_cells == (ix, iy)).all(axis=1)).tolist()]
        if chosen:
            parts.append(solids_of(chosen, city.frame))
        here = (house_cells == (ix, iy)).all(axis=1)
        for two in (False, True):
            mask = here & (upper == two)
            if mask.any():
                parts.append(house_solids(houses.take(mask), words.take(mask), two, city.frame))
        solids = concatenate(parts)
        solids = solids.take(np.argsort(solids.oid.astype(str), kind="stable"))
        tally.add(solids)
        yield f"c_{ix}_{iy}", solids


def _figures(
    placed: Sequence[Placed], houses: HouseTable, listed: Mask, tally: _Tally, wall: WallFacts | None
) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "monuments": sum(not item.owner.startswith("wall_") for item in placed),
        "monuments_listed": int(listed.sum()),
        "wall_pieces": sum(item.owner.startswith("wall_") for item in placed),
        "houses": len(houses),
        "houses_two_storeys": int((houses.storeys >= 2).sum()),
        "parts": tally.parts,
        "triangles": tally.triangles,
        "open_solids": len(tally.bad),
        "uncertainty_mean": round(tally.total / tally.weight, 3) if tally.weight else 0.0,
    }
    if wall is not None:
        figures["wall_perimeter_m"] = wall.perimeter
        figures["wall_area_km2"] = round(4 * wall.half[0] * wall.half[1] / 1e6, 4)
    return figures


def _documents(city: City, report: Report, wall: WallFacts | None, lineage: Lineage) -> None:
    sources: dict[str, Any] = {"bibliography": {str(row["id"]): str(row["title"]) for row in table("bibliography")}}
    if wall is not None:
        sources["contradictions"] = list(wall.table["contradictions"])
    city.store.write_document("heritage_sources", sources, lineage)
    city.store.write_document("l3_report", report.as_dict(), lineage)
