"""The words of this room: what a bureau delivered, what a reader promises, what it hands over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from twin.city import Source
from twin.deliveries import fingerprint
from twin.errors import SourceError
from twin.features import Objects
from twin.frames import Frame
from twin.lineage import Lineage
from twin.outcome import Outcome

Tell = Callable[[int, int], None]

NAMED = 20
FOOT = {"m": 1.0, "ft": 0.3048, "us-ft": 1200.0 / 3937.0, "cm": 0.01, "mm": 0.001}


def listed(names: Iterable[str]) -> str:
    """Names for a message, the first NAMED of them."""
    every = list(names)
    more = f" ... {len(every)} in all" if len(every) > NAMED else ""
    return ", ".join(name[:80] for name in every[:NAMED]) + more


@dataclass(frozen=True, slots=True)
class Card:
    """What a reader is, before it runs.

    kind        value of `kind` in city.toml
    produces    store kind and name, for example "layer building"
    needs       kinds that must be read before this one
    unit        unit of the values after reading
    method      how the values come to the frame
    """

    kind: str
    produces: str
    needs: tuple[str, ...] = ()
    unit: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One declared source and the folder its paths start from.

    tell    called with (features read, features there are) by readers of long sources
    """

    source: Source
    root: Path
    tell: Tell = lambda done, total: None

    def files(self) -> list[Path]:
        """The files of the source, sorted; SourceError where one is missing or a pattern matches nothing."""
        return self.source.files(self.root)

    def shown(self, path: Path) -> str:
        """The path as the user wrote it, for messages: relative to city.toml where it lies below."""
        try:
            return str(path.relative_to(self.root))
        except ValueError:
            return path.name

    def record(self) -> dict[str, Any]:
        """What was delivered, plain JSON values: the declaration, and every file with its size and digest."""
        source = self.source
        files = [
            {"path": self.shown(path), "bytes": path.stat().st_size, "digest": fingerprint(path)}
            for path in source.delivered(self.root)
        ]
        return {
            "name": source.name,
            "kind": source.kind,
            "path": source.path if isinstance(source.path, str) else list(source.path),
            "crs": source.crs,
            "vertical": source.vertical,
            "zone": source.zone,
            "files": files,
        }

    def lineage(self) -> Lineage:
        """Lineage before any step, from the declaration."""
        source = self.source
        steps = (source.lineage,) if source.lineage else ()
        return Lineage(source.name, source.licence, source.date, source.accuracy, steps, source.attribution)

    def scale(self) -> float:
        """Metres in one declared unit of length; SourceError for a unit nobody knows."""
        if self.source.unit not in FOOT:
            known = ", ".join(FOOT)
            raise SourceError(f'source "{self.source.name}": unit {self.source.unit!r} is none of {known}')
        return FOOT[self.source.unit]


@dataclass(frozen=True, slots=True)
class RawTable:
    """Features as a file holds them, before anything of ours is done to them.

    fields      source column name -> (n,) array
    geometry    (n,) object array of shapely geometries in the file's CRS, None where a row has no place
    crs         CRS the file itself states, "" where it states none
    shown       file name for messages
    notes       what the file library said while it read, one line each
    """

    fields: Mapping[str, NDArray[Any]]
    geometry: Objects
    crs: str
    shown: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.geometry)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader hands over: one noun (or a stream of them), where it comes from, and what happened on the way.

    noun        Layer, Raster, or a stream that the store drains block by block
    tally       plain counts for the quality table; streams fill theirs while they are drained
    models      a stream of (cell, Solids) beside the noun, where the source brings surfaces of its own
    crs         what features were read in, declared or the file's own
    """

    noun: Any
    lineage: Lineage
    outcomes: tuple[Outcome, ...] = ()
    warnings: tuple[str, ...] = ()
    tally: dict[str, Any] = field(default_factory=dict)
    models: Any = None
    crs: str = ""


class SourceReader(Protocol):
    """A plug-in of this room: a card and one verb."""

    @property
    def card(self) -> Card:
        """What the reader is, before it runs."""

    def read(self, delivery: Delivery, frame: Frame) -> Reading:
        """The delivery in the city's frame; SourceError with file, feature and remedy where that cannot be."""
