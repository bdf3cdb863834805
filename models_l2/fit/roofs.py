"""Roofs of a block of buildings from their measured points: footprints cut along the planes that were found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.fit import cell_kernels as kernels
from models_l2.fit.cells import CellOptions, borders, choose, cut, dissolve
from models_l2.fit.lines import LineOptions, cut_lines
from models_l2.fit.planes import PlaneOptions, Planes, find_planes
from models_l2.fit.tidy import tidy
from models_l2.shell import Partition, partition_of
from twin.features import Objects, objects
from twin.options import option

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEW = "屋面点过少 / too few roof points"
NO_PLANE = "点云未见屋面平面 / no roof plane in the points"
ODD_CUT = "轮廓分割失败 / the footprint could not be cut"


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How roofs are found in points."""

    planes: PlaneOptions = field(default_factory=PlaneOptions)
    lines: LineOptions = field(default_factory=LineOptions)
    cells: CellOptions = field(default_factory=CellOptions)
    step: float = option(
        2.0, unit="m", min=0.3, max=20.0, doc="LoD1.3 splits a footprint where its roofs differ by more than this."
    )
    above: float = option(
        1.0, unit="m", min=0.0, max=10.0, doc="No plane rises this far over the highest point on one."
    )

    def coarser(self, cell: float) -> FitOptions:
        """The same for cells of a surface model `cell` m wide, whose heights scatter more and blur every edge."""
        planes = replace(self.planes, distance=max(self.planes.distance, 0.3 * cell), least_points=6)
        return replace(self, planes=planes, lines=replace(self.lines, reach=max(self.lines.reach, 0.6 * cell)))


@dataclass(frozen=True, slots=True)
class Cut:
    """m footprints cut into faces under planes; `rows` (m,) i8 tells which building of the batch each is."""

    rows: Integers
    partition: Partition


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the points say about the roofs of n buildings.

    planes    LoD2.2: the faces under the planes that were found
    levels    LoD1.3: those whose roof steps, under one level for each part
    reason    (n,) str, why there are no planes; "" where there are
    """

    planes: Cut
    levels: Cut
    reason: Objects


@dataclass(frozen=True, slots=True)
class _Roof:
    """One building: faces (f,) about `origin`, plane (f, 3) and middle height (f,) of each."""

    faces: Objects
    plane: Floats
    height: Floats
    origin: Floats


def fit_roofs(polygons: Objects, xyz: Floats, owner: Integers, floor: Floats, options: FitOptions) -> Fitted:
    """Roofs of buildings (n,) from the points (k, 3) f8 m that lie inside them, `owner` (k,) ascending.

    floor    (n,) f8 m; no roof lies below it
    source   planes by region growing, borders by plane intersection and Hough, cells by a Potts energy; one building
             depends on nothing but its own outline and points
    """
    n = len(polygons)
    reason = np.full(n, "", dtype=object)
    start = np.searchsorted(owner, np.arange(n + 1))
    roofs: dict[int, _Roof] = {}
    steps: dict[int, _Roof] = {}
    for k in range(n):
        found, reason[k] = _one(polygons[k], xyz[start[k] : start[k + 1]], float(floor[k]), options)
        if found is not None:
            roofs[k] = found
            level = stepped(found, options.step)
            if level is not None:
                steps[k] = level
    return Fitted(_packed(roofs, options.cells.snap), _packed(steps, options.cells.snap), reason)


def _packed(roofs: dict[int, _Roof], snap: float) -> Cut:
    """One partition of many roofs, at their places in the frame."""
    rows, parts = np.array(list(roofs), dtype=np.int64), list(roofs.values())
    if not parts:
        return Cut(rows, partition_of(objects([]), rows, np.zeros((0, 3)), np.zeros((0, 2))))
    faces = np.concatenate([part.faces for part in parts])
    of = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
    origin = np.array([part.origin[:2] for part in parts])
    xy, face = shapely.get_coordinates(faces, return_index=True)
    placed = shapely.set_coordinates(faces, np.round((xy + origin[of[face]]) / snap) / (1.0 / snap))
    plane = np.concatenate([part.plane for part in parts])
    return Cut(rows, tidy(partition_of(placed, of, plane, origin), snap))


def _one(polygon: Any, xyz: Floats, floor: float, options: FitOptions) -> tuple[_Roof | None, str]:
    if len(xyz) < options.planes.least_points:
        return None, FEW
    xmin, ymin, xmax, ymax = polygon.bounds
    origin = np.array([round(0.5 * (xmin + xmax)), round(0.5 * (ymin + ymax)), 0.0])
    local = shapely.transform(polygon, lambda xy: xy - origin[:2])
    planes = find_planes(xyz - origin, polygon.area, options.planes)
    if not len(planes.plane):
        return None, NO_PLANE
    faces, label = _faces(local, planes, options)
    if abs(shapely.area(faces).sum() - polygon.area) > 0.01 + options.cells.snap * polygon.length:
        return None, ODD_CUT
    plane, height = _sensible(faces, label, planes, floor, options)
    return _Roof(faces, plane, height, origin), ""


def stepped(roof: _Roof, step: float) -> _Roof | None:
    """The roof with level faces, neighbours less than `step` m apart put together; None where one level is left.

    The closest two go first; a level is the mean of the middle heights, weighted by area.
    """
    if float(np.ptp(roof.height)) < step:
        return None
    one, other, _ = borders(roof.faces)
    group, height = kernels.levelled(one, other, roof.height, shapely.area(roof.faces), step)
    faces, label = dissolve(roof.faces, group)
    if len(faces) < 2:
        return None
    # Levels a hair apart at a corner where they meet across would be pulled together there, and neither stay level.
    height = np.round(height[label], 2)
    return _Roof(faces, np.column_stack([np.zeros((len(faces), 2)), height]), height, roof.origin)


def _faces(polygon: Any, planes: Planes, options: FitOptions) -> tuple[Objects, Integers]:
    lines = cut_lines(planes, polygon, options.lines)[: options.cells.most_lines]
    if not len(lines) and polygon.geom_type == "Polygon":
        return objects([polygon]), np.zeros(1, np.int64)
    cells, middle = cut(polygon, lines, options.cells.snap)
    return dissolve(cells, choose(cells, middle, lines, planes, polygon.area, options.cells))


def _sensible(
    faces: Objects, label: Integers, planes: Planes, floor: float, options: FitOptions
) -> tuple[Floats, Floats]:
    """Planes (f, 3) and middle heights (f,) of the faces; a plane that leaves the range of heights is made gentler.

    Points on no plane do not count for the upper end of the range: birds and masts are among them.
    """
    plane = planes.plane[label]
    z = planes.xyz[:, 2]
    rings, of = shapely.get_rings(faces, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    middle, inside = kernels.medians(planes.xyz, xy, ring, of, len(faces))
    blank = np.isnan(middle[:, 2])
    if blank.any():
        centre = np.column_stack([shapely.get_coordinates(shapely.centroid(faces)), np.full(len(faces), np.median(z))])
        middle = np.where(blank[:, None], centre, middle)
    top = max(float(z[planes.label >= 0].max()) + options.above, floor)
    middle[:, 2] = np.clip(middle[:, 2], floor, top)
    face = of[ring]
    at = (xy * plane[face, :2]).sum(axis=1) + plane[face, 2]
    wild = np.zeros(len(faces), bool)
    wild[face[(at > top) | (at < floor)]] = True
    if wild.any():
        plane[wild] = _gentler((xy, face), plane, middle, (floor, top), (planes.xyz, inside))[wild]
    return plane, middle[:, 2]


def _gentler(
    corners: tuple[Floats, Integers],
    plane: Floats,
    middle: Floats,
    limits: tuple[float, float],
    points: tuple[Floats, Integers],
) -> Floats:
    """Planes (f, 3) turned about `middle` (f, 3) until the last corner of the face lies within the limits, or level
    where that fits the points of the face no worse.

    corners   places (k, 2) and face (k,)
    points    (n, 3) and face (n,), -1 for none
    """
    (xy, face), (low, top), (xyz, inside) = corners, limits, points
    rise = ((xy - middle[face, :2]) * plane[face, :2]).sum(axis=1)
    room = np.where(rise > 0.0, top - middle[face, 2], middle[face, 2] - low)
    share = np.ones(len(plane))
    np.minimum.at(share, face, room / np.maximum(np.abs(rise), 1e-9))
    slope = share[:, None] * plane[:, :2]
    xyz, of = xyz[inside >= 0], inside[inside >= 0]
    level = xyz[:, 2] - middle[of, 2]
    turned = level - ((xyz[:, :2] - middle[of, :2]) * slope[of]).sum(axis=1)
    better = np.abs(level) - np.abs(turned)
    slope[np.bincount(of, weights=better, minlength=len(plane)) <= 0.0] = 0.0
    return np.column_stack([slope, middle[:, 2] - (slope * middle[:, :2]).sum(axis=1)])
