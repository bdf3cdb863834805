"""The outline on the ground of every solid, as polygons."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.features import Objects
from twin.meshes import Solids, Surface

Floats = NDArray[np.float64]


def outlines(solids: Solids) -> Objects:
    """(b,) valid polygons in frame m, holes included: what the ground surface covers, else the hull of all vertices.

    A solid without ground surface (delivered surfaces, parts of L3) has the convex hull of its vertices; one that
    covers nothing, such as a lone wall, has an empty polygon.
    """
    rings, owner = _rings(solids)
    found = np.full(len(solids), shapely.Polygon(), dtype=object)
    if len(rings):
        area = _signed_area(rings)
        _assemble(found, rings, owner, area)
    _mend(found)
    bare = np.flatnonzero(shapely.is_empty(found))
    if len(bare):
        found[bare] = _hulls(solids, bare)
    return found


def _rings(solids: Solids) -> tuple[Objects, NDArray[np.int64]]:
    """Rings of the edges that only one ground triangle has, and the solid of each."""
    from tiles.lod import kernels

    ground = np.flatnonzero(solids.surface == Surface.GROUND)
    faces = solids.faces[ground].astype(np.int64)
    owner = np.repeat(solids.face_owner()[ground], 3)
    # Ground faces look down; seen from above their edges run backwards.
    start, end = np.roll(faces, -1, axis=1).reshape(-1), faces.reshape(-1)
    n = len(solids.vertices)
    forward, backward = start * n + end, end * n + start
    single = ~np.isin(forward, backward)
    vertices, begins, owners = kernels.chain(start[single], end[single], owner[single], n)
    if not len(owners):
        return np.zeros(0, dtype=object), owners
    xy = solids.vertices[vertices, :2]
    at = np.repeat(np.arange(len(owners)), np.diff(begins))
    return shapely.linearrings(xy, indices=at), owners


def _signed_area(rings: Objects) -> Floats:
    area = shapely.area(shapely.polygons(rings))
    return np.where(shapely.is_ccw(rings), area, -area)


def _assemble(found: Objects, rings: Objects, owner: NDArray[np.int64], area: Floats) -> None:
    """Polygons of outer rings (counter-clockwise) with the holes of the same solid; in place."""
    outer, holes = area > 0.0, area < 0.0
    plain = np.bincount(owner[outer], minlength=len(found))
    pierced = np.bincount(owner[holes], minlength=len(found)) > 0
    simple = outer & (plain[owner] == 1) & ~pierced[owner]
    found[owner[simple]] = shapely.polygons(rings[simple])
    for row in np.unique(owner[outer & ~simple]).tolist():
        mine = owner == row
        shells = shapely.union_all(shapely.polygons(rings[mine & outer]))
        found[row] = shapely.difference(shells, shapely.union_all(shapely.polygons(rings[mine & holes])))


def _mend(found: Objects) -> None:
    bad = np.flatnonzero(~shapely.is_valid(found))
    if len(bad):
        found[bad] = shapely.buffer(found[bad], 0.0)


def _hulls(solids: Solids, rows: NDArray[np.intp]) -> Objects:
    some = solids.take(rows)
    points = shapely.points(some.vertices[:, :2])
    clouds = shapely.multipoints(points, indices=some.vertex_owner())
    hulls = shapely.convex_hull(clouds)
    flat = shapely.get_type_id(hulls) != shapely.GeometryType.POLYGON
    hulls[flat] = shapely.Polygon()
    return hulls
