"""From words to a place and from a place to words, over addresses, buildings and divisions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from twin.analysis.address_words import LEVELS, Address, parse
from twin.analysis.places import Places, Rows, fold
from twin.features import Layer, Objects, objects

# Reason -> (Chinese, English); {} takes what it is about.
REASONS = {
    "text": ("全文一致", "the whole text agrees"),
    "road": ("道路一致", "the road agrees"),
    "number": ("门牌一致", "the number agrees"),
    "house": ("楼栋一致", "the building number agrees"),
    "suffix": ("道路名缺后缀或后缀不同:{}", "road without its suffix, or with another: {}"),
    "typo": ("一字之差:{}", "one character differs: {}"),
    "heir": ("旧区划,现为{}", "a district of old, now {}"),
    "no_number": ("该路无此门牌,取最近的号", "no such number on the road; the nearest one"),
    "no_house": ("该门牌无此楼栋", "no such building at that number"),
    "name": ("名称一致", "the name agrees"),
    "tail": ("地址以该名称结尾", "the address ends with the name"),
    "part": ("名称包含所问", "the name holds what was asked"),
    "division": ("行政区划", "an administrative division"),
}
_SUFFIX, _TYPO, _HEIR, _NO_HOUSE, _NO_NUMBER = 0.9, 0.8, 0.98, 0.7, 0.3


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a place is a candidate, in both languages; `code` is a key of REASONS."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place that the words may mean.

    oid         address, building or division
    kind        "address", "building", "road" (the nearest number on it) or "division"
    text        its full address, or its name
    xy          frame coordinates, m; `lonlat` the same in degrees, WGS 84
    building    oid of the building it stands for, "" none
    confidence  0..1
    """

    oid: str
    kind: str
    text: str
    xy: tuple[float, float]
    lonlat: tuple[float, float]
    building: str
    confidence: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is at a point.

    divisions   (code, name, level) from the widest to the narrowest
    address     oid and text of the nearest address, "" where none is within reach; its distance in m, NaN none
    building    oid and name of the building the point lies in, else of the nearest within reach; distance in m
    """

    divisions: tuple[tuple[str, str, str], ...]
    address: str
    address_text: str
    address_distance: float
    building: str
    building_name: str
    building_distance: float


@dataclass(frozen=True, slots=True)
class _Find:
    """A row with its score before it becomes a candidate."""

    row: int
    kind: str
    score: float
    reasons: tuple[Reason, ...]


def geocode(text: str, where: Places, limit: int = 5) -> tuple[Candidate, ...]:
    """The places that `text` may mean, the surest first.

    rule    an address with the same text 1. Else the agreement of road (0.4), number (0.4) and building (0.2) as a
            share of what was asked, times 0.5 for a road alone up to 0.95 for all three; 0.9 of it where the road lacks
            its suffix, 0.8 where one of at least three characters is wrong, missing, too many or exchanged, 0.98 where
            an old district stands for its successor, 0.7 where the number has no such building. A number that the road
            has not gives the nearest one with 0.3. A building's name 0.9, at the end of an address 0.7, one character
            off 0.6, as a part 0.4 at most. A division 0.8. Another district, city or number is no candidate.
    """
    asked = fold(text)
    if not asked or limit < 1:
        return ()
    said = parse(text, where.known)
    finds = [*_addresses(asked, said, where), *_named(asked, where), *_divisions(said, where)]
    found = [_candidate(find, where) for find in finds]
    found.sort(key=lambda candidate: (-candidate.confidence, candidate.kind, candidate.oid))
    return tuple(_distinct(found)[:limit])


def _because(code: str, about: str = "") -> Reason:
    zh, en = REASONS[code]
    return Reason(code, zh.format(about), en.format(about))


def _addresses(asked: str, said: Address, where: Places) -> Iterator[_Find]:
    words = dict.fromkeys(fold(word) for word in (said.road, said.place, said.community) if word)
    for place, word in enumerate(words):
        # The name behind a number is asked for only where no road leads there.
        if place and said.road and said.number:
            return
        for key, how in where.keys.find(word):
            factor = {"": 1.0, "suffix": _SUFFIX, "typo": _TYPO}[how]
            reasons = (_because(how, where.keys.words[key]),) if how else (_because("road"),)
            yield from _on_road(where.of_key(key), (asked, said), where, (factor, reasons))


def _on_road(
    rows: Rows, question: tuple[str, Address], where: Places, so_far: tuple[float, tuple[Reason, ...]]
) -> Iterator[_Find]:
    asked, said = question
    factor, reasons = so_far
    rows, moved = _in_district(rows, said, where)
    if moved:
        factor, reasons = factor * _HEIR, (*reasons, _because("heir", moved))
    if not len(rows):
        return
    table = where.entries.words
    number, house = fold(said.number).replace("之", "-"), fold(said.building)
    numbers = table["number"][rows].astype(str)
    houses = table["house"][rows].astype(str)
    fits = (numbers == number) | (numbers == "") | (not number)
    right = fits & ((houses == house) | (houses == "") | (not house))
    if not right.any():
        yield from _next_best(rows[fits], rows, numbers, number, (factor, reasons))
        return
    met = 0.4 + 0.4 * ((numbers == number) & bool(number)) + 0.2 * ((houses == house) & bool(house))
    share = met / (0.4 + 0.4 * bool(number) + 0.2 * bool(house))
    score = np.minimum(0.95, share * (0.5 + 0.4 * bool(number) + 0.05 * bool(house))) * factor
    other = fold(said.place)
    places = table["place"][rows].astype(str)
    score = np.where((places != other) & (other != ""), score * 0.9, score)
    for k in np.flatnonzero(right).tolist():
        told = [*reasons, *([_because("number")] if number and numbers[k] == number else [])]
        told += [_because("house")] if house and houses[k] == house else []
        whole = factor == 1.0 and fold(str(where.entries.text[rows[k]])) == asked
        yield _Find(
            int(rows[k]), "address", 1.0 if whole else float(score[k]), (_because("text"),) if whole else tuple(told)
        )


def _next_best(
    fits: Rows, rows: Rows, numbers: NDArray[np.str_], number: str, so_far: tuple[float, tuple[Reason, ...]]
) -> Iterator[_Find]:
    """The number without the building that it lacks; else the nearest number of the road."""
    factor, reasons = so_far
    if len(fits):
        for row in fits.tolist():
            yield _Find(row, "address", 0.9 * factor * _NO_HOUSE, (*reasons, _because("no_house")))
        return
    wanted = re.search(r"\d+", number)
    values = np.array([int(found.group()) if (found := re.search(r"\d+", word)) else -1 for word in numbers.tolist()])
    usable = np.flatnonzero(values >= 0)
    if wanted and len(usable):
        off = np.abs(values[usable] - int(wanted.group()))
        best = rows[usable[int(np.argmin(off))]]
        yield _Find(int(best), "road", _NO_NUMBER * factor, (*reasons, _because("no_number")))


def _in_district(rows: Rows, said: Address, where: Places) -> tuple[Rows, str]:
    """(rows that do not contradict the district, city and province said, the successor's name where one stands in)."""
    table, moved = where.entries.words, ""
    keep = np.ones(len(rows), dtype=bool)
    for level in ("province", "city", "district"):
        word, known = fold(getattr(said, level)), table[level][rows].astype(str)
        if not word:
            continue
        meant = (known == word) | (known == "")
        if level == "district":
            inside, heirs = table["inside"][rows].astype(str), sorted(where.heirs.get(word, frozenset()) - {word})
            meant = np.where(inside == "", meant, (inside == word) | (known == word) | np.isin(inside, heirs))
            moved = "、".join(heirs)
        keep &= meant
    return rows[keep], moved if keep.any() else ""


def _named(asked: str, where: Places) -> Iterator[_Find]:
    found: dict[int, tuple[float, Reason]] = {}
    for number, how in where.names.find(asked):
        found[number] = (0.9, _because("name")) if not how else (0.6, _because("typo", where.names.words[number]))
    for start in range(1, len(asked) - 1):
        if asked[start:] in where.names.ids:
            found.setdefault(where.names.ids[asked[start:]], (0.7, _because("tail")))
    if len(asked) > 1:
        for number, word in enumerate(where.names.words):
            if asked in word and number not in found:
                found[number] = (0.4 * len(asked) / len(word), _because("part"))
    for number, (score, reason) in found.items():
        for row in where.named[number]:
            yield _Find(row, "building", score, (reason,))


def _divisions(said: Address, where: Places) -> Iterator[_Find]:
    """The narrowest division said, where nothing below it was."""
    if said.road or said.number or said.place or said.building:
        return
    word = fold(next((getattr(said, level) for level in reversed(LEVELS) if getattr(said, level)), ""))
    if not word:
        return
    names = [fold(str(name)) for name in where.divisions.column("name").tolist()]
    heirs = where.heirs.get(word, frozenset()) if word not in names else frozenset()
    for row, name in enumerate(names):
        if name == word:
            yield _Find(row, "division", 0.8, (_because("division"),))
        elif name in heirs:
            yield _Find(row, "division", 0.8 * _HEIR / max(len(heirs), 1), (_because("heir", name),))


def _candidate(find: _Find, where: Places) -> Candidate:
    row = find.row
    if find.kind in ("address", "road"):
        entries = where.entries
        oid, text, building = str(entries.oid[row]), str(entries.text[row]), str(entries.building[row])
        kind = find.kind if find.kind == "road" else str(entries.kind[row])
        at = (float(entries.xy[row, 0]), float(entries.xy[row, 1]))
    else:
        layer = where.buildings if find.kind == "building" else where.divisions
        point = shapely.point_on_surface(layer.geometry[row])
        oid, text, kind, at = str(layer.oid[row]), str(layer.column("name")[row]), find.kind, (point.x, point.y)
        building = oid if kind == "building" else ""
    lon, lat = where.frame.to_lonlat(np.array([at]))[0].tolist()
    return Candidate(oid, kind, text, at, (round(lon, 7), round(lat, 7)), building, round(find.score, 3), find.reasons)


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
    return _locate(xy, divisions, shapely.STRtree(divisions.geometry))


def _locate(xy: ArrayLike, divisions: Layer, tree: shapely.STRtree) -> Objects:
    points = shapely.points(np.asarray(xy, dtype=np.float64).reshape(-1, 2))
    codes = objects([""] * len(points))
    point, row = tree.query(points, predicate="intersects")
    order = np.lexsort((divisions.column("code")[row].astype(str), -_depth(divisions)[row], point))
    first = order[np.flatnonzero(np.diff(point[order], prepend=-1))]
    codes[point[first]] = divisions.column("code")[row[first]]
    return codes


def _depth(divisions: Layer) -> NDArray[np.intp]:
    rank = {level: k for k, level in enumerate(LEVELS)}
    return np.array([rank.get(str(level), -1) for level in divisions.column("division_level").tolist()], dtype=np.intp)


def reverse(xy: tuple[float, float], where: Places, reach: float = 50.0) -> Surroundings:
    """What is at a point: its divisions, the nearest address and the building.

    xy      frame coordinates, m (`Frame.from_lonlat` brings degrees there)
    reach   addresses and buildings further off than this are not named, m
    """
    code = str(_locate([xy], where.divisions, where.trees["division"])[0])
    chain = division_chain(code, where.divisions) if code else ()
    address, away = _nearest(xy, where.trees["address"], where.entries.oid, reach)
    building, distance = _nearest(xy, where.trees["building"], where.buildings.oid, reach)
    return Surroundings(
        chain,
        "" if address is None else str(where.entries.oid[address]),
        "" if address is None else str(where.entries.text[address]),
        away,
        "" if building is None else str(where.buildings.oid[building]),
        "" if building is None else str(where.buildings.column("name")[building]),
        distance,
    )


def _nearest(xy: tuple[float, float], tree: shapely.STRtree, oid: Objects, reach: float) -> tuple[int | None, float]:
    here = shapely.points(xy[0], xy[1])
    rows = tree.query(here, predicate="dwithin", distance=reach)
    if not len(rows):
        return None, float("nan")
    away = shapely.distance(tree.geometries[rows], here)
    best = int(np.lexsort((oid[rows].astype(str), away))[0])
    return int(rows[best]), float(away[best])
