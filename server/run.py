"""Serving for real: uvicorn on its fast loop, streams ended when the server goes down."""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from server.app import context_of, create_app
from server.live.hub import Hub
from server.settings import ServerSettings
from twin.city import City, open_city
from twin.errors import OptionsError

logger = logging.getLogger(__name__)


def serve(
    city: City | str | Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    settings: ServerSettings | None = None,
    log_level: str = "warning",
    **overrides: Any,
) -> None:
    """Serve a city until the process is told to stop.

    settings    None takes `[server]` of city.toml
    overrides   single settings by name, over what `settings` says
    raises      MissingInputError where there is no city; OptionsError where its settings are wrong or the port is taken
    """
    door = bind(host, port)
    make_server(city, host, port, settings=settings, log_level=log_level, **overrides).run(sockets=[door])


def bind(host: str, port: int) -> socket.socket:
    """A listening place of its own, found out before anything is loaded; OptionsError where it cannot be had."""
    if not 0 <= port <= 65_535:
        raise OptionsError(f"--port {port}: ports are 0 to 65535; choose another --port")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise OptionsError(f"--host {host}: no such address ({error.strerror or error})") from error
    door = socket.socket(family, kind, protocol)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(address)
    except OSError as error:
        door.close()
        raise OptionsError(f"{host}:{port} cannot be served on ({error.strerror}); choose another --port") from error
    return door


def make_server(
    city: City | str | Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    settings: ServerSettings | None = None,
    log_level: str = "warning",
    **overrides: Any,
) -> uvicorn.Server:
    """The server that `serve` runs, for callers who run it themselves."""
    opened = city if isinstance(city, City) else open_city(city)
    chosen = settings if settings is not None else opened.options(ServerSettings, "server")
    # Milliseconds since 1970: numbers of a later run are larger, so a client that reconnects is told of the gap.
    settings_in_use = replace(chosen, **overrides)
    app = create_app(opened, settings_in_use, first_seq=time.time_ns() // 1_000_000)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_level=log_level,
        access_log=False,
        server_header=False,
        root_path=prefix_of(settings_in_use.root_path),
        date_header=True,
        timeout_graceful_shutdown=3,
        backlog=2048,
    )
    return _Server(config, context_of(app).hub)


def prefix_of(text: str) -> str:
    """A path prefix as ASGI wants it: a slash before, none behind; "" for none."""
    words = text.strip("/")
    return f"/{words}" if words else ""


class _Server(uvicorn.Server):
    """A server that ends event streams as soon as it is told to stop, instead of waiting for clients to go."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and let every listener go."""
        self._hub.close()
        super().handle_exit(sig, frame)
