"""What a store promises; rooms know only this page.

Every write is atomic: it is seen whole or not at all, and a killed run leaves the last good state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin.features import Layer, Objects
from twin.grid import Bounds, GeoBox, Raster
from twin.lineage import Lineage
from twin.live import Datastream, Incident, Observation, Thing
from twin.meshes import Solids
from twin.points import PointCloud
from twin.store.query import Where

KINDS = ("layer", "raster", "points", "model", "document")
KEPT_VERSIONS = 20


MANIFEST = "manifest.json"
"""In the folder of published tiles: {"content": names, "made": names} of the files on the shelves that it needs."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the catalogue.

    kind    layer, raster, points, model or document
    digest  hash of the content; equal digests mean equal bytes
    extent  (xmin, ymin, xmax, ymax) in the frame, m; None where the item has no place
    count   features, cells, points, solids or keys
    extra   what the kind needs to be read without opening it: cells of a model, unit of a raster
    """

    kind: str
    name: str
    digest: str
    lineage: Lineage
    extent: Bounds | None = None
    count: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """One delivery of a layer as the store remembers it.

    number  counts from 1; a delivery with the same content is no new version
    digest  that of the item when this version was the layer
    lineage source, licence and date as declared with the delivery that brought it first
    """

    number: int
    digest: str
    lineage: Lineage
    count: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two versions of a layer; every class is an object array of oids.

    geometry    features whose shape differs at 1 mm
    attributes  features with another value in some column
    columns     column -> the features that differ in it; a column that comes or goes counts where it has values
    """

    name: str
    old: int
    new: int
    added: Objects
    removed: Objects
    geometry: Objects
    attributes: Objects
    columns: Mapping[str, Objects]

    def __bool__(self) -> bool:
        return any(map(len, (self.added, self.removed, self.geometry, self.attributes)))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        classes = ("added", "removed", "geometry", "attributes")
        return {
            "layer": self.name,
            "from": self.old,
            "to": self.new,
            **{key: getattr(self, key).tolist() for key in classes},
            "columns": {key: oids.tolist() for key, oids in self.columns.items()},
        }


@dataclass(frozen=True, slots=True)
class ModelCell:
    """A cell of a model, as far as it is known without reading it.

    digest      changes with any byte of its solids          bounds  (xmin, ymin, xmax, ymax), frame m
    count, faces    how many solids and faces
    """

    name: str
    digest: str
    bounds: Bounds
    count: int
    faces: int


class RasterWriter(Protocol):
    """Takes a raster block by block, so that a mosaic of any size stays flat in memory."""

    def write(self, values: NDArray[np.generic], row: int, col: int) -> None:
        """Put `values` (ny, nx) or (band, ny, nx) with its north-west cell at (row, col)."""


class RasterReader(Protocol):
    """A raster kept open for many small windows, from any number of threads."""

    @property
    def geobox(self) -> GeoBox:
        """Where its cells lie."""

    @property
    def nodata(self) -> float:
        """The value that stands for "unknown"; NaN where there is none."""

    def is_current(self) -> bool:
        """False where another raster took its place, or none."""

    def read(self, rows: slice, cols: slice, shape: tuple[int, int]) -> NDArray[np.generic]:
        """(band, *shape) of a window of cells, decimated through the overviews; StoreError where it cannot be read."""


class ImageSource(Protocol):
    """Gives pictures one at a time, so that those of a whole city never lie in memory together."""

    def __getitem__(self, name: str) -> bytes:
        """The bytes of the picture of that name."""


class LiveStore(Protocol):
    """Things, observations and incidents; many readers beside one writer."""

    def put_things(self, things: Iterable[Thing]) -> None:
        """Add or replace by oid."""

    def put_datastreams(self, datastreams: Iterable[Datastream]) -> None:
        """Add or replace by oid."""

    def put_incidents(self, incidents: Iterable[Incident]) -> None:
        """Add or replace by oid."""

    def append(self, datastream_oid: ArrayLike, time: ArrayLike, value: ArrayLike) -> int:
        """Add observations (n,); the same series and time again replaces the value; returns n. Latest values move."""

    def things(self) -> list[Thing]:
        """All things by oid."""

    def datastreams(self) -> list[Datastream]:
        """All datastreams by oid."""

    def incidents(self) -> list[Incident]:
        """All incidents, newest first."""

    def latest(self) -> list[Observation]:
        """The last observation of every datastream, by oid."""

    def series(self, datastream_oid: str, since: float = 0.0, until: float = 1e18) -> NDArray[np.float64]:
        """(n, 2) f8 of time and value of one datastream, oldest first."""

    def observations(self, since: float = 0.0, until: float = 1e18) -> Iterator[Observation]:
        """All observations in the order of time, then datastream."""

    def span(self) -> tuple[float, float] | None:
        """First and last time of all observations; None where there is none."""

    def clear(self) -> None:
        """Forget everything."""


class Store(Protocol):
    """Keeps layers, rasters, points, models, documents, tiles and the live data of one city."""

    tiles_dir: Path

    def items(self, kind: str | None = None) -> list[Item]:
        """The catalogue, sorted by kind and name."""

    def item(self, kind: str, name: str) -> Item:
        """One line of it; NotFoundError where there is none."""

    def has(self, kind: str, name: str) -> bool:
        """True where the catalogue has the item."""

    def remove(self, kind: str, name: str) -> None:
        """Take the item out; nothing where there is none."""

    def size(self, kind: str, name: str) -> int | None:
        """Bytes the item takes; None where what the catalogue names is gone."""

    def digest(self, kind: str, name: str) -> str:
        """Hash of what is kept now, read again; it differs from the item's where the content was damaged."""

    def stamp(self, stage: str) -> str:
        """What the stage was last built from; empty where it never was."""

    def put_stamp(self, stage: str, stamp: str) -> None:
        """Remember what the stage was built from."""

    def writing(self) -> AbstractContextManager[None]:
        """Holds the store for one writer; StoreError where another has it. It goes with the process."""

    def together(self) -> AbstractContextManager[None]:
        """Rasters, points and models written inside take their places when the block ends well, one after the other.

        Until then everybody, the writer too, sees what was there before; where the block fails it stays so.
        """

    def write_layer(self, name: str, layer: Layer, lineage: Lineage) -> Item:
        """Keep the layer under `name`, in place of what was there; nothing is written where it is there already."""

    def read_layer(
        self,
        name: str,
        *,
        bbox: Bounds | None = None,
        oids: Iterable[str] | None = None,
        columns: Iterable[str] | None = None,
        where: Where | None = None,
    ) -> Layer:
        """The layer, or the part of it that meets `bbox`, has one of `oids` and is chosen by `where`.

        raises  NotFoundError where there is no such layer, or `where` asks for a column that it has not
        """

    def count_layer(self, name: str, where: Where) -> int:
        """How many features `where` chooses."""

    def versions(self, name: str) -> list[Version]:
        """The deliveries of a layer that are remembered, oldest first; the last one is what the layer is now."""

    def changes(self, name: str, old: int | None = None, new: int | None = None) -> Changes:
        """What differs between two versions, by default the last two; NotFoundError where one is not remembered."""

    def page_layer(
        self,
        name: str,
        *,
        bbox: Bounds | None = None,
        equals: Mapping[str, str | float] | None = None,
        where: Where | None = None,
        limit: int = 100,
        after: int = 0,
    ) -> tuple[Layer, NDArray[np.int64], int | None]:
        """One page in a stable order: features, their keys, and the key to go on after (None at the end)."""

    def write_raster(self, name: str, raster: Raster, lineage: Lineage) -> Item:
        """Keep the raster under `name`."""

    def raster_writer(
        self, name: str, geobox: GeoBox, *, lineage: Lineage, count: int = 1, dtype: str = "float32", unit: str = "m"
    ) -> AbstractContextManager[RasterWriter]:
        """A writer for a raster that does not fit in memory; it is kept when the `with` block ends well.

        Cells never written are NaN in float rasters and 0 in others.
        """

    def raster_box(self, name: str) -> GeoBox:
        """Where the raster lies, without reading it."""

    def open_raster(self, name: str) -> RasterReader:
        """The raster for many small windows; it stays what it is now, and tells where another took its place."""

    def read_raster(
        self, name: str, *, bounds: Bounds | None = None, shape: tuple[int, int] | None = None, band: int | None = None
    ) -> Raster:
        """The raster or a window of it; with `shape` decimated through its overviews; one band where there is one."""

    def write_points(self, name: str, clouds: Iterable[PointCloud], lineage: Lineage) -> Item:
        """Keep a stream of clouds under `name`; small clouds close together make later window reads quick."""

    def read_points(self, name: str, *, bounds: Bounds | None = None) -> PointCloud:
        """The points inside `bounds`, or all."""

    def page_points(self, name: str, places: Iterable[int] | None = None) -> Iterator[PointCloud]:
        """The clouds as they were written, one at a time: all, or those with the numbers `places`."""

    def points_index(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """How many points every cloud has, (k,), and its lowest and highest corner, (k, 2, 3) m, in the order they were
        written; no point is read."""

    def write_model(
        self,
        name: str,
        batches: Iterable[tuple[str, Solids]],
        lineage: Lineage,
        images: ImageSource | None = None,
    ) -> Item:
        """Keep solids by cell under `name`; all batches carry the same attributes.

        images  gives the bytes of the pictures that skins name; None where no batch has a skin. A picture is kept
                once, whatever the number of models that wear it, and goes with the last of them.
        raises  StoreError for a skin where no images are given, or for a picture whose bytes do not fit its name
        """

    def read_model(self, name: str, cells: Iterable[str] | None = None) -> Iterator[tuple[str, Solids]]:
        """(cell, solids) one cell at a time, in the order they were written."""

    def read_image(self, name: str) -> bytes:
        """A picture that the faces of a model wear, as delivered; NotFoundError where there is none."""

    def model_index(self, name: str) -> list[ModelCell]:
        """What lies in every cell of a model, in the order they were written; no mesh is read."""

    def write_document(self, name: str, data: Mapping[str, Any], lineage: Lineage | None = None) -> Item:
        """Keep a JSON document."""

    def read_document(self, name: str) -> dict[str, Any]:
        """The document; NotFoundError where there is none."""

    def stage_tiles(self) -> Path:
        """A fresh empty folder beside the published tiles."""

    def publish_tiles(self, staging: Path, version: str) -> Path:
        """Make the staged folder the published one; clients see the old version or the new one, never a mix."""

    def current_tiles(self) -> tuple[str, Path] | None:
        """(version, folder) of the published tiles; None where nothing is published."""

    @property
    def live(self) -> LiveStore:
        """Things, observations, incidents."""
