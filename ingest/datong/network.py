"""Streets, lanes, bridges, the railway and the river lines of the sample, in town coordinates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from ingest.datong import blocks, facts
from ingest.datong.blocks import Compounds
from ingest.datong.oldtown import LANE, OldTown
from ingest.datong.plan import Extent
from ingest.datong.terrain import Terrain, shili_line, yu_line, yu_width

_FIRST = "向阳振华新兴文昌和平永安友谊建设光明兴隆泰和同心富民安康迎新长青宏达广源德馨盛世"
ROAD_COLUMNS = ("name", "name_en", "road_class", "width", "lanes", "bridge")


@dataclass(frozen=True, slots=True)
class Table:
    """Geometries (n,) in town coordinates with columns of n values each."""

    geometry: NDArray[np.object_]
    columns: dict[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.geometry)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Table:
        """The rows of an index or mask."""
        return Table(self.geometry[index], {k: v[index] for k, v in self.columns.items()})

    @staticmethod
    def of(geometry: NDArray[np.object_], **columns: object) -> Table:
        """A table whose columns are arrays or one value for all rows."""
        wide = {}
        for key, value in columns.items():
            array = np.asarray(value)
            kind = object if array.dtype.kind in "UO" else array.dtype
            wide[key] = np.array(np.broadcast_to(array.astype(kind), (len(geometry),)))
        return Table(np.asarray(geometry, dtype=object), wide)

    @staticmethod
    def join(tables: Iterable[Table]) -> Table:
        """One table of several with the same columns, in order."""
        listed = list(tables)
        items = [t for t in listed if len(t)] or listed[:1]
        names = items[0].columns
        return Table(
            np.concatenate([t.geometry for t in items]),
            {k: np.concatenate([t.columns[k] for t in items]) for k in names},
        )


def _roads(geometry: NDArray[np.object_], **columns: object) -> Table:
    given = {
        "name": "",
        "name_en": "",
        "road_class": "residential",
        "width": 9.0,
        "lanes": 2.0,
        "bridge": 0.0,
    } | columns
    return Table.of(geometry, **given)


def _town_streets(town: OldTown) -> Table:
    rows = facts.table("streets")
    lines = np.array([shapely.LineString(facts.points(r["points"])) for r in rows], dtype=object)
    streets = _roads(
        lines, name=facts.texts(rows, "name"), name_en=facts.texts(rows, "name_en"),
        road_class=facts.texts(rows, "road_class"), width=facts.numbers(rows, "width"),
        lanes=facts.numbers(rows, "lanes"),
    )  # fmt: skip
    grounds = shapely.union_all(shapely.box(*town.grounds.T))
    lanes = _roads(
        shapely.difference(town.lanes, grounds), name=town.lane_names, road_class="lane", width=LANE, lanes=1.0
    )
    return Table.join([streets, lanes])


def _arterials() -> Table:
    rows = facts.table("arterials")
    at, start, end = (facts.numbers(rows, c) for c in ("at", "start", "end"))
    ns = np.array([r["axis"] == "ns" for r in rows])
    first = np.where(ns[:, None], np.column_stack([at, start]), np.column_stack([start, at]))
    last = np.where(ns[:, None], np.column_stack([at, end]), np.column_stack([end, at]))
    return _roads(
        shapely.linestrings(np.stack([first, last], axis=1)), name=facts.texts(rows, "name"),
        name_en=facts.texts(rows, "name_en"), road_class=facts.texts(rows, "road_class"),
        width=facts.numbers(rows, "width"), lanes=facts.numbers(rows, "lanes"),
    )  # fmt: skip


def _riverside() -> Table:
    v = np.arange(-4400.0, 4400.1, 100.0)
    lines = [shapely.LineString(np.column_stack([yu_line(v) + side * 300.0, v])) for side in (-1, 1)]
    names = np.array(["御河西路", "御河东路"], dtype=object)
    english = np.array(["Yuhe West Road", "Yuhe East Road"], dtype=object)
    return _roads(
        np.array(lines, dtype=object), name=names, name_en=english, road_class="primary", width=24.0, lanes=4.0
    )


def _minor(used: Compounds, terrain: Terrain) -> Table:
    """Stretches of the chessboard that are no arterial: streets beside built blocks, field roads elsewhere."""
    us, vs = np.array(blocks._LINES_U, dtype=np.float64), np.array(blocks._LINES_V, dtype=np.float64)
    ends, names, axis = [], [], []
    arterial = _arterials()
    for k, u in enumerate(us):
        ends.append(np.column_stack([np.full(len(vs) - 1, u), vs[:-1], np.full(len(vs) - 1, u), vs[1:]]))
        names += [_FIRST[2 * k % 40 : 2 * k % 40 + 2] + "路"] * (len(vs) - 1)
        axis += [0] * (len(vs) - 1)
    for k, v in enumerate(vs):
        ends.append(np.column_stack([us[:-1], np.full(len(us) - 1, v), us[1:], np.full(len(us) - 1, v)]))
        names += [_FIRST[(2 * k + 14) % 40 : (2 * k + 14) % 40 + 2] + "街"] * (len(us) - 1)
        axis += [1] * (len(us) - 1)
    table, named = np.vstack(ends), np.array(names, dtype=object)
    lines = shapely.linestrings(table.reshape(-1, 2, 2))
    on_arterial = np.zeros(len(lines), dtype=bool)
    for line in shapely.buffer(arterial.geometry, 2.0, cap_style="flat"):
        on_arterial |= shapely.covers(line, lines)
    middle = 0.5 * (table[:, :2] + table[:, 2:])
    built = shapely.STRtree(shapely.box(*used.block.T)).query(
        shapely.points(middle), predicate="dwithin", distance=1.0
    )[0]
    urban = np.isin(np.arange(len(lines)), built)
    dry = np.ones(len(lines), dtype=bool)
    for t in (0.0, 0.25, 0.5, 0.75, 1.0):
        p = table[:, :2] + t * (table[:, 2:] - table[:, :2])
        dry &= (np.abs(p[:, 0] - yu_line(p[:, 1])) > 300.0) & (terrain.hills(p[:, 0], p[:, 1]) < 14.0)
        dry &= ~((np.abs(p[:, 0]) < 1079.0) & (np.abs(p[:, 1]) < 1079.0))
        dry &= (np.hypot((p[:, 0] - 6350) / 680, (p[:, 1] + 420) / 490) > 1.0) & ~(
            (p[:, 1] - 3000) * (p[:, 1] - 3700) < 0
        )
    keep = dry & ~on_arterial
    return _roads(
        lines[keep], name=np.where(urban, named, "")[keep], road_class=np.where(urban, "tertiary", "path")[keep],
        width=np.where(urban, 12.0, 4.5)[keep], lanes=np.where(urban, 2.0, 1.0)[keep],
    )  # fmt: skip


def _compound_lanes(used: Compounds) -> Table:
    """Lanes between the compounds of one block, reaching the streets around it."""
    box, block = used.box, used.block
    low = np.where(box[:, :2] - block[:, :2] < 60.0, block[:, :2], box[:, :2] - 5.5)
    high = np.where(block[:, 2:] - box[:, 2:] < 60.0, block[:, 2:], box[:, 2:] + 5.5)
    east, north = (block[:, 2:] - box[:, 2:] > 60.0).T
    u, v = box[:, 2] + 5.5, box[:, 3] + 5.5
    lines = np.vstack([
        np.column_stack([u, low[:, 1], u, high[:, 1]])[east],
        np.column_stack([low[:, 0], v, high[:, 0], v])[north],
    ])  # fmt: skip
    return _roads(shapely.linestrings(lines.reshape(-1, 2, 2)), width=7.0)


def _rail() -> Table:
    lines = [[(-13000, blocks.RAIL_V + o), (-4000, blocks.RAIL_V + o), (13000, blocks.RAIL_V + o)] for o in (-6.0, 6.0)]
    made = np.array([shapely.LineString(p) for p in lines], dtype=object)
    return _roads(made, name="京包铁路", name_en="Beijing-Baotou Railway", road_class="rail", width=4.0, lanes=1.0)


def yu_polygon(grow: float = 0.0) -> shapely.Polygon:
    """The water of the Yu River as a polygon, grown by `grow` metres."""
    v = np.arange(-10800.0, 10800.1, 60.0)
    half = 0.5 * yu_width(v) + grow
    west, east = np.column_stack([yu_line(v) - half, v]), np.column_stack([yu_line(v) + half, v])
    return shapely.Polygon(np.vstack([west, east[::-1]]))


def shili_line_string() -> shapely.LineString:
    """The Shili River from the western edge to its mouth in the Yu River."""
    u = np.arange(-13200.0, 2781.0, 60.0)
    return shapely.LineString(np.vstack([np.column_stack([u, shili_line(u)]), [(2800.0, -8720.0)]]))


def _bridged(roads: Table) -> Table:
    """The same roads, cut where they cross a river; the pieces over water are bridges."""
    rivers = shapely.union(yu_polygon(22.0), shapely.buffer(shili_line_string(), 30.0, cap_style="flat"))
    shapely.prepare(rivers)
    crossing = shapely.intersects(roads.geometry, rivers)
    wet = roads.take(crossing)
    made = [roads.take(~crossing)]
    for over, piece in (
        (0.0, shapely.difference(wet.geometry, rivers)),
        (1.0, shapely.intersection(wet.geometry, rivers)),
    ):
        geometry, index = shapely.get_parts(piece, return_index=True)
        part = wet.take(index)
        made.append(Table(geometry, part.columns | {"bridge": np.full(len(geometry), over)}))
    return Table.join(made)


def roads(town: OldTown, used: Compounds, terrain: Terrain, extent: Extent) -> Table:
    """All roads clipped to the extent; widths in metres."""
    outside = _bridged(Table.join([_arterials(), _riverside(), _minor(used, terrain), _compound_lanes(used), _rail()]))
    every = Table.join([_town_streets(town), outside])
    frame = shapely.box(extent.west + 5, extent.south + 5, extent.east - 5, extent.north - 5)
    geometry, index = shapely.get_parts(shapely.intersection(every.geometry, frame), return_index=True)
    kept = (shapely.get_type_id(geometry) == 1) & (shapely.length(geometry) > 1.0)
    return Table(geometry, every.take(index).columns).take(kept)


def rivers(extent: Extent) -> Table:
    """Centre lines of the Yu and the Shili with width and depth, m."""
    v = np.arange(10800.0, -10800.1, -50.0)
    lines = np.array([shapely.LineString(np.column_stack([yu_line(v), v])), shili_line_string()], dtype=object)
    frame = shapely.box(extent.west, extent.south, extent.east, extent.north)
    made = Table.of(
        shapely.intersection(lines, frame), name=np.array(["御河", "十里河"], dtype=object),
        name_en=np.array(["Yu River", "Shili River"], dtype=object), width=np.array([150.0, 26.0]),
        depth=np.array([3.1, 2.6]),
    )  # fmt: skip
    return made.take(~shapely.is_empty(made.geometry))
