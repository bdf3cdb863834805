"""Everything that is no building into the store, each class its own item, with what became of every feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_l2.classes.cover import ORDER, cover_of
from models_l2.classes.furniture import furniture_layer
from models_l2.classes.leaves import node_hull
from models_l2.classes.options import ClassOptions
from models_l2.classes.pipes import Piped, lay_pipes, pipe_jobs
from models_l2.classes.surfaces import cover_cell, jobs
from models_l2.classes.trees import Found, find_trees, in_buildings, tree_jobs, tree_layer
from twin.city import City
from twin.features import Layer, Objects
from twin.lineage import Lineage
from twin.meshes import Solids
from twin.outcome import Outcome, Report
from twin.workers import Workers

ITEMS = (("model", "surfaces"), ("model", "pipes"), ("layer", "tree_l2"), ("layer", "furniture_l2"))
DOCUMENT = "classes_report"
WITHIN = "树干在建筑内 / the stem lies in a building"
LISTED = 5
# Starting processes takes longer than covering so few cells in one.
SPREAD_FROM = 16


@dataclass(slots=True)
class _Tally:
    """What has been made so far."""

    made: set[tuple[str, str]] = field(default_factory=set)
    figures: dict[str, Any] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    done: int = 0

    def note(self, kind: str, name: str, features: int, outcomes: Iterator[Outcome] | tuple[Outcome, ...]) -> None:
        """An item of the store was made of so many features, these of them not the straight way."""
        lost = tuple(outcomes)
        self.made.add((kind, name))
        self.outcomes += lost
        self.done += features - len({outcome.oid for outcome in lost})


def build_classes(
    city: City, footprints: Objects, cell_size: float, options: ClassOptions, workers: Workers
) -> tuple[dict[str, Any], list[str]]:
    """What is no building as models and layers of the store; figures and warnings for the report of the stage.

    footprints  (b,) polygons of the buildings, empty ones allowed: no surface lies in them
    reads       layers road, railway, water, river, green, landuse, pipe, tree, furniture; rasters relief and canopy;
                points
    writes      models surfaces and pipes, layers tree_l2 and furniture_l2; document classes_report with an Outcome for
                every feature that did not come out as delivered; what this run does not make is taken out
    """
    tally = _Tally()
    if options.surfaces:
        _surfaces(city, footprints, cell_size, options, workers, tally)
    if options.pipes:
        _pipes(city, cell_size, options, workers, tally)
    if options.trees:
        _trees(city, footprints, options, workers, tally)
    if options.furniture:
        _furniture(city, tally)
    for kind, name in ITEMS:
        if (kind, name) not in tally.made:
            city.store.remove(kind, name)
    outcomes = tuple(sorted(tally.outcomes, key=lambda o: (o.oid, o.stage, o.reason)))
    report = Report("classes", tally.done, outcomes, tally.figures, tuple(_warnings(outcomes)))
    city.store.write_document(DOCUMENT, report.as_dict())
    return tally.figures, list(report.warnings)


def _surfaces(
    city: City, footprints: Objects, cell_size: float, options: ClassOptions, workers: Workers, tally: _Tally
) -> None:
    layers, lineage = _layers(city, ORDER)
    if not layers:
        return
    cover = cover_of(layers, node_hull(city.store.raster_box("relief")), options)
    work = list(jobs(city.store, city.frame, cover, footprints, cell_size, options))
    hands = workers if len(work) >= SPREAD_FROM else Workers(1, workers.tell)
    seen = _Seen()
    found = hands.map(cover_cell, work, label="地表 / surfaces")
    batches = ((job.cell, seen.look(part)) for job, part in zip(work, found, strict=True) if part is not None)
    step = (
        f"areas and widened lines laid on the relief within {options.tolerance:g} m, the upper class cutting the lower"
    )
    city.store.write_model("surfaces", batches, lineage.step(step))
    tally.figures |= seen.figures()
    tally.note("model", "surfaces", sum(map(len, layers.values())), cover.lost)


@dataclass(slots=True)
class _Seen:
    """Counts surfaces while they pass on to the store."""

    area: dict[str, float] = field(default_factory=dict)
    oids: dict[str, set[str]] = field(default_factory=dict)
    decks: set[str] = field(default_factory=set)
    triangles: int = 0

    def look(self, part: Solids) -> Solids:
        """The same surfaces, counted."""
        self.triangles += len(part.faces)
        areas = np.bincount(part.face_owner(), weights=_areas(part), minlength=len(part))
        kinds, bridge = part.attributes["class"], part.attributes["bridge"]
        for kind in np.unique(kinds.astype(str)).tolist():
            rows = kinds == kind
            self.area[kind] = self.area.get(kind, 0.0) + float(areas[rows].sum())
            self.oids.setdefault(kind, set()).update(part.oid[rows].tolist())
        self.decks.update(part.oid[bridge == "1"].tolist())
        return part

    def figures(self) -> dict[str, Any]:
        """Features and area by class, decks and triangles."""
        return {
            **{f"surfaces_{kind}": len(self.oids[kind]) for kind in ORDER if kind in self.oids},
            **{f"surfaces_{kind}_m2": round(self.area[kind], 1) for kind in ORDER if kind in self.area},
            "surfaces_decks": len(self.decks),
            "surfaces_triangles": self.triangles,
        }


def _areas(part: Solids) -> NDArray[np.float64]:
    """(m,) area of every face seen from above, m2."""
    a, b, c = (part.vertices[part.faces[:, k], :2] for k in range(3))
    return np.asarray(((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])) / 2.0)


def _pipes(city: City, cell_size: float, options: ClassOptions, workers: Workers, tally: _Tally) -> None:
    layers, lineage = _layers(city, ("pipe",))
    if not layers:
        return
    work = list(pipe_jobs(city.store, city.frame, layers["pipe"], cell_size, options))
    hands = workers if len(work) >= SPREAD_FROM else Workers(1, workers.tell)
    parts: list[Piped] = []

    def batches() -> Iterator[tuple[str, Solids]]:
        for job, part in zip(work, hands.map(lay_pipes, work, label="管线 / pipes"), strict=True):
            parts.append(replace(part, solids=Solids.empty(city.frame)))
            yield job.cell, part.solids

    item = city.store.write_model("pipes", batches(), lineage.step("lines laid at their depth as closed tubes"))
    lost = tuple(outcome for part in parts for outcome in part.outcomes)
    tally.figures |= {
        "pipes": len(layers["pipe"]),
        "pipes_solids": item.count,
        "pipes_without_depth": sum(part.without_depth for part in parts),
        "pipes_without_diameter": sum(part.without_diameter for part in parts),
        "pipes_above_ground": sum(part.above_ground for part in parts),
    }
    tally.note("model", "pipes", len(layers["pipe"]), lost)


def _trees(city: City, footprints: Objects, options: ClassOptions, workers: Workers, tally: _Tally) -> None:
    layers, lineage = _layers(city, ("tree",))
    work = tree_jobs(city.store, city.frame, footprints, options)
    if not work and not layers:
        return
    hands = workers if len(work) >= SPREAD_FROM else Workers(1, workers.tell)
    parts = [Found(np.zeros((0, 2)), np.zeros(0), np.zeros(0)), *hands.map(find_trees, work, label="树木 / trees")]
    columns = (np.concatenate([getattr(part, key) for part in parts]) for key in ("xy", "height", "crown"))
    source = work[0].source if work else ""
    given = layers.get("tree", Layer.empty("tree", city.frame))
    odd = in_buildings(given, footprints)
    layer = tree_layer(given.select(~odd), Found(*columns), source, city.store, city.frame)
    if source and not layers:
        kind = "raster" if source == "canopy" else "points"
        lineage = city.store.item(kind, source).lineage
    city.store.write_layer("tree_l2", layer, lineage.step("trees found by local maxima, as wide as their crowns"))
    told = layer.column("evidence").astype(str)
    tally.figures |= {"trees": len(layer)} | {f"trees_{word}": int((told == word).sum()) for word in np.unique(told)}
    tally.figures["trees_height_median_m"] = round(float(np.median(layer.column("height"))), 2) if len(layer) else 0.0
    tally.figures["trees_in_buildings"] = int(odd.sum())
    lost = (Outcome(oid, "skipped", WITHIN, "trees") for oid in given.oid[odd].tolist())
    tally.note("layer", "tree_l2", len(layer) + int(odd.sum()), lost)


def _furniture(city: City, tally: _Tally) -> None:
    layers, lineage = _layers(city, ("furniture",))
    if not layers:
        return
    roads = _layers(city, ("road",))[0].get("road")
    layer, lost = furniture_layer(layers["furniture"], roads, city.store)
    city.store.write_layer("furniture_l2", layer, lineage.step("set on the relief, each with a model and a heading"))
    tally.figures["furniture"] = len(layer)
    tally.note("layer", "furniture_l2", len(layer), lost)


def _layers(city: City, names: tuple[str, ...]) -> tuple[Mapping[str, Layer], Lineage]:
    there = [name for name in names if city.store.has("layer", name)]
    layers = {name: city.store.read_layer(name) for name in there}
    kept = {name: layer for name, layer in layers.items() if len(layer)}
    sources = [city.store.item("layer", name).lineage for name in kept]
    lineage = Lineage.join(sources, f"{len(sources)} layers put together") if len(sources) > 1 else None
    return kept, lineage or (sources[0] if sources else Lineage("none"))


def _warnings(outcomes: tuple[Outcome, ...]) -> Iterator[str]:
    reasons = sorted({(o.stage, o.status, o.reason) for o in outcomes})
    for stage, status, reason in reasons:
        oids = [o.oid for o in outcomes if (o.stage, o.status, o.reason) == (stage, status, reason)]
        more = f" and {len(oids) - LISTED} more" if len(oids) > LISTED else ""
        yield f"{stage}: {len(oids)} {status}, {reason}: {', '.join(oids[:LISTED])}{more}"
