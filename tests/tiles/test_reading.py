"""Members of an archive that do not unpack: one line each, whatever is wrong with them."""

from __future__ import annotations

import struct
import zipfile

import pytest

from tiles.reading.archive import Archive
from twin.errors import SourceError

TEXT = b"a tileset of many words, " * 40


def spoiled(path, change):
    """An archive of one member whose bytes `change` spoils; both headers name the same place of flags and method."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tileset.json", TEXT)
    data = bytearray(path.read_bytes())
    central = data.rfind(b"PK\x01\x02")
    change(data, 0, central)
    path.write_bytes(data)
    return path


def under_a_password(data, local, central):
    for at in (local + 6, central + 8):
        struct.pack_into("<H", data, at, 1)


def of_an_unknown_method(data, local, central):
    for at in (local + 8, central + 10):
        struct.pack_into("<H", data, at, 97)


def of_spoiled_bytes(data, local, central):
    start = local + 30 + len("tileset.json")
    data[start : start + 8] = b"\xff" * 8


@pytest.mark.parametrize("change", [under_a_password, of_an_unknown_method, of_spoiled_bytes])
def test_a_member_that_does_not_unpack_is_one_line(tmp_path, change):
    place = spoiled(tmp_path / "city.3tz", change)
    with Archive(place) as archive, pytest.raises(SourceError, match="does not unpack"):
        archive.read("tileset.json", 1 << 20)
