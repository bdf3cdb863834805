"""What every answer of the framework gets: security headers, reading from any origin, HEAD and OPTIONS."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EXPOSED = b"ETag, Link, Location, Content-Crs, Content-Range, Accept-Ranges, Content-Length, Retry-After"
_ALLOWED = b"Authorization, If-None-Match, Range, Last-Event-ID, Accept-Language"
# Set in the scope of a HEAD request, for the one resource that has no end.
HEAD = "twin.head"
_WRITING = ("POST", "PUT", "PATCH")


def page_policy(frame_ancestors: str, *, inline_style: str = "") -> str:
    """Content-Security-Policy of a page: own files only, WebAssembly and workers for the engine, no eval.

    inline_style    "" for none; else the source expression that styles inside the page need
    """
    style = f"style-src 'self' {inline_style}; " if inline_style else ""
    return (
        "default-src 'self'; worker-src 'self' blob:; script-src 'self' 'wasm-unsafe-eval'; "
        f"{style}img-src 'self' data: blob:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
        f"form-action 'self'; frame-ancestors {frame_ancestors}"
    )


class Door:
    """ASGI app around the framework's: the headers and methods that no route should have to think of.

    paths       gives path template -> methods, asked once at the first OPTIONS or 405
    max_body    bytes of a request body; a larger one is answered 413
    """

    def __init__(self, app: ASGIApp, paths: Callable[[], Mapping[str, Sequence[str]]], max_body: int) -> None:
        self.app = app
        self._paths = paths
        self._max_body = max_body
        self._table: list[tuple[re.Pattern[str], bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with HEAD read as GET, and put the headers on what comes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = local_path(scope)
        allow = self.allow(path) if scope["method"] == "OPTIONS" else b""
        if allow:
            await send({"type": "http.response.start", "status": 204, "headers": _options(allow)})
            await send({"type": "http.response.body", "body": b""})
            return
        is_head = scope["method"] == "HEAD"
        if is_head:
            scope = {**scope, "method": "GET", HEAD: True}

        async def dress(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._dressed(path, message)}
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app(scope, self._guarded(scope, receive) if scope["method"] in _WRITING else receive, dress)

    def _guarded(self, scope: Scope, receive: Receive) -> Receive:
        """The body while it is JSON and not too large; errors rise where the framework reads and leave as all do."""
        taken = 0
        media = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        is_json = media.split(b";")[0].strip().lower() in (b"application/json", b"application/geo+json")

        async def take() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken and not is_json:
                raise HTTPException(415, "the body must be application/json, and the Content-Type header must say so")
            if taken > self._max_body:
                raise HTTPException(413, f"the body is larger than {self._max_body} bytes; send it in parts")
            return message

        return take

    def allow(self, path: str) -> bytes:
        """The methods of a path as an Allow header says them; empty where nothing is served there."""
        if not self._table:
            self._table = [(_pattern(template), _methods(verbs)) for template, verbs in self._paths().items()]
        return next((methods for pattern, methods in self._table if pattern.fullmatch(path)), b"")

    def _dressed(self, path: str, message: Message) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = list(message.get("headers", []))
        if message["status"] == 405:
            headers = [pair for pair in headers if pair[0] != b"allow"] + [(b"allow", self.allow(path) or b"GET")]
        present = {name for name, _ in headers}
        headers += [pair for pair in _ALWAYS if pair[0] not in present]
        return headers


_ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", EXPOSED),
)


def local_path(scope: Scope) -> str:
    """The path of a request below the prefix that a proxy may have put before everything."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path[len(prefix) :] if prefix and path.startswith(prefix + "/") else path


def _options(allow: bytes) -> list[tuple[bytes, bytes]]:
    # Other origins may read; writing is for this origin, so no preflight allows it.
    return [
        (b"allow", allow),
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
        (b"access-control-allow-headers", _ALLOWED),
        (b"access-control-max-age", b"86400"),
    ]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(template)))


def _methods(verbs: Sequence[Any]) -> bytes:
    names = {str(verb).upper() for verb in verbs}
    if "GET" in names:
        names.add("HEAD")
    return ", ".join(sorted(names | {"OPTIONS"})).encode()
