"""GeoParquet files through geopandas and pyarrow; the CRS is the one of the file's own "geo" metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.reading import Delivery, RawTable
from twin.errors import SourceError
from twin.features import objects

PARQUET_SUFFIXES = frozenset({".parquet", ".geoparquet"})


def read_parquet(path: Path, delivery: Delivery) -> RawTable:
    """The features of a GeoParquet file as they are.

    crs     of the file; "OGC:CRS84" where its metadata leave it out, as GeoParquet 1.1 says; "" where they say null
    raises  SourceError for a damaged file, and for Parquet without "geo" metadata
    """
    import geopandas
    import pyarrow

    shown = delivery.shown(path)
    try:
        table = geopandas.read_parquet(path)
    except (pyarrow.ArrowException, shapely.errors.ShapelyError, ValueError, KeyError, TypeError, OSError) as err:
        word = str(err).splitlines()[0][:160] if str(err) else type(err).__name__
        raise SourceError(f"{shown}: no GeoParquet that can be read to the end ({word}); ask for it again") from err
    place = table.geometry.name
    fields = {str(name): _values(table[name]) for name in table.columns if name != place}
    authority = table.crs.to_authority() if table.crs is not None else None
    crs = "" if table.crs is None else ":".join(authority) if authority else str(table.crs.to_wkt())
    return RawTable(fields, objects(table.geometry.to_numpy().tolist()), crs, shown)


def _values(column: Any) -> NDArray[Any]:
    if isinstance(column.dtype, np.dtype):
        return np.asarray(column.to_numpy())
    if column.dtype.kind == "M":
        return objects([moment.isoformat() if moment == moment else "" for moment in column.tolist()])
    return np.asarray(column.to_numpy(dtype=object, na_value=None))
