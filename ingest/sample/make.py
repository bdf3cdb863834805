"""Make the Datong sample: source files as a city's bureaus would deliver them, from tables of published facts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

import twin
from ingest.datong import blocks, cover, facts, network, people, street
from ingest.datong.modern import Modern, modern_city
from ingest.datong.network import Table
from ingest.datong.oldtown import OldTown, old_town
from ingest.datong.people import Addresses
from ingest.datong.plan import FRAME, ORIGIN, Buildings, Extent, Floats, footprints
from ingest.datong.terrain import Terrain
from ingest.sample import canvas, delivery, live, ortho, write
from ingest.sample.canvas import Layers
from ingest.sample.delivery import Footprints
from twin.errors import OptionsError
from twin.store.catalog import write_atomic

MADE = "sample.json"

Tell = Callable[[str, int, int], None]
OLD_SHARE, OLD_MOST = 0.46, 12_000
_ORIGIN = """licence = "CC0-1.0"
date = "2026-06-01"
attribution = "Pingcheng sample (synthetic)"
lineage = "合成示例：据公开资料生成，非测绘成果 / synthetic stand-in from published facts, not a survey\""""
_ZONES = """# ---- 风险区划参数 / risk zoning ---------------------------------------------
[zones.flood]
# 御河各重现期水位（高于河床，米），示例值，待水务部门给定
# stage of the Yu River above its bed per return period, m; sample values until the river bureau gives its own
stage_periods = [5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
stage_heights = [2.2, 3.0, 4.0, 5.0, 5.8, 6.5]

[zones.storm]
# 年最大 24 小时雨量均值与变差系数，半干旱盆地的示例值 / yearly largest 24 h rain, sample values for a semi-arid basin
mean = 42.0
variation = 0.55
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole city before it is written: buildings and everything they stand on, in town coordinates."""

    terrain: Terrain
    extent: Extent
    town: OldTown
    city: Modern
    batch: Buildings
    unit: NDArray[np.object_]


def plan(scale: int, seed: int) -> Plan:
    """Lay the city out: monuments first, then the old town, then the city outside; exactly `scale` buildings."""
    extent = Extent.of(scale)
    terrain = Terrain.of(seed, hills=not extent.small)
    great, _ = facts.monuments()
    free = scale - len(great)
    town = old_town(np.random.default_rng([seed, 1]), min(round(OLD_SHARE * free), OLD_MOST))
    city = modern_city(np.random.default_rng([seed, 2]), terrain, extent, free - len(town.houses))
    first = len(great)
    outside = city.houses.with_lots(first + len(town.lots))
    batch = Buildings.join([great, town.houses.with_lots(first), outside])
    unit = np.full(len(batch), "", dtype=object)
    new = np.arange(len(batch) - len(outside), len(batch))
    lot = city.houses.lot
    home = (lot >= 0) & ~np.isin(city.used.kind[lot], (blocks.YARDS, blocks.DENSE, blocks.PARK))
    rank = _rank_in_lot(lot)
    unit[new[home]] = [f"{k}号楼" for k in rank[home]]
    rural = (lot >= 0) & np.isin(city.used.kind[lot], (blocks.YARDS, blocks.DENSE))
    house = rural & (city.houses.w > city.houses.d)
    unit[new[house]] = [f"{k}号院" for k in rank[house]]
    batch.lot[new[rural & ~house]] = -1
    return Plan(terrain, extent, town, city, batch, unit)


def _rank_in_lot(lot: NDArray[np.int64]) -> NDArray[np.int64]:
    """1, 2, 3 ... within every lot, in order of rows."""
    order = np.argsort(lot, kind="stable")
    start = np.flatnonzero(np.r_[True, lot[order][1:] != lot[order][:-1]])
    rank = np.empty(len(lot), dtype=np.int64)
    rank[order] = np.arange(len(lot)) - np.repeat(start, np.diff(np.r_[start, len(lot)])) + 1
    return rank


def make_sample(directory: Path, scale: int = 25000, seed: int = 1372, tell: Tell | None = None) -> Path:
    """Write the Datong sample into `directory` and return the path of its city.toml.

    scale   number of buildings, 100 .. 1,000,000; below 2,000 the extent shrinks to 4.4 x 4 km and pictures get coarser
    seed    same scale and seed give the same bytes
    tell    called with (what, done, total) while it works
    raises  OptionsError where `scale` is out of range
    """
    if not 100 <= scale <= 1_000_000:
        raise OptionsError(f"scale {scale}: the sample has 100 to 1,000,000 buildings")
    say = tell or (lambda what, done, total: None)
    root = Path(directory)
    if is_made(root, scale, seed):
        say("示例已在 / the sample is there", 1, 1)
        return root / "city.toml"
    folder = root / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MADE).unlink(missing_ok=True)
    steps = 6
    say("plan", 0, steps)
    made = plan(scale, seed)
    layers = _layers(made, seed)
    day, night = _people(made)
    prints = delivery.delivered(np.random.default_rng([seed, 3]), made.batch, day, night)
    say("vectors", 1, steps)
    division = people.divisions(made.extent)
    _write_vectors(folder, layers, division.table, prints, made.extent)
    _write_streets(folder, layers, made, seed)
    say("tables", 2, steps)
    found = people.addresses(np.random.default_rng([seed, 4]), made.batch, made.unit, layers.roads, division)
    write.table(folder / "addresses.csv", found.table)
    write.table(folder / "population.csv", people.population(division, made.batch, day, night))
    write.table(folder / "facilities.csv", delivery.facilities(made.city, made.extent), mark=True)
    _write_truth(folder / "truth.csv", made.batch, prints, found)
    _write_live(folder, made, prints.ids, seed)
    say("terrain", 3, steps)
    _write_ground(folder, made)
    say("orthophoto", 4, steps)
    _write_pictures(folder, made, layers, seed, tell)
    path = root / "city.toml"
    path.write_text(_declaration(len(made.batch), seed), encoding="utf-8", newline="\n")
    write_atomic(folder / MADE, json.dumps(_manifest(root, scale, seed), sort_keys=True, indent=1).encode())
    say("done", steps, steps)
    return path


def is_made(directory: Path, scale: int, seed: int) -> bool:
    """True where a run of this version came to its end here with the same scale and seed, and its files are there."""
    told = directory / "sources" / MADE
    if not told.exists() or not (directory / "city.toml").exists():
        return False
    return bool(json.loads(told.read_text(encoding="utf-8")) == _manifest(directory, scale, seed))


def _manifest(root: Path, scale: int, seed: int) -> dict[str, Any]:
    files = {p.name: p.stat().st_size for p in sorted((root / "sources").iterdir()) if p.is_file() and p.name != MADE}
    return {"version": twin.__version__, "scale": scale, "seed": seed, "files": files}


def _people(made: Plan) -> tuple[Floats, Floats]:
    return people.people(made.batch, made.batch.w * made.batch.d * np.array([1.0, 0.616, 0.71, 0.83])[made.batch.shape])


def _layers(made: Plan, seed: int) -> Layers:
    roads = network.roads(made.town, made.city.used, made.terrain, made.extent)
    return Layers(
        roads, cover.water(made.city, made.extent), cover.green(made.city, made.extent),
        cover.land_use(made.city, made.terrain, made.extent),
        street.avenue_trees(np.random.default_rng([seed, 7]), roads),
    )  # fmt: skip


def _numbered(table: Table, letter: str, column: str = "source_id") -> Table:
    """The same features in the frame with identifiers of their own."""
    ids = np.array([f"{letter}{k + 1:06d}" for k in range(len(table))], dtype=object)
    moved = write.in_frame(table)
    return Table(moved.geometry, {column: ids} | moved.columns)


def _renamed(table: Table, names: dict[str, str]) -> Table:
    return Table(table.geometry, {names.get(k, k): v for k, v in table.columns.items()})


def _write_vectors(folder: Path, layers: Layers, division: Table, prints: Footprints, extent: Extent) -> None:
    write.vector(folder / "buildings.gpkg", prints.table)
    write.vector(folder / "roads.gpkg", _numbered(layers.roads, "L"))
    write.vector(folder / "rivers.gpkg", _numbered(network.rivers(extent), "H"))
    write.vector(folder / "water.geojson", _numbered(layers.water, "S"), crs="OGC:CRS84")
    write.vector(folder / "green.gpkg", _numbered(layers.green, "G"))
    land = _renamed(_numbered(layers.land, "D", "编号"), {"name": "地块名称", "name_en": "英文名", "code": "用地代码"})
    write.vector(folder / "landuse.shp", land, encoding="gbk")
    named = {"level": "级别", "code": "区划代码", "name": "区划名称", "name_en": "英文名", "parent": "上级代码"}
    write.vector(folder / "divisions.gpkg", _renamed(write.in_frame(division), named))
    write.vector(folder / "hazards.gpkg", delivery.hazard_sites(extent))


def _write_streets(folder: Path, layers: Layers, made: Plan, seed: int) -> None:
    """Trees, street furniture and mains as three bureaus survey them: GeoPackage, table, Shapefile."""
    rng = np.random.default_rng([seed, 8])
    taken = street.occupied(footprints(made.batch, 1.0), layers.roads, layers.water, made.extent)
    trees = street.surveyed_trees(rng, layers.trees, layers.roads, taken)
    write.vector(folder / "trees.gpkg", _numbered(trees, "T", "编号"))
    fixed = _numbered(street.fixtures(layers.roads, taken), "F", "编号")
    lonlat = FRAME.to_lonlat(shapely.get_coordinates(fixed.geometry)).round(8)
    rows = pd.DataFrame(fixed.columns | {"经度": lonlat[:, 0], "纬度": lonlat[:, 1]})
    write.table(folder / "furniture.csv", rows)
    mains = _numbered(street.mains(rng, layers.roads), "P", "编号")
    write.vector(folder / "pipes.shp", mains, encoding="gbk")


def _write_truth(path: Path, batch: Buildings, prints: Footprints, found: Addresses) -> None:
    """What the generator knows and no bureau would: true heights, the address of every building, what was broken."""
    rows = pd.DataFrame(
        {"source_id": prints.ids, "true_height": batch.height.round(2), "true_eave": batch.eave.round(2),
         "address_id": found.of_building, "defect": prints.defect}
    )  # fmt: skip
    write.table(path, rows)


def _write_live(folder: Path, made: Plan, ids: NDArray[np.object_], seed: int) -> None:
    things = live.sensors(made.batch, ids, made.terrain, made.extent)
    write.table(folder / "sensors.csv", things)
    write.table(folder / "observations.csv", live.observations(np.random.default_rng([seed, 5]), things))
    write.table(folder / "incidents.csv", live.incidents(made.batch, ids, made.extent))


def _write_ground(folder: Path, made: Plan) -> None:
    bounds = write.bounds_of(made.extent)
    with write.raster(folder / "dem.tif", bounds, made.extent.dem_step, 1) as file:
        for row in range(0, file.height, 512):
            rows = slice(row, min(row + 512, file.height))
            z = made.terrain.height(*np.meshgrid(*write.cells(bounds, made.extent.dem_step, rows)))
            file.write(np.round(z, 2).astype(np.float32), 1, window=((rows.start, rows.stop), (0, file.width)))
    ortho.surface(folder / "dsm_oldtown.tif", made.batch, made.terrain, _town_bounds(1100.0), made.extent.dsm_step)


def _town_bounds(half: float) -> tuple[float, float, float, float]:
    return -half, -half, half, half


def _write_pictures(folder: Path, made: Plan, layers: Layers, seed: int, tell: Tell | None) -> None:
    rng = np.random.default_rng([seed, 6])
    first = len(made.batch) - len(made.town.houses) - len(made.city.houses)
    parties = (made.batch, made.town, made.city)
    stage = canvas.scene(rng, parties, first, layers, (made.terrain, made.extent))
    ortho.render(folder / "ortho_city.tif", stage, write.bounds_of(made.extent), made.extent.ortho_step, tell)
    half = round(1150.0 / made.extent.fine_step) * made.extent.fine_step
    ortho.render(folder / "ortho_oldtown.tif", stage, _town_bounds(half), made.extent.fine_step, tell)


def _declaration(count: int, seed: int) -> str:
    lon, lat = FRAME.to_lonlat([ORIGIN + np.array([-1480.0, -1640.0])])[0]
    text = resources.files(__package__).joinpath("declaration.toml").read_text(encoding="utf-8")
    view = f"lon = {lon:.6f}\nlat = {lat:.6f}"
    for key, value in (("#@VIEW@", view), ("#@ORIGIN@", _ORIGIN), ("#@ZONES@", _ZONES)):
        text = text.replace(key, value)
    return text.replace("@SEED@", str(seed)).replace("@SCALE@", f"{count:,}")
