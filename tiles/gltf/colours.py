"""Quiet colours: warm grey by use for the city, real materials for the ancient town, all linear for glTF."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.meshes import MATERIALS, Surface

USE_RGB: Mapping[str, tuple[float, float, float]] = {
    "residential": (0.800, 0.770, 0.730),
    "commercial": (0.775, 0.755, 0.735),
    "industrial": (0.720, 0.712, 0.695),
    "public": (0.815, 0.780, 0.715),
    "religious": (0.745, 0.655, 0.585),
    "heritage": (0.655, 0.635, 0.605),
    "education": (0.810, 0.760, 0.690),
    "medical": (0.830, 0.810, 0.800),
    "office": (0.755, 0.765, 0.770),
    "transport": (0.740, 0.745, 0.745),
    "agricultural": (0.765, 0.745, 0.660),
    "mine": (0.665, 0.650, 0.625),
    "unknown": (0.780, 0.765, 0.740),
}
"""sRGB 0..1 of a wall by the building's function: low chroma, a little difference by use."""

_ROOF_GAIN = 1.07
_FOOT_SHADE = 0.66
_SPREAD = 0.035
_SHADES = 8
_STEPS = 8
"""Shades and steps are few because a colour that was there before costs a compressor next to nothing."""


def linear(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear values of sRGB ones, 0..1.

    source  IEC 61966-2-1
    """
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def use_colours(functions: NDArray[np.object_], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB (b, 3) of buildings by use, each a shade lighter or darker by where it stands.

    anchors (b, 2) f8, frame m; the shade depends on the place alone, so it survives a rebuild
    """
    table = np.array(list(USE_RGB.values()))
    rows = {name: row for row, name in enumerate(USE_RGB)}
    chosen = np.array([rows.get(name, rows["unknown"]) for name in functions.tolist()], dtype=np.intp)
    cells = np.floor(anchors).astype(np.int64)
    mixed = (cells[:, 0] * 73856093) ^ (cells[:, 1] * 19349663)
    shade = 1.0 + _SPREAD * (mixed % _SHADES / ((_SHADES - 1) / 2.0) - 1.0)
    return table[chosen] * shade[:, None]


def face_colours(
    surface: NDArray[np.uint8], material: NDArray[np.uint8], by_use: NDArray[np.float64]
) -> NDArray[np.float64]:
    """sRGB (m, 3) of faces: the material's own colour, or the building's colour by use with a lighter roof.

    by_use  (m, 3) colour of the building that each face belongs to
    """
    own = np.array([entry.rgb for entry in MATERIALS])[np.minimum(material, len(MATERIALS) - 1)]
    roof = (surface == Surface.ROOF)[:, None]
    quiet = np.where(roof, by_use * _ROOF_GAIN, by_use)
    return np.minimum(np.where((material == 0)[:, None], quiet, own), 1.0)


def foot_shade(height: NDArray[np.float64], top: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factor (n,) on sRGB of wall vertices: darker at the foot, full at the eaves, so that a bare block has weight.

    height  (n,) m above the foot        top  (n,) m, height of the solid
    """
    share = np.round(np.clip(height / np.maximum(top, 0.1), 0.0, 1.0) * _STEPS) / _STEPS
    return _FOOT_SHADE + (1.0 - _FOOT_SHADE) * share


LINEAR = np.round(linear(np.linspace(0.0, 1.0, 4096)) * 255.0).astype(np.uint8)
"""What COLOR_0 holds for sRGB 0..1 in 4095 steps."""


def encode(srgb: NDArray[np.float64]) -> NDArray[np.uint8]:
    """COLOR_0 (n, 3) u1, linear, of sRGB 0..1."""
    return LINEAR[np.round(np.clip(srgb, 0.0, 1.0) * (len(LINEAR) - 1)).astype(np.intp)]
