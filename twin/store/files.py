"""What the stores share: rasters, points, models and tiles as files, under a catalogue in a file or in a table."""

from __future__ import annotations

import fcntl
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twin.errors import StoreError
from twin.features import Layer
from twin.frames import Frame
from twin.grid import Bounds, GeoBox, Raster, require_same_frame
from twin.lineage import Lineage
from twin.meshes import Solids
from twin.points import PointCloud
from twin.store import published
from twin.store.catalog import Journal, digest_of
from twin.store.images import ImageShelf
from twin.store.protocol import ImageSource, Item, ModelCell, RasterReader, RasterWriter
from twin.store.query import Page, Where

_FOLDERS = {
    "layer": ("layers", ".gpkg"),
    "raster": ("rasters", ".tif"),
    "points": ("points", ".arrow"),
    "model": ("models", ".arrow"),
    "document": ("documents", ".json"),
}
_TOGETHER = ("raster", "points", "model")


class Catalogue(Protocol):
    """The lines of a store and the stamps of its stages, in a file or in a table."""

    def items(self, kind: str | None = None) -> list[Item]:
        """All lines, or those of one kind, sorted by kind and name."""

    def find(self, kind: str, name: str) -> Item | None:
        """One line, or None."""

    def require(self, kind: str, name: str) -> Item:
        """One line; NotFoundError tells what there is."""

    def put(self, item: Item) -> Item:
        """Add or replace a line."""

    def drop(self, kind: str, name: str) -> None:
        """Take a line out."""

    def stamp(self, stage: str) -> str:
        """What the stage was last built from; empty where it never was."""

    def put_stamp(self, stage: str, stamp: str) -> None:
        """Remember what the stage was built from."""


class FileStore(ABC):
    """A store but for its layers, documents and live data; files are written in `scratch` and renamed into place."""

    def __init__(self, root: Path, frame: Frame, catalog: Catalogue) -> None:
        self.root = root
        self.frame = frame
        self.tiles_dir = root / "tiles"
        self.catalog = catalog
        self.journal = Journal(root / "pending")
        self._images = ImageShelf(root / "images")
        self._waiting: list[tuple[Path, Item]] | None = None

    def items(self, kind: str | None = None) -> list[Item]:
        """The catalogue, sorted by kind and name."""
        table = {(item.kind, item.name): item for item in self.catalog.items(kind)}
        arrived = self.journal.arrived(self.path)
        table |= {(item.kind, item.name): item for item in arrived if kind in (None, item.kind)}
        return [table[key] for key in sorted(table)]

    def item(self, kind: str, name: str) -> Item:
        """One line of it; NotFoundError where there is none."""
        return self.find(kind, name) or self.catalog.require(kind, name)

    def find(self, kind: str, name: str) -> Item | None:
        """One line of it, or None."""
        kept = self.catalog.find(kind, name)
        arrived = self.journal.arrived(self.path)
        return next((item for item in arrived if (item.kind, item.name) == (kind, name)), kept)

    def has(self, kind: str, name: str) -> bool:
        """True where the catalogue has the item."""
        return self.find(kind, name) is not None

    def remove(self, kind: str, name: str) -> None:
        """Take the item out; nothing where there is none."""
        self.journal.forget(kind, name)
        self.catalog.drop(kind, name)
        self.path(kind, name).unlink(missing_ok=True)
        if kind == "model":
            self._sweep_images()

    def path(self, kind: str, name: str) -> Path:
        """Where the file of an item lies."""
        if not name or any(c in name for c in "/\\.") or name.startswith("-"):
            raise StoreError(f"{name!r} is no name for a {kind}; use letters, digits and underscores")
        folder, suffix = _FOLDERS[kind]
        return self.root / folder / f"{name}{suffix}"

    def stamp(self, stage: str) -> str:
        """What the stage was last built from; empty where it never was."""
        return self.catalog.stamp(stage)

    def put_stamp(self, stage: str, stamp: str) -> None:
        """Remember what the stage was built from."""
        self.catalog.put_stamp(stage, stamp)

    def size(self, kind: str, name: str) -> int | None:
        """Bytes the item takes, its pictures included; None where it is not there."""
        path = self.path(kind, name)
        if not path.exists():
            return None
        return path.stat().st_size + sum(self._images.size(image) for image in self._images_of(kind, name))

    def digest(self, kind: str, name: str) -> str:
        """Hash of what is kept now, to hold against the catalogue; no hash at all where a picture is damaged."""
        for image in self._images_of(kind, name):
            if not self._images.is_sound(image):
                return f"picture {image} is damaged or gone"
        return digest_of(self.path(kind, name))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the folder for one writer and sweeps what a killed one left; the lock goes with the process."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(f"{self.root}: another run is writing here; wait for it or stop it") from error
            for left in [self.root / "scratch", *self.tiles_dir.glob(".staging-*")]:
                shutil.rmtree(left, ignore_errors=True)
            for left in [*self.root.glob(".*.json.*"), *self.tiles_dir.glob(".*.json.*")]:
                left.unlink(missing_ok=True)
            for item in self.journal.arrived(self.path):
                self.catalog.put(item)
            self.journal.clear()
            yield

    @contextmanager
    def together(self) -> Iterator[None]:
        """Rasters, points and models written inside take their places when the block ends well, one after the other."""
        folder, self._waiting = self._waiting_room, []
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield
            for beside, item in self._waiting:
                self._settle(beside, item)
        finally:
            self._waiting = None
            shutil.rmtree(folder, ignore_errors=True)
            self._sweep_images()

    @property
    def _waiting_room(self) -> Path:
        return self.root / "scratch" / f"together-{os.getpid()}"

    def read_layer(
        self,
        name: str,
        *,
        bbox: Bounds | None = None,
        oids: Iterable[str] | None = None,
        columns: Iterable[str] | None = None,
        where: Where | None = None,
    ) -> Layer:
        """The layer, or the part of it that meets `bbox`, has one of `oids` and is chosen by `where`."""
        return self._read_layer(name, (where or Where()).narrowed(bbox, oids), Page(), columns)[0]

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
        """One page in the order of keys, the keys, and the key to go on after."""
        chosen = (where or Where()).narrowed(bbox, None, equals)
        layer, keys = self._read_layer(name, chosen, Page(after, limit + 1), None)
        if len(keys) <= limit:
            return layer, keys, None
        return layer.take(range(limit)), keys[:limit], int(keys[limit - 1])

    @abstractmethod
    def _read_layer(
        self, name: str, where: Where, page: Page, columns: Iterable[str] | None
    ) -> tuple[Layer, NDArray[np.int64]]:
        """The features that `where` chooses, in the order of their keys, and the keys."""

    def write_raster(self, name: str, raster: Raster, lineage: Lineage) -> Item:
        """Keep the raster under `name`."""
        count = 1 if raster.values.ndim == 2 else raster.values.shape[0]
        kept: list[Item] = []
        dtype = raster.values.dtype.name
        with self._raster(name, raster.geobox, lineage, (count, dtype, raster.unit), kept) as writer:
            writer.write(raster.values, 0, 0)
        return kept[0]

    @contextmanager
    def raster_writer(
        self, name: str, geobox: GeoBox, *, lineage: Lineage, count: int = 1, dtype: str = "float32", unit: str = "m"
    ) -> Iterator[RasterWriter]:
        """A writer for a raster that does not fit in memory; kept when the `with` block ends well."""
        with self._raster(name, geobox, lineage, (count, dtype, unit), []) as writer:
            yield writer

    @contextmanager
    def _raster(
        self, name: str, geobox: GeoBox, lineage: Lineage, form: tuple[int, str, str], kept: list[Item]
    ) -> Iterator[RasterWriter]:
        """The writer of a raster of `form` (bands, dtype, unit); its line comes into `kept`."""
        from twin.store import cog

        require_same_frame(self.frame, geobox.frame)
        (count, dtype, unit), cells = form, geobox.shape[0] * geobox.shape[1]
        extra = {"unit": unit, "count": count, "dtype": dtype, "resolution": list(geobox.resolution)}
        with self._place("raster", name) as beside:
            with cog.open_writer(beside, geobox, count, dtype, unit) as writer:
                yield writer
            kept.append(self._keep(beside, Item("raster", name, "", lineage, geobox.bounds, cells, extra)))

    def raster_box(self, name: str) -> GeoBox:
        """Where the raster lies, without reading it."""
        from twin.store import cog

        self.item("raster", name)
        return cog.read_box(self.path("raster", name), self.frame)

    def open_raster(self, name: str) -> RasterReader:
        """The raster for many small windows; it stays what it is now, and tells where another took its place."""
        from twin.store import cog

        self.item("raster", name)
        return cog.WindowReader(self.path("raster", name), self.frame)

    def read_raster(
        self, name: str, *, bounds: Bounds | None = None, shape: tuple[int, int] | None = None, band: int | None = None
    ) -> Raster:
        """The raster or a window of it; with `shape` decimated through its overviews."""
        from twin.store import cog

        self.item("raster", name)
        return cog.read_window(self.path("raster", name), self.frame, bounds, shape, band)

    def write_points(self, name: str, clouds: Iterable[PointCloud], lineage: Lineage) -> Item:
        """Keep a stream of clouds under `name`."""
        from twin.store import columnar

        with self._place("points", name) as beside:
            told = columnar.write_clouds(beside, clouds)
            return self._keep(beside, Item("points", name, "", lineage, told["extent"], told["count"]))

    def read_points(self, name: str, *, bounds: Bounds | None = None) -> PointCloud:
        """The points inside `bounds`, or all."""
        from twin.store import columnar

        self.item("points", name)
        return columnar.read_clouds(self.path("points", name), self.frame, bounds)

    def page_points(self, name: str, places: Iterable[int] | None = None) -> Iterator[PointCloud]:
        """The clouds as they were written, one at a time: all, or those with the numbers `places`."""
        from twin.store import columnar

        self.item("points", name)
        yield from columnar.page_clouds(self.path("points", name), self.frame, places)

    def points_index(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """How many points every cloud has, (k,), and its corners, (k, 2, 3) m; no point is read."""
        from twin.store import columnar

        self.item("points", name)
        return columnar.index_clouds(self.path("points", name))

    def write_model(
        self,
        name: str,
        batches: Iterable[tuple[str, Solids]],
        lineage: Lineage,
        images: ImageSource | None = None,
    ) -> Item:
        """Keep solids by cell under `name`, and the pictures they wear."""
        from twin.store import columnar

        worn: dict[str, None] = {}
        shelved = batches if images is None else self._images.shelve(batches, images, worn)
        try:
            with self._place("model", name) as beside:
                told = columnar.write_solids(beside, shelved, skinned=images is not None)
                extra = {"images": sorted(worn)} if images is not None else {}
                return self._keep(beside, Item("model", name, "", lineage, told["extent"], told["count"], extra))
        finally:
            self._sweep_images()

    def read_image(self, name: str) -> bytes:
        """A picture that the faces of a model wear, as delivered; NotFoundError where there is none."""
        return self._images.read(name)

    def _images_of(self, kind: str, name: str) -> list[str]:
        item = self.find(kind, name) if kind == "model" else None
        return [] if item is None else list(item.extra.get("images", ()))

    def _sweep_images(self) -> None:
        """Pictures that no model names are let go; the catalogue line that named them is gone by now."""
        if self._waiting is not None:
            return
        self._images.sweep({image for item in self.items("model") for image in item.extra.get("images", ())})

    def read_model(self, name: str, cells: Iterable[str] | None = None) -> Iterator[tuple[str, Solids]]:
        """(cell, solids) one cell at a time."""
        from twin.store import columnar

        self.item("model", name)
        return columnar.read_solids(self.path("model", name), self.frame, cells)

    def model_index(self, name: str) -> list[ModelCell]:
        """What lies in every cell of a model, in the order they were written; no mesh is read."""
        from twin.store import columnar

        self.item("model", name)
        return columnar.index_solids(self.path("model", name))

    def stage_tiles(self) -> Path:
        """A fresh empty folder beside the published tiles."""
        return published.stage(self.tiles_dir)

    def publish_tiles(self, staging: Path, version: str) -> Path:
        """Make the staged folder the published one; the version before it stays for clients that still read it."""
        return published.publish(self.tiles_dir, staging, version)

    def current_tiles(self) -> tuple[str, Path] | None:
        """(version, folder) of the published tiles; None where nothing is published."""
        return published.current(self.tiles_dir)

    @contextmanager
    def _place(self, kind: str, name: str) -> Iterator[Path]:
        """A path in `scratch` to write to and to keep from; swept when the block ends."""
        target = self.path(kind, name)
        scratch = self.root / "scratch" / f"{kind}-{os.getpid()}"
        scratch.mkdir(parents=True, exist_ok=True)
        beside = scratch / target.name
        beside.unlink(missing_ok=True)
        try:
            yield beside
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _keep(self, beside: Path, item: Item) -> Item:
        """Rename the file into place and put its line, with its digest, into the catalogue: both or neither."""
        item = item if item.digest else replace(item, digest=digest_of(beside))
        if self._waiting is not None and item.kind in _TOGETHER:
            there = self._waiting_room / f"{len(self._waiting)}-{beside.name}"
            self._waiting.append((beside.replace(there), item))
            return item
        return self._settle(beside, item)

    def _settle(self, beside: Path, item: Item) -> Item:
        target = self.path(item.kind, item.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.journal.note(item, beside)
        beside.replace(target)
        self.catalog.put(item)
        self.journal.forget(item.kind, item.name)
        return item
