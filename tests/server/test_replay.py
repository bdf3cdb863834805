import math

import pytest

from server.live.replay import DAY, Replay, first_day, make_day
from twin.live import Incident, Observation

MIDNIGHT = 1_782_000_000.0 - 8 * 3600.0  # 2026-06-21 00:00 at UTC+8


def incident(oid: str, hour: float) -> Incident:
    return Incident(oid, "flood", "积水", "Flooding", 113.3, 40.1, MIDNIGHT + hour * 3600, "open", 2)


def day(*hours: float, incidents=()):
    return make_day(MIDNIGHT, [Observation("gauge", MIDNIGHT + h * 3600, h) for h in hours], incidents)


def values(due) -> list[float]:
    return [value for _, _, value in due.observations]


def test_the_day_begins_at_local_midnight_before_the_first_observation():
    assert first_day((MIDNIGHT + 5.0, MIDNIGHT + 9e9), [], 8.0) == MIDNIGHT
    assert first_day(None, [incident("a", 7)], 8.0) == MIDNIGHT
    assert first_day(None, [], 8.0) == 0.0


def test_what_lies_outside_the_day_is_left_out():
    made = make_day(MIDNIGHT, [Observation("a", MIDNIGHT - 1, 1.0), Observation("a", MIDNIGHT + DAY, 2.0)], [])
    assert Replay(made, 60.0, 0.0, 0.0).is_empty


def test_values_fall_due_as_the_clock_advances_and_only_once():
    replay = Replay(day(1, 2, 3), speed=3600.0, begin=0.0, origin=100.0)
    assert values(replay.due(100.5)) == []
    assert values(replay.due(102.0)) == [1, 2]
    assert values(replay.due(102.0)) == []
    assert values(replay.due(103.0)) == [3]
    assert replay.told_until() == MIDNIGHT + 3 * 3600


def test_the_day_begins_again_after_midnight():
    replay = Replay(day(0, 1, 23), speed=3600.0, begin=22 * 3600.0, origin=0.0)
    assert values(replay.due(2.0)) == [23]
    assert values(replay.due(2.5)) == [0]
    assert values(replay.due(3.0)) == [1]
    assert values(replay.due(24.0 + 3.0)) == [23, 0, 1]


def test_a_clock_that_slept_for_days_tells_one_day_at_most():
    replay = Replay(day(1, 2), speed=3600.0, begin=0.0, origin=0.0)
    assert values(replay.due(24.0 * 100)) == [1, 2]


def test_a_clock_that_goes_back_tells_nothing_twice():
    replay = Replay(day(1, 2), speed=3600.0, begin=0.0, origin=0.0)
    assert values(replay.due(1.5)) == [1]
    assert values(replay.due(0.5)) == []
    assert values(replay.due(2.5)) == [2]


def test_incidents_come_with_the_observations_of_their_hour():
    replay = Replay(day(1, incidents=[incident("late", 5), incident("early", 2)]), 3600.0, 0.0, 0.0)
    assert [i.oid for i in replay.due(3.0).incidents] == ["early"]
    assert [i.oid for i in replay.due(6.0).incidents] == ["late"]


def test_before_the_first_value_a_stream_stands_at_its_days_last():
    at_noon = Replay(day(6, 18), 60.0, 12 * 3600.0, 0.0).standing()
    at_dawn = Replay(day(6, 18), 60.0, 3 * 3600.0, 0.0).standing()
    assert at_noon["gauge"][1] == 6
    assert at_dawn["gauge"][1] == 18


def test_a_measured_stream_is_no_longer_replayed():
    replay = Replay(day(1, 2), 3600.0, 0.0, 0.0)
    replay.muted.add("gauge")
    assert not replay.due(5.0)


@pytest.mark.parametrize(("told", "expected"), [(0.0, 1.0), (1.0, 1.0), (2.0, 2.0)])
def test_the_wait_ends_when_the_next_thing_falls_due(told, expected):
    replay = Replay(day(1, 2, incidents=[incident("a", 4)]), 3600.0, 0.0, 0.0)
    replay.due(told)
    assert math.isclose(replay.wait(longest=100.0), expected)
    assert replay.wait(longest=0.25) == 0.25
