"""Straight skeletons of footprints: which part of a plan belongs to which edge, and how far in it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models_l2.footprints import Rings

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CODES: Mapping[int, str] = {
    0: "",
    1: "骨架不收敛 / skeleton does not come to an end",
    2: "骨架节点无法配对 / skeleton edges do not pair at a node",
    3: "骨架面不闭合 / a face of the skeleton does not close",
    4: "骨架面积或距离不符 / faces of the skeleton miss the area or the distances",
}


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The faces of e outline edges: edge i runs from vertex i of the rings to the next one along its ring.

    xy       (m, 2) f8 frame m, nodes                 run      (m,) f8 m, distance of a node to the edges around it
    corner   (k,) i8 nodes of the faces               ring     (e + 1,) i8, face i has corners ring[i] .. ring[i + 1]
    code     (n,) i8 of each building, 0 where all its faces are there; CODES has the words

    A face is a simple polygon, counter-clockwise; its first two corners are its edge. Faces of a building without a
    skeleton have no corners.
    """

    xy: Floats
    run: Floats
    corner: Integers
    ring: Integers
    code: Integers


def straight_skeleton(rings: Rings) -> Skeleton:
    """The faces swept by every edge while the outline shrinks at one speed, checked to tile the footprint.

    rings    cleaned rings of n buildings, holes included; no two vertices in one place
    source   O. Aichholzer, F. Aurenhammer, D. Alberts, B. Gärtner: A novel type of skeleton for polygons, Journal of
             Universal Computer Science 1 (1995); events after P. Felkel and Š. Obdržálek (1998), where all that happens
             at one place is one event (D. Eppstein and J. Erickson: Raising roofs, crashing cycles, 1999)
    """
    # Compiled code is loaded by those who use it only.
    from models_l2.roofs.tracing import trace

    first = np.flatnonzero(np.append(True, rings.part[1:] != rings.part[:-1])) if len(rings.part) else np.zeros(0, int)
    bounds = np.append(rings.ring[first], len(rings.xy)).astype(np.int64)
    x, y = np.ascontiguousarray(rings.xy[:, 0]), np.ascontiguousarray(rings.xy[:, 1])
    faces = trace(x, y, rings.following(), bounds)
    nodes, corners = int(faces.used[0]), int(faces.used[1])
    code = np.zeros(rings.n, np.int64)
    np.maximum.at(code, rings.owner[first], faces.code)
    return Skeleton(
        np.column_stack([faces.x[:nodes], faces.y[:nodes]]),
        faces.t[:nodes],
        faces.corner[:corners],
        np.append(0, faces.end),
        code,
    )
