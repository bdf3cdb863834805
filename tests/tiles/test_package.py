"""Packages of an area: signed, verified, as deltas; what they hold is a sound tileset."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace

import pytest

from tests.tiles.test_publish import QUICK, grown, make_city
from tiles.archive.keys import new_key
from tiles.archive.package import LIST, SIGNATURE, Wish, weigh, write_package
from tiles.archive.unpack import unpack
from tiles.publish import build
from tiles.validity import check_tileset
from twin.cli import main
from twin.errors import OptionsError, SourceError
from twin.workers import Workers


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(city, key, public key, a package of all of it)."""
    folder = tmp_path_factory.mktemp("packed")
    city = make_city(folder / "city")
    build(city, QUICK, Workers(1))
    key = folder / "key.pem"
    public = new_key(key)
    write_package(city, Wish(), folder / "all.pkg", key)
    return city, key, public, folder / "all.pkg"


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_package_unpacks_to_a_sound_city_and_the_same_city_gives_the_same_bytes(place, tmp_path):
    city, key, public, package = place
    told = unpack(package, tmp_path / "there", public)
    assert told.key == public
    version = json.loads((tmp_path / "there/tiles/current.json").read_bytes())["version"]
    home = tmp_path / "there" / "tiles" / version
    for name in ("l2", "l3"):
        assert check_tileset(home / name / "tileset.json", khronos=False).outcomes == ()
    layer = json.loads((home / "terrain/layer.json").read_bytes())
    assert (home / "terrain/0/1/0.terrain").is_file()
    assert len(layer["available"]) == 13
    again = tmp_path / "again.pkg"
    write_package(city, Wish(), again, key)
    assert again.read_bytes() == package.read_bytes()
    assert weigh(city, Wish()).size == sum(len(data) for data in files(tmp_path / "there").values()) - (
        (tmp_path / "there" / LIST).stat().st_size
    )


def test_an_area_holds_its_own_tiles_and_they_are_sound(place, tmp_path):
    city, key, _, package = place
    west, south, east, north = json.loads((city.store.current_tiles()[1] / "build.json").read_bytes())["tilesets"][0][
        "bounds"
    ]
    middle = ((west + east) / 2, (south + north) / 2)
    told = write_package(city, Wish((west, south, *middle)), tmp_path / "part.pkg", key)
    whole = zipfile.ZipFile(package).namelist()
    assert 10 < told.listed < len(whole) - 2
    unpack(tmp_path / "part.pkg", tmp_path / "there")
    home = next((tmp_path / "there" / "tiles").glob("*/build.json")).parent
    report = check_tileset(home / "l2" / "tileset.json", khronos=False)
    assert report.outcomes == ()
    bounds = json.loads((home / "build.json").read_bytes())["imagery"][0]["bounds"]
    assert bounds[2:] == pytest.approx(middle, abs=1e-6)


def test_pictures_that_the_server_paints_are_painted_into_the_package(place, tmp_path):
    _, key, _, package = place
    city = make_city(tmp_path / "city", n=5)
    build(city, replace(QUICK, imagery=replace(QUICK.imagery, mode="fly")), Workers(1))
    write_package(city, Wish(), tmp_path / "fly.pkg", key)
    seen = []
    for path in (package, tmp_path / "fly.pkg"):
        with zipfile.ZipFile(path) as file:
            seen.append({n.partition("/imagery/")[2]: file.read(n) for n in file.namelist() if n.endswith(".webp")})
    assert seen[0] == seen[1] != {}


def test_a_delta_holds_what_changed_and_goes_over_the_package_before(place, tmp_path):
    _, key, public, package = place
    changed = make_city(tmp_path / "city")
    build(changed, QUICK, Workers(1))
    grown(changed)
    build(changed, QUICK, Workers(1))
    delta = write_package(changed, Wish(since=package), tmp_path / "delta.pkg", key)
    whole = write_package(changed, Wish(), tmp_path / "whole.pkg", key)
    assert 0 < delta.held < whole.held / 2
    assert delta.listed == whole.listed
    unpack(package, tmp_path / "there", public)
    unpack(tmp_path / "delta.pkg", tmp_path / "there", public)
    unpack(tmp_path / "whole.pkg", tmp_path / "alone", public)
    got, wanted = files(tmp_path / "there"), files(tmp_path / "alone")
    assert {**got, LIST: b""} == {**wanted, LIST: b""}
    with pytest.raises(SourceError, match="unpack the one before first"):
        unpack(tmp_path / "delta.pkg", tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def rewritten(package, out, change):
    """The package with one member changed."""
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out


def test_what_was_changed_or_cut_is_refused_in_one_line_and_nothing_is_left(place, tmp_path):
    _, _, public, package = place
    other = "00" * 32
    cut = tmp_path / "cut.pkg"
    cut.write_bytes(package.read_bytes()[: package.stat().st_size // 2])
    listed = rewritten(package, tmp_path / "a.pkg", lambda n, d: d.replace(b"sample", b"simple") if n == LIST else d)
    signed = rewritten(
        package, tmp_path / "b.pkg", lambda n, d: d.replace(public.encode(), other.encode()) if n == SIGNATURE else d
    )
    tile = rewritten(package, tmp_path / "c.pkg", lambda n, d: d[:-1] + b"!" if n.endswith(".glb") else d)
    longer = rewritten(package, tmp_path / "d.pkg", lambda n, d: d + b"!" if n.endswith("layer.json") else d)
    cases = (
        (cut, "", "was cut"),
        (listed, "", "signature does not hold"),
        (signed, "", "signature does not hold"),
        (tile, "", "is not what was signed"),
        (longer, "", "is not what was signed"),
        (package, other, "not by the key that is trusted"),
        (tmp_path / "none.pkg", "", "is no package"),
    )
    for path, trusted, words in cases:
        with pytest.raises(SourceError, match=words) as told:
            unpack(path, tmp_path / "there", trusted)
        assert "\n" not in str(told.value)
    assert not (tmp_path / "there").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_folder_of_something_else_is_not_touched(place, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(OptionsError, match="holds no package"):
        unpack(place[3], tmp_path / "mine")
    assert files(tmp_path / "mine") == {"letter.txt": b"dear"}


def test_the_command_line_makes_a_key_weighs_packs_and_unpacks(place, tmp_path, capsys):
    root = tmp_path / "city"
    shutil.copytree(place[0].root, root, symlinks=True)
    assert main(["package", str(root), str(tmp_path / "x.pkg")]) == 2
    assert "no key to sign with" in capsys.readouterr().err
    assert main(["package", str(root), "--new-key", str(root / "key.pem")]) == 0
    public = capsys.readouterr().out.split()[-1]
    with (root / "city.toml").open("a", encoding="utf-8") as file:
        file.write('[package]\nkey = "key.pem"\n')
    assert main(["package", str(root), "--dry-run"]) == 0
    assert main(["package", str(root), str(tmp_path / "x.pkg")]) == 0
    assert main(["unpack", str(tmp_path / "there"), str(tmp_path / "x.pkg"), "--key", public]) == 0
    assert public in capsys.readouterr().out
    assert main(["package", str(root), "--new-key", str(root / "key.pem")]) == 2
