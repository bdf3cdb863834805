"""Trees: every crown of a made grove is found once, as high and as wide as it is; delivered trees count first."""

import numpy as np
import pytest
import shapely

from models_l2.classes.build import build_classes
from models_l2.classes.crowns import find_crowns
from models_l2.classes.furniture import furniture_layer
from models_l2.classes.options import ClassOptions
from tests.models_l2.conftest import FRAME, SOUTH, WEST
from twin.city import open_city
from twin.features import Layer, objects
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.points import PointCloud
from twin.workers import Workers

HERE = np.array([WEST, SOUTH])
NOTHING = objects([shapely.Polygon()])


def grove(seed: int = 4, side: float = 240.0, apart: float = 16.0):
    """Trees (n,): place, height and crown radius, no crown within another."""
    rng = np.random.default_rng(seed)
    step = np.arange(apart, side - apart / 2, apart)
    x, y = (part.ravel() for part in np.meshgrid(step, step))
    xy = np.column_stack([x, y]) + rng.uniform(-2.0, 2.0, (len(x), 2))
    return xy, rng.uniform(5.0, 22.0, len(x)), rng.uniform(2.0, 5.5, len(x))


def crown_heights(xy, trees):
    """Half ellipsoids above a tenth of their height."""
    place, height, radius = trees
    off = np.hypot(xy[:, None, 0] - place[None, :, 0], xy[:, None, 1] - place[None, :, 1]) / radius
    bulge = np.sqrt(np.clip(1.0 - off**2, 0.0, None))
    return np.where(off < 1.0, height * (0.5 + 0.5 * bulge), 0.0).max(axis=1)


def canopy(trees, side: float = 240.0, cell: float = 1.0) -> Raster:
    box = GeoBox.from_bounds((WEST, SOUTH, WEST + side, SOUTH + side), cell, FRAME)
    x, y = np.meshgrid(*box.centers())
    z = crown_heights(np.column_stack([x.ravel() - WEST, y.ravel() - SOUTH]), trees).reshape(box.shape)
    return Raster(z.astype(np.float32), box)


def city_at(folder, name="city"):
    root = folder / name
    root.mkdir()
    (root / "city.toml").write_text('[frame]\ncrs = "EPSG:4547"\nvertical = "1985"\n', encoding="utf-8")
    city = open_city(root)
    box = GeoBox.from_bounds((WEST - 50, SOUTH - 50, WEST + 300, SOUTH + 300), 10.0, FRAME)
    x, _ = np.meshgrid(*box.centers())
    relief = Raster((1000.0 + 0.05 * (x - WEST)).astype(np.float32), box)
    city.store.write_raster("relief", relief, Lineage("test"))
    return city


def nearest(found, truth):
    """(n,) distance of each true tree to the nearest found one, and that one's row."""
    off = np.hypot(*(truth[:, None, :] - found[None, :, :]).transpose(2, 0, 1))
    return off.min(axis=1), off.argmin(axis=1)


def test_every_tree_of_a_grove_is_found_once_with_its_height_and_crown(tmp_path):
    trees = grove()
    city = city_at(tmp_path)
    city.store.write_raster("canopy", canopy(trees), Lineage("test"))
    figures, _ = build_classes(city, NOTHING, 1000.0, ClassOptions(), Workers())
    layer = city.store.read_layer("tree_l2")
    assert len(layer) == len(trees[0]) == figures["trees_canopy"]
    xy = shapely.get_coordinates(layer.geometry)
    off, row = nearest(xy - HERE, trees[0])
    assert off.max() < 1.6
    assert len(set(row.tolist())) == len(row)
    assert np.abs(layer.column("height")[row] - trees[1]).max() < 1.0
    assert np.abs(layer.column("crown")[row] / (2.0 * trees[2]) - 1.0).max() < 0.3
    assert layer.column("base_z") == pytest.approx(1000.0 + 0.05 * (xy[:, 0] - WEST), abs=0.01)


def test_trees_do_not_depend_on_the_blocks_they_are_found_in(tmp_path):
    trees = grove(seed=9)
    whole = canopy(trees)
    found = find_crowns(whole.values.astype(np.float64), 1.0, 3.0, 4.0)
    city = city_at(tmp_path)
    # The corner of a block lies in the middle of this grove.
    shift = (WEST // 500 * 500 + 380.0 - WEST, SOUTH // 500 * 500 + 380.0 - SOUTH)
    box = whole.geobox
    moved = GeoBox.from_bounds(
        (WEST + shift[0], SOUTH + shift[1], WEST + shift[0] + 240, SOUTH + shift[1] + 240), 1.0, FRAME
    )
    assert moved.shape == box.shape
    city.store.write_raster("canopy", Raster(whole.values, moved), Lineage("test"))
    build_classes(city, NOTHING, 1000.0, ClassOptions(), Workers())
    layer = city.store.read_layer("tree_l2")
    x, y = moved.centers()
    expected = np.array(sorted(zip(x[found.col], y[found.row], found.height, strict=True)))
    xy = shapely.get_coordinates(layer.geometry)
    assert np.array(sorted(zip(*xy.T, layer.column("height"), strict=True))) == pytest.approx(expected)


def cloud_of(trees, seed: int = 1) -> PointCloud:
    """Eight points a square metre on crowns and ground, none of them classified, with a house of 8 m in one corner."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0.0, 120.0, (8 * 120 * 120, 2))
    height = crown_heights(xy, trees)
    height[(xy < 20.0).all(axis=1)] = 8.0
    z = 1000.0 + 0.05 * xy[:, 0] + height * np.where(rng.random(len(xy)) < 0.8, 1.0, 0.0)
    return PointCloud(FRAME, np.column_stack([xy + HERE, z]), np.ones(len(xy), np.uint8))


def test_trees_come_from_points_that_nobody_classified_and_houses_are_none(tmp_path):
    place, height, radius = grove(side=120.0)
    keep = (place > 32.0).any(axis=1)
    trees = place[keep], height[keep], radius[keep]
    city = city_at(tmp_path)
    city.store.write_points("points", [cloud_of(trees)], Lineage("test"))
    house = objects([shapely.box(WEST, SOUTH, WEST + 20.0, SOUTH + 20.0)])
    build_classes(city, house, 1000.0, ClassOptions(), Workers())
    layer = city.store.read_layer("tree_l2")
    off, row = nearest(shapely.get_coordinates(layer.geometry) - HERE, trees[0])
    assert len(layer) == len(trees[0])
    assert off.max() < 1.5
    assert np.abs(layer.column("height")[row] - trees[1]).max() < 1.0
    assert set(layer.column("evidence").tolist()) == {"points"}


def test_a_delivered_tree_keeps_its_name_and_takes_from_the_raster_only_what_it_lacks(tmp_path):
    trees = grove(side=120.0)
    city = city_at(tmp_path)
    city.store.write_raster("canopy", canopy(trees, 120.0), Lineage("test"))
    places = np.concatenate([trees[0][:2], [[2.0, 2.0]]]) + HERE
    given = Layer.build(
        "tree", FRAME, ["t0", "t1", "t2"], shapely.points(places),
        {"height": [9.0, np.nan, np.nan], "species": ["国槐", "", "油松"]},
    )  # fmt: skip
    city.store.write_layer("tree", given, Lineage("test"))
    build_classes(city, NOTHING, 1000.0, ClassOptions(), Workers())
    layer = city.store.read_layer("tree_l2")
    assert len(layer) == len(trees[0]) + 1
    row = [layer.index()[oid] for oid in ("t0", "t1", "t2")]
    assert layer.column("evidence")[row].tolist() == ["surveyed", "canopy", "usual"]
    assert layer.column("height")[row].tolist() == pytest.approx([9.0, trees[1][1], 8.0], abs=1.0)
    assert layer.column("species")[row].tolist() == ["国槐", "", "油松"]


def test_furniture_has_a_model_a_heading_and_stands_on_the_ground(tmp_path):
    city = city_at(tmp_path)
    at = np.array([[10.0, 10.0], [50.0, 96.0], [120.0, 10.0]]) + HERE
    given = Layer.build(
        "furniture", FRAME, ["f0", "f1", "f2"], shapely.points(at),
        {"kind": ["bench", "street_lamp", "statue"], "heading": [450.0, np.nan, np.nan],
         "height": [np.nan, 12.0, np.nan], "model": ["", "lamp_antique", ""]},
    )  # fmt: skip
    line = shapely.LineString(np.array([[0.0, 100.0], [200.0, 100.0]]) + HERE)
    road = Layer.build("road", FRAME, ["r0"], objects([line]))
    layer, lost = furniture_layer(given, road, city.store)
    assert layer.column("model").tolist() == ["bench", "lamp_antique", "column"]
    assert layer.column("heading").tolist() == pytest.approx([90.0, 0.0, 0.0])
    assert layer.column("heading_evidence").tolist() == ["surveyed", "road", "none"]
    assert layer.column("height").tolist() == [0.8, 12.0, 1.0]
    assert layer.column("base_z") == pytest.approx(1000.0 + 0.05 * (at[:, 0] - WEST), abs=0.01)
    assert [(o.oid, o.status) for o in lost] == [("f2", "fallback")]


def test_a_delivered_tree_in_a_building_is_left_out_and_named(tmp_path):
    city = city_at(tmp_path)
    house = shapely.box(WEST + 40.0, SOUTH + 40.0, WEST + 60.0, SOUTH + 60.0)
    # In the middle of the house, within the accuracy of its outline, and in the yard.
    at = shapely.points(HERE + [(50.0, 50.0), (59.5, 50.0), (70.0, 50.0)])  # noqa: RUF005
    city.store.write_layer("tree", Layer.build("tree", FRAME, ["in", "edge", "out"], at), Lineage("test"))
    figures, lines = build_classes(city, objects([house]), 1000.0, ClassOptions(), Workers())
    assert city.layer("tree_l2").oid.tolist() == ["edge", "out"]
    assert (figures["trees"], figures["trees_in_buildings"]) == (2, 1)
    assert [line for line in lines if "stem lies in a building: in" in line]
    assert city.store.read_document("classes_report")["counts"]["done"] == 2
