"""Published tiles on disk: versions in folders of their own, a small file that names the present one, shared contents.

tiles/current.json      {"version": ...}, replaced whole: the switch
tiles/<version>/        documents, terrain and pictures of a version, and its manifest
tiles/content/xx/       contents of tilesets under the hash of their bytes, kept as long as a version names them
tiles/made/             what was learned while they were made, under the digest of what it depends on
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from pathlib import Path

from twin.store.catalog import write_atomic
from twin.store.protocol import MANIFEST

_SHELVES = ("content", "made")


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
        damaged = home / f".staging-damaged-{os.getpid()}"
        if target.exists():
            target.replace(damaged)
        staging.replace(target)
        shutil.rmtree(damaged, ignore_errors=True)
    write_atomic(home / "current.json", json.dumps({"version": version}).encode())
    keep = {version, before[0] if before else version}
    for folder in home.iterdir():
        if folder.is_dir() and folder.name not in (*keep, *_SHELVES):
            shutil.rmtree(folder)
    _sweep(home, [home / name for name in sorted(keep)])
    return target


def current(home: Path) -> tuple[str, Path] | None:
    """(version, folder) of the published tiles; None where nothing is published."""
    pointer = home / "current.json"
    if not pointer.exists():
        return None
    version = str(json.loads(pointer.read_text(encoding="utf-8"))["version"])
    return version, home / version


def _sweep(home: Path, versions: list[Path]) -> None:
    """Files on the shelves that no version names are let go."""
    named: set[str] = set()
    for folder in versions:
        manifest = folder / MANIFEST
        if manifest.is_file():
            told = json.loads(manifest.read_bytes())
            named.update(*(told[shelf] for shelf in _SHELVES))
    for shelf in _SHELVES:
        for path in (home / shelf).rglob("*"):
            if path.is_file() and path.name.removesuffix(".gz").removesuffix(".br") not in named:
                path.unlink()


def _same_files(a: Path, b: Path) -> bool:
    """True where two folders hold the same names and bytes."""
    names = [sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()) for root in (a, b)]
    return names[0] == names[1] and not filecmp.cmpfiles(a, b, names[0], shallow=False)[1]
