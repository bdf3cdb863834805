import asyncio
import gzip
import json

import brotli
import pytest

from server.fast.static_files import LARGEST_IN_MEMORY, Cache, Shelf
from server.fast.tiles_path import TilePath
from tests.server.asgi import Answer, raw

GLB = b"glTF" + bytes(range(256)) * 40
TILESET = json.dumps({"asset": {"version": "1.1"}, "root": {"note": "x" * 3000}}).encode()


def cache_control(relative: str) -> bytes:
    return b"no-cache" if relative == "current.json" else b"public, max-age=31536000, immutable"


@pytest.fixture
def shelf(tmp_path):
    folder = tmp_path / "tiles" / "v1" / "l2"
    folder.mkdir(parents=True)
    (folder / "0.glb").write_bytes(GLB)
    (folder / "0.glb.br").write_bytes(brotli.compress(GLB))
    (folder / "0.glb.gz").write_bytes(gzip.compress(GLB, mtime=0))
    (folder / "tileset.json").write_bytes(TILESET)
    (folder / "7.terrain").write_bytes(gzip.compress(b"mesh" * 500, mtime=0))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8" + b"x" * 5000)
    (folder / "only.json.gz").write_bytes(gzip.compress(b'{"a":1}', mtime=0))
    (tmp_path / "tiles" / "current.json").write_bytes(b'{"version":"v1"}')
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "tiles" / ".staging").mkdir()
    (tmp_path / "tiles" / ".staging" / "half.glb").write_bytes(b"half")
    (tmp_path / "tiles" / "v1" / "link.txt").symlink_to(tmp_path / "secret.txt")
    headers = ((b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin"))
    return Shelf(tmp_path / "tiles", cache_control, headers, lambda relative: relative != "current.json")


@pytest.fixture
def app(shelf):
    async def behind(scope, receive, send):
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"behind"})

    return TilePath(behind, {"/tiles/": shelf}, Cache(1 << 20))


def get(app, path, method="GET", **headers) -> Answer:
    return asyncio.run(raw(app, path, {k.replace("_", "-"): v for k, v in headers.items()}, method))


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0.5, gzip;q=0.9", "gzip"),
        ("gzip;q=0, br;q=0", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("*", "br"),
        ("*;q=0.1, gzip;q=1", "gzip"),
        ("br;q=nonsense, gzip", "gzip"),
    ],
)
def test_the_coding_follows_the_clients_weights(app, accepts, coding):
    answer = get(app, "/tiles/v1/l2/0.glb", accept_encoding=accepts)
    assert answer.status == 200
    assert answer.headers.get("content-encoding") == coding
    decoded = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[coding](answer.body)
    assert decoded == GLB
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == "model/gltf-binary"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


def test_without_accept_encoding_plain_bytes_are_sent(app):
    assert "content-encoding" not in get(app, "/tiles/v1/l2/0.glb").headers


def test_a_client_that_refuses_every_coding_is_told_so(app):
    answer = get(app, "/tiles/v1/l2/photo.jpg", accept_encoding="identity;q=0")
    assert answer.status == 406
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_coding_has_its_own_strong_tag_and_answers_304(app):
    tags = {c: get(app, "/tiles/v1/l2/0.glb", accept_encoding=c).headers["etag"] for c in ("br", "gzip", "identity")}
    assert len(set(tags.values())) == 3
    assert all(tag.startswith('"') for tag in tags.values())
    same = get(app, "/tiles/v1/l2/0.glb", accept_encoding="br", if_none_match=f'"other", W/{tags["br"]}')
    assert (same.status, same.body) == (304, b"")
    assert same.headers["etag"] == tags["br"]
    assert same.headers["vary"] == "Accept-Encoding"
    assert "immutable" in same.headers["cache-control"]
    assert get(app, "/tiles/v1/l2/0.glb", accept_encoding="br", if_none_match=tags["gzip"]).status == 200
    assert get(app, "/tiles/v1/l2/0.glb", if_none_match="*").status == 304


def test_json_without_a_file_beside_is_compressed_once_it_is_asked_for(app):
    answer = get(app, "/tiles/v1/l2/tileset.json", accept_encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == TILESET
    assert answer.headers["content-type"] == "application/json"


def test_terrain_stored_compressed_is_sent_so_and_unpacked_for_those_who_cannot(app):
    packed = get(app, "/tiles/v1/l2/7.terrain", accept_encoding="gzip")
    plain = get(app, "/tiles/v1/l2/7.terrain")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"] == "application/vnd.quantized-mesh"
    assert gzip.decompress(packed.body) == plain.body == b"mesh" * 500


def test_a_file_kept_only_compressed_is_served_to_everyone(app):
    assert get(app, "/tiles/v1/l2/only.json").body == b'{"a":1}'
    assert gzip.decompress(get(app, "/tiles/v1/l2/only.json", accept_encoding="gzip").body) == b'{"a":1}'


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=10-", 10, len(GLB) - 1), ("bytes=-4", len(GLB) - 4, len(GLB) - 1)],
)
def test_a_single_range_is_cut_from_the_plain_bytes(app, asked, first, last):
    answer = get(app, "/tiles/v1/l2/0.glb", range=asked, accept_encoding="br, gzip")
    assert answer.status == 206
    assert answer.body == GLB[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(GLB)}"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=-0"])
def test_a_range_outside_the_file_is_416_with_the_size(app, asked):
    answer = get(app, "/tiles/v1/l2/0.glb", range=asked)
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(GLB)}"
    assert json.loads(answer.body)["status"] == 416


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=-", "bytes=" + "9" * 5000 + "-"])
def test_a_range_that_cannot_be_read_is_ignored(app, asked):
    answer = get(app, "/tiles/v1/l2/0.glb", range=asked)
    assert (answer.status, answer.body) == (200, GLB)


def test_if_range_sends_the_whole_file_when_it_has_changed(app):
    tag = get(app, "/tiles/v1/l2/0.glb").headers["etag"]
    assert get(app, "/tiles/v1/l2/0.glb", range="bytes=0-1", if_range=tag).status == 206
    assert get(app, "/tiles/v1/l2/0.glb", range="bytes=0-1", if_range='"old"').status == 200


def test_head_tells_the_same_without_a_body(app):
    whole = get(app, "/tiles/v1/l2/0.glb", accept_encoding="br")
    head = get(app, "/tiles/v1/l2/0.glb", method="HEAD", accept_encoding="br")
    assert (head.status, head.body) == (200, b"")
    assert head.headers == whole.headers


def test_only_reading_is_allowed(app):
    answer = get(app, "/tiles/v1/l2/0.glb", method="POST")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["content-type"] == "application/problem+json"
    assert get(app, "/tiles/v1/l2/0.glb", method="OPTIONS").status == 204


@pytest.mark.parametrize(
    "path",
    [
        "/tiles/../secret.txt",
        "/tiles/v1/../../secret.txt",
        "/tiles/v1/..\\..\\secret.txt",
        "/tiles//etc/passwd",
        "/tiles/v1/link.txt",
        "/tiles/.staging/half.glb",
        "/tiles/v1/l2",
        "/tiles/v1/l2/",
        "/tiles/",
        "/tiles/v1/l2/absent.glb",
        "/tiles/v1/\0.glb",
        "/tiles/v1/" + "a" * 5000,
    ],
)
def test_what_is_not_published_is_a_problem_404(app, path):
    answer = get(app, path)
    assert answer.status == 404
    told = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (told["status"], told["title"], told["instance"]) == (404, "Not Found", path)


def test_everything_else_goes_to_the_app_behind(app):
    assert get(app, "/collections").status == 299
    assert get(app, "/").status == 299
    assert get(app, "/tiles").status == 308


def test_a_pointer_is_read_again_when_it_changes(app, shelf):
    assert b"v1" in get(app, "/tiles/current.json").body
    (shelf.root / "current.json").write_bytes(b'{"version":"v2!"}')
    answer = get(app, "/tiles/current.json")
    assert b"v2!" in answer.body
    assert answer.headers["cache-control"] == "no-cache"


def test_memory_stays_below_the_bound(shelf):
    for index in range(64):
        (shelf.root / "v1" / f"{index}.glb").write_bytes(bytes([index]) * 20_000)
    app = TilePath(None, {"/tiles/": shelf}, Cache(200_000))
    for index in (*range(64), *range(64)):
        assert get(app, f"/tiles/v1/{index}.glb").body == bytes([index]) * 20_000
    assert app.cache.held <= 200_000
    assert 0 < len(app.cache) < 10


def test_a_large_archive_is_streamed_and_not_kept(shelf):
    size = LARGEST_IN_MEMORY + 12_345
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (shelf.root / "v1" / "all.pmtiles").write_bytes(content)
    app = TilePath(None, {"/tiles/": shelf}, Cache(1 << 30))
    whole = get(app, "/tiles/v1/all.pmtiles", accept_encoding="br, gzip")
    assert whole.body == content
    assert whole.headers["content-type"] == "application/vnd.pmtiles"
    part = get(app, "/tiles/v1/all.pmtiles", range=f"bytes={size - 5}-")
    assert (part.status, part.body) == (206, content[-5:])
    assert app.cache.held < 20_000
