"""Point clouds: coordinates, classes, colours as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.errors import GeometryError
from twin.frames import Frame
from twin.grid import Bounds, require_same_frame


@dataclass(frozen=True, slots=True)
class PointCloud:
    """Points of a survey in the frame.

    xyz             (n, 3) f8 m
    classification  (n,) u1, ASPRS classes: 2 ground, 6 building, 9 water; 0 never classified
    rgb             (n, 3) u1 or None
    """

    frame: Frame
    xyz: NDArray[np.float64]
    classification: NDArray[np.uint8]
    rgb: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        n = len(self.xyz)
        if self.xyz.shape != (n, 3) or self.classification.shape != (n,):
            raise GeometryError(f"points {self.xyz.shape} and classes {self.classification.shape} do not fit")

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def bounds(self) -> Bounds:
        """(xmin, ymin, xmax, ymax), m; zeros for an empty cloud."""
        if not len(self):
            return (0.0, 0.0, 0.0, 0.0)
        # Column by column: numpy reduces rows of three far slower.
        x, y = self.xyz[:, 0], self.xyz[:, 1]
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    def select(self, mask: NDArray[np.bool_]) -> PointCloud:
        """The points where `mask` (n,) is true."""
        return self.take(np.flatnonzero(mask))

    def take(self, rows: NDArray[np.integer]) -> PointCloud:
        """The points of `rows` (k,), in that order."""
        rgb = None if self.rgb is None else self.rgb.take(rows, axis=0)
        return PointCloud(self.frame, self.xyz.take(rows, axis=0), self.classification.take(rows), rgb)

    def crop(self, bounds: Bounds) -> PointCloud:
        """The points inside `bounds`, edges included."""
        x, y = self.xyz[:, 0], self.xyz[:, 1]
        return self.select((x >= bounds[0]) & (x <= bounds[2]) & (y >= bounds[1]) & (y <= bounds[3]))


def merge_points(clouds: Iterable[PointCloud]) -> PointCloud:
    """One cloud of several in the same frame; colours survive where all have them."""
    parts = list(clouds)
    require_same_frame(*(part.frame for part in parts))
    colours = [part.rgb for part in parts if part.rgb is not None]
    rgb = np.concatenate(colours) if colours and len(colours) == len(parts) else None
    return PointCloud(
        parts[0].frame,
        np.concatenate([part.xyz for part in parts]),
        np.concatenate([part.classification for part in parts]),
        rgb,
    )
