"""Tables that speak of other objects find them: addresses their buildings, population its divisions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.analysis.address_words import Address, agreement, parse, parse_all
from twin.features import Layer, objects
from twin.options import option
from twin.outcome import Outcome


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """How an address finds its building."""

    distance: float = option(30.0, unit="m", min=0.0, max=500.0, doc="An address reaches buildings up to this far.")
    minimum: float = option(0.2, min=0.0, max=1.0, doc="Matches below this confidence are not made.")


_INSIDE, _NEAR, _NAMED = 0.9, 0.8, 0.25
_AGREES, _CONTRADICTS = 0.25, 0.5


def match_addresses(addresses: Layer, buildings: Layer, options: MatchOptions) -> tuple[Layer, Layer, dict[str, int]]:
    """(addresses with building_oid and confidence, buildings with address, figures).

    rule    inside a footprint 0.9, else falling from 0.8 to 0 at `distance`; 0.25 more where the address says the
            building's name; where the building brings an address or a number of its own (3号楼), up to 0.25 more as
            road, number and building agree, up to 0.5 less as they contradict. An address outside all footprints loses
            up to 0.5 for a building that another address lies in whose road, number or building contradict. The best
            candidate wins, then the nearer, then the smaller oid. A building takes its best address where its own
            source gave none.
    """
    figures = {"addresses": len(addresses), "addresses_matched": 0, "buildings_with_address": 0}
    if not len(addresses) or not len(buildings):
        return addresses, buildings, figures
    address, building, distance = _candidates(addresses, buildings, options.distance)
    score = np.where(distance <= 0.0, _INSIDE, _NEAR * (1.0 - distance / max(options.distance, 1e-9)))
    named = _says_name(addresses.column("text"), buildings.column("name"), address, building)
    agrees = _agreement(addresses, buildings, address, building)
    score = score + _NAMED * named + np.where(agrees > 0.0, _AGREES, _CONTRADICTS) * agrees
    score = score + _CONTRADICTS * _taken(addresses, address, building, distance)
    score = np.round(np.clip(score, 0.0, 1.0), 3)
    rank = np.argsort(np.argsort(buildings.oid.astype(str), kind="stable"), kind="stable")
    order = np.lexsort((rank[building], distance, -score, address))
    best = order[_first(address[order])]
    best = best[score[best] >= options.minimum]
    confidence, oid = np.full(len(addresses), np.nan), objects([""] * len(addresses))
    confidence[address[best]] = score[best]
    oid[address[best]] = buildings.oid[building[best]]
    chosen = _best_address(addresses, address[best], building[best], score[best], distance[best])
    own = buildings.column("address").copy()
    free = np.array([row for row in chosen if not own[row]], dtype=np.intp)
    own[free] = addresses.column("text")[np.array([chosen[row] for row in free.tolist()], dtype=np.intp)]
    figures["addresses_matched"] = len(best)
    figures["buildings_with_address"] = int(np.count_nonzero(own != ""))
    return addresses.with_columns(building_oid=oid, confidence=confidence), buildings.with_columns(address=own), figures


def _candidates(
    addresses: Layer, buildings: Layer, reach: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    tree = shapely.STRtree(buildings.geometry)
    address, building = tree.query(addresses.geometry, predicate="dwithin", distance=reach)
    return address, building, shapely.distance(addresses.geometry[address], buildings.geometry[building])


def _says_name(
    text: NDArray[np.object_], name: NDArray[np.object_], address: NDArray[np.intp], building: NDArray[np.intp]
) -> NDArray[np.bool_]:
    said = np.zeros(len(address), dtype=bool)
    for pair in np.flatnonzero(name[building] != "").tolist():
        said[pair] = str(name[building[pair]]) in str(text[address[pair]])
    return said


def _agreement(
    addresses: Layer, buildings: Layer, address: NDArray[np.intp], building: NDArray[np.intp]
) -> NDArray[np.float64]:
    """-1..1 for every pair: the address against what the building's own source says of it; 0 where that is nothing."""
    known = _own_addresses(buildings, np.unique(building))
    said: dict[int, Address] = {}
    result = np.zeros(len(address))
    for pair in np.flatnonzero(np.isin(building, list(known))).tolist():
        row = int(address[pair])
        if row not in said:
            said[row] = parse(str(addresses.column("text")[row]))
        result[pair] = agreement(said[row], known[int(building[pair])])
    return result


def _taken(
    addresses: Layer, address: NDArray[np.intp], building: NDArray[np.intp], distance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """-1..0 for every pair: how far an address outside all footprints contradicts one that lies in the building."""
    inside = np.flatnonzero(distance <= 0.0)
    homed = np.isin(address, address[inside])
    holder = dict(zip(building[inside[::-1]].tolist(), address[inside[::-1]].tolist(), strict=True))
    pairs = np.flatnonzero(~homed & np.isin(building, list(holder)))
    rows = sorted({*address[pairs].tolist(), *(holder[b] for b in building[pairs].tolist())})
    said = dict(zip(rows, parse_all(addresses.column("text")[rows].tolist()), strict=True))
    result = np.zeros(len(address))
    for pair in pairs.tolist():
        result[pair] = min(0.0, agreement(said[int(address[pair])], said[holder[int(building[pair])]]))
    return result


def _own_addresses(buildings: Layer, rows: NDArray[np.intp]) -> dict[int, Address]:
    own, name = buildings.column("address"), buildings.column("name")
    known = {}
    for row in rows[(own[rows] != "") | (name[rows] != "")].tolist():
        told, called = parse(str(own[row])), parse(str(name[row])).building
        told = replace(told, building=told.building or called)
        if told.road or told.building:
            known[row] = told
    return known


def _first(keys: NDArray[np.intp]) -> NDArray[np.intp]:
    if not len(keys):
        return np.zeros(0, dtype=np.intp)
    return np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))


def _best_address(
    addresses: Layer,
    address: NDArray[np.intp],
    building: NDArray[np.intp],
    score: NDArray[np.float64],
    distance: NDArray[np.float64],
) -> dict[int, int]:
    rank = np.argsort(np.argsort(addresses.oid.astype(str), kind="stable"), kind="stable")
    order = np.lexsort((rank[address], distance, -score, building))
    lead = order[_first(building[order])]
    return dict(zip(building[lead].tolist(), address[lead].tolist(), strict=True))


def compose_text(addresses: Layer) -> Layer:
    """The addresses with a full text put together from its parts where the source gave none."""
    text = addresses.column("text")
    blank = text == ""
    if not blank.any():
        return addresses
    parts = [addresses.column(name) for name in ("province", "city", "district", "street", "road", "number")]
    joined = objects(["".join(words) for words in zip(*parts, strict=True)])
    return addresses.with_columns(text=np.where(blank, joined, text))


def join_population(population: Layer, divisions: Layer | None) -> tuple[Layer, list[Outcome]]:
    """Population with the polygon of its division, by code, else by name; rows that find none are named and go."""
    missing = shapely.is_missing(population.geometry)
    if not missing.any():
        return population, []
    shapes: dict[str, object] = {}
    if divisions is not None:
        for column in ("name", "code"):
            pairs = zip(divisions.column(column).tolist(), divisions.geometry.tolist(), strict=True)
            shapes |= {f"{column}|{key}": shape for key, shape in pairs if key}
    keys = zip(population.column("code").tolist(), population.column("name").tolist(), strict=True)
    found = objects([shapes.get(f"code|{code}", shapes.get(f"name|{name}")) for code, name in keys])
    geometry = np.where(missing, found, population.geometry)
    lost = shapely.is_missing(geometry)
    outcomes = [
        Outcome(oid, "skipped", "没有对应的行政区 / no division of that code or name", "population")
        for oid in population.oid[lost].tolist()
    ]
    kept = Layer.build("population", population.frame, population.oid, geometry, population.columns).select(~lost)
    return kept, outcomes
