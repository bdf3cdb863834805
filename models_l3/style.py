"""Styles: what the tables say of a monument, with the gaps filled by the rules of its era."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from models_l3.facts import document
from models_l3.rules import Section, era_ratio, jujia, jujia_coefficients, juzhe
from twin.errors import NotFoundError, OptionsError

NOT_STYLES = ("evidence", "style_by_name", "facing_by_name")
SONG_ERAS = ("tang", "liao", "song", "jin", "jin_steep", "yuan")


@dataclass(frozen=True, slots=True)
class Tier:
    """One storey of a body: set back from the one below, m, with its column height, m."""

    inset: float
    column: float
    balcony: bool = False
    bays: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Style:
    """One monument or kind of building, as the table gives it; lengths in m, 0 where a rule decides.

    form       hall | screen_wall | pailou
    size       frontage and depth over the column lines; (0, 0) takes the footprint
    facing     azimuth of the front, degrees from north clockwise
    eave       height of the eave edge above the floor; column the height of the eave column
    doors      bays of the front that have a door, 0 the first; empty with wall = lattice means all
    evidence   level per part, over the defaults of the table
    """

    key: str
    name: str
    name_en: str
    roof: str
    era: str
    form: str = "hall"
    size: tuple[float, float] = (0.0, 0.0)
    bays: tuple[int, int] = (3, 3)
    rafters: int = 6
    sides: int = 4
    facing: float = 180.0
    platform: float = 0.6
    eave: float = 0.0
    column: float = 0.0
    height: float = 0.0
    bracket_ratio: float = 0.0
    brackets: bool = True
    overhang: float = 0.0
    gable_steps: float = 1.0
    tuishan: float = 1.0
    rise: float = 0.0
    reading: str = ""
    upturn: float = 1.0
    chiwen: float = 0.0
    figures: int = 0
    finial: float = 0.0
    tiers: tuple[Tier, ...] = ()
    porch: str = ""
    wall: str = "lattice"
    wall_material: str = "red_wall"
    doors: tuple[int, ...] = ()
    tile: str = "grey_tile"
    edge: str = "grey_tile"
    ornament: str = "grey_tile"
    yuetai: tuple[float, float] = (0.0, 0.0)
    rail: bool = False
    fabric: str = "new_in_style"
    sources: str = ""
    rules: str = ""
    choices: str = ""
    sigma: float = 0.5
    count: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_old(self) -> bool:
        """True where the section follows the raise-and-fold rule rather than the coefficients of 1734."""
        return self.era in SONG_ERAS

    def ratio_of_brackets(self) -> float:
        """Height of the bracket set over the column height."""
        return self.bracket_ratio or (0.26 if self.is_old else 0.15)

    def section(self, span: float) -> Section:
        """The purlin section over a span between eave purlins, m.

        raises   OptionsError where the rule is ambiguous and the table chose no reading
        """
        steps = [span / self.rafters] * (self.rafters // 2)
        if self.rise or self.is_old:
            return juzhe(steps, (self.rise or era_ratio(self.era)) * span)
        return jujia(steps, jujia_coefficients(len(steps), self.reading or None))


def styles() -> dict[str, Style]:
    """All styles of the table by key; a key that ends in `*` stands for all keys that begin so."""
    data = document("monuments")
    return {key: _style(key, row, data["evidence"]) for key, row in data.items() if key not in NOT_STYLES}


def by_name(table: str, name: str) -> Any:
    """What a table of names says of a building whose name contains one of its words; None where none fits."""
    return next((value for word, value in document("monuments")[table].items() if word in name), None)


def style_for(key: str, known: Mapping[str, Style]) -> Style:
    """The style of a heritage key: its own, else the longest family that fits.

    raises   NotFoundError naming the key and the table to extend
    """
    if key in known:
        return known[key]
    families = [name for name in known if name.endswith("*") and key.startswith(name[:-1])]
    if not families:
        raise NotFoundError(f"heritage key {key!r}: not in the style table; add it to models_l3/tables/monuments.toml")
    return known[max(families, key=len)]


def _style(key: str, row: Mapping[str, Any], evidence: Mapping[str, str]) -> Style:
    names = {f.name for f in fields(Style)}
    unknown = sorted(set(row) - names)
    if unknown:
        raise OptionsError(f"monuments.toml [{key}]: unknown {', '.join(unknown)}; see models_l3/style.py")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) and name != "tiers" else value for name, value in row.items()
    }
    tiers = tuple(
        Tier(t["inset"], t["column"], t.get("balcony", False), tuple(t["bays"]) if "bays" in t else None)
        for t in row.get("tiers", [])
    )
    values |= {"key": key, "tiers": tiers, "evidence": {**evidence, **row.get("evidence", {})}}
    return Style(**values)
