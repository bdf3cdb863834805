"""The nose for wrong places: what it smells, and what it lets pass."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from ingest.run import IngestOptions, build
from ingest.sniff import WGS84, Placed, better_datum, sniff_datums, sniff_extents
from twin.features import Layer, objects
from twin.frames import bd09_from_gcj02, gcj02_from_wgs84, wgs84_from_gcj02
from twin.workers import Workers


def town(seed=3, n=120):
    """Irregular blocks (n,) in frame metres, no two rows alike."""
    rng = np.random.default_rng(seed)
    corner = np.array([500_000.0, 4_430_000.0]) + rng.uniform(0, 2_500, (n, 2))
    size = rng.uniform(15, 60, (n, 2))
    return shapely.box(*corner.T, *(corner + size).T)


def layer(name, shapes, frame):
    oid = objects([f"{name}{k}" for k in range(len(shapes))])
    return Layer.build(name, frame, oid, objects(list(shapes)), {})


def misplaced(shapes, frame, shift):
    """The same shapes after their numbers in a map datum were taken for WGS 84."""
    return shapely.transform(shapes, lambda xy: frame.from_lonlat(shift(frame.to_lonlat(xy))))


def bd09(lonlat):
    return bd09_from_gcj02(gcj02_from_wgs84(lonlat))


@pytest.mark.parametrize(("shift", "datum"), [(gcj02_from_wgs84, "GCJ-02"), (bd09, "BD-09")])
def test_footprints_in_a_map_datum_taken_for_wgs84_are_smelled(shift, datum, frame):
    right, wrong = layer("building", town(), frame), layer("building", misplaced(town(), frame, shift), frame)
    fit = better_datum(wrong, WGS84, right)
    assert fit is not None
    assert (fit.datum, fit.within) == (datum, 1.0)
    assert fit.share[1] > 0.95
    assert fit.median[0] > 20.0 * max(fit.median[1], 0.01)
    lines = sniff_datums([Placed("map", WGS84, wrong), Placed("survey", WGS84, right)])
    assert len(lines) == 1
    assert lines[0].startswith("map: declared EPSG:4326")
    assert f'declare crs = "{datum}"' in lines[0]


def test_addresses_beside_their_buildings_are_smelled(frame):
    right = layer("building", town(), frame)
    points = misplaced(shapely.centroid(right.geometry), frame, gcj02_from_wgs84)
    fit = better_datum(layer("address", points, frame), WGS84, right)
    assert fit is not None
    assert fit.datum == "GCJ-02"


def test_a_source_that_is_where_it_says_is_left_in_peace(frame):
    right = layer("building", town(), frame)
    nearly = shapely.transform(right.geometry, lambda xy: xy + np.array([0.4, -0.3]))
    assert better_datum(layer("building", nearly, frame), WGS84, right) is None
    strangers = layer("building", town(seed=8), frame)
    assert better_datum(strangers, WGS84, right) is None
    assert sniff_datums([Placed("a", WGS84, strangers), Placed("b", WGS84, right)]) == []


def test_wgs84_declared_as_gcj02_is_smelled_too(frame):
    right = layer("building", town(), frame)
    wrong = layer("building", misplaced(town(), frame, wgs84_from_gcj02), frame)
    fit = better_datum(wrong, "GCJ-02", right)
    assert fit is not None
    assert fit.datum == WGS84


def test_projected_sources_are_not_suspected(frame):
    wrong = layer("building", misplaced(town(), frame, gcj02_from_wgs84), frame)
    assert (
        sniff_datums([Placed("a", "EPSG:4547", wrong), Placed("b", "EPSG:4547", layer("building", town(), frame))])
        == []
    )


def test_what_lies_far_from_the_footprints_is_named():
    here, near, far = (0.0, 0.0, 5e3, 5e3), (9e3, 0.0, 12e3, 5e3), (9e5, 0.0, 9.1e5, 5e3)
    assert sniff_extents([("roads", near), ("houses", here)], "houses") == []
    lines = sniff_extents([("roads", far), ("houses", here), ("rivers", near)], "houses")
    assert len(lines) == 1
    assert lines[0].startswith("roads: lies 888 km from the rest of the city (rivers is nearest)")
    empty = ("empty", (np.nan, np.nan, np.nan, np.nan))
    assert sniff_extents([empty, ("houses", here)], "houses") == []


def test_an_ingest_says_what_it_smells_and_moves_nothing(make_city, write_vector, write_raster, ground, frame):
    write_raster("dem.tif", np.tile(ground, (30, 30)), corner=(500_000.0, 4_433_000.0))
    blocks = town()
    write_vector("survey.gpkg", blocks, use=["residential"] * len(blocks))
    numbers = shapely.transform(blocks, lambda xy: gcj02_from_wgs84(frame.to_lonlat(xy)))
    write_vector("map.geojson", numbers, crs="EPSG:4326", use=["residential"] * len(blocks))
    write_vector("roads.gpkg", [shapely.LineString([(900_000, 4_430_000), (900_100, 4_430_000)])], road=["a"])
    city = make_city(
        {"kind": "dem", "path": "dem.tif"},
        {"kind": "footprints", "path": "survey.gpkg"},
        {"kind": "footprints", "path": "map.geojson", "crs": "EPSG:4326"},
        {"kind": "roads", "path": "roads.gpkg"},
    )
    report = build(city, IngestOptions(), Workers(1))
    assert [line for line in report.warnings if "when read as GCJ-02" in line and line.startswith("s2_footprints")]
    assert [line for line in report.warnings if line.startswith("s3_roads: lies 397 km")]
    assert json.loads(json.dumps(list(report.warnings)))
    kept = city.store.read_layer("building").bounds
    assert kept[2] - kept[0] > 3_000.0
