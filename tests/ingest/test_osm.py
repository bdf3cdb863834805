"""OpenStreetMap extracts as XML and as PBF (written here by a small encoder), and road graphs in GraphML."""

import json
import struct
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
import shapely

from ingest.formats.osm import hstore, metres
from ingest.sources import reader_of
from twin.errors import SourceError

# id -> (lon, lat, tags); id -> (nodes, tags); id -> (members, tags)
NODES = {
    1: (113.300, 40.100, {}), 2: (113.301, 40.100, {}), 3: (113.301, 40.101, {}), 4: (113.300, 40.101, {}),
    5: (113.3005, 40.1005, {"addr:housenumber": "9号", "addr:street": "鼓楼东街", "amenity": "hospital"}),
    6: (113.3003, 40.1003, {"natural": "tree", "genus": "Populus", "leaf_type": "broadleaved", "height": "14.5 m",
                            "diameter_crown": "6"}),
    7: (113.3007, 40.1003, {"highway": "traffic_signals", "direction": "90"}),
    8: (113.3007, 40.1007, {}), 9: (113.3003, 40.1007, {}),
}  # fmt: skip
WAYS = {
    10: ([1, 2, 3, 4, 1], {"building": "apartments", "building:levels": "6", "height": "12,5", "name": "鼓楼",
                           "name:en": "Drum tower", "start_date": "1998-05", "addr:housenumber": "1",
                           "building:material": "brick", "inscription": 'a "quoted" word'}),
    11: ([1, 3], {"highway": "secondary", "name": "和阳街", "lanes": "4", "width": "40 ft", "bridge": "viaduct"}),
    12: ([2, 4], {"highway": "proposed"}),
    13: ([6, 7, 8, 9, 6], {}),
    14: ([1, 2, 3, 4, 1], {"natural": "water"}),
    15: ([2, 3], {"railway": "rail"}),
    16: ([1, 4], {"waterway": "river", "name": "御河"}),
    23: ([2, 3], {"man_made": "pipeline", "substance": "hot_water", "diameter": "300"}),
    17: ([1, 2, 3, 1], {"landuse": "forest"}),
    18: ([1, 2, 3, 1], {"building": "no"}),
    19: ([1, 2, 3, 4, 1], {}),
    22: ([1, 2, 3, 4, 1], {}),
}  # fmt: skip
RELATIONS = {
    20: ([("way", 19, "outer"), ("way", 13, "inner")], {"type": "multipolygon", "building": "temple", "height": "40'"}),
    21: ([("way", 22, "outer")], {"type": "boundary", "boundary": "administrative", "admin_level": "6"}),
}


def as_xml(path):
    tag = lambda tags: "".join(f"<tag k={quoteattr(k)} v={quoteattr(v)}/>" for k, v in tags.items())  # noqa: E731
    lines = [f'<node id="{i}" lon="{x}" lat="{y}" version="1">{tag(tags)}</node>' for i, (x, y, tags) in NODES.items()]
    for i, (refs, tags) in WAYS.items():
        lines.append(
            f'<way id="{i}" version="1">{"".join(f"<nd ref={chr(34)}{r}{chr(34)}/>" for r in refs)}{tag(tags)}</way>'
        )
    for i, (members, tags) in RELATIONS.items():
        parts = "".join(f'<member type="{kind}" ref="{ref}" role="{role}"/>' for kind, ref, role in members)
        lines.append(f'<relation id="{i}" version="1">{parts}{tag(tags)}</relation>')
    path.write_text('<osm version="0.6" generator="test">' + "\n".join(lines) + "</osm>", encoding="utf-8")


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def zigzag(n):
    return varint(n << 1 if n >= 0 else ((-n) << 1) - 1)


def number(key, n, signed=False):
    return varint(key << 3) + (zigzag(n) if signed else varint(n))


def block(key, payload):
    return varint(key << 3 | 2) + varint(len(payload)) + payload


def packed(key, values, signed=False):
    return block(key, b"".join((zigzag if signed else varint)(n) for n in values))


def deltas(values):
    return [b - a for a, b in zip([0, *values], values, strict=False)]


def as_pbf(path):
    """source  OSM wiki, PBF Format: fileformat.proto and osmformat.proto, blobs not compressed."""
    words = [""]

    def at(word):
        if word not in words:
            words.append(word)
        return words.index(word)

    def tags(table):
        return packed(2, [at(k) for k in table]) + packed(3, [at(v) for v in table.values()]) if table else b""

    nodes, ways, relations = [], [], []
    for i, (x, y, table) in NODES.items():
        place = number(8, round(y * 1e7), True) + number(9, round(x * 1e7), True)
        nodes.append(block(1, number(1, i, True) + tags(table) + place))
    for i, (refs, table) in WAYS.items():
        ways.append(block(3, number(1, i) + tags(table) + packed(8, deltas(refs), True)))
    for i, (members, table) in RELATIONS.items():
        parts = packed(8, [at(role) for _, _, role in members])
        parts += packed(9, deltas([ref for _, ref, _ in members]), True) + packed(10, [1] * len(members))
        relations.append(block(4, number(1, i) + tags(table) + parts))
    strings = block(1, b"".join(block(1, word.encode()) for word in words))
    groups = b"".join(block(2, b"".join(part)) for part in (nodes, ways, relations))
    blobs = (("OSMHeader", block(4, b"OsmSchema-V0.6")), ("OSMData", strings + groups))
    with path.open("wb") as file:
        for name, payload in blobs:
            blob = block(1, payload) + number(2, len(payload))
            head = block(1, name.encode()) + number(3, len(blob))
            file.write(struct.pack(">I", len(head)) + head + blob)


@pytest.fixture(params=["t.osm", "t.osm.pbf"])
def read(request, tmp_path, deliver, frame):
    (as_pbf if request.param.endswith("pbf") else as_xml)(tmp_path / request.param)

    def reading(kind, **declared):
        return reader_of(kind).read(deliver(request.param, kind, crs="EPSG:4326", **declared), frame)

    return reading


def test_buildings_come_with_ours_of_their_tags_and_the_rest_is_kept(read):
    layer = read("footprints").noun
    assert sorted(layer.oid.tolist()) == ["r20", "w10"]
    row = {key: layer.column(key)[layer.index()["w10"]] for key in ("name", "name_en", "function", "storeys", "height")}
    assert row == {"name": "鼓楼", "name_en": "Drum tower", "function": "residential", "storeys": 6.0, "height": 12.5}
    assert layer.column("structure")[layer.index()["w10"]] == "masonry"
    assert layer.column("year_built")[layer.index()["w10"]] == 1998.0
    rest = json.loads(layer.column("attributes")[layer.index()["w10"]])
    assert rest["inscription"] == 'a "quoted" word'
    temple = layer.index()["r20"]
    assert layer.column("function")[temple] == "religious"
    assert layer.column("height")[temple] == pytest.approx(12.192)
    assert len(layer.geometry[temple].interiors) == 1


@pytest.mark.parametrize(
    ("kind", "oids"),
    [
        ("roads", ["w11", "w15"]), ("rivers", ["w16"]), ("water", ["w14"]), ("green", ["w17"]), ("landuse", ["w17"]),
        ("addresses", ["n5", "w10"]), ("facilities", ["n5"]), ("divisions", ["r21"]),
    ],
)  # fmt: skip
def test_each_kind_takes_its_objects(kind, oids, read):
    reading = read(kind)
    assert sorted(reading.noun.oid.tolist()) == oids
    assert reading.warnings == ()


def test_roads_addresses_and_divisions_speak_our_words(read):
    roads = read("roads").noun
    row = roads.index()["w11"]
    assert [roads.column(key)[row] for key in ("road_class", "lanes", "bridge")] == ["secondary", 4.0, 1.0]
    assert roads.column("width")[row] == pytest.approx(12.192)
    assert roads.column("road_class")[roads.index()["w15"]] == "rail"
    addresses = read("addresses").noun
    row = addresses.index()["n5"]
    assert (addresses.column("road")[row], addresses.column("number")[row]) == ("鼓楼东街", "9号")
    assert set(shapely.get_type_id(addresses.geometry).tolist()) == {0}
    assert read("facilities").noun.column("kind").tolist() == ["hospital"]
    assert read("divisions").noun.column("division_level").tolist() == ["district"]


def test_railways_trees_pipes_and_street_furniture_come_in_our_words(read):
    railway, tree, pipe, lamp = (read(kind).noun for kind in ("railways", "trees", "pipes", "furniture"))
    assert (railway.oid.tolist(), railway.column("kind").tolist()) == (["w15"], ["rail"])
    assert (tree.column("species").tolist(), tree.column("leaf").tolist()) == (["Populus"], ["broadleaf"])
    assert (tree.column("height").tolist(), tree.column("crown").tolist()) == ([14.5], [6.0])
    assert (pipe.column("medium").tolist(), pipe.column("diameter").tolist()) == (["heat"], [300.0])
    assert (lamp.column("kind").tolist(), lamp.column("heading").tolist()) == (["traffic_signal"], [90.0])


def test_a_column_may_name_any_tag_and_other_kinds_are_refused(read):
    layer = read("footprints", columns={"heritage": "inscription"}).noun
    assert layer.column("heritage")[layer.index()["w10"]] == 'a "quoted" word'
    with pytest.raises(SourceError, match="no population are read from OpenStreetMap; it brings footprints"):
        read("population")


def test_an_extract_cut_short_is_one_clear_line(tmp_path, deliver, frame):
    as_pbf(tmp_path / "t.osm.pbf")
    whole = (tmp_path / "t.osm.pbf").read_bytes()
    (tmp_path / "t.osm.pbf").write_bytes(whole[: len(whole) - 40])
    with pytest.raises(SourceError, match=r"^t.osm.pbf: ") as caught:
        reader_of("footprints").read(deliver("t.osm.pbf", crs="EPSG:4326"), frame)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("12", 12.0),
        ("12 m", 12.0),
        ("12,5", 12.5),
        ("40 ft", 12.192),
        ("12'6\"", 3.81),
        ("0.5 km", 500.0),
        ("-3m", -3.0),
    ],
)
def test_lengths_are_read_as_mappers_write_them(word, expected):
    assert metres(word) == pytest.approx(expected)


@pytest.mark.parametrize("word", ["", "tall", "12;15", "about 12"])
def test_what_is_no_length_is_missing(word):
    assert np.isnan(metres(word))


def test_hstore_keeps_quotes_backslashes_and_commas():
    text = r'"a"=>"x, \"y\" => z","b:c"=>"back\\slash"'
    assert hstore(text) == {"a": 'x, "y" => z', "b:c": "back\\slash"}


GRAPH = """<?xml version='1.0'?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="d0" for="node" attr.name="x"/><key id="d1" for="node" attr.name="y"/>
<key id="d2" for="edge" attr.name="highway"/><key id="d3" for="edge" attr.name="geometry"/>
<key id="d4" for="edge" attr.name="name"/><key id="d5" for="edge" attr.name="lanes"/>
<graph edgedefault="directed">
<node id="a"><data key="d0">113.30</data><data key="d1">40.10</data></node>
<node id="b"><data key="d0">113.31</data><data key="d1">40.10</data></node>
<edge source="a" target="b" id="0"><data key="d2">['primary', 'trunk']</data><data key="d4">['甲街', '乙街']</data>
<data key="d5">['4', '3']</data></edge>
<edge source="a" target="b" id="1"><data key="d2">service</data>
<data key="d3">LINESTRING (113.30 40.10, 113.305 40.11, 113.31 40.10)</data></edge>
</graph></graphml>"""


def test_edges_of_a_graph_are_roads_parallel_ones_too(tmp_path, deliver, frame):
    (tmp_path / "g.graphml").write_text(GRAPH, encoding="utf-8")
    layer = reader_of("roads").read(deliver("g.graphml", "roads", crs="EPSG:4326"), frame).noun
    assert layer.oid.tolist() == ["a-b-0", "a-b-1"]
    assert layer.column("road_class").tolist() == ["primary", "lane"]
    assert layer.column("name").tolist() == ["甲街;乙街", ""]
    assert layer.column("lanes")[0] == 4.0
    assert [len(shape.coords) for shape in layer.geometry] == [2, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GRAPH[:700], "damaged or cut short XML"),
        (
            GRAPH.replace("?>", '?><!DOCTYPE g [<!ENTITY e "e">]>', 1),
            "declares a document type .entities.; refused, GraphML",
        ),
        (GRAPH.replace("graphml", "html"), "XML, but no GraphML"),
        (GRAPH.replace('target="b"', 'target="c"'), "lacks its place or ends"),
        (GRAPH.replace("113.31<", "east<"), "lacks its place or ends"),
    ],
    ids=["cut", "entity", "root", "target", "place"],
)
def test_a_graph_that_is_none_is_one_clear_line(text, words, tmp_path, deliver, frame):
    (tmp_path / "g.graphml").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=f"^g.graphml: .*{words}"):
        reader_of("roads").read(deliver("g.graphml", "roads", crs="EPSG:4326"), frame)
