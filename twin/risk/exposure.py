"""What stands in the way: people by day and night and the value of buildings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.features import Layer
from twin.risk.tables import Tables

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stock:
    """Buildings as things at stake.

    floor_area    (n,) f8 m2, all storeys
    storeys       (n,) f8, from the storeys column, else from the height; NaN where neither is known
    people_day, people_night   (n,) f8
    quality       (n,) f8 of the people: 1.0 given, 0.8 shared out of a community, 0.5 by floor area
    value         (n,) f8 10^4 yuan
    unplaced      people of communities without a building, by night
    """

    floor_area: Floats
    storeys: Floats
    people_day: Floats
    people_night: Floats
    quality: Floats
    value: Floats
    unplaced: float

    def people(self, clock: str) -> Floats:
        """People (n,) "by day", "by night" or the "larger" of both."""
        if clock == "day":
            return self.people_day
        return self.people_night if clock == "night" else np.maximum(self.people_day, self.people_night)


def stock(buildings: Layer, population: Layer | None, tables: Tables) -> Stock:
    """People and value of every building.

    population  communities with people_day and people_night; their totals are shared out by floor area and use, so
                that the buildings of a community add up to it. Without one, people follow floor area and use.
    """
    storeys = storeys_of(buildings, tables)
    area = shapely.area(buildings.geometry) * np.where(np.isnan(storeys), 1.0, np.maximum(storeys, 1.0))
    use = buildings.column("function")
    expected = [area * tables.lookup("functions", column, use) for column in ("people_day", "people_night")]
    home = _community(buildings, population)
    shared, unplaced = [], 0.0
    for column, weight in zip(("people_day", "people_night"), expected, strict=True):
        people, left = _share_out(buildings.column(column), weight, home, population, column)
        shared.append(people)
        unplaced = left
    given = np.isfinite(buildings.column("people_night")) | np.isfinite(buildings.column("people_day"))
    return Stock(
        floor_area=area,
        storeys=storeys,
        people_day=shared[0],
        people_night=shared[1],
        quality=np.where(given, 1.0, np.where(home >= 0, 0.8, 0.5)),
        value=area * tables.lookup("functions", "value", use),
        unplaced=unplaced,
    )


def storeys_of(buildings: Layer, tables: Tables) -> Floats:
    """Storeys (n,) f8: the column, else the height over the usual storey height, at least 1; NaN where both lack."""
    known = buildings.column("storeys")
    name = "height_m" if "height_m" in buildings.columns else "height"
    by_height = np.maximum(1.0, np.round(buildings.column(name) / tables.constants["storey_height"]))
    return np.where(np.isfinite(known), known, by_height)


def _community(buildings: Layer, population: Layer | None) -> NDArray[np.int64]:
    """Row of the community around each building's centre (n,) i8; -1 in none."""
    home = np.full(len(buildings), -1, dtype=np.int64)
    if population is None or not len(population):
        return home
    centre = shapely.centroid(buildings.geometry)
    point, polygon = shapely.STRtree(population.geometry).query(centre, predicate="intersects")
    # Where communities overlap the first row speaks, whatever order the tree answers in.
    order = np.lexsort((-polygon, point))
    home[point[order]] = polygon[order]
    return home


def _share_out(
    given: Floats, weight: Floats, home: NDArray[np.int64], population: Layer | None, column: str
) -> tuple[Floats, float]:
    """People (n,) of one clock, and the people of communities that have nowhere to put them."""
    known = np.isfinite(given)
    if population is None or not len(population):
        return np.where(known, given, weight), 0.0
    count = len(population)
    inside = home >= 0
    already = np.bincount(home[inside & known], weights=given[inside & known], minlength=count)
    open_weight = np.bincount(home[inside & ~known], weights=weight[inside & ~known], minlength=count)
    total = population.column(column)
    rest = np.maximum(0.0, np.nan_to_num(total) - already)
    factor = np.where(np.isfinite(total), rest / np.where(open_weight > 0.0, open_weight, 1.0), 1.0)
    shared = np.where(inside, weight * factor[home], weight)
    return np.where(known, given, shared), float(rest[open_weight <= 0.0].sum())
