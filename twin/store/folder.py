"""The embedded store: a folder `.twin` beside `city.toml`, safe to delete and rebuild (except live.sqlite)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numpy import int64
from numpy.typing import NDArray

from twin.features import Layer
from twin.frames import Frame
from twin.grid import require_same_frame
from twin.lineage import Lineage
from twin.store import geopackage
from twin.store.catalog import Catalog
from twin.store.files import FileStore
from twin.store.geopackage import Where
from twin.store.live import SqliteLive
from twin.store.protocol import Item


class FolderStore(FileStore):
    """Store of one city in a folder; files are written in `scratch` and renamed into place."""

    def __init__(self, root: Path, frame: Frame) -> None:
        super().__init__(root, frame, Catalog(root / "catalog.json"))
        self._live = SqliteLive(root / "live.sqlite")

    @property
    def live(self) -> SqliteLive:
        """Things, observations, incidents."""
        return self._live

    def write_layer(self, name: str, layer: Layer, lineage: Lineage) -> Item:
        """Keep the layer under `name`, in place of what was there."""
        require_same_frame(self.frame, layer.frame)
        with self._place("layer", name) as beside:
            geopackage.write_geopackage(beside, name, layer)
        extent = layer.bounds if len(layer) else None
        return self._keep("layer", name, lineage, extent, len(layer), {"feature_class": layer.name})

    def _read_layer(self, name: str, where: Where, columns: Iterable[str] | None) -> tuple[Layer, NDArray[int64]]:
        item = self.item("layer", name)
        path, feature_class = self.path("layer", name), str(item.extra["feature_class"])
        return geopackage.read_geopackage(path, name, self.frame, feature_class, where, columns)

    def write_document(self, name: str, data: Mapping[str, Any], lineage: Lineage | None = None) -> Item:
        """Keep a JSON document."""
        text = json.dumps(data, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)
        with self._place("document", name) as beside:
            beside.write_text(text, encoding="utf-8")
        return self._keep("document", name, lineage or Lineage("pingcheng"), None, len(data), {})

    def read_document(self, name: str) -> dict[str, Any]:
        """The document; NotFoundError where there is none."""
        self.item("document", name)
        document: dict[str, Any] = json.loads(self.path("document", name).read_text(encoding="utf-8"))
        return document
