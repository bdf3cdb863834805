"""What belongs to a delivered file: the parts of a Shapefile, the world file of a picture, what a mesh wears."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from twin.errors import SourceError
from twin.store.catalog import digest_of

_WORLD = {".tif": ".tfw", ".tiff": ".tfw", ".jpg": ".jgw", ".jpeg": ".jgw", ".png": ".pgw", ".jp2": ".j2w"}
_GRIDS = (".asc", ".img", ".bil", ".flt", ".dem", ".grd", ".hgt", ".vrt")
COMPANIONS = {
    ".shp": (".dbf", ".shx", ".prj", ".cpg"),
    ".tab": (".dat", ".map", ".id", ".ind"),
    ".mif": (".mid",),
    **{
        suffix: (world, ".wld", ".prj", f"{suffix}.aux.xml", f"{suffix}.ovr", f"{suffix}.msk")
        for suffix, world in _WORLD.items()
    },
    **{suffix: (".prj", ".hdr", f"{suffix}.aux.xml") for suffix in _GRIDS},
}
_WEARING = ("mesh", "citymodel")
# Models name their materials, buffers and pictures themselves: what lies beside or below and can be one of these.
MODELS = (".obj", ".gltf", ".gml", ".xml", ".json", ".jsonl")
WORN = (".mtl", ".bin", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tga")
_PLACE, _ABOVE = "metadata.xml", 3


def with_companions(paths: Iterable[Path], kind: str = "") -> list[Path]:
    """The files, those that belong to them, and all below what is a folder; sorted, each once.

    kind    of the source: with a mesh or a city model goes what it wears (materials, buffers, pictures), and the
            metadata.xml that says where it stands
    """
    found: set[Path] = set()
    beside: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_dir():
            found |= {inner for inner in path.rglob("*") if inner.is_file()}
            continue
        found.add(path)
        wanted = {(path.stem + suffix).casefold() for suffix in COMPANIONS.get(path.suffix.lower(), ())}
        if wanted:
            files = beside.setdefault(path.parent, list(path.parent.iterdir()))
            found |= {file for file in files if file.name.casefold() in wanted and file.is_file()}
        if kind in _WEARING:
            found |= _worn(path)
    return sorted(found)


def fingerprint(path: Path) -> str:
    """Content hash of a delivered file, 32 hex digits; SourceError where the disk does not give it."""
    try:
        return digest_of(path)
    except OSError as err:
        raise SourceError(f"{path}: cannot be read ({err.strerror}); see to its rights and its disk") from err


def _worn(path: Path) -> set[Path]:
    above = [folder / _PLACE for folder in list(path.resolve().parents)[: _ABOVE + 1]]
    found = {file for file in above if file.is_file()}
    if path.suffix.lower() not in MODELS:
        return found
    for folder, inner, names in os.walk(path.parent):
        # The store and other hidden folders are none of the delivery.
        inner[:] = [name for name in inner if not name.startswith(".")]
        found |= {Path(folder, name) for name in names if name.lower().endswith(WORN)}
    return found
