"""The city's working place, and the exact way there and back.

Between the two doors of the house everything is in one `Frame`: x east, y north in metres of a projected CRS, z in the
declared vertical datum. Here are the doors' hinges: geographic and geocentric coordinates, and the shifted Chinese
map datums GCJ-02 and BD-09.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin.datums import (
    MAP_DATUMS,
    check_lonlat,
    check_numbers,
    horizontal,
    is_degrees,
    parse_crs,
    passage,
    require_passage,
    resolve_crs,
)
from twin.errors import OptionsError, SourceError

if TYPE_CHECKING:
    from pyproj import Transformer

Floats = NDArray[np.float64]

WGS84_A = 6378137.0
WGS84_F = 1.0 / 298.257223563
_E2 = WGS84_F * (2.0 - WGS84_F)


@dataclass(frozen=True, slots=True)
class Frame:
    """The city's frame: a projected CRS in metres, a vertical datum, a local origin.

    crs                 any PROJ string of a projected CRS in metres, for example "EPSG:4547"
    vertical            name of the vertical datum, for example "1985"
    geoid_undulation    h - H at the city, m: ellipsoidal height is the datum's height plus this declared constant
    origin              (x, y, z) in the frame near the city; only ever subtracted where float32 is written
    """

    crs: str
    vertical: str = ""
    geoid_undulation: float = 0.0
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def to_lonlat(self, xy: ArrayLike) -> Floats:
        """Geographic (lon, lat) in degrees, WGS 84, of frame points (n, 2)."""
        return _transform(_transformer(self.crs, "EPSG:4326"), xy)

    def from_lonlat(self, lonlat: ArrayLike) -> Floats:
        """Frame points (n, 2) in metres of geographic (lon, lat) in degrees, WGS 84."""
        return _transform(_transformer("EPSG:4326", self.crs), lonlat)

    def to_geodetic(self, xyz: ArrayLike) -> Floats:
        """(lon, lat, ellipsoidal height) in degrees and metres of frame points (n, 3)."""
        points = np.atleast_2d(np.asarray(xyz, dtype=np.float64))
        return np.column_stack([self.to_lonlat(points[:, :2]), points[:, 2] + self.geoid_undulation])

    def from_geodetic(self, geodetic: ArrayLike) -> Floats:
        """Frame points (n, 3) of (lon, lat, ellipsoidal height) in degrees and metres."""
        points = np.atleast_2d(np.asarray(geodetic, dtype=np.float64))
        return np.column_stack([self.from_lonlat(points[:, :2]), points[:, 2] - self.geoid_undulation])

    def to_ecef(self, xyz: ArrayLike) -> Floats:
        """Earth-centred coordinates (n, 3) in metres (EPSG:4978) of frame points (n, 3)."""
        return ecef_from_geodetic(self.to_geodetic(xyz))

    def from_ecef(self, ecef: ArrayLike) -> Floats:
        """Frame points (n, 3) of Earth-centred coordinates (n, 3) in metres."""
        return self.from_geodetic(geodetic_from_ecef(ecef))

    def enu_at(self, x: float, y: float, z: float) -> Floats:
        """Matrix (4, 4) that takes local east-north-up metres at a frame point to Earth-centred coordinates.

        Column vectors; 3D Tiles wants its transpose, flattened.
        """
        lon, lat, h = self.to_geodetic([[x, y, z]])[0]
        lam, phi = np.radians(lon), np.radians(lat)
        east = [-np.sin(lam), np.cos(lam), 0.0]
        north = [-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)]
        up = [np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)]
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = east, north, up
        matrix[:3, 3] = ecef_from_geodetic([[lon, lat, h]])[0]
        return matrix

    def check(self) -> Frame:
        """The frame itself; OptionsError where its CRS is unknown, not in metres, or has no way to WGS 84."""
        crs = parse_crs(self.crs)
        if crs is None:
            raise OptionsError(f'[frame] crs = {self.crs!r} is not known to PROJ; give for example "EPSG:4547"')
        units = {axis.unit_name for axis in crs.axis_info[:2]}
        if not crs.is_projected or units != {"metre"}:
            raise OptionsError(f"[frame] crs = {self.crs!r} is not a projected CRS in metres; a city works in metres")
        if crs.area_of_use is not None:
            west, south, east, north = crs.area_of_use.bounds
            middle = _transform(_transformer("EPSG:4326", self.crs), [[(west + east) / 2.0, (south + north) / 2.0]])
            way = passage(self.crs, "EPSG:4326", middle)
            if way.ballpark:
                raise OptionsError(f"[frame] crs = {self.crs!r}: {way.words}; choose a frame on CGCS2000 or WGS 84")
        return self


def to_frame(xy: ArrayLike, crs: str, frame: Frame, accept_ballpark: bool = False) -> Floats:
    """Frame points (n, 2) of points in a foreign CRS or Chinese map datum.

    xy                  (n, 2), x or longitude first
    crs                 PROJ string, spoken Gauss-Kruger zone, "GCJ-02" or "BD-09" (longitude, latitude in degrees)
    accept_ballpark     take coordinates as they are where PROJ has no parameters for the change of datum
    raises  SourceError where crs is empty or unknown, where the numbers cannot be in it, or where the way to the frame
            is only ballpark and not accepted: nothing is guessed
    """
    points = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    if not crs:
        raise SourceError('no CRS declared; add crs = "EPSG:..." (or "GCJ-02", "BD-09") to the source in city.toml')
    check_numbers(points, crs)
    if is_degrees(crs):
        check_lonlat(points, frame.crs)
    if crs in MAP_DATUMS:
        lonlat = points if crs == "GCJ-02" else gcj02_from_bd09(points)
        return frame.from_lonlat(wgs84_from_gcj02(lonlat))
    if parse_crs(crs) is None:
        raise SourceError(f"CRS {crs!r} is not known to PROJ; mend crs of the source in city.toml")
    if crs == frame.crs:
        return points.copy()
    if require_passage(crs, frame.crs, points, accept_ballpark).hub:
        return _transform(_transformer("EPSG:4326", frame.crs), _transform(_transformer(crs, "EPSG:4326"), points))
    return _transform(_transformer(resolve_crs(crs), frame.crs), points)


def same_crs(a: str, b: str) -> bool:
    """True where two PROJ strings name the same horizontal CRS (axis order and vertical part aside)."""
    if a == b:
        return True
    first, second = parse_crs(a), parse_crs(b)
    if first is None or second is None:
        return False
    return bool(horizontal(first).equals(horizontal(second), ignore_axis_order=True))


def ecef_from_geodetic(geodetic: ArrayLike) -> Floats:
    """Earth-centred (n, 3) m of (lon, lat, h) in degrees and metres on WGS 84 (closed form)."""
    points = np.atleast_2d(np.asarray(geodetic, dtype=np.float64))
    lam, phi, h = np.radians(points[:, 0]), np.radians(points[:, 1]), points[:, 2]
    n = WGS84_A / np.sqrt(1.0 - _E2 * np.sin(phi) ** 2)
    return np.column_stack(
        [(n + h) * np.cos(phi) * np.cos(lam), (n + h) * np.cos(phi) * np.sin(lam), (n * (1.0 - _E2) + h) * np.sin(phi)]
    )


def geodetic_from_ecef(ecef: ArrayLike) -> Floats:
    """(lon, lat, h) in degrees and metres on WGS 84 of Earth-centred (n, 3) m.

    source  Bowring 1976 as the start, then fixed-point steps; below 1e-9 m within 10 km of the ellipsoid
    """
    points = np.atleast_2d(np.asarray(ecef, dtype=np.float64))
    x, y, z = points.T
    p = np.hypot(x, y)
    b = WGS84_A * (1.0 - WGS84_F)
    theta = np.arctan2(z * WGS84_A, p * b)
    second = (WGS84_A**2 - b**2) / b**2
    phi = np.arctan2(z + second * b * np.sin(theta) ** 3, p - _E2 * WGS84_A * np.cos(theta) ** 3)
    for _ in range(3):
        n = WGS84_A / np.sqrt(1.0 - _E2 * np.sin(phi) ** 2)
        phi = np.arctan2(z + _E2 * n * np.sin(phi), p)
    n = WGS84_A / np.sqrt(1.0 - _E2 * np.sin(phi) ** 2)
    h = p * np.cos(phi) + z * np.sin(phi) - WGS84_A * np.sqrt(1.0 - _E2 * np.sin(phi) ** 2)
    return np.column_stack([np.degrees(np.arctan2(y, x)), np.degrees(phi), h])


def gcj02_from_wgs84(lonlat: ArrayLike) -> Floats:
    """GCJ-02 (lon, lat) of WGS 84 (lon, lat), degrees (n, 2); unchanged outside the datum's box over China.

    source  the published obfuscation formula of the Chinese map datum (Krasovsky 1940 ellipsoid)
    """
    points = np.asarray(lonlat, dtype=np.float64).reshape(-1, 2)
    lon, lat = points.T
    inside = (lon >= 72.004) & (lon <= 137.8347) & (lat >= 0.8293) & (lat <= 55.8271)
    return np.where(inside[:, None], points + _gcj_shift(lon, lat), points)


def wgs84_from_gcj02(lonlat: ArrayLike) -> Floats:
    """WGS 84 (lon, lat) of GCJ-02 (lon, lat), degrees (n, 2), by fixed-point iteration; there and back below 1 mm."""
    target = np.asarray(lonlat, dtype=np.float64).reshape(-1, 2)
    guess = target.copy()
    for _ in range(5):  # each step leaves less than a hundredth of the error: 600 m, 3 m ... below 1e-5 mm
        guess = guess - (gcj02_from_wgs84(guess) - target)
    return guess


def bd09_from_gcj02(lonlat: ArrayLike) -> Floats:
    """BD-09 (lon, lat) of GCJ-02 (lon, lat), degrees (n, 2)."""
    lon, lat = np.asarray(lonlat, dtype=np.float64).reshape(-1, 2).T
    k = np.pi * 3000.0 / 180.0
    r = np.hypot(lon, lat) + 0.00002 * np.sin(lat * k)
    theta = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * k)
    return np.column_stack([r * np.cos(theta) + 0.0065, r * np.sin(theta) + 0.006])


def gcj02_from_bd09(lonlat: ArrayLike) -> Floats:
    """GCJ-02 (lon, lat) of BD-09 (lon, lat), degrees (n, 2), by fixed-point iteration; there and back below 1 mm."""
    target = np.asarray(lonlat, dtype=np.float64).reshape(-1, 2)
    guess = target - np.array([0.0065, 0.006])
    for _ in range(6):  # each step leaves about a fiftieth of the error
        guess = guess - (bd09_from_gcj02(guess) - target)
    return guess


def _gcj_shift(lon: Floats, lat: Floats) -> Floats:
    a, e2 = 6378245.0, 0.00669342162296594323
    x, y, pi = lon - 105.0, lat - 35.0, np.pi
    root = 0.2 * np.sqrt(np.abs(x))
    short = (20.0 * np.sin(6.0 * x * pi) + 20.0 * np.sin(2.0 * x * pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + root + short
    north += (20.0 * np.sin(y * pi) + 40.0 * np.sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * np.sin(y / 12.0 * pi) + 320.0 * np.sin(y * pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.5 * root + short
    east += (20.0 * np.sin(x * pi) + 40.0 * np.sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * np.sin(x / 12.0 * pi) + 300.0 * np.sin(x / 30.0 * pi)) * 2.0 / 3.0
    phi = np.radians(lat)
    magic = 1.0 - e2 * np.sin(phi) ** 2
    dlat = np.degrees(north / (a * (1.0 - e2) / (magic * np.sqrt(magic))))
    dlon = np.degrees(east / (a / np.sqrt(magic) * np.cos(phi)))
    return np.column_stack([dlon, dlat])


def _transform(transformer: Transformer, xy: ArrayLike) -> Floats:
    points = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    x, y = transformer.transform(points[:, 0], points[:, 1])
    return np.column_stack([x, y])


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Transformer:
    from pyproj import Transformer as Pyproj

    return Pyproj.from_crs(source, target, always_xy=True)
