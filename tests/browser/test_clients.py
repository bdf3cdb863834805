"""Published tilesets in three clients: shown without a fault, and the building under a pixel is the store's."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import orjson
import pytest

from bench.change_one import make_city
from tests.browser.conftest import until
from tests.conftest import absent
from tests.real.test_every_set import ROWS, opened
from tiles.options import ModelTiles, TileOptions
from tiles.publish import build as publish
from twin import pipeline
from twin.city import City, open_city
from twin.meshes import concatenate
from twin.workers import Workers

CLIENTS = ("cesium", "three", "deck")
RANGE, PITCH = 260.0, 55.0
SETTLED = "window.told?.state === 'settled' || window.told?.failed.length > 0"


@dataclass(frozen=True)
class Target:
    """A place on a roof (WGS 84, ellipsoidal height), and the oid of its building in the store."""

    oid: str
    lon: float
    lat: float
    height: float


@pytest.fixture(scope="module")
def pages(root, tmp_path_factory) -> Path:
    """The folder of the three pages, bundled, with the engine's own files beside them."""
    clients = root / "tests" / "clients"
    engine = root / "server" / "viewer" / "node_modules" / "cesium" / "Build" / "Cesium"
    if not (clients / "node_modules").is_dir() or not engine.is_dir():
        absent("node_modules of tests/clients and server/viewer (make test installs them)")
    node = subprocess.run([root / ".ci" / "node-path"], check=True, capture_output=True, text=True).stdout.strip()
    folder = tmp_path_factory.mktemp("clients")
    path = f"{node}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["node", clients / "build.mjs", folder], check=True, timeout=120, env=os.environ | {"PATH": path})
    (folder / "engine").symlink_to(engine)
    return folder


@pytest.fixture(scope="module")
def address(pages) -> Iterator[str]:
    """Where the pages and the published cities are served: any host of plain files will do."""
    handler = partial(_Quiet, directory=str(pages))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript", ".wasm": "application/wasm"}

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def city_of(data, root, request, tmp_path_factory):
    """A city by name, built once."""
    built: dict[str, City] = {}

    def get(name: str) -> City:
        if name == "sample":
            return open_city(request.getfixturevalue("sample"))
        if name not in built:
            folder = tmp_path_factory.mktemp(name)
            if name == "implicit":
                built[name] = implicit(folder / "city")
                return built[name]
            if name == "goteborg":
                city = open_city(root / "examples" / "goteborg").with_store(folder / ".twin")
            else:
                city = opened(next(row for row in ROWS if row.name == f"cityjson {name}"), data, folder)
            with Workers(1) as workers:
                pipeline.run(city, workers, only=("ingest", "l2", "tiles"))
            built[name] = city
        return built[name]

    return get


def implicit(folder: Path) -> City:
    """A made city with outlines whose tiles below the first are implicit quadtrees of several levels."""
    make_city(folder, 3000)
    city, models = (
        open_city(folder),
        ModelTiles(inner_bytes=20_000, leaf_bytes=12_000, scheme="implicit", outlines=True),
    )
    publish(city, TileOptions(models=models), Workers(1))
    return city


def target_of(city: City) -> Target:
    """The largest and tallest building, and the middle of the largest of its faces that look up: nothing hides it."""
    solids = concatenate([batch for _, batch in city.store.read_model("l2")])
    volumes = np.abs(solids.volumes())
    tops = np.maximum.reduceat(solids.vertices[:, 2], solids.vertex_offset[:-1])
    lows = np.minimum.reduceat(solids.vertices[:, 2], solids.vertex_offset[:-1])
    row = int(np.argmax(np.where(np.isfinite(volumes), volumes, 0.0) * (tops - lows)))
    corners = solids.vertices[solids.faces[solids.face_offset[row] : solids.face_offset[row + 1]]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    upward = np.where(normals[:, 2] > 0.0, normals[:, 2], 0.0)
    middle = corners[int(np.argmax(upward))].mean(axis=0)
    lon, lat, height = city.frame.to_geodetic(middle[None])[0].tolist()
    return Target(str(solids.owner[row]), lon, lat, height)


def tilesets_of(city: City, served: str, client: str) -> list[str]:
    version, folder = city.store.current_tiles()
    told = orjson.loads((folder / "build.json").read_bytes())
    # Without a graphics card deck.gl does not come to rest over a whole old town within minutes.
    wanted = ("l2",) if client == "deck" else ("l2", "l3")
    # 3d-tiles-renderer 0.5.3 halves errors and boxes of implicit tiles and reads no metadata that says better.
    key = "explicit" if client == "three" else "url"
    entries = [entry for entry in told["tilesets"] if entry["id"] in wanted]
    return [f"{served}/{version}/{entry.get(key, entry['url'])}" for entry in entries]


@pytest.mark.parametrize("name", ["sample", "delft", "goteborg", "zurich", "rotterdam", "implicit"])
def test_a_published_city_is_shown_and_picked_in_three_clients(name, city_of, address, pages, browser, artefacts):
    city = city_of(name)
    target = target_of(city)
    (pages / name).symlink_to(city.store.tiles_dir)
    look = {"lon": target.lon, "lat": target.lat, "height": target.height, "range": RANGE, "pitch": PITCH}
    for client in CLIENTS:
        tilesets = tilesets_of(city, f"{address}/{name}", client)
        query = urlencode([*look.items(), *(("tileset", url) for url in tilesets)])
        page = browser.new_page(viewport={"width": 640, "height": 400})
        seen: list[str] = []
        page.on("request", lambda request, seen=seen: seen.append(request.url))
        page.goto(f"{address}/{client}.html?{query}")
        until(page, SETTLED, seconds=60)
        told = page.evaluate("window.told")
        assert told["failed"] == [], client
        assert told["loaded"] > 0, client
        oid = page.evaluate("window.pick(innerWidth / 2, innerHeight / 2)")
        page.screenshot(path=artefacts / f"client-{client}-{name}.png")
        assert oid == target.oid, client
        assert all(url.startswith((address, "blob:", "data:")) for url in seen), client
        page.close()
