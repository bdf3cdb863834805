"""What is happening now? Things, latest values, and the stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from server import schemas
from server.answers import answer
from server.deps import Here, known_parameters, may_write, only_json
from server.errors import BodyError, ParameterError
from server.live.hub import TOPICS, Hub, Listener
from server.middleware import HEAD

router = APIRouter(prefix="/live", tags=["live"])

_RETRY_MS = 3000


@router.get("/things", response_model=schemas.Things, dependencies=[Depends(known_parameters), Depends(only_json)])
async def list_things(request: Request, here: Here) -> Response:
    """All things with their datastreams and last values."""
    desk = here.desk
    things = [desk.thing(thing) for _, thing in sorted(desk.registry.things.items())]
    return answer(request, {"seq": here.hub.seq, "things": things})


@router.get("/latest", response_model=schemas.Latest, dependencies=[Depends(known_parameters), Depends(only_json)])
async def read_latest(
    request: Request,
    here: Here,
    ids: Annotated[str | None, Query(description="Only these datastreams, oids with commas between.")] = None,
) -> Response:
    """The last value of every datastream, and the number of the event after which it stood so."""
    replay = here.desk.replay
    told = None
    if replay is not None:
        told = {"speed": replay.speed, "time": here.desk.time_text(round(replay.told_until()))}
    wanted = None if ids is None else ids.split(",")
    return answer(request, {"seq": here.hub.seq, "values": here.desk.values(wanted), "replay": told})


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    dependencies=[Depends(known_parameters)],
)
async def stream_events(
    request: Request,
    here: Here,
    topics: Annotated[str, Query(description="observations, incidents, or both with a comma.")] = ",".join(TOPICS),
    last_event_id: Annotated[str | None, Query(description="Continue after this event, on a first connect.")] = None,
    resumed: Annotated[str | None, Header(alias="Last-Event-ID", description="The same, on a reconnect.")] = None,
) -> Response:
    """Server-sent events `observation`, `incident` and `gap`, numbered without holes, from the moment of the call."""
    wanted = topics.split(",")
    for topic in wanted:
        if topic not in TOPICS:
            raise ParameterError("topics", f"unknown topic {topic!r}; there are {', '.join(TOPICS)}")
    last_id = _event_id(resumed if resumed is not None else last_event_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.scope.get(HEAD):
        return Response(headers=headers, media_type="text/event-stream")
    listener = here.hub.subscribe(wanted, last_id)
    body = _frames(here.hub, listener, here.settings.heartbeat)
    return StreamingResponse(body, headers=headers, media_type="text/event-stream")


@router.post(
    "/observations",
    status_code=201,
    response_model=schemas.Accepted,
    dependencies=[Depends(known_parameters), Depends(may_write)],
)
async def add_observations(
    request: Request, here: Here, body: schemas.NewObservation | schemas.NewObservations
) -> Response:
    """Store one measured value or many, all or none, and publish them."""
    given = body.observations if isinstance(body, schemas.NewObservations) else [body]
    prefix = "/observations/{}" if isinstance(body, schemas.NewObservations) else ""
    times = [_seconds(item.time, prefix.format(place) + "/time") for place, item in enumerate(given)]
    unknown = set(await asyncio.to_thread(here.desk.knows, {item.datastream for item in given}))
    faults = [
        (prefix.format(place) + "/datastream", f"no datastream {item.datastream!r}; GET /live/things lists them")
        for place, item in enumerate(given)
        if item.datastream in unknown
    ]
    if faults:
        raise BodyError(faults)
    rows = [(item.datastream, time, item.value) for item, time in zip(given, times, strict=True)]
    oids, moments, values = (list(column) for column in zip(*rows, strict=True))
    await asyncio.to_thread(here.city.store.live.append, oids, moments, values)
    here.desk.observe(rows)
    return answer(request, {"accepted": len(rows), "seq": here.hub.seq}, status=201)


async def _frames(hub: Hub, listener: Listener, heartbeat: float) -> AsyncIterator[bytes]:
    try:
        yield b"retry: %d\n\n" % _RETRY_MS
        async for chunk in listener.stream(heartbeat):
            yield chunk
    finally:
        hub.leave(listener)


def _event_id(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ParameterError("last_event_id", f"{text!r} is no event number")
    return int(text)


def _seconds(time: str | float, pointer: str) -> float:
    if not isinstance(time, str):
        return float(time)
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BodyError([(pointer, f"{time!r} is no RFC 3339 time with offset, such as 2026-06-21T18:30:00+08:00")])
    return moment.timestamp()
