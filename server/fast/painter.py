"""Pictures that are painted when somebody asks: in a bounded number of threads, once for all who wait, then kept."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from server.errors import BusyError

_OVERHEAD = 512


@dataclass(frozen=True, slots=True)
class Painted:
    """A picture ready to be sent, with the strong entity tag of its bytes."""

    body: bytes
    etag: str


class Painter:
    """Paints by key, and keeps the bytes; the least recently asked for go first when they exceed the bound.

    threads     that paint at a time; 0 takes one for each core
    waiting     most pictures in work or in the queue; more are refused with BusyError
    bound       bytes that are kept
    """

    def __init__(self, threads: int, waiting: int, bound: int) -> None:
        self.hits = 0
        self.painted = 0
        self.refused = 0
        self.held = 0
        self._waiting = waiting
        self._bound = bound
        self._kept: OrderedDict[Hashable, Painted] = OrderedDict()
        self._open: dict[Hashable, Future[Painted]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="painter")

    async def get(self, key: Hashable, paint: Callable[[], bytes]) -> Painted:
        """The picture of a key, kept or painted; who leaves meanwhile does not take it from the others.

        raises  BusyError where too many wait; the error of `paint`, which is not kept
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self.hits += 1
                self._kept.move_to_end(key)
                return kept
            future = self._open.get(key) or self._begin(key, paint)
        return await asyncio.shield(asyncio.wrap_future(future))

    def _begin(self, key: Hashable, paint: Callable[[], bytes]) -> Future[Painted]:
        if len(self._open) >= self._waiting:
            self.refused += 1
            raise BusyError(f"{len(self._open)} pictures are being painted; try again later", retry_after=1)
        future = self._open[key] = self._pool.submit(self._paint, key, paint)
        return future

    def close(self) -> None:
        """Paint nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _paint(self, key: Hashable, paint: Callable[[], bytes]) -> Painted:
        try:
            body = paint()
            painted = Painted(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')
        finally:
            with self._lock:
                del self._open[key]
        with self._lock:
            self.painted += 1
            self._keep(key, painted)
        return painted

    def _keep(self, key: Hashable, painted: Painted) -> None:
        if key not in self._kept:
            self._kept[key] = painted
            self.held += len(painted.body) + _OVERHEAD
        while self.held > self._bound and self._kept:
            self.held -= len(self._kept.popitem(last=False)[1].body) + _OVERHEAD
