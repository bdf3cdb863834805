"""The tables of published facts, read once per run; every row names the source of its numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from importlib import resources

import numpy as np

from ingest.datong.plan import (
    ELL,
    FRAME,
    FUNCTIONS,
    OCTAGON,
    ORIGIN,
    RECT,
    ROOFS,
    STRUCTURES,
    YOU,
    Buildings,
    Floats,
    buildings,
)

FACINGS = {"S": 0.0, "E": np.pi / 2, "N": np.pi, "W": -np.pi / 2}
SHAPES = {"rect": RECT, "ell": ELL, "you": YOU, "octagon": OCTAGON}

Row = dict[str, str]


def table(name: str) -> list[Row]:
    """The rows of one fact table beside this file."""
    with resources.files(__package__).joinpath(f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def numbers(rows: Iterable[Row], column: str) -> Floats:
    """One column as numbers, NaN where it is empty."""
    return np.array([float(row[column]) if row[column] else np.nan for row in rows])


def texts(rows: Iterable[Row], column: str) -> np.ndarray:
    """One column as an object array of texts."""
    return np.array([row[column] for row in rows], dtype=object)


def places(rows: list[Row]) -> Floats:
    """Town coordinates (n, 2) of rows with lon, lat and offsets du, dv in metres."""
    lonlat = np.column_stack([numbers(rows, "lon"), numbers(rows, "lat")])
    return FRAME.from_lonlat(lonlat) - ORIGIN + np.column_stack([numbers(rows, "du"), numbers(rows, "dv")])


def points(text: str) -> Floats:
    """Town coordinates (n, 2) of a "x y|x y" list."""
    return np.array([[float(c) for c in pair.split()] for pair in text.split("|")])


def monuments() -> tuple[Buildings, list[Row]]:
    """The great buildings of the old town at their real places, and the rows they come from."""
    rows = table("monuments")
    uv = places(rows)
    height = numbers(rows, "height")
    batch = buildings(
        uv[:, 0], uv[:, 1], numbers(rows, "frontage"), numbers(rows, "depth"),
        angle=np.array([FACINGS[r["facing"]] for r in rows]),
        shape=np.array([SHAPES[r["shape"]] for r in rows]),
        storeys=numbers(rows, "storeys"), height=height, eave=numbers(rows, "eave"),
        function=np.array([FUNCTIONS.index(r["function"]) for r in rows]),
        structure=np.array([STRUCTURES.index(r["structure"]) for r in rows]),
        roof=np.array([ROOFS.index(r["roof"]) for r in rows]),
        year=numbers(rows, "year"), lot=np.arange(len(rows)), tint=0.5,
        name=texts(rows, "name"), name_en=texts(rows, "name_en"), heritage=texts(rows, "key"),
    )  # fmt: skip
    return batch, rows


def precincts() -> tuple[Floats, list[Row]]:
    """Rectangles (n, 4) west, south, east, north of temple grounds and squares, and their rows."""
    rows = table("precincts")
    uv = places(rows)
    half = 0.5 * np.column_stack([numbers(rows, "width"), numbers(rows, "depth")])
    return np.hstack([uv - half, uv + half]), rows
