"""Live data in tables of PostgreSQL: every batch is one transaction, latest values included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin.live import Datastream, Incident, Observation, Thing
from twin.store.database import Database
from twin.store.live import T, from_json, to_json


class PostgisLive:
    """The live store of the PostGIS store; many readers and many writers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_things(self, things: Iterable[Thing]) -> None:
        """Add or replace by oid."""
        self._put("thing", things)

    def put_datastreams(self, datastreams: Iterable[Datastream]) -> None:
        """Add or replace by oid."""
        self._put("datastream", datastreams)

    def put_incidents(self, incidents: Iterable[Incident]) -> None:
        """Add or replace by oid."""
        self._put("incident", incidents)

    def append(self, datastream_oid: ArrayLike, time: ArrayLike, value: ArrayLike) -> int:
        """Add observations (n,) in one transaction, latest values included; returns n."""
        oids = np.asarray(datastream_oid, dtype=object).tolist()
        times, values = np.asarray(time, float).tolist(), np.asarray(value, float).tolist()
        rows = {(oid, moment): number for oid, moment, number in zip(oids, times, values, strict=True)}
        # In one order for all writers, so that no two wait for each other.
        keys = sorted(rows)
        newest = {oid: (moment, rows[oid, moment]) for oid, moment in keys}
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO twin_observation SELECT * FROM unnest(%s::text[], %s::float8[], %s::float8[]) "
                "ON CONFLICT (datastream, time) DO UPDATE SET value = excluded.value",
                [[key[0] for key in keys], [key[1] for key in keys], [rows[key] for key in keys]],
            )
            connection.execute(
                "INSERT INTO twin_latest SELECT * FROM unnest(%s::text[], %s::float8[], %s::float8[]) "
                "ON CONFLICT (datastream) DO UPDATE SET time = excluded.time, value = excluded.value "
                "WHERE excluded.time >= twin_latest.time",
                [list(newest), [row[0] for row in newest.values()], [row[1] for row in newest.values()]],
            )
        return len(oids)

    def things(self) -> list[Thing]:
        """All things by oid."""
        return self._all("thing", Thing)

    def datastreams(self) -> list[Datastream]:
        """All datastreams by oid."""
        return self._all("datastream", Datastream)

    def incidents(self) -> list[Incident]:
        """All incidents, newest first."""
        return sorted(self._all("incident", Incident), key=lambda incident: (-incident.time, incident.oid))

    def latest(self) -> list[Observation]:
        """The last observation of every datastream, by oid."""
        with self._database.transaction() as connection:
            rows = connection.execute('SELECT * FROM twin_latest ORDER BY datastream COLLATE "C"').fetchall()
        return [Observation(*row) for row in rows]

    def series(self, datastream_oid: str, since: float = 0.0, until: float = 1e18) -> NDArray[np.float64]:
        """(n, 2) f8 of time and value, oldest first."""
        with self._database.transaction() as connection, connection.cursor(binary=True) as cursor:
            rows = cursor.execute(
                "SELECT time, value FROM twin_observation "
                "WHERE datastream = %s AND time BETWEEN %s::float8 AND %s::float8 ORDER BY time",
                [datastream_oid, since, until],
            ).fetchall()
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def observations(self, since: float = 0.0, until: float = 1e18) -> Iterator[Observation]:
        """All observations in the order of time, then datastream."""
        with self._database.transaction() as connection, connection.cursor(binary=True) as cursor:
            rows = cursor.execute(
                "SELECT datastream, time, value FROM twin_observation "
                'WHERE time BETWEEN %s::float8 AND %s::float8 ORDER BY time, datastream COLLATE "C"',
                [since, until],
            ).fetchall()
        return (Observation(*row) for row in rows)

    def span(self) -> tuple[float, float] | None:
        """First and last time of all observations; None where there is none."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT min(time), max(time) FROM twin_observation").fetchone()
        return None if row is None or row[0] is None else (row[0], row[1])

    def clear(self) -> None:
        """Forget everything."""
        from psycopg import sql

        with self._database.transaction() as connection:
            for table in ("thing", "datastream", "incident", "observation", "latest"):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(f"twin_{table}")))

    def _put(self, table: str, items: Iterable[T]) -> None:
        from psycopg import sql

        bodies = {item.oid: to_json(item) for item in items}
        keys = sorted(bodies)
        put = sql.SQL(
            "INSERT INTO {} SELECT oid, body::jsonb FROM unnest(%s::text[], %s::text[]) AS given (oid, body) "
            "ON CONFLICT (oid) DO UPDATE SET body = excluded.body"
        ).format(sql.Identifier(f"twin_{table}"))
        with self._database.transaction() as connection:
            connection.execute(put, [keys, [bodies[key] for key in keys]])

    def _all(self, table: str, kind: type[T]) -> list[T]:
        from psycopg import sql

        query = sql.SQL('SELECT body::text FROM {} ORDER BY oid COLLATE "C"').format(sql.Identifier(f"twin_{table}"))
        with self._database.transaction() as connection:
            rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        return [from_json(kind, row[0]) for row in rows]
