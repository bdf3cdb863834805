"""The L2 model as tiles with real coarse levels: leaves hold buildings, every tile above blocks that stand for them.

A tile depends on the cells below it and on nothing else. It is made once, kept under the digest of what it depends on,
and made again only where that changed; so the result of a change is that of a full build, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from tiles import models
from tiles.gltf import colours
from tiles.lod.blocks import join, single
from tiles.lod.fitting import Merged, fit, weight_of
from tiles.lod.notes import Made, keep_merged, merged_before, pack, unpack
from tiles.lod.prisms import prisms
from tiles.options import ModelTiles
from tiles.scheme.squares import Branch, divide
from tiles.scheme.tree import Tile, rounded
from tiles.shelf import Shelf, digest
from tiles.skins import dress as skins
from twin.meshes import concatenate
from twin.outcome import Outcome
from twin.store.protocol import ModelCell, Store
from twin.workers import Workers

Floats = NDArray[np.float64]

MODEL = "l2"
UNSEEN_PICTURE = "图片无法读取,面用其颜色 / the picture cannot be read, its faces wear a colour"
_TOGETHER = 8.0
"""Leaves that one worker makes before it comes back."""

_STEP, _SHORT_STEP, _LIGHT = 1.0, 0.5, 0.5
"""Tolerance that a level begins with, of the error below it: errors add up, so the error comes near twice that below.
A tile that then has less than such a share of its budget is left out: the one above can be as fine within its own
budget, and clients climb one level less. The short step is for the root and for tiles over such gaps and over leaves:
without a level between, too much would have to be there at once."""

_WIDER, _LEAST_SIDE, _LEAST_BYTES = 4, 256, 20_000
"""A lighter picture has pixels so many times as wide, and no less than so many pixels and bytes."""

_HEAVY, _WORTH, _ERROR_PER_TEXEL = 50_000, 0.6, 8.0
"""From so many bytes on a tile gets a lighter one above it, which has this share of them at most: less is not worth a
request. Its error is so many of its pixels, m."""

_LEAST_ERROR = 0.5
"""m: a tile with tiles below it is never said to be exact, even where its blocks are."""

_DEEPEST = 10.0
"""Coarse blocks reach this far further below the relief at most, m: coarse terrain is off by as much."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What every tile is made with.

    shown       oids that L3 shows as well          maker       digest of options, frame and code
    """

    store: Store
    shelf: Shelf
    options: ModelTiles
    shown: frozenset[str]
    maker: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A square of the tree before it is made: the cells below it, its key, its place, its quarters."""

    cells: tuple[ModelCell, ...]
    key: str
    place: str
    weight: float
    quarters: tuple[Plan, ...] = ()
    is_root: bool = False

    def walk(self) -> Iterator[Plan]:
        """The square and everything below."""
        yield self
        for quarter in self.quarters:
            yield from quarter.walk()

    def notes(self) -> list[str]:
        """Names of the notes that are kept of the square and everything below."""
        return [name for part in self.walk() for name in (part.key, *([part.place] if part.quarters else []))]


def plan(index: list[ModelCell], setting: Setting) -> Plan:
    """The tree of the cells of a model (at least one); squares whose cells fit into a leaf are not divided."""
    bounds = np.array([cell.bounds for cell in index])
    centres = (bounds[:, :2] + bounds[:, 2:]) / 2.0
    weights = models.weight(models.BLOCKS, [cell.count for cell in index], [cell.faces for cell in index])
    root = _planned(divide(centres, weights, setting.options.leaf_bytes), index, weights, setting)
    # A root has a budget of its own, so it is not the tile that the same square is in a larger city.
    return replace(root, key=digest(root.key.encode(), b"root"), is_root=True)


def _planned(branch: Branch, index: list[ModelCell], weights: Floats, setting: Setting) -> Plan:
    quarters = tuple(_planned(quarter, index, weights, setting) for quarter in branch.quarters)
    cells = tuple(index[row] for row in branch.rows.tolist())
    below = [quarter.key for quarter in quarters] or [cell.digest for cell in cells]
    key = digest(setting.maker.encode(), *(word.encode() for word in below))
    place = f"{branch.square.level}_{branch.square.x}_{branch.square.y}-{setting.maker[:8]}"
    return Plan(cells, key, place, float(weights[branch.rows].sum()), quarters)


@dataclass(frozen=True, slots=True)
class Job:
    """A part of the tree for one worker."""

    setting: Setting
    plan: Plan


def build(root: Plan, setting: Setting, workers: Workers) -> Made:
    """Make all tiles of the tree that are not there yet; the root's.

    Workers leave notes on the shelf and send nothing back, so that memory holds one path of the tree, never the city.
    """
    waves = _waves(root, setting)
    done, total = 0, sum(map(len, waves))
    for wave in waves:
        for _ in workers.map(make, [Job(setting, part) for part in wave]):
            done += 1
            workers.tell(f"tiles {MODEL}", done, total)
    return _made(root, setting)


def _waves(part: Plan, setting: Setting) -> list[list[Plan]]:
    """Shares of the tree that were not made before: those that need no other, those made of them, and so on."""
    if setting.shelf.note(part.key).is_file():
        return []
    if part.weight <= _TOGETHER * setting.options.leaf_bytes or not part.quarters:
        return [[part]]
    below = zip_longest(*(_waves(quarter, setting) for quarter in part.quarters), fillvalue=[])
    return [*([*chain(*shares)] for shares in below), [part]]


def make(job: Job) -> None:
    """Make the tiles of one share of the tree."""
    _made(job.plan, job.setting)


def _made(part: Plan, setting: Setting) -> Made:
    """The tiles of a square, from the shelf where they are there."""
    known = _known(part, setting)
    if known is not None:
        return known
    budget = setting.options.root_bytes if part.is_root else setting.options.inner_bytes
    if part.quarters:
        before = merged_before(setting.shelf, part.place)
        made, merged = lift(
            [_made(quarter, setting) for quarter in part.quarters], setting, budget, before, not part.is_root
        )
        if merged is not None:
            keep_merged(setting.shelf, part.place, merged)
    else:
        made = _square(part, setting, budget)
    setting.shelf.keep_note(part.key, pack(made))
    return made


def _known(part: Plan, setting: Setting) -> Made | None:
    """What was made of a square before, where all of it is still there."""
    note = setting.shelf.note(part.key)
    if not note.is_file():
        return None
    known = unpack(note.read_bytes())
    there = all(setting.shelf.has(tile.content.name) for tile in known.tile.walk() if tile.content is not None)
    return known if there else None


def _square(part: Plan, setting: Setting, budget: float) -> Made:
    """The tiles of a square of few cells, divided further where its buildings weigh too much."""
    names = [cell.name for cell in part.cells]
    batches = dict(setting.store.read_model(MODEL, names))
    solids = concatenate([batches[name] for name in names])
    drawn = models.has_surface(solids)
    outcomes = tuple(Outcome(oid, "skipped", models.UNSEEN, "tiles") for oid in solids.oid[~drawn].tolist())
    if not drawn.any():
        return Made(Tile(0.0, None), None, 0.0, 0.0, outcomes)
    model = models.buildings(solids.take(np.flatnonzero(drawn)), setting.shown)
    at = model.solids.vertex_offset[:-1]
    low, high = (f.reduceat(model.solids.vertices[:, :2], at) for f in (np.minimum, np.maximum))
    faces = np.diff(model.solids.face_offset)
    weights = models.weight(model.schema, np.ones(len(faces)), faces)
    weights += skins.weight(model.solids, setting.options.textures) * setting.options.leaf_bytes
    branch = divide((low + high) / 2.0, weights, setting.options.leaf_bytes)
    made = _divided(branch, model, setting, budget, not part.is_root)
    return replace(made, outcomes=outcomes + made.outcomes)


def _divided(branch: Branch, model: models.Model, setting: Setting, budget: float, may_skip: bool) -> Made:
    if branch.quarters:
        inner = setting.options.inner_bytes
        parts = [_divided(quarter, model, setting, inner, True) for quarter in branch.quarters]
        return lift(parts, setting, budget, None, may_skip)[0]
    return leaf(model.take(np.sort(branch.rows)), setting)


def leaf(model: models.Model, setting: Setting) -> Made:
    """A tile of buildings as they are, and the blocks that stand for them one level up."""
    options = setting.options
    dressed = skins.dress(model.solids, setting.store.read_image, options.textures)
    written = models.write(model, setting.shelf, options.sink, options.compression, dressed, options.outlines)
    tops = model.solids.vertices[:, 2]
    at = model.solids.vertex_offset[:-1]
    tall = np.maximum.reduceat(tops, at) - np.minimum.reduceat(tops, at)
    tone = colours.use_colours(model.functions, model.solids.vertices[at, :2])
    tone = np.where(np.isfinite(dressed.tone), dressed.tone, tone)
    blocks, lost = single(model.solids, model.columns, tone, model.notable & (tall > options.coarse), options.coarse)
    outcomes = tuple(Outcome(name, "fallback", f"{UNSEEN_PICTURE}: {why}", "tiles") for name, why in dressed.broken)
    tile = Tile(0.0, written)
    if dressed.worn is not None:
        tile = _lighter(tile, model, setting)
    return Made(tile, blocks, lost, float(tall.max()), outcomes, whole=True)


def _lighter(tile: Tile, model: models.Model, setting: Setting) -> Tile:
    """A tile with a picture under tiles of the same buildings whose pictures are coarser, as long as those are lighter.

    The error of a coarse picture is a multiple of its pixel, so that at 16 pixels of error, where clients refine, a
    pixel of it is two of the screen.
    """
    options, textures = setting.options, setting.options.textures
    for _ in range(textures.levels):
        if tile.content is None or tile.content.wire < _HEAVY:
            break
        side, most = max(textures.side // _WIDER, _LEAST_SIDE), textures.most_bytes // _WIDER**2
        textures = replace(textures, texel=_WIDER * textures.texel, side=side, most_bytes=max(most, _LEAST_BYTES))
        dressed = skins.dress(model.solids, setting.store.read_image, textures)
        written = models.write(model, setting.shelf, options.sink, options.compression, dressed, options.outlines)
        if written.wire > _WORTH * tile.content.wire:
            break
        tile = Tile(rounded(_ERROR_PER_TEXEL * textures.texel), written, (tile,))
    return tile


def lift(
    parts: list[Made], setting: Setting, budget: float, before: Merged | None = None, may_skip: bool = True
) -> tuple[Made, Merged | None]:
    """The tile above others, in which blocks stand for all that is below; and how they were merged, if they were.

    Where the blocks of the parts fit into one tile, that tile takes the place of the parts' own coarse tiles: their
    children become its children. Else neighbours are merged, as little as will do. A tile without content stands for
    one that is left out: its children are those of the tile above.
    budget      bytes on the wire that the tile may have
    before      how blocks of this place were merged before
    may_skip    the tile may be left out
    """
    options = setting.options
    outcomes = tuple(outcome for part in parts for outcome in part.outcomes)
    seen = [(part, part.blocks) for part in parts if part.blocks is not None]
    if not seen:
        return Made(Tile(0.0, None), None, 0.0, 0.0, outcomes), None
    blocks, merged = join([drawn for _, drawn in seen]), None
    lost, tallest = (max(values) for values in zip(*((p.lost, p.tallest) for p, _ in seen), strict=True))
    children = tuple(tile for part, _ in seen for tile in ((part.tile,) if part.tile.content else part.tile.children))
    if weight_of(blocks) <= budget:
        leaves = {id(part.tile) for part, _ in seen if part.whole}
        spent = ((tile,) if id(tile) in leaves else tile.children or (tile,) for tile in children)
        children = tuple(tile for tiles in spent for tile in tiles)
    else:
        bare = may_skip and all(part.tile.content and not part.whole for part, _ in seen)
        step = _STEP if bare else _SHORT_STEP
        tolerance = max(options.coarse, step * max(tile.error for tile in children))
        merged = fit(blocks, tolerance, budget, before)
        if bare and weight_of(merged.blocks) < _LIGHT * budget:
            hollow = Tile(max(tile.error for tile in children), None, children)
            return Made(hollow, blocks, lost, tallest, outcomes), merged
        blocks, lost = merged.blocks, max(lost, merged.lost)
    below = max(tile.error for tile in children)
    error = rounded(max(float(blocks.error.max(initial=0.0)), lost, below, _LEAST_ERROR))
    model = models.groups(prisms(blocks, setting.store.frame), blocks.columns, blocks.members)
    sink = options.sink + min(error, _DEEPEST)
    written = models.write(model, setting.shelf, sink, options.compression, outlined=options.outlines)
    return Made(Tile(error, written, children), blocks, lost, tallest, outcomes), merged
