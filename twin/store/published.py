"""Published tiles on disk: versions in folders of their own, a small file that names the present one, shared contents.

tiles/current.json      {"version": ...}, replaced whole: the switch
tiles/<version>/        what a version tells of itself, its manifest, and a link to each of its parts
tiles/part/<name>-<key>/  terrain, pictures, documents of a tileset under the digest of what they were made from
tiles/content/xx/       contents of tilesets under the hash of their bytes, kept as long as a version names them
tiles/made/             what was learned while they were made, under the digest of what it depends on
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from twin.store.catalog import write_atomic
from twin.store.protocol import MANIFEST

_SHELVES = ("content", "made")
_PARTS = "part"


def stage(home: Path) -> Path:
    """A fresh empty folder beside the published tiles."""
    home.mkdir(parents=True, exist_ok=True)
    staging = home / f".staging-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    return staging


def publish(home: Path, staging: Path, version: str) -> Path:
    """Make the staged folder the published one; the version before it stays for clients that still read it."""
    before = current(home)
    target = home / version
    if target.exists() and _same_files(target, staging):
        shutil.rmtree(staging)
    else:
        _replace(home, target, staging)
    write_atomic(home / "current.json", json.dumps({"version": version}).encode())
    keep = {version, before[0] if before else version}
    for folder in home.iterdir():
        if folder.is_dir() and folder.name not in (*keep, *_SHELVES, _PARTS):
            shutil.rmtree(folder)
    _sweep(home, [home / name for name in sorted(keep)])
    return target


def shelve(home: Path, folder: Path, key: str) -> str:
    """Move a finished folder to the parts, where it has its name and `key`; its name there."""
    part = f"{folder.name}-{key}"
    target = home / _PARTS / part
    target.parent.mkdir(exist_ok=True)
    if target.exists() and _same_files(target, folder):
        shutil.rmtree(folder)
    else:
        _replace(home, target, folder)
    return part


def has_part(home: Path, part: str) -> bool:
    """Whether a part is there; "" is one without files."""
    return not part or (home / _PARTS / part).is_dir()


def link(place: Path, part: str) -> None:
    """Let `place`, in the folder of a version, stand for a part."""
    place.symlink_to(Path("..") / _PARTS / part, target_is_directory=True)


def parts(folder: Path) -> list[Path]:
    """The parts that a version links to, where they lie."""
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.resolve() for path in there if path.is_symlink())


def _replace(home: Path, target: Path, staged: Path) -> None:
    damaged = home / f".staging-damaged-{os.getpid()}"
    if target.exists():
        target.replace(damaged)
    staged.replace(target)
    shutil.rmtree(damaged, ignore_errors=True)


def current(home: Path) -> tuple[str, Path] | None:
    """(version, folder) of the published tiles; None where nothing is published."""
    pointer = home / "current.json"
    if not pointer.exists():
        return None
    version = str(json.loads(pointer.read_text(encoding="utf-8"))["version"])
    return version, home / version


def _sweep(home: Path, versions: list[Path]) -> None:
    """Files on the shelves that no version names are let go, and parts that none links to."""
    named: dict[str, set[str]] = {shelf: set() for shelf in _SHELVES}
    linked = {part.name for folder in versions for part in parts(folder)}
    for folder in versions:
        manifest = folder / MANIFEST
        if manifest.is_file():
            told = json.loads(manifest.read_bytes())
            for shelf, names in named.items():
                names.update(told.get(shelf, ()))
    for shelf in _SHELVES:
        for path in _files(home / shelf):
            if os.path.basename(path).removesuffix(".gz").removesuffix(".br") not in named[shelf]:
                os.unlink(path)
    if (home / _PARTS).is_dir():
        for part in (home / _PARTS).iterdir():
            if part.name not in linked:
                shutil.rmtree(part)


def _files(folder: Path) -> Iterator[str]:
    """Paths of all files below, by the kernel's lists alone: a shelf holds tens of thousands."""
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names)


def _same_files(a: Path, b: Path) -> bool:
    """True where two folders hold the same names, bytes and links."""
    names = [sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()) for root in (a, b)]
    links = [{str(p.relative_to(root)): p.readlink() for p in root.rglob("*") if p.is_symlink()} for root in (a, b)]
    same = names[0] == names[1] and links[0] == links[1]
    return same and not filecmp.cmpfiles(a, b, names[0], shallow=False)[1]
