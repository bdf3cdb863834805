"""Roof types: each is a way to place the rings of the shell, and the ridge lines that lie on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models_l3.mesh import Mesh, extrude_x, join, rectangle, regular
from models_l3.roofs.rows import tile_rows
from models_l3.roofs.shell import Corner, Paint, Profile, ShellSpec, sheet, solid
from twin.errors import GeometryError, OptionsError
from twin.meshes import Surface

Array = NDArray[np.float64]
SHORT = 0.5  # m, a ridge shorter than this is a point
OVERLAP = 0.02  # m, parts reach into each other so that no two faces lie in one plane


@dataclass(frozen=True, slots=True)
class RoofSpec:
    """A roof before it is built, eave purlin at z = 0 of its own frame.

    kind       wudian xieshan cuanjian kuiding xuanshan yingshan juanpeng luding shizi_xieshan skirt
    half       half sizes of the eave edge in plan, m; apothem twice for polygons
    profile    from the eave edge to the ridge, or to the wall above for a skirt
    gable      run of the gable plane, m (xieshan), or projection of the purlins beyond the gable wall (xuanshan)
    gain       extra half length of the ridge over the run: runs and lengths, m (tuishan)
    sides      corners of a pyramid or skirt; 4 is a rectangle
    row_pitch  distance of the drawn tile rows, m; 0 draws none
    """

    kind: str
    half: tuple[float, float]
    profile: Profile
    corner: Corner = field(default_factory=Corner)
    thickness: float = 0.35
    gable: float = 0.0
    gable_out: float = 0.6
    gain: tuple[Array, Array] | None = None
    sides: int = 4
    edge: float = 0.0
    paint: Paint = field(default_factory=Paint)
    samples: int = 10
    rings: int = 6
    row_pitch: float = 0.0


@dataclass(frozen=True, slots=True)
class Roof:
    """A built roof and the lines its ridges follow, each (n,3) from top to bottom or from end to end."""

    body: Mesh
    main: tuple[Array, ...] = ()
    hips: tuple[Array, ...] = ()
    verges: tuple[Array, ...] = ()
    around: tuple[Array, ...] = ()
    peak: Array | None = None
    rows: Mesh | None = None


def build_roof(spec: RoofSpec) -> Roof:
    """The roof of a spec; OptionsError for a kind that has no rule."""
    makers: dict[str, Callable[[RoofSpec], Roof]] = {
        "wudian": _wudian,
        "xieshan": _xieshan,
        "cuanjian": _cuanjian,
        "kuiding": _cuanjian,
        "xuanshan": _gabled,
        "yingshan": _gabled,
        "juanpeng": _gabled,
        "luding": _luding,
        "shizi_xieshan": _crossed,
        "skirt": _skirt,
    }
    if spec.kind not in makers:
        raise OptionsError(f"roof type {spec.kind!r}: no rule; choose one of {', '.join(makers)}")
    return makers[spec.kind](spec)


def eave_area(spec: RoofSpec) -> float:
    """Plan area inside the eave edge with its out-push, m2; the volume of a full shell over its thickness."""
    run = np.array([0.0, spec.profile.end])
    outline = sheet(_rings(spec, run), run * 0.0, run, spec.corner, spec.samples)[0, :, :2]
    x, y = outline[:, 0], outline[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2.0)


def _count(spec: RoofSpec) -> int:
    return spec.sides * spec.samples


def _rings(spec: RoofSpec, run: Array) -> Array:
    hx, hy = spec.half
    if spec.sides != 4:
        return np.stack([regular(spec.sides, max(hx - t, 0.0)) for t in run])
    gain = np.zeros(len(run)) if spec.gain is None else np.interp(run, *spec.gain)
    inward = np.minimum(run, spec.gable) if spec.kind == "xieshan" else run
    return np.stack(
        [rectangle(max(hx - i + g, 0.0), max(hy - t, 0.0)) for i, g, t in zip(inward, gain, run, strict=True)]
    )


def _points(spec: RoofSpec, run: Array) -> Array:
    return sheet(_rings(spec, run), spec.profile.height(run), run, spec.corner, spec.samples).reshape(
        len(run), _count(spec), 3
    )


def _hips(points: Array, spec: RoofSpec, top: int) -> tuple[Array, ...]:
    return tuple(points[: top + 1, side * spec.samples][::-1] for side in range(spec.sides))


def _wudian(spec: RoofSpec) -> Roof:
    run = spec.profile.runs(spec.rings, spec.edge)
    points = _points(spec, run).reshape(len(run), -1, 3)
    body = solid(points, run, spec.samples, ShellSpec(spec.thickness, edge=spec.edge), spec.paint)
    ends = points[-1, [0, spec.samples]]
    hips = _hips(points, spec, len(run) - 1)
    if np.linalg.norm(ends[1] - ends[0]) < SHORT:
        return Roof(body, hips=hips, peak=ends.mean(axis=0), rows=_rows(spec, points))
    return Roof(body, main=(np.linspace(ends[0], ends[1], 9),), hips=hips, rows=_rows(spec, points))


def _cuanjian(spec: RoofSpec) -> Roof:
    run = spec.profile.runs(spec.rings, spec.edge)
    points = _points(spec, run)
    body = solid(points, run, spec.samples, ShellSpec(spec.thickness, edge=spec.edge), spec.paint)
    return Roof(body, hips=_hips(points, spec, len(run) - 1), peak=points[-1, 0], rows=_rows(spec, points))


def _rows(spec: RoofSpec, points: Array, upper: tuple[int, ...] = ()) -> Mesh | None:
    """Tile rows of a roof that asks for them."""
    if spec.row_pitch <= 0:
        return None
    return tile_rows(points, spec.samples, spec.row_pitch, (spec.paint.edge, spec.paint.field), upper)


def _skirt(spec: RoofSpec) -> Roof:
    if spec.profile.end >= min(spec.half):
        raise GeometryError(
            f"skirt roof {spec.profile.end:.2f} m deep on a half width {min(spec.half):.2f} m: no wall left"
        )
    run = spec.profile.runs(spec.rings, spec.edge)
    points = _points(spec, run)
    body = solid(points, run, spec.samples, ShellSpec(spec.thickness, "band", edge=spec.edge), spec.paint)
    around = points[-1, :: spec.samples]
    return Roof(body, hips=_hips(points, spec, len(run) - 1), around=_edges(around))


def _luding(spec: RoofSpec) -> Roof:
    run, points = _flat_topped(spec, spec.gable)
    body = solid(points, run, spec.samples, ShellSpec(spec.thickness, edge=spec.edge), spec.paint)
    return Roof(body, hips=_hips(points, spec, len(run) - 2), around=_edges(points[-2, :: spec.samples]))


def _flat_topped(spec: RoofSpec, top: float) -> tuple[Array, Array]:
    run = spec.profile.runs(spec.rings, spec.edge, top)
    run = run[run <= top + 1e-9]
    points = _points(spec, run)
    centre = np.broadcast_to([0.0, 0.0, float(points[-1, :, 2].mean())], points[-1:].shape)
    return np.append(run, run[-1] + 1.0), np.concatenate([points, centre])


def _edges(ring: Array) -> tuple[Array, ...]:
    return tuple(np.stack([a, b]) for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True))


def _xieshan(spec: RoofSpec) -> Roof:
    run = spec.profile.runs(spec.rings, spec.edge, spec.gable)
    floor = int(np.argmin(np.abs(run - spec.gable)))
    points = _points(spec, run)
    shell = ShellSpec(spec.thickness, "cap", floor, spec.edge, sides=(1, 3))
    core = solid(points, run, spec.samples, shell, spec.paint)
    hx, hy = spec.half[0] - spec.gable, spec.half[1]
    curve = _curve(spec.profile, run[floor:], hy)
    slabs = [_verge(spec, curve, s * (hx - OVERLAP), s * (hx + spec.gable_out)) for s in (-1.0, 1.0)]
    foot_z = float(spec.profile.height(np.array([spec.gable]))[0])
    foot = hy - spec.gable
    feet = tuple(np.array([[s * (hx + 0.12), -foot, foot_z], [s * (hx + 0.12), foot, foot_z]]) for s in (-1.0, 1.0))
    top = float(spec.profile.z[-1])
    end = hx + spec.gable_out
    main = np.linspace([-end, 0.0, top], [end, 0.0, top], 9)
    return Roof(
        join([core, *slabs]),
        main=(main,),
        hips=_hips(points, spec, floor),
        verges=_verge_lines(curve, end),
        around=feet,
        rows=_rows(spec, points, (len(run) - 1, floor, len(run) - 1, floor)),
    )


def _curve(profile: Profile, run: Array, half: float) -> Array:
    """Cross-section (n,2) of (y, z) from the front eave over the ridge to the back, along the given runs."""
    z = profile.height(run)
    front = np.column_stack([run - half, z])
    return np.concatenate([front, (front * [-1.0, 1.0])[-2::-1]])


def _verge(spec: RoofSpec, curve: Array, x0: float, x1: float) -> Mesh:
    low, high = min(x0, x1), max(x0, x1)
    lift = np.array([0.0, 0.015])
    below = curve - np.array([0.0, spec.thickness])
    slab = extrude_x(np.concatenate([below, (curve + lift)[::-1]]), low, high, spec.paint.field)
    return _gable_paint(slab, spec)


def _gable_paint(slab: Mesh, spec: RoofSpec) -> Mesh:
    a, b, c = (slab.vertices[slab.faces[:, k]] for k in range(3))
    n = np.cross(b - a, c - a)
    n /= np.maximum(np.linalg.norm(n, axis=1), 1e-12)[:, None]
    board = slab.painted(spec.paint.gable).material
    under = slab.painted(spec.paint.soffit).material
    material = np.where(np.abs(n[:, 0]) > 0.5, board, np.where(n[:, 2] < -0.05, under, slab.material))
    surface = np.where(n[:, 2] > 0.05, int(Surface.ROOF), slab.surface)
    return replace(slab, material=material.astype(np.uint8), surface=surface.astype(np.uint8))


def _verge_lines(curve: Array, end: float) -> tuple[Array, ...]:
    middle = len(curve) // 2
    lines = []
    for x in (-end + 0.3, end - 0.3):
        for half in (curve[: middle + 1][::-1], curve[middle:]):
            lines.append(np.column_stack([np.full(len(half), x), half]))
    return tuple(lines)


def _gabled(spec: RoofSpec) -> Roof:
    run = spec.profile.runs(spec.rings, spec.edge)
    hx, hy = spec.half
    curve = _curve(spec.profile, run, hy)
    slab = _verge(spec, curve, -hx, hx)
    wall = hx - spec.gable
    inside = np.abs(curve[:, 1]) >= -np.inf
    inner = curve[inside & (np.abs(curve[:, 0]) < hy - 0.3)]
    filled = np.concatenate(
        [
            [[inner[0, 0], inner[0, 1] - 2.0 * spec.thickness]],
            [[inner[-1, 0], inner[-1, 1] - 2.0 * spec.thickness]],
            (inner - [0.0, spec.thickness / 2.0])[::-1],
        ]
    )
    parts = [slab, extrude_x(filled, -wall, wall, spec.paint.gable)]
    top = float(spec.profile.z[-1])
    main = () if spec.kind == "juanpeng" else (np.linspace([-hx, 0.0, top], [hx, 0.0, top], 9),)
    return Roof(join(parts), main=main, verges=_verge_lines(curve, hx))


def _crossed(spec: RoofSpec) -> Roof:
    hx, hy = spec.half
    run, points = _flat_topped(spec, spec.gable)
    core = solid(points, run, spec.samples, ShellSpec(spec.thickness, edge=spec.edge), spec.paint)
    z0, top = float(spec.profile.height(np.array([spec.gable]))[0]), float(spec.profile.z[-1])
    upper = spec.profile.runs(spec.rings, spec.gable)
    upper = upper[upper >= spec.gable - 1e-9]
    share = (upper - spec.gable) / (spec.profile.end - spec.gable)
    z = spec.profile.height(upper)
    parts, main, verges = [core], [], []
    for turn, across, along in ((0.0, hy - spec.gable, hx - spec.gable), (np.pi / 2, hx - spec.gable, hy - spec.gable)):
        front = np.column_stack([(share - 1.0) * across, z])
        curve = np.concatenate([front, (front * [-1.0, 1.0])[-2::-1]])
        end = along + spec.gable_out
        filled = np.concatenate([[[-across, z0 - spec.thickness], [across, z0 - spec.thickness]], curve[::-1]])
        prism = extrude_x(filled, -along, along, spec.paint.field)
        slabs = [_verge(spec, curve, s * (along - OVERLAP), s * end) for s in (-1.0, 1.0)]
        parts += [_gable_paint(p, spec).turned(turn) for p in (prism, *slabs)]
        c, s = np.cos(turn), np.sin(turn)
        rotate = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        main.append(np.linspace([-end, 0.0, top], [end, 0.0, top], 9) @ rotate)
        verges += [line @ rotate for line in _verge_lines(curve, end)]
    return Roof(
        join(parts),
        main=tuple(main),
        hips=_hips(points, spec, len(run) - 2),
        verges=tuple(verges),
        peak=np.array([0, 0, top]),
    )
