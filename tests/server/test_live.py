import asyncio
import json

import pytest

from server.app import context_of, create_app
from tests.server.asgi import ask, client_of, listening, running
from tests.server.conftest import MIDNIGHT

HOUR = 60.0  # seconds of the clock at the default speed of 60


def advance(app, clock, seconds) -> None:
    clock.now += seconds
    context_of(app).desk.advance(clock.now)


def started(city, settings, clock):
    app = create_app(city, settings, clock=clock)
    context_of(app).desk.start(clock.now)
    return app


@pytest.fixture
def live(small_city, settings, clock):
    return started(small_city, settings(), clock)


def test_things_carry_their_streams_and_last_values(live):
    body = ask(live, "/live/things").json()
    thing = body["things"][0]
    assert (thing["oid"], thing["target_oid"], thing["height"]) == ("t1", "b1", 1027.5)
    level, rain = thing["datastreams"]
    assert level["last"] == {"time": "2026-06-21T12:00:00+08:00", "value": 3.0, "level": "warn"}
    assert (level["warn"], level["alarm"]) == (3.0, 5.0)
    assert rain["warn"] is None
    assert rain["last"]["level"] == "normal"


def test_the_snapshot_stands_at_the_replays_beginning(live):
    body = ask(live, "/live/latest").json()
    assert body["seq"] == 0
    assert body["values"] == {
        "s1": ["2026-06-21T12:00:00+08:00", 3.0],
        "s2": ["2026-06-21T11:10:00+08:00", 11.0],
    }
    assert body["replay"] == {"speed": 60.0, "time": "2026-06-21T12:00:00+08:00"}
    assert list(ask(live, "/live/latest?ids=s2,nobody").json()["values"]) == ["s2"]


def test_the_day_arrives_as_events_in_order(live, clock):
    async def listen():
        async with listening(live) as stream:
            advance(live, clock, 1.5 * HOUR)
            return stream.status, stream.headers, await stream.read(4)

    status, headers, events = asyncio.run(listen())
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert headers["cache-control"] == "no-store"
    assert "content-encoding" not in headers
    assert [e["id"] for e in events] == ["1", "2", "3", "4"]
    assert [e["event"] for e in events] == ["observation", "observation", "observation", "incident"]
    first = json.loads(events[0]["data"])
    assert first == {
        "datastream": "s2",
        "thing": "t1",
        "time": "2026-06-21T12:10:00+08:00",
        "value": 12.0,
        "level": "normal",
    }
    assert json.loads(events[1]["data"])["level"] == "warn"
    assert json.loads(events[3]["data"])["oid"] == "i1"


def test_topics_choose_and_a_first_comment_opens_the_stream(live, clock):
    async def listen():
        async with listening(live, query="topics=incidents") as stream:
            opening = (await stream.blocks(1))[0]
            advance(live, clock, 3 * HOUR)
            return opening, await stream.read(1)

    opening, events = asyncio.run(listen())
    assert opening == "retry: 3000"
    assert events[0]["event"] == "incident"


def test_a_silent_stream_beats(live):
    async def listen():
        async with listening(live) as stream:
            return await stream.blocks(4)

    assert asyncio.run(listen())[1:] == [": ", ": ", ": "]


def test_from_the_snapshot_on_nothing_is_missed_or_doubled(live, clock):
    async def listen():
        advance(live, clock, HOUR)
        async with client_of(live) as client:
            snapshot = (await client.get("/live/latest")).json()
        advance(live, clock, HOUR)
        async with listening(live, query=f"last_event_id={snapshot['seq']}") as stream:
            advance(live, clock, HOUR)
            return snapshot["seq"], await stream.read(5)

    seq, events = asyncio.run(listen())
    assert [int(e["id"]) for e in events] == list(range(seq + 1, seq + 6))


def test_the_header_of_a_reconnect_wins_over_the_parameter(live, clock):
    async def listen():
        advance(live, clock, 4 * HOUR)
        async with listening(live, headers={"Last-Event-ID": "5"}, query="last_event_id=2") as stream:
            return await stream.read(1)

    assert asyncio.run(listen())[0]["id"] == "6"


def test_a_client_from_before_a_restart_is_told_of_the_gap(small_city, settings, clock):
    app = create_app(small_city, settings(), clock=clock, first_seq=1_000_000)

    async def listen():
        async with listening(app, headers={"Last-Event-ID": "17"}) as stream:
            return await stream.read(1)

    gap = asyncio.run(listen())[0]
    assert (gap["event"], gap["id"]) == ("gap", "1000000")
    assert json.loads(gap["data"]) == {"from": 18, "to": 1_000_000, "snapshot": "/live/latest"}


def test_two_hundred_listeners_hear_everything_and_leave_nothing_behind(live, clock):
    async def listen():
        hub = context_of(live).hub
        async with asyncio.TaskGroup() as group:
            ready, go = asyncio.Semaphore(0), asyncio.Event()

            async def one() -> list[str]:
                async with listening(live) as stream:
                    ready.release()
                    await go.wait()
                    return [e["id"] for e in await stream.read(10, timeout=20)]

            tasks = [group.create_task(one()) for _ in range(200)]
            for _ in range(200):
                await ready.acquire()
            assert hub.clients == 200
            advance(live, clock, 6 * HOUR)
            assert hub.waiting <= 200 * 512
            go.set()
        return [task.result() for task in tasks], hub.clients

    heard, left = asyncio.run(listen())
    assert all(ids == [str(k) for k in range(1, 11)] for ids in heard)
    assert left == 0


def test_a_listener_that_does_not_read_stays_bounded(small_city, settings, clock):
    app = started(small_city, settings(client_queue=4), clock)
    listener = context_of(app).hub.subscribe(["observations"])
    for _ in range(48):
        advance(app, clock, HOUR)
        assert len(listener) <= 4
    assert listener.coalesced > 0


def test_one_listener_too_many_is_asked_to_come_later(small_city, settings):
    app = create_app(small_city, settings(max_clients=1))

    async def listen():
        async with listening(app), client_of(app) as client:
            return await client.get("/live/events")

    answer = asyncio.run(listen())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_running_app_tells_the_day_by_itself(small_city, settings):
    app = create_app(small_city, settings(replay_speed=36_000.0))

    async def listen():
        async with running(app), listening(app, query="last_event_id=0") as stream:
            return await stream.read(5)

    assert [e["id"] for e in asyncio.run(listen())] == ["1", "2", "3", "4", "5"]


def test_a_server_that_goes_down_ends_its_streams(live):
    async def listen():
        async with listening(live) as stream:
            context_of(live).hub.close()
            await asyncio.sleep(0.05)
            return stream

    asyncio.run(listen())
    assert context_of(live).hub.clients == 0


def test_a_posted_value_is_stored_published_and_beats_the_replay(own_city, settings, clock):
    app = started(own_city, settings(), clock)

    async def post():
        async with listening(app) as stream, client_of(app) as client:
            row = {"datastream": "s1", "time": "2026-06-21T20:00:00+08:00", "value": 5.5}
            answer = await client.post("/live/observations", json=row)
            return answer, await stream.read(1)

    answer, events = asyncio.run(post())
    assert answer.status_code == 201
    assert answer.json() == {"accepted": 1, "seq": 1}
    assert json.loads(events[0]["data"])["level"] == "alarm"
    assert ask(app, "/live/latest").json()["values"]["s1"] == ["2026-06-21T20:00:00+08:00", 5.5]
    assert [v for t, v in own_city.store.live.series("s1") if t == MIDNIGHT + 20 * 3600] == [5.5]
    advance(app, clock, 3 * HOUR)
    assert ask(app, "/live/latest").json()["values"]["s1"][1] == 5.5
    again = create_app(own_city, settings(), clock=clock)
    assert "s1" in context_of(again).desk.latest


def test_a_batch_is_taken_whole_or_not_at_all(own_city, settings):
    app = create_app(own_city, settings(replay=False))
    rows = [{"datastream": "s1", "time": MIDNIGHT + 90_000 + k, "value": k} for k in range(100)]
    good = ask(app, "/live/observations", "POST", json={"observations": rows})
    assert good.json()["accepted"] == 100
    assert ask(app, "/live/latest").json()["values"]["s1"][1] == 99
    bad = [*rows[:1], {"datastream": "nobody", "time": 0, "value": 0}]
    before = len(own_city.store.live.series("s1"))
    assert ask(app, "/live/observations", "POST", json={"observations": bad}).status_code == 422
    assert len(own_city.store.live.series("s1")) == before


def test_a_late_value_is_history_and_no_news(own_city, settings):
    app = create_app(own_city, settings(replay=False))
    row = {"datastream": "s1", "time": MIDNIGHT + 60, "value": 7.5}
    answer = ask(app, "/live/observations", "POST", json=row)
    assert answer.json() == {"accepted": 1, "seq": 0}
    assert ask(app, "/live/latest").json()["values"]["s1"][1] == 23 / 4
    assert 7.5 in own_city.store.live.series("s1")[:, 1]


def test_incidents_are_listed_newest_first_and_filtered(live):
    body = ask(live, "/incidents").json()
    assert [i["oid"] for i in body["incidents"]] == ["i1", "i2"]
    assert body["incidents"][0]["time"] == "2026-06-21T13:01:00+08:00"
    assert [i["oid"] for i in ask(live, "/incidents?status=closed").json()["incidents"]] == ["i2"]
    assert [i["oid"] for i in ask(live, "/incidents?severity=2").json()["incidents"]] == ["i1"]
    assert ask(live, "/incidents?severity=9").status_code == 400


def test_health_and_figures(live, own_city, settings):
    assert ask(live, "/healthz").json()["status"] == "ok"
    assert ask(live, "/readyz").json() == {"status": "ok", "checks": {"store": True, "tiles": True, "live": True}}
    unready = ask(create_app(own_city, settings()), "/readyz")
    assert (unready.status_code, unready.json()["checks"]["tiles"]) == (503, False)
    text = ask(live, "/metrics").text
    assert "# TYPE twin_live_clients gauge\ntwin_live_clients 0\n" in text
