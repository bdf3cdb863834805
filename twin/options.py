"""Options are declared once: default, unit, bounds and a sentence beside the stage that reads them.

Flags of the command line, keys of `city.toml`, range checks and the options page are derived from the declaration.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from twin.errors import OptionsError

T = TypeVar("T")


def option(
    default: Any,
    *,
    doc: str,
    unit: str = "",
    min: float | None = None,
    max: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """A dataclass field that carries its unit, bounds and sentence; mutable defaults are given as a factory."""
    metadata = {"doc": doc, "unit": unit, "min": min, "max": max, "choices": choices}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def read_options(cls: type[T], table: Mapping[str, Any], where: str = "options") -> T:
    """The options object that `table` describes.

    table     keys as in `city.toml`; a nested dataclass is a nested table
    where     name of the table for messages, for example "[l2.extrude]"
    raises    OptionsError for an unknown key (with the nearest known name), a wrong type or a value out of range
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1, cutoff=0.0)
            raise OptionsError(
                f"{where}: unknown key {key!r}; did you mean {near[0]!r}?" if near else f"{where}: {key!r}"
            )
        values[key] = _read_value(hints[key], fields[key], value, f"{where}.{key}")
    return cls(**values)


def _read_value(kind: Any, field: dataclasses.Field[Any], value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise OptionsError(f"{where}: expected a table, got {value!r}")
        return read_options(typing.cast(type, kind), value, where)
    origin = typing.get_origin(kind)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if (origin or kind) is tuple and isinstance(value, list):
        value = tuple(tuple(v) if isinstance(v, list) else v for v in value)
    expected = origin or kind
    if isinstance(expected, type) and not isinstance(value, expected):
        raise OptionsError(f"{where}: expected {expected.__name__}, got {value!r}")
    check_range(field, value, where)
    return value


def check_range(field: dataclasses.Field[Any], value: Any, where: str) -> None:
    """Nothing where the value lies inside the declared bounds and choices; else OptionsError."""
    low, high, choices = (field.metadata.get(key) for key in ("min", "max", "choices"))
    unit = f" {field.metadata['unit']}" if field.metadata.get("unit") else ""
    if choices is not None and value not in choices:
        raise OptionsError(f"{where}: {value!r} is none of {', '.join(map(str, choices))}")
    if low is not None and value < low:
        raise OptionsError(f"{where}: {value}{unit} is below the least allowed, {low}{unit}")
    if high is not None and value > high:
        raise OptionsError(f"{where}: {value}{unit} is above the largest allowed, {high}{unit}")


def describe_options(cls: type, section: str) -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """(dotted key, field, default) of every plain option below `section`, nested ones included."""
    hints = typing.get_type_hints(cls)
    instance = cls()
    for field in dataclasses.fields(cls):
        key = f"{section}.{field.name}"
        if dataclasses.is_dataclass(hints[field.name]):
            yield from describe_options(typing.cast(type, hints[field.name]), key)
        else:
            yield key, field, getattr(instance, field.name)


def as_table(options: Any) -> dict[str, Any]:
    """Options as plain values, nested tables included; `read_options` of it gives the same options."""
    table: dict[str, Any] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value):
            table[field.name] = as_table(value)
        elif isinstance(value, tuple):
            table[field.name] = [list(v) if isinstance(v, tuple) else v for v in value]
        else:
            table[field.name] = value
    return table
