"""Features of one layer made ready for the map: places on the finest grid, values as the tiles write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from tiles.vector import kernels
from tiles.vector.classes import LABELS, MapClass, Source
from tiles.vector.grid import World
from twin.features import Layer
from twin.grid import Bounds
from twin.store.protocol import Store

Longs = NDArray[np.int64]
Packed = tuple[NDArray[np.uint8], Longs]
"""(bytes, where each entry begins)"""

_LONG = 1000.0
_PAGE = 20_000
_KINDS = np.array([1, 2, 2, 3, 1, 2, 3, 0], np.uint8)
_VALUES, _KEYS, _TEXT = 0x22, 0x1A, 0x0A


@dataclass(frozen=True, slots=True)
class Batch:
    """Features of a layer that are worked on together.

    geometry    (n,) shapely, in cells of the finest grid, x to the east and y to the south, from `corner`
    kind        (n,) u1: 1 points, 2 lines, 3 polygons
    begins      (n,) first zoom that shows the feature
    size        (n,) f8 cells of the finest grid: square root of the area, length of a line, 0 of a point
    codes       (n, c) i8 of the value in each column, -1 where missing
    identity    (n,) u8, made of the oid
    values      every different value as a field of a layer; keys likewise
    """

    name: str
    shown: MapClass
    geometry: NDArray[np.object_]
    kind: NDArray[np.uint8]
    begins: Longs
    size: NDArray[np.float64]
    codes: Longs
    identity: NDArray[np.uint64]
    values: Packed
    keys: Packed

    def __len__(self) -> int:
        return len(self.kind)


def read_window(store: Store, source: Source, bounds: Bounds) -> Layer:
    """The features of a layer that meet `bounds` (frame, m), with what tiles tell of them."""
    return store.read_layer(source.item.name, bbox=bounds, columns=source.columns)


def read_large(store: Store, source: Source, zoom: int, cell: float) -> Layer | None:
    """The features of a whole layer that a zoom shows, read page by page; None where there is none.

    cell    m on the ground of a cell of that zoom's grid, at most
    """
    pages = [page.take(np.flatnonzero(_large(page, source.shown, zoom, cell))) for page in _pages(store, source)]
    pages = [page for page in pages if len(page)]
    if not pages:
        return None
    columns = {name: np.concatenate([page.columns[name] for page in pages]) for name in source.columns}
    oid, geometry = (np.concatenate([getattr(page, part) for page in pages]) for part in ("oid", "geometry"))
    return Layer(pages[0].name, pages[0].frame, oid, geometry, columns)


def _pages(store: Store, source: Source) -> Iterator[Layer]:
    after: int | None = 0
    while after is not None:
        page, _, after = store.page_layer(source.item.name, limit=_PAGE, after=after)
        yield page


def _large(page: Layer, shown: MapClass, zoom: int, cell: float) -> NDArray[np.bool_]:
    big = np.sqrt(shapely.area(page.geometry)) / cell, shapely.length(page.geometry) / cell
    kind = _kinds(page.geometry)
    size = np.where(kind == 3, big[0], np.where(kind == 2, big[1], np.inf))
    return (size >= least(shown, kind)) & (first_zooms(page, shown) <= zoom) & (kind > 0)


def least(shown: MapClass, kind: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n,) cells that a feature must reach below the finest zoom; eight cells are a pixel."""
    return np.where(kind == 3, 8.0 * np.sqrt(shown.least), np.where(kind == 2, 8.0 * shown.least, 0.0))


def first_zooms(layer: Layer, shown: MapClass) -> Longs:
    """(n,) first zoom that shows each feature."""
    if shown.column not in layer.columns:
        return np.full(len(layer), shown.min_zoom, np.int64)
    told = pa.array(layer.columns[shown.column], pa.string()).dictionary_encode()
    zooms = [shown.begins.get(word, shown.min_zoom) for word in told.dictionary.to_pylist()]
    return np.asarray(zooms, np.int64)[told.indices.to_numpy()] if len(layer) else np.empty(0, np.int64)


def _kinds(geometry: NDArray[np.object_]) -> NDArray[np.uint8]:
    found = shapely.get_type_id(geometry)
    kinds: NDArray[np.uint8] = np.where((found < 0) | shapely.is_empty(geometry), np.uint8(0), _KINDS[found])
    return kinds


def batch_of(layer: Layer, source: Source, world: World, scale: float, corner: tuple[float, float]) -> Batch | None:
    """The features ready for the map; None where none has a place.

    scale       cells of the finest grid along the side of the world
    corner      cells from the world's corner that are taken off, so that numbers stay small
    """
    kind = _kinds(layer.geometry)
    if not kind.all():
        layer, kind = layer.take(np.flatnonzero(kind)), kind[kind > 0]
    if not len(layer):
        return None
    shapes = shapely.force_2d(layer.geometry)
    wide = shapely.bounds(shapes)
    long = np.maximum(wide[:, 2] - wide[:, 0], wide[:, 3] - wide[:, 1]) > _LONG
    # A straight side of the frame is bent on the map: pieces of a kilometre bend by some centimetres.
    shapes[long] = shapely.segmentize(shapes[long], _LONG)
    places = world.place(shapely.get_coordinates(shapes)) * scale - corner
    shapes = shapely.set_coordinates(shapes, places)
    area, length = np.sqrt(shapely.area(shapes)), shapely.length(shapes)
    size = np.where(kind == 3, area, np.where(kind == 2, length, 0.0))
    identity, codes, values = _table(layer, source)
    keys = _texts(pa.array(["oid", *source.columns], pa.string()), _KEYS, 0)
    return Batch(
        source.name, source.shown, shapes, kind, first_zooms(layer, source.shown), size, codes, identity, values, keys
    )


def labels(batch: Batch) -> Batch:
    """A point inside each feature, in a layer of its own."""
    points = shapely.point_on_surface(batch.geometry)
    return replace(batch, name=batch.name + LABELS, geometry=points, kind=np.ones(len(batch), np.uint8))


def _table(layer: Layer, source: Source) -> tuple[NDArray[np.uint64], Longs, Packed]:
    """(identities, codes, values) of the oids and columns of a layer; what columns have in common is one value."""
    oids = pa.array(layer.oid, pa.string())
    words = [(np.arange(len(layer), dtype=np.int64), oids)]
    words += [_words(layer.columns[name]) for name, number in source.columns.items() if not number]
    numbers = [_numbers(layer.columns[name]) for name, number in source.columns.items() if number]
    texts = pa.concat_arrays([different for _, different in words]).dictionary_encode()
    known = len(texts.dictionary)
    figures, place = np.unique(np.concatenate([np.empty(0), *(v for _, v in numbers)]), return_inverse=True)
    told = iter(_recoded(words, texts.indices.to_numpy()))
    counted = iter(_recoded(numbers, place + known))
    codes = [next(told), *(next(counted if number else told) for number in source.columns.values())]
    data, begins = _texts(texts.dictionary, _VALUES, _TEXT)
    raw = figures.astype("<f8").view(np.uint8).reshape(-1, 8)
    more, more_begins = kernels.pack_numbers(figures, raw)
    values = np.concatenate([data, more]), np.concatenate([begins[:-1], more_begins + begins[-1]])
    return kernels.identities(*_buffers(oids)), np.column_stack(codes), values


def _recoded(columns: list[tuple[Longs, Any]], place: NDArray[Any]) -> list[Longs]:
    """Codes of columns within one table; `place` of the different values of all columns, one after the other."""
    before = np.cumsum([0, *(len(different) for _, different in columns)])
    found = []
    for (code, _), first in zip(columns, before, strict=False):
        known = code >= 0
        recoded = np.full(len(code), -1, np.int64)
        recoded[known] = place[code[known] + first]
        found.append(recoded)
    return found


def _numbers(column: NDArray[Any]) -> tuple[Longs, NDArray[np.float64]]:
    """(code of each, -1 where missing, different values)."""
    known = np.isfinite(column)
    # Minus nought is nought.
    different, inverse = np.unique(column[known] + 0.0, return_inverse=True)
    code = np.full(len(column), -1, np.int64)
    code[known] = inverse
    return code, different


def _words(column: NDArray[Any]) -> tuple[Longs, pa.Array]:
    """(code of each, -1 where missing, different values)."""
    told = pa.array(column, pa.string()).dictionary_encode()
    empty = told.dictionary.index("").as_py() if len(told.dictionary) else -1
    code = told.indices.to_numpy().astype(np.int64)
    return np.where(code == empty, -1, code), told.dictionary


def _texts(texts: pa.Array, field: int, inner: int) -> Packed:
    packed: Packed = kernels.pack_texts(*_buffers(texts), field, inner)
    return packed


def _buffers(texts: pa.Array) -> tuple[NDArray[np.uint8], Longs]:
    """(bytes in UTF-8, where each text begins (n + 1,)) of an Arrow array without nulls."""
    _, offsets, data = texts.buffers()
    start = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    return np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8), start
