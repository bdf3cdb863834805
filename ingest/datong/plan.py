"""The words of the sample: where the town lies, how much of it is made, buildings as arrays of oriented rectangles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.frames import Frame

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]

CENTRE_LON, CENTRE_LAT = 113.2953, 40.0923
FRAME = Frame(crs="EPSG:4547", vertical="1985", geoid_undulation=-14.0, origin=(439900.0, 4440020.0, 1045.0))
ORIGIN = FRAME.from_lonlat([[CENTRE_LON, CENTRE_LAT]])[0].round(1)

WALL_HALF_U, WALL_HALF_V = 900.0, 910.0

RECT, ELL, YOU, OCTAGON = 0, 1, 2, 3
FUNCTIONS = (
    "residential", "commercial", "industrial", "public", "religious", "heritage", "education", "medical", "office",
    "transport", "agricultural", "mine", "unknown",
)  # fmt: skip
STRUCTURES = ("timber", "adobe", "masonry", "rc", "steel", "unknown")
ROOFS = ("flat", "yingshan", "xuanshan", "xieshan", "wudian", "cuanjian", "shizi_xieshan", "gable", "shed")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is made: bounds of the terrain in town coordinates (m east and north of the archways) and pixel sizes.

    small       True for the reduced city that tests use
    """

    west: float
    south: float
    east: float
    north: float
    dem_step: float
    ortho_step: float
    fine_step: float
    dsm_step: float
    small: bool

    @staticmethod
    def of(scale: int) -> Extent:
        """The whole 24 x 20 km, or 4.4 x 4 km around the walled town where fewer than 2,000 buildings are asked for."""
        x, y = ORIGIN
        if scale < 2000:
            return Extent(438600 - x, 4438000 - y, 443000 - x, 4442000 - y, 10.0, 8.0, 3.0, 5.0, True)
        return Extent(427400 - x, 4430000 - y, 451400 - x, 4450000 - y, 10.0, 2.0, 0.5, 2.0, False)

    def inside(self, u: Floats, v: Floats, margin: float = 0.0) -> NDArray[np.bool_]:
        """True where a point lies inside the bounds by at least `margin` metres."""
        west, east = self.west + margin, self.east - margin
        return (u > west) & (u < east) & (v > self.south + margin) & (v < self.north - margin)


@dataclass(frozen=True, slots=True)
class Buildings:
    """Struct of arrays, one row per building; a plan is a rectangle, an L, a U or an octagon inside `w` x `d`.

    u, v        plan centre, m east and north of the archways         w, d    size along and across its own x axis, m
    angle       rotation anticlockwise, radians                       shape   RECT, ELL, YOU or OCTAGON
    height      true height of the highest roof line above ground, m  eave    true eave height, m
    lot         number of the address lot it stands on, -1 none       tint    0..1, picks the roof colour
    function, structure, roof   index into FUNCTIONS, STRUCTURES, ROOFS
    """

    u: Floats
    v: Floats
    w: Floats
    d: Floats
    angle: Floats
    shape: NDArray[np.int8]
    storeys: Floats
    height: Floats
    eave: Floats
    function: NDArray[np.int8]
    structure: NDArray[np.int8]
    roof: NDArray[np.int8]
    year: Floats
    lot: NDArray[np.int64]
    tint: Floats
    name: Texts
    name_en: Texts
    heritage: Texts

    def __len__(self) -> int:
        return len(self.u)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Buildings:
        """The rows of an index, a mask or a slice, in its order."""
        return Buildings(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def with_lots(self, first: int) -> Buildings:
        """The same rows with lot numbers moved up by `first`."""
        return replace(self, lot=np.where(self.lot >= 0, self.lot + first, -1))

    @staticmethod
    def join(batches: Iterable[Buildings]) -> Buildings:
        """One batch of several, in order."""
        listed = list(batches)
        items = [b for b in listed if len(b)] or listed[:1]
        return Buildings(**{f.name: np.concatenate([getattr(b, f.name) for b in items]) for f in fields(Buildings)})


_DEFAULTS: Mapping[str, float | str] = {
    "angle": 0.0, "shape": RECT, "storeys": 1.0, "height": np.nan, "eave": np.nan, "function": 0, "structure": 2,
    "roof": 0, "year": np.nan, "lot": -1, "tint": 0.5, "name": "", "name_en": "", "heritage": "",
}  # fmt: skip
_DTYPES = {"shape": np.int8, "function": np.int8, "structure": np.int8, "roof": np.int8, "lot": np.int64}


def buildings(u: Floats, v: Floats, w: Floats | float, d: Floats | float, **columns: object) -> Buildings:
    """A batch from plan centres and sizes; every other column is an array, one value for all, or its default."""
    n = len(u)
    table: dict[str, NDArray[np.generic]] = {}
    for f in fields(Buildings):
        given = {"u": u, "v": v, "w": w, "d": d} | columns
        value = given.get(f.name, _DEFAULTS.get(f.name))
        kind = object if f.name in ("name", "name_en", "heritage") else _DTYPES.get(f.name, np.float64)
        table[f.name] = np.array(np.broadcast_to(np.asarray(value, dtype=kind), (n,)))
    return Buildings(**table)  # type: ignore[arg-type]


_UNIT_RINGS = {
    RECT: np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64) / 2,
    ELL: np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (0.14, 0.5), (0.14, -0.1), (-0.5, -0.1)]),
    YOU: np.array(
        [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (0.25, 0.5), (0.25, -0.08), (-0.25, -0.08), (-0.25, 0.5), (-0.5, 0.5)]
    ),
    OCTAGON: 0.5 * np.array([(np.cos(a), np.sin(a)) for a in np.pi / 8 + np.arange(8) * np.pi / 4]) / np.cos(np.pi / 8),
}
_UNIT_PARTS = {
    RECT: [(0.0, 0.0, 1.0, 1.0)],
    ELL: [(0.0, -0.3, 1.0, 0.4), (0.32, 0.2, 0.36, 0.6)],
    YOU: [(0.0, -0.29, 1.0, 0.42), (-0.375, 0.21, 0.25, 0.58), (0.375, 0.21, 0.25, 0.58)],
    OCTAGON: [(0.0, 0.0, 0.94, 0.94)],
}


def footprints(batch: Buildings, grow: float = 0.0) -> NDArray[np.object_]:
    """Footprint polygons (n,) in town coordinates, oriented anticlockwise, grown by `grow` metres on each side."""
    out = np.empty(len(batch), dtype=object)
    cos, sin = np.cos(batch.angle), np.sin(batch.angle)
    for shape, ring in _UNIT_RINGS.items():
        rows = np.flatnonzero(batch.shape == shape)
        if not len(rows):
            continue
        x = ring[None, :, 0] * (batch.w[rows, None] + 2 * grow)
        y = ring[None, :, 1] * (batch.d[rows, None] + 2 * grow)
        c, s = cos[rows, None], sin[rows, None]
        xy = np.stack([batch.u[rows, None] + x * c - y * s, batch.v[rows, None] + x * s + y * c], axis=-1)
        out[rows] = shapely.polygons(np.concatenate([xy, xy[:, :1]], axis=1))
    return out


def parts(batch: Buildings) -> tuple[NDArray[np.int64], Floats]:
    """The rectangles a painter needs: owner row (m,), and (m, 5) of u, v, w, d, angle."""
    owners, rows_out = [], []
    for shape, boxes in _UNIT_PARTS.items():
        rows = np.flatnonzero(batch.shape == shape)
        for x, y, w, d in boxes:
            px, py = x * batch.w[rows], y * batch.d[rows]
            c, s = np.cos(batch.angle[rows]), np.sin(batch.angle[rows])
            u, v = batch.u[rows] + px * c - py * s, batch.v[rows] + px * s + py * c
            owners.append(rows)
            rows_out.append(np.column_stack([u, v, w * batch.w[rows], d * batch.d[rows], batch.angle[rows]]))
    return np.concatenate(owners), np.concatenate(rows_out)
