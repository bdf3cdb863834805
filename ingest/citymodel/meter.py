"""Reading XML in steps: a file that refuses to be read without end, and names without namespaces."""

from __future__ import annotations

from typing import Any, BinaryIO

from twin.errors import SourceError

MEMBER_LIMIT = 64 * 2**20


class Meter:
    """The file, that refuses to go on when too much was read since `since` was set back to 0."""

    def __init__(self, file: BinaryIO, shown: str) -> None:
        self._file, self._shown, self.since = file, shown, 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        # The parser scans a long token again with each block of it: blocks grow with it.
        block = self._file.read(max(size, self.since // 8))
        self.since += len(block)
        if self.since > MEMBER_LIMIT:
            raise SourceError(f"{self._shown}: one city object of more than {MEMBER_LIMIT >> 20} MiB of XML; split it")
        return block


def local(tag: Any) -> str:
    """The name of an element without its namespace; "" for comments and instructions."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
