"""Small tilesets made in code, whole and easy to spoil: an explicit one with metadata, and an implicit one."""

from __future__ import annotations

import json
import struct

import numpy as np

from tiles.gltf import glb
from tiles.gltf.metadata import FeatureSchema, Property, write_table
from twin.features import objects

SCHEMA = FeatureSchema(
    "thing",
    "Thing",
    (
        Property("oid", "STRING", "Identifier"),
        Property("height", "FLOAT32", "Height", no_data=-9999.0),
        Property("storeys", "UINT16", "Storeys", no_data=0),
        Property("kind", "ENUM", "Kind", values={"unknown": 0, "house": 1, "hall": 2}),
        Property("old", "BOOLEAN", "Old"),
    ),
)
_CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
_FACES = np.array(
    [[4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]]
)


def boxes(oids, places, sizes=(10.0, 10.0, 10.0), instances=None):
    """GLB of one box for each identifier, its lowest corner at a place (x, y, z) in tile axes."""
    builder = glb.Builder()
    n = len(oids)
    points = np.concatenate([_CORNERS * np.array(sizes) + np.array(place) for place in places])
    points = np.column_stack([points[:, 0], points[:, 2], -points[:, 1]]).astype("<f4")
    ids = np.repeat(np.arange(n), 8).astype("<u2")
    attributes = {
        "POSITION": builder.attribute(points, bounds=True),
        "_FEATURE_ID_0": builder.attribute(ids),
    }
    faces = np.concatenate([_FACES + 8 * k for k in range(n)])
    columns = {
        "oid": objects(list(oids)),
        "height": np.full(n, float(sizes[2])),
        "storeys": np.full(n, 3),
        "kind": objects(["house"] * n),
        "old": np.zeros(n, bool),
    }
    features = [{"featureCount": n, "attribute": 0, "propertyTable": 0}]
    node = {"mesh": 0}
    used = ["EXT_mesh_features", "EXT_structural_metadata"]
    if instances is not None:
        shift = np.asarray(instances, dtype="<f4")
        turn = np.tile(np.array([0, 0, 0, 1], "<f4"), (len(shift), 1))
        spread = {
            "TRANSLATION": builder.attribute(shift),
            "ROTATION": builder.attribute(turn),
            "SCALE": builder.attribute(np.ones((len(shift), 3), "<f4")),
            "_FEATURE_ID_0": builder.attribute(np.zeros(len(shift), "<u2")),
        }
        told = {"featureIds": [{"featureCount": 1, "attribute": 0, "propertyTable": 0}]}
        node["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": spread}, "EXT_instance_features": told}
        used += ["EXT_mesh_gpu_instancing", "EXT_instance_features"]
    primitive = {
        "attributes": attributes,
        "indices": builder.indices(faces, len(points)),
        "extensions": {"EXT_mesh_features": {"featureIds": features}},
    }
    return builder.finish(
        {
            "asset": {"version": "2.0"},
            "extensionsUsed": used,
            "extensions": {"EXT_structural_metadata": write_table(SCHEMA, columns, builder)},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [node],
            "meshes": [{"primitives": [primitive]}],
        }
    )


def box(x0, y0, z0, x1, y1, z1):
    """Twelve numbers of a box between two corners."""
    half = [(x1 - x0) / 2, (y1 - y0) / 2, (z1 - z0) / 2]
    return [x0 + half[0], y0 + half[1], z0 + half[2], half[0], 0, 0, 0, half[1], 0, 0, 0, half[2]]


def explicit(folder):
    """A coarse tile that two tiles replace, with a schema, groups, statistics and metadata; returns tileset.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "coarse.glb").write_bytes(boxes(["a", "b"], [(0, 0, 0), (30, 0, 0)]))
    (folder / "left.glb").write_bytes(boxes(["a"], [(0, 0, 0)]))
    (folder / "right.glb").write_bytes(boxes(["b"], [(30, 0, 0)]))
    schema = {
        "id": "town",
        "enums": {
            "mood": {"valueType": "UINT8", "values": [{"name": "calm", "value": 0}, {"name": "gay", "value": 1}]}
        },
        "classes": {
            "tileset": {
                "properties": {
                    "author": {"type": "STRING", "required": True},
                    "year": {"type": "SCALAR", "componentType": "UINT16", "min": 1900, "max": 2100},
                    "mood": {"type": "ENUM", "enumType": "mood", "noData": "calm"},
                    "extent": {"type": "SCALAR", "componentType": "FLOAT64", "array": True, "count": 4},
                }
            },
            "part": {"properties": {"side": {"type": "STRING"}}},
        },
    }
    document = {
        "asset": {"version": "1.1"},
        "geometricError": 100,
        "schema": schema,
        "metadata": {
            "class": "tileset",
            "properties": {"author": "x", "year": 1372, "mood": "gay", "extent": [0, 0, 1, 1]},
        },
        "groups": [{"class": "part", "properties": {"side": "both"}}],
        "statistics": {"classes": {"tileset": {"count": 1, "properties": {"year": {"min": 1372, "max": 1372}}}}},
        "root": {
            "refine": "REPLACE",
            "geometricError": 4,
            "boundingVolume": {"box": box(0, 0, 0, 40, 10, 10)},
            "content": {"uri": "coarse.glb", "group": 0, "boundingVolume": {"box": box(0, 0, 0, 40, 10, 10)}},
            "children": [
                {
                    "geometricError": 0,
                    "boundingVolume": {"box": box(0, 0, 0, 10, 10, 10)},
                    "content": {"uri": "left.glb"},
                    "metadata": {"class": "part", "properties": {"side": "left"}},
                },
                {
                    "geometricError": 0,
                    "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
                    "boundingVolume": {"box": box(30, 0, 0, 40, 10, 10)},
                    "content": {"uri": "right.glb"},
                },
            ],
        },
    }
    document["metadata"]["properties"]["year"] = 2000
    file = folder / "tileset.json"
    file.write_text(json.dumps(document))
    return file


def subtree(document, binary=b""):
    """Bytes of a subtree."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 8)
    binary += b"\0" * (-len(binary) % 8)
    return struct.pack("<4sIQQ", b"subt", 1, len(text), len(binary)) + text + binary


def bits(*places, count):
    """A bit stream with the bits at some places set."""
    spread = np.zeros(count, bool)
    spread[list(places)] = True
    return np.packbits(spread, bitorder="little").tobytes()


def implicit(folder):
    """A quadtree of three levels in subtrees of two; contents in two leaves; boxes and errors told by metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiles").mkdir(exist_ok=True)
    (folder / "tiles/2_0_0.glb").write_bytes(boxes(["a"], [(0, 0, 0)]))
    (folder / "tiles/2_3_3.glb").write_bytes(boxes(["b"], [(90, 90, 0)]))
    schema = {
        "id": "implicit",
        "classes": {
            "tile": {
                "properties": {
                    "error": {"type": "SCALAR", "componentType": "FLOAT64", "semantic": "TILE_GEOMETRIC_ERROR"},
                    "box": {
                        "type": "SCALAR",
                        "componentType": "FLOAT64",
                        "array": True,
                        "count": 12,
                        "semantic": "TILE_BOUNDING_BOX",
                    },
                }
            }
        },
    }
    document = {
        "asset": {"version": "1.1"},
        "geometricError": 64,
        "schema": schema,
        "root": {
            "refine": "ADD",
            "geometricError": 32,
            "boundingVolume": {"box": box(0, 0, 0, 100, 100, 20)},
            "content": {"uri": "tiles/{level}_{x}_{y}.glb"},
            "implicitTiling": {
                "subdivisionScheme": "QUADTREE",
                "availableLevels": 3,
                "subtreeLevels": 2,
                "subtrees": {"uri": "tiles/{level}_{x}_{y}.subtree"},
            },
        },
    }
    (folder / "tileset.json").write_text(json.dumps(document))
    whole, low, high = box(0, 0, 0, 100, 100, 20), box(0, 0, 0, 50, 50, 20), box(50, 50, 0, 100, 100, 20)
    top = table(3)
    top["tileAvailability"] = {"bitstream": 0, "availableCount": 3}
    top["contentAvailability"] = [{"constant": 0, "availableCount": 0}]
    top["childSubtreeAvailability"] = {"bitstream": 1, "availableCount": 2}
    first = [bits(0, 1, 4, count=5), bits(0, 15, count=16)]
    write_subtree(folder / "tiles/0_0_0.subtree", top, first, [32.0, 16.0, 8.0], [whole, low, high])
    for name, tight in (("2_0_0", box(0, 0, 0, 10, 10, 10)), ("2_3_3", box(90, 90, 0, 100, 100, 10))):
        leaf = table(1)
        leaf["tileAvailability"] = {"bitstream": 0, "availableCount": 1}
        leaf["contentAvailability"] = [{"bitstream": 0, "availableCount": 1}]
        leaf["childSubtreeAvailability"] = {"constant": 0}
        write_subtree(folder / f"tiles/{name}.subtree", leaf, [bits(0, count=5), b""], [0.0], [tight])
    return folder / "tileset.json"


def table(count):
    """The part of a subtree's JSON that tells its property table; views 2 and 3 hold the values."""
    return {
        "propertyTables": [
            {"class": "tile", "count": count, "properties": {"error": {"values": 2}, "box": {"values": 3}}}
        ],
        "tileMetadata": 0,
    }


def write_subtree(file, document, streams, errors, volumes):
    """Write a subtree with two bit streams (views 0 and 1) and its property table."""
    values = [*streams, np.array(errors, "<f8").tobytes(), np.array(volumes, "<f8").tobytes()]
    views, binary = [], b""
    for data in values:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(data)})
        binary += data + b"\0" * (-len(data) % 8)
    told = {"buffers": [{"byteLength": len(binary)}], "bufferViews": views, **document}
    file.write_bytes(subtree(told, binary))
