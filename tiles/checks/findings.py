"""What a check found: one line per fault with its remedy, gathered into a Report.

source  names of issues: CesiumGS/3d-tiles-validator 0.6.1 where it has one for the matter, ours where it has none
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twin.outcome import Outcome, Report

REMEDIES: Mapping[str, str] = {
    "IO_ERROR": "put the file there or correct the reference",
    "JSON_PARSE_ERROR": "write JSON in UTF-8 without byte order mark",
    "TYPE_MISMATCH": "write the type that the standard asks for",
    "PROPERTY_MISSING": "write the property",
    "ARRAY_LENGTH_MISMATCH": "write as many elements as the standard asks for",
    "ARRAY_ELEMENT_NOT_UNIQUE": "name each once",
    "NUMBER_OF_PROPERTIES_MISMATCH": "leave an empty table out",
    "VALUE_NOT_IN_LIST": "write one of the words of the standard",
    "VALUE_NOT_IN_RANGE": "write a number in range",
    "STRING_PATTERN_MISMATCH": "use letters, digits and _ for ids, other words go into name",
    "ONE_OF_ERROR": "keep one of them",
    "IDENTIFIER_NOT_FOUND": "declare it or name one that is declared",
    "DISALLOWED_VALUE_FOUND": "leave it out",
    "ASSET_VERSION_UNKNOWN": 'write "1.1"',
    "TILE_REFINE_WRONG_CASE": "write ADD or REPLACE in capitals",
    "TILE_REFINE_MISSING_IN_ROOT": "write refine in the root tile",
    "TILE_GEOMETRIC_ERRORS_INCONSISTENT": "a tile's error is at most that of the tile above",
    "TILE_IMPLICIT_ROOT_INVALID": "an implicit root has templates and nothing else",
    "BOUNDING_VOLUME_INVALID": "write one valid box, region or sphere",
    "BOUNDING_VOLUMES_INCONSISTENT": "grow the outer volume or shrink the inner one",
    "S2_TOKEN_INVALID": "write the token that a library of S2 gives for the cell",
    "TRANSFORM_INVALID": "write 16 numbers column by column, last row 0 0 0 1",
    "CONTENT_VALIDATION_ERROR": "write the content again",
    "EXTENSION_FOUND_BUT_NOT_USED": "name it in extensionsUsed",
    "EXTENSION_REQUIRED_BUT_NOT_USED": "name it in extensionsUsed too",
    "EXTENSION_REQUIRED_BUT_NOT_DECLARED": "name it in extensionsRequired: there is no fallback",
    "IMPLICIT_TILING_ERROR": "see OGC 22-025r4, implicit tiling",
    "TEMPLATE_URI_MISSING_VARIABLE_NAME": "name level, x, y (and z of an octree) in the template",
    "TEMPLATE_URI_INVALID_VARIABLE_NAME": "name only level, x, y (and z of an octree) in the template",
    "SUBTREE_AVAILABILITY_INCONSISTENT": "write the availability that the files have",
    "BUFFERS_INCONSISTENT": "write the views within their buffers",
    "BINARY_INVALID": "write the file again",
    "BINARY_INVALID_VALUE": "write the file again",
    "BINARY_INVALID_LENGTH": "correct the lengths in the header",
    "BINARY_INVALID_ALIGNMENT": "pad to the alignment of the format",
    "METADATA_INVALID_LENGTH": "write as many bytes as the values take",
    "METADATA_INVALID_ALIGNMENT": "start the view at a multiple of the component's size",
    "METADATA_INVALID_OFFSETS": "offsets rise from 0 to the length of the data",
    "METADATA_VALUE_NOT_IN_RANGE": "correct the value or the declared range",
    "METADATA_VALUE_MISMATCH": "write the minimum and maximum of the values",
    "METADATA_VALUE_REQUIRED_BUT_MISSING": "give a value, or declare a default or required: false",
    "METADATA_SEMANTIC_INVALID": "give the property the type that its semantic asks for",
    "CLASS_PROPERTY_COMPONENT_TYPE_MISSING": "declare componentType",
    "CLASS_PROPERTY_COMPONENT_TYPE_FOR_NON_NUMERIC_TYPE": "leave componentType out",
    "CLASS_PROPERTY_ENUM_TYPE_WITHOUT_ENUMTYPE": "declare enumType",
    "CLASS_PROPERTY_ENUMTYPE_WITH_NON_ENUM_TYPE": "leave enumType out",
    "CLASS_PROPERTY_ENUMTYPE_NOT_FOUND": "declare the enum",
    "CLASS_PROPERTY_COUNT_FOR_NON_ARRAY": "leave count out or say array: true",
    "CLASS_PROPERTY_NORMALIZED_FOR_NON_NORMALIZABLE_TYPE": "leave normalized out",
    "CLASS_PROPERTY_INCONSISTENT": "a required property has neither noData nor default, a BOOLEAN no noData",
    "METADATA_PROPERTY_INVALID_FOR_VARIABLE_LENGTH_ARRAY": "leave it out or give the array a count",
    "CLASS_PROPERTIES_DUPLICATE_SEMANTIC": "give each semantic to one property",
    "METADATA_OFFSET_SCALE_FOR_NON_FLOATING_POINT_TYPE": "leave offset and scale out",
    "METADATA_MIN_MAX_FOR_NON_NUMERIC_TYPE": "leave min and max out",
    "ENUM_VALUE_DUPLICATE_NAME": "give each value a name of its own",
    "ENUM_VALUE_DUPLICATE_VALUE": "give each name a value of its own",
    "GLTF_INVALID": "write the glTF again",
    "INVALID_GLTF_STRUCTURE": "write the glTF as its extension asks",
    "FEATURE_COUNT_MISMATCH": "write the number of different ids, at least",
    "INVALID_METADATA_PROPERTY_TYPE": "give the property a type that fits",
    "TEXTURE_CHANNELS_OUT_OF_RANGE": "name channels that the texture has",
    # What 3d-tiles-validator has no name for.
    "CONTENT_OUTSIDE_VOLUME": "take the volume from the final vertices",
    "HOLE_UNDER_REPLACE": "give every part of a replaced content a child that shows it",
    "OBJECT_LOST_UNDER_REPLACE": "write the object into a tile below",
    "LEAF_ERROR_NOT_ZERO": "write geometricError 0 where nothing finer follows",
    "ERROR_TOO_SMALL": "declare at least the measured distance",
    "TILESET_CYCLE": "a tileset may not contain itself",
    "ARCHIVE_INVALID": "write the archive again, its index last",
    "SHELF_INVALID": "publish the tiles again",
    "TERRAIN_INVALID": "publish the terrain again",
}
"""Name of an issue -> what to do about it."""

BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Findings:
    """Faults and remarks of one check, in the order they were met; `checked` counts the things that were opened."""

    stage: str
    checked: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def fault(self, where: str, reason: str, issue: str = "") -> None:
        """Something is wrong in `where`; the name of the issue brings its remedy."""
        self.faults.append((where, f"{reason} [{issue}]; {REMEDIES[issue]}" if issue else reason))

    def require(self, holds: object, where: str, reason: str, issue: str = "") -> bool:
        """True where the claim holds; else the fault is kept."""
        if not holds:
            self.fault(where, reason, issue)
        return bool(holds)

    def remark(self, text: str) -> None:
        """Something a reader should know that is no fault; the same words are kept once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def count(self, key: str, n: int = 1) -> None:
        """Add to a figure."""
        self.figures[key] = self.figures.get(key, 0) + n

    def take(self, other: Findings) -> None:
        """Add what another check found."""
        self.checked += other.checked
        self.faults += other.faults
        for text in other.remarks:
            self.remark(text)
        for key, n in other.figures.items():
            self.count(key, n)

    def report(self) -> Report:
        """The report: one failed outcome per fault."""
        faulty = {where for where, _ in self.faults}
        return Report(
            self.stage,
            max(0, self.checked - len(faulty)),
            tuple(Outcome(where, "failed", reason, self.stage) for where, reason in self.faults),
            dict(sorted(self.figures.items())),
            tuple(self.remarks),
        )


def load_json(path: Path, where: str, found: Findings) -> Any:
    """The JSON of a file of our own; None where it is missing or broken, which is then a fault."""
    try:
        return parsed(path.read_bytes(), where, found)
    except OSError as error:
        found.fault(where, f"cannot be read ({error.strerror})", "IO_ERROR")
        return None


def parsed(data: bytes, where: str, found: Findings) -> Any:
    """JSON of bytes; None where it is broken, which is then a fault."""
    found.require(not data.startswith(BOM), where, "starts with a byte order mark", "JSON_PARSE_ERROR")
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        found.fault(where, f"is not JSON in UTF-8: {error}", "JSON_PARSE_ERROR")
        return None
