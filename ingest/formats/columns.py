"""Vector files that OGR reads column by column: whole columns through Arrow, no feature is touched alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely
from numpy.typing import NDArray

from ingest.formats.claims import SAFE_BYTES, refuse_deep, require_rows
from ingest.reading import Tell
from twin.features import Objects

ARROW_SUFFIXES = frozenset({".gpkg", ".fgb"})
ARROW_ERRORS = (pa.ArrowException, OSError, RuntimeError)
BATCH = 65_536
_PLAIN = frozenset({"OFTString", "OFTInteger", "OFTInteger64", "OFTReal"})


def are_columns_plain(path: Path, layer: str | None) -> bool:
    """Whether every column is text or number: dates, lists and booleans are read feature by feature."""
    told = pyogrio.read_info(path, layer=layer)
    return _PLAIN.issuperset(told["ogr_types"]) and {"OFSTNone"}.issuperset(told["ogr_subtypes"])


def read_columns(
    path: Path, layer: str | None, shown: str, tell: Tell
) -> tuple[list[str], list[NDArray[Any]], Objects, str | None]:
    """(names, columns, geometries, CRS the file states): text missing is None, numbers missing are NaN.

    tell    called with (features read, features there are) while it reads; the bytes of one batch are held at a time
    raises  SourceError for collections nested too deep, and for more features than the file has bytes
    """
    total = int(pyogrio.read_info(path, layer=layer)["features"])
    require_rows(total, path, shown)
    with pyogrio.raw.open_arrow(path, layer=layer, use_pyarrow=True, batch_size=BATCH) as (meta, reader):
        names, place = list(meta["fields"]), meta["geometry_name"] or "wkb_geometry"
        parts = [_part(reader.schema.empty_table(), names, place)]
        done = 0
        for batch in reader:
            refuse_deep_batch(batch, place, shown)
            parts.append(_part(batch, names, place))
            done += len(batch)
            if total > BATCH:
                tell(min(done, total), total)
    fields = [np.concatenate([part[k] for part in parts[len(parts) > 1 :]]) for k in range(len(names) + 1)]
    return names, fields[:-1], fields[-1], meta["crs"]


def refuse_deep_batch(batch: pa.RecordBatch, place: str, shown: str) -> None:
    """Nothing for WKB of simple features; SourceError as `refuse_deep`, which looks at long geometries alone."""
    if place in batch.schema.names:
        blobs = batch.column(place)
        refuse_deep(blobs.filter(pc.greater(pc.binary_length(blobs), SAFE_BYTES)).to_pylist(), shown)


def _part(batch: pa.RecordBatch | pa.Table, names: list[str], place: str) -> list[NDArray[Any]]:
    """Columns of a batch as arrays, its geometries last."""
    fields = [batch.column(name).to_numpy(zero_copy_only=False) for name in names]
    if place not in batch.schema.names:
        return [*fields, np.full(batch.num_rows, None, dtype=object)]
    return [*fields, shapely.from_wkb(batch.column(place).to_numpy(zero_copy_only=False))]
