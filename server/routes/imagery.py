"""How does the ground look? Orthophoto tiles painted when they are asked for, by the options that were published."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from server import schemas
from server.answers import answer
from server.deps import Context, Here, absolute, known_parameters, only_json
from server.errors import ParameterError
from server.negotiate import matches
from server.routes.scene import published
from tiles.imagery.mosaic import Mosaic, open_mosaic
from tiles.imagery.places import MOST_ZOOM
from tiles.imagery.pyramid import SERVED
from tiles.options import ImageTiles
from twin.errors import NotFoundError
from twin.options import read_options

router = APIRouter(tags=["imagery"], dependencies=[Depends(known_parameters)])

_MEDIA = {"jpg": "image/jpeg", "webp": "image/webp"}
_FOR_EVER = "public, max-age=31536000, immutable"
_MEMO = "mosaic"
_SHORT = "public, max-age=60, stale-while-revalidate=600"

Name = Annotated[str, Path(description=f"{SERVED}: all orthophotos together; or the name of one, as ortho_0.")]
Zoom = Annotated[int, Path(ge=0, le=MOST_ZOOM, description="Zoom of WebMercatorQuad.")]
Step = Annotated[int, Path(ge=0, lt=1 << MOST_ZOOM, description="Tile from the west (x) or the north (y).")]


def place(z: Zoom, x: Step, y: Step) -> tuple[int, int, int]:
    """(zoom, x, y) of the tile that is asked for."""
    return z, x, y


@router.get("/imagery/{name}", response_model=schemas.TileJson, dependencies=[Depends(only_json)])
def read_tilejson(request: Request, here: Here, name: Name) -> Response:
    """Where the tiles of the orthophotos are, as TileJSON."""
    version, mosaic = _mosaic(here, name)
    form = mosaic.options.format
    entries: list[dict[str, Any]] = published(here)[1]["imagery"]
    kept = {picture.name for picture in mosaic.pictures}
    credits = {str(entry["attribution"]) for entry in entries if entry["source"] in kept}
    body = {
        "tilejson": "3.0.0",
        "name": name,
        "tiles": [absolute(request, f"/imagery/{name}/{{z}}/{{x}}/{{y}}.{form}?v={version}")],
        "scheme": "xyz",
        "format": form,
        "tile_size": mosaic.options.tile_size,
        "minzoom": mosaic.options.min_zoom,
        "maxzoom": mosaic.max_zoom,
        "bounds": [round(v, 7) for v in mosaic.bounds],
        "attribution": "; ".join(sorted(credits)),
    }
    return answer(request, body)


@router.get(
    "/imagery/{name}/{z}/{x}/{y}.{form}",
    response_class=Response,
    responses={
        200: {"content": {media: {} for media in _MEDIA.values()}},
        204: {"description": "No orthophoto lies here."},
        304: {"description": "The client has it."},
    },
)
async def read_tile(
    request: Request,
    here: Here,
    name: Name,
    at: Annotated[tuple[int, int, int], Depends(place)],
    form: Literal["jpg", "webp"],
    v: Annotated[str, Query(max_length=64, description="As /city and TileJSON tell it; then kept for ever.")] = "",
) -> Response:
    """One tile; the same bytes as a tile made beforehand by the same options."""
    if not here.memo.has(_MEMO, published(here)[1].get("pictures", "")):
        await run_in_threadpool(_mosaic, here, name)
    version, mosaic = _mosaic(here, name)
    z, x, y = at
    least = mosaic.options.min_zoom
    if not least <= z <= mosaic.max_zoom:
        raise ParameterError("z", f"zoom {z} is not served; {name} has {least} to {mosaic.max_zoom}")
    if max(x, y) >= 1 << z:
        raise NotFoundError(f"zoom {z} has tiles 0 to {(1 << z) - 1}; {x}/{y} lies outside")
    headers = {
        "Cache-Control": _FOR_EVER if v == version else _SHORT,
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Timing-Allow-Origin": "*",
    }
    if not mosaic.has(at):
        return Response(status_code=204, headers=headers)
    wanted = replace(mosaic, options=replace(mosaic.options, format=form))
    pictures = tuple(picture.digest for picture in wanted.pictures)
    painted = await here.painter.get((pictures, wanted.options, at), lambda: wanted.tile(at))
    headers["ETag"] = painted.etag
    known = request.headers.get("if-none-match")
    if known is not None and matches(known.encode("latin-1"), painted.etag.encode()):
        return Response(status_code=304, headers=headers)
    return Response(painted.body, headers=headers, media_type=_MEDIA[form])


def _mosaic(here: Context, name: str) -> tuple[str, Mosaic]:
    """(version of the pictures, those of a name); both follow what is published and what is in the store.

    raises  NotFoundError where tiles were published without painting, or have no such picture
    """
    _, build = published(here)
    table = build.get("painting")
    if not table:
        raise NotFoundError('no orthophoto is painted here; set [tiles.imagery] mode = "fly" and run `twin tiles`')
    memo, version = here.memo, str(build["pictures"])
    whole = memo.get(_MEMO, version, lambda: open_mosaic(here.city.store, read_options(ImageTiles, table, "painting")))
    if whole is not None and not whole.is_current():
        memo.drop(_MEMO)
        return _mosaic(here, name)
    found = whole if whole is None or name == SERVED else whole.only(name)
    if found is None:
        known = ", ".join(picture.name for picture in whole.pictures) if whole else "none"
        raise NotFoundError(f"no orthophoto {name!r}; there are {SERVED} (all together), {known}")
    return version, found
