"""Tables: CSV with coordinates as map vendors deliver them (GCJ-02, BD-09, WGS 84) or in a projected CRS."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ingest.conform import column_mapping
from ingest.formats.claims import refuse_deep_text
from ingest.formats.spreadsheet import column_names, read_spreadsheet
from ingest.formats.words import numbers
from ingest.reading import Delivery, RawTable, listed
from twin.errors import SourceError
from twin.features import objects

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".xlsx"})
COLUMN_LIMIT = 5000
_GUESSES = ("utf-8", "gb18030", "big5")


def read_table(path: Path, delivery: Delivery) -> RawTable:
    """A text table or a sheet as it is, every value text, no geometry yet.

    encoding    declared, else UTF-8 (with or without byte order mark)
    names       of two columns with one name the first keeps it, the next is "name (2)", and a note says so
    rows        without any value are left out
    raises      SourceError for a wrong encoding (with the one that fits), an empty file, rows of unequal length
    """
    if path.suffix.lower() == ".xlsx":
        return read_spreadsheet(path, delivery)
    shown = delivery.shown(path)
    encoding = delivery.source.encoding or "utf-8"
    codec = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    try:
        table = pd.read_csv(
            path, sep=_separator(path, codec, shown), dtype=str, keep_default_na=False, encoding=codec, engine="c",
            header=None, skipinitialspace=True,
        )  # fmt: skip
    except UnicodeDecodeError as err:
        raise SourceError(f"{shown}: text is not {encoding}; {_fitting(path)}") from err
    except LookupError as err:
        raise SourceError(f"{shown}: encoding {encoding!r} is unknown to Python; {_fitting(path)}") from err
    except pd.errors.EmptyDataError as err:
        raise SourceError(f"{shown}: the file is empty; a table needs at least its line of column names") from err
    except (pd.errors.ParserError, csv.Error) as err:
        raise SourceError(f"{shown}: {str(err).splitlines()[0]}; quote values that hold the separator") from err
    names, notes = column_names([str(name).strip() for name in table.iloc[0]], shown)
    table = table.iloc[1:].fillna("")
    table = table[(table != "").any(axis=1)]
    fields = {name: table.iloc[:, k].to_numpy(dtype=object) for k, name in enumerate(names) if name}
    return RawTable(fields, np.full(len(table), None, dtype=object), "", shown, tuple(notes))


def _separator(path: Path, codec: str, shown: str) -> str:
    """The character that stands most often in the line of names; blanks where none does and the words line up."""
    with path.open(encoding=codec) as file:
        head, first = file.readline(), file.readline()
    found = max((",", "\t", ";", "|"), key=head.count)
    if head.count(found) >= COLUMN_LIMIT:
        raise SourceError(f"{shown}: more than {COLUMN_LIMIT} columns; no table, or one without line breaks")
    words = len(head.split())
    if found not in head and words > 1 and len(first.split()) == words:
        return r"\s+"
    return found


def _fitting(path: Path) -> str:
    raw = path.read_bytes()
    for guess in _GUESSES:
        try:
            raw.decode(guess)
        except UnicodeDecodeError:
            continue
        return f'set encoding = "{"gbk" if guess == "gb18030" else guess}" on the source in city.toml'
    return 'set encoding = "..." on the source in city.toml'


def points_of_table(raw: RawTable, delivery: Delivery, known: Iterable[str], required: bool = True) -> RawTable:
    """The table with its geometries: from `wkt`, from `lon` and `lat`, or from `x` and `y`, as `columns` maps them.

    required    without such columns: SourceError where true, a table without place where false
    """
    mapping = column_mapping(raw, delivery, known)
    if "wkt" in mapping:
        return replace(raw, geometry=_from_wkt(raw.fields[mapping["wkt"]], raw.shown))
    pair = next((pair for pair in (("lon", "lat"), ("x", "y")) if all(name in mapping for name in pair)), None)
    if pair is None:
        if required:
            raise SourceError(
                f'{raw.shown}: no coordinates; map them in columns = {{ lon = "...", lat = "..." }} (or x, y; or wkt); '
                f"the file has {listed(raw.fields)}"
            )
        return raw
    xy = np.column_stack([numbers(raw.fields[mapping[name]], name, raw.shown)[0] for name in pair])
    return replace(raw, geometry=_points(xy))


def _points(xy: NDArray[np.float64]) -> NDArray[np.object_]:
    known = np.isfinite(xy).all(axis=1)
    geometry = np.full(len(xy), None, dtype=object)
    geometry[known] = shapely.points(xy[known])
    return geometry


def _from_wkt(values: NDArray[np.object_], shown: str) -> NDArray[np.object_]:
    refuse_deep_text(values.tolist(), f"{shown}: column wkt")
    try:
        return objects(shapely.from_wkt(np.array([word or None for word in values.tolist()], dtype=object)))
    # shapely has no class for curves and surfaces, and says so by NotImplementedError.
    except (shapely.errors.ShapelyError, NotImplementedError) as err:
        raise SourceError(f"{shown}: column wkt: {str(err).splitlines()[0][:160]}; mend the text of that row") from err
