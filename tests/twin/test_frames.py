from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin import Frame, OptionsError, SourceError
from twin.frames import (
    bd09_from_gcj02,
    ecef_from_geodetic,
    gcj02_from_bd09,
    gcj02_from_wgs84,
    geodetic_from_ecef,
    same_crs,
    to_frame,
    wgs84_from_gcj02,
)

DATONG = Frame("EPSG:4547", "1985", -18.0)
METRE_IN_DEGREES = 1.0 / 111_000.0


@given(
    st.floats(73.0, 137.0),
    st.floats(1.0, 55.0),
)
def test_gcj02_there_and_back_is_below_a_millimetre_over_china(lon, lat):
    there = gcj02_from_wgs84([[lon, lat]])
    back = wgs84_from_gcj02(there)
    assert np.abs(gcj02_from_wgs84(back) - there).max() < 0.001 * METRE_IN_DEGREES


@given(st.floats(73.0, 137.0), st.floats(1.0, 55.0))
def test_bd09_there_and_back_is_below_a_millimetre(lon, lat):
    there = bd09_from_gcj02([[lon, lat]])
    assert np.abs(bd09_from_gcj02(gcj02_from_bd09(there)) - there).max() < 0.001 * METRE_IN_DEGREES


def test_gcj02_known_answer_of_the_drum_quarter():
    # heritage table K37: the formula's published pair at the nine-dragon wall
    found = wgs84_from_gcj02([[113.303979, 40.093042]])[0]
    assert found == pytest.approx([113.29697, 40.09185], abs=1e-5)


def test_gcj02_shift_of_the_old_town_is_about_six_hundred_metres():
    shift = gcj02_from_wgs84([[113.2953, 40.0923]])[0] - [113.2953, 40.0923]
    assert shift == pytest.approx([0.00701, 0.00119], abs=2e-5)


def test_gcj02_leaves_places_outside_china_alone():
    assert gcj02_from_wgs84([[4.37, 51.99]]).tolist() == [[4.37, 51.99]]


@given(st.floats(-9000, 9000), st.floats(-9000, 9000), st.floats(-100, 3000))
def test_frame_to_earth_centred_and_back_is_below_a_millimetre(dx, dy, z):
    point = np.array([[440000.0 + dx, 4440000.0 + dy, z]])
    assert np.abs(DATONG.from_ecef(DATONG.to_ecef(point)) - point).max() < 0.001


def test_earth_centred_coordinates_agree_with_proj():
    from pyproj import Transformer

    geodetic = np.array([[113.3, 40.09, 1040.0], [-70.0, -33.0, 5.0], [0.0, 89.9, 100.0]])
    oracle = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    expected = np.column_stack(oracle.transform(*geodetic.T))
    assert np.abs(ecef_from_geodetic(geodetic) - expected).max() < 1e-6
    assert np.abs(geodetic_from_ecef(expected) - geodetic).max() < 1e-8


def test_undulation_lifts_frame_heights_to_the_ellipsoid():
    assert DATONG.to_geodetic([[440000.0, 4440000.0, 1040.0]])[0, 2] == pytest.approx(1022.0)


def test_local_axes_point_east_north_and_up():
    matrix = DATONG.enu_at(440000.0, 4440000.0, 1040.0)
    assert np.allclose(matrix[:3, :3].T @ matrix[:3, :3], np.eye(3))
    above = DATONG.to_ecef([[440000.0, 4440000.0, 1050.0]])[0]
    assert np.linalg.inv(matrix) @ [*above, 1.0] == pytest.approx([0.0, 0.0, 10.0, 1.0], abs=1e-6)


def test_a_source_without_crs_is_refused_not_guessed():
    with pytest.raises(SourceError, match="no CRS declared"):
        to_frame([[1.0, 2.0]], "", DATONG)


def test_an_unknown_crs_is_named():
    with pytest.raises(SourceError, match="EPSG:999999"):
        to_frame([[1.0, 2.0]], "EPSG:999999", DATONG)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2225", "nonsense"])
def test_a_frame_must_be_projected_and_in_metres(crs):
    with pytest.raises(OptionsError, match="frame"):
        Frame(crs).check()


def test_map_datums_reach_the_frame_at_their_true_place():
    wgs = np.array([[113.2953, 40.0923]])
    expected = DATONG.from_lonlat(wgs)
    assert np.abs(to_frame(gcj02_from_wgs84(wgs), "GCJ-02", DATONG) - expected).max() < 0.001
    assert np.abs(to_frame(bd09_from_gcj02(gcj02_from_wgs84(wgs)), "BD-09", DATONG) - expected).max() < 0.001


def test_compound_and_plain_crs_count_as_the_same_place():
    assert same_crs("EPSG:28992", "EPSG:7415")
    assert not same_crs("EPSG:4547", "EPSG:4548")
