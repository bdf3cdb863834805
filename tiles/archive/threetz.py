"""3D Tiles archives (.3tz): all tilesets of a city in one file that clients read in place.

source  3D Tiles Archive Format 1.3, https://github.com/erikdahlstrom/3tz-specification
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tiles.archive.cut import Box, Cutter, Member, explicit_url, region_of
from tiles.archive.package import put
from tiles.reading.archive import INDEX, wanted_index
from twin.city import City
from twin.errors import MissingInputError

_RADIUS = 6_371_000.0


def write_3tz(city: City, out: Path, area: Box | None = None) -> int:
    """Write the published tilesets of a city, or their part in an area, as one archive; how many members it has.

    The tilesets stand below one `tileset.json` that adds them up; every reference stays inside the archive.
    raises  MissingInputError where no tileset is published, or none meets the area
    """
    current = city.store.current_tiles()
    told: dict[str, Any] = {} if current is None else orjson.loads((current[1] / "build.json").read_bytes())
    cutter, children = Cutter(area, ""), []
    for entry in told.get("tilesets", ()):
        name = f"{entry['id']}/tileset.json"
        root = cutter.tileset(current[1] / explicit_url(entry), name) if current is not None else None
        if root is not None:
            children.append((name, root))
    if not children:
        raise MissingInputError(f"{city.name_en}: no tileset is published there; run `twin tiles {city.root}`")
    head = Member("tileset.json", orjson.dumps(_root(children, told["version"])))
    members = [head, *(cutter.members[name] for name in sorted(cutter.members))]
    beside = out.with_name(f".{out.name}.part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as file:
        for member in members:
            put(file, member)
        put(file, Member(INDEX, wanted_index(file.infolist()).tobytes()))
    beside.replace(out)
    return len(members)


def _root(children: list[tuple[str, dict[str, Any]]], version: str) -> dict[str, Any]:
    """The document that adds tilesets up: (name, root tile) of each."""
    tiles, regions = [], []
    for name, root in children:
        region = _padded(region_of(root, np.array(root["transform"]).reshape(4, 4).T))
        regions.append(region)
        volume = {"region": _radians(region)}
        tiles.append({"boundingVolume": volume, "geometricError": root["geometricError"], "content": {"uri": name}})
    whole = np.stack([np.min([r[0] for r in regions], axis=0), np.max([r[1] for r in regions], axis=0)])
    error = 2.0 * max(root["geometricError"] for _, root in children)
    top = {"boundingVolume": {"region": _radians(whole)}, "geometricError": error, "refine": "ADD", "children": tiles}
    return {"asset": {"version": "1.1", "tilesetVersion": version}, "geometricError": error, "root": top}


def _padded(region: NDArray[np.float64]) -> NDArray[np.float64]:
    """A region of corners, grown by what the faces of a box sag below the arcs between them."""
    across = np.radians(region[1, :2] - region[0, :2]).max() * _RADIUS
    pad = across**2 / (2.0 * _RADIUS) + 1.0
    flat = np.degrees(pad / _RADIUS / np.cos(np.radians(region[:, 1]).max()))
    return region + np.array([[-flat, -flat, -pad], [flat, flat, pad]])


def _radians(region: NDArray[np.float64]) -> list[float]:
    low, high = region.tolist()
    return [*np.radians([low[0], low[1], high[0], high[1]]).tolist(), low[2], high[2]]
