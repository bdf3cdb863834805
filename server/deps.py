"""What routes are given: the open city with everything made from it, the caller's language, checked parameters."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant

from server.errors import ForbiddenError, ParameterError
from server.fast.painter import Painter
from server.fast.static_files import Cache
from server.live.desk import Desk
from server.live.hub import Hub
from server.negotiate import language
from server.runs.jobs import JobBoard
from server.settings import ServerSettings
from twin.city import City
from twin.store import Item

T = TypeVar("T")

_LOOPBACK = ("127.", "::1", "::ffff:127.", "localhost")


class Memo:
    """Values made from the store, kept until the content they were made from changes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, Any]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._door = threading.Lock()

    def has(self, key: str, digest: str) -> bool:
        """True where the value of `key` for content `digest` is made."""
        kept = self._kept.get(key)
        return kept is not None and kept[0] == digest

    def drop(self, key: str) -> None:
        """Forget a value that no longer holds, whatever it was made from."""
        self._kept.pop(key, None)

    def get(self, key: str, digest: str, make: Callable[[], T]) -> T:
        """The value of `key` for content `digest`; made once, others who ask meanwhile wait for it."""
        with self._door:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] != digest:
                kept = (digest, make())
                self._kept[key] = kept
            value: T = kept[1]
            return value


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a request may need; made once with the app."""

    city: City
    settings: ServerSettings
    hub: Hub
    desk: Desk
    jobs: JobBoard
    cache: Cache
    painter: Painter
    memo: Memo = field(default_factory=Memo)


def context(request: Request) -> Context:
    """The app's context."""
    found: Context = request.app.state.context
    return found


def columns_of(here: Context, item: Item) -> list[str]:
    """The columns that a layer of the store really has."""
    return here.memo.get(
        f"columns {item.name}", item.digest, lambda: list(here.city.store.page_layer(item.name, limit=1)[0].columns)
    )


def known_parameters(request: Request) -> None:
    """Nothing where the route declares every query parameter of the request.

    raises  ParameterError for the first it does not, as 17-069r4 requirement /req/core/query-param-unknown asks
    """
    known = set(_declared(request.scope["route"].dependant))
    for name in request.query_params:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise ParameterError(name, f"unknown parameter {name!r}; this resource knows {listed}")


def _declared(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for below in dependant.dependencies:
        yield from _declared(below)


def caller_language(
    request: Request,
    lang: Annotated[Literal["zh", "en"] | None, Query(description="Language; Accept-Language where absent.")] = None,
) -> str:
    """ "zh" or "en"."""
    return language(lang or "", request.headers.get("accept-language", ""))


def only_json(
    f: Annotated[Literal["json"] | None, Query(description="Format; every resource here is JSON.")] = None,
) -> None:
    """Accepts `f=json`, which OGC clients like to send."""


def may_write(request: Request) -> None:
    """Nothing where the caller may write: with the token where one is set, else from this machine only."""
    token = request.app.state.context.settings.write_token
    if token:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise ForbiddenError("writing here wants the server's token: Authorization: Bearer ...")
        return
    host = request.client.host if request.client else ""
    if not host.startswith(_LOOPBACK):
        raise ForbiddenError("writing is open to this machine only; set [server] write_token to open it to others")


Here = Annotated[Context, Depends(context)]
Language = Annotated[str, Depends(caller_language)]


def absolute(request: Request, path: str) -> str:
    """The address of a path of this server as the caller sees it."""
    return str(request.base_url).rstrip("/") + path


def link(request: Request, rel: str, path: str, media: str = "application/json", title: str = "") -> dict[str, str]:
    """A link object (RFC 8288 in JSON, as the OGC APIs write it)."""
    found = {"rel": rel, "type": media, "href": absolute(request, path)}
    return {**found, "title": title} if title else found
