"""The room's one impure entry: models, relief, orthophotos and layers of the store become the published tiles."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tiles import ancient, models
from tiles.classes import build as classes
from tiles.compress import write_all
from tiles.imagery import pyramid as imagery
from tiles.lod import build as lod
from tiles.options import TileOptions
from tiles.parts import NOTE, Parts, as_lines, begin
from tiles.points import build as points
from tiles.scheme.implicit import write_implicit
from tiles.scheme.tilesets import lonlat_bounds, write_tileset
from tiles.shelf import Shelf, digest
from tiles.terrain import gaps, pyramid
from tiles.vector.build import build_vector
from tiles.vector.classes import sources
from twin.city import City
from twin.features import Layer
from twin.frames import Frame
from twin.meshes import concatenate
from twin.options import as_table
from twin.outcome import Outcome, Report
from twin.store.protocol import MANIFEST, Item
from twin.workers import Workers

__all__ = ["TileOptions", "build"]

logger = logging.getLogger(__name__)

_LEAST_ERROR = 512.0
"""m: a city is looked for from some 50 km, however low it is."""

_MOST_EXPLICIT = 4000
"""Tiles of L2 that documents name; of more, clients get the implicit tileset."""

_CLASS_LAYERS = ("building_l2", "building")


def build(city: City, options: TileOptions, workers: Workers) -> Report:
    """Publish whatever the store has: tilesets of models, classes and points, terrain, orthophotos, a map.

    Nothing is published unless all of it was written. `build.json` tells what is there: version, tilesets (id, url,
    counts, bounds; where url is an implicit tileset, its figures and the explicit one's url), terrain (url, levels,
    bounds, gap to the relief, gaps of buildings by level), imagery (one entry per picture: url, zooms, bounds), fill
    (colour of the land around), painting (options by which the server paints pictures), vector (map of the layers:
    url, archive, styles, zooms, bounds), attributions. Its urls are relative to the published folder, or from the
    server's root. Contents of tilesets lie under the hash of their bytes beside the
    versions, and so does every part under the digest of what it was made from; `manifest.json` names those that a
    version needs. A part whose inputs did not change is taken over.
    raises  MissingInputError where the store has neither model, relief, orthophoto, points nor layer with a place
    """
    store = city.store
    inputs = _inputs(city, options)
    if not inputs:
        city.require("model", "l2", "l2")
    version = version_of(inputs, options, city.frame)
    staging = store.stage_tiles()
    made = begin(store, staging, digest(_writer().encode(), repr(city.frame).encode()))
    told: dict[str, Any] = {"version": version, "city": city.id}
    shelf = Shelf(store.tiles_dir, options.models.brotli_quality)
    told["tilesets"] = _tilesets(city, options, shelf, made, workers)
    told["terrain"] = _terrain(city, options, inputs, made, workers)
    pictures = _pictures(city, options, inputs, made, workers)
    told["imagery"] = pictures["layers"] if pictures else []
    told["fill"] = pictures["fill"] if pictures else None
    told["painting"] = as_table(options.imagery) if pictures and options.imagery.mode != "pre" else None
    told["vector"] = _map(city, options, made, workers)
    told["attributions"] = sorted({item.lineage.attribution for item in inputs if item.lineage.attribution})
    text = orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    write_all(staging / "build.json", text)
    (staging / MANIFEST).write_bytes(orjson.dumps(made.manifest(), option=orjson.OPT_INDENT_2))
    store.write_document(NOTE, made.now)
    store.publish_tiles(staging, version)
    outcomes, figures = tuple(made.outcomes), _figures(told, pictures or {})
    report = Report("tiles", sum(t["objects"] for t in told["tilesets"]), outcomes, figures)
    store.write_document("tiles_report", report.as_dict())
    return report


def _tilesets(city: City, options: TileOptions, shelf: Shelf, made: Parts, workers: Workers) -> list[dict[str, Any]]:
    """What build.json tells of every tileset."""
    shown: frozenset[str] = frozenset()
    entries: dict[str, dict[str, Any]] = {}
    if city.store.has("model", "l3"):
        shown = frozenset(made.take("l3_owners", [_digest(city, "model", "l3")], lambda *_: _owners(city))["owners"])
        depends, layer = _ancient_inputs(city, shown)
        depends = [*depends, as_table(options.models)]
        entries["l3"] = made.take("l3", depends, lambda *at: _ancient(city, layer, options, (shelf, *at), workers))
    if city.store.has("model", "l2"):
        depends = [_digest(city, "model", "l2"), sorted(shown), as_table(options.models)]
        entries["l2"] = made.take("l2", depends, lambda *at: _blocks(city, options, shown, (shelf, *at), workers))
    for name, (kind, item) in classes.SOURCES.items():
        if city.store.has(kind, item):
            depends = [_digest(city, kind, item), as_table(options.classes)]
            make = partial(_class, city, name, options, shelf, workers)
            entries[name] = made.take(name, depends, make)
    if city.store.has(*points.INPUT):
        depends = [_digest(city, *points.INPUT), as_table(options.points)]
        entries[points.NAME] = made.take(points.NAME, depends, partial(_points, city, options, shelf, workers))
    order = ["l2", "l3", *classes.SOURCES, points.NAME]
    return [entries[name]["entry"] for name in order if entries.get(name, {}).get("entry")]


Where = tuple[Shelf, Path, str]
"""Where a tileset is written: the shelf of its contents, the folder of the version, the version of the tileset."""


def _blocks(city: City, options: TileOptions, shown: frozenset[str], where: Where, workers: Workers) -> dict[str, Any]:
    """The tileset of L2."""
    shelf, folder, version = where
    index = city.store.model_index("l2")
    if not index:
        return {}
    setting = lod.Setting(city.store, shelf, options.models, shown, _maker(city, options, shown))
    plan = lod.plan(index, setting)
    made = lod.build(plan, setting, workers)
    told: dict[str, Any] = {"outcomes": as_lines(made.outcomes), "made": [f"{name}.arrow" for name in plan.notes()]}
    if made.tile.content is None:
        return told
    error = max(_LEAST_ERROR, 2.0 * made.tallest)
    entry = write_tileset("l2", made.tile, folder, shelf, version, error)
    told |= {"content": entry.pop("contents")}
    scheme = options.models.scheme
    if scheme == "implicit" or (scheme == "auto" and entry["tiles"] > _MOST_EXPLICIT):
        more = write_implicit("l2", made.tile, folder, shelf, version, error, workers)
        told["content"] = sorted({*told["content"], *more.pop("contents")})
        entry |= {"explicit": entry["url"], "url": more.pop("url"), "implicit": more}
    return told | {"entry": entry | {"objects": entry["features"], "bounds": _bounds(city, "l2")}}


def _ancient(city: City, layer: Layer | None, options: TileOptions, where: Where, workers: Workers) -> dict[str, Any]:
    """The tileset of L3; parts without a face are left out and named."""
    shelf, folder, version = where
    batches = [batch for _, batch in city.store.read_model("l3")]
    if not batches:
        return {}
    solids = concatenate(batches)
    drawn = models.has_surface(solids)
    lost = [Outcome(oid, "skipped", models.UNSEEN, "tiles") for oid in solids.oid[~drawn].tolist()]
    told: dict[str, Any] = {"outcomes": as_lines(lost)}
    if not drawn.any():
        return told
    model = models.parts(solids.take(np.flatnonzero(drawn)), layer)
    root, largest = ancient.build(model, options.models, shelf, workers)
    entry = write_tileset("l3", root, folder, shelf, version, 2.0 * largest)
    told |= {"content": entry.pop("contents")}
    more = {
        "objects": len(set(model.solids.owner.tolist())),
        "reach": options.models.l3_reach,
        "bounds": _bounds(city, "l3"),
    }
    return told | {"entry": entry | more}


def _class(
    city: City, name: str, options: TileOptions, shelf: Shelf, workers: Workers, folder: Path, version: str
) -> dict[str, Any]:
    """The tileset of one of the other classes."""
    entry, lost = classes.build(city, name, options.classes, classes.Place(shelf, folder, version), workers)
    told: dict[str, Any] = {"outcomes": as_lines(lost)}
    return told if entry is None else told | {"content": entry.pop("contents"), "entry": entry}


def _points(
    city: City, options: TileOptions, shelf: Shelf, workers: Workers, folder: Path, version: str
) -> dict[str, Any]:
    """The tileset of the point cloud."""
    entry = points.build(city, options.points, classes.Place(shelf, folder, version), workers)
    return {} if entry is None else {"content": entry.pop("contents"), "entry": entry}


def _terrain(
    city: City, options: TileOptions, inputs: list[Item], made: Parts, workers: Workers
) -> dict[str, Any] | None:
    """What build.json tells of the terrain; None without relief."""
    if not city.store.has("raster", "relief"):
        return None
    store, wet = city.store, options.terrain.water and city.store.has("layer", "water")
    credit = "; ".join(filter(None, [_credit(inputs, "relief"), _credit(inputs, "water") if wet else ""]))
    depends = [_digest(city, "raster", "relief"), _digest(city, "layer", "water") if wet else ""]

    def make(folder: Path, _: str) -> dict[str, Any]:
        water = store.read_layer("water", columns=()) if wet else None
        relief = store.read_raster("relief")
        return pyramid.build_terrain(relief, folder, options.terrain, workers, credit, water, _focus(city))

    told = made.take("terrain", [*depends, credit, as_table(options.terrain), _focus(city)], make)
    if not city.store.has("layer", "building_l2"):
        return told
    measured = made.take(
        "terrain_gaps",
        [made.now["terrain"]["key"], _digest(city, "layer", "building_l2")],
        lambda folder, _: {"levels": gaps.measure(city.store, "building_l2", folder / "terrain", told, workers)},
    )
    return told | {"gaps": measured["levels"]}


def _pictures(
    city: City, options: TileOptions, inputs: list[Item], made: Parts, workers: Workers
) -> dict[str, Any] | None:
    """What build.json tells of the orthophotos; None without any."""
    credit = _credit(inputs, "ortho_")
    found = [[item.name, item.digest] for item in inputs if item.kind == "raster" and item.name.startswith("ortho_")]
    return made.take(
        "imagery",
        [found, credit, as_table(options.imagery), _focus(city)],
        lambda folder, _: (
            imagery.build_imagery(city.store, folder, options.imagery, workers, credit, _focus(city)) or {}
        ),
    )


def _map(city: City, options: TileOptions, made: Parts, workers: Workers) -> dict[str, Any] | None:
    """What build.json tells of the map of the layers; None without a layer that has a place."""
    layers = [source.item for source in sources(city.store, options.vector.leave_out)]
    if not layers:
        return None
    depends = [[item.name, item.digest, item.lineage.attribution] for item in layers]
    return made.take(
        "vector",
        [depends, city.name, city.name_en, as_table(options.vector)],
        lambda folder, _: build_vector(city, folder, options.vector, workers) or {},
    )


def _focus(city: City) -> tuple[float, float] | None:
    """Where the first view looks, degrees; None where the city does not declare it."""
    view = city.view
    return None if math.isnan(view.lon) or math.isnan(view.lat) else (view.lon, view.lat)


def _digest(city: City, kind: str, name: str) -> str:
    return city.store.item(kind, name).digest


def _bounds(city: City, name: str) -> list[float]:
    extent = city.store.item("model", name).extent
    return lonlat_bounds(city.frame, extent or (0.0, 0.0, 0.0, 0.0))


def _maker(city: City, options: TileOptions, shown: frozenset[str]) -> str:
    """What the tiles of L2 depend on beside the cells below them."""
    told = [_writer(), as_table(options.models), repr(city.frame), sorted(shown)]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _owners(city: City) -> dict[str, Any]:
    """The buildings that L3 shows."""
    found: set[str] = set()
    for _, solids in city.store.read_model("l3"):
        found.update(solids.owner[models.has_surface(solids)].tolist())
    return {"owners": sorted(found)}


def _ancient_inputs(city: City, owners: frozenset[str]) -> tuple[list[Any], Layer | None]:
    """What the tiles of L3 depend on: the model, and what the layer of buildings tells of its own, with those rows."""
    found = [_digest(city, "model", "l3")]
    name = next((name for name in _CLASS_LAYERS if city.store.has("layer", name)), None)
    if name is None or not owners:
        return found, None
    layer = city.store.read_layer(name, oids=sorted(owners))
    layer = layer.take(np.argsort(layer.oid.astype(str), kind="stable"))
    columns = {key: layer.columns[key].tolist() for key in models.PART_COLUMNS if key in layer.columns}
    return [*found, layer.oid.tolist(), columns], layer


def version_of(inputs: list[Item], options: TileOptions, frame: Frame) -> str:
    """Twelve hex digits that change with any input, option, line of this room or the frame, and with nothing else."""
    text = orjson.dumps(
        [_writer(), [[i.kind, i.name, i.digest] for i in inputs], as_table(options), repr(frame)],
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.sha256(text).hexdigest()[:12]


def _writer() -> str:
    """Hash of this room's own sources: other code may write other bytes, which then need another version."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _inputs(city: City, options: TileOptions) -> list[Item]:
    wanted: Callable[[Item], bool] = lambda item: (  # noqa: E731
        (item.kind == "model" and item.name in ("l2", "l3"))
        or (item.kind, item.name) in (*classes.SOURCES.values(), points.INPUT)
        or (item.kind == "raster" and (item.name == "relief" or item.name.startswith("ortho_")))
    )
    items = [item for item in city.store.items() if wanted(item)]
    layers = (source.item for source in sources(city.store, options.vector.leave_out))
    items += [item for item in layers if item not in items]
    wet = options.terrain.water and city.store.has("raster", "relief")
    return items + [i for i in city.store.items("layer") if wet and i.name == "water" and i not in items]


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
    if told["vector"]:
        figures |= {f"vector.{key}": told["vector"][key] for key in ("tiles", "contents", "bytes", "left_out")}
    if told["terrain"]:
        figures |= {f"terrain.{key}": told["terrain"][key] for key in ("max_level", "gap_max", "gap_p95")}
        for row in told["terrain"].get("gaps", []):
            figures |= {f"terrain.buildings.{row['level']}.{key}": row[key] for key in ("p50", "p95", "max")}
    return figures
