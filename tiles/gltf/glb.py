"""Binary glTF 2.0: the container, a builder for the buffer, and a reader that hands back arrays.

source  Khronos glTF 2.0.1, sections 3.6 (binary data) and 4 (GLB)
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.gltf import meshopt
from twin.errors import SourceError

MAGIC = 0x46546C67
_JSON, _BIN = 0x4E4F534A, 0x004E4942

ARRAY_BUFFER = 34962
ELEMENT_ARRAY_BUFFER = 34963

COMPONENT_DTYPES: Mapping[int, np.dtype[Any]] = {
    5120: np.dtype("i1"),
    5121: np.dtype("u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    5126: np.dtype("<f4"),
}
_COMPONENTS = {dtype.str.lstrip("<|"): code for code, dtype in COMPONENT_DTYPES.items()}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


def pack(document: Mapping[str, Any], binary: bytes) -> bytes:
    """One GLB of a glTF document and its only buffer; both chunks padded to four bytes."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<II", len(text), _JSON) + text
    if binary:
        chunks += struct.pack("<II", len(binary), _BIN) + binary
    return struct.pack("<III", MAGIC, 2, 12 + len(chunks)) + chunks


def unpack(data: bytes, where: str = "glb") -> tuple[dict[str, Any], bytes]:
    """(glTF document, binary chunk) of a GLB; the binary chunk is empty where there is none.

    raises  SourceError where header, lengths, alignment or JSON are wrong
    """
    if len(data) < 20:
        raise SourceError(f"{where}: {len(data)} bytes are too few for a GLB")
    magic, version, length = struct.unpack_from("<III", data, 0)
    if magic != MAGIC or version != 2 or length != len(data):
        raise SourceError(f"{where}: header says magic {magic:#x}, version {version}, {length} of {len(data)} bytes")
    at, chunks = 12, []
    while at < length:
        size, kind = struct.unpack_from("<II", data, at)
        if size % 4 or at + 8 + size > length:
            raise SourceError(f"{where}: chunk at byte {at} of {size} bytes is not aligned or runs over the end")
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + size
    if not chunks or chunks[0][0] != _JSON:
        raise SourceError(f"{where}: the first chunk is not JSON")
    try:
        document = json.loads(chunks[0][1].decode("utf-8"))
    except ValueError as error:
        raise SourceError(f"{where}: the JSON chunk does not parse: {error}") from error
    binary = chunks[1][1] if len(chunks) > 1 and chunks[1][0] == _BIN else b""
    return document, binary


@dataclass(slots=True)
class Builder:
    """Collects arrays into one buffer, every view aligned to eight bytes, and keeps the JSON that describes them.

    packed      vertices and indices go through meshopt; columns of features lie as they are, as the client that only
                wants those has it easy, and they gain nothing that the transport does not gain
    """

    packed: bool = False
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    unpacked: int = 0
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)

    def view(self, data: bytes, target: int = 0, stride: int = 0) -> int:
        """Index of a new buffer view over `data`."""
        return self._keep(self._place(data) | _use(target, stride))

    def attribute(self, values: NDArray[Any], *, normalized: bool = False, bounds: bool = False) -> int:
        """Index of an accessor over a vertex attribute (n,) or (n, k); elements are padded to four bytes.

        Floats that are packed have to lie on the grid of `meshopt.exponent_of`.
        bounds  write the exact min and max, as POSITION needs
        """
        table = values.reshape(len(values), -1)
        width = table.shape[1] * table.dtype.itemsize
        stride = width + -width % 4
        spread = self.packed and table.dtype.kind == "f"
        stored = meshopt.exponential(table) if spread else np.ascontiguousarray(table)
        raw = np.zeros((len(table), stride), np.uint8)
        raw[:, :width] = stored.view(np.uint8).reshape(len(table), width)
        if self.packed:
            coded = {"mode": "ATTRIBUTES", "count": len(table), "byteStride": stride}
            coded |= {"filter": "EXPONENTIAL"} if spread else {}
            at = self._packed_view(meshopt.encode_attribute(raw), coded, _use(ARRAY_BUFFER, stride))
        else:
            at = self.view(raw.tobytes(), ARRAY_BUFFER, stride if stride != width else 0)
        entry = _accessor(at, table)
        if normalized:
            entry["normalized"] = True
        if bounds:
            entry["min"] = [float(table[:, k].min()) for k in range(table.shape[1])]
            entry["max"] = [float(table[:, k].max()) for k in range(table.shape[1])]
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def indices(self, values: NDArray[np.integer[Any]], n_vertices: int) -> int:
        """Index of an accessor over triangle indices; 16 bits where they suffice."""
        table = values.reshape(-1, 1).astype("<u2" if n_vertices < 65535 else "<u4")
        if self.packed:
            coded = {"mode": "TRIANGLES", "count": len(table), "byteStride": table.itemsize}
            packed = meshopt.encode_triangles(table[:, 0].astype(np.uint32), n_vertices)
            at = self._packed_view(packed, coded, _use(ELEMENT_ARRAY_BUFFER, 0))
        else:
            at = self.view(table.tobytes(), ELEMENT_ARRAY_BUFFER)
        self.accessors.append(_accessor(at, table))
        return len(self.accessors) - 1

    def sequence(self, values: NDArray[np.integer[Any]], n_vertices: int) -> int:
        """Index of an accessor over vertex numbers that form no triangles; 16 bits where they suffice."""
        table = values.reshape(-1, 1).astype("<u2" if n_vertices < 65535 else "<u4")
        if self.packed:
            coded = {"mode": "INDICES", "count": len(table), "byteStride": table.itemsize}
            packed = meshopt.encode_sequence(table[:, 0].astype(np.uint32), n_vertices)
            at = self._packed_view(packed, coded, {})
        else:
            at = self.view(table.tobytes())
        self.accessors.append(_accessor(at, table))
        return len(self.accessors) - 1

    def finish(self, document: Mapping[str, Any]) -> bytes:
        """The GLB of `document` with this buffer, its views and accessors, and the extension of what is packed."""
        whole = dict(document)
        whole["accessors"], whole["bufferViews"] = self.accessors, self.views
        whole["buffers"] = [{"byteLength": self.size}]
        if self.unpacked:
            fallback = {"byteLength": self.unpacked, "extensions": {meshopt.EXTENSION: {"fallback": True}}}
            whole["buffers"].append(fallback)
            for key in ("extensionsUsed", "extensionsRequired"):
                whole[key] = sorted({*whole.get(key, ()), meshopt.EXTENSION})
        return pack(whole, b"".join(self.parts))

    def _place(self, data: bytes) -> dict[str, Any]:
        gap = -self.size % 8
        self.parts += [b"\0" * gap, data]
        at, self.size = self.size + gap, self.size + gap + len(data)
        return {"buffer": 0, "byteOffset": at, "byteLength": len(data)}

    def _packed_view(self, packed: bytes, coded: Mapping[str, Any], use: Mapping[str, int]) -> int:
        """A view into the buffer that is not there, and where its packed bytes are."""
        size = coded["count"] * coded["byteStride"]
        plain = {"buffer": 1, "byteOffset": self.unpacked, "byteLength": size}
        self.unpacked += size + -size % 8
        return self._keep({**plain, **use, "extensions": {meshopt.EXTENSION: {**self._place(packed), **coded}}})

    def _keep(self, entry: dict[str, Any]) -> int:
        self.views.append(entry)
        return len(self.views) - 1


def _use(target: int, stride: int) -> dict[str, int]:
    return ({"byteStride": stride} if stride else {}) | ({"target": target} if target else {})


def _accessor(view: int, table: NDArray[Any]) -> dict[str, Any]:
    return {
        "bufferView": view,
        "componentType": _COMPONENTS[table.dtype.str.lstrip("<|")],
        "count": len(table),
        "type": _TYPES[table.shape[1]],
    }


@dataclass(frozen=True, slots=True)
class Gltf:
    """A glTF that was opened: its document and its buffers.

    document    the JSON
    buffers     bytes of every buffer
    where       name for messages
    """

    document: Mapping[str, Any]
    buffers: tuple[bytes, ...]
    where: str

    def view(self, index: int) -> bytes:
        """Bytes of a buffer view, unpacked; SourceError where it leaves its buffer or does not unpack."""
        entry = _item(self.document.get("bufferViews", []), index, f"{self.where}: bufferView")
        extensions = entry.get("extensions", {})
        coded = next((extensions[name] for name in meshopt.READABLE if name in extensions), None)
        if coded is not None:
            return meshopt.decode(self._cut(coded, index), coded, f"{self.where}: bufferView {index}")
        return self._cut(entry, index)

    def _cut(self, entry: Mapping[str, Any], index: int) -> bytes:
        buffer = _item(self.buffers, entry["buffer"], f"{self.where}: buffer")
        start, size = entry.get("byteOffset", 0), entry["byteLength"]
        if start < 0 or start + size > len(buffer):
            raise SourceError(f"{self.where}: bufferView {index} ends at {start + size} of {len(buffer)} bytes")
        return buffer[start : start + size]

    def accessor(self, index: int) -> NDArray[Any]:
        """Values (n,) or (n, k) of an accessor as stored; sparse ones are refused.

        raises  SourceError where the accessor is not aligned or leaves its view
        """
        entry = _item(self.document.get("accessors", []), index, f"{self.where}: accessor")
        dtype, width = COMPONENT_DTYPES[entry["componentType"]], _WIDTHS[entry["type"]]
        count = int(entry["count"])
        if "sparse" in entry:
            raise SourceError(f"{self.where}: accessor {index} is sparse, which this reader does not open")
        if "bufferView" not in entry:
            return np.zeros((count, width), dtype).squeeze(axis=1) if width == 1 else np.zeros((count, width), dtype)
        view = self.document["bufferViews"][entry["bufferView"]]
        data = self.view(entry["bufferView"])
        offset, element = entry.get("byteOffset", 0), dtype.itemsize * width
        stride = view.get("byteStride", element)
        if (offset + view.get("byteOffset", 0)) % dtype.itemsize or stride % dtype.itemsize or stride < element:
            raise SourceError(f"{self.where}: accessor {index} is not aligned (offset {offset}, stride {stride})")
        if count and offset + (count - 1) * stride + element > len(data):
            raise SourceError(f"{self.where}: accessor {index} needs more than the {len(data)} bytes of its view")
        table = np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize)).copy()
        return table[:, 0] if width == 1 else table

    def normalized(self, index: int) -> NDArray[np.float64]:
        """Values of an accessor as floats, integers scaled to -1..1 or 0..1 where it says `normalized`."""
        values = self.accessor(index)
        if not self.document["accessors"][index].get("normalized"):
            return values.astype(np.float64)
        return np.maximum(values / np.iinfo(values.dtype).max, -1.0)

    def primitives(self) -> list[tuple[NDArray[np.float64], Mapping[str, Any]]]:
        """(world matrix (4, 4), primitive) of every mesh primitive of the default scene, parents applied."""
        found: list[tuple[NDArray[np.float64], Mapping[str, Any]]] = []
        nodes, meshes = self.document.get("nodes", []), self.document.get("meshes", [])
        scenes = self.document.get("scenes", [])
        roots = scenes[self.document.get("scene", 0)].get("nodes", []) if scenes else []
        stack = [(index, np.eye(4), 0) for index in reversed(roots)]
        while stack:
            index, above, depth = stack.pop()
            node = _item(nodes, index, f"{self.where}: node")
            if depth > len(nodes):
                raise SourceError(f"{self.where}: node {index} is its own ancestor")
            matrix = above @ node_matrix(node)
            if "mesh" in node:
                found += [(matrix, primitive) for primitive in meshes[node["mesh"]]["primitives"]]
            stack += [(child, matrix, depth + 1) for child in reversed(node.get("children", []))]
        return found


def node_matrix(node: Mapping[str, Any]) -> NDArray[np.float64]:
    """Matrix (4, 4) of a glTF node, column vectors; from `matrix` or translation, rotation and scale."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.asarray(node.get("scale", (1.0, 1.0, 1.0)))
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix


def read(source: bytes | Path, where: str = "") -> Gltf:
    """An opened .glb (bytes or path) or .gltf (path), with external and embedded buffers.

    raises  SourceError where the file or one of its buffers is missing or broken
    """
    if isinstance(source, bytes):
        document, binary = unpack(source, where or "glb")
        return Gltf(document, _buffers(document, binary, _nowhere), where or "glb")
    label = where or str(source)
    try:
        data = source.read_bytes()
    except OSError as error:
        raise SourceError(f"{label}: cannot be read ({error.strerror})") from error
    if data[:4] == b"glTF":
        document, binary = unpack(data, label)
    else:
        try:
            document, binary = json.loads(data.decode("utf-8")), b""
        except ValueError as error:
            raise SourceError(f"{label}: neither GLB nor glTF JSON: {error}") from error
    return Gltf(document, _buffers(document, binary, lambda uri: (source.parent / uri).read_bytes()), label)


def _buffers(document: Mapping[str, Any], binary: bytes, fetch: Callable[[str], bytes]) -> tuple[bytes, ...]:
    buffers = []
    for entry in document.get("buffers", []):
        uri = entry.get("uri", "")
        if not uri and any(entry.get("extensions", {}).get(name, {}).get("fallback") for name in meshopt.READABLE):
            # Nothing but the place of what is packed: its views say where their bytes really are.
            buffers.append(b"")
            continue
        if not uri:
            data = binary
        elif uri.startswith("data:"):
            data = base64.b64decode(uri.partition(",")[2])
        else:
            try:
                data = fetch(uri)
            except OSError as error:
                raise SourceError(f"buffer {uri} cannot be read ({error.strerror}); keep it beside the glTF") from error
        if len(data) < entry["byteLength"]:
            raise SourceError(f"buffer {uri[:40] or 'of the GLB'}: {len(data)} of {entry['byteLength']} bytes")
        buffers.append(data)
    return tuple(buffers)


def _nowhere(uri: str) -> bytes:
    raise SourceError(f"buffer {uri} lies outside the bytes; open the glTF by its path")


def _item(items: Any, index: int, what: str) -> Any:
    if not 0 <= index < len(items):
        raise SourceError(f"{what} {index} does not exist; there are {len(items)}")
    return items[index]


def opened(document: Mapping[str, Any], binary: bytes, fetch: Callable[[str], bytes], where: str) -> Gltf:
    """The glTF of a document that was read elsewhere; `fetch` gives the bytes of a buffer by its uri.

    raises  SourceError where a buffer is missing or cut
    """
    return Gltf(document, _buffers(document, binary, fetch), where)
