"""Structures that are not halls: the glazed screen wall and the memorial archway."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models_l3.hall import Part
from models_l3.mesh import Mesh, box, boxes, frustum, join, rectangle
from models_l3.roofs.kinds import Roof, RoofSpec, build_roof
from models_l3.roofs.ornaments import RidgeStyle, ornaments, ridges
from models_l3.roofs.shell import Corner, Paint, profile_of
from models_l3.rules import jujia
from models_l3.style import Style
from twin.meshes import Surface

Array = NDArray[np.float64]
CAP = 1.0  # m, roofs of an archway beyond their posts
PANEL = ("yellow_glaze", "blue_glaze", "green_glaze")


def screen_wall(style: Style, size: tuple[float, float], ground: float) -> list[Part]:
    """A glazed screen wall: stepped base, panels, bracket sets by count, hip coping; z = 0 is the ground.

    size     length and thickness of the panel wall, m; `style.height` is the whole, `style.platform` the base
    """
    half, base = (size[0] / 2, size[1] / 2), style.platform
    sets = 0.4
    roof, crown = _coping(half, style)
    top = style.height - 0.15 - _highest([roof.body, *crown.values()])
    face = rectangle(*half)
    panel = [frustum(face, base - 0.02, face, top - sets, "green_glaze"), _dragons(half, base, top - sets)]
    made = [
        Part("platform", _stepped_base(half, base, ground), style.evidence["platform"]),
        Part("panel", join(panel), style.evidence["panel"]),
        Part("brackets", _bracket_row(half, style.count, top - sets, sets), style.evidence["brackets"]),
        Part("roof", roof.body.moved(z=top + 0.15), style.evidence["roof"]),
    ]
    return made + [Part(kind, mesh.moved(z=top + 0.15), style.evidence[kind]) for kind, mesh in crown.items()]


def _highest(meshes: Sequence[Mesh]) -> float:
    return max(float(mesh.vertices[:, 2].max()) for mesh in meshes)


def _crown(roof: Roof, ridge: RidgeStyle) -> dict[str, Mesh]:
    """Ridges and ornaments of a roof by kind, those that it has."""
    made = {"ridges": ridges(roof, ridge), "ornaments": ornaments(roof, ridge)}
    return {kind: mesh for kind, mesh in made.items() if mesh is not None}


def _coping(half: tuple[float, float], style: Style) -> tuple[Roof, dict[str, Mesh]]:
    """The hip roof on a screen wall and what sits on it, eave purlin at z = 0."""
    eave = (half[0] + 0.55, half[1] + 0.55)
    profile = profile_of(jujia([eave[1] / 2] * 2, (0.5, 0.8)), 0.0)
    paint = Paint(style.tile, style.edge, "green_glaze", "green_glaze")
    spec = RoofSpec("wudian", eave, profile, Corner(0.05, 0.1, 0.6), 0.18, paint=paint, rings=3, samples=6)
    roof = build_roof(spec)
    return roof, _crown(roof, RidgeStyle(0.4, 0.3, 0.2, 0.9, 0, 0.0, style.tile, style.ornament))


def _stepped_base(half: tuple[float, float], base: float, ground: float) -> Mesh:
    """A sumeru base: plinth, waist drawn in, cornice."""
    levels = [
        (ground - 0.3, 0.35),
        (0.3 * base, 0.35),
        (0.36 * base, 0.15),
        (0.7 * base, 0.15),
        (0.76 * base, 0.35),
        (base, 0.35),
    ]
    rings = [(z, rectangle(half[0] + g, half[1] + g)) for z, g in levels]
    return join(
        [frustum(a, z0, b, z1, "stone") for (z0, a), (z1, b) in ((rings[0], rings[1]), (rings[4], rings[5]))]
        + [frustum(rings[2][1], rings[1][0] - 0.02, rings[2][1], rings[4][0] + 0.02, "green_glaze")]
    )


def _dragons(half: tuple[float, float], z0: float, z1: float) -> Mesh:
    """Nine raised fields on the front, coloured in turn: each stands for one dragon."""
    x = np.linspace(-half[0] + 0.5, half[0] - 0.5, 10)
    fields = []
    for k in range(9):
        low = np.array([[x[k] + 0.25, -half[1] - 0.08, z0 + 0.35]])
        high = np.array([[x[k + 1] - 0.25, -half[1] + 0.3, z1 - 0.3]])
        fields.append(boxes(low, high, PANEL[k % 2 * 1 if k != 4 else 0], Surface.WALL))
    return join(fields)


def _bracket_row(half: tuple[float, float], count: int, z: float, height: float) -> Mesh:
    """`count` bracket sets shared between front and back, each one stepped block."""
    front = (count + 1) // 2
    made = [
        box(
            [-half[0] - 0.05, -half[1] - 0.05, z - 0.02],
            [half[0] + 0.05, half[1] + 0.05, z + height + 0.2],
            "green_glaze",
        )
    ]
    for number, side in ((front, -1.0), (count - front, 1.0)):
        x = np.linspace(-half[0] + 0.4, half[0] - 0.4, number)
        y = np.sort([side * (half[1] - 0.1), side * (half[1] + 0.4)])
        low = np.column_stack([x - 0.26, np.full(number, y[0]), np.full(number, z + 0.1)])
        high = np.column_stack([x + 0.26, np.full(number, y[1]), np.full(number, z + height)])
        made.append(boxes(low, high, "yellow_glaze", Surface.INSTALLATION))
    return join(made)


def archway(style: Style, size: tuple[float, float], ground: float) -> list[Part]:
    """A memorial archway of four posts and three roofs; z = 0 is the ground, the middle roof reaches `style.height`."""
    clear = size[0] - 2 * CAP
    middle, side = 0.46 * clear, 0.27 * clear
    posts_x = np.array([-middle / 2 - side, -middle / 2, middle / 2, middle / 2 + side])
    roof, ridge = _cap(middle, style)
    high = style.height - 0.75 - _highest([roof.body, *_crown(roof, ridge).values()])
    low = 0.74 * high
    tops = np.array([low, high, high, low]) + 0.9
    feet = np.column_stack([posts_x, np.zeros(4), np.full(4, ground - 0.3)])
    half = np.array([0.3, 0.3, 0.0])
    posts = boxes(
        feet - half, np.column_stack([posts_x, np.zeros(4), tops]) + half, "red_lacquer", Surface.INSTALLATION
    )
    drum = np.array([0.55, 1.3, 0.0])
    stones = boxes(
        feet - drum,
        np.column_stack([posts_x, np.zeros(4), np.full(4, 1.6)]) + drum * [1.0, 1.0, 0.0],
        "stone",
        Surface.INSTALLATION,
    )
    made = [Part("posts", join([posts, stones]), style.evidence["posts"])]
    kinds: dict[str, list[Mesh]] = {"brackets": [], "roof": [], "ridges": [], "ornaments": []}
    for x, span, z in ((0.0, middle, high), (-(middle + side) / 2, side, low), ((middle + side) / 2, side, low)):
        kinds["brackets"] += _beams(x, span, z)
        roof, ridge = _cap(span, style)
        for kind, mesh in {"roof": roof.body, **_crown(roof, ridge)}.items():
            kinds[kind].append(mesh.moved(x, 0.0, z + 0.75))
    return made + [Part(kind, join(meshes), style.evidence[kind]) for kind, meshes in kinds.items()]


def _beams(x: float, span: float, z: float) -> list[Mesh]:
    """Lower beam, name board, upper beam and the bracket block under one roof of an archway."""
    reach, shift = span / 2 + 0.25, np.array([x, 0.0])
    made = [
        box([x - reach, -0.22, z - 2.6], [x + reach, 0.22, z - 2.0], "bracket_paint"),
        box([x - reach, -0.2, z - 0.7], [x + reach, 0.2, z - 0.05], "bracket_paint"),
        box([x - 0.3 * span, -0.16, z - 2.05], [x + 0.3 * span, 0.16, z - 0.65], "blue_glaze"),
        frustum(
            rectangle(span / 2 + 0.3, 0.3) + shift,
            z - 0.1,
            rectangle(span / 2 + 0.75, 1.0) + shift,
            z + 0.85,
            "bracket_paint",
        ),
    ]
    count = max(int(span / 0.8), 3)
    at = np.linspace(x - span / 2, x + span / 2, count)
    low = np.column_stack([at - 0.16, np.full(count, -1.05), np.full(count, z + 0.25)])
    made.append(boxes(low, low + np.array([0.32, 2.1, 0.5]), "red_lacquer", Surface.INSTALLATION))
    return made


def _cap(span: float, style: Style) -> tuple[Roof, RidgeStyle]:
    """The small roof of one opening of an archway and its ridge style."""
    eave = (span / 2 + CAP, 1.9)
    profile = profile_of(jujia([0.75, 0.75], (0.5, 0.75)), 0.4, 0.2)
    spec = RoofSpec(
        style.roof,
        eave,
        profile,
        Corner(),
        0.22,
        gable=0.9,
        paint=Paint(style.tile, style.edge, "timber", "timber", "red_wall"),
        rings=4,
    )
    return build_roof(spec), RidgeStyle(0.4, 0.26, 0.22, 1.1, 0, 0.0, "grey_tile", style.ornament)
