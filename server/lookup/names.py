"""Finding by name: buildings, addresses, facilities, divisions, in Chinese or Latin letters, misspelt or cut short."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from server.deps import Context
from twin.features import Layer
from twin.store import Store

# In this order where two fit equally well: a person looks for the thing before its address.
SEARCHED = (("building", "buildings"), ("facility", "facilities"), ("division", "divisions"), ("address", "addresses"))
_LAYERS = {"building": ("building_l2", "building")}
_EXACT, _PREFIX, _INSIDE, _FUZZY = 0, 1, 2, 3
_FUZZY_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be found; `keys` are what it is called, folded for comparison."""

    oid: str
    name: str
    name_en: str
    kind: str
    address: str
    lon: float
    lat: float
    height: float
    keys: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The entry as the answer lists it; height is the building's, m above ground, null elsewhere."""
        return {
            "oid": self.oid,
            "name": self.name,
            "name_en": self.name_en,
            "kind": self.kind,
            "address": self.address,
            "lon": self.lon,
            "lat": self.lat,
            "height": self.height,
        }


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """Everything that has a name, ready to be searched."""

    entries: tuple[Entry, ...]

    def find(self, query: str, limit: int) -> list[Entry]:
        """The best `limit` entries: called so, beginning so, containing it, then sharing half of its letter pairs."""
        asked = fold(query)
        if not asked:
            return []
        ranked = [
            (rank, place) for place, entry in enumerate(self.entries) if (rank := _rank(entry, asked)) is not None
        ]
        if len(ranked) < limit:
            known = {place for _, place in ranked}
            ranked += [pair for pair in self._alike(asked) if pair[1] not in known]
        best = sorted(ranked, key=lambda pair: (pair[0], len(self.entries[pair[1]].name), pair[1]))
        return _each_once((self.entries[place] for _, place in best), limit)

    def _alike(self, asked: str) -> list[tuple[tuple[int, float], int]]:
        pairs = _letter_pairs(asked)
        if len(pairs) < 2:
            return []
        found: list[tuple[tuple[int, float], int]] = []
        for place, entry in enumerate(self.entries):
            share = max(len(pairs & _letter_pairs(key)) / len(pairs) for key in entry.keys)
            if share >= _FUZZY_SHARE:
                found.append(((_FUZZY, -share), place))
        return found


def fold(text: str) -> str:
    """Text as compared: full width made plain, letters small, spaces and hyphens gone."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in plain if not c.isspace() and c not in "-_·,，.。'")


def layers_searched(store: Store) -> list[tuple[str, str]]:
    """(kind, layer name) of what the store has of the searched layers."""
    found: list[tuple[str, str]] = []
    for kind, _ in SEARCHED:
        name = next((layer for layer in _LAYERS.get(kind, (kind,)) if store.has("layer", layer)), "")
        if name:
            found.append((kind, name))
    return found


def build_index(store: Store) -> SearchIndex:
    """The index of everything in the store that has a name or a full address."""
    entries: list[Entry] = []
    for kind, name in layers_searched(store):
        entries += _entries(kind, store.read_layer(name))
    return SearchIndex(tuple(entries))


def index_of(here: Context) -> SearchIndex:
    """The search index of what the store holds now."""
    store = here.city.store
    digest = " ".join(store.item("layer", name).digest for _, name in layers_searched(store))
    return here.memo.get("search", digest, lambda: build_index(store))


def _entries(kind: str, layer: Layer) -> list[Entry]:
    n = len(layer)
    blank = [""] * n
    names = _texts(layer, "text" if kind == "address" else "name", blank)
    english = _texts(layer, "name_en", blank)
    rows = [row for row in range(n) if (names[row] or english[row]) and layer.geometry[row] is not None]
    if not rows:
        return []
    part = layer.take(rows)
    lonlat = np.round(part.frame.to_lonlat(shapely.get_coordinates(shapely.point_on_surface(part.geometry))), 7)
    addresses = _texts(part, "text" if kind == "address" else "address", [""] * len(rows))
    heights = part.columns.get("height_m", part.columns.get("height", np.full(len(rows), np.nan)))
    owners = _texts(part, "building_oid", [""] * len(rows))
    return [
        Entry(
            # An address that is known to belong to a building leads to the building.
            oid=owners[k] or part.oid[k],
            name=names[row],
            name_en=english[row],
            kind=kind,
            address=addresses[k],
            lon=float(lonlat[k, 0]),
            lat=float(lonlat[k, 1]),
            height=float(heights[k]),
            keys=tuple(key for key in (fold(names[row]), fold(english[row])) if key),
        )
        for k, row in enumerate(rows)
    ]


def _texts(layer: Layer, column: str, missing: Sequence[str]) -> Sequence[str]:
    return layer.columns[column].tolist() if column in layer.columns else missing


def _rank(entry: Entry, asked: str) -> tuple[int, float] | None:
    ranks = [
        _EXACT if key == asked else _PREFIX if key.startswith(asked) else _INSIDE for key in entry.keys if asked in key
    ]
    return (min(ranks), 0.0) if ranks else None


def _letter_pairs(text: str) -> set[str]:
    return {text[k : k + 2] for k in range(len(text) - 1)}


def _each_once(entries: Iterable[Entry], limit: int) -> list[Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        found.setdefault(entry.oid, entry)
        if len(found) == limit:
            break
    return list(found.values())
