"""What archives can do wrongly: leave their folder, unpack without end, point elsewhere."""

from __future__ import annotations

import zipfile
from collections.abc import Callable

from tests.robustness.city import Seed
from tests.robustness.mutators import Cases, Mutator, bomb, instead, over, patch, rezipped, zipped
from tests.robustness.seeds import seeds


def _members(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Mutator:
    """The shapefile of the seed in an archive of other members."""
    return lambda seed: {seed.target: zipped(change(dict(seeds()["shp"].files)))}


def _entry(change: Callable[[zipfile.ZipInfo], None]) -> Mutator:
    return lambda seed: {seed.target: zipped(dict(seeds()["shp"].files), change)}


def _link(entry: zipfile.ZipInfo) -> None:
    entry.create_system, entry.external_attr = 3, 0o120777 << 16


def _renamed(seed: Seed, template: str) -> dict[str, bytes]:
    return {seed.target: zipped({template.format(name): data for name, data in seeds()["shp"].files.items()})}


ZIP: Cases = {
    **{
        f"named-{word}": (lambda seed, word=word: _renamed(seed, word))
        for word in (
            "../{}",
            "/etc/{}",
            "a/../../{}",
            "..\\{}",
            "C:\\{}",
            "a\x01{}",
            "平城/{}",
            "a b/🏯{}",
            "__MACOSX/{}",
            "./{}",
        )
    },
    "long-names": lambda seed: _renamed(seed, "x" * 300 + "{}"),
    "links": _entry(_link),
    "stranger-beside": _members(lambda files: files | {"../../evil.sh": b"rm"}),
    "bomb": lambda seed: {seed.target: bomb(b"", b"\x00", 1500)},
    "bomb-beside": _members(lambda files: files | {"b.sbn": bytes(200_000_000)}),
    "20000-members": _members(lambda files: files | {f"x{k}": b"" for k in range(20_000)}),
    "two-sets": _members(lambda files: files | {"c.gpkg": b"x"}),
    "no-set": _members(lambda files: {"read.me": b"hello"}),
    "only-shp": _members(lambda files: {"b.shp": files["b.shp"]}),
    "no-members": _members(lambda files: {}),
    "zip-in-zip": _members(lambda files: {"b.zip": zipped(files)}),
    "shp-cut": over("", lambda data: rezipped(data, lambda name, body: body[:200] if name.endswith(".shp") else body)),
    "dbf-cut": over("", lambda data: rezipped(data, lambda name, body: body[:50] if name.endswith(".dbf") else body)),
    "checksum": over("", lambda data: patch(data, 14, b"\x00\x01\x02\x03")),
    "size-claims": over("", lambda data: patch(data, data.rindex(b"PK\x01\x02") + 24, b"\xff\xff\xff\x7f")),
    "offset-claims": over("", lambda data: patch(data, data.rindex(b"PK\x01\x02") + 42, b"\xff\xff\xff\x7f")),
    "count-claims": over("", lambda data: patch(data, data.rindex(b"PK\x05\x06") + 10, b"\xff\xff")),
    "encrypted": over("", lambda data: patch(patch(data, 6, b"\x01"), data.index(b"PK\x01\x02") + 8, b"\x01")),
    "method-unknown": over("", lambda data: patch(data, data.index(b"PK\x01\x02") + 10, b"\x63")),
    "comment": over("", lambda data: data[:-2] + b"\xff\xff"),
    "head-before": over("", lambda data: b"#!/bin/sh\n" + data),
    **instead(
        {
            "gzip": b"\x1f\x8b\x08" + bytes(50),
            "7z": b"7z\xbc\xaf\x27\x1c" + bytes(50),
            "empty": b"",
            "tar": bytes(10240),
        }
    ),
}

ARCHIVES: dict[str, Cases] = {"zip": ZIP}
