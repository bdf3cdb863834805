"""Which source gave which value of a merged feature, as one JSON object a feature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from twin.features import Layer, Objects, objects

IDENTITY = ("source", "source_id", "attributes", "provenance")


@dataclass(frozen=True, slots=True)
class Word:
    """What two sources said about one column of k matched features.

    own, theirs     (k,) values of the first and of the second source
    wins            (k,) true where the value of the second was taken
    """

    column: str
    own: NDArray[Any]
    theirs: NDArray[Any]
    wins: NDArray[np.bool_]


def known(values: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) true where a column says something: a number, or a word other than "unknown"."""
    if values.dtype.kind == "f":
        return ~np.isnan(values)
    return (values != "") & (values != "unknown")


def names_of(layer: Layer) -> tuple[Objects, Objects]:
    """(source (n,), identifier in it (n,)) of every feature; the layer's name and the oid where nothing is declared."""
    blank = objects([""] * len(layer))
    source, ids = layer.columns.get("source", blank), layer.columns.get("source_id", blank)
    return np.where(source == "", layer.name, source), np.where(ids == "", layer.oid, ids)


def provenance(
    before: Objects,
    mine: tuple[Objects, Objects],
    theirs: tuple[Objects, Objects],
    words: Iterable[Word],
    matched: tuple[NDArray[np.float64], Mapping[int, list[str]]],
) -> Objects:
    """(k,) JSON objects of k matched features.

    before      (k,) provenance of an earlier merge, "" none
    mine        (source, identifier), each (k,), of the first; `theirs` of the second
    matched     (score (k,), place -> further features of the second on the same one)
    returns     {source: {"id", "gave": [columns], "match": score, "also": [ids]}, ...,
                "instead_of": {column: {source: what it said}}}; "geometry" is among what the first gave
    """
    score, also = matched
    tables = [_opened(text, source, ident) for text, source, ident in zip(before.tolist(), *_lists(mine), strict=True)]
    for place, (table, source, ident) in enumerate(zip(tables, *_lists(theirs), strict=True)):
        card: dict[str, Any] = {"id": ident, "gave": [], "match": round(float(score[place]), 3)}
        if place in also:
            card["also"] = also[place]
        table[source] = table.get(source, {"gave": []}) | card | {"gave": table.get(source, card)["gave"]}
    for word in words:
        _tell(tables, word, mine[0], theirs[0])
    return objects([orjson.dumps(table).decode() for table in tables])


def newcomers(layer: Layer) -> Objects:
    """(n,) JSON objects of features that only the second source has: it gave everything."""
    return objects(
        [orjson.dumps({source: {"id": ident, "gave": ["*"]}}).decode()
         for source, ident in zip(*_lists(names_of(layer)), strict=True)]
    )  # fmt: skip


def _lists(pair: tuple[Objects, Objects]) -> tuple[list[str], list[str]]:
    return pair[0].tolist(), pair[1].tolist()


def _opened(text: str, source: str, ident: str) -> dict[str, Any]:
    return orjson.loads(text) if text else {source: {"id": ident, "gave": ["geometry"]}}  # type: ignore[no-any-return]


def _tell(tables: list[dict[str, Any]], word: Word, mine: Objects, theirs: Objects) -> None:
    own, other = _plain(word.own), _plain(word.theirs)
    told, heard = known(word.own), known(word.theirs)
    for place in np.flatnonzero(told | heard).tolist():
        table, column = tables[place], word.column
        giver = next((name for name, card in table.items() if column in card.get("gave", ())), mine[place])
        taken = theirs[place] if word.wins[place] else giver
        if taken != giver and column in table[giver]["gave"]:
            table[giver]["gave"].remove(column)
        if column not in table[taken]["gave"]:
            table[taken]["gave"].append(column)
        if told[place] and heard[place] and own[place] != other[place]:
            loser, said = (giver, own[place]) if word.wins[place] else (theirs[place], other[place])
            table.setdefault("instead_of", {}).setdefault(column, {})[loser] = said


def _plain(values: NDArray[Any]) -> list[Any]:
    return np.round(values, 3).tolist() if values.dtype.kind == "f" else values.tolist()
