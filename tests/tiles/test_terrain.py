from __future__ import annotations

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import shapely
from affine import Affine

from tests.tiles.scenes import DATONG
from tiles.checks.findings import Findings
from tiles.checks.ground import check_terrain
from tiles.options import TerrainTiles
from tiles.terrain import gaps, pyramid
from tiles.terrain import lattice as lattices
from tiles.terrain import quantized_mesh as qm
from twin.errors import MissingInputError
from twin.features import Layer
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.store.folder import FolderStore
from twin.workers import Workers

OPTIONS = TerrainTiles(apron=600.0)


def relief(hole: bool = True, edge: float = 0.0) -> Raster:
    """A hill of 60 m on a plain at 1040 m, 2 x 2 km of 10 m cells, a corner and a hole unknown."""
    x0, y0, _ = DATONG.origin
    box = GeoBox((200, 200), Affine(10.0, 0.0, x0 - 1000, 0.0, -10.0, y0 + 1000), DATONG)
    x, y = box.centers()
    z = 1040.0 + 60.0 * np.exp(-((x[None] - x0 - 200) ** 2 + (y[:, None] - y0) ** 2) / 1.2e5)
    z += edge * (x[None] - x0) / 1000.0
    if hole:
        z[:30, :30], z[120:124, 60:64] = np.nan, np.nan
    return Raster(z.astype(np.float32), box)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terrain")
    told = pyramid.build_terrain(relief(), folder, OPTIONS, Workers(1), "survey office")
    return folder / "terrain", told


def tile(folder, level, x, y):
    data = (folder / str(level) / str(x) / f"{y}.terrain").read_bytes()
    return qm.decode(data, pyramid.tile_bounds(level, x, y))[0]


def test_every_tile_is_there_whole_and_meets_its_neighbours(built):
    found = Findings("t")
    check_terrain(built[0], found)
    assert found.faults == []
    assert found.figures["terrain_tiles"] == built[1]["tiles"]


def test_ten_metre_relief_goes_to_level_fourteen(built):
    assert built[1]["max_level"] == 14


def test_both_roots_lie_on_the_plateau(built):
    for x in (0, 1):
        heights = tile(built[0], 0, x, 0).geodetic()[:, 2]
        assert np.abs(heights - built[1]["plateau"]).max() == 0.0
    assert built[1]["plateau"] == pytest.approx(1040.0 + DATONG.geoid_undulation, abs=0.5)


def test_heights_are_ellipsoidal_and_true_to_the_relief_at_the_finest_level(built):
    layer = json.loads((built[0] / "layer.json").read_bytes())
    span = layer["available"][14][0]
    worst = 0.0
    for x in range(span["startX"], span["endX"] + 1):
        for y in range(span["startY"], span["endY"] + 1):
            lonlath = tile(built[0], 14, x, y).geodetic()
            true = relief().sample(DATONG.from_lonlat(lonlath[:, :2])) + DATONG.geoid_undulation
            known = np.isfinite(true)
            worst = max(worst, float(np.abs(lonlath[known, 2] - true[known]).max(initial=0.0)))
    # Posts are exact to half the height step, and the grid of 32767 shifts them by a few centimetres of a steep slope.
    assert worst < 0.05
    assert built[1]["gap_p95"] <= OPTIONS.error


def test_the_land_around_has_no_cliff():
    lattice, known = lattices.lattice_of(relief(edge=15.0), OPTIONS)
    steps = np.abs(np.diff(lattice.heights, axis=1))
    inside = steps[known[:, 1:] & known[:, :-1]].max()
    assert steps.max() < 2.0 * inside + 0.1
    assert np.ptp(lattice.heights[0]) == 0.0


def test_posts_of_a_coarser_level_are_posts_of_the_finer():
    fine, _ = lattices.lattice_of(relief(), OPTIONS)
    coarse = lattices.coarser(fine, fine.level - 1, 0.0)
    lon, lat = coarse.lonlat()
    fine_lon, fine_lat = fine.lonlat()
    shared = np.ix_(np.isin(np.round(lat, 9), np.round(fine_lat, 9)), np.isin(np.round(lon, 9), np.round(fine_lon, 9)))
    np.testing.assert_array_equal(coarse.heights[shared].max(), fine.heights[::2, ::2].max())


def test_a_slope_faces_the_side_it_falls_to(built):
    lattice, _ = lattices.lattice_of(relief(), OPTIONS)
    row, col = (int(v) for v in np.unravel_index(np.argmax(lattice.heights), lattice.heights.shape))
    lon, lat = lattice.lonlat()
    rows, cols = np.array([row, row]), np.array([col - 20, col + 20])
    around = np.pad(lattice.heights, 1, mode="edge")
    lonlat = np.column_stack([lon[cols], lat[rows]])
    normals = pyramid.vertex_normals(around, lonlat, (rows, cols), lattice.spacing)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-9)
    local = normals @ DATONG.enu_at(*DATONG.origin)[:3, :3]
    assert local[0, 0] < -0.05 < 0.05 < local[1, 0]


def test_normals_agree_across_the_edges_of_tiles(built):
    layer = json.loads((built[0] / "layer.json").read_bytes())
    span = layer["available"][14][0]
    x, y = span["startX"] + 1, span["startY"] + 1
    west, east = tile(built[0], 14, x, y), tile(built[0], 14, x + 1, y)
    np.testing.assert_array_equal(west.normals[west.edge("east")], east.normals[east.edge("west")])


def test_flat_country_costs_next_to_nothing(tmp_path):
    flat = relief(hole=False)
    flat = Raster(np.full_like(flat.values, 1040.0), flat.geobox)
    told = pyramid.build_terrain(flat, tmp_path, TerrainTiles(apron=600.0, normals=False), Workers(1))
    deep = [p.stat().st_size for p in (tmp_path / "terrain" / "14").rglob("*.terrain")]
    assert max(deep) < 200
    assert told["gap_max"] == 0.0


def test_the_same_bytes_whatever_the_workers(built, tmp_path):
    with Workers(2) as workers:
        pyramid.build_terrain(relief(), tmp_path, OPTIONS, workers, "survey office")
    first = {p.relative_to(built[0]): p.read_bytes() for p in built[0].rglob("*") if p.is_file()}
    again = {
        p.relative_to(tmp_path / "terrain"): p.read_bytes() for p in (tmp_path / "terrain").rglob("*") if p.is_file()
    }
    assert first == again


def test_layer_json_says_what_clients_ask(built):
    layer = json.loads((built[0] / "layer.json").read_bytes())
    assert layer["scheme"] == "tms"
    assert layer["tiles"] == ["{z}/{x}/{y}.terrain"]
    assert layer["extensions"] == ["octvertexnormals"]
    assert layer["available"][0] == [{"startX": 0, "startY": 0, "endX": 1, "endY": 0}]
    assert len(layer["available"]) == layer["maxzoom"] + 1
    assert layer["attribution"] == "survey office"


def test_a_missing_tile_and_a_shifted_edge_are_told(built, tmp_path):

    place = shutil.copytree(built[0], tmp_path / "terrain")
    layer = json.loads((place / "layer.json").read_bytes())
    span = layer["available"][14][0]
    gone = place / "14" / str(span["startX"]) / f"{span['startY']}.terrain"
    gone.unlink()
    other = place / "14" / str(span["endX"]) / f"{span['endY']}.terrain"
    mesh, _ = qm.decode(other.read_bytes(), pyramid.tile_bounds(14, span["endX"], span["endY"]))
    lifted = qm.Mesh(
        mesh.bounds, mesh.u, mesh.v, mesh.height, mesh.low + 1, mesh.high + 1, mesh.triangles, mesh.normals
    )
    other.write_bytes(qm.encode(lifted))
    found = Findings("t")
    check_terrain(place, found)
    told = " | ".join(reason for _, reason in found.faults)
    assert "cannot be read" in told
    assert "edge differs" in told


def test_a_relief_without_any_value_is_refused():
    empty = Raster(np.full((200, 200), np.nan, np.float32), relief().geobox)
    with pytest.raises(MissingInputError, match="no value"):
        lattices.lattice_of(empty, OPTIONS)


def hill(x, y):
    x0, y0, _ = DATONG.origin
    return 1040.0 + 60.0 * np.exp(-((x - x0 - 200) ** 2 + (y - y0) ** 2) / 1.2e5)


def test_heights_read_back_from_the_finest_tiles_are_those_of_the_relief(built):
    x0, y0, _ = DATONG.origin
    xy = np.random.default_rng(3).uniform(-600.0, 600.0, (500, 2)) + np.array([x0, y0])
    drawn = gaps.drawn_heights(built[0], 14, OPTIONS.cells, DATONG.to_lonlat(xy)) - DATONG.geoid_undulation
    assert np.abs(drawn - hill(*xy.T)).max() < OPTIONS.error + 0.1
    assert np.abs(gaps.drawn_heights(built[0], 10, OPTIONS.cells, DATONG.to_lonlat(xy)) - drawn).max() > 5.0


def test_buildings_that_float_by_half_a_metre_are_told_so_at_the_finest_level(built, tmp_path):
    x0, y0, _ = DATONG.origin
    at = np.random.default_rng(4).uniform(-600.0, 600.0, (200, 2)) + np.array([x0, y0])
    at[7] += 90_000.0
    boxes = shapely.box(at[:, 0], at[:, 1], at[:, 0] + 8.0, at[:, 1] + 6.0)
    corners = shapely.get_coordinates(boxes).reshape(200, 5, 2)
    base = hill(corners[..., 0], corners[..., 1]).min(axis=1) + 0.5
    base[3] = np.nan
    store = FolderStore(tmp_path, DATONG)
    names = [f"b{k:03d}" for k in range(200)]
    store.write_layer("building_l2", Layer.build("building", DATONG, names, boxes, {"base_z": base}), Lineage("code"))
    told = gaps.measure(store, "building_l2", built[0], built[1], Workers(1))
    assert [row["level"] for row in told] == list(range(15))
    assert {row["buildings"] for row in told} == {198}
    assert 0.4 < told[-1]["p50"] < 0.6
    assert told[-1]["max"] < 0.5 + OPTIONS.error + 0.1
    assert told[8]["p95"] > told[12]["p95"] >= told[-1]["p95"] - 0.1


def test_figures_of_gaps_are_those_of_all_gaps_to_the_millimetre():
    drawn = np.random.default_rng(5).exponential(400.0, 3000).astype(np.int64)
    told = gaps._told(7, Counter(drawn.tolist()))
    assert told["buildings"] == 3000
    assert told["max"] == pytest.approx(drawn.max() / 1000.0)
    for name, share in (("p50", 50.0), ("p95", 95.0)):
        assert told[name] == pytest.approx(np.percentile(drawn, share, method="inverted_cdf") / 1000.0)
