"""Divisions, people and addresses of the sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ingest.datong import facts
from ingest.datong.network import Table
from ingest.datong.plan import FRAME, FUNCTIONS, ORIGIN, Buildings, Extent, Floats
from twin.frames import gcj02_from_wgs84

_HOMES, _SHOPS, _WORKS, _OFFICE, _SCHOOL, _CARE = (
    FUNCTIONS.index(name) for name in ("residential", "commercial", "industrial", "office", "education", "medical")
)
# Floor area per person by day and by night, m2; 0 means nobody.
_DAY = {_HOMES: 95.0, _SHOPS: 45.0, _WORKS: 110.0, _OFFICE: 22.0, _SCHOOL: 14.0, _CARE: 26.0}
_NIGHT = {_HOMES: 36.0, _SHOPS: 700.0, _WORKS: 900.0, _OFFICE: 900.0, _CARE: 60.0}
_FULL_WIDTH = str.maketrans("0123456789", "0123456789")
MOVED = 0.04
ADDRESS_COLUMNS = ("地址编码", "标准地址", "省", "市", "区县", "街道", "社区", "道路", "门牌号", "经度", "纬度")


@dataclass(frozen=True, slots=True)
class Divisions:
    """District, street and community polygons with their rectangles before clipping, in town coordinates.

    boxes   (c, 4) of communities      codes, streets, districts, names   (c,) of each community
    """

    table: Table
    boxes: Floats
    codes: NDArray[np.object_]
    names: NDArray[np.object_]
    streets: NDArray[np.object_]
    districts: NDArray[np.object_]

    def community_of(self, u: Floats, v: Floats) -> NDArray[np.int64]:
        """Row of the community of every point (n,), -1 outside all."""
        point, box = shapely.STRtree(shapely.box(*self.boxes.T)).query(shapely.points(u, v), predicate="intersects")
        found = np.full(len(u), -1, dtype=np.int64)
        found[point[::-1]] = box[::-1]
        return found


def _boxes(rows: list[facts.Row]) -> Floats:
    return np.column_stack([facts.numbers(rows, c) for c in ("west", "south", "east", "north")])


def divisions(extent: Extent) -> Divisions:
    """City, districts, streets and communities (streets cut in pieces of about 900 m), clipped to the extent."""
    rows = facts.table("divisions")
    words = facts.texts(facts.table("lanes"), "name")
    frame = shapely.box(extent.west, extent.south, extent.east, extent.north)
    street_rows = [r for r in rows if r["level"] == "street"]
    district_name = {r["code"]: r["name"] for r in rows}
    boxes, codes, names, streets, districts = [], [], [], [], []
    for row, box in zip(street_rows, _boxes(street_rows), strict=True):
        n = np.clip(np.round((box[2:] - box[:2]) / 900.0).astype(int), 1, 3)
        step = (box[2:] - box[:2]) / n
        for k in range(n.prod()):
            low = box[:2] + (k % n[0], k // n[0]) * step
            boxes.append([*low, *(low + step)])
            codes.append(f"{row['code']}{k + 1:03d}")
            names.append(f"{words[(len(codes) * 7) % len(words)].rstrip('巷街')}社区")
            streets.append(row["name"])
            districts.append(district_name[row["parent"]])
    parent = [c[:9] for c in codes]
    city = Table.of(
        np.array([frame], dtype=object), level="city", code="140200", name="大同市", name_en="Datong", parent="140000"
    )
    upper = Table.of(
        shapely.box(*_boxes(rows).T),
        **{k: facts.texts(rows, k) for k in ("level", "code", "name", "name_en", "parent")},
    )
    lower = Table.of(
        shapely.box(*np.array(boxes).T), level="community", code=np.array(codes, dtype=object),
        name=np.array(names, dtype=object), name_en="", parent=np.array(parent, dtype=object),
    )  # fmt: skip
    whole = Table.join([city, upper, lower])
    cut = Table(shapely.intersection(whole.geometry, frame), whole.columns)
    cut = cut.take(shapely.area(cut.geometry) > 1.0)
    listed = [np.array(c, dtype=object) for c in (codes, names, streets, districts)]
    return Divisions(cut, np.array(boxes), *listed)


def people(batch: Buildings, area: Floats) -> tuple[Floats, Floats]:
    """People by day and by night in every building (n,), whole numbers, from floor area and use."""
    floor = 0.86 * area * batch.storeys
    result = []
    for rates in (_DAY, _NIGHT):
        share = np.zeros(len(FUNCTIONS))
        for use, rate in rates.items():
            share[use] = 1.0 / rate
        result.append(np.floor(floor * share[batch.function] + 0.5))
    return result[0], result[1]


def population(division: Divisions, batch: Buildings, day: Floats, night: Floats) -> pd.DataFrame:
    """People of every community by day and night, joined to divisions by code; Chinese column names."""
    row = division.community_of(batch.u, batch.v)
    known, n = row >= 0, len(division.codes)
    counts = [np.bincount(row[known], values[known], minlength=n).astype(int) for values in (day, night)]
    table = pd.DataFrame(
        {"社区代码": division.codes, "社区名称": division.names, "昼间人口": counts[0], "夜间人口": counts[1]}
    )
    return table[(table["昼间人口"] > 0) | (table["夜间人口"] > 0)]


@dataclass(frozen=True, slots=True)
class Addresses:
    """The address table as a map vendor delivers it, and the true address code of every building ("" none)."""

    table: pd.DataFrame
    of_building: NDArray[np.object_]


def _first_rows(lot: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First row of every lot in order of appearance, and the place of every building's lot in that list."""
    _, first, inverse = np.unique(lot, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def _road_numbers(roads: Table, u: Floats, v: Floats) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Nearest named street of every point and a house number along it, odd on its left."""
    named = roads.take((roads.columns["name"] != "") & (roads.columns["road_class"] != "rail"))
    points = shapely.points(u, v)
    at, line = shapely.STRtree(named.geometry).query_nearest(points, all_matches=False)
    road = np.empty(len(u), dtype=np.int64)
    road[at] = line
    along = shapely.line_locate_point(named.geometry[road], points)
    foot = shapely.get_coordinates(shapely.line_interpolate_point(named.geometry[road], along))
    left = (u - foot[:, 0] + v - foot[:, 1]) > 0
    start = shapely.get_coordinates(shapely.get_point(named.geometry[road], 0))
    far = np.abs(start).sum(axis=1).astype(np.int64) % 7
    return named.columns["name"][road], 2 * (along / 9.0).astype(np.int64) + 1 + left + 2 * far


def addresses(
    rng: np.random.Generator, batch: Buildings, unit: NDArray[np.object_], roads: Table, division: Divisions
) -> Addresses:
    """Addresses of a good share of the buildings in GCJ-02; courtyard lots share one, a few are written carelessly.

    unit    (n,) text behind the house number, for example "3号楼"; "" where the lot has one address for all
    """
    single = unit != ""
    key = np.where(single, np.arange(len(batch)) + 10**9, batch.lot)
    rows, rank = _first_rows(key)
    listed = (rng.random(len(rows)) < np.where(single[rows], 0.72, 0.88)) & (batch.lot[rows] >= 0)
    listed |= batch.heritage[rows] != ""
    code_of_lot = np.full(len(rows), "", dtype=object)
    code_of_lot[listed] = [f"DZ{k + 1:07d}" for k in range(int(listed.sum()))]
    rows = rows[listed]
    u, v = batch.u[rows], batch.v[rows]
    road, number = _road_numbers(roads, u, v)
    number = np.where(batch.lot[rows] >= 0, number, 1)
    place = division.community_of(u, v)
    lonlat = FRAME.to_lonlat(np.column_stack([u, v]) + rng.normal(0.0, 1.6, (len(rows), 2)) + ORIGIN)
    table = pd.DataFrame(dict(zip(ADDRESS_COLUMNS, [
        code_of_lot[listed], np.full(len(rows), "", dtype=object), "山西省", "大同市", division.districts[place],
        division.streets[place], division.names[place], road, number, *gcj02_from_wgs84(lonlat).round(6).T,
    ], strict=True)))  # fmt: skip
    table["标准地址"] = _written(rng, table, unit[rows], batch.name[rows])
    _moved(rng, table, roads, np.column_stack([u, v]))
    _slipped(rng, table)
    return Addresses(table, code_of_lot[rank])


def _moved(rng: np.random.Generator, table: pd.DataFrame, roads: Table, at: Floats) -> None:
    """A few places stand 5 to 30 m off, on the way to the street: the vendor's car took them at the gate."""
    rows = np.flatnonzero(rng.random(len(table)) < MOVED)
    named = roads.take((roads.columns["name"] != "") & (roads.columns["road_class"] != "rail"))
    points = shapely.points(at[rows])
    line = shapely.STRtree(named.geometry).query_nearest(points, all_matches=False)[1]
    road = named.geometry[line]
    foot = shapely.get_coordinates(shapely.line_interpolate_point(road, shapely.line_locate_point(road, points)))
    way = foot - at[rows]
    away = np.maximum(np.hypot(*way.T), 1e-6)
    far = np.minimum(rng.uniform(5.0, 30.0, len(rows)), away)
    lonlat = FRAME.to_lonlat(at[rows] + way * (far / away)[:, None] + ORIGIN)
    table.iloc[rows, [ADDRESS_COLUMNS.index("经度"), ADDRESS_COLUMNS.index("纬度")]] = gcj02_from_wgs84(lonlat).round(6)


def _slipped(rng: np.random.Generator, table: pd.DataFrame) -> None:
    """A few texts are typed as people type: traditional characters, numerals, no word for road, 之, 甲, a wrong one."""
    kind = rng.choice(len(_SLIPS) + 1, len(table), p=[1.0 - 0.015 * len(_SLIPS)] + [0.015] * len(_SLIPS))
    texts = [
        _SLIPS[slip - 1](text, road, str(number)) if slip else text
        for slip, text, road, number in zip(kind, table["标准地址"], table["道路"], table["门牌号"], strict=True)
    ]
    table["标准地址"] = texts


def _numeral(number: str) -> str:
    return "".join("零一二三四五六七八九"[int(digit)] for digit in number)


def _wrong(road: str) -> str:
    near = str.maketrans("清和永文武泰东西南北新平", "青河咏纹五太冬夕男比心苹")
    slipped = road.translate(near)
    at = next((k for k, c in enumerate(slipped) if c != road[k]), 0)
    return road[:at] + slipped[at] + road[at + 1 :]


# (text, road, number) -> the text with one slip; full width leaves the text as it is.
_SLIPS = (
    lambda text, road, number: text.replace("号", "號").replace("区", "區").replace("楼", "樓"),
    lambda text, road, number: text.replace(f"{road}{number}号", f"{road}{_numeral(number)}号"),
    lambda text, road, number: text.replace(road, road.rstrip("街路巷"), 1) if len(road) > 2 else text,
    lambda text, road, number: text.replace(f"{number}号", f"{number}之1号", 1),
    lambda text, road, number: text.replace(f"{number}号", f"甲{number}号", 1),
    lambda text, road, number: text.replace(road, _wrong(road), 1),
)


def _written(
    rng: np.random.Generator, table: pd.DataFrame, unit: NDArray[np.object_], name: NDArray[np.object_]
) -> list[str]:
    """The address in one line; a few lose the province, use full-width digits or the district's old name."""
    careless = rng.choice(5, len(table), p=[0.90, 0.04, 0.03, 0.02, 0.01])
    lines = []
    columns = (table[c] for c in ("省", "市", "区县", "街道", "道路", "门牌号"))
    for slip, tail, own, province, city, district, street, road, number in zip(
        careless, unit, name, *columns, strict=True
    ):
        head = "" if slip == 1 else province
        district = "城区" if slip == 3 and district == "平城区" else district
        text = f"{head}{city}{district}{'' if slip == 4 else street}{road}{number}号{tail}{own}"
        lines.append(text.translate(_FULL_WIDTH) if slip == 2 else text)
    return lines
