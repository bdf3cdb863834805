"""The content of one tile: solids as flat-shaded, coloured triangles in the tile's own axes, with feature ids.

No loop over buildings: one pass of array work per tile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.gltf import colours, kernels, outline
from tiles.gltf.draped import Draped
from tiles.gltf.glb import Builder
from tiles.gltf.meshopt import exponent_of
from tiles.gltf.metadata import FeatureSchema, write_table
from twin.frames import Frame
from twin.meshes import MATERIALS, Solids, Surface

_MANY = 500
_CLOSE = 1e-4

_MATT, _GLAZED, _METAL = 0, 1, 2
_FINISHES = ((0.92, 0.0), (0.38, 0.0), (0.35, 0.9))


@dataclass(frozen=True, slots=True)
class TileMesh:
    """Triangles of one tile in glTF axes (x east, y up, z south), metres from the tile's origin.

    Positions lie on a grid of 1/512 m, so they are 1 mm off at most and exact in float32 as far as 16 km; in a tile
    that reaches further the grid is coarser, as `meshopt.exponent_of` has it.
    positions (n, 3) f4     normals (n, 3) i1, 127 is 1     colours (n, 3) u1, linear     feature (n,) i8, row
    triangles finish -> (k, 3) i8 vertex index
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.int8]
    colours: NDArray[np.uint8]
    feature: NDArray[np.int64]
    triangles: Mapping[int, NDArray[np.int64]]


def tile_matrix(frame: Frame, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """East-north-up -> Earth-centred matrix (4, 4) at the middle of the vertices (n, 3), at their lowest height."""
    low, high = kernels.extent(vertices)
    x, y = ((low + high) / 2.0)[:2]
    return frame.enu_at(float(x), float(y), float(low[2]))


def to_local(frame: Frame, vertices: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """East, north, up (n, 3) m of frame points: what each of them is by way of Earth-centred coordinates.

    Many points are bent by a cubic that was fitted to that way; where it is off by more than 0.1 mm anywhere on a finer
    net, as in tiles of a hundred kilometres, every point goes the whole way.
    """
    low, high = kernels.extent(vertices)
    if len(vertices) < _MANY:
        return _by_ecef(frame, vertices, matrix)
    centre, scale = (low + high) / 2.0, max(float((high - low).max()) / 2.0, 1.0)
    nodes, net = (_net(low, high, count) for count in (5, 8))
    terms = np.linalg.lstsq(kernels.cubic(nodes, centre, scale), _by_ecef(frame, nodes, matrix), rcond=None)[0]
    off = np.abs(kernels.cubic(net, centre, scale) @ terms - _by_ecef(frame, net, matrix)).max()
    if off > _CLOSE:
        return _by_ecef(frame, vertices, matrix)
    return np.asarray(kernels.bend(vertices, centre, scale, terms))


def _by_ecef(frame: Frame, points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return (frame.to_ecef(points) - matrix[:3, 3]) @ matrix[:3, :3]


def _net(low: NDArray[np.float64], high: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    axes = [np.linspace(low[k], high[k], n) for k, n in enumerate((count, count, 2))]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def shape(solids: Solids, matrix: NDArray[np.float64], functions: NDArray[np.object_], sink: float) -> TileMesh:
    """The mesh of a tile; faces on the ground are left out, their vertices sunk by `sink` m against floating.

    functions   (b,) use of each solid's building, for the quiet colours
    """
    vertices = solids.vertices
    ground = solids.surface == Surface.GROUND
    if sink > 0.0:
        foot = np.zeros(len(vertices), dtype=bool)
        foot[solids.faces[ground]] = True
        vertices = vertices.copy()
        vertices[foot, 2] -= sink
    local = to_local(solids.frame, vertices, matrix)
    step = 2.0 ** exponent_of(float(np.abs(local).max(initial=0.0)))
    grid = np.round(local / step)
    normals, kept = kernels.face_normals(grid, solids.faces, ground)
    base, depth, look = _looks(solids, functions)
    offsets = np.column_stack([solids.vertex_offset, solids.face_offset])
    # Two lines at one place in the frame are one to the bit, or they are two.
    columns = np.ascontiguousarray(solids.vertices[:, :2]).view(np.int64)
    point, origin, triangles = kernels.weld(columns, grid[:, 2], solids.faces, normals, look, kept, offsets)
    places, upright = (grid[point] * step).astype(np.float32), normals[origin]
    finish = _finishes(solids.material)[kept]
    return TileMesh(
        positions=np.column_stack([places[:, 0], places[:, 2], -places[:, 1]]),
        normals=np.column_stack([upright[:, 0], upright[:, 2], -upright[:, 1]]),
        colours=kernels.paint(point, origin, base, depth, _shades(solids), colours.LINEAR),
        feature=solids.vertex_owner()[point],
        triangles={int(code): triangles[finish == code] for code in np.unique(finish)},
    )


def _finishes(material: NDArray[np.uint8]) -> NDArray[np.int64]:
    kinds = [_METAL if m.metallic > 0.5 else _GLAZED if m.roughness < 0.6 else _MATT for m in MATERIALS]
    return np.array(kinds)[np.minimum(material, len(MATERIALS) - 1)]


def _looks(
    solids: Solids, functions: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Of every face: sRGB (m, 3), how much of the shade at its foot it takes (m,), and a number (m,) for its look."""
    surface, material = solids.surface, solids.material
    anchors = solids.vertices[solids.vertex_offset[:-1], :2]
    by_use = np.repeat(colours.use_colours(functions, anchors), np.diff(solids.face_offset), axis=0)
    base = colours.face_colours(surface, material, by_use)
    look = (surface.astype(np.int64) << 8) | material
    if solids.skin is not None:
        worn = solids.skin.colour.astype(np.int64)
        base = np.where(worn[:, 3:] > 0, worn[:, :3] / 255.0, base)
        look = (look << 32) | np.where(worn[:, 3] > 0, worn @ np.array([1 << 24, 1 << 16, 1 << 8, 1]), 0)
    base[surface == Surface.OUTER_CEILING] *= 0.75
    wall = (surface == Surface.WALL) | (surface == Surface.OPENING)
    return base, np.where(wall, np.where(material == 0, 1.0, 0.35), 0.0), look


def _shades(solids: Solids) -> NDArray[np.float64]:
    """(n,) how light a wall is at every vertex, by its height above the foot of its solid."""
    z, at = solids.vertices[:, 2], solids.vertex_offset[:-1]
    low, high = np.minimum.reduceat(z, at), np.maximum.reduceat(z, at)
    counts = np.diff(solids.vertex_offset)
    return colours.foot_shade(z - np.repeat(low, counts), np.repeat(high - low, counts))


def encode(
    mesh: TileMesh,
    schema: FeatureSchema,
    columns: Mapping[str, NDArray[Any]],
    compression: str = "meshopt",
    draped: Draped | None = None,
    copyright: str = "",
    outlined: bool = False,
) -> bytes:
    """The GLB of a tile: one mesh, one primitive per finish and one for what wears a picture, one property table.

    columns         property id -> (f,) values of every feature in the tile
    compression     "meshopt" or "none", of vertices and indices
    outlined        with the edges of what wears a colour, for clients that draw them
    """
    builder = Builder(packed=compression == "meshopt")
    n, n_features = len(mesh.positions), len(next(iter(columns.values())))
    ids = "<u2" if n_features <= 65535 else "<f4"
    attributes = _attributes(mesh, builder, ids) if n else {}
    feature_ids = {"featureCount": int((np.bincount(mesh.feature) > 0).sum()), "attribute": 0, "propertyTable": 0}
    featured = {"EXT_mesh_features": {"featureIds": [feature_ids]}}
    primitives = [
        {
            "attributes": attributes,
            "indices": builder.indices(triangles, n),
            "material": place,
            "mode": 4,
            "extensions": featured | (_outlined(triangles, n, builder) if outlined else {}),
        }
        for place, triangles in enumerate(mesh.triangles.values())
    ]
    asset = {"version": "2.0", "generator": "Pingcheng"} | ({"copyright": copyright} if copyright else {})
    document: dict[str, Any] = {
        "asset": asset,
        "extensionsUsed": ["EXT_mesh_features", "EXT_structural_metadata", "KHR_mesh_quantization"]
        + [outline.EXTENSION] * (outlined and bool(primitives)),
        "extensionsRequired": ["KHR_mesh_quantization"],
        "extensions": {"EXT_structural_metadata": write_table(schema, columns, builder)},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": primitives}],
        "materials": [_material(code) for code in mesh.triangles],
    }
    if draped is not None:
        draped.add_to(document, builder, ids)
    return builder.finish(document)


def _outlined(triangles: NDArray[np.int64], n_vertices: int, builder: Builder) -> dict[str, Any]:
    edges = outline.outline(triangles, n_vertices)
    return {outline.EXTENSION: {"indices": builder.sequence(edges, n_vertices)}}


def _attributes(mesh: TileMesh, builder: Builder, ids: str) -> dict[str, int]:
    return {
        "POSITION": builder.attribute(mesh.positions, bounds=True),
        "NORMAL": builder.attribute(mesh.normals, normalized=True),
        "COLOR_0": builder.attribute(mesh.colours, normalized=True),
        "_FEATURE_ID_0": builder.attribute(mesh.feature.astype(ids)),
    }


def _material(finish: int) -> dict[str, Any]:
    roughness, metallic = _FINISHES[finish]
    return {"pbrMetallicRoughness": {"roughnessFactor": roughness, "metallicFactor": metallic}}
