"""What the geometries of one document refer to by number: vertices, materials, textures, places in pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.meshes import MATERIALS, Skin, Texture

THEME = "pingcheng"
_WRAPS: Mapping[str, str] = MappingProxyType({"repeat": "wrap", "mirror": "mirror", "clamp": "clamp"})
_KINDS: Mapping[str, str] = MappingProxyType({".jpg": "JPG", ".png": "PNG"})
_COLOUR_FROM = len(MATERIALS)


class Pool:
    """Gathers what is referred to; one for a CityJSON document, one for each line of a CityJSONSeq.

    folder      where the pictures lie, relative to the document
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._count = 0
        self._vertices: list[NDArray[np.int64]] = []
        self._materials: dict[int, int] = {}
        self._textures: dict[Texture, int] = {}
        self._places: list[NDArray[np.float32]] = []
        self._placed = 0

    def vertices(self, grid: NDArray[np.int64]) -> int:
        """The number that the first of these vertices (n, 3), in grid steps, gets."""
        first, self._count = self._count, self._count + len(grid)
        self._vertices.append(grid)
        return first

    def places(self, uv: NDArray[np.float32]) -> int:
        """The number that the first of these places (n, 2) in pictures gets."""
        first, self._placed = self._placed, self._placed + len(uv)
        self._places.append(uv)
        return first

    def material(self, look: int) -> int:
        """The number of a look, as `looks_of` tells it."""
        return self._materials.setdefault(look, len(self._materials))

    def texture(self, texture: Texture) -> int:
        """The number of a texture."""
        return self._textures.setdefault(texture, len(self._textures))

    def images(self) -> list[str]:
        """Names of the pictures that are worn."""
        return [texture.image for texture in self._textures]

    def rows(self) -> list[NDArray[np.int64]]:
        """The vertices (n, 3) as they came."""
        return self._vertices

    def appearance(self) -> dict[str, Any]:
        """The member `appearance`; empty where nothing is worn."""
        told: dict[str, Any] = {}
        if self._materials:
            told["default-theme-material"] = THEME
            told["materials"] = [_material(look) for look in self._materials]
        if self._textures:
            told["default-theme-texture"] = THEME
            told["textures"] = [self._picture(texture) for texture in self._textures]
            told["vertices-texture"] = [place for uv in self._places for place in np.round(uv, 6).tolist()]
        return told

    def _picture(self, texture: Texture) -> dict[str, str]:
        kind = _KINDS.get(PurePosixPath(texture.image).suffix)
        told = {"image": f"{self._folder}/{texture.image}", "wrapMode": _WRAPS[texture.wrap]}
        return told if kind is None else {"type": kind, **told}


def looks_of(material: NDArray[np.uint8], skin: Skin | None) -> NDArray[np.int64]:
    """(m,) what each face looks like as one number: 0 for nothing, an index into MATERIALS, a colour beyond them."""
    look = material.astype(np.int64)
    if skin is None:
        return look
    red, green, blue, alpha = skin.colour.astype(np.int64).T
    return np.where(alpha > 0, _COLOUR_FROM + (red << 24 | green << 16 | blue << 8 | alpha), look)


def _material(look: int) -> dict[str, Any]:
    if look < _COLOUR_FROM:
        known = MATERIALS[look]
        return {"name": known.name, "diffuseColor": list(known.rgb)}
    packed = look - _COLOUR_FROM
    colour = [packed >> shift & 255 for shift in (24, 16, 8, 0)]
    clear = round(1.0 - colour[3] / 255.0, 6)
    name = "#" + "".join(f"{value:02x}" for value in colour)
    return {"name": name, "diffuseColor": [round(v / 255.0, 6) for v in colour[:3]], "transparency": clear}
