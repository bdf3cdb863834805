"""Checks of the tileset of points: every point of the store in one tile, each with its class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tiles.checks.findings import Findings, load_json
from tiles.gltf import glb
from twin.errors import SourceError


def check_points(folder: Path, entry: Mapping[str, Any], wanted: int | None, found: Findings) -> None:
    """Points that the tiles hold against `wanted`, those of the store; None where there is no store to compare with."""
    where = str(entry["url"])
    path = folder / where
    document = load_json(path, where, found)
    if document is None:
        return
    held = 0
    for content in _contents(path, document["root"], where, found):
        try:
            gltf = glb.read(content, content.name)
        except SourceError:
            # A content that does not open is told by the walk of the tileset already.
            continue
        for mesh in gltf.document["meshes"]:
            for primitive in mesh["primitives"]:
                held += int(gltf.document["accessors"][primitive["attributes"]["POSITION"]]["count"])
                found.require("_CLASSIFICATION" in primitive["attributes"], content.name, "points have no class")
    found.figures["points"] = held
    found.require(
        held == entry["features"], where, f"the tiles hold {held} points, build.json says {entry['features']}"
    )
    if wanted is not None:
        found.require(held == wanted, where, f"the tiles hold {held} points, the store {wanted}")


def _contents(path: Path, root: Mapping[str, Any], where: str, found: Findings) -> Iterator[Path]:
    """Files of all contents, those of tilesets that a tile moved to as well."""
    stack = [root]
    while stack:
        tile = stack.pop()
        stack += tile.get("children", [])
        file = path.parent / tile.get("content", {}).get("uri", "")
        if file.suffix == ".json" and file.is_file():
            document = load_json(file, where, found)
            if document is not None:
                yield from _contents(file, document["root"], where, found)
        elif file.is_file():
            yield file
