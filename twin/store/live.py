"""Live data in one SQLite file: write-ahead log, many readers beside one writer, latest values kept as they move."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin.live import Datastream, Incident, Observation, Thing

T = TypeVar("T", Thing, Datastream, Incident)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS thing (oid TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS datastream (oid TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incident (oid TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS observation (
    datastream TEXT NOT NULL, time REAL NOT NULL, value REAL NOT NULL, PRIMARY KEY (datastream, time)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS observation_time ON observation (time, datastream);
CREATE TABLE IF NOT EXISTS latest (datastream TEXT PRIMARY KEY, time REAL NOT NULL, value REAL NOT NULL) WITHOUT ROWID;
"""


class SqliteLive:
    """The live store of the folder store; the file appears with the first write."""

    def __init__(self, path: Path) -> None:
        self._path = path

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
        rows = list(zip(oids, np.asarray(time, float).tolist(), np.asarray(value, float).tolist(), strict=True))
        newest: dict[str, tuple[str, float, float]] = {}
        for row in rows:
            if row[0] not in newest or row[1] >= newest[row[0]][1]:
                newest[row[0]] = row
        with closing(self._write()) as database, database:
            database.executemany("INSERT OR REPLACE INTO observation VALUES (?, ?, ?)", rows)
            database.executemany(
                "INSERT INTO latest VALUES (?, ?, ?) ON CONFLICT (datastream) DO UPDATE "
                "SET time = excluded.time, value = excluded.value WHERE excluded.time >= latest.time",
                newest.values(),
            )
        return len(rows)

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
        return [Observation(*row) for row in self._query("SELECT * FROM latest ORDER BY datastream")]

    def series(self, datastream_oid: str, since: float = 0.0, until: float = 1e18) -> NDArray[np.float64]:
        """(n, 2) f8 of time and value, oldest first."""
        rows = self._query(
            "SELECT time, value FROM observation WHERE datastream = ? AND time BETWEEN ? AND ? ORDER BY time",
            (datastream_oid, since, until),
        )
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def observations(self, since: float = 0.0, until: float = 1e18) -> Iterator[Observation]:
        """All observations in the order of time, then datastream."""
        rows = self._query(
            "SELECT datastream, time, value FROM observation WHERE time BETWEEN ? AND ? ORDER BY time, datastream",
            (since, until),
        )
        return (Observation(*row) for row in rows)

    def span(self) -> tuple[float, float] | None:
        """First and last time of all observations; None where there is none."""
        rows = self._query("SELECT min(time), max(time) FROM observation")
        return None if not rows or rows[0][0] is None else (float(rows[0][0]), float(rows[0][1]))

    def clear(self) -> None:
        """Forget everything."""
        with closing(self._write()) as database, database:
            for table in ("thing", "datastream", "incident", "observation", "latest"):
                database.execute(f"DELETE FROM {table}")

    def _put(self, table: str, items: Iterable[T]) -> None:
        rows = [(item.oid, to_json(item)) for item in items]
        with closing(self._write()) as database, database:
            database.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows)

    def _all(self, table: str, kind: type[T]) -> list[T]:
        return [from_json(kind, row[0]) for row in self._query(f"SELECT body FROM {table} ORDER BY oid")]

    def _query(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(self._path, timeout=10.0)) as database:
            return database.execute(sql, values).fetchall()

    def _write(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=10.0)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
        return database


def to_json(item: Thing | Datastream | Incident) -> str:
    """The item as JSON; NaN becomes null."""
    values = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(item).items()}
    return json.dumps(values, ensure_ascii=False, sort_keys=True, allow_nan=False)


def from_json(kind: type[T], text: str) -> T:
    """The item that `to_json` wrote; a null number becomes NaN."""
    values: dict[str, Any] = json.loads(text)
    floats = {f.name for f in fields(kind) if f.type == "float"}
    filled: dict[str, Any] = {k: math.nan if v is None and k in floats else v for k, v in values.items()}
    return kind(**filled)
