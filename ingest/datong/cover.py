"""Water, plant cover and land use of the sample, in town coordinates."""

from __future__ import annotations

import numpy as np
import shapely

from ingest.datong import blocks, facts
from ingest.datong.modern import Modern
from ingest.datong.network import Table, shili_line_string, yu_polygon
from ingest.datong.plan import WALL_HALF_U, WALL_HALF_V, Extent, Floats
from ingest.datong.terrain import BAIDENG, LAKE, Terrain, yu_line, yu_width

POOL = (0.0, 14.5, 34.0, 4.6)
MINE_HALF = np.array([190.0, 130.0])


def _ellipses(u: Floats, v: Floats, a: Floats | float, b: Floats | float) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 49)[:-1]
    wobble = 1.0 + 0.10 * np.sin(3 * t + 1.0) + 0.05 * np.sin(5 * t)
    xy = np.stack(
        [u[:, None] + np.asarray(a) * wobble * np.cos(t), v[:, None] + np.asarray(b) * wobble * np.sin(t)], axis=-1
    )
    return shapely.polygons(np.concatenate([xy, xy[:, :1]], axis=1))


def _clip(table: Table, extent: Extent) -> Table:
    frame = shapely.box(extent.west, extent.south, extent.east, extent.north)
    cut = Table(shapely.intersection(table.geometry, frame), table.columns)
    return cut.take(~shapely.is_empty(cut.geometry))


def pool() -> shapely.Polygon:
    """The pool before the nine-dragon wall, 34 m long."""
    row = next(r for r in facts.table("monuments") if r["key"] == "nine_dragon_wall")
    u, v = facts.places([row])[0] + POOL[:2]
    return shapely.box(u - POOL[2] / 2, v - POOL[3] / 2, u + POOL[2] / 2, v + POOL[3] / 2)


def water(city: Modern, extent: Extent) -> Table:
    """Rivers, the lake, ponds of parks and the pool of the nine-dragon wall as polygons."""
    parks = city.used.box[city.used.kind == blocks.PARK]
    size = parks[:, 2:] - parks[:, :2]
    middle = 0.5 * (parks[:, :2] + parks[:, 2:]) + np.array([0.12, -0.30]) * size
    ponds = _ellipses(*middle.T, 0.22 * size[:, :1], 0.15 * size[:, 1:])
    lake = _ellipses(np.array([LAKE[0]]), np.array([LAKE[1]]), LAKE[2], LAKE[3])
    shili = shapely.difference(shapely.buffer(shili_line_string(), 13.0, cap_style="flat"), yu_polygon())
    first = np.array([yu_polygon(), shili, lake[0], pool()], dtype=object)
    names = [("御河", "Yu River", "river"), ("十里河", "Shili River", "river"), ("文瀛湖", "Wenying Lake", "reservoir"),
             ("九龙壁倒影池", "Pool of the Nine Dragon Wall", "pool")]  # fmt: skip
    named = [*names, *([("", "", "pond")] * len(ponds))]
    columns = {k: np.array([row[i] for row in named], dtype=object) for i, k in enumerate(("name", "name_en", "code"))}
    return _clip(Table.of(np.concatenate([first, ponds]), **columns), extent)


def green(city: Modern, extent: Extent) -> Table:
    """The park round the wall, river banks, parks and the forest of Mount Baideng."""
    wall = shapely.box(-WALL_HALF_U - 18, -WALL_HALF_V - 18, WALL_HALF_U + 18, WALL_HALF_V + 18)
    ring = shapely.difference(shapely.box(-1062, -1062, 1062, 1062), wall)
    for u, v in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        ring = shapely.difference(ring, shapely.box(*sorted((0, 1100 * u)), *sorted((0, 1100 * v))).buffer(14.0))
    v = np.arange(-4400.0, 4400.1, 80.0)
    half, banks = 0.5 * yu_width(v) + 14.0, []
    for side in (-1, 1):
        near, far = np.column_stack([yu_line(v) + side * half, v]), np.column_stack([yu_line(v) + side * 282.0, v])
        banks.append(shapely.Polygon(np.vstack([near, far[::-1]])))
    forest = _ellipses(np.array([BAIDENG[0]]), np.array([BAIDENG[1]]), 2300.0, 1900.0)[0]
    parks = shapely.box(*city.used.box[city.used.kind == blocks.PARK].T)
    named = [("古城墙遗址公园", "City Wall Park", "park"), ("御河西岸绿地", "Yu River west bank", "riverside"),
             ("御河东岸绿地", "Yu River east bank", "riverside"), ("白登山森林公园", "Mount Baideng forest", "forest"),
             *([("街区公园", "Park", "park")] * len(parks))]  # fmt: skip
    columns = {k: np.array([row[i] for row in named], dtype=object) for i, k in enumerate(("name", "name_en", "code"))}
    return _clip(Table.of(np.array([ring, *banks, forest, *parks], dtype=object), **columns), extent)


def land_use(city: Modern, terrain: Terrain, extent: Extent) -> Table:
    """The ancient city, temple grounds, compounds by use, mines, and fields between the streets."""
    grounds, rows = facts.precincts()
    ancient = shapely.box(-WALL_HALF_U, -WALL_HALF_V, WALL_HALF_U, WALL_HALF_V)
    tables = [
        Table.of(np.array([ancient], dtype=object), name="大同古城", name_en="Ancient City of Datong",
                 code="ancient_city"),
        Table.of(shapely.box(*grounds.T), name=facts.texts(rows, "name"), name_en=facts.texts(rows, "name_en"),
                 code=facts.texts(rows, "code")),
        Table.of(shapely.box(*(city.used.box + np.array([-3, -3, 3, 3])).T),
                 name=np.array([blocks.KINDS[k][1] for k in city.used.kind], dtype=object), name_en="",
                 code=np.array([blocks.KINDS[k][0] for k in city.used.kind], dtype=object)),
    ]  # fmt: skip
    mines = [row for row in facts.table("hazards") if row["kind"] == "mine"]
    at = facts.places(mines)
    tables.append(Table.of(shapely.box(*np.hstack([at - MINE_HALF, at + MINE_HALF]).T), code="mine",
                           name=facts.texts(mines, "name"), name_en=facts.texts(mines, "name_en")))  # fmt: skip
    tables.append(_fields(city, terrain))
    return _clip(Table.join(tables), extent)


def _fields(city: Modern, terrain: Terrain) -> Table:
    inner, outer = blocks._grid()
    middle = 0.5 * (outer[:, :2] + outer[:, 2:])
    built = {tuple(b) for b in city.used.block.round(1)}
    free = np.array([tuple(b) not in built for b in outer.round(1)])
    free &= (terrain.hills(*middle.T) < 25.0) & (np.abs(middle[:, 0] - yu_line(middle[:, 1])) > 420.0)
    free &= (np.abs(middle) > 1079).any(axis=1) & (np.hypot(*(middle - LAKE[:2]).T) > 700.0)
    return Table.of(shapely.box(*inner[free].T), name="农田", name_en="Fields", code="farmland")
