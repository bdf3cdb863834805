"""Files beside their ready-compressed copies, so that the server sends bytes and never works for them."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import brotli

LEAST_GAIN = 0.03
"""A copy that saves less than this share is not kept: the client would wait for nothing."""


def write_all(path: Path, data: bytes, quality: int = 5) -> int:
    """Write `data` at `path` with `.br` and `.gz` copies where they gain; the bytes that travel to a browser.

    quality     brotli quality; gzip uses level 6 with no time inside, so the same data gives the same bytes
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    small = brotli.compress(data, quality=quality, lgwin=22)
    zipped = gzip.compress(data, compresslevel=6, mtime=0)
    limit = len(data) * (1.0 - LEAST_GAIN)
    if len(small) < limit:
        path.with_name(path.name + ".br").write_bytes(small)
    if len(zipped) < limit:
        path.with_name(path.name + ".gz").write_bytes(zipped)
    return min(len(small), len(data)) if len(small) < limit else len(data)


def weight(path: Path) -> int:
    """Bytes on the wire of a published file: its brotli copy where there is one."""
    copy = path.with_name(path.name + ".br")
    return os.path.getsize(copy if copy.exists() else path)
