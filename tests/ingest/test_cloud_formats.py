"""Point clouds in every format that a scanner or a survey delivers, beside what was written into them."""

import laspy
import numpy as np
import pytest

from ingest import pointcloud
from ingest.pointcloud import PointReader
from twin.errors import SourceError
from twin.points import merge_points

READER = PointReader()
ORIGIN = [500_000.0, 4_430_000.0, 1_000.0]
PLACED = {"extra": {"origin": ORIGIN}}
TYPES = {"f8": "double", "f4": "float", "u1": "uchar", "u2": "ushort", "i4": "int"}


def cloud_of(delivery, frame):
    return merge_points(READER.read(delivery, frame).noun.clouds())


def in_order(cloud):
    order = np.lexsort(cloud.xyz.T)
    return cloud.xyz[order], cloud.classification[order], None if cloud.rgb is None else cloud.rgb[order]


@pytest.fixture
def survey():
    """3,000 local points with a class and a colour each, to the millimetre."""
    rng = np.random.default_rng(8)
    xyz = rng.uniform((0, 0, 40), (120, 80, 60), (3000, 3)).round(3)
    return xyz, rng.integers(2, 7, 3000).astype(np.uint8), rng.integers(0, 256, (3000, 3)).astype(np.uint8)


@pytest.fixture
def write_ply(tmp_path):
    def write(name, columns, form="binary_little_endian", before="", after="", eol="\n", head_only=False):
        """`columns`: [(name, type code, values)]; other elements as header lines before and after the vertices."""
        n = len(columns[0][2])
        lines = ["ply", f"format {form} 1.0", "comment made for a test", *filter(None, [before]), f"element vertex {n}"]
        lines += [f"property {TYPES[code]} {word}" for word, code, _ in columns]
        lines += [*filter(None, [after]), "end_header"]
        order = {"binary_little_endian": "<", "binary_big_endian": ">"}.get(form, "")
        if order:
            rows = np.empty(n, np.dtype([(word, order + code) for word, code, _ in columns]))
            for word, _, values in columns:
                rows[word] = values
            body = rows.tobytes()
        else:
            table = zip(*(values.tolist() for _, _, values in columns), strict=True)
            body = "".join(" ".join(map(repr, row)) + eol for row in table).encode()
        path = tmp_path / name
        path.write_bytes((eol.join(lines) + eol).encode() + (b"" if head_only else body))
        return path

    return write


def columns_of(survey, code="f8"):
    xyz, classes, rgb = survey
    found = [(axis, code, xyz[:, k]) for k, axis in enumerate("xyz")]
    found += [(word, "u1", rgb[:, k]) for k, word in enumerate(("red", "green", "blue"))]
    return [*found, ("classification", "u1", classes)]


FORMATS = [(version, form) for version in ("1.2", "1.3", "1.4") for form in range(11)]
FORMATS = [(v, f) for v, f in FORMATS if v >= ("1.2" if f < 4 else "1.3" if f < 6 else "1.4")]


@pytest.mark.parametrize(("version", "form"), FORMATS)
def test_every_point_format_of_las_comes_out_as_it_was_written(version, form, survey, tmp_path, deliver, frame):
    xyz, classes, rgb = survey
    header = laspy.LasHeader(point_format=form, version=version)
    header.scales, header.offsets = np.full(3, 0.001), np.array(ORIGIN)
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = (xyz + ORIGIN).T
    cloud.classification = classes
    coloured = "red" in header.point_format.dimension_names
    if coloured:
        cloud.red, cloud.green, cloud.blue = rgb.T.astype(np.uint16) * 257
    waves = form in (4, 5, 9, 10)  # lazrs packs no waveform packets
    cloud.write(tmp_path / ("a.las" if waves else "a.laz"))
    found = in_order(cloud_of(deliver("a.la?", "points"), frame))
    order = np.lexsort((xyz + ORIGIN).T)
    np.testing.assert_allclose(found[0], (xyz + ORIGIN)[order], atol=1e-6)
    assert sorted(found[1].tolist()) == sorted(classes.tolist())
    if coloured:
        assert sorted(map(tuple, found[2].tolist())) == sorted(map(tuple, rgb.tolist()))
    else:
        assert found[2] is None


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("chunk", [700, 1_000_000])
def test_a_ply_is_read_in_each_order_and_chunk(form, chunk, survey, write_ply, deliver, frame, monkeypatch):
    monkeypatch.setattr(pointcloud, "CHUNK", chunk)
    write_ply("a.ply", columns_of(survey), form)
    xyz, classes, rgb = in_order(cloud_of(deliver("a.ply", "points", **PLACED), frame))
    order = np.lexsort((survey[0] + ORIGIN).T)
    np.testing.assert_array_equal(xyz, (survey[0] + ORIGIN)[order])
    np.testing.assert_array_equal(classes, survey[1][order])
    np.testing.assert_array_equal(rgb, survey[2][order])


@pytest.mark.parametrize("form", ["ascii", "binary_big_endian"])
def test_properties_of_a_ply_stand_in_any_order_with_strangers_between(form, survey, write_ply, deliver, frame):
    xyz, classes, rgb = survey
    columns = [
        ("scalar_Classification", "f4", classes), ("z", "f8", xyz[:, 2]), ("nx", "f4", xyz[:, 0]),
        ("blue", "u1", rgb[:, 2]), ("x", "f8", xyz[:, 0]), ("red", "u1", rgb[:, 0]), ("intensity", "u2", classes),
        ("green", "u1", rgb[:, 1]), ("y", "f8", xyz[:, 1]),
    ]  # fmt: skip
    write_ply("a.ply", columns, form, after="element face 0\nproperty list uchar int vertex_indices")
    found = in_order(cloud_of(deliver("a.ply", "points", **PLACED), frame))
    order = np.lexsort((xyz + ORIGIN).T)
    for ours, theirs in zip(found, (xyz + ORIGIN, classes, rgb), strict=True):
        np.testing.assert_array_equal(ours, theirs[order])


def test_elements_before_the_vertices_are_stepped_over_and_lists_are_refused(survey, write_ply, deliver, frame):
    columns = columns_of(survey)
    path = write_ply("a.ply", columns, before="element sensor 2\nproperty double yaw\nproperty uchar id")
    whole = path.read_bytes()
    cut = whole.index(b"end_header\n") + len(b"end_header\n")
    path.write_bytes(whole[:cut] + bytes(2 * 9) + whole[cut:])
    np.testing.assert_array_equal(
        in_order(cloud_of(deliver("a.ply", "points", **PLACED), frame))[0],
        (survey[0] + ORIGIN)[np.lexsort((survey[0] + ORIGIN).T)],
    )
    write_ply("b.ply", columns, before="element face 1\nproperty list uchar int vertex_indices")
    with pytest.raises(SourceError, match=r"^b.ply: lists \(face\) stand before the vertices"):
        READER.read(deliver("b.ply", "points", **PLACED), frame)


def test_float_colours_and_carriage_returns_are_understood(survey, write_ply, deliver, frame):
    xyz = survey[0]
    columns = [(axis, "f4", xyz[:, k]) for k, axis in enumerate("xyz")]
    columns += [(word, "f4", np.full(3000, value)) for word, value in (("r", 1.0), ("g", 0.5), ("b", 0.0))]
    for form in ("binary_little_endian", "ascii"):
        write_ply("a.ply", columns, form, eol="\r\n")
        cloud = cloud_of(deliver("a.ply", "points", **PLACED), frame)
        assert set(map(tuple, cloud.rgb.tolist())) == {(255, 128, 0)}
        assert np.abs(np.sort(cloud.xyz[:, 0]) - np.sort(xyz[:, 0] + ORIGIN[0])).max() < 1e-5


def test_a_ply_without_a_declared_place_is_refused_and_a_matrix_turns_it(survey, write_ply, deliver, frame):
    write_ply("a.ply", columns_of(survey))
    with pytest.raises(SourceError, match=r"a PLY says not where it lies; add extra = \{ origin"):
        READER.read(deliver("a.ply", "points"), frame)
    turned = [0, -1, 0, ORIGIN[0], 1, 0, 0, ORIGIN[1], 0, 0, 1, ORIGIN[2], 0, 0, 0, 1]
    cloud = cloud_of(deliver("a.ply", "points", extra={"transform": turned}), frame)
    x, y, z = survey[0].T
    expected = np.column_stack([-y, x, z]) + ORIGIN
    np.testing.assert_allclose(in_order(cloud)[0], expected[np.lexsort(expected.T)])
    for wrong in ({"origin": [1, 2]}, {"origin": "here"}, {"transform": [0] * 16}):
        with pytest.raises(SourceError, match="wants"):
            READER.read(deliver("a.ply", "points", extra=wrong), frame)


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98])
def test_a_ply_cut_short_never_passes_for_a_whole_one(form, share, survey, write_ply, deliver, frame):
    path = write_ply("a.ply", columns_of(survey), form)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(SourceError, match=r"^a.ply: "):
        cloud_of(deliver("a.ply", "points", **PLACED), frame)


def test_a_ply_that_claims_a_billion_points_is_refused_at_once(survey, write_ply, deliver, frame):
    path = write_ply("a.ply", columns_of(survey))
    path.write_bytes(path.read_bytes().replace(b"element vertex 3000", b"element vertex 3000000000"))
    with pytest.raises(SourceError, match=r"cut short \(3000000000 points promised\)"):
        READER.read(deliver("a.ply", "points", **PLACED), frame)


@pytest.fixture
def write_e57(tmp_path):
    def write(name, *scans):
        """`scans`: (xyz, rgb or None, invalid or None, rotation, translation)."""
        import pye57

        with pye57.E57(str(tmp_path / name), mode="w") as file:
            for xyz, rgb, invalid, rotation, translation in scans:
                data = {f"cartesian{axis}": xyz[:, k] for k, axis in enumerate("XYZ")}
                if rgb is not None:
                    data |= {f"color{word}": rgb[:, k] for k, word in enumerate(("Red", "Green", "Blue"))}
                if invalid is not None:
                    data["cartesianInvalidState"] = invalid
                file.write_scan_raw(data, rotation=np.array(rotation), translation=np.array(translation))
        return tmp_path / name

    return write


STRAIGHT, LEFT = [1.0, 0.0, 0.0, 0.0], [np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)]


@pytest.mark.parametrize("chunk", [500, 1_000_000])
def test_scans_of_an_e57_stand_where_their_poses_say(chunk, survey, write_e57, deliver, frame, monkeypatch):
    monkeypatch.setattr(pointcloud, "CHUNK", chunk)
    xyz, _, rgb = survey
    invalid = (np.arange(3000) % 3 == 0).astype(np.int8)
    write_e57("a.e57", (xyz, rgb, None, STRAIGHT, [0, 0, 0]), (xyz, rgb, invalid, LEFT, [200.0, 0.0, 5.0]))
    reading = READER.read(deliver("a.e57", "points", **PLACED), frame)
    cloud = merge_points(reading.noun.clouds())
    x, y, z = xyz[invalid == 0].T
    both = np.concatenate([xyz, np.column_stack([200.0 - y, x, z + 5.0])]) + ORIGIN
    assert reading.tally["points"] == 6000
    assert len(cloud) == 5000
    np.testing.assert_allclose(np.sort(cloud.xyz, axis=0), np.sort(both, axis=0), atol=2e-5)
    assert sorted(map(tuple, cloud.rgb.tolist())) == sorted(map(tuple, np.concatenate([rgb, rgb[invalid == 0]])))


def test_colours_stay_away_where_one_scan_has_none(survey, write_e57, deliver, frame):
    xyz, _, rgb = survey
    write_e57("a.e57", (xyz, rgb, None, STRAIGHT, [0, 0, 0]), (xyz, None, None, STRAIGHT, [0, 0, 0]))
    assert cloud_of(deliver("a.e57", "points", **PLACED), frame).rgb is None


def test_an_e57_without_crs_or_cut_short_is_one_clear_line(survey, write_e57, deliver, frame):
    path = write_e57("a.e57", (survey[0], None, None, STRAIGHT, [0, 0, 0]))
    with pytest.raises(SourceError, match=r"a.e57: no CRS in the file and none declared"):
        READER.read(deliver("a.e57", "points", crs=""), frame)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"^a.e57: the point cloud is damaged"):
        cloud_of(deliver("a.e57", "points", **PLACED), frame)
