"""What changed between two deliveries of a layer, in both stores: found by oid, remembered cheaply, never half."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from tests.tiny import EAST, FRAME, LINEAGE, NORTH, buildings
from twin import Layer, Lineage, NotFoundError
from twin.store.folder import FolderStore
from twin.store.history import shape_hashes
from twin.store.postgis import PostgisStore

SECOND = Lineage("tiny city", "Apache-2.0", "2026-07-01", 0.1, ("delivered again",))


def second_delivery() -> Layer:
    """b00 is gone, b12 is new, b03 stands 2 m east, b05 has a name, b07 a height and a name; the order is turned."""
    layer = buildings()
    geometry, names, heights = layer.geometry.copy(), layer.columns["name"].copy(), layer.columns["height"].copy()
    geometry[3] = shapely.transform(geometry[3], lambda xy: xy + np.array([2.0, 0.0]))
    names[5], names[7], heights[7] = "善化寺", "九龙壁", 8.0
    kept = replace(layer, geometry=geometry).with_columns(name=names, height=heights).take(range(11, 0, -1))
    oid = [*kept.oid.tolist(), "b12"]
    columns = {key: [*values.tolist(), values[0]] for key, values in kept.columns.items()}
    return Layer.build("building", FRAME, oid, [*kept.geometry, shapely.box(EAST, NORTH, EAST + 5, NORTH + 5)], columns)


def test_two_deliveries_differ_by_added_removed_shape_and_values(store):
    store.write_layer("building", buildings(), LINEAGE)
    store.write_layer("building", second_delivery(), SECOND)
    changes = store.changes("building")
    assert (changes.old, changes.new) == (1, 2)
    assert changes.as_dict() == {
        "layer": "building", "from": 1, "to": 2,
        "added": ["b12"], "removed": ["b00"], "geometry": ["b03"], "attributes": ["b07", "b05"],
        "columns": {"name": ["b07", "b05"], "height": ["b07"]},
    }  # fmt: skip
    back = store.changes("building", 2, 1)
    assert (back.added.tolist(), back.removed.tolist(), back.geometry.tolist()) == (["b00"], ["b12"], ["b03"])
    assert not store.changes("building", 2, 2)


def test_versions_tell_number_count_and_the_declared_date(store):
    assert_none = pytest.raises(NotFoundError)
    with assert_none:
        store.versions("building")
    store.write_layer("building", buildings(), LINEAGE)
    item = store.write_layer("building", second_delivery(), SECOND)
    versions = store.versions("building")
    assert [(v.number, v.count, v.lineage.date) for v in versions] == [(1, 12, "2026-01-01"), (2, 12, "2026-07-01")]
    assert versions[-1].digest == item.digest
    assert versions[-1].lineage == SECOND
    with pytest.raises(NotFoundError, match=r"version 3 is not remembered; there are 1, 2"):
        store.changes("building", 1, 3)


def test_the_same_delivery_again_is_no_version_and_writes_nothing(store, tmp_path):
    first = store.write_layer("building", buildings(), LINEAGE)
    seen = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert store.write_layer("building", buildings(), LINEAGE) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == seen
    assert len(store.versions("building")) == 1
    store.write_layer("building", buildings(), SECOND)
    assert store.item("layer", "building").lineage == SECOND, "where it comes from is told anew"
    assert len(store.versions("building")) == 1


def test_a_layer_back_in_its_old_state_is_a_version_with_nothing_changed_since(store):
    for layer in (buildings(), second_delivery(), buildings()):
        store.write_layer("building", layer, LINEAGE)
    assert [v.number for v in store.versions("building")] == [1, 2, 3]
    assert store.changes("building")
    assert not store.changes("building", 1, 3)


def test_a_column_that_comes_or_goes_counts_where_it_has_values(store):
    layer = buildings()
    store.write_layer("building", layer, LINEAGE)
    store.write_layer("building", layer.with_columns(survey=["", "tape", *[""] * 10]), LINEAGE)
    assert {key: oids.tolist() for key, oids in store.changes("building").columns.items()} == {"survey": ["b01"]}
    store.write_layer("building", layer, LINEAGE)
    assert store.changes("building").attributes.tolist() == ["b01"]


def test_what_is_below_a_millimetre_is_kept_but_is_no_change(store):
    layer = buildings()
    store.write_layer("building", layer, LINEAGE)
    shifted = shapely.transform(layer.geometry, lambda xy: xy + 1e-5)
    store.write_layer("building", replace(layer, geometry=shifted), LINEAGE)
    assert shapely.equals_exact(store.read_layer("building").geometry, shifted).all()
    assert not store.changes("building")
    moved = shapely.transform(layer.geometry, lambda xy: xy + 1e-3)
    store.write_layer("building", replace(layer, geometry=moved), LINEAGE)
    assert len(store.changes("building").geometry) == 12


def test_only_the_last_versions_are_remembered(tmp_path, database):
    small = [
        FolderStore(tmp_path / "a", FRAME, keep=2),
        PostgisStore(database, FRAME, tmp_path / "b", schema="few", keep=2),
    ]
    for store in small:
        for number in range(5):
            layer = buildings().with_columns(storeys=np.full(12, float(number)))
            store.write_layer("building", layer, LINEAGE)
        assert [v.number for v in store.versions("building")] == [4, 5]
        assert len(store.changes("building").columns["storeys"]) == 12
        store.remove("layer", "building")
        store.write_layer("building", buildings(), LINEAGE)
        assert [v.number for v in store.versions("building")] == [1], "a layer taken out is forgotten"
    small[1].close()


def test_a_layer_damaged_behind_the_stores_back_is_written_again(store):
    item = store.write_layer("building", buildings(), LINEAGE)
    if isinstance(store, PostgisStore):
        with store.database.transaction() as connection:
            connection.execute("UPDATE building SET storeys = 99 WHERE oid = 'b03'")
    else:
        path = store.path("layer", "building")
        path.write_bytes(path.read_bytes()[:-100])
    assert store.digest("layer", "building") != item.digest
    assert store.write_layer("building", buildings(), LINEAGE) == item
    assert store.digest("layer", "building") == item.digest
    assert len(store.versions("building")) == 1


def test_both_stores_remember_the_same(folder_store, postgis_store):
    for store in (folder_store, postgis_store):
        store.write_layer("building", buildings(), LINEAGE)
        store.write_layer("building", second_delivery(), SECOND)
    assert folder_store.changes("building").as_dict() == postgis_store.changes("building").as_dict()


def test_a_shape_is_the_same_wherever_its_ring_begins_and_in_whatever_order_its_parts_come():
    outer, inner = [(0, 0), (9, 0), (9, 9), (0, 9)], [(2, 2), (2, 4), (4, 4), (4, 2)]
    ring = shapely.Polygon(outer, [inner])
    turned = shapely.Polygon(outer[2:] + outer[:2], [inner[1:] + inner[:1]])
    far = shapely.box(20, 20, 30, 30)
    groups = [
        [ring, turned, shapely.MultiPolygon([turned])],
        [shapely.Polygon(outer)],
        [shapely.MultiPolygon([ring, far]), shapely.MultiPolygon([far, turned])],
        [shapely.LineString(outer)],
        [shapely.LineString(outer[::-1])],
        [shapely.LinearRing(outer[:3]), shapely.LineString([*outer[:3], outer[0]])],
        [shapely.MultiPoint(outer), shapely.MultiPoint(outer[::-1])],
        [shapely.Point(9, 0)],
        [shapely.Point(0, 9)],
        [None, shapely.Polygon()],
    ]
    shapes = np.array([shape for group in groups for shape in group], dtype=object)
    hashes = shape_hashes(shapes).tolist()
    found = [{hashes.pop(0) for _ in group} for group in groups]
    assert [len(group) for group in found] == [1] * len(groups)
    assert len(set.union(*found)) == len(groups)
    assert found[-1] == {0}
