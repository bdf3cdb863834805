"""The faces of a tile that wear pictures: an atlas of all pictures, and triangles with their places in it.

Pictures are opened one after another and only the part that faces show is kept, as fine as the tile needs it. WebP,
since no encoder of KTX2 is packaged for Python. A picture that repeats across a face does not fit an atlas: its
repetitions are drawn out in it where they are few, else the face shows the mean colour.

source  glTF 2.0.1, 5.29 (textures); EXT_texture_webp
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiles.options import TextureTiles
from tiles.skins.atlas import Layout, Part, layout, paste, webp
from twin.errors import NotFoundError
from twin.meshes import Skin, Solids, Surface, Texture

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Pictures = Callable[[str], bytes]

_MOST_REPEATS = 8
_MOST_PIXELS = 200_000_000
_FILLED = 0.6
_DENSEST = 1e-3
_SMALLER = 0.7
_TRIES = 8
"""Sizes that are tried until the atlas keeps its bytes; the last has a hundredth of the pixels of the first."""


@dataclass(frozen=True, slots=True)
class Worn:
    """Triangles with a picture, in frame axes.

    point (v,) i8 vertex of the solids      normal (v, 3) i1, frame axes, 127 is 1      uv (v, 2) f8, origin upper left
    triangles (k, 3) i8                     picture   bytes of a WebP                   cut  True where it has holes
    """

    point: Integers
    normal: NDArray[np.int8]
    uv: Floats
    triangles: Integers
    picture: bytes
    cut: bool


@dataclass(frozen=True, slots=True)
class Dressed:
    """Solids without the faces that wear pictures, those faces, and what each solid looks like from afar.

    solids  the same solids; faces with a picture are gone from them, or wear its mean colour where it could not be used
    worn    None where nothing is worn
    tone    (b, 3) f8 sRGB, NaN where a solid wears nothing: mean of what it wears by area
    broken  (texture image, reason) of pictures that could not be opened
    """

    solids: Solids
    worn: Worn | None
    tone: Floats
    broken: tuple[tuple[str, str], ...]


def dress(solids: Solids, pictures: Pictures, options: TextureTiles) -> Dressed:
    """What the faces of a tile wear.

    pictures    gives the bytes of a picture by its name
    """
    bare = np.full((len(solids), 3), np.nan)
    if solids.skin is None or solids.skin.is_bare:
        return Dressed(solids, None, bare, ())
    skin = solids.skin
    shown = np.flatnonzero((skin.texture >= 0) & (solids.surface != Surface.GROUND) & (_areas(solids) > 0.0))
    if not options.pictures or not len(shown):
        return Dressed(solids, None, tone_of(solids, np.zeros((0, 3))), ())
    sheet = _sheet(solids, shown, pictures, options)
    skin = _with_means(skin, sheet)
    fits = np.zeros(len(solids.faces), bool)
    fits[shown] = sheet.usable[skin.texture[shown]]
    tone = tone_of(replace(solids, skin=skin), sheet.mean)
    worn = _worn(solids, np.flatnonzero(fits), sheet) if fits.any() else None
    return Dressed(_without(replace(solids, skin=skin), fits), worn, tone, sheet.broken)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The atlas of a tile.

    uv      (m, 3, 2) places of corners in each picture, origin upper left, within 0..`repeats` of the picture
    parts   of the pictures that are used       box (t, 4) of each in the atlas
    size    (t, 2) pixels of each picture       mean (t, 3) sRGB, NaN where it could not be opened
    """

    uv: Floats
    parts: tuple[Part, ...]
    box: Integers
    size: Integers
    mean: Floats
    usable: NDArray[np.bool_]
    extent: tuple[int, int]
    picture: bytes
    cut: bool
    broken: tuple[tuple[str, str], ...]


def _sheet(solids: Solids, shown: Integers, pictures: Pictures, options: TextureTiles) -> _Sheet:
    skin = solids.skin or Skin.bare(len(solids.faces))
    textures = skin.textures
    uv = np.stack([skin.uv[..., 0], 1.0 - skin.uv[..., 1]], axis=2).astype(np.float64)
    texture = skin.texture
    for number, worn in enumerate(textures):
        uv[texture == number] = _home(uv[texture == number], worn)
    size, cut, broken = _sizes(textures, np.unique(texture[shown]), pictures)
    usable = size[:, 0] > 0
    parts, reach = _parts(uv, texture, shown, size)
    usable &= reach <= _MOST_REPEATS
    some = np.flatnonzero(usable)
    mean = np.full((len(textures), 3), np.nan)
    for number in np.flatnonzero((size[:, 0] > 0) & ~usable).tolist():
        with _opened(pictures(textures[number].image)) as picture:
            mean[number] = np.asarray(picture.convert("RGB").resize((1, 1), Image.Resampling.BOX)).reshape(3) / 255.0
    box = np.zeros((len(textures), 4), np.int64)
    data, extent = b"", (1, 1)
    if len(some):
        wanted = _wanted(solids, uv, (shown, some), parts, size, options.texel)
        for step in range(_TRIES):
            found = layout(wanted * _SMALLER**step, options.side)
            atlas = Image.new("RGBA" if cut else "RGB", (found.width, found.height))
            _fill(atlas, found, (textures, some, parts), pictures, mean)
            data = webp(atlas, options.quality)
            if len(data) <= options.most_bytes:
                break
        box[some], extent = found.boxes, (found.width, found.height)
    return _Sheet(uv, parts, box, size, mean, usable, extent, data, cut, broken)


def _home(uv: Floats, texture: Texture) -> Floats:
    """Places moved by whole pictures to where the picture begins; beyond the edge of a clamped one is its edge."""
    if texture.wrap == "clamp" or not len(uv):
        return np.clip(uv, 0.0, 1.0)
    every = 2.0 if texture.wrap == "mirror" else 1.0
    return np.asarray(uv - every * np.floor((uv.min(axis=1) + 1e-4) / every)[:, None])


def _sizes(
    textures: tuple[Texture, ...], named: Integers, pictures: Pictures
) -> tuple[Integers, bool, tuple[tuple[str, str], ...]]:
    """((t, 2) pixels, 0 where a picture cannot be used; whether any has holes; what cannot be used and why)."""
    size = np.zeros((len(textures), 2), np.int64)
    cut, broken = False, []
    for number in named.tolist():
        name = textures[number].image
        try:
            with _opened(pictures(name)) as picture:
                picture.load()
                size[number] = picture.size
                cut |= "A" in picture.getbands() or "transparency" in picture.info
        except (OSError, SyntaxError, NotFoundError, Image.DecompressionBombError) as error:
            broken.append((name, str(error)))
    return size, cut, tuple(broken)


def _opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    if picture.width * picture.height > _MOST_PIXELS:
        raise OSError(f"{picture.width} x {picture.height} pixels are more than {_MOST_PIXELS}")
    return picture


def _parts(uv: Floats, texture: Integers, shown: Integers, size: Integers) -> tuple[tuple[Part, ...], Floats]:
    """The part of each picture that faces show, and how many pictures side by side that part reaches over."""
    low, high = np.full((len(size), 2), np.inf), np.full((len(size), 2), -np.inf)
    corners, number = uv[shown].reshape(-1, 2), np.repeat(texture[shown], 3)
    np.minimum.at(low, number, corners)
    np.maximum.at(high, number, corners)
    seen = np.isfinite(low).all(axis=1)
    low, high = np.where(seen[:, None], low, 0.0), np.where(seen[:, None], high, 0.0)
    first = np.maximum(np.floor(low * size + 1e-3), 0.0).astype(np.int64)
    last = np.maximum(np.ceil(high * size - 1e-3).astype(np.int64), first + 1)
    parts = tuple(Part(*row) for row in np.column_stack([first, last]).tolist())
    return parts, np.ceil(high - 1e-3).max(axis=1)


def _wanted(
    solids: Solids, uv: Floats, chosen: tuple[Integers, Integers], parts: tuple[Part, ...], size: Integers, texel: float
) -> Floats:
    """(n, 2) pixels of the chosen pictures' parts in the atlas: as many as they have, none finer than `texel`, m."""
    shown, some = chosen
    texture = solids.skin.texture[shown] if solids.skin is not None else np.zeros(0, np.int64)
    a, b, c = (uv[shown, k] for k in range(3))
    flat = np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])) / 2.0
    pixels = np.bincount(texture, flat * size[texture].prod(axis=1), len(size))
    metres = np.bincount(texture, _areas(solids)[shown], len(size))
    density = np.sqrt(pixels / np.maximum(metres, _DENSEST))
    factor = np.minimum(1.0, 1.0 / np.maximum(density * texel, _DENSEST))[some]
    return np.array([parts[number].size for number in some.tolist()]) * factor[:, None]


def _fill(
    atlas: Image.Image,
    places: Layout,
    chosen: tuple[tuple[Texture, ...], Integers, tuple[Part, ...]],
    pictures: Pictures,
    mean: Floats,
) -> None:
    """Draw the chosen pictures into their places; `mean` (t, 3) takes their mean colours."""
    textures, some, parts = chosen
    for box, number in zip(places.boxes.tolist(), some.tolist(), strict=True):
        with _opened(pictures(textures[number].image)) as picture:
            drawn = _repeated(picture.convert(atlas.mode), textures[number], parts[number])
            mean[number] = paste(atlas, drawn, parts[number], box)


def _repeated(picture: Image.Image, texture: Texture, part: Part) -> Image.Image:
    """The picture as often side by side as the part reaches; every second one turned over where it is mirrored."""
    across, down = -(-part.right // picture.width), -(-part.bottom // picture.height)
    if (across, down) == (1, 1):
        return picture
    turned = texture.wrap == "mirror"
    values = np.asarray(picture)
    row = np.concatenate([values[:, ::-1] if turned and k % 2 else values for k in range(across)], axis=1)
    whole = np.concatenate([row[::-1] if turned and k % 2 else row for k in range(down)], axis=0)
    return Image.fromarray(whole, picture.mode)


def _worn(solids: Solids, faces: Integers, sheet: _Sheet) -> Worn:
    skin = solids.skin or Skin.bare(len(solids.faces))
    number = skin.texture[faces]
    first = np.array([(part.left, part.top) for part in sheet.parts])[number]
    spread = np.array([part.size for part in sheet.parts])[number]
    box = sheet.box[number]
    inside = (sheet.uv[faces] * sheet.size[number][:, None] - first[:, None]) / spread[:, None]
    uv = (box[:, None, :2] + np.clip(inside, 0.0, 1.0) * box[:, None, 2:]) / np.array(sheet.extent, dtype=np.float64)
    a, b, c = (solids.vertices[solids.faces[faces, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    normal = np.round(cross / np.linalg.norm(cross, axis=1)[:, None] * 127.0).astype(np.int64)
    stored = np.round(uv.reshape(-1, 2) * 65535.0).astype(np.int64)
    point = solids.faces[faces].reshape(-1).astype(np.int64)
    key = np.column_stack([point, np.repeat(normal, 3, axis=0), stored])
    _, at, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return Worn(
        point[at],
        np.repeat(normal, 3, axis=0)[at].astype(np.int8),
        stored[at] / 65535.0,
        inverse.reshape(-1, 3),
        sheet.picture,
        sheet.cut,
    )


def _with_means(skin: Skin, sheet: _Sheet) -> Skin:
    """Faces whose picture was opened wear its mean colour below it."""
    mean = np.vstack([sheet.mean, np.full((1, 3), np.nan)])[skin.texture]
    known = np.isfinite(mean).all(axis=1)
    colour = skin.colour.copy()
    colour[known] = np.column_stack([np.round(mean[known] * 255.0), np.full(int(known.sum()), 255)])
    return replace(skin, colour=colour)


def tone_of(solids: Solids, means: Floats) -> Floats:
    """(b, 3) sRGB 0..1 of what each solid wears, by area; NaN where it wears nothing.

    means   (t, 3) of its pictures; their faces wear them as colours already
    """
    skin = solids.skin or Skin.bare(len(solids.faces))
    share = _areas(solids) * (skin.colour[:, 3] > 0) * (solids.surface != Surface.GROUND)
    owner = solids.face_owner()
    total = np.bincount(owner, share, len(solids))
    summed = [np.bincount(owner, share * skin.colour[:, c] / 255.0, len(solids)) for c in range(3)]
    return np.column_stack(summed) / np.where(total > 0.0, total, np.nan)[:, None]


def _without(solids: Solids, faces: NDArray[np.bool_]) -> Solids:
    """The solids without some faces; every solid stays, and so do its vertices."""
    kept = np.flatnonzero(~faces)
    counts = np.bincount(solids.face_owner()[kept], minlength=len(solids))
    return replace(
        solids,
        faces=solids.faces[kept],
        surface=solids.surface[kept],
        material=solids.material[kept],
        face_offset=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        skin=None if solids.skin is None else solids.skin.take(kept),
    )


def _areas(solids: Solids) -> Floats:
    """(m,) m2."""
    a, b, c = (solids.vertices[solids.faces[:, k]] for k in range(3))
    return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2.0)


def weight(solids: Solids, options: TextureTiles) -> Floats:
    """(b,) share of a tile's atlas that each solid asks for, 1 a whole one."""
    if solids.skin is None or not options.pictures:
        return np.zeros(len(solids))
    area = np.where(solids.skin.texture >= 0, _areas(solids), 0.0)
    asked = np.bincount(solids.face_owner(), area, len(solids)) / options.texel**2
    return np.asarray(asked / (_FILLED * options.side**2))
