"""Solids and points as Arrow IPC files: one record batch per cell, mapped into memory, read cell by cell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twin.errors import StoreError
from twin.features import objects
from twin.frames import Frame
from twin.grid import Bounds
from twin.meshes import Skin, Solids, Texture
from twin.points import PointCloud, merge_points
from twin.store.protocol import ModelCell

_LISTS = {"vertices": pa.float64(), "faces": pa.int32(), "surface": pa.uint8(), "material": pa.uint8()}
_AT_ONCE = 256
_SKIN = {"colour": pa.uint8(), "texture": pa.int32(), "uv": pa.float32()}


def write_solids(path: Path, batches: Iterable[tuple[str, Solids]], skinned: bool = False) -> dict[str, Any]:
    """Write the cells as they come; returns {"count": solids, "extent": bounds or None}.

    skinned     whether the file has columns for skins; they cost nothing but offsets where a batch is bare
    raises      StoreError for a batch with a skin in a file without such columns
    """
    count, extents, writer = 0, [], None
    with pa.OSFile(str(path), "wb") as sink:
        for cell, solids in batches:
            if not len(solids):
                continue
            batch, textures = _solids_to_batch(solids, skinned)
            if writer is None:
                writer = pa.ipc.new_file(sink, batch.schema)
            writer.write_batch(batch, custom_metadata={"cell": cell, "about": _about(solids, textures)} | textures)
            count += len(solids)
            extents.append(solids.bounds)
        if writer is None:
            writer = pa.ipc.new_file(sink, _solids_to_batch(Solids.empty(Frame("")), skinned)[0].schema)
        writer.close()
    return {"count": count, "extent": _union(extents)}


def read_solids(path: Path, frame: Frame, cells: Iterable[str] | None = None) -> Iterator[tuple[str, Solids]]:
    """(cell, solids) of all or the named cells, in the order they were written."""
    places = _places(path, cells)
    with pa.memory_map(str(path)) as source:
        reader = _reader(source, path)
        for place in range(reader.num_record_batches) if places is None else places:
            batch, metadata = reader.get_batch_with_custom_metadata(place)
            solids = _solids_from_batch(batch, frame)
            yield metadata[b"cell"].decode(), replace(solids, skin=_skin_from_batch(batch, metadata.get(b"textures")))


def _places(path: Path, cells: Iterable[str] | None) -> list[int] | None:
    """Where in the file the named cells are, in the order they were written; None for all of it."""
    if cells is None:
        return None
    stat = path.stat()
    known = _table_of_cells(path, stat.st_mtime_ns, stat.st_ino)
    return sorted(place for cell in set(cells) for place in known.get(cell, ()))


@lru_cache(maxsize=8)
def _table_of_cells(path: Path, changed: int, inode: int) -> Mapping[str, list[int]]:
    """Name of a cell -> its places in the file as it was at that moment; a city is asked for its cells one by one."""
    with pa.memory_map(str(path)) as source:
        reader = _reader(source, path)
        names = [reader.get_batch_with_custom_metadata(k)[1][b"cell"] for k in range(reader.num_record_batches)]
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name.decode(), []).append(place)
    return places


def index_solids(path: Path) -> list[ModelCell]:
    """What lies in every cell, in the order they were written; no mesh is read."""
    told: list[Mapping[bytes, bytes]] = []
    more = True
    while more:
        # The kernel maps what lies around each look: opened anew now and then, or the whole file would count as ours.
        with pa.memory_map(str(path)) as source:
            reader = _reader(source, path)
            last = min(len(told) + _AT_ONCE, reader.num_record_batches)
            told += [dict(reader.get_batch_with_custom_metadata(k)[1]) for k in range(len(told), last)]
            more = last < reader.num_record_batches
    if any(b"about" not in metadata for metadata in told):
        raise StoreError(f"{path.name}: written by an older version; run the stage that made it again")
    return [ModelCell(metadata[b"cell"].decode(), **json.loads(metadata[b"about"])) for metadata in told]


def _about(solids: Solids, textures: Mapping[str, str]) -> str:
    """Digest and extent of a cell as JSON, so that a reader knows what changed without opening it."""
    digest = hashlib.blake2b(digest_size=16)
    columns = {name: getattr(solids, name) for name in (*_LISTS, "oid", "lod", "vertex_offset", "face_offset")}
    columns |= {f"@{name}": values for name, values in sorted(solids.attributes.items())}
    if solids.skin is not None and not solids.skin.is_bare:
        columns |= {f"skin {name}": getattr(solids.skin, name) for name in _SKIN}
    for name, values in columns.items():
        words = "\0".join(values.tolist()).encode() if values.dtype == object else values.tobytes()
        digest.update(f"{name} {len(values)}".encode())
        digest.update(words)
    digest.update(json.dumps(textures).encode())
    about = {"digest": digest.hexdigest(), "bounds": solids.bounds, "count": len(solids), "faces": len(solids.faces)}
    return json.dumps(about)


def write_clouds(path: Path, clouds: Iterable[PointCloud]) -> dict[str, Any]:
    """Write clouds as they come; returns {"count": points, "extent": bounds or None}."""
    count, extents, writer = 0, [], None
    with pa.OSFile(str(path), "wb") as sink:
        for cloud in clouds:
            if not len(cloud):
                continue
            batch = _cloud_to_batch(cloud)
            if writer is None:
                writer = pa.ipc.new_file(sink, batch.schema)
            # Column by column: numpy reduces rows of three far slower.
            ends = [(float(v.min()), float(v.max())) for v in (batch.column(k).to_numpy() for k in range(3))]
            (west, east), (south, north), heights = ends
            told = {"bounds": json.dumps((west, south, east, north)), "heights": json.dumps(heights)}
            writer.write_batch(batch, custom_metadata=told)
            count += len(cloud)
            extents.append((west, south, east, north))
        if writer is None:
            empty = PointCloud(Frame(""), np.zeros((0, 3)), np.zeros(0, np.uint8))
            writer = pa.ipc.new_file(sink, _cloud_to_batch(empty).schema)
        writer.close()
    return {"count": count, "extent": _union(extents)}


def read_clouds(path: Path, frame: Frame, bounds: Bounds | None = None) -> PointCloud:
    """The points inside `bounds`, or all."""
    found = [PointCloud(frame, np.zeros((0, 3)), np.zeros(0, np.uint8))]
    with pa.memory_map(str(path)) as source:
        reader = _reader(source, path)
        for place in range(reader.num_record_batches):
            batch, metadata = reader.get_batch_with_custom_metadata(place)
            if bounds is not None and not _meet(json.loads(metadata[b"bounds"]), bounds):
                continue
            cloud = _cloud_from_batch(batch, frame)
            found.append(cloud if bounds is None else cloud.crop(bounds))
    return merge_points(found[1:] if len(found) > 1 else found)


def page_clouds(path: Path, frame: Frame, places: Iterable[int] | None = None) -> Iterator[PointCloud]:
    """The clouds as they were written, one at a time: all, or those with the numbers `places`."""
    with pa.memory_map(str(path)) as source:
        reader = _reader(source, path)
        for place in range(reader.num_record_batches) if places is None else places:
            yield _cloud_from_batch(reader.get_batch(place), frame)


def index_clouds(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Points of every cloud (k,) and its corners (k, 2, 3) m, in the order they were written; no point is read."""
    counts: list[int] = []
    corners: list[list[float]] = []
    with pa.memory_map(str(path)) as source:
        reader = _reader(source, path)
        for place in range(reader.num_record_batches):
            batch, told = reader.get_batch_with_custom_metadata(place)
            if b"heights" not in told:
                raise StoreError(f"{path.name}: written by an older version; run the stage that made it again")
            (west, south, east, north), (low, high) = json.loads(told[b"bounds"]), json.loads(told[b"heights"])
            counts.append(batch.num_rows)
            corners.append([west, south, low, east, north, high])
    return np.array(counts, np.int64), np.array(corners, np.float64).reshape(-1, 2, 3)


def _solids_to_batch(solids: Solids, skinned: bool) -> tuple[pa.RecordBatch, dict[str, str]]:
    vertices, faces = solids.vertex_offset, solids.face_offset
    local = solids.faces - np.repeat(vertices[:-1], np.diff(faces))[:, None] if len(solids) else solids.faces
    flat: dict[str, tuple[NDArray[np.int64], NDArray[Any]]] = {
        "vertices": (vertices * 3, solids.vertices.reshape(-1)),
        "faces": (faces * 3, local.reshape(-1).astype(np.int32)),
        "surface": (faces, solids.surface),
        "material": (faces, solids.material),
    }
    columns: dict[str, Any] = {
        "oid": pa.array(solids.oid.tolist(), pa.string()),
        "lod": pa.array(solids.lod, pa.uint8()),
    }
    for name, (offsets, values) in flat.items():
        columns[name] = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values, _LISTS[name]))
    for name, values in solids.attributes.items():
        kind = pa.float64() if values.dtype.kind == "f" else pa.string()
        columns[f"@{name}"] = pa.array(values if kind == pa.float64() else values.tolist(), kind)
    skin = solids.skin
    if skin is not None and not skinned:
        raise StoreError("solids with colours or pictures in a model kept without; give write_model its images")
    if skinned:
        columns |= _skin_columns(skin, faces)
    textures = [] if skin is None else [[texture.image, texture.wrap] for texture in skin.textures]
    return pa.RecordBatch.from_pydict(columns), {"textures": json.dumps(textures)} if textures else {}


def _skin_columns(skin: Skin | None, faces: NDArray[np.int64]) -> dict[str, Any]:
    """The skin as lists by solid; empty lists where nothing is worn."""
    if skin is None or skin.is_bare:
        skin, faces = Skin.bare(0), np.zeros_like(faces)
    flat = {
        "colour": (faces * 4, skin.colour.reshape(-1)),
        "texture": (faces, skin.texture),
        "uv": (faces * 6, skin.uv.reshape(-1)),
    }
    return {
        name: pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values, _SKIN[name]))
        for name, (offsets, values) in flat.items()
    }


def _skin_from_batch(batch: pa.RecordBatch, textures: bytes | None) -> Skin | None:
    if "texture" not in batch.schema.names:
        return None
    colour, texture, uv = (batch.column(name).values.to_numpy(zero_copy_only=False) for name in _SKIN)
    if not len(texture):
        return None
    worn = tuple(Texture(image, wrap) for image, wrap in json.loads(textures or b"[]"))
    return Skin(colour.reshape(-1, 4), texture, uv.reshape(-1, 3, 2), worn)


def _solids_from_batch(batch: pa.RecordBatch, frame: Frame) -> Solids:
    lists = {name: batch.column(name) for name in _LISTS}
    values = {name: column.values.to_numpy(zero_copy_only=False) for name, column in lists.items()}
    vertex_offset = lists["vertices"].offsets.to_numpy() // 3
    face_offset = lists["surface"].offsets.to_numpy()
    faces = values["faces"].reshape(-1, 3) + np.repeat(vertex_offset[:-1], np.diff(face_offset))[:, None]
    attributes = {
        name[1:]: _attribute(batch.column(place)) for place, name in enumerate(batch.schema.names) if name[0] == "@"
    }
    return Solids(
        frame,
        objects(batch.column("oid").to_pylist()),
        values["vertices"].reshape(-1, 3),
        faces.astype(np.int32),
        values["surface"],
        vertex_offset,
        face_offset,
        batch.column("lod").to_numpy(),
        values["material"],
        attributes,
    )


def _attribute(column: pa.Array) -> NDArray[Any]:
    if pa.types.is_floating(column.type):
        return column.to_numpy(zero_copy_only=False)
    return objects(["" if v is None else v for v in column.to_pylist()])


def _cloud_to_batch(cloud: PointCloud) -> pa.RecordBatch:
    x, y, z = (np.ascontiguousarray(cloud.xyz[:, k]) for k in range(3))
    columns: dict[str, Any] = {"x": x, "y": y, "z": z, "classification": cloud.classification}
    if cloud.rgb is not None:
        columns |= {name: np.ascontiguousarray(cloud.rgb[:, k]) for k, name in enumerate(("r", "g", "b"))}
    return pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in columns.items()})


def _cloud_from_batch(batch: pa.RecordBatch, frame: Frame) -> PointCloud:
    xyz = np.column_stack([batch.column(name).to_numpy() for name in ("x", "y", "z")])
    rgb = None
    if "r" in batch.schema.names:
        rgb = np.column_stack([batch.column(name).to_numpy() for name in ("r", "g", "b")])
    return PointCloud(frame, xyz, batch.column("classification").to_numpy(), rgb)


def _reader(source: Any, path: Path) -> Any:
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid as error:
        raise StoreError(f"{path.name}: damaged ({error}); run the stage that made it again") from error


def _union(extents: Sequence[Bounds]) -> Bounds | None:
    if not extents:
        return None
    table = np.array(extents)
    low, high = table[:, :2].min(axis=0), table[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _meet(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]
