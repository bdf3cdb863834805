"""Tiles as a tree, and the tree as tileset.json: boxes from final vertices, transforms, measured errors.

source  OGC 22-025r4, 3D Tiles 1.1
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import GeometryError

Floats = NDArray[np.float64]

_BOX_STEP = 1e-3
_ERROR_STEP = 0.5
_TURN_DIGITS, _SHIFT_DIGITS = 11, 5
"""Decimals of the axes of a tile in those above it, and of its place in m: below 0.01 mm at each level, and a third
less of a document than with all digits."""

_FAR = np.full(3, np.inf)


@dataclass(frozen=True, slots=True)
class Content:
    """What a tile holds once written.

    name    of the file on the shelf            wire    bytes that travel, compressed       size    bytes of the file
    matrix  16 numbers, column by column: tile axes (east, north, up) -> Earth-centred
    low, high   extent of the vertices in tile axes, m
    features, triangles     how many
    """

    name: str
    wire: int
    size: int
    matrix: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    features: int
    triangles: int

    @property
    def axes(self) -> Floats:
        """(4, 4) tile axes -> Earth-centred."""
        return np.array(self.matrix).reshape(4, 4).T


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile and what lies below it.

    error       m, how far the city drawn with this content, and nothing below it, is from the finest model
    content     None where a tile only says from where its children are worth loading
    refine      "REPLACE" where children stand for the content, "ADD" where they add to it
    """

    error: float
    content: Content | None
    children: tuple[Tile, ...] = ()
    refine: str = "REPLACE"

    def walk(self) -> Iterator[Tile]:
        """The tile and everything below, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def depth(self) -> int:
        """Levels of tiles, this one counted."""
        return 1 + max((child.depth() for child in self.children), default=0)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        content = None if self.content is None else {n: getattr(self.content, n) for n in Content.__slots__}
        below = [child.as_dict() for child in self.children]
        return {"error": self.error, "content": content, "refine": self.refine, "children": below}


def from_dict(told: Mapping[str, Any]) -> Tile:
    """The tile of `Tile.as_dict`."""
    content = None
    if told["content"] is not None:
        plain = {key: tuple(value) if isinstance(value, list) else value for key, value in told["content"].items()}
        content = Content(**plain)
    return Tile(told["error"], content, tuple(from_dict(child) for child in told["children"]), told["refine"])


def rounded(error: float) -> float:
    """The error in m rounded up to whole half metres, so that the same city declares the same errors."""
    return float(np.ceil(error / _ERROR_STEP - 1e-9) * _ERROR_STEP) + 0.0


References = Callable[[Tile], str | None]


def document(root: Tile, version: str, error: float, uri: Callable[[str], str], outside: References) -> dict[str, Any]:
    """The tileset document of a tree.

    version     goes into asset.tilesetVersion
    error       geometric error while nothing is drawn, m; raised to the root's where it is smaller
    uri         name of a content -> reference
    outside     the reference of the tileset of its own that a tile below the root moved to; None where it stays
    raises      GeometryError where the root has no content to stand on
    """
    if root.content is None:
        raise GeometryError("the root tile of a tileset has no content to stand on")
    tile, _, _ = _tile(root, root.content.axes, uri, outside)
    return {
        "asset": {"version": "1.1", "tilesetVersion": version},
        "geometricError": max(error, root.error),
        "root": {"transform": list(root.content.matrix), **tile},
    }


def part(root: Tile, uri: Callable[[str], str], outside: References) -> dict[str, Any]:
    """The document of a tile that is a tileset of its own, in its axes: the tile that names it has the transform."""
    tile, _, _ = _tile(root, _axes(root, np.eye(4)), uri, outside)
    return {"asset": {"version": "1.1"}, "geometricError": root.error, "root": tile}


def _plain(relative: Floats) -> Floats:
    """(4, 4) with no more decimals than are needed."""
    found = np.round(relative, _TURN_DIGITS)
    found[:3, 3] = np.round(relative[:3, 3], _SHIFT_DIGITS)
    return found + 0.0


def _axes(node: Tile, above: Floats) -> Floats:
    return above if node.content is None else node.content.axes


def _tile(
    node: Tile, axes: Floats, uri: Callable[[str], str], outside: References
) -> tuple[dict[str, Any], Floats, Floats]:
    """(tile without its transform, its lowest and highest corner), all in the tile's own `axes`."""
    content = node.content
    low, high = (np.array(content.low), np.array(content.high)) if content is not None else (_FAR, -_FAR)
    children = []
    for child in node.children:
        own = _axes(child, axes)
        entry, child_low, child_high = _tile(child, own, uri, outside)
        if child.content is not None:
            relative = _plain(inverse(axes) @ own)
            entry = {"transform": [float(v) for v in relative.T.reshape(-1)], **entry}
            corners = box_corners(np.array(box(child_low, child_high))) @ relative[:3, :3].T + relative[:3, 3]
            child_low, child_high = corners.min(axis=0), corners.max(axis=0)
        elsewhere = outside(child)
        if elsewhere is not None:
            entry = {key: entry[key] for key in ("transform", "boundingVolume", "geometricError") if key in entry}
            entry["content"] = {"uri": elsewhere}
        children.append(entry)
        low, high = np.minimum(low, child_low), np.maximum(high, child_high)
    tile: dict[str, Any] = {"boundingVolume": {"box": box(low, high)}, "geometricError": node.error}
    tile["refine"] = node.refine
    if content is not None:
        tile["content"] = {"uri": uri(content.name)}
        if children:
            tile["content"]["boundingVolume"] = {"box": box(np.array(content.low), np.array(content.high))}
    if children:
        tile["children"] = children
    return tile, low, high


def box(low: Floats, high: Floats) -> list[float]:
    """The 12 numbers of an axis-aligned box, grown outward to whole millimetres."""
    floor, ceiling = np.floor(low / _BOX_STEP) * _BOX_STEP, np.ceil(high / _BOX_STEP) * _BOX_STEP
    half = np.maximum((ceiling - floor) / 2.0, _BOX_STEP)
    axes = np.diag(half).reshape(-1)
    return [round(float(v), 4) for v in (*((floor + ceiling) / 2.0), *axes)]


def box_corners(numbers: Floats) -> Floats:
    """The eight corners (8, 3) of a box of 12 numbers."""
    signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], dtype=np.float64)
    return numbers[:3] + signs @ numbers[3:].reshape(3, 3)


def inverse(matrix: Floats) -> Floats:
    """The inverse (4, 4) of a rotation and a shift."""
    turned = np.eye(4)
    turned[:3, :3] = matrix[:3, :3].T
    turned[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return turned
