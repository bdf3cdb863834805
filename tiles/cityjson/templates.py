"""What stands many times in a city as geometry templates of CityJSON: crowns of trees, models of street furniture."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Polygons = list[list[list[int]]]

SIDES = 8
# Height and radius of the rings of a tree, in parts of its height and of the diameter of its crown.
PROFILES: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "broadleaf": ((0.0, 0.05), (0.26, 0.05), (0.34, 0.36), (0.6, 0.5), (0.86, 0.34), (1.0, 0.0)),
        "columnar": ((0.0, 0.05), (0.14, 0.05), (0.2, 0.34), (0.5, 0.5), (0.8, 0.36), (1.0, 0.0)),
        "conifer": ((0.0, 0.04), (0.12, 0.04), (0.14, 0.5), (0.55, 0.26), (1.0, 0.0)),
    }
)
# A lid lies in the ground: it has no height to be scaled by.
MANHOLE, LID = "manhole", 0.35


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of a document, (model, level of detail) each; all are known before the first object is written."""

    places: tuple[tuple[str, str], ...]

    @staticmethod
    def of(wanted: Iterable[tuple[str, str]]) -> Templates:
        """Those that are asked for, each once, sorted."""
        return Templates(tuple(sorted({(_known(model), lod) for model, lod in wanted})))

    def number(self, model: str, lod: str) -> int:
        """The number of a model at a level of detail."""
        return self.places.index((_known(model), lod))

    def member(self) -> dict[str, Any]:
        """The member `geometry-templates`; empty where nothing asked for one."""
        if not self.places:
            return {}
        told: list[dict[str, Any]] = []
        vertices: list[list[float]] = []
        for model, lod in self.places:
            points, polygons = shape(model)
            first = len(vertices)
            numbered = [[[corner + first for corner in ring] for ring in polygon] for polygon in polygons]
            vertices += np.round(points, 6).tolist()
            told.append({"type": "MultiSurface", "lod": lod, "boundaries": numbered})
        return {"geometry-templates": {"templates": told, "vertices-templates": vertices}}


def _known(model: str) -> str:
    """The model itself, or a column for one that nobody drew."""
    return model if model in PROFILES or model in boxes() or model == MANHOLE else "column"


@cache
def boxes() -> Mapping[str, tuple[tuple[float, ...], ...]]:
    """model -> its boxes: x, y, width and depth in m, low and high in parts of its height; it faces along y."""
    text = resources.files(__package__).joinpath("models.csv").read_text(encoding="utf-8")
    found: dict[str, list[tuple[float, ...]]] = {}
    for row in csv.DictReader(text.splitlines()):
        model = row.pop("model")
        found.setdefault(model, []).append(tuple(float(value) for value in row.values()))
    return MappingProxyType({model: tuple(parts) for model, parts in found.items()})


def shape(model: str) -> tuple[Floats, Polygons]:
    """Vertices (n, 3) and polygons, facing outward, of a model one unit high with its foot at the origin."""
    if model in PROFILES:
        return _turned(PROFILES[model])
    if model == MANHOLE:
        angle = 2.0 * np.pi * np.arange(SIDES) / SIDES
        lid = np.column_stack([LID * np.cos(angle), LID * np.sin(angle), np.zeros(SIDES)])
        return lid, [[list(range(SIDES))]]
    points, polygons = [], []
    for x, y, width, depth, low, high in boxes()[model]:
        first = 8 * len(points)
        corner = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2.0, depth / 2.0) + (x, y)
        points.append(np.concatenate([np.column_stack([corner, np.full(4, z)]) for z in (low, high)]))
        sides = [[k, (k + 1) % 4, (k + 1) % 4 + 4, k + 4] for k in range(4)]
        polygons += [[[c + first for c in ring]] for ring in ([3, 2, 1, 0], [4, 5, 6, 7], *sides)]
    return np.concatenate(points), polygons


def _turned(profile: tuple[tuple[float, float], ...]) -> tuple[Floats, Polygons]:
    angle = 2.0 * np.pi * np.arange(SIDES) / SIDES
    rings = [np.column_stack([r * np.cos(angle), r * np.sin(angle), np.full(SIDES, z)]) for z, r in profile[:-1]]
    points = np.concatenate([*rings, [[0.0, 0.0, profile[-1][0]]]])
    k, onward = range(SIDES), [(k + 1) % SIDES for k in range(SIDES)]
    polygons: Polygons = [[list(reversed(k))]]
    for ring in range(len(rings) - 1):
        low, high = ring * SIDES, (ring + 1) * SIDES
        polygons += [[[low + a, low + b, high + b, high + a]] for a, b in zip(k, onward, strict=True)]
    top = len(points) - 1
    polygons += [[[top - SIDES + a, top - SIDES + b, top]] for a, b in zip(k, onward, strict=True)]
    return points, polygons


def matrix(width: float, height: float, heading: float = 0.0) -> list[float]:
    """The 16 numbers, row by row, that scale a template and turn it clockwise by `heading` degrees."""
    turn = np.radians(heading)
    c, s = float(np.cos(turn)) * width, float(np.sin(turn)) * width
    return [round(v, 6) for v in (c, s, 0, 0, -s, c, 0, 0, 0, 0, height, 0, 0, 0, 0, 1)]
