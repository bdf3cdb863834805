"""Checks of one glTF: extensions, accessors, nodes and instances, metadata; and where its vertices are.

source  glTF 2.0.1; EXT_mesh_gpu_instancing; EXT_instance_features; EXT_structural_metadata
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from tiles.checks.extensions import check_extensions
from tiles.checks.findings import Findings
from tiles.checks.ids import check_instance_ids
from tiles.checks.primitives import check_primitive, check_texture_tables
from tiles.checks.schema import check_schema
from tiles.checks.tables import check_tables
from tiles.gltf.glb import Gltf, node_matrix
from twin.errors import SourceError

Floats = NDArray[np.float64]

UP = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
"""glTF axes (y up) to tile axes (z up)."""

INSTANCING = "EXT_mesh_gpu_instancing"
METADATA = "EXT_structural_metadata"
_UNREAD = ("KHR_draco_mesh_compression", "KHR_gaussian_splatting_compression_spz_2")
_NO_FALLBACK = {
    "KHR_draco_mesh_compression": "POSITION",
    "KHR_texture_basisu": "source",
    "EXT_texture_webp": "source",
    "EXT_texture_avif": "source",
}
_MOST_POINTS = 2_000_000
_UNIT = 0.01


@dataclass(frozen=True, slots=True)
class Body:
    """What a glTF shows.

    points      (n, 3) f8 in tile axes, node matrices and instances applied
    triangles   (m, 3) i8 rows of points; none where instances were reduced to their hulls
    """

    points: Floats
    triangles: NDArray[np.int64]


_NOTHING = Body(np.zeros((0, 3)), np.zeros((0, 3), np.int64))


def check_gltf(gltf: Gltf, schema: Mapping[str, Any] | None, found: Findings, strict: bool = True) -> Body:
    """The vertices of a glTF; everything wrong goes into `found`.

    schema  of the metadata where the glTF names it by `schemaUri`
    strict  whether what is lawful and wasteful (triangles without area) counts as a fault
    """
    where = gltf.where
    asset = gltf.document.get("asset", {})
    found.require(str(asset.get("version", "")).startswith("2."), where, "glTF is not version 2", "GLTF_INVALID")
    check_extensions(gltf.document, where, found)
    _fallbacks(gltf.document, where, found)
    _metadata(gltf, schema, found)
    for index, accessor in enumerate(gltf.document.get("accessors", [])):
        if "bufferView" not in accessor and accessor["count"] > _MOST_POINTS:
            found.fault(where, f"accessor {index} has {accessor['count']} elements and no bytes", "GLTF_INVALID")
            return _NOTHING
    unread = [name for name in _UNREAD if name in gltf.document.get("extensionsUsed", [])]
    if unread:
        found.remark(f"{unread[0]} is not decoded here; geometry not checked")
        return _NOTHING
    bodies, shapes = [], {}
    for matrix, node in nodes(gltf):
        if "mesh" not in node:
            continue
        mesh = int(node["mesh"])
        if mesh not in shapes:
            shapes[mesh] = _mesh(gltf, mesh, found, strict)
        spread = _instances(gltf, node, found, strict)
        bodies.append(_spread(shapes[mesh], matrix, spread))
    return _joined(bodies)


def _fallbacks(document: Mapping[str, Any], where: str, found: Findings) -> None:
    """An extension without which nothing is seen must be required."""
    needed = set()
    for texture in document.get("textures", []):
        needed |= {name for name in texture.get("extensions", {}) if name in _NO_FALLBACK and "source" not in texture}
    views = document.get("bufferViews", [])
    for view in views:
        for name in ("EXT_meshopt_compression", "KHR_meshopt_compression"):
            buffer = document.get("buffers", [])[view["buffer"]] if name in view.get("extensions", {}) else {}
            absent = "uri" not in buffer and buffer.get("extensions", {}).get(name, {}).get("fallback")
            needed |= {name} if absent else set()
    accessors = document.get("accessors", [])
    for primitive in (p for mesh in document.get("meshes", []) for p in mesh.get("primitives", [])):
        position = primitive.get("attributes", {}).get("POSITION")
        if position is not None and position < len(accessors) and accessors[position].get("componentType") != 5126:
            needed.add("KHR_mesh_quantization")
        if "KHR_draco_mesh_compression" in primitive.get("extensions", {}) and position is not None:
            needed |= {"KHR_draco_mesh_compression"} if "bufferView" not in accessors[position] else set()
    for name in sorted(needed - set(document.get("extensionsRequired", []))):
        found.fault(
            where, f"{name} has no fallback and is not in extensionsRequired", "EXTENSION_REQUIRED_BUT_NOT_DECLARED"
        )


def _metadata(gltf: Gltf, outside: Mapping[str, Any] | None, found: Findings) -> None:
    extension = gltf.document.get("extensions", {}).get(METADATA)
    if extension is None:
        return
    where = gltf.where
    found.require(
        not ("schema" in extension and "schemaUri" in extension), where, "both schema and schemaUri", "ONE_OF_ERROR"
    )
    schema = extension.get("schema") or outside
    if schema is None:
        found.require("schemaUri" in extension, where, "metadata without a schema", "PROPERTY_MISSING")
        found.remark(f"{where}: schema lies outside; property tables not opened")
        return
    check_schema(schema, where, found)
    check_tables(gltf, schema, found)
    check_texture_tables(gltf, schema, found)


def nodes(gltf: Gltf) -> Iterator[tuple[Floats, Mapping[str, Any]]]:
    """(world matrix (4, 4), node) of the default scene, parents first.

    raises  SourceError where a node does not exist or is its own ancestor
    """
    entries = gltf.document.get("nodes", [])
    scenes = gltf.document.get("scenes", [])
    roots = scenes[gltf.document.get("scene", 0)].get("nodes", []) if scenes else []
    stack = [(index, np.eye(4), 0) for index in reversed(roots)]
    while stack:
        index, above, depth = stack.pop()
        if not 0 <= index < len(entries):
            raise SourceError(f"node {index} does not exist; there are {len(entries)}")
        if depth > len(entries):
            raise SourceError(f"node {index} is its own ancestor")
        matrix = above @ node_matrix(entries[index])
        yield matrix, entries[index]
        stack += [(child, matrix, depth + 1) for child in reversed(entries[index].get("children", []))]


def _mesh(gltf: Gltf, mesh: int, found: Findings, strict: bool) -> Body:
    meshes = gltf.document.get("meshes", [])
    if not found.require(mesh < len(meshes), gltf.where, f"mesh {mesh} does not exist", "GLTF_INVALID"):
        return _NOTHING
    bodies = []
    for primitive in meshes[mesh].get("primitives", []):
        try:
            bodies.append(Body(*check_primitive(gltf, primitive, found, strict)))
        except SourceError as error:
            found.fault(gltf.where, str(error).removeprefix(f"{gltf.where}: "), "GLTF_INVALID")
    return _joined(bodies)


def _joined(bodies: list[Body]) -> Body:
    if not bodies:
        return _NOTHING
    starts = np.cumsum([0, *(len(body.points) for body in bodies)])
    return Body(
        np.concatenate([body.points for body in bodies]),
        np.concatenate([body.triangles + start for body, start in zip(bodies, starts, strict=False)]),
    )


def _instances(gltf: Gltf, node: Mapping[str, Any], found: Findings, strict: bool) -> Floats | None:
    """Matrices (k, 4, 4) of the instances of a node; None where it is drawn once."""
    extension = node.get("extensions", {}).get(INSTANCING)
    if extension is None:
        return None
    where = f"{gltf.where}: instances"
    attributes = extension.get("attributes", {})
    values = {name: gltf.normalized(index) for name, index in attributes.items() if not name.startswith("_")}
    counts = {gltf.document["accessors"][index]["count"] for index in attributes.values()}
    if not found.require(len(counts) == 1, where, f"accessors of {sorted(counts)} instances", "INVALID_GLTF_STRUCTURE"):
        return None
    count = counts.pop()
    check_instance_ids(gltf, node, attributes, count, found, strict)
    turn = values.get("ROTATION", np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)))
    lengths = np.linalg.norm(turn, axis=1)
    found.require(
        (np.abs(lengths - 1.0) <= _UNIT).all(), where, "a rotation is no unit quaternion", "INVALID_GLTF_STRUCTURE"
    )
    scale = values.get("SCALE", np.ones((count, 3)))
    shift = values.get("TRANSLATION", np.zeros((count, 3)))
    if not found.require(
        all(np.isfinite(part).all() for part in (turn, scale, shift)),
        where,
        "a number is not finite",
        "INVALID_GLTF_STRUCTURE",
    ):
        return None
    found.count("instances", count)
    return _matrices(shift, turn / np.maximum(lengths, 1e-12)[:, None], scale)


def _matrices(shift: Floats, turn: Floats, scale: Floats) -> Floats:
    x, y, z, w = turn.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrices = np.zeros((len(x), 4, 4))
    matrices[:, :3, :3] = np.moveaxis(np.array(rows), 2, 0) * scale[:, None, :]
    matrices[:, :3, 3] = shift
    matrices[:, 3, 3] = 1.0
    return matrices


def _spread(body: Body, matrix: Floats, instances: Floats | None) -> Body:
    """The mesh where its node puts it, once or as often as it has instances."""
    placed = UP @ matrix
    if instances is None or not len(body.points):
        return Body(body.points @ placed[:3, :3].T + placed[:3, 3], body.triangles)
    points, triangles = body.points, body.triangles
    if len(points) * len(instances) > _MOST_POINTS:
        points, triangles = _hull(points), np.zeros((0, 3), np.int64)
    whole = placed @ instances
    spread = np.einsum("kij,nj->kni", whole[:, :3, :3], points) + whole[:, None, :3, 3]
    starts = np.arange(len(instances))[:, None, None] * len(points)
    return Body(spread.reshape(-1, 3), (triangles[None] + starts).reshape(-1, 3))


def _hull(points: Floats) -> Floats:
    """The corners of the hull: where they are inside a volume, all points are."""
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:
        low, high = points.min(axis=0), points.max(axis=0)
        return np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
