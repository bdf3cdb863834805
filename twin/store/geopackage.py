"""One layer as one OGC GeoPackage: opens in QGIS as it is, pages through its R-tree, same bytes for the same layer."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, cast

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.errors import StoreError
from twin.features import Layer, objects
from twin.frames import Frame
from twin.store.query import Dialect, Page, Where, conditions_sql

_ENVELOPE_BYTES = (0, 32, 48, 48, 64)
BATCH = 65_536  # features that are turned into bytes at a time
_WORDS = 65_536  # different texts from which on no more are looked for again
APART = 250_000  # features from which on a second process is worth its start
_WRITER = "from twin.store.geopackage import pour_from_pipe; pour_from_pipe()"
_STILL = "2000-01-01T00:00:00.000Z"


def write_geopackage(path: Path, name: str, layer: Layer) -> None:
    """Write the layer as table `name` with a unique index on oid."""
    write_table(path, name, layer)
    index_oids(path, name)


def index_oids(path: Path, name: str) -> None:
    """Put the unique index on oid."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE UNIQUE INDEX idx_oid ON {_quoted(name)} (oid)")
        database.commit()


def write_table(path: Path, name: str, layer: Layer, append: bool = False) -> None:
    """Write the layer as table `name`, without the index on oid."""
    import pyarrow

    schema = _batch(layer, slice(0)).schema
    batches = (_batch(layer, slice(start, start + BATCH)) for start in range(0, len(layer), BATCH))
    told = {
        "layer": name,
        "crs": layer.frame.crs,
        "geometry_type": geometry_type(layer),
        "layer_metadata": {"feature_class": layer.name},
        "append": append and path.exists(),
    }
    if len(layer) < APART or not sys.executable:
        _pour(pyarrow.RecordBatchReader.from_batches(schema, batches), path, told)
    else:
        _pour_apart(schema, batches, path, told)


def _pour(batches: Any, path: Path, told: Mapping[str, Any]) -> None:
    import pyogrio

    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _STILL})
    pyogrio.raw.write_arrow(batches, path, driver="GPKG", geometry_name="geom", **told)


def _pour_apart(schema: Any, batches: Iterator[Any], path: Path, told: Mapping[str, Any]) -> None:
    """The same in a process of its own, fed through a pipe: GDAL never lets go of the interpreter while it writes.

    The pipe ends with this process, and the writer with the pipe.
    """

    command = [sys.executable, "-c", _WRITER, str(path), json.dumps(told)]
    with TemporaryFile() as said, subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said) as process:
        # A writer that fails closes the pipe; what it says of it comes below.
        with suppress(BrokenPipeError), cast(IO[bytes], process.stdin) as pipe:
            _send(pipe, schema, batches)
        if process.wait() != 0:
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines() or [f"ended with {process.returncode}"]
            raise StoreError(f"{path}: cannot be written ({words[-1]})")


def _send(pipe: IO[bytes], schema: Any, batches: Iterator[Any]) -> None:
    import pyarrow

    with pyarrow.ipc.new_stream(pipe, schema) as stream:
        for batch in batches:
            stream.write_batch(batch)


def pour_from_pipe() -> None:
    """Write what comes through standard input as the arguments say: the work of the process of its own."""
    import pyarrow

    _pour(pyarrow.ipc.open_stream(sys.stdin.buffer), Path(sys.argv[1]), json.loads(sys.argv[2]))


def _batch(layer: Layer, rows: slice) -> Any:
    """Some rows as an Arrow batch: NaN becomes null, text stays as it is, geometries are WKB."""
    import pyarrow

    arrays: dict[str, Any] = {"oid": pyarrow.array(layer.oid[rows], type=pyarrow.string())}
    for key, values in layer.columns.items():
        kind = None if values.dtype.kind in "fiub" else pyarrow.string()
        arrays[key] = pyarrow.array(values[rows], type=kind, from_pandas=True)
    arrays["geom"] = pyarrow.array(shapely.to_wkb(layer.geometry[rows]), type=pyarrow.binary())
    return pyarrow.RecordBatch.from_pydict(arrays)


def write_geopackage_of(path: Path, layers: Iterable[tuple[str, Layer]]) -> None:
    """Several layers in one new GeoPackage at `path`, for programs of others."""
    beside = path.with_name(f".{path.name}.part.gpkg")
    beside.unlink(missing_ok=True)
    for place, (name, layer) in enumerate(layers):
        write_table(beside, name, layer, append=place > 0)
    beside.replace(path)


def geometry_type(layer: Layer, mixed: str = "Unknown") -> str:
    """OGC name of the one kind of geometry the layer has; `mixed` where there are several or none."""
    kinds = set(shapely.get_type_id(layer.geometry).tolist())
    names = {0: "Point", 1: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon"}
    return names.get(kinds.pop(), mixed) if len(kinds) == 1 else mixed


def read_geopackage(
    path: Path,
    name: str,
    frame: Frame,
    feature_class: str,
    where: Where,
    columns: Iterable[str] | None = None,
    page: Page = Page(),  # noqa: B008
) -> tuple[Layer, NDArray[np.int64]]:
    """The features that `where` chooses, in the order of their keys, and the keys."""
    with closing(_open(path)) as database:
        known = _columns(database, name)
        wanted = [c for c in known if c not in ("fid", "geom", "oid")]
        if columns is not None:
            wanted = [c for c in wanted if c in set(columns)]
        clause, values = _chosen(database, name, known, where)
        picked = ", ".join(_quoted(c) for c in ("fid", "geom", "oid", *wanted))
        tail = "" if page.limit is None else f" LIMIT {int(page.limit)}"
        query = f"SELECT {picked} FROM {_quoted(name)} WHERE fid > ? AND {clause} ORDER BY fid{tail}"
        cursor = database.execute(query, [page.after, *values])
        kinds = {column: known[column] for column in wanted}
        words: dict[str, str] = {}
        parts = [_part(rows, kinds, words) for rows in iter(lambda: cursor.fetchmany(BATCH), [])]
    return _joined(parts or [_part([], kinds, words)], kinds, frame, feature_class)


def count_geopackage(path: Path, name: str, where: Where) -> int:
    """How many features `where` chooses."""
    with closing(_open(path)) as database:
        clause, values = _chosen(database, name, _columns(database, name), where)
        return int(database.execute(f"SELECT count(*) FROM {_quoted(name)} WHERE {clause}", values).fetchone()[0])


def _chosen(database: sqlite3.Connection, table: str, known: Mapping[str, str], where: Where) -> tuple[str, list[Any]]:
    """The condition, with the values to bind."""
    kinds = {column: kind == "REAL" for column, kind in known.items() if column not in ("fid", "geom")}
    parts, values = conditions_sql(table, where.conditions, kinds, _SQLITE)
    for box in (where.bbox, where.reach()):
        if box is not None:
            tree = _quoted(f"rtree_{table}_geom")
            parts.append(f"fid IN (SELECT id FROM {tree} WHERE maxx >= ? AND minx <= ? AND maxy >= ? AND miny <= ?)")
            values += [box[0], box[2], box[1], box[3]]
    if where.shape is not None:
        database.create_function("twin_meets", 1, _meets(where), deterministic=True)
        parts.append("twin_meets(geom)")
    if where.oids is not None:
        parts.append("oid IN (SELECT value FROM json_each(?))")
        values.append(_json_list(where.oids))
    return " AND ".join(f"({part})" for part in parts) or "1 = 1", values


def _meets(where: Where) -> Callable[[bytes | None], int]:
    """1 for the blob of a geometry that meets the shape, or comes near enough."""
    shapely.prepare(where.shape)

    def meets(blob: bytes | None) -> int:
        if blob is None:
            return 0
        geometry = shapely.from_wkb(_wkb(blob))
        if where.distance:
            return int(shapely.dwithin(where.shape, geometry, where.distance))
        return int(shapely.intersects(where.shape, geometry))

    return meets


def _part(rows: list[tuple[Any, ...]], kinds: Mapping[str, str], words: dict[str, str]) -> list[NDArray[Any]]:
    """The columns of some rows: key, geometry, oid, then those of `kinds`; the same text is the same object."""
    table = [np.array([row[0] for row in rows], dtype=np.int64), _shapes(rows), objects([row[2] for row in rows])]
    for place, kind in enumerate(kinds.values(), start=3):
        values = [row[place] for row in rows]
        if kind == "REAL":
            table.append(np.array([np.nan if v is None else v for v in values], dtype=np.float64))
        else:
            found = words.setdefault if len(words) < _WORDS else words.get
            table.append(objects(["" if v is None else found(v, v) for v in values]))
    return table


def _shapes(rows: list[tuple[Any, ...]]) -> NDArray[np.object_]:
    return objects(shapely.from_wkb(objects([_wkb(row[1]) for row in rows])) if rows else [])


def _joined(
    parts: list[list[NDArray[Any]]], kinds: Mapping[str, str], frame: Frame, feature_class: str
) -> tuple[Layer, NDArray[np.int64]]:
    fids, geometry, oid, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Layer(feature_class, frame, oid, geometry, dict(zip(kinds, columns, strict=True))), fids


def _wkb(blob: bytes | None) -> bytes | None:
    if blob is None:
        return None
    return blob[8 + _ENVELOPE_BYTES[(blob[3] >> 1) & 7] :]


def _open(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path}: cannot be opened ({error})") from error


def _columns(database: sqlite3.Connection, table: str) -> dict[str, str]:
    try:
        rows = database.execute(f"PRAGMA table_info({_quoted(table)})").fetchall()
    except sqlite3.DatabaseError as error:
        raise StoreError(f"layer {table}: damaged GeoPackage ({error}); run the ingest again") from error
    return {row[1]: row[2] for row in rows}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_SQLITE = Dialect("?", "instr", "COLLATE BINARY", _quoted)


def _json_list(values: Sequence[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)
