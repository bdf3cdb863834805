"""The place you open: what `city.toml` declares, and the store beside it."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from twin.datums import resolve_crs
from twin.deliveries import with_companions
from twin.errors import MissingInputError, OptionsError, SourceError
from twin.features import FEATURE_CLASSES, Layer
from twin.frames import Frame
from twin.grid import Bounds, Raster
from twin.options import option, read_options
from twin.store import Store
from twin.store.folder import FolderStore
from twin.store.protocol import KEPT_VERSIONS
from twin.store.zones import ZONES

if TYPE_CHECKING:
    from twin.analysis.geocode import Candidate, Surroundings
    from twin.analysis.places import Places

T = TypeVar("T")

STORE_FOLDER = ".twin"

SOURCE_KINDS = (
    "dem", "dsm", "canopy", "imagery", "footprints", "citymodel", "mesh", "roads", "railways", "rivers", "water",
    "green", "landuse", "trees", "pipes", "furniture", "divisions", "addresses", "facilities", "population", "hazards",
    "points", "trajectories", "sensors", "observations", "incidents",
)  # fmt: skip

STAGE_SECTIONS = ("ingest", "l2", "l3", "zones", "tiles", "server")


@dataclass(frozen=True, slots=True)
class Source:
    """One source file as its bureau delivered it; everything about it is declared, nothing guessed.

    path        relative to city.toml; a file, a glob, or a list of them
    crs         PROJ string, "GCJ-02" or "BD-09"
    vertical    vertical datum of its heights; "" where it is the frame's
    columns     our column -> column of the source
    values      our column -> {value of the source: our value}
    merge_into  name of the footprint source whose buildings this one describes too; its points may be without outline
    valid_from  first day on which the divisions of this source were in force, YYYY-MM-DD; "" since ever
    valid_to    day from which they were in force no more; "" still in force
    prefer      columns for which this source's word counts more than that source's
    zone        repository of what is made of this source alone, where the table of zones has another
    """

    name: str
    kind: str
    path: str | tuple[str, ...]
    crs: str = ""
    vertical: str = ""
    encoding: str = ""
    licence: str = ""
    date: str = ""
    accuracy: float = float("nan")
    attribution: str = ""
    lineage: str = ""
    layer: str = ""
    unit: str = "m"
    nodata: float = float("nan")
    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    merge_into: str = ""
    valid_from: str = ""
    valid_to: str = ""
    prefer: tuple[str, ...] = ()
    zone: str = ""

    def delivered(self, root: Path) -> list[Path]:
        """Every file of the delivery: those it names, their companions, and all below a folder; sorted."""
        return with_companions(self.files(root), self.kind)

    def files(self, root: Path) -> list[Path]:
        """The files it names, sorted; SourceError where one is missing or a glob finds nothing."""
        found: list[Path] = []
        for text in (self.path,) if isinstance(self.path, str) else self.path:
            if any(c in text for c in "*?[") and not _there(root / text):
                base = Path(text)
                anchor = base.anchor or root
                matches = sorted(Path(anchor).glob(str(base.relative_to(base.anchor)) if base.anchor else text))
                if not matches:
                    raise SourceError(f"{root / text}: no file fits; mend path of source {self.name!r} in city.toml")
                found += matches
            else:
                found.append(root / text)
        for path in found:
            if not _there(path) or not (path.is_file() or path.suffix.lower() == ".gdb"):
                word = "no such file" if not _there(path) else "is a folder" if path.is_dir() else "is no plain file"
                raise SourceError(f"{str(path)[:300]}: {word}; mend path of source {self.name!r} in city.toml")
        return found


def _there(path: Path) -> bool:
    """Whether the disk has it; a name that no disk takes is not there."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera stands when the page opens."""

    lon: float = option(float("nan"), unit="deg", doc="Longitude of the camera, WGS 84.")
    lat: float = option(float("nan"), unit="deg", doc="Latitude of the camera, WGS 84.")
    height: float = option(900.0, unit="m", min=1.0, doc="Height of the camera above the ground.")
    heading: float = option(40.0, unit="deg", min=-360.0, max=360.0, doc="Direction of view, clockwise from north.")
    pitch: float = option(-25.0, unit="deg", min=-90.0, max=90.0, doc="Tilt of view; negative looks down.")
    time: str = option("", doc="Local moment of the light, RFC 3339 with offset.")


@dataclass(frozen=True, slots=True)
class City:
    """A city: its declaration and its store.

    root    folder of city.toml
    config  the whole of city.toml
    """

    root: Path
    id: str
    name: str
    name_en: str
    frame: Frame
    sources: tuple[Source, ...]
    view: View
    badge: str
    badge_en: str
    config: Mapping[str, Any]
    store: Store
    _kept: dict[str, tuple[str, Places]] = field(default_factory=dict, repr=False, compare=False)

    def options(self, cls: type[T], section: str) -> T:
        """Options of a stage: the table `[section]` of city.toml over the declared defaults."""
        table: Any = self.config
        for part in section.split("."):
            table = table.get(part, {})
        return read_options(cls, table, f"[{section}]")

    def sources_of(self, *kinds: str) -> tuple[Source, ...]:
        """The sources of some kinds, in the order of city.toml."""
        return tuple(source for source in self.sources if source.kind in kinds)

    def layer(self, name: str, *, bbox: Bounds | None = None) -> Layer:
        """A layer of the store."""
        return self.store.read_layer(name, bbox=bbox)

    def raster(self, name: str, *, bounds: Bounds | None = None) -> Raster:
        """A raster of the store."""
        return self.store.read_raster(name, bounds=bounds)

    def buildings(self) -> Layer:
        """The buildings with what L2 knows of their heights; as ingested where L2 has not run."""
        return self.layer("building_l2" if self.store.has("layer", "building_l2") else "building")

    def divisions(self, on: str = "") -> Layer:
        """The administrative divisions in force on a day (YYYY-MM-DD), today's where no day is given."""
        from twin.analysis.divisions import in_force

        layer = self.layer("division") if self.store.has("layer", "division") else Layer.empty("division", self.frame)
        return in_force(layer, on)

    def succession(self) -> list[dict[str, Any]]:
        """Which old division became which new one, by area: rows of document `succession`, [] where none is known."""
        if not self.store.has("document", "succession"):
            return []
        rows: list[dict[str, Any]] = self.store.read_document("succession")["rows"]
        return rows

    def places(self) -> Places:
        """The index behind `geocode` and `reverse`; made at the first question, and anew when a layer has changed."""
        from twin.finding import make_places, places_digest

        digest = places_digest(self)
        if self._kept.get("places", ("",))[0] != digest:
            self._kept["places"] = (digest, make_places(self))
        return self._kept["places"][1]

    def geocode(self, text: str, limit: int = 5) -> tuple[Candidate, ...]:
        """The places that an address or a name may mean, the surest first, each with confidence and reasons."""
        from twin.analysis.geocode import geocode

        return geocode(text, self.places(), limit)

    def reverse(self, lon: float, lat: float, reach: float = 50.0) -> Surroundings:
        """The divisions at a point (degrees, WGS 84), the nearest address and building within `reach` m."""
        from twin.analysis.geocode import reverse

        x, y = self.frame.from_lonlat([[lon, lat]])[0].tolist()
        return reverse((x, y), self.places(), reach)

    def with_store(self, folder: Path) -> City:
        """The same city kept in another folder; its sources stay where they are."""
        return replace(self, store=FolderStore(Path(folder), self.frame), _kept={})

    def require(self, kind: str, name: str, stage: str) -> None:
        """Nothing where the store has the item; else MissingInputError telling which stage makes it."""
        if not self.store.has(kind, name):
            raise MissingInputError(f"{self.name_en}: the store has no {kind} {name!r}; run `twin {stage} {self.root}`")


def open_city(path: str | Path) -> City:
    """The city in folder `path` (or of the city.toml itself).

    raises  MissingInputError where there is no city.toml; OptionsError where it says something unknown
    """
    file = Path(path)
    file = file / "city.toml" if file.is_dir() or file.suffix != ".toml" else file
    if not file.exists():
        raise MissingInputError(f"{file}: no such file; `twin init {file.parent}` writes a commented one")
    try:
        config = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionsError(f"{file}: not valid TOML in UTF-8 ({error})") from error
    return _city(file, config)


@dataclass(frozen=True, slots=True)
class CityCard:
    """Who the city is."""

    id: str = option("", doc="Short name in ASCII; the folder's name where empty.")
    name: str = option("", doc="Name in the local language.")
    name_en: str = option("", doc="Name in English.")
    badge: str = option("", doc="Honest word about the data, shown in the viewer.")
    badge_en: str = option("", doc="The same in English.")


@dataclass(frozen=True, slots=True)
class FrameCard:
    """The working frame as city.toml declares it."""

    crs: str = option("", doc='Projected CRS in metres, for example "EPSG:4547".')
    vertical: str = option("", doc="Vertical datum of all heights inside.")
    geoid_undulation: float = option(
        0.0, unit="m", min=-120.0, max=120.0, doc="Ellipsoidal height minus height in the vertical datum at the city."
    )
    geoid_source: str = option("", doc="Where the undulation comes from.")
    origin: tuple = option((0.0, 0.0, 0.0), unit="m", doc="Local origin in the frame.")  # type: ignore[type-arg]


@dataclass(frozen=True, slots=True)
class StoreCard:
    """What keeps the city: the folder `.twin`, or PostGIS for all but rasters, points, models and tiles."""

    url: str = option("", doc='PostGIS database, "postgresql://user@host/database"; the folder .twin where empty.')
    schema: str = option("", doc="Schema of the city in that database; from the city's id where empty.")
    versions: int = option(KEPT_VERSIONS, min=1, doc="Versions of a layer that are remembered, some bytes a feature.")


def _store(card: StoreCard, folder: Path, city_id: str, frame: Frame) -> Store:
    if not card.url:
        return FolderStore(folder, frame, keep=card.versions)
    from twin.store.postgis import PostgisStore

    schema = card.schema or re.sub(r"[^a-z0-9]+", "_", city_id.lower()).strip("_")
    return PostgisStore(card.url, frame, folder, schema=schema, keep=card.versions)


def _city(file: Path, config: Mapping[str, Any]) -> City:
    known = ("city", "frame", "view", "store", "source", "package", *STAGE_SECTIONS)
    for key in config:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise OptionsError(f"{file}: unknown table [{key}]; did you mean [{near}]?")
    card = read_options(CityCard, config.get("city", {}), f"{file}: [city]")
    declared = read_options(FrameCard, config.get("frame", {}), f"{file}: [frame]")
    if not declared.crs:
        raise OptionsError(f'{file}: [frame] has no crs; declare the working CRS, for example crs = "EPSG:4547"')
    origin = tuple(float(v) for v in declared.origin)
    if len(origin) != 3:
        raise OptionsError(f"{file}: [frame] origin wants three numbers x, y, z")
    crs = resolve_crs(declared.crs)
    frame = Frame(crs, declared.vertical, declared.geoid_undulation, (origin[0], origin[1], origin[2])).check()
    kept = read_options(StoreCard, config.get("store", {}), f"{file}: [store]")
    root = file.parent
    city_id = card.id or root.resolve().name
    name = card.name or card.name_en or root.resolve().name
    return City(
        root=root,
        id=city_id,
        name=name,
        name_en=card.name_en or name,
        frame=frame,
        sources=_sources(file, config.get("source", [])),
        view=read_options(View, config.get("view", {}), f"{file}: [view]"),
        badge=card.badge,
        badge_en=card.badge_en or card.badge,
        config=config,
        store=_store(kept, root / STORE_FOLDER, city_id, frame),
    )


_PLAIN = (
    "crs", "vertical", "encoding", "licence", "date", "attribution", "lineage", "layer", "unit", "accuracy", "nodata",
    "merge_into", "valid_from", "valid_to", "zone",
)  # fmt: skip


def _sources(file: Path, tables: Any) -> tuple[Source, ...]:
    found: dict[str, Source] = {}
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise OptionsError(f"{file}: source is no list of tables; each source begins with a line [[source]]")
    for place, table in enumerate(tables):
        where = f"{file}: [[source]] {table.get('name', f'number {place + 1}')}"
        for key in ("name", "kind", "path"):
            if not table.get(key):
                raise OptionsError(f"{where}: has no {key}")
        if table["kind"] not in SOURCE_KINDS:
            near = difflib.get_close_matches(table["kind"], SOURCE_KINDS, n=1, cutoff=0.0)[0]
            raise OptionsError(f"{where}: unknown kind {table['kind']!r}; did you mean {near!r}?")
        if table["name"] in found:
            raise OptionsError(f"{where}: two sources have this name")
        if ";" in table["name"]:
            raise OptionsError(f"{where}: a name has no semicolon; it parts the names in a lineage")
        if table.get("zone", "") not in ("", *ZONES):
            raise OptionsError(f"{where}: unknown zone {table['zone']!r}; there are {', '.join(ZONES)}")
        found[table["name"]] = _source(where, table)
    for source in found.values():
        _check_merge(f"{file}: [[source]] {source.name}", source, found)
        _check_days(f"{file}: [[source]] {source.name}", source)
    return tuple(found.values())


def _check_merge(where: str, source: Source, found: Mapping[str, Source]) -> None:
    if not source.merge_into:
        if source.prefer:
            raise OptionsError(f"{where}: prefer without merge_into; name the source that it is to be merged into")
        return
    into = found.get(source.merge_into)
    if source.kind != "footprints" or into is None or into is source or into.kind not in ("footprints", "citymodel"):
        raise OptionsError(f"{where}: merge_into {source.merge_into!r}; both sources have to be building footprints")
    if into.merge_into:
        raise OptionsError(f"{where}: merge_into {into.name!r}, which is merged itself; name {into.merge_into!r}")
    columns = FEATURE_CLASSES["building"].columns
    for name in source.prefer:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1, cutoff=0.0)[0]
            raise OptionsError(f"{where}: prefer {name!r} is no column of buildings; did you mean {near!r}?")


def _check_days(where: str, source: Source) -> None:
    days = [day for day in (source.valid_from, source.valid_to) if day]
    if days and source.kind != "divisions":
        raise OptionsError(f"{where}: valid_from and valid_to are for divisions; date is the day of a delivery")
    if any(not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) for day in days) or days != sorted(days):
        raise OptionsError(f"{where}: valid_from and valid_to want days YYYY-MM-DD, the first before the last")


def _source(where: str, table: Mapping[str, Any]) -> Source:
    known = ("name", "kind", "path", "columns", "values", "extra", "prefer", *_PLAIN)
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise OptionsError(f"{where}: unknown key {key!r}; did you mean {near!r}?")
    path = table["path"]
    plain: dict[str, Any] = {key: table[key] for key in _PLAIN if key in table}
    plain = {key: float(value) if key in ("accuracy", "nodata") else str(value) for key, value in plain.items()}
    return Source(
        name=str(table["name"]),
        kind=str(table["kind"]),
        path=tuple(path) if isinstance(path, list) else str(path),
        columns=dict(table.get("columns", {})),
        values={key: dict(pairs) for key, pairs in table.get("values", {}).items()},
        extra=dict(table.get("extra", {})),
        prefer=(prefer,) if isinstance(prefer := table.get("prefer", ()), str) else tuple(prefer),
        **plain,
    )
