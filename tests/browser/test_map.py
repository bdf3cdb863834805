"""MapLibre GL JS draws the published map with the published style, and asks nothing of any other place."""

from __future__ import annotations

import pytest

from tests.browser.conftest import until
from tests.conftest import ROOT, absent

LIBRARY = ROOT / "server" / "viewer" / "node_modules" / "maplibre-gl" / "dist"
PAGE = """<!doctype html><meta charset="utf-8"><style>html, body, #map { margin: 0; height: 100% }</style>
<div id="map"></div>
<script type="module">
import * as maplibre from "/lib/maplibre-gl.mjs";
const { tiles } = await (await fetch("/tiles/current.json")).json().then(async ({ version }) =>
  ({ tiles: `${location.origin}/tiles/${version}/vector/` }));
maplibre.setWorkerUrl("/lib/maplibre-gl-worker.mjs");
const style = tiles + (location.hash === "#en" ? "style-en.json" : "style.json");
const map = new maplibre.Map({ container: "map", style, center: [113.2953, 40.0923], zoom: 15.2, fadeDuration: 0 });
window.complaints = [];
map.on("error", (event) => window.complaints.push(String(event.error)));
map.on("idle", () => { window.drawn = map.queryRenderedFeatures().map((f) => [f.layer.id, f.id, f.properties.oid]); });
</script>"""


@pytest.fixture
def page(browser):
    if not LIBRARY.is_dir():
        absent("npm package maplibre-gl (make viewer)")
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.route("**/lib/*", lambda route: route.fulfill(path=LIBRARY / route.request.url.rsplit("/", 1)[1]))
    page.route("**/map.html", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    yield page
    context.close()


def test_the_map_is_drawn_with_names_and_without_any_other_place(page, served, artefacts):
    page.goto(f"{served}/map.html")
    drawn = until(page, "window.drawn")
    page.screenshot(path=artefacts / "map.png")
    assert page.evaluate("window.complaints") == []
    layers = {layer for layer, _, _ in drawn}
    assert {"building", "road-minor", "label-building-15", "label-road-13", "facility"} <= layers
    identities = {oid: identity for layer, identity, oid in drawn if layer == "building"}
    assert len(set(identities.values())) == len(identities) > 100
    assert [url for url in page.asked if not url.startswith((served, "blob:", "data:"))] == []
