"""3D Tiles archives (.3tz): the index of a ZIP file, and members through it.

source  3D Tiles Archive Format 1.3, https://github.com/erikdahlstrom/3tz-specification
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from twin.errors import SourceError

INDEX = "@3dtilesIndex1@"
ROW = np.dtype([("low", "<u8"), ("high", "<u8"), ("offset", "<u8")])
"""One row of the index: MD5 of the path as two little-endian halves, offset of the member's local header."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 93)
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_LOCAL_MAGIC = 0x04034B50


class Archive:
    """An open archive; use it in a `with`.

    raises  SourceError where the file is no ZIP
    """

    def __init__(self, path: Path) -> None:
        try:
            self.zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise SourceError(f"{path.name} is no ZIP archive ({error})") from error
        self.members = self.zip.infolist()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.zip.close()

    def read(self, name: str, most: int) -> bytes:
        """A member of at most `most` bytes; SourceError where it is missing, too large or does not unpack."""
        try:
            member = self.zip.getinfo(name)
        except KeyError as error:
            raise SourceError("does not exist") from error
        if member.file_size > most:
            raise SourceError(f"is larger than {most} bytes")
        try:
            return self.zip.read(member)
        except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            # zipfile says RuntimeError of a member under a password and of a method of compression it does not know.
            raise SourceError(f"does not unpack ({error})") from error

    def index(self) -> NDArray[np.void]:
        """Rows of the index member, as `ROW`; SourceError where there is none or it is no whole number of rows."""
        data = self.read(INDEX, 1 << 31)
        if len(data) % ROW.itemsize:
            raise SourceError(f"{len(data)} bytes are no whole number of rows of {ROW.itemsize}")
        return np.frombuffer(data, ROW)


def wanted_index(members: list[zipfile.ZipInfo]) -> NDArray[np.void]:
    """The index that members of an archive should have: sorted by the low, then the high half of the hash."""
    rows = np.empty(len(members), ROW)
    for k, member in enumerate(members):
        low, high = struct.unpack("<QQ", hashlib.md5(member.filename.encode(), usedforsecurity=False).digest())
        rows[k] = (low, high, member.header_offset)
    return rows[np.lexsort((rows["high"], rows["low"]))]


def local_sizes(path: Path, member: zipfile.ZipInfo) -> tuple[int, int, int]:
    """(CRC-32, packed size, size) as the local header of a member says; SourceError where there is no header."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        data = file.read(_LOCAL.size)
    if len(data) < _LOCAL.size or _LOCAL.unpack(data)[0] != _LOCAL_MAGIC:
        raise SourceError("has no local header where the directory says")
    fields = _LOCAL.unpack(data)
    return fields[6], fields[7], fields[8]
