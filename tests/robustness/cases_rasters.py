"""What rasters can promise wrongly: sizes, tiles, directories, places, numbers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from tests.robustness.mutators import Cases, Mutator, header, instead, over, patch, png_chunk, replaced

_TAGS = {
    "width": 256,
    "height": 257,
    "bits": 258,
    "compression": 259,
    "photometric": 262,
    "offsets": 273,
    "samples": 277,
    "rows-per-strip": 278,
    "counts": 279,
    "planar": 284,
    "predictor": 317,
    "tile-width": 322,
    "tile-height": 323,
    "tile-offsets": 324,
    "tile-counts": 325,
    "format": 339,
    "pixel-scale": 33550,
    "tiepoint": 33922,
    "geokeys": 34735,
    "nodata": 42113,
}


def _entries(data: bytes, start: int = -1) -> tuple[int, dict[int, int]]:
    """(offset of the first directory, tag -> offset of its entry) of a classic little-endian TIFF."""
    first = struct.unpack_from("<I", data, 4)[0] if start < 0 else start
    count = struct.unpack_from("<H", data, first)[0]
    return first, {struct.unpack_from("<H", data, first + 2 + 12 * k)[0]: first + 2 + 12 * k for k in range(count)}


def _tag(name: str, value: int | None = None, count: int | None = None, kind: int | None = None) -> Mutator:
    """One entry of the directory changed: its (first) value, its count, its type."""

    def change(data: bytes) -> bytes:
        place = _entries(data)[1][_TAGS[name]]
        if kind is not None:
            data = patch(data, place + 2, struct.pack("<H", kind))
        if count is not None:
            data = patch(data, place + 4, struct.pack("<I", count))
        if value is not None:
            data = patch(data, place + 2, struct.pack("<H", 4)) if value > 0xFFFF else data
            data = patch(data, place + 8, struct.pack("<I", value))
        return data

    return over("", change)


def _far(name: str, values: bytes) -> Mutator:
    """The values that an entry points at."""

    def change(data: bytes) -> bytes:
        place = _entries(data)[1][_TAGS[name]]
        return patch(data, struct.unpack_from("<I", data, place + 8)[0], values)

    return over("", change)


def _next(value: int | None) -> Mutator:
    """The pointer to the next directory; None points it at itself."""

    def change(data: bytes) -> bytes:
        first, entries = _entries(data)
        return patch(data, first + 2 + 12 * len(entries), struct.pack("<I", first if value is None else value))

    return over("", change)


def _cyclic_overviews(data: bytes) -> bytes:
    """The last directory of a COG goes back to the first."""
    place, _ = _entries(data)
    while True:
        count = struct.unpack_from("<H", data, place)[0]
        following = struct.unpack_from("<I", data, place + 2 + 12 * count)[0]
        if not following:
            return patch(data, place + 2 + 12 * count, struct.pack("<I", _entries(data)[0]))
        place = following


def _sizes(*names: str) -> Cases:
    values = (0, 65_535, 0xFFFF_FFFF)
    return {f"{name}={value}": _tag(name, value) for name in names for value in values}


def _vrt(source: str, size: int = 64) -> bytes:
    """A virtual raster that takes its cells from another file."""
    band = f"<SimpleSource><SourceFilename>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
    return (
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}"><SRS>EPSG:4547</SRS>'
        f"<GeoTransform>500000,5,0,4430320,0,-5</GeoTransform>"
        f'<VRTRasterBand dataType="Float32" band="1">{band if source else ""}</VRTRasterBand></VRTDataset>'
    ).encode()


TIFF: Cases = {
    **_sizes("width", "height", "bits", "samples", "rows-per-strip", "offsets", "counts"),
    "both=65535": lambda seed: _both(seed.whole, 65_535, seed.target),
    "both=2000000": lambda seed: _both(seed.whole, 2_000_000, seed.target),
    "both=2147483647": lambda seed: _both(seed.whole, 2**31 - 1, seed.target),
    "compression=jpeg": _tag("compression", 7),
    "compression=lerc": _tag("compression", 34887),
    "compression=unknown": _tag("compression", 60_000),
    "photometric=ycbcr": _tag("photometric", 6),
    "planar=9": _tag("planar", 9),
    "format=complex": _tag("format", 6),
    "format=int": _tag("format", 2),
    "bits-count=4294967295": _tag("bits", count=0xFFFF_FFFF),
    "offsets-count=4294967295": _tag("offsets", count=0xFFFF_FFFF),
    "counts-type=99": _tag("counts", kind=99),
    "nodata=text": _far("nodata", b"zebra\x00"),
    "nodata=nan": _far("nodata", b"nan\x00  "),
    "nodata-count=2147483647": _tag("nodata", count=0x7FFF_FFFF),
    **{
        f"scale={v:g}": _far("pixel-scale", struct.pack("<2d", v, v))
        for v in (0.0, -5.0, float("nan"), float("inf"), 1e300, 1e-300)
    },
    **{
        f"tiepoint={v:g}": _far("tiepoint", struct.pack("<5d", 0, 0, 0, v, v))
        for v in (float("nan"), float("inf"), 1e308, -1e30)
    },
    "geokeys-count=65535": _tag("geokeys", count=0xFFFF),
    "geokeys-epsg=65000": over("", lambda data: data.replace(struct.pack("<H", 4547), struct.pack("<H", 65_000))),
    "next=self": _next(None),
    "next=beyond": _next(0x7FFF_FFF0),
    "directory=header": over("", lambda data: patch(data, 4, struct.pack("<I", 0))),
    "directory=beyond": over("", lambda data: patch(data, 4, struct.pack("<I", 0xFFFF_FFF0))),
    "entries=65535": over("", lambda data: patch(data, _entries(data)[0], b"\xff\xff")),
    "big-tiff-claim": over("", lambda data: patch(data, 2, struct.pack("<H", 43))),
    "wrong-order": over("", lambda data: patch(data, 0, b"MM\x00\x2a")),
    **instead(
        {
            "is-a-wms-service": b'<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}/${x}/${y}.png</ServerUrl>'
            b"</Service><DataWindow><UpperLeftX>0</UpperLeftX><UpperLeftY>9</UpperLeftY><LowerRightX>9</LowerRightX>"
            b"<LowerRightY>0</LowerRightY><TileLevel>3</TileLevel></DataWindow><Projection>EPSG:4547</Projection>"
            b"<BandsCount>1</BandsCount></GDAL_WMS>",
            "is-a-vrt-of-itself": _vrt("dem.tif"),
            "is-a-vrt-of-a-file-outside": _vrt("/etc/passwd"),
            "is-a-vrt-of-the-network": _vrt("/vsicurl/http://127.0.0.1:9/dem.tif"),
            "is-a-vrt-of-2-billion-cells": _vrt("", 2_000_000_000),
            "is-an-empty-file": b"",
            "is-a-web-page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        }
    ),
}


def _both(data: bytes, value: int, target: str) -> dict[str, bytes]:
    for name in ("width", "height"):
        place = _entries(data)[1][_TAGS[name]]
        data = patch(patch(data, place + 2, struct.pack("<H", 4)), place + 8, struct.pack("<I", value))
    return {target: data}


ORTHO: Cases = {
    **_sizes("width", "height", "tile-width", "tile-height"),
    "both=65535": lambda seed: _both(seed.whole, 65_535, seed.target),
    "both=20000000": lambda seed: _both(seed.whole, 20_000_000, seed.target),
    "tiles-count=4294967295": _tag("tile-offsets", count=0xFFFF_FFFF),
    "tile-offsets=self": _far("tile-offsets", struct.pack("<4I", 0, 4, 8, 0xFFFF_FFF0)),
    "tile-counts=4294967295": _far("tile-counts", struct.pack("<4I", *[0xFFFF_FFFF] * 4)),
    "tile-counts=0": _far("tile-counts", struct.pack("<4I", 0, 0, 0, 0)),
    "samples=65535": _tag("samples", 65_535),
    "compression=jpeg": _tag("compression", 7),
    "compression=lzw": _tag("compression", 5),
    "scale=1e-300": _far("pixel-scale", struct.pack("<2d", 1e-300, 1e-300)),
    "scale=nan": _far("pixel-scale", struct.pack("<2d", float("nan"), 5.0)),
    "tiepoint=1e308": _far("tiepoint", struct.pack("<5d", 0, 0, 0, 1e308, 1e308)),
    "next=self": _next(None),
}

COG: Cases = {
    "cyclic-directories": over("", _cyclic_overviews),
    "next=self": _next(None),
    "first-overview-beyond": _next(0x7FFF_FFF0),
    "ghost=cut": over("", lambda data: patch(data, 8, b"\x00" * 60)),
    **_sizes("tile-width", "tile-height"),
    "tile-counts=0x7fffffff": _far("tile-counts", struct.pack("<8I", *[0x7FFF_FFFF] * 8)),
    "tile-offsets=0": _far("tile-offsets", bytes(32)),
    "predictor=9": over("", lambda data: data.replace(struct.pack("<HHI", 317, 3, 1), struct.pack("<HHI", 317, 3, 9))),
}

ASC: Cases = replaced(
    {
        "ncols=2147483647": ("ncols 12", "ncols 2147483647"),
        "nrows=2147483647": ("nrows 10", "nrows 2147483647"),
        "ncols=99999999999999999999": ("ncols 12", "ncols 99999999999999999999"),
        "ncols=-1": ("ncols 12", "ncols -1"),
        "nrows=0": ("nrows 10", "nrows 0"),
        "nrows=1000000": ("nrows 10", "nrows 1000000"),
        "ncols=nan": ("ncols 12", "ncols nan"),
        "cellsize=0": ("cellsize 10", "cellsize 0"),
        "cellsize=-1": ("cellsize 10", "cellsize -1"),
        "cellsize=nan": ("cellsize 10", "cellsize nan"),
        "cellsize=inf": ("cellsize 10", "cellsize inf"),
        "cellsize=1e300": ("cellsize 10", "cellsize 1e300"),
        "corner=nan": ("xllcorner 500000.0", "xllcorner nan"),
        "corner=1e308": ("yllcorner 4430000.0", "yllcorner 1e308"),
        "nodata=text": ("NODATA_value -9999", "NODATA_value zebra"),
        "value=nan": ("1000.5", "nan"),
        "value=inf": ("1000.5", "inf"),
        "value=text": ("1000.5", "zebra"),
        "value=1e400": ("1000.5", "1e400"),
        "value=long": ("1000.5", "9" * 100_000),
        "decimal-comma": ("1000.5", "1000,5"),
        "nul": ("1000.5", "\x00\x00\x00"),
    }
)

HGT: Cases = {
    "one-byte-short": over("", lambda data: data[:-1]),
    "one-byte-long": over("", lambda data: data + b"\x00"),
    "all-unknown": over("", lambda data: b"\x80\x00" * (len(data) // 2)),
    "all-32767": over("", lambda data: b"\x7f\xff" * (len(data) // 2)),
    "empty": over("", lambda data: b""),
}


def _png(width: int, height: int, depth: int = 8, colour: int = 2, body: bytes | None = None) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(bytes(64)) if body is None else body
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def _png_bomb(side: int) -> bytes:
    packer, parts = zlib.compressobj(9), []
    row = bytes(1 + 3 * side)
    for _ in range(side):
        parts.append(packer.compress(row))
    return _png(side, side, body=b"".join([*parts, packer.flush()]))


PNG_BOMBS: dict[str, Callable[[], bytes]] = {
    "claims-100000": lambda: _png(100_000, 100_000),
    "claims-2147483647": lambda: _png(2**31 - 1, 2**31 - 1),
    "bomb": lambda: _png_bomb(12_000),
    "cut": lambda: _png(32, 32)[:40],
    "no-picture": lambda: b"zebra" * 9,
}
PNG: Cases = {
    **instead(
        {
            "2147483647-wide": _png(2**31 - 1, 2**31 - 1),
            "100000-wide": _png(100_000, 100_000),
            "zero-wide": _png(0, 32),
            "4294967295-wide": _png(2**32 - 1, 1),
            "16-bit": _png(32, 32, depth=16),
            "palette": _png(32, 32, colour=3),
            "depth=7": _png(32, 32, depth=7),
            "bomb-of-1.2-GB": lambda: _png_bomb(20_000),
            "no-data": _png(32, 32, body=b""),
            "signature-only": b"\x89PNG\r\n\x1a\n",
        }
    ),
    **header(
        [("length", 8, ">I"), ("width", 16, ">I"), ("height", 20, ">I"), ("depth", 24, ">B"), ("colour", 25, ">B")]
    ),
}

RASTERS: dict[str, Cases] = {"tif": TIFF, "ortho": ORTHO, "cog": COG, "asc": ASC, "hgt": HGT, "png": PNG}
