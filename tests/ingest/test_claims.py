"""Promises that no file can keep are refused before a library takes their word."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from ingest.formats.archive import unpacked
from ingest.formats.claims import refuse_deep, refuse_services, require_las, require_rows
from ingest.sources import reader_of
from twin.errors import SourceError


def nested(depth: int, members: int = 1) -> bytes:
    """WKB collections within collections, each behind a point where it has two members."""
    point = struct.pack("<BIdd", 1, 1, 0.0, 0.0)
    level = struct.pack("<BII", 1, 7, members) + point * (members - 1)
    return level * depth + point


@pytest.mark.parametrize("members", [1, 2])
def test_collections_too_deep_for_the_stack_are_refused(members):
    refuse_deep([None, nested(20, members), b"", nested(2_000, members)[:60_000]], "b.parquet")
    with pytest.raises(SourceError, match=r"b\.parquet: row 2: geometry collections nested too deep"):
        refuse_deep([None, nested(20_000, members)], "b.parquet")


def test_a_large_flat_geometry_is_not_taken_for_a_deep_one():
    ring = struct.pack("<BIII", 1, 3, 1, 5_000) + np.zeros((5_000, 2)).tobytes()
    refuse_deep([struct.pack("<BII", 1, 6, 2) + ring + ring], "b.parquet")


def test_more_features_than_bytes_are_refused(tmp_path):
    (tmp_path / "b.parquet").write_bytes(bytes(500))
    require_rows(900, tmp_path / "b.parquet", "b.parquet")
    with pytest.raises(SourceError, match="claims 9,000,000 features in 500 bytes"):
        require_rows(9_000_000, tmp_path / "b.parquet", "b.parquet")


@pytest.mark.parametrize("text", ["<OGRVRTDataSource>", "\n <OGRWFSDataSource>", '{"type": "gdal_streamed_alg"}'])
def test_a_file_that_points_at_a_service_is_no_delivery(text, tmp_path):
    (tmp_path / "b.json").write_text(text, encoding="utf-8-sig")
    with pytest.raises(SourceError, match="points at data elsewhere"):
        refuse_services(tmp_path / "b.json", "b.json")


def test_a_raster_of_more_cells_than_its_bytes_can_pack_is_refused(write_raster, deliver, frame, ground):
    path = write_raster("d.tif", ground)
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", data, 4)[0]
    for tag in range(struct.unpack_from("<H", data, first)[0]):
        place = first + 2 + 12 * tag
        if struct.unpack_from("<H", data, place)[0] in (256, 257):
            struct.pack_into("<HII", data, place + 2, 4, 1, 60_000)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"d\.tif: claims 60000 x 60000 cells \(13732 MiB\)"):
        reader_of("dem").read(deliver("d.tif", "dem"), frame)


def test_sheets_far_apart_do_not_share_a_grid(write_raster, deliver, frame, ground):
    write_raster("a.tif", ground)
    write_raster("b.tif", ground, corner=(900_000.0, 4_930_000.0))
    with pytest.raises(SourceError, match="its sheets lie too far apart for one grid"):
        reader_of("dem").read(deliver("*.tif", "dem"), frame)


def test_a_las_header_of_four_billion_points_is_refused(tmp_path):
    head = bytearray(400)
    head[:4], head[24:26] = b"LASF", bytes([1, 2])
    struct.pack_into("<HIIBHI", head, 94, 227, 227, 0, 1, 28, 4_000_000_000)
    struct.pack_into("<3d", head, 131, 0.01, 0.01, 0.01)
    (tmp_path / "a.las").write_bytes(head)
    with pytest.raises(SourceError, match=r"a\.las: .*4,000,000,000 points in 400 bytes"):
        require_las(tmp_path / "a.las", "a.las")


def test_an_archive_of_a_shapefile_is_read_with_its_code_page(write_vector, deliver, frame, tmp_path, zip_of):
    import shapely

    write_vector("b.shp", [shapely.box(5e5, 4.43e6, 5e5 + 9, 4.43e6 + 9)], encoding="gbk", NAME=["鼓楼"])
    zip_of("d.zip", {f"delivery/{path.name}": path.read_bytes() for path in tmp_path.glob("b.*")})
    layer = reader_of("footprints").read(deliver("d.zip", columns={"name": "NAME"}), frame).noun
    assert layer.column("name").tolist() == ["鼓楼"]


@pytest.mark.parametrize("name", ["../b.gpkg", "/b.gpkg", "a/../../b.gpkg", "..\\b.gpkg"])
def test_an_archive_that_leaves_its_folder_is_refused(name, tmp_path, zip_of):
    path = zip_of("d.zip", {name: b"x"})
    with pytest.raises(SourceError, match="leaves the archive"), unpacked(path, "", "d.zip"):
        pass


def test_an_archive_that_unpacks_without_end_is_refused(zip_of):
    path = zip_of("d.zip", {"b.gpkg": bytes(100 * 2**20)})
    with pytest.raises(SourceError, match="unpacks to 100 MiB, more than 64"), unpacked(path, "", "d.zip"):
        pass


@pytest.fixture
def zip_of(tmp_path):
    import zipfile

    def make(name, members):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for own, data in members.items():
                archive.writestr(own, data)
        return tmp_path / name

    return make
