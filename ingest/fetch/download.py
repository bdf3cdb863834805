"""Whole files over HTTP: resumed where they broke off, checked, and recorded."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from twin.errors import SourceError

CHUNK = 1 << 20
BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError, urllib.error.URLError)
_PASSING = (408, 425, 429, 500, 502, 503, 504)

Tell = Callable[[str, int, int], None]


class AbsentError(SourceError):
    """The service answers, but has no such file."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a service, and how often to ask again.

    attempts    requests that may bring nothing new before we give up
    pause       s before the second; doubles each time
    timeout     s without a byte
    """

    attempts: int = 5
    pause: float = 1.0
    timeout: float = 60.0

    def wait(self, failed: int) -> None:
        """Sleep after the failed-th failure in a row."""
        time.sleep(self.pause * 2.0 ** (failed - 1))


@dataclass(frozen=True, slots=True)
class Record:
    """What came over the wire.

    url         where it was asked for
    file        path below the city's folder
    size        bytes
    blake2b     hex of the 32-byte BLAKE2b of the file
    etag        the server's, "" where it gave none
    date        Last-Modified as the server gave it
    """

    url: str
    file: str
    size: int
    blake2b: str
    etag: str = ""
    date: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def digest_of(path: Path, name: str = "blake2b") -> bytes:
    """Digest of a file, read in pieces."""
    made = hashlib.blake2b(digest_size=32) if name == "blake2b" else hashlib.new(name, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            made.update(piece)
    return made.digest()


def is_whole(target: Path, known: Record | None) -> bool:
    """True where the file is there as it was recorded."""
    if known is None or not target.is_file() or target.stat().st_size != known.size:
        return False
    return digest_of(target).hex() == known.blake2b


def open_url(url: str, headers: Mapping[str, str], timeout: float) -> Any:
    """The answer to one request, as http.client gives it; SourceError where the address is not http(s)."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise SourceError(f"{url}: only http and https are fetched")
    request = urllib.request.Request(url, headers={"User-Agent": "pingcheng", "Accept-Encoding": "identity", **headers})
    return urllib.request.urlopen(request, timeout=timeout)


def refused(url: str, error: urllib.error.HTTPError) -> SourceError:
    """One clear line for an answer that asking again will not change."""
    if error.code in (403, 404):
        return AbsentError(f"{url}: the service has no such file (HTTP {error.code}); check the place or the --mirror")
    return SourceError(f"{url}: the service refused (HTTP {error.code} {error.reason}); try again later")


def ask(url: str, headers: Mapping[str, str], patience: Patience, good: tuple[int, ...]) -> tuple[bytes, Any]:
    """(body, headers) of a small answer, with bounded retries.

    raises  SourceError where it is refused, has another status, or does not come
    """
    last = ""
    for failed in range(patience.attempts):
        if failed:
            patience.wait(failed)
        try:
            with open_url(url, headers, patience.timeout) as answer:
                body = answer.read()
                if answer.status not in good:
                    raise SourceError(f"{url}: HTTP {answer.status} where {good[0]} was asked for")
                return body, answer.headers
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _PASSING:
                raise refused(url, error) from error
            last = f"HTTP {error.code}"
        except BROKEN as error:
            last = _reason(error)
    raise SourceError(f"{url}: no answer after {patience.attempts} attempts ({last}); run the same command again")


def download(url: str, target: Path, root: Path, patience: Patience, tell: Tell | None = None) -> Record:
    """Bring a whole file to `target`, going on with `<target>.part` where there is one.

    A part is only continued while the server says that the file is still the same one (If-Range).
    raises  SourceError where the file is refused, does not come, or does not agree with the server's checksum
    """
    part, note = _part(target), _note(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    failed, last = 0, ""
    while failed < patience.attempts:
        if failed:
            patience.wait(failed)
        before = part.stat().st_size if part.exists() else 0
        try:
            state = _transfer(url, part, note, patience, lambda done, total: tell and tell(target.name, done, total))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:
                part.unlink(missing_ok=True)
            elif error.code not in _PASSING:
                raise refused(url, error) from error
            last = f"HTTP {error.code}"
        except BROKEN as error:
            last = _reason(error)
        else:
            return _finish(url, target, root, state)
        gained = part.exists() and part.stat().st_size > before
        failed = 1 if gained else failed + 1
    raise SourceError(
        f"{url}: broke off {patience.attempts} times without a new byte ({last}); run the same command again to go on"
    )


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _note(target: Path) -> Path:
    return target.with_name(target.name + ".part.json")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "reason", "") or error or type(error).__name__)[:120]


def _validator(headers: Mapping[str, Any]) -> str:
    tag = str(headers.get("ETag") or "")
    return tag if tag and not tag.startswith("W/") else str(headers.get("Last-Modified") or "")


def _transfer(
    url: str, part: Path, note: Path, patience: Patience, tell: Callable[[int, int], Any]
) -> Mapping[str, str]:
    """Move bytes until the part is whole; returns the server's headers. Anything in BROKEN means: go on later."""
    have = part.stat().st_size if part.exists() else 0
    state: dict[str, str] = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
    headers = {}
    if have and state.get("url") == url and state.get("validator"):
        headers = {"Range": f"bytes={have}-", "If-Range": state["validator"]}
    with open_url(url, headers, patience.timeout) as answer:
        start, total = _span(url, answer, have if headers else 0)
        state = {"url": url, "validator": _validator(answer.headers)}
        note.write_text(json.dumps(state), encoding="utf-8")
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            tell(start, max(total, 1))
            while piece := answer.read1(CHUNK):
                file.write(piece)
                tell(file.tell(), max(total, file.tell() + 1))
            done = file.tell()
        if total >= 0 and done < total:
            raise ConnectionError(f"{done} of {total} bytes came")
        tell(done, done)
        return dict(answer.headers.items())


def _span(url: str, answer: Any, have: int) -> tuple[int, int]:
    """(first byte, size of the whole file or -1) of an answer; a 200 begins anew."""
    if answer.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            raise SourceError(f"{url}: the server sent another range than the one asked for; use another --mirror")
        return have, int(found[2])
    return 0, int(answer.headers.get("Content-Length", -1))


def _finish(url: str, target: Path, root: Path, headers: Mapping[str, str]) -> Record:
    part = _part(target)
    said = {key.lower(): value for key, value in headers.items()}
    partial = "content-range" in said  # a digest header may then speak of the range alone
    wrong = "" if partial and "x-amz-checksum-sha256" not in said else _disagrees(part, said, partial)
    _note(target).unlink(missing_ok=True)
    if wrong:
        part.unlink()
        raise SourceError(f"{url}: {wrong} of the file is not the one the server states; run the same command again")
    size, digest = part.stat().st_size, digest_of(part).hex()
    part.replace(target)
    etag = said.get("etag", "")
    return Record(url, target.relative_to(root).as_posix(), size, digest, etag, said.get("last-modified", ""))


def _disagrees(part: Path, said: Mapping[str, str], partial: bool) -> str:
    """Name of the first checksum of the server that the file does not have, "" where all agree.

    source  RFC 9530 (Repr-Digest), RFC 1864 (Content-MD5), Amazon S3 API (x-amz-checksum-sha256)
    """
    stated = [("sha256", said.get("x-amz-checksum-sha256", ""))]
    found = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", said.get("repr-digest", ""))
    stated.append(("sha256", found[1] if found else ""))
    if not partial:
        stated.append(("md5", said.get("content-md5", "")))
    for name, text in stated:
        # S3 states a composite "<digest>-<parts>" for uploads in parts; that is no digest of the file.
        if text and "-" not in text and digest_of(part, name) != base64.b64decode(text):
            return f"{name.upper()} checksum"
    return ""
