"""What of the store is on the map: at which zoom every class begins, what it tells, what is too small to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from twin.features import FEATURE_CLASSES
from twin.store.protocol import Item, Store

MODELLED = "_l2"
"""A layer of this ending holds what was modelled of the layer without it, and stands for it."""

_DERIVED = "zone_"
_WORDY = frozenset({"attributes", "provenance", "drivers", "inputs", "overrides", "thresholds", "validation", "times"})


@dataclass(frozen=True, slots=True)
class MapClass:
    """How a class of features is shown.

    min_zoom    first zoom that shows it
    column      column whose values begin at zooms of their own, "" for none; `begins` holds value -> zoom
    least       what must be reached to be shown below the finest zoom: pixels of area, or of length for lines
    columns     what tiles tell beside id and oid; empty for all that is no JSON
    labelled    areas get a point each in a layer of its own, so that a name stands once and not in every tile
    """

    min_zoom: int
    column: str = ""
    begins: Mapping[str, int] = field(default_factory=dict)
    least: float = 4.0
    columns: tuple[str, ...] = ()
    labelled: bool = False


LABELS = "_label"
"""Ending of the layer that holds the points of an areal layer's names."""

_ROADS = {"motorway": 6, "trunk": 7, "primary": 8, "secondary": 10, "tertiary": 11, "rail": 9, "lane": 14, "path": 14}
_DIVISIONS = {"province": 1, "city": 1, "district": 8, "street": 10, "community": 12}
_BUILDING = (
    "name", "name_en", "function", "structure", "heritage", "address", "height", "height_m", "height_evidence",
    "storeys", "year_built", "base_z", "roof_shape", "lod",
)  # fmt: skip

MAP_CLASSES: Mapping[str, MapClass] = {
    "building": MapClass(13, columns=_BUILDING),
    "building_point": MapClass(15, columns=_BUILDING),
    "road": MapClass(13, "road_class", _ROADS, least=2.0),
    "railway": MapClass(9, least=2.0),
    "river": MapClass(6, least=4.0),
    "water": MapClass(6, least=4.0),
    "green": MapClass(8, least=8.0),
    "landuse": MapClass(9, least=8.0),
    "tree": MapClass(16),
    "pipe": MapClass(15, least=2.0),
    "furniture": MapClass(16),
    "division": MapClass(10, "division_level", _DIVISIONS, least=16.0, labelled=True),
    "address": MapClass(16),
    "facility": MapClass(12),
    "population": MapClass(10, least=16.0),
    "hazard_site": MapClass(11, least=4.0),
    "trajectory": MapClass(12, least=2.0),
}
_OTHER = MapClass(12)


@dataclass(frozen=True, slots=True)
class Source:
    """A layer of the store on its way to the map: the item, its name in tiles, its class.

    columns     what tiles tell beside id and oid, in the order of the layer -> True for numbers
    """

    item: Item
    name: str
    shown: MapClass
    columns: Mapping[str, bool]

    @property
    def titles(self) -> tuple[str, str]:
        """(中文, English) title."""
        known = FEATURE_CLASSES.get(self.name)
        return (known.title, known.title_en) if known else (self.name, self.name)

    @property
    def first_zoom(self) -> int:
        """First zoom that shows any of it."""
        return min(self.shown.min_zoom, *self.shown.begins.values(), self.shown.min_zoom)


def sources(store: Store, leave_out: tuple[str, ...] = ()) -> tuple[Source, ...]:
    """The layers that make the map, by name in tiles.

    What was modelled stands for what was delivered. Zones are left out: clients colour the same features by oid from a
    small table, so that another rain needs no new tile. Layers without place have no extent and are no map.
    """
    items = {item.name: item for item in store.items("layer")}
    found = {}
    for name, item in sorted(items.items()):
        if name.startswith(_DERIVED) or item.extent is None or not item.count:
            continue
        base = name.removesuffix(MODELLED)
        if base in leave_out or (base == name and name + MODELLED in items):
            continue
        shown = MAP_CLASSES.get(base, _OTHER)
        found[base] = Source(item, base, shown, _columns(store, name, shown))
    return tuple(found[name] for name in sorted(found))


def _columns(store: Store, name: str, shown: MapClass) -> dict[str, bool]:
    one, _, _ = store.page_layer(name, limit=1)
    told = {c: values.dtype.kind == "f" for c, values in one.columns.items() if c != "oid"}
    return {c: number for c, number in told.items() if (c in shown.columns if shown.columns else c not in _WORDY)}
