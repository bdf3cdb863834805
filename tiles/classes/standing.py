"""The layers of trees and street furniture as things that stand about: which model, how large, turned where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.cityjson.templates import MANHOLE
from tiles.classes.instances import Standing
from tiles.classes.prototypes import TINTS
from tiles.classes.scatter import stable_hash
from tiles.gltf.metadata import FeatureSchema, Property, codes
from twin.features import Layer, Objects, objects
from twin.frames import Frame
from twin.outcome import Outcome
from twin.store.protocol import Store

Floats = NDArray[np.float64]

NOWHERE = "此处没有地形高程 / the relief is unknown where it stands"
PAGE = 20_000

_SLENDER = 0.42
"""A broadleaf tree whose crown is narrower than this part of its height has a crown like a column."""

_OID = Property("oid", "STRING", "标识 / Identifier", "The same in the store, the tiles and every API")
_NAME = Property("name", "STRING", "名称 / Name", optional=True)
_HEIGHT = Property("height", "FLOAT32", "高度 / Height", "Metres above ground", no_data=-9999.0)


def _names(prop: str, title: str, names: tuple[str, ...]) -> Property:
    return Property(prop, "ENUM", title, values=codes(names))


TREES = FeatureSchema(
    "tree",
    "树木 / Tree",
    (
        _OID,
        _NAME,
        Property("species", "STRING", "树种 / Species", optional=True),
        _names("leaf", "叶型 / Leaf type", ("broadleaf", "conifer")),
        _HEIGHT,
        Property("crown", "FLOAT32", "冠幅 / Crown diameter", "Metres", no_data=-9999.0),
        _names("evidence", "依据 / Evidence", ("surveyed", "canopy", "points", "usual")),
    ),
)

FURNITURE = FeatureSchema(
    "furniture",
    "城市部件 / City furniture",
    (
        _OID,
        _NAME,
        Property("kind", "STRING", "类别 / Kind", optional=True),
        _HEIGHT,
        Property("heading", "FLOAT32", "朝向 / Heading", "Degrees clockwise from north", no_data=-9999.0),
        _names("evidence", "高度依据 / Evidence of the height", ("surveyed", "usual")),
        _names("heading_evidence", "朝向依据 / Evidence of the heading", ("surveyed", "road", "none")),
    ),
)


def trees(layer: Layer, xyz: Floats, frame: Frame) -> Standing:
    """Trees as high as they are and as wide as their crowns, each turned and tinted by its oid."""
    height, crown = np.maximum(layer.column("height"), 0.1), np.maximum(layer.column("crown"), 0.1)
    conifer = layer.column("leaf") == "conifer"
    model = np.where(conifer, "conifer", np.where(crown < _SLENDER * height, "columnar", "broadleaf")).astype(object)
    luck = stable_hash(layer.oid)
    heading = (luck % np.uint64(360)).astype(np.float64)
    tint = ((luck >> np.uint64(32)) % np.uint64(TINTS)).astype(np.int64)
    scale = np.column_stack([crown, crown, height])
    return Standing(frame, TREES, xyz, scale, heading, model, tint, _columns(layer, TREES))


def furniture(layer: Layer, xyz: Floats, frame: Frame) -> Standing:
    """Street furniture as wide as its models are and as high as it is, turned as it faces."""
    model = layer.column("model").astype(object)
    up = np.where(model == MANHOLE, 1.0, np.maximum(layer.column("height"), 0.05))
    scale = np.column_stack([np.ones(len(layer)), np.ones(len(layer)), up])
    plain = np.zeros(len(layer), np.int64)
    heading = np.nan_to_num(layer.column("heading"))
    return Standing(frame, FURNITURE, xyz, scale, heading, model, plain, _columns(layer, FURNITURE))


def _columns(layer: Layer, schema: FeatureSchema) -> Mapping[str, NDArray[Any]]:
    blank = objects([""] * len(layer))
    told: dict[str, NDArray[Any]] = {"oid": layer.oid}
    for prop in schema.properties[1:]:
        unknown = np.full(len(layer), np.nan) if prop.no_data is not None else blank
        told[prop.id] = layer.columns.get(prop.id, unknown)
    return told


Make = Callable[[Layer, Floats, Frame], Standing]


def read(store: Store, name: str, make: Make, frame: Frame) -> tuple[Standing | None, list[Outcome]]:
    """A layer read page by page, sorted by oid, and what stands where no ground is known.

    Places and columns are kept, shapes are not: some 200 bytes a thing.
    """
    parts: list[Standing] = []
    outcomes: list[Outcome] = []
    after: int | None = 0
    while after is not None:
        page, _, after = store.page_layer(name, limit=PAGE, after=after)
        if not len(page):
            break
        xyz = np.column_stack([shapely.get_coordinates(page.geometry), page.column("base_z")])
        stands = np.isfinite(xyz).all(axis=1)
        outcomes += [Outcome(str(oid), "skipped", NOWHERE, "tiles") for oid in page.oid[~stands].tolist()]
        if stands.any():
            parts.append(make(page.select(stands), xyz[stands], frame))
    return (_joined(parts) if parts else None), outcomes


def _joined(parts: list[Standing]) -> Standing:
    first = parts[0]
    columns = {key: _chained([part.columns[key] for part in parts]) for key in first.columns}
    own = (np.concatenate([getattr(part, key) for part in parts]) for key in ("xyz", "scale", "heading"))
    model, tint = _chained([part.model for part in parts]), np.concatenate([part.tint for part in parts])
    whole = Standing(first.frame, first.schema, *own, model, tint, columns)
    return whole.take(np.argsort(columns["oid"].astype(str), kind="stable"))


def _chained(parts: list[NDArray[Any]]) -> NDArray[Any] | Objects:
    """One column of several; a word that many say is kept once."""
    whole = np.concatenate(parts)
    if whole.dtype != object:
        return whole
    said: dict[str, str] = {}
    return objects([said.setdefault(word, word) for word in whole.tolist()])
