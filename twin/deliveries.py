"""What belongs to a delivered file: the parts of a Shapefile, the world file of a picture, all below a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

COMPANIONS = {
    ".shp": (".dbf", ".shx", ".prj", ".cpg"),
    ".tif": (".tfw", ".prj", ".tif.aux.xml"),
    ".jpg": (".jgw", ".prj", ".jpg.aux.xml"),
    ".png": (".pgw", ".prj", ".png.aux.xml"),
    ".asc": (".prj",),
    ".obj": (".mtl",),
}


def with_companions(paths: Iterable[Path]) -> list[Path]:
    """The files, those that belong to them, and all below what is a folder; sorted, each once."""
    found: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found |= {inner for inner in path.rglob("*") if inner.is_file()}
            continue
        suffixes = COMPANIONS.get(path.suffix.lower(), ())
        beside = (path.with_suffix(kind) for suffix in suffixes for kind in (suffix, suffix.upper()))
        found |= {path, *(other for other in beside if other.is_file())}
    return sorted(found)
