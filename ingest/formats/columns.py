"""Vector files that OGR reads column by column: whole columns through Arrow, no feature is touched alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from numpy.typing import NDArray

from twin.features import Objects

ARROW_SUFFIXES = frozenset({".gpkg", ".fgb"})
ARROW_ERRORS = (pa.ArrowException, OSError, RuntimeError)
_PLAIN = frozenset({"OFTString", "OFTInteger", "OFTInteger64", "OFTReal"})


def are_columns_plain(path: Path, layer: str | None) -> bool:
    """Whether every column is text or number: dates, lists and booleans are read feature by feature."""
    told = pyogrio.read_info(path, layer=layer)
    return _PLAIN.issuperset(told["ogr_types"]) and {"OFSTNone"}.issuperset(told["ogr_subtypes"])


def read_columns(path: Path, layer: str | None) -> tuple[list[str], list[NDArray[Any]], Objects, str | None]:
    """(names, columns, geometries, CRS the file states): text missing is None, numbers missing are NaN."""
    meta, table = pyogrio.raw.read_arrow(path, layer=layer)
    names = list(meta["fields"])
    fields = [table.column(name).to_numpy() for name in names]
    place = meta["geometry_name"] or "wkb_geometry"
    if place not in table.column_names:
        return names, fields, np.full(len(table), None, dtype=object), meta["crs"]
    return names, fields, shapely.from_wkb(table.column(place).to_numpy()), meta["crs"]
