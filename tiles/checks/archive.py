"""Checks of a 3D Tiles archive: its ZIP, its index, its names.

source  3D Tiles Archive Format 1.3
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tiles.checks.findings import Findings
from tiles.reading.archive import INDEX, METHODS, Archive, local_sizes, wanted_index
from twin.errors import SourceError

_NESTED = (".3tz", ".3dtiles.zip")
_ISSUE = "ARCHIVE_INVALID"


def check_archive(path: Path, found: Findings) -> bool:
    """Everything about the container that can be wrong; False where it cannot be opened at all."""
    where = path.name
    try:
        with Archive(path) as archive:
            _check(archive, path, where, found)
    except SourceError as error:
        found.fault(where, str(error), _ISSUE)
        return False
    return True


def _check(archive: Archive, path: Path, where: str, found: Findings) -> None:
    members = archive.members
    names = [member.filename for member in members]
    found.count("archive_members", len(members))
    found.require("tileset.json" in names, where, "has no tileset.json at its root", _ISSUE)
    found.require(len(set(names)) == len(names), where, "holds a name twice", _ISSUE)
    for member in members:
        nested = any(word in member.filename for word in _NESTED)
        found.require(not nested, where, f"holds another archive, {member.filename}", _ISSUE)
        outside = member.filename.startswith("/") or "\\" in member.filename or ".." in member.filename.split("/")
        found.require(not outside, where, f"holds the name {member.filename!r}", _ISSUE)
        known = member.compress_type in METHODS
        found.require(known, where, f"{member.filename} is packed by method {member.compress_type}", _ISSUE)
        _local(archive, path, member.filename, found)
    if not found.require(INDEX in names, where, f"has no index {INDEX}", _ISSUE):
        return
    last = members[-1]
    found.require(last.filename == INDEX, where, "the index is not the last entry of the directory", _ISSUE)
    entry = archive.zip.getinfo(INDEX)
    found.require(entry.compress_type == 0 and not entry.comment, where, "the index is packed or commented", _ISSUE)
    try:
        index = archive.index()
    except SourceError as error:
        found.fault(where, f"index: {error}", _ISSUE)
        return
    wanted = wanted_index([member for member in members if member.filename != INDEX])
    found.require(np.array_equal(index, wanted), where, "the index is not that of its members", _ISSUE)


def _local(archive: Archive, path: Path, name: str, found: Findings) -> None:
    member = archive.zip.getinfo(name)
    try:
        told = local_sizes(path, member)
    except SourceError as error:
        found.fault(path.name, f"{name} {error}", _ISSUE)
        return
    same = told == (member.CRC, member.compress_size, member.file_size)
    found.require(same, path.name, f"the local header of {name} has other sizes than the directory", _ISSUE)
