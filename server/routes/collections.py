"""What stands in the city? OGC API Features Part 1 over the layers of the store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import numpy as np
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from server import features as geo
from server import schemas
from server.answers import GEOJSON, SCHEMA, answer
from server.deps import Context, Here, Language, columns_of, known_parameters, link, only_json
from server.errors import ParameterError
from server.features import Collection
from server.lookup.evidence import evidence_of
from server.routes.maps import has_tiles
from twin.errors import NotFoundError
from twin.features import FEATURE_CLASSES
from twin.grid import Bounds
from twin.store import Item

router = APIRouter(tags=["features"])

_READ_SELF = ("bbox", "datetime", "limit", "after", "properties", "f", "lang")
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_BBOX = re.compile(rf"\s*{_NUMBER}(\s*,\s*{_NUMBER}){{3}}((\s*,\s*{_NUMBER}){{2}})?\s*")

CollectionId = Annotated[str, Path(alias="collection_id", description="Id of the collection.")]


@router.get(
    "/collections",
    response_model=schemas.CollectionList,
    dependencies=[Depends(known_parameters), Depends(only_json)],
)
def list_collections(request: Request, here: Here, lang: Language) -> Response:
    """All collections that the store can fill."""
    cards = [_card(request, here, collection, item, lang) for collection, item in geo.served(here.city.store)]
    links = [link(request, "self", "/collections")]
    return answer(request, {"collections": cards, "links": links}, headers=_spoken(lang))


@router.get(
    "/collections/{collection_id}",
    response_model=schemas.CollectionCard,
    dependencies=[Depends(known_parameters), Depends(only_json)],
)
def describe_collection(request: Request, here: Here, lang: Language, collection_id: CollectionId) -> Response:
    """One collection: title, extent, count, links."""
    collection, item = geo.find(here.city.store, collection_id)
    return answer(request, _card(request, here, collection, item, lang), headers=_spoken(lang))


@router.get(
    "/collections/{collection_id}/queryables",
    response_model=dict[str, Any],
    dependencies=[Depends(known_parameters), Depends(only_json)],
)
def describe_queryables(request: Request, here: Here, lang: Language, collection_id: CollectionId) -> Response:
    """The properties that items can be asked for by equality, as JSON Schema."""
    collection, item = geo.find(here.city.store, collection_id)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": link(request, "self", f"/collections/{collection_id}/queryables")["href"],
        "type": "object",
        "title": collection.name(lang),
        "properties": _queryables(here, item),
        "additionalProperties": False,
    }
    return answer(request, schema, media=SCHEMA, headers=_spoken(lang))


@router.get("/collections/{collection_id}/items", response_model=schemas.FeatureCollection)
def list_items(
    request: Request, here: Here, collection_id: CollectionId, asked: Annotated[schemas.ItemsQuery, Query()]
) -> Response:
    """One page of items; any queryable property filters by equality."""
    _, item = geo.find(here.city.store, collection_id)
    equals = _equals(request, _queryables(here, item))
    box = _read_bbox(asked.bbox)
    # Only divisions have days of their own, and /divisions?on= asks for those: an interval that can be read holds all.
    _check_datetime(asked.moment)
    size = min(_whole(asked.limit, "limit", 100, least=1), here.settings.max_items)
    start = _whole(asked.after, "after", 0, least=0)
    page = _page(here, item, _Asked(box, equals, _chosen(here, item, asked.properties)), (size, start))
    self_path = f"/collections/{collection_id}/items"
    links = [
        link(request, "self", _with_query(self_path, request, {}), GEOJSON),
        link(request, "collection", f"/collections/{collection_id}"),
    ]
    headers = {"Content-Crs": geo.CONTENT_CRS}
    if page.next is not None:
        links.append(link(request, "next", _with_query(self_path, request, {"after": str(page.next)}), GEOJSON))
        headers["Link"] = f'<{links[-1]["href"]}>; rel="next"; type="{GEOJSON}"'
    body: dict[str, Any] = {"type": "FeatureCollection", "numberReturned": len(page.features)}
    if box is None and not equals:
        body["numberMatched"] = item.count
    return answer(request, {**body, "links": links, "features": page.features}, media=GEOJSON, headers=headers)


@router.get(
    "/collections/{collection_id}/items/{oid}",
    response_model=schemas.Feature,
    dependencies=[Depends(known_parameters), Depends(only_json)],
)
def read_item(request: Request, here: Here, collection_id: CollectionId, oid: str) -> Response:
    """One item with everything that is known of it; a building with its zone, address and evidence."""
    _, item = geo.find(here.city.store, collection_id)
    layer = here.city.store.read_layer(item.name, oids=[oid])
    if not len(layer):
        raise NotFoundError(f"collection {collection_id} has no item {oid!r}")
    feature = geo.features(layer)[0]
    if collection_id == "buildings":
        feature["properties"] |= _about_building(here, oid, feature["properties"])
    feature["links"] = [
        link(request, "self", f"/collections/{collection_id}/items/{quote(oid, safe='')}", GEOJSON),
        link(request, "collection", f"/collections/{collection_id}"),
    ]
    return answer(request, feature, media=GEOJSON, headers={"Content-Crs": geo.CONTENT_CRS})


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request chooses: a CRS84 box, equal values, columns."""

    box: Bounds | None
    equals: Mapping[str, str | float]
    columns: list[str] | None


@dataclass(frozen=True, slots=True)
class _Page:
    """Features of one page and the key to go on after."""

    features: list[dict[str, Any]]
    next: int | None


def _page(here: Context, item: Item, asked: _Asked, window: tuple[int, int]) -> _Page:
    box, frame, store = asked.box, here.city.frame, here.city.store
    frame_box = None if box is None else geo.frame_box(box, item, frame)
    if box is not None and frame_box is None:
        return _Page([], None)
    limit, after = window
    layer, _, following = store.page_layer(item.name, bbox=frame_box, equals=asked.equals, limit=limit, after=after)
    places = geo.to_crs84(layer)
    if box is not None and len(layer):
        # The frame's box is a little larger than the asked one, turned as it is.
        keep = np.flatnonzero(geo.meets(places, box))
        layer, places = layer.take(keep), places[keep]
    return _Page(geo.features(layer, places, asked.columns), following)


def _chosen(here: Context, item: Item, text: str | None) -> list[str] | None:
    if text is None:
        return None
    known = columns_of(here, item)
    names = [name for name in dict.fromkeys(text.split(",")) if name not in ("", "oid")]
    for name in names:
        if name not in known:
            raise ParameterError("properties", f"no property {name!r}; there are {', '.join(known)}")
    return names


def _about_building(here: Context, oid: str, known: Mapping[str, Any]) -> dict[str, Any]:
    store = here.city.store
    found: dict[str, Any] = {"zone": None}
    if store.has("layer", "zone_flood_building"):
        zone = store.read_layer("zone_flood_building", oids=[oid])
        if len(zone):
            dated = store.item("layer", "zone_flood_building").lineage.date
            found["zone"] = {**_zone(geo.features(zone)[0]["properties"]), "date": dated}
    modelled = evidence_of(here).get(oid)
    if modelled is not None:
        found["heritage"] = {"key": known.get("heritage", ""), **modelled}
    if not known.get("address") and store.has("layer", "address"):
        addresses, _, _ = store.page_layer("address", equals={"building_oid": oid}, limit=1)
        found["address"] = str(addresses.columns["text"][0]) if len(addresses) else ""
    return found


# Columns that the building itself has too, or that are folded into `p`.
_NOT_ZONE = ("oid", "name", "name_en", "function", "attributes", "p1", "p2", "p3", "p4", "p5")


def _zone(row: Mapping[str, Any]) -> dict[str, Any]:
    declared = FEATURE_CLASSES["building"].columns
    zone = {key: value for key, value in row.items() if key not in _NOT_ZONE and key not in declared}
    level = zone.get("level")
    zone["level"] = 0 if level is None or level != level else int(level)
    zone["p"] = [row[f"p{k}"] for k in range(1, 6) if f"p{k}" in row]
    return zone


def _card(request: Request, here: Context, collection: Collection, item: Item, lang: str) -> dict[str, Any]:
    path = f"/collections/{collection.id}"
    box = geo.extent84(item, here.city.frame)
    lineage = item.lineage
    card: dict[str, Any] = {
        "id": collection.id,
        "title": collection.name(lang),
        "description": "; ".join(text for text in (lineage.source, lineage.licence, lineage.date) if text),
        "itemType": "feature",
        "itemCount": item.count,
        "crs": [geo.CRS84],
        "links": [
            link(request, "self", path),
            link(request, "items", f"{path}/items", GEOJSON, collection.name(lang)),
            link(request, "http://www.opengis.net/def/rel/ogc/1.0/queryables", f"{path}/queryables", SCHEMA),
        ],
    }
    if has_tiles(here, item):
        path = f"{path}/tiles"
        card["links"].append(link(request, "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector", path))
    if box is not None:
        card["extent"] = {"spatial": {"bbox": [list(box)], "crs": geo.CRS84}}
    return card


def _queryables(here: Context, item: Item) -> dict[str, dict[str, Any]]:
    def make() -> dict[str, dict[str, Any]]:
        layer, _, _ = here.city.store.page_layer(item.name, limit=1)
        return geo.queryables(layer)

    return here.memo.get(f"queryables {item.name}", item.digest, make)


def _equals(request: Request, known: Mapping[str, Mapping[str, Any]]) -> dict[str, str | float]:
    equals: dict[str, str | float] = {}
    for name, value in request.query_params.multi_items():
        if name in ("f", "lang"):
            _check_choice(name, value)
        elif name in known:
            if name in equals:
                raise ParameterError(name, f"{name} is given twice; one value per property can be asked for")
            equals[name] = _number(name, value) if known[name]["type"] == "number" else value
        elif name not in _READ_SELF:
            listed = ", ".join((*_READ_SELF, *sorted(known)))
            raise ParameterError(name, f"unknown parameter {name!r}; this collection knows {listed}")
    return equals


def _check_choice(name: str, value: str) -> None:
    choices = {"f": ("json",), "lang": ("zh", "en")}[name]
    if value not in choices:
        raise ParameterError(name, f"{name} = {value!r} is none of {', '.join(choices)}")


def _number(name: str, text: str) -> float:
    if not re.fullmatch(_NUMBER, text):
        raise ParameterError(name, f"{name} = {text!r} is not a number")
    return float(text)


def _whole(text: str | None, name: str, default: int, *, least: int) -> int:
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < least:
        raise ParameterError(name, f"{name} = {text!r} is not a whole number of at least {least}")
    return int(text)


def _read_bbox(text: str | None) -> Bounds | None:
    if text is None:
        return None
    if not _BBOX.fullmatch(text):
        raise ParameterError("bbox", f"bbox = {text!r} is not four (or six) numbers west,south,east,north")
    numbers = [float(part) for part in text.split(",")]
    west, south, east, north = numbers if len(numbers) == 4 else (numbers[0], numbers[1], numbers[3], numbers[4])
    in_range = all(-180.0 <= lon <= 180.0 for lon in (west, east)) and -90.0 <= south <= north <= 90.0
    if not in_range:
        raise ParameterError("bbox", f"bbox = {text!r}: degrees, longitude first, south before north")
    return west, south, east, north


def _check_datetime(text: str | None) -> None:
    if text is None:
        return
    ends = text.split("/")
    moments = [_instant(end) for end in ends if end not in ("", "..")]
    ordered = len(moments) < 2 or (None not in moments and moments[0] <= moments[1])  # type: ignore[operator]
    if len(ends) > 2 or not moments or None in moments or not ordered:
        raise ParameterError("datetime", f"datetime = {text!r} is no RFC 3339 instant or interval with ..")


def _instant(text: str) -> datetime | None:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _with_query(path: str, request: Request, changed: Mapping[str, str]) -> str:
    pairs = {**dict(request.query_params), **changed}
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _spoken(lang: str) -> dict[str, str]:
    return {"Content-Language": lang, "Vary": "Accept-Language"}
