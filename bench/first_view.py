"""From opening the page to the city on the screen, in headless Chromium with software rendering.

FIRST_VIEW_CITY       folder of a published city; the sample of 25,000 buildings is made where it is not set
FIRST_VIEW_PICTURES   folder for pictures: at the first moment, when all is there, of the root tile alone
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import TWIN, figure
from tests.browser.conftest import CHROMIUM, free_port, until, wait_until_ready
from tests.browser.test_first_view import SHOWN, without_children
from twin.city import open_city

RUNS = 3
PICTURES = os.environ.get("FIRST_VIEW_PICTURES", "")
READY = "document.documentElement.dataset.twinLoadState === 'ready'"


@dataclass
class Opened:
    """What opening the page took: seconds, requests and bytes until the first picture, seconds until all is there."""

    shown: float
    requests: int
    size: int
    ready: float


def new_page(playwright: Any) -> Any:
    """A page of a browser that knows nothing."""
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or "", args=CHROMIUM)
    return browser.new_page(viewport={"width": 1920, "height": 1080})


def open_city_page(playwright: Any, address: str) -> Opened:
    """Open the page until all is there, and keep its pictures where they are asked for."""
    page = new_page(playwright)
    asked: list[int] = []
    page.on("response", lambda r: asked.append(int(r.headers.get("content-length", 0))))
    began = time.perf_counter()
    page.goto(f"{address}/viewer/")
    until(page, SHOWN, seconds=120)
    opened = Opened(time.perf_counter() - began, len(asked), sum(asked), 0.0)
    keep(page, "shown")
    until(page, READY, seconds=240)
    opened.ready = time.perf_counter() - began
    keep(page, "ready")
    page.context.browser.close()
    return opened


def show_root(playwright: Any, address: str) -> None:
    """Keep a picture of what the root tile of L2 shows by itself."""
    page = new_page(playwright)
    without_children(page, address)
    page.goto(f"{address}/viewer/")
    until(page, SHOWN, seconds=120)
    keep(page, "root")
    page.context.browser.close()


def keep(page: Any, name: str) -> None:
    """Keep a picture of the page."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def figures() -> Iterator[dict[str, Any]]:
    """Seconds, requests and bytes until the first picture, 1920 x 1080 (median of three); seconds until ready."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        city = Path(os.environ.get("FIRST_VIEW_CITY") or Path(folder) / "datong")
        if not city.exists():
            subprocess.run([*TWIN, "demo", str(city), "--no-serve"], check=True, timeout=900, stderr=subprocess.DEVNULL)
        port = free_port()
        server = subprocess.Popen([*TWIN, "serve", str(city), "--port", str(port)], stdout=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_ready(address, server)
            runs = [open_city_page(playwright, address) for _ in range(RUNS)]
            if PICTURES:
                show_root(playwright, address)
        finally:
            server.terminate()
            server.wait(timeout=10)
        count = open_city(city).store.item("model", "l2").count
    for name, unit, target in (
        ("shown", "s", "10 s in software rendering"),
        ("requests", "requests", "30"),
        ("size", "bytes on the wire", "3 MB"),
        ("ready", "s", None),
    ):
        values = [getattr(run, name) for run in runs]
        more = {"seconds": [round(v, 3) for v in values]} if unit == "s" else {}
        yield figure(f"first_view_{name}", statistics.median(values), unit, n=count, target=target, **more)
