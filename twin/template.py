"""Words for a person: help and arguments of the larger verbs, the commented city.toml of `twin init`, the table of
`twin info`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from twin.city import SOURCE_KINDS, City, CityCard, FrameCard, StoreCard, View
from twin.errors import OptionsError
from twin.features import Objects
from twin.options import describe_options
from twin.store import Changes, Item, Version
from twin.store.zones import ZONES, sources_of, zone_of

GUIDE = """\
typical use:
  twin demo                     make the Datong sample, run everything, open http://127.0.0.1:8000/viewer/
  twin init mycity              write a commented city.toml; declare your sources in it
  twin fetch mycity --bbox ...  open data for any place on Earth instead (`twin fetch --help`)
  twin run mycity               ingest -> l2 -> l3 -> zones -> tiles; only what is out of date
  twin serve mycity             viewer, 3D Tiles, OGC API and live layers
  twin check mycity             open everything that was written and check it
  twin check --tileset PLACE    check any 3D Tiles: a file, a folder, a .3tz or .3dtiles file, an address
exit codes: 0 done, 1 done with failures listed, 2 bad input or usage
"""

FETCHING = """\
what comes, and from where (licence and attribution are written into city.toml and sources/fetch.json):
  dem         Copernicus DEM GLO-30, one-degree tiles          service copernicus-dem
  buildings   Overture Maps footprints                         services overture-stac, overture
  roads       Overture Maps road and rail centre lines         services overture-stac, overture
  addresses   Overture Maps; none in mainland China            services overture-stac, overture
  imagery     Sentinel-2 true colour, the clearest scenes      services sentinel-stac, sentinel-2
  osm-buildings, osm-roads, osm-addresses                      service openstreetmap (extracts by Geofabrik)
examples:
  twin fetch datong --bbox 113.24 40.05 113.36 40.13
  twin fetch datong --bbox 113.24 40.05 113.36 40.13 --dry-run
  twin fetch datong --bbox 113.24 40.05 113.36 40.13 --what dem,buildings --mirror https://mirror.example/open-data
  twin fetch datong --bbox 113.24 40.05 113.36 40.13 --what osm-addresses --extract asia/china/shanxi
DIR gets a city.toml where it has none: CGCS2000 Gauss-Kruger in China, UTM elsewhere. Sources that are declared already
stay as they are. Run the same command again after a break: whole files stay, parts go on where they broke off.
Remove sources/originals to ask for newer data.
"""

_NAMED = 5
_PLACES = (*ZONES, "")

_SOURCES = f"""
# 数据源：每个文件一节，坐标系与高程基准必须声明，绝不猜测。
# Sources: one table a file; CRS and vertical datum are declared, never guessed.
# kind: {", ".join(SOURCE_KINDS)}

# [[source]]
# name = "dem"
# kind = "dem"
# path = "sources/dem.tif"            # file, glob or list; relative to this file
# crs = "EPSG:4547"                   # any EPSG code, "CGCS2000 / 3-degree GK CM 114E", or "GCJ-02" / "BD-09"
# vertical = "1985"                   # or "ellipsoid", "EGM2008" ...
# extra = {{ geoid_undulation = -14.6 }}  # of another vertical datum; accept_ballpark = true for a null datum change;
#                                       # swap_axes = true where the survey's X is the northing
# licence = ""
# date = "2025-06"
# accuracy = 1.0                      # m, 1 sigma
# zone = "theme"                      # repository: collected, base, theme, thematic; by the table of zones where empty

# [[source]]
# name = "footprints"
# kind = "footprints"
# path = "sources/buildings.gpkg"
# crs = "EPSG:4547"
# encoding = "utf-8"                  # "gbk" for many shapefiles
# columns = {{ height = "高度", storeys = "层数", name = "名称", terrain_height = "地面高程" }}
# extra = {{ z = "base" }}              # heights of 3D outlines: "base", "roof" or "none"; told from the data if absent
# values = {{ function = {{ "住宅" = "residential", "商业" = "commercial" }} }}

# 同一批建筑的第二个来源：按重叠并入，逐属性记录出处
# A second source of the same buildings: merged by overlap, the source of every value is kept.
# [[source]]
# name = "survey"
# kind = "footprints"
# path = "sources/survey.csv"         # outlines, or points (lon, lat) that lie in the outlines
# crs = "EPSG:4326"
# merge_into = "footprints"           # name of the source that gives outlines and identifiers
# prefer = ["height", "storeys"]      # here the survey's word counts; elsewhere it only fills gaps
# columns = {{ height = "H", storeys = "层数" }}

# 行政区划的两个版本：撤并前后各一份，注明起止日
# Two versions of the divisions, before and after a change, each with its days.
# [[source]]
# name = "divisions-2017"
# kind = "divisions"
# path = "sources/divisions_2017.geojson"
# crs = "GCJ-02"
# valid_to = "2018-02-09"             # the newer source says valid_from = "2018-02-09"
# columns = {{ code = "adcode", division_level = "level" }}
"""


def write_template(folder: Path) -> Path:
    """Write a commented city.toml into `folder`; OptionsError where there is one already."""
    path = folder / "city.toml"
    if path.exists():
        raise OptionsError(f"{path}: is there already; it is left as it is")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(template_text(folder.resolve().name), encoding="utf-8")
    return path


def template_text(name: str) -> str:
    """The text of a new city.toml: every key with its sentence, unit and default."""
    lines = ["# 平城 Pingcheng: what you declare about your city. 缺省值已写出，改动处去掉行首 #。", ""]
    given = {"city.id": name, "city.name": name, "city.name_en": name, "frame.crs": "EPSG:4547"}
    for section, cls in (("city", CityCard), ("frame", FrameCard), ("view", View), ("store", StoreCard)):
        lines += [f"[{section}]", *_section(cls, section, given), ""]
    return "\n".join(lines) + _SOURCES


def _section(cls: type, section: str, given: dict[str, str]) -> Iterator[str]:
    for key, field, default in describe_options(cls, section):
        unit = f" [{field.metadata['unit']}]" if field.metadata["unit"] else ""
        yield f"# {field.metadata['doc']}{unit}"
        name = key.rpartition(".")[2]
        yield f"{name} = {json.dumps(given[key])}" if key in given else f"# {name} = {_toml(default)}"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, float):
        return "nan" if value != value else repr(value)
    return json.dumps(value, ensure_ascii=False)


def describe_city(city: City) -> dict[str, Any]:
    """Plain JSON values: who the city is, its frame, and every item with count, extent, size and lineage."""
    items, names = [], [source.name for source in city.sources]
    declared = {source.name: source.zone for source in city.sources if source.zone}
    for item in city.store.items():
        items.append(
            {
                "kind": item.kind,
                "name": item.name,
                "zone": zone_of(item, declared),
                "sources": sources_of(item, names),
                "count": item.count,
                "extent": item.extent,
                "bytes": city.store.size(item.kind, item.name),
                "digest": item.digest,
                "pictures": len(item.extra.get("images", ())),
                "lineage": item.lineage.as_dict(),
                **_versions(city, item),
            }
        )
    published = city.store.current_tiles()
    return {
        "id": city.id,
        "name": city.name,
        "name_en": city.name_en,
        "frame": dataclasses.asdict(city.frame),
        "sources": names,
        "deliveries": _deliveries(city),
        "items": items,
        "tiles": None if published is None else published[0],
    }


def _deliveries(city: City) -> list[dict[str, Any]]:
    """What the store knows of the files that were delivered."""
    if not city.store.has("document", "sources"):
        return []
    keys = ("name", "kind", "path", "crs", "vertical", "files")
    cards = city.store.read_document("sources")["sources"]
    told = [{key: card.get(key) for key in keys} for card in cards]
    return [row | {"licence": card["lineage"]["licence"]} for row, card in zip(told, cards, strict=True)]


def _versions(city: City, item: Item) -> dict[str, Any]:
    if item.kind != "layer":
        return {}
    versions = city.store.versions(item.name)
    return {"versions": [{"number": v.number, "count": v.count, "date": v.lineage.date} for v in versions]}


def city_as_text(table: dict[str, Any]) -> str:
    """The same for a terminal."""
    frame = table["frame"]
    lines = [
        f"{table['name']} {table['name_en']}  {frame['crs']}  {frame['vertical'] or 'vertical datum not declared'}",
        f"tiles {table['tiles'] or 'not published'}",
        f"{'kind':<9}{'name':<24}{'count':>12}{'MB':>9}{'version':>9}  source",
    ]
    zone = None
    for item in sorted(table["items"], key=lambda item: (_PLACES.index(item["zone"]), item["kind"], item["name"])):
        if item["zone"] != zone:
            zone = item["zone"]
            lines.append(f"-- {ZONES[zone].title} {ZONES[zone].title_en}" if zone else "-- 未归库 in no repository")
            lines += _delivered(table["deliveries"]) if zone == "collected" else []
        size = "-" if item["bytes"] is None else f"{item['bytes'] / 1e6:.1f}"
        source = item["lineage"]["source"][:60]
        last = str(item["versions"][-1]["number"]) if item.get("versions") else "-"
        lines.append(f"{item['kind']:<9}{item['name']:<24}{item['count']:>12,}{size:>9}{last:>9}  {source}")
    return "\n".join(lines)


def _delivered(deliveries: Sequence[dict[str, Any]]) -> Iterator[str]:
    for card in deliveries:
        files = card["files"] or []
        size = sum(file["bytes"] for file in files) / 1e6
        told = ", ".join(word for word in (card["crs"], card["licence"]) if word)
        yield f"{'source':<9}{card['name']:<24}{len(files):>6} files{size:>9.1f}{'-':>9}  {card['kind']}: {told}"


def changes_as_text(changes: Changes, versions: Sequence[Version]) -> str:
    """What differs between two versions of a layer, for a terminal: how many, and the first of them by oid."""
    dates = {version.number: f"{version.count:,} ({version.lineage.date or '-'})" for version in versions}
    lines = [
        f"{changes.name}: 版本 version {changes.old}: {dates[changes.old]} -> {changes.new}: {dates[changes.new]}",
        _named("新增 added", changes.added),
        _named("移除 removed", changes.removed),
        _named("形状变化 geometry", changes.geometry),
        _named("属性变化 attributes", changes.attributes),
        *(_named(f"  {key}", oids) for key, oids in changes.columns.items()),
    ]
    return "\n".join(lines)


def _named(word: str, oids: Objects) -> str:
    shown = ", ".join(oids[:_NAMED].tolist())
    return f"{word}: {len(oids):,}{f': {shown}' if len(oids) else ''}{' ...' if len(oids) > _NAMED else ''}"


def add_export(export: argparse.ArgumentParser) -> None:
    """What `twin export` takes."""
    export.add_argument(
        "--format",
        required=True,
        choices=["gpkg", "cityjson", "cityjsonseq", "pmtiles", "3tz"],
        help="gpkg: every layer in one OGC GeoPackage; cityjson: all that is modelled as CityJSON 2.0, pictures beside "
        "it; cityjsonseq: the same, one city object a line, in bounded memory; pmtiles: every layer as vector tiles; "
        "3tz: the published 3D Tiles as one archive",
    )
    export.add_argument(
        "--bbox",
        nargs=4,
        type=float,
        metavar=("W", "S", "E", "N"),
        help="the place, degrees, WGS 84 (city models, 3tz)",
    )
    export.add_argument("--classes", default="", help="as building,relief,road,tree (city models; default all)")
    export.add_argument("--lod", type=float, default=9.9, help="highest level of detail (city models; default all)")
    export.add_argument("out", metavar="OUT", help="file to write")


def add_fetching(parser: argparse.ArgumentParser) -> None:
    """What `twin fetch` takes."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = FETCHING
    parser.add_argument(
        "--bbox", nargs=4, type=float, required=True, metavar=("W", "S", "E", "N"), help="the place, degrees, WGS 84"
    )
    what = "dem,buildings,roads,addresses,imagery"
    parser.add_argument("--what", "--only", default=what, metavar="LIST", help=f"comma-separated (default {what})")
    parser.add_argument("--dry-run", action="store_true", help="say what would come and how large it is; write nothing")
    parser.add_argument("--mirror", default="", metavar="URL", help="each service at URL/<service> instead of its own")
    parser.add_argument("--release", default="", help="Overture release, as 2025-09-24.0 (default: the latest)")
    parser.add_argument("--extract", default="", metavar="NAME", help="OpenStreetMap extract, as asia/china/shanxi")
    parser.add_argument("--dates", default="", metavar="FROM/TO", help="days of the imagery, as 2025-05-01/2025-09-30")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def add_checking(check: argparse.ArgumentParser) -> None:
    """What `twin check` takes."""
    check.add_argument(
        "--tileset",
        default="",
        metavar="PLACE",
        help="any tileset instead of a city: tileset.json, its folder, a .3tz or .3dtiles file, or an http(s) address",
    )
    check.add_argument("--most", type=int, default=1_000_000, help="files of the tileset at most (default 1000000)")
    check.add_argument("--seconds", type=float, default=3600.0, help="time for the tileset at most (default 3600)")
    check.add_argument("--json", action="store_true", help="print the reports as JSON")
    check.add_argument("--workers", type=int, default=cores(), help="processes (default: all cores)")


def add_serving(parser: argparse.ArgumentParser) -> None:
    """What `twin serve` takes."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default 8000)")


def add_package(pack: argparse.ArgumentParser) -> None:
    """What `twin package` takes."""
    pack.add_argument("--bbox", nargs=4, type=float, metavar=("W", "S", "E", "N"), help="the area (default: all)")
    pack.add_argument("--since", default="", metavar="OLD", help="hold only what the package OLD lacks")
    pack.add_argument("--dry-run", action="store_true", help="say how large it would be; write nothing")
    pack.add_argument(
        "--new-key", default="", metavar="FILE", help="make a key to sign with, and print its public half"
    )
    pack.add_argument("out", nargs="?", default="", metavar="OUT", help="file to write")


def add_unpack(unpack: argparse.ArgumentParser) -> None:
    """What `twin unpack` takes."""
    unpack.add_argument("package", metavar="FILE", help="package to open")
    unpack.add_argument("--key", default="", metavar="HEX", help="public key that must have signed it")


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
