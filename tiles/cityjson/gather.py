"""Which solids of which models belong to one city object, cell by cell, in bounded memory.

Model l2 leads; what l3 knows of a building becomes its parts. What stands in no l2 model comes after. Memory: the
names of the parts' owners, one cell, and the few cells of l3 that its buildings have parts in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tiles.cityjson.geometry import Shapes, shapes_of
from tiles.cityjson.objects import Owned, Rows, attributes_of
from twin.city import City
from twin.errors import MissingInputError, OptionsError
from twin.frames import Frame
from twin.grid import Bounds
from twin.meshes import Solids

# Everything that may be asked for, in the order in which it is written.
CLASSES = ("building", "relief", "road", "railway", "water", "river", "green", "landuse", "pipe", "tree", "furniture")
KEPT = 4
CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for.

    bounds  (xmin, ymin, xmax, ymax) in the frame, m: city objects whose box meets it; None for all
    lod     ten times the highest level of detail
    classes classes of ours, as CLASSES has them; nothing of the others is written
    """

    bounds: Bounds | None = None
    lod: int = 99
    classes: frozenset[str] = frozenset(CLASSES)


@dataclass(slots=True)
class _Model:
    """A model that is read by owner: which of its cells hold parts of whom; the last few cells as they are."""

    city: City
    name: str
    origin: NDArray[np.float64]
    choice: Choice
    cells: dict[str, list[str]] = field(default_factory=dict)
    _kept: dict[str, Shapes] = field(default_factory=dict)

    def index(self) -> None:
        """Learn the owners of all cells."""
        for cell, solids in self.city.store.read_model(self.name):
            for owner in dict.fromkeys(chosen(solids, self.choice).owner.tolist()):
                self.cells.setdefault(owner, []).append(cell)

    def rows(self, owner: str) -> list[Rows]:
        """The parts of one owner."""
        found = []
        for cell in self.cells.get(owner, ()):
            shapes = self._shapes(cell)
            rows = np.flatnonzero(shapes.solids.owner == owner).tolist()
            found.append(Rows(shapes, rows))
        return found

    def _shapes(self, cell: str) -> Shapes:
        if cell not in self._kept:
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            solids = next(solids for _, solids in self.city.store.read_model(self.name, [cell]))
            self._kept[cell] = shapes_of(chosen(solids, self.choice), self.origin)
        return self._kept[cell]


def chosen(solids: Solids, choice: Choice) -> Solids:
    """The solids up to the level of detail asked for, of city objects whose box meets the bounds."""
    keep = solids.lod <= choice.lod
    if choice.bounds is not None and len(solids):
        west, south, east, north = choice.bounds
        start = np.minimum(solids.vertex_offset[:-1], max(len(solids.vertices) - 1, 0))
        low = np.minimum.reduceat(solids.vertices[:, :2], start, axis=0)
        high = np.maximum.reduceat(solids.vertices[:, :2], start, axis=0)
        meets = (high >= [west, south]).all(axis=1) & (low <= [east, north]).all(axis=1)
        _, place = np.unique(solids.owner.astype(str), return_inverse=True)
        keep &= (np.bincount(place, weights=meets) > 0)[place]
    return solids if keep.all() else solids.take(np.flatnonzero(keep))


def bounds_of(frame: Frame, bbox: Sequence[float]) -> Bounds:
    """The box in the frame, m, around a box (west, south, east, north) in degrees, WGS 84.

    raises  OptionsError where the box is turned around
    """
    west, south, east, north = bbox
    if not (west < east and south < north):
        raise OptionsError(f"--bbox {west:g} {south:g} {east:g} {north:g}: wants west < east and south < north")
    edge = np.linspace(0.0, 1.0, 9)
    lon, lat = np.meshgrid(west + edge * (east - west), south + edge * (north - south))
    xy = frame.from_lonlat(np.column_stack([lon.ravel(), lat.ravel()]))
    low, high = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
    return low[0], low[1], high[0], high[1]


def gather(city: City, origin: NDArray[np.float64], choice: Choice) -> Iterator[Owned]:
    """Every city object once, in the order of cells, with attributes from the table of buildings.

    raises  MissingInputError where the store has no model of buildings
    """
    names = [name for name in ("l2", "l3", "citymodel") if city.store.has("model", name)]
    if not names:
        raise MissingInputError(f"{city.name_en}: the store has no model; run `twin l2 {city.root}`")
    if "l2" in names and "citymodel" in names:
        names.remove("citymodel")
    models = {name: _Model(city, name, origin, choice) for name in names}
    for name, model in models.items():
        if name != "l2":
            model.index()
    yield from _told(city, _every(city, models, choice, origin))


def _every(city: City, models: dict[str, _Model], choice: Choice, origin: NDArray[np.float64]) -> Iterator[Owned]:
    done: set[str] = set()
    for _, solids in city.store.read_model("l2") if "l2" in models else ():
        for owned in _leading(chosen(solids, choice), models, origin):
            if len(owned.rows) > 1:
                done.add(owned.oid)
            yield owned
    for name, model in models.items():
        for oid in model.cells if name != "l2" else ():
            if oid not in done:
                done.add(oid)
                yield Owned(oid, {}, [rows for other in models.values() for rows in other.rows(oid)])


def _leading(solids: Solids, models: dict[str, _Model], origin: NDArray[np.float64]) -> Iterator[Owned]:
    for start in range(0, len(solids), CHUNK):
        some = solids.take(np.arange(start, min(start + CHUNK, len(solids))))
        shapes = shapes_of(some, origin)
        for row, oid in enumerate(some.owner.tolist()):
            parts = [rows for name, model in models.items() if name != "l2" for rows in model.rows(oid)]
            yield Owned(oid, {}, [Rows(shapes, [row]), *parts])


def _told(city: City, found: Iterator[Owned]) -> Iterator[Owned]:
    """The city objects with what the table of buildings says of them, asked for many at a time."""
    table = "building_l2" if city.store.has("layer", "building_l2") else "building"
    while run := list(islice(found, CHUNK)):
        layer = city.store.read_layer(table, oids=[owned.oid for owned in run])
        place = {oid: row for row, oid in enumerate(layer.oid.tolist())}
        for owned in run:
            if owned.oid in place:
                owned.attributes = attributes_of(layer, place[owned.oid])
            yield owned
