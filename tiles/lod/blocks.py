"""Blocks: what is drawn for buildings from afar, one prism for one building or for neighbours of a height.

Every block knows how far it may be from the buildings that it stands for, and that distance is measured, never assumed:
outlines against outlines, roofs against roofs. Where a block is made of blocks, the distances between outlines add up
(triangle inequality of the Hausdorff distance), and its roof is held against the lowest and the highest roof of all it
stands for; so what a tile declares is never less than the distance to the finest model.

A block of neighbours lies as the ground does that they stand on: base and roof are parallel to the plane through their
bases. Else the hills of a city would come out of the roofs of its quarters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.lod.outlines import outlines
from twin.features import Objects
from twin.meshes import Solids, Surface

Floats = NDArray[np.float64]

_FEW = 5
"""Points of a ring with four corners, the first of them twice: there is nothing to leave out."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """n prisms and what they stand for.

    outline     (n,) polygons, frame m              oid     (n,) str, of the largest building of each
    middle      (n, 2) f8, frame m, where its heights hold  slope (n, 2) f8, its rise eastwards and northwards
    ground      (n,) f8, m, mean of what they stand on
    base, top   (n,) f8, m, the prism's ends        members (n,) i8, how many buildings it stands for
    across      (n,) f8, m, its outline from theirs low, high (n,) f8, m, their lowest and highest roof, along the slope
    colour      (n, 3) f8, sRGB 0..1, mean of their walls by area
    area        (n,) f8, m2 of those, on the ground
    landmark    (n,) bool, stands for itself alone as long as it can
    columns     name -> (n,) properties of the largest building
    """

    outline: Objects
    middle: Floats
    slope: Floats
    ground: Floats
    base: Floats
    top: Floats
    across: Floats
    low: Floats
    high: Floats
    members: NDArray[np.int64]
    colour: Floats
    area: Floats
    landmark: NDArray[np.bool_]
    oid: Objects
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.oid)

    @property
    def height(self) -> Floats:
        """(n,) f8 m from the ground to the top."""
        return self.top - self.ground

    @property
    def error(self) -> Floats:
        """(n,) f8 m, how far a block is from the buildings it stands for."""
        up = np.maximum(self.high - self.top, self.top - self.low)
        # A point moved across lies where the slope is higher or lower.
        return np.hypot(self.across, up + np.hypot(*self.slope.T) * self.across)

    def rise(self, rows: NDArray[Any], xy: Floats) -> Floats:
        """(k,) f8 m, how much higher the blocks of `rows` (k,) lie at places (k, 2) than in their middles."""
        return np.asarray(((xy - self.middle[rows]) * self.slope[rows]).sum(axis=1))

    def take(self, rows: NDArray[Any]) -> Blocks:
        """The blocks of `rows`, indices (k,) or flags (n,)."""
        plain = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "columns"}
        return Blocks(**plain, columns={key: values[rows] for key, values in self.columns.items()})


def join(parts: Sequence[Blocks]) -> Blocks:
    """All blocks of several (at least one), one after another."""
    plain = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Blocks) if f.name != "columns"
    }
    columns = {key: np.concatenate([part.columns[key] for part in parts]) for key in parts[0].columns}
    return Blocks(**plain, columns=columns)


def single(
    solids: Solids, columns: Mapping[str, NDArray[Any]], colour: Floats, landmark: NDArray[np.bool_], tolerance: float
) -> tuple[Blocks, float]:
    """One prism for each of b solids, its outline simplified; and the height in m of the highest that is left out.

    tolerance   m; outlines may move this far. A solid is left out where it is not higher than that and its outline is
                smaller than the square of it
    source      Douglas and Peucker 1973, as GEOS keeps the topology
    """
    exact = outlines(solids)
    base, low, high = _heights(solids)
    outline, moved = _simplified(exact, tolerance)
    some = ~shapely.is_empty(exact)
    # A level roof halfway between eave and ridge is off by half the rise, or by all of it where it stands out.
    top = np.where(landmark, high, 0.5 * (low + high))
    area = shapely.area(exact)
    kept = some & ((top - base > tolerance) | (area > tolerance**2) | landmark) & (top > base)
    lost = float((high - base)[~kept].max(initial=0.0))
    west, south, east, north = shapely.bounds(exact).T
    blocks = Blocks(
        outline,
        0.5 * np.column_stack([west + east, south + north]),
        np.zeros((len(solids), 2)),
        base,
        base,
        top,
        moved,
        low,
        high,
        np.ones(len(solids), np.int64),
        colour,
        area,
        landmark,
        columns["oid"],
        {key: values for key, values in columns.items() if key != "oid"},
    )
    return blocks.take(kept), lost


def _simplified(exact: Objects, tolerance: float) -> tuple[Objects, Floats]:
    """(b,) outlines with corners left out, where there are more than a rectangle's, and how far each moved, m."""
    outline, moved = exact.copy(), np.zeros(len(exact))
    many = np.flatnonzero(shapely.get_num_coordinates(exact) > _FEW)
    simple = shapely.simplify(exact[many], tolerance, preserve_topology=True)
    sound = ~shapely.is_empty(simple) & shapely.is_valid(simple)
    changed, simple = many[sound], simple[sound]
    moved[changed] = shapely.hausdorff_distance(exact[changed], simple)
    outline[changed] = simple
    return outline, moved


def _heights(solids: Solids) -> tuple[Floats, Floats, Floats]:
    """(b,) base, lowest and highest roof vertex in m; without roof surfaces both are the highest vertex."""
    at, z = solids.vertex_offset[:-1], solids.vertices[:, 2]
    base, highest = np.minimum.reduceat(z, at), np.maximum.reduceat(z, at)
    roof = solids.surface == Surface.ROOF
    corner = z[solids.faces[roof]]
    owner = solids.face_owner()[roof]
    low, high = np.full(len(solids), np.inf), np.full(len(solids), -np.inf)
    np.minimum.at(low, owner, corner.min(axis=1))
    np.maximum.at(high, owner, corner.max(axis=1))
    unknown = ~np.isfinite(low)
    return base, np.where(unknown, highest, low), np.where(unknown, highest, np.maximum(high, highest))
