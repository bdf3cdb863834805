"""The stage zones, from a store to a store."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import tiny_city
from twin.city import City
from twin.errors import MissingInputError, OptionsError
from twin.lineage import Lineage
from twin.options import as_table, describe_options, read_options
from twin.risk.build import ZoneOptions, build, run_flood, zone_scene
from twin.workers import Workers

LINEAGE = Lineage("made in code", date="2026-01-01", accuracy=0.1)


def ready(folder: Path) -> City:
    city = tiny_city(folder)
    city.store.write_raster("relief", city.raster("dem"), LINEAGE)
    city.store.write_layer("building_l2", city.layer("building").with_columns(height_m=np.full(12, 9.0)), LINEAGE)
    return city


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory):
    city = ready(tmp_path_factory.mktemp("tiny"))
    return city, build(city, ZoneOptions(return_period=200.0), Workers())


def test_every_building_and_street_is_zoned_or_has_an_outcome(built) -> None:
    city, report = built
    zones, streets = city.layer("zone_flood_building"), city.layer("zone_flood_street")
    assert len(zones) == 12
    assert len(streets) == 4
    assert report.done + len(report.outcomes) == 16
    unzoned = {o.oid for o in report.outcomes if o.status == "skipped"}
    for layer in (zones, streets):
        assert {oid for oid, level in zip(layer.oid, layer.column("level"), strict=True) if np.isnan(level)} <= unzoned


def test_a_zone_carries_everything_that_makes_it_acceptable(built) -> None:
    city, _ = built
    zones = city.layer("zone_flood_building")
    for name in ("level", "score", "p1", "p2", "p3", "p4", "p5", "confident", "depth_m", "people"):
        assert zones.column(name).dtype == np.float64
    for name in ("drivers", "quality", "method", "thresholds", "clock", "inputs"):
        assert all(zones.column(name)[np.isfinite(zones.column("level"))])
    drivers = json.loads(zones.column("drivers")[0])
    assert {"key", "zh", "en", "phi"} == set(drivers[0])
    inputs = json.loads(zones.column("inputs")[0])
    assert {"name": "relief", "source": "made in code", "date": "2026-01-01", "accuracy": 0.1} in inputs


def test_rasters_of_height_above_drainage_and_depth_are_kept(built) -> None:
    city, _ = built
    hand, depth = city.raster("hand"), city.raster("flood_depth")
    assert np.nanmin(hand.values) == 0.0
    assert np.nanmax(depth.values) > 0.0
    assert np.isfinite(depth.values).all()


def test_the_report_balances_and_has_no_clock(built) -> None:
    city, report = built
    figures = city.store.read_document("zones_report")["figures"]
    assert sum(figures["buildings_by_level"].values()) == 12
    assert sum(figures["area_by_level_m2"].values()) == pytest.approx(figures["area_total_m2"], abs=1.0)
    assert sum(figures["street_km_by_level"].values()) == pytest.approx(figures["street_km_total"], abs=0.01)
    assert figures["ponding_balance"] <= 1e-9
    assert figures["validation"] == "not validated"
    assert json.dumps(report.as_dict(), ensure_ascii=False)
    assert not {"seconds", "time", "date"} & set(figures)


def test_two_builds_end_in_the_same_bytes(built, tmp_path: Path) -> None:
    city, _ = built
    again = ready(tmp_path)
    build(again, ZoneOptions(return_period=200.0), Workers())
    for kind, name in (("layer", "zone_flood_building"), ("raster", "hand"), ("document", "zones_report")):
        assert city.store.item(kind, name).digest == again.store.item(kind, name).digest


def test_the_stored_zones_are_those_of_the_live_scene(built) -> None:
    city, _ = built
    live = run_flood(zone_scene(city), {"return_period": 200})
    stored = city.layer("zone_flood_building")
    assert np.array_equal(stored.column("level"), live.buildings.level, equal_nan=True)
    assert stored.oid.tolist() == live.buildings.oid.tolist()


def test_a_city_without_relief_is_told_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="run the stage l2"):
        build(tiny_city(tmp_path), ZoneOptions(), Workers())


def test_options_of_the_stage_are_read_from_the_city_s_table() -> None:
    table = {
        "return_period": 50,
        "storm": {"mean": 40.0},
        "flood": {"stage_periods": [20, 100], "stage_heights": [2.5, 4.0]},
    }
    options = read_options(ZoneOptions, table, "[zones]")
    assert options.flood.stage_heights == (2.5, 4.0)
    assert read_options(ZoneOptions, as_table(options), "[zones]") == options
    keys = [key for key, _, _ in describe_options(ZoneOptions, "zones")]
    assert "zones.flood.stage_heights" in keys
    with pytest.raises(OptionsError, match="did you mean 'flood'"):
        read_options(ZoneOptions, {"flod": {}}, "[zones]")
