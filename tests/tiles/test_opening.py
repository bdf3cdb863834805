"""Opening packs: coarse files of a pyramid as one file, the same bytes as the files beside it."""

from __future__ import annotations

import json

import pytest

from tests.tiles.test_publish import make_city
from tiles.archive.cut import published_members
from tiles.opening import FILE, around, read_opening, write_opening
from tiles.publish import TileOptions, build
from tiles.validity import check_tiles
from twin.errors import StoreError
from twin.workers import Workers


@pytest.fixture
def pyramid(tmp_path):
    for k in range(4):
        (tmp_path / str(k)).mkdir()
        (tmp_path / str(k) / "0.bin").write_bytes(bytes([k]) * 1000)
    return tmp_path


NAMES = [f"{k}/0.bin" for k in range(4)]


def test_a_pack_holds_the_first_files_that_fit(pyramid):
    assert write_opening(pyramid, NAMES, most=2500) == FILE
    assert list(read_opening(pyramid / FILE)) == [(f"{k}/0.bin", bytes([k]) * 1000) for k in range(2)]
    assert (pyramid / f"{FILE}.br").stat().st_size < 200


def test_what_travels_compressed_counts_compressed(pyramid):
    for name in NAMES:
        (pyramid / f"{name}.gz").write_bytes(b"x" * 100)
    write_opening(pyramid, NAMES, most=399)
    assert len(list(read_opening(pyramid / FILE))) == 3


def test_no_pack_where_nothing_fits(pyramid):
    assert write_opening(pyramid, NAMES, most=500) is None
    assert not (pyramid / FILE).exists()


@pytest.mark.parametrize(
    "data", [b"", b"opg2\2\0\0\0[]", b"opg1\x10\0\0\0[[", b'opg1\x0b\0\0\0[["a",900]]abc', b"opg1\3\0\0\0[3]"]
)
def test_what_is_no_pack_is_told_in_a_line(tmp_path, data):
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(StoreError, match=r"opening\.pack: is no opening pack"):
        list(read_opening(tmp_path / FILE))


def test_the_nearest_tiles_come_first_and_far_ones_not_at_all():
    places = [(x, y) for x in range(10) for y in range(10)]
    assert around(places, (4.5, 4.5)) == [(4, 4)] + [(x, y) for x in (3, 4, 5) for y in (3, 4, 5) if (x, y) != (4, 4)]
    assert sorted(around(places, (4.0, 4.0))) == [(3, 3), (3, 4), (4, 3), (4, 4)]


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    found = make_city(tmp_path_factory.mktemp("opening") / "town", 60)
    build(found, TileOptions(), Workers(1))
    return found


def test_a_published_city_has_packs_that_its_check_believes_only_as_long_as_they_are_true(city):
    folder = city.store.current_tiles()[1]
    told = json.loads((folder / "build.json").read_bytes())
    packs = [told["terrain"]["opening"], told["imagery"][0]["opening"]]
    names = {name for pack in packs for name, _ in read_opening(folder / pack)}
    assert {"layer.json", "0/0/0.terrain", "0/1/0.terrain"} <= names
    assert any(name.endswith(".webp") for name in names)
    assert not [line for line in check_tiles(city, khronos=False).outcomes if "opening" in line.oid]
    pack = folder / packs[0]
    before = pack.read_bytes()
    try:
        pack.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        found = [line for line in check_tiles(city, khronos=False).outcomes if "differs from the file" in line.reason]
        assert "terrain/opening.pack" in [line.oid for line in found]
        pack.write_bytes(before[:-1])
        assert any("is no opening pack" in line.reason for line in check_tiles(city, khronos=False).outcomes)
    finally:
        pack.write_bytes(before)


def test_a_package_goes_without_packs(city, tmp_path):
    version, folder = city.store.current_tiles()
    members = {m.name: m for m in published_members(version, folder, None, city.store, tmp_path)}
    told = json.loads(members[f"tiles/{version}/build.json"].source)
    assert not any(name.endswith(FILE) for name in members)
    assert "opening" not in told["terrain"]
    assert all("opening" not in layer for layer in told["imagery"])
