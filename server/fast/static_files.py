"""Files as ready answers: bytes, precompressed where that pays, with header lists built once and kept in memory."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Headers = list[tuple[bytes, bytes]]

# Larger files are read in pieces for every answer, so that no single archive empties the cache.
LARGEST_IN_MEMORY = 8 << 20
PIECE = 256 << 10
_OVERHEAD = 2048
_GZIP_MAGIC = b"\x1f\x8b"

MEDIA_TYPES = {
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".terrain": "application/vnd.quantized-mesh",
    ".mvt": "application/vnd.mapbox-vector-tile",
    ".pbf": "application/vnd.mapbox-vector-tile",
    ".pmtiles": "application/vnd.pmtiles",
    ".3tz": "application/vnd.maxar.archive.3tz+zip",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".ktx2": "image/ktx2",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".xml": "application/xml",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".woff2": "font/woff2",
}
OCTETS = "application/octet-stream"
_COMPRESSIBLE = {".json", ".geojson", ".gltf", ".svg", ".html", ".css", ".js", ".mjs", ".xml", ".txt", ".md", ".wasm"}


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder that is served below a URL prefix.

    cache       file path relative to the folder -> Cache-Control
    headers     sent with every answer
    fixed       True where a file never changes under its name, so that no answer asks the disk twice
    made        (path, shelf) -> answer to a path that no file has, None where there is none
    behind      True for a path that the app behind answers
    """

    root: Path
    cache: Callable[[str], bytes]
    headers: tuple[tuple[bytes, bytes], ...] = ()
    fixed: Callable[[str], bool] = lambda relative: False
    made: Callable[[str, Shelf], Record | None] = lambda relative, shelf: None
    behind: Callable[[str], bool] = lambda relative: False


@dataclass(slots=True)
class Variant:
    """One representation: its bytes (None where the file is too large to keep) and its prebuilt headers.

    status      200, or 204 where there is nothing to send
    """

    body: bytes | None
    path: Path
    size: int
    etag: bytes
    ok: Headers
    unchanged: Headers
    status: int = 200


@dataclass(slots=True)
class Record:
    """One file: which codings exist beside it, and the representations loaded so far."""

    path: Path
    suffix: str
    signature: tuple[int, int]
    codings: dict[str, Path]
    shared: Headers
    fixed: bool
    variants: dict[str, Variant] = field(default_factory=dict)
    weight: int = _OVERHEAD


def locate(root: Path, relative: str) -> Path | None:
    """The file of a relative URL path below `root`; None where it is absent, hidden or points outside."""
    parts = relative.split("/")
    if any(part in ("", ".", "..") or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        return None
    path = root.joinpath(*parts)
    try:
        real, base = os.path.realpath(path, strict=True), os.path.realpath(root)
    except OSError:
        # An only-compressed file has no plain sibling to resolve.
        return path if _stored_compressed(path, root) else None
    inside = os.path.commonpath([real, base]) == base
    return path if inside and os.path.isfile(real) else None


def _stored_compressed(path: Path, root: Path) -> bool:
    try:
        real = os.path.realpath(f"{path}.gz", strict=True)
    except OSError:
        return False
    return os.path.commonpath([real, os.path.realpath(root)]) == os.path.realpath(root) and os.path.isfile(real)


def open_record(path: Path, relative: str, shelf: Shelf) -> Record:
    """What is known of a file before any byte is read; OSError where it has just gone."""
    beside = {"br": Path(f"{path}.br"), "gzip": Path(f"{path}.gz")}
    found = {coding: file for coding, file in beside.items() if file.is_file()}
    plain = path if path.is_file() else found["gzip"]
    stat = plain.stat()
    small = stat.st_size <= LARGEST_IN_MEMORY
    if plain == path and _starts_gzipped(path):
        found = {"gzip": path}
    elif "gzip" not in found and path.suffix in _COMPRESSIBLE and small and stat.st_size > 1024:
        found["gzip"] = path
    found["identity"] = path
    shared = [
        (b"content-type", MEDIA_TYPES.get(path.suffix, OCTETS).encode()),
        (b"cache-control", shelf.cache(relative)),
        (b"x-content-type-options", b"nosniff"),
        *shelf.headers,
    ]
    if len(found) > 1:
        shared.append((b"vary", b"Accept-Encoding"))
    signature = (stat.st_mtime_ns, stat.st_size)
    return Record(path, path.suffix, signature, found, shared, shelf.fixed(relative))


def _starts_gzipped(path: Path) -> bool:
    if path.suffix not in (".terrain", ".pbf", ".mvt"):
        return False
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def load(record: Record, coding: str) -> Variant:
    """The representation of a record in one coding, its strong entity tag taken from its own bytes."""
    path = record.codings[coding]
    if path.exists() and path.stat().st_size > LARGEST_IN_MEMORY:
        return _variant(record, coding, None, path, path.stat().st_size, _tag(_pieces(path)))
    body = _bytes(record, coding, path)
    return _variant(record, coding, body, path, len(body), _tag([body]))


def _bytes(record: Record, coding: str, path: Path) -> bytes:
    if not path.exists():
        return gzip.decompress(record.codings["gzip"].read_bytes())
    raw = path.read_bytes()
    if path != record.path:
        return raw
    gzipped = raw[:2] == _GZIP_MAGIC and record.suffix in (".terrain", ".pbf", ".mvt")
    if coding == "identity":
        return gzip.decompress(raw) if gzipped else raw
    return raw if gzipped else gzip.compress(raw, 6, mtime=0)


def _variant(record: Record, coding: str, body: bytes | None, path: Path, size: int, etag: bytes) -> Variant:
    headers = [(b"etag", etag), *record.shared]
    ok = [(b"content-length", str(size).encode()), *headers]
    if coding == "identity":
        ok.append((b"accept-ranges", b"bytes"))
    else:
        ok.append((b"content-encoding", coding.encode()))
    unchanged = [pair for pair in headers if pair[0] != b"content-type"]
    return Variant(body, path, size, etag, ok, unchanged)


def variant_of(record: Record, coding: str, body: bytes | None, path: Path) -> Variant:
    """The representation of bytes that lie in no file of their own; without any it is 204, no content."""
    if body is None:
        headers = [pair for pair in record.shared if pair[0] != b"content-type"]
        return Variant(b"", path, 0, _tag([]), headers, headers, 204)
    made = _variant(record, coding, body, path, len(body), _tag([coding.encode(), body]))
    made.ok = [pair for pair in made.ok if pair[0] != b"accept-ranges"]
    return made


def _tag(pieces: Iterator[bytes] | list[bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=12)
    for piece in pieces:
        digest.update(piece)
    return b'"' + digest.hexdigest().encode() + b'"'


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


class Cache:
    """Records by URL path, the least recently asked for going first when the bytes exceed the bound."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.held = 0
        self.hits = 0
        self.misses = 0
        self._records: OrderedDict[str, Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: str) -> Record | None:
        """The record of a path, now the youngest; None where it is not held or its file has changed since."""
        record = self._records.get(key)
        if record is None:
            return None
        if not record.fixed and _signature(record) != record.signature:
            self._drop(key)
            return None
        self._records.move_to_end(key)
        return record

    def put(self, key: str, record: Record) -> None:
        """Keep a record; older ones leave until the bound holds."""
        if key in self._records:
            self._drop(key)
        self._records[key] = record
        self.held += record.weight
        self._shrink()

    def grow(self, key: str, record: Record, coding: str, variant: Variant) -> None:
        """Add a representation to a record, counted where the record is held."""
        if coding in record.variants:
            return
        record.variants[coding] = variant
        weight = _OVERHEAD + len(variant.body or b"")
        record.weight += weight
        if self._records.get(key) is record:
            self.held += weight
            self._shrink()

    def _drop(self, key: str) -> None:
        self.held -= self._records.pop(key).weight

    def _shrink(self) -> None:
        while self.held > self.bound and self._records:
            self._drop(next(iter(self._records)))


def _signature(record: Record) -> tuple[int, int] | None:
    try:
        stat = record.path.stat() if record.path.exists() else record.codings["gzip"].stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
