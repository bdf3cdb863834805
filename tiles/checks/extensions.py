"""Checks of what documents say of their extensions, and of two extensions of 3D Tiles.

source  OGC 22-025r4; glTF 2.0.1; Cesium 3DTILES_content_gltf, 3DTILES_bounding_volume_S2; S2 cell ids of Google's S2
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tiles.checks.findings import Findings

CONTENT_GLTF = "3DTILES_content_gltf"
S2 = "3DTILES_bounding_volume_S2"

_IMPLIED = ("KHR_mesh_quantization",)
_TOKEN = re.compile(r"[0-9a-fA-F]{1,16}")
_FACES, _ODD_BITS = 6, 0x1555555555555555
"""An id has three bits of a face of the cube, two bits a level, and then one bit that ends it."""


def check_extensions(document: Mapping[str, Any], where: str, found: Findings) -> None:
    """Every extension that occurs is declared as used, and every required one is used."""
    used, _ = _declared(document, where, found)
    occurring = set(_extensions(document, where, found))
    for name in sorted(occurring - used):
        found.fault(where, f"extension {name} occurs but is not in extensionsUsed", "EXTENSION_FOUND_BUT_NOT_USED")
    for name in sorted(used - occurring - {*_IMPLIED, CONTENT_GLTF}):
        found.remark(f"extension {name} is declared and does not occur [EXTENSION_USED_BUT_NOT_FOUND]")


def _declared(entry: Mapping[str, Any], where: str, found: Findings) -> tuple[set[str], set[str]]:
    """What is used and what is required, as two lists of a document say."""
    told = []
    for key in ("extensionsUsed", "extensionsRequired"):
        names = entry.get(key, [])
        found.require(names or key not in entry, where, f"{key} is empty", "ARRAY_LENGTH_MISMATCH")
        found.require(len(set(names)) == len(names), where, f"{key} names one twice", "ARRAY_ELEMENT_NOT_UNIQUE")
        told.append(set(names))
    for name in sorted(told[1] - told[0]):
        found.fault(where, f"extension {name} is required but not in extensionsUsed", "EXTENSION_REQUIRED_BUT_NOT_USED")
    return told[0], told[1]


def _extensions(node: Any, where: str, found: Findings) -> Iterator[str]:
    if isinstance(node, Mapping):
        told = node.get("extensions")
        if told is not None and found.require(
            isinstance(told, Mapping), where, f"extensions is {told!r:.40}, no table", "TYPE_MISMATCH"
        ):
            for name, value in told.items():
                found.require(isinstance(value, Mapping), where, f"extension {name} is no table", "TYPE_MISMATCH")
            yield from told
        for key, value in node.items():
            if key != "extras" and isinstance(value, Mapping | list):
                yield from _extensions(value, where, found)
    elif isinstance(node, list):
        for value in node:
            if isinstance(value, Mapping | list):
                yield from _extensions(value, where, found)


def check_content_gltf(document: Mapping[str, Any], gltf: bool, where: str, found: Findings) -> None:
    """What a tileset says of glTF as content, which has been of the standard since 1.1 only; `gltf`: there is some."""
    used, required = (set(document.get(key, [])) for key in ("extensionsUsed", "extensionsRequired"))
    version = document.get("asset", {}).get("version")
    if CONTENT_GLTF in used and not gltf:
        found.remark(f"{where}: {CONTENT_GLTF} is declared and no content is glTF [EXTENSION_USED_BUT_NOT_FOUND]")
    # A fault by the letter; clients show such tilesets all the same, and the standard's own samples have it.
    told = {"extensionsUsed": used, "extensionsRequired": required}
    lost = " and ".join(key for key, names in told.items() if CONTENT_GLTF not in names)
    if version == "1.0" and gltf and lost:
        found.remark(f"{where}: a tileset of version 1.0 has glTF for content; name {CONTENT_GLTF} in {lost}")
    own = document.get("extensions")
    own = own.get(CONTENT_GLTF) if isinstance(own, Mapping) else None
    if isinstance(own, Mapping):
        _declared(own, f"{where}: {CONTENT_GLTF}", found)


def check_s2(told: Mapping[str, Any], where: str, found: Findings) -> None:
    """A bounding volume that is a cell of S2 between two heights."""
    lost = [key for key in ("token", "minimumHeight", "maximumHeight") if key not in told]
    if lost:
        found.fault(where, f"{S2} has no {', '.join(lost)}", "PROPERTY_MISSING")
        return
    token, low, high = told["token"], told["minimumHeight"], told["maximumHeight"]
    fine = [isinstance(v, int | float) and not isinstance(v, bool) for v in (low, high)] + [isinstance(token, str)]
    if not found.require(all(fine), where, f"{S2} has token {token!r}, heights {low!r}, {high!r}", "TYPE_MISMATCH"):
        return
    found.require(low <= high, where, f"{S2}: height {low} is above {high}", "BOUNDING_VOLUME_INVALID")
    found.require(_is_cell(token), where, f"{S2}: {token!r} is no token of a cell", "S2_TOKEN_INVALID")


def _is_cell(token: str) -> bool:
    if not _TOKEN.fullmatch(token):
        return False
    cell = int(token.ljust(16, "0"), 16)
    return cell >> 61 < _FACES and cell & -cell & _ODD_BITS != 0
