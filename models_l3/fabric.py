"""From footprints to houses: which buildings are old fabric, how they lie, which way they look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l3.houses import HouseTable
from twin.features import Layer
from twin.grid import Raster

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

OLD_ROOFS = ("yingshan", "xuanshan", "juanpeng", "gable")
FILL = 0.9  # share of its rectangle that a plan must fill to be one house
SLIVER = 1.8  # m, wings narrower than this are left out
WING = 4.9  # m, houses shallower than this have no main ridge


@dataclass(frozen=True, slots=True)
class Boxes:
    """Oriented rectangles (n,), m: centre, length of the long side, of the short side, direction of the long side.

    row   row of the layer each belongs to; a plan like an L gives two
    """

    row: Rows
    x: Array
    y: Array
    long: Array
    short: Array
    angle: Array

    def __len__(self) -> int:
        return len(self.row)


def rectangles(polygons: NDArray[np.object_]) -> Boxes:
    """The smallest rectangle round every polygon, (n,) in their order."""
    rings = shapely.get_coordinates(shapely.oriented_envelope(polygons)).reshape(-1, 5, 2)
    a, b = rings[:, 1] - rings[:, 0], rings[:, 2] - rings[:, 1]
    la, lb = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    along = np.where((la >= lb)[:, None], a, b)
    angle = np.mod(np.arctan2(along[:, 1], along[:, 0]) + np.pi / 4, np.pi) - np.pi / 4
    centre = rings[:, :4].mean(axis=1)
    return Boxes(np.arange(len(polygons)), centre[:, 0], centre[:, 1], np.maximum(la, lb), np.minimum(la, lb), angle)


def boxes_of(polygons: NDArray[np.object_]) -> Boxes:
    """Every plan as one rectangle, or as several where it is an L, a U or a yard; in the order of the plans.

    A plan is cut along its own corners into at most three by three cells; rows of full cells become rectangles.
    """
    whole = rectangles(polygons)
    full = shapely.area(polygons) >= FILL * whole.long * whole.short
    parts = [take(whole, np.flatnonzero(full))]
    odd = np.flatnonzero(~full)
    if len(odd):
        parts.append(_cut(polygons[odd], take(whole, odd)))
    joined = Boxes(*(np.concatenate([getattr(p, f) for p in parts]) for f in Boxes.__slots__))
    kept = np.flatnonzero((joined.short >= SLIVER) & (joined.long >= SLIVER))
    return take(joined, kept[np.lexsort((joined.y[kept], joined.x[kept], joined.row[kept]))])


def take(boxes: Boxes, index: Rows) -> Boxes:
    """The boxes at an index, in its order."""
    return Boxes(*(getattr(boxes, f)[index] for f in Boxes.__slots__))


def _cut(polygons: NDArray[np.object_], whole: Boxes) -> Boxes:
    """Rectangles of plans that are not rectangles, by a 3 x 3 grid through their inner corners."""
    n = len(polygons)
    u_cuts, v_cuts = _levels(polygons, whole)
    u_mid, v_mid = (u_cuts[:, 1:] + u_cuts[:, :-1]) / 2, (v_cuts[:, 1:] + v_cuts[:, :-1]) / 2
    c, s = np.cos(whole.angle)[:, None, None], np.sin(whole.angle)[:, None, None]
    uu, vv = np.broadcast_arrays(u_mid[:, None, :], v_mid[:, :, None])
    x, y = whole.x[:, None, None] + uu * c - vv * s, whole.y[:, None, None] + uu * s + vv * c
    full = shapely.contains_xy(np.repeat(polygons, 9), x.ravel(), y.ravel()).reshape(n, 3, 3)
    code = full.reshape(n, 9) @ (1 << np.arange(9))
    found = []
    for pattern in np.unique(code):
        rows = np.flatnonzero(code == pattern)
        for v0, v1, u0, u1 in _blocks(int(pattern)):
            found.append((rows, u_cuts[rows, u0], u_cuts[rows, u1], v_cuts[rows, v0], v_cuts[rows, v1]))
    if not found:
        return take(whole, np.zeros(0, np.int64))
    rows, ua, ub, va, vb = (np.concatenate([f[k] for f in found]) for k in range(5))
    du, dv, mu, mv = ub - ua, vb - va, (ua + ub) / 2, (va + vb) / 2
    c, s = np.cos(whole.angle[rows]), np.sin(whole.angle[rows])
    angle = whole.angle[rows] + np.where(du >= dv, 0.0, np.pi / 2)
    return Boxes(
        whole.row[rows],
        whole.x[rows] + mu * c - mv * s,
        whole.y[rows] + mu * s + mv * c,
        np.maximum(du, dv),
        np.minimum(du, dv),
        np.mod(angle + np.pi / 4, np.pi) - np.pi / 4,
    )


def _levels(polygons: NDArray[np.object_], whole: Boxes) -> tuple[Array, Array]:
    """Cut lines (n, 4) along and across each plan's own axis: both ends and the two most inner corner lines."""
    points, index = shapely.get_coordinates(polygons, return_index=True)
    dx, dy = points[:, 0] - whole.x[index], points[:, 1] - whole.y[index]
    c, s = np.cos(whole.angle[index]), np.sin(whole.angle[index])
    cuts = []
    for value, half in ((dx * c + dy * s, whole.long / 2), (dy * c - dx * s, whole.short / 2)):
        inner = np.abs(value) < half[index] - 0.4
        low, high = np.full(len(whole), np.inf), np.full(len(whole), -np.inf)
        np.minimum.at(low, index[inner], value[inner])
        np.maximum.at(high, index[inner], value[inner])
        low, high = np.where(np.isfinite(low), low, -half), np.where(np.isfinite(high), high, half)
        cuts.append(np.column_stack([-half, low, np.maximum(high, low), half]))
    return cuts[0], cuts[1]


def _blocks(pattern: int) -> list[tuple[int, int, int, int]]:
    """Rectangles (v0, v1, u0, u1) of cut lines over the full cells of a 3 x 3 pattern: rows first, then grown up."""
    cells = [[bool(pattern >> (3 * v + u) & 1) for u in range(3)] for v in range(3)]
    runs: list[tuple[int, int, int, int]] = []
    for v in range(3):
        u = 0
        while u < 3:
            end = u
            while end < 3 and cells[v][end]:
                end += 1
            if end > u:
                below = [r for r in runs if r[1] == v and r[2:] == (u, end)]
                runs = [r for r in runs if r not in below] + [(below[0][0] if below else v, v + 1, u, end)]
            u = end + 1
    return runs


def faces(boxes: Boxes, mates: NDArray[np.bool_], streets: Array | None) -> Array:
    """Turn of each front from south, radians: towards the street where one is given, else south, else the yard.

    mates     (n,) True where a house looks to its yard when its ridge runs north-south
    streets   (n,2) vector to the street a shop opens to, NaN for none
    """
    turn = boxes.angle  # ridge along the frontage: turn 0 looks to -y
    front = np.column_stack([np.sin(turn), -np.cos(turn)])
    wanted = np.tile([0.0, -1.0], (len(boxes), 1))
    lateral = np.abs(front[:, 0]) > 0.7
    yard = _towards_neighbours(boxes)
    wanted = np.where((lateral & mates)[:, None], yard, wanted)
    if streets is not None:
        wanted = np.where(np.isfinite(streets), streets, wanted)
    return np.where((front * wanted).sum(axis=1) >= 0.0, turn, turn + np.pi)


def _towards_neighbours(boxes: Boxes, reach: float = 16.0) -> Array:
    """Vector (n,2) from each house to the middle of the houses near it: a wing looks into the yard they enclose."""
    points = shapely.points(boxes.x, boxes.y)
    tree = shapely.STRtree(points)
    a, b = tree.query(points, predicate="dwithin", distance=reach)
    dx, dy = boxes.x[b] - boxes.x[a], boxes.y[b] - boxes.y[a]
    weight = boxes.long[b] * np.exp(-((np.hypot(dx, dy) / 9.0) ** 2)) * (a != b)
    n = len(boxes)
    return np.column_stack([np.bincount(a, weight * d, n) for d in (dx, dy)])


def to_street(boxes: Boxes, roads: Layer, classes: tuple[str, ...], reach: float = 26.0) -> Array:
    """Vector (n,2) to the nearest street of some classes within reach, NaN where there is none."""
    out = np.full((len(boxes), 2), np.nan)
    lines = roads.geometry[np.isin(roads.column("road_class").astype(str), classes)]
    if not len(lines) or not len(boxes):
        return out
    points = shapely.points(boxes.x, boxes.y)
    pair, away = shapely.STRtree(lines).query_nearest(
        points, max_distance=reach, return_distance=True, all_matches=False
    )
    del away
    near = shapely.get_coordinates(shapely.shortest_line(points[pair[0]], lines[pair[1]])).reshape(-1, 2, 2)
    out[pair[0]] = near[:, 1] - near[:, 0]
    return out


def ground_under(boxes: Boxes, relief: Raster) -> tuple[Array, Array]:
    """Lowest and highest ground (n,) m under each rectangle, at its corners, edge middles and centre; NaN outside."""
    u, v = np.meshgrid([-0.5, 0.0, 0.5], [-0.5, 0.0, 0.5])
    c, s = np.cos(boxes.angle)[:, None], np.sin(boxes.angle)[:, None]
    a, b = u.ravel() * boxes.long[:, None], v.ravel() * (boxes.short + 1.0)[:, None]
    xy = np.stack([boxes.x[:, None] + a * c - b * s, boxes.y[:, None] + a * s + b * c], axis=-1)
    z = relief.sample(xy.reshape(-1, 2)).reshape(len(boxes), 9)
    return z.min(axis=1), z.max(axis=1)


@dataclass(frozen=True, slots=True)
class Heights:
    """What is known of each house, (n,): eave and ridge above the ground m (NaN unknown), storeys (NaN unknown)."""

    eave: Array
    ridge: Array
    storeys: Array


def house_table(
    boxes: Boxes,
    turn: Array,
    ground: tuple[Array, Array],
    known: Heights,
    words: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> HouseTable:
    """Houses ready to build; gaps filled by the typology of the courtyard house.

    words   shop (n,) bool and earthen (n,) bool
    """
    low, high = ground
    floor = np.maximum(low + 0.25, high + 0.08)
    guess = np.clip(0.30 * boxes.short, 0.8, 3.2)
    eave = np.where(np.isfinite(known.eave), known.eave, known.ridge - guess)
    eave = np.where(np.isfinite(eave), eave, 3.0 * np.fmax(known.storeys, 1.0) + 0.3)
    eave = np.clip(eave, 2.7, 7.5)
    rise = np.where(
        np.isfinite(known.ridge), np.clip(known.ridge - eave, 0.22 * boxes.short, 0.42 * boxes.short), guess
    )
    storeys = np.where(eave > 4.9, 2.0, 1.0)
    level = (low + high) / 2
    eave_z = np.maximum(level + eave, floor + 2.3)
    return HouseTable(
        boxes.x, boxes.y, turn, boxes.long, boxes.short, low - 0.3, floor, eave_z, rise, boxes.short < WING,
        words[0].astype(bool), storeys, words[1].astype(bool),
    )  # fmt: skip
