"""A model of the store as a 3D Tiles tileset: which columns, which tile, which bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles import content, scheme, tileset
from tiles.colours import USE_RGB
from tiles.compress import write_all
from tiles.metadata import UNKNOWN, FeatureSchema, Property, codes
from tiles.options import ModelTiles
from twin.features import Layer, objects
from twin.meshes import MATERIALS, Solids, Surface
from twin.workers import Workers

REFINES_WITHIN = 104.0
"""A tile is refined when the camera is nearer than this many times its error (CesiumJS, 1080p, 16 px)."""

_LODS = {"1.0": 10, "1.1": 11, "1.2": 12, "1.3": 13, "2.0": 20, "2.1": 21, "2.2": 22, "3.0": 30}
_EVIDENCE = ("surveyed", "pointcloud", "dsm", "storeys", "neighbours", "default", "model")
_SURVEY = ("measured", "documented", "typology", "conjecture")

_BYTES_PER_FEATURE = 24.0
_BYTES_PER_TRIANGLE = {"building": 7.0, "building_part": 9.5}


def _names(prop: str, title: str, values: Mapping[str, int]) -> Property:
    return Property(prop, "ENUM", title, values=values)


BLOCKS = FeatureSchema(
    "building",
    "建筑 / Building",
    (
        Property("oid", "STRING", "标识 / Identifier", "The same in the store, the tiles and every API"),
        Property("name", "STRING", "名称 / Name", optional=True),
        _names("function", "用途 / Use", codes(tuple(USE_RGB))),
        Property("height", "FLOAT32", "高度 / Height", "Metres above ground", no_data=-9999.0),
        _names("evidence", "高度依据 / Evidence of the height", codes(_EVIDENCE)),
        Property("storeys", "UINT16", "层数 / Storeys above ground", no_data=0),
        _names("lod", "细节层次 / Level of detail", {UNKNOWN: 0} | _LODS),
        Property("has_l3", "BOOLEAN", "有三级模型 / Also modelled in L3"),
    ),
)

PARTS = FeatureSchema(
    "building_part",
    "建筑构件 / Building part",
    (
        Property("oid", "STRING", "标识 / Identifier", "Building that the part belongs to"),
        Property("name", "STRING", "名称 / Name", optional=True),
        Property("part", "STRING", "构件 / Part", optional=True),
        Property("evidence", "STRING", "依据 / Evidence", optional=True),
        Property(
            "evidence_u",
            "FLOAT32",
            "不确定度 / Uncertainty of the evidence",
            "1 surveyed to 7 unknown",
            no_data=-9999.0,
        ),
        Property("fabric", "STRING", "材质 / Fabric", optional=True),
    ),
)


@dataclass(frozen=True, slots=True)
class Job:
    """One tile to be written."""

    path: Path
    solids: Solids
    functions: NDArray[np.object_]
    columns: Mapping[str, NDArray[Any]]
    schema: FeatureSchema
    sink: float
    brotli_quality: int


@dataclass(frozen=True, slots=True)
class Model:
    """A model ready to be cut: solids sorted by owner and oid, with their columns.

    name        folder below the published version, also the tileset's id
    columns     property id -> (b,) values
    functions   (b,) use, for colours
    notable     (b,) bool: has a name or is a monument; such things go into higher tiles
    """

    name: str
    schema: FeatureSchema
    solids: Solids
    columns: Mapping[str, NDArray[Any]]
    functions: NDArray[np.object_]
    notable: NDArray[np.bool_]


def blocks(solids: Solids, buildings: Layer | None, with_l3: frozenset[str]) -> Model:
    """The L2 model of the city; columns come from the solids, or from the layer of buildings by oid.

    with_l3     oids that L3 shows as well
    """
    solids = _sorted(solids)
    look = _Columns(solids, buildings)
    columns = {
        "oid": solids.owner,
        "name": look.text("name"),
        "function": look.text("function"),
        "height": look.number("height_m", "height"),
        "evidence": look.text("height_evidence", "evidence"),
        "storeys": look.number("storeys"),
        "lod": objects([f"{int(code) / 10.0:.1f}" for code in solids.lod.tolist()]),
        "has_l3": np.array([oid in with_l3 for oid in solids.owner.tolist()], dtype=bool),
    }
    notable = (columns["name"] != "") | np.isin(columns["function"].astype(str), ("heritage", "religious"))
    return Model("l2", BLOCKS, solids, columns, columns["function"], notable)


def parts(solids: Solids, buildings: Layer | None) -> Model:
    """The L3 model of the ancient city: features are parts, each under the oid of its building."""
    solids = _sorted(solids)
    look = _Columns(solids, buildings)
    columns = {
        "oid": solids.owner,
        "name": look.text("name"),
        "part": look.text("part"),
        "evidence": look.text("evidence"),
        "evidence_u": look.number("evidence_u"),
        "fabric": look.text("fabric") if "fabric" in solids.attributes else _fabric(solids),
    }
    return Model("l3", PARTS, solids, columns, look.text("function"), columns["name"] != "")


def has_surface(solids: Solids) -> NDArray[np.bool_]:
    """(b,) True where a solid can be drawn: every vertex finite, a triangle with area that is not on the ground."""
    a, b, c = (solids.vertices[solids.faces[:, k]] for k in range(3))
    doubled = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    seen = (solids.surface != Surface.GROUND) & (doubled > 1e-4)
    drawn = np.bincount(solids.face_owner()[seen], minlength=len(solids)) > 0
    lost = np.bincount(solids.vertex_owner()[~np.isfinite(solids.vertices).all(axis=1)], minlength=len(solids)) > 0
    return drawn & ~lost


def build_tileset(model: Model, folder: Path, version: str, options: ModelTiles, workers: Workers) -> dict[str, Any]:
    """Write `<folder>/<name>/tileset.json` and its tiles; the figures that build.json tells about it."""
    solids = model.solids
    sink = options.sink if model.schema is BLOCKS else 0.0
    root, n_objects, largest = _tree(model, options)
    nodes = [node for node in root.walk() if len(node.rows)]
    home = folder / model.name
    jobs = [_job(model, node.rows, home / f"{node.key}.glb", sink, options) for node in nodes]
    made = dict(zip((n.key for n in nodes), workers.map(write_tile, jobs, f"tiles {model.name}"), strict=True))
    document = tileset.document(root, made, version, 2.0 * largest)
    text = orjson.dumps(document)
    wire = write_all(home / "tileset.json", text, options.brotli_quality)
    low, high = solids.vertices.min(axis=0), solids.vertices.max(axis=0)
    bounds = solids.frame.to_lonlat([[low[0], low[1]], [high[0], high[1]]]).reshape(-1)
    return {
        "id": model.name,
        "url": f"{model.name}/tileset.json",
        "tiles": len(nodes),
        "levels": max(node.level for node in nodes) + 1,
        "objects": n_objects,
        "features": sum(c.features for c in made.values()),
        "triangles": sum(c.triangles for c in made.values()),
        "bytes": sum(c.size for c in made.values()) + len(text),
        "wire_bytes": sum(c.wire for c in made.values()) + wire,
        "root_wire_bytes": made[root.key].wire,
        "largest_wire_bytes": max(c.wire for c in made.values()),
        "geometric_error": document["root"]["geometricError"],
        "reach": options.l2_reach if model.schema is BLOCKS else options.l3_reach,
        "bounds": [round(float(v), 7) for v in bounds],
    }


def write_tile(job: Job) -> tileset.Content:
    """Write one tile and its compressed copies; what the tileset needs to know of it."""
    matrix = content.tile_matrix(job.solids.frame, job.solids.vertices)
    mesh = content.shape(job.solids, matrix, job.functions, job.sink)
    data = content.encode(mesh, job.schema, job.columns)
    wire = write_all(job.path, data, job.brotli_quality)
    upright = mesh.positions.astype(np.float64)[:, [0, 2, 1]] * np.array([1.0, -1.0, 1.0])
    return tileset.Content(
        matrix,
        upright.min(axis=0),
        upright.max(axis=0),
        wire,
        len(data),
        len(job.solids),
        sum(len(t) for t in mesh.triangles.values()),
    )


def _job(model: Model, rows: NDArray[np.int64], path: Path, sink: float, options: ModelTiles) -> Job:
    return Job(
        path,
        model.solids.take(rows),
        model.functions[rows],
        {key: values[rows] for key, values in model.columns.items()},
        model.schema,
        sink,
        options.brotli_quality,
    )


def _sorted(solids: Solids) -> Solids:
    return solids.take(np.lexsort((solids.oid.astype(str), solids.owner.astype(str))))


def _tree(model: Model, options: ModelTiles) -> tuple[scheme.Node, int, float]:
    """(root tile, objects, largest size in m); rows of the tiles are rows of the model.

    Fine parts of an object wait in tiles of their own until the camera is near; from afar they are below a pixel.
    """
    reach = options.l2_reach if model.schema is BLOCKS else options.l3_reach
    budget = scheme.Budget(options.root_bytes, options.inner_bytes, options.leaf_bytes, np.ceil(reach / REFINES_WITHIN))
    fine = _is_fine(model, options)
    main, fine_rows = np.flatnonzero(~fine), np.flatnonzero(fine)
    items, first = _items(model, main)
    root = _with_rows(scheme.quadtree(items, budget), main, first)
    if len(fine_rows):
        few, first = _items(model, fine_rows)
        near = float(np.ceil(options.l3_fine_reach / REFINES_WITHIN))
        late = _with_rows(scheme.late_leaves(few, options.inner_bytes, near, "fine/"), fine_rows, first)
        root = replace(root, error=max(root.error, near), children=(*root.children, late))
    return root, len(items.sizes), float(items.sizes.max())


def _is_fine(model: Model, options: ModelTiles) -> NDArray[np.bool_]:
    """(b,) True for parts whose kind is fine, as long as their object has a part that is not."""
    if "part" not in model.columns:
        return np.zeros(len(model.solids), dtype=bool)
    kinds = [part.rpartition("_")[2] for part in model.columns["part"].tolist()]
    fine = np.isin(kinds, options.l3_fine_parts)
    owner = model.solids.owner
    starts = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    alone = np.minimum.reduceat(fine, starts)
    return fine & ~np.repeat(alone, np.diff(np.append(starts, len(owner))))


def _items(model: Model, rows: NDArray[np.int64]) -> tuple[scheme.Items, NDArray[np.int64]]:
    """What the scheme places, one row per owner, and the place in `rows` of each owner's first solid (+ the end)."""
    solids = model.solids.take(rows)
    owner = solids.owner
    starts = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    first = np.append(starts, len(solids)).astype(np.int64)
    at = solids.vertex_offset[starts]
    low, high = np.minimum.reduceat(solids.vertices, at), np.maximum.reduceat(solids.vertices, at)
    extent = high - low
    # The shorter side stands for the width: a long low wall is missed no sooner than a square hut of its depth.
    sizes = np.maximum(extent[:, 2], extent[:, :2].min(axis=1))
    triangles = np.diff(solids.face_offset[first])
    weights = np.diff(first) * _BYTES_PER_FEATURE + triangles * _BYTES_PER_TRIANGLE[model.schema.id]
    notable = np.maximum.reduceat(model.notable[rows], starts)
    ranks = (2.0 * extent[:, 2] + extent[:, :2].max(axis=1)) * np.where(notable, 2.0, 1.0)
    return scheme.Items((low + high)[:, :2] / 2.0, sizes, weights, ranks), first


def _with_rows(node: scheme.Node, rows: NDArray[np.int64], first: NDArray[np.int64]) -> scheme.Node:
    """The same tree with the solids of each owner in place of the owner."""
    counts = first[node.rows + 1] - first[node.rows]
    packed = np.concatenate([[0], np.cumsum(counts)])
    at = np.arange(packed[-1]) + np.repeat(first[node.rows] - packed[:-1], counts)
    children = tuple(_with_rows(child, rows, first) for child in node.children)
    return replace(node, rows=rows[at], children=children)


def _fabric(solids: Solids) -> NDArray[np.object_]:
    names = objects([material.name for material in MATERIALS])
    at = np.minimum(solids.face_offset[:-1], max(len(solids.material) - 1, 0))
    return names[np.minimum(solids.material[at], len(MATERIALS) - 1)]


class _Columns:
    """Columns of solids by name, from their own attributes or from the layer of buildings."""

    def __init__(self, solids: Solids, layer: Layer | None) -> None:
        self.solids = solids
        self.layer = layer
        index = layer.index() if layer is not None else {}
        self.rows = np.array([index.get(oid, -1) for oid in solids.owner.tolist()], dtype=np.intp)

    def _find(self, names: tuple[str, ...]) -> NDArray[Any] | None:
        for name in names:
            if name in self.solids.attributes:
                return self.solids.attributes[name]
            if self.layer is not None and len(self.layer) and name in self.layer.columns:
                values = self.layer.columns[name][self.rows]
                missing: Any = "" if values.dtype == object else np.nan
                return np.where(self.rows >= 0, values, missing)
        return None

    def text(self, *names: str) -> NDArray[np.object_]:
        found = self._find(names)
        return objects([""] * len(self.solids)) if found is None else found.astype(object)

    def number(self, *names: str) -> NDArray[np.float64]:
        found = self._find(names)
        return np.full(len(self.solids), np.nan) if found is None else found.astype(np.float64)
