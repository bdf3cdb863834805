"""What a wall is built from: its fact table, its pieces, and towers made once and set many times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_l3.facts import document
from models_l3.hall import Part, fitted, hall
from models_l3.style import Style
from models_l3.walls.ring import Parapet, WallSection
from twin.errors import OptionsError

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Piece:
    """One city object of the wall, in wall coordinates (x east, y north of the centre, z in the vertical datum)."""

    key: str
    name: str
    parts: tuple[Part, ...]
    style: Style | None = None


@dataclass(frozen=True, slots=True)
class WallFacts:
    """The fact table of one wall, typed where the builder needs it."""

    table: Mapping[str, Any]
    section: WallSection
    parapet: Parapet
    half: tuple[float, float]

    def evidence(self, part: str) -> str:
        """Level of evidence of a part of the wall."""
        return str(self.table["evidence"][part])

    @property
    def perimeter(self) -> float:
        """Length of the centre line, m."""
        return 4.0 * (self.half[0] + self.half[1])

    @property
    def corners(self) -> Array:
        """Corners (4,2) of the centre line, counter-clockwise from the south-west."""
        a, b = self.half
        return np.array([[-a, -b], [a, -b], [a, b], [-a, b]])

    def side_half(self, side: str) -> tuple[float, float]:
        """Half length of a side and its distance from the centre, m."""
        a, b = self.half
        return (a, b) if side in "SN" else (b, a)


def wall_facts(key: str) -> WallFacts:
    """The fact table of a wall; OptionsError naming the known ones."""
    known = document("walls")
    if key not in known:
        raise OptionsError(
            f"[l3] wall = {key!r}: no such wall in models_l3/tables/walls.toml; known: {', '.join(known)}"
        )
    t = known[key]
    section = WallSection(t["height"], t["base"], t["top"], t["buried"])
    parapet = Parapet(t["sill"], tuple(t["merlon"]), t["merlon_gap"])
    return WallFacts(t, section, parapet, (t["length"][0] / 2, t["length"][1] / 2))


class TowerShop:
    """Builds each kind of tower once and hands out copies."""

    def __init__(self, styles: Mapping[str, Style]) -> None:
        self._styles = styles
        self._made: dict[str, tuple[Style, list[Part]]] = {}

    def tower(self, kind: str, key: str, name: str, at: tuple[float, float, float], turn: float) -> Piece:
        """A tower of a style as a piece, its floor a platform above the walk `at`."""
        if kind not in self._made:
            style = fitted(self._styles[kind], self._styles[kind].size)
            self._made[kind] = (style, hall(style, style.size, -style.platform))
        style, made = self._made[kind]
        x, y, z = at
        parts = tuple(Part(p.kind, p.mesh.turned(turn).moved(x, y, z + style.platform), p.evidence) for p in made)
        return Piece(key, name or style.name, parts, style)
