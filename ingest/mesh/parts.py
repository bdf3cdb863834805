"""OBJ, glTF and PLY through trimesh: one file in memory, its objects one by one with what they wear.

Memory: the file as text or buffers and its arrays, at most 30 times the size of the file; a file over LIMIT is refused.
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.citymodel.album import WRAPS, Place
from twin.errors import SourceError

NESTED = 2_000
LIMIT = 512 * 2**20
SUFFIXES = (".obj", ".glb", ".gltf", ".ply")
_GLTF_MAGIC = b"glTF"
_JSON_CHUNK = 0x4E4F534A
_SHARED, _FEW = 4, 65_536
_DIGITS = 24
# What a file must say and still be read as it stands; everything else that is required changes the geometry.
_HARMLESS = frozenset({"KHR_materials_unlit", "KHR_materials_pbrSpecularGlossiness", "EXT_mesh_features"})
# trimesh checks what it reads by asserts, and says NotImplementedError of accessors it does not know.
_BROKEN = (
    ValueError, IndexError, KeyError, TypeError, AttributeError, OSError, OverflowError, ZeroDivisionError,
    AssertionError, NotImplementedError, struct.error, RecursionError, EOFError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """One mesh of an object, in the file's own numbers.

    name        of the object that it is of; "" where the file names none
    vertices    (n, 3) f8
    faces       (m, 3) i8, counter-clockwise seen from outside
    colour      (m, 4) u1; opacity 0 where none is told
    uv          (n, 2) f4 place of each vertex in the picture, (0, 0) its lower left; None without picture
    picture     its bytes, b"" where there is none
    """

    name: str
    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    colour: NDArray[np.uint8]
    uv: NDArray[np.float32] | None
    picture: bytes = b""
    wrap: str = WRAPS[""]


class Nearby:
    """Gives trimesh the files that a mesh names, from inside the delivery; counts the pictures that are not there."""

    def __init__(self, place: Place, encoding: str = "") -> None:
        self._place, self.encoding = place, encoding or "utf-8"
        self.states: dict[str, str] = {}

    def get(self, key: str) -> bytes:
        """The bytes of a file beside the mesh; OSError where it is missing or outside."""
        name = str(key).strip()
        found = self._place.find(name)
        self.states[name] = found if isinstance(found, str) else "present"
        if isinstance(found, str):
            raise FileNotFoundError(name)
        if found.stat().st_size > LIMIT:
            self.states[name] = "unreadable"
            raise FileNotFoundError(name)
        data = found.read_bytes()
        return data.decode(self.encoding).encode() if name.lower().endswith(".mtl") else data

    __getitem__ = get

    def has(self, key: str) -> bool:
        """True where the file is there and inside the delivery."""
        return not isinstance(self._place.find(key), str)

    def size(self, key: str) -> int:
        """Bytes of a file beside the mesh; 0 where there is none, or its bytes stand in the name."""
        found = "" if key.startswith("data:") else self._place.find(key)
        return 0 if isinstance(found, str) else found.stat().st_size

    def lost_libraries(self) -> list[str]:
        """Names of material libraries asked for that are not there."""
        return [name for name, state in self.states.items() if name.lower().endswith(".mtl") and state != "present"]

    def pictures(self) -> list[str]:
        """Names asked for that are no material library and no buffer."""
        return [name for name in self.states if not name.lower().endswith((".mtl", ".bin"))]

    def keys(self) -> tuple[str, ...]:
        """Nothing is listed."""
        return ()

    def namespaced(self, namespace: str) -> Nearby:
        """The same folder."""
        return self


def pieces_of(path: Path, shown: str, nearby: Nearby) -> Iterator[Piece]:
    """The meshes of a file in a fixed order.

    raises  SourceError for a file that is too large, damaged, of another kind, without faces, or that needs a
            compression that is not read
    """
    size = path.stat().st_size
    if size > LIMIT:
        raise SourceError(f"{shown}: a mesh over {LIMIT >> 20} MiB; deliver it in tiles")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SourceError(f"{shown}: no mesh that is read; there are {', '.join(SUFFIXES)}")
    options: dict[str, Any] = {}
    if suffix == ".obj":
        options = _obj_options(path, shown, nearby)
    elif suffix in (".glb", ".gltf"):
        _check_gltf(path, shown, nearby)
    elif suffix == ".ply":
        _check_ply(path, shown)
    try:
        scene = _load(path, suffix, nearby, options)
        found = list(_pieces(scene, suffix))
    except _BROKEN as err:
        words = (str(err) or type(err).__name__).splitlines()[0][:120]
        raise SourceError(f"{shown}: the mesh is damaged or cut short ({words}); ask for it again") from err
    if not any(len(piece.faces) for piece in found):
        raise SourceError(f'{shown}: no faces; a cloud of points is read by kind = "points"')
    yield from found


def _load(path: Path, suffix: str, nearby: Nearby, options: dict[str, Any]) -> Any:
    # Its import takes longer than reading a small mesh; who brings no mesh does not wait for it.
    import trimesh

    with _opened(path, suffix, nearby) as file:
        return trimesh.load_scene(file, file_type=suffix[1:], resolver=nearby, process=False, **options)


def _opened(path: Path, suffix: str, nearby: Nearby) -> Any:
    if suffix != ".obj":
        return path.open("rb")
    try:
        return io.StringIO(path.read_text(nearby.encoding))
    except UnicodeDecodeError as err:
        word = 'encoding = "GB18030" (or whichever it is)'
        raise ValueError(f"its text is not {nearby.encoding}; declare {word} in city.toml") from err


def _obj_options(path: Path, shown: str, nearby: Nearby) -> dict[str, Any]:
    """Objects where the file has any, else groups; materials apart where their file is there."""
    kinds: set[bytes] = set()
    library, last = False, b""
    with path.open("rb") as file:
        for line in file:
            last = line if line.strip() else last
            word = line[:7].split(b" ", 1)[0].strip()
            if word in (b"o", b"g"):
                kinds.add(word)
            elif word == b"mtllib":
                library = library or nearby.has(line[7:].decode(nearby.encoding, "replace"))
    if last.split()[:1] in ([b"f"], [b"v"]) and len(last.split()) < 4:
        raise SourceError(f"{shown}: cut short in its last line; ask for the file again")
    split_objects = b"o" in kinds
    return {
        "split_objects": split_objects,
        "split_groups": not split_objects and b"g" in kinds,
        "group_material": library,
    }


def _check_gltf(path: Path, shown: str, nearby: Nearby) -> None:
    """Stops at claims that no file can keep, before anything is laid out for them."""
    held = size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(20)
        if head[:4] == _GLTF_MAGIC:
            length, kind = struct.unpack("<II", head[12:20]) if len(head) == 20 else (0, 0)
            if kind != _JSON_CHUNK or not 0 < length <= size:
                raise SourceError(f"{shown}: damaged GLB header; ask for the file again")
            text = file.read(length)
        else:
            text = head + file.read()
    try:
        document = json.loads(text)
        needed = set(document.get("extensionsRequired", [])) - _HARMLESS
        claimed = sum(max(0, int(each["count"])) for each in document.get("accessors", []))
        parents = sum(bool(node.get("children")) for node in document.get("nodes") or [])
        held += sum(nearby.size(str(each["uri"])) for each in document.get("buffers", []) if "uri" in each)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as err:
        raise SourceError(f"{shown}: damaged glTF ({str(err)[:80]}); ask for the file again") from err
    if needed:
        raise SourceError(f"{shown}: glTF needs {', '.join(sorted(needed))}; export it without")
    # Each level costs trimesh all levels above it; a scene of buildings has a handful.
    if parents > NESTED:
        raise SourceError(
            f"{shown}: {parents:,} nodes with children, more than {NESTED:,}; export it flat, or in tiles"
        )
    # An element takes a byte at least; a few accessors may share their bytes, or stand for zeros.
    if claimed > min(LIMIT // 4, _SHARED * held + _FEW):
        raise SourceError(f"{shown}: accessors claim {claimed:,} elements; the file is damaged, or to be cut in tiles")


def _check_ply(path: Path, shown: str) -> None:
    claimed = 0
    with path.open("rb") as file:
        for line in file.read(2**16).split(b"end_header", 1)[0].splitlines():
            words = line.split()
            if words[:1] == [b"element"] and len(words) == 3 and words[2].isdigit():
                # More digits than any file has bytes are no number to work with.
                claimed += int(words[2][:_DIGITS])
    # A vertex or a face takes at least four bytes in any form of the format.
    if claimed * 4 > path.stat().st_size:
        raise SourceError(f"{shown}: the header claims {claimed:,} elements, more than the file can hold")


def _pieces(scene: Any, suffix: str) -> Iterator[Piece]:
    graph = scene.graph
    # The names that trimesh gives to nodes of several primitives are drawn anew each time; those of meshes are not.
    order = sorted(graph.nodes_geometry, key=lambda node: (graph[node][1], str(graph.transforms.parents.get(node, ""))))
    for node in order:
        transform, geometry = graph[node]
        mesh = scene.geometry[geometry]
        if not len(getattr(mesh, "faces", ())):
            continue
        name = str(node)
        if suffix == ".ply":
            name = ""
        elif mesh.metadata.get("from_gltf_primitive"):
            name = str(graph.transforms.parents.get(node, node))
        elif suffix == ".obj":
            name = _object_name(name, mesh)
        vertices = np.asarray(mesh.vertices, dtype=np.float64) @ transform[:3, :3].T + transform[:3, 3]
        faces = np.asarray(mesh.faces, dtype=np.int64)
        if not np.isfinite(vertices).all() or faces.min() < 0 or faces.max() >= len(vertices):
            raise ValueError("a coordinate is no number, or a face names no vertex")
        mirrored = np.linalg.det(transform[:3, :3]) < 0.0
        uv, picture = _picture(mesh, len(vertices))
        yield Piece(name, vertices, faces[:, ::-1] if mirrored else faces, _colours(mesh), uv, picture)


def _object_name(name: str, mesh: Any) -> str:
    """The object's name without that of its material, which trimesh puts behind it."""
    material = str(getattr(getattr(mesh.visual, "material", None), "name", "") or "")
    if name in ("geometry", material) or re.fullmatch(r"geometry_\d+", name):
        return ""
    return name.removesuffix(f"_{material}") if material else name


def _picture(mesh: Any, n: int) -> tuple[NDArray[np.float32] | None, bytes]:
    uv = getattr(mesh.visual, "uv", None)
    material = getattr(mesh.visual, "material", None)
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    stream = getattr(image, "fp", None)
    if uv is None or len(uv) != n or not isinstance(stream, io.BytesIO) or not np.isfinite(uv).all():
        return None, b""
    return np.asarray(uv, dtype=np.float32), stream.getvalue()


def _colours(mesh: Any) -> NDArray[np.uint8]:
    """(m, 4) u1: colours of faces, means of those of their vertices, or the base colour of the material."""
    m, kind = len(mesh.faces), mesh.visual.kind
    if kind == "face":
        return np.asarray(mesh.visual.face_colors, np.uint8).reshape(m, 4)
    if kind == "vertex":
        corners = np.asarray(mesh.visual.vertex_colors, np.float64)[mesh.faces]
        return np.rint(corners.mean(axis=1)).astype(np.uint8)
    material = getattr(mesh.visual, "material", None)
    base = getattr(material, "baseColorFactor", None) if hasattr(material, "baseColorFactor") else None
    base = getattr(material, "diffuse", None) if base is None else base
    told = material is not None and material.name and base is not None
    return np.tile(np.asarray(base if told else (0, 0, 0, 0), np.uint8).reshape(1, 4), (m, 1))
