"""What wears a picture, from the frame into the axes of a tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiles.gltf.content import to_local
from tiles.gltf.draped import Draped
from tiles.gltf.meshopt import exponent_of
from tiles.skins.dress import Worn
from twin.meshes import Solids, Surface

Floats = NDArray[np.float64]


def drape(worn: Worn, solids: Solids, matrix: Floats, sink: float) -> Draped:
    """The triangles of a tile that wear a picture.

    matrix  (4, 4) tile axes (east, north, up) -> Earth-centred
    sink    m, how far vertices on the ground go below it
    """
    foot = np.zeros(len(solids.vertices), bool)
    foot[solids.faces[solids.surface == Surface.GROUND]] = True
    places = solids.vertices[worn.point] - np.where(foot[worn.point], sink, 0.0)[:, None] * np.array([0.0, 0.0, 1.0])
    local = to_local(solids.frame, places, matrix)
    step = 2.0 ** exponent_of(float(np.abs(local).max(initial=0.0)))
    points = (np.round(local / step) * step).astype(np.float32)
    corners = points[worn.triangles]
    # What the grid has flattened is left out.
    solid = np.any(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) != 0.0, axis=1)
    triangles = worn.triangles[solid]
    used, triangles = np.unique(triangles, return_inverse=True)
    normals = worn.normal[used]
    return Draped(
        np.column_stack([points[used, 0], points[used, 2], -points[used, 1]]),
        np.column_stack([normals[:, 0], normals[:, 2], -normals[:, 1]]),
        np.round(worn.uv[used] * 65535.0).astype(np.uint16),
        solids.vertex_owner()[worn.point[used]],
        triangles.reshape(-1, 3),
        worn.picture,
        worn.cut,
    )
