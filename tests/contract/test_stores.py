"""What every store keeps as a promise."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import shapely

from tests.tiles.scenes import town
from tests.tiny import EAST, FRAME, LINEAGE, NORTH, buildings, live, relief
from twin import (
    Frame,
    FrameMismatchError,
    GeoBox,
    Incident,
    Layer,
    NotFoundError,
    PointCloud,
    Raster,
    StoreError,
)


def test_a_layer_comes_back_as_it_was(store):
    layer = buildings()
    store.write_layer("building", layer, LINEAGE)
    back = store.read_layer("building")
    assert back.name == "building"
    assert back.oid.tolist() == layer.oid.tolist()
    assert all(shapely.equals_exact(back.geometry, layer.geometry))
    for name, values in layer.columns.items():
        assert back.columns[name].dtype == values.dtype
        np.testing.assert_array_equal(back.columns[name], values)


def test_same_layer_same_bytes(store):
    first = store.write_layer("building", buildings(), LINEAGE)
    again = store.write_layer("building", buildings(), LINEAGE)
    assert first.digest == again.digest


def test_a_layer_is_the_same_however_many_features_go_at_a_time(store, monkeypatch):
    monkeypatch.setattr("twin.store.geopackage.BATCH", 2)
    monkeypatch.setattr("twin.store.copying._CHUNK", 2)
    layer = buildings()
    store.write_layer("building", layer, LINEAGE)
    monkeypatch.undo()
    back = store.read_layer("building")
    assert back.oid.tolist() == layer.oid.tolist()
    assert all(shapely.equals_exact(back.geometry, layer.geometry))
    for name, values in layer.columns.items():
        np.testing.assert_array_equal(back.columns[name], values)
    near = (EAST, NORTH, EAST + 75, NORTH + 75)
    assert store.read_layer("building", bbox=near).oid.tolist() == ["b00"]
    assert store.digest("layer", "building") == store.item("layer", "building").digest


def test_an_empty_layer_is_a_layer(store):
    store.write_layer("water", Layer.empty("water", FRAME), LINEAGE)
    assert len(store.read_layer("water")) == 0


def test_a_box_an_oid_and_a_value_choose_features(store):
    store.write_layer("building", buildings(), LINEAGE)
    near = store.read_layer("building", bbox=(EAST, NORTH, EAST + 75, NORTH + 75))
    assert near.oid.tolist() == ["b00"]
    assert store.read_layer("building", oids=["b03", "b01", "none"]).oid.tolist() == ["b01", "b03"]
    page, _, after = store.page_layer("building", equals={"name": "鼓楼"})
    assert page.oid.tolist() == ["b00"]
    assert after is None
    with pytest.raises(NotFoundError, match="no column"):
        store.page_layer("building", equals={"nme": "x"})


def test_pages_cover_a_layer_once(store):
    store.write_layer("building", buildings(), LINEAGE)
    seen, after = [], 0
    while after is not None:
        page, keys, after = store.page_layer("building", limit=5, after=after)
        assert len(keys) == len(page)
        seen += page.oid.tolist()
    assert seen == buildings().oid.tolist()


def test_names_with_quotes_are_only_values(store):
    store.write_layer("building", buildings(), LINEAGE)
    page, _, _ = store.page_layer("building", equals={"name": "'; DROP TABLE building; --"})
    assert len(page) == 0
    with pytest.raises(StoreError, match="no name"):
        store.write_layer("../building", buildings(), LINEAGE)


def test_any_text_and_any_number_comes_back_as_it_was(store):
    texts = ["", "tab\there", "line\nbreak\r", "back\\slash \\N", '"quoted"', "鼓楼 🏯"]
    numbers = [0.1 + 0.2, -0.0, 1e-300, np.nan, np.inf, 1372.0]
    shapes = [None, *(shapely.Point(EAST + k / 7, NORTH + k / 3) for k in range(4)), shapely.box(0, 0, 1, 1)]
    columns = {"name": texts, "height": numbers, "Größe % ?": numbers}
    layer = Layer.build("building", FRAME, [f"o'{k}" for k in range(6)], shapes, columns)
    store.write_layer("odd", layer, LINEAGE)
    back = store.read_layer("odd")
    assert back.columns["name"].tolist() == texts
    np.testing.assert_array_equal(back.columns["height"], numbers)
    np.testing.assert_array_equal(back.columns["Größe % ?"], numbers)
    assert back.geometry[0] is None
    assert all(shapely.equals_exact(back.geometry[1:], layer.geometry[1:]))
    assert store.read_layer("odd", columns=["height"]).columns.keys() == {"height"}


def test_values_are_compared_as_the_column_has_them(store):
    store.write_layer("building", buildings(), LINEAGE)
    storeys = buildings().columns["storeys"]
    wanted = float(storeys[np.isfinite(storeys)][0])
    page, _, _ = store.page_layer("building", equals={"storeys": wanted})
    assert len(page) == (storeys == wanted).sum()
    assert len(store.page_layer("building", equals={"storeys": "many"})[0]) == 0
    assert store.page_layer("building", equals={"oid": "b03"})[0].oid.tolist() == ["b03"]


def test_a_store_tells_what_is_kept_and_what_a_stage_was_built_from(store):
    store.write_layer("building", buildings(), LINEAGE)
    store.write_document("report", {"worst": 0.1, "of": [1, 2.0, 1e20, None]})
    store.write_raster("dem", relief(), LINEAGE)
    for item in store.items():
        assert store.size(item.kind, item.name) > 0
        assert store.digest(item.kind, item.name) == item.digest
    assert store.size("layer", "none") is None
    assert store.item("layer", "building").extent == buildings().bounds
    assert store.stamp("ingest") == ""
    store.put_stamp("ingest", "one")
    store.put_stamp("ingest", "two")
    assert store.stamp("ingest") == "two"
    store.remove("layer", "building")
    assert store.size("layer", "building") is None
    with pytest.raises(NotFoundError, match="no layer 'building'; it has none"):
        store.read_layer("building")


def test_one_writer_at_a_time_holds_a_store(store):
    def second():
        with store.writing():
            pass

    with store.writing(), pytest.raises(StoreError, match="another run is writing"):
        second()
    second()


def test_a_raster_comes_back_whole_in_windows_and_decimated(store):
    raster = relief()
    store.write_raster("dem", raster, LINEAGE)
    whole = store.read_raster("dem")
    assert np.array_equal(whole.values, raster.values)
    assert whole.geobox == raster.geobox
    bounds = (EAST + 52.0, NORTH + 52.0, EAST + 78.0, NORTH + 78.0)
    part = store.read_raster("dem", bounds=bounds)
    points = [[EAST + 60.0, NORTH + 60.0], [EAST + 71.0, NORTH + 66.0]]
    assert part.sample(points) == pytest.approx(raster.sample(points))
    small = store.read_raster("dem", shape=(20, 20))
    assert small.geobox.resolution == (20.0, 20.0)
    assert float(small.values.mean()) == pytest.approx(float(raster.values.mean()), abs=0.05)


def test_a_raster_written_in_blocks_equals_one_written_at_once(store):
    raster = relief()
    with store.raster_writer("blocks", raster.geobox, lineage=LINEAGE) as writer:
        writer.write(raster.values[:40], 0, 0)
        writer.write(raster.values[40:], 40, 0)
    assert np.array_equal(store.read_raster("blocks").values, raster.values)


def test_cells_never_written_are_unknown(store):
    box = GeoBox.from_bounds((EAST, NORTH, EAST + 50, NORTH + 50), 5.0, FRAME)
    with store.raster_writer("half", box, lineage=LINEAGE) as writer:
        writer.write(np.ones((5, 10), np.float32), 0, 0)
    values = store.read_raster("half").values
    assert np.isfinite(values[:5]).all()
    assert np.isnan(values[5:]).all()


def test_a_writer_that_fails_leaves_the_last_good_state(store):
    raster = relief()
    store.write_raster("dem", raster, LINEAGE)
    digest = store.item("raster", "dem").digest

    def interrupted():
        with store.raster_writer("dem", raster.geobox, lineage=LINEAGE) as writer:
            writer.write(raster.values * 0, 0, 0)
            raise ValueError("power cut")

    with pytest.raises(ValueError, match="power cut"):
        interrupted()
    assert store.item("raster", "dem").digest == digest
    assert np.array_equal(store.read_raster("dem").values, raster.values)


def test_points_come_back_by_window(store):
    rng = np.random.default_rng(7)
    xyz = rng.uniform(0, 100, (1000, 3)) + np.array([EAST, NORTH, 1000.0])
    cloud = PointCloud(FRAME, xyz, np.full(1000, 2, np.uint8), rng.integers(0, 255, (1000, 3)).astype(np.uint8))
    halves = [cloud.select(xyz[:, 0] < EAST + 50), cloud.select(xyz[:, 0] >= EAST + 50)]
    store.write_points("points", halves, LINEAGE)
    assert len(store.read_points("points")) == 1000
    counts, corners = store.points_index("points")
    assert counts.tolist() == [len(half) for half in halves]
    assert np.array_equal(corners, [[half.xyz.min(axis=0), half.xyz.max(axis=0)] for half in halves])
    assert [len(half) for half in store.page_points("points")] == [len(half) for half in halves]
    (second,) = store.page_points("points", [1])
    assert np.array_equal(second.xyz, halves[1].xyz)
    bounds = (EAST + 10.0, NORTH + 10.0, EAST + 60.0, NORTH + 60.0)
    found = store.read_points("points", bounds=bounds)
    assert len(found) == len(cloud.crop(bounds))
    assert found.rgb is not None


def test_documents_and_the_catalogue_tell_what_is_there(store):
    store.write_document("report", {"b": 1, "a": "字"})
    store.write_raster("dem", relief(), LINEAGE)
    assert store.read_document("report") == {"a": "字", "b": 1}
    assert [(item.kind, item.name) for item in store.items()] == [("document", "report"), ("raster", "dem")]
    assert store.item("raster", "dem").lineage == LINEAGE
    store.remove("raster", "dem")
    assert not store.has("raster", "dem")
    with pytest.raises(NotFoundError, match="no raster 'dem'"):
        store.read_raster("dem")


def test_a_layer_of_another_frame_is_refused(store):
    other = Layer.empty("building", Frame("EPSG:4548"))
    with pytest.raises(FrameMismatchError):
        store.write_layer("building", other, LINEAGE)


def test_a_damaged_catalogue_is_named(folder_store):
    store = folder_store
    store.write_document("a", {})
    store.catalog._path.write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"catalog\.json"):
        store.items()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_model_that_was_cut_short_is_told_in_a_line(store, share):
    store.write_model("l2", [("a", town(20))], LINEAGE)
    path = store.path("model", "l2")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StoreError, match=r"l2\.arrow: damaged .*; run the stage that made it again"):
        store.model_index("l2")


def test_latest_values_move_with_every_observation(store):
    city = SimpleNamespace(store=store)
    live(city)
    live_store = city.store.live
    assert [o.value for o in live_store.latest()] == pytest.approx([3.5, 0.9])
    assert live_store.append(["t1.level"], [1_780_010_000.0], [9.0]) == 1
    assert live_store.latest()[0].value == 9.0
    live_store.append(["t1.level"], [1_700_000_000.0], [0.1])
    assert live_store.latest()[0].value == 9.0, "an old value that comes late is history, not news"
    assert len(live_store.series("t1.level", 1_780_000_000.0, 1_780_005_400.0)) == 10
    times = [o.time for o in live_store.observations()]
    assert times == sorted(times)


def test_putting_the_same_live_data_twice_changes_nothing(store):
    city = SimpleNamespace(store=store)
    live(city)
    before = (city.store.live.things(), city.store.live.latest(), city.store.live.incidents())
    live(city)
    assert (city.store.live.things(), city.store.live.latest(), city.store.live.incidents()) == before
    assert isinstance(before[2][0], Incident)
    city.store.live.clear()
    assert city.store.live.span() is None


def test_published_tiles_switch_at_once_and_keep_the_version_before(store):
    for version in ("one", "two", "three"):
        staging = store.stage_tiles()
        (staging / "tileset.json").write_text(version, encoding="utf-8")
        store.publish_tiles(staging, version)
    version, folder = store.current_tiles()
    assert (version, (folder / "tileset.json").read_text(encoding="utf-8")) == ("three", "three")
    assert sorted(p.name for p in store.tiles_dir.iterdir()) == ["current.json", "three", "two"]


def test_publishing_a_version_again_mends_what_was_damaged(store):
    for text in ("whole", "damaged", "whole"):
        staging = store.stage_tiles()
        (staging / "tileset.json").write_text(text, encoding="utf-8")
        folder = store.publish_tiles(staging, "one")
        assert (folder / "tileset.json").read_text(encoding="utf-8") == text
    assert sorted(p.name for p in store.tiles_dir.iterdir()) == ["current.json", "one"]


def test_a_raster_needs_values_that_fit_its_box():
    from twin import GeometryError

    with pytest.raises(GeometryError, match="do not fit"):
        Raster(np.zeros((3, 3)), relief().geobox)
