"""The app: the fast path before the framework, one router per question, errors in one table, the hub beside them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from server import errors
from server.deps import Context
from server.fast.archives import open_tile
from server.fast.painter import Painter
from server.fast.static_files import Cache, Shelf
from server.fast.tiles_path import TilePath
from server.live.desk import Desk
from server.live.hub import Hub
from server.lookup.evidence import evidence_of
from server.lookup.names import index_of
from server.lookup.places import places_of
from server.middleware import EXPOSED, Door, page_policy
from server.routes import (
    collections,
    health,
    imagery,
    incidents,
    landing,
    live,
    maps,
    places,
    processes,
    scene,
    search,
    state,
)
from server.runs.jobs import JobBoard
from server.settings import ServerSettings
from twin.city import City, open_city
from twin.errors import TwinError

logger = logging.getLogger(__name__)

Clock = Callable[[], float]

_MEBI = 1 << 20
# The replay looks at its clock at least this often, in seconds.
_LONGEST_NAP = 0.25

# Seconds after the start until the tables of names and evidence are made.
_SETTLE = 2.0

# No exporter may appear because an environment variable says so: nothing leaves the machine.
_QUIET: Any = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}


def create_app(
    city: City | str | Path,
    settings: ServerSettings | None = None,
    *,
    clock: Clock = time.monotonic,
    first_seq: int = 0,
) -> TilePath:
    """The ASGI app that serves a city.

    city        an open City, or the folder of its city.toml
    settings    None takes `[server]` of city.toml
    clock       monotonic seconds for the replay
    first_seq   number before the first live event; a clock's reading lets numbers grow across restarts
    raises      MissingInputError where there is no city; OptionsError where its settings are wrong
    """
    opened = city if isinstance(city, City) else open_city(city)
    chosen = settings if settings is not None else opened.options(ServerSettings, "server")
    here = make_context(opened, chosen, first_seq)
    app = FastAPI(
        title=f"{opened.name} / {opened.name_en}",
        description="Pingcheng city digital twin: features, scene, live values, processes.",
        version="1.0.0",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=_QUIET,
        redirect_slashes=False,
        lifespan=partial(_life, clock=clock),
    )
    app.state.context = here
    errors.install(app)
    for part in (landing, scene, imagery, state, collections, maps, search, places, live, incidents, processes, health):
        app.include_router(part.router)
    return TilePath(
        Door(app, partial(_paths, app), int(chosen.max_body_mib * _MEBI)), _shelves(opened, chosen), here.cache
    )


def make_context(city: City, settings: ServerSettings, first_seq: int = 0) -> Context:
    """Everything that the routes share."""
    hub = Hub(
        window=settings.replay_window,
        queue=settings.client_queue,
        max_clients=settings.max_clients,
        first_seq=first_seq,
    )
    moment = city.view.time or settings.scene_time
    desk = Desk(city.store.live, city.frame, hub, settings, moment)
    jobs = JobBoard(settings.max_jobs, settings.max_waiting)
    painter = Painter(settings.paint_threads, settings.paint_waiting, int(settings.paint_mib * _MEBI))
    return Context(city, settings, hub, desk, jobs, Cache(int(settings.cache_mib * _MEBI)), painter)


def context_of(app: TilePath) -> Context:
    """The context of an app that `create_app` made."""
    door: Any = app.app
    found: Context = door.app.state.context
    return found


@asynccontextmanager
async def _life(app: FastAPI, clock: Clock) -> AsyncIterator[None]:
    here: Context = app.state.context
    here.desk.start(clock())
    beside = [asyncio.create_task(tell(here.desk, clock)), asyncio.create_task(_warm(here))]
    try:
        yield
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        here.hub.close()
        here.jobs.close()
        here.painter.close()


async def tell(desk: Desk, clock: Clock) -> None:
    """Publish what falls due, for ever."""
    while True:
        desk.advance(clock())
        await asyncio.sleep(desk.wait(_LONGEST_NAP))


async def _warm(here: Context) -> None:
    """Make the tables that the first search and the first click would wait for, once the first page has gone out."""
    await asyncio.sleep(_SETTLE)
    for table in (index_of, evidence_of, places_of):
        try:
            await asyncio.to_thread(table, here)
        except TwinError as error:
            logger.warning("not made ready: %s", error)


def _paths(app: FastAPI) -> Mapping[str, Sequence[str]]:
    return {path: list(item) for path, item in app.openapi()["paths"].items()}


def _shelves(city: City, settings: ServerSettings) -> Mapping[str, Shelf]:
    viewer = Path(settings.viewer_dir) if settings.viewer_dir else Path(str(files("server") / "viewer" / "dist"))
    tiles_headers = (
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", EXPOSED),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"timing-allow-origin", b"*"),
    )
    # The engine writes a <style> element of its own for the credits; scripts stay strict.
    policy = page_policy(settings.frame_ancestors, inline_style="'unsafe-inline'")
    viewer_headers = (
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    )
    return {
        "/tiles/": Shelf(city.store.tiles_dir, _tile_cache, tiles_headers, _is_versioned, open_tile, maps.is_document),
        "/viewer/": Shelf(viewer, _viewer_cache, viewer_headers),
    }


def _is_versioned(relative: str) -> bool:
    return "/" in relative


def _tile_cache(relative: str) -> bytes:
    if _is_versioned(relative):
        return b"public, max-age=31536000, immutable"
    return b"public, max-age=5, stale-while-revalidate=60"


def _viewer_cache(relative: str) -> bytes:
    if relative == "index.html":
        return b"no-cache"
    return b"public, max-age=3600, stale-while-revalidate=86400"
