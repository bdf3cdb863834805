"""Polygons of a city model to triangles, to footprints, to a batch of Solids, all in the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import manifold3d
import mapbox_earcut
import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.citymodel.model import UNTOLD, Body, Coat, Part, Polygon, Ring
from twin.features import objects
from twin.frames import Frame
from twin.meshes import Skin, Solids, Surface, Texture, join_skins

_FLAT = 0.1
_NO_AREA = 1e-9
_AXES = ((1, 2), (2, 0), (0, 1))


@dataclass(frozen=True, slots=True)
class Shell:
    """One part as a mesh.

    vertices    (n, 3) f8
    faces       (m, 3) i4
    surface     (m,) u1
    polygon     (m,) i8, the polygon of the part that each face is of
    uv          (m, 3, 2) f4, place of each corner in the picture of its polygon; None where none wears one
    lost        polygons lost for want of area
    """

    part: Part
    vertices: Ring
    faces: NDArray[np.int32]
    surface: NDArray[np.uint8]
    polygon: NDArray[np.int64]
    uv: NDArray[np.float32] | None
    lost: int


def newell(ring: Ring) -> Ring:
    """(3,) twice the area vector of a ring (n, 3), about its first point (Newell's method)."""
    x, y, z = (ring[1:] - ring[0]).T
    return np.array(
        [
            np.dot(y[:-1], z[1:]) - np.dot(z[:-1], y[1:]),
            np.dot(z[:-1], x[1:]) - np.dot(x[:-1], z[1:]),
            np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:]),
        ]
    )


def class_of(polygon: Polygon) -> int:
    """The Surface of a polygon as told, else by where it faces: up a roof, down the ground, else a wall."""
    if polygon.surface != UNTOLD:
        return polygon.surface
    normal = newell(polygon.rings[0])
    up = normal[2] / max(float(np.linalg.norm(normal)), _NO_AREA)
    return int(Surface.ROOF if up > _FLAT else Surface.GROUND if up < -_FLAT else Surface.WALL)


def triangulate(rings: Sequence[Ring]) -> NDArray[np.int64]:
    """Triangles (t, 3) over the points of all rings in their order; they face as the outer ring does.

    rings   outer ring, then holes, each (k, 3) f8; none for a polygon without area
    source  ear clipping in the plane of the two widest axes, with every point kept (manifold3d), else mapbox_earcut
    """
    normal = newell(rings[0])
    if float(np.linalg.norm(normal)) < _NO_AREA:
        return np.zeros((0, 3), np.int64)
    if len(rings) == 1 and len(rings[0]) == 3:
        return np.array([[0, 1, 2]])
    axis = int(np.argmax(np.abs(normal)))
    first, second = _AXES[axis] if normal[axis] > 0.0 else _AXES[axis][::-1]
    flat = [ring[:, [first, second]] - rings[0][0, [first, second]] for ring in rings]
    # Holes run against the outer ring, whatever the file did.
    order, start = [], 0
    for place, ring in enumerate(flat):
        index = np.arange(start, start + len(ring))
        clockwise = _doubled(ring) < 0.0
        order.append(index[::-1] if clockwise == (place == 0) else index)
        start += len(ring)
    points = np.concatenate(flat)
    index = np.concatenate(order)
    found = np.asarray(manifold3d.triangulate([points[loop] for loop in order])).reshape(-1, 3)
    if not len(found):
        ends = np.cumsum([len(loop) for loop in order]).astype(np.uint32)
        found = mapbox_earcut.triangulate_float64(np.ascontiguousarray(points[index]), ends).reshape(-1, 3)
    triangles = index[found.astype(np.int64)]
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return triangles[:, ::-1] if area.sum() < 0.0 else triangles


def _doubled(ring: Ring) -> float:
    x, y = (ring[1:] - ring[0]).T
    return float(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:]))


def shell_of(part: Part) -> Shell:
    """The mesh of a part; points of equal place are one vertex, so that faces meet edge to edge."""
    faces, surface, lost, start = [], [], 0, 0
    for polygon in part.polygons:
        found = triangulate(polygon.rings)
        lost += not len(found)
        faces.append(found + start)
        surface.append(np.full(len(found), class_of(polygon), np.uint8))
        start += sum(len(ring) for ring in polygon.rings)
    points = np.concatenate([ring for polygon in part.polygons for ring in polygon.rings])
    vertices, inverse = np.unique(points, axis=0, return_inverse=True)
    corners = np.concatenate(faces)
    triangles = inverse.reshape(-1)[corners].astype(np.int32)
    a, b, c = triangles.T
    keep = (a != b) & (b != c) & (c != a)
    polygon = np.repeat(np.arange(len(faces)), [len(found) for found in faces])[keep]
    uv = _places(part)
    worn = None if uv is None else uv[corners[keep]]
    return Shell(part, vertices, triangles[keep], np.concatenate(surface)[keep], polygon, worn, lost)


def _places(part: Part) -> NDArray[np.float32] | None:
    """Places in their pictures of the points of all rings (n, 2); zeros where a polygon wears none."""
    if all(polygon.coat is None for polygon in part.polygons):
        return None
    found: list[NDArray[np.float32]] = []
    for polygon in part.polygons:
        bare = [np.zeros((len(ring), 2), np.float32) for ring in polygon.rings]
        found += bare if polygon.coat is None else polygon.coat.uv
    return np.concatenate(found)


Dresser = Callable[[Coat], Texture | None]


def skin_of(shells: Sequence[Shell], dresser: Dresser) -> Skin | None:
    """What the faces of some shells wear; None where that is nothing.

    dresser     gives the texture of a coat, None for a picture that is not there
    """
    parts = []
    for shell in shells:
        bare = Skin.bare(len(shell.faces))
        polygons = shell.part.polygons
        colours = np.array([polygon.colour or (0, 0, 0, 0) for polygon in polygons], np.uint8)
        found = [None if polygon.coat is None else dresser(polygon.coat) for polygon in polygons]
        textures = tuple(dict.fromkeys(texture for texture in found if texture is not None))
        code = np.array([-1 if texture is None else textures.index(texture) for texture in found], np.int32)
        worn = code[shell.polygon]
        uv = bare.uv if shell.uv is None else np.where((worn >= 0)[:, None, None], shell.uv, np.float32(0.0))
        parts.append(Skin(colours[shell.polygon], worn, uv, textures))
    skin = join_skins(parts)
    return None if skin.is_bare else skin


def solids_of(
    shells: Sequence[Shell],
    oids: Sequence[str],
    owners: Sequence[str],
    frame: Frame,
    dresser: Dresser | None = None,
) -> Solids:
    """A batch of Solids, one a shell, as delivered; attribute closed is 1 where a shell is.

    oids        identifier of each shell, unique
    owners      oid of the building that each belongs to
    dresser     gives the texture of a coat; None where no face wears anything
    """
    sizes = np.array([len(shell.vertices) for shell in shells])
    vertex_offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    face_offset = np.concatenate([[0], np.cumsum([len(shell.faces) for shell in shells])]).astype(np.int64)
    faces = [shell.faces + first for shell, first in zip(shells, vertex_offset, strict=False)]
    solids = Solids(
        frame=frame,
        oid=objects(list(oids)),
        vertices=np.concatenate([shell.vertices for shell in shells]),
        faces=np.concatenate(faces).astype(np.int32),
        surface=np.concatenate([shell.surface for shell in shells]),
        vertex_offset=vertex_offset,
        face_offset=face_offset,
        lod=np.array([shell.part.lod for shell in shells], np.uint8),
        material=np.zeros(face_offset[-1], np.uint8),
        skin=None if dresser is None else skin_of(shells, dresser),
    )
    attributes = {
        "owner": objects(list(owners)),
        "part": objects([shell.part.kind for shell in shells]),
        "closed": solids.is_closed().astype(np.float64),
    }
    return replace(solids, attributes=attributes)


def footprint_of(body: Body) -> shapely.Geometry | None:
    """The outline of a building: its LoD 0, else its ground surfaces, else the shadow of all its surfaces."""
    polygons = body.plan
    if not polygons:
        every = [polygon for part in body.parts for polygon in part.polygons]
        polygons = [polygon for polygon in every if class_of(polygon) == Surface.GROUND] or every
    flat = [shape for polygon in polygons if (shape := _shadow(polygon)) is not None]
    return shapely.union_all(flat) if flat else None


def _shadow(polygon: Polygon) -> shapely.Geometry | None:
    """The polygon seen from above; None where it stands upright."""
    normal = newell(polygon.rings[0])
    if abs(normal[2]) <= 1e-3 * float(np.linalg.norm(normal)):
        return None
    shape = shapely.Polygon(polygon.rings[0][:, :2], [ring[:, :2] for ring in polygon.rings[1:]])
    return shape if shape.is_valid else shapely.make_valid(shape, method="structure", keep_collapsed=False)
