"""The closed roof shell: rings of polygons from the eave edge inwards, a lowered copy below, and what joins them.

One generator makes hip roofs, hip-and-gable roofs, pyramids and the skirts of storeyed towers; only the corners of
the rings differ. The lower sheet is the upper one lowered by a constant height, so the volume of a full shell is its
plan area times that height, whatever the curves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from models_l3.mesh import Mesh, weld
from models_l3.rules import Section
from twin.errors import GeometryError
from twin.meshes import Surface, material_code

Array = NDArray[np.float64]
Closing = Literal["copy", "band", "cap"]
FLYING = 0.7  # slope of the overhang over the slope of the eave step
GAP = 0.12  # m, rings closer than this are one


@dataclass(frozen=True, slots=True)
class Corner:
    """What happens to the eave near its corners.

    chong   out-push, m        qiao   upturn, m
    reach   distance from the corner where both begin, m
    rise    rise of the whole eave line from the middle to the corner (column rise), m
    """

    chong: float = 0.0
    qiao: float = 0.0
    reach: float = 1.0
    rise: float = 0.0


@dataclass(frozen=True, slots=True)
class Paint:
    """Materials of a roof: field of tiles, glazed edge, underside, front of the eave, gable boards."""

    field: str = "grey_tile"
    edge: str = "grey_tile"
    soffit: str = "timber"
    fascia: str = "timber"
    gable: str = "red_wall"


@dataclass(frozen=True, slots=True)
class Profile:
    """Height of the tile surface over the run from the eave edge.

    t   (n,) f8 run from the eave edge inwards, m, growing from 0      z   (n,) f8 height over the eave purlin, m
    """

    t: Array
    z: Array

    def height(self, run: Array) -> Array:
        """Height at a run, by monotone cubic pieces through the purlins, m."""
        return np.asarray(PchipInterpolator(self.t, self.z)(np.clip(run, 0.0, self.t[-1])), dtype=np.float64)

    @property
    def end(self) -> float:
        """Run of the ridge, m."""
        return float(self.t[-1])

    def runs(self, count: int, *extra: float) -> Array:
        """About `count` rings between edge and ridge, denser near the edge, with the runs in `extra` among them."""
        even = self.end * np.linspace(0.0, 1.0, count + 1) ** 1.15
        wanted = np.array([0.0, self.end, *(x for x in extra if 0.0 < x < self.end)])
        free = even[(np.abs(even[:, None] - wanted[None]) > GAP).all(axis=1)]
        return np.unique(np.concatenate([free, wanted]))


def profile_of(section: Section, overhang: float, lift: float = 0.0) -> Profile:
    """The profile over a section with an overhang beyond the eave purlin and the bedding below the tiles, m."""
    slope = float(section.slopes()[0])
    t, z = overhang + section.half_span - section.y[::-1], section.z[::-1]
    if overhang > 0.0:
        t, z = np.concatenate([[0.0], t]), np.concatenate([[-FLYING * slope * overhang], z])
    return Profile(t, z + lift)


def side_samples(count: int) -> Array:
    """Places along one side, -1 .. 1 without the last, denser near the corners, (count,) f8."""
    v = np.linspace(-1.0, 1.0, count + 1)
    return (np.sign(v) * (1.0 - (1.0 - np.abs(v)) ** 1.6))[:-1]


def sheet(rings: Array, z: Array, run: Array, corner: Corner, samples: int) -> Array:
    """Points of the upper sheet, (r, k * samples, 3) f8; the first point of each side is its corner.

    rings   (r, k, 2) corners of each ring, counter-clockwise, from the eave edge inwards
    z, run  (r,) height and run of each ring
    source  corner weight (1 - d/C)^2 (1 - t/C)^1.5: own proposal, checked on a hall of Huayan size
    """
    u = side_samples(samples)
    a, b = rings, np.roll(rings, -1, axis=1)
    half = np.linalg.norm(b - a, axis=2) / 2.0  # (r, k)
    along = (b - a) / np.maximum(2.0 * half, 1e-9)[..., None]
    out = np.stack([along[..., 1], -along[..., 0]], axis=-1)
    reach = np.minimum(corner.reach, np.maximum(half[0].min(), 1e-9))
    to_corner = half[..., None] * (1.0 - np.abs(u))
    fade = np.clip(1.0 - run / reach, 0.0, 1.0) ** 1.5
    w = np.clip(1.0 - to_corner / reach, 0.0, 1.0) ** 2 * fade[:, None, None]
    lean = np.tan(np.pi / rings.shape[1])  # keeps both sides of a corner on one point
    s = half[..., None] * u + np.sign(u) * corner.chong * lean * w
    point = ((a + b) / 2.0)[:, :, None, :] + along[:, :, None, :] * s[..., None]
    point = point + out[:, :, None, :] * (corner.chong * w)[..., None]
    sag = corner.rise * np.clip(1.0 - run / max(float(run[-1]), 1e-9), 0.0, 1.0) ** 1.5
    height = z[:, None, None] + corner.qiao * w + sag[:, None, None] * u**2
    return np.concatenate([point, height[..., None]], axis=-1).reshape(len(rings), -1, 3)


@dataclass(frozen=True, slots=True)
class ShellSpec:
    """How a sheet is made a solid.

    thickness   vertical distance of the lower sheet, m
    closing     copy: the lower sheet repeats the upper one (rings end in a ridge or a point);
                band: an inner wall joins both sheets (the ring of a skirt);
                cap: the lower sheet is cut flat at ring `floor` (room for gables above)
    floor       last ring of the lower sheet where the closing is `cap`
    edge        width of the glazed strip along the eave, m
    sides       sides whose faces above ring `floor` are gables
    """

    thickness: float
    closing: Closing = "copy"
    floor: int = -1
    edge: float = 0.0
    sides: tuple[int, ...] = ()


def solid(points: Array, run: Array, samples: int, spec: ShellSpec, paint: Paint) -> Mesh:
    """The closed shell over a sheet.

    points   (r, n, 3) from `sheet`; run (r,) as given there
    raises   GeometryError when the thickness is not positive
    """
    if spec.thickness <= 0.0:
        raise GeometryError(f"roof shell of thickness {spec.thickness} m; it must be positive")
    r, n = points.shape[:2]
    low_rings = spec.floor + 1 if spec.closing == "cap" else r
    lower = points[:low_rings] - np.array([0.0, 0.0, spec.thickness])
    start = r * n
    top, band = _grid_faces(r, n)
    bottom, _ = _grid_faces(low_rings, n)
    i = np.arange(n, dtype=np.int32)
    j = (i + 1) % n
    fascia = _quads(start + i, start + j, j, i)
    inner, extra = _inner(spec, r, n, start, lower)
    vertices = np.concatenate([points.reshape(-1, 3), lower.reshape(-1, 3), extra])
    gable = (
        np.isin(np.tile(np.arange(n) // samples, 2)[None, :], spec.sides) & (np.arange(r - 1) >= spec.floor)[:, None]
    )
    gable = gable.reshape(-1) if spec.closing == "cap" else np.zeros(len(top), bool)
    edge = (run[1:] <= spec.edge + GAP)[band]
    top_paint = np.where(
        gable, material_code(paint.gable), np.where(edge, material_code(paint.edge), material_code(paint.field))
    )
    below = [len(bottom), len(fascia), len(inner)]
    kinds = np.repeat([int(Surface.OUTER_CEILING), int(Surface.WALL), int(Surface.OUTER_CEILING)], below)
    coats = np.repeat([material_code(name) for name in (paint.soffit, paint.fascia, paint.soffit)], below)
    body = Mesh(
        vertices,
        np.concatenate([top, start + bottom[:, ::-1], fascia, inner]).astype(np.int32),
        np.concatenate([np.where(gable, int(Surface.WALL), int(Surface.ROOF)), kinds]).astype(np.uint8),
        np.concatenate([top_paint, coats]).astype(np.uint8),
    )
    return weld(body)


def _inner(spec: ShellSpec, r: int, n: int, start: int, lower: Array) -> tuple[NDArray[np.int32], Array]:
    i = np.arange(n, dtype=np.int32)
    j = (i + 1) % n
    if spec.closing == "band":
        last, low_last = (r - 1) * n, start + (r - 1) * n
        return _quads(last + i, last + j, low_last + j, low_last + i), np.zeros((0, 3))
    if spec.closing == "cap":
        centre = start + lower.shape[0] * n
        ring = start + (lower.shape[0] - 1) * n
        return np.stack([ring + j, ring + i, np.full(n, centre, np.int32)], 1), lower[-1].mean(axis=0)[None]
    return np.zeros((0, 3), np.int32), np.zeros((0, 3))


def _grid_faces(r: int, n: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    i = np.arange(n, dtype=np.int32)
    j = (i + 1) % n
    faces = [_quads(k * n + i, k * n + j, (k + 1) * n + j, (k + 1) * n + i) for k in range(r - 1)]
    return np.concatenate(faces), np.repeat(np.arange(r - 1), 2 * n)


def _quads(a: NDArray[np.int32], b: NDArray[np.int32], c: NDArray[np.int32], d: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
