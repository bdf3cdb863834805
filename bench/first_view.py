"""From opening the page to the city on the screen, in headless Chromium with software rendering."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.measure import TWIN, figure, median_of
from tests.browser.conftest import CHROMIUM, free_port, until, wait_until_ready

RUNS = 3
SHOWN = "['shown', 'ready'].includes(document.documentElement.dataset.twinLoadState)"
READY = "document.documentElement.dataset.twinLoadState === 'ready'"


def figures() -> Iterator[dict[str, Any]]:
    """Seconds, requests and bytes until the first picture, 1920 x 1080 (median of three); seconds until ready."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        city = Path(folder) / "datong"
        subprocess.run([*TWIN, "demo", str(city), "--no-serve"], check=True, timeout=900, stderr=subprocess.DEVNULL)
        port = free_port()
        server = subprocess.Popen([*TWIN, "serve", str(city), "--port", str(port)], stdout=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_ready(address, server)
            program = shutil.which("chromium") or ""
            counts: list[tuple[int, int]] = []
            whole: list[float] = []

            def once() -> float:
                browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
                page = browser.new_page(viewport={"width": 1920, "height": 1080})
                asked: list[int] = []
                page.on("response", lambda r: asked.append(int(r.headers.get("content-length", 0))))
                began = time.perf_counter()
                page.goto(f"{address}/viewer/")
                until(page, SHOWN, seconds=120)
                seconds = time.perf_counter() - began
                counts.append((len(asked), sum(asked)))
                until(page, READY, seconds=240)
                whole.append(time.perf_counter() - began)
                browser.close()
                return seconds

            middle, runs = median_of(RUNS, once)
        finally:
            server.terminate()
            server.wait(timeout=10)
    requests, size = sorted(counts)[len(counts) // 2]
    yield figure("first_view", middle, "s", n=25_000, seconds=runs, target="10 s in software rendering")
    yield figure("first_view_requests", requests, "requests", n=25_000, target="30")
    yield figure("first_view_bytes", size / 1e6, "MB on the wire", n=25_000, target="3 MB")
    yield figure("view_ready", sorted(whole)[len(whole) // 2], "s", n=25_000, seconds=[round(t, 3) for t in whole])
