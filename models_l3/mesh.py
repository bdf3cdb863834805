"""Small closed meshes of one building, in its own frame, and the few ways to make them.

Local frame: x along the frontage, y along the depth with the front at negative y, z up, floor at z = 0, metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import mapbox_earcut
import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin.errors import GeometryError
from twin.meshes import Surface, material_code

Array = NDArray[np.float64]
Faces = NDArray[np.int32]
WELD = 1e-6  # m


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles of one or several closed bodies.

    vertices (n,3) f8 m, local      faces (m,3) i4, counter-clockwise from outside
    surface (m,) u1                 material (m,) u1, code of twin.meshes
    """

    vertices: Array
    faces: Faces
    surface: NDArray[np.uint8]
    material: NDArray[np.uint8]

    def volume(self) -> float:
        """Enclosed volume, m3; overlapping bodies count twice."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        """The same mesh elsewhere."""
        return replace(self, vertices=self.vertices + np.array([x, y, z]))

    def turned(self, angle: float) -> Mesh:
        """The same mesh turned about the z axis, radians counter-clockwise."""
        c, s = np.cos(angle), np.sin(angle)
        return replace(self, vertices=self.vertices @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]))

    def painted(self, name: str) -> Mesh:
        """The same mesh in one material."""
        return replace(self, material=np.full(len(self.faces), material_code(name), np.uint8))


def surfaces_of(vertices: Array, faces: Faces) -> NDArray[np.uint8]:
    """Surface kind (m,) u1 by the direction a face looks: up = floor, down = ceiling, sideways = wall."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    n = np.cross(b - a, c - a)
    nz = n[:, 2] / np.maximum(np.linalg.norm(n, axis=1), 1e-12)
    kinds = np.where(
        nz > 0.3, int(Surface.OUTER_FLOOR), np.where(nz < -0.3, int(Surface.OUTER_CEILING), int(Surface.WALL))
    )
    return kinds.astype(np.uint8)


def mesh(vertices: ArrayLike, faces: ArrayLike, name: str, surface: Surface | None = None) -> Mesh:
    """A mesh in one material; surface kinds from the direction of the faces unless one kind is given."""
    v = np.asarray(vertices, dtype=np.float64).reshape(-1, 3)
    f = np.asarray(faces, dtype=np.int32).reshape(-1, 3)
    kinds = surfaces_of(v, f) if surface is None else np.full(len(f), int(surface), np.uint8)
    return Mesh(v, f, kinds, np.full(len(f), material_code(name), np.uint8))


def join(parts: Sequence[Mesh]) -> Mesh:
    """All bodies in one mesh; nothing is welded, so each stays closed by itself."""
    if not parts:
        raise GeometryError("nothing to join; a part needs at least one body")
    starts = np.concatenate([[0], np.cumsum([len(p.vertices) for p in parts])[:-1]])
    return Mesh(
        np.concatenate([p.vertices for p in parts]),
        np.concatenate([p.faces + start for p, start in zip(parts, starts, strict=True)]).astype(np.int32),
        np.concatenate([p.surface for p in parts]),
        np.concatenate([p.material for p in parts]),
    )


def weld(body: Mesh) -> Mesh:
    """The same body with vertices closer than a micrometre merged and collapsed triangles dropped."""
    keys = np.round(body.vertices / WELD).astype(np.int64)
    order = np.lexsort(keys.T)
    fresh = np.concatenate([[True], (np.diff(keys[order], axis=0) != 0).any(axis=1)])
    index = np.empty(len(keys), np.int32)
    index[order] = (np.cumsum(fresh) - 1).astype(np.int32)
    faces = index[body.faces]
    keep = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return Mesh(body.vertices[order[fresh]], faces[keep], body.surface[keep], body.material[keep])


def triangulate(polygon: Array) -> Faces:
    """Triangles (m,3) i4 of a simple polygon (n,2), counter-clockwise where the polygon is."""
    points = np.ascontiguousarray(polygon, dtype=np.float64)
    ring = np.array([len(points)], np.uint32)
    faces = mapbox_earcut.triangulate_float64(points, ring).reshape(-1, 3).astype(np.int32)
    a, b, c = (points[faces[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    x, y = points[:, 0], points[:, 1]
    turn = np.sign(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
    if len(faces) != len(points) - 2:
        raise GeometryError(f"polygon of {len(points)} points: not simple, or three points on one line")
    return np.where((area * turn < 0)[:, None], faces[:, ::-1], faces)


def loft(rings: ArrayLike, name: str, surface: Surface | None = None) -> Mesh:
    """The closed body through rings of points, ends capped; each ring counter-clockwise seen from the last ring.

    rings   (r, k, 3); the first and last must be simple when seen along z or, if upright, along their own plane
    """
    p = np.asarray(rings, dtype=np.float64)
    r, k = p.shape[:2]
    i = np.arange(k)
    j = (i + 1) % k
    quads = [
        np.concatenate([np.stack([a + i, a + j, b + j], 1), np.stack([a + i, b + j, b + i], 1)])
        for a, b in zip(np.arange(r - 1) * k, np.arange(1, r) * k, strict=True)
    ]
    cap = triangulate(_flat(p[0]))
    faces = np.concatenate([cap[:, ::-1], *quads, cap + (r - 1) * k])
    return mesh(p.reshape(-1, 3), faces, name, surface)


def _flat(ring: Array) -> Array:
    """The ring (k,3) in its own plane (k,2), seen so that it runs counter-clockwise."""
    centred = ring - ring.mean(axis=0)
    normal = np.cross(centred, np.roll(centred, -1, axis=0)).sum(axis=0)
    normal /= np.linalg.norm(normal)
    axis = np.eye(3)[int(np.argmin(np.abs(normal)))]
    u = np.cross(axis, normal)
    u /= np.linalg.norm(u)
    return np.stack([centred @ u, centred @ np.cross(normal, u)], 1)


def box(low: ArrayLike, high: ArrayLike, name: str, surface: Surface | None = None) -> Mesh:
    """The upright box between two corners; 12 triangles."""
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low, float), np.asarray(high, float)
    ring = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return frustum(ring, z0, ring, z1, name, surface)


def frustum(low: Array, z0: float, high: Array, z1: float, name: str, surface: Surface | None = None) -> Mesh:
    """The body between a polygon (k,2) at z0 and one with as many corners at z1."""
    rings = np.stack([np.column_stack([low, np.full(len(low), z0)]), np.column_stack([high, np.full(len(high), z1)])])
    return loft(rings, name, surface)


def rectangle(hx: float, hy: float) -> Array:
    """Corners (4,2) of the centred rectangle of half sizes hx, hy, counter-clockwise from the front left."""
    return np.array([[-hx, -hy], [hx, -hy], [hx, hy], [-hx, hy]])


def regular(sides: int, apothem: float) -> Array:
    """Corners (n,2) of a regular polygon whose first side is the front, counter-clockwise."""
    angle = -np.pi / 2 - np.pi / sides + 2 * np.pi / sides * np.arange(sides)
    return apothem / np.cos(np.pi / sides) * np.stack([np.cos(angle), np.sin(angle)], 1)


def boxes(low: Array, high: Array, name: str, surface: Surface | None = None) -> Mesh:
    """Many upright boxes at once, corners (n,3) each; each closed by itself."""
    unit = box([0, 0, 0], [1, 1, 1], name, surface)
    v = low[:, None, :] + unit.vertices[None] * (high - low)[:, None, :]
    return _copies(unit, v)


def copies(body: Mesh, at: Array, angles: Array | None = None) -> Mesh:
    """The body repeated at points (n,3), each turned about its own z axis by angles (n,)."""
    v = np.broadcast_to(body.vertices[None], (len(at), *body.vertices.shape))
    if angles is not None:
        c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
        v = np.stack([v[..., 0] * c - v[..., 1] * s, v[..., 0] * s + v[..., 1] * c, v[..., 2]], axis=-1)
    return _copies(body, v + at[:, None, :])


def _copies(body: Mesh, vertices: Array) -> Mesh:
    n = len(vertices)
    faces = (body.faces[None] + (np.arange(n, dtype=np.int32) * len(body.vertices))[:, None, None]).reshape(-1, 3)
    return Mesh(vertices.reshape(-1, 3), faces, np.tile(body.surface, n), np.tile(body.material, n))


def extrude_x(profile: ArrayLike, x0: float, x1: float, name: str, surface: Surface | None = None) -> Mesh:
    """The body of an upright profile (k,2) of (y, z), counter-clockwise seen from +x, drawn from x0 to x1."""
    p = np.asarray(profile, dtype=np.float64)
    rings = np.stack([np.column_stack([np.full(len(p), x), p]) for x in (x0, x1)])
    return loft(rings, name, surface)


def extrude_y(profile: ArrayLike, y0: float, y1: float, name: str, surface: Surface | None = None) -> Mesh:
    """The body of an upright profile (k,2) of (x, z), counter-clockwise seen from the front, drawn from y0 to y1."""
    p = np.asarray(profile, dtype=np.float64)
    rings = np.stack([np.column_stack([p[:, 0], np.full(len(p), y), p[:, 1]]) for y in (y1, y0)])
    return loft(rings, name, surface)


def sweep(path: Array, half_width: float, low: ArrayLike, high: ArrayLike, name: str) -> Mesh:
    """A bar along a path (n,3): upright rectangular section from path z + low to path z + high.

    low, high   scalars or (n,); the section stays square to the path in plan
    """
    step = np.gradient(path[:, :2], axis=0)
    across = np.stack([-step[:, 1], step[:, 0]], 1) / np.linalg.norm(step, axis=1)[:, None] * half_width
    lo = path[:, 2] + np.broadcast_to(np.asarray(low, float), len(path))
    hi = path[:, 2] + np.broadcast_to(np.asarray(high, float), len(path))
    right, left = path[:, :2] - across, path[:, :2] + across
    rings = np.stack(
        [
            np.column_stack([right, lo]),
            np.column_stack([left, lo]),
            np.column_stack([left, hi]),
            np.column_stack([right, hi]),
        ],
        axis=1,
    )
    return loft(rings, name, Surface.INSTALLATION)
