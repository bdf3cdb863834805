"""GeoParquet files through geopandas and pyarrow; the CRS is the one of the file's own "geo" metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from ingest.formats.claims import refuse_deep, require_rows
from ingest.reading import RawTable
from twin.errors import SourceError
from twin.features import objects

PARQUET_SUFFIXES = frozenset({".parquet", ".geoparquet"})
# What geopandas lets through from its parts where a file is not what its footer says: NotImplementedError is shapely's
# for curves, RecursionError that of metadata nested too deep.
_BROKEN = (
    shapely.errors.ShapelyError, pyproj.exceptions.CRSError, ValueError, KeyError, TypeError, OSError, AttributeError,
    IndexError, NotImplementedError, RecursionError,
)  # fmt: skip


def read_parquet(path: Path, shown: str) -> RawTable:
    """The features of a GeoParquet file as they are.

    crs     of the file; "OGC:CRS84" where its metadata leave it out, as GeoParquet 1.1 says; "" where they say null
    raises  SourceError for a damaged file, and for Parquet without "geo" metadata
    """
    import geopandas
    import pyarrow

    try:
        _inspect(path, shown)
        table = geopandas.read_parquet(path)
    except (pyarrow.ArrowException, *_BROKEN) as err:
        word = str(err).splitlines()[0][:160] if str(err) else type(err).__name__
        raise SourceError(f"{shown}: no GeoParquet that can be read to the end ({word}); ask for it again") from err
    place = table.geometry.name
    fields = {str(name): _values(table[name]) for name in table.columns if name != place}
    authority = table.crs.to_authority() if table.crs is not None else None
    crs = "" if table.crs is None else ":".join(authority) if authority else str(table.crs.to_wkt())
    return RawTable(fields, objects(table.geometry.to_numpy().tolist()), crs, shown)


def _inspect(path: Path, shown: str) -> None:
    """What would fill memory or end the stack is refused before geopandas makes geometries of it."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        require_rows(file.metadata.num_rows, path, shown)
        stated = json.loads((file.schema_arrow.metadata or {}).get(b"geo", b"{}"))
        names = [name for name in stated.get("columns", ()) if name in file.schema_arrow.names]
        binary = [name for name in names if pa.types.is_binary(file.schema_arrow.field(name).type)]
        for batch in file.iter_batches(columns=binary) if binary else ():
            for column in batch.columns:
                refuse_deep(column.to_pylist(), shown)


def _values(column: Any) -> NDArray[Any]:
    if isinstance(column.dtype, np.dtype):
        return np.asarray(column.to_numpy())
    if column.dtype.kind == "M":
        return objects([moment.isoformat() if moment == moment else "" for moment in column.tolist()])
    return np.asarray(column.to_numpy(dtype=object, na_value=None))
