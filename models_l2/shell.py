"""Roofs of several planes: a footprint cut into roof faces becomes one closed solid, the whole batch at once.

A column stands at every corner of the partition. The heights at which faces meet it are its levels; walls run between
neighbouring columns from the lower face to the higher one, so that no edge is left without its opposite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.footprints import Rings, to_polygons
from models_l2.saddles import crowded, parted
from twin.errors import GeometryError
from twin.features import Objects
from twin.frames import Frame
from twin.meshes import Solids, Surface

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Heights of one column closer than this are one; half of val3dity's planarity tolerance of 0.01 m.
MERGE = 0.005
# Rounds in which the saddles of a building are taken apart, one a round; with more of them it comes out invalid.
_SADDLES = 16


@dataclass(frozen=True, slots=True)
class Partition:
    """Footprints of n buildings cut into p roof faces, each under a plane.

    rings     rings of the faces: `part` numbers the faces 0 .. p - 1 in ascending order (outer ring first, then holes),
              `owner` is the building. The faces of a building tile its footprint, and every corner that lies on the
              boundary of a face is a vertex of that face, to the last digit
    plane     (p, 3) f8: z = plane[0] (x - ox) + plane[1] (y - oy) + plane[2], m in the vertical datum
    origin    (n, 2) f8 m, (ox, oy) of each building; near it, so that no digit is lost
    """

    rings: Rings
    plane: Floats
    origin: Floats

    def __post_init__(self) -> None:
        faces = int(self.rings.part[-1]) + 1 if len(self.rings.part) else 0
        if self.plane.shape != (faces, 3) or self.origin.shape != (self.rings.n, 2):
            raise GeometryError(
                f"partition of {self.rings.n} buildings: {faces} faces, planes {self.plane.shape}, "
                f"origins {self.origin.shape}"
            )

    def heights(self) -> Floats:
        """(k,) z of every ring vertex under the plane of its face, m."""
        ring = self.rings.vertex_ring()
        local = self.rings.xy - self.origin[self.rings.owner[ring]]
        plane = self.plane[self.rings.part[ring]]
        return np.asarray((local * plane[:, :2]).sum(axis=1) + plane[:, 2])

    def face_owner(self) -> Integers:
        """(p,) building of every face."""
        first = np.searchsorted(self.rings.part, np.arange(len(self.plane)))
        return self.rings.owner[first]


def partition_of(faces: Objects, owner: Integers, plane: Floats, origin: Floats) -> Partition:
    """The partition whose faces are polygons (p,), with every vertex kept as it is, outer rings turned left.

    owner     (p,) i8 building of each face, any order          plane   (p, 3)          origin   (n, 2)
    raises    GeometryError where a face is no simple polygon with an area
    """
    order = np.argsort(owner, kind="stable")
    faces, owner, plane = shapely.orient_polygons(faces[order]), owner[order], plane[order]
    if (shapely.get_type_id(faces) != 3).any() or shapely.is_empty(faces).any():
        raise GeometryError("partition: a roof face is no polygon")
    rings, part = shapely.get_rings(faces, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    inner = np.append(ring[1:] == ring[:-1], False) if len(ring) else np.zeros(0, bool)
    counts = np.bincount(ring[inner], minlength=len(part))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    packed = Rings(xy[inner], offsets, part.astype(np.int64), owner[part].astype(np.int64), len(origin))
    return Partition(packed, plane, origin)


def raise_partition(partition: Partition, base: Floats, oid: Objects, frame: Frame, lod: int | Integers) -> Solids:
    """One solid per building: its faces lifted to their planes, walls where they step, level ground at `base`.

    base      (n,) f8 m, below every roof plane over the footprint
    oid       (n,) identifiers in the order of the partition's owners
    lod       level of detail times ten, one or (n,)
    returns   Solids with n solids; a building whose faces do not tile its footprint comes out open, for `validity`
    source    surfaces as in CityJSON 2.0 (GroundSurface, WallSurface, RoofSurface); shells of ISO 19107
    """
    stood = _stood(partition, base)
    rings, level_owner = stood.rings, stood.owner[stood.level_column]
    corner = _triangles(rings)
    edges = _walls(stood.ends())
    owner_of = rings.owner[rings.vertex_ring()]
    face_owner = owner_of[corner[:, 0]] if len(corner) else np.zeros(0, np.int64)
    wall_owner = level_owner[edges[:, 0]] if len(edges) else np.zeros(0, np.int64)
    groups = (
        (stood.base_level[stood.column[corner[:, ::-1]]], face_owner, Surface.GROUND),
        (edges, wall_owner, Surface.WALL),
        (stood.level[corner], face_owner, Surface.ROOF),
    )
    faces = np.concatenate([group[0].reshape(-1, 3) for group in groups])
    surface = np.concatenate([np.full(len(group[1]), group[2], np.uint8) for group in groups])
    belongs = np.concatenate([group[1] for group in groups])
    order = np.argsort(belongs * 4 + surface, kind="stable")
    n = rings.n
    vertex_count = np.bincount(level_owner, minlength=n)
    return Solids(
        frame=frame,
        oid=oid,
        vertices=np.column_stack([stood.xy[stood.level_column], stood.height]),
        faces=faces[order].astype(np.int32),
        surface=surface[order],
        vertex_offset=_offsets(vertex_count),
        face_offset=_offsets(np.bincount(belongs, minlength=n)),
        lod=np.broadcast_to(np.asarray(lod, np.uint8), (n,)).copy(),
        material=np.zeros(len(faces), np.uint8),
    )


@dataclass(frozen=True, slots=True)
class _Stood:
    """Columns (c,) at all corners of a partition, and their levels (l,), bottom up.

    rings    (k,) vertices                             mate          (k,) see `_mates`
    column   (k,) of every vertex                      xy, owner     (c, 2) and (c,) of the columns
    level    (k,) of every vertex                      base_level    (c,) level of the ground
    height   (l,) m                                    level_column  (l,)
    """

    rings: Rings
    mate: Integers
    column: Integers
    xy: Floats
    owner: Integers
    level: Integers
    base_level: Integers
    height: Floats
    level_column: Integers

    def ends(self) -> tuple[Integers, Integers, Integers, Integers]:
        """Levels below and above at the start, below and above at the end of the walls (w,) from lower to higher.

        A wall stands on every edge whose face lies above its neighbour's, or at the outline above ground.
        """
        following, mate = self.rings.following(), self.mate
        outer, ground = mate < 0, self.base_level[self.column]
        low_start = np.where(outer, ground, self.level[following[mate]])
        low_end = np.where(outer, ground[following], self.level[mate])
        high_start, high_end = self.level, self.level[following]
        up_start, up_end = high_start - low_start, high_end - low_end
        wall = np.flatnonzero((up_start >= 0) & (up_end >= 0) & (up_start + up_end > 0))
        return low_start[wall], high_start[wall], low_end[wall], high_end[wall]


def _stood(partition: Partition, base: Floats) -> _Stood:
    """The columns of a partition cut where planes cross, its saddles taken apart."""
    for _ in range(_SADDLES):
        stood = _columns_of(*_crossings_cut(partition), base)
        low_start, high_start, low_end, high_end = stood.ends()
        lower, upper = np.concatenate([low_start, low_end]), np.concatenate([high_start, high_end])
        at = crowded(lower, upper, len(stood.height))
        if not len(at):
            break
        step = np.full(len(stood.owner), -1)
        step[stood.level_column[at]] = at
        rings = parted(stood.rings, stood.mate, step[stood.column], stood.level > step[stood.column])
        if rings is None:
            break
        partition = Partition(rings, partition.plane, partition.origin)
    return stood


def _columns_of(partition: Partition, z: Floats, base: Floats) -> _Stood:
    rings = partition.rings
    column, xy, owner = columns(rings)
    return _Stood(rings, _mates(rings, column), column, xy, owner, *_levels(column, z, base[owner]))


def _offsets(counts: Integers) -> Integers:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def columns(rings: Rings) -> tuple[Integers, Floats, Integers]:
    """(k,) column of every ring vertex; (c, 2) place and (c,) building of the columns, in the order of buildings."""
    owner = rings.owner[rings.vertex_ring()]
    order = np.lexsort((rings.xy[:, 1], rings.xy[:, 0], owner))
    xy, sorted_owner = rings.xy[order], owner[order]
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(sorted_owner) != 0) | (np.diff(xy, axis=0) != 0.0).any(axis=1)
    column = np.empty(len(order), np.int64)
    column[order] = np.cumsum(new) - 1
    return column, xy[new], sorted_owner[new]


def _levels(column: Integers, z: Floats, base: Floats) -> tuple[Integers, Integers, Floats, Integers]:
    """Levels of all columns, bottom up: (k,) level of every ring vertex, (c,) of the ground, (l,) height, (l,) column.

    The lowest level of a column is its ground, exactly.
    """
    count = len(base)
    columns = np.concatenate([np.arange(count), column])
    heights = np.concatenate([base, z])
    ground = np.concatenate([np.ones(count, bool), np.zeros(len(z), bool)])
    order = np.lexsort((~ground, heights, columns))
    step = np.diff(heights[order])
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(columns[order]) != 0) | (step > MERGE)
    place = np.cumsum(new) - 1
    total = int(place[-1]) + 1 if len(place) else 0
    height = np.bincount(place, weights=heights[order], minlength=total) / np.bincount(place, minlength=total)
    level = np.empty(len(order), np.int64)
    level[order] = place
    height[level[:count]] = base
    return level[count:], level[:count], height, columns[order][new]


def _mates(rings: Rings, column: Integers) -> Integers:
    """(k,) for the edge that begins at every ring vertex, the vertex where the opposite edge begins; -1 where none."""
    n = int(column.max()) + 1 if len(column) else 1
    after = column[rings.following()]
    forward, backward = column * n + after, after * n + column
    order = np.argsort(forward, kind="stable")
    place = np.minimum(np.searchsorted(forward[order], backward), max(len(order) - 1, 0))
    found = order[place] if len(order) else place
    return np.where(forward[found] == backward, found, -1)


def _crossings_cut(partition: Partition) -> tuple[Partition, Floats]:
    """The same partition with a vertex wherever the planes of two neighbours cross along their edge; (k,) heights."""
    rings, z = partition.rings, partition.heights()
    following = rings.following()
    mate = _mates(rings, columns(rings)[0])
    inner = np.flatnonzero(mate >= 0)
    inner = inner[inner < mate[inner]]
    other = mate[inner]
    at_start, at_end = z[inner] - z[following[other]], z[following[inner]] - z[other]
    crossed = (at_start * at_end < 0.0) & (np.minimum(np.abs(at_start), np.abs(at_end)) > MERGE)
    inner, other = inner[crossed], other[crossed]
    if not len(inner):
        return partition, z
    t = (at_start[crossed] / (at_start[crossed] - at_end[crossed]))[:, None]
    a, b = rings.xy[inner], rings.xy[following[inner]]
    cut = a + t * (b - a)
    behind = np.concatenate([inner, other])
    xy = np.insert(rings.xy, behind + 1, np.concatenate([cut, cut]), axis=0)
    added = np.bincount(rings.vertex_ring()[behind], minlength=len(rings.part))
    offsets = _offsets(np.diff(rings.ring) + added)
    whole = Partition(Rings(xy, offsets, rings.part, rings.owner, rings.n), partition.plane, partition.origin)
    return whole, whole.heights()


def _walls(ends: tuple[Integers, Integers, Integers, Integers]) -> Integers:
    """Triangles (t, 3) of levels between the lower and the upper levels of walls, see `_Stood.ends`."""
    low_start, high_start, low_end, high_end = ends
    edge, step = _expand(high_end - low_end)
    right = np.column_stack([low_start[edge], low_end[edge] + step, low_end[edge] + step + 1])
    edge, step = _expand(high_start - low_start)
    left = np.column_stack([low_start[edge] + step, high_end[edge], low_start[edge] + step + 1])
    return np.concatenate([right, left])


def _expand(counts: Integers) -> tuple[Integers, Integers]:
    """(total,) row of each repetition and its number within the row."""
    row = np.repeat(np.arange(len(counts)), counts)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)


def _triangles(rings: Rings) -> Integers:
    """Triangles (t, 3) of ring vertices that fill every valid face, counter-clockwise; no new vertex is made.

    source   constrained Delaunay triangulation (GEOS): corners in a straight row get no triangle without area
    """
    whole = Rings(rings.xy, rings.ring, rings.part, rings.part, int(rings.part[-1]) + 1 if len(rings.part) else 0)
    faces = to_polygons(whole)
    faces = np.where(shapely.is_valid(faces), faces, shapely.Polygon())
    cut, face = shapely.get_parts(shapely.constrained_delaunay_triangles(faces), return_index=True)
    if not len(cut):
        return np.zeros((0, 3), np.int64)
    corners = shapely.get_coordinates(shapely.orient_polygons(cut)).reshape(-1, 4, 2)[:, :3].reshape(-1, 2)
    return _vertex_at(rings, np.repeat(face, 3), corners).reshape(-1, 3)


def _vertex_at(rings: Rings, face: Integers, xy: Floats) -> Integers:
    """(m,) ring vertex of a face that stands exactly at a place."""
    known = rings.part[rings.vertex_ring()]
    faces, places = np.concatenate([known, face]), np.concatenate([rings.xy, xy])
    late = np.concatenate([np.zeros(len(known), bool), np.ones(len(face), bool)])
    order = np.lexsort((late, places[:, 1], places[:, 0], faces))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(faces[order]) != 0) | (np.diff(places[order], axis=0) != 0.0).any(axis=1)
    first = order[np.flatnonzero(new)][np.cumsum(new) - 1]
    found = np.empty(len(order), np.int64)
    found[order] = first
    return found[len(known) :]
