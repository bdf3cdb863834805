"""One Building element of CityGML 2.0 or 3.0 to a Body: attributes, levels of detail, semantic surfaces, links."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ingest.citymodel.appearance import Looks, coat_of, project
from ingest.citymodel.gmlattributes import attributes_of
from ingest.citymodel.meter import local
from ingest.citymodel.model import (
    SURFACES,
    UNTOLD,
    Body,
    Census,
    Coat,
    Colour,
    Part,
    Polygon,
    Ring,
    choose_lod,
    kept_points,
    open_ring,
)
from twin.meshes import Surface

GML_ID = ("{http://www.opengis.net/gml}id", "{http://www.opengis.net/gml/3.2}id")
HREF = "{http://www.w3.org/1999/xlink}href"
_LEVEL = re.compile(r"lod([0-4])(.*)")
_NO_SHELL = ("TerrainIntersection", "MultiCurve", "ImplicitRepresentation", "Point")
_PATCHES = frozenset({"Polygon", "Triangle", "Rectangle", "PolygonPatch"})
_SKIPPED = frozenset(
    {"interiorRoom", "buildingRoom", "roomInstallation", "interiorBuildingInstallation", "interiorFurniture",
     "buildingFurniture", "appearance", "appearanceMember", "address", "externalReference"}
)  # fmt: skip
_INSTALLATION = int(Surface.INSTALLATION)


def points_of(element: Any, dimension: int, swapped: bool) -> Ring:
    """(n, 3) f8 of a position list, x first; z is 0 where the list is 2D.

    raises  ValueError where the text is no row of numbers of that dimension
    """
    stated = element.get("srsDimension") or element.get("dimension")
    width = int(stated) if stated else dimension
    if width not in (2, 3):
        raise ValueError(f"srsDimension {width}")
    values = np.array((element.text or "").replace(",", " ").split(), dtype=np.float64)
    if len(values) % width:
        raise ValueError(f"{len(values)} numbers do not make points of {width}")
    points = values.reshape(-1, width)
    points = points if width == 3 else np.column_stack([points, np.zeros(len(points))])
    return points[:, [1, 0, 2]] if swapped else points


@dataclass(slots=True)
class _Item:
    """A building or part while it is read: its polygons by level, told and untold apart, and its links by level."""

    oid: str
    kind: str
    told: dict[int, list[Polygon]] = field(default_factory=dict)
    plain: dict[int, list[Polygon]] = field(default_factory=dict)
    links: dict[int, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Walk:
    """What the walk through one building gathers."""

    census: Census
    body: Body
    looks: Looks | None = None
    items: list[_Item] = field(default_factory=list)
    by_id: dict[str, tuple[int, Polygon]] = field(default_factory=dict)
    broken: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk is: level of detail (ten times, -1 outside of one), semantic class, dimension of positions.

    colour      of the nearest element around that has one
    wrapped     gml:id of the nearest element around that a picture is projected onto
    """

    item: _Item
    level: int = -1
    surface: int = UNTOLD
    dimension: int = 3
    colour: Colour | None = None
    wrapped: str = ""


def body_of(element: Any, wanted: int, census: Census, looks: Looks | None = None) -> Body:
    """The building of a whole Building element; what cannot be read is in its problems."""
    body = Body(_id(element), attributes_of(element, census.lists))
    walk = _Walk(census, body, looks)
    item = _Item(body.oid, "Building")
    walk.items.append(item)
    for child in element:
        _visit(child, _Place(item), walk)
    if walk.broken:
        body.problems.append(
            ("fallback", f"{walk.broken} 个面退化或无法读取 / {walk.broken} polygons without area or unreadable")
        )
    for item in walk.items:
        _choose(item, wanted, walk)
    return body


def _id(element: Any) -> str:
    return next((str(element.get(key)) for key in GML_ID if element.get(key)), "")


def _visit(element: Any, place: _Place, walk: _Walk) -> None:
    name = local(element.tag)
    if name in _SKIPPED:
        return
    if name in _PATCHES:
        _take(element, place, walk)
        return
    inner = _entered(element, name, place, walk)
    if inner is None:
        return
    place = inner
    link, stated = element.get(HREF), element.get("srsDimension")
    if link and place.level >= 0 and link.startswith("#"):
        place.item.links.setdefault(place.level, []).append(link[1:])
    if stated in ("2", "3"):
        place = replace(place, dimension=int(stated))
    if walk.looks is not None and _id(element):
        place = _dressed(place, _id(element), walk.looks)
    for child in element:
        _visit(child, place, walk)


def _entered(element: Any, name: str, place: _Place, walk: _Walk) -> _Place | None:
    """The place inside an element; None where nothing in it is of the shell."""
    if name == "BuildingPart":
        item = _Item(_id(element), name)
        walk.items.append(item)
        walk.census.counts[name] += 1
        return _Place(item)
    if name in SURFACES:
        walk.census.counts[name] += 1
        surface = place.surface if place.surface == _INSTALLATION else SURFACES[name]
        return replace(place, level=-1, surface=surface)
    level = _LEVEL.fullmatch(name)
    if level is None:
        return place
    return None if level[2] in _NO_SHELL else replace(place, level=int(level[1]) * 10)


def _dressed(place: _Place, own: str, looks: Looks) -> _Place:
    colour, projected = looks.colour(own), looks.projection(own)
    if colour is None and projected is None:
        return place
    return replace(place, colour=colour or place.colour, wrapped=own if projected is not None else place.wrapped)


def _take(element: Any, place: _Place, walk: _Walk) -> None:
    walk.census.counts["Polygon"] += 1
    if place.level < 0:
        return
    try:
        found = _rings(element)
        whole = [_ring(ring, place.dimension, walk.census.swapped) for ring in found]
        rings = [open_ring(ring) for ring in whole]
    except (ValueError, OverflowError):
        walk.broken += 1
        return
    if not rings or rings[0] is None:
        walk.broken += 1
        return
    polygon = Polygon([ring for ring in rings if ring is not None], place.surface)
    own = _id(element)
    if walk.looks is not None:
        place = _dressed(place, own, walk.looks)
        polygon.colour = place.colour
        polygon.coat = _coat(whole, [_id(ring) for ring in found], place, walk)
    if own:
        walk.by_id[own] = (place.level, polygon)
    if place.level == 0:
        walk.body.plan.append(polygon)
        return
    group = place.item.plain if place.surface == UNTOLD else place.item.told
    group.setdefault(place.level, []).append(polygon)


def _coat(whole: list[Ring], names: list[str], place: _Place, walk: _Walk) -> Coat | None:
    """What the polygon wears, its rings opened as those of the polygon are; coordinates before projection."""
    looks = walk.looks
    coat = None if looks is None else coat_of(whole, names, looks)
    if coat is None and looks is not None and place.wrapped:
        image, wrap, matrix = looks.projection(place.wrapped)  # type: ignore[misc]
        axes = [1, 0, 2] if walk.census.swapped else [0, 1, 2]
        coat = Coat(image, wrap, [project(ring[:, axes], matrix) for ring in whole])
    if coat is not None:
        kept = [kept_points(ring) for ring in whole]
        coat.uv = [uv[keep] for uv, keep in zip(coat.uv, kept, strict=True) if keep.sum() >= 3]
        if not all(np.isfinite(uv).all() for uv in coat.uv):
            return None
    return coat


def _rings(element: Any) -> list[Any]:
    outer, holes = [], []
    for side in element:
        name = local(side.tag)
        found = [ring for ring in side.iter() if local(ring.tag) == "LinearRing"]
        if name in ("exterior", "outerBoundaryIs"):
            outer += found
        elif name in ("interior", "innerBoundaryIs"):
            holes += found
    return [*outer[:1], *holes]


def _ring(ring: Any, dimension: int, swapped: bool) -> Ring:
    stated = ring.get("srsDimension")
    width = int(stated) if stated else dimension
    parts = [points_of(part, width, swapped) for part in ring.iter() if local(part.tag) in _POSITIONS]
    return np.concatenate(parts) if parts else np.zeros((0, 3))


_POSITIONS = frozenset({"posList", "pos", "coordinates"})


def _choose(item: _Item, wanted: int, walk: _Walk) -> None:
    """One level of detail of an item: its semantic surfaces, else its plain shell with the polygons it links to."""
    levels = sorted({*item.told, *item.plain, *(level for level in item.links if level >= 10)})
    if not levels:
        return
    level, line = choose_lod(levels, wanted)
    if line:
        walk.body.problems.append(("fallback", line))
    told = item.told.get(level, [])
    outside = [polygon for polygon in told if polygon.surface != _INSTALLATION]
    # A solid whose surfaces also stand in the semantic boundary is the same shell a second time.
    plain = [] if outside else list(item.plain.get(level, []))
    known = {id(polygon) for polygon in (*told, *plain)}
    lost = 0
    for link in item.links.get(level, []):
        if link not in walk.by_id:
            lost += 1
        elif id(walk.by_id[link][1]) not in known and not outside:
            plain.append(walk.by_id[link][1])
    if lost:
        walk.body.problems.append(("fallback", f"{lost} 个引用的面不存在 / {lost} linked surfaces are not there"))
    if told or plain:
        walk.body.parts.append(Part(item.oid, item.kind, level, [*told, *plain]))
