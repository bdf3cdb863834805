"""One small valid delivery a format, made in code; all of them lie in the same 400 m of EPSG:4547."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas
import laspy
import numpy as np
import openpyxl
import pyogrio.raw
import rasterio
import shapely
from affine import Affine
from PIL import Image

from tests.robustness.city import Seed, X, Y
from tests.robustness.seeds_models import more_seeds

LON, LAT = 114.0, 40.0
FOOTPRINTS = {"kind": "footprints", "columns": {"source_id": "id", "name": "name", "height": "height"}}
DRIVERS = {
    ".shp": "ESRI Shapefile", ".gpkg": "GPKG", ".geojson": "GeoJSON", ".fgb": "FlatGeobuf", ".sqlite": "SQLite",
    ".kml": "KML", ".gml": "GML", ".dxf": "DXF", ".tab": "MapInfo File", ".gpx": "GPX",
}  # fmt: skip


def squares(n: int = 6) -> np.ndarray:
    """Footprints of 10 m beside each other."""
    return shapely.box(X + 20.0 * np.arange(n), Y, X + 20.0 * np.arange(n) + 10.0, Y + 10.0)


def _written(write: Callable[[Path], None]) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def vector(name: str) -> Seed:
    """Six footprints through OGR."""
    suffix = Path(name).suffix
    shapes = squares()
    crs = "EPSG:4547"
    if suffix in (".kml", ".gpx"):
        shapes, crs = (
            shapely.box(LON + 1e-3 * np.arange(6), LAT, LON + 1e-3 * np.arange(6) + 1e-4, LAT + 1e-4),
            "EPSG:4326",
        )

    def write(folder: Path) -> None:
        words = [np.array([f"k{k}" for k in range(6)], object), np.array([f"楼{k}" for k in range(6)], object)]
        pyogrio.raw.write(
            folder / name, shapely.to_wkb(shapes), [*words, np.arange(6.0) + 10.0],
            np.array(["id", "name", "height"], object), driver=DRIVERS[suffix], geometry_type="Polygon", crs=crs,
            encoding="UTF-8" if suffix == ".shp" else None,
        )  # fmt: skip

    return Seed(suffix[1:], _written(write), name, FOOTPRINTS | {"crs": crs, "layer": Path(name).stem})


def zipped_shapes() -> Seed:
    """A shapefile as bureaus send it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in vector("b.shp").files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return Seed("zip", {"b.zip": buffer.getvalue()}, "b.zip", FOOTPRINTS)


def parquet() -> Seed:
    def write(folder: Path) -> None:
        frame = geopandas.GeoDataFrame(
            {"id": [f"k{k}" for k in range(6)], "name": [f"楼{k}" for k in range(6)], "height": np.arange(6.0) + 10.0},
            geometry=list(squares()), crs="EPSG:4547",
        )  # fmt: skip
        frame.to_parquet(folder / "b.parquet", compression="zstd")

    return Seed("parquet", _written(write), "b.parquet", FOOTPRINTS)


def raster(name: str, seed: str, bands: int = 1, size: int = 64, **profile: Any) -> Seed:
    """A slope, or a picture where it has three bands."""
    ramp = np.add.outer(np.arange(size), np.arange(size)) % 200 + 30
    values = np.repeat(ramp[None], bands, axis=0)

    def write(folder: Path) -> None:
        shared = {
            "driver": "GTiff", "count": bands, "height": size, "width": size, "crs": "EPSG:4547",
            "transform": Affine(5.0, 0.0, X, 0.0, -5.0, Y + 5.0 * size), "dtype": "uint8" if bands == 3 else "float32",
        }  # fmt: skip
        profile_ = shared | ({"photometric": "RGB"} if bands == 3 else {"nodata": -9999.0}) | profile
        if profile_["driver"] == "COG":
            profile_.pop("photometric", None)
        with rasterio.open(folder / name, "w", **profile_) as file:
            file.write(values.astype(profile_["dtype"]) if bands == 3 else values.astype("float32") + 1000.0)

    kind = "imagery" if bands == 3 else "dem"
    return Seed(seed, _written(write), name, {"kind": kind})


def ascii_grid() -> Seed:
    rows = "\n".join(" ".join(f"{1000 + i + j}.5" for j in range(12)) for i in range(10))
    head = f"ncols 12\nnrows 10\nxllcorner {X}\nyllcorner {Y}\ncellsize 10\nNODATA_value -9999\n"
    return Seed("asc", {"d.asc": (head + rows + "\n").encode()}, "d.asc", {"kind": "dem"})


def hgt() -> Seed:
    values = np.tile(np.linspace(1000, 1600, 1201).astype(">i2"), (1201, 1))
    return Seed("hgt", {"N40E113.hgt": values.tobytes()}, "N40E113.hgt", {"kind": "dem", "crs": "EPSG:4326"})


def coded_png() -> Seed:
    def write(folder: Path) -> None:
        code = np.round((np.add.outer(np.arange(32.0), np.arange(32.0)) + 11_000.0) * 10.0).astype(np.int64)
        rgb = np.stack([code >> 16, (code >> 8) & 255, code & 255]).astype(np.uint8)
        Image.fromarray(np.moveaxis(rgb, 0, 2)).save(folder / "t.png")

    extra = {"coding": "terrain-rgb", "bounds": [X, Y, X + 320, Y + 320]}
    return Seed("png", _written(write), "t.png", {"kind": "dem", "extra": extra})


def las(name: str, version: str, form: int) -> Seed:
    def write(folder: Path) -> None:
        header = laspy.LasHeader(point_format=form, version=version)
        header.scales, header.offsets = np.full(3, 0.001), np.array([X, Y, 0.0])
        cloud = laspy.LasData(header)
        rng = np.random.default_rng(3)
        cloud.x, cloud.y = X + rng.uniform(0, 90, 2000), Y + rng.uniform(0, 90, 2000)
        cloud.z, cloud.classification = 1000 + rng.uniform(0, 9, 2000), np.full(2000, 2, np.uint8)
        cloud.red = cloud.green = cloud.blue = rng.integers(0, 65535, 2000).astype(np.uint16)
        cloud.write(folder / name)

    return Seed(Path(name).stem, _written(write), name, {"kind": "points"})


def spreadsheet() -> Seed:
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    sheet.append(["oid", "name", "lon", "lat", "text"])
    for k in range(6):
        sheet.append([f"a{k}", f"门牌{k}", LON + k * 1e-4, LAT, f"和阳街{k}号"])
    book.save(buffer)
    return Seed("xlsx", {"a.xlsx": buffer.getvalue()}, "a.xlsx", {"kind": "addresses", "crs": "EPSG:4326"})


def table(name: str, kind: str, text: str) -> Seed:
    return Seed(name, {f"{name}.csv": text.encode()}, f"{name}.csv", {"kind": kind, "crs": "EPSG:4326"})


def cityjson_object() -> dict[str, Any]:
    """Two boxes."""
    low = [(0, 0), (10, 0), (10, 10), (0, 10)]
    corners = [[(x + east) * 1000, y * 1000, z * 1000] for east in (0, 20) for z in (0, 5) for x, y in low]
    box = [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
    shells = {name: [[[v + first for v in face]] for face in box] for name, first in (("k1", 0), ("k2", 8))}
    objects = {
        name: {
            "type": "Building", "attributes": {"measuredHeight": 5.0},
            "geometry": [{"type": "Solid", "lod": "2", "boundaries": [shell], "semantics": {
                "surfaces": [{"type": "RoofSurface"}], "values": [[None, 0, None, None, None, None]]}}],
        }
        for name, shell in shells.items()
    }  # fmt: skip
    return {
        "type": "CityJSON", "version": "2.0", "CityObjects": objects, "vertices": corners,
        "metadata": {"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/4547"},
        "transform": {"scale": [0.001, 0.001, 0.001], "translate": [X, Y, 1000.0]},
    }  # fmt: skip


def cityjson() -> Seed:
    return Seed(
        "cityjson", {"m.city.json": json.dumps(cityjson_object()).encode()}, "m.city.json", {"kind": "citymodel"}
    )


def cityjson_lines() -> Seed:
    whole = cityjson_object()
    lines = [whole | {"CityObjects": {}, "vertices": []}]
    lines += [
        {"type": "CityJSONFeature", "id": oid, "CityObjects": {oid: thing}, "vertices": whole["vertices"]}
        for oid, thing in whole["CityObjects"].items()
    ]
    text = "\n".join(json.dumps(line) for line in lines) + "\n"
    return Seed("cityjsonseq", {"m.city.jsonl": text.encode()}, "m.city.jsonl", {"kind": "citymodel"})


def citygml() -> Seed:
    rings = []
    for ring in ((0, 3, 2, 1, 0), (4, 5, 6, 7, 4), (0, 1, 5, 4, 0), (1, 2, 6, 5, 1), (2, 3, 7, 6, 2), (3, 0, 4, 7, 3)):
        points = [(X + (k % 4 in (1, 2)) * 10, Y + (k % 4 in (2, 3)) * 10, 1000 + 5 * (k > 3)) for k in ring]
        text = " ".join(f"{x} {y} {z}" for x, y, z in points)
        rings.append(
            "<gml:surfaceMember><gml:Polygon><gml:exterior><gml:LinearRing>"
            f'<gml:posList srsDimension="3">{text}</gml:posList>'
            "</gml:LinearRing></gml:exterior></gml:Polygon></gml:surfaceMember>"
        )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<CityModel xmlns="http://www.opengis.net/citygml/2.0" '
        'xmlns:gml="http://www.opengis.net/gml" xmlns:bldg="http://www.opengis.net/citygml/building/2.0">\n'
        '<gml:boundedBy><gml:Envelope srsName="EPSG:4547"/></gml:boundedBy>\n<cityObjectMember>'
        '<bldg:Building gml:id="g1"><bldg:measuredHeight>5.0</bldg:measuredHeight><bldg:lod1Solid><gml:Solid>'
        f"<gml:exterior><gml:CompositeSurface>\n{chr(10).join(rings)}\n</gml:CompositeSurface></gml:exterior></gml:Solid>"
        "</bldg:lod1Solid></bldg:Building></cityObjectMember>\n</CityModel>\n"
    )
    return Seed("citygml", {"m.gml": text.encode()}, "m.gml", {"kind": "citymodel"})


@lru_cache(maxsize=1)
def seeds() -> dict[str, Seed]:
    """Every seed by name."""
    wkt = "\n".join(f'w{k},"{shape.wkt}",{k + 5}' for k, shape in enumerate(squares()))
    sensors = "".join(f"s{k},表{k},{LON + k * 1e-3},{LAT},1000,tilt,mm\n" for k in range(5))
    values = "".join(f"s{k % 5}/tilt,2026-06-21T0{k % 9}:00:00Z,{k}.5\n" for k in range(20))
    incidents = "".join(f"i{k},flood,积水,{LON},{LAT},2026-06-21T00:00:00Z,2\n" for k in range(4))
    addresses = "".join(f"a{k},和阳街{k}号,{LON + k * 1e-4},{LAT}\n" for k in range(6))
    made = [
        zipped_shapes(),
        *(vector(name) for name in ("b.shp", "b.gpkg", "b.geojson", "b.fgb", "b.sqlite", "b.kml")),
        parquet(),
        raster("dem.tif", "tif"),
        raster("cog.tif", "cog", size=600, driver="COG", compress="deflate", blocksize=128),
        raster("ortho.tif", "ortho", bands=3, tiled=True, blockxsize=16, blockysize=16, compress="deflate"),
        ascii_grid(),
        hgt(),
        coded_png(),
        las("las12.las", "1.2", 3),
        las("las14.las", "1.4", 7),
        las("laz.laz", "1.2", 3),
        spreadsheet(),
        Seed("wkt", {"w.csv": f"oid,wkt,height\n{wkt}\n".encode()}, "w.csv", {"kind": "footprints"}),
        table("addresses", "addresses", "oid,text,lon,lat\n" + addresses),
        table("sensors", "sensors", "oid,name,lon,lat,z,observed_property,unit\n" + sensors),
        table("observations", "observations", "datastream,time,value\n" + values),
        table("incidents", "incidents", "oid,kind,title,lon,lat,time,severity\n" + incidents),
        cityjson(),
        cityjson_lines(),
        citygml(),
        *more_seeds(),
    ]
    return {seed.name: seed for seed in made}
