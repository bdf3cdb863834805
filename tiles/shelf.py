"""Files named by their bytes: what was written once serves every version that needs it, and every client that has it.

Next to the contents lies what was learned while they were made, under the digest of all it depends on, so that the
next run makes only what changed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from tiles.compress import write_all

_DIGITS = 24


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of contents and of notes.

    root        the folder; contents lie in <root>/content/<two digits>/, notes in <root>/made/
    quality     brotli quality of the copies beside the contents
    """

    root: Path
    quality: int | None = 5

    def put(self, data: bytes, suffix: str, copies: bool = True) -> tuple[str, int]:
        """(name, bytes that travel) of `data`; a content that is there is not written again.

        copies  with compressed copies beside it, where they gain; what was packed before gains too little
        """
        name = digest(data) + suffix
        path = self.path(name)
        if self.has(name) and path.stat().st_size == len(data):
            return name, self.wire(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        if copies:
            write_all(beside, data, self.quality)
        else:
            beside.write_bytes(data)
        # The plain file comes last: where it is, its copies are.
        for copy in (".br", ".gz", ""):
            there = beside.with_name(beside.name + copy)
            if there.exists():
                there.replace(path.with_name(path.name + copy))
        return name, self.wire(name)

    def has(self, name: str) -> bool:
        """Whether a content is there."""
        return self.path(name).is_file()

    def path(self, name: str) -> Path:
        """Where a content lies."""
        return self.root / address(name)

    def wire(self, name: str) -> int:
        """Bytes of a content that travel to a browser."""
        path = self.path(name)
        sizes = (path.with_name(path.name + copy) for copy in ("", ".br", ".gz"))
        return min(size.stat().st_size for size in sizes if size.exists())

    def note(self, key: str) -> Path:
        """Where the note of what was made under a digest lies, be it there or not."""
        return self.root / "made" / f"{key}.arrow"

    def keep_note(self, key: str, data: bytes) -> None:
        """Write a note; it is there whole or not at all."""
        path = self.note(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_bytes(data)
        beside.replace(path)


def digest(*parts: bytes) -> str:
    """Hexadecimal name of bytes: BLAKE2b, 96 bits."""
    found = hashlib.blake2b(digest_size=_DIGITS // 2)
    for part in parts:
        found.update(part)
    return found.hexdigest()


def address(name: str) -> str:
    """Path of a content below the folder of all tiles."""
    return f"content/{name[:2]}/{name}"
