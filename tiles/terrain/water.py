"""Where the ground is water: the share of every cell of a tile that lies under the polygons of the water layer.

Shares are exact areas, not samples: the signed area between every edge and the right border is summed cell by cell and
then along rows, so a pond below a cell still counts at coarse levels, and no seam shows between tiles.

source  Levien 2016, font-rs: accumulation of signed areas; the mask itself is Cesium quantized-mesh-1.0, extension 2
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.terrain.quantized_mesh import MASK
from twin.features import Layer

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

_LONGEST = 1000.0
_AT_ONCE = 20_000
_POLYGON = 3
_WET = 255


@dataclass(frozen=True, slots=True)
class Water:
    """The edges of all water, and which of them are near.

    tree        of the polygons, degrees
    edges       (m, 4) f8 from longitude, latitude to longitude, latitude; water lies to the left
    starts      (n + 1,) first edge of every polygon
    """

    tree: shapely.STRtree
    edges: Floats
    starts: NDArray[np.int64]

    def near(self, bounds: Bounds) -> Floats:
        """Edges (k, 4) of the polygons that may meet (west, south, east, north), in the order of the layer."""
        found = np.sort(self.tree.query(shapely.box(*bounds)))
        count = self.starts[found + 1] - self.starts[found]
        first = np.repeat(self.starts[found] - np.cumsum(count) + count, count)
        return self.edges[first + np.arange(len(first))]


def water_of(layer: Layer) -> Water:
    """The polygons of a layer on the geographic grid; what has no area is left out.

    Edges are bent every kilometre, else a straight line of the frame would not be one of the grid.
    """
    shapes = layer.geometry[~shapely.is_missing(layer.geometry)]
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken])
    parts = shapely.get_parts(shapely.get_parts(shapes))
    parts = parts[(shapely.get_type_id(parts) == _POLYGON) & ~shapely.is_empty(parts)]
    bent = shapely.segmentize(parts, _LONGEST)
    polygons = shapely.orient_polygons(shapely.transform(bent, layer.frame.to_lonlat))
    rings, owner = shapely.get_rings(polygons, return_index=True)
    corners, ring = shapely.get_coordinates(rings, return_index=True)
    along = ring[1:] == ring[:-1]
    edges = np.hstack([corners[:-1], corners[1:]])[along]
    starts = np.searchsorted(owner[ring[:-1][along]] if len(ring) else owner, np.arange(len(polygons) + 1))
    return Water(shapely.STRtree(polygons), edges, starts)


def masks(edges: Floats, bounds: Bounds, tiles: int) -> NDArray[np.uint8]:
    """Masks (tiles, MASK, MASK) u1 of a row of tiles from west to east: 0 land, 255 water, between on shores.

    edges       (k, 4) degrees, as `Water.near` gives them for the bounds
    bounds      (west, south, east, north) of the whole row, degrees
    Rows go from north to south and columns from west to east, as the format wants.
    """
    west, south, east, north = bounds
    shape = MASK, tiles * MASK
    x = (edges[:, 0::2] - west) / (east - west) * shape[1]
    y = (north - edges[:, 1::2]) / (north - south) * MASK
    share = np.minimum(np.abs(_shares(x, y, shape)), 1.0)
    whole = np.round(share * _WET).astype(np.uint8)
    return np.ascontiguousarray(whole.reshape(MASK, tiles, MASK).transpose(1, 0, 2))


def _shares(x: Floats, y: Floats, shape: tuple[int, int]) -> Floats:
    """Signed covered share of every cell; x, y (k, 2) ends of edges in cells from the upper left."""
    rows, cols = shape
    # What lies beside or right of the rows bounds no water in them.
    meets = (y.max(axis=1) > 0.0) & (y.min(axis=1) < rows) & (x.min(axis=1) < cols)
    x, y = x[meets], y[meets]
    sums = np.zeros(rows * (cols + 1))
    for k in range(0, len(x), _AT_ONCE):
        sums += _accumulated(x[k : k + _AT_ONCE], y[k : k + _AT_ONCE], shape)
    shares: Floats = np.cumsum(sums.reshape(rows, cols + 1), axis=1)[:, :cols]
    return shares


def _accumulated(x: Floats, y: Floats, shape: tuple[int, int]) -> Floats:
    """What edges add to every cell (rows * (cols + 1),), before it is summed along the rows."""
    rows, cols = shape
    y, x = _within(y, x, rows)
    x, y = _within(x, y, cols)
    y, x = _cut(y, x)
    x, y = _cut(x, y)
    row = np.minimum(np.floor(y.mean(axis=1)), rows - 1).astype(np.int64)
    middle = x.mean(axis=1)
    col = np.minimum(np.floor(middle), cols - 1).astype(np.int64)
    fall, left = y[:, 1] - y[:, 0], middle - col
    cells = row * (cols + 1) + col
    weights = np.concatenate([fall * (1.0 - left), fall * left])
    return np.bincount(np.concatenate([cells, cells + 1]), weights, rows * (cols + 1))


def _within(a: Floats, b: Floats, most: int) -> tuple[Floats, Floats]:
    """Edges in three pieces each, those before 0 or beyond `most` of the first coordinate laid onto that border."""
    step = np.diff(a, axis=1)
    flat = step == 0.0
    share = np.clip((np.array([0.0, most]) - a[:, :1]) / np.where(flat, 1.0, step), 0.0, 1.0)
    share = np.sort(np.where(flat, 0.0, share), axis=1)
    ends = np.hstack([np.zeros_like(step), share, np.ones_like(step)])
    first, second = (
        np.stack([at[:, :-1], at[:, 1:]], axis=2).reshape(-1, 2)
        for at in (np.clip(_at(a, ends), 0.0, most), _at(b, ends))
    )
    return first, second


def _cut(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Edges cut wherever the first coordinate is whole, so that each piece lies in one cell of it."""
    low, high = np.floor(a.min(axis=1)), np.ceil(a.max(axis=1))
    pieces = np.maximum(high - low, 1.0).astype(np.int64)
    owner = np.repeat(np.arange(len(a)), pieces)
    k = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    a, b, low = a[owner], b[owner], low[owner]
    step = a[:, 1] - a[:, 0]
    flat = step == 0.0
    marks = low[:, None] + k[:, None] + np.array([0.0, 1.0])
    share = (marks - a[:, :1]) / np.where(flat, 1.0, step)[:, None]
    ends = np.clip(np.sort(share, axis=1), 0.0, 1.0)
    ends[flat] = (0.0, 1.0)
    return _at(a, ends), _at(b, ends)


def _at(line: Floats, share: Floats) -> Floats:
    return line[:, :1] * (1.0 - share) + line[:, 1:] * share
