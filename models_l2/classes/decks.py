"""The heights of bridge decks: straight between their ends, whatever lies below."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from models_l2.classes.cover import CARRIED, Cover
from models_l2.ground import bounds_of, read_relief
from twin.features import Objects, objects
from twin.store.protocol import Store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Ends of two bridge lines, or edges of two decks, closer than this belong together, m.
TOUCH = 0.3


def deck_axes(cover: Cover, store: Store) -> Objects:
    """(n,) what decides the height of each deck, in 3D: the line it follows from bank to bank, or where it lands.

    A bridge that was delivered in several lines has one axis from end to end; one that was delivered as polygons, and
    all that touch it, lands where they meet roads or railways on the ground, else along their whole edge. None where a
    feature is no deck.
    """
    axes = objects([None] * len(cover))
    lined = np.flatnonzero([axis is not None for axis in cover.axis])
    if len(lined):
        chains = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(shapely.get_parts(cover.axis[lined]))))
        middle = shapely.line_interpolate_point(cover.axis[lined], 0.5, normalized=True)
        axes[lined] = chains[shapely.STRtree(chains).nearest(middle)]
    flat = np.flatnonzero(cover.deck & ~np.isin(np.arange(len(cover)), lined))
    for rows in _touching(cover.polygon[flat]):
        landing = _landing(cover, flat[rows])
        for row in flat[rows].tolist():
            axes[row] = landing
    return _lifted(axes, store)


def _lifted(axes: Objects, store: Store) -> Objects:
    """The same axes with the heights of the relief at their ends or landings; a bridge may span several cells."""
    lifted: dict[int, shapely.Geometry] = {}
    for axis in axes.tolist():
        if axis is not None and id(axis) not in lifted:
            relief = read_relief(store, bounds_of(objects([axis])))[1]
            lifted[id(axis)] = shapely.transform(
                shapely.force_3d(axis),
                lambda xyz, relief=relief: np.column_stack([xyz[:, :2], relief.sample(xyz[:, :2])]),
                include_z=True,
            )
    return objects([None if axis is None else lifted[id(axis)] for axis in axes.tolist()])


def deck_heights(axis: shapely.Geometry, xy: Floats) -> Floats:
    """(k,) f8 m: height of a deck at places (k, 2), from what `deck_axes` gave.

    A line is followed by its chainage between the heights of its ends; landings carry the plane that fits them best
    (least squares, level across where they lie in a row).
    """
    if isinstance(axis, shapely.LineString):
        ends = shapely.get_coordinates(axis, include_z=True)[[0, -1], 2]
        share = shapely.line_locate_point(axis, shapely.points(xy)) / axis.length
        return np.asarray(ends[0] + share * (ends[1] - ends[0]))
    places, z = np.split(shapely.get_coordinates(axis, include_z=True), [2], axis=1)
    centre, z = places.mean(axis=0), z[:, 0]
    plane = np.linalg.lstsq(places - centre, z - z.mean(), rcond=1e-3)[0]
    return np.asarray(z.mean() + (xy - centre) @ plane)


def _touching(polygons: Objects) -> list[Integers]:
    """Rows of polygons (m,) in groups that touch one another."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(polygons)
    if not n:
        return []
    one, other = shapely.STRtree(polygons).query(polygons, predicate="dwithin", distance=TOUCH)
    labels = connected_components(coo_array((np.ones(len(one)), (one, other)), shape=(n, n)), directed=False)[1]
    return [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]


def _landing(cover: Cover, rows: Integers) -> shapely.MultiPoint:
    edge = shapely.boundary(shapely.union_all(shapely.buffer(cover.polygon[rows], TOUCH / 2.0)))
    edges = shapely.get_parts(edge)
    places = np.concatenate([shapely.get_coordinates(shapely.segmentize(part, 1.0)) for part in edges.tolist()])
    points = shapely.points(places)
    grounded = np.flatnonzero(~cover.deck & np.isin(cover.kind.astype(str), CARRIED))
    touched = np.zeros(len(points), bool)
    if len(grounded):
        touched[shapely.STRtree(points).query(cover.polygon[grounded], "dwithin", distance=TOUCH)[1]] = True
    return shapely.MultiPoint(places[touched] if touched.sum() >= 2 else places)
