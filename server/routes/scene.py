"""What does the viewer show? One document with the address of everything, from the city's declaration and its tiles."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request, Response

from server import schemas
from server.answers import answer
from server.deps import Context, Here, columns_of, known_parameters, only_json
from server.features import box84, served
from twin.errors import StoreError

router = APIRouter(tags=["scene"])

# What a map of streets shows and its card tells; the sources of each zone are on the item itself.
_STREET_COLUMNS = (
    "name", "name_en", "road_oid", "level", "score", "p1", "p2", "p3", "p4", "p5", "confident", "drivers", "quality",
    "depth_m", "people", "reason", "method",
)  # fmt: skip
_TITLES = {
    "l2": ("城市建筑", "City buildings"),
    "l3": ("古城", "Ancient city"),
    "surfaces": ("地表", "Ground cover"),
    "pipes": ("地下管线", "Pipes"),
    "trees": ("树木", "Trees"),
    "furniture": ("城市部件", "Street furniture"),
    "points": ("点云", "Point cloud"),
}
# Shown as buildings, found by search or coloured by a theme; not layers of their own.
_NOT_LAYERS = ("buildings", "addresses", "flood_buildings", "flood_streets")


@router.get("/city", response_model=schemas.Scene, dependencies=[Depends(known_parameters), Depends(only_json)])
def read_scene(request: Request, here: Here) -> Response:
    """The city as the viewer opens it: who it is, the first view, terrain, imagery, tilesets, layers, themes, live."""
    return answer(request, scene(here))


def scene(here: Context) -> dict[str, Any]:
    """The scene document; paths are from the root of this server."""
    city = here.city
    version, build = published(here)
    return {
        "id": city.id,
        "name": city.name,
        "name_en": city.name_en,
        "badge": city.badge,
        "badge_en": city.badge_en,
        "frame": {"crs": city.frame.crs, "vertical": city.frame.vertical},
        "view": _view(here),
        "time": {
            "default": city.view.time or here.settings.scene_time,
            "utc_offset": _hours(here),
        },
        "version": version,
        "terrain": build.get("terrain"),
        "imagery": build.get("imagery") or [],
        "tilesets": [_tileset(entry) for entry in build.get("tilesets") or []],
        "layers": [
            {
                "id": collection.id,
                "title": collection.title,
                "title_en": collection.title_en,
                "url": f"/collections/{collection.id}/items",
                "kind": collection.kind,
            }
            for collection, _ in served(city.store)
            if collection.id not in _NOT_LAYERS
        ],
        "themes": _themes(here),
        "live": {"latest": "/live/latest", "events": "/live/events", "things": "/live/things"},
        "incidents": "/incidents",
        "search": "/search",
        "attributions": attributions(here),
        "lineage": [
            {"kind": item.kind, "name": item.name, **item.lineage.as_dict()}
            for item in city.store.items()
            if item.kind != "document"
        ],
    }


def published(here: Context) -> tuple[str, Mapping[str, Any]]:
    """(version, build.json) of the published tiles, its urls from the root of this server; ("", {}) without tiles.

    "pictures" is put in: what changes with the orthophotos and nothing else.
    raises  StoreError where the published folder does not tell what it holds
    """
    current = here.city.store.current_tiles()
    if current is None:
        return "", {}
    version, folder = current
    return version, here.memo.get("build", version, lambda: _read_build(folder))


def _read_build(folder: Path) -> Mapping[str, Any]:
    try:
        build: dict[str, Any] = orjson.loads((folder / "build.json").read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise StoreError(f"{folder.name}/build.json cannot be read ({error}); `twin tiles` makes it again") from error
    entries = [build.get("terrain"), *(build.get("imagery") or []), *(build.get("tilesets") or [])]
    build["pictures"] = _place(folder, "imagery").name
    for entry in entries:
        if entry and "opening" in entry:
            entry["opening"] = _address(folder, str(entry["opening"]))
        if entry and str(entry["url"]).startswith("/"):
            entry["url"] = f"{entry['url']}?v={build['pictures']}"
        elif entry:
            for key in {"url", "explicit"} & entry.keys():
                entry[key] = _address(folder, str(entry[key]))
    return build


def _address(folder: Path, url: str) -> str:
    """Where a url of build.json is served: below the part that the version links to, which clients keep when the next
    version links to it too."""
    name, _, rest = url.partition("/")
    return posixpath.normpath(posixpath.join("/tiles", folder.name, _place(folder, name).as_posix(), rest))


def _place(folder: Path, name: str) -> Path:
    link = folder / name
    return link.readlink() if link.is_symlink() else Path(name)


def _view(here: Context) -> dict[str, float]:
    declared = here.city.view
    view = {key: float(getattr(declared, key)) for key in ("lon", "lat", "height", "heading", "pitch")}
    if math.isnan(view["lon"]) or math.isnan(view["lat"]):
        view["lon"], view["lat"] = _middle(here)
    return view


def _middle(here: Context) -> tuple[float, float]:
    layers = [item for _, item in served(here.city.store)]
    # A city may be models alone, as they were delivered.
    everything = [*layers, *here.city.store.items("model"), *here.city.store.items("raster")]
    extent = next((item.extent for item in everything if item.extent is not None), None)
    if extent is None:
        return 0.0, 0.0
    west, south, east, north = box84(extent, here.city.frame)
    return (west + east) / 2.0, (south + north) / 2.0


def _hours(here: Context) -> float:
    offset = here.desk.local.utcoffset(None)
    return offset.total_seconds() / 3600.0


def _tileset(entry: Mapping[str, Any]) -> dict[str, Any]:
    title, title_en = _TITLES.get(str(entry["id"]), (str(entry["id"]), str(entry["id"])))
    return {"title": title, "title_en": title_en, **entry}


def _themes(here: Context) -> list[dict[str, str]]:
    store = here.city.store
    if not store.has("layer", "zone_flood_building"):
        return []
    theme = {
        "id": "flood",
        "title": "洪涝风险",
        "title_en": "Flood risk",
        "buildings": "/collections/buildings/state?theme=flood",
        "process": "/processes/flood-zoning",
    }
    if store.has("layer", "zone_flood_street"):
        known = columns_of(here, store.item("layer", "zone_flood_street"))
        shown = ",".join(name for name in _STREET_COLUMNS if name in known)
        theme["streets"] = f"/collections/flood_streets/items?limit=10000&properties={shown}"
    return [theme]


def attributions(here: Context) -> list[str]:
    """Who is to be named for the data, each once."""
    declared = [source.attribution or source.lineage for source in here.city.sources]
    kept = [item.lineage.attribution for item in here.city.store.items()]
    return list(dict.fromkeys(text for text in (*declared, *kept) if text))
