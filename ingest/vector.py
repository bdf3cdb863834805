"""Vector files: Shapefile with its encoding traps, GeoPackage, GeoJSON, what else OGR reads, and ZIPs of them."""

from __future__ import annotations

import difflib
import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.errors
import pyogrio.raw
import shapely
from numpy.typing import NDArray

from ingest.formats.archive import ARCHIVE_SUFFIXES, unpacked
from ingest.formats.claims import DATABASE_SUFFIXES, refuse_deep, refuse_endless, refuse_services
from ingest.formats.columns import ARROW_ERRORS, ARROW_SUFFIXES, are_columns_plain, read_columns
from ingest.formats.graphml import GRAPHML_SUFFIX, read_graphml
from ingest.formats.osm import is_osm, read_osm
from ingest.formats.parquet import PARQUET_SUFFIXES, read_parquet
from ingest.reading import Delivery, RawTable, listed
from twin.errors import SourceError

OGR_ERRORS = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.FeatureError,
    pyogrio.errors.FieldError,
    pyogrio.errors.GeometryError,
    pyogrio.errors.CRSError,
)
_NEUTRAL = "ISO-8859-1"  # every byte survives it, so that text can be decoded here, value by value
_GUESSES = ("utf-8", "gb18030", "big5")
_SEQUENCES = (".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson")
# Code pages as .cpg files write them: "936", "ANSI 936", "GB18030", "8859-1" -> the codec.
_PAGES = {
    "936": "gbk", "2312": "gb18030", "18030": "gb18030", "54936": "gb18030", "65001": "utf-8",
    "950": "big5", "5": "big5", "88591": "iso-8859-1", "885915": "iso-8859-15",
}  # fmt: skip
# The language driver of a dBASE table, byte 29 (ESRI, ArcPad reference) -> the codec.
_LANGUAGES = {
    0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0x13: "cp932", 0x4D: "gbk", 0x4E: "cp949", 0x4F: "big5",
    0x57: "cp1252", 0x58: "cp1252", 0x59: "cp1252", 0x78: "big5", 0x79: "cp949", 0x7A: "gbk", 0x7B: "cp932",
    0xC8: "cp1250", 0xC9: "cp1251", 0xCA: "cp1254", 0xCB: "cp1253",
}  # fmt: skip


def read_vector(path: Path, delivery: Delivery) -> RawTable:
    """One layer of one vector file as it is; SourceError names file, layer and remedy.

    encoding    Shapefile: declared, else its .cpg or code-page byte; text that does not decode is refused
    """
    shown = delivery.shown(path)
    if path.suffix.lower() in ARCHIVE_SUFFIXES:
        with unpacked(path, delivery.source.layer, shown) as inside:
            return _read(inside, delivery, f"{shown}/{inside.name}")
    if path.suffix.lower() == GRAPHML_SUFFIX:
        return read_graphml(path, delivery)
    if is_osm(path) and not delivery.source.layer:
        return read_osm(path, delivery)
    return _read(path, delivery, shown)


def _read(path: Path, delivery: Delivery, shown: str) -> RawTable:
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return read_parquet(path, shown)
    source = delivery.source
    refuse_services(path, shown)
    if path.suffix.lower() in DATABASE_SUFFIXES:
        refuse_endless(path, shown)
    if path.suffix.lower() == ".shp":
        _require_whole(path, shown)
    layer = _choose_layer(path, source.layer, shown)
    shape = path.suffix.lower() == ".shp"
    target: Any = path
    if not shape and source.encoding and source.encoding.lower() not in ("utf-8", "utf8"):
        target = io.BytesIO(_recode(path, source.encoding, shown))
    encoding = _shape_encoding(path, source.encoding) if shape else ""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            if path.suffix.lower() in ARROW_SUFFIXES and are_columns_plain(path, layer):
                names, fields, geometry, crs = read_columns(path, layer, shown, delivery.tell)
            else:
                meta, _, wkb, fields = pyogrio.raw.read(
                    target, layer=layer, encoding=_NEUTRAL if shape else None, datetime_as_string=True
                )
                names, crs = list(meta["fields"]), meta["crs"]
                refuse_deep(wkb if wkb is not None else (), shown)
                geometry = shapely.from_wkb(wkb) if wkb is not None else np.full(len(fields[0]), None, dtype=object)
    except UnicodeDecodeError as err:
        raise SourceError(f"{shown}: {_wrong_encoding(err.object, source.encoding or 'UTF-8')}") from err
    except (*OGR_ERRORS, *ARROW_ERRORS, shapely.errors.ShapelyError) as err:
        raise SourceError(f"{shown}: cannot be read to the end ({_short(err)}); ask for the file again") from err
    if shape:
        names, fields = _decode(names, fields, encoding, shown, source.encoding)
    notes = dict.fromkeys(f"{shown}: {str(line.message)[:160]}" for line in said)
    return RawTable(dict(zip(names, fields, strict=True)), geometry, _own_crs(path, crs), shown, tuple(notes))


def _choose_layer(path: Path, wanted: str, shown: str) -> str | None:
    try:
        layers = [str(row[0]) for row in pyogrio.list_layers(path)]
    except (*OGR_ERRORS, UnicodeDecodeError) as err:
        raise SourceError(f"{shown}: no vector file that can be opened ({_short(err)})") from err
    if not layers:
        raise SourceError(f"{shown}: no layer in the file; it is damaged, ask for it again")
    if wanted:
        if wanted not in layers:
            near = difflib.get_close_matches(wanted, layers, n=1, cutoff=0.0)
            raise SourceError(f"{shown}: no layer {wanted!r}; the file has {listed(layers)}; did you mean {near[0]!r}?")
        return wanted
    if len(layers) > 1:
        raise SourceError(f'{shown}: {len(layers)} layers ({listed(layers)}); add layer = "..." to the source')
    return None


def _require_whole(path: Path, shown: str) -> None:
    """OGR reads a Shapefile cut short as missing shapes; its headers say how long it should be."""
    with path.open("rb") as file:
        head = file.read(28)
    if len(head) < 28 or path.stat().st_size < 2 * int.from_bytes(head[24:28], "big"):
        raise SourceError(f"{shown}: the file is cut short; ask for it again")
    if sibling(path, ".shx") is None:
        raise SourceError(f"{shown}: its .shx is missing; a Shapefile is .shp, .shx and .dbf together, ask for all")
    table = sibling(path, ".dbf")
    if table is not None:
        with table.open("rb") as file:
            head = file.read(12)
        rows, start, width = (int.from_bytes(head[a:b], "little") for a, b in ((4, 8), (8, 10), (10, 12)))
        if table.stat().st_size < start + rows * width:
            raise SourceError(f"{shown}: its .dbf is cut short ({rows} rows promised); ask for it again")


def sibling(path: Path, suffix: str) -> Path | None:
    """The file beside `path` with another suffix, whatever its case; None where there is none."""
    wanted = (path.stem + suffix).casefold()
    return next((file for file in sorted(path.parent.iterdir()) if file.name.casefold() == wanted), None)


def _own_crs(path: Path, found: str | None) -> str:
    if path.suffix.lower() in _SEQUENCES and not _states_crs(path):
        return ""
    return found or ""


def _states_crs(path: Path) -> bool:
    with path.open("rb") as file:
        return re.search(rb'"crs"\s*:\s*\{', file.read()) is not None


def _recode(path: Path, encoding: str, shown: str) -> bytes:
    try:
        return path.read_bytes().decode(encoding).encode()
    except LookupError as err:
        raise SourceError(f"{shown}: encoding {encoding!r} is unknown to Python") from err
    except UnicodeDecodeError as err:
        raise SourceError(f"{shown}: {_wrong_encoding(err.object, encoding)}") from err


def _shape_encoding(path: Path, declared: str) -> str:
    if declared:
        return declared
    page = sibling(path, ".cpg")
    if page is not None:
        word = "".join(filter(str.isprintable, page.read_bytes()[:40].decode("ascii", errors="replace"))).strip()
        digits = re.sub(r"\D", "", word)
        if not digits or "utf" in word.lower():
            return word
        return _PAGES.get(digits, f"cp{digits}")
    table = sibling(path, ".dbf")
    with table.open("rb") if table is not None else io.BytesIO() as file:
        head = file.read(30)
    return _LANGUAGES.get(head[29], "") if len(head) == 30 else ""


def _decode(
    names: list[str], fields: list[NDArray[Any]], encoding: str, shown: str, declared: str
) -> tuple[list[str], list[NDArray[Any]]]:
    """Column names and text columns, read byte for byte, in their true encoding."""
    clean = [_decode_text(name, encoding, f"{shown}: name of column {k + 1}") for k, name in enumerate(names)]
    result = []
    for name, values in zip(clean, fields, strict=True):
        if values.dtype.kind != "O":
            result.append(values)
            continue
        decoded = values.copy()
        for row, text in enumerate(values.tolist()):
            if isinstance(text, str) and not text.isascii():
                decoded[row] = _decode_text(text, encoding, f"{shown}: column {name}, row {row + 1}")
        result.append(decoded)
    return clean, result


def _decode_text(text: str, encoding: str, where: str) -> str:
    if text.isascii():
        return text
    raw = text.encode(_NEUTRAL)
    if not encoding:
        raise SourceError(f"{where}: text without a declared encoding; {_remedy(raw)}")
    try:
        return raw.decode(encoding)
    except LookupError as err:
        raise SourceError(f"{where}: encoding {encoding!r} is unknown to Python; {_remedy(raw)}") from err
    except UnicodeDecodeError as err:
        # A dBASE field is cut at 254 bytes, through the middle of a character if need be: that loses one character.
        if len(raw) >= 250 and err.start >= len(raw) - 3:
            return raw[: err.start].decode(encoding)
        raise SourceError(f"{where}: {_wrong_encoding(raw, encoding)}") from err


def _wrong_encoding(raw: bytes, encoding: str) -> str:
    return f"text is not {encoding}; {_remedy(raw, encoding)}"


def _remedy(raw: bytes, tried: str = "") -> str:
    for guess in _GUESSES:
        if guess == tried.lower():
            continue
        try:
            raw.decode(guess)
        except UnicodeDecodeError:
            continue
        return f'set encoding = "{"gbk" if guess == "gb18030" else guess}" on the source in city.toml'
    return 'set encoding = "..." on the source in city.toml'


def _short(err: Exception) -> str:
    return str(err).splitlines()[0][:160] if str(err) else type(err).__name__
