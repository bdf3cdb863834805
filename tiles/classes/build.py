"""The other classes of a city as tilesets of their own: surfaces, pipes, trees, furniture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tiles.classes import covers, standing
from tiles.classes.instances import Standing, write
from tiles.classes.scatter import Node, Spread, scatter, stable_hash
from tiles.options import ClassTiles
from tiles.scheme.tilesets import lonlat_bounds, write_tileset
from tiles.scheme.tree import Content, Tile
from tiles.shelf import Shelf
from twin.city import City
from twin.outcome import Outcome
from twin.workers import Workers

LAYERS: Mapping[str, tuple[str, standing.Make]] = MappingProxyType(
    {"trees": ("tree_l2", standing.trees), "furniture": ("furniture_l2", standing.furniture)}
)
MODELS = ("surfaces", "pipes")
SOURCES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {name: ("model", name) for name in MODELS} | {name: ("layer", layer) for name, (layer, _) in LAYERS.items()}
)
"""Tileset -> (kind, name) of what it shows in the store."""

_PER_INSTANCE = 32.0
"""Bytes on the wire of an instance."""

_FIRST = 2.0
"""A tileset is looked for from twice as far as its widest or highest thing asks."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where tilesets are written: the shelf of contents, the folder of the version, its name."""

    shelf: Shelf
    folder: Path
    version: str


@dataclass(frozen=True, slots=True)
class Job:
    """One tile of instances to be written."""

    things: Standing
    shelf: Shelf


def build(
    city: City, name: str, options: ClassTiles, place: Place, workers: Workers
) -> tuple[dict[str, Any] | None, list[Outcome]]:
    """Write the tileset of one of SOURCES; what build.json tells of it, None without a thing, and what is not drawn."""
    return (_covers if name in MODELS else _instances)(city, name, options, place, workers)


def _covers(
    city: City, name: str, options: ClassTiles, place: Place, workers: Workers
) -> tuple[dict[str, Any] | None, list[Outcome]]:
    parts, lost = covers.parts_of(city.store, name)
    if parts is None:
        return None, lost
    lift = options.lift if name == "surfaces" else 0.0
    base = covers.Job(city.store, place.shelf, name, {}, lift)
    root = scatter(parts.spread, options.inner_bytes, options.leaf_bytes)
    nodes = list(root.walk())
    jobs = (covers.jobs(parts, node.rows, base) for node in nodes)
    written = list(workers.map(covers.write, jobs, f"tiles {name}"))
    return _entry(city, name, (root, written), parts.spread, place), lost


def _instances(
    city: City, name: str, options: ClassTiles, place: Place, workers: Workers
) -> tuple[dict[str, Any] | None, list[Outcome]]:
    layer, make = LAYERS[name]
    things, lost = standing.read(city.store, layer, make, city.frame)
    if things is None:
        return None, lost
    sizes = np.maximum(things.columns["height"].astype(np.float64), things.scale[:, 0])
    weights = np.full(len(things), _PER_INSTANCE)
    spread = Spread(things.xyz[:, :2], sizes, weights, sizes, stable_hash(things.columns["oid"]))
    root = scatter(spread, options.inner_bytes, options.leaf_bytes)
    jobs = (Job(things.take(node.rows), place.shelf) for node in root.walk())
    written = list(workers.map(write_instances, jobs, f"tiles {name}"))
    return _entry(city, name, (root, written), spread, place), lost


def write_instances(job: Job) -> Content:
    """Write one tile of instances."""
    return write(job.things, job.shelf)


def _entry(city: City, name: str, made: tuple[Node, list[Content]], spread: Spread, place: Place) -> dict[str, Any]:
    kind, item = SOURCES[name]
    root, contents = made
    tile = _tile(root, iter(contents))
    error = _FIRST * float(spread.sizes.max())
    entry = write_tileset(name, tile, place.folder, place.shelf, place.version, error)
    extent = city.store.item(kind, item).extent
    bounds = lonlat_bounds(city.frame, extent or (0.0, 0.0, 0.0, 0.0))
    return entry | {"objects": entry["features"], "bounds": bounds}


def _tile(node: Node, contents: Any) -> Tile:
    """The tiles of a tree whose contents come in the order of `Node.walk`."""
    content = next(contents)
    return Tile(node.error, content, tuple(_tile(child, contents) for child in node.children), "ADD")
