"""Trees of tiles as the tilesets of a published version: documents, and the figures that build.json tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from tiles.compress import write_all
from tiles.scheme.tree import Tile, document, part
from tiles.shelf import Shelf, address
from twin.frames import Frame
from twin.grid import Bounds

_MOST_INLINE = 1500
"""Tiles that one document describes; more would make it larger than 500 KB."""


def write_tileset(name: str, root: Tile, folder: Path, shelf: Shelf, version: str, error: float) -> dict[str, Any]:
    """Write `<folder>/<name>/tileset.json`; what build.json tells of it.

    folder      of the published version, one below the folder that the shelf lies in
    error       m, geometric error while nothing is drawn
    """
    outside, parts = _parts(root, shelf)
    uri = lambda content: f"../../{address(content)}"  # noqa: E731
    text = orjson.dumps(document(root, version, error, uri, lambda tile: _reference(outside, tile, uri)))
    wire = write_all(folder / name / "tileset.json", text, shelf.quality)
    contents = {tile.content.name: tile.content for tile in root.walk() if tile.content is not None}
    leaves = [tile.content for tile in root.walk() if tile.content is not None and not tile.children]
    made = list(contents.values())
    return {
        "id": name,
        "url": f"{name}/tileset.json",
        "tiles": len(made),
        "levels": root.depth(),
        "refine": root.refine,
        "features": sum(c.features for c in (leaves if root.refine == "REPLACE" else made)),
        "triangles": sum(c.triangles for c in made),
        "bytes": sum(c.size for c in made) + len(text),
        "wire_bytes": sum(c.wire for c in made) + wire,
        "root_wire_bytes": root.content.wire if root.content is not None else 0,
        "largest_wire_bytes": max(c.wire for c in made),
        "geometric_error": root.error,
        "contents": sorted([*contents, *parts]),
    }


def _reference(outside: dict[int, str], tile: Tile, uri: Any) -> str | None:
    name = outside.get(id(tile))
    return None if name is None else str(uri(name))


def _beside(name: str) -> str:
    """Reference to a content from another one: both lie in content/<two digits>/."""
    return f"../{name[:2]}/{name}"


def _parts(root: Tile, shelf: Shelf) -> tuple[dict[int, str], list[str]]:
    """Tilesets of their own for parts of a tree that is too large for one document, lowest parts first.

    They lie on the shelf beside the contents, so that a change rewrites those above it and no other.
    """
    found: dict[int, str] = {}
    _count(root, shelf, found)
    return found, sorted(set(found.values()))


def _count(tile: Tile, shelf: Shelf, found: dict[int, str]) -> int:
    """Tiles that the document of `tile` would describe, after parts of it were moved out."""
    sizes = {id(child): _count(child, shelf, found) for child in tile.children}
    total = 1 + sum(sizes.values())
    for child in sorted(tile.children, key=lambda child: -sizes[id(child)]):
        if total <= _MOST_INLINE:
            break
        if child.children and child.content is not None:
            told = part(child, _beside, lambda below: _reference(found, below, _beside))
            found[id(child)] = shelf.put(orjson.dumps(told), ".json")[0]
            total -= sizes[id(child)] - 1
    return total


def lonlat_bounds(frame: Frame, bounds: Sequence[float] | Bounds) -> list[float]:
    """[west, south, east, north] in degrees of a box in the frame."""
    corners = frame.to_lonlat([[bounds[0], bounds[1]], [bounds[2], bounds[3]]]).reshape(-1)
    return [round(float(v), 7) for v in corners]
