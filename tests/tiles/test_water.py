from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiles.scenes import DATONG
from tests.tiles.test_terrain import OPTIONS, relief
from tiles.checks.findings import Findings
from tiles.checks.ground import check_terrain
from tiles.terrain import pyramid
from tiles.terrain import quantized_mesh as qm
from tiles.terrain.water import masks, water_of
from twin.errors import SourceError
from twin.features import Layer
from twin.workers import Workers

X0, Y0, _ = DATONG.origin
LEVEL = 14


def water(*shapes):
    shifted = shapely.transform(np.array(shapes, object), lambda xy: xy + np.array([X0, Y0]))
    return Layer.build("water", DATONG, [f"w{k}" for k in range(len(shapes))], shifted)


ISLAND = shapely.box(-100.0, -60.0, 0.0, 40.0)
LAKE = shapely.Polygon(shapely.box(-400.0, -300.0, 350.0, 250.0).exterior, [ISLAND.exterior])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("water")
    told = pyramid.build_terrain(relief(), folder, OPTIONS, Workers(1), "survey office", water(LAKE))
    return folder / "terrain", told


def wet_at(folder, level, x, y):
    """The mask's value over a place, metres from the origin."""
    lon, lat = DATONG.to_lonlat([[X0 + x, Y0 + y]])[0]
    side = 180.0 / 2**level
    column, row = int((lon + 180.0) // side), int((lat + 90.0) // side)
    west, _, _, north = pyramid.tile_bounds(level, column, row)
    data = (folder / str(level) / str(column) / f"{row}.terrain").read_bytes()
    mask = qm.decode(data, pyramid.tile_bounds(level, column, row))[0].water
    return mask[int((north - lat) / side * 256), int((lon - west) / side * 256)]


def covered(layer, bounds):
    """Share of a box under the polygons of a layer, by shapely."""
    box = shapely.box(*bounds)
    shapes = shapely.transform(shapely.segmentize(shapely.union_all(layer.geometry), 200.0), layer.frame.to_lonlat)
    return shapely.area(shapely.intersection(shapes, box)) / shapely.area(box)


@pytest.mark.parametrize("level", [12, LEVEL])
@pytest.mark.parametrize(
    ("x", "y", "value"),
    [(200.0, 200.0, 255), (200.0, 300.0, 0), (-50.0, 0.0, 0), (-350.0, -250.0, 255), (0.0, -400.0, 0), (390.0, 0.0, 0)],
)
def test_the_lake_is_water_and_its_island_and_shores_are_not(built, level, x, y, value):
    assert wet_at(built[0], level, x, y) == value


def test_layer_json_tells_of_the_masks_and_every_tile_has_one(built):
    assert json.loads((built[0] / "layer.json").read_bytes())["extensions"] == ["octvertexnormals", "watermask"]
    found = Findings("t")
    check_terrain(built[0], found)
    assert found.faults == []
    assert built[1]["shore_tiles"] > LEVEL - 8


def test_a_tile_of_land_spends_six_bytes_and_a_shore_65_536(built):
    sizes = {}
    for path in (built[0] / str(LEVEL)).rglob("*.terrain"):
        data = path.read_bytes()
        mask = qm.decode(data, (0.0, 0.0, 1.0, 1.0))[0].water
        at = data.rindex(b"\x02\x01\x00\x00\x00") if len(np.unique(mask)) == 1 else len(data) - 65541
        assert data[at] == 2
        sizes.setdefault(len(np.unique(mask)) == 1, set()).add(len(data) - at)
    assert sizes == {True: {6}, False: {65541}}


def test_a_tile_all_under_water_says_so_in_one_byte():
    sea = water(shapely.box(-9000.0, -9000.0, 9000.0, 9000.0))
    lon, lat = DATONG.to_lonlat([[X0, Y0]])[0]
    side = 180.0 / 2**LEVEL
    bounds = pyramid.tile_bounds(LEVEL, int((lon + 180.0) // side), int((lat + 90.0) // side))
    assert (masks(water_of(sea).near(bounds), bounds, 1) == 255).all()


def test_water_without_area_is_none_and_a_crossed_outline_is_mended():
    bow = shapely.Polygon([(0, 0), (400, 400), (400, 0), (0, 400)])
    both = shapely.GeometryCollection([shapely.Point(5, 5), shapely.MultiPolygon([shapely.box(900, 900, 950, 950)])])
    line = shapely.LineString([(0, 0), (500, 500)])
    told = water_of(water(line, bow, both))
    assert len(told.starts) == 4
    (west, south), (east, north) = DATONG.to_lonlat([[X0 - 500.0, Y0 - 500.0], [X0 + 1500.0, Y0 + 1500.0]])
    bounds = (west, south, east, north)
    true = (2 * 200 * 400 / 2 + 50**2) / 2000.0**2
    assert masks(told.near(bounds), bounds, 1).mean() / 255.0 == pytest.approx(true, rel=0.02)


def test_no_water_at_all_is_land():
    assert not masks(water_of(Layer.empty("water", DATONG)).near((0, 0, 1, 1)), (0.0, 0.0, 1.0, 1.0), 2).any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), radius=st.floats(1.0, 20_000.0), corners=st.integers(3, 60))
def test_what_is_under_water_is_the_area_of_the_polygons_at_every_level(seed, radius, corners):
    rng = np.random.default_rng(seed)
    turn = np.sort(rng.uniform(0.0, 2.0 * np.pi, corners))
    reach = radius * rng.uniform(0.2, 1.0, corners)
    star = shapely.Polygon(np.column_stack([np.cos(turn), np.sin(turn)]) * reach[:, None]).buffer(0.0)
    layer = water(star)
    lon, lat = DATONG.to_lonlat([[X0, Y0]])[0]
    for level in (8, 12, 16):
        side = 180.0 / 2**level
        x, y = int((lon + 180.0) // side), int((lat + 90.0) // side)
        west, south, _, north = pyramid.tile_bounds(level, x, y)
        bounds = (west, south, west + 2 * side, north)
        both = masks(water_of(layer).near(bounds), bounds, 2)
        edge = 4.0 * corners / (2 * 256) / 255.0
        assert both.mean() / 255.0 == pytest.approx(covered(layer, bounds), abs=0.5 / 255.0 + edge)
        for k in (0, 1):
            one = (west + k * side, south, west + (k + 1) * side, north)
            alone = masks(water_of(layer).near(one), one, 1)[0].astype(int)
            assert np.abs(alone - both[k]).max() <= 1


def test_masks_are_the_same_bytes_whatever_the_workers(built, tmp_path):
    with Workers(2) as workers:
        pyramid.build_terrain(relief(), tmp_path, OPTIONS, workers, "survey office", water(LAKE))
    for path in sorted(p for p in built[0].rglob("*") if p.is_file()):
        assert (tmp_path / "terrain" / path.relative_to(built[0])).read_bytes() == path.read_bytes()


def test_a_mask_of_odd_size_and_one_that_layer_json_hides_are_told(built, tmp_path):
    path = next((built[0] / "8").rglob("*.terrain"))
    data = path.read_bytes()
    with pytest.raises(SourceError, match="a water mask has 1 byte or 65536, not 3"):
        qm.decode(data + b"\x02\x03\0\0\0\0\0\0", (0.0, 0.0, 1.0, 1.0), "t")
    place = tmp_path / "terrain"
    pyramid.build_terrain(relief(), tmp_path, OPTIONS, Workers(1), "", water(LAKE))
    layer = json.loads((place / "layer.json").read_bytes())
    layer["extensions"].remove("watermask")
    (place / "layer.json").write_text(json.dumps(layer))
    found = Findings("t")
    check_terrain(place, found)
    assert "has a water mask, and layer.json says otherwise" in {reason for _, reason in found.faults}
