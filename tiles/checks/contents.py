"""Checks of the contents of tiles: each opened, and every vertex inside its volume and all volumes above it.

Contents are checked apart from the walk that found them, so that several processes can share them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.checks import khronos
from tiles.checks.findings import Findings, parsed
from tiles.checks.gltf import Body, check_gltf
from tiles.checks.shape import GLTF, SCHEMA, shaped
from tiles.gltf import glb
from tiles.gltf.metadata import read_table
from tiles.reading import legacy
from tiles.reading.openers import Opener
from tiles.scheme.volumes import Floats, Volume
from twin.errors import SourceError
from twin.workers import Workers

TOLERANCE = 0.002
"""Metres that a vertex may lie outside: 1 mm, and the step of the vertex grid."""

_LOOSE, _SLACK = 1.5, 2.0
_BATCH = 24
_ZIP = b"PK\x03\x04"
_GEOJSON = (
    "FeatureCollection", "Feature", "GeometryCollection", "Point", "MultiPoint", "LineString", "MultiLineString",
    "Polygon", "MultiPolygon",
)  # fmt: skip
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Job:
    """A content that the walk of a tileset met.

    name        of the file, as the opener knows it
    tile        for messages
    world       (4, 4) tile axes -> Earth-centred (or the tileset's own) axes
    volumes     of the content, its tile and all above, outermost first
    cover       of what replaces the content; empty where nothing does
    reach       m, the tile's geometric error
    lasting     drawn when all is loaded: not where children replace it
    """

    name: str
    tile: str
    world: Floats
    volumes: tuple[Volume, ...]
    cover: tuple[Volume, ...] = ()
    reach: float = 0.0
    lasting: bool = True


@dataclass(slots=True)
class Checked:
    """What is known of a content after its check.

    oids    (n,) column `oid` of its first table; None where there is none
    """

    job: Job
    found: Findings
    oids: NDArray[np.object_] | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """How contents are checked.

    node        of gltf-validator: the command that runs it; empty where it is not there
    strict      what is lawful and wasteful is a fault
    sunk        m, how far bodies reach below the ground, where nobody sees them
    """

    node: tuple[str, ...] = ()
    strict: bool = True
    sunk: float = 0.0


def check_contents(jobs: list[Job], opener: Opener, manner: Manner, workers: Workers) -> Iterator[Checked]:
    """Check contents in the order of `jobs`, some at a time."""
    parts = [jobs[at : at + _BATCH] for at in range(0, len(jobs), _BATCH)]
    for checked in workers.map(partial(_check_part, opener=opener, manner=manner), parts, "check"):
        yield from checked


def _check_part(jobs: list[Job], opener: Opener, manner: Manner) -> list[Checked]:
    with np.errstate(over="ignore", invalid="ignore"):
        return _check_all(jobs, opener, manner)


def _check_all(jobs: list[Job], opener: Opener, manner: Manner) -> list[Checked]:
    checked, wanted = [], []
    for job in jobs:
        found = Findings("contents")
        where = f"{opener.label(job.name)} ({job.tile})"
        try:
            fetched = opener.read(job.name)
        except SourceError as error:
            found.fault(job.tile, f"content {opener.label(job.name)} {error}", "IO_ERROR")
            checked.append(Checked(job, found))
            continue
        if fetched.remark:
            found.remark(f"contents: {fetched.remark}")
        entry = Checked(job, found)
        body = _open(fetched.data, where, entry, opener, manner)
        if body is not None and len(body.points):
            _place(body, job, where, found)
        if fetched.data[:4] == b"glTF":
            wanted.append((entry, where, fetched.data))
        checked.append(entry)
    if manner.node and wanted:
        told = khronos.validate([data for _, _, data in wanted], manner.node)
        for (entry, where, _), messages in zip(wanted, told, strict=True):
            khronos.note(messages, where, entry.found)
    return checked


def _open(data: bytes, where: str, entry: Checked, opener: Opener, manner: Manner) -> Body | None:
    found = entry.found
    found.checked += 1
    try:
        if data[:4] == _ZIP:
            found.count("archives_as_content")
            return None
        if data[:4] in legacy.FORMATS:
            return _legacy(data, where, entry, manner)
        if _is_geojson(data):
            found.remark("contents of GeoJSON are not opened")
            return None
        gltf = read_gltf(data, where, entry.job.name, opener)
        body = check_gltf(gltf, _outside_schema(gltf, entry.job.name, opener, found), found, manner.strict)
    except (SourceError, KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        text = str(error).removeprefix(f"{where}: ")
        words = text if isinstance(error, SourceError) else f"{type(error).__name__} {text}"
        found.fault(where, f"cannot be opened: {words}", "CONTENT_VALIDATION_ERROR")
        return None
    found.count("contents")
    entry.oids = _oids(gltf)
    return body


def _is_geojson(data: bytes) -> bool:
    if data.lstrip()[:1] != b"{":
        return False
    told = parsed(data, "", Findings(""))
    return isinstance(told, Mapping) and "asset" not in told and told.get("type") in _GEOJSON


def read_gltf(data: bytes, where: str, name: str, opener: Opener) -> glb.Gltf:
    """A glTF of its bytes, with buffers that lie beside it; SourceError where it is neither GLB nor glTF."""
    if data[:4] == b"glTF":
        document, binary = glb.unpack(data, where)
    else:
        try:
            document, binary = json.loads(data.decode("utf-8")), b""
        except ValueError as error:
            raise SourceError(f"{where}: neither GLB nor glTF JSON: {error}") from error
    found = Findings("")
    document = shaped(document, GLTF, where, found)
    if found.faults:
        raise SourceError("; ".join(reason for _, reason in found.faults[:_NAMED]))
    return glb.opened(document, binary, lambda uri: opener.read(opener.resolve(name, uri)).data, where)


def _outside_schema(gltf: glb.Gltf, name: str, opener: Opener, found: Findings) -> Mapping[str, Any] | None:
    told = gltf.document.get("extensions", {}).get("EXT_structural_metadata", {})
    if "schemaUri" not in told:
        return None
    try:
        schema = json.loads(opener.read(opener.resolve(name, told["schemaUri"])).data)
    except (SourceError, ValueError) as error:
        found.fault(gltf.where, f"schemaUri {told['schemaUri']}: {error}", "IO_ERROR")
        return None
    return shaped(schema, SCHEMA, f"{gltf.where}: schema", found)


def _oids(gltf: glb.Gltf) -> NDArray[np.object_] | None:
    tables = gltf.document.get("extensions", {}).get("EXT_structural_metadata", {}).get("propertyTables", [])
    entry = tables[0].get("properties", {}).get("oid", {}) if tables else {}
    try:
        # A table cannot have more rows than its offsets have bytes; one that says so is not read.
        if "stringOffsets" not in entry or tables[0]["count"] > len(gltf.view(entry["stringOffsets"])):
            return None
        return np.asarray(read_table(gltf)["oid"], dtype=object)
    except (SourceError, KeyError, TypeError, ValueError, IndexError):
        # A table that does not open is told by check_gltf already.
        return None


def _legacy(data: bytes, where: str, entry: Checked, manner: Manner) -> Body | None:
    found = entry.found
    kind = data[:4].decode()
    found.remark(f"{kind} is legal and legacy since 3D Tiles 1.1; glTF is what clients want")
    points = []
    for part in legacy.parts(data, where):
        found.count(f"{part.kind}_contents")
        if part.points is not None:
            points.append(part.points)
        if part.glb[:4] == b"glTF" and int.from_bytes(part.glb[4:8], "little") == 2:
            body = check_gltf(glb.read(part.glb, where), None, found, manner.strict)
            if part.placed:
                points.append(body.points + part.shift)
        elif part.glb:
            found.remark(f"{kind} with glTF 1.0 is not opened")
    return Body(np.concatenate(points) if points else np.zeros((0, 3)), np.zeros((0, 3), np.int64))


def _place(body: Body, job: Job, where: str, found: Findings) -> None:
    """Every vertex inside every volume, and under REPLACE within reach of what replaces the content."""
    placed = body.points @ job.world[:3, :3].T + job.world[:3, 3]
    for volume in job.volumes:
        out = float(volume.outside(placed).max())
        found.require(
            out <= TOLERANCE,
            where,
            f"a vertex lies {out:.3f} m outside the volume of {volume.where}",
            "CONTENT_OUTSIDE_VOLUME",
        )
    _tight(placed, job, found)
    if not job.cover:
        return
    lost = np.min([volume.outside(placed) for volume in job.cover], axis=0)
    out = float(lost.max())
    found.require(
        out <= job.reach + TOLERANCE,
        where,
        f"{int((lost > job.reach + TOLERANCE).sum())} vertices, the farthest by {out:.1f} m, lie where no child "
        f"replaces them, though the geometric error is {job.reach:g} m",
        "HOLE_UNDER_REPLACE",
    )


def _tight(placed: Floats, job: Job, found: Findings) -> None:
    """Counts boxes that are much longer than what the tile holds and nothing below it could need."""
    volume = job.volumes[-1] if job.volumes else None
    half = volume.half_lengths() if volume is not None and not job.cover else None
    if volume is None or half is None or (half == 0.0).any():
        return
    along = (placed - volume.numbers[:3]) @ (volume.numbers[3:].reshape(3, 3) / half[:, None]).T
    needed = (along.max(axis=0) - along.min(axis=0)) / 2.0
    if (half > _LOOSE * needed + _SLACK).any():
        found.count("loose_volumes")
