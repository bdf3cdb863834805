"""Opens everything that was published and checks it; also reads other people's tilesets."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.checks.archive import check_archive
from tiles.checks.contents import Job, Manner, check_contents, read_gltf
from tiles.checks.findings import Findings, load_json
from tiles.checks.gltf import Body, check_gltf
from tiles.checks.ground import check_imagery, check_terrain
from tiles.checks.khronos import command
from tiles.checks.points import check_points
from tiles.checks.shelf import check_files, check_opening, check_shelf
from tiles.checks.vector import check_shown, check_vector
from tiles.models import has_surface
from tiles.options import TileOptions
from tiles.points.build import INPUT, NAME
from tiles.reading.openers import Folder, opener
from tiles.walk.coverage import check_objects, distance, joined, leaves_below, sample
from tiles.walk.state import Walk
from tiles.walk.structure import flat
from tiles.walk.tileset import walk_tileset
from twin.city import City, open_city
from twin.errors import MissingInputError, SourceError
from twin.outcome import Report
from twin.store.published import parts
from twin.workers import Workers

_EXAMPLES = 3
_MEASURED, _MOST_LEAVES = 6, 40
_NEAR = 0.01
_NO_NODE = "gltf-validator (npm) or Node.js is not there: glTF is checked by our own rules alone"
_COUNTED: Mapping[str, str] = {
    "volumes_larger_than_parent": "tiles have a volume that reaches out of their parent's, which only contents may not",
    "loose_volumes": "boxes are more than 1.5 times as long as their contents",
    "empty_tiles_between": "tiles without content stand between contents under REPLACE",
    "triangles_without_area": "triangles have no area",
    "leaves_with_error": "leaves under REPLACE have a geometric error above 0",
    "archives_as_content": "contents are archives, which are not opened; check them by themselves",
    "empty_children": "tiles have an empty list of children, which is better left out [ARRAY_LENGTH_UNEXPECTED]",
    "flat_transforms": "transforms make all of their tile flat, they have no inverse",
    "feature_counts_too_large": "feature ids are fewer than their featureCount",
}
"""Figures that deserve a word -> the word."""


def check_tiles(place: City | Path | str, workers: Workers | None = None, khronos: bool = True) -> Report:
    """What is wrong with the published tiles: of a city, then also against its models; or of a folder with build.json.

    place       a City, the folder of one (with city.toml), or a published folder
    khronos     run gltf-validator on every GLB too, where it is there

    Every fault is a failed outcome named by its file.
    raises  MissingInputError where nothing is published
    """
    found, workers = Findings("tiles"), workers or Workers(1)
    if not isinstance(place, City) and (Path(place) / "city.toml").is_file():
        place = open_city(place)
    folder = _published(place).absolute()
    told = load_json(folder / "build.json", "build.json", found)
    if told is None:
        return found.report()
    options = place.options(TileOptions, "tiles") if isinstance(place, City) else TileOptions()
    manner = replace(_manner(found, True, khronos), sunk=options.models.sink)
    met = set[str]()
    for entry in told.get("tilesets", []):
        walk = Walk(found, Folder(str(folder / entry["url"])))
        oids = _check(walk, manner, workers)
        met |= walk.files
        if entry["id"] == NAME:
            check_points(folder, entry, _surveyed(place), found)
            continue
        _check_oids(entry, walk, oids, _modelled(place, entry["id"]))
    if told.get("terrain"):
        check_terrain(folder / told["terrain"]["url"], found)
    if told.get("imagery"):
        check_imagery(folder, told["imagery"], found)
    if told.get("vector"):
        seen = check_vector(folder, told["vector"], found)
        if isinstance(place, City):
            check_shown(place, told["vector"], seen, found)
    check_opening(folder, [told.get("terrain"), *(told.get("imagery") or [])], found)
    for part in (folder, *parts(folder)):
        check_files(part, workers, found)
    check_shelf(folder, met, workers, found)
    _tell(found)
    return found.report()


def check_tileset(
    place: Path | str,
    workers: Workers | None = None,
    most: int = 1_000_000,
    seconds: float = 3600.0,
    khronos: bool = True,
) -> Report:
    """What is wrong with any tileset and all that it reaches, implicit tiling included.

    place       a tileset.json, a folder with one, a .3tz archive, a .3dtiles package, or an http(s) address
    most        files that are opened at most
    seconds     that the walk may take
    khronos     run gltf-validator on every GLB too, where it is there
    """
    found = Findings("tileset")
    started = opener(place, min(seconds, 20.0))
    if str(place).lower().endswith(".3tz") and "://" not in str(place) and not check_archive(Path(place), found):
        return found.report()
    walk = Walk(found, started, most, time.monotonic() + seconds)
    _check(walk, _manner(found, False, khronos), workers or Workers(1))
    _tell(found)
    return found.report()


def _manner(found: Findings, strict: bool, khronos: bool) -> Manner:
    node = command() if khronos else ()
    if khronos and not node:
        found.remark(_NO_NODE)
    return Manner(node, strict)


def _tell(found: Findings) -> None:
    for key, words in _COUNTED.items():
        if found.figures.get(key):
            found.remark(f"{found.figures[key]} {words}")


def _published(place: City | Path | str) -> Path:
    if not isinstance(place, City):
        return Path(place)
    current = place.store.current_tiles()
    if current is None:
        raise MissingInputError(f"{place.name_en}: no tiles are published; run `twin tiles {place.root}`")
    return current[1]


def _check(walk: Walk, manner: Manner, workers: Workers) -> dict[str, NDArray[np.object_]]:
    """Walk a tileset and open its contents; tile -> identifiers of its objects."""
    found = walk.found
    with np.errstate(over="ignore", invalid="ignore"):
        walk_tileset(walk.opener.start, walk)
    columns: dict[str, list[NDArray[np.object_]]] = defaultdict(list)
    for checked in check_contents(walk.jobs, walk.opener, manner, workers):
        found.take(checked.found)
        if checked.oids is not None:
            columns[checked.job.tile].append(checked.oids)
    oids = {tile: np.concatenate(told) for tile, told in columns.items()}
    known = {tile: column for tile, column in oids.items() if len(columns[tile]) == len(walk.nodes[tile].contents)}
    check_objects(walk.nodes, known, found)
    _check_leaves(walk, manner.strict)
    _measure(walk, manner)
    return oids


def _check_leaves(walk: Walk, strict: bool) -> None:
    """A leaf that replaces something is the finest there is: its error is 0."""
    for name, node in walk.nodes.items():
        if node.children or node.error == 0.0 or node.refine != "REPLACE" or not node.contents:
            continue
        if strict:
            walk.found.fault(name, f"is a leaf of geometric error {node.error:g}", "LEAF_ERROR_NOT_ZERO")
        else:
            walk.found.count("leaves_with_error")


def _measure(walk: Walk, manner: Manner) -> None:
    """Measure again on a sample of tiles how far their content is from the leaves below it."""
    jobs: dict[str, list[Job]] = defaultdict(list)
    for job in walk.jobs:
        jobs[job.tile].append(job)
    for name in sample(walk.nodes, _MEASURED, _MOST_LEAVES):
        if flat(jobs[name][0].world):
            continue
        axes = np.linalg.inv(jobs[name][0].world)
        coarse = _bodies(jobs[name], walk, axes)
        fine = _bodies([job for leaf in leaves_below(walk.nodes, name) for job in jobs[leaf]], walk, axes)
        if coarse is None or fine is None:
            continue
        measured, declared = distance(coarse, fine), walk.nodes[name].error
        walk.found.count("errors_measured")
        if measured <= declared + manner.sunk + _NEAR:
            continue
        words = f"its content is {measured:.2f} m from what replaces it, the geometric error is {declared:g} m"
        if manner.strict:
            walk.found.fault(name, words, "ERROR_TOO_SMALL")
        else:
            walk.found.remark(f"{name}: {words}")


def _bodies(jobs: list[Job], walk: Walk, axes: NDArray[np.float64]) -> Body | None:
    """Triangles of contents in the axes given; None where one cannot be read or holds no triangles."""
    found = []
    for job in jobs:
        try:
            data = walk.opener.read(job.name).data
            body = check_gltf(read_gltf(data, job.name, job.name, walk.opener), None, Findings(""), strict=False)
        except (SourceError, KeyError, TypeError, IndexError, ValueError, AttributeError):
            # What does not open is told by the check of contents.
            return None
        matrix = axes @ job.world
        found.append(Body(body.points @ matrix[:3, :3].T + matrix[:3, 3], body.triangles))
    whole = joined(found) if found else None
    return whole if whole is not None and len(whole.triangles) else None


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


def _check_oids(
    entry: Mapping[str, Any], walk: Walk, oids: Mapping[str, NDArray[np.object_]], wanted: Counter[str] | None
) -> None:
    """Every solid in one tile and no other: no block twice, and as many of each object as the model has."""
    found, where = walk.found, str(entry["url"])
    total: Counter[str] = Counter()
    for tile, column in oids.items():
        if not walk.nodes[tile].replaced:
            total.update(column.tolist())
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
