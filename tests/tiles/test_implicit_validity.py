"""Implicit tiling, archives and addresses are walked to the last tile, and what is spoiled is told."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import struct
import threading
import zipfile

import pytest

from tests.tiles.simple import bits, box, boxes, explicit, implicit, subtree
from tiles.reading.archive import INDEX, wanted_index
from tiles.validity import check_tileset


@pytest.fixture
def place(tmp_path):
    return implicit(tmp_path / "sound").parent


def told(place, **options):
    report = check_tileset(place, khronos=False, **options)
    return " | ".join(f"{o.oid}: {o.reason}" for o in report.outcomes)


def test_every_available_tile_is_walked(place):
    report = check_tileset(place, khronos=False)
    assert report.outcomes == ()
    assert (report.figures["implicit_tiles"], report.figures["subtrees"], report.figures["contents"]) == (5, 3, 2)


def opened(file):
    data = file.read_bytes()
    size = struct.unpack_from("<Q", data, 8)[0]
    return json.loads(data[24 : 24 + size]), bytearray(data[24 + size :])


def spoil(file, change):
    document, binary = opened(file)
    change(document, binary)
    file.write_bytes(subtree(document, bytes(binary)))


def entry(key, value):
    return lambda d, _: d.__setitem__(key, value)


def lacks(key):
    return lambda d, _: d.pop(key)


def stream(view, *places, count):
    def change(d, binary):
        at = d["bufferViews"][view]["byteOffset"]
        data = bits(*places, count=count)
        binary[at : at + len(data)] = data

    return change


def longer(d, _):
    d["bufferViews"][0]["byteLength"] = 2


def rows(d, _):
    d["propertyTables"][0]["count"] = 2


def larger_error(d, binary):
    at = d["bufferViews"][2]["byteOffset"]
    binary[at : at + 8] = struct.pack("<d", 99.0)


TOP, LEAF = "tiles/0_0_0.subtree", "tiles/2_0_0.subtree"


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        (TOP, lacks("tileAvailability"), "has no tileAvailability [SUBTREE_AVAILABILITY_INCONSISTENT]"),
        (TOP, lacks("childSubtreeAvailability"), "has no childSubtreeAvailability"),
        (TOP, entry("tileAvailability", {"bitstream": 0, "availableCount": 4}), "says 4 available, the bits are 3"),
        (TOP, entry("tileAvailability", {"bitstream": 0, "constant": 1}), "neither or both of constant and bitstream"),
        (TOP, entry("tileAvailability", {"constant": 2}), "constant is 2, neither 0 nor 1"),
        (TOP, entry("tileAvailability", 5), "tileAvailability is 5, no table [TYPE_MISMATCH]"),
        (TOP, entry("tileAvailability", {"constant": 0}), "no tile is available"),
        (TOP, longer, "bit stream has 2 bytes, 1 are needed for 5 bits"),
        (TOP, stream(0, 1, 4, count=5), "its root tile is not available"),
        (TOP, stream(0, 0, 1, 4, 6, count=8), "has bits set after its end"),
        (TOP, stream(1, 0, 5, count=16), "1 child subtrees are available below a tile that is not"),
        (TOP, stream(1, 0, 14, count=16), "subtree tiles/2_2_3.subtree does not exist"),
        (TOP, entry("contentAvailability", []), "availability of 0 contents, the root has 1"),
        (TOP, entry("contentAvailability", [{"constant": 1}]), "a content is available where no tile is"),
        (TOP, rows, "property table 0 has 2 rows for 3 available [METADATA_INVALID_LENGTH]"),
        (TOP, entry("tileMetadata", 1), "there is no property table 1 [IDENTIFIER_NOT_FOUND]"),
        (TOP, entry("subtreeMetadata", {"class": "none"}), "there is no class 'none'"),
        (LEAF, larger_error, "geometric error 99 is larger than its parent's 16"),
        (LEAF, entry("childSubtreeAvailability", {"constant": 1}), "child subtrees of level 4, availableLevels is 3"),
        (LEAF, stream(0, 0, 1, count=5), "tiles of level 3 are available, availableLevels is 3"),
        (LEAF, entry("contentAvailability", [{"constant": 0}]), ""),
    ],
)
def test_a_spoiled_subtree_is_told(place, file, change, words):
    spoil(place / file, change)
    assert words in told(place)


def test_the_box_of_a_tile_is_what_its_metadata_says(place):
    (place / "tiles/2_0_0.glb").write_bytes(boxes(["a"], [(2, 0, 0)]))
    assert "lies 2.000 m outside the volume of tileset.json#root[2/0/0]" in told(place)


def test_without_metadata_boxes_come_from_halving_the_root(place):
    for file in sorted(place.glob("tiles/*.subtree")):
        spoil(file, lacks("tileMetadata"))
    assert told(place) == ""
    (place / "tiles/2_3_3.glb").write_bytes(boxes(["b"], [(70, 90, 0)]))
    assert "lies 5.000 m outside the volume of tileset.json#root[2/3/3]" in told(place)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"subt", "4 bytes are too few"),
        (struct.pack("<4sIQQ", b"subt", 2, 0, 0), "version is 2, not 1"),
        (struct.pack("<4sIQQ", b"subt", 1, 4, 0) + b"{}  ", "not padded to 8 bytes"),
        (struct.pack("<4sIQQ", b"subt", 1, 8, 8) + b"{}      ", "header says 40 of 32 bytes"),
        (b"[1]", "its JSON is [1], no table"),
        (b"nothing", "is not JSON"),
    ],
)
def test_a_broken_container_is_told(place, data, words):
    (place / TOP).write_bytes(data)
    assert words in told(place)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("implicitTiling", "subdivisionScheme"), "KD", "subdivisionScheme is 'KD' [IMPLICIT_TILING_ERROR]"),
        (("implicitTiling", "availableLevels"), 0, "availableLevels is 0 [IMPLICIT_TILING_ERROR]"),
        (("implicitTiling", "subtreeLevels"), "2", "implicitTiling.subtreeLevels is '2', no int [TYPE_MISMATCH]"),
        (("implicitTiling", "subtrees", "uri"), "{level}_{x}", "lacks y [TEMPLATE_URI_MISSING_VARIABLE_NAME]"),
        (("content", "uri"), "{level}_{x}_{y}_{t}.glb", "names t [TEMPLATE_URI_INVALID_VARIABLE_NAME]"),
        (("children",), [], "an implicit root has children [TILE_IMPLICIT_ROOT_INVALID]"),
        (("metadata",), {"class": "tile"}, "an implicit root has metadata [TILE_IMPLICIT_ROOT_INVALID]"),
        (
            ("content", "boundingVolume"),
            {"box": box(0, 0, 0, 1, 1, 1)},
            "content of an implicit root has a bounding",
        ),
        (("boundingVolume",), {"sphere": [0, 0, 0, 99]}, "the volume of an implicit root is a sphere"),
        (("content", "uri"), "gone/{level}_{x}_{y}.glb", "content gone/2_0_0.glb does not exist [IO_ERROR]"),
    ],
)
def test_a_spoiled_implicit_root_is_told(place, path, value, words):
    document = json.loads((place / "tileset.json").read_text())
    inner = document["root"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (place / "tileset.json").write_text(json.dumps(document))
    assert words in told(place)


def pack(folder, target, change=None):
    """A .3tz of a folder; `change` may spoil the index, or name members to leave out."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())
        index = wanted_index(archive.infolist()).tobytes()
        archive.writestr(zipfile.ZipInfo(INDEX), change(index) if change else index)
    return target


def test_an_archive_is_read_by_its_members(place, tmp_path):
    report = check_tileset(pack(place, tmp_path / "city.3tz"), khronos=False)
    assert report.outcomes == ()
    assert report.figures["contents"] == 2
    assert report.figures["archive_members"] == 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda index: index[:-1], "no whole number of rows of 24 [ARCHIVE_INVALID]"),
        (lambda index: index[24:] + index[:24], "the index is not that of its members"),
    ],
)
def test_a_spoiled_index_is_told(place, tmp_path, change, words):
    assert words in told(pack(place, tmp_path / "city.3tz", change))


def test_an_archive_without_index_or_tileset_or_that_is_none_is_told(place, tmp_path):
    with zipfile.ZipFile(tmp_path / "bare.3tz", "w") as archive:
        archive.writestr("inner.3tz", b"")
    found = told(tmp_path / "bare.3tz")
    for words in ("has no tileset.json at its root", "has no index", "holds another archive"):
        assert words in found
    (tmp_path / "none.3tz").write_bytes(b"nothing")
    assert "none.3tz is no ZIP archive" in told(tmp_path / "none.3tz")


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; /moved leads to the tileset, .glb travel with gzip, .html is said of /plain."""

    def do_GET(self):
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/tileset.json")
            self.end_headers()
            return
        if self.path.partition("?")[0].endswith(".glb"):
            with open(self.translate_path(self.path), "rb") as file:
                data = gzip.compress(file.read())
            self.send_response(200)
            self.send_header("Content-Type", "model/gltf-binary")
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        super().do_GET()

    def guess_type(self, path):
        return "text/html" if str(path).endswith("right.txt") else super().guess_type(path)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(folder):
    handler = lambda *args: _Handler(*args, directory=str(folder))  # noqa: E731
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_an_address_is_followed_through_redirects_and_gzip(tmp_path):
    folder = explicit(tmp_path / "sound").parent
    with served(folder) as address:
        for name in ("tileset.json", "moved?key=1"):
            report = check_tileset(f"{address}/{name}", khronos=False)
            assert report.outcomes == ()
            assert report.figures["contents"] == 3
        (folder / "left.glb").rename(folder / "right.txt")
        document = json.loads((folder / "tileset.json").read_text())
        document["root"]["children"][1]["content"]["uri"] = "right.txt"
        document["root"]["children"][0]["content"]["uri"] = "left.txt"
        (folder / "tileset.json").write_text(json.dumps(document))
        report = check_tileset(f"{address}/tileset.json", khronos=False)
    assert "tileset.json#root/0: content left.txt does not exist (404) [IO_ERROR]" in " | ".join(
        f"{o.oid}: {o.reason}" for o in report.outcomes
    )
    assert any("media type 'text/html'" in warning for warning in report.warnings)


def test_an_address_that_does_not_answer_is_one_line(tmp_path):
    report = check_tileset("http://127.0.0.1:9/tileset.json", khronos=False)
    assert len(report.outcomes) == 1
    assert "cannot be reached" in report.outcomes[0].reason
