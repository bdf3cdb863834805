"""Opens everything that was published and checks it; also reads other people's tilesets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.check_ground import check_copies, check_imagery, check_terrain
from tiles.check_tileset import Walk, read_json, walk_tileset
from tiles.findings import Findings
from tiles.models import has_surface
from twin.city import City
from twin.errors import MissingInputError
from twin.outcome import Report

_EXAMPLES = 3


def check_tiles(place: City | Path | str) -> Report:
    """What is wrong with the published tiles: of a city, then also against its models; or of a folder with build.json.

    Every fault is a failed outcome named by its file.
    raises  MissingInputError where nothing is published
    """
    found = Findings("tiles")
    folder = _published(place)
    told = read_json(folder / "build.json", "build.json", found)
    if told is None:
        return found.report()
    for entry in told.get("tilesets", []):
        walk = Walk(found, folder)
        walk_tileset(folder / entry["url"], walk)
        _check_oids(entry, walk, _modelled(place, entry["id"]))
    if told.get("terrain"):
        check_terrain(folder / told["terrain"]["url"], found)
    if told.get("imagery"):
        check_imagery(folder, told["imagery"], found)
    check_copies(folder, found)
    return found.report()


def check_tileset(path: Path | str) -> Report:
    """What is wrong with any tileset.json and all that it reaches; implicit tilings by their structure only."""
    file = Path(path)
    file = file / "tileset.json" if file.is_dir() else file
    found = Findings("tileset")
    walk_tileset(file, Walk(found, file.parent))
    return found.report()


def _published(place: City | Path | str) -> Path:
    if not isinstance(place, City):
        return Path(place)
    current = place.store.current_tiles()
    if current is None:
        raise MissingInputError(f"{place.name_en}: no tiles are published; run `twin tiles {place.root}`")
    return current[1]


def _modelled(place: City | Path | str, name: str) -> set[str] | None:
    """Oids of the objects that the store's model would draw; None where there is no store to compare with."""
    if not isinstance(place, City) or not place.store.has("model", name):
        return None
    wanted: set[str] = set()
    for _, solids in place.store.read_model(name):
        owners: NDArray[np.object_] = solids.owner[has_surface(solids)]
        wanted |= set(owners.tolist())
    return wanted


def _check_oids(entry: dict[str, Any], walk: Walk, wanted: set[str] | None) -> None:
    """No object in two tiles, no block twice, and the same objects as the model has."""
    found, where = walk.found, str(entry["url"])
    single = entry["id"] == "l2"
    tallies = [Counter(oids.tolist() if single else set(oids.tolist())) for _, oids in walk.oids]
    total: Counter[str] = sum(tallies, Counter())
    twice = sorted(oid for oid, n in total.items() if n > 1)
    found.require(not twice, where, f"{len(twice)} objects occur twice: {', '.join(twice[:_EXAMPLES])}")
    found.figures[f"{entry['id']}_objects"] = len(total)
    if wanted is None:
        return
    missing, extra = sorted(wanted - set(total)), sorted(set(total) - wanted)
    found.require(not missing, where, f"{len(missing)} objects are missing: {', '.join(missing[:_EXAMPLES])}")
    found.require(not extra, where, f"{len(extra)} objects are not in the model: {', '.join(extra[:_EXAMPLES])}")
