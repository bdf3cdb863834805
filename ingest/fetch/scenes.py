"""Which satellite scenes show a place best, by their STAC items."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from ingest.fetch.places import Place
from twin.errors import SourceError

_COVERED = 0.999
_KEY = re.compile(r"(sentinel-s2-l2a-cogs/(\d{1,2})/([C-X])/([A-Z]{2})/(\d{4})/(\d{1,2})/([A-Za-z0-9_]+)/TCI\.tif)$")


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene: its id, its file below the bucket, its day, its cloud in percent, its outline in lon/lat."""

    id: str
    path: str
    date: str
    cloud: float
    outline: Any


def read_scenes(body: bytes, url: str) -> list[Scene]:
    """The scenes of a STAC answer that have a true colour image; SourceError where it is no STAC answer.

    Only the key below the bucket is taken from an item, never an address; the scene is named after it.
    """
    try:
        items = json.loads(body)["features"]
        found = [_scene(item) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError, ShapelyError) as error:
        raise SourceError(f"{url}: not a STAC item collection ({type(error).__name__}: {error})") from error
    return [scene for scene in found if scene is not None]


def _scene(item: dict[str, Any]) -> Scene | None:
    assets = item["assets"]
    href = (assets.get("visual") or assets.get("TCI") or {}).get("href", "")
    key = _KEY.search(href)
    if key is None:
        return None
    said = item["properties"]
    cloud = said.get("eo:cloud_cover")
    cloud = 100.0 if cloud is None else float(cloud)
    return Scene(key[7], key[1], str(said["datetime"])[:10], cloud, shape(item["geometry"]))


def choose_scenes(scenes: list[Scene], place: Place) -> list[Scene]:
    """The fewest clear scenes that cover the place: least cloud first, the newer and then the id where equal.

    A scene is taken where it shows at least a hundredth of the place that none before it does.
    """
    open_part = shapely.box(*place.as_list())
    whole = open_part.area
    chosen = []
    by_date = sorted(scenes, key=lambda scene: (scene.date, scene.id), reverse=True)
    for scene in sorted(by_date, key=lambda scene: scene.cloud):
        rest = open_part.difference(scene.outline)
        if open_part.area - rest.area >= 0.01 * whole:
            chosen.append(scene)
            open_part = rest
        if open_part.area <= (1.0 - _COVERED) * whole:
            break
    return chosen
