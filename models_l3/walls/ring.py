"""The line of a town wall: places, outward directions and ground along a rectangle, and the curtain drawn on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models_l3.mesh import Mesh, box, copies, join, loft, sweep
from twin.meshes import Surface, material_code

Array = NDArray[np.float64]
Ground = Callable[[Array], Array]  # (n, 2) local -> (n,) height, m
STATION = 20.0  # m


@dataclass(frozen=True, slots=True)
class Line:
    """Stations along a wall; the outside is on the right of the way.

    xy   (n,2) centre line      out   (n,2) outward offset per metre, longer at mitred corners
    """

    xy: Array
    out: Array

    def offset(self, distance: float | Array) -> Array:
        """The line moved outwards, (n,2)."""
        return self.xy + self.out * np.reshape(distance, (-1, 1))

    @property
    def run(self) -> Array:
        """Distance along the centre line, (n,) m."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.xy, axis=0), axis=1))])


@dataclass(frozen=True, slots=True)
class WallSection:
    """Height, base and top width of a wall above the ground and how deep it stands in it, m."""

    height: float
    base: float
    top: float
    buried: float = 1.5

    @property
    def area(self) -> float:
        """Area of the section above the ground, m2."""
        return (self.base + self.top) / 2.0 * self.height

    @property
    def foot(self) -> float:
        """Half width at the foot in the ground, the batter carried on."""
        return self.base / 2.0 + (self.base - self.top) / 2.0 / self.height * self.buried


def polyline(points: Array, closed: bool = False, step: float = STATION) -> Line:
    """Stations along straight sides, at most `step` apart, corners mitred; outside is on the right of the way."""
    ends = np.concatenate([points, points[:1]]) if closed else points
    sides = np.diff(ends, axis=0)
    along = sides / np.linalg.norm(sides, axis=1)[:, None]
    normal = np.column_stack([along[:, 1], -along[:, 0]])
    xy, out = [], []
    for k, (a, side) in enumerate(zip(ends[:-1], sides, strict=True)):
        count = max(int(np.ceil(np.linalg.norm(side) / step)), 1)
        share = np.arange(count)[:, None] / count
        xy.append(a + share * side)
        turn = normal[k] if k == 0 and not closed else _mitre(normal[k - 1], normal[k])
        out.append(np.concatenate([turn[None], np.tile(normal[k], (count - 1, 1))]))
    xy.append(ends[-1:])
    out.append((_mitre(normal[-1], normal[0]) if closed else normal[-1])[None])
    return Line(np.concatenate(xy), np.concatenate(out))


def _mitre(a: Array, b: Array) -> Array:
    both = a + b
    return np.asarray(both * 2.0 / np.dot(both, both))


def walk_height(line: Line, ground: Ground, section: WallSection, smooth: float) -> tuple[Array, Array]:
    """Foot below the lowest ground across the wall, and the walk over the smoothed ground, (n,) m each.

    The walk ends where the smoothed line ends; a closed ring gives the same height at both ends.
    """
    offsets = (-section.base / 2, 0.0, section.base / 2)
    across = np.stack([ground(line.offset(d)) for d in offsets])
    foot = across.min(axis=0) - section.buried
    return foot, smoothed(line.run, across.mean(axis=0), smooth) + section.height


def smoothed(run: Array, values: Array, length: float) -> Array:
    """Running mean over `length` metres along a line, computed on even steps."""
    if run[-1] < 1.0 or length <= 0:
        return values
    even = np.linspace(0.0, run[-1], max(int(run[-1] / 10.0), 2) + 1)
    level = np.interp(even, run, values)
    half = int(length / 2 / (even[1] - even[0]))
    closed = bool(np.isclose(values[0], values[-1]))
    padded = (
        np.concatenate([level[-half - 1 : -1], level, level[1 : half + 1]])
        if closed and 0 < half < len(level)
        else np.pad(level, half, "edge")
    )
    kernel = np.ones(2 * half + 1) / (2 * half + 1)
    return np.interp(run, even, np.convolve(padded, kernel, "valid"))


def curtain(line: Line, foot: Array, walk: Array, section: WallSection) -> Mesh:
    """The closed body of a stretch of wall, battered on both faces; the walk is paved."""
    outer, inner = line.offset(section.foot), line.offset(-section.foot)
    top_out, top_in = line.offset(section.top / 2), line.offset(-section.top / 2)
    rings = np.stack(
        [
            np.column_stack([outer, foot]),
            np.column_stack([inner, foot]),
            np.column_stack([top_in, walk]),
            np.column_stack([top_out, walk]),
        ],
        axis=1,
    )
    return paved(loft(rings, "grey_brick"))


def paved(body: Mesh) -> Mesh:
    """The same body with every level face on top laid with stone."""
    top = body.surface == int(Surface.OUTER_FLOOR)
    return replace(body, material=np.where(top, material_code("paving"), body.material).astype(np.uint8))


@dataclass(frozen=True, slots=True)
class Parapet:
    """Measures of a parapet, m: sill height, merlon length, height and thickness, gap between merlons."""

    sill: float
    merlon: tuple[float, float, float]
    gap: float

    @property
    def module(self) -> float:
        """Merlon and gap, m."""
        return self.merlon[0] + self.gap


def battlement(a: Array, b: Array, za: float, zb: float, style: Parapet) -> list[Mesh]:
    """A crenellated parapet from a to b (2,), its foot on a walk from za to zb: the sill bar and the merlons."""
    length = float(np.linalg.norm(b - a))
    if length < style.merlon[2]:
        return []
    ends = np.array([[*a, za], [*b, zb]])
    sill = sweep(ends, style.merlon[2] / 2, -0.25, style.sill, "grey_brick")
    count = max(round(length / style.module), 1)
    size = length / count - style.gap
    share = (np.arange(count) + 0.5) / count
    at = ends[0] + share[:, None] * (ends[1] - ends[0])
    half = style.merlon[2] / 2 - 0.02
    top = style.sill + style.merlon[1]
    unit = box([-size / 2, -half, style.sill - 0.1], [size / 2, half, top], "grey_brick", Surface.INSTALLATION)
    angle = float(np.arctan2(*(b - a)[::-1]))
    return [sill, copies(unit, at, np.full(count, angle))]


def battlements(points: Array, heights: Array, style: Parapet) -> Mesh:
    """A crenellated parapet along corner points (n,2) with walk heights (n,)."""
    parts: list[Mesh] = []
    for k in range(len(points) - 1):
        parts += battlement(points[k], points[k + 1], float(heights[k]), float(heights[k + 1]), style)
    return join(parts)
