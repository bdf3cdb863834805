"""quantized-mesh 1.0: terrain triangles as bytes and back.

source  Cesium quantized-mesh-1.0 format, extensions 1 (oct-encoded vertex normals) and 2 (water mask)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.errors import SourceError
from twin.frames import WGS84_A, WGS84_F, ecef_from_geodetic

Floats = NDArray[np.float64]

FULL = 32767
"""Largest quantized coordinate: u, v and height run from 0 to this."""

MASK = 256
"""Cells along a side of a water mask."""

_FAR = 1e6
_OCT_NORMALS = 1
_WATER_MASK = 2


@dataclass(frozen=True, slots=True)
class Mesh:
    """The triangles of one terrain tile.

    bounds      (west, south, east, north), degrees
    u, v        (n,) u2, 0 west/south to FULL east/north
    height      (n,) u2, 0 at `low` to FULL at `high`
    low, high   ellipsoidal heights, m, exact in float32
    triangles   (m, 3) i8, counter-clockwise seen from above
    normals     (n, 3) f8 Earth-centred unit vectors, or None
    water       (MASK, MASK) u1, 0 land to 255 water, rows from north to south, columns from west to east; or None
    """

    bounds: tuple[float, float, float, float]
    u: NDArray[np.uint16]
    v: NDArray[np.uint16]
    height: NDArray[np.uint16]
    low: float
    high: float
    triangles: NDArray[np.int64]
    normals: Floats | None = None
    water: NDArray[np.uint8] | None = None

    def geodetic(self) -> Floats:
        """(n, 3) longitude, latitude in degrees and ellipsoidal height in m of the vertices."""
        west, south, east, north = self.bounds
        lon = west + (east - west) * (self.u / FULL)
        lat = south + (north - south) * (self.v / FULL)
        return np.column_stack([lon, lat, self.low + (self.high - self.low) * (self.height / FULL)])

    def edge(self, side: str) -> NDArray[np.int64]:
        """Vertices on the "west", "south", "east" or "north" edge, along it from south or west."""
        across, along = (self.u, self.v) if side in ("west", "east") else (self.v, self.u)
        at = np.flatnonzero(across == (0 if side in ("west", "south") else FULL))
        return at[np.argsort(along[at], kind="stable")]


SIDES = ("west", "south", "east", "north")


def height_span(low: float, high: float, step: float) -> tuple[float, float, int]:
    """(low, high, factor) such that a multiple k of `step` above low is stored as k * factor and decodes exactly.

    Heights decode as low + h / FULL * (high - low). With high - low = FULL * step / factor the decoded value is
    low + k * step whatever the tile, so that neighbours agree on their common edge to the last bit.
    low     multiple of step
    """
    factor = 1
    while (high - low) / step * factor * 2 <= FULL and factor < 1 << 12:
        wider = low + FULL * step / (factor * 2)
        if float(np.float32(wider)) != wider:
            break
        factor *= 2
    return low, low + FULL * step / factor, factor


def encode(mesh: Mesh) -> bytes:
    """The bytes of a .terrain tile; vertices are put in the order of first use, as the index coding wants."""
    triangles, order = _by_first_use(mesh.triangles)
    u, v, height = mesh.u[order], mesh.v[order], mesh.height[order]
    tidy = Mesh(mesh.bounds, u, v, height, mesh.low, mesh.high, triangles)
    n = len(u)
    chunks = [_header(tidy), struct.pack("<I", n)]
    chunks += [_zigzag(column).tobytes() for column in (u, v, height)]
    wide = n > 65536
    size = sum(map(len, chunks))
    chunks.append(b"\0" * (-size % (4 if wide else 2)))
    kind = "<u4" if wide else "<u2"
    chunks += [struct.pack("<I", len(triangles)), _high_water(triangles.reshape(-1)).astype(kind).tobytes()]
    for side in SIDES:
        edge = tidy.edge(side)
        chunks += [struct.pack("<I", len(edge)), edge.astype(kind).tobytes()]
    if mesh.normals is not None:
        packed = oct_encode(mesh.normals[order])
        chunks += [struct.pack("<BI", _OCT_NORMALS, packed.nbytes), packed.tobytes()]
    if mesh.water is not None:
        even = mesh.water.min() == mesh.water.max() and mesh.water[0, 0] in (0, 255)
        cells = mesh.water[:1, :1] if even else mesh.water
        chunks += [struct.pack("<BI", _WATER_MASK, cells.size), cells.tobytes()]
    return b"".join(chunks)


def decode(data: bytes, bounds: tuple[float, float, float, float], where: str = "terrain") -> tuple[Mesh, Header]:
    """The mesh and the header of a .terrain tile; SourceError where lengths, indices or edge lists do not fit.

    bounds  (west, south, east, north) in degrees; the tile itself does not say where it lies
    """
    try:
        return _decode(data, bounds, where)
    except (struct.error, ValueError, IndexError) as error:
        raise SourceError(f"{where}: {len(data)} bytes do not hold a quantized mesh: {error}") from error


@dataclass(frozen=True, slots=True)
class Header:
    """The first 88 bytes of a tile, and its edge lists.

    center, sphere (x, y, z, radius)  Earth-centred, m      occlusion  in units of the ellipsoid's half axes
    """

    center: tuple[float, ...]
    low: float
    high: float
    sphere: tuple[float, ...]
    occlusion: tuple[float, ...]
    edges: tuple[NDArray[np.int64], ...]


def _header(mesh: Mesh) -> bytes:
    west, south, east, north = mesh.bounds
    center = ecef_from_geodetic([[(west + east) / 2.0, (south + north) / 2.0, (mesh.low + mesh.high) / 2.0]])[0]
    points = ecef_from_geodetic(mesh.geodetic())
    radius = float(np.linalg.norm(points - center, axis=1).max())
    occlusion = occlusion_point(center, points)
    return struct.pack("<3d2f4d3d", *center, mesh.low, mesh.high, *center, radius, *occlusion)


def occlusion_point(center: Floats, points: Floats) -> Floats:
    """Point above `center` that is hidden by the horizon only when all `points` (n, 3) are, ellipsoid-scaled.

    source  Cesium horizon culling; where a tile spans too much of the Earth for such a point, one far out
    """
    radii = np.array([WGS84_A, WGS84_A, WGS84_A * (1.0 - WGS84_F)])
    direction = center / radii
    direction = direction / np.linalg.norm(direction)
    scaled = points / radii
    length = np.linalg.norm(scaled, axis=1)
    towards = scaled / length[:, None]
    length = np.maximum(length, 1.0)
    cos_alpha = towards @ direction
    sin_alpha = np.linalg.norm(np.cross(towards, direction), axis=1)
    below = cos_alpha / length - sin_alpha * np.sqrt(length**2 - 1.0) / length
    magnitude = float((1.0 / below).max()) if np.all(below > 1.0 / _FAR) else _FAR
    return direction * magnitude


def oct_encode(normals: Floats) -> NDArray[np.uint8]:
    """(n, 2) u1 of unit vectors (n, 3).

    source  Cigolle et al. 2014, A Survey of Efficient Representations for Independent Unit Vectors
    """
    flat = normals[:, :2] / np.abs(normals).sum(axis=1)[:, None]
    folded = (1.0 - np.abs(flat[:, ::-1])) * np.where(flat >= 0.0, 1.0, -1.0)
    flat = np.where((normals[:, 2] < 0.0)[:, None], folded, flat)
    return np.round((np.clip(flat, -1.0, 1.0) * 0.5 + 0.5) * 255.0).astype(np.uint8)


def oct_decode(packed: NDArray[np.uint8]) -> Floats:
    """Unit vectors (n, 3) of `oct_encode`'s bytes (n, 2)."""
    flat = packed.astype(np.float64) / 255.0 * 2.0 - 1.0
    z = 1.0 - np.abs(flat).sum(axis=1)
    folded = (1.0 - np.abs(flat[:, ::-1])) * np.where(flat >= 0.0, 1.0, -1.0)
    flat = np.where((z < 0.0)[:, None], folded, flat)
    normals = np.column_stack([flat, z])
    return normals / np.linalg.norm(normals, axis=1)[:, None]


def _by_first_use(triangles: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    flat = triangles.reshape(-1)
    used, first, inverse = np.unique(flat, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(used), dtype=np.int64)
    rank[order] = np.arange(len(used))
    return rank[inverse].reshape(-1, 3), used[order]


def _zigzag(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    wide = values.astype(np.int32)
    delta = wide - np.concatenate([np.zeros(1, np.int32), wide[:-1]])
    return ((delta << 1) ^ (delta >> 31)).astype("<u2")


def _unzigzag(codes: NDArray[np.uint16]) -> NDArray[np.int64]:
    wide = codes.astype(np.int64)
    return np.cumsum((wide >> 1) ^ -(wide & 1))


def _high_water(flat: NDArray[np.int64]) -> NDArray[np.int64]:
    highest = np.maximum.accumulate(np.concatenate([[-1], flat]))[:-1] + 1
    return highest - flat


def _unwater(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    new = codes == 0
    highest = np.cumsum(new) - new
    return highest - codes


def _decode(data: bytes, bounds: tuple[float, float, float, float], where: str) -> tuple[Mesh, Header]:
    numbers = struct.unpack_from("<3d2f4d3d", data, 0)
    (n,) = struct.unpack_from("<I", data, 88)
    columns = np.frombuffer(data, "<u2", 3 * n, 92).reshape(3, n)
    u, v, height = (_unzigzag(column) for column in columns)
    wide = n > 65536
    kind = np.dtype("<u4" if wide else "<u2")
    at = 92 + 6 * n
    at += -at % kind.itemsize
    (count,) = struct.unpack_from("<I", data, at)
    triangles = _unwater(np.frombuffer(data, kind, 3 * count, at + 4).astype(np.int64)).reshape(-1, 3)
    at += 4 + 3 * count * kind.itemsize
    edges = []
    for _ in SIDES:
        (size,) = struct.unpack_from("<I", data, at)
        edges.append(np.frombuffer(data, kind, size, at + 4).astype(np.int64))
        at += 4 + size * kind.itemsize
    normals, water = _read_extensions(data, at, n, where)
    if triangles.size and (triangles.min() < 0 or triangles.max() >= n):
        raise SourceError(f"{where}: an index runs over the {n} vertices")
    if any(part.min() < 0 or part.max() > FULL for part in (u, v, height) if n):
        raise SourceError(f"{where}: a quantized coordinate leaves 0..{FULL}")
    low, high = float(numbers[3]), float(numbers[4])
    u2, v2, h2 = (part.astype(np.uint16) for part in (u, v, height))
    header = Header(numbers[0:3], low, high, numbers[5:9], numbers[9:12], tuple(edges))
    return Mesh(bounds, u2, v2, h2, low, high, triangles, normals, water), header


def _read_extensions(data: bytes, at: int, n: int, where: str) -> tuple[Floats | None, NDArray[np.uint8] | None]:
    normals = water = None
    while at < len(data):
        kind, size = struct.unpack_from("<BI", data, at)
        if kind == _OCT_NORMALS:
            normals = oct_decode(np.frombuffer(data, np.uint8, 2 * n, at + 5).reshape(n, 2))
        elif kind == _WATER_MASK:
            if size not in (1, MASK * MASK):
                raise SourceError(f"{where}: a water mask has 1 byte or {MASK * MASK}, not {size}")
            cells = np.frombuffer(data, np.uint8, size, at + 5)
            water = np.full((MASK, MASK), cells[0]) if size == 1 else cells.reshape(MASK, MASK)
        at += 5 + size
    return normals, water
