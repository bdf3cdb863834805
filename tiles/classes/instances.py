"""Trees and street furniture as tiles of instances: a few small meshes, each drawn at thousands of places.

source  EXT_mesh_gpu_instancing; Cesium EXT_instance_features
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.classes.prototypes import Prototype, prototype
from tiles.gltf.content import tile_matrix, to_local
from tiles.gltf.glb import Builder
from tiles.gltf.metadata import FeatureSchema, write_table
from tiles.scheme.tree import Content
from tiles.shelf import Shelf
from twin.features import Objects
from twin.frames import Frame

Floats = NDArray[np.float64]

_STEP = 1.0 / 128.0
"""m: places and scales lie on this grid; 4 mm off at most, and kind to compressors."""

_ROUND = 32767.0
_EXTENSIONS = ("EXT_mesh_gpu_instancing", "EXT_instance_features", "EXT_structural_metadata", "KHR_mesh_quantization")
_AHEAD = 10.0
"""m: how far ahead a thing looks; over this way the frame's north is turned into the tile's."""


@dataclass(frozen=True, slots=True)
class Standing:
    """n things that stand about.

    xyz      (n, 3) f8, frame m, where the foot stands       scale    (n, 3) f8: east, north and up, of the model's unit
    model    (n,) name of the model      tint    (n,) i8     heading  (n,) f8, degrees clockwise from the frame's north
    columns  property id of `schema` -> (n,) values
    """

    frame: Frame
    schema: FeatureSchema
    xyz: Floats
    scale: Floats
    heading: Floats
    model: Objects
    tint: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.xyz)

    def take(self, rows: NDArray[np.integer[Any]]) -> Standing:
        """The things of `rows` (k,)."""
        columns = {key: values[rows] for key, values in self.columns.items()}
        own = (getattr(self, name)[rows] for name in ("xyz", "scale", "heading", "model", "tint"))
        return Standing(self.frame, self.schema, *own, columns)


@dataclass(frozen=True, slots=True)
class Placed:
    """Instances of one mesh in glTF axes, as they are stored.

    shift (k, 3) f4, m      turn (k, 4) i2, quaternion x y z w, 32767 is 1      scale (k, 3) f4
    feature (k,) row of the table
    """

    mesh: Prototype
    shift: NDArray[np.float32]
    turn: NDArray[np.int16]
    scale: NDArray[np.float32]
    feature: NDArray[np.int64]

    def corners(self) -> tuple[Floats, Floats]:
        """Lowest and highest (3,) m over every corner of every instance."""
        local = self.mesh.positions.astype(np.float64)[None] * self.scale[:, None].astype(np.float64)
        y, w = (self.turn[:, k, None] / _ROUND for k in (1, 3))
        cos, sin = 1.0 - 2.0 * y * y, 2.0 * y * w
        turned = np.stack(
            [cos * local[..., 0] + sin * local[..., 2], local[..., 1], cos * local[..., 2] - sin * local[..., 0]],
            axis=2,
        )
        placed = turned + self.shift[:, None]
        return placed.min(axis=(0, 1)), placed.max(axis=(0, 1))


def write(standing: Standing, shelf: Shelf) -> Content:
    """Write the things as one tile; what the tileset needs to know of it."""
    matrix = tile_matrix(standing.frame, standing.xyz)
    order = np.lexsort((standing.columns["oid"].astype(str), standing.tint, standing.model.astype(str)))
    sorted_ = standing.take(order)
    groups = placed(sorted_, matrix)
    data = encode(groups, standing.schema, sorted_.columns)
    name, wire = shelf.put(data, ".glb")
    low, high = (f([c[k] for c in map(Placed.corners, groups)], axis=0) for k, f in ((0, np.min), (1, np.max)))
    return Content(
        name,
        wire,
        len(data),
        tuple(float(v) for v in matrix.T.reshape(-1)),
        (float(low[0]), float(-high[2]), float(low[1])),
        (float(high[0]), float(-low[2]), float(high[1])),
        len(standing),
        sum(len(group.feature) * len(group.mesh.triangles) for group in groups),
    )


def placed(standing: Standing, matrix: Floats) -> list[Placed]:
    """The instances of every mesh that the things use; things are sorted by model and tint.

    matrix  (4, 4) tile axes (east, north, up) -> Earth-centred
    """
    angle = np.radians(standing.heading)
    ahead = np.column_stack([np.sin(angle), np.cos(angle), np.zeros(len(angle))]) * _AHEAD
    local = to_local(standing.frame, standing.xyz, matrix)
    way = to_local(standing.frame, standing.xyz + ahead, matrix) - local
    half = -0.5 * np.arctan2(way[:, 0], way[:, 1])
    nothing = np.zeros(len(half))
    turn = np.column_stack([nothing, np.sin(half), nothing, np.cos(half)])
    shift = np.round(local / _STEP) * _STEP
    scale = np.maximum(np.round(standing.scale / _STEP), 1.0) * _STEP
    model, tint = standing.model.astype(str), standing.tint
    new = np.flatnonzero(np.append(True, (model[1:] != model[:-1]) | (tint[1:] != tint[:-1])))
    return [
        Placed(
            prototype(str(model[a]), int(tint[a])),
            np.column_stack([shift[a:b, 0], shift[a:b, 2], -shift[a:b, 1]]).astype(np.float32),
            np.round(turn[a:b] * _ROUND).astype(np.int16),
            scale[a:b][:, [0, 2, 1]].astype(np.float32),
            np.arange(a, b),
        )
        for a, b in zip(new.tolist(), [*new[1:].tolist(), len(model)], strict=True)
    ]


def encode(groups: list[Placed], schema: FeatureSchema, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """The GLB of a tile: a node for every mesh, one property table for all instances.

    columns     property id -> (f,) values of every instance
    """
    builder = Builder()
    many = len(next(iter(columns.values()))) > 65535
    nodes = [_node(builder, place, group, "<f4" if many else "<u2") for place, group in enumerate(groups)]
    return builder.finish(
        {
            "asset": {"version": "2.0", "generator": "Pingcheng"},
            "extensionsUsed": list(_EXTENSIONS),
            "extensionsRequired": ["EXT_mesh_gpu_instancing", "KHR_mesh_quantization"],
            "extensions": {"EXT_structural_metadata": write_table(schema, columns, builder)},
            "scene": 0,
            "scenes": [{"nodes": list(range(len(nodes)))}],
            "nodes": nodes,
            "meshes": [{"primitives": [_primitive(builder, group.mesh)]} for group in groups],
            "materials": [{"pbrMetallicRoughness": {"roughnessFactor": 0.92, "metallicFactor": 0.0}}],
        }
    )


def _primitive(builder: Builder, mesh: Prototype) -> dict[str, Any]:
    attributes = {
        "POSITION": builder.attribute(mesh.positions, bounds=True),
        "NORMAL": builder.attribute(mesh.normals, normalized=True),
        "COLOR_0": builder.attribute(mesh.colours, normalized=True),
    }
    indices = builder.indices(mesh.triangles, len(mesh.positions))
    return {"attributes": attributes, "indices": indices, "material": 0, "mode": 4}


def _node(builder: Builder, mesh: int, group: Placed, ids: str) -> dict[str, Any]:
    attributes = {
        "TRANSLATION": builder.attribute(group.shift),
        "ROTATION": builder.attribute(group.turn, normalized=True),
        "SCALE": builder.attribute(group.scale),
        "_FEATURE_ID_0": builder.attribute(group.feature.astype(ids)),
    }
    features = {"featureCount": len(group.feature), "attribute": 0, "propertyTable": 0}
    return {
        "mesh": mesh,
        "extensions": {
            "EXT_mesh_gpu_instancing": {"attributes": attributes},
            "EXT_instance_features": {"featureIds": [features]},
        },
    }
