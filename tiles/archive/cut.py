"""The part of a published version that an area needs: documents cut to it, and the files that those name.

A tile stays where its bounding volume meets the area, or where it is needed beside one that does. Documents that lose a
tile are written anew; every other file goes out as it lies on the disk.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles.imagery.mosaic import Mosaic, Place, open_mosaic
from tiles.imagery.places import tile_range
from tiles.imagery.pyramid import SERVED
from tiles.options import ImageTiles
from tiles.scheme.tree import box_corners
from tiles.shelf import address, digest
from twin.errors import StoreError
from twin.frames import geodetic_from_ecef
from twin.options import read_options
from twin.store.protocol import Store

Box = tuple[float, float, float, float]
"""(west, south, east, north), degrees, WGS 84."""

_TOLD = ("id", "url", "bounds", "reach", "refine", "geometric_error")
"""What build.json tells of a tileset that is still true of a part of it."""


_IMPLICIT = ("explicit", "implicit")
"""What it tells of an implicit tileset, which is not packed: the explicit one beside it is."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file by its name with forward slashes: bytes, or where they lie."""

    name: str
    source: bytes | Path

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


@dataclass(slots=True)
class Cutter:
    """Cuts tilesets; contents that several name are given once.

    area    None for all        shelf   name of the folder that gets the contents, with a slash at its end
    """

    area: Box | None
    shelf: str
    members: dict[str, Member] = field(default_factory=dict)

    def tileset(self, path: Path, name: str) -> dict[str, Any] | None:
        """The root tile of the document at `path`, as it will be called `name`; None where it lies outside.

        Its documents and contents come into `members`.
        """
        document = _read(path)
        if not self._meets(document["root"], np.eye(4)):
            return None
        root = self._tile(document["root"], np.eye(4), path.parent, posixpath.dirname(name))
        self.members[name] = Member(name, orjson.dumps({**document, "root": root}))
        return root

    def _meets(self, tile: Mapping[str, Any], above: NDArray[np.float64]) -> bool:
        if self.area is None:
            return True
        (west, south, _), (east, north, _) = region_of(tile, _axes(tile, above)).tolist()
        return bool(west <= self.area[2] and east >= self.area[0] and south <= self.area[3] and north >= self.area[1])

    def _tile(
        self, tile: Mapping[str, Any], above: NDArray[np.float64], folder: Path, place: str | None, refine: str = ""
    ) -> dict[str, Any]:
        """A tile and what is kept below it; place: folder of its document, None for one on the shelf.

        Where a tile is replaced by its children, those outside the area stay too, without their own: else the city
        would have holes around it.
        """
        axes, refine = _axes(tile, above), tile.get("refine", refine)
        kept = {key: value for key, value in tile.items() if key != "children"}
        if "content" in tile:
            uri = self._content(folder / tile["content"]["uri"], axes, place, refine)
            kept["content"] = {**tile["content"], "uri": uri}
        below = tile.get("children", []) if self._meets(tile, above) else []
        near = [self._meets(child, axes) for child in below]
        if any(near):
            whole = refine == "REPLACE"
            chosen = [child for child, inside in zip(below, near, strict=True) if inside or whole]
            kept["children"] = [self._tile(child, axes, folder, place, refine) for child in chosen]
        return kept

    def _content(self, path: Path, axes: NDArray[np.float64], place: str | None, refine: str) -> str:
        """The reference to a content from a document in `place`."""
        source: bytes | Path = path
        name = path.name
        if path.suffix == ".json":
            document = _read(path)
            root = self._tile(document["root"], axes, path.parent, None, refine)
            source = orjson.dumps({**document, "root": root})
            name = digest(source) + ".json"
        member = self.shelf + address(name)
        self.members[member] = Member(member, source)
        # From one folder of two digits to another, whichever the document comes to lie in.
        return f"../{name[:2]}/{name}" if place is None else posixpath.relpath(member, place or ".")


def explicit_url(entry: Mapping[str, Any]) -> str:
    """Where the tileset of an entry of build.json is that names every tile: one that can be cut."""
    return str(entry.get("explicit", entry["url"]))


def _axes(tile: Mapping[str, Any], above: NDArray[np.float64]) -> NDArray[np.float64]:
    return above @ np.array(tile.get("transform", np.eye(4).reshape(-1))).reshape(4, 4).T


def region_of(tile: Mapping[str, Any], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) lowest and highest longitude, latitude (degrees), height (m) of a tile's box; axes: tile -> Earth-centred.

    raises  StoreError for a volume that is no box
    """
    numbers = tile["boundingVolume"].get("box")
    if numbers is None:
        raise StoreError("a tile has no box as its bounding volume; `twin tiles` writes boxes")
    corners = box_corners(np.array(numbers)) @ axes[:3, :3].T + axes[:3, 3]
    geodetic = geodetic_from_ecef(corners)
    return np.stack([geodetic.min(axis=0), geodetic.max(axis=0)])


def published_members(version: str, folder: Path, area: Box | None, store: Store, scratch: Path) -> Iterator[Member]:
    """The files of a published version, by names that a server of files can serve as they are.

    folder      of the version
    store       holds the orthophotos: a tile that the server would paint is painted into `scratch`

    The map of the layers goes out whole: it is one file.
    """
    told: dict[str, Any] = _read(folder / "build.json")
    for entry in filter(None, [told.get("terrain"), *(told.get("imagery") or [])]):
        # Packs of coarse files repeat what goes out anyway.
        entry.pop("opening", None)
    home = f"tiles/{version}/"
    cutter = Cutter(area, "tiles/")
    tilesets = []
    for entry in told["tilesets"]:
        url = explicit_url(entry)
        if cutter.tileset(folder / url, home + url) is not None:
            kept = {key: entry[key] for key in entry if key not in _IMPLICIT and (area is None or key in _TOLD)}
            tilesets.append({**kept, "url": url})
    yield from (cutter.members[name] for name in sorted(cutter.members))
    if told.get("terrain"):
        yield from _terrain(folder / told["terrain"]["url"], home + told["terrain"]["url"], area)
    layers = [layer for entry in told.get("imagery") or [] if (layer := _clipped(entry, area)) is not None]
    layers = [{**layer, "url": layer["url"].replace(f"/imagery/{SERVED}/", "imagery/")} for layer in layers]
    painting = told.get("painting")
    mosaic = open_mosaic(store, read_options(ImageTiles, painting, "painting")) if painting else None
    yield from _pictures(folder, home, layers, mosaic, scratch)
    if told.get("vector"):
        yield from _whole(folder / "vector", home + "vector/")
    now = {**told, "tilesets": tilesets, "imagery": layers}
    yield Member(home + "build.json", orjson.dumps(now, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    yield Member("tiles/current.json", orjson.dumps({"version": version}))


def _terrain(folder: Path, name: str, area: Box | None) -> Iterator[Member]:
    layer: dict[str, Any] = _read(folder / "layer.json")
    available = []
    for level, ranges in enumerate(layer["available"]):
        # Clients ask for both tiles of the coarsest level wherever they look.
        kept = [_overlap(level, rectangle, area if level else None) for rectangle in ranges]
        available.append([rectangle for rectangle in kept if rectangle])
        for rectangle in available[-1]:
            for x in range(rectangle["startX"], rectangle["endX"] + 1):
                for y in range(rectangle["startY"], rectangle["endY"] + 1):
                    yield Member(f"{name}/{level}/{x}/{y}.terrain", folder / str(level) / str(x) / f"{y}.terrain")
    yield Member(f"{name}/layer.json", orjson.dumps({**layer, "available": available}))


def _overlap(level: int, rectangle: Mapping[str, int], area: Box | None) -> dict[str, int]:
    """The tiles of a rectangle of the geographic TMS pyramid that meet the area; empty where none does."""
    if area is None:
        return dict(rectangle)
    west, south, east, north = (
        math.floor((degrees + shift) / (180.0 / 2**level))
        for degrees, shift in zip(area, (180.0, 90.0, 180.0, 90.0), strict=True)
    )
    found = {
        "startX": max(rectangle["startX"], west),
        "startY": max(rectangle["startY"], south),
        "endX": min(rectangle["endX"], east),
        "endY": min(rectangle["endY"], north),
    }
    return found if found["startX"] <= found["endX"] and found["startY"] <= found["endY"] else {}


def _clipped(layer: Mapping[str, Any], area: Box | None) -> dict[str, Any] | None:
    """A layer of pictures inside the area; None where it lies outside."""
    if area is None:
        return dict(layer)
    west, south, east, north = layer["bounds"]
    inside = [max(west, area[0]), max(south, area[1]), min(east, area[2]), min(north, area[3])]
    return {**layer, "bounds": inside} if inside[0] < inside[2] and inside[1] < inside[3] else None


def _pictures(
    folder: Path, home: str, layers: list[dict[str, Any]], mosaic: Mosaic | None, scratch: Path
) -> Iterator[Member]:
    places: dict[str, Place] = {}
    for layer in layers:
        for zoom in range(layer["minzoom"], layer["maxzoom"] + 1):
            x0, y0, x1, y1 = tile_range(tuple(layer["bounds"]), zoom)
            for place in ((zoom, x, y) for x in range(x0, x1) for y in range(y0, y1)):
                places[layer["url"].format(z=place[0], x=place[1], y=place[2])] = place
    for name, place in sorted(places.items()):
        path = folder / name
        if not path.is_file():
            if mosaic is None:
                raise StoreError(f"{path}: is missing; `twin tiles --force` makes it again")
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(mosaic.tile(place))
        yield Member(home + name, path)


def _whole(folder: Path, name: str) -> Iterator[Member]:
    """All files of a folder but for the compressed copies of others."""
    for path in sorted(folder.resolve().rglob("*")):
        copy = path.suffix in (".br", ".gz") and path.with_suffix("").is_file()
        if path.is_file() and not copy:
            yield Member(name + path.relative_to(folder.resolve()).as_posix(), path)


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); `twin tiles --force` makes it again") from error
    return found
