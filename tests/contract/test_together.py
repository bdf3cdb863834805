"""What every store promises of files that are written together: all of them take their places, or none does."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from tests.contract.test_images import RED, pictures, solids
from tests.tiny import FRAME, LINEAGE
from twin import GeoBox, PointCloud, Raster, SourceError


def raster(value: float) -> Raster:
    return Raster(np.full((4, 4), value, np.float32), GeoBox((4, 4), Affine(5.0, 0, 0, 0, -5.0, 20.0), FRAME))


def cloud(n: int) -> PointCloud:
    return PointCloud(FRAME, np.arange(3.0 * n).reshape(n, 3), np.zeros(n, np.uint8))


def write(store, value: int) -> None:
    store.write_raster("dem", raster(value), LINEAGE)
    store.write_points("points", [cloud(value)], LINEAGE)
    store.write_model("mesh", [("a", solids(f"o{value}", RED))], LINEAGE, pictures(RED))


def told(store) -> tuple[float, int, list[str]]:
    (_, found), *_ = store.read_model("mesh")
    return float(store.read_raster("dem").values[0, 0]), len(store.read_points("points")), found.oid.tolist()


def test_all_take_their_places_at_the_end_of_the_block(store):
    write(store, 1)
    with store.together():
        write(store, 2)
        assert told(store) == (1.0, 1, ["o1"])
    assert told(store) == (2.0, 2, ["o2"])
    assert store.read_image(next(iter(pictures(RED)))) == RED
    assert all(store.digest(item.kind, item.name) == item.digest for item in store.items())


def test_a_block_that_fails_leaves_what_was_there_and_nothing_else(store):
    write(store, 1)
    before = store.items()
    other = RED + b" of another model"

    def broken():
        yield "a", solids("b", other)
        raise SourceError("the last source is broken")

    def all_of_it():
        with store.together():
            write(store, 2)
            store.write_model("citymodel", broken(), LINEAGE, pictures(other))

    with pytest.raises(SourceError, match="the last source"):
        all_of_it()
    assert told(store) == (1.0, 1, ["o1"])
    assert store.items() == before
    assert [path.name for path in (store.root / "images").iterdir()] == list(pictures(RED))
    assert not list((store.root / "scratch").iterdir())


def test_a_writer_that_fails_in_the_middle_of_a_model_leaves_no_picture(store):
    def batches():
        yield "a", solids("a", RED)
        raise SourceError("the second cell is broken")

    with pytest.raises(SourceError):
        store.write_model("mesh", batches(), LINEAGE, pictures(RED))
    assert not (store.root / "images").exists()
    assert not store.has("model", "mesh")
