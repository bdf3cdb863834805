import laspy
import numpy as np
import pytest

from ingest import pointcloud
from ingest.pointcloud import PointReader
from twin.errors import SourceError
from twin.points import merge_points
from twin.workers import Workers

READER = PointReader()


@pytest.fixture
def write_las(tmp_path):
    def write(name, xyz, classes, rgb=None, crs=None):
        header = laspy.LasHeader(point_format=2 if rgb is not None else 1, version="1.2")
        header.scales, header.offsets = np.full(3, 0.001), np.floor(np.min(xyz, axis=0))
        if crs:
            import pyproj

            header.add_crs(pyproj.CRS(crs))
        cloud = laspy.LasData(header)
        cloud.x, cloud.y, cloud.z = np.transpose(xyz)
        cloud.classification = classes
        if rgb is not None:
            cloud.red, cloud.green, cloud.blue = np.transpose(rgb)
        cloud.write(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def survey():
    rng = np.random.default_rng(3)
    xyz = rng.uniform((500_000, 4_430_000, 1040), (500_200, 4_430_100, 1060), (5000, 3)).round(3)
    return xyz, np.where(np.arange(5000) % 5 == 0, 7, 2).astype(np.uint8)


def test_points_arrive_without_noise_in_the_frame(write_las, survey, deliver, frame):
    xyz, classes = survey
    write_las("a.laz", xyz, classes)
    stream = READER.read(deliver("a.laz", "points"), frame).noun
    cloud = merge_points(stream.clouds())
    assert len(cloud) == 4000
    np.testing.assert_allclose(np.sort(cloud.xyz, axis=0), np.sort(xyz[classes == 2], axis=0), atol=0.001)
    assert stream.tally["noise"] == 1000
    assert stream.tally["classes"] == {"2": 4000}


def test_chunks_do_not_change_the_points(write_las, survey, deliver, frame, monkeypatch):
    write_las("a.laz", *survey)
    one = merge_points(READER.read(deliver("a.laz", "points"), frame).noun.clouds())
    monkeypatch.setattr(pointcloud, "CHUNK", 700)
    many = merge_points(READER.read(deliver("a.laz", "points"), frame).noun.clouds())
    order = [np.lexsort(cloud.xyz.T) for cloud in (one, many)]
    np.testing.assert_array_equal(one.xyz[order[0]], many.xyz[order[1]])


def test_clouds_are_neighbours(write_las, survey, deliver, frame):
    write_las("a.laz", *survey)
    for cloud in READER.read(deliver("a.laz", "points"), frame).noun.clouds():
        low, high = cloud.xyz[:, :2].min(axis=0), cloud.xyz[:, :2].max(axis=0)
        assert (high - low <= pointcloud.CELL).all()


@pytest.mark.parametrize(("top", "expected"), [(65535, 255), (236, 236)])
def test_colours_come_out_as_eight_bits_whichever_way_they_were_written(
    top, expected, write_las, survey, deliver, frame
):
    xyz, classes = survey
    rgb = np.zeros((5000, 3), np.uint16)
    rgb[:, 0] = top
    write_las("a.laz", xyz, classes, rgb)
    cloud = merge_points(READER.read(deliver("a.laz", "points"), frame).noun.clouds())
    assert set(cloud.rgb[:, 0].tolist()) == {expected}


def test_feet_and_ellipsoidal_heights_are_converted(write_las, survey, deliver, frame):
    xyz, classes = survey
    write_las("a.laz", xyz, classes)
    feet = merge_points(READER.read(deliver("a.laz", "points", unit="ft"), frame).noun.clouds())
    assert feet.xyz[:, 2].max() < 1060 * 0.3048 + 0.01
    ellipsoid = merge_points(READER.read(deliver("a.laz", "points", vertical="ellipsoid"), frame).noun.clouds())
    assert ellipsoid.xyz[:, 2].min() > 1054


def test_a_cloud_without_crs_record_and_without_declaration_is_refused(write_las, survey, deliver, frame):
    write_las("a.laz", *survey)
    with pytest.raises(SourceError, match=r"a.laz: no CRS in the file and none declared; add crs ="):
        READER.read(deliver("a.laz", "points", crs=""), frame)


def test_a_crs_record_that_disagrees_is_refused(write_las, survey, deliver, frame):
    write_las("a.laz", *survey, crs="EPSG:32649")
    with pytest.raises(SourceError, match="declared EPSG:4547, but the file states EPSG:32649"):
        READER.read(deliver("a.laz", "points"), frame)


def test_a_truncated_or_foreign_file_is_one_clear_line(write_las, survey, deliver, frame, tmp_path):
    path = write_las("a.laz", *survey)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"^a.laz: the point cloud is damaged or cut short"):
        list(READER.read(deliver("a.laz", "points"), frame).noun.clouds())
    (tmp_path / "b.laz").write_bytes(b"nothing of the kind")
    with pytest.raises(SourceError, match=r"^b.laz: the point cloud is damaged"):
        READER.read(deliver("b.laz", "points"), frame)
    plain = write_las("c.las", *survey)
    plain.write_bytes(plain.read_bytes()[: plain.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"^c.las: "):
        list(READER.read(deliver("c.las", "points"), frame).noun.clouds())


def test_other_processes_read_the_same_clouds(write_las, survey, deliver, frame, monkeypatch):
    monkeypatch.setattr(pointcloud, "CHUNK", 700)
    monkeypatch.setattr(pointcloud, "_MANY", 1000)
    xyz, classes = survey
    rgb = np.zeros((5000, 3), np.uint16)
    rgb[3000:] = 65535
    rgb[:3000:7] = 200
    write_las("a.laz", xyz, classes, rgb)
    alone, spread = (READER.read(deliver("a.laz", "points"), frame).noun for _ in range(2))
    one = list(alone.clouds())
    with Workers(2) as workers:
        two = list(spread.clouds(workers))
    assert len(one) == len(two) > 8
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.xyz, b.xyz)
        np.testing.assert_array_equal(a.rgb, b.rgb)
    assert alone.tally == spread.tally


def test_small_numbers_after_colours_of_sixteen_bits_are_dark(write_las, survey, deliver, frame, monkeypatch):
    monkeypatch.setattr(pointcloud, "CHUNK", 1000)
    xyz, classes = survey
    rgb = np.full((5000, 3), 120, np.uint16)
    rgb[:1000] = 65535
    write_las("a.laz", xyz, np.full_like(classes, 2), rgb)
    cloud = merge_points(READER.read(deliver("a.laz", "points"), frame).noun.clouds())
    assert sorted(np.unique(cloud.rgb[:, 0]).tolist()) == [0, 255]


def test_a_file_cut_short_is_told_by_other_processes_too(write_las, survey, deliver, frame, monkeypatch):
    monkeypatch.setattr(pointcloud, "CHUNK", 700)
    monkeypatch.setattr(pointcloud, "_MANY", 1000)
    path = write_las("a.las", *survey)
    stream = READER.read(deliver("a.las", "points"), frame).noun
    path.write_bytes(path.read_bytes()[:-9000])
    with Workers(2) as workers, pytest.raises(SourceError, match=r"a\.las"):
        list(stream.clouds(workers))
