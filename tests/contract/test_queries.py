"""Attribute and spatial queries: both stores find what numpy and shapely find, whatever stands in names and values."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from tests.tiny import EAST, FRAME, LINEAGE, NORTH
from twin import GeometryError, Layer, NotFoundError, OptionsError
from twin.store import Condition, Where

HOSTILE = 'a"; DROP TABLE "building"; -- %s %(x)s {} \\'
WORDS = ["", "鼓楼", "鼓楼东街", "Ab", "ab", "100%", "_", "o'clock", "é", "x\ny"]
N = 240


def layer() -> Layer:
    """Squares, lines and points in a grid of 10 m, one in eleven without a place; numbers and words with gaps."""
    rng = np.random.default_rng(1372)
    x, y = EAST + 10.0 * (np.arange(N) % 16), NORTH + 10.0 * (np.arange(N) // 16)
    shapes = np.array(shapely.box(x, y, x + 6, y + 6), dtype=object)
    shapes[1::3] = shapely.linestrings([[[a, b], [a + 6, b + 6]] for a, b in zip(x[1::3], y[1::3], strict=True)])
    shapes[2::3] = shapely.points(x[2::3], y[2::3])
    shapes[::11] = None
    numbers = np.where(rng.random(N) < 0.2, np.nan, rng.integers(-5, 40, N).astype(float))
    columns = {"height": numbers, "name": rng.choice(WORDS, N).astype(object), HOSTILE: rng.choice(WORDS, N)}
    return Layer.build("odd", FRAME, [f"o{k:03d}" for k in range(N)], shapes, columns)


@pytest.fixture
def asked(store):
    """Asks the store for oids by read, by pages of 50 and by count; they must agree."""
    store.write_layer("odd", layer(), LINEAGE)

    def ask(**parts):
        where = Where(**parts)
        found = store.read_layer("odd", where=where).oid.tolist()
        assert store.count_layer("odd", where) == len(found)
        paged, after = [], 0
        while after is not None:
            page, keys, after = store.page_layer("odd", where=where, limit=50, after=after)
            assert len(keys) == len(page) <= 50
            paged += page.oid.tolist()
        assert paged == found
        return found

    return ask


def _known(values):
    return ~np.isnan(values) if values.dtype.kind == "f" else values != ""


COMPARE = {
    "=": lambda v, x: v == x,
    "<>": lambda v, x: _known(v) & (v != x),
    "<": lambda v, x: _known(v) & (v < x),
    "<=": lambda v, x: _known(v) & (v <= x),
    ">": lambda v, x: _known(v) & (v > x),
    ">=": lambda v, x: _known(v) & (v >= x),
    "between": lambda v, x: _known(v) & (v >= x[0]) & (v <= x[1]),
    "in": lambda v, x: np.isin(v, x),
    "starts": lambda v, x: np.array([bool(t) and t.startswith(x) for t in v]),
    "contains": lambda v, x: np.array([bool(t) and x in t for t in v]),
    "missing": lambda v, x: ~_known(v),
    "present": lambda v, x: _known(v),
}


def cases():
    for op in ("=", "<>", "<", "<=", ">", ">="):
        yield from (("height", op, value) for value in (12.0, 12, -5, 1e9))
        yield from (("name", op, value) for value in ("ab", "鼓楼", "o'clock"))
    yield from [("height", "between", (3, 9)), ("height", "between", (9, 3)), ("name", "between", ("Ab", "x"))]
    yield from [("height", "in", [1, 2.0, 39]), ("name", "in", ["鼓楼", "ab", "nobody"]), ("name", "in", [])]
    yield from [("name", op, text) for op in ("starts", "contains") for text in ("鼓", "a", "%", "_", "'", "", "x\n")]
    yield from [(name, op, None) for name in ("height", "name") for op in ("missing", "present")]


def test_conditions_find_what_numpy_finds(asked):
    whole = layer()
    for name, op, value in cases():
        wanted = whole.oid[COMPARE[op](whole.columns[name], value)].tolist()
        assert asked(conditions=(Condition(name, op, value),)) == wanted, (name, op, value)


@pytest.mark.parametrize("distance", [0.0, 3.5])
def test_shapes_find_what_shapely_finds(asked, distance):
    whole = layer()
    corner = shapely.Point(EAST + 60, NORTH + 60)
    l_shape = shapely.Polygon([(0, 0), (100, 0), (100, 20), (20, 20), (20, 100), (0, 100)])
    for shape in (
        corner,
        corner.buffer(31.0),
        shapely.transform(l_shape, lambda xy: xy + np.array([EAST + 3, NORTH + 3])),
        shapely.LineString([(EAST - 9, NORTH - 9), (EAST + 160, NORTH + 99)]),
        shapely.MultiPoint([(EAST, NORTH), (EAST + 88, NORTH + 44)]),
        shapely.box(0, 0, 1, 1),
    ):
        near = (
            shapely.dwithin(whole.geometry, shape, distance) if distance else shapely.intersects(whole.geometry, shape)
        )
        assert asked(shape=shape, distance=distance) == whole.oid[near].tolist(), shape


def test_all_parts_of_a_question_must_hold(asked):
    whole = layer()
    shape, oids = shapely.Point(EAST + 60, NORTH + 60).buffer(50), whole.oid[::2].tolist()
    tall = (Condition("height", ">=", 10), Condition("name", "present"))
    holds = shapely.intersects(whole.geometry, shape) & (whole.columns["height"] >= 10) & (whole.columns["name"] != "")
    holds &= np.isin(whole.oid, oids)
    assert 0 < holds.sum() < N
    assert asked(shape=shape, oids=oids, conditions=tall) == whole.oid[holds].tolist()
    assert len(asked()) == N


def test_hostile_names_and_values_are_only_names_and_values(asked, store):
    whole = layer()
    for value in ("ab", "100%", "o'clock"):
        assert (
            asked(conditions=(Condition(HOSTILE, "=", value),)) == whole.oid[whole.columns[HOSTILE] == value].tolist()
        )
    for value in (HOSTILE, "' OR 1=1 --", "\0", "%s", "{}"):
        for op in ("=", "<", "starts", "contains"):
            found = asked(conditions=(Condition("name", op, value),))
            assert set(found) <= set(whole.oid[whole.columns["name"] < value].tolist()), (op, value)
        assert asked(oids=[value]) == []
    for name in ("nobody", 'name" IS NULL OR "name', "geom", "fid", ""):
        with pytest.raises(NotFoundError, match="has no column"):
            store.read_layer("odd", where=Where(conditions=(Condition(name, "=", "x"),)))
    assert store.digest("layer", "odd") == store.item("layer", "odd").digest


def test_a_value_that_no_value_of_the_column_can_equal_finds_nothing(asked):
    for name, op, value in [
        ("height", "=", "tall"), ("height", "<", float("nan")), ("height", "in", ["tall", None]),
        ("height", "contains", "1"), ("name", "=", None), ("height", "between", (1, "many")),
    ]:  # fmt: skip
        assert asked(conditions=(Condition(name, op, value),)) == [], (name, op, value)


def test_questions_that_cannot_be_answered_are_refused_before_they_are_asked(store):
    with pytest.raises(OptionsError, match="no operator 'LIKE'; there are = <>"):
        Condition("name", "LIKE", "%")
    for op, value in [("in", "ab"), ("between", 3), ("between", [3]), ("=", [1, 2]), ("in", list(range(10_001)))]:
        with pytest.raises(OptionsError, match=op):
            Condition("name", op, value)
    with pytest.raises(GeometryError, match="Self-intersection"):
        Where(shape=shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]))
    with pytest.raises(GeometryError, match="empty"):
        Where(shape=shapely.Polygon())
    with pytest.raises(OptionsError, match="distance"):
        Where(shape=shapely.Point(0, 0), distance=-1.0)
    store.write_layer("odd", layer(), LINEAGE)
    with pytest.raises(OptionsError, match="twice"):
        store.read_layer("odd", oids=["o001"], where=Where(oids=["o002"]))
    with pytest.raises(NotFoundError, match="no layer 'none'"):
        store.count_layer("none", Where())
