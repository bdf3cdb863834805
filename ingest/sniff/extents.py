"""Sources that lie far from the city, or where its working CRS is not meant to be used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.datums import inside, parse_crs
from twin.frames import Frame
from twin.grid import Bounds

Floats = NDArray[np.float64]

FAR = 10_000.0  # m without any data between two parts of a city
_MARGIN = 1.0  # deg around the area of use


def sniff_extents(extents: Sequence[tuple[str, Bounds]], home: str) -> list[str]:
    """One warning for each source that lies far from the part of the city where source `home` is.

    extents     (source, bounds in the frame, m); sources belong together where less than 10 km lies between them
    """
    import scipy.sparse.csgraph

    boxes = [(name, box) for name, box in extents if np.isfinite(box).all()]
    names = [name for name, _ in boxes]
    if len(boxes) < 2 or home not in names:
        return []
    edges = np.array([box for _, box in boxes])
    gap = np.hypot(_gaps(edges[:, 0], edges[:, 2]), _gaps(edges[:, 1], edges[:, 3]))
    _, part = scipy.sparse.csgraph.connected_components(gap <= FAR, directed=False)
    main = part == part[names.index(home)]
    return [
        f"{names[k]}: lies {gap[k, main].min() / 1000.0:.0f} km from the rest of the city "
        f"({names[int(np.flatnonzero(main)[np.argmin(gap[k, main])])]} is nearest); check its crs in city.toml"
        for k in np.flatnonzero(~main).tolist()
    ]


def _gaps(low: Floats, high: Floats) -> Floats:
    """Distance (n, n) between intervals; 0 where they overlap."""
    return np.maximum(0.0, np.maximum(low[:, None] - high[None, :], low[None, :] - high[:, None]))


def sniff_area(extents: Sequence[tuple[str, Bounds]], frame: Frame) -> list[str]:
    """One warning for each source that lies where the frame's CRS is not meant to be used: often a local grid.

    extents     (source, bounds in the frame, m)
    source      area of use of the CRS in the EPSG data set
    """
    known = parse_crs(frame.crs)
    if known is None or known.area_of_use is None:
        return []
    lines = []
    for name, box in extents:
        if not np.isfinite(box).all():
            continue
        x, y = (box[0] + box[2]) / 2.0, (box[1] + box[3]) / 2.0
        lon, lat = frame.to_lonlat([[x, y]])[0]
        if not inside(known.area_of_use.bounds, lon, lat, _MARGIN):
            lines.append(
                f"{name}: lies around x {x:.0f}, y {y:.0f}, far outside the area where {frame.crs} is used; if it is "
                "in a local grid (地方坐标系), declare its parameters, "
                'crs = "+proj=tmerc +lon_0=... +x_0=... +y_0=... +ellps=GRS80 +towgs84=0,0,0"'
            )
    return lines
