"""No holes under REPLACE: what a coarse tile names is below it, and its error is no smaller than what is measured.

source  OGC 22-025r4, refinement; the distance is that of Hausdorff, from the vertices of either side
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from tiles.checks.findings import Findings
from tiles.checks.gltf import Body

Floats = NDArray[np.float64]

_EXAMPLES = 3
_NEAREST = 24
_MOST_POINTS = 20_000
_STEEP, _TOUCH = 1e-4, 1e-3
_FARTHEST = 1e9
"""m: what lies farther is told as outside of its volume, and is not measured."""


@dataclass(slots=True)
class Node:
    """A tile as far as coverage asks: who replaces it, what it holds, how far off it says it is.

    parent      name of the tile above; "" of a root
    error       m
    refine      "ADD" or "REPLACE"
    contents    names of its files
    """

    parent: str
    error: float
    refine: str
    contents: tuple[str, ...] = ()
    children: list[str] = field(default_factory=list)

    @property
    def replaced(self) -> bool:
        """Whether children are drawn in its place."""
        return self.refine == "REPLACE" and bool(self.children)


def check_objects(nodes: Mapping[str, Node], oids: Mapping[str, NDArray[np.object_]], found: Findings) -> None:
    """Every object that a replaced tile names is in a tile below it, as far as all contents below name theirs.

    oids    name of a tile -> column `oid` of its contents; none where one of them has no such column
    """
    below: dict[str, set[str]] = defaultdict(set)
    blind: set[str] = set()
    for name in reversed(list(nodes)):
        node = nodes[name]
        own = set(oids[name].tolist()) if name in oids else set()
        if node.parent and (name in blind or (node.contents and name not in oids)):
            blind.add(node.parent)
        if node.replaced and own and name not in blind:
            lost = sorted(own - below[name])
            named = ", ".join(lost[:_EXAMPLES])
            found.require(
                not lost, name, f"{len(lost)} objects are in no tile below: {named}", "OBJECT_LOST_UNDER_REPLACE"
            )
        if node.parent:
            below[node.parent] |= below[name] | own
        below.pop(name, None)


def leaves_below(nodes: Mapping[str, Node], name: str) -> list[str]:
    """Names of the tiles below one that nothing replaces."""
    found, stack = [], list(nodes[name].children)
    while stack:
        below = stack.pop()
        stack += nodes[below].children
        if not nodes[below].replaced:
            found.append(below)
    return sorted(found)


def sample(nodes: Mapping[str, Node], most: int, most_leaves: int) -> list[str]:
    """Tiles whose error is worth measuring: spread evenly over those with content, children and few enough leaves."""
    fit = [
        name
        for name, node in nodes.items()
        if node.contents and node.replaced and len(leaves_below(nodes, name)) <= most_leaves
    ]
    if len(fit) <= most:
        return fit
    return [fit[k] for k in np.linspace(0, len(fit) - 1, most).round().astype(int).tolist()]


def distance(a: Body, b: Body) -> float:
    """Metres: the farthest that a vertex of one lies from the other or from the ground that both stand on.

    Both in axes with z up, and taken as solid: what is below a roof is inside. Never more than the Hausdorff distance
    of the solids with their ground, so a body that the other leaves out counts its height.
    """
    if max(np.abs(a.points).max(), np.abs(b.points).max()) > _FARTHEST:
        return 0.0
    return max(_one_way(a, b), _one_way(b, a))


def _heights(body: Body) -> tuple[Floats, Floats]:
    """(different vertices (n, 3), height (n,) of each above the lowest vertex that it hangs together with)."""
    points, row = np.unique(body.points, axis=0, return_inverse=True)
    triangles = row.reshape(-1)[body.triangles]
    n = len(points)
    sides = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    graph = coo_matrix((np.ones(len(sides), bool), (sides[:, 0], sides[:, 1])), (n, n))
    count, label = connected_components(graph, directed=False)
    foot = np.full(count, np.inf)
    np.minimum.at(foot, label, points[:, 2])
    return points, points[:, 2] - foot[label]


def _covered(points: Floats, by: Floats) -> NDArray[np.bool_]:
    """(n,) True where a triangle of `by` (m, 3, 3) is straight above a point."""
    doubled = _cross(by[:, 1] - by[:, 0], by[:, 2] - by[:, 0])
    lying = np.abs(doubled) > _STEEP
    by, doubled = by[lying], doubled[lying]
    found = np.zeros(len(points), bool)
    if not len(by):
        return found
    rings = np.concatenate([by[:, :, :2], by[:, :1, :2]], axis=1)
    tree = shapely.STRtree(shapely.polygons(rings))
    at, over = tree.query(shapely.points(points[:, :2]), predicate="intersects")
    a, b, c = by[over, 0], by[over, 1], by[over, 2]
    spot = points[at]
    v = _cross(spot - a, c - a) / doubled[over]
    w = _cross(b - a, spot - a) / doubled[over]
    height = a[:, 2] + v * (b[:, 2] - a[:, 2]) + w * (c[:, 2] - a[:, 2])
    found[at[height >= spot[:, 2] - _TOUCH]] = True
    return found


def _cross(p: Floats, q: Floats) -> Floats:
    """Twice the area (n,) in plan that two vectors (n, 3) span."""
    return np.asarray(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])


def _one_way(of: Body, to: Body) -> float:
    """Farthest of the vertices of a body from the triangles of another or from its own foot."""
    corners = to.points[to.triangles]
    if not len(of.triangles) or not len(corners):
        return 0.0
    points, height = _heights(of)
    kept = np.arange(0, len(points), -(-len(points) // _MOST_POINTS))
    kept = kept[~_covered(points[kept], corners)]
    if not len(kept):
        return 0.0
    points, far = points[kept], height[kept]
    middles = corners.mean(axis=1)
    tree = cKDTree(middles)
    _, near = tree.query(points, k=min(_NEAREST, len(middles)))
    near = near.reshape(len(points), -1)
    for k in range(near.shape[1]):
        far = np.minimum(far, point_triangle(points, corners[near[:, k]]))
    reach = np.linalg.norm(corners - middles[:, None], axis=2).max(axis=1)
    worst = 0.0
    # Near middles give a distance that is too far where a large triangle's middle is not near; the farthest are
    # taken against all triangles that could be nearer, until none is left that could be the worst.
    for row in np.argsort(-far, kind="stable").tolist():
        if far[row] <= worst:
            break
        close = np.linalg.norm(middles - points[row], axis=1) - reach < far[row]
        if close.any():
            spot = np.broadcast_to(points[row], (int(close.sum()), 3))
            far[row] = min(far[row], float(point_triangle(spot, corners[close]).min()))
        worst = max(worst, float(far[row]))
    return worst


def point_triangle(points: Floats, corners: Floats) -> Floats:
    """Distances (n,) of points (n, 3) from triangles (n, 3, 3), each from its own.

    source  Ericson, Real-Time Collision Detection, 2005, 5.1.5, as the least over the inside and the three sides
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    best = np.minimum(np.minimum(_segment(points, a, b), _segment(points, b, c)), _segment(points, c, a))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    fine = length > 0.0
    unit = normal / np.where(fine, length, 1.0)[:, None]
    inside = fine.copy()
    for p, q in ((a, b), (b, c), (c, a)):
        inside &= np.einsum("ij,ij->i", np.cross(q - p, points - p), unit) >= 0.0
    plane = np.abs(np.einsum("ij,ij->i", points - a, unit))
    return np.asarray(np.where(inside, np.minimum(plane, best), best))


def _segment(points: Floats, p: Floats, q: Floats) -> Floats:
    along = q - p
    squared = np.einsum("ij,ij->i", along, along)
    at = np.einsum("ij,ij->i", points - p, along) / np.where(squared > 0.0, squared, 1.0)
    return np.asarray(np.linalg.norm(points - p - np.clip(at, 0.0, 1.0)[:, None] * along, axis=1))


def joined(bodies: Sequence[Body]) -> Body:
    """Several bodies as one."""
    starts = np.cumsum([0, *(len(body.points) for body in bodies)])
    return Body(
        np.concatenate([body.points for body in bodies]),
        np.concatenate([body.triangles + start for body, start in zip(bodies, starts, strict=False)]),
    )
