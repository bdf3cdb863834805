"""Compiled triangulation with fixed edges: insert a point, fix an edge.

A mesh is (xy, z, at, tri, twin, fixed, dirty, count): vertices on whole millimetres (so that "left of" is exact), their
heights, a half-edge that starts at each; per half-edge its first vertex, the half-edge opposite (-1 at the rim) and
whether it may be flipped; per triangle whether it changed; count is (vertices, triangles, where the last search ended).
Half-edges 3t, 3t+1, 3t+2 bound triangle t counter-clockwise.

Sources: Lawson 1977 (insertion by flips), Sloan 1993 (fixed edges by flips).
"""

from __future__ import annotations

from typing import Any

from numba import njit

FULL = -2
_FLAT = 1e-12


@njit(cache=True)
def turn(xy: Any, a: int, b: int, c: int) -> int:
    """Twice the area of abc in whole square millimetres, above 0 where c lies left of ab."""
    return (xy[b, 0] - xy[a, 0]) * (xy[c, 1] - xy[a, 1]) - (xy[b, 1] - xy[a, 1]) * (xy[c, 0] - xy[a, 0])


@njit(cache=True)
def after(e: int) -> int:
    """The next half-edge of the same triangle."""
    return e - 2 if e % 3 == 2 else e + 1


@njit(cache=True)
def before(e: int) -> int:
    """The half-edge before, of the same triangle."""
    return e + 2 if e % 3 == 0 else e - 1


@njit(cache=True)
def _within_circle(xy: Any, a: int, b: int, c: int, d: int) -> bool:
    """True where d lies clearly inside the circle through a, b, c, given counter-clockwise."""
    ax, ay = float(xy[a, 0] - xy[d, 0]), float(xy[a, 1] - xy[d, 1])
    bx, by = float(xy[b, 0] - xy[d, 0]), float(xy[b, 1] - xy[d, 1])
    cx, cy = float(xy[c, 0] - xy[d, 0]), float(xy[c, 1] - xy[d, 1])
    aa, bb, cc = ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy
    value = ax * (by * cc - bb * cy) - ay * (bx * cc - bb * cx) + aa * (bx * cy - by * cx)
    return value > _FLAT * (aa + bb + cc) ** 2


@njit(cache=True)
def _triangle(mesh: Any, t: int, a: int, b: int, c: int) -> None:
    at, tri, dirty = mesh[2], mesh[3], mesh[6]
    for k, v in enumerate((a, b, c)):
        tri[3 * t + k] = v
        at[v] = 3 * t + k
    dirty[t] = True


@njit(cache=True)
def _join(mesh: Any, e: int, f: int, is_fixed: bool) -> None:
    twin, fixed = mesh[4], mesh[5]
    twin[e], fixed[e] = f, is_fixed
    if f >= 0:
        twin[f], fixed[f] = e, is_fixed


@njit(cache=True)
def _flip(mesh: Any, e: int) -> None:
    """Turn the diagonal e of its two triangles; the new one is half-edge 3t + 2 of the triangle t of e."""
    tri, twin, fixed = mesh[3], mesh[4], mesh[5]
    f = twin[e]
    t, u = e // 3, f // 3
    bp, pa, aq, qb = after(e), before(e), after(f), before(f)
    a, b, p, q = tri[e], tri[f], tri[pa], tri[qb]
    t_bp, t_pa, t_aq, t_qb = twin[bp], twin[pa], twin[aq], twin[qb]
    f_bp, f_pa, f_aq, f_qb = fixed[bp], fixed[pa], fixed[aq], fixed[qb]
    _triangle(mesh, t, p, a, q)
    _triangle(mesh, u, p, q, b)
    _join(mesh, 3 * t, t_pa, f_pa)
    _join(mesh, 3 * t + 1, t_aq, f_aq)
    _join(mesh, 3 * t + 2, 3 * u, False)
    _join(mesh, 3 * u + 1, t_qb, f_qb)
    _join(mesh, 3 * u + 2, t_bp, f_bp)


@njit(cache=True)
def _convex(xy: Any, a: int, b: int, p: int, q: int) -> bool:
    """True where the quadrilateral around the edge ab, with p and q on either side, bulges strictly everywhere."""
    one, other = turn(xy, p, q, a), turn(xy, p, q, b)
    return (one > 0 and other < 0) or (one < 0 and other > 0)


@njit(cache=True)
def _legalize(mesh: Any, stack: Any) -> None:
    """Flip until the edges opposite a new vertex are Delaunay; `stack` has half-edges of the triangles that hold it."""
    xy, tri, twin, fixed = mesh[0], mesh[3], mesh[4], mesh[5]
    while len(stack):
        e = stack.pop()
        f = twin[e]
        if f < 0 or fixed[e]:
            continue
        a, b, p, q = tri[e], tri[f], tri[before(e)], tri[before(f)]
        if _within_circle(xy, a, b, p, q) and _convex(xy, a, b, p, q):
            _flip(mesh, e)
            stack.append(3 * (e // 3) + 1)
            stack.append(3 * (f // 3) + 1)


@njit(cache=True)
def _locate(mesh: Any, v: int) -> int:
    """A triangle that holds vertex v (not yet joined in), its rim included."""
    xy, tri, twin, count = mesh[0], mesh[3], mesh[4], mesh[7]
    t = count[2]
    for _ in range(4 * count[1] + 16):
        moved = False
        for e in range(3 * t, 3 * t + 3):
            if twin[e] >= 0 and turn(xy, tri[e], tri[after(e)], v) < 0:
                t = twin[e] // 3
                moved = True
                break
        if not moved:
            return t
    # A walk may go round in circles where fixed edges keep triangles from being Delaunay.
    for t in range(count[1]):
        out = [turn(xy, tri[e], tri[after(e)], v) < 0 for e in range(3 * t, 3 * t + 3)]
        if not (out[0] or out[1] or out[2]):
            return t
    return count[2]


@njit(cache=True)
def insert(mesh: Any, x: int, y: int, height: float) -> int:
    """The vertex at (x, y), joined in where it is new; FULL where the arrays are."""
    xy, z, _, tri, twin, _, _, count = mesh
    v = count[0]
    if v >= len(xy) or 3 * (count[1] + 2) > len(tri):
        return FULL
    xy[v, 0], xy[v, 1], z[v] = x, y, height
    t = _locate(mesh, v)
    count[2] = t
    on = -1
    for e in range(3 * t, 3 * t + 3):
        a = tri[e]
        if xy[a, 0] == x and xy[a, 1] == y:
            return a
        if turn(xy, a, tri[after(e)], v) == 0:
            on = e
    count[0] += 1
    if on < 0:
        _split_triangle(mesh, t, v)
    elif twin[on] < 0:
        _split_rim(mesh, on, v)
    else:
        _split_edge(mesh, on, v)
    return v


@njit(cache=True)
def _split_triangle(mesh: Any, t: int, p: int) -> None:
    _, _, _, tri, twin, fixed, _, count = mesh
    a, b, c = tri[3 * t], tri[3 * t + 1], tri[3 * t + 2]
    t_bc, t_ca, f_bc, f_ca = twin[3 * t + 1], twin[3 * t + 2], fixed[3 * t + 1], fixed[3 * t + 2]
    u, w = count[1], count[1] + 1
    count[1] += 2
    _triangle(mesh, t, a, b, p)
    _triangle(mesh, u, b, c, p)
    _triangle(mesh, w, c, a, p)
    _join(mesh, 3 * u, t_bc, f_bc)
    _join(mesh, 3 * w, t_ca, f_ca)
    _join(mesh, 3 * t + 1, 3 * u + 2, False)
    _join(mesh, 3 * u + 1, 3 * w + 2, False)
    _join(mesh, 3 * w + 1, 3 * t + 2, False)
    _legalize(mesh, [3 * t, 3 * u, 3 * w])


@njit(cache=True)
def _split_half(mesh: Any, e: int, p: int, new: int) -> None:
    """Cut the triangle of e = a -> b at p on e: t becomes (c, a, p), `new` (b, c, p); rims of e left to the caller."""
    tri, twin, fixed = mesh[3], mesh[4], mesh[5]
    t = e // 3
    bc, ca = after(e), before(e)
    a, b, c = tri[e], tri[bc], tri[ca]
    t_bc, t_ca, f_bc, f_ca = twin[bc], twin[ca], fixed[bc], fixed[ca]
    _triangle(mesh, t, c, a, p)
    _triangle(mesh, new, b, c, p)
    _join(mesh, 3 * t, t_ca, f_ca)
    _join(mesh, 3 * new, t_bc, f_bc)
    _join(mesh, 3 * t + 2, 3 * new + 1, False)


@njit(cache=True)
def _split_rim(mesh: Any, e: int, p: int) -> None:
    fixed, count = mesh[5], mesh[7]
    t, new, was = e // 3, count[1], fixed[e]
    count[1] += 1
    _split_half(mesh, e, p, new)
    _join(mesh, 3 * t + 1, -1, was)
    _join(mesh, 3 * new + 2, -1, was)
    _legalize(mesh, [3 * t, 3 * new])


@njit(cache=True)
def _split_edge(mesh: Any, e: int, p: int) -> None:
    twin, fixed, count = mesh[4], mesh[5], mesh[7]
    f, was = twin[e], fixed[e]
    t, u, new, other = e // 3, f // 3, count[1], count[1] + 1
    count[1] += 2
    _split_half(mesh, e, p, new)
    _split_half(mesh, f, p, other)
    # t has a -> p, new p -> b; u has b -> p, other p -> a
    _join(mesh, 3 * t + 1, 3 * other + 2, was)
    _join(mesh, 3 * new + 2, 3 * u + 1, was)
    _legalize(mesh, [3 * t, 3 * new, 3 * u, 3 * other])


@njit(cache=True)
def _first_crossing(mesh: Any, a: int, b: int) -> Any:
    """(half-edge, vertex): the edge that ab crosses first, or a vertex on ab that a is joined to and by which edge."""
    xy, at, tri, twin = mesh[0], mesh[2], mesh[3], mesh[4]
    start = at[a]
    while twin[start] >= 0:
        # To the rim clockwise, where there is one, so that one way round meets every triangle.
        start = after(twin[start])
        if start == at[a]:
            break
    e = start
    while True:
        for out, v in ((e, tri[after(e)]), (before(e), tri[before(e)])):
            along = (xy[v, 0] - xy[a, 0]) * (xy[b, 0] - xy[a, 0]) + (xy[v, 1] - xy[a, 1]) * (xy[b, 1] - xy[a, 1])
            if along > 0 and turn(xy, a, b, v) == 0:
                return out, v
        if turn(xy, a, b, tri[after(e)]) < 0 and turn(xy, a, b, tri[before(e)]) > 0:
            return after(e), -1
        e = twin[before(e)]
        if e < 0 or e == start:
            return -1, -1


@njit(cache=True)
def fix(mesh: Any, a: int, b: int) -> bool:
    """Make ab an edge (a chain of them where vertices lie on it) that stays; False where another fixed one crosses."""
    fixed, twin = mesh[5], mesh[4]
    while a != b:
        e, v = _first_crossing(mesh, a, b)
        if e < 0:
            return False
        if v < 0:
            if not _clear(mesh, a, b, e):
                return False
            continue
        fixed[e] = True
        if twin[e] >= 0:
            fixed[twin[e]] = True
        a = v
    return True


@njit(cache=True)
def _crossed(mesh: Any, a: int, b: int, e: int) -> Any:
    """Half-edges that ab crosses from e on, up to b or a vertex on the way; none where one of them is fixed."""
    xy, tri, twin, fixed = mesh[0], mesh[3], mesh[4], mesh[5]
    found = [e]
    found.pop()
    while True:
        if fixed[e] or twin[e] < 0:
            found.clear()
            return found
        found.append(e)
        f = twin[e]
        q = tri[before(f)]
        side = turn(xy, a, b, q)
        if q == b or side == 0:
            return found
        e = after(f) if side > 0 else before(f)


@njit(cache=True)
def _clear(mesh: Any, a: int, b: int, e: int) -> bool:
    """Flip away what ab crosses up to b or the first vertex on it."""
    xy, tri, twin = mesh[0], mesh[3], mesh[4]
    queue = _crossed(mesh, a, b, e)
    left = 64 + 16 * len(queue) * len(queue)
    found = len(queue) > 0
    while len(queue):
        left -= 1
        if left < 0:
            return False
        e = queue.pop(0)
        f = twin[e]
        c, d, p, q = tri[e], tri[f], tri[before(e)], tri[before(f)]
        if not _convex(xy, c, d, p, q):
            queue.append(e)
            continue
        t, u = e // 3, f // 3
        old = (after(e), before(e), after(f), before(f))
        new = (3 * u + 2, 3 * t, 3 * t + 1, 3 * u + 1)
        _flip(mesh, e)
        for k in range(len(queue)):
            for i in range(4):
                if queue[k] == old[i]:
                    queue[k] = new[i]
                    break
        one, other = turn(xy, a, b, p), turn(xy, a, b, q)
        if (one > 0 and other < 0) or (one < 0 and other > 0):
            queue.append(3 * t + 2)
    return found


@njit(cache=True)
def insert_all(mesh: Any, points: Any, heights: Any, index: Any) -> None:
    """Insert points (n, 2) of whole mm with their heights; their vertices go to `index` (n,)."""
    for k in range(len(points)):
        index[k] = insert(mesh, points[k, 0], points[k, 1], heights[k])


@njit(cache=True)
def fix_all(mesh: Any, edges: Any) -> int:
    """Fix edges (m, 2) of vertices; how many could not be."""
    lost = 0
    for k in range(len(edges)):
        if not fix(mesh, edges[k, 0], edges[k, 1]):
            lost += 1
    return lost
