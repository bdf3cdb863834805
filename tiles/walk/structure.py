"""Checks of the JSON of a tileset: its head, its metadata, and one tile at a time.

source  OGC 22-025r4, 3D Tiles 1.1
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tiles.checks.extensions import CONTENT_GLTF, S2, check_extensions, check_s2
from tiles.checks.findings import Findings
from tiles.checks.schema import check_entity, check_schema
from tiles.scheme.volumes import NUMBERS, Floats, Volume, placed, volume_kinds

REFINES = ("ADD", "REPLACE")
_VERSIONS = ("1.0", "1.1")
_KNOWN = (
    CONTENT_GLTF, "3DTILES_metadata", "3DTILES_implicit_tiling", "3DTILES_multiple_contents",
    S2, "3DTILES_bounding_volume_cylinder", "3DTILES_ellipsoid",
    "3DTILES_content_conditional", "3DTILES_content_voxels",
)  # fmt: skip
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_WHOLE_TURN, _FLAT = 1e-9, 1e-9


def check_head(document: Mapping[str, Any], schema: Mapping[str, Any] | None, where: str, found: Findings) -> None:
    """Version, extensions, schema, metadata, groups and statistics of a tileset document."""
    if found.require("asset" in document, where, "there is no asset", "PROPERTY_MISSING"):
        version = document["asset"].get("version")
        found.require(version in _VERSIONS, where, f"asset.version is {version!r}", "ASSET_VERSION_UNKNOWN")
        found.require(
            "gltfUpAxis" not in document["asset"], where, "asset.gltfUpAxis is gone since 1.0", "DISALLOWED_VALUE_FOUND"
        )
    check_extensions(document, where, found)
    for name in document.get("extensionsRequired", []):
        if name not in _KNOWN:
            found.remark(f"{where}: extension {name} is required and not known here [EXTENSION_NOT_SUPPORTED]")
    found.require(
        not ("schema" in document and "schemaUri" in document), where, "both schema and schemaUri", "ONE_OF_ERROR"
    )
    if schema is not None:
        check_schema(schema, where, found)
    if "metadata" in document:
        check_entity(document["metadata"], schema, f"{where}: metadata", found)
    for k, entity in enumerate(document.get("groups", [])):
        check_entity(entity, schema, f"{where}: groups[{k}]", found)
    _statistics(document.get("statistics", {}), schema, where, found)
    for name, limits in document.get("properties", {}).items():
        fine = limits.get("minimum", math.inf) <= limits.get("maximum", -math.inf)
        found.require(fine, where, f"properties.{name} has no minimum below its maximum", "VALUE_NOT_IN_RANGE")


def _statistics(told: Mapping[str, Any], schema: Mapping[str, Any] | None, where: str, found: Findings) -> None:
    classes = (schema or {}).get("classes", {})
    found.require(told.get("classes", True), where, "statistics.classes is empty", "NUMBER_OF_PROPERTIES_MISMATCH")
    for name, entry in told.get("classes", {}).items():
        if not found.require(name in classes, where, f"statistics of no class {name!r}", "IDENTIFIER_NOT_FOUND"):
            continue
        filled = entry.get("properties", True)
        found.require(filled, where, f"statistics of {name} name no property", "NUMBER_OF_PROPERTIES_MISMATCH")
        known = classes[name].get("properties", {})
        strange = sorted(set(entry.get("properties", {})) - set(known))
        found.require(
            not strange, where, f"statistics of no property {', '.join(strange)} of {name}", "IDENTIFIER_NOT_FOUND"
        )
        count = entry.get("count", 0)
        found.require(count >= 0, where, f"count is {count!r}", "VALUE_NOT_IN_RANGE")


def check_error(entry: Mapping[str, Any], where: str, above: float, found: Findings) -> float:
    """The geometric error (m) of a tile or tileset, `above` being that of what it refines."""
    told = entry.get("geometricError")
    number = isinstance(told, int | float) and not isinstance(told, bool)
    error = float(told) if number and told is not None else math.nan
    if not found.require(told is not None, where, "there is no geometricError", "PROPERTY_MISSING"):
        return above
    if not found.require(
        math.isfinite(error) and error >= 0.0, where, f"geometricError is {told!r}", "VALUE_NOT_IN_RANGE"
    ):
        return above
    found.require(
        error <= above,
        where,
        f"geometricError {error} is larger than its parent's {above}",
        "TILE_GEOMETRIC_ERRORS_INCONSISTENT",
    )
    return error


def check_refine(tile: Mapping[str, Any], where: str, above: str, found: Findings) -> str:
    """ADD or REPLACE; a tile that does not say takes its parent's, "" standing for no parent."""
    refine = tile.get("refine")
    if refine is None:
        found.require(above, where, "the root tile has no refine", "TILE_REFINE_MISSING_IN_ROOT")
        return above or "ADD"
    if refine in REFINES:
        return str(refine)
    wrong_case = isinstance(refine, str) and refine.upper() in REFINES
    found.fault(where, f"refine is {refine!r}", "TILE_REFINE_WRONG_CASE" if wrong_case else "VALUE_NOT_IN_LIST")
    return str(refine).upper() if wrong_case else above or "ADD"


def check_transform(tile: Mapping[str, Any], where: str, found: Findings) -> Floats:
    """The tile's own matrix (4, 4), the identity where it has none or a broken one."""
    told = tile.get("transform")
    if told is None:
        return np.eye(4)
    matrix = _numbers(told, 16)
    fine = matrix is not None
    if matrix is not None:
        matrix = matrix.reshape(4, 4).T
        fine = matrix[3].tolist() == [0.0, 0.0, 0.0, 1.0]
        if flat(matrix):
            found.count("flat_transforms")
    found.require(fine, where, "transform is no affine matrix of 16 numbers", "TRANSFORM_INVALID")
    return matrix if fine and matrix is not None else np.eye(4)


def flat(matrix: Floats) -> bool:
    """Whether a matrix (4, 4) has no inverse."""
    scale = float(np.abs(matrix[:3, :3]).max())
    return scale == 0.0 or abs(float(np.linalg.det(matrix[:3, :3] / scale))) <= _FLAT


def _numbers(told: Any, n: int) -> Floats | None:
    if not isinstance(told, list) or len(told) != n:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in told):
        return None
    return np.array(told, dtype=np.float64)


def check_volume(entry: Any, world: Floats, where: str, found: Findings) -> Volume | None:
    """The bounding volume as the tile's matrix places it; None and a fault where it is broken."""
    kinds = volume_kinds(entry)
    if not kinds:
        told = entry.get("extensions") if isinstance(entry, Mapping) else None
        if isinstance(told, Mapping) and isinstance(told.get(S2), Mapping):
            check_s2(told[S2], where, found)
        if told:
            found.remark(f"{where}: a bounding volume by extension is not checked")
        else:
            found.fault(where, "there is no boundingVolume of a known kind", "BOUNDING_VOLUME_INVALID")
        return None
    found.require(len(kinds) == 1, where, f"boundingVolume has {' and '.join(kinds)}", "BOUNDING_VOLUME_INVALID")
    kind = kinds[0]
    numbers = _numbers(entry[kind], NUMBERS[kind])
    fine = numbers is not None
    if numbers is not None and kind == "region":
        fine = np.abs(numbers[[0, 2]]).max() <= math.pi + _WHOLE_TURN
        fine = fine and np.abs(numbers[[1, 3]]).max() <= math.pi / 2 + _WHOLE_TURN
        fine = fine and numbers[1] <= numbers[3] and numbers[4] <= numbers[5]
    if numbers is not None and kind == "sphere":
        fine = numbers[3] >= 0.0
    if not found.require(fine, where, f"boundingVolume.{kind} is not valid: {entry[kind]}", "BOUNDING_VOLUME_INVALID"):
        return None
    assert numbers is not None
    return placed(kind, numbers, world, where)


def contents_of(tile: Mapping[str, Any], where: str, found: Findings) -> list[Mapping[str, Any]]:
    """The contents of a tile; one that has no uri is told and left out."""
    found.require(not ("content" in tile and "contents" in tile), where, "both content and contents", "ONE_OF_ERROR")
    kept = []
    for entry in tile.get("contents", [tile["content"]] if "content" in tile else []):
        uri = entry.get("uri", entry.get("url"))
        if found.require(uri, where, f"content uri is {uri!r}", "PROPERTY_MISSING"):
            if "uri" not in entry:
                found.remark(f"{where}: content.url is of 3D Tiles 0.0; it is uri since 1.0")
            kept.append({**entry, "uri": uri})
    return kept


def check_tile_metadata(
    tile: Mapping[str, Any], schema: Mapping[str, Any] | None, groups: int, where: str, found: Findings
) -> None:
    """Metadata of a tile and its contents, and the groups that these are of."""
    if "metadata" in tile:
        check_entity(tile["metadata"], schema, f"{where}: metadata", found)
    for entry in tile.get("contents", [tile.get("content", {})]):
        if "metadata" in entry:
            check_entity(entry["metadata"], schema, f"{where}: content metadata", found)
        if "group" in entry:
            known = 0 <= entry["group"] < groups
            found.require(known, where, f"there is no group {entry['group']!r}", "IDENTIFIER_NOT_FOUND")


def check_implicit_root(tile: Mapping[str, Any], where: str, found: Findings) -> bool:
    """Everything that an implicit root promises; False where it cannot be walked."""
    implicit = tile["implicitTiling"]
    before = len(found.faults)
    scheme = implicit.get("subdivisionScheme")
    found.require(scheme in ("QUADTREE", "OCTREE"), where, f"subdivisionScheme is {scheme!r}", "IMPLICIT_TILING_ERROR")
    for key in ("availableLevels", "subtreeLevels"):
        told = implicit.get(key)
        found.require(told is not None and 1 <= told <= 32, where, f"{key} is {told!r}", "IMPLICIT_TILING_ERROR")
    kinds = volume_kinds(tile.get("boundingVolume"))
    found.require(
        "sphere" not in kinds, where, "the volume of an implicit root is a sphere", "TILE_IMPLICIT_ROOT_INVALID"
    )
    walkable = len(found.faults) == before and bool(kinds)
    found.require("children" not in tile, where, "an implicit root has children", "TILE_IMPLICIT_ROOT_INVALID")
    found.require("metadata" not in tile, where, "an implicit root has metadata", "TILE_IMPLICIT_ROOT_INVALID")
    contents = tile.get("contents", [tile["content"]] if "content" in tile else [])
    for entry in contents:
        found.require(
            "boundingVolume" not in entry,
            where,
            "the content of an implicit root has a boundingVolume",
            "TILE_IMPLICIT_ROOT_INVALID",
        )
    uris = [implicit.get("subtrees", {}).get("uri"), *(entry.get("uri") for entry in contents)]
    names = ["level", "x", "y", *(["z"] if scheme == "OCTREE" else [])]
    return all(_template(uri, names, where, found) for uri in uris) and walkable


def _template(uri: Any, names: list[str], where: str, found: Findings) -> bool:
    if not found.require(uri, where, f"template uri is {uri!r}", "IMPLICIT_TILING_ERROR"):
        return False
    given = set(_VARIABLE.findall(uri))
    missing, strange = [n for n in names if n not in given], sorted(given - set(names))
    fine = found.require(
        not missing, where, f"template {uri!r} lacks {' '.join(missing)}", "TEMPLATE_URI_MISSING_VARIABLE_NAME"
    )
    return (
        found.require(
            not strange, where, f"template {uri!r} names {' '.join(strange)}", "TEMPLATE_URI_INVALID_VARIABLE_NAME"
        )
        and fine
    )
