"""Are triangle meshes closed solids? Checks on whole batches, under the error numbers of val3dity.

source   val3dity 2 (Ledoux 2018, "val3dity: validation of 3D GIS primitives according to the international standards"):
         ISO 19107 rings, shells and solids; vertices closer than SNAP are one
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twin.meshes import Solids

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

SNAP = 0.001
# How deep one triangle must enter another to cut it, m; half of SNAP, so that rounding alone is no error.
DEPTH = 0.0005
# How far beyond its corners a triangle reaches, m, for a point that lies on its edge but for rounding.
_SEAM = 1e-5

CODES: Mapping[int, str] = {
    0: "",
    102: "相邻点重合 / 102 CONSECUTIVE_POINTS_SAME: two corners of a face are one",
    104: "面退化 / 104 RING_SELF_INTERSECTION: a face folded flat on a line",
    301: "面数不足 / 301 TOO_FEW_POLYGONS: fewer than four faces",
    302: "壳不封闭 / 302 SHELL_NOT_CLOSED: an edge without its opposite",
    303: "非流形 / 303 NON_MANIFOLD_CASE: more than two faces at an edge, or two fans at a corner",
    306: "壳自相交 / 306 SHELL_SELF_INTERSECTION: faces cut or cover one another",
    307: "面朝向不一 / 307 POLYGON_WRONG_ORIENTATION: neighbours look different ways",
    405: "壳朝向错误 / 405 WRONG_ORIENTATION_SHELL: volume is not positive",
}


def check_shells(solids: Solids, crossing: Mask | None = None) -> Integers:
    """(b,) the first error number of every solid, 0 where it is valid; CODES has the words.

    crossing   (b,) which solids to ask for self-intersection, all where None; it costs most
    """
    result = np.zeros(len(solids), np.int64)
    edges = _Edges(solids)
    turned = edges.lonely & edges.doubled
    folded, short = _poor_faces(solids.vertices, solids.faces, solids.face_offset)
    for code, wrong in (
        (405, ~(solids.volumes() > 0.0)),
        (303, edges.crowded | _fans(solids, edges.twin)),
        (307, turned),
        (302, edges.lonely & ~turned),
        (104, folded),
        (102, short),
        (301, np.diff(solids.face_offset) < 4),
    ):
        result[wrong] = code
    asked = np.flatnonzero((result == 0) & (True if crossing is None else crossing))
    cut = _crossed(solids.vertices, solids.faces.astype(np.int64), solids.face_offset, asked)
    result[asked[cut]] = 306
    return result


class _Edges:
    """What is wrong with the edges of every solid (b,).

    lonely    an edge has no opposite          doubled   an edge is there twice in one direction
    crowded   more than two faces meet at an edge
    twin      (3m,) for the edge from each face corner to the next, the corner where its opposite begins; -1 where none
    """

    def __init__(self, solids: Solids) -> None:
        self.twin, wrong = _pairs(solids.faces, solids.face_offset, max(len(solids.vertices), 1))
        self.lonely, self.doubled, self.crowded = wrong


def _fans(solids: Solids, twin: Integers) -> Mask:
    """(b,) True where the faces around a corner fall into more than one fan, although all edges are paired.

    Around a corner of one fan, every step from a face over its next edge comes back after visiting all faces.
    """
    corner = solids.faces.reshape(-1).astype(np.int64)
    step = twin[np.arange(len(corner)) - np.arange(len(corner)) % 3 + (np.arange(len(corner)) + 2) % 3]
    closed = step >= 0
    count = np.bincount(corner, minlength=len(solids.vertices))
    fans = _cycles(np.where(closed, step, np.arange(len(corner))))
    seen = np.bincount(corner, weights=1.0 / np.maximum(fans, 1), minlength=len(solids.vertices))
    wrong = (count > 0) & (np.round(seen) > 1)
    return np.asarray(np.bincount(solids.vertex_owner(), weights=wrong, minlength=len(solids)) > 0)


@njit(cache=True)
def _poor_faces(vertices: Any, faces: Any, offset: Any) -> Any:
    """(b,) True where a face of a solid is folded flat, and where one has a side shorter than SNAP."""
    folded, short = np.zeros(len(offset) - 1, np.bool_), np.zeros(len(offset) - 1, np.bool_)
    for k in range(len(offset) - 1):
        for f in range(offset[k], offset[k + 1]):
            ux, uy, uz, u = _side(vertices, faces[f, 0], faces[f, 1])
            _, _, _, v = _side(vertices, faces[f, 1], faces[f, 2])
            wx, wy, wz, w = _side(vertices, faces[f, 0], faces[f, 2])
            nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
            if not np.sqrt(nx * nx + ny * ny + nz * nz) > 1e-8 + 1e-7 * max(u, v, w):
                folded[k] = True
            # A side of exactly SNAP on the grid of corners is no error; the last digit may say less.
            if min(u, v, w) < SNAP * (1.0 - 1e-4):
                short[k] = True
    return folded, short


@njit(cache=True)
def _side(vertices: Any, a: int, b: int) -> Any:
    """(x, y, z) from vertex a to b, and its length."""
    x, y, z = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
    return x, y, z, np.sqrt(x * x + y * y + z * z)


@njit(cache=True)
def _pairs(faces: Any, offset: Any, n: int) -> Any:
    """For the edge from each face corner to the next, the first corner where its opposite begins, -1 where none (3m,);
    (3, b) True where a solid, of n vertices in all, has an edge without opposite, one of these twice in one direction,
    and one with more than two faces."""
    twin = np.full(3 * len(faces), -1, np.int64)
    wrong = np.zeros((3, len(offset) - 1), np.bool_)
    for k in range(len(offset) - 1):
        first, size = 3 * offset[k], 3 * (offset[k + 1] - offset[k])
        key = np.empty(size, np.int64)
        for e in range(size):
            f, c = (first + e) // 3, e % 3
            key[e] = np.int64(faces[f, c]) * n + faces[f, (c + 1) % 3]
        order = np.argsort(key, kind="mergesort")
        ordered = key[order]
        for e in range(size):
            back = (key[e] % n) * n + key[e] // n
            low = np.searchsorted(ordered, back)
            same = np.searchsorted(ordered, key[e], side="right") - np.searchsorted(ordered, key[e])
            opposite = np.searchsorted(ordered, back, side="right") - low
            if opposite:
                twin[first + e] = first + order[low]
            else:
                wrong[0, k] = True
                wrong[1, k] |= same == 2
            wrong[2, k] |= same + opposite > 2
    return twin, wrong


@njit(cache=True)
def ground_rims(vertices: Any, faces: Any, offset: Any, ground: Any) -> Any:
    """Where the ground of solids ends.

    ground    (m,) bool, which faces are ground
    returns   (e, 2) i8, ends of the edges of ground faces that no ground face of the same solid has the other way
              round; (e,) i8, solid of each, ascending; (b,) f8, height of the lowest ground vertex, NaN where none
    """
    rim, owner = np.empty((3 * len(faces), 2), np.int64), np.empty(3 * len(faces), np.int64)
    base, found = np.full(len(offset) - 1, np.nan), 0
    for k in range(len(offset) - 1):
        mine = np.flatnonzero(ground[offset[k] : offset[k + 1]]) + offset[k]
        if not len(mine):
            continue
        ends = np.empty((3 * len(mine), 2), np.int64)
        for e in range(len(ends)):
            f = mine[e // 3]
            ends[e, 0], ends[e, 1] = faces[f, e % 3], faces[f, (e + 1) % 3]
        n = ends[:, 0].max() + 1
        key = np.sort(ends[:, 0] * n + ends[:, 1])
        base[k] = np.inf
        for a, b in ends:
            base[k] = min(base[k], vertices[a, 2])
            back = b * n + a
            place = np.searchsorted(key, back)
            if place == len(key) or key[place] != back:
                rim[found, 0], rim[found, 1], owner[found] = a, b, k
                found += 1
    return rim[:found], owner[:found], base


@njit(cache=True)
def _cycles(step: Any) -> Any:
    """(k,) length of the cycle that each element belongs to when one walks along `step`; 1 where it never returns."""
    size = np.zeros(len(step), np.int64)
    for i in range(len(step)):
        if size[i] > 0:
            continue
        count, j = 1, step[i]
        while j != i and count <= len(step) and size[j] == 0:
            count += 1
            j = step[j]
        if j != i:
            size[i] = 1
            continue
        size[i] = count
        j = step[i]
        while j != i:
            size[j] = count
            j = step[j]
    return size


@njit(cache=True)
def _crossed(vertices: Any, faces: Any, offset: Any, asked: Any) -> Any:
    """(a,) True where two faces of a solid cut or cover one another."""
    result = np.zeros(len(asked), np.bool_)
    for k in range(len(asked)):
        first, last = offset[asked[k]], offset[asked[k] + 1]
        result[k] = _one_crossed(vertices, faces[first:last])
    return result


@njit(cache=True)
def _one_crossed(vertices: Any, faces: Any) -> bool:
    n = len(faces)
    low, high = np.empty((n, 3)), np.empty((n, 3))
    for i in range(n):
        for d in range(3):
            a, b, c = vertices[faces[i, 0], d], vertices[faces[i, 1], d], vertices[faces[i, 2], d]
            low[i, d], high[i, d] = min(a, b, c), max(a, b, c)
    order = np.argsort(low[:, 0])
    for p in range(n):
        i = order[p]
        for q in range(p + 1, n):
            j = order[q]
            if low[j, 0] > high[i, 0]:
                break
            if low[i, 1] > high[j, 1] or low[j, 1] > high[i, 1] or low[i, 2] > high[j, 2] or low[j, 2] > high[i, 2]:
                continue
            if _pair(vertices, faces[i], faces[j]) or _pair(vertices, faces[j], faces[i]):
                return True
    return False


@njit(cache=True)
def _pair(vertices: Any, f: Any, g: Any) -> bool:
    """True where an edge of face f runs through face g, or both lie in one plane and overlap."""
    a, b, c = vertices[g[0]], vertices[g[1]], vertices[g[2]]
    nx, ny, nz = _normal(a, b, c)
    size = np.sqrt(nx * nx + ny * ny + nz * nz)
    if size < 1e-12:
        return False
    nx, ny, nz = nx / size, ny / size, nz / size
    p, q, r = vertices[f[0]], vertices[f[1]], vertices[f[2]]
    off = (
        (p[0] - a[0]) * nx + (p[1] - a[1]) * ny + (p[2] - a[2]) * nz,
        (q[0] - a[0]) * nx + (q[1] - a[1]) * ny + (q[2] - a[2]) * nz,
        (r[0] - a[0]) * nx + (r[1] - a[1]) * ny + (r[2] - a[2]) * nz,
    )
    if max(abs(off[0]), abs(off[1]), abs(off[2])) < 1e-6:
        return _cover(vertices, f, g, np.array([nx, ny, nz]))
    for k in range(3):
        s, e = off[k], off[(k + 1) % 3]
        if (s > DEPTH and e < -DEPTH) or (s < -DEPTH and e > DEPTH):
            t = s / (s - e)
            u, v = vertices[f[k]], vertices[f[(k + 1) % 3]]
            at = (u[0] + t * (v[0] - u[0]), u[1] + t * (v[1] - u[1]), u[2] + t * (v[2] - u[2]))
            if _inside(at, (a, b, c), (nx, ny, nz)):
                return True
    return False


@njit(cache=True)
def _normal(a: Any, b: Any, c: Any) -> Any:
    """(nx, ny, nz), twice the area long."""
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx


@njit(cache=True)
def _inside(p: Any, corners: Any, normal: Any) -> bool:
    """True where p lies in a triangle or on its edge, so that nothing slips through the seam of two faces.

    Beyond the tip of a needle both its sides are as near as that seam: there its box tells.
    """
    a, b, c = corners
    nx, ny, nz = normal
    for d in range(3):
        if p[d] < min(a[d], b[d], c[d]) - _SEAM or p[d] > max(a[d], b[d], c[d]) + _SEAM:
            return False
    for s, e in ((a, b), (b, c), (c, a)):
        x, y, z = e[0] - s[0], e[1] - s[1], e[2] - s[2]
        length = np.sqrt(x * x + y * y + z * z)
        turn = (ny * z - nz * y) * (p[0] - s[0]) + (nz * x - nx * z) * (p[1] - s[1]) + (nx * y - ny * x) * (p[2] - s[2])
        if turn < -1e-7 * length:
            return False
    return True


@njit(cache=True)
def _cover(vertices: Any, f: Any, g: Any, normal: Any) -> bool:
    """True where two faces in one plane overlap: no side of either has the other wholly beyond it."""
    for one, other in ((f, g), (g, f)):
        turn = np.cross(vertices[one[1]] - vertices[one[0]], vertices[one[2]] - vertices[one[0]])
        sign = 1.0 if (turn * normal).sum() > 0.0 else -1.0
        for k in range(3):
            s, edge = vertices[one[k]], vertices[one[(k + 1) % 3]] - vertices[one[k]]
            length = np.sqrt((edge * edge).sum())
            beyond = True
            for m in range(3):
                if sign * (np.cross(normal, edge) * (vertices[other[m]] - s)).sum() > DEPTH * length:
                    beyond = False
            if beyond:
                return False
    return True
