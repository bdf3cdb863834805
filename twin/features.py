"""Layers: tables of city objects of one class, as arrays with declared columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twin.errors import GeometryError, NotFoundError
from twin.frames import Frame
from twin.grid import Bounds

if TYPE_CHECKING:
    import geopandas

Objects = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Column:
    """One declared column: `kind` is "f8" (missing is NaN) or "str" (missing is "")."""

    kind: str
    doc: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class FeatureClass:
    """A class of city objects: its name in the field's words, and the columns a layer of it always has."""

    name: str
    title: str
    title_en: str
    columns: Mapping[str, Column]


def _text(**docs: str) -> dict[str, Column]:
    return {name: Column("str", doc) for name, doc in docs.items()}


def _number(unit: str, **docs: str) -> dict[str, Column]:
    return {name: Column("f8", doc, unit) for name, doc in docs.items()}


_NAMED = _text(name="name in the local language", name_en="name in English")
_EXTRA = _text(attributes="columns of the source that are not declared, one JSON object")
_CODED = _NAMED | _text(code="class code of the source")
_BUILDING = (
    _NAMED
    | _text(
        function="use: residential, commercial, industrial, public, religious, heritage, education, medical, "
        "office, transport, agricultural, mine, unknown",
        structure="timber, adobe, masonry, rc, steel, unknown",
        roof_type="roof type where the source knows it: flat, shed, gable, hip, half_hip, mansard, pyramid ...",
        heritage="key into the L3 style and fact tables",
        address="standard address",
        source="name of the source",
        source_id="identifier in the source",
    )
    | _number(
        "m",
        height="surveyed height above ground",
        eave_height="eave height above ground",
        terrain_height="height of the ground at the building above the vertical datum, as delivered",
    )
    | _number("", storeys="storeys above ground")
    | _number("yr", year_built="year of construction")
    | _number("", people_day="people by day", people_night="people by night")
    | _EXTRA
    | _text(provenance="where sources were merged: which gave which value, one JSON object")
)

FEATURE_CLASSES: Mapping[str, FeatureClass] = {
    c.name: c
    for c in (
        FeatureClass(
            "building",
            "建筑",
            "Building",
            _BUILDING,
        ),
        FeatureClass("building_point", "建筑点（无轮廓）", "Building without outline", _BUILDING),
        FeatureClass(
            "road",
            "道路",
            "Road",
            _NAMED
            | _text(
                road_class="motorway, trunk, primary, secondary, tertiary, residential, lane, path, rail",
            )
            | _number("m", width="carriageway width")
            | _number("", lanes="number of lanes", bridge="1 on a bridge, else 0")
            | _EXTRA,
        ),
        FeatureClass(
            "railway",
            "铁路",
            "Railway",
            _NAMED
            | _text(kind="rail, light_rail, subway, tram, narrow_gauge, monorail")
            | _number("m", width="width of the track bed")
            | _number("", tracks="number of tracks", bridge="1 on a bridge, else 0")
            | _EXTRA,
        ),
        FeatureClass(
            "river",
            "河流中线",
            "River",
            _NAMED | _number("m", width="width between banks", depth="depth bank to bed") | _EXTRA,
        ),
        FeatureClass("water", "水面", "Water body", _CODED | _EXTRA),
        FeatureClass("green", "绿地", "Plant cover", _CODED | _EXTRA),
        FeatureClass("landuse", "土地利用", "Land use", _CODED | _EXTRA),
        FeatureClass(
            "tree",
            "树木",
            "Solitary vegetation object",
            _CODED
            | _text(species="species, scientific or local name", leaf="broadleaf, conifer")
            | _number("m", height="height above ground", crown="diameter of the crown", trunk="diameter of the trunk")
            | _number("yr", year_planted="year of planting")
            | _EXTRA,
        ),
        FeatureClass(
            "pipe",
            "地下管线",
            "Utility network element",
            _CODED
            | _text(
                medium="water, drainage, gas, heat, power, telecom, other",
                material="material of the wall",
                reference="what depths and levels are measured to: top, axis, invert",
            )
            | _number("mm", diameter="outer diameter")
            | _number("m", depth_start="depth below ground at the first vertex", depth_end="at the last vertex")
            | _number("m", level_start="height at the first vertex", level_end="at the last vertex")
            | _number("yr", year_built="year of construction")
            | _EXTRA,
        ),
        FeatureClass(
            "furniture",
            "城市部件",
            "City furniture",
            _CODED
            | _text(
                kind="street_lamp, traffic_signal, traffic_sign, bench, waste_bin, hydrant, manhole, bollard ...",
                model="name of the model that stands for it",
            )
            | _number("m", height="height above ground")
            | _number("deg", heading="where it faces, clockwise from north")
            | _EXTRA,
        ),
        FeatureClass(
            "division",
            "行政区划",
            "Administrative division",
            _CODED
            | _text(
                division_level="province, city, district, street, community",
                parent="code of the parent division",
                valid_from='first day it was in force, YYYY-MM-DD; "" since ever',
                valid_to='day from which it was in force no more, YYYY-MM-DD; "" still in force',
            )
            | _EXTRA,
        ),
        FeatureClass(
            "address",
            "地名地址",
            "Address",
            _text(
                text="full address",
                province="province",
                city="city",
                district="district",
                street="street office or town",
                road="road or lane",
                number="house number",
                building_oid="building it belongs to",
            )
            | _number("", confidence="confidence of the match, 0..1")
            | _EXTRA,
        ),
        FeatureClass(
            "facility",
            "设施",
            "Facility",
            _NAMED
            | _text(kind="fire_station, hospital, school, shelter, police, gov, pump, hydrant ...")
            | _number("", capacity="capacity in the facility's own unit")
            | _EXTRA,
        ),
        FeatureClass(
            "population",
            "人口",
            "Population",
            _NAMED
            | _text(code="code of the unit")
            | _number("", people_day="people by day", people_night="people by night")
            | _EXTRA,
        ),
        FeatureClass(
            "hazard_site",
            "风险源",
            "Hazard site",
            _NAMED
            | _text(kind="mine, chemical, hidden_danger, fuel, dam")
            | _number("", level="grade as registered, 1 highest")
            | _EXTRA,
        ),
        FeatureClass(
            "trajectory",
            "轨迹",
            "Trajectory",
            _NAMED
            | _text(
                source_id="identifier in the source",
                tracker="the thing that moved",
                begin_time="first moment, RFC 3339 in UTC",
                end_time="last moment, RFC 3339 in UTC",
                times="seconds since begin_time, one a vertex, a JSON array",
            )
            | _number("", fixes="number of fixes, equal to the vertices")
            | _number("m", length="length along the fixes")
            | _EXTRA,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Layer:
    """Features of one class, sorted as delivered; frozen, every verb returns a new one.

    name        feature class, a key of FEATURE_CLASSES
    frame       the city's Frame
    oid         (n,) object array of unique non-empty str
    geometry    (n,) object array of shapely geometries, 2D, frame metres; None only in tables without place
    columns     name -> (n,) f8 (missing NaN) or object array of str (missing "")
    """

    name: str
    frame: Frame
    oid: Objects
    geometry: Objects
    columns: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        n = len(self.oid)
        wrong = [key for key, values in self.columns.items() if len(values) != n]
        if len(self.geometry) != n or wrong:
            raise GeometryError(f"layer {self.name}: {n} oids, {len(self.geometry)} geometries, odd columns {wrong}")

    def __len__(self) -> int:
        return len(self.oid)

    @staticmethod
    def build(
        name: str, frame: Frame, oid: ArrayLike, geometry: ArrayLike, columns: Mapping[str, ArrayLike] | None = None
    ) -> Layer:
        """A layer with every declared column of its class; columns not given are missing values.

        raises  GeometryError where oids repeat or are empty
        """
        ids = objects(oid)
        n, different = len(ids), set(ids.tolist())
        if len(different) != n or not all(different):
            raise GeometryError(f"layer {name}: oids are empty or repeat; every feature needs its own")
        declared = FEATURE_CLASSES[name].columns if name in FEATURE_CLASSES else {}
        given = dict(columns or {})
        table: dict[str, NDArray[Any]] = {}
        for key, column in declared.items():
            values = given.pop(key, None)
            if column.kind == "f8":
                table[key] = np.full(n, np.nan) if values is None else np.asarray(values, dtype=np.float64)
            else:
                table[key] = np.full(n, "", dtype=object) if values is None else objects(values)
        for key, values in given.items():
            array = np.asarray(values)
            table[key] = array.astype(np.float64) if array.dtype.kind in "fiub" else objects(values)
        return Layer(name, frame, ids, objects(geometry), table)

    @staticmethod
    def empty(name: str, frame: Frame) -> Layer:
        """A layer of the class with no feature."""
        return Layer.build(name, frame, [], [])

    @property
    def bounds(self) -> Bounds:
        """(xmin, ymin, xmax, ymax), m; zeros for an empty layer."""
        import shapely

        if not len(self):
            return (0.0, 0.0, 0.0, 0.0)
        xmin, ymin, xmax, ymax = (float(v) for v in shapely.total_bounds(self.geometry))
        return xmin, ymin, xmax, ymax

    def column(self, name: str) -> NDArray[Any]:
        """The column (n,); NotFoundError names the ones there are."""
        if name not in self.columns:
            raise NotFoundError(f"layer {self.name} has no column {name!r}; it has {', '.join(sorted(self.columns))}")
        return self.columns[name]

    def take(self, index: ArrayLike) -> Layer:
        """The features at `index` (k,) int, in that order."""
        rows = np.asarray(index, dtype=np.intp)
        columns = {key: values[rows] for key, values in self.columns.items()}
        return replace(self, oid=self.oid[rows], geometry=self.geometry[rows], columns=columns)

    def select(self, mask: NDArray[np.bool_] | None = None, **equals: str | float) -> Layer:
        """The features where `mask` (n,) is true and every named column equals its value."""
        keep = np.ones(len(self), dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
        for key, value in equals.items():
            keep = keep & (self.column(key) == value)
        return self.take(np.flatnonzero(keep))

    def with_columns(self, **columns: ArrayLike) -> Layer:
        """The same features with columns added or replaced."""
        table = dict(self.columns)
        for key, values in columns.items():
            array = np.asarray(values)
            table[key] = array.astype(np.float64) if array.dtype.kind in "fiub" else objects(values)
        return replace(self, columns=table)

    def index(self) -> dict[str, int]:
        """oid -> row."""
        return {oid: row for row, oid in enumerate(self.oid.tolist())}

    def sort(self) -> Layer:
        """The same features in the order of their oids."""
        return self.take(np.argsort(self.oid.astype(str), kind="stable"))

    def to_geopandas(self, crs84: bool = False) -> geopandas.GeoDataFrame:
        """A GeoDataFrame indexed by oid, in the frame's CRS or in longitude and latitude."""
        import geopandas

        table = geopandas.GeoDataFrame(
            dict(self.columns), geometry=list(self.geometry), crs=self.frame.crs, index=list(self.oid)
        )
        table.index.name = "oid"
        return table.to_crs("EPSG:4326") if crs84 else table


def objects(values: ArrayLike | Iterable[Any]) -> Objects:
    """A one-dimensional object array of `values`, whatever they are (geometries are never unpacked)."""
    if isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 1:
        return values.copy()
    items = values.tolist() if isinstance(values, np.ndarray) else list(values)  # type: ignore[arg-type]
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
