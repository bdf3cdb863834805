"""The facts of the L2 page, read from the store: counts, figures, and the buildings with the poorest fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.fitness import evenly
from models_l2.validity import CODES
from twin.analysis.distance import distance_to_triangles
from twin.analysis.heights import cells_inside, points_inside
from twin.city import City
from twin.features import Layer, Objects
from twin.meshes import Solids
from twin.outcome import cause_of

Floats = NDArray[np.float64]

WORST = 20
SHOWN_POINTS = 300
NAMED = 12
# Upper ends of the classes of the histogram of fit, m; the last class is open.
CLASSES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0)


@dataclass(frozen=True, slots=True)
class Worst:
    """One building that deserves a look: its row as words and figures, its solid, and what was measured.

    solid   a batch of one; None where it has none         xyz   (k, 3) f8 m, measured roof          off   (k,) f8 m
    """

    told: dict[str, Any]
    outline: Any
    solid: Solids | None
    xyz: Floats
    off: Floats


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the page says.

    lods        (evidence of height, level of detail) -> buildings          roofs   (shape, evidence) -> buildings
    reasons     (what became of it, why) -> buildings, the most frequent first
    sigma       evidence -> (buildings, median sigma, 95th percentile), m
    fit         (n,) f8 m, RMSE of the buildings that have points            conflicts   the first names of `conflict`
    figures     the figures of the stage's report                            invalid     val3dity code -> buildings
    lost        (what became of it, why) -> features of other classes, the most frequent first
    """

    buildings: int
    lods: Counter[tuple[str, str]]
    roofs: Counter[tuple[str, str]]
    reasons: list[tuple[tuple[str, str], int]]
    sigma: dict[str, tuple[int, float, float]]
    fit: Floats
    conflicts: list[str]
    figures: dict[str, Any]
    lost: list[tuple[tuple[str, str], int]]
    invalid: dict[int, int]
    worst: list[Worst]


def facts_of(city: City) -> Facts:
    """The facts of a city whose L2 is built."""
    store = city.store
    table = store.read_layer("building_l2")
    document = store.read_document("l2_report")
    figures = document["figures"]
    evidence = table.column("height_evidence").astype(str)
    level = [f"{v:g}" if np.isfinite(v) else "" for v in table.column("lod").tolist()]
    shapes = zip(_words(table, "roof_shape"), _words(table, "roof_evidence"), strict=True)
    return Facts(
        len(table),
        Counter(zip(evidence.tolist(), level, strict=True)),
        Counter(pair for pair in shapes if any(pair)),
        _reasons(table),
        _sigmas(evidence, table.column("height_sigma")),
        table.column("fit_rmse")[np.isfinite(table.column("fit_rmse"))],
        _conflicts(table),
        figures,
        _lost(city),
        {code: figures[f"invalid_{code}"] for code in CODES if f"invalid_{code}" in figures},
        _worst(city, table),
    )


def _words(table: Layer, name: str) -> list[str]:
    return [str(word) for word in table.columns[name].tolist()] if name in table.columns else [""] * len(table)


def _reasons(table: Layer) -> list[tuple[tuple[str, str], int]]:
    """Reasons without the figures behind their colon, so that the same cause counts as one."""
    found: Counter[tuple[str, str]] = Counter()
    for status, reason in zip(_words(table, "outcome"), _words(table, "reason"), strict=True):
        for part in filter(None, reason.split("; ")):
            found[status, cause_of(part)] += 1
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _lost(city: City) -> list[tuple[tuple[str, str], int]]:
    """Reasons why features that are no building did not come out as delivered."""
    if not city.store.has("document", "classes_report"):
        return []
    outcomes = city.store.read_document("classes_report")["outcomes"]
    found = Counter((outcome["status"], outcome["reason"]) for outcome in outcomes)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _sigmas(evidence: NDArray[np.str_], sigma: Floats) -> dict[str, tuple[int, float, float]]:
    told = {}
    for kind in np.unique(evidence[np.isfinite(sigma)]).tolist():
        values = sigma[(evidence == kind) & np.isfinite(sigma)]
        told[kind] = (len(values), float(np.median(values)), float(np.percentile(values, 95)))
    return told


def _conflicts(table: Layer) -> list[str]:
    apart = [
        oid for oid, reason in zip(table.oid.tolist(), _words(table, "reason"), strict=True) if "in conflict" in reason
    ]
    return apart[:NAMED]


def _worst(city: City, table: Layer) -> list[Worst]:
    """Buildings without a valid solid first, then those furthest from their points, then the least certain."""
    lost = np.isin(table.column("outcome").astype(str), ("done", "fallback"))
    fit = np.nan_to_num(table.column("fit_rmse"), nan=-1.0)
    sigma = np.nan_to_num(table.column("height_sigma"), nan=-1.0)
    rows = np.lexsort((table.oid.astype(str), -sigma, -fit, lost))[:WORST]
    wanted = set(table.oid[rows].tolist())
    solids: dict[str, Solids] = {}
    for _, part in city.store.read_model("l2"):
        solids |= {str(part.oid[k]): part.take([k]) for k, oid in enumerate(part.oid.tolist()) if oid in wanted}
    return [_one(city, table, int(row), solids.get(str(table.oid[row]))) for row in rows]


def _one(city: City, table: Layer, row: int, solid: Solids | None) -> Worst:
    keys = ("height_m", "height_sigma", "fit_rmse", "lod", "height_evidence", "outcome", "reason", "name")
    told = {"oid": table.oid[row]} | {key: table.columns[key][row] for key in keys if key in table.columns}
    shape = table.geometry[row]
    xyz = np.zeros((0, 3))
    if solid is not None and np.isfinite(told["fit_rmse"]):
        xyz = _measured(city, table.geometry[row : row + 1], float(table.column("ground_z")[row]))
    off = np.zeros(0)
    if solid is not None and len(xyz):
        zero = np.zeros(len(xyz), np.int64)
        off = distance_to_triangles(xyz, zero, solid.vertices[solid.faces], solid.face_owner())
    return Worst(told, shape, solid, xyz, off)


def _measured(city: City, outline: Objects, ground: float) -> Floats:
    """Roof points (k, 3) f8 m inside one outline, thinned; cells of the surface model where there are no points."""
    store, bounds = city.store, tuple(shapely.total_bounds(outline).tolist())
    if store.has("points", "points"):
        cloud = store.read_points("points", bounds=bounds)
        roof = cloud.xyz[cloud.classification == 6] if (cloud.classification == 6).any() else cloud.xyz
        xyz = roof[points_inside(roof[:, :2], outline)[1]]
    elif store.has("raster", "dsm"):
        dsm = store.read_raster("dsm", bounds=bounds)
        _, row, col = cells_inside(outline, dsm.geobox)
        x, y = dsm.geobox.centers()
        z = np.where(dsm.valid, dsm.values, np.nan).astype(np.float64)[row, col]
        xyz = np.column_stack([x[col], y[row], z])
    else:
        return np.zeros((0, 3))
    xyz = xyz[xyz[:, 2] > ground + 1.5]
    return evenly(xyz, np.zeros(len(xyz), np.int64), SHOWN_POINTS)[0]
