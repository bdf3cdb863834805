import asyncio
import json

import pytest

from server.errors import BusyError
from server.live.hub import HEARTBEAT, TOPICS, Hub


def make(window=100, queue=8, max_clients=300, first_seq=0) -> Hub:
    return Hub(window=window, queue=queue, max_clients=max_clients, first_seq=first_seq)


def frames(chunk: bytes) -> list[tuple[int, str, dict]]:
    told = []
    for block in chunk.decode().split("\n\n"):
        if block and not block.startswith(":"):
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            told.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return told


def test_events_arrive_in_order_with_growing_numbers():
    hub = make(first_seq=41)
    listener = hub.subscribe(TOPICS)
    for value in range(3):
        hub.publish("observations", f"s{value}", {"value": value})
    assert [(seq, name, data["value"]) for seq, name, data in frames(listener.take())] == [
        (42, "observation", 0),
        (43, "observation", 1),
        (44, "observation", 2),
    ]


def test_a_listener_hears_only_its_topics():
    hub = make()
    listener = hub.subscribe(["incidents"])
    hub.publish("observations", "a", {})
    hub.publish("incidents", "fire", {})
    assert [(seq, name) for seq, name, _ in frames(listener.take())] == [(2, "incident")]


def test_resuming_from_the_snapshot_has_no_hole_and_no_double():
    hub = make()
    hub.publish("observations", "a", {"value": 1})
    seen = hub.seq
    hub.publish("observations", "a", {"value": 2})
    hub.publish("observations", "b", {"value": 3})
    listener = hub.subscribe(TOPICS, last_id=seen)
    hub.publish("observations", "c", {"value": 4})
    assert [seq for seq, *_ in frames(listener.take())] == [2, 3, 4]


def test_resuming_at_the_last_event_brings_nothing_old():
    hub = make()
    hub.publish("observations", "a", {})
    assert hub.subscribe(TOPICS, last_id=hub.seq).take() == b""


@pytest.mark.parametrize("last_id", [0, 3, 10_000])
def test_a_number_outside_the_window_is_answered_by_a_gap(last_id):
    hub = make(window=4)
    for index in range(10):
        hub.publish("observations", f"s{index}", {})
    listener = hub.subscribe(TOPICS, last_id=last_id)
    hub.publish("observations", "new", {})
    (gap_id, name, gap), *rest = frames(listener.take())
    assert (gap_id, name) == (10, "gap")
    assert gap == {"from": min(last_id + 1, 10), "to": 10, "snapshot": "/live/latest"}
    assert [seq for seq, *_ in rest] == [11]


def test_the_oldest_event_of_the_window_can_still_be_resumed():
    hub = make(window=4)
    for index in range(10):
        hub.publish("observations", f"s{index}", {})
    assert [seq for seq, *_ in frames(hub.subscribe(TOPICS, last_id=6).take())] == [7, 8, 9, 10]


def test_a_slow_listener_keeps_the_latest_value_of_each_stream():
    hub = make(queue=8)
    listener = hub.subscribe(TOPICS)
    for value in range(100):
        hub.publish("observations", f"s{value % 2}", {"value": value})
        assert len(listener) <= 8
    told = frames(listener.take())
    assert all(name == "observation" for _, name, _ in told)
    assert [data["value"] for *_, data in told][-2:] == [98, 99]
    assert [seq for seq, *_ in told] == sorted(seq for seq, *_ in told)
    assert listener.coalesced > 0


def test_a_listener_with_more_streams_than_room_is_told_of_the_gap():
    hub = make(queue=8)
    listener = hub.subscribe(TOPICS)
    for value in range(20):
        hub.publish("observations", f"s{value}", {"value": value})
        assert len(listener) <= 8
    told = frames(listener.take())
    assert told[0][1] == "gap"
    assert told[0][2]["from"] == 1
    lost_until = told[0][2]["to"]
    assert [seq for seq, *_ in told[1:]] == list(range(lost_until + 1, 21))
    assert listener.gaps >= 1


def test_one_client_more_than_allowed_is_refused():
    hub = make(max_clients=2)
    first, _ = hub.subscribe(TOPICS), hub.subscribe(TOPICS)
    with pytest.raises(BusyError):
        hub.subscribe(TOPICS)
    hub.leave(first)
    assert hub.clients == 1
    hub.subscribe(TOPICS)


def test_a_silent_stream_beats_and_a_closed_one_ends():
    async def listen() -> list[bytes]:
        hub = make()
        listener = hub.subscribe(TOPICS)
        chunks = []
        async for chunk in listener.stream(heartbeat=0.01):
            chunks.append(chunk)
            if len(chunks) == 2:
                hub.publish("observations", "a", {})
                hub.close()
        return chunks

    chunks = asyncio.run(listen())
    assert chunks[:2] == [HEARTBEAT, HEARTBEAT]
    assert b"event: observation" in chunks[2]
    assert len(chunks) == 3
