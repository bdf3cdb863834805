"""What damaged and hostile files once did to the readers, each in small; the thousand of them are in robustness."""

from __future__ import annotations

import io
import json
import sqlite3
import struct

import lazrs
import numpy as np
import pyogrio.raw
import pytest
import shapely

from ingest.formats.las import _sound
from ingest.quality.temporal import observation_quality
from ingest.repair import LONGEST, stable_oids
from ingest.series.moments import seconds
from ingest.sources import reader_of
from tests.ingest.test_claims import nested
from tests.ingest.test_osm import GRAPH
from tests.robustness.cases_open import things
from tests.robustness.seeds import las
from twin.errors import SourceError
from twin.features import objects

DEGREES = {"crs": "EPSG:4326"}


@pytest.fixture
def geopackage(tmp_path):
    """A layer of two squares, changed by SQL."""

    def write(*statements):
        path = tmp_path / "b.gpkg"
        shapes = shapely.to_wkb(shapely.box([0, 20], 0, [10, 30], 10))
        pyogrio.raw.write(path, shapes, [], np.array([], object), driver="GPKG", geometry_type="Polygon",
                          crs="EPSG:4547", geometry_name="geom")  # fmt: skip
        with sqlite3.connect(path) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f'DROP TRIGGER "{name}"')
            for sql, *values in statements:
                connection.execute(sql, values)
        connection.close()
        return path

    return write


def test_collections_too_deep_for_the_stack_are_refused_in_a_geopackage(geopackage, deliver, frame):
    blob = b"GP\x00\x01" + struct.pack("<i", 4547) + nested(20_000)
    geopackage(("UPDATE b SET geom = ? WHERE fid = 2", blob))
    with pytest.raises(SourceError, match=r"b\.gpkg: row \d: geometry collections nested too deep"):
        reader_of("footprints").read(deliver("b.gpkg"), frame)


def test_a_view_without_end_is_refused_and_one_with_an_end_is_read(geopackage, deliver, frame):
    geopackage(
        ("ALTER TABLE b RENAME TO hidden",),
        (
            "CREATE VIEW b AS WITH RECURSIVE n(fid) AS (SELECT 1 UNION ALL SELECT fid + 1 FROM n) "
            "SELECT n.fid AS fid, geom FROM n, hidden",
        ),
    )
    with pytest.raises(SourceError, match=r"b\.gpkg: view 'b' does not end; deliver its rows as a table"):
        reader_of("footprints").read(deliver("b.gpkg"), frame)
    with sqlite3.connect(deliver("b.gpkg").root / "b.gpkg") as connection:
        connection.execute("DROP VIEW b")
        connection.execute("CREATE VIEW b AS SELECT fid, geom FROM hidden")
    connection.close()
    assert len(reader_of("footprints").read(deliver("b.gpkg", layer="b"), frame).noun) == 2


def test_a_panic_of_the_library_for_laz_is_one_clear_line():
    data = las("laz.laz", "1.2", 3).whole
    body = data.index(b"laszip encoded") + 52
    items = struct.unpack_from("<H", data, body + 32)[0]
    stream = io.BytesIO(data)
    stream.seek(struct.unpack_from("<I", data, 96)[0])
    points = lazrs.ParLasZipDecompressor(stream, data[body : body + 34 + 6 * items])
    with pytest.raises(SourceError, match=r"^a\.laz: the compressed points are damaged"), _sound("a.laz"):
        points.decompress_many(bytearray(7))


@pytest.mark.parametrize("order", ["ascii", "binary_little_endian"])
def test_a_ply_that_claims_elements_without_end_before_its_vertices_is_refused(order, tmp_path, deliver, frame):
    head = f"ply\nformat {order} 1.0\nelement zebra {'9' * 19}\nproperty int a\nelement vertex 1\n"
    axes = "".join(f"property double {axis}\n" for axis in "xyz")
    (tmp_path / "a.ply").write_text(f"{head}{axes}end_header\n1 2 3\n")
    with pytest.raises(SourceError, match=r"a\.ply: the point cloud is cut short"):
        reader_of("points").read(deliver("a.ply", "points", extra={"origin": [0, 0, 0]}), frame)


def test_a_ply_that_claims_more_digits_than_a_number_has_is_refused(tmp_path, deliver, frame):
    axes = "".join(f"property double {axis}\n" for axis in "xyz")
    (tmp_path / "a.ply").write_text(f"ply\nformat ascii 1.0\nelement vertex {'9' * 5000}\n{axes}end_header\n1 2 3\n")
    with pytest.raises(SourceError, match=r"a\.ply: the point cloud is cut short"):
        reader_of("points").read(deliver("a.ply", "points", extra={"origin": [0, 0, 0]}), frame)


def test_a_mesh_that_claims_more_digits_than_a_number_has_is_refused(tmp_path, deliver, frame):
    (tmp_path / "m.ply").write_text(f"ply\nformat ascii 1.0\nelement vertex {'9' * 5000}\nend_header\n")
    with pytest.raises(SourceError, match=r"m\.ply: the header claims 9"):
        reader_of("mesh").read(deliver("m.ply", "mesh"), frame)


def test_accessors_of_a_gltf_that_no_buffer_holds_are_refused(tmp_path, deliver, frame):
    document = {
        "asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"componentType": 5126, "count": 100_000_000, "type": "VEC3"}],
    }  # fmt: skip
    (tmp_path / "m.gltf").write_text(json.dumps(document))
    with pytest.raises(SourceError, match=r"m\.gltf: accessors claim 100,000,000 elements"):
        reader_of("mesh").read(deliver("m.gltf", "mesh"), frame)


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        ("GEOMETRYCOLLECTION (" * 5_000, "geometry: row 2: collections nested too deep"),
        ("CIRCULARSTRING (0 0, 1 1, 2 0)", "lacks its place or ends"),
    ],
)
def test_a_graph_whose_edges_are_no_lines_is_one_clear_line(geometry, words, tmp_path, deliver, frame):
    text = GRAPH.replace("LINESTRING (113.30 40.10, 113.305 40.11, 113.31 40.10)", geometry)
    (tmp_path / "g.graphml").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=words):
        reader_of("roads").read(deliver("g.graphml", "roads", **DEGREES), frame)


@pytest.mark.parametrize("words", ["[" * 20_000, "[" + "-" * 4_000 + "1]"])
def test_a_list_of_a_graph_that_would_end_the_parser_stays_text(words, tmp_path, deliver, frame):
    (tmp_path / "g.graphml").write_text(GRAPH.replace("['甲街', '乙街']", words), encoding="utf-8")
    layer = reader_of("roads").read(deliver("g.graphml", "roads", **DEGREES), frame).noun
    assert layer.column("name").tolist()[0] == words


@pytest.mark.parametrize("odd", [None, 7, "zebra", [None], [7], {}])
def test_a_thing_whose_place_is_no_location_is_an_outcome(odd, tmp_path, deliver, frame):
    (tmp_path / "t.json").write_text(json.dumps(things() | {"Locations": odd}))
    reading = reader_of("sensors").read(deliver("t.json", "sensors", **DEGREES), frame)
    assert [(one.oid, one.status) for one in reading.outcomes] == [("7", "skipped"), ("70", "skipped")]


@pytest.mark.parametrize("key", ["unitOfMeasurement", "ObservedProperty"])
def test_a_series_whose_unit_is_no_object_is_kept_without(key, tmp_path, deliver, frame):
    thing = things()
    thing["Datastreams"][0][key] = ["zebra"]
    (tmp_path / "t.json").write_text(json.dumps(thing))
    (stream,) = reader_of("sensors").read(deliver("t.json", "sensors", **DEGREES), frame).noun.datastreams
    assert (stream.oid, stream.name) == ("70", "PM2.5")


def test_a_data_array_with_short_rows_is_one_clear_line(tmp_path, deliver, frame):
    (tmp_path / "t.json").write_text(json.dumps({"components": ["phenomenonTime", "result"], "dataArray": [[1], []]}))
    with pytest.raises(SourceError, match=r"t\.json: no SensorThings entity can be built so"):
        reader_of("observations").read(deliver("t.json", "observations", **DEGREES), frame)


def test_seconds_beyond_the_years_1_to_9999_are_no_moment(deliver):
    words = ["inf", "1e308", "253402300800", "253402300799", "-62135596801", "-62135596800", "0"]
    found, (line,) = seconds(objects(words), deliver("r.csv"), "r.csv")
    assert np.isnan(found).tolist() == [True, True, True, False, True, False, False]
    assert line.startswith("r.csv: 4 times cannot be read, first 'inf'")


def test_a_trajectory_at_the_ends_of_time_is_written_as_a_date(tmp_path, deliver, frame):
    (tmp_path / "r.csv").write_text("source_id,time,lon,lat\nt,-62135596800,114,40\nt,253402300799,114.1,40\n")
    layer = reader_of("trajectories").read(deliver("r.csv", "trajectories", **DEGREES), frame).noun
    assert layer.column("begin_time").tolist() == ["0001-01-01T00:00:00Z"]
    assert layer.column("end_time").tolist() == ["9999-12-31T23:59:59Z"]


def test_a_table_of_trajectories_without_a_row_is_an_empty_layer(tmp_path, deliver, frame):
    (tmp_path / "r.csv").write_text("source_id,time,lon,lat\n")
    assert len(reader_of("trajectories").read(deliver("r.csv", "trajectories", **DEGREES), frame).noun) == 0


def test_an_identifier_too_long_for_a_link_is_its_hash_and_the_others_stay():
    ids = objects(["a", "x" * LONGEST, "y" * (LONGEST + 1)])
    found = stable_oids("s", "building", ids, shapely.points(np.zeros((3, 2))))
    assert found.tolist()[:2] == ids.tolist()[:2]
    assert found[2].startswith("building-")
    assert len(found[2]) == len("building-") + 16
    assert found[2] == stable_oids("other", "building", ids[2:], shapely.points([[5.0, 5.0]]))[0]


def test_one_long_name_does_not_widen_every_row_of_a_series():
    names = objects(["z" * 10_000_000, *("ab" * 50)])
    findings, told = observation_quality((names, np.arange(101.0), np.zeros(101)), {})
    assert told["series"] == 3
    assert findings
