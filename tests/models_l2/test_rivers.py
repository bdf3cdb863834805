"""Rivers fall all the way down and are level from bank to bank, whatever noise, bridges and pieces they come with."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from models_l2.blocks import L2Options
from models_l2.terrain.build import build_tin
from models_l2.terrain.conditioning import ConditionOptions, condition
from models_l2.terrain.rivers import course_of, isotonic
from models_l2.terrain.tin import TinOptions
from tests.models_l2.test_conditioning import FRAME, water
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.store.folder import FolderStore
from twin.workers import Workers

BOX = GeoBox.from_bounds((0.0, 0.0, 1500.0, 600.0), 5.0, FRAME)
WIDE = 40.0
SLOPE = 0.003


def middle(x):
    return 300.0 + 120.0 * np.sin(x / 180.0)


def river(west=20.0, east=1480.0):
    x = np.arange(west, east + 0.1, 10.0)
    return shapely.LineString(np.column_stack([x, middle(x)])).buffer(WIDE / 2.0, cap_style="flat")


def true_level(x):
    return 50.0 - SLOPE * x


def valley(noise: float = 0.25) -> np.ndarray:
    """A river that falls east in a valley; the survey of it is rough, and a bridge of 4 m was left in it."""
    x, y = np.meshgrid(*BOX.centers())
    away = np.maximum(np.abs(y - middle(x)) - WIDE / 2.0, 0.0)
    z = true_level(x) + np.minimum(0.1 * away, 6.0)
    z = z + np.random.default_rng(3).normal(0.0, noise, z.shape)
    return np.where(np.abs(x - 700.0) < 8.0, z + 4.0, z)


def conditioned(path, values, *shapes):
    store = FolderStore(path, FRAME)
    store.write_raster("relief", Raster(values.astype(np.float32), BOX), Lineage("test"))
    store.write_layer("water", water(*shapes), Lineage("test"))
    return store, condition(store, ConditionOptions())


def along(store, west=40.0, east=1460.0) -> np.ndarray:
    x = np.arange(west, east, 2.5)
    return store.read_raster("relief").sample(np.column_stack([x, middle(x)]), "nearest")


def test_a_river_falls_all_the_way_and_keeps_to_its_valley(tmp_path):
    store, told = conditioned(tmp_path, valley(), river())
    assert (told.level, told.falling) == (0, 1)
    level, x = along(store), np.arange(40.0, 1460.0, 2.5)
    # Cells are 5 m: the middle line is met off it by as much as half of one.
    assert np.diff(level).max() <= 0.5 * SLOPE * 5.0 + 1e-6
    assert level[0] - level[-1] == pytest.approx(SLOPE * 1420.0, rel=0.15)
    assert np.median(np.abs(level - true_level(x))) < 0.2
    assert np.abs(level - true_level(x)).max() < 1.0


def test_both_banks_have_the_level_of_the_middle(tmp_path):
    store, _ = conditioned(tmp_path, valley(0.0), river())
    relief = store.read_raster("relief")
    x = np.arange(100.0, 1400.0, 50.0)
    turn = np.arctan(120.0 / 180.0 * np.cos(x / 180.0))
    side = np.column_stack([-np.sin(turn), np.cos(turn)])
    at = np.column_stack([x, middle(x)])
    banks = [relief.sample(at + off * side, "nearest") for off in (-14.0, 0.0, 14.0)]
    assert np.ptp(banks, axis=0).max() < 0.06


def test_the_direction_of_the_line_or_of_the_outline_decides_nothing(tmp_path):
    mirrored = valley()[:, ::-1]
    flipped = shapely.transform(river(), lambda xy: np.column_stack([1500.0 - xy[:, 0], xy[:, 1]]))
    store, told = conditioned(tmp_path, mirrored, flipped)
    x = np.arange(40.0, 1460.0, 2.5)
    level = store.read_raster("relief").sample(np.column_stack([1500.0 - x, middle(x)]), "nearest")
    assert told.falling == 1
    assert np.diff(level).max() <= 0.5 * SLOPE * 5.0 + 1e-6


def test_a_river_in_pieces_has_no_step_at_their_seams(tmp_path):
    pieces = [shapely.intersection(river(), shapely.box(west, 0, west + 100, 600)) for west in range(0, 1500, 100)]
    store, told = conditioned(tmp_path, valley(), *pieces)
    assert (told.level, told.falling) == (0, 1)
    level = along(store)
    assert np.diff(level).max() <= 0.5 * SLOPE * 5.0 + 1e-6
    assert level[0] - level[-1] == pytest.approx(SLOPE * 1420.0, rel=0.15)


def test_a_lake_is_level_though_its_survey_is_not(tmp_path):
    lake = shapely.Point(700, 300).buffer(180.0)
    store, told = conditioned(tmp_path, valley(), lake)
    x, y = np.meshgrid(*BOX.centers())
    assert (told.level, told.falling) == (1, 0)
    assert np.ptp(store.read_raster("relief").values[shapely.contains_xy(lake, x, y)]) == 0.0


def test_a_tributary_falls_to_where_it_joins_and_the_mouth_is_the_lowest():
    stem = shapely.LineString([(500, 300), (1000, 300)])
    arms = [shapely.LineString([(0, 550), (500, 300)]), shapely.LineString([(0, 50), (500, 300)])]
    shape = shapely.union_all(shapely.buffer([stem, *arms], 15.0, cap_style="flat"))

    def heights(xy):
        arm = np.where(xy[:, 1] > 300.0, 0.01, 0.004)
        return np.where(xy[:, 0] > 500.0, 20.0 - 0.002 * (xy[:, 0] - 500.0), 20.0 + arm * (500.0 - xy[:, 0]))

    course = course_of(shape, heights)
    assert (course.upper_z >= course.lower_z).all()
    places = np.array([(990.0, 300.0), (500.0, 300.0), (100.0, 500.0), (100.0, 100.0)])
    np.testing.assert_allclose(course.levels(places), heights(places), atol=0.15)


def test_an_island_is_no_obstacle_and_a_pond_has_no_course():
    shape = shapely.difference(shapely.box(0, 0, 900, 60), shapely.box(300, 20, 500, 40))
    course = course_of(shape, lambda xy: 10.0 - 0.01 * xy[:, 0])
    levels = course.levels(np.array([(400.0, 10.0), (400.0, 50.0)]))
    assert levels[0] == pytest.approx(levels[1], abs=0.2)
    assert course_of(shapely.box(0, 0, 60, 60), lambda xy: xy[:, 0]) is None
    assert course_of(shapely.box(0, 0, 900, 60), lambda xy: np.full(len(xy), np.nan)) is None


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(0.1, 5.0)), min_size=1, max_size=40))
def test_on_a_chain_it_is_isotonic_regression(values):
    level, weight = np.array(values).T
    n = len(level)
    found = isotonic(level, weight, np.arange(n), np.arange(n) - 1)
    np.testing.assert_allclose(found, isotonic_regression(level, weights=weight).x, atol=1e-9)


@given(st.lists(st.tuples(st.floats(-50, 50), st.integers(0, 10**6)), min_size=2, max_size=40))
def test_on_a_tree_nothing_rises_downstream_and_blocks_keep_their_mean(values):
    level = np.array([z for z, _ in values])
    n = len(level)
    below = np.array([number % k if k else -1 for k, (_, number) in enumerate(values)])
    graph = coo_array((np.ones(n - 1), (below[1:], np.arange(1, n))), shape=(n, n)).tocsr()
    order, parent = breadth_first_order(graph, 0, directed=False)
    found = isotonic(level, np.ones(n), order.astype(np.int64), np.where(parent < 0, -1, parent))
    assert (found[1:] >= found[below[1:]] - 1e-9).all()
    for value in np.unique(found):
        same = np.isclose(found, value, atol=1e-12)
        assert level[same].mean() == pytest.approx(value, abs=1e-6)


def test_the_edges_of_water_have_its_level_in_the_triangles(tmp_path):
    lake = shapely.Point(900, 60).buffer(50.0)
    store, _ = conditioned(tmp_path, valley(0.0), river(), lake)
    build_tin(store, FRAME, TinOptions(error=0.2), L2Options().cell_size, Workers())
    corners = np.concatenate([part.vertices for _, part in store.read_model("relief")])
    at = shapely.points(corners[:, :2])
    shore = corners[shapely.dwithin(at, shapely.boundary(lake), 0.002)]
    assert len(shore) >= 60
    assert np.ptp(shore[:, 2]) < 1e-9
    course = course_of(river(), lambda xy: true_level(xy[:, 0]))
    edge = shapely.boundary(shapely.intersection(river(), shapely.box(60, 0, 1440, 600)))
    bank = corners[shapely.dwithin(at, edge, 0.002) & (corners[:, 0] > 61) & (corners[:, 0] < 1439)]
    assert len(bank) > 200
    assert np.abs(bank[:, 2] - course.levels(bank[:, :2])).max() < 0.25
