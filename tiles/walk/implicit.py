"""The walk of implicit tiling: every subtree, every available tile, with the volume and error that it has.

source  OGC 22-025r4, implicit tiling
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.checks.contents import Job
from tiles.checks.schema import check_entity
from tiles.checks.shape import SUBTREE, shaped
from tiles.checks.tables import check_tables
from tiles.gltf.metadata import read_table
from tiles.reading.subtree import Subtree, level_start, morton, read_subtree
from tiles.scheme.volumes import Volume, divided, placed, volume_kinds
from tiles.walk.state import Above, Document, Walk, enter
from twin.errors import SourceError

_AVAILABILITY = "SUBTREE_AVAILABILITY_INCONSISTENT"

_MOST_BITS = 2**24

Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scheme:
    """An implicit root.

    tile        its entry in the tileset
    axes        how many are divided: 2 of a quadtree, 3 of an octree
    depth       levels of a subtree        levels      that are available in all
    error       m, of the root
    """

    tile: Mapping[str, Any]
    where: str
    axes: int
    depth: int
    levels: int
    contents: tuple[str, ...]
    error: float

    @property
    def branching(self) -> int:
        """Children of a tile."""
        return int(2**self.axes)

    def uri(self, template: str, level: int, place: Place) -> str:
        """A template filled in."""
        values = dict(zip(("x", "y", "z"), place, strict=False)) | {"level": level}
        for key, value in values.items():
            template = template.replace(f"{{{key}}}", str(value))
        return template

    def name(self, level: int, place: Place) -> str:
        """A tile for messages."""
        return f"{self.where}[{'/'.join(map(str, (level, *place)))}]"


@dataclass(slots=True)
class Found:
    """An available tile.

    above       what it inherits, its own volume already among the volumes
    contents    (name, volumes) of each available content
    """

    name: str
    above: Above
    contents: list[tuple[str, tuple[Volume, ...]]]
    children: list[str]


def walk_implicit(tile: Mapping[str, Any], home: Document, above: Above, walk: Walk) -> None:
    """Walk all available tiles below an implicit root; contents become jobs."""
    implicit = tile["implicitTiling"]
    told = tile.get("contents", [tile["content"]] if "content" in tile else [])
    scheme = Scheme(
        tile,
        above.tile,
        2 if implicit["subdivisionScheme"] == "QUADTREE" else 3,
        implicit["subtreeLevels"],
        implicit["availableLevels"],
        tuple(entry["uri"] for entry in told),
        above.error,
    )
    if level_start(scheme.depth, scheme.branching) > _MOST_BITS:
        walk.found.remark(f"{scheme.where}: subtrees of {scheme.depth} levels are larger than is walked here")
        return
    for uri in scheme.contents:
        walk.found.require(
            not uri.partition("?")[0].endswith(".json"),
            scheme.where,
            "contents of implicit tiles are tilesets",
            "TILE_IMPLICIT_ROOT_INVALID",
        )
    tiles: dict[str, Found] = {}
    waiting = [(0, (0,) * scheme.axes, above)]
    while waiting:
        level, place, inherited = waiting.pop()
        waiting += reversed(_Subtree(scheme, home, walk, tiles).visit(level, place, inherited))
    _jobs(tiles, walk)


def _jobs(tiles: Mapping[str, Found], walk: Walk) -> None:
    bearing: dict[str, bool] = {}
    for name in reversed(list(tiles)):
        bearing[name] = bool(tiles[name].contents) or any(bearing[child] for child in tiles[name].children)
    for name, tile in tiles.items():
        replaced = tile.above.refine == "REPLACE" and bool(tile.children)
        cover = tuple(tiles[child].above.volumes[-1] for child in tile.children if bearing[child]) if replaced else ()
        for file, volumes in tile.contents:
            if walk.may(file):
                walk.nodes[name].contents = (*walk.nodes[name].contents, file)
                walk.jobs.append(Job(file, name, tile.above.world, volumes, cover, tile.above.error, not replaced))


class _Subtree:
    """One subtree while it is walked."""

    def __init__(self, scheme: Scheme, home: Document, walk: Walk, tiles: dict[str, Found]) -> None:
        self.scheme, self.home, self.walk, self.tiles, self.found = scheme, home, walk, tiles, walk.found
        self.where = ""

    def _bits(self, opened: Subtree, key: str, count: int, entry: Any) -> NDArray[np.bool_] | None:
        """Availability of one kind; None where it is missing or broken, which is told."""
        if not self.found.require(entry is not None, self.where, f"has no {key}", _AVAILABILITY):
            return None
        try:
            bits = opened.bits(entry, count)
        except SourceError as error:
            self.found.fault(self.where, f"{key} {str(error).removeprefix(f'{self.where}: ')}", _AVAILABILITY)
            return None
        told = entry.get("availableCount")
        self.found.require(
            told is None or told == int(bits.sum()),
            self.where,
            f"{key} says {told} available, the bits are {int(bits.sum())}",
            _AVAILABILITY,
        )
        return bits

    def visit(self, level: int, place: Place, above: Above) -> list[tuple[int, Place, Above]]:
        """Check the subtree whose root is the tile at `place`; the subtrees below it."""
        opened = self._open(level, place)
        if opened is None:
            return []
        scheme = self.scheme
        count = level_start(scheme.depth, scheme.branching)
        bits = self._bits(opened, "tileAvailability", count, opened.document.get("tileAvailability"))
        below = self._bits(
            opened,
            "childSubtreeAvailability",
            scheme.branching**scheme.depth,
            opened.document.get("childSubtreeAvailability"),
        )
        contents = self._contents(opened, count)
        if bits is None or below is None:
            return []
        self._consistent(bits, contents, level)
        semantics = self._metadata(opened, bits, contents)
        states = self._tiles(bits, contents, (level, place, above), semantics)
        return self._next(below, states, level, place)

    def _open(self, level: int, place: Place) -> Subtree | None:
        scheme, opener = self.scheme, self.walk.opener
        uri = scheme.uri(scheme.tile["implicitTiling"]["subtrees"]["uri"], level, place)
        try:
            name = opener.resolve(self.home.name, uri)
            if not self.walk.may(name):
                return None
            self.where = opener.label(name)
            self.found.checked += 1
            self.found.count("subtrees")
            fetched = opener.read(name)
        except SourceError as error:
            self.found.fault(scheme.name(level, place), f"subtree {uri} {error}", _AVAILABILITY)
            return None
        try:
            return read_subtree(
                fetched.data,
                self.where,
                lambda ref: opener.read(opener.resolve(name, ref)).data,
                lambda document: shaped(document, SUBTREE, self.where, self.found),
            )
        except SourceError as error:
            self.found.fault(self.where, f"cannot be opened: {error}", "BINARY_INVALID_LENGTH")
            return None

    def _contents(self, opened: Subtree, count: int) -> list[NDArray[np.bool_]]:
        told = opened.document.get("contentAvailability", [])
        self.found.require(
            len(told) == len(self.scheme.contents) or not self.scheme.contents,
            self.where,
            f"availability of {len(told)} contents, the root has {len(self.scheme.contents)}",
            _AVAILABILITY,
        )
        bits = [self._bits(opened, "contentAvailability", count, entry) for entry in told]
        return [found for found in bits if found is not None]

    def _consistent(self, bits: NDArray[np.bool_], contents: list[NDArray[np.bool_]], level: int) -> None:
        scheme = self.scheme
        self._claim(bits.any(), "no tile is available")
        self._claim(bits[0] or not bits.any(), "its root tile is not available")
        for found in contents:
            self._claim(not (found & ~bits).any(), "a content is available where no tile is")
        for deep in range(1, scheme.depth):
            start, end = (level_start(k, scheme.branching) for k in (deep, deep + 1))
            parents = bits[level_start(deep - 1, scheme.branching) : start].repeat(scheme.branching)
            self._claim(not (bits[start:end] & ~parents).any(), f"a tile of level {level + deep} has no parent")
            self._claim(
                level + deep < scheme.levels or not bits[start:end].any(),
                f"tiles of level {level + deep} are available, availableLevels is {scheme.levels}",
            )

    def _claim(self, holds: Any, words: str) -> None:
        self.found.require(holds, self.where, words, _AVAILABILITY)

    def _metadata(
        self, opened: Subtree, bits: NDArray[np.bool_], contents: list[NDArray[np.bool_]]
    ) -> list[dict[str, Any]]:
        """Columns with a semantic: of tiles, then of each content; row k is the k-th that is available."""
        schema, document, before = self.home.schema or {}, opened.document, len(self.found.faults)
        if "subtreeMetadata" in document:
            check_entity(document["subtreeMetadata"], schema, f"{self.where}: subtreeMetadata", self.found)
        tables = opened.tables(schema)
        told = document.get("propertyTables", [])
        if told:
            check_tables(tables, schema, self.found)
        wanted = [(document.get("tileMetadata"), bits)]
        wanted += list(zip(document.get("contentMetadata", []), contents, strict=False))
        columns: list[dict[str, Any]] = []
        for index, available in wanted:
            columns.append({})
            if index is None or not self.found.require(
                0 <= index < len(told), self.where, f"there is no property table {index}", "IDENTIFIER_NOT_FOUND"
            ):
                continue
            rows = told[index].get("count")
            if not self.found.require(
                rows == int(available.sum()),
                self.where,
                f"property table {index} has {rows} rows for {int(available.sum())} available",
                "METADATA_INVALID_LENGTH",
            ):
                continue
            described = schema.get("classes", {}).get(told[index].get("class"), {}).get("properties", {})
            names = {name: entry["semantic"] for name, entry in described.items() if "semantic" in entry}
            if len(self.found.faults) > before:
                continue
            try:
                values = read_table(tables, index)
            except (SourceError, KeyError):
                # What is wrong with a class is told with the schema already.
                continue
            columns[-1] = {names[name]: column for name, column in values.items() if name in names}
        return columns

    def _tiles(
        self,
        bits: NDArray[np.bool_],
        contents: list[NDArray[np.bool_]],
        start: tuple[int, Place, Above],
        semantics: list[dict[str, Any]],
    ) -> dict[int, Above]:
        """Note every available tile; what the tiles of the last level hand down, by their number in that level."""
        scheme, (level, place, above) = self.scheme, start
        ranks = [np.cumsum(found) - 1 for found in (bits, *contents)]
        states: dict[int, Above] = {}
        last: dict[int, Above] = {}
        for index in np.flatnonzero(bits).tolist():
            deep = next(k for k in range(scheme.depth) if index < level_start(k + 1, scheme.branching))
            number = index - level_start(deep, scheme.branching)
            parent = level_start(deep - 1, scheme.branching) + number // scheme.branching if deep else -1
            inherited = states.get(parent, above)
            at = tuple((p << deep) + q for p, q in zip(place, morton(number, scheme.axes), strict=True))
            rows = [int(rank[index]) for rank in ranks]
            available = [k for k, found in enumerate(contents) if found[index]]
            states[index] = self._tile((level + deep, at), inherited, (semantics, rows), available)
            if deep == scheme.depth - 1:
                last[number] = states[index]
        return last

    def _tile(
        self,
        at: tuple[int, Place],
        above: Above,
        told: tuple[list[dict[str, Any]], list[int]],
        available: list[int],
    ) -> Above:
        scheme, (level, place), (semantics, rows) = self.scheme, at, told
        name = scheme.name(level, place)
        self.found.count("implicit_tiles")
        volume = self._volume("TILE", semantics[0], rows[0], (level, place), above, name)
        error = scheme.error / 2**level
        if "TILE_GEOMETRIC_ERROR" in semantics[0]:
            error = float(semantics[0]["TILE_GEOMETRIC_ERROR"][rows[0]])
        self.found.require(
            error <= above.error * (1.0 + 1e-9),
            name,
            f"geometric error {error:g} is larger than its parent's {above.error:g}",
            "TILE_GEOMETRIC_ERRORS_INCONSISTENT",
        )
        volumes = (*above.volumes, volume)
        state = replace(above, volumes=volumes, error=min(error, above.error), tile=name)
        enter(self.walk, name, above.tile, error, above.refine)
        files = []
        for k in available:
            if k >= len(scheme.contents):
                continue
            columns = semantics[k + 1] if k + 1 < len(semantics) else {}
            own = volumes
            if any(key.startswith("CONTENT_BOUNDING") for key in columns):
                own = (*volumes, self._volume("CONTENT", columns, rows[k + 1], (level, place), above, name))
            uri = scheme.uri(scheme.contents[k], level, place)
            try:
                files.append((self.walk.opener.resolve(self.home.name, uri), own))
            except SourceError as error_:
                self.found.fault(name, f"content uri {uri} {error_}", "CONTENT_VALIDATION_ERROR")
        self.tiles[name] = Found(name, state, files, [])
        if above.tile in self.tiles:
            self.tiles[above.tile].children.append(name)
        return state

    def _volume(
        self,
        prefix: str,
        columns: Mapping[str, Any],
        row: int,
        at: tuple[int, Place],
        above: Above,
        name: str,
    ) -> Volume:
        """The volume that metadata says, else that of the root divided."""
        for key, kind in (("BOX", "box"), ("REGION", "region"), ("SPHERE", "sphere")):
            column = columns.get(f"{prefix}_BOUNDING_{key}")
            if column is not None:
                return placed(kind, np.asarray(column[row], np.float64).reshape(-1), above.world, name)
        kind = volume_kinds(self.scheme.tile["boundingVolume"])[0]
        numbers = np.asarray(self.scheme.tile["boundingVolume"][kind], dtype=np.float64)
        numbers = divided(kind, numbers, *at)
        if kind == "region":
            for slot, key in ((4, "MINIMUM_HEIGHT"), (5, "MAXIMUM_HEIGHT")):
                if f"{prefix}_{key}" in columns:
                    numbers[slot] = float(columns[f"{prefix}_{key}"][row])
        return placed(kind, numbers, above.world, name)

    def _next(
        self, below: NDArray[np.bool_], last: Mapping[int, Above], level: int, place: Place
    ) -> list[tuple[int, Place, Above]]:
        scheme = self.scheme
        deep = level + scheme.depth
        if deep >= scheme.levels:
            self._claim(not below.any(), f"child subtrees of level {deep}, availableLevels is {scheme.levels}")
            return []
        numbers = np.flatnonzero(below).tolist()
        orphans = [number for number in numbers if number // scheme.branching not in last]
        self._claim(not orphans, f"{len(orphans)} child subtrees are available below a tile that is not")
        found = []
        for number in numbers:
            above = last.get(number // scheme.branching)
            if above is not None:
                offset = morton(number, scheme.axes)
                at = tuple((p << scheme.depth) + q for p, q in zip(place, offset, strict=True))
                found.append((deep, at, above))
        return found
