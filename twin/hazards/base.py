"""What every hazard is: a card that says what it needs and gives, and two verbs.

A new hazard is one file with a class that has `card`, `prepare` and a field with `take` and `intensity`, and one line
in `twin/hazards/__init__.py`. `prepare` does what does not depend on the event (minutes allowed); the field it returns
answers an event in milliseconds, on the whole grid or on the cells it was cut to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from twin.errors import MissingInputError, NotFoundError, OptionsError
from twin.features import Layer
from twin.grid import Raster

Floats = NDArray[np.float64]
Event = TypeVar("Event", contravariant=True)


@dataclass(frozen=True, slots=True)
class Card:
    """What a hazard declares before it runs.

    name, name_zh   English key and Chinese name
    needs           what the scene must hold: "relief" or names of layers
    helps           what makes it better where present
    produces, unit  what `intensity` gives
    method          the method, with its source
    """

    name: str
    name_zh: str
    needs: tuple[str, ...]
    helps: tuple[str, ...]
    produces: str
    unit: str
    method: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What a hazard may ask of a city: the relief, and layers by name (only those that are there and not empty)."""

    relief: Raster
    layers: Mapping[str, Layer]

    def has(self, name: str) -> bool:
        """True where the scene holds the relief or layer of this name."""
        return name == "relief" or name in self.layers


class Field(Protocol[Event]):
    """The prepared part of a hazard on a grid, or on the cells it was cut to."""

    @property
    def quality(self) -> float:
        """How well the intensity is known: 1.0 surveyed, 0.8 modelled, 0.5 proxy, 0.2 assumed."""
        ...

    def take(self, cells: NDArray[np.int64]) -> Field[Event]:
        """The same field on the flat cells (m,) i8 only."""
        ...

    def intensity(self, event: Event) -> Floats:
        """Intensity of the event in the card's unit, f8, shape of the field; NaN where nothing can be said."""
        ...


class Hazard(Protocol[Event]):
    """A process that can hurt: its card, and the work that does not depend on the event."""

    @property
    def card(self) -> Card:
        """What the hazard needs and gives."""
        ...

    def prepare(self, scene: Scene, options: Any) -> Field[Event]:
        """The hazard's field for a scene that holds everything the card needs."""
        ...


class Registry:
    """The hazards the engine knows, by name; a new registry for every change, none replaced silently."""

    def __init__(self, hazards: Iterable[Hazard[Any]] = ()) -> None:
        table: dict[str, Hazard[Any]] = {}
        for hazard in hazards:
            if hazard.card.name in table:
                raise OptionsError(f"hazard {hazard.card.name!r} is registered twice; give one another name")
            table[hazard.card.name] = hazard
        self._table = MappingProxyType(table)

    def __iter__(self) -> Iterator[Hazard[Any]]:
        return iter(self._table.values())

    def __getitem__(self, name: str) -> Hazard[Any]:
        if name not in self._table:
            raise NotFoundError(f"no hazard {name!r}; known are {', '.join(self._table)}")
        return self._table[name]

    def register(self, *hazards: Hazard[Any]) -> Registry:
        """A registry with these hazards as well."""
        return Registry([*self._table.values(), *hazards])


def prepare(hazard: Hazard[Any], scene: Scene, options: Any) -> Field[Any]:
    """The hazard's field, once its card's needs are met; MissingInputError names what is not there."""
    missing = [name for name in hazard.card.needs if not scene.has(name)]
    if missing:
        raise MissingInputError(
            f"hazard {hazard.card.name} needs {', '.join(missing)}; run the stages that give it first"
        )
    return hazard.prepare(scene, options)
