"""The walled town: wards, lanes, courtyard houses and shops around the monuments."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.datong import facts
from ingest.datong.plan import FUNCTIONS, ROOFS, STRUCTURES, Buildings, Floats, buildings

LANE, MAIN, RING, WARD = 4.5, 15.0, 7.5, 6.0
SHOP_DEPTH = 12.0
YINGSHAN, GABLE, FLAT = ROOFS.index("yingshan"), ROOFS.index("gable"), ROOFS.index("flat")
HOUSE, SHOP, OFFICE = FUNCTIONS.index("residential"), FUNCTIONS.index("commercial"), FUNCTIONS.index("public")
TIMBER, MASONRY, ADOBE = STRUCTURES.index("timber"), STRUCTURES.index("masonry"), STRUCTURES.index("adobe")

# West, south, east, north edges of the wards; the edge kinds say what street runs along each.
_U = ((-858, RING), (-715, WARD), (-410, WARD), (-165, WARD), (0, MAIN))
_U_EAST = ((0, MAIN), (165, WARD), (352, WARD), (610, WARD), (858, RING))
_V_SOUTH = ((-868, RING), (-525, WARD), (-222, WARD), (0, MAIN))
_V_NORTH = ((0, MAIN), (340, WARD), (660, WARD), (868, RING))


@dataclass(frozen=True, slots=True)
class OldTown:
    """What stands and lies inside the wall, in town coordinates.

    lots        (k, 4) west, south, east, north of address lots; row numbers are lot numbers
    lanes       line strings of the small lanes; lane_names one name each
    grounds     (p, 4) temple grounds and squares         trees   (t, 3) u, v, crown radius
    """

    houses: Buildings
    lots: Floats
    lanes: NDArray[np.object_]
    lane_names: NDArray[np.object_]
    grounds: Floats
    trees: Floats


def _wards() -> list[tuple[Floats, Floats]]:
    """Inner rectangles of the wards, and the half width of the street along each of their four sides."""
    found = []
    for us in (_U, _U_EAST):
        for vs in (_V_SOUTH, _V_NORTH):
            for (u0, a), (u1, b) in pairwise(us):
                for (v0, c), (v1, d) in pairwise(vs):
                    box = np.array([u0 + a, v0 + c, u1 - b, v1 - d], dtype=np.float64)
                    found.append((box, np.array([a, c, b, d])))
    return found


def _cut(rng: np.random.Generator, low: float, high: float, small: float, large: float) -> Floats:
    """Edges that split a length into pieces between `small` and `large`, the last one stretched to fit."""
    n = max(1, round((high - low) / (0.5 * (small + large))))
    pieces = rng.uniform(small, large, n)
    return low + np.concatenate([[0.0], np.cumsum(pieces)]) * (high - low) / pieces.sum()


def _strips(rng: np.random.Generator, box: Floats, sides: Floats) -> tuple[Floats, Floats]:
    """Courtyard lots (n, 5: west, south, east, north, 1 with the lane on the south) and lane lines (m, 4) of a ward."""
    n = max(1, round((box[3] - box[1]) / 58.0))
    pitch = (box[3] - box[1]) / n
    reach = np.where(sides == MAIN, 2.0, sides)
    lots, lanes = [], []
    for k in range(n):
        low, mid, high = box[1] + k * pitch, box[1] + (k + 0.5) * pitch, box[1] + (k + 1) * pitch
        lanes.append((box[0] - reach[0], mid, box[2] + reach[2], mid))
        for south, north, flag in ((low, mid - LANE / 2, 0.0), (mid + LANE / 2, high, 1.0)):
            edges = _cut(rng, box[0], box[2], 14.5, 21.0)
            column = np.ones(len(edges) - 1)
            lots.append(np.column_stack([edges[:-1], south * column, edges[1:], north * column, flag * column]))
    return np.vstack(lots), np.array(lanes)


def _shops(rng: np.random.Generator, box: Floats, main: NDArray[np.bool_]) -> tuple[list[Floats], Floats]:
    """Shop plots (n, 5: box and side 0 west 1 south 2 east 3 north) on main streets, and the rest of the ward."""
    plots, rest = [], box.copy()
    for side in (1, 3, 0, 2):
        if not main[side]:
            continue
        along = (0, 2) if side in (1, 3) else (1, 3)
        edges = _cut(rng, rest[along[0]], rest[along[1]], 9.5, 15.5)
        plot = np.tile(np.append(rest, side), (len(edges) - 1, 1))
        plot[:, along[0]], plot[:, along[1]] = edges[:-1], edges[1:]
        inward = -SHOP_DEPTH if side >= 2 else SHOP_DEPTH
        plot[:, (side + 2) % 4] = plot[:, side] + inward
        plots.append(plot)
        rest[side] += inward + (2.0 if side < 2 else -2.0)
    return plots, rest


def _clear(boxes: Floats, grounds: Floats, margin: float = 1.0) -> NDArray[np.bool_]:
    """True where a box stays off every ground."""
    hit = np.zeros(len(boxes), dtype=bool)
    for w, s, e, n in grounds:
        hit |= (
            (boxes[:, 0] < e + margin)
            & (boxes[:, 2] > w - margin)
            & (boxes[:, 1] < n + margin)
            & (boxes[:, 3] > s - margin)
        )
    return ~hit


def _shop_houses(rng: np.random.Generator, plots: Floats) -> Buildings:
    size = np.column_stack([plots[:, 2] - plots[:, 0], plots[:, 3] - plots[:, 1]])
    side = plots[:, 4].astype(int)
    along = np.where(np.isin(side, (1, 3)), size[:, 0], size[:, 1]) - 0.1
    deep = rng.uniform(7.0, 9.5, len(plots))
    centre = 0.5 * (plots[:, :2] + plots[:, 2:4])
    push = 0.5 * (SHOP_DEPTH - deep)
    shift = np.array([(-1, 0), (0, -1), (1, 0), (0, 1)])[side] * push[:, None]
    storeys = np.where(rng.random(len(plots)) < 0.55, 2.0, 1.0)
    eave = np.where(storeys == 2, 6.0, 3.4) + rng.uniform(-0.2, 0.2, len(plots))
    return buildings(
        *(centre + shift).T, along, deep, angle=np.array([-np.pi / 2, 0, np.pi / 2, np.pi])[side], storeys=storeys,
        eave=eave, height=eave + 0.29 * deep, function=SHOP, structure=TIMBER, roof=YINGSHAN,
        year=rng.integers(2008, 2016, len(plots)), tint=rng.random(len(plots)),
    )  # fmt: skip


def _courtyard(rng: np.random.Generator, lots: Floats) -> Buildings:
    """Main hall, two wings, south house (or fewer) on every lot, all at once."""
    n = len(lots)
    west, south, east, north = lots[:, :4].T
    width, depth, number = east - west, north - south, np.arange(n)
    kind = rng.choice(4, n, p=[0.44, 0.26, 0.18, 0.12])
    hall, house, wing = rng.uniform(6.4, 7.4, n), rng.uniform(4.8, 5.6, n), rng.uniform(3.9, 4.7, n)
    wing = np.minimum(wing, 0.29 * width)
    age = np.where(rng.random(n) < 0.35, rng.integers(2008, 2020, n), rng.integers(1860, 1985, n)).astype(float)
    built = np.where(age < 1950, rng.choice([TIMBER, ADOBE], n), MASONRY)
    tint, eave = rng.random(n), rng.uniform(3.2, 3.7, n)
    mid, gap = 0.5 * (west + east), 0.45
    length = depth - hall - house - 3.2
    middle = south + house + 1.6 + 0.5 * length
    rows = [
        (kind < 4, mid, north - gap - hall / 2, width - 2 * gap, hall, 1.0),
        (kind < 2, west + gap + wing / 2, middle, wing, length - 1.0, 0.85),
        (np.isin(kind, (0, 2)), east - gap - wing / 2, middle, wing, length - 1.0, 0.85),
        ((kind == 0) | (kind == 3), mid - 1.3, south + gap + house / 2, width - 2 * gap - 2.6, house, 0.8),
    ]
    batches = []
    for keep, u, v, w, d, size in rows:
        k = np.flatnonzero(keep)
        low, across = eave[k] * size, np.minimum(w[k], d[k])
        batches.append(
            buildings(u[k], v[k], w[k], d[k], eave=low, height=low + 0.30 * across, function=HOUSE, structure=built[k],
                      roof=YINGSHAN, year=age[k], lot=number[k], tint=tint[k])
        )  # fmt: skip
    return Buildings.join(batches)


def _lane_lines(lanes: Floats, grounds: Floats) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Lanes cut off at temple grounds, and a name for each piece."""
    lines = shapely.linestrings(lanes.reshape(-1, 2, 2))
    walls = shapely.union_all(shapely.box(*(grounds + np.array([-3, -3, 3, 3])).T))
    names = facts.texts(facts.table("lanes"), "name")
    pieces, index = shapely.get_parts(shapely.difference(lines, walls), return_index=True)
    long = shapely.length(pieces) > 15.0
    return pieces[long], names[index[long] % len(names)]


def old_town(rng: np.random.Generator, count: int) -> OldTown:
    """The town inside the wall with about `count` houses beside its monuments, nearest to the archways first."""
    grounds, _ = facts.precincts()
    lots, lanes, plots = [], [], []
    for box, sides in _wards():
        shops, rest = _shops(rng, box, sides == MAIN)
        plots.extend(shops)
        ward_lots, ward_lanes = _strips(rng, rest, sides)
        lots.append(ward_lots)
        lanes.append(ward_lanes)
    lot_table, shop_table = np.vstack(lots), np.vstack(plots)
    lot_table = lot_table[_clear(lot_table, grounds)]
    shop_table = shop_table[_clear(shop_table, grounds)]
    yards = _courtyard(rng, lot_table)
    shops_built = _shop_houses(rng, shop_table)
    shops_built.lot[:] = len(lot_table) + np.arange(len(shop_table))
    everything = Buildings.join([yards, shops_built])
    all_lots = np.vstack([lot_table[:, :4], shop_table[:, :4]])
    kept = _nearest(rng, everything, all_lots, count)
    lines, names = _lane_lines(np.vstack(lanes), grounds)
    return OldTown(everything.take(kept), all_lots, lines, names, grounds, _trees(rng, lot_table, grounds))


def _nearest(rng: np.random.Generator, batch: Buildings, lots: Floats, count: int) -> NDArray[np.int64]:
    """Rows of whole lots, the nearest to the archways first, until `count` rows stand; some lots stay empty."""
    away = np.hypot(*(0.5 * (lots[:, :2] + lots[:, 2:])).T) + rng.uniform(0.0, 180.0, len(lots))
    away = np.where(rng.random(len(lots)) < 0.10, np.inf, away)
    order = np.lexsort((np.arange(len(batch)), batch.lot, away[batch.lot]))
    order = order[np.isfinite(away[batch.lot[order]])]
    return np.sort(order[:count])


def _trees(rng: np.random.Generator, lots: Floats, grounds: Floats) -> Floats:
    """Courtyard trees and the old pines of temple grounds, (t, 3)."""
    some = lots[rng.random(len(lots)) < 0.62]
    centre = 0.5 * (some[:, :2] + some[:, 2:4]) + rng.uniform(-2.0, 2.0, (len(some), 2))
    yard = np.column_stack([centre, rng.uniform(1.4, 2.9, len(some))])
    planted = []
    for w, s, e, n in grounds:
        k = int((e - w) * (n - s) / 260.0)
        planted.append(np.column_stack([rng.uniform(w, e, k), rng.uniform(s, n, k), rng.uniform(1.5, 3.2, k)]))
    return np.vstack([yard, *planted])
