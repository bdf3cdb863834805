"""Spreadsheets (XLSX) as tables, through openpyxl: one sheet, its first full row the names, values as text."""

from __future__ import annotations

import datetime
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np

from ingest.reading import Delivery, RawTable, listed
from twin.errors import SourceError
from twin.features import objects

UNPACKED_LIMIT = 1024 * 2**20
SMALL, PACKED = 64 * 2**20, 100
CELL_LIMIT = 50_000_000
_BROKEN = (
    zipfile.BadZipFile, zlib.error, ParseError, KeyError, ValueError, TypeError, IndexError,
    EOFError, AttributeError, RuntimeError, OverflowError, OSError,
)  # fmt: skip


def read_spreadsheet(path: Path, delivery: Delivery) -> RawTable:
    """The sheet `layer` of the source (or the only one) as text, no geometry yet; empty rows are left out.

    names   of two columns with one name the first keeps it, the next is "name (2)", and a note says so
    raises  SourceError for what is no XLSX, is damaged, unpacks beyond UNPACKED_LIMIT, or lacks the sheet
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    shown = delivery.shown(path)
    try:
        _inspect(path, shown)
        with warnings.catch_warnings():
            # What openpyxl cannot keep (charts, validations) is no part of a table.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                sheet = book[_choose(book.sheetnames, delivery.source.layer, shown)]
                return _table(sheet.iter_rows(values_only=True), shown)
            finally:
                book.close()
    except (InvalidFileException, *_BROKEN) as err:
        word = str(err).splitlines()[0][:120] if str(err) else type(err).__name__
        raise SourceError(f"{shown}: no XLSX that can be read ({word}); save it again or deliver CSV") from err


def _inspect(path: Path, shown: str) -> None:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        limit = min(UNPACKED_LIMIT, max(SMALL, PACKED * path.stat().st_size))
        if unpacked > limit:
            raise SourceError(f"{shown}: unpacks to {unpacked >> 20} MiB, more than {limit >> 20}; deliver CSV")
        for entry in archive.infolist():
            if entry.filename.endswith((".xml", ".rels")):
                with archive.open(entry) as file:
                    if b"<!DOCTYPE" in file.read(65_536).upper():
                        raise SourceError(f"{shown}: {entry.filename} declares a document type (entities); refused")


def _choose(names: list[str], wanted: str, shown: str) -> str:
    if wanted and wanted not in names:
        raise SourceError(f"{shown}: no sheet {wanted!r}; the file has {listed(names)}")
    if not wanted and len(names) != 1:
        raise SourceError(f'{shown}: {len(names)} sheets ({listed(names)}); add layer = "..." to the source')
    return wanted or names[0]


def _table(rows: Iterator[tuple[Any, ...]], shown: str) -> RawTable:
    head = next((row for row in rows if any(value is not None for value in row)), None)
    if head is None:
        raise SourceError(f"{shown}: the sheet is empty; a table needs at least its row of column names")
    names, notes = column_names(map(_text, head), shown)
    kept: list[tuple[str, ...]] = []
    for row in rows:
        if any(value is not None for value in row):
            kept.append(tuple(_text(value) for value in (*row, *[None] * len(head))[: len(head)]))
            if len(kept) * len(head) > CELL_LIMIT:
                raise SourceError(f"{shown}: more than {CELL_LIMIT:,} cells; deliver CSV or GeoPackage")
    columns = zip(*kept, strict=True) if kept else ([] for _ in head)
    fields = {name: objects(list(values)) for name, values in zip(names, columns, strict=True) if name}
    return RawTable(fields, np.full(len(kept), None, dtype=object), "", shown, tuple(notes))


def column_names(head: Iterable[str], shown: str) -> tuple[list[str], list[str]]:
    """(a name for each column, notes): of two with one name the first keeps it, the next is "name (2)"."""
    names: list[str] = []
    notes: list[str] = []
    for place, plain in enumerate(head):
        name = plain
        count = 1
        while name and name in names:
            count += 1
            name = f"{plain} ({count})"
        if count > 1:
            notes.append(
                f"{shown}: two columns named {plain!r}; the first keeps the name, column {place + 1} is {name!r}"
            )
        names.append(name)
    return names, notes


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value).strip()
