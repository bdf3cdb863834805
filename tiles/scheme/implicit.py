"""A tree of tiles as implicit quadtrees: the document names the top of the tree, and whole branches below it.

Every branch is an implicit root with one subtree, so its volume is exact: where a quadtree has several subtrees,
clients cull those they have not read by halves of the root's volume, and buildings reach out of halves.

In a branch, siblings get the quarters in which their middles lie. A quarter that has several is divided further; the
tiles between have no content, and the box and error of the tile above, so that a client passes through them at the
distance at which that tile is replaced, and sees of the city what it sees of the explicit tileset.

source  OGC 22-025r4, 3D Tiles 1.1, implicit tiling
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tiles.compress import write_all
from tiles.gltf import glb
from tiles.scheme.subtrees import SCHEMA, Floats, Place, Spot, subtree
from tiles.scheme.tree import Tile, box, box_corners, document, inverse
from tiles.scheme.volumes import placed
from tiles.shelf import Shelf, address
from twin.errors import GeometryError
from twin.workers import Workers

NAME = "implicit.json"
"""Name of the document, beside the tileset.json that names every tile."""

_COPIES = (".br", ".gz", "")

_MOST_BELOW, _MOST_LEVELS = 256, 9
"""Tiles and levels of a branch: 104 bytes a tile, and 11 KB of bits for each availability, before compression."""

_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])
"""glTF axes -> tile axes."""


def write_implicit(
    name: str, root: Tile, folder: Path, shelf: Shelf, version: str, error: float, workers: Workers
) -> dict[str, Any]:
    """Write `<folder>/<name>/implicit.json` and its branches; what build.json tells of it.

    folder      of the published version, on the disk of the shelf where contents are to be links to it
    error       m, geometric error while nothing is drawn
    raises      GeometryError where the root has no content to stand on
    """
    branches = list(_cut(root))
    places = {id(branch.top.tile): f"branches/{k}" for k, branch in enumerate(branches)}
    outside = lambda tile: f"{places[id(tile)]}/tileset.json" if id(tile) in places else None  # noqa: E731
    told = document(root, version, error, lambda content: f"../../{address(content)}", outside)
    home = folder / name
    # CesiumJS reads the metadata of branches by the schema of the outermost document.
    wire = write_all(home / NAME, orjson.dumps({**told, "schema": SCHEMA}), shelf.quality)
    jobs = [(branch, home / places[id(branch.top.tile)]) for branch in branches]
    made = list(workers.map(partial(_branch, shelf=shelf), jobs, f"tiles {name}"))
    return {
        "url": f"{name}/{NAME}",
        "branches": len(made),
        "tiles": sum(len(names) for names, _, _ in made),
        "squares": sum(squares for _, squares, _ in made),
        "wire_bytes": wire + sum(size for _, _, size in made),
        "contents": sorted({content for names, _, _ in made for content in names}),
    }


def _cut(tile: Tile) -> Iterator[Layout]:
    """The branches below a tile that are large enough to gain, and small enough for a subtree."""
    for child in tile.children:
        if child.children and child.content is not None and sum(1 for _ in child.walk()) <= _MOST_BELOW:
            found = laid_out(child)
            if found is not None:
                yield found
                continue
        yield from _cut(child)


def _branch(job: tuple[Layout, Path], shelf: Shelf) -> tuple[list[str], int, int]:
    """Write a branch into a folder: (its contents on the shelf, how many squares it has, bytes that travel)."""
    layout, home = job
    levels = layout.levels()
    wire = write_all(home / "subtrees" / "0/0/0.subtree", subtree(layout.spots, levels), shelf.quality)
    wire += write_all(home / "tileset.json", orjson.dumps(_document(layout.top, levels)), shelf.quality)
    names = []
    for (level, x, y), node in layout.drawn.items():
        made, size = _turned(node, shelf)
        _link(shelf.path(made), home / "content" / f"{level}/{x}/{y}.glb")
        names.append(made)
        wire += size
    return names, len(layout.spots), wire


def _document(top: Measured, levels: int) -> dict[str, Any]:
    """The tileset of a branch, in its own axes: the tile that names it has the transform."""
    return {
        "asset": {"version": "1.1"},
        "schema": SCHEMA,
        "geometricError": top.tile.error,
        "root": {
            "boundingVolume": {"box": top.box.tolist()},
            "geometricError": top.tile.error,
            "refine": top.tile.refine,
            "content": {"uri": "content/{level}/{x}/{y}.glb"},
            "implicitTiling": {
                "subdivisionScheme": "QUADTREE",
                "availableLevels": levels,
                "subtreeLevels": levels,
                "subtrees": {"uri": "subtrees/{level}/{x}/{y}.subtree"},
            },
        },
    }


@dataclass(frozen=True, slots=True)
class Measured:
    """A tile with all that is below it measured.

    axes        (4, 4) its own axes -> those of the implicit root
    low, high   (3,) extent of it and all below in its own axes, m
    box         12 numbers of that extent in the axes of the implicit root, m
    """

    tile: Tile
    axes: Floats
    low: Floats
    high: Floats
    box: Floats
    children: tuple[Measured, ...]


def measured(tile: Tile, home: Floats, above: Floats) -> Measured:
    """A tile measured in the axes `home` (4, 4) -> Earth-centred; above: axes that one without content takes."""
    content = tile.content
    axes = above if content is None else inverse(home) @ content.axes
    children = tuple(measured(child, home, axes) for child in tile.children)
    corners = [np.array([content.low, content.high])] if content is not None else []
    for child in children:
        relative = inverse(axes) @ child.axes
        ends = box_corners(np.array(box(child.low, child.high)))
        corners.append(ends @ relative[:3, :3].T + relative[:3, 3])
    extent = np.concatenate(corners)
    low, high = extent.min(axis=0), extent.max(axis=0)
    numbers = placed("box", np.array(box(low, high)), axes, "").numbers
    return Measured(tile, axes, low, high, numbers, children)


def laid_out(root: Tile) -> Layout | None:
    """A tree in the squares of a quadtree, in the axes of its root; None where it needs more levels than one may have.

    Where places make it too deep, siblings get squares by their order.
    raises  GeometryError where the root has no content to stand on
    """
    if root.content is None:
        raise GeometryError("the root tile of a tileset has no content to stand on")
    top = measured(root, root.content.axes, np.eye(4))
    for even in (False, True):
        layout = Layout(top, even)
        layout.fill()
        if layout.levels() <= _MOST_LEVELS:
            return layout
    return None


@dataclass(slots=True)
class Layout:
    """Gives every tile of a tree its square.

    top         the root, which takes the whole plane
    even        whether siblings are shared out by their order, not by their place
    spots       all tiles of the quadtree, parents before children
    drawn       those with a content
    """

    top: Measured
    even: bool = False
    spots: dict[Place, Spot] = field(default_factory=dict)
    drawn: dict[Place, Measured] = field(default_factory=dict)

    def levels(self) -> int:
        """Levels of the quadtree."""
        return 1 + max(level for level, _, _ in self.spots)

    def fill(self) -> None:
        """Fill `spots` and `drawn`."""
        self._put(self.top, (0, 0, 0))

    def _put(self, node: Measured, at: Place) -> None:
        self.spots[at] = Spot(node.box, node.tile.error, node.tile.content is not None)
        if node.tile.content is not None:
            self.drawn[at] = node
        if node.children:
            self._spread(node.children, at, node)

    def _spread(self, group: Sequence[Measured], at: Place, above: Measured) -> None:
        """Put siblings into the quarters of a square; above: the tile that they replace."""
        level, x, y = at
        for quarter, members in enumerate(self._quartered(group, at)):
            place = (level + 1, 2 * x + quarter % 2, 2 * y + quarter // 2)
            if len(members) == 1:
                self._put(members[0], place)
            elif members:
                self.spots[place] = Spot(above.box, above.tile.error, False)
                self._spread(members, place, above)

    def _quartered(self, group: Sequence[Measured], at: Place) -> list[list[Measured]]:
        """Siblings by quarter: south-west, south-east, north-west, north-east."""
        middles = np.array([node.box[:2] for node in group])
        corners = box_corners(self.top.box)[:, :2]
        side = np.ptp(corners, axis=0) / 2.0 ** at[0]
        far = middles >= corners.min(axis=0) + side * (np.array(at[1:]) + 0.5)
        quarter = far[:, 0] + 2 * far[:, 1]
        if len(group) > 1 and (self.even or len(np.unique(quarter)) == 1):
            # Nothing is gained by squares that hold the whole group once more: it is told apart where it is.
            quarter = _halves(middles[:, 0])
            for half in (0, 1):
                quarter[quarter == half] += 2 * _halves(middles[quarter == half, 1])
        return [[group[k] for k in np.flatnonzero(quarter == q)] for q in range(4)]


def _halves(values: Floats) -> Any:
    """0 for the smaller half of the values (n,), 1 for the larger; ties by their order."""
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return (rank >= -(-len(values) // 2)).astype(np.int64)


def _turned(node: Measured, shelf: Shelf) -> tuple[str, int]:
    """A content put on the shelf once more, in the axes of the implicit root: (name, bytes that travel).

    The binary chunk stays as it is; a node above the others has the matrix.
    """
    name = node.tile.content.name if node.tile.content is not None else ""
    told, binary = glb.unpack(shelf.path(name).read_bytes(), name)
    matrix = _Z_UP.T @ node.axes @ _Z_UP
    scene = told["scenes"][told["scene"]]
    told["nodes"].append({"children": scene["nodes"], "matrix": matrix.T.reshape(-1).tolist()})
    scene["nodes"] = [len(told["nodes"]) - 1]
    return shelf.put(glb.pack(told, binary), ".glb")


def _link(source: Path, target: Path) -> None:
    """Let `target` be `source`, its copies too; a copy of the bytes where the disk has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for copy in _COPIES:
        there, here = (path.with_name(path.name + copy) for path in (source, target))
        if there.exists():
            try:
                os.link(there, here)
            except OSError:
                shutil.copyfile(there, here)
