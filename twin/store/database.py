"""One schema of a PostgreSQL database with PostGIS: connections opened when asked for, tables made at the first."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from twin.errors import OptionsError, StoreError

if TYPE_CHECKING:
    import psycopg

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

_MAKE = """
CREATE TABLE IF NOT EXISTS twin_item (
    kind text NOT NULL, name text NOT NULL, digest text NOT NULL, lineage jsonb NOT NULL, extent float8[],
    count bigint NOT NULL, extra jsonb NOT NULL, PRIMARY KEY (kind, name)
);
CREATE TABLE IF NOT EXISTS twin_stage (stage text PRIMARY KEY, stamp text NOT NULL);
CREATE TABLE IF NOT EXISTS twin_document (name text PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS twin_thing (oid text PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS twin_datastream (oid text PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS twin_incident (oid text PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS twin_observation (
    datastream text NOT NULL, time float8 NOT NULL, value float8 NOT NULL, PRIMARY KEY (datastream, time)
);
CREATE INDEX IF NOT EXISTS twin_observation_time ON twin_observation (time, datastream);
CREATE TABLE IF NOT EXISTS twin_latest (datastream text PRIMARY KEY, time float8 NOT NULL, value float8 NOT NULL);
CREATE TABLE IF NOT EXISTS twin_version (
    layer text NOT NULL, number bigint NOT NULL, digest text NOT NULL, lineage jsonb NOT NULL, count bigint NOT NULL,
    content text NOT NULL, loaded text NOT NULL, prints bytea NOT NULL, PRIMARY KEY (layer, number)
);
ALTER TABLE twin_version ALTER COLUMN prints SET STORAGE EXTERNAL;
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


class Database:
    """Transactions on one schema.

    url     postgresql://... or any libpq connection string; a password may stay in PGPASSWORD or ~/.pgpass
    schema  lower-case letters, digits and underscores; made where there is none
    """

    def __init__(self, url: str, schema: str) -> None:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,50}", schema):
            raise OptionsError(f"[store] schema = {schema!r}: wants lower-case letters, digits and underscores")
        self.url, self.schema = url, schema
        self._ready = False
        # Idle connections by process: a forked child never speaks through its parent's.
        self._idle: dict[int, list[Connection]] = {}
        weakref.finalize(self, _close, self._idle)

    def __reduce__(self) -> tuple[type[Database], tuple[str, str]]:
        return Database, (self.url, self.schema)

    @property
    def place(self) -> str:
        """Where it is, for people; no password."""
        from psycopg.conninfo import conninfo_to_dict

        told = conninfo_to_dict(self.url)
        return f"postgresql://{told.get('host', 'localhost')}/{told.get('dbname', '')} schema {self.schema}"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection inside one transaction: all of it is kept, or nothing; errors come as StoreError."""
        import psycopg

        connection = self._take()
        try:
            with connection.transaction():
                yield connection
        except psycopg.Error as error:
            raise StoreError(f"{self.place}: {_sentence(error)}") from error
        finally:
            if not connection.closed:
                self._idle.setdefault(os.getpid(), []).append(connection)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the schema for one writer, from whichever machine; the lock goes with the connection."""
        connection = self._open()
        try:
            asked = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
            row = connection.execute(asked, [f"twin writer {self.schema}"]).fetchone()
            if row is None or not row[0]:
                raise StoreError(f"{self.place}: another run is writing here; wait for it or stop it")
            yield
        finally:
            connection.close()

    def close(self) -> None:
        """Give the idle connections back; the next verb opens a new one."""
        _close(self._idle)

    def _take(self) -> Connection:
        import psycopg

        idle = self._idle.setdefault(os.getpid(), [])
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                return self._open()
            try:
                connection.execute("")
            except psycopg.Error:
                connection.close()
            else:
                return connection

    def _open(self) -> Connection:
        import psycopg

        try:
            # Server-side plans would outlive the table they were made for.
            connection = psycopg.connect(self.url, autocommit=True, connect_timeout=10, prepare_threshold=None)
        except psycopg.ProgrammingError:
            # The driver's own sentence would repeat the string, password and all.
            wanted = "wants postgresql://user@host/database"
            raise OptionsError(f"[store] url is no PostgreSQL connection string; {wanted}") from None
        except psycopg.Error as error:
            raise StoreError(f"{self.place}: cannot be reached ({_sentence(error)}); mend [store] url") from error
        try:
            connection.execute("SELECT set_config('search_path', %s, false)", [f"{self.schema}, public"])
            if not self._ready:
                self._make(connection)
        except psycopg.Error as error:
            connection.close()
            raise StoreError(f"{self.place}: cannot be made ready ({_sentence(error)})") from error
        self._ready = True
        return connection

    def _make(self, connection: Connection) -> None:
        from psycopg import sql

        there = ("SELECT to_regclass(%s)", [f"{self.schema}.twin_version"])
        if connection.execute(*there).fetchone() != (None,):
            return
        with connection.transaction():
            connection.execute(_LOCK, ["twin schema"])
            if connection.execute(*there).fetchone() != (None,):
                return
            if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'postgis'").fetchone() is None:
                connection.execute("CREATE EXTENSION postgis SCHEMA public")
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema)))
            connection.execute(_MAKE)


def lock_item(connection: Connection, schema: str, kind: str, name: str) -> None:
    """Writers of the same item wait for each other until the transaction ends."""
    connection.execute(_LOCK, [f"twin {schema} {kind} {name}"])


def _close(idle: dict[int, list[Connection]]) -> None:
    kept = idle.pop(os.getpid(), [])
    while kept:
        kept.pop().close()


def _sentence(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
