"""tileset.json: bounding boxes from final vertices, transforms, errors; a tree of tiles as 3D Tiles 1.1 says it.

source  OGC 22-025r4, 3D Tiles 1.1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.scheme import Node
from twin.errors import GeometryError

Floats = NDArray[np.float64]

_BOX_STEP = 1e-3
_FAR = np.full(3, np.inf)


@dataclass(frozen=True, slots=True)
class Content:
    """What a tile holds once written.

    matrix  (4, 4) tile axes (east, north, up) -> Earth-centred
    low, high  (3,) extent of the vertices in tile axes, m
    wire    bytes that travel, compressed      size  bytes of the GLB
    features, triangles  how many
    """

    matrix: Floats
    low: Floats
    high: Floats
    wire: int
    size: int
    features: int
    triangles: int


def document(root: Node, contents: Mapping[str, Content], version: str, error: float) -> dict[str, Any]:
    """The tileset document.

    contents    tile key -> Content, one for every tile that has rows; the root has some
    version     goes into asset.tilesetVersion
    error       geometric error while nothing is drawn, m; raised to the root's where it is smaller
    """
    tile, _, _ = _tile(root, contents, None)
    tile["refine"] = "ADD"
    return {
        "asset": {"version": "1.1", "tilesetVersion": version},
        "geometricError": max(error, root.error),
        "root": tile,
    }


def _tile(node: Node, contents: Mapping[str, Content], above: Floats | None) -> tuple[dict[str, Any], Floats, Floats]:
    content = contents.get(node.key)
    matrix = content.matrix if content is not None else above
    if matrix is None:
        raise GeometryError("the root tile of a tileset has no content to stand on")
    low, high = (content.low, content.high) if content is not None else (_FAR, -_FAR)
    children = []
    for child in node.children:
        entry, child_low, child_high = _tile(child, contents, matrix)
        children.append(entry)
        low, high = np.minimum(low, child_low), np.maximum(high, child_high)
    tile: dict[str, Any] = {"boundingVolume": {"box": box(low, high)}, "geometricError": float(node.error)}
    if content is not None:
        tile["content"] = {"uri": f"{node.key}.glb"}
        if children:
            tile["content"]["boundingVolume"] = {"box": box(content.low, content.high)}
    if children:
        tile["children"] = children
    if content is None:
        return tile, low, high
    relative = matrix if above is None else _inverse(above) @ matrix
    tile = {"transform": [float(v) for v in relative.T.reshape(-1)], **tile}
    if above is None:
        return tile, low, high
    corners = box_corners(np.array(box(low, high))) @ relative[:3, :3].T + relative[:3, 3]
    return tile, corners.min(axis=0), corners.max(axis=0)


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


def _inverse(matrix: Floats) -> Floats:
    turned = np.eye(4)
    turned[:3, :3] = matrix[:3, :3].T
    turned[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return turned
