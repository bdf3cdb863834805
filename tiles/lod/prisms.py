"""Blocks as closed prisms, ready to be drawn like any solids."""

from __future__ import annotations

import mapbox_earcut
import numpy as np
import shapely
from numpy.typing import NDArray

from tiles.lod.blocks import Blocks
from twin.frames import Frame
from twin.meshes import Skin, Solids, Surface

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOD = 10
"""Level of detail of a block that stands for several buildings: generalised (Biljecki et al. 2016, LoD1.0)."""


def prisms(blocks: Blocks, frame: Frame) -> Solids:
    """One solid a block, base and top along its slope, in the block's colour, without ground: nobody sees it.

    source  caps by ear clipping (mapbox-earcut)
    """
    n = len(blocks)
    parts, part_owner = shapely.get_parts(shapely.orient_polygons(blocks.outline), return_index=True)
    xy, ring, part = _corners(parts)
    owner = part_owner[part]
    per_block = np.bincount(owner, minlength=n)
    first = np.concatenate([[0], np.cumsum(per_block)])
    bottom = np.arange(len(xy)) + first[owner]
    top = bottom + per_block[owner]
    vertices, rise = np.empty((2 * len(xy), 3)), blocks.rise(owner, xy)
    vertices[bottom] = np.column_stack([xy, blocks.base[owner] + rise])
    vertices[top] = np.column_stack([xy, blocks.top[owner] + rise])
    after, caps = _after(ring), _caps(xy, ring, part)
    walls = np.concatenate(
        [np.column_stack([bottom, bottom[after], top[after]]), np.column_stack([bottom, top[after], top])]
    )
    faces = np.concatenate([walls, top[caps]])
    belongs = np.concatenate([owner, owner, owner[caps[:, 0]]])
    surface = np.concatenate([np.full(len(walls), Surface.WALL), np.full(len(caps), Surface.ROOF)]).astype(np.uint8)
    order = np.argsort(belongs, kind="stable")
    tone = np.round(np.clip(blocks.colour, 0.0, 1.0) * 255.0).astype(np.uint8)[belongs[order]]
    skin = Skin.bare(len(faces))
    skin = Skin(np.column_stack([tone, np.full(len(tone), 255, np.uint8)]), skin.texture, skin.uv)
    return Solids(
        frame,
        blocks.oid,
        vertices,
        faces[order].astype(np.int32),
        surface[order],
        2 * first,
        np.concatenate([[0], np.cumsum(np.bincount(belongs, minlength=n))]),
        np.where(blocks.members > 1, LOD, 12).astype(np.uint8),
        np.zeros(len(faces), np.uint8),
        skin=skin,
    )


def _corners(parts: NDArray[np.object_]) -> tuple[Floats, Integers, Integers]:
    """Corners (v, 2) of polygons without the repeated one, counter-clockwise outside and clockwise around holes, and
    the ring and the polygon of each."""
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    last = np.append(ring[1:] != ring[:-1], True)
    return xy[~last], ring[~last], part[ring[~last]]


def _after(ring: Integers) -> Integers:
    """(v,) the next corner along each ring."""
    after = np.arange(len(ring)) + 1
    ends = np.flatnonzero(np.append(ring[1:] != ring[:-1], True))
    after[ends] = np.concatenate([[0], ends[:-1] + 1])
    return after


def _caps(xy: Floats, ring: Integers, part: Integers) -> Integers:
    """Triangles (t, 3) of corners that fill every polygon, counter-clockwise."""
    ends = np.flatnonzero(np.append(ring[1:] != ring[:-1], True)) + 1
    last = np.append(part[ends - 1][1:] != part[ends - 1][:-1], True)
    bounds = np.concatenate([[0], ends[last]])
    holes = np.concatenate([[0], np.flatnonzero(last) + 1])
    found = [np.zeros((0, 3), np.int64)]
    for k in range(len(bounds) - 1):
        start, end = int(bounds[k]), int(bounds[k + 1])
        mine = (ends[holes[k] : holes[k + 1]] - start).astype(np.uint32)
        local = xy[start:end] - xy[start]
        found.append(mapbox_earcut.triangulate_float64(local, mine).reshape(-1, 3).astype(np.int64) + start)
    caps = np.concatenate(found)
    a, b, c = (xy[caps[:, k]] for k in range(3))
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    caps[turn < 0.0] = caps[turn < 0.0][:, ::-1]
    return caps[turn != 0.0]
