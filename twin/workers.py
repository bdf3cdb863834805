"""Who does the work: this process, several processes, or a Dask cluster; the call is the same."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from twin.errors import MissingInputError

A = TypeVar("A")
B = TypeVar("B")

Tell = Callable[[str, int, int], None]


class Workers:
    """Maps a function over items in order, and tells how far the work is.

    n       number of processes; 1 works in this process
    tell    called with (label, done, total)
    dask    address of a Dask scheduler; then the items go there instead
    """

    def __init__(self, n: int = 1, tell: Tell | None = None, dask: str = "") -> None:
        self.n = max(1, int(n))
        self.dask = dask
        self._tell = tell
        self._pool: ProcessPoolExecutor | None = None
        self._alive: Connection | None = None
        self._client: Any = None

    def tell(self, label: str, done: int, total: int) -> None:
        """Pass progress on: `done` of `total` items of `label`."""
        if self._tell is not None:
            self._tell(label, done, total)

    def map(self, fn: Callable[[A], B], items: Iterable[A], label: str = "", total: int | None = None) -> Iterator[B]:
        """Results of `fn` in the order of `items`; at most 4 n results wait at a time, so memory stays flat.

        fn and items must be picklable where n > 1. The first exception of `fn` is raised here. Where `total`, the
        number of items, is given, they are taken one by one as there is room, and none is kept.
        """
        if total is None:
            items = list(items)
            total = len(items)
        if (self.n == 1 and not self.dask) or total <= 1:
            results: Iterator[B] = map(fn, items)
        else:
            results = self._spread(fn, items)
        for done, result in enumerate(results, start=1):
            if label:
                self.tell(label, done, total)
            yield result

    def _spread(self, fn: Callable[[A], B], work: Iterable[A]) -> Iterator[B]:
        pool = self._executor()
        waiting = []
        for item in work:
            waiting.append(pool.submit(fn, item))
            if len(waiting) >= 4 * self.n:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()

    def prepare(self, modules: Sequence[str]) -> None:
        """Let the server that processes are forked from begin to import what they will need, while this one goes on.

        Only the first call of a program counts; processes that are there already import for themselves.
        """
        if self.n > 1 and not self.dask and self._pool is None and modules:
            multiprocessing.get_context("forkserver").set_forkserver_preload([*modules])
            forkserver.ensure_running()

    def start(self) -> None:
        """Have processes there; blocks until what `prepare` asked for is imported, so call it in a thread."""
        if self.n > 1 and not self.dask:
            pool = self._executor()
            for future in [pool.submit(int) for _ in range(self.n)]:
                future.result()

    @property
    def started(self) -> bool:
        """Whether items would go to other processes that are there already."""
        return bool(self.dask) or self._pool is not None

    def _executor(self) -> Any:
        if self.dask:
            if self._client is None:
                try:
                    from distributed import Client
                except ImportError as error:
                    raise MissingInputError(
                        "--dask needs the package distributed: pip install pingcheng[dask]"
                    ) from error

                self._client = Client(self.dask)
            return self._client
        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            reader, self._alive = context.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(
                self.n, mp_context=context, initializer=_end_with_parent, initargs=(reader,)
            )
        return self._pool

    def close(self) -> None:
        """Let the processes go."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool, self._alive = None, None
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end_with_parent(alive: Connection) -> None:
    """End this process when the run that started it is gone; else a killed run leaves its workers waiting for ever."""

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            alive.recv()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
