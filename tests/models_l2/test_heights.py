from __future__ import annotations

import numpy as np
import pytest
from shapely import box

from models_l2.heights import (
    CONFLICT,
    DEFAULT,
    IMPLAUSIBLE,
    NEIGHBOURS,
    UNSEEN,
    Evidence,
    HeightOptions,
    decide,
    from_dsm,
    from_points,
    plausible,
    roof_points,
)
from twin.grid import Raster
from twin.points import PointCloud

OPTIONS = HeightOptions()
NAN = np.nan


def words(*values: str) -> np.ndarray:
    return np.array(values, dtype=object)


def verdict(n: int, surveyed: list[float], **evidence: list[float]) -> object:
    given = {"surveyed": plausible(np.array(surveyed), OPTIONS)}
    given |= {name: Evidence(np.array(values), np.full(n, 0.5), np.zeros(n)) for name, values in evidence.items()}
    place = np.column_stack([np.arange(n) * 10.0, np.zeros(n), np.full(n, 90.0)])
    return decide(given, np.array(surveyed), words(*["residential"] * n), place, OPTIONS)


def test_surveyed_beats_points_beats_dsm_beats_storeys_beats_neighbours():
    found = verdict(
        6,
        [10.0, NAN, NAN, NAN, NAN, NAN],
        pointcloud=[10.2, 11.0, NAN, NAN, NAN, NAN],
        dsm=[10.1, 11.1, 12.0, NAN, NAN, NAN],
        storeys=[10.3, 11.2, 12.1, 13.0, NAN, NAN],
    )
    assert found.evidence.tolist() == ["surveyed", "pointcloud", "dsm", "storeys", "neighbours", "neighbours"]
    assert found.height[:4].tolist() == [10.0, 11.0, 12.0, 13.0]
    assert found.height[4] == pytest.approx(11.5)
    assert found.reason.tolist() == ["", "", "", "", NEIGHBOURS, NEIGHBOURS]
    assert not found.conflict.any()


@pytest.mark.parametrize("wrong", [-3.0, 9999.0, 0.0])
def test_an_impossible_surveyed_height_is_named_and_the_next_evidence_speaks(wrong):
    found = verdict(2, [wrong, 9.0], storeys=[6.0, 9.0])
    assert found.height.tolist() == [6.0, 9.0]
    assert found.evidence.tolist() == ["storeys", "surveyed"]
    assert found.reason[0].startswith(IMPLAUSIBLE)
    assert f"{wrong:g}" in found.reason[0]


def test_evidence_that_lies_too_far_away_is_a_conflict():
    found = verdict(2, [30.0, 30.0], dsm=[12.0, 30.5])
    assert found.conflict.tolist() == [True, False]
    assert found.reason.tolist() == [CONFLICT, ""]
    assert found.height.tolist() == [30.0, 30.0]


def test_a_building_alone_takes_the_declared_default():
    found = verdict(1, [NAN])
    assert found.height.tolist() == [OPTIONS.default_height]
    assert found.evidence.tolist() == ["default"]
    assert found.reason.tolist() == [DEFAULT]


def test_neighbours_of_another_use_or_too_far_away_are_not_asked():
    surveyed = np.array([NAN, 20.0, 20.0, 20.0, 50.0, 50.0, 50.0])
    function = words("office", "office", "office", "office", "mine", "mine", "mine")
    near = np.column_stack([np.arange(7) * 20.0, np.zeros(7), np.full(7, 90.0)])
    far = near.copy()
    far[1:4, 1] = 5000.0
    given = {"surveyed": plausible(surveyed, OPTIONS)}
    assert decide(given, surveyed, function, near, OPTIONS).height[0] == 20.0
    assert decide(given, surveyed, function, far, OPTIONS).evidence[0] == "default"


def test_a_shed_asks_sheds_rather_than_the_towers_around_it():
    surveyed = np.array([NAN, *[60.0] * 9, *[3.0] * 9])
    place = np.column_stack([np.arange(19) * 10.0, np.zeros(19), [8.0, *[900.0] * 9, *[9.0] * 9]])
    given = {"surveyed": plausible(surveyed, OPTIONS)}
    assert decide(given, surveyed, words(*["residential"] * 19), place, OPTIONS).height[0] == 3.0


def test_where_a_surface_model_shows_no_building_neither_neighbours_nor_silence_decide():
    nan = np.full(4, NAN)
    low = Evidence(np.array([1.5, 1.5, NAN, NAN]), np.array([1.6, 1.6, NAN, NAN]), np.zeros(4))
    found = verdict(4, [NAN, 9.0, 9.0, 9.0], dsm=nan)
    assert found.evidence[0] == "neighbours"
    given = {"surveyed": plausible(np.array([NAN, 9.0, 9.0, 9.0]), OPTIONS), "low": low}
    place = np.column_stack([np.arange(4) * 10.0, np.zeros(4), np.full(4, 90.0)])
    found = decide(given, nan, words(*["residential"] * 4), place, OPTIONS)
    assert found.evidence.tolist() == ["dsm", "surveyed", "surveyed", "surveyed"]
    assert found.height[0] == 1.5
    assert found.reason[0] == UNSEEN
    assert found.conflict.tolist() == [False, True, False, False]
    assert found.fallback.tolist() == [True, False, False, False]


def test_the_rise_of_a_roof_is_no_conflict():
    ridge, mean = plausible(np.array([20.0, 20.0]), OPTIONS), np.array([15.0, 15.0])
    dsm = Evidence(mean, np.full(2, 0.6), np.array([3.0, 0.2]))
    found = decide(
        {"surveyed": ridge, "dsm": dsm}, ridge.value, words("heritage", "heritage"), np.ones((2, 3)), OPTIONS
    )
    assert found.conflict.tolist() == [False, True]


def test_points_inside_count_classified_first_and_unclassified_where_there_are_none(frame):
    rng = np.random.default_rng(5)
    shapes = np.array([box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10)], dtype=object)

    def roof(west: float, z: float, n: int = 200) -> np.ndarray:
        return np.column_stack([rng.uniform(west, west + 10, n), rng.uniform(0, 10, n), np.full(n, z)])

    xyz = np.concatenate([roof(0, 58.0), roof(0, 90.0), roof(20, 62.0), roof(20, 50.1), roof(40, 55.0, 3)])
    classes = np.repeat([6, 5, 1, 1, 6], [200, 200, 200, 200, 3]).astype(np.uint8)
    found = from_points(
        *roof_points(PointCloud(frame, xyz, classes), shapes, np.full(3, 50.0), OPTIONS), np.full(3, 50.0), OPTIONS
    )
    assert found.value[:2] == pytest.approx([8.0, 12.0])
    assert np.isnan(found.value[2])
    assert (found.sigma[:2] >= OPTIONS.points_sigma).all()


def test_a_surface_model_gives_the_height_above_sloping_ground_and_ignores_its_holes(slope):
    x0, y0 = slope.geobox.bounds[:2]
    shapes = np.array([box(x0 + 30, y0 + 30, x0 + 130, y0 + 130), box(x0 + 300, y0 + 30, x0 + 380, y0 + 90)], object)
    values = slope.values.astype(np.float64)
    rows, cols = slope.geobox.window(shapes[0].bounds)
    values[rows, cols] += 12.0
    values[rows.start, cols.start] = np.nan
    found, low = from_dsm(Raster(values, slope.geobox), slope, shapes, OPTIONS)
    assert found.value[0] == pytest.approx(12.0)
    assert np.isnan(found.value[1])
    assert np.isnan(low.value[0])
    assert low.value[1] == OPTIONS.least
