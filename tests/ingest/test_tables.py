import numpy as np
import pytest
import shapely

from ingest.addresses import read_table
from ingest.formats.words import numbers
from ingest.layers import FeatureReader
from twin.datums import COINCIDENT
from twin.errors import SourceError
from twin.frames import bd09_from_gcj02, gcj02_from_wgs84

READER = FeatureReader("addresses", "address")
COLUMNS = {"text": "地址", "lon": "经度", "lat": "纬度"}
PLACE = np.array([[113.30, 40.09], [113.31, 40.10]])


def write(path, lonlat, encoding="utf-8"):
    rows = [f"大同市平城区鼓楼东街{k + 1}号,{lon!r},{lat!r}" for k, (lon, lat) in enumerate(lonlat.tolist())]
    path.write_text("地址,经度,纬度\n" + "\n".join(rows) + "\n", encoding=encoding)


@pytest.mark.parametrize(
    ("crs", "shifted"),
    [
        ("EPSG:4326", PLACE),
        ("EPSG:4490", PLACE),
        ("GCJ-02", gcj02_from_wgs84(PLACE)),
        ("BD-09", bd09_from_gcj02(gcj02_from_wgs84(PLACE))),
    ],
)
def test_the_same_address_table_in_every_datum_lands_on_the_same_place(crs, shifted, tmp_path, deliver, frame):
    write(tmp_path / "a.csv", shifted)
    reading = READER.read(deliver("a.csv", "addresses", crs=crs, columns=COLUMNS), frame)
    np.testing.assert_allclose(shapely.get_coordinates(reading.noun.geometry), frame.from_lonlat(PLACE), atol=0.005)
    assert reading.noun.column("text")[0] == "大同市平城区鼓楼东街1号"
    assert reading.lineage.steps[0] == f"{crs} -> EPSG:4547"
    assert (COINCIDENT in reading.lineage.steps) == (crs != "EPSG:4490")


def test_projected_columns_and_wkt_work_too(tmp_path, deliver, frame):
    (tmp_path / "xy.csv").write_text("text;E;N\na;500000;4430000\n")
    (tmp_path / "wkt.csv").write_text('text,shape\na,"POINT (500000 4430000)"\n')
    xy = READER.read(deliver("xy.csv", columns={"x": "E", "y": "N"}), frame).noun
    wkt = READER.read(deliver("wkt.csv", columns={"wkt": "shape"}), frame).noun
    assert shapely.get_coordinates(xy.geometry).tolist() == [[500_000.0, 4_430_000.0]]
    assert shapely.equals(xy.geometry, wkt.geometry).all()


def test_a_gbk_table_reads_when_declared_and_says_so_when_not(tmp_path, deliver, frame):
    write(tmp_path / "a.csv", PLACE, "gbk")
    declared = {"crs": "EPSG:4326", "columns": COLUMNS}
    assert len(READER.read(deliver("a.csv", encoding="gbk", **declared), frame).noun) == 2
    with pytest.raises(SourceError, match=r'a.csv: text is not utf-8; set encoding = "gbk"'):
        READER.read(deliver("a.csv", **declared), frame)
    with pytest.raises(SourceError, match=r"encoding 'klingon' is unknown"):
        READER.read(deliver("a.csv", encoding="klingon", **declared), frame)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path, deliver, frame):
    write(tmp_path / "a.csv", PLACE, "utf-8-sig")
    assert READER.read(deliver("a.csv", crs="EPSG:4326", columns=COLUMNS), frame).noun.column("text")[1].endswith("2号")


def test_a_row_without_coordinates_is_an_outcome_and_the_rest_stays(tmp_path, deliver, frame):
    (tmp_path / "a.csv").write_text("oid,text,lon,lat\nA1,x,113.3,40.1\nA2,y,,40.1\nA3,z,east,40.1\n")
    reading = READER.read(deliver("a.csv", crs="EPSG:4326"), frame)
    assert reading.noun.oid.tolist() == ["A1"]
    assert [(o.oid, o.status) for o in reading.outcomes] == [("A2", "skipped"), ("A3", "skipped")]


def test_a_table_without_coordinate_columns_names_what_it_has(tmp_path, deliver, frame):
    (tmp_path / "a.csv").write_text("地址,X坐标\na,1\n")
    with pytest.raises(SourceError, match=r"a.csv: no coordinates; map them in columns .* the file has 地址, X坐标"):
        READER.read(deliver("a.csv"), frame)


@pytest.mark.parametrize(("text", "words"), [("", "is empty"), ("a,b\n1,2\n1,2,3\n", "Expected 2 fields")])
def test_a_table_that_is_none_is_one_line(text, words, tmp_path, deliver, frame):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SourceError, match=f"^a.csv: .*{words}"):
        READER.read(deliver("a.csv"), frame)


def test_facilities_keep_kind_and_capacity(tmp_path, deliver, frame):
    (tmp_path / "f.csv").write_text("类别,name,lon,lat,床位\n医院,三医院,113.3,40.1,1200张\n", encoding="utf-8")
    declared = {"columns": {"kind": "类别", "capacity": "床位"}, "values": {"kind": {"医院": "hospital"}}}
    reading = FeatureReader("facilities", "facility").read(deliver("f.csv", crs="EPSG:4326", **declared), frame)
    assert reading.noun.column("kind").tolist() == ["hospital"]
    assert np.isnan(reading.noun.column("capacity")[0])
    assert "1200张" in reading.warnings[0]


def test_of_two_columns_with_one_name_the_first_counts_and_empty_rows_are_no_rows(tmp_path, deliver, frame):
    rows = ["text,lon,lat,lat", "a,113.3,40.1,40.099", *[",,,"] * 500, "b,113.4,40.2,40.199"]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    reading = READER.read(deliver("a.csv", "addresses", crs="EPSG:4326"), frame)
    assert reading.tally["features"] == 2
    assert reading.outcomes == ()
    assert any("two columns named 'lat'; the first keeps the name" in line for line in reading.warnings)
    lonlat = frame.to_lonlat(shapely.get_coordinates(reading.noun.geometry))
    np.testing.assert_allclose(lonlat, [[113.3, 40.1], [113.4, 40.2]], atol=1e-7)


def test_a_column_of_decimal_commas_is_numbers_and_thousands_stay_thousands(tmp_path, deliver, frame):
    (tmp_path / "a.csv").write_text("text;x;y\na;500000,5;4430000,125\nb;500001;4430001,25\n")
    layer = READER.read(deliver("a.csv", "addresses"), frame).noun
    np.testing.assert_array_equal(
        shapely.get_coordinates(layer.geometry), [[500_000.5, 4_430_000.125], [500_001.0, 4_430_001.25]]
    )
    values, lines = numbers(np.array(["1,234", "2,345,678", "7"], dtype=object), "c", "f")
    assert (values.tolist(), lines) == ([1234.0, 2_345_678.0, 7.0], [])
    mixed, lines = numbers(np.array(["1,5", "2.5"], dtype=object), "c", "f")
    assert np.isnan(mixed[0])
    assert len(lines) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "big5"])
def test_tables_in_each_encoding_of_the_region_read_as_declared(encoding, tmp_path, deliver):
    (tmp_path / "a.csv").write_text("地址,經度\n鼓樓,113.3\n", encoding=encoding)
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    table = read_table(tmp_path / "a.csv", deliver("a.csv", "addresses", encoding=declared))
    assert list(table.fields) == ["地址", "經度"]
    assert table.fields["地址"].tolist() == ["鼓樓"]
