"""What vector files can promise wrongly: lengths, counts, tables, geometries, text."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.robustness.city import Seed, X, Y
from tests.robustness.mutators import Cases, Mutator, header, instead, over, patch, replaced

NAN, INF = float("nan"), float("inf")

# ESRI Shapefile Technical Description (1998); the record of the first shape starts at 100.
SHP: Cases = {
    **header(
        [
            ("file-length", 24, ">i"),
            ("shape-type", 32, "<i"),
            ("xmin", 36, "<d"),
            ("record-number", 100, ">i"),
            ("record-length", 104, ">i"),
            ("record-type", 108, "<i"),
            ("box", 112, "<d"),
            ("parts", 144, "<i"),
            ("points", 148, "<i"),
            ("first-part", 152, "<i"),
            ("x", 156, "<d"),
            ("y", 164, "<d"),
        ]
    ),
    "points=100000000": over("", lambda data: patch(data, 148, struct.pack("<i", 100_000_000))),
    "record-length=past-end": over("", lambda data: patch(data, 104, struct.pack(">i", len(data)))),
    **{
        f"shx-{name}": case
        for name, case in header(
            [("file-length", 24, ">i"), ("offset", 100, ">i"), ("length", 104, ">i")], "b.shx"
        ).items()
    },
    **{
        f"dbf-{name}": case
        for name, case in header(
            [
                ("rows", 4, "<I"),
                ("header-length", 8, "<H"),
                ("record-length", 10, "<H"),
                ("code-page", 29, "<B"),
                ("field-type", 43, "<B"),
                ("field-length", 48, "<B"),
                ("decimals", 49, "<B"),
                ("field-end", 32 + 32 * 3, "<B"),
            ],
            "b.dbf",
        ).items()
    },
    "dbf-cut": over("b.dbf", lambda data: data[:40]),
    "dbf-empty": over("b.dbf", lambda data: b""),
    "dbf-number=nan": over("b.dbf", lambda data: data[:-14] + b"           nan"),
    "shx-empty": over("b.shx", lambda data: b""),
    "cpg-unknown": over("b.cpg", lambda data: b"KLINGON-8"),
    "cpg-utf-16": over("b.cpg", lambda data: b"utf-16"),
    "cpg-zlib": over("b.cpg", lambda data: b"zlib"),
    "cpg-binary": over("b.cpg", lambda data: bytes(range(256))),
    "cpg-1-mb": over("b.cpg", lambda data: b"x" * 2**20),
    "cpg-wrong": over("b.cpg", lambda data: b"big5"),
    "prj-nonsense": over("b.prj", lambda data: b'PROJCS["zebra",' * 1000),
    "prj-deep": over("b.prj", lambda data: b"PROJCS[" * 100_000),
    "prj-binary": over("b.prj", lambda data: bytes(range(256))),
    "prj-url": over("b.prj", lambda data: b"http://127.0.0.1:9/epsg.prj"),
    "prj-other": over("b.prj", lambda data: shapely_wkt("EPSG:32649")),
}


def shapely_wkt(crs: str) -> bytes:
    import pyproj

    return pyproj.CRS(crs).to_wkt("WKT1_ESRI").encode()


def _database(*statements: str | tuple[str, tuple[Any, ...]]) -> Mutator:
    """SQL on the seed; its triggers aside, which call functions of SpatiaLite."""

    def change(data: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "t.gpkg"
            path.write_bytes(data)
            connection = sqlite3.connect(path, isolation_level=None)
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (name,) in found:
                connection.execute(f'DROP TRIGGER "{name}"')
            connection.execute("PRAGMA writable_schema = ON")
            for statement in statements:
                sql, values = (statement, ()) if isinstance(statement, str) else statement
                connection.execute(sql, values)
            connection.close()
            return path.read_bytes()

    return over("", change)


def blob(wkb: bytes, flags: int = 1, magic: bytes = b"GP", srs: int = 4547, envelope: bytes = b"") -> bytes:
    """A GeoPackage geometry (OGC 12-128r18, clause 2.1.3)."""
    return magic + bytes([0, flags]) + struct.pack("<i", srs) + envelope + wkb


def _geometry(data: bytes) -> Mutator:
    return _database(("UPDATE b SET geom = ? WHERE fid = 2", (data,)))


def nested_wkb(depth: int, kind: int = 7) -> bytes:
    """Collections within collections."""
    return struct.pack("<BII", 1, kind, 1) * depth + struct.pack("<BIdd", 1, 1, X, Y)


def ring_wkb(*points: tuple[float, float], count: int | None = None, rings: int = 1) -> bytes:
    """A polygon whose ring claims `count` points."""
    body = b"".join(struct.pack("<dd", *point) for point in points)
    return struct.pack("<BIII", 1, 3, rings, len(points) if count is None else count) + body


SQUARE = ((X, Y), (X + 9, Y), (X + 9, Y + 9), (X, Y + 9), (X, Y))
WKB = {
    "points=4294967295": ring_wkb(*SQUARE, count=0xFFFF_FFFF),
    "points=300000000": ring_wkb(*SQUARE, count=300_000_000),
    "rings=4294967295": ring_wkb(*SQUARE, rings=0xFFFF_FFFF),
    "parts=4294967295": struct.pack("<BII", 1, 6, 0xFFFF_FFFF),
    "line=4294967295": struct.pack("<BII", 1, 2, 0xFFFF_FFFF),
    "x=nan": ring_wkb((NAN, Y), *SQUARE[1:4], (NAN, Y)),
    "x=inf": ring_wkb((INF, Y), *SQUARE[1:4], (INF, Y)),
    "x=1e308": ring_wkb((1e308, Y), *SQUARE[1:4], (1e308, Y)),
    "x=-1e308": ring_wkb((-1e308, -1e308), *SQUARE[1:4], (-1e308, -1e308)),
    "unclosed": ring_wkb(*SQUARE[:4]),
    "two-points": ring_wkb(*SQUARE[:2]),
    "no-points": ring_wkb(),
    "deep-100": nested_wkb(100),
    "deep-100000": nested_wkb(100_000),
    "deep-multi": nested_wkb(50_000, 6),
    "type=4294967295": struct.pack("<BII", 1, 0xFFFF_FFFF, 0),
    "type=curve": struct.pack("<BII", 1, 10, 0),
    "order=9": b"\x09" + ring_wkb(*SQUARE)[1:],
    "cut": ring_wkb(*SQUARE)[:-5],
    "empty": b"",
    "text": b"POLYGON ((0 0, 1 1, 1 0, 0 0))",
}

# SQLite file format: header of 100 bytes, then the first page's b-tree header.
PAGES = [
    ("page-size", 16, ">H"),
    ("write-version", 18, ">B"),
    ("reserved", 20, ">B"),
    ("page-count", 28, ">I"),
    ("free-list", 32, ">I"),
    ("schema-format", 44, ">I"),
    ("text-encoding", 56, ">I"),
    ("application", 68, ">I"),
    ("page-type", 100, ">B"),
    ("cells", 103, ">H"),
    ("content", 105, ">H"),
]


def _page(number: int, new: bytes) -> Mutator:
    return over("", lambda data: patch(data, number * 4096, new))


GPKG: Cases = {
    **header(PAGES),
    **{f"geom-{name}": _geometry(blob(wkb)) for name, wkb in WKB.items()},
    "geom-magic": _geometry(blob(ring_wkb(*SQUARE), magic=b"XX")),
    "geom-flags=255": _geometry(blob(ring_wkb(*SQUARE), flags=255)),
    "geom-srs=-2147483648": _geometry(blob(ring_wkb(*SQUARE), srs=-(2**31))),
    "geom-envelope=nan": _geometry(blob(ring_wkb(*SQUARE), 3, envelope=struct.pack("<4d", *[NAN] * 4))),
    "geom-text": _database("UPDATE b SET geom = 'POLYGON' WHERE fid = 2"),
    "geom-null": _database("UPDATE b SET geom = NULL"),
    "geom-number": _database("UPDATE b SET geom = 17"),
    "geom-zeroblob-400-mb": _database("UPDATE b SET geom = zeroblob(400000000) WHERE fid = 2"),
    "height=inf": _database(("UPDATE b SET height = ?", (INF,))),
    "height=text": _database("UPDATE b SET height = 'zebra'"),
    "name-blob": _database(("UPDATE b SET name = ?", (b"\xff\xfe\x00\x01",))),
    "name-bad-utf-8": _database("UPDATE b SET name = CAST(x'ffc3280a' AS TEXT)"),
    "name-nul": _database("UPDATE b SET name = 'a' || char(0) || 'b'"),
    "name-20-mb": _database("UPDATE b SET name = printf('%.*c', 20000000, 'x') WHERE fid = 1"),
    "id-same": _database("UPDATE b SET id = 'same'"),
    "contents-empty": _database("DELETE FROM gpkg_contents"),
    "contents-missing-table": _database("UPDATE gpkg_contents SET table_name = 'zebra'"),
    "contents-extent=nan": _database("UPDATE gpkg_contents SET min_x = 1e308, max_x = -1e308"),
    "contents-type": _database("UPDATE gpkg_contents SET data_type = 'zebra'"),
    "columns-empty": _database("DELETE FROM gpkg_geometry_columns"),
    "columns-name": _database("UPDATE gpkg_geometry_columns SET column_name = 'zebra'"),
    "columns-srs": _database("UPDATE gpkg_geometry_columns SET srs_id = 987654"),
    "srs-nonsense": _database("UPDATE gpkg_spatial_ref_sys SET definition = 'zebra', organization_coordsys_id = 7"),
    "no-tables": _database("DROP TABLE gpkg_contents"),
    "schema-nonsense": _database("UPDATE sqlite_master SET sql = 'CREATE TABLE zebra(' WHERE name = 'b'"),
    "schema-rootpage": _database("UPDATE sqlite_master SET rootpage = 999999 WHERE name = 'b'"),
    "schema-same-root": _database("UPDATE sqlite_master SET rootpage = 1 WHERE name = 'b'"),
    "view-that-never-ends": _database(
        "ALTER TABLE b RENAME TO hidden",
        "CREATE VIEW b AS WITH RECURSIVE n(fid) AS (SELECT 1 UNION ALL SELECT fid + 1 FROM n) "
        "SELECT n.fid AS fid, geom, id, name, height FROM n, hidden",
    ),
    "view-of-itself": _database("ALTER TABLE b RENAME TO hidden", "CREATE VIEW b AS SELECT * FROM b"),
    **{
        f"page-{n}-{word}": _page(n, new)
        for n in (1, 8)
        for word, new in (("zero", bytes(4096)), ("ones", b"\xff" * 4096), ("cells", b"\x0d\x00\x00\xff\xff\x00\x00"))
    },
}

SQLITE: Cases = header(PAGES[::3])


def _json(text: str) -> bytes:
    return text.encode()


def feature(geometry: str, properties: str = '{"id": "k", "name": "n", "height": 5}') -> bytes:
    """A GeoJSON file of one feature."""
    return _json(
        '{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:4547"}},"features":[{"type":"Feature",'
        f'"properties":{properties},"geometry":{geometry}}}]}}'
    )


def polygon(first: str) -> str:
    """A GeoJSON square with one corner in other words."""
    return f'{{"type":"Polygon","coordinates":[[{first},[{X + 9},{Y}],[{X + 9},{Y + 9}],[{X},{Y + 9}],{first}]]}}'


GEOJSON: Cases = {
    **instead(
        {
            **{
                f"x={word}": feature(polygon(f"[{word},{Y}]"))
                for word in (
                    "NaN",
                    "Infinity",
                    "-Infinity",
                    "1e308",
                    "1e999",
                    "9" * 400,
                    "null",
                    '"12"',
                    "[]",
                    "{}",
                    "true",
                )
            },
            "deep-brackets": lambda: b"[" * 200_000,
            "deep-objects": lambda: b'{"a":' * 200_000,
            "deep-coordinates": lambda: feature('{"type":"Polygon","coordinates":' + "[" * 50_000 + "]" * 50_000 + "}"),
            "deep-collections": lambda: feature(
                '{"type":"GeometryCollection","geometries":[' * 5_000 + polygon(f"[{X},{Y}]") + "]}" * 5_000
            ),
            "deep-properties": lambda: feature(polygon(f"[{X},{Y}]"), '{"id":"k","a":' + "[" * 900 + "]" * 900 + "}"),
            "number-of-a-million-digits": lambda: feature(
                polygon(f"[{X},{Y}]"), '{"id":"k","height":' + "9" * 1_000_000 + "}"
            ),
            "height=1e999": feature(polygon(f"[{X},{Y}]"), '{"id":"k","name":"n","height":1e999}'),
            "height=NaN": feature(polygon(f"[{X},{Y}]"), '{"id":"k","name":"n","height":NaN}'),
            "ids-mixed": feature(polygon(f"[{X},{Y}]"), '{"id":{"a":[1]},"name":[1,2],"height":{"b":1}}'),
            "surrogate": feature(polygon(f"[{X},{Y}]"), '{"id":"\\ud800","name":"\\udfff\\u0000","height":1}'),
            "geometry-null": feature("null"),
            "geometry-array": feature("[]"),
            "geometry-unknown": feature('{"type":"Zebra","coordinates":[]}'),
            "geometry-empty": feature('{"type":"Polygon","coordinates":[]}'),
            "geometry-recursive-names": feature('{"type":"Feature","geometry":' + polygon(f"[{X},{Y}]") + "}"),
            "features-null": b'{"type":"FeatureCollection","features":null}',
            "features-number": b'{"type":"FeatureCollection","features":5}',
            "features-of-null": b'{"type":"FeatureCollection","features":[null,null]}',
            "no-features": b'{"type":"FeatureCollection","features":[]}',
            "a-number": b"42",
            "a-string": b'"hello"',
            "blank": b"   \n",
            "empty": b"",
            "nul": b"\x00" * 4096,
            "crs-url": feature(polygon(f"[{X},{Y}]")).replace(b'"EPSG:4547"', b'"http://127.0.0.1:9/epsg"'),
            "crs-file": feature(polygon(f"[{X},{Y}]")).replace(b'"EPSG:4547"', b'"/etc/passwd"'),
            "crs-linked": feature(polygon(f"[{X},{Y}]")).replace(
                b'{"type":"name","properties":{"name":"EPSG:4547"}}',
                b'{"type":"link","properties":{"href":"http://127.0.0.1:9/x"}}',
            ),
            "crs-number": feature(polygon(f"[{X},{Y}]")).replace(b'"EPSG:4547"', b"99999999999"),
            "a-vrt-of-a-service": b'<OGRVRTDataSource><OGRVRTLayer name="b"><SrcDataSource>/vsicurl/http://127.0.0.1:9/b.json'
            b"</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>",
            "a-vrt-of-itself": b'<OGRVRTDataSource><OGRVRTLayer name="b"><SrcDataSource>b.geojson</SrcDataSource>'
            b"</OGRVRTLayer></OGRVRTDataSource>",
            "a-wfs": b"<OGRWFSDataSource><URL>http://127.0.0.1:9/wfs</URL></OGRWFSDataSource>",
            "topojson": b'{"type":"Topology","objects":{"b":{"type":"Polygon","arcs":[[99]]}},"arcs":[]}',
            "10-mb-in-one-line": lambda: feature(polygon(f"[{X},{Y}]"), '{"id":"k","name":"' + "x" * 10_000_000 + '"}'),
            "100000-columns": lambda: feature(
                polygon(f"[{X},{Y}]"), "{" + ",".join(f'"c{k}":{k}' for k in range(20_000)) + "}"
            ),
        }
    ),
    "utf-16": over("", lambda data: data.decode().encode("utf-16")),
    "utf-32": over("", lambda data: data.decode().encode("utf-32")),
    "gbk": over("", lambda data: data.decode().encode("gbk")),
    "utf-8-mark": over("", lambda data: b"\xef\xbb\xbf" + data),
    "twice": over("", lambda data: data + data),
    "with-tail": over("", lambda data: data + b"\x00garbage"),
    **replaced({"no-comma": ("{ ", "{ { "), "type-number": ('"FeatureCollection"', "7")}),
}

# FlatGeobuf: 8 bytes of magic, u32 size of the header table, the table, the index, features each with a u32 size.
FGB: Cases = {
    **header(
        [("header-size", 8, "<I"), ("table", 12, "<I"), ("field", 16, "<I"), ("field2", 24, "<I"), ("field3", 40, "<I")]
    ),
    **{
        f"u32-at-{at}={value:#x}": over("", lambda data, at=at, value=value: patch(data, at, struct.pack("<I", value)))
        for at in (48, 64, 96, 128, -64, -128, -200)
        for value in (0xFFFF_FFFF, 0x7FFF_FFFF)
    },
    "magic": over("", lambda data: b"\x00" * 8 + data[8:]),
    "version": over("", lambda data: patch(data, 3, b"\xff")),
    "only-magic": over("", lambda data: data[:8]),
    "tail-ones": over("", lambda data: data[:-100] + b"\xff" * 100),
}


def _reparquet(change: Callable[[pa.Table], pa.Table]) -> Mutator:
    def rewrite(data: bytes) -> bytes:
        sink = io.BytesIO()
        pq.write_table(change(pq.read_table(io.BytesIO(data))), sink)
        return sink.getvalue()

    return over("", rewrite)


def _geo(change: Callable[[dict[str, Any]], Any]) -> Mutator:
    """The "geo" metadata in other words."""

    def rewrite(table: pa.Table) -> pa.Table:
        stated = change(json.loads(table.schema.metadata[b"geo"]))
        text = stated if isinstance(stated, bytes) else json.dumps(stated).encode()
        return table.replace_schema_metadata({**table.schema.metadata, b"geo": text})

    return _reparquet(rewrite)


def _column(new: dict[str, Any]) -> Mutator:
    return _geo(lambda geo: geo | {"columns": {"geometry": geo["columns"]["geometry"] | new}})


def _wkb_column(wkb: bytes) -> Mutator:
    def rewrite(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("geometry")
        values = table.column(place).to_pylist()
        return table.set_column(place, table.schema.field(place), pa.array([wkb, *values[1:]], pa.binary()))

    return _reparquet(rewrite)


def _row_bomb(rows: int) -> Mutator:
    def change(seed: Seed) -> dict[str, bytes]:
        table = pq.read_table(io.BytesIO(seed.whole)).slice(0, 1)
        sink = io.BytesIO()
        block = pa.Table.from_arrays([pa.repeat(column[0], 1_000_000) for column in table.columns], schema=table.schema)
        with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
            for _ in range(rows // 1_000_000):
                writer.write_table(block)
        return {seed.target: sink.getvalue()}

    return change


PARQUET: Cases = {
    **{f"wkb-{name}": _wkb_column(wkb) for name, wkb in [*WKB.items()][::2]},
    "footer-length=4294967295": over("", lambda data: patch(data, -8, b"\xff" * 4)),
    "footer-length=0": over("", lambda data: patch(data, -8, bytes(4))),
    "footer-length=2147483647": over("", lambda data: patch(data, -8, struct.pack("<I", 2**31 - 1))),
    "footer-zero": over("", lambda data: data[:-60] + bytes(52) + data[-8:]),
    "footer-ones": over("", lambda data: data[:-60] + b"\xff" * 52 + data[-8:]),
    "magic": over("", lambda data: patch(data, -4, b"PARE")),
    "no-geo": _reparquet(lambda table: table.replace_schema_metadata({})),
    "geo-not-json": _geo(lambda geo: b"\xff\xfe{"),
    "geo-number": _geo(lambda geo: 7),
    "geo-empty": _geo(lambda geo: {}),
    "geo-deep": _geo(lambda geo: b"[" * 100_000),
    "geo-version": _geo(lambda geo: geo | {"version": "99.0"}),
    "geo-primary": _geo(lambda geo: geo | {"primary_column": "zebra"}),
    "geo-columns-list": _geo(lambda geo: geo | {"columns": []}),
    "geo-encoding": _column({"encoding": "zebra"}),
    "geo-encoding-point": _column({"encoding": "point"}),
    "geo-crs-text": _column({"crs": "zebra"}),
    "geo-crs-number": _column({"crs": 17}),
    "geo-crs-empty": _column({"crs": {}}),
    "geo-crs-url": _column({"crs": "http://127.0.0.1:9/crs"}),
    "rows=20000000": _row_bomb(20_000_000),
    "no-rows": _reparquet(lambda table: table.slice(0, 0)),
}

KML: Cases = {
    **instead(
        {
            "billion-laughs": b'<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY a "'
            + b"ha" * 50
            + b'">'
            + b"".join(f'<!ENTITY {chr(98 + k)} "{f"&{chr(97 + k)};" * 10}">'.encode() for k in range(9))
            + b"]><kml><Document><name>&j;</name></Document></kml>",
            "external-entity": b'<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY x SYSTEM "file:///etc/passwd">]><kml><Document>'
            b"<Placemark><name>&x;</name><Point><coordinates>114,40</coordinates></Point></Placemark></Document></kml>",
            "deep": lambda: b"<kml>" + b"<Folder>" * 50_000,
            "deep-geometry": lambda: b"<kml><Document><Placemark>" + b"<MultiGeometry>" * 20_000,
            "network-link": b"<kml><Document><NetworkLink><Link><href>http://127.0.0.1:9/x.kml</href></Link></NetworkLink></Document></kml>",
            "1-mb-name": lambda: b"<kml><Document><name>" + b"x" * 2**20 + b"</name></Document></kml>",
        }
    ),
    **replaced(
        {"lon=nan": ("114,40", "nan,40"), "lon=1e999": ("114,40", "1e999,40"), "lon=text": ("114,40", "zebra,40")}
    ),
}

VECTORS: dict[str, Cases] = {
    "shp": SHP,
    "gpkg": GPKG,
    "sqlite": SQLITE,
    "geojson": GEOJSON,
    "fgb": FGB,
    "parquet": PARQUET,
    "kml": KML,
}
