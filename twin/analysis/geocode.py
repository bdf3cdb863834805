"""From words to a place and from a place to words, over addresses, buildings and divisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from twin.analysis.address_words import Address, agreement, parse, tidy
from twin.features import Layer, Objects, objects

LEVELS = ("province", "city", "district", "street", "community")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place that the words may mean.

    oid         address or building
    kind        "address" or "building"
    text        its full address, or its name
    xy          frame coordinates, m
    building    oid of the building it stands for, "" none
    confidence  0..1
    """

    oid: str
    kind: str
    text: str
    xy: tuple[float, float]
    building: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is at a point.

    divisions   (code, name, level) from the widest to the narrowest
    address     oid and text of the nearest address, "" where none is within reach; its distance in m, NaN none
    building    oid of the building the point lies in, else of the nearest within reach, "" none; distance in m
    """

    divisions: tuple[tuple[str, str, str], ...]
    address: str
    address_text: str
    address_distance: float
    building: str
    building_distance: float


def geocode(text: str, addresses: Layer, buildings: Layer, limit: int = 5) -> tuple[Candidate, ...]:
    """The places that `text` may mean, the surest first.

    rule    an address with the same text 1; else the agreement of road (0.4), number (0.4) and building (0.2), a level
            that the question leaves out counts as met; a named building 0.9 where the question is its name, 0.7 where
            it ends with the name. Contradicting districts, roads or numbers rule a candidate out.
    """
    said = parse(text)
    asked = tidy(text)
    if not asked or limit < 1:
        return ()
    found = [*_addresses(asked, said, addresses), *_buildings(asked, buildings)]
    found.sort(key=lambda candidate: (-candidate.confidence, candidate.kind, candidate.oid))
    return tuple(_distinct(found)[:limit])


def _addresses(asked: str, said: Address, layer: Layer) -> list[Candidate]:
    found = []
    key = said.road or said.place
    texts = [tidy(str(word)) for word in layer.column("text").tolist()]
    for row, text in enumerate(texts):
        if not key or key not in text:
            continue
        score = 1.0 if text == asked else _likeness(said, parse(text))
        shape = layer.geometry[row]
        if score > 0.0 and shape is not None:
            at = shapely.centroid(shape)
            building = str(layer.column("building_oid")[row])
            original = str(layer.column("text")[row])
            found.append(Candidate(str(layer.oid[row]), "address", original, (at.x, at.y), building, round(score, 3)))
    return found


def _likeness(said: Address, known: Address) -> float:
    """Agreement of what is asked, as a share of what could agree; 0 where it contradicts or where only a town meets."""
    for level in ("province", "city", "district", "street", "community"):
        one, other = getattr(said, level), getattr(known, level)
        # A street office changes name more often than a house moves: it lowers nothing while the road is the same.
        if level not in ("street", "community") and one and other and one != other:
            return 0.0
    if not said.road:
        return 0.6 if said.place and said.place == known.place else 0.0
    met = agreement(said, known)
    possible = 0.4 + 0.4 * bool(said.number) + 0.2 * bool(said.building)
    share = met / possible if met > 0.0 else 0.0
    sure = 0.5 + 0.4 * bool(said.number) + 0.05 * bool(said.building)
    return min(0.95, share * sure) * (1.0 if not said.place or said.place == known.place else 0.9)


def _buildings(asked: str, layer: Layer) -> list[Candidate]:
    found = []
    for row in np.flatnonzero(layer.column("name") != "").tolist():
        name = tidy(str(layer.column("name")[row]))
        score = 0.9 if name == asked else 0.7 if len(name) > 1 and asked.endswith(name) else 0.0
        score = max(score, 0.4 * len(asked) / len(name) if len(asked) > 1 and asked in name and name != asked else 0.0)
        if score > 0.0:
            at = shapely.point_on_surface(layer.geometry[row])
            oid, original = str(layer.oid[row]), str(layer.column("name")[row])
            found.append(Candidate(oid, "building", original, (at.x, at.y), oid, round(score, 3)))
    return found


def _distinct(found: list[Candidate]) -> list[Candidate]:
    """One candidate a building: an address and its building are one place."""
    seen: set[str] = set()
    kept = []
    for candidate in found:
        key = candidate.building or candidate.oid
        if key not in seen:
            seen.add(key)
            kept.append(candidate)
    return kept


def division_chain(code: str, divisions: Layer) -> tuple[tuple[str, str, str], ...]:
    """(code, name, level) of a division and all above it, the widest first; the parents need no geometry.

    A code that the layer does not hold ends the chain; a circle of parents ends it too.
    """
    rows = {word: row for row, word in enumerate(divisions.column("code").tolist())}
    chain: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    while code in rows and code not in seen:
        seen.add(code)
        row = rows[code]
        chain.append((code, str(divisions.column("name")[row]), str(divisions.column("division_level")[row])))
        code = str(divisions.column("parent")[row])
    return tuple(reversed(chain))


def locate(xy: ArrayLike, divisions: Layer) -> Objects:
    """Code (n,) of the narrowest division that each point lies in, "" outside all; ties go to the smaller code.

    xy      (n, 2) frame coordinates, m
    """
    points = shapely.points(np.asarray(xy, dtype=np.float64).reshape(-1, 2))
    codes = objects([""] * len(points))
    point, row = shapely.STRtree(divisions.geometry).query(points, predicate="intersects")
    order = np.lexsort((divisions.column("code")[row].astype(str), -_depth(divisions)[row], point))
    first = order[np.flatnonzero(np.diff(point[order], prepend=-1))]
    codes[point[first]] = divisions.column("code")[row[first]]
    return codes


def _depth(divisions: Layer) -> NDArray[np.intp]:
    rank = {level: k for k, level in enumerate(LEVELS)}
    return np.array([rank.get(str(level), -1) for level in divisions.column("division_level").tolist()], dtype=np.intp)


def reverse(
    xy: tuple[float, float], divisions: Layer, addresses: Layer, buildings: Layer, reach: float = 50.0
) -> Surroundings:
    """What is at a point: its divisions, the nearest address and the building.

    xy      frame coordinates, m (`Frame.from_lonlat` brings degrees there)
    reach   addresses and buildings further off than this are not named, m
    """
    code = str(locate([xy], divisions)[0])
    chain = division_chain(code, divisions) if code else ()
    address, away = _nearest(xy, addresses, reach)
    building, distance = _nearest(xy, buildings, reach)
    return Surroundings(
        chain,
        "" if address is None else str(addresses.oid[address]),
        "" if address is None else str(addresses.column("text")[address]),
        away,
        "" if building is None else str(buildings.oid[building]),
        distance,
    )


def _nearest(xy: tuple[float, float], layer: Layer, reach: float) -> tuple[int | None, float]:
    here = shapely.points(xy[0], xy[1])
    rows = shapely.STRtree(layer.geometry).query(here, predicate="dwithin", distance=reach)
    if not len(rows):
        return None, float("nan")
    away = shapely.distance(layer.geometry[rows], here)
    best = int(np.lexsort((layer.oid[rows].astype(str), away))[0])
    return int(rows[best]), float(away[best])
