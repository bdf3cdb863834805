import numpy as np
import pytest
import rasterio

from ingest.imagery import ImageryReader
from twin.datums import COINCIDENT
from twin.errors import SourceError

READER = ImageryReader()


def whole(stream):
    """The picture put together from its blocks."""
    image = np.zeros((3, *stream.geobox.shape), dtype=np.uint8)
    for values, row, col in stream.blocks():
        image[:, row : row + values.shape[1], col : col + values.shape[2]] = values
    return image


@pytest.fixture
def picture():
    return np.random.default_rng(7).integers(1, 255, (3, 700, 900)).astype(np.uint8)


def test_a_picture_streams_through_unchanged_and_in_blocks(write_raster, deliver, frame, picture):
    write_raster("o.tif", picture, cell=0.5, tiled=True, photometric="RGB")
    stream = READER.read(deliver("o.tif", "imagery"), frame).noun
    assert max(values.shape[1] for values, _, _ in stream.blocks()) == 512
    np.testing.assert_array_equal(whole(stream), picture)
    assert stream.tally["empty"] == 0


def test_a_true_black_is_kept_apart_from_no_picture(write_raster, deliver, frame, picture):
    picture[:, 10, 10] = 0
    alpha = np.full((1, 700, 900), 255, np.uint8)
    alpha[0, 600:, :] = 0
    write_raster("o.tif", np.concatenate([picture, alpha]), photometric="RGB", alpha="YES")
    image = whole(READER.read(deliver("o.tif", "imagery"), frame).noun)
    assert image[:, 10, 10].tolist() == [1, 1, 1]
    assert (image[:, 600:] == 0).all()
    np.testing.assert_array_equal(image[:, :600, 20:], picture[:, :600, 20:])


def test_sheets_register_and_the_gap_between_them_is_black(write_raster, deliver, frame, picture):
    write_raster("a.tif", picture[:, :, :300], cell=1.0, corner=(500_000.0, 4_430_700.0))
    write_raster("b.tif", picture[:, :, 400:], cell=1.0, corner=(500_400.0, 4_430_700.0))
    stream = READER.read(deliver("[ab].tif", "imagery"), frame).noun
    image = whole(stream)
    np.testing.assert_array_equal(image[:, :, :300], picture[:, :, :300])
    np.testing.assert_array_equal(image[:, :, 400:], picture[:, :, 400:])
    assert (image[:, :, 300:400] == 0).all()
    assert stream.tally["empty"] == 700 * 100


def test_sixteen_bits_are_stretched_and_one_band_is_grey(write_raster, deliver, frame):
    ramp = np.tile(np.linspace(0, 6000, 200).astype(np.uint16), (100, 1))
    write_raster("o.tif", ramp)
    reading = READER.read(deliver("o.tif", "imagery"), frame)
    image = whole(reading.noun)
    assert (image[0] == image[2]).all()
    assert image.min() == 1
    assert image.max() == 255
    assert (np.diff(image[0, 0].astype(int)) >= 0).all()
    assert "2nd and 98th percentile" in reading.lineage.steps[0]


def test_a_picture_in_another_crs_lands_where_it_belongs(write_raster, deliver, frame):
    flag = np.zeros((3, 100, 100), np.uint8)
    flag[0], flag[1, :50], flag[2, :, 50:] = 200, 150, 100
    centre = frame.to_lonlat([[500_000.0, 4_430_000.0]])[0]
    from affine import Affine

    step = 1e-5
    place = Affine(step, 0, centre[0] - 50 * step, 0, -step, centre[1] + 50 * step)
    write_raster("o.tif", flag, crs="EPSG:4326", transform=place, photometric="RGB")
    reading = READER.read(deliver("o.tif", "imagery", crs="EPSG:4326"), frame)
    stream, image = reading.noun, whole(reading.noun)
    rows, cols = stream.geobox.rowcol([[500_020.0, 4_430_020.0], [499_980.0, 4_429_980.0]])
    north_east, south_west = (image[:, int(r), int(c)].tolist() for r, c in zip(rows, cols, strict=True))
    assert north_east == [200, 150, 100]
    assert south_west == [200, 1, 1]
    assert reading.lineage.steps == ("EPSG:4326 -> EPSG:4547, bilinear", COINCIDENT)


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_a_sheet_between_the_cells_of_others_hides_none_of_them(bands, write_raster, deliver, frame):
    grey = np.full((bands, 40, 40), 90, np.uint8)
    write_raster("a.tif", grey, corner=(500_000.3, 4_430_100.0), cell=1.0)
    write_raster("b.tif", grey, corner=(500_060.0, 4_430_100.0), cell=0.5)
    image = whole(READER.read(deliver("[ab].tif", "imagery"), frame).noun)
    assert set(np.unique(image[:, :-2])) == {0, 90}
    assert (image[0, :-2] == 90).sum() > 0.9 * (4 * 1600 + 1600)


def test_a_truncated_picture_names_file_and_rows(write_raster, deliver, frame, picture):
    path = write_raster("o.tif", picture, blockysize=16)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    stream = READER.read(deliver("o.tif", "imagery"), frame).noun
    with pytest.raises(SourceError, match=r"^o.tif, rows \d+\.\.\d+: the raster is damaged or cut short"):
        whole(stream)


def test_two_bands_are_no_picture(write_raster, deliver, frame):
    write_raster("o.tif", np.ones((2, 10, 10), np.uint8))
    with rasterio.open(deliver("o.tif").root / "o.tif") as file:
        assert file.count == 2
    with pytest.raises(SourceError, match="an image has 1, 3 or 4"):
        READER.read(deliver("o.tif", "imagery"), frame)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own, for turned rasters
def test_a_turned_jpeg_is_the_same_picture_as_the_same_lines_in_tiles(write_raster, deliver, frame, tmp_path):
    from affine import Affine

    y, x = np.mgrid[0:600, 0:800]
    smooth = np.stack([x / 4, y / 3, (x + y) / 7]).astype(np.uint8) + 5
    place = Affine.translation(500_000.0, 4_430_700.0) @ Affine.rotation(7.0) @ Affine.scale(0.5, -0.5)
    coded = write_raster("o.jpg", smooth, crs="EPSG:4547", transform=place, driver="JPEG", QUALITY=95)
    with rasterio.open(coded) as lines:
        assert lines.block_shapes[0][0] == 1
        decoded = lines.read()
    write_raster("o.tif", decoded, crs="EPSG:4547", transform=place, tiled=True, photometric="RGB")
    one, other = (
        whole(READER.read(deliver(name, "imagery", crs="EPSG:4547"), frame).noun) for name in ("o.jpg", "o.tif")
    )
    np.testing.assert_array_equal(one, other)
    assert (one.max(axis=0) > 0).mean() > 0.5
