"""Old and new divisions: small squares first, then the Datong of before and after 2018."""

import numpy as np
import orjson
import pytest
import shapely

from tests.conftest import absent
from twin.analysis.divisions import in_force, succession, versions
from twin.errors import FrameMismatchError
from twin.features import Layer
from twin.frames import Frame, to_frame

FRAME = Frame("EPSG:32649", "1985")


def squares(**boxes):
    codes = list(boxes)
    return Layer.build(
        "division", FRAME, codes, [shapely.box(*box) for box in boxes.values()], {"code": codes, "name": codes}
    )


def rows(table):
    return {(a, b): kind for a, b, kind in zip(table.old, table.new, table.kind, strict=True)}


def test_kept_renamed_split_and_merged_divisions_are_told_apart():
    old = squares(a=(0, 0, 10, 10), b=(10, 0, 20, 10), c=(20, 0, 40, 10), d=(40, 0, 50, 10), e=(50, 0, 60, 10))
    new = squares(a=(0, 0, 10, 10), B=(10, 0, 20, 10), x=(20, 0, 30, 10), y=(30, 0, 40, 10), de=(40, 0, 60, 10))
    table = succession(old, new)
    assert rows(table) == {
        ("a", "a"): "same", ("b", "B"): "renamed", ("c", "x"): "split", ("c", "y"): "split",
        ("d", "de"): "merged", ("e", "de"): "merged",
    }  # fmt: skip
    np.testing.assert_allclose(table.share_old, [1, 1, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(table.share_new, [1, 1, 1, 1, 0.5, 0.5])


def test_an_invalid_polygon_is_compared_as_repaired_and_a_sliver_is_no_change():
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    old = Layer.build("division", FRAME, ["a"], [bow], {"code": ["a"], "name": ["a"]})
    new = squares(a=(-0.05, 0, 10, 10), b=(-10, 0, -0.05, 10))
    assert set(rows(succession(old, new))) == {("a", "a")}


def test_divisions_in_two_frames_are_refused():
    there = Layer.build("division", Frame("EPSG:4547", "1985"), ["a"], [shapely.box(0, 0, 1, 1)])
    with pytest.raises(FrameMismatchError, match="bring both into one"):
        succession(squares(a=(0, 0, 1, 1)), there)


def test_each_day_has_the_divisions_of_its_time():
    history = versions(
        [
            (squares(a=(0, 0, 10, 10), b=(10, 0, 20, 10)), "2000-01-01"),
            (squares(a=(0, 0, 10, 10), c=(10, 0, 20, 10)), "2018-02-09"),
        ]
    )
    assert history.oid.tolist() == ["a@2000-01-01", "b@2000-01-01", "c@2018-02-09"]
    assert history.column("valid_to").tolist() == ["", "2018-02-09", ""]
    assert in_force(history, "2018-02-08").column("code").tolist() == ["a", "b"]
    assert in_force(history, "2018-02-09").column("code").tolist() == ["a", "c"]
    assert len(in_force(history, "1999-12-31")) == 0


@pytest.fixture
def datong(data):
    if not (data / "datong-admin").is_dir():
        absent("../shared/data/datong-admin")

    def read(name):
        features = orjson.loads((data / "datong-admin" / name).read_bytes())["features"]
        shapes = shapely.from_geojson([orjson.dumps(feature["geometry"]).decode() for feature in features])
        shapes = shapely.transform(shapes, lambda xy: to_frame(xy, "GCJ-02", FRAME))
        codes = [str(feature["properties"]["adcode"]) for feature in features]
        names = [feature["properties"]["name"] for feature in features]
        return Layer.build("division", FRAME, codes, shapes, {"code": codes, "name": names})

    return read("140200_full.json"), read("140200_jamesview.json")


@pytest.mark.real
def test_datong_of_2018_followed_from_the_old_districts(datong):
    old, new = datong
    assert [code for code, ok in zip(old.oid, shapely.is_valid(old.geometry), strict=True) if not ok] == ["140211"]
    table = succession(old, new)
    found = rows(table)
    assert found["140202", "140213"] == "merged"
    assert found["140203", "140214"] == "merged"
    assert found["140227", "140215"] == "renamed"
    assert {new for (code, new), kind in found.items() if code == "140211" and kind == "split"} == {
        "140212", "140213", "140214",
    }  # fmt: skip
    for code in ("140212", "140222", "140223", "140224", "140225", "140226"):
        assert found[code, code] == "same"
    shares = {code: table.share_old[table.old == code].sum() for code in old.oid}
    assert min(shares.values()) > 0.99
    assert max(shares.values()) < 1.001
    history = versions([(old, "2000-01-01"), (new, "2018-02-09")])
    assert len(in_force(history, "2010-01-01")) == 11
    assert len(in_force(history, "2020-01-01")) == 10
