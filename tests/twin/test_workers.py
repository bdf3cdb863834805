"""Work given out: in order, and taken up only as there is room."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from twin.workers import Workers


@pytest.mark.parametrize("n", [1, 2])
def test_items_are_taken_as_there_is_room_where_their_number_is_told(n):
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for taken in range(1, 41):
            yield -taken

    told: list[tuple[str, int, int]] = []
    with Workers(n, lambda *words: told.append(words)) as workers:
        found = workers.map(abs, items(), "work", 40)
        assert next(found) == 1
        assert taken <= 4 * n
        assert list(found) == list(range(2, 41))
    assert told == [("work", done, 40) for done in range(1, 41)]


def test_processes_have_at_hand_what_was_prepared():
    """In a program of its own, since the first server that processes are forked from counts."""
    text = (
        "from twin.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    with Workers(2) as workers:\n"
        "        workers.prepare(['colorsys', 'no_such_module'])\n"
        "        asked = [f'{name!r} in __import__(\"sys\").modules' for name in ('colorsys', 'sndhdr')]\n"
        "        print(*workers.map(eval, asked))\n"
    )
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == ["True", "False"]
