"""Contents of buildings packed by meshopt, as they are published, and by Draco: bytes after brotli, time to unpack.

CODECS_CITY     folder of a published city

Both have the positions on the same grid, the same normals, colours and feature ids, and are unpacked by their libraries
in C++; no browser runs.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import DracoPy
import numpy as np
from numpy.typing import NDArray

from bench.measure import figure
from tiles.gltf import glb, meshopt
from twin.city import open_city

FILES, RUNS, QUALITY = 20, 7, 5


def leaves(folder: Path) -> list[Path]:
    """Contents of leaves of L2, some twenty from all over the city."""
    found: list[Path] = []
    stack = [json.loads((folder / "l2" / "tileset.json").read_bytes())["root"]]
    while stack:
        tile = stack.pop()
        stack += tile.get("children", [])
        if not tile.get("children") and tile.get("content"):
            found.append(folder / "l2" / tile["content"]["uri"])
    return sorted(found)[:: max(1, len(found) // FILES)][:FILES]


def _seconds(work: Callable[[], Any]) -> float:
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _as_published(document: dict[str, Any], binary: bytes) -> tuple[bytes, float]:
    """(packed views of the mesh, seconds to unpack them)."""
    primitive = document["meshes"][0]["primitives"][0]
    accessors = [document["accessors"][k] for k in (primitive["indices"], *primitive["attributes"].values())]
    told = [document["bufferViews"][k]["extensions"][meshopt.EXTENSION] for k in {a["bufferView"] for a in accessors}]
    starts = [entry.get("byteOffset", 0) for entry in told]
    packed = [binary[at : at + entry["byteLength"]] for at, entry in zip(starts, told, strict=True)]
    pairs = list(zip(packed, told, strict=True))
    return b"".join(packed), _seconds(lambda: [meshopt.decode(data, entry, "") for data, entry in pairs])


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Values (n, k) of a type that Draco's library takes."""
    table = values.reshape(len(values), -1)
    if table.dtype == np.int8:
        return table.view(np.uint8)
    return table.astype(np.uint32) if table.dtype.kind in "iu" and table.shape[1] == 1 else table


def _as_draco(gltf: glb.Gltf) -> tuple[bytes, float]:
    """(a Draco buffer of the same mesh, seconds to unpack it)."""
    primitive = gltf.document["meshes"][0]["primitives"][0]
    points = gltf.accessor(primitive["attributes"]["POSITION"]).astype(np.float32)
    faces = gltf.accessor(primitive["indices"]).astype(np.uint32).reshape(-1, 3)
    grid = 2.0 ** meshopt.exponent_of(float(np.abs(points).max()))
    bits = int(np.ceil(np.log2(np.ptp(points, axis=0).max() / grid + 1.0)))
    others = [gltf.accessor(at) for name, at in primitive["attributes"].items() if name != "POSITION"]
    more = {number: _plain(values) for number, values in enumerate(others)}
    packed = DracoPy.encode(
        points, faces=faces, quantization_bits=min(bits, 30), compression_level=7, generic_attributes=more
    )
    return packed, _seconds(lambda: DracoPy.decode(packed))


def figures() -> Iterator[dict[str, Any]]:
    """Bytes on the wire and milliseconds of unpacking, of some twenty leaves together."""
    current = open_city(os.environ["CODECS_CITY"]).store.current_tiles()
    if current is None:
        raise RuntimeError("CODECS_CITY: no tiles are published")
    ours: list[tuple[bytes, float]] = []
    theirs: list[tuple[bytes, float]] = []
    for file in leaves(current[1]):
        data = file.read_bytes()
        ours.append(_as_published(*glb.unpack(data)))
        theirs.append(_as_draco(glb.read(data)))
    wire = [sum(len(brotli.compress(data, quality=QUALITY)) for data, _ in some) for some in (ours, theirs)]
    spent = [1000.0 * sum(taken for _, taken in some) for some in (ours, theirs)]
    for name, unit, (mine, other) in (("wire", "bytes", wire), ("unpack", "ms", spent)):
        yield figure(f"codecs_{name}", mine, unit, n=len(ours), peer="Draco (DracoPy)", peer_value=round(other, 2),
                     ratio=round(other / mine, 2))  # fmt: skip


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
