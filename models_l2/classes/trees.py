"""Trees of a city as points with height and crown: delivered ones first, then what rasters and points show."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from models_l2.classes.crowns import LARGEST_CROWN, crown_width, find_crowns
from models_l2.classes.options import ClassOptions
from models_l2.ground import read_relief
from twin.features import Layer, Objects, objects
from twin.frames import Frame
from twin.grid import Bounds, GeoBox, Raster
from twin.points import PointCloud
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# ASPRS classes: low, medium and high vegetation; what was never classified may be anything.
VEGETATION, UNCLASSIFIED, BUILDING = (3, 4, 5), (0, 1), 6
BLOCK = 500.0
# Eaves, walls and their points lie this far outside of an outline, m.
EAVES = 1.0
USUAL_HEIGHT = 8.0


@dataclass(frozen=True, slots=True)
class TreeJob:
    """What one worker needs to find the trees of a square of ground.

    inner       its bounds, m; tops outside belong to another job
    buildings   footprints in it and around it
    source      "canopy" or "points"
    classes     ASPRS classes that may be trees, where the source is points
    """

    store: Store
    frame: Frame
    inner: Bounds
    buildings: Objects
    source: str
    classes: tuple[int, ...]
    options: ClassOptions


@dataclass(frozen=True, slots=True)
class Found:
    """Trees (n,): place (n, 2), height and crown diameter, m."""

    xy: Floats
    height: Floats
    crown: Floats


def tree_jobs(store: Store, frame: Frame, buildings: Objects, options: ClassOptions) -> list[TreeJob]:
    """One job a square of BLOCK; none where the store has neither a canopy raster nor points.

    The canopy raster counts before points; classified vegetation before points that nobody classified.
    """
    source = "canopy" if store.has("raster", "canopy") else "points" if store.has("points", "points") else ""
    extent = store.raster_box("canopy").bounds if source == "canopy" else None
    if source == "points":
        extent = store.item("points", "points").extent
    if extent is None:
        return []
    tree = shapely.STRtree(buildings)
    cells = list(_squares(extent))
    classes = _classes(store, cells) if source == "points" else ()
    found = []
    for inner in cells:
        around = shapely.box(*_grown(inner, LARGEST_CROWN))
        near = np.sort(tree.query(around, predicate="intersects"))
        found.append(TreeJob(store, frame, inner, buildings[near], source, classes, options))
    return found


def _squares(extent: Bounds) -> Iterator[Bounds]:
    for ix in range(math.floor(extent[0] / BLOCK), math.ceil(extent[2] / BLOCK)):
        for iy in range(math.floor(extent[1] / BLOCK), math.ceil(extent[3] / BLOCK)):
            yield ix * BLOCK, iy * BLOCK, (ix + 1) * BLOCK, (iy + 1) * BLOCK


def _classes(store: Store, cells: list[Bounds]) -> tuple[int, ...]:
    """The classes to look for trees in: vegetation where any point of the cloud is."""
    for bounds in cells:
        if np.isin(store.read_points("points", bounds=bounds).classification, VEGETATION).any():
            return VEGETATION
    return UNCLASSIFIED


def _grown(bounds: Bounds, by: float) -> Bounds:
    return bounds[0] - by, bounds[1] - by, bounds[2] + by, bounds[3] + by


def find_trees(job: TreeJob) -> Found:
    """The trees whose tops lie in the job's square."""
    outer = _grown(job.inner, LARGEST_CROWN)
    canopy = _canopy(job, outer) if job.source == "canopy" else _from_points(job, outer)
    if canopy is None:
        return Found(np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    box, options = canopy.geobox, job.options
    cell = math.sqrt(box.resolution[0] * box.resolution[1])
    crowns = find_crowns(canopy.values.astype(np.float64), cell, options.tree_height, options.tree_crown)
    x, y = box.centers()
    xy = np.column_stack([x[crowns.col], y[crowns.row]])
    west, south, east, north = job.inner
    keep = (xy[:, 0] >= west) & (xy[:, 0] < east) & (xy[:, 1] >= south) & (xy[:, 1] < north)
    return Found(xy[keep], crowns.height[keep], crowns.diameter[keep])


def _canopy(job: TreeJob, outer: Bounds) -> Raster | None:
    raster = job.store.read_raster("canopy", bounds=outer)
    if 0 in raster.geobox.shape:
        return None
    values = np.where(raster.valid, raster.values, 0.0).astype(np.float64)
    return Raster(values, raster.geobox, unit="m")


def _from_points(job: TreeJob, outer: Bounds) -> Raster | None:
    """Canopy heights from points above the relief, outside of footprints and away from building points (class 6).

    A cell of `tree_cell` takes its highest point; holes of single cells are closed from their neighbours.
    """
    whole = job.store.read_points("points", bounds=outer)
    cloud = whole.select(np.isin(whole.classification, job.classes))
    if not len(cloud):
        return None
    box = GeoBox.from_bounds(outer, job.options.tree_cell, job.frame)
    height = _above(job, cloud, outer)
    cell, inside = _cells(box, cloud.xyz)
    # Higher than any tree is a bird, a crane or a cloud.
    keep = (height > 0.5) & (height < 60.0) & inside & ~_in_buildings(cloud.xyz[:, :2], job.buildings)
    values = np.zeros(box.shape[0] * box.shape[1])
    np.maximum.at(values, cell[keep], height[keep])
    values = np.where(_built(whole, box), 0.0, values.reshape(box.shape))
    closed = ndimage.grey_closing(values, size=(3, 3), mode="nearest")
    return Raster(np.where(values > 0.0, values, closed), box)


def _cells(box: GeoBox, xyz: Floats) -> tuple[NDArray[np.int64], Mask]:
    """(n,) flat index of the cell that each point lies in, and whether it lies in any."""
    rows, cols = (np.floor(v).astype(np.int64) for v in box.rowcol(xyz[:, :2]))
    ny, nx = box.shape
    return rows * nx + cols, (rows >= 0) & (rows < ny) & (cols >= 0) & (cols < nx)


def _built(cloud: PointCloud, box: GeoBox) -> Mask:
    """(ny, nx) True at building points and EAVES around them: buildings that no footprint tells of."""
    cell, inside = _cells(box, cloud.xyz)
    built = np.zeros(box.shape[0] * box.shape[1], bool)
    built[cell[inside & (cloud.classification == BUILDING)]] = True
    if not built.any():
        return built.reshape(box.shape)
    return np.asarray(
        ndimage.binary_dilation(built.reshape(box.shape), iterations=max(1, round(EAVES / box.resolution[0])))
    )


def _above(job: TreeJob, cloud: PointCloud, outer: Bounds) -> Floats:
    relief = read_relief(job.store, outer)[1]
    return np.asarray(np.nan_to_num(cloud.xyz[:, 2] - relief.sample(cloud.xyz[:, :2]), nan=0.0))


def _in_buildings(xy: Floats, buildings: Objects) -> Mask:
    inside = np.zeros(len(xy), bool)
    if len(buildings):
        grown = shapely.buffer(buildings, EAVES, quad_segs=2)
        tree = shapely.STRtree(shapely.points(xy))
        inside[tree.query(grown, predicate="intersects")[1]] = True
    return inside


def in_buildings(trees: Layer, buildings: Objects) -> Mask:
    """(n,) True for delivered trees whose stem stands further than EAVES inside a footprint: none grows there."""
    inside = np.zeros(len(trees), bool)
    if len(trees) and len(buildings):
        tree = shapely.STRtree(trees.geometry)
        inside[tree.query(shapely.buffer(buildings, -EAVES, quad_segs=2), predicate="intersects")[1]] = True
    return inside


def tree_layer(delivered: Layer | None, found: Found, source: str, store: Store, frame: Frame) -> Layer:
    """The layer `tree_l2`: every delivered tree, and found ones that stand under none of them.

    columns     height and crown diameter, m; evidence of both ("surveyed", "canopy", "points" or "usual"); base_z, the
                relief at the stem; species as delivered
    usual       a delivered tree without a height takes that of a found tree under its crown, else 8 m; without a crown
                the width that is likely at its height
    oid         of the source, else "tree-<x>-<y>" in decimetres
    """
    given = Layer.empty("tree", frame) if delivered is None else delivered
    xy = shapely.get_coordinates(given.geometry)
    height, crown, evidence, taken = _known(given, xy, found, source)
    free = np.flatnonzero(~taken)
    place = np.concatenate([xy, found.xy[free]])
    names = [f"tree-{x:.0f}-{y:.0f}" for x, y in np.round(found.xy[free] * 10.0).tolist()]
    n, m = len(given), len(free)
    ground = np.full(n + m, np.nan)
    if n + m:
        low, high = place.min(axis=0), place.max(axis=0)
        relief = read_relief(store, (float(low[0]), float(low[1]), float(high[0]), float(high[1])))[1]
        ground = relief.sample(place)
    blank = objects([""] * m)
    carried = {key: np.concatenate([given.column(key), blank]) for key in ("name", "code", "species", "leaf")}
    return Layer.build(
        "tree_l2", frame, np.concatenate([given.oid, objects(names)]), objects(shapely.points(place)),
        carried | {
            "height": np.concatenate([height, found.height[free]]),
            "crown": np.concatenate([crown, found.crown[free]]),
            "evidence": np.concatenate([evidence, objects([source] * m)]),
            "base_z": ground,
        },
    )  # fmt: skip


def _known(given: Layer, xy: Floats, found: Found, source: str) -> tuple[Floats, Floats, Objects, Mask]:
    """Height, crown and evidence of delivered trees (n,), and which found ones (m,) are the same trees."""
    height, crown = given.column("height").copy(), given.column("crown").copy()
    evidence = objects(["surveyed"] * len(given))
    taken = np.zeros(len(found.height), bool)
    if len(given) and len(taken):
        distance, near = cKDTree(xy).query(found.xy)
        own = crown[near]
        reach = np.maximum(np.where(np.isnan(own), found.crown, own) / 2.0, 1.5)
        taken = distance <= reach
        # The tallest top within reach is the tree itself, the others are its branches.
        order = np.flatnonzero(taken)[np.argsort(found.height[taken], kind="stable")]
        best = np.full(len(given), -1)
        best[near[order]] = order
        rows = np.flatnonzero(np.isnan(height) & (best >= 0))
        height[rows], evidence[rows] = found.height[best[rows]], source
        rows = np.flatnonzero(np.isnan(crown) & (best >= 0))
        crown[rows] = found.crown[best[rows]]
    evidence[np.isnan(height)] = "usual"
    height = np.where(np.isnan(height), USUAL_HEIGHT, height)
    return height, np.where(np.isnan(crown), crown_width(height), crown), evidence, taken
