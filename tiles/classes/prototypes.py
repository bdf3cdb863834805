"""The meshes that trees and street furniture are instances of: few corners, quiet colours, one unit high."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tiles.cityjson.templates import MANHOLE, PROFILES, boxes, shape
from tiles.gltf import colours

RGB = tuple[float, float, float]

TINTS = 2
_STEM: RGB = (0.36, 0.29, 0.24)
_CROWNS: Mapping[str, tuple[RGB, ...]] = MappingProxyType(
    {
        "broadleaf": ((0.43, 0.50, 0.34), (0.48, 0.53, 0.37)),
        "columnar": ((0.46, 0.52, 0.35), (0.41, 0.48, 0.32)),
        "conifer": ((0.30, 0.39, 0.31), (0.34, 0.42, 0.33)),
    }
)
_PLAIN: RGB = (0.45, 0.46, 0.47)
_COLOURS: Mapping[str, RGB] = MappingProxyType(
    {
        "street_lamp": (0.34, 0.36, 0.38),
        "traffic_signal": (0.30, 0.31, 0.32),
        "traffic_sign": (0.32, 0.42, 0.56),
        "bus_stop": (0.50, 0.53, 0.55),
        "bench": (0.47, 0.36, 0.27),
        "waste_bin": (0.36, 0.42, 0.38),
        "hydrant": (0.66, 0.22, 0.18),
        "manhole": (0.27, 0.27, 0.28),
        "bollard": (0.55, 0.53, 0.48),
        "post_box": (0.16, 0.42, 0.30),
        "flagpole": (0.68, 0.68, 0.69),
        "column": (0.60, 0.58, 0.55),
        "power_pole": (0.52, 0.51, 0.49),
        "cabinet": (0.53, 0.56, 0.54),
    }
)
_UNDER_CROWN = 0.35
_STEM_RADIUS = 0.06
# A lid that lies level with the ground would flicker against it; it is drawn this far above, m.
_LID_ABOVE = 0.03


@dataclass(frozen=True, slots=True)
class Prototype:
    """A mesh in glTF axes (x east, y up, z south) with its foot at the origin, one unit high, facing north.

    positions (v, 3) f4     normals (v, 3) i1, 127 is 1     colours (v, 3) u1, linear     triangles (k, 3) i8
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.int8]
    colours: NDArray[np.uint8]
    triangles: NDArray[np.int64]


def known(model: str) -> str:
    """The model itself, or a column for one that nobody drew."""
    return model if model in PROFILES or model in boxes() or model == MANHOLE else "column"


@cache
def prototype(model: str, tint: int = 0) -> Prototype:
    """The mesh of a model; the crown of a tree has TINTS tints and is rounded by its normals, all else has edges."""
    points, polygons = shape(known(model))
    if known(model) == MANHOLE:
        points = points + np.array([0.0, 0.0, _LID_ABOVE])
    triangles = np.array([(ring[0], a, b) for (ring,) in polygons for a, b in pairwise(ring[1:])])
    corners = points[triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    stem = _is_stem(corners) if model in PROFILES else np.zeros(len(triangles), bool)
    own = _CROWNS[model][tint % TINTS] if model in PROFILES else _COLOURS.get(known(model), _PLAIN)
    rgb = np.where(stem[:, None], _STEM, own)
    # Corners of a crown are shared, and so are those of its stem; every other face has its own.
    smooth = 2 * triangles.reshape(-1) + np.repeat(stem, 3)
    direction = np.unique(np.round(cross / np.linalg.norm(cross, axis=1)[:, None], 6), axis=0, return_inverse=True)[1]
    sharp = triangles.reshape(-1) * len(triangles) + np.repeat(direction.reshape(-1), 3)
    key = smooth if model in PROFILES else sharp
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    summed = np.zeros((len(first), 3))
    np.add.at(summed, inverse, np.repeat(cross, 3, axis=0))
    normals = np.round(summed / np.linalg.norm(summed, axis=1)[:, None] * 127.0)
    at = points[triangles.reshape(-1)[first]]
    shade = 0.80 + 0.20 * np.clip(at[:, 2], 0.0, 1.0)
    return Prototype(
        np.column_stack([at[:, 0], at[:, 2], -at[:, 1]]).astype(np.float32),
        np.column_stack([normals[:, 0], normals[:, 2], -normals[:, 1]]).astype(np.int8),
        colours.encode(rgb[first // 3] * shade[:, None]),
        inverse.reshape(-1, 3),
    )


def _is_stem(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    radius = np.hypot(corners[..., 0], corners[..., 1]).max(axis=1)
    return (radius <= _STEM_RADIUS) & (corners[..., 2].max(axis=1) <= _UNDER_CROWN)
