"""What stands in the city? OGC API Features Part 1 over the layers of the store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import numpy as np
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from server import features as geo
from server import schemas
from server.answers import GEOJSON, SCHEMA, answer
from server.deps import Context, Here, Language, known_parameters, link, only_json
from server.errors import ParameterError
from server.features import Collection
from twin.errors import NotFoundError
from twin.grid import Bounds
from twin.store import Item

router = APIRouter(tags=["features"])

_READ_SELF = ("bbox", "datetime", "limit", "after", "f", "lang")
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
    request: Request,
    here: Here,
    collection_id: CollectionId,
    bbox: Annotated[str | None, Query(description="west,south,east,north in degrees (or with heights).")] = None,
    limit: Annotated[str | None, Query(description="Items per page; 100 where absent, clamped to the maximum.")] = None,
    after: Annotated[str | None, Query(description="Where the page begins; taken from the next link.")] = None,
    moment: Annotated[str | None, Query(alias="datetime", description="Instant or interval, RFC 3339.")] = None,
) -> Response:
    """One page of items; any queryable property filters by equality."""
    _, item = geo.find(here.city.store, collection_id)
    equals = _equals(request, _queryables(here, item))
    box = _read_bbox(bbox)
    # No feature here has a time of its own, so every interval that can be read holds all of them.
    _check_datetime(moment)
    size = min(_whole(limit, "limit", 100, least=1), here.settings.max_items)
    start = _whole(after, "after", 0, least=0)
    page = _page(here, item, box, equals, (size, start))
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


class _Page:
    """Features of one page and the key to go on after."""

    def __init__(self, features: list[dict[str, Any]], following: int | None) -> None:
        self.features = features
        self.next = following


def _page(
    here: Context, item: Item, box: Bounds | None, equals: Mapping[str, str | float], window: tuple[int, int]
) -> _Page:
    frame = here.city.frame
    frame_box = None if box is None else geo.frame_box(box, item, frame)
    if box is not None and frame_box is None:
        return _Page([], None)
    limit, after = window
    store = here.city.store
    layer, _, following = store.page_layer(item.name, bbox=frame_box, equals=equals, limit=limit, after=after)
    places = geo.to_crs84(layer)
    if box is not None and len(layer):
        # The frame's box is a little larger than the asked one, turned as it is.
        keep = np.flatnonzero(geo.meets(places, box))
        layer, places = layer.take(keep), places[keep]
    return _Page(geo.features(layer, places), following)


def _about_building(here: Context, oid: str, known: Mapping[str, Any]) -> dict[str, Any]:
    store = here.city.store
    found: dict[str, Any] = {"zone": None}
    if store.has("layer", "zone_flood_building"):
        zone = store.read_layer("zone_flood_building", oids=[oid])
        if len(zone):
            found["zone"] = _zone(geo.features(zone)[0]["properties"])
    if not known.get("address") and store.has("layer", "address"):
        addresses, _, _ = store.page_layer("address", equals={"building_oid": oid}, limit=1)
        found["address"] = str(addresses.columns["text"][0]) if len(addresses) else ""
    return found


def _zone(row: Mapping[str, Any]) -> dict[str, Any]:
    shares = [row[f"p{k}"] for k in range(1, 6) if f"p{k}" in row]
    wanted = ("level", "score", "confident", "drivers", "quality", "depth_m", "people", "method")
    zone = {key: row[key] for key in wanted if key in row}
    level = zone.get("level")
    zone["level"] = 0 if level is None or level != level else int(level)
    return {**zone, "p": shares}


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
