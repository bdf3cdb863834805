"""The one process so far: flood zoning for a storm the caller names, on a scene made ready once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from server.deps import Context
from twin.hazards.storm import StormInputs
from twin.risk import build
from twin.risk.scenario import PEOPLE

PROCESS = "flood-zoning"
_KEY = "zone scene"
_MADE_FROM = ("layer", "raster")


def inputs_schema() -> dict[str, Any]:
    """Inputs of the process as OGC API Processes describes them, from the declaration beside the hazard."""
    described: dict[str, Any] = {}
    for field in dataclasses.fields(StormInputs):
        meta = field.metadata
        schema = {"type": "number", "minimum": meta["min"], "maximum": meta["max"], "x-ogc-uom": meta["unit"]}
        described[field.name] = {
            "title": field.name,
            "description": f"{meta['doc']} ({meta['unit']})",
            "minOccurs": 0,
            "schema": {key: value for key, value in schema.items() if value not in (None, "")},
        }
    described["people"] = {
        "title": "people",
        "description": "Which people count as exposed.",
        "minOccurs": 0,
        "schema": {"type": "string", "enum": list(PEOPLE)},
    }
    return described


OUTPUTS: Mapping[str, Any] = {
    "levels": {
        "title": "Levels of buildings",
        "description": "oid -> 1 (low) .. 5 (high), 0 where the data does not suffice",
        "schema": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 5}},
    },
    "streets": {
        "title": "Levels of street pieces",
        "description": "oid of the piece -> level, as for buildings",
        "schema": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 5}},
    },
    "summary": {"title": "Summary", "description": "In words, zh and en", "schema": {"type": "object"}},
    "figures": {"title": "Figures", "description": "Counts and sums with units", "schema": {"type": "object"}},
}


def zoning(here: Context, inputs: Mapping[str, Any]) -> Callable[[], Mapping[str, Any]]:
    """A run of the process for `inputs`, to be called in a thread; the first call makes the scene ready."""

    def run() -> Mapping[str, Any]:
        return as_json(build.run_flood(_scene(here), dict(inputs)))

    return run


def make_ready(here: Context) -> None:
    """Begin to make the scene ready, so that a run that is likely to come need not wait; nothing where it is."""
    if not here.memo.has(_KEY, _content(here)):
        here.jobs.aside(lambda: _scene(here))


def _scene(here: Context) -> Any:
    return here.memo.get(_KEY, _content(here), lambda: build.zone_scene(here.city))


def as_json(result: Any) -> dict[str, Any]:
    """A ZoneResult as plain JSON values: levels by oid, 0 where there is none."""
    return {
        "levels": result.buildings.levels_by_oid(),
        "streets": result.streets.levels_by_oid(),
        "summary": dict(result.summary),
        "figures": {key: _plain(value) for key, value in result.figures.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _content(here: Context) -> str:
    items = [item for kind in _MADE_FROM for item in here.city.store.items(kind)]
    return " ".join(item.digest for item in items if not item.name.startswith("zone_"))
