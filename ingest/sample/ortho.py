"""The orthophoto and the surface model of the sample, rendered from the same plan as every vector layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter

from ingest.sample import blocks, paint, write
from ingest.sample.modern import Modern
from ingest.sample.network import Table
from ingest.sample.oldtown import OldTown
from ingest.sample.plan import FUNCTIONS, ROOFS, WALL_HALF_U, WALL_HALF_V, Buildings, Extent, Floats, parts
from ingest.sample.terrain import Terrain

TILE = 1024
Tell = Callable[[str, int, int], None]
_KINDS = {
    "flat": paint.FLAT,
    "yingshan": paint.GABLE,
    "xuanshan": paint.GABLE,
    "gable": paint.GABLE,
    "shed": paint.SHED,
}
_LANDUSE = {
    "temple": paint.TEMPLE, "palace": paint.TEMPLE, "plaza": paint.STONE, "residential": paint.YARD,
    "commercial": paint.PAVING, "office": paint.PAVING, "education": paint.SCHOOL, "medical": paint.PAVING,
    "industrial": paint.WORKS, "park": paint.GRASS, "village": paint.VILLAGE, "mine": paint.MINE,
}  # fmt: skip
_TREELESS = (
    paint.ASPHALT, paint.STREET, paint.LANE, paint.WATER, paint.PITCH, paint.TRACK, paint.RAIL, paint.BRICK, paint.PATH,
    paint.STONE,
)  # fmt: skip
_FLAT_TONES = np.array(
    [(150, 147, 141), (136, 134, 130), (163, 160, 153), (126, 121, 114), (144, 132, 120), (170, 167, 161)]
)
_SHED_TONES = np.array([(98, 117, 134), (152, 150, 146), (139, 101, 86), (128, 131, 132), (112, 128, 140)])
_GABLE_TONES = np.array([(139, 92, 78), (128, 99, 86), (109, 112, 116), (148, 106, 88)])
_TILE_TONES = np.array([(93, 94, 94), (101, 100, 98), (87, 88, 90), (108, 104, 99), (97, 95, 91)])
_CARS = np.array([(214, 214, 212), (60, 62, 66), (176, 178, 180), (120, 52, 46), (70, 84, 104), (205, 200, 190)])


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is painted, in town coordinates.

    ground  polygons from the lowest to the highest with their class      tree    its index
    boxes   (m, 6) u, v, w, d, angle, height of roofs, cars and the wall  looks   (m, 5) see paint.roofs
    spots   (t, 3) trees        relief, relief_box, noise   see paint.ground
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


def _looks(batch: Buildings) -> Floats:
    """Roof kind, colour and trim of every building (n, 5)."""
    kinds = np.array([_KINDS.get(name, paint.HIP) for name in ROOFS], dtype=np.float64)[batch.roof]
    pick = np.clip(batch.tint, 0.0, 0.999)
    tone = np.select(
        [(kinds == paint.FLAT)[:, None], (kinds == paint.SHED)[:, None], (batch.roof == ROOFS.index("gable"))[:, None]],
        [t[(pick * len(t)).astype(int)] for t in (_FLAT_TONES, _SHED_TONES, _GABLE_TONES)],
        _TILE_TONES[(pick * len(_TILE_TONES)).astype(int)],
    ).astype(np.float64)
    palace = batch.heritage == "daiwang_palace"
    dragon = batch.heritage == "nine_dragon_wall"
    great = batch.function == FUNCTIONS.index("heritage")
    tone[palace | dragon] = (84, 108, 84)
    tone *= 1.0 + 0.10 * (np.modf(batch.u * 0.371 + batch.v * 0.173)[0][:, None])
    trim = np.where(palace | dragon, 2.0, np.where(great & (kinds == paint.HIP), 1.0, 0.0))
    return np.column_stack([kinds, tone, trim])


def wall_boxes() -> Floats:
    """The wall as boxes (m, 6): four sides, twelve bastions a side, towers stand apart."""
    a, b, top = WALL_HALF_U, WALL_HALF_V, 12.0
    sides = [(0, b, 2 * a + top, top), (0, -b, 2 * a + top, top), (a, 0, top, 2 * b), (-a, 0, top, 2 * b)]
    at = (np.arange(12) - 5.5) / 12.0
    for s in (-1, 1):
        sides += [(t * 2 * a, s * (b + 10.0), 15.0, 9.0) for t in at]
        sides += [(s * (a + 10.0), t * 2 * b, 9.0, 15.0) for t in at]
    plan = np.array(sides, dtype=np.float64)
    return np.column_stack([plan, np.zeros(len(plan)), np.full(len(plan), 14.0)])


def _gates() -> tuple[Floats, Floats]:
    """Gate and corner towers as roofs over the wall."""
    a, b = WALL_HALF_U, WALL_HALF_V
    spots = [(0, b, 38, 15), (0, -b, 38, 15), (a, 0, 15, 38), (-a, 0, 15, 38)]
    spots += [(s * a, t * b, 16, 16) for s in (-1, 1) for t in (-1, 1)]
    plan = np.array(spots, dtype=np.float64)
    boxes = np.column_stack([plan, np.zeros(len(plan)), np.full(len(plan), 32.0)])
    return boxes, np.tile([paint.HIP, 92.0, 93.0, 93.0, 1.0], (len(plan), 1))


def _cars(rng: np.random.Generator, roads: Table) -> tuple[Floats, Floats]:
    busy = np.isin(roads.columns["road_class"], ("trunk", "primary", "secondary", "tertiary"))
    lines, width = roads.geometry[busy], roads.columns["width"][busy]
    count = rng.poisson(shapely.length(lines) * width / 1500.0)
    row = np.repeat(np.arange(len(lines)), count)
    at = rng.random(len(row)) * shapely.length(lines)[row]
    here = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], at))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], at + 1.0)) - here
    angle = np.arctan2(ahead[:, 1], ahead[:, 0])
    side = rng.choice([-1.0, 1.0], len(row)) * rng.uniform(0.12, 0.38, len(row)) * width[row]
    here = here + np.column_stack([-np.sin(angle), np.cos(angle)]) * side[:, None]
    boxes = np.column_stack([here, np.full(len(row), 4.6), np.full(len(row), 1.9), angle, np.full(len(row), 1.4)])
    return boxes, np.column_stack(
        [np.full(len(row), paint.CAR), _CARS[rng.integers(0, 6, len(row))], np.zeros(len(row))]
    )


def _scatter(rng: np.random.Generator, boxes: Floats, each: float) -> Floats:
    """Random points in rectangles, one per `each` m2."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    row = np.repeat(np.arange(len(boxes)), (area / each).astype(int))
    return boxes[row, :2] + rng.random((len(row), 2)) * (boxes[row, 2:] - boxes[row, :2])


def _avenue_trees(rng: np.random.Generator, roads: Table) -> Floats:
    lined = np.isin(roads.columns["road_class"], ("trunk", "primary", "secondary", "tertiary", "residential", "path"))
    lines, width = roads.geometry[lined], roads.columns["width"][lined]
    rural = roads.columns["road_class"][lined] == "path"
    spacing = np.where(rural, 19.0, np.where(width > 20, 7.5, 10.0))
    row = np.repeat(np.arange(len(lines)), np.maximum(0, shapely.length(lines) / spacing).astype(int) * 2)
    at = rng.random(len(row)) * shapely.length(lines)[row]
    here = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], at))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], at + 0.5)) - here
    ahead = ahead / np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    off = (0.5 * width[row] + rng.uniform(2.0, 4.2, len(row))) * rng.choice([-1.0, 1.0], len(row))
    return here + np.column_stack([-ahead[:, 1], ahead[:, 0]]) * off[:, None]


def _all_trees(rng: np.random.Generator, town: OldTown, city: Modern, roads: Table, green: Table) -> Floats:
    used = city.used
    homes = np.isin(used.kind, (blocks.SLABS, blocks.MIDRISE, blocks.TOWERS, blocks.SCHOOL, blocks.HOSPITAL))
    groups = [
        (_avenue_trees(rng, roads), 1.6, 3.0), (_scatter(rng, used.box[homes], 230.0), 1.3, 2.6),
        (_scatter(rng, used.box[used.kind == blocks.YARDS], 420.0), 1.5, 2.8),
        (_scatter(rng, used.box[used.kind == blocks.OFFICES], 420.0), 1.3, 2.4),
    ]  # fmt: skip
    for code, each in (("park", 75.0), ("riverside", 170.0)):
        some = green.geometry[green.columns["code"] == code]
        points = _scatter(rng, shapely.bounds(some), each) if len(some) else np.empty((0, 2))
        inside = shapely.STRtree(some).query(shapely.points(points), predicate="intersects")[0] if len(some) else []
        groups.append((points[np.unique(inside).astype(int)], 1.6, 3.4))
    spots = [np.column_stack([xy, rng.uniform(low, high, len(xy))]) for xy, low, high in groups]
    return np.vstack([town.trees, *spots])


def _ground(
    city: Modern, roads: Table, water: Table, green: Table, land: Table
) -> tuple[NDArray[np.object_], NDArray[np.uint8]]:
    """Ground polygons from the lowest to the highest, and their classes."""
    layers: list[tuple[NDArray[np.object_], NDArray[np.int64] | int]] = []
    code = land.columns["code"]
    for name in (
        "ancient_city",
        "residential",
        "village",
        "commercial",
        "office",
        "education",
        "medical",
        "industrial",
        "park",
        "mine",
    ):
        layers.append((land.geometry[code == name], paint.OLD_GROUND if name == "ancient_city" else _LANDUSE[name]))
    cover = {"park": paint.GRASS, "riverside": paint.BANK, "forest": paint.FOREST}
    for name, kind in cover.items():
        layers.append((green.geometry[green.columns["code"] == name], kind))
    for name in ("temple", "palace", "plaza"):
        layers.append((land.geometry[code == name], _LANDUSE[name]))
    layers.append((water.geometry, paint.WATER))
    grade, width = roads.columns["road_class"], roads.columns["width"]
    town = shapely.within(roads.geometry, shapely.box(-870, -880, 870, 880))
    kind = np.select(
        [grade == "rail", grade == "path", grade == "lane", town & (width > 20), town, np.isin(grade, ("trunk", "primary", "secondary"))],
        [paint.RAIL, paint.PATH, paint.LANE, paint.STONE, paint.STREET, paint.ASPHALT], paint.STREET,
    )  # fmt: skip
    wide = shapely.buffer(roads.geometry, 0.5 * width + np.where(town & (width > 20), 3.5, 0.0), cap_style="square")
    order = np.argsort(width, kind="stable")
    layers.append((wide[order], kind[order]))
    split = (width >= 30) & (grade != "rail")
    layers.append((shapely.buffer(roads.geometry[split], 1.6, cap_style="flat"), paint.MEDIAN))
    tracks = shapely.box(*city.fields.T)
    ring = shapely.buffer(shapely.box(*(city.fields + (30, 28, -30, -28)).T), 27.0)
    layers += [(tracks, paint.SCHOOL), (ring, paint.TRACK), (shapely.buffer(ring, -9.0), paint.PITCH)]
    geometry = np.concatenate([g for g, _ in layers])
    classes = np.concatenate([np.broadcast_to(np.asarray(k), (len(g),)) for g, k in layers]).astype(np.uint8)
    return geometry, classes


def _relief(terrain: Terrain, extent: Extent) -> tuple[NDArray[np.float32], Floats]:
    """Height, slope, shade, northness and hilliness on a 20 m grid over the extent."""
    step = 20.0
    u, v = write.cells(write.bounds_of(extent), step, slice(None))
    uu, vv = np.meshgrid(u, v)
    z = terrain.height(uu, vv)
    gy, gx = np.gradient(z, step)
    gy = -gy
    norm = np.sqrt(1.0 + 2.2 * 2.2 * (gx**2 + gy**2))
    up, flat = np.sin(paint.SUN_ELEVATION), np.cos(paint.SUN_ELEVATION)
    shade = (up - 2.2 * flat * (gx * paint.SUN_U + gy * paint.SUN_V)) / norm
    shade = np.clip(0.45 + 0.55 * shade / up, 0.42, 1.22)
    slope = np.hypot(gx, gy)
    north = -gy / np.maximum(slope, 1e-6) * np.clip(slope * 4.0, 0, 1)
    hilly = gaussian_filter(terrain.hills(uu, vv), 1.0)
    stack = np.stack([z, slope, shade, -north, hilly]).astype(np.float32)
    return stack, np.array([extent.west, extent.north, step])


@dataclass(frozen=True, slots=True)
class Layers:
    """The vector layers a picture is painted from."""

    roads: Table
    water: Table
    green: Table
    land: Table


def scene(
    rng: np.random.Generator,
    batch: Buildings,
    town: OldTown,
    city: Modern,
    layers: Layers,
    terrain: Terrain,
    extent: Extent,
) -> Scene:  # noqa: PLR0913
    """Everything to paint, prepared once for all tiles."""
    geometry, classes = _ground(city, layers.roads, layers.water, layers.green, layers.land)
    owner, plan = parts(batch)
    roofs = np.column_stack([plan, batch.height[owner]])
    low = np.argsort(roofs[:, 5], kind="stable")
    wall, (gates, gate_looks), (cars, car_looks) = wall_boxes(), _gates(), _cars(rng, layers.roads)
    wall_looks = np.tile([paint.CRENEL, 134.0, 127.0, 117.0, 0.0], (len(wall), 1))
    relief, box = _relief(terrain, extent)
    return Scene(
        geometry, classes, shapely.STRtree(geometry), np.vstack([cars, roofs[low], wall, gates]),
        np.vstack([car_looks, _looks(batch)[owner][low], wall_looks, gate_looks]),
        _all_trees(rng, town, city, layers.roads, layers.green), relief, box,
        gaussian_filter(rng.standard_normal((256, 256)), 0.5, mode="wrap").astype(np.float32) / 0.62 * 0.55,
    )  # fmt: skip


def _tile(made: Scene, west: float, north: float, step: float, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """One finished tile (3, ny, nx)."""
    east, south = west + shape[1] * step, north - shape[0] * step
    rows = np.sort(made.tree.query(shapely.box(west, south, east, north)))
    cover = np.zeros(shape, dtype=np.uint8)
    if len(rows):
        shapes = zip(made.ground[rows], made.classes[rows].tolist(), strict=True)
        rasterio.features.rasterize(shapes, out=cover, transform=from_origin(west, north, step, step))
    origin, reach = np.array([west, north]), 160.0
    out = np.empty((3, *shape), dtype=np.float32)
    paint.ground(cover, origin, step, made.relief, made.relief_box, made.noise, out)
    u, v = made.boxes[:, 0], made.boxes[:, 1]
    size = 0.5 * np.hypot(made.boxes[:, 2], made.boxes[:, 3])
    near = (u > west - reach - size) & (u < east + size) & (v > south - reach - size) & (v < north + reach + size)
    shadow = np.zeros(shape, dtype=np.float32)
    paint.shadows(made.boxes[near], origin, step, shadow)
    paint.darken(shadow, out)
    spots = made.spots[
        (made.spots[:, 0] > west - 9)
        & (made.spots[:, 0] < east + 9)
        & (made.spots[:, 1] > south - 9)
        & (made.spots[:, 1] < north + 9)
    ]
    allowed = np.ones(len(paint.GROUND), dtype=np.bool_)
    allowed[list(_TREELESS)] = False
    paint.trees(spots, origin, step, cover, allowed, shadow, out)
    paint.roofs(made.boxes[near], made.looks[near], origin, step, shadow, made.noise, out)
    return np.clip(out + 0.5, 1.0, 255.0).astype(np.uint8)


def render(
    path: Path, made: Scene, bounds: tuple[float, float, float, float], step: float, tell: Tell | None = None
) -> None:
    """Paint an orthophoto into a tiled GeoTIFF with overviews."""
    with write.raster(path, bounds, step, 3) as file, ThreadPoolExecutor(2) as pool:
        windows = list(_windows(*file.shape))

        def work(window: Window) -> NDArray[np.uint8]:
            west, north = bounds[0] + window.col_off * step, bounds[3] - window.row_off * step
            return _tile(made, west, north, step, (window.height, window.width))

        for done, (window, tile) in enumerate(zip(windows, pool.map(work, windows), strict=True)):
            file.write(tile, window=window)
            if tell is not None:
                tell(f"orthophoto {step:g} m", done + 1, len(windows))
    write.overviews(path)


def _windows(ny: int, nx: int) -> Iterator[Window]:
    for row in range(0, ny, TILE):
        for col in range(0, nx, TILE):
            yield Window(col, row, min(TILE, nx - col), min(TILE, ny - row))


def surface(
    path: Path, batch: Buildings, terrain: Terrain, bounds: tuple[float, float, float, float], step: float
) -> None:
    """A surface model over `bounds`: ground, roofs with their pitch, the wall; heights in the 1985 datum."""
    u, v = write.cells(bounds, step, slice(None))
    z = terrain.height(*np.meshgrid(u, v)).astype(np.float32)
    owner, plan = parts(batch)
    boxes = np.vstack([np.column_stack([plan, batch.eave[owner]]), wall_boxes()])
    kinds = np.concatenate([_looks(batch)[owner, 0], np.full(len(wall_boxes()), paint.CRENEL)])
    rise = np.concatenate([(batch.height - batch.eave)[owner], np.zeros(len(wall_boxes()))])
    near = (np.abs(boxes[:, 0]) < bounds[2] + 30) & (np.abs(boxes[:, 1]) < bounds[3] + 30)
    paint.heights(boxes[near], kinds[near], rise[near], np.array([bounds[0], bounds[3]]), step, z)
    with write.raster(path, bounds, step, 1) as file:
        file.write(np.round(z, 2), 1)
