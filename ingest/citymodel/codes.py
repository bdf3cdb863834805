"""What coded values of city models mean: lists of the delivery for their words, a table of ours for our columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ingest.citymodel.album import Place
from ingest.citymodel.meter import local

LIST_LIMIT = 16 * 2**20


@dataclass(frozen=True, slots=True)
class CodeRange:
    """One line of the table: codes first..last of an attribute, in some written form, are one value of our column."""

    column: str
    attribute: str
    form: re.Pattern[str]
    first: int
    last: int
    value: str


def code_table() -> tuple[CodeRange, ...]:
    """The table codes.csv in its order; of two lines that fit a code the first holds."""
    text = resources.files("ingest.citymodel").joinpath("data", "codes.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(
        CodeRange(r["column"], r["attribute"], re.compile(r["form"]), int(r["first"]), int(r["last"]), r["value"])
        for r in rows
    )


def meanings(column: str, fields: Mapping[str, Sequence[Any]], known: Sequence[str] = ()) -> list[str]:
    """(n,) values of our column from the coded attributes, "" where no line of the table fits.

    fields      attribute name -> (n,) values as delivered
    known       words of the column itself, which stay what they are
    """
    table: dict[str, list[CodeRange]] = {}
    for line in code_table():
        if line.column == column and line.attribute in fields:
            table.setdefault(line.attribute, []).append(line)
    size = len(next(iter(fields.values()))) if fields else 0
    result = [""] * size
    for attribute, lines in table.items():
        values = [_value(word, lines, known) for word in fields[attribute]]
        result = [have or found for have, found in zip(result, values, strict=True)]
    return result


def _value(word: Any, lines: Sequence[CodeRange], known: Sequence[str]) -> str:
    text = str(word if word is not None else "").strip()
    if text in known:
        return text
    for line in lines:
        match = line.form.fullmatch(text)
        if match and line.first <= int(match[1]) <= line.last:
            return line.value
    return ""


@dataclass(slots=True)
class CodeLists:
    """The code lists that a CityGML file names by codeSpace, gml:Dictionary files of the delivery.

    A list that is missing, damaged, an address or outside of the delivery tells nothing: its codes stay codes.
    Memory: the lists that were asked for, each of at most LIST_LIMIT bytes of XML.
    """

    place: Place
    lists: dict[str, dict[str, str]] = field(default_factory=dict)

    @staticmethod
    def of(path: Path, root: Path) -> CodeLists:
        """The lists for a file of a delivery declared in `root`; they may lie two folders above it (PLATEAU)."""
        place = Place.of(path, root)
        above = place.base.parents[1] if len(place.base.parents) > 1 else place.base
        return CodeLists(Place(place.base, place.fence if place.fence != place.base else above))

    def word(self, space: str, code: str) -> str:
        """The word of a code, "" where its list does not tell."""
        if space not in self.lists:
            found = self.place.find(space)
            self.lists[space] = {} if isinstance(found, str) else _dictionary(found)
        return self.lists[space].get(code, "")

    @property
    def missing(self) -> int:
        """How many of the lists asked for tell nothing."""
        return sum(not words for words in self.lists.values())


def _dictionary(path: Path) -> dict[str, str]:
    """Code -> word of a gml:Dictionary; code is the first name, word the description (or identifier and name)."""
    try:
        with path.open("rb") as file:
            data = file.read(LIST_LIMIT + 1)
        if len(data) > LIST_LIMIT or b"<!DOCTYPE" in data:
            return {}
        tree = ElementTree.fromstring(data)
    except (OSError, ElementTree.ParseError, LookupError, UnicodeError):
        return {}
    words: dict[str, str] = {}
    for entry in tree.iter():
        if local(entry.tag) != "Definition":
            continue
        told = {local(leaf.tag): (leaf.text or "").strip() for leaf in reversed(list(entry))}
        name, text = told.get("name", ""), told.get("description", "")
        code = name if text else told.get("identifier", "")
        words.setdefault(code, text or name)
    return {code: word for code, word in words.items() if code and word}
