"""What changes in time: wide tables, SensorThings documents, trajectories."""

import json

import numpy as np
import pytest
import shapely

from ingest.observations import ObservationReader, SensorReader
from ingest.series.trajectory import TrajectoryReader
from twin.errors import SourceError

START = 1_781_999_999.0 + 1.0  # 2026-06-21T00:00:00Z


def values(reading):
    oid, time, value = reading.noun.values
    return sorted(zip(oid.tolist(), time.tolist(), value.tolist(), strict=True))


@pytest.fixture
def observe(tmp_path, deliver, frame):
    def read(name, text, **declared):
        (tmp_path / name).write_text(text, encoding="utf-8")
        declared.setdefault("crs", "")
        return ObservationReader().read(deliver(name, "observations", **declared), frame)

    return read


def test_a_wide_table_gives_a_series_a_column_and_counts_its_gaps(observe):
    text = (
        "year,month,day,hour,PM2.5,wd,site\n2026,6,21,8,12,N,north\n2026,6,21,9,NA,N,north\n2026,6,21,24,14,E,north\n"
    )
    extra = {"series": {"PM2.5": "pm25"}, "time": ["year", "month", "day", "hour"], "utc_offset": 8}
    reading = observe("w.csv", text, columns={"thing": "site"}, extra=extra)
    assert values(reading) == [("north/pm25", START, 12.0), ("north/pm25", START + 16 * 3600.0, 14.0)]
    assert reading.tally == {"rows": 3, "gaps": 1, "observations": 2}


def test_blanks_may_part_the_columns_and_days_may_count_through_the_year(observe):
    text = "iy id it imin Tair\n2024 60 0 30 -1.5\n2024 61 0 0 -999.00\n2023 366 0 0 5\n"
    extra = {
        "series": ["Tair"], "utc_offset": 0, "thing": "mast",
        "time": {"year": "iy", "day_of_year": "id", "hour": "it", "minute": "imin"},
    }  # fmt: skip
    reading = observe("w.txt", text, nodata=-999.0, extra=extra)
    assert values(reading) == [("mast/Tair", np.datetime64("2024-02-29T00:30").astype("M8[s]").astype(float), -1.5)]
    assert reading.tally["gaps"] == 2
    assert "1 times cannot be read, first in row 3" in reading.warnings[0]


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"series": ["b"], "utc_offset": 0}, "no column 'b' .declared in extra.series.; it has time, a"),
        ({"series": [], "utc_offset": 0}, "extra.series wants a list"),
        ({"series": ["a"], "time": ["yr"], "utc_offset": 0}, "no column 'yr' .declared for year"),
        ({"series": ["a"], "time": {"day": "time"}, "utc_offset": 0}, "extra.time wants year"),
        ({"series": ["a"]}, "has no offset"),
        ({"series": ["a"], "utc_offset": "local"}, "is no number of hours"),
    ],
)
def test_a_wide_declaration_that_does_not_fit_is_one_clear_line(extra, words, observe):
    with pytest.raises(SourceError, match=words):
        observe("w.csv", "time,a\n2026-06-21 08:00,1\n", extra=extra)


THING = {
    "@iot.id": 7,
    "name": "北环站",
    "properties": {"kind": "air", "target_oid": "b1"},
    "Locations": [
        {"encodingType": "application/geo+json", "location": {"type": "Point", "coordinates": [113.3, 40.1]}}
    ],
    "Datastreams": [
        {
            "@iot.id": 70,
            "name": "PM2.5 at north",
            "unitOfMeasurement": {"name": "microgram per cubic metre", "symbol": "ug/m3"},
            "ObservedProperty": {"name": "PM2.5"},
            "Observations": [
                {"phenomenonTime": "2026-06-21T08:00:00+08:00", "result": 12.5},
                {"phenomenonTime": "2026-06-21T00:00:00Z/2026-06-21T01:00:00Z", "result": "13"},
                {"phenomenonTime": "2026-06-21T02:00:00Z", "result": None},
                {"phenomenonTime": None, "resultTime": "2026-06-21T03:00:00.5Z", "result": True},
            ],
        }
    ],
}
FOUND = [("70", START, 12.5), ("70", START + 3600.0, 13.0), ("70", START + 10_800.5, 1.0)]
FEATURE = {
    "type": "Feature", "id": 7, "geometry": THING["Locations"][0]["location"],
    "properties": {key: THING[key] for key in ("name", "properties", "Datastreams")},
}  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [THING, [THING], {"value": [THING]}, {"type": "FeatureCollection", "features": [FEATURE]}],
    ids=["entity", "list", "value", "features"],
)
@pytest.mark.parametrize("reader", [SensorReader(), ObservationReader()], ids=lambda r: r.kind)
def test_a_thing_brings_its_place_its_series_and_its_values(reader, document, tmp_path, deliver, frame):
    (tmp_path / "t.json").write_text(json.dumps(document), encoding="utf-8")
    reading = reader.read(deliver("t.json", reader.kind, crs=""), frame)
    thing, stream = reading.noun.things[0], reading.noun.datastreams[0]
    assert (thing.oid, thing.name, thing.kind, thing.lon, thing.lat) == ("7", "北环站", "air", 113.3, 40.1)
    assert (thing.target_oid, thing.properties["kind"]) == ("b1", "air")
    assert (stream.oid, stream.thing_oid, stream.observed_property, stream.unit) == ("70", "7", "PM2.5", "ug/m3")
    assert values(reading) == FOUND
    assert reading.tally["gaps"] == 1
    assert reading.outcomes == ()
    assert reading.warnings == ()


def test_data_arrays_and_pages_of_a_service_meet_across_files(observe, tmp_path, deliver, frame):
    stream = {key: THING["Datastreams"][0][key] for key in ("@iot.id", "name", "unitOfMeasurement", "ObservedProperty")}
    (tmp_path / "p1.json").write_text(json.dumps({"value": [stream | {"Thing": {"@iot.id": 7}}]}))
    bare = {key: THING[key] for key in ("@iot.id", "name", "Locations")}
    (tmp_path / "p2.json").write_text(
        json.dumps({"value": [bare], "@iot.nextLink": "http://example.org/Things?$skip=1"})
    )
    group = {
        "Datastream@iot.navigationLink": "http://example.org/v1.1/Datastreams(70)", "dataArray@iot.count": 2,
        "components": ["id", "phenomenonTime", "result"],
        "dataArray": [[1, "2026-06-21T00:00:00Z", 1.0], [2, "2026-06-21T00:05:00Z", None]],
    }  # fmt: skip
    (tmp_path / "p3.json").write_text(json.dumps([group]))
    reading = ObservationReader().read(deliver("p*.json", "observations", crs=""), frame)
    assert [stream.thing_oid for stream in reading.noun.datastreams] == ["7"]
    assert values(reading) == [("70", START, 1.0)]
    assert any("go on at an @iot.nextLink" in line for line in reading.warnings)


def test_what_stands_nowhere_or_names_nothing_is_told(observe):
    lost = THING | {"Locations": []}
    reading = observe("t.json", json.dumps([lost, {"result": 1.0, "phenomenonTime": "2026-06-21T00:00:00Z"}]))
    assert [(o.oid, o.status) for o in reading.outcomes] == [("7", "skipped"), ("70", "skipped")]
    assert any("1 observations name no Datastream" in line for line in reading.warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON that can be read to the end"),
        ("{}", "no SensorThings entity can be built so"),
        ("[1]", "no SensorThings entity"),
        ('{"value": []}', "no Thing, Datastream or Observation"),
        ('{"@iot.id": 1, "phenomenonTime": "2026-06-21T08:00:00", "result": 1}', "has no offset"),
    ],
)
def test_what_is_no_sensorthings_is_one_clear_line(text, words, observe):
    with pytest.raises(SourceError, match=f"^t.json: .*{words}"):
        observe("t.json", text)


FIXES = "id,t,lon,lat\na,2026-06-21T00:00:20Z,113.31,40.1\na,2026-06-21T00:00:00Z,113.30,40.1\na,,113.32,40.1\n"


def test_fixes_become_lines_in_the_order_of_time(tmp_path, deliver, frame):
    text = FIXES + "b,2026-06-21T00:00:00Z,113.30,40.1\n"
    (tmp_path / "f.csv").write_text(text)
    columns = {"source_id": "id", "time": "t"}
    reading = TrajectoryReader().read(deliver("f.csv", "trajectories", crs="EPSG:4326", columns=columns), frame)
    layer = reading.noun
    assert layer.oid.tolist() == ["a"]
    assert {o.oid: o.status for o in reading.outcomes} == {"a": "fallback", "b": "skipped"}
    assert {key: layer.column(key)[0] for key in ("begin_time", "end_time", "times", "fixes")} == {
        "begin_time": "2026-06-21T00:00:00Z", "end_time": "2026-06-21T00:00:20Z", "times": "[0.0,20.0]", "fixes": 2.0,
    }  # fmt: skip
    lonlat = frame.to_lonlat(shapely.get_coordinates(layer.geometry))
    np.testing.assert_allclose(lonlat, [[113.30, 40.1], [113.31, 40.1]], atol=1e-7)
    assert layer.column("length")[0] == pytest.approx(852.6, abs=1.0)


def test_fixes_with_their_axes_changed_lie_where_the_lineage_says(tmp_path, deliver, frame):
    (tmp_path / "f.csv").write_text(FIXES.replace("lon,lat", "lat,lon"))
    columns, extra = {"source_id": "id", "time": "t"}, {"swap_axes": True}
    delivery = deliver("f.csv", "trajectories", crs="EPSG:4326", columns=columns, extra=extra)
    reading = TrajectoryReader().read(delivery, frame)
    lonlat = frame.to_lonlat(shapely.get_coordinates(reading.noun.geometry))
    np.testing.assert_allclose(lonlat, [[113.30, 40.1], [113.31, 40.1]], atol=1e-7)
    assert reading.lineage.steps[0].startswith("axes changed, as declared")


def test_the_lineage_of_fixes_tells_the_crs_of_every_file(tmp_path, deliver, write_vector, frame):
    words = {"source_id": ["a", "a"], "time": ["2026-06-21T00:00:00Z", "2026-06-21T00:00:20Z"]}
    write_vector("f1.gpkg", shapely.points([[113.3, 40.1], [113.31, 40.1]]), crs="EPSG:4326", **words)
    write_vector("f2.gpkg", shapely.points([[5e5, 443e4], [5e5, 4431e3]]), **words)
    reading = TrajectoryReader().read(deliver("f*.gpkg", "trajectories", crs=""), frame)
    assert any("EPSG:4326 -> EPSG:4547" in step for step in reading.lineage.steps)


def test_trajectories_want_a_time_an_id_and_points(tmp_path, deliver, write_vector, frame):
    (tmp_path / "f.csv").write_text(FIXES)
    with pytest.raises(SourceError, match=r"f.csv: no column time; map it in columns"):
        TrajectoryReader().read(deliver("f.csv", "trajectories", crs="EPSG:4326", columns={"source_id": "id"}), frame)
    write_vector(
        "l.gpkg", [shapely.LineString([(5e5, 443e4), (5.1e5, 443e4)])], oid=["a"], time=["2026-06-21T00:00:00Z"]
    )
    with pytest.raises(SourceError, match="trajectories are delivered as points with a time"):
        TrajectoryReader().read(deliver("l.gpkg", "trajectories"), frame)
