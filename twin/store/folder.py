"""The embedded store: a folder `.twin` beside `city.toml`, safe to delete and rebuild (except live.sqlite)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from numpy import int64
from numpy.typing import NDArray

from twin.features import Layer
from twin.frames import Frame
from twin.grid import require_same_frame
from twin.lineage import Lineage
from twin.store import geopackage
from twin.store.catalog import Catalog, digest_of
from twin.store.files import FileStore
from twin.store.history import chosen, compare, take_prints
from twin.store.live import SqliteLive
from twin.store.protocol import KEPT_VERSIONS, Changes, Item, Version
from twin.store.query import Page, Where
from twin.store.versions import VersionFiles


class FolderStore(FileStore):
    """Store of one city in a folder; files are written in `scratch` and renamed into place."""

    def __init__(self, root: Path, frame: Frame, *, keep: int = KEPT_VERSIONS) -> None:
        super().__init__(root, frame, Catalog(root / "catalog.json"))
        self._live = SqliteLive(root / "live.sqlite")
        self._versions = VersionFiles(root / "history", keep)

    @property
    def live(self) -> SqliteLive:
        """Things, observations, incidents."""
        return self._live

    def remove(self, kind: str, name: str) -> None:
        """Take the item out, a layer with its versions; nothing where there is none."""
        super().remove(kind, name)
        if kind == "layer":
            self._versions.drop(name)

    def write_layer(self, name: str, layer: Layer, lineage: Lineage) -> Item:
        """Keep the layer under `name`, in place of what was there; the same layer again is not written."""
        # Arrow loads it at the first words it sees; two threads that see some at once would wait for each other.
        import pandas  # noqa: F401

        require_same_frame(self.frame, layer.frame)
        before = self.find("layer", name)
        known = self._versions.known(before)
        prints = take_prints(layer) if known else None
        if before is not None and prints is not None and known[-1][1] == prints.content and self._is_sound(before):
            return self.catalog.put(replace(before, lineage=lineage))
        extent = layer.bounds if len(layer) else None
        with self._place("layer", name) as beside, ThreadPoolExecutor(1) as beside_us:
            # Much of it is done by others, by SQLite and by the hash: prints are taken meanwhile.
            digest = beside_us.submit(_written, beside, name, layer)
            prints = prints or take_prints(layer)
            item = Item("layer", name, digest.result(), lineage, extent, len(layer), {"feature_class": layer.name})
            self._versions.add(item, prints, before)
            self._keep(beside, item)
        self._versions.trim(item)
        return item

    def _is_sound(self, item: Item) -> bool:
        return self.path(item.kind, item.name).exists() and self.digest(item.kind, item.name) == item.digest

    def versions(self, name: str) -> list[Version]:
        """The deliveries of a layer that are remembered, oldest first."""
        return [version for version, _ in self._versions.known(self.item("layer", name))]

    def changes(self, name: str, old: int | None = None, new: int | None = None) -> Changes:
        """What differs between two versions, by default the last two."""
        first, last = chosen(name, self.versions(name), old, new)
        return compare(name, (first, last), self._versions.prints(name, first), self._versions.prints(name, last))

    def count_layer(self, name: str, where: Where) -> int:
        """How many features `where` chooses."""
        self.item("layer", name)
        return geopackage.count_geopackage(self.path("layer", name), name, where)

    def _read_layer(
        self, name: str, where: Where, page: Page, columns: Iterable[str] | None
    ) -> tuple[Layer, NDArray[int64]]:
        item = self.item("layer", name)
        path, feature_class = self.path("layer", name), str(item.extra["feature_class"])
        return geopackage.read_geopackage(path, name, self.frame, feature_class, where, columns, page)

    def write_document(self, name: str, data: Mapping[str, Any], lineage: Lineage | None = None) -> Item:
        """Keep a JSON document."""
        # Only the encoder without indent is quick; the other then only lays the text out.
        plain = json.dumps(data, ensure_ascii=False, allow_nan=False)
        text = orjson.dumps(orjson.loads(plain), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        with self._place("document", name) as beside:
            beside.write_bytes(text)
            return self._keep(beside, Item("document", name, "", lineage or Lineage("pingcheng"), None, len(data)))

    def read_document(self, name: str) -> dict[str, Any]:
        """The document; NotFoundError where there is none."""
        self.item("document", name)
        document: dict[str, Any] = json.loads(self.path("document", name).read_text(encoding="utf-8"))
        return document


def _written(path: Path, name: str, layer: Layer) -> str:
    """The digest of a layer once it is written."""
    geopackage.write_geopackage(path, name, layer)
    return digest_of(path)
