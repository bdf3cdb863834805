"""Tables of facts and styles: what is known of each monument, from which source, and how well."""

from __future__ import annotations

import csv
import tomllib
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any


@cache
def table(name: str) -> tuple[MappingProxyType[str, Any], ...]:
    """Rows of `tables/<name>.csv`; numbers as f8, empty cells as None."""
    text = (resources.files("models_l3") / "tables" / f"{name}.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(MappingProxyType({key: _value(cell) for key, cell in row.items()}) for row in rows)


@cache
def document(name: str) -> MappingProxyType[str, Any]:
    """Content of `tables/<name>.toml`."""
    text = (resources.files("models_l3") / "tables" / f"{name}.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))


def _value(cell: str) -> float | str | None:
    if cell == "":
        return None
    try:
        return float(cell)
    except ValueError:
        return cell
