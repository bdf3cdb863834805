"""Rows of tube tiles on a sheet: slender bars from the eave up to hip or ridge, each closed by itself.

Real rows lie 0.15 to 0.3 m apart; a coarser pitch keeps the reading of a tiled roof at the triangle budget of a city.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models_l3.mesh import Mesh, join
from twin.meshes import Surface, material_code

Array = NDArray[np.float64]
HALF_WIDTH = 0.10  # m
HEIGHT = 0.17  # m
SUNK = 0.04  # m
NOSE = 0.06  # m, rows stand out of the eave by their round end
CLEAR = 0.35  # m, rows end before a hip, under its ridge


def tile_rows(
    points: Array, samples: int, pitch: float, materials: tuple[str, str], upper: tuple[int, ...] = ()
) -> Mesh | None:
    """Rows on every side of a sheet, a trough on each axis; None where nothing fits.

    points    (r, k * samples, 3) as `sheet` gives them, the ring of the eave first
    materials  of the strip along the eave (the first ring) and of the field
    upper     last ring of each side that carries rows; all rings where empty
    """
    corners = points[:, ::samples]
    sides = corners.shape[1]
    made: list[Mesh] = []
    for side in range(sides):
        last = upper[side] if upper else len(points) - 1
        ring = np.concatenate([points, points[:, :1]], axis=1)
        strip = ring[: last + 1, side * samples : (side + 1) * samples + 1]
        made += _side(strip, pitch, materials)
    return join(made) if made else None


def _side(strip: Array, pitch: float, materials: tuple[str, str]) -> list[Mesh]:
    """Rows of one side (r, s, 3), grouped by how many rings they cross."""
    a, b = strip[0, 0, :2], strip[0, -1, :2]
    along = (b - a) / np.linalg.norm(b - a)
    out = np.array([along[1], -along[0]])
    local = strip[..., :2] - (a + b) / 2
    s, o, z = local @ along, local @ out, strip[..., 2]
    half = s[:, -1]
    count = int((half[0] - CLEAR) / pitch + 0.5)
    if count < 1:
        return []
    c = (np.arange(count) + 0.5) * pitch
    c = np.concatenate([-c[::-1], c])
    free = half - CLEAR
    crossed = (np.abs(c)[:, None] <= free[None]).sum(axis=1)  # rings, from the eave, that a row meets
    made = []
    for rings in np.unique(crossed[crossed > 0]).tolist():
        rows = c[crossed == rings]
        path = np.stack([_on_ring(rows, s[i], o[i], z[i]) for i in range(rings)], axis=1)
        if rings < len(half):
            path = _to_hip(path, rows, (half, o, z), rings)
        if path.shape[1] >= 2:
            path[:, 0, 0] += NOSE
            made.append(_bars(rows, path, ((a + b) / 2, along, out), materials))
    return made


def _on_ring(rows: Array, s: Array, o: Array, z: Array) -> Array:
    return np.column_stack([np.interp(rows, s, o), np.interp(rows, s, z)])


def _to_hip(path: Array, rows: Array, lines: tuple[Array, Array, Array], rings: int) -> Array:
    """The path with its end where the row meets the hip, between the last ring it crosses and the next."""
    half, o, z = lines
    low, high = half[rings - 1], half[rings]
    share = np.clip((low - CLEAR - np.abs(rows)) / max(low - high, 1e-9), 0.0, 1.0)
    if not (share > 0.1).all():
        return path
    lower = path[:, -1]
    upper = np.column_stack([np.interp(rows, [-high, high], o[rings][[0, -1]]), np.full(len(rows), z[rings][0])])
    return np.concatenate([path, (lower + share[:, None] * (upper - lower))[:, None]], axis=1)


def _bars(rows: Array, path: Array, place: tuple[Array, Array, Array], materials: tuple[str, str]) -> Mesh:
    """Three-sided bars (n) along paths (n, p, 2) of (outward, z) at places along the side, all at once."""
    middle, along, out = place
    n, p = path.shape[:2]
    shift = np.array([-HALF_WIDTH, HALF_WIDTH, 0.0])
    lift = np.array([-SUNK, -SUNK, HEIGHT])
    s = rows[:, None, None] + shift
    xy = middle + s[..., None] * along + path[:, :, None, :1] * out
    v = np.concatenate([np.broadcast_to(xy, (n, p, 3, 2)), (path[:, :, 1:] + lift)[..., None]], axis=-1)
    i = np.arange(3)
    j = (i + 1) % 3
    k = np.arange(p - 1)[:, None] * 3
    quads = (
        np.stack([[k + i, k + j, k + 3 + j], [k + i, k + 3 + j, k + 3 + i]], axis=0)
        .transpose(0, 2, 3, 1)
        .reshape(-1, 3)
    )
    caps = np.array([[0, 2, 1], [3 * p - 3, 3 * p - 2, 3 * p - 1]])
    one = np.concatenate([quads, caps])[:, ::-1]
    faces = (one[None] + (np.arange(n) * 3 * p)[:, None, None]).reshape(-1, 3).astype(np.int32)
    m = len(faces)
    at_eave = np.tile(one.min(axis=1) < 3, n)
    edge, field = (material_code(name) for name in materials)
    paint = np.where(at_eave, edge, field).astype(np.uint8)
    return Mesh(v.reshape(-1, 3), faces, np.full(m, int(Surface.ROOF), np.uint8), paint)
