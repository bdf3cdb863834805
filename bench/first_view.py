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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import TWIN, figure
from tests.browser.conftest import CHROMIUM, free_port, until, wait_until_ready
from tests.browser.test_first_view import without_children
from twin.city import open_city

RUNS = 3
SHOWN = "['shown', 'ready'].includes(document.documentElement.dataset.twinLoadState)"
READY = "['ready', 'error'].includes(document.documentElement.dataset.twinLoadState)"


@dataclass
class Opened:
    """What opening the page took: seconds, requests and bytes until the first picture, seconds until all is there."""

    shown: float
    requests: int
    size: int
    ready: float


def open_page(playwright: Any, address: str, prepare: Callable[[Any], None], name: str) -> Opened:
    """Open the page in a browser that knows nothing, and keep its pictures where they are asked for."""
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or "", args=CHROMIUM)
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    prepare(page)
    asked: list[int] = []
    page.on("response", lambda r: asked.append(int(r.headers.get("content-length", 0))))
    began = time.perf_counter()
    page.goto(f"{address}/viewer/")
    until(page, SHOWN, seconds=120)
    opened = Opened(time.perf_counter() - began, len(asked), sum(asked), 0.0)
    keep(page, f"{name}-shown")
    until(page, READY, seconds=240)
    opened.ready = time.perf_counter() - began
    keep(page, f"{name}-ready")
    browser.close()
    return opened


def keep(page: Any, name: str) -> None:
    """Keep a picture of the page."""
    folder = os.environ.get("FIRST_VIEW_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


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
            runs = [open_page(playwright, address, lambda _: None, "city") for _ in range(RUNS)]
            open_page(playwright, address, lambda page: without_children(page, address), "root")
        finally:
            server.terminate()
            server.wait(timeout=10)
        current = open_city(city).store.item("model", "l2").count
    for name, unit, target in (
        ("shown", "s", "10 s in software rendering"),
        ("requests", "requests", "30"),
        ("size", "bytes on the wire", "3 MB"),
        ("ready", "s", None),
    ):
        values = [getattr(run, name) for run in runs]
        more = {"seconds": [round(v, 3) for v in values]} if unit == "s" else {}
        yield figure(f"first_view_{name}", statistics.median(values), unit, n=current, target=target, **more)
