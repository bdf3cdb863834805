"""The constants of the zoning method: read from the data files beside this module, each with source and status."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import NotFoundError
from twin.risk.weights import Judgement

Floats = NDArray[np.float64]

METHOD = "flood-risk-index 1.0: R = (H E V)^(1/3) (1 - 0.4 C), frozen anchors and thresholds"


@dataclass(frozen=True, slots=True)
class Indicator:
    """What an indicator is called, how its raw value is shown, and the pillar it belongs to."""

    key: str
    pillar: str
    zh: str
    en: str
    unit: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Level:
    """One of the five levels: the least score of it, its names and its colour."""

    number: int
    least: float
    zh: str
    en: str
    colour: str


@dataclass(frozen=True, slots=True)
class Rule:
    """An override: where water of `depth` m stands and the other conditions hold, the level is at least `least_level`.

    units            "building", "street" or "both"
    timber_heritage  only listed timber buildings
    hidden_danger    only within this many metres of a listed hidden danger; 0 everywhere
    """

    id: str
    zh: str
    en: str
    units: str
    least_level: int
    depth: float
    timber_heritage: bool
    hidden_danger: float


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything frozen that a zone depends on.

    anchors     id -> (x, y), both (k,) f8, x rising
    constants   id -> value
    levels      the five levels, lowest first; thresholds are their `least`
    classes     table -> class -> column -> value: structures, functions, roads
    damage      structure -> (depth m, ratio)
    """

    version: str
    anchors: Mapping[str, tuple[Floats, Floats]]
    constants: Mapping[str, float]
    levels: tuple[Level, ...]
    classes: Mapping[str, Mapping[str, Mapping[str, str]]]
    damage: Mapping[str, tuple[Floats, Floats]]
    indicators: Mapping[str, Indicator]
    judgements: Mapping[str, Judgement]
    rules: tuple[Rule, ...]

    @property
    def thresholds(self) -> Floats:
        """Least scores (4,) f8 of levels 2 to 5."""
        return np.array([level.least for level in self.levels[1:]])

    def lookup(self, table: str, column: str, keys: NDArray[Any]) -> Floats:
        """The column's number (n,) f8 for each class name (n,); the row "unknown" speaks for names not in the table."""
        rows = self.classes[table]
        names, inverse = np.unique(np.asarray(keys, dtype=str), return_inverse=True)
        values = np.array([float(rows.get(name, rows["unknown"])[column]) for name in names])
        return values[inverse] if len(names) else np.zeros(0)

    def anchor(self, name: str) -> tuple[Floats, Floats]:
        """The anchors of an indicator; NotFoundError names what there is."""
        if name not in self.anchors:
            raise NotFoundError(f"no anchors {name!r}; there are {', '.join(self.anchors)}")
        return self.anchors[name]


@lru_cache(maxsize=1)
def load_tables() -> Tables:
    """The tables that come with the engine."""
    judged = _toml("judgements.toml")
    thresholds = _rows("thresholds.csv")
    return Tables(
        version=thresholds[0]["version"],
        anchors=_curves("anchors.csv", "x", "y"),
        constants=MappingProxyType({row["id"]: float(row["value"]) for row in _rows("constants.csv")}),
        levels=tuple(Level(int(r["level"]), float(r["least"]), r["zh"], r["en"], r["colour"]) for r in thresholds),
        classes=MappingProxyType(
            {name: {row["id"]: row for row in _rows(f"{name}.csv")} for name in ("structures", "functions", "roads")}
        ),
        damage=_curves("damage.csv", "depth", "ratio"),
        indicators=MappingProxyType(
            {
                r["key"]: Indicator(r["key"], r["pillar"], r["zh"], r["en"], r["unit"], int(r["decimals"]))
                for r in _rows("indicators.csv")
            }
        ),
        judgements=MappingProxyType(
            {
                name: Judgement(tuple(table["keys"]), np.array(table["matrix"], dtype=np.float64))
                for name, table in judged.items()
                if isinstance(table, dict)
            }
        ),
        rules=tuple(_rule(table) for table in _toml("overrides.toml")["rule"]),
    )


def _rule(table: Mapping[str, Any]) -> Rule:
    return Rule(
        id=table["id"],
        zh=table["zh"],
        en=table["en"],
        units=table["units"],
        least_level=int(table["least_level"]),
        depth=float(table["depth"]),
        timber_heritage=bool(table.get("timber_heritage", False)),
        hidden_danger=float(table.get("hidden_danger", 0.0)),
    )


def _text(name: str) -> str:
    return resources.files("twin.risk").joinpath("data", name).read_text(encoding="utf-8")


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(_text(name).splitlines()))


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(_text(name))


def _curves(name: str, x: str, y: str) -> Mapping[str, tuple[Floats, Floats]]:
    points: dict[str, list[tuple[float, float]]] = {}
    for row in _rows(name):
        points.setdefault(row["id"], []).append((float(row[x]), float(row[y])))
    return MappingProxyType({key: _arrays(pairs) for key, pairs in points.items()})


def _arrays(pairs: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    table = np.array(pairs)
    return table[:, 0], table[:, 1]
