"""Göteborg by the whole of ingest and L2, against figures computed here from the same files by other means."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from scipy.ndimage import map_coordinates

from ingest.run import IngestOptions
from ingest.run import build as ingest
from models_l2.build import L2Options, build
from models_l2.ground import EXTRAPOLATED, ground_gaps
from twin.city import City, open_city
from twin.meshes import concatenate
from twin.outcome import Report
from twin.workers import Workers

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "goteborg-umep"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not DATA.exists() and os.environ.get("CI") != "true", reason="../shared/data/goteborg-umep not present"
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[City, Report]:
    city = open_city(ROOT / "examples" / "goteborg").with_store(tmp_path_factory.mktemp("goteborg") / ".twin")
    ingest(city, city.options(IngestOptions, "ingest"), Workers())
    return city, build(city, city.options(L2Options, "l2"), Workers())


@pytest.fixture(scope="module")
def surface() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """DSM - DEM of every cell, and the cells' centres, read straight from the files."""
    with rasterio.open(DATA / "DSM_KRbig.tif") as dsm, rasterio.open(DATA / "DEM_KRbig.tif") as dem:
        above = dsm.read(1) - dem.read(1)
        rows, cols = np.indices(above.shape)
        x, y = dsm.transform @ (cols.ravel() + 0.5, rows.ravel() + 0.5)
    return above, np.asarray(x).reshape(above.shape), np.asarray(y).reshape(above.shape)


def test_every_footprint_ends_as_a_solid_or_as_a_named_outcome(built):
    city, report = built
    solids = concatenate([part for _, part in city.store.read_model("l2")])
    named = {outcome.oid for outcome in report.outcomes if outcome.status in ("skipped", "failed")}
    table = city.store.read_layer("building_l2")
    assert len(table) == 137
    assert set(solids.oid.tolist()) | named == set(table.oid.tolist())
    assert solids.is_closed().all()
    assert (solids.volumes() > 0).all()
    assert report.done + len(report.outcomes) == 137


def test_model_heights_are_those_of_the_surface_model_over_the_footprints(built, surface):
    city, _ = built
    table, (above, x, y) = city.store.read_layer("building_l2"), surface
    inside = [shapely.contains_xy(shape, x, y) for shape in table.geometry]
    covered = np.array([cells.any() for cells in inside])
    assert covered.sum() == 41
    everywhere = np.concatenate([above[cells] for cells in inside if cells.any()])
    assert everywhere.mean() == pytest.approx(14.91, abs=0.05)

    from_dsm = table.column("height_evidence") == "dsm"
    assert (from_dsm <= covered).all()
    assert from_dsm.sum() == 41
    median = np.array([np.median(above[cells]) if cells.any() else np.nan for cells in inside])
    roof = np.array([np.percentile(above[cells], 90) if cells.any() else np.nan for cells in inside])
    seen = from_dsm & (median >= 1.5)
    assert seen.sum() == 37
    per_building = np.abs(table.column("height_m") - roof)[seen]
    assert np.median(per_building) < 0.01
    assert per_building.max() < 0.05
    # Every cell of the surface beside the solid: median 0.29 m, 95th percentile 1.5 m over the buildings.
    rmse = table.column("fit_rmse")[seen]
    assert np.median(rmse) < 0.4
    assert np.percentile(rmse, 90) < 1.5


def test_no_building_floats_or_sinks(built):
    city, report = built
    for _, solids in city.store.read_model("l2"):
        # A corner where a cut meets the outline is rounded to 1 mm, and may find ground that much lower.
        assert np.abs(ground_gaps(city, solids)).max() < 1e-3
    assert report.figures["ground_gap_max_m"] == 0.0


def test_bases_lie_on_the_lowest_terrain_along_the_outline(built):
    city, _ = built
    table = city.store.read_layer("building_l2")
    with rasterio.open(DATA / "DEM_KRbig.tif") as dem:
        terrain, edges = dem.read(1).astype(np.float64), shapely.box(*dem.bounds)
        whole = np.flatnonzero(shapely.contains_properly(edges.buffer(-2.0), table.geometry))
        assert len(whole) > 15
        for k in whole:
            line = shapely.get_coordinates(shapely.segmentize(shapely.boundary(table.geometry[k]), 0.05))
            cols, rows = ~dem.transform @ line.T
            along = map_coordinates(terrain, [rows - 0.5, cols - 0.5], order=1)
            assert along.min() == pytest.approx(table.column("base_z")[k], abs=0.02)
            assert along.min() >= table.column("base_z")[k] - 1e-4


def test_buildings_beyond_the_terrain_say_so(built):
    city, report = built
    with rasterio.open(DATA / "DEM_KRbig.tif") as dem:
        edges = shapely.box(*dem.bounds)
    table = city.store.read_layer("building_l2")
    beyond = set(table.oid[~shapely.covers(edges, table.geometry)].tolist())
    told = {outcome.oid for outcome in report.outcomes if EXTRAPOLATED in outcome.reason}
    assert told == beyond
    assert np.isfinite(table.column("base_z")).all()


def test_trees_stand_on_the_tops_of_the_canopy_raster_and_their_crowns_cover_it(built):
    """Reached: 55 trees on 2,966 cells."""
    city, report = built
    layer = city.store.read_layer("tree_l2")
    assert 40 <= len(layer) == report.figures["trees_canopy"] <= 80
    with rasterio.open(DATA / "CDSM_KRbig.tif") as file:
        canopy, transform = file.read(1), ~file.transform
    col, row = transform @ shapely.get_coordinates(layer.geometry).T
    whole = np.pad(canopy, 1, mode="edge")
    cells = zip(row.astype(int).tolist(), col.astype(int).tolist(), strict=True)
    around = np.array([whole[r : r + 3, c : c + 3].max() for r, c in cells])
    assert (layer.column("height") <= around + 0.01).all()
    # A lone tall cell is a twig: it does not make a tree higher.
    assert np.median(layer.column("height") / around) > 0.95
    crowns = np.pi / 4.0 * (layer.column("crown") ** 2).sum()
    assert (canopy > 0).sum() == 2966
    assert 0.6 * 2966 < crowns <= 2966
