"""River flood and waterlogging on a valley whose answers can be worked out by hand."""

import math

import numpy as np
import pytest
import shapely
from affine import Affine

from twin.errors import MissingInputError, OptionsError
from twin.features import Layer
from twin.frames import Frame
from twin.grid import GeoBox, Raster
from twin.hazards import HAZARDS, Registry, Scene, prepare
from twin.hazards.flood import FloodOptions, RiverFlood, discharge, stages_of
from twin.hazards.storm import Storm, StormOptions, reduced, storm_of
from twin.hazards.waterlogging import PondingField, PondingOptions
from twin.hazards.watershed import ChannelOptions, watershed

FRAME = Frame("EPSG:4547", "1985")
STORM = StormOptions()
TABLE = FloodOptions(stage_periods=(10.0, 100.0), stage_heights=(1.0, 3.0))


def valley(bowl: float = 0.0) -> Scene:
    """2 x 1 km falling to a river in the middle column and gently south; a bowl `bowl` m deep on the east flank."""
    box = GeoBox((100, 201), Affine(10.0, 0.0, 0.0, 0.0, -10.0, 1000.0), FRAME)
    x, y = box.centers()
    z = 1000.0 + 0.02 * np.abs(x - 1005.0)[None, :] + 0.002 * y[:, None]
    z[40:45, 150:155] -= bowl
    river = Layer.build(
        "river", FRAME, ["r"], [shapely.LineString([(1005.0, 1000.0), (1005.0, 0.0)])], {"width": [20.0]}
    )
    return Scene(Raster(z.astype(np.float32), box), {"river": river})


def field(scene: Scene, options: FloodOptions = TABLE):
    return prepare(HAZARDS["flood"], scene, (watershed(scene, ChannelOptions()), options))


def test_depth_is_stage_less_height_above_the_river() -> None:
    depth = field(valley()).intensity(Storm.of_period(100.0, STORM))
    assert depth[50, 100] == pytest.approx(3.0, abs=1e-3)
    assert depth[50, 100 + 50] == pytest.approx(3.0 - 10.0, abs=1e-3)
    assert depth[50, 100 + 10] == pytest.approx(3.0 - 2.0, abs=1e-3)


def test_a_hollow_behind_a_sill_stays_dry_until_the_water_passes_the_sill() -> None:
    scene = valley(bowl=6.0)
    found = field(scene, FloodOptions(stage_periods=(10.0, 100.0), stage_heights=(6.0, 12.0)))
    floor = found.hand[42, 152]
    sill = found.sill[42, 152]
    assert floor < 6.0 < sill < 12.0
    assert found.intensity(Storm.of_period(10.0, STORM))[42, 152] < 0.0
    beside = found.beside[42, 152]
    assert found.intensity(Storm.of_period(100.0, STORM))[42, 152] == pytest.approx(12.0 - min(floor, beside), abs=1e-3)


def test_water_comes_over_a_levee_though_the_ground_behind_it_drains_far_downstream() -> None:
    box = GeoBox((200, 81), Affine(10.0, 0.0, 0.0, 0.0, -10.0, 2000.0), FRAME)
    x, y = np.meshgrid(*box.centers())
    away = np.abs(x - 405.0)
    z = 1000.0 + 0.005 * y + np.where(away > 10.0, 2.0, 0.0) + np.where(np.abs(away - 60.0) < 6.0, 2.5, 0.0)
    z += np.where(away > 70.0, 0.001 * away, 0.0)
    line = shapely.LineString([(405.0, 2000.0), (405.0, 0.0)])
    scene = Scene(Raster(z, box), {"river": Layer.build("river", FRAME, ["r"], [line], {"width": [20.0]})})
    table = FloodOptions(stage_periods=(10.0, 100.0), stage_heights=(4.0, 5.0))
    found = field(scene, table)
    behind = (20, 55)
    assert found.hand[behind] > 9.0 or np.isnan(found.hand[behind])
    assert found.beside[behind] == pytest.approx(2.15, abs=0.05)
    assert found.beside_sill[behind] == pytest.approx(4.5, abs=0.06)
    assert not found.intensity(Storm.of_period(10.0, STORM))[behind] > 0.0
    assert found.intensity(Storm.of_period(100.0, STORM))[behind] == pytest.approx(2.85, abs=0.06)


def test_beyond_the_spread_of_the_banks_the_way_down_alone_decides() -> None:
    table = FloodOptions(stage_periods=(10.0, 100.0), stage_heights=(1.0, 3.0), spread=50.0)
    depth = field(valley(), table).intensity(Storm.of_period(100.0, STORM))
    assert depth[50, 110] == pytest.approx(1.0, abs=1e-3)
    assert depth[50, 190] == pytest.approx(3.0 - 18.0, abs=1e-3)


def test_declared_stages_are_met_at_their_return_periods_and_grow_between() -> None:
    found = field(valley())
    stages = [stages_of(found, Storm.of_period(t, STORM))[0] for t in (2.0, 10.0, 30.0, 100.0, 1000.0)]
    assert stages[1] == pytest.approx(1.0)
    assert stages[3] == pytest.approx(3.0)
    assert stages[4] == pytest.approx(3.0 + 2.0 * (reduced(1000.0) - reduced(100.0)) / (reduced(100.0) - reduced(10.0)))
    assert stages == sorted(stages)


def test_rated_stage_carries_the_discharge_by_manning() -> None:
    found = field(valley(), FloodOptions())
    storm = Storm.of_period(100.0, STORM)
    stage, flow = stages_of(found, storm)[0], discharge(found, storm)[0]
    # Triangle of two flanks of 0.02, cells of 10 m counted whole as the reach average does.
    inside = np.abs(np.arange(-100, 101)) * 0.2
    area = (np.maximum(stage - inside, 0.0) * 10.0).sum()
    wetted = (inside < stage).sum() * 10.0
    carried = area * (area / wetted) ** (2 / 3) * math.sqrt(0.002) / 0.04
    assert carried == pytest.approx(flow, rel=0.1)


def test_channels_are_found_by_drained_area_where_the_city_has_no_rivers() -> None:
    scene = Scene(valley().relief, {})
    shed = watershed(scene, ChannelOptions())
    found = prepare(HAZARDS["flood"], scene, (shed, FloodOptions()))
    assert not shed.by_lines
    assert shed.channels.mask[99, 100]
    assert found.quality == 0.5


def test_cells_cut_out_of_the_field_answer_like_the_whole() -> None:
    found, storm = field(valley()), Storm.of_period(50.0, STORM)
    cells = np.array([0, 5000, 10_050, 20_099])
    assert np.array_equal(found.take(cells).intensity(storm), found.intensity(storm).ravel()[cells])


def ponding(scene: Scene) -> PondingField:
    return HAZARDS["waterlogging"].prepare(scene, (watershed(scene, ChannelOptions()), PondingOptions()))


def test_rain_fills_the_bowl_and_every_drop_is_accounted_for() -> None:
    found, storm = ponding(valley(bowl=3.0)), Storm.of_rain(150.0, STORM)
    filling = found.filling(storm)
    inflow = found.pools.catchment.sum() * storm.ponding_runoff / 1000.0
    assert inflow > 0.0
    assert filling.stored.sum() + filling.spilled == pytest.approx(inflow, rel=1e-9)
    depth = found.intensity(storm)
    assert depth[42, 152] > 0.0
    assert depth.sum() * 100.0 == pytest.approx(filling.stored.sum(), rel=1e-6)
    assert depth[50, 20] == 0.0


def test_drains_take_a_small_rain_whole() -> None:
    found = ponding(valley(bowl=3.0))
    assert (found.intensity(Storm.of_rain(50.0, STORM)) == 0.0).all()


@pytest.mark.parametrize("years", [2.0, 10.0, 100.0, 500.0])
def test_rain_of_a_return_period_has_that_return_period(years: float) -> None:
    storm = Storm.of_period(years, STORM)
    assert Storm.of_rain(storm.rain, STORM).return_period == pytest.approx(years, rel=1e-6)


def test_hundred_year_rain_follows_gumbel_by_hand() -> None:
    # K(100) = sqrt(6)/pi (4.60015 - 0.57722) = 3.1367; 45 (1 + 0.5 K) = 115.58 mm.
    assert Storm.of_period(100.0, STORM).rain == pytest.approx(115.58, abs=0.01)


def test_inputs_are_rain_or_return_period_and_nothing_else() -> None:
    assert storm_of({}, 100.0, STORM).return_period == 100.0
    assert storm_of({"rain_mm": 80}, 100.0, STORM).rain == 80.0
    with pytest.raises(OptionsError, match="did you mean 'rain_mm'"):
        storm_of({"rain": 80}, 100.0, STORM)
    with pytest.raises(OptionsError, match="not both"):
        storm_of({"rain_mm": 80, "return_period": 50}, 100.0, STORM)
    with pytest.raises(OptionsError, match="below the least"):
        storm_of({"rain_mm": -1}, 100.0, STORM)


def test_stage_tables_that_fall_or_do_not_pair_are_refused() -> None:
    for periods, heights in (((10.0,), ()), ((10.0, 5.0), (1.0, 2.0)), ((5.0, 10.0), (2.0, 1.0))):
        with pytest.raises(OptionsError, match="stage"):
            field(valley(), FloodOptions(stage_periods=periods, stage_heights=heights))


def test_a_hazard_without_its_needs_says_so_before_it_runs() -> None:
    class Thirsty(RiverFlood):
        card = RiverFlood.card.__class__("thirsty", "渴", ("relief", "gauge"), (), "depth", "m", "none")

    with pytest.raises(MissingInputError, match="thirsty needs gauge"):
        prepare(Thirsty(), valley(), None)


def test_a_hazard_cannot_be_registered_twice() -> None:
    assert [h.card.name for h in HAZARDS] == ["flood", "waterlogging"]
    with pytest.raises(OptionsError, match="registered twice"):
        HAZARDS.register(RiverFlood())
    assert isinstance(Registry().register(RiverFlood()), Registry)
