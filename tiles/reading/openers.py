"""Where the files of a tileset lie: a folder, an address on the web, an archive or a package; read alike.

A name is the whole path or URL of a file; `resolve` makes it from a reference and the file that it stands in.
"""

from __future__ import annotations

import http.client
import os
import sqlite3
import urllib.error
import urllib.request
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit, urlunsplit

from tiles.reading.archive import Archive
from twin.errors import SourceError

MOST_BYTES = 512 * 1024 * 1024
"""A larger file is not read, packed or unpacked."""

_GZIP = b"\x1f\x8b"
_PLAUSIBLE = ("json", "gltf", "octet-stream", "binary", "zip", "mesh")


class Fetched(NamedTuple):
    """Bytes of a file, and what is worth telling of how they came ("" for nothing)."""

    data: bytes
    remark: str = ""


class Opener(Protocol):
    """Reads files of a tileset by name; may be sent to other processes."""

    start: str

    def resolve(self, base: str, reference: str) -> str:
        """The name that a reference in the file `base` means; SourceError where it leads elsewhere."""
        ...

    def read(self, name: str) -> Fetched:
        """The file; SourceError with the reason where it cannot be had."""
        ...

    def label(self, name: str) -> str:
        """The name for messages, short."""
        ...


def opener(place: Path | str, seconds: float = 20.0) -> Opener:
    """The opener of a tileset.json, a folder with one, a .3tz archive, a .3dtiles package, or an http(s) address.

    seconds     that one answer of a server may take
    """
    text = str(place)
    if text.startswith(("http://", "https://")):
        return Web(text, seconds)
    path = Path(place)
    if path.suffix.lower() == ".3tz":
        return Archived(str(path))
    if path.suffix.lower() == ".3dtiles":
        return Packaged(str(path))
    file = path / "tileset.json" if path.is_dir() else path
    return Folder(os.path.abspath(file))


@dataclass(frozen=True, slots=True)
class Folder:
    """Files on disk; `start` is the absolute path of the tileset."""

    start: str

    def resolve(self, base: str, reference: str) -> str:
        """The absolute path that a relative reference means."""
        if "://" in reference or reference.startswith(("/", "data:", "\\")):
            raise SourceError("is not a relative reference")
        return os.path.normpath(os.path.join(os.path.dirname(base), unquote(reference.partition("?")[0])))

    def read(self, name: str) -> Fetched:
        """The file, unpacked where it is stored with gzip."""
        try:
            path = Path(name)
            if not path.is_file():
                raise SourceError("does not exist")
            if path.stat().st_size > MOST_BYTES:
                raise SourceError(f"is larger than {MOST_BYTES} bytes")
            return _unpacked(path.read_bytes())
        except OSError as error:
            raise SourceError(f"cannot be read ({error.strerror})") from error

    def label(self, name: str) -> str:
        """Path relative to the tileset's folder where it lies below it."""
        home = os.path.dirname(self.start)
        return os.path.relpath(name, home) if name.startswith(home + os.sep) else _short(name, home)


def _short(name: str, home: str) -> str:
    shared = os.path.commonpath([name, home])
    return os.path.relpath(name, shared)


@dataclass(frozen=True, slots=True)
class Web:
    """Files behind http or https; `start` is the address of the tileset."""

    start: str
    seconds: float = 20.0

    def resolve(self, base: str, reference: str) -> str:
        """The address that a reference means; the query of the base (a key, a session) goes along, as clients do."""
        if reference.startswith("data:"):
            raise SourceError("is a data URI, which clients do not follow")
        joined = urlsplit(urldefrag(urljoin(base, reference))[0])
        if joined.scheme not in ("http", "https"):
            raise SourceError(f"leads to {joined.scheme}:, which is not followed")
        above = urlsplit(base)
        query = joined.query
        if joined.netloc == above.netloc and above.query:
            kept = [part for part in above.query.split("&") if part not in query.split("&")]
            query = "&".join(filter(None, [query, *kept]))
        return urlunsplit((joined.scheme, joined.netloc, joined.path, query, ""))

    def read(self, name: str) -> Fetched:
        """The body of the answer; redirects are followed, gzip is unpacked."""
        request = urllib.request.Request(name, headers={"Accept-Encoding": "gzip", "User-Agent": "pingcheng-check"})
        try:
            with urllib.request.urlopen(request, timeout=self.seconds) as answer:
                kind = answer.headers.get("Content-Type", "")
                packed = answer.headers.get("Content-Encoding", "") == "gzip"
                data = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise SourceError(
                "does not exist (404)" if error.code == 404 else f"was refused ({error.code} {error.reason})"
            ) from error
        except urllib.error.URLError as error:
            raise SourceError(f"cannot be reached ({error.reason})") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceError(f"cannot be read ({error or type(error).__name__})") from error
        if len(data) > MOST_BYTES:
            raise SourceError(f"is larger than {MOST_BYTES} bytes")
        whole = _unpacked(data)
        told = "" if packed else whole.remark
        if not any(word in kind for word in _PLAUSIBLE):
            told = f"media type {kind or 'missing'!r} is none of glTF, JSON or binary"
        return Fetched(whole.data, told)

    def label(self, name: str) -> str:
        """Address below that of the tileset, without its query."""
        plain = name.partition("?")[0]
        return plain.removeprefix(self.start.partition("?")[0].rpartition("/")[0] + "/")


@dataclass(frozen=True, slots=True)
class Archived:
    """Members of a .3tz archive; names are paths from its root."""

    path: str
    start: str = "tileset.json"

    def resolve(self, base: str, reference: str) -> str:
        """The member that a relative reference means."""
        if "://" in reference or reference.startswith(("/", "data:", "\\")):
            raise SourceError("is not a relative reference")
        name = os.path.normpath(os.path.join(os.path.dirname(base), unquote(reference.partition("?")[0])))
        if name.startswith(".."):
            raise SourceError("leads out of the archive")
        return name.replace(os.sep, "/")

    def read(self, name: str) -> Fetched:
        """The member, found through the archive's index."""
        with Archive(Path(self.path)) as archive:
            return _unpacked(archive.read(name, MOST_BYTES))

    def label(self, name: str) -> str:
        """The member's path."""
        return name


@dataclass(frozen=True, slots=True)
class Packaged(Archived):
    """Members of a .3dtiles package, a SQLite file with one table `media (key, content)`."""

    def read(self, name: str) -> Fetched:
        """The member under its key."""
        query = "select content, length(content) from media where key = ?"
        try:
            with closing(sqlite3.connect(f"file:{quote(self.path)}?mode=ro", uri=True)) as package:
                row = package.execute(query, (name,)).fetchone()
        except sqlite3.Error as error:
            raise SourceError(f"is not in a package that can be read ({error})") from error
        if row is None:
            raise SourceError("does not exist")
        if row[1] is None or row[1] > MOST_BYTES:
            raise SourceError(f"is empty or larger than {MOST_BYTES} bytes")
        return _unpacked(row[0] if isinstance(row[0], bytes) else str(row[0]).encode())


def _unpacked(data: bytes) -> Fetched:
    if not data.startswith(_GZIP):
        return Fetched(data)
    worker = zlib.decompressobj(31)
    try:
        whole = worker.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise SourceError(f"does not unpack ({error})") from error
    if not worker.eof:
        raise SourceError("is cut" if len(whole) < MOST_BYTES else f"unpacks to more than {MOST_BYTES} bytes")
    return Fetched(whole, "stored with gzip: a server must say Content-Encoding: gzip")
