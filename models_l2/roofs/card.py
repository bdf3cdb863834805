"""What every roof type is: a card, and one verb that draws the roofs of a batch.

A new roof type is one file with a class that has `card` and `roof`, and one line in `models_l2/roofs/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.footprints import Rings, to_polygons
from twin.errors import NotFoundError, OptionsError
from twin.features import Objects
from twin.options import option

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NO_HEIGHT = "屋顶高度未知 / neither eaves nor ridge known"
NO_ROOM = "墙上没有屋顶的余地 / no room for a roof above the walls"


@dataclass(frozen=True, slots=True)
class TypeOptions:
    """How roofs are shaped where only their type is known."""

    slope: float = option(30.0, unit="deg", min=5.0, max=65.0, doc="Slope of pitched roofs without a known one.")
    shed_slope: float = option(10.0, unit="deg", min=2.0, max=60.0, doc="The same for sheds.")
    mansard_slope: float = option(
        45.0, unit="deg", min=10.0, max=50.0, doc="Slope from the eaves of a mansard to its top."
    )
    steepest: float = option(65.0, unit="deg", min=20.0, max=70.0, doc="No roof is drawn steeper than this.")
    least_rise: float = option(0.2, unit="m", min=0.01, max=2.0, doc="A roof that rises less than this is flat.")
    most_rise: float = option(12.0, unit="m", min=1.0, max=60.0, doc="Roofs of a default slope rise no more than this.")
    half_hip: float = option(
        0.5, min=0.1, max=0.9, doc="Share of the rise up to which the ends of half-hipped roofs are walls."
    )
    gable_foot: float = option(
        0.5, min=0.1, max=0.9, doc="Share of the rise up to which the ends of hip-and-gable roofs are hips."
    )
    top_run: float = option(0.4, min=0.1, max=0.9, doc="Share of the way in at which a flat-topped roof becomes level.")
    break_run: float = option(0.3, min=0.1, max=0.5, doc="Share of the way in at which a mansard breaks.")
    break_rise: float = option(0.6, min=0.5, max=0.75, doc="Share of the rise at which a mansard breaks.")


@dataclass(frozen=True, slots=True)
class RoofBatch:
    """n buildings that want a roof.

    rings       cleaned rings of their footprints
    floor       (n,) f8 m, no eaves are lower
    eave        (n,) f8 m, height of the eaves, NaN unknown       ridge   (n,) f8 m, of the highest line, NaN unknown
    slope       (n,) f8 deg, NaN: that of the options
    direction   (n,) f8 rad, of the ridge, from the x axis to the left; a shed falls to the right of it. NaN: the longer
                side of the smallest rectangle around the footprint
    """

    rings: Rings
    floor: Floats
    eave: Floats
    ridge: Floats
    slope: Floats
    direction: Floats

    def __len__(self) -> int:
        return self.rings.n

    def take(self, rows: Integers) -> RoofBatch:
        """The buildings `rows` (k,) ascending."""
        columns = (values[rows] for values in (self.floor, self.eave, self.ridge, self.slope, self.direction))
        return RoofBatch(_rings_of(self.rings, rows), *columns)

    def directions(self) -> Floats:
        """(n,) rad, the ridge direction, in [0, pi) where it was not given."""
        found = self.direction.copy()
        blank = np.isnan(found)
        if blank.any():
            found[blank] = _long_sides(to_polygons(self.rings)[blank])
        return found

    def rises(self, reach: Floats, slope: float, options: TypeOptions, steepening: float = 1.0) -> Rises:
        """Eaves and rise of roofs whose highest line lies `reach` (n,) m in from the eaves.

        slope        deg, for buildings without their own     steepening   steepest slope of the type over its mean one
        """
        wanted = reach * np.tan(np.radians(np.where(np.isnan(self.slope), slope, self.slope)))
        wanted = np.minimum(wanted, np.where(np.isnan(self.slope), options.most_rise, np.inf))
        both = ~np.isnan(self.eave) & ~np.isnan(self.ridge)
        rise = np.where(both, self.ridge - self.eave, wanted)
        rise = np.minimum(rise, reach * np.tan(np.radians(options.steepest)) / steepening)
        top = np.where(np.isnan(self.ridge), self.eave + rise, self.ridge)
        rise = np.minimum(rise, top - self.floor)
        refused = np.full(len(self), "", dtype=object)
        refused[~(rise >= options.least_rise)] = NO_ROOM
        refused[np.isnan(top)] = NO_HEIGHT
        return Rises(top - rise, rise, refused)


@dataclass(frozen=True, slots=True)
class Rises:
    """eave (n,) f8 m, rise (n,) f8 m; refused (n,) str, why there can be no such roof, else ""."""

    eave: Floats
    rise: Floats
    refused: Objects


@dataclass(frozen=True, slots=True)
class Drawn:
    """Roofs of n buildings as a type draws them, not yet on the grid.

    xy        (m, 2) f8 frame m, nodes               corner   (k,) i8 nodes of the rings
    ring      (r + 1,) i8 offsets in `corner`        face     (r,) i8 ascending; outer ring first, then holes
    owner     (p,) i8 building of every face
    plane     (p, 3) f8: z = plane[0] (x - ox) + plane[1] (y - oy) + plane[2], m
    origin    (n, 2) f8 m                            refused  (n,) str, why there is no such roof, else ""
    """

    xy: Floats
    corner: Integers
    ring: Integers
    face: Integers
    owner: Integers
    plane: Floats
    origin: Floats
    refused: Objects


@dataclass(frozen=True, slots=True)
class Card:
    """What a roof type declares: its names, the simpler type to try where it fails ("" for none), its method."""

    name: str
    name_zh: str
    simpler: str
    method: str


class RoofType(Protocol):
    """A way to roof a footprint."""

    @property
    def card(self) -> Card:
        """Names, fallback and method."""
        ...

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """The roofs of a batch; buildings that cannot have one are refused with the reason."""
        ...


class Registry:
    """The roof types the engine knows, by name; a new registry for every change, none replaced silently."""

    def __init__(self, types: Iterable[RoofType] = ()) -> None:
        table: dict[str, RoofType] = {}
        for kind in types:
            if kind.card.name in table:
                raise OptionsError(f"roof type {kind.card.name!r} is registered twice; give one another name")
            table[kind.card.name] = kind
        self._table = MappingProxyType(table)

    def __iter__(self) -> Iterator[RoofType]:
        return iter(self._table.values())

    def __contains__(self, name: Any) -> bool:
        return name in self._table

    def __getitem__(self, name: str) -> RoofType:
        if name not in self._table:
            raise NotFoundError(f"no roof type {name!r}; known are {', '.join(self._table)}")
        return self._table[name]

    def register(self, *types: RoofType) -> Registry:
        """A registry with these types as well."""
        return Registry([*self._table.values(), *types])


def origins(rings: Rings) -> Floats:
    """(n, 2) f8 m, the first vertex of every building; zero where it has none."""
    origin = np.zeros((rings.n, 2))
    owner = rings.owner[rings.vertex_ring()]
    origin[owner[::-1]] = rings.xy[::-1]
    return origin


def _rings_of(rings: Rings, rows: Integers) -> Rings:
    place = np.full(rings.n, -1)
    place[rows] = np.arange(len(rows))
    kept = place[rings.owner] >= 0
    vertex = kept[rings.vertex_ring()]
    offsets = np.concatenate([[0], np.cumsum(np.diff(rings.ring)[kept])]).astype(np.int64)
    return Rings(rings.xy[vertex], offsets, rings.part[kept], place[rings.owner[kept]], len(rows))


def _long_sides(polygons: Objects) -> Floats:
    """(n,) rad in [0, pi), the longer side of the smallest rectangle around each polygon; 0 where there is none."""
    boxes = shapely.oriented_envelope(polygons)
    angle = np.zeros(len(polygons))
    real = (shapely.get_type_id(boxes) == 3) & ~shapely.is_empty(boxes)
    if real.any():
        corners = shapely.get_coordinates(boxes[real]).reshape(-1, 5, 2)
        sides = np.diff(corners[:, :3], axis=1)
        length = np.hypot(sides[..., 0], sides[..., 1])
        # Squares take the side nearer to the x axis, whatever the last digit says.
        slant = np.abs(sides[..., 1]) / np.maximum(length, 1e-12)
        even = np.abs(length[:, 0] - length[:, 1]) <= 0.01 * length.max(axis=1)
        first = np.where(even, slant[:, 0] <= slant[:, 1], length[:, 0] > length[:, 1])
        longer = np.where(first[:, None], sides[:, 0], sides[:, 1])
        angle[real] = np.arctan2(longer[:, 1], longer[:, 0]) % np.pi
    # The last digit decides nothing: what is a full half turn is none.
    return np.where(np.pi - angle < 1e-9, 0.0, angle)
