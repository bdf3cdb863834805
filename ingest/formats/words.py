"""Columns of text through Arrow: plain words, codes, numbers and JSON without a loop over features."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twin.features import Objects, objects

MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "--", "无", "空", "<null>", "不详"})
_NUMBER = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?:m|米|层|年|人|%)?$", re.IGNORECASE)
_OGR_LIST = re.compile(r"^\(\d+:(.*)\)$")
_COMMA = re.compile(r"\s*[+-]?\d+,(\d{1,2}|\d{4,})\s*")
_EITHER = re.compile(r"\s*[+-]?\d+,\d+\s*")
_POINT = re.compile(r"\s*[+-]?[\d,]+\.\d+\s*")
_FULL_WIDTH = {code + 0xFEE0: code for code in b"0123456789.-+,"}
_EXACT = 2.0**53


def texts(values: NDArray[Any]) -> Objects:
    """Any array as text (n,): missing is "", whole floats lose ".0", times are ISO 8601, OGR lists are unpacked."""
    if values.dtype.kind == "M":
        return np.where(np.isnat(values), "", np.datetime_as_string(values)).astype(object)
    if values.dtype.kind in "iuf":
        return _number_texts(values)
    if values.dtype.kind == "b":
        return np.array(["false", "true"], dtype=object)[values.astype(np.intp)]
    try:
        words = pa.array(values, type=pa.large_string(), from_pandas=True)
    except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError):
        return objects([_text(value) for value in values.tolist()])
    # A zero byte ends a text in every database.
    words = pc.fill_null(pc.utf8_trim_whitespace(pc.replace_substring(words, "\0", "")), "")
    result = words.to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(pc.starts_with(words, "(").to_numpy(zero_copy_only=False)).tolist():
        result[row] = _text(result[row])
    return result


def _number_texts(values: NDArray[Any]) -> Objects:
    if values.dtype.kind != "f":
        return objects(values.astype(str).astype(object)) if len(values) else objects([])
    with np.errstate(invalid="ignore"):
        whole = (np.trunc(values) == values) & (np.abs(values) < _EXACT)
    result = np.full(len(values), "", dtype=object)
    result[whole] = values[whole].astype(np.int64).astype(str).astype(object)
    rest = np.flatnonzero(~whole & ~np.isnan(values))
    result[rest] = objects([str(int(v)) if v.is_integer() else str(v) for v in values[rest].tolist()])
    return result


def _text(value: object) -> str:
    if isinstance(value, np.ndarray | list):
        return ", ".join(_text(part) for part in value)
    if value is None or value != value:
        return ""
    text = str(value).replace("\0", "").strip()
    listed = _OGR_LIST.match(text) if text.startswith("(") else None
    return listed.group(1).replace(",", ", ") if listed else text


def coded(words: Objects) -> tuple[list[str], NDArray[np.intp]]:
    """(different words in order, (n,) which of them each is): the work of a column is that of its few words."""
    found = pa.array(words, type=pa.large_string()).dictionary_encode()
    order = np.argsort(found.dictionary.to_numpy(zero_copy_only=False).astype(str), kind="stable")
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    listed = found.dictionary.to_pylist()
    return [listed[k] for k in order.tolist()], rank[found.indices.to_numpy(zero_copy_only=False)]


def spread(words: Iterable[str], codes: NDArray[np.intp]) -> Objects:
    """The column (n,) of words by code, as `coded` gave them."""
    return objects(list(words))[codes] if len(codes) else objects([])


def numbers(values: NDArray[Any], column: str, shown: str) -> tuple[NDArray[np.float64], list[str]]:
    """Any array as f8 (n,), NaN where missing; numbers stored as text are read, and text that is none is reported."""
    if values.dtype.kind in "fiub":
        return values.astype(np.float64), []
    unique, codes = coded(texts(values))
    words = _points_for_commas([word.translate(_FULL_WIDTH) for word in unique])
    parsed = [_number(word, metres=column.endswith("height")) for word in words]
    known = np.array([np.nan if number is None else number for number in parsed], dtype=np.float64)
    bad = np.array([number is None for number in parsed], dtype=bool)
    if not bad.any():
        return known[codes], []
    rows = np.flatnonzero(bad[codes])
    first = unique[codes[rows[0]]]
    line = f"{shown}: column {column}: {len(rows)} values are no number, first {first!r} in row {rows[0] + 1}"
    return known[codes], [line]


def _points_for_commas(words: Sequence[str]) -> Sequence[str]:
    """The words with a decimal comma as a point, where the column as a whole writes its numbers so.

    It does where some comma can only be a decimal one (not before three digits) and no point stands in a number.
    """
    if not any(_COMMA.fullmatch(word) for word in words) or any(_POINT.fullmatch(word) for word in words):
        return words
    return [word.replace(",", ".") if _EITHER.fullmatch(word) else word for word in words]


def _number(word: str, metres: bool) -> float | None:
    """The number that a word is; one of storeys (3层) is none where metres are asked for."""
    plain = word.strip()
    if plain.endswith("层") and metres:
        return None
    if plain.lower() in MISSING_WORDS:
        return np.nan
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    if plain.lower() in ("true", "false", "是", "否"):
        return float(plain.lower() in ("true", "是"))
    match = _NUMBER.match(plain)
    return float(match.group(1)) if match else None


def translate(values: NDArray[Any], lookup: Mapping[str, Any], column: str, shown: str) -> tuple[Objects, list[str]]:
    """Values (n,) through the declared table; "*" is the word for all others, else they stay and are counted."""
    unique, codes = coded(texts(values))
    table = {str(key): value for key, value in lookup.items()}
    other = table.get("*")
    result = spread([table.get(word, word if other is None or not word else other) for word in unique], codes)
    counts = np.bincount(codes, minlength=len(unique)).tolist()
    strange = Counter({w: n for w, n in zip(unique, counts, strict=True) if w and w not in table and other is None})
    known = set(map(str, table.values()))
    rest = sum(count for word, count in strange.items() if word not in known)
    if not rest:
        return result, []
    named = ", ".join(repr(word) for word in sorted(strange)[:5])
    return result, [f'{shown}: column {column}: {rest} values are not in its table, e.g. {named}; add them or "*"']


def within(words: Objects, allowed: tuple[str, ...] | None, column: str, shown: str) -> tuple[Objects, list[str]]:
    """Words (n,) of a closed list; strangers become "unknown" (or "" where the list has no such word) and are named."""
    if allowed is None:
        return words, []
    unique, codes = coded(words)
    strange = [bool(word) and word not in allowed for word in unique]
    if not any(strange):
        return words, []
    fill = "unknown" if "unknown" in allowed else ""
    result = spread([fill if odd else word for word, odd in zip(unique, strange, strict=True)], codes)
    named = ", ".join([repr(word) for word, odd in zip(unique, strange, strict=True) if odd][:5])
    count = int(np.count_nonzero(np.array(strange)[codes]))
    return result, [f"{shown}: column {column}: {count} values set to {fill!r}, e.g. {named}; map them in values"]


def leftovers(fields: Mapping[str, NDArray[Any]], n: int) -> Objects:
    """One JSON object per row (n,) of columns nobody declared, missing values left out; "" where nothing is left."""
    parts = [_members(name, fields[name]) for name in sorted(fields)]
    if not parts or not n:
        return np.full(n, "", dtype=object)
    # A row without any part would vanish from the joined column; an empty first part keeps it.
    first = pa.repeat(_word(""), n)
    joined = pc.utf8_slice_codeunits(pc.binary_join_element_wise(first, *parts, _word(","), null_handling="skip"), 1)
    whole = pc.binary_join_element_wise(_word("{"), joined, _word("}"), _word(""))
    return pc.if_else(pc.equal(joined, ""), _word(""), whole).to_numpy(zero_copy_only=False)


def _word(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _members(name: str, values: NDArray[Any]) -> pa.Array:
    """`"name":value` (n,) as JSON, null where the value is missing."""
    key = orjson.dumps(name).decode() + ":"
    if values.dtype.kind in "fiub":
        unique, codes = np.unique(values, return_inverse=True)
        said = [None if v != v else key + orjson.dumps(_shortest(v)).decode() for v in unique.tolist()]
    else:
        words, codes = coded(texts(values))
        said = [key + orjson.dumps(word).decode() if word else None for word in words]
    return pa.array(said, type=pa.large_string()).take(pa.array(codes))


def _shortest(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value
