"""How a declared place is to be understood: Chinese Gauss-Kruger zones, and what a change of datum is worth.

Nothing here guesses. A declaration is spelled out, numbers that cannot be what was declared are refused with the EPSG
code that they fit, and a change of datum without parameters (PROJ calls it ballpark) is refused until it is accepted.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin.errors import SourceError

if TYPE_CHECKING:
    from pyproj import Transformer

Floats = NDArray[np.float64]

MAP_DATUMS = ("GCJ-02", "BD-09")
COINCIDENT = "CGCS2000 and WGS 84 taken as coincident (plates move about 3 cm a year from 2000.0)"

SWAP = "declare extra = { swap_axes = true }, or map the two columns of a table the other way"

_MILLION = 1_000_000.0
_ENOUGH = 10_000
"""Places that tell in which zone all of them lie."""

_TWINS = ("World Geodetic System 1984", "China 2000")


@dataclass(frozen=True, slots=True)
class GaussKruger:
    """The EPSG codes of one Chinese datum's Gauss-Kruger zones: four runs of consecutive codes.

    six_zone, six_cm        codes of the 6-degree zones from zone 13 (75 E), with and without zone prefix
    three_zone, three_cm    codes of the 3-degree zones from zone 25 (75 E), with and without zone prefix
    """

    datum: str
    aliases: str
    six_zone: int
    six_cm: int
    three_zone: int
    three_cm: int

    def code(self, degrees: int, meridian: float, prefixed: bool) -> int | None:
        """EPSG code of the zone of that width (3 or 6) around a central meridian; None where there is none."""
        step = (meridian - 75.0) / degrees
        if not step.is_integer() or not 0 <= step <= 60 / degrees:
            return None
        first = {(6, True): self.six_zone, (6, False): self.six_cm, (3, True): self.three_zone}
        return first.get((degrees, prefixed), self.three_cm) + int(step)

    def of_zone(self, zone: int, prefixed: bool) -> int | None:
        """EPSG code of zone 13-23 (6 degrees wide) or 25-45 (3 degrees wide); None for any other number."""
        if 13 <= zone <= 23:
            return self.code(6, zone * 6.0 - 3.0, prefixed)
        return self.code(3, zone * 3.0, prefixed) if 25 <= zone <= 45 else None


# source: EPSG dataset v12; checked code by code against PROJ in the tests
FAMILIES = (
    GaussKruger("China 2000", r"cgcs\s*2000|china geodetic coordinate system 2000", 4491, 4502, 4513, 4534),
    GaussKruger("Xian 1980", r"xi'?an\s*(?:19)?80", 2327, 2338, 2349, 2370),
    GaussKruger("Beijing 1954", r"beijing\s*(?:19)?54", 21413, 21453, 2401, 2422),
)
_SPOKEN = re.compile(
    r"^(?P<datum>[a-z' 0-9]+?)\s*/\s*(?:(?P<degrees>[36])[- ]?(?:degrees?|deg|°)\s*)?"
    r"(?:gauss[- ]kr(?:u|ü|ue)ger|gk)\s+(?:cm\s*(?P<cm>\d{2,3})\s*°?\s*e|zone\s*(?P<zone>\d{2}))$",
    re.IGNORECASE,
)


def resolve_crs(text: str) -> str:
    """ "EPSG:..." for a spoken Gauss-Kruger zone such as "CGCS2000 / 3-degree GK CM 114E"; any other text as it is.

    Both ways to say a zone are known: "CM 114E" (eastings without zone prefix) and "zone 38" (with it). Without a
    width a meridian is that of a 6-degree zone, as EPSG names them.
    raises  SourceError where the words name a zone that China does not have
    """
    said = _SPOKEN.match(text.strip())
    if said is None:
        return text
    family = next((f for f in FAMILIES if re.fullmatch(f.aliases, said["datum"].strip(), re.IGNORECASE)), None)
    if family is None:
        return text
    width = int(said["degrees"] or 6)
    if said["zone"]:
        zone = int(said["zone"])
        code = family.of_zone(zone, prefixed=True)
        # A zone's number tells its width; a width that is said as well must be the same.
        code = code if not said["degrees"] or (width == 6) == (zone < 24) else None
    else:
        code = family.code(width, float(said["cm"]), prefixed=False)
    if code is None:
        raise SourceError(
            f"CRS {text!r}: China has no such Gauss-Kruger zone; 3-degree meridians are 75E, 78E ... 135E "
            "(zones 25-45), 6-degree meridians 75E, 81E ... 135E (zones 13-23)"
        )
    return f"EPSG:{code}"


def check_numbers(xy: ArrayLike, crs: str) -> None:
    """Nothing where coordinates (n, 2), x first, can be what their CRS says; else SourceError with the likely code.

    Found are metres in a geographic CRS, degrees in a projected one, and on Chinese Gauss-Kruger zones a zone prefix
    that is there or missing against the CRS, the prefix of another zone, and eastings changed with northings.
    """
    points = _finite(xy)
    if not len(points):
        return
    # Column by column: numpy reduces rows of two far slower.
    low, high = (np.array([end(points[:, k]) for k in range(2)]) for end in (np.min, np.max))
    worst = np.maximum(np.abs(low), np.abs(high))
    known = None if crs in MAP_DATUMS else parse_crs(crs)
    if known is None or known.is_geographic:
        if 90.0 < worst[1] <= 180.0 and worst[0] <= 90.0:
            raise SourceError(
                f"{_name(crs)}: x ({points[0, 0]:.4f}) looks like a latitude and y ({points[0, 1]:.4f}) like a "
                f"longitude; {SWAP}"
            )
        if (known is not None or crs in MAP_DATUMS) and (worst[0] > 360.0 or worst[1] > 90.0):
            raise SourceError(
                f"{_name(crs)} is in degrees, but a coordinate is ({worst[0]:.0f}, {worst[1]:.0f}); "
                "declare the CRS the numbers are in"
            )
        return
    if worst[0] <= 180.0 and worst[1] <= 90.0 and _degrees_of_its_area(crs, points):
        raise SourceError(
            f"{_name(crs)} is in metres, but every coordinate looks like degrees, for example "
            f'({points[0, 0]:.4f}, {points[0, 1]:.4f}); declare crs = "EPSG:4490", "EPSG:4326" or "GCJ-02"'
        )
    middle = np.median(points[:: len(points) // _ENOUGH + 1], axis=0)
    _check_zone(middle, crs)
    _check_order(middle, crs)


def _check_order(middle: Floats, crs: str) -> None:
    """SourceError where a place lies outside the area of use of its CRS, and in it with x and y changed."""
    known = parse_crs(crs)
    if known is None or known.area_of_use is None:
        return
    area, way = known.area_of_use.bounds, _own_lonlat(crs)
    here, there = way.transform(middle[0], middle[1]), way.transform(middle[1], middle[0])
    if not inside(area, *here, 1.0) and inside(area, *there, 1.0):
        raise SourceError(
            f"{_name(crs)}: x ({middle[0]:.0f}) looks like a northing and y ({middle[1]:.0f}) like an easting; {SWAP}"
        )


def check_lonlat(lonlat: ArrayLike, crs: str) -> None:
    """SourceError where places (n, 2) lie far from where the frame is used, and there with lat and lon changed.

    lonlat      longitude and latitude as delivered, degrees
    crs         of the frame
    """
    known, points = parse_crs(crs), _finite(lonlat)
    if known is None or known.area_of_use is None or not len(points):
        return
    area, (lon, lat) = known.area_of_use.bounds, np.median(points, axis=0).tolist()
    if not inside(area, lon, lat, 3.0) and inside(area, lat, lon, 3.0):
        raise SourceError(f"longitude ({lon:.4f}) and latitude ({lat:.4f}) look changed; {SWAP}")


def _finite(xy: ArrayLike) -> Floats:
    """The points (k, 2) of (n, 2) that are numbers."""
    points = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    known = np.isfinite(points[:, 0]) & np.isfinite(points[:, 1])
    return points if known.all() else points[known]


def _check_zone(middle: Floats, crs: str) -> None:
    zone = _zone_of(crs)
    if zone is None:
        return
    family, degrees, meridian, prefix = zone
    x, y = float(middle[0]), float(middle[1])
    if 1.6e6 < x < 6.2e6 and (0.0 < y < _MILLION or 13e6 <= y < 46e6):
        raise SourceError(f"{_name(crs)}: x ({x:.0f}) looks like a northing and y ({y:.0f}) like an easting; {SWAP}")
    found = int(x // _MILLION)
    if found == prefix or not (found == 0 or 13 <= found <= 45):
        return
    code = family.of_zone(found, prefixed=True) if found else family.code(degrees, meridian, prefixed=False)
    what = f"carry the zone prefix {found}" if found else "carry no zone prefix"
    says = f"expects the zone prefix {prefix}" if prefix else "expects none"
    remedy = f'declare crs = "EPSG:{code}"' if code else "declare the CRS of that zone"
    raise SourceError(f"eastings like {x:.0f} {what}, but {_name(crs)} {says}; {remedy}")


@lru_cache(maxsize=64)
def _zone_of(crs: str) -> tuple[GaussKruger, int, float, int] | None:
    """(family, width in degrees, central meridian, zone prefix or 0) of a Chinese Gauss-Kruger CRS, else None."""
    known = parse_crs(crs)
    code = None if known is None else horizontal(known).to_epsg(min_confidence=70)
    for family in FAMILIES:
        runs = ((6, family.six_zone, 13), (6, family.six_cm, 0), (3, family.three_zone, 25), (3, family.three_cm, 0))
        for degrees, first, zone in runs:
            step = (code or 0) - first
            if 0 <= step <= 60 // degrees:
                return family, degrees, 75.0 + degrees * step, zone + step if zone else 0
    return None


def _degrees_of_its_area(crs: str, points: Floats) -> bool:
    """True where the numbers, read as degrees, lie in the area of use of the CRS, and read as metres do not."""
    known = parse_crs(crs)
    if known is None or known.area_of_use is None:
        return False
    area, middle = known.area_of_use.bounds, np.median(points, axis=0)
    lon, lat = _own_lonlat(crs).transform(*middle)
    return inside(area, float(middle[0]), float(middle[1]), 1.0) and not inside(area, lon, lat, 1.0)


@dataclass(frozen=True, slots=True)
class Passage:
    """The way from one CRS to another at one place.

    words       the change of datum in a sentence for the lineage, "" where there is none
    accuracy    m, as the operation's publisher states it; NaN where nobody states one
    ballpark    true where PROJ has no parameters there and would leave the coordinates as they are
    hub         true where parameters exist to WGS 84 only, and CGCS2000 is taken as coincident with it
    """

    words: str
    accuracy: float
    ballpark: bool
    hub: bool = False


def passage(crs: str, target: str, xy: ArrayLike) -> Passage:
    """What PROJ knows about the way from `crs` to `target` at the middle of points (n, 2) in `crs`, x first.

    raises  SourceError where PROJ does not know one of the two
    """
    for text in (crs, target):
        if parse_crs(text) is None:
            raise SourceError(f"CRS {text!r} is not known to PROJ; mend crs of the source in city.toml")
    points = _finite(xy)
    if datum_name(crs) == datum_name(target) or not len(points):
        return Passage("", 0.0, False)
    if {datum_name(crs), datum_name(target)} == set(_TWINS):
        return Passage(COINCIDENT, float("nan"), False)
    lon, lat = _own_lonlat(crs).transform(*np.median(points, axis=0))
    if not np.isfinite([lon, lat]).all():
        return _ballpark(crs, target)
    return _passage_at(crs, target, round(float(lon), 1), round(float(lat), 1))


def require_passage(crs: str, target: str, xy: ArrayLike, accept_ballpark: bool = False) -> Passage:
    """The same way, where it is known or accepted; SourceError where it is only ballpark and not accepted."""
    way = passage(crs, target, xy)
    if way.ballpark and not accept_ballpark:
        raise SourceError(
            f"{way.words}; deliver the data in CGCS2000 or WGS 84, or declare extra = {{ accept_ballpark = true }}"
        )
    return way


@lru_cache(maxsize=256)
def _passage_at(crs: str, target: str, lon: float, lat: float) -> Passage:
    best, missing = _best(crs, target, lon, lat)
    hub = best is None and "China 2000" in (datum_name(crs), datum_name(target))
    if hub:
        ends = ("EPSG:4326", target) if datum_name(crs) == "China 2000" else (crs, "EPSG:4326")
        best, missing = _best(*ends, lon, lat)
    if best is None:
        return _ballpark(crs, target)
    steps = [step.name for step in best.operations or () if step.type_name == "Transformation"]
    words = " + ".join(steps) or best.description
    known = f"accuracy {best.accuracy:g} m as published" if best.accuracy >= 0.0 else "accuracy not published"
    words = f"{words}, {known}"
    words += f"; a better operation needs the grid {missing}, which is not installed" if missing else ""
    words += f"; {COINCIDENT}" if hub else ""
    return Passage(words, best.accuracy if best.accuracy >= 0.0 else float("nan"), False, hub)


def _ballpark(crs: str, target: str) -> Passage:
    words = (
        f"ballpark: PROJ has no parameters from {datum_name(crs)} to {datum_name(target)} at this place and leaves the "
        "coordinates as they are; accuracy unknown"
    )
    words += (
        ", in China commonly 50 to 150 m"
        if {datum_name(crs), datum_name(target)} & {"Beijing 1954", "Xian 1980"}
        else ""
    )
    return Passage(words, float("nan"), True)


def _best(crs: str, target: str, lon: float, lat: float) -> tuple[Any, str]:
    """(the best operation with parameters at a place or None, name of a grid that a better one lacks or "")."""
    from pyproj.aoi import AreaOfInterest
    from pyproj.transformer import TransformerGroup

    around: Any = AreaOfInterest(lon - 0.05, lat - 0.05, lon + 0.05, lat + 0.05)
    with warnings.catch_warnings():
        # The missing grid is named in the passage.
        warnings.simplefilter("ignore", UserWarning)
        group = TransformerGroup(
            horizontal(parse_crs(crs)), horizontal(parse_crs(target)), always_xy=True, area_of_interest=around
        )
    fit = [way for way in group.transformers if "allpark" not in way.description and _covers(way, lon, lat)]
    if not fit:
        return None, ""
    better = [op for op in group.unavailable_operations if 0.0 <= op.accuracy < fit[0].accuracy]
    grids = [grid.short_name for op in better for grid in op.grids if not grid.available]
    return fit[0], grids[0] if grids else ""


def _covers(way: Any, lon: float, lat: float) -> bool:
    return way.area_of_use is None or inside(way.area_of_use.bounds, lon, lat, 0.05)


def inside(bounds: tuple[float, ...], lon: float, lat: float, margin: float) -> bool:
    """True where a place lies in an area (west, south, east, north; degrees) that may cross the antimeridian."""
    west, south, east, north = bounds
    across = west - margin <= lon <= east + margin
    across = across if west <= east else lon >= west - margin or lon <= east + margin
    return across and south - margin <= lat <= north + margin


@lru_cache(maxsize=64)
def parse_crs(text: str) -> Any:
    """The pyproj CRS of a declaration (spoken zones included), None where PROJ does not know it."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(resolve_crs(text))
    except CRSError:
        return None


def horizontal(crs: Any) -> Any:
    """The horizontal part of a pyproj CRS."""
    return crs.sub_crs_list[0] if crs.is_compound else crs.to_2d()


def is_degrees(text: str) -> bool:
    """True for a geographic CRS and for the Chinese map datums."""
    known = None if text in MAP_DATUMS else parse_crs(text)
    return text in MAP_DATUMS or (known is not None and bool(known.is_geographic))


def vertical_of(text: str) -> str:
    """Name of the heights that a CRS states: its vertical part, "ellipsoidal" for a 3D CRS, "" where it states none."""
    known = parse_crs(text) if text else None
    if known is None:
        return ""
    if known.is_compound:
        return str(known.sub_crs_list[-1].name)
    return "ellipsoidal" if len(known.axis_info) == 3 and known.is_geographic else ""


def datum_name(text: str) -> str:
    """Name of the geodetic datum of a CRS; both realisations of WGS 84 in EPSG have one name."""
    known = parse_crs(text)
    datum = horizontal(known).datum if known is not None else None
    name = datum.name if datum is not None else text
    return _TWINS[0] if name.startswith(_TWINS[0]) else str(name)


@lru_cache(maxsize=64)
def _own_lonlat(text: str) -> Transformer:
    """From a CRS to longitude and latitude on its own datum: exact, no change of datum."""
    from pyproj import Transformer as Pyproj

    flat = horizontal(parse_crs(text))
    return Pyproj.from_crs(flat, flat.geodetic_crs or flat, always_xy=True)


def _name(crs: str) -> str:
    known = None if crs in MAP_DATUMS else parse_crs(crs)
    code = None if known is None else known.to_epsg(min_confidence=70)
    return crs if known is None else f"EPSG:{code}" if code else str(known.name)
