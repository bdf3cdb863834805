"""The types of JSON that the checks read: what is of another type is told by its path and left out.

A shape is a word (str, int, number, numeric, bool, table, any), a list of one shape, {"*": shape} for a table of equal
entries, or a table of known keys; a key with "!" has to be there. Keys that are not listed stay as they are.

source  OGC 22-025r4; glTF 2.0.1; Cesium EXT_structural_metadata, EXT_mesh_features; JSON schemas of each
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiles.checks.findings import Findings

_LARGEST = 1e300
_WORDS = {"name": "str", "description": "str"}
_PROPERTY = {
    **_WORDS, "type": "str", "componentType": "str", "enumType": "str", "array": "bool", "count": "int",
    "normalized": "bool",
    "required": "bool", "semantic": "str", "offset": "numeric", "scale": "numeric", "min": "numeric", "max": "numeric",
}  # fmt: skip
_ENUM = {**_WORDS, "valueType": "str", "values": [{"name!": "str", "description": "str", "value!": "int"}]}
SCHEMA: Any = {
    **_WORDS, "id": "str", "version": "str", "enums": {"*": _ENUM},
    "classes": {"*": {**_WORDS, "properties": {"*": _PROPERTY}}},
}  # fmt: skip
_ENTITY = {"class": "str", "properties": {"*": "any"}}
HEAD: Any = {
    "asset": {"version": "str", "tilesetVersion": "str"}, "root": "table",
    "schema": SCHEMA, "schemaUri": "str", "metadata": _ENTITY, "groups": [_ENTITY],
    "statistics": {"classes": {"*": {"count": "int", "properties": {"*": "table"}}}},
    "extensionsUsed": ["str"], "extensionsRequired": ["str"],
    "properties": {"*": {"minimum": "number", "maximum": "number"}},
}  # fmt: skip
_CONTENT = {"uri": "str", "url": "str", "boundingVolume": "table", "metadata": _ENTITY, "group": "int"}
TILE: Any = {
    "boundingVolume": "table", "viewerRequestVolume": "table", "content": _CONTENT, "contents": [_CONTENT],
    "metadata": _ENTITY, "children": ["table"],
    "implicitTiling": {
        "subdivisionScheme": "str", "availableLevels": "int", "subtreeLevels": "int", "subtrees": {"uri": "str"},
    },
}  # fmt: skip
_VIEW = {"buffer!": "int", "byteOffset": "int", "byteLength!": "int", "byteStride": "int"}
_TABLE = {
    "class": "str", "count": "int",
    "properties": {
        "*": {
            "values!": "int", "arrayOffsets": "int", "stringOffsets": "int", "arrayOffsetType": "str",
            "stringOffsetType": "str", "offset": "numeric", "scale": "numeric", "min": "numeric", "max": "numeric",
        }
    },
}  # fmt: skip
_BITS = {"bitstream": "int", "constant": "int", "availableCount": "int"}
SUBTREE: Any = {
    "buffers": [{"uri": "str", "byteLength!": "int"}], "bufferViews": [_VIEW], "propertyTables": [_TABLE],
    "tileAvailability": _BITS, "childSubtreeAvailability": _BITS, "contentAvailability": [_BITS],
    "tileMetadata": "int", "contentMetadata": ["int"], "subtreeMetadata": _ENTITY,
}  # fmt: skip
_TEXTURE = {"index!": "int", "texCoord": "int", "channels": ["int"]}
_IDS = {
    "featureIds": [
        {
            "label": "str",
            "featureCount": "int",
            "nullFeatureId": "int",
            "attribute": "int",
            "propertyTable": "int",
            "texture": _TEXTURE,
        }
    ]
}
_METADATA = {
    "schema": SCHEMA, "schemaUri": "str", "propertyTables": [_TABLE],
    "propertyTextures": [{"class": "str", "properties": {"*": _TEXTURE}}],
    "propertyAttributes": [{"class": "str", "properties": {"*": {"attribute!": "str"}}}],
}  # fmt: skip
GLTF: Any = {
    "asset!": "table", "extensionsUsed": ["str"], "extensionsRequired": ["str"], "scene": "int",
    "scenes": [{"nodes": ["int"]}],
    "nodes": [
        {
            "mesh": "int", "children": ["int"], "matrix": "numeric", "translation": "numeric", "rotation": "numeric",
            "scale": "numeric",
            "extensions": {
                "EXT_mesh_gpu_instancing": {"attributes!": {"*": "int"}}, "EXT_instance_features": _IDS,
            },
        }
    ],
    "meshes": [
        {
            "primitives!": [
                {
                    "attributes!": {"*": "int"}, "indices": "int", "mode": "int",
                    "extensions": {
                        "EXT_mesh_features": _IDS,
                        "CESIUM_primitive_outline": {"indices": "int"},
                        "EXT_structural_metadata": {"propertyTextures": ["int"], "propertyAttributes": ["int"]},
                    },
                }
            ]
        }
    ],
    "accessors": [
        {
            "bufferView": "int", "byteOffset": "int", "componentType!": "int", "count!": "int", "type!": "str",
            "normalized": "bool", "min": "numeric", "max": "numeric", "sparse": "table",
        }
    ],
    "bufferViews": [{**_VIEW, "extensions": {"*": "table"}}],
    "buffers": [{"uri": "str", "byteLength!": "int", "extensions": {"*": "table"}}],
    "textures": [{"source": "int", "sampler": "int", "extensions": {"*": "table"}}],
    "samplers": [{"minFilter": "int", "magFilter": "int"}], "images": [{"uri": "str", "bufferView": "int"}],
    "extensions": {"EXT_structural_metadata": _METADATA},
}  # fmt: skip

_LEFT_OUT = object()


def shaped(value: Any, shape: Any, where: str, found: Findings) -> Any:
    """The value without what is of a wrong type, which is told; an empty table where the whole is."""
    kept = _shaped(value, shape, (where, ""), found)
    return {} if kept is _LEFT_OUT else kept


def _shaped(value: Any, shape: Any, place: tuple[str, str], found: Findings) -> Any:
    if isinstance(shape, str):
        return value if _is(value, shape) else _wrong(value, shape, place, found)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _wrong(value, "array", place, found)
        where, path = place
        items = [_shaped(item, shape[0], (where, f"{path}[{k}]"), found) for k, item in enumerate(value)]
        return [item for item in items if item is not _LEFT_OUT]
    if not isinstance(value, Mapping):
        return _wrong(value, "table", place, found)
    return _table(value, shape, place, found)


def _table(value: Mapping[str, Any], shape: Mapping[str, Any], place: tuple[str, str], found: Findings) -> Any:
    where, path = place
    known = {key.rstrip("!"): inner for key, inner in shape.items()}
    kept = {}
    for key, entry in value.items():
        inner = known.get(key, known.get("*"))
        clean = entry if inner is None else _shaped(entry, inner, (where, f"{path}.{key}" if path else key), found)
        if clean is not _LEFT_OUT:
            kept[key] = clean
    lost = [key[:-1] for key in shape if key.endswith("!") and key[:-1] not in kept]
    if lost:
        absent = [key for key in lost if key not in value]
        if absent:
            found.fault(where, f"{path or 'it'} has no {', '.join(absent)}", "PROPERTY_MISSING")
        return _LEFT_OUT
    return kept


def _wrong(value: Any, kind: str, place: tuple[str, str], found: Findings) -> Any:
    where, path = place
    shown = repr(value)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    found.fault(where, f"{path or 'its JSON'} is {shown}, no {kind}", "TYPE_MISMATCH")
    return _LEFT_OUT


def _is(value: Any, kind: str) -> bool:
    if kind == "any":
        return True
    if kind == "table":
        return isinstance(value, Mapping)
    if kind == "numeric":
        if isinstance(value, list):
            return all(_is(item, "numeric") for item in value) and len({isinstance(item, list) for item in value}) == 1
        return _is(value, "number")
    if isinstance(value, bool):
        return kind == "bool"
    if kind == "int":
        return isinstance(value, int) and abs(value) < 2**53
    if kind == "number":
        return isinstance(value, int | float) and abs(value) <= _LARGEST
    return kind == "str" and isinstance(value, str)
