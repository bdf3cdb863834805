"""A little open-data cloud on the loopback: the documented layouts over tiny files, with ranges and faults."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from affine import Affine

from tests.fetch.pbf import pbf

RELEASE = "2025-09-24.0"
SCENE = "S2B_49TFE_20250905_0_L2A"
TCI = f"sentinel-s2-l2a-cogs/49/T/FE/2025/9/{SCENE}/TCI.tif"
STEM = "Copernicus_DSM_COG_10_N40_00_E113_00_DEM"
DEM = f"/copernicus-dem/{STEM}/{STEM}.tif"
BUILDINGS = f"release/{RELEASE}/theme=buildings/type=building/part-00007-aa-c000.zstd.parquet"
ROADS = f"release/{RELEASE}/theme=transportation/type=segment/part-00003-bb-c000.zstd.parquet"
ADDRESSES = f"release/{RELEASE}/theme=addresses/type=address/part-00002-cc-c000.zstd.parquet"
EXTRACT = "asia/china/shanxi-latest.osm.pbf"
PLACE = (113.28, 40.08, 113.30, 40.10)


class Cloud:
    """What the server holds and what it was asked: files by path, faults by path, the log of (path, range)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.extra: dict[str, dict[str, str]] = {}
        self.cuts: dict[str, int] = {}
        self.log: list[tuple[str, str]] = []
        self.url = ""

    def asked(self, path: str) -> list[str]:
        return [span for name, span in self.log if name == path]


class Handler(BaseHTTPRequestHandler):
    cloud: Cloud

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        span = self.headers.get("Range", "")
        self.cloud.log.append((path, span))
        data = self.cloud.files.get(path)
        if data is None:
            self.send_error(404)
            return
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        start, end, size = 0, len(data), len(data)
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", span)
        partial = bool(found) and self.headers.get("If-Range", etag) == etag
        if partial:
            start = int(found[1]) if found[1] else max(size - int(found[2]), 0)
            end = min(int(found[2]) + 1, size) if found[1] and found[2] else size
            if start >= size:
                self.send_error(416)
                return
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", "Wed, 24 Sep 2025 08:00:00 GMT")
        for name, value in self.cloud.extra.get(path, {}).items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.cloud.cuts.pop(path, None)
        self.wfile.write(data[start : end if cut is None else start + cut])
        self.wfile.flush()


def tiff(values, bounds, crs) -> bytes:
    count, ny, nx = values.shape
    profile = {"driver": "GTiff", "width": nx, "height": ny, "count": count, "dtype": values.dtype, "crs": crs}
    west, south, east, north = bounds
    cell = Affine((east - west) / nx, 0.0, west, 0.0, (south - north) / ny, north)
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile, transform=cell) as sink:
            sink.write(values)
        return memory.read()


def parquet(table: pa.Table, rows: int) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=rows, compression="zstd")
    return sink.getvalue()


def with_boxes(rows: list[dict], shapes) -> list[dict]:
    for row, geometry in zip(rows, shapes, strict=True):
        west, south, east, north = geometry.bounds
        row["bbox"] = {"xmin": west, "xmax": east, "ymin": south, "ymax": north}
        row["geometry"] = geometry.wkb
        row["sources"] = [{"dataset": "OpenStreetMap"}]
    return rows


def buildings() -> bytes:
    """Sixty footprints from west to east in groups of ten; the place holds some of them."""
    lons = np.linspace(113.0, 113.9, 60)
    rows = [
        {
            "id": f"b{k:02d}",
            "names": {"primary": "华严寺" if k == 19 else None},
            "subtype": "religious" if k == 19 else "residential",
            "height": 7.5 if k % 2 else None,
            "num_floors": 2,
        }
        for k in range(60)
    ]
    shapes = [shapely.box(x, 40.09, x + 0.0002, 40.0902) for x in lons]
    return parquet(pa.Table.from_pylist(with_boxes(rows, shapes)), 10)


def roads() -> bytes:
    rows = [
        {
            "id": f"r{k}",
            "names": {"primary": "大西街"},
            "subtype": subtype,
            "class": "primary" if subtype == "road" else None,
            "width_rules": [{"value": 18.0}] if k == 0 else None,
            "road_flags": [{"values": ["is_bridge"]}] if k == 0 else None,
        }
        for k, subtype in enumerate(("road", "road", "water"))
    ]
    line = shapely.LineString([(113.281, 40.085), (113.299, 40.086)])
    return parquet(pa.Table.from_pylist(with_boxes(rows, [line] * 3)), 10)


def addresses() -> bytes:
    """One address in the place, in the temple of `buildings`, and one far east of it."""
    rows = [
        {
            "id": f"a{k}",
            "country": "TW",
            "postcode": "100",
            "street": "大西街",
            "number": f"{12 + k}號",
            "unit": None,
            "address_levels": [{"value": "甲省"}, {"value": "乙市"}],
            "postal_city": None,
        }
        for k in range(2)
    ]
    shapes = [shapely.Point(x, 40.0901) for x in (113.28990, 113.7)]
    return parquet(pa.Table.from_pylist(with_boxes(rows, shapes)), 1)


def extract() -> bytes:
    """An OpenStreetMap extract: a temple with its address, a street with a bridge, an address, and things left out."""
    square = [(113.2890, 40.0890), (113.2892, 40.0890), (113.2892, 40.0892), (113.2890, 40.0892)]
    nodes = [(k + 1, lon, lat, {}) for k, (lon, lat) in enumerate(square)]
    nodes.append((5, 113.28990, 40.0901, {"addr:street": "大西街", "addr:housenumber": "12号"}))
    nodes.append((6, 113.70, 40.0901, {"addr:street": "远街", "addr:housenumber": "1号"}))
    temple = {"building": "temple", "building:levels": "2", "height": "12 m", "name": "善化寺", "name:en": "Shanhua"}
    ways = [
        (10, [1, 2, 3, 4, 1], {**temple, "addr:street": "永泰街", "addr:housenumber": "6号"}),
        (11, [1, 3], {"highway": "primary", "width": "18", "bridge": "yes", "name": "大西街"}),
        (12, [2, 4], {"highway": "proposed"}),
        (13, [1, 6], {"highway": "footway"}),
        (14, [4, 3, 2, 1, 4], {"building": "no"}),
    ]
    return pbf(nodes, ways)


def md5_of(data: bytes) -> bytes:
    """The small file beside an extract, as md5sum writes it."""
    return f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  shanxi-latest.osm.pbf\n".encode()


def extracts() -> bytes:
    """index-v1.json: the outline of every extract and its address."""

    def item(name: str, box: tuple[float, ...]) -> dict:
        urls = {"pbf": f"https://elsewhere.example/{name}-latest.osm.pbf"}
        outline = shapely.geometry.mapping(shapely.box(*box))
        return {"type": "Feature", "properties": {"id": name, "urls": urls}, "geometry": outline}

    china, shanxi, hebei = (73, 18, 135, 54), (110, 34, 115, 41), (113.29, 36, 120, 43)
    found = [item("asia/china", china), item("asia/china/shanxi", shanxi), item("asia/china/hebei", hebei)]
    found.append({"type": "Feature", "properties": {"id": "x", "urls": {"pbf": "https://e.example/../../x"}}, **{
        "geometry": found[0]["geometry"]
    }})  # fmt: skip
    return json.dumps({"type": "FeatureCollection", "features": found}).encode()


def index() -> bytes:
    """collections.parquet: one row a file with its box and assets, as the index of a release has it."""
    near = {"xmin": 113.0, "xmax": 114.0, "ymin": 40.0, "ymax": 41.0}
    far = {"xmin": 2.0, "xmax": 3.0, "ymin": 48.0, "ymax": 49.0}
    bucket = "s3://overturemaps-us-west-2/"
    rows = [
        {"collection": c, "type": "Feature", "bbox": box, "assets": {"aws-s3": {"href": bucket + key}}}
        for c, box, key in (
            ("building", near, BUILDINGS),
            ("building", far, BUILDINGS.replace("00007", "00001")),
            ("segment", near, ROADS),
            ("address", near, ADDRESSES),
        )
    ]
    return parquet(pa.Table.from_pylist(rows), 100)


def items() -> bytes:
    outline = shapely.geometry.mapping(shapely.box(113.0, 39.6, 114.3, 40.6))

    def item(scene: str, cloud: float) -> dict:
        href = f"https://elsewhere.example/{TCI.replace(SCENE, scene)}"
        said = {"datetime": "2025-09-05T03:20:00Z", "eo:cloud_cover": cloud}
        return {"id": scene, "geometry": outline, "properties": said, "assets": {"visual": {"href": href}}}

    cloudy = SCENE.replace("20250905", "20250910")
    return json.dumps({"type": "FeatureCollection", "features": [item(cloudy, 62.0), item(SCENE, 1.5)]}).encode()


@pytest.fixture(scope="session")
def stock() -> dict[str, bytes]:
    rng = np.random.default_rng(7)
    heights = (1050.0 + rng.random((1, 360, 360))).astype(np.float32)
    colours = rng.integers(1, 255, (3, 200, 200), dtype=np.uint8)
    return {
        DEM: tiff(heights, (113.0, 40.0, 114.0, 41.0), "EPSG:4326"),
        "/overture-stac/catalog.json": json.dumps({"latest": RELEASE}).encode(),
        f"/overture-stac/{RELEASE}/collections.parquet": index(),
        f"/overture/{BUILDINGS}": buildings(),
        f"/overture/{ROADS}": roads(),
        f"/overture/{ADDRESSES}": addresses(),
        "/openstreetmap/index-v1.json": extracts(),
        f"/openstreetmap/{EXTRACT}": extract(),
        f"/openstreetmap/{EXTRACT}.md5": md5_of(extract()),
        "/sentinel-stac/collections/sentinel-2-l2a/items": items(),
        f"/sentinel-2/{TCI}": tiff(colours, (690_000.0, 4_430_000.0, 700_000.0, 4_450_000.0), "EPSG:32649"),
    }


@pytest.fixture
def cloud(stock: dict[str, bytes]) -> Iterator[Cloud]:
    held = Cloud()
    held.files = dict(stock)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"cloud": held}))
    server.daemon_threads = True
    held.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield held
    server.shutdown()
    server.server_close()
    thread.join()
