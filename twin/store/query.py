"""What to read of a layer: one noun for both stores; values are bound, never written into SQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import shapely

from twin.errors import GeometryError, NotFoundError, OptionsError
from twin.grid import Bounds

OPERATORS = ("=", "<>", "<", "<=", ">", ">=", "between", "in", "starts", "contains", "missing", "present")
MOST = 10_000
_NEVER = "1 = 0"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on a column, named as in CQL2 where it has the word.

    op      "=", "<>", "<", "<=", ">", ">="; "between" (low, high), both included; "in" a list of at most 10,000;
            "starts" and "contains" of texts, letter by letter; "missing" and "present" without a value
    A missing value ("" or NaN) answers to "missing" alone; "" may be asked for by "=" as well. Texts compare by code
    points. A value that cannot be of the column's kind finds nothing.
    raises  OptionsError for an unknown operator, or a value that does not fit it
    """

    column: str
    op: str
    value: Any = None

    def __post_init__(self) -> None:
        if self.op not in OPERATORS:
            raise OptionsError(f"no operator {self.op!r}; there are {' '.join(OPERATORS)}")
        several = not isinstance(self.value, str) and isinstance(self.value, Sequence)
        if several != (self.op in ("between", "in")):
            raise OptionsError(f"{self.column} {self.op}: wants {'one value' if several else 'a list of values'}")
        if self.op == "between" and len(self.value) != 2:
            raise OptionsError(f"{self.column} between: wants two values, lowest first")
        if self.op == "in" and len(self.value) > MOST:
            raise OptionsError(f"{self.column} in: {len(self.value)} values; ask for at most {MOST} at a time")


@dataclass(frozen=True, slots=True)
class Where:
    """Which features of a layer; all parts must hold, and none leaves the whole layer.

    bbox        (xmin, ymin, xmax, ymax) in the frame, m; the feature's own box meets it
    oids        the feature is one of them
    conditions  what the values of columns must be
    shape       shapely geometry in the frame; the feature meets it, exactly
    distance    m; the feature comes as near as this to `shape`, 0 for meeting it
    raises      GeometryError where `shape` is empty or invalid, OptionsError where `distance` is negative
    """

    bbox: Bounds | None = None
    oids: Sequence[str] | None = None
    conditions: tuple[Condition, ...] = ()
    shape: Any = None
    distance: float = 0.0

    def __post_init__(self) -> None:
        if self.shape is not None and (shapely.is_empty(self.shape) or not shapely.is_valid(self.shape)):
            why = "empty" if shapely.is_empty(self.shape) else shapely.is_valid_reason(self.shape)
            raise GeometryError(f"the shape to search by is {why}; repair it with shapely.make_valid")
        if not 0.0 <= self.distance < math.inf:
            raise OptionsError(f"distance {self.distance}: wants metres, 0 or more")

    def narrowed(
        self,
        bbox: Bounds | None = None,
        oids: Iterable[str] | None = None,
        equals: Mapping[str, str | float] | None = None,
    ) -> Where:
        """This and also a box, oids and equal values; OptionsError where both name a box or oids."""
        if (bbox is not None and self.bbox is not None) or (oids is not None and self.oids is not None):
            raise OptionsError("a box or a list of oids is asked for twice; give it once")
        conditions = tuple(Condition(column, "=", value) for column, value in (equals or {}).items())
        return replace(
            self,
            bbox=bbox if bbox is not None else self.bbox,
            oids=list(oids) if oids is not None else self.oids,
            conditions=(*self.conditions, *conditions),
        )

    def reach(self) -> Bounds | None:
        """The box around all that can be as near to `shape` as `distance`; None without one."""
        if self.shape is None:
            return None
        xmin, ymin, xmax, ymax = (float(v) for v in shapely.bounds(self.shape))
        return xmin - self.distance, ymin - self.distance, xmax + self.distance, ymax + self.distance


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` features with keys above `after`."""

    after: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a database writes what both can: the place of a bound value, the search in a text, the order of texts."""

    value: str
    find: str
    ordered: str
    quote: Callable[[str], str]


def conditions_sql(
    layer: str, conditions: Iterable[Condition], kinds: Mapping[str, bool], dialect: Dialect
) -> tuple[list[str], list[Any]]:
    """(pieces of SQL, values to bind) of the conditions.

    kinds   column -> True for numbers, False for texts
    raises  NotFoundError for a column that is not there, names the ones that are
    """
    parts: list[str] = []
    values: list[Any] = []
    for condition in conditions:
        if condition.column not in kinds:
            raise NotFoundError(f"layer {layer} has no column {condition.column!r}; it has {', '.join(kinds)}")
        part, bound = _condition(condition, kinds[condition.column], dialect)
        parts.append(part)
        values += bound
    return parts, values


def _condition(condition: Condition, number: bool, dialect: Dialect) -> tuple[str, list[Any]]:
    column, mark = dialect.quote(condition.column), dialect.value
    known = f"{column} IS NOT NULL" if number else f"{column} <> ''"
    if condition.op in ("missing", "present"):
        return known if condition.op == "present" else f"({known}) IS NOT TRUE", []
    given = condition.value if condition.op in ("between", "in") else [condition.value]
    bound = [_bound(value, number) for value in given]
    held = [value for value in bound if value is not None]
    if condition.op == "in":
        return (f"{column} IN ({', '.join([mark] * len(held))})", held) if held else (_NEVER, [])
    if len(held) != len(bound):
        return _NEVER, []
    if condition.op == "=":
        return f"{column} = {mark}", held
    if condition.op in ("starts", "contains"):
        if number:
            return _NEVER, []
        return f"{known} AND {dialect.find}({column}, {mark}) {'= 1' if condition.op == 'starts' else '> 0'}", held
    ordered = column if number else f"{column} {dialect.ordered}"
    if condition.op == "between":
        return f"{known} AND {ordered} >= {mark} AND {ordered} <= {mark}", held
    return f"{known} AND {ordered} {condition.op} {mark}", held


def _bound(value: Any, number: bool) -> str | float | None:
    """The value as the column has it; None where no value of the column can compare with it."""
    if not number:
        return None if value is None or "\0" in str(value) else str(value)
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(found) else found
