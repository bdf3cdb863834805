"""What the orthophoto is painted from: ground polygons by class, roofs, walls, cars and trees, in town coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ingest.datong import blocks
from ingest.datong.modern import Modern
from ingest.datong.network import Table, shili_line_string, yu_polygon
from ingest.datong.oldtown import OldTown
from ingest.datong.plan import (
    FUNCTIONS,
    ROOFS,
    WALL_HALF_U,
    WALL_HALF_V,
    Buildings,
    Extent,
    Floats,
    footprints,
    parts,
)
from ingest.datong.terrain import Terrain, yu_line
from ingest.sample import paint, write
from ingest.sample.soil import CODE

_KINDS = {
    "flat": paint.FLAT,
    "yingshan": paint.GABLE,
    "xuanshan": paint.GABLE,
    "gable": paint.GABLE,
    "shed": paint.SHED,
}
_LAND = {
    "ancient_city": "old_ground", "residential": "yard", "village": "village", "commercial": "paving",
    "office": "paving", "education": "school", "medical": "paving", "industrial": "works", "park": "grass",
    "mine": "mine",
}  # fmt: skip
_GROUNDS = {"temple": "temple", "palace": "temple", "plaza": "stone"}
_FLAT_TONES = np.array(
    [(156, 153, 147), (142, 141, 138), (168, 165, 158), (134, 129, 123), (149, 139, 128), (174, 172, 166)]
)
_SHED_TONES = np.array([(108, 124, 138), (156, 155, 151), (140, 108, 95), (136, 139, 140), (120, 134, 143)])
_GABLE_TONES = np.array([(140, 101, 88), (131, 107, 96), (114, 117, 121), (147, 112, 97)])
_TILE_TONES = np.array([(95, 97, 98), (103, 103, 102), (90, 92, 94), (110, 107, 103), (99, 99, 96)])
_CARS = np.array([(214, 214, 212), (66, 68, 72), (178, 180, 182), (122, 64, 58), (78, 90, 108), (206, 202, 194)])


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is painted.

    ground  polygons from the lowest to the highest with their class      tree    its index
    boxes   (m, 6) u, v, w, d, angle, height of roofs, cars and walls     looks   (m, 5) see paint.roofs
    spots   (t, 3) trees        relief, relief_box, noise   see soil.ground
    """

    ground: NDArray[np.object_]
    classes: NDArray[np.uint8]
    tree: shapely.STRtree
    boxes: Floats
    looks: Floats
    spots: Floats
    relief: NDArray[np.float32]
    relief_box: Floats
    noise: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layers:
    """The vector layers a picture is painted from; `trees` are those in rows beside the streets."""

    roads: Table
    water: Table
    green: Table
    land: Table
    trees: Table


def looks_of(batch: Buildings) -> Floats:
    """Roof kind, colour and trim of every building (n, 5)."""
    kinds = np.array([_KINDS.get(name, paint.HIP) for name in ROOFS], dtype=np.float64)[batch.roof]
    pick = np.clip(batch.tint, 0.0, 0.999)[:, None]
    gable = (batch.roof == ROOFS.index("gable"))[:, None]
    sets = (_FLAT_TONES, _SHED_TONES, _GABLE_TONES, _TILE_TONES)
    tones = [table[(pick[:, 0] * len(table)).astype(int)] for table in sets]
    tone = np.select([(kinds == paint.FLAT)[:, None], (kinds == paint.SHED)[:, None], gable], tones[:3], tones[3])
    tone = tone.astype(np.float64)
    palace = batch.heritage == "daiwang_palace"
    dragon = batch.heritage == "nine_dragon_wall"
    tone[palace | dragon] = (92, 108, 92)
    tone *= 0.96 + 0.10 * np.modf(np.abs(batch.u * 0.371 + batch.v * 0.173))[0][:, None]
    great = (batch.function == FUNCTIONS.index("heritage")) & (kinds == paint.HIP)
    trim = np.where(palace | dragon, 2.0, np.where(great, 1.0, 0.0))
    return np.column_stack([kinds, tone, trim])


def wall_boxes() -> Floats:
    """The city wall as boxes (m, 6): four sides, twelve bastions on each, barbican and moon wall before each gate."""
    a, b, top = WALL_HALF_U, WALL_HALF_V, 12.0
    sides = [(0, b, 2 * a + top, top), (0, -b, 2 * a + top, top), (a, 0, top, 2 * b), (-a, 0, top, 2 * b)]
    at = np.arange(1, 13) / 13.0 - 0.5
    for s in (-1, 1):
        sides += [(t * 2 * a, s * (b + 10.0), 15.0, 9.0) for t in at]
        sides += [(s * (a + 10.0), t * 2 * b, 9.0, 15.0) for t in at]
    for half, start, far, thick in ((52.0, 0.0, 76.0, 7.0), (30.0, 76.0, 122.0, 5.0)):
        middle, long = 0.5 * (start + far), far - start
        for s in (-1, 1):
            sides += [(t * half, s * (b + middle), thick, long) for t in (-1, 1)] + [
                (0.0, s * (b + far), 2 * half, thick)
            ]
            sides += [(s * (a + middle), t * half, long, thick) for t in (-1, 1)] + [
                (s * (a + far), 0.0, thick, 2 * half)
            ]
    return _upright(np.array(sides, dtype=np.float64), 13.0)


def _upright(plan: Floats, height: float) -> Floats:
    return np.column_stack([plan, np.zeros(len(plan)), np.full(len(plan), height)])


def _painted(boxes: Floats, kind: int, *tone: float) -> tuple[Floats, Floats]:
    return boxes, np.tile([kind, *tone, 0.0], (len(boxes), 1))


def _gates() -> tuple[Floats, Floats]:
    """Gate and corner towers as roofs over the wall."""
    a, b = WALL_HALF_U, WALL_HALF_V
    spots = [(0, b, 38, 15), (0, -b, 38, 15), (a, 0, 15, 38), (-a, 0, 15, 38)]
    spots += [(s * a, t * b, 16, 16) for s in (-1, 1) for t in (-1, 1)]
    return _painted(_upright(np.array(spots, dtype=np.float64), 32.0), paint.HIP, 95.0, 96.0, 96.0)


def _fences(boxes: Floats, thick: float) -> Floats:
    """Four thin walls around every rectangle, (4 k, 4) u, v, w, d."""
    u, v = 0.5 * (boxes[:, 0] + boxes[:, 2]), 0.5 * (boxes[:, 1] + boxes[:, 3])
    w, d, t = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1], np.full(len(boxes), thick)
    return np.vstack([
        np.column_stack([u, boxes[:, 1], w, t]), np.column_stack([u, boxes[:, 3], w, t]),
        np.column_stack([boxes[:, 0], v, t, d]), np.column_stack([boxes[:, 2], v, t, d]),
    ])  # fmt: skip


def _walls(town: OldTown, land: Table, batch: Buildings, first: int) -> list[tuple[Floats, Floats]]:
    """Walls of temple grounds and of the courtyards that are built up."""
    code = land.columns["code"]
    temples = shapely.bounds(land.geometry[np.isin(code, ("temple", "palace"))])
    built = np.unique(batch.lot[(batch.lot >= first) & (batch.lot < first + len(town.lots))]) - first
    yards = town.lots[built] + np.array([0.15, 0.15, -0.15, -0.15])
    return [
        _painted(_upright(_fences(temples, 1.6), 4.2), paint.GABLE, 112.0, 98.0, 90.0),
        _painted(_upright(_fences(yards, 0.6), 2.3), paint.CRENEL, 112.0, 109.0, 104.0),
    ]


def _cars(rng: np.random.Generator, roads: Table) -> tuple[Floats, Floats]:
    busy = np.isin(roads.columns["road_class"], ("trunk", "primary", "secondary", "tertiary"))
    lines, width = roads.geometry[busy], roads.columns["width"][busy]
    count = rng.poisson(shapely.length(lines) * width / 1400.0)
    row = np.repeat(np.arange(len(lines)), count)
    at = rng.random(len(row)) * shapely.length(lines)[row]
    here = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], at))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], at + 1.0)) - here
    angle = np.arctan2(ahead[:, 1], ahead[:, 0])
    side = rng.choice([-1.0, 1.0], len(row)) * rng.uniform(0.12, 0.38, len(row)) * width[row]
    here = here + np.column_stack([-np.sin(angle), np.cos(angle)]) * side[:, None]
    return _car_boxes(rng, here, angle)


def _car_boxes(rng: np.random.Generator, at: Floats, angle: Floats) -> tuple[Floats, Floats]:
    n = len(at)
    boxes = np.column_stack([at, np.full(n, 4.6), np.full(n, 1.9), angle, np.full(n, 1.4)])
    return boxes, np.column_stack([np.full(n, paint.CAR), _CARS[rng.integers(0, 6, n)], np.zeros(n)])


def _parked(rng: np.random.Generator, city: Modern) -> tuple[Floats, Floats]:
    """Cars in rows along the southern and northern fences of compounds."""
    kinds = (blocks.SLABS, blocks.MIDRISE, blocks.TOWERS, blocks.MALL, blocks.OFFICES, blocks.HOSPITAL)
    box = city.used.box[np.isin(city.used.kind, kinds)]
    count = ((box[:, 2] - box[:, 0] - 20.0) / 3.0).astype(int)
    row = np.repeat(np.arange(len(box)), count)
    k = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    u = box[row, 0] + 10.0 + 3.0 * k
    made = [
        np.column_stack([u, box[row, edge] + push])[rng.random(len(row)) < 0.5] for edge, push in ((1, 3.4), (3, -3.4))
    ]
    at = np.vstack(made)
    return _car_boxes(rng, at, np.full(len(at), np.pi / 2))


def _scatter(rng: np.random.Generator, boxes: Floats, each: float) -> Floats:
    """Random points in rectangles, one per `each` m2."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    row = np.repeat(np.arange(len(boxes)), (area / each).astype(int))
    return boxes[row, :2] + rng.random((len(row), 2)) * (boxes[row, 2:] - boxes[row, :2])


def _all_trees(rng: np.random.Generator, town: OldTown, city: Modern, layers: Layers) -> Floats:
    used, rows = city.used, layers.trees
    homes = np.isin(used.kind, (blocks.SLABS, blocks.MIDRISE, blocks.TOWERS, blocks.SCHOOL, blocks.HOSPITAL))
    groups = [
        (_scatter(rng, used.box[homes], 210.0), 1.3, 2.6),
        (_scatter(rng, used.box[np.isin(used.kind, (blocks.YARDS, blocks.DENSE))], 420.0), 1.5, 2.8),
        (_scatter(rng, used.box[np.isin(used.kind, (blocks.OFFICES, blocks.MALL))], 420.0), 1.3, 2.4),
    ]  # fmt: skip
    for code, each in (("park", 80.0), ("riverside", 170.0)):
        some = layers.green.geometry[layers.green.columns["code"] == code]
        points = _scatter(rng, shapely.bounds(some), each) if len(some) else np.empty((0, 2))
        inside = shapely.STRtree(some).query(shapely.points(points), predicate="intersects")[0] if len(some) else []
        groups.append((points[np.unique(inside).astype(int)], 1.6, 3.4))
    belt = _scatter(rng, np.array([[-889.0, -899.0, 889.0, 899.0]]), 110.0)
    belt = belt[(np.abs(belt[:, 0]) > 868) | (np.abs(belt[:, 1]) > 878)]
    groups.append((belt, 1.4, 2.8))
    spots = [np.column_stack([xy, rng.uniform(low, high, len(xy))]) for xy, low, high in groups]
    avenues = np.column_stack([shapely.get_coordinates(rows.geometry), rows.columns["radius"]])
    return np.vstack([town.trees, avenues, *spots])


def _road_ground(roads: Table) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    grade, width = roads.columns["road_class"], roads.columns["width"]
    town = shapely.within(roads.geometry, shapely.box(-1085, -1085, 1085, 1085)) & (grade != "path")
    main = town & (width > 20) & (shapely.distance(roads.geometry, shapely.Point(0, 0)) < 900)
    names = np.select(
        [grade == "rail", grade == "path", grade == "lane", main, np.isin(grade, ("trunk", "primary", "secondary"))],
        ["rail", "path", "lane", "stone", "asphalt"], "street",
    )  # fmt: skip
    wide = shapely.buffer(roads.geometry, 0.5 * width + np.where(main, 3.5, 0.0), cap_style="square")
    order = np.lexsort((width, main))
    return wide[order], np.array([CODE[n] for n in names])[order]


def _ground(city: Modern, layers: Layers, batch: Buildings) -> tuple[NDArray[np.object_], NDArray[np.uint8]]:
    """Ground polygons from the lowest to the highest, and their classes."""
    roads, green, land = layers.roads, layers.green, layers.land
    code, found = land.columns["code"], list[tuple[NDArray[np.object_], NDArray[np.int64] | int]]()
    sand = shapely.union(shapely.buffer(shili_line_string(), 46.0), yu_polygon(24.0))
    found.append(
        (
            np.array([sand, shapely.buffer(shili_line_string(), 27.0)], dtype=object),
            np.array([CODE["bank"], CODE["sand"]]),
        )
    )
    parks = [shapely.box(1880, -4400, 2820, 4400), shapely.box(-1075, -1075, 1075, 1075)]
    verges = np.array([*parks, *shapely.box(*(city.used.box + np.array([-28, -28, 28, 28])).T)])
    found.append((verges, CODE["bank"]))
    found += [(land.geometry[code == name], CODE[kind]) for name, kind in _LAND.items()]
    inner = shapely.difference(shapely.box(-889, -899, 889, 899), shapely.box(-867, -877, 867, 877))
    found.append((np.array([inner], dtype=object), CODE["grass"]))
    for name, kind in (("park", "grass"), ("riverside", "bank"), ("forest", "forest")):
        found.append((green.geometry[green.columns["code"] == name], CODE[kind]))
    found += [(land.geometry[code == name], CODE[kind]) for name, kind in _GROUNDS.items()]
    halls = batch.take(np.flatnonzero((batch.function[:60] == FUNCTIONS.index("heritage")) & (batch.w[:60] > 10)))
    found.append((footprints(halls, 5.0), CODE["stone"]))
    palace = shapely.bounds(land.geometry[code == "palace"])
    if len(palace):
        axis = 0.5 * (palace[:, 0] + palace[:, 2])
        found.append((shapely.box(axis - 7, palace[:, 1], axis + 7, palace[:, 3]), CODE["stone"]))
    found += [(layers.water.geometry, CODE["water"]), (_weirs(), CODE["weir"]), _road_ground(roads)]
    split = (roads.columns["width"] >= 30) & (roads.columns["road_class"] != "rail")
    found.append((shapely.buffer(roads.geometry[split], 1.6, cap_style="flat"), CODE["median"]))
    ring = shapely.buffer(shapely.box(*(city.fields + np.array([30, 28, -30, -28])).T), 27.0)
    found += [
        (shapely.box(*city.fields.T), CODE["school"]),
        (ring, CODE["track"]),
        (shapely.buffer(ring, -9.0), CODE["pitch"]),
    ]
    geometry = np.concatenate([g for g, _ in found])
    return geometry, np.concatenate([np.broadcast_to(np.asarray(k), (len(g),)) for g, k in found]).astype(np.uint8)


def _weirs() -> NDArray[np.object_]:
    """The rubber weirs that hold the Yu River in the city."""
    v = np.array([-4100.0, -2350.0, -620.0, 1290.0, 3100.0])
    u = yu_line(v)
    return shapely.box(u - 76.0, v - 2.6, u + 76.0, v + 2.6)


def _relief(terrain: Terrain, extent: Extent) -> tuple[NDArray[np.float32], Floats]:
    """Height, slope, shade, northness and hilliness on a grid over the extent, and the grid's corner and step."""
    step = extent.dem_step
    uu, vv = np.meshgrid(*write.cells(write.bounds_of(extent), step, slice(None)))
    z = gaussian_filter(terrain.height(uu, vv), 0.8)
    gy, gx = np.gradient(z, step)
    gy = -gy
    slope = np.hypot(gx, gy)
    up, flat = np.sin(paint.SUN_ELEVATION), np.cos(paint.SUN_ELEVATION)
    shade = (up + 1.5 * flat * (gx * paint.SUN_U + gy * paint.SUN_V) * -1.0) / np.sqrt(1.0 + 2.25 * slope**2)
    shade = np.clip(0.40 + 0.60 * shade / up, 0.45, 1.25)
    north = -gy / np.maximum(slope, 1e-6) * np.clip(slope * 4.0, 0, 1)
    stack = np.stack([z, slope, shade, north, terrain.hills(uu, vv)]).astype(np.float32)
    return stack, np.array([extent.west, extent.north, step])


def scene(
    rng: np.random.Generator,
    made: tuple[Buildings, OldTown, Modern],
    first: int,
    layers: Layers,
    ground: tuple[Terrain, Extent],
) -> Scene:
    """Everything to paint, prepared once for all tiles.

    made    buildings, the old town, the city outside     first   lot number of the old town's first lot
    """
    batch, town, city = made
    geometry, classes = _ground(city, layers, batch)
    owner, plan = parts(batch)
    roofs = np.column_stack([plan, batch.height[owner]])
    low = np.argsort(roofs[:, 5], kind="stable")
    painted = [
        _cars(rng, layers.roads), _parked(rng, city), *_walls(town, layers.land, batch, first),
        (roofs[low], looks_of(batch)[owner][low]), _painted(wall_boxes(), paint.CRENEL, 134.0, 131.0, 126.0), _gates(),
    ]  # fmt: skip
    relief, box = _relief(*ground)
    grain = gaussian_filter(rng.standard_normal((256, 256)), 0.5, mode="wrap")
    return Scene(
        geometry, classes, shapely.STRtree(geometry), np.vstack([b for b, _ in painted]),
        np.vstack([k for _, k in painted]),
        _all_trees(rng, town, city, layers), relief, box, (0.5 * grain / grain.std()).astype(np.float32),
    )  # fmt: skip
