"""A million footprints through the whole ingest into either store, against plain `ogr2ogr` of the same file."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray

from bench.measure import TWIN, Ran, cpu_of_server, figure, run_process
from tests.cluster import private_cluster, programs
from twin import Frame
from twin.city import open_city
from twin.store.postgis import PostgisStore

COUNT = 1_000_000
RUNS = 3
CRS = "EPSG:4547"
VARIANTS = {"metres": CRS, "degrees": "EPSG:4490"}
EAST, NORTH = 439_000.0, 4_420_000.0
PITCH = 30.0
# Plans on a unit square, first corner not repeated, and how often each comes; the last crosses itself.
PLANS: tuple[tuple[float, tuple[tuple[float, float], ...]], ...] = (
    (0.50, ((0, 0), (1, 0), (1, 1), (0, 1))),
    (0.15, ((0, 0), (1, 0), (1, 0.4), (0.4, 0.4), (0.4, 1), (0, 1))),
    (0.08, ((0, 0.6), (0.35, 0.6), (0.35, 0), (0.65, 0), (0.65, 0.6), (1, 0.6), (1, 1), (0, 1))),
    (0.08, ((0, 0), (1, 0), (1, 1), (0.7, 1), (0.7, 0.4), (0.3, 0.4), (0.3, 1), (0, 1))),
    (0.06, ((0, 0), (1, 0), (1, 0.5), (0.8, 0.5), (0.8, 0.8), (0.5, 0.8), (0.5, 1), (0, 1))),
    (0.05, ((0, 0.3), (0.3, 0.3), (0.3, 0), (0.7, 0), (0.7, 0.3), (1, 0.3), (1, 0.7), (0.7, 0.7), (0.7, 1), (0.3, 1),
            (0.3, 0.7), (0, 0.7))),
    (0.03, ((0, 0), (0.2, 0), (0.2, 0.2), (0.4, 0.2), (0.4, 0), (0.6, 0), (0.6, 0.2), (0.8, 0.2), (0.8, 0), (1, 0),
            (1, 1), (0.6, 1), (0.6, 0.7), (0, 0.7))),
    (0.03, ((0, 0), (1, 0), (0, 1), (1, 1))),
)  # fmt: skip
HOLED = 0.02
COURT = ((0.3, 0.3), (0.3, 0.7), (0.7, 0.7), (0.7, 0.3))
USES = ("住宅", "商业", "工业", "学校", "医院", "办公", "仓库")
WORDS = ("residential", "commercial", "industrial", "education", "medical", "office", "industrial")


def footprints(count: int) -> NDArray[np.object_]:
    """`count` plans of 8 to 24 m on a grid of streets, turned every way: 2 % with a court, 3 % crossing themselves."""
    rng = np.random.default_rng(1372)
    side = int(np.ceil(np.sqrt(count)))
    place = np.column_stack([np.arange(count) % side, np.arange(count) // side]) * PITCH + [EAST, NORTH]
    size, angle = rng.uniform(8.0, 20.0, (count, 1, 2)), rng.uniform(0.0, 2.0 * np.pi, count)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    shares = np.array([share for share, _ in PLANS])
    chosen = rng.choice(len(PLANS), count, p=shares / shares.sum())
    holed = (chosen == 0) & (rng.random(count) < HOLED / shares[0])

    def rings(plan: tuple[tuple[float, float], ...], rows: NDArray[np.intp]) -> NDArray[np.object_]:
        corners = np.array([*plan, plan[0]], dtype=float) - 0.5
        laid = np.einsum("nij,nkj->nki", turn[rows], corners[None] * size[rows]) + place[rows][:, None]
        return shapely.linearrings(np.round(laid, 3))

    shapes = np.empty(count, dtype=object)
    for kind, (_, plan) in enumerate(PLANS):
        rows = np.flatnonzero((chosen == kind) & ~holed)
        shapes[rows] = shapely.polygons(rings(plan, rows))
    rows = np.flatnonzero(holed)
    shapes[rows] = shapely.polygons(rings(PLANS[0][1], rows), rings(COURT, rows)[:, None])
    return shapes


def write_source(path: Path, shapes: NDArray[np.object_], crs: str) -> None:
    """The footprints with number, name, use, storeys, height and year, as a bureau would deliver them."""
    rng = np.random.default_rng(1373)
    n = len(shapes)
    named = rng.random(n) < 0.2
    storeys = rng.integers(0, 34, n)
    fields = {
        "bh": np.array([f"140213{k:09d}" for k in range(n)], dtype=object),
        "name": np.array([f"平城小区{k % 977}号楼" if named[k] else None for k in range(n)], dtype=object),
        "use": np.array(USES, dtype=object)[rng.integers(0, len(USES), n)],
        "storeys": storeys.astype(np.int32),
        "height": np.round(storeys * 3.0 + rng.uniform(0.0, 3.0, n), 1),
        "year": rng.integers(1950, 2026, n).astype(np.int32),
    }
    pyogrio.raw.write(
        path, shapely.to_wkb(shapes), list(fields.values()), np.array(list(fields), dtype=object),
        driver="GPKG", layer="buildings", crs=crs, geometry_type="Polygon",
    )  # fmt: skip


def write_city(folder: Path, source: Path, crs: str, url: str = "") -> Path:
    """A city.toml whose one source is `source`, with every column declared."""
    values = ", ".join(f'"{use}" = "{word}"' for use, word in zip(USES, WORDS, strict=True))
    store = f'[store]\nurl = "{url}"\nschema = "bench"\n' if url else ""
    folder.mkdir()
    (folder / "city.toml").write_text(
        f'[city]\nid = "bench"\n[frame]\ncrs = "{CRS}"\nvertical = "1985"\n{store}'
        f'[[source]]\nname = "footprints"\nkind = "footprints"\npath = "{source}"\ncrs = "{crs}"\ndate = "2026"\n'
        'columns = { source_id = "bh", function = "use", year_built = "year" }\n'
        f"values = {{ function = {{ {values} }} }}\n",
        encoding="utf-8",
    )
    return folder


def degrees(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """The same footprints in longitude and latitude."""
    frame = Frame(CRS)
    return shapely.transform(shapes, frame.to_lonlat)


def figures(variants: Sequence[str] = tuple(VARIANTS)) -> Iterator[dict[str, Any]]:
    """Seconds of `twin ingest` and of `ogr2ogr` into the same kind of store, in turns (medians of three).

    Both are whole processes that read the same file and end with an index; ours also validates, repairs, translates
    the columns, counts the quality and hashes what it kept. CPU is that of the process and, in PostGIS, of the server.
    Python finds its modules compiled, as an installed program does. `degrees`: the file is in EPSG:4490, the city in
    EPSG:4547.
    """
    binaries, program = programs(), shutil.which("ogr2ogr")
    if binaries is None or program is None:
        raise RuntimeError("ogr2ogr or PostgreSQL with PostGIS is missing; Debian has them as gdal-bin and postgis")
    with tempfile.TemporaryDirectory() as name, private_cluster(binaries, durable=True) as url:
        folder = Path(name)
        environment = _compiled(folder)
        shapes = footprints(COUNT)
        for source in variants:
            crs = VARIANTS[source]
            file = folder / f"{source}.gpkg"
            write_source(file, shapes if crs == CRS else degrees(shapes), crs)
            for store in ("folder", "postgis"):
                city = write_city(folder / f"{source}_{store}", file, crs, url if store == "postgis" else "")
                peer = [program, "-overwrite", *([] if crs == CRS else ["-t_srs", CRS])]
                if store == "folder":
                    peer += ["-f", "GPKG", str(folder / "peer.gpkg"), str(file)]
                else:
                    peer += ["-f", "PostgreSQL", _ogr_address(url), str(file), "--config", "PG_USE_COPY", "YES"]
                yield _duel(f"ingest_footprints_{store}_{source}", city, peer, environment)
                shutil.rmtree(city)


def _compiled(folder: Path) -> dict[str, str]:
    """An environment whose Python keeps what it compiles in `folder`, after one small ingest has filled it."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    write_source(folder / "few.gpkg", footprints(100), CRS)
    run_process([*TWIN, "ingest", str(write_city(folder / "few", folder / "few.gpkg", CRS))], env=environment)
    return environment


def _ogr_address(url: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    return "PG:" + " ".join(f"{key}={value}" for key, value in conninfo_to_dict(url).items())


def _forget(city: Path) -> int:
    """Empty the store, for a layer that is there would not be written again; the process of its server, 0 for none."""
    shutil.rmtree(city / ".twin", ignore_errors=True)
    store = open_city(city).store
    if not isinstance(store, PostgisStore):
        return 0
    with store.database.transaction() as connection:
        connection.execute("DROP SCHEMA bench CASCADE")
        row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    store.close()
    return 0 if row is None else int((Path(row[0]) / "postmaster.pid").read_text().split()[0])


def _duel(name: str, city: Path, peer: list[str], environment: dict[str, str]) -> dict[str, Any]:
    ours, theirs = [], []
    for _ in range(RUNS):
        server = _forget(city)
        ours.append(_run([*TWIN, "ingest", str(city), "--force"], server, environment))
        theirs.append(_run(peer, server, environment))
    value, other = (statistics.median(ran.seconds for ran in runs) for runs in (ours, theirs))
    cpu, peer_cpu = (statistics.median(ran.cpu for ran in runs) for runs in (ours, theirs))
    return figure(
        name, value, "s", n=COUNT, seconds=[round(ran.seconds, 2) for ran in ours],
        peak_mib=round(max(ran.peak_mib for ran in ours)), peer="ogr2ogr", peer_value=round(other, 3),
        peer_seconds=[round(ran.seconds, 2) for ran in theirs], ratio=round(other / value, 2),
        cpu_seconds=round(cpu, 2), peer_cpu_seconds=round(peer_cpu, 2), cpu_ratio=round(peer_cpu / cpu, 2),
    )  # fmt: skip


def _run(command: list[str], server: int, environment: dict[str, str]) -> Ran:
    """What a command took, the CPU of the server `server` (0: none) with it."""
    before = cpu_of_server(server) if server else 0.0
    ran = run_process(command, env=environment)
    return replace(ran, cpu=ran.cpu + (cpu_of_server(server) - before if server else 0.0))


if __name__ == "__main__":
    for row in figures():
        print(json.dumps(row))
