"""The catalogue of the folder store, one JSON file replaced whole, the same bytes for the same content; and the journal
by which a file and its line in a catalogue change together, whenever the writer is killed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twin.errors import NotFoundError, StoreError
from twin.lineage import Lineage
from twin.store.protocol import Item

FORMAT = 1


def digest_of(path: Path) -> str:
    """Content hash of a file, 32 hex digits (BLAKE2b-128)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write beside, flush to disk, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)


class Catalog:
    """The lines of the catalogue, and what each stage was last built from."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def items(self, kind: str | None = None) -> list[Item]:
        """All lines, or those of one kind, sorted by kind and name."""
        table = self._read()["items"]
        split = ((*key.partition("/")[::2], values) for key, values in sorted(table.items()))
        found = [item_from_dict(kind_, name, values) for kind_, name, values in split]
        return [item for item in found if kind is None or item.kind == kind]

    def find(self, kind: str, name: str) -> Item | None:
        """One line, or None."""
        values = self._read()["items"].get(f"{kind}/{name}")
        return None if values is None else item_from_dict(kind, name, values)

    def require(self, kind: str, name: str) -> Item:
        """One line; NotFoundError tells what there is."""
        found = self.find(kind, name)
        if found is None:
            known = ", ".join(item.name for item in self.items(kind)) or "none"
            raise NotFoundError(f"the store has no {kind} {name!r}; it has {known}")
        return found

    def put(self, item: Item) -> Item:
        """Add or replace a line; a line that is there already is not written again."""
        table = self._read()
        key, line = f"{item.kind}/{item.name}", item_as_dict(item)
        if table["items"].get(key) != line:
            table["items"][key] = line
            self._write(table)
        return item

    def drop(self, kind: str, name: str) -> None:
        """Take a line out."""
        table = self._read()
        if table["items"].pop(f"{kind}/{name}", None) is not None:
            self._write(table)

    def stamp(self, stage: str) -> str:
        """What the stage was last built from; empty where it never was."""
        return str(self._read()["stages"].get(stage, ""))

    def put_stamp(self, stage: str, stamp: str) -> None:
        """Remember what the stage was built from."""
        table = self._read()
        table["stages"][stage] = stamp
        self._write(table)

    def _read(self) -> dict[str, Any]:
        try:
            table: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"format": FORMAT, "items": {}, "stages": {}}
        except ValueError as error:
            raise StoreError(f"{self._path}: damaged catalogue ({error}); delete the folder and run again") from error
        if table.get("format") != FORMAT:
            raise StoreError(f"{self._path}: store format {table.get('format')}, this version reads {FORMAT}")
        return table

    def _write(self, table: Mapping[str, Any]) -> None:
        text = json.dumps(table, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)
        write_atomic(self._path, text.encode("utf-8"))


def item_as_dict(item: Item) -> dict[str, Any]:
    """The line of an item but for its kind and name, plain JSON values."""
    return {
        "digest": item.digest,
        "lineage": item.lineage.as_dict(),
        "extent": None if item.extent is None else list(item.extent),
        "count": item.count,
        "extra": dict(item.extra),
    }


def item_from_dict(kind: str, name: str, values: Mapping[str, Any]) -> Item:
    """The item that `item_as_dict` told."""
    extent = values["extent"]
    return Item(
        kind,
        name,
        values["digest"],
        Lineage.from_dict(values["lineage"]),
        None if extent is None else (extent[0], extent[1], extent[2], extent[3]),
        values["count"],
        values["extra"],
    )


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
