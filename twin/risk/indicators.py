"""Indicators of buildings and streets that do not depend on the event: fragility, people, means of mitigation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from twin.features import Layer
from twin.risk.exposure import Stock
from twin.risk.tables import Tables
from twin.risk.zoning import normalise

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Group:
    """The indicators of one pillar.

    keys      names of the k indicators
    raw       (n, k) f8 as shown to people, in the unit of the indicator table
    index     (n, k) f8 0..1
    quality   (n, k) f8: 1.0 surveyed, 0.8 modelled, 0.5 proxy, 0.2 assumed
    """

    keys: tuple[str, ...]
    raw: Floats
    index: Floats
    quality: Floats

    @staticmethod
    def of(columns: Mapping[str, tuple[Floats, Floats, Floats]]) -> Group:
        """The group of named (raw, index, quality) columns."""
        tables = [np.column_stack([c[i] for c in columns.values()]) for i in range(3)]
        return Group(tuple(columns), tables[0], tables[1], tables[2])


def building_vulnerability(buildings: Layer, stock: Stock, tables: Tables) -> Group:
    """How badly a building is hurt: structure, age, storeys, heritage."""
    structure = known_structure(buildings)
    fragility = tables.lookup("structures", "fragility", structure)
    year = buildings.column("year_built")
    age = normalise(year, tables.anchor("year_built"))
    age_known = np.isfinite(age)
    usual = float(np.median(age[age_known])) if age_known.any() else 0.5
    floors = normalise(stock.storeys, tables.anchor("storeys"))
    floors_known = np.isfinite(floors)
    declared = np.isfinite(buildings.column("storeys"))
    listed = is_listed(buildings).astype(np.float64)
    return Group.of(
        {
            "structure": (fragility, fragility, np.where(structure == "unknown", 0.5, 1.0)),
            "year_built": (year, np.where(age_known, age, usual), np.where(age_known, 1.0, 0.2)),
            "storeys": (
                stock.storeys,
                np.where(floors_known, floors, 0.5),
                np.where(declared, 1.0, np.where(floors_known, 0.8, 0.2)),
            ),
            "heritage": (listed, listed, np.ones(len(buildings))),
        }
    )


def street_vulnerability(pieces: Layer, tables: Tables) -> Group:
    """How badly a street is hurt: a narrow one has no dry lane."""
    width, known = street_width(pieces, tables)
    return Group.of({"street_width": (width, normalise(width, tables.anchor("street_width")), known)})


def street_width(pieces: Layer, tables: Tables) -> tuple[Floats, Floats]:
    """Carriageway width (n,) f8 m and its quality: given, else from lanes of 3.5 m, else usual for the class."""
    given, lanes = pieces.column("width"), pieces.column("lanes") * 3.5
    usual = tables.lookup("roads", "width", pieces.column("road_class"))
    width = np.where(given > 0.0, given, np.where(lanes > 0.0, lanes, usual))
    return width, np.where(given > 0.0, 1.0, np.where(lanes > 0.0, 0.8, 0.5))


def capacity(xy: Floats, facilities: Layer | None, tables: Tables, kinds: tuple[str, ...]) -> Group:
    """Which means of mitigation reach the units, by straight distance to the nearest facility of each kind.

    xy  (n, 2) f8 frame m of the units. No table of facilities: no capacity is credited, and the quality says so.
    """
    columns: dict[str, tuple[Floats, Floats, Floats]] = {}
    for kind in kinds:
        places = _places(facilities, kind)
        distance = cKDTree(places).query(xy)[0] if len(places) and len(xy) else np.full(len(xy), np.nan)
        index = np.nan_to_num(normalise(distance, tables.anchor(kind)))
        quality = 0.2 if facilities is None else 0.5
        columns[kind] = (distance, index, np.full(len(xy), quality))
    return Group.of(columns)


def distance_to(xy: Floats, places: Floats) -> Floats:
    """Straight distance (n,) f8 m to the nearest of places (m, 2); infinite where there is none."""
    if not len(places) or not len(xy):
        return np.full(len(xy), np.inf)
    return np.asarray(cKDTree(places).query(xy)[0], dtype=np.float64)


def known_structure(buildings: Layer) -> NDArray[Any]:
    """Structure class (n,) str; "unknown" where the column is empty."""
    structure = buildings.column("structure").astype(str)
    return np.where(structure == "", "unknown", structure)


def is_listed(buildings: Layer) -> NDArray[np.bool_]:
    """True (n,) for heritage buildings."""
    return (buildings.column("heritage") != "") | (buildings.column("function") == "heritage")


def _places(facilities: Layer | None, kind: str) -> Floats:
    if facilities is None:
        return np.zeros((0, 2))
    return centres(facilities.geometry[facilities.column("kind") == kind])


def centres(geometry: NDArray[Any]) -> Floats:
    """Centroids (n, 2) f8 of geometries, frame m."""
    return shapely.get_coordinates(shapely.centroid(geometry)) if len(geometry) else np.zeros((0, 2))
