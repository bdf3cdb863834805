"""What the bureaus hand over: buildings with gaps and errors as real data has them, facilities, hazard sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ingest.datong import blocks, facts
from ingest.datong.cover import MINE_HALF
from ingest.datong.modern import Modern
from ingest.datong.network import Table
from ingest.datong.plan import FRAME, FUNCTIONS, ORIGIN, ROOFS, STRUCTURES, Buildings, Extent, Floats, footprints
from twin.frames import gcj02_from_wgs84

SURVEYED, STOREYS_KNOWN, BROKEN = 0.15, 0.94, 0.003
USES = {
    "residential": "住宅", "commercial": "商业", "industrial": "工业", "public": "公共", "religious": "宗教",
    "heritage": "文物", "education": "教育", "medical": "医疗", "office": "办公", "transport": "交通",
    "agricultural": "农业", "mine": "矿山", "unknown": "其他",
}  # fmt: skip
DEFECTS = ("bowtie", "repeated_points", "spike", "sliver", "height_negative", "height_absurd", "outside")


@dataclass(frozen=True, slots=True)
class Footprints:
    """Buildings as delivered, in the frame; `defect` (n,) names what is wrong with a row, "" where nothing is."""

    table: Table
    ids: NDArray[np.object_]
    area: Floats
    defect: NDArray[np.object_]


def _bowtie(ring: Floats) -> Floats:
    return ring[[0, 2, 1, 3, 0]] if len(ring) == 5 else ring


def _repeated(ring: Floats) -> Floats:
    return np.repeat(ring, 2, axis=0)


def _spike(ring: Floats) -> Floats:
    return np.insert(ring, 2, ring[1] + (ring[1] - ring[0]) * 0.6, axis=0)


def _sliver(ring: Floats) -> Floats:
    return np.array([ring[0], ring[1], ring[1] + (0.0, 0.03), ring[0]])


def _outside(ring: Floats) -> Floats:
    return ring + np.array([0.0, 60000.0])


_RINGS = {"bowtie": _bowtie, "repeated_points": _repeated, "spike": _spike, "sliver": _sliver, "outside": _outside}


def _defects(rng: np.random.Generator, batch: Buildings) -> NDArray[np.object_]:
    """Which rows are broken and how: about 0.3 %, each kind at least once, exactly one outside the terrain."""
    plain = np.flatnonzero((batch.heritage == "") & (batch.shape == 0) & (batch.name == ""))
    n = min(max(len(DEFECTS), round(BROKEN * len(batch))), len(plain))
    rows = rng.choice(plain, n, replace=False)
    defect = np.full(len(batch), "", dtype=object)
    cycle = (*DEFECTS, *(DEFECTS[:-1] * (n // 6 + 1)))
    defect[rows] = cycle[:n]
    return defect


def delivered(rng: np.random.Generator, batch: Buildings, day: Floats, night: Floats) -> Footprints:
    """The footprint layer: some heights surveyed, some storeys unknown, about 0.3 % of the rows broken."""
    geometry = footprints(batch)
    area = shapely.area(geometry)
    geometry = shapely.transform(geometry, lambda xy: np.round(xy + ORIGIN, 2))
    defect = _defects(rng, batch)
    for row in np.flatnonzero(np.isin(defect, list(_RINGS))):
        ring = _RINGS[defect[row]](shapely.get_coordinates(geometry[row]))
        geometry[row] = shapely.Polygon(ring.round(2) if defect[row] != "sliver" else ring)
    n = len(batch)
    published = np.zeros(n, dtype=bool)
    known = facts.numbers(facts.table("monuments"), "height_known") == 1
    published[: len(known)] = known
    surveyed = (rng.random(n) < SURVEYED) & (batch.heritage == "")
    height = np.where(
        surveyed, batch.height + rng.normal(0.0, 0.2, n), np.where(published, batch.height, np.nan)
    ).round(2)
    height = np.where(defect == "height_negative", -3.0, np.where(defect == "height_absurd", 9999.0, height))
    eave = np.where(surveyed & (rng.random(n) < 0.4) & (defect == ""), batch.eave + rng.normal(0.0, 0.2, n), np.nan)
    storeys = np.where((rng.random(n) < STOREYS_KNOWN) | (batch.heritage != ""), batch.storeys, np.nan)
    year = np.where(rng.random(n) < 0.8, batch.year, np.nan)
    ids = np.array([f"DT{k + 1:07d}" for k in range(n)], dtype=object)
    table = Table.of(
        geometry, 标识码=ids, 名称=batch.name, 英文名=batch.name_en,
        用途=np.array([USES[f] for f in FUNCTIONS], dtype=object)[batch.function], 层数=storeys,
        建筑高度=height, 檐口高度=eave.round(2), 建成年份=year,
        结构=np.array(STRUCTURES, dtype=object)[batch.structure], 屋顶=np.array(ROOFS, dtype=object)[batch.roof],
        文物编码=batch.heritage, 昼间人数=day, 夜间人数=night,
    )  # fmt: skip
    return Footprints(table, ids, area, defect)


def facilities(city: Modern, extent: Extent) -> pd.DataFrame:
    """Listed facilities and every school and hospital, Chinese columns, GCJ-02."""
    rows = facts.table("facilities")
    uv = [np.column_stack([facts.numbers(rows, "u"), facts.numbers(rows, "v")])]
    words = [(r["kind"], r["name"], r["name_en"], float(r["capacity"])) for r in rows]
    for code, kind, name, english, per in (
        (blocks.HOSPITAL, "hospital", "医院", "hospital", 0.009), (blocks.SCHOOL, "school", "学校", "school", 0.03),
    ):  # fmt: skip
        box = city.used.box[city.used.kind == code]
        uv.append(0.5 * (box[:, :2] + box[:, 2:]))
        size = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
        words += [
            (kind, f"大同市第{k + 1}{name}(示例)", f"Datong {english} no. {k + 1} (example)", round(per * s))
            for k, s in enumerate(size)
        ]
    at = np.vstack(uv)
    lonlat = gcj02_from_wgs84(FRAME.to_lonlat(at + ORIGIN)).round(6)
    table = pd.DataFrame(words, columns=["类别", "名称", "英文名", "规模"])
    table.insert(0, "编号", [f"SS{k + 1:04d}" for k in range(len(table))])
    table["经度"], table["纬度"] = lonlat.T
    return table[extent.inside(*at.T)]


def hazard_sites(extent: Extent) -> Table:
    """Mines as polygons, all other sites as points, in the frame, with registered quantities."""
    rows = facts.table("hazards")
    uv = facts.places(rows)
    inside = extent.inside(*uv.T)
    mine = np.array([r["kind"] == "mine" for r in rows])
    geometry = shapely.points(uv + ORIGIN)
    geometry[mine] = shapely.box(*(np.hstack([uv - MINE_HALF, uv + MINE_HALF])[mine] + np.tile(ORIGIN, 2)).T)
    words = ("kind", "name", "name_en", "substance", "quantity", "unit", "critical")
    columns = {w: facts.texts(rows, w) for w in words}
    code = np.array([f"FX{k + 1:03d}" for k in range(len(rows))], dtype=object)
    return Table.of(geometry, source_id=code, level=facts.numbers(rows, "level"), **columns).take(inside)
