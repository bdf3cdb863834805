"""The index of geocoding, made once for a state of the store."""

from __future__ import annotations

from typing import Any

from server.deps import Context
from twin.analysis.geocode import geocode
from twin.analysis.places import Places
from twin.finding import make_places, places_digest


def places_of(here: Context) -> Places:
    """The index over what the store holds now; made once, others who ask meanwhile wait for it."""
    return here.memo.get("places", places_digest(here.city), lambda: make_places(here.city))


def meant(here: Context, query: str, known: set[str]) -> list[dict[str, Any]]:
    """Addresses that the query means however it is written, as entries of the search; not those of `known` oids."""
    found = []
    for candidate in geocode(query, places_of(here), len(known) + 10):
        oid = candidate.building or candidate.oid
        if candidate.kind in ("address", "road") and oid not in known:
            lon, lat = candidate.lonlat
            words = {"oid": oid, "name": candidate.text, "name_en": "", "kind": "address", "address": candidate.text}
            found.append(words | {"lon": lon, "lat": lat, "height": float("nan")})
    return found
