"""The walk of a tileset: every document and tile, which content lies where, and what stands above and below it.

source  OGC 22-025r4, 3D Tiles 1.1
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tiles.checks.contents import Job
from tiles.checks.extensions import check_content_gltf
from tiles.checks.findings import BOM, Findings, parsed
from tiles.checks.shape import HEAD, SCHEMA, TILE, shaped
from tiles.scheme.volumes import Volume
from tiles.walk.coverage import Node
from tiles.walk.implicit import walk_implicit
from tiles.walk.state import Above, Document, Walk, enter
from tiles.walk.structure import (
    check_error,
    check_head,
    check_implicit_root,
    check_refine,
    check_tile_metadata,
    check_transform,
    check_volume,
    contents_of,
)
from twin.errors import SourceError

_NEAR = 0.01
_CONTENTS = (".glb", ".gltf", ".b3dm", ".i3dm", ".pnts", ".cmpt", ".vctr", ".geom")


def walk_tileset(name: str, walk: Walk, above: Above | None = None) -> None:
    """Walk the tileset document `name` and all that it reaches; external tilesets are followed."""
    above = above or Above(np.eye(4))
    where = walk.opener.label(name)
    if name in above.open:
        walk.found.fault(where, "the tileset contains itself", "TILESET_CYCLE")
        return
    if not walk.may(name):
        return
    document = read_json(name, where if above.open else name, walk)
    if not isinstance(document, Mapping):
        if document is not None:
            walk.found.fault(where, "its JSON is no table", "TYPE_MISMATCH")
        return
    _walk_document(name, document, walk, replace(above, open=(*above.open, name)))


def _walk_document(name: str, document: Mapping[str, Any], walk: Walk, above: Above) -> None:
    found, where = walk.found, walk.opener.label(name)
    found.checked += 1
    found.count("tilesets")
    document = shaped(document, HEAD, where, found)
    schema = _schema(document, name, where, walk)
    check_head(document, schema, where, found)
    error = check_error(document, where, math.inf, found)
    root = document.get("root")
    if not found.require(isinstance(root, Mapping), where, "there is no root tile", "PROPERTY_MISSING"):
        return
    home = Document(name, where, schema, len(document.get("groups", [])), {})
    _bearing(root, home.bearing)
    check_content_gltf(document, any(_is_gltf(uri) for uri in _uris(root)), where, found)
    if above.open[:-1] and "refine" not in root:
        found.fault(where, "the root tile of an external tileset has no refine", "TILE_REFINE_MISSING_IN_ROOT")
    stack = [(root, "root", replace(above, error=min(above.error, error)))]
    while stack:
        tile, path, inherited = stack.pop()
        below = _tile(tile, f"{where}#{path}", home, inherited, walk)
        children = _children(tile)
        stack += [(child, f"{path}/{k}", below) for k, child in reversed(list(enumerate(children)))]


def _children(tile: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    told = tile.get("children", [])
    return [child for child in told if isinstance(child, Mapping)] if isinstance(told, list) else []


def _uris(tile: Mapping[str, Any]) -> Iterator[str]:
    told = tile.get("contents", [tile.get("content")])
    for entry in told if isinstance(told, list) else []:
        if isinstance(entry, Mapping) and isinstance(entry.get("uri"), str):
            yield entry["uri"]
    for child in _children(tile):
        yield from _uris(child)


def _suffix(uri: str) -> str:
    return Path(uri.partition("?")[0]).suffix.lower()


def _is_gltf(uri: str) -> bool:
    return _suffix(uri) in (".glb", ".gltf")


def _bearing(tile: Mapping[str, Any], known: dict[int, bool]) -> bool:
    below = [_bearing(child, known) for child in _children(tile)]
    known[id(tile)] = bool(tile.get("content") or tile.get("contents")) or any(below)
    return known[id(tile)]


def _schema(document: Mapping[str, Any], name: str, where: str, walk: Walk) -> Mapping[str, Any] | None:
    if isinstance(document.get("schema"), Mapping):
        return document["schema"]
    uri = document.get("schemaUri")
    if not isinstance(uri, str):
        return None
    try:
        at = walk.opener.resolve(name, uri)
    except SourceError as error:
        walk.found.fault(where, f"schemaUri {uri} {error}", "IO_ERROR")
        return None
    schema = read_json(at, walk.opener.label(at), walk)
    return None if schema is None else shaped(schema, SCHEMA, walk.opener.label(at), walk.found)


def read_json(name: str, where: str, walk: Walk) -> Any:
    """The JSON of a file; None where it is missing or broken, which is then a fault."""
    try:
        fetched = walk.opener.read(name)
    except SourceError as error:
        walk.found.fault(where, str(error), "IO_ERROR")
        return None
    if fetched.remark:
        walk.found.remark(f"documents: {fetched.remark}")
    return parsed(fetched.data, where, walk.found)


def _tile(tile: Mapping[str, Any], where: str, home: Document, above: Above, walk: Walk) -> Above:
    """Check one tile; what its children inherit."""
    found = walk.found
    found.count("tiles")
    children, tile = _children(tile), shaped(tile, TILE, where, found)
    if tile.get("children") == []:
        found.count("empty_children")
    error = check_error(tile, where, above.error, found)
    refine = check_refine(tile, where, above.refine, found)
    world = above.world @ check_transform(tile, where, found)
    if "transform" in tile and "region" in tile.get("boundingVolume", {}) and not _turns_nothing(tile):
        found.remark(f"{where}: transform does not move a region")
    if "viewerRequestVolume" in tile:
        check_volume(tile["viewerRequestVolume"], world, f"{where}: viewerRequestVolume", found)
    own = check_volume(tile.get("boundingVolume"), world, where, found)
    volumes = above.volumes if own is None else (*above.volumes, own)
    if own is not None and above.volumes and (above.volumes[-1].outside(own.corners()) > _NEAR).any():
        found.count("volumes_larger_than_parent")
    below = Above(world, volumes, error, refine, where, above.open)
    enter(walk, where, above.tile, error, refine)
    check_tile_metadata(tile, home.schema, home.groups, where, found)
    if tile.get("implicitTiling") is not None:
        if check_implicit_root(tile, where, found):
            walk_implicit(tile, home, replace(above, world=world, error=error, refine=refine, tile=where), walk)
        return below
    _contents((tile, children), where, home, below, walk)
    return below


def _turns_nothing(tile: Mapping[str, Any]) -> bool:
    return tile["transform"] == np.eye(4).reshape(-1).tolist()


def _contents(
    entry: tuple[Mapping[str, Any], list[Mapping[str, Any]]], where: str, home: Document, below: Above, walk: Walk
) -> None:
    found, (tile, children) = walk.found, entry
    told = contents_of(tile, where, found)
    replaced = below.refine == "REPLACE" and bool(children)
    if replaced and not told and any(node.contents for node in _above(walk, where)):
        found.count("empty_tiles_between")
    cover = _cover(children, where, home, below) if replaced and told else ()
    for content in told:
        volumes = below.volumes
        if "boundingVolume" in content:
            own = check_volume(content["boundingVolume"], below.world, f"{where} content", found)
            if own is not None and volumes:
                out = float(volumes[-1].outside(own.corners()).max())
                found.require(
                    out <= _NEAR,
                    where,
                    f"the volume of its content reaches {out:.3f} m out of its own",
                    "BOUNDING_VOLUMES_INCONSISTENT",
                )
            volumes = volumes if own is None else (*volumes, own)
        try:
            name = walk.opener.resolve(home.name, content["uri"])
        except SourceError as error:
            found.fault(where, f"content uri {content['uri']} {error}", "CONTENT_VALIDATION_ERROR")
            continue
        job = Job(name, where, below.world, volumes, cover, below.error, not replaced)
        _follow(job, content["uri"], bool(children), below, walk)


def _above(walk: Walk, where: str) -> list[Node]:
    found, name = [], walk.nodes[where].parent
    while name:
        found.append(walk.nodes[name])
        name = walk.nodes[name].parent
    return found


def _cover(children: list[Mapping[str, Any]], where: str, home: Document, below: Above) -> tuple[Volume, ...]:
    """Volumes of the children that show something; broken ones are told when the children are met."""
    quiet = Findings("")
    volumes = []
    for child in children:
        if home.bearing[id(child)] or child.get("implicitTiling"):
            world = below.world @ check_transform(child, where, quiet)
            volumes.append(check_volume(child.get("boundingVolume"), world, where, quiet))
    # Where one of them is not known, what they cover together is not.
    return () if None in volumes else tuple(volume for volume in volumes if volume is not None)


def _follow(job: Job, uri: str, with_children: bool, below: Above, walk: Walk) -> None:
    """A content becomes a job; a tileset as content is walked."""
    if _suffix(uri) not in _CONTENTS and _is_tileset(job, walk):
        if with_children:
            walk.found.remark(f"{job.tile}: refers to the tileset {uri} and has children; clients differ in this")
        walk_tileset(job.name, walk, replace(below, volumes=job.volumes))
    elif walk.may(job.name):
        walk.nodes[job.tile].contents = (*walk.nodes[job.tile].contents, job.name)
        walk.jobs.append(job)


def _is_tileset(job: Job, walk: Walk) -> bool:
    """Whether a content without a telling suffix is a tileset; a missing one is told when it is opened."""
    try:
        data = walk.opener.read(job.name).data
    except SourceError:
        return False
    if data.lstrip()[:1] != b"{" and not data.startswith(BOM):
        return False
    document = parsed(data, walk.opener.label(job.name), Findings(""))
    return isinstance(document, Mapping) and "root" in document
