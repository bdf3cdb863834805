"""Corners where high and low faces take turns come out as solids all the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely

from models_l2 import validity
from models_l2.shell import partition_of, raise_partition
from tests.tiny import FRAME
from twin.meshes import Solids

HIGH, LOW = 9.0, 4.0


def raised(faces: list[shapely.Polygon], heights: list[float], turn: float = 0.0, at: float = 0.0) -> Solids:
    """One building of level faces, turned about the origin and moved in the frame."""
    c, s = np.cos(turn), np.sin(turn)
    placed = shapely.transform(np.array(faces, dtype=object), lambda xy: xy @ np.array([[c, s], [-s, c]]) + at)
    planes = np.column_stack([np.zeros((len(faces), 2)), heights])
    partition = partition_of(placed, np.zeros(len(faces), np.int64), planes, np.full((1, 2), at))
    return raise_partition(partition, np.zeros(1), np.array(["b"], object), FRAME, 22)


def chequers(n: int) -> tuple[list[shapely.Polygon], list[float]]:
    cells = [(x, y) for y in range(n) for x in range(n)]
    faces = [shapely.box(4 * x, 4 * y, 4 * x + 4, 4 * y + 4) for x, y in cells]
    return faces, [HIGH if (x + y) % 2 else LOW for x, y in cells]


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize(("turn", "at"), [(0.0, 0.0), (0.7, 4_440_000.0)])
def test_a_chequerboard_of_two_heights_is_a_valid_solid_of_the_same_volume(n, turn, at):
    faces, heights = chequers(n)
    solids = raised(faces, heights, turn, at)
    assert validity.check(solids).tolist() == [0]
    area_given = (n - 1) ** 2 * 0.05**2
    assert solids.volumes()[0] == pytest.approx(16.0 * sum(heights), abs=area_given * (HIGH - LOW))


def test_a_low_corner_between_two_high_ones_at_the_outline_is_taken_apart():
    """The ground outside is low as well: two walls stand inside and two at the outline."""
    faces = [
        shapely.Polygon([(0, 0), (5, 0), (0, 5)]),
        shapely.Polygon([(5, 0), (8, 5), (2, 5)]),
        shapely.Polygon([(5, 0), (10, 0), (10, 5), (8, 5)]),
        shapely.Polygon([(5, 0), (2, 5), (0, 5)]),
    ]
    solids = raised(faces, [HIGH, LOW, HIGH, HIGH])
    assert validity.check(solids).tolist() == [0]


def test_six_faces_that_take_turns_are_taken_apart_twice():
    angle = np.linspace(0.0, 2.0 * np.pi, 7)
    rim = 6.0 * np.column_stack([np.cos(angle), np.sin(angle)])
    faces = [shapely.Polygon([(0.0, 0.0), a, b]) for a, b in pairwise(rim)]
    solids = raised(faces, [HIGH, LOW] * 3, at=500.0)
    assert validity.check(solids).tolist() == [0]


def test_a_roof_without_saddles_keeps_its_corners():
    solids = raised([shapely.box(0, 0, 4, 4), shapely.box(4, 0, 8, 4)], [LOW, HIGH])
    assert sorted(set(solids.vertices[:, 0].tolist())) == [0.0, 4.0, 8.0]
    assert len(solids.vertices) == 14
