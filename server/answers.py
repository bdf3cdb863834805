"""JSON answers with what HTTP wants around them: media type by Accept, compression, entity tag, 304."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request, Response
from starlette.exceptions import HTTPException

from server.negotiate import codings, matches, preferred

JSON = "application/json"
GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.1"
HTML = "text/html; charset=utf-8"

# Below this a compressed answer does not leave in fewer packets.
_WORTH_COMPRESSING = 1024


def answer(
    request: Request,
    data: Any,
    *,
    media: str = JSON,
    status: int = 200,
    cache: str = "no-cache",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The data as JSON (bytes are taken as they are) in the coding the client likes best, or 304 where it has it.

    raises  HTTPException 406 where the client takes neither `media` nor plain JSON
    """
    chosen = accepted_media(request, media)
    body = data if isinstance(data, bytes) else orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
    named = {**(headers or {})}
    named["Vary"] = ", ".join(["Accept", "Accept-Encoding", *([named["Vary"]] if "Vary" in named else [])])
    named["Cache-Control"] = cache
    accepts = request.headers.get("accept-encoding")
    packed = len(body) > _WORTH_COMPRESSING and "gzip" in codings(accepts.encode("latin-1") if accepts else None)
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}{"-gzip" if packed else ""}"'
    if status == 200:
        named["ETag"] = etag
        known = request.headers.get("if-none-match")
        if known is not None and matches(known.encode("latin-1"), etag.encode()):
            return Response(status_code=304, headers=named)
    if packed:
        body = gzip.compress(body, 5, mtime=0)
        named["Content-Encoding"] = "gzip"
    return Response(body, status, named, chosen)


def accepted_media(request: Request, media: str) -> str:
    """`media`, or plain JSON where the client prefers that; HTTPException 406 where it takes neither."""
    accept = request.headers.get("accept", "")
    plain = media.split(";")[0]
    chosen = preferred(accept, (plain, JSON) if plain != JSON else (JSON,))
    if not chosen:
        raise HTTPException(406, f"this resource is {plain}; the Accept header refuses it")
    return JSON if chosen == JSON else media
