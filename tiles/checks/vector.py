"""Checks of the map: the archive's directories and header, every tile and feature, and that no feature is lost."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from tiles.checks.findings import Findings, load_json
from tiles.vector import kernels
from tiles.vector.classes import sources
from tiles.vector.decode import FAULTS, TileLayer, layers_of, read_layer
from tiles.vector.grid import CIRCUMFERENCE, EXTENT
from tiles.vector.pmtiles import HEADER, ROOT, Archive, tile_id
from twin.city import City
from twin.errors import SourceError

_TEXT = 1
_VALUE_FIELDS = range(1, 8)

Seen = dict[str, list[NDArray[np.uint64]]]


def check_vector(folder: Path, told: Mapping[str, Any], found: Findings) -> Seen:
    """Check what build.json tells of the map below `folder`; layer -> identities in tiles of the finest zoom."""
    where = str(told["archive"])
    seen: Seen = {}
    try:
        archive = Archive(folder / where)
        _check_archive(archive, told, where, found)
        finest = tile_id(int(told["maxzoom"]), 0, 0)
        for number, run, packed in archive.contents():
            found.checked += 1
            found.count("vector_tiles", run)
            _check_tile(packed, f"{where}#{number}", told, (seen if number + run > finest else {}), found)
    except (OSError, SourceError) as error:
        found.fault(where, str(error))
    _check_documents(folder, told, found)
    return seen


def check_shown(city: City, told: Mapping[str, Any], seen: Seen, found: Findings) -> None:
    """Every feature of the city's layers is in a tile of the finest zoom, and nothing else is.

    What is narrower than the grid may go, and the smallest where a tile had more than its bytes.
    """
    lat = min(abs(told["bounds"][1]), abs(told["bounds"][3]))
    cell = CIRCUMFERENCE * math.cos(math.radians(lat)) / EXTENT / 2.0 ** told["maxzoom"]
    for source in sources(city.store):
        if source.name not in told["layers"]:
            continue
        layer = city.store.read_layer(source.item.name, columns=[])
        layer = layer.take(np.flatnonzero(~(shapely.is_missing(layer.geometry) | shapely.is_empty(layer.geometry))))
        wanted = kernels.identities(*_texts(layer.oid.tolist()))
        shown = np.unique(np.concatenate(seen.get(source.name, [np.empty(0, np.uint64)])))
        found.require(len(np.unique(wanted)) == len(wanted), source.name, "two oids have the same identity")
        strange = len(np.setdiff1d(shown, wanted))
        found.require(not strange, source.name, f"{strange} features on the map are not in the store")
        lost = layer.take(np.flatnonzero(~np.isin(wanted, shown)))
        narrow = _narrow(lost.geometry, cell)
        if len(lost) and (narrow.all() or told["left_out"]):
            named = ", ".join(lost.oid[:3].tolist())
            found.remark(f"{source.name}: {len(lost)} features are too small for the map, as {named}")
        elif len(lost):
            names = lost.oid[~narrow][:3].tolist()
            found.fault(source.name, f"{int((~narrow).sum())} features are not on the map, as {', '.join(names)}")


def _narrow(shapes: NDArray[np.object_], cell: float) -> NDArray[np.bool_]:
    """Whether shapes may be nothing on a grid of `cell` metres: areas by their mean width, lines by their length."""
    area, length = shapely.area(shapes), shapely.length(shapes)
    narrow: NDArray[np.bool_] = np.where(area > 0.0, area < 2.0 * cell * length, (length > 0.0) & (length < 2.0 * cell))
    return narrow


def _check_archive(archive: Archive, told: Mapping[str, Any], where: str, found: Findings) -> None:
    numbers = archive.numbers
    found.require(numbers[0] == HEADER and numbers[1] <= ROOT - HEADER, where, "the root directory is not in its place")
    found.require(sum(numbers[6:8]) == archive.path.stat().st_size, where, "the file does not end where its tiles do")
    found.require(archive.zooms == (told["minzoom"], told["maxzoom"]), where, f"zooms are {archive.zooms}")
    leaves = list(archive.leaves())
    tile, run, length, offset = (
        np.concatenate([getattr(leaf, part) for leaf in leaves]) for part in ("tile", "run", "length", "offset")
    )
    found.require((tile[1:] >= tile[:-1] + run[:-1]).all(), where, "entries are not in the order of the curve")
    found.require((length > 0).all() and (run > 0).all(), where, "an entry has no bytes or no tile")
    # Clustered: bytes follow each other, or were there before.
    high = np.maximum.accumulate(offset + length)
    found.require((offset[1:] <= high[:-1]).all(), where, "is said to be clustered and is not")
    counts = (int(run.sum()), len(tile), len(np.unique(offset)))
    found.require(numbers[8:11] == counts, where, f"the header counts {numbers[8:11]}, there are {counts}")
    layers = archive.metadata().get("vector_layers")
    found.require(layers and all("fields" in layer for layer in layers), where, "vector_layers are missing")


def _check_tile(packed: bytes, where: str, told: Mapping[str, Any], seen: Seen, found: Findings) -> None:
    try:
        data = gzip.decompress(packed)
        layers = list(layers_of(data))
    except (OSError, EOFError, SourceError) as error:
        found.fault(where, str(error))
        return
    found.require(len(data) <= told["tile_bytes"], where, f"has {len(data)} bytes, more than {told['tile_bytes']}")
    names = [name for name, _ in layers]
    found.require(len(set(names)) == len(names) and "" not in names, where, f"layers are named {names}")
    for name, part in layers:
        layer = read_layer(part)
        found.count("vector_features", len(layer.kind))
        _check_layer(layer, f"{where} {name}", int(told["buffer"]), found)
        seen.setdefault(name, []).append(layer.identity)


def _check_layer(layer: TileLayer, where: str, buffer: int, found: Findings) -> None:
    found.require(layer.version == 2, where, f"version is {layer.version}, not 2")
    found.require(layer.extent == EXTENT, where, f"extent is {layer.extent}, not {EXTENT}")
    found.require(len(layer.kind), where, "has no feature")
    for table, words in (("keys", layer.keys), ("values", layer.values)):
        found.require(len(set(words)) == len(words), where, f"{table} repeat")
    valued = all(value and value[0] >> 3 in _VALUE_FIELDS for value in layer.values)
    found.require(valued, where, "a value has no type")
    found.require(len(np.unique(layer.identity)) == len(layer.identity), where, "identifiers repeat")
    wrong = np.flatnonzero(layer.fault)
    if len(wrong):
        found.fault(where, f"feature {wrong[0]} {FAULTS[layer.fault[wrong[0]]]}; {len(wrong)} are wrong")
        return
    if len(layer.xy):
        low, high = layer.xy.min(), layer.xy.max()
        found.require(low >= -buffer and high <= EXTENT + buffer, where, f"reaches {low} to {high}")
    _check_tags(layer, where, found)
    invalid = int((~_valid(layer)).sum())
    found.require(invalid == 0, where, f"{invalid} polygons are not valid")


def _check_tags(layer: TileLayer, where: str, found: Findings) -> None:
    keys, values = layer.tags[0::2], layer.tags[1::2]
    inside = not len(keys) or (keys.max() < len(layer.keys) and values.max() < len(layer.values))
    if not found.require(inside, where, "a tag is not in the tables"):
        return
    oids = values[keys == layer.keys.index(b"oid")] if b"oid" in layer.keys else values[:0]
    if not found.require(len(oids) == len(layer.kind), where, "a feature has no oid"):
        return
    texts = [layer.values[k] for k in oids.tolist()]
    words = [_text(value) for value in texts]
    same = np.array_equal(kernels.identities(*_texts(words)), layer.identity)
    found.require(same, where, "an identifier is not that of its oid")


def _text(value: bytes) -> str:
    size = 1
    while size < len(value) and value[size] & 128:
        size += 1
    return value[size + 1 :].decode() if value and value[0] >> 3 == _TEXT else ""


def _texts(words: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(bytes in UTF-8, where each text begins) of texts."""
    array = pa.array(words, pa.string())
    _, offsets, data = array.buffers()
    start = np.frombuffer(offsets, np.int32)[: len(words) + 1].astype(np.int64)
    return np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8), start


def _valid(layer: TileLayer) -> NDArray[np.bool_]:
    """(k,) of the polygons of a layer."""
    areal = np.repeat(layer.kind == 3, np.diff(layer.first))
    size = np.diff(layer.ring_start)
    xy = layer.xy[np.repeat(areal, size)].astype(np.float64)
    run, outer = np.repeat(np.arange(areal.sum()), size[areal]), layer.outer[areal]
    rings = shapely.linearrings(xy, indices=run)
    polygons = shapely.polygons(rings, indices=np.cumsum(outer) - 1)
    owner = np.repeat(np.arange(len(layer.kind)), np.diff(layer.first))[areal][outer]
    _, dense = np.unique(owner, return_inverse=True)
    valid: NDArray[np.bool_] = shapely.is_valid(shapely.multipolygons(polygons, indices=dense))
    return valid


def _check_documents(folder: Path, told: Mapping[str, Any], found: Findings) -> None:
    document = load_json(folder / told["tilejson"], str(told["tilejson"]), found)
    if document is not None:
        names = [layer.get("id") for layer in document.get("vector_layers", [])]
        found.require(document.get("tilejson") == "3.0.0", str(told["tilejson"]), "is no TileJSON 3.0.0")
        found.require(names == told["layers"], str(told["tilejson"]), f"vector_layers are {names}")
    for where in told["styles"].values():
        style = load_json(folder / where, where, found)
        if style is None:
            continue
        found.require(style.get("version") == 8, where, "is no style of version 8")
        strange = {layer.get("source-layer", "") for layer in style.get("layers", [])} - {"", *told["layers"]}
        found.require(not strange, where, f"shows layers that are not there: {sorted(strange)}")
        outside = [key for key in ("glyphs", "sprite") if key in style]
        found.require(not outside, where, f"asks for {outside} of another place")
