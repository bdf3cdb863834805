"""What covers the ground, as polygons in the order in which one lies over another; and the decks of bridges."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.classes.options import ClassOptions
from twin.features import Layer, Objects, objects
from twin.grid import Bounds
from twin.outcome import Outcome

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

# What lies over what: a road over the water it is drawn across, water over the park around it.
ORDER = ("road", "railway", "water", "river", "green", "landuse")
CARRIED = ("road", "railway")
STAGE = "surfaces"
_POLYGONS, _LINES = (3, 6), (1, 2, 5)
_GRADES = ("motorway", "trunk", "primary", "secondary", "tertiary", "residential", "lane", "path", "", "rail")


@dataclass(frozen=True, slots=True)
class Cover:
    """Features that cover the ground, (n,), the upper ones first.

    polygon     (n,) polygons or multipolygons, frame m
    kind        (n,) str, class of the feature          name   (n,) str
    evidence    (n,) str, how its extent is known: "polygon", "width", "lanes" or "class"
    deck        (n,) bool, on a bridge: not ground
    axis        (n,) line that a deck follows where it was delivered as a line, else None
    lost        outcomes of features that cover nothing
    """

    oid: Objects
    polygon: Objects
    kind: Objects
    name: Objects
    evidence: Objects
    deck: Mask
    axis: Objects
    lost: tuple[Outcome, ...]

    def __len__(self) -> int:
        return len(self.oid)


@cache
def class_widths() -> Mapping[tuple[str, str], float]:
    """(class, kind) -> width in m that stands in where a line tells none; kind "" is every other."""
    text = resources.files(__package__).joinpath("widths.csv").read_text(encoding="utf-8")
    return {(row["class"], row["kind"]): float(row["width"]) for row in csv.DictReader(text.splitlines())}


def cover_of(layers: Mapping[str, Layer], hull: Bounds, options: ClassOptions) -> Cover:
    """The ground cover of a city, lines widened to areas, everything cut to where the relief is known.

    layers    by class; those that a city has not are left out
    hull      bounds of the relief, m
    order     ORDER by class; roads by their grade, else the smaller feature over the larger, then by oid
    """
    parts = [_class_cover(layers[name], name, options) for name in ORDER if name in layers and len(layers[name])]
    if not parts:
        nothing = objects([])
        return Cover(nothing, nothing, nothing, nothing, nothing, np.zeros(0, bool), nothing, ())
    columns = [np.concatenate(group) for group in zip(*parts, strict=True)]
    oid, polygon, kind, name, evidence, deck, axis, grade = columns
    inside = shapely.intersection(polygon, shapely.box(*hull))
    inside = shapely.make_valid(inside) if not shapely.is_valid(inside).all() else inside
    area, whole = shapely.area(inside), shapely.area(polygon)
    empty = ~(area > 0.0)
    lost = tuple(_lost(oid, kind, whole, area))
    rank = np.array([ORDER.index(word) for word in kind.tolist()])
    order = np.lexsort((oid.astype(str), area, grade.astype(np.int64), rank))
    order = order[~empty[order]]
    return Cover(
        oid[order],
        inside[order],
        kind[order],
        name[order],
        evidence[order],
        deck[order].astype(bool),
        axis[order],
        lost,
    )


def _lost(oid: Objects, kind: Objects, whole: Floats, left: Floats) -> list[Outcome]:
    found = []
    for row in np.flatnonzero(~(left > 0.999 * whole) | ~(whole > 0.0)).tolist():
        if not whole[row] > 0.0:
            status, why = "skipped", "不是面,也没有宽度 / neither an area nor a line with a width"
        elif not left[row] > 0.0:
            status, why = "skipped", "在地形范围之外 / outside the relief"
        else:
            status, why = "fallback", "超出地形部分已裁去 / cut off where the relief ends"
        found.append(Outcome(str(oid[row]), status, f"{kind[row]}: {why}", STAGE))  # type: ignore[arg-type]
    return found


def _class_cover(layer: Layer, name: str, options: ClassOptions) -> tuple[Objects, ...]:
    n = len(layer)
    kind_id = shapely.get_type_id(layer.geometry)
    line = np.isin(kind_id, _LINES)
    width, evidence = _widths(layer, name, options)
    deck = _column(layer, "bridge", n) > 0.0
    polygon = np.where(np.isin(kind_id, _POLYGONS), layer.geometry, shapely.Polygon()).astype(object)
    wide = line & (width > 0.0)
    for caps, rows in (("round", np.flatnonzero(wide & ~deck)), ("flat", np.flatnonzero(wide & deck))):
        # Round caps close the corner where two lines meet; a deck ends square.
        polygon[rows] = shapely.buffer(layer.geometry[rows], width[rows] / 2.0, quad_segs=4, cap_style=caps)
    evidence[~line] = "polygon"
    axis = layer.geometry.copy()
    axis[~(line & deck)] = None
    grades = _words(layer, "road_class", n) if name == "road" else objects([""] * n)
    grade = np.array([_GRADES.index(word) if word in _GRADES else 8 for word in grades.tolist()], dtype=object)
    names = _words(layer, "name", n)
    return layer.oid, polygon, objects([name] * n), names, evidence, deck.astype(object), axis, grade


def _widths(layer: Layer, name: str, options: ClassOptions) -> tuple[Floats, Objects]:
    """(n,) width in m and how it is known; rivers have none but their own."""
    n, table = len(layer), class_widths()
    own, lanes = _column(layer, "width", n), _column(layer, "lanes", n)
    key = "road_class" if name == "road" else "kind"
    words = _words(layer, key, n).tolist()
    fallback = table.get((name, ""), table[("road", "lane")] if name == "road" else 0.0)
    usual = np.array([table.get((name, word), fallback) for word in words])
    told = [own > 0.0, (lanes > 0.0) & (name == "road"), usual > 0.0]
    width = np.select(told, [own, lanes * options.lane_width, usual], np.nan)
    return width, objects(np.select(told, ["width", "lanes", "class"], ""))


def _column(layer: Layer, key: str, n: int) -> Floats:
    return layer.columns[key].astype(np.float64) if key in layer.columns else np.full(n, np.nan)


def _words(layer: Layer, key: str, n: int) -> Objects:
    return layer.columns[key] if key in layer.columns else objects([""] * n)
