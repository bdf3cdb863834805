"""Parts of a hall below the roof: platform, steps, columns, walls, doors, brackets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_l3.mesh import Mesh, box, boxes, copies, extrude_x, frustum, join, loft, rectangle, regular
from models_l3.plan import bay_lines, column_outward, perimeter_columns
from twin.meshes import Surface

Array = NDArray[np.float64]
RISER = 0.16  # m, five cun
SUNK = 0.05  # m, columns stand that deep in platform and beam
RAIL = 0.95  # m


def outline(half: tuple[float, float], sides: int, grow: float = 0.0) -> Array:
    """Plan corners (k,2) of a body, grown outwards, m."""
    return rectangle(half[0] + grow, half[1] + grow) if sides == 4 else regular(sides, half[0] + grow)


def platform(plan: Array, top: float, bottom: float, material: str = "stone") -> Mesh:
    """The platform (k,2) in plan from below the ground up to the floor, with its cap stone standing out a little."""
    middle = plan.mean(axis=0)
    grown = middle + (plan - middle) * (1.0 + 0.12 / np.abs(plan - middle).max())
    body = frustum(plan, bottom, plan, top - 0.15, material)
    return join([body, frustum(grown, top - 0.2, grown, top, "stone")])


def steps(width: float, y: float, top: float, ground: float) -> Mesh:
    """A stair of one flight in front of y with its side stones, from `top` down into the earth at `ground`."""
    count = max(int(np.ceil((top - ground) / RISER)), 2)
    riser = (top - ground) / count
    tread = np.arange(1, count)
    edge = y - 2 * RISER * np.concatenate([[0.0], tread])
    level = top - riser * tread
    foot = ground - 0.3
    stair = np.stack([np.column_stack([edge[:-1], level]), np.column_stack([edge[1:], level])], 1).reshape(-1, 2)
    profile = np.concatenate([[[y + 0.3, foot], [y + 0.3, top - riser]], stair[1:], [[edge[-1], foot]]])
    flight = extrude_x(profile, -width / 2, width / 2, "stone")
    cheek = [
        [y + 0.28, foot],
        [y + 0.28, top + 0.04],
        [y - 0.3, top + 0.04],
        [edge[-1] - 0.3, ground + 0.2],
        [edge[-1] - 0.3, foot],
    ]
    sides = [extrude_x(cheek, s * width / 2 - 0.2, s * width / 2 + 0.2, "stone") for s in (-1.0, 1.0)]
    return join([flight, *sides])


def balustrade(plan: Array, z: float, gap: float, material: str = "stone") -> Mesh:
    """A low parapet along the edge of a platform, open for `gap` metres in the middle of the front."""
    bars = []
    for k, (a, b) in enumerate(zip(plan, np.roll(plan, -1, axis=0), strict=True)):
        runs = [(a, b)]
        if k == 0 and gap > 0:
            middle, along = (a + b) / 2, (b - a) / np.linalg.norm(b - a)
            runs = [(a, middle - along * gap / 2), (middle + along * gap / 2, b)]
        bars += [_bar(p, q, z - 0.02, z + RAIL, 0.12, material) for p, q in runs]
    return join(bars)


def _bar(a: Array, b: Array, low: float, high: float, half: float, material: str) -> Mesh:
    along = (b - a) / np.linalg.norm(b - a)
    out = np.array([along[1], -along[0]]) * half
    ring = np.array([a + out, b + out, b - out, a - out])
    return frustum(ring, low, ring, high, material, Surface.INSTALLATION)


def columns(at: Array, height: float, diameter: float, based: bool = True) -> Mesh:
    """Columns (n,2), thinner at the top: eight-sided with stone bases, or six-sided without on an upper storey."""
    sides = 8 if based else 6
    foot, head = regular(sides, diameter / 2), regular(sides, diameter * 0.44)
    shaft = frustum(foot, -SUNK, head, height + SUNK, "red_lacquer", Surface.INSTALLATION)
    points = np.column_stack([at, np.zeros(len(at))])
    if not based:
        return copies(shaft, points)
    half = np.array([0.75, 0.75, 0.0]) * diameter
    bases = boxes(points - half - [0, 0, SUNK], points + half + [0, 0, 0.12], "stone", Surface.INSTALLATION)
    return join([copies(shaft, points), bases])


def walls(half: tuple[float, float], sides: int, height: float, front: float, material: str) -> Mesh:
    """The body behind the columns up to the beam, its front drawn back by `front` metres."""
    plan = outline(half, sides)
    if sides == 4:
        plan = plan + np.array([[0.0, front], [0.0, front], [0.0, 0.0], [0.0, 0.0]])
    foot = plan * (1.0 + 0.06 / np.abs(plan).max())
    return join([frustum(plan, -SUNK, plan, height + 0.1, material), frustum(foot, -SUNK, foot, 0.9, "grey_brick")])


def beams(half: tuple[float, float], sides: int, top: float, depth: float) -> Mesh:
    """The painted architrave that rings the column heads."""
    plan = outline(half, sides, 0.14)
    plate = outline(half, sides, 0.3)
    return join(
        [
            frustum(plan, top - depth, plan, top + 0.02, "bracket_paint", Surface.INSTALLATION),
            frustum(plate, top - 0.02, plate, top + 0.14, "red_lacquer", Surface.INSTALLATION),
        ]
    )


def bracket_band(half: tuple[float, float], sides: int, z0: float, z1: float, reach: float) -> Mesh:
    """The simplest bracket zone (B0): one inclined band from the beam out to the eave purlin."""
    low, high = outline(half, sides, 0.02), outline(half, sides, 0.72 * reach)
    return frustum(low, z0 - 0.02, high, z1, "bracket_paint", Surface.INSTALLATION)


@dataclass(frozen=True, slots=True)
class BracketPlace:
    """Where bracket sets stand: half sizes and bays of the body, its sides, with or without sets between columns."""

    half: tuple[float, float]
    bays: tuple[int, int]
    sides: int = 4
    between: bool = True

    def points(self) -> tuple[Array, Array]:
        """Places (n,2) and outward directions (n,2), unit length."""
        at, middles, out_middles = perimeter_columns(self.half, self.bays, self.sides)
        out = column_outward(at, self.half, self.sides)
        if not self.between:
            return at, out
        return np.concatenate([at, middles]), np.concatenate([out, out_middles])


def bracket_sets(place: BracketPlace, z: tuple[float, float], reach: float) -> Mesh:
    """Stepped bracket sets (B1), each three boxes growing outwards; corner sets of a rectangle get a diagonal arm."""
    at, out = place.points()
    points = np.column_stack([at, np.zeros(len(at))])
    height = z[1] - z[0]
    width = max(0.5, 0.55 * height)
    levels = np.arange(3)
    lows = np.column_stack([-width * (0.35 + 0.25 * levels), -reach * (levels + 1) / 3, z[0] + height * levels / 3])
    highs = np.column_stack([width * (0.35 + 0.25 * levels), np.full(3, 0.25), z[0] + height * (levels + 0.86) / 3])
    unit = boxes(lows, highs, "bracket_paint", Surface.INSTALLATION)
    angles = np.arctan2(out[:, 0], -out[:, 1])
    made = [copies(unit, points, angles)]
    diagonal = np.abs(out).max(axis=1) < 0.8
    if place.sides == 4 and diagonal.any():
        low, high = [-0.12, -1.35 * reach, z[0] + 0.3 * height], [0.12, 0.2, z[1] - 0.05]
        arm = box(low, high, "bracket_paint", Surface.INSTALLATION)
        made.append(copies(arm, points[diagonal], angles[diagonal]))
    return join(made)


def doors(half_x: float, bays: int, chosen: tuple[int, ...], y: float, height: float, leaves: int = 4) -> Mesh:
    """Framed doors in the chosen bays (0 is the first) of a front at y, leaves a little proud of the frame.

    y   of the wall face; the doors stand out of it towards the front
    """
    lines = bay_lines(2 * half_x, bays)
    parts = []
    for bay in chosen:
        x0, x1 = lines[bay] + 0.35, lines[bay + 1] - 0.35
        parts.append(box([x0, y - 0.06, 0.0], [x1, y + 0.2, height], "timber", Surface.OPENING))
        edge = np.linspace(x0 + 0.12, x1 - 0.12, leaves + 1)
        low = np.column_stack([edge[:-1] + 0.03, np.full(leaves, y - 0.13), np.full(leaves, 0.12)])
        high = np.column_stack([edge[1:] - 0.03, np.full(leaves, y), np.full(leaves, height - 0.15)])
        parts.append(boxes(low, high, "lattice", Surface.OPENING))
    return join(parts)


def plaque(y: float, z: float, size: tuple[float, float]) -> Mesh:
    """The name board under the front eave."""
    w, h = size
    tilt = 0.18 * h
    ring = np.array([[-w / 2, z - h / 2], [w / 2, z - h / 2], [w / 2, z + h / 2], [-w / 2, z + h / 2]])
    front = np.column_stack([ring[:, 0], y + np.where(ring[:, 1] > z, -tilt, 0.0), ring[:, 1]])
    back = front + np.array([0.0, 0.12, 0.0])
    return loft(np.stack([back, front]), "gilt", Surface.INSTALLATION)
