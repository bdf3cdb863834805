"""Surfaces on the ground and pipes below it as tiles of meshes: wide things on top, narrow ones where one is near.

A tile draws the part of a feature that lies in a cell of the model; every part is in exactly one tile. The error of a
tile is the width of the widest part that it leaves to the tiles below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles import models
from tiles.classes.scatter import Spread, stable_hash
from tiles.gltf.metadata import FeatureSchema, Property, codes
from tiles.scheme.tree import Content
from tiles.shelf import Shelf
from twin.features import objects
from twin.meshes import Skin, Solids, concatenate
from twin.outcome import Outcome
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
RGB = tuple[int, int, int]

_CLASSES = ("road", "railway", "water", "river", "green", "landuse")
_CLASS_RGB: Mapping[str, RGB] = MappingProxyType(
    {
        "road": (126, 126, 128),
        "railway": (112, 104, 98),
        "water": (112, 138, 150),
        "river": (112, 138, 150),
        "green": (138, 150, 112),
        "landuse": (186, 178, 164),
    }
)
_DECK_RGB: RGB = (150, 148, 146)
_MEDIUM_RGB: Mapping[str, RGB] = MappingProxyType(
    {
        "water": (60, 120, 190),
        "drainage": (120, 90, 60),
        "gas": (220, 180, 40),
        "heat": (210, 110, 60),
        "power": (200, 50, 50),
        "telecom": (70, 150, 90),
    }
)
"""Media in the colours of CJJ/T 7-2017 and GB 7231 as far as they name one: quiet tones of the same hue."""

_PLAIN_RGB: RGB = (150, 150, 150)
_PER_FEATURE, _PER_TRIANGLE = 40.0, 11.0
"""Bytes on the wire."""

SURFACES = FeatureSchema(
    "surface",
    "地表 / Ground cover",
    (
        Property("oid", "STRING", "标识 / Identifier", "The same in the store, the tiles and every API"),
        Property("name", "STRING", "名称 / Name", optional=True),
        Property("class", "ENUM", "类别 / Class", values=codes(_CLASSES)),
        Property("evidence", "STRING", "范围依据 / Evidence of the extent", optional=True),
        Property("bridge", "UINT8", "桥面 / On a bridge", "1 where it is"),
        Property("area", "FLOAT32", "面积 / Area", "Square metres of this part, seen from above", no_data=-9999.0),
    ),
)

PIPES = FeatureSchema(
    "pipe",
    "管线 / Pipe",
    (
        Property("oid", "STRING", "标识 / Identifier", "The same in the store, the tiles and every API"),
        Property("medium", "ENUM", "介质 / Medium", values=codes((*_MEDIUM_RGB, "other"))),
        Property("diameter", "FLOAT32", "外径 / Outer diameter", "Millimetres", no_data=-9999.0),
        Property("evidence", "ENUM", "管径依据 / Evidence of the diameter", values=codes(("surveyed", "usual"))),
    ),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is to be drawn of a model, without its meshes: n parts of features.

    cell, row   (n,) where each lies in the store       spread   what the tree needs to know
    """

    cells: tuple[str, ...]
    cell: Integers
    row: Integers
    spread: Spread


@dataclass(frozen=True, slots=True)
class Job:
    """One tile to be written: the rows of some cells of a model, in the order that they are read in.

    lift    m, how far everything is drawn above its place
    """

    store: Store
    shelf: Shelf
    name: str
    rows: Mapping[str, Integers]
    lift: float


def parts_of(store: Store, name: str) -> tuple[Parts | None, list[Outcome]]:
    """All parts of a model, read cell by cell, and those that cannot be drawn."""
    outcomes: list[Outcome] = []
    found: list[Spread] = []
    cells, cell, row = [], [], []
    for cell_name, solids in store.read_model(name):
        drawn = models.has_surface(solids) if len(solids) else np.zeros(0, bool)
        outcomes += [Outcome(oid, "skipped", models.UNSEEN, "tiles") for oid in solids.owner[~drawn].tolist()]
        rows = np.flatnonzero(drawn)
        if not len(rows):
            continue
        found.append(_spread(solids.take(rows), f"{name}/{cell_name}"))
        row.append(rows)
        cell.append(np.full(len(rows), len(cells)))
        cells.append(cell_name)
    if not cells:
        return None, outcomes
    fields = ("centres", "sizes", "weights", "ranks", "ties")
    spread = Spread(*(np.concatenate([getattr(part, key) for part in found]) for key in fields))
    return Parts(tuple(cells), np.concatenate(cell), np.concatenate(row), spread), outcomes


def _spread(solids: Solids, where: str) -> Spread:
    at = solids.vertex_offset[:-1]
    low, high = (f.reduceat(solids.vertices, at) for f in (np.minimum, np.maximum))
    reach = np.hypot(*(high - low)[:, :2].T)
    # A strip of a length is as wide as its area says, a tube as its side seen from above; nothing is wider than long.
    width = np.minimum(areas(solids) / np.maximum(reach, 0.1), reach)
    weights = _PER_FEATURE + _PER_TRIANGLE * np.diff(solids.face_offset)
    ties = stable_hash(objects([f"{where}/{oid}" for oid in solids.oid.tolist()]))
    return Spread((low + high)[:, :2] / 2.0, width, weights, width, ties)


def areas(solids: Solids) -> Floats:
    """(b,) m2 seen from above of the faces that look up."""
    a, b, c = (solids.vertices[solids.faces[:, k], :2] for k in range(3))
    twice = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.bincount(solids.face_owner(), np.maximum(twice, 0.0) / 2.0, len(solids)).astype(np.float64)


def jobs(parts: Parts, rows: Integers, base: Job) -> Job:
    """The job of the tile that draws `rows` of the parts."""
    cell = parts.cell[rows]
    named = {parts.cells[c]: np.sort(parts.row[rows[cell == c]]) for c in np.unique(cell).tolist()}
    return replace(base, rows=named)


def write(job: Job) -> Content:
    """Write one tile; memory holds one cell of the model beside what is drawn."""
    chosen = [solids.take(job.rows[cell]) for cell, solids in job.store.read_model(job.name, list(job.rows))]
    solids = concatenate(chosen)
    solids = replace(solids, vertices=solids.vertices + np.array([0.0, 0.0, job.lift]))
    return models.write(_LOOKS[job.name](solids), job.shelf, 0.0)


def _surfaces(solids: Solids) -> models.Model:
    kind = solids.attributes["class"]
    bridge = solids.attributes["bridge"] == "1"
    order = np.lexsort((solids.oid.astype(str), kind.astype(str)))
    colours = np.array([_CLASS_RGB.get(word, _PLAIN_RGB) for word in kind.tolist()], np.uint8)
    colours[bridge] = _DECK_RGB
    columns = {
        "oid": solids.oid,
        "name": solids.attributes["name"],
        "class": kind,
        "evidence": solids.attributes["evidence"],
        "bridge": bridge,
        "area": areas(solids),
    }
    return _model(SURFACES, solids, columns, colours).take(order)


def _pipes(solids: Solids) -> models.Model:
    medium = solids.attributes["medium"]
    order = np.argsort(solids.oid.astype(str), kind="stable")
    colours = np.array([_MEDIUM_RGB.get(word, _PLAIN_RGB) for word in medium.tolist()], np.uint8)
    columns = {
        "oid": solids.owner,
        "medium": medium,
        "diameter": solids.attributes["diameter_mm"],
        "evidence": objects(np.where(solids.lod >= 20, "surveyed", "usual").tolist()),
    }
    return _model(PIPES, solids, columns, colours).take(order)


def _model(
    schema: FeatureSchema, solids: Solids, columns: Mapping[str, NDArray[Any]], colours: NDArray[np.uint8]
) -> models.Model:
    worn = Skin.bare(len(solids.faces))
    opaque = np.column_stack([colours, np.full(len(colours), 255, np.uint8)])
    skin = Skin(opaque[solids.face_owner()], worn.texture, worn.uv)
    blank = objects([""] * len(solids))
    return models.Model(schema, replace(solids, skin=skin), columns, blank, np.zeros(len(solids), bool))


_LOOKS: Mapping[str, Callable[[Solids], models.Model]] = MappingProxyType({"surfaces": _surfaces, "pipes": _pipes})
