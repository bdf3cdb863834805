"""Water is level, roads have no spikes, bridges are no ground."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from models_l2.terrain import conditioning
from models_l2.terrain.conditioning import ConditionOptions, condition, without_bridges, without_spikes
from twin.features import Layer
from twin.frames import Frame
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.store.folder import FolderStore

FRAME = Frame("EPSG:4547", "1985")
BOX = GeoBox.from_bounds((0.0, 0.0, 200.0, 100.0), 1.0, FRAME)


def rolling() -> np.ndarray:
    x, y = np.meshgrid(*BOX.centers())
    return 100.0 + 0.05 * x + 0.3 * np.sin(y / 9.0)


def store_with(path, values: np.ndarray, **layers: Layer) -> FolderStore:
    store = FolderStore(path, FRAME)
    store.write_raster("relief", Raster(values.astype(np.float32), BOX), Lineage("test"))
    for name, layer in layers.items():
        store.write_layer(name, layer, Lineage("test"))
    return store


def water(*shapes: shapely.Geometry) -> Layer:
    return Layer.build("water", FRAME, [f"w{k}" for k in range(len(shapes))], list(shapes))


def test_a_pond_is_level_and_nothing_beside_water_changes(tmp_path):
    pond, river = shapely.Point(60, 60).buffer(4.0), shapely.box(0, 5, 200, 12)
    store = store_with(tmp_path / "a", rolling(), water=water(pond, river))
    told = condition(store, ConditionOptions())
    after = store.read_raster("relief").values
    x, y = np.meshgrid(*BOX.centers())
    wet, flowing = shapely.contains_xy(pond, x, y), shapely.contains_xy(river, x, y)
    assert (told.level, told.falling) == (1, 1)
    assert told.water_cells == pytest.approx(wet.sum() + flowing.sum(), abs=5)
    assert np.ptp(after[wet]) == 0.0
    assert rolling()[wet].min() <= after[wet][0] <= np.percentile(rolling()[wet], 20)
    assert np.array_equal(after[~wet & ~flowing], rolling().astype(np.float32)[~wet & ~flowing])
    assert "lakes level" in store.item("raster", "relief").lineage.steps[-1]


def test_the_division_into_blocks_changes_nothing(tmp_path, monkeypatch):
    values = rolling()
    values[20:24, 90:93] += 2.0
    road = Layer.build("road", FRAME, ["r"], [shapely.LineString([(0, 78), (200, 78)])], {"width": [8.0]})
    results = []
    for name, block in (("whole", 4096), ("blocks", 32)):
        monkeypatch.setattr("models_l2.relief._BLOCK", block)
        monkeypatch.setattr("models_l2.relief._MARGIN", 16)
        store = store_with(tmp_path / name, values, water=water(shapely.Point(60, 50).buffer(9.0)), road=road)
        told = condition(store, ConditionOptions())
        results.append((told, store.read_raster("relief").values))
    assert results[0][0] == results[1][0]
    assert results[0][0].road_cells > 0
    assert np.array_equal(results[0][1], results[1][1])


def test_a_car_on_the_road_is_taken_off_and_a_steep_road_stays():
    x, y = np.meshgrid(*BOX.centers())
    slope = 50.0 + 0.2 * x
    road = np.abs(y - 50.0) < 4.0
    values = slope.copy()
    values[49:51, 100:104] += 1.5
    changed = without_spikes(values, road, 0.4)
    assert changed.sum() == 8
    assert np.abs(values - slope).max() < 0.01
    untouched = slope.copy()
    assert not without_spikes(untouched, road, 0.4).any()


def test_a_bridge_does_not_lift_the_valley_it_crosses():
    x, y = np.meshgrid(*BOX.centers())
    valley = 50.0 + 0.02 * np.maximum(np.abs(y - 50.0) - 10.0, 0.0)
    deck = (np.abs(x - 100.0) < 4.0) & (np.abs(y - 50.0) < 30.0)
    values = np.where(deck, 58.0, valley)
    lifted = without_bridges(values, deck, 0.4)
    assert lifted.sum() == deck.sum()
    assert np.abs(values - valley).max() < 0.2
    low = valley.copy()
    assert not without_bridges(low, deck, 0.4).any()


def test_where_no_layer_says_anything_nothing_is_written(tmp_path):
    store = store_with(tmp_path / "a", rolling())
    before = store.item("raster", "relief").digest
    assert condition(store, ConditionOptions()) == conditioning.ConditionFigures()
    assert store.item("raster", "relief").digest == before


def test_unknown_ground_stays_unknown_under_water(tmp_path):
    values = rolling()
    values[:, :30] = np.nan
    store = store_with(tmp_path / "a", values, water=water(shapely.box(10, 40, 40, 50), shapely.box(2, 2, 9, 9)))
    condition(store, ConditionOptions(fall=5.0))
    after = store.read_raster("relief").values
    assert np.isnan(after[:, :30]).all()
    assert np.isfinite(after[:, 30:]).all()
