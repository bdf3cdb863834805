"""A newcomer opens the served sample: the city is there, a tower tells its name, a sensor lives, streets turn."""

from __future__ import annotations

import math

import pytest

from tests.browser.conftest import until

READY = "document.documentElement.dataset.twinLoadState === 'ready'"
OLD_TOWN = (113.2953, 40.0923)


@pytest.fixture(scope="module")
def page(browser, served):
    """One page for the story below; every request and every complaint is written down."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale="zh-CN")
    page = context.new_page()
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(f"{served}/viewer/")
    until(page, READY, seconds=180)
    yield page
    context.close()


def drum_tower(page) -> str:
    found = page.evaluate("fetch('/search?q=鼓楼').then(r => r.json())")
    hits = [hit for hit in found["results"] if hit["name"] == "鼓楼"]
    assert hits, found
    return hits[0]["oid"]


def test_the_city_is_there_and_the_camera_looks_at_the_old_town(page, artefacts):
    state = page.evaluate("window.twin.state()")
    camera = state["camera"]
    east = (camera["lon"] - OLD_TOWN[0]) * 111_320 * math.cos(math.radians(OLD_TOWN[1]))
    north = (camera["lat"] - OLD_TOWN[1]) * 111_320
    assert math.hypot(east, north) < 4000
    page.screenshot(path=artefacts / "city.png")


def test_the_drum_tower_tells_its_name(page, artefacts):
    oid = drum_tower(page)
    for layer in ("sensors", "incidents"):
        page.evaluate("layer => window.twin.setLayer(layer, false)", layer)
    page.evaluate("oid => window.twin.flyTo(oid)", oid)
    until(page, READY, seconds=120)
    place = page.evaluate("oid => window.twin.screenPositionOf(oid)", oid)
    assert place is not None
    page.mouse.click(place["x"], place["y"])
    until(page, "oid => window.twin.state().selected?.oid === oid", oid)
    card = page.locator("#card").inner_text(timeout=30_000)
    assert "鼓楼" in card
    assert " m" in card
    page.screenshot(path=artefacts / "drum-tower.png")
    for layer in ("sensors", "incidents"):
        page.evaluate("layer => window.twin.setLayer(layer, true)", layer)


def test_a_sensor_value_changes_on_its_pin(page):
    shown = "[...document.querySelectorAll('.pin')].map(pin => pin.textContent)"
    before = page.evaluate(shown)
    assert before
    until(page, f"before => {shown}.some((text, k) => text !== before[k])", before)


def test_flood_zones_change_the_colour_of_a_named_building(page, artefacts):
    oid = drum_tower(page)
    # What is selected is gold whatever the theme.
    page.evaluate("window.twin.pick(null)")
    until(page, "([oid, gold]) => window.twin.colorOf(oid) !== gold", [oid, "#C8962E"])
    plain = page.evaluate("oid => window.twin.colorOf(oid)", oid)
    page.evaluate("window.twin.setTheme('flood')")
    until(page, "([oid, plain]) => window.twin.colorOf(oid) !== plain", [oid, plain])
    until(page, READY, seconds=120)
    page.screenshot(path=artefacts / "flood.png")
    page.evaluate("window.twin.setTheme(null)")
    until(page, "([oid, plain]) => window.twin.colorOf(oid) === plain", [oid, plain])


def test_the_page_speaks_english_too(page):
    page.evaluate("window.twin.setLang('en')")
    until(page, "document.documentElement.lang.startsWith('en')")
    page.evaluate("window.twin.setLang('zh')")
    until(page, "document.documentElement.lang.startsWith('zh')")


def test_no_request_left_the_machine_and_nothing_complained(page, served):
    strangers = [url for url in page.asked if not url.startswith((served, "blob:", "data:"))]
    assert not strangers
    assert not page.complaints
