"""The Datong pair and the file that lies: real deliveries in the wrong place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from ingest.reading import Delivery
from ingest.sniff import WGS84, Placed, distances, sniff_datums
from ingest.sources import reader_of
from tests.conftest import absent
from twin.city import Source
from twin.errors import SourceError
from twin.frames import Frame

pytestmark = pytest.mark.real
DATONG = Frame("EPSG:4547", "1985", -15.0)


@pytest.fixture
def read(data: Path):
    def reading(folder: str, path: str, kind: str, frame: Frame, **declared):
        if not (data / folder).is_dir():
            absent(f"../shared/data/{folder}")
        return reader_of(kind).read(Delivery(Source(name=path, kind=kind, path=path, **declared), data / folder), frame)

    return reading


def edge_distance(districts, streets):
    """Median distance, m, of the east edge of 北街 (the largest old-town polygon) to the outline of 城区."""
    north = streets.geometry[np.argmax(shapely.area(streets.geometry))]
    points = shapely.get_coordinates(shapely.segmentize(north, 25.0))
    east = points[points[:, 0] > np.quantile(points[:, 0], 2.0 / 3.0)]
    inner = districts.geometry[districts.column("name").tolist().index("城区")]
    return float(np.median(distances(east, shapely.STRtree([shapely.boundary(inner)]))))


def test_the_districts_of_datong_are_smelled_as_gcj02_against_the_old_town_streets(read):
    streets = read("datong-admin", "oldtown_streets_subset.geojson", "divisions", DATONG, crs=WGS84)
    pair = {
        crs: read("datong-admin", "140200_full.json", "divisions", DATONG, crs=crs, columns={"name": "name"})
        for crs in (WGS84, "GCJ-02")
    }
    apart, together = (edge_distance(reading.noun, streets.noun) for reading in pair.values())
    assert apart == pytest.approx(333.0, rel=0.15)
    assert together < 24.0
    sniffed = [Placed("streets", WGS84, streets.noun), Placed("districts", WGS84, pair[WGS84].noun)]
    lines = sniff_datums(sniffed)
    assert len(lines) == 1
    assert lines[0].startswith("districts: declared EPSG:4326, but its outlines lie on those of streets")
    assert 'declare crs = "GCJ-02"' in lines[0]
    right = [Placed("streets", WGS84, streets.noun), Placed("districts", "GCJ-02", pair["GCJ-02"].noun)]
    assert sniff_datums(right) == []


def test_the_labels_that_lie_about_their_crs_are_refused(read):
    frame = Frame("EPSG:32616", "NAVD88")
    with pytest.raises(SourceError, match="EPSG:4326 is in degrees, but a coordinate is"):
        read("ortho-footprints", "geotiff_custom_proj_labels.geojson", "footprints", frame, crs=WGS84)


def test_honest_labels_beside_them_are_read(read):
    frame = Frame("EPSG:32616", "NAVD88")
    layer = read("ortho-footprints", "geotiff_labels.geojson", "footprints", frame, crs="EPSG:32616").noun
    assert len(layer) == 43
