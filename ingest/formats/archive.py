"""ZIP and KMZ deliveries: the one data set inside, unpacked within bounds into a folder that goes away again."""

from __future__ import annotations

import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ingest.reading import listed
from twin.errors import SourceError

ARCHIVE_SUFFIXES = frozenset({".zip", ".kmz"})
DATA_SUFFIXES = frozenset(
    {".shp", ".gpkg", ".geojson", ".json", ".fgb", ".kml", ".gml", ".sqlite", ".tab", ".parquet", ".geoparquet"}
)
UNPACKED_LIMIT = 8 * 2**30
SMALL, PACKED = 64 * 2**20, 100
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError, ValueError)


@contextmanager
def unpacked(path: Path, layer: str, shown: str) -> Iterator[Path]:
    """The data set of an archive as a file, with the files that stand beside it under the same stem.

    layer   which, by its stem, where the archive holds several
    raises  SourceError for what is no sound ZIP; for members that leave the archive, are links, are encrypted or come
            twice; for one that unpacks beyond UNPACKED_LIMIT or a hundred times its size; for no or several data sets
    """
    with tempfile.TemporaryDirectory(prefix="pingcheng-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = _members(archive, path.stat().st_size, shown)
                chosen = _choose(members, layer, shown)
                for name, entry in members.items():
                    if name.parent == chosen.parent and name.stem.partition(".")[0] == chosen.stem.partition(".")[0]:
                        with archive.open(entry) as packed, (Path(folder) / name.name).open("wb") as plain:
                            shutil.copyfileobj(packed, plain, 2**20)
        except _BROKEN as err:
            word = (str(err).splitlines() or [type(err).__name__])[0][:120]
            raise SourceError(f"{shown}: no archive that can be unpacked ({word}); ask for it again") from err
        yield Path(folder) / chosen.name


def _members(archive: zipfile.ZipFile, size: int, shown: str) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Files of the archive by name."""
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = PurePosixPath(_name(entry))
        wrong = _wrong(entry, name)
        if wrong or name in found:
            raise SourceError(f"{shown}: member {str(name)[:80]!r} {wrong or 'is there twice'}; refused, pack it again")
        if not entry.is_dir() and name.parts[0] != "__MACOSX":
            found[name] = entry
    whole, limit = sum(entry.file_size for entry in found.values()), min(UNPACKED_LIMIT, max(SMALL, PACKED * size))
    if whole > limit:
        raise SourceError(f"{shown}: unpacks to {whole >> 20} MiB, more than {limit >> 20}; deliver the files unpacked")
    return found


def _name(entry: zipfile.ZipInfo) -> str:
    """The name as its author wrote it: without the flag for UTF-8 it is in the code page of a Chinese Windows."""
    if entry.flag_bits & 0x800 or entry.filename.isascii():
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("gb18030")
    except UnicodeError:
        return entry.filename


def _wrong(entry: zipfile.ZipInfo, name: PurePosixPath) -> str:
    if name.is_absolute() or ".." in name.parts or not name.parts or any(c in str(name) for c in "\\:\0"):
        return "leaves the archive"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link"
    return "is encrypted" if entry.flag_bits & 0x1 else ""


def _choose(members: dict[PurePosixPath, zipfile.ZipInfo], layer: str, shown: str) -> PurePosixPath:
    sets = sorted(name for name in members if name.suffix.lower() in DATA_SUFFIXES)
    named = [name for name in sets if name.stem == layer] if len(sets) > 1 and layer else sets
    if len(named) != 1:
        has = listed(map(str, sets)) or f"none, but {listed(map(str, members)) or 'no file'}"
        raise SourceError(f'{shown}: the archive wants one data set, it has {has}; name one with layer = "..."')
    return named[0]
