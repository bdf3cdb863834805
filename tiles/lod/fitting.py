"""Blocks merged until they fit into a tile: patch by patch, so that what a change did not touch is not merged again.

A patch is a square of a few tolerances; blocks of different patches never become one. So a patch depends on its own
blocks alone, and what became of it is kept under the digest of them. Tolerances are rungs of a ladder: a change moves
the tolerance of a tile seldom, and then everything in it is merged again, to the same bytes as in a full build.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles import models
from tiles.lod.blocks import Blocks, join
from tiles.lod.merging import fewest, merge_patches, standing_out

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_RUNGS = 4.0
"""Rungs of the ladder for every doubling of the tolerance."""

_WIDE = 9.0
"""A patch is this many tolerances wide."""

_MOST_TRIES, _STEEP, _FARTHEST = 40, 0.55, 4

_FEW, _FOURTH, _SURELY = 12, "0123", 1.15
"""So many patches tell of all; what they say to be so many times too much is not tried with all."""

_FACES_PER_CORNER = 3.0

_USUAL = float(models.weight(models.BLOCKS, 1.0, 8.0 * _FACES_PER_CORNER))
"""Estimated bytes of a block of eight corners; made cities and real ones had 9 to 12 in the mean."""

_NUMBERS = (
    "middle", "slope", "ground", "base", "top", "across", "low", "high", "members", "colour", "area", "landmark",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a patch: blocks, corners of their outlines, m of the highest that is left out."""

    blocks: int
    corners: int
    lost: float


@dataclass(frozen=True, slots=True)
class Merged:
    """The blocks of a tile, patch after patch, and what was learned of all patches on the way.

    keys        digest of each patch of `blocks`, with `counts` how many blocks each has
    tallies     rung -> digest of a patch -> what became of it there
    """

    blocks: Blocks
    rung: int
    keys: tuple[str, ...]
    counts: tuple[int, ...]
    tallies: Mapping[int, Mapping[str, Tally]] = field(default_factory=dict)

    @property
    def lost(self) -> float:
        """m, height of the highest that is left out."""
        return max((self.tallies[self.rung][key].lost for key in self.keys), default=0.0)


def fit(blocks: Blocks, tolerance: float, budget: float, before: Merged | None = None) -> Merged:
    """The blocks merged until they fit into a tile.

    tolerance   m, to begin with; the nearest rung is taken
    budget      bytes on the wire that the tile may have
    before      what was made of the same place before; it saves work and changes nothing
    """
    # Every try begins with the blocks as they came, so that no try adds to the distance of another.
    tallies: dict[int, Mapping[str, Tally]] = {}
    rung = round(_RUNGS * np.log2(tolerance))
    tries = 0
    while True:
        tries += 1
        last = tries > _MOST_TRIES
        patches = _Patches.of(blocks, rung)
        over = patches.fewest() * _USUAL / budget
        # What can be told beforehand to be too many is not merged: merging takes most of the time of a change.
        if over <= 1.0 or last:
            work = _Work(patches, before)
            tallies[rung], share = work.tally(_FEW)
            over = _weight(tallies[rung].values()) / share / budget
            if share < 1.0 and (over <= _SURELY or last):
                tallies[rung], _ = work.tally()
                over = _weight(tallies[rung].values()) / budget
            if over <= 1.0 or last:
                return work.merged(tallies)
        # About as fast as weight fell with the tolerance in a made city: few tries, and few that are far too coarse.
        rung += int(np.clip(round(_RUNGS * _STEEP * np.log2(over)), 1, _FARTHEST))


def weight_of(blocks: Blocks) -> float:
    """Estimated bytes on the wire of a tile of blocks."""
    corners = int(shapely.get_num_coordinates(blocks.outline).sum())
    return _bytes(len(blocks), corners)


def _weight(tallies: Collection[Tally]) -> float:
    return _bytes(sum(one.blocks for one in tallies), sum(one.corners for one in tallies))


def _bytes(blocks: int, corners: int) -> float:
    return float(models.weight(models.BLOCKS, blocks, _FACES_PER_CORNER * corners))


@dataclass(frozen=True, slots=True)
class _Patches:
    """Blocks in the order of their patches; (n,) patch and whether a block stands out, (p + 1,) edges, (p,) keys."""

    blocks: Blocks
    rung: int
    patch: Integers
    proud: NDArray[np.bool_]
    edges: Integers

    @property
    def tolerance(self) -> float:
        return float(2.0 ** (self.rung / _RUNGS))

    @classmethod
    def of(cls, blocks: Blocks, rung: int) -> _Patches:
        tolerance = 2.0 ** (rung / _RUNGS)
        place = np.floor(blocks.middle / (_WIDE * tolerance)).astype(np.int64)
        order = np.lexsort((place[:, 0], place[:, 1]))
        place = place[order]
        new = np.append(True, (place[1:] != place[:-1]).any(axis=1))
        edges = np.append(np.flatnonzero(new), len(place))
        proud = standing_out(blocks, tolerance)[order]
        return cls(blocks.take(order), rung, np.cumsum(new) - 1, proud, edges)

    def fewest(self) -> int:
        return fewest(self.blocks, self.patch, self.proud, self.tolerance)

    def keys(self) -> list[str]:
        """Digest of all that a patch is merged from, patch by patch."""
        blocks = self.blocks
        shapes = shapely.to_wkb(blocks.outline)
        plain = (getattr(blocks, name) for name in _NUMBERS)
        more = (values for values in blocks.columns.values() if values.dtype != object)
        numbers = np.column_stack([*plain, self.proud, *more])
        words = [blocks.oid, *(values for values in blocks.columns.values() if values.dtype == object)]
        text = ["\0".join(row).encode() for row in zip(*(column.tolist() for column in words), strict=True)]
        found = []
        for start, end in zip(self.edges[:-1].tolist(), self.edges[1:].tolist(), strict=True):
            told = hashlib.blake2b(b"".join(shapes[start:end]), digest_size=12)
            told.update(np.ascontiguousarray(numbers[start:end], "<f8").tobytes())
            told.update(b"\n".join(text[start:end]))
            found.append(told.hexdigest())
        return found

    def merge(self, wanted: Integers) -> tuple[Blocks, Integers, list[Tally]]:
        """Blocks of the patches `wanted` (w,), one patch after the other, how many of each, and what became of it."""
        rows = np.concatenate([np.arange(self.edges[k], self.edges[k + 1]) for k in wanted.tolist()])
        number = np.searchsorted(wanted, self.patch[rows])
        found, owner, lost = merge_patches(self.blocks.take(rows), number, self.proud[rows], self.tolerance)
        counts = np.bincount(owner, minlength=len(wanted))
        corners = np.bincount(owner, shapely.get_num_coordinates(found.outline), len(wanted)).astype(np.int64)
        told = zip(counts.tolist(), corners.tolist(), lost.tolist(), strict=True)
        return found, counts, [Tally(*one) for one in told]


class _Work:
    """Merging at one rung: what was known before is taken, what was not is merged together."""

    def __init__(self, patches: _Patches, before: Merged | None) -> None:
        self.patches, self.keys = patches, patches.keys()
        self.known: dict[str, Tally] = {}
        self.places: dict[str, tuple[int, int]] = {}
        self.pools: list[Blocks] = []
        if before is not None:
            self.known |= before.tallies.get(patches.rung, {})
            if before.rung == patches.rung:
                self._keep(before.blocks, before.keys, before.counts)

    def tally(self, few: int = 0) -> tuple[dict[str, Tally], float]:
        """What becomes of every patch, by its key; and the share of the blocks that those patches have.

        few     where there are more patches, every fourth of them is taken for all, by its digest
        """
        taken = [k for k, key in enumerate(self.keys) if not few or key[0] in _FOURTH]
        if len(taken) < few:
            return self.tally()
        self._merge([k for k in taken if self.keys[k] not in self.known])
        share = np.diff(self.patches.edges)[taken].sum() / len(self.patches.blocks)
        return {self.keys[k]: self.known[self.keys[k]] for k in taken}, float(share)

    def merged(self, tallies: Mapping[int, Mapping[str, Tally]]) -> Merged:
        """The blocks of all patches."""
        self._merge([k for k, key in enumerate(self.keys) if key not in self.places])
        spans = [self.places[key] for key in self.keys]
        rows = np.concatenate([np.arange(start, start + count) for start, count in spans])
        counts = tuple(count for _, count in spans)
        return Merged(join(self.pools).take(rows), self.patches.rung, tuple(self.keys), counts, tallies)

    def _merge(self, wanted: list[int]) -> None:
        if wanted:
            found, counts, told = self.patches.merge(np.array(wanted))
            names = [self.keys[k] for k in wanted]
            self.known |= zip(names, told, strict=True)
            self._keep(found, names, counts.tolist())

    def _keep(self, blocks: Blocks, keys: Sequence[str], counts: Sequence[int]) -> None:
        at = sum(len(pool) for pool in self.pools)
        self.pools.append(blocks)
        for key, count in zip(keys, counts, strict=True):
            self.places[key] = (at, count)
            at += count
