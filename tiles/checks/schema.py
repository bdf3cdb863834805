"""Checks of a metadata schema and of metadata entities in JSON, of tilesets, subtrees and glTF alike.

source  OGC 22-025r4, 3D Metadata; Cesium EXT_structural_metadata
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.checks.findings import Findings
from tiles.gltf.metadata import IDENTIFIER

COMPONENTS: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(code)
    for name, code in {
        "INT8": "i1", "UINT8": "u1", "INT16": "<i2", "UINT16": "<u2", "INT32": "<i4", "UINT32": "<u4",
        "INT64": "<i8", "UINT64": "<u8", "FLOAT32": "<f4", "FLOAT64": "<f8",
    }.items()
}  # fmt: skip
WIDTHS: Mapping[str, int] = {
    "SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16,
    "STRING": 1, "BOOLEAN": 1, "ENUM": 1,
}  # fmt: skip
"""Type of a property -> numbers in one value."""

NUMERIC = ("SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4")

_FLOATS, _UNSIGNED = ("FLOAT32", "FLOAT64"), ("UINT8", "UINT16", "UINT32", "UINT64")
_BOX, _REGION = ("SCALAR", 12, _FLOATS), ("SCALAR", 6, _FLOATS)
_SPHERE, _POINT, _LENGTH = ("VEC4", 1, _FLOATS), ("VEC3", 1, _FLOATS), ("SCALAR", 1, _FLOATS)
_CELL, _NUMBER, _WORD = ("SCALAR", 1, ("UINT64",)), ("SCALAR", 1, _UNSIGNED), ("STRING", 1, ())
SEMANTICS: Mapping[str, tuple[str, int, tuple[str, ...]] | None] = {
    "ID": None, "NAME": _WORD, "DESCRIPTION": _WORD, "ATTRIBUTION_IDS": ("SCALAR", 0, _UNSIGNED),
    "ATTRIBUTION_STRINGS": ("STRING", 0, ()), "FEATURE_ID_TEXTURE": None,
    "TILESET_TILE_COUNT": ("SCALAR", 1, ()), "TILESET_FEATURE_ID_LABELS": None, "TILESET_CRS_GEOCENTRIC": _WORD,
    "TILESET_CRS_COORDINATE_EPOCH": _WORD,
    "TILE_BOUNDING_BOX": _BOX, "TILE_BOUNDING_REGION": _REGION, "TILE_BOUNDING_SPHERE": _SPHERE,
    "TILE_MINIMUM_HEIGHT": _LENGTH, "TILE_MAXIMUM_HEIGHT": _LENGTH,
    "TILE_HORIZON_OCCLUSION_POINT": _POINT, "TILE_GEOMETRIC_ERROR": _LENGTH, "TILE_REFINE": ("SCALAR", 1, ("UINT8",)),
    "TILE_TRANSFORM": ("MAT4", 1, _FLOATS), "TILE_BOUNDING_S2_CELL": _CELL,
    "CONTENT_BOUNDING_BOX": _BOX, "CONTENT_BOUNDING_REGION": _REGION, "CONTENT_BOUNDING_SPHERE": _SPHERE,
    "CONTENT_BOUNDING_S2_CELL": _CELL, "CONTENT_MINIMUM_HEIGHT": _LENGTH,
    "CONTENT_MAXIMUM_HEIGHT": _LENGTH, "CONTENT_HORIZON_OCCLUSION_POINT": _POINT,
    "CONTENT_URI": _WORD, "CONTENT_GROUP_ID": _NUMBER,
}  # fmt: skip
"""Semantics of 3D Tiles -> type, how many values (0: any number), component types (none: any); None where several do.

source  CesiumGS/3d-tiles, specification/Metadata/Semantics
"""


def check_schema(schema: Mapping[str, Any], where: str, found: Findings) -> None:
    """Everything that can be wrong in a schema, and remarks on what is unusual."""
    name = schema.get("id")
    if found.require(isinstance(name, str), where, "the schema has no id", "PROPERTY_MISSING"):
        _identifier(str(name), where, found)
    for kind, entry in schema.get("enums", {}).items():
        _identifier(kind, where, found)
        _enum(entry, f"{where}: enum {kind}", found)
    for kind, entry in schema.get("classes", {}).items():
        _identifier(kind, where, found)
        filled = entry.get("properties", True)
        found.require(filled, where, f"class {kind} has no property", "NUMBER_OF_PROPERTIES_MISMATCH")
        semantics: list[str] = []
        for prop, described in entry.get("properties", {}).items():
            _identifier(prop, where, found)
            _property(described, schema, f"{where}: {kind}.{prop}", found)
            semantics += [described["semantic"]] if "semantic" in described else []
        twice = sorted({word for word in semantics if semantics.count(word) > 1})
        found.require(
            not twice, where, f"class {kind} has {', '.join(twice)} twice", "CLASS_PROPERTIES_DUPLICATE_SEMANTIC"
        )


def _identifier(name: str, where: str, found: Findings) -> None:
    found.require(
        IDENTIFIER.match(name), where, f"{name!r} is no identifier of the metadata schema", "STRING_PATTERN_MISMATCH"
    )


def _enum(entry: Mapping[str, Any], where: str, found: Findings) -> None:
    kind = entry.get("valueType", "UINT16")
    known = kind in COMPONENTS and not str(kind).startswith("FLOAT")
    found.require(known, where, f"valueType is {kind!r}", "VALUE_NOT_IN_LIST")
    values = entry.get("values")
    if not found.require(values, where, "has no values", "PROPERTY_MISSING"):
        return
    names, codes = ([value[key] for value in values] for key in ("name", "value"))
    found.require(len(set(names)) == len(names), where, "names a value twice", "ENUM_VALUE_DUPLICATE_NAME")
    found.require(len(set(codes)) == len(codes), where, "has a value twice", "ENUM_VALUE_DUPLICATE_VALUE")
    if known:
        info = np.iinfo(COMPONENTS[kind])
        inside = all(info.min <= code <= info.max for code in codes)
        found.require(inside, where, f"a value does not fit into {kind}", "VALUE_NOT_IN_RANGE")


def _property(entry: Mapping[str, Any], schema: Mapping[str, Any], where: str, found: Findings) -> None:
    kind, component = entry.get("type"), entry.get("componentType")
    if not found.require(kind in WIDTHS, where, f"type is {kind!r}", "VALUE_NOT_IN_LIST"):
        return
    if kind in NUMERIC:
        if found.require(component is not None, where, "has no componentType", "CLASS_PROPERTY_COMPONENT_TYPE_MISSING"):
            found.require(component in COMPONENTS, where, f"componentType is {component!r}", "VALUE_NOT_IN_LIST")
    else:
        found.require(
            component is None,
            where,
            f"{kind} has a componentType",
            "CLASS_PROPERTY_COMPONENT_TYPE_FOR_NON_NUMERIC_TYPE",
        )
    _enum_type(entry, schema, where, found)
    _numbers_only(entry, where, found)
    if "count" in entry:
        found.require(entry.get("array"), where, "has a count but is no array", "CLASS_PROPERTY_COUNT_FOR_NON_ARRAY")
        found.require(entry["count"] >= 2, where, "count is below 2", "VALUE_NOT_IN_RANGE")
    found.require(
        not (entry.get("required") and ("noData" in entry or "default" in entry)),
        where,
        "is required and has noData or a default",
        "CLASS_PROPERTY_INCONSISTENT",
    )
    found.require(
        kind != "BOOLEAN" or "noData" not in entry, where, "is BOOLEAN and has noData", "CLASS_PROPERTY_INCONSISTENT"
    )
    for key in ("noData", "default"):
        if key in entry:
            check_value(entry[key], entry, schema, (where, key), found)
    _semantic(entry, where, found)


def _enum_type(entry: Mapping[str, Any], schema: Mapping[str, Any], where: str, found: Findings) -> None:
    name = entry.get("enumType")
    if entry["type"] != "ENUM":
        found.require(
            name is None, where, f"{entry['type']} has an enumType", "CLASS_PROPERTY_ENUMTYPE_WITH_NON_ENUM_TYPE"
        )
    elif found.require(name is not None, where, "has no enumType", "CLASS_PROPERTY_ENUM_TYPE_WITHOUT_ENUMTYPE"):
        found.require(
            name in schema.get("enums", {}), where, f"there is no enum {name!r}", "CLASS_PROPERTY_ENUMTYPE_NOT_FOUND"
        )


def _numbers_only(entry: Mapping[str, Any], where: str, found: Findings) -> None:
    numeric, component = entry["type"] in NUMERIC, str(entry.get("componentType", ""))
    if entry.get("normalized"):
        found.require(
            numeric and not component.startswith("FLOAT"),
            where,
            "is normalized and holds no integers",
            "CLASS_PROPERTY_NORMALIZED_FOR_NON_NORMALIZABLE_TYPE",
        )
    if "offset" in entry or "scale" in entry:
        found.require(
            numeric and (component.startswith("FLOAT") or entry.get("normalized")),
            where,
            "has offset or scale, and is neither float nor normalized",
            "METADATA_OFFSET_SCALE_FOR_NON_FLOATING_POINT_TYPE",
        )
    if "min" in entry or "max" in entry:
        found.require(numeric, where, "has min or max and is no number", "METADATA_MIN_MAX_FOR_NON_NUMERIC_TYPE")
    if numeric:
        _sizes(entry, where, found)


def _sizes(entry: Mapping[str, Any], where: str, found: Findings) -> None:
    """Offset, scale and limits are of the form of a value."""
    array, width = bool(entry.get("array")), WIDTHS[entry["type"]]
    wanted = (*([int(entry.get("count", 0))] if array else []), *([width] if width > 1 else []))
    for key in ("offset", "scale", "min", "max"):
        if key not in entry:
            continue
        if array and "count" not in entry:
            issue = "METADATA_PROPERTY_INVALID_FOR_VARIABLE_LENGTH_ARRAY"
            found.fault(where, f"is an array of any length and has {key}", issue)
            continue
        got = _form(entry[key])
        issue = "ARRAY_LENGTH_MISMATCH" if len(got) == len(wanted) else "TYPE_MISMATCH"
        found.require(got == wanted, where, f"{key} is of form {list(got)}, a value of {list(wanted)}", issue)


def _form(value: Any) -> tuple[int, ...]:
    """Lengths of nested lists, from outside in; -1 where they differ."""
    if not isinstance(value, list):
        return ()
    inner = {_form(item) for item in value}
    return (len(value), *(inner.pop() if len(inner) == 1 else (-1,)))


def _semantic(entry: Mapping[str, Any], where: str, found: Findings) -> None:
    name = entry.get("semantic")
    if name is None:
        return
    if name not in SEMANTICS:
        found.remark(f"semantic {name!r} is none of 3D Tiles [METADATA_SEMANTIC_UNKNOWN]")
        return
    wanted = SEMANTICS[name]
    if wanted is None:
        return
    got = (entry["type"], int(entry.get("count", 0)) if entry.get("array") else 1)
    fine = got[0] == wanted[0] and (got[1] == wanted[1] or (wanted[1] == 0 and bool(entry.get("array"))))
    shown = f"{got[0]} x {got[1]}, not {wanted[0]} x {wanted[1] or 'any number'}"
    found.require(fine, where, f"{name} is {shown}", "METADATA_SEMANTIC_INVALID")
    component = entry.get("componentType")
    fine = not wanted[2] or component in wanted[2]
    found.require(fine, where, f"{name} is {component}, not {' or '.join(wanted[2])}", "METADATA_SEMANTIC_INVALID")
    found.require(not entry.get("normalized"), where, f"{name} is normalized", "METADATA_SEMANTIC_INVALID")


def check_entity(
    entity: Mapping[str, Any], schema: Mapping[str, Any] | None, where: str, found: Findings
) -> Mapping[str, Any] | None:
    """One metadata entity, as of a tileset or tile, against its class; the class, None where there is none."""
    classes = (schema or {}).get("classes", {})
    name = entity.get("class")
    if not found.require(name in classes, where, f"there is no class {name!r}", "IDENTIFIER_NOT_FOUND"):
        return None
    described = classes[name].get("properties", {})
    given = entity.get("properties", {})
    for prop, value in given.items():
        if found.require(prop in described, where, f"{name} has no property {prop}", "IDENTIFIER_NOT_FOUND"):
            check_value(value, described[prop], schema or {}, (where, prop), found)
    for prop, entry in described.items():
        found.require(
            prop in given or not entry.get("required"),
            where,
            f"{name}.{prop} is required and missing",
            "METADATA_VALUE_REQUIRED_BUT_MISSING",
        )
    return classes[name]


def check_value(
    value: Any, entry: Mapping[str, Any], schema: Mapping[str, Any], names: tuple[str, str], found: Findings
) -> None:
    """One value in JSON against the property that it is of."""
    where, key = names
    if not entry.get("array"):
        items: Sequence[Any] = [value]
    elif found.require(isinstance(value, list), where, f"{key} is no array", "TYPE_MISMATCH"):
        items = value
        fits = "count" not in entry or len(value) == entry["count"]
        found.require(fits, where, f"{key} has {len(value)} elements", "ARRAY_LENGTH_MISMATCH")
    else:
        return
    wrong = [item for item in items if not _fits(item, entry, schema)]
    if not found.require(not wrong, where, f"{key} holds {wrong[:1]}, no {entry.get('type')}", "TYPE_MISMATCH"):
        return
    if entry.get("type") in NUMERIC and key not in ("noData", "default"):
        _check_limits(items, entry, (where, key), found)


def _fits(item: Any, entry: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    kind = entry.get("type")
    if kind == "STRING":
        return isinstance(item, str)
    if kind == "BOOLEAN":
        return isinstance(item, bool)
    if kind == "ENUM":
        values = schema.get("enums", {}).get(entry.get("enumType"), {}).get("values", [])
        return item in [value.get("name") for value in values]
    numbers = item if isinstance(item, list) else [item]
    if len(numbers) != WIDTHS.get(str(kind), 0) or not all(_number(n) for n in numbers):
        return False
    dtype = COMPONENTS.get(str(entry.get("componentType")), np.dtype("f8"))
    if dtype.kind == "f":
        return True
    info = np.iinfo(dtype)
    return all(isinstance(n, int) and info.min <= n <= info.max for n in numbers)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_limits(items: Sequence[Any], entry: Mapping[str, Any], names: tuple[str, str], found: Findings) -> None:
    values = np.asarray(items, dtype=np.float64)
    if entry.get("noData") is not None and np.array_equal(values.squeeze(), np.asarray(entry["noData"]).squeeze()):
        return
    for key in ("scale", "offset"):
        told = np.asarray(entry.get(key, 0.0), np.float64)
        if not _matches(told, values, f"{key} of its class", names, found):
            return
    values = transformed(values, entry)
    for key, holds in (("min", np.greater_equal), ("max", np.less_equal)):
        if key in entry:
            limit = np.asarray(entry[key], dtype=np.float64)
            if not _matches(limit, values, f"{key} of its class", names, found):
                continue
            fits = bool(holds(values.reshape(-1), np.broadcast_to(limit, values.shape).reshape(-1)).all())
            found.require(
                fits, names[0], f"{names[1]} breaks the {key} {entry[key]} of its class", "METADATA_VALUE_NOT_IN_RANGE"
            )


def _matches(
    limit: NDArray[np.float64], values: NDArray[np.float64], what: str, names: tuple[str, str], found: Findings
) -> bool:
    """Whether a limit can be compared with values, which is told where it cannot."""
    fits = limit.ndim <= min(values.ndim, 1) and limit.shape == values.shape[values.ndim - limit.ndim :]
    return found.require(fits, names[0], f"{names[1]}: the {what} is of another size", "ARRAY_LENGTH_MISMATCH")


def transformed(values: Any, *entries: Mapping[str, Any]) -> Any:
    """Values after normalized, scale and offset; of several entries (a table's, the class's) the first that has it."""
    for entry in entries:
        dtype = COMPONENTS.get(entry.get("componentType", ""))
        if entry.get("normalized") and dtype is not None and dtype.kind in "iu":
            values = np.maximum(values / float(np.iinfo(dtype).max), -1.0)
            break
    for key, step in (("scale", np.multiply), ("offset", np.add)):
        given = next((entry[key] for entry in entries if key in entry), None)
        if given is not None:
            values = step(values, np.asarray(given, dtype=np.float64).reshape(-1))
    return values
