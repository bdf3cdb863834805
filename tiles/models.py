"""A model of the store as features of tiles: which columns it has, what it looks like, and the bytes of one tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiles.gltf import content, kernels
from tiles.gltf.colours import USE_RGB
from tiles.gltf.metadata import UNKNOWN, FeatureSchema, Property, codes
from tiles.scheme.tree import Content
from tiles.shelf import Shelf
from tiles.skins.drape import drape
from tiles.skins.dress import Dressed
from twin.features import Layer, objects
from twin.meshes import MATERIALS, Solids, Surface

UNSEEN = "没有可见的面或坐标无效 / no visible face or no valid place in the model"

_LODS = {"1.0": 10, "1.1": 11, "1.2": 12, "1.3": 13, "2.0": 20, "2.1": 21, "2.2": 22, "3.0": 30}
_EVIDENCE = ("surveyed", "pointcloud", "dsm", "storeys", "neighbours", "default", "model")
_SURVEY = ("measured", "documented", "typology", "conjecture")

_LEAST_AREA = 5e-5

_BYTES_PER_FEATURE = 30.0
_BYTES_PER_TRIANGLE = {"building": 5.0, "building_part": 6.5}
"""Brotli copies of packed tiles, faces on the ground counted: within 20 % for leaves and coarse tiles of Suzhou (LoD1
from an OSM-like plan), of a French commune and of the sample; parts of L3 within 60 % of a tile and 1 % of all."""


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
        Property("has_l3", "UINT8", "有三级模型 / Also modelled in L3", "1 where it is"),
        Property("members", "UINT32", "建筑数 / Buildings it stands for", "More than one in coarse tiles only"),
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

PART_COLUMNS = ("name", "part", "evidence", "evidence_u", "fabric", "function")
"""Columns of a layer of buildings that parts take where their solids have none."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model ready to be cut: solids sorted by owner and oid, with their columns.

    columns     property id -> (b,) values
    functions   (b,) use, for colours
    notable     (b,) bool: has a name or is a monument; such things are kept longer from afar
    """

    schema: FeatureSchema
    solids: Solids
    columns: Mapping[str, NDArray[Any]]
    functions: NDArray[np.object_]
    notable: NDArray[np.bool_]

    def take(self, rows: NDArray[np.integer[Any]]) -> Model:
        """The solids of `rows` (k,) with their columns."""
        columns = {key: values[rows] for key, values in self.columns.items()}
        return Model(self.schema, self.solids.take(rows), columns, self.functions[rows], self.notable[rows])


def buildings(solids: Solids, with_l3: frozenset[str]) -> Model:
    """The L2 model, or cells of it; columns come from the solids.

    with_l3     oids that L3 shows as well
    """
    solids = _sorted(solids)
    look = _Columns(solids)
    columns = {
        "oid": solids.owner,
        "name": look.text("name"),
        "function": look.text("function"),
        "height": look.number("height_m", "height"),
        "evidence": look.text("height_evidence", "evidence"),
        "storeys": look.number("storeys"),
        "lod": _lod(solids),
        "has_l3": np.array([oid in with_l3 for oid in solids.owner.tolist()], dtype=bool),
        "members": np.ones(len(solids)),
    }
    notable = (columns["name"] != "") | np.isin(columns["function"].astype(str), ("heritage", "religious"))
    return Model(BLOCKS, solids, columns, columns["function"], notable)


def groups(solids: Solids, columns: Mapping[str, NDArray[Any]], members: NDArray[np.int64]) -> Model:
    """Blocks as they are drawn from afar: the columns of the largest building of each, and how many there are.

    columns     property id -> (b,) values of `buildings`
    """
    told = {**columns, "oid": solids.oid, "lod": _lod(solids), "members": members}
    return Model(BLOCKS, solids, told, told["function"], np.zeros(len(solids), bool))


def parts(solids: Solids, layer: Layer | None) -> Model:
    """The L3 model of the ancient city: features are parts, each under the oid of its building.

    layer   of buildings, for columns that the solids lack
    """
    solids = _sorted(solids)
    look = _Columns(solids, layer)
    columns = {
        "oid": solids.owner,
        "name": look.text("name"),
        "part": look.text("part"),
        "evidence": look.text("evidence"),
        "evidence_u": look.number("evidence_u"),
        "fabric": look.text("fabric") if "fabric" in solids.attributes else _fabric(solids),
    }
    return Model(PARTS, solids, columns, look.text("function"), columns["name"] != "")


def _lod(solids: Solids) -> NDArray[np.object_]:
    names = objects([f"{code / 10.0:.1f}" for code in range(256)])
    return names[solids.lod]


def weight(schema: FeatureSchema, features: ArrayLike, faces: ArrayLike) -> NDArray[np.float64]:
    """Estimated bytes on the wire of features and their triangles."""
    return np.asarray(features) * _BYTES_PER_FEATURE + np.asarray(faces) * _BYTES_PER_TRIANGLE[schema.id]


def has_surface(solids: Solids) -> NDArray[np.bool_]:
    """(b,) True where a solid can be drawn: every vertex finite, a triangle with area that is not on the ground."""
    ground = solids.surface == Surface.GROUND
    offsets = solids.vertex_offset, solids.face_offset
    return np.asarray(kernels.visible(solids.vertices, solids.faces, ground, *offsets, _LEAST_AREA))


def write(
    model: Model,
    shelf: Shelf,
    sink: float,
    compression: str = "meshopt",
    dressed: Dressed | None = None,
    outlined: bool = False,
) -> Content:
    """Write a model as one tile; what the tileset needs to know of it.

    sink            m, how far vertices on the ground go below it
    compression     as `content.encode` has it, and `outlined`
    dressed         what the solids of the model wear; None where all of it is colours
    """
    solids = model.solids
    matrix = content.tile_matrix(solids.frame, solids.vertices)
    mesh = content.shape(solids if dressed is None else dressed.solids, matrix, model.functions, sink)
    worn = None if dressed is None or dressed.worn is None else drape(dressed.worn, solids, matrix, sink)
    data = content.encode(mesh, model.schema, model.columns, compression, worn, outlined=outlined)
    name, wire = shelf.put(data, ".glb")
    low, high = kernels.extent(mesh.positions if worn is None else np.concatenate([mesh.positions, worn.positions]))
    return Content(
        name,
        wire,
        len(data),
        tuple(float(v) for v in matrix.T.reshape(-1)),
        (low[0].item(), -high[2].item(), low[1].item()),
        (high[0].item(), -low[2].item(), high[1].item()),
        len(solids),
        sum(len(t) for t in mesh.triangles.values()) + (0 if worn is None else len(worn.triangles)),
    )


def _sorted(solids: Solids) -> Solids:
    words = solids.oid.astype(str)
    if solids.owner is solids.oid:
        return solids.take(np.argsort(words, kind="stable"))
    return solids.take(np.lexsort((words, solids.owner.astype(str))))


def _fabric(solids: Solids) -> NDArray[np.object_]:
    names = objects([material.name for material in MATERIALS])
    at = np.minimum(solids.face_offset[:-1], max(len(solids.material) - 1, 0))
    return names[np.minimum(solids.material[at], len(MATERIALS) - 1)]


class _Columns:
    """Columns of solids by name, from their own attributes or from the layer of buildings."""

    def __init__(self, solids: Solids, layer: Layer | None = None) -> None:
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
