"""How does a theme colour the city? One compact table of levels by oid, so that no tile is made again."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from server import schemas
from server.answers import answer
from server.deps import Context, Here, known_parameters, only_json
from server.runs.zoning import make_ready
from twin.errors import MissingInputError
from twin.store import Item

router = APIRouter(tags=["state"])

_LAYER = "zone_flood_building"


@router.get(
    "/collections/buildings/state",
    response_model=schemas.State,
    dependencies=[Depends(known_parameters), Depends(only_json)],
)
def read_state(
    request: Request,
    here: Here,
    theme: Annotated[Literal["flood"], Query(description="Which result colours the buildings.")],
) -> Response:
    """Level of every zoned building: 1 (low) to 5 (high), 0 where the data does not suffice."""
    store = here.city.store
    if not store.has("layer", _LAYER):
        raise MissingInputError(f"{here.city.name_en} has no {theme} zones yet; `twin zones` makes them")
    item = store.item("layer", _LAYER)
    # Who looks at the zones is likely to ask next what another storm would do.
    make_ready(here)
    body = here.memo.get(f"state {theme}", item.digest, lambda: _table(here, theme, item))
    return answer(request, body)


def _table(here: Context, theme: str, item: Item) -> bytes:
    layer = here.city.store.read_layer(item.name, columns=["level", "method"])
    level = np.nan_to_num(layer.column("level"), nan=0.0).astype(int)
    methods = layer.columns.get("method")
    table = {
        "theme": theme,
        "seq": here.hub.seq,
        "method": str(methods[0]) if methods is not None and len(methods) else "",
        "levels": dict(zip(layer.oid.tolist(), level.tolist(), strict=True)),
    }
    return orjson.dumps(table)
