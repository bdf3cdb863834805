"""The fast path: tiles and the viewer's files, answered as raw ASGI before the framework sees the request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import PROBLEM, problem
from server.fast.static_files import (
    PIECE,
    Cache,
    Headers,
    Record,
    Shelf,
    Variant,
    load,
    locate,
    open_record,
)
from server.middleware import local_path
from server.negotiate import byte_range, codings, matches

_METHODS = ("GET", "HEAD", "OPTIONS")
# Below this a read from the page cache is cheaper than handing it to a thread.
_READ_INLINE = 256 << 10
_ALLOW = b"GET, HEAD, OPTIONS"


class TilePath:
    """ASGI app that answers what lies on its shelves and hands everything else to the app behind it.

    shelves     URL prefix with both slashes ("/tiles/") -> Shelf
    cache       bounded memory for the bytes of small files
    """

    def __init__(self, app: ASGIApp, shelves: Mapping[str, Shelf], cache: Cache) -> None:
        self.app = app
        self.shelves = dict(shelves)
        self.cache = cache
        self.answers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from a shelf, or pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = local_path(scope)
        end = path.find("/", 1)
        shelf = self.shelves.get(path[: end + 1]) if end > 0 else None
        if shelf is None or shelf.behind(path[end + 1 :]):
            await self._behind(path, scope, receive, send)
            return
        self.answers += 1
        await self._serve(scope, send, path, path[end + 1 :], shelf)

    async def _behind(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path + "/" in self.shelves and scope["method"] in _METHODS:
            location = (b"location", f"{scope.get('root_path', '')}{path}/".encode("latin-1"))
            await _send(send, 308, [location, (b"content-length", b"0")], b"")
            return
        await self.app(scope, receive, send)

    async def _serve(self, scope: Scope, send: Send, path: str, relative: str, shelf: Shelf) -> None:
        method = scope["method"]
        if method not in _METHODS:
            await _problem(send, scope, 405, f"{method} is not served here; use GET", shelf, [(b"allow", _ALLOW)])
            return
        if method == "OPTIONS":
            await _send(send, 204, [(b"allow", _ALLOW), *_preflight(shelf)], b"")
            return
        asked = _headers(scope)
        record = self.cache.get(path)
        if record is None:
            record = self._open(path, relative, shelf)
        else:
            self.cache.hits += 1
        if record is None:
            await _problem(send, scope, 404, f"{scope['path']} is not published", shelf)
            return
        accepted = codings(asked.get(b"accept-encoding"))
        ranged = method == "GET" and b"range" in asked and ("identity" in accepted)
        coding = "identity" if ranged else next((name for name in accepted if name in record.codings), "")
        if not coding:
            await _problem(send, scope, 406, "the client refuses every coding this file has", shelf)
            return
        variant = record.variants.get(coding)
        if variant is None:
            variant = await self._load(path, record, coding)
            if variant is None:
                await _problem(send, scope, 404, f"{scope['path']} is no longer published", shelf)
                return
        await _answer(send, scope, shelf, variant, asked, ranged)

    def _open(self, path: str, relative: str, shelf: Shelf) -> Record | None:
        self.cache.misses += 1
        name = relative + "index.html" if relative == "" or relative.endswith("/") else relative
        try:
            file = locate(shelf.root, name)
            record = open_record(file, name, shelf) if file is not None else shelf.made(name, shelf)
            if record is None:
                return None
        except (OSError, ValueError):
            # Gone between two calls, a name too long for the disk, or one no file can have.
            return None
        self.cache.put(path, record)
        return record

    async def _load(self, path: str, record: Record, coding: str) -> Variant | None:
        work = partial(load, record, coding)
        heavy = record.signature[1] > _READ_INLINE
        try:
            variant = await asyncio.to_thread(work) if heavy else work()
        except OSError:
            return None
        self.cache.grow(path, record, coding, variant)
        return variant


async def _answer(
    send: Send, scope: Scope, shelf: Shelf, variant: Variant, asked: Mapping[bytes, bytes], ranged: bool
) -> None:
    if_none_match = asked.get(b"if-none-match")
    if if_none_match is not None and matches(if_none_match, variant.etag):
        await _send(send, 304, variant.unchanged, b"")
    elif scope["method"] == "HEAD":
        await _send(send, variant.status, variant.ok, b"")
    elif ranged and asked.get(b"if-range", variant.etag) == variant.etag:
        await _answer_range(send, scope, shelf, variant, asked[b"range"])
    elif variant.body is not None:
        await _send(send, variant.status, variant.ok, variant.body)
    else:
        await _send_file(send, 200, variant.ok, variant, 0, variant.size - 1)


async def _answer_range(send: Send, scope: Scope, shelf: Shelf, variant: Variant, header: bytes) -> None:
    wanted = byte_range(header, variant.size)
    if wanted is False:
        unmet = [(b"content-range", f"bytes */{variant.size}".encode())]
        await _problem(send, scope, 416, f"the file has {variant.size} bytes", shelf, unmet)
        return
    if wanted is None or wanted is True:
        first, last, status, headers = 0, variant.size - 1, 200, variant.ok
    else:
        first, last = wanted
        status = 206
        headers = [pair for pair in variant.ok if pair[0] != b"content-length"]
        headers.append((b"content-range", f"bytes {first}-{last}/{variant.size}".encode()))
        headers.append((b"content-length", str(last - first + 1).encode()))
    if variant.body is not None:
        await _send(send, status, headers, variant.body[first : last + 1])
    else:
        await _send_file(send, status, headers, variant, first, last)


async def _send_file(send: Send, status: int, headers: Headers, variant: Variant, first: int, last: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    with variant.path.open("rb") as file:
        file.seek(first)
        left = last - first + 1
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(PIECE, left))
            if not piece:
                break
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def _problem(
    send: Send, scope: Scope, status: int, detail: str, shelf: Shelf, extra: Headers | None = None
) -> None:
    body = b"" if scope["method"] == "HEAD" else problem(status, detail, scope["path"])
    headers = [
        (b"content-type", PROBLEM.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *shelf.headers,
        *(extra or []),
    ]
    await _send(send, status, headers, body)


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers that matter here; a list sent in several lines is joined as RFC 9110 allows."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _LISTS:
            found[name] = found[name] + b"," + value if name in found else value
        elif name in _SINGLES:
            found[name] = value
    return found


_LISTS = frozenset((b"accept-encoding", b"if-none-match"))
_SINGLES = frozenset((b"range", b"if-range"))


def _preflight(shelf: Shelf) -> Headers:
    return [
        (b"access-control-allow-methods", _ALLOW),
        (b"access-control-allow-headers", b"Authorization, If-None-Match, Range"),
        (b"access-control-max-age", b"86400"),
        *shelf.headers,
    ]
