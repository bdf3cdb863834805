"""A town wall from its fact table: curtain, bastions, corners, gates with barbicans, parapets and towers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_l3.hall import Part
from models_l3.mesh import Mesh, join, sweep
from models_l3.style import Style
from models_l3.walls import gates
from models_l3.walls.pieces import Piece, TowerShop, WallFacts
from models_l3.walls.ring import Ground, Line, Parapet, WallSection, battlements, curtain, polyline, walk_height

Array = NDArray[np.float64]
SIDES = ("S", "E", "N", "W")
SIDE_NAMES = {"S": "南", "E": "东", "N": "北", "W": "西"}
SIDE_TURN = {"S": 0.0, "E": np.pi / 2, "N": np.pi, "W": -np.pi / 2}  # local -y is the outside
LAP = 0.6  # m, stretches of wall reach that far into gate blocks


def build_wall(facts: WallFacts, ground: Ground, styles: Mapping[str, Style]) -> list[Piece]:
    """Every piece of the wall, in a fixed order; heights from the ground under it."""
    walk = _walk(facts, ground)
    towers = TowerShop(styles)
    pieces = _stretches(facts, ground, walk)
    for side in SIDES:
        pieces += _bastions(facts, side, ground, walk, towers)
        pieces += _gate(facts, side, ground, walk, towers)
    pieces += _corners(facts, ground, walk, towers)
    return pieces


Walk = Callable[[Array], Array]


def _walk(facts: WallFacts, ground: Ground) -> Walk:
    """Height of the walk anywhere on the ring, by the nearest place of the smoothed centre line."""
    line = polyline(facts.corners, closed=True)
    _, top = walk_height(line, ground, facts.section, facts.table["smooth"])
    run = line.run

    def at(xy: Array) -> Array:
        return np.interp(_run_of(facts, np.atleast_2d(xy)), run, top)

    return at


def _run_of(facts: WallFacts, xy: Array) -> Array:
    """Distance along the ring from its south-west corner of the place nearest to each point."""
    corners = np.concatenate([facts.corners, facts.corners[:1]])
    best, run, start = np.full(len(xy), np.inf), np.zeros(len(xy)), 0.0
    for a, b in pairwise(corners):
        length = float(np.linalg.norm(b - a))
        along = np.clip((xy - a) @ (b - a) / length, 0.0, length)
        away = np.linalg.norm(xy - a - along[:, None] * (b - a) / length, axis=1)
        run = np.where(away < best, start + along, run)
        best = np.minimum(away, best)
        start += length
    return run


def _stretches(facts: WallFacts, ground: Ground, walk: Walk) -> list[Piece]:
    """The curtain from gate to gate, cut into stretches of two bastion steps, each a closed body with its parapets."""
    pieces = []
    block = facts.table["gate"]["size"][0] / 2
    for side in SIDES:
        half, _ = facts.side_half(side)
        step = 2 * half / (facts.table["bastions"] + 1)
        cuts = [-half, *(step * m for m in (-4.5, -2.5)), -block + LAP]
        for first, (a, b) in enumerate(pairwise(cuts)):
            pieces.append(_stretch(facts, side, (a, b), f"{side}{first + 1}", ground, walk))
        back = [-c for c in cuts[::-1]]
        for first, (a, b) in enumerate(pairwise(back)):
            pieces.append(_stretch(facts, side, (a, b), f"{side}{first + 4}", ground, walk))
    return pieces


def _turned(points: Array, side: str) -> Array:
    c, s = np.cos(SIDE_TURN[side]), np.sin(SIDE_TURN[side])
    return points @ np.array([[c, s], [-s, c]])


def _stretch(facts: WallFacts, side: str, span: tuple[float, float], number: str, ground: Ground, walk: Walk) -> Piece:
    half, away = facts.side_half(side)
    a, b = span
    line = polyline(_turned(np.array([[a, -away], [b, -away]]), side))
    line = _mitred(line, side, (a <= -half + 1e-6, b >= half - 1e-6))
    across = np.stack([ground(line.offset(d)) for d in (-facts.section.base / 2, 0.0, facts.section.base / 2)])
    foot, top = across.min(axis=0) - facts.section.buried, walk(line.xy)
    body = curtain(line, foot, top, facts.section)
    rails = _rails(facts, side, span, walk)
    parts = (Part("curtain", body, facts.evidence("curtain")), *rails)
    return Piece(f"curtain/{number}", f"{facts.table['name']}{SIDE_NAMES[side]}墙", parts)


def _mitred(line: Line, side: str, ends: tuple[bool, bool]) -> Line:
    """Ends that lie in a town corner are cut along the diagonal, so that both sides meet without a gap."""
    out = line.out.copy()
    along = _turned(np.array([[1.0, 0.0]]), side)[0]
    if ends[0]:
        out[0] = out[0] - along
    if ends[1]:
        out[-1] = out[-1] + along
    return Line(line.xy, out)


def _rails(facts: WallFacts, side: str, span: tuple[float, float], walk: Walk) -> list[Part]:
    """Outer battlement between bastions and plain inner parapet of a stretch."""
    half, away = facts.side_half(side)
    t = facts.table
    edge = facts.section.top / 2 - facts.parapet.merlon[2] / 2 - 0.05
    step = 2 * half / (t["bastions"] + 1)
    places = [step * (m - (t["bastions"] + 1) / 2) for m in range(1, t["bastions"] + 1)]
    reach = t["corner"] / 2
    gaps = [(p - t["bastion"][0] / 2, p + t["bastion"][0] / 2) for p in places]
    gaps += [(-half - reach, -half + reach), (half - reach, half + reach)]
    made: dict[str, list[Mesh]] = {"parapet": [], "merlons": []}
    for low, high in _open(span, gaps):
        ends = _turned(np.array([[low, -away - edge], [high, -away - edge]]), side)
        made["merlons"].append(battlements(ends, walk(ends), facts.parapet))
    plain = replace(
        facts.parapet, sill=t["inner_parapet"], merlon=(facts.parapet.merlon[0], 0.05, facts.parapet.merlon[2])
    )
    for low, high in _open(
        span, [(-half - 1, -half + facts.section.top / 2), (half - facts.section.top / 2, half + 1)]
    ):
        ends = _turned(np.array([[low, -away + edge], [high, -away + edge]]), side)
        made["parapet"].append(_plain(ends, walk(ends), plain))
    return [Part(kind, join(meshes), facts.evidence(kind)) for kind, meshes in made.items() if meshes]


def _plain(ends: Array, heights: Array, style: Parapet) -> Mesh:
    return sweep(np.column_stack([ends, heights]), style.merlon[2] / 2, -0.25, style.sill, "grey_brick")


def _open(span: tuple[float, float], gaps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """What is left of a span outside the gaps, pieces of more than a metre."""
    left, at = [], span[0]
    for low, high in sorted(gaps):
        if high <= span[0] or low >= span[1]:
            continue
        if low > at + 1.0:
            left.append((at, low))
        at = max(at, high)
    if span[1] > at + 1.0:
        left.append((at, span[1]))
    return left


def _place(mesh: Mesh, side: str, along: float, away: float, z: float) -> Mesh:
    """A mesh whose -y is the outside, set on a side at a place along it and a distance from the centre."""
    return mesh.moved(along, -away, z).turned(SIDE_TURN[side])


def _spot(side: str, along: float, away: float) -> Array:
    return _turned(np.array([[along, -away]]), side)[0]


def _bastions(facts: WallFacts, side: str, ground: Ground, walk: Walk, towers: TowerShop) -> list[Piece]:
    """Bastions at equal steps with battlement and watch tower; two more towers stand beside all gates but the east."""
    t = facts.table
    half, away = facts.side_half(side)
    width, projection = t["bastion"]
    step = 2 * half / (t["bastions"] + 1)
    pieces = []
    for m in range(1, t["bastions"] + 1):
        along = step * (m - (t["bastions"] + 1) / 2)
        face = away + facts.section.top / 2
        spots = np.stack(
            [_spot(side, along + dx, face + dy) for dx in (-10.0, 0.0, 10.0) for dy in (0.0, projection + 3.0)]
        )
        foot = float(ground(spots).min()) - t["buried"]
        top = float(walk(_spot(side, along, away))[0])
        body = gates.bastion(width, projection, t["bastion_batter"], 2.0, (foot, top - 0.03)).turned(np.pi)
        rim = np.array([[-width / 2, 0.0], [-width / 2, -projection], [width / 2, -projection], [width / 2, 0.0]])
        inset = rim * (1.0 - 0.6 / width) + [0.0, 0.3]
        short = replace(facts.parapet, merlon=(2.2, facts.parapet.merlon[1], facts.parapet.merlon[2]))
        rail = battlements(inset, np.full(4, top), short)
        parts = (
            Part("bastion", _place(body, side, along, face, 0.0), facts.evidence("bastion")),
            Part("merlons", _place(rail, side, along, face, 0.0), facts.evidence("merlons")),
        )
        key = f"{side}{m:02d}"
        pieces.append(Piece(f"bastion/{key}", f"{SIDE_NAMES[side]}墙马面", parts))
        x, y = _spot(side, along, face + projection / 2 - 0.6)
        pieces.append(towers.tower("watch_tower", f"watch/{key}", "", (x, y, top - 0.03), SIDE_TURN[side] + np.pi))
    extra = (t["watch_towers"] - 4 * t["bastions"]) // 3 if side != "E" else 0
    for m in range(extra):
        along = 2.0 * step * (m - (extra - 1) / 2)
        x, y = _spot(side, along, away)
        top = float(walk(np.array([[x, y]]))[0])
        pieces.append(towers.tower("watch_tower", f"watch/{side}gate{m + 1}", "", (x, y, top), SIDE_TURN[side] + np.pi))
    return pieces


def _gate(facts: WallFacts, side: str, ground: Ground, walk: Walk, towers: TowerShop) -> list[Piece]:
    """Gate block with tower and ramps, barbican with arrow tower, moon wall with moon tower."""
    t, g = facts.table, facts.table["gate"]
    name = next(row["name"] for row in t["gates"] if row["side"] == side)
    _, away = facts.side_half(side)
    level = float(walk(_spot(side, 0.0, away))[0]) - facts.section.height
    block = gates.gate_block(tuple(g["size"]), facts.section.height, 3.0, tuple(g["passage"]), t["buried"])
    ramps = _ramps(facts, g)
    rail = _rim(tuple(g["size"]), facts.section.height, facts.parapet)
    parts = (
        Part("gate", _place(block, side, 0.0, away, level), facts.evidence("gate")),
        Part("merlons", _place(rail, side, 0.0, away, level), facts.evidence("merlons")),
        Part("ramp", _place(ramps, side, 0.0, away, level), facts.evidence("ramp")),
    )
    turn = SIDE_TURN[side]
    x, y = _spot(side, 0.0, away)
    pieces = [Piece(f"gate/{side}", name, parts)]
    pieces.append(
        towers.tower(
            "gate_tower", f"gate_tower/{side}", name + "城楼", (x, y, level + facts.section.height), turn + np.pi
        )
    )
    start = away
    for kind, label, tower, tower_name in (
        ("barbican", "瓮城", "arrow_tower", "箭楼"),
        ("moon", "月城", "moon_tower", "月楼"),
    ):
        pieces += _ward(facts, side, (kind, name + label), start, ground, (towers, tower, name + tower_name))
        start += g[kind][1]
    return pieces


def _ramps(facts: WallFacts, g: Mapping[str, Any]) -> Mesh:
    length, width = g["ramp"]
    one = gates.ramp(length, width + 3.0, facts.section.height, facts.table["buried"])
    left = one.moved(-g["size"][0] / 2 - length - 1.0, 0.0, 0.0)
    right = replace(left, vertices=left.vertices * [-1.0, 1.0, 1.0], faces=left.faces[:, ::-1])
    return join([left, right]).moved(0.0, facts.section.top / 2 + width + 3.0, 0.0)


def _rim(size: tuple[float, float], z: float, parapet: Parapet) -> Mesh:
    a, b = size[0] / 2 - 0.4, size[1] / 2 - 0.4
    ring = np.array([[-a, b], [-a, -b], [a, -b], [a, b], [-a, b]])
    short = replace(parapet, merlon=(2.2, parapet.merlon[1], parapet.merlon[2]))
    return battlements(ring, np.full(5, z), short)


def _ward(
    facts: WallFacts,
    side: str,
    words: tuple[str, str],
    start: float,
    ground: Ground,
    tower: tuple[TowerShop, str, str],
) -> list[Piece]:
    """A walled court in front of a gate: two arms, a block with a straight passage, a tower on it."""
    kind, name = words
    g = facts.table["gate"]
    (width, depth), (height, base, top) = g[kind], g[f"{kind}_wall"]
    section = WallSection(height, base, top, facts.table["buried"])
    size = tuple(g[f"{kind}_block"])
    part = "barbican" if kind == "barbican" else "moon_wall"
    outside = start + depth
    middle = _spot(side, 0.0, outside)
    level = float(ground(middle[None])[0])
    meshes, rails = [], []
    for sign in (-1.0, 1.0):
        arm = np.array(
            [[sign * width / 2, -start], [sign * width / 2, -outside], [sign * (size[0] / 2 - LAP), -outside]]
        )
        arm = arm if sign < 0 else arm[::-1]
        line = polyline(_turned(arm, side))
        across = np.stack([ground(line.offset(d)) for d in (-base / 2, 0.0, base / 2)])
        walk = np.full(len(line.xy), level + height)
        meshes.append(curtain(line, across.min(axis=0) - section.buried, walk, section))
        edge = line.offset(top / 2 - 0.3)[_corner_rows(line)]
        rails.append(battlements(edge, np.full(len(edge), level + height), facts.parapet))
    block = gates.gate_block(size, height + 0.02, 1.5, tuple(g["passage"]), facts.table["buried"])
    meshes.append(_place(block, side, 0.0, outside, level))
    rails.append(_place(_rim(size, height + 0.02, facts.parapet), side, 0.0, outside, level))
    pieces = [
        Piece(
            f"{kind}/{side}",
            name,
            (Part(part, join(meshes), facts.evidence(part)), Part("merlons", join(rails), facts.evidence("merlons"))),
        )
    ]
    shop, style, label = tower
    at = (float(middle[0]), float(middle[1]), level + height + 0.02)
    return [*pieces, shop.tower(style, f"{style}/{side}", label, at, SIDE_TURN[side])]


def _corner_rows(line: Line) -> NDArray[np.intp]:
    """Rows of the ends and of the mitred corners of a line."""
    bent = np.linalg.norm(line.out, axis=1) > 1.01
    bent[[0, -1]] = True
    return np.flatnonzero(bent)


def _corners(facts: WallFacts, ground: Ground, walk: Walk, towers: TowerShop) -> list[Piece]:
    """Corner bastions with their towers (the north-west one is the Qian tower), and control platforms outside."""
    t = facts.table
    names = ("西南", "东南", "东北", "西北")
    size, (pa, pb, gap) = t["corner"], t["control_platform"]
    pieces = []
    for k, (corner, name) in enumerate(zip(facts.corners, names, strict=True)):
        out = np.sign(corner)
        centre = corner + out * 2.0
        top = float(walk(corner)[0])
        spots = centre + np.array([[sx, sy] for sx in (-1, 0, 1) for sy in (-1, 0, 1)]) * (size / 2 + 3)
        levels = (float(ground(spots).min()) - t["buried"], top - 0.02)
        body = gates.plinth((size, size), 3.0, levels).moved(*centre)
        half = size / 2 - 0.4
        ring = centre + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])[_outer(out)] * half
        short = replace(facts.parapet, merlon=(2.2, facts.parapet.merlon[1], facts.parapet.merlon[2]))
        rail = battlements(ring, np.full(len(ring), top), short)
        far = corner + out * (facts.section.base / 2 + size / 2 - 6.0 + gap + pa / 2)
        low = float(ground(far[None])[0]) - t["buried"]
        control = gates.plinth((pa, pb), 2.0, (low, low + t["buried"] + facts.section.height - 2.0)).moved(*far)
        parts = (
            Part("corner", body, facts.evidence("corner")),
            Part("merlons", rail, facts.evidence("merlons")),
            Part("control_platform", control, facts.evidence("control_platform")),
        )
        pieces.append(Piece(f"corner/{k + 1}", name + "角台", parts))
        kind, label = ("qian_tower", "乾楼") if name == "西北" else ("corner_tower", name + "角楼")
        pieces.append(towers.tower(kind, f"corner_tower/{k + 1}", label, (*centre, top - 0.02), 0.0))
    return pieces


def _outer(out: Array) -> list[int]:
    """Order of ring corners so that the open end of the battlement looks into the town."""
    orders = {(-1, -1): [3, 0, 1], (1, -1): [0, 1, 2], (1, 1): [1, 2, 3], (-1, 1): [2, 3, 0]}
    return orders[(int(out[0]), int(out[1]))]
