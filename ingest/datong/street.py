"""What stands along the streets of the sample and lies below them: trees, fixtures, pipes, in town coordinates."""

from __future__ import annotations

import numpy as np
import shapely
import shapely.ops
from numpy.typing import NDArray

from ingest.datong.network import Table
from ingest.datong.plan import Extent, Floats

LINED = ("trunk", "primary", "secondary", "tertiary", "residential", "path")
NAMED = ("trunk", "primary", "secondary", "tertiary")
MAINS = ("trunk", "primary", "secondary")
# How far from the archways the gardens' and the works' surveys reach, m.
GARDENS, FIXTURES, WORKS = 4600.0, 4600.0, 2600.0
APART, APART_RURAL, PIECE = 12.0, 23.0, 300.0
SPECIES = (("国槐", "阔叶"), ("旱柳", "阔叶"), ("新疆杨", "阔叶"), ("油松", "针叶"), ("白蜡", "阔叶"))
# Kind, spacing along a street in m, distance from its kerb in m, height in m.
STANDING = (
    ("路灯", 36.0, 0.6, 9.0),
    ("消火栓", 120.0, 0.9, 0.75),
    ("检查井", 60.0, -1.6, np.nan),
    ("公交站", 540.0, 1.6, 2.6),
)
# Kind, place across the carriageway in parts of its half width, diameters in mm, depths in m, wall.
PIPES = (
    ("给水", -0.8, (200, 300, 400, 600), (1.6, 2.2), "球墨铸铁"),
    ("排水", 0.0, (300, 400, 500, 800), (1.8, 3.6), "混凝土"),
    ("热力", 0.75, (200, 300, 500), (1.3, 1.8), "钢"),
)


def _along(roads: Table, spacing: Floats | float, off: Floats | float) -> tuple[Floats, NDArray[np.int64]]:
    """Places (n, 2) at equal distances on both sides of roads, `off` m from their axes, and (n,) the road of each."""
    length = shapely.length(roads.geometry)
    count = np.maximum(0, length / spacing).astype(np.int64)
    row = np.repeat(np.arange(len(roads)), 2 * count)
    k = np.arange(len(row)) - np.repeat(np.cumsum(2 * count) - 2 * count, 2 * count)
    at = (k // 2 + 0.5) * (length / np.maximum(count, 1))[row]
    here = shapely.get_coordinates(shapely.line_interpolate_point(roads.geometry[row], at))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(roads.geometry[row], np.maximum(at - 0.5, 0.0)))
    way = here - ahead
    way = way / np.maximum(np.hypot(*way.T), 1e-9)[:, None]
    side = np.where(k % 2 == 0, 1.0, -1.0) * np.broadcast_to(off, (len(roads),))[row]
    return here + np.column_stack([-way[:, 1], way[:, 0]]) * side[:, None], row


def avenue_trees(rng: np.random.Generator, roads: Table) -> Table:
    """Trees in rows beside the streets; `radius` of their crowns, m, and the row of their road."""
    lined = np.flatnonzero(np.isin(roads.columns["road_class"], LINED) & (roads.columns["bridge"] == 0.0))
    some = roads.take(lined)
    spacing = np.where(some.columns["road_class"] == "path", APART_RURAL, APART)
    xy, row = _along(some, spacing, 0.5 * some.columns["width"] + 3.0)
    xy = xy + rng.uniform(-0.6, 0.6, xy.shape)
    return Table(shapely.points(xy), {"radius": rng.uniform(1.6, 3.0, len(xy)), "road": lined[row]})


def _free(places: NDArray[np.object_], taken: NDArray[np.object_]) -> NDArray[np.bool_]:
    """(n,) True for places in none of the polygons."""
    free = np.ones(len(places), bool)
    free[np.unique(shapely.STRtree(places).query(taken, predicate="intersects")[1])] = False
    return free


def surveyed_trees(rng: np.random.Generator, trees: Table, roads: Table, taken: NDArray[np.object_]) -> Table:
    """Street trees as the gardens bureau has them: along named streets, one in ten without a height.

    taken   polygons where none can stand: buildings, carriageways, water
    """
    grade = roads.columns["road_class"][trees.columns["road"]]
    at = shapely.get_coordinates(trees.geometry)
    known = np.isin(grade, NAMED) & (np.hypot(*at.T) < GARDENS)
    some = trees.take(known)
    some = some.take(_free(some.geometry, taken))
    n, crown = len(some), 2.0 * some.columns["radius"]
    kind = some.columns["road"] % len(SPECIES)
    height = np.round(1.9 * crown + rng.uniform(0.0, 3.0, n), 1)
    return Table.of(
        some.geometry,
        树种=np.array([SPECIES[k][0] for k in kind], dtype=object),
        叶型=np.array([SPECIES[k][1] for k in kind], dtype=object),
        树高=np.where(rng.random(n) < 0.1, np.nan, height),
        冠幅=np.round(crown, 1),
        栽植年份=(1978 + (some.columns["road"] * 7) % 42).astype(np.float64),
    )


def fixtures(roads: Table, taken: NDArray[np.object_]) -> Table:
    """Street furniture along named streets: lamps, hydrants, manholes and bus stops."""
    named = np.isin(roads.columns["road_class"], NAMED) & (roads.columns["bridge"] == 0.0)
    some, tables = roads.take(named), []
    for kind, spacing, off, height in STANDING:
        xy, _ = _along(some, spacing, 0.5 * some.columns["width"] + off)
        near = np.hypot(*xy.T) < FIXTURES
        points = shapely.points(xy[near])
        if off > 0.0:
            points = points[_free(points, taken)]
        tables.append(Table.of(points, 类别=kind, 高度=height))
    return Table.join(tables)


def mains(rng: np.random.Generator, roads: Table) -> Table:
    """Water, sewer and heating mains under the large streets of the inner city, piece by piece."""
    wanted = np.isin(roads.columns["road_class"], MAINS) & (roads.columns["bridge"] == 0.0)
    some = roads.take(wanted)
    inner = shapely.intersection(some.geometry, shapely.Point(0.0, 0.0).buffer(WORKS))
    tables = []
    for kind, across, sizes, depths, wall in PIPES:
        beside = shapely.offset_curve(inner, across * 0.5 * some.columns["width"], join_style="mitre")
        lines, row = shapely.get_parts(beside, return_index=True)
        count = np.maximum(1, np.ceil(shapely.length(lines) / PIECE)).astype(np.int64)
        pieces = [
            shapely.ops.substring(line, k / n, (k + 1) / n, normalized=True)
            for line, n in zip(lines.tolist(), count.tolist(), strict=True)
            if line.length > 5.0
            for k in range(n)
        ]
        kept = np.repeat(row, np.where(shapely.length(lines) > 5.0, count, 0))
        n = len(pieces)
        start, end = rng.uniform(*depths, (2, n))
        tables.append(
            Table.of(
                np.array(pieces, dtype=object), 管类=kind, 管径=np.array(sizes, np.float64)[kept % len(sizes)],
                起点埋深=np.where(rng.random(n) < 0.08, np.nan, start.round(2)), 终点埋深=end.round(2), 材质=wall,
                敷设年份=(1985 + kept * 3 % 38).astype(np.float64),
            )
        )  # fmt: skip
    return Table.join(tables)


def occupied(prints: NDArray[np.object_], roads: Table, water: Table, extent: Extent) -> NDArray[np.object_]:
    """Where nothing may stand: footprints with their eaves, carriageways, water, and all that is outside."""
    wide = shapely.buffer(roads.geometry, 0.5 * roads.columns["width"] + 0.3, cap_style="flat")
    frame = shapely.box(extent.west, extent.south, extent.east, extent.north)
    outside = shapely.difference(shapely.buffer(frame, 20_000.0), shapely.buffer(frame, -10.0))
    return np.concatenate([prints, wide, water.geometry, np.array([outside], dtype=object)])
