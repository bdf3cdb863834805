"""SensorThings documents: Things with Locations, Datastreams and Observations nested in them, pages and data arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely
import shapely.geometry
from numpy.typing import NDArray

from ingest.reading import Delivery
from ingest.series.moments import seconds
from twin.errors import SourceError
from twin.features import Objects, objects
from twin.outcome import Outcome

JSON_SUFFIXES = frozenset({".json", ".geojson"})
JSON_LIMIT = 512 * 2**20
_ID_IN_LINK = re.compile(r"\((?P<id>[^()]+)\)/?$")
# Marks of Locations, Sensors, ObservedProperties and FeaturesOfInterest, which say nothing alone.
_OTHERS = frozenset({"encodingType", "definition", "feature", "metadata"})
_NO_SHAPE = (
    shapely.errors.ShapelyError, ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError,
    RecursionError,
)  # fmt: skip
Entity = Mapping[str, Any]


@dataclass(slots=True)
class Entities:
    """What the documents of one delivery hold, by identifier, in the order met.

    things      id -> entity with its `Locations`
    streams     id -> (id of its Thing or "", entity)
    times       phenomenon times as text, one a result
    results     results, NaN where a document says null or what is no number
    more        links to further pages that were not delivered
    """

    shown: str = ""
    things: dict[str, Entity] = field(default_factory=dict)
    streams: dict[str, tuple[str, Entity]] = field(default_factory=dict)
    owners: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    results: list[float] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    more: int = 0


def read_entities(path: Path, delivery: Delivery) -> Entities:
    """Every entity of one document of OGC SensorThings 1.1 (OGC 18-088), whatever it is nested in.

    accepts     one entity; `{"value": [...]}`; a list; a GeoJSON FeatureCollection of Things; `dataArray` groups
    raises      SourceError for what is no JSON, too large, or holds no entity
    """
    shown = delivery.shown(path)
    if path.stat().st_size > JSON_LIMIT:
        raise SourceError(f"{shown}: more than {JSON_LIMIT >> 20} MiB of JSON; deliver it in pages, several files")
    try:
        document = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as err:
        raise SourceError(f"{shown}: no JSON that can be read to the end ({err}); ask for it again") from err
    found = Entities(shown)
    try:
        for entity in _items(document, found):
            _take(entity, found)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError) as err:
        raise SourceError(f"{shown}: no SensorThings entity can be built so ({err}); see OGC 18-088") from err
    if not (found.things or found.streams or found.results):
        raise SourceError(f"{shown}: no Thing, Datastream or Observation of SensorThings (OGC 18-088) in it")
    return found


def _items(document: Any, found: Entities) -> Iterator[Entity]:
    if isinstance(document, list):
        yield from document
        return
    found.more += "@iot.nextLink" in document
    if document.get("type") == "FeatureCollection":
        for feature in document["features"]:
            place = {"Locations": [{"location": feature["geometry"]}]} if feature.get("geometry") else {}
            yield place | {"@iot.id": feature.get("id")} | (feature.get("properties") or {})
    elif isinstance(document.get("value"), list):
        yield from document["value"]
    else:
        yield document


def _take(entity: Entity, found: Entities, thing: str = "", stream: str = "") -> None:
    if "dataArray" in entity:
        _take_array(entity, found, _reference(entity, "Datastream") or stream)
    elif "result" in entity:
        time = entity.get("phenomenonTime") or entity.get("resultTime")
        _take_result(found, _reference(entity, "Datastream") or stream, time, entity["result"])
    elif "Observations" in entity or "unitOfMeasurement" in entity or "ObservedProperty" in entity:
        _take_stream(entity, found, thing)
    elif not _OTHERS.intersection(entity):
        mine = identifier(entity)
        found.things.setdefault(mine, entity)
        found.more += "Datastreams@iot.nextLink" in entity
        for inner in entity.get("Datastreams", ()):
            _take_stream(inner, found, mine)


def _take_stream(entity: Entity, found: Entities, thing: str) -> None:
    mine = identifier(entity)
    owner = entity.get("Thing")
    if isinstance(owner, dict):
        thing = identifier(owner)
        if "name" in owner or "Locations" in owner:
            found.things.setdefault(thing, owner)
    thing = thing or _reference(entity, "Thing")
    known = found.streams.get(mine)
    if known is None or (thing and not known[0]):
        found.streams[mine] = (thing, entity)
    found.more += "Observations@iot.nextLink" in entity
    for inner in entity.get("Observations", ()):
        _take(inner, found, thing, mine)


def _take_array(group: Entity, found: Entities, stream: str) -> None:
    names = list(group.get("components", ("id", "phenomenonTime", "result")))
    moment = "phenomenonTime" if "phenomenonTime" in names else "resultTime"
    at, of = names.index(moment), names.index("result")
    found.more += "dataArray@iot.nextLink" in group
    for row in group["dataArray"]:
        _take_result(found, stream, row[at], row[of])


def _take_result(found: Entities, stream: str, time: Any, result: Any) -> None:
    value = _number(result)
    if math.isnan(value) and result is not None:
        found.strange.append(str(result)[:40])
    found.owners.append(stream)
    # An interval: the value stands for all of it and is known at its end.
    found.times.append(str(time or "").rpartition("/")[2])
    found.results.append(value)


def _number(result: Any) -> float:
    if not isinstance(result, bool | int | float | str):
        return math.nan
    try:
        return float(result)
    except (ValueError, OverflowError):
        return math.nan


def identifier(entity: Entity) -> str:
    """`@iot.id`, else the id in `@iot.selfLink`, else the name; SourceError's cause where an entity has none."""
    for key in ("@iot.id", "id"):
        if entity.get(key) is not None:
            return str(entity[key])
    match = _ID_IN_LINK.search(str(entity.get("@iot.selfLink", "")))
    if match:
        return match["id"].strip("'\"")
    return str(entity["name"])


def _reference(entity: Entity, name: str) -> str:
    """The id of the entity that another one names, expanded or by a link that ends in its id; "" where it does not."""
    inner = entity.get(name)
    if isinstance(inner, dict):
        return identifier(inner)
    match = re.search(rf"{name}s\(([^()]+)\)/?$", str(entity.get(f"{name}@iot.navigationLink", "")))
    return match[1].strip("'\"") if match else ""


def place_of(entity: Entity) -> tuple[float, float, float]:
    """(x, y, z) of the first Location of a Thing, the centroid where it is no point; NaN where there is none."""
    locations = entity.get("Locations")
    for location in locations if isinstance(locations, list) else ():
        shape = location.get("location") if isinstance(location, dict) else None
        shape = shape.get("geometry") if isinstance(shape, dict) and shape.get("type") == "Feature" else shape
        if not isinstance(shape, dict):
            continue
        try:
            geometry = shapely.geometry.shape(shape)
        except _NO_SHAPE:
            continue
        point = geometry if geometry.geom_type == "Point" else geometry.centroid
        if not point.is_empty:
            return point.x, point.y, point.z if point.has_z else math.nan
    return math.nan, math.nan, math.nan


def values_of(
    found: Entities, delivery: Delivery
) -> tuple[tuple[Objects, NDArray[np.float64], NDArray[np.float64]], int, list[str]]:
    """((datastream oids, seconds, values), gaps, warnings); a null, a text or no Datastream counts as a gap."""
    words = objects(found.times)
    time, warnings = seconds(words, delivery, found.shown) if len(words) else (np.zeros(0), [])
    value = np.array(found.results, dtype=np.float64)
    owners = objects(found.owners)
    known = np.isfinite(time) & np.isfinite(value) & (owners != "")
    if found.strange:
        warnings.append(
            f"{found.shown}: {len(found.strange)} results are no number, first {found.strange[0]!r}; left out"
        )
    if (owners == "").any():
        warnings.append(f"{found.shown}: {int((owners == '').sum())} observations name no Datastream; left out")
    if found.more:
        warnings.append(
            f"{found.shown}: {found.more} lists go on at an @iot.nextLink; deliver the further pages too, as files"
        )
    return (owners[known], time[known], value[known]), int(np.count_nonzero(~known)), warnings


def table_of(entity: Entity, name: str) -> Entity:
    """The object that an entity holds under a name; an empty one where it holds none or something else."""
    inner = entity.get(name)
    return inner if isinstance(inner, dict) else {}


def lost_streams(found: Entities, things: Container[str], kind: str) -> list[Outcome]:
    """One outcome for each Datastream whose Thing is none of those that were kept."""
    return [
        Outcome(oid, "skipped", "数据流没有所属设备 / datastream without its Thing", kind)
        for oid, (thing, _) in found.streams.items()
        if thing not in things
    ]
