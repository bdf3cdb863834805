"""Zones, prefixes and changes of datum, beside PROJ itself."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from twin import Frame, OptionsError, SourceError
from twin.datums import COINCIDENT, FAMILIES, check_numbers, passage, resolve_crs
from twin.frames import bd09_from_gcj02, gcj02_from_bd09, gcj02_from_wgs84, to_frame, wgs84_from_gcj02

CGCS2000, XIAN, BEIJING = FAMILIES
DATONG = Frame("EPSG:4547", "1985", -18.0)


def zones(family):
    """(code, name that EPSG gives it, degrees, central meridian, zone prefix or 0) of all 64 zones of a datum."""
    for degrees, first in ((6, 13), (3, 25)):
        words = "3-degree Gauss-Kruger" if degrees == 3 else "Gauss-Kruger"
        for k in range(60 // degrees + 1):
            meridian = 75 + degrees * k
            yield family.code(degrees, meridian, True), f"{words} zone {first + k}", degrees, meridian, first + k
            yield family.code(degrees, meridian, False), f"{words} CM {meridian}E", degrees, meridian, 0


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.datum)
def test_every_zone_has_the_code_that_proj_gives_it(family):
    listed = list(zones(family))
    assert len({code for code, *_ in listed}) == 64
    for code, name, _, meridian, prefix in listed:
        crs = pyproj.CRS.from_epsg(code)
        values = {p.name: p.value for p in crs.coordinate_operation.params}
        assert crs.name.split(" / ")[1] == name
        assert values["Longitude of natural origin"] == meridian
        assert values["False easting"] == 500_000 + prefix * 1_000_000


def test_every_cgcs2000_zone_agrees_with_proj_there_and_back():
    codes = [code for code, *_ in zones(CGCS2000)]
    assert sorted(codes) == list(range(4491, 4555))
    for code, _, degrees, meridian, prefix in zones(CGCS2000):
        frame = Frame(f"EPSG:{code}", "1985").check()
        lon = meridian + np.array([-0.5, -0.2, 0.0, 0.3, 0.5]) * degrees
        lonlat = np.column_stack([lon, [18.5, 25.0, 35.0, 45.0, 53.0]])
        xy = frame.from_lonlat(lonlat)
        oracle = pyproj.Proj(proj="tmerc", lon_0=meridian, x_0=500_000 + prefix * 1_000_000, ellps="GRS80", units="m")
        assert np.abs(xy - np.column_stack(oracle(*lonlat.T))).max() < 0.001
        assert np.abs(frame.from_lonlat(frame.to_lonlat(xy)) - xy).max() < 0.001
        assert np.abs(to_frame(lonlat, "EPSG:4490", frame) - xy).max() < 0.001


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("CGCS2000 / 3-degree GK CM 114E", 4547),
        ("cgcs2000 / 3 degree Gauss-Kruger CM 114 E", 4547),
        ("CGCS2000 / 3-degree Gauss-Krüger zone 38", 4526),
        ("CGCS 2000 / 6-degree GK CM 111E", 4508),
        ("CGCS2000 / Gauss-Kruger zone 19", 4497),
        ("Xian 80 / 3-degree GK CM 114E", 2383),
        ("Beijing 54 / 6-degree GK zone 19", 21419),
        ("Beijing 1954 / 3-degree GK CM 111E", 2434),
    ],
)
def test_a_spoken_zone_is_its_epsg_code(said, code):
    assert resolve_crs(said) == f"EPSG:{code}"
    assert pyproj.CRS.from_epsg(code).name.startswith(("CGCS2000", "Xian 1980", "Beijing 1954"))


@pytest.mark.parametrize(
    "said", ["CGCS2000 / 3-degree GK CM 113E", "CGCS2000 / 6-degree GK CM 114E", "CGCS2000 / 3-degree GK zone 19"]
)
def test_a_zone_that_china_does_not_have_is_refused(said):
    with pytest.raises(SourceError, match="no such Gauss-Kruger zone"):
        resolve_crs(said)


def test_other_declarations_are_left_as_they_are():
    for text in ("EPSG:4547", "GCJ-02", "", "CGCS2000 / 3-degree Gauss-Kruger"):
        assert resolve_crs(text) == text


@pytest.mark.parametrize(
    ("easting", "crs", "remedy"),
    [
        (38_500_000.0, "EPSG:4547", "carry the zone prefix 38, but EPSG:4547 expects none; .*EPSG:4526"),
        (39_400_000.0, "EPSG:4547", "carry the zone prefix 39, .*EPSG:4527"),
        (19_600_000.0, "EPSG:4508", "carry the zone prefix 19, .*EPSG:4497"),
        (500_000.0, "EPSG:4526", "carry no zone prefix, but EPSG:4526 expects the zone prefix 38; .*EPSG:4547"),
        (39_500_000.0, "EPSG:4526", "expects the zone prefix 38; .*EPSG:4527"),
        (20_500_000.0, "EPSG:21419", "expects the zone prefix 19; .*EPSG:21420"),
    ],
)
def test_a_zone_prefix_against_the_crs_is_refused_with_the_code_that_fits(easting, crs, remedy):
    with pytest.raises(SourceError, match=remedy):
        check_numbers([[easting, 4_430_000.0], [easting + 50.0, 4_430_050.0]], crs)


def test_prefixes_are_told_apart_for_every_zone():
    for family in FAMILIES:
        for code, _, degrees, meridian, prefix in zones(family):
            own = prefix * 1e6 + 480_000.0
            check_numbers([[own, 4.4e6]], f"EPSG:{code}")
            other = family.code(degrees, meridian, not prefix)
            with pytest.raises(SourceError, match=f'crs = "EPSG:{code}"'):
                check_numbers([[own, 4.4e6]], f"EPSG:{other}")


def test_northings_delivered_as_x_are_refused():
    with pytest.raises(SourceError, match="looks like a northing"):
        check_numbers([[4_430_000.0, 500_000.0]], "EPSG:4547")


def test_degrees_in_a_crs_of_metres_are_refused_and_metres_in_degrees_too():
    with pytest.raises(SourceError, match="EPSG:4547 is in metres, but every coordinate looks like degrees"):
        to_frame([[113.3, 40.09]], "EPSG:4547", DATONG)
    for crs in ("EPSG:4326", "EPSG:4490", "GCJ-02", "BD-09"):
        with pytest.raises(SourceError, match=f"{crs} is in degrees"):
            to_frame([[-663_347.0, 1_400_000.0]], crs, DATONG)


def test_a_small_site_around_the_false_origin_is_not_taken_for_degrees():
    check_numbers([[0.0, 0.0], [12.5, 80.0]], "EPSG:4547")


def test_a_prefixed_source_reaches_a_frame_without_prefix():
    moved = to_frame([[38_440_000.0, 4_440_000.0]], "EPSG:4526", DATONG)
    assert moved[0] == pytest.approx([440_000.0, 4_440_000.0], abs=1e-6)


@pytest.mark.parametrize("crs", ["EPSG:4214", "EPSG:4610"])
def test_a_change_of_datum_without_parameters_is_refused_until_it_is_accepted(crs):
    place = [[113.3, 40.09]]
    with pytest.raises(SourceError, match=r"no parameters from (Bei|Xian).* to China 2000.*accept_ballpark"):
        to_frame(place, crs, DATONG)
    assert to_frame(place, crs, DATONG, accept_ballpark=True).shape == (1, 2)
    assert passage(crs, "EPSG:4547", place).ballpark


def test_beijing_54_goes_over_wgs84_where_proj_has_parameters():
    ordos = np.array([[108.5, 37.5]])
    way = passage("EPSG:4214", "EPSG:4508", ordos)
    assert (way.ballpark, way.hub, way.accuracy) == (False, True, 1.0)
    assert "Beijing 1954 to WGS 84" in way.words
    assert COINCIDENT in way.words
    moved = to_frame(ordos, "EPSG:4214", Frame("EPSG:4508"))
    oracle = pyproj.Transformer.from_crs("EPSG:4214", "EPSG:4326", always_xy=True, allow_ballpark=False)
    expected = Frame("EPSG:4508").from_lonlat(np.column_stack(oracle.transform(*ordos.T)))
    assert np.abs(moved - expected).max() < 0.001
    null = to_frame(ordos, "EPSG:4490", Frame("EPSG:4508"))
    assert 20.0 < np.hypot(*(moved - null)[0]) < 200.0


def test_parameters_of_one_basin_are_not_used_in_another_place():
    assert not passage("EPSG:4214", "EPSG:4326", [[108.5, 37.5]]).ballpark
    assert passage("EPSG:4214", "EPSG:4326", [[113.3, 40.09]]).ballpark


def test_wgs84_and_cgcs2000_are_coincident_and_it_is_said():
    for crs in ("EPSG:4326", "EPSG:32649", "OGC:CRS84"):
        xy = Frame("EPSG:32649").from_lonlat([[113.3, 40.09]]) if crs == "EPSG:32649" else [[113.3, 40.09]]
        way = passage(crs, "EPSG:4547", xy)
        assert (way.words, way.ballpark) == (COINCIDENT, False)
    assert passage("EPSG:4490", "EPSG:4547", [[113.3, 40.09]]).words == ""


def test_published_operations_keep_their_accuracy_and_name_the_missing_grid():
    way = passage("EPSG:28992", "EPSG:25832", [[85_000.0, 447_500.0]])
    assert not way.ballpark
    assert way.accuracy == 0.25 or "grid" not in way.words
    assert "Amersfoort to ETRS89" in way.words


def test_a_frame_on_a_datum_without_a_way_to_wgs84_is_refused():
    with pytest.raises(OptionsError, match="choose a frame on CGCS2000 or WGS 84"):
        Frame("EPSG:2383").check()
    for crs in ("EPSG:28992", "EPSG:3007", "EPSG:25832", "EPSG:2154", "EPSG:32616", "EPSG:6677", "EPSG:2056"):
        Frame(crs).check()


def test_map_datums_go_there_and_back_below_a_millimetre_over_all_china():
    lon, lat = np.meshgrid(np.arange(73.5, 135.0, 0.25), np.arange(18.0, 53.75, 0.25))
    grid = np.column_stack([lon.ravel(), lat.ravel()])
    assert len(grid) > 35_000
    limit = 0.001 / 111_320.0
    gcj = gcj02_from_wgs84(grid)
    assert np.abs(wgs84_from_gcj02(gcj) - grid).max() < limit
    assert np.abs(gcj02_from_wgs84(wgs84_from_gcj02(gcj)) - gcj).max() < limit
    assert np.abs(gcj02_from_bd09(bd09_from_gcj02(gcj)) - gcj).max() < limit
