"""Which place is meant, what is here, and which divisions held on a day."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from server import schemas
from server.answers import answer
from server.deps import Here, known_parameters, only_json
from server.errors import ParameterError
from server.lookup.places import places_of
from twin.analysis.geocode import geocode, reverse
from twin.errors import OptionsError
from twin.finding import candidate_as_dict, divisions_on, surroundings_as_dict

router = APIRouter(tags=["search"])
_PLAIN = [Depends(known_parameters), Depends(only_json)]


@router.get("/geocode", response_model=schemas.GeocodeAnswer, dependencies=_PLAIN)
def find_place(
    request: Request,
    here: Here,
    q: Annotated[str, Query(min_length=1, max_length=200, description="An address or a name.")],
    limit: Annotated[int, Query(ge=1, le=50, description="How many candidates at most.")] = 5,
) -> Response:
    """The places that an address or a name may mean, the surest first, each with its confidence and reasons."""
    found = geocode(q, places_of(here), limit)
    return answer(request, {"candidates": [candidate_as_dict(candidate) for candidate in found]})


@router.get("/reverse", response_model=schemas.ReverseAnswer, dependencies=_PLAIN)
def what_is_here(
    request: Request,
    here: Here,
    lon: Annotated[float, Query(ge=-180, le=180, description="Longitude, WGS 84.")],
    lat: Annotated[float, Query(ge=-90, le=90, description="Latitude, WGS 84.")],
    reach: Annotated[float, Query(ge=0, le=500, description="Addresses and buildings up to this far, m.")] = 50.0,
) -> Response:
    """The divisions that hold a point, the nearest address and the building."""
    xy = here.city.frame.from_lonlat([[lon, lat]])[0].tolist()
    return answer(request, surroundings_as_dict(reverse((xy[0], xy[1]), places_of(here), reach)))


@router.get("/divisions", response_model=schemas.DivisionsAnswer, dependencies=_PLAIN)
def list_divisions(
    request: Request,
    here: Here,
    on: Annotated[str, Query(max_length=10, description="A day, YYYY-MM-DD; today's divisions where absent.")] = "",
) -> Response:
    """The divisions in force on a day, and who succeeded whom."""
    try:
        return answer(request, divisions_on(here.city, on))
    except OptionsError as error:
        raise ParameterError("on", str(error)) from error
