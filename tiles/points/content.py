"""The content of one tile of points: a GLB of quantized places, colours and classes.

source  KHR_mesh_quantization; EXT_structural_metadata (property attributes); ASPRS LAS 1.4, table 17 (classes)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.gltf import colours, kernels
from tiles.gltf.content import tile_matrix, to_local
from tiles.gltf.glb import Builder
from tiles.gltf.meshopt import exponent_of
from tiles.scheme.tree import Content
from tiles.shelf import Shelf
from twin.points import PointCloud

CLASSES: Mapping[int, tuple[str, str, tuple[int, int, int]]] = MappingProxyType(
    {
        0: ("never classified", "未分类", (168, 164, 158)),
        1: ("unassigned", "未指定", (168, 164, 158)),
        2: ("ground", "地面", (150, 132, 110)),
        3: ("low vegetation", "低植被", (156, 172, 120)),
        4: ("medium vegetation", "中植被", (122, 152, 96)),
        5: ("high vegetation", "高植被", (88, 126, 78)),
        6: ("building", "建筑物", (198, 152, 120)),
        8: ("model key point", "模型关键点", (150, 132, 110)),
        9: ("water", "水体", (104, 146, 174)),
        10: ("rail", "铁路", (122, 112, 122)),
        11: ("road surface", "道路", (128, 128, 132)),
        13: ("wire guard", "地线", (186, 176, 110)),
        14: ("wire conductor", "导线", (202, 182, 92)),
        15: ("transmission tower", "输电塔", (160, 140, 160)),
        16: ("wire connector", "绝缘子", (186, 176, 110)),
        17: ("bridge deck", "桥面", (140, 134, 146)),
    }
)
"""ASPRS code -> (name, 名称, sRGB 0..255 of a point that brings no colour of its own)."""

_OTHER = (168, 164, 158)
_SHORT = 65_535
_QUANTIZED = "KHR_mesh_quantization"
_CLASS = "_CLASSIFICATION"


def write(cloud: PointCloud, shelf: Shelf, compression: str = "meshopt") -> Content:
    """Write one tile of at least one point, in the order of the cloud; the content that was written.

    Places lie on a grid of 1/512 m, a wider one only where 24 bits do not reach across the tile (16 km).
    """
    matrix = tile_matrix(cloud.frame, cloud.xyz)
    local = to_local(cloud.frame, cloud.xyz, matrix)
    step = 2.0 ** exponent_of(float(np.abs(local).max()) + 1.0)
    whole = np.round(local / step)
    # Packed points compressed again lose some 6 % of their bytes, which is not worth the time of two compressors.
    data = encode(whole, step, cloud, compression)
    name, wire = shelf.put(data, ".glb", copies=compression == "none")
    low, high = ((end * step).tolist() for end in kernels.extent(whole))
    return Content(name, wire, len(data), tuple(matrix.T.reshape(-1).tolist()), tuple(low), tuple(high), len(cloud), 0)


def encode(whole: NDArray[np.float64], step: float, cloud: PointCloud, compression: str) -> bytes:
    """The GLB of points: places in 16 bits where they reach across the tile, else floats, exact on the same grid.

    whole   (n, 3) steps of `step` m east, north, up of the tile's origin, whole numbers
    compression     "meshopt" or "none"
    """
    places = np.column_stack([whole[:, 0], whole[:, 2], -whole[:, 1]])
    low, high = kernels.extent(places)
    short = bool((high - low).max() <= _SHORT)
    node: dict[str, Any] = {"mesh": 0}
    if short:
        node |= {"translation": (low * step).tolist(), "scale": [step] * 3}
    builder = Builder(packed=compression == "meshopt")
    attributes = {
        "POSITION": builder.attribute(
            (places - low).astype("<u2") if short else (places * step).astype("<f4"), bounds=True
        ),
        "COLOR_0": builder.attribute(_colours(cloud), normalized=True),
        _CLASS: builder.attribute(cloud.classification),
    }
    extension = {"EXT_structural_metadata": {"propertyAttributes": [0]}}
    required = {"extensionsRequired": [_QUANTIZED]} if short else {}
    return builder.finish(
        {
            "asset": {"version": "2.0", "generator": "Pingcheng"},
            "extensionsUsed": ["EXT_structural_metadata", *([_QUANTIZED] if short else [])],
            **required,
            "extensions": {"EXT_structural_metadata": _metadata()},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [node],
            "meshes": [{"primitives": [{"attributes": attributes, "mode": 0, "extensions": extension}]}],
        }
    )


def _colours(cloud: PointCloud) -> NDArray[np.uint8]:
    """(n, 3) u1, linear: the points' own colours, or those of their classes."""
    if cloud.rgb is not None:
        return colours.encode(np.arange(256) / 255.0)[cloud.rgb]
    table = np.array([CLASSES[code][2] if code in CLASSES else _OTHER for code in range(256)])
    return colours.encode(table / 255.0)[cloud.classification]


def _metadata() -> dict[str, Any]:
    words = "; ".join(f"{code} {name} {chinese}" for code, (name, chinese, _) in CLASSES.items())
    known = {
        "name": "点云分类 classification",
        "description": f"ASPRS LAS 1.4: {words}",
        "type": "SCALAR",
        "componentType": "UINT8",
        "required": True,
    }
    return {
        "schema": {
            "id": "pingcheng_points",
            "classes": {"point": {"name": "点云 point cloud", "properties": {"classification": known}}},
        },
        "propertyAttributes": [{"class": "point", "properties": {"classification": {"attribute": _CLASS}}}],
    }
