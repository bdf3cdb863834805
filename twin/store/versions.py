"""Where the versions of layers are kept: one file each in the folder store, one row each in PostGIS."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from twin.store import history
from twin.store.catalog import write_atomic
from twin.store.database import Connection
from twin.store.history import Prints
from twin.store.protocol import Item, Version


@dataclass(frozen=True, slots=True)
class VersionFiles:
    """Files history/<layer>/<number>.arrow; `keep` of them a layer.

    A version is written before the layer it belongs to, so the last file may be of a layer that never came into place:
    versions count up to the one whose digest is the item's, and what lies behind it is overwritten by the next.
    """

    root: Path
    keep: int

    def known(self, item: Item | None) -> list[tuple[Version, str]]:
        """(version, hash of its content) oldest first; the last one is the item."""
        if item is None:
            return []
        files = sorted((self.root / item.name).glob("[0-9]*.arrow"))
        found = [history.version_in(path) for path in files]
        while found and found[-1][0].digest != item.digest:
            found.pop()
        return found

    def add(self, item: Item, prints: Prints, before: Item | None) -> None:
        """Remember what the layer will be as soon as it is in its place."""
        known = [version for version, _ in self.known(before)]
        version = history.next_version(known, item)
        folder = self.root / item.name
        for path in folder.glob("[0-9]*.arrow"):
            if int(path.stem) > (known[-1].number if known else 0):
                path.unlink()
        write_atomic(self._path(item.name, version.number), history.encode(prints, version))

    def trim(self, item: Item) -> None:
        """Forget what is older than the last `keep` versions."""
        for version, _ in self.known(item)[: -self.keep]:
            self._path(item.name, version.number).unlink(missing_ok=True)

    def prints(self, name: str, number: int) -> Prints:
        """The hashes of one version that is known."""
        return history.decode(self._path(name, number))

    def drop(self, name: str) -> None:
        """Forget the layer."""
        shutil.rmtree(self.root / name, ignore_errors=True)

    def _path(self, name: str, number: int) -> Path:
        return self.root / name / f"{number:06d}.arrow"


@dataclass(frozen=True, slots=True)
class VersionRows:
    """Rows of table twin_version, inside the caller's transaction; `keep` of them a layer."""

    connection: Connection
    keep: int

    def known(self, item: Item | None) -> list[tuple[Version, str]]:
        """(version, hash of its content) oldest first; the last one is the item."""
        from twin.lineage import Lineage

        if item is None:
            return []
        query = "SELECT number, digest, lineage, count, content FROM twin_version WHERE layer = %s ORDER BY number"
        rows = self.connection.execute(query, [item.name]).fetchall()
        return [(Version(row[0], row[1], Lineage.from_dict(row[2]), row[3]), str(row[4])) for row in rows]

    def add(self, item: Item, prints: Prints, before: Item | None) -> None:
        """Remember what the layer is from this transaction on."""
        from psycopg.types.json import Jsonb

        version = history.next_version([version for version, _ in self.known(before)], item)
        row = [item.name, version.number, version.digest, Jsonb(version.lineage.as_dict()), version.count]
        self.connection.execute(
            "DELETE FROM twin_version WHERE layer = %s AND (number >= %s OR number <= %s)",
            [item.name, version.number, version.number - self.keep],
        )
        self.connection.execute(
            "INSERT INTO twin_version VALUES (%s, %s, %s, %s, %s, %s, pg_current_xact_id()::xid::text, %s)",
            [*row, prints.content, history.encode(prints, version)],
        )

    def untouched(self, item: Item) -> bool:
        """True where every row of the layer's table is as the store loaded it."""
        from psycopg import sql

        query = "SELECT loaded FROM twin_version WHERE layer = %s ORDER BY number DESC LIMIT 1"
        row = self.connection.execute(query, [item.name]).fetchone()
        # A row that somebody wrote since carries the number of that transaction.
        counted = sql.SQL("SELECT count(*), count(*) FILTER (WHERE xmin::text = %s) FROM {}").format(
            sql.Identifier(item.name.replace("%", "%%"))
        )
        return row is not None and self.connection.execute(counted, [row[0]]).fetchone() == (item.count, item.count)

    def prints(self, name: str, number: int) -> Prints:
        """The hashes of one version that is known."""
        query = "SELECT prints FROM twin_version WHERE layer = %s AND number = %s"
        row = self.connection.execute(query, [name, number], binary=True).fetchone()
        assert row is not None
        return history.decode(bytes(row[0]))

    def drop(self, name: str) -> None:
        """Forget the layer."""
        self.connection.execute("DELETE FROM twin_version WHERE layer = %s", [name])
