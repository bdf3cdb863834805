import numpy as np
import pytest
import rasterio
import rasterio.errors
from affine import Affine

from ingest.dem import HeightReader, fill_holes, merge
from twin.datums import COINCIDENT
from twin.errors import SourceError

DEM = HeightReader("dem")


def test_heights_arrive_as_they_are_on_the_files_own_cells(write_raster, deliver, frame, ground):
    write_raster("dem.tif", ground, nodata=-9999)
    reading = DEM.read(deliver("dem.tif", "dem"), frame)
    np.testing.assert_array_equal(reading.noun.values, ground)
    assert reading.noun.geobox.affine == Affine(10, 0, 500_000, 0, -10, 4_430_100)
    assert reading.lineage.steps == ()
    assert reading.warnings == ()


def test_a_hole_is_filled_counted_and_told_while_the_outside_stays_empty(write_raster, deliver, frame, ground):
    values = ground.copy()
    values[4:6, 4:6] = -9999
    values[:, 9] = -9999
    write_raster("dem.tif", values, nodata=-9999)
    reading = DEM.read(deliver("dem.tif", "dem"), frame)
    np.testing.assert_allclose(reading.noun.values[4:6, 4:6], ground[4:6, 4:6], atol=0.8)
    assert np.isnan(reading.noun.values[:, 9]).all()
    assert reading.tally["filled"] == 4
    assert reading.tally["empty"] == 10
    assert reading.warnings == ("dem.tif: 4 cells without height inside the dem, filled",)
    assert "4 cells in holes filled" in reading.lineage.steps[0]


def test_filling_keeps_to_the_heights_around_the_hole():
    values = np.full((30, 30), 100.0, dtype=np.float32)
    values[:, 15:] = 110.0
    values[5:25, 10:20] = np.nan
    filled, count = fill_holes(values)
    assert count == 200
    assert filled.min() >= 100.0
    assert filled.max() <= 110.0


def test_undeclared_voids_are_not_believed(write_raster, deliver, frame, ground):
    values = ground.copy()
    values[3, 3] = -32768
    write_raster("dem.tif", values)
    reading = DEM.read(deliver("dem.tif", "dem"), frame)
    assert 1040 <= reading.noun.values[3, 3] <= 1050
    assert reading.warnings[0] == "dem.tif: 1 cells like -32768 m lie outside -500..9000 m; declare nodata, or the unit"


def test_a_declared_nodata_counts_beside_the_files_own(write_raster, deliver, frame, ground):
    values = ground.copy()
    values[3, 3], values[7, 7] = 0.0, -9999
    write_raster("dem.tif", values, nodata=-9999)
    reading = DEM.read(deliver("dem.tif", "dem", nodata=0.0), frame)
    assert reading.tally["filled"] == 2


def test_feet_and_ellipsoidal_heights_become_metres_of_the_frame(write_raster, deliver, frame, ground):
    write_raster("dem.tif", ground)
    feet = DEM.read(deliver("dem.tif", "dem", unit="ft"), frame)
    np.testing.assert_allclose(feet.noun.values, ground * 0.3048, rtol=1e-6)
    ellipsoid = DEM.read(deliver("dem.tif", "dem", vertical="ellipsoid"), frame)
    np.testing.assert_allclose(ellipsoid.noun.values, ground + 15.0)
    canopy = HeightReader("canopy", fills=False).read(deliver("dem.tif", "canopy", unit="cm"), frame)
    np.testing.assert_allclose(canopy.noun.values, ground / 100.0, rtol=1e-6)


def test_an_unknown_unit_is_refused(write_raster, deliver, frame, ground):
    write_raster("dem.tif", ground)
    with pytest.raises(SourceError, match="unit 'chi' is none of m, ft"):
        DEM.read(deliver("dem.tif", "dem", unit="chi"), frame)


def test_sheets_that_touch_become_one_raster_without_a_seam(write_raster, deliver, frame, ground):
    write_raster("n1.tif", ground[:, :6])
    write_raster("n2.tif", ground[:, 6:], corner=(500_060.0, 4_430_100.0))
    reading = DEM.read(deliver("n*.tif", "dem"), frame)
    np.testing.assert_array_equal(reading.noun.values, ground)
    assert reading.lineage.steps == ("2 sheets put together",)


def test_a_hole_in_one_sheet_is_filled_from_the_other_before_anything_is_invented(write_raster, deliver, frame, ground):
    holed = ground.copy()
    holed[5, 5] = -9999
    write_raster("a.tif", holed, nodata=-9999)
    write_raster("b.tif", ground)
    reading = DEM.read(deliver("[ab].tif", "dem"), frame)
    np.testing.assert_array_equal(reading.noun.values, ground)
    assert reading.tally["filled"] == 0


def test_another_crs_is_warped_bilinearly_into_the_frame(write_raster, deliver, frame, ground):
    lonlat = frame.to_lonlat([[500_000.0, 4_430_100.0], [500_100.0, 4_430_000.0]])
    (west, north), (east, south) = lonlat
    step = Affine((east - west) / 100, 0, west, 0, (south - north) / 100, north)
    write_raster("dem.tif", np.kron(ground, np.ones((10, 10), "f4")), crs="EPSG:4326", transform=step)
    reading = DEM.read(deliver("dem.tif", "dem", crs="EPSG:4326"), frame)
    sampled = reading.noun.sample([[500_025.0, 4_430_050.0], [500_085.0, 4_430_020.0]])
    np.testing.assert_allclose(sampled, [1042.0, 1048.0], atol=0.6)
    assert reading.lineage.steps == ("EPSG:4326 -> EPSG:4547, bilinear", COINCIDENT)


@pytest.mark.parametrize("profile", [{"dtype": "int16"}, {"dtype": "uint16"}, {"nodata": np.nan}, {}])
def test_what_a_turned_sheet_leaves_empty_is_no_height_of_0_m(profile, write_raster, deliver, frame):
    flat = np.full((40, 40), 1040.0, "f4")
    step = frame.to_lonlat([[500_000.0, 4_430_000.0]])[0]
    for name, east in (("a.tif", 0.0), ("b.tif", 0.004)):
        place = Affine(1e-4, 0, step[0] + 1.0 + east, 0, -1e-4, step[1])
        write_raster(name, flat.astype(profile.get("dtype", "f4")), crs="EPSG:4326", transform=place, **profile)
    for name in ("a.tif", "*.tif"):
        dem = DEM.read(deliver(name, "dem", crs="EPSG:4326"), frame).noun
        assert np.isnan(dem.values).any()
        np.testing.assert_allclose(dem.values[~np.isnan(dem.values)], 1040.0)


def test_a_coarse_and_a_fine_delivery_join_on_the_fine_grid(write_raster, deliver, frame, ground):
    write_raster("coarse.tif", ground)
    write_raster("fine.tif", np.full((4, 4), 2000.0, "f4"), corner=(500_020.0, 4_430_080.0), cell=5.0)
    parts = [DEM.read(deliver(name, "dem"), frame) for name in ("coarse.tif", "fine.tif")]
    both = merge(parts).noun
    assert both.geobox.resolution == (5.0, 5.0)
    assert both.geobox.bounds == parts[0].noun.geobox.bounds
    assert both.sample([[500_030.0, 4_430_070.0]])[0] == 2000.0
    assert both.sample([[500_085.0, 4_430_015.0]])[0] == pytest.approx(1048.0, abs=0.3)


def test_a_truncated_tiff_is_one_clear_line(write_raster, deliver, frame):
    path = write_raster("dem.tif", np.random.default_rng(1).random((400, 400)).astype("f4"))
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(SourceError) as caught:
        DEM.read(deliver("dem.tif", "dem"), frame)
    assert str(caught.value).startswith("dem.tif: the raster is damaged or cut short (")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "profile", "words"),
    [
        ({"crs": ""}, {"crs": None}, "no CRS in the file and none declared"),
        ({}, {"crs": "EPSG:4548"}, "declared EPSG:4547, but the file states EPSG:4548"),
        ({"crs": "GCJ-02"}, {"crs": "EPSG:4326"}, "a raster cannot be read in GCJ-02"),
    ],
)
def test_a_raster_of_no_or_another_crs_is_refused(declared, profile, words, write_raster, deliver, frame, ground):
    write_raster("dem.tif", ground, **profile)
    with pytest.raises(SourceError, match=words):
        DEM.read(deliver("dem.tif", "dem", **declared), frame)


def test_a_picture_without_place_is_refused(write_raster, deliver, frame, ground):
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write_raster("dem.tif", ground, transform=Affine.identity())
    with pytest.raises(SourceError, match="no georeference"):
        DEM.read(deliver("dem.tif", "dem"), frame)


def test_three_bands_or_no_height_at_all_are_refused(write_raster, deliver, frame, ground):
    write_raster("rgb.tif", np.stack([ground] * 3))
    with pytest.raises(SourceError, match=r"rgb.tif: 3 bands; a dem has one"):
        DEM.read(deliver("rgb.tif", "dem"), frame)
    write_raster("void.tif", np.full((4, 4), -9999.0, "f4"), nodata=-9999)
    with pytest.raises(SourceError, match="no cell has a height"):
        DEM.read(deliver("void.tif", "dem"), frame)


def test_one_band_of_many_is_chosen_by_number_or_by_its_name(write_raster, deliver, frame, ground):
    path = write_raster("bands.tif", np.stack([ground * 0, ground, ground * 2]))
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("slope", "elev", "area")
    for band in (2, "elev"):
        reading = DEM.read(deliver("bands.tif", "dem", extra={"band": band}), frame)
        np.testing.assert_array_equal(reading.noun.values, ground)
    with pytest.raises(SourceError, match=r"no band 'height' .extra.band.; the file has slope, elev, area"):
        DEM.read(deliver("bands.tif", "dem", extra={"band": "height"}), frame)
    with pytest.raises(SourceError, match="no band 4"):
        DEM.read(deliver("bands.tif", "dem", extra={"band": 4}), frame)


def test_sheets_of_other_cells_and_voids_overlap_and_the_finer_wins(write_raster, deliver, frame, ground):
    coarse = ground.copy()
    coarse[0, 0] = -32768
    write_raster("a.tif", coarse, nodata=-32768)
    fine = np.full((8, 8), 2000.0, "f4")
    fine[0, 0] = np.nan
    write_raster("b.tif", fine, corner=(500_020.0, 4_430_080.0), cell=5.0, nodata=np.nan)
    write_raster("c.tif", np.full((4, 4), 3000, "i2"), corner=(500_050.0, 4_430_070.0), cell=10.0, nodata=-1)
    reading = DEM.read(deliver("[abc].tif", "dem"), frame)
    dem = reading.noun
    assert dem.geobox.resolution == (5.0, 5.0)
    places = [[500_030.0, 4_430_070.0], [500_021.0, 4_430_079.0], [500_072.0, 4_430_042.0], [500_095.0, 4_430_095.0]]
    found = dem.sample(places, method="nearest")
    np.testing.assert_allclose(found, [2000.0, 1042.0, 1047.0, 1049.0], atol=1.0)
    assert np.isnan(dem.values[0, 0])
