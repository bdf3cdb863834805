"""Buildings of the city outside the wall: slabs, towers, malls, schools, works and village yards, all from lattices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.datong import blocks, facts
from ingest.datong.blocks import Compounds
from ingest.datong.plan import ELL, FUNCTIONS, RECT, ROOFS, STRUCTURES, YOU, Buildings, Extent, Floats, buildings
from ingest.datong.terrain import Terrain

USE = {name: FUNCTIONS.index(name) for name in FUNCTIONS}
ROOF = {name: ROOFS.index(name) for name in ROOFS}
MADE_OF = {name: STRUCTURES.index(name) for name in STRUCTURES}
URBAN_REACH, CROWDED_REACH, CROWDED = 6500.0, 2400.0, 250_000
_KINDS = len(blocks.KINDS)

# Lattice of each kind: pitch east, pitch north, plan width, plan depth, margin to the fence (m).
_LATTICE = {
    blocks.SLABS: (66.0, 27.0, 57.0, 11.8, 8.0),
    blocks.MIDRISE: (60.0, 40.0, 46.0, 14.0, 9.0),
    blocks.TOWERS: (58.0, 62.0, 33.0, 17.5, 10.0),
    blocks.MALL: (104.0, 112.0, 82.0, 62.0, 8.0),
    blocks.OFFICES: (78.0, 84.0, 46.0, 30.0, 10.0),
    blocks.SCHOOL: (84.0, 62.0, 62.0, 40.0, 10.0),
    blocks.HOSPITAL: (88.0, 74.0, 66.0, 46.0, 10.0),
    blocks.WORKS: (86.0, 58.0, 68.0, 38.0, 8.0),
    blocks.PARK: (900.0, 900.0, 22.0, 12.0, 20.0),
    blocks.YARDS: (16.5, 24.0, 13.5, 6.4, 5.0),
    blocks.DENSE: (14.0, 18.4, 12.8, 5.8, 3.0),
}


@dataclass(frozen=True, slots=True)
class Modern:
    """The city outside the wall: houses, the compounds that are built up, and sports grounds (s, 4)."""

    houses: Buildings
    used: Compounds
    fields: Floats


def _cells(box: Floats, kind: int) -> tuple[NDArray[np.int64], Floats, Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Lattice points of every box: owner, u, v, column and row."""
    du, dv, w, d, margin = _LATTICE[kind]
    size = np.column_stack([box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]]) - 2 * margin
    n = np.maximum(0, np.floor((size - (w, d)) / (du, dv)).astype(int) + 1)
    count = n.prod(axis=1)
    owner = np.repeat(np.arange(len(box)), count)
    k = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    i, j = k % np.maximum(n[owner, 0], 1), k // np.maximum(n[owner, 0], 1)
    spare = size[owner] - (n[owner] - 1) * (du, dv) - (w, d)
    low = box[owner, :2] + margin + 0.5 * np.array([w, d]) + 0.5 * spare
    return owner, low[:, 0] + i * du, low[:, 1] + j * dv, i, j


def _homes(rng: np.random.Generator, part: Compounds, kind: int) -> Buildings:
    """Rows of slabs, mid-rises or staggered towers; one storey count per compound, a few exceptions."""
    owner, u, v, _, j = _cells(part.box, kind)
    _, _, w, d, _ = _LATTICE[kind]
    low, high = {blocks.SLABS: (5, 7), blocks.MIDRISE: (9, 13), blocks.TOWERS: (18, 34)}[kind]
    own = rng.integers(low, high, len(part))
    n = len(u)
    storeys = own[owner] + (rng.random(n) < 0.15) * rng.integers(-1, 2, n)
    wide = w * rng.uniform(0.82, 1.0, len(part))[owner] * rng.choice([1.0, 1.0, 0.8], n)
    keep = rng.random(n) > 0.06
    pitched = (rng.random(len(part)) < {blocks.SLABS: 0.45, blocks.MIDRISE: 0.15, blocks.TOWERS: 0.0}[kind])[owner]
    if kind == blocks.TOWERS:
        u = u + np.where(j % 2 == 1, 6.0, -6.0)
    eave = storeys * 2.9 + 0.6 + rng.normal(0.0, 0.25, n)
    era = {blocks.SLABS: (1978, 2004), blocks.MIDRISE: (2003, 2020), blocks.TOWERS: (2009, 2025)}[kind]
    return buildings(
        u, v, wide, d * rng.uniform(0.94, 1.04, n), storeys=storeys, eave=eave,
        height=eave + np.where(pitched, 2.6, 1.2),
        function=USE["residential"], structure=MADE_OF["masonry" if kind == blocks.SLABS else "rc"],
        roof=np.where(pitched, ROOF["gable"], ROOF["flat"]), year=rng.integers(*era, len(part))[owner],
        lot=owner, tint=np.clip(rng.random(len(part))[owner] + rng.normal(0, 0.05, n), 0, 1),
    ).take(keep)  # fmt: skip


def _public(rng: np.random.Generator, part: Compounds, kind: int) -> Buildings:
    """Malls, offices, schools and hospitals: few large plans, some of them L or U shaped."""
    owner, u, v, _, _ = _cells(part.box, kind)
    _, _, w, d, _ = _LATTICE[kind]
    n = len(u)
    use, low, high, tall = {
        blocks.MALL: ("commercial", 2, 7, 4.6), blocks.OFFICES: ("office", 5, 26, 3.8),
        blocks.SCHOOL: ("education", 3, 6, 3.7), blocks.HOSPITAL: ("medical", 4, 16, 3.8),
    }[kind]  # fmt: skip
    storeys = rng.integers(low, high, n).astype(float)
    shape = rng.choice(
        [RECT, ELL, YOU],
        n,
        p={blocks.MALL: (0.7, 0.3, 0.0), blocks.OFFICES: (0.6, 0.3, 0.1)}.get(kind, (0.3, 0.35, 0.35)),
    )
    eave = storeys * tall + 0.8
    return buildings(
        u, v, w * rng.uniform(0.7, 1.0, n), d * rng.uniform(0.75, 1.0, n), angle=rng.choice([0.0, np.pi], n),
        shape=shape,
        storeys=storeys, eave=eave, height=eave + 1.4, function=USE[use], structure=MADE_OF["rc"], roof=ROOF["flat"],
        year=rng.integers(1988, 2024, len(part))[owner], lot=owner, tint=rng.random(n),
    )  # fmt: skip


def _works(rng: np.random.Generator, part: Compounds) -> Buildings:
    """Sheds of factories with their small offices."""
    owner, u, v, _, _ = _cells(part.box, blocks.WORKS)
    _, _, w, d, _ = _LATTICE[blocks.WORKS]
    n = len(u)
    small = rng.random(n) < 0.25
    storeys = np.where(small, rng.integers(2, 5, n), 1)
    eave = np.where(small, storeys * 3.4, rng.uniform(7.5, 13.0, n))
    return buildings(
        u, v, w * np.where(small, 0.5, rng.uniform(0.75, 1.0, n)), d * np.where(small, 0.36, rng.uniform(0.7, 1.0, n)),
        storeys=storeys, eave=eave, height=eave + np.where(small, 1.0, 2.2), function=USE["industrial"],
        structure=np.where(small, MADE_OF["rc"], MADE_OF["steel"]), roof=np.where(small, ROOF["flat"], ROOF["shed"]),
        year=rng.integers(1965, 2018, len(part))[owner], lot=owner, tint=rng.random(n),
    ).take(rng.random(n) > 0.12)  # fmt: skip


def _yards(rng: np.random.Generator, part: Compounds, kind: int) -> Buildings:
    """Village yards: a main house on the north side, often one or two wings, nearly always where it is crowded."""
    owner, u, v, _, _ = _cells(part.box, kind)
    _, _, w, d, _ = _LATTICE[kind]
    crowded = kind == blocks.DENSE
    n, more, side = len(u), 0.38 if crowded else 0.0, 4.7 if crowded else 5.0
    keep, age, tint = rng.random(n) > 0.07 * (not crowded), rng.integers(1962, 2015, n).astype(float), rng.random(n)
    flat = rng.random(n) < 0.3
    made = np.where(age < 1982, MADE_OF["adobe"], MADE_OF["masonry"])
    deep = 0.5 * d + 0.5
    wings = ((0.62 + more, -side, -deep - 3.1, 3.2, 6.0), (0.38 + 1.5 * more, side, -deep - 2.7, 3.2, 5.2))
    batches = []
    for chance, x, y, wide, long in ((1.0, 0.0, 0.0, w, d), *wings):
        k = np.flatnonzero(keep & (rng.random(n) < chance))
        eave = (3.1 if x == 0 else 2.6) + rng.uniform(-0.2, 0.3, len(k))
        batches.append(
            buildings(u[k] + x, v[k] + y, wide * rng.uniform(0.9, 1.0, len(k)), long, eave=eave,
                      height=eave + np.where(flat[k], 0.3, 0.26 * min(wide, long)), function=USE["residential"],
                      structure=made[k], roof=np.where(flat[k], ROOF["flat"], ROOF["yingshan"]), year=age[k],
                      lot=owner[k], tint=tint[k])
        )  # fmt: skip
    return Buildings.join(batches)


def _build(rng: np.random.Generator, part: Compounds, kind: int) -> Buildings:
    if kind in (blocks.SLABS, blocks.MIDRISE, blocks.TOWERS):
        return _homes(rng, part, kind)
    if kind == blocks.WORKS:
        return _works(rng, part)
    if kind in (blocks.YARDS, blocks.DENSE):
        return _yards(rng, part, kind)
    if kind == blocks.PARK:
        owner, u, v, _, _ = _cells(part.box, kind)
        return buildings(u, v, 18.0, 9.0, eave=3.6, height=5.6, function=USE["public"], roof=ROOF["xieshan"],
                         structure=MADE_OF["timber"], year=2012.0, lot=owner, tint=0.5)  # fmt: skip
    return _public(rng, part, kind)


def _capacity(part: Compounds) -> Floats:
    """About how many buildings a compound takes."""
    density = np.array([0.94, 0.94, 0.94, 1, 1, 1, 1, 0.88, 1, 1.86, 2.88])
    total = np.zeros(len(part))
    for kind in range(_KINDS):
        rows = np.flatnonzero(part.kind == kind)
        owner = _cells(part.box[rows], kind)[0]
        total[rows] = np.bincount(owner, minlength=len(rows)) * density[kind]
    return total


def _fields(part: Compounds) -> Floats:
    """Sports grounds of schools: the southern part of the plot, with its track."""
    box = part.box[part.kind == blocks.SCHOOL]
    middle, south = 0.5 * (box[:, 0] + box[:, 2]), box[:, 1] + 8.0
    return np.column_stack([middle - 44.0, south, middle + 44.0, south + 58.0])


def _choose(every: Compounds, urban: Floats, count: int) -> Compounds:
    """The compounds that hold `count` buildings: the city first, then villages scattered over the fields."""
    total = np.cumsum(_capacity(every))
    crowded = count > CROWDED
    city = (urban < (CROWDED_REACH if crowded else URBAN_REACH)) & (total <= 0.84 * count)
    fields = np.flatnonzero(~city)
    rural = blocks.DENSE if crowded else blocks.YARDS
    village = replace(every.take(fields), kind=np.full(len(fields), rural, dtype=np.int64))
    remote = urban[fields] > urban[city].max(initial=0.0) + 500.0
    order = np.lexsort((village.chance, ~remote))
    held = np.cumsum(_capacity(village.take(order)))
    enough = int(np.searchsorted(held, 1.06 * (count - total[city].max(initial=0.0)))) + 1
    chosen = village.take(order[:enough])
    first = every.take(np.flatnonzero(city))
    return Compounds(
        *(np.concatenate([getattr(first, f), getattr(chosen, f)]) for f in ("box", "kind", "chance", "block"))
    )


def modern_city(rng: np.random.Generator, terrain: Terrain, extent: Extent, count: int) -> Modern:
    """The city outside the wall with `count` buildings (fewer only where the extent is full)."""
    every, urban = blocks.compounds(rng, terrain, extent)
    used = _choose(every, urban, count)
    batches, fields = [_mines(rng, terrain, extent)], _fields(used)
    for kind in range(_KINDS):
        rows = np.flatnonzero(used.kind == kind)
        made = _build(rng, used.take(rows), kind)
        batches.append(replace(made, lot=rows[made.lot]))
    houses = Buildings.join(batches)
    houses = houses.take(~_on_fields(houses, fields))
    order = np.argsort(houses.lot, kind="stable")[:count]
    return Modern(houses.take(order), used, fields)


def _on_fields(houses: Buildings, fields: Floats) -> NDArray[np.bool_]:
    rows = np.flatnonzero(houses.function == USE["education"])
    hit = np.zeros(len(houses), dtype=bool)
    u, v, reach = houses.u[rows, None], houses.v[rows, None], 0.5 * houses.d[rows, None] + 3.0
    near = (u > fields[:, 0] - 40) & (u < fields[:, 2] + 40) & (v - reach < fields[:, 3]) & (v + reach > fields[:, 1])
    hit[rows] = near.any(axis=1)
    return hit


def _mines(rng: np.random.Generator, terrain: Terrain, extent: Extent) -> Buildings:
    """Pit-head buildings of the western coal mines: headframe house, washery, sheds and dormitories."""
    rows = [row for row in facts.table("hazards") if row["kind"] == "mine"]
    uv = facts.places(rows) if rows else np.empty((0, 2))
    inside = extent.inside(uv[:, 0], uv[:, 1], 260.0)
    u = (uv[inside, 0, None] + np.tile(np.arange(-2, 3) * 62.0, 4)).ravel()
    v = (uv[inside, 1, None] + np.repeat(np.arange(-1.5, 2.0) * 46.0, 5)).ravel()
    n = len(u)
    storeys = rng.choice([1, 1, 1, 2, 3, 5], n).astype(float)
    eave = np.where(storeys == 1, rng.uniform(6.0, 22.0, n), storeys * 3.3)
    return buildings(
        u, v, rng.uniform(22.0, 50.0, n), rng.uniform(11.0, 26.0, n), storeys=storeys, eave=eave, height=eave + 1.5,
        function=USE["mine"], structure=MADE_OF["steel"], roof=rng.choice([ROOF["shed"], ROOF["flat"]], n),
        year=rng.integers(1955, 2005, n), lot=-1, tint=rng.random(n),
    ).take(rng.random(n) > 0.15)  # fmt: skip
