"""What a layer was at every delivery: one hash a feature for its shape, one for each of its values, and what differs.

A version is these hashes, never a copy: an Arrow IPC file of some bytes a feature, the same in both stores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from twin.errors import NotFoundError, StoreError
from twin.features import Layer, Objects
from twin.lineage import Lineage
from twin.store.protocol import Changes, Item, Version

Hashes = NDArray[np.uint64]

PER_METRE = 1000.0
_CHUNK = 1 << 14
_SAMPLE = 1000
_POINT, _LINE, _SHELL, _HOLE = 1, 2, 3, 4
_ODD = tuple(np.uint64(v) for v in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93))


@dataclass(frozen=True, slots=True)
class Prints:
    """The hashes of one version of a layer.

    oid         (n,) object array of str, in the order of the layer
    geometry    (n,) u8 hash of the shape at 1 mm, wherever a ring begins and in whatever order parts come; 0 for none
    columns     name -> (n,) u4 hash of the value; 0 where it is missing
    content     hash of class, frame, oids, every coordinate to the last bit and every value, in their order
    """

    oid: Objects
    geometry: Hashes
    columns: Mapping[str, NDArray[np.uint32]]
    content: str


def take_prints(layer: Layer) -> Prints:
    """The hashes of a layer (splitmix64 over coordinates in whole millimetres, SipHash over texts)."""
    kinds = [[key, values.dtype.kind == "f"] for key, values in layer.columns.items()]
    whole = hashlib.blake2b(json.dumps([layer.name, layer.frame.crs, kinds]).encode(), digest_size=16)
    whole.update(_value_hashes(layer.oid).data)
    geometry = np.zeros(len(layer), dtype=np.uint64)
    for start in range(0, len(layer), _CHUNK):
        shapes = layer.geometry[start : start + _CHUNK]
        paths = _paths(shapes)
        for part in (shapely.get_type_id(shapes), shapely.get_num_geometries(shapes), paths.counts(), paths.xy):
            whole.update(np.ascontiguousarray(part).data)
        geometry[start : start + _CHUNK] = _shape_hashes(shapes, paths, whole)
    columns: dict[str, NDArray[np.uint32]] = {}
    for key, values in layer.columns.items():
        hashes = _value_hashes(values)
        whole.update(hashes.data)
        columns[key] = (hashes >> np.uint64(32)).astype(np.uint32)
    return Prints(layer.oid, geometry, columns, whole.hexdigest())


@dataclass(frozen=True, slots=True)
class _Paths:
    """Vertices xy (k, 2), the path each belongs to (k,), ascending, and how many paths there are."""

    xy: NDArray[np.float64]
    owner: NDArray[np.intp]
    n: int

    def counts(self) -> NDArray[np.intp]:
        return np.bincount(self.owner, minlength=self.n)

    def hashes(self, role: Hashes) -> Hashes:
        """(n,) of single points, lines and rings."""
        result = np.zeros(self.n, dtype=np.uint64)
        if not len(self.xy):
            return result
        with np.errstate(invalid="ignore"):
            whole = np.rint(self.xy * PER_METRE).astype(np.int64).view(np.uint64)
        vertex = _mix(whole[:, 0] * _ODD[0] + whole[:, 1] * _ODD[1])
        starts = np.flatnonzero(np.diff(self.owner, prepend=-1))
        last = np.append(starts[1:], len(self.owner)) - 1
        edge = vertex * _ODD[2]
        edge[:-1] += vertex[1:] * _ODD[3]
        # A ring ends where it began; its last vertex would say where that was.
        edge[last] = np.where(role[self.owner[last]] >= _SHELL, 0, vertex[last])
        held = self.owner[starts]
        result[held] = _mix(np.add.reduceat(_mix(edge), starts) + role[held] * _ODD[0])
        return result


def _paths(shapes: Objects) -> _Paths:
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    return _Paths(xy, owner, len(shapes))


def shape_hashes(shapes: Objects) -> Hashes:
    """(n,) u8: equal where the shapes are equal at 1 mm; 0 for None and empty.

    A ring counts as the set of its directed edges, so that its first vertex does not matter; a shape as the set of its
    parts.
    """
    paths = _paths(shapes)
    return _shape_hashes(shapes, paths, hashlib.blake2b())


def _shape_hashes(shapes: Objects, paths: _Paths, whole: hashlib.blake2b) -> Hashes:
    """The hashes of shapes whose coordinates are known; how rings divide them goes into `whole`."""
    kinds, holes = shapely.get_type_id(shapes), shapely.get_num_interior_rings(shapes)
    role = np.array([_POINT, _LINE, _LINE, _SHELL])[np.clip(kinds, 0, 3)].astype(np.uint64)
    plain = (kinds < 3) | ((kinds == 3) & (holes == 0))
    if plain.all():
        return paths.hashes(role)
    result = paths.hashes(role)
    rows = np.flatnonzero(~plain)
    parts, owner, role = _parts(shapes[rows])
    split = _paths(parts)
    whole.update(split.counts().data)
    result[rows] = 0
    np.add.at(result, rows[owner], split.hashes(role))
    return result


def _parts(shapes: Objects) -> tuple[Objects, NDArray[np.intp], Hashes]:
    """Points, lines and rings of the shapes, the shape each belongs to, and what it is there."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    while (shapely.get_type_id(parts) > 3).any():
        parts, inner = shapely.get_parts(parts, return_index=True)
        owner = owner[inner]
    kinds = shapely.get_type_id(parts)
    areas = np.flatnonzero(kinds == 3)
    rings, place = shapely.get_rings(parts[areas], return_index=True)
    first = np.diff(place, prepend=-1) != 0
    lines = np.flatnonzero(kinds != 3)
    role = [np.where(kinds[lines] == 0, _POINT, _LINE), np.where(first, _SHELL, _HOLE)]
    whose = [owner[lines], owner[areas[place]]]
    return np.concatenate([parts[lines], rings]), np.concatenate(whose), np.concatenate(role).astype(np.uint64)


def _mix(x: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014), in place."""
    x ^= x >> np.uint64(30)
    x *= _ODD[1]
    x ^= x >> np.uint64(27)
    x *= _ODD[2]
    x ^= x >> np.uint64(31)
    return x


def _value_hashes(values: NDArray[Any]) -> Hashes:
    """(n,) u8; 0 for NaN, the empty text and None."""
    from pandas.util import hash_array

    if values.dtype.kind == "f":
        known = ~np.isnan(values)
        return np.where(known, hash_array(values + 0.0), 0).astype(np.uint64)
    known = (values != "") & (values != None)  # noqa: E711
    if not known.any():
        return np.zeros(len(values), dtype=np.uint64)
    sample = values[:: max(1, len(values) // _SAMPLE)].tolist()
    found = hash_array(values, categorize=len(set(sample)) < len(sample) // 2)
    return np.where(known, found, 0).astype(np.uint64)


def encode(prints: Prints, version: Version) -> bytes:
    """One version as an Arrow IPC file, Zstandard inside; the same bytes for the same version."""
    import pyarrow as pa

    columns = {f"@{key}": pa.array(values) for key, values in prints.columns.items()}
    table = {"oid": pa.array(prints.oid, pa.large_string()), "geometry": pa.array(prints.geometry), **columns}
    told = {**_as_dict(version), "content": prints.content}
    batch = pa.RecordBatch.from_pydict(table).replace_schema_metadata(
        {"version": json.dumps(told, ensure_ascii=False, sort_keys=True)}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def decode(data: bytes | Path) -> Prints:
    """The hashes that `encode` wrote."""
    import pyarrow as pa

    with _opened(data) as reader:
        batch = reader.get_batch(0)
        told = json.loads(reader.schema.metadata[b"version"])
    names = [name for name in batch.schema.names if name.startswith("@")]
    columns = {name[1:]: batch.column(name).to_numpy() for name in names}
    oid: pa.Array = batch.column("oid")
    return Prints(oid.to_numpy(zero_copy_only=False), batch.column("geometry").to_numpy(), columns, told["content"])


def version_in(data: bytes | Path) -> tuple[Version, str]:
    """(version, content) of a file that `encode` wrote, without its hashes."""
    with _opened(data) as reader:
        told = json.loads(reader.schema.metadata[b"version"])
    content = str(told.pop("content"))
    return Version(told["number"], told["digest"], Lineage.from_dict(told["lineage"]), told["count"]), content


@contextmanager
def _opened(data: bytes | Path) -> Iterator[Any]:
    import pyarrow as pa

    where = data if isinstance(data, Path) else "table twin_version"
    try:
        with pa.memory_map(str(data)) if isinstance(data, Path) else pa.BufferReader(data) as source:
            yield pa.ipc.open_file(source)
    except pa.ArrowInvalid as error:
        raise StoreError(f"{where}: damaged ({error}); remove the versions of this layer to go on") from error


def _as_dict(version: Version) -> dict[str, Any]:
    return {
        "number": version.number,
        "digest": version.digest,
        "lineage": version.lineage.as_dict(),
        "count": version.count,
    }


def next_version(versions: Sequence[Version], item: Item) -> Version:
    """The version that `item` is: the last one again where its digest is the same, else one more."""
    number = 1
    if versions:
        number = versions[-1].number + (versions[-1].digest != item.digest)
    return Version(number, item.digest, item.lineage, item.count)


def chosen(name: str, versions: Sequence[Version], old: int | None, new: int | None) -> tuple[int, int]:
    """The two versions to compare; by default the last one with the one before.

    raises  NotFoundError where a version is not remembered
    """
    known = [version.number for version in versions]
    last = new if new is not None else (known[-1] if known else 1)
    first = old if old is not None else last - 1
    for number in (first, last):
        if number not in known:
            told = ", ".join(map(str, known)) or "none"
            raise NotFoundError(f"layer {name}: version {number} is not remembered; there are {told}")
    return first, last


def compare(name: str, numbers: tuple[int, int], old: Prints, new: Prints) -> Changes:
    """What differs, each class in the order of the new version, what was removed in that of the old."""
    import pyarrow as pa
    import pyarrow.compute as pc

    before, after = (pa.array(prints.oid, pa.large_string()) for prints in (old, new))
    if before.equals(after):
        place = np.arange(len(new.oid))
    else:
        place = pc.fill_null(pc.index_in(after, value_set=before), -1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(place >= 0)
    held = place[rows]
    gone = np.ones(len(old.oid), dtype=bool)
    gone[held] = False
    moved = new.geometry[rows] != old.geometry[held]
    changed: dict[str, Objects] = {}
    any_column = np.zeros(len(rows), dtype=bool)
    for key in dict.fromkeys([*new.columns, *old.columns]):
        # A column that is not there has no value anywhere.
        now = new.columns[key][rows] if key in new.columns else np.uint32(0)
        then = old.columns[key][held] if key in old.columns else np.uint32(0)
        differs = now != then
        any_column |= differs
        if differs.any():
            changed[key] = new.oid[rows[differs]]
    return Changes(
        name, *numbers, new.oid[place < 0], old.oid[gone], new.oid[rows[moved]], new.oid[rows[any_column]], changed
    )
