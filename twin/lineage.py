"""Where a thing comes from, and what was done to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Lineage:
    """Source, licence, date, accuracy and steps; travels with every layer, raster and batch (ISO 19115 lineage).

    accuracy    1-sigma of position as declared by the source, m; NaN where nobody said
    steps       what was done, oldest first, one sentence each
    """

    source: str
    licence: str = ""
    date: str = ""
    accuracy: float = math.nan
    steps: tuple[str, ...] = ()
    attribution: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """The names in `source`, one by one."""
        return tuple(self.source.split("; ")) if self.source else ()

    def step(self, text: str) -> Lineage:
        """The same lineage with one more step."""
        return replace(self, steps=(*self.steps, text))

    @staticmethod
    def join(parts: Iterable[Lineage], step: str) -> Lineage:
        """Lineage of something made from several others; the worst accuracy counts."""
        items = list(parts)
        known = [item.accuracy for item in items if not math.isnan(item.accuracy)]
        return Lineage(
            source="; ".join(_unique(item.source for item in items)),
            licence="; ".join(_unique(item.licence for item in items)),
            date="; ".join(_unique(item.date for item in items)),
            accuracy=max(known) if known else math.nan,
            steps=(*_unique(line for item in items for line in item.steps), step),
            attribution="; ".join(_unique(item.attribution for item in items)),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; an unknown accuracy is null."""
        table = asdict(self)
        table["steps"] = list(self.steps)
        table["accuracy"] = None if math.isnan(self.accuracy) else self.accuracy
        return table

    @staticmethod
    def from_dict(table: Mapping[str, Any]) -> Lineage:
        """The lineage that `as_dict` wrote."""
        values = dict(table)
        values["accuracy"] = math.nan if values.get("accuracy") is None else float(values["accuracy"])
        values["steps"] = tuple(values.get("steps", ()))
        return Lineage(**values)


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))
