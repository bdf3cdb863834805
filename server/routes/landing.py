"""What is here? The landing page, what the interface conforms to, and its description."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.exceptions import HTTPException

from server import page, schemas
from server.answers import HTML, JSON, OPENAPI, answer
from server.deps import Context, Here, Language, known_parameters, link, only_json
from server.features import served
from server.middleware import page_policy
from server.negotiate import preferred
from server.routes.scene import attributions

router = APIRouter(tags=["landing"], dependencies=[Depends(known_parameters)])

# Claimed only where tests/server holds them.
CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/job-list",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/dismiss",
)

Format = Annotated[Literal["json", "html"] | None, Query(alias="f", description="Format; Accept where absent.")]


@router.get("/", response_model=schemas.Landing)
def read_landing(request: Request, here: Here, lang: Language, form: Format = None) -> Response:
    """Links to everything; a page for people where the client prefers HTML."""
    if _wants_page(request, form):
        return _page(here, page.landing(_face(here), lang), lang)
    city = here.city
    body = {
        "title": city.name_en if lang == "en" else city.name,
        "description": (city.badge_en if lang == "en" else city.badge) or "Pingcheng city digital twin",
        "links": [
            link(request, "self", "/"),
            link(request, "alternate", "/?f=html", "text/html"),
            link(request, "service-desc", "/api", OPENAPI, "Interface description"),
            link(request, "service-doc", "/docs", "text/html", "The interface on one page"),
            link(request, "conformance", "/conformance"),
            link(request, "data", "/collections", title="Collections"),
            link(request, "http://www.opengis.net/def/rel/ogc/1.0/processes", "/processes"),
            link(request, "http://www.opengis.net/def/rel/ogc/1.0/job-list", "/jobs"),
            link(request, "related", "/city", title="Scene of the viewer"),
            link(request, "related", "/live/latest", title="Latest values"),
            link(request, "related", "/viewer/", "text/html", "Viewer"),
        ],
    }
    return answer(request, body, headers={"Content-Language": lang, "Vary": "Accept-Language"})


@router.get("/conformance", response_model=schemas.Conformance, dependencies=[Depends(only_json)])
def read_conformance(request: Request) -> Response:
    """The requirement classes that are kept."""
    return answer(request, {"conformsTo": list(CONFORMANCE)})


@router.get("/api", response_model=dict, dependencies=[Depends(only_json)])
def read_api(request: Request, here: Here) -> Response:
    """The interface as OpenAPI 3.1."""
    body = here.memo.get("openapi", "", lambda: orjson.dumps(request.app.openapi()))
    return answer(request, body, media=OPENAPI)


@router.get("/docs", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def read_docs(request: Request, here: Here, lang: Language) -> Response:
    """The interface on one page, without a script."""
    return _page(here, page.interface(request.app.openapi(), lang), lang)


def _wants_page(request: Request, form: str | None) -> bool:
    if form is not None:
        return form == "html"
    chosen = preferred(request.headers.get("accept", ""), (JSON, "text/html"))
    if not chosen:
        raise HTTPException(406, "the landing page is application/json or text/html; the Accept header refuses both")
    return chosen == "text/html"


def _page(here: Context, text: str, lang: str) -> Response:
    policy = page_policy(here.settings.frame_ancestors, inline_style=page.STYLE_SOURCE)
    headers = {
        "Content-Security-Policy": policy,
        "Content-Language": lang,
        "Vary": "Accept, Accept-Language",
        "Cache-Control": "no-cache",
    }
    return Response(text, headers=headers, media_type=HTML)


def _face(here: Context) -> page.Face:
    city = here.city
    rows = [page.Row(c.id, c.title, c.title_en, item.count) for c, item in served(city.store)]
    counts = {row.id: row.count for row in rows}
    figures = [
        (f"{counts[key]:,}", zh, en)
        for key, zh, en in (("buildings", "栋建筑", "buildings"), ("addresses", "条地址", "addresses"))
        if counts.get(key)
    ]
    ancient = next((item.count for item in city.store.items("model") if item.name == "l3"), 0)
    figures += [(f"{ancient:,}", "个古城构件", "parts of the ancient city")] if ancient else []
    things, streams = len(here.desk.registry.things), len(here.desk.registry.datastreams)
    if things:
        figures.append((f"{things:,}", "个感知设备", "sensing devices"))
        figures.append((f"{streams:,}", "条数据流", "datastreams"))
    return page.Face(city.name, city.name_en, city.badge, city.badge_en, figures, rows, attributions(here))
