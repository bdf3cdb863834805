"""What the walk of a tileset carries along, and what a tile inherits."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tiles.checks.contents import Job
from tiles.checks.findings import Findings
from tiles.reading.openers import Opener
from tiles.scheme.volumes import Floats, Volume
from tiles.walk.coverage import Node


@dataclass(slots=True)
class Walk:
    """What a check carries along, and what it gathers for the checks that follow.

    jobs    contents to be opened
    nodes   tiles by name, those above before those below
    files   names of all documents and contents that were met
    most    files at most; what lies beyond is not looked at, which is told
    until   clock of time.monotonic() at which the walk stops, likewise
    """

    found: Findings
    opener: Opener
    most: int = 1_000_000
    until: float = math.inf
    jobs: list[Job] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)

    def may(self, name: str) -> bool:
        """Whether one more file may be opened."""
        if len(self.files) >= self.most:
            self.found.remark(f"stopped after {self.most} files (--most); the rest was not looked at")
        elif time.monotonic() > self.until:
            self.found.remark("stopped when the time was over (--seconds); the rest was not looked at")
        else:
            self.files.add(name)
            return True
        return False


@dataclass(frozen=True, slots=True)
class Above:
    """What a tile inherits.

    world   (4, 4) axes of the tile above -> Earth-centred        volumes     of all tiles above, outermost first
    error   m                                                     refine      "" above the root
    tile    name of the tile above, "" above the root             open        documents that are being read
    """

    world: Floats
    volumes: tuple[Volume, ...] = ()
    error: float = math.inf
    refine: str = ""
    tile: str = ""
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """The document that a tile stands in.

    groups      how many it has
    bearing     id() of each tile -> whether it or a tile below has a content
    """

    name: str
    label: str
    schema: Mapping[str, Any] | None
    groups: int
    bearing: dict[int, bool]


def enter(walk: Walk, name: str, parent: str, error: float, refine: str) -> None:
    """Note a tile for the checks of coverage."""
    walk.nodes[name] = Node(parent, error, refine)
    if parent in walk.nodes:
        walk.nodes[parent].children.append(name)
