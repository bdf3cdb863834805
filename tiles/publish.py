"""The room's one impure entry: models, relief and orthophotos of the store become the published tiles."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tiles import imagery, models
from tiles.compress import write_all
from tiles.options import TileOptions
from tiles.terrain import pyramid
from twin.city import City
from twin.features import Layer
from twin.meshes import Solids, concatenate
from twin.options import as_table
from twin.outcome import Outcome, Report
from twin.store.protocol import Item
from twin.workers import Workers

__all__ = ["TileOptions", "build"]

logger = logging.getLogger(__name__)

_CLASS_LAYERS = ("building_l2", "building")


def build(city: City, options: TileOptions, workers: Workers) -> Report:
    """Publish whatever the store has: tilesets of models l2 and l3, terrain of the relief, orthophoto tiles.

    Nothing is published unless all of it was written. `build.json` tells what is there: version, tilesets (id, url,
    counts, bounds), terrain (url, levels, bounds, gap to the relief), imagery (one entry per picture: url, zooms,
    bounds), fill (colour of the land around), attributions. Its urls are relative to the published folder.
    raises  MissingInputError where the store has neither model, relief nor orthophoto
    """
    store = city.store
    inputs = _inputs(city)
    if not inputs:
        city.require("model", "l2", "l2")
    version = version_of(inputs, options)
    staging = store.stage_tiles()
    told: dict[str, Any] = {"version": version, "city": city.id}
    buildings = _buildings(city)
    solids = {name: _solids(city, name) for name in ("l2", "l3")}
    outcomes: list[Outcome] = []
    tilesets = []
    for model in _models(solids, buildings, outcomes):
        tilesets.append(models.build_tileset(model, staging, version, options.models, workers))
    told["tilesets"] = tilesets
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
    store.publish_tiles(staging, version)
    report = Report("tiles", sum(t["objects"] for t in tilesets), tuple(outcomes), _figures(told, pictures or {}))
    store.write_document("tiles_report", report.as_dict())
    return report


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


def _solids(city: City, name: str) -> Solids | None:
    if not city.store.has("model", name):
        return None
    batches = [batch for _, batch in city.store.read_model(name)]
    whole = concatenate(batches) if batches else None
    return whole if whole is not None and len(whole) else None


def _models(solids: dict[str, Solids | None], buildings: Layer | None, outcomes: list[Outcome]) -> list[models.Model]:
    """The models ready to be cut; solids without a face are left out and named."""
    ready = []
    l2, l3 = (_drawable(solids[name], name, outcomes) for name in ("l2", "l3"))
    shown = frozenset(l3.owner.tolist()) if l3 is not None else frozenset()
    if l2 is not None:
        ready.append(models.blocks(l2, buildings, shown))
    if l3 is not None:
        ready.append(models.parts(l3, buildings))
    return ready


def _drawable(solids: Solids | None, name: str, outcomes: list[Outcome]) -> Solids | None:
    if solids is None:
        return None
    drawn = models.has_surface(solids)
    outcomes += [
        Outcome(oid, "skipped", f"没有可见的面或坐标无效 / no visible face or no valid place in model {name}", "tiles")
        for oid in solids.oid[~drawn].tolist()
    ]
    if drawn.all():
        return solids
    return solids.take(np.flatnonzero(drawn)) if drawn.any() else None


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
