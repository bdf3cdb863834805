"""One fault in a polygon at a time is told by its number."""

from __future__ import annotations

import numpy as np
import pytest

from twin.analysis.facets import Polygons
from twin.analysis.polygons import CODES, check_polygons, first_of_owner

SQUARE = [(0, 0, 0), (9, 0, 0), (9, 9, 0), (0, 9, 0)]


def hole(x: float, y: float, size: float = 2.0) -> list[tuple[float, float, float]]:
    """A square hole, turning against the outer ring."""
    return [(x, y, 0), (x, y + size, 0), (x + size, y + size, 0), (x + size, y, 0)]


def polygons(*shapes: list[list[tuple[float, float, float]]]) -> Polygons:
    rings = [ring for shape in shapes for ring in shape]
    points = np.array([point for ring in rings for point in ring], float).reshape(-1, 3)
    ends = np.cumsum([0, *map(len, rings)])
    parts = np.cumsum([0, *map(len, shapes)])
    return Polygons(points, np.arange(len(points)), ends, parts, np.arange(len(shapes)))


def lifted(ring: list, k: int, z: float) -> list:
    return [(x, y, z if place == k else h) for place, (x, y, h) in enumerate(ring)]


FAULTS = {
    "square": ([SQUARE], 0),
    "with a hole": ([SQUARE, hole(2, 2)], 0),
    "a hole that touches the outer ring at a corner": ([SQUARE, [(0, 0, 0), (1, 3, 0), (3, 1, 0)]], 0),
    "a point on a straight side": ([[(0, 0, 0), (4, 0, 0), (9, 0, 0), (9, 9, 0)]], 0),
    "off the plane by less than a centimetre": ([lifted(SQUARE, 2, 0.015)], 0),
    "two points": ([SQUARE[:2]], 101),
    "a point twice": ([[*SQUARE, (0, 9, 0.0004)]], 102),
    "a bow tie": ([[SQUARE[k] for k in (0, 2, 1, 3)]], 104),
    "a spike": ([[(0, 0, 0), (9, 0, 0), (15, 0, 0), (9, 0, 0.0), (9, 9, 0)]], 104),
    "a hole across the outer ring": ([SQUARE, hole(8, 4)], 201),
    "a hole twice": ([SQUARE, hole(2, 2), hole(2, 2)], 202),
    "a corner up": ([lifted(SQUARE, 2, 0.5)], 203),
    "a small corner folded": ([[*SQUARE[:2], (9, 4, 0), (8.98, 4.02, 0.0095), (9, 4.04, 0), *SQUARE[2:]]], 204),
    "two holes that part it": ([SQUARE, [(0, 0, 0), (4, 4, 0), (5, 2, 0)], [(4, 4, 0), (9, 9, 0), (7, 5, 0)]], 205),
    "a hole outside": ([SQUARE, hole(20, 2)], 206),
    "a hole in a hole": ([SQUARE, hole(2, 2, 5), hole(3, 3, 1)], 207),
    "a hole that turns as the outer ring": ([SQUARE, hole(2, 2)[::-1]], 208),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_its_number(name):
    shape, code = FAULTS[name]
    assert check_polygons(polygons(shape)).tolist() == [code]
    assert code in CODES


@pytest.mark.parametrize("name", FAULTS)
def test_a_polygon_is_judged_the_same_wherever_it_lies_and_however_it_is_tilted(name):
    shape, code = FAULTS[name]
    turn = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]
    moved = [[tuple(turn @ point + [500_000.0, 4_400_000.0, 900.0]) for point in ring] for ring in shape]
    assert check_polygons(polygons(moved)).tolist() == [code]


def test_a_batch_is_judged_polygon_by_polygon_and_told_by_owner():
    names = ("a spike", "square", "a corner up", "with a hole")
    batch = polygons(*(FAULTS[name][0] for name in names))
    code = check_polygons(batch)
    assert code.tolist() == [104, 0, 203, 0]
    grouped = Polygons(batch.vertices, batch.corner, batch.ring, batch.part, np.array([0, 1, 1, 3]))
    assert first_of_owner(grouped, code, 4).tolist() == [104, 203, 0, 0]


def test_no_polygon_has_no_number():
    assert len(check_polygons(polygons())) == 0
