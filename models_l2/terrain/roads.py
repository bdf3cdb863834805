"""Roads as surfaces on the ground."""

from __future__ import annotations

import numpy as np
import shapely

from twin.features import Layer, Objects


def carriageways(roads: Layer, bridges: bool = False) -> Objects:
    """Roads (r,) on the ground, or those on `bridges`: lines widened to their width, polygons and the rest as they are.

    roads   layer road with columns width (m) and bridge (1 on a bridge)
    """
    wanted = roads.select((roads.column("bridge") > 0.0) == bridges)
    shapes, width = wanted.geometry.copy(), wanted.column("width")
    wide = np.isin(shapely.get_type_id(shapes), (1, 5)) & (width > 0.0)
    shapes[wide] = shapely.buffer(shapes[wide], width[wide] / 2.0, cap_style="flat", join_style="mitre")
    return shapes
