"""The sample city, built and served as a newcomer would, and a Chromium that can reach loopback only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ROOT, absent

TWIN = [sys.executable, "-m", "twin.cli"]
ARTEFACTS = ROOT / "artifacts"
CHROMIUM = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    """The default sample city with everything built, made by the command of the README."""
    folder = tmp_path_factory.mktemp("sample") / "datong"
    subprocess.run([*TWIN, "demo", str(folder), "--no-serve"], check=True, timeout=900)
    return folder


@pytest.fixture(scope="session")
def served(sample):
    """Address of the served sample."""
    port = free_port()
    log = (sample / "server.log").open("w")
    server = subprocess.Popen([*TWIN, "serve", str(sample), "--port", str(port)], stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(address, server)
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium under Playwright, software rendering, no way out but loopback.

    It goes with the module: while it stands its event loop runs, and other tests of the worker could start none.
    """
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        absent("Debian package chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield chromium
        chromium.close()


def until(page, expression: str, argument=None, seconds: float = 60.0):
    """The first truthy value of an expression; polled from outside, because the page forbids eval."""
    deadline = time.monotonic() + seconds
    while True:
        value = page.evaluate(expression, argument)
        if value or time.monotonic() > deadline:
            assert value, f"not within {seconds:.0f} s: {expression}"
            return value
        page.wait_for_timeout(200)


@pytest.fixture
def artefacts() -> Path:
    """Where screenshots are kept."""
    ARTEFACTS.mkdir(exist_ok=True)
    return ARTEFACTS


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(address: str, server: subprocess.Popen) -> None:
    """Return when /readyz says 200; fail when the server ends or a minute is over."""
    for _ in range(240):
        if server.poll() is not None:
            pytest.fail(f"the server ended with code {server.returncode}")
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    pytest.fail("the server did not become ready in a minute")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All browser tests share one city and one worker; said before the distribution of tests looks for groups."""
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


os.environ.setdefault("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
