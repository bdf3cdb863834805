"""The map over HTTP: tiles out of the archive, documents with full addresses, OGC API Tiles."""

from __future__ import annotations

import asyncio
import gzip

import mapbox_vector_tile
import orjson
import pytest

from server.app import create_app
from server.fast.archives import range_of
from tests.server.asgi import ask, raw
from tests.server.conftest import LONLAT, SETTINGS, write_layers
from tiles.imagery.places import tile_at
from tiles.options import VectorTiles
from tiles.vector.build import build_vector
from twin.workers import Workers

MVT = "application/vnd.mapbox-vector-tile"
ZOOM = 15


@pytest.fixture(scope="module")
def mapped(small_city, tmp_path_factory):
    """The small city with a map published as version m1, and what build.json tells of it."""
    city = small_city.with_store(tmp_path_factory.mktemp("mapped") / ".twin")
    write_layers(city.store, city.frame)
    staging = city.store.stage_tiles()
    told = build_vector(city, staging, VectorTiles(min_zoom=10, max_zoom=ZOOM), Workers(1))
    (staging / "build.json").write_bytes(orjson.dumps({"tilesets": [], "vector": told}))
    city.store.publish_tiles(staging, "m1")
    return create_app(city, SETTINGS), told


def place(zoom=ZOOM):
    x, y = tile_at(*LONLAT[0], zoom)
    return int(x), int(y)


def test_a_tile_comes_out_of_the_archive_in_the_coding_that_the_client_likes(mapped):
    app, _ = mapped
    x, y = place()
    path = f"/tiles/m1/vector/{ZOOM}/{x}/{y}.mvt"
    packed = asyncio.run(raw(app, path, {"accept-encoding": "br, gzip"}))
    plain = asyncio.run(raw(app, path, {"accept-encoding": "identity"}))
    assert (packed.status, packed.headers["content-encoding"], packed.headers["content-type"]) == (200, "gzip", MVT)
    assert "immutable" in packed.headers["cache-control"]
    assert packed.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.body) == plain.body
    assert "content-encoding" not in plain.headers
    assert packed.headers["etag"] != plain.headers["etag"]
    assert asyncio.run(raw(app, path, {"if-none-match": plain.headers["etag"]})).status == 304
    oids = {f["properties"]["oid"] for f in mapbox_vector_tile.decode(plain.body)["building"]["features"]}
    assert {"b1", "b2"} <= oids


def test_an_empty_tile_is_no_content_and_one_outside_is_not_found(mapped):
    app, told = mapped
    left, top, right, bottom = range_of(told["bounds"], ZOOM)
    answers = {
        (x, y): asyncio.run(raw(app, f"/tiles/m1/vector/{ZOOM}/{x}/{y}.mvt"))
        for x in range(left, right + 1)
        for y in range(top, bottom + 1)
    }
    assert {answer.status for answer in answers.values()} == {200, 204}
    empty = next(answer for answer in answers.values() if answer.status == 204)
    assert empty.body == b""
    assert "content-length" not in empty.headers
    for outside in (f"{ZOOM}/{left - 2}/{top}", f"{ZOOM + 1}/{2 * left}/{2 * top}", "3/1/1", "10/99999/1", "99/0/0"):
        assert asyncio.run(raw(app, f"/tiles/m1/vector/{outside}.mvt")).status == 404, outside
    assert asyncio.run(raw(app, "/tiles/m0/vector/15/0/0.mvt")).status == 404


def test_the_archive_is_served_by_ranges(mapped):
    app, _ = mapped
    answer = asyncio.run(raw(app, "/tiles/m1/vector/city.pmtiles", {"range": "bytes=0-126"}))
    assert (answer.status, answer.body[:7], len(answer.body)) == (206, b"PMTiles", 127)
    assert answer.headers["content-type"] == "application/vnd.pmtiles"


def test_documents_tell_full_addresses(mapped):
    app, told = mapped
    document = ask(app, "/tiles/m1/vector/tiles.json").json()
    assert document["tiles"] == ["http://twin.test/tiles/m1/vector/{z}/{x}/{y}.mvt"]
    assert document["tilejson"] == "3.0.0"
    assert [layer["id"] for layer in document["vector_layers"]] == told["layers"]
    for name, words in (("style.json", "name"), ("style-en.json", "name_en")):
        answer = ask(app, f"/tiles/m1/vector/{name}", headers={"host": "other.test"})
        style = answer.json()
        assert style["sources"]["city"]["url"] == "http://other.test/tiles/m1/vector/tiles.json"
        assert "Host" in answer.headers["vary"]
        label = next(layer for layer in style["layers"] if layer["id"].startswith("label-road"))
        assert label["layout"]["text-field"][1] == ["get", words]
    for missing in ("/tiles/m0/vector/tiles.json", "/tiles/m1/vector/other.json", "/tiles/../vector/tiles.json"):
        assert ask(app, missing).status_code == 404, missing


def test_a_collection_has_its_own_tiles_with_row_before_column(mapped):
    app, _ = mapped
    cards = ask(app, "/collections/buildings/tiles").json()["tilesets"]
    assert cards[0]["tileMatrixSetURI"].endswith("/WebMercatorQuad")
    tileset = ask(app, "/collections/buildings/tiles/WebMercatorQuad").json()
    limits = {entry["tileMatrix"]: entry for entry in tileset["tileMatrixSetLimits"]}[str(ZOOM)]
    x, y = place()
    assert limits["minTileRow"] <= y <= limits["maxTileRow"]
    assert limits["minTileCol"] <= x <= limits["maxTileCol"]
    assert tileset["layers"][0]["propertiesSchema"]["properties"]["height_m"]["type"] == "number"
    answer = ask(app, f"/collections/buildings/tiles/WebMercatorQuad/{ZOOM}/{y}/{x}")
    assert answer.headers["content-type"] == MVT
    assert set(mapbox_vector_tile.decode(answer.content)) == {"building"}
    rels = {link["rel"] for link in ask(app, "/collections/buildings").json()["links"]}
    assert "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector" in rels
    assert ask(app, "/collections/addresses/tiles/WebMercatorQuad/10/1/1").status_code == 404
    assert ask(app, "/collections/flood_buildings/tiles").status_code == 404


def test_a_city_without_a_map_says_so(app):
    assert ask(app, "/collections/buildings/tiles").status_code == 404
    assert asyncio.run(raw(app, "/tiles/v1/vector/15/0/0.mvt")).status == 404
