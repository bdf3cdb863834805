"""Checks of a mesh primitive: accessors, indices, triangles, feature ids, properties of vertices and of textures.

source  glTF 2.0.1; Cesium EXT_structural_metadata
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.checks.findings import Findings
from tiles.checks.ids import check_coordinates, check_vertex_ids, texture_pixels
from tiles.checks.schema import COMPONENTS, WIDTHS
from tiles.checks.tables import check_codes, check_limits
from tiles.gltf.glb import COMPONENT_DTYPES, Gltf
from tiles.gltf.outline import EXTENSION as OUTLINE
from twin.errors import SourceError

Floats = NDArray[np.float64]

_METADATA = "EXT_structural_metadata"
_TRIANGLES = 4
_STRIDES = range(4, 253, 4)


def check_primitive(
    gltf: Gltf, primitive: Mapping[str, Any], found: Findings, strict: bool
) -> tuple[Floats, NDArray[np.int64]]:
    """(vertices (n, 3) f8 in the mesh's axes, triangles (m, 3)); SourceError where an accessor cannot be read."""
    where, attributes, accessors = gltf.where, primitive["attributes"], gltf.document.get("accessors", [])
    none = np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    if not found.require("POSITION" in attributes, where, "a primitive has no POSITION", "GLTF_INVALID"):
        return none
    used = [*attributes.values(), *([primitive["indices"]] if "indices" in primitive else [])]
    lost = [index for index in used if not 0 <= index < len(accessors)]
    if not found.require(not lost, where, f"accessors {lost} do not exist", "GLTF_INVALID"):
        return none
    found.require(
        primitive.get("mode", _TRIANGLES) in range(7), where, f"mode is {primitive.get('mode')!r}", "GLTF_INVALID"
    )
    if any("sparse" in accessors[index] for index in used):
        found.remark("sparse accessors are not opened; their geometry is not checked")
        return none
    position = gltf.accessor(attributes["POSITION"])
    found.require(
        {"min", "max"} <= accessors[attributes["POSITION"]].keys(),
        where,
        "POSITION has no min and max",
        "GLTF_INVALID",
    )
    for name, index in attributes.items():
        _attribute(gltf, name, index, len(position), found)
    points = gltf.normalized(attributes["POSITION"])
    if not found.require(
        np.isfinite(points).all(), where, "POSITION holds a number that is not finite", "GLTF_INVALID"
    ):
        return none
    triangles = _indices(gltf, primitive, points, found, strict)
    check_vertex_ids(gltf, primitive, len(points), found, strict)
    _outline(gltf, primitive, triangles, found)
    _properties(gltf, primitive, found)
    found.count("vertices", len(points))
    return points, triangles


def _outline(gltf: Gltf, primitive: Mapping[str, Any], triangles: NDArray[np.int64], found: Findings) -> None:
    """An outline is made of sides of triangles of its primitive."""
    told = primitive.get("extensions", {}).get(OUTLINE)
    if told is None or "indices" not in told:
        return
    ends = gltf.accessor(told["indices"]).astype(np.int64).reshape(-1)
    whole = len(ends) % 2 == 0
    if not found.require(whole, gltf.where, f"an outline has {len(ends)} ends, which are no pairs", "GLTF_INVALID"):
        return
    sides = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    pairs = np.sort(ends.reshape(-1, 2), axis=1)
    most = int(max(sides.max(initial=0), pairs.max(initial=0))) + 1
    beside = int((~np.isin(pairs @ [most, 1], sides @ [most, 1])).sum())
    found.require(not beside, gltf.where, f"{beside} lines of an outline are no sides of its triangles", "GLTF_INVALID")


def _attribute(gltf: Gltf, name: str, index: int, n: int, found: Findings) -> None:
    where, accessor = gltf.where, gltf.document["accessors"][index]
    values = gltf.accessor(index)
    found.require(len(values) == n, where, f"{name} has {len(values)} of {n} vertices", "GLTF_INVALID")
    view = gltf.document["bufferViews"][accessor.get("bufferView", 0)]
    stride = view.get("byteStride", values.itemsize * (values.shape[1] if values.ndim > 1 else 1))
    found.require(
        stride % 4 == 0, where, f"elements of {name} are not aligned to four bytes ({stride})", "GLTF_INVALID"
    )
    if "byteStride" in view:
        found.require(stride in _STRIDES, where, f"byteStride of {name} is {stride}", "GLTF_INVALID")
    _bounds(gltf, name, accessor, values, found)


def _bounds(gltf: Gltf, name: str, accessor: Mapping[str, Any], values: NDArray[Any], found: Findings) -> None:
    """Where min and max are told, they are those of the data."""
    if not ("min" in accessor and "max" in accessor and len(values)):
        return
    exact = np.array([values.min(axis=0), values.max(axis=0)]).reshape(2, -1)
    told = np.array([accessor["min"], accessor["max"]], dtype=np.float64)
    fits = told.shape == exact.shape and np.array_equal(told.astype(values.dtype), exact)
    words = f"{name} min and max are not those of the data, {exact.tolist()}"
    found.require(fits, gltf.where, words, "GLTF_INVALID")


def _indices(
    gltf: Gltf, primitive: Mapping[str, Any], points: Floats, found: Findings, strict: bool
) -> NDArray[np.int64]:
    where = gltf.where
    index = np.arange(len(points))
    if "indices" in primitive:
        entry = gltf.document["accessors"][primitive["indices"]]
        unsigned = entry.get("componentType") in (5121, 5123, 5125) and entry.get("type") == "SCALAR"
        found.require(unsigned, where, "indices are no unsigned scalars", "GLTF_INVALID")
        stored = gltf.accessor(primitive["indices"])
        _bounds(gltf, "indices", entry, stored, found)
        index = stored.astype(np.int64)
    inside = index.size == 0 or (int(index.max()) < len(points) and int(index.min()) >= 0)
    found.require(inside, where, "an index runs over the vertices", "GLTF_INVALID")
    if primitive.get("mode", _TRIANGLES) != _TRIANGLES or not inside:
        return np.zeros((0, 3), np.int64)
    if not found.require(len(index) % 3 == 0, where, f"{len(index)} indices are no whole triangles", "GLTF_INVALID"):
        return np.zeros((0, 3), np.int64)
    corners = index.reshape(-1, 3)
    found.count("triangles", len(corners))
    a, b, c = (points[corners[:, k]] for k in range(3))
    flat = int((np.linalg.norm(np.cross(b - a, c - a), axis=1) == 0.0).sum())
    if flat and strict:
        found.fault(where, f"{flat} triangles have no area", "GLTF_INVALID")
    elif flat:
        found.count("triangles_without_area", flat)
    return corners


def _properties(gltf: Gltf, primitive: Mapping[str, Any], found: Findings) -> None:
    """Property textures and attributes that the primitive names."""
    told = primitive.get("extensions", {}).get(_METADATA, {})
    extension = gltf.document.get("extensions", {}).get(_METADATA, {})
    schema, where = extension.get("schema", {}), gltf.where
    for key in ("propertyTextures", "propertyAttributes"):
        found.require(told.get(key, True), where, f"{key} of a primitive is empty", "ARRAY_LENGTH_MISMATCH")
    for index in told.get("propertyTextures", []):
        tables = extension.get("propertyTextures", [])
        if found.require(index < len(tables), where, f"no property texture {index}", "IDENTIFIER_NOT_FOUND"):
            for entry in tables[index].get("properties", {}).values():
                check_coordinates(gltf, primitive, entry, found)
    for index in told.get("propertyAttributes", []):
        tables = extension.get("propertyAttributes", [])
        if not found.require(index < len(tables), where, f"no property attribute {index}", "IDENTIFIER_NOT_FOUND"):
            continue
        described = schema.get("classes", {}).get(tables[index].get("class"), {}).get("properties", {})
        for name, entry in tables[index].get("properties", {}).items():
            if name in described:
                place = f"{where}: propertyAttributes[{index}]: {name}"
                _property_attribute(gltf, primitive, described[name], entry, (schema, place), found)


def _property_attribute(
    gltf: Gltf,
    primitive: Mapping[str, Any],
    prop: Mapping[str, Any],
    entry: Mapping[str, Any],
    schema: tuple[Mapping[str, Any], str],
    found: Findings,
) -> None:
    (enums, where), attribute = schema, entry.get("attribute", "")
    if not found.require(
        attribute in primitive["attributes"], where, f"{attribute!r} is named but not there", "IDENTIFIER_NOT_FOUND"
    ):
        return
    accessor = gltf.document["accessors"][primitive["attributes"][attribute]]
    component = _component(prop, enums)
    fits = component == COMPONENT_DTYPES[accessor["componentType"]] and not prop.get("array")
    fits = fits and WIDTHS.get(prop.get("type", ""), 0) == WIDTHS.get(accessor["type"], -1)
    words = f"is {prop.get('type')} and attribute {attribute} is not stored like that"
    if found.require(fits, where, words, "INVALID_METADATA_PROPERTY_TYPE"):
        raw = gltf.accessor(primitive["attributes"][attribute])
        _values(raw.reshape(len(raw), -1), prop, entry, schema, found)


def _component(prop: Mapping[str, Any], schema: Mapping[str, Any]) -> np.dtype[Any] | None:
    """What numbers of a property are stored as; None where it holds none."""
    if prop.get("type") == "ENUM":
        return COMPONENTS.get(schema.get("enums", {}).get(prop.get("enumType"), {}).get("valueType", "UINT16"))
    return COMPONENTS.get(prop.get("componentType", ""))


def _values(
    raw: NDArray[Any],
    prop: Mapping[str, Any],
    entry: Mapping[str, Any],
    schema: tuple[Mapping[str, Any], str],
    found: Findings,
) -> None:
    """Stored values (n, width) against what is told of them."""
    if prop["type"] == "ENUM":
        check_codes(raw.reshape(-1), schema[0].get("enums", {}).get(prop.get("enumType"), {}), schema[1], found)
    elif raw.dtype.kind != "f" or np.isfinite(raw).all():
        check_limits(raw, prop, entry, schema[1], found)


def check_texture_tables(gltf: Gltf, schema: Mapping[str, Any], found: Findings) -> None:
    """Property textures and attributes against their classes; pictures opened."""
    extension = gltf.document["extensions"][_METADATA]
    for kind in ("propertyTextures", "propertyAttributes"):
        for index, table in enumerate(extension.get(kind, [])):
            where = f"{gltf.where}: {kind}[{index}]"
            described = schema.get("classes", {}).get(table.get("class"))
            if not found.require(
                described is not None, where, f"there is no class {table.get('class')!r}", "IDENTIFIER_NOT_FOUND"
            ):
                continue
            for name, entry in table.get("properties", {}).items():
                prop = (described or {}).get("properties", {}).get(name)
                known = found.require(prop is not None, where, f"its class has no {name}", "IDENTIFIER_NOT_FOUND")
                if known and kind == "propertyTextures":
                    _property_texture(gltf, prop, entry, (schema, f"{where}: {name}"), found)
                elif known:
                    found.require(
                        str(entry.get("attribute", "")).startswith("_"),
                        where,
                        f"attribute {entry.get('attribute')!r} of {name} does not start with _",
                        "STRING_PATTERN_MISMATCH",
                    )


def _property_texture(
    gltf: Gltf,
    prop: Mapping[str, Any],
    entry: Mapping[str, Any],
    schema: tuple[Mapping[str, Any], str],
    found: Findings,
) -> None:
    channels, (enums, where) = entry.get("channels", [0]), schema
    try:
        pixels = texture_pixels(gltf, entry, channels, found)
    except SourceError as error:
        found.fault(where, str(error), "GLTF_INVALID")
        return
    if prop.get("type") == "BOOLEAN":
        return
    component, fixed = _component(prop, enums), not prop.get("array") or "count" in prop
    words = f"is {prop.get('type')}, which has no fixed number of bytes"
    if not found.require(component is not None and fixed, where, words, "INVALID_METADATA_PROPERTY_TYPE"):
        return
    assert component is not None
    wanted = component.itemsize * WIDTHS[prop["type"]] * int(prop.get("count", 1))
    words = f"{len(channels)} channels for a value of {wanted} bytes"
    if found.require(wanted == len(channels), where, words, "INVALID_METADATA_PROPERTY_TYPE") and pixels is not None:
        stored = np.ascontiguousarray(pixels[..., channels]).reshape(-1, len(channels))
        if stored.dtype == np.uint8:
            _values(stored.view(component), prop, entry, schema, found)
