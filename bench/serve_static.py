"""Tiles a second from the fast path, tags and negotiation on, against StaticFiles of Starlette on the same files."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from bench.measure import figure, until_open
from server.fast.static_files import Cache, Shelf
from server.fast.tiles_path import TilePath
from tests.browser.conftest import free_port

SIZE = 20_000
FILES = 200
CLIENTS = 64
SECONDS = 4.0
TURNS = 3


def figures() -> Iterator[dict[str, Any]]:
    """Requests a second of 20 kB tiles over loopback, client and server on the same cores; medians of alternate turns.

    wrk makes the load where it is installed, else a plain asyncio client that is itself the bound.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tiles(root / "v1")
        ours, peers = [], []
        for _ in range(TURNS):
            ours.append(measure("fast", root))
            peers.append(measure("starlette", root))
    value, peer = sorted(ours)[TURNS // 2], sorted(peers)[TURNS // 2]
    yield figure(
        "serve_static",
        value,
        "requests/s",
        n=FILES,
        seconds=SECONDS,
        peer="Starlette StaticFiles, uvicorn, one worker",
        peer_value=round(peer, 1),
        ratio=round(value / peer, 2),
        load="wrk" if shutil.which("wrk") else "asyncio client",
    )
    yield figure("serve_static_handler", handler_rate(), "calls/s", n=FILES, load="in process, no socket")


def write_tiles(folder: Path) -> None:
    """`FILES` files of 20 kB that compress a little, with their copies beside."""
    folder.mkdir(parents=True)
    source = random.Random(1372)
    for index in range(FILES):
        data = bytes(source.getrandbits(6) for _ in range(SIZE))
        (folder / f"{index}.glb").write_bytes(data)
        (folder / f"{index}.glb.br").write_bytes(brotli.compress(data, quality=5))


def fast_app(root: Path) -> TilePath:
    """The fast path alone, with nothing behind it."""
    shelf = Shelf(root, lambda _: b"public, max-age=31536000, immutable", (), lambda _: True)
    return TilePath(_nothing, {"/tiles/": shelf}, Cache(256 << 20))


def measure(kind: str, root: Path) -> float:
    """Requests a second of one server in a process of its own."""
    port = free_port()
    server = multiprocessing.get_context("spawn").Process(target=run_server, args=(kind, str(root), port), daemon=True)
    server.start()
    try:
        asyncio.run(until_open(port, 20.0))
        return wrk(port) if shutil.which("wrk") else asyncio.run(load(port))
    finally:
        server.terminate()
        server.join(10)


def run_server(kind: str, root: str, port: int) -> None:
    """Serve until terminated; the same uvicorn either way."""
    app: Any = (
        fast_app(Path(root)) if kind == "fast" else Starlette(routes=[Mount("/tiles", StaticFiles(directory=root))])
    )
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_level="error", access_log=False, lifespan="off")


def wrk(port: int) -> float:
    """Requests a second as wrk counts them."""
    command = ["wrk", "-t2", f"-c{CLIENTS}", f"-d{SECONDS:.0f}s", "-H", "Accept-Encoding: br, gzip"]
    told = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/tiles/v1/1.glb"], capture_output=True, text=True, check=True
    )
    found = re.search(r"Requests/sec:\s+([\d.]+)", told.stdout)
    if found is None:
        raise RuntimeError(told.stdout)
    return float(found.group(1))


async def load(port: int) -> float:
    """Requests a second of `CLIENTS` connections that ask again as soon as they are answered."""
    end = time.perf_counter() + SECONDS
    counts = await asyncio.gather(*(_ask(port, k, end) for k in range(CLIENTS)))
    return sum(counts) / SECONDS


async def _ask(port: int, client: int, end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < end:
        path = f"/tiles/v1/{(client * 7 + count) % FILES}.glb"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


def handler_rate() -> float:
    """Calls a second of the handler itself, answered from memory."""
    with tempfile.TemporaryDirectory() as folder:
        write_tiles(Path(folder) / "v1")
        app = fast_app(Path(folder))
        return asyncio.run(_call(app, 50_000))


async def _call(app: TilePath, times: int) -> float:
    headers = [(b"host", b"x"), (b"accept-encoding", b"br, gzip"), (b"accept", b"*/*"), (b"user-agent", b"bench")]
    scopes = [
        {"type": "http", "method": "GET", "path": f"/tiles/v1/{k}.glb", "root_path": "", "headers": headers}
        for k in range(FILES)
    ]
    for scope in scopes:
        await app(scope, _nothing, _drop)
    began = time.perf_counter()
    for k in range(times):
        await app(scopes[k % FILES], _nothing, _drop)
    return times / (time.perf_counter() - began)


async def _nothing(*_: Any) -> Any:
    return None


async def _drop(message: Any) -> None:
    return None
