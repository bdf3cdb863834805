"""Into the city's frame and words: CRS and datum as declared, columns by name, values by table, text to numbers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import ArrayLike, NDArray

from ingest.formats.words import leftovers, numbers, texts, translate, within
from ingest.reading import Delivery, RawTable, listed
from twin.datums import MAP_DATUMS, check_numbers, is_degrees, require_passage, resolve_crs
from twin.errors import SourceError
from twin.features import FEATURE_CLASSES, Objects
from twin.frames import Frame, same_crs, to_frame

Table = dict[str, NDArray[Any]]

ID_COLUMNS = ("source_id", "oid", "id")
MADE_COLUMNS = ("provenance",)  # written by the engine, never read from a file
PLACE_COLUMNS = ("lon", "lat", "x", "y", "wkt")
VOCABULARY = {
    "function": (
        "residential", "commercial", "industrial", "public", "religious", "heritage", "education", "medical", "office",
        "transport", "agricultural", "mine", "unknown",
    ),
    "structure": ("timber", "adobe", "masonry", "rc", "steel", "unknown"),
    "road_class": (
        "motorway", "trunk", "primary", "secondary", "tertiary", "residential", "lane", "path", "rail",
    ),
    "medium": ("water", "drainage", "gas", "heat", "power", "telecom", "other"),
    "reference": ("top", "axis", "invert"),
    "division_level": ("province", "city", "district", "street", "community"),
}  # fmt: skip
ELLIPSOID = "ellipsoid"
_SHARED_BY = 12
_VERTICALS = {
    "1985": r"(?:epsg:)?5737|1985.*|.*1985.*height|国家85高程.*",
    "1956": r"(?:epsg:)?5736|1956.*|yellow sea 1956.*|黄海56.*|1956年黄海.*",
    ELLIPSOID: r"ellipsoid(?:al)?|大地高|椭球高",
    "EGM2008": r"(?:epsg:)?3855|egm[ -]?(?:20)?08.*",
    "EGM96": r"(?:epsg:)?5773|egm[ -]?(?:19)?96.*",
}


def crs_of(delivery: Delivery, found: str, shown: str) -> str:
    """The CRS to read `shown` in: the declared one, or the file's own; never a guess.

    found   CRS the file states, "" where it states none
    raises  SourceError where neither is there, where they disagree, or where PROJ does not know the declared one
    """
    declared = resolve_crs(delivery.source.crs)
    if not declared and not found:
        raise SourceError(
            f'{shown}: no CRS in the file and none declared; add crs = "EPSG:..." (or "GCJ-02", "BD-09") '
            f'to [[source]] "{delivery.source.name}" in city.toml'
        )
    if not declared:
        return found
    if not found:
        return declared
    if declared in MAP_DATUMS:
        if not is_degrees(found):
            raise SourceError(
                f"{shown}: declared {declared}, but the file states {crs_name(found)}; mend crs in city.toml"
            )
        return declared
    if not same_crs(declared, found) and crs_name(found) != crs_name(declared):
        raise SourceError(
            f"{shown}: declared {declared}, but the file states {crs_name(found)}; "
            f'mend crs of [[source]] "{delivery.source.name}" in city.toml, or the file'
        )
    return declared


def crs_name(crs: str) -> str:
    """A short name of a CRS for messages and comparison: its EPSG code where PROJ finds one, else its title."""
    try:
        known = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError:
        return crs[:60]
    code = known.to_epsg(min_confidence=70)
    return f"EPSG:{code}" if code else known.name


def place(geometry: Objects, crs: str, frame: Frame, shown: str, accept_ballpark: bool = False) -> Objects:
    """Geometries (n,) in the frame, 2D; None stays None.

    raises  SourceError where the numbers cannot be in the CRS that is claimed (degrees for metres, a zone prefix too
            many or too few), or where the change of datum is only ballpark and not accepted
    """
    flat = shapely.force_2d(geometry) if shapely.has_z(geometry).any() or shapely.has_m(geometry).any() else geometry
    xy = shapely.get_coordinates(flat)
    if not len(xy):
        return flat
    with naming(shown):
        if crs == frame.crs:
            check_numbers(xy, crs)
            return flat
        return shapely.set_coordinates(flat.copy(), to_frame(xy, crs, frame, accept_ballpark))


@contextmanager
def naming(shown: str) -> Iterator[None]:
    """A SourceError inside the block names the file."""
    try:
        yield
    except SourceError as err:
        raise SourceError(f"{shown}: {err}") from err


def accepts_ballpark(delivery: Delivery) -> bool:
    """Whether the source takes a change of datum without parameters as it is (`extra.accept_ballpark = true`)."""
    return delivery.source.extra.get("accept_ballpark") is True


def datum_steps(crs: str, frame: Frame, xy: ArrayLike, delivery: Delivery, shown: str) -> tuple[str, ...]:
    """The change of datum from `crs` to the frame at points (n, 2) in words for the lineage; () where there is none.

    raises  SourceError where PROJ has no parameters for it there and the source does not accept that
    """
    if crs == frame.crs:
        return ()
    with naming(shown):
        if crs in MAP_DATUMS:
            onward = require_passage("EPSG:4326", frame.crs, xy)
            return (f"{crs} -> WGS 84 by the published formula, inverse to 1 mm", *filter(None, (onward.words,)))
        way = require_passage(crs, frame.crs, xy, accepts_ballpark(delivery))
    return (way.words,) if way.words else ()


def vertical_shift(delivery: Delivery, frame: Frame, shown: str, stated: str = "") -> tuple[float, str]:
    """(metres to add to heights of this source, the step in words); SourceError where no way is declared.

    stated  what the file itself says of its heights (`vertical_of` its CRS): it must not disagree with the declaration

    Between two datums the way goes over the ellipsoid: the source's geoid undulation, declared in its `extra`, is put
    on, the frame's is taken off. `vertical_offset` in `extra` overrides that.
    """
    source = delivery.source
    ours, datum = _vertical_name(frame.vertical), _vertical_name(source.vertical or frame.vertical)
    if not datum:
        raise SourceError(f'{shown}: heights without a vertical datum; add vertical = "..." to [frame] in city.toml')
    if "vertical_offset" in source.extra:
        offset = float(source.extra["vertical_offset"])
        return offset, f"heights {datum} -> {frame.vertical}: {offset:+.3f} m as declared"
    unlike = _unlike(stated, datum, delivery, shown)
    if datum == ours:
        return 0.0, unlike
    if datum != ELLIPSOID and "geoid_undulation" not in source.extra:
        raise SourceError(
            f"{shown}: heights in {datum!r}, the city's are in {frame.vertical!r}; add vertical_offset = <metres> "
            f'(or geoid_undulation = <metres> of {datum}) to extra of [[source]] "{source.name}" in city.toml'
        )
    if ours != ELLIPSOID and not frame.geoid_undulation:
        raise SourceError(
            f"{shown}: heights in {datum!r} cannot be brought to {frame.vertical!r} without the geoid; "
            "add geoid_undulation = <metres> to [frame] in city.toml"
        )
    theirs = 0.0 if datum == ELLIPSOID else float(source.extra["geoid_undulation"])
    mine = 0.0 if ours == ELLIPSOID else frame.geoid_undulation
    way = f"geoid undulation {theirs:+.3f} m put on, " if datum != ELLIPSOID else ""
    way += f"{mine:+.3f} m taken off" if ours != ELLIPSOID else "none taken off"
    name = "ellipsoidal" if datum == ELLIPSOID else datum
    return theirs - mine, f"heights {name} -> {frame.vertical}: {theirs - mine:+.3f} m ({way}, as declared)"


def _unlike(stated: str, datum: str, delivery: Delivery, shown: str) -> str:
    """The step in words where a file states heights in other words than the ones it is read in; "" where they agree.

    raises  SourceError where both are known to be different datums, or where the source declares the other one
    """
    said, source = _vertical_name(stated), delivery.source
    word, ours = said.casefold(), datum.casefold()
    if not stated or word in ours or ours in word:
        return ""
    if not source.vertical and datum not in _VERTICALS:
        return f"heights stated as {said} by the file, taken as {datum}"
    how = f"declared {datum!r}" if source.vertical else f"taken as the city's {datum!r}"
    raise SourceError(
        f"{shown}: the file states heights in {said!r}, but they are {how}; "
        f'mend vertical of [[source]] "{source.name}" in city.toml'
    )


def _vertical_name(text: str) -> str:
    """One name for each spelling of a vertical datum that is known; any other text as it is."""
    word = text.strip().casefold()
    return next((name for name, pattern in _VERTICALS.items() if re.fullmatch(pattern, word)), text.strip())


def columns_of(raw: RawTable, delivery: Delivery, name: str) -> tuple[Table, list[str]]:
    """Declared columns of feature class `name` from the file's, and warnings.

    A column is taken where `columns` maps it, or where the file has one of our name; the rest goes as one JSON object
    into `attributes`. Lengths in the source's unit become metres.
    raises  SourceError where `columns` names one of ours that is not declared, or one that the file has not
    """
    declared = FEATURE_CLASSES[name].columns
    mapping = column_mapping(raw, delivery, known_columns(name))
    table: Table = {}
    warnings: list[str] = []
    for ours, theirs in mapping.items():
        if ours not in declared:
            continue
        values = raw.fields[theirs]
        lookup = delivery.source.values.get(ours)
        if lookup:
            values, lines = translate(values, lookup, ours, raw.shown)
            warnings += lines
        if declared[ours].kind == "f8":
            table[ours], lines = numbers(values, ours, raw.shown)
            warnings += lines
            if declared[ours].unit == "m":
                table[ours] = table[ours] * delivery.scale()
        else:
            table[ours], lines = within(texts(values), VOCABULARY.get(ours), ours, raw.shown)
            warnings += lines
    taken = set(mapping.values())
    if "attributes" not in mapping:
        table["attributes"] = leftovers({k: v for k, v in raw.fields.items() if k not in taken}, len(raw))
    return table, warnings


def known_columns(name: str) -> tuple[str, ...]:
    """Every column that `columns` may map for feature class `name`: declared ones, identifiers, coordinates."""
    ours = (column for column in FEATURE_CLASSES[name].columns if column not in MADE_COLUMNS)
    return (*ours, *ID_COLUMNS, *PLACE_COLUMNS)


def column_mapping(raw: RawTable, delivery: Delivery, ours: Iterable[str]) -> dict[str, str]:
    """Our column -> the file's column, as declared, then by equal name; SourceError where a declared one is absent."""
    known = list(ours)
    mapping: dict[str, str] = {}
    for column, theirs in delivery.source.columns.items():
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise SourceError(f'[[source]] "{delivery.source.name}" columns: {column!r} is no column of ours{hint}')
        mapping[column] = _their_column(raw, column, theirs)
    spoken_for = set(mapping.values())
    for column in known:
        if column not in mapping and column in raw.fields and column not in spoken_for and column != "id":
            mapping[column] = column
    return mapping


def _their_column(raw: RawTable, column: str, theirs: str) -> str:
    if theirs in raw.fields:
        return theirs
    # dBASE and SQLite drivers change the case of names on the way.
    alike = [name for name in raw.fields if name.casefold() == theirs.casefold()]
    if len(alike) == 1:
        return alike[0]
    has = listed(raw.fields) or "none"
    raise SourceError(f"{raw.shown}: no column {theirs!r} (declared for {column}); the file has {has}")


def source_ids(raw: RawTable, delivery: Delivery, name: str) -> Objects | None:
    """The source's own identifiers (n,) as text, or None where it has none declared."""
    mapping = column_mapping(raw, delivery, known_columns(name))
    theirs = next((mapping[key] for key in ID_COLUMNS if key in mapping), None)
    return None if theirs is None else texts(raw.fields[theirs])


def telling_ids(ids: Objects | None, shown: str) -> tuple[Objects | None, list[str]]:
    """(the identifiers (n,), or None where they tell nobody from another, warnings): one a dozen rows share is none."""
    words = ids[ids != ""] if ids is not None else np.zeros(0, dtype=object)
    different = len(pd.unique(words))
    if _SHARED_BY * different >= len(words):
        return ids, []
    told = "different ids, so they are none; features are told apart by their places (mend source_id in columns)"
    return None, [f"{shown}: {len(words)} rows have {different} {told}"]
