"""OpenStreetMap extracts (.osm.pbf, .osm) through GDAL's OSM driver; tags become our columns by a table (osm.toml)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyogrio
import pyogrio.errors
import pyogrio.raw
import shapely

from ingest.reading import Delivery, RawTable
from twin.errors import SourceError
from twin.features import FEATURE_CLASSES, Objects, objects

OSM_SUFFIXES = (".osm.pbf", ".pbf", ".osm", ".osm.xml")
CLASSES = {
    "footprints": "building", "roads": "road", "rivers": "river", "water": "water", "green": "green",
    "landuse": "landuse", "divisions": "division", "addresses": "address", "facilities": "facility",
    "railways": "railway", "trees": "tree", "pipes": "pipe", "furniture": "furniture",
}  # fmt: skip
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"=>"((?:[^"\\]|\\.)*)"')
_FEET = re.compile(r"^(\d+(?:\.\d+)?)\s*'\s*(?:(\d+(?:\.\d+)?)\s*\")?$")
_LENGTH = re.compile(r"^([+-]?\d+(?:[.,]\d+)?)\s*(m|metres?|meters?|米|ft|feet|foot|km|cm|)$", re.IGNORECASE)
_UNITS = {"ft": 0.3048, "feet": 0.3048, "foot": 0.3048, "km": 1000.0, "cm": 0.01}
_NUMBER = re.compile(r"^\s*(\d+(?:[.,]\d+)?)")
_ERRORS = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError)
_PLAIN = {"osm_id", "osm_way_id", "other_tags", "z_order", "is_in", "all_tags"}

Tags = dict[str, str]


def is_osm(path: Path) -> bool:
    """Whether the name is that of an OpenStreetMap extract."""
    return path.name.lower().endswith(OSM_SUFFIXES)


@cache
def table() -> Mapping[str, Any]:
    """The table of tags, osm.toml."""
    return tomllib.loads(files("ingest.formats").joinpath("osm.toml").read_text("utf-8"))


def read_osm(path: Path, delivery: Delivery) -> RawTable:
    """The objects of an extract that the kind of the source asks for, their tags in our columns and words.

    source_id   type and id as OSM writes them: n1, w2, r3
    attributes  every tag that is in no column, one JSON object
    columns     of the source may name any tag for a column: structure = "building:material"
    raises      SourceError for a kind that OSM does not bring, and for a damaged extract
    """
    shown, kind = delivery.shown(path), delivery.source.kind
    rules = table()["kinds"].get(kind)
    if rules is None:
        brings = ", ".join(table()["kinds"])
        raise SourceError(f"{shown}: no {kind} are read from OpenStreetMap; it brings {brings}")
    ids: list[str] = []
    tags: list[Tags] = []
    shapes: list[Objects] = []
    for layer in rules["layers"]:
        found = _read(path, layer, shown)
        keep = [row for row, (_, tag) in enumerate(found[0]) if _wanted(tag, rules)]
        ids += [found[0][row][0] for row in keep]
        tags += [found[0][row][1] for row in keep]
        shapes.append(found[1][np.array(keep, dtype=np.intp)])
    geometry = np.concatenate(shapes)
    if rules.get("points"):
        geometry = objects(shapely.point_on_surface(geometry).tolist())
    columns = dict(delivery.source.columns)
    fields = _fields(tags, CLASSES[kind], rules, columns.values())
    return RawTable({"source_id": objects(ids)} | fields, geometry, "EPSG:4326", shown)


def _read(path: Path, layer: str, shown: str) -> tuple[list[tuple[str, Tags]], Objects]:
    try:
        meta, _, wkb, fields = pyogrio.raw.read(path, layer=layer, datetime_as_string=True)
        geometry = objects(shapely.from_wkb(wkb).tolist())
    except (*_ERRORS, shapely.errors.ShapelyError) as err:
        word = str(err).splitlines()[0][:160] if str(err) else type(err).__name__
        raise SourceError(f"{shown}: no OSM extract that can be read to the end ({word}); ask for it again") from err
    names = [str(name) for name in meta["fields"]]
    columns = dict(zip(names, fields, strict=True))
    letter = {"points": "n", "lines": "w"}.get(layer, "r")
    ways = columns.get("osm_way_id", np.full(len(geometry), None, dtype=object))
    rows = []
    for row, (own, way) in enumerate(zip(columns["osm_id"].tolist(), ways.tolist(), strict=True)):
        tag = {name: str(columns[name][row]) for name in names if name not in _PLAIN and columns[name][row] is not None}
        rows.append((f"w{way}" if way else f"{letter}{own}", tag | hstore(columns["other_tags"][row])))
    return rows, geometry


def hstore(text: str | None) -> Tags:
    """Tags of GDAL's `other_tags`: "key"=>"value", quotes and backslashes escaped by a backslash."""
    return {_bare(key): _bare(value) for key, value in _PAIR.findall(text or "")}


def _bare(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word)


def _wanted(tags: Tags, rules: Mapping[str, Any]) -> bool:
    for key in rules["keys"]:
        value = tags.get(key)
        if value is not None and value not in rules.get("not", ()) and value in rules.get("only", (value,)):
            return True
    return False


def _fields(
    tags: list[Tags], name: str, rules: Mapping[str, Any], named: Iterable[str]
) -> dict[str, Objects | np.ndarray[Any, np.dtype[np.float64]]]:
    said, declared = table(), FEATURE_CLASSES[name].columns
    coded, keys, values = bool(rules.get("code")), rules["keys"], said["values"] | rules.get("values", {})
    used: set[str] = set()
    fields: dict[str, Any] = {}
    for column, choices in (said["columns"] | rules.get("columns", {})).items():
        if column in declared and not (column == "code" and coded):
            words = [_first(tag, choices) for tag in tags]
            lookup = values.get(column)
            fields[column] = objects([_word(word, lookup) for word in words])
            used.update(choices if lookup is None else ())
    if coded:
        fields["code"] = objects([next((tag[key] for key in keys if key in tag), "") for tag in tags])
        used.update(keys)
    for part, read in (("numbers", _number), ("lengths", metres)):
        for column, choices in said[part].items():
            if column in declared:
                fields[column] = np.array([read(_first(tag, choices)) for tag in tags], dtype=np.float64)
    for key in named:
        if key not in fields:
            fields[key] = objects([tag.get(key, "") for tag in tags])
            used.add(key)
    rest = ({key: value for key, value in sorted(tag.items()) if key not in used} for tag in tags)
    fields["attributes"] = objects([orjson.dumps(one).decode() if one else "" for one in rest])
    return fields


def _first(tags: Tags, choices: Iterable[str]) -> str:
    return next((tags[key] for key in choices if tags.get(key)), "")


def _word(word: str, lookup: Mapping[str, str] | None) -> str:
    return word if lookup is None or not word else lookup.get(word, lookup.get("*", word))


def _number(word: str) -> float:
    """The number a value begins with: 3 of "3-4", 1998 of "1998-05-01"."""
    match = _NUMBER.match(word)
    return float(match[1].replace(",", ".")) if match else float("nan")


def metres(word: str) -> float:
    """Metres of a length as mappers write it: 12, "12 m", "12,5", "40 ft", 12'6"; NaN for what is none.

    source  OSM wiki, Map features/Units: metres where no unit stands
    """
    plain = word.strip()
    match = _FEET.match(plain)
    if match:
        return (float(match[1]) + float(match[2] or 0.0) / 12.0) * 0.3048
    match = _LENGTH.match(plain)
    if not match:
        return float("nan")
    return float(match[1].replace(",", ".")) * _UNITS.get(match[2].lower(), 1.0)
