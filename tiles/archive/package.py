"""Packages: an area of a published city in one signed file, whole or as what changed since another package.

A package is a ZIP file whose members are stored as they are. `package.json` names every member with size and SHA-256,
also those that a delta leaves out because the package before has them; `package.sig` signs it. The same city, area and
key give the same bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

import twin
from tiles.archive.cut import Box, Member, published_members
from tiles.archive.keys import is_signed, public_key, read_key
from tiles.cityjson.gather import bounds_of
from twin.city import City
from twin.errors import MissingInputError, OptionsError, SourceError
from twin.options import option
from twin.store.geopackage import write_geopackage_of

LIST, SIGNATURE, FEATURES = "package.json", "package.sig", "features.gpkg"
FORMAT = 1
_PIECE = 1 << 20
_MOST_LISTED = 1 << 28
_DAY = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class PackageOptions:
    """What [package] may say."""

    key: str = option("", doc="File of the private key that signs packages, from the folder of the city.")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to go into a package.

    area    None for the whole city         since   package that the receiver has; None for a whole one
    """

    area: Box | None = None
    since: Path | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a package: how many members it lists and holds, bytes that it holds, public key (hex)."""

    listed: int
    held: int
    size: int
    key: str = ""


def weigh(city: City, wish: Wish) -> Told:
    """How large a package would be; nothing is written."""
    with tempfile.TemporaryDirectory() as scratch:
        members, about = _gathered(city, wish, Path(scratch))
        held = _held(about, wish)
        return Told(len(members), len(held), sum(row["size"] for row in about["members"] if row["name"] in held))


def write_package(city: City, wish: Wish, out: Path, key: Path | None = None) -> Told:
    """Write a package at `out`, whole or not at all.

    key     of the signature; None for the one that city.toml names
    raises  OptionsError without a key, MissingInputError where nothing is published, SourceError for a bad `since`
    """
    named = city.options(PackageOptions, "package").key
    if key is None and not named:
        raise OptionsError("no key to sign with; `--new-key FILE` makes one, [package] key = FILE names it")
    private = read_key(key or city.root / named)
    beside = out.with_name(f".{out.name}.part")
    with tempfile.TemporaryDirectory() as scratch:
        members, about = _gathered(city, wish, Path(scratch))
        held = _held(about, wish)
        listed = orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        signed = {"algorithm": "Ed25519", "public_key": public_key(private), "signature": private.sign(listed).hex()}
        head = [Member(LIST, listed), Member(SIGNATURE, orjson.dumps(signed, option=orjson.OPT_SORT_KEYS))]
        write_zip(beside, [*head, *(member for member in members if member.name in held)])
    size = beside.stat().st_size
    beside.replace(out)
    return Told(len(members), len(held), size, public_key(private))


def _gathered(city: City, wish: Wish, scratch: Path) -> tuple[list[Member], dict[str, Any]]:
    """(members, what package.json tells)."""
    current = city.store.current_tiles()
    if current is None:
        raise MissingInputError(f"{city.name_en}: no tiles are published; run `twin tiles {city.root}`")
    bounds = None if wish.area is None else bounds_of(city.frame, wish.area)
    members = [*published_members(*current, wish.area, city.store, scratch)]
    names = [item.name for item in city.store.items("layer")]
    if names:
        write_geopackage_of(scratch / FEATURES, ((name, city.layer(name, bbox=bounds)) for name in names))
        members.append(Member(FEATURES, scratch / FEATURES))
    members.sort(key=lambda member: member.name)
    lines = [item.lineage for item in city.store.items() if item.kind != "document"]
    about = {
        "format": FORMAT,
        "engine": twin.__version__,
        "city": {"id": city.id, "name": city.name, "name_en": city.name_en},
        "tiles_version": current[0],
        "bbox": None if wish.area is None else list(wish.area),
        "crs": {"frame": city.frame.crs, "vertical": city.frame.vertical, "tiles": "EPSG:4978", "terrain": "EPSG:4326"},
        "attributions": sorted({line.attribution for line in lines if line.attribution}),
        "licences": sorted({line.licence for line in lines if line.licence}),
        "members": [{"name": m.name, "size": m.size, "sha256": _hash(m)} for m in members],
        "since": None if wish.since is None else hashlib.sha256(_opened(wish.since)[0]).hexdigest(),
    }
    return members, about


def _held(about: dict[str, Any], wish: Wish) -> set[str]:
    """Names of the members that go into the file: those whose bytes the package before has under no name."""
    known: set[str] = set()
    if wish.since is not None:
        known = {row["sha256"] for row in orjson.loads(_opened(wish.since)[0])["members"]}
    return {row["name"] for row in about["members"] if row["sha256"] not in known}


def _hash(member: Member) -> str:
    if isinstance(member.source, bytes):
        return hashlib.sha256(member.source).hexdigest()
    return hash_of(member.source)


def hash_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_zip(path: Path, members: Iterable[Member]) -> None:
    """Write members as a ZIP file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for member in members:
            put(file, member)


def put(file: zipfile.ZipFile, member: Member) -> None:
    """Store a member as it is, with its size in the local header, and one day for all."""
    entry = zipfile.ZipInfo(member.name, _DAY)
    entry.external_attr = 0o644 << 16
    if isinstance(member.source, bytes):
        file.writestr(entry, member.source)
        return
    entry.file_size = member.size
    with member.source.open("rb") as stream, file.open(entry, "w") as sink:
        while piece := stream.read(_PIECE):
            sink.write(piece)


def _opened(path: Path, trusted: str = "") -> tuple[bytes, str]:
    """(bytes of package.json, public key) of a package whose signature holds.

    trusted     public key (hex) that must have signed; "" for the one that the package names
    raises      SourceError for a file that is no package, is cut, or whose signature does not hold
    """
    try:
        with zipfile.ZipFile(path) as file:
            if file.getinfo(LIST).file_size > _MOST_LISTED:
                raise SourceError(f"{path}: its list is too large for a package")
            listed, signed = file.read(LIST), orjson.loads(file.read(SIGNATURE))
    except (OSError, KeyError, zipfile.BadZipFile, ValueError) as error:
        raise SourceError(f"{path}: is no package, or was cut ({error}); fetch it again") from error
    key, signature = str(signed.get("public_key", "")), str(signed.get("signature", ""))
    if trusted and key != trusted.lower():
        raise SourceError(f"{path}: is signed by {key}, not by the key that is trusted; ask who made it")
    if not is_signed(listed, signature, key):
        raise SourceError(f"{path}: its signature does not hold; it was changed after it was signed, fetch it again")
    return listed, key


def verified(path: Path, trusted: str) -> tuple[dict[str, Any], bytes, str]:
    """(what package.json tells, its bytes, public key) of a package whose signature holds and whose names are safe."""
    listed, key = _opened(path, trusted)
    about: dict[str, Any] = orjson.loads(listed)
    if about.get("format") != FORMAT:
        raise SourceError(f"{path}: package format {about.get('format')}, this version reads {FORMAT}")
    for name in (row["name"] for row in about["members"]):
        if name.startswith("/") or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise SourceError(f"{path}: a member would leave the folder: {name!r}")
    return about, listed, key


def pieces(file: zipfile.ZipFile, name: str, size: int) -> Iterator[bytes]:
    """The bytes of a member, no more than `size` and one piece."""
    left = size
    with file.open(name) as stream:
        while left >= 0 and (piece := stream.read(_PIECE)):
            left -= len(piece)
            yield piece
