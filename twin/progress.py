"""Progress for a person: one moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_WIDTH = 24


class Progress:
    """Called with (label, done, total); draws on standard error so that results stay clean."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._label = ""
        self._began: dict[str, float] = {}
        self._drawn = 0.0

    def __call__(self, label: str, done: int, total: int) -> None:
        """Show that `done` of `total` of `label` is behind us."""
        now = time.monotonic()
        seconds = now - self._began.setdefault(label, now)
        if label != self._label:
            self._end_line()
            self._label, self._drawn = label, 0.0
            if not self._live and done == 0:
                self._stream.write(f"{label} ...\n")
        finished = done >= total
        if self._live and (finished or now - self._drawn > 0.1):
            self._drawn = now
            share = done / total if total else 1.0
            bar = "█" * round(share * _WIDTH)
            self._stream.write(f"\r{label} {bar:<{_WIDTH}} {share:4.0%} {seconds:6.1f} s")
            self._stream.flush()
        elif finished and not self._live and total > 0:
            self._stream.write(f"{label} {done}/{total} ({seconds:.1f} s)\n")
        if finished:
            self._end_line()
            self._began.pop(label, None)

    def _end_line(self) -> None:
        if self._live and self._label:
            self._stream.write("\n")
        self._label = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_line()
