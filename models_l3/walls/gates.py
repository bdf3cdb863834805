"""Gate blocks with their arched passage, ramps, and frusta for bastions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models_l3.mesh import Mesh, extrude_y, frustum, join, rectangle
from models_l3.walls.ring import paved
from twin.errors import GeometryError

Array = NDArray[np.float64]
ARCH = 12  # segments of a barrel


def arch_line(width: float, springing: float, floor: float) -> Array:
    """Outline (n,2) of (x, z) of a barrel-arched opening, left foot to right foot."""
    turn = np.linspace(np.pi, 0.0, ARCH + 1)
    arc = np.column_stack([np.cos(turn), np.sin(turn)]) * width / 2 + [0.0, springing]
    return np.concatenate([[[-width / 2, floor]], arc, [[width / 2, floor]]])


def gate_block(
    size: tuple[float, float], height: float, batter: float, passage: tuple[float, float], buried: float
) -> Mesh:
    """A battered block with an arched passage right through it along y; ground at z = 0, one closed body.

    size      length and depth at the top, m       batter   growth of each side from top to ground, m
    passage   width and springing height of the arch
    raises    GeometryError where the arch would break through the top
    """
    if passage[1] + passage[0] / 2 > height - 1.0 or passage[0] > size[0] - 4.0:
        raise GeometryError(f"passage {passage} does not fit a block {size} of height {height} m; make it smaller")
    foot = 1.0 + buried / height
    x_top, x_foot = size[0] / 2, size[0] / 2 + batter * foot
    outline = np.concatenate(
        [arch_line(*passage, -buried), [[x_foot, -buried], [x_top, height], [-x_top, height], [-x_foot, -buried]]]
    )
    flat = extrude_y(outline, -1.0, 1.0, "grey_brick")
    z = flat.vertices[:, 2]
    depth = size[1] / 2 + batter * (1.0 - z / height)
    vertices = flat.vertices * np.column_stack([np.ones(len(z)), depth, np.ones(len(z))])
    return paved(Mesh(vertices, flat.faces, flat.surface, flat.material))


def bastion(width: float, projection: float, batter: float, inner: float, levels: tuple[float, float]) -> Mesh:
    """A trapezoid tower against the outside of a wall whose face is at y = 0, growing towards +y; levels foot and top.

    inner   how far it reaches back into the wall, m
    """
    z0, z1 = levels
    top = np.array([[-width / 2, -inner], [width / 2, -inner], [width / 2, projection], [-width / 2, projection]])
    grow = np.array([[-batter, 0.0], [batter, 0.0], [batter, batter], [-batter, batter]])
    return paved(frustum(top + grow, z0, top, z1, "grey_brick"))


def ramp(length: float, width: float, height: float, buried: float) -> Mesh:
    """A ramp that climbs from x = 0 to x = length, between y = -width and y = 0, with a parapet on its open side."""
    profile = [[0.0, -buried], [length + 4.0, -buried], [length + 4.0, height], [length, height], [0.0, 0.05]]
    body = extrude_y(profile, -width, 0.0, "grey_brick")
    rail = [[0.0, -0.2], [length, height - 0.2], [length, height + 0.8], [0.0, 0.85]]
    return join([paved(body), extrude_y(rail, -width, -width + 0.4, "grey_brick")])


def plinth(size: tuple[float, float], batter: float, levels: tuple[float, float]) -> Mesh:
    """A free-standing battered block, levels foot and top, on its own centre."""
    top = rectangle(size[0] / 2, size[1] / 2)
    low = rectangle(size[0] / 2 + batter, size[1] / 2 + batter)
    return paved(frustum(low, levels[0], top, levels[1], "grey_brick"))
