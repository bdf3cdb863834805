"""The PostGIS store: layers, documents, catalogue and live data in one schema; rasters, points and models in files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import NotFoundError, StoreError
from twin.features import Layer
from twin.frames import Frame
from twin.grid import require_same_frame
from twin.lineage import Lineage
from twin.store import tables
from twin.store.database import Connection, Database, lock_item
from twin.store.files import FileStore
from twin.store.history import chosen, compare, take_prints
from twin.store.pglive import PostgisLive
from twin.store.protocol import KEPT_VERSIONS, Changes, Item, Version
from twin.store.query import Page, Where
from twin.store.versions import VersionRows

_ITEM = "SELECT kind, name, digest, lineage, extent, count, extra FROM twin_item "
_PUT_ITEM = (
    "INSERT INTO twin_item VALUES (%s, %s, %s, %s, %s::float8[], %s, %s) ON CONFLICT (kind, name) DO UPDATE SET "
    "(digest, lineage, extent, count, extra) = "
    "(excluded.digest, excluded.lineage, excluded.extent, excluded.count, excluded.extra)"
)


class PostgisCatalog:
    """The lines of the catalogue in table twin_item, the stamps of the stages in twin_stage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def items(self, kind: str | None = None) -> list[Item]:
        """All lines, or those of one kind, sorted by kind and name."""
        with self._database.transaction() as connection:
            rows = connection.execute(_ITEM + "WHERE %s::text IS NULL OR kind = %s::text", [kind, kind]).fetchall()
        return sorted((_item(row) for row in rows), key=lambda item: (item.kind, item.name))

    def find(self, kind: str, name: str) -> Item | None:
        """One line, or None."""
        with self._database.transaction() as connection:
            return find_item(connection, kind, name)

    def require(self, kind: str, name: str) -> Item:
        """One line; NotFoundError tells what there is."""
        found = self.find(kind, name)
        if found is None:
            known = ", ".join(item.name for item in self.items(kind)) or "none"
            raise NotFoundError(f"the store has no {kind} {name!r}; it has {known}")
        return found

    def put(self, item: Item) -> Item:
        """Add or replace a line."""
        with self._database.transaction() as connection:
            return put_item(connection, item)

    def drop(self, kind: str, name: str) -> None:
        """Take a line out."""
        with self._database.transaction() as connection:
            drop_item(connection, kind, name)

    def stamp(self, stage: str) -> str:
        """What the stage was last built from; empty where it never was."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT stamp FROM twin_stage WHERE stage = %s", [stage]).fetchone()
        return "" if row is None else str(row[0])

    def put_stamp(self, stage: str, stamp: str) -> None:
        """Remember what the stage was built from."""
        put = "INSERT INTO twin_stage VALUES (%s, %s) ON CONFLICT (stage) DO UPDATE SET stamp = excluded.stamp"
        with self._database.transaction() as connection:
            connection.execute(put, [stage, stamp])


class PostgisStore(FileStore):
    """Store of one city in a schema of a PostGIS database, and in the folder `files` for what is no table.

    dsn     postgresql://... ; nothing is opened before the first verb
    schema  one a city; lower-case letters, digits and underscores
    """

    def __init__(self, dsn: str, frame: Frame, files: Path, *, schema: str = "city", keep: int = KEPT_VERSIONS) -> None:
        self.database = Database(dsn, schema)
        self._kept = keep
        super().__init__(files, frame, PostgisCatalog(self.database))
        self._live = PostgisLive(self.database)

    @property
    def live(self) -> PostgisLive:
        """Things, observations, incidents."""
        return self._live

    def close(self) -> None:
        """Give the connections back; the next verb opens a new one."""
        self.database.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the folder and the schema for one writer."""
        with super().writing(), self.database.writing():
            yield

    def remove(self, kind: str, name: str) -> None:
        """Take the item out; nothing where there is none."""
        if kind not in ("layer", "document"):
            return super().remove(kind, name)
        self._check_name(kind, name)
        with self.database.transaction() as connection:
            lock_item(connection, self.database.schema, kind, name)
            drop_item(connection, kind, name)
            if kind == "layer":
                tables.drop_table(connection, name)
                VersionRows(connection, self._kept).drop(name)
            else:
                connection.execute("DELETE FROM twin_document WHERE name = %s", [name])
        return None

    def size(self, kind: str, name: str) -> int | None:
        """Bytes the item takes, indexes included; None where it is not there."""
        if kind not in ("layer", "document"):
            return super().size(kind, name)
        if kind == "layer":
            query = "SELECT pg_total_relation_size(to_regclass(quote_ident(%s)))"
        else:
            query = "SELECT pg_column_size(body) FROM twin_document WHERE name = %s"
        with self.database.transaction() as connection:
            row = connection.execute(query, [name]).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def digest(self, kind: str, name: str) -> str:
        """Hash of what is kept now, read again."""
        if kind == "layer":
            return tables.digest_of_layer(self.read_layer(name), tables.srid_of(self.frame))
        return super().digest(kind, name) if kind != "document" else _digest(self._document(name))

    def write_layer(self, name: str, layer: Layer, lineage: Lineage) -> Item:
        """Keep the layer under `name`, in place of what was there; the same layer again is not written."""
        require_same_frame(self.frame, layer.frame)
        self._check_name("layer", name)
        prints = take_prints(layer)
        extent = layer.bounds if len(layer) else None
        with self.database.transaction() as connection:
            lock_item(connection, self.database.schema, "layer", name)
            versions, before = VersionRows(connection, self._kept), find_item(connection, "layer", name)
            known = versions.known(before)
            if before is not None and known and known[-1][1] == prints.content and versions.untouched(before):
                return put_item(connection, replace(before, lineage=lineage))
            digest = tables.replace_table(connection, name, layer, tables.srid_of(self.frame))
            item = Item("layer", name, digest, lineage, extent, len(layer), {"feature_class": layer.name})
            versions.add(item, prints, before)
            return put_item(connection, item)

    def versions(self, name: str) -> list[Version]:
        """The deliveries of a layer that are remembered, oldest first."""
        item = self.item("layer", name)
        with self.database.transaction() as connection:
            return [version for version, _ in VersionRows(connection, self._kept).known(item)]

    def changes(self, name: str, old: int | None = None, new: int | None = None) -> Changes:
        """What differs between two versions, by default the last two."""
        first, last = chosen(name, self.versions(name), old, new)
        with self.database.transaction() as connection:
            rows = VersionRows(connection, self._kept)
            then, now = rows.prints(name, first), rows.prints(name, last)
        return compare(name, (first, last), then, now)

    def count_layer(self, name: str, where: Where) -> int:
        """How many features `where` chooses."""
        with self._held(name) as (connection, known):
            return tables.count_rows(connection, name, known, where, tables.srid_of(self.frame))

    def _read_layer(
        self, name: str, where: Where, page: Page, columns: Iterable[str] | None
    ) -> tuple[Layer, NDArray[np.int64]]:
        srid = tables.srid_of(self.frame)
        with self._held(name) as (connection, known):
            item = find_item(connection, "layer", name)
            wanted, rows = tables.read_table(connection, name, known, where, page, columns, srid)
        feature_class = name if item is None else str(item.extra["feature_class"])
        return tables.layer_of(rows, wanted, known, self.frame, feature_class)

    @contextmanager
    def _held(self, name: str) -> Iterator[tuple[Connection, dict[str, str]]]:
        """A transaction in which nobody exchanges the layer's table, and its columns; NotFoundError without one."""
        import psycopg

        try:
            with self.database.transaction() as connection:
                yield connection, tables.hold_table(connection, name)
        except StoreError as error:
            if isinstance(error.__cause__, psycopg.errors.UndefinedTable):
                self.catalog.require("layer", name)
            raise

    def write_document(self, name: str, data: Mapping[str, Any], lineage: Lineage | None = None) -> Item:
        """Keep a JSON document."""
        self._check_name("document", name)
        text = json.dumps(data, ensure_ascii=False, sort_keys=True, allow_nan=False)
        put = (
            "INSERT INTO twin_document VALUES (%s, %s::jsonb) "
            "ON CONFLICT (name) DO UPDATE SET body = excluded.body RETURNING body::text"
        )
        with self.database.transaction() as connection:
            row = connection.execute(put, [name, text]).fetchone()
            digest = _digest("" if row is None else row[0])
            return put_item(
                connection, Item("document", name, digest, lineage or Lineage("pingcheng"), None, len(data))
            )

    def read_document(self, name: str) -> dict[str, Any]:
        """The document; NotFoundError where there is none."""
        document: dict[str, Any] = json.loads(self._document(name))
        return document

    def _document(self, name: str) -> str:
        with self.database.transaction() as connection:
            row = connection.execute("SELECT body::text FROM twin_document WHERE name = %s", [name]).fetchone()
        if row is None:
            self.catalog.require("document", name)
            raise StoreError(f"{self.database.place}: document {name!r} is gone; run the stage that made it again")
        return str(row[0])

    def _check_name(self, kind: str, name: str) -> None:
        """The names that are files are the names that are tables; twin_ is kept for the store's own."""
        self.path(kind, name)
        if name.startswith("twin_") or len(name.encode()) > 50 or "\0" in name:
            raise StoreError(f"{name!r} is no name for a {kind}; at most 50 bytes, not beginning with twin_")


def find_item(connection: Connection, kind: str, name: str) -> Item | None:
    """One line inside a transaction, or None."""
    row = connection.execute(_ITEM + "WHERE kind = %s AND name = %s", [kind, name]).fetchone()
    return None if row is None else _item(row)


def put_item(connection: Connection, item: Item) -> Item:
    """Add or replace a line inside a transaction."""
    from psycopg.types.json import Jsonb

    extent = None if item.extent is None else list(item.extent)
    lineage, extra = Jsonb(item.lineage.as_dict()), Jsonb(dict(item.extra))
    connection.execute(_PUT_ITEM, [item.kind, item.name, item.digest, lineage, extent, item.count, extra])
    return item


def drop_item(connection: Connection, kind: str, name: str) -> None:
    """Take a line out inside a transaction."""
    connection.execute("DELETE FROM twin_item WHERE kind = %s AND name = %s", [kind, name])


def _item(row: tuple[Any, ...]) -> Item:
    kind, name, digest, lineage, extent, count, extra = row
    box = None if extent is None else (extent[0], extent[1], extent[2], extent[3])
    return Item(kind, name, digest, Lineage.from_dict(lineage), box, count, extra)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
