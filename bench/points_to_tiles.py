"""A point cloud from LAZ to 3D Tiles on the ellipsoid: points a second beside py3dtiles on the same file in one run,
and memory at a size and at four times the size.

PY3DTILES   path of the command `py3dtiles` (PyPI, Apache-2.0) in an environment of its own that has laszip too: with
            lazrs, version 12.1.1 never ended on LAZ of 200,000 points and more; without it no peer runs
POINTS      points of the made cloud
POINTS_RUNS runs of which the middle one counts
POINTS_LAS  other LAS or LAZ files to be taken as well, separated by colons: rewritten as LAZ in UTM first, for both
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import laspy
import numpy as np
from pyproj import CRS, Transformer

from bench.measure import TWIN, Ran, figure, run_process
from twin.city import open_city

COUNT = int(os.environ.get("POINTS", "5000000"))
RUNS = int(os.environ.get("POINTS_RUNS", "1"))
DENSITY = 12.0
EPSG = 32649
WEST, SOUTH = 700_000.0, 4_430_000.0
TARGET = "3 times py3dtiles"
_CHUNK = 1_000_000


def make_las(path: Path, count: int) -> None:
    """A survey of `count` points with colours: hills, and a hall on every second plot of 40 m."""
    rng, side = np.random.default_rng(1372), np.sqrt(count / DENSITY)
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.offsets, header.scales = np.array([WEST, SOUTH, 1000.0]), np.full(3, 0.001)
    header.add_crs(CRS.from_epsg(EPSG))
    with laspy.open(path, mode="w", header=header) as sink:
        for start in range(0, count, _CHUNK):
            n = min(_CHUNK, count - start)
            # A chunk is a strip from west to east, as a flight brings it.
            y = (start + rng.uniform(0.0, n, n)) / count * side
            x = rng.uniform(0.0, side, n)
            hall = ((x // 40.0 + y // 40.0) % 2 == 0) & (x % 40.0 > 10.0) & (y % 40.0 > 10.0)
            points = laspy.ScaleAwarePointRecord.zeros(n, header=header)
            points.x, points.y = WEST + x, SOUTH + y
            points.z = 1040.0 + 10.0 * np.sin(x / 300.0) + np.where(hall, 12.0, 0.0) + rng.normal(0.0, 0.03, n)
            points.classification = np.where(hall, 6, 2).astype(np.uint8)
            for name in ("red", "green", "blue"):
                points[name] = rng.integers(0, 65536, n).astype(np.uint16)
            sink.write_points(points)


def in_utm(source: Path, target: Path) -> int:
    """Write a LAS or LAZ file with its places in UTM and its heights as they are; the EPSG code of the zone."""
    cloud = laspy.read(source)
    crs = cloud.header.parse_crs()
    if crs is None:
        raise RuntimeError(f"{source}: the header names no CRS")
    lon, lat = Transformer.from_crs(crs, 4326, always_xy=True).transform(np.array(cloud.x), np.array(cloud.y))
    epsg = (32600 if lat[0] >= 0.0 else 32700) + int((lon[0] + 180.0) // 6.0) + 1
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.offsets, header.scales = np.array([np.floor(x.min()), np.floor(y.min()), 0.0]), np.full(3, 0.001)
    header.add_crs(CRS.from_epsg(epsg))
    written = laspy.LasData(header)
    written.x, written.y, written.z, written.classification = x, y, np.array(cloud.z), np.array(cloud.classification)
    for name in ("red", "green", "blue"):
        written[name] = cloud[name]
    written.write(target)
    return epsg


def make_city(folder: Path, las: Path, crs: str) -> None:
    """A city whose only source is the file, in the file's own CRS."""
    folder.mkdir()
    (folder / "city.toml").write_text(
        f'[frame]\ncrs = "{crs}"\nvertical = "ellipsoid"\n\n'
        f'[[source]]\nname = "survey"\nkind = "points"\npath = "{las}"\ncrs = "{crs}"\nvertical = "ellipsoid"\n',
        encoding="utf-8",
    )


def _settled(folder: Path) -> dict[str, str]:
    """An environment in which modules are compiled once and kept, as in any installation."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def _ours(folder: Path, las: Path, crs: str) -> tuple[Ran, Ran, dict[str, Any]]:
    """(reading into the store and tiles, the tiles alone once more, what build.json tells)."""
    city = folder / "city"
    shutil.rmtree(city, ignore_errors=True)
    make_city(city, las, crs)
    whole = run_process([*TWIN, "run", str(city), "--only", "ingest", "--only", "tiles"], env=_settled(folder))
    shutil.rmtree(city / ".twin" / "tiles")
    made = run_process([*TWIN, "tiles", str(city), "--force"], env=_settled(folder))
    current = open_city(city).store.current_tiles()
    if current is None:
        raise RuntimeError(f"{las.name}: no tiles were published")
    told = json.loads((current[1] / "build.json").read_text(encoding="utf-8"))["tilesets"]
    return whole, made, next(entry for entry in told if entry["id"] == "points")


def _peer(folder: Path, las: Path, epsg: int) -> Ran | None:
    program = os.environ.get("PY3DTILES")
    if program is None:
        return None
    out = folder / "peer"
    command = [program, "convert", str(las), "--out", str(out), "--overwrite", "--jobs", "2", "--spec-version", "1.1"]
    command += ["--srs_in", str(epsg), "--srs_out", "4978", "--pyproj-always-xy"]
    shutil.rmtree(out, ignore_errors=True)
    ran = run_process(command, env=_settled(folder))
    if not (out / "tileset.json").is_file():
        raise RuntimeError(f"{program} wrote no tileset of {las.name}; has its environment laszip?")
    return ran


def _side_by_side(name: str, las: Path, epsg: int, folder: Path) -> Iterator[dict[str, Any]]:
    ours: list[tuple[Ran, Ran]] = []
    theirs: list[Ran] = []
    entry: dict[str, Any] = {}
    for _ in range(RUNS):
        whole, made, entry = _ours(folder, las, f"EPSG:{epsg}")
        ours.append((whole, made))
        peer = _peer(folder, las, epsg)
        theirs += [peer] if peer is not None else []
    n = int(entry["features"])
    whole, made = sorted(ours, key=lambda pair: pair[0].cpu)[len(ours) // 2]
    other = sorted(theirs, key=lambda ran: ran.cpu)[len(theirs) // 2] if theirs else None
    more = {"n": n, "tiles": entry["tiles"], "wire_bytes_per_point": round(entry["wire_bytes"] / n, 2)}
    for kind, ran in (("", whole), ("_from_store", made)):
        for unit, pick in (("points/s", "seconds"), ("points/s of CPU", "cpu")):
            rival = None if other is None else n / getattr(other, pick)
            value = n / getattr(ran, pick)
            yield figure(f"{name}{kind}", value, unit, seconds=round(ran.seconds, 2), cpu_seconds=round(ran.cpu, 2),
                         peak_mib=round(ran.peak_mib), peer=None if rival is None else "py3dtiles convert",
                         peer_value=None if rival is None else round(rival),
                         ratio=None if rival is None else round(value / rival, 2),
                         peer_peak_mib=None if other is None else round(other.peak_mib),
                         target=TARGET if not kind else None, **more)  # fmt: skip


def figures() -> Iterator[dict[str, Any]]:
    """LAZ -> tiles by `twin run --only ingest --only tiles`, started anew; and by `twin tiles` from the store.

    The peer reads the same file in the same run to the same CRS (EPSG:4978) with two processes. Neither writes
    compressed copies of points: ours are packed (meshopt), the peer's are plain.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        las = folder / "small.laz"
        make_las(las, max(COUNT // 4, 1000))
        # The first run of each compiles its modules and loops, once and for all.
        _ours(folder, las, f"EPSG:{EPSG}")
        _peer(folder, las, EPSG)
        _, small, entry = _ours(folder, las, f"EPSG:{EPSG}")
        few = int(entry["features"])
        las.unlink()
        las = folder / "large.laz"
        make_las(las, COUNT)
        peaks = []
        for row in _side_by_side("points_to_tiles", las, EPSG, folder):
            peaks.append(row["peak_mib"])
            yield row
        yield figure("points_to_tiles_memory", (peaks[-1] - small.peak_mib) * 2**20 / (COUNT - few), "bytes/point",
                     n=COUNT, peak_mib=[round(small.peak_mib), peaks[-1]])  # fmt: skip
        for extra in filter(None, os.environ.get("POINTS_LAS", "").split(":")):
            las = folder / f"{Path(extra).stem}.laz"
            epsg = in_utm(Path(extra), las)
            yield from _side_by_side(f"points_to_tiles_{las.stem}", las, epsg, folder)


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
