"""Writes a city as CityJSON or CityJSONSeq, one city object after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from tiles.cityjson.gather import Choice, gather
from tiles.cityjson.head import head_of, origin_of
from tiles.cityjson.objects import Owned, city_objects
from tiles.cityjson.pool import Pool
from twin.city import City
from twin.errors import OptionsError
from twin.store.catalog import write_atomic

MODELS = ("l2", "l3", "citymodel")


@dataclass(slots=True)
class Written:
    """What was written: city objects of the first level, parts, geometries, vertices, names of pictures."""

    objects: int = 0
    parts: int = 0
    geometries: int = 0
    vertices: int = 0
    images: dict[str, None] = field(default_factory=dict)

    def count(self, found: dict[str, dict[str, Any]]) -> None:
        """One city object and its parts."""
        self.objects += 1
        self.parts += len(found) - 1
        self.geometries += sum(len(thing.get("geometry", ())) for thing in found.values())


def write_cityjson(city: City, out: Path, choice: Choice) -> Written:
    """One CityJSON 2.0 document at `out`; pictures go to a folder beside it.

    Memory: one cell of solids, the vertices and the places in pictures (12 bytes a coordinate triple and more).
    """
    return _write(city, out, choice, _document)


def write_cityjsonseq(city: City, out: Path, choice: Choice) -> Written:
    """One CityJSONSeq at `out`: the head, then one line a city object. Memory: one cell of solids."""
    return _write(city, out, choice, _sequence)


def _write(city: City, out: Path, choice: Choice, put: Any) -> Written:
    if not out.parent.is_dir():
        raise OptionsError(f"{out}: there is no folder {out.parent}; make it or choose another place")
    items = [city.store.item("model", name) for name in MODELS if city.store.has("model", name)]
    origin = origin_of(items)
    head = head_of(city, items, origin)
    beside = out.with_name(f".{out.name}.part")
    try:
        with beside.open("wb") as file:
            written = put(file, head, gather(city, origin, choice), images_folder(out))
        for name in written.images:
            folder = out.parent / images_folder(out)
            folder.mkdir(exist_ok=True)
            write_atomic(folder / name, city.store.read_image(name))
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
    return written


def images_folder(out: Path) -> str:
    """Name of the folder of pictures beside a document."""
    return f"{out.name.partition('.')[0]}_appearances"


def _sequence(file: BinaryIO, head: dict[str, Any], found: Iterator[Owned], folder: str) -> Written:
    written = Written()
    file.write(orjson.dumps(head | {"CityObjects": {}, "vertices": []}) + b"\n")
    for owned in found:
        pool = Pool(folder)
        things = city_objects(owned, pool)
        written.count(things)
        rows = pool.rows()
        grid = np.concatenate(rows) if rows else np.zeros((0, 3), np.int64)
        written.vertices += len(grid)
        written.images |= dict.fromkeys(pool.images())
        line: dict[str, Any] = {"type": "CityJSONFeature", "id": owned.oid, "CityObjects": things}
        line["vertices"] = grid.tolist()
        worn = pool.appearance()
        file.write(orjson.dumps(line | ({"appearance": worn} if worn else {})) + b"\n")
    return written


def _document(file: BinaryIO, head: dict[str, Any], found: Iterator[Owned], folder: str) -> Written:
    written = Written()
    pool = Pool(folder)
    file.write(orjson.dumps(head)[:-1] + b',"CityObjects":{')
    for number, owned in enumerate(found):
        things = city_objects(owned, pool)
        written.count(things)
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
