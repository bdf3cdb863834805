"""The words between a file of a city model and our nouns: a building, its parts, their polygons as delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ingest.reading import Delivery
from twin.errors import SourceError
from twin.meshes import Surface

if TYPE_CHECKING:
    from ingest.citymodel.codes import CodeLists

Ring = NDArray[np.float64]
Colour = tuple[int, int, int, int]
UNTOLD = -1
FARTHEST = 1e9
HIGHEST = 49

# Semantic classes of CityGML 2.0 and 3.0 and CityJSON; what stands in none is a plain surface of the shell.
SURFACES: Mapping[str, int] = MappingProxyType(
    {
        "GroundSurface": int(Surface.GROUND),
        "WallSurface": int(Surface.WALL),
        "RoofSurface": int(Surface.ROOF),
        "Window": int(Surface.OPENING),
        "Door": int(Surface.OPENING),
        "WindowSurface": int(Surface.OPENING),
        "DoorSurface": int(Surface.OPENING),
        "OuterCeilingSurface": int(Surface.OUTER_CEILING),
        "OuterFloorSurface": int(Surface.OUTER_FLOOR),
        "ClosureSurface": int(Surface.OTHER),
        "InteriorWallSurface": int(Surface.OTHER),
        "CeilingSurface": int(Surface.OTHER),
        "FloorSurface": int(Surface.OTHER),
        "BuildingInstallation": int(Surface.INSTALLATION),
        "BuildingConstructiveElement": int(Surface.OTHER),
    }
)


@dataclass(slots=True)
class Coat:
    """The picture that a polygon wears.

    image   as the file names it, relative to the file
    wrap    the file's word for what is beyond the edge of the picture
    uv      places of the points of each ring in it, (k, 2) f4, (0, 0) its lower left
    """

    image: str
    wrap: str
    uv: list[NDArray[np.float32]]


@dataclass(slots=True)
class Polygon:
    """One polygon of a surface.

    rings       outer ring, then holes; each (k, 3) f8, x first, in the file's CRS, its last point not repeated
    surface     Surface, or UNTOLD where the file does not say
    coat        the picture it wears, None where it wears none; it covers the colour
    colour      (r, g, b, opacity) 0..255 of its material, None where the file tells none
    """

    rings: list[Ring]
    surface: int = UNTOLD
    coat: Coat | None = None
    colour: Colour | None = None


@dataclass(slots=True)
class Part:
    """A building or a part of one, in one level of detail: ten times LoD, and its polygons."""

    oid: str
    kind: str
    lod: int
    polygons: list[Polygon]


@dataclass(slots=True)
class Body:
    """One building as the file tells it.

    oid         identifier in the file, "" where it has none
    attributes  what the file says of it, plain values by the file's own names; codes stay codes
    parts       itself and its parts, those that have surfaces, in the chosen level of detail
    plan        polygons of LoD 0
    problems    (status, reason) of what was lost on the way
    """

    oid: str
    attributes: dict[str, Any] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    plan: list[Polygon] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Census:
    """What stands in one file; filled while it is read.

    crs         PROJ string of the file, "" where it states none
    swapped     true where the file gives latitude (northing) first; bodies come with x first all the same
    counts      object and surface classes met, polygons, triangles of terrain
    ignored     classes of city objects that are no building
    images      names of pictures met, as the file gives them
    lists       the code lists of the file, None where nobody asks for words
    looks       true where the file tells colours or pictures
    low, high   (3,) corners of the ignored objects in the file's CRS, x first
    """

    crs: str = ""
    swapped: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    images: dict[str, None] = field(default_factory=dict)
    looks: bool = False
    lists: CodeLists | None = None
    low: Ring = field(default_factory=lambda: np.full(3, np.inf))
    high: Ring = field(default_factory=lambda: np.full(3, -np.inf))

    def grow(self, points: Ring) -> None:
        """The corners of the ignored objects hold these points (n, 3) too."""
        if len(points):
            self.low, self.high = np.minimum(self.low, points.min(axis=0)), np.maximum(self.high, points.max(axis=0))


def open_ring(points: Ring) -> Ring | None:
    """The ring without its repeated last point and without points twice in a row; None below three points.

    raises  ValueError for a coordinate that is no number, or none on this globe
    """
    if not (np.abs(points) < FARTHEST).all():
        raise ValueError("a coordinate is no number, or beyond the globe")
    points = points[kept_points(points)]
    return points if len(points) >= 3 else None


def kept_points(points: Ring) -> NDArray[np.bool_]:
    """(k,) True for the points of a ring that `open_ring` keeps."""
    return (points != np.roll(points, 1, axis=0)).any(axis=1)


def declared_lod(delivery: Delivery) -> int:
    """Ten times the declared LoD; 0 without, which no level of CityGML is; SourceError for what is none."""
    stated = delivery.source.extra.get("lod", 0)
    try:
        lod = round(float(stated) * 10)
    except (TypeError, ValueError, OverflowError):
        lod = -1
    if not 0 <= lod <= HIGHEST:
        name = delivery.source.name
        raise SourceError(f'source "{name}": extra.lod {stated!r} is no level of detail from 0 to 4')
    return lod


def choose_lod(levels: list[int], wanted: int) -> tuple[int, str]:
    """(level to take, what to say): the highest, or the highest not above `wanted` (0: no wish), else the lowest.

    levels  ten times LoD, at least one
    """
    if not wanted:
        return max(levels), ""
    below = [level for level in levels if level <= wanted]
    if below:
        return max(below), ""
    taken = min(levels)
    return taken, f"无所选细节层次,改用 {taken / 10:g} / no LoD up to {wanted / 10:g}, took {taken / 10:g}"
