"""What has happened? Incidents, newest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from server import schemas
from server.answers import answer
from server.deps import Here, known_parameters, only_json

router = APIRouter(tags=["incidents"])


@router.get(
    "/incidents", response_model=schemas.Incidents, dependencies=[Depends(known_parameters), Depends(only_json)]
)
def list_incidents(
    request: Request,
    here: Here,
    status: Annotated[str | None, Query(max_length=50, description="Only incidents in this state.")] = None,
    severity: Annotated[int | None, Query(ge=1, le=4, description="Only this grave: 1 (red) to 4 (blue).")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="How many at most.")] = 1_000,
) -> Response:
    """Incidents of the city, newest first."""
    found = [
        incident
        for incident in here.city.store.live.incidents()
        if (status is None or incident.status == status) and (severity is None or incident.severity == severity)
    ][:limit]
    body = {"seq": here.hub.seq, "numberReturned": len(found), "incidents": [here.desk.incident(i) for i in found]}
    return answer(request, body)
