"""Checks of feature ids: of vertices, of textures, of instances.

source  Cesium EXT_mesh_features, EXT_instance_features
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tiles.checks.findings import Findings
from tiles.gltf.glb import Gltf
from tiles.gltf.metadata import IDENTIFIER
from twin.errors import SourceError

_ALLOWED = {5121: "UNSIGNED_BYTE", 5123: "UNSIGNED_SHORT", 5126: "FLOAT"}
_WHOLE_FLOATS = 2**24
_MOST_PIXELS = 1 << 26
_MOST_CHANNELS, _NEAREST = 4, 9728


def check_vertex_ids(gltf: Gltf, primitive: Mapping[str, Any], n: int, found: Findings, strict: bool) -> None:
    """The feature ids of a primitive of `n` vertices: by attribute, by texture, or by the vertices' own order."""
    _numbering(primitive["attributes"], gltf.where, found)
    for entry in primitive.get("extensions", {}).get("EXT_mesh_features", {}).get("featureIds", []):
        if "texture" in entry:
            values = _texture_ids(gltf, primitive, entry["texture"], found)
        else:
            values = _attribute_ids(gltf, primitive["attributes"], entry, n, found)
        _named(entry, gltf.where, found)
        if values is not None:
            _ids(gltf, entry, values, found, strict)


def check_instance_ids(
    gltf: Gltf, node: Mapping[str, Any], attributes: Mapping[str, int], n: int, found: Findings, strict: bool
) -> None:
    """The feature ids of a node of `n` instances."""
    _numbering(attributes, gltf.where, found)
    for entry in node.get("extensions", {}).get("EXT_instance_features", {}).get("featureIds", []):
        _named(entry, gltf.where, found)
        values = _attribute_ids(gltf, attributes, entry, n, found)
        if values is not None:
            _ids(gltf, entry, values, found, strict)


def _named(entry: Mapping[str, Any], where: str, found: Findings) -> None:
    label, none = entry.get("label", "label"), entry.get("nullFeatureId", 0)
    found.require(IDENTIFIER.match(label), where, f"label {label!r} is no identifier", "STRING_PATTERN_MISMATCH")
    found.require(none >= 0, where, f"nullFeatureId is {none}", "VALUE_NOT_IN_RANGE")


def _numbering(attributes: Mapping[str, int], where: str, found: Findings) -> None:
    numbers = sorted(int(name[12:]) for name in attributes if name.startswith("_FEATURE_ID_") and name[12:].isdigit())
    found.require(
        numbers == list(range(len(numbers))),
        where,
        f"_FEATURE_ID_ attributes are numbered {numbers}, not from 0 without gaps",
        "INVALID_GLTF_STRUCTURE",
    )


def _attribute_ids(
    gltf: Gltf, attributes: Mapping[str, int], entry: Mapping[str, Any], n: int, found: Findings
) -> NDArray[Any] | None:
    if "attribute" not in entry:
        return np.arange(n)
    where, name = gltf.where, f"_FEATURE_ID_{entry['attribute']}"
    if not found.require(name in attributes, where, f"{name} is named but not there", "IDENTIFIER_NOT_FOUND"):
        return None
    accessor = gltf.document["accessors"][attributes[name]]
    found.require(accessor["type"] == "SCALAR", where, f"{name} is {accessor['type']}", "INVALID_GLTF_STRUCTURE")
    found.require(not accessor.get("normalized"), where, f"{name} is normalized", "INVALID_GLTF_STRUCTURE")
    found.require(
        accessor["componentType"] in _ALLOWED,
        where,
        f"{name} is of component type {accessor['componentType']}, not {', '.join(_ALLOWED.values())}",
        "INVALID_GLTF_STRUCTURE",
    )
    values = gltf.accessor(attributes[name])
    whole = np.array_equal(values, np.round(values)) and (not len(values) or values.min() >= 0)
    found.require(whole, where, "feature ids are not whole numbers from 0", "INVALID_GLTF_STRUCTURE")
    if accessor["componentType"] == 5126 and len(values):
        found.require(
            float(values.max()) <= _WHOLE_FLOATS,
            where,
            f"feature id {values.max():g} is above 2^24 and not exact as a float",
            "INVALID_GLTF_STRUCTURE",
        )
    return values


def _texture_ids(
    gltf: Gltf, primitive: Mapping[str, Any], entry: Mapping[str, Any], found: Findings
) -> NDArray[Any] | None:
    check_coordinates(gltf, primitive, entry, found)
    _unfiltered(gltf, entry, found)
    channels = entry.get("channels", [0])
    fits = 0 < len(channels) <= _MOST_CHANNELS
    if not found.require(fits, gltf.where, f"ids of channels {channels}", "TEXTURE_CHANNELS_OUT_OF_RANGE"):
        return None
    pixels = texture_pixels(gltf, entry, channels, found)
    if pixels is None:
        return None
    values = np.zeros(pixels.shape[:2], np.int64)
    for k, channel in enumerate(channels):
        values |= pixels[..., channel].astype(np.int64) << (8 * k)
    return values


def _unfiltered(gltf: Gltf, entry: Mapping[str, Any], found: Findings) -> None:
    """Ids between two pixels mean nothing: the sampler takes the nearest, or says nothing."""
    textures, samplers = gltf.document.get("textures", []), gltf.document.get("samplers", [])
    index = entry.get("index", -1)
    at = textures[index].get("sampler", -1) if 0 <= index < len(textures) else -1
    for key, told in samplers[at].items() if 0 <= at < len(samplers) else ():
        fine = key not in ("minFilter", "magFilter") or told == _NEAREST
        found.require(fine, gltf.where, f"{key} of a texture of ids is {told}, not {_NEAREST}", "VALUE_NOT_IN_LIST")


def check_coordinates(gltf: Gltf, primitive: Mapping[str, Any], entry: Mapping[str, Any], found: Findings) -> None:
    """A texture of ids or values has the coordinates that it names."""
    name = f"TEXCOORD_{entry.get('texCoord', 0)}"
    found.require(name in primitive["attributes"], gltf.where, f"{name} is named but not there", "IDENTIFIER_NOT_FOUND")


def texture_pixels(
    gltf: Gltf, entry: Mapping[str, Any], channels: list[int], found: Findings
) -> NDArray[np.uint8] | None:
    """Pixels (h, w, c) of a texture by its reference; None where it does not open, which is told."""
    where, textures = gltf.where, gltf.document.get("textures", [])
    index = entry.get("index", -1)
    if not found.require(0 <= index < len(textures), where, f"texture {index} does not exist", "GLTF_INVALID"):
        return None
    source = textures[index].get("source")
    images = gltf.document.get("images", [])
    data = _image_bytes(gltf, images[source]) if isinstance(source, int) and source < len(images) else None
    if data is None:
        found.remark(f"{where}: a texture of metadata has no picture within the file; not opened")
        return None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise SourceError(f"{picture.width} x {picture.height} pixels are too many")
            pixels = np.asarray(picture.convert("RGBA") if picture.mode == "P" else picture)
    except (OSError, UnidentifiedImageError, SourceError, Image.DecompressionBombError) as error:
        found.fault(where, f"picture {source} does not open: {error}", "GLTF_INVALID")
        return None
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    fits = all(0 <= channel < max(pixels.shape[2], 3) for channel in channels)
    found.require(
        fits, where, f"channels {channels} of a picture of {pixels.shape[2]}", "TEXTURE_CHANNELS_OUT_OF_RANGE"
    )
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return pixels if fits else None


def _image_bytes(gltf: Gltf, image: Mapping[str, Any]) -> bytes | None:
    if "bufferView" in image:
        return gltf.view(int(image["bufferView"]))
    uri = str(image.get("uri", ""))
    if uri.startswith("data:"):
        return base64.b64decode(uri.partition(",")[2])
    return None


def _ids(gltf: Gltf, entry: Mapping[str, Any], values: NDArray[Any], found: Findings, strict: bool) -> None:
    """Their number, and that each has a row in the table."""
    where = gltf.where
    ids = np.unique(values)
    if "nullFeatureId" in entry:
        ids = ids[ids != entry["nullFeatureId"]]
    told = entry.get("featureCount")
    if found.require(isinstance(told, int), where, "feature ids without featureCount", "PROPERTY_MISSING"):
        # Clients size their tables by it, so that more is only waste.
        lawful = len(ids) < told and not strict
        if lawful:
            found.count("feature_counts_too_large")
        found.require(
            lawful or len(ids) == told,
            where,
            f"featureCount says {told}, the ids are {len(ids)} different ones",
            "FEATURE_COUNT_MISMATCH",
        )
    table = entry.get("propertyTable")
    if table is None:
        return
    tables = gltf.document.get("extensions", {}).get("EXT_structural_metadata", {}).get("propertyTables", [])
    if found.require(0 <= table < len(tables), where, f"no property table {table}", "IDENTIFIER_NOT_FOUND"):
        last = ids.max() if len(ids) else -1
        found.require(
            last < tables[table].get("count", 0), where, f"feature id {last} has no row", "VALUE_NOT_IN_RANGE"
        )
