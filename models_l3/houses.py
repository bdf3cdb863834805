"""Courtyard houses and shops: thousands of gabled roofs with a curved section, one template, all at once."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from twin.meshes import Surface, material_code

Array = NDArray[np.float64]
EAVE = 0.22  # m, front of the eave
OVERHANG = 0.5  # m, front and back; gables carry no overhang (硬山)
CURVE = 0.3  # share of the rise that is curved: slopes run from 0.7 to 1.3 of the mean
RUNGS = (
    9  # points of the section on each side: base, plinth, soffit, eave low and high, two purlins, ridge foot and top
)


@dataclass(frozen=True, slots=True)
class HouseTable:
    """Houses as arrays (n,), lengths in m, heights in the vertical datum.

    x, y      centre of the plan                angle    turn of the front from south, radians counter-clockwise
    w, d      length along the ridge and depth  base     lowest point in the ground
    floor     floor                             eave     top of the eave edge
    rise      ridge over the eave edge          rolled   True for a roof without main ridge (juanpeng)
    shop      True where the front opens whole  storeys  1 or 2
    earthen   True for plastered earth walls instead of brick
    """

    x: Array
    y: Array
    angle: Array
    w: Array
    d: Array
    base: Array
    floor: Array
    eave: Array
    rise: Array
    rolled: NDArray[np.bool_]
    shop: NDArray[np.bool_]
    storeys: Array
    earthen: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> HouseTable:
        """The houses at an index or under a mask."""
        return HouseTable(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def section(table: HouseTable) -> Array:
    """Cross-sections (n, 18, 2) of (y, z): back side from base to ridge, then front side from ridge to base."""
    h, edge = table.d / 2, table.d / 2 + OVERHANG
    r = np.where(table.rolled, np.minimum(0.45, 0.25 * h), 0.11)
    top = np.where(table.rolled, 0.05, 0.26)

    def at(share: Array | float) -> Array:
        return table.eave + table.rise * (np.asarray(share) * (1.0 - CURVE) + CURVE * np.asarray(share) ** 2)

    y = np.stack([h, h, h, edge, edge, 0.64 * edge, 0.3 * edge, r, 0.5 * r], axis=1)
    z = np.stack(
        [
            table.base,
            table.floor,
            table.eave - 0.45 * EAVE,
            table.eave - EAVE,
            table.eave,
            at(0.36),
            at(0.7),
            at(1.0 - r / edge),
            at(1.0 - r / edge) + top,
        ],
        axis=1,
    )
    half = np.stack([y, z], axis=-1)
    return np.concatenate([half, (half * [-1.0, 1.0])[:, ::-1]], axis=1)


def vertices(table: HouseTable, upper: bool) -> Array:
    """Corner points (n, 36 + 8 per panel, 3) of every house, frame metres."""
    n = len(table)
    p = section(table)
    ends = np.stack([-table.w / 2, table.w / 2], axis=1)
    x = np.broadcast_to(ends[:, :, None], (n, 2, 2 * RUNGS))
    body = np.stack([x, *(np.broadcast_to(p[:, None, :, k], x.shape) for k in (0, 1))], axis=-1).reshape(n, -1, 3)
    low, high = _panels(table, upper)
    unit = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], float)
    panels = (low[:, :, None] + unit * (high - low)[:, :, None]).reshape(n, -1, 3)
    local = np.concatenate([body, panels], axis=1)
    c, s = np.cos(table.angle)[:, None], np.sin(table.angle)[:, None]
    return np.stack(
        [
            table.x[:, None] + local[..., 0] * c - local[..., 1] * s,
            table.y[:, None] + local[..., 0] * s + local[..., 1] * c,
            local[..., 2],
        ],
        axis=-1,
    )


def _panels(table: HouseTable, upper: bool) -> tuple[Array, Array]:
    """Corners (n, 3 or 5, 3) of the wooden fronts, 5 cm proud of the wall: left, door, right, then the upper storey."""
    front = -table.d / 2
    clear = table.w - 0.8
    bay = np.array([-0.5, -0.19, 0.19, 0.5])
    pier = np.where(table.shop, 0.06, 0.16)[:, None]
    ceiling = table.floor + (table.eave - table.floor) * (0.52 if upper else 1.0) - (0.0 if upper else EAVE)
    sill = np.where(table.shop, 0.05, 0.85)[:, None] * np.array([1.0, 0.0, 1.0]) + 0.02
    x0, x1 = clear[:, None] * bay[:3] + pier, clear[:, None] * bay[1:] - pier
    z0 = table.floor[:, None] + sill
    z1 = np.broadcast_to((ceiling - 0.28)[:, None], z0.shape)
    y0 = np.broadcast_to((front - 0.05)[:, None], z0.shape)
    if upper:
        x0 = np.column_stack([x0, 0.2 - clear / 2, -table.w / 2 - 0.02])
        x1 = np.column_stack([x1, clear / 2 - 0.2, table.w / 2 + 0.02])
        y0 = np.column_stack([y0, front - 0.05, front - 0.85])
        z0 = np.column_stack([z0, ceiling + 0.55, ceiling])
        z1 = np.column_stack([z1, table.eave - EAVE - 0.12, ceiling + 0.16])
    y1 = np.broadcast_to((front + 0.12)[:, None], z0.shape)
    return np.stack([x0, y0, z0], axis=-1), np.stack([x1, y1, z1], axis=-1)


def topology(upper: bool) -> tuple[NDArray[np.int32], NDArray[np.uint8], list[str]]:
    """Faces (m, 3) of one house, their surfaces (m,) and material names; each body closed, outward."""
    k = 2 * RUNGS
    back = ["stone", "grey_brick", "timber", "timber", "grey_tile", "grey_tile", "grey_tile", "grey_tile"]
    edge_material = [*back, "grey_tile", *back[::-1], "stone"]
    wall, roof, under = Surface.WALL, Surface.ROOF, Surface.OUTER_CEILING
    kinds = [wall, wall, under, wall, roof, roof, roof, roof]
    edge_surface = [*kinds, roof, *kinds[::-1], Surface.GROUND]
    faces, surfaces, materials = [], [], []
    for i in range(k):
        j = (i + 1) % k
        faces += [[i, j, k + j], [i, k + j, k + i]]
        surfaces += [edge_surface[i]] * 2
        materials += [edge_material[i]] * 2
    cap = _cap()
    faces += [[k + a, k + b, k + c] for a, b, c in cap] + [[c, b, a] for a, b, c in cap]
    surfaces += [wall] * (2 * len(cap))
    materials += ["grey_brick"] * (2 * len(cap))
    cube = [
        [0, 2, 1],
        [0, 3, 2],
        [4, 5, 6],
        [4, 6, 7],
        [0, 1, 5],
        [0, 5, 4],
        [1, 2, 6],
        [1, 6, 5],
        [2, 3, 7],
        [2, 7, 6],
        [3, 0, 4],
        [3, 4, 7],
    ]
    for panel in range(5 if upper else 3):
        start = 2 * k + 8 * panel
        faces += [[start + a, start + b, start + c] for a, b, c in cube]
        surfaces += [Surface.OPENING if panel < 4 else Surface.ROOF] * 12
        materials += ["lattice" if panel < 4 else "grey_tile"] * 12
    return np.array(faces, np.int32), np.array([int(s) for s in surfaces], np.uint8), materials


def _cap() -> list[list[int]]:
    """Triangles of the gable seen from +x: a ladder of rungs, the eaves as triangles of their own."""
    last = 2 * RUNGS - 1
    cap = [[2, 3, 4], [last - 4, last - 3, last - 2]]
    for low, high in ((0, 1), (1, 2), (2, 4), (4, 5), (5, 6), (6, 7), (7, 8)):
        cap += [[low, high, last - high], [low, last - high, last - low]]
    return cap


def house_arrays(
    table: HouseTable, upper: bool
) -> tuple[Array, NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8]]:
    """Vertices (n, v, 3), faces (m, 3) within one house, surfaces (m,) and material codes (n, m) of houses alike.

    upper   True draws the front of a second storey; the caller keeps one- and two-storey houses apart
    """
    faces, surface, names = topology(upper)
    material = np.array([material_code(name) for name in names], np.uint8)
    materials = np.broadcast_to(material, (len(table), len(material))).copy()
    brick = material == material_code("grey_brick")
    materials[np.ix_(table.earthen, brick)] = material_code("plaster")
    return vertices(table, upper), faces, surface, materials
