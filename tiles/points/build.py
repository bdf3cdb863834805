"""The point cloud of a city as the tileset "points": cells of the octree in workers, the tiles above from what rises.

Memory holds one cell of the octree a worker and what rose from cells whose parent is not done, never the cloud.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tiles.options import PointTiles
from tiles.points.content import write
from tiles.points.kernels import morton, ranks
from tiles.points.octree import BITS, Batch, Grown, Most, gather, grow
from tiles.scheme.tilesets import lonlat_bounds, write_tileset
from tiles.scheme.tree import Content, Tile
from tiles.shelf import Shelf
from twin.city import City
from twin.points import PointCloud, merge_points
from twin.store.protocol import Store
from twin.workers import Workers

if TYPE_CHECKING:
    from tiles.classes.build import Place

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NAME = "points"
INPUT = ("points", "points")
"""(kind, name) of what is read from the store."""

_PER_POINT = 7.0
"""Bytes on the wire of a point."""

_CELL_POINTS = 500_000
"""A worker takes cells of the octree of so many points, or of the depth to which points are counted before."""

_FINER, _DEEPEST = 3, 9
_SURVEY_POINTS, _ALONE = 1_000_000, 10_000_000
_SNAP = 8


@dataclass(frozen=True, slots=True)
class Cube:
    """The root cell: lowest corner (3,) in the frame and side, m, a power of two."""

    corner: tuple[float, float, float]
    side: float

    def codes(self, xyz: Floats) -> NDArray[np.uint64]:
        """(n,) Morton codes of points (n, 3)."""
        return np.asarray(morton(xyz, np.array(self.corner), self.side / 2.0**BITS))


@dataclass(frozen=True, slots=True)
class Job:
    """A cell of the octree to be grown.

    survey  levels below the root at which points were counted
    places  clouds of the store that reach into it          cell, depth     its code, levels below the root
    """

    store: Store
    shelf: Shelf
    cube: Cube
    most: Most
    compression: str
    survey: int
    places: tuple[int, ...] = ()
    cell: int = 0
    depth: int = 0

    def write(self, cloud: PointCloud) -> Content:
        """Write one tile."""
        return write(cloud, self.shelf, self.compression)


@dataclass(frozen=True, slots=True)
class Branch:
    """A cell that is divided further than into jobs: its depth, and how many of its eighths hold points."""

    depth: int
    parts: int


def build(city: City, options: PointTiles, place: Place, workers: Workers) -> dict[str, Any] | None:
    """Write the tileset of the city's points; what build.json tells of it, None where the store has no point."""
    store = city.store
    if not store.has(*INPUT) or not store.item(*INPUT).count:
        return None
    most = Most(int(options.inner_bytes / _PER_POINT), int(options.leaf_bytes / _PER_POINT))
    counts, corners = store.points_index(NAME)
    cube = around(corners)
    base = Job(store, place.shelf, cube, most, options.compression, survey_depth(int(counts.sum())))
    steps = _surveyed(counts, base, workers)
    jobs = [step for step in steps if isinstance(step, Job)]
    grown = workers.map(grow_cell, jobs, "tiles points")
    root = _root(_fold(steps, grown, base).tiles, cube)
    entry = write_tileset(NAME, root, place.folder, place.shelf, place.version, cube.side)
    extent = store.item(*INPUT).extent or (0.0, 0.0, 0.0, 0.0)
    return entry | {"objects": entry["features"], "bounds": lonlat_bounds(city.frame, extent)}


def _surveyed(counts: NDArray[np.int64], base: Job, workers: Workers) -> list[Job | Branch]:
    """What `plan` makes of the points of the store; what was counted on the way is not kept."""
    look = partial(_survey, base.store, base.cube, base.survey)
    # Few points are counted while the processes are still being started.
    spread = map if counts.sum() <= _ALONE and not workers.started else workers.map
    told = [one for part in spread(look, _groups(counts)) for one in part]
    owner = np.repeat(np.arange(len(told)), [one.shape[1] for one in told])
    reached, points = np.concatenate(told, axis=1)
    del told
    return list(plan(reached, points, owner, base))


def survey_depth(count: int) -> int:
    """Levels below the root at which points are counted: a surface of `count` points is then cut fine enough."""
    return int(np.clip(np.ceil(np.log2(max(count / _CELL_POINTS, 1.0)) / 2.0) + _FINER, 1, _DEEPEST))


def around(corners: Floats) -> Cube:
    """The cube around clouds whose lowest and highest corners are `corners` (k, 2, 3).

    Its corner lies on whole multiples of an eighth of its side, so that a cloud that grows a little keeps its cells.
    """
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    side = 1.0
    while True:
        corner = np.floor(low / (side / _SNAP)) * (side / _SNAP)
        if (high < corner + side).all():
            return Cube(tuple(corner.tolist()), side)
        side *= 2.0


def grow_cell(job: Job) -> Grown:
    """Read the points of one cell of the octree and write its tiles."""
    shift = np.uint64(3 * (BITS - job.depth))
    parts, codes = [], []
    for cloud in job.store.page_points(NAME, job.places):
        code = job.cube.codes(cloud.xyz)
        here = (code >> shift) == np.uint64(job.cell)
        parts.append(cloud.select(here))
        codes.append(code[here])
    cloud, code = merge_points(parts), np.concatenate(codes)
    order = _sorted(code)
    code = code.take(order)
    batch = Batch(cloud.take(order), code, ranks(code))
    return grow(batch, job.depth, job.most, job.write)


def _sorted(code: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(n,) rows in the order of their codes, those of a code as they came."""
    # The quick way is in no order where codes are alike, which few are.
    order = np.argsort(code)
    found = code.take(order)
    return order if (found[1:] != found[:-1]).all() else np.argsort(code, kind="stable")


def plan(reached: NDArray[np.uint64], counts: NDArray[np.uint64], owner: Integers, base: Job) -> Iterator[Job | Branch]:
    """Cells for workers and, after the eighths of each, the cells above: in the order of Morton codes.

    reached, counts, owner  (n,) code at the depth of the survey of a cell that a cloud of the store reaches into, the
                            points that it has there, its number
    """
    order = np.argsort(reached, kind="stable")
    reached, owner = reached[order], owner[order]
    first = np.flatnonzero(np.append(True, reached[1:] != reached[:-1]))
    yield from _plan(base, (reached[first], np.add.reduceat(counts[order], first)), (reached, owner))


def _plan(
    here: Job, cells: tuple[NDArray[np.uint64], NDArray[np.uint64]], clouds: tuple[NDArray[np.uint64], Integers]
) -> Iterator[Job | Branch]:
    shift = np.uint64(3 * (here.survey - here.depth))
    code, counts = cells
    if counts.sum() <= _CELL_POINTS or here.depth == here.survey:
        first, last = np.searchsorted(clouds[0] >> shift, np.array([here.cell, here.cell + 1], np.uint64))
        yield replace(here, places=tuple(np.unique(clouds[1][first:last]).tolist()))
        return
    eighths = np.arange(8 * here.cell, 8 * here.cell + 9, dtype=np.uint64)
    edges = np.searchsorted(code >> np.uint64(3 * (here.survey - here.depth - 1)), eighths)
    parts = [k for k in range(8) if edges[k + 1] > edges[k]]
    for k in parts:
        part = slice(edges[k], edges[k + 1])
        below = replace(here, cell=8 * here.cell + k, depth=here.depth + 1)
        yield from _plan(below, (code[part], counts[part]), clouds)
    yield Branch(here.depth, len(parts))


def _fold(steps: Sequence[Job | Branch], grown: Iterator[Grown], base: Job) -> Grown:
    """What became of the root: every cell above the jobs is gathered as soon as its eighths are there."""
    waiting: list[Grown] = []
    for step in steps:
        if isinstance(step, Job):
            waiting.append(next(grown))
        else:
            parts = waiting[-step.parts :]
            del waiting[-step.parts :]
            waiting.append(gather(parts, step.depth, base.cube.side, base.most, base.write))
    # The progress of the workers ends with their last result.
    next(grown, None)
    return waiting[0]


def _root(tiles: tuple[Tile, ...], cube: Cube) -> Tile:
    """One tile above all; where the root had too much for one, the first of them is seen from far alone."""
    first, *others = tiles
    return first if not others else Tile(cube.side, first.content, (*others, *first.children), "ADD")


def _groups(counts: NDArray[np.int64]) -> list[range]:
    """Numbers of clouds in groups of about a million points."""
    group = np.cumsum(counts) // _SURVEY_POINTS
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(counts)]
    return [range(a, b) for a, b in pairwise(edges)]


def _survey(store: Store, cube: Cube, depth: int, places: range) -> list[NDArray[np.uint64]]:
    """For every cloud (2, c): codes of the cells that it reaches into at the depth of the survey, and the points."""
    found = []
    for cloud in store.page_points(NAME, places):
        # A cell is a power of two, so that these are the leading digits of the codes, to the bit.
        steps = ((cloud.xyz - cube.corner) / (cube.side / 2.0**depth)).astype(np.uint64)
        key = (steps[:, 2] << np.uint64(2 * depth)) | (steps[:, 1] << np.uint64(depth)) | steps[:, 0]
        cells, counts = np.unique(key, return_counts=True)
        found.append(np.stack([_interleaved(cells, depth), counts.astype(np.uint64)]))
    return found


def _interleaved(key: NDArray[np.uint64], depth: int) -> NDArray[np.uint64]:
    """(c,) Morton codes, rising or not, of steps along z, y and x that follow each other in a key."""
    code = np.zeros_like(key)
    for bit in range(depth):
        for axis in range(3):
            digit = (key >> np.uint64(axis * depth + bit)) & np.uint64(1)
            code |= digit << np.uint64(3 * bit + axis)
    return code
