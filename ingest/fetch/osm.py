"""Buildings, roads and addresses from an OpenStreetMap extract: the smallest one that holds the place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyogrio.raw
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from ingest.fetch.download import AbsentError, digest_of
from ingest.fetch.flat import write_rows
from ingest.fetch.ledger import Ledger
from ingest.fetch.places import Place
from ingest.fetch.services import Service
from ingest.vector import OGR_ERRORS
from twin.errors import SourceError

Row = dict[str, Any]
Made = Callable[[Row, Row], Row | None]


def choose_extract(index: Path, service: Service, place: Place) -> str:
    """Path below the service of the smallest extract whose outline holds the whole place.

    source  the service's index: GeoJSON with `urls.pbf` for each extract
    raises  SourceError where it is no such index, or no extract holds the place
    """
    box = shapely.box(*place.as_list())
    try:
        found = []
        for feature in json.loads(index.read_text(encoding="utf-8"))["features"]:
            path = _below(feature["properties"].get("urls", {}).get("pbf", ""), service)
            outline = shape(feature["geometry"]) if path and feature["geometry"] else None
            if outline is not None and outline.contains(box):
                found.append((outline.area, path))
    except (ValueError, KeyError, TypeError, AttributeError, ShapelyError) as error:
        raise SourceError(f"{index.name}: not the index of the extracts ({type(error).__name__}: {error})") from error
    if not found:
        raise SourceError(f"{service.title}: no extract holds the whole place; name one with --extract")
    return min(found)[1]


def _below(address: str, service: Service) -> str:
    """The part of an address below the service, as `suffix` in services.toml ends it; "" for any other address."""
    suffix = str(service.layout["suffix"])
    path = address.partition("://")[2].partition("/")[2]
    plain = path.endswith(suffix) and all(part not in ("", "..", ".") for part in path.split("/"))
    return path if plain else ""


def bring_extract(ledger: Ledger, service: Service, path: str, notes: list[str]) -> Path:
    """The extract, downloaded and compared with the MD5 that the service keeps beside it.

    raises  SourceError where the two do not agree; both are then fetched again
    """
    extract = ledger.whole_file(service, path)
    try:
        said = ledger.whole_file(service, f"{path}.md5")
    except AbsentError:
        notes.append(f"{service.url(path)}: the service keeps no MD5 beside it; only its size was checked")
        return extract
    stated = said.read_text(encoding="ascii", errors="replace").split()[:1]
    if stated != [digest_of(extract, "md5").hex()]:
        extract.unlink()
        said.unlink()
        raise SourceError(f"{service.url(path)}: MD5 checksum of the file is not the one beside it; run it again")
    return extract


def write_features(extract: Path, what: str, place: Place, target: Path) -> int:
    """Write the features of an extract that touch the place as GeoJSON in WGS 84; returns their number.

    what    buildings, roads or addresses; an address is a point, that of a building its inner point
    raises  SourceError where the extract cannot be read to the end
    """
    rows: list[Row] = []
    shapes: list[Any] = []
    seen: set[str] = set()
    for layer, make in _LAYERS[what]:
        for row, geometry in _features(extract, layer, make, place):
            if row["id"] not in seen:
                seen.add(row["id"])
                rows.append(row)
                shapes.append(shapely.point_on_surface(geometry) if what == "addresses" else geometry)
    order = sorted(range(len(rows)), key=lambda k: str(rows[k]["id"]))
    return write_rows([rows[k] for k in order], np.array([shapes[k] for k in order], dtype=object), target)


def _features(extract: Path, layer: str, make: Made, place: Place) -> Iterator[tuple[Row, Any]]:
    box = tuple(place.as_list())
    try:
        meta, _, wkb, columns = pyogrio.raw.read(extract, layer=layer, bbox=box, TAGS_FORMAT="JSON")
        geometry = shapely.from_wkb(wkb)
        names = list(meta["fields"])
        near = shapely.intersects(geometry, shapely.box(*box))
        for k in np.flatnonzero(near).tolist():
            plain = {name: values[k] for name, values in zip(names, columns, strict=True)}
            tags = json.loads(plain.pop("other_tags") or "{}")
            row = make(plain, {**{key: value for key, value in plain.items() if value is not None}, **tags})
            if row is not None:
                yield row, geometry[k]
    except (*OGR_ERRORS, ShapelyError, ValueError) as error:
        raise SourceError(
            f"{extract.name}: cannot be read to the end ({str(error)[:160]}); remove it and fetch again"
        ) from error


def _building(plain: Row, tags: Row) -> Row | None:
    if tags.get("building", "no") == "no":
        return None
    levels = tags.get("building:levels")
    return {
        **_named(plain, tags),
        "building": tags["building"],
        "height": tags.get("height"),
        "levels": levels,
        "material": tags.get("building:material"),
        "address": _text(tags),
    }


def _road(plain: Row, tags: Row) -> Row | None:
    kind = tags.get("highway") or tags.get("railway")
    if kind is None or kind in _UNBUILT:
        return None
    bridge = int(tags.get("bridge", "no") != "no")
    return {
        **_named(plain, tags), "class": kind, "width": tags.get("width"), "lanes": tags.get("lanes"), "bridge": bridge
    }  # fmt: skip


def _address(plain: Row, tags: Row) -> Row | None:
    if not (tags.get("addr:housenumber") or tags.get("addr:full")):
        return None
    keys = ("province", "city", "district", "street", "housenumber", "postcode", "full")
    said = {key: tags.get(f"addr:{key}") for key in keys}
    return {**_named(plain, tags), **said}


def _named(plain: Row, tags: Row) -> Row:
    way, relation = plain.get("osm_way_id"), plain.get("osm_id")
    kind = "way" if way else "relation" if "osm_way_id" in plain else "node" if "ref" in plain else "way"
    return {"id": f"{kind}/{way or relation}", "name": tags.get("name"), "name_en": tags.get("name:en")}


def _text(tags: Row) -> str | None:
    full = tags.get("addr:full")
    return full or "".join(filter(None, (tags.get("addr:street"), tags.get("addr:housenumber")))) or None


_UNBUILT = frozenset(
    ("proposed", "construction", "abandoned", "razed", "disused", "platform", "elevator", "corridor", "bus_stop")
)
# Layers as GDAL's OSM driver makes them.
_LAYERS: MappingProxyType[str, tuple[tuple[str, Made], ...]] = MappingProxyType(
    {
        "buildings": (("multipolygons", _building),),
        "roads": (("lines", _road),),
        "addresses": (("points", _address), ("multipolygons", _address)),
    }
)
