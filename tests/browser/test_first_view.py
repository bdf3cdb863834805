"""What a browser that knows nothing asks for until the first picture, and what the root tile shows by itself."""

from __future__ import annotations

import io
from urllib.parse import urljoin

import numpy as np
from PIL import Image

from tests.browser.conftest import until

SHOWN = "['shown', 'ready'].includes(document.documentElement.dataset.twinLoadState)"
MOST_REQUESTS, MOST_BYTES = 30, 3_000_000


def opened(browser, served, prepare=lambda page: None):
    """A page at its first picture, and (address, bytes on the wire) of every answer until then."""
    page = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
    prepare(page)
    answers = []
    page.on("response", lambda r: answers.append((r.url, int(r.headers.get("content-length", 0)))))
    page.goto(f"{served}/viewer/")
    until(page, SHOWN, seconds=180)
    return page, list(answers)


def test_the_first_picture_takes_few_requests_and_bytes(browser, served):
    page, answers = opened(browser, served)
    page.context.close()
    told = "\n".join(f"{size:9} {url}" for url, size in answers)
    assert len(answers) <= MOST_REQUESTS, told
    assert sum(size for _, size in answers) <= MOST_BYTES, told
    assert sum(url.endswith("opening.pack") for url, _ in answers) == 2, told


def without_children(page, served):
    """Let the page have no content of L2 but that of its root."""
    entry = next(e for e in page.request.get(f"{served}/city").json()["tilesets"] if e["id"] == "l2")
    address = urljoin(served, entry["url"])
    document = page.request.get(address).json()

    def contents(tile):
        yield from ([urljoin(address, tile["content"]["uri"])] if "content" in tile else [])
        for child in tile.get("children", []):
            yield from contents(child)

    root, *others = contents(document["root"])
    for url in set(others) - {root}:
        page.route(url.split("?")[0] + "*", lambda route: route.abort())


def pixels(page):
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)


def test_the_root_tile_alone_is_a_picture_of_the_city(browser, served, artefacts):
    page, _ = opened(browser, served, lambda page: without_children(page, served))
    for layer in ("l3", "trees", "furniture", "sensors", "incidents", "labels"):
        page.evaluate("layer => window.twin.setLayer(layer, false)", layer)
    page.wait_for_timeout(2000)
    with_city = pixels(page)
    page.screenshot(path=artefacts / "root-alone.png")
    page.evaluate("window.twin.setLayer('l2', false)")
    page.wait_for_timeout(2000)
    changed = (np.abs(with_city - pixels(page)).max(axis=2) > 12).mean()
    page.context.close()
    assert changed > 0.1
