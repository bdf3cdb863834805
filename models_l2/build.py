"""L2 of a whole city: layers and rasters of the store in; relief, closed solids and a table of heights out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2 import footprints, imported
from models_l2.blocks import (
    L2Options,
    Measured,
    MeasureJob,
    Plan,
    attributes_of,
    measure,
    places,
    plan,
    texts,
)
from models_l2.classes.build import build_classes
from models_l2.extrude import LOD
from models_l2.ground import EXTRAPOLATED, Stand, gap_table
from models_l2.heights import EVIDENCE, Evidence, Heights, decide, from_storeys, plausible, shapes
from models_l2.ladder import LEVELS, PLANES, Raised, RaiseJob
from models_l2.reuse import RefreshJob, known_cells, note_cells, refresh
from models_l2.roofs import ROOFS
from models_l2.roofs.choice import Choice, choose
from models_l2.terrain.build import GroundFigures, make_ground
from models_l2.validity import CODES
from twin.city import City
from twin.errors import MissingInputError
from twin.features import Layer, Objects, objects
from twin.meshes import Solids
from twin.outcome import Outcome, Report
from twin.workers import Workers

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Cells = Mapping[str, tuple[str, ...]]

STAGE = "l2"
LISTED = 20
BY = "由交付的模型代表 / modelled by the delivered building"
# Starting processes takes longer than raising a city below this size in one.
SPREAD_FROM = 150_000

__all__ = ["L2Options", "build"]


@dataclass(frozen=True, slots=True)
class _Built:
    """Everything known about the n buildings of the city at the end.

    by   (n,) oid of the delivered building that a footprint is modelled by; "" for all others
    """

    layer: Layer
    polygons: Objects
    outline: Objects
    by: Objects
    stand: Stand
    heights: Heights
    shape: Objects
    roofs: Choice
    raised: Raised


def build(city: City, options: L2Options, workers: Workers) -> Report:
    """Relief, one closed solid per footprint, and the layer `building_l2` that says how each height is known.

    reads    layers building, water, road; raster dem or points; raster dsm, points; model citymodel
    writes   raster and model relief, model l2, layer building_l2, documents l2_report and l2_cells; the other
             classes as `build_classes` says
    raises   MissingInputError where there is no building layer, or where DEM or points hold no ground
    """
    if not city.store.has("layer", "building"):
        raise MissingInputError(
            f"{city.name_en}: the store has no layer 'building'; declare a [[source]] with kind = \"footprints\" or "
            f'"citymodel" in city.toml, then run `twin ingest {city.root}`'
        )
    layer = city.store.read_layer("building").sort()
    polygons, outline = footprints.clean(layer.geometry, options.footprints)
    known = imported.cells_of(city.store, options.imported)
    by = imported.give_way(layer, polygons, known)
    polygons[by != ""] = shapely.Polygon()
    # An outline is kept as delivered only where no cleaned one takes its place.
    layer = replace(layer, geometry=np.where(shapely.is_empty(polygons), layer.geometry, polygons))
    hands = workers if len(layer) >= SPREAD_FROM else Workers(1, workers.tell)
    ground = make_ground(city, options, workers)
    cells = plan(polygons, layer.oid, options.cell_size)
    standing, evidence = _measure(city, polygons, cells, options, hands, surface=not ground.assumed)
    heights = _decide(layer, polygons, evidence, options)
    roofs = choose(_facts(layer, polygons, heights), options.roofs, ROOFS)
    nothing = Raised.nothing(len(layer))
    built = _Built(layer, polygons, outline, by, standing, heights, shapes(evidence, heights), roofs, nothing)
    model = _Model(city, built, cells, options, hands, known)
    lineage = city.store.item("layer", "building").lineage
    step = f"solids up to LoD{options.lod:g} raised on the relief" + (", delivered models as they are" if known else "")
    images = _Pictures(city) if known else None
    city.store.write_model("l2", model.batches(), lineage.step(step), images)
    note_cells(city.store, model.digests)
    built = replace(built, raised=model.raised)
    report = _report(built, ground, surface=city.store.has("raster", "dsm"))
    table = _table(built, ground.relief.source)
    city.store.write_layer("building_l2", table, lineage.step("heights decided by evidence, ground taken from relief"))
    figures, lines = build_classes(city, built.polygons, options.cell_size, options.classes, workers)
    report = replace(report, figures={**report.figures, **figures}, warnings=(*report.warnings, *lines))
    city.store.write_document("l2_report", report.as_dict(), lineage)
    return report


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The pictures that delivered models wear, as the store keeps them."""

    city: City

    def __getitem__(self, name: str) -> bytes:
        return self.city.store.read_image(name)


def _measure(
    city: City, polygons: Objects, cells: Plan, options: L2Options, workers: Workers, surface: bool
) -> tuple[Stand, dict[str, Evidence]]:
    n = len(polygons)
    whole = Stand.unknown(n)
    evidence: dict[str, Evidence] = {}
    jobs = (MeasureJob(city.store, polygons[rows], options, surface) for rows in cells.blocks)
    found = workers.map(measure, jobs, "地面与高度 / ground and heights", len(cells.blocks))
    for rows, part in zip(cells.blocks, found, strict=True):
        _put_measured(whole, evidence, rows, part)
    return whole, evidence


def _put_measured(whole: Stand, evidence: dict[str, Evidence], rows: NDArray[np.int64], part: Measured) -> None:
    for field in fields(Stand):
        getattr(whole, field.name)[rows] = getattr(part.stand, field.name)
    for kind, values in part.evidence.items():
        n = len(whole.base_z)
        kept = evidence.setdefault(kind, Evidence.silent(n))
        kept.value[rows], kept.sigma[rows], kept.spread[rows] = values.value, values.sigma, values.spread


def _decide(layer: Layer, polygons: Objects, measured: dict[str, Evidence], options: L2Options) -> Heights:
    delivered, function = layer.column("height"), layer.column("function")
    surveyed = plausible(delivered, options.height)
    storeys = from_storeys(layer.column("storeys"), function, surveyed, options.height)
    evidence = {"surveyed": surveyed, **measured, "storeys": storeys}
    return decide(evidence, delivered, function, places(polygons), options.height)


def _facts(layer: Layer, polygons: Objects, heights: Heights) -> dict[str, NDArray[Any]]:
    """What roof rules may ask about."""
    names = ("roof_type", "function", "structure", "heritage", "storeys", "year_built")
    return {name: layer.column(name) for name in names} | {"area": shapely.area(polygons), "height": heights.height}


class _Model:
    """Raises block after block while the store writes, and remembers what became of every building."""

    def __init__(
        self, city: City, built: _Built, cells: Plan, options: L2Options, workers: Workers, known: Cells
    ) -> None:
        self.raised = built.raised
        self.digests: dict[str, str] = {}
        self._city, self._built, self._cells, self._options, self._workers = city, built, cells, options, workers
        self._known = known

    def batches(self) -> Iterator[tuple[str, Solids]]:
        """(cell, solids) of the whole city, block by block."""
        known = known_cells(self._city.store)
        jobs = (RefreshJob(self._job(rows), known) for rows in self._cells.blocks)
        found = self._workers.map(refresh, jobs, "拉伸实体 / solids", len(self._cells.blocks))
        kept = 0
        for rows, part in zip(self._cells.blocks, found, strict=True):
            self.raised.put(rows, part.raised)
            self._tell(rows[part.raised.delivered])
            self.digests |= part.digests
            kept += part.kept
            yield from part.raised.batches
        if kept:
            self._workers.tell("未变单元沿用 / cells left as they were", kept, len(self.digests))

    def _tell(self, rows: NDArray[np.int64]) -> None:
        """Heights of delivered models come from the models."""
        heights = self._built.heights
        heights.height[rows] = self.raised.ridge_z[rows] - self._built.stand.ground_z[rows]
        heights.evidence[rows] = "model"

    def _job(self, rows: NDArray[np.int64]) -> RaiseJob:
        built, heights = self._built, self._built.heights
        attributes = attributes_of(
            built.layer, rows, height_m=heights.height, height_evidence=heights.evidence, height_sigma=heights.sigma
        )
        return RaiseJob(
            store=self._city.store,
            frame=self._city.frame,
            polygons=built.polygons[rows],
            oid=built.layer.oid[rows],
            cell=self._cells.cell[rows],
            stand=built.stand.take(rows),
            height=heights.height[rows],
            shape=built.shape[rows],
            roofs=built.roofs.take(rows),
            eave=built.layer.column("eave_height")[rows],
            options=self._options,
            attributes=attributes,
            models=tuple(dict.fromkeys(c for oid in built.layer.oid[rows].tolist() for c in self._known.get(oid, ()))),
        )


def _outcomes(built: _Built) -> tuple[Objects, Objects]:
    """(n,) status and (n,) reason of every building."""
    raised, n = built.raised, len(built.layer)
    other = built.by != ""
    lost = shapely.is_empty(built.polygons) & ~other
    hull = np.where(raised.hulled, footprints.HULLED, "").astype(object)
    ground = np.where(built.stand.extrapolated, EXTRAPOLATED, "").astype(object)
    broken = objects([CODES[code] for code in raised.code.tolist()])
    said = np.where((built.shape == "") & ~raised.delivered, built.roofs.said, "").astype(object)
    reason = texts(built.outline, hull, ground, built.heights.reason, said, raised.stepped, broken)
    reason[lost] = built.outline[lost]
    status = np.full(n, "done", dtype=object)
    mended = texts(built.outline, hull, ground, raised.stepped).astype(str) != ""
    status[mended | (built.heights.fallback & ~raised.delivered)] = "fallback"
    status[raised.code > 0] = "failed"
    status[lost] = "skipped"
    # Such a building is in the model, under the name of the one that was delivered as a model.
    status[other], reason[other] = "done", [f"{BY}: {oid}" for oid in built.by[other].tolist()]
    return status, reason


def _solid(built: _Built, status: Objects) -> NDArray[np.bool_]:
    """(n,) True for buildings with a solid of their own."""
    return np.isin(status.astype(str), ("done", "fallback")) & (built.by == "")


def _report(built: _Built, ground: GroundFigures, surface: bool) -> Report:
    status, reason = _outcomes(built)
    rows = np.flatnonzero((status != "done") | (built.by != ""))
    found = zip(built.layer.oid[rows].tolist(), status[rows].tolist(), reason[rows].tolist(), strict=True)
    outcomes = tuple(Outcome(oid, word, text, STAGE) for oid, word, text in found)
    figures = _figures(built, status, ground)
    return Report(STAGE, len(status) - len(rows), outcomes, figures, tuple(_warnings(built, status, ground, surface)))


def _figures(built: _Built, status: Objects, ground: GroundFigures) -> dict[str, Any]:
    solid = _solid(built, status)
    kinds = built.heights.evidence[solid].astype(str)
    raised = built.raised
    gap = raised.gap[solid & ~raised.delivered]
    depth = (built.stand.highest_z - raised.base_z)[solid]
    return {
        "buildings": len(built.layer),
        "solids": int(solid.sum()),
        **({"modelled_by_another": int((built.by != "").sum())} if (built.by != "").any() else {}),
        **{f"evidence_{kind}": int((kinds == kind).sum()) for kind in EVIDENCE},
        "height_median_m": _figure(np.median, built.heights.height[solid]),
        "height_sigma_median_m": _figure(np.median, built.heights.sigma[solid]),
        "height_conflicts": int(built.heights.conflict[solid].sum()),
        "outlines_mended": int((built.outline[solid].astype(str) != "").sum()),
        **{f"lod_{lod / 10:g}": int((raised.lod[solid] == lod).sum()) for lod in _levels(raised.lod)},
        "roofs_stepped_down": int(((raised.stepped.astype(str) != "") & solid & ~raised.delivered).sum()),
        "hulls": int(raised.hulled.sum()),
        **_fit(raised.fit_rmse[solid]),
        **_delivered(built, solid),
        "ground_extrapolated": int(built.stand.extrapolated[solid].sum()),
        **gap_table(gap, depth),
        "roofs_below_uphill_ground": int(_sunk(built, solid).sum()),
        **{
            f"invalid_{code}": int((raised.code == code).sum())
            for code in CODES
            if code and (raised.code == code).any()
        },
        **ground.as_dict(),
    }


def _levels(lod: NDArray[np.int64]) -> list[int]:
    """Levels of detail that are counted, those that occur in delivered models included."""
    return sorted({LOD, LEVELS, PLANES} | set(lod[lod > 0].tolist()))


def _delivered(built: _Built, solid: NDArray[np.bool_]) -> dict[str, Any]:
    """How many delivered models stand in the city, how many of them as surfaces only, and how far off the ground."""
    there = built.raised.delivered & solid
    if not there.any():
        return {}
    flagged = there & (built.raised.stepped.astype(str) != "")
    return {
        "evidence_model": int(there.sum()),
        "models_as_surfaces": int(flagged.sum()),
        "model_gap_median_m": _figure(np.median, built.raised.gap[there]),
        "model_gap_max_m": _figure(np.max, np.abs(built.raised.gap[there])),
    }


def _roof_evidence(built: _Built) -> Objects:
    """(n,) what the shape of every roof is known from: pointcloud, dsm, attribute, the number of a rule, or default."""
    measured = np.isin(built.raised.roof.astype(str), ("planes", "levels"))
    evidence = np.where(measured, built.shape, built.roofs.how).astype(object)
    evidence[~measured & (built.shape != "")] = "default"
    evidence[built.raised.delivered] = "model"
    evidence[built.raised.lod == 0] = ""
    return evidence


def _fit(rmse: Floats) -> dict[str, Any]:
    """How many buildings were held against their points, and the median and 95th percentile of their figures."""
    known = rmse[np.isfinite(rmse)]
    halves = {f"fit_rmse_p{p}_m": round(float(np.percentile(known, p)), 3) for p in (50, 95) if len(known)}
    return {"fit_known": len(known), **halves}


def _sunk(built: _Built, solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) True where the ground along the outline rises above the roof."""
    return solid & (built.stand.highest_z > built.raised.roof_z)


def _figure(of: Any, values: Floats) -> float:
    return round(float(of(values)), 3) if len(values) else 0.0


def _warnings(built: _Built, status: Objects, ground: GroundFigures, surface: bool) -> Iterator[str]:
    yield from ground.warnings()
    if ground.assumed and surface:
        yield "dsm: heights of the surface model are not used, there is no ground to take them from"
    if not len(built.layer):
        yield "building: the layer is empty; nothing was raised"
    solid = _solid(built, status)
    for rows, text in (
        (np.flatnonzero(_sunk(built, solid)), "with ground above the roof uphill (check height and DEM)"),
        (np.flatnonzero(built.heights.conflict & (status != "skipped")), "height evidence in conflict"),
        (np.flatnonzero(status == "skipped"), "without a footprint that can be raised"),
        (np.flatnonzero(status == "failed"), "solid not valid"),
    ):
        if len(rows):
            named = ", ".join(built.layer.oid[rows[:LISTED]].tolist())
            more = f" and {len(rows) - LISTED} more" if len(rows) > LISTED else ""
            yield f"{len(rows)} buildings {text}: {named}{more}"


def _table(built: _Built, source: str) -> Layer:
    """The layer building_l2: every building as ingested, with what L2 knows of it."""
    status, reason = _outcomes(built)
    solid = _solid(built, status)
    lost = shapely.is_empty(built.polygons)
    usable = ~shapely.is_missing(built.layer.geometry) & shapely.is_valid(built.layer.geometry)
    geometry = np.where(lost & usable, built.layer.geometry, built.polygons)
    heights = built.heights
    return replace(built.layer, geometry=geometry).with_columns(
        height_m=np.where(solid, heights.height, np.nan),
        height_evidence=np.where(solid, heights.evidence, "").astype(object),
        height_sigma=np.where(solid, heights.sigma, np.nan),
        base_z=np.where(solid, built.raised.base_z, np.nan),
        ground_z=np.where(solid, built.stand.ground_z, np.nan),
        ground_evidence=np.where(built.stand.extrapolated & solid, "extrapolated", source).astype(object),
        roof_z=np.where(solid, built.raised.roof_z, np.nan),
        roof_shape=np.where(solid & (built.raised.roof == ""), "flat", built.raised.roof).astype(object),
        roof_evidence=_roof_evidence(built),
        eave_z=np.where(solid, built.raised.eave_z, np.nan),
        ridge_z=np.where(solid, built.raised.ridge_z, np.nan),
        lod=np.where(solid, built.raised.lod / 10.0, np.nan),
        fit_rmse=np.where(solid, built.raised.fit_rmse, np.nan),
        modelled_by=built.by,
        outcome=status,
        reason=reason,
    )
