"""A hall, pavilion or tower as parts: platform, then storeys of body, brackets and roof, then ridges and ornaments."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models_l3 import parts
from models_l3.mesh import Mesh, frustum, join, rectangle
from models_l3.plan import perimeter_columns
from models_l3.roofs.kinds import Roof, RoofSpec, build_roof
from models_l3.roofs.ornaments import RidgeStyle, ornaments, ridges
from models_l3.roofs.shell import FLYING, Corner, Paint, Profile, profile_of
from models_l3.rules import corner_rise, tuishan
from models_l3.style import Style, Tier

Array = NDArray[np.float64]
PLATE = 0.14  # m, from column head to the foot of the brackets
LIFT = 0.36  # m, tile surface over the purlin back
COVER = 0.42  # m, vertical thickness of the roof shell
BALCONY = 0.85  # m
CUN = 0.032  # m
ROW_PITCH = 0.72  # m, about three real rows
SMALL = 5.0  # m, half frontage below which a building is drawn with fewer triangles


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a building: its kind, closed mesh in the building's frame (floor z = 0) and level of evidence."""

    kind: str
    mesh: Mesh
    evidence: str


@dataclass(frozen=True, slots=True)
class Storey:
    """One storey with all its measures, m; z of the floor."""

    half: tuple[float, float]
    bays: tuple[int, int]
    z: float
    column: float
    bracket: float
    reach: float
    overhang: float

    @property
    def purlin(self) -> float:
        """Height of the eave purlin above the floor of the building."""
        return self.z + self.column + PLATE + self.bracket

    @property
    def eave(self) -> tuple[float, float]:
        """Half sizes of the eave edge."""
        out = self.reach + self.overhang
        return self.half[0] + out, self.half[1] + out


def fitted(style: Style, size: tuple[float, float]) -> Style:
    """The style with its columns stretched until the whole stands as high above the ground as documented.

    Only for styles with a documented total height; the others come back as they are.
    """
    if not style.height:
        return style
    wanted = style.height - style.platform
    factors = [1.0, 1.1]
    tops: list[float] = []
    for _ in range(3):
        trial = _stretched(style, factors[-1] if len(tops) else factors[0])
        tops.append(max(float(p.mesh.vertices[:, 2].max()) for p in hall(trial, size, -style.platform)))
        if len(tops) >= 2:
            slope = (tops[-1] - tops[-2]) / (factors[-1] - factors[-2])
            factors.append(factors[-1] + (wanted - tops[-1]) / slope)
    return _stretched(style, factors[-1])


def _stretched(style: Style, factor: float) -> Style:
    tiers = tuple(replace(tier, column=tier.column * factor) for tier in style.tiers)
    return replace(style, tiers=tiers, column=style.column * factor)


def hall(style: Style, size: tuple[float, float], ground: float) -> list[Part]:
    """All parts of a building, its front towards -y, its floor at z = 0.

    size     frontage and depth over the column lines, m
    ground   (lowest) ground under it relative to the floor, m, negative
    raises   OptionsError, GeometryError from the rules
    """
    half = (size[0] / 2, size[1] / 2)
    made: dict[str, list[Mesh]] = {}
    _base(style, half, ground, made)
    tiers = style.tiers or (Tier(0.0, 0.0),)
    z = 0.0
    for index, tier in enumerate(tiers):
        half = (half[0] - tier.inset, half[1] - tier.inset)
        if tier.balcony:
            _add(made, "balcony", _balcony(half, style.sides, z))
            z += BALCONY
        storey = _storey(style, tier, half, z)
        _body(style, storey, index, made)
        last = index == len(tiers) - 1
        roof = _top(style, storey) if last else _skirt(style, storey, tiers[index + 1].inset)
        _crown(style, roof, storey, last, made)
        z = storey.purlin + (0.0 if last else LIFT + _skirt_rise(_skirt_run(storey, tiers[index + 1].inset)) - 0.1)
    return [Part(kind, join(meshes), style.evidence.get(kind, "rule")) for kind, meshes in made.items()]


def _add(made: dict[str, list[Mesh]], kind: str, *meshes: Mesh | None) -> None:
    kept = [m for m in meshes if m is not None]
    if kept:
        made.setdefault(kind, []).extend(kept)


def _base(style: Style, half: tuple[float, float], ground: float, made: dict[str, list[Mesh]]) -> None:
    """Platform, front terrace, steps and parapet."""
    column = style.column or 0.7 * style.eave or 3.5
    edge = min(0.75 * (style.overhang or 0.33 * column) + 0.5, 2.8)
    plan = parts.outline(half, style.sides, edge)
    bottom = ground - 0.3
    earth = ground + 0.02
    _add(made, "platform", parts.platform(plan, 0.0, bottom))
    front, width = -half[1] - edge, max(0.3 * half[0], 1.6) * 1.4
    gap = width + 1.0
    top = 0.0
    if style.yuetai[0] > 0:
        terrace = rectangle(style.yuetai[0] / 2, style.yuetai[1] / 2)
        terrace = terrace + np.array([0.0, front - style.yuetai[1] / 2 + 0.3])
        top = -0.18
        _add(made, "platform", parts.platform(terrace, top, bottom))
        front -= style.yuetai[1] - 0.3
        if style.rail:
            _add(made, "balustrade", parts.balustrade(_shrunk(terrace)[[3, 0, 1, 2]][[1, 2, 3, 0]], top, gap))
    if style.rail:
        _add(made, "balustrade", parts.balustrade(_shrunk(plan), 0.0, max(style.yuetai[0], gap)))
    if top - earth > 0.3:
        _add(made, "steps", parts.steps(width, front, top, earth))


def _shrunk(plan: Array) -> Array:
    middle = plan.mean(axis=0)
    return middle + (plan - middle) * (1.0 - 0.2 / np.abs(plan - middle).max())


def _storey(style: Style, tier: Tier, half: tuple[float, float], z: float) -> Storey:
    ratio = style.ratio_of_brackets()
    column = tier.column or style.column
    if not column:
        overhang = style.overhang or 0.3 * 0.75 * style.eave
        drop = FLYING * 0.42 * overhang
        column = (style.eave + drop - LIFT - PLATE) / (1.0 + ratio)
    overhang = min(style.overhang or 0.33 * column, 0.36 * column + 0.8)
    bracket = ratio * column if style.brackets else 0.12
    reach = 0.62 * bracket if style.brackets else 0.0
    bays = tier.bays or style.bays
    return Storey(half, bays, z, column, bracket, reach, overhang)


def _body(style: Style, s: Storey, index: int, made: dict[str, list[Mesh]]) -> None:
    up = {"z": s.z}
    at, _, _ = perimeter_columns(s.half, s.bays, style.sides)
    diameter = min(max(s.column / (8.0 if style.is_old else 10.0), 0.24), 0.8)
    front = 0.45 if style.wall == "lattice" and style.sides == 4 else 0.0
    if style.wall != "brick" or s.half[0] > SMALL:
        _add(made, "columns", parts.columns(at, s.column, diameter, index == 0).moved(**up))
    _add(made, "body", parts.walls(s.half, style.sides, s.column + PLATE, front, style.wall_material).moved(**up))
    _add(made, "brackets", parts.beams(s.half, style.sides, s.column, min(0.09 * s.column, 0.55)).moved(**up))
    z0 = s.column + PLATE
    _add(made, "brackets", parts.bracket_band(s.half, style.sides, z0, z0 + s.bracket + 0.06, s.reach).moved(**up))
    if style.brackets:
        place = parts.BracketPlace(s.half, s.bays, style.sides, between=index == 0)
        _add(made, "brackets", parts.bracket_sets(place, (z0, z0 + s.bracket), s.reach).moved(**up))
    _add(made, "openings", *(m.moved(**up) for m in _openings(style, s, front, index)))
    if index == len(style.tiers) - 1 or not style.tiers:
        board = parts.plaque(-s.half[1] - 0.5, s.z + s.column + 0.2, (1.3, 1.5) if s.column > 4 else (1.6, 0.7))
        _add(made, "plaque", board)


def _openings(style: Style, s: Storey, front: float, index: int) -> list[Mesh]:
    """Doors by the wall style: chosen bays of the front, all of front and back, or all sides of a tower."""
    height = min(0.74 * s.column, max(3.6, 0.62 * s.column))
    if style.sides != 4:
        side = s.half[0] * np.tan(np.pi / style.sides)
        one = parts.doors(side, 1, (0,), -s.half[0], height, 2)
        return [one.turned(2 * np.pi / style.sides * k) for k in range(style.sides)]
    every = tuple(range(s.bays[0]))
    if style.wall == "brick":
        return [parts.doors(s.half[0], s.bays[0], style.doors or (s.bays[0] // 2,), -s.half[1], height)]
    leaves = 4 if style.wall == "lattice" else 2
    chosen = style.doors if style.doors and index == 0 else every
    made = [parts.doors(s.half[0], s.bays[0], chosen, -s.half[1] + front, height, leaves)]
    if style.wall == "lattice":
        return made
    made.append(parts.doors(s.half[0], s.bays[0], every, -s.half[1], height, leaves).turned(np.pi))
    sides = parts.doors(s.half[1], s.bays[1], tuple(range(s.bays[1])), -s.half[0], height, leaves)
    return [*made, sides.turned(np.pi / 2), sides.turned(-np.pi / 2)]


def _corner(style: Style, s: Storey) -> Corner:
    rafter = min(max(0.028 * s.column, 0.07), 0.16)
    rise = corner_rise(s.bays[0]) * CUN if style.is_old else 0.02 * s.half[0]
    reach = s.overhang + s.reach + min(0.3 * s.half[1], 3.0)
    return Corner(3 * rafter * style.upturn, 4.5 * rafter * style.upturn, reach, rise)


def _paint(style: Style) -> Paint:
    fascia = style.edge if style.edge != style.tile else "timber"
    return Paint(style.tile, style.edge, "timber", fascia, "red_lacquer" if style.is_old else "red_wall")


def _skirt_run(s: Storey, inset: float) -> float:
    return s.overhang + s.reach + inset + 0.1


def _skirt_rise(run: float) -> float:
    return 0.55 * run * 0.75


def _skirt(style: Style, s: Storey, inset: float) -> Roof:
    run = _skirt_run(s, inset)
    rise = _skirt_rise(run)
    edge = -FLYING * 0.5 * s.overhang
    inner = run - s.overhang
    profile = Profile(
        np.array([0.0, s.overhang, s.overhang + inner / 2, run]), np.array([edge, 0.0, 0.42 * rise, rise]) + LIFT
    )
    spec = RoofSpec(
        "skirt",
        s.eave,
        profile,
        _corner(style, s),
        COVER,
        sides=style.sides,
        paint=_paint(style),
        edge=_edge(style),
        rings=3,
        samples=6 if s.half[0] < SMALL else 8,
    )
    return build_roof(spec)


def _edge(style: Style) -> float:
    return 0.75 if style.edge != style.tile else 0.0


def _top(style: Style, s: Storey) -> Roof:
    span = 2 * (s.half[1] + s.reach)
    section = style.section(span)
    profile = profile_of(section, s.overhang, LIFT)
    step = span / style.rafters
    gain = None
    if style.roof == "wudian" and style.tuishan < 1.0:
        runs = s.overhang + section.half_span - section.y[::-1]
        gain = (
            np.concatenate([[0.0], runs]),
            np.concatenate([[0.0], tuishan([step] * (style.rafters // 2), style.tuishan)]),
        )
    if style.roof == "kuiding":
        profile = _helmet(profile)
    eave = s.eave
    gable = s.overhang + s.reach + style.gable_steps * step * 0.6
    if style.roof in ("xuanshan", "yingshan", "juanpeng"):
        gable = 0.1 if style.roof == "yingshan" else min(s.overhang, 1.1)
        eave = (s.half[0] + gable, eave[1])
    if style.roof == "juanpeng":
        profile = _rolled(profile)
    spec = RoofSpec(
        style.roof, eave, profile, _corner(style, s), COVER, gable, min(0.8, 0.25 * step + 0.35), gain, style.sides
    )
    samples, rings = _detail(style, s)
    return build_roof(
        replace(
            spec, edge=_edge(style), paint=_paint(style), samples=samples, rings=rings, row_pitch=_row_pitch(style, s)
        )
    )


def _row_pitch(style: Style, s: Storey) -> float:
    """Pitch of the drawn tile rows of a single-storey hall, m; none on towers, whose budget goes into their storeys."""
    return max(ROW_PITCH, s.eave[0] / 28.0) if not style.tiers and s.half[0] >= SMALL else 0.0


def _detail(style: Style, s: Storey) -> tuple[int, int]:
    """Samples per side and rings of a roof; small roofs need fewer for the same error."""
    if style.sides != 4:
        return 6, 8
    return (6, 4) if s.half[0] < SMALL else (12, 6)


def _helmet(profile: Profile) -> Profile:
    """Concave at the eave, swelling above, as a helmet (盔顶)."""
    t = profile.end * np.array([0.0, 0.18, 0.3, 0.42, 0.58, 0.78, 1.0])
    rise = float(profile.z[-1] - profile.z[0])
    return Profile(t, profile.z[0] + rise * np.array([0.0, 0.05, 0.16, 0.42, 0.68, 0.88, 1.0]))


def _rolled(profile: Profile) -> Profile:
    """The ridge rounded off between its two purlins (卷棚)."""
    t, z = profile.t, profile.z
    width = min(0.12 * profile.end, 0.6)
    shoulder = float(profile.height(np.array([profile.end - width]))[0])
    keep = t < profile.end - width - 0.05
    top = shoulder + 0.3 * width
    return Profile(np.append(t[keep], [profile.end - width, profile.end]), np.append(z[keep], [shoulder, top]))


def _crown(style: Style, roof: Roof, s: Storey, last: bool, made: dict[str, list[Mesh]]) -> None:
    scale = min(max(s.half[1] / 12.0, 0.35), 1.0)
    ridge = RidgeStyle(
        main=0.35 + 0.85 * scale,
        width=0.26 + 0.2 * scale,
        hip=0.26 + 0.28 * scale,
        chiwen=(style.chiwen or _chiwen_by_rule(style, roof, s)) if last else 0.0,
        figures=style.figures if last else min(style.figures, 3),
        finial=style.finial if last else 0.0,
        material="grey_tile" if style.edge == style.tile else style.edge,
        ornament=style.ornament,
    )
    _add(made, "roof", roof.body.moved(z=s.purlin))
    _add(made, "tile_rows", None if roof.rows is None else roof.rows.moved(z=s.purlin))
    bars, figures = ridges(roof, ridge), ornaments(roof, ridge)
    _add(made, "ridges", None if bars is None else bars.moved(z=s.purlin))
    _add(made, "ornaments", None if figures is None else figures.moved(z=s.purlin))


def _chiwen_by_rule(style: Style, roof: Roof, s: Storey) -> float:
    """A tenth or so of the ridge height above the ground; none on roofs without a main ridge."""
    if not roof.main or style.roof == "juanpeng":
        return 0.0
    return 0.115 * (s.purlin + float(roof.main[0][0, 2]) + style.platform)


def _balcony(half: tuple[float, float], sides: int, z: float) -> Mesh:
    """A gallery between two storeys (平座) with its rail."""
    low, high = parts.outline(half, sides, 0.25), parts.outline(half, sides, 0.95)
    floor = parts.outline(half, sides, 1.05)
    made = [
        frustum(low, z - 0.6, high, z + BALCONY - 0.15, "bracket_paint"),
        frustum(floor, z + BALCONY - 0.17, floor, z + BALCONY, "timber"),
    ]
    made.append(parts.balustrade(_shrunk(floor), z + BALCONY, 0.0, "red_lacquer"))
    return join(made)
