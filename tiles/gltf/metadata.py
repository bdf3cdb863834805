"""Typed columns of features inside a glTF: EXT_structural_metadata property tables, written and read.

source  Cesium EXT_structural_metadata; OGC 22-025r4 (3D Metadata, binary table format)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.gltf.glb import Builder, Gltf
from twin.errors import SourceError

IDENTIFIER = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*$")

_NUMERIC = {
    "INT8": "i1",
    "UINT8": "u1",
    "INT16": "<i2",
    "UINT16": "<u2",
    "INT32": "<i4",
    "UINT32": "<u4",
    "INT64": "<i8",
    "UINT64": "<u8",
    "FLOAT32": "<f4",
    "FLOAT64": "<f8",
}
_LENGTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16, "ENUM": 1}
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Property:
    """One column of a feature class.

    kind        "STRING", "BOOLEAN", "ENUM", or a component type such as "FLOAT32" for a number
                (a tile with a BOOLEAN is not shown by loaders.gl 4.5, deck.gl's reader: our classes say UINT8)
    values      names of an ENUM with their codes; names not listed become "unknown"
    no_data     number that stands for a missing value; a NaN becomes it
    optional    of a STRING: "" means missing, and a column of nothing but "" is left out of the table
    """

    id: str
    kind: str
    title: str
    doc: str = ""
    values: Mapping[str, int] | None = None
    no_data: float | None = None
    optional: bool = False

    def declaration(self) -> dict[str, Any]:
        """The property as the schema says it."""
        entry: dict[str, Any] = {"name": self.title}
        if self.doc:
            entry["description"] = self.doc
        if self.kind == "ENUM":
            entry |= {"type": "ENUM", "enumType": self.id}
        elif self.kind in ("STRING", "BOOLEAN"):
            entry["type"] = self.kind
        else:
            entry |= {"type": "SCALAR", "componentType": self.kind}
        if self.optional:
            return entry | {"required": False, "noData": "", "default": ""}
        entry["required"] = self.no_data is None
        if self.no_data is not None:
            entry["noData"] = self.no_data if self.kind.startswith("FLOAT") else int(self.no_data)
        return entry


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """A class of features with its columns."""

    id: str
    title: str
    properties: tuple[Property, ...]

    def declaration(self) -> dict[str, Any]:
        """The schema object of EXT_structural_metadata."""
        schema: dict[str, Any] = {
            "id": f"pingcheng_{self.id}",
            "classes": {
                self.id: {"name": self.title, "properties": {p.id: p.declaration() for p in self.properties}},
            },
        }
        enums = {
            p.id: {"valueType": "UINT8", "values": [{"name": name, "value": code} for name, code in p.values.items()]}
            for p in self.properties
            if p.values is not None
        }
        return schema | ({"enums": enums} if enums else {})


def codes(names: Sequence[str]) -> dict[str, int]:
    """ENUM values: "unknown" is 0, then `names` in order."""
    return {UNKNOWN: 0} | {name: code for code, name in enumerate((n for n in names if n != UNKNOWN), start=1)}


def write_table(schema: FeatureSchema, columns: Mapping[str, NDArray[Any]], builder: Builder) -> dict[str, Any]:
    """The EXT_structural_metadata object of one property table; its bytes go into `builder`.

    columns     property id -> (n,) values; every property of the schema
    """
    count = len(next(iter(columns.values())))
    table = {
        "class": schema.id,
        "count": count,
        "properties": {
            p.id: _write_column(p, columns[p.id], builder)
            for p in schema.properties
            if not (p.optional and not any(columns[p.id].tolist()))
        },
    }
    return {"schema": schema.declaration(), "propertyTables": [table]}


def _write_column(prop: Property, values: NDArray[Any], builder: Builder) -> dict[str, Any]:
    if prop.kind == "STRING":
        return _write_strings(values, builder)
    if prop.kind == "BOOLEAN":
        return {"values": builder.view(np.packbits(values.astype(bool), bitorder="little").tobytes())}
    if prop.kind == "ENUM":
        known = prop.values or {}
        numbers = np.array([known.get(name, 0) for name in values.tolist()], dtype=np.uint8)
        return {"values": builder.view(numbers.tobytes())}
    dtype = np.dtype(_NUMERIC[prop.kind])
    numbers = np.asarray(values, dtype=np.float64)
    if prop.no_data is not None:
        numbers = np.where(np.isfinite(numbers), numbers, prop.no_data)
    if dtype.kind in "iu":
        numbers = np.clip(np.round(numbers), np.iinfo(dtype).min, np.iinfo(dtype).max)
    stored = numbers.astype(dtype)
    entry: dict[str, Any] = {"values": builder.view(stored.tobytes())}
    real = stored if prop.no_data is None else stored[stored != dtype.type(prop.no_data)]
    if len(real):
        entry |= {"min": real.min().item(), "max": real.max().item()}
    return entry


def _write_strings(values: NDArray[Any], builder: Builder) -> dict[str, Any]:
    words = [word.encode() for word in values.tolist()]
    offsets = np.concatenate([[0], np.cumsum([len(word) for word in words])])
    small = offsets[-1] <= 65535
    stored = offsets.astype("<u2" if small else "<u4")
    return {
        "values": builder.view(b"".join(words)),
        "stringOffsets": builder.view(stored.tobytes()),
        "stringOffsetType": "UINT16" if small else "UINT32",
    }


def read_table(gltf: Gltf, index: int = 0, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """property id -> values of a property table; strings as object arrays, enums as their names.

    Array-valued and vector-valued properties come back as lists of arrays.
    schema  for a glTF that names its schema by `schemaUri`
    raises  SourceError where lengths or offsets do not fit
    """
    extension = gltf.document.get("extensions", {}).get("EXT_structural_metadata", {})
    schema = extension.get("schema") or schema
    tables = extension.get("propertyTables", [])
    if schema is None or index >= len(tables):
        raise SourceError(f"{gltf.where}: there is no property table {index} with a schema")
    table = tables[index]
    described = schema["classes"][table["class"]]["properties"]
    enums = schema.get("enums", {})
    return {
        name: _read_column(gltf, described[name], entry, int(table["count"]), enums)
        for name, entry in table.get("properties", {}).items()
    }


def _read_column(
    gltf: Gltf, described: Mapping[str, Any], entry: Mapping[str, Any], count: int, enums: Mapping[str, Any]
) -> Any:
    size = int(described.get("count", 1)) if described.get("array") else 1
    data = gltf.view(entry["values"])
    bounds = np.arange(count + 1) * size
    if described.get("array") and "count" not in described:
        bounds = _offsets(gltf, entry, "arrayOffsets", "arrayOffsetType", count)
    flat = _read_flat(gltf, described, entry, (data, int(bounds[-1])), enums)
    if not described.get("array"):
        return flat
    return [flat[a:b] for a, b in pairwise(bounds)]


def _read_flat(
    gltf: Gltf,
    described: Mapping[str, Any],
    entry: Mapping[str, Any],
    packed: tuple[bytes, int],
    enums: Mapping[str, Any],
) -> NDArray[Any]:
    data, count = packed
    kind = described["type"]
    if kind == "STRING":
        at = _offsets(gltf, entry, "stringOffsets", "stringOffsetType", count)
        if at[-1] > len(data):
            raise SourceError(f"{gltf.where}: a string ends at byte {at[-1]} of {len(data)}")
        words = np.empty(count, dtype=object)
        words[:] = [data[a:b].decode("utf-8") for a, b in pairwise(at)]
        return words
    if kind == "BOOLEAN":
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        if len(bits) < count:
            raise SourceError(f"{gltf.where}: {len(data)} bytes are too few for {count} booleans")
        return bits[:count].astype(bool)
    component = (
        enums[described["enumType"]].get("valueType", "UINT16") if kind == "ENUM" else described["componentType"]
    )
    width = _LENGTHS[kind]
    dtype = np.dtype(_NUMERIC[component])
    if len(data) < count * width * dtype.itemsize:
        raise SourceError(f"{gltf.where}: {len(data)} bytes are too few for {count} values of {component}")
    numbers = np.frombuffer(data, dtype, count * width)
    if kind == "ENUM":
        names = {v["value"]: v["name"] for v in enums[described["enumType"]]["values"]}
        words = np.empty(count, dtype=object)
        words[:] = [names.get(int(code), "") for code in numbers]
        return words
    return numbers if width == 1 else numbers.reshape(count, width)


def _offsets(gltf: Gltf, entry: Mapping[str, Any], key: str, kind: str, count: int) -> NDArray[np.int64]:
    dtype = np.dtype(_NUMERIC[entry.get(kind, "UINT32")])
    data = gltf.view(entry[key])
    if len(data) < (count + 1) * dtype.itemsize:
        raise SourceError(f"{gltf.where}: {key} has {len(data)} bytes for {count + 1} offsets")
    offsets = np.frombuffer(data, dtype, count + 1).astype(np.int64)
    if np.any(np.diff(offsets) < 0):
        raise SourceError(f"{gltf.where}: {key} is not monotone")
    return offsets
