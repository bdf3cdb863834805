"""A new delivery raises the cells it touches; the result is that of a full build, to the byte."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from models_l2 import reuse
from models_l2.build import L2Options, build
from models_l2.fit.roofs import FitOptions
from tests.models_l2.test_build import SOUTH, WEST, files, scattered
from twin.lineage import Lineage
from twin.points import PointCloud
from twin.workers import Workers

OPTIONS = L2Options(cell_size=100.0)


@pytest.fixture
def raised(monkeypatch):
    """How many buildings were raised since it was last cleared."""
    seen = []
    honest = reuse.raise_block

    def counting(job):
        seen.append(len(job.oid))
        return honest(job)

    monkeypatch.setattr(reuse, "raise_block", counting)
    return seen


def cloud(shapes, frame, seed=1):
    rng = np.random.default_rng(seed)
    xy = rng.uniform([WEST, SOUTH], [WEST + 480, SOUTH + 380], (60_000, 2))
    inside = np.zeros(len(xy), bool)
    for shape in shapes[::3]:
        inside |= shapely.contains_xy(shape, xy)
    xy = xy[inside]
    z = 1055.0 - 0.4 * np.abs((xy[:, 1] - SOUTH) % 20 - 10) + rng.normal(0, 0.03, len(xy))
    return PointCloud(frame, np.column_stack([xy, z]), np.full(len(xy), 6, np.uint8))


def edited(city, change):
    """The layer of buildings with a change, written back."""
    layer = city.store.read_layer("building")
    city.store.write_layer("building", change(layer), Lineage("test"))


def move(layer):
    geometry = layer.geometry.copy()
    geometry[7] = shapely.transform(geometry[7], lambda xy: xy + np.array([1.0, 2.0]))
    return replace(layer, geometry=geometry)


def higher(layer):
    height = layer.column("height").copy()
    height[11] += 4.0
    return layer.with_columns(height=height)


EDITS = {
    "one moved": move,
    "one higher": higher,
    "one gone": lambda layer: layer.take(np.delete(np.arange(len(layer)), 20)),
    "one renamed": lambda layer: layer.with_columns(name=np.where(layer.oid == "b0003", "新名", layer.column("name"))),
    "nothing": lambda layer: layer,
}


@pytest.mark.parametrize("edit", EDITS)
def test_after_a_change_the_bytes_are_those_of_a_full_build(edit, city_with, raised, frame):
    shapes = scattered()
    columns = {"height": np.where(np.arange(60) % 2, 12.0, np.nan), "storeys": np.full(60, 4.0)}
    stepwise, fresh = (city_with(shapes, name=name, **columns) for name in ("stepwise", "fresh"))
    for city in (stepwise, fresh):
        city.store.write_points("points", [cloud(shapes, frame)], Lineage("test"))
    build(stepwise, OPTIONS, Workers())
    whole = sum(raised)
    raised.clear()
    edited(stepwise, EDITS[edit])
    edited(fresh, EDITS[edit])
    build(stepwise, OPTIONS, Workers())
    again = sum(raised)
    build(fresh, OPTIONS, Workers())
    assert files(stepwise) == files(fresh)
    # Another surveyed height moves the storey line of its use, and with it heights that are known by storeys alone.
    assert again < (whole if edit == "one higher" else whole / 2)
    assert (again == 0) == (edit == "nothing")


def test_points_that_change_in_one_place_raise_that_place(city_with, raised, frame):
    shapes = scattered()
    stepwise, fresh = (city_with(shapes, name=name, storeys=np.full(60, 4.0)) for name in ("stepwise", "fresh"))
    before = cloud(shapes, frame)
    lifted = before.xyz.copy()
    lifted[before.xyz[:, 0] < WEST + 60, 2] += 3.0
    after = PointCloud(frame, lifted, before.classification)
    stepwise.store.write_points("points", [before], Lineage("test"))
    build(stepwise, OPTIONS, Workers())
    whole = sum(raised)
    raised.clear()
    for city in (stepwise, fresh):
        city.store.write_points("points", [after], Lineage("test"))
    build(stepwise, OPTIONS, Workers())
    assert 0 < sum(raised) < whole
    build(fresh, OPTIONS, Workers())
    assert files(stepwise) == files(fresh)


def test_other_options_raise_everything(city_with, raised):
    city = city_with(scattered(), height=np.full(60, 12.0))
    build(city, OPTIONS, Workers())
    raised.clear()
    build(city, replace(OPTIONS, fit=FitOptions(step=3.0)), Workers())
    assert sum(raised) == 60


def test_a_note_that_belongs_to_another_model_is_not_believed(city_with, raised):
    city = city_with(scattered(), height=np.full(60, 12.0))
    build(city, OPTIONS, Workers())
    note = city.store.read_document(reuse.DOCUMENT)
    city.store.write_document(reuse.DOCUMENT, note | {"model": "another"})
    raised.clear()
    build(city, OPTIONS, Workers())
    assert sum(raised) == 60
