"""Roof types of one plane, and of one peak."""

from __future__ import annotations

import numpy as np
import shapely

from models_l2.footprints import Rings, to_polygons
from models_l2.roofs.card import NO_HEIGHT, Card, Drawn, Floats, RoofBatch, TypeOptions, origins

NO_PEAK = "轮廓内没有能看到所有檐口的一点 / no place in the outline that all eaves see"
LEAST_SHARE = 0.1


class Flat:
    """A level roof."""

    card = Card("flat", "平屋顶", "", "the footprint at the height of the roof")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """One level face a part, at the ridge or, where that is unknown, the eaves, and never below the floor."""
        top = np.where(np.isnan(batch.ridge), batch.eave, batch.ridge)
        refused = np.full(len(batch), "", dtype=object)
        refused[np.isnan(top)] = NO_HEIGHT
        plane = np.column_stack([np.zeros((len(batch), 2)), np.maximum(top, batch.floor)])
        return _whole(batch.rings, plane, refused)


class Shed:
    """One slope over the whole footprint."""

    card = Card("shed", "单坡", "flat", "one plane that falls to the right of the ridge direction")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """One face a part."""
        rings, angle, origin = batch.rings, batch.directions(), origins(batch.rings)
        up = np.column_stack([-np.sin(angle), np.cos(angle)])
        owner = rings.owner[rings.vertex_ring()]
        height = ((rings.xy - origin[owner]) * up[owner]).sum(axis=1)
        low, high = np.full(rings.n, np.inf), np.full(rings.n, -np.inf)
        np.minimum.at(low, owner, height)
        np.maximum.at(high, owner, height)
        reach = np.where(high > low, high - low, 0.0)
        rises = batch.rises(reach, options.shed_slope, options)
        slope = np.divide(rises.rise, reach, out=np.zeros(rings.n), where=reach > 0.0)
        start = np.where(np.isfinite(low), low, 0.0)
        return _whole(rings, np.column_stack([slope[:, None] * up, rises.eave - slope * start]), rises.refused)


class Pyramidal:
    """A slope from every eave to one peak."""

    card = Card("pyramidal", "攒尖", "hipped", "one triangle an edge, to the centroid of the footprint")

    def roof(self, batch: RoofBatch, options: TypeOptions) -> Drawn:
        """Triangles to the peak; refused where an eave is not seen from there."""
        rings, origin = batch.rings, origins(batch.rings)
        owner = rings.owner[rings.vertex_ring()]
        peak = _centroids(rings)
        step = rings.xy[rings.following()] - rings.xy
        inward = np.column_stack([-step[:, 1], step[:, 0]]) / np.hypot(step[:, 0], step[:, 1])[:, None]
        away = ((peak[owner] - rings.xy) * inward).sum(axis=1)
        nearest, farthest = np.full(rings.n, np.inf), np.zeros(rings.n)
        np.minimum.at(nearest, owner, away)
        np.maximum.at(farthest, owner, away)
        several = np.bincount(rings.owner, minlength=rings.n) != 1
        hidden = several | ~(nearest >= LEAST_SHARE * farthest) | ~(nearest > 0.0)
        rises = batch.rises(np.where(hidden, 0.0, nearest), options.slope, options)
        slope = np.where(hidden[owner], 0.0, rises.rise[owner] / np.where(hidden[owner], 1.0, away))
        run = ((origin[owner] - rings.xy) * inward).sum(axis=1)
        plane = np.column_stack([slope[:, None] * inward, rises.eave[owner] + slope * run])
        k = len(rings.xy)
        corner = np.column_stack([np.arange(k), rings.following(), k + owner]).ravel()
        refused = np.where(hidden, NO_PEAK, rises.refused)
        nodes = np.concatenate([rings.xy, peak])
        return Drawn(nodes, corner, np.arange(0, 3 * k + 1, 3), np.arange(k), owner, plane, origin, refused)


def _whole(rings: Rings, plane: Floats, refused: np.ndarray) -> Drawn:
    """Every part of the footprints as one face under the plane (n, 3) of its building."""
    part, face = np.unique(rings.part, return_inverse=True)
    owner = rings.owner[np.searchsorted(rings.part, part)]
    corner = np.arange(len(rings.xy))
    return Drawn(rings.xy, corner, rings.ring, face, owner, plane[owner], origins(rings), refused)


def _centroids(rings: Rings) -> Floats:
    """(n, 2) f8 m, zero where there is no footprint."""
    polygons = to_polygons(rings)
    centre = np.zeros((rings.n, 2))
    some = ~shapely.is_empty(polygons)
    centre[some] = shapely.get_coordinates(shapely.centroid(polygons[some]))
    return centre
