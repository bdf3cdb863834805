"""Old fabric: plans cut into houses, fronts, heights, and the batch of houses."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
import pytest
import shapely

from models_l3 import fabric
from models_l3.houses import HouseTable
from models_l3.pack import HouseWords, house_solids
from twin.features import Layer, objects
from twin.meshes import Surface


def houses(n: int, storeys: float = 1.0) -> HouseTable:
    rng = np.random.default_rng(7)
    flat = np.zeros(n)
    return HouseTable(
        rng.uniform(0, 900, n), rng.uniform(0, 900, n), rng.uniform(-3, 3, n), rng.uniform(6, 16, n),
        rng.uniform(3, 9, n), flat - 0.4, flat + 0.2, flat + 3.2 * storeys, rng.uniform(0.9, 2.4, n),
        rng.random(n) < 0.4, rng.random(n) < 0.3, np.full(n, storeys), rng.random(n) < 0.2,
    )  # fmt: skip


def words(n: int) -> HouseWords:
    text = objects(["x"] * n)
    return HouseWords(objects([f"h{k:05d}" for k in range(n)]), objects([f"o{k}" for k in range(n)]), text, text, text)


@pytest.mark.parametrize("upper", [False, True])
def test_houses_are_closed_outward_and_light(frame, upper: bool) -> None:
    solids = house_solids(houses(200, 2.0 if upper else 1.0), words(200), upper, frame)
    assert solids.is_closed().all()
    assert (solids.volumes() > 0).all()
    assert len(solids.faces) / 200 <= 130
    assert {int(Surface.ROOF), int(Surface.WALL), int(Surface.OPENING)} <= set(solids.surface.tolist())


def test_a_house_holds_the_volume_of_its_section(frame) -> None:
    table = houses(50)
    solids = house_solids(table, words(50), False, frame)
    from models_l3.houses import section

    p = section(table)
    x, z = p[..., 0], p[..., 1]
    area = (x * np.roll(z, -1, axis=1) - np.roll(x, -1, axis=1) * z).sum(axis=1) / 2
    extra = solids.volumes() - area * table.w
    assert (extra > 0).all(), "only the wooden fronts come on top"
    assert (extra < 0.18 * table.w * 3.4).all()


def test_roofs_are_concave_from_eave_to_ridge() -> None:
    from models_l3.houses import section

    p = section(houses(100))[:, 4:8]
    slope = -np.diff(p[..., 1], axis=1) / np.diff(p[..., 0], axis=1)
    assert (np.diff(slope, axis=1) > 0).all()


def test_two_thousand_houses_take_less_than_a_second(frame) -> None:
    table, labels = houses(2000), words(2000)
    start = perf_counter()
    house_solids(table, labels, False, frame)
    assert perf_counter() - start < 1.0


def test_a_rectangle_is_one_house_and_an_ell_and_a_u_are_several(plan: Callable) -> None:
    ell = shapely.Polygon([(0, 0), (10, 0), (10, 12), (5, 12), (5, 5), (0, 5)])
    you = shapely.Polygon([(0, 0), (16, 0), (16, 12), (12, 12), (12, 5), (4, 5), (4, 12), (0, 12)])
    turned = shapely.affinity.rotate(you, 20.0)
    boxes = fabric.boxes_of(np.array([plan(0, 0, 10, 6), ell, you, turned], dtype=object))
    assert np.bincount(boxes.row).tolist() == [1, 2, 3, 3]
    areas = np.bincount(boxes.row, boxes.long * boxes.short)
    assert areas == pytest.approx([60.0, ell.area, you.area, you.area], rel=1e-6)


def test_a_yard_keeps_its_middle_open() -> None:
    ring = shapely.Polygon([(0, 0), (18, 0), (18, 24), (0, 24)], holes=[[(5, 5), (13, 5), (13, 19), (5, 19)]])
    boxes = fabric.boxes_of(np.array([ring], dtype=object))
    assert (boxes.long * boxes.short).sum() == pytest.approx(ring.area)
    assert len(boxes) == 4


def test_main_houses_look_south_and_wings_into_the_yard(plan: Callable) -> None:
    shapes = [plan(0, 10, 14, 6), plan(-6, 0, 4, 10), plan(6, 0, 4, 10)]
    boxes = fabric.boxes_of(np.array(shapes, dtype=object))
    turn = fabric.faces(boxes, np.ones(3, bool), None)
    front = np.column_stack([np.sin(turn), -np.cos(turn)])
    assert front == pytest.approx(np.array([[0, -1], [1, 0], [-1, 0]]), abs=1e-6)


def test_shops_look_to_their_street(plan: Callable, frame) -> None:
    road = Layer.build("road", frame, ["r"], [shapely.LineString([(-50, 16), (50, 16)])], {"road_class": ["secondary"]})
    boxes = fabric.boxes_of(np.array([plan(0, 0, 12, 8), plan(0, -500, 12, 8)], dtype=object))
    street = fabric.to_street(boxes, road, ("secondary",))
    assert np.isnan(street[1]).all()
    turn = fabric.faces(boxes, np.zeros(2, bool), street)
    assert -np.cos(turn) == pytest.approx([1.0, -1.0], abs=1e-6)


def test_unknown_heights_are_filled_and_wild_ones_held(plan: Callable) -> None:
    boxes = fabric.boxes_of(np.array([plan(0, 20 * k, 12, 6) for k in range(4)], dtype=object))
    nan = np.nan
    known = fabric.Heights(np.array([nan, 3.4, nan, nan]), np.array([nan, 5.2, 30.0, nan]), np.array([nan, 1, 1, 2.0]))
    ground = np.zeros(4), np.zeros(4)
    table = fabric.house_table(boxes, np.zeros(4), ground, known, (np.zeros(4, bool), np.zeros(4, bool)))
    assert np.isfinite(table.eave).all()
    assert table.eave[1] == pytest.approx(3.4)
    assert table.eave[1] + table.rise[1] == pytest.approx(5.2)
    assert (table.eave <= 7.5).all()
    assert table.storeys.tolist() == [1.0, 1.0, 2.0, 2.0]
