from __future__ import annotations

import numpy as np
import pytest
import shapely

from models_l2 import relief
from models_l2.relief import ReliefOptions, enclosed, fill_holes, grid_ground, make_relief
from twin.errors import MissingInputError
from twin.features import Layer
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.points import PointCloud
from twin.store.folder import FolderStore


def plane(ny: int, nx: int) -> np.ndarray:
    return 100.0 + 0.5 * np.arange(ny)[:, None] - 0.25 * np.arange(nx)[None, :]


def test_a_hole_in_a_plane_is_filled_with_the_plane():
    values = plane(40, 60)
    holed = values.copy()
    holed[10:25, 20:40] = np.nan
    assert fill_holes(holed, np.isnan(holed), 100.0) == pytest.approx(values)


def test_places_too_far_from_any_rim_stay_unknown():
    holed = plane(40, 40)
    holed[:, 10:] = np.nan
    filled = fill_holes(holed, np.isnan(holed), 5.0)
    assert np.isfinite(filled[:, :15]).all()
    assert np.isnan(filled[:, 16:]).all()


def test_only_holes_that_do_not_reach_the_named_edges_are_enclosed():
    unknown = np.zeros((20, 20), bool)
    unknown[5:8, 5:8] = unknown[12:, 12:14] = unknown[:3, 3] = True
    every = enclosed(unknown, (True, True, True, True))
    assert every.sum() == 9
    assert enclosed(unknown, (True, False, True, True)).sum() == 9 + 16


def test_ground_points_are_averaged_and_others_do_not_count(frame):
    box = GeoBox.from_bounds((0.0, 0.0, 4.0, 2.0), 1.0, frame)
    xyz = np.array([[0.5, 1.5, 10.0], [0.6, 1.4, 12.0], [0.5, 1.5, 50.0], [3.5, 0.5, 7.0], [9.0, 9.0, 1.0]])
    cloud = PointCloud(frame, xyz, np.array([2, 2, 6, 9, 2], np.uint8))
    found = grid_ground(cloud, box)
    assert found[0, 0] == 11.0
    assert found[1, 3] == 7.0
    assert np.isnan(found).sum() == 6
    assert np.isnan(grid_ground(cloud, box, water=False)[1, 3])


def test_a_dem_keeps_its_collar_and_loses_its_holes_in_any_division_into_blocks(tmp_path, slope, monkeypatch):
    values = slope.values.copy()
    values[:, :4] = np.nan
    values[17:23, 12:31] = np.nan
    reliefs = []
    for name, block in (("whole", 4096), ("blocks", 16)):
        monkeypatch.setattr(relief, "_BLOCK", block)
        store = FolderStore(tmp_path / name, slope.geobox.frame)
        store.write_raster("dem", Raster(values, slope.geobox), Lineage("test"))
        figures = make_relief(store, slope.geobox.frame, ReliefOptions())
        assert (figures.filled, figures.unknown) == (6 * 19, 40 * 4)
        reliefs.append(store.read_raster("relief").values)
    assert np.array_equal(np.isnan(reliefs[0]), np.isnan(reliefs[1]))
    assert np.isnan(reliefs[0][:, :4]).all()
    assert np.array_equal(reliefs[0], reliefs[1], equal_nan=True)
    known = ~np.isnan(values)
    assert np.array_equal(reliefs[0][known], values[known])
    assert np.nanmax(np.abs(reliefs[0] - slope.values)) < 1.0


def test_ground_points_alone_give_a_relief_without_holes(tmp_path, frame):
    rng = np.random.default_rng(8)
    xy = rng.uniform(0, 60, (6000, 2))
    xy = xy[~((np.abs(xy - 30) < 8).all(axis=1))]
    cloud = PointCloud(frame, np.column_stack([xy, 5.0 + 0.1 * xy[:, 0]]), np.full(len(xy), 2, np.uint8))
    store = FolderStore(tmp_path / "store", frame)
    store.write_points("points", [cloud], Lineage("test"))
    figures = make_relief(store, frame, ReliefOptions(resolution=1.0))
    made = store.read_raster("relief")
    x, _ = made.geobox.centers()
    assert figures.source == "points"
    assert figures.unknown == 0
    assert np.abs(made.values - (5.0 + 0.1 * x)[None, :]).max() < 0.06


def city_of_bases(folder, frame, bases):
    """Nine houses of 10 m in a square of 400 m; the ground under them as delivered."""
    x, y = (axis.ravel() for axis in np.meshgrid(500_000.0 + 200.0 * np.arange(3), 4_430_000.0 + 200.0 * np.arange(3)))
    store = FolderStore(folder, frame)
    oid = [f"b{k}" for k in range(9)]
    columns = {"terrain_height": np.asarray(bases(x, y), float)}
    store.write_layer("building", Layer.build("building", frame, oid, shapely.box(x, y, x + 10, y + 10), columns),
                      Lineage("survey"))  # fmt: skip
    return store


def test_without_terrain_the_ground_runs_between_the_bases_that_buildings_came_with(tmp_path, frame):
    def tilted(x, y):
        return 700.0 + 0.02 * (x - 500_000.0) - 0.05 * (y - 4_430_000.0)

    store = city_of_bases(tmp_path / "s", frame, tilted)
    figures = make_relief(store, frame, ReliefOptions())
    assert (figures.source, figures.bases, figures.unknown) == ("bases", 9, 0)
    made = store.read_raster("relief")
    asked = np.array([[500_105.0, 4_430_105.0], [500_305.0, 4_430_255.0]])
    np.testing.assert_allclose(made.sample(asked, "nearest"), tilted(*(asked - 5.0).T), atol=0.5)
    assert made.values.min() >= tilted(500_000.0, 4_430_400.0) - 0.01
    assert "bases of 9 buildings" in store.item("raster", "relief").lineage.steps[-1]


def test_a_declared_level_is_taken_before_bases(tmp_path, frame):
    store = city_of_bases(tmp_path / "s", frame, lambda x, y: 0.0 * x + 700.0)
    assert make_relief(store, frame, ReliefOptions(level=12.5)).source == "declared"
    assert np.unique(store.read_raster("relief").values).tolist() == [12.5]


def test_bases_make_one_relief_in_any_division_into_blocks(tmp_path, frame, monkeypatch):
    made = []
    for block, margin in ((4096, 512), (64, 160)):
        monkeypatch.setattr(relief, "_BLOCK", block)
        monkeypatch.setattr(relief, "_MARGIN", margin)
        store = city_of_bases(tmp_path / str(block), frame, lambda x, y: 700.0 + 0.01 * (x - y))
        make_relief(store, frame, ReliefOptions())
        made.append(store.read_raster("relief").values)
    assert np.array_equal(*made)


def test_without_any_word_of_the_ground_it_is_level_at_zero_and_assumed(tmp_path, frame):
    store = city_of_bases(tmp_path / "s", frame, lambda x, y: np.nan * x)
    figures = make_relief(store, frame, ReliefOptions())
    assert (figures.source, figures.bases, figures.unknown) == ("assumed", 0, 0)
    assert np.unique(store.read_raster("relief").values).tolist() == [0.0]
    assert store.item("raster", "relief").lineage.steps[-1].endswith("ground assumed flat at 0 m of 1985")


def test_no_ground_at_all_stops_with_a_remedy(tmp_path, frame, slope):
    with pytest.raises(MissingInputError, match="of kind dem or points"):
        make_relief(FolderStore(tmp_path / "none", frame), frame, ReliefOptions())
    store = FolderStore(tmp_path / "void", frame)
    store.write_raster("dem", Raster(np.full_like(slope.values, np.nan), slope.geobox), Lineage("test"))
    with pytest.raises(MissingInputError, match="nodata"):
        make_relief(store, frame, ReliefOptions())
