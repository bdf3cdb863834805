"""Checks of published files: names that are hashes, copies that unpack to the file beside them, a whole manifest."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import brotli

from tiles.checks.findings import Findings, load_json
from tiles.opening import read_opening
from tiles.shelf import digest
from twin.errors import StoreError
from twin.store.protocol import MANIFEST
from twin.workers import Workers

_COPIES = (".gz", ".br")
_BATCH = 64


def check_shelf(version: Path, met: Iterable[str], workers: Workers, found: Findings) -> None:
    """Contents on the shelf beside a version: all that its manifest names, and all that its tilesets met is named.

    met     absolute paths of the files that the tilesets refer to
    """
    shelf = version.parent / "content"
    if not (version / MANIFEST).is_file():
        return
    manifest = load_json(version / MANIFEST, MANIFEST, found)
    if not isinstance(manifest, dict):
        return
    named = set(manifest.get("content", []))
    there = {path.name: path for path in sorted(shelf.rglob("*")) if path.is_file()}
    for name in sorted(named - there.keys()):
        found.fault(MANIFEST, f"names {name}, which is not on the shelf", "SHELF_INVALID")
    used = {Path(name).name for name in met if Path(name).is_relative_to(shelf)}
    for name in sorted(used - named):
        found.fault(MANIFEST, f"does not name {name}, which a tileset refers to", "SHELF_INVALID")
    spare = sum(1 for name in there if _plain(name) not in _all_named(version.parent))
    if spare:
        found.remark(f"{spare} files on the shelf are named by no version; the next publishing sweeps them")
    check_files(shelf, workers, found, named_by_hash=True)


def check_opening(folder: Path, told: Iterable[Mapping[str, Any] | None], found: Findings) -> None:
    """Opening packs of a version: each file in them is that which lies beside the pack.

    told    entries of build.json; "opening" names the pack where there is one
    """
    for name in sorted({str(entry["opening"]) for entry in told if entry and "opening" in entry}):
        found.checked += 1
        home = (folder / name).parent
        try:
            for file, data in read_opening(folder / name):
                path = home / file
                same = path.resolve().is_relative_to(home.resolve()) and path.is_file() and path.read_bytes() == data
                found.require(same, name, f"{file} differs from the file beside the pack")
        except (OSError, StoreError) as error:
            found.fault(name, str(error))


def _plain(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".br")


def _all_named(home: Path) -> set[str]:
    named: set[str] = set()
    for path in sorted(home.glob(f"*/{MANIFEST}")):
        told = json.loads(path.read_bytes())
        named.update(told.get("content", []))
    return named


def check_files(folder: Path, workers: Workers, found: Findings, named_by_hash: bool = False) -> None:
    """Every compressed copy in a folder holds the bytes of the file beside it; where asked, names are hashes."""
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and (named_by_hash or p.suffix in _COPIES)]
    parts = [paths[at : at + _BATCH] for at in range(0, len(paths), _BATCH)]
    for part in workers.map(partial(_check_part, folder=folder, named_by_hash=named_by_hash), parts):
        found.take(part)


def _check_part(paths: list[Path], folder: Path, named_by_hash: bool) -> Findings:
    found = Findings("files")
    for path in paths:
        where = str(path.relative_to(folder.parent))
        try:
            data = path.read_bytes()
            if path.suffix in _COPIES:
                whole = gzip.decompress(data) if path.suffix == ".gz" else brotli.decompress(data)
                same = whole == path.with_suffix("").read_bytes()
                found.require(same, where, "differs from the file beside it", "SHELF_INVALID")
                found.count("compressed_copies")
            elif named_by_hash:
                found.require(
                    digest(data) == path.stem, where, "its name is not the hash of its bytes", "SHELF_INVALID"
                )
                found.count("shelf_files")
        except (OSError, EOFError, ValueError, brotli.error) as error:
            found.fault(where, f"does not unpack: {error}", "SHELF_INVALID")
    return found
