"""One layer as one PostGIS table: loaded by COPY, replaced whole, read through its spatial index."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.errors import StoreError
from twin.features import Layer, objects
from twin.frames import Frame
from twin.store import copying
from twin.store.database import Connection
from twin.store.geopackage import geometry_type
from twin.store.query import Dialect, Page, Where, conditions_sql

if TYPE_CHECKING:
    from psycopg import sql

_LONGEST = 63
_NUMBER, _TEXT = "double precision", "text"
_SORTING = (
    "SELECT set_config('maintenance_work_mem', '256MB', true) "
    "WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('256MB')"
)


def srid_of(frame: Frame) -> int:
    """EPSG code of the frame's CRS; 0 where it has none."""
    from pyproj import CRS

    return CRS.from_user_input(frame.crs).to_epsg() or 0


def replace_table(connection: Connection, name: str, layer: Layer, srid: int) -> str:
    """Load the layer into a new table and put it in the place of `name`; returns the digest of its content.

    Runs inside the caller's transaction: readers see the table before or the table after, and a connection that
    breaks leaves the one before. They wait for the exchange only, not for the load.
    """
    from psycopg import sql

    for key in layer.columns:
        if len(key.encode()) > _LONGEST or key in ("fid", "oid", "geom"):
            raise StoreError(
                f"layer {name}: column {key!r} cannot be kept; wants at most {_LONGEST} bytes, no fid or geom"
            )
    fresh, table = sql.Identifier(f"twin_load_{name}"), sql.Identifier(name)
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(key), sql.SQL(_NUMBER if copying.is_number(values) else _TEXT))
        for key, values in layer.columns.items()
    ]
    kind = sql.SQL("geometry({}, {})").format(sql.SQL(geometry_type(layer, "Geometry")), sql.Literal(srid))
    made = [sql.SQL("fid bigint NOT NULL, oid text NOT NULL, geom {}").format(kind), *columns]
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(fresh, sql.SQL(", ").join(made)))
    digest = hashlib.blake2b(_header(layer), digest_size=16)
    # Nobody else can see a table of this transaction: its rows are frozen at once, not once more by a vacuum.
    load = sql.SQL("COPY {} FROM STDIN (FORMAT binary, FREEZE)").format(fresh)
    with connection.cursor() as cursor, cursor.copy(load) as copy:
        copy.write(copying.HEAD)
        for chunk in copying.ahead(copying.binary_rows(layer, srid)):
            digest.update(chunk)
            copy.write(chunk)
        copy.write(copying.TAIL)
    # An index over rows that are there is sorted, not grown row by row.
    connection.execute(_SORTING)
    connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (fid), ADD UNIQUE (oid)").format(fresh))
    connection.execute(sql.SQL("CREATE INDEX ON {} USING gist (geom)").format(fresh))
    connection.execute(sql.SQL("ANALYZE {}").format(fresh))
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(fresh, table))
    return digest.hexdigest()


def drop_table(connection: Connection, name: str) -> None:
    """Take the table out, where there is one."""
    from psycopg import sql

    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))


def digest_of_layer(layer: Layer, srid: int) -> str:
    """The digest that `replace_table` gives to the same layer."""
    digest = hashlib.blake2b(_header(layer), digest_size=16)
    for chunk in copying.binary_rows(layer, srid):
        digest.update(chunk)
    return digest.hexdigest()


def hold_table(connection: Connection, name: str) -> dict[str, str]:
    """Columns and their types; until the transaction ends no writer can exchange the table."""
    from psycopg import sql

    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.Identifier(name)))
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = to_regclass(quote_ident(%s)) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [name],
    )
    return dict(rows.fetchall())


def read_table(
    connection: Connection,
    name: str,
    known: Mapping[str, str],
    where: Where,
    page: Page,
    columns: Iterable[str] | None,
    srid: int,
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """(columns read, rows of fid, oid, WKB and those columns) in the order of keys."""
    from psycopg import sql

    wanted = [key for key in known if key not in ("fid", "oid", "geom")]
    if columns is not None:
        wanted = [key for key in wanted if key in set(columns)]
    clause, values = _chosen(name, known, where, srid)
    picked = sql.SQL(", ").join(_named(key) for key in ("fid", "oid", "geom", *wanted))
    tail = sql.SQL("") if page.limit is None else sql.SQL(" LIMIT {}").format(sql.Literal(int(page.limit)))
    query = sql.SQL("SELECT {} FROM {} WHERE fid > %s AND {} ORDER BY fid{}").format(picked, _named(name), clause, tail)
    with connection.cursor(binary=True) as cursor:
        return wanted, cursor.execute(query, [page.after, *values]).fetchall()


def layer_of(
    rows: list[tuple[Any, ...]], wanted: list[str], known: Mapping[str, str], frame: Frame, feature_class: str
) -> tuple[Layer, NDArray[np.int64]]:
    """The rows of `read_table` as a layer, and their keys (n,)."""
    parts = list(zip(*rows, strict=True)) if rows else [()] * (3 + len(wanted))
    geometry = shapely.set_srid(shapely.from_wkb(objects(parts[2])), 0) if rows else objects([])
    table: dict[str, NDArray[Any]] = {}
    for key, values in zip(wanted, parts[3:], strict=True):
        if known[key] == _NUMBER:
            table[key] = np.array([math.nan if v is None else v for v in values], dtype=np.float64)
        else:
            table[key] = objects(["" if v is None else v for v in values])
    keys = np.array(parts[0], dtype=np.int64)
    return Layer(feature_class, frame, objects(parts[1]), objects(geometry), table), keys


def count_rows(connection: Connection, name: str, known: Mapping[str, str], where: Where, srid: int) -> int:
    """How many features `where` chooses."""
    from psycopg import sql

    clause, values = _chosen(name, known, where, srid)
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(_named(name), clause)
    row = connection.execute(query, values).fetchone()
    return 0 if row is None else int(row[0])


def _chosen(name: str, known: Mapping[str, str], where: Where, srid: int) -> tuple[sql.Composable, list[Any]]:
    """The condition, with the values to bind."""
    from psycopg import sql

    kinds = {column: kind == _NUMBER for column, kind in known.items() if column not in ("fid", "geom")}
    parts, values = conditions_sql(name, where.conditions, kinds, _POSTGRES)
    if where.bbox is not None:
        parts.append("geom && ST_MakeEnvelope(%s, %s, %s, %s, %s)")
        values += [*(float(v) for v in where.bbox), srid]
    if where.shape is not None:
        shape = shapely.to_wkb(shapely.force_2d(where.shape))
        near = where.distance > 0.0
        parts.append(f"ST_{'DWithin' if near else 'Intersects'}(geom, ST_GeomFromWKB(%s, %s){', %s' if near else ''})")
        values += [shape, srid, *([float(where.distance)] if near else [])]
    if where.oids is not None:
        parts.append("oid = ANY(%s)")
        values.append([oid for oid in where.oids if "\0" not in oid])
    return sql.SQL(" AND ".join(f"({part})" for part in parts) or "true"), values


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


_POSTGRES = Dialect("%s", "strpos", 'COLLATE "C"', _quoted)


def _named(name: str) -> sql.Identifier:
    """A name inside a query with values to bind, where a lone % would be a placeholder."""
    from psycopg import sql

    return sql.Identifier(name.replace("%", "%%"))


def _header(layer: Layer) -> bytes:
    kinds = [[key, copying.is_number(values)] for key, values in layer.columns.items()]
    return json.dumps([layer.name, kinds], ensure_ascii=False).encode()
