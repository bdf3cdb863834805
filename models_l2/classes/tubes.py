"""Tubes along lines in space: straight prisms between mitred joints, closed at both ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SIDES = 12


@dataclass(frozen=True, slots=True)
class Tubes:
    """Triangle meshes of n tubes, packed.

    vertices    (v, 3) f8 m        faces   (f, 3) i8, vertex within the batch, counter-clockwise seen from outside
    vertex_count, face_count       (n,)
    """

    vertices: Floats
    faces: Integers
    vertex_count: Integers
    face_count: Integers


def raise_tubes(xyz: Floats, counts: Integers, radius: Floats, sides: int = SIDES) -> Tubes:
    """Closed tubes around n lines of counts (n,) vertices each; `may_bend` says which lines come out sound.

    xyz       (k, 3) f8 m, lines one after the other, at least two vertices each, none twice in a row
    radius    (n,) f8 m, of the circle around the section's corners
    returns   every section is a regular polygon with `sides` corners, cut at a joint by the plane that halves the
              turn: the volume is the polygon's area times the length of the line, exactly
    """
    line = np.repeat(np.arange(len(counts)), counts)
    along, bisector = _directions(xyz, line)
    ring = np.empty((len(xyz), sides, 3))
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    ring[first] = xyz[first, None] + _section(along[first], radius, sides)
    for step in range(1, int(counts.max(initial=1))):
        at = first[counts > step] + step
        # The edges of a prism run along its line until they meet the plane of the joint.
        way, normal, before = along[at - 1], bisector[at], ring[at - 1]
        reach = np.einsum("kij,kj->ki", xyz[at, None] - before, normal) / np.einsum("kj,kj->k", way, normal)[:, None]
        ring[at] = before + reach[..., None] * way[:, None, :]
    return _meshed(ring, line, counts, first, sides)


def may_bend(xyz: Floats, counts: Integers, radius: Floats) -> NDArray[np.bool_]:
    """(n,) True where no joint of a line turns so sharply, or so near the next, that its tube would cut itself.

    A joint that turns by t takes radius * tan(t / 2) of both its neighbours.
    """
    line = np.repeat(np.arange(len(counts)), counts)
    step = np.diff(xyz, axis=0)
    length = np.sqrt((step**2).sum(axis=1))
    inner = line[1:] == line[:-1]
    way = step / np.where(length > 0.0, length, 1.0)[:, None]
    cosine = np.clip((way[1:] * way[:-1]).sum(axis=1), -1.0, 1.0)
    joint = inner[1:] & inner[:-1]
    takes = np.zeros(len(xyz))
    half = np.sqrt((1.0 - cosine) / np.maximum(1.0 + cosine, 1e-9))
    takes[1:-1] = np.where(joint, half, 0.0)
    need = radius[line[:-1]] * (takes[:-1] + takes[1:])
    wrong = inner & ~(need < 0.999 * length)
    sharp = joint & (cosine < -0.5)
    bad = np.bincount(line[:-1], weights=wrong, minlength=len(counts))
    bad += np.bincount(line[1:-1], weights=sharp, minlength=len(counts))
    return np.asarray(bad == 0)


def polygon_share(sides: int = SIDES) -> float:
    """Area of the section over that of the circle around its corners."""
    return float(sides / (2.0 * np.pi) * np.sin(2.0 * np.pi / sides))


def _directions(xyz: Floats, line: Integers) -> tuple[Floats, Floats]:
    """(k, 3) direction onward from every vertex, and the normal of the plane that cuts the tube there."""
    step = np.diff(xyz, axis=0)
    inner = line[1:] == line[:-1]
    step[inner] /= np.sqrt((step[inner] ** 2).sum(axis=1))[:, None]
    along, behind = np.zeros_like(xyz), np.zeros_like(xyz)
    along[:-1][inner], behind[1:][inner] = step[inner], step[inner]
    last = np.append(~inner, True)
    along[last] = behind[last]
    both = along + behind
    return along, both / np.maximum(np.sqrt((both**2).sum(axis=1)), 1e-12)[:, None]


def _section(way: Floats, radius: Floats, sides: int) -> Floats:
    """(n, sides, 3) corners around the origin, square to `way`, counter-clockwise seen against it."""
    # Pipes lie: the vertical is far from their line, save where one stands upright.
    upright = np.abs(way[:, 2]) > 0.9
    helper = np.where(upright[:, None], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    side = np.cross(way, helper)
    side /= np.sqrt((side**2).sum(axis=1))[:, None]
    other = np.cross(way, side)
    turn = 2.0 * np.pi * np.arange(sides) / sides
    round_ = np.cos(turn)[:, None] * side[:, None, :] + np.sin(turn)[:, None] * other[:, None, :]
    return np.asarray(radius[:, None, None] * round_)


def _meshed(ring: Floats, line: Integers, counts: Integers, first: Integers, sides: int) -> Tubes:
    k = np.arange(sides)
    onward = (k + 1) % sides
    hull = np.concatenate(
        [np.column_stack([k, onward, sides + k]), np.column_stack([onward, sides + onward, sides + k])]
    )
    fan = np.column_stack([np.zeros(sides - 2, np.int64), k[1:-1], k[2:]])
    starts = np.flatnonzero(np.append(line[1:] == line[:-1], False))
    last = first + counts - 1
    parts = (
        (first, fan[:, ::-1]), (starts, hull), (last, fan),
    )  # fmt: skip
    faces = np.concatenate([(sides * at[:, None, None] + shape).reshape(-1, 3) for at, shape in parts])
    owner = np.concatenate([np.repeat(line[at], len(shape)) for at, shape in parts])
    order = np.argsort(owner, kind="stable")
    return Tubes(
        ring.reshape(-1, 3), faces[order], counts * sides, np.bincount(owner, minlength=len(counts)).astype(np.int64)
    )
