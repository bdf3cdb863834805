"""Chains the rooms: the whole recipe, stage by stage, doing only what is out of date.

Upstairs: this file and `twin.cli` are the only ones of `twin` that may see the rooms.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import twin
from twin.city import City
from twin.deliveries import fingerprint
from twin.errors import MissingInputError, OptionsError
from twin.features import FEATURE_CLASSES
from twin.options import as_table, read_options
from twin.outcome import Outcome, Report
from twin.store.catalog import write_atomic
from twin.workers import Workers


@dataclass(frozen=True, slots=True)
class Stage:
    """One arrow of the recipe.

    name        word of the command line and of the table in city.toml
    module      where `build(city, options, workers)` lives
    options     its options class, with the module that has it
    reads       kinds and names of the catalogue that it is built from; a name that ends in "_" is a prefix
    makes       items that must be there for the stage to count as done
    notes       documents that let it take parts of the build before over; forced, a stage does without them
    at_hand     modules that its workers have at hand when they begin
    """

    name: str
    module: str
    options: str
    title: str
    reads: tuple[tuple[str, str], ...]
    makes: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    at_hand: tuple[str, ...] = ()

    def options_class(self) -> type:
        """The stage's options dataclass."""
        module, _, name = self.options.rpartition(".")
        return getattr(importlib.import_module(module), name)

    def build(self) -> Callable[[City, Any, Workers], Report]:
        """The stage's one impure function."""
        return importlib.import_module(self.module).build


_BEGUN = "begun"

_GROUND = (("raster", "relief"),)
_BUILT = (("layer", "building_l2"),)
_CLASSES = tuple(
    ("layer", name) for name in ("road", "railway", "river", "water", "green", "landuse", "tree", "pipe", "furniture")
)
_MAPPED = tuple(("layer", name) for name in (*FEATURE_CLASSES, "tree_l2", "furniture_l2"))

STAGES: tuple[Stage, ...] = (
    Stage(
        "ingest",
        "ingest.run",
        "ingest.run.IngestOptions",
        "数据接入 / ingest",
        (),
        (("document", "ingest_report"),),
    ),
    Stage(
        "l2",
        "models_l2.build",
        "models_l2.build.L2Options",
        "全城 L2 建模 / L2 models",
        (
            ("layer", "building"),
            *_CLASSES,
            *(("raster", name) for name in ("dem", "dsm", "canopy")),
            ("points", "points"),
            ("model", "citymodel"),
        ),
        (*_GROUND, *_BUILT, ("model", "l2")),
        ("l2_cells",),
    ),
    Stage(
        "l3",
        "models_l3.build",
        "models_l3.build.L3Options",
        "古城 L3 精细建模 / L3 models",
        (*_GROUND, *_BUILT, ("layer", "road")),
        (("document", "l3_report"),),
    ),
    Stage(
        "zones",
        "twin.risk.build",
        "twin.risk.build.ZoneOptions",
        "风险区划 / risk zoning",
        (
            *_GROUND,
            *_BUILT,
            *(("layer", name) for name in ("road", "river", "water", "population", "facility", "hazard_site")),
        ),
        (("layer", "zone_flood_building"),),
    ),
    Stage(
        "tiles",
        "tiles.publish",
        "tiles.options.TileOptions",
        "瓦片发布 / tiles",
        (
            *_GROUND,
            *(("model", name) for name in ("l2", "l3", "surfaces", "pipes")),
            *_BUILT,
            *_MAPPED,
            ("raster", "ortho_"),
            ("points", "points"),
        ),
        (),
        ("tiles_parts",),
        ("tiles.publish", "tiles.warm"),
    ),
)


_NAMES = frozenset(stage.name for stage in STAGES)


def stage_of(name: str) -> Stage:
    """The stage of that name; OptionsError names the stages."""
    for stage in STAGES:
        if stage.name == name:
            return stage
    raise OptionsError(f"no stage {name!r}; the recipe is {' -> '.join(s.name for s in STAGES)}")


def run(
    city: City,
    workers: Workers,
    *,
    only: Iterable[str] = (),
    force: bool = False,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Report]:
    """The reports of the stages that were run; stages that are up to date are passed over.

    only        names of stages; all where empty
    force       run them even where nothing changed, and whole
    overrides   stage -> options table that goes over city.toml, as the command line gave it
    raises      StoreError where another run is writing to the same store
    """
    chosen = {stage_of(name).name for name in only} or _NAMES
    reports = []
    with city.store.writing():
        if any(city.store.stamp(name) in ("", _BEGUN) for name in chosen):
            _prepare(workers, city, chosen)
        for stage in STAGES:
            if stage.name not in chosen:
                continue
            options = stage_options(city, stage, (overrides or {}).get(stage.name, {}))
            before = stamp(city, stage, options)
            if not force and city.store.stamp(stage.name) == before and _made(city, stage):
                workers.tell(f"{stage.title}: 已是最新 / up to date", 1, 1)
                continue
            workers.tell(stage.title, 0, 1)
            _prepare(workers, city, chosen)
            # A killed run leaves items of this build beside those of the one before: it must not count as either.
            city.store.put_stamp(stage.name, _BEGUN)
            for note in stage.notes if force else ():
                city.store.remove("document", note)
            reports.append(stage.build()(city, options, workers))
            city.store.put_stamp(stage.name, before)
            workers.tell(stage.title, 1, 1)
    return reports


def _prepare(workers: Workers, city: City, chosen: Collection[str]) -> None:
    names = [name for stage in STAGES if stage.name in chosen for name in stage.at_hand]
    if "ingest" in chosen and city.sources_of("points"):
        names.insert(0, "ingest.pointcloud")
    # Every process imports what the command line does, unless the server that it is forked from has it.
    workers.prepare(["twin.pipeline", *names] if names else [])


def stage_options(city: City, stage: Stage, over: Mapping[str, Any]) -> Any:
    """Options of a stage: declared defaults, under city.toml, under the command line."""
    table = _merged(city.config.get(stage.name, {}), over)
    return read_options(stage.options_class(), table, f"[{stage.name}]")


def stamp(city: City, stage: Stage, options: Any) -> str:
    """Hash of everything a stage is built from: version, options, frame, sources or items it reads."""
    parts: dict[str, Any] = {
        "version": twin.__version__,
        "stage": stage.name,
        "options": as_table(options),
        "frame": [city.frame.crs, city.frame.vertical, city.frame.geoid_undulation, list(city.frame.origin)],
    }
    if stage.name == "ingest":
        parts["sources"] = city.config.get("source", [])
        parts["files"] = [fingerprint(f) for s in city.sources for f in s.delivered(city.root)]
    else:
        parts["items"] = [
            [item.kind, item.name, item.digest]
            for item in city.store.items()
            if any(item.kind == kind and _named(item.name, name) for kind, name in stage.reads)
        ]
    if stage.name == "tiles":
        parts["city"] = city.config.get("city", {})
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def _named(name: str, wanted: str) -> bool:
    return name.startswith(wanted) if wanted.endswith("_") else name == wanted


def _made(city: City, stage: Stage) -> bool:
    if stage.name == "tiles" and city.store.current_tiles() is None:
        return False
    return all(city.store.has(kind, name) and city.store.size(kind, name) is not None for kind, name in stage.makes)


# Page -> the item that it tells of, the stage that makes it, and the title.
PAGES: Mapping[str, tuple[tuple[str, str], str, str]] = {
    "quality": (("document", "quality"), "ingest", "来源的质量报告 / quality of the sources"),
    "l2": (("document", "l2_report"), "l2", "L2 模型报告 / what L2 made of the city"),
}


def write_pages(city: City, of: str = "", out: Path | None = None) -> list[tuple[Path, str]]:
    """(file, title) of the pages that were written: self-contained HTML, replaced whole.

    of      "quality" or "l2"; "" for all that there is something for (the quality page alone where `out` is given)
    out     file of the page; None for <page>.html beside city.toml
    raises  MissingInputError where the stage has not run, OptionsError where the folder of `out` is not there
    """
    from ingest.quality.page import quality_page
    from models_l2.report.page import l2_page

    there = [name for name, (item, _, _) in PAGES.items() if city.store.has(*item)]
    names = [of or "quality"] if of or out or not there else there
    written = []
    for name in names:
        (kind, item), stage, title = PAGES[name]
        city.require(kind, item, stage)
        path = out or city.root / f"{name}.html"
        if not path.parent.is_dir():
            raise OptionsError(f"{path}: there is no folder {path.parent}; make it or choose another place")
        badges = (city.badge, city.badge_en)
        told = (city.name, city.name_en)
        page = l2_page(city) if name == "l2" else quality_page(city.store.read_document("quality"), told, badges)
        write_atomic(path, page.encode())
        written.append((path, title))
    return written


def export_map(city: City, out: Path, workers: Workers) -> str:
    """Write the map of the layers at `out` as one PMTiles file, as [tiles.vector] says; words about it."""
    from tiles.options import TileOptions
    from tiles.vector.build import export_archive

    told = export_archive(city, out, city.options(TileOptions, "tiles").vector, workers)
    return f"{told['tiles']} 张瓦片 / tiles, z{told['minzoom']}-{told['maxzoom']}, {told['bytes']} B"


def check(city: City, workers: Workers) -> list[Report]:
    """Opens everything that was written and checks it, one report per part; failed outcomes are what is wrong.

    A stage that never ran is named, and is no fault.
    raises  MissingInputError where nothing was written yet
    """
    from tiles.validity import check_tiles

    if not city.store.items():
        raise MissingInputError(f"{city.name_en}: nothing is built yet; run `twin run {city.root}`")
    reports = [_check_items(city, workers)]
    if city.store.has("model", "l2"):
        reports.append(_check_solids(city, "l2"))
    reports += [_check_solids(city, name) for name in ("l3", "pipes") if city.store.has("model", name)]
    if city.store.has("model", "citymodel"):
        reports.append(_check_delivered(city))
    if city.store.current_tiles() is not None or city.store.stamp("tiles"):
        reports.append(check_tiles(city, workers))
    return reports


def check_tileset(place: str, workers: Workers, most: int, seconds: float) -> Report:
    """What is wrong with any tileset: a tileset.json, a folder with one, a .3tz or .3dtiles file, or an address.

    most, seconds   files and time at most; a check that stops there says so
    """
    from tiles.validity import check_tileset as check_any

    return check_any(place, workers, most, seconds)


def _check_delivered(city: City) -> Report:
    """Delivered models that are no valid solids, each with its first error number; they stay as they are."""
    from twin.analysis.polygons import CODES as POLYGON_CODES
    from twin.analysis.polygons import check_faces
    from twin.analysis.shells import CODES, check_shells

    words = {**POLYGON_CODES, **CODES}
    wrong: list[Outcome] = []
    counts: dict[str, int] = {}
    done = 0
    for _, solids in city.store.read_model("citymodel"):
        faces, shells = check_faces(solids).tolist(), check_shells(solids).tolist()
        for oid, code in zip(solids.oid.tolist(), (f or s for f, s in zip(faces, shells, strict=True)), strict=True):
            done += not code
            if code:
                counts[f"invalid_{code}"] = counts.get(f"invalid_{code}", 0) + 1
                wrong.append(Outcome(oid, "fallback", words[code]))
    return Report("model citymodel", done, tuple(wrong), {"objects": done + len(wrong), **dict(sorted(counts.items()))})


def _check_items(city: City, workers: Workers) -> Report:
    wrong = []
    items = city.store.items()
    for done, item in enumerate(items, start=1):
        if city.store.size(item.kind, item.name) is None:
            wrong.append(Outcome(f"{item.kind}/{item.name}", "failed", "文件缺失 / file is missing"))
        elif city.store.digest(item.kind, item.name) != item.digest:
            wrong.append(
                Outcome(f"{item.kind}/{item.name}", "failed", "内容与目录不符 / content differs from catalogue")
            )
        workers.tell("核对目录 / catalogue", done, len(items))
    for stage in STAGES:
        kept = city.store.stamp(stage.name)
        if kept in ("", _BEGUN):
            word = "上次运行未完成 / its last run did not end" if kept else "尚未运行 / this stage has not run"
            wrong.append(Outcome(stage.name, "failed" if kept else "skipped", word))
    lost = sum(outcome.oid not in _NAMES for outcome in wrong)
    return Report("catalogue", len(items) - lost, tuple(wrong))


def _check_solids(city: City, name: str) -> Report:
    """Every solid closed and of positive volume, and no building above or below its ground."""
    from models_l2.ground import ground_gaps

    wrong: list[Outcome] = []
    done, worst = 0, 0.0
    for _, everything in city.store.read_model(name):
        # Delivered models stay as they are: what is wrong with them is told by the stage that took them over.
        told = everything.attributes.get("height_evidence")
        solids = everything if told is None else everything.take((told != "model").nonzero()[0])
        done += len(everything) - len(solids)
        sound = solids.is_closed() & (solids.volumes() > 0.0)
        wrong += [Outcome(oid, "failed", "实体不闭合 / solid is not closed") for oid in solids.oid[~sound]]
        done += int(sound.sum())
        if name == "l2" and len(solids):
            gaps = abs(ground_gaps(city, solids))
            worst = max(worst, float(gaps.max()))
            wrong += [Outcome(oid, "failed", "未贴合地面 / gap to the ground") for oid in solids.oid[gaps > 0.001]]
    figures: dict[str, Any] = {"solids": done + len(wrong)}
    if name == "l2":
        figures["worst_ground_gap_m"] = round(worst, 6)
    return Report(f"model {name}", done, tuple(wrong), figures)


def _merged(table: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(table)
    for key, value in over.items():
        inner = result.get(key)
        result[key] = _merged(inner, value) if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
    return result
