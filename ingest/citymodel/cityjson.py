"""CityJSON 1.0, 1.1 and 2.0, and CityJSONSeq line by line (CityJSON 2.0.1 specification)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from ingest.citymodel.jsonlooks import BROKEN as _BROKEN
from ingest.citymodel.jsonlooks import DEPTH, JsonLooks, looks_of
from ingest.citymodel.model import HIGHEST, SURFACES, UNTOLD, Body, Census, Part, Polygon, Ring, choose_lod, open_ring
from twin.errors import SourceError

VERSIONS = ("1.0", "1.1", "2.0")
PARTS = frozenset({"BuildingPart", "BuildingInstallation", "BuildingConstructiveElement", "BuildingUnit"})
LIMIT = 512 * 2**20
_EPSG = re.compile(r"EPSG(?:/[^/]*/|::?|:[^:]*:)(\d+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What the geometries of a feature refer to: vertices (n, 3) in the file's CRS, appearance, the level wished."""

    vertices: Ring
    looks: JsonLooks | None
    wanted: int
    census: Census


def read_cityjson(path: Path, shown: str, wanted: int, census: Census, theme: str = "") -> Iterator[Body]:
    """The buildings of a CityJSON file (whole in memory) or of a CityJSONSeq file (one feature in memory).

    theme   theme of materials and textures to take; the default of the file without
    raises  SourceError for text that is no CityJSON of a known version, or that ends early
    """
    with path.open("rb") as file:
        lines = _lines(file, shown)
        first = next(lines, b"")
        second = next((line for line in lines if line.strip()), b"")
        try:
            head = orjson.loads(first.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError:
            head = None
        if not (second and isinstance(head, dict)):
            head = _whole(path, shown)
            second = b""
        _check_head(head, shown)
        census.crs = _crs(head, shown)
        looks = looks_of(head.get("appearance"), theme, census)
        yield from _bodies(head, _Scene(_vertices(head, head, shown), looks, wanted, census))
        number = 2
        while second:
            if second.strip():
                feature = _load(second, f"{shown}, line {number}")
                own = looks_of(feature["appearance"], theme, census) if "appearance" in feature else looks
                vertices = _vertices(feature, head, f"{shown}, line {number}")
                yield from _bodies(feature, _Scene(vertices, own, wanted, census))
            second, number = next(lines, b""), number + 1


def _lines(file: Any, shown: str) -> Iterator[bytes]:
    while line := file.readline(LIMIT + 1):
        if len(line) > LIMIT:
            raise SourceError(f"{shown}: a line over {LIMIT >> 20} MiB; deliver it as CityJSONSeq, one building a line")
        yield line


def _whole(path: Path, shown: str) -> dict[str, Any]:
    if path.stat().st_size > LIMIT:
        raise SourceError(f"{shown}: CityJSON over {LIMIT >> 20} MiB; deliver it as CityJSONSeq, one building a line")
    return _load(path.read_bytes(), shown)


def _load(text: bytes, shown: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as err:
        raise SourceError(f"{shown}: damaged or cut short JSON ({str(err)[:120]}); ask for the file again") from err
    if not isinstance(found, dict) or not isinstance(found.get("CityObjects"), dict):
        raise SourceError(f"{shown}: JSON, but no CityJSON (it has no CityObjects)")
    return found


def _check_head(head: Mapping[str, Any], shown: str) -> None:
    if head.get("type") != "CityJSON" or not isinstance(head.get("CityObjects"), dict):
        raise SourceError(f"{shown}: JSON, but no CityJSON (type is {head.get('type')!r})")
    if str(head.get("version", ""))[:3] not in VERSIONS:
        raise SourceError(f"{shown}: CityJSON version {head.get('version')!r}; known are {', '.join(VERSIONS)}")


def _crs(head: Mapping[str, Any], shown: str) -> str:
    metadata = head.get("metadata")
    stated = metadata.get("referenceSystem") if isinstance(metadata, dict) else None
    if not stated:
        return ""
    found = _EPSG.search(str(stated))
    if not found:
        raise SourceError(f"{shown}: metadata.referenceSystem {str(stated)[:80]!r} names no EPSG code")
    return f"EPSG:{found[1]}"


def _vertices(feature: Mapping[str, Any], head: Mapping[str, Any], shown: str) -> Ring:
    try:
        raw = np.asarray(feature.get("vertices", []), dtype=np.float64).reshape(-1, 3)
        transform = head.get("transform")
        if transform:
            raw = raw * np.asarray(transform["scale"], dtype=np.float64) + np.asarray(
                transform["translate"], dtype=np.float64
            )
    except _BROKEN as err:
        raise SourceError(f"{shown}: vertices or transform are not rows of three numbers") from err
    return raw


def _bodies(feature: Mapping[str, Any], scene: _Scene) -> Iterator[Body]:
    objects: dict[str, Any] = {k: v for k, v in feature["CityObjects"].items() if isinstance(v, dict)}
    children: dict[str, list[str]] = {}
    orphans = []
    for oid, thing in objects.items():
        kind = str(thing.get("type", ""))
        scene.census.counts[kind] += 1
        if kind in PARTS:
            parents = thing.get("parents")
            named = parents if isinstance(parents, list) else ()
            parent = next((p for p in named if isinstance(p, str) and p in objects), None)
            if parent is None or parent == oid:
                orphans.append(oid)
            else:
                children.setdefault(parent, []).append(oid)
        elif kind != "Building":
            scene.census.ignored[kind] += 1
    for oid in (*(oid for oid, thing in objects.items() if thing.get("type") == "Building"), *orphans):
        yield _body(oid, objects, children, scene)


def _body(oid: str, objects: Mapping[str, Any], children: Mapping[str, list[str]], scene: _Scene) -> Body:
    attributes = objects[oid].get("attributes")
    body = Body(oid, dict(attributes) if isinstance(attributes, dict) else {})
    if "address" in objects[oid]:
        body.attributes.setdefault("address", objects[oid]["address"])
    waiting, seen = [oid], {oid}
    while waiting:
        name = waiting.pop(0)
        try:
            _take(name, objects[name], scene, body)
        except _BROKEN as err:
            body.problems.append(("failed", f"几何损坏 / {name}: geometry is damaged ({str(err)[:80]})"))
        for child in children.get(name, ()):
            if child not in seen:
                seen.add(child)
                waiting.append(child)
    return body


def _take(name: str, thing: Mapping[str, Any], scene: _Scene, body: Body) -> None:
    """The geometry of one object in its chosen level of detail goes to the body."""
    kind = str(thing["type"])
    levels: dict[int, list[Mapping[str, Any]]] = {}
    for geometry in thing.get("geometry") or ():
        if geometry["type"] not in DEPTH:
            body.problems.append(("fallback", f"几何类型未用 / {name}: {geometry['type']} left out"))
            continue
        level = round(float(geometry["lod"]) * 10)
        if not 0 <= level <= HIGHEST:
            raise ValueError(f"LoD {level / 10:g}")
        levels.setdefault(level, []).append(geometry)
    default = SURFACES["BuildingInstallation"] if kind == "BuildingInstallation" else UNTOLD
    body.plan += [p for level, group in levels.items() if level < 10 for g in group for p in _polygons(g, scene, body)]
    solid = [level for level in levels if level >= 10]
    if not solid:
        return
    level, line = choose_lod(solid, scene.wanted)
    if line:
        body.problems.append(("fallback", line))
    polygons = [polygon for geometry in levels[level] for polygon in _polygons(geometry, scene, body)]
    for polygon in polygons:
        polygon.surface = default if polygon.surface == UNTOLD else polygon.surface
    scene.census.counts["Polygon"] += len(polygons)
    if polygons:
        body.parts.append(Part(name, kind, level, polygons))


def _polygons(geometry: Mapping[str, Any], scene: _Scene, body: Body) -> list[Polygon]:
    vertices = scene.vertices
    semantics = geometry.get("semantics") or {}
    codes = [SURFACES.get(str(row.get("type")), UNTOLD) for row in semantics.get("surfaces") or ()]
    depth = DEPTH[geometry["type"]]
    surfaces = _flat(geometry["boundaries"], depth)
    values = semantics.get("values")
    told = _flat(values, depth) if values is not None else []
    told = told if len(told) == len(surfaces) else [None] * len(surfaces)
    result = []
    for number, (rings, value) in enumerate(zip(surfaces, told, strict=True)):
        index = [np.asarray(ring, dtype=np.int64) for ring in rings]
        if any(len(ring) and (ring.min() < 0 or ring.max() >= len(vertices)) for ring in index):
            raise ValueError("a vertex number beyond the vertices")
        whole = [vertices[ring] for ring in index if len(ring)]
        opened = [open_ring(ring) for ring in whole]
        if opened and opened[0] is not None:
            code = codes[value] if isinstance(value, int) and 0 <= value < len(codes) else UNTOLD
            result.append((Polygon([ring for ring in opened if ring is not None], code), number, whole))
    wrong = scene.looks.dress(geometry, result) if scene.looks is not None else 0
    if wrong:
        line = f"{wrong} 个面的外观有误,未用 / {wrong} surfaces whose material or texture is told wrongly stay bare"
        body.problems.append(("fallback", line))
    return [polygon for polygon, _, _ in result]


def _flat(nested: Any, depth: int) -> list[Any]:
    """`depth` levels of lists taken off; a level that is null tells nothing."""
    flat = list(nested)
    for _ in range(depth):
        if any(part is None for part in flat):
            return []
        flat = [item for part in flat for item in part]
    return flat
