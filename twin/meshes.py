"""Solids: thousands of closed meshes as a few flat arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin.errors import GeometryError, NotFoundError
from twin.features import Objects, objects
from twin.frames import Frame
from twin.grid import Bounds, require_same_frame


class Surface(IntEnum):
    """What a face is (CityGML 3.0 and CityJSON 2.0 semantic surfaces)."""

    GROUND = 0
    WALL = 1
    ROOF = 2
    OPENING = 3
    OUTER_CEILING = 4
    OUTER_FLOOR = 5
    INSTALLATION = 6
    OTHER = 7


@dataclass(frozen=True, slots=True)
class Material:
    """How a surface looks: sRGB colour 0..1, roughness and metalness of the metallic-roughness model."""

    name: str
    name_zh: str
    rgb: tuple[float, float, float]
    roughness: float = 0.9
    metallic: float = 0.0


MATERIALS: tuple[Material, ...] = (
    Material("by_use", "按用途", (0.80, 0.78, 0.75)),
    Material("grey_tile", "灰筒瓦", (0.36, 0.38, 0.39), 0.85),
    Material("green_glaze", "绿琉璃", (0.12, 0.40, 0.27), 0.35),
    Material("yellow_glaze", "黄琉璃", (0.78, 0.56, 0.14), 0.35),
    Material("blue_glaze", "蓝琉璃", (0.12, 0.30, 0.50), 0.35),
    Material("red_wall", "红墙", (0.56, 0.25, 0.20)),
    Material("red_lacquer", "朱漆柱", (0.47, 0.13, 0.10), 0.55),
    Material("bracket_paint", "斗拱彩画", (0.18, 0.36, 0.34), 0.8),
    Material("grey_brick", "青砖", (0.46, 0.46, 0.45)),
    Material("rammed_earth", "夯土", (0.62, 0.52, 0.39)),
    Material("stone", "石", (0.66, 0.64, 0.60)),
    Material("timber", "木", (0.40, 0.28, 0.19), 0.8),
    Material("lattice", "隔扇门窗", (0.34, 0.16, 0.11), 0.7),
    Material("plaster", "白灰墙", (0.80, 0.77, 0.71)),
    Material("gilt", "金饰", (0.90, 0.65, 0.25), 0.35, 1.0),
    Material("dark_opening", "门洞", (0.16, 0.14, 0.13)),
    Material("paving", "铺地", (0.58, 0.56, 0.53)),
)


def material_code(name: str) -> int:
    """Index of a material in MATERIALS; NotFoundError names the known ones."""
    for code, material in enumerate(MATERIALS):
        if material.name == name:
            return code
    raise NotFoundError(f"no material {name!r}; known: {', '.join(m.name for m in MATERIALS)}")


WRAPS = ("repeat", "mirror", "clamp")


@dataclass(frozen=True, slots=True)
class Texture:
    """A picture that faces wear.

    image   name under which the store keeps the file: hash of its bytes and suffix, so the same picture has one name
    wrap    what is beyond its edge: "repeat", "mirror" or "clamp" (glTF 2.0 sampler)
    """

    image: str
    wrap: str = "repeat"


@dataclass(frozen=True, slots=True)
class Skin:
    """What the m faces of a batch wear over their material: colours and pictures as delivered.

    colour      (m, 4) u1, sRGB and opacity; opacity 0 where the source tells no colour, then `material` holds
    texture     (m,) i4, index into `textures`, -1 where a face wears none
    uv          (m, 3, 2) f4, place of each corner in the picture: (0, 0) its lower left, (1, 1) its upper right
    textures    the pictures that are worn
    """

    colour: NDArray[np.uint8]
    texture: NDArray[np.int32]
    uv: NDArray[np.float32]
    textures: tuple[Texture, ...] = ()

    def __post_init__(self) -> None:
        m = len(self.texture)
        fits = self.colour.shape == (m, 4) and self.uv.shape == (m, 3, 2)
        if not fits or (m and not -1 <= int(self.texture.min()) <= int(self.texture.max()) < len(self.textures)):
            raise GeometryError(f"skin: {m} faces, {len(self.textures)} textures do not fit colour, texture or uv")

    @staticmethod
    def bare(m: int) -> Skin:
        """The skin of m faces that wear nothing."""
        return Skin(np.zeros((m, 4), np.uint8), np.full(m, -1, np.int32), np.zeros((m, 3, 2), np.float32))

    @property
    def is_bare(self) -> bool:
        """True where no face wears anything."""
        return not self.textures and not self.colour[:, 3].any()

    def take(self, index: ArrayLike) -> Skin:
        """The faces at `index` (k,) int, in that order, and only the pictures that they wear."""
        rows = np.asarray(index, dtype=np.intp)
        texture = self.texture[rows]
        worn = np.unique(texture[texture >= 0])
        place = np.full(len(self.textures) + 1, -1, np.int32)
        place[worn] = np.arange(len(worn), dtype=np.int32)
        return Skin(self.colour[rows], place[texture], self.uv[rows], tuple(self.textures[k] for k in worn.tolist()))


@dataclass(frozen=True, slots=True)
class Solids:
    """A batch of closed meshes.

    frame           the city's Frame
    oid             (b,) object array of str, unique
    vertices        (n, 3) f8, frame metres, z in the vertical datum
    faces           (m, 3) i4, vertex index within the batch, counter-clockwise seen from outside
    surface         (m,) u1, Surface
    vertex_offset   (b + 1,) i8; the vertices of solid k are vertex_offset[k] .. vertex_offset[k + 1]
    face_offset     (b + 1,) i8; likewise
    lod             (b,) u1, level of detail times ten: 12, 13, 22, 30
    material        (m,) u1, index into MATERIALS
    attributes      name -> (b,) f8 or object array of str; "owner" names the city object that a part belongs to
    skin            colours and pictures of the faces; None where the source brings none
    """

    frame: Frame
    oid: Objects
    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    surface: NDArray[np.uint8]
    vertex_offset: NDArray[np.int64]
    face_offset: NDArray[np.int64]
    lod: NDArray[np.uint8]
    material: NDArray[np.uint8]
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    skin: Skin | None = None

    def __post_init__(self) -> None:
        b, n, m = len(self.oid), len(self.vertices), len(self.faces)
        sizes = {
            "vertex_offset": (len(self.vertex_offset), b + 1),
            "face_offset": (len(self.face_offset), b + 1),
            "lod": (len(self.lod), b),
            "surface": (len(self.surface), m),
            "material": (len(self.material), m),
            "skin": (m if self.skin is None else len(self.skin.texture), m),
            **{key: (len(values), b) for key, values in self.attributes.items()},
        }
        wrong = [key for key, (have, want) in sizes.items() if have != want]
        if wrong or (b and (self.vertex_offset[-1] != n or self.face_offset[-1] != m)):
            raise GeometryError(f"solids: {b} oids, {n} vertices, {m} faces do not fit {wrong or 'the offsets'}")

    def __len__(self) -> int:
        return len(self.oid)

    @staticmethod
    def empty(frame: Frame, attributes: Mapping[str, NDArray[Any]] | None = None) -> Solids:
        """A batch with nothing in it; `attributes` gives the columns to keep."""
        kept = {key: values[:0] for key, values in (attributes or {}).items()}
        return Solids(
            frame,
            objects([]),
            np.zeros((0, 3)),
            np.zeros((0, 3), np.int32),
            np.zeros(0, np.uint8),
            np.zeros(1, np.int64),
            np.zeros(1, np.int64),
            np.zeros(0, np.uint8),
            np.zeros(0, np.uint8),
            kept,
        )

    @property
    def bounds(self) -> Bounds:
        """(xmin, ymin, xmax, ymax), m; zeros for an empty batch."""
        if not len(self.vertices):
            return (0.0, 0.0, 0.0, 0.0)
        low, high = self.vertices[:, :2].min(axis=0), self.vertices[:, :2].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def owner(self) -> Objects:
        """(b,) oid of the city object each solid belongs to; itself where no part is declared."""
        return self.attributes.get("owner", self.oid)

    def face_owner(self) -> NDArray[np.int64]:
        """(m,) row of the solid that each face belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.face_offset))

    def vertex_owner(self) -> NDArray[np.int64]:
        """(n,) row of the solid that each vertex belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.vertex_offset))

    def volumes(self) -> NDArray[np.float64]:
        """(b,) f8 m3, positive where faces look outward (divergence theorem, about each solid's first vertex)."""
        if not len(self):
            return np.zeros(0)
        base = self.vertices[np.minimum(self.vertex_offset[:-1], max(len(self.vertices) - 1, 0))]
        rows = self.face_owner()
        a, b, c = (self.vertices[self.faces[:, k]] - base[rows] for k in range(3))
        signed = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
        return np.bincount(rows, weights=signed, minlength=len(self)).astype(np.float64)

    def is_closed(self) -> NDArray[np.bool_]:
        """(b,) True where every directed edge has exactly one opposite: closed, 2-manifold edges, oriented."""
        if not len(self.faces):
            return np.zeros(len(self), dtype=bool)
        start = self.faces.reshape(-1).astype(np.int64)
        end = np.roll(self.faces, -1, axis=1).reshape(-1).astype(np.int64)
        n = len(self.vertices)
        forward, backward = np.sort(start * n + end), end * n + start
        place = np.searchsorted(forward, backward)
        has_twin = (place < len(forward)) & (forward[np.minimum(place, len(forward) - 1)] == backward)
        once = np.searchsorted(forward, backward, side="right") - place == 1
        rows = np.repeat(self.face_owner(), 3)
        bad = np.bincount(rows, weights=~(has_twin & once), minlength=len(self))
        return (bad == 0) & (np.diff(self.face_offset) > 0)

    def take(self, index: ArrayLike) -> Solids:
        """The solids at `index` (k,) int, in that order."""
        rows = np.asarray(index, dtype=np.intp)
        vertex_at, vertex_offset = _gather(self.vertex_offset, rows)
        face_at, face_offset = _gather(self.face_offset, rows)
        shift = np.repeat(vertex_offset[:-1] - self.vertex_offset[:-1][rows], np.diff(face_offset))
        return replace(
            self,
            oid=self.oid[rows],
            vertices=self.vertices[vertex_at],
            faces=(self.faces[face_at] + shift[:, None]).astype(np.int32),
            surface=self.surface[face_at],
            vertex_offset=vertex_offset,
            face_offset=face_offset,
            lod=self.lod[rows],
            material=self.material[face_at],
            attributes={key: values[rows] for key, values in self.attributes.items()},
            skin=None if self.skin is None else self.skin.take(face_at),
        )


def concatenate(parts: Sequence[Solids]) -> Solids:
    """One batch of several in the same frame; attributes that all parts have are kept."""
    if not parts:
        raise GeometryError("concatenate needs at least one batch, for its frame")
    require_same_frame(*(part.frame for part in parts))
    shared = set(parts[0].attributes).intersection(*(part.attributes for part in parts))
    vertex_offset = _chain([part.vertex_offset for part in parts])
    start = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.faces.astype(np.int64) + first for part, first in zip(parts, start, strict=False)]
    return Solids(
        parts[0].frame,
        np.concatenate([part.oid for part in parts]),
        np.concatenate([part.vertices for part in parts]),
        np.concatenate(faces).astype(np.int32),
        np.concatenate([part.surface for part in parts]),
        vertex_offset,
        _chain([part.face_offset for part in parts]),
        np.concatenate([part.lod for part in parts]),
        np.concatenate([part.material for part in parts]),
        {key: np.concatenate([part.attributes[key] for part in parts]) for key in sorted(shared)},
        _join(parts),
    )


def _join(parts: Sequence[Solids]) -> Skin | None:
    if all(part.skin is None for part in parts):
        return None
    return join_skins([part.skin or Skin.bare(len(part.faces)) for part in parts])


def join_skins(skins: Sequence[Skin]) -> Skin:
    """The skin of the faces of several one after another (at least one); a picture that several wear is named once."""
    code = {texture: 0 for skin in skins for texture in skin.textures}
    code = {texture: k for k, texture in enumerate(code)}
    # The last place answers for -1: a face without a picture.
    places = [np.array([*(code[texture] for texture in skin.textures), -1], np.int32) for skin in skins]
    return Skin(
        np.concatenate([skin.colour for skin in skins]),
        np.concatenate([place[skin.texture] for skin, place in zip(skins, places, strict=True)]),
        np.concatenate([skin.uv for skin in skins]),
        tuple(code),
    )


def _chain(offsets: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    sizes = np.concatenate([np.diff(offset) for offset in offsets])
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _gather(offset: NDArray[np.int64], rows: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    sizes = np.diff(offset)[rows]
    packed = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    at = np.arange(packed[-1]) + np.repeat(offset[:-1][rows] - packed[:-1], sizes)
    return at, packed
