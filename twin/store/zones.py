"""The repositories of a city's data platform as zones of the catalogue: declared in zones.csv, one zone an item."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

from twin.store.protocol import Item


@dataclass(frozen=True, slots=True)
class Zone:
    """One repository: what it is called, and what belongs there."""

    title: str
    title_en: str
    doc: str


ZONES: Mapping[str, Zone] = {
    "collected": Zone(
        "归集库", "Collected", "what was delivered: the declared files by digest, and what was found in them"
    ),
    "base": Zone(
        "基础库", "Base", "basic geography in the frame: divisions, addresses, buildings, roads, waters, terrain"
    ),
    "theme": Zone("主题库", "Theme", "by subject: people, facilities, green, heritage, the models and their relief"),
    "thematic": Zone("专题库", "Thematic", "results for a purpose: risk zones and the fields they come from"),
}


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    name: str
    zone: str
    stage: str


@cache
def _table() -> tuple[_Row, ...]:
    text = resources.files("twin.store").joinpath("zones.csv").read_text(encoding="utf-8")
    return tuple(_Row(**row) for row in csv.DictReader(text.splitlines()))


def zone_of(item: Item, declared: Mapping[str, str] | None = None) -> str:
    """The zone of an item, a key of ZONES; "" where neither the table nor a source places it.

    declared    source -> zone, as city.toml has it; it counts for what ingest made of those sources alone
    """
    row = next((r for r in _table() if r.kind == item.kind and fnmatchcase(item.name, r.name)), None)
    if row is None or row.stage != "ingest" or not declared:
        return "" if row is None else row.zone
    asked = {declared.get(source, "") for source in item.lineage.sources}
    return asked.pop() or row.zone if len(asked) == 1 else row.zone


def sources_of(item: Item, known: Iterable[str]) -> list[str]:
    """The declared sources that an item comes from, in the order of its lineage."""
    names = set(known)
    return [source for source in item.lineage.sources if source in names]
