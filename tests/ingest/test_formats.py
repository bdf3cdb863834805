"""Formats through their own libraries: spreadsheets, FlatGeobuf, GeoParquet, heights in colours, HGT, ASCII grids."""

from __future__ import annotations

import zipfile

import geopandas
import numpy as np
import openpyxl
import pyarrow
import pyarrow.parquet
import pyogrio.raw
import pytest
import rasterio
import shapely

from ingest.addresses import read_table
from ingest.sources import reader_of
from twin.errors import SourceError
from twin.frames import Frame

X0, Y0 = 500_000.0, 4_430_000.0


@pytest.fixture
def sheet(tmp_path):
    def write(name="t.xlsx", **sheets):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in sheets.items():
            page = book.create_sheet(title)
            for row in rows:
                page.append(row)
        book.save(tmp_path / name)
        return tmp_path / name

    return write


def boxes(n=3):
    return shapely.box(X0 + 20.0 * np.arange(n), Y0, X0 + 20.0 * np.arange(n) + 10, Y0 + 10)


def test_a_sheet_becomes_places_by_the_same_columns_as_csv(sheet, deliver, frame):
    head = ["编号", "经度", "纬度", "名称", "层数"]
    towers = ["k1", 113.3, 40.08, "鼓楼", 3], [None] * 5, ["k2", "113.31", "40.09", "钟楼", None]
    rows = [[None], head, *towers]
    sheet(资料=rows)
    columns = {"oid": "编号", "lon": "经度", "lat": "纬度", "name": "名称"}
    reading = reader_of("facilities").read(deliver("t.xlsx", "facilities", crs="EPSG:4490", columns=columns), frame)
    assert reading.noun.oid.tolist() == ["k1", "k2"]
    assert reading.noun.column("name").tolist() == ["鼓楼", "钟楼"]
    assert reading.noun.column("attributes").tolist() == ['{"层数":"3"}', ""]
    lonlat = frame.to_lonlat(shapely.get_coordinates(reading.noun.geometry))
    np.testing.assert_allclose(lonlat, [[113.3, 40.08], [113.31, 40.09]], atol=1e-7)


def test_values_of_a_sheet_are_text_and_a_name_that_repeats_is_told(sheet, deliver):
    import datetime

    rows = [["a", "a", "b", "c", "d"], [1.0, 0.1, True, datetime.date(2026, 6, 21), 2**53 + 0.0]]
    sheet(s=rows)
    table = read_table(deliver("t.xlsx").files()[0], deliver("t.xlsx"))
    assert {name: values[0] for name, values in table.fields.items()} == {
        "a": "1", "a (2)": "0.1", "b": "true", "c": "2026-06-21T00:00:00", "d": "9007199254740992"
    }  # fmt: skip
    assert table.notes == ("t.xlsx: two columns named 'a'; the first keeps the name, column 2 is 'a (2)'",)


def test_a_book_of_several_sheets_wants_one_named(sheet, deliver):
    path = sheet(one=[["x"]], two=[["x"]])
    with pytest.raises(SourceError, match=r't\.xlsx: 2 sheets \(one, two\); add layer = "\.\.\."'):
        read_table(path, deliver("t.xlsx"))
    with pytest.raises(SourceError, match="no sheet 'three'; the file has one, two"):
        read_table(path, deliver("t.xlsx", layer="three"))
    assert list(read_table(path, deliver("t.xlsx", layer="two")).fields) == ["x"]


def test_a_spreadsheet_that_is_none_is_damaged_or_a_bomb_is_one_clear_line(sheet, deliver, tmp_path, monkeypatch):
    path = sheet(one=[["x", "y"], [1, 2]])
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(SourceError, match=r"^t\.xlsx: no XLSX that can be read"):
            read_table(path, deliver("t.xlsx"))
    path.write_bytes(whole)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/evil.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a/>')
    with pytest.raises(SourceError, match=r"xl/evil\.xml declares a document type"):
        read_table(path, deliver("t.xlsx"))
    monkeypatch.setattr("ingest.formats.spreadsheet.UNPACKED_LIMIT", 2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 2**21)
    with pytest.raises(SourceError, match="unpacks to 2 MiB, more than 1"):
        read_table(path, deliver("t.xlsx"))


def test_flatgeobuf_is_read_with_its_crs_and_refused_when_cut(tmp_path, deliver, frame):
    path = tmp_path / "b.fgb"
    pyogrio.raw.write(
        path, shapely.to_wkb(boxes(300)), [np.arange(300.0)], np.array(["height"], object), driver="FlatGeobuf",
        geometry_type="Polygon", crs="EPSG:4547",
    )  # fmt: skip
    layer = reader_of("footprints").read(deliver("b.fgb", crs=""), frame).noun
    assert len(layer) == 300
    assert np.nanmax(layer.column("height")) == 299.0
    np.testing.assert_allclose(layer.bounds, shapely.total_bounds(boxes(300)))
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(SourceError, match=r"^b\.fgb: "):
            reader_of("footprints").read(deliver("b.fgb", crs=""), frame)


@pytest.mark.parametrize("crs", ["EPSG:4547", "OGC:CRS84"])
def test_geoparquet_is_read_with_its_crs_and_refused_when_cut(crs, tmp_path, deliver, frame):
    path = tmp_path / "b.parquet"
    columns = {"oid": ["k1", "k2", "k3"], "height": [5, None, 7.5], "names": [{"primary": "楼"}, None, None]}
    table = geopandas.GeoDataFrame(columns, geometry=boxes(), crs="EPSG:4547")
    table.to_crs(crs).to_parquet(path)
    layer = reader_of("footprints").read(deliver("b.parquet", crs=""), frame).noun
    assert layer.oid.tolist() == ["k1", "k2", "k3"]
    np.testing.assert_array_equal(layer.column("height"), [5.0, np.nan, 7.5])
    assert "楼" in layer.column("attributes")[0]
    np.testing.assert_allclose(layer.bounds, shapely.total_bounds(boxes()), atol=1e-3)
    whole = path.read_bytes()
    for share in (0.0, 0.5, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(SourceError, match=r"^b\.parquet: no GeoParquet"):
            reader_of("footprints").read(deliver("b.parquet", crs=""), frame)


def test_geoparquet_without_a_crs_wants_one_declared_and_plain_parquet_is_none(tmp_path, deliver, frame):
    geopandas.GeoDataFrame({"oid": ["a"]}, geometry=boxes(1), crs=None).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(SourceError, match=r"b\.parquet: no CRS in the file and none declared"):
        reader_of("footprints").read(deliver("b.parquet", crs=""), frame)
    assert len(reader_of("footprints").read(deliver("b.parquet"), frame).noun) == 1
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "c.parquet")
    with pytest.raises(SourceError, match=r"c\.parquet: no GeoParquet"):
        reader_of("footprints").read(deliver("c.parquet"), frame)


def picture(path, heights, coding="terrain-rgb", alpha=None):
    step, low = (0.1, 10_000.0) if coding == "terrain-rgb" else (1 / 256, 32_768.0)
    code = np.round((heights + low) / step).astype(np.int64)
    bands = [code >> 16, (code >> 8) & 255, code & 255]
    bands += [] if alpha is None else [alpha]
    values = np.array(bands).astype(np.uint8)
    _, ny, nx = values.shape
    profile = {"driver": "PNG", "count": len(values), "height": ny, "width": nx, "dtype": "uint8"}
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path, "w", **profile) as file:
        file.write(values)


@pytest.mark.parametrize("coding", ["terrain-rgb", "terrarium"])
def test_heights_in_colours_stand_in_the_declared_bounds(coding, tmp_path, deliver, frame, ground):
    alpha = np.full(ground.shape, 255)
    alpha[0, 0] = 0
    picture(tmp_path / "t.png", ground, coding, alpha)
    bounds = [X0, Y0, X0 + 100, Y0 + 100]
    dem = reader_of("dem").read(deliver("t.png", "dem", extra={"coding": coding, "bounds": bounds}), frame).noun
    assert dem.geobox.bounds == tuple(bounds)
    assert np.isnan(dem.values[0, 0])
    np.testing.assert_allclose(dem.values[1:], ground[1:], atol=0.05)


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ({"coding": "zebra"}, "extra.coding 'zebra' is none of terrain-rgb, terrarium"),
        ({"coding": "terrain-rgb"}, "extra.bounds wants"),
        ({"coding": "terrain-rgb", "bounds": [1, 2, 0, 3]}, "extra.bounds wants"),
        ({"coding": "terrain-rgb", "bounds": [0, 0, 1, 1]}, "1 bands of float32; terrain-rgb has 3 or 4 of uint8"),
    ],
)
def test_a_coding_that_cannot_be_is_refused(extra, word, write_raster, deliver, frame, ground):
    write_raster("t.tif", ground)
    with pytest.raises(SourceError, match=word):
        reader_of("dem").read(deliver("t.tif", "dem", extra=extra), frame)


def test_an_hgt_tile_is_placed_by_its_name(tmp_path, deliver):
    values = np.tile(np.linspace(1000, 1600, 1201).astype(">i2"), (1201, 1))
    values[600, 600] = -32768
    (tmp_path / "N40E113.hgt").write_bytes(values.tobytes())
    frame = Frame("EPSG:32649", "EGM96")
    reading = reader_of("dem").read(deliver("N40E113.hgt", "dem", crs="EPSG:4326"), frame)
    x, y = frame.from_lonlat(np.array([[113.25, 40.5]]))[0]
    assert reading.noun.sample([[x, y]])[0] == pytest.approx(1150.0, abs=1.0)
    assert not np.isnan(reading.noun.sample([frame.from_lonlat(np.array([[113.5, 40.5]]))[0]])[0])


def test_an_ascii_grid_is_read_as_it_stands(tmp_path, deliver, frame):
    text = f"ncols 3\nnrows 2\nxllcorner {X0}\nyllcorner {Y0}\ncellsize 10\nNODATA_value -9999\n1 2 3\n4 5 -9999\n"
    (tmp_path / "d.asc").write_text(text)
    dem = reader_of("dem").read(deliver("d.asc", "dem"), frame).noun
    np.testing.assert_array_equal(dem.values, [[1, 2, 3], [4, 5, np.nan]])
    assert dem.geobox.bounds == (X0, Y0, X0 + 30, Y0 + 20)
