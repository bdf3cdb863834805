"""Compiled loops of the contents: normals, corners welded to vertices solid by solid, colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def extent(points: Any) -> Any:
    """(2, 3) f8, lowest and highest of points (n, 3) on every axis; inf and -inf of none, NaN left aside."""
    found = np.empty((2, 3))
    found[0], found[1] = np.inf, -np.inf
    for i in range(len(points)):
        for k in range(3):
            value = points[i, k]
            if value < found[0, k]:
                found[0, k] = value
            if value > found[1, k]:
                found[1, k] = value
    return found


@njit(cache=True)
def cubic(points: Any, centre: Any, scale: float) -> Any:
    """(n, 16) terms of a cubic in x and y, those below the third degree times z as well, of points (n, 3) f8."""
    out = np.empty((len(points), 16))
    for i in range(len(points)):
        u, v = (points[i, 0] - centre[0]) / scale, (points[i, 1] - centre[1]) / scale
        w = (points[i, 2] - centre[2]) / scale
        out[i, 0], out[i, 1], out[i, 2], out[i, 3], out[i, 4], out[i, 5] = 1.0, u, v, u * u, u * v, v * v
        out[i, 6], out[i, 7], out[i, 8], out[i, 9] = u * u * u, u * u * v, u * v * v, v * v * v
        for k in range(6):
            out[i, 10 + k] = out[i, k] * w
    return out


@njit(cache=True)
def bend(points: Any, centre: Any, scale: float, terms: Any) -> Any:
    """(n, 3) f8: `cubic` of points (n, 3) times terms (16, 3), without the table between."""
    out = np.empty((len(points), 3))
    for i in range(len(points)):
        u, v = (points[i, 0] - centre[0]) / scale, (points[i, 1] - centre[1]) / scale
        w = (points[i, 2] - centre[2]) / scale
        uu, uv, vv = u * u, u * v, v * v
        for k in range(3):
            flat = (
                terms[0, k] + u * terms[1, k] + v * terms[2, k] + uu * terms[3, k] + uv * terms[4, k] + vv * terms[5, k]
            )
            cubic = uu * (u * terms[6, k] + v * terms[7, k]) + vv * (u * terms[8, k] + v * terms[9, k])
            tall = terms[10, k] + u * terms[11, k] + v * terms[12, k]
            tall += uu * terms[13, k] + uv * terms[14, k] + vv * terms[15, k]
            out[i, k] = flat + cubic + w * tall
    return out


@njit(cache=True)
def visible(vertices: Any, faces: Any, hidden: Any, vertex_offset: Any, face_offset: Any, least: float) -> Any:
    """(b,) whether every vertex of a solid is finite and one of its faces, not hidden, is larger than `least` m2."""
    out = np.empty(len(vertex_offset) - 1, np.bool_)
    for b in range(len(out)):
        out[b] = False
        for f in range(face_offset[b], face_offset[b + 1]):
            if hidden[f]:
                continue
            o, p, q = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
            ux, uy, uz = p[0] - o[0], p[1] - o[1], p[2] - o[2]
            vx, vy, vz = q[0] - o[0], q[1] - o[1], q[2] - o[2]
            x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
            if np.sqrt(x * x + y * y + z * z) > 2.0 * least:
                out[b] = True
                break
        for i in range(vertex_offset[b], vertex_offset[b + 1]):
            if not np.isfinite(vertices[i, 0] + vertices[i, 1] + vertices[i, 2]):
                out[b] = False
    return out


@njit(cache=True)
def face_normals(grid: Any, faces: Any, hidden: Any) -> Any:
    """(m, 3) i1 unit normals times 127 of triangles between grid points (n, 3); (m,) whether a face has area and is not
    hidden (m,)."""
    m = len(faces)
    normals = np.zeros((m, 3), np.int8)
    kept = np.zeros(m, np.bool_)
    for f in range(m):
        if hidden[f]:
            continue
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = grid[b, 0] - grid[a, 0], grid[b, 1] - grid[a, 1], grid[b, 2] - grid[a, 2]
        vx, vy, vz = grid[c, 0] - grid[a, 0], grid[c, 1] - grid[a, 1], grid[c, 2] - grid[a, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        length = np.sqrt(x * x + y * y + z * z)
        # A NaN has no length that is greater than nothing, so its faces fall out here as well.
        if length > 0.0:
            kept[f] = True
            normals[f, 0] = np.int8(np.round(x / length * 127.0))
            normals[f, 1] = np.int8(np.round(y / length * 127.0))
            normals[f, 2] = np.int8(np.round(z / length * 127.0))
    return normals, kept


@njit(cache=True)
def weld(columns: Any, height: Any, faces: Any, normals: Any, look: Any, kept: Any, offsets: Any) -> Any:
    """Vertices of the kept faces: corners of one point, normal and look become one vertex, in one pass.

    The vertices of a solid come column by column, a column being the points on one vertical line, each from its foot
    to its top: then most differences from vertex to vertex are nothing, or what they were before, which is what a
    compressor of differences wants.
    columns (n, 2) i8, equal for points on one vertical line    height (n,) f8
    faces (m, 3), normals (m, 3) i1, look (m,) i8, kept (m,)    offsets (b + 1, 2), first point and face of each solid
    returns     (v,) point and (v,) face of every vertex, (k, 3) vertices of the kept faces
    """
    n_corners = 3 * np.sum(kept)
    point, origin = np.empty(n_corners, np.int64), np.empty(n_corners, np.int64)
    triangles = np.empty((n_corners // 3, 3), np.int64)
    head, after = np.full(len(height), -1, np.int64), np.empty(n_corners, np.int64)
    column, rank = _columns(columns, offsets), np.full(len(height), -1, np.int64)
    order, place = np.empty(n_corners, np.int64), np.empty(n_corners, np.int64)
    made, drawn = 0, 0
    for b in range(len(offsets) - 1):
        begin, begin_face = made, drawn
        for f in range(offsets[b, 1], offsets[b + 1, 1]):
            if not kept[f]:
                continue
            for k in range(3):
                at = faces[f, k]
                found = head[at]
                while found >= 0 and not _alike(origin[found], f, look, normals):
                    found = after[found]
                if found < 0:
                    found = made
                    point[found], origin[found] = at, f
                    after[found], head[at] = head[at], found
                    made += 1
                triangles[drawn, k] = found
            drawn += 1
        _order(point[begin:made], origin[begin:made], order[: made - begin], column, rank, height, look)
        for p in range(made - begin):
            place[begin + order[p]] = begin + p
        point[begin:made] = point[begin:made][order[: made - begin]]
        origin[begin:made] = origin[begin:made][order[: made - begin]]
        for t in range(begin_face, drawn):
            for k in range(3):
                triangles[t, k] = place[triangles[t, k]]
    return point[:made].copy(), origin[:made].copy(), triangles


@njit(cache=True)
def _alike(f: int, g: int, look: Any, normals: Any) -> bool:
    return (
        look[f] == look[g]
        and normals[f, 0] == normals[g, 0]
        and normals[f, 1] == normals[g, 1]
        and normals[f, 2] == normals[g, 2]
    )


@njit(cache=True)
def _columns(columns: Any, offsets: Any) -> Any:
    """(n,) the first point of its solid on the same vertical line; a table of hashes, probed slot by slot."""
    n, most = len(columns), 1
    for b in range(len(offsets) - 1):
        most = max(most, offsets[b + 1, 0] - offsets[b, 0])
    size = 4
    while size < 2 * most:
        size *= 2
    first, solid = np.zeros(size, np.int64), np.full(size, -1, np.int64)
    found = np.empty(n, np.int64)
    for b in range(len(offsets) - 1):
        for i in range(offsets[b, 0], offsets[b + 1, 0]):
            mixed = columns[i, 0] * 73856093 ^ columns[i, 1] * 19349663
            slot = (mixed ^ (mixed >> 20) ^ (mixed >> 40)) & (size - 1)
            while solid[slot] == b and (
                columns[first[slot], 0] != columns[i, 0] or columns[first[slot], 1] != columns[i, 1]
            ):
                slot = (slot + 1) & (size - 1)
            if solid[slot] != b:
                solid[slot], first[slot] = b, i
            found[i] = first[slot]
    return found


@njit(cache=True)
def _order(point: Any, origin: Any, order: Any, column: Any, rank: Any, height: Any, look: Any) -> None:
    """Fill `order` (v,) with the vertices of one solid, by column in order of first use, by height, by look."""
    v, n_columns = len(point), 0
    ends = np.zeros(v + 1, np.int64)
    for i in range(v):
        c = column[point[i]]
        if rank[c] < 0:
            rank[c] = n_columns
            n_columns += 1
        ends[rank[c] + 1] += 1
    for c in range(n_columns):
        ends[c + 1] += ends[c]
    filled = ends[:-1].copy()
    for i in range(v):
        c = rank[column[point[i]]]
        at = filled[c]
        filled[c] += 1
        while at > ends[c] and _before(i, order[at - 1], point, origin, height, look):
            order[at] = order[at - 1]
            at -= 1
        order[at] = i


@njit(cache=True)
def _before(i: int, j: int, point: Any, origin: Any, height: Any, look: Any) -> bool:
    if height[point[i]] != height[point[j]]:
        return bool(height[point[i]] < height[point[j]])
    return bool(look[origin[i]] < look[origin[j]])


@njit(cache=True)
def paint(point: Any, origin: Any, base: Any, depth: Any, shade: Any, table: Any) -> Any:
    """COLOR_0 (v, 3) u1 of vertices: the colour of the face, as much darker at the point as the face takes shade.

    base (m, 3) f8, sRGB 0..1      depth (m,) 0..1     shade (n,) 0..1, factor at each point
    table (t,) u1, what is written for sRGB 0..1
    """
    out = np.empty((len(point), 3), np.uint8)
    last = len(table) - 1
    for i in range(len(point)):
        f = origin[i]
        factor = 1.0 - depth[f] * (1.0 - shade[point[i]])
        for k in range(3):
            out[i, k] = table[int(min(max(base[f, k] * factor, 0.0), 1.0) * last + 0.5)]
    return out
