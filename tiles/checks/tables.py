"""Checks of property tables in binary: lengths, offsets, alignment, enums, what is missing, least and largest values.

A subtree's tables are those of EXT_structural_metadata, so both come here as a Gltf.

source  OGC 22-025r4, binary table format; Cesium EXT_structural_metadata
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.checks.findings import Findings
from tiles.checks.schema import COMPONENTS, NUMERIC, WIDTHS, transformed
from tiles.gltf.glb import Gltf
from twin.errors import SourceError

_EXTENSION = "EXT_structural_metadata"
_NEAR = 1e-6


def check_tables(gltf: Gltf, schema: Mapping[str, Any], found: Findings) -> None:
    """Every property table against its class and its bytes."""
    for index, table in enumerate(gltf.document.get("extensions", {}).get(_EXTENSION, {}).get("propertyTables", [])):
        where = f"{gltf.where}: property table {index}"
        kind = schema.get("classes", {}).get(table.get("class"))
        if not found.require(
            kind is not None, where, f"there is no class {table.get('class')!r}", "IDENTIFIER_NOT_FOUND"
        ):
            continue
        count = table.get("count")
        if not found.require(count is not None and count >= 1, where, f"count is {count!r}", "VALUE_NOT_IN_RANGE"):
            continue
        described, given = kind.get("properties", {}), table.get("properties", {})
        for name, entry in given.items():
            if found.require(name in described, where, f"its class has no {name}", "IDENTIFIER_NOT_FOUND"):
                _Column(gltf, described[name], entry, schema, (f"{where}: {name}", count)).check(found)
        for name, entry in described.items():
            found.require(
                name in given or not entry.get("required"),
                where,
                f"{name} is required and missing",
                "METADATA_VALUE_REQUIRED_BUT_MISSING",
            )
        found.count("features", count)


class _Column:
    """One property of a table, and its bytes."""

    def __init__(
        self,
        gltf: Gltf,
        described: Mapping[str, Any],
        entry: Mapping[str, Any],
        schema: Mapping[str, Any],
        place: tuple[str, int],
    ) -> None:
        self.gltf, self.described, self.entry, self.schema = gltf, described, entry, schema
        self.where, self.count = place

    def check(self, found: Findings) -> None:
        """Check the bytes, as far as they can be read."""
        kind = self.described.get("type")
        if kind not in WIDTHS:
            return
        try:
            items = self._items(found)
            if items is None:
                return
            data = self._view("values")
            if kind == "STRING":
                self._strings(data, items, found)
            elif kind == "BOOLEAN":
                self._length(data, -(-items // 8), found)
            else:
                self._numbers(data, items, found)
        except (SourceError, KeyError, IndexError) as error:
            found.fault(self.where, f"cannot be read: {error}", "METADATA_INVALID_LENGTH")

    def _view(self, key: str) -> bytes:
        return self.gltf.view(int(self.entry[key]))

    def _items(self, found: Findings) -> int | None:
        """How many values the column has, elements of arrays counted singly."""
        if not self.described.get("array"):
            return self.count
        if "count" in self.described:
            return self.count * int(self.described["count"])
        offsets = self._offsets("arrayOffsets", "arrayOffsetType", self.count, found)
        return None if offsets is None else int(offsets[-1])

    def _offsets(self, key: str, kind: str, count: int, found: Findings) -> NDArray[np.int64] | None:
        if not found.require(key in self.entry, self.where, f"has no {key}", "PROPERTY_MISSING"):
            return None
        name = self.entry.get(kind, "UINT32")
        if not found.require(
            name in ("UINT8", "UINT16", "UINT32", "UINT64"), self.where, f"{kind} is {name!r}", "VALUE_NOT_IN_LIST"
        ):
            return None
        dtype, data = COMPONENTS[name], self._view(key)
        self._aligned(key, dtype, found)
        if not self._length(data, (count + 1) * dtype.itemsize, found, key):
            return None
        offsets = np.frombuffer(data, dtype, count + 1).astype(np.int64)
        rising = offsets[0] == 0 and not np.any(np.diff(offsets) < 0)
        words = f"{key} is not monotone from 0"
        return offsets if found.require(rising, self.where, words, "METADATA_INVALID_OFFSETS") else None

    def _length(self, data: bytes, wanted: int, found: Findings, key: str = "values") -> bool:
        found.require(
            len(data) == wanted,
            self.where,
            f"{key} has {len(data)} bytes, {wanted} are needed",
            "METADATA_INVALID_LENGTH",
        )
        return len(data) >= wanted

    def _aligned(self, key: str, dtype: np.dtype[Any], found: Findings) -> None:
        view = self.gltf.document["bufferViews"][self.entry[key]]
        offset = view.get("byteOffset", 0)
        found.require(
            offset % dtype.itemsize == 0,
            self.where,
            f"{key} starts at byte {offset}, no multiple of {dtype.itemsize}",
            "METADATA_INVALID_ALIGNMENT",
        )

    def _strings(self, data: bytes, items: int, found: Findings) -> None:
        offsets = self._offsets("stringOffsets", "stringOffsetType", items, found)
        if offsets is None:
            return
        found.require(
            offsets[-1] == len(data),
            self.where,
            f"the last string ends at byte {offsets[-1]} of {len(data)}",
            "METADATA_INVALID_OFFSETS",
        )
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            found.fault(self.where, f"is not UTF-8 at byte {error.start}", "BINARY_INVALID_VALUE")
            return
        array = np.frombuffer(data, np.uint8)
        starts = offsets[:-1][offsets[:-1] < len(array)]
        cut = (array[starts] & 0xC0) == 0x80 if len(starts) else np.zeros(0, bool)
        found.require(not cut.any(), self.where, "a string starts within a character", "METADATA_INVALID_OFFSETS")

    def _numbers(self, data: bytes, items: int, found: Findings) -> None:
        kind = self.described["type"]
        enum = self.schema.get("enums", {}).get(self.described.get("enumType"), {}) if kind == "ENUM" else {}
        dtype = COMPONENTS[enum.get("valueType", "UINT16") if kind == "ENUM" else self.described["componentType"]]
        self._aligned("values", dtype, found)
        width = WIDTHS[kind]
        if not self._length(data, items * width * dtype.itemsize, found):
            return
        raw = np.frombuffer(data, dtype, items * width).reshape(items, width)
        if kind == "ENUM":
            check_codes(raw[:, 0], enum, self.where, found)
            return
        finite = bool(np.isfinite(raw).all()) if dtype.kind == "f" else True
        found.require(finite, self.where, "holds a number that is not finite", "BINARY_INVALID_VALUE")
        array, fixed = self.described.get("array"), "count" in self.described
        if finite and (fixed or not array):
            length = int(self.described["count"]) if array else 1
            check_limits(raw.reshape(self.count, length * width), self.described, self.entry, self.where, found)


def check_codes(raw: NDArray[Any], enum: Mapping[str, Any], where: str, found: Findings) -> None:
    """Codes (n,) of an enum are those that it lists."""
    known = np.isin(raw, np.array([value["value"] for value in enum.get("values", [])]))
    strange = np.unique(raw[~known])[:3].tolist()
    found.require(known.all(), where, f"codes {strange} are none of the enum", "METADATA_VALUE_NOT_IN_RANGE")


def check_limits(
    rows: NDArray[Any], described: Mapping[str, Any], entry: Mapping[str, Any], where: str, found: Findings
) -> None:
    """Least and largest of stored values (n, width) after normalization, scale and offset, those for none left out.

    described, entry    the property as the class and as the table, texture or attribute tells it
    """
    if "noData" in described:
        none = np.asarray(described["noData"], dtype=np.float64).reshape(-1)
        if none.size in (1, rows.shape[1]):
            rows = rows[~(rows == none.astype(rows.dtype)).all(axis=1)]
    if not rows.size or not _fits(rows.shape[1], described, entry, (where, found)):
        return
    scaled = {key: entry[key] for key in ("scale", "offset") if key in entry and described["type"] in NUMERIC}
    values = np.asarray(transformed(rows.astype(np.float64), scaled, described))
    span = float(np.abs(values).max()) * _NEAR + (1e-12 if rows.dtype.kind == "f" else 0.0)
    for key, least in (("min", values.min(axis=0)), ("max", values.max(axis=0))):
        sign = 1.0 if key == "min" else -1.0
        for owner, told in (("class", described), ("table", entry)):
            if key not in told:
                continue
            limit = np.broadcast_to(np.asarray(told[key], np.float64).reshape(-1), least.shape)
            kept = (sign * (least - limit) >= -span).all()
            found.require(kept, where, f"breaks its {key} {told[key]} ({owner})", "METADATA_VALUE_NOT_IN_RANGE")
            if owner == "table" and (sign * (least - limit) > span).any():
                found.fault(where, f"its {key} is said to be {told[key]}", "METADATA_VALUE_MISMATCH")


def _fits(width: int, described: Mapping[str, Any], entry: Mapping[str, Any], place: tuple[str, Findings]) -> bool:
    """Whether limits, scale and offset have as many numbers as a value."""
    where, found = place
    for told in (described, entry):
        for key in ("min", "max", "scale", "offset"):
            size = np.size(told.get(key, 0.0))
            words = f"its {key} has {size} of {width} numbers"
            if not found.require(size in (1, width), where, words, "ARRAY_LENGTH_MISMATCH"):
                return False
    return True
