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
    n = len(solids.vertices)
    start, end, face = kernels.border(solids.faces[ground], n)
    vertices, begins, owners = kernels.chain(start, end, solids.face_owner()[ground][face], n)
    if not len(owners):
        return np.zeros(0, dtype=object), owners
    xy = solids.vertices[vertices, :2]
    at = np.repeat(np.arange(len(owners)), np.diff(begins))
    return shapely.linearrings(xy, indices=at), owners


def _signed_area(rings: Objects) -> Floats:
    """(r,) f8 m2, positive where a ring runs counter-clockwise; about its first corner, so no digit is lost."""
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    begins = np.flatnonzero(np.append(True, ring[1:] != ring[:-1]))
    x, y = (xy - xy[begins][ring]).T
    crossed = x[:-1] * y[1:] - x[1:] * y[:-1]
    crossed[begins[1:] - 1] = 0.0
    return np.add.reduceat(np.append(crossed, 0.0), begins) / 2.0


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
