"""Which tiles a place needs, and which working frame suits it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from twin.errors import OptionsError

WIDEST = 2.0  # deg; a city, not a country

# Lon/lat boxes (west, south, east, north) that lie inside China or its coast; there the frame is CGCS2000.
_CHINA = (
    (80.0, 32.0, 97.0, 42.0), (82.0, 42.0, 90.0, 46.5), (90.0, 42.0, 95.0, 44.0), (88.0, 29.0, 97.0, 32.0),
    (97.0, 28.5, 105.0, 42.0), (99.5, 23.7, 105.0, 28.5), (105.0, 23.5, 117.0, 41.5), (108.2, 21.6, 117.0, 23.5),
    (108.6, 18.1, 111.1, 20.2), (112.0, 41.5, 119.8, 43.6), (117.0, 24.0, 122.5, 41.0), (119.8, 41.0, 125.0, 49.5),
    (125.0, 43.0, 129.5, 48.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A box in longitude and latitude, degrees, WGS 84."""

    west: float
    south: float
    east: float
    north: float

    @property
    def center(self) -> tuple[float, float]:
        """Longitude and latitude of the middle."""
        return (self.west + self.east) / 2.0, (self.south + self.north) / 2.0

    def grown(self, degrees: float) -> Place:
        """The box with a margin on all sides."""
        return Place(self.west - degrees, self.south - degrees, self.east + degrees, self.north + degrees)

    def as_list(self) -> list[float]:
        """West, south, east, north."""
        return [self.west, self.south, self.east, self.north]


def read_place(bbox: Sequence[float]) -> Place:
    """The place of four numbers west, south, east, north.

    raises  OptionsError where they are no box on Earth, or wider than two degrees
    """
    if len(bbox) != 4 or not all(math.isfinite(v) for v in bbox):
        raise OptionsError("--bbox wants four numbers: west south east north, in degrees")
    west, south, east, north = (float(v) for v in bbox)
    if not (-180.0 <= west < east <= 180.0 and -80.0 <= south < north <= 84.0):
        raise OptionsError(
            f"--bbox {west:g} {south:g} {east:g} {north:g}: wants west < east and south < north within -180 -80 180 84"
        )
    if east - west > WIDEST or north - south > WIDEST:
        raise OptionsError(f"--bbox is more than {WIDEST:g} degrees wide; fetch a city, not a country")
    return Place(west, south, east, north)


def degree_tiles(place: Place) -> list[tuple[int, int]]:
    """(lon, lat) of the south-west corner of every one-degree tile the place touches, sorted."""
    lons = range(math.floor(place.west), math.ceil(place.east))
    lats = range(math.floor(place.south), math.ceil(place.north))
    return [(lon, lat) for lon in lons for lat in lats]


def tile_stem(pattern: str, lon: int, lat: int) -> str:
    """The name of a one-degree tile, as `stem` in services.toml lays it out."""
    return pattern.format(ns="S" if lat < 0 else "N", lat=abs(lat), ew="W" if lon < 0 else "E", lon=abs(lon))


def frame_for(place: Place) -> tuple[str, str]:
    """(CRS, its name): CGCS2000 / 3-degree Gauss-Kruger by central meridian in China, WGS 84 / UTM elsewhere.

    source  EPSG:4534..4554 are central meridians 75E..135E; 326zz and 327zz are the UTM zones, with the exceptions of
            south-west Norway and Svalbard
    """
    lon, lat = place.center
    if any(w <= lon <= e and s <= lat <= n for w, s, e, n in _CHINA):
        meridian = min(max(round(lon / 3.0) * 3, 75), 135)
        return f"EPSG:{4534 + (meridian - 75) // 3}", f"CGCS2000 / 3-degree Gauss-Kruger CM {meridian}E"
    zone = min(int((lon + 180.0) // 6.0) + 1, 60)
    if 56.0 <= lat < 64.0 and 3.0 <= lon < 12.0:
        zone = 32
    elif lat >= 72.0 and 0.0 <= lon < 42.0:
        zone = 31 + 2 * sum(lon >= edge for edge in (9.0, 21.0, 33.0))
    south = lat < 0.0
    return f"EPSG:{(32700 if south else 32600) + zone}", f"WGS 84 / UTM zone {zone}{'S' if south else 'N'}"
