"""The relief as triangles: within a stated error of the raster, breaklines as edges, borders shared to the last bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_l2.terrain import kernels, refining
from models_l2.terrain.noding import canonical, distinct, noded
from models_l2.terrain.shore import DRY, Shore
from twin.grid import GeoBox, Raster
from twin.options import option

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PER_METRE = 1000


@dataclass(frozen=True, slots=True)
class TinOptions:
    """How the relief becomes triangles."""

    build: bool = option(True, doc="The relief is kept as triangles too, model `relief`.")
    error: float = option(
        0.2, unit="m", min=0.01, max=50.0, doc="No cell centre of the relief lies further above or below its triangle."
    )


@dataclass(frozen=True, slots=True)
class Tin:
    """Triangles of one square.

    xy          (n, 2) i8 frame mm              z     (n,) f8 m
    triangles   (m, 3) i8, counter-clockwise    fixed (k, 2) i8, pairs of vertices: the breaklines as edges
    lost        breaklines that could not be edges, because another crosses them within a millimetre
    """

    xy: Integers
    z: Floats
    triangles: Integers
    fixed: Integers
    lost: int


@dataclass(frozen=True, slots=True)
class Square:
    """(west, south, east, north), whole frame mm."""

    west: int
    south: int
    east: int
    north: int

    @property
    def sides(self) -> Integers:
        """(2,) i8 width and height, mm."""
        return np.array([self.east - self.west, self.north - self.south], dtype=np.int64)

    @property
    def corner(self) -> Integers:
        """(2,) i8 south-west corner, mm."""
        return np.array([self.west, self.south], dtype=np.int64)


def triangulate(
    square: Square, whole: Raster, geobox: GeoBox, breaklines: Integers, error: float, shore: Shore = DRY
) -> Tin:
    """The triangles of one square.

    whole        raster that reaches a cell beyond the square, NaN nowhere
    geobox       of the raster that `whole` is a window of: places are counted in it, so that neighbours agree
    breaklines   (s, 2, 2) i8 frame mm, ends of segments; those that meet the square, whole
    error        largest distance of a cell centre to its triangle, m
    shore        water around the square: corners on it and at its edge have its level
    """
    surface = _Surface.of(whole, geobox, shore)
    pieces, crossings = clip(canonical(breaklines), square)
    pieces = _densified(pieces, surface, square, 0.5 * error)
    rim = _rim(square, surface, crossings, 0.5 * error)
    edges, strays = _noded(pieces, square, rim)
    inner, end = distinct(edges.reshape(-1, 2))
    points = np.concatenate([rim, inner])
    mesh = _square(square, surface, max(4096, 4 * len(points)))
    index = np.zeros(len(points), np.int64)
    kernels.insert_all(mesh, points - square.corner, surface.at(points), index)
    ends = index[len(rim) + end].reshape(-1, 2)
    lost = strays + kernels.fix_all(mesh, ends)
    field = surface.field(square)
    for limit in (4.0 * error, error):
        mesh[6][:] = True
        while not refining.refine(mesh, field, limit, square.sides):
            mesh = _larger(mesh)
    return _tin(mesh, square, lost)


@dataclass(frozen=True, slots=True)
class _Surface:
    """Heights between cell centres; rows and columns are counted in the whole raster."""

    values: Floats
    first: tuple[int, int]
    geobox: GeoBox
    shore: Shore

    @staticmethod
    def of(whole: Raster, geobox: GeoBox, shore: Shore) -> _Surface:
        rows, cols = geobox.rowcol([[whole.geobox.affine.c, whole.geobox.affine.f]])
        return _Surface(whole.values.astype(np.float64), (int(np.rint(rows[0])), int(np.rint(cols[0]))), geobox, shore)

    def at(self, points: Integers) -> Floats:
        """Heights (n,) at points (n, 2) of frame mm, bilinear, level past the outermost centres, of water on it."""
        rows, cols = (v - 0.5 for v in self.geobox.rowcol(points / PER_METRE))
        ny, nx = self.values.shape
        (r, fr), (c, fc) = (self._split(v, k, n) for v, k, n in ((rows, 0, ny), (cols, 1, nx)))
        south, east = np.minimum(r + 1, ny - 1), np.minimum(c + 1, nx - 1)
        top = self.values[r, c] * (1.0 - fc) + self.values[r, east] * fc
        bottom = self.values[south, c] * (1.0 - fc) + self.values[south, east] * fc
        return self.shore.heights(points / PER_METRE, np.asarray(top * (1.0 - fr) + bottom * fr))

    def _split(self, place: Floats, axis: int, n: int) -> tuple[Integers, Floats]:
        place = np.clip(place, 0.0, self.geobox.shape[axis] - 1.0)
        whole = np.floor(place)
        at = whole.astype(np.int64) - self.first[axis]
        return np.clip(at, 0, n - 1), np.where((at < 0) | (at > n - 1), 0.0, place - whole)

    def field(self, square: Square) -> tuple[Floats, NDArray[np.bool_], tuple[float, float, float, float]]:
        """Values, what is done (nothing), and where cell (0, 0) lies in the square, mm; see refining.refine."""
        dx, dy = self.geobox.resolution
        x = (self.geobox.affine.c + (self.first[1] + 0.5) * dx) * PER_METRE - square.west
        y = (self.geobox.affine.f - (self.first[0] + 0.5) * dy) * PER_METRE - square.south
        return self.values, np.zeros(self.values.shape, bool), (x, y, dx * PER_METRE, dy * PER_METRE)

    def centres(self, axis: int, low: int, high: int) -> Integers:
        """Cell centres between two ends (frame mm) along x (axis 0) or y (axis 1), rounded to whole mm, rising."""
        affine, n = self.geobox.affine, self.geobox.shape[1 - axis]
        start, step = (affine.c, affine.a) if axis == 0 else (affine.f, affine.e)
        ends = sorted((v / PER_METRE - start) / step for v in (low, high))
        places = np.arange(max(0, int(ends[0]) - 1), min(n, int(ends[1]) + 2))
        found = np.sort(np.rint((start + (places + 0.5) * step) * PER_METRE).astype(np.int64))
        return found[(found > low) & (found < high)]


def _densified(segments: Integers, surface: _Surface, square: Square, limit: float) -> Integers:
    """The same lines with a vertex wherever the relief along them leaves a straight line by more than `limit`.

    None is put on the rim, where the neighbour would not have it.
    """
    if not len(segments):
        return segments
    length = np.hypot(*(segments[:, 1] - segments[:, 0]).T.astype(np.float64))
    count = np.maximum(1, np.ceil(length / (PER_METRE * min(surface.geobox.resolution)))).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(count + 1)])
    owner = np.repeat(np.arange(len(segments)), count + 1)
    step = np.arange(first[-1]) - first[owner]
    share = (step / count[owner])[:, None]
    points = np.rint(segments[owner, 0] + share * (segments[owner, 1] - segments[owner, 0])).astype(np.int64)
    keep = np.zeros(len(points), bool)
    refining.profile(step.astype(np.float64), surface.at(points), first, limit, keep)
    keep &= ~on_rim(points, square) | (step == 0) | (step == count[owner])
    points, owner = points[keep], owner[keep]
    inside = owner[1:] == owner[:-1]
    return canonical(np.stack([points[:-1][inside], points[1:][inside]], axis=1))


def clip(segments: Integers, square: Square) -> tuple[Integers, tuple[Integers, ...]]:
    """Pieces (p, 2, 2) of segments inside a square, and where they meet its sides.

    segments    (s, 2, 2) i8 frame mm, canonical: a neighbour finds the same places on the side it shares
    returns     places on the west, east (y values), south and north (x values) side, sorted, each once
    """
    places: list[Integers] = []
    source = segments
    for axis, line in ((0, square.west), (0, square.east), (1, square.south), (1, square.north)):
        segments, source = _cut(segments, source, axis, line)
        ends = segments.reshape(-1, 2)
        on = ends[ends[:, axis] == line, 1 - axis]
        low, high = (square.south, square.north) if axis == 0 else (square.west, square.east)
        places.append(np.unique(on[(on > low) & (on < high)]))
    low, high = np.array([square.west, square.south]), np.array([square.east, square.north])
    inside = ((segments >= low) & (segments <= high)).all(axis=(1, 2))
    return segments[inside], tuple(places)


def on_rim(points: Integers, square: Square) -> NDArray[np.bool_]:
    """(n,) True where a point (n, 2) has a coordinate of one of the four sides."""
    return np.asarray(((points == square.corner) | (points == square.corner + square.sides)).any(axis=-1))


def _cut(segments: Integers, source: Integers, axis: int, line: int) -> tuple[Integers, Integers]:
    """Segments cut in two where they cross a line x = `line` (axis 0) or y = `line` (axis 1), and their sources.

    source    the whole segments that they are pieces of: places are worked out on these, so that the order of cuts and
              the square that asks change nothing
    """
    a, b = segments[:, 0, axis] - line, segments[:, 1, axis] - line
    across = (a < 0) & (b > 0) | (a > 0) & (b < 0)
    if not across.any():
        return segments, source
    start, end = segments[across, 0], segments[across, 1]
    origin, tip = source[across, 0], source[across, 1]
    other = 1 - axis
    share = (line - origin[:, axis]) / (tip[:, axis] - origin[:, axis])
    middle = np.empty_like(start)
    middle[:, axis] = line
    middle[:, other] = np.rint(origin[:, other] + share * (tip[:, other] - origin[:, other])).astype(np.int64)
    halves = np.concatenate([np.stack([start, middle], axis=1), np.stack([middle, end], axis=1)])
    sources = np.concatenate([source[across], source[across]])
    return np.concatenate([segments[~across], halves]), np.concatenate([source[~across], sources])


def _rim(square: Square, surface: _Surface, crossings: tuple[Integers, ...], limit: float) -> Integers:
    """Vertices (n, 2) on the four sides, each once: corners, crossings, and what the relief along the side needs."""
    sides = ((1, square.west), (1, square.east), (0, square.south), (0, square.north))
    found = []
    for (axis, line), forced in zip(sides, crossings, strict=True):
        low, high = (square.west, square.east) if axis == 0 else (square.south, square.north)
        along = np.unique(np.concatenate([[low, high], forced, surface.centres(axis, low, high)]))
        points = np.empty((len(along), 2), np.int64)
        points[:, axis], points[:, 1 - axis] = along, line
        keep = np.isin(along, forced)
        ends = np.array([0, len(along)], np.int64)
        refining.profile(along.astype(np.float64), surface.at(points), ends, limit, keep)
        found.append(points[keep])
    return np.unique(np.concatenate(found), axis=0)


def _noded(pieces: Integers, square: Square, rim: Integers) -> tuple[Integers, int]:
    """Segments (s, 2, 2) that meet at their ends only, by snap rounding to whole mm; how many had to be left out.

    A node that rounding puts on the rim, where the neighbour has none, would be a crack: its segments are left out.
    """
    if not len(pieces):
        return pieces, 0
    segments = noded(pieces - square.corner) + square.corner
    ends = segments.reshape(-1, 2)
    stray = on_rim(ends, square)
    known = {tuple(point) for point in rim.tolist()}
    stray[stray] = [tuple(point) not in known for point in ends[stray].tolist()]
    bad = stray.reshape(-1, 2).any(axis=1)
    return segments[~bad], int(bad.sum())


def _square(square: Square, surface: _Surface, room: int) -> tuple[NDArray[np.generic], ...]:
    """A mesh of the square's two triangles with room for so many vertices; see kernels."""
    width, height = square.sides.tolist()
    xy, z = np.zeros((room, 2), np.int64), np.zeros(room)
    xy[:4] = [(0, 0), (width, 0), (width, height), (0, height)]
    z[:4] = surface.at(xy[:4] + square.corner)
    tri, twin = np.zeros(6 * room, np.int64), np.full(6 * room, -1, np.int64)
    tri[:6], twin[2], twin[3] = (0, 1, 2, 0, 2, 3), 3, 2
    at = np.zeros(room, np.int64)
    at[:4] = (0, 1, 2, 5)
    fixed, dirty = np.zeros(6 * room, bool), np.ones(2 * room, bool)
    return xy, z, at, tri, twin, fixed, dirty, np.array([4, 2, 0], np.int64)


def _larger(mesh: tuple[NDArray[np.generic], ...]) -> tuple[NDArray[np.generic], ...]:
    """The same mesh with twice the room."""
    return (*(np.concatenate([part, np.zeros_like(part)]) for part in mesh[:-1]), mesh[-1])


def _tin(mesh: tuple[NDArray[np.generic], ...], square: Square, lost: int) -> Tin:
    xy, z, _, tri, twin, fixed, _, count = mesh
    n, m = count[0], count[1]
    triangles = tri[: 3 * m].reshape(-1, 3)
    ends = np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=2).reshape(-1, 2)
    # Of two opposite half-edges the first names the edge.
    first = (twin[: 3 * m] < 0) | (np.arange(3 * m) < twin[: 3 * m])
    return Tin(xy[:n] + square.corner, z[:n].copy(), triangles, ends[fixed[: 3 * m] & first], lost)
