"""Orthophoto tiles painted on demand: same bytes as the pyramid, bounds of zoom and place, tags, bounded work."""

import asyncio
import json
import threading

import numpy as np
import pytest
from affine import Affine

from server.app import create_app
from server.errors import BusyError
from server.fast.painter import Painter
from tests.server.asgi import ask, client_of
from tests.server.conftest import CITY, SETTINGS
from tiles.imagery.places import tile_at
from tiles.publish import TileOptions, build
from twin.city import open_city
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.workers import Workers

LINEAGE = Lineage("made in code", attribution="Small Town survey")
LON, LAT = 113.30, 40.09


def photo(city, side, cell, seed):
    n = round(side / cell)
    x, y = city.frame.from_lonlat([[LON, LAT]])[0]
    noise = np.random.default_rng(seed).integers(0, 255, (3, n // 8 + 1, n // 8 + 1), np.uint8)
    values = noise.repeat(8, axis=1).repeat(8, axis=2)[:, :n, :n]
    box = GeoBox((n, n), Affine(cell, 0.0, x - side / 2, 0.0, -cell, y + side / 2), city.frame)
    return Raster(values, box, float("nan"), "")


def make_city(root, mode):
    root.mkdir()
    table = f'[tiles.imagery]\nmode = "{mode}"\nmin_zoom = 12\n'
    (root / "city.toml").write_text(CITY + table, encoding="utf-8")
    city = open_city(root)
    city.store.write_raster("ortho_0", photo(city, 3000.0, 4.0, 1), LINEAGE)
    city.store.write_raster("ortho_1", photo(city, 400.0, 1.0, 2), LINEAGE)
    build(city, city.options(TileOptions, "tiles"), Workers(1))
    return city


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return make_city(tmp_path_factory.mktemp("imagery") / "both", "both")


@pytest.fixture(scope="module")
def painting(city):
    return create_app(city, SETTINGS)


def test_every_tile_of_the_pyramid_is_painted_with_the_same_bytes(city, painting):
    _, folder = city.store.current_tiles()
    files = sorted((folder / "imagery").rglob("*.webp"))
    assert len(files) > 10

    async def all_of_them():
        async with client_of(painting) as client:
            names = [path.relative_to(folder / "imagery") for path in files]
            return await asyncio.gather(*(client.get(f"/imagery/ortho/{name}") for name in names))

    for path, answer in zip(files, asyncio.run(all_of_them()), strict=True):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
        assert answer.content == path.read_bytes()


def middle(zoom):
    x, y = tile_at(LON, LAT, zoom)
    return f"{zoom}/{int(x)}/{int(y)}"


def test_a_tile_is_tagged_and_cached_for_ever_under_its_version(city, painting):
    path, version = f"/imagery/ortho/{middle(15)}.webp", (city.store.current_tiles()[1] / "imagery").readlink().name
    first = ask(painting, path)
    assert first.content[8:12] == b"WEBP"
    assert "immutable" not in first.headers["cache-control"]
    assert "immutable" in ask(painting, f"{path}?v={version}").headers["cache-control"]
    again = ask(painting, path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = ask(painting, path, "HEAD")
    assert (head.content, head.headers["etag"]) == (b"", first.headers["etag"])
    assert ask(painting, f"/imagery/ortho/{middle(14)}.webp").headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/imagery/ortho/16/0/0.jpg", 204),
        (f"/imagery/ortho_0/{middle(14)}.jpg", 200),
        (f"/imagery/ortho_0/{middle(16)}.jpg", 400),
        (f"/imagery/ortho/{middle(11)}.jpg", 400),
        (f"/imagery/ortho/{middle(23)}.jpg", 400),
        ("/imagery/ortho/14/16384/0.jpg", 404),
        ("/imagery/ortho/x/0/0.jpg", 400),
        ("/imagery/ortho/14/-1/0.jpg", 400),
        ("/imagery/ortho/14/0/0.png", 400),
        ("/imagery/ortho_7/14/0/0.jpg", 404),
        ("/imagery/relief", 404),
        ("/imagery/ortho/14/0/0.jpg?size=1", 400),
    ],
)
def test_what_is_asked_outside_is_refused_and_told(painting, path, status):
    answer = ask(painting, path)
    assert answer.status_code == status
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


def test_tilejson_leads_to_the_tiles(painting):
    told = ask(painting, "/imagery/ortho").json()
    assert (told["tilejson"], told["minzoom"], told["maxzoom"], told["tile_size"]) == ("3.0.0", 12, 16, 512)
    assert told["attribution"] == "Small Town survey"
    west, south, east, north = told["bounds"]
    x, y = tile_at((west + east) / 2, (south + north) / 2, 13)
    url = told["tiles"][0].format(z=13, x=int(x), y=int(y))
    assert ask(painting, url.removeprefix("http://twin.test")).status_code == 200


def test_without_the_option_nothing_is_painted(tmp_path):
    app = create_app(make_city(tmp_path / "pre", "pre"), SETTINGS)
    answer = ask(app, f"/imagery/ortho/{middle(14)}.jpg")
    assert answer.status_code == 404
    assert "mode" in answer.json()["detail"]


def test_a_picture_that_was_replaced_is_painted_anew(tmp_path):
    city = make_city(tmp_path / "fly", "fly")
    app = create_app(city, SETTINGS)
    scene = ask(app, "/city").json()
    pictures = (city.store.current_tiles()[1] / "imagery").readlink().name
    assert scene["imagery"][0]["url"] == f"/imagery/ortho/{{z}}/{{x}}/{{y}}.webp?v={pictures}"
    before = ask(app, f"/imagery/ortho/{middle(16)}.jpg").content
    city.store.write_raster("ortho_1", photo(city, 400.0, 1.0, 3), LINEAGE)
    after = ask(app, f"/imagery/ortho/{middle(16)}.jpg")
    assert after.status_code == 200
    assert after.content != before


def test_one_painting_serves_all_who_wait_and_too_many_are_refused():
    painter = Painter(threads=1, waiting=2, bound=2000)
    go = threading.Event()
    calls = []

    def paint(key):
        calls.append(key)
        assert go.wait(10)
        return key.encode()

    async def together():
        waiting = [asyncio.ensure_future(painter.get(key, lambda key=key: paint(key))) for key in ("a", "a", "b", "a")]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await painter.get("c", lambda: paint("c"))
        waiting.pop().cancel()
        go.set()
        return await asyncio.gather(*waiting)

    painted = asyncio.run(together())
    assert [one.body for one in painted] == [b"a", b"a", b"b"]
    assert (sorted(calls), painter.refused) == (["a", "b"], 1)
    asyncio.run(painter.get("d", lambda: b"d" * 1500))
    assert painter.held <= 2000
    asyncio.run(painter.get("a", lambda: paint("a")))
    assert calls.count("a") == 2


def test_a_painting_that_fails_is_not_kept():
    painter = Painter(threads=1, waiting=2, bound=2000)

    def fail():
        raise json.JSONDecodeError("no", "", 0)

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            asyncio.run(painter.get("a", fail))
    assert asyncio.run(painter.get("a", lambda: b"x")).body == b"x"
