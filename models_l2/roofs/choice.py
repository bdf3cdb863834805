"""Which roof type a building gets: what its source says, else the first declared rule that fits, else the default."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_l2.footprints import Rings
from models_l2.roofs.card import Registry, RoofBatch, TypeOptions
from twin.errors import OptionsError
from twin.features import Objects
from twin.options import option, read_options

Floats = NDArray[np.float64]

UNKNOWN = "屋顶类型未识别 / roof type not understood"
NEAREST = "屋顶类型取最近似者 / nearest roof type for"

ATTRIBUTE, DEFAULT = "attribute", "default"
# Text facts that a rule may list values of, and numbers that it may bound.
_TEXTS = ("function", "structure", "heritage", "zone")
_NUMBERS = ("storeys", "area", "height", "year_built")


@dataclass(frozen=True, slots=True)
class RoofRule:
    """One rule, a table [[l2.roofs.rules]]; every condition that is given must hold. Unknown numbers fit no bound."""

    type: str = option("flat", doc="Roof type of the buildings that fit.")
    slope: float = option(0.0, unit="deg", min=0.0, max=65.0, doc="Their slope; 0 is the usual one of the type.")
    function: tuple[str, ...] = option((), doc="Uses of the building.")
    structure: tuple[str, ...] = option((), doc="Structures.")
    heritage: tuple[str, ...] = option((), doc="Keys of heritage.")
    zone: tuple[str, ...] = option((), doc="Codes or names of the zones that it stands in.")
    storeys_min: float = option(0.0, unit="storeys", min=0.0, max=200.0, doc="Least number of storeys.")
    storeys_max: float = option(200.0, unit="storeys", min=0.0, max=200.0, doc="Largest number of storeys.")
    area_min: float = option(0.0, unit="m2", min=0.0, max=1e7, doc="Least area of the footprint.")
    area_max: float = option(1e7, unit="m2", min=0.0, max=1e7, doc="Largest area of the footprint.")
    height_min: float = option(0.0, unit="m", min=0.0, max=1500.0, doc="Least height.")
    height_max: float = option(1500.0, unit="m", min=0.0, max=1500.0, doc="Largest height.")
    year_built_min: float = option(-5000.0, unit="yr", min=-5000.0, max=3000.0, doc="Earliest year of construction.")
    year_built_max: float = option(3000.0, unit="yr", min=-5000.0, max=3000.0, doc="Latest year of construction.")


@dataclass(frozen=True, slots=True)
class RoofOptions:
    """Roofs where no points tell their shape, section [l2.roofs] of city.toml."""

    shape: TypeOptions = field(default_factory=TypeOptions)
    rules: tuple[Mapping[str, Any], ...] = option(
        (), doc="Rules, tables [[l2.roofs.rules]]; the first that fits holds."
    )
    otherwise: str = option("flat", doc="Roof type where neither the source nor a rule knows one.")
    height_is: str = option(
        "ridge", choices=("ridge", "eave"), doc="What the height of a building with a pitched roof is measured to."
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """Roof types of n buildings.

    kind    (n,) str, name of the type           slope   (n,) f8 deg, NaN: the usual one of the type
    how     (n,) str, "attribute", "rule 1" ... or "default"
    said    (n,) str, what is to be reported: words not understood, types that only come near; else ""
    """

    kind: Objects
    slope: Floats
    how: Objects
    said: Objects

    def take(self, rows: NDArray[np.int64]) -> Choice:
        """The buildings `rows` (k,), in that order."""
        return Choice(self.kind[rows], self.slope[rows], self.how[rows], self.said[rows])


def roof_words() -> Mapping[str, tuple[str, bool]]:
    """Word of a source in its plain form -> (roof type, whether it means just that); the table is `words.csv`."""
    with resources.files(__package__).joinpath("words.csv").open(encoding="utf-8", newline="") as lines:
        return {plain(row["word"]): (row["type"], row["exact"] == "1") for row in csv.DictReader(lines)}


def plain(word: str) -> str:
    """A word without case, outer blanks, the address of its code list, or a choice of blank, hyphen and underscore."""
    return word.strip().rpartition("#")[2].casefold().replace("-", " ").replace("_", " ")


def rules_of(options: RoofOptions, types: Registry) -> tuple[RoofRule, ...]:
    """The declared rules, checked.

    raises   OptionsError for an unknown key or type, a wrong value or a value out of range
    """
    rules = []
    for number, table in enumerate(options.rules, 1):
        where = f"[l2.roofs] rule {number}"
        if not isinstance(table, Mapping):
            raise OptionsError(f"{where}: expected a table, got {table!r}")
        rule = read_options(RoofRule, table, where)
        _require(rule.type, types, where)
        rules.append(rule)
    _require(options.otherwise, types, "[l2.roofs] otherwise")
    return tuple(rules)


def choose(facts: Mapping[str, NDArray[Any]], options: RoofOptions, types: Registry) -> Choice:
    """The roof type of every building.

    facts    columns (n,): roof_type as the source wrote it; function, structure, heritage, zone str; storeys, area m2,
             height m, year_built f8, NaN unknown. A rule about a column that is not there fits nobody
    """
    word = np.array([str(text) for text in facts["roof_type"].tolist()], dtype=object)
    n = len(word)
    kind, how, said = (np.full(n, "", dtype=object) for _ in range(3))
    slope = np.full(n, np.nan)
    known = roof_words() | {plain(t.card.name): (t.card.name, True) for t in types}
    for text in sorted(set(word.tolist()) - {""}):
        rows = word == text
        name, exact = known.get(plain(text), ("", True))
        if name in types:
            kind[rows], how[rows] = name, ATTRIBUTE
        said[rows] = f"{UNKNOWN}: {text}" if name not in types else "" if exact else f"{NEAREST} {text}"
    for number, rule in enumerate(rules_of(options, types), 1):
        rows = (kind == "") & _fits(rule, facts, n)
        kind[rows], how[rows] = rule.type, f"rule {number}"
        slope[rows] = rule.slope if rule.slope > 0.0 else np.nan
    left = kind == ""
    kind[left], how[left] = options.otherwise, DEFAULT
    return Choice(kind, slope, how, said)


def batch_of(rings: Rings, floor: Floats, top: Floats, eave: Floats, slope: Floats, options: RoofOptions) -> RoofBatch:
    """The batch to roof, with heights as the options understand them.

    floor   (n,) f8 m, no eaves are lower            top     (n,) f8 m, ground and height of the building
    eave    (n,) f8 m, where eaves are known on their own, else NaN         slope   (n,) f8 deg, or NaN
    """
    unknown = np.full(rings.n, np.nan)
    if options.height_is == "eave":
        return RoofBatch(rings, floor, np.where(np.isnan(eave), top, eave), unknown, slope, unknown)
    # Eaves as high as the top leave no room for the roof that is asked for: one of the two is not what it says.
    return RoofBatch(rings, floor, np.where(eave < top, eave, np.nan), top, slope, unknown)


def _fits(rule: RoofRule, facts: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.bool_]:
    fits = np.ones(n, bool)
    for name in _TEXTS:
        wanted = getattr(rule, name)
        if wanted:
            fits &= np.isin(facts[name].astype(str), wanted) if name in facts else False
    usual = {f.name: f.default for f in fields(RoofRule)}
    for name in _NUMBERS:
        low, high = (getattr(rule, f"{name}_{end}") for end in ("min", "max"))
        if (low, high) != (usual[f"{name}_min"], usual[f"{name}_max"]):
            fits &= (facts[name] >= low) & (facts[name] <= high) if name in facts else False
    return fits


def _require(name: str, types: Registry, where: str) -> None:
    if name not in types:
        raise OptionsError(f"{where}: no roof type {name!r}; known are {', '.join(t.card.name for t in types)}")
