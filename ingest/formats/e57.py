"""E57 point clouds through libe57 (pye57): every scan by its pose, its colours, invalid points left out.

source  ASTM E2807-11 (2019), Standard Specification for 3D Imaging Data Exchange
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from ingest.formats.cloud import CloudHead, RawPoints, corners_of, damaged
from twin.errors import SourceError

_CARTESIAN = ("cartesianX", "cartesianY", "cartesianZ")
_SPHERICAL = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
_COLOURS = ("colorRed", "colorGreen", "colorBlue")
_STATES = ("cartesianInvalidState", "sphericalInvalidState")
_LOOK = 100_000


def read_head(path: Path, shown: str) -> CloudHead:
    """Points of all scans, whether all have colours, the CRS of `coordinateMetadata`, corners of the first points."""
    from pye57 import libe57

    with damaged(shown, _errors()):
        file = libe57.ImageFile(str(path), "r")
        try:
            scans = [_scan(file, index) for index in range(len(file.root()["data3D"]))]
            count = sum(scan.point_count for scan in scans)
            coloured = bool(scans) and all(set(_COLOURS) <= set(scan.point_fields) for scan in scans)
            crs = _own_crs(file.root())
        finally:
            file.close()
    first = next(read_chunks(path, shown, _LOOK), None)
    return CloudHead(count, coloured, crs, np.zeros((2, 2)) if first is None else corners_of(first.xyz))


def read_chunks(path: Path, shown: str, size: int) -> Iterator[RawPoints]:
    """The points of all scans in the system of the file, `size` at a time, in the order of the file."""
    from pye57 import libe57

    errors = _errors()
    with damaged(shown, errors):
        file = libe57.ImageFile(str(path), "r")
    try:
        for index in range(len(file.root()["data3D"])):
            with damaged(shown, errors):
                scan = _scan(file, index)
                chunks = _chunks(file, scan, size, shown)
            read = 0
            while True:
                with damaged(shown, errors):
                    points = next(chunks, None)
                if points is None:
                    break
                read += points.read
                yield points
            if read != scan.point_count:
                raise SourceError(f"{shown}: {read} of {scan.point_count} points in scan {index}; ask for it again")
    finally:
        file.close()


def _errors() -> tuple[type[Exception], ...]:
    """What libe57 raises, and what its Python side does where a node is of another kind than the standard says."""
    from pye57 import libe57

    return (libe57.E57Exception, RuntimeError, OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError)


def _scan(file: Any, index: int) -> Any:
    from pye57 import ScanHeader

    return ScanHeader(file.root()["data3D"][index])


def _chunks(file: Any, scan: Any, size: int, shown: str) -> Iterator[RawPoints]:
    from pye57 import libe57

    have = set(scan.point_fields)
    place = next((names for names in (_CARTESIAN, _SPHERICAL) if set(names) <= have), None)
    if place is None:
        raise SourceError(f"{shown}: a scan has neither cartesian nor spherical coordinates; save it again")
    colours = _COLOURS if set(_COLOURS) <= have else ()
    others = tuple(name for name in (*_STATES, "classification") if name in have)
    kinds = dict.fromkeys(place, "d") | dict.fromkeys(colours, "H") | dict.fromkeys(others, "H")
    capacity = max(1, min(size, scan.point_count))
    arrays = {name: np.empty(capacity, kind) for name, kind in kinds.items()}
    buffers = libe57.VectorSourceDestBuffer()
    for name, array in arrays.items():
        buffers.append(libe57.SourceDestBuffer(file, name, array, capacity, True, True))
    turn, move = _pose(scan)
    reader = scan.points.reader(buffers)
    try:
        while n := reader.read():
            good = np.ones(n, dtype=bool)
            for name in _STATES:
                good &= arrays[name][:n] == 0 if name in arrays else True
            xyz = np.column_stack([arrays[name][:n][good] for name in place])
            xyz = (_cartesian(xyz) if place is _SPHERICAL else xyz) @ turn.T + move
            rgb = np.column_stack([arrays[name][:n][good] for name in colours]) if colours else None
            classes = np.zeros(len(xyz), dtype=np.uint8)
            if "classification" in arrays:
                classes = np.minimum(arrays["classification"][:n][good], 255).astype(np.uint8)
            yield RawPoints(xyz, classes, rgb, n)
    finally:
        reader.close()


def _pose(scan: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation matrix (3, 3) and translation (3,) of the scan into the system of the file; identity without a pose."""
    turn, move = np.eye(3), np.zeros(3)
    if not scan.node.isDefined("pose"):
        return turn, move
    pose = scan.node["pose"]
    if pose.isDefined("translation"):
        move = np.array([pose["translation"][axis].value() for axis in "xyz"])
    if pose.isDefined("rotation"):
        q = np.array([pose["rotation"][part].value() for part in "wxyz"])
        if not 0.5 < np.linalg.norm(q) < 2.0:
            raise ValueError("the rotation of a scan is no unit quaternion")
        w, x, y, z = q / np.linalg.norm(q)
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
    return turn, move


def _cartesian(rae: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) of range (m), azimuth and elevation (rad, from the horizontal plane up)."""
    reach, azimuth, elevation = rae.T
    flat = reach * np.cos(elevation)
    return np.column_stack([flat * np.cos(azimuth), flat * np.sin(azimuth), reach * np.sin(elevation)])


def _own_crs(root: Any) -> str:
    stated = str(root["coordinateMetadata"].value()).strip() if root.isDefined("coordinateMetadata") else ""
    if not stated:
        return ""
    try:
        return str(pyproj.CRS.from_user_input(stated).to_string())
    except pyproj.exceptions.CRSError:
        return ""
