"""Writes a city as CityJSON or CityJSONSeq, one city object after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles.cityjson.cover import KINDS, Names, Things, pipe_things, relief_things, surface_things
from tiles.cityjson.gather import Choice, gather
from tiles.cityjson.head import head_of, origin_of
from tiles.cityjson.instances import Standing, furniture, standing_things, templates_of, trees
from tiles.cityjson.objects import city_objects
from tiles.cityjson.pool import Pool
from twin.city import City
from twin.errors import OptionsError
from twin.store.catalog import write_atomic
from twin.store.protocol import Item

# Class of ours -> where it comes from.
_BUILDINGS = (("model", "l2"), ("model", "l3"), ("model", "citymodel"))
_OTHERS = {
    "relief": ("model", "relief"),
    **dict.fromkeys(KINDS, ("model", "surfaces")),
    "pipe": ("model", "pipes"),
    "tree": ("layer", "tree_l2"),
    "furniture": ("layer", "furniture_l2"),
}
_STANDING: dict[str, Callable[[City, Choice], Standing]] = {"tree": trees, "furniture": furniture}


@dataclass(slots=True)
class Written:
    """What was written: city objects of the first level by class, parts, geometries, vertices, names of pictures."""

    classes: Counter[str] = field(default_factory=Counter)
    parts: int = 0
    geometries: int = 0
    vertices: int = 0
    images: dict[str, None] = field(default_factory=dict)

    @property
    def objects(self) -> int:
        """City objects of the first level."""
        return self.classes.total()

    def count(self, ident: str, found: dict[str, dict[str, Any]]) -> None:
        """One city object and its parts."""
        self.classes[found[ident]["type"]] += 1
        self.parts += len(found) - 1
        self.geometries += sum(len(thing.get("geometry", ())) for thing in found.values())


@dataclass(frozen=True, slots=True)
class _Out:
    """What is put into a file: its head, the city objects, the name of the folder of pictures beside it."""

    head: dict[str, Any]
    things: Things
    folder: str


def write_cityjson(city: City, out: Path, choice: Choice) -> Written:
    """One CityJSON 2.0 document at `out`; pictures go to a folder beside it.

    Memory: one cell of solids, the vertices and the places in pictures (12 bytes a coordinate triple and more).
    """
    return _write(city, out, choice, _document)


def write_cityjsonseq(city: City, out: Path, choice: Choice) -> Written:
    """One CityJSONSeq at `out`: the head, then one line a city object.

    Memory: names, one cell, features of the ground that reach into cells not read yet, the layers of trees and
    furniture.
    """
    return _write(city, out, choice, _sequence)


def _write(city: City, out: Path, choice: Choice, put: Callable[[BinaryIO, _Out], Written]) -> Written:
    if not out.parent.is_dir():
        raise OptionsError(f"{out}: there is no folder {out.parent}; make it or choose another place")
    items = _items(city, choice)
    origin = origin_of(items)
    standing = [_STANDING[name](city, choice) for name in _STANDING if _asked(city, choice, name)]
    templates = templates_of(standing)
    head = head_of(city, items, origin) | templates.member()
    beside = out.with_name(f".{out.name}.part")
    try:
        with beside.open("wb") as file:
            names = Names.among(city, ("building", *KINDS, "pipe", *(_OTHERS[name][1] for name in _STANDING)))
            stood = (thing for some in standing for thing in standing_things(some, origin, names, templates))
            things = _chained(_buildings(city, origin, choice), _faced(city, origin, choice, names), stood)
            written = put(file, _Out(head, things, images_folder(out)))
        for name in written.images:
            folder = out.parent / images_folder(out)
            folder.mkdir(exist_ok=True)
            write_atomic(folder / name, city.store.read_image(name))
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
    return written


def _asked(city: City, choice: Choice, name: str) -> bool:
    return name in choice.classes and city.store.has(*_OTHERS[name])


def _items(city: City, choice: Choice) -> list[Item]:
    """Everything of the store that is written from, each once."""
    places = list(_BUILDINGS) if "building" in choice.classes else []
    places += [_OTHERS[name] for name in _OTHERS if name in choice.classes]
    return [city.store.item(*place) for place in dict.fromkeys(places) if city.store.has(*place)]


def _chained(*parts: Things) -> Things:
    for part in parts:
        yield from part


def _buildings(city: City, origin: NDArray[np.float64], choice: Choice) -> Things:
    if "building" in choice.classes:
        for owned in gather(city, origin, choice):
            yield owned.oid, partial(city_objects, owned)


def _faced(city: City, origin: NDArray[np.float64], choice: Choice, names: Names) -> Things:
    if _asked(city, choice, "relief"):
        yield from relief_things(city, origin, choice)
    if any(_asked(city, choice, name) for name in KINDS):
        yield from surface_things(city, origin, choice, names)
    if _asked(city, choice, "pipe"):
        yield from pipe_things(city, origin, choice, names)


def images_folder(out: Path) -> str:
    """Name of the folder of pictures beside a document."""
    return f"{out.name.partition('.')[0]}_appearances"


def _sequence(file: BinaryIO, out: _Out) -> Written:
    written = Written()
    file.write(orjson.dumps(out.head | {"CityObjects": {}, "vertices": []}) + b"\n")
    for ident, draw in out.things:
        pool = Pool(out.folder)
        things = draw(pool)
        written.count(ident, things)
        rows = pool.rows()
        grid = np.concatenate(rows) if rows else np.zeros((0, 3), np.int64)
        written.vertices += len(grid)
        written.images |= dict.fromkeys(pool.images())
        line: dict[str, Any] = {"type": "CityJSONFeature", "id": ident, "CityObjects": things}
        line["vertices"] = grid.tolist()
        worn = pool.appearance()
        file.write(orjson.dumps(line | ({"appearance": worn} if worn else {})) + b"\n")
    return written


def _document(file: BinaryIO, out: _Out) -> Written:
    written = Written()
    pool = Pool(out.folder)
    file.write(orjson.dumps(out.head)[:-1] + b',"CityObjects":{')
    for number, (ident, draw) in enumerate(out.things):
        things = draw(pool)
        written.count(ident, things)
        body = orjson.dumps(things)[1:-1]
        file.write((b",\n" if number else b"\n") + body)
    file.write(b'\n},"vertices":[')
    for rows in pool.rows():
        first = written.vertices == 0
        written.vertices += len(rows)
        if len(rows):
            file.write((b"\n" if first else b",\n") + orjson.dumps(rows.tolist())[1:-1])
    worn = pool.appearance()
    written.images |= dict.fromkeys(pool.images())
    file.write(b"\n]" + (b',"appearance":' + orjson.dumps(worn) if worn else b"") + b"}\n")
    return written
