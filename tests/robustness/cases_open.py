"""What open map data and series can promise wrongly: blocks of a PBF, tags, graphs, nested entities, moments."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

from tests.ingest.test_osm import block, number, packed
from tests.robustness.cases_others import ENTITIES, FEW, PLACES, TIMES, WKTS, cells
from tests.robustness.mutators import Cases, Mutator, instead, over, patch, replaced
from tests.robustness.seeds_models import things

_ZERO = zlib.compress(bytes(200 * 2**20), 9)


def _pbf(*blobs: tuple[bytes, bytes]) -> bytes:
    """A PBF of blobs as they are, whatever they hold."""
    out = b""
    for name, blob in blobs:
        head = block(1, name) + number(3, len(blob))
        out += struct.pack(">I", len(head)) + head + blob
    return out


def _raw(payload: bytes) -> bytes:
    return block(1, payload) + number(2, len(payload))


_HEAD = (b"OSMHeader", _raw(block(4, b"OsmSchema-V0.6")))
_WORDS = block(1, block(1, b"") + block(1, b"building") + block(1, b"yes"))


def _group(part: bytes, *more: bytes) -> bytes:
    return _pbf(_HEAD, (b"OSMData", _raw(_WORDS + block(2, part) + b"".join(more))))


_WAY = number(1, 5) + packed(2, [1]) + packed(3, [2])
_NODE = number(1, 1, True) + number(8, 401_000_000, True) + number(9, 1_133_000_000, True)
PBF: Cases = {
    **instead(
        {
            "blob-claims-2-gb": _pbf(_HEAD, (b"OSMData", number(2, 2**31) + block(3, zlib.compress(b"x")))),
            "blob-claims-nothing": _pbf(_HEAD, (b"OSMData", number(2, 0) + block(3, zlib.compress(b"x" * 99)))),
            "blob-bomb": lambda: _pbf(_HEAD, (b"OSMData", number(2, 200 * 2**20) + block(3, _ZERO))),
            "blob-bomb-of-32-mb": lambda: _pbf(_HEAD, *[(b"OSMData", _packed_zeros())] * 40),
            "blob-of-lzma": _pbf(_HEAD, (b"OSMData", number(2, 9) + block(4, b"x" * 9))),
            "blob-of-nothing": _pbf(_HEAD, (b"OSMData", b"")),
            "blob-of-garbage": _pbf(_HEAD, (b"OSMData", _raw(bytes(range(255))))),
            "blob-named-zebra": _pbf(_HEAD, (b"Zebra", _raw(b"x"))),
            "head-of-4-gb": b"\xff\xff\xff\xff" + _pbf(_HEAD),
            "head-of-nothing": bytes(4),
            "data-size-of-2-gb": _pbf(_HEAD) + struct.pack(">I", 14) + block(1, b"OSMData") + number(3, 2**31 - 1),
            "feature-unknown": _pbf((b"OSMHeader", _raw(block(4, b"HistoricalInformation")))),
            "no-header": _pbf((b"OSMData", _raw(_WORDS))),
            "only-header": _pbf(_HEAD),
            "words-outside": _group(block(1, _NODE + packed(2, [9_999_999]) + packed(3, [9_999_999]))),
            "tags-odd": _group(block(1, _NODE + packed(2, [1, 1]) + packed(3, [2]))),
            "node-far": _group(block(1, number(1, 1, True) + number(8, 2**40, True) + number(9, 2**40, True))),
            "granularity": _group(block(1, _NODE), number(17, 2**31 - 1), number(19, 2**62), number(20, 2**62)),
            "way-of-nothing": _group(block(3, _WAY + packed(8, [7] * 9, True))),
            "way-of-a-million": lambda: _group(block(3, _WAY + packed(8, [0] * 1_000_000, True))),
            "relation-of-itself": _group(
                block(4, number(1, 9) + packed(8, [0]) + packed(9, [9], True) + packed(10, [2]))
            ),
            "dense-short": _group(block(2, packed(1, [1] * 99, True) + packed(8, [1], True) + packed(9, [1], True))),
            "varint-without-end": _pbf(_HEAD, (b"OSMData", _raw(b"\x08" + b"\xff" * 400))),
            "length-negative": _pbf(_HEAD, (b"OSMData", _raw(b"\x0a" + b"\xff" * 9 + b"\x01"))),
        }
    ),
    "twice": over("", lambda data: data + data),
    "head-flag": over("", lambda data: patch(data, 4, b"\xff")),
}  # fmt: skip


def _packed_zeros() -> bytes:
    return number(2, 32 * 2**20) + block(3, zlib.compress(bytes(32 * 2**20), 9))


OSM: Cases = {
    **replaced(
        {
            "lat=nan": ('lat="40.1"', 'lat="nan"'),
            "lat=1e999": ('lat="40.1"', 'lat="1e999"'),
            "lat=text": ('lat="40.1"', 'lat="zebra"'),
            "lat=9999": ('lat="40.1"', 'lat="9999"'),
            "lat-gone": ('lat="40.1"', ""),
            "id=-1": ('id="1"', 'id="-1"'),
            "id-huge": ('id="1"', 'id="99999999999999999999"'),
            "id-text": ('id="1"', 'id="zebra"'),
            "ref-gone": ('ref="2"', 'ref="987654321"'),
            "ref-huge": ('ref="2"', 'ref="99999999999999999999"'),
            "member-itself": ('ref="19"', 'ref="20" type="relation"'),
            "key-of-1-mb": ('k="building"', f'k="{"x" * 2**20}"'),
            "value-of-1-mb": ('v="apartments"', f'v="{"x" * 2**20}"'),
            "20000-tags": ("<tag", "".join(f'<tag k="k{k}" v="v"/>' for k in range(20_000)) + "<tag"),
            "quotes": ('v="apartments"', 'v="&quot;=&gt;&quot;\\\\"'),
            "deep": ("<way", "<zebra>" * 100_000 + "<way"),
            "laughs": ("<osm", ENTITIES.decode() + "<osm"),
            "external": ("<osm", '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]><osm'),
            "nul": ("<way", "\x00<way"),
            "cut-tag": ("</way>", "</wa"),
            "levels": ('v="6"', f'v="{"9" * 400}"'),
            "height": ('v="12,5"', 'v="1e999 m"'),
        }
    ),
    **instead({"only-root": b'<osm version="0.6"/>', "empty": b"", "html": b"<!DOCTYPE html><p>", "other": b"<gpx/>"}),
    "utf-16": over("", lambda data: data.decode().encode("utf-16")),
}

_LINE = "LINESTRING (113.30 40.10, 113.305 40.11, 113.31 40.10)"
GRAPHML: Cases = {
    **replaced({name: (_LINE, text) for name, text in WKTS.items()}),
    **replaced(
        {
            "x=nan": (">113.30<", ">nan<"),
            "x=inf": (">113.30<", ">inf<"),
            "x=1e999": (">113.30<", ">1e999<"),
            "x=1e308": (">113.30<", ">1e308<"),
            "x-gone": ('<data key="d0">113.30</data>', ""),
            "list-deep": ("['primary', 'trunk']", "[" * 100_000),
            "list-deep-closed": ("['primary', 'trunk']", "[" * 20_000 + "]" * 20_000),
            "list-of-minus": ("['primary', 'trunk']", "[" + "-" * 50_000 + "1]"),
            "list-empty": ("['primary', 'trunk']", "[]"),
            "list-of-code": ("['primary', 'trunk']", "[__import__('os').system('false')]"),
            "list-number": ("['4', '3']", "[1e999, nan]"),
            "lanes=1e999": ("['4', '3']", "9" * 400),
            "lanes-list-empty": ("['4', '3']", "[]"),
            "key-unknown": ('key="d2"', 'key="zebra"'),
            "graph-in-graph": ("<edge", '<node id="z"><graph><node id="y"/></graph></node><edge'),
            "edge-in-edge": ("<data key=\"d2\">service", '<edge source="a" target="b"/><data key="d2">service'),
            "no-source": ('source="a"', ""),
            "self": ('target="b"', 'target="a"'),
            "laughs": ("<graphml", ENTITIES.decode() + "<graphml"),
            "external": ("<graphml", '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><graphml'),
            "encoding": ("<?xml version='1.0'", "<?xml version='1.0' "),
            "deep": ("<edge", "<zebra>" * 100_000 + "<edge"),
            "name-of-5-mb": ("['甲街', '乙街']", "x" * 5_000_000),
            "nul": ("<edge", "\x00<edge"),
            "20000-keys": ("<graph ", "".join(f'<key id="k{k}" attr.name="n{k}"/>' for k in range(20_000)) + "<graph "),
        }
    ),
    **instead({"empty": b"", "only-root": b"<graphml/>", "html": b"<!DOCTYPE html><p>"}),
}  # fmt: skip


def _thing(change: Callable[[dict[str, Any]], Any]) -> Mutator:
    def rewrite(seed: Any) -> dict[str, bytes]:
        entity = things()
        return {seed.target: json.dumps(change(entity) or entity).encode()}

    return rewrite


def _within(**values: Any) -> Mutator:
    return _thing(lambda thing: thing["Datastreams"][0].update(values))


def _place(value: Any) -> Mutator:
    return _thing(lambda thing: thing["Locations"][0].update(location=value))


def _nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"@iot.id": 0, "result": 1, "phenomenonTime": "2026-06-21T00:00:00Z"}
    for level in range(depth):
        inner = {"@iot.id": level, "Observations": [inner]}
    return inner


def _collection(depth: int) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": "Point", "coordinates": [113.3, 40.1]}
    for _ in range(depth):
        shape = {"type": "GeometryCollection", "geometries": [shape]}
    return shape


_ODD: tuple[Any, ...] = (None, 7, "zebra", [None], {})
THINGS: Cases = {
    **{f"streams={k}": _thing(lambda t, value=value: t.update(Datastreams=value)) for k, value in enumerate(_ODD)},  # type: ignore[misc]
    **{f"locations={k}": _thing(lambda t, value=value: t.update(Locations=value)) for k, value in enumerate(_ODD)},  # type: ignore[misc]
    **{f"location={k}": _place(value) for k, value in enumerate(_ODD)},
    **{f"values={k}": _within(Observations=value) for k, value in enumerate(_ODD)},
    **{f"unit={k}": _within(unitOfMeasurement=value) for k, value in enumerate(_ODD)},
    **{f"observed={k}": _within(ObservedProperty=value) for k, value in enumerate(_ODD)},
    **{f"id={k}": _thing(lambda t, value=value: t.update({"@iot.id": value})) for k, value in enumerate(_ODD)},  # type: ignore[misc]
    **{f"properties={k}": _thing(lambda t, value=value: t.update(properties=value)) for k, value in enumerate(_ODD)},  # type: ignore[misc]
    **{
        f"result={str(value)[:12]}": _within(Observations=[{"result": value, "phenomenonTime": "2026-06-21T00:00:00Z"}])
        for value in (1e308, 10**400, "1e999", "nan", [], {}, True, "9" * 5_000)
    },
    **{
        f"time={str(value)[:24]}": _within(Observations=[{"result": 1, "phenomenonTime": value}])
        for value in (*TIMES[::3], 7, [], {}, "/", "a/b/c")
    },
    **{
        f"point-{k}": _place({"type": "Point", "coordinates": value})
        for k, value in enumerate(([], [1], [None] * 2, ["a", "b"], [1e308] * 2, [10**400, 0], [[1, 2]], [999, 99], 7))
    },
    "place-deep": _place(_collection(400)),
    "array-short": _thing(lambda t: {"Datastream": t["Datastreams"][0], "dataArray": [[1], []]}),
    "array-nameless": _thing(lambda t: {"components": ["a"], "dataArray": [[1]]}),
    "array-odd": _thing(lambda t: {"components": 7, "dataArray": 7}),
    "features-odd": _thing(lambda t: {"type": "FeatureCollection", "features": [7, None]}),
    "features-gone": _thing(lambda t: {"type": "FeatureCollection"}),
    "nested-300": _thing(lambda t: _nested(300)),
    "nested-400": _thing(lambda t: _nested(400)),
    "value-of-values": _thing(lambda t: {"value": [{"value": [t]}]}),
    **instead(
        {
            "deep": lambda: b"[" * 200_000,
            "number": b"42",
            "null": b"null",
            "empty": b"",
            "nul": bytes(99),
            "surrogate": b'[{"@iot.id":"\\ud800","name":"\\udfff","Locations":[]}]',
            "same-key": b'[{"@iot.id":1,"@iot.id":[2],"name":"n"}]',
        }
    ),
    "utf-16": over("", lambda data: data.decode().encode("utf-16")),
}  # fmt: skip

TRAJECTORIES: Cases = {
    **cells(1, 1, TIMES),
    **cells(1, 2, PLACES),
    **cells(1, 0, ("", "x" * 100_000, "平城")),
    **FEW,
    "one-fix": over("", lambda data: b"\n".join(data.split(b"\n")[:2]) + b"\n"),
    "same-time": over("", lambda data: data.replace(b"T03", b"T01").replace(b"T05", b"T01")),
    "shapes": over("", lambda data: b'source_id,time,wkt\nt,2026-06-21T00:00:00Z,"LINESTRING (0 0, 1 1)"\n'),
}  # fmt: skip

OPEN: dict[str, Cases] = {
    "osm.pbf": PBF,
    "m.osm": OSM,
    "graphml": GRAPHML,
    "things": THINGS,
    "trajectories": TRAJECTORIES,
}
