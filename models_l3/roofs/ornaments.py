"""What sits on the ridges: ridge bars, chiwen, figures, finials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_l3.mesh import Mesh, boxes, extrude_y, join, loft, regular, sweep
from models_l3.roofs.kinds import Roof
from twin.meshes import Surface

Array = NDArray[np.float64]
SUNK = 0.12  # m, ridges reach into the tiles

# Outline of a chiwen of height 1: mouth towards -x on the ridge, tail curling inwards.
CHIWEN = np.array(
    [
        [-0.30, -0.10],
        [0.28, -0.10],
        [0.36, 0.22],
        [0.36, 0.48],
        [0.28, 0.72],
        [0.14, 0.91],
        [-0.04, 1.00],
        [-0.20, 0.97],
        [-0.27, 0.86],
        [-0.14, 0.88],
        [-0.02, 0.80],
        [0.05, 0.66],
        [0.00, 0.53],
        [-0.14, 0.50],
        [-0.28, 0.46],
        [-0.44, 0.38],
        [-0.40, 0.26],
        [-0.26, 0.22],
        [-0.42, 0.12],
    ]
)
BEAST = np.array([[-0.35, -0.1], [0.3, -0.1], [0.42, 0.45], [0.3, 0.95], [0.05, 0.7], [-0.2, 0.8], [-0.42, 0.5]])


@dataclass(frozen=True, slots=True)
class RidgeStyle:
    """Sizes of ridges and ornaments, m; a chiwen of 0 leaves the ends plain."""

    main: float = 0.9
    width: float = 0.42
    hip: float = 0.45
    chiwen: float = 0.0
    figures: int = 0
    finial: float = 0.0
    material: str = "grey_tile"
    ornament: str = "green_glaze"


def ridges(roof: Roof, style: RidgeStyle) -> Mesh | None:
    """All ridge bars of a roof, each closed by itself; None where the roof has none."""
    bars = [sweep(line, style.width / 2, -SUNK, style.main + _lift(line), style.material) for line in roof.main]
    bars += [_hip(line, style) for line in roof.hips if len(line) > 2]
    bars += [sweep(line, style.width / 2.6, -SUNK, style.hip, style.material) for line in roof.verges]
    bars += [sweep(line, style.width / 2.6, -SUNK, 0.8 * style.hip, style.material) for line in roof.around]
    return join(bars) if bars else None


def _lift(line: Array) -> Array:
    """Rise of the top of a main ridge towards its ends, (n,) m, as the tilers draw it."""
    length = float(np.linalg.norm(line[-1] - line[0]))
    return 0.008 * length * np.abs(np.linspace(-1.0, 1.0, len(line))) ** 2.5


def _hip(line: Array, style: RidgeStyle) -> Mesh:
    """A hip bar from the ridge to the eave: high for two thirds, then low, with a lifted nose beyond the eave."""
    gap = np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1)
    line = line[np.concatenate([[True], gap > 0.02])]
    nose = line[-1] + (line[-1] - line[-2]) * np.array([1.0, 1.0, 0.0]) / max(gap[-1], 0.1) * 0.3
    nose[2] += 0.22
    path = np.concatenate([line, nose[None]])
    share = np.linspace(0.0, 1.0, len(path))
    high = np.where(share < 0.67, style.hip, 0.62 * style.hip)
    return sweep(path, style.width / 2.6, -SUNK, high, style.material)


def ornaments(roof: Roof, style: RidgeStyle) -> Mesh | None:
    """Chiwen, hip beasts, figures and finial of a roof; None where the style has none."""
    parts = _chiwen(roof.main, style) if style.chiwen > 0 else []
    for line in (*roof.hips, *roof.verges):
        if style.figures and len(line) > 3:
            parts += _beasts(line, style)
    if style.finial > 0 and roof.peak is not None:
        parts.append(finial(style.finial, style.ornament).moved(*roof.peak))
    return join(parts) if parts else None


def _chiwen(lines: Sequence[Array], style: RidgeStyle) -> list[Mesh]:
    body = extrude_y(
        CHIWEN * style.chiwen, -0.42 * style.width, 0.42 * style.width, style.ornament, Surface.INSTALLATION
    )
    wider = extrude_y(
        CHIWEN[[0, 1, 2, 3, 13, 14, 15, 16, 17, 18]] * style.chiwen * 1.02,
        -0.62 * style.width,
        0.62 * style.width,
        style.ornament,
        Surface.INSTALLATION,
    )
    beast = join([body, wider])
    parts = []
    for line in lines:
        along = line[-1] - line[0]
        angle = float(np.arctan2(along[1], along[0]))
        inset = along / np.linalg.norm(along) * 0.18 * style.chiwen
        parts.append(beast.turned(angle).moved(*(line[-1] - inset)))
        parts.append(beast.turned(angle + np.pi).moved(*(line[0] + inset)))
    return parts


def _beasts(line: Array, style: RidgeStyle) -> list[Mesh]:
    """The beast at two thirds of a hip and the figures below it."""
    along = line[-1] - line[-2]
    angle = float(np.arctan2(along[1], along[0])) + np.pi
    size = 2.0 * style.hip
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.array([np.interp(s * length[-1], length, line[:, k]) for s in (0.66,) for k in range(3)])
    beast = extrude_y(BEAST * size, -0.3 * style.width, 0.3 * style.width, style.ornament, Surface.INSTALLATION)
    parts = [beast.turned(angle).moved(at[0], at[1], at[2] + 0.5 * style.hip)]
    places = np.linspace(0.74, 0.97, style.figures) * length[-1]
    feet = np.column_stack([np.interp(places, length, line[:, k]) for k in range(3)])
    small = np.array([0.11, 0.11, 0.0]) * style.hip * 2
    parts.append(boxes(feet - small, feet + small + [0.0, 0.0, 1.25 * style.hip], style.ornament, Surface.INSTALLATION))
    return parts


def finial(height: float, material: str) -> Mesh:
    """A baoding: base, ball and tip on the axis, its foot sunk into the peak."""
    outline = [
        (0.0, 0.42),
        (0.18, 0.46),
        (0.24, 0.28),
        (0.34, 0.26),
        (0.5, 0.36),
        (0.68, 0.30),
        (0.8, 0.12),
        (1.0, 0.03),
    ]
    rings = [np.column_stack([regular(8, r * height), np.full(8, z * height - 0.25)]) for z, r in outline]
    return loft(np.stack(rings), material, Surface.INSTALLATION)
