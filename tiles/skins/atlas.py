"""Parts of pictures packed into one, each with a margin of its own edge so that neighbours do not shine through.

source  shelf packing, heights falling (next-fit decreasing height; Coffman et al. 1980)
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MARGIN = 4
"""Pixels of its own edge around every part: smaller copies of the atlas halve it twice before parts meet."""

_FULL, _SHRINK, _TRIES = 0.85, 0.85, 24


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a picture: columns left to right and rows top to bottom of it, in pixels, right and bottom excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.right - self.left, self.bottom - self.top


@dataclass(frozen=True, slots=True)
class Layout:
    """Where parts lie in an atlas of `width` x `height` pixels.

    boxes   (n, 4) i8 column, row, width, height, margins excluded
    """

    width: int
    height: int
    boxes: Integers


def layout(wanted: Floats, side: int) -> Layout:
    """Places for n parts of (n, 2) wanted pixels, all smaller by one factor where they do not fit.

    side    most pixels of the atlas along a side; higher only where more parts than that has room for are a pixel each
    """
    factor = min(1.0, float(np.sqrt(_FULL * side**2 / max(wanted.prod(axis=1).sum(), 1.0))))
    for _ in range(_TRIES):
        size = np.maximum(np.ceil(wanted * factor), 1.0).astype(np.int64)
        found = _shelves(np.minimum(size, side - 2 * MARGIN), side)
        if found.height <= side:
            break
        factor *= _SHRINK
    return found


def _shelves(size: Integers, side: int) -> Layout:
    """Shelves as wide as makes the atlas smallest; its sides are powers of two, or the client would stretch it."""
    outer = size + 2 * MARGIN
    least = _power(int(outer[:, 0].max()))
    widths = [least]
    while 2 * widths[-1] <= max(side, least):
        widths.append(2 * widths[-1])
    order = np.lexsort((np.arange(len(size)), -outer[:, 0], -outer[:, 1])).tolist()
    tried = [_shelved(size, order, width) for width in widths]
    return min(tried, key=lambda found: (found.height > side, found.width * found.height, found.height))


def _shelved(size: Integers, order: list[int], width: int) -> Layout:
    boxes = np.zeros((len(size), 4), np.int64)
    x = y = tall = 0
    for row in order:
        w, h = (size[row] + 2 * MARGIN).tolist()
        if x + w > width:
            x, y, tall = 0, y + tall, 0
        boxes[row] = (x + MARGIN, y + MARGIN, *size[row].tolist())
        x, tall = x + w, max(tall, h)
    return Layout(width, _power(y + tall), boxes)


def _power(pixels: int) -> int:
    return 1 << max(pixels - 1, 0).bit_length()


def paste(atlas: Image.Image, picture: Image.Image, part: Part, box: Sequence[int]) -> tuple[float, float, float]:
    """Put a part of a picture into its box of the atlas, its edges drawn out into the margin; its mean sRGB 0..1."""
    x, y, w, h = box
    crop = picture.crop((part.left, part.top, part.right, part.bottom)).convert(atlas.mode)
    values = np.asarray(crop.resize((w, h), Image.Resampling.BOX if w < crop.width else Image.Resampling.BICUBIC))
    edged = np.pad(values, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")
    atlas.paste(Image.fromarray(edged, atlas.mode), (x - MARGIN, y - MARGIN))
    red, green, blue = (values[..., :3].reshape(-1, 3).mean(axis=0) / 255.0).tolist()
    return red, green, blue


def webp(picture: Image.Image, quality: int) -> bytes:
    """The bytes of a picture as WebP; the same for the same picture."""
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()
