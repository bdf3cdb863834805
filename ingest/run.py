"""What the bureaus delivered goes into the store: read all, join what belongs together, then write."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import shapely

from ingest.dem import merge
from ingest.formats.height_stream import HeightStream
from ingest.imagery import ImageStream, bounded
from ingest.joining.divisions import by_version, changes, renewed
from ingest.joining.matching import MatchOptions, compose_text, join_population, match_addresses
from ingest.joining.sources import MergeOptions, merge_sources
from ingest.layers import join_readings
from ingest.observations import LiveTables, check_targets
from ingest.quality import building_figures, completeness, quality_document
from ingest.reading import Delivery, Reading
from ingest.sniff import Placed, sniff
from ingest.sources import READERS, Registry, reader_of
from twin.analysis.divisions import in_force
from twin.city import City, Source
from twin.errors import MissingInputError, SourceError
from twin.features import FEATURE_CLASSES, Layer
from twin.grid import Bounds, Raster
from twin.lineage import Lineage
from twin.options import option
from twin.outcome import Outcome, Report
from twin.points import PointCloud
from twin.workers import Workers

logger = logging.getLogger(__name__)

HEIGHTS = ("dem", "dsm", "canopy")
BUILDINGS = ("footprints", "citymodel")
MODELS = ("citymodel", "mesh")
LOOK = 4096
LIVE = ("sensors", "observations", "incidents")


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """Options of the ingest, table [ingest] of city.toml."""

    match: MatchOptions = option(MatchOptions, doc="How an address finds its building.")  # noqa: RUF009
    merge: MergeOptions = option(MergeOptions, doc="When a building of two sources is one.")  # noqa: RUF009


@dataclass(slots=True)
class _Run:
    """What one run has gathered so far."""

    city: City
    workers: Workers
    readings: list[tuple[Source, Reading]]
    layers: dict[str, Reading] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    heights: dict[str, Raster] = field(default_factory=dict)
    succession: list[dict[str, Any]] = field(default_factory=list)
    written: set[tuple[str, str]] = field(default_factory=set)

    @property
    def buildings(self) -> Layer:
        """The buildings of all sources; an empty layer where none brings any."""
        return self.layers["building"].noun if "building" in self.layers else Layer.empty("building", self.city.frame)

    def of(self, kind: str) -> list[Reading]:
        """Readings of one kind, in the order of city.toml."""
        return [reading for source, reading in self.readings if source.kind == kind]


def build(city: City, options: IngestOptions, workers: Workers, registry: Registry = READERS) -> Report:
    """Every declared source in the city's store, in its frame, repaired and joined; the report says what was lost.

    writes      layers, rasters, points, live tables, documents `ingest_report` and `sources`; what an earlier run wrote
                and no source brings any more is taken out. Whatever is read while it is written (points, models,
                pictures, large heights) takes its place together, before the first layer: a delivery that cannot be
                read to its end leaves the store as it was.
    partial     a delivery without buildings or without ground is kept as it is; one warning says what L2 will lack
    raises      MissingInputError without any source; SourceError for a file that cannot
                be read or lacks what its declaration promises
    """
    if not city.sources:
        raise MissingInputError(f"{city.root}: nothing to ingest; add a [[source]] to city.toml")
    total = len(city.sources)
    readings = []
    for done, source in enumerate(city.sources):
        workers.tell("reading sources", done, total)
        logger.info("reading %s (%s)", source.name, source.kind)
        delivery = Delivery(source, city.root, partial(workers.tell, f"reading {source.name}"))
        readings.append((source, reader_of(source.kind, registry).read(delivery, city.frame)))
    workers.tell("reading sources", total, total)
    run = _Run(city, workers, readings)
    _sniff(run)
    _gather_layers(run, registry, options)
    _join(run, options)
    with city.store.together():
        _write_points(run)
        _write_models(run)
        _write_imagery(run)
        _write_heights(run)
    _look_at_heights(run)
    _name_outsiders(run)
    outside = [outcome for outcome in run.outcomes if "footprint outside" in outcome.reason]
    with ThreadPoolExecutor(1) as counting:
        quality = counting.submit(quality_document, city.frame, run.readings, run.layers, run.heights, outside)
        _write_layers(run)
        _write_live(run)
    run.warnings += _lacks(run)
    return _finish(run, quality.result())


def _lacks(run: _Run) -> list[str]:
    """One line for a partial delivery: what L2 will ask for in vain."""
    lacks = []
    if not len(run.buildings):
        lacks.append('buildings (a source of kind "footprints" or "citymodel")')
    if not run.city.sources_of("dem", "points"):
        lacks.append('ground (kind "dem" or "points"; else it takes the bases of buildings, or level ground)')
    return [f"partial delivery: L2 will lack {' and '.join(lacks)}"] if lacks else []


def _sniff(run: _Run) -> None:
    """What looks misplaced is said; nothing is moved."""
    placed = [
        Placed(source.name, source.crs or reading.crs, reading.noun)
        for source, reading in run.readings
        if isinstance(reading.noun, Layer) and not shapely.is_missing(reading.noun.geometry).all()
    ]
    extents = [(part.source, part.layer.bounds) for part in placed] + [
        (source.name, reading.noun.geobox.bounds)
        for source, reading in run.readings
        if isinstance(reading.noun, Raster | ImageStream | HeightStream)
    ]
    surfaces = [(source.name, reading.noun) for source, reading in run.readings if source.kind == "dsm"]
    homes = [source.name for source, _ in run.readings if source.kind in BUILDINGS] or [name for name, _ in extents]
    run.warnings += sniff(placed, surfaces, extents, homes[0] if homes else "", run.city.frame)


def _gather_layers(run: _Run, registry: Registry, options: IngestOptions) -> None:
    found: dict[str, list[tuple[str, Reading]]] = {}
    fusion = merge_sources(run.readings, options.merge)
    run.figures |= fusion.figures
    if fusion.points is not None:
        run.layers[fusion.points.noun.name] = fusion.points
    for kind in registry:
        for source, reading in fusion.readings:
            if source.kind == kind and isinstance(reading.noun, Layer):
                found.setdefault(reading.noun.name, []).append((kind, reading))
    if "division" in found:
        kinds, parts = zip(*found["division"], strict=True)
        found["division"] = list(zip(kinds, by_version(list(parts)), strict=True))
    for name, parts in found.items():
        run.layers[name] = join_readings([reading for _, reading in parts], name, parts[0][0], run.city.frame)
    declared = run.city.sources_of("footprints")
    if declared and not len(run.buildings):
        names = ", ".join(source.name for source in declared)
        raise SourceError(f"{names}: no building in any footprint source; take the source out, or ask for it again")
    if "building" in run.layers and not len(run.buildings):
        # A model of terrain or roads alone: its words stay, an empty layer would pass for a city without buildings.
        empty = run.layers.pop("building")
        run.outcomes += empty.outcomes
        run.warnings += empty.warnings


def _join(run: _Run, options: IngestOptions) -> None:
    layers = run.layers
    divisions: Layer | None = layers["division"].noun if "division" in layers else None
    rows = run.succession = [] if divisions is None else changes(divisions)
    if "population" in layers:
        noun, lost = join_population(layers["population"].noun, None if divisions is None else in_force(divisions, ""))
        layers["population"] = replace(
            layers["population"], noun=noun, outcomes=(*layers["population"].outcomes, *lost)
        )
    if "address" in layers:
        if rows and divisions is not None:
            noun, lineage, n = renewed(layers["address"].noun, divisions, rows, layers["address"].lineage)
            layers["address"] = replace(layers["address"], noun=noun, lineage=lineage)
            run.figures["addresses_renewed"] = n
        addresses, buildings, figures = match_addresses(
            compose_text(layers["address"].noun), run.buildings, options.match
        )
        line = f"addresses matched within {options.match.distance:g} m, confidence >= {options.match.minimum:g}"
        layers["address"] = replace(layers["address"], noun=addresses, lineage=layers["address"].lineage.step(line))
        if "building" in layers:
            layers["building"] = replace(layers["building"], noun=buildings)
        run.figures |= figures


def _write_heights(run: _Run) -> None:
    for kind in HEIGHTS:
        parts = run.of(kind)
        if not parts:
            continue
        if any(isinstance(part.noun, HeightStream) for part in parts):
            reading = _write_stream(run, kind, parts)
        else:
            reading = merge(parts)
            run.heights[kind] = reading.noun
            run.city.store.write_raster(kind, reading.noun, reading.lineage)
        run.written.add(("raster", kind))
        run.warnings += reading.warnings


def _write_stream(run: _Run, kind: str, parts: list[Reading]) -> Reading:
    """Heights larger than memory into the store."""
    reading, store = parts[0], run.city.store
    if len(parts) > 1:
        raise SourceError(
            f"{kind}: {len(parts)} sources, one of them larger than memory; declare their files as one, path = [...]"
        )
    stream: HeightStream = reading.noun
    rows = stream.geobox.shape[0]
    with bounded(), store.raster_writer(kind, stream.geobox, lineage=reading.lineage) as writer:
        for values, row, col in stream.blocks():
            writer.write(values, row, col)
            run.workers.tell(f"heights {kind}", min(rows, row + values.shape[0]), rows)
    return reading


def _look_at_heights(run: _Run) -> None:
    """Heights that were never in memory whole, through their overviews."""
    for kind in HEIGHTS:
        for part in run.of(kind):
            if isinstance(part.noun, HeightStream):
                shape = tuple(min(n, LOOK) for n in part.noun.geobox.shape)
                run.heights[kind] = run.city.store.read_raster(kind, shape=shape)  # type: ignore[arg-type]


def _write_points(run: _Run) -> None:
    parts = [part for part in run.of("points") if part.noun is not None]
    run.warnings += [line for part in run.of("points") for line in part.warnings]
    if not parts:
        return
    coloured = all(part.noun.coloured for part in parts)

    def clouds() -> Iterator[PointCloud]:
        for part in parts:
            yield from replace(part.noun, coloured=coloured).clouds(run.workers)

    lineage = parts[0].lineage
    if len(parts) > 1:
        lineage = Lineage.join([part.lineage for part in parts], f"{len(parts)} deliveries put together")
    item = run.city.store.write_points("points", clouds(), lineage)
    run.written.add(("points", "points"))
    run.figures["points"] = item.count


def _write_models(run: _Run) -> None:
    for name in MODELS:
        _write_model(run, name, [reading.models for reading in run.of(name) if reading.models is not None])
    run.warnings += [line for reading in run.of("mesh") for line in reading.warnings]


def _write_model(run: _Run, name: str, streams: list[Any]) -> None:
    if not streams:
        return
    lineage = streams[0].lineage
    if len(streams) > 1:
        lineage = Lineage.join([stream.lineage for stream in streams], f"{len(streams)} models put together")
    batches = (batch for stream in streams for batch in stream.batches())
    albums = [stream.images for stream in streams if stream.images is not None]
    item = run.city.store.write_model(name, batches, lineage, ChainMap(*albums) if albums else None)
    run.written.add(("model", name))
    run.figures[f"{name}.count"] = item.count


def _name_outsiders(run: _Run) -> None:
    """Footprints that no ground lies under stay, but are named."""
    store, buildings = run.city.store, run.buildings
    if not len(buildings):
        return
    if "dem" in run.heights:
        outside = _outside_raster(buildings, run.heights["dem"])
        where = "高程数据范围之外 / footprint outside the DEM"
    elif not store.has("points", "points"):
        return
    else:
        extent = store.item("points", "points").extent
        outside = _outside_box(buildings, extent)
        where = "点云范围之外 / footprint outside the point cloud"
    lost = [Outcome(str(oid), "fallback", where, "footprints") for oid in buildings.oid[outside].tolist()]
    run.outcomes += lost
    run.figures["buildings_outside_ground"] = len(lost)


def _outside_raster(buildings: Layer, dem: Raster) -> np.ndarray[Any, np.dtype[np.bool_]]:
    boxes = shapely.bounds(buildings.geometry)
    xs = (boxes[:, 0], boxes[:, 2], (boxes[:, 0] + boxes[:, 2]) / 2.0)
    ys = (boxes[:, 1], boxes[:, 3], (boxes[:, 1] + boxes[:, 3]) / 2.0)
    corners = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 2))
    known = [~np.isnan(dem.sample(np.column_stack([xs[i], ys[j]]), method="nearest")) for i, j in corners]
    return ~np.any(known, axis=0)


def _outside_box(buildings: Layer, extent: Bounds | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if extent is None:
        return np.ones(len(buildings), dtype=bool)
    return ~shapely.intersects(buildings.geometry, shapely.box(*extent))


def _write_layers(run: _Run) -> None:
    if run.succession:
        run.city.store.write_document("succession", {"rows": run.succession})
        run.written.add(("document", "succession"))
    for done, (name, reading) in enumerate(run.layers.items()):
        run.workers.tell("writing layers", done, len(run.layers))
        run.city.store.write_layer(name, reading.noun, reading.lineage)
        run.written.add(("layer", name))
        run.figures[f"{name}.count"] = len(reading.noun)
        run.outcomes += reading.outcomes
        run.warnings += reading.warnings
    run.workers.tell("writing layers", len(run.layers), len(run.layers))


def _write_live(run: _Run) -> None:
    if not any(run.of(kind) for kind in LIVE):
        return
    live = run.city.store.live
    aliases: dict[str, str] = {oid: oid for part in run.layers.values() for oid in part.noun.oid.tolist()}
    buildings = run.buildings
    ids = zip(buildings.column("source_id").tolist(), buildings.oid.tolist(), strict=True)
    aliases = {key: oid for key, oid in ids if key} | aliases
    for kind in LIVE:
        for reading in run.of(kind):
            tables: LiveTables
            tables, lines = check_targets(reading.noun, aliases)
            run.warnings += [*reading.warnings, *lines]
            run.outcomes += reading.outcomes
            if tables.things:
                live.put_things(tables.things)
                aliases |= {thing.oid: thing.oid for thing in tables.things}
            if tables.datastreams:
                live.put_datastreams(tables.datastreams)
            if tables.incidents:
                live.put_incidents(tables.incidents)
            if tables.values is not None and len(tables.values[0]):
                live.append(*tables.values)
            run.figures |= {f"live.{key}": value for key, value in reading.tally.items() if key != "rows"}


def _write_imagery(run: _Run) -> None:
    streams = sorted(
        ((-reading.noun.geobox.resolution[0], source.name, reading) for source, reading in run.readings
         if isinstance(reading.noun, ImageStream)),
        key=lambda item: item[:2],
    )  # fmt: skip
    for place, (_, _, reading) in enumerate(streams):
        stream: ImageStream = reading.noun
        name, rows = f"ortho_{place}", stream.geobox.shape[0]
        with (
            bounded(),
            run.city.store.raster_writer(
                name, stream.geobox, lineage=reading.lineage, count=3, dtype="uint8", unit=""
            ) as writer,
        ):
            for values, row, col in stream.blocks():
                writer.write(values, row, col)
                run.workers.tell(f"imagery {name}", min(rows, row + values.shape[1]), rows)
        run.written.add(("raster", name))
        run.warnings += reading.warnings
    run.figures["imagery"] = len(streams)


def _finish(run: _Run, quality: dict[str, Any]) -> Report:
    store, buildings = run.city.store, run.buildings
    for item in store.items():
        ours = (item.kind == "layer" and item.name in FEATURE_CLASSES) or item.kind == "points"
        ours = ours or (item.kind == "model" and item.name in MODELS)
        ours = ours or (item.kind, item.name) == ("document", "succession")
        ours = ours or (item.kind == "raster" and (item.name in HEIGHTS or item.name.startswith("ortho_")))
        if ours and (item.kind, item.name) not in run.written:
            store.remove(item.kind, item.name)
    run.figures |= building_figures(buildings)
    run.figures["sources"] = len(run.readings)
    named = {outcome.oid for outcome in run.outcomes}
    features = sum(len(reading.noun) for reading in run.layers.values())
    kept = sum(len(named.intersection(reading.noun.oid.tolist())) for reading in run.layers.values())
    outcomes = tuple(sorted(run.outcomes, key=lambda o: (o.oid, o.stage, o.reason)))
    report = Report("ingest", features - kept, outcomes, run.figures, tuple(dict.fromkeys(run.warnings)))
    shares = {name: completeness(reading.noun) for name, reading in sorted(run.layers.items())}
    store.write_document("ingest_report", report.as_dict() | {"completeness": shares})
    store.write_document("quality", quality)
    cards = [_card(Delivery(source, run.city.root), reading) for source, reading in run.readings]
    store.write_document("sources", {"sources": cards})
    return report


def _card(delivery: Delivery, reading: Reading) -> dict[str, Any]:
    told = {"lineage": reading.lineage.as_dict(), "tally": reading.tally, "warnings": list(reading.warnings)}
    return delivery.record() | told
