"""Words about a city for a person: the commented city.toml of `twin init`, the table of `twin info`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from twin.city import SOURCE_KINDS, City, CityCard, FrameCard, StoreCard, View
from twin.errors import OptionsError
from twin.features import Objects
from twin.options import describe_options
from twin.store import Changes, Item, Version
from twin.store.zones import ZONES, sources_of, zone_of

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
