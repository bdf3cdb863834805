"""Orthophoto tiles a second painted on demand, against titiler.core on the same COG; every tile is asked once.

TITILER is the Python of an environment with titiler.core and uvicorn; without it the peer is left out.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import uvicorn
from affine import Affine
from scipy import ndimage

from bench.measure import cpu_of_server, figure, until_open
from server.app import create_app
from tests.browser.conftest import free_port
from tiles.imagery.mosaic import open_mosaic
from tiles.imagery.places import tile_range
from tiles.publish import TileOptions, build
from twin.city import City, open_city
from twin.grid import GeoBox
from twin.lineage import Lineage
from twin.workers import Workers

SIDE = 6144
CELL = 0.3
CLIENTS = 16
VIEWS = 16
TURNS = 3
CASES = (("EPSG:32650", 256), ("EPSG:32650", 512), ("EPSG:4547", 256))
"""Frame of the picture, side of the tiles: the way from CGCS2000 costs GDAL's warp more than the one from WGS 84."""

TITILER = "TITILER"

CITY = """\
[city]
id = "ortho"
name = "照"
[frame]
crs = "{crs}"
vertical = "1985"
geoid_undulation = -12.0
[tiles.imagery]
mode = "fly"
tile_size = {size}
quality = {quality}
"""

PEER = """\
import sys
import uvicorn
from fastapi import FastAPI
from rio_tiler.profiles import img_profiles
from titiler.core.factory import TilerFactory
img_profiles["jpeg"].update(quality=int(sys.argv[2]))
app = FastAPI()
app.include_router(TilerFactory().router)
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""

Place = tuple[int, int, int]


def figures() -> Iterator[dict[str, Any]]:
    """JPEG tiles a second over loopback of views of 4 x 4 neighbours at random zooms; medians of alternate turns."""
    peer = os.environ.get(TITILER, "")
    for crs, size in CASES:
        with tempfile.TemporaryDirectory() as folder:
            city = make_city(Path(folder), crs, size)
            places = views(city)
            cog = city.root / ".twin" / "rasters" / "ortho_0.tif"
            ours, peers = [], []
            for _ in range(TURNS):
                ours.append(measure_ours(city, places))
                if peer:
                    peers.append(measure_peer(peer, cog, places, size))
        value, cpu, body = sorted(ours)[TURNS // 2]
        more: dict[str, Any] = {"cpu_ms_a_tile": round(cpu, 2), "kB_a_tile": round(body, 1)}
        if peers:
            peer_value, peer_cpu, peer_body = sorted(peers)[TURNS // 2]
            more |= {
                "peer": "titiler.core 2.4.0, bilinear, same JPEG quality, one uvicorn worker",
                "peer_value": round(peer_value, 1),
                "ratio": round(value / peer_value, 2),
                "peer_cpu_ms_a_tile": round(peer_cpu, 2),
                "peer_kB_a_tile": round(peer_body, 1),
            }
        else:
            more["left_out"] = f"titiler.core: {TITILER} names no Python that has it"
        yield figure(f"serve_ortho_{crs.partition(':')[2]}_{size}", value, "tiles/s", n=len(places), **more)


def make_city(folder: Path, crs: str, size: int) -> City:
    """A city of one picture of `SIDE` x `SIDE` cells with detail at every scale, published to be painted."""
    (folder / "city.toml").write_text(CITY.format(crs=crs, size=size, quality=82), encoding="utf-8")
    city = open_city(folder)
    x, y = city.frame.from_lonlat([[113.3, 40.09]])[0].tolist()
    box = GeoBox((SIDE, SIDE), Affine(CELL, 0.0, x, 0.0, -CELL, y), city.frame)
    source = np.random.default_rng(1372)
    with city.store.raster_writer(
        "ortho_0", box, lineage=Lineage("made in code"), count=3, dtype="uint8", unit=""
    ) as writer:
        sheet = _texture(source)
        for row in range(0, SIDE, 1024):
            for col in range(0, SIDE, 1024):
                writer.write(np.roll(sheet, (row // 7, col // 5), axis=(1, 2)), row, col)
    build(city, city.options(TileOptions, "tiles"), Workers(1))
    return city


def _texture(source: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(3, 1024, 1024) of noise that is stronger the coarser it is, as photographs of the ground are."""
    total = np.full((3, 1024, 1024), 110.0)
    for step in (4, 16, 64, 256):
        n = 1024 // step + 1
        coarse = source.normal(0.0, 4.0 * step**0.4, (3, n, n))
        total += ndimage.zoom(coarse, (1, 1024 / n, 1024 / n), order=1)
    return np.clip(total + source.normal(0.0, 3.0, total.shape), 0, 255).astype(np.uint8)


def views(city: City) -> list[Place]:
    """Tiles of `VIEWS` views, none twice."""
    mosaic = open_mosaic(city.store, city.options(TileOptions, "tiles").imagery)
    assert mosaic is not None
    source = random.Random(1372)
    found: dict[Place, None] = {}
    for _ in range(VIEWS):
        zoom = mosaic.max_zoom - source.choice((0, 0, 1, 1, 2, 3))
        # Tiles that the picture covers whole: the peer answers 500 where a JPEG would need a mask.
        x0, y0, x1, y1 = (v + d for v, d in zip(tile_range(mosaic.bounds, zoom), (1, 1, -1, -1), strict=True))
        x, y = source.randrange(x0, max(x0 + 1, x1 - 3)), source.randrange(y0, max(y0 + 1, y1 - 3))
        found |= dict.fromkeys((zoom, x + k % 4, y + k // 4) for k in range(16) if x + k % 4 < x1 and y + k // 4 < y1)
    return list(found)


def measure_ours(city: City, places: Sequence[Place]) -> tuple[float, float, float]:
    """(tiles/s, ms of CPU a tile, kB a tile) of our server, started for this."""
    port = free_port()
    server = multiprocessing.get_context("spawn").Process(target=run_server, args=(str(city.root), port), daemon=True)
    server.start()
    try:
        return asyncio.run(_measured(port, server.pid or 0, [f"/imagery/ortho/{z}/{x}/{y}.jpg" for z, x, y in places]))
    finally:
        server.terminate()
        server.join(10)


def run_server(root: str, port: int) -> None:
    """Serve until terminated."""
    uvicorn.run(create_app(root), port=port, log_level="error", access_log=False)


def measure_peer(python: str, cog: Path, places: Sequence[Place], size: int) -> tuple[float, float, float]:
    """The same of titiler.core; its own defaults but for the resampling, which is ours."""
    port = free_port()
    server = subprocess.Popen([python, "-c", PEER, str(port), "82"], stderr=subprocess.DEVNULL)
    query = f"url={quote(str(cog))}&tilesize={size}&resampling=bilinear&reproject=bilinear"
    try:
        paths = [f"/tiles/WebMercatorQuad/{z}/{x}/{y}.jpg?{query}" for z, x, y in places]
        return asyncio.run(_measured(port, server.pid, paths))
    finally:
        server.terminate()
        server.wait(10)


async def _measured(port: int, pid: int, paths: Sequence[str]) -> tuple[float, float, float]:
    await until_open(port, 60.0)
    # The first tile opens everything; it is not counted, and neither side keeps it for another.
    await _ask(port, iter(paths[:1]))
    waiting = iter(paths[1:])
    cpu, began = cpu_of_server(pid), time.perf_counter()
    sizes = await asyncio.gather(*(_ask(port, waiting) for _ in range(CLIENTS)))
    seconds, used = time.perf_counter() - began, cpu_of_server(pid) - cpu
    count = len(paths) - 1
    return count / seconds, used / count * 1e3, sum(sizes) / count / 1e3


async def _ask(port: int, paths: Iterator[str]) -> int:
    """Bytes of all tiles that one connection asked for, one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    size = 0
    for path in paths:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"{path}: {head.decode('latin-1')}")
        size += len(await reader.readexactly(int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])))
    writer.close()
    return size
