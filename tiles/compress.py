"""Files beside their ready-compressed copies, so that the server sends bytes and never works for them."""

from __future__ import annotations

import gzip
from pathlib import Path

import brotli

LEAST_GAIN = 0.03
"""A copy that saves less than this share is not kept: the client would wait for nothing."""


def write_all(path: Path, data: bytes, quality: int | None = 5) -> int:
    """Write `data` at `path` with `.br` and `.gz` copies where they gain; the bytes that travel to a browser.

    quality     brotli quality, None for gzip alone; then gzip takes more care, being all there is
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    copies = {".gz": gzip.compress(data, compresslevel=6 if quality is None else 4, mtime=0)}
    if quality is not None:
        copies[".br"] = brotli.compress(data, quality=quality, lgwin=22)
    wire = len(data)
    for suffix, packed in copies.items():
        if len(packed) < len(data) * (1.0 - LEAST_GAIN):
            path.with_name(path.name + suffix).write_bytes(packed)
            wire = min(wire, len(packed))
    return wire
