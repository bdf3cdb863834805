"""Corners where high and low roof faces take turns: the walls between them would meet in one upright edge of four.

Such a corner is taken apart: one face gives a small triangle at it to its neighbour, so that the two faces beside it
touch along a short edge and three faces are left at every place.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models_l2.footprints import Rings

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Legs of the triangle, m, and at most this share of the edges that they lie on.
_LEG, _SHARE = 0.05, 0.25
# A corner nearly straight (height over base of its triangle) has none to give; shorter sides, m, are slivers.
_STRAIGHT, _NARROWEST = 0.05, 0.005


def crowded(lower: Integers, upper: Integers, count: int) -> Integers:
    """Levels (s,) ascending from which upright edges rise that more than two walls meet.

    lower, upper   (w,) level of every wall at each of its ends; the levels of a column are in a row
    count          of levels
    source         an edge of a 2-manifold has two faces (ISO 19107; val3dity 303)
    """
    up = np.bincount(lower, minlength=count) - np.bincount(upper, minlength=count)
    return np.flatnonzero(np.cumsum(up) > 2)


def parted(rings: Rings, mate: Integers, column: Integers, high: NDArray[np.bool_]) -> Rings | None:
    """The rings with one saddle of every building taken apart; None where none can be.

    mate     (k,) opposite edge of the edge that begins at every vertex, -1 at the outline
    column   (k,) the crowded column of every vertex, -1 elsewhere
    high     (k,) the face lies above the crowded edge there
    """
    following = rings.following()
    before = np.empty_like(following)
    before[following] = np.arange(len(following))
    at = np.flatnonzero((column >= 0) & (mate >= 0) & (mate[before] >= 0))
    giver = at[_may_give(rings, at, mate, high, following, before)]
    owner = rings.owner[rings.vertex_ring()[giver]]
    if not len(giver):
        return None
    giver = giver[np.unique(owner, return_index=True)[1]]
    entry, leave = _legs(rings.xy, before[giver], giver, following[giver])
    behind = np.concatenate([giver, mate[giver], mate[giver], mate[before[giver]]])
    xy = rings.xy.copy()
    xy[giver] = entry
    xy = np.insert(xy, behind + 1, np.concatenate([leave, leave, entry, entry]), axis=0)
    added = np.bincount(rings.vertex_ring()[behind], minlength=len(rings.part))
    offsets = np.concatenate([[0], np.cumsum(np.diff(rings.ring) + added)]).astype(np.int64)
    return replace(rings, xy=xy, ring=offsets)


def _may_give(
    rings: Rings, at: Integers, mate: Integers, high: NDArray[np.bool_], following: Integers, before: Integers
) -> NDArray[np.bool_]:
    """(a,) True for corners between two other faces across the step that are wide enough to be cut, and convex."""
    part = rings.part[rings.vertex_ring()]
    across = np.stack([following[mate[at]], mate[before[at]]])
    turn = (high[across] != high[at]).all(axis=0) & (part[across[0]] != part[across[1]])
    entry, leave = _legs(rings.xy, before[at], at, following[at])
    into, out = rings.xy[at] - entry, leave - rings.xy[at]
    cross = into[:, 0] * out[:, 1] - into[:, 1] * out[:, 0]
    chord = np.hypot(*(leave - entry).T)
    longest = np.maximum(np.hypot(*into.T), np.hypot(*out.T))
    return np.asarray(turn & (cross > _STRAIGHT * chord * longest) & (chord > _NARROWEST) & (longest > _NARROWEST))


def _legs(xy: Floats, before: Integers, at: Integers, after: Integers) -> tuple[Floats, Floats]:
    """(g, 2) the ends of the triangle on the edges that come to a corner and leave it."""
    ends = []
    for other in (before, after):
        step = xy[other] - xy[at]
        length = np.hypot(step[:, 0], step[:, 1])
        share = np.minimum(_LEG / np.maximum(length, _LEG), _SHARE)
        ends.append(xy[at] + share[:, None] * step)
    return ends[0], ends[1]
