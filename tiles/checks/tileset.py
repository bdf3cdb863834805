"""Checks of a tileset: structure, errors, links, and every vertex inside its box and all boxes above it.

source  OGC 22-025r4, 3D Tiles 1.1
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.checks.findings import Findings
from tiles.checks.gltf import check_extensions, check_gltf
from tiles.gltf import glb
from tiles.gltf.metadata import read_table
from twin.errors import SourceError
from twin.frames import geodetic_from_ecef

Floats = NDArray[np.float64]

TOLERANCE = 0.002
"""Metres that a vertex may lie outside: 1 mm, and the step of the vertex grid."""

_NUMBERS = {"box": 12, "region": 6, "sphere": 4}
_LEGACY = (b"b3dm", b"i3dm", b"pnts", b"cmpt")


@dataclass(frozen=True, slots=True)
class Volume:
    """A bounding volume in Earth-centred (or the tileset's own) metres.

    kind        box, sphere or region
    numbers     centre and half axes (12,), centre and radius (4,), or radians and metres (6,)
    """

    kind: str
    numbers: Floats
    where: str

    def outside(self, points: Floats) -> float:
        """Metres by which the worst of the points (n, 3) lies outside; 0 or less inside."""
        if self.kind == "sphere":
            return float((np.linalg.norm(points - self.numbers[:3], axis=1) - self.numbers[3]).max())
        if self.kind == "region":
            return _outside_region(self.numbers, points)
        offset = points - self.numbers[:3]
        worst = -math.inf
        for axis in _full_axes(self.numbers[3:].reshape(3, 3)):
            length = float(np.linalg.norm(axis[0]))
            worst = max(worst, float(np.abs(offset @ (axis[0] / length)).max()) - axis[1])
        return worst


def _full_axes(axes: Floats) -> list[tuple[Floats, float]]:
    """Directions and half lengths of a box; where one axis has no length, the direction across the other two."""
    lengths = np.linalg.norm(axes, axis=1)
    full = [(axis, float(length)) for axis, length in zip(axes, lengths, strict=True) if length > 0.0]
    if len(full) == 2:
        full.append((np.cross(full[0][0], full[1][0]), 0.0))
    return full


def _outside_region(region: Floats, points: Floats) -> float:
    lon, lat, h = geodetic_from_ecef(points).T
    west, south, east, north = np.degrees(region[:4])
    radius = 6.371e6
    lon_off = np.maximum(west - lon, lon - east) * np.cos(np.radians(lat))
    sides = np.radians(np.maximum(lon_off, np.maximum(south - lat, lat - north))) * radius
    return float(np.maximum(sides, np.maximum(region[4] - h, h - region[5])).max())


@dataclass(slots=True)
class Walk:
    """What a check carries along: findings, columns met, tilesets above (against cycles).

    oids    one array per content that has an oid column and is drawn when all is loaded: not where children replace it
    """

    found: Findings
    home: Path
    oids: list[tuple[str, NDArray[np.object_]]] = field(default_factory=list)
    open_files: tuple[Path, ...] = ()

    def name(self, path: Path) -> str:
        """Path for messages, relative to the tileset's folder."""
        return str(path.relative_to(self.home)) if path.is_relative_to(self.home) else str(path)


def walk_tileset(path: Path, walk: Walk, matrix: Floats | None = None, above: tuple[Volume, ...] = ()) -> None:
    """Check the tileset at `path` and all it reaches; external tilesets are followed."""
    where = walk.name(path)
    if path in walk.open_files:
        walk.found.fault(where, "the tileset contains itself")
        return
    document = read_json(path, where, walk.found)
    if document is None:
        return
    found = walk.found
    found.checked += 1
    version = document.get("asset", {}).get("version")
    found.require(version in ("1.0", "1.1"), where, f"asset.version is {version!r}")
    _check_error(document, where, math.inf, found)
    check_extensions(document, where, found)
    root = document.get("root")
    if not found.require(isinstance(root, Mapping), where, "there is no root tile"):
        return
    found.require("refine" in root, where, "the root tile has no refine")
    walk.open_files = (*walk.open_files, path)
    stack = [(root, "root", np.eye(4) if matrix is None else matrix, above, float(document.get("geometricError", 0)))]
    while stack:
        tile, name, world, volumes, error = stack.pop()
        below = _tile(tile, (path, f"{where}#{name}"), (world, volumes, error), walk)
        children = tile.get("children", [])
        stack += [(child, f"{name}/{k}", *below) for k, child in reversed(list(enumerate(children)))]
    walk.open_files = walk.open_files[:-1]


def read_json(path: Path, where: str, found: Findings) -> Any:
    """The JSON at `path`; None where it is missing or broken, which is then a fault."""
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        found.fault(where, f"cannot be read ({error.strerror})")
    except ValueError as error:
        found.fault(where, f"is not JSON in UTF-8: {error}")
    return None


def _check_error(entry: Mapping[str, Any], where: str, above: float, found: Findings) -> float:
    told = entry.get("geometricError")
    error = float(told) if isinstance(told, int | float) else math.nan
    if not found.require(math.isfinite(error) and error >= 0.0, where, f"geometricError is {told!r}"):
        return above
    found.require(error <= above, where, f"geometricError {error} is larger than its parent's {above}")
    return error


def _tile(
    tile: Mapping[str, Any],
    names: tuple[Path, str],
    state: tuple[Floats, tuple[Volume, ...], float],
    walk: Walk,
) -> tuple[Floats, tuple[Volume, ...], float]:
    """Check one tile; (matrix, volumes, error) for its children."""
    (path, where), (world, above, limit), found = names, state, walk.found
    found.count("tiles")
    error = _check_error(tile, where, limit, found)
    refine = tile.get("refine", "ADD")
    found.require(refine in ("ADD", "REPLACE"), where, f"refine is {refine!r}; it is ADD or REPLACE")
    world = world @ _transform(tile, where, found)
    own = volume_of(tile.get("boundingVolume"), world, where, found)
    volumes = above if own is None else (*above, own)
    implicit = tile.get("implicitTiling")
    if implicit is not None:
        _implicit(tile, implicit, where, found)
        return world, volumes, error
    found.require(not ("content" in tile and "contents" in tile), where, "both content and contents")
    lasting = refine == "ADD" or not tile.get("children")
    for entry in tile.get("contents", [tile["content"]] if "content" in tile else []):
        _content(entry, path, (world, volumes, lasting), walk, where)
    return world, volumes, error


def _transform(tile: Mapping[str, Any], where: str, found: Findings) -> Floats:
    numbers = tile.get("transform")
    if numbers is None:
        return np.eye(4)
    matrix = np.array(numbers, dtype=np.float64)
    fine = matrix.shape == (16,) and bool(np.isfinite(matrix).all())
    if fine:
        matrix = matrix.reshape(4, 4).T
        fine = matrix[3].tolist() == [0.0, 0.0, 0.0, 1.0] and abs(np.linalg.det(matrix[:3, :3])) > 1e-12
    return matrix if found.require(fine, where, "transform is no invertible affine matrix of 16 numbers") else np.eye(4)


def volume_of(entry: Any, world: Floats, where: str, found: Findings) -> Volume | None:
    """The bounding volume as the tile's matrix places it; None and a fault where it is broken."""
    kinds = [kind for kind in _NUMBERS if isinstance(entry, Mapping) and kind in entry]
    if not kinds:
        if not (isinstance(entry, Mapping) and entry.get("extensions")):
            found.fault(where, "there is no boundingVolume of a known kind")
        return None
    kind = kinds[0]
    numbers = np.array(entry[kind], dtype=np.float64)
    fine = numbers.shape == (_NUMBERS[kind],) and bool(np.isfinite(numbers).all())
    if kind == "region" and fine:
        fine = bool(
            np.abs(numbers[:4]).max() <= math.pi + 1e-9 and numbers[1] <= numbers[3] and numbers[4] <= numbers[5]
        )
    if not found.require(fine, where, f"boundingVolume.{kind} is not valid: {entry[kind]}"):
        return None
    if kind == "region":
        return Volume(kind, numbers, where)
    turn = world[:3, :3]
    centre = turn @ numbers[:3] + world[:3, 3]
    if kind == "sphere":
        scale = float(np.linalg.norm(turn, axis=0).max())
        return Volume(kind, np.append(centre, numbers[3] * scale), where)
    axes = numbers[3:].reshape(3, 3) @ turn.T
    return Volume(kind, np.concatenate([centre, axes.reshape(-1)]), where)


def _implicit(tile: Mapping[str, Any], implicit: Mapping[str, Any], where: str, found: Findings) -> None:
    scheme = implicit.get("subdivisionScheme")
    found.require(scheme in ("QUADTREE", "OCTREE"), where, f"subdivisionScheme is {scheme!r}")
    for key in ("availableLevels", "subtreeLevels"):
        found.require(int(implicit.get(key, 0)) >= 1, where, f"{key} is {implicit.get(key)!r}")
    found.require("children" not in tile, where, "an implicit root has children")
    wanted = ["{level}", "{x}", "{y}", *(["{z}"] if scheme == "OCTREE" else [])]
    uris = [implicit.get("subtrees", {}).get("uri", "")]
    uris += [c.get("uri", "") for c in tile.get("contents", [tile["content"]] if "content" in tile else [])]
    for uri in uris:
        missing = [word for word in wanted if word not in uri]
        found.require(not missing, where, f"template {uri!r} lacks {' '.join(missing)}")
    found.remark(f"{where}: implicit tiling: structure only")


def _content(
    entry: Mapping[str, Any], path: Path, place: tuple[Floats, tuple[Volume, ...], bool], walk: Walk, where: str
) -> None:
    found, (world, volumes, lasting) = walk.found, place
    uri = entry.get("uri", "")
    if not found.require(uri and "://" not in uri and not uri.startswith("/"), where, f"content uri {uri!r}"):
        return
    file = path.parent / uri.partition("?")[0]
    if not found.require(file.is_file(), where, f"content {uri} does not exist"):
        return
    if "boundingVolume" in entry:
        own = volume_of(entry["boundingVolume"], world, where, found)
        volumes = volumes if own is None else (*volumes, own)
    with file.open("rb") as stream:
        magic = stream.read(4)
    if magic in _LEGACY:
        found.remark(f"{walk.name(file)}: {magic.decode()} is a legacy format and is not opened")
    elif file.suffix == ".json" and "root" in (read_json(file, walk.name(file), found) or {}):
        walk_tileset(file, walk, world, volumes)
    else:
        _gltf(file, (world, volumes, lasting), walk)


def _gltf(file: Path, place: tuple[Floats, tuple[Volume, ...], bool], walk: Walk) -> None:
    found, where, (world, volumes, lasting) = walk.found, walk.name(file), place
    found.checked += 1
    try:
        gltf = glb.read(file, where)
        points = check_gltf(gltf, found)
    except (SourceError, KeyError, TypeError) as error:
        found.fault(where, f"cannot be opened: {error}")
        return
    found.count("contents")
    if lasting and "oid" in _columns(gltf):
        # A table that does not open is told by check_gltf already.
        with contextlib.suppress(SourceError):
            walk.oids.append((where, read_table(gltf)["oid"]))
    if not len(points):
        return
    placed = points @ world[:3, :3].T + world[:3, 3]
    for volume in volumes:
        out = volume.outside(placed)
        found.require(out <= TOLERANCE, where, f"a vertex lies {out:.3f} m outside the volume of {volume.where}")


def _columns(gltf: glb.Gltf) -> Mapping[str, Any]:
    tables = gltf.document.get("extensions", {}).get("EXT_structural_metadata", {}).get("propertyTables", [])
    return tables[0].get("properties", {}) if tables else {}
