"""Where a survey mesh stands: a declared matrix or origin, or the metadata.xml of a tilted-photography delivery."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyproj
from numpy.typing import NDArray

from ingest.conform import accepts_ballpark, crs_of, datum_steps, naming, vertical_shift
from ingest.reading import Delivery
from twin.errors import SourceError
from twin.frames import Frame, to_frame

Points = NDArray[np.float64]

SIDECAR = "metadata.xml"
_SIDECAR_LIMIT = 2**20
_ABOVE = 3
_ENU = re.compile(r"ENU:\s*([-+.\d]+)\s*,\s*([-+.\d]+)\s*")
_Y_UP = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


@dataclass(frozen=True, slots=True)
class Georeference:
    """The way from the numbers of a file to the frame.

    matrix  (4, 4) f8, numbers of the file -> numbers in `crs`, or east, north, up about `tangent`
    crs     CRS of the result
    tangent (longitude, latitude) degrees of a local tangent plane on the WGS 84 ellipsoid, None where there is none
    shift   metres added to heights
    steps   what was done, for the lineage
    """

    matrix: Points
    crs: str
    shift: float
    accept_ballpark: bool
    tangent: tuple[float, float] | None = None
    steps: tuple[str, ...] = field(default=())

    def place(self, points: Points, frame: Frame, shown: str) -> Points:
        """Points (n, 3) f8 of the file in the frame, m; SourceError where the numbers cannot be in the CRS."""
        there = points @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        if self.tangent is not None:
            there = _from_tangent(there, self.tangent)
        with naming(shown):
            xy = to_frame(there[:, :2], self.crs, frame, self.accept_ballpark)
        return np.column_stack([xy, there[:, 2] + self.shift])


def georeference_of(path: Path, delivery: Delivery, frame: Frame) -> Georeference:
    """The georeference of a mesh file: up axis, unit, then matrix, origin or sidecar, then CRS and height datum.

    raises  SourceError for a declaration that is none, or a file without CRS
    """
    extra, shown = delivery.source.extra, delivery.shown(path)
    up = str(extra.get("up", "y" if path.suffix.lower() in (".glb", ".gltf") else "z"))
    if up not in ("y", "z"):
        raise SourceError(f'source "{delivery.source.name}": extra.up {up!r} is neither "y" nor "z"')
    scale = delivery.scale()
    local = np.diag([scale, scale, scale, 1.0]) @ (_Y_UP if up == "y" else np.eye(4))
    found = "" if "matrix" in extra or "origin" in extra else sidecar_of(path, delivery.root)
    stated, origin, tangent, steps = "", np.zeros(3), None, [f"{up} axis up, unit {scale:g} m"]
    if found:
        stated, origin = found
        steps.append(f"origin {origin.tolist()} of {SIDECAR}")
        plane = _ENU.fullmatch(stated)
        if plane:
            tangent, stated = (float(plane[2]), float(plane[1])), "EPSG:4326"
    matrix = _declared(delivery, "matrix", 16).reshape(4, 4) if "matrix" in extra else np.eye(4)
    if "matrix" in extra:
        steps.append("matrix 4 x 4 as declared")
    elif "origin" in extra:
        origin = _declared(delivery, "origin", 3)
        steps.append(f"origin {origin.tolist()} as declared")
    matrix[:3, 3] += origin
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-12 or not np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0]):
        raise SourceError(f'source "{delivery.source.name}": extra.matrix is no affine map; give 16 numbers row by row')
    crs = stated if tangent is not None else crs_of(delivery, stated, shown)
    shift, step = vertical_shift(delivery, frame, shown)
    if step:
        steps.append(step)
    return Georeference(matrix @ local, crs, shift, accepts_ballpark(delivery), tangent, tuple(steps))


def datum_words(reference: Georeference, corner: Points, delivery: Delivery, frame: Frame, shown: str) -> list[str]:
    """The steps of a file for the lineage; SourceError where a change of datum has no parameters."""
    there = corner @ reference.matrix[:3, :3].T + reference.matrix[:3, 3]
    if reference.tangent is not None:
        there = _from_tangent(there, reference.tangent)
    moved = [f"{reference.crs[:40]} -> {frame.crs}"] if reference.crs != frame.crs else []
    return [*reference.steps, *moved, *datum_steps(reference.crs, frame, there[:, :2], delivery, shown)]


def _declared(delivery: Delivery, name: str, size: int) -> Points:
    told = delivery.source.extra[name]
    try:
        values = np.asarray(told, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if len(values) != size or not np.isfinite(values).all():
        raise SourceError(f'source "{delivery.source.name}": extra.{name} wants {size} numbers, it has {told!r}')
    return values


def sidecar_of(path: Path, root: Path) -> Any:
    """(SRS, origin (3,)) of the metadata.xml beside the mesh or in one of three folders above, "" where there is none.

    source  the layout of ContextCapture deliveries, which OSGB deliveries follow: ModelMetadata with SRS, SRSOrigin
    """
    home = root.resolve()
    for folder in list(path.resolve().parents)[: _ABOVE + 1]:
        if (folder / SIDECAR).is_file():
            return _sidecar(folder / SIDECAR)
        if folder == home:
            break
    return ""


def _sidecar(file: Path) -> tuple[str, Points]:
    with file.open("rb") as stream:
        data = stream.read(_SIDECAR_LIMIT + 1)
    if len(data) > _SIDECAR_LIMIT or b"<!DOCTYPE" in data:
        raise SourceError(f"{file.name}: too large, or with a document type; no metadata of a mesh needs either")
    try:
        tree = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, UnicodeError) as err:
        raise SourceError(f"{file.name}: damaged XML ({str(err)[:80]}); mend it or declare extra.origin") from err
    stated = (tree.findtext("SRS") or "").strip()
    try:
        origin = np.array((tree.findtext("SRSOrigin") or "0,0,0").replace(",", " ").split(), dtype=np.float64)
    except ValueError:
        origin = np.zeros(0)
    if len(origin) != 3 or not np.isfinite(origin).all():
        raise SourceError(f"{file.name}: SRSOrigin is not three numbers; mend it or declare extra.origin")
    return stated, origin


def _from_tangent(points: Points, tangent: tuple[float, float]) -> Points:
    """East, north, up about a point on the ellipsoid to longitude, latitude, height (EPSG Guidance Note 7-2, 4.1.2)."""
    geodetic, geocentric = pyproj.CRS("EPSG:4979"), pyproj.CRS("EPSG:4978")
    to_ecef = pyproj.Transformer.from_crs(geodetic, geocentric, always_xy=True)
    lon, lat = np.radians(tangent)
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    up = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    axes = np.array([east, np.cross(up, east), up])
    there = np.array(to_ecef.transform(*tangent, 0.0)) + points @ axes
    return np.column_stack(to_ecef.transform(*there.T, direction="INVERSE"))
