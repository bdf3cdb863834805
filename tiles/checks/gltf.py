"""Checks of one glTF: accessors, indices, feature ids, property tables, declared extensions.

source  glTF 2.0.1; EXT_mesh_features; EXT_structural_metadata
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.checks.findings import Findings
from tiles.gltf.glb import Gltf
from tiles.gltf.metadata import IDENTIFIER, read_table
from twin.errors import SourceError

UP = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
"""glTF axes (y up) to tile axes (z up)."""

_PACKED = ("KHR_draco_mesh_compression",)
_INSTANCED = "EXT_mesh_gpu_instancing"
_TRIANGLES = 4


def check_gltf(gltf: Gltf, found: Findings) -> NDArray[np.float64]:
    """Vertices (n, 3) f8 in tile axes, node matrices applied; everything wrong goes into `found`."""
    where = gltf.where
    found.require(
        str(gltf.document.get("asset", {}).get("version", "")).startswith("2."), where, "glTF is not version 2"
    )
    check_extensions(gltf.document, where, found)
    packed = [name for name in _PACKED if name in gltf.document.get("extensionsUsed", [])]
    if packed:
        found.remark(f"{where}: {packed[0]} is not decoded here; geometry not checked")
        return np.zeros((0, 3))
    tables = _tables(gltf, found)
    points = []
    for matrix, primitive in gltf.primitives():
        try:
            points.append(_primitive(gltf, primitive, tables, found) @ (UP @ matrix)[:3, :3].T + (UP @ matrix)[:3, 3])
        except SourceError as error:
            found.fault(where, str(error).removeprefix(f"{where}: "))
    if _INSTANCED in gltf.document.get("extensionsUsed", []):
        found.remark(f"{where}: instances are not spread out; containment not checked")
        return np.zeros((0, 3))
    return np.concatenate(points) if points else np.zeros((0, 3))


def check_extensions(document: Mapping[str, Any], where: str, found: Findings) -> None:
    """Every extension that occurs is declared as used, and every required one is used."""
    used, required = (set(document.get(key, [])) for key in ("extensionsUsed", "extensionsRequired"))
    for name in sorted(set(_extensions(document)) - used):
        found.fault(where, f"extension {name} occurs but is not in extensionsUsed")
    for name in sorted(required - used):
        found.fault(where, f"extension {name} is required but not in extensionsUsed")


def _extensions(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("extensions"), Mapping):
            yield from node["extensions"]
        for key, value in node.items():
            if key != "extras":
                yield from _extensions(value)
    elif isinstance(node, list):
        for value in node:
            yield from _extensions(value)


def _tables(gltf: Gltf, found: Findings) -> list[int]:
    """Row counts of the property tables, each opened."""
    extension = gltf.document.get("extensions", {}).get("EXT_structural_metadata", {})
    schema = extension.get("schema")
    if schema is None:
        if "schemaUri" in extension:
            found.remark(f"{gltf.where}: schema lies outside; property tables not opened")
        return [int(table["count"]) for table in extension.get("propertyTables", [])]
    for kind, entry in schema.get("classes", {}).items():
        for name in (kind, *entry.get("properties", {})):
            found.require(IDENTIFIER.match(name), gltf.where, f"{name!r} is no identifier of the metadata schema")
    counts = []
    for index, table in enumerate(extension.get("propertyTables", [])):
        counts.append(int(table["count"]))
        try:
            columns = read_table(gltf, index)
        except (SourceError, UnicodeDecodeError, KeyError) as error:
            found.fault(gltf.where, f"property table {index}: {error}")
            continue
        _ranges(gltf, table, columns, found)
        found.count("features", counts[-1])
    return counts


def _ranges(gltf: Gltf, table: Mapping[str, Any], columns: Mapping[str, Any], found: Findings) -> None:
    schema = gltf.document["extensions"]["EXT_structural_metadata"]["schema"]
    described = schema["classes"][table["class"]]["properties"]
    for name, entry in table.get("properties", {}).items():
        values = columns[name]
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
            continue
        found.require(np.isfinite(values).all(), gltf.where, f"property {name} holds a number that is not finite")
        if values.ndim == 1 and "noData" in described[name]:
            values = values[values != np.asarray(described[name]["noData"]).astype(values.dtype)]
        if "normalized" in described[name] or "scale" in described[name] or not values.size:
            continue
        for key, holds in (("min", np.greater_equal), ("max", np.less_equal)):
            if key in entry:
                limit = np.asarray(entry[key]).astype(values.dtype)
                found.require(holds(values, limit).all(), gltf.where, f"property {name} breaks its {key} {entry[key]}")


def _primitive(gltf: Gltf, primitive: Mapping[str, Any], tables: list[int], found: Findings) -> NDArray[np.float64]:
    attributes = primitive["attributes"]
    accessors = gltf.document["accessors"]
    position = accessors[attributes["POSITION"]]
    points = gltf.normalized(attributes["POSITION"])
    stored = gltf.accessor(attributes["POSITION"])
    if found.require("min" in position and "max" in position, gltf.where, "POSITION has no min and max"):
        exact = [stored.min(axis=0).tolist(), stored.max(axis=0).tolist()]
        same = np.array_equal(
            np.asarray([position["min"], position["max"]], stored.dtype), np.array(exact, stored.dtype)
        )
        found.require(same, gltf.where, f"POSITION min and max are not those of the data, {exact}")
    found.require(np.isfinite(points).all(), gltf.where, "POSITION holds a number that is not finite")
    for name, index in attributes.items():
        values = gltf.accessor(index)
        found.require(len(values) == len(points), gltf.where, f"{name} has {len(values)} of {len(points)} vertices")
        view = gltf.document["bufferViews"][accessors[index].get("bufferView", 0)]
        stride = view.get("byteStride", values.itemsize * (values.shape[1] if values.ndim > 1 else 1))
        found.require(stride % 4 == 0, gltf.where, f"elements of {name} are not aligned to four bytes")
    _indices(gltf, primitive, points, found)
    _feature_ids(gltf, primitive, len(points), tables, found)
    found.count("vertices", len(points))
    return points


def _indices(gltf: Gltf, primitive: Mapping[str, Any], points: NDArray[np.float64], found: Findings) -> None:
    index = np.arange(len(points))
    if "indices" in primitive:
        index = gltf.accessor(primitive["indices"]).astype(np.int64)
    inside = index.size == 0 or int(index.max()) < len(points)
    found.require(inside, gltf.where, "an index runs over the vertices")
    if primitive.get("mode", _TRIANGLES) != _TRIANGLES or not inside:
        return
    if not found.require(len(index) % 3 == 0, gltf.where, f"{len(index)} indices are no whole triangles"):
        return
    corners = index.reshape(-1, 3)
    found.count("triangles", len(corners))
    a, b, c = (points[corners[:, k]] for k in range(3))
    flat = int((np.linalg.norm(np.cross(b - a, c - a), axis=1) == 0.0).sum())
    found.require(flat == 0, gltf.where, f"{flat} triangles have no area")


def _feature_ids(gltf: Gltf, primitive: Mapping[str, Any], n: int, tables: list[int], found: Findings) -> None:
    for entry in primitive.get("extensions", {}).get("EXT_mesh_features", {}).get("featureIds", []):
        if "texture" in entry:
            continue
        values = np.arange(n)
        if "attribute" in entry:
            name = f"_FEATURE_ID_{entry['attribute']}"
            if not found.require(name in primitive["attributes"], gltf.where, f"{name} is named but not there"):
                continue
            values = gltf.accessor(primitive["attributes"][name])
        whole = np.array_equal(values, np.round(values)) and (not len(values) or values.min() >= 0)
        found.require(whole, gltf.where, "feature ids are not whole numbers from 0")
        ids = np.unique(values)
        ids = ids[ids != entry["nullFeatureId"]] if "nullFeatureId" in entry else ids
        found.require(
            len(ids) == entry["featureCount"],
            gltf.where,
            f"featureCount says {entry['featureCount']}, the ids are {len(ids)} different ones",
        )
        table = entry.get("propertyTable")
        if table is not None and found.require(table < len(tables), gltf.where, f"no property table {table}"):
            over = len(ids) and ids.max() >= tables[table]
            found.require(not over, gltf.where, f"feature id {ids.max() if len(ids) else 0} has no row")
