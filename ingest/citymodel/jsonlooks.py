"""Appearance of CityJSON 1.0 to 2.0: materials and textures by theme (CityJSON 2.0.1, Appearance Object)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.citymodel.appearance import colour_of
from ingest.citymodel.model import Census, Coat, Colour, Polygon, Ring, kept_points

BROKEN = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
# Levels of lists above the surfaces of a geometry.
DEPTH = {"MultiSurface": 0, "CompositeSurface": 0, "Solid": 1, "MultiSolid": 2, "CompositeSolid": 2}


@dataclass(frozen=True, slots=True)
class JsonLooks:
    """What an `appearance` object tells: colours of materials, names of pictures, places in them.

    theme       the theme to take, "" for the default of the file, then the first that dresses a surface
    """

    theme: str = ""
    colours: tuple[Colour | None, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    places: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    default_material: str = ""
    default_texture: str = ""

    def dress(self, geometry: Mapping[str, Any], polygons: Sequence[tuple[Polygon, int, list[Ring]]]) -> int:
        """Puts colours and pictures on polygons; returns how many surfaces tell them wrongly and stay bare.

        polygons    each with the number of its surface in the geometry and its rings as delivered
        """
        surfaces = surfaces_of(geometry["boundaries"], geometry["type"])
        wrong = 0
        for values in _themes(geometry.get("material"), self.theme, self.default_material):
            told = _by_surface(values, "value", geometry, surfaces)
            for polygon, number, _ in polygons:
                code = told[number]
                if polygon.colour is None and isinstance(code, int):
                    known = 0 <= code < len(self.colours)
                    polygon.colour = self.colours[code] if known else None
                    wrong += not known
        for values in _themes(geometry.get("texture"), self.theme, self.default_texture):
            told = _by_surface(values, "", geometry, surfaces)
            for polygon, number, rings in polygons:
                if polygon.coat is None and _is_told(told[number]):
                    polygon.coat = self._coat(told[number], rings)
                    wrong += polygon.coat is None
        return wrong

    def _coat(self, told: Any, rings: list[Ring]) -> Coat | None:
        try:
            codes = {int(ring[0]) for ring in told}
            index = [np.asarray(ring[1:], dtype=np.int64) for ring in told]
        except BROKEN:
            return None
        if len(codes) != 1 or [len(ring) for ring in index] != [len(ring) for ring in rings]:
            return None
        code = codes.pop()
        if not 0 <= code < len(self.pictures) or not self.pictures[code][0]:
            return None
        if any(len(ring) and not 0 <= ring.min() <= ring.max() < len(self.places) for ring in index):
            return None
        kept = [kept_points(ring) for ring in rings]
        uv = [self.places[ring][keep] for ring, keep in zip(index, kept, strict=True) if keep.sum() >= 3]
        finite = all(np.isfinite(ring).all() for ring in uv)
        return Coat(*self.pictures[code], uv) if finite else None


def _is_told(told: Any) -> bool:
    return isinstance(told, list) and any(isinstance(ring, list) and ring and ring[0] is not None for ring in told)


def looks_of(appearance: Any, theme: str, census: Census) -> JsonLooks | None:
    """The looks of an `appearance` object, None where it tells nothing; names of pictures go to the census."""
    if not isinstance(appearance, dict):
        return None
    colours = tuple(_colour(row) for row in _rows(appearance.get("materials")))
    pictures = tuple(
        (row["image"].strip() if isinstance(row.get("image"), str) else "", str(row.get("wrapMode") or ""))
        for row in _rows(appearance.get("textures"))
    )
    census.images |= dict.fromkeys(name for name, _ in pictures if name)
    census.looks |= bool(colours or pictures)
    try:
        places = np.asarray(appearance.get("vertices-texture") or [], dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        places = np.zeros((0, 2))
    defaults = (str(appearance.get(f"default-theme-{kind}") or "") for kind in ("material", "texture"))
    return JsonLooks(theme, colours, pictures, places.astype(np.float32), *defaults)


def _rows(listed: Any) -> list[dict[str, Any]]:
    return [row if isinstance(row, dict) else {} for row in listed] if isinstance(listed, list) else []


def _colour(row: Mapping[str, Any]) -> Colour | None:
    try:
        diffuse = [float(value) for value in row["diffuseColor"]]
        return colour_of(diffuse, float(row.get("transparency", 0.0))) if len(diffuse) == 3 else None
    except BROKEN:
        return None


def _themes(told: Any, wanted: str, default: str) -> list[Any]:
    """The values of the themes in the order to try them."""
    if not isinstance(told, dict):
        return []
    if wanted:
        return [told[wanted]] if wanted in told else []
    first = [default] if default in told else []
    return [told[theme] for theme in (*first, *(theme for theme in told if theme != default))]


def surfaces_of(boundaries: Any, kind: str) -> int:
    """How many surfaces a geometry has."""
    return len(_aligned(boundaries, boundaries, DEPTH[kind]))


def _by_surface(values: Any, single: str, geometry: Mapping[str, Any], surfaces: int) -> list[Any]:
    """One value for each surface; None where a theme tells nothing, or tells it for another number of surfaces."""
    if not isinstance(values, dict):
        return [None] * surfaces
    if single and isinstance(values.get(single), int):
        return [values[single]] * surfaces
    try:
        told = _aligned(values.get("values"), geometry["boundaries"], DEPTH[geometry["type"]])
    except BROKEN:
        return [None] * surfaces
    return told if len(told) == surfaces else [None] * surfaces


def _aligned(values: Any, boundaries: Any, depth: int) -> list[Any]:
    """`depth` levels of lists taken off the values; a level that is null tells nothing for all surfaces below it."""
    if depth == 0:
        return [None] * len(boundaries) if values is None else list(values)
    inner = [None] * len(boundaries) if values is None else values
    pairs = zip(inner, boundaries, strict=True)
    return [value for told, below in pairs for value in _aligned(told, below, depth - 1)]
