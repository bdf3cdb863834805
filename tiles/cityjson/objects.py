"""City objects: a building with its geometries, its parts, and what is known of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from tiles.cityjson.geometry import Shapes, geometries
from tiles.cityjson.pool import Pool
from twin.features import Layer
from twin.meshes import Surface

# Our columns under the names of CityGML 3.0 (OGC 20-010); the others keep their own.
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "height": "measuredHeight",
        "storeys": "storeysAboveGround",
        "year_built": "yearOfConstruction",
        "roof_type": "roofType",
    }
)
# Levels of CJJ/T 315-2022 by tens of LoD: frame model, standard model, fine model.
CIM: Mapping[int, str] = MappingProxyType({1: "CIM2", 2: "CIM3", 3: "CIM4"})
_WHOLE = frozenset({"storeys", "year_built"})
_INSTALLED = frozenset({"BuildingInstallation", "BuildingConstructiveElement"})
_OF_MODEL = ("owner", "cim_level")


@dataclass(frozen=True, slots=True)
class Rows:
    """Some solids of a batch that belong to one city object, in the order of the store."""

    shapes: Shapes
    rows: Sequence[int]


@dataclass(slots=True)
class Owned:
    """Everything of one city object: its own attributes and its solids, batch by batch."""

    oid: str
    attributes: dict[str, Any] = field(default_factory=dict)
    rows: list[Rows] = field(default_factory=list)


def cim_level(lod: int) -> str:
    """The level of CJJ/T 315-2022 that ten times a LoD stands for."""
    return CIM.get(lod // 10, "CIM4" if lod >= 30 else "CIM2")


def attributes_of(layer: Layer, row: int, names: Mapping[str, str] = NAMES) -> dict[str, Any]:
    """What a layer says of one feature: declared columns, then the source's own ones; what is unknown is left out.

    names   columns that are called otherwise in the class of the city object
    """
    told: dict[str, Any] = {}
    for key, values in layer.columns.items():
        value = _plain(values[row], key in _WHOLE)
        if value is not None and key != "attributes":
            told[names.get(key, key)] = value
    return _own(layer.columns.get("attributes"), row) | told


def _own(column: Any, row: int) -> dict[str, Any]:
    if column is None or not column[row]:
        return {}
    try:
        found = orjson.loads(column[row])
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any, whole: bool = False) -> Any:
    if isinstance(value, str):
        return value or None
    number = float(value)
    if not math.isfinite(number):
        return None
    return int(number) if whole and number == int(number) else round(number, 6)


def city_objects(owned: Owned, pool: Pool) -> dict[str, dict[str, Any]]:
    """The city object and its parts, each under its identifier; the parts' geometry is their own."""
    own: list[dict[str, Any]] = []
    parts: dict[str, dict[str, Any]] = {}
    told: dict[str, Any] = {}
    highest = 0
    for rows in owned.rows:
        solids = rows.shapes.solids
        for row in rows.rows:
            drawn = geometries(rows.shapes, row, pool)
            name, lod = str(solids.oid[row]), int(solids.lod[row])
            highest = max(highest, lod)
            columns = {k: v for k, column in solids.attributes.items() if (v := _plain(column[row])) is not None}
            columns = {k: v for k, v in columns.items() if k not in _OF_MODEL}
            if name == owned.oid:
                own += drawn
                told |= columns
            elif drawn:
                parts[name] = {
                    "type": _kind(rows.shapes, row, str(columns.get("part", ""))),
                    "attributes": columns | {"cim_level": cim_level(lod)},
                    "geometry": drawn,
                    "parents": [owned.oid],
                }
    whole: dict[str, Any] = {"type": "Building"}
    whole["attributes"] = _renamed(told) | owned.attributes | {"cim_level": cim_level(highest)}
    if own:
        whole["geometry"] = own
    if parts:
        whole["children"] = list(parts)
    return {owned.oid: whole, **parts}


def _renamed(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {NAMES.get(key, key): value for key, value in columns.items()}


def _kind(shapes: Shapes, row: int, told: str) -> str:
    """The class of a part: as delivered, an installation where it is nothing else, else a part of the building."""
    if told in _INSTALLED:
        return told
    solids = shapes.solids
    faces = solids.surface[solids.face_offset[row] : solids.face_offset[row + 1]]
    return "BuildingInstallation" if len(faces) and (faces == Surface.INSTALLATION).all() else "BuildingPart"
