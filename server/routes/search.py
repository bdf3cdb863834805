"""Where is it? Names and addresses, as a person types them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from server import schemas
from server.answers import answer
from server.deps import Here, known_parameters, only_json
from server.lookup.names import index_of
from server.lookup.places import meant

router = APIRouter(tags=["search"])


@router.get(
    "/search", response_model=schemas.SearchResults, dependencies=[Depends(known_parameters), Depends(only_json)]
)
def search(
    request: Request,
    here: Here,
    q: Annotated[str, Query(min_length=1, max_length=100, description="A name or address, or a part of one.")],
    limit: Annotated[int, Query(ge=1, le=100, description="How many results at most.")] = 10,
) -> Response:
    """What is called so, best first."""
    found = [entry.as_dict() for entry in index_of(here).find(q, limit)]
    if len(found) < limit:
        found += meant(here, q, {str(entry["oid"]) for entry in found})[: limit - len(found)]
    return answer(request, {"results": found})
