"""What is no building and has faces, as city objects: relief, ground cover with bridge decks, pipes.

A feature of the ground cover lies in as many cells as it crosses. It is written when the last of them has been read:
memory holds the names, one cell, and the features that reach into cells not read yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.cityjson.gather import Choice, chosen
from tiles.cityjson.geometry import SCALE, Shapes, geometries, shapes_of
from tiles.cityjson.objects import attributes_of, cim_level
from tiles.cityjson.pool import Pool
from twin.analysis.facets import welded
from twin.city import City
from twin.meshes import Solids, Surface, concatenate

# Faces of features that are drawn together.
RUN = 20_000

Draw = Callable[[Pool], dict[str, dict[str, Any]]]
Things = Iterator[tuple[str, Draw]]


@dataclass(frozen=True, slots=True)
class Kind:
    """The class of CityJSON 2.0 that a class of ours becomes, and what its surfaces are there; None for nothing."""

    name: str
    surface: str | None = None


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "road": Kind("Road", "TrafficArea"),
        "railway": Kind("Railway", "TrafficArea"),
        "water": Kind("WaterBody", "WaterSurface"),
        "river": Kind("WaterBody", "WaterSurface"),
        "green": Kind("PlantCover"),
        "landuse": Kind("LandUse"),
    }
)
# A deck is the surface of a bridge that one walks on (OGC 20-010, OuterFloorSurface), whatever it carries.
DECK = Kind("Bridge", "OuterFloorSurface")
# CityJSON has no module for networks: a pipe is a generic city object, which is of its core since 2.0.
PIPE = Kind("GenericCityObject")


def relief_things(city: City, origin: NDArray[np.float64], choice: Choice) -> Things:
    """The squares of the relief, each a TINRelief with its triangles as they are."""
    told = city.store.read_document("l2_report")["figures"] if city.store.has("document", "l2_report") else {}
    evidence = told.get("relief_source", "")
    for _, solids in city.store.read_model("relief"):
        some = chosen(solids, choice)
        for row in range(len(some)):
            one = some.take([row])
            yield str(one.oid[0]), partial(_square, one, origin, evidence)


def _square(one: Solids, origin: NDArray[np.float64], evidence: str, pool: Pool) -> dict[str, dict[str, Any]]:
    tight, _ = welded(one, SCALE, origin)
    used, faces = np.unique(tight.faces, return_inverse=True)
    number = pool.vertices(tight.vertices[used].astype(np.int64))
    lod = int(one.lod[0])
    attributes: dict[str, Any] = {"cim_level": cim_level(lod)}
    if evidence:
        attributes["evidence"] = evidence
    if "error_m" in one.attributes:
        attributes["error_m"] = float(one.attributes["error_m"][0])
    triangles = (faces.reshape(-1, 1, 3) + number).tolist()
    thing: dict[str, Any] = {"type": "TINRelief", "attributes": attributes}
    if triangles:
        thing["geometry"] = [{"type": "CompositeSurface", "lod": f"{lod / 10:g}", "boundaries": triangles}]
    return {str(one.oid[0]): thing}


def surface_things(city: City, origin: NDArray[np.float64], choice: Choice, names: Names) -> Things:
    """Roads, railways, water, green and land use, each feature one city object; those on bridges are bridges."""
    last = _last_cells(city, choice)
    waiting: dict[tuple[str, str], list[Solids]] = {}
    for cell, solids in city.store.read_model("surfaces"):
        ready: list[Solids] = []
        keys = list(zip(solids.attributes["class"].tolist(), solids.oid.tolist(), strict=True))
        for row, key in enumerate(keys):
            if key not in last:
                continue
            waiting.setdefault(key, []).append(solids.take([row]))
            if last[key] == cell:
                ready += waiting.pop(key)
        if ready:
            whole = _joined(ready)
            for rows in _runs(whole):
                yield from _covers(city, whole.take(rows), origin, names)


def _last_cells(city: City, choice: Choice) -> dict[tuple[str, str], str]:
    """(class, oid) -> the last cell with a part of it, for features that are asked for."""
    last: dict[tuple[str, str], str] = {}
    wanted: set[tuple[str, str]] = set()
    for cell, solids in city.store.read_model("surfaces"):
        for key in zip(solids.attributes["class"].tolist(), solids.oid.tolist(), strict=True):
            last[key] = cell
        some = chosen(solids, choice)
        wanted.update(zip(some.attributes["class"].tolist(), some.oid.tolist(), strict=True))
    return {key: cell for key, cell in last.items() if key in wanted and key[0] in choice.classes}


def _runs(solids: Solids) -> Iterator[NDArray[np.int64]]:
    """Rows that follow one another, few enough that their faces may be drawn together; a large one is alone."""
    run = solids.face_offset[:-1] // RUN
    for number in np.unique(run):
        yield np.flatnonzero(run == number)


def _joined(parts: list[Solids]) -> Solids:
    """The parts of each feature as one; parts of the same feature follow one another."""
    every = concatenate(parts)
    key = np.array([f"{k}\n{o}" for k, o in zip(every.attributes["class"], every.oid, strict=True)])
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    ends = np.append(first, len(every))
    return replace(
        every,
        oid=every.oid[first],
        vertex_offset=every.vertex_offset[ends],
        face_offset=every.face_offset[ends],
        lod=every.lod[first],
        attributes={name: values[first] for name, values in every.attributes.items()},
    )


def _covers(city: City, solids: Solids, origin: NDArray[np.float64], names: Names) -> Things:
    kinds = solids.attributes["class"].astype(str)
    told: dict[int, dict[str, Any]] = {}
    for name in dict.fromkeys(kinds.tolist()):
        rows = np.flatnonzero(kinds == name)
        if city.store.has("layer", name):
            layer = city.store.read_layer(name, oids=solids.oid[rows].tolist())
            place = layer.index()
            told |= {
                row: attributes_of(layer, place[oid], {}) for row in rows.tolist() if (oid := solids.oid[row]) in place
            }
    shapes = shapes_of(solids, origin)
    for row, (name, oid) in enumerate(zip(kinds.tolist(), solids.oid.tolist(), strict=True)):
        deck = solids.attributes["bridge"][row] == "1"
        own = {"extent_evidence": str(solids.attributes["evidence"][row])} | ({"carries": name} if deck else {})
        ident = names.of(name, oid)
        attributes = told.get(row, {}) | {k: v for k, v in own.items() if v} | names.told(name, oid)
        yield ident, partial(_drawn, shapes, [row], ident, (DECK if deck else KINDS[name], attributes))


def pipe_things(city: City, origin: NDArray[np.float64], choice: Choice, names: Names) -> Things:
    """Pipes as closed tubes; what could only be built in pieces is several solids of one pipe."""
    for _, solids in city.store.read_model("pipes"):
        some = chosen(solids, choice)
        if not len(some):
            continue
        owners, shapes = some.owner.astype(str), shapes_of(some, origin)
        layer = city.store.read_layer("pipe", oids=np.unique(owners).tolist())
        place = layer.index()
        for oid in dict.fromkeys(owners.tolist()):
            rows = np.flatnonzero(owners == oid).tolist()
            told = attributes_of(layer, place[oid], {}) if oid in place else {}
            attributes = {
                "class": "pipe", **told,
                "diameter_mm": round(float(some.attributes["diameter_mm"][rows[0]]), 3),
                "diameter_evidence": "surveyed" if some.lod[rows[0]] >= 20 else "usual",
            } | names.told("pipe", oid)  # fmt: skip
            ident = names.of("pipe", oid)
            yield ident, partial(_drawn, shapes, rows, ident, (PIPE, attributes))


def _drawn(
    shapes: Shapes, rows: list[int], ident: str, told: tuple[Kind, dict[str, Any]], pool: Pool
) -> dict[str, dict[str, Any]]:
    kind, attributes = told
    meaning = {} if kind.surface is None else {int(Surface.OTHER): kind.surface}
    level = cim_level(int(shapes.solids.lod[rows[0]]))
    thing: dict[str, Any] = {"type": kind.name, "attributes": attributes | {"cim_level": level}}
    drawn = [geometry for row in rows for geometry in geometries(shapes, row, pool, meaning)]
    if drawn:
        thing["geometry"] = drawn
    return {ident: thing}


@dataclass(frozen=True, slots=True)
class Names:
    """Identifiers of city objects: the oid, with its class before it where two layers have the same one."""

    shared: frozenset[str]

    @staticmethod
    def among(city: City, layers: tuple[str, ...]) -> Names:
        """Names for the features of the layers (those of them that there are)."""
        seen = [city.store.read_layer(name, columns=()).oid for name in layers if city.store.has("layer", name)]
        every, count = np.unique(np.concatenate(seen).astype(str), return_counts=True) if seen else ([], np.zeros(0))
        return Names(frozenset(np.asarray(every)[count > 1].tolist()))

    def of(self, kind: str, oid: str) -> str:
        """The identifier of a feature of a class."""
        return f"{kind}/{oid}" if oid in self.shared else oid

    def told(self, kind: str, oid: str) -> dict[str, str]:
        """The oid as an attribute where the identifier is another."""
        return {"oid": oid} if oid in self.shared else {}
