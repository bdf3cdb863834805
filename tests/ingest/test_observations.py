import numpy as np
import pytest

from ingest.observations import IncidentReader, LiveTables, ObservationReader, SensorReader, check_targets
from ingest.series.moments import seconds
from twin.errors import SourceError
from twin.features import objects
from twin.frames import gcj02_from_wgs84
from twin.live import Thing

SENSORS = """oid,kind,name,name_en,lon,lat,z,target_oid,datastream,observed_property,unit,minimum,maximum,warn,alarm
yu,river_level,御河站,Yu gauge,113.31,40.09,1041.5,,yu/level,water_level,m,0,6,2.6,3.2
yu,river_level,御河站,Yu gauge,113.31,40.09,1041.5,,yu/flow,discharge,m3/s,0,900,,
lost,rain,雨量站,Rain,,,,,lost/rain,rain,mm,,,,
"""


def test_rows_of_one_sensor_become_one_thing_with_its_series(tmp_path, deliver, frame):
    (tmp_path / "s.csv").write_text(SENSORS, encoding="utf-8")
    reading = SensorReader().read(deliver("s.csv", "sensors", crs="EPSG:4326"), frame)
    assert [thing.oid for thing in reading.noun.things] == ["yu"]
    thing = reading.noun.things[0]
    assert (thing.name, thing.lon, thing.lat, thing.z) == ("御河站", 113.31, 40.09, 1041.5)
    assert next((s.oid, s.warn, s.thing_oid) for s in reading.noun.datastreams) == ("yu/level", 2.6, "yu")
    assert np.isnan(reading.noun.datastreams[1].warn)
    assert [(o.oid, o.status) for o in reading.outcomes] == [("lost", "skipped")]


def test_sensors_in_gcj02_come_out_in_wgs84(tmp_path, deliver, frame):
    lon, lat = gcj02_from_wgs84([[113.31, 40.09]])[0]
    (tmp_path / "s.csv").write_text(f"oid,lon,lat\na,{lon!r},{lat!r}\n".replace("np.float64(", "").replace(")", ""))
    thing = SensorReader().read(deliver("s.csv", "sensors", crs="GCJ-02"), frame).noun.things[0]
    assert (thing.lon, thing.lat) == (pytest.approx(113.31, abs=1e-7), pytest.approx(40.09, abs=1e-7))


def test_a_sensor_table_without_declared_crs_is_refused(tmp_path, deliver, frame):
    (tmp_path / "s.csv").write_text(SENSORS, encoding="utf-8")
    with pytest.raises(SourceError, match="no CRS in the file and none declared"):
        SensorReader().read(deliver("s.csv", "sensors", crs=""), frame)


def test_observations_keep_their_moment_and_gaps_are_counted(tmp_path, deliver, frame):
    rows = ["d,2026-06-21T08:00:00+08:00,1.5", "d,2026-06-21T00:05:00Z,NA", "d,2026-06-21T00:10:00Z,1.7"]
    (tmp_path / "o.csv").write_text("datastream,time,value\n" + "\n".join(rows) + "\n")
    reading = ObservationReader().read(deliver("o.csv", "observations"), frame)
    oid, time, value = reading.noun.values
    assert oid.tolist() == ["d", "d"]
    assert time.tolist() == [1782000000.0, 1782000600.0]
    assert value.tolist() == [1.5, 1.7]
    assert reading.tally["gaps"] == 1


def test_local_times_want_a_declared_offset(deliver):
    words = objects(["2026-06-21 08:00", "2026-06-21T08:05:00"])
    with pytest.raises(SourceError, match=r"time '2026-06-21 08:00' has no offset; add extra = \{ utc_offset = 8 \}"):
        seconds(words, deliver("o.csv"), "o.csv")
    values, lines = seconds(words, deliver("o.csv", extra={"utc_offset": 8}), "o.csv")
    assert values.tolist() == [1782000000.0, 1782000300.0]
    assert lines == []


def test_a_time_nobody_can_read_is_told_with_its_row(deliver):
    values, lines = seconds(objects(["1782000000", "tomorrow"]), deliver("o.csv"), "o.csv")
    np.testing.assert_array_equal(values, [1782000000.0, np.nan])
    assert lines == ["o.csv: 1 times cannot be read, first 'tomorrow' in row 2"]


def test_an_observation_table_without_its_columns_names_what_it_has(tmp_path, deliver, frame):
    (tmp_path / "o.csv").write_text("station,when,value\na,b,1\n")
    with pytest.raises(
        SourceError, match=r"o.csv: no column datastream, time; map it .* the file has station, when, value"
    ):
        ObservationReader().read(deliver("o.csv", "observations"), frame)


def test_incidents_with_a_bad_grade_place_or_time_are_named_and_left_out(tmp_path, deliver, frame):
    rows = [
        "i1,113.3,40.1,2026-06-21T08:00:00Z,2",
        "i2,113.3,40.1,2026-06-21T08:00:00Z,9",
        "i3,,40.1,2026-06-21T08:00:00Z,1",
    ]
    rows += ["i4,113.3,40.1,soon,1"]
    (tmp_path / "i.csv").write_text("oid,lon,lat,time,severity\n" + "\n".join(rows) + "\n")
    reading = IncidentReader().read(deliver("i.csv", "incidents", crs="EPSG:4326"), frame)
    assert [incident.oid for incident in reading.noun.incidents] == ["i1"]
    assert [o.oid for o in reading.outcomes] == ["i2", "i3", "i4"]
    assert "severity is none of 1..4" in reading.outcomes[0].reason


def test_targets_are_found_by_source_id_and_strangers_are_told():
    things = (Thing("a", "a", "", "k", 1.0, 2.0, target_oid="17"), Thing("b", "b", "", "k", 1.0, 2.0, target_oid="x"))
    tables, lines = check_targets(LiveTables(things=things), {"17": "building-17", "building-17": "building-17"})
    assert [thing.target_oid for thing in tables.things] == ["building-17", "x"]
    assert lines == ["1 targets are no object of the city, e.g. b -> x"]
