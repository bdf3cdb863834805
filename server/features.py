"""City objects as OGC API Features says them: which collections there are, and layers as GeoJSON in CRS84."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from twin.errors import NotFoundError
from twin.features import FEATURE_CLASSES, Layer
from twin.frames import Frame
from twin.grid import Bounds
from twin.store import Item, Store

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CONTENT_CRS = f"<{CRS84}>"

# 1e-7 degrees is about a centimetre: below what any of the sources promises.
_DECIMALS = 7
_JSON_COLUMNS = ("attributes", "provenance", "drivers", "inputs")


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection: its id, the layers that can fill it (the first one the store has does), its title."""

    id: str
    layers: tuple[str, ...]
    title: str
    title_en: str
    kind: str
    stage: str = "ingest"

    def name(self, language: str) -> str:
        """The title in "zh" or "en"."""
        return self.title_en if language == "en" else self.title


COLLECTIONS: Mapping[str, Collection] = {
    c.id: c
    for c in (
        Collection("buildings", ("building_l2", "building"), "建筑", "Buildings", "polygon"),
        Collection("roads", ("road",), "道路", "Roads", "line"),
        Collection("railways", ("railway",), "铁路", "Railways", "line"),
        Collection("rivers", ("river",), "河流", "Rivers", "line"),
        Collection("water", ("water",), "水面", "Water bodies", "polygon"),
        Collection("green", ("green",), "绿地", "Green spaces", "polygon"),
        Collection("landuse", ("landuse",), "土地利用", "Land use", "polygon"),
        Collection("trees", ("tree_l2", "tree"), "树木", "Trees", "point"),
        Collection("furniture", ("furniture_l2", "furniture"), "城市部件", "Street furniture", "point"),
        Collection("pipes", ("pipe",), "地下管线", "Pipes", "line"),
        Collection("divisions", ("division",), "行政区划", "Administrative divisions", "polygon"),
        Collection("addresses", ("address",), "地名地址", "Addresses", "point"),
        Collection("facilities", ("facility",), "公共设施", "Facilities", "point"),
        Collection("population", ("population",), "人口", "Population", "polygon"),
        Collection("hazard_sites", ("hazard_site",), "风险源", "Hazard sites", "point"),
        Collection(
            "flood_buildings", ("zone_flood_building",), "建筑洪涝风险", "Flood risk of buildings", "polygon", "zones"
        ),
        Collection("flood_streets", ("zone_flood_street",), "街道洪涝风险", "Flood risk of streets", "line", "zones"),
    )
}


def served(store: Store) -> list[tuple[Collection, Item]]:
    """The collections whose layer is in the store, with the catalogue's line of it."""
    items = {item.name: item for item in store.items("layer")}
    found: list[tuple[Collection, Item]] = []
    for collection in COLLECTIONS.values():
        name = next((layer for layer in collection.layers if layer in items), "")
        if name:
            found.append((collection, items[name]))
    return found


def find(store: Store, collection_id: str) -> tuple[Collection, Item]:
    """One collection and its line of the catalogue.

    raises  NotFoundError where there is no such collection, or the stage that makes it has not run
    """
    collection = COLLECTIONS.get(collection_id)
    if collection is None:
        raise NotFoundError(f"no collection {collection_id!r}; there are {', '.join(COLLECTIONS)}")
    for name in collection.layers:
        if store.has("layer", name):
            return collection, store.item("layer", name)
    raise NotFoundError(f"collection {collection_id} is empty so far; `twin {collection.stage}` makes it")


def queryables(layer: Layer) -> dict[str, dict[str, Any]]:
    """JSON Schema of every property that can be asked for, from the columns a layer really has."""
    declared = FEATURE_CLASSES[layer.name].columns if layer.name in FEATURE_CLASSES else {}
    schema: dict[str, dict[str, Any]] = {}
    for name, values in layer.columns.items():
        if name in _JSON_COLUMNS:
            continue
        entry: dict[str, Any] = {"title": name, "type": "number" if values.dtype.kind == "f" else "string"}
        column = declared.get(name)
        if column is not None:
            entry["description"] = f"{column.doc} ({column.unit})" if column.unit else column.doc
        schema[name] = entry
    return schema


def extent84(item: Item, frame: Frame) -> Bounds | None:
    """(west, south, east, north) in degrees of an item; None where it has no place."""
    return None if item.extent is None else box84(item.extent, frame)


def box84(bounds: Bounds, frame: Frame) -> Bounds:
    """The box in longitude and latitude around a box in the frame."""
    west, south, east, north = _outline_bounds(frame.to_lonlat(_outline(bounds)))
    return round(west, _DECIMALS), round(south, _DECIMALS), round(east, _DECIMALS), round(north, _DECIMALS)


def frame_box(asked: Bounds, item: Item, frame: Frame) -> Bounds | None:
    """The box in the frame around the part of a CRS84 box that lies over the item; None where nothing does.

    A box whose west lies east of its east crosses the antimeridian, as 17-069r4 says.
    """
    extent = extent84(item, frame)
    if extent is None:
        return None
    west, south, east, north = asked
    if west > east:
        halves = ((west, south, 180.0, north), (-180.0, south, east, north))
        found = [box for half in halves if (box := frame_box(half, item, frame)) is not None]
        return found[0] if found else None
    # Cut to the data first: far from the city the projection means nothing.
    cut = max(west, extent[0]), max(south, extent[1]), min(east, extent[2]), min(north, extent[3])
    if cut[0] > cut[2] or cut[1] > cut[3]:
        return None
    return _outline_bounds(frame.from_lonlat(_outline(cut)))


def _outline(bounds: Bounds) -> NDArray[np.float64]:
    """Points along the four edges of a box: a straight edge in one CRS is a bent one in the other."""
    x = np.linspace(bounds[0], bounds[2], 9)
    y = np.linspace(bounds[1], bounds[3], 9)
    edges = [
        (x, np.full(9, bounds[1])),
        (x, np.full(9, bounds[3])),
        (np.full(9, bounds[0]), y),
        (np.full(9, bounds[2]), y),
    ]
    return np.concatenate([np.column_stack(edge) for edge in edges])


def _outline_bounds(points: NDArray[np.float64]) -> Bounds:
    (xmin, ymin), (xmax, ymax) = points.min(axis=0), points.max(axis=0)
    return float(xmin), float(ymin), float(xmax), float(ymax)


def to_crs84(layer: Layer) -> NDArray[np.object_]:
    """(n,) geometries in longitude and latitude, rounded to a centimetre, rings as RFC 7946 wants them."""
    if not len(layer):
        return layer.geometry

    def turn(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.round(layer.frame.to_lonlat(xy), _DECIMALS)

    return shapely.orient_polygons(shapely.transform(layer.geometry, turn))


def meets(geometries: NDArray[np.object_], asked: Bounds) -> NDArray[np.bool_]:
    """(n,) true where the geometry's box meets a CRS84 box; a feature without place meets every box."""
    west, south, east, north = asked
    bounds = shapely.bounds(geometries)
    in_latitude = (bounds[:, 3] >= south) & (bounds[:, 1] <= north)
    if west > east:
        in_longitude = (bounds[:, 2] >= west) | (bounds[:, 0] <= east)
    else:
        in_longitude = (bounds[:, 2] >= west) & (bounds[:, 0] <= east)
    return (in_latitude & in_longitude) | np.isnan(bounds[:, 0])


def features(
    layer: Layer, geometries: NDArray[np.object_] | None = None, chosen: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """GeoJSON features of a layer, ready for orjson; numbers that are missing are null.

    geometries  (n,) in CRS84 where they are known already
    chosen      columns to give as properties; all where None
    """
    places = shapely.to_geojson(to_crs84(layer) if geometries is None else geometries)
    names = list(layer.columns) if chosen is None else list(chosen)
    columns: Sequence[list[Any]] = [_cells(name, layer.columns[name]) for name in names]
    rows = zip(*columns, strict=True) if names else ([] for _ in range(len(layer)))
    return [
        {
            "type": "Feature",
            "id": oid,
            "geometry": None if place is None else orjson.Fragment(place),
            "properties": {"oid": oid, **dict(zip(names, row, strict=True))},
        }
        for oid, place, row in zip(layer.oid.tolist(), places.tolist(), rows, strict=True)
    ]


def _cells(name: str, values: NDArray[Any]) -> list[Any]:
    # A micrometre is below any source's promise and halves the digits on the wire.
    cells: list[Any] = np.round(values, 6).tolist() if values.dtype.kind == "f" else values.tolist()
    return [_parsed(cell) for cell in cells] if name in _JSON_COLUMNS else cells


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return text
