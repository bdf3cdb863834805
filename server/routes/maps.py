"""What does the map of the city look like to its clients? TileJSON and styles with full addresses; OGC API Tiles."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response

from server import features as geo
from server.answers import answer
from server.deps import Context, Here, Language, absolute, known_parameters, link, only_json
from server.fast.archives import archive_at, range_of, reaches
from server.routes.scene import published
from tiles.vector.build import TILEJSON
from tiles.vector.classes import MODELLED
from tiles.vector.decode import layers_of
from tiles.vector.style import FILES, SOURCE
from twin.errors import NotFoundError
from twin.store import Item

router = APIRouter(tags=["maps"])

MVT = "application/vnd.mapbox-vector-tile"
MATRIX_SET = "WebMercatorQuad"
_MATRIX_URI = f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{MATRIX_SET}"
_FOR_EVER = "public, max-age=31536000, immutable"
_DOCUMENT = re.compile(rf"[^/]+/vector/(?:{'|'.join(map(re.escape, (TILEJSON, *FILES.values())))})")

CollectionId = Annotated[str, Path(alias="collection_id", description="Id of the collection.")]


def is_document(relative: str) -> bool:
    """Whether a path below /tiles/ is a document that tells clients full addresses."""
    return _DOCUMENT.fullmatch(relative) is not None


@router.get("/tiles/{version}/vector/{document}", response_model=dict[str, Any], dependencies=[Depends(only_json)])
def read_map(request: Request, here: Here, version: str, document: str) -> Response:
    """TileJSON 3.0 of the map, or a MapLibre style in Chinese (style.json) or English (style-en.json)."""
    if not is_document(f"{version}/vector/{document}"):
        raise NotFoundError(f"no document {document!r} of a map; there are {TILEJSON}, {', '.join(FILES.values())}")
    file = here.city.store.tiles_dir / version / "vector" / document
    if version.startswith(".") or not file.is_file():
        raise NotFoundError(f"no map is published under {version}; /city names the version that is")
    body = orjson.loads(file.read_bytes())
    base = absolute(request, f"/tiles/{version}/vector/")
    if document == TILEJSON:
        body["tiles"] = [base + tile for tile in body["tiles"]]
    else:
        body["sources"][SOURCE]["url"] = base + TILEJSON
    # The host is part of the answer, so that no cache may hand it to a client of another name.
    return answer(request, body, cache="public, max-age=3600", headers={"Vary": "Host"})


@router.get(
    "/collections/{collection_id}/tiles",
    response_model=dict[str, Any],
    dependencies=[Depends(known_parameters), Depends(only_json)],
)
def list_tilesets(request: Request, here: Here, lang: Language, collection_id: CollectionId) -> Response:
    """The tilesets of a collection: one, of vector tiles in Web Mercator."""
    _shown(here, collection_id)
    card = _tileset(request, here, collection_id, lang)
    links = [link(request, "self", f"/collections/{collection_id}/tiles")]
    return answer(request, {"links": links, "tilesets": [card]}, headers=_spoken(lang))


@router.get(
    f"/collections/{{collection_id}}/tiles/{MATRIX_SET}",
    response_model=dict[str, Any],
    dependencies=[Depends(known_parameters), Depends(only_json)],
)
def describe_tileset(request: Request, here: Here, lang: Language, collection_id: CollectionId) -> Response:
    """One tileset: its tiles, zooms, bounds and fields."""
    name, told = _shown(here, collection_id)
    west, south, east, north = told["bounds"]
    document = orjson.loads((_folder(here) / str(told["tilejson"])).read_bytes())
    layer = next(layer for layer in document["vector_layers"] if layer["id"] == name)
    body = _tileset(request, here, collection_id, lang) | {
        "boundingBox": {"lowerLeft": [west, south], "upperRight": [east, north], "crs": geo.CRS84},
        "tileMatrixSetLimits": [_limits(told, zoom) for zoom in range(layer["minzoom"], layer["maxzoom"] + 1)],
        "layers": [
            {
                "id": name,
                "dataType": "vector",
                "minTileMatrix": str(layer["minzoom"]),
                "maxTileMatrix": str(layer["maxzoom"]),
                "propertiesSchema": {
                    "type": "object",
                    "properties": {key: _property(doc) for key, doc in layer["fields"].items()},
                },
            }
        ],
    }
    return answer(request, body, headers=_spoken(lang))


@router.get(
    f"/collections/{{collection_id}}/tiles/{MATRIX_SET}/{{matrix}}/{{row}}/{{col}}",
    response_class=Response,
    responses={200: {"content": {MVT: {}}}, 204: {"description": "nothing there"}},
    dependencies=[Depends(known_parameters)],
)
def read_tile(here: Here, collection_id: CollectionId, matrix: int, row: int, col: int) -> Response:
    """One tile of a collection as Mapbox Vector Tile; 204 where it is empty."""
    name, told = _shown(here, collection_id)
    archive = archive_at(_folder(here) / str(told["archive"]))
    if min(matrix, row, col) < 0 or not reaches(archive, matrix, col, row):
        raise NotFoundError(f"tile {matrix}/{row}/{col} lies outside of {collection_id}; its tileset tells the limits")
    packed = archive.tile(matrix, col, row)
    parts = dict(layers_of(gzip.decompress(packed))) if packed is not None else {}
    headers = {"Cache-Control": "no-cache"}
    if name not in parts:
        return Response(status_code=204, headers=headers)
    return Response(parts[name], headers=headers, media_type=MVT)


def has_tiles(here: Context, item: Item) -> bool:
    """Whether a layer is on the published map."""
    told = published(here)[1].get("vector") or {}
    return item.name.removesuffix(MODELLED) in told.get("layers", ())


def _shown(here: Context, collection_id: str) -> tuple[str, Mapping[str, Any]]:
    """(layer in the tiles, what build.json tells of the map) of a collection.

    raises  NotFoundError where the collection is not on the map
    """
    _, item = geo.find(here.city.store, collection_id)
    if not has_tiles(here, item):
        raise NotFoundError(f"collection {collection_id} is on no published map; `twin tiles` makes it")
    return item.name.removesuffix(MODELLED), published(here)[1]["vector"]


def _folder(here: Context) -> FilePath:
    return here.city.store.tiles_dir / published(here)[0]


def _tileset(request: Request, here: Context, collection_id: str, lang: str) -> dict[str, Any]:
    collection, _ = geo.find(here.city.store, collection_id)
    path = f"/collections/{collection_id}/tiles/{MATRIX_SET}"
    tile = link(request, "item", f"{path}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}", MVT)
    return {
        "title": collection.name(lang),
        "dataType": "vector",
        "crs": "http://www.opengis.net/def/crs/EPSG/0/3857",
        "tileMatrixSetURI": _MATRIX_URI,
        "links": [
            link(request, "self", path),
            {"rel": "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme", "href": _MATRIX_URI},
            tile | {"templated": True},
        ],
    }


def _limits(told: Mapping[str, Any], zoom: int) -> dict[str, Any]:
    left, top, right, bottom = range_of(told["bounds"], zoom)
    rows = {"minTileRow": top, "maxTileRow": bottom}
    return {"tileMatrix": str(zoom), **rows, "minTileCol": left, "maxTileCol": right}


def _property(doc: str) -> dict[str, str]:
    kind, _, words = doc.partition("; ")
    return {"type": kind.lower(), **({"description": words} if words else {})}


def _spoken(lang: str) -> dict[str, str]:
    return {"Content-Language": lang, "Vary": "Accept-Language"}
