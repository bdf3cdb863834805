from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from ingest.layers import FeatureReader
from ingest.vector import read_vector
from twin.datums import COINCIDENT
from twin.errors import SourceError

BOXES = shapely.box([500_000, 500_100], 4_430_000, [500_010, 500_120], 4_430_010)
READER = FeatureReader("footprints", "building")


@pytest.mark.parametrize("name", ["b.gpkg", "b.shp", "b.geojson", "b.sqlite"])
def test_every_format_gives_the_same_layer(name, write_vector, deliver, frame):
    write_vector(name, BOXES, BH=["B1", "B2"], NAME=["鼓楼", ""], H=[18.5, np.nan], encoding="utf-8")
    columns = {"source_id": "BH", "name": "NAME", "height": "H"}
    layer = READER.read(deliver(name, columns=columns), frame).noun
    assert layer.oid.tolist() == ["B1", "B2"]
    assert layer.column("name").tolist() == ["鼓楼", ""]
    np.testing.assert_array_equal(layer.column("height"), [18.5, np.nan])
    np.testing.assert_allclose(shapely.bounds(layer.geometry), shapely.bounds(BOXES), atol=1e-6)
    assert set(layer.column("source").tolist()) == {"delivery"}


def test_a_long_file_is_read_in_batches_that_tell_how_far_it_is(write_vector, deliver, monkeypatch):
    shapes = [*BOXES, None, *shapely.box(500_000, [4_430_000.0, 4_430_020.0], 500_009, 4_430_030)]
    fields = {"NAME": ["鼓楼", "", "x", "y", "z"], "H": [1.0, np.nan, 2.0, 3.0, np.nan], "N": [1, 2, 3, 4, 5]}
    path, told = write_vector("b.gpkg", shapes, **fields), []
    whole = read_vector(path, deliver("b.gpkg"))
    monkeypatch.setattr("ingest.formats.columns.BATCH", 2)
    parts = read_vector(path, replace(deliver("b.gpkg"), tell=lambda done, total: told.append((done, total))))
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert parts.geometry.tolist() == whole.geometry.tolist() == shapes
    assert parts.fields["NAME"].tolist() == whole.fields["NAME"].tolist() == fields["NAME"]
    np.testing.assert_array_equal(parts.fields["H"], fields["H"])
    assert parts.fields["N"].dtype.kind == whole.fields["N"].dtype.kind == "i"


def test_a_gbk_shapefile_reads_by_its_cpg_and_by_declaration(write_vector, deliver):
    path = write_vector("旧城.shp", BOXES, 名称=["鼓楼", "四牌楼"], encoding="gbk")
    assert read_vector(path, deliver("旧城.shp")).fields["名称"].tolist() == ["鼓楼", "四牌楼"]
    path.with_suffix(".cpg").unlink()
    assert read_vector(path, deliver("旧城.shp", encoding="gbk")).fields["名称"].tolist() == ["鼓楼", "四牌楼"]


@pytest.mark.parametrize("declared", ["utf-8", ""])
def test_a_wrong_or_missing_encoding_gives_one_line_with_the_remedy(declared, write_vector, deliver):
    path = write_vector("b.shp", BOXES, NAME=["鼓楼", "四牌楼"], encoding="gbk")
    path.with_suffix(".cpg").unlink()
    with pytest.raises(SourceError) as caught:
        read_vector(path, deliver("b.shp", encoding=declared))
    line = str(caught.value)
    assert line.startswith("b.shp: column NAME, row 1: ")
    assert 'encoding = "gbk"' in line
    assert "\n" not in line


def test_a_cpg_that_lies_is_found_out(write_vector, deliver):
    path = write_vector("b.shp", BOXES, NAME=["鼓楼", ""], encoding="gbk")
    path.with_suffix(".cpg").write_text("UTF-8")
    with pytest.raises(SourceError, match=r'text is not UTF-8; set encoding = "gbk"'):
        read_vector(path, deliver("b.shp"))


def test_text_cut_in_the_middle_of_a_character_loses_only_that_character(write_vector, deliver):
    with pytest.warns(RuntimeWarning, match="truncated"):
        path = write_vector("b.shp", BOXES, NAME=["a" + "楼" * 100, "b"], encoding="utf-8")
    table = path.with_suffix(".dbf")
    raw = table.read_bytes()
    text = ("a" + "楼" * 100).encode()[:254]
    start = raw.index(b"a\xe6")
    table.write_bytes(raw[:start] + text + raw[start + 254 :])
    assert read_vector(path, deliver("b.shp")).fields["NAME"][0] == "a" + "楼" * 84


def test_a_geojson_in_gbk_reads_when_declared(write_vector, deliver):
    path = write_vector("b.geojson", BOXES, NAME=["鼓楼", "兑"], encoding="utf-8")
    path.write_bytes(path.read_text("utf-8").encode("gbk"))
    assert read_vector(path, deliver("b.geojson", encoding="gbk")).fields["NAME"].tolist() == ["鼓楼", "兑"]
    with pytest.raises(SourceError, match=r"b.geojson: .*encoding"):
        read_vector(path, deliver("b.geojson"))


def test_a_geojson_without_crs_member_is_in_what_was_declared_and_never_in_degrees_by_default(
    write_vector, deliver, frame
):
    path = write_vector("b.geojson", BOXES, crs="EPSG:4547", BH=["B1", "B2"])
    plain = "\n".join(line for line in path.read_text().splitlines() if '"crs"' not in line)
    path.write_text(plain)
    layer = READER.read(deliver("b.geojson"), frame).noun
    np.testing.assert_allclose(shapely.bounds(layer.geometry), shapely.bounds(BOXES), atol=1e-6)
    with pytest.raises(SourceError, match="no CRS in the file and none declared"):
        READER.read(deliver("b.geojson", crs=""), frame)


def test_another_crs_is_moved_into_the_frame(write_vector, deliver, frame):
    lonlat = shapely.transform(BOXES, frame.to_lonlat)
    write_vector("b.gpkg", lonlat, crs="EPSG:4326")
    reading = READER.read(deliver("b.gpkg", crs=""), frame)
    np.testing.assert_allclose(shapely.bounds(reading.noun.geometry), shapely.bounds(BOXES), atol=0.001)
    assert reading.lineage.steps == ("EPSG:4326 -> EPSG:4547", COINCIDENT)


def test_heights_in_the_third_coordinate_do_not_confuse_the_plan(write_vector, deliver, frame):
    write_vector("b.gpkg", shapely.force_3d(BOXES, 1040.0))
    layer = READER.read(deliver("b.gpkg"), frame).noun
    assert not shapely.has_z(layer.geometry).any()


def test_a_file_of_several_layers_wants_one_named(write_vector, deliver, tmp_path, frame):
    import pyogrio.raw

    path = write_vector("b.gpkg", BOXES)
    pyogrio.raw.write(
        path, shapely.to_wkb(BOXES), [], np.array([]), layer="other", driver="GPKG", append=True,
        geometry_type="Polygon", crs="EPSG:4547",
    )  # fmt: skip
    with pytest.raises(SourceError, match=r'2 layers \(b, other\); add layer = "..."'):
        READER.read(deliver("b.gpkg"), frame)
    assert len(READER.read(deliver("b.gpkg", layer="other"), frame).noun) == 2
    with pytest.raises(SourceError, match=r"no layer 'othr'.*did you mean 'other'"):
        READER.read(deliver("b.gpkg", layer="othr"), frame)


def test_a_missing_or_broken_file_is_one_line(deliver, frame, tmp_path: Path):
    with pytest.raises(SourceError, match=r"nowhere.gpkg: no such file; mend path"):
        READER.read(deliver("nowhere.gpkg"), frame)
    (tmp_path / "junk.gpkg").write_bytes(b"not a database")
    with pytest.raises(SourceError, match=r"^junk.gpkg: "):
        READER.read(deliver("junk.gpkg"), frame)


def test_a_shapefile_cut_short_is_refused(write_vector, deliver, frame):
    path = write_vector(
        "b.shp", shapely.box(np.arange(200) + 500_000.0, 4_430_000, np.arange(200) + 500_000.5, 4_430_001)
    )
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SourceError, match=r"^b.shp: "):
        READER.read(deliver("b.shp"), frame)


def test_an_empty_layer_is_a_warning_and_an_empty_layer(write_vector, deliver, frame):
    write_vector("b.gpkg", [], NAME=[])
    reading = READER.read(deliver("b.gpkg"), frame)
    assert len(reading.noun) == 0
    assert reading.warnings == ("b.gpkg: the layer is empty",)


def test_sheets_of_one_source_are_put_together_and_ids_that_meet_are_told_apart(write_vector, deliver, frame):
    write_vector("east.gpkg", BOXES[:1], BH=["B1"])
    write_vector("west.gpkg", BOXES[1:], BH=["B1"])
    reading = READER.read(deliver("*st.gpkg", columns={"source_id": "BH"}), frame)
    assert reading.noun.oid.tolist() == ["B1", "B1~2"]
    assert [o.oid for o in reading.outcomes] == ["B1~2"]
    assert reading.tally["features"] == 2


@pytest.mark.parametrize(
    ("page", "codec"),
    [("GBK", "gbk"), ("936", "gbk"), ("ANSI 936", "gbk"), ("GB18030", "gb18030"), ("Big5", "big5"), ("UTF-8", "utf-8"),
     ("65001", "utf-8"), ("OEM 950", "big5"), ("CP936", "gbk")],
)  # fmt: skip
def test_a_code_page_file_is_understood_in_every_spelling(page, codec, write_vector, deliver):
    path = write_vector("b.shp", BOXES, NAME=["鼓楼", "四牌"] if codec != "big5" else ["鼓樓", "四牌"], encoding=codec)
    path.with_suffix(".cpg").write_text(page)
    assert read_vector(path, deliver("b.shp")).fields["NAME"].tolist()[1] == "四牌"


@pytest.mark.parametrize(("driver", "codec"), [(0x4D, "gbk"), (0x4F, "big5"), (0x7A, "gbk"), (0x78, "big5")])
def test_without_a_code_page_file_the_language_byte_of_the_table_speaks(driver, codec, write_vector, deliver):
    path = write_vector("b.shp", BOXES, NAME=["四牌", "a"], encoding=codec)
    path.with_suffix(".cpg").unlink()
    table = bytearray(path.with_suffix(".dbf").read_bytes())
    table[29] = driver
    path.with_suffix(".dbf").write_bytes(table)
    assert read_vector(path, deliver("b.shp")).fields["NAME"].tolist() == ["四牌", "a"]


def test_a_shapefile_in_capitals_is_the_same_shapefile(write_vector, deliver):
    path = write_vector("b.shp", BOXES, NAME=["鼓楼", "四牌"], encoding="gbk")
    for file in list(path.parent.glob("b.*")):
        file.rename(file.with_name(file.name.upper()))
    raw = read_vector(path.with_name("B.SHP"), deliver("B.SHP"))
    assert raw.fields["NAME"].tolist() == ["鼓楼", "四牌"]
    assert len(raw.geometry) == 2


def test_a_shapefile_without_its_index_or_prj_is_told_or_read_as_declared(write_vector, deliver, frame):
    path = write_vector("b.shp", BOXES, NAME=["a", "b"])
    path.with_suffix(".prj").unlink()
    assert len(READER.read(deliver("b.shp"), frame).noun) == 2
    with pytest.raises(SourceError, match="no CRS in the file and none declared"):
        READER.read(deliver("b.shp", crs=""), frame)
    path.with_suffix(".shx").unlink()
    with pytest.raises(SourceError, match=r"^b.shp: its .shx is missing; a Shapefile is .shp, .shx and .dbf together"):
        READER.read(deliver("b.shp"), frame)
    assert not path.with_suffix(".shx").exists()


def test_null_shapes_and_cut_field_names_are_named(write_vector, deliver, frame):
    write_vector("b.shp", [BOXES[0], None], BUILDINGHE=[5.0, 6.0], encoding="utf-8")
    reading = READER.read(deliver("b.shp", columns={"height": "BUILDINGHE"}), frame)
    assert reading.noun.column("height").tolist() == [5.0]
    assert [o.status for o in reading.outcomes] == ["skipped"]
    with pytest.raises(SourceError, match=r"no column 'BUILDINGHEIGHT' .declared for height.; the file has BUILDINGHE"):
        READER.read(deliver("b.shp", columns={"height": "BUILDINGHEIGHT"}), frame)


def test_a_sequence_of_geojson_features_wants_its_crs_declared(tmp_path, deliver, frame):
    lines = [
        f'{{"type":"Feature","properties":{{"oid":"b{k}"}},"geometry":{shapely.to_geojson(box)}}}'
        for k, box in enumerate(BOXES)
    ]
    (tmp_path / "b.geojsonl").write_text("\n".join(lines) + "\n")
    assert READER.read(deliver("b.geojsonl"), frame).noun.oid.tolist() == ["b0", "b1"]
    with pytest.raises(SourceError, match="no CRS in the file and none declared"):
        READER.read(deliver("b.geojsonl", crs=""), frame)
