"""Storms over the valley: what a zone carries, and the laws it keeps."""

import time
from itertools import pairwise

import numpy as np
import pytest

from tests.risk.conftest import FRAME, layers, relief, scene_of
from twin.errors import OptionsError
from twin.features import Layer
from twin.grid import Raster
from twin.hazards import Scene
from twin.risk.scenario import run_flood, with_draws
from twin.risk.scene import ZoneOptions, ZoneScene, make_scene
from twin.risk.tables import load_tables


def test_levels_never_fall_as_the_rain_rises(valley: ZoneScene) -> None:
    results = [run_flood(valley, {"rain_mm": mm}) for mm in (0, 20, 45, 60, 80, 100, 120, 160, 250, 600)]
    for less, more in pairwise(results):
        for kind in ("buildings", "streets"):
            before, after = getattr(less, kind), getattr(more, kind)
            known = np.isfinite(before.level)
            assert (after.level[known] >= before.level[known]).all()
            assert (np.nan_to_num(after.depth) >= np.nan_to_num(before.depth)).all()
    assert np.nanmax(results[0].buildings.level) == 1.0
    assert np.nanmax(results[-1].buildings.level) == 5.0


def test_levels_never_fall_as_the_return_period_rises(valley: ZoneScene) -> None:
    levels = [run_flood(valley, {"return_period": t}).buildings.level for t in (2, 5, 20, 100, 1000)]
    for before, after in pairwise(levels):
        assert (np.nan_to_num(after) >= np.nan_to_num(before)).all()


def test_the_river_side_is_worse_than_the_hill_side(valley: ZoneScene) -> None:
    zones = run_flood(valley, {"return_period": 100}).buildings
    x = np.array([g.centroid.x for g in valley.buildings.layer.geometry])
    near, far = np.abs(x - 600.0) < 120.0, np.abs(x - 600.0) > 450.0
    assert np.nanmean(zones.score[near]) > 3.0 * np.nanmean(zones.score[far & (x > 300.0)])


def test_the_bowl_is_waterlogged_though_the_river_is_far(valley: ZoneScene) -> None:
    zones = run_flood(valley, {"rain_mm": 200}).buildings
    xy = np.array([(g.centroid.x, g.centroid.y) for g in valley.buildings.layer.geometry])
    bowl = np.hypot(xy[:, 0] - 150.0, xy[:, 1] - 600.0) < 30.0
    assert bowl.any()
    assert (zones.depth[bowl] > 0.3).all()
    assert {d.key for row in np.flatnonzero(bowl) for d in zones.drivers(row)} >= {"waterlogging"}


def test_probabilities_are_probabilities_and_do_not_depend_on_the_day(valley: ZoneScene) -> None:
    first, second = (run_flood(valley, {"return_period": 100}).buildings for _ in range(2))
    known = np.isfinite(first.level)
    assert first.p[known].sum(axis=1) == pytest.approx(1.0)
    assert (first.p[known] >= -1e-12).all()
    assert first.p.tobytes() == second.p.tobytes()
    assert 0 < first.confident.sum() < len(first)
    modal = first.p[known].argmax(axis=1) + 1
    assert (modal == first.level[known]).mean() > 0.8


def test_a_building_off_the_relief_has_no_level_and_says_why(valley: ZoneScene) -> None:
    zones = run_flood(valley, {}).buildings
    row = int(np.flatnonzero(zones.reason != "")[0])
    assert zones.counts()["0"] == 1
    assert np.isnan(zones.level[row])
    assert np.isnan(zones.score[row])
    assert zones.drivers(row) == []
    assert zones.levels_by_oid()[zones.oid[row]] == 0
    assert "relief" in zones.reason[row]


def test_a_dry_building_is_explained_by_a_sentence_and_a_wet_one_by_three_numbers(valley: ZoneScene) -> None:
    zones = run_flood(valley, {"return_period": 100}).buildings
    dry = int(np.flatnonzero(zones.pillars[:, 0] == 0.0)[0])
    wet = int(np.nanargmax(zones.depth))
    assert [d.zh for d in zones.drivers(dry)] == ["此处无洪涝危险"]
    drivers = zones.drivers(wet)
    assert len(drivers) == 3
    assert drivers[0].key == "flood"
    assert drivers[0].zh.startswith("河洪水深 ")
    assert drivers[0].en.startswith("river flood depth ")
    assert all(abs(a.phi) >= abs(b.phi) for a, b in pairwise(drivers))


def test_the_timber_temple_in_the_water_is_raised_by_its_rule(valley: ZoneScene) -> None:
    zones = run_flood(valley, {"return_period": 100}).buildings
    plain = run_flood(valley, {"return_period": 100})
    row = valley.buildings.layer.index()["b199"]
    assert zones.depth[row] >= 0.3
    assert zones.level[row] >= 4
    assert plain.method == run_flood(valley, {}).method
    ruled = zones.overrides != ""
    assert (zones.level[ruled] >= 3).all()
    assert (zones.p[ruled][:, :2] == 0.0).all()


def test_counts_of_levels_add_up_to_the_city(valley: ZoneScene) -> None:
    result = run_flood(valley, {"return_period": 50})
    assert sum(result.figures["buildings_by_level"].values()) == 200
    assert sum(result.figures["streets_by_level"].values()) == len(valley.streets)
    assert "降雨" in result.summary["zh"]
    assert "mm of rain" in result.summary["en"]


def test_by_night_the_offices_are_empty(valley: ZoneScene) -> None:
    day, night = (run_flood(valley, {"people": clock}).buildings for clock in ("day", "night"))
    office = valley.buildings.layer.column("function") == "office"
    assert day.people[office].sum() > 5.0 * night.people[office].sum()


def test_unknown_inputs_are_refused(valley: ZoneScene) -> None:
    with pytest.raises(OptionsError, match="people"):
        run_flood(valley, {"people": "noon"})
    with pytest.raises(OptionsError, match="unknown key"):
        run_flood(valley, {"wind": 3})


def test_a_city_of_buildings_only_is_zoned_with_lower_quality_and_says_so() -> None:
    bare = scene_of(("river", "road", "population", "facility", "hazard_site"))
    full = scene_of()
    assert len(bare.warnings) == 4
    assert bare.figures["channels"] == "drained area"
    assert len(bare.streets) == 0
    grade = {"A": 3, "B": 2, "C": 1, "": 0}
    mean = [
        np.mean([grade[q] for q in run_flood(scene, {"return_period": 200}).buildings.quality])
        for scene in (bare, full)
    ]
    assert mean[0] < mean[1]
    assert np.nanmax(run_flood(bare, {"rain_mm": 400}).buildings.level) > 1


def test_streets_on_the_river_are_bridges_and_have_no_level(valley: ZoneScene) -> None:
    streets = run_flood(valley, {"return_period": 100}).streets
    assert len(streets) == 36
    assert all("@" in oid for oid in streets.oid)
    x = np.array([g.centroid.x for g in valley.streets.layer.geometry])
    beside = (np.abs(x - 600.0) < 120.0) & np.isfinite(streets.level)
    assert beside.any()
    assert np.nanmean(streets.level[beside]) > np.nanmean(streets.level[np.abs(x - 600.0) > 400.0])


def test_a_storm_is_answered_in_a_blink(valley: ZoneScene) -> None:
    run_flood(valley, {})
    began = time.perf_counter()
    run_flood(with_draws(valley, 1000), {"rain_mm": 130})
    assert time.perf_counter() - began < 1.5


def test_a_city_without_buildings_or_without_ground_is_zoned_to_nothing_without_complaint() -> None:
    kept = layers()
    empty = Scene(relief(), {**kept, "building_l2": Layer.empty("building", FRAME).with_columns(height_m=np.zeros(0))})
    result = run_flood(make_scene(empty, ZoneOptions(), load_tables())[0], {})
    assert len(result.buildings) == 0
    assert np.isfinite(result.streets.level).any()
    blank = Raster(np.full(relief().values.shape, np.nan), relief().geobox)
    result = run_flood(make_scene(Scene(blank, kept), ZoneOptions(), load_tables())[0], {})
    assert result.buildings.counts()["0"] == 200
    assert np.isnan(result.streets.level).all()
    bare = {"building_l2": kept["building_l2"]}
    result = run_flood(make_scene(Scene(blank, bare), ZoneOptions(), load_tables())[0], {})
    assert result.buildings.counts()["0"] == 200
