"""Opens everything that was published and checks it; also reads other people's tilesets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tiles.checks.findings import Findings
from tiles.checks.ground import check_copies, check_imagery, check_terrain
from tiles.checks.points import check_points
from tiles.checks.tileset import Walk, read_json, walk_tileset
from tiles.checks.vector import check_shown, check_vector
from tiles.models import has_surface
from tiles.points.build import INPUT, NAME
from twin.city import City, open_city
from twin.errors import MissingInputError
from twin.outcome import Report
from twin.store.published import parts

_EXAMPLES = 3


def check_tiles(place: City | Path | str) -> Report:
    """What is wrong with the published tiles: of a city, then also against its models; or of a folder with build.json.

    place   a City, the folder of one (with city.toml), or a published folder

    Every fault is a failed outcome named by its file.
    raises  MissingInputError where nothing is published
    """
    found = Findings("tiles")
    if not isinstance(place, City) and (Path(place) / "city.toml").is_file():
        place = open_city(place)
    folder = _published(place)
    told = read_json(folder / "build.json", "build.json", found)
    if told is None:
        return found.report()
    for entry in told.get("tilesets", []):
        walk = Walk(found, folder)
        walk_tileset(folder / entry["url"], walk)
        if entry["id"] == NAME:
            check_points(folder, entry, _surveyed(place), found)
            continue
        _check_oids(entry, walk, _modelled(place, entry["id"]))
    if told.get("terrain"):
        check_terrain(folder / told["terrain"]["url"], found)
    if told.get("imagery"):
        check_imagery(folder, told["imagery"], found)
    if told.get("vector"):
        seen = check_vector(folder, told["vector"], found)
        if isinstance(place, City):
            check_shown(place, told["vector"], seen, found)
    for shelf in (folder, *parts(folder), folder.parent / "content"):
        check_copies(shelf, found)
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


def _modelled(place: City | Path | str, name: str) -> Counter[str] | None:
    """How many solids of each object the store's model would draw; None where there is no store to compare with."""
    if not isinstance(place, City) or not place.store.has("model", name):
        return None
    wanted: Counter[str] = Counter()
    for _, solids in place.store.read_model(name):
        wanted.update(solids.owner[has_surface(solids)].tolist())
    return wanted


def _surveyed(place: City | Path | str) -> int | None:
    """How many points the store has; None where there is no store to compare with."""
    return place.store.item(*INPUT).count if isinstance(place, City) and place.store.has(*INPUT) else None


def _check_oids(entry: dict[str, Any], walk: Walk, wanted: Counter[str] | None) -> None:
    """Every solid in one tile and no other: no block twice, and as many of each object as the model has."""
    found, where = walk.found, str(entry["url"])
    total: Counter[str] = Counter()
    for _, oids in walk.oids:
        total.update(oids.tolist())
    found.figures[f"{entry['id']}_objects"] = len(total)
    if wanted is None and entry["id"] == "l2":
        wanted = Counter(set(total))
    if wanted is None:
        return
    twice = sorted((total - wanted).keys() & wanted.keys())
    found.require(not twice, where, f"{len(twice)} objects occur twice: {', '.join(twice[:_EXAMPLES])}")
    missing, extra = sorted(wanted - total), sorted(set(total) - set(wanted))
    found.require(not missing, where, f"{len(missing)} objects are missing: {', '.join(missing[:_EXAMPLES])}")
    found.require(not extra, where, f"{len(extra)} objects are not in the model: {', '.join(extra[:_EXAMPLES])}")
