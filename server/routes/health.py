"""Does it work? Liveness, readiness, and figures in the Prometheus text format."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from server import schemas
from server.answers import answer
from server.deps import Context, Here, known_parameters
from twin.errors import StoreError

router = APIRouter(tags=["health"], dependencies=[Depends(known_parameters)])


@router.get("/healthz", response_model=schemas.Health)
async def read_liveness(request: Request) -> Response:
    """The process answers."""
    return answer(request, {"status": "ok", "checks": {}}, cache="no-store")


@router.get("/readyz", response_model=schemas.Health, responses={503: {"model": schemas.Health}})
async def read_readiness(request: Request, here: Here) -> Response:
    """The store can be read, tiles are published, and the hub takes listeners; 503 while one of them is not so."""
    checks = await run_in_threadpool(_checks, here)
    ready = all(checks.values())
    body = {"status": "ok" if ready else "unready", "checks": checks}
    return answer(request, body, status=200 if ready else 503, cache="no-store")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def read_metrics(here: Here) -> Response:
    """Counters and gauges of this process."""
    text = "".join(
        f"# HELP {name} {doc}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, doc, value in _figures(here)
    )
    headers = {"Cache-Control": "no-store"}
    return Response(text, headers=headers, media_type="text/plain; version=0.0.4; charset=utf-8")


def _checks(here: Context) -> dict[str, bool]:
    try:
        here.city.store.items()
        has_tiles = here.city.store.current_tiles() is not None
    except (StoreError, OSError):
        return {"store": False, "tiles": False, "live": True}
    return {"store": True, "tiles": has_tiles, "live": here.hub.clients < here.settings.max_clients}


def _figures(here: Context) -> list[tuple[str, str, str, float]]:
    hub, cache = here.hub, here.cache
    return [
        ("twin_live_clients", "gauge", "Open event streams.", hub.clients),
        ("twin_live_refused_total", "counter", "Event streams refused because too many were open.", hub.refused),
        ("twin_live_events_total", "counter", "Events published.", hub.published),
        ("twin_live_gaps_total", "counter", "Gaps told to clients that fell behind.", hub.gaps),
        ("twin_live_waiting", "gauge", "Events waiting in all clients' queues.", hub.waiting),
        ("twin_files_hits_total", "counter", "Files answered from memory.", cache.hits),
        ("twin_files_misses_total", "counter", "Files looked for on disk.", cache.misses),
        ("twin_files_bytes", "gauge", "Bytes of files held in memory.", cache.held),
        ("twin_painted_total", "counter", "Orthophoto tiles painted.", here.painter.painted),
        ("twin_painted_hits_total", "counter", "Orthophoto tiles answered from memory.", here.painter.hits),
        ("twin_painted_refused_total", "counter", "Orthophoto tiles refused: too many waited.", here.painter.refused),
        ("twin_painted_bytes", "gauge", "Bytes of painted tiles held in memory.", here.painter.held),
        ("twin_jobs", "gauge", "Process jobs remembered.", len(here.jobs.jobs())),
    ]
