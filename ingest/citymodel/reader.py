"""City models into the frame: footprints with their attributes as a Layer, the surfaces as a stream of Solids."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely

from ingest.bases import COLUMN, plausible
from ingest.citymodel.album import Album, Place, count_images, lost_lines
from ingest.citymodel.appearance import read_looks
from ingest.citymodel.citygml import read_citygml
from ingest.citymodel.cityjson import read_cityjson
from ingest.citymodel.codes import CodeLists, meanings
from ingest.citymodel.model import Body, Census, declared_lod
from ingest.citymodel.shells import Dresser, footprint_of, shell_of, solids_of
from ingest.conform import VOCABULARY, columns_of, crs_of, place, vertical_shift
from ingest.quality import feature_tally
from ingest.reading import Card, Delivery, RawTable, Reading
from ingest.repair import check_ranges, mend, stable_oids, unique_oids
from twin.datums import vertical_of
from twin.errors import SourceError
from twin.features import Layer, objects
from twin.frames import Frame, to_frame
from twin.lineage import Lineage
from twin.meshes import Solids
from twin.outcome import Outcome

CHUNK = 256
_KNOWN = ("Building", "BuildingPart", "Polygon")

# Our column <- the names of the two standards and of the profiles that are met most, the first that is there.
COLUMNS = {
    "height": ("measuredHeight", "model_height"),
    "storeys": ("storeysAboveGround",),
    "year_built": ("yearOfConstruction", "dateOfConstruction", "oorspronkelijk_bouwjaar", "oorspronkelijkbouwjaar"),
    "roof_type": ("roofType", "dak_type"),
}


@dataclass(frozen=True, slots=True)
class ModelStream:
    """The surfaces of a city model, read a second time from its files when the store drains them.

    owners      oid of each building in the order of the files, "" for one that did not become a feature
    images      the pictures that its surfaces wear, by name; None where the files tell neither colours nor pictures
    """

    delivery: Delivery
    frame: Frame
    owners: tuple[str, ...]
    lineage: Lineage
    images: Album | None = None

    def batches(self) -> Iterator[tuple[str, Solids]]:
        """(cell, solids) by runs of at most CHUNK buildings, in the order of the files."""
        taken: set[str] = set()
        first, cell = 0, 0
        for path in self.delivery.files():
            dresser = _dresser(self.images, Place.of(path, self.delivery.root))
            for bodies in _placed(path, self.delivery, self.frame, Census(), dressed=dresser is not None):
                owners = self.owners[first : first + len(bodies)]
                first += len(bodies)
                solids = _solids(zip(bodies, owners, strict=True), taken, self.frame, dresser)
                if solids is not None:
                    yield f"{self.delivery.source.name}_{cell:06d}", solids
                    cell += 1


def _dresser(album: Album | None, place: Place) -> Dresser | None:
    return None if album is None else lambda coat: album.texture(coat.image, coat.wrap, place)


def _solids(owned: Iterable[tuple[Body, str]], taken: set[str], frame: Frame, dresser: Dresser | None) -> Solids | None:
    shells, oids, names = [], [], []
    for body, owner in owned:
        for number, part in enumerate(body.parts if owner else ()):
            shell = shell_of(part)
            if not len(shell.faces):
                continue
            own = owner if part.oid == body.oid else part.oid or f"{owner}#{number + 1}"
            while own in taken:
                own += "~"
            taken.add(own)
            shells.append(shell)
            oids.append(own)
            names.append(owner)
    return solids_of(shells, oids, names, frame, dresser) if shells else None


def _bodies(path: Path, delivery: Delivery, census: Census, dressed: bool) -> Iterator[Body]:
    shown, extra = delivery.shown(path), delivery.source.extra
    wanted = declared_lod(delivery)
    axes, theme = str(extra.get("axes", "")), str(extra.get("theme", ""))
    if axes not in ("", "xy", "yx"):
        raise SourceError(f'source "{delivery.source.name}": extra.axes {axes!r} is neither "xy" nor "yx"')
    with path.open("rb") as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head[:1] == b"{":
        return read_cityjson(path, shown, wanted, census, theme)
    if b"<" in head[:4]:
        return (
            _dressed_citygml(path, delivery, wanted, census)
            if dressed
            else read_citygml(path, shown, wanted, axes, census)
        )
    raise SourceError(f"{shown}: neither CityJSON nor CityGML (it begins with {head[:8]!r}); ask for the file again")


def _dressed_citygml(path: Path, delivery: Delivery, wanted: int, census: Census) -> Iterator[Body]:
    """The buildings with what their surfaces wear, for which the file is read once more before."""
    extra, shown = delivery.source.extra, delivery.shown(path)
    looks = read_looks(path, shown, str(extra.get("theme", "")))
    try:
        yield from read_citygml(path, shown, wanted, str(extra.get("axes", "")), census, looks)
    finally:
        looks.close()


def _placed(
    path: Path, delivery: Delivery, frame: Frame, census: Census, dressed: bool = False
) -> Iterator[list[Body]]:
    """Runs of at most CHUNK bodies, their rings in the frame; `dressed` where pictures of CityGML are wanted too."""
    shown = delivery.shown(path)
    shift, scale, crs = 0.0, delivery.scale(), ""
    bodies = _bodies(path, delivery, census, dressed)
    while run := list(islice(bodies, CHUNK)):
        if not crs:
            crs = crs_of(delivery, census.crs, shown)
            shift = vertical_shift(delivery, frame, shown, vertical_of(census.crs))[0]
        polygons = [p for body in run for p in (*body.plan, *(p for part in body.parts for p in part.polygons))]
        rings = [ring for polygon in polygons for ring in polygon.rings]
        if rings:
            points = np.concatenate(rings)
            line = place(objects([shapely.linestrings(points[:, :2])]), crs, frame, shown)
            there = np.column_stack([shapely.get_coordinates(line), points[:, 2] * scale + shift])
            moved = iter(np.split(there, np.cumsum([len(ring) for ring in rings])[:-1]))
            for polygon in polygons:
                polygon.rings = [next(moved) for _ in polygon.rings]
        yield run
    if not crs:
        # A file without a building is still read in a CRS that must be known.
        to_frame(np.zeros((0, 2)), crs_of(delivery, census.crs, shown), frame)


@dataclass(slots=True)
class _Gathered:
    """The small part of a model, kept for all buildings: outlines and attributes."""

    ids: list[str] = field(default_factory=list)
    outlines: list[Any] = field(default_factory=list)
    bases: list[float] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)
    problems: list[tuple[int, str, str]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    crs: set[str] = field(default_factory=set)
    looks: bool = False
    images: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def add(self, body: Body) -> None:
        """One building, placed."""
        row = len(self.ids)
        self.ids.append(body.oid)
        self.outlines.append(footprint_of(body))
        heights = [ring[:, 2] for part in body.parts for polygon in part.polygons for ring in polygon.rings]
        lowest = heights or [ring[:, 2] for polygon in body.plan for ring in polygon.rings]
        self.bases.append(float(np.concatenate(lowest).min()) if lowest else math.nan)
        values = {key: _plain(value) for key, value in body.attributes.items()}
        if heights:
            z = np.concatenate(heights)
            values.setdefault("model_height", round(float(z.max() - z.min()), 3))
        self.attributes.append(values)
        self.problems += [(row, status, reason) for status, reason in body.problems]

    def see(self, census: Census, path: Path, delivery: Delivery) -> None:
        """The pictures that a file names, and which of them are there."""
        states = count_images(census.images, Place.of(path, delivery.root))
        self.looks |= census.looks
        self.images += states
        self.lines += lost_lines(states, delivery.shown(path))
        if census.lists is not None and census.lists.missing:
            asked, missing = len(census.lists.lists), census.lists.missing
            self.lines.append(
                f"{delivery.shown(path)}: {missing} of {asked} code lists tell nothing here; codes stay codes"
            )


@dataclass(frozen=True, slots=True)
class CityModelReader:
    """Reads CityJSON, CityJSONSeq and CityGML into layer building and a stream of Solids for model citymodel.

    extra.lod   the LoD to take where a part has several; the highest without
    extra.theme the theme of materials and textures to take; without, the default of a file or its first
    extra.axes  "xy" or "yx" where a file's order differs from what its CRS says
    """

    kind: str = "citymodel"

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""
        return Card(self.kind, "layer building, model citymodel", (), "m", "CityJSON 2.0.1; CityGML 2.0 and 3.0")

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """The outlines in the frame, with attributes; the surfaces come with `models`, drained by the store."""
        found = _Gathered()
        for path in delivery.files():
            census = Census(lists=CodeLists.of(path, delivery.root))
            for bodies in _placed(path, delivery, frame, census):
                for body in bodies:
                    found.add(body)
            found.counts += census.counts
            found.see(census, path, delivery)
            found.crs.add(census.crs or delivery.source.crs)
            found.outcomes += [
                Outcome(f"{path.stem}:{kind}", "skipped", f"{n} 个非建筑 / {n} {kind} are no building", self.kind)
                for kind, n in sorted(census.ignored.items())
            ]
        lineage = delivery.lineage()
        for crs in sorted(found.crs - {frame.crs}):
            lineage = lineage.step(f"{crs[:40]} -> {frame.crs}")
        stated = vertical_of(next(iter(sorted(found.crs)), ""))
        step = vertical_shift(delivery, frame, delivery.source.name, stated)[1]
        return self._reading(found, delivery, frame, lineage.step(step) if step else lineage)

    def _reading(self, found: _Gathered, delivery: Delivery, frame: Frame, lineage: Lineage) -> Reading:
        shown = delivery.shown(delivery.files()[0])
        counts = dict(sorted(found.counts.items()))
        if found.images:
            counts |= {"textures.named": sum(found.images.values()), "textures.present": found.images["present"]}
        if not found.ids:
            line = f"{shown}: no building in the model"
            tally = feature_tally(0, 0, ()) | counts
            layer = Layer.empty("building", frame)
            return Reading(layer, lineage, tuple(found.outcomes), warnings=(line,), tally=tally)
        geometry = objects(found.outlines)
        raw = RawTable(_fields(found.attributes, delivery), geometry, "", shown)
        columns, lines = columns_of(raw, _with_defaults(raw, delivery), "building")
        ids = objects(found.ids)
        columns["source"] = np.full(len(raw), delivery.source.name, dtype=object)
        columns["source_id"] = ids
        columns[COLUMN] = plausible(np.array(found.bases))
        named = stable_oids(delivery.source.name, "building", ids, geometry)
        unique = unique_oids("building", named, geometry, columns, self.kind)
        oid, keep, repeated = unique.oid, unique.keep, unique.outcomes
        mended = mend("building", oid[keep], geometry[keep], self.kind)
        rows = np.flatnonzero(keep)[mended.row]
        table, ranged, zeros = check_ranges("building", mended.oid, {k: v[rows] for k, v in columns.items()}, self.kind)
        layer = Layer.build("building", frame, mended.oid, mended.geometry, table)
        lines += found.lines
        lines += [f"{shown}: column {key}: {n} zeros taken as missing" for key, n in zeros.items()]
        alive = set(mended.oid.tolist())
        owners = tuple(
            word if kept and word in alive else "" for word, kept in zip(oid.tolist(), keep.tolist(), strict=True)
        )
        lost = [Outcome(str(oid[row]), status, reason, self.kind) for row, status, reason in found.problems]  # type: ignore[arg-type]
        outcomes = (*found.outcomes, *lost, *repeated, *mended.outcomes, *ranged)
        tally = feature_tally(len(raw), mended.invalid, outcomes) | counts
        stream = ModelStream(delivery, frame, owners, lineage, Album() if found.looks else None)
        return Reading(layer, lineage, outcomes, tuple(lines), tally, stream)


def _plain(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


def _fields(rows: list[dict[str, Any]], delivery: Delivery) -> dict[str, Any]:
    """Columns of all attributes met; codes are told by table, unless the source declares what its codes mean."""
    source = delivery.source
    told = "function" in source.values or "function" in source.columns
    names = dict.fromkeys(key for row in rows for key in row)
    fields = {name: objects([row.get(name) for row in rows]) for name in names}
    if not told:
        _decode(fields)
    if "roof_type" not in fields and "roofType" in fields:
        raw = fields["roofType"].tolist()
        found = meanings("roof_type", {"roofType": raw})
        fields["roof_type"] = objects([word or rest for word, rest in zip(found, raw, strict=True)])
    if "dateOfConstruction" in fields:
        fields["dateOfConstruction"] = objects([str(word or "")[:4] for word in fields["dateOfConstruction"]])
    heights = fields.get("measuredHeight")
    if heights is not None and "model_height" in fields:
        fallback = fields["model_height"].tolist()
        pairs = zip(heights.tolist(), fallback, strict=True)
        fields["measuredHeight"] = objects([rest if word in (None, "") else word for word, rest in pairs])
        del fields["model_height"]
    return fields


def _decode(fields: dict[str, Any]) -> None:
    """The use from the codes of function, usage and class, in this order, by table; the code of function stays too."""
    codes = {name: fields[name].tolist() for name in ("function", "usage", "class") if name in fields}
    found = meanings("function", codes, VOCABULARY["function"])
    if "function" in fields:
        fields["function_code"] = fields.pop("function")
    if any(found):
        fields["function"] = objects(found)


def _with_defaults(raw: RawTable, delivery: Delivery) -> Delivery:
    declared = dict(delivery.source.columns)
    for ours, theirs in COLUMNS.items():
        if ours not in declared and ours not in raw.fields:
            name = next((name for name in theirs if name in raw.fields), None)
            if name is not None:
                declared[ours] = name
    return replace(delivery, source=replace(delivery.source, columns=declared))
