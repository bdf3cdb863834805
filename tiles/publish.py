"""The room's one impure entry: models, relief and orthophotos of the store become the published tiles."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tiles import ancient, imagery, models
from tiles.classes import build as classes
from tiles.compress import write_all
from tiles.lod import build as lod
from tiles.options import TileOptions
from tiles.scheme.tilesets import lonlat_bounds, write_tileset
from tiles.shelf import Shelf
from tiles.terrain import pyramid
from twin.city import City
from twin.features import Layer
from twin.meshes import concatenate
from twin.options import as_table
from twin.outcome import Outcome, Report
from twin.store.protocol import MANIFEST, Item
from twin.workers import Workers

__all__ = ["TileOptions", "build"]

logger = logging.getLogger(__name__)

_LEAST_ERROR = 512.0
"""m: a city is looked for from some 50 km, however low it is."""

_CLASS_LAYERS = ("building_l2", "building")


def build(city: City, options: TileOptions, workers: Workers) -> Report:
    """Publish whatever the store has: tilesets of models l2 and l3, terrain of the relief, orthophoto tiles.

    Nothing is published unless all of it was written. `build.json` tells what is there: version, tilesets (id, url,
    counts, bounds), terrain (url, levels, bounds, gap to the relief), imagery (one entry per picture: url, zooms,
    bounds), fill (colour of the land around), attributions. Its urls are relative to the published folder. Contents of
    tilesets lie under the hash of their bytes beside the versions; `manifest.json` names those that a version needs.
    raises  MissingInputError where the store has neither model, relief nor orthophoto
    """
    store = city.store
    inputs = _inputs(city)
    if not inputs:
        city.require("model", "l2", "l2")
    version = version_of(inputs, options)
    staging = store.stage_tiles()
    told: dict[str, Any] = {"version": version, "city": city.id}
    shelf = Shelf(store.tiles_dir, options.models.brotli_quality)
    told["tilesets"], kept, outcomes = _tilesets(city, options, shelf, (staging, version), workers)
    relief = store.read_raster("relief") if store.has("raster", "relief") else None
    told["terrain"] = (
        pyramid.build_terrain(relief, staging, options.terrain, workers, _credit(inputs, "relief"))
        if relief is not None
        else None
    )
    pictures = imagery.build_imagery(store, staging, options.imagery, workers, _credit(inputs, "ortho_"))
    told["imagery"] = pictures["layers"] if pictures else []
    told["fill"] = pictures["fill"] if pictures else None
    told["attributions"] = sorted({item.lineage.attribution for item in inputs if item.lineage.attribution})
    write_all(staging / "build.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))
    (staging / MANIFEST).write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
    store.publish_tiles(staging, version)
    report = Report("tiles", sum(t["objects"] for t in told["tilesets"]), outcomes, _figures(told, pictures or {}))
    store.write_document("tiles_report", report.as_dict())
    return report


def _tilesets(
    city: City, options: TileOptions, shelf: Shelf, place: tuple[Path, str], workers: Workers
) -> tuple[list[dict[str, Any]], dict[str, list[str]], tuple[Outcome, ...]]:
    """(what build.json tells of every tileset, names on the shelves that they need, what could not be drawn)."""
    outcomes: list[Outcome] = []
    old = _ancient(city, outcomes)
    shown = frozenset(old.solids.owner.tolist()) if old is not None else frozenset()
    entries, notes = [], []
    index = city.store.model_index("l2") if city.store.has("model", "l2") else []
    if index:
        setting = lod.Setting(city.store, shelf, options.models, shown, _maker(city, options, shown))
        plan = lod.plan(index, setting)
        made = lod.build(plan, setting, workers)
        outcomes += made.outcomes
        notes = sorted(f"{part.key}.arrow" for part in plan.walk())
        if made.tile.content is not None:
            error = max(_LEAST_ERROR, 2.0 * made.tallest)
            entry = write_tileset("l2", made.tile, place[0], shelf, place[1], error)
            entries.append(entry | {"objects": entry["features"], "bounds": _bounds(city, "l2")})
    if old is not None:
        root, largest = ancient.build(old, options.models, shelf, workers)
        entry = write_tileset("l3", root, place[0], shelf, place[1], 2.0 * largest)
        entries.append(
            entry
            | {
                "objects": len(set(old.solids.owner.tolist())),
                "reach": options.models.l3_reach,
                "bounds": _bounds(city, "l3"),
            }
        )
    others, lost = classes.build(city, options.classes, classes.Place(shelf, *place), workers)
    entries, outcomes = entries + others, outcomes + lost
    kept = {"content": sorted({name for entry in entries for name in entry.pop("contents")}), "made": notes}
    return entries, kept, tuple(outcomes)


def _bounds(city: City, name: str) -> list[float]:
    extent = city.store.item("model", name).extent
    return lonlat_bounds(city.frame, extent or (0.0, 0.0, 0.0, 0.0))


def _maker(city: City, options: TileOptions, shown: frozenset[str]) -> str:
    """What the tiles of L2 depend on beside the cells below them."""
    told = [_writer(), as_table(options.models), repr(city.frame), sorted(shown)]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _ancient(city: City, outcomes: list[Outcome]) -> models.Model | None:
    """The L3 model ready to be cut; parts without a face are left out and named."""
    if not city.store.has("model", "l3"):
        return None
    batches = [batch for _, batch in city.store.read_model("l3")]
    if not batches:
        return None
    solids = concatenate(batches)
    drawn = models.has_surface(solids)
    outcomes += [Outcome(oid, "skipped", models.UNSEEN, "tiles") for oid in solids.oid[~drawn].tolist()]
    if not drawn.any():
        return None
    return models.parts(solids.take(np.flatnonzero(drawn)), _buildings(city))


def version_of(inputs: list[Item], options: TileOptions) -> str:
    """Twelve hex digits that change with any input, option or line of this room, and with nothing else."""
    text = orjson.dumps(
        [_writer(), [[i.kind, i.name, i.digest] for i in inputs], as_table(options)],
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.sha256(text).hexdigest()[:12]


def _writer() -> str:
    """Hash of this room's own sources: other code may write other bytes, which then need another version."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _inputs(city: City) -> list[Item]:
    wanted: Callable[[Item], bool] = lambda item: (  # noqa: E731
        (item.kind == "model" and item.name in ("l2", "l3"))
        or (item.kind, item.name) in classes.INPUTS
        or (item.kind == "raster" and (item.name == "relief" or item.name.startswith("ortho_")))
    )
    items = [item for item in city.store.items() if wanted(item)]
    named = next((name for name in _CLASS_LAYERS if city.store.has("layer", name)), None)
    return items + ([city.store.item("layer", named)] if named and items else [])


def _buildings(city: City) -> Layer | None:
    for name in _CLASS_LAYERS:
        if city.store.has("layer", name):
            return city.store.read_layer(name)
    return None


def _credit(inputs: list[Item], prefix: str) -> str:
    words = {item.lineage.attribution for item in inputs if item.name.startswith(prefix)}
    return "; ".join(sorted(word for word in words if word))


def _figures(told: dict[str, Any], pictures: dict[str, Any]) -> dict[str, Any]:
    figures: dict[str, Any] = {"version": told["version"]}
    for entry in told["tilesets"]:
        figures |= {f"{entry['id']}.{key}": entry[key] for key in ("tiles", "objects", "triangles", "wire_bytes")}
        figures[f"{entry['id']}.wire_bytes_per_object"] = round(entry["wire_bytes"] / max(entry["objects"], 1), 1)
    for part, entry in (("terrain", told["terrain"]), ("imagery", pictures)):
        if entry:
            figures |= {f"{part}.{key}": entry[key] for key in ("tiles", "wire_bytes")}
    if told["terrain"]:
        figures |= {f"terrain.{key}": told["terrain"][key] for key in ("max_level", "gap_max", "gap_p95")}
    return figures
