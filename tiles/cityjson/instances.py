"""Trees and street furniture as city objects: each an instance of a geometry template at its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.cityjson.cover import Names, Things
from tiles.cityjson.gather import Choice
from tiles.cityjson.geometry import SCALE
from tiles.cityjson.objects import attributes_of, cim_level
from tiles.cityjson.pool import Pool
from tiles.cityjson.templates import MANHOLE, Templates, matrix
from twin.city import City
from twin.features import Layer

# What was measured is a prototype of its kind (LoD2); what has only the usual size shows that something stands there.
KNOWN, USUAL = 20, 10


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at n places: the class of CityJSON and ours, the layer, and how its template is put there.

    model    (n,) names of templates          scale    (n, 3) f8: width and height in units of the template, heading deg
    level    (n,) i8, ten times the level of detail
    names    columns that are called otherwise in CityGML 3.0
    """

    kind: str
    own: str
    layer: Layer
    model: list[str]
    scale: NDArray[np.float64]
    level: NDArray[np.int64]
    names: Mapping[str, str]


def trees(city: City, choice: Choice) -> Standing:
    """Trees as SolitaryVegetationObject, as high as they are and as wide as their crowns."""
    layer, level = _asked(city, "tree_l2", choice)
    model = np.where(layer.column("leaf") == "conifer", "conifer", "broadleaf").tolist()
    scale = np.column_stack([layer.column("crown"), layer.column("height"), np.zeros(len(layer))])
    names = {"crown": "crownDiameter", "trunk": "trunkDiameter"}
    return Standing("SolitaryVegetationObject", "tree", layer, model, scale, level, names)


def furniture(city: City, choice: Choice) -> Standing:
    """Street furniture as CityFurniture, turned as it faces."""
    layer, level = _asked(city, "furniture_l2", choice)
    model = layer.column("model").tolist()
    height = np.where(layer.column("model") == MANHOLE, 1.0, np.maximum(layer.column("height"), 0.05))
    scale = np.column_stack([np.ones(len(layer)), height, layer.column("heading")])
    return Standing("CityFurniture", "furniture", layer, model, scale, level, {})


def _asked(city: City, name: str, choice: Choice) -> tuple[Layer, NDArray[np.int64]]:
    layer = city.store.read_layer(name, bbox=choice.bounds)
    level = np.where(layer.column("evidence") == "usual", USUAL, KNOWN)
    return layer.select(level <= choice.lod), level[level <= choice.lod]


def templates_of(every: list[Standing]) -> Templates:
    """The templates that all these need."""
    return Templates.of(
        (model, _lod(level)) for some in every for model, level in zip(some.model, some.level.tolist(), strict=True)
    )


def _lod(level: int) -> str:
    return f"{level / 10:g}"


def standing_things(some: Standing, origin: NDArray[np.float64], names: Names, templates: Templates) -> Things:
    """One city object a place; what stands where the relief is unknown has no height to stand at, hence no geometry."""
    xyz = np.column_stack([shapely.get_coordinates(some.layer.geometry), some.layer.column("base_z")])
    for row, level in enumerate(some.level.tolist()):
        oid = str(some.layer.oid[row])
        ident = names.of(some.own, oid)
        told = attributes_of(some.layer, row, some.names) | names.told(some.own, oid)
        thing: dict[str, Any] = {"type": some.kind, "attributes": told | {"cim_level": cim_level(level)}}
        instance: dict[str, Any] | None = None
        if np.isfinite(xyz[row]).all():
            instance = {
                "type": "GeometryInstance",
                "template": templates.number(some.model[row], _lod(level)),
                "transformationMatrix": matrix(*some.scale[row].tolist()),
            }
        grid = np.rint((np.nan_to_num(xyz[row : row + 1]) - origin) / SCALE).astype(np.int64)
        yield ident, partial(_placed, ident, thing, instance, grid)


def _placed(
    ident: str, thing: dict[str, Any], instance: dict[str, Any] | None, grid: NDArray[np.int64], pool: Pool
) -> dict[str, dict[str, Any]]:
    if instance is None:
        return {ident: thing}
    return {ident: thing | {"geometry": [instance | {"boundaries": [pool.vertices(grid)]}]}}
