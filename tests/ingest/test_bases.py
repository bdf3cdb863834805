"""What a delivery says of the ground at buildings: a column, or heights of 3D outlines as bases or as roof edges."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from ingest.layers import FeatureReader
from twin.errors import SourceError

X, Y = 500_000.0, 4_430_000.0
N = 24
TALL = np.array([3.0, 9.0, 15.0] * 8)
GROUND = 700.0 + 0.5 * np.arange(N)


def outlines(z):
    x = X + 20.0 * np.arange(N)
    flat = shapely.box(x, Y, x + 10.0, Y + 10.0)
    return [shapely.force_3d(shape, float(height)) for shape, height in zip(flat, z, strict=True)]


def read(deliver, frame, name, **declared):
    columns = {"height": "H"} | declared.pop("columns", {})
    return FeatureReader("footprints", "building").read(deliver(name, columns=columns, **declared), frame)


def test_heights_of_outlines_are_bases_where_they_do_not_follow_the_buildings(deliver, write_vector, frame):
    write_vector("b.gpkg", outlines(GROUND), H=TALL)
    reading = read(deliver, frame, "b.gpkg")
    np.testing.assert_allclose(reading.noun.column("terrain_height"), GROUND)
    assert any("heights of the outlines (taken as bases), known for 24 of 24" in step for step in reading.lineage.steps)
    assert not shapely.has_z(reading.noun.geometry).any()


def test_heights_that_follow_the_buildings_are_roof_edges(deliver, write_vector, frame):
    z = GROUND + TALL
    z[5] = -1000.0
    write_vector("b.gpkg", outlines(z), H=TALL)
    reading = read(deliver, frame, "b.gpkg")
    expected = np.where(np.arange(N) == 5, np.nan, GROUND)
    np.testing.assert_allclose(reading.noun.column("terrain_height"), expected)
    assert any("roof edge less the building" in step for step in reading.lineage.steps)
    declared = read(deliver, frame, "b.gpkg", extra={"z": "base"}).noun
    np.testing.assert_allclose(np.delete(declared.column("terrain_height"), 5), np.delete(z, 5))
    assert np.isnan(read(deliver, frame, "b.gpkg", extra={"z": "none"}).noun.column("terrain_height")).all()
    with pytest.raises(SourceError, match=r"extra.z 'eaves' is none of base, roof, none"):
        read(deliver, frame, "b.gpkg", extra={"z": "eaves"})


def test_a_mapped_column_counts_before_the_outlines_and_comes_to_the_datum_of_the_city(deliver, write_vector, frame):
    write_vector("b.gpkg", outlines(GROUND + 5.0), H=TALL, Z=np.where(np.arange(N) == 3, 0.0, GROUND))
    declared = {"columns": {"terrain_height": "Z"}, "extra": {"vertical_offset": 2.0}}
    reading = read(deliver, frame, "b.gpkg", **declared)
    expected = np.where(np.arange(N) == 3, np.nan, GROUND + 2.0)
    np.testing.assert_allclose(reading.noun.column("terrain_height"), expected)
    assert any("+2.000 m as declared" in step for step in reading.lineage.steps)


def test_heights_of_outlines_in_another_datum_are_left_out_with_a_line(deliver, write_vector, frame):
    write_vector("b.gpkg", outlines(GROUND), H=TALL)
    reading = read(deliver, frame, "b.gpkg", vertical="NAP")
    assert np.isnan(reading.noun.column("terrain_height")).all()
    assert any("add vertical_offset" in line and "are not used" in line for line in reading.warnings)


def test_flat_outlines_and_heights_of_nought_say_nothing(deliver, write_vector, frame):
    write_vector("b.gpkg", outlines(np.zeros(N)), H=TALL)
    reading = read(deliver, frame, "b.gpkg")
    assert np.isnan(reading.noun.column("terrain_height")).all()
    assert reading.warnings == ()
