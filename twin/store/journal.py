"""What is being put into place: a file and its line in the catalogue change together, whenever the writer is killed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from twin.store.catalog import item_as_dict, item_from_dict, write_atomic
from twin.store.protocol import Item


class Journal:
    """Items whose files are renamed into place before their lines are written; empty but for that moment.

    A note holds the line and the inode of the file still in `scratch`. A rename keeps the inode, so whoever finds the
    note later sees whether the file has arrived: then the line counts, else the one in the catalogue does.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, item: Item, beside: Path) -> None:
        """Say what the catalogue will say as soon as `beside` is in its place."""
        told = {"inode": beside.stat().st_ino, "kind": item.kind, "name": item.name, "item": item_as_dict(item)}
        write_atomic(self._file(item.kind, item.name), json.dumps(told, ensure_ascii=False).encode())

    def forget(self, kind: str, name: str) -> None:
        """The catalogue says it now."""
        self._file(kind, name).unlink(missing_ok=True)

    def arrived(self, path: Callable[[str, str], Path]) -> list[Item]:
        """The items whose file is in its place already."""
        found = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                told = json.loads(file.read_text(encoding="utf-8"))
                inode = path(told["kind"], told["name"]).stat().st_ino
            except FileNotFoundError:
                continue
            if inode == told["inode"]:
                found.append(item_from_dict(told["kind"], told["name"], told["item"]))
        return found

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, kind: str, name: str) -> Path:
        return self._folder / f"{kind}-{name}.json"
