"""Where buildings stand: no base above the relief anywhere along its outline."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from models_l2.footprints import Rings
from twin.analysis.heights import Segments, outline_range, surface_medians
from twin.analysis.shells import ground_rims
from twin.city import City
from twin.features import Objects
from twin.grid import Bounds, GeoBox, Raster
from twin.meshes import Solids, Surface
from twin.store.protocol import Store

Floats = NDArray[np.float64]

EXTRAPOLATED = "地面外推 / ground extrapolated"
GAPS = {"1mm": 0.001, "1cm": 0.01, "10cm": 0.1}
STEPS = {"0.5m": 0.5, "1m": 1.0, "2m": 2.0, "5m": 5.0}
_COARSE = 1024


@dataclass(frozen=True, slots=True)
class Stand:
    """How n buildings meet the relief.

    base_z         (n,) f8 m, lowest relief along the outline: the building reaches the ground everywhere
    ground_z       (n,) f8 m, median relief under the footprint: heights count from here
    highest_z      (n,) f8 m, highest relief along the outline
    extrapolated   (n,) bool, part of the outline lies where the relief is unknown
    """

    base_z: Floats
    ground_z: Floats
    highest_z: Floats
    extrapolated: NDArray[np.bool_]

    @staticmethod
    def unknown(n: int) -> Stand:
        """n buildings of which nothing is known yet."""
        return Stand(np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, bool))

    def take(self, rows: NDArray[np.int64]) -> Stand:
        """The buildings at `rows` (k,), in that order."""
        return Stand(self.base_z[rows], self.ground_z[rows], self.highest_z[rows], self.extrapolated[rows])


def stand(rings: Rings, polygons: Objects, relief: Raster, whole: Raster) -> Stand:
    """Base and ground of every building (n,) against the relief; NaN for buildings without rings.

    relief    as it is: where an outline meets unknown cells or leaves it, the ground is extrapolated
    whole     the same without unknown cells; beyond its edge it goes on level
    """
    low, high = outline_range(ring_segments(rings), whole, rings.n)
    ground = surface_medians(polygons, whole)
    off = np.isnan(relief.sample(rings.xy, "nearest"))
    outside = np.bincount(rings.owner[rings.vertex_ring()], weights=off, minlength=rings.n) > 0
    middle = np.where(np.isnan(ground), 0.5 * (low + high), ground)
    return Stand(low, np.maximum(middle, low), high, outside)


def ground_gap(solids: Solids, relief: Raster) -> Floats:
    """Base height minus the lowest relief along the outline (b,) f8 m: 0 stands, above 0 floats, below 0 is sunk.

    solids   any with GROUND faces; the outline is where ground faces end
    relief   the raster `relief` of the store, or the part of it around the solids
    """
    segments, base = _ground_outline(solids)
    low, _ = outline_range(segments, extend(relief), len(solids))
    return base - low


def gap_table(gap: Floats, step: Floats) -> dict[str, float | int]:
    """How n buildings meet the ground: the largest gap and step, and how many have one larger than each bound.

    gap     (n,) f8 m, base above the lowest relief along the outline: above 0 floats, below 0 is sunk
    step    (n,) f8 m, how much higher the ground stands at the uphill side than at the base: so deep it is buried there
    """
    off = np.abs(gap)
    return {
        "ground_gap_max_m": round(float(off.max(initial=0.0)), 3),
        **{f"ground_gap_over_{word}": int((off > bound).sum()) for word, bound in GAPS.items()},
        "ground_step_max_m": round(float(step.max(initial=0.0)), 3),
        **{f"ground_step_over_{word}": int((step > bound).sum()) for word, bound in STEPS.items()},
    }


def ring_segments(rings: Rings) -> Segments:
    """The edges of all rings, in the order of the buildings."""
    return Segments(rings.xy, rings.xy[rings.following()], rings.owner[rings.vertex_ring()])


def extend(relief: Raster) -> Raster:
    """The same raster as f8 without unknown cells: each takes the value of the nearest known one."""
    unknown = ~relief.valid
    values = relief.values.astype(np.float64)
    if unknown.any():
        nearest = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
        values = values[tuple(nearest)]
    return replace(relief, values=values, nodata=np.nan)


def read_relief(store: Store, bounds: Bounds) -> tuple[Raster, Raster]:
    """The window of the relief that decides about `bounds`: as it is, and without unknown cells.

    Where `bounds` lie outside, the window is the nearest edge. Unknown cells take the nearest known value of the whole
    relief seen coarsely, so that the same place gets the same value whatever the window.
    """
    return _read_window(store, "relief", bounds)


def _read_window(store: Store, name: str, bounds: Bounds) -> tuple[Raster, Raster]:
    box = store.raster_box(name)
    relief = store.read_raster(name, bounds=_clamped(box, bounds))
    known = relief.valid
    if known.all():
        return relief, extend(relief)
    ny, nx = box.shape
    coarse = extend(store.read_raster(name, shape=(min(ny, _COARSE), min(nx, _COARSE))))
    x, y = np.meshgrid(*relief.geobox.centers())
    far = coarse.sample(np.column_stack([x[~known], y[~known]]), "nearest")
    values = relief.values.astype(np.float64)
    values[~known] = far
    return relief, replace(relief, values=values)


def read_around(store: Store, name: str, bounds: Bounds) -> Raster:
    """The window of a terrain raster that decides about `bounds`, without unknown cells; see `read_relief`."""
    return _read_window(store, name, bounds)[1]


def meets(box: GeoBox, bounds: Bounds) -> bool:
    """True where `bounds` and the box share some ground."""
    xmin, ymin, xmax, ymax = box.bounds
    return bool(bounds[0] < xmax and bounds[2] > xmin and bounds[1] < ymax and bounds[3] > ymin)


def _clamped(box: GeoBox, bounds: Bounds) -> Bounds:
    xmin, ymin, xmax, ymax = box.bounds
    dx, dy = box.resolution
    x = np.clip([bounds[0], bounds[2]], xmin + dx, xmax - dx)
    y = np.clip([bounds[1], bounds[3]], ymin + dy, ymax - dy)
    return float(x[0] - 2.5 * dx), float(y[0] - 2.5 * dy), float(x[1] + 2.5 * dx), float(y[1] + 2.5 * dy)


def _ground_outline(solids: Solids) -> tuple[Segments, Floats]:
    """Edges of ground faces that no other ground face shares, and the lowest ground vertex (b,) of every solid."""
    ground = solids.surface == Surface.GROUND
    corner, owner, base = ground_rims(solids.vertices, solids.faces, solids.face_offset, ground)
    xy = solids.vertices[:, :2]
    return Segments(xy[corner[:, 0]], xy[corner[:, 1]], owner), base


def bounds_of(polygons: Objects) -> Bounds:
    """(xmin, ymin, xmax, ymax) of polygons (n,), m; NaN where all are empty."""
    xmin, ymin, xmax, ymax = (float(v) for v in shapely.total_bounds(polygons))
    return xmin, ymin, xmax, ymax


def ground_gaps(city: City, solids: Solids) -> Floats:
    """`ground_gap` (b,) of solids that lie close together, against the relief of the city's store."""
    return ground_gap(solids, read_around(city.store, "relief", solids.bounds))
