"""What tables, point clouds and city models can promise wrongly."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from typing import Any

from tests.robustness.mutators import Cases, Mutator, header, instead, over, patch, replaced, rezipped, zipped
from tests.robustness.seeds import cityjson_object

NAN, INF = float("nan"), float("inf")

# ASPRS LAS 1.4 R15, public header block.
LAS_HEADER = [
    ("version", 25, "<B"),
    ("header-size", 94, "<H"),
    ("data-offset", 96, "<I"),
    ("records", 100, "<I"),
    ("format", 104, "<B"),
    ("record-length", 105, "<H"),
    ("points", 107, "<I"),
    ("scale", 131, "<d"),
    ("offset", 155, "<d"),
    ("max-x", 179, "<d"),
    ("min-x", 187, "<d"),
]
LAS12: Cases = {
    **header(LAS_HEADER),
    "points=4000000000": over("", lambda data: patch(data, 107, struct.pack("<I", 4_000_000_000))),
    "format=200": over("", lambda data: patch(data, 104, b"\xc8")),
    "all-nan-scale": over("", lambda data: patch(data, 131, struct.pack("<3d", NAN, NAN, NAN))),
    "scale=1e300": over("", lambda data: patch(data, 131, struct.pack("<3d", 1e300, 1e300, 1e300))),
    "record-of-4-gb": over("", lambda data: _with_record(data, 65_535)),
}
LAS14: Cases = {
    **header([("extended-start", 235, "<Q"), ("extended-records", 243, "<I"), ("points-64", 247, "<Q")]),
    "extended-3-billion": over("", lambda data: patch(data, 235, struct.pack("<QI", 227, 3_000_000_000))),
}
LAZ: Cases = {
    **header(
        [
            ("data-offset", 96, "<I"),
            ("records", 100, "<I"),
            ("format", 104, "<B"),
            ("points", 107, "<I"),
            ("record-length", 105, "<H"),
        ]
    ),
    **{
        f"laszip-{name}": over("", lambda data, at=at, new=new: patch(data, data.index(b"laszip encoded") + at, new))
        for name, at, new in (
            # The record's body begins 52 bytes after its user id's 16 bytes and number, length, description.
            ("length=65535", 18, b"\xff\xff"),
            ("length=0", 18, b"\x00\x00"),
            ("compressor=0", 52, b"\x00\x00"),
            ("compressor=255", 52, b"\xff\xff"),
            ("coder=9", 54, b"\x09\x00"),
            ("version=255", 56, b"\xff\xff"),
            ("chunk=0", 64, bytes(4)),
            ("chunk=1", 64, b"\x01\x00\x00\x00"),
            ("chunk=4294967295", 64, b"\xff" * 4),
            ("items=0", 84, b"\x00\x00"),
            ("items=65535", 84, b"\xff\xff"),
            ("item-type=99", 86, b"\x63\x00"),
            ("item-size=0", 88, b"\x00\x00"),
            ("item-size=65535", 88, b"\xff\xff"),
            ("item-version=9", 90, b"\x09\x00"),
        )
    },
    **{
        f"table-offset={value}": over(
            "", lambda data, value=value: patch(data, struct.unpack_from("<I", data, 96)[0], struct.pack("<q", value))
        )
        for value in (-1, 0, 1, 2**62, -(2**63))
    },
    **{
        f"chunks={value}": over("", lambda data, value=value: _chunk_table(data, value))
        for value in (0, 0x7FFF_FFFF, 0xFFFF_FFFF)
    },
}


def _with_record(data: bytes, length: int) -> bytes:
    """A variable length record that claims more than there is."""
    head = bytearray(data)
    struct.pack_into("<I", head, 100, 1)
    record = struct.pack("<H16sHH32s", 0, b"LASF_Projection", 34735, length, b"")
    start = struct.unpack_from("<H", data, 94)[0]
    return bytes(head[:start]) + record + bytes(head[start:])


def _chunk_table(data: bytes, chunks: int) -> bytes:
    table = struct.unpack_from("<q", data, struct.unpack_from("<I", data, 96)[0])[0]
    return patch(data, table + 4, struct.pack("<I", chunks))


def _sheet(change: Callable[[bytes], bytes], member: str = "xl/worksheets/sheet1.xml") -> Mutator:
    return over("", lambda data: rezipped(data, lambda name, body: change(body) if name == member else body))


ENTITIES = (
    b'<!DOCTYPE x [<!ENTITY a "'
    + b"ha" * 50
    + b'">'
    + b"".join(f'<!ENTITY {chr(98 + k)} "{f"&{chr(97 + k)};" * 10}">'.encode() for k in range(9))
    + b"]>"
)
XLSX: Cases = {
    "bomb-sheet-2-gb": over(
        "", lambda data: rezipped(data, lambda name, body: _filled(body) if "sheet1" in name else body)
    ),
    "bomb-strings": over("", lambda data: zipped({"xl/sharedStrings.xml": b"<sst><si><t>" + b"x" * 300_000_000})),
    "billion-laughs": _sheet(lambda body: ENTITIES + body),
    "external-entity": _sheet(lambda body: b'<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + body),
    "entity-after-64-kb": _sheet(lambda body: b"<!--" + b" " * 70_000 + b"-->" + ENTITIES + body),
    "entity-in-utf-16": _sheet(
        lambda body: ('<?xml version="1.0" encoding="UTF-16"?>' + ENTITIES.decode() + "<x>&j;</x>").encode("utf-16")
    ),
    "entity-in-strings": over(
        "", lambda data: rezipped(data, lambda name, body: ENTITIES + body if "sharedStrings" in name else body)
    ),
    "dimension-of-17-billion": _sheet(lambda body: body.replace(b"A1:E7", b"A1:XFD1048576")),
    "row=1048576": _sheet(
        lambda body: body.replace(b'<row r="3"', b'<row r="1048576"').replace(b'r="A3"', b'r="A1048576"')
    ),
    "row=999999999": _sheet(lambda body: body.replace(b'<row r="3"', b'<row r="999999999"')),
    "row=-1": _sheet(lambda body: body.replace(b'<row r="3"', b'<row r="-1"')),
    "row=text": _sheet(lambda body: body.replace(b'<row r="3"', b'<row r="zebra"')),
    "cell=XFD": _sheet(lambda body: body.replace(b'r="A3"', b'r="XFD3"')),
    "cell=ZZZZZ": _sheet(lambda body: body.replace(b'r="A3"', b'r="ZZZZZ3"')),
    "shared=999999": _sheet(lambda body: body.replace(b"<v>5</v>", b"<v>999999</v>")),
    "number=1e999": _sheet(lambda body: body.replace(b"<v>114", b"<v>1e999")),
    "number=nan": _sheet(lambda body: body.replace(b"<v>114", b"<v>nan")),
    "number-long": _sheet(lambda body: body.replace(b"<v>114", b"<v>" + b"9" * 5_000)),
    "cut-sheet": _sheet(lambda body: body[: len(body) // 2]),
    "empty-sheet": _sheet(lambda body: b""),
    "deep-sheet": _sheet(lambda body: b"<worksheet>" + b"<a>" * 200_000),
    "no-workbook": over("", lambda data: zipped({"xl/worksheets/sheet1.xml": b"<worksheet/>"})),
    "relation-outside": over(
        "",
        lambda data: rezipped(data, lambda name, body: body.replace(b"worksheets/sheet1.xml", b"../../../etc/passwd")),
    ),
    "relation-loop": over(
        "", lambda data: rezipped(data, lambda name, body: body.replace(b"worksheets/sheet1.xml", b"workbook.xml"))
    ),
    "traversal": over("", lambda data: data.replace(b"xl/styles.xml", b"../styles.xml")),
    "member-twice": over("", lambda data: zipped({"a": b""}) + data),
    "encrypted": over("", lambda data: patch(data, 6, b"\x01\x00")),
    "stored-as-bzip2": over("", lambda data: patch(data, data.rindex(b"PK\x01\x02") + 10, b"\x0c\x00")),
    **instead(
        {
            "old-xls": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(4096),
            "is-csv": b"oid,lon,lat\na,114,40\n",
            "empty-zip": zipped({}),
        }
    ),
}


def _filled(body: bytes) -> bytes:
    row = b'<row r="8"><c r="A8" t="inlineStr"><is><t>' + b"x" * 500_000_000 + b"</t></is></c></row></sheetData>"
    return body.replace(b"</sheetData>", row)


TEXT: Cases = {
    "nul": over("", lambda data: data.replace(b"\n", b"\n\x00", 3)),
    "nul-whole": over("", lambda data: bytes(len(data))),
    "utf-16": over("", lambda data: data.decode().encode("utf-16")),
    "gbk": over("", lambda data: data.decode().encode("gbk") + "，平城".encode("gbk")),
    "latin": over("", lambda data: data + b"\xe9\xe8,\xff,1,2\n"),
    "mark": over("", lambda data: b"\xef\xbb\xbf" + data),
    "open-quote": over("", lambda data: data.replace(b"\n", b'\n"', 2)),
    "quote-inside": over("", lambda data: data.replace(b",", b',"x"y', 3)),
    "one-line-of-10-mb": over("", lambda data: data + b"x" * 10_000_000),
    "one-field-of-10-mb": over("", lambda data: data.replace(b"\n", b"\n" + b"9" * 10_000_000, 1)),
    "header-only": over("", lambda data: data.split(b"\n")[0] + b"\n"),
    "no-header": over("", lambda data: data.split(b"\n", 1)[1]),
    "header-twice": over("", lambda data: data.split(b"\n")[0] + b"," + data),
    "100000-columns": over("", lambda data: b",".join(b"c%d" % k for k in range(100_000)) + b"\n" + data),
    "row-too-long": over("", lambda data: data + b"a,b,c,d,e,f,g,h,i,j,k\n"),
    "row-too-short": over("", lambda data: data + b"a\n"),
    "blank-lines": over("", lambda data: b"\n\n\n" + data.replace(b"\n", b"\n\n\r\r\n")),
    "only-separators": over("", lambda data: b"," * 1000 + b"\n" + b"," * 1000),
    "empty": over("", lambda data: b""),
    "one-byte": over("", lambda data: b","),
    "is-a-page": over("", lambda data: b"<!DOCTYPE html><html><body>404, not found</body></html>"),
    "is-xlsx": over("", lambda data: zipped({"a": b"b"})),
    "same-id": over("", lambda data: data + data.split(b"\n")[1] + b"\n"),
}


def cells(row: int, column: int, words: tuple[str, ...]) -> Cases:
    """One cell of a table in other words."""

    def change(data: bytes, word: str) -> bytes:
        lines = data.decode().split("\n")
        cells = lines[row].split(",")
        cells[column] = word
        lines[row] = ",".join(cells)
        return "\n".join(lines).encode()

    return {
        f"cell-{column}={word[:16]}": over("", lambda data, word=word: change(data, word))  # type: ignore[misc]
        for word in words
    }


PLACES = ("nan", "inf", "-inf", "1e308", "1e999", "9999", "-1e30", "", "zebra", "9" * 5_000, "114°00′", "1_1_4")
TIMES = (
    "99999-01-01T00:00:00Z",
    "-1",
    "1e308",
    "1e999",
    "inf",
    "nan",
    "0000-00-00T00:00:00Z",
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-06-21T00:00:00+99:99",
    "2026-06-21",
    "9" * 5_000,
    "zebra",
    "",
    "2026-06-21T00:00:00." + "1" * 400 + "Z",
    "253402300800000",
    "-62135596801",
    "1677-09-21T00:12:43Z",
)
WKTS = {
    "wkt-deep": "GEOMETRYCOLLECTION (" * 100_000,
    "wkt-nan": "POLYGON ((nan nan, 1 1, 1 0, nan nan))",
    "wkt-inf": "POLYGON ((inf 1, 1 1, 1 0, inf 1))",
    "wkt-1e999": "POLYGON ((1e999 1, 1 1, 1 0, 1e999 1))",
    "wkt-open": "POLYGON ((0 0, 1 1, 1 0))",
    "wkt-cut": "POLYGON ((0 0, 1",
    "wkt-empty": "POLYGON EMPTY",
    "wkt-unknown": "ZEBRA (1 2)",
    "wkt-curve": "CIRCULARSTRING (0 0, 1 1, 2 0)",
    "wkt-point": "POINT (1 2)",
    "wkt-deep-balanced": "GEOMETRYCOLLECTION (" * 50_000 + "POINT (1 2)" + ")" * 50_000,
    "wkt-nul": "POLYGON\x00((0 0",
}
# One reader reads them all; what the text does to it is tried whole on one kind, in part on the others.
FEW = {name: TEXT[name] for name in ("nul", "utf-16", "open-quote", "header-only", "no-header", "empty", "same-id")}
WKT: Cases = {
    **FEW,
    **{name: over("", lambda data, text=text: data + f'bad,"{text}",5\n'.encode()) for name, text in WKTS.items()},  # type: ignore[misc]
}
ADDRESSES: Cases = {**TEXT, **cells(1, 2, PLACES)}
SENSORS: Cases = {**FEW, **cells(1, 3, PLACES), **cells(2, 4, ("nan", "inf", "1e308"))}
OBSERVATIONS: Cases = {
    **FEW,
    **cells(1, 1, TIMES),
    **cells(1, 2, ("nan", "inf", "1e308", "1e999", "zebra", "9" * 400)),
}
INCIDENTS: Cases = {**FEW, **cells(1, 5, TIMES), **cells(1, 6, ("0", "5", "nan", "inf", "1e308", "zebra", "2.5"))}


def _model(change: Callable[[dict[str, Any]], Any]) -> Mutator:
    def rewrite(seed: Any) -> dict[str, bytes]:
        whole = copy.deepcopy(cityjson_object())
        found = change(whole)
        return {seed.target: json.dumps(whole if found is None else found).encode()}

    return rewrite


def _ring(value: Any) -> Mutator:
    return _model(lambda m: m["CityObjects"]["k1"]["geometry"][0]["boundaries"][0].__setitem__(0, value))


def _part(**new: Any) -> Mutator:
    return _model(lambda m: m["CityObjects"]["k1"].update(new))


def _geometry(**new: Any) -> Mutator:
    return _model(lambda m: m["CityObjects"]["k1"]["geometry"][0].update(new))


MODEL = {
    **{f"index={value}": _ring([[0, 1, value]]) for value in (16, -1, 2**31, 2**63, 10**40, 1.5, "1", None, NAN)},
    "ring-empty": _ring([[]]),
    "ring-number": _ring(7),
    "ring-null": _ring(None),
    "ring-deep": _ring([[[[0, 1, 2]]]]),
    "boundaries-null": _geometry(boundaries=None),
    "boundaries-text": _geometry(boundaries="zebra"),
    "boundaries-empty": _geometry(boundaries=[]),
    "type=null": _geometry(type=None),
    "type=zebra": _geometry(type="Zebra"),
    "lod=nan": _geometry(lod=NAN),
    "lod=1e308": _geometry(lod=1e308),
    "lod=text": _geometry(lod="zebra"),
    "lod=-1": _geometry(lod=-1),
    "semantics-number": _geometry(semantics=7),
    "semantics-values": _geometry(semantics={"surfaces": [{}], "values": [[99, -5]]}),
    "semantics-surfaces": _geometry(semantics={"surfaces": [None, 7], "values": [[0]]}),
    "geometry-number": _part(geometry=7),
    "geometry-null": _part(geometry=[None]),
    "attributes-list": _part(attributes=[1]),
    "attributes-deep": _part(attributes={"a": {"b": [[[{}]]]}}),
    "attributes-inf": _part(attributes={"measuredHeight": INF}),
    "object-type-number": _part(type=7),
    "parents-number": _part(type="BuildingPart", parents=7),
    "parents-self": _part(type="BuildingPart", parents=["k1"]),
    "parents-loop": _model(lambda m: _loop(m)),
}


def _loop(model: dict[str, Any]) -> None:
    for own, other in (("k1", "k2"), ("k2", "k1")):
        model["CityObjects"][own] |= {"type": "BuildingPart", "parents": [other], "children": [other]}


CITYJSON: Cases = {
    **MODEL,
    **{
        f"scale={value}": _model(lambda m, value=value: m["transform"].update(scale=[value] * 3))
        for value in (NAN, INF, 0, -1, 1e300, "1", None)
    },
    **{
        f"translate={value}": _model(lambda m, value=value: m["transform"].update(translate=[value] * 3))
        for value in (NAN, 1e308, [1])
    },
    "transform-empty": _model(lambda m: m.update(transform={})),
    "transform-list": _model(lambda m: m.update(transform=[1])),
    "vertices-null": _model(lambda m: m.update(vertices=None)),
    "vertices-ragged": _model(lambda m: m.update(vertices=[[1, 2], [3]])),
    "vertices-text": _model(lambda m: m.update(vertices=[["a", "b", "c"]])),
    "vertices-huge": _model(lambda m: m.update(vertices=[[10**400, 0, 0]] * 16)),
    "vertices-none": _model(lambda m: m.update(vertices=[])),
    "version=9": _model(lambda m: m.update(version="9.0")),
    "version-list": _model(lambda m: m.update(version=[1])),
    "crs=text": _model(lambda m: m.update(metadata={"referenceSystem": "zebra"})),
    "crs=99999": _model(lambda m: m.update(metadata={"referenceSystem": "urn:ogc:def:crs:EPSG::99999"})),
    "crs=long": _model(lambda m: m.update(metadata={"referenceSystem": "EPSG:" + "9" * 5_000})),
    "metadata-list": _model(lambda m: m.update(metadata=[])),
    "objects-list": _model(lambda m: m.update(CityObjects=[])),
    "objects-null": _model(lambda m: m.update(CityObjects=None)),
    "object-null": _model(lambda m: m["CityObjects"].update(k1=None)),
    "top-list": _model(lambda m: [m]),
    "top-null": _model(lambda m: [None]),
    **instead(
        {
            "deep": lambda: b"[" * 200_000,
            "deep-objects": lambda: b'{"type":"CityJSON","CityObjects":' + b'{"a":' * 200_000,
            "nul": bytes(100),
            "blank": b" ",
            "empty": b"",
        }
    ),
    "utf-16": over("", lambda data: data.decode().encode("utf-16")),
    "twice": over("", lambda data: data + data),
    "with-tail": over("", lambda data: data + b"garbage"),
}


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Mutator:
    return over("", lambda data: b"\n".join(change(data.split(b"\n"))))


CITYJSONSEQ: Cases = {
    "last-line-cut": _lines(lambda rows: [*rows[:2], rows[2][:50]]),
    "no-head": _lines(lambda rows: rows[1:]),
    "head-only": _lines(lambda rows: rows[:1]),
    "head-twice": _lines(lambda rows: [rows[0], *rows]),
    "line-null": _lines(lambda rows: [*rows[:2], b"null"]),
    "line-number": _lines(lambda rows: [*rows[:2], b"7"]),
    "line-empty-object": _lines(lambda rows: [*rows[:2], b"{}"]),
    "line-binary": _lines(lambda rows: [*rows[:2], bytes(range(128, 255))]),
    "line-deep": _lines(lambda rows: [*rows[:2], b"[" * 200_000]),
    "blank-lines": _lines(lambda rows: [rows[0], b"", b"  ", *rows[1:]]),
    "same-feature-twice": _lines(lambda rows: [*rows[:3], rows[1]]),
    "vertices-gone": _lines(lambda rows: [rows[0], rows[1].replace(b'"vertices"', b'"zebra"')]),
    "line-of-20-mb": _lines(lambda rows: [*rows[:2], b"x" * 20_000_000]),
    "gzip": over("", lambda data: b"\x1f\x8b" + data),
}

CITYGML: Cases = {
    **replaced(
        {
            "odd-count": ("1000 500010", "500010"),
            "nan": ("500000.0", "nan"),
            "inf": ("500000.0", "inf"),
            "1e999": ("500000.0", "1e999"),
            "text": ("500000.0", "zebra"),
            "1e308": ("500000.0", "1e308"),
            "dimension=0": ('srsDimension="3"', 'srsDimension="0"'),
            "dimension=2": ('srsDimension="3"', 'srsDimension="2"'),
            "dimension=text": ('srsDimension="3"', 'srsDimension="zebra"'),
            "dimension=4294967295": ('srsDimension="3"', 'srsDimension="4294967295"'),
            "crs=zebra": ("EPSG:4547", "zebra"),
            "crs=99999": ("EPSG:4547", "EPSG:99999"),
            "crs=long": ("EPSG:4547", "EPSG:" + "9" * 5_000),
            "cut-tag": ("</gml:posList>", "</gml:posLi"),
            "wrong-end": ("</gml:posList>", "</zebra>"),
            "no-prefix": ('xmlns:gml="http://www.opengis.net/gml"', ""),
            "lod9": ("bldg:lod1Solid", "bldg:lod9Solid"),
            "height=inf": (">5.0<", ">inf<"),
            "height=text": (">5.0<", ">zebra<"),
            "unknown-encoding": ('encoding="UTF-8"', 'encoding="zebra"'),
            "false-encoding": ('encoding="UTF-8"', 'encoding="UTF-16"'),
            "codec-encoding": ('encoding="UTF-8"', 'encoding="zlib"'),
            "billion-laughs": ("<CityModel", ENTITIES.decode() + "<CityModel"),
            "undefined-entity": (">5.0<", ">&zebra;<"),
            "external-entity": ("<CityModel", '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]><CityModel'),
            "external-dtd": ("<CityModel", '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><CityModel'),
            "self-link": (
                "<gml:surfaceMember>",
                '<gml:surfaceMember xlink:href="#g1" xmlns:xlink="http://www.w3.org/1999/xlink"/><gml:surfaceMember>',
            ),
            "nul": ("<bldg:Building", "\x00<bldg:Building"),
            "huge-attribute": ('gml:id="g1"', 'gml:id="' + "x" * 5_000_000 + '"'),
            "deep": ("<gml:Solid>", "<gml:Solid>" * 50_000),
            "many-attributes": ('gml:id="g1"', " ".join(f'a{k}="1"' for k in range(20_000))),
            "comment-of-20-mb": ("<bldg:Building", "<!--" + "x" * 20_000_000 + "--><bldg:Building"),
        }
    ),
    "utf-16": over("", lambda data: data.decode().replace("UTF-8", "UTF-16").encode("utf-16")),
    "two-roots": over("", lambda data: data + data[40:]),
    "no-prolog": over("", lambda data: data.split(b"\n", 1)[1]),
    **instead(
        {
            "deep-prolog": lambda: b"<a>" * 300_000,
            "only-prolog": b'<?xml version="1.0"?>',
            "empty": b"",
            "is-html": b"<!DOCTYPE html><p>x",
            "other-xml": b"<kml/>",
        }
    ),
}

OTHERS: dict[str, Cases] = {
    "las12": LAS12,
    "las14": LAS14,
    "laz": LAZ,
    "xlsx": XLSX,
    "wkt": WKT,
    "addresses": ADDRESSES,
    "sensors": SENSORS,
    "observations": OBSERVATIONS,
    "incidents": INCIDENTS,
    "cityjson": CITYJSON,
    "cityjsonseq": CITYJSONSEQ,
    "citygml": CITYGML,
}
