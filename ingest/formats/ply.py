"""PLY point clouds: text and both binary orders, any order of properties, read as a stream of vertices.

source  Turk, The PLY Polygon File Format (1994); property names as CloudCompare, MeshLab and Open3D write them
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ingest.formats.cloud import CloudHead, RawPoints, corners_of, damaged
from twin.errors import SourceError

_HEAD_LIMIT = 65_536
_LOOK = 100_000
_DIGITS = 24
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_COLOURS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
_CLASSES = ("classification", "class", "scalar_classification", "label", "scalar_label")
_ERRORS = (ValueError, OverflowError, OSError)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the vertices lie: byte order ("" for text), first byte or line, count, dtype with names in lower case."""

    order: str
    start: int
    skip: int
    count: int
    dtype: np.dtype[Any]

    def names(self, *choices: tuple[str, ...]) -> tuple[str, ...]:
        """The first of the choices that is there whole."""
        have = self.dtype.names or ()
        return next((names for names in choices if set(names) <= set(have)), ())

    @property
    def colours(self) -> tuple[str, ...]:
        return self.names(*_COLOURS)


def read_head(path: Path, shown: str) -> CloudHead:
    """What the header says, and the corners of the first points; SourceError for what is no PLY of points."""
    layout = _layout(path, shown)
    first = next(read_chunks(path, shown, _LOOK), None)
    corners = np.zeros((2, 2)) if first is None else corners_of(first.xyz)
    return CloudHead(layout.count, bool(layout.colours), "", corners)


def read_chunks(path: Path, shown: str, size: int) -> Iterator[RawPoints]:
    """The vertices, `size` at a time; SourceError where fewer lie in the file than it promises."""
    layout = _layout(path, shown)
    left = layout.count
    with path.open("rb") as file:
        file.seek(layout.start)
        blocks = _binary(file, layout, size) if layout.order else _text(file, layout, size)
        while left:
            with damaged(shown, _ERRORS):
                rows = next(blocks, None)
            if rows is None or not len(rows):
                break
            left -= len(rows)
            yield _points(rows, layout)
    if left:
        raise SourceError(f"{shown}: {layout.count - left} points of {layout.count} in the file; ask for it again")


def _layout(path: Path, shown: str) -> _Layout:
    with path.open("rb") as file:
        head = file.read(_HEAD_LIMIT)
    lines, start = _head_lines(head, shown)
    order, elements = "?", []
    for words in lines:
        if words[0] == "format" and len(words) > 1:
            order = _ORDERS.get(words[1], "?")
        elif words[0] == "element" and len(words) == 3 and words[2].isdigit():
            # More digits than any file has bytes are no number to work with.
            elements.append((words[1], int(words[2][:_DIGITS]), []))
        elif words[0] == "property" and elements and len(words) >= 3:
            elements[-1][2].append(tuple(words[1:]))
    if order == "?":
        raise SourceError(f"{shown}: the format of the PLY is none of {', '.join(_ORDERS)}")
    layout = _vertices(elements, order, start, shown)
    # Text has a digit and a blank for each number, and a byte for each line before the vertices.
    width = layout.dtype.itemsize if order else 2 * len(layout.dtype)
    if path.stat().st_size + 1 < layout.start + layout.skip + layout.count * width:
        raise SourceError(f"{shown}: the point cloud is cut short ({layout.count} points promised); ask for it again")
    return layout


def _head_lines(head: bytes, shown: str) -> tuple[list[list[str]], int]:
    lines, start = [], 0
    while True:
        end = head.find(b"\n", start)
        if end < 0:
            raise SourceError(f"{shown}: the header of the PLY does not end; the file is damaged, ask for it again")
        words = head[start:end].decode("ascii", errors="replace").split()
        start = end + 1
        if words[:1] == ["end_header"]:
            return lines, start
        if words and words[0] not in ("comment", "obj_info"):
            lines.append(words)


def _vertices(elements: list[tuple[str, int, list[tuple[str, ...]]]], order: str, start: int, shown: str) -> _Layout:
    skip = 0
    for name, count, properties in elements:
        listed = any(words[0] == "list" for words in properties)
        if name == "vertex":
            unknown = [words for words in properties if words[0] not in _TYPES]
            if unknown:
                raise SourceError(f"{shown}: property {' '.join(unknown[0])!r} of a vertex is no number; save it again")
            pairs = [(words[1].lower(), (order or "<") + _TYPES[words[0]]) for words in properties]
            names = [pair[0] for pair in pairs]
            if len(set(names)) != len(names) or not {"x", "y", "z"} <= set(names):
                raise SourceError(f"{shown}: the vertices want one x, y and z; they have {', '.join(names) or 'none'}")
            return _Layout(order, start, skip, count, np.dtype(pairs))
        if not order:
            skip += count
        elif listed:
            raise SourceError(f"{shown}: lists ({name}) stand before the vertices; save it with the vertices first")
        else:
            start += count * np.dtype([(w[1], _TYPES.get(w[0], "u1")) for w in properties]).itemsize
    raise SourceError(f"{shown}: the PLY has no element vertex")


def _binary(file: BinaryIO, layout: _Layout, size: int) -> Iterator[NDArray[Any]]:
    for first in range(0, layout.count, size):
        yield np.fromfile(file, layout.dtype, count=min(size, layout.count - first))


def _text(file: BinaryIO, layout: _Layout, size: int) -> Iterator[NDArray[Any]]:
    names = layout.dtype.names or ()
    for _ in range(layout.skip):
        file.readline()
    for first in range(0, layout.count, size):
        n = min(size, layout.count - first)
        with warnings.catch_warnings():
            # Where a word is no number numpy warns and stops; the vertices that are then missing are counted.
            warnings.simplefilter("ignore", DeprecationWarning)
            numbers = np.fromfile(file, np.float64, count=n * len(names), sep=" ")
        table = numbers[: len(numbers) // len(names) * len(names)].reshape(-1, len(names))
        rows = np.zeros(len(table), layout.dtype)
        for column, name in enumerate(names):
            rows[name] = _fitting(table[:, column], layout.dtype[name])
        yield rows


def _fitting(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """The values within what a type holds: text may promise a byte and say 300."""
    if dtype.kind == "f":
        return values
    info = np.iinfo(dtype)
    return np.clip(np.nan_to_num(values), info.min, info.max)


def _points(rows: NDArray[Any], layout: _Layout) -> RawPoints:
    xyz = np.column_stack([rows[name].astype(np.float64) for name in "xyz"])
    named = layout.names(*((name,) for name in _CLASSES))
    classes = np.zeros(len(rows), dtype=np.uint8)
    if named:
        # A label above 255 or below 0 is no ASPRS class.
        found = rows[named[0]].astype(np.float64)
        classes = np.where((found >= 0.0) & (found <= 255.0), found, 0.0).astype(np.uint8)
    return RawPoints(xyz, classes, _colours(rows, layout), len(rows))


def _colours(rows: NDArray[Any], layout: _Layout) -> NDArray[Any] | None:
    if not layout.colours:
        return None
    rgb = np.column_stack([rows[name] for name in layout.colours])
    if rgb.dtype.kind == "f":
        return np.round(np.clip(rgb, 0.0, 1.0) * 255.0).astype(np.uint8)
    return rgb.astype(np.uint8 if rgb.dtype.itemsize == 1 else np.uint16)
