"""Point clouds as files hold them: what a header says, and chunks of points before anything of ours is done to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.reading import Delivery
from twin.errors import SourceError


@dataclass(frozen=True, slots=True)
class CloudHead:
    """What a file says of itself before its points are read.

    count       points it promises
    coloured    whether every point has a colour
    crs         CRS the file states, "" where it states none
    corners     (2, 2) f8 least and greatest x and y of its header, else of its first chunk, in the file's numbers
    """

    count: int
    coloured: bool
    crs: str
    corners: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RawPoints:
    """One chunk: xyz (n, 3) f8 in the file's numbers, classes (n,) u1, rgb (n, 3) u1 or u2 or None.

    read        records of the file behind it, invalid ones included
    """

    xyz: NDArray[np.float64]
    classes: NDArray[np.uint8]
    rgb: NDArray[Any] | None
    read: int


@contextmanager
def damaged(shown: str, errors: tuple[type[BaseException], ...]) -> Iterator[None]:
    """The library's errors inside the block become one clear line about the file."""
    try:
        yield
    except errors as err:
        words = (str(err) or type(err).__name__).splitlines()[0][:160]
        raise SourceError(f"{shown}: the point cloud is damaged or cut short ({words}); ask for it again") from err


def corners_of(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 2) least and greatest x and y of the finite points; zeros where there is none."""
    xy = xyz[np.isfinite(xyz).all(axis=1), :2]
    return np.array([xy.min(axis=0), xy.max(axis=0)]) if len(xy) else np.zeros((2, 2))


def to_crs(xyz: NDArray[np.float64], delivery: Delivery) -> NDArray[np.float64]:
    """Points (n, 3) of a local system in the declared CRS, as `extra` of the source says.

    origin      [x, y, z] of the local origin in the CRS: added
    transform   16 numbers, a 4 x 4 affine matrix row by row: applied instead
    raises      SourceError where either is no such list of numbers
    """
    extra, name = delivery.source.extra, delivery.source.name
    if "transform" in extra:
        matrix = _numbers(extra["transform"], 16, "transform", name).reshape(4, 4)
        if not np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0]):
            raise SourceError(f'source "{name}": the last row of extra.transform wants 0, 0, 0, 1')
        return xyz @ matrix[:3, :3].T + matrix[:3, 3]
    return xyz + _numbers(extra["origin"], 3, "origin", name) if "origin" in extra else xyz


def is_placed(delivery: Delivery) -> bool:
    """Whether the source says where its local coordinates lie."""
    return bool({"origin", "transform"} & set(delivery.source.extra))


def _numbers(stated: Any, count: int, key: str, name: str) -> NDArray[np.float64]:
    try:
        values = np.array(stated, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise SourceError(f'source "{name}": extra.{key} wants {count} numbers, is {stated!r}')
    return values
