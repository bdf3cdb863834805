"""Bounding volumes of 3D Tiles: what lies outside of them, and how implicit tiling divides them.

source  OGC 22-025r4, 3D Tiles 1.1
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.frames import ecef_from_geodetic, geodetic_from_ecef

Floats = NDArray[np.float64]

NUMBERS: Mapping[str, int] = {"box": 12, "region": 6, "sphere": 4}
"""Kinds of volumes, and how many numbers each has."""

_SIGNS = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], dtype=np.float64)
_RADIUS = 6.371e6


@dataclass(frozen=True, slots=True)
class Volume:
    """A bounding volume in Earth-centred (or the tileset's own) metres.

    kind        box, sphere or region
    numbers     centre and half axes (12,), centre and radius (4,), or radians and metres (6,)
    where       the tile, for messages
    """

    kind: str
    numbers: Floats
    where: str

    def outside(self, points: Floats) -> Floats:
        """Metres (n,) by which points (n, 3) lie outside, along the worst axis; 0 or less inside."""
        if self.kind == "sphere":
            return np.asarray(np.linalg.norm(points - self.numbers[:3], axis=1) - self.numbers[3])
        if self.kind == "region":
            return _outside_region(self.numbers, points)
        offset = points - self.numbers[:3]
        sides = _full_axes(self.numbers[3:].reshape(3, 3))
        if not sides:
            return np.full(len(points), -math.inf)
        along = np.abs(offset @ np.column_stack([axis for axis, _ in sides])) - [length for _, length in sides]
        return functools.reduce(np.maximum, along.T)

    def corners(self) -> Floats:
        """Points (k, 3) at the ends of the volume: corners, and middles of the sides of a region."""
        if self.kind == "sphere":
            return self.numbers[:3] + _SIGNS * self.numbers[3] / math.sqrt(3.0)
        if self.kind == "box":
            return self.numbers[:3] + _SIGNS @ self.numbers[3:].reshape(3, 3)
        west, south, east, north, low, high = self.numbers
        lon, lat, h = np.meshgrid(
            np.degrees(np.linspace(west, east if east >= west else east + 2 * math.pi, 3)),
            np.degrees(np.linspace(south, north, 3)),
            [low, high],
        )
        return ecef_from_geodetic(np.column_stack([lon.ravel(), lat.ravel(), h.ravel()]))

    def half_lengths(self) -> Floats | None:
        """Half lengths (3,) m of a box; None of other kinds."""
        return np.linalg.norm(self.numbers[3:].reshape(3, 3), axis=1) if self.kind == "box" else None


def _full_axes(axes: Floats) -> list[tuple[Floats, float]]:
    """Directions and half lengths of a box; where one axis has no length, the direction across the other two.

    A slanted box is taken by its faces, so that a point is inside exactly where its coordinates along the axes are.
    """
    lengths = np.linalg.norm(axes, axis=1)
    full = [axis for axis, length in zip(axes, lengths, strict=True) if length > 0.0]
    if len(full) == 2:
        full.append(np.cross(full[0], full[1]) / np.prod(np.linalg.norm(full, axis=1)))
        lengths = np.append(lengths[lengths > 0.0], 0.0)
    if len(full) < 3:
        return [(axis / length, float(length)) for axis, length in zip(full, lengths[lengths > 0.0], strict=True)]
    found = []
    for k in range(3):
        across = np.cross(full[(k + 1) % 3], full[(k + 2) % 3])
        across = across / np.linalg.norm(across)
        found.append((across, abs(float(across @ full[k])) if lengths[k] > 0.0 else 0.0))
    return found


def _outside_region(region: Floats, points: Floats) -> Floats:
    lon, lat, h = geodetic_from_ecef(points).T
    west, south, east, north = np.degrees(region[:4])
    if east < west:
        lon, east = np.where(lon < west, lon + 360.0, lon), east + 360.0
    lon_off = np.maximum(west - lon, lon - east) * np.cos(np.radians(lat))
    sides = np.radians(np.maximum(lon_off, np.maximum(south - lat, lat - north))) * _RADIUS
    return np.asarray(np.maximum(sides, np.maximum(region[4] - h, h - region[5])))


def placed(kind: str, numbers: Floats, world: Floats, where: str) -> Volume:
    """A volume of a tile as the matrix (4, 4) of the tile puts it; a region stays where it is."""
    if kind == "region":
        return Volume(kind, numbers, where)
    turn = world[:3, :3]
    centre = turn @ numbers[:3] + world[:3, 3]
    if kind == "sphere":
        scale = float(np.linalg.norm(turn, axis=0).max())
        return Volume(kind, np.append(centre, numbers[3] * scale), where)
    return Volume(kind, np.concatenate([centre, (numbers[3:].reshape(3, 3) @ turn.T).reshape(-1)]), where)


def divided(kind: str, numbers: Floats, level: int, place: tuple[int, ...]) -> Floats:
    """Numbers of the volume of an implicit tile, from those of the implicit root.

    place   (x, y) of a quadtree, which keeps the height, or (x, y, z) of an octree
    """
    parts = 2**level
    if kind == "region":
        west, south, east, north, low, high = numbers
        dx, dy = (east - west) / parts, (north - south) / parts
        x, y = place[:2]
        if len(place) == 3:
            dz = (high - low) / parts
            low, high = low + place[2] * dz, low + (place[2] + 1) * dz
        return np.array([west + x * dx, south + y * dy, west + (x + 1) * dx, south + (y + 1) * dy, low, high])
    axes = numbers[3:].reshape(3, 3).copy()
    centre = numbers[:3].copy()
    for k, at in enumerate(place):
        centre = centre + axes[k] * ((2 * at + 1) / parts - 1.0)
    axes[: len(place)] /= parts
    return np.concatenate([centre, axes.reshape(-1)])


def volume_kinds(entry: Any) -> list[str]:
    """The kinds of volume that an entry of a tileset has."""
    return [kind for kind in NUMBERS if isinstance(entry, Mapping) and kind in entry]
