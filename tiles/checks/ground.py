"""Checks of terrain and image tiles: all there, whole, in range, and equal on common edges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from tiles.checks.findings import Findings, load_json
from tiles.imagery.mosaic import readable
from tiles.imagery.places import tile_range
from tiles.terrain import quantized_mesh
from tiles.terrain.pyramid import tile_bounds
from twin.errors import SourceError
from twin.frames import ecef_from_geodetic

_ACROSS = {"east": "west", "north": "south"}
_FIELDS = {
    "tilejson": "2.1.0",
    "format": "quantized-mesh-1.0",
    "scheme": "tms",
    "projection": "EPSG:4326",
}

Edges = Mapping[str, NDArray[np.float64]]


def check_terrain(folder: Path, found: Findings) -> None:
    """Check layer.json and every tile that it says is available."""
    layer = load_json(folder / "layer.json", "terrain/layer.json", found)
    if layer is None:
        return
    for key, value in _FIELDS.items():
        found.require(layer.get(key) == value, "terrain/layer.json", f"{key} is {layer.get(key)!r}, not {value!r}")
    ranges = layer.get("available", [])
    roots = set(_places(ranges[0])) if ranges else set()
    found.require({(0, 0), (1, 0)} <= roots, "terrain/layer.json", "both root tiles 0/0/0 and 0/1/0 must be available")
    wet = "watermask" in layer.get("extensions", [])
    for level, level_ranges in enumerate(ranges):
        _check_level(folder, level, sorted(set(_places(level_ranges))), wet, found)


def _places(ranges: list[Mapping[str, int]]) -> Iterator[tuple[int, int]]:
    for entry in ranges:
        for x in range(entry["startX"], entry["endX"] + 1):
            for y in range(entry["startY"], entry["endY"] + 1):
                yield x, y


def _check_level(folder: Path, level: int, places: list[tuple[int, int]], wet: bool, found: Findings) -> None:
    edges: dict[tuple[int, int], Edges] = {}
    for x, y in places:
        where = f"terrain/{level}/{x}/{y}.terrain"
        found.checked += 1
        try:
            data = (folder / str(level) / str(x) / f"{y}.terrain").read_bytes()
            mesh, header = quantized_mesh.decode(data, tile_bounds(level, x, y), where)
        except OSError as error:
            found.fault(where, f"is said to be available but cannot be read ({error.strerror})")
            continue
        except SourceError as error:
            found.fault(where, str(error))
            continue
        check_mesh(mesh, header, where, found)
        told = "has a water mask" if mesh.water is not None else "has no water mask"
        found.require((mesh.water is not None) == wet, where, f"{told}, and layer.json says otherwise")
        found.count("terrain_tiles")
        found.count("terrain_triangles", len(mesh.triangles))
        geodetic = mesh.geodetic()
        edges[x, y] = {side: geodetic[mesh.edge(side)] for side in quantized_mesh.SIDES}
        # Tiles come column by column, so the tiles west and south of this one are already there.
        for side, (dx, dy) in (("east", (-1, 0)), ("north", (0, -1))):
            other = edges.get((x + dx, y + dy))
            if other is not None:
                same = np.array_equal(other[side], edges[x, y][_ACROSS[side]])
                found.require(same, where, f"its {_ACROSS[side]} edge differs from its neighbour's")


def check_mesh(mesh: quantized_mesh.Mesh, header: quantized_mesh.Header, where: str, found: Findings) -> None:
    """Corners there, edge lists whole, triangles upward and without hole or overlap, heights and sphere honest."""
    full = quantized_mesh.FULL
    ends = {(int(u), int(v)) for u, v in zip(mesh.u, mesh.v, strict=True) if u in (0, full) and v in (0, full)}
    found.require(len(ends) == 4, where, f"{len(ends)} of 4 corners")
    for side, listed in zip(quantized_mesh.SIDES, header.edges, strict=True):
        found.require(set(listed.tolist()) == set(mesh.edge(side).tolist()), where, f"{side} edge list is not complete")
    u, v = mesh.u.astype(np.int64), mesh.v.astype(np.int64)
    a, b, c = mesh.triangles.T
    doubled = (u[b] - u[a]) * (v[c] - v[a]) - (v[b] - v[a]) * (u[c] - u[a])
    found.require((doubled > 0).all(), where, "a triangle is not counter-clockwise or has no area")
    found.require(int(doubled.sum()) == 2 * full * full, where, "triangles leave a hole or overlap")
    found.require(
        np.isfinite([mesh.low, mesh.high]).all() and mesh.low <= mesh.high, where, "height range is not valid"
    )
    points = ecef_from_geodetic(mesh.geodetic())
    far = float(np.linalg.norm(points - np.array(header.sphere[:3]), axis=1).max())
    found.require(
        far <= header.sphere[3] + 0.01, where, f"a vertex lies {far - header.sphere[3]:.2f} m outside the sphere"
    )
    found.require(np.isfinite(header.occlusion).all(), where, "the occlusion point is not finite")


def check_imagery(folder: Path, layers: Sequence[Mapping[str, Any]], found: Findings) -> None:
    """Every tile inside the bounds of each layer, at each of its zooms, opens and is as large as is told.

    A layer that the server paints on the fly has no tile to be checked.
    """
    wanted: dict[str, int] = {}
    for layer in layers:
        if layer["mode"] == "fly":
            continue
        for zoom in range(layer["minzoom"], layer["maxzoom"] + 1):
            x0, y0, x1, y1 = tile_range(tuple(layer["bounds"]), zoom)
            names = [layer["url"].format(z=zoom, x=x, y=y) for x in range(x0, x1) for y in range(y0, y1)]
            wanted |= dict.fromkeys(names, layer["tile_size"])
    for where, side in sorted(wanted.items()):
        found.checked += 1
        try:
            size = readable(folder / where)
            found.require(size == (side, side), where, f"is {size[0]} x {size[1]} pixels")
            found.count("imagery_tiles")
        except (OSError, UnidentifiedImageError) as error:
            found.fault(where, f"does not open: {error}")
