"""Solids as CityJSON geometries: polygons with semantic surfaces, materials and textures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tiles.cityjson.pool import THEME, Pool, looks_of
from twin.analysis.facets import Facets, facets, sides_paired, welded
from twin.meshes import Solids, Surface

SCALE = 0.001
Integers = NDArray[np.int64]

# What has no class of its own in CityJSON (installations within a building) stays without semantics.
SEMANTICS: Mapping[int, str] = MappingProxyType(
    {
        Surface.GROUND: "GroundSurface",
        Surface.WALL: "WallSurface",
        Surface.ROOF: "RoofSurface",
        Surface.OPENING: "Window",
        Surface.OUTER_CEILING: "OuterCeilingSurface",
        Surface.OUTER_FLOOR: "OuterFloorSurface",
        Surface.OTHER: "ClosureSurface",
    }
)


@dataclass(frozen=True, slots=True)
class Shapes:
    """The polygons of a batch, ready to be written solid by solid.

    solids      on the grid: vertices are whole steps of SCALE from the origin
    shell       (p,) the connected piece of surface that each polygon belongs to, -1 where the solid is not closed
    volume      (s,) of the pieces, in grid steps          low, high   (s, 3) their corners
    looks       (m,) as `looks_of` tells; None where nothing is worn
    """

    solids: Solids
    facets: Facets
    shell: Integers
    volume: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    looks: Integers | None


def shapes_of(solids: Solids, origin: NDArray[np.float64]) -> Shapes:
    """Polygons of all solids of a batch; coplanar triangles of one surface and one look are one polygon."""
    tight, kept = welded(solids, SCALE, origin)
    looks = looks_of(tight.material, tight.skin)
    skin = tight.skin
    texture = np.full(len(looks), -1, np.int64) if skin is None else skin.texture.astype(np.int64)
    _, label = np.unique(np.stack([tight.surface.astype(np.int64), looks, texture]), axis=1, return_inverse=True)
    corners = solids.vertices[solids.faces[kept]]
    found = facets(tight, corners, label.reshape(-1), _seams(tight))
    shell, volume, low, high = _shells(tight)
    worn = looks if looks.any() else None
    return Shapes(tight, found, shell[found.face], volume, low, high, worn)


def _seams(solids: Solids) -> NDArray[np.bool_] | None:
    """(m, 3) sides at which a picture breaks off: its place is another on the other side."""
    if solids.skin is None or not solids.skin.textures:
        return None
    twin = sides_paired(solids)
    uv = solids.skin.uv.reshape(-1, 2)
    on = np.arange(len(twin)) - np.arange(len(twin)) % 3 + (np.arange(len(twin)) + 1) % 3
    other = np.maximum(twin, 0)
    differs = (np.abs(uv - uv[on[other]]) > 1e-5).any(axis=1) | (np.abs(uv[on] - uv[other]) > 1e-5).any(axis=1)
    return ((twin >= 0) & differs).reshape(-1, 3)


def _shells(solids: Solids) -> tuple[Integers, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(m,) connected piece of every face, -1 in solids that are not closed; volume and corners of the pieces."""
    m, twin = len(solids.faces), sides_paired(solids)
    side = np.flatnonzero(twin >= 0)
    joined = coo_array((np.ones(len(side), bool), (side // 3, twin[side] // 3)), shape=(m, m))
    count, piece = connected_components(joined, directed=False)
    triangles = solids.vertices[solids.faces]
    base = np.zeros((count, 3))
    base[piece] = triangles[:, 0]
    a, b, c = (triangles[:, k] - base[piece] for k in range(3))
    volume = np.bincount(piece, weights=np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0, minlength=count)
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, piece, triangles.min(axis=1))
    np.maximum.at(high, piece, triangles.max(axis=1))
    closed = solids.is_closed()[solids.face_owner()]
    return np.where(closed, piece, -1).astype(np.int64), volume, low, high


def geometries(shapes: Shapes, row: int, pool: Pool, meaning: Mapping[int, str] = SEMANTICS) -> list[dict[str, Any]]:
    """The geometries of one solid of the batch: a Solid for each body that is closed, else one MultiSurface.

    meaning   what a Surface is called in the class of the city object
    """
    polygons = shapes.facets.polygons
    first, last = np.searchsorted(polygons.owner, [row, row + 1]).tolist()
    if first == last:
        return []
    drawn = _Drawn(shapes, (first, last), pool, meaning)
    lod = f"{shapes.solids.lod[row] / 10:g}"
    groups = _bodies(shapes, first, last)
    if groups is None:
        return [drawn.geometry("MultiSurface", lod, range(last - first), lambda put: put)]
    found = []
    for shells in groups:
        every = [place for shell in shells for place in shell]
        found.append(drawn.geometry("Solid", lod, every, _by_shell(shells)))
    return found


def _by_shell(shells: Sequence[Sequence[int]]) -> Callable[[list[Any]], list[Any]]:
    def nested(flat: list[Any]) -> list[Any]:
        items = iter(flat)
        return [[next(items) for _ in shell] for shell in shells]

    return nested


def _bodies(shapes: Shapes, first: int, last: int) -> list[list[list[int]]] | None:
    """Polygons of each body, shell by shell, the outer one first; None where they are no closed bodies.

    A shell that is turned inside out is a void of the smallest body around it.
    """
    shell = shapes.shell[first:last]
    names = np.unique(shell).tolist()
    if names[0] < 0:
        return None
    outer = [name for name in names if shapes.volume[name] > 0.0]
    held: dict[int, list[int]] = {name: [name] for name in outer}
    for name in (name for name in names if name not in held):
        around = [
            o for o in outer if (shapes.low[o] < shapes.low[name]).all() and (shapes.high[o] > shapes.high[name]).all()
        ]
        if not around:
            return None
        held[min(around, key=lambda o: float(shapes.volume[o]))].append(name)
    return [[np.flatnonzero(shell == name).tolist() for name in group] for group in held.values()]


class _Drawn:
    """The polygons of one solid as lists, in the numbers of the pool."""

    def __init__(self, shapes: Shapes, span: tuple[int, int], pool: Pool, meaning: Mapping[int, str]) -> None:
        first, last = span
        polygons, solids = shapes.facets.polygons, shapes.solids
        self._part = polygons.part[first : last + 1]
        self._ring = polygons.ring[self._part[0] : self._part[-1] + 1]
        start, stop = int(self._ring[0]), int(self._ring[-1])
        self._side = shapes.facets.side[start:stop]
        used, local = np.unique(polygons.corner[start:stop], return_inverse=True)
        number = pool.vertices(solids.vertices[used].astype(np.int64))
        self._corner = (local.reshape(-1) + number).tolist()
        self._face = shapes.facets.face[first:last]
        self._shapes, self._pool, self._meaning = shapes, pool, meaning

    def geometry(
        self, kind: str, lod: str, chosen: Sequence[int], nested: Callable[[list[Any]], list[Any]]
    ) -> dict[str, Any]:
        """One geometry of the chosen polygons; `nested` puts a value per polygon into the shape of its kind."""
        surface = self._shapes.solids.surface[self._face[list(chosen)]].tolist()
        names = [self._meaning.get(code) for code in surface]
        kinds = list(dict.fromkeys(name for name in names if name))
        told: dict[str, Any] = {
            "type": kind,
            "lod": lod,
            "boundaries": nested([self._rings(place) for place in chosen]),
        }
        if kinds:
            values = [None if name is None else kinds.index(name) for name in names]
            told["semantics"] = {"surfaces": [{"type": name} for name in kinds], "values": nested(values)}
        looks = [] if self._shapes.looks is None else self._shapes.looks[self._face[list(chosen)]].tolist()
        if any(looks):
            told["material"] = {
                THEME: {"values": nested([self._pool.material(look) if look else None for look in looks])}
            }
        skin = self._shapes.solids.skin
        if skin is not None and (skin.texture[self._face[list(chosen)]] >= 0).any():
            told["texture"] = {THEME: {"values": nested([self._worn(place) for place in chosen])}}
        return told

    def _spans(self, place: int) -> list[tuple[int, int]]:
        base, start = int(self._part[0]), int(self._ring[0])
        ends = self._ring[self._part[place] - base : self._part[place + 1] - base + 1] - start
        return list(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))

    def _rings(self, place: int) -> list[list[int]]:
        return [self._corner[low:high] for low, high in self._spans(place)]

    def _worn(self, place: int) -> list[list[int | None]]:
        skin = self._shapes.solids.skin
        code = -1 if skin is None else int(skin.texture[self._face[place]])
        if skin is None or code < 0:
            return [[None] for _ in self._spans(place)]
        texture, rings = self._pool.texture(skin.textures[code]), []
        for low, high in self._spans(place):
            first = self._pool.places(skin.uv.reshape(-1, 2)[self._side[low:high]])
            rings.append([texture, *range(first, first + high - low)])
        return rings
