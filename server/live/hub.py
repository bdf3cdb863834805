"""The hub: one sequence of live events, pushed to every listener through its own bounded queue.

An event is encoded once and shared by all listeners. A listener that falls behind first loses values that a newer one
of the same stream has replaced; where that is not enough it is told of the gap and takes the snapshot again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from server.errors import BusyError

TOPICS = ("observations", "incidents")
_EVENT_NAME = {"observations": "observation", "incidents": "incident"}
HEARTBEAT = b": \n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: its number, topic, the stream it belongs to, and its frame on the wire."""

    seq: int
    topic: str
    key: str
    frame: bytes


def encode(seq: int, name: str, payload: Mapping[str, Any]) -> bytes:
    """An event as WHATWG server-sent events write it; JSON holds no line break, so one data line is enough."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, name.encode(), orjson.dumps(payload))


class Listener:
    """One client's queue of events it has not yet taken; never longer than `bound`."""

    def __init__(self, topics: frozenset[str], bound: int) -> None:
        self.topics = topics
        self.bound = bound
        self.coalesced = 0
        self.gaps = 0
        self.closed = False
        self._waiting: deque[Event] = deque()
        self._gap: tuple[int, int] | None = None
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, event: Event) -> None:
        """Queue an event of a topic the client asked for."""
        if event.topic not in self.topics or self.closed:
            return
        if len(self._waiting) >= self.bound:
            self._make_room()
        self._waiting.append(event)
        self._ready.set()

    def miss(self, first: int, last: int) -> None:
        """Tell the client that events first..last are lost to it."""
        self._gap = (min(first, self._gap[0]) if self._gap else first, last)
        self.gaps += 1
        self._ready.set()

    def close(self) -> None:
        """End the client's stream once it has taken what is queued."""
        self.closed = True
        self._ready.set()

    def take(self) -> bytes:
        """Everything queued as one chunk of the stream, oldest first; empty where nothing is queued."""
        frames: list[bytes] = []
        if self._gap is not None:
            first, last = self._gap
            lost = {"from": first, "to": last, "snapshot": "/live/latest"}
            frames.append(encode(last, "gap", lost))
            self._gap = None
        frames.extend(event.frame for event in self._waiting)
        self._waiting.clear()
        self._ready.clear()
        if self.closed:
            self._ready.set()
        return b"".join(frames)

    async def stream(self, heartbeat: float) -> AsyncIterator[bytes]:
        """Chunks of the event stream until the hub closes; a comment after every `heartbeat` seconds of silence."""
        while not (self.closed and not self._waiting):
            try:
                await asyncio.wait_for(self._ready.wait(), heartbeat)
            except TimeoutError:
                yield HEARTBEAT
                continue
            if chunk := self.take():
                yield chunk

    def _make_room(self) -> None:
        latest = {event.key: event for event in self._waiting}
        kept = sorted(latest.values(), key=lambda event: event.seq)
        # Half a queue of room, or the next event would sort everything again.
        if len(kept) <= self.bound // 2:
            self.coalesced += len(self._waiting) - len(kept)
            self._waiting = deque(kept)
            return
        first, last = self._waiting[0].seq, self._waiting[-1].seq
        self._waiting.clear()
        self.miss(first, last)


class Hub:
    """Numbers events, remembers the last `window` of them for reconnects, and offers each to every listener.

    first_seq   number before the first event; an operator passes a clock so that numbers grow across restarts
    """

    def __init__(self, *, window: int, queue: int, max_clients: int, first_seq: int = 0) -> None:
        self.seq = first_seq
        self.published = 0
        self.refused = 0
        self._gaps_left = 0
        self._queue = queue
        self._max_clients = max_clients
        self._window: deque[Event] = deque(maxlen=window)
        self._listeners: set[Listener] = set()

    @property
    def clients(self) -> int:
        """Number of open streams."""
        return len(self._listeners)

    @property
    def waiting(self) -> int:
        """Events waiting in all queues."""
        return sum(len(listener) for listener in self._listeners)

    @property
    def gaps(self) -> int:
        """Gaps told so far, to clients that have left included."""
        return self._gaps_left + sum(listener.gaps for listener in self._listeners)

    @property
    def listeners(self) -> Iterable[Listener]:
        """The open streams, in no order."""
        return tuple(self._listeners)

    def publish(self, topic: str, key: str, payload: Mapping[str, Any]) -> Event:
        """Number an event, remember it, offer it to all; `key` names what a newer event of the same key replaces."""
        self.seq += 1
        self.published += 1
        event = Event(self.seq, topic, key, encode(self.seq, _EVENT_NAME[topic], payload))
        self._window.append(event)
        for listener in self._listeners:
            listener.offer(event)
        return event

    def subscribe(self, topics: Iterable[str], last_id: int | None = None) -> Listener:
        """A listener that continues after event `last_id`, or from now on where None.

        raises  BusyError where as many clients as allowed are listening
        """
        if len(self._listeners) >= self._max_clients:
            self.refused += 1
            raise BusyError(f"{self._max_clients} clients are listening; the server takes no more", retry_after=10)
        listener = Listener(frozenset(topics), self._queue)
        if last_id is not None and last_id != self.seq:
            self._resume(listener, last_id)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener; nothing where it is not known."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._gaps_left += listener.gaps

    def close(self) -> None:
        """End every stream, for a server that goes down."""
        for listener in self._listeners:
            listener.close()

    def _resume(self, listener: Listener, last_id: int) -> None:
        oldest = self._window[0].seq if self._window else self.seq + 1
        if last_id > self.seq or last_id < oldest - 1:
            # A number from before the window, or from a server that no longer is.
            listener.miss(min(last_id + 1, self.seq), self.seq)
            return
        missed = islice(self._window, last_id + 1 - oldest, None)
        for event in missed:
            listener.offer(event)
