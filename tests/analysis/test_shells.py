"""One fault in a cube at a time is told by its number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.tiny import FRAME
from twin.analysis.shells import CODES, check_shells
from twin.meshes import Solids, concatenate

CORNERS = np.array([[x, y, z] for z in (0, 2) for y in (0, 2) for x in (0, 2)], dtype=float)
CUBE = np.array(
    [[0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4], [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6],
     [1, 3, 5], [3, 7, 5]]
)  # fmt: skip


def mesh(vertices: np.ndarray, faces: np.ndarray, oid: str = "a") -> Solids:
    count = len(faces)
    ends = np.array([0, len(vertices)]), np.array([0, count])
    zeros = np.zeros(count, np.uint8)
    return Solids(
        FRAME, np.array([oid], object), vertices, faces.astype(np.int32), zeros, *ends, np.array([22], np.uint8), zeros
    )


def two_cubes(shift: tuple[float, float, float], share: dict[int, int]) -> Solids:
    """Two cubes in one shell; `share` makes corners of the second be corners of the first."""
    second = np.array([share.get(k, k + 8) for k in range(8)])
    used = np.concatenate([CORNERS, CORNERS + shift])
    return mesh(used, np.concatenate([CUBE, second[CUBE]]))


PUSHED = np.where((CORNERS == [0, 0, 0]).all(1)[:, None], [1.2, 1.2, 9.0], CORNERS)

FAULTS = {
    "good": (mesh(CORNERS, CUBE), 0),
    "a face too few": (mesh(CORNERS, CUBE[:-1]), 302),
    "a face turned": (mesh(CORNERS, np.concatenate([CUBE[:-1], CUBE[-1:, ::-1]])), 307),
    "inside out": (mesh(CORNERS, CUBE[:, ::-1]), 405),
    "three faces": (mesh(CORNERS, CUBE[:3]), 301),
    "corners that are one": (mesh(np.where(CORNERS == [2, 2, 2], [0, 0, 2.0005], CORNERS), CUBE), 102),
    "two shells apart": (two_cubes((9, 0, 0), {}), 0),
    "two shells that meet at a corner": (two_cubes((2, 2, 2), {0: 7}), 303),
    "two shells that meet along an edge": (two_cubes((2, 2, 0), {0: 3, 4: 7}), 303),
    "two shells that cut each other": (two_cubes((1, 1, 1), {}), 306),
    "a corner pushed far out of the other side": (mesh(PUSHED, CUBE), 306),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_its_number(name):
    solids, code = FAULTS[name]
    assert int(check_shells(solids)[0]) == code
    assert code in CODES


def test_a_batch_is_judged_solid_by_solid():
    names = ("good", "a face too few", "good", "two shells that cut each other")
    parts = [replace(FAULTS[name][0], oid=np.array([str(k)], object)) for k, name in enumerate(names)]
    assert check_shells(concatenate(parts)).tolist() == [0, 302, 0, 306]


def test_shells_that_are_not_asked_about_crossing_are_not_told_of_it():
    solids = FAULTS["two shells that cut each other"][0]
    assert check_shells(solids, np.array([False])).tolist() == [0]


def test_faces_that_cover_one_another_are_an_intersection_and_a_hair_apart_they_are_none():
    assert check_shells(two_cubes((2.0, 0.0, 0.0), {})).tolist() == [306]
    assert check_shells(two_cubes((2.0002, 0.5, 0.0), {})).tolist() == [0]
