"""A change of datum that PROJ has no parameters for: refused at every door, or accepted and said."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from ingest.sources import reader_of
from twin.errors import SourceError
from twin.frames import Frame

XIAN = "EPSG:2383"  # Xian 1980 / 3-degree Gauss-Kruger CM 114E
ACCEPTED = {"accept_ballpark": True}


@pytest.fixture
def files(write_vector, write_raster, ground, tmp_path):
    write_vector("houses.gpkg", [shapely.box(500_000, 4_430_000, 500_020, 4_430_020)], crs=XIAN, use=["residential"])
    write_raster("dem.tif", ground, crs=XIAN)
    (tmp_path / "posts.csv").write_text("oid,name,x,y\na,A,500010,4430010\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "path"), [("footprints", "houses.gpkg"), ("dem", "dem.tif"), ("facilities", "posts.csv")]
)
def test_xian_80_is_refused_unless_the_source_accepts_it(kind, path, files, deliver, frame):
    columns = {} if kind == "dem" else {"source_id": "oid"} if kind == "facilities" else {}
    with pytest.raises(SourceError, match=f"^{path}: ballpark: PROJ has no parameters from Xian 1980 to China 2000"):
        reader_of(kind).read(deliver(path, kind, crs=XIAN, columns=columns), frame)
    reading = reader_of(kind).read(deliver(path, kind, crs=XIAN, columns=columns, extra=ACCEPTED), frame)
    said = [step for step in reading.lineage.steps if step.startswith("ballpark")]
    assert len(said) == 1
    assert "accuracy unknown, in China commonly 50 to 150 m" in said[0]


def test_beijing_54_footprints_of_the_ordos_say_operation_and_accuracy(write_vector, deliver):
    frame = Frame("EPSG:4545", "1985", -15.0)
    shape = shapely.box(500_000, 4_150_000, 500_020, 4_150_020)
    write_vector("houses.gpkg", [shape], crs="EPSG:2433", use=["residential"])
    reading = reader_of("footprints").read(deliver("houses.gpkg", crs="EPSG:2433"), frame)
    assert "Beijing 1954 to WGS 84" in reading.lineage.steps[1]
    assert "accuracy 1 m as published" in reading.lineage.steps[1]
    moved = np.subtract(reading.noun.bounds[:2], (500_000, 4_150_000))
    assert 10.0 < np.hypot(*moved) < 200.0


def test_a_raster_that_would_need_the_way_over_wgs84_is_refused(write_raster, ground, deliver):
    write_raster("dem.tif", ground, crs="EPSG:2433", corner=(500_000.0, 4_150_100.0))
    with pytest.raises(SourceError, match="parameters to WGS 84 only, over which a raster is not warped"):
        reader_of("dem").read(deliver("dem.tif", "dem", crs="EPSG:2433"), Frame("EPSG:4545", "1985", -15.0))


def test_heights_of_a_raster_say_their_vertical_step(write_raster, ground, deliver, frame):
    write_raster("dem.tif", ground)
    reading = reader_of("dem").read(deliver("dem.tif", "dem", vertical="ellipsoid"), frame)
    assert reading.lineage.steps == ("heights ellipsoidal -> 1985: +15.000 m (-15.000 m taken off, as declared)",)
    assert reading.noun.values[0, 0] == pytest.approx(1055.0)
