"""Features of every class: the same way from a raw table to a Layer in the frame, whatever file it came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from ingest.addresses import TABLE_SUFFIXES, points_of_table, read_table
from ingest.bases import COLUMN, bases_of
from ingest.conform import (
    accepts_ballpark,
    columns_of,
    crs_of,
    datum_steps,
    known_columns,
    place,
    source_ids,
    telling_ids,
)
from ingest.joining.divisions import validity
from ingest.quality import feature_tally
from ingest.reading import Card, Delivery, RawTable, Reading
from ingest.repair import Unique, check_ranges, mend, stable_oids, unique_oids
from ingest.vector import read_vector
from twin.features import Layer, Objects
from twin.frames import Frame
from twin.lineage import Lineage
from twin.outcome import Outcome


@dataclass(frozen=True, slots=True)
class FeatureReader:
    """Reads one kind of features, from any vector file or table with coordinates, into a Layer of `feature_class`."""

    kind: str
    feature_class: str
    needs: tuple[str, ...] = ()

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, f"layer {self.feature_class}", self.needs, "m", "OGR simple features; make_valid")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """The features in the frame, repaired, each with a stable oid; what was lost or mended is in the outcomes."""
        names, somewhere = known_columns(self.feature_class), self.feature_class != "population"
        paths = delivery.files()
        raws = [read_features(path, delivery, names, required=somewhere) for path in paths]
        readings = [self._conform(raw, delivery, frame) for raw in raws]
        return join_readings(readings, self.feature_class, self.kind, frame)

    def _conform(self, raw: RawTable, delivery: Delivery, frame: Frame) -> Reading:
        name, lineage = self.feature_class, delivery.lineage()
        ids = source_ids(raw, delivery, name)
        columns, lines = columns_of(raw, delivery, name)
        lines = [*raw.notes, *lines]
        if not len(raw):
            line = f"{raw.shown}: the layer is empty"
            return Reading(Layer.empty(name, frame), lineage, warnings=(line,), tally=feature_tally(0, 0, ()))
        if name == "building":
            columns["source"] = np.full(len(raw), delivery.source.name, dtype=object)
            columns["source_id"] = ids if ids is not None else np.full(len(raw), "", dtype=object)
            bases = bases_of(raw, columns, delivery, frame)
            lines += bases.lines
            for step in bases.steps:
                lineage = lineage.step(step)
            columns |= {} if bases.values is None else {COLUMN: bases.values}
        if name == "division":
            days, told = validity(columns, delivery, len(raw))
            columns, lines = columns | days, [*lines, *told]
        if shapely.is_missing(raw.geometry).all() and name == "population":
            layer, outcomes = _placeless(raw, ids, columns, frame)
            return Reading(layer, lineage, outcomes, tuple(lines), feature_tally(len(raw), 0, outcomes))
        geometry, lineage = placed(raw, delivery, frame, lineage)
        ids, told = telling_ids(ids, raw.shown)
        lines += told
        oid = stable_oids(delivery.source.name, name, ids, geometry)
        unique = unique_oids(name, oid, geometry, columns, self.kind)
        oid, keep, repeated = unique.oid, unique.keep, unique.outcomes
        mended = mend(name, oid[keep], geometry[keep], self.kind, points=bool(delivery.source.merge_into))
        rows = np.flatnonzero(keep)[mended.row]
        table, ranged, zeros = check_ranges(name, mended.oid, {k: v[rows] for k, v in columns.items()}, self.kind)
        layer = Layer.build(name, frame, mended.oid, mended.geometry, table)
        lines += [f"{raw.shown}: column {key}: {n} zeros taken as missing" for key, n in zeros.items()]
        lines += unique.lines(raw.shown)
        outcomes = (*repeated, *mended.outcomes, *ranged)
        if mended.invalid:
            lineage = lineage.step(f"{mended.invalid} invalid geometries repaired (make_valid, structure)")
        tally = feature_tally(len(raw), mended.invalid, outcomes)
        return Reading(layer, lineage, outcomes, tuple(lines), tally, crs_of(delivery, raw.crs, raw.shown))


def read_features(path: Path, delivery: Delivery, names: Iterable[str], required: bool = True) -> RawTable:
    """The features of a vector file or of a table with coordinates, as they are, x first.

    names       columns of ours that `columns` of the source may map
    required    whether a table without coordinates is refused
    """
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raw = read_vector(path, delivery)
    else:
        raw = points_of_table(read_table(path, delivery), delivery, names, required=required)
    if delivery.source.extra.get("swap_axes") is not True:
        return raw
    # Chinese survey files often have X north; they say so in the declaration.
    return replace(raw, geometry=shapely.transform(shapely.force_2d(raw.geometry), lambda xy: xy[:, ::-1]))


def placed(raw: RawTable, delivery: Delivery, frame: Frame, lineage: Lineage) -> tuple[Objects, Lineage]:
    """The geometries in the frame, and the lineage with the steps that brought them there."""
    crs = crs_of(delivery, raw.crs, raw.shown)
    if delivery.source.extra.get("swap_axes") is True:
        lineage = lineage.step("axes changed, as declared: the file has northing (latitude) first")
    geometry = place(raw.geometry, crs, frame, raw.shown, accepts_ballpark(delivery))
    if crs == frame.crs:
        return geometry, lineage
    lineage = lineage.step(f"{crs[:40]} -> {frame.crs}")
    for step in datum_steps(crs, frame, shapely.get_coordinates(raw.geometry), delivery, raw.shown):
        lineage = lineage.step(step)
    return geometry, lineage


def _placeless(
    raw: RawTable, ids: Objects | None, columns: dict[str, Any], frame: Frame
) -> tuple[Layer, tuple[Outcome, ...]]:
    """A table without coordinates, to be joined to divisions by code or name."""
    key = ids if ids is not None else columns.get("code", columns.get("name"))
    if key is None:
        key = np.array([f"row {k + 1}" for k in range(len(raw))], dtype=object)
    oid = np.array([f"population-{word or k + 1}" for k, word in enumerate(key.tolist())], dtype=object)
    unique = unique_oids("population", oid, shapely.points(np.arange(len(raw), dtype=float), 0.0), {}, "population")
    return Layer.build("population", frame, unique.oid, raw.geometry, columns), tuple(unique.outcomes)


def join_readings(readings: list[Reading], name: str, kind: str, frame: Frame) -> Reading:
    """One reading of several of the same class, in their order; oids that meet again get "~2"."""
    if len(readings) == 1:
        return readings[0]
    parts = [reading.noun for reading in readings if len(reading.noun)]
    tally: dict[str, Any] = {}
    for reading in readings:
        for key, value in reading.tally.items():
            tally[key] = tally.get(key, 0) + value
    layer, unique = _stack(parts, name, kind, frame) if parts else (Layer.empty(name, frame), None)
    outcomes, lines = (unique.outcomes, unique.lines(kind)) if unique else ([], [])
    return Reading(
        noun=layer,
        lineage=join_lineage([reading.lineage for reading in readings]),
        outcomes=(*(outcome for reading in readings for outcome in reading.outcomes), *outcomes),
        warnings=(*(line for reading in readings for line in reading.warnings), *lines),
        tally=tally,
        crs=next((reading.crs for reading in readings if reading.crs), ""),
    )


def join_lineage(parts: list[Lineage]) -> Lineage:
    """The lineage of all parts, which is that of each where they are the same."""
    first = parts[0]
    if all(part == first for part in parts):
        return first
    return Lineage.join(parts, f"{len(parts)} deliveries put together")


def _stack(parts: list[Layer], name: str, kind: str, frame: Frame) -> tuple[Layer, Unique]:
    oid = np.concatenate([part.oid for part in parts])
    geometry = np.concatenate([part.geometry for part in parts])
    keys = sorted(set.intersection(*(set(part.columns) for part in parts)))
    columns = {key: np.concatenate([part.columns[key] for part in parts]) for key in keys}
    unique = unique_oids(name, oid, geometry, columns, kind)
    kept = {key: values[unique.keep] for key, values in columns.items()}
    return Layer.build(name, frame, unique.oid[unique.keep], geometry[unique.keep], kept), unique
