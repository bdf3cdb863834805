"""Parts of a version that outlive it: each is made under the digest of what it depends on, and taken over as it is
while that stays the same.

A part is a folder of files (terrain, pictures, the documents of a tileset) with what build.json tells of it. Finished
parts lie beside the versions; a version links to those it shows, so a city whose one building changed writes the
documents of that tileset and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from twin.outcome import Outcome
from twin.store import published
from twin.store.protocol import Store

NOTE = "tiles_parts"
"""Document that tells of the parts of the last run; without it every part is made again."""

_DIGITS = 16

Make = Callable[[Path, str], dict[str, Any]]
"""(folder of the version, key of the part) -> what is told of the part, plain JSON values.

It may write one folder there, named as the part. Of what it tells, "content" and "made" are names on the shelves that
the part needs, "outcomes" what could not be drawn.
"""


@dataclass(slots=True)
class Parts:
    """The parts of one run.

    folder      of the version that is being made, one below the folder of all tiles
    maker       digest of what every part depends on: code, frame
    """

    store: Store
    folder: Path
    maker: str
    before: Mapping[str, Any] = field(default_factory=dict)
    now: dict[str, Any] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    def take(self, name: str, depends: Iterable[Any], make: Make) -> dict[str, Any]:
        """What is told of a part, made only where it is not there yet.

        name        of the part, and of its folder
        depends     plain JSON values; the part is the same as long as they are
        """
        text = orjson.dumps([self.maker, name, list(depends)], option=orjson.OPT_SORT_KEYS)
        key = hashlib.blake2b(text, digest_size=_DIGITS // 2).hexdigest()
        kept = self.before.get(name)
        if kept is None or kept["key"] != key or not published.has_part(self.store.tiles_dir, kept["part"]):
            told = make(self.folder, key)
            made = self.folder / name
            part = published.shelve(self.store.tiles_dir, made, key) if made.is_dir() else ""
            kept = {"key": key, "part": part, "told": told}
        if kept["part"]:
            published.link(self.folder / name, kept["part"])
        self.now[name] = kept
        told = kept["told"]
        self.outcomes += [Outcome(*line) for line in told.get("outcomes", [])]
        return {key: value for key, value in told.items() if key not in ("outcomes", "content", "made")}

    def manifest(self) -> dict[str, list[str]]:
        """Names on the shelves that the version needs."""
        told = [kept["told"] for kept in self.now.values()]
        return {shelf: sorted({n for t in told for n in t.get(shelf, [])}) for shelf in ("content", "made")}


def begin(store: Store, folder: Path, maker: str) -> Parts:
    """The parts of a run that writes into `folder`, beside those of the run before."""
    before = store.read_document(NOTE) if store.has("document", NOTE) else {}
    return Parts(store, folder, maker, before)


def as_lines(outcomes: Iterable[Outcome]) -> list[list[str]]:
    """Outcomes as plain JSON values."""
    return [[o.oid, o.status, o.reason, o.stage] for o in outcomes]
