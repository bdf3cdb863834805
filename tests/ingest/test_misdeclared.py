"""Deliveries that are not what their declaration says: each is refused or warned of in one line with its remedy."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from ingest.run import IngestOptions, build
from ingest.sniff import Placed, sniff_area, sniff_surface, sniff_units
from ingest.sources import reader_of
from tests.ingest.test_sniff import bd09, layer, misplaced, town
from twin.errors import SourceError
from twin.features import Layer, objects
from twin.frames import Frame, gcj02_from_wgs84
from twin.grid import GeoBox, Raster
from twin.workers import Workers

SWAPPED = r"declare extra = \{ swap_axes = true \}, or map the two columns of a table the other way"


def flipped(shapes):
    return shapely.transform(shapes, lambda xy: xy[:, ::-1])


def ingest(city):
    return build(city, IngestOptions(), Workers(1))


@pytest.mark.parametrize(
    ("crs", "frame_crs", "corner"),
    [
        ("EPSG:4547", "EPSG:4547", (500_000.0, 4_430_000.0)),
        ("EPSG:32649", "EPSG:4547", (690_000.0, 4_440_000.0)),
        ("EPSG:4326", "EPSG:4547", (113.3, 40.09)),
        ("GCJ-02", "EPSG:4547", (113.3, 40.09)),
        ("EPSG:4490", "EPSG:4538", (87.6, 43.8)),
        ("EPSG:4326", "EPSG:3007", (11.97, 57.7)),
        ("EPSG:4326", "EPSG:32719", (-70.6, -33.4)),
    ],
)
def test_x_and_y_changed_are_refused_and_read_where_the_source_says_so(crs, frame_crs, corner, deliver, write_vector):
    frame = Frame(frame_crs, "1985", -15.0)
    side = 20.0 if corner[0] > 1_000 else 2e-4
    right = shapely.box(*corner, corner[0] + side, corner[1] + side)
    file = "EPSG:4326" if crs == "GCJ-02" else crs
    write_vector("right.gpkg", [right], crs=file, use=["a"])
    write_vector("wrong.gpkg", flipped([right]), crs=file, use=["a"])
    expected = reader_of("footprints").read(deliver("right.gpkg", crs=crs), frame).noun.geometry[0]
    with pytest.raises(SourceError, match=rf"^wrong\.gpkg: .*{SWAPPED}"):
        reader_of("footprints").read(deliver("wrong.gpkg", crs=crs), frame)
    mended = reader_of("footprints").read(deliver("wrong.gpkg", crs=crs, extra={"swap_axes": True}), frame)
    assert shapely.hausdorff_distance(mended.noun.geometry[0], expected) < 1e-6
    assert any("axes changed, as declared" in step for step in mended.lineage.steps)


def test_a_survey_table_with_x_to_the_north_is_refused_and_mapped(tmp_path, deliver, frame):
    (tmp_path / "posts.csv").write_text("oid,name,X,Y\na,A,4430010,500010\n", encoding="utf-8")
    columns = {"source_id": "oid", "x": "X", "y": "Y"}
    with pytest.raises(SourceError, match=rf"^posts\.csv: .*northing.*{SWAPPED}"):
        reader_of("facilities").read(deliver("posts.csv", "facilities", columns=columns), frame)
    columns |= {"x": "Y", "y": "X"}
    read = reader_of("facilities").read(deliver("posts.csv", "facilities", columns=columns), frame)
    assert shapely.get_coordinates(read.noun.geometry).tolist() == [[500_010.0, 4_430_010.0]]


def test_a_zone_without_prefix_declared_with_it_is_refused_with_the_code(deliver, write_vector, frame):
    write_vector("a.gpkg", [shapely.box(500_000, 4_430_000, 500_020, 4_430_020)], crs="EPSG:4526", use=["a"])
    with pytest.raises(SourceError, match=r'a\.gpkg: eastings like 5000[12]0 carry no zone prefix.*crs = "EPSG:4547"'):
        reader_of("footprints").read(deliver("a.gpkg", crs="EPSG:4526"), frame)


def test_a_local_grid_is_named_with_its_remedy(make_city, write_vector):
    blocks = shapely.transform(town(), lambda xy: xy - np.array([490_000.0, 4_425_000.0]))
    write_vector("local.gpkg", blocks, use=["residential"] * len(blocks))
    report = ingest(make_city({"kind": "footprints", "path": "local.gpkg"}))
    lines = [line for line in report.warnings if "far outside the area where EPSG:4547 is used" in line]
    assert len(lines) == 1
    assert lines[0].startswith("s0_footprints: lies around x 11")
    assert 'declare its parameters, crs = "+proj=tmerc' in lines[0]
    own = "+proj=tmerc +lon_0=114 +x_0=10000 +y_0=-4425000 +ellps=GRS80 +towgs84=0,0,0"
    write_vector("local.gpkg", blocks, crs=own, use=["residential"] * len(blocks))
    city = make_city({"kind": "footprints", "path": "local.gpkg", "crs": own})
    assert not [line for line in ingest(city).warnings if "far outside" in line]
    assert np.abs(np.subtract(city.layer("building").bounds, shapely.total_bounds(town()))).max() < 0.001


def test_the_area_of_use_is_generous_at_its_edge():
    frame = Frame("EPSG:4547")
    for lon, lat in ((112.0, 40.0), (116.3, 40.0), (113.3, 22.0)):
        x, y = frame.from_lonlat([[lon, lat]])[0]
        assert sniff_area([("a", (x, y, x + 1, y + 1))], frame) == []
    assert sniff_area([("a", (np.nan,) * 4)], frame) == []


def heights(frame, height, storeys):
    shapes = town(n=len(height))
    oid = objects([f"b{k}" for k in range(len(height))])
    columns = {"height": np.asarray(height, dtype=float), "storeys": np.asarray(storeys, dtype=float)}
    return Placed("survey", "EPSG:4547", Layer.build("building", frame, oid, objects(list(shapes)), columns))


@pytest.mark.parametrize(("unit", "metre"), [("ft", 1 / 0.3048), ("cm", 100.0), ("mm", 1000.0)])
def test_heights_in_another_unit_are_smelled_by_their_storeys(unit, metre, frame):
    storeys = np.arange(40) % 6 + 1
    assert sniff_units([heights(frame, 3.1 * storeys, storeys)]) == []
    lines = sniff_units([heights(frame, 3.1 * storeys * metre, storeys)])
    assert len(lines) == 1
    assert f'declare unit = "{unit}"' in lines[0]


def test_heights_of_a_whole_city_in_centimetres_are_smelled_without_storeys(frame):
    unknown = np.full(40, np.nan)
    assert sniff_units([heights(frame, np.linspace(3, 90, 40), unknown)]) == []
    lines = sniff_units([heights(frame, np.linspace(300, 690, 40), unknown)])
    assert len(lines) == 1
    assert 'declare unit = "ft" or "cm"' in lines[0]
    assert sniff_units([heights(frame, [9.0] * 5, [1.0] * 5)]) == []


def test_a_unit_that_is_declared_is_not_smelled(make_city, write_vector):
    blocks, storeys = town(), np.arange(120) % 5 + 1
    write_vector("a.gpkg", blocks, height=3.0 * storeys / 0.3048, storeys=storeys)
    source = {"kind": "footprints", "path": "a.gpkg"}
    assert [line for line in ingest(make_city(source)).warnings if 'unit = "ft"' in line]
    assert not [line for line in ingest(make_city(source | {"unit": "ft"})).warnings if "unit =" in line]


def test_a_terrain_in_centimetres_is_refused_with_a_word_about_its_unit(write_raster, deliver, frame, ground):
    write_raster("dem.tif", ground * 100.0)
    with pytest.raises(SourceError, match="no cell has a height; check nodata and unit of source 'delivery'"):
        reader_of("dem").read(deliver("dem.tif", "dem"), frame)
    read = reader_of("dem").read(deliver("dem.tif", "dem", unit="cm"), frame)
    assert read.noun.values[0, 0] == pytest.approx(1040.0)


@pytest.mark.parametrize(("shift", "datum"), [(gcj02_from_wgs84, "GCJ-02"), (bd09, "BD-09")])
def test_a_whole_city_in_a_map_datum_is_smelled_against_its_surface(shift, datum, frame):
    right = town()
    cells = np.full((1_000, 1_000), 1_040.0, dtype=np.float32)
    box = GeoBox.from_bounds((499_500.0, 4_429_500.0, 503_500.0, 4_433_500.0), 4.0, frame)
    rows, cols = box.rowcol(shapely.get_coordinates(shapely.centroid(right)))
    for row, col in zip(rows.astype(int), cols.astype(int), strict=True):
        cells[row - 2 : row + 3, col - 2 : col + 3] = 1_052.0
    surface = Raster(cells, box)
    placed = [Placed("map", "EPSG:4326", layer("building", misplaced(right, frame, shift), frame))]
    lines = sniff_surface(placed, surface, "dsm")
    assert len(lines) == 1
    assert f'declare crs = "{datum}"' in lines[0]
    assert sniff_surface([Placed("survey", "EPSG:4326", layer("building", right, frame))], surface, "dsm") == []


def test_a_city_whose_datum_cannot_be_checked_says_so(make_city, write_vector):
    numbers = shapely.transform(town(), lambda xy: bd09(Frame("EPSG:4547").to_lonlat(xy)))
    write_vector("map.geojson", numbers, crs="EPSG:4326", use=["residential"] * len(numbers))
    source = {"kind": "footprints", "path": "map.geojson", "crs": "EPSG:4326"}
    blind = "in GCJ-02 or BD-09 cannot be noticed; compare one corner with a survey, a picture or GPS"
    assert len([line for line in ingest(make_city(source)).warnings if blind in line]) == 1
    write_vector("survey.gpkg", town(), use=["residential"] * 120)
    both = make_city(source, {"kind": "footprints", "path": "survey.gpkg"})
    told = ingest(both).warnings
    assert not [line for line in told if blind in line]
    assert [line for line in told if "when read as BD-09" in line]


@pytest.mark.parametrize(
    ("stated", "declared", "word"),
    [("EPSG:4326+3855", "", "taken as the city's '1985'"), ("EPSG:4326+3855", "1985", "declared '1985'"),
     ("EPSG:4979", "", "taken as the city's '1985'")],
)  # fmt: skip
def test_heights_that_the_file_states_are_never_taken_for_others(stated, declared, word, write_raster, deliver, frame):
    cell = {"cell": 1e-4, "corner": (113.3, 40.1)}
    write_raster("dem.tif", np.full((10, 10), 1_040.0, dtype=np.float32), crs=stated, **cell)
    with pytest.raises(
        SourceError, match=rf"^dem\.tif: the file states heights in .* but they are {word}; mend vertical"
    ):
        reader_of("dem").read(deliver("dem.tif", "dem", crs=stated, vertical=declared), frame)
    right = "ellipsoid" if stated == "EPSG:4979" else "EGM2008"
    extra = {"geoid_undulation": -14.6}
    read = reader_of("dem").read(deliver("dem.tif", "dem", crs=stated, vertical=right, extra=extra), frame)
    assert any(
        step.startswith("heights E" if right == "EGM2008" else "heights ellipsoidal") for step in read.lineage.steps
    )


def test_heights_stated_in_words_that_nobody_knows_are_recorded(write_raster, deliver):
    cell = {"cell": 1.0, "corner": (85_000.0, 447_500.0)}
    write_raster("dem.tif", np.full((10, 10), 2.0, dtype=np.float32), crs="EPSG:7415", **cell)
    read = reader_of("dem").read(deliver("dem.tif", "dem", crs="EPSG:7415"), Frame("EPSG:28992", "local", 43.0))
    assert "heights stated as NAP height by the file, taken as local" in read.lineage.steps
    same = reader_of("dem").read(deliver("dem.tif", "dem", crs="EPSG:7415"), Frame("EPSG:28992", "NAP", 43.0))
    assert not [step for step in same.lineage.steps if "heights" in step]
