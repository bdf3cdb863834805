"""Ground cover as triangles on the relief: each patch of ground belongs to one feature, and no seam is left open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.classes.cover import CARRIED, Cover
from models_l2.classes.decks import deck_axes, deck_heights
from models_l2.classes.leaves import flat_squares, node_hull
from models_l2.classes.options import ClassOptions
from models_l2.terrain.shore import Shore, shore_around
from twin.features import Objects, objects
from twin.frames import Frame
from twin.grid import Bounds, Raster
from twin.meshes import Solids, Surface, material_code
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOD = 10
# Corners lie on this grid, m; snap rounding (Hobby 1999, as in GEOS OverlayNG) keeps every patch of ground whole.
GRID = 0.001


@dataclass(frozen=True, slots=True)
class SurfaceJob:
    """What one worker needs to cover a cell.

    cover       the features that meet the cell           number   (n,) their rows in the whole cover, the upper first
    buildings   footprints that meet the cell: no surface lies in them
    decks       (n,) bool, decks that are kept in this cell        axes   (n,) what decides their heights
    """

    store: Store
    frame: Frame
    cell: str
    bounds: Bounds
    cover: Cover
    buildings: Objects
    decks: NDArray[np.bool_]
    axes: Objects
    options: ClassOptions


def jobs(
    store: Store, frame: Frame, cover: Cover, buildings: Objects, cell_size: float, options: ClassOptions
) -> Iterator[SurfaceJob]:
    """One job a cell that anything covers, sorted by cell.

    buildings   (b,) polygons, empty ones allowed
    """
    if not len(cover):
        return
    axes = deck_axes(cover, store)
    trees = shapely.STRtree(cover.polygon), shapely.STRtree(buildings)
    west, south, east, north = (float(v) for v in shapely.total_bounds(cover.polygon))
    home = np.floor(shapely.get_coordinates(shapely.centroid(cover.polygon)) / cell_size).astype(np.int64)
    for ix in range(int(np.floor(west / cell_size)), int(np.floor(east / cell_size)) + 1):
        for iy in range(int(np.floor(south / cell_size)), int(np.floor(north / cell_size)) + 1):
            bounds = (ix * cell_size, iy * cell_size, (ix + 1) * cell_size, (iy + 1) * cell_size)
            box = shapely.box(*bounds)
            rows = np.sort(trees[0].query(box, predicate="intersects"))
            if not len(rows):
                continue
            near = np.sort(trees[1].query(box, predicate="intersects"))
            kept = cover.deck[rows] & (home[rows] == (ix, iy)).all(axis=1)
            part = _rows(cover, rows)
            yield SurfaceJob(store, frame, f"c_{ix}_{iy}", bounds, part, buildings[near], kept, axes[rows], options)


def _rows(cover: Cover, rows: Integers) -> Cover:
    return Cover(
        cover.oid[rows], cover.polygon[rows], cover.kind[rows], cover.name[rows], cover.evidence[rows],
        cover.deck[rows], cover.axis[rows], (),
    )  # fmt: skip


def cover_cell(job: SurfaceJob) -> Solids | None:
    """The surfaces of one cell, one a feature, in the order of the cover; None where nothing covers it.

    returns   Solids that are no closed shells but surfaces (MultiSurface), faces upward; every two that meet share
              their vertices, also with the cells around
    """
    squares, relief = flat_squares(job.store, job.bounds, job.options.tolerance, job.options.largest)
    patches, owner = _patches(job, squares)
    corners, owner, patch_z = _ground(patches, owner, relief, shore_around(job.store, job.bounds))
    if job.decks.any():
        over, over_owner, over_z = _decks(job)
        corners, owner = np.concatenate([corners, over]), np.concatenate([owner, over_owner])
        patch_z = np.concatenate([patch_z, over_z])
    return _packed(job, corners, patch_z, owner) if len(owner) else None


def _patches(job: SurfaceJob, squares: Floats) -> tuple[Objects, Integers]:
    """Polygons that tile the covered ground of the cell, and the feature (row of the job's cover) of each."""
    cover = job.cover
    clip = shapely.box(*_inner(job))
    shapes = np.concatenate([cover.polygon, job.buildings])
    shapes = shapely.intersection(shapes, clip)
    boxes = shapely.intersection(shapely.box(*squares.T), clip)
    used = np.unique(shapely.STRtree(boxes).query(shapes[: len(cover)], predicate="intersects")[1])
    lines = shapely.union_all(np.concatenate([shapely.boundary(shapes), shapely.boundary(boxes[used])]), grid_size=GRID)
    patches = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    inside = shapely.point_on_surface(patches)
    patch, shape = shapely.STRtree(shapes).query(inside, predicate="intersects")
    n = len(cover)
    built, decked = np.zeros(len(patches), bool), np.zeros(len(patches), bool)
    built[patch[shape >= n]] = True
    on_deck = np.append(cover.deck, np.zeros(len(job.buildings), bool))[shape]
    decked[patch[on_deck]] = True
    carried = np.append(np.isin(cover.kind.astype(str), CARRIED), np.zeros(len(job.buildings), bool))[shape]
    able = (shape < n) & ~on_deck & ~built[patch] & ~(carried & decked[patch])
    owner = np.full(len(patches), n, np.int64)
    np.minimum.at(owner, patch[able], shape[able])
    some = np.flatnonzero(owner < n)
    return patches[some], owner[some]


def _inner(job: SurfaceJob) -> Bounds:
    """The cell, cut to where the relief has four known heights around a place."""
    hull = node_hull(job.store.raster_box("relief"))
    b = job.bounds
    return max(b[0], hull[0]), max(b[1], hull[1]), min(b[2], hull[2]), min(b[3], hull[3])


def _triangles(polygons: Objects) -> tuple[Floats, Integers]:
    """(t, 3, 2) corners, counter-clockwise, of triangles that fill polygons (p,), and (t,) the polygon of each."""
    cut, polygon = shapely.get_parts(shapely.constrained_delaunay_triangles(polygons), return_index=True)
    corners = shapely.get_coordinates(shapely.orient_polygons(cut)).reshape(-1, 4, 2)[:, :3]
    return corners, polygon.astype(np.int64)


def _ground(patches: Objects, owner: Integers, relief: Raster, shore: Shore) -> tuple[Floats, Integers, Floats]:
    corners, patch = _triangles(patches)
    places = corners.reshape(-1, 2)
    return corners, owner[patch], shore.heights(places, relief.sample(places)).reshape(-1, 3)


def _decks(job: SurfaceJob) -> tuple[Floats, Integers, Floats]:
    rows = np.flatnonzero(job.decks)
    corners, part = _triangles(shapely.set_precision(job.cover.polygon[rows], GRID))
    z = np.empty(corners.shape[:2])
    for place, row in enumerate(rows.tolist()):
        mine = part == place
        z[mine] = deck_heights(job.axes[row], corners[mine].reshape(-1, 2)).reshape(-1, 3)
    return corners, rows[part], z


def _packed(job: SurfaceJob, corners: Floats, z: Floats, owner: Integers) -> Solids:
    order = np.argsort(owner, kind="stable")
    corners, z, owner = corners[order], z[order], owner[order]
    rows, solid = np.unique(owner, return_inverse=True)
    whole = np.round(corners.reshape(-1, 2) / GRID).astype(np.int64)
    key = np.column_stack([np.repeat(solid, 3), whole])
    unique, first, place = np.unique(key, axis=0, return_index=True, return_inverse=True)
    cover, face = job.cover, place.reshape(-1, 3).astype(np.int32)
    paved = np.isin(cover.kind[rows].astype(str), CARRIED)
    return Solids(
        frame=job.frame,
        oid=cover.oid[rows],
        vertices=np.column_stack([corners.reshape(-1, 2)[first], z.reshape(-1)[first]]),
        faces=face,
        surface=np.full(len(face), Surface.OTHER, np.uint8),
        vertex_offset=_offsets(np.bincount(unique[:, 0], minlength=len(rows))),
        face_offset=_offsets(np.bincount(solid, minlength=len(rows))),
        lod=np.full(len(rows), LOD, np.uint8),
        material=np.where(paved, material_code("paving"), 0).astype(np.uint8)[solid],
        attributes={
            "class": cover.kind[rows], "name": cover.name[rows], "evidence": cover.evidence[rows],
            "bridge": objects(["1" if deck else "" for deck in cover.deck[rows].tolist()]),
        },
    )  # fmt: skip


def _offsets(counts: Integers) -> Integers:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
