"""The L3 model as a tileset under ADD refinement: big things on top, fine parts in tiles of their own.

Every part is in exactly one tile, so what is loaded is never loaded again; a hall keeps its roof while its brackets
come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tiles import models
from tiles.options import ModelTiles
from tiles.scheme import quadtree
from tiles.scheme.tree import Content, Tile
from tiles.shelf import Shelf
from twin.workers import Workers

REFINES_WITHIN = 104.0
"""A tile is refined when the camera is nearer than this many times its error (CesiumJS, 1080p, 16 px)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One tile to be written."""

    model: models.Model
    shelf: Shelf
    compression: str


def build(model: models.Model, options: ModelTiles, shelf: Shelf, workers: Workers) -> tuple[Tile, float]:
    """Write all tiles of the parts; the root's, and the largest size of an object in m."""
    root, largest = _tree(model, options)
    nodes = [node for node in root.walk() if len(node.rows)]
    jobs = (Job(model.take(node.rows), shelf, options.compression) for node in nodes)
    written = dict(zip((n.key for n in nodes), workers.map(write, jobs, "tiles l3"), strict=True))
    return _tile(root, written), largest


def write(job: Job) -> Content:
    """Write one tile."""
    return models.write(job.model, job.shelf, 0.0, job.compression)


def _tile(node: quadtree.Node, written: Mapping[str, Content]) -> Tile:
    below = tuple(_tile(child, written) for child in node.children)
    return Tile(float(node.error), written.get(node.key), below, "ADD")


def _tree(model: models.Model, options: ModelTiles) -> tuple[quadtree.Node, float]:
    """(root tile, largest size in m); rows of the tiles are rows of the model.

    Fine parts of an object wait in tiles of their own until the camera is near; from afar they are below a pixel.
    """
    floor = float(np.ceil(options.l3_reach / REFINES_WITHIN))
    budget = quadtree.Budget(options.root_bytes, options.inner_bytes, options.leaf_bytes, floor)
    fine = _is_fine(model, options)
    main, fine_rows = np.flatnonzero(~fine), np.flatnonzero(fine)
    items, first = _items(model, main)
    root = _with_rows(quadtree.quadtree(items, budget), main, first)
    if len(fine_rows):
        few, first = _items(model, fine_rows)
        near = float(np.ceil(options.l3_fine_reach / REFINES_WITHIN))
        late = _with_rows(quadtree.late_leaves(few, options.inner_bytes, near, "fine/"), fine_rows, first)
        root = replace(root, error=max(root.error, near), children=(*root.children, late))
    return root, float(items.sizes.max())


def _is_fine(model: models.Model, options: ModelTiles) -> NDArray[np.bool_]:
    """(b,) True for parts whose kind is fine, as long as their object has a part that is not."""
    if "part" not in model.columns:
        return np.zeros(len(model.solids), dtype=bool)
    kinds = [part.rpartition("_")[2] for part in model.columns["part"].tolist()]
    fine = np.isin(kinds, options.l3_fine_parts)
    owner = model.solids.owner
    starts = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    alone = np.minimum.reduceat(fine, starts)
    return fine & ~np.repeat(alone, np.diff(np.append(starts, len(owner))))


def _items(model: models.Model, rows: NDArray[np.int64]) -> tuple[quadtree.Items, NDArray[np.int64]]:
    """What the scheme places, one row per owner, and the place in `rows` of each owner's first solid (+ the end)."""
    solids = model.solids.take(rows)
    owner = solids.owner
    starts = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    first = np.append(starts, len(solids)).astype(np.int64)
    at = solids.vertex_offset[starts]
    low, high = np.minimum.reduceat(solids.vertices, at), np.maximum.reduceat(solids.vertices, at)
    extent = high - low
    # The shorter side stands for the width: a long low wall is missed no sooner than a square hut of its depth.
    sizes = np.maximum(extent[:, 2], extent[:, :2].min(axis=1))
    triangles = np.diff(solids.face_offset[first])
    weights = models.weight(model.schema, np.diff(first), triangles)
    notable = np.maximum.reduceat(model.notable[rows], starts)
    ranks = (2.0 * extent[:, 2] + extent[:, :2].max(axis=1)) * np.where(notable, 2.0, 1.0)
    return quadtree.Items((low + high)[:, :2] / 2.0, sizes, weights, ranks), first


def _with_rows(node: quadtree.Node, rows: NDArray[np.int64], first: NDArray[np.int64]) -> quadtree.Node:
    """The same tree with the solids of each owner in place of the owner."""
    counts = first[node.rows + 1] - first[node.rows]
    packed = np.concatenate([[0], np.cumsum(counts)])
    at = np.arange(packed[-1]) + np.repeat(first[node.rows] - packed[:-1], counts)
    children = tuple(_with_rows(child, rows, first) for child in node.children)
    return replace(node, rows=rows[at], children=children)
