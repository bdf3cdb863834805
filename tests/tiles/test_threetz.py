"""The archive of a city's tilesets: its index finds every member, and what it holds is sound."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile

import pytest

from tests.tiles.test_publish import QUICK, make_city
from tiles.archive.threetz import write_3tz
from tiles.publish import build
from tiles.reading.archive import INDEX
from tiles.validity import check_tileset
from twin.cli import main
from twin.workers import Workers


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    city = make_city(tmp_path_factory.mktemp("threetz"))
    build(city, QUICK, Workers(1))
    return city


def looked_up(data, index, name):
    """A member by the rules for readers: the row of its hash by bisection, then the local header at the offset."""
    wanted = struct.unpack("<QQ", hashlib.md5(name.encode()).digest())
    rows = [struct.unpack_from("<QQQ", index, at) for at in range(0, len(index), 24)]
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if rows[middle][:2] < wanted else (low, middle)
    assert rows[low][:2] == wanted
    at = rows[low][2]
    magic, _, flags, method, _, _, crc, packed, size, letters, extra = struct.unpack_from("<IHHHHHIIIHH", data, at)
    assert (magic, flags & 8, method, packed) == (0x04034B50, 0, 0, size)
    assert data[at + 30 : at + 30 + letters].decode() == name
    return data[at + 30 + letters + extra :][:size], crc


def test_every_member_is_found_through_the_index(city, tmp_path):
    count = write_3tz(city, tmp_path / "c.3tz")
    data = (tmp_path / "c.3tz").read_bytes()
    with zipfile.ZipFile(tmp_path / "c.3tz") as file:
        names = file.namelist()
        assert (names[0], names[-1], len(names)) == ("tileset.json", INDEX, count + 1)
        index = file.read(INDEX)
        assert len(index) == 24 * count
        for name in names[:-1]:
            assert looked_up(data, index, name) == (file.read(name), file.getinfo(name).CRC)
    write_3tz(city, tmp_path / "again.3tz")
    assert (tmp_path / "again.3tz").read_bytes() == data


def test_what_an_archive_holds_is_a_sound_tileset_of_all_tilesets(city, tmp_path):
    assert main(["export", str(city.root), "--format", "3tz", str(tmp_path / "c.3tz")]) == 0
    report = check_tileset(tmp_path / "c.3tz", khronos=False)
    assert report.outcomes == ()
    with zipfile.ZipFile(tmp_path / "c.3tz") as file:
        document = json.loads(file.read("tileset.json"))
    assert [child["content"]["uri"] for child in document["root"]["children"]] == [
        "l2/tileset.json",
        "l3/tileset.json",
    ]


def test_an_area_without_tiles_is_told(city, tmp_path, capsys):
    words = ["export", str(city.root), "--format", "3tz", "--bbox", "0", "0", "1", "1", str(tmp_path / "c.3tz")]
    assert main(words) == 2
    assert "no tileset is published there" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
