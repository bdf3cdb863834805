"""City furniture as instances: a place on the relief, a model by name, a heading and a height."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.ground import bounds_of, read_relief
from twin.features import Layer, Objects, objects
from twin.outcome import Outcome
from twin.store.protocol import Store

Floats = NDArray[np.float64]

STAGE = "furniture"
PLAIN, PLAIN_HEIGHT = "column", 1.0
# What faces a road is turned to the nearest one, if it stands no further away, m.
NEAR_ROAD = 30.0


@cache
def models() -> Mapping[str, tuple[str, float]]:
    """kind -> (model, usual height in m)."""
    text = resources.files(__package__).joinpath("furniture.csv").read_text(encoding="utf-8")
    return {row["kind"]: (row["model"], float(row["height_m"])) for row in csv.DictReader(text.splitlines())}


def furniture_layer(given: Layer, roads: Layer | None, store: Store) -> tuple[Layer, tuple[Outcome, ...]]:
    """The layer `furniture_l2`: every piece with model, height, heading and base_z; those that got a stand-in.

    model       as delivered, else that of its kind, else a plain column, which is an Outcome
    heading     as delivered (degrees clockwise from north), else towards the nearest road within NEAR_ROAD, else 0
    evidence    of the height: "surveyed" or "usual"; heading_evidence: "surveyed", "road" or "none"
    """
    kinds = [models().get(word) for word in given.column("kind").tolist()]
    own = given.column("model").tolist()
    model = [name or (kind[0] if kind else PLAIN) for name, kind in zip(own, kinds, strict=True)]
    usual = np.array([kind[1] if kind else PLAIN_HEIGHT for kind in kinds])
    told = np.isfinite(given.column("height"))
    xy = shapely.get_coordinates(given.geometry)
    heading, known = _headings(given, xy, roads)
    relief = read_relief(store, bounds_of(given.geometry))[1]
    layer = given.with_columns(
        model=objects(model),
        height=np.where(told, given.column("height"), usual),
        heading=heading,
        evidence=objects(np.where(told, "surveyed", "usual").tolist()),
        heading_evidence=known,
        base_z=relief.sample(xy),
    )
    plain = [row for row, kind in enumerate(kinds) if kind is None and not own[row]]
    why = "类别未知,以柱代替 / unknown kind, a plain column stands for it"
    return layer, tuple(Outcome(str(given.oid[row]), "fallback", why, STAGE) for row in plain)


def _headings(given: Layer, xy: Floats, roads: Layer | None) -> tuple[Floats, Objects]:
    heading = given.column("heading") % 360.0
    known = objects(np.where(np.isfinite(heading), "surveyed", "none").tolist())
    rows = np.flatnonzero(np.isnan(heading))
    if roads is not None and len(roads) and len(rows):
        places = shapely.points(xy[rows])
        near = shapely.STRtree(roads.geometry).query_nearest(
            places, max_distance=NEAR_ROAD, all_matches=False, return_distance=False
        )
        at, road = near
        line = shapely.shortest_line(places[at], roads.geometry[road])
        ends = shapely.get_coordinates(line).reshape(-1, 2, 2)
        way = ends[:, 1] - ends[:, 0]
        apart = np.hypot(way[:, 0], way[:, 1]) > 0.01
        rows = rows[at[apart]]
        heading[rows] = np.degrees(np.arctan2(way[apart, 0], way[apart, 1])) % 360.0
        known[rows] = "road"
    return np.where(np.isnan(heading), 0.0, heading), known
