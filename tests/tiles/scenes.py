"""Small scenes made in code for the tests of tiles."""

from __future__ import annotations

import numpy as np

from twin.features import objects
from twin.frames import Frame
from twin.meshes import Solids, Surface

DATONG = Frame("EPSG:4547", "1985", -12.0, (440_000.0, 4_437_000.0, 1040.0))

_BOX_FACES = np.array(
    [[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6],
     [3, 0, 4], [3, 4, 7]]
)  # fmt: skip
_BOX_SURFACE = np.array([Surface.GROUND] * 2 + [Surface.ROOF] * 2 + [Surface.WALL] * 8, dtype=np.uint8)


def boxes(low, high, *, oid=None, frame=DATONG, **attributes) -> Solids:
    """Boxes from `low` (b, 3) to `high` (b, 3) in the frame."""
    low, high = np.atleast_2d(low).astype(float), np.atleast_2d(high).astype(float)
    n = len(low)
    pick = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
    vertices = np.where(pick[None], high[:, None], low[:, None]).reshape(-1, 3)
    faces = (_BOX_FACES[None] + 8 * np.arange(n)[:, None, None]).reshape(-1, 3).astype(np.int32)
    names = objects(oid if oid is not None else [f"b{k:06d}" for k in range(n)])
    return Solids(
        frame, names, vertices, faces, np.tile(_BOX_SURFACE, n), np.arange(n + 1) * 8, np.arange(n + 1) * 12,
        np.full(n, 12, np.uint8), np.zeros(12 * n, np.uint8), attributes,
    )  # fmt: skip


def town(n: int = 500, seed: int = 1372, side: float = 3000.0) -> Solids:
    """A town of `n` boxes around the frame's origin, some tall, with every column that blocks carry."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(-side / 2, side / 2, (n, 2)) + np.array(DATONG.origin[:2])
    half = rng.uniform(3.0, 15.0, (n, 2))
    height = np.round(rng.gamma(2.0, 6.0, n) + 3.0, 1)
    base = 1040.0 + 5.0 * np.sin(centre[:, 0] / 500.0)
    return boxes(
        np.column_stack([centre - half, base]),
        np.column_stack([centre + half, base + height]),
        name=objects([f"楼 {k}" if k % 50 == 0 else "" for k in range(n)]),
        function=objects(rng.choice(["residential", "commercial", "office"], n).tolist()),
        height=height,
        height_evidence=objects(rng.choice(["surveyed", "storeys"], n).tolist()),
        storeys=np.where(rng.random(n) < 0.2, np.nan, np.round(height / 3.0)),
    )
