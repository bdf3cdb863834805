"""The orthophoto and the surface model of the sample, rendered from the same plan as every vector layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from ingest.datong.plan import Buildings, Floats, parts
from ingest.datong.terrain import Terrain
from ingest.sample import paint, soil, write
from ingest.sample.canvas import Scene, looks_of, wall_boxes

TILE = 1024
Box = tuple[float, float, float, float]
Tell = Callable[[str, int, int], None]
_TREELESS = (
    "asphalt", "street", "lane", "water", "pitch", "track", "rail", "brick", "path", "stone", "weir", "sand",
)  # fmt: skip
_FARTHEST = 170.0
_TOGETHER = 8


def _cover(made: Scene, box: Box, step: float, shape: tuple[int, int]) -> NDArray[np.uint8]:
    cover = np.zeros(shape, dtype=np.uint8)
    rows = np.sort(made.tree.query(shapely.box(*box)))
    if len(rows):
        shapes = zip(made.ground[rows], made.classes[rows].tolist(), strict=True)
        rasterio.features.rasterize(shapes, out=cover, transform=Affine(step, 0.0, box[0], 0.0, -step, box[3]))
    return cover


def _boxes_near(made: Scene, box: Box, step: float) -> NDArray[np.int64]:
    """Rows of boxes that a tile sees, with room for shadows; thin walls only where a pixel can show them."""
    u, v = made.boxes[:, 0], made.boxes[:, 1]
    size = 0.5 * np.hypot(made.boxes[:, 2], made.boxes[:, 3])
    near = (u > box[0] - _FARTHEST - size) & (u < box[2] + size)
    near &= (v > box[1] - _FARTHEST - size) & (v < box[3] + _FARTHEST + size)
    near &= (np.minimum(made.boxes[:, 2], made.boxes[:, 3]) > 0.45 * step) | (step < 1.0)
    return np.flatnonzero(near)


def _tile(made: Scene, box: Box, step: float, cover: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One finished tile (3, ny, nx) over its ground classes."""
    place = np.array([box[0], box[3], step])
    out, shadow = np.empty((3, *cover.shape), dtype=np.float32), np.zeros(cover.shape, dtype=np.float32)
    soil.ground(cover, place, made.relief, made.relief_box, made.noise, out)
    near = _boxes_near(made, box, step)
    boxes, looks = made.boxes[near], made.looks[near]
    paint.shadows(boxes, place, shadow)
    paint.darken(shadow, out)
    cars = looks[:, 0] == paint.CAR
    paint.roofs(boxes[cars], looks[cars], place, shadow, made.noise, out)
    u, v = made.spots[:, 0], made.spots[:, 1]
    seen = (u > box[0] - 9) & (u < box[2] + 9) & (v > box[1] - 9) & (v < box[3] + 9)
    allowed = ~np.isin(soil.CLASSES, _TREELESS)
    paint.trees(made.spots[seen], place, cover, allowed, shadow, out)
    paint.roofs(boxes[~cars], looks[~cars], place, shadow, made.noise, out)
    picture = np.empty(out.shape, dtype=np.uint8)
    paint.develop(out, picture)
    return picture


def render(path: Path, made: Scene, bounds: Box, step: float, tell: Tell | None = None) -> None:
    """Paint an orthophoto into a tiled GeoTIFF with overviews."""
    with write.raster(path, bounds, step, 3) as file, ThreadPoolExecutor(2) as pool:
        windows = list(_windows(*file.shape))
        # GDAL is called from this thread alone; only the brushes, which hold no lock, run beside each other.
        for start in range(0, len(windows), _TOGETHER):
            group = windows[start : start + _TOGETHER]
            boxes = [_box(bounds, window, step) for window in group]
            covers = [_cover(made, b, step, (w.height, w.width)) for b, w in zip(boxes, group, strict=True)]
            tiles = pool.map(lambda box, cover: _tile(made, box, step, cover), boxes, covers)
            for window, tile in zip(group, list(tiles), strict=True):
                file.write(tile, window=window)
            if tell is not None:
                tell(f"orthophoto {step:g} m", start + len(group), len(windows))
    write.overviews(path)


def _box(bounds: Box, window: Window, step: float) -> Box:
    west, north = bounds[0] + window.col_off * step, bounds[3] - window.row_off * step
    return west, north - window.height * step, west + window.width * step, north


def _windows(ny: int, nx: int) -> Iterator[Window]:
    for row in range(0, ny, TILE):
        for col in range(0, nx, TILE):
            yield Window(col, row, min(TILE, nx - col), min(TILE, ny - row))


def surface(path: Path, batch: Buildings, terrain: Terrain, bounds: Box, step: float) -> None:
    """A surface model over `bounds`: ground, roofs with their pitch, the wall; heights in the 1985 datum."""
    z = terrain.height(*np.meshgrid(*write.cells(bounds, step, slice(None)))).astype(np.float32)
    owner, plan = parts(batch)
    wall = wall_boxes()
    boxes: Floats = np.vstack([np.column_stack([plan, batch.eave[owner]]), wall])
    kinds = np.concatenate([looks_of(batch)[owner, 0], np.full(len(wall), paint.CRENEL)])
    rise = np.concatenate([(batch.height - batch.eave)[owner], np.zeros(len(wall))])
    near = (np.abs(boxes[:, 0]) < bounds[2] + 30) & (np.abs(boxes[:, 1]) < bounds[3] + 30)
    paint.heights(boxes[near], kinds[near], rise[near], np.array([bounds[0], bounds[3], step]), z)
    with write.raster(path, bounds, step, 1) as file:
        file.write(np.round(z, 2), 1)
