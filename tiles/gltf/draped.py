"""Triangles that wear a picture, put into a glTF beside those that wear colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiles.gltf.glb import Builder

_LINEAR, _BY_SMALLER_COPIES, _EDGE = 9729, 9987, 33071
_EXTENSION = "EXT_texture_webp"


@dataclass(frozen=True, slots=True)
class Draped:
    """Triangles with one picture, in glTF axes (x east, y up, z south), metres from the tile's origin.

    positions (v, 3) f4     normals (v, 3) i1, 127 is 1     uv (v, 2) u2, 65535 is 1, origin upper left
    feature (v,) i8, row    triangles (k, 3) i8             picture  bytes of a WebP       cut   True where it has holes
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.int8]
    uv: NDArray[np.uint16]
    feature: NDArray[np.int64]
    triangles: NDArray[np.int64]
    picture: bytes
    cut: bool

    def add_to(self, document: dict[str, Any], builder: Builder, ids: str) -> None:
        """Add the triangles to the first mesh of a document, and what they wear.

        ids     dtype of feature ids
        source  EXT_texture_webp, without a second picture for clients that do not know it
        """
        attributes = {
            "POSITION": builder.attribute(self.positions, bounds=True),
            "NORMAL": builder.attribute(self.normals, normalized=True),
            "TEXCOORD_0": builder.attribute(self.uv, normalized=True),
            "_FEATURE_ID_0": builder.attribute(self.feature.astype(ids)),
        }
        features = {"featureCount": len(np.unique(self.feature)), "attribute": 0, "propertyTable": 0}
        primitive = {
            "attributes": attributes,
            "indices": builder.indices(self.triangles, len(self.positions)),
            "material": len(document["materials"]),
            "mode": 4,
            "extensions": {"EXT_mesh_features": {"featureIds": [features]}},
        }
        material: dict[str, Any] = {
            "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "roughnessFactor": 0.92, "metallicFactor": 0.0}
        }
        document["meshes"][0]["primitives"].append(primitive)
        document["materials"].append(material | ({"alphaMode": "MASK"} if self.cut else {}))
        document["images"] = [{"bufferView": builder.view(self.picture), "mimeType": "image/webp"}]
        document["samplers"] = [{"magFilter": _LINEAR, "minFilter": _BY_SMALLER_COPIES, "wrapS": _EDGE, "wrapT": _EDGE}]
        document["textures"] = [{"sampler": 0, "extensions": {_EXTENSION: {"source": 0}}}]
        for key in ("extensionsUsed", "extensionsRequired"):
            document[key] = [*document[key], _EXTENSION]
