"""Opening packages: verified before anything is believed, in place whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import orjson

from tiles.archive.package import LIST, Told, hash_of, pieces, verified
from twin.errors import OptionsError, SourceError


def unpack(path: Path, folder: Path, trusted: str = "") -> Told:
    """Put a package into `folder`; a delta goes over the package that is there.

    trusted     public key (hex) that must have signed; "" takes the one that the package names
    raises      SourceError where the signature or a member does not hold, or a delta misses what it goes over;
                OptionsError where the folder holds something else
    """
    about, listed, key = verified(path, trusted)
    if folder.exists() and any(folder.iterdir()) and not (folder / LIST).is_file():
        raise OptionsError(f"{folder}: holds no package; choose an empty folder or another name")
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        held, size = _filled(path, about, folder, beside)
        (beside / LIST).write_bytes(listed)
        _swap(folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Told(len(about["members"]), held, size, key)


def _filled(path: Path, about: dict[str, Any], folder: Path, beside: Path) -> tuple[int, int]:
    """Fill the new folder; (members that came with the file, their bytes)."""
    held = size = 0
    there = _there(folder)
    try:
        with zipfile.ZipFile(path) as file:
            inside = set(file.namelist())
            for row in about["members"]:
                target = beside / row["name"]
                target.parent.mkdir(parents=True, exist_ok=True)
                if row["name"] not in inside:
                    _taken_over(path, row, there.get(row["sha256"]), target)
                    continue
                _extracted(path, file, row, target)
                held, size = held + 1, size + row["size"]
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: does not unpack ({error}); fetch it again") from error
    return held, size


def _extracted(path: Path, file: zipfile.ZipFile, row: dict[str, Any], target: Path) -> None:
    found, count = hashlib.sha256(), 0
    with target.open("wb") as sink:
        for piece in pieces(file, row["name"], row["size"]):
            found.update(piece)
            count += sink.write(piece)
    if count != row["size"] or found.hexdigest() != row["sha256"]:
        raise SourceError(f"{path}: {row['name']} is not what was signed; fetch the package again")


def _there(folder: Path) -> dict[str, Path]:
    """SHA-256 -> file of the package that is in the folder."""
    if not (folder / LIST).is_file():
        return {}
    try:
        rows = orjson.loads((folder / LIST).read_bytes())["members"]
        return {row["sha256"]: folder / row["name"] for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{folder / LIST}: is damaged ({error}); unpack a whole package into a new folder") from error


def _taken_over(path: Path, row: dict[str, Any], there: Path | None, target: Path) -> None:
    if there is None or not there.is_file() or hash_of(there) != row["sha256"]:
        raise SourceError(
            f"{path}: holds only what changed, and {row['name']} is not here; unpack the one before first"
        )
    try:
        os.link(there, target)
    except OSError:
        shutil.copyfile(there, target)


def _swap(folder: Path, beside: Path) -> None:
    """The new folder takes the place of the one that is there."""
    before = folder.with_name(f".{folder.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        folder.replace(before)
    beside.replace(folder)
    shutil.rmtree(before, ignore_errors=True)
