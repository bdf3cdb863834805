"""Ground among unclassified points: a made scene whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from models_l2.relief import ReliefOptions, make_relief
from models_l2.terrain.filter import FilterOptions, ground_mask
from twin.features import Layer
from twin.lineage import Lineage
from twin.points import PointCloud
from twin.store.folder import FolderStore


def terrain(xy: np.ndarray) -> np.ndarray:
    return 50.0 + 0.08 * xy[:, 0] + 1.5 * np.sin(xy[:, 1] / 40.0)


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) points of houses 12 to 50 m wide, trees, cars and three wrong points, (n,) what is ground."""
    rng = np.random.default_rng(4)
    xy = rng.uniform(0, 200, (120_000, 2))
    z = terrain(xy) + rng.normal(0, 0.03, len(xy))
    above = np.zeros(len(xy))
    for west, south, wide, deep, high in ((20, 20, 12, 18, 6), (60, 30, 50, 40, 9), (130, 120, 30, 30, 22)):
        above[(np.abs(xy - (west + wide / 2, south + deep / 2)) < (wide / 2, deep / 2)).all(axis=1)] = high
    for x, y in rng.uniform(5, 195, (60, 2)):
        near = np.hypot(*(xy - (x, y)).T) < 3.0
        above[near & (rng.random(len(xy)) < 0.7)] += 4.0
    for x, y in rng.uniform(5, 195, (40, 2)):
        above[(np.abs(xy - (x, y)) < (2.2, 0.9)).all(axis=1)] += 1.5
    wrong = np.array([[50.5, 150.5, 20.0], [100.5, 100.5, 30.0], [170.5, 40.5, -5.0]])
    xyz = np.concatenate([np.column_stack([xy, z + above]), wrong])
    return xyz, np.append(above == 0.0, [False] * 3)


def test_ground_is_told_from_houses_trees_cars_and_wrong_points(scene, frame):
    xyz, truth = scene
    found = ground_mask(xyz, frame, FilterOptions())
    assert (~found[truth]).mean() < 0.02
    assert found[~truth].mean() < 0.02
    assert not found[-3:].any()


def test_a_house_wider_than_the_filter_needs_its_footprint(scene, frame):
    xyz, truth = scene
    narrow = FilterOptions(width=20.0)
    hall = (np.abs(xyz[:, :2] - (85.0, 50.0)) < (25.0, 20.0)).all(axis=1) & ~truth
    assert ground_mask(xyz, frame, narrow)[hall].mean() > 0.2
    assert ground_mask(xyz, frame, FilterOptions())[hall].mean() < 0.01


def test_what_is_ground_here_does_not_depend_on_what_lies_far_off(scene, frame):
    xyz, _ = scene
    options = FilterOptions(width=16.0)
    whole = ground_mask(xyz, frame, options)
    near = xyz[:, 0] <= 50.0 + options.margin
    found = ground_mask(xyz[near], frame, options)
    decided = xyz[near, 0] <= 50.0
    assert np.array_equal(found[decided], whole[near][decided])


def test_no_points_and_few_points_are_no_trouble(frame):
    assert not len(ground_mask(np.zeros((0, 3)), frame, FilterOptions()))
    assert ground_mask(np.array([[3.0, 4.0, 5.0]]), frame, FilterOptions()).all()


def test_unclassified_points_give_the_relief_of_the_bare_ground(scene, frame, tmp_path):
    xyz, _ = scene
    store = FolderStore(tmp_path / "store", frame)
    cloud = PointCloud(frame, xyz, np.ones(len(xyz), np.uint8))
    store.write_points("points", [cloud], Lineage("test"))
    store.write_layer("building", Layer.empty("building", frame), Lineage("test"))
    figures = make_relief(store, frame, ReliefOptions(resolution=1.0))
    assert figures.source == "points, filtered"
    assert "filter" in " ".join(store.item("raster", "relief").lineage.steps)
    relief = store.read_raster("relief")
    x, y = np.meshgrid(*relief.geobox.centers())
    error = relief.values.ravel() - terrain(np.column_stack([x.ravel(), y.ravel()]))
    assert np.median(np.abs(error)) < 0.03
    assert np.percentile(np.abs(error), 99) < 0.5
