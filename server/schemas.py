"""The shapes of what comes in and goes out, for checking requests and for the interface description."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


class Model(BaseModel):
    """Root of all shapes here."""


class Link(Model):
    """A link as the OGC APIs write it."""

    rel: str
    href: str
    type: str | None = None
    title: str | None = None


class Problem(Model):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]] | None = Field(None, description="Each fault, by JSON pointer or parameter.")


class Landing(Model):
    """Where to go from here."""

    title: str
    description: str
    links: list[Link]


class Conformance(Model):
    """Requirement classes that are kept and tested."""

    conformsTo: list[str]  # noqa: N815


class CollectionCard(Model):
    """One collection of city objects."""

    id: str
    title: str
    description: str | None = None
    itemType: str = "feature"  # noqa: N815
    itemCount: int  # noqa: N815
    extent: dict[str, Any] | None = None
    crs: list[str]
    links: list[Link]


class CollectionList(Model):
    """All collections."""

    collections: list[CollectionCard]
    links: list[Link]


class Feature(Model):
    """One city object as GeoJSON in CRS84; `id` is its oid everywhere."""

    type: Literal["Feature"]
    id: str
    geometry: dict[str, Any] | None
    properties: dict[str, Any]
    links: list[Link] | None = None


class FeatureCollection(Model):
    """One page of city objects."""

    type: Literal["FeatureCollection"]
    features: list[Feature]
    numberReturned: int  # noqa: N815
    numberMatched: int | None = None  # noqa: N815
    links: list[Link]


class ItemsQuery(Model):
    """What a page of items can be asked for, besides its properties by equality."""

    bbox: str | None = Field(None, description="west,south,east,north in degrees (or with heights).")
    limit: str | None = Field(None, description="Items per page; 100 where absent, clamped to the maximum.")
    after: str | None = Field(None, description="Where the page begins; taken from the next link.")
    moment: str | None = Field(None, alias="datetime", description="Instant or interval, RFC 3339.")
    properties: str | None = Field(None, description="Only these properties, names with commas between.")


class State(Model):
    """What colours the buildings of the tiles: oid -> level 1..5, 0 where the data does not suffice."""

    theme: str
    seq: int = Field(description="Sequence number of the hub when this table was made.")
    method: str
    levels: dict[str, int]


class SearchResult(Model):
    """One thing found."""

    oid: str
    name: str
    name_en: str
    kind: str
    address: str
    lon: float
    lat: float
    height: float | None = Field(description="Height of a building above ground, m.")


class SearchResults(Model):
    """What was found, best first."""

    results: list[SearchResult]


class GeocodeReason(Model):
    """Why a place is a candidate."""

    code: str
    zh: str
    en: str


class GeocodeCandidate(Model):
    """One place that the words may mean."""

    oid: str
    kind: Literal["address", "building", "road", "division"]
    text: str
    lon: float
    lat: float
    building: str
    confidence: float = Field(description="0 to 1.")
    reasons: list[GeocodeReason]


class GeocodeAnswer(Model):
    """What an address or a name may mean, the surest first."""

    candidates: list[GeocodeCandidate]


class NearThing(Model):
    """An address or a building at a point."""

    oid: str
    text: str | None = None
    name: str | None = None
    distance: float | None = Field(description="Metres from the point, 0 inside.")


class DivisionStep(Model):
    """One division that holds a point."""

    code: str
    name: str
    level: str


class ReverseAnswer(Model):
    """What is at a point: divisions from the widest to the narrowest, nearest address and building."""

    divisions: list[DivisionStep]
    address: NearThing | None
    building: NearThing | None


class DivisionsAnswer(Model):
    """Divisions in force on a day, and who succeeded whom by area."""

    on: str
    divisions: list[dict[str, str]]
    succession: list[dict[str, Any]]


class LatestValue(Model):
    """The last value of a datastream."""

    time: str
    value: float
    level: Literal["normal", "warn", "alarm"]


class DatastreamCard(Model):
    """One measured property of a thing."""

    oid: str
    thing_oid: str
    observed_property: str
    name: str
    name_en: str
    unit: str
    minimum: float | None
    maximum: float | None
    warn: float | None
    alarm: float | None
    last: LatestValue | None


class ThingCard(Model):
    """A device, its datastreams and their last values."""

    oid: str
    name: str
    name_en: str
    kind: str
    lon: float
    lat: float
    z: float | None = Field(description="Height in the city's vertical datum, m.")
    height: float | None = Field(description="Ellipsoidal height, m.")
    target_oid: str
    properties: dict[str, Any]
    datastreams: list[DatastreamCard]


class Things(Model):
    """All things, at the moment of event `seq`."""

    seq: int
    things: list[ThingCard]


class Latest(Model):
    """The last value of every datastream at event `seq`: subscribe from there and nothing is missed or doubled."""

    seq: int
    values: dict[str, tuple[str, float]] = Field(description="Datastream oid -> [local time, value].")
    replay: dict[str, Any] | None = Field(description="Where a stored day is told again: its speed and moment.")


class NewObservation(Model):
    """One measured value."""

    model_config = ConfigDict(extra="forbid")

    datastream: Annotated[str, Field(min_length=1, max_length=200)]
    time: Annotated[str | FiniteFloat, Field(description="RFC 3339 with offset, or seconds since 1970-01-01 UTC.")]
    value: FiniteFloat


class NewObservations(Model):
    """Many measured values, taken all or none."""

    model_config = ConfigDict(extra="forbid")

    observations: Annotated[list[NewObservation], Field(min_length=1, max_length=50_000)]


class Accepted(Model):
    """How many observations were stored, and the number of the last event they caused."""

    accepted: int
    seq: int


class IncidentCard(Model):
    """Something that happened; severity 1 (I, red) to 4 (IV, blue)."""

    oid: str
    kind: str
    title: str
    title_en: str
    lon: float
    lat: float
    time: str
    status: str
    severity: int
    target_oid: str
    description: str
    description_en: str


class Incidents(Model):
    """Incidents, newest first."""

    seq: int
    numberReturned: int  # noqa: N815
    incidents: list[IncidentCard]


class ProcessSummary(Model):
    """A process in the list of processes."""

    id: str
    version: str
    title: str
    description: str
    jobControlOptions: list[str]  # noqa: N815
    outputTransmission: list[str] = ["value"]  # noqa: N815
    links: list[Link]


class ProcessList(Model):
    """All processes."""

    processes: list[ProcessSummary]
    links: list[Link]


class ProcessDescription(ProcessSummary):
    """A process with its inputs and outputs."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Execute(Model):
    """A request to run a process."""

    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, float | int | str | bool] = Field(default_factory=dict)
    outputs: dict[str, Any] | None = None
    response: Literal["document", "raw"] | None = None


class JobStatus(Model):
    """How a run stands."""

    jobID: str  # noqa: N815
    processID: str  # noqa: N815
    type: Literal["process"] = "process"
    status: Literal["accepted", "running", "successful", "failed", "dismissed"]
    message: str | None = None
    links: list[Link]


class JobList(Model):
    """Remembered runs, newest first."""

    jobs: list[JobStatus]
    links: list[Link]


class Health(Model):
    """Whether the server does its work, check by check."""

    status: Literal["ok", "unready"]
    checks: dict[str, bool] = Field(default_factory=dict)


class Scene(Model):
    """Everything the viewer needs to show the city."""

    id: str
    name: str
    name_en: str
    badge: str
    badge_en: str
    frame: dict[str, str]
    view: dict[str, float]
    time: dict[str, Any]
    version: str
    terrain: dict[str, Any] | None
    imagery: list[dict[str, Any]]
    tilesets: list[dict[str, Any]]
    layers: list[dict[str, str]]
    themes: list[dict[str, str]]
    live: dict[str, str]
    attributions: list[str]
    lineage: list[dict[str, Any]]


class TileJson(Model):
    """Orthophotos as tiles (TileJSON 3.0.0)."""

    tilejson: Literal["3.0.0"] = "3.0.0"
    name: str
    tiles: list[str]
    scheme: Literal["xyz"] = "xyz"
    format: str
    tile_size: int = Field(description="Pixels along a tile's side; not of TileJSON, MapLibre calls it tileSize.")
    minzoom: int
    maxzoom: int
    bounds: list[float]
    attribution: str
